/* See pathset.h. */
#include "content/pathset.h"

#include "base/check.h"

#include <stdatomic.h>
#include <stdlib.h>

#define BITS_PER_PATH 16
#define PROBES 8

struct pathset {
	_Atomic int refs;
	uint64_t mask; /* bits - 1; a power of two */
	uint64_t words[];
};

struct hashes {
	uint64_t *h;
	size_t n, cap;
	char *last; /* the path before: its directories are known already */
	size_t last_n, last_cap;
};

static int hashes_add(struct hashes *hs, struct slice path)
{
	if (hs->n == hs->cap) {
		size_t cap = hs->cap == 0 ? 1024 : hs->cap * 2;
		uint64_t *grown = realloc(hs->h, cap * sizeof(*grown));

		if (grown == NULL)
			return -ERR_NOMEM;
		hs->h = grown;
		hs->cap = cap;
	}
	hs->h[hs->n++] = slice_hash(path);
	return 0;
}

static int remember_path(struct hashes *hs, struct slice path)
{
	if (path.n > hs->last_cap) {
		char *grown = realloc(hs->last, path.n);

		if (grown == NULL)
			return -ERR_NOMEM;
		hs->last = grown;
		hs->last_cap = path.n;
	}
	memcpy(hs->last, path.p, path.n);
	hs->last_n = path.n;
	return 0;
}

/* Paths come in order, so that a directory is new exactly where a path parts from the one before. */
static int each_path(void *arg, struct slice path)
{
	struct hashes *hs = arg;
	size_t same = 0;
	int rc = hashes_add(hs, path);

	while (same < path.n && same < hs->last_n && path.p[same] == hs->last[same])
		same++;
	for (size_t i = same; i < path.n && rc == 0; i++)
		if (path.p[i] == '/')
			rc = hashes_add(hs, slice_of(path.p, i));
	return rc == 0 ? remember_path(hs, path) : rc;
}

static uint64_t probe(uint64_t hash, int i)
{
	return hash + (uint64_t)i * ((hash >> 32 | hash << 32) | 1);
}

int pathset_build(struct txn *t, const struct served_set *set, struct pathset **out, struct err *err)
{
	struct hashes hs = {0};
	struct pathset *p = NULL;
	uint64_t bits = 1024;
	int rc = catalog_paths_each(t, set, each_path, &hs, err);

	if (rc < 0)
		goto out;
	while (bits < hs.n * BITS_PER_PATH)
		bits *= 2;
	p = calloc(1, sizeof(*p) + bits / 8);
	if (p == NULL) {
		rc = err_set(err, -ERR_NOMEM, "filter of %zu paths", hs.n);
		goto out;
	}
	atomic_init(&p->refs, 1);
	p->mask = bits - 1;
	for (size_t k = 0; k < hs.n; k++)
		for (int i = 0; i < PROBES; i++) {
			uint64_t bit = probe(hs.h[k], i) & p->mask;

			p->words[bit / 64] |= UINT64_C(1) << (bit % 64);
		}
	*out = p;
out:
	free(hs.h);
	free(hs.last);
	return rc;
}

struct pathset *pathset_ref(struct pathset *p)
{
	if (p != NULL)
		atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void pathset_unref(struct pathset **pp)
{
	struct pathset *p = TAKE(*pp);

	if (p != NULL && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
		free(p);
}

bool pathset_maybe(const struct pathset *p, struct slice path)
{
	uint64_t hash = slice_hash(path);

	for (int i = 0; i < PROBES; i++) {
		uint64_t bit = probe(hash, i) & p->mask;

		if ((p->words[bit / 64] & UINT64_C(1) << (bit % 64)) == 0)
			return false;
	}
	return true;
}
