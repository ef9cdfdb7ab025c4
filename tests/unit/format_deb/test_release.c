#include "formats/deb/release.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define MD5 "d41d8cd98f00b204e9800998ecf8427e"
#define SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define OTHER "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void lists_become_files(void **state)
{
	static const char text[] = "Origin: Test\nsuite: stable\nCodename: trixie\nArchitectures: all amd64\n"
				   "Components: main updates/contrib\nDate: Sat, 10 Jun 2023 08:53:33 UTC\n"
				   "Acquire-By-Hash: Yes\n"
				   "MD5Sum:\n " MD5 "  12 main/z\n " MD5 " 0 ./main/a b\n"
				   "SHA256:\n " SHA256 " 12 main/z\n " SHA256 "\t1 only\n";
	const struct release_file *f;
	struct release r;
	struct err err;

	assert_int_equal(release_parse(SLICE(text), &r, &err), 0);
	assert_string_equal(r.origin, "Test");
	assert_string_equal(r.suite, "stable");
	assert_string_equal(r.codename, "trixie");
	assert_null(r.label);
	assert_true(r.by_hash);
	assert_int_equal(r.date_s, 1686387213);
	assert_int_equal(r.valid_until_s, 0);
	assert_string_equal(r.architectures[1], "amd64");
	assert_null(r.architectures[2]);
	assert_string_equal(r.components[1], "updates/contrib");
	assert_int_equal(r.file_count, 3);
	assert_string_equal(r.files[0].path, "main/a b");
	f = release_find(&r, "main/z");
	assert_non_null(f);
	assert_int_equal(f->size, 12);
	assert_int_equal(f->digests.have, 1u << DIGEST_MD5 | 1u << DIGEST_SHA256);
	assert_int_equal(release_find(&r, "only")->digests.have, 1u << DIGEST_SHA256);
	assert_null(release_find(&r, "main"));
	release_fini(&r);
}

static void bad_releases(void **state)
{
	static const struct {
		const char *text, *reason;
	} rows[] = {
		{"", "it is empty"},
		{"A: b\n\nC: d\n", "second stanza"},
		{"SHA256:\n abc 1 main/a\n", "malformed sha256"},
		{"SHA256:\n " SHA256 " one main/a\n", "no number of bytes"},
		{"SHA256:\n " SHA256 " -1 main/a\n", "no number of bytes"},
		{"SHA256:\n " SHA256 " 1 ../a\n", "bad path"},
		{"SHA256:\n " SHA256 " 1 /etc/passwd\n", "bad path"},
		{"SHA256:\n " SHA256 " 1\n", "bad path"},
		{"SHA256:\n " SHA256 " 1 a\n " SHA256 " 2 a\n", "two sizes"},
		{"SHA256:\n " SHA256 " 1 a\n " OTHER " 1 a\n", "two digests of one kind"},
		{"Date: yesterday\n", "Date is no date"},
		{"Valid-Until: Sat, 10 Jun 2023 08:53:33 CEST\n", "Valid-Until is no date"},
	};
	struct release r;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(release_parse(slice_str(rows[i].text), &r, &err), -ERR_PARSE);
		assert_non_null(strstr(err.msg, rows[i].reason));
		release_fini(&r);
	}
}

static void dates(void **state)
{
	int64_t t;

	assert_int_equal(release_date(SLICE("Thu, 01 Jan 1970 00:00:01 GMT"), &t), 0);
	assert_int_equal(t, 1);
	assert_int_equal(release_date(SLICE("Thu, 1 Jan 2026 00:00:00 +0000"), &t), 0);
	assert_int_equal(t, 1767225600);
	assert_int_equal(release_date(SLICE("Thu, 1 Foo 2026 00:00:00 UTC"), &t), -ERR_PARSE);
	assert_int_equal(release_date(SLICE("Thu, 1 anF 2026 00:00:00 UTC"), &t), -ERR_PARSE);
	assert_int_equal(release_date(SLICE("Thu, 99 Jan 2026 00:00:00 UTC"), &t), -ERR_PARSE);
	assert_int_equal(release_date(SLICE("Thu, 1 Jan 2026 00:00:00 UTC and more"), &t), -ERR_PARSE);
}

#define HEAD "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"
#define TAIL "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n"

static void what_is_signed(void **state)
{
	static const struct {
		const char *text, *out;
	} rows[] = {
		{"Suite: a\nB: c\n", "Suite: a\nB: c\n"},
		{HEAD "Suite: a\nB: c\n" TAIL, "Suite: a\nB: c\n"},
		{HEAD "Suite: a  \r\n- -dash\n- From x\n\n" TAIL "\n\n", "Suite: a\n-dash\nFrom x\n\n"},
	};
	static const struct {
		const char *text, *reason;
	} bad[] = {
		{"Suite: a\n" HEAD "B: c\n" TAIL, "text before it"},
		{HEAD "B: c\n" TAIL "Suite: a\n", "text behind it"},
		{HEAD "B: c\n" TAIL HEAD "D: e\n" TAIL, "text behind it"},
		{HEAD "B: c\n", "signature is missing"},
		{"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512", "head does not end"},
		{HEAD "B: c\n-----BEGIN PGP SIGNATURE-----\nabc\n", "breaks off"},
		{HEAD "B: c\n-dash\n" TAIL, "begins with a dash"},
	};
	struct buf out = BUF_INIT(0);
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&out);
		assert_int_equal(release_signed_text(slice_str(rows[i].text), &out, &err), 0);
		assert_string_equal(out.p, rows[i].out);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_reset(&out);
		assert_int_equal(release_signed_text(slice_str(bad[i].text), &out, &err), -ERR_PARSE);
		assert_non_null(strstr(err.msg, bad[i].reason));
	}
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_become_files),
		cmocka_unit_test(bad_releases),
		cmocka_unit_test(dates),
		cmocka_unit_test(what_is_signed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
