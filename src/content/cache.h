/* The resolver cache of one loop: path → what it means and the open file or small body behind it. Bounded in entries, bytes and descriptors; the least
 * recently used go first. An entry counts only for the generation it was made in. Its loop only. */
#ifndef SLUICE_CONTENT_CACHE_H
#define SLUICE_CONTENT_CACHE_H

#include "catalog/served.h"

#include <stdint.h>

struct cache;

enum entry_kind {
	ENTRY_NONE,    /* no such path */
	ENTRY_FILE,    /* an artifact; fd >= 0 or data: saved */
	ENTRY_DIR,     /* a directory: a listing */
	ENTRY_REDIRECT /* a directory asked for without its slash */
};

struct entry {
	enum entry_kind kind;
	struct served_path what;
	int64_t size;     /* of the saved file, else as declared */
	int fd;           /* -1 */
	char *data;       /* small bodies; NULL */
	char etag[72];    /* "…sha256…", or "" */
	const char *type; /* Content-Type */
	size_t set;       /* which set of the distribution has it */
	uint32_t use_due; /* beat from which on its next use is noted: use.h */

	/* the cache's */
	int refs;
	uint64_t hash, generation;
	char *path;
	size_t path_n;
	struct entry *chain, *newer, *older;
	struct cache *cache; /* NULL: not in it any more */
};

int cache_new(int64_t max_entries, int64_t max_bytes, int64_t max_files, struct cache **out);
void cache_free(struct cache **pc);
/* A reference, or NULL. */
struct entry *cache_get(struct cache *c, struct slice path, uint64_t generation);
/* Takes over *e's heap (fd, data) into an entry under that path; returns it with a reference. NULL: out of memory (fd and data are released). */
struct entry *cache_put(struct cache *c, struct slice path, uint64_t generation, const struct entry *e);
/* Out of its cache, if it still is in it; whoever holds references goes on. */
void cache_drop(struct entry *e);
struct entry *entry_ref(struct entry *e);
void entry_unref(struct entry **pe);

#endif
