/* Foreign bytes: a pointer and a length, never NUL-terminated by promise. Borrowed, never owned. Any thread. */
#ifndef SLUICE_BASE_SLICE_H
#define SLUICE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char *p;
	size_t n;
};

#define SLICE(lit) ((struct slice){(lit), sizeof(lit) - 1})
#define SLICE_NULL ((struct slice){NULL, 0})
/* For printf: "%.*s", SLICE_ARG(s) */
#define SLICE_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct slice slice_of(const char *p, size_t n)
{
	return (struct slice){p, n};
}
static inline struct slice slice_str(const char *z)
{
	return (struct slice){z, z != NULL ? strlen(z) : 0};
}
static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool slice_starts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}
bool slice_ends(struct slice s, struct slice suffix);
/* ASCII case only, as HTTP compares tokens. */
bool slice_eq_nocase(struct slice a, struct slice b);
bool slice_starts_nocase(struct slice s, struct slice prefix);
/* Without leading and trailing space, tab, CR, LF. */
struct slice slice_trim(struct slice s);
/* Index of the first / last c, or -1. */
ptrdiff_t slice_chr(struct slice s, char c);
ptrdiff_t slice_rchr(struct slice s, char c);
/* Cuts *rest at the first c: returns what is before it and moves *rest behind it; without c returns all of
 * it and leaves *rest with p == NULL, n == 0. Loop: while (rest.p != NULL) part = slice_cut(&rest, ','); */
struct slice slice_cut(struct slice *rest, char c);
/* Decimal digits only (no sign, no space), at most `max`. -ERR_INVAL, -ERR_LIMIT. */
int slice_to_i64(struct slice s, int64_t max, int64_t *out);
/* malloc'ed NUL-terminated copy; NULL when out of memory. */
char *slice_dup(struct slice s);
/* FNV-1a folded with a finalizer: for tables in memory and for catalog.repository_path; the value is stored on disk, so it never changes. */
uint64_t slice_hash(struct slice s);
/* Strict UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF). */
bool slice_is_utf8(struct slice s);

#endif
