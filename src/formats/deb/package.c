/* Packages stanzas. A unit's own fields are those of the stanza in snake_case, as they stand in the index; what has no name in
 * the table goes to custom_fields, so that an index made from them loses nothing. */
#include "formats/deb/package.h"

#include "base/check.h"
#include "base/url.h"
#include "formats/deb/fields.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* deb822 name, name in the API, help */
#define PACKAGE_FIELDS(X)                                                           \
	X("Package", package, "name")                                               \
	X("Source", source, "source package, when it is called otherwise")          \
	X("Version", version, "version")                                            \
	X("Architecture", architecture, "architecture")                             \
	X("Section", section, "section")                                            \
	X("Priority", priority, "priority")                                         \
	X("Origin", origin, "who made it")                                          \
	X("Tag", tag, "debtags")                                                    \
	X("Bugs", bugs, "where bugs are reported")                                  \
	X("Essential", essential, "whether a system needs it")                      \
	X("Build-Essential", build_essential, "whether building anything needs it") \
	X("Installed-Size", installed_size, "size when installed, KiB")             \
	X("Maintainer", maintainer, "maintainer")                                   \
	X("Original-Maintainer", original_maintainer, "maintainer upstream")        \
	X("Description", description, "description")                                \
	X("Description-md5", description_md5, "md5 of the English description")     \
	X("Homepage", homepage, "home page")                                        \
	X("Built-Using", built_using, "sources that were built in")                 \
	X("Auto-Built-Package", auto_built_package, "whether it was generated")     \
	X("Multi-Arch", multi_arch, "how it goes with other architectures")         \
	X("Breaks", breaks, "what it breaks")                                       \
	X("Conflicts", conflicts, "what it conflicts with")                         \
	X("Depends", depends, "what it needs")                                      \
	X("Recommends", recommends, "what it recommends")                           \
	X("Suggests", suggests, "what it suggests")                                 \
	X("Enhances", enhances, "what it enhances")                                 \
	X("Pre-Depends", pre_depends, "what must be there before")                  \
	X("Provides", provides, "what it provides")                                 \
	X("Replaces", replaces, "what it replaces")

static const struct deb_field known[] = {
#define X(deb_, api_, help_) {deb_, #api_},
	PACKAGE_FIELDS(X)
#undef X
		{NULL, NULL},
};

const struct sluice_field package_fields[] = {
#define X(deb_, api_, help_) {.name = #api_, .type = SLUICE_TEXT, .nullable = true, .help = help_},
	PACKAGE_FIELDS(X)
#undef X
		{.name = "sha256",
			.type = SLUICE_STRING,
			.nullable = true,
			.help = "digest, as upstream's index declares it"},
	{.name = "size", .type = SLUICE_INTEGER, .nullable = true, .help = "bytes"},
	{.name = "custom_fields", .type = SLUICE_OBJECT, .nullable = true, .help = "fields of the stanza beyond these"},
	{.name = NULL},
};

/* Its fields that say where and what the file is. */
static const struct {
	const char *name;
	enum digest_alg alg;
} digests[] = {
	{"MD5sum", DIGEST_MD5},
	{"SHA1", DIGEST_SHA1},
	{"SHA256", DIGEST_SHA256},
	{"SHA512", DIGEST_SHA512},
};

static bool about_file(struct slice name)
{
	if (slice_eq_nocase(name, SLICE("Filename")) || slice_eq_nocase(name, SLICE("Size")))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(digests); i++)
		if (slice_eq_nocase(name, slice_str(digests[i].name)))
			return true;
	return false;
}

static int bad(const struct stanza *s, const char *name, const char *why, struct err *err)
{
	return err_set(err, -ERR_PARSE, "the stanza in line %lld has %s %s%s", (long long)s->line, why, name,
		strcmp(why, "no") == 0 ? "" : " that is not what it should be");
}

static int need(const struct stanza *s, const char *name, struct err *err)
{
	struct slice v = stanza_get(s, name);

	return v.p != NULL && v.n > 0 ? 0 : bad(s, name, "no", err);
}

static int read_path(const struct stanza *s, struct package *out, struct err *err)
{
	struct slice v = stanza_get(s, "Filename");
	struct err why;

	while (slice_starts(v, SLICE("./")))
		v = slice_of(v.p + 2, v.n - 2);
	if (url_relpath_check(v, &why) != 0)
		return err_set(
			err, -ERR_PARSE, "the stanza in line %lld has a bad Filename: %s", (long long)s->line, why.msg);
	(void)snprintf(out->path, sizeof(out->path), "%.*s", SLICE_ARG(v));
	return 0;
}

static int read_digests(const struct stanza *s, struct package *out, struct err *err)
{
	struct digests ds = {.have = 0};

	for (size_t i = 0; i < ARRAY_LEN(digests); i++) {
		enum digest_alg alg = digests[i].alg;
		struct slice v = stanza_get(s, digests[i].name);
		struct sluice_digest *d = &out->digest[out->digest_count];

		if (v.p == NULL || v.n == 0)
			continue;
		if (digests_set_hex(&ds, alg, v) != 0)
			return bad(s, digests[i].name, "a", err);
		(void)digest_hex(alg, ds.d[alg], out->hex[out->digest_count]);
		*d = (struct sluice_digest){.algorithm = digest_name(alg), .hex = out->hex[out->digest_count]};
		out->identity = d->hex;
		out->digest_count++;
	}
	for (size_t i = 0; i < out->digest_count; i++)
		if (strcmp(out->digest[i].algorithm, "sha256") == 0)
			out->identity = out->hex[i];
	return out->digest_count > 0 ? 0 : bad(s, "digest", "no", err);
}

/* With what the API shows of the file. */
int package_fields_read(const struct stanza *s, struct package *p, struct err *err)
{
	json_t *o = fields_read(s, known, about_file);
	int rc = o != NULL ? json_object_set_new(o, "size", json_integer(p->size)) : -1;

	for (size_t i = 0; rc == 0 && i < p->digest_count; i++)
		if (strcmp(p->digest[i].algorithm, "sha256") == 0)
			rc = json_object_set_new(o, "sha256", json_string(p->digest[i].hex));
	p->extra_json = rc == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	return p->extra_json != NULL ? 0 : err_set(err, -ERR_NOMEM, "no memory for a package");
}

int package_parse(const struct stanza *s, struct package *out, struct err *err)
{
	char digest[33];
	int rc;

	out->digest_count = 0;
	out->extra_json = NULL;
	if ((rc = need(s, "Package", err)) != 0 || (rc = need(s, "Version", err)) != 0 ||
		(rc = need(s, "Architecture", err)) != 0 || (rc = need(s, "Filename", err)) != 0 ||
		(rc = read_path(s, out, err)) != 0)
		return rc;
	if (slice_to_i64(stanza_get(s, "Size"), INT64_MAX, &out->size) != 0)
		return bad(s, "Size", "a", err);
	if ((rc = read_digests(s, out, err)) != 0)
		return rc;
	if (fields_digest(s, about_file, digest) != 0)
		return err_set(err, -ERR_NOMEM, "no memory for a package");
	(void)snprintf(out->key, sizeof(out->key), "%s\n%s\n%s", out->path, out->identity, digest);
	return 0;
}

void package_fini(struct package *p)
{
	free(TAKE(p->extra_json));
}

int package_member_key(
	const char *path, const char *identity, const char *distribution, const char *component, struct buf *key)
{
	return buf_addf(key, "%s\n%s\n%s\n%s", path, identity, distribution, component);
}

char *package_member_json(const char *path, const char *distribution, const char *component)
{
	json_t *o = json_pack("{s:s, s:s, s:s}", "path", path, "distribution", distribution, "component", component);
	char *extra = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	return extra;
}

/* Values go back as they came: continuation lines carry their line ends and blanks. */
static int write_field(struct buf *out, const char *name, const json_t *value)
{
	const char *text = json_string_value(value);

	if (text == NULL)
		return value == NULL ? 0 : -ERR_INVAL;
	return buf_addf(out, text[0] == '\n' || text[0] == '\0' ? "%s:%s\n" : "%s: %s\n", name, text);
}

static int write_digests(struct buf *out, const struct sluice_file *f)
{
	for (size_t i = 0; i < ARRAY_LEN(digests); i++)
		for (size_t k = 0; k < f->digest_count; k++)
			if (strcmp(f->digests[k].algorithm, digest_name(digests[i].alg)) == 0)
				buf_addf(out, "%s: %s\n", digests[i].name, f->digests[k].hex);
	return out->failed;
}

int package_write(const struct sluice_file *f, struct buf *out, char *architecture, size_t cap)
{
	json_t *o = f->extra_json != NULL ? json_loads(f->extra_json, 0, NULL) : NULL;
	const char *arch = json_string_value(json_object_get(o, "architecture")), *name;
	json_t *value;
	int rc = 0;

	if (arch == NULL || (size_t)snprintf(architecture, cap, "%s", arch) >= cap ||
		url_relpath_check(slice_str(arch), NULL) != 0 || strchr(arch, '/') != NULL || f->size < 0)
		rc = -ERR_INVAL;
	for (size_t i = 0; rc == 0 && known[i].name != NULL; i++)
		rc = write_field(out, known[i].name, json_object_get(o, known[i].member));
	json_object_foreach(json_object_get(o, "custom_fields"), name, value)
	{
		if (rc == 0)
			rc = write_field(out, name, value);
	}
	if (rc == 0)
		rc = buf_addf(out, "Filename: %s\nSize: %lld\n", f->relative_path, (long long)f->size);
	if (rc == 0)
		rc = write_digests(out, f);
	if (rc == 0)
		rc = buf_adds(out, "\n");
	json_decref(o);
	return rc;
}
