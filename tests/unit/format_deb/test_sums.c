#include "formats/deb/sums.h"

#include "base/buf.h"
#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHA256_UPPER "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"

static int note(void *arg, struct slice path, const char *sha256)
{
	assert_string_equal(sha256, SHA256);
	return buf_addf(arg, "%.*s;", SLICE_ARG(path));
}

static void files(void **state)
{
	struct buf out = BUF_INIT(0);
	struct err err;

	assert_int_equal(sums_parse(SLICE(SHA256 "  ./netboot/a b\n\n" SHA256_UPPER " *x"), note, &out, &err), 0);
	assert_string_equal(out.p, "netboot/a b;x;");
	buf_fini(&out);
}

static void bad_lines(void **state)
{
	static const struct {
		const char *text, *reason;
	} rows[] = {
		{"x\n", "line 1 is not a sha256"},
		{SHA256 "  a\n" SHA256 "\n", "line 2 is not a sha256"},
		{SHA256 " a\n", "line 1 is not a sha256"},
		{SHA256 "  ../a\n", "line 1 has a bad path"},
		{SHA256 "  ./../a\n", "line 1 has a bad path"},
		{SHA256 "  /a\n", "line 1 has a bad path"},
	};
	struct buf out = BUF_INIT(0);
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(sums_parse(slice_str(rows[i].text), note, &out, &err), -ERR_PARSE);
		assert_non_null(strstr(err.msg, rows[i].reason));
	}
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(files), cmocka_unit_test(bad_lines)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
