/* How upstreams fare, by a clock of the test's own. */
#include "fetch/health.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define URL_A "http://Up.example/a.rpm"
#define URL_B "http://up.example:80/b.rpm"

static const struct health_opts three_in_a_row = {
	.failures = 3, .backoff_ns = NS_PER_S, .backoff_max_ns = 8 * NS_PER_S, .seed = 7};

/* 0 is no moment: "nothing runs". */
static int64_t moment(int64_t ms)
{
	return NS_PER_S + ms * NS_PER_MS;
}

static struct health_table *table_new(const struct health_opts *opts)
{
	struct health_table *t = NULL;

	assert_int_equal(health_table_new(opts, &t, NULL), 0);
	return t;
}

/* What happens to a source, one letter each, at moments in ms. */
struct event {
	int64_t at_ms;
	char what;
};
/* c: a connection is refused; t: connecting takes too long; s: silence after the request (lasts a second); 2 4 5: status 200, 404, 503;
 * e: 501; 9: 429; w: 503 with Retry-After: 5; m: a head that makes no sense; n: out of memory; x: canceled. Capital: of another URL. */
static void happen(struct health *h, struct event ev, bool *asked)
{
	int64_t now = moment(ev.at_ms);
	bool other = ev.what >= 'A' && ev.what <= 'Z';
	char what = other ? (char)(ev.what - 'A' + 'a') : ev.what;
	struct health_attempt a = {0};
	struct err err = ERR_INIT;
	static const struct {
		char what;
		int status, code;
		bool connected;
		int64_t takes_ms;
	} means[] = {
		{'2', 200, 0, true, 0},
		{'4', 404, 0, true, 0},
		{'5', 503, 0, true, 0},
		{'e', 501, 0, true, 0},
		{'9', 429, 0, true, 0},
		{'w', 503, 0, true, 0},
		{'c', 0, -ERR_CONNECT, false, 0},
		{'t', 0, -ERR_TIMEOUT, false, 1000},
		{'s', 0, -ERR_TIMEOUT, true, 1000},
		{'m', 0, -ERR_UPSTREAM, true, 0},
		{'n', 0, -ERR_NOMEM, false, 0},
		{'x', 0, -ERR_CANCELED, true, 0},
	};

	*asked = health_ask(h, other ? SLICE(URL_B) : SLICE(URL_A), now, &a, NULL, NULL) == 0;
	for (size_t i = 0; *asked && i < ARRAY_LEN(means); i++) {
		if (means[i].what != what)
			continue;
		a.connected = means[i].connected;
		now += means[i].takes_ms * NS_PER_MS;
		if (means[i].status != 0)
			health_answered(h, &a, means[i].status, what == 'w' ? 5 : -1, now);
		else
			health_failed(h, &a, err_set(&err, means[i].code, "so it went") != 0 ? &err : NULL, now);
		assert_true(a.started_ns == 0);
		return;
	}
	assert_false(*asked);
}

/* Which failure counts how, and when a source is left alone. */
static void test_meanings(void **state)
{
	static const struct {
		const char *name;
		struct event events[10];
		int64_t at_ms;
		bool down;
		int code;
		int64_t wait_lo_ms, wait_hi_ms;
	} rows[] = {
		{"two are not enough", {{0, 'c'}, {2000, 'c'}}, 2000, false, 0, 0, 0},
		{"three are", {{0, 'c'}, {500, 'c'}, {1000, 'c'}}, 1000, true, -ERR_CONNECT, 750, 1000},
		{"but not within a second", {{0, 'c'}, {10, 'c'}, {20, 'c'}, {30, 'c'}, {999, 'c'}}, 999, false, 0, 0,
			0},
		{"an answer between begins anew", {{0, 'c'}, {500, 'c'}, {900, '2'}, {1000, 'c'}, {2500, 'c'}}, 2500,
			false, 0, 0, 0},
		{"a missing file shows life", {{0, 'c'}, {500, 'c'}, {900, '4'}, {1000, 'c'}, {2500, 'c'}}, 2500, false,
			0, 0, 0},
		{"missing files never count", {{0, '4'}, {500, '4'}, {1000, '4'}, {5000, '4'}}, 5000, false, 0, 0, 0},
		{"nor does a request that it does not understand", {{0, 'e'}, {500, 'E'}, {1000, 'e'}, {5000, 'E'}},
			5000, false, 0, 0, 0},
		{"nor what is our own trouble", {{0, 'n'}, {500, 'x'}, {1000, 'n'}, {5000, 'x'}}, 5000, false, 0, 0, 0},
		{"nor heads that make no sense", {{0, 'm'}, {500, 'M'}, {1000, 'm'}, {5000, 'M'}}, 5000, false, 0, 0,
			0},
		{"one page that always fails is not the source",
			{{0, '5'}, {500, '5'}, {1000, '5'}, {5000, '5'}, {6000, 's'}}, 7000, false, 0, 0, 0},
		{"two pages are", {{0, '5'}, {500, '5'}, {1000, '5'}, {5000, '9'}, {6000, '5'}, {7000, 'S'}}, 8000,
			true, -ERR_TIMEOUT, 750, 1000},
		{"statuses of overload", {{0, '9'}, {500, 'W'}, {1000, '9'}}, 1000, true, -ERR_UPSTREAM, 750, 1000},
		{"what upstream asks for is waited", {{0, '5'}, {500, '5'}, {1000, 'W'}}, 1000, true, -ERR_UPSTREAM,
			5000, 5000},
		{"connecting that takes too long needs no second page", {{0, 't'}, {2000, 't'}, {4000, 't'}}, 5000,
			true, -ERR_TIMEOUT, 750, 1000},
		{"silence does", {{0, 's'}, {2000, 's'}, {4000, 's'}}, 5000, false, 0, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct health_table *t = table_new(&three_in_a_row);
		struct health *h = health_get(t, 1, 1, URL_A);
		struct err err = ERR_INIT;
		int64_t wait = 0;
		bool asked;
		int rc;

		for (size_t k = 0; k < ARRAY_LEN(rows[i].events) && rows[i].events[k].what != 0; k++)
			happen(h, rows[i].events[k], &asked);
		rc = health_may_ask(h, moment(rows[i].at_ms), &err, &wait);
		if ((rc != 0) != rows[i].down || rc != rows[i].code || wait < rows[i].wait_lo_ms * NS_PER_MS ||
			wait > rows[i].wait_hi_ms * NS_PER_MS)
			fail_msg("%s: %d, %lld ms: %s", rows[i].name, rc, (long long)(wait / NS_PER_MS), err.msg);
		health_put(&h);
		health_table_free(&t);
	}
}

static int64_t bring_down(struct health *h)
{
	bool asked;

	happen(h, (struct event){0, 'c'}, &asked);
	happen(h, (struct event){500, 'c'}, &asked);
	happen(h, (struct event){1000, 'c'}, &asked);
	return moment(1000);
}

/* Half open: one goes through, the others get the memory; each failure doubles the wait up to the limit; the first answer ends it. */
static void test_one_probe_at_a_time(void **state)
{
	struct health_table *t = table_new(&three_in_a_row);
	struct health *h = health_get(t, 1, 1, URL_A);
	int64_t now = bring_down(h), most_ns = NS_PER_S;

	for (int round = 0; round < 8; round++) {
		struct health_attempt probe = {0}, other = {0};
		struct err err = ERR_INIT;
		int64_t wait = 0;

		assert_int_equal(health_may_ask(h, now, &err, &wait), -ERR_CONNECT);
		assert_non_null(strstr(err.msg, "so it went"));
		assert_true(wait <= most_ns && wait >= most_ns * 3 / 4);
		now += wait;
		assert_int_equal(health_may_ask(h, now, NULL, NULL), 0);
		assert_int_equal(health_ask(h, SLICE(URL_A), now, &probe, NULL, NULL), 0);
		assert_true(probe.probe);
		assert_int_equal(health_ask(h, SLICE(URL_B), now, &other, NULL, &wait), -ERR_CONNECT);
		assert_true(wait == NS_PER_S && other.started_ns == 0);
		if (round == 7)
			health_answered(h, &probe, 404, -1, now);
		else
			health_failed(h, &probe, err_set(&err, -ERR_CONNECT, "so it went") != 0 ? &err : NULL, now);
		most_ns = MIN(2 * most_ns, three_in_a_row.backoff_max_ns);
	}
	assert_int_equal(health_may_ask(h, now, NULL, NULL), 0);
	health_put(&h);
	health_table_free(&t);
}

/* A probe that is given up leaves the place to the next request; attempts from before the outage decide nothing, but an answer does. */
static void test_what_else_ends_a_probe(void **state)
{
	struct health_table *t = table_new(&three_in_a_row);
	struct health *h = health_get(t, 1, 1, URL_A);
	struct health_attempt old[2] = {{0}, {0}}, probe = {0}, next = {0};
	struct err err = ERR_INIT;
	int64_t now;

	(void)err_set(&err, -ERR_CONNECT, "so it went");
	for (size_t i = 0; i < ARRAY_LEN(old); i++)
		assert_int_equal(health_ask(h, SLICE(URL_A), 1, &old[i], NULL, NULL), 0);
	now = bring_down(h) + NS_PER_S;
	assert_int_equal(health_ask(h, SLICE(URL_A), now, &probe, NULL, NULL), 0);
	health_failed(h, &old[0], &err, now);
	assert_int_equal(health_ask(h, SLICE(URL_A), now, &next, NULL, NULL), -ERR_CONNECT);
	health_let_go(h, &probe, now);
	assert_int_equal(health_ask(h, SLICE(URL_A), now, &next, NULL, NULL), 0);
	assert_true(next.probe);
	health_answered(h, &old[1], 200, -1, now);
	assert_int_equal(health_may_ask(h, now, NULL, NULL), 0);
	/* the probe comes too late to say anything but "one failure" */
	health_failed(h, &next, &err, now);
	assert_int_equal(health_may_ask(h, now, NULL, NULL), 0);
	health_put(&h);
	health_table_free(&t);
}

/* 0: never. */
static void test_switched_off(void **state)
{
	struct health_table *t = table_new(&(struct health_opts){.backoff_ns = NS_PER_S, .backoff_max_ns = NS_PER_S});
	struct health *h = health_get(t, 1, 1, URL_A);

	assert_int_equal(health_may_ask(h, bring_down(h), NULL, NULL), 0);
	health_put(&h);
	health_table_free(&t);
}

/* A record is of a remote, an origin and a revision of the settings. */
static void test_records(void **state)
{
	struct health_table *t = table_new(&three_in_a_row);
	struct health *h = health_get(t, 1, 1, URL_A), *same = health_get(t, 1, 1, URL_B);
	int64_t now = bring_down(h);
	static const struct {
		int64_t remote, revision;
		const char *url;
		bool down;
	} rows[] = {
		{1, 1, URL_A, true},
		{1, 1, "HTTP://user:secret@up.example/c?token=1", true},
		{1, 1, "https://up.example/a.rpm", false},
		{1, 1, "http://up.example:81/a.rpm", false},
		{1, 1, "http://down.example/a.rpm", false},
		{2, 1, URL_A, false},
		{1, 2, URL_A, false},
		{1, 1, "file:///a.rpm", false},
		{1, 1, "nonsense", false},
	};

	assert_ptr_equal(h, same);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(health_peek(t, rows[i].remote, rows[i].revision, rows[i].url, now, NULL, NULL),
			rows[i].down ? -ERR_CONNECT : 0);
	health_put(&same);
	same = health_get(t, 1, 2, URL_A);
	assert_ptr_equal(h, same);
	assert_int_equal(health_may_ask(h, now, NULL, NULL), 0);
	health_put(&h);
	health_put(&same);
	assert_null(health_get(t, 1, 1, "file:///a.rpm"));
	assert_null(health_get(NULL, 1, 1, URL_A));
	assert_int_equal(health_may_ask(NULL, 0, NULL, NULL), 0);
	health_table_free(&t);
}

/* The one used least recently goes; what is in use stays, and then there is no room. */
static void test_bounded(void **state)
{
	struct health_table *t = table_new(&(struct health_opts){.records_max = 2});
	struct health *a = health_get(t, 1, 0, URL_A), *b = health_get(t, 2, 0, URL_A), *c;
	struct health_view v[4];

	assert_null(health_get(t, 3, 0, URL_A));
	health_put(&a);
	a = health_get(t, 1, 0, URL_A);
	health_put(&a);
	health_put(&b);
	c = health_get(t, 3, 0, URL_A);
	assert_non_null(c);
	assert_int_equal(health_views(t, 0, v, ARRAY_LEN(v)), 2);
	assert_int_equal(v[0].remote, 3);
	assert_int_equal(v[1].remote, 1);
	assert_int_equal(health_views(t, 0, v, 1), 1);
	health_put(&c);
	health_table_free(&t);
}

static void answer_after(struct health *h, int64_t ms)
{
	struct health_attempt a = {0};

	assert_int_equal(health_ask(h, SLICE(URL_A), NS_PER_S, &a, NULL, NULL), 0);
	a.connected = true;
	health_answered(h, &a, 200, -1, NS_PER_S + ms * NS_PER_MS);
}

/* The delay of a hedge comes from what is usual for this source. */
static void test_hedge_delay(void **state)
{
	struct health_table *t = table_new(&three_in_a_row);
	struct health *h = health_get(t, 1, 1, URL_A);
	struct health_attempt a = {0};
	struct health_view v;

	assert_true(health_hedge_delay_ns(NULL) == HEALTH_HEDGE_UNKNOWN_NS);
	for (int i = 0; i < 7; i++)
		answer_after(h, 50);
	assert_true(health_hedge_delay_ns(h) == HEALTH_HEDGE_UNKNOWN_NS);
	answer_after(h, 50);
	assert_true(health_hedge_delay_ns(h) == 50 * NS_PER_MS);
	/* one in a hundred that is slow changes nothing, one in ten does */
	for (int i = 0; i < 63; i++)
		answer_after(h, 20);
	answer_after(h, 900);
	assert_true(health_hedge_delay_ns(h) == 20 * NS_PER_MS);
	for (int i = 0; i < 64; i++)
		answer_after(h, i % 10 == 0 ? 900 : 20);
	assert_true(health_hedge_delay_ns(h) == 900 * NS_PER_MS);
	/* bounds */
	for (int i = 0; i < 64; i++)
		answer_after(h, 0);
	assert_true(health_hedge_delay_ns(h) == HEALTH_HEDGE_MIN_NS);
	/* one that lost the race and was given up late counts; one that was given up early does not */
	for (int i = 0; i < 64; i++) {
		assert_int_equal(health_ask(h, SLICE(URL_A), NS_PER_S, &a, NULL, NULL), 0);
		a.connected = true;
		health_let_go(h, &a, NS_PER_S + (i % 2 == 0 ? 5 * NS_PER_MS : 70 * NS_PER_S));
	}
	assert_true(health_hedge_delay_of(t, 1, URL_A) == HEALTH_HEDGE_MAX_NS);
	assert_int_equal(health_views(t, 0, &v, 1), 1);
	assert_string_equal(v.origin, "http://up.example:80");
	assert_true(v.state == HEALTH_up && v.first_byte_ns > NS_PER_S);
	health_put(&h);
	health_table_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meanings),
		cmocka_unit_test(test_one_probe_at_a_time),
		cmocka_unit_test(test_what_else_ends_a_probe),
		cmocka_unit_test(test_switched_off),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_hedge_delay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
