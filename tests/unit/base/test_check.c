#include "base/check.h"

#include "base/log.h"
#include "base/metrics.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs fn in a child whose standard error is read; returns its wait status. */
static int run_child(void (*fn)(void), char *out, size_t cap)
{
	int fds[2], status;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL); /* cmocka's own handler would answer */
		dup2(fds[1], STDERR_FILENO);
		fn();
		_exit(0);
	}
	close(fds[1]);
	while (n + 1 < cap && (got = read(fds[0], out + n, cap - 1 - n)) > 0)
		n += (size_t)got;
	out[n] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void with_bug(void)
{
	int two = 2;

	BUG(two > 1);
}

static void without_bug(void)
{
	int two = 2;

	BUG(two < 1);
}

static void bug_says_where_and_aborts(void **state)
{
	char out[4096];
	int status = run_child(with_bug, out, sizeof(out));

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_non_null(strstr(out, "BUG at "));
	assert_non_null(strstr(out, "test_check.c:"));
	assert_non_null(strstr(out, ": two > 1\n"));
}

static void no_bug_no_word(void **state)
{
	char out[4096];
	int status = run_child(without_bug, out, sizeof(out));

	assert_true(WIFEXITED(status));
	assert_string_equal(out, "");
}

static void check_twice(int value)
{
	for (int i = 0; i < 2; i++) {
		if (CHECK(value == 1))
			_exit(1);
	}
	if (!CHECK(value == 0) || metric_get(M_log_errors) != 1)
		_exit(2);
}

static void with_check(void)
{
	check_twice(0);
}

static void check_reports_once_and_goes_on(void **state)
{
	char out[4096], *first;
	int status = run_child(with_check, out, sizeof(out));

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	first = strstr(out, ": value == 1");
	assert_non_null(first);
	assert_null(strstr(first + 1, ": value"));
}

static void take_leaves_null(void **state)
{
	int x = 0, *holder = &x, *got = TAKE(holder);

	assert_ptr_equal(got, &x);
	assert_null(holder);
}

struct outer {
	int a;
	int inner;
};

static void container_of_finds_the_whole(void **state)
{
	struct outer o = {0};
	int *inner = &o.inner;

	assert_ptr_equal(container_of(inner, struct outer, inner), &o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bug_says_where_and_aborts),
		cmocka_unit_test(no_bug_no_word),
		cmocka_unit_test(check_reports_once_and_goes_on),
		cmocka_unit_test(take_leaves_null),
		cmocka_unit_test(container_of_finds_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
