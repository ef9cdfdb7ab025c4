/* The dialects: [general] alone (up to EL 6), [header] with [release] and [tree] since. Sections images-PLATFORM, variant-UID and addon-UID are
 * found by their prefix. */
#include "formats/rpm/treeinfo.h"

#include "base/check.h"
#include "base/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPOMD "repodata/repomd.xml"

/* ---- lines ---- */

/* A line of the file; key.p == NULL: of no meaning, or a section's, which is in `section`. */
struct line {
	struct slice section, key, value;
};

static int read_line(struct slice text, struct line *out)
{
	struct slice s = slice_trim(text);
	ptrdiff_t at, colon;

	*out = (struct line){.key = SLICE_NULL};
	if (s.n == 0 || s.p[0] == '#' || s.p[0] == ';')
		return 0;
	if (s.p[0] == '[') {
		if (s.p[s.n - 1] != ']')
			return -ERR_PARSE;
		out->section = slice_trim(slice_of(s.p + 1, s.n - 2));
		return out->section.n > 0 ? 0 : -ERR_PARSE;
	}
	at = slice_chr(s, '=');
	colon = slice_chr(s, ':');
	if (at < 0 || (colon >= 0 && colon < at))
		at = colon;
	if (at <= 0)
		return -ERR_PARSE;
	out->key = slice_trim(slice_of(s.p, (size_t)at));
	out->value = slice_trim(slice_of(s.p + at + 1, s.n - (size_t)at - 1));
	return out->key.n > 0 ? 0 : -ERR_PARSE;
}

static int add(struct treeinfo *t, const char *section, const struct line *l, struct err *err)
{
	struct treeinfo_entry *more;

	if (t->count == TREEINFO_ENTRIES_MAX)
		return err_set(err, -ERR_LIMIT, "it has more than %d entries", TREEINFO_ENTRIES_MAX);
	if (t->count == t->cap) {
		more = realloc(t->entries, (t->cap + 128) * sizeof(*more));
		if (more == NULL)
			return err_set(err, -ERR_NOMEM, "no memory for it");
		t->entries = more;
		t->cap += 128;
	}
	more = &t->entries[t->count];
	more->section = section;
	more->key = arena_strdup(&t->arena, l->key);
	more->value = arena_strdup(&t->arena, l->value);
	if (more->key == NULL || more->value == NULL)
		return err_set(err, -ERR_LIMIT, "it is too large");
	t->count++;
	return 0;
}

/* ---- what an entry means ---- */

static bool starts(const char *z, const char *prefix)
{
	return strncmp(z, prefix, strlen(prefix)) == 0;
}

static bool is_repository_section(const char *section)
{
	return starts(section, "variant-") || starts(section, "addon-");
}

/* The path of a file that the entry names; NULL: it names none. */
static const char *file_of(const struct treeinfo_entry *e)
{
	if (strcmp(e->section, "checksums") == 0)
		return slice_ends(slice_str(e->key), SLICE(REPOMD)) ? NULL : e->key;
	if (starts(e->section, "images-"))
		return e->value;
	if (strcmp(e->section, "stage2") == 0 && (strcmp(e->key, "mainimage") == 0 || strcmp(e->key, "instimage") == 0))
		return e->value;
	return NULL;
}

static const char *without_dot(const char *path)
{
	while (starts(path, "./"))
		path += 2;
	return path;
}

/* Where a variant's repository is. Up and out of the tree is allowed, and another repository, but nothing else that is no path. */
static int check_repository(const char *path, struct err *err)
{
	size_t n;

	path = without_dot(path);
	while (starts(path, "../"))
		path += 3;
	n = strlen(path);
	while (n > 0 && path[n - 1] == '/')
		n--;
	if (n == 0 || strcmp(path, ".") == 0 || strcmp(path, "..") == 0)
		return path[0] == '/' ? err_set(err, -ERR_INVAL, "it begins with a slash") : 0;
	return url_relpath_check(slice_of(path, n), err);
}

static int check(const struct treeinfo_entry *e, long line, struct err *err)
{
	const char *file = file_of(e);
	struct err why = ERR_INIT;

	if (file != NULL && file[0] != '\0' && url_relpath_check(slice_str(without_dot(file)), &why) != 0)
		return err_set(err, -ERR_PARSE, "line %ld: '%.200s' in [%.60s] is no path inside of the tree: %s", line,
			file, e->section, why.msg);
	if (is_repository_section(e->section) && strcmp(e->key, "repository") == 0 &&
		check_repository(e->value, &why) != 0)
		return err_set(err, -ERR_PARSE, "line %ld: the repository '%.200s' in [%.60s] is no path: %s", line,
			e->value, e->section, why.msg);
	return 0;
}

/* ---- reading ---- */

static bool has_section(const struct treeinfo *t, const char *section)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->entries[i].section, section) == 0)
			return true;
	return false;
}

int treeinfo_parse(struct treeinfo *t, struct slice text, struct err *err)
{
	const char *section = "";
	long number = 0;
	int rc = 0;

	*t = (struct treeinfo){.count = 0};
	arena_init(&t->arena, 4 * TREEINFO_BYTES_MAX);
	if (text.n > TREEINFO_BYTES_MAX)
		return err_set(err, -ERR_LIMIT, "it is larger than %zu bytes", TREEINFO_BYTES_MAX);
	if (!slice_is_utf8(text) || memchr(text.p != NULL ? text.p : "", '\0', text.n) != NULL)
		return err_set(err, -ERR_PARSE, "it is no text in UTF-8");
	while (rc == 0 && text.n > 0) {
		struct line l;

		number++;
		if (read_line(slice_cut(&text, '\n'), &l) != 0)
			return err_set(err, -ERR_PARSE, "line %ld is neither a section nor 'key = value'", number);
		if (l.section.n > 0) {
			section = arena_strdup(&t->arena, l.section);
			if (section == NULL)
				return err_set(err, -ERR_LIMIT, "it has too many sections");
		} else if (l.key.n > 0) {
			rc = add(t, section, &l, err);
			if (rc == 0)
				rc = check(&t->entries[t->count - 1], number, err);
		}
	}
	if (rc == 0 && !has_section(t, "general") && !has_section(t, "release") && !has_section(t, "tree"))
		rc = err_set(err, -ERR_PARSE, "it is no treeinfo: it has none of [general], [release], [tree]");
	return rc;
}

void treeinfo_fini(struct treeinfo *t)
{
	arena_fini(&t->arena);
	free(t->entries);
	*t = (struct treeinfo){.count = 0};
}

const char *treeinfo_get(const struct treeinfo *t, const char *section, const char *key)
{
	for (size_t i = t->count; i-- > 0;)
		if (strcmp(t->entries[i].section, section) == 0 && strcmp(t->entries[i].key, key) == 0)
			return t->entries[i].value;
	return NULL;
}

/* ---- files and repositories ---- */

static bool named_before(const struct treeinfo *t, size_t i, const char *path)
{
	for (size_t k = 0; k < i; k++) {
		const char *other = file_of(&t->entries[k]);

		if (other != NULL && strcmp(without_dot(other), path) == 0)
			return true;
	}
	return false;
}

/* "sha256:hex" of the file; false: it has none that means anything. */
static bool digest_of(const struct treeinfo *t, const char *path, char alg[16], const char **hex)
{
	const char *sum = treeinfo_get(t, "checksums", path);
	const char *colon = sum != NULL ? strchr(sum, ':') : NULL;

	if (colon == NULL || colon - sum >= 16)
		return false;
	(void)snprintf(alg, 16, "%.*s", (int)(colon - sum), sum);
	if (strcmp(alg, "sha") == 0)
		(void)snprintf(alg, 16, "sha1");
	*hex = colon + 1;
	return true;
}

int treeinfo_files(const struct treeinfo *t, treeinfo_file_fn *fn, void *arg)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < t->count; i++) {
		const char *file = file_of(&t->entries[i]), *hex = NULL;
		char alg[16];

		if (file == NULL || file[0] == '\0')
			continue;
		file = without_dot(file);
		if (named_before(t, i, file))
			continue;
		rc = digest_of(t, file, alg, &hex) ? fn(arg, file, alg, hex) : fn(arg, file, NULL, NULL);
	}
	return rc;
}

size_t treeinfo_repositories(const struct treeinfo *t, const char **dirs, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < t->count && n < max; i++) {
		const struct treeinfo_entry *e = &t->entries[i];
		const char *path = without_dot(e->value);
		size_t k = 0;

		/* The tree's own, or one that is not in it. */
		if (!is_repository_section(e->section) || strcmp(e->key, "repository") != 0 ||
			url_relpath_check(slice_str(path), NULL) != 0)
			continue;
		while (k < n && strcmp(dirs[k], path) != 0)
			k++;
		if (k == n)
			dirs[n++] = path;
	}
	return n;
}

/* ---- as JSON ---- */

struct field {
	const char *name, *section, *key, *old_section, *old_key;
};

static const struct field texts[] = {
	{"header_version", "header", "version", NULL, NULL},
	{"release_name", "release", "name", "general", "family"},
	{"release_short", "release", "short", "general", "family"},
	{"release_version", "release", "version", "general", "version"},
	{"base_product_name", "base_product", "name", NULL, NULL},
	{"base_product_short", "base_product", "short", NULL, NULL},
	{"base_product_version", "base_product", "version", NULL, NULL},
	{"arch", "tree", "arch", "general", "arch"},
	{"instimage", "stage2", "instimage", NULL, NULL},
	{"mainimage", "stage2", "mainimage", NULL, NULL},
};

static const char *get_old(const struct treeinfo *t, const struct field *f)
{
	const char *v = treeinfo_get(t, f->section, f->key);

	return v == NULL && f->old_section != NULL ? treeinfo_get(t, f->old_section, f->old_key) : v;
}

static json_t *text_or_null(const char *z)
{
	return z != NULL ? json_string(z) : json_null();
}

/* Seconds, with a fraction at times. */
static json_t *number_or_null(const char *z)
{
	struct slice s = slice_str(z);
	int64_t v;

	s = slice_cut(&s, '.');
	return z != NULL && slice_to_i64(slice_trim(s), INT64_MAX, &v) == 0 ? json_integer(v) : json_null();
}

static json_t *list_checksums(const struct treeinfo *t)
{
	json_t *out = json_array();

	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->entries[i].section, "checksums") == 0)
			(void)json_array_append_new(out,
				json_pack("{s:s, s:s}", "path", t->entries[i].key, "checksum", t->entries[i].value));
	return out;
}

static json_t *list_images(const struct treeinfo *t)
{
	json_t *out = json_array();

	for (size_t i = 0; i < t->count; i++) {
		const struct treeinfo_entry *e = &t->entries[i];

		if (starts(e->section, "images-"))
			(void)json_array_append_new(out, json_pack("{s:s, s:s, s:s}", "name", e->key, "path", e->value,
								 "platforms", e->section + strlen("images-")));
	}
	return out;
}

/* One object for each section "<prefix><uid>", in the order of the file. */
static json_t *list_sections(
	const struct treeinfo *t, const char *prefix, const char *id, const char *const *keys, size_t count)
{
	json_t *out = json_array();

	for (size_t i = 0; i < t->count; i++) {
		const char *section = t->entries[i].section, *uid = section + MIN(strlen(prefix), strlen(section));
		json_t *one;

		if (!starts(section, prefix) || (i > 0 && t->entries[i - 1].section == section))
			continue;
		one = json_pack("{s:s}", "uid", uid);
		(void)json_object_set_new(one, id, json_string(uid));
		if (treeinfo_get(t, section, "id") != NULL)
			(void)json_object_set_new(one, id, json_string(treeinfo_get(t, section, "id")));
		for (size_t k = 0; k < count; k++)
			(void)json_object_set_new(one, keys[k], text_or_null(treeinfo_get(t, section, keys[k])));
		(void)json_array_append_new(out, one);
	}
	return out;
}

json_t *treeinfo_json(const struct treeinfo *t)
{
	static const char *const addon[] = {"name", "type", "packages"};
	static const char *const variant[] = {"name", "type", "packages", "source_packages", "source_repository",
		"debug_packages", "debug_repository", "identity"};
	const char *layered = treeinfo_get(t, "release", "is_layered");
	const char *built = treeinfo_get(t, "tree", "build_timestamp");
	json_t *out = json_object();

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		(void)json_object_set_new(out, texts[i].name, text_or_null(get_old(t, &texts[i])));
	if (built == NULL)
		built = treeinfo_get(t, "general", "timestamp");
	(void)json_object_set_new(
		out, "release_is_layered", json_boolean(layered != NULL && strcmp(layered, "true") == 0));
	(void)json_object_set_new(out, "build_timestamp", number_or_null(built));
	(void)json_object_set_new(out, "discnum", number_or_null(treeinfo_get(t, "media", "discnum")));
	(void)json_object_set_new(out, "totaldiscs", number_or_null(treeinfo_get(t, "media", "totaldiscs")));
	(void)json_object_set_new(out, "addons", list_sections(t, "addon-", "addon_id", addon, ARRAY_LEN(addon)));
	(void)json_object_set_new(
		out, "variants", list_sections(t, "variant-", "variant_id", variant, ARRAY_LEN(variant)));
	(void)json_object_set_new(out, "images", list_images(t));
	(void)json_object_set_new(out, "checksums", list_checksums(t));
	return out;
}

/* ---- as a publication has it ---- */

int treeinfo_without_repomd(struct slice text, struct buf *out)
{
	bool in_checksums = false;

	while (text.n > 0) {
		struct slice whole = text, cut = slice_cut(&text, '\n');
		struct line l;

		whole.n = text.p != NULL ? (size_t)(text.p - whole.p) : whole.n;
		if (read_line(cut, &l) == 0 && l.section.n > 0)
			in_checksums = slice_eq(l.section, SLICE("checksums"));
		else if (in_checksums && slice_eq(l.key, SLICE(REPOMD)))
			continue;
		buf_add_slice(out, whole);
	}
	return out->failed;
}
