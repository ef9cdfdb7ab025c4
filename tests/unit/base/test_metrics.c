/* Metrics: sums over threads, those that have ended included. */
#include "base/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 8
#define ADDS 10000

static pthread_barrier_t all_added, all_read;

static void *add_many(void *arg)
{
	for (int i = 0; i < ADDS; i++) {
		metric_inc(M_http_requests);
		metric_add(M_http_bytes_sent, 3);
		metric_inc(M_flights_open);
		metric_dec(M_flights_open);
	}
	if (arg != NULL) {
		pthread_barrier_wait(&all_added);
		pthread_barrier_wait(&all_read);
	}
	return NULL;
}

static void run_threads(bool hold)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, hold ? &all_added : NULL), 0);
	if (hold) {
		pthread_barrier_wait(&all_added);
		assert_int_equal(metric_get(M_flights_open), 0);
		pthread_barrier_wait(&all_read);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void test_sums_over_threads_that_run_and_that_ended(void **state)
{
	int64_t before = metric_get(M_http_requests);

	pthread_barrier_init(&all_added, NULL, THREADS + 1);
	pthread_barrier_init(&all_read, NULL, THREADS + 1);
	run_threads(true);
	assert_int_equal(metric_get(M_http_requests) - before, THREADS * ADDS);
	/* New threads go on with the blocks of those that ended. */
	run_threads(false);
	run_threads(true);
	assert_int_equal(metric_get(M_http_requests) - before, 3 * THREADS * ADDS);
	assert_int_equal(metric_get(M_http_bytes_sent), 3 * metric_get(M_http_requests));
	assert_int_equal(metric_get(M_flights_open), 0);
	pthread_barrier_destroy(&all_added);
	pthread_barrier_destroy(&all_read);
}

/* A gauge goes up in one thread and down in another. */
static void *close_one(void *arg)
{
	metric_dec(M_http_connections_open);
	return NULL;
}

static void test_gauge_across_threads(void **state)
{
	pthread_t thread;

	metric_add(M_http_connections_open, 2);
	assert_int_equal(pthread_create(&thread, NULL, close_one, NULL), 0);
	pthread_join(thread, NULL);
	assert_int_equal(metric_get(M_http_connections_open), 1);
	metric_dec(M_http_connections_open);
	assert_int_equal(metric_get(M_http_connections_open), 0);
}

static void test_text_has_every_row_with_kind_and_help(void **state)
{
	struct buf out = BUF_INIT(1 << 20);
	int lines = 0;

	metric_add(M_store_commits, 42);
	assert_int_equal(metrics_text(&out), 0);
	assert_non_null(strstr(out.p, "# HELP sluice_store_commits_total artifacts saved\n"
				      "# TYPE sluice_store_commits_total counter\n"
				      "sluice_store_commits_total 42\n"));
	assert_non_null(strstr(out.p, "# TYPE sluice_flights_open gauge\nsluice_flights_open 0\n"));
	for (size_t i = 0; i < out.n; i++)
		lines += out.p[i] == '\n';
	assert_int_equal(lines, 3 * M_COUNT_ + (2 + HISTOGRAM_BUCKETS + 2) * H_COUNT_);
	buf_fini(&out);
}

static void *observe_one(void *arg)
{
	histogram_add(H_loop_turn_seconds, 1500000);
	return NULL;
}

static void test_a_histogram_adds_up_over_threads_and_buckets(void **state)
{
	struct buf out = BUF_INIT(1 << 20);
	pthread_t thread;

	histogram_add(H_loop_turn_seconds, 0);
	histogram_add(H_loop_turn_seconds, 1000000); /* a bound belongs to its bucket */
	histogram_add(H_loop_turn_seconds, 1000001);
	histogram_add(H_loop_turn_seconds, 3000000000);
	assert_int_equal(pthread_create(&thread, NULL, observe_one, NULL), 0);
	pthread_join(thread, NULL);
	assert_int_equal(histogram_get(H_loop_turn_seconds, 0), 1);
	assert_int_equal(histogram_get(H_loop_turn_seconds, 2), 2);
	assert_int_equal(histogram_get(H_loop_turn_seconds, 3), 4);
	assert_int_equal(histogram_get(H_loop_turn_seconds, HISTOGRAM_BUCKETS - 2), 4);
	assert_int_equal(histogram_get(H_loop_turn_seconds, HISTOGRAM_BUCKETS - 1), 5);
	assert_int_equal(metrics_text(&out), 0);
	assert_non_null(strstr(out.p, "# TYPE sluice_loop_turn_seconds histogram\n"
				      "sluice_loop_turn_seconds_bucket{le=\"0.0001\"} 1\n"
				      "sluice_loop_turn_seconds_bucket{le=\"0.0005\"} 1\n"
				      "sluice_loop_turn_seconds_bucket{le=\"0.001\"} 2\n"
				      "sluice_loop_turn_seconds_bucket{le=\"0.002\"} 4\n"));
	assert_non_null(strstr(out.p, "sluice_loop_turn_seconds_bucket{le=\"1\"} 4\n"
				      "sluice_loop_turn_seconds_bucket{le=\"+Inf\"} 5\n"
				      "sluice_loop_turn_seconds_sum 3.003500001\n"
				      "sluice_loop_turn_seconds_count 5\n"));
	buf_fini(&out);
}

static void test_text_tells_when_it_does_not_fit(void **state)
{
	struct buf out = BUF_INIT(100);

	assert_true(metrics_text(&out) < 0);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums_over_threads_that_run_and_that_ended),
		cmocka_unit_test(test_gauge_across_threads),
		cmocka_unit_test(test_text_has_every_row_with_kind_and_help),
		cmocka_unit_test(test_a_histogram_adds_up_over_threads_and_buckets),
		cmocka_unit_test(test_text_tells_when_it_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
