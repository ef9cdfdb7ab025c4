/* What is in flight, as an administrator sees it. */
#include "readers.h"

#include "base/check.h"

#include <string.h>

static void open_with(struct lab *l, struct unit *u)
{
	lab_open(l, 2, 100);
	unit_new(u, l, "a", MIB, 1, POLICY_ON_DEMAND);
	lab_start(l);
	ORIGIN_PUT(l->origin, "/a", {.body = u->body, .size = MIB, .gate = 1, .gate_at = 300 * KIB});
}

static void test_a_download_is_seen_while_it_lasts(void **state)
{
	struct reader r[2];
	struct flight_view v[4] = {0};
	struct lab l;
	struct unit u;
	size_t n = 9;
	int64_t total = 9;

	open_with(&l, &u);
	assert_int_equal(lazy_flights(l.lazy, v, ARRAY_LEN(v), &n, &total), 0);
	assert_int_equal(n, 0);
	assert_int_equal(total, 0);
	for (int i = 0; i < 2; i++) {
		reader_init(&r[i], &l, i, &u.want);
		reader_start(&r[i]);
	}
	for (int i = 0; i < 2; i++)
		reader_wait_bytes(&r[i], 200 * KIB);
	assert_int_equal(lazy_flights(l.lazy, v, ARRAY_LEN(v), &n, &total), 0);
	assert_int_equal(n, 1);
	assert_int_equal(total, 1);
	assert_string_equal(v[0].state, "fetching");
	assert_string_equal(v[0].source, origin_url(l.origin, "/a"));
	assert_int_equal(memcmp(v[0].artifact, "sha256:", 7), 0);
	assert_int_equal(v[0].remote, u.remote);
	assert_int_equal(v[0].size, MIB);
	assert_in_range(v[0].bytes, 200 * KIB, 300 * KIB);
	assert_int_equal(v[0].readers, 2);
	assert_true(v[0].id > 0 && v[0].age_ns > 0);
	origin_open(l.origin, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(reader_wait(&r[i]), 0);
		reader_fini(&r[i]);
	}
	lab_close(&l);
	unit_free(&u);
}

/* More flights than rows: the rest is counted. */
static void test_rows_are_bounded(void **state)
{
	struct flight_view v = {0};
	struct reader r[2];
	struct unit u, w;
	struct lab l;
	int64_t total;
	size_t n;

	lab_open(&l, 2, 100);
	unit_new(&u, &l, "a", MIB, 1, POLICY_ON_DEMAND);
	unit_new(&w, &l, "b", MIB, 2, POLICY_ON_DEMAND);
	lab_start(&l);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .gate = 1, .gate_at = 300 * KIB});
	ORIGIN_PUT(l.origin, "/b", {.body = w.body, .size = MIB, .gate = 1, .gate_at = 300 * KIB});
	reader_init(&r[0], &l, 0, &u.want);
	reader_init(&r[1], &l, 1, &w.want);
	for (int i = 0; i < 2; i++)
		reader_start(&r[i]);
	for (int i = 0; i < 2; i++)
		reader_wait_bytes(&r[i], KIB);
	assert_int_equal(lazy_flights(l.lazy, &v, 1, &n, &total), 0);
	assert_int_equal(n, 1);
	assert_int_equal(total, 2);
	origin_open(l.origin, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(reader_wait(&r[i]), 0);
		reader_fini(&r[i]);
	}
	lab_close(&l);
	unit_free(&u);
	unit_free(&w);
}

static void test_sources_say_how_they_fare(void **state)
{
	struct source_view v[4] = {0};
	struct reader r;
	struct lab l;
	struct unit u;
	int64_t total;
	size_t n;

	open_with(&l, &u);
	assert_int_equal(lazy_sources(l.lazy, v, ARRAY_LEN(v), &n, &total), 0);
	assert_int_equal(n, 0);
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	reader_wait_bytes(&r, KIB);
	assert_int_equal(lazy_sources(l.lazy, v, ARRAY_LEN(v), &n, &total), 0);
	assert_int_equal(n, 1);
	assert_int_equal(total, 1);
	assert_int_equal(v[0].remote, u.remote);
	assert_int_equal(strncmp(v[0].origin, origin_url(l.origin, ""), strlen(v[0].origin)), 0);
	assert_string_equal(v[0].state, "up");
	assert_int_equal(v[0].open, 1);
	assert_int_equal(v[0].answers, 1);
	assert_int_equal(v[0].failures, 0);
	assert_string_equal(v[0].last_failure, "");
	origin_open(l.origin, 1);
	assert_int_equal(reader_wait(&r), 0);
	reader_fini(&r);
	lab_close(&l);
	unit_free(&u);
}

/* It ends while somebody looks: the answer comes, or says so; nothing hangs. */
static void test_after_the_drain_it_is_closed(void **state)
{
	struct flight_view v[1];
	struct lab l;
	struct unit u;
	int64_t total;
	size_t n;

	open_with(&l, &u);
	lazy_drain(l.lazy, 1000);
	assert_int_equal(lazy_flights(l.lazy, v, ARRAY_LEN(v), &n, &total), -ERR_CLOSED);
	lab_close(&l);
	unit_free(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_download_is_seen_while_it_lasts),
		cmocka_unit_test(test_rows_are_bounded),
		cmocka_unit_test(test_sources_say_how_they_fare),
		cmocka_unit_test(test_after_the_drain_it_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
