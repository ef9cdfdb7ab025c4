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
	struct staging *st; /* dropped by the commit whatever happens (but see `keep`); NULL afterwards. Its descriptor
	                       may have been dup'ed before */
	uint8_t sha256[32]; /* verified by the caller */
	int64_t size;
	bool keep;    /* the staging file is the caller's still, afterwards: to be committed again, or dropped */
	bool existed; /* result: the store had it, so it may be about to be removed: see store_items_there */
	int rc;       /* result: 0 saved (also when the artifact existed), or negative */
	struct err err;
};
/* Saves several at once, so that directories are synced once: each durable when its rc is 0. Blocking. Fault points store.commit.sync, .link, .dirsync. */
void store_commit(struct store *s, struct store_item *items, size_t count);

/* To be asked inside of the write transaction that records them, because removals set files aside inside of one, too (space/removal.h): is
 * all that `existed` still there? If not, commit it again, or do not record it. Blocking; no system call for what this commit brought. */
bool store_items_there(struct store *s, const struct store_item *items, size_t count);

/* Opens a saved artifact read-only. -ERR_NOTFOUND: not there (or not of that size, when size >= 0: it is then left alone and logged). Blocking. */
int store_get(struct store *s, const uint8_t sha256[32], int64_t size, int *fd, int64_t *actual_size, struct err *err);
/* The same for loops: only if it is there and nothing has to be read from disk for it; -ERR_BUSY otherwise, and where the system cannot tell (Linux
 * before 5.12): ask store_get. Never blocks. */
int store_get_cached(struct store *s, const uint8_t sha256[32], int64_t size, int *fd);
bool store_has(struct store *s, const uint8_t sha256[32]); /* blocking */
/* Is the file that `fd` was opened on what has that name now? Blocking. */
bool store_is(struct store *s, const uint8_t sha256[32], int fd);
/* -ERR_NOTFOUND is success. Blocking. */
int store_remove(struct store *s, const uint8_t sha256[32], struct err *err);
/* The same in two steps. Setting aside is quick, however large the file is: the artifact is not there any more, for whoever looks for it. Discarding
 * frees its bytes. In between it can be committed anew. Nothing to set aside or discard is success. Blocking. */
int store_set_aside(struct store *s, const uint8_t sha256[32], struct err *err);
int store_discard(struct store *s, const uint8_t sha256[32], struct err *err);
/* "artifact/ab/cdef…" */
#define STORE_NAME_MAX 80
char *store_name(const uint8_t sha256[32], char out[STORE_NAME_MAX]);
/* ---- files that come in chunks, under a name that the caller gives (a uuid). Blocking. ---- */

/* Copies the chunk's n bytes to `at`. Two at once must not overlap. -ERR_NOSPACE, -ERR_IO. */
int store_part_write(struct store *s, const char *name, struct staging *chunk, int64_t n, int64_t at, struct err *err);
/* The first `size` bytes as a staging file of their own. -ERR_NOTFOUND: no chunk came; -ERR_SIZE: it is shorter. */
int store_part_copy(struct store *s, const char *name, int64_t size, struct staging **out, struct err *err);
/* -ERR_NOTFOUND is success. */
int store_part_remove(struct store *s, const char *name, struct err *err);

/* Bytes of the file system that holds it. Blocking. */
int store_space(struct store *s, int64_t *total, int64_t *used, int64_t *free_, struct err *err);

#endif
