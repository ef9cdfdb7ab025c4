/* Task processes: how they end, what they inherit, and that none outlives its worker. The program is its own child:
 * the first argument says what to do. */
#include "tasks/spawn.h"

#include "base/clock.h"
#include "base/fsutil.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SELF "/proc/self/exe"
#define DEADLINE_NS (30 * NS_PER_S)

static void do_hang(void)
{
	for (;;)
		pause();
}

/* Says what this process got from its maker, one letter each; upper case: as it should be. */
static void do_inherit(void)
{
	struct sigaction sa;
	struct rlimit core;
	sigset_t mask;
	char c;

	getrlimit(RLIMIT_CORE, &core);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	sigaction(SIGPIPE, NULL, &sa);
	dprintf(2, "%c%c%c%c%c%c", core.rlim_max == 0 ? 'C' : 'c', sigismember(&mask, SIGTERM) ? 'm' : 'M',
		sa.sa_handler == SIG_DFL ? 'P' : 'p', getpgrp() == getpid() ? 'G' : 'g',
		read(0, &c, 1) == 0 ? 'I' : 'i', fcntl(100, F_GETFD) < 0 ? 'F' : 'f');
}

static struct child spawn_self(const char *what, int64_t address_bytes)
{
	char *argv[] = {(char *)(uintptr_t)SELF, (char *)(uintptr_t)what, NULL};
	struct spawn_opts opts = {.argv = argv, .address_bytes = address_bytes};
	struct child c = {0};
	struct err err = ERR_INIT;

	if (spawn_child(&opts, &c, &err) < 0)
		fail_msg("%s", err.msg);
	return c;
}

/* The maker of another child, which dies before it. */
static void do_parent(void)
{
	struct child c = spawn_self("hang", 0);

	dprintf(2, "%d\n", (int)c.pid);
	kill(getpid(), SIGKILL);
}

static void *hog(void)
{
	void *p = malloc((size_t)1 << 30);

	if (p == NULL)
		_exit(9);
	memset(p, 1, (size_t)1 << 30);
	return p;
}

static int child_main(const char *what)
{
	if (strcmp(what, "exit3") == 0)
		return 3;
	if (strcmp(what, "abort") == 0)
		abort();
	if (strcmp(what, "hang") == 0)
		do_hang();
	if (strcmp(what, "inherit") == 0)
		do_inherit();
	if (strcmp(what, "parent") == 0)
		do_parent();
	if (strcmp(what, "hog") == 0)
		free(hog());
	return 0;
}

static void reap(struct child *c, enum spawn_end *how, int *detail)
{
	int64_t deadline = clock_mono_ns() + DEADLINE_NS;

	while (spawn_reap(c, how, detail) == 0) {
		struct pollfd pfd = {.fd = c->pidfd, .events = POLLIN};

		if (clock_mono_ns() > deadline)
			fail_msg("the child %d did not end", (int)c->pid);
		poll(&pfd, 1, 100);
	}
	assert_int_equal(c->pid, 0);
}

static void test_ends(void **state)
{
	static const struct {
		const char *what;
		enum spawn_end how;
		int detail;
	} rows[] = {
		{"none", SPAWN_EXITED, 0},
		{"exit3", SPAWN_EXITED, 3},
		{"abort", SPAWN_KILLED, SIGABRT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct child c = spawn_self(rows[i].what, 0);
		enum spawn_end how;
		int detail;

		reap(&c, &how, &detail);
		assert_int_equal(how, rows[i].how);
		assert_int_equal(detail, rows[i].detail);
	}
}

static void test_missing_program(void **state)
{
	char *argv[] = {(char *)(uintptr_t) "/nowhere/sluice", NULL};
	struct spawn_opts opts = {.argv = argv};
	struct child c;
	enum spawn_end how;
	int detail;

	assert_int_equal(spawn_child(&opts, &c, NULL), 0);
	reap(&c, &how, &detail);
	assert_int_equal(how, SPAWN_NOT_STARTED);
	assert_int_equal(detail, ENOENT);
}

static void test_signal(void **state)
{
	struct child c = spawn_self("hang", 0);
	enum spawn_end how;
	int detail;

	assert_int_equal(spawn_reap(&c, &how, &detail), 0);
	spawn_signal(&c, SIGTERM);
	reap(&c, &how, &detail);
	assert_int_equal(how, SPAWN_KILLED);
	assert_int_equal(detail, SIGTERM);
}

/* Sanitizers reserve more addresses than any limit allows, and the child is not limited then. */
static bool sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#elif defined(__clang__)
	return __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
	return false;
#endif
}

static void test_memory_limit(void **state)
{
	struct child c = spawn_self("hog", 256 << 20);
	enum spawn_end how;
	int detail;

	reap(&c, &how, &detail);
	assert_int_equal(how, SPAWN_EXITED);
	assert_int_equal(detail, sanitized() ? 0 : 9);
}

/* Runs `what` with its standard error in a pipe, and reads that until nobody holds it any more. */
static void read_stderr(const char *what, char *out, size_t cap, struct child *c)
{
	int fds[2], saved = dup(2);
	size_t n = 0;
	ssize_t got;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	dup2(fds[1], 2);
	*c = spawn_self(what, 0);
	dup2(saved, 2);
	close(saved);
	close(fds[1]);
	for (;;) {
		struct pollfd pfd = {.fd = fds[0], .events = POLLIN};

		if (poll(&pfd, 1, (int)(DEADLINE_NS / NS_PER_MS)) == 0)
			fail_msg("'%s' still holds its standard error", what);
		got = read(fds[0], out + n, cap - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	out[n] = '\0';
	close(fds[0]);
}

static void test_inherited(void **state)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	sigset_t term, old;
	struct child c;
	enum spawn_end how;
	char text[64];
	int detail;

	/* What a server has, and its tasks must not: ignored and blocked signals, a forgotten descriptor. */
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &old);
	sigaction(SIGPIPE, &ignore, &before);
	dup2(1, 100);
	read_stderr("inherit", text, sizeof(text), &c);
	close(100);
	sigaction(SIGPIPE, &before, NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_string_equal(text, "CMPGIF");
	reap(&c, &how, &detail);
}

static void test_dies_with_its_maker(void **state)
{
	struct child c;
	enum spawn_end how;
	char text[64];
	int detail;

	/* The pipe ends only when the maker and the child that it made are both gone. */
	read_stderr("parent", text, sizeof(text), &c);
	assert_true(atoi(text) > 0);
	reap(&c, &how, &detail);
	assert_int_equal(how, SPAWN_KILLED);
	assert_int_equal(detail, SIGKILL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_missing_program),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_memory_limit),
		cmocka_unit_test(test_inherited),
		cmocka_unit_test(test_dies_with_its_maker),
	};

	if (argc > 1)
		return child_main(argv[1]);
	return cmocka_run_group_tests_name("spawn", tests, NULL, NULL);
}
