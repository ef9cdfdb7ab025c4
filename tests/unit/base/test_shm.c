/* The shared counters, between processes and between threads. */
#include "base/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define BUMPS 1000

static char dir[64], path[96];

static int set_up(void **state)
{
	strcpy(dir, "/tmp/sluice-shm-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/shm", dir);
	return 0;
}

static int tear_down(void **state)
{
	unlink(path);
	return rmdir(dir);
}

static void test_counters_start_at_zero_and_are_apart(void **state)
{
	struct shm *s = NULL;
	struct stat st;

	assert_int_equal(shm_open_file(path, &s, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(shm_generation(s), 0);
	shm_bump_generation(s);
	assert_int_equal(shm_generation(s), 1);
	assert_int_equal(shm_task_signal(s), 0);
	shm_bump_task_signal(s);
	assert_int_equal(shm_task_signal(s), 1);
	assert_int_equal(shm_generation(s), 1);
	shm_close(&s);
	assert_null(s);
	/* The same file again: the counters go on. */
	assert_int_equal(shm_open_file(path, &s, NULL), 0);
	assert_int_equal(shm_generation(s), 1);
	shm_close(&s);
}

/* One child inherits the mapping, the other opens the file itself. */
static void child_bumps(struct shm *s, bool reopen)
{
	if (reopen && (shm_close(&s), shm_open_file(path, &s, NULL) < 0))
		_exit(1);
	for (int i = 0; i < BUMPS; i++)
		shm_bump_generation(s);
	_exit(0);
}

static void test_processes_share_it(void **state)
{
	struct shm *s = NULL;

	assert_int_equal(shm_open_file(path, &s, NULL), 0);
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			child_bumps(s, i == 1);
	}
	for (int i = 0; i < 2; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(shm_generation(s), 2 * BUMPS);
	shm_close(&s);
}

/* Whoever sees the new number sees what was stored before it. */
static int published;

static void *publish(void *arg)
{
	published = 7;
	shm_bump_generation(arg);
	return NULL;
}

static void test_a_bump_publishes(void **state)
{
	struct shm *s = NULL;
	pthread_t thread;

	published = 0;
	assert_int_equal(shm_open_file(path, &s, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, publish, s), 0);
	while (shm_generation(s) == 0)
		continue;
	assert_int_equal(published, 7);
	pthread_join(thread, NULL);
	shm_close(&s);
}

static void test_what_is_not_ours_is_refused(void **state)
{
	char page[4096];
	struct err err = ERR_INIT;
	struct shm *s = NULL;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	memset(page, 'x', sizeof(page));
	assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	close(fd);
	assert_int_equal(shm_open_file(path, &s, &err), -ERR_INVAL);
	assert_non_null(strstr(err.msg, path));
	assert_null(s);
	assert_int_equal(shm_open_file("/nonexistent/shm", &s, &err), -ERR_NOTFOUND);
	/* A symbolic link could make us write to somebody else's file. */
	unlink(path);
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_int_equal(shm_open_file(path, &s, &err), -ERR_IO);
	assert_int_equal(err.sys, ELOOP);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_counters_start_at_zero_and_are_apart),
		T(test_processes_share_it),
		T(test_a_bump_publishes),
		T(test_what_is_not_ours_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
