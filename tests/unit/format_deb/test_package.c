#include "formats/deb/package.h"

#include "base/check.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHA256_UPPER "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"
#define HEAD "Package: a\nVersion: 1\nArchitecture: all\n"
#define FILE_ "Filename: pool/a.deb\nSize: 3\nSHA256: " SHA256 "\n"

static int take(void *arg, const struct stanza *s, struct err *err)
{
	int rc = package_parse(s, arg, err);

	return rc == 0 ? package_fields_read(s, arg, err) : rc;
}

static int parse(const char *text, struct package *out, struct err *err)
{
	struct stanza_parser p;
	int rc = stanza_init(&p, 0, take, out);

	if (rc == 0)
		rc = stanza_feed(&p, text, strlen(text), err);
	if (rc == 0)
		rc = stanza_end(&p, err);
	stanza_fini(&p);
	return rc;
}

static void a_package(void **state)
{
	struct package p;
	struct err err;
	json_t *o;

	assert_int_equal(parse(HEAD "Multi-Arch: same\nX-Mine: \"1\"\nMaintainer: J\xf6rg \xc3\xa4\n"
				    "Filename: ././pool/g++_1~2.deb\nSize: 3\nSHA256: " SHA256_UPPER
				    "\nMD5sum: d41d8cd98f00b204e9800998ecf8427e\n",
				 &p, &err),
		0);
	assert_string_equal(p.path, "pool/g++_1~2.deb");
	assert_int_equal(p.size, 3);
	assert_int_equal(p.digest_count, 2);
	assert_string_equal(p.digest[0].algorithm, "md5");
	assert_string_equal(p.digest[1].algorithm, "sha256");
	assert_string_equal(p.digest[1].hex, SHA256);
	o = json_loads(p.extra_json, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(o, "package")), "a");
	assert_string_equal(json_string_value(json_object_get(o, "multi_arch")), "same");
	assert_string_equal(json_string_value(json_object_get(o, "sha256")), SHA256);
	assert_int_equal(json_integer_value(json_object_get(o, "size")), 3);
	/* Latin-1 in an old package. */
	assert_string_equal(json_string_value(json_object_get(o, "maintainer")), "J\xef\xbf\xbdrg \xc3\xa4");
	assert_string_equal(json_string_value(json_object_get(json_object_get(o, "custom_fields"), "X-Mine")), "\"1\"");
	assert_null(json_object_get(o, "filename"));
	json_decref(o);
	package_fini(&p);
}

static void what_makes_it_another_one(void **state)
{
	static const struct {
		const char *text;
		bool same;
	} rows[] = {
		{HEAD FILE_, true},
		{"package:   a\nVERSION: 1\nArchitecture: all\n" FILE_, true},
		{HEAD "Filename: ./pool/a.deb\nSize: 3\nSHA256: " SHA256_UPPER "\n", true},
		{HEAD "MD5sum: d41d8cd98f00b204e9800998ecf8427e\n" FILE_, true}, /* another index gives more digests */
		{HEAD "SHA512: " SHA256 SHA256 "\n" FILE_, true},
		{HEAD "Depends: x\n" FILE_, false},
		{HEAD "Filename: pool/b.deb\nSize: 3\nSHA256: " SHA256 "\n", false},
	};
	struct package first, p;
	struct err err;

	assert_int_equal(parse(rows[0].text, &first, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(parse(rows[i].text, &p, &err), 0);
		assert_int_equal(strcmp(p.key, first.key) == 0, rows[i].same);
		package_fini(&p);
	}
	package_fini(&first);
}

static void bad_packages(void **state)
{
	static const struct {
		const char *text, *reason;
	} rows[] = {
		{"Version: 1\nArchitecture: all\n" FILE_, "no Package"},
		{"Package: a\nArchitecture: all\n" FILE_, "no Version"},
		{"Package: a\nVersion: 1\n" FILE_, "no Architecture"},
		{HEAD "Size: 1\nSHA256: " SHA256 "\n", "no Filename"},
		{HEAD "Filename: ../../etc/passwd\nSize: 1\nSHA256: " SHA256 "\n", "bad Filename"},
		{HEAD "Filename: /etc/passwd\nSize: 1\nSHA256: " SHA256 "\n", "bad Filename"},
		{HEAD "Filename: pool/./a.deb\nSize: 1\nSHA256: " SHA256 "\n", "bad Filename"},
		{HEAD "Filename: pool/a.deb\nSHA256: " SHA256 "\n", "Size"},
		{HEAD "Filename: pool/a.deb\nSize: many\nSHA256: " SHA256 "\n", "Size"},
		{HEAD "Filename: pool/a.deb\nSize: 1\n", "no digest"},
		{HEAD "Filename: pool/a.deb\nSize: 1\nSHA256: 12\n", "SHA256"},
	};
	struct package p;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(parse(rows[i].text, &p, &err), -ERR_PARSE);
		assert_non_null(strstr(err.msg, rows[i].reason));
		assert_null(p.extra_json);
	}
}

/* What is published says what upstream's stanza said. */
static void written_again(void **state)
{
	static const char text[] =
		"Package: a\nSource: b (2)\nVersion: 1\nArchitecture: all\n"
		"Description: one\n two\n .\n three\nDepends: x\nX-Custom:\n first\n second\n"
		"Filename: pool/a.deb\nSize: 3\nMD5sum: d41d8cd98f00b204e9800998ecf8427e\nSHA256: " SHA256 "\n\n";
	struct buf out = BUF_INIT(0);
	struct package p, again;
	struct sluice_file f;
	char arch[64];
	struct err err;

	assert_int_equal(parse(text, &p, &err), 0);
	f = (struct sluice_file){.relative_path = p.path,
		.size = p.size,
		.digests = p.digest,
		.digest_count = p.digest_count,
		.extra_json = p.extra_json};
	assert_int_equal(package_write(&f, &out, arch, sizeof(arch)), 0);
	assert_string_equal(arch, "all");
	assert_string_equal(out.p, text);
	assert_int_equal(parse(out.p, &again, &err), 0);
	assert_string_equal(again.key, p.key);
	package_fini(&again);
	/* What is none of ours. */
	f.extra_json = "{\"architecture\": \"../x\"}";
	assert_int_equal(package_write(&f, &out, arch, sizeof(arch)), -ERR_INVAL);
	f.extra_json = "{\"architecture\": \"all\", \"package\": 1}";
	assert_int_equal(package_write(&f, &out, arch, sizeof(arch)), -ERR_INVAL);
	f.extra_json = NULL;
	assert_int_equal(package_write(&f, &out, arch, sizeof(arch)), -ERR_INVAL);
	package_fini(&p);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_package),
		cmocka_unit_test(what_makes_it_another_one),
		cmocka_unit_test(bad_packages),
		cmocka_unit_test(written_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
