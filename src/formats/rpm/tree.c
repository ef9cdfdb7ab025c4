/* The repositories of a tree:
 *
 *   .treeinfo ── images ── <variant>/repodata/repomd.xml ── each row, kept ── primary ── each package, lazily
 *
 * Hrefs of a variant may lead up, to the packages of the main repository, but not out of the tree. */
#include "formats/rpm/tree.h"

#include "formats/rpm/primary.h"
#include "formats/rpm/repomd.h"
#include "formats/rpm/rpm_format.h"

#include "base/check.h"
#include "base/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL_CAP 16384
#define PATH_CAP 2048
#define EXTRA_FILES "extra_files.json"

void tree_init(struct tree *t, const struct sluice_sync_host *h, struct sluice_sync *s, const char *base)
{
	*t = (struct tree){.host = h, .sync = s, .base = base, .text = BUF_INIT(TREEINFO_BYTES_MAX)};
}

void tree_fini(struct tree *t)
{
	treeinfo_fini(&t->info);
	buf_fini(&t->text);
	buf_fini(&t->key);
	buf_fini(&t->json);
	hashmap_fini(&t->paths);
}

static int no_memory(struct tree *t)
{
	return t->host->fail(t->sync, "no memory for the tree");
}

static int bad_file(struct tree *t, const char *name, int rc, const struct err *err)
{
	if (rc == -ERR_PARSE || rc == -ERR_LIMIT || rc == -ERR_NOMEM)
		return t->host->fail(t->sync, "%s: %s", name, err->msg[0] != '\0' ? err->msg : err_text(rc));
	return rc;
}

/* ---- is anything new ---- */

static int url_of(struct tree *t, const char *path, char out[URL_CAP])
{
	return t->host->sibling_url(t->sync, t->base, path, out, URL_CAP);
}

static bool ends(const char *z, const char *suffix)
{
	return slice_ends(slice_str(z), slice_str(suffix));
}

static int ask_again(void *arg, const char *url)
{
	struct tree *t = arg;
	struct sluice_fetch what = {.url = url, .if_changed = true, .size = -1};
	struct sluice_fetched got;
	char path[URL_CAP], main_one[URL_CAP];
	int rc = url_of(t, RPM_REPOMD, main_one);

	/* A query, which may hold a key, comes last. */
	(void)snprintf(path, sizeof(path), "%.*s", (int)strcspn(url, "?#"), url);
	if (rc != 0 || strcmp(url, main_one) == 0 ||
		(!ends(path, "/.treeinfo") && !ends(path, "/treeinfo") && !ends(path, "/" RPM_REPOMD)))
		return rc;
	rc = t->host->fetch(t->sync, &what, &got);
	return rc != 0 ? rc : got.status != 304;
}

int tree_changed(struct tree *t)
{
	return t->host->each_seen(t->sync, ask_again, t);
}

/* ---- .treeinfo ---- */

static int take_text(void *arg, const char *p, size_t n)
{
	struct tree *t = arg;

	return buf_add(&t->text, p, n) == 0 ? 0 : bad_file(t, "treeinfo", t->text.failed, &ERR_INIT);
}

/* 1: it is there. What upstream has not got, or hides, is not there; anything else fails, so that a bad moment of upstream's takes nothing away. */
static int fetch_text(struct tree *t, const char *path, struct sluice_fetched *got)
{
	struct sluice_fetch what = {.save_as = path, .optional = true, .size = -1, .take = take_text, .arg = t};
	char url[URL_CAP];
	int rc = url_of(t, path, url);

	buf_reset(&t->text);
	what.url = url;
	if (rc == 0)
		rc = t->host->fetch(t->sync, &what, got);
	if (rc != 0 || got->status == 404 || got->status == 410 || got->status == 403)
		return rc;
	if (got->status != 200)
		return t->host->fail(t->sync, "%s", got->problem);
	/* Some servers answer everything with a page. */
	return t->text.n > 0 && slice_trim(buf_slice(&t->text)).n > 0 && slice_trim(buf_slice(&t->text)).p[0] != '<';
}

int tree_read(struct tree *t)
{
	static const char *const names[] = {".treeinfo", "treeinfo"};
	struct sluice_fetched got;
	struct err err = ERR_INIT;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(names); i++) {
		rc = fetch_text(t, names[i], &got);
		t->name = rc == 1 ? names[i] : NULL;
	}
	if (rc <= 0)
		return rc;
	(void)snprintf(t->sha256, sizeof(t->sha256), "%s", got.sha256);
	rc = bad_file(t, t->name, treeinfo_parse(&t->info, buf_slice(&t->text), &err), &err);
	if (rc == 0)
		t->dir_count = treeinfo_repositories(&t->info, t->dirs, ARRAY_LEN(t->dirs));
	return rc;
}

/* ---- what is declared ---- */

/* 1: it was there. */
static int add_path(struct tree *t, const char *path)
{
	uint64_t *there = hashmap_at(&t->paths, slice_str(path));

	if (there == NULL)
		return t->host->fail(t->sync, "the tree has more files than can be mirrored");
	if (*there != 0)
		return 1;
	*there = 1;
	return 0;
}

int tree_note(struct tree *t, const char *path)
{
	int rc = t->dir_count > 0 ? add_path(t, path) : 0;

	return rc < 0 ? rc : 0;
}

/* ---- repositories of variants ---- */

struct variant {
	struct tree *tree;
	const char *dir;
	struct repomd repomd;
	struct primary primary;
	char file[PATH_CAP]; /* that is being read */
	struct err err;
};

static int declare(struct tree *t, const char *dir, const struct sluice_artifact *a, const char *alg, const char *hex)
{
	struct sluice_unit unit = {.type = RPM_TREE_FILE, .artifacts = a, .artifact_count = 1};

	buf_reset(&t->key);
	buf_reset(&t->json);
	buf_addf(&t->key, "%s\n%s:%s", a->relative_path, alg, hex);
	buf_adds(&t->json, "{\"repository\":");
	rpm_json_text(&t->json, slice_str(dir));
	buf_adds(&t->json, "}");
	if (t->key.failed != 0 || t->json.failed != 0)
		return no_memory(t);
	unit.natural_key = t->key.p;
	unit.extra_json = t->json.p;
	return t->host->unit(t->sync, &unit);
}

/* "AppStream" and "../Packages/a.rpm": "Packages/a.rpm". False: it leaves the tree, or is no path. */
static bool join(const char *dir, const char *href, char out[PATH_CAP])
{
	size_t n = strlen(dir);

	while (strncmp(href, "../", 3) == 0 || strncmp(href, "./", 2) == 0) {
		if (href[1] == '.') {
			if (n == 0)
				return false;
			while (n > 0 && dir[n - 1] != '/')
				n--;
			n -= n > 0;
		}
		href += href[1] == '.' ? 3 : 2;
	}
	return snprintf(out, PATH_CAP, "%.*s%s%s", (int)n, dir, n > 0 ? "/" : "", href) < PATH_CAP &&
	       url_relpath_check(slice_str(out), NULL) == 0;
}

static int take_package(void *arg, const struct rpm_package *p)
{
	struct variant *v = arg;
	struct tree *t = v->tree;
	struct sluice_digest digest = {p->checksum_type.p, p->pkgid.p};
	struct sluice_artifact a = {.size = p->size_package, .digests = &digest, .digest_count = 1};
	char path[PATH_CAP], url[URL_CAP];
	int rc;

	if (p->base.n > 0)
		return t->host->fail(t->sync,
			"%s: '%s' lies at another server (xml:base), which a tree cannot have; skip_types: "
			"[\"treeinfo\"] leaves trees out",
			v->file, p->name.p);
	if (!join(v->dir, p->href.p, path))
		return t->host->fail(
			t->sync, "%s: the location of the package '%s' leaves the tree", v->file, p->name.p);
	rc = add_path(t, path);
	if (rc == 1) {
		t->shares = true;
		return 0;
	}
	if (rc == 0)
		rc = url_of(t, path, url);
	a.relative_path = path;
	a.url = url;
	return rc == 0 ? declare(t, v->dir, &a, p->checksum_type.p, p->pkgid.p) : rc;
}

static int take_primary(void *arg, const char *p, size_t n)
{
	struct variant *v = arg;

	return bad_file(v->tree, v->file, primary_feed(&v->primary, p, n, &v->err), &v->err);
}

static int take_repomd(void *arg, const char *p, size_t n)
{
	struct variant *v = arg;

	return bad_file(v->tree, v->file, repomd_feed(&v->repomd, p, n, &v->err), &v->err);
}

/* Of a file of the variant's that is kept. */
static int declare_kept(struct variant *v, const char *alg, const char *hex)
{
	const struct sluice_artifact a = {.relative_path = v->file, .size = -1, .kept = v->file};
	int rc = add_path(v->tree, v->file);

	if (rc == 1)
		return v->tree->host->fail(v->tree->sync, "the tree has two files '%s'", v->file);
	return rc == 0 ? declare(v->tree, v->dir, &a, alg, hex) : rc;
}

static int fetch_row(struct variant *v, const struct repomd_row *row)
{
	struct tree *t = v->tree;
	struct sluice_digest digest = {row->checksum_type, row->checksum};
	bool is_primary = strcmp(row->type, "primary") == 0;
	struct sluice_fetch what = {.save_as = v->file,
		.size = row->size,
		.digests = &digest,
		.digest_count = 1,
		.open = is_primary,
		.take = is_primary ? take_primary : NULL,
		.arg = v};
	struct sluice_fetched got;
	char url[URL_CAP];
	int rc;

	if ((row->base != NULL && row->base[0] != '\0') || strcmp(row->type, "prestodelta") == 0 ||
		strcmp(row->type, "deltainfo") == 0)
		return t->host->fail(t->sync,
			"the tree's repository '%s' cannot be mirrored: it has files of another server (xml:base) or "
			"delta packages; skip_types: [\"treeinfo\"] leaves trees out",
			v->dir);
	if (url_relpath_check(slice_str(row->href), NULL) != 0 || !join(v->dir, row->href, v->file))
		return t->host->fail(
			t->sync, "the tree's repository '%s' names a file that leaves it: '%.200s'", v->dir, row->href);
	rc = url_of(t, v->file, url);
	what.url = url;
	if (rc == 0)
		rc = t->host->fetch(t->sync, &what, &got);
	if (rc == 0 && got.status != 200)
		rc = t->host->fail(t->sync, "%s", got.problem);
	if (rc == 0 && is_primary)
		rc = bad_file(t, v->file, primary_end(&v->primary, &v->err), &v->err);
	return rc == 0 ? declare_kept(v, row->checksum_type, row->checksum) : rc;
}

/* repomd.xml and what signs it: into v->file. 1: it is there. */
static int fetch_entry(struct variant *v, const char *name, bool read, struct sluice_fetched *got)
{
	struct tree *t = v->tree;
	struct sluice_fetch what = {
		.save_as = v->file, .optional = true, .size = -1, .take = read ? take_repomd : NULL, .arg = v};
	char url[URL_CAP];
	int rc;

	if (!join(v->dir, name, v->file))
		return t->host->fail(t->sync, "the path of the tree's repository '%s' is too long", v->dir);
	rc = url_of(t, v->file, url);
	what.url = url;
	if (rc == 0)
		rc = t->host->fetch(t->sync, &what, got);
	if (rc != 0 || got->status == 404 || got->status == 410 || got->status == 403)
		return rc;
	return got->status == 200 ? 1 : t->host->fail(t->sync, "%s", got->problem);
}

/* Its repomd.xml is there, and read. */
static int sync_rows(struct variant *v, const char *sha256)
{
	static const char *const beside[] = {RPM_REPOMD ".asc", RPM_REPOMD ".key"};
	struct sluice_fetched got;
	int rc = bad_file(v->tree, v->file, repomd_end(&v->repomd, &v->err), &v->err);

	if (rc == 0)
		rc = declare_kept(v, "sha256", sha256);
	for (size_t i = 0; rc == 0 && i < v->repomd.count; i++)
		rc = fetch_row(v, &v->repomd.rows[i]);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(beside); i++) {
		rc = fetch_entry(v, beside[i], false, &got);
		if (rc == 1)
			rc = declare_kept(v, "sha256", got.sha256);
	}
	return rc;
}

static int sync_variant(struct tree *t, const char *dir)
{
	struct variant *v = calloc(1, sizeof(*v));
	struct sluice_fetched got;
	int rc;

	if (v == NULL)
		return no_memory(t);
	v->tree = t;
	v->dir = dir;
	rc = repomd_init(&v->repomd);
	if (rc == 0)
		rc = primary_init(&v->primary, take_package, v);
	if (rc != 0)
		rc = no_memory(t);
	if (rc == 0)
		rc = fetch_entry(v, RPM_REPOMD, true, &got);
	if (rc == 1)
		rc = sync_rows(v, got.sha256);
	else if (rc == 0)
		t->host->progress(t->sync, "sync.skipped.subrepositories",
			"Skipped repositories of the tree that upstream has not got", -1, ++t->skipped);
	repomd_fini(&v->repomd);
	primary_fini(&v->primary);
	free(v);
	return rc;
}

/* ---- the tree itself ---- */

struct images {
	struct tree *tree;
	struct arena arena;
	struct sluice_artifact *all;
	size_t count, cap;
};

static int add_image(void *arg, const char *path, const char *alg, const char *hex)
{
	struct images *im = arg;
	struct tree *t = im->tree;
	struct sluice_digest *digest = NULL;
	char url[URL_CAP];
	int rc;

	if (strcmp(path, t->name) == 0)
		return 0;
	/* A tree may show a package of its own, or call a kernel by two names. */
	rc = t->dir_count > 0 ? add_path(t, path) : 0;
	if (rc == 0)
		rc = url_of(t, path, url);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (im->count == im->cap) {
		struct sluice_artifact *more = realloc(im->all, (im->cap + 64) * sizeof(*more));

		if (more == NULL)
			return no_memory(t);
		im->all = more;
		im->cap += 64;
	}
	if (alg != NULL) {
		digest = arena_alloc(&im->arena, sizeof(*digest));
		if (digest == NULL)
			return no_memory(t);
		*digest = (struct sluice_digest){arena_strdup(&im->arena, slice_str(alg)), hex};
	}
	im->all[im->count] = (struct sluice_artifact){.relative_path = path,
		.url = arena_strdup(&im->arena, slice_str(url)),
		.size = -1,
		.digests = digest,
		.digest_count = digest != NULL};
	if (im->all[im->count].url == NULL || (digest != NULL && digest->algorithm == NULL))
		return no_memory(t);
	im->count++;
	return 0;
}

static int declare_tree(struct tree *t, struct images *im)
{
	struct sluice_unit unit = {.type = RPM_TREE, .detail = t->text.p, .detail_size = t->text.n};
	json_t *fields = treeinfo_json(&t->info);
	char *json;
	int rc;

	(void)json_object_set_new(fields, "shares_packages", json_boolean(t->shares));
	json = fields != NULL ? json_dumps(fields, JSON_COMPACT) : NULL;
	json_decref(fields);
	buf_reset(&t->key);
	buf_addf(&t->key, "%s\nsha256:%s%s", t->name, t->sha256, t->shares ? "\nshares packages" : "");
	if (json == NULL || t->key.failed != 0) {
		free(json);
		return no_memory(t);
	}
	unit.natural_key = t->key.p;
	unit.extra_json = json;
	unit.artifacts = im->all;
	unit.artifact_count = im->count;
	rc = t->host->unit(t->sync, &unit);
	free(json);
	return rc;
}

int tree_declare(struct tree *t)
{
	struct images im = {.tree = t};
	struct sluice_artifact own = {.relative_path = t->name, .size = -1, .kept = t->name};
	int rc = 0;

	if (t->name == NULL)
		return 0;
	for (size_t i = 0; rc == 0 && i < t->dir_count; i++)
		rc = sync_variant(t, t->dirs[i]);
	if (rc != 0)
		return rc;
	arena_init(&im.arena, (size_t)64 << 20);
	im.all = malloc(64 * sizeof(*im.all));
	if (im.all != NULL) {
		im.cap = 64;
		im.all[im.count++] = own;
		rc = treeinfo_files(&t->info, add_image, &im);
		if (rc == 0)
			rc = declare_tree(t, &im);
	} else {
		rc = no_memory(t);
	}
	free(im.all);
	arena_fini(&im.arena);
	return rc;
}

/* ---- extra_files.json ---- */

/* {"data": [{"file": "EULA", "checksums": {"sha256": "…"}, "size": 8}]} */
static int declare_extra(struct tree *t, const json_t *one)
{
	const char *path = json_string_value(json_object_get(one, "file"));
	const json_t *size = json_object_get(one, "size");
	const char *sum = json_string_value(json_object_get(json_object_get(one, "checksums"), "sha256"));
	struct sluice_digest digest = {"sha256", sum};
	struct sluice_artifact a = {.relative_path = path,
		.size = json_is_integer(size) ? json_integer_value(size) : -1,
		.digests = &digest,
		.digest_count = 1};
	char url[URL_CAP];
	int rc;

	if (path == NULL || sum == NULL || url_relpath_check(slice_str(path), NULL) != 0)
		return t->host->fail(t->sync,
			EXTRA_FILES ": an entry has no sha256, or its file is no path inside of the tree: '%.200s'",
			path != NULL ? path : "");
	rc = add_path(t, path);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = url_of(t, path, url);
	a.url = url;
	return rc == 0 ? declare(t, "", &a, "sha256", sum) : rc;
}

int tree_extra_files(struct tree *t)
{
	const struct sluice_artifact own = {.relative_path = EXTRA_FILES, .size = -1, .kept = EXTRA_FILES};
	struct sluice_fetched got;
	json_error_t why;
	json_t *all, *one;
	size_t i;
	int rc = fetch_text(t, EXTRA_FILES, &got);

	if (rc <= 0)
		return rc;
	all = json_loadb(t->text.p, t->text.n, JSON_REJECT_DUPLICATES, &why);
	if (all == NULL || !json_is_array(json_object_get(all, "data")))
		rc = t->host->fail(t->sync, EXTRA_FILES ": %s", all == NULL ? why.text : "it has no list 'data'");
	else
		rc = declare(t, "", &own, "sha256", got.sha256);
	json_array_foreach(json_object_get(all, "data"), i, one)
	{
		if (rc == 0)
			rc = declare_extra(t, one);
	}
	json_decref(all);
	return rc;
}
