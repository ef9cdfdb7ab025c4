/* What does not need a key: real signatures are the system tests'. */
#include "base/gpgv.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define BEGIN_KEY "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
#define END_KEY "-----END PGP PUBLIC KEY BLOCK-----\n"

static void armour(void **state)
{
	static const struct {
		const char *text, *out;
	} good[] = {
		{BEGIN_KEY "\nYWJj\nZA==\n=abcd\n" END_KEY, "abcd"},
		{"text\n" BEGIN_KEY "Version: 1\nComment: x\n\nYWJj\n" END_KEY "between\r\n" BEGIN_KEY
		 "\r\nZGVm\r\n" END_KEY,
			"abcdef"},
	};
	static const struct {
		const char *text, *reason;
	} bad[] = {
		{"", "is no armoured public key"},
		{"YWJj", "is no armoured public key"},
		{BEGIN_KEY "\n" END_KEY, "is no armoured public key"},
		{BEGIN_KEY "\nYWJj\n", "is damaged"},
		{BEGIN_KEY "YWJj\n" END_KEY, "is damaged"},
		{BEGIN_KEY "\nYW*j\n" END_KEY, "is damaged"},
		{BEGIN_KEY "\nYQ==\nYWJj\n" END_KEY, "is damaged"},
	};
	struct buf out = BUF_INIT(0);
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		buf_reset(&out);
		assert_int_equal(gpgv_dearmor(slice_str(good[i].text), &out, &err), 0);
		assert_string_equal(out.p, good[i].out);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_reset(&out);
		assert_int_equal(gpgv_dearmor(slice_str(bad[i].text), &out, &err), -ERR_PARSE);
		assert_non_null(strstr(err.msg, bad[i].reason));
	}
	buf_fini(&out);
}

/* A key that gpg made, and what gpg says of it. */
#define KEY                                                                            \
	BEGIN_KEY "\n"                                                                 \
		  "mDMEawwIuxYJKwYBBAHaRw8BAQdAoDD68v8+n1UEyo3BtczdPYrZzT9xgU1yhb97\n" \
		  "5b0woiW0B1QgPHRAZT6IkAQTFggAOBYhBOx7u5Ql2esQSsi8eCrGfSFxYhqkBQJr\n" \
		  "DAi7AhsDBQsJCAcCBhUKCQgLAgQWAgMBAh4BAheAAAoJECrGfSFxYhqkBacBAN4L\n" \
		  "0cAxzul4J1Zm4rcR8llcT22zIlCRIBpTXEAekwc1AP4roVJuYF3jYSKHWcGanuZW\n" \
		  "Rvc7G1Z3m6m1pMQ3PcKxBg==\n"                                         \
		  "=RgWQ\n" END_KEY

static void fingerprints(void **state)
{
	static const char *const bad[] = {
		BEGIN_KEY "\nYWJj\n" END_KEY,     /* no packet at all */
		BEGIN_KEY "\nmDMEawwI\n" END_KEY, /* breaks off */
		BEGIN_KEY "\nmQ==\n" END_KEY,     /* nothing but its first byte */
		BEGIN_KEY "\ntDMEawwI\n" END_KEY, /* a user id */
	};
	char out[GPGV_FINGERPRINT_MAX];
	struct err err;

	assert_int_equal(gpgv_fingerprint(SLICE(KEY), out, &err), 0);
	assert_string_equal(out, "EC7BBB9425D9EB104AC8BC782AC67D2171621AA4");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(gpgv_fingerprint(slice_str(bad[i]), out, &err), -ERR_PARSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(armour), cmocka_unit_test(fingerprints)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
