/* Opening a catalog, and its transactions. */
#include "fixture.h"

#include "base/clock.h"

#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void path_of(char out[96], const char *name)
{
	snprintf(out, 96, "%s/%s", fixture_dir, name);
}

static int open_url(const char *url, bool migrate)
{
	struct catalog_opts o = {.url = url, .busy_timeout_ms = 100, .readers = 1};
	struct catalog *c = NULL;
	int rc;

	err = ERR_INIT;
	rc = catalog_open(&o, migrate, &c, &err);
	assert_true((rc == 0) == (c != NULL));
	catalog_close(&c);
	return rc;
}

static void test_what_cannot_be_opened(void **state)
{
	char path[96], url[128];
	FILE *f;

	path_of(path, "rubbish");
	f = fopen(path, "w");
	assert_non_null(f);
	for (int i = 0; i < 1000; i++)
		fputs("this is no database\n", f);
	fclose(f);
	snprintf(url, sizeof(url), "sqlite:%s", path);
	assert_int_equal(open_url(url, true), -ERR_DB);
	assert_non_null(strstr(err.msg, path));
	unlink(path);
	assert_int_equal(open_url(url, false), -ERR_DB); /* is not made without being asked */
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(open_url("sqlite:/proc/none/db", true), -ERR_DB);
	assert_int_equal(open_url("oracle:x", true), -ERR_INVAL);
	assert_int_equal(open_url("sqlite:", true), -ERR_INVAL);
	assert_int_equal(open_url("sqlite", true), -ERR_INVAL);
}

static void test_a_newer_schema_is_refused(void **state)
{
	sql("UPDATE meta SET value = '999' WHERE key = 'schema_version';");
	assert_int_equal(open_url(fixture_url, true), -ERR_DB);
	assert_non_null(strstr(err.msg, "999"));
}

static void test_an_older_schema_needs_leave_to_migrate(void **state)
{
	char path[96], url[128];

	path_of(path, "empty");
	snprintf(url, sizeof(url), "sqlite:%s", path);
	fclose(fopen(path, "w"));
	assert_int_equal(open_url(url, false), -ERR_DB);
	assert_non_null(strstr(err.msg, "version 0"));
	OK(open_url(url, true));
	OK(open_url(url, false));
	unlink(path);
}

static void test_it_is_readable_by_its_owner_alone(void **state)
{
	static const char *const files[] = {"db", "db-wal", "db-shm"};
	struct stat st;
	char path[96];

	sql("INSERT INTO meta VALUES ('k', 'v');");
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		path_of(path, files[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
}

static void test_meta(void **state)
{
	struct txn *t = begin_write();
	char *value = NULL;

	assert_int_equal(catalog_meta_get(t, "secret", &value, &err), -ERR_NOTFOUND);
	OK(catalog_meta_set(t, "secret", "one", &err));
	OK(catalog_meta_set(t, "secret", "two", &err));
	commit(t);
	t = begin_read();
	OK(catalog_meta_get(t, "secret", &value, &err));
	assert_string_equal(value, "two");
	free(value);
	assert_true(catalog_meta_set(t, "secret", "three", &err) < 0); /* a reader cannot */
	txn_end(&t);
}

static void test_a_transaction_is_all_or_nothing(void **state)
{
	struct txn *w = begin_write(), *r;
	char *value = NULL;

	OK(catalog_meta_set(w, "k", "v", &err));
	r = begin_read();
	assert_int_equal(catalog_meta_get(r, "k", &value, &err), -ERR_NOTFOUND);
	txn_end(&w);
	assert_null(w);
	txn_end(&w); /* fine */
	w = begin_write();
	assert_int_equal(catalog_meta_get(w, "k", &value, &err), -ERR_NOTFOUND);
	OK(catalog_meta_set(w, "k", "v", &err));
	commit(w);
	assert_int_equal(catalog_meta_get(r, "k", &value, &err), -ERR_NOTFOUND); /* its view does not move */
	txn_end(&r);
	assert_string_equal(text("SELECT value FROM meta WHERE key = 'k'"), "v");
}

static void test_others_are_told_after_the_commit_only(void **state)
{
	struct txn *t = begin_write();
	uint64_t generation = shm_generation(shm), signal = shm_task_signal(shm);

	txn_changes_service(t);
	txn_changes_tasks(t);
	assert_int_equal(shm_generation(shm), generation);
	txn_end(&t);
	assert_int_equal(shm_generation(shm), generation);
	t = begin_write();
	commit(t);
	assert_int_equal(shm_generation(shm), generation);
	t = begin_write();
	txn_changes_service(t);
	commit(t);
	assert_int_equal(shm_generation(shm), generation + 1);
	assert_int_equal(shm_task_signal(shm), signal);
	t = begin_write();
	txn_changes_tasks(t);
	commit(t);
	assert_int_equal(shm_task_signal(shm), signal + 1);
}

static void test_dates_grow_whatever_the_clock_does(void **state)
{
	struct txn *t = begin_write();
	int64_t date, ahead = INT64_C(4102444800000000); /* 2100 */

	OK(txn_created_us(t, "SELECT created FROM task ORDER BY id DESC LIMIT 1", &date, &err));
	assert_true(date < ahead);
	OK(db_exec(txn_db(t),
		"INSERT INTO task (uuid, created, updated, name, state) VALUES (CAST('u' AS BLOB), 4102444800000000, "
		"1, 'n', 'failed');",
		&err));
	OK(txn_created_us(t, "SELECT created FROM task ORDER BY id DESC LIMIT 1", &date, &err));
	assert_int_equal(date, ahead + 1);
	txn_end(&t);
}

static void test_an_id_is_never_given_twice(void **state)
{
	int64_t first = make_repository("a"), second;

	sql("DELETE FROM repository;");
	second = make_repository("b");
	assert_true(second > first);
}

/* --- several at once --- */

static void test_a_write_waits_for_another_connection_and_gives_up(void **state)
{
	struct catalog *impatient = fixture_open_again(50, 1);
	struct txn *w = begin_write(), *other = NULL;

	assert_int_equal(catalog_write(impatient, &other, &err), -ERR_BUSY);
	assert_null(other);
	OK(catalog_read(impatient, &other, &err)); /* reading goes on */
	txn_end(&other);
	txn_end(&w);
	OK(catalog_write(impatient, &other, &err));
	txn_end(&other);
	catalog_close(&impatient);
}

static void test_threads_wait_in_line_for_connections(void **state)
{
	struct catalog *small = fixture_open_again(50, 1);
	struct txn *r = NULL, *second = NULL, *w = NULL;

	OK(catalog_read(small, &r, &err));
	assert_int_equal(catalog_read(small, &second, &err), -ERR_BUSY);
	OK(catalog_write(small, &w, &err));
	assert_int_equal(catalog_write(small, &second, &err), -ERR_BUSY);
	txn_end(&r);
	txn_end(&w);
	OK(catalog_read(small, &second, &err));
	txn_end(&second);
	catalog_close(&small);
}

#define THREADS 6
#define TURNS 50

static char failure[1024];

static void *count_failed(const struct err *e)
{
	snprintf(failure, sizeof(failure), "%s", e->msg);
	return failure;
}

static void *count_up(void *arg)
{
	for (int i = 0; i < TURNS; i++) {
		struct err e = ERR_INIT;
		struct txn *t = NULL;
		char *value = NULL, next[32];

		if (catalog_write(catalog, &t, &e) < 0 || catalog_meta_get(t, "count", &value, &e) < 0)
			return count_failed(&e);
		snprintf(next, sizeof(next), "%d", atoi(value) + 1);
		free(value);
		if (catalog_meta_set(t, "count", next, &e) < 0 || txn_commit(&t, &e) < 0)
			return count_failed(&e);
		if (catalog_read(catalog, &t, &e) < 0 || catalog_meta_get(t, "count", &value, &e) < 0)
			return count_failed(&e);
		free(value);
		txn_end(&t);
	}
	return NULL;
}

static void test_no_write_is_lost_between_threads(void **state)
{
	pthread_t threads[THREADS];
	void *failed;

	sql("INSERT INTO meta VALUES ('count', '0');");
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_up, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &failed);
		if (failed != NULL)
			fail_msg("%s", (const char *)failed);
	}
	assert_int_equal(number("SELECT value FROM meta WHERE key = 'count'"), THREADS * TURNS);
}

/* A process that writes batch after batch must let the others in between them. */
static void test_a_busy_writer_does_not_starve_another_process(void **state)
{
	int report[2], status;
	char done = 0;
	pid_t pid;

	sql("INSERT INTO meta VALUES ('count', '0');");
	catalog_close(&catalog);
	assert_int_equal(pipe(report), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		catalog = fixture_open_again(20000, 1);
		_exit(count_up(NULL) != NULL || write(report[1], "x", 1) != 1);
	}
	close(report[1]);
	catalog = fixture_open_again(20000, 1);
	for (int batch = 0; done == 0; batch++) { /* until the child is through, however busy we are */
		struct txn *t = begin_write();
		int64_t until = clock_mono_ns() + 8 * NS_PER_MS;
		struct pollfd p = {.fd = report[0], .events = POLLIN};

		while (clock_mono_ns() < until)
			OK(catalog_meta_set(t, "busy", "x", &err));
		commit(t);
		if (poll(&p, 1, 0) == 1)
			assert_int_equal(read(report[0], &done, 1), 1);
		assert_true(batch < 4 * TURNS); /* without a pause between batches it takes ten for each turn */
	}
	close(report[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(number("SELECT value FROM meta WHERE key = 'count'"), TURNS);
}

/* As the roles of one host do when they are started together. */
static void test_several_processes_may_make_the_database_at_once(void **state)
{
	pid_t pids[4];
	char path[96];
	int go[2], status;

	catalog_close(&catalog);
	path_of(path, "db");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(pipe(go), 0);
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			struct catalog_opts o = {.url = fixture_url, .busy_timeout_ms = 10000, .readers = 1};
			char c;

			close(go[1]);
			if (read(go[0], &c, 1) != 0) /* the end of the pipe, for all at once */
				_exit(1);
			_exit(catalog_open(&o, true, &catalog, &err) < 0 ? (fprintf(stderr, "%s\n", err.msg), 2) : 0);
		}
	}
	close(go[0]);
	close(go[1]);
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	catalog = fixture_open_again(5000, 4);
	assert_int_equal(number("SELECT COUNT(*) FROM repository"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_cannot_be_opened),
		TEST(test_a_newer_schema_is_refused),
		TEST(test_an_older_schema_needs_leave_to_migrate),
		TEST(test_it_is_readable_by_its_owner_alone),
		TEST(test_meta),
		TEST(test_a_transaction_is_all_or_nothing),
		TEST(test_others_are_told_after_the_commit_only),
		TEST(test_dates_grow_whatever_the_clock_does),
		TEST(test_an_id_is_never_given_twice),
		TEST(test_a_write_waits_for_another_connection_and_gives_up),
		TEST(test_threads_wait_in_line_for_connections),
		TEST(test_no_write_is_lost_between_threads),
		TEST(test_several_processes_may_make_the_database_at_once),
		TEST(test_a_busy_writer_does_not_starve_another_process),
	};

	return RUN("catalog", tests);
}
