#include "base/log_writer.h"

#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 20000

/* The log goes into a pipe; what is read from it comes a line at a time. */
static int ends[2];
static char text[LOG_RING_BYTES + 256 * 1024];
static size_t text_n;

static int open_pipe(void **state)
{
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	text_n = 0;
	log_set_fd(ends[1]);
	log_set_level(LOG_INFO);
	return 0;
}

static int close_pipe(void **state)
{
	log_writer_stop(0);
	log_set_fd(-1);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static void start_writer(void)
{
	struct err err = ERR_INIT;

	assert_int_equal(log_writer_start(&err), 0);
}

/* Reads until `enough` is in what was read; NULL: until nobody can write any more. */
static void read_until(const char *enough)
{
	struct pollfd p = {.fd = ends[0], .events = POLLIN};
	ssize_t n = 1;

	while (n > 0 && (enough == NULL || text_n == 0 || strstr(text, enough) == NULL)) {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		assert_true(text_n < sizeof(text) - 1);
		n = read(ends[0], text + text_n, sizeof(text) - 1 - text_n);
		assert_true(n >= 0);
		text_n += (size_t)n;
		text[text_n] = '\0';
	}
}

/* Lines "… x number=N": how many, in order of their numbers. Every line has to be whole. */
static int64_t count_numbers(void)
{
	int64_t n = 0, last = -1;

	for (char *at = text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		const char *mark;

		*end = '\0';
		mark = strstr(at, " x number=");
		assert_true(mark != NULL || strstr(at, " log ") != NULL);
		if (mark != NULL) {
			int64_t number = strtoll(mark + strlen(" x number="), NULL, 10);

			assert_true(number > last);
			last = number;
			n++;
		}
		*end = '\n';
	}
	assert_int_equal(text[text_n - 1], '\n');
	return n;
}

/* Logs numbers until some are dropped; how many it were. */
static int64_t fill(void)
{
	int64_t before = metric_get(M_log_dropped), n = 0;

	while (metric_get(M_log_dropped) == before)
		log_info("x", "number=%lld %0500d", (long long)n++, 0);
	return n;
}

static void a_reader_that_hangs_holds_nobody_up_and_is_told_what_is_missing(void **state)
{
	int64_t dropped = metric_get(M_log_dropped), n;
	char want[80];

	start_writer();
	n = fill();
	for (int i = 0; i < 100; i++)
		log_info("x", "number=%lld", (long long)n++);
	dropped = metric_get(M_log_dropped) - dropped;
	assert_true(dropped >= 1);
	read_until(" lines were dropped");
	(void)snprintf(want, sizeof(want), "WARNING log %lld lines were dropped: nobody took them in time\n",
		(long long)dropped);
	read_until("\n");
	assert_non_null(strstr(text, want));
	assert_int_equal(count_numbers(), n - dropped);
	log_info("x", "number=%lld", (long long)n);
	log_info("x", "number=%lld the last", (long long)n + 1);
	read_until("the last");
}

static void a_flood_leaves_room_for_warnings(void **state)
{
	start_writer();
	(void)fill();
	log_warn("x", "this one matters");
	read_until("this one matters");
}

static void nothing_is_lost_when_it_is_stopped(void **state)
{
	int64_t dropped = metric_get(M_log_dropped);
	const int lines = 3000;
	int status;
	pid_t pid;

	start_writer();
	/* More than the pipe takes, before its reader begins. */
	for (int i = 0; i < lines; i++)
		log_info("x", "number=%d %050d", i, 0);
	pid = fork();
	if (pid == 0) {
		read_until(" number=2999 ");
		_exit(count_numbers() == lines ? 0 : 1);
	}
	log_writer_stop(WAIT_MS);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(metric_get(M_log_dropped), dropped);
	/* From now on it is written at once. */
	log_info("x", "number=1");
	read_until("number=1\n");
}

static void a_reader_that_hangs_does_not_hold_up_the_end(void **state)
{
	start_writer();
	(void)fill();
	log_writer_stop(1);
	text_n = 0;
}

static void a_log_without_a_reader_is_no_reason_to_spin_or_die(void **state)
{
	int64_t dropped = metric_get(M_log_dropped);
	struct sigaction ignore = {.sa_handler = SIG_IGN}, was;
	int broken[2];

	assert_int_equal(sigaction(SIGPIPE, &ignore, &was), 0);
	assert_int_equal(pipe2(broken, O_CLOEXEC), 0);
	close(broken[0]);
	log_set_fd(broken[1]);
	start_writer();
	log_info("x", "lost");
	log_writer_stop(WAIT_MS);
	assert_int_equal(metric_get(M_log_dropped), dropped + 1);
	close(broken[1]);
	log_set_fd(ends[1]);
	assert_int_equal(sigaction(SIGPIPE, &was, NULL), 0);
}

/* Lines of any length by many threads, while another process comes and goes. */
static void *hammer(void *arg)
{
	for (int i = 0; i < 2000; i++)
		log_info("x", "line %d %0*d", i, i % 300, 0);
	return NULL;
}

static void a_forked_process_writes_itself(void **state)
{
	pthread_t threads[3];
	int children = 0;

	start_writer();
	log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, NULL), 0);
	for (int i = 0; i < 50; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			log_set_fd(ends[1]);
			log_info("x", "number=%d", i); /* whatever lock a thread of the parent held */
			_exit(0);
		}
		assert_true(pid > 0);
		assert_int_equal(waitpid(pid, &children, 0), pid);
		assert_int_equal(children, 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	read_until("number=49\n");
	assert_int_equal(count_numbers(), 50);
	log_writer_stop(WAIT_MS);
	close(log_get_fd());
	log_set_fd(ends[1]);
}

static void die_of_bug(void)
{
	BUG(ends[1] >= 0);
}

static void die_of_signal(void)
{
	(void)raise(SIGSEGV);
}

static void what_dies_says_its_last_words(void **state)
{
	static void (*const ways[])(void) = {die_of_bug, abort, die_of_signal};
	static const int signals[] = {SIGABRT, SIGABRT, SIGSEGV};
	const struct sigaction dfl = {.sa_handler = SIG_DFL};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		int status;
		pid_t pid;

		assert_int_equal(open_pipe(NULL), 0);
		pid = fork();
		if (pid == 0) {
			close(STDERR_FILENO);
			close(ends[0]);
			/* cmocka has put its own in front. */
			assert_int_equal(sigaction(signals[i], &dfl, NULL), 0);
			start_writer();
			for (int k = 0; k < 500; k++)
				log_info("x", "number=%d", k);
			ways[i]();
		}
		close(ends[1]);
		read_until(NULL);
		assert_int_equal(count_numbers(), 500);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		/* A sanitizer ends with an exit code. */
		assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == signals[i] : WEXITSTATUS(status) != 0);
		close(ends[0]);
	}
	assert_int_equal(open_pipe(NULL), 0);
}

#define PIPED(t) cmocka_unit_test_setup_teardown(t, open_pipe, close_pipe)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PIPED(a_reader_that_hangs_holds_nobody_up_and_is_told_what_is_missing),
		PIPED(a_flood_leaves_room_for_warnings),
		PIPED(nothing_is_lost_when_it_is_stopped),
		PIPED(a_reader_that_hangs_does_not_hold_up_the_end),
		PIPED(a_log_without_a_reader_is_no_reason_to_spin_or_die),
		PIPED(a_forked_process_writes_itself),
		PIPED(what_dies_says_its_last_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
