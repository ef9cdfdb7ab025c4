/* A source that is late: the next one is asked besides, and whose answer comes first is used. */
#include "readers.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "fetch/health.h"

#include <stdlib.h>
#include <string.h>

#define SIZE (200 * KIB) /* less than what is withheld: a wrong body is replaced unnoticed */

struct race {
	struct lab l;
	struct unit u;
	int64_t begun, won;
};

/* /a is asked first, and /b has it, too. */
static void open_race(struct race *r)
{
	lab_open(&r->l, 2, 100);
	unit_new(&r->u, &r->l, "a", SIZE, 1, POLICY_ON_DEMAND);
	unit_add_source(&r->u, &r->l, "b", origin_url(r->l.origin, "/b"));
	lab_start(&r->l);
	r->begun = metric_get(M_flight_hedges);
	r->won = metric_get(M_flight_hedges_won);
}

static void close_race(struct race *r, int begun, int won)
{
	assert_int_equal(metric_get(M_flight_hedges) - r->begun, begun);
	assert_int_equal(metric_get(M_flight_hedges_won) - r->won, won);
	lab_close(&r->l);
	unit_free(&r->u);
}

static void assert_served(struct race *r, struct reader *reader)
{
	assert_int_equal(reader_wait(reader), 0);
	assert_right(reader, r->u.body, r->u.size);
	assert_true(stock_has(&r->l.stock, &r->u.digests));
	reader_fini(reader);
}

static void test_the_second_one_is_faster(void **state)
{
	struct reader reader;
	struct race r;

	open_race(&r);
	ORIGIN_PUT(r.l.origin, "/a", {.body = r.u.body, .size = SIZE, .gate = 1, .gate_head = true});
	ORIGIN_PUT(r.l.origin, "/b", {.body = r.u.body, .size = SIZE});
	reader_init(&reader, &r.l, 0, &r.u.want);
	reader_start(&reader);
	assert_served(&r, &reader);
	assert_int_equal(origin_hits(r.l.origin, "/b"), 1);
	origin_open(r.l.origin, 1);
	close_race(&r, 1, 1);
}

static void test_the_late_one_comes_first_after_all(void **state)
{
	struct reader reader;
	struct race r;

	open_race(&r);
	ORIGIN_PUT(r.l.origin, "/a", {.body = r.u.body, .size = SIZE, .gate = 1, .gate_head = true});
	ORIGIN_PUT(r.l.origin, "/b", {.body = r.u.body, .size = SIZE, .gate = 2, .gate_head = true});
	reader_init(&reader, &r.l, 0, &r.u.want);
	reader_start(&reader);
	WAIT_FOR(origin_hits(r.l.origin, "/b") == 1);
	origin_open(r.l.origin, 1);
	assert_served(&r, &reader);
	origin_open(r.l.origin, 2);
	close_race(&r, 1, 0);
}

/* Its failure is nobody's business: the late one is waited for. */
static void test_a_second_one_that_fails_changes_nothing(void **state)
{
	struct reader reader;
	struct race r;

	open_race(&r);
	ORIGIN_PUT(r.l.origin, "/a", {.body = r.u.body, .size = SIZE, .gate = 1, .gate_head = true});
	ORIGIN_PUT(r.l.origin, "/b", {.status = 404});
	reader_init(&reader, &r.l, 0, &r.u.want);
	reader_start(&reader);
	WAIT_FOR(origin_hits(r.l.origin, "/b") == 1);
	origin_open(r.l.origin, 1);
	assert_served(&r, &reader);
	close_race(&r, 1, 0);
}

/* What lost the race is still a source. */
static void test_the_winner_lacks_the_rest(void **state)
{
	struct reader reader;
	struct race r;

	open_race(&r);
	ORIGIN_PUT(r.l.origin, "/a", {.body = r.u.body, .size = SIZE, .gate = 1, .gate_head = true},
		{.ranges = true, .body = r.u.body, .size = SIZE});
	ORIGIN_PUT(r.l.origin, "/b", {.body = r.u.body, .size = SIZE, .cut = 100 * KIB, .end = ORIGIN_CLOSE},
		{.status = 404});
	reader_init(&reader, &r.l, 0, &r.u.want);
	reader_start(&reader);
	assert_served(&r, &reader);
	assert_int_equal(origin_hits(r.l.origin, "/a"), 2);
	origin_open(r.l.origin, 1);
	close_race(&r, 1, 1);
}

static void test_wrong_bytes_of_the_winner_are_not_served(void **state)
{
	char *wrong = bytes_new(SIZE, 1);
	struct reader reader;
	struct race r;

	wrong[SIZE / 2] ^= 1;
	open_race(&r);
	ORIGIN_PUT(r.l.origin, "/a", {.body = r.u.body, .size = SIZE, .gate = 1, .gate_head = true},
		{.body = r.u.body, .size = SIZE});
	ORIGIN_PUT(r.l.origin, "/b", {.body = wrong, .size = SIZE});
	reader_init(&reader, &r.l, 0, &r.u.want);
	reader_start(&reader);
	assert_served(&r, &reader);
	assert_int_equal(origin_hits(r.l.origin, "/a"), 2);
	origin_open(r.l.origin, 1);
	close_race(&r, 1, 1);
	free(wrong);
}

static void test_without_a_second_one_nobody_is_asked_besides(void **state)
{
	struct reader reader;
	struct unit u;
	struct lab l;
	int64_t before = metric_get(M_flight_hedges), until_ns;

	lab_open(&l, 2, 100);
	unit_new(&u, &l, "a", SIZE, 1, POLICY_ON_DEMAND);
	lab_start(&l);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = SIZE, .gate = 1, .gate_head = true});
	reader_init(&reader, &l, 0, &u.want);
	reader_start(&reader);
	WAIT_FOR(origin_hits(l.origin, "/a") == 1);
	until_ns = clock_mono_ns() + HEALTH_HEDGE_UNKNOWN_NS + 200 * NS_PER_MS;
	WAIT_FOR(clock_mono_ns() >= until_ns);
	origin_open(l.origin, 1);
	assert_int_equal(reader_wait(&reader), 0);
	assert_int_equal(metric_get(M_flight_hedges), before);
	reader_fini(&reader);
	lab_close(&l);
	unit_free(&u);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_the_second_one_is_faster),
		T(test_the_late_one_comes_first_after_all),
		T(test_a_second_one_that_fails_changes_nothing),
		T(test_the_winner_lacks_the_rest),
		T(test_wrong_bytes_of_the_winner_are_not_served),
		T(test_without_a_second_one_nobody_is_asked_besides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
