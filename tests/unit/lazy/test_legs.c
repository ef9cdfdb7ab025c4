/* Ranges far ahead of a download: what is asked of upstream, who is served when, and what is left of it when things go wrong. */
#include "readers.h"

#include "base/check.h"
#include "base/metrics.h"

#include <stdlib.h>
#include <string.h>

#define SIZE (24 * MIB)
#define FAR (20 * MIB)
#define PART (300 * KIB)
#define STOP (2 * MIB) /* where the gate holds the download */

static void open_with(struct lab *l, struct unit *u)
{
	lab_open(l, 2, 100);
	unit_new(u, l, "a", SIZE, 1, POLICY_ON_DEMAND);
	lab_start(l);
}

static void close_with(struct lab *l, struct unit *u)
{
	lab_close(l);
	unit_free(u);
}

static void range_init(struct reader *r, struct lab *l, const struct unit *u, int64_t from, int64_t to)
{
	reader_init(r, l, 1, &u->want);
	r->from = from;
	r->to = to;
}

static void assert_range(const struct reader *r, const struct unit *u)
{
	assert_right(r, u->body + r->from, r->to - r->from);
}

/* The download stands at STOP, a reader of all of it sleeps there. */
static void begin_download(struct lab *l, struct unit *u, struct reader *all)
{
	reader_init(all, l, 0, &u->want);
	reader_start(all);
	reader_wait_bytes(all, STOP - 256 * KIB); /* but for the holdback */
}

static void finish_download(struct lab *l, struct unit *u, struct reader *all)
{
	origin_open(l->origin, 1);
	assert_int_equal(reader_wait(all), 0);
	assert_right(all, u->body, u->size);
	reader_fini(all);
}

static void test_is_answered_while_the_download_hangs(void **state)
{
	struct lab l;
	struct unit u;
	struct reader all, r;

	open_with(&l, &u);
	ORIGIN_PUT(l.origin, "/a", {.ranges = true, .body = u.body, .size = SIZE, .gate = 1, .gate_at = STOP},
		{.ranges = true, .body = u.body, .size = SIZE});
	begin_download(&l, &u, &all);
	range_init(&r, &l, &u, FAR, FAR + PART);
	reader_start(&r);
	assert_int_equal(reader_wait(&r), 0);
	assert_range(&r, &u);
	reader_fini(&r);
	/* Just that was asked for, and no more of it is loaded a second time than it has. */
	assert_int_equal(origin_hits(l.origin, "/a"), 2);
	assert_int_equal(origin_range(l.origin, "/a", 2), FAR);
	assert_int_equal(origin_range_last(l.origin, "/a", 2), FAR + PART - 1);
	finish_download(&l, &u, &all);
	assert_int_equal(origin_hits(l.origin, "/a"), 2);
	/* Saved: nobody asks again. */
	assert_int_equal(read_all(&l, &r, &u.want), 0);
	assert_right(&r, u.body, u.size);
	reader_fini(&r);
	assert_int_equal(origin_hits(l.origin, "/a"), 2);
	close_with(&l, &u);
}

/* A client that goes on where another transfer broke off: the download need not bring its part again. */
static void test_the_download_ends_where_the_rest_is_there(void **state)
{
	struct lab l;
	struct unit u;
	struct reader all, r;
	int64_t bytes;

	open_with(&l, &u);
	ORIGIN_PUT(l.origin, "/a", {.ranges = true, .body = u.body, .size = SIZE, .gate = 1, .gate_at = STOP},
		{.ranges = true, .body = u.body, .size = SIZE});
	bytes = metric_get(M_fetch_bytes);
	begin_download(&l, &u, &all);
	range_init(&r, &l, &u, 10 * MIB, SIZE - 1); /* the last byte waits for the digest */
	reader_start(&r);
	assert_int_equal(reader_wait(&r), 0);
	assert_range(&r, &u);
	reader_fini(&r);
	WAIT_FOR(metric_get(M_flight_leg_bytes) > 0 && metric_get(M_fetch_bytes) - bytes >= STOP + 14 * MIB - 1);
	finish_download(&l, &u, &all);
	/* What was under way when the transfer was ended is not looked at. */
	assert_true(metric_get(M_fetch_bytes) - bytes <= SIZE + MIB);
	close_with(&l, &u);
}

/* More than a new request costs lies ready: the download goes on behind it. */
static void test_the_download_jumps_over_much(void **state)
{
	struct lab l;
	struct unit u;
	struct reader all, r;
	int64_t bytes;

	open_with(&l, &u);
	ORIGIN_PUT(l.origin, "/a", {.ranges = true, .body = u.body, .size = SIZE, .gate = 1, .gate_at = STOP},
		{.ranges = true, .body = u.body, .size = SIZE});
	bytes = metric_get(M_fetch_bytes);
	begin_download(&l, &u, &all);
	range_init(&r, &l, &u, 4 * MIB, 16 * MIB);
	reader_start(&r);
	assert_int_equal(reader_wait(&r), 0);
	assert_range(&r, &u);
	reader_fini(&r);
	finish_download(&l, &u, &all);
	assert_int_equal(origin_hits(l.origin, "/a"), 3);
	assert_int_equal(origin_range(l.origin, "/a", 3), 16 * MIB);
	assert_true(metric_get(M_fetch_bytes) - bytes <= SIZE + MIB);
	close_with(&l, &u);
}

/* An installer reads an image in pieces: one more request now and then, and what one reader has fetched serves the others. */
static void test_readers_of_pieces_share(void **state)
{
	struct lab l;
	struct unit u;
	struct reader all, r;
	int hits;

	open_with(&l, &u);
	ORIGIN_PUT(l.origin, "/a", {.ranges = true, .body = u.body, .size = SIZE, .gate = 1, .gate_at = STOP},
		{.ranges = true, .body = u.body, .size = SIZE});
	begin_download(&l, &u, &all);
	for (int64_t at = FAR; at < FAR + 32 * 64 * KIB; at += 64 * KIB) {
		range_init(&r, &l, &u, at, at + 64 * KIB);
		reader_start(&r);
		assert_int_equal(reader_wait(&r), 0);
		assert_range(&r, &u);
		reader_fini(&r);
	}
	hits = origin_hits(l.origin, "/a");
	assert_in_range(hits, 2, 8); /* each time as much again */
	range_init(&r, &l, &u, FAR + 100, FAR + MIB);
	reader_start(&r);
	assert_int_equal(reader_wait(&r), 0);
	assert_range(&r, &u);
	reader_fini(&r);
	assert_int_equal(origin_hits(l.origin, "/a"), hits);
	finish_download(&l, &u, &all);
	close_with(&l, &u);
}

/* 256 KiB are withheld from whoever reads in order, the last byte from everyone. */
static void test_the_last_byte_waits_for_the_digest(void **state)
{
	struct lab l;
	struct unit u;
	struct reader all, r;

	open_with(&l, &u);
	ORIGIN_PUT(l.origin, "/a", {.ranges = true, .body = u.body, .size = SIZE, .gate = 1, .gate_at = STOP},
		{.ranges = true, .body = u.body, .size = SIZE});
	begin_download(&l, &u, &all);
	range_init(&r, &l, &u, SIZE - 1000, SIZE);
	reader_start(&r);
	reader_wait_bytes(&r, 999);
	assert_int_equal(reader_seen(&r), 999);
	finish_download(&l, &u, &all);
	assert_int_equal(reader_wait(&r), 0);
	assert_range(&r, &u);
	reader_fini(&r);
	close_with(&l, &u);
}

/* Upstreams that do not do ranges, or fail at them: the download serves the reader. */
static void test_without_ranges_it_waits_for_the_download(void **state)
{
	struct lab l;
	struct unit u;
	struct reader all, r;

	open_with(&l, &u);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = SIZE, .gate = 1, .gate_at = STOP},
		{.body = u.body, .size = SIZE});
	begin_download(&l, &u, &all);
	range_init(&r, &l, &u, FAR, FAR + PART);
	reader_start(&r);
	WAIT_FOR(origin_hits(l.origin, "/a") == 2);
	finish_download(&l, &u, &all);
	assert_int_equal(reader_wait(&r), 0);
	assert_range(&r, &u);
	reader_fini(&r);
	assert_int_equal(origin_hits(l.origin, "/a"), 2);
	close_with(&l, &u);
}

static void test_a_range_of_another_file_is_not_mixed_in(void **state)
{
	struct lab l;
	struct unit u;
	struct reader all, r;
	char *wrong;

	open_with(&l, &u);
	wrong = bytes_new(SIZE, 7);
	ORIGIN_PUT(l.origin, "/a",
		{.ranges = true,
			.body = u.body,
			.size = SIZE,
			.gate = 1,
			.gate_at = STOP,
			.headers = "ETag: \"1\"\r\n"},
		{.ranges = true, .body = wrong, .size = SIZE, .headers = "ETag: \"2\"\r\n"});
	begin_download(&l, &u, &all);
	range_init(&r, &l, &u, FAR, FAR + PART);
	reader_start(&r);
	WAIT_FOR(origin_hits(l.origin, "/a") >= 2);
	finish_download(&l, &u, &all);
	assert_int_equal(reader_wait(&r), 0);
	assert_range(&r, &u);
	reader_fini(&r);
	free(wrong);
	close_with(&l, &u);
}

/* A wrong byte in a range: nobody's body is complete, and nothing is saved. */
static void test_a_wrong_range_is_never_saved(void **state)
{
	struct lab l;
	struct unit u;
	struct reader all, r;
	char *wrong;

	open_with(&l, &u);
	wrong = bytes_new(SIZE, 1);
	wrong[FAR + 5] ^= 1;
	ORIGIN_PUT(l.origin, "/a", {.ranges = true, .body = u.body, .size = SIZE, .gate = 1, .gate_at = STOP},
		{.ranges = true, .body = wrong, .size = SIZE});
	begin_download(&l, &u, &all);
	range_init(&r, &l, &u, FAR, FAR + PART);
	reader_start(&r);
	assert_int_equal(reader_wait(&r), 0); /* what is not the end cannot wait for the digest */
	reader_fini(&r);
	origin_open(l.origin, 1);
	assert_int_equal(reader_wait(&all), -ERR_DIGEST);
	assert_true(all.n < u.size);
	reader_fini(&all);
	assert_false(store_has(l.stock.store, u.digests.d[DIGEST_SHA256]));
	free(wrong);
	close_with(&l, &u);
}

/* The download breaks off and goes on; the range was fetched meanwhile. */
static void test_the_download_resumes_beside_a_range(void **state)
{
	struct lab l;
	struct unit u;
	struct reader all, r;

	open_with(&l, &u);
	ORIGIN_PUT(l.origin, "/a",
		{.ranges = true,
			.body = u.body,
			.size = SIZE,
			.gate = 1,
			.gate_at = STOP,
			.cut = 3 * MIB,
			.end = ORIGIN_RESET},
		{.ranges = true, .body = u.body, .size = SIZE});
	begin_download(&l, &u, &all);
	range_init(&r, &l, &u, FAR, FAR + PART);
	reader_start(&r);
	assert_int_equal(reader_wait(&r), 0);
	assert_range(&r, &u);
	reader_fini(&r);
	finish_download(&l, &u, &all);
	assert_int_equal(origin_hits(l.origin, "/a"), 3);
	close_with(&l, &u);
}

/* A leg that breaks off is asked for again from where it stopped. */
static void test_a_range_that_breaks_off_goes_on(void **state)
{
	struct lab l;
	struct unit u;
	struct reader all, r;

	open_with(&l, &u);
	ORIGIN_PUT(l.origin, "/a", {.ranges = true, .body = u.body, .size = SIZE, .gate = 1, .gate_at = STOP},
		{.ranges = true, .body = u.body, .size = SIZE, .cut = FAR + PART / 2, .end = ORIGIN_CLOSE},
		{.ranges = true, .body = u.body, .size = SIZE});
	begin_download(&l, &u, &all);
	range_init(&r, &l, &u, FAR, FAR + PART);
	reader_start(&r);
	assert_int_equal(reader_wait(&r), 0);
	assert_range(&r, &u);
	reader_fini(&r);
	assert_int_equal(origin_range(l.origin, "/a", 3), FAR + PART / 2);
	finish_download(&l, &u, &all);
	close_with(&l, &u);
}

/* The stop cancels ranges with their flight. */
static void test_drain_ends_ranges(void **state)
{
	struct lab l;
	struct unit u;
	struct reader all, r;

	open_with(&l, &u);
	ORIGIN_PUT(l.origin, "/a", {.ranges = true, .body = u.body, .size = SIZE, .gate = 1, .gate_at = STOP},
		{.ranges = true, .body = u.body, .size = SIZE, .gate = 1, .gate_at = FAR + 1000});
	begin_download(&l, &u, &all);
	range_init(&r, &l, &u, FAR, FAR + PART);
	reader_start(&r);
	reader_wait_bytes(&r, 1000);
	lazy_drain(l.lazy, 0);
	assert_int_equal(reader_wait(&r), -ERR_CANCELED);
	assert_int_equal(reader_wait(&all), -ERR_CANCELED);
	reader_fini(&r);
	reader_fini(&all);
	origin_open(l.origin, 1);
	close_with(&l, &u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_answered_while_the_download_hangs),
		cmocka_unit_test(test_the_download_ends_where_the_rest_is_there),
		cmocka_unit_test(test_the_download_jumps_over_much),
		cmocka_unit_test(test_readers_of_pieces_share),
		cmocka_unit_test(test_the_last_byte_waits_for_the_digest),
		cmocka_unit_test(test_without_ranges_it_waits_for_the_download),
		cmocka_unit_test(test_a_range_of_another_file_is_not_mixed_in),
		cmocka_unit_test(test_a_wrong_range_is_never_saved),
		cmocka_unit_test(test_the_download_resumes_beside_a_range),
		cmocka_unit_test(test_a_range_that_breaks_off_goes_on),
		cmocka_unit_test(test_drain_ends_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
