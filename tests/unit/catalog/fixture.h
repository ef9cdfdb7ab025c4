/* A catalog of its own for every test, on each kind of database, and short ways to fill it and to ask what it holds.
 *
 * Units are written as text: "pool/a=7 b=9" means two file units, whose sha256 is 32 bytes of 7 (or 9) and whose size
 * is that number; the natural key is path and number. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/err.h"
#include "catalog/catalog.h"
#include "catalog/change.h"
#include "catalog/db.h"
#include "catalog/repository.h"
#include "catalog/served.h"

extern struct catalog *catalog; /* opened by fixture_set_up */
extern struct shm *shm;
extern struct err err;
extern char fixture_dir[64], fixture_url[96];

/* Runs the group once for each kind of database. Returns what main returns. */
int fixture_run(const char *name, const struct CMUnitTest *tests, size_t count);
#define RUN(name, tests) fixture_run(name, tests, ARRAY_LEN(tests))

int fixture_set_up(void **state);
int fixture_tear_down(void **state);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_set_up, fixture_tear_down)

/* Fails the test with the error's text. */
#define OK(call)                                                                  \
	do {                                                                      \
		int ok_rc_ = (call);                                              \
		if (ok_rc_ != 0)                                                  \
			fail_msg("%s: %s: %s", #call, err_name(ok_rc_), err.msg); \
	} while (0)

struct catalog *fixture_open_again(int64_t busy_timeout_ms, int readers);
struct txn *begin_write(void);
struct txn *begin_read(void);
void commit(struct txn *t);
void sql(const char *statements);  /* in a transaction of its own; braces are doubled */
int64_t number(const char *query); /* the first column of the first row; -1: no row */
const char *text(const char *query);

int64_t make_repository(const char *name);
/* `with`: more columns and values, braces doubled, as "username='u', password='p'"; or NULL. */
int64_t make_remote(const char *name, const char *with);

/* `units` into a repository. What a change did, or the error's code. */
struct change_opts fixture_opts(int64_t repository_id, int64_t remote_id);
int declare(struct change *ch, const char *units);
/* The same units, to be declared by the caller: how many. Valid until the next call of this or of what declares. */
size_t make_units(const char *units, struct change_unit **out);
int change(const struct change_opts *opts, const char *units, struct change_result *out);
/* The content's id of one such unit, 0 if there is none. */
int64_t unit(const char *text);
/* "a=1 b/c=2" of a version, by path; the numbers are looked up path by path. */
const char *contents(int64_t repository_id, int64_t number);
/* Every invariant of the tables that the schema states and cannot enforce. */
void check_invariants(void);

#endif
