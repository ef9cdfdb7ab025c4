/* See snapshot.h. */
#include "content/snapshot.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

struct filter *filter_ref(struct filter *f)
{
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	return f;
}

void filter_unref(struct filter **pf)
{
	struct filter *f = TAKE(*pf);

	if (f != NULL && atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1) {
		struct pathset *p = atomic_load(&f->set);

		pathset_unref(&p);
		free(f);
	}
}

static struct filter *filter_new(void)
{
	struct filter *f = calloc(1, sizeof(*f));

	if (f != NULL)
		atomic_init(&f->refs, 1);
	return f;
}

static bool same_set(const struct served_set *a, const struct served_set *b)
{
	return a->publication_id == b->publication_id && a->repository_id == b->repository_id &&
	       a->version_number == b->version_number && a->pass_through == b->pass_through;
}

/* ---- base_paths, in byte order ---- */

/* The first distribution whose base_path is not below `from`. */
static size_t lower_bound(const struct served_table *t, struct slice from)
{
	size_t lo = 0, hi = t->count;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (strncmp(t->d[mid].base_path, from.p, from.n) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int find(const struct served_table *t, struct slice base_path)
{
	size_t i = lower_bound(t, base_path);

	return i < t->count && slice_eq(slice_str(t->d[i].base_path), base_path) ? (int)i : -1;
}

/* ---- making one ---- */

/* The filter that the old snapshot has for this set of the same base_path, or a new one. */
static struct filter *inherit(
	const struct snapshot *old, const struct served_distribution *d, const struct served_set *set)
{
	int i = old != NULL ? find(old->table, slice_str(d->base_path)) : -1;

	for (size_t k = 0; i >= 0 && k < old->table->d[i].set_count; k++)
		if (same_set(&old->table->d[i].sets[k], set))
			return filter_ref(old->filters[i][k]);
	return filter_new();
}

static int inherit_all(struct snapshot *s, const struct snapshot *old)
{
	s->filters = calloc(MAX(s->table->count, 1), sizeof(*s->filters));
	if (s->filters == NULL)
		return -ERR_NOMEM;
	for (size_t i = 0; i < s->table->count; i++) {
		const struct served_distribution *d = &s->table->d[i];

		s->filters[i] = calloc(MAX(d->set_count, 1), sizeof(*s->filters[i]));
		if (s->filters[i] == NULL)
			return -ERR_NOMEM;
		for (size_t k = 0; k < d->set_count; k++)
			if ((s->filters[i][k] = inherit(old, d, &d->sets[k])) == NULL)
				return -ERR_NOMEM;
	}
	return 0;
}

int snapshot_load(struct catalog *c, uint64_t generation, int64_t window_us,
	bool (*needs_publication)(const char *type), const struct snapshot *old, struct snapshot **out, struct err *err)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	struct txn *t = NULL;
	int rc;

	if (s == NULL)
		return err_set(err, -ERR_NOMEM, "out of memory");
	atomic_init(&s->refs, 1);
	s->generation = generation;
	rc = catalog_read(c, &t, err);
	if (rc == 0)
		rc = catalog_served_load(t, window_us, needs_publication, &s->table, err);
	if (rc == 0)
		rc = guards_load(t, old != NULL ? old->guards : NULL, &s->guards, err);
	txn_end(&t);
	if (rc == 0 && (rc = inherit_all(s, old)) < 0)
		(void)err_set(err, rc, "out of memory");
	if (rc < 0)
		snapshot_unref(&s);
	else
		*out = s;
	return rc;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
	if (s != NULL)
		atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void snapshot_unref(struct snapshot **ps)
{
	struct snapshot *s = TAKE(*ps);

	if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; s->filters != NULL && s->table != NULL && i < s->table->count; i++) {
		for (size_t k = 0; s->filters[i] != NULL && k < s->table->d[i].set_count; k++)
			filter_unref(&s->filters[i][k]);
		free(s->filters[i]);
	}
	free(s->filters);
	guards_free(&s->guards);
	if (s->table != NULL)
		served_table_free(&s->table);
	free(s);
}

/* base_paths do not nest, so the first prefix that is one is the one. */
int snapshot_match(const struct snapshot *s, struct slice path, struct slice *rest)
{
	for (size_t i = 1; i <= path.n; i++) {
		int d;

		if (i < path.n && path.p[i] != '/')
			continue;
		d = find(s->table, slice_of(path.p, i));
		if (d >= 0) {
			*rest = i < path.n ? slice_of(path.p + i + 1, path.n - i - 1) : SLICE_NULL;
			return d;
		}
	}
	return -1;
}

size_t snapshot_first_below(const struct snapshot *s, struct slice prefix)
{
	return prefix.n > 0 ? lower_bound(s->table, prefix) : 0;
}
