/* The data directory: which one, its lock, and client.json. */
#include "cmd/datadir.h"

#include "base/fsutil.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], sub[96];

static int set_up(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/sluice-datadir-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(sub, sizeof(sub), "%s/a/b", dir);
	return 0;
}

static int tear_down(void **state)
{
	return fs_remove_tree(dir, NULL);
}

static void test_find(void **state)
{
	struct buf b = BUF_INIT(0);

	setenv("SLUICE_DATA", "/from/env", 1);
	assert_int_equal(datadir_find("/given", &b, NULL), 0);
	assert_string_equal(b.p, "/given");
	buf_reset(&b);
	assert_int_equal(datadir_find(NULL, &b, NULL), 0);
	assert_string_equal(b.p, "/from/env");
	buf_reset(&b);
	setenv("SLUICE_DATA", "", 1);
	setenv("XDG_DATA_HOME", "/xdg", 1);
	assert_int_equal(datadir_find(NULL, &b, NULL), 0);
	assert_string_equal(b.p, geteuid() == 0 ? "/var/lib/sluice" : "/xdg/sluice");
	buf_reset(&b);
	assert_int_equal(datadir_find("", &b, NULL), -ERR_INVAL);
	buf_fini(&b);
}

static void test_lock_is_one_servers(void **state)
{
	struct err err = ERR_INIT;
	struct stat st;
	int first = -1, second = -1, status;
	pid_t pid;

	assert_int_equal(datadir_lock(sub, &first, NULL), 0);
	assert_int_equal(stat(sub, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	pid = fork();
	if (pid == 0)
		_exit(datadir_lock(sub, &second, &err) == -ERR_BUSY && strstr(err.msg, "process") != NULL ? 0 : 1);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	fs_close(&first);
	assert_int_equal(datadir_lock(sub, &second, NULL), 0);
	fs_close(&second);
}

static void test_not_a_directory(void **state)
{
	struct err err = ERR_INIT;
	int fd = -1;

	snprintf(sub, sizeof(sub), "%s/file", dir);
	assert_int_equal(fs_replace_file(sub, "x", 1, 0600, NULL), 0);
	assert_true(datadir_lock(sub, &fd, &err) < 0);
	assert_non_null(strstr(err.msg, "file"));
}

/* Who sweeps waits for a task process that is still at work. */
static void test_tasks_are_waited_for(void **state)
{
	int fd = -1, go[2], status;
	char c;
	pid_t pid;

	assert_int_equal(pipe(go), 0);
	assert_int_equal(datadir_join_tasks(dir, &fd, NULL), 0);
	pid = fork();
	if (pid == 0) {
		fs_close(&fd); /* the lock is the parent's as well: its copy keeps it */
		(void)!write(go[1], "x", 1);
		_exit(datadir_wait_for_tasks(dir, NULL) == 0 ? 0 : 1);
	}
	assert_int_equal(read(go[0], &c, 1), 1);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	fs_close(&fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(go[0]);
	close(go[1]);
}

static void test_client_info(void **state)
{
	struct client_info in = {.url = (char *)(uintptr_t) "http://127.0.0.1:80",
				   .username = (char *)(uintptr_t) "admin",
				   .password = (char *)(uintptr_t) "p\"w"},
			   out = {0};
	char path[128];
	struct stat st;

	assert_int_equal(client_info_read(dir, &out, NULL), -ERR_NOTFOUND);
	assert_int_equal(client_info_write(dir, &in, NULL), 0);
	snprintf(path, sizeof(path), "%s/client.json", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(client_info_read(dir, &out, NULL), 0);
	assert_string_equal(out.url, in.url);
	assert_string_equal(out.username, in.username);
	assert_string_equal(out.password, in.password);
	client_info_fini(&out);
	in.password = NULL;
	assert_int_equal(client_info_write(dir, &in, NULL), 0);
	assert_int_equal(client_info_read(dir, &out, NULL), 0);
	assert_null(out.password);
	client_info_fini(&out);
}

static void test_client_info_that_is_rubbish(void **state)
{
	static const char *const texts[] = {"", "x", "[]", "{\"url\": 1}", "{\"url\": \"a\", \"password\": []}"};
	char path[128];

	snprintf(path, sizeof(path), "%s/client.json", dir);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct client_info out = {0};

		assert_int_equal(fs_replace_file(path, texts[i], strlen(texts[i]), 0600, NULL), 0);
		assert_int_equal(client_info_read(dir, &out, NULL), -ERR_PARSE);
		assert_null(out.url);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test_setup_teardown(test_lock_is_one_servers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_a_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tasks_are_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_client_info, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_client_info_that_is_rubbish, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("datadir", tests, NULL, NULL);
}
