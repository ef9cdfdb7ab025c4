/* Memory of one request: many small pieces, freed at once, with a list of clean-ups for what is not memory.
 * One owner, one thread at a time. Under AddressSanitizer every piece is a malloc of its own. */
#ifndef SLUICE_BASE_ARENA_H
#define SLUICE_BASE_ARENA_H

#include "base/slice.h"

#include <stddef.h>

struct arena_block;
struct arena_cleanup;

struct arena {
	struct arena_block *blocks;
	struct arena_cleanup *cleanups;
	char *at;
	size_t left;
	size_t used; /* bytes given out */
	size_t max;  /* bytes; arena_alloc answers NULL past it */
};

void arena_init(struct arena *a, size_t max_bytes);
/* Runs the clean-ups, newest first, and frees all. The arena can be used again. */
void arena_fini(struct arena *a);
/* As arena_fini, but keeps one block for the next user. */
void arena_reset(struct arena *a);
void *arena_alloc(struct arena *a, size_t n); /* aligned for any type, not zeroed; NULL: out of memory or over max */
void *arena_zalloc(struct arena *a, size_t n);
char *arena_strdup(struct arena *a, struct slice s); /* NUL-terminated */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int arena_on_fini(struct arena *a, void (*fn)(void *arg), void *arg); /* 0 or -ERR_NOMEM */

#endif
