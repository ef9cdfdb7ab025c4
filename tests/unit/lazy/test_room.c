/* The bound on staging bytes: who gets none of it is told at once, who has some goes on, and all of it is given back. */
#include "readers.h"

#include "base/metrics.h"

#include <stdio.h>
#include <string.h>

static void open_with(struct lab *l, struct unit *u, int64_t max)
{
	lab_open(l, 2, 100);
	l->stock.settings.content_holdback = 64 * KIB;
	l->stock.settings.storage_staging_max = max;
	unit_new(u, l, "a", MIB, 1, POLICY_ON_DEMAND);
	lab_start(l);
}

static void close_with(struct lab *l, struct unit *u)
{
	lab_close(l);
	unit_free(u);
	assert_int_equal(metric_get(M_staging_bytes), 0);
}

static void refused(struct lab *l, const struct unit *u, const char *target)
{
	struct reader r;

	assert_int_equal(read_all(l, &r, &u->want), -ERR_STAGING);
	assert_int_equal(r.n, 0);
	assert_non_null(strstr(r.err.msg, "storage.staging_max"));
	assert_false(r.try_alone);
	assert_int_equal(origin_hits(l->origin, target), 0);
	reader_fini(&r);
}

static void test_what_is_declared_is_taken_at_the_start_and_given_back(void **state)
{
	struct reader first, second;
	struct lab l;
	struct unit a, b;

	open_with(&l, &a, 2 * MIB - 1);
	unit_new(&b, &l, "b", MIB, 2, POLICY_ON_DEMAND);
	ORIGIN_PUT(l.origin, "/a", {.body = a.body, .size = MIB, .gate = 1, .gate_at = 500 * KIB});
	reader_init(&first, &l, 0, &a.want);
	reader_start(&first);
	reader_wait_bytes(&first, 1);
	assert_int_equal(metric_get(M_staging_bytes), MIB);
	refused(&l, &b, "/b");
	/* Who joins what runs needs none. */
	reader_init(&second, &l, 1, &a.want);
	reader_start(&second);
	reader_wait_bytes(&second, 1);
	assert_int_equal(metric_get(M_staging_bytes), MIB);
	origin_open(l.origin, 1);
	assert_int_equal(reader_wait(&first), 0);
	assert_right(&first, a.body, a.size);
	assert_int_equal(reader_wait(&second), 0);
	reader_fini(&first);
	reader_fini(&second);
	assert_int_equal(read_all(&l, &first, &b.want), 0);
	assert_right(&first, b.body, b.size);
	reader_fini(&first);
	unit_free(&b);
	close_with(&l, &a);
}

static void test_more_than_the_bound_is_never_begun(void **state)
{
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB - 1);
	refused(&l, &u, "/a");
	close_with(&l, &u);
}

static void test_just_the_bound_is_served_again_and_again(void **state)
{
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	for (int i = 0; i < 3; i++) {
		struct reader r;
		struct unit next;
		char name[8];

		snprintf(name, sizeof(name), "n%d", i);
		unit_new(&next, &l, name, MIB, (unsigned)i + 7, POLICY_ON_DEMAND);
		assert_int_equal(read_all(&l, &r, &next.want), 0);
		assert_right(&r, next.body, next.size);
		reader_fini(&r);
		unit_free(&next);
	}
	close_with(&l, &u);
}

/* Asks for 1 MiB under a bound of 700 KiB, of a size that only the upstream may tell: refused in any case, and never saved. Bytes that came. */
static int64_t ask_for_an_unknown_size(bool upstream_tells)
{
	struct reader r;
	struct lab l;
	struct unit u;
	int64_t n;

	open_with(&l, &u, 700 * KIB);
	u.want.size = -1;
	stock_exec(&l.stock, "UPDATE remote_artifact SET size = NULL WHERE content_artifact_id = $1", u.ca);
	if (!upstream_tells)
		ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .framing = ORIGIN_CHUNKED});
	assert_int_equal(read_all(&l, &r, &u.want), -ERR_STAGING);
	assert_true(r.n <= 700 * KIB && memcmp(r.data, u.body, (size_t)r.n) == 0);
	n = r.n;
	reader_fini(&r);
	assert_false(stock_has(&l.stock, &u.digests));
	close_with(&l, &u);
	return n;
}

static void test_a_size_that_nobody_tells_ends_at_the_bound(void **state)
{
	(void)ask_for_an_unknown_size(false);
}

static void test_a_size_that_upstream_tells_is_taken_then(void **state)
{
	assert_int_equal(ask_for_an_unknown_size(true), 0);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_what_is_declared_is_taken_at_the_start_and_given_back),
		T(test_more_than_the_bound_is_never_begun),
		T(test_just_the_bound_is_served_again_and_again),
		T(test_a_size_that_nobody_tells_ends_at_the_bound),
		T(test_a_size_that_upstream_tells_is_taken_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
