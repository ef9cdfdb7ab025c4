/* Syncing an archive, distribution by distribution:
 *
 *   what pins it (InRelease, else Release) ── unchanged everywhere ── nothing to do: one conditional request each
 *        └── read it ── fetch and read its indexes, declare packages ── declare all files that it lists
 *
 * One that is unchanged beside another that is not is read again from the store: a mirror keeps what is declared. */
#include "formats/deb/sync_priv.h"

#include "base/check.h"
#include "base/url.h"

#include <stdio.h>
#include <stdlib.h>

int deb_no_memory(struct deb_sync *ds)
{
	return ds->h->fail(ds->s, "no memory for a sync");
}

int deb_bad_file(struct deb_sync *ds, const char *path, int rc)
{
	if (rc == 0 || ds->err.code == 0) /* the host's own errors it knows already */
		return rc;
	return ds->h->fail(ds->s, "'%s' cannot be read: %s", path, ds->err.msg);
}

int deb_url(struct deb_sync *ds, const char *path, char out[DEB_URL_CAP])
{
	return ds->h->sibling_url(ds->s, ds->root, path, out, DEB_URL_CAP);
}

static bool is_set(struct deb_sync *ds, const char *fact)
{
	const char *v = ds->h->get(ds->s, fact);

	return v != NULL && strcmp(v, "true") == 0;
}

/* The remote's URL as a directory: with a slash before its query. */
static int set_root(struct deb_sync *ds)
{
	const char *url = ds->h->get(ds->s, "remote.url");
	size_t n = url != NULL ? strcspn(url, "?") : 0;
	bool slash = n > 0 && url[n - 1] == '/';

	if (url == NULL || strlen(url) + 2 > sizeof(ds->root))
		return ds->h->fail(ds->s, "the remote has no URL, or a very long one");
	(void)snprintf(ds->root, sizeof(ds->root), "%.*s%s%s", (int)n, url, slash ? "" : "/", url + n);
	return 0;
}

static int set_selection(struct deb_sync *ds)
{
	if (words_split(&ds->distributions, ds->h->get(ds->s, "remote.distributions")) != 0 ||
		words_split(&ds->sel.components, ds->h->get(ds->s, "remote.components")) != 0 ||
		words_split(&ds->sel.architectures, ds->h->get(ds->s, "remote.architectures")) != 0)
		return ds->h->fail(ds->s, "the remote names more than %d distributions, components or architectures",
			SELECT_WORDS_MAX);
	if (ds->distributions.count == 0)
		return ds->h->fail(ds->s, "the remote names no distribution");
	ds->sel.sources = is_set(ds, "remote.sync_sources");
	ds->sel.udebs = is_set(ds, "remote.sync_udebs");
	ds->sel.installer = is_set(ds, "remote.sync_installer");
	ds->gpgkey = ds->h->get(ds->s, "remote.gpgkey");
	if (ds->gpgkey != NULL && ds->gpgkey[0] == '\0')
		ds->gpgkey = NULL;
	ds->ignore_missing = is_set(ds, "remote.ignore_missing_package_indices");
	return 0;
}

/* "bookworm": dists/bookworm/; "./" and "x/" of flat repositories: as it is, without the dot. */
static int set_dir(struct deb_sync *ds, struct dist *d, struct slice name)
{
	struct slice dir = name;
	struct err why;

	d->flat = slice_ends(name, SLICE("/"));
	while (slice_starts(dir, SLICE("./")))
		dir = slice_of(dir.p + 2, dir.n - 2);
	if (slice_eq(name, SLICE("/")))
		dir.n = 0;
	if (d->flat && dir.n > 0)
		dir.n--;
	if ((dir.n > 0 || !d->flat) && url_relpath_check(dir, &why) != 0)
		return ds->h->fail(ds->s, "the remote's distribution '%s' is no path: %s", d->name, why.msg);
	(void)snprintf(
		d->dir, sizeof(d->dir), "%s%.*s%s", d->flat ? "" : "dists/", SLICE_ARG(dir), dir.n > 0 ? "/" : "");
	return 0;
}

static int set_dists(struct deb_sync *ds)
{
	int rc = 0;

	ds->dists = calloc(ds->distributions.count, sizeof(*ds->dists));
	if (ds->dists == NULL)
		return deb_no_memory(ds);
	for (size_t i = 0; rc == 0 && i < ds->distributions.count; i++) {
		ds->dists[i].name = slice_dup(ds->distributions.w[i]);
		rc = ds->dists[i].name != NULL ? set_dir(ds, &ds->dists[i], ds->distributions.w[i]) : deb_no_memory(ds);
	}
	return rc;
}

/* Which of the names that the remote wants does this distribution have? */
static void note_names(struct words *wanted, const char *const *have)
{
	for (; *have != NULL; have++) {
		int i = words_find(wanted, slice_str(*have));

		if (i < 0)
			i = words_find(wanted, slice_str(component_dir(*have)));
		if (i >= 0)
			wanted->seen[i] = true;
	}
}

/* A name that no distribution has is a mistake; one that some have not is how archives are. */
static int check_names(struct deb_sync *ds, const struct words *wanted, const char *what)
{
	for (size_t i = 0; i < wanted->count; i++)
		if (!wanted->seen[i] && !slice_eq(wanted->w[i], SLICE("all")))
			return ds->h->fail(ds->s, "no distribution of the remote has the %s '%.*s'", what,
				SLICE_ARG(wanted->w[i]));
	return 0;
}

static int read_dists(struct deb_sync *ds)
{
	bool flat = false;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ds->distributions.count; i++) {
		struct dist *d = &ds->dists[i];

		rc = dist_read(ds, d);
		if (rc != 0)
			break;
		flat |= d->flat;
		note_names(&ds->sel.components, d->release.components);
		note_names(&ds->sel.architectures, d->release.architectures);
	}
	if (rc == 0 && !flat) /* those need not say what they have */
		rc = check_names(ds, &ds->sel.components, "component");
	return rc == 0 && !flat ? check_names(ds, &ds->sel.architectures, "architecture") : rc;
}

static int sync_dists(struct deb_sync *ds)
{
	bool unchanged = true;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ds->distributions.count; i++) {
		rc = dist_fetch(ds, &ds->dists[i]);
		unchanged &= ds->dists[i].unchanged;
	}
	if (rc == 0 && unchanged)
		return ds->h->unchanged(ds->s);
	if (rc == 0)
		rc = read_dists(ds);
	for (size_t i = 0; rc == 0 && i < ds->distributions.count; i++) {
		rc = index_sync(ds, &ds->dists[i]);
		if (rc == 0)
			rc = dist_declare(ds, &ds->dists[i]);
	}
	if (rc == 0)
		ds->h->progress(ds->s, "sync.parsing.packages", "Parsing Packages", ds->packages, ds->packages);
	return rc;
}

int deb_sync(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	struct deb_sync *ds = calloc(1, sizeof(*ds));
	int rc;

	if (ds == NULL)
		return h->fail(s, "no memory for a sync");
	ds->h = h;
	ds->s = s;
	if ((rc = set_root(ds)) == 0 && (rc = set_selection(ds)) == 0 && (rc = set_dists(ds)) == 0)
		rc = sync_dists(ds);
	for (size_t i = 0; ds->dists != NULL && i < ds->distributions.count; i++) {
		dist_fini(&ds->dists[i]);
		free((char *)(uintptr_t)ds->dists[i].name);
	}
	free(ds->dists);
	seen_fini(&ds->seen);
	free(ds);
	return rc;
}
