/* Paths (or other names) that came by already, by their hashes: 16 bytes each, so that a million cost 32 MB. Two of one hash count as one, which nobody meets by
 * chance. One thread. */
#ifndef SLUICE_BASE_SEEN_H
#define SLUICE_BASE_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seen { /* zeroed: empty */
	struct seen_entry {
		uint64_t path, bytes; /* of the path, and of the digest that was declared for it; path 0: free */
	} * entries;
	size_t count, cap; /* cap: a power of two */
};

/* 1: new; 0: was seen with these bytes; -ERR_EXISTS: with others; -ERR_NOMEM. */
int seen_add(struct seen *s, const char *path, const char *bytes);
bool seen_has(const struct seen *s, const char *path);
void seen_fini(struct seen *s);

#endif
