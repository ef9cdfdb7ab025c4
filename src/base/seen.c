/* An open table of hashes. */
#include "base/seen.h"

#include "base/check.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdlib.h>

static struct seen_entry *slot(struct seen_entry *entries, size_t cap, uint64_t path)
{
	size_t i = (size_t)path & (cap - 1);

	while (entries[i].path != 0 && entries[i].path != path)
		i = (i + 1) & (cap - 1);
	return &entries[i];
}

static int grow(struct seen *s)
{
	size_t cap = s->cap == 0 ? 1024 : s->cap * 2;
	struct seen_entry *more = calloc(cap, sizeof(*more));

	if (more == NULL)
		return -ERR_NOMEM;
	for (size_t i = 0; i < s->cap; i++)
		if (s->entries[i].path != 0)
			*slot(more, cap, s->entries[i].path) = s->entries[i];
	free(s->entries);
	s->entries = more;
	s->cap = cap;
	return 0;
}

int seen_add(struct seen *s, const char *path, const char *bytes)
{
	uint64_t p = slice_hash(slice_str(path)) | 1, b = slice_hash(slice_str(bytes));
	struct seen_entry *e;

	if (4 * (s->count + 1) > 3 * s->cap && grow(s) != 0)
		return -ERR_NOMEM;
	e = slot(s->entries, s->cap, p);
	if (e->path != 0)
		return e->bytes == b ? 0 : -ERR_EXISTS;
	*e = (struct seen_entry){.path = p, .bytes = b};
	s->count++;
	return 1;
}

bool seen_has(const struct seen *s, const char *path)
{
	return s->cap > 0 && slot(s->entries, s->cap, slice_hash(slice_str(path)) | 1)->path != 0;
}

void seen_fini(struct seen *s)
{
	free(TAKE(s->entries));
	s->count = s->cap = 0;
}
