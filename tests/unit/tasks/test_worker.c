/* The worker with real task processes: this program is its own task process, told by its arguments
 * (DB SHM task-run UUID), with handlers that do what tasks do at their worst. */
#include "fixture.h"

#include "base/clock.h"
#include "base/fsutil.h"
#include "base/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fixture f;
static struct worker *worker;
static char shm_path[96];
static char *child_argv[] = {(char *)(uintptr_t) "/proc/self/exe", f.db, shm_path, NULL};

/* ---- what the tasks do ---- */

static _Noreturn void hang(void)
{
	for (;;)
		pause();
}

static const char *arg_text(const struct task *t, const char *key)
{
	return json_string_value(json_object_get(task_args(t), key));
}

static int run_ok(struct task *t, struct err *err)
{
	task_progress(t, "work", "Working", 3, 3);
	task_result(t, json_string("done"));
	return 0;
}

static int run_fail(struct task *t, struct err *err)
{
	return err_set(err, -ERR_PARSE, "[PLP0013] line 7");
}

static int run_crash(struct task *t, struct err *err)
{
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
	return 0;
}

static int run_exit(struct task *t, struct err *err)
{
	_exit((int)json_integer_value(json_object_get(task_args(t), "status")));
}

static int run_hog(struct task *t, struct err *err)
{
	struct rlimit as;
	void *p = malloc((size_t)1 << 30);

	getrlimit(RLIMIT_AS, &as);
	free(p);
	/* Sanitizers need the addresses: their builds have no limit, and then nothing is to be shown. */
	if (p == NULL || as.rlim_cur == RLIM_INFINITY)
		return err_set(err, -ERR_NOMEM, "no memory for a GiB");
	return 0;
}

/* Holds a lock on a file that others can ask about, and hangs; with "deaf" even through SIGTERM. */
static int run_hang(struct task *t, struct err *err)
{
	const char *path = arg_text(t, "lock");
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = path != NULL ? open(path, O_RDWR | O_CREAT, 0600) : -1;

	if (fd >= 0)
		fcntl(fd, F_SETLK, &lock);
	if (json_object_get(task_args(t), "deaf") != NULL)
		signal(SIGTERM, SIG_IGN);
	task_progress(t, "hang", "Hanging", -1, 1);
	hang();
}

static const struct task_handler handlers[] = {
	{"ok", run_ok, false},
	{"fail", run_fail, false},
	{"crash", run_crash, false},
	{"exit", run_exit, false},
	{"hog", run_hog, false},
	{"hang", run_hang, false},
};
static const struct task_registry registry = {handlers, sizeof(handlers) / sizeof(handlers[0]), NULL};

static int child_main(char **argv)
{
	struct shm *shm;
	struct catalog *c = fixture_catalog(argv[1], argv[2], &shm, false);
	int status = task_child_main(&registry, c, argv[4]);

	catalog_close(&c);
	shm_close(&shm);
	return status;
}

/* ---- set-up ---- */

static void start_worker(bool with_shm, const char *name)
{
	struct worker_opts opts = {
		.settings = &f.settings,
		.catalog = f.catalog,
		.shm = with_shm ? f.shm : NULL,
		.child_argv = child_argv,
		.name = name,
	};
	struct err err = ERR_INIT;

	if (worker_start(&opts, &worker, &err) < 0)
		fail_msg("%s", err.msg);
}

static int set_up(void **state)
{
	fixture_open(&f);
	snprintf(shm_path, sizeof(shm_path), "%s/generation", f.dir);
	return 0;
}

static int tear_down(void **state)
{
	worker_stop(&worker, 0);
	fixture_close(&f);
	return 0;
}

static struct uuid dispatch(const char *name, const char *args, const char *resource)
{
	return fixture_dispatch(&f, &registry, name, args, resource);
}

static const char *error_of(const struct uuid *u)
{
	return fixture_text(&f, u, "SELECT error FROM task WHERE id = $1");
}

static const char *wait_for_text(const struct uuid *u, const char *sql)
{
	int64_t deadline = clock_mono_ns() + 60 * NS_PER_S;
	const char *text;

	while ((text = fixture_text(&f, u, sql))[0] == '\0') {
		if (clock_mono_ns() > deadline)
			fail_msg("nothing comes of: %s", sql);
		poll(NULL, 0, 5);
	}
	return text;
}

static void wait_for_progress(const struct uuid *u)
{
	wait_for_text(u, "SELECT code FROM progress_report WHERE task_id = $1");
}

/* ---- tests ---- */

static void test_ends(void **state)
{
	static const struct {
		const char *name, *args;
		enum task_state ends;
		const char *error;
	} rows[] = {
		{"ok", "{}", TASK_COMPLETED, ""},
		{"fail", "{}", TASK_FAILED,
			"{\"description\":\"[PLP0013] line 7\",\"traceback\":null,\"error_code\":\"PLP0013\"}"},
		{"crash", "{}", TASK_FAILED, "{\"reason\":\"Killed by signal 11.\"}"},
		{"exit", "{\"status\": 3}", TASK_FAILED, "{\"reason\":\"Exit status 3.\"}"},
		{"exit", "{\"status\": 0}", TASK_FAILED, "{\"reason\":\"The task process ended without a result.\"}"},
		{"hog", "{}", TASK_FAILED, "{\"description\":\"no memory for a GiB\",\"traceback\":null}"},
	};
	int64_t completed = metric_get(M_tasks_completed), failed = metric_get(M_tasks_failed);

	f.settings.tasks_memory_limit = 512 << 20;
	start_worker(true, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* One resource: so each has ended in the worker's eyes too when the next one starts. */
		struct uuid u = dispatch(rows[i].name, rows[i].args, "prn:r");

		fixture_wait(&f, &u, rows[i].ends);
		assert_string_equal(error_of(&u), rows[i].error);
	}
	worker_stop(&worker, 1000);
	assert_int_equal(metric_get(M_tasks_completed), completed + 1);
	assert_int_equal(metric_get(M_tasks_failed), failed + 5);
}

static void test_result_and_progress(void **state)
{
	struct uuid u;

	start_worker(true, NULL);
	u = dispatch("ok", "{}", NULL);
	fixture_wait(&f, &u, TASK_COMPLETED);
	assert_string_equal(fixture_text(&f, &u, "SELECT result FROM task WHERE id = $1"), "\"done\"");
	assert_string_equal(fixture_text(&f, &u, "SELECT state FROM progress_report WHERE task_id = $1"), "completed");
}

static void test_cancel(void **state)
{
	static const char *const args[] = {"{}", "{\"deaf\": true}"};

	start_worker(true, NULL);
	for (size_t i = 0; i < 2; i++) {
		struct uuid u = dispatch("hang", args[i], "prn:r");
		struct uuid next = dispatch("ok", "{}", "prn:r");

		wait_for_progress(&u);
		fixture_cancel(&f, &u);
		fixture_wait(&f, &u, TASK_CANCELED);
		assert_string_equal(error_of(&u), "");
		assert_string_equal(
			fixture_text(&f, &u, "SELECT state FROM progress_report WHERE task_id = $1"), "canceled");
		fixture_wait(&f, &next, TASK_COMPLETED);
	}
}

static void test_cancel_of_a_waiting_one(void **state)
{
	struct uuid first, second;

	start_worker(true, NULL);
	first = dispatch("hang", "{}", "prn:r");
	second = dispatch("ok", "{}", "prn:r");
	wait_for_progress(&first);
	fixture_cancel(&f, &second);
	assert_int_equal(fixture_state(&f, &second), TASK_CANCELED);
	assert_int_equal(fixture_state(&f, &first), TASK_RUNNING);
}

static void test_time_limit(void **state)
{
	struct uuid u;

	f.settings.tasks_time_limit = 1000;
	start_worker(true, NULL);
	u = dispatch("hang", "{}", NULL);
	fixture_wait(&f, &u, TASK_FAILED);
	assert_string_equal(error_of(&u), "{\"reason\":\"Timed out after 1 s.\"}");
}

/* As many at once as the settings say; those that share a resource one after the other. */
static void test_how_many_at_once(void **state)
{
	struct uuid a, b, c, d;

	f.settings.tasks_workers = 2;
	start_worker(true, NULL);
	a = dispatch("hang", "{}", "prn:a");
	b = dispatch("hang", "{}", "prn:b");
	c = dispatch("ok", "{}", "prn:c");
	d = dispatch("ok", "{}", "prn:a");
	wait_for_progress(&a);
	wait_for_progress(&b);
	assert_int_equal(fixture_state(&f, &c), TASK_WAITING);
	fixture_cancel(&f, &b);
	fixture_wait(&f, &c, TASK_COMPLETED);
	assert_int_equal(fixture_state(&f, &d), TASK_WAITING);
	fixture_cancel(&f, &a);
	fixture_wait(&f, &d, TASK_COMPLETED);
}

static void test_shutdown(void **state)
{
	struct uuid u, waiting;

	start_worker(true, NULL);
	u = dispatch("hang", "{\"deaf\": 1}", "prn:r");
	waiting = dispatch("ok", "{}", "prn:r");
	wait_for_progress(&u);
	worker_stop(&worker, 100);
	assert_int_equal(fixture_state(&f, &u), TASK_FAILED);
	assert_string_equal(error_of(&u), "{\"reason\":\"Aborted during worker shutdown.\"}");
	assert_int_equal(fixture_state(&f, &waiting), TASK_WAITING);
	assert_string_equal(fixture_text(&f, &u, "SELECT CAST(COUNT(*) AS TEXT) FROM worker WHERE $1 > 0"), "0");
}

static void test_grace(void **state)
{
	struct uuid u;

	start_worker(true, NULL);
	u = dispatch("ok", "{}", NULL);
	/* Claimed or not: a stopping worker either leaves it in the queue or sees it through. */
	worker_stop(&worker, 60000);
	if (fixture_state(&f, &u) != TASK_WAITING)
		assert_int_equal(fixture_state(&f, &u), TASK_COMPLETED);
}

/* Without shared memory the worker asks the catalog itself. */
static void test_without_signal(void **state)
{
	struct uuid u;

	start_worker(false, NULL);
	u = dispatch("ok", "{}", NULL);
	fixture_wait(&f, &u, TASK_COMPLETED);
}

/* The worker's process is killed: its task's process goes with it, and the next worker gives the resources free. */
static void test_killed_worker(void **state)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[128], args[192];
	struct uuid u, next;
	pid_t pid;
	int fd;

	snprintf(path, sizeof(path), "%s/held", f.dir);
	snprintf(args, sizeof(args), "{\"lock\": \"%s\"}", path);
	u = dispatch("hang", args, "prn:r");
	next = dispatch("ok", "{}", "prn:r");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	pid = fork();
	if (pid == 0) {
		execl("/proc/self/exe", "test_worker", "worker", f.db, shm_path, (char *)NULL);
		_exit(127);
	}
	wait_for_progress(&u);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	alarm(60); /* the lock waits until the process that has it is gone */
	assert_int_equal(fcntl(fd, F_SETLKW, &lock), 0);
	alarm(0);
	close(fd);
	assert_int_equal(fixture_state(&f, &u), TASK_RUNNING);
	start_worker(true, NULL);
	fixture_wait(&f, &u, TASK_FAILED);
	assert_string_equal(error_of(&u), "{\"reason\":\"Worker has gone missing.\"}");
	fixture_wait(&f, &next, TASK_COMPLETED);
}

/* In a container every process of the server has the same number, and so every worker the same name. */
static void test_predecessor_of_the_same_name(void **state)
{
	struct uuid u = dispatch("ok", "{}", NULL);

	fixture_exec(&f, "INSERT INTO worker (id, uuid, name, kind, created, updated, last_heartbeat) VALUES "
			 "(7, 'x', '1@here', 'worker', 0, 0, 0)");
	fixture_exec(&f, "UPDATE task SET state = 'running', worker_id = 7");
	start_worker(true, "1@here");
	fixture_wait(&f, &u, TASK_FAILED);
}

/* Taken for dead, its tasks failed by another: their processes must not go on, and the worker comes back. */
static void test_lost_worker(void **state)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[128], args[192];
	struct uuid u, next;
	int fd;

	snprintf(path, sizeof(path), "%s/held", f.dir);
	snprintf(args, sizeof(args), "{\"lock\": \"%s\"}", path);
	f.settings.tasks_worker_ttl = 1000;
	f.settings.tasks_workers = 1;
	start_worker(true, NULL);
	u = dispatch("hang", args, NULL);
	wait_for_progress(&u);
	fd = open(path, O_RDWR | O_CLOEXEC);
	fixture_exec(&f, "UPDATE task SET state = 'failed', worker_id = NULL");
	fixture_exec(&f, "DELETE FROM worker");
	alarm(60);
	assert_int_equal(fcntl(fd, F_SETLKW, &lock), 0);
	alarm(0);
	close(fd);
	next = dispatch("ok", "{}", NULL);
	fixture_wait(&f, &next, TASK_COMPLETED);
	assert_int_equal(fixture_state(&f, &u), TASK_FAILED);
}

/* A task whose end the catalog does not take keeps its place until it does. */
static void test_end_that_cannot_be_written(void **state)
{
	int64_t deadline = clock_mono_ns() + 60 * NS_PER_S, errors = metric_get(M_log_errors);
	struct catalog *other;
	struct shm *other_shm;
	struct txn *held;
	struct uuid u;
	pid_t pid;

	catalog_close(&f.catalog);
	shm_close(&f.shm);
	other = fixture_catalog(f.db, shm_path, &other_shm, false);
	fixture_busy_ms = 100;
	f.catalog = fixture_catalog(f.db, shm_path, &f.shm, false);
	fixture_busy_ms = 10000;
	start_worker(true, NULL);
	u = dispatch("hang", "{}", NULL);
	wait_for_progress(&u);
	pid = (pid_t)strtol(wait_for_text(&u, "SELECT CAST(pid AS TEXT) FROM task WHERE id = $1"), NULL, 10);
	assert_true(pid > 1);
	assert_int_equal(catalog_write(other, &held, NULL), 0);
	kill(pid, SIGKILL);
	while (metric_get(M_log_errors) == errors) {
		if (clock_mono_ns() > deadline)
			fail_msg("the worker did not notice that it cannot write");
		poll(NULL, 0, 5);
	}
	assert_int_equal(fixture_state(&f, &u), TASK_RUNNING);
	txn_end(&held);
	fixture_wait(&f, &u, TASK_FAILED);
	assert_string_equal(error_of(&u), "{\"reason\":\"Killed by signal 9.\"}");
	worker_stop(&worker, 0);
	catalog_close(&other);
	shm_close(&other_shm);
}

static void test_program_is_gone(void **state)
{
	static char nowhere[] = "/nowhere/sluice";
	struct uuid u;

	child_argv[0] = nowhere;
	start_worker(true, NULL);
	child_argv[0] = (char *)(uintptr_t) "/proc/self/exe";
	u = dispatch("ok", "{}", NULL);
	fixture_wait(&f, &u, TASK_FAILED);
	assert_string_equal(
		error_of(&u), "{\"reason\":\"The task process could not be started: No such file or directory.\"}");
}

static int worker_process(char **argv)
{
	struct shm *shm;
	struct catalog *c = fixture_catalog(argv[2], argv[3], &shm, false);

	snprintf(f.db, sizeof(f.db), "%s", argv[2]);
	snprintf(shm_path, sizeof(shm_path), "%s", argv[3]);
	settings_init(&f.settings, NULL);
	f.catalog = c;
	f.shm = shm;
	start_worker(true, NULL);
	hang();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_result_and_progress, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cancel_of_a_waiting_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_time_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_how_many_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shutdown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_grace, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_signal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_killed_worker, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_predecessor_of_the_same_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lost_worker, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_end_that_cannot_be_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_program_is_gone, set_up, tear_down),
	};

	if (argc > 3 && strcmp(argv[1], "worker") == 0)
		return worker_process(argv);
	if (argc > 4 && strcmp(argv[3], "task-run") == 0)
		return child_main(argv);
	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
