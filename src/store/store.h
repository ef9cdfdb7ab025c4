/* The store: artifacts as files named by their sha256, `artifact/ab/cdef…` below the media directory (Pulp's layout).
 *
 * A file is there complete and verified, or not at all: bytes go to a staging file without a name (O_TMPFILE; a
 * named one in `staging/` where the file system lacks that), and commit is fdatasync → link → fsync(directory). Opening the store sweeps
 * `staging/`; the caller holds the data directory's lock, so nothing there has an owner. Kinds of stores are tables of functions
 * (store_ops); this is the interface above them. */
#ifndef SLUICE_STORE_STORE_H
#define SLUICE_STORE_STORE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct staging; /* a body on its way in; one owner */

/* `media` is made if missing. `sweep`: remove what a dead process left in staging/ (the server at start; not task processes). */
int store_open(const char *media, bool sweep, struct store **out, struct err *err);
void store_close(struct store **ps);

/* Any thread; opens a file: fast, but not for a tight loop. -ERR_NOSPACE, -ERR_LIMIT (descriptors), -ERR_IO. */
int staging_new(struct store *s, struct staging **out, struct err *err);
int staging_fd(const struct staging *st); /* for pread and sendfile; valid until drop or commit */
/* Appends at `off`; into the page cache: any thread. -ERR_NOSPACE, -ERR_IO. A short write leaves nothing that counts. */
int staging_write(struct staging *st, const void *p, size_t n, int64_t off, struct err *err);
/* Forgets it; its bytes are gone when the last descriptor closes. NULL is fine. */
void staging_drop(struct staging **pst);

struct store_item {
	struct staging *
		st; /* dropped by the commit whatever happens; NULL afterwards. Its descriptor may have been dup'ed before */
	uint8_t sha256[32]; /* verified by the caller */
	int64_t size;
	int rc; /* result: 0 saved (also when the artifact existed), or negative */
	struct err err;
};
/* Saves several at once, so that directories are synced once: each durable when its rc is 0. Blocking. Fault points store.commit.sync, .link, .dirsync. */
void store_commit(struct store *s, struct store_item *items, size_t count);

/* Opens a saved artifact read-only. -ERR_NOTFOUND: not there (or not of that size, when size >= 0: it is then left alone and logged). Blocking. */
int store_get(struct store *s, const uint8_t sha256[32], int64_t size, int *fd, int64_t *actual_size, struct err *err);
bool store_has(struct store *s, const uint8_t sha256[32]); /* blocking */
/* -ERR_NOTFOUND is success. Blocking. */
int store_remove(struct store *s, const uint8_t sha256[32], struct err *err);
/* "artifact/ab/cdef…" */
#define STORE_NAME_MAX 80
char *store_name(const uint8_t sha256[32], char out[STORE_NAME_MAX]);
/* Bytes of the file system that holds it. Blocking. */
int store_space(struct store *s, int64_t *total, int64_t *used, int64_t *free_, struct err *err);

#endif
