/* If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, If-Range. */
#include "http/range.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOON INT64_C(784111777) /* Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 */
#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"
#define LATER "Sun, 06 Nov 1994 08:49:38 GMT"
#define EARLIER "Sun, 06 Nov 1994 08:49:36 GMT"

#define FIELDS_MAX 4

/* "Name: value\nName: value" */
static struct http_request request_of(const char *fields, struct http_header headers[FIELDS_MAX])
{
	struct slice rest = slice_str(fields);
	struct http_request r = {.headers = headers};

	while (rest.n > 0) {
		struct slice line = slice_cut(&rest, '\n'), name = slice_cut(&line, ':');

		assert_true(r.header_count < FIELDS_MAX);
		headers[r.header_count++] = (struct http_header){name, slice_trim(line)};
	}
	return r;
}

static const struct {
	const char *fields;
	const char *etag; /* of the representation */
	int64_t date;
	int want;
} conditions[] = {
	{"", "\"a\"", NOON, 0},
	{"Range: bytes=0-1", "\"a\"", NOON, 0},

	{"If-None-Match: \"a\"", "\"a\"", NOON, 304},
	{"if-none-match: \"a\"", "\"a\"", NOON, 304},
	{"If-None-Match: \"b\"", "\"a\"", NOON, 0},
	{"If-None-Match: *", "\"a\"", NOON, 304},
	{"If-None-Match: *", NULL, NOON, 304},
	{"If-None-Match: \"b\", \"a\"", "\"a\"", NOON, 304},
	{"If-None-Match: \"b\",\"a\"", "\"a\"", NOON, 304},
	{"If-None-Match: , ,\"a\"", "\"a\"", NOON, 304},
	{"If-None-Match: \"b\"\nIf-None-Match: \"a\"", "\"a\"", NOON, 304},
	{"If-None-Match: \"b\"\nIf-None-Match: \"c\"", "\"a\"", NOON, 0},
	{"If-None-Match: W/\"a\"", "\"a\"", NOON, 304},
	{"If-None-Match: \"a\"", "W/\"a\"", NOON, 304},
	{"If-None-Match: \"x,\", \"a\"", "\"a\"", NOON, 304},
	{"If-None-Match: \"x, \"a\"", "\"a\"", NOON, 0}, /* the tag is `"x, "` */
	{"If-None-Match: a", "\"a\"", NOON, 0},
	{"If-None-Match: \"a", "\"a\"", NOON, 0},
	{"If-None-Match: w/\"a\"", "\"a\"", NOON, 0},
	{"If-None-Match: \"\"", NULL, NOON, 0},
	{"If-None-Match:", "\"a\"", NOON, 0},

	{"If-Modified-Since: " DATE, "\"a\"", NOON, 304},
	{"If-Modified-Since: " LATER, "\"a\"", NOON, 304},
	{"If-Modified-Since: " EARLIER, "\"a\"", NOON, 0},
	{"If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT", "\"a\"", NOON, 304},
	{"If-Modified-Since: Sun Nov  6 08:49:37 1994", "\"a\"", NOON, 304},
	{"If-Modified-Since: yesterday", "\"a\"", NOON, 0},
	{"If-Modified-Since: " DATE, "\"a\"", 0, 0},
	/* the tag alone decides where there is one */
	{"If-Modified-Since: " DATE "\nIf-None-Match: \"b\"", "\"a\"", NOON, 0},
	{"If-Modified-Since: " EARLIER "\nIf-None-Match: \"a\"", "\"a\"", NOON, 304},

	{"If-Match: \"a\"", "\"a\"", NOON, 0},
	{"If-Match: \"b\"", "\"a\"", NOON, 412},
	{"If-Match: \"b\"\nIf-Match: \"a\"", "\"a\"", NOON, 0},
	{"If-Match: *", "\"a\"", NOON, 0},
	{"If-Match: W/\"a\"", "\"a\"", NOON, 412},
	{"If-Match: \"a\"", "W/\"a\"", NOON, 412},
	{"If-Match: \"a\"", NULL, NOON, 412},
	{"If-Unmodified-Since: " DATE, "\"a\"", NOON, 0},
	{"If-Unmodified-Since: " EARLIER, "\"a\"", NOON, 412},
	{"If-Unmodified-Since: yesterday", "\"a\"", NOON, 0},
	{"If-Unmodified-Since: " EARLIER, "\"a\"", 0, 0},
	{"If-Match: \"a\"\nIf-Unmodified-Since: " EARLIER, "\"a\"", NOON, 0},
	/* first 412, then 304 */
	{"If-Match: \"b\"\nIf-None-Match: \"a\"", "\"a\"", NOON, 412},
	{"If-Match: \"a\"\nIf-None-Match: \"a\"", "\"a\"", NOON, 304},
	{"If-Unmodified-Since: " EARLIER "\nIf-None-Match: \"a\"", "\"a\"", NOON, 412},
};

static void test_conditions(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
		struct http_header headers[FIELDS_MAX];
		struct http_request r = request_of(conditions[i].fields, headers);
		int rc = http_conditions(&r, slice_str(conditions[i].etag), conditions[i].date);

		if (rc != conditions[i].want)
			fail_msg("row %zu, %s: %d", i, conditions[i].fields, rc);
	}
}

static const struct {
	const char *fields;
	const char *etag;
	int64_t date;
	bool holds;
} if_ranges[] = {
	{"", "\"a\"", NOON, true},
	{"If-Range: \"a\"", "\"a\"", NOON, true},
	{"If-Range: \"b\"", "\"a\"", NOON, false},
	{"If-Range: W/\"a\"", "\"a\"", NOON, false},
	{"If-Range: W/\"a\"", "W/\"a\"", NOON, false},
	{"If-Range: \"a\"", "W/\"a\"", NOON, false},
	{"If-Range: \"a\"", NULL, NOON, false},
	{"If-Range: *", "\"a\"", NOON, false},
	{"If-Range: \"a\", \"b\"", "\"a\"", NOON, false},
	{"If-Range: " DATE, "\"a\"", NOON, true},
	/* not "since": the very date that was sent */
	{"If-Range: " LATER, "\"a\"", NOON, false},
	{"If-Range: " EARLIER, "\"a\"", NOON, false},
	{"If-Range: " DATE, "\"a\"", 0, false},
	{"If-Range: yesterday", "\"a\"", NOON, false},
	{"If-Range:", "\"a\"", NOON, false},
	{"If-Range:", NULL, 0, false},
};

static void test_if_range(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(if_ranges); i++) {
		struct http_header headers[FIELDS_MAX];
		struct http_request r = request_of(if_ranges[i].fields, headers);

		if (http_if_range_holds(&r, slice_str(if_ranges[i].etag), if_ranges[i].date) != if_ranges[i].holds)
			fail_msg("row %zu, %s", i, if_ranges[i].fields);
	}
}

/* What the answer will be, as content asks before the bytes are there. */
static void test_which_part_is_sent(void **state)
{
	static const struct {
		enum http_method method;
		const char *fields;
		int64_t size;
		int want;
		int64_t from, to;
	} rows[] = {
		{HTTP_GET, "", 100, 0, 0, 0},
		{HTTP_GET, "Range: bytes=10-19", 100, 1, 10, 20},
		{HTTP_GET, "Range: bytes=-5", 100, 1, 95, 100},
		{HTTP_GET, "Range: bytes=50-59,0-9", 100, 2, 50, 60},
		{HTTP_GET, "Range: bytes=100-", 100, -416, 0, 0},
		{HTTP_GET, "Range: bytes=10-19", -1, 0, 0, 0},
		{HTTP_HEAD, "Range: bytes=10-19", 100, 0, 0, 0},
		{HTTP_GET, "Range: bytes=10-19\nIf-Range: \"a\"", 100, 1, 10, 20},
		{HTTP_GET, "Range: bytes=10-19\nIf-Range: \"b\"", 100, 0, 0, 0},
		{HTTP_GET, "Range: bytes=10-19\nIf-None-Match: \"a\"", 100, -304, 0, 0},
		{HTTP_HEAD, "If-None-Match: \"a\"", 100, -304, 0, 0},
		{HTTP_GET, "Range: bytes=100-\nIf-Match: \"b\"", 100, -412, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct http_range got[HTTP_RANGES_MAX];
		struct http_header headers[FIELDS_MAX];
		struct http_request r = request_of(rows[i].fields, headers);

		r.method = rows[i].method;
		if (http_select_part(&r, SLICE("\"a\""), NOON, rows[i].size, got) != rows[i].want)
			fail_msg("row %zu: %s", i, rows[i].fields);
		if (rows[i].want > 0) {
			assert_int_equal(got[0].from, rows[i].from);
			assert_int_equal(got[0].to, rows[i].to);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_if_range),
		cmocka_unit_test(test_which_part_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
