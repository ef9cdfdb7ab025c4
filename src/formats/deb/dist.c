/* Release files. InRelease pins everything else of a distribution; where upstream has none, Release does, with its signature
 * beside it. Both are kept for clients that ask for either, if they say the same. */
#include "formats/deb/sync_priv.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/gpgv.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct small {
	struct deb_sync *ds;
	const char *path;
	struct buf *into;
};

static int take_piece(void *arg, const char *p, size_t n)
{
	struct small *f = arg;
	int rc = buf_add(f->into, p, n);

	if (rc == -ERR_LIMIT)
		return f->ds->h->fail(f->ds->s, "'%s' is larger than %zu bytes", f->path, RELEASE_MAX);
	return rc == 0 ? 0 : deb_no_memory(f->ds);
}

static void path_in(const struct dist *d, const char *name, char out[DEB_PATH_CAP])
{
	(void)snprintf(out, DEB_PATH_CAP, "%s%s", d->dir, name); /* the directory is no longer than half of it */
}

/* A file of a few hundred kilobytes, into memory and kept. `sha256`: what it must be; NULL: what comes. */
static int fetch_small(struct deb_sync *ds, const struct dist *d, const char *name, const char *sha256, bool if_changed,
	struct buf *into, struct sluice_fetched *out)
{
	char path[DEB_PATH_CAP], url[DEB_URL_CAP];
	struct small small = {ds, path, into};
	struct sluice_digest digest = {.algorithm = "sha256", .hex = sha256};
	struct sluice_fetch what = {
		.url = url,
		.if_changed = if_changed,
		.save_as = path,
		.size = -1,
		.digests = &digest,
		.digest_count = sha256 != NULL,
		.take = take_piece,
		.arg = &small,
	};
	int rc;

	path_in(d, name, path);
	buf_fini(into);
	*into = BUF_INIT(RELEASE_MAX);
	rc = deb_url(ds, path, url);
	return rc == 0 ? ds->h->fetch(ds->s, &what, out) : rc;
}

int dist_fetch(struct deb_sync *ds, struct dist *d)
{
	struct sluice_fetched got = {.status = 0};
	char path[DEB_PATH_CAP];
	int rc = fetch_small(ds, d, "InRelease", NULL, true, &d->file, &got);

	d->clear_signed = got.status == 200 || got.status == 304;
	if (rc == 0 && !d->clear_signed)
		rc = fetch_small(ds, d, "Release", NULL, true, &d->file, &got);
	if (rc != 0)
		return rc;
	path_in(d, "Release", path);
	if (got.status != 200 && got.status != 304)
		return ds->h->fail(
			ds->s, "distribution '%.200s' has neither InRelease nor Release: %s", d->name, got.problem);
	d->unchanged = got.status == 304;
	memcpy(d->sha256, got.sha256, sizeof(d->sha256));
	return 0;
}

/* The text that one of the remote's keys has signed, or, without keys, what is there. */
static int read_text(struct deb_sync *ds, struct dist *d)
{
	d->text = BUF_INIT(RELEASE_MAX);
	if (ds->gpgkey != NULL && !d->clear_signed && d->signature.n == 0)
		return err_set(&ds->err, -ERR_DENIED, "there is no Release.gpg with its signature");
	/* A file that holds more than its signed text is refused before gpgv sees it. */
	if (ds->gpgkey != NULL && d->clear_signed && !slice_starts(buf_slice(&d->file), SLICE("-----BEGIN PGP SIGNED")))
		return err_set(&ds->err, -ERR_DENIED, "it is not signed");
	if (ds->gpgkey != NULL && d->clear_signed) {
		struct buf strict = BUF_INIT(RELEASE_MAX);
		int rc = release_signed_text(buf_slice(&d->file), &strict, &ds->err);

		buf_fini(&strict);
		if (rc != 0)
			return rc;
	}
	if (ds->gpgkey != NULL) {
		int rc = gpgv_verify(
			slice_str(ds->gpgkey), buf_slice(&d->file), buf_slice(&d->signature), &d->text, &ds->err);

		return rc == -ERR_PARSE ? err_wrap(&ds->err, "the remote's gpgkey") : rc;
	}
	if (d->clear_signed)
		return release_signed_text(buf_slice(&d->file), &d->text, &ds->err);
	return buf_add_slice(&d->text, buf_slice(&d->file)) == 0 ? 0 : deb_no_memory(ds);
}

int dist_read(struct deb_sync *ds, struct dist *d)
{
	const char *name = d->clear_signed ? "InRelease" : "Release";
	struct sluice_fetched got;
	char path[DEB_PATH_CAP];
	int rc = 0;

	path_in(d, name, path);
	/* As it was; saved with the last version, as a rule, and then no request. */
	if (d->unchanged)
		rc = fetch_small(ds, d, name, d->sha256, false, &d->file, &got);
	if (rc == 0 && d->unchanged && got.status != 200)
		rc = ds->h->fail(ds->s, "%s", got.problem);
	if (rc == 0 && !d->clear_signed) {
		rc = fetch_small(ds, d, "Release.gpg", NULL, false, &d->signature, &got);
		(void)snprintf(d->signature_sha256, sizeof(d->signature_sha256), "%s", got.sha256);
	}
	if (rc != 0)
		return rc;
	rc = read_text(ds, d);
	if (rc == 0) {
		d->parsed = true;
		rc = release_parse(buf_slice(&d->text), &d->release, &ds->err);
	}
	/* Who checks signatures does so against replays as well: an old Release has a good one. */
	if (rc == 0 && ds->gpgkey != NULL && d->release.valid_until_s != 0 &&
		d->release.valid_until_s < clock_wall_us() / US_PER_S)
		rc = err_set(&ds->err, -ERR_DENIED, "its Valid-Until has passed");
	return deb_bad_file(ds, path, rc);
}

/* ---- declaring ---- */

struct parts {
	struct sluice_artifact artifacts[3];
	char paths[3][DEB_PATH_CAP];
	struct sluice_digest digests[3];
	char sha256[3][65];
	size_t count;
};

static void add_part(struct parts *p, const struct dist *d, const char *name, const char *sha256, int64_t size)
{
	size_t i = p->count++;

	path_in(d, name, p->paths[i]);
	(void)snprintf(p->sha256[i], sizeof(p->sha256[i]), "%s", sha256);
	p->digests[i] = (struct sluice_digest){.algorithm = "sha256", .hex = p->sha256[i]};
	/* No URL: what is there by now is something else as soon as upstream changes. */
	p->artifacts[i] = (struct sluice_artifact){
		.relative_path = p->paths[i],
		.size = size,
		.digests = &p->digests[i],
		.digest_count = 1,
		.kept = p->paths[i],
	};
}

static bool same_text(struct slice a, struct slice b)
{
	return slice_eq(slice_trim(a), slice_trim(b));
}

/* Release, when it says what InRelease says, and its signature. */
static int add_detached(struct deb_sync *ds, struct dist *d, struct parts *p)
{
	struct buf file = BUF_INIT(0);
	struct sluice_fetched got;
	int rc = 0;

	if (!d->clear_signed) {
		if (d->signature.n > 0)
			add_part(p, d, "Release.gpg", d->signature_sha256, (int64_t)d->signature.n);
		return 0;
	}
	rc = fetch_small(ds, d, "Release", NULL, false, &file, &got);
	if (rc != 0 || got.status != 200 || !same_text(buf_slice(&file), buf_slice(&d->text)))
		goto out;
	add_part(p, d, "Release", got.sha256, got.size);
	rc = fetch_small(ds, d, "Release.gpg", NULL, false, &file, &got);
	if (rc == 0 && got.status == 200)
		add_part(p, d, "Release.gpg", got.sha256, got.size);
out:
	buf_fini(&file);
	return rc;
}

static char *extra_of(const struct dist *d)
{
	json_t *o = json_pack("{s:s, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:s, s:I}", "distribution", d->name, "origin",
		d->release.origin, "label", d->release.label, "version", d->release.version, "description",
		d->release.description, "codename", d->release.codename, "suite", d->release.suite, "sha256", d->sha256,
		"size", (json_int_t)d->file.n);
	char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	return text;
}

int dist_declare(struct deb_sync *ds, struct dist *d)
{
	struct parts p = {.count = 0};
	struct buf key = BUF_INIT(0);
	struct sluice_unit unit = {.type = DEB_RELEASE_FILE, .artifacts = p.artifacts};
	char *extra = extra_of(d);
	int rc;

	add_part(&p, d, d->clear_signed ? "InRelease" : "Release", d->sha256, (int64_t)d->file.n);
	rc = add_detached(ds, d, &p);
	if (rc != 0)
		goto out;
	buf_adds(&key, d->dir);
	for (size_t i = 0; i < p.count; i++)
		buf_addf(&key, "\n%s", p.sha256[i]);
	if (key.failed != 0 || extra == NULL) {
		rc = deb_no_memory(ds);
		goto out;
	}
	unit.natural_key = key.p;
	unit.extra_json = extra;
	unit.artifact_count = p.count;
	rc = ds->h->unit(ds->s, &unit);
	ds->releases++;
	ds->h->progress(ds->s, "update.release_file", "Update ReleaseFile units", (int64_t)ds->distributions.count,
		ds->releases);
out:
	buf_fini(&key);
	free(extra);
	return rc;
}

void dist_fini(struct dist *d)
{
	buf_fini(&d->file);
	buf_fini(&d->text);
	buf_fini(&d->signature);
	if (d->parsed)
		release_fini(&d->release);
}
