/* A growable block of bytes with a maximum. One owner, one thread. */
#ifndef SLUICE_BASE_BUF_H
#define SLUICE_BASE_BUF_H

#include "base/slice.h"

#include <stdarg.h>
#include <stddef.h>

struct buf {
	char *p; /* p[n] is NUL once anything was added */
	size_t n;
	size_t cap;
	size_t max; /* bytes; 0 means 1 GiB */
	int failed; /* first error of an append (-ERR_NOMEM, -ERR_LIMIT); later appends do nothing */
};

#define BUF_INIT(max_bytes) ((struct buf){.max = (max_bytes)})

void buf_fini(struct buf *b);
void buf_reset(struct buf *b);               /* empties it, keeps the memory */
int buf_reserve(struct buf *b, size_t more); /* room for `more` and the NUL; failing does not set `failed` */
int buf_add(struct buf *b, const void *p, size_t n);
int buf_adds(struct buf *b, const char *z);
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_addv(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static inline int buf_add_slice(struct buf *b, struct slice s)
{
	return buf_add(b, s.p, s.n);
}
static inline struct slice buf_slice(const struct buf *b)
{
	return (struct slice){b->p, b->n};
}
/* & < > " ' as HTML and XML want them. */
int buf_add_html(struct buf *b, struct slice s);
/* Hands the bytes to the caller (free() them) and empties b; "" when b is empty; NULL when an append had failed (what was
 * there is freed) or out of memory. */
char *buf_take(struct buf *b, size_t *n);

#endif
