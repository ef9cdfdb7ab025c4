/* One connection: statements, values, rows, and the words of scripts. */
#include "fixture.h"

#include "catalog/db_ops.h"

static struct txn *t;
static struct db *db;

static int set_up(void **state)
{
	if (fixture_set_up(state) < 0)
		return -1;
	t = begin_write();
	db = txn_db(t);
	return db_exec(db,
		"CREATE TABLE x (id {id}, i {int}, r {real}, z TEXT, b {blob}, p {path} UNIQUE);"
		"CREATE TABLE y (k TEXT NOT NULL, n {int}, PRIMARY KEY (k)) {norowid};",
		&err);
}

static int tear_down(void **state)
{
	txn_end(&t);
	return fixture_tear_down(state);
}

static void test_values_come_back_as_they_went(void **state)
{
	static const struct slice texts[] = {{"", 0}, {"a", 1}, {"a'b\0c", 5}, {"\xc3\xa4", 2}, {NULL, 0}};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct db_stmt *s = NULL;
		int64_t id;

		OK(db_query(db, "INSERT INTO x (i, r, z, b) VALUES ($1, $2, $3, $4)", &s, &err));
		db_bind_i64(s, 1, INT64_MIN + (int64_t)i);
		db_bind_f64(s, 2, 0.5);
		db_bind_text(s, 3, texts[i]);
		db_bind_blob(s, 4, texts[i]);
		OK(db_run(&s, &err));
		assert_null(s);
		id = db_last_id(db);
		assert_int_equal(db_first(db, "SELECT i, r, z, b, p FROM x WHERE id = $1", &s, &err, DB_I64(id)), 1);
		assert_int_equal(db_col_i64(s, 0), INT64_MIN + (int64_t)i);
		assert_true(db_col_f64(s, 1) == 0.5);
		for (int col = 2; col <= 3; col++) {
			struct slice v = col == 2 ? db_col_text(s, col) : db_col_blob(s, col);

			assert_true(slice_eq(v, texts[i]));
			assert_true((v.p == NULL) == (texts[i].p == NULL));
			assert_true(db_col_null(s, col) == (texts[i].p == NULL));
		}
		assert_true(db_col_null(s, 4));
		assert_int_equal(db_col_i64(s, 4), 0);
		db_done(&s);
	}
}

static void test_parameters_have_numbers_not_places(void **state)
{
	struct db_stmt *s = NULL;

	assert_int_equal(db_first(db, "SELECT $2, $1, $2, '$1', $10", &s, &err, DB_STR("one"), DB_STR("two"), DB_NULL,
				 DB_NULL, DB_NULL, DB_NULL, DB_NULL, DB_NULL, DB_NULL, DB_STR("ten")),
		1);
	assert_true(slice_eq(db_col_text(s, 0), SLICE("two")));
	assert_true(slice_eq(db_col_text(s, 1), SLICE("one")));
	assert_true(slice_eq(db_col_text(s, 2), SLICE("two")));
	assert_true(slice_eq(db_col_text(s, 3), SLICE("$1")));
	assert_true(slice_eq(db_col_text(s, 4), SLICE("ten")));
	db_done(&s);
}

static void test_a_statement_can_run_inside_its_own_rows(void **state)
{
	static const char each[] = "SELECT k FROM y ORDER BY k";
	struct db_stmt *outer = NULL, *inner = NULL;
	int pairs = 0, rc = 0;

	OK(db_exec(db, "INSERT INTO y VALUES ('a', 1), ('b', 2), ('c', 3);", &err));
	OK(db_query(db, each, &outer, &err));
	while ((rc = db_step(outer, &err)) == 1) {
		OK(db_query(db, each, &inner, &err));
		while ((rc = db_step(inner, &err)) == 1)
			pairs++;
		OK(rc);
		db_done(&inner);
	}
	OK(rc);
	db_done(&outer);
	assert_int_equal(pairs, 9);
}

static void test_a_kept_statement_forgets_its_values(void **state)
{
	static const char query[] = "SELECT $1 IS NULL";
	struct db_stmt *s = NULL;

	assert_int_equal(db_first(db, query, &s, &err, DB_I64(7)), 1);
	assert_int_equal(db_col_i64(s, 0), 0);
	db_done(&s);
	assert_int_equal(db_first(db, query, &s, &err), 1);
	assert_int_equal(db_col_i64(s, 0), 1);
	db_done(&s);
}

static void test_more_statements_than_the_cache_began_with(void **state)
{
	static char texts[300][32];
	struct db_stmt *s = NULL;

	for (int turn = 0; turn < 2; turn++) {
		for (int i = 0; i < 300; i++) {
			snprintf(texts[i], sizeof(texts[i]), "SELECT %d", i);
			assert_int_equal(db_first(db, texts[i], &s, &err), 1);
			assert_int_equal(db_col_i64(s, 0), i);
			db_done(&s);
		}
	}
}

static void test_errors_have_codes(void **state)
{
	static const struct {
		const char *sql;
		int rc;
	} cases[] = {
		{"INSERT INTO y VALUES ('a', 2)", -ERR_EXISTS},
		{"INSERT INTO x (p) VALUES ('taken')", -ERR_EXISTS},
		{"INSERT INTO x (id) VALUES (1)", -ERR_EXISTS},
		{"INSERT INTO y VALUES (NULL, 2)", -ERR_DB},
		{"INSERT INTO content_artifact (content_id, relative_path) VALUES (4711, 'p')", -ERR_DB},
		{"SELECT nothing FROM nowhere", -ERR_DB},
		{"", -ERR_DB},
	};

	OK(db_exec(db, "INSERT INTO y VALUES ('a', 1); INSERT INTO x (id, p) VALUES (1, 'taken');", &err));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct db_stmt *s = NULL;
		int rc = db_query_text(db, cases[i].sql, &s, &err);

		if (rc == 0)
			rc = db_run(&s, &err);
		assert_int_equal(rc, cases[i].rc);
		assert_int_equal(err.code, rc);
	}
	/* The statements failed, the transaction goes on. */
	OK(db_do(db, "UPDATE y SET n = $1 WHERE k = $2", &err, DB_I64(5), DB_STR("a")));
	assert_int_equal(db_changes(db), 1);
	OK(db_do(db, "UPDATE y SET n = $1 WHERE k = $2", &err, DB_I64(5), DB_STR("none")));
	assert_int_equal(db_changes(db), 0);
}

static void test_a_parameter_too_many_is_noticed(void **state)
{
	assert_int_equal(db_do(db, "UPDATE y SET n = $1", &err, DB_I64(1), DB_I64(2)), -ERR_DB);
}

static void test_scripts_have_words(void **state)
{
	struct db_stmt *s = NULL;

	OK(db_exec(db, "INSERT INTO y VALUES ('{{\"a\": {{}}}}', 1);", &err));
	assert_int_equal(db_first(db, "SELECT k FROM y", &s, &err), 1);
	assert_true(slice_eq(db_col_text(s, 0), SLICE("{\"a\": {}}")));
	db_done(&s);
	assert_int_equal(db_exec(db, "CREATE TABLE z (a {unknown});", &err), -ERR_DB);
	assert_non_null(strstr(err.msg, "{unknown}"));
	OK(db_exec(db, "", &err));
}

static void test_paths_sort_by_bytes(void **state)
{
	struct db_stmt *s = NULL;
	char all[64] = "";

	OK(db_exec(db, "INSERT INTO x (p) VALUES ('b'), ('a/b'), ('a-b'), ('a0'), ('B'), ('\xc3\xa4');", &err));
	OK(db_query(db, "SELECT p FROM x ORDER BY p", &s, &err));
	while (db_step(s, &err) == 1)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%.*s ", SLICE_ARG(db_col_text(s, 0)));
	db_done(&s);
	assert_string_equal(all, "B a-b a/b a0 b \xc3\xa4 ");
}

#define ON_DB(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_DB(test_values_come_back_as_they_went),
		ON_DB(test_parameters_have_numbers_not_places),
		ON_DB(test_a_statement_can_run_inside_its_own_rows),
		ON_DB(test_a_kept_statement_forgets_its_values),
		ON_DB(test_more_statements_than_the_cache_began_with),
		ON_DB(test_errors_have_codes),
		ON_DB(test_a_parameter_too_many_is_noticed),
		ON_DB(test_scripts_have_words),
		ON_DB(test_paths_sort_by_bytes),
	};

	return RUN("db", tests);
}
