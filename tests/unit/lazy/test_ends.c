/* How a flight ends when nobody reads, when it is not kept, when the server stops, and when there is no room to work. */
#include "readers.h"

#include "base/clock.h"
#include "base/metrics.h"

#include <stdlib.h>
#include <string.h>

#define HOLDBACK (64 * KIB)

static void open_with(struct lab *l, struct unit *u, size_t size)
{
	lab_open(l, 2, 100);
	l->stock.settings.content_holdback = HOLDBACK;
	unit_new(u, l, "a", size, 1, POLICY_ON_DEMAND);
	lab_start(l);
}

static void close_with(struct lab *l, struct unit *u)
{
	lab_close(l);
	unit_free(u);
}

/* ---- without readers ---- */

/* A client leaves when `at` bytes of a MiB are here. Is the rest fetched? */
static bool goes_on(int64_t finish_abandoned, enum policy policy, size_t at)
{
	int64_t before = metric_get(M_fetch_bytes);
	struct reader r;
	struct lab l;
	struct unit u;
	bool saved;

	lab_open(&l, 2, 100);
	l.stock.settings.content_finish_abandoned = finish_abandoned;
	unit_new(&u, &l, "a", MIB, 1, policy);
	lab_start(&l);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .gate = 1, .gate_at = at});
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	WAIT_FOR(metric_get(M_fetch_bytes) - before == (int64_t)at);
	reader_leave(&r);
	reader_fini(&r);
	if (finish_abandoned > 100 || policy == POLICY_STREAMED || (int64_t)at * 100 / MIB < finish_abandoned)
		WAIT_FOR(metric_get(M_flights_open) == 0); /* ends with the gate still closed */
	origin_open(l.origin, 1);
	WAIT_FOR(metric_get(M_flights_open) == 0);
	saved = stock_has(&l.stock, &u.digests);
	assert_int_equal(saved, stock_is_saved(&l.stock, u.ca));
	assert_int_equal(stock_staged(&l.stock), 0);
	close_with(&l, &u);
	return saved;
}

static void test_abandoned_is_finished_as_the_setting_says(void **state)
{
	assert_true(goes_on(0, POLICY_ON_DEMAND, 1000));
	assert_false(goes_on(101, POLICY_ON_DEMAND, MIB - 1));
	assert_false(goes_on(50, POLICY_ON_DEMAND, 400 * KIB));
	assert_true(goes_on(50, POLICY_ON_DEMAND, 600 * KIB));
	assert_true(goes_on(0, POLICY_IMMEDIATE, 1000)); /* what an immediate sync could not have */
	assert_false(goes_on(0, POLICY_STREAMED, MIB - 1));
}

/* It is abandoned before its sources are known: no request is sent. */
static void test_abandoned_while_loading(void **state)
{
	struct blocker *blocker;
	struct reader r;
	struct lab l;
	struct unit u;

	lab_open(&l, 1, 100);
	l.stock.settings.content_finish_abandoned = 101;
	unit_new(&u, &l, "a", MIB, 1, POLICY_ON_DEMAND);
	lab_start(&l);
	blocker = stock_block(&l.stock);
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	reader_wait_joined(&r);
	reader_leave(&r);
	reader_fini(&r);
	WAIT_FOR(metric_get(M_flights_open) == 0);
	stock_unblock(&blocker);
	lazy_drain(l.lazy, 0);
	assert_int_equal(origin_hits(l.origin, "/a"), 0);
	close_with(&l, &u);
}

/* One of two leaves: nothing happens to the other. */
static void test_one_of_two_leaves(void **state)
{
	struct reader goes, stays;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	l.stock.settings.content_finish_abandoned = 101;
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .gate = 1, .gate_at = 500 * KIB});
	reader_init(&goes, &l, 0, &u.want);
	reader_init(&stays, &l, 1, &u.want);
	reader_start(&goes);
	reader_start(&stays);
	reader_wait_bytes(&goes, 500 * KIB);
	reader_wait_bytes(&stays, 500 * KIB);
	reader_leave(&goes);
	reader_fini(&goes);
	origin_open(l.origin, 1);
	assert_int_equal(reader_wait(&stays), 0);
	assert_right(&stays, u.body, u.size);
	reader_fini(&stays);
	close_with(&l, &u);
}

/* ---- streamed ---- */

static void test_streamed_leaves_nothing_and_is_shared_while_it_is_read(void **state)
{
	struct reader slow, late;
	struct lab l;
	struct unit u;

	lab_open(&l, 2, 100);
	unit_new(&u, &l, "a", MIB, 1, POLICY_STREAMED);
	lab_start(&l);
	reader_init(&slow, &l, 0, &u.want);
	slow.pause_at = 1;
	reader_start(&slow);
	reader_wait_bytes(&slow, 1);
	reader_init(&late, &l, 1, &u.want); /* it may have ended by now: the slow one keeps it */
	reader_start(&late);
	assert_int_equal(reader_wait(&late), 0);
	assert_right(&late, u.body, u.size);
	reader_fini(&late);
	reader_init(&late, &l, 1, &u.want);
	reader_start(&late);
	assert_int_equal(reader_wait(&late), 0);
	assert_int_equal(origin_hits(l.origin, "/a"), 1);
	reader_go(&slow, -1);
	assert_int_equal(reader_wait(&slow), 0);
	assert_right(&slow, u.body, u.size);
	reader_fini(&slow);
	reader_fini(&late);
	WAIT_FOR(metric_get(M_flights_open) == 0);
	assert_false(stock_has(&l.stock, &u.digests));
	assert_int_equal(stock_staged(&l.stock), 0);
	assert_int_equal(stock_int(&l.stock, "SELECT count(*) FROM artifact", 0), 0);
	/* The next client is served by upstream again. */
	assert_int_equal(read_all(&l, &late, &u.want), 0);
	assert_int_equal(origin_hits(l.origin, "/a"), 2);
	reader_fini(&late);
	close_with(&l, &u);
}

static void test_streamed_is_verified_too(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;
	char *wrong;

	lab_open(&l, 2, 100);
	l.stock.settings.content_holdback = HOLDBACK;
	unit_new(&u, &l, "a", MIB, 1, POLICY_STREAMED);
	lab_start(&l);
	wrong = bytes_new(MIB, 1);
	wrong[MIB - 1] ^= 1;
	ORIGIN_PUT(l.origin, "/a", {.body = wrong, .size = MIB});
	assert_int_equal(read_all(&l, &r, &u.want), -ERR_DIGEST);
	assert_true(r.seen <= MIB - HOLDBACK);
	reader_fini(&r);
	close_with(&l, &u);
	free(wrong);
}

/* ---- the end of the server ---- */

static void test_drain_waits_and_then_cancels(void **state)
{
	struct reader r, refused;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .gate = 1, .gate_at = 500 * KIB});
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	reader_wait_bytes(&r, 1);
	lazy_drain(l.lazy, 0);
	assert_int_equal(reader_wait(&r), -ERR_CANCELED);
	reader_fini(&r);
	assert_int_equal(read_all(&l, &refused, &u.want), -ERR_LIMIT);
	reader_fini(&refused);
	close_with(&l, &u);
}

struct drain {
	struct lazy *lazy;
	int64_t wait_ms;
	pthread_t thread;
};

static void *drain(void *arg)
{
	struct drain *d = arg;

	lazy_drain(d->lazy, d->wait_ms);
	return NULL;
}

static void drain_start(struct drain *d, struct lab *l, int64_t wait_ms)
{
	*d = (struct drain){.lazy = l->lazy, .wait_ms = wait_ms};
	assert_int_equal(pthread_create(&d->thread, NULL, drain, d), 0);
}

static void test_drain_lets_downloads_end(void **state)
{
	struct drain d;
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .gate = 1, .gate_at = 500 * KIB});
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	reader_wait_bytes(&r, 1);
	reader_leave(&r);
	reader_fini(&r);
	drain_start(&d, &l, 1200000);
	origin_open(l.origin, 1);
	pthread_join(d.thread, NULL);
	assert_true(stock_is_saved(&l.stock, u.ca));
	close_with(&l, &u);
}

/* Its upstream says nothing any more, and nobody reads: the drain does not wait for the end of its time. */
static void test_drain_gives_up_what_hangs(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;
	int64_t began;

	open_with(&l, &u, MIB);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .gate = 1, .gate_at = 500 * KIB});
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	reader_wait_bytes(&r, 1);
	reader_leave(&r);
	reader_fini(&r);
	began = clock_mono_ns();
	lazy_drain(l.lazy, 100000);
	assert_true(clock_mono_ns() - began < 100 * NS_PER_S);
	assert_false(stock_is_saved(&l.stock, u.ca));
	origin_open(l.origin, 1);
	close_with(&l, &u);
}

/* Canceled while the pool looks into the store: the client is told at once, and the drain waits for the pool. */
static void test_drain_cancels_what_loads(void **state)
{
	struct blocker *blocker;
	struct drain d;
	struct reader r;
	struct lab l;
	struct unit u;

	lab_open(&l, 1, 100);
	unit_new(&u, &l, "a", MIB, 1, POLICY_ON_DEMAND);
	lab_start(&l);
	blocker = stock_block(&l.stock);
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	reader_wait_joined(&r);
	drain_start(&d, &l, 0);
	assert_int_equal(reader_wait(&r), -ERR_CANCELED);
	reader_fini(&r);
	stock_unblock(&blocker);
	pthread_join(d.thread, NULL);
	assert_int_equal(origin_hits(l.origin, "/a"), 0);
	close_with(&l, &u);
}

static void test_drain_cancels_what_backs_off(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;

	lab_open(&l, 2, 100);
	unit_new(&u, &l, "a", MIB, 1, POLICY_ON_DEMAND);
	lab_start(&l);
	stock_exec(&l.stock, "UPDATE remote SET max_retries = 50", 0);
	ORIGIN_PUT(l.origin, "/a", {.ranges = true, .body = u.body, .size = MIB, .cut = 1, .end = ORIGIN_CLOSE});
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	WAIT_FOR(origin_hits(l.origin, "/a") >= 2); /* from now on it backs off */
	lazy_drain(l.lazy, 0);
	assert_int_equal(reader_wait(&r), -ERR_CANCELED);
	reader_fini(&r);
	close_with(&l, &u);
}

/* Canceled while the catalog is being told of a source that failed: the next one is not begun. */
static void test_drain_cancels_what_is_noted(void **state)
{
	int64_t failures = metric_get(M_flight_source_failures);
	struct txn *writer = NULL;
	struct drain d;
	struct reader r;
	struct lab l;
	struct unit u;

	lab_open(&l, 1, 100);
	unit_new(&u, &l, "a", 1000, 1, POLICY_ON_DEMAND);
	unit_add_source(&u, &l, "b", origin_url(l.origin, "/b"));
	lab_start(&l);
	ORIGIN_PUT(l.origin, "/a", {.status = 404, .gate = 1, .gate_head = true});
	ORIGIN_PUT(l.origin, "/b", {.body = u.body, .size = 1000});
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	WAIT_FOR(origin_hits(l.origin, "/a") == 1);
	assert_int_equal(catalog_write(l.stock.catalog, &writer, NULL), 0); /* the note has to wait */
	origin_open(l.origin, 1);
	WAIT_FOR(metric_get(M_flight_source_failures) == failures + 1);
	drain_start(&d, &l, 0);
	assert_int_equal(reader_wait(&r), -ERR_CANCELED);
	txn_end(&writer);
	pthread_join(d.thread, NULL);
	assert_int_equal(origin_hits(l.origin, "/b"), 0);
	reader_fini(&r);
	close_with(&l, &u);
}

/* ---- no room in the pool ---- */

static void nothing(struct pool_job *j)
{
}

/* A pool of one thread that is busy, and whose queue (16) is full. */
static struct blocker *fill_pool(struct lab *l, struct pool_job jobs[16])
{
	struct blocker *b = stock_block(&l->stock);

	for (int i = 0; i < 16; i++) {
		jobs[i] = (struct pool_job){.fn = nothing};
		assert_int_equal(pool_submit(l->stock.pool, &jobs[i]), 0);
	}
	return b;
}

static void test_no_room_to_begin_is_an_overload(void **state)
{
	struct blocker *blocker;
	struct pool_job jobs[16];
	struct reader r;
	struct lab l;
	struct unit u;

	lab_open(&l, 1, 16);
	unit_new(&u, &l, "a", 1000, 1, POLICY_ON_DEMAND);
	lab_start(&l);
	blocker = fill_pool(&l, jobs);
	assert_int_equal(read_all(&l, &r, &u.want), -ERR_LIMIT);
	assert_int_equal(r.retry_after_s, 1);
	assert_false(r.try_alone);
	stock_unblock(&blocker);
	reader_fini(&r);
	assert_int_equal(read_all(&l, &r, &u.want), 0);
	reader_fini(&r);
	close_with(&l, &u);
}

/* No room to tell the catalog of a bad source, nor to hash in the pool: the client is served all the same. */
static void test_no_room_later_delays_nobody(void **state)
{
	struct blocker *blocker;
	struct pool_job jobs[16];
	struct reader r;
	struct lab l;
	struct unit u;

	lab_open(&l, 1, 16);
	unit_new(&u, &l, "a", 3 * MIB, 1, POLICY_ON_DEMAND);
	unit_add_source(&u, &l, "b", origin_url(l.origin, "/b"));
	lab_start(&l);
	ORIGIN_PUT(l.origin, "/a", {.status = 404, .gate = 1, .gate_head = true});
	ORIGIN_PUT(l.origin, "/b", {.body = u.body, .size = 3 * MIB});
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	WAIT_FOR(origin_hits(l.origin, "/a") == 1);
	blocker = fill_pool(&l, jobs);
	origin_open(l.origin, 1);
	assert_int_equal(reader_wait(&r), 0);
	assert_right(&r, u.body, u.size);
	stock_unblock(&blocker);
	assert_true(stock_is_saved(&l.stock, u.ca));
	reader_fini(&r);
	close_with(&l, &u);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_abandoned_is_finished_as_the_setting_says),
		T(test_abandoned_while_loading),
		T(test_one_of_two_leaves),
		T(test_streamed_leaves_nothing_and_is_shared_while_it_is_read),
		T(test_streamed_is_verified_too),
		T(test_drain_waits_and_then_cancels),
		T(test_drain_lets_downloads_end),
		T(test_drain_gives_up_what_hangs),
		T(test_drain_cancels_what_loads),
		T(test_drain_cancels_what_backs_off),
		T(test_drain_cancels_what_is_noted),
		T(test_no_room_to_begin_is_an_overload),
		T(test_no_room_later_delays_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
