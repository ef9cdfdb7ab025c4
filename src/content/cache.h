/* The resolver cache of one loop: path → what it means, the open file or small body behind it, and the answer made ready. Bounded in entries, bytes and
 * descriptors; what was not used since it was last looked at goes first. For want of bytes or descriptors an entry only gives up what it holds: what
 * it means stays known. An entry counts only for the generation it was made in. Its loop only. */
#ifndef SLUICE_CONTENT_CACHE_H
#define SLUICE_CONTENT_CACHE_H

#include "catalog/served.h"
#include "http/http.h"

#include <stdint.h>

struct cache;

enum entry_kind {
	ENTRY_NONE,    /* no such path */
	ENTRY_FILE,    /* an artifact; fd >= 0 or data: saved */
	ENTRY_DIR,     /* a directory: a listing */
	ENTRY_REDIRECT /* a directory asked for without its slash */
};

/* The two lists that an entry may be in. */
enum cache_list {
	CACHE_ALL,
	CACHE_HOLDING, /* a descriptor or memory */
	CACHE_LISTS
};

struct entry {
	enum entry_kind kind;
	struct served_path what;
	int64_t size;  /* of the saved file, else as declared */
	bool in_store; /* it was there: what follows may be had again without the catalog */
	int fd;        /* -1 */
	char *room;    /* HTTP_READY_ROOM bytes for the head of a ready answer, and behind it a small body; NULL */
	char *data;    /* that small body; NULL */
	struct http_ready ready; /* p NULL: not made yet */
	char etag[72];           /* "…sha256…", or "" */
	const char *type;        /* Content-Type */
	size_t set;              /* which set of the distribution has it */
	uint32_t use_due;        /* beat from which on its next use is noted: use.h */

	/* the cache's */
	int refs;
	uint64_t hash, generation;
	char *path;
	size_t path_n;
	struct entry *chain;
	struct {
		struct entry *newer, *older;
		bool in, used; /* used: since it came, or was last passed over */
	} list[CACHE_LISTS];
	struct cache *cache; /* NULL: not in it any more */
};

int cache_new(int64_t max_entries, int64_t max_bytes, int64_t max_files, struct cache **out);
void cache_free(struct cache **pc);
/* A reference, or NULL. */
struct entry *cache_get(struct cache *c, struct slice path, uint64_t generation);
/* Takes over *e's heap (fd, room) into an entry under that path; returns it with a reference. NULL: out of memory (both are released). */
struct entry *cache_put(struct cache *c, struct slice path, uint64_t generation, const struct entry *e);
/* The entry, which held neither descriptor nor memory, does now. */
void cache_holds(struct entry *e);
/* Drops the entries that hold one of these artifacts (ids in rising order): looks at all that hold something. */
void cache_forget(struct cache *c, const int64_t *artifact_ids, size_t count);
/* Looks at the `max` that hold something and came first, and drops those of another generation: what they hold open may be gone from the disk. */
void cache_sweep(struct cache *c, uint64_t generation, int max);
/* Out of its cache, if it still is in it; whoever holds references goes on. */
void cache_drop(struct entry *e);
struct entry *entry_ref(struct entry *e);
void entry_unref(struct entry **pe);

#endif
