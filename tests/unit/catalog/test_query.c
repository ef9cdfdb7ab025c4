/* The views and the queries over them: that all their SQL is SQL, that pages are the same however they are chosen, and
 * that writes and deletes do what they say. What each filter means is tested through the API. */
#include "fixture.h"

#include "catalog/query.h"

static const char *const view_names[] = {"user", "remote", "repository", "version", "publication", "distribution",
	"content", "artifact", "task", "task_resource", "task_created", "progress", "task_group", "worker"};

static const struct slice samples[] = {
	[COL_INT] = SLICE("1"),
	[COL_REAL] = SLICE("1.5"),
	[COL_BOOL] = SLICE("true"),
	[COL_TEXT] = SLICE("x"),
	[COL_JSON] = SLICE("{}"),
	[COL_UUID] = SLICE("01900000-0000-7000-8000-000000000001"),
	[COL_TIME] = SLICE("2026-01-31"),
	[COL_HEX] = SLICE("abab"),
};

static void run(const struct view *v, struct query *q, const char *what)
{
	struct txn *t = NULL;
	json_t *rows = NULL;
	int64_t n;

	query_page(q, 3, 0); /* ids first */
	OK(catalog_read(catalog, &t, &err));
	if (query_count(t, q, &n, &err) < 0 || query_rows(t, q, &rows, &err) < 0)
		fail_msg("%s, %s: %s", v->name, what, err.msg);
	assert_true((int64_t)json_array_size(rows) == MIN(n, 3));
	json_decref(rows);
	query_page(q, 1, 0); /* in one go */
	if (query_rows(t, q, &rows, &err) < 0)
		fail_msg("%s, %s: %s", v->name, what, err.msg);
	json_decref(rows);
	txn_end(&t);
	query_free(&q);
}

static void test_every_column_can_be_read_compared_and_ordered_by(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(view_names); i++) {
		const struct view *v = view_find(view_names[i]);

		assert_non_null(v);
		for (size_t c = 0; c < v->column_count; c++) {
			struct query *all;

			OK(query_new(v, &all));
			query_order(all, v->columns[c].name, true);
			run(v, all, v->columns[c].name);
			for (int op = 0; op < QUERY_OP_COUNT; op++) {
				struct slice value = op == QUERY_RANGE ? SLICE("1,2") : samples[v->columns[c].type];
				struct query *q;
				int rc;

				if (op == QUERY_RANGE && v->columns[c].type != COL_INT)
					continue;
				if (op == QUERY_ISNULL)
					value = SLICE("false");
				OK(query_new(v, &q));
				rc = query_where(q, v->columns[c].name, (enum query_op)op, value, &err);
				if (rc == -ERR_UNSUPPORTED) {
					assert_true(v->columns[c].type == COL_JSON || op != QUERY_EQ);
					query_free(&q);
					continue;
				}
				OK(rc);
				run(v, q, v->columns[c].name);
			}
		}
	}
}

static void test_every_condition_is_sql(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(view_names); i++) {
		const struct view *v = view_find(view_names[i]);

		for (size_t c = 0; c < v->condition_count; c++) {
			const struct view_condition *vc = &v->conditions[c];
			struct slice values[VIEW_PARAMS_MAX];

			for (size_t k = 0; k < vc->param_count; k++)
				values[k] = samples[vc->params[k]];
			/* alone; twice; and inside of a junction */
			for (int form = 0; form < 3; form++) {
				struct query *q;

				OK(query_new(v, &q));
				if (form == 2)
					query_open(q, QUERY_NOT);
				for (int n = 0; n < (form == 1 ? 2 : 1); n++)
					OK(query_condition(q, vc->name, values, vc->each ? 1 : vc->param_count, &err));
				if (form == 2)
					query_close(q);
				run(v, q, vc->name);
			}
		}
	}
}

static void test_junctions_of_nothing(void **state)
{
	static const struct {
		enum query_junction j;
		int64_t count;
	} cases[] = {{QUERY_AND, 1}, {QUERY_OR, 0}, {QUERY_NOT, 1}};

	sql("INSERT INTO users (username, password, date_joined) VALUES ('a', 'b', 1)");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct txn *t = NULL;
		struct query *q;
		int64_t n;

		OK(query_new(view_find("user"), &q));
		query_open(q, cases[i].j);
		query_close(q);
		OK(catalog_read(catalog, &t, &err));
		OK(query_count(t, q, &n, &err));
		assert_int_equal(n, cases[i].count);
		txn_end(&t);
		query_free(&q);
	}
}

static int64_t count_of(const char *type, bool all)
{
	struct txn *t = begin_read();
	struct query *q;
	int64_t n;

	OK(query_new(view_find("content"), &q));
	OK(query_where(q, "type", QUERY_EQ, slice_str(type), &err));
	if (!all)
		OK(query_where(q, "natural_key", QUERY_NE, SLICE("b"), &err));
	OK(query_count(t, q, &n, &err));
	query_free(&q);
	txn_end(&t);
	return n;
}

/* The number of units of a type is kept, not counted; whoever adds or deletes them. */
static void test_units_of_a_type_are_counted(void **state)
{
	assert_int_equal(count_of("x.x", true), 0);
	sql("INSERT INTO content (uuid, type, natural_key, created, updated) VALUES ('1', 'x.x', 'a', 1, 1), ('2', "
	    "'x.x', 'b', 1, 1), "
	    "('3', 'y.y', 'a', 1, 1)");
	sql("INSERT INTO content (uuid, type, natural_key, created, updated) VALUES ('4', 'x.x', 'a', 1, 1) ON "
	    "CONFLICT DO NOTHING");
	sql("INSERT OR IGNORE INTO content (uuid, type, natural_key, created, updated) VALUES ('5', 'x.x', 'c', 1, 1), "
	    "('6', 'x.x', 'c', 1, 1)");
	assert_int_equal(count_of("x.x", true), 3);
	assert_int_equal(count_of("y.y", true), 1);
	assert_int_equal(count_of("x.x", false), 2);
	sql("DELETE FROM content WHERE natural_key = 'a'");
	assert_int_equal(count_of("x.x", true), 2);
	assert_int_equal(count_of("y.y", true), 0);
	assert_int_equal(number("SELECT sum(units) FROM content_count"), number("SELECT count(*) FROM content"));
}

/* Reports and the like are counted within their task: a page of one task's must not choose by those numbers alone. */
static void test_a_page_of_what_is_counted_within_its_object(void **state)
{
	static const char *const counted[] = {"task_resource", "task_created", "progress"};

	for (int task = 1; task <= 2; task++)
		for (int ord = 1; ord <= 3; ord++) {
			char q[512];

			snprintf(q, sizeof(q),
				"INSERT OR IGNORE INTO task (id, uuid, created, updated, name, state) VALUES (%d, "
				"randomblob(16), 1, 1, 't', 'running');"
				"INSERT INTO task_resource VALUES (%d, %d, 'r%d', 0);"
				"INSERT INTO task_created VALUES (%d, %d, 'p', 'h');"
				"INSERT INTO progress_report (task_id, ord, message, code, state) VALUES (%d, %d, 'm', "
				"'c', 'running');",
				task, task, ord, ord, task, ord, task, ord);
			sql(q);
		}
	for (size_t i = 0; i < ARRAY_LEN(counted); i++) {
		struct txn *t = begin_read();
		json_t *rows, *row;
		struct query *q;
		size_t at;

		OK(query_new(view_find(counted[i]), &q));
		OK(query_where(q, "task", QUERY_EQ, SLICE("2"), &err));
		query_page(q, 2, 0);
		OK(query_rows(t, q, &rows, &err));
		query_free(&q);
		txn_end(&t);
		assert_int_equal(json_array_size(rows), 2);
		json_array_foreach(rows, at, row)
		{
			assert_int_equal(json_integer_value(json_object_get(row, "task")), 2);
			assert_int_equal(json_integer_value(json_object_get(row, "_id")), 3 - at);
		}
		json_decref(rows);
	}
}

/* A row through insert, update and delete, with a reference by uuid. */
static void test_rows(void **state)
{
	const struct view *remotes = view_find("remote"), *distributions = view_find("distribution");
	json_t *values, *row;
	struct txn *t = NULL;
	char name[UUID_STR];
	struct uuid u, d;
	int64_t id, other;

	OK(catalog_write(catalog, &t, &err));
	values = json_pack("{s:s, s:s, s:s, s:f, s:b, s:n, s:[{s:s}]}", "name", "m", "url", "http://h/", "policy",
		"streamed", "total_timeout", 2.5, "tls_validation", 0, "ca_cert", "headers", "a", "b");
	OK(row_insert(t, remotes, "file.file", values, &id, &u, &err));
	assert_int_equal(row_insert(t, remotes, "file.file", values, &other, &d, &err), -ERR_EXISTS);
	json_decref(values);
	values = json_pack("{s:s, s:s, s:s}", "name", "d", "base_path", "d", "remote", uuid_str(&u, name));
	OK(row_insert(t, distributions, "file.file", values, &other, &d, &err));
	json_object_set_new(values, "remote", json_string("01900000-0000-7000-8000-000000000001"));
	assert_int_equal(row_update(t, distributions, other, values, &err), -ERR_NOTFOUND);
	json_object_set_new(values, "remote", json_integer(7));
	assert_int_equal(row_update(t, distributions, other, values, &err), -ERR_INVAL);
	json_decref(values);
	OK(txn_commit(&t, &err));

	OK(catalog_read(catalog, &t, &err));
	OK(query_by_uuid(t, distributions, &d, &row, &err));
	assert_string_equal(json_string_value(json_object_get(row, "remote")), uuid_str(&u, name));
	assert_string_equal(json_string_value(json_object_get(row, "remote_type")), "file.file");
	json_decref(row);
	OK(query_by_uuid(t, remotes, &u, &row, &err));
	assert_true(
		json_is_false(json_object_get(row, "tls_validation")) && json_is_null(json_object_get(row, "ca_cert")));
	assert_true(json_real_value(json_object_get(row, "total_timeout")) == 2.5 &&
		    json_is_array(json_object_get(row, "headers")));
	json_decref(row);
	txn_end(&t);

	OK(row_delete(catalog, remotes, id, &err));
	assert_int_equal(row_delete(catalog, remotes, id, &err), -ERR_NOTFOUND);
	OK(catalog_read(catalog, &t, &err));
	OK(query_by_uuid(t, distributions, &d, &row, &err));
	assert_true(json_is_null(json_object_get(row, "remote")));
	json_decref(row);
	assert_int_equal(query_by_uuid(t, remotes, &u, &row, &err), -ERR_NOTFOUND);
	txn_end(&t);
}

/* More rows than one batch hang on it: all go, in several transactions, and it is out of service from the first on. */
static void test_a_large_repository_goes_in_batches(void **state)
{
	const int64_t repository = 1;
	int64_t before;

	sql("INSERT INTO repository (id, uuid, type, name, created, updated) VALUES (1, "
	    "x'01900000000070008000000000000001', 'file.file', "
	    "'r', 1, 1), (2, x'01900000000070008000000000000002', 'file.file', 'other', 1, 1);"
	    "INSERT INTO repository_version (id, uuid, repository_id, number, complete, created, updated) VALUES "
	    "(1, x'01900000000070008000000000000003', 1, 1, 1, 1, 1), (2, x'01900000000070008000000000000004', 2, 1, "
	    "1, 1, 1);"
	    "INSERT INTO content (uuid, type, natural_key, created, updated) WITH RECURSIVE n(i) AS (SELECT 1 UNION "
	    "ALL SELECT i + 1 "
	    "FROM n WHERE i < 2500) SELECT randomblob(16), 'file.file', i, 1, 1 FROM n;"
	    "INSERT INTO content_artifact (content_id, relative_path) SELECT id, natural_key FROM content;"
	    "INSERT INTO repository_content (repository_id, content_id, version_added) SELECT r.id, c.id, 1 FROM "
	    "content c, repository r;"
	    "INSERT INTO repository_path (repository_id, relative_path, version_added, added_at, content_artifact_id) "
	    "SELECT "
	    "r.id, ca.relative_path, 1, 1, "
	    "ca.id FROM content_artifact ca, repository r;"
	    "INSERT INTO publication (id, uuid, type, created, updated, repository_version_id, complete) VALUES "
	    "(1, x'01900000000070008000000000000005', 'file.file', 1, 1, 1, 1), (2, "
	    "x'01900000000070008000000000000006', 'file.file', 1, 1, "
	    "2, 1);"
	    "INSERT INTO published_artifact (publication_id, relative_path, content_artifact_id) SELECT p.id, "
	    "ca.relative_path, ca.id FROM "
	    "content_artifact ca, publication p;"
	    "INSERT INTO distribution (uuid, type, name, created, updated, base_path, repository_id, publication_id) "
	    "VALUES "
	    "(x'01900000000070008000000000000007', 'file.file', 'd', 1, 1, 'd', 1, NULL), "
	    "(x'01900000000070008000000000000008', 'file.file', 'e', 1, 1, 'e', NULL, 1), "
	    "(x'01900000000070008000000000000009', 'file.file', 'f', 1, 1, 'f', 2, NULL)");
	before = (int64_t)shm_generation(shm);
	OK(row_delete(catalog, view_find("repository"), repository, &err));
	assert_true((int64_t)shm_generation(shm) > before);
	assert_int_equal(number("SELECT count(*) FROM repository_content"), 2500);
	assert_int_equal(number("SELECT count(*) FROM repository_path"), 2500);
	assert_int_equal(number("SELECT count(*) FROM published_artifact"), 2500);
	assert_int_equal(number("SELECT count(*) FROM repository_version"), 1);
	assert_int_equal(number("SELECT count(*) FROM content"), 2500);
	assert_int_equal(
		number("SELECT count(*) FROM distribution WHERE repository_id IS NULL AND publication_id IS NULL"), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_column_can_be_read_compared_and_ordered_by),
		TEST(test_every_condition_is_sql),
		TEST(test_junctions_of_nothing),
		TEST(test_a_page_of_what_is_counted_within_its_object),
		TEST(test_rows),
		TEST(test_units_of_a_type_are_counted),
		TEST(test_a_large_repository_goes_in_batches),
	};

	return RUN("query", tests);
}
