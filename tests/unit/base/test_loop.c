/* The event loop. Order comes from the turns themselves: a post that posts itself again counts them. */
#include "base/loop.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *lp;
static bool done;

static int set_up(void **state)
{
	struct err err = ERR_INIT;

	done = false;
	return loop_new("under-test", &lp, &err);
}

static int tear_down(void **state)
{
	loop_free(&lp);
	return lp == NULL ? 0 : -1;
}

/* ---- timers ---- */

#define TIMERS 500

struct numbered {
	struct loop_timer t;
	int number;
};
static struct numbered numbered[TIMERS];
static int fired[TIMERS];
static int fired_n;

static void on_numbered(struct loop_timer *t)
{
	fired[fired_n++] = container_of(t, struct numbered, t)->number;
}

static void on_finish(struct loop_timer *t)
{
	done = true;
}

static void reset_timers(void)
{
	memset(numbered, 0, sizeof(numbered));
	fired_n = 0;
	for (int i = 0; i < TIMERS; i++) {
		numbered[i].t.fn = on_numbered;
		numbered[i].number = i;
	}
}

/* Runs fn in a turn of the loop, then what it set up to `after_ns` later. Inside a turn "now" stands still, which makes
 * times exact: nothing depends on how fast the machine is. */
static void (*step_fn)(void);
static int64_t step_after_ns;
static struct loop_timer step_finish;

static void on_step(struct loop_post *p)
{
	step_fn();
	assert_int_equal(loop_timer_set(lp, &step_finish, step_after_ns), 0);
}

static void run_step(void (*fn)(void), int64_t after_ns)
{
	struct loop_post p = {.fn = on_step};

	step_fn = fn;
	step_after_ns = after_ns;
	step_finish = (struct loop_timer){.fn = on_finish};
	loop_post(lp, &p);
	loop_run_until(lp, &done);
	done = false;
}

/* 7 has no factor in common with 500: each number is used once, in a mixed order. */
static void set_all_at_once(void)
{
	for (int i = 0; i < TIMERS; i++) {
		numbered[i].number = i * 7 % TIMERS;
		assert_int_equal(loop_timer_set(lp, &numbered[i].t, (1 + numbered[i].number) * 1000), 0);
	}
	/* Each third one moves to the far end, each seventh of the others to the front, some go. */
	for (int i = 0; i < TIMERS; i++) {
		if (numbered[i].number % 3 == 0)
			loop_timer_set(lp, &numbered[i].t, (TIMERS + 1 + numbered[i].number) * 1000);
		else if (numbered[i].number % 7 == 0)
			loop_timer_set(lp, &numbered[i].t, numbered[i].number);
		else if (numbered[i].number % 11 == 0)
			loop_timer_cancel(lp, &numbered[i].t);
	}
}

static int64_t rank(int number)
{
	if (number % 3 == 0)
		return (TIMERS + 1 + number) * 1000;
	return number % 7 == 0 ? MAX(number, 1) : (1 + number) * 1000;
}

static void test_timers_fire_in_order_also_when_moved(void **state)
{
	int expected = 0;

	reset_timers();
	run_step(set_all_at_once, NS_PER_MS * 2);
	for (int n = 0; n < TIMERS; n++)
		expected += n % 3 == 0 || n % 7 == 0 || n % 11 != 0;
	assert_int_equal(fired_n, expected);
	for (int i = 1; i < fired_n; i++)
		assert_true(rank(fired[i - 1]) < rank(fired[i]));
}

/* Many small heaps of mixed shape, each losing some of its inside. */
static uint32_t seed;

static int next_random(int below)
{
	seed = seed * 1664525 + 1013904223;
	return (int)((seed >> 16) % (uint32_t)below);
}

static void set_and_cancel_some(void)
{
	for (int i = 0; i < 40; i++) {
		numbered[i].number = 1 + next_random(1000);
		loop_timer_set(lp, &numbered[i].t, numbered[i].number);
	}
	for (int i = 0; i < 10; i++)
		loop_timer_cancel(lp, &numbered[i * 4 + next_random(4)].t);
}

static void test_timer_order_holds_after_cancels_inside_the_heap(void **state)
{
	for (uint32_t round = 1; round <= 200; round++) {
		seed = round;
		reset_timers();
		run_step(set_and_cancel_some, 2000);
		assert_int_equal(fired_n, 30);
		for (int i = 1; i < fired_n; i++)
			assert_true(fired[i - 1] <= fired[i]);
	}
}

static struct loop_timer first_timer, second_timer;
static int first_fired, second_fired;

static void on_first(struct loop_timer *t)
{
	first_fired++;
	loop_timer_cancel(lp, &second_timer);
}

static void on_second(struct loop_timer *t)
{
	second_fired++;
	loop_timer_cancel(lp, &first_timer);
}

static void set_both(void)
{
	loop_timer_set(lp, &first_timer, 1000);
	loop_timer_set(lp, &second_timer, 1000);
}

static void test_timer_canceled_by_another_that_is_due_at_the_same_time(void **state)
{
	first_fired = second_fired = 0;
	first_timer = (struct loop_timer){.fn = on_first};
	second_timer = (struct loop_timer){.fn = on_second};
	run_step(set_both, 2000);
	assert_int_equal(first_fired + second_fired, 1);
}

static void on_again(struct loop_timer *t)
{
	first_fired++;
	assert_int_equal(t->slot, 0);
	if (first_fired < 100)
		loop_timer_set(lp, t, 0);
	else
		done = true;
}

static void count_turn(struct loop_post *p)
{
	second_fired++;
	loop_post(lp, p);
}

static void test_timer_set_to_now_waits_for_the_next_turn(void **state)
{
	struct loop_timer again = {.fn = on_again};
	struct loop_post turns = {.fn = count_turn};

	first_fired = second_fired = 0;
	loop_post(lp, &turns);
	loop_timer_set(lp, &again, 0);
	loop_run_until(lp, &done);
	assert_int_equal(first_fired, 100);
	/* A post that posts itself again runs once a turn, and does not keep timers from their turn either. */
	assert_true(second_fired >= 100);
}

static void test_timer_is_not_early(void **state)
{
	struct loop_timer t = {.fn = on_finish};
	int64_t before = clock_mono_ns();

	assert_int_equal(loop_timer_set(lp, &t, 3 * NS_PER_MS), 0);
	loop_run_until(lp, &done);
	assert_true(clock_mono_ns() - before >= 3 * NS_PER_MS);
}

/* ---- descriptors ---- */

struct piped {
	struct loop_io io;
	int write_fd;
	int calls;
	struct piped *other;
};

static void pipe_open(struct piped *p, void (*fn)(struct loop_io *io, uint32_t events))
{
	int fd[2];

	assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(loop_io_add(lp, &p->io, (p->io.fn = fn, fd[0]), EPOLLIN, NULL), 0);
	p->write_fd = fd[1];
}

static void pipe_close(struct piped *p)
{
	int fd = p->io.fd;

	loop_io_del(lp, &p->io);
	close(fd);
	close(p->write_fd);
}

static void read_all(int fd)
{
	char bytes[16];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		continue;
}

static void on_readable(struct loop_io *io, uint32_t events)
{
	assert_int_equal(events, EPOLLIN);
	container_of(io, struct piped, io)->calls++;
	read_all(io->fd);
	done = true;
}

static void test_io_tells_what_is_ready(void **state)
{
	struct piped p = {0};

	pipe_open(&p, on_readable);
	assert_int_equal(write(p.write_fd, "x", 1), 1);
	loop_run_until(lp, &done);
	assert_int_equal(p.calls, 1);
	pipe_close(&p);
	assert_false(p.io.added);
	loop_io_del(lp, &p.io); /* twice does nothing */
}

static void test_io_of_a_bad_descriptor_is_refused(void **state)
{
	struct loop_io io = {.fn = on_readable};
	struct err err = ERR_INIT;

	assert_int_equal(loop_io_add(lp, &io, -1, EPOLLIN, &err), -ERR_IO);
	assert_int_equal(err.sys, EBADF);
	assert_false(io.added);
}

/* Both are readable: whoever comes first removes the other, whose event was already fetched. */
static void on_del_other(struct loop_io *io, uint32_t events)
{
	struct piped *p = container_of(io, struct piped, io);

	p->calls++;
	if (p->other->io.added)
		pipe_close(p->other);
	read_all(io->fd);
	done = true;
}

static void test_io_removed_by_an_earlier_event_of_its_turn(void **state)
{
	struct piped *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
	struct piped *left;

	a->other = b;
	b->other = a;
	pipe_open(a, on_del_other);
	pipe_open(b, on_del_other);
	assert_int_equal(write(a->write_fd, "x", 1), 1);
	assert_int_equal(write(b->write_fd, "x", 1), 1);
	loop_run_until(lp, &done);
	assert_int_equal(a->calls + b->calls, 1);
	left = a->io.added ? a : b;
	assert_int_equal(left->calls, 1);
	pipe_close(left);
	free(a);
	free(b);
}

/* As before, but the other is opened again at once: same struct, same descriptor number, nothing to read. */
static void on_reopen_other(struct loop_io *io, uint32_t events)
{
	struct piped *p = container_of(io, struct piped, io);
	int fd = p->other->io.fd;

	p->calls++;
	read_all(io->fd);
	pipe_close(p->other);
	pipe_open(p->other, on_readable);
	assert_int_equal(p->other->io.fd, fd);
	done = true;
}

static void test_descriptor_used_again_in_the_same_turn(void **state)
{
	struct piped a = {0}, b = {0};
	struct piped *reopened;

	a.other = &b;
	b.other = &a;
	pipe_open(&a, on_reopen_other);
	pipe_open(&b, on_reopen_other);
	assert_int_equal(write(a.write_fd, "x", 1), 1);
	assert_int_equal(write(b.write_fd, "x", 1), 1);
	loop_run_until(lp, &done);
	assert_int_equal(a.calls + b.calls, 1);
	reopened = a.calls == 0 ? &a : &b;
	done = false;
	assert_int_equal(write(reopened->write_fd, "x", 1), 1);
	loop_run_until(lp, &done);
	assert_int_equal(reopened->calls, 1);
	pipe_close(&a);
	pipe_close(&b);
}

static void on_pause_other(struct loop_io *io, uint32_t events)
{
	struct piped *p = container_of(io, struct piped, io);

	p->calls++;
	loop_io_mod(lp, &p->other->io, 0);
	done = true;
}

static void test_io_is_not_told_what_it_stopped_asking_for(void **state)
{
	struct piped a = {0}, b = {0};

	a.other = &b;
	b.other = &a;
	pipe_open(&a, on_pause_other);
	pipe_open(&b, on_pause_other);
	assert_int_equal(write(a.write_fd, "x", 1), 1);
	assert_int_equal(write(b.write_fd, "x", 1), 1);
	loop_run_until(lp, &done);
	assert_int_equal(a.calls + b.calls, 1);
	pipe_close(&a);
	pipe_close(&b);
}

/* ---- posts ---- */

#define POSTERS 4
#define POSTS 2000

struct numbered_post {
	struct loop_post post;
	int poster;
	int number;
};

static int next_of[POSTERS];
static int posts_left;

static void on_post(struct loop_post *p)
{
	struct numbered_post *np = container_of(p, struct numbered_post, post);

	ASSERT_ON_LOOP(lp);
	assert_int_equal(np->number, next_of[np->poster]);
	next_of[np->poster]++;
	free(np);
	if (--posts_left == 0)
		done = true;
}

static void *post_many(void *arg)
{
	for (int i = 0; i < POSTS; i++) {
		struct numbered_post *np = calloc(1, sizeof(*np));

		np->post.fn = on_post;
		np->poster = (int)(intptr_t)arg;
		np->number = i;
		loop_post(lp, &np->post);
		if (i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void test_posts_of_each_thread_keep_their_order(void **state)
{
	pthread_t threads[POSTERS];

	memset(next_of, 0, sizeof(next_of));
	posts_left = POSTERS * POSTS;
	for (int i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, (void *)(intptr_t)i), 0);
	loop_run_until(lp, &done);
	for (int i = 0; i < POSTERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(next_of[i], POSTS);
	}
}

/* Work is published as a flag plus a post that is queued at most once: none may be missed. */
static struct loop_post once;
static int work_seen;
static _Atomic int work_made;

static void on_once(struct loop_post *p)
{
	work_seen = atomic_load(&work_made);
	if (work_seen == POSTERS * POSTS)
		done = true;
}

static void *post_once_many(void *arg)
{
	for (int i = 0; i < POSTS; i++) {
		atomic_fetch_add_explicit(&work_made, 1, memory_order_relaxed);
		(void)loop_post_once(lp, &once);
	}
	return NULL;
}

static void test_post_once_misses_nothing(void **state)
{
	pthread_t threads[POSTERS];

	once = (struct loop_post){.fn = on_once};
	work_seen = 0;
	atomic_store(&work_made, 0);
	for (int i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, post_once_many, NULL), 0);
	loop_run_until(lp, &done);
	for (int i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(work_seen, POSTERS * POSTS);
}

static void on_once_again(struct loop_post *p)
{
	if (++first_fired == 2)
		done = true;
	else
		assert_true(loop_post_once(lp, p));
	assert_false(first_fired == 1 && loop_post_once(lp, p));
}

static void test_post_once_queues_once_and_again_from_its_start(void **state)
{
	struct loop_post p = {.fn = on_once_again};

	first_fired = 0;
	assert_true(loop_post_once(lp, &p));
	assert_false(loop_post_once(lp, &p));
	loop_run_until(lp, &done);
	assert_int_equal(first_fired, 2);
}

static void on_last_post(struct loop_post *p)
{
	done = true;
}

static void *post_last(void *arg)
{
	loop_post(lp, arg);
	return NULL;
}

/* The loop may be freed as soon as the last post ran, even if its poster has not returned from loop_post yet. */
static void test_free_right_after_the_last_post(void **state)
{
	for (int i = 0; i < 300; i++) {
		struct loop_post p = {.fn = on_last_post};
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, post_last, &p), 0);
		done = false;
		loop_run_until(lp, &done);
		loop_free(&lp);
		pthread_join(thread, NULL);
		assert_int_equal(loop_new("under-test", &lp, NULL), 0);
	}
}

/* ---- running ---- */

static void *run_loop(void *arg)
{
	loop_run(lp);
	return NULL;
}

static _Atomic bool saw_own_loop;

static void on_ask(struct loop_post *p)
{
	atomic_store(&saw_own_loop, loop_is_mine(lp));
}

static void test_the_loop_belongs_to_the_thread_that_runs_it(void **state)
{
	struct loop_post p = {.fn = on_ask};
	pthread_t thread;

	assert_true(loop_is_mine(lp));
	atomic_store(&saw_own_loop, false);
	assert_int_equal(pthread_create(&thread, NULL, run_loop, NULL), 0);
	loop_post(lp, &p);
	while (!atomic_load(&saw_own_loop))
		sched_yield();
	assert_false(loop_is_mine(lp));
	loop_stop(lp);
	pthread_join(thread, NULL);
	assert_true(loop_is_mine(lp));
}

static void test_stop_before_run_holds(void **state)
{
	loop_stop(lp);
	loop_run(lp);
	loop_run_until(lp, &done);
	assert_false(done);
}

static void test_run_until_what_is_done_already_does_not_wait(void **state)
{
	done = true;
	loop_run_until(lp, &done);
}

static void dawdle(void)
{
	int64_t until = loop_now(lp) + 60 * NS_PER_MS;

	while (clock_mono_ns() < until)
		continue;
	done = true;
}

static void on_dawdling_timer(struct loop_timer *t)
{
	dawdle();
}

static void on_dawdling_post(struct loop_post *p)
{
	dawdle();
}

static void on_dawdling_io(struct loop_io *io, uint32_t events)
{
	dawdle();
}

static void on_idle_post(struct loop_post *p)
{
}

/* Runs the loop until something has dawdled; the line that tells it. */
static void run_slow_turn(char line[512])
{
	int fd[2];

	done = false;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	log_set_fd(fd[1]);
	loop_run_until(lp, &done);
	log_set_fd(-1);
	close(fd[1]);
	memset(line, 0, 512);
	assert_true(read(fd[0], line, 511) > 0);
	close(fd[0]);
	assert_non_null(strstr(line, "WARNING loop "));
	assert_non_null(strstr(line, "loop=under-test ms="));
}

static void test_a_long_turn_is_reported_with_its_phase(void **state)
{
	struct loop_timer timer = {.fn = on_dawdling_timer};
	struct loop_post post = {.fn = on_dawdling_post}, idle[2] = {{.fn = on_idle_post}, {.fn = on_idle_post}};
	struct loop_io io = {.fn = on_dawdling_io};
	char line[512];
	int fd[2];

	loop_timer_set(lp, &timer, 0);
	run_slow_turn(line);
	assert_non_null(strstr(line, " timer=0x"));
	assert_null(strstr(line, " post"));

	loop_post(lp, &idle[0]);
	loop_post(lp, &post);
	run_slow_turn(line);
	assert_non_null(strstr(line, " posts=2\n"));
	assert_null(strstr(line, " timer"));

	/* Events before posts: the clock between them tells which it was. */
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	assert_int_equal(write(fd[1], "x", 1), 1);
	assert_int_equal(loop_io_add(lp, &io, fd[0], EPOLLIN, NULL), 0);
	loop_post(lp, &idle[0]);
	loop_post(lp, &idle[1]);
	run_slow_turn(line);
	assert_non_null(strstr(line, " event=0x"));
	assert_null(strstr(line, " post"));
	loop_io_del(lp, &io);
	close(fd[0]);
	close(fd[1]);
}

static void test_turns_that_did_something_are_in_the_histogram(void **state)
{
	int64_t all = histogram_get(H_loop_turn_seconds, HISTOGRAM_BUCKETS - 1);
	int64_t short_ones = histogram_get(H_loop_turn_seconds, 7); /* up to 50 ms */
	struct loop_timer timer = {.fn = on_dawdling_timer};

	done = false;
	loop_timer_set(lp, &timer, 0);
	loop_run_until(lp, &done);
	assert_int_equal(histogram_get(H_loop_turn_seconds, HISTOGRAM_BUCKETS - 1) - all, 1);
	assert_int_equal(histogram_get(H_loop_turn_seconds, 7) - short_ones, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_timers_fire_in_order_also_when_moved),
		T(test_timer_order_holds_after_cancels_inside_the_heap),
		T(test_timer_canceled_by_another_that_is_due_at_the_same_time),
		T(test_timer_set_to_now_waits_for_the_next_turn),
		T(test_timer_is_not_early),
		T(test_io_tells_what_is_ready),
		T(test_io_of_a_bad_descriptor_is_refused),
		T(test_io_removed_by_an_earlier_event_of_its_turn),
		T(test_descriptor_used_again_in_the_same_turn),
		T(test_io_is_not_told_what_it_stopped_asking_for),
		T(test_posts_of_each_thread_keep_their_order),
		T(test_post_once_misses_nothing),
		T(test_post_once_queues_once_and_again_from_its_start),
		T(test_free_right_after_the_last_post),
		T(test_the_loop_belongs_to_the_thread_that_runs_it),
		T(test_stop_before_run_holds),
		T(test_run_until_what_is_done_already_does_not_wait),
		T(test_a_long_turn_is_reported_with_its_phase),
		T(test_turns_that_did_something_are_in_the_histogram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
