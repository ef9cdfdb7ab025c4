/* What the files of this folder share beside db.h: reading and binding the columns that many tables have. */
#ifndef SLUICE_CATALOG_PRIV_H
#define SLUICE_CATALOG_PRIV_H

#include "base/digest.h"
#include "base/err.h"
#include "base/uuid.h"
#include "catalog/catalog.h"
#include "catalog/db.h"
#include "catalog/keyring.h"

/* The columns of a set of digests, in the order of enum digest_alg; `t` is the table's alias with its dot. */
#define DIGEST_COLUMNS(t) t "md5, " t "sha1, " t "sha224, " t "sha256, " t "sha384, " t "sha512"

/* From column / parameter `i` on, one for each algorithm; absent ones are null. */
void col_digests(struct db_stmt *s, int i, struct digests *out);
void bind_digests(struct db_stmt *s, int i, const struct digests *ds);
/* -1 for null. */
int64_t col_size(struct db_stmt *s, int i);
void col_uuid(struct db_stmt *s, int i, struct uuid *out);
/* malloc'ed, NULL for null; *failed is set when memory is out. */
char *col_dup(struct db_stmt *s, int i, bool *failed);

/* Superseded publications since then are still answered; 0: none are. */
int64_t catalog_window_began_us(const struct catalog *c);
/* Lets go what has lain outside of that window: `due` looks whether there is any, so that nothing is written where there is none; $1 is its begin.
 * `changes` (may be NULL) says what the transaction changes. */
int catalog_window_sweep(
	struct catalog *c, const char *due, const char *sweep, void (*changes)(struct txn *t), struct err *err);

/* The transaction adds (or takes away) artifacts of so many bytes: committed together with it. */
void txn_count_artifact(struct txn *t, int artifacts, int64_t bytes);
/* What catalog_stored_bytes answers from now on. */
void txn_note_stored(struct txn *t, int64_t bytes);

/* NULL: nothing is sealed. */
const struct keyring *txn_keyring(struct txn *t);
/* The text of column i, opened if it is sealed; malloc'ed, NULL for null. */
int col_secret(struct txn *t, struct db_stmt *s, int i, const struct sealed_at *at, char **out, struct err *err);
/* What to write for it: `text` itself, or what *mem holds then, for the caller to free. */
int secret_sealed(
	struct txn *t, const struct sealed_at *at, struct slice text, struct slice *out, char **mem, struct err *err);

/* Nothing that was overwritten or deleted is in the database's files any more. -ERR_BUSY: others read it. */
int catalog_erase(struct catalog *c, struct err *err);

/* A path as clients may ask for it: relative, UTF-8, no empty, "." or ".." part, no control bytes. -ERR_INVAL. */
int check_path(struct slice path, struct err *err);

/* -ERR_NOTFOUND with "no <what>" when `changes` is 0. */
int expect_row(int64_t changes, const char *what, struct err *err);

#endif
