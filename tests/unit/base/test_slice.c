#include "base/slice.h"

#include "base/check.h"
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_slice(struct slice s, const char *want)
{
	assert_int_equal(s.n, strlen(want));
	assert_memory_equal(s.p, want, s.n);
}

static void comparing(void **state)
{
	static const struct {
		const char *a, *b;
		bool eq, eq_nocase, starts, starts_nocase, ends;
	} rows[] = {
		{"", "", true, true, true, true, true},
		{"abc", "", false, false, true, true, true},
		{"", "abc", false, false, false, false, false},
		{"abc", "abc", true, true, true, true, true},
		{"ABC", "abc", false, true, false, true, false},
		{"abcd", "ab", false, false, true, true, false},
		{"aBcd", "Ab", false, false, false, true, false},
		{"abcd", "cd", false, false, false, false, true},
		{"@[`{", "`{@[", false, false, false, false, false}, /* the bytes beside the letters have no case */
		{"\xc3\x84", "\xc3\xa4", false, false, false, false, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct slice a = slice_str(rows[i].a), b = slice_str(rows[i].b);

		assert_int_equal(slice_eq(a, b), rows[i].eq);
		assert_int_equal(slice_eq_nocase(a, b), rows[i].eq_nocase);
		assert_int_equal(slice_starts(a, b), rows[i].starts);
		assert_int_equal(slice_starts_nocase(a, b), rows[i].starts_nocase);
		assert_int_equal(slice_ends(a, b), rows[i].ends);
	}
}

static void null_is_an_empty_slice(void **state)
{
	assert_true(slice_eq(SLICE_NULL, SLICE("")));
	assert_true(slice_eq_nocase(SLICE_NULL, SLICE_NULL));
	assert_true(slice_ends(SLICE("a"), SLICE_NULL));
	assert_int_equal(slice_trim(SLICE_NULL).n, 0);
	assert_int_equal(slice_chr(SLICE_NULL, 'a'), -1);
	assert_int_equal(slice_rchr(SLICE_NULL, 'a'), -1);
	assert_true(slice_is_utf8(SLICE_NULL));
	assert_int_equal(slice_str(NULL).n, 0);
	assert_true(slice_hash(SLICE_NULL) == slice_hash(SLICE("")));
}

static void trimming(void **state)
{
	assert_slice(slice_trim(SLICE(" \t\r\na b\r\n ")), "a b");
	assert_slice(slice_trim(SLICE("a")), "a");
	assert_slice(slice_trim(SLICE(" \t ")), "");
	assert_slice(slice_trim(SLICE("\va")), "\va");
}

static void finding(void **state)
{
	struct slice s = SLICE("a,b,c");

	assert_int_equal(slice_chr(s, ','), 1);
	assert_int_equal(slice_rchr(s, ','), 3);
	assert_int_equal(slice_chr(s, ';'), -1);
	assert_int_equal(slice_chr(slice_of("a\0b", 3), '\0'), 1);
}

static void cutting(void **state)
{
	static const struct {
		const char *text, *parts[4];
	} rows[] = {
		{"a,b", {"a", "b"}},
		{"a", {"a"}},
		{"", {""}},
		{",", {"", ""}},
		{"a,,b", {"a", "", "b"}},
		{"a,b,", {"a", "b", ""}},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct slice rest = slice_str(rows[i].text);
		size_t n = 0;

		while (rest.p != NULL) {
			assert_non_null(rows[i].parts[n]);
			assert_slice(slice_cut(&rest, ','), rows[i].parts[n]);
			n++;
		}
		assert_null(rows[i].parts[n]);
	}
}

static void numbers(void **state)
{
	static const struct {
		const char *text;
		int64_t max;
		int rc;
		int64_t value;
	} rows[] = {
		{"0", 10, 0, 0},
		{"10", 10, 0, 10},
		{"0010", 10, 0, 10},
		{"11", 10, -ERR_LIMIT, 0},
		{"9223372036854775807", INT64_MAX, 0, INT64_MAX},
		{"9223372036854775808", INT64_MAX, -ERR_LIMIT, 0},
		{"18446744073709551616", INT64_MAX, -ERR_LIMIT, 0},
		{"92233720368547758070000", INT64_MAX, -ERR_LIMIT, 0},
		{"99999999999999999999x", INT64_MAX, -ERR_INVAL, 0},
		{"", 10, -ERR_INVAL, 0},
		{"-1", 10, -ERR_INVAL, 0},
		{"+1", 10, -ERR_INVAL, 0},
		{" 1", 10, -ERR_INVAL, 0},
		{"1 ", 10, -ERR_INVAL, 0},
		{"0x1", 10, -ERR_INVAL, 0},
		{"1.0", 10, -ERR_INVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t v = -7;

		assert_int_equal(slice_to_i64(slice_str(rows[i].text), rows[i].max, &v), rows[i].rc);
		assert_true(v == (rows[i].rc == 0 ? rows[i].value : -7));
	}
}

static void dup_ends_with_nul(void **state)
{
	char *z = slice_dup(slice_of("abcdef", 3)), *empty = slice_dup(SLICE_NULL);

	assert_string_equal(z, "abc");
	assert_string_equal(empty, "");
	free(z);
	free(empty);
}

/* Catalogs hold these values: a change here would lose every path that is stored. */
static void hash_never_changes(void **state)
{
	assert_true(slice_hash(SLICE("")) == UINT64_C(0xefd01f60ba992926));
	assert_true(slice_hash(SLICE("a")) == UINT64_C(0x82a2a958a9bece5b));
	assert_true(slice_hash(SLICE("repodata/repomd.xml")) == UINT64_C(0x097fcedd6c38c09d));
	assert_true(slice_hash(SLICE("\xc3\xa4/\xff")) == UINT64_C(0x8dc8c3831f1fd15a));
}

static void utf8(void **state)
{
	static const struct {
		const char *text;
		bool ok;
	} rows[] = {
		{"plain", true}, {"\x7f", true}, {"\xc2\x80", true}, {"\xdf\xbf", true}, {"\xe0\xa0\x80", true},
		{"\xed\x9f\xbf", true}, {"\xee\x80\x80", true}, {"\xef\xbf\xbf", true}, {"\xf0\x90\x80\x80", true},
		{"\xf4\x8f\xbf\xbf", true}, {"a\xe2\x82\xac.b", true}, {"\x80", false}, /* a continuation by itself */
		{"\xbf", false},                                                        /* the same */
		{"\xc0\xaf", false},                                                    /* overlong '/' */
		{"\xc1\xbf", false},                                                    /* overlong */
		{"\xe0\x80\xaf", false},                                                /* overlong '/' */
		{"\xe0\x9f\xbf", false},                                                /* overlong */
		{"\xf0\x80\x80\xaf", false},                                            /* overlong '/' */
		{"\xf0\x8f\xbf\xbf", false},                                            /* overlong */
		{"\xed\xa0\x80", false},                                                /* surrogate */
		{"\xed\xbf\xbf", false},                                                /* surrogate */
		{"\xf4\x90\x80\x80", false},                                            /* above U+10FFFF */
		{"\xf5\x80\x80\x80", false}, {"\xff", false}, {"\xfe", false}, {"\xc3", false}, /* cut off */
		{"\xe2\x82", false}, {"\xf0\x9f\x93", false}, {"\xc3(", false},                 /* no continuation */
		{"\xe2(\xac", false}, {"\xe2\x82(", false}, {"\xf0\x9f\x93(", false},
		{"\xc3\xa4\xa4", false}, /* one too many */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(slice_is_utf8(slice_str(rows[i].text)), rows[i].ok);
	assert_true(slice_is_utf8(slice_of("a\0b", 3)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparing),
		cmocka_unit_test(null_is_an_empty_slice),
		cmocka_unit_test(trimming),
		cmocka_unit_test(finding),
		cmocka_unit_test(cutting),
		cmocka_unit_test(numbers),
		cmocka_unit_test(dup_ends_with_nul),
		cmocka_unit_test(hash_never_changes),
		cmocka_unit_test(utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
