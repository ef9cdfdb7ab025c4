/* A growable block of bytes with a maximum. Invariant: p == NULL, or n < cap and p[n] is NUL between calls. */
#include "base/buf.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

#define BUF_DEFAULT_MAX ((size_t)1 << 30)
#define BUF_FIRST_CAP 256 /* most texts that are built here are a line or two */

void buf_fini(struct buf *b)
{
	free(b->p);
	*b = BUF_INIT(b->max);
}

void buf_reset(struct buf *b)
{
	b->n = 0;
	b->failed = 0;
	if (b->p != NULL)
		b->p[0] = '\0';
}

/* Room for `more` bytes and the NUL behind them. */
static int grow(struct buf *b, size_t more)
{
	size_t max = b->max != 0 ? b->max : BUF_DEFAULT_MAX;
	size_t want, cap;
	char *p;

	if (b->n > max || more > max - b->n || max == SIZE_MAX)
		return -ERR_LIMIT;
	want = b->n + more + 1;
	if (want <= b->cap)
		return 0;
	cap = b->cap <= max / 2 ? b->cap * 2 : max + 1;
	if (cap < BUF_FIRST_CAP)
		cap = BUF_FIRST_CAP;
	if (cap < want)
		cap = want;
	p = realloc(b->p, cap);
	if (p == NULL)
		return -ERR_NOMEM;
	b->p = p;
	b->cap = cap;
	b->p[b->n] = '\0';
	return 0;
}

int buf_reserve(struct buf *b, size_t more)
{
	return b->failed != 0 ? b->failed : grow(b, more);
}

static int grow_or_fail(struct buf *b, size_t more)
{
	if (b->failed == 0)
		b->failed = grow(b, more);
	return b->failed;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
	if (grow_or_fail(b, n) != 0)
		return b->failed;
	if (n > 0)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = '\0';
	return 0;
}

int buf_adds(struct buf *b, const char *z)
{
	return buf_add(b, z, strlen(z));
}

int buf_addv(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	size_t room;
	int n;

	if (grow_or_fail(b, 0) != 0)
		return b->failed;
	va_copy(again, ap);
	room = b->cap - b->n;
	n = vsnprintf(b->p + b->n, room, fmt, ap);
	if (n < 0) {
		b->failed = -ERR_INVAL;
	} else if (grow_or_fail(b, (size_t)n) == 0) {
		if ((size_t)n >= room)
			vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	}
	va_end(again);
	b->p[b->n] = '\0'; /* also after a text that was refused */
	return b->failed;
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = buf_addv(b, fmt, ap);
	va_end(ap);
	return rc;
}

static const char *html_entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;"; /* HTML 4 has no &apos; */
	default:
		return NULL;
	}
}

int buf_add_html(struct buf *b, struct slice s)
{
	size_t start = 0;

	for (size_t i = 0; i < s.n; i++) {
		const char *entity = html_entity(s.p[i]);

		if (entity == NULL)
			continue;
		buf_add(b, s.p + start, i - start);
		buf_adds(b, entity);
		start = i + 1;
	}
	return buf_add(b, s.n > 0 ? s.p + start : NULL, s.n - start);
}

char *buf_take(struct buf *b, size_t *n)
{
	char *p = NULL;

	if (b->failed != 0)
		goto out;
	if (b->n >= b->cap) { /* empty, or a caller wrote up to cap by itself */
		p = realloc(b->p, b->n + 1);
		if (p == NULL)
			goto out;
		b->p = p;
	}
	p = b->p;
	p[b->n] = '\0';
	if (n != NULL)
		*n = b->n;
	b->p = NULL;
out:
	buf_fini(b);
	return p;
}
