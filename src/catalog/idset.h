/* A set of row ids. Ids that were given out one after the other, as those of one sync's rows are, take a bit each; in order they are added at the end. One
 * thread. */
#ifndef SLUICE_CATALOG_IDSET_H
#define SLUICE_CATALOG_IDSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idset_chunk;

struct idset { /* zeroed: empty */
	struct idset_chunk *chunks;
	size_t count, cap;
	size_t last; /* the chunk that was used last */
};

void idset_fini(struct idset *s);
/* 1: added; 0: it was there; -ERR_NOMEM. Ids are not negative. */
int idset_add(struct idset *s, int64_t id);
bool idset_has(struct idset *s, int64_t id);
void idset_remove(struct idset *s, int64_t id); /* also of one that is not there */
/* The smallest above `after`; -1: there is none. */
int64_t idset_next(struct idset *s, int64_t after);

#endif
