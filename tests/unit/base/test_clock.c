#include "base/clock.h"

#include "base/check.h"
#include "base/err.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void clocks_agree_with_the_system(void **state)
{
	int64_t before = time(NULL), us = clock_wall_us(), mono = clock_mono_ns();

	assert_in_range(us / US_PER_S, before, time(NULL) + 1);
	assert_true(clock_mono_ns() >= mono);
	assert_true(mono > 0);
}

#define UNIQUE_THREADS 4
#define UNIQUE_EACH 20000

static void *take_many(void *arg)
{
	int64_t *out = arg;

	for (int i = 0; i < UNIQUE_EACH; i++)
		out[i] = clock_wall_unique_us();
	return NULL;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void unique_times_increase_over_all_threads(void **state)
{
	int64_t *all = calloc(UNIQUE_THREADS * UNIQUE_EACH, sizeof(*all)), start = clock_wall_us();
	pthread_t threads[UNIQUE_THREADS];

	for (size_t t = 0; t < UNIQUE_THREADS; t++)
		assert_int_equal(pthread_create(&threads[t], NULL, take_many, all + t * UNIQUE_EACH), 0);
	for (size_t t = 0; t < UNIQUE_THREADS; t++)
		pthread_join(threads[t], NULL);
	for (size_t i = 1; i < UNIQUE_THREADS * UNIQUE_EACH; i++)
		assert_true(i % UNIQUE_EACH == 0 || all[i] > all[i - 1]);
	qsort(all, UNIQUE_THREADS * UNIQUE_EACH, sizeof(*all), compare);
	assert_true(all[0] >= start);
	for (size_t i = 1; i < UNIQUE_THREADS * UNIQUE_EACH; i++)
		assert_true(all[i] > all[i - 1]);
	free(all);
}

#define S(n) (INT64_C(n) * US_PER_S)

static void iso_written(void **state)
{
	static const struct {
		int64_t us;
		const char *want;
	} rows[] = {
		{0, "1970-01-01T00:00:00Z"},
		{1, "1970-01-01T00:00:00.000001Z"},
		{-1, "1969-12-31T23:59:59.999999Z"},
		{S(951782400), "2000-02-29T00:00:00Z"},
		{S(1769862896) + 123456, "2026-01-31T12:34:56.123456Z"},
		{S(253402300799) + 999999, "9999-12-31T23:59:59.999999Z"},
		{S(-62167219200), "0000-01-01T00:00:00Z"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[CLOCK_ISO_MAX];

		assert_string_equal(clock_iso(rows[i].us, out), rows[i].want);
	}
}

static void the_largest_times_fit(void **state)
{
	char out[CLOCK_ISO_MAX];

	assert_string_equal(clock_iso(INT64_MAX, out), "294247-01-10T04:00:54.775807Z");
	assert_string_equal(clock_iso(INT64_MIN, out), "-290308-12-21T19:59:05.224192Z");
	assert_string_equal(clock_http(INT64_MAX, out), "Fri, 31 Dec 9999 23:59:59 GMT");
	assert_string_equal(clock_http(INT64_MIN, out), "Sat, 01 Jan 0000 00:00:00 GMT");
}

static void iso_read(void **state)
{
	static const struct {
		const char *text;
		int64_t us;
	} rows[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-01-31T12:34:56.123456Z", S(1769862896) + 123456},
		{"2026-01-31T12:34:56.123456789Z", S(1769862896) + 123456},
		{"2026-01-31t12:34:56,5z", S(1769862896) + 500000},
		{"2026-01-31 12:34:56", S(1769862896)},
		{"2026-01-31T12:34", S(1769862840)},
		{"2026-01-31T12:34Z", S(1769862840)},
		{"2026-01-31T14:34:56+02:00", S(1769862896)},
		{"2026-01-31T14:34:56+0200", S(1769862896)},
		{"2026-01-31T14:34:56+02", S(1769862896)},
		{"2026-01-31T07:04-05:30", S(1769862840)},
		{"2016-12-31T23:59:60Z", S(1483228800)}, /* leap second */
		{"2000-02-29T00:00Z", S(951782400)},
	};
	static const char *const bad[] = {"", "2026", "2026-01-31", "2026-1-31T12:34", "2026-13-01T00:00",
		"2026-00-01T00:00", "2026-02-29T00:00", "1900-02-29T00:00", "2026-04-31T00:00", "2026-01-00T00:00",
		"2026-01-31T24:00", "2026-01-31T12:60", "2026-01-31T12:34:61", "2026-01-31T12:34:56.",
		"2026-01-31T12:34:56.Z", "2026-01-31T12:34:56ZZ", "2026-01-31T12:34:56 Z", "2026-01-31T12:34:56+",
		"2026-01-31T12:34:56+2", "2026-01-31T12:34:56+02:", "2026-01-31T12:34:56+24:00",
		"2026-01-31T12:34:56+02:60", "2026-01-31T12:34:", "-026-01-31T12:34", " 2026-01-31T12:34",
		"2026-01-31T12:34 ", "20260131T1234"};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t us = -1;

		assert_int_equal(clock_iso_parse(slice_str(rows[i].text), &us), 0);
		assert_true(us == rows[i].us);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int64_t us = -1;

		assert_int_equal(clock_iso_parse(slice_str(bad[i]), &us), -ERR_PARSE);
		assert_true(us == -1);
	}
	assert_int_equal(clock_iso_parse(slice_of("2026-01-31T12:34\0", 17), &(int64_t){0}), -ERR_PARSE);
}

/* libc's calendar is the oracle, over four centuries and around their ends. */
static void calendar_agrees_with_libc(void **state)
{
	for (int64_t s = INT64_C(-12219292800); s < INT64_C(13569465600); s += INT64_C(86400) * 17 + 3607) {
		char out[CLOCK_HTTP_MAX], want[64], iso[CLOCK_ISO_MAX];
		time_t t = (time_t)s;
		int64_t back = 0;
		struct tm tm;

		assert_non_null(gmtime_r(&t, &tm));
		strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		assert_string_equal(clock_http(s, out), want);
		assert_int_equal(clock_http_parse(slice_str(out), &back), 0);
		assert_true(back == s);
		assert_int_equal(clock_iso_parse(slice_str(clock_iso(s * US_PER_S, iso)), &back), 0);
		assert_true(back == s * US_PER_S);
	}
}

static void http_read(void **state)
{
	static const struct {
		const char *text;
		int64_t s;
	} rows[] = {
		/* the three forms of RFC 9110 §5.6.7 */
		{"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
		{"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
		{"Sun Nov  6 08:49:37 1994", 784111777},
		{"Wed Nov 16 08:49:37 1994", 784975777},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"Wed, 31 Dec 1969 23:59:59 GMT", -1},
		{"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
		{"Mon, 06 Nov 1994 08:49:37 GMT", 784111777}, /* it was a Sunday: not looked at */
		{"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
	};
	static const char *const bad[] = {"", "0", "Sun", "Sun,", "Sunday", "06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 GMT ",
		" Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT",
		"Sun, 06 nov 1994 08:49:37 GMT", "sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Xxx 1994 08:49:37 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 1994 8:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT; length=5", "Sun, 06-Nov-94 08:49:37 GMT",
		"Sunday, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994",
		"Sun Nov  6 08:49:37 94", "Sun Nov  6 08:49:37 1994 GMT", "Sun Nov   08:49:37 1994",
		"Sun, -6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov +994 08:49:37 GMT"};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t s = -7;

		assert_int_equal(clock_http_parse(slice_str(rows[i].text), &s), 0);
		assert_true(s == rows[i].s);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int64_t s = -7;

		assert_int_equal(clock_http_parse(slice_str(bad[i]), &s), -ERR_PARSE);
		assert_true(s == -7);
	}
}

/* Two digits of a year mean a time that is at most 50 years ahead: whatever the year in which this test runs. */
static void two_digit_years_lie_within_a_century(void **state)
{
	static const char *const days[] = {"Monday", "Sunday"};
	int64_t now = clock_wall_us() / US_PER_S, year_s = 31556952;

	for (int year = 0; year < 100; year++) {
		char text[64];
		int64_t s;
		struct tm tm;

		snprintf(text, sizeof(text), "%s, 15-Jun-%02d 12:00:00 GMT", days[year % 2], year);
		assert_int_equal(clock_http_parse(slice_str(text), &s), 0);
		assert_true(s < now + 50 * year_s + 86400 * 5);
		assert_true(s > now - 50 * year_s - 86400 * 5);
		assert_non_null(gmtime_r(&(time_t){(time_t)s}, &tm));
		assert_int_equal(tm.tm_year % 100, year);
		assert_int_equal(tm.tm_mon, 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clocks_agree_with_the_system),
		cmocka_unit_test(unique_times_increase_over_all_threads),
		cmocka_unit_test(iso_written),
		cmocka_unit_test(the_largest_times_fit),
		cmocka_unit_test(iso_read),
		cmocka_unit_test(calendar_agrees_with_libc),
		cmocka_unit_test(http_read),
		cmocka_unit_test(two_digit_years_lie_within_a_century),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
