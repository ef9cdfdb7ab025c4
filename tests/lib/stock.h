/* What serving needs, in a directory of its own: settings, catalog, store, pool; and functions to fill the catalog with units of the file format and
 * to ask it. Every failure is the test's. */
#ifndef SLUICE_TESTS_STOCK_H
#define SLUICE_TESTS_STOCK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/pool.h"
#include "base/settings.h"
#include "base/shm.h"
#include "catalog/catalog.h"
#include "catalog/remote.h"
#include "store/store.h"

struct stock {
	char dir[64];
	struct settings settings;
	struct shm *shm;
	struct catalog *catalog;
	struct store *store;
	struct pool *pool;
};

#define MUST(call)                                                    \
	do {                                                          \
		struct err err = ERR_INIT;                            \
		int rc_ = (call);                                     \
		if (rc_ < 0)                                          \
			fail_msg("%s: %s (%d)", #call, err.msg, rc_); \
	} while (0)

void stock_open(struct stock *s, int threads, int queue_max);
void stock_close(struct stock *s);

/* Changes the catalog; clients are served anew. $1 is `id`. */
void stock_exec(struct stock *s, const char *sql, int64_t id);
/* The first column of the first row, $1 being `id`; -1: no row or null. */
int64_t stock_int(struct stock *s, const char *sql, int64_t id);

int64_t stock_remote(struct stock *s, const char *name, const char *url, enum policy policy);
int64_t stock_repository(struct stock *s, const char *name);
/* A unit that the remote (0: none) offers at `url`, in the repository's next version: its content artifact. The same path and digests again are the same
 * unit, with one source more. */
int64_t stock_declare(struct stock *s, int64_t repository, int64_t remote, const char *path, const char *url,
	int64_t size, const struct digests *digests);
/* The remote artifact of a content artifact and a remote. */
int64_t stock_source(struct stock *s, int64_t content_artifact, int64_t remote);
/* Publishes the latest version, units passing through. */
int64_t stock_publish(struct stock *s, int64_t repository);
int64_t stock_distribute(struct stock *s, const char *base_path, int64_t repository);
/* Puts bytes into the store; the catalog is not told. */
void stock_save(struct stock *s, const char *p, size_t n);

bool stock_has(struct stock *s, const struct digests *digests);
int stock_staged(struct stock *s);                              /* names in staging/ */
bool stock_is_saved(struct stock *s, int64_t content_artifact); /* does the catalog say so? */

/* Bytes that look different everywhere; freed by the caller. */
char *bytes_new(size_t n, unsigned seed);
struct digests digests_of(const char *p, size_t n, unsigned algs);

int open_fds(void);
/* Waits until the expression holds; past the deadline the test fails and says what it waited for. */
#define WAIT_FOR(cond)                                                                               \
	do {                                                                                         \
		for (int64_t until_ = wait_deadline(); !(cond);)                                     \
			if (!wait_a_little(until_))                                                  \
				fail_msg("%s:%d waited in vain for: %s", __FILE__, __LINE__, #cond); \
	} while (0)
int64_t wait_deadline(void);
bool wait_a_little(int64_t deadline);

/* Keeps one thread of the pool busy until it is freed again; then what was queued meanwhile is begun before it returns. */
struct blocker;
struct blocker *stock_block(struct stock *s);
void stock_unblock(struct blocker **pb);

#endif
