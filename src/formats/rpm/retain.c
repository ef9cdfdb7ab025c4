/* retain_package_versions: of each name and architecture only the newest versions stay in a version of the repository. Packages of module streams are
 * exempt: streams live beside each other. */
#include "formats/rpm/evr.h"
#include "formats/rpm/rpm_format.h"

#include "base/arena.h"
#include "base/check.h"

#include <stdlib.h>

#define BYTES_MAX ((size_t)512 << 20) /* some hundred bytes for a package */

struct held {
	const char *key; /* natural key */
	struct slice name, arch;
	struct evr evr;
};

struct retaining {
	const struct sluice_settle_host *host;
	struct sluice_settle *settle;
	struct arena arena;
	struct held *all;
	size_t count, cap;
};

static int no_memory(struct retaining *x)
{
	return x->host->fail(x->settle, "no memory to compare the versions of packages");
}

static int hold(void *arg, const char *key, const char *extra_json)
{
	struct retaining *x = arg;
	struct held *h, *more;

	if (strstr(extra_json, ",\"is_modular\":true") != NULL)
		return 0;
	if (x->count == x->cap) {
		more = realloc(x->all, (x->cap * 2 + 256) * sizeof(*more));
		if (more == NULL)
			return no_memory(x);
		x->all = more;
		x->cap = x->cap * 2 + 256;
	}
	h = &x->all[x->count];
	h->key = arena_strdup(&x->arena, slice_str(key));
	if (h->key == NULL)
		return no_memory(x);
	/* What has no version is not compared. */
	x->count += evr_of_nevra(slice_of(h->key, strcspn(h->key, "\n")), &h->name, &h->arch, &h->evr);
	return 0;
}

static int compare_texts(struct slice a, struct slice b)
{
	int c = memcmp(a.p, b.p, MIN(a.n, b.n));

	return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

/* By name and architecture, the newest first. */
static int compare(const void *pa, const void *pb)
{
	const struct held *a = pa, *b = pb;
	int c = compare_texts(a->name, b->name);

	if (c == 0)
		c = compare_texts(a->arch, b->arch);
	return c != 0 ? c : evr_compare(&b->evr, &a->evr);
}

static int drop_old(struct retaining *x, int64_t keep)
{
	int64_t versions = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < x->count; i++) {
		const struct held *h = &x->all[i], *before = i > 0 ? h - 1 : NULL;

		if (before == NULL || !slice_eq(h->name, before->name) || !slice_eq(h->arch, before->arch))
			versions = 1;
		else if (evr_compare(&h->evr, &before->evr) != 0)
			versions++;
		if (versions > keep)
			rc = x->host->drop(x->settle, RPM_PACKAGE, h->key);
	}
	return rc;
}

int64_t rpm_retained(const char *field)
{
	int64_t n;

	return field != NULL && slice_to_i64(slice_str(field), INT32_MAX, &n) == 0 ? n : 0;
}

int rpm_settle(const struct sluice_settle_host *h, struct sluice_settle *s)
{
	int64_t keep = rpm_retained(h->get(s, "repository.retain_package_versions"));
	struct retaining x = {.host = h, .settle = s};
	int rc;

	if (keep == 0)
		return 0;
	arena_init(&x.arena, BYTES_MAX);
	rc = h->each_unit(s, RPM_PACKAGE, hold, &x);
	if (rc == 0 && x.count > 0)
		qsort(x.all, x.count, sizeof(*x.all), compare);
	if (rc == 0)
		rc = drop_old(&x, keep);
	free(x.all);
	arena_fini(&x.arena);
	return rc;
}
