/* Content guards as rows: read whole, granted to users, and taken off distributions when they go. */
#include "fixture.h"

#include "catalog/guard.h"
#include "base/shm.h"
#include "catalog/query.h"

static int64_t insert(const char *view, const char *type, json_t *values)
{
	struct txn *t = begin_write();
	int64_t id = 0;

	assert_non_null(values);
	OK(row_insert(t, view_find(view), type, values, &id, NULL, &err));
	commit(t);
	json_decref(values);
	return id;
}

static int64_t user(const char *name)
{
	return insert("user", NULL,
		json_pack("{s:s, s:s, s:s}", "username", name, "password", "x", "date_joined", "2026-01-01T00:00:00Z"));
}

static int64_t guard(const char *name, const char *type)
{
	return insert("content_guard", type, json_pack("{s:s}", "name", name));
}

static int grant(int64_t id, const char *name)
{
	struct txn *t = begin_write();
	int rc = catalog_guard_grant(t, id, slice_str(name), &err);

	if (rc == 0)
		commit(t);
	else
		txn_end(&t);
	return rc;
}

static void revoke(int64_t id, const char *name)
{
	struct txn *t = begin_write();

	OK(catalog_guard_revoke(t, id, slice_str(name), &err));
	commit(t);
}

static void test_guards_are_read_whole(void **state)
{
	struct guard_row *rows = NULL;
	struct txn *t;
	size_t n = 0;
	int64_t a, b;

	t = begin_read();
	OK(catalog_guards(t, &rows, &n, &err));
	txn_end(&t);
	assert_int_equal(n, 0);
	guard_rows_free(&rows, n);
	a = insert("content_guard", "core.header",
		json_pack("{s:s, s:s, s:s, s:s}", "name", "h", "header_name", "X-A", "header_value", "v", "jq_filter",
			".a"));
	b = insert("content_guard", "certguard.x509",
		json_pack("{s:s, s:s, s:s, s:[s]}", "name", "x", "ca_certificate", "CA", "crl", "CRL", "guards", "u"));
	for (int i = 0; i < 5; i++) {
		char name[8];

		snprintf(name, sizeof(name), "u%d", i);
		user(name);
		OK(grant(b, name));
		OK(grant(b, name));
	}
	t = begin_read();
	OK(catalog_guards(t, &rows, &n, &err));
	txn_end(&t);
	assert_int_equal(n, 2);
	assert_int_equal(rows[0].id, a);
	assert_string_equal(rows[0].type, "core.header");
	assert_string_equal(rows[0].header_name, "X-A");
	assert_string_equal(rows[0].header_value, "v");
	assert_string_equal(rows[0].jq_filter, ".a");
	assert_null(rows[0].ca_certificate);
	assert_int_equal(rows[0].user_count, 0);
	assert_int_equal(rows[1].id, b);
	assert_string_equal(rows[1].ca_certificate, "CA");
	assert_string_equal(rows[1].crl, "CRL");
	assert_string_equal(rows[1].guards, "[\"u\"]");
	assert_int_equal(rows[1].user_count, 5);
	for (size_t i = 1; i < 5; i++)
		assert_true(rows[1].users[i] > rows[1].users[i - 1]);
	guard_rows_free(&rows, n);
	assert_null(rows);
}

static void test_grants_are_changes_of_what_is_served(void **state)
{
	int64_t g = guard("r", "core.rbac");
	uint64_t before;
	char **names = NULL;
	struct txn *t;
	size_t n = 0;

	user("zoe");
	user("amy");
	before = shm_generation(shm);
	OK(grant(g, "zoe"));
	assert_true(shm_generation(shm) > before);
	OK(grant(g, "amy"));
	t = begin_read();
	OK(catalog_guard_users(t, g, &names, &n, &err));
	txn_end(&t);
	assert_int_equal(n, 2);
	assert_string_equal(names[0], "amy");
	assert_string_equal(names[1], "zoe");
	guard_users_free(&names, n);
	before = shm_generation(shm);
	revoke(g, "zoe");
	assert_true(shm_generation(shm) > before);
	assert_int_equal(number("SELECT count(*) FROM content_guard_user"), 1);
	assert_int_equal(grant(g, "nobody"), -ERR_NOTFOUND);
	assert_int_equal(grant(999, "amy"), -ERR_NOTFOUND);
}

static void test_a_user_that_goes_or_changes_counts(void **state)
{
	int64_t g = guard("r", "core.rbac"), u = user("eve");
	uint64_t before;
	json_t *off = json_pack("{s:b}", "is_active", 0);
	struct txn *t;

	OK(grant(g, "eve"));
	before = shm_generation(shm);
	t = begin_write();
	OK(row_update(t, view_find("user"), u, off, &err));
	commit(t);
	json_decref(off);
	assert_true(shm_generation(shm) > before);
	t = begin_write();
	OK(row_delete_in(t, view_find("user"), u, &err));
	commit(t);
	assert_int_equal(number("SELECT count(*) FROM content_guard_user"), 0);
}

static void test_a_deleted_guard_leaves_its_distributions(void **state)
{
	int64_t g = guard("h", "core.header"), other = guard("o", "core.header");
	char q[400];

	snprintf(q, sizeof(q),
		"INSERT INTO distribution (uuid, type, name, created, updated, base_path, content_guard_id) VALUES "
		"(CAST('1' AS BLOB), 'file.file', 'a', 1, 1, 'a', %lld), (CAST('2' AS BLOB), 'file.file', 'b', 1, 1, "
		"'b', %lld)",
		(long long)g, (long long)other);
	sql(q);
	OK(row_delete(catalog, view_find("content_guard"), g, &err));
	assert_int_equal(number("SELECT count(*) FROM distribution WHERE content_guard_id IS NULL"), 1);
	assert_int_equal(number("SELECT count(*) FROM distribution WHERE content_guard_id IS NOT NULL"), 1);
	assert_int_equal(number("SELECT count(*) FROM content_guard"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_guards_are_read_whole),
		TEST(test_grants_are_changes_of_what_is_served),
		TEST(test_a_user_that_goes_or_changes_counts),
		TEST(test_a_deleted_guard_leaves_its_distributions),
	};

	return RUN("guard", tests);
}
