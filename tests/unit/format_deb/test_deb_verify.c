/* What does not need a key: real signatures are the system tests'. */
#include "formats/deb/verify.h"

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
		{"", "holds no armoured public key"},
		{"YWJj", "holds no armoured public key"},
		{BEGIN_KEY "\n" END_KEY, "holds no armoured public key"},
		{BEGIN_KEY "\nYWJj\n", "is damaged"},
		{BEGIN_KEY "YWJj\n" END_KEY, "is damaged"},
		{BEGIN_KEY "\nYW*j\n" END_KEY, "is damaged"},
		{BEGIN_KEY "\nYQ==\nYWJj\n" END_KEY, "is damaged"},
	};
	struct buf out = BUF_INIT(0);
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		buf_reset(&out);
		assert_int_equal(verify_dearmor(slice_str(good[i].text), &out, &err), 0);
		assert_string_equal(out.p, good[i].out);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_reset(&out);
		assert_int_equal(verify_dearmor(slice_str(bad[i].text), &out, &err), -ERR_PARSE);
		assert_non_null(strstr(err.msg, bad[i].reason));
	}
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(armour)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
