/* The window of a `streamed` flight: what is behind its readers is given back, the download waits for them, and nobody gets a hole to read. */
#include "readers.h"

#include "base/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE (24 * MIB)
#define WINDOW (4 * MIB)

static void open_with(struct lab *l, struct unit *u, enum policy policy)
{
	lab_open(l, 2, 100);
	l->stock.settings.content_holdback = 64 * KIB;
	l->stock.settings.content_streamed_window = WINDOW;
	unit_new(u, l, "a", SIZE, 1, policy);
	lab_start(l);
}

static void close_with(struct lab *l, struct unit *u)
{
	lab_close(l);
	unit_free(u);
	assert_int_equal(metric_get(M_staging_bytes), 0);
}

static int64_t given_back(int64_t since)
{
	return metric_get(M_staging_punched_bytes) - since;
}

/* What a connection has under way besides: libcurl's piece in hand. */
#define SLACK (1 * MIB)

static void test_the_download_waits_for_its_only_reader(void **state)
{
	int64_t punched = metric_get(M_staging_punched_bytes), fetched = metric_get(M_fetch_bytes);
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, POLICY_STREAMED);
	reader_init(&r, &l, 0, &u.want);
	r.pause_at = 2 * MIB;
	reader_start(&r);
	reader_wait_bytes(&r, 2 * MIB);
	for (int64_t at = 2 * MIB; at <= 16 * MIB; at += 2 * MIB) {
		reader_go(&r, at);
		reader_wait_bytes(&r, at);
		WAIT_FOR(metric_get(M_fetch_bytes) - fetched >= at + WINDOW - MIB);
		WAIT_FOR(at <= WINDOW || given_back(punched) >= at - 2 * MIB);
		assert_true(metric_get(M_fetch_bytes) - fetched <= at + WINDOW + 2 * SLACK);
		/* The room goes with the bytes. */
		assert_true(metric_get(M_staging_bytes) <= SIZE - given_back(punched) + MIB);
	}
	reader_go(&r, -1);
	assert_int_equal(reader_wait(&r), 0);
	assert_right(&r, u.body, u.size);
	assert_int_equal(origin_hits(l.origin, "/a"), 1);
	reader_fini(&r);
	close_with(&l, &u);
}

static void test_a_slow_reader_slows_nobody(void **state)
{
	struct reader slow, fast;
	struct lab l;
	struct unit u;

	open_with(&l, &u, POLICY_STREAMED);
	reader_init(&slow, &l, 0, &u.want);
	slow.pause_at = 1;
	reader_start(&slow);
	reader_wait_bytes(&slow, 1);
	reader_init(&fast, &l, 1, &u.want);
	reader_start(&fast);
	assert_int_equal(reader_wait(&fast), 0);
	assert_right(&fast, u.body, u.size);
	reader_fini(&fast);
	reader_go(&slow, -1);
	assert_int_equal(reader_wait(&slow), 0);
	assert_right(&slow, u.body, u.size);
	assert_int_equal(origin_hits(l.origin, "/a"), 1);
	reader_fini(&slow);
	close_with(&l, &u);
}

static void test_who_comes_after_the_first_hole_starts_anew(void **state)
{
	int64_t punched = metric_get(M_staging_punched_bytes);
	struct reader first, late;
	struct lab l;
	struct unit u;

	open_with(&l, &u, POLICY_STREAMED);
	reader_init(&first, &l, 0, &u.want);
	first.pause_at = 8 * MIB;
	reader_start(&first);
	WAIT_FOR(given_back(punched) > 0);
	assert_int_equal(read_all(&l, &late, &u.want), 0);
	assert_right(&late, u.body, u.size);
	assert_int_equal(origin_hits(l.origin, "/a"), 2);
	reader_fini(&late);
	reader_go(&first, -1);
	assert_int_equal(reader_wait(&first), 0);
	assert_right(&first, u.body, u.size);
	reader_fini(&first);
	close_with(&l, &u);
}

/* With and without ranges at the upstream. */
static void test_a_break_behind_a_hole_is_continued(void **state)
{
	for (int ranges = 0; ranges < 2; ranges++) {
		int64_t punched = metric_get(M_staging_punched_bytes);
		struct reader r;
		struct lab l;
		struct unit u;

		open_with(&l, &u, POLICY_STREAMED);
		ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = SIZE, .cut = 15 * MIB, .end = ORIGIN_CLOSE},
			{.ranges = ranges, .body = u.body, .size = SIZE});
		assert_int_equal(read_all(&l, &r, &u.want), 0);
		assert_right(&r, u.body, u.size);
		assert_true(given_back(punched) > 0);
		assert_int_equal(origin_hits(l.origin, "/a"), 2);
		reader_fini(&r);
		close_with(&l, &u);
	}
}

/* The next source is on_demand, but what the first one's readers are through with is gone. */
static void test_what_has_holes_is_never_saved(void **state)
{
	int64_t punched = metric_get(M_staging_punched_bytes);
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, POLICY_STREAMED);
	ORIGIN_PUT(
		l.origin, "/a", {.body = u.body, .size = SIZE, .cut = 15 * MIB, .end = ORIGIN_CLOSE}, {.status = 404});
	ORIGIN_PUT(l.origin, "/b", {.ranges = true, .body = u.body, .size = SIZE});
	unit_add_source(&u, &l, "b", origin_url(l.origin, "/b"));
	assert_int_equal(read_all(&l, &r, &u.want), 0);
	assert_right(&r, u.body, u.size);
	assert_true(given_back(punched) > 0);
	reader_fini(&r);
	assert_false(stock_has(&l.stock, &u.digests));
	close_with(&l, &u);
}

static void test_wrong_bytes_are_found_in_spite_of_holes(void **state)
{
	char *wrong = bytes_new(SIZE, 1);
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, POLICY_STREAMED);
	wrong[MIB] ^= 1;
	ORIGIN_PUT(l.origin, "/a", {.body = wrong, .size = SIZE});
	assert_int_equal(read_all(&l, &r, &u.want), -ERR_DIGEST);
	assert_true(r.seen <= SIZE - 64 * KIB);
	reader_fini(&r);
	close_with(&l, &u);
	free(wrong);
}

/* A reader of a range needs what is far ahead of a window in which nobody reads. */
static void test_a_range_far_ahead_is_reached(void **state)
{
	for (int ranges = 0; ranges < 2; ranges++) {
		struct reader r, whole;
		struct lab l;
		struct unit u;

		open_with(&l, &u, POLICY_STREAMED);
		ORIGIN_PUT(l.origin, "/a", {.ranges = ranges, .body = u.body, .size = SIZE});
		reader_init(&whole, &l, 1, &u.want);
		whole.pause_at = MIB;
		reader_start(&whole);
		reader_wait_bytes(&whole, MIB);
		reader_init(&r, &l, 0, &u.want);
		r.from = 20 * MIB;
		r.to = 21 * MIB;
		reader_start(&r);
		assert_int_equal(reader_wait(&r), 0);
		assert_right(&r, u.body + 20 * MIB, MIB);
		reader_fini(&r);
		reader_go(&whole, -1);
		assert_int_equal(reader_wait(&whole), 0);
		assert_right(&whole, u.body, u.size);
		reader_fini(&whole);
		close_with(&l, &u);
	}
}

static void test_other_policies_keep_all(void **state)
{
	int64_t punched = metric_get(M_staging_punched_bytes), fetched = metric_get(M_fetch_bytes);
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, POLICY_ON_DEMAND);
	reader_init(&r, &l, 0, &u.want);
	r.pause_at = 1;
	reader_start(&r);
	WAIT_FOR(metric_get(M_fetch_bytes) - fetched == SIZE);
	reader_go(&r, -1);
	assert_int_equal(reader_wait(&r), 0);
	assert_right(&r, u.body, u.size);
	assert_int_equal(given_back(punched), 0);
	assert_true(stock_has(&l.stock, &u.digests));
	reader_fini(&r);
	close_with(&l, &u);
}

static void test_a_drain_ends_what_waits_for_its_readers(void **state)
{
	int64_t punched = metric_get(M_staging_punched_bytes);
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, POLICY_STREAMED);
	reader_init(&r, &l, 0, &u.want);
	r.pause_at = 8 * MIB;
	reader_start(&r);
	WAIT_FOR(given_back(punched) > 0);
	lazy_drain(l.lazy, 0);
	reader_go(&r, -1);
	assert_int_equal(reader_wait(&r), -ERR_CANCELED);
	reader_fini(&r);
	close_with(&l, &u);
}

/* The slow one goes away: the download need not wait for it any more, and what it kept is given back. */
static void test_a_reader_that_leaves_keeps_nothing(void **state)
{
	int64_t punched = metric_get(M_staging_punched_bytes);
	struct reader slow, other;
	struct lab l;
	struct unit u;

	open_with(&l, &u, POLICY_STREAMED);
	reader_init(&slow, &l, 0, &u.want);
	slow.pause_at = 1;
	reader_start(&slow);
	reader_wait_bytes(&slow, 1);
	reader_init(&other, &l, 1, &u.want);
	other.pause_at = 8 * MIB;
	reader_start(&other);
	reader_wait_bytes(&other, 8 * MIB);
	assert_int_equal(given_back(punched), 0);
	reader_leave(&slow);
	WAIT_FOR(given_back(punched) >= 7 * MIB);
	reader_go(&other, -1);
	assert_int_equal(reader_wait(&other), 0);
	assert_right(&other, u.body, u.size);
	reader_fini(&slow);
	reader_fini(&other);
	close_with(&l, &u);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_the_download_waits_for_its_only_reader),
		T(test_a_slow_reader_slows_nobody),
		T(test_who_comes_after_the_first_hole_starts_anew),
		T(test_a_break_behind_a_hole_is_continued),
		T(test_what_has_holes_is_never_saved),
		T(test_wrong_bytes_are_found_in_spite_of_holes),
		T(test_a_range_far_ahead_is_reached),
		T(test_other_policies_keep_all),
		T(test_a_drain_ends_what_waits_for_its_readers),
		T(test_a_reader_that_leaves_keeps_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
