/* The files that a Release lists. Of each index one form is fetched and read, and saved as what clients will ask for; all
 * others, and everything that is not read here, is declared with the size and digests that the Release gives, and deferred
 * where upstream has it under its digest: there it stays after upstream's next update, under its name it does not.
 *
 * A file and its by-hash names are one unit with one set of bytes. */
#include "formats/deb/sync_priv.h"

#include "base/check.h"
#include "formats/deb/package.h"
#include "formats/deb/source.h"
#include "formats/deb/stanza.h"
#include "formats/deb/sums.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define PROGRESS_EVERY 1000

/* The directories below by-hash/, weakest digest first. */
static const struct {
	enum digest_alg alg;
	const char *dir;
} by_hash_dirs[] = {
	{DIGEST_MD5, "MD5Sum"},
	{DIGEST_SHA1, "SHA1"},
	{DIGEST_SHA256, "SHA256"},
	{DIGEST_SHA512, "SHA512"},
};
#define ALIASES ARRAY_LEN(by_hash_dirs)

/* What is read of an index, in this order: by what it costs to download. */
static const char *const forms[] = {".xz", ".zst", ".gz", ".bz2", ""};

struct indexing {
	struct deb_sync *ds;
	struct dist *d;
	bool *kept;   /* of each file of the Release: it was fetched, and is declared */
	bool by_hash; /* upstream has files under their digests */
	/* of the index that is being read: */
	const char *path;
	const char *unit_type, *component;
	bool sources;
	struct buf *sums; /* it is no index, but a list of an installer's files: its text; else NULL */
	struct stanza_parser parser;
};

static bool has(const struct release_file *f, enum digest_alg alg)
{
	return (f->digests.have & (1u << alg)) != 0;
}

/* ---- names ---- */

static size_t dir_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

static void full_path(const struct dist *d, const char *path, char out[DEB_PATH_CAP])
{
	(void)snprintf(out, DEB_PATH_CAP, "%s%s", d->dir, path); /* both are bounded to half of it */
}

/* 0: the Release has no digest of that kind for it. */
static bool alias_path(const struct dist *d, const struct release_file *f, size_t i, char out[DEB_PATH_CAP])
{
	char hex[DIGEST_HEX_MAX];

	if (!has(f, by_hash_dirs[i].alg))
		return false;
	(void)digest_hex(by_hash_dirs[i].alg, f->digests.d[by_hash_dirs[i].alg], hex);
	return snprintf(out, DEB_PATH_CAP, "%s%.*sby-hash/%s/%s", d->dir, (int)dir_length(f->path), f->path,
		       by_hash_dirs[i].dir, hex) < DEB_PATH_CAP;
}

/* Where upstream has it under its digest. Archives that list several kinds have at least SHA256 there: Debian's has no other. */
static bool best_alias(const struct dist *d, const struct release_file *f, char out[DEB_PATH_CAP])
{
	static const enum digest_alg order[] = {DIGEST_SHA256, DIGEST_SHA512, DIGEST_SHA1, DIGEST_MD5};

	for (size_t n = 0; n < ARRAY_LEN(order); n++)
		for (size_t i = 0; i < ALIASES; i++)
			if (by_hash_dirs[i].alg == order[n] && alias_path(d, f, i, out))
				return true;
	return false;
}

static const char *component_of(const struct release *r, const char *path)
{
	for (const char *const *c = r->components; *c != NULL; c++) {
		const char *dir = component_dir(*c);
		size_t n = strlen(dir);

		if (strncmp(path, dir, n) == 0 && path[n] == '/')
			return *c;
	}
	return NULL;
}

static size_t digests_of(const struct digests *ds, struct sluice_digest *out, char (*hex)[DIGEST_HEX_MAX])
{
	size_t n = 0;

	for (int alg = 0; alg < DIGEST_COUNT; alg++) {
		if ((ds->have & (1u << alg)) == 0)
			continue;
		out[n] = (struct sluice_digest){.algorithm = digest_name((enum digest_alg)alg), .hex = hex[n]};
		(void)digest_hex((enum digest_alg)alg, ds->d[alg], hex[n]);
		n++;
	}
	return n;
}

/* ---- reading packages ---- */

static int refuse(struct indexing *x, int rc)
{
	return deb_bad_file(x->ds, x->path, rc);
}

/* Its fields are only looked at when it is not as the last sync found it. */
static int declare_package(struct indexing *x, const struct stanza *s, struct package *p, struct err *err)
{
	struct deb_sync *ds = x->ds;
	char url[DEB_URL_CAP];
	struct sluice_artifact artifact = {
		.relative_path = p->path,
		.url = url,
		.size = p->size,
		.digests = p->digest,
		.digest_count = p->digest_count,
	};
	struct sluice_unit unit = {
		.type = x->unit_type,
		.natural_key = p->key,
		.artifacts = &artifact,
		.artifact_count = 1,
	};
	int rc = deb_url(ds, p->path, url);

	if (rc == 0)
		rc = ds->h->known(ds->s, &unit);
	if (rc == 0) {
		rc = package_fields_read(s, p, err);
		unit.extra_json = p->extra_json;
		rc = rc == 0 ? ds->h->unit(ds->s, &unit) : rc;
	}
	if (rc >= 0 && ++ds->packages % PROGRESS_EVERY == 0)
		ds->h->progress(ds->s, "sync.parsing.packages", "Parsing Packages", -1, ds->packages);
	return MIN(rc, 0);
}

/* That the package is in this component, once for all architectures. */
static int declare_member(struct indexing *x, const struct package *p)
{
	struct deb_sync *ds = x->ds;
	const char *distribution = x->d->flat ? DEB_FLAT_DISTRIBUTION : x->d->name,
		   *component = x->d->flat ? DEB_FLAT_COMPONENT : x->component;
	struct buf key = BUF_INIT(0);
	struct sluice_unit unit = {.type = DEB_MEMBER};
	char *extra = NULL;
	int rc, known;

	if (component == NULL) /* a Release that does not name its components */
		return 0;
	package_member_key(p->path, p->identity, distribution, component, &key);
	rc = key.failed == 0 ? seen_add(&ds->seen, key.p, "") : -ERR_NOMEM;
	unit.natural_key = key.p;
	known = rc == 1 ? ds->h->known(ds->s, &unit) : 0;
	if (rc == 1 && known == 0) {
		extra = package_member_json(p->path, distribution, component);
		unit.extra_json = extra;
		rc = extra != NULL ? ds->h->unit(ds->s, &unit) : -ERR_NOMEM;
	}
	if (rc == -ERR_NOMEM)
		rc = deb_no_memory(ds);
	free(extra);
	buf_fini(&key);
	return known < 0 ? known : MIN(rc, 0);
}

static int take_stanza(void *arg, const struct stanza *s, struct err *err)
{
	struct indexing *x = arg;
	struct package p;
	int rc = package_parse(s, &p, err);

	if (rc != 0)
		goto out;
	rc = seen_add(&x->ds->seen, p.path, p.identity);
	if (rc == -ERR_EXISTS)
		rc = err_set(err, -ERR_PARSE, "the stanza in line %lld has the Filename of another package",
			(long long)s->line);
	else if (rc == -ERR_NOMEM)
		rc = err_set(err, rc, "no memory for the list of packages");
	else if (rc == 1)
		rc = declare_package(x, s, &p, err);
	if (rc == 0 && strcmp(x->unit_type, DEB_PACKAGE) == 0)
		rc = declare_member(x, &p);
out:
	package_fini(&p);
	return rc;
}

/* As package.identity. */
static const char *identity_of(const struct sluice_artifact *a)
{
	for (size_t i = 0; i < a->digest_count; i++)
		if (strcmp(a->digests[i].algorithm, "sha256") == 0)
			return a->digests[i].hex;
	return a->digests[a->digest_count - 1].hex;
}

/* A tarball may belong to several source packages: the first of them has it. */
static int declare_source(struct indexing *x, const struct source *p, struct err *err)
{
	struct deb_sync *ds = x->ds;
	struct sluice_artifact *artifacts = calloc(p->count, sizeof(*artifacts));
	struct source_names {
		char url[DEB_URL_CAP], hex[DIGEST_COUNT][DIGEST_HEX_MAX];
		struct sluice_digest digests[DIGEST_COUNT];
	} *names = calloc(p->count, sizeof(*names));
	struct sluice_unit unit = {
		.type = DEB_SOURCE, .natural_key = p->key, .extra_json = p->extra_json, .artifacts = artifacts};
	struct buf key = BUF_INIT(0);
	int rc = 0;

	if (artifacts == NULL || names == NULL) {
		free(artifacts);
		free(names);
		return err_set(err, -ERR_NOMEM, "no memory for a source package");
	}

	for (size_t i = 0; rc >= 0 && i < p->count; i++) {
		struct sluice_artifact *a = &artifacts[unit.artifact_count];
		struct source_names *n = &names[unit.artifact_count];

		a->relative_path = p->files[i].path;
		a->url = n->url;
		a->size = p->files[i].size;
		a->digests = n->digests;
		a->digest_count = digests_of(&p->files[i].digests, n->digests, n->hex);
		rc = deb_url(ds, a->relative_path, n->url);
		if (rc == 0)
			rc = seen_add(&ds->seen, a->relative_path, identity_of(a));
		if (rc == 1)
			unit.artifact_count++;
	}
	if (rc == -ERR_EXISTS)
		rc = err_set(err, -ERR_PARSE, "it gives '%.200s' two sets of bytes",
			artifacts[unit.artifact_count].relative_path);
	if (rc >= 0 && unit.artifact_count > 0) {
		rc = buf_addf(&key, "%s\n%zu", p->key, unit.artifact_count) == 0 ? 0 : deb_no_memory(ds);
		unit.natural_key = key.p;
		if (rc == 0)
			rc = ds->h->unit(ds->s, &unit);
		ds->packages++;
	}
	buf_fini(&key);
	free(names);
	free(artifacts);
	return MIN(rc, 0);
}

static int take_source(void *arg, const struct stanza *s, struct err *err)
{
	struct source p;
	int rc = source_parse(s, &p, err);

	if (rc == 0)
		rc = declare_source(arg, &p, err);
	source_fini(&p);
	return rc;
}

static int take_piece(void *arg, const char *p, size_t n)
{
	struct indexing *x = arg;

	if (x->sums != NULL && buf_add(x->sums, p, n) != 0)
		return x->ds->h->fail(x->ds->s, "'%s' is larger than %zu bytes", x->path, SUMS_MAX);
	return x->sums != NULL ? 0 : refuse(x, stanza_feed(&x->parser, p, n, &x->ds->err));
}

/* ---- declaring files ---- */

static const char *type_of(const char *path)
{
	switch (select_kind(path)) {
	case DEB_PACKAGES:
		return DEB_PACKAGE_INDEX;
	case DEB_SOURCES:
		return DEB_SOURCE_INDEX;
	case DEB_INSTALLER:
		return DEB_INSTALLER_INDEX;
	default:
		return DEB_GENERIC;
	}
}

static const char *architecture_of(const struct release *r, const char *path)
{
	for (const char *const *a = r->architectures; *a != NULL; a++) {
		const char *at = strstr(path, "/binary-");
		size_t n = strlen(*a);

		if (at != NULL && strncmp(at + 8, *a, n) == 0 && at[8 + n] == '/')
			return *a;
	}
	return NULL;
}

static char *extra_of(const struct indexing *x, const struct release_file *f)
{
	const struct release *r = &x->d->release;
	char sha256[DIGEST_HEX_MAX];
	json_t *o;
	char *text;

	if (has(f, DIGEST_SHA256))
		(void)digest_hex(DIGEST_SHA256, f->digests.d[DIGEST_SHA256], sha256);
	o = json_pack("{s:s, s:s*, s:s*, s:s*, s:I}", "distribution", x->d->name, "component", component_of(r, f->path),
		"architecture", architecture_of(r, f->path), "sha256", has(f, DIGEST_SHA256) ? sha256 : NULL, "size",
		(json_int_t)f->size);
	text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	return text;
}

struct names {
	char path[ALIASES + 1][DEB_PATH_CAP];
	struct sluice_artifact artifacts[ALIASES + 1];
	size_t count;
};

static void add_name(struct names *n, const struct sluice_artifact *like)
{
	n->artifacts[n->count] = *like;
	n->artifacts[n->count].relative_path = n->path[n->count];
	n->count++;
}

/* The file under its name, and under its digests unless another file of its directory with the same bytes has them. */
static int add_names(
	struct indexing *x, const struct release_file *f, const struct sluice_artifact *like, struct names *n)
{
	int rc;

	full_path(x->d, f->path, n->path[0]);
	add_name(n, like);
	for (size_t i = 0; x->d->release.by_hash && i < ALIASES; i++) {
		if (!alias_path(x->d, f, i, n->path[n->count]))
			continue;
		rc = seen_add(&x->ds->seen, n->path[n->count], "");
		if (rc < 0)
			return deb_no_memory(x->ds);
		if (rc == 1)
			add_name(n, like);
	}
	return 0;
}

static int declare_file(struct indexing *x, const struct release_file *f, bool kept)
{
	struct deb_sync *ds = x->ds;
	char url[DEB_URL_CAP], path[DEB_PATH_CAP], own[DEB_PATH_CAP], hex[DIGEST_COUNT][DIGEST_HEX_MAX];
	struct sluice_digest digests[DIGEST_COUNT];
	size_t count = digests_of(&f->digests, digests, hex);
	bool stays = x->by_hash && best_alias(x->d, f, path);
	struct sluice_artifact like = {
		.size = f->size,
		.digests = digests,
		.digest_count = count,
		.kept = kept ? own : NULL,
		.never_deferred = !stays && !kept,
	};
	struct names *n = calloc(1, sizeof(*n));
	struct buf key = BUF_INIT(0);
	char *extra = extra_of(x, f);
	struct sluice_unit unit = {.type = type_of(f->path), .extra_json = extra};
	int rc = 0;

	full_path(x->d, f->path, own);
	if (n == NULL || extra == NULL) {
		rc = deb_no_memory(ds);
		goto out;
	}
	if (stays || !kept) {
		rc = deb_url(ds, stays ? path : own, url);
		like.url = url;
	}
	if (rc == 0)
		rc = add_names(x, f, &like, n);
	if (rc != 0)
		goto out;
	buf_addf(&key, "%s\n%s\n%zu", own, digests[count - 1].hex, n->count);
	if (key.failed != 0) {
		rc = deb_no_memory(ds);
		goto out;
	}
	unit.natural_key = key.p;
	unit.artifacts = n->artifacts;
	unit.artifact_count = n->count;
	rc = ds->h->unit(ds->s, &unit);
out:
	buf_fini(&key);
	free(extra);
	free(n);
	return rc;
}

/* ---- fetching an index ---- */

/* *got: upstream had it. `path`: where upstream has it. */
static int fetch_at(struct indexing *x, const struct release_file *f, const char *path, bool *got)
{
	struct deb_sync *ds = x->ds;
	char save_as[DEB_PATH_CAP], url[DEB_URL_CAP], hex[DIGEST_COUNT][DIGEST_HEX_MAX];
	struct sluice_digest digests[DIGEST_COUNT];
	struct sluice_fetch what = {
		.url = url,
		.save_as = save_as,
		.size = f->size,
		.digests = digests,
		.digest_count = digests_of(&f->digests, digests, hex),
		.open = true,
		.take = take_piece,
		.arg = x,
	};
	struct sluice_fetched answer;
	int rc = deb_url(ds, path, url);

	full_path(x->d, f->path, save_as);
	if (rc == 0 && stanza_init(&x->parser, 0, x->sources ? take_source : take_stanza, x) != 0)
		rc = deb_no_memory(ds);
	if (rc != 0)
		return rc;
	x->path = save_as;
	rc = ds->h->fetch(ds->s, &what, &answer);
	*got = rc == 0 && answer.status == 200;
	if (*got)
		rc = refuse(x, stanza_end(&x->parser, &ds->err));
	stanza_fini(&x->parser);
	x->path = NULL;
	return rc;
}

static int fetch_form(struct indexing *x, const struct release_file *f, bool *got)
{
	char path[DEB_PATH_CAP];
	int rc = 0;

	if (x->by_hash && best_alias(x->d, f, path)) {
		rc = fetch_at(x, f, path, got);
		if (rc != 0 || *got)
			return rc;
	}
	full_path(x->d, f->path, path);
	rc = fetch_at(x, f, path, got);
	/* Its Release promises by-hash, and it is not there: a mirror of upstream's that leaves it out. Nothing of it can be deferred then. */
	if (rc == 0 && *got && x->by_hash)
		x->by_hash = false;
	return rc;
}

/* base: "main/binary-amd64/Packages". */
static int read_index(struct indexing *x, const char *base)
{
	struct deb_sync *ds = x->ds;
	char path[DEB_PATH_CAP];
	bool got = false;
	int rc = 0;

	x->component = component_of(&x->d->release, base);
	x->sources = select_kind(base) == DEB_SOURCES;
	x->unit_type = strstr(base, "debian-installer/") != NULL ? DEB_UDEB : DEB_PACKAGE;
	for (size_t i = 0; rc == 0 && !got && i < ARRAY_LEN(forms); i++) {
		const struct release_file *f;

		(void)snprintf(path, sizeof(path), "%s%s", base, forms[i]);
		f = release_find(&x->d->release, path);
		if (f == NULL)
			continue;
		rc = fetch_form(x, f, &got);
		if (rc == 0 && got) {
			x->kept[f - x->d->release.files] = true;
			rc = declare_file(x, f, true);
		}
	}
	if (rc != 0)
		return rc;
	if (!got && !ds->ignore_missing)
		return ds->h->fail(ds->s,
			"upstream has '%s%s' in no form that can be read, although its Release lists it; "
			"ignore_missing_package_indices leaves it out",
			x->d->dir, base);
	if (got)
		ds->h->progress(ds->s, "update.packageindex", "Update PackageIndex units", -1, ++ds->indexes);
	return 0;
}

/* ---- the files of an installer ---- */

struct installer {
	struct indexing *x;
	const struct release_file *list; /* SHA256SUMS */
};

static int take_installer_file(void *arg, struct slice path, const char *sha256)
{
	struct installer *in = arg;
	struct deb_sync *ds = in->x->ds;
	char full[DEB_PATH_CAP], url[DEB_URL_CAP];
	struct sluice_digest digest = {.algorithm = "sha256", .hex = sha256};
	/* Its size is told nowhere. */
	struct sluice_artifact artifact = {
		.relative_path = full, .url = url, .size = -1, .digests = &digest, .digest_count = 1};
	struct sluice_unit unit = {.type = DEB_GENERIC, .artifacts = &artifact, .artifact_count = 1};
	struct buf key = BUF_INIT(0);
	int rc;

	if (snprintf(full, sizeof(full), "%s%.*s%.*s", in->x->d->dir, (int)dir_length(in->list->path), in->list->path,
		    SLICE_ARG(path)) >= (int)sizeof(full))
		return ds->h->fail(ds->s, "a path of the installer is too long");
	rc = seen_add(&ds->seen, full, sha256);
	if (rc == -ERR_EXISTS)
		return ds->h->fail(ds->s, "the installer's file '%s' has two digests", full);
	if (rc == 1 && buf_addf(&key, "%s\n%s", full, sha256) != 0)
		rc = -ERR_NOMEM;
	if (rc == -ERR_NOMEM)
		return deb_no_memory(ds);
	if (rc == 1) {
		unit.natural_key = key.p;
		rc = deb_url(ds, full, url);
		if (rc == 0)
			rc = ds->h->unit(ds->s, &unit);
	}
	buf_fini(&key);
	return rc;
}

static int read_installer(struct indexing *x, size_t i)
{
	struct installer in = {.x = x, .list = &x->d->release.files[i]};
	struct buf text = BUF_INIT(SUMS_MAX);
	char path[DEB_PATH_CAP];
	bool got = false;
	int rc;

	x->sums = &text;
	rc = fetch_form(x, in.list, &got);
	x->sums = NULL;
	full_path(x->d, in.list->path, path);
	if (rc == 0 && got) {
		x->kept[i] = true;
		rc = declare_file(x, in.list, true);
	}
	if (rc == 0 && got) {
		rc = sums_parse(buf_slice(&text), take_installer_file, &in, &x->ds->err);
		rc = deb_bad_file(x->ds, path, rc);
	}
	buf_fini(&text);
	return rc;
}

static bool is_installer_list(const char *path)
{
	return select_kind(path) == DEB_INSTALLER && slice_ends(slice_str(path), SLICE("/SHA256SUMS"));
}

/* ---- all of a distribution ---- */

static bool is_wanted(const struct indexing *x, const struct release_file *f)
{
	return f->digests.have != 0 && select_file(&x->ds->sel, &x->d->release, f->path);
}

/* Is it the first form of its index? Forms lie close together, but for pdiffs between them. */
static bool begins_index(const struct release_file *f, char base[DEB_PATH_CAP])
{
	size_t n = dir_length(f->path);
	char now[DEB_PATH_CAP];

	n += strcspn(f->path + n, ".");
	(void)snprintf(now, sizeof(now), "%.*s", (int)n, f->path);
	if (strcmp(now, base) == 0)
		return false;
	memcpy(base, now, sizeof(now));
	return true;
}

static bool is_index(const char *path)
{
	enum deb_kind kind = select_kind(path);

	return kind == DEB_PACKAGES || kind == DEB_SOURCES;
}

static int read_indexes(struct indexing *x)
{
	const struct release *r = &x->d->release;
	char base[DEB_PATH_CAP] = "";
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->file_count; i++)
		if (is_index(r->files[i].path) && is_wanted(x, &r->files[i]) && begins_index(&r->files[i], base))
			rc = read_index(x, base);
	for (size_t i = 0; rc == 0 && i < r->file_count; i++)
		if (is_installer_list(r->files[i].path) && is_wanted(x, &r->files[i]))
			rc = read_installer(x, i);
	return rc;
}

int index_sync(struct deb_sync *ds, struct dist *d)
{
	const struct release *r = &d->release;
	struct indexing x = {.ds = ds, .d = d, .by_hash = r->by_hash};
	int rc;

	x.kept = calloc(r->file_count + 1, sizeof(*x.kept));
	if (x.kept == NULL)
		return deb_no_memory(ds);
	rc = read_indexes(&x);
	for (size_t i = 0; rc == 0 && i < r->file_count; i++)
		if (!x.kept[i] && is_wanted(&x, &r->files[i]))
			rc = declare_file(&x, &r->files[i], false);
	free(x.kept);
	return rc;
}
