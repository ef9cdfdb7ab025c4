#include "base/buf.h"

#include "base/check.h"
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void text_grows_and_stays_terminated(void **state)
{
	struct buf b = BUF_INIT(0);
	char want[4001] = "";

	for (int i = 0; i < 1000; i++) {
		assert_int_equal(buf_addf(&b, "%04d", i), 0);
		assert_int_equal(b.p[b.n], '\0');
	}
	for (int i = 0; i < 1000; i++)
		for (int d = 0, div = 1000; d < 4; d++, div /= 10)
			want[4 * i + d] = (char)('0' + i / div % 10);
	assert_int_equal(b.n, 4000);
	assert_string_equal(b.p, want);
	buf_fini(&b);
	assert_null(b.p);
}

static void kinds_of_append(void **state)
{
	struct buf b = BUF_INIT(0);

	assert_int_equal(buf_add(&b, NULL, 0), 0);
	assert_string_equal(b.p, "");
	assert_int_equal(buf_adds(&b, "a"), 0);
	assert_int_equal(buf_add(&b, "b\0c", 3), 0);
	assert_int_equal(buf_add_slice(&b, SLICE("d")), 0);
	assert_int_equal(buf_add_slice(&b, SLICE_NULL), 0);
	assert_int_equal(buf_addf(&b, "%s", ""), 0);
	assert_int_equal(b.n, 5);
	assert_memory_equal(b.p, "ab\0cd", 6);
	assert_true(slice_eq(buf_slice(&b), slice_of("ab\0cd", 5)));
	buf_fini(&b);
}

/* The maximum counts bytes, whichever way they come and whatever memory is there. */
static void maximum_is_exact_and_sticky(void **state)
{
	for (int kind = 0; kind < 3; kind++) {
		struct buf b = BUF_INIT(10);
		struct slice s = SLICE("0123456789x");

		assert_int_equal(buf_add(&b, "0123456789", 10), 0);
		buf_reset(&b);
		switch (kind) {
		case 0:
			assert_int_equal(buf_add(&b, s.p, s.n), -ERR_LIMIT);
			break;
		case 1:
			assert_int_equal(buf_addf(&b, "%s", s.p), -ERR_LIMIT);
			break;
		default:
			assert_int_equal(buf_add_html(&b, SLICE("<<<")), -ERR_LIMIT);
			break;
		}
		assert_int_equal(b.failed, -ERR_LIMIT);
		assert_int_equal(b.p[b.n], '\0');
		assert_true(b.n <= 10);
		assert_int_equal(buf_adds(&b, "y"), -ERR_LIMIT);
		assert_null(strchr(b.p, 'y'));
		buf_reset(&b);
		assert_int_equal(buf_addf(&b, "%s", "0123456789"), 0);
		assert_string_equal(b.p, "0123456789");
		buf_fini(&b);
	}
}

static void huge_sizes_are_refused(void **state)
{
	struct buf b = BUF_INIT(0);

	assert_int_equal(buf_adds(&b, "a"), 0);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -ERR_LIMIT);
	assert_int_equal(buf_reserve(&b, (size_t)1 << 30), -ERR_LIMIT);
	assert_int_equal(b.failed, 0);
	assert_int_equal(buf_add(&b, "b", 1), 0);
	assert_string_equal(b.p, "ab");
	buf_fini(&b);
}

static void reserve_makes_room_for_direct_writes(void **state)
{
	struct buf b = BUF_INIT(0);
	char *p;
	size_t n;

	assert_int_equal(buf_reserve(&b, 1000), 0);
	assert_true(b.cap - b.n >= 1001);
	memset(b.p, 'x', b.cap);
	b.n = b.cap; /* as read(2) into all that is there does */
	p = buf_take(&b, &n);
	assert_int_equal(strlen(p), n);
	free(p);
}

static void html(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"", ""},
		{"plain", "plain"},
		{"<a href=\"x\">&amp;'</a>", "&lt;a href=&quot;x&quot;&gt;&amp;amp;&#39;&lt;/a&gt;"},
		{"&", "&amp;"},
		{"a&b", "a&amp;b"},
		{"\xc3\xa4", "\xc3\xa4"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT(0);

		assert_int_equal(buf_add_html(&b, slice_str(rows[i].text)), 0);
		assert_string_equal(b.p, rows[i].want);
		buf_fini(&b);
	}
}

static void take_hands_over(void **state)
{
	struct buf b = BUF_INIT(4);
	size_t n = 99;
	char *p;

	p = buf_take(&b, &n);
	assert_string_equal(p, "");
	assert_int_equal(n, 0);
	free(p);
	buf_adds(&b, "abc");
	p = buf_take(&b, NULL);
	assert_string_equal(p, "abc");
	assert_null(b.p);
	assert_int_equal(b.n, 0);
	assert_int_equal(b.max, 4);
	free(p);
	buf_adds(&b, "abcde");
	assert_null(buf_take(&b, &n)); /* frees what was there */
	assert_null(b.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_grows_and_stays_terminated),
		cmocka_unit_test(kinds_of_append),
		cmocka_unit_test(maximum_is_exact_and_sticky),
		cmocka_unit_test(huge_sizes_are_refused),
		cmocka_unit_test(reserve_makes_room_for_direct_writes),
		cmocka_unit_test(html),
		cmocka_unit_test(take_hands_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
