/* A table of numbers by the hash of a text, for sets too large to hold their texts: what a publication has chosen, which paths are taken. Two texts with one
 * hash of 64 bits are one. One thread. */
#ifndef SLUICE_FORMATS_RPM_HASHMAP_H
#define SLUICE_FORMATS_RPM_HASHMAP_H

#include "base/slice.h"

#define HASHMAP_MAX ((size_t)16 << 20) /* places; half of them can be taken */

struct hashmap {
	struct hashmap_place *places;
	size_t cap, count;
};

/* The number of `text`, 0 when it is new; valid until the next call. NULL: out of memory, or full. A zeroed map is an empty one. */
uint64_t *hashmap_at(struct hashmap *m, struct slice text);
bool hashmap_has(const struct hashmap *m, struct slice text);
void hashmap_fini(struct hashmap *m);

#endif
