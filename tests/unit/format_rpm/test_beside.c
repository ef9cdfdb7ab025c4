/* filelists.xml read beside primary.xml, in order and out of it. The host hands over what the test has written, a few bytes at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "formats/rpm/beside.h"

#undef fail /* cmocka's; here it is a function of the host */

static struct buf file = BUF_INIT(0);
static size_t at, reads;
static int (*take)(void *arg, const char *p, size_t n);
static void *take_arg;
static char failure[512];

static int read_begin(struct sluice_sync *s, const char *save_as, int (*fn)(void *arg, const char *p, size_t n),
	void *arg, struct sluice_reading **out)
{
	take = fn;
	take_arg = arg;
	at = reads = 0;
	*out = (struct sluice_reading *)(void *)&at;
	return 0;
}

static int read_more(struct sluice_sync *s, struct sluice_reading *r)
{
	size_t n = MIN(file.n - at, 1000);
	int rc = n > 0 ? take(take_arg, file.p + at, n) : 0;

	reads++;
	at += n;
	return rc != 0 ? rc : n > 0;
}

__attribute__((format(printf, 2, 3))) static int say(struct sluice_sync *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(failure, sizeof(failure), fmt, ap);
	va_end(ap);
	return -ERR_UPSTREAM;
}

static const struct sluice_sync_host host = {.read_begin = read_begin, .read_more = read_more, .fail = say};

static struct slice id_of(int i)
{
	static char text[65];

	(void)snprintf(text, sizeof(text), "%064x", i);
	return slice_str(text);
}

static void begin(struct beside *b, int packages)
{
	buf_reset(&file);
	buf_adds(&file, "<filelists>");
	for (int i = 0; i < packages; i++)
		buf_addf(&file, "<package pkgid='%s'><file>/%d</file></package>", id_of(i).p, i);
	buf_adds(&file, "</filelists>");
	assert_int_equal(beside_init(b, &host, NULL, "filelists.xml", "filelists", "f"), 0);
}

static void expect(struct beside *b, int i)
{
	struct slice got;
	char want[64];

	(void)snprintf(want, sizeof(want), "<file>/%d</file>\n", i);
	assert_int_equal(beside_find(b, id_of(i), &got), 0);
	assert_true(slice_eq(got, slice_str(want)));
}

static void in_order(void **state)
{
	struct beside b;

	begin(&b, 1000);
	expect(&b, 0);
	assert_int_equal(reads, 1); /* no further than needed */
	for (int i = 0; i < 1000; i++) {
		expect(&b, i);
		expect(&b, i); /* at two places of the repository */
	}
	beside_fini(&b);
}

static void out_of_order(void **state)
{
	struct slice got;
	struct beside b;

	begin(&b, 500);
	for (int i = 499; i >= 0; i -= 3)
		expect(&b, i);
	expect(&b, 0);
	assert_int_equal(beside_find(&b, id_of(1000), &got), 0);
	assert_int_equal(got.n, 0);
	beside_fini(&b);
}

/* However far it has been read when that is known. */
static void skipped(void **state)
{
	struct slice got;
	struct beside b;

	begin(&b, BESIDE_PACKAGES_MAX + 500);
	expect(&b, 0);
	for (int i = 1; i < BESIDE_PACKAGES_MAX + 499; i++)
		assert_int_equal(beside_skip(&b, id_of(i)), 0);
	assert_int_equal(reads, 1);
	assert_true(beside_skipped(&b, id_of(1)));
	assert_false(beside_skipped(&b, id_of(0)));
	expect(&b, BESIDE_PACKAGES_MAX + 499); /* not too far ahead */
	assert_int_equal(beside_find(&b, id_of(1), &got), 0);
	assert_int_equal(got.n, 0);
	assert_int_equal(beside_find(&b, id_of(BESIDE_PACKAGES_MAX), &got), 0);
	assert_int_equal(got.n, 0);
	beside_fini(&b);
}

static void none(void **state)
{
	struct slice got;
	struct beside b;

	assert_int_equal(beside_init(&b, &host, NULL, "filelists.xml", "filelists", NULL), 0);
	assert_int_equal(beside_find(&b, id_of(1), &got), 0);
	assert_int_equal(got.n, 0);
	beside_fini(&b);
}

static void too_far_ahead(void **state)
{
	struct slice got;
	struct beside b;

	begin(&b, BESIDE_PACKAGES_MAX + 500);
	assert_int_equal(beside_find(&b, id_of(BESIDE_PACKAGES_MAX + 499), &got), -ERR_UPSTREAM);
	assert_non_null(strstr(failure, "filelists.xml: its packages are in another order"));
	beside_fini(&b);
}

static void broken(void **state)
{
	struct slice got;
	struct beside b;

	begin(&b, 3);
	file.n -= 5;
	assert_int_equal(beside_find(&b, id_of(9), &got), -ERR_UPSTREAM);
	assert_non_null(strstr(failure, "filelists.xml: line 1:"));
	beside_fini(&b);
	buf_fini(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(out_of_order),
		cmocka_unit_test(skipped),
		cmocka_unit_test(none),
		cmocka_unit_test(too_far_ahead),
		cmocka_unit_test(broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
