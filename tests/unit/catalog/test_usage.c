/* The sum of what is saved, and last uses. */
#include "fixture.h"

#include "catalog/usage.h"

static int64_t save(int n, int64_t size)
{
	struct txn *t = begin_write();
	struct digests d = {.have = 0};
	uint8_t sha256[32];
	int64_t id = 0;

	memset(sha256, n, sizeof(sha256));
	digests_set(&d, DIGEST_SHA256, sha256);
	OK(catalog_artifact_saved(t, 0, 0, &d, size, &id, &err));
	commit(t);
	return id;
}

static struct usage usage(void)
{
	struct txn *t = begin_read();
	struct usage u;

	OK(catalog_usage(t, &u, &err));
	txn_end(&t);
	return u;
}

static void expect(int64_t artifacts, int64_t bytes)
{
	struct usage u = usage();

	assert_int_equal(u.artifacts, artifacts);
	assert_int_equal(u.bytes, bytes);
	assert_int_equal(catalog_stored_bytes(catalog), bytes);
	assert_int_equal(number("SELECT COALESCE(SUM(size), 0) FROM artifact"), bytes);
}

static void test_the_sum_goes_with_the_transaction(void **state)
{
	int64_t first, second;
	struct catalog *other;
	struct txn *t;

	expect(0, 0);
	first = save(1, 100);
	second = save(2, 1000);
	assert_int_equal(save(1, 100), first); /* the same again */
	expect(2, 1100);

	t = begin_write();
	assert_int_equal(catalog_artifact_delete(t, first, &err), 1);
	txn_end(&t); /* rolled back */
	expect(2, 1100);

	t = begin_write();
	assert_int_equal(catalog_artifact_delete(t, first, &err), 1);
	assert_int_equal(catalog_artifact_delete(t, first, &err), 0); /* no more */
	commit(t);
	expect(1, 1000);

	other = fixture_open_again(5000, 1);
	assert_int_equal(catalog_stored_bytes(other), 1000);
	catalog_close(&other);
	assert_int_equal(save(1, 100) != first, true); /* numbers are not given twice */
	expect(2, 1100);
	assert_int_not_equal(second, first);
}

static void test_an_artifact_in_use_is_not_deleted(void **state)
{
	int64_t repository = make_repository("r"), id = save(1, 100);
	struct change_opts o = fixture_opts(repository, make_remote("up", NULL));
	struct txn *t;

	OK(change(&o, "a=1", NULL));
	sql("UPDATE content_artifact SET artifact_id = (SELECT id FROM artifact);");
	t = begin_write();
	assert_int_equal(catalog_artifact_delete(t, id, &err), 0);
	commit(t);
	expect(1, 100);
}

static void test_uses_are_written_once_an_interval(void **state)
{
	const int64_t hour = INT64_C(3600) * 1000000, later = INT64_C(1) << 51;
	int64_t ids[] = {save(1, 1), save(2, 1), 999};
	size_t written = 0;
	struct txn *t;
	const struct {
		int64_t at;
		size_t written;
	} rows[] = {
		{later, 2},                    /* the third does not exist */
		{later + hour / 3, 0},         /* that is known */
		{later + hour, 2}, {later, 0}, /* a clock that goes back */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		t = begin_write();
		OK(catalog_artifacts_used(t, ids, ARRAY_LEN(ids), rows[i].at, hour, &written, &err));
		commit(t);
		assert_int_equal(written, rows[i].written);
	}
	assert_int_equal(number("SELECT MIN(last_used) FROM artifact"), later + hour);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_sum_goes_with_the_transaction),
		TEST(test_an_artifact_in_use_is_not_deleted),
		TEST(test_uses_are_written_once_an_interval),
	};

	return RUN("usage", tests);
}
