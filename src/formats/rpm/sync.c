/* Reading an upstream: repomd.xml first, then what it lists. All of it is downloaded and verified before a package is declared, so that an upstream
 * that is being published anew at this moment fails the sync, and changes nothing. */
#include "formats/rpm/beside.h"
#include "formats/rpm/detail.h"
#include "formats/rpm/extras.h"
#include "formats/rpm/repomd.h"
#include "formats/rpm/rpm_format.h"
#include "formats/rpm/tree.h"

#include "base/check.h"
#include "base/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL_CAP 16384
#define PROGRESS_EVERY 1000 /* packages */

struct syncing {
	const struct sluice_sync_host *host;
	struct sluice_sync *sync;
	char base[URL_CAP]; /* of the repository, as sibling_url takes it */
	bool verbatim; /* upstream's metadata is served; else publications have their own, and need file lists and changelogs */
	bool no_source, no_tree; /* skip_types: srpm, treeinfo */
	bool refetch;            /* repomd.xml is needed although it is unchanged */
	bool whole;              /* no package is taken for known */
	bool again;              /* packages have to be read once more, whole */
	struct repomd repomd;
	struct primary primary;
	struct beside filelists, other;
	struct detail *pack;
	struct tree tree;
	struct extras extras;
	const struct repomd_row *read[EXTRA_COUNT + 1]; /* rows that are read already */
	struct buf json, key, detail;
	struct err err;
};

/* What a parser says becomes the task's error; what the host refused is noted already. */
static int bad_file(struct syncing *s, const char *name, int rc)
{
	if (rc == -ERR_PARSE || rc == -ERR_LIMIT || rc == -ERR_NOMEM)
		return s->host->fail(s->sync, "%s: %s", name, s->err.msg[0] != '\0' ? s->err.msg : err_text(rc));
	return rc;
}

/* ---- URLs ---- */

/* remote.url with a slash at the end of its path. */
static int set_base(struct syncing *s)
{
	const char *url = s->host->get(s->sync, "remote.url");
	size_t path = strcspn(url, "?#");
	bool slash = path > 0 && url[path - 1] == '/';
	const char *query = strncmp(url, "file:", 5) == 0 ? "" : url + path;

	if (query[0] == '\0')
		path = strlen(url);
	if (snprintf(s->base, sizeof(s->base), "%.*s%s%s", (int)path, url, slash ? "" : "/", query) >=
		(int)sizeof(s->base))
		return s->host->fail(s->sync, "the remote's URL is too long");
	return 0;
}

static int url_of(struct syncing *s, const char *href, char out[URL_CAP])
{
	struct err why;

	if (url_relpath_check(slice_str(href), &why) != 0)
		return s->host->fail(
			s->sync, "upstream's metadata names a file that leaves the repository: %s", why.msg);
	return s->host->sibling_url(s->sync, s->base, href, out, URL_CAP);
}

/* Goes up one directory: cuts "dir/" off the path of `base`, which ends in a slash (a query behind it is dropped). False: it is the top. */
static bool go_up(char *base)
{
	char *path = strstr(base, "://"), *end;

	base[strcspn(base, "?#")] = '\0';
	path = path != NULL ? strchr(path + 3, '/') : NULL;
	end = base + strlen(base) - 1;
	if (path == NULL || end <= path)
		return false;
	do
		end--;
	while (*end != '/');
	end[1] = '\0';
	return true;
}

/* Where a package is that may lie beside the repository or at another server. */
static int package_url(struct syncing *s, const struct rpm_package *p, char out[URL_CAP])
{
	const char *href = p->href.p;
	char base[URL_CAP];

	if (p->base.n == 0) {
		(void)snprintf(base, sizeof(base), "%s", s->base);
	} else {
		/* A server must not make us read our own files. */
		if (strncmp(p->base.p, "http://", 7) != 0 && strncmp(p->base.p, "https://", 8) != 0)
			return s->host->fail(
				s->sync, "the package '%s' lies at an address that is not http or https", p->name.p);
		(void)snprintf(base, sizeof(base), "%s%s", p->base.p, p->base.p[p->base.n - 1] == '/' ? "" : "/");
	}
	while (strncmp(href, "../", 3) == 0 || strncmp(href, "./", 2) == 0) {
		if (href[1] == '.' && !go_up(base))
			return s->host->fail(
				s->sync, "the location of the package '%s' leads out of the server", p->name.p);
		href += href[1] == '.' ? 3 : 2;
	}
	return s->host->sibling_url(s->sync, base, href, out, URL_CAP);
}

/* ---- metadata files ---- */

static void add_member(struct buf *b, const char *name, const char *value)
{
	buf_addf(b, "%s\"%s\":", b->n > 1 ? "," : "", name);
	rpm_json_text(b, slice_str(value));
}

/* A fetched file as a unit at a path: upstream's for a complete mirror, else one that the next of its type takes over. */
static int declare_file(struct syncing *s, const struct repomd_row *row, const char *path)
{
	struct sluice_artifact artifact = {.relative_path = path, .size = -1, .kept = row->href};
	struct sluice_unit unit = {.type = RPM_METADATA_FILE, .artifacts = &artifact, .artifact_count = 1};

	buf_reset(&s->key);
	buf_reset(&s->json);
	buf_addf(&s->key, "%s\n%s:%s\n%s", row->type, row->checksum_type, row->checksum, path);
	buf_adds(&s->json, "{");
	add_member(&s->json, "data_type", row->type);
	add_member(&s->json, "checksum_type", row->checksum_type);
	add_member(&s->json, "checksum", row->checksum);
	add_member(&s->json, "location_href", row->href);
	add_member(&s->json, "open_checksum_type", row->open_checksum_type);
	add_member(&s->json, "open_checksum", row->open_checksum);
	if (row->open_size >= 0)
		buf_addf(&s->json, ",\"open_size\":%lld", (long long)row->open_size);
	if (strcmp(row->type, "repomd") == 0)
		buf_addf(&s->json, ",\"packages\":%lld,\"notes\":%zu", (long long)s->primary.packages,
			s->extras.ids.count);
	buf_adds(&s->json, "}");
	if (s->json.failed != 0 || s->key.failed != 0)
		return s->host->fail(s->sync, "no memory for a metadata file");
	unit.natural_key = s->key.p;
	unit.extra_json = s->json.p;
	return s->host->unit(s->sync, &unit);
}

static int fetch_row(struct syncing *s, const struct repomd_row *row, int (*take)(void *arg, const char *p, size_t n))
{
	struct sluice_digest digest = {row->checksum_type, row->checksum};
	struct sluice_fetch what = {.save_as = row->href,
		.size = row->size,
		.digests = &digest,
		.digest_count = 1,
		.open = take != NULL,
		.take = take,
		.arg = s};
	struct sluice_fetched got;
	char url[URL_CAP];
	int rc = url_of(s, row->href, url);

	if (rc != 0)
		return rc;
	what.url = url;
	rc = s->host->fetch(s->sync, &what, &got);
	if (rc == 0 && got.status != 200)
		rc = s->host->fail(s->sync, "%s", got.problem);
	return rc;
}

static int take_repomd(void *arg, const char *p, size_t n)
{
	struct syncing *s = arg;

	return bad_file(s, RPM_REPOMD, repomd_feed(&s->repomd, p, n, &s->err));
}

/* 1: nothing is new. */
static int read_repomd(struct syncing *s, bool optional, struct sluice_fetched *got)
{
	struct sluice_fetch what = {.if_changed = !s->refetch,
		.save_as = RPM_REPOMD,
		.optional = optional,
		.size = -1,
		.take = take_repomd,
		.arg = s};
	char url[URL_CAP];
	int rc = url_of(s, RPM_REPOMD, url);

	what.url = url;
	if (rc == 0)
		rc = s->host->fetch(s->sync, &what, got);
	if (rc != 0)
		return rc;
	if (got->status == 304)
		return 1;
	if (got->status != 200)
		return optional ? 0 : s->host->fail(s->sync, "%s", got->problem);
	return bad_file(s, RPM_REPOMD, repomd_end(&s->repomd, &s->err));
}

/* ---- mirror lists ---- */

#define LIST_BYTES ((size_t)256 << 10)
#define LIST_TRIED 8 /* mirrors, before the sync gives up */

static int take_list(void *arg, const char *p, size_t n)
{
	/* More is no list of mirrors, and not looked at. */
	return buf_add(arg, p, n) != 0 ? -ERR_LIMIT : 0;
}

/* The remote's URL may be that of a list, one mirror a line: the first that has a repository is used, and no other. */
static int try_mirrors(struct syncing *s, struct slice list, struct sluice_fetched *got)
{
	int tried = 0, rc = 0;

	while (list.n > 0 && tried < LIST_TRIED && got->status != 200) {
		struct slice line = slice_trim(slice_cut(&list, '\n'));

		if (!slice_starts(line, SLICE("http://")) && !slice_starts(line, SLICE("https://")))
			continue;
		if (snprintf(s->base, sizeof(s->base), "%.*s%s", SLICE_ARG(line),
			    line.p[line.n - 1] == '/' ? "" : "/") >= (int)sizeof(s->base))
			continue;
		tried++;
		rc = read_repomd(s, true, got);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int find_repomd(struct syncing *s, struct sluice_fetched *got)
{
	struct buf list = BUF_INIT(LIST_BYTES);
	struct sluice_fetch what = {.url = s->host->get(s->sync, "remote.url"),
		.optional = true,
		.size = -1,
		.take = take_list,
		.arg = &list};
	struct sluice_fetched listed;
	char problem[sizeof(got->problem)];
	int rc = read_repomd(s, true, got);

	if (rc != 0 || got->status == 200)
		return rc;
	(void)snprintf(problem, sizeof(problem), "%s", got->problem);
	/* What answers a URL that ends in a slash is a listing of a directory. */
	if (what.url[strlen(what.url) - 1] != '/') {
		rc = s->host->fetch(s->sync, &what, &listed);
		if (rc == 0 && listed.status == 200)
			rc = try_mirrors(s, buf_slice(&list), got);
	}
	buf_fini(&list);
	return rc != 0 || got->status == 200 ? rc : s->host->fail(s->sync, "%s", problem);
}

/* What a mirror that is served byte for byte cannot have: files of other servers, and packages that no index of ours names. */
static int check_verbatim(struct syncing *s)
{
	for (size_t i = 0; i < s->repomd.count; i++) {
		const struct repomd_row *row = &s->repomd.rows[i];

		if (row->base != NULL && row->base[0] != '\0')
			return s->host->fail(s->sync,
				"mirror_complete cannot be used: '%s' lies at another server (xml:base); use "
				"mirror_content_only",
				row->type);
		if (strcmp(row->type, "prestodelta") == 0 || strcmp(row->type, "deltainfo") == 0)
			return s->host->fail(s->sync,
				"mirror_complete cannot be used: upstream has delta packages ('%s'), which are not "
				"mirrored; use "
				"mirror_content_only",
				row->type);
	}
	return 0;
}

/* repomd.xml.asc and such: there or not. A moment in which upstream cannot say must not make a mirror without a signature. */
static int fetch_beside(struct syncing *s, const char *path)
{
	struct sluice_fetch what = {.save_as = path, .optional = true, .size = -1};
	struct repomd_row row = {
		.type = strrchr(path, '/') + 1, .href = path, .checksum_type = "sha256", .open_size = -1};
	struct sluice_fetched got;
	char url[URL_CAP];
	int rc = url_of(s, path, url);

	what.url = url;
	if (rc == 0)
		rc = s->host->fetch(s->sync, &what, &got);
	row.checksum = got.sha256;
	if (rc != 0 || got.status == 404 || got.status == 410 || got.status == 403)
		return rc;
	return got.status == 200 ? declare_file(s, &row, path) : s->host->fail(s->sync, "%s", got.problem);
}

/* ---- packages ---- */

static void report(struct syncing *s)
{
	s->host->progress(
		s->sync, "sync.parsing.packages", "Parsed Packages", s->primary.declared, s->primary.packages);
}

/* What publications of ours will need. */
static int read_detail(struct syncing *s, const struct rpm_package *p, struct sluice_unit *unit)
{
	struct slice files, changes;
	int rc = beside_find(&s->filelists, p->pkgid, &files);

	if (rc == 0)
		rc = beside_find(&s->other, p->pkgid, &changes);
	if (rc != 0)
		return rc;
	if (detail_pack(s->pack, files, changes, &s->detail) != 0)
		return s->host->fail(s->sync, "no memory for the package '%s'", p->name.p);
	unit->detail = s->detail.p;
	unit->detail_size = s->detail.n;
	return 0;
}

/* Where the package is in the repository, unless a publication puts it elsewhere: at upstream's path if that is one, else at its name. */
static const char *path_of(struct syncing *s, const struct rpm_package *p)
{
	const char *slash = strrchr(p->href.p, '/');

	if (s->verbatim || (p->base.n == 0 && url_relpath_check(p->href, NULL) == 0))
		return p->href.p;
	return slash != NULL ? slash + 1 : p->href.p;
}

static bool is_left_out(const struct syncing *s, const struct rpm_package *p)
{
	return s->no_source && (slice_eq(p->arch, SLICE("src")) || slice_eq(p->arch, SLICE("nosrc")));
}

/* One that the last sync found just so: nothing more is read of it, in no file. Its places in file lists and changelogs are read over, so a package that is
 * known in one place of the repository and new in another takes another pass. */
static int known_package(void *arg, const struct rpm_package *p)
{
	struct syncing *s = arg;
	struct sluice_digest digest = {p->checksum_type.p, p->pkgid.p};
	struct sluice_artifact artifact = {
		.relative_path = path_of(s, p), .size = p->size_package, .digests = &digest, .digest_count = 1};
	struct sluice_unit unit = {.type = RPM_PACKAGE, .artifacts = &artifact, .artifact_count = 1};
	char url[URL_CAP];
	int rc;

	if (s->whole || is_left_out(s, p) || (p->base.n > 0 && s->verbatim))
		return 0;
	rc = s->verbatim ? url_of(s, p->href.p, url) : package_url(s, p, url);
	if (rc != 0)
		return rc;
	if (rpm_package_key(p, artifact.relative_path, &s->key) != 0)
		return s->host->fail(s->sync, "no memory for the package '%s'", p->name.p);
	artifact.url = url;
	unit.natural_key = s->key.p;
	unit.detail = s->verbatim ? NULL : "";
	rc = s->host->known(s->sync, &unit);
	if (rc == 1) {
		int noted = tree_note(&s->tree, artifact.relative_path);

		rc = noted < 0 ? noted : rc;
	}
	if (rc != 1 || s->verbatim)
		return rc;
	if (s->primary.packages % PROGRESS_EVERY == 0)
		report(s);
	rc = beside_skip(&s->filelists, p->pkgid);
	if (rc == 0)
		rc = beside_skip(&s->other, p->pkgid);
	return rc == 0 ? 1 : rc;
}

static int note_modular(struct syncing *s, struct rpm_package *p)
{
	buf_reset(&s->key);
	if (rpm_package_nevra(p, &s->key) != 0)
		return s->host->fail(s->sync, "no memory for the package '%s'", p->name.p);
	p->is_modular = hashmap_has(&s->extras.modular, buf_slice(&s->key));
	return 0;
}

static int declare_package(void *arg, const struct rpm_package *p)
{
	struct syncing *s = arg;
	struct sluice_digest digest = {p->checksum_type.p, p->pkgid.p};
	struct sluice_artifact artifact = {
		.relative_path = path_of(s, p), .size = p->size_package, .digests = &digest, .digest_count = 1};
	struct sluice_unit unit = {.type = RPM_PACKAGE, .artifacts = &artifact, .artifact_count = 1};
	struct rpm_package whole = *p;
	char url[URL_CAP];
	int rc;

	if (s->primary.packages % PROGRESS_EVERY == 0)
		report(s);
	s->again = s->again || beside_skipped(&s->filelists, p->pkgid) || beside_skipped(&s->other, p->pkgid);
	if (s->again || is_left_out(s, p))
		return 0;
	if (p->base.n > 0 && s->verbatim)
		return s->host->fail(s->sync,
			"mirror_complete cannot be used: '%s' lies at another server (xml:base); use "
			"mirror_content_only",
			p->name.p);
	rc = s->verbatim ? url_of(s, p->href.p, url) : package_url(s, p, url);
	if (rc == 0 && !s->verbatim)
		rc = read_detail(s, p, &unit);
	if (rc != 0)
		return rc;
	rc = note_modular(s, &whole);
	if (rc != 0)
		return rc;
	if (rpm_package_json(&whole, &s->json) != 0 || rpm_package_key(p, artifact.relative_path, &s->key) != 0)
		return s->host->fail(s->sync, "no memory for the package '%s'", p->name.p);
	artifact.url = url;
	unit.natural_key = s->key.p;
	unit.extra_json = s->json.p;
	rc = tree_note(&s->tree, artifact.relative_path);
	return rc == 0 ? s->host->unit(s->sync, &unit) : rc;
}

static int take_primary(void *arg, const char *p, size_t n)
{
	struct syncing *s = arg;

	return bad_file(s, "primary.xml", primary_feed(&s->primary, p, n, &s->err));
}

/* ---- from begin to end ---- */

static int begin_primary(struct syncing *s)
{
	int rc = primary_init(&s->primary, declare_package, s);

	s->primary.known = known_package;
	return rc;
}

/* primary once more, of which we have the bytes. */
static int read_primary_again(struct syncing *s, const char *href)
{
	struct sluice_reading *reading;
	int rc;

	primary_fini(&s->primary);
	if (begin_primary(s) != 0)
		return s->host->fail(s->sync, "no memory for a sync");
	rc = s->host->read_begin(s->sync, href, take_primary, s, &reading);
	if (rc != 0)
		return rc;
	do
		rc = s->host->read_more(s->sync, reading);
	while (rc == 1);
	return rc;
}

/* primary is read with what lies beside it, if that is needed. */
static int read_all(struct syncing *s)
{
	const struct repomd_row *primary = repomd_find(&s->repomd, "primary");
	const struct repomd_row *filelists = s->verbatim ? NULL : repomd_find(&s->repomd, "filelists"),
				*other = s->verbatim ? NULL : repomd_find(&s->repomd, "other");
	int rc = beside_init(&s->filelists, s->host, s->sync, "filelists.xml", "filelists",
		filelists != NULL ? filelists->href : NULL);

	if (rc == 0)
		rc = beside_init(
			&s->other, s->host, s->sync, "other.xml", "otherdata", other != NULL ? other->href : NULL);
	if (rc == 0)
		rc = s->whole ? read_primary_again(s, primary->href) : fetch_row(s, primary, take_primary);
	if (rc == 0)
		rc = bad_file(s, "primary.xml", primary_end(&s->primary, &s->err));
	if (rc == 0)
		report(s);
	return rc;
}

static int read_packages(struct syncing *s)
{
	int rc = read_all(s);

	if (rc != 0 || !s->again)
		return rc;
	beside_fini(&s->filelists);
	beside_fini(&s->other);
	s->again = false;
	s->whole = true;
	return read_all(s);
}

/* Of a repository whose metadata is made anew only what is read, and what cannot be made. */
static bool is_wanted(const struct syncing *s, const struct repomd_row *row)
{
	return s->verbatim || strcmp(row->type, "filelists") == 0 || strcmp(row->type, "other") == 0 ||
	       !rpm_is_made_anew(row->type);
}

/* A path from a type of upstream's; false: there is none. */
static bool path_of_type(const char *type, char *out, size_t cap)
{
	return type[0] != '.' && strcspn(type, "/\\") == strlen(type) &&
	       snprintf(out, cap, "repodata/%s", type) < (int)cap && url_relpath_check(slice_str(out), NULL) == 0;
}

static int declare_files(struct syncing *s)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->repomd.count; i++) {
		const struct repomd_row *row = &s->repomd.rows[i];
		char path[256];

		if (s->verbatim)
			rc = declare_file(s, row, row->href);
		else if (!rpm_is_made_anew(row->type) && path_of_type(row->type, path, sizeof(path)))
			rc = declare_file(s, row, path);
	}
	return rc;
}

static int take_extra(void *arg, const char *p, size_t n)
{
	struct syncing *s = arg;

	return extras_feed(&s->extras, p, n);
}

/* Modules, groups, advisories: of several compressions one is read. */
static int read_extra(struct syncing *s, enum extra kind)
{
	const struct repomd_row *row = NULL;
	int rc;

	for (const char *const *type = extras_types(kind); row == NULL && *type != NULL; type++)
		row = repomd_find(&s->repomd, *type);
	if (row == NULL)
		return 0;
	s->read[kind] = row;
	rc = extras_begin(&s->extras, kind);
	if (rc == 0)
		rc = fetch_row(s, row, take_extra);
	return rc == 0 ? extras_end(&s->extras) : rc;
}

static bool is_read(const struct syncing *s, const struct repomd_row *row)
{
	for (size_t i = 0; i < ARRAY_LEN(s->read); i++)
		if (s->read[i] == row)
			return true;
	return false;
}

static int sync_files(struct syncing *s)
{
	int rc = s->no_tree ? 0 : tree_read(&s->tree);

	s->read[EXTRA_COUNT] = repomd_find(&s->repomd, "primary"); /* last, when all else is there */
	for (int kind = 0; rc == 0 && kind < EXTRA_COUNT; kind++)
		rc = read_extra(s, (enum extra)kind);
	for (size_t i = 0; rc == 0 && i < s->repomd.count; i++)
		if (!is_read(s, &s->repomd.rows[i]) && is_wanted(s, &s->repomd.rows[i]))
			rc = fetch_row(s, &s->repomd.rows[i], NULL);
	if (rc == 0)
		rc = read_packages(s);
	if (rc == 0)
		rc = declare_files(s);
	if (rc == 0)
		rc = tree_declare(&s->tree);
	return rc == 0 && s->verbatim ? tree_extra_files(&s->tree) : rc;
}

/* What a complete mirror has besides: the entry file itself, and what signs it. */
static int sync_entry(struct syncing *s, const char *sha256)
{
	static const char *const beside[] = {RPM_REPOMD ".asc", RPM_REPOMD ".key"};
	const struct repomd_row row = {
		.type = "repomd", .href = RPM_REPOMD, .checksum_type = "sha256", .checksum = sha256, .open_size = -1};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(beside); i++)
		rc = fetch_beside(s, beside[i]);
	return rc == 0 ? declare_file(s, &row, RPM_REPOMD) : rc;
}

static int run(struct syncing *s)
{
	const char *verbatim = s->host->get(s->sync, "verbatim"), *skip = s->host->get(s->sync, "sync.skip_types");
	struct sluice_fetched got;
	int rc = set_base(s);

	s->verbatim = verbatim != NULL && strcmp(verbatim, "true") == 0;
	s->no_source = skip != NULL && strstr(skip, "\"srpm\"") != NULL;
	s->no_tree = skip != NULL && strstr(skip, "\"treeinfo\"") != NULL;
	if (rc == 0 && s->verbatim && (s->no_source || s->no_tree))
		rc = s->host->fail(s->sync, "skip_types cannot be used with mirror_complete");
	if (rc == 0 && strcmp(s->host->get(s->sync, "mirror"), "true") == 0 &&
		rpm_retained(s->host->get(s->sync, "repository.retain_package_versions")) > 0)
		rc = s->host->fail(s->sync, "retain_package_versions can only be used with the sync policy additive");
	if (rc == 0)
		rc = find_repomd(s, &got);
	if (rc == 1) {
		rc = tree_changed(&s->tree);
		if (rc == 0)
			return s->host->unchanged(s->sync);
		s->refetch = true;
		if (rc == 1)
			rc = read_repomd(s, false, &got);
	}
	if (rc == 0 && s->verbatim)
		rc = check_verbatim(s);
	if (rc == 0)
		rc = sync_files(s);
	return rc == 0 && s->verbatim ? sync_entry(s, got.sha256) : rc;
}

int rpm_sync(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	struct syncing *x = calloc(1, sizeof(*x));
	int rc;

	if (x == NULL)
		return h->fail(s, "no memory for a sync");
	x->host = h;
	x->sync = s;
	tree_init(&x->tree, h, s, x->base);
	extras_init(&x->extras, h, s);
	rc = repomd_init(&x->repomd);
	if (rc == 0)
		rc = begin_primary(x);
	x->pack = detail_new();
	rc = rc == 0 && x->pack != NULL ? run(x) : h->fail(s, "no memory for a sync");
	repomd_fini(&x->repomd);
	primary_fini(&x->primary);
	beside_fini(&x->filelists);
	beside_fini(&x->other);
	detail_free(&x->pack);
	tree_fini(&x->tree);
	extras_fini(&x->extras);
	buf_fini(&x->json);
	buf_fini(&x->key);
	buf_fini(&x->detail);
	free(x);
	return rc;
}
