#include "formats/deb/source.h"

#include "base/check.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define MD5 "d41d8cd98f00b204e9800998ecf8427e"
#define SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HEAD "Package: a\nVersion: 1\n"

static int take(void *arg, const struct stanza *s, struct err *err)
{
	return source_parse(s, arg, err);
}

static int parse(const char *text, struct source *out, struct err *err)
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

static void a_source_package(void **state)
{
	struct source p;
	struct err err;
	json_t *o;

	assert_int_equal(parse(HEAD "Build-Depends: x\nExtra-Source-Only: yes\nDirectory: pool/a\nFiles:\n " MD5
				    " 7 a_1.dsc\n " MD5 " 8 a_1.tar.xz\nChecksums-Sha256:\n " SHA256
				    " 8 a_1.tar.xz\n " SHA256 " 7 a_1.dsc\n",
				 &p, &err),
		0);
	assert_int_equal(p.count, 2);
	assert_string_equal(p.files[0].path, "pool/a/a_1.dsc");
	assert_int_equal(p.files[0].size, 7);
	assert_int_equal(p.files[1].digests.have, 1u << DIGEST_MD5 | 1u << DIGEST_SHA256);
	assert_int_equal(strncmp(p.key, "pool/a/a_1.dsc\n" SHA256, 79), 0);
	o = json_loads(p.extra_json, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(o, "build_depends")), "x");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(o, "custom_fields"), "Extra-Source-Only")), "yes");
	assert_null(json_object_get(o, "directory"));
	json_decref(o);
	source_fini(&p);
	/* A flat repository. */
	assert_int_equal(parse(HEAD "Directory: .\nFiles:\n " MD5 " 7 a_1.dsc\n", &p, &err), 0);
	assert_string_equal(p.files[0].path, "a_1.dsc");
	source_fini(&p);
}

static void bad_sources(void **state)
{
	static const struct {
		const char *text, *reason;
	} rows[] = {
		{"Version: 1\n", "has no Package"},
		{"Package: a\n", "has no Version"},
		{HEAD "Directory: pool\n", "has no files"},
		{HEAD "Directory: ../..\nFiles:\n " MD5 " 7 passwd\n", "bad path"},
		{HEAD "Directory: pool\nFiles:\n " MD5 " 7 ../../x\n", "bad path"},
		{HEAD "Directory: pool\nFiles:\n " MD5 " seven a\n", "no number of bytes"},
		{HEAD "Directory: pool\nFiles:\n " MD5 " 7 a\nChecksums-Sha256:\n " SHA256 " 8 a\n", "two of them"},
		{HEAD "Directory: pool\nFiles:\n abc 7 a\n", "malformed digest"},
	};
	struct source p;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(parse(rows[i].text, &p, &err), -ERR_PARSE);
		assert_non_null(strstr(err.msg, rows[i].reason));
		source_fini(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_source_package),
		cmocka_unit_test(bad_sources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
