/* The Range field. */
#include "http/range.h"

#include "base/buf.h"
#include "base/check.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* The ranges as text: "0-4 7-9" (last byte, as in the field). */
static int parse(const char *value, int64_t size, struct buf *out)
{
	struct http_range r[HTTP_RANGES_MAX];
	int rc = http_range_parse(slice_str(value), size, r, HTTP_RANGES_MAX);

	*out = BUF_INIT(1 << 16);
	buf_adds(out, "");
	for (int i = 0; i < rc; i++) {
		assert_true(r[i].from >= 0 && r[i].from < r[i].to && r[i].to <= size);
		buf_addf(out, "%s%" PRId64 "-%" PRId64, i > 0 ? " " : "", r[i].from, r[i].to - 1);
	}
	return rc;
}

#define HUGE_NUMBER "99999999999999999999999"

static const struct {
	const char *value;
	int64_t size;
	const char *want; /* ranges; "all": the field is ignored; "none": 416 */
} rows[] = {
	{"bytes=0-0", 20, "0-0"},
	{"bytes=0-4", 20, "0-4"},
	{"bytes=5-", 20, "5-19"},
	{"bytes=19-19", 20, "19-19"},
	{"bytes=-3", 20, "17-19"},
	{"bytes=-20", 20, "0-19"},
	{"bytes=-999", 20, "0-19"},
	{"bytes=0-999", 20, "0-19"},
	{"bytes=0-" HUGE_NUMBER, 20, "0-19"},
	{"bytes=-" HUGE_NUMBER, 20, "0-19"},
	{"BYTES=0-4", 20, "0-4"},
	{"bytes=007-0008", 20, "7-8"},
	{"bytes=9223372036854775806-", INT64_MAX, "9223372036854775806-9223372036854775806"},
	{"bytes=0-9223372036854775807", INT64_MAX, "0-9223372036854775806"},

	/* several: the order is the client's */
	{"bytes=0-1,5-6,-2", 20, "0-1 5-6 18-19"},
	{"bytes=5-6,0-1", 20, "5-6 0-1"},
	{"bytes= 0-1 ,\t5-6 , ", 20, "0-1 5-6"},
	{"bytes=,,0-1,,", 20, "0-1"},
	{"bytes=3-4,100-", 20, "3-4"},
	{"bytes=100-,3-4,200-201", 20, "3-4"},
	{"bytes=0-9,0-9,0-9,0-9", 20, "0-9 0-9 0-9 0-9"},
	/* more than twice the whole */
	{"bytes=0-9,0-9,0-9,0-9,0-0", 20, "all"},
	{"bytes=0-,0-,0-", 20, "all"},
	{"bytes=0-,0-,0-", INT64_MAX, "all"},

	/* none is satisfiable */
	{"bytes=20-", 20, "none"},
	{"bytes=20-30", 20, "none"},
	{"bytes=" HUGE_NUMBER "-", 20, "none"},
	{"bytes=-0", 20, "none"},
	{"bytes=20-,30-,-0", 20, "none"},
	{"bytes=0-", 0, "none"},
	{"bytes=0-0", 0, "none"},
	{"bytes=-5", 0, "none"},

	/* no range at all: the field is to be ignored */
	{"", 20, "all"},
	{"bytes", 20, "all"},
	{"bytes=", 20, "none"},
	{"bytes=,", 20, "none"},
	{"bytes=-", 20, "none"},
	{"bytes=--5", 20, "none"},
	{"bytes=5", 20, "none"},
	{"bytes=a-b", 20, "none"},
	{"bytes=5-2", 20, "none"},
	{"bytes=0-1,5-2", 20, "none"},
	{"bytes=0-1;2-3", 20, "none"},
	{"bytes=0 - 1", 20, "none"},
	{"bytes=0x1-2", 20, "none"},
	{"bytes=+1-2", 20, "none"},
	{"bytes =0-1", 20, "all"},
	{" bytes=0-1", 20, "all"},
	{"lines=0-1", 20, "all"},
	{"bytes=0-1", -1, "all"},
};

static void test_ranges(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf got;
		int rc = parse(rows[i].value, rows[i].size, &got);
		const char *is = rc == 0 ? "all" : rc == -416 ? "none" : got.p;

		if (strcmp(is, rows[i].want) != 0)
			fail_msg("%s of %" PRId64 ": %s (%d)", rows[i].value, rows[i].size, is, rc);
		buf_fini(&got);
	}
}

static void test_no_field(void **state)
{
	struct http_range r;

	assert_int_equal(http_range_parse(SLICE_NULL, 20, &r, 1), 0);
}

static void test_as_many_as_a_zchunk_client_asks_for(void **state)
{
	struct http_range r[HTTP_RANGES_MAX];
	struct buf value = BUF_INIT(1 << 16);

	buf_adds(&value, "bytes=");
	for (int i = 0; i < HTTP_RANGES_MAX; i++)
		buf_addf(&value, "%s%d-%d", i > 0 ? "," : "", 10 * i, 10 * i + 4);
	assert_int_equal(http_range_parse(buf_slice(&value), 1 << 20, r, HTTP_RANGES_MAX), HTTP_RANGES_MAX);
	assert_int_equal(r[HTTP_RANGES_MAX - 1].to, 10 * (HTTP_RANGES_MAX - 1) + 5);
	/* One more is an attack, even if it is not satisfiable. */
	buf_adds(&value, ",99999999-");
	assert_int_equal(http_range_parse(buf_slice(&value), 1 << 20, r, HTTP_RANGES_MAX), 0);
	buf_fini(&value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_no_field),
		cmocka_unit_test(test_as_many_as_a_zchunk_client_asks_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
