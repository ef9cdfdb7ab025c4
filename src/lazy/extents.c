/* See extents.h. An array: there are a handful as a rule. */
#include "lazy/extents.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

/* The first range that ends behind `off`. */
static size_t ending_after(const struct extents *x, int64_t off)
{
	size_t lo = 0, hi = x->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (x->e[mid].to <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The first range that ends at `off` or behind. */
static size_t place_of(const struct extents *x, int64_t off)
{
	return ending_after(x, off - 1);
}

static int make_room(struct extents *x)
{
	size_t cap = x->cap > 0 ? 2 * x->cap : 8;
	struct extent *e;

	if (x->n < x->cap)
		return 0;
	if (x->n == EXTENTS_MAX)
		return -ERR_LIMIT;
	e = realloc(x->e, cap * sizeof(*e));
	if (e == NULL)
		return -ERR_NOMEM;
	x->e = e;
	x->cap = cap;
	return 0;
}

int extents_add(struct extents *x, int64_t from, int64_t to)
{
	size_t first = place_of(x, from), last = first;
	int rc;

	BUG(from >= to);
	while (last < x->n && x->e[last].from <= to)
		last++;
	if (first == last) { /* it touches none */
		if ((rc = make_room(x)) < 0)
			return rc;
		memmove(&x->e[first + 1], &x->e[first], (x->n - first) * sizeof(*x->e));
		x->e[first] = (struct extent){from, to};
		x->n++;
		return 0;
	}
	x->e[first].from = MIN(x->e[first].from, from);
	x->e[first].to = MAX(x->e[last - 1].to, to);
	memmove(&x->e[first + 1], &x->e[last], (x->n - last) * sizeof(*x->e));
	x->n -= last - first - 1;
	return 0;
}

void extents_forget_before(struct extents *x, int64_t off)
{
	size_t gone = ending_after(x, off);

	if (gone > 0)
		memmove(x->e, &x->e[gone], (x->n - gone) * sizeof(*x->e));
	x->n -= gone;
	if (x->n > 0)
		x->e[0].from = MAX(x->e[0].from, off);
}

void extents_clear(struct extents *x)
{
	free(x->e);
	*x = (struct extents){.e = NULL};
}

int64_t extents_end(const struct extents *x, int64_t off)
{
	size_t i = ending_after(x, off);

	return i < x->n && x->e[i].from <= off ? x->e[i].to : off;
}

int64_t extents_begin(const struct extents *x, int64_t off)
{
	size_t i = place_of(x, off);

	return i < x->n && x->e[i].to == off ? x->e[i].from : off;
}

int64_t extents_next(const struct extents *x, int64_t off)
{
	size_t i = place_of(x, off);

	while (i < x->n && x->e[i].from < off)
		i++;
	return i < x->n ? x->e[i].from : INT64_MAX;
}
