/* Secrets in the tables: sealed there, in the clear for whoever may read them, and under another key when that is wanted. */
#include "fixture.h"

#include "base/buf.h"
#include "base/fsutil.h"
#include "catalog/keyring.h"
#include "catalog/query.h"
#include "catalog/remote.h"
#include "catalog/secrets.h"
#include "catalog/task.h"

#include <unistd.h>

static char key_path[96];
static struct keyring *keys;

/* The same database, with keys. */
static void reopen(void)
{
	catalog_close(&catalog);
	OK(catalog_open(
		&(struct catalog_opts){.url = fixture_url, .busy_timeout_ms = 5000, .readers = 2, .keyring = keys},
		true, &catalog, &err));
}

static int set_up(void **state)
{
	int rc = fixture_set_up(state);

	(void)snprintf(key_path, sizeof(key_path), "%s/secrets.key", fixture_dir);
	keys = NULL;
	OK(keyring_new(&keys, &err));
	return rc;
}

static int tear_down(void **state)
{
	int rc;

	(void)unlink(key_path);
	rc = fixture_tear_down(state);
	keyring_free(&keys);
	return rc;
}

static void start(bool fresh)
{
	OK(catalog_secrets_start(catalog, keys, key_path, fresh, &err));
}

static bool in_files(const char *word)
{
	static const char *const names[] = {"db", "db-wal"};
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct buf b = BUF_INIT(0);
		char path[128];
		int rc;

		(void)snprintf(path, sizeof(path), "%s/%s", fixture_dir, names[i]);
		rc = fs_read_file(path, 64 << 20, &b, &err);
		assert_true(rc == 0 || rc == -ERR_NOTFOUND);
		found |= b.p != NULL && memmem(b.p, b.n, word, strlen(word)) != NULL;
		buf_fini(&b);
	}
	return found;
}

static void expect_remote(int64_t id, const char *username, const char *password, const char *headers)
{
	struct remote_row *r = NULL;
	struct txn *t = begin_read();

	OK(catalog_remote_by_id(t, id, &r, &err));
	txn_end(&t);
	if (password == NULL)
		assert_null(r->password);
	else
		assert_string_equal(r->password, password);
	assert_string_equal(r->username != NULL ? r->username : "", username);
	assert_string_equal(r->headers, headers);
	remote_row_free(&r);
}

#define HEADERS "[{\"X-Token\":\"tok-en-1\"}]"
static int64_t old_remote(void)
{
	return make_remote("old",
		"username='us-er-1', password='pass-word-1', client_key='', headers='[{{\"X-Token\":\"tok-en-1\"}}]'");
}

static void test_a_start_seals_what_is_there(void **state)
{
	int64_t id = old_remote();

	assert_true(in_files("pass-word-1"));
	reopen();
	start(true);
	assert_int_equal(access(key_path, R_OK), 0);
	/* not even where the rows were */
	assert_false(in_files("pass-word-1"));
	assert_false(in_files("us-er-1"));
	assert_false(in_files("tok-en-1"));
	assert_string_equal(text("SELECT value FROM meta WHERE key = 'secrets'"), "clean");
	expect_remote(id, "us-er-1", "pass-word-1", HEADERS);
	assert_string_equal(text("SELECT client_key FROM remote"), ""); /* that there is none is no secret */
	/* sealed once */
	start(false);
	expect_remote(id, "us-er-1", "pass-word-1", HEADERS);
}

/* Killed between sealing and erasing: the next start erases. */
static void test_a_start_goes_on(void **state)
{
	int64_t id = old_remote();

	reopen();
	start(true);
	sql("UPDATE meta SET value = 'sealed' WHERE key = 'secrets'");
	start(false);
	assert_string_equal(text("SELECT value FROM meta WHERE key = 'secrets'"), "clean");
	expect_remote(id, "us-er-1", "pass-word-1", HEADERS);
}

static void test_rows_are_written_sealed(void **state)
{
	json_t *values = json_pack("{s:s, s:s, s:s, s:s, s:n, s:[{s:s}]}", "name", "n", "url", "http://h/", "policy",
		       "immediate", "username", "us-er-2", "proxy_username", "headers", "A", "tok-en-2"),
	       *row = NULL;
	struct query *q = NULL;
	struct txn *t;
	int64_t id;

	reopen();
	start(true);
	t = begin_write();
	OK(row_insert(t, view_find("remote"), "file.file", values, &id, NULL, &err));
	commit(t);
	json_decref(values);
	values = json_pack("{s:s}", "password", "pass-word-2");
	t = begin_write();
	OK(row_update(t, view_find("remote"), id, values, &err));
	commit(t);
	json_decref(values);
	assert_false(in_files("us-er-2"));
	assert_false(in_files("tok-en-2"));
	assert_false(in_files("pass-word-2"));
	expect_remote(id, "us-er-2", "pass-word-2", "[{\"A\":\"tok-en-2\"}]");
	t = begin_read();
	OK(query_new(view_find("remote"), &q));
	query_select(q, "password");
	query_select(q, "headers");
	query_select(q, "proxy_username");
	OK(query_row(t, q, &row, &err));
	assert_string_equal(json_string_value(json_object_get(row, "password")), "pass-word-2");
	assert_int_equal(json_array_size(json_object_get(row, "headers")), 1);
	assert_true(json_is_null(json_object_get(row, "proxy_username")));
	json_decref(row);
	query_free(&q);
	txn_end(&t);
}

static void test_what_tasks_are_told_is_sealed(void **state)
{
	struct task_new n = {.name = "t", .args = SLICE("{\"values\":{\"password\":\"pass-word-3\"}}")};
	struct task_row *row = NULL;
	struct uuid u;
	struct txn *t;
	int64_t id;

	reopen();
	start(true);
	t = begin_write();
	OK(catalog_task_create(t, &n, &id, &u, NULL, &err));
	commit(t);
	t = begin_write();
	OK(catalog_task_finish(t, id, TASK_COMPLETED, SLICE_NULL, SLICE("{\"headers\":\"tok-en-3\"}"), &err));
	OK(catalog_task_by_uuid(t, &u, &row, &err));
	commit(t);
	assert_string_equal(row->result, "{\"headers\":\"tok-en-3\"}");
	assert_false(in_files("pass-word-3"));
	assert_false(in_files("tok-en-3"));
	task_row_free(&row);
	/* of a key that was given up: the queue goes on, the task does not */
	t = begin_write();
	OK(catalog_task_create(t, &n, &id, &u, NULL, &err));
	commit(t);
	keyring_free(&keys);
	OK(keyring_new(&keys, &err));
	reopen();
	t = begin_read();
	OK(catalog_task_by_uuid(t, &u, &row, &err));
	txn_end(&t);
	assert_string_equal(row->args, "");
	task_row_free(&row);
}

static void test_a_lost_key(void **state)
{
	int64_t id = old_remote();
	int64_t count = 0;

	(void)make_remote("open", NULL);
	reopen();
	start(true);
	keyring_free(&keys);
	OK(keyring_new(&keys, &err));
	reopen();
	/* another file, or none */
	for (int fresh = 0; fresh < 2; fresh++) {
		assert_int_equal(catalog_secrets_start(catalog, keys, key_path, fresh, &err), -ERR_DENIED);
		assert_non_null(strstr(err.msg, key_path));
		assert_non_null(strstr(err.msg, "'old'"));
		assert_null(strstr(err.msg, "'open'"));
		assert_non_null(strstr(err.msg, fresh ? "missing" : "no key in"));
	}
	assert_int_equal(catalog_secrets_rotate(catalog, keys, key_path, &err), -ERR_DENIED);
	OK(catalog_secrets_forget(catalog, keys, &count, &err));
	assert_int_equal(count, 3);
	start(true);
	assert_int_equal(number("SELECT COUNT(*) FROM remote WHERE password IS NULL AND username IS NULL AND "
				"headers = '[]' AND id = (SELECT MIN(id) FROM remote)"),
		1);
	sql("UPDATE remote SET username = 'x'");
	expect_remote(id, "x", NULL, "[]");
}

static void test_another_key(void **state)
{
	struct keyring *saved = NULL;
	int64_t id = old_remote();
	char sealed[512];

	reopen();
	start(true);
	(void)snprintf(sealed, sizeof(sealed), "%s", text("SELECT password FROM remote"));
	for (int i = 0; i < 10; i++)
		OK(catalog_secrets_rotate(catalog, keys, key_path, &err));
	assert_string_not_equal(sealed, text("SELECT password FROM remote"));
	assert_false(in_files(sealed));
	expect_remote(id, "us-er-1", "pass-word-1", HEADERS);
	OK(keyring_load(key_path, &saved, &err));
	assert_int_equal(keyring_count(saved), 1);
	keyring_free(&keys);
	keys = saved;
	reopen();
	start(false);
	expect_remote(id, "us-er-1", "pass-word-1", HEADERS);
}

/* More than fit a batch, and an interruption: some rows under the new key, some under the old one, both in the file. */
static void test_a_change_of_keys_that_was_interrupted(void **state)
{
	struct keyring *saved = NULL;

	sql("INSERT INTO remote (uuid, type, name, created, updated, url, policy, password) "
	    "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1202) "
	    "SELECT CAST(substr('0000000000000000' || i, -16) AS BLOB), 'file.file', 'r' || i, 1, 1, 'http://up/', "
	    "'on_demand', 'pass-word-1' FROM n;");
	reopen();
	start(true);
	OK(keyring_add(keys, &err));
	OK(keyring_save(keys, key_path, &err));
	expect_remote(number("SELECT id FROM remote WHERE name = 'r7'"), "", "pass-word-1", "[]");
	OK(catalog_secrets_rotate(catalog, keys, key_path, &err));
	OK(keyring_load(key_path, &saved, &err));
	assert_int_equal(keyring_count(saved), 1);
	keyring_free(&saved);
	assert_int_equal(number("SELECT COUNT(DISTINCT substr(password, 1, 12)) FROM remote"), 1);
	expect_remote(number("SELECT id FROM remote WHERE name = 'r1202'"), "", "pass-word-1", "[]");
}

/* The columns that views open are those that starts and changes of keys know. */
static void test_the_tables_agree(void **state)
{
	static const char *const views[] = {
		"remote", "task", "user", "repository", "distribution", "content_guard", "acs"};
	size_t found = 0;

	for (size_t i = 0; i < ARRAY_LEN(views); i++) {
		const struct view *v = view_find(views[i]);

		assert_non_null(v);
		for (size_t c = 0; c < v->column_count; c++) {
			assert_int_equal(v->columns[c].secret,
				catalog_secret_column(slice_str(v->table), slice_str(v->columns[c].name)));
			found += v->columns[c].secret;
		}
	}
	assert_int_equal(found, 7); /* and the arguments of tasks, which no view shows */
	assert_true(catalog_secret_column(SLICE("task"), SLICE("args")));
}

int main(void)
{
#undef TEST
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_start_seals_what_is_there),
		TEST(test_a_start_goes_on),
		TEST(test_rows_are_written_sealed),
		TEST(test_what_tasks_are_told_is_sealed),
		TEST(test_a_lost_key),
		TEST(test_another_key),
		TEST(test_a_change_of_keys_that_was_interrupted),
		TEST(test_the_tables_agree),
	};

	return RUN("secrets", tests);
}
