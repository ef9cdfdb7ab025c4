/* Sources stanzas. Their files stand in one list for each kind of digest; here they become one entry a file. */
#include "formats/deb/source.h"

#include "base/check.h"
#include "base/url.h"
#include "formats/deb/fields.h"

#include <jansson.h>
#include <stdlib.h>

#define ARENA_MAX ((size_t)32 << 20)

static const struct {
	const char *field;
	enum digest_alg alg;
} lists[] = {
	{"Files", DIGEST_MD5},
	{"Checksums-Sha1", DIGEST_SHA1},
	{"Checksums-Sha256", DIGEST_SHA256},
	{"Checksums-Sha512", DIGEST_SHA512},
};

/* deb822 name, name in the API, help */
#define SOURCE_FIELDS(X)                                                                            \
	X("Package", package, "name")                                                               \
	X("Format", format, "format of the source package")                                         \
	X("Binary", binary, "packages that it builds")                                              \
	X("Architecture", architecture, "architectures that it builds for")                         \
	X("Version", version, "version")                                                            \
	X("Section", section, "section")                                                            \
	X("Priority", priority, "priority")                                                         \
	X("Maintainer", maintainer, "maintainer")                                                   \
	X("Uploaders", uploaders, "further maintainers")                                            \
	X("Homepage", homepage, "home page")                                                        \
	X("Vcs-Browser", vcs_browser, "where its history can be seen")                              \
	X("Vcs-Git", vcs_git, "where its history is")                                               \
	X("Testsuite", testsuite, "how it is tested")                                               \
	X("Dgit", dgit, "commit")                                                                   \
	X("Standards-Version", standards_version, "version of Debian's policy")                     \
	X("Build-Depends", build_depends, "what building needs")                                    \
	X("Build-Depends-Indep", build_depends_indep, "likewise, of what is for all architectures") \
	X("Build-Depends-Arch", build_depends_arch, "likewise, of the rest")                        \
	X("Build-Conflicts", build_conflicts, "what building conflicts with")                       \
	X("Package-List", package_list, "packages that it builds, in detail")

static const struct deb_field known[] = {
#define X(deb_, api_, help_) {deb_, #api_},
	SOURCE_FIELDS(X)
#undef X
		{NULL, NULL},
};

const struct sluice_field source_fields[] = {
#define X(deb_, api_, help_) {.name = #api_, .type = SLUICE_TEXT, .nullable = true, .help = help_},
	SOURCE_FIELDS(X)
#undef X
		{.name = "custom_fields",
			.type = SLUICE_OBJECT,
			.nullable = true,
			.help = "fields of the stanza beyond these"},
	{.name = NULL},
};

static int no_memory(struct err *err)
{
	return err_set(err, -ERR_NOMEM, "no memory for a source package");
}

static int bad(const struct stanza *s, const char *why, struct err *err)
{
	return err_set(err, -ERR_PARSE, "the stanza in line %lld %s", (long long)s->line, why);
}

static bool about_files(struct slice name)
{
	if (slice_eq_nocase(name, SLICE("Directory")))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (slice_eq_nocase(name, slice_str(lists[i].field)))
			return true;
	return false;
}

static struct source_file *file_of(struct source *out, const char *path)
{
	for (size_t i = 0; i < out->count; i++)
		if (strcmp(out->files[i].path, path) == 0)
			return &out->files[i];
	if (out->count == SOURCE_FILES_MAX)
		return NULL;
	out->files[out->count] = (struct source_file){.path = path, .size = -1};
	return &out->files[out->count++];
}

static struct slice word(struct slice *rest)
{
	struct slice line = slice_trim(*rest);
	size_t n = 0;

	while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
		n++;
	*rest = slice_of(line.p + n, line.n - n);
	return slice_of(line.p, n);
}

static int read_line(const struct stanza *s, struct source *out, struct slice dir, enum digest_alg alg,
	struct slice line, struct err *err)
{
	struct slice hex = word(&line), size = word(&line), name = slice_trim(line);
	struct source_file *f;
	struct err why;
	int64_t bytes;
	char *path;

	if (hex.n == 0)
		return 0;
	path = arena_printf(&out->arena, "%.*s%s%.*s", SLICE_ARG(dir), dir.n > 0 ? "/" : "", SLICE_ARG(name));
	if (path == NULL)
		return no_memory(err);
	if (url_relpath_check(slice_str(path), &why) != 0)
		return err_set(err, -ERR_PARSE, "the stanza in line %lld has a file with a bad path: %s",
			(long long)s->line, why.msg);
	f = file_of(out, path);
	if (f == NULL)
		return bad(s, "has too many files", err);
	if (slice_to_i64(size, INT64_MAX, &bytes) != 0 || (f->size >= 0 && f->size != bytes))
		return bad(s, "has a file whose size is no number of bytes, or two of them", err);
	f->size = bytes;
	if (digests_set_hex(&f->digests, alg, hex) != 0)
		return bad(s, "has a file with a malformed digest", err);
	return 0;
}

static int read_files(const struct stanza *s, struct source *out, struct err *err)
{
	struct slice dir = stanza_get(s, "Directory");
	int rc = 0;

	while (slice_starts(dir, SLICE("./")))
		dir = slice_of(dir.p + 2, dir.n - 2);
	if (slice_eq(dir, SLICE(".")))
		dir.n = 0;
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(lists); i++) {
		struct slice rest = stanza_get(s, lists[i].field);

		while (rc == 0 && rest.p != NULL)
			rc = read_line(s, out, dir, lists[i].alg, slice_cut(&rest, '\n'), err);
	}
	return rc == 0 && out->count == 0 ? bad(s, "has no files", err) : rc;
}

static int make_key(struct source *out, const char *digest, struct err *err)
{
	const struct source_file *first = &out->files[0];
	char hex[DIGEST_HEX_MAX];
	int alg = DIGEST_COUNT - 1;

	for (size_t i = 0; i < out->count; i++)
		if (slice_ends(slice_str(out->files[i].path), SLICE(".dsc")))
			first = &out->files[i];
	while (alg > 0 && (first->digests.have & (1u << alg)) == 0)
		alg--;
	(void)digest_hex((enum digest_alg)alg, first->digests.d[alg], hex);
	out->key = arena_printf(&out->arena, "%s\n%s\n%s", first->path, hex, digest);
	return out->key != NULL ? 0 : no_memory(err);
}

int source_parse(const struct stanza *s, struct source *out, struct err *err)
{
	char digest[33];
	json_t *fields;
	int rc;

	*out = (struct source){.count = 0};
	arena_init(&out->arena, ARENA_MAX);
	if (stanza_get(s, "Package").n == 0)
		return bad(s, "has no Package", err);
	if (stanza_get(s, "Version").n == 0)
		return bad(s, "has no Version", err);
	out->files = arena_alloc(&out->arena, SOURCE_FILES_MAX * sizeof(*out->files));
	if (out->files == NULL)
		return no_memory(err);
	rc = read_files(s, out, err);
	if (rc == 0 && fields_digest(s, about_files, digest) != 0)
		rc = no_memory(err);
	if (rc != 0)
		return rc;
	fields = fields_read(s, known, about_files);
	out->extra_json = fields != NULL ? json_dumps(fields, JSON_COMPACT) : NULL;
	json_decref(fields);
	return out->extra_json != NULL ? make_key(out, digest, err) : no_memory(err);
}

void source_fini(struct source *p)
{
	free(TAKE(p->extra_json));
	arena_fini(&p->arena);
}
