/* An API over a catalog in a directory of its own, and a table-driven conversation with it. Every failure is the test's. */
#ifndef SLUICE_TESTS_API_FIXTURE_H
#define SLUICE_TESTS_API_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/api.h"

#define ADMIN_PASSWORD "s3cret-of-tests"

struct fixture {
	char dir[64];
	struct settings settings;
	struct catalog *catalog;
	struct api *api;
	struct store *store;
	const char *content_range; /* of the next form */
	struct pool *pool;         /* of the HTTP server; NULL: none */
	struct {
		char name[32];
		char *value;
	} saved[64];
	size_t saved_count;
};

/* For cmocka: setup and teardown of a whole test. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* The same with a pool of one thread, where two jobs may wait. */
int fixture_setup_pool(void **state);

/* One request and its answer. "{name}" in path, body and want stands for a saved value.
 * want: "=TEXT" the body exactly; "~TEXT" somewhere in it; else JSON of which each member must be there with that value; NULL: anything.
 * save: "name=member.of.the.answer". */
struct step {
	const char *method, *path, *body;
	int status;
	const char *want;
	const char *save;
};
void play(struct fixture *f, const struct step *steps, size_t count);
#define PLAY(f, ...)                                               \
	do {                                                       \
		const struct step steps_[] = {__VA_ARGS__};        \
		play(f, steps_, sizeof(steps_) / sizeof(*steps_)); \
	} while (0)

/* A request with everything; the caller ends the response. Without authorization it is the administrator's. */
void ask(struct fixture *f, const char *method, const char *path, struct api_request *req, struct api_response *res);
const char *saved(struct fixture *f, const char *name);
void save(struct fixture *f, const char *name, const char *value);
/* Runs all tasks that wait, as a worker would. */
void work(struct fixture *f);
/* Writes on the catalog directly, for states that only syncs make. $ is not replaced. */
/* A multipart form: `fields` as in application/x-www-form-urlencoded, nothing escaped, "name@=text" a file. The answer is checked as play does;
 * save as in a step. */
void form(struct fixture *f, const char *method, const char *path, const char *fields, int status, const char *want,
	const char *saving);
void exec_sql(struct fixture *f, const char *sql);

#endif
