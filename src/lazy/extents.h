/* Which parts of a file are there ahead of what came in order: disjoint ranges, sorted. Plain data: whoever owns it locks it. */
#ifndef SLUICE_LAZY_EXTENTS_H
#define SLUICE_LAZY_EXTENTS_H

#include <stddef.h>
#include <stdint.h>

/* Past this many a file is in such small pieces that its owner is better off waiting. */
#define EXTENTS_MAX 1024

struct extents { /* zero it first */
	struct extent {
		int64_t from, to; /* first byte and the one after the last; from < to */
	} * e;
	size_t n, cap;
};

/* [from, to) is there; what touches becomes one. 0, -ERR_NOMEM, -ERR_LIMIT. */
int extents_add(struct extents *x, int64_t from, int64_t to);
/* What lies before `off` is of no interest any more. */
void extents_forget_before(struct extents *x, int64_t off);
void extents_clear(struct extents *x);

/* Where the range that holds the byte at `off` ends; `off` when none does. */
int64_t extents_end(const struct extents *x, int64_t off);
/* Where the range that ends exactly at `off` begins; `off` when none does. */
int64_t extents_begin(const struct extents *x, int64_t off);
/* Where the first range that begins at `off` or behind begins; INT64_MAX when none does. */
int64_t extents_next(const struct extents *x, int64_t off);

#endif
