/* The catalog: what every path means, who offers it, and what is to be done. SQLite today; everything above sees only
 * this folder's headers, so that PostgreSQL is one more `struct db_ops`.
 *
 * Blocking: pool threads, start-up and task processes only, never a loop. A catalog has several reading connections and
 * one writing one; a transaction borrows a connection and gives it back. Short write transactions: about a
 * thousand rows at most, because the host's other processes wait for them. Does not survive fork(): a child opens its own. */
#ifndef SLUICE_CATALOG_CATALOG_H
#define SLUICE_CATALOG_CATALOG_H

#include "base/err.h"
#include "base/shm.h"

#include <stdbool.h>
#include <stdint.h>

struct catalog;
struct keyring;
struct txn; /* one transaction; one thread at a time */

struct catalog_opts {
	const char *url;         /* "sqlite:PATH" */
	int64_t busy_timeout_ms; /* how long a write waits for another process's */
	int readers;             /* reading connections; threads past that wait for one */
	struct shm *shm; /* borrowed; whose generation is bumped by txn_commit after txn_changes_service; may be NULL */
	const struct keyring *keyring; /* borrowed; seals secrets (secrets.h). NULL: they are in the clear */
	int64_t window_ms; /* how long superseded publications are answered (P10): so long retention spares their versions */
};

/* Opens it, and with `migrate` brings the schema up to date (one transaction a migration). -ERR_DB with the reason: a newer
 * schema than this program knows, no permission, not a database. */
int catalog_open(const struct catalog_opts *opts, bool migrate, struct catalog **out, struct err *err);
void catalog_close(struct catalog **pc);

/* A consistent view. Given back by txn_end. */
int catalog_read(struct catalog *c, struct txn **out, struct err *err);
/* The write lock, at once (BEGIN IMMEDIATE): -ERR_BUSY after busy_timeout_ms. */
int catalog_write(struct catalog *c, struct txn **out, struct err *err);
/* Durable when it returns 0. Either way *pt is gone and NULL. */
int txn_commit(struct txn **pt, struct err *err);
/* Ends a read, or rolls a write back. NULL is fine. */
void txn_end(struct txn **pt);
/* What clients are served changes by this transaction: the generation is bumped after the commit, before txn_commit returns. */
void txn_changes_service(struct txn *t);
/* Tasks changed: workers are woken after the commit. */
void txn_changes_tasks(struct txn *t);

/* Small facts: "secret_key" and such. get: -ERR_NOTFOUND; malloc'ed result. */
int catalog_meta_get(struct txn *t, const char *key, char **out, struct err *err);
int catalog_meta_set(struct txn *t, const char *key, const char *value, struct err *err);

#endif
