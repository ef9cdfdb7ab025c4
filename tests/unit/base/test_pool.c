/* The thread pool. A job that waits for a semaphore holds the pool where a test wants it. */
#include "base/pool.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define JOBS 200

static struct pool *pool;
static struct loop *lp;
static sem_t started, gate;
static _Atomic int ran;
static int done_n, done_wanted;
static bool all_done;

static int set_up(void **state)
{
	sem_init(&started, 0, 0);
	sem_init(&gate, 0, 0);
	atomic_store(&ran, 0);
	done_n = 0;
	all_done = false;
	return loop_new("pool-test", &lp, NULL);
}

static int tear_down(void **state)
{
	loop_free(&lp);
	sem_destroy(&started);
	sem_destroy(&gate);
	return 0;
}

static void job_hold(struct pool_job *j)
{
	sem_post(&started);
	while (sem_wait(&gate) != 0)
		continue;
	atomic_fetch_add(&ran, 1);
}

static void job_count(struct pool_job *j)
{
	atomic_fetch_add(&ran, 1);
}

static void job_done(struct pool_job *j)
{
	ASSERT_ON_LOOP(lp);
	if (++done_n == done_wanted)
		all_done = true;
}

/* One thread, busy, so that what is submitted next stays queued. */
static void pool_held(int queue_max, struct pool_job *hold)
{
	*hold = (struct pool_job){.fn = job_hold};
	assert_int_equal(pool_new("held", 1, queue_max, &pool, NULL), 0);
	assert_int_equal(pool_submit(pool, hold), 0);
	while (sem_wait(&started) != 0)
		continue;
}

static void test_a_full_queue_refuses(void **state)
{
	struct pool_job hold, jobs[3] = {0};

	pool_held(2, &hold);
	for (int i = 0; i < 3; i++)
		jobs[i].fn = job_count;
	assert_int_equal(pool_submit(pool, &jobs[0]), 0);
	assert_int_equal(pool_submit(pool, &jobs[1]), 0);
	assert_int_equal(pool_queued(pool), 2);
	assert_int_equal(pool_submit(pool, &jobs[2]), -ERR_LIMIT);
	assert_int_equal(pool_queued(pool), 2);
	sem_post(&gate);
	pool_free(&pool);
	assert_int_equal(atomic_load(&ran), 3);
}

static void test_free_finishes_what_is_queued(void **state)
{
	struct pool_job hold, *jobs = calloc(JOBS, sizeof(*jobs));

	pool_held(JOBS, &hold);
	for (int i = 0; i < JOBS; i++) {
		jobs[i].fn = job_count;
		assert_int_equal(pool_submit(pool, &jobs[i]), 0);
	}
	sem_post(&gate);
	pool_free(&pool);
	assert_null(pool);
	assert_int_equal(atomic_load(&ran), JOBS + 1);
	free(jobs);
}

static void test_done_runs_on_the_loop(void **state)
{
	struct pool_job *jobs = calloc(JOBS, sizeof(*jobs));

	done_wanted = JOBS;
	assert_int_equal(pool_new("done", 3, JOBS, &pool, NULL), 0);
	for (int i = 0; i < JOBS; i++) {
		jobs[i] = (struct pool_job){.fn = job_count, .done = job_done, .loop = lp};
		assert_int_equal(pool_submit(pool, &jobs[i]), 0);
	}
	loop_run_until(lp, &all_done);
	assert_int_equal(done_n, JOBS);
	assert_int_equal(atomic_load(&ran), JOBS);
	pool_free(&pool);
	free(jobs);
}

/* done() submits the same job again: from then on the pool must not touch it as it was. */
static void job_again(struct pool_job *j)
{
	if (++done_n == JOBS)
		all_done = true;
	else
		assert_int_equal(pool_submit(pool, j), 0);
}

static void test_a_job_can_be_used_again_in_done(void **state)
{
	struct pool_job j = {.fn = job_count, .done = job_again, .loop = lp};

	assert_int_equal(pool_new("again", 2, 1, &pool, NULL), 0);
	assert_int_equal(pool_submit(pool, &j), 0);
	loop_run_until(lp, &all_done);
	assert_int_equal(atomic_load(&ran), JOBS);
	pool_free(&pool);
}

static void job_free(struct pool_job *j)
{
	atomic_fetch_add(&ran, 1);
	free(j);
}

static void test_a_job_without_a_loop_may_free_itself(void **state)
{
	assert_int_equal(pool_new("free", 2, JOBS, &pool, NULL), 0);
	for (int i = 0; i < JOBS; i++) {
		struct pool_job *j = calloc(1, sizeof(*j));

		j->fn = job_free;
		assert_int_equal(pool_submit(pool, j), 0);
	}
	pool_free(&pool);
	assert_int_equal(atomic_load(&ran), JOBS);
}

static void job_signals(struct pool_job *j)
{
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGCHLD))
		atomic_fetch_add(&ran, 1);
}

static void test_signals_stay_with_the_main_thread(void **state)
{
	struct pool_job j = {.fn = job_signals};
	sigset_t before, after;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(pool_new("signals", 1, 1, &pool, NULL), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int s = 1; s < 32; s++)
		assert_int_equal(sigismember(&before, s), sigismember(&after, s));
	assert_int_equal(pool_submit(pool, &j), 0);
	pool_free(&pool);
	assert_int_equal(atomic_load(&ran), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_a_full_queue_refuses),
		T(test_free_finishes_what_is_queued),
		T(test_done_runs_on_the_loop),
		T(test_a_job_can_be_used_again_in_done),
		T(test_a_job_without_a_loop_may_free_itself),
		T(test_signals_stay_with_the_main_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
