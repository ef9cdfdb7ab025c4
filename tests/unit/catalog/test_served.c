/* What a path means, who offers what is missing, and what becomes of a download. */
#include "fixture.h"

static int64_t repository, remote;

static int set_up(void **state)
{
	struct change_opts o;

	if (fixture_set_up(state) < 0)
		return -1;
	repository = make_repository("r");
	remote = make_remote("up", NULL);
	o = fixture_opts(repository, remote);
	o.mirror = true;
	OK(change(&o, "a=1 b=2 d=4", NULL));
	o.remote_id = make_remote("upgrade", NULL); /* so that "b=2" keeps its source */
	OK(change(&o, "b=7 c=3 a=1", NULL));
	sql("DELETE FROM remote_artifact WHERE remote_id = 2 AND url LIKE '%/a';");
	return 0;
}

static int find(struct served_set set, const char *path, struct served_path *out)
{
	struct txn *t = begin_read();
	int rc;

	*out = (struct served_path){.size = -2};
	rc = catalog_path_find(t, &set, slice_str(path), out, &err);
	txn_end(&t);
	return rc;
}

static struct served_set version_set(int64_t n)
{
	return (struct served_set){
		.repository_id = repository, .version_number = n, .pass_through = true, .date_us = 77};
}

static int64_t save(int64_t ca, int64_t ra, int fill, int64_t size)
{
	struct txn *t = begin_write();
	struct digests d = {.have = 0};
	uint8_t bytes[DIGEST_MAX];
	int64_t id = 0;

	memset(bytes, fill, sizeof(bytes));
	digests_set(&d, DIGEST_SHA256, bytes);
	digests_set(&d, DIGEST_SHA512, bytes);
	OK(catalog_artifact_saved(t, ca, ra, &d, size, &id, &err));
	commit(t);
	return id;
}

static void test_a_path_is_what_its_version_says(void **state)
{
	static const struct {
		int64_t version;
		const char *path;
		int fill; /* 0: not found */
	} cases[] = {
		{1, "a", 1},
		{1, "b", 2},
		{1, "c", 0},
		{1, "d", 4},
		{2, "d", 0},
		{2, "a", 1},
		{2, "b", 7},
		{2, "c", 3},
		{0, "a", 0},
		{2, "", 0},
		{2, "a/", 0},
		{2, "A", 0},
		{9, "b", 7},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct served_path p;
		int rc = find(version_set(cases[i].version), cases[i].path, &p);

		assert_int_equal(rc, cases[i].fill == 0 ? -ERR_NOTFOUND : 0);
		if (rc < 0) {
			assert_int_equal(p.size, -2); /* untouched */
			continue;
		}
		assert_int_equal(p.digests.have, 1u << DIGEST_SHA256);
		assert_int_equal(p.digests.d[DIGEST_SHA256][0], cases[i].fill);
		assert_int_equal(p.size, cases[i].fill);
		assert_false(p.saved);
		assert_int_equal(p.repository_id, repository);
		assert_true(p.content_artifact_id > 0);
	}
}

static void test_a_unit_keeps_its_date(void **state)
{
	struct served_path before, after, later;
	int64_t created = number("SELECT created FROM repository_version WHERE number = 1");
	struct txn *t;

	OK(find(version_set(1), "a", &before));
	assert_int_equal(before.date_us, created);
	OK(find(version_set(2), "c", &later));
	assert_int_equal(later.date_us, number("SELECT created FROM repository_version WHERE number = 2"));
	t = begin_write();
	OK(catalog_version_delete(t, repository, 1, &err));
	commit(t);
	OK(find(version_set(2), "a", &after));
	assert_int_equal(after.date_us, created);
}

static void test_what_is_saved_counts(void **state)
{
	struct served_path p;
	int64_t artifact, ca;

	OK(find(version_set(2), "a", &p));
	ca = p.content_artifact_id;
	artifact = save(ca, 0, 1, 1);
	OK(find(version_set(2), "a", &p));
	assert_true(p.saved);
	assert_int_equal(p.digests.have, 1u << DIGEST_SHA256 | 1u << DIGEST_SHA512);
	assert_int_equal(p.size, 1);
	/* The same bytes again are the same artifact. */
	OK(find(version_set(2), "b", &p));
	assert_int_equal(save(p.content_artifact_id, 0, 1, 1), artifact);
	assert_int_equal(number("SELECT COUNT(*) FROM artifact"), 1);
	assert_true(save(0, 0, 2, 2) != artifact);
}

static void test_a_source_with_sha256_is_believed_first(void **state)
{
	struct served_path p;

	OK(find(version_set(2), "a", &p));
	make_remote("second", NULL);
	sql("INSERT INTO remote_artifact (content_artifact_id, remote_id, url, size, sha256) "
	    "SELECT content_artifact_id, 3, 'http://second/a', 55, sha256 FROM remote_artifact WHERE url LIKE '%/a';"
	    "UPDATE remote_artifact SET sha256 = NULL WHERE remote_id = 1;");
	OK(find(version_set(2), "a", &p));
	assert_int_equal(p.size, 55);
	sql("DELETE FROM remote WHERE id = 3;");
	OK(find(version_set(2), "a", &p));
	assert_int_equal(p.size, 1);
	assert_int_equal(p.digests.have, 0);
	sql("DELETE FROM remote;");
	OK(find(version_set(2), "a", &p)); /* still a unit; nobody offers it (C10) */
	assert_int_equal(p.size, -1);
}

static int64_t publish(bool pass_through)
{
	struct txn *t = begin_write();
	int64_t id, index = 0, date = number("SELECT id FROM repository_version WHERE number = 2");
	struct served_path p;
	struct uuid uuid;
	struct served_set set = version_set(2);

	OK(catalog_artifact_saved(t, 0, 0,
		&(struct digests){.have = 1u << DIGEST_SHA256, .d = {[DIGEST_SHA256] = {99}}}, 99, &index, &err));
	OK(catalog_path_find(t, &set, SLICE("c"), &p, &err));
	OK(catalog_publication_begin(t, "file.file", date, pass_through, false, SLICE_NULL, &id, &uuid, &err));
	OK(catalog_publication_add(t, id, SLICE("INDEX"), index, 0, &err));
	OK(catalog_publication_add(t, id, SLICE("b"), index, 0, &err));
	OK(catalog_publication_add(t, id, SLICE("moved/c"), 0, p.content_artifact_id, &err));
	OK(catalog_publication_complete(t, id, &err));
	commit(t);
	return id;
}

static void test_published_paths_come_before_units(void **state)
{
	struct served_set set = version_set(2);
	struct served_path p;

	set.publication_id = publish(true);
	OK(find(set, "INDEX", &p));
	assert_true(p.saved);
	assert_int_equal(p.content_artifact_id, 0);
	assert_int_equal(p.size, 99);
	assert_int_equal(p.date_us, 77);
	OK(find(set, "b", &p));
	assert_int_equal(p.size, 99);
	OK(find(set, "moved/c", &p)); /* a unit under another path */
	assert_false(p.saved);
	assert_true(p.content_artifact_id > 0);
	assert_int_equal(p.digests.d[DIGEST_SHA256][0], 3);
	assert_int_equal(p.date_us, 77);
	save(p.content_artifact_id, 0, 3, 3);
	OK(find(set, "moved/c", &p));
	assert_true(p.saved);
	OK(find(set, "a", &p));
	set.pass_through = false;
	assert_int_equal(find(set, "a", &p), -ERR_NOTFOUND);
	OK(find(set, "b", &p));
}

/* --- sources --- */

static void test_sources_keep_credentials_to_themselves(void **state)
{
	int64_t other = make_repository("other"), secret = make_remote("secret", "username='u'");
	struct change_opts o = fixture_opts(repository, secret);
	struct source_row *rows = NULL;
	struct served_path p;
	struct txn *t;
	size_t n = 0;

	OK(change(&o, "a=1", NULL));
	OK(find(version_set(2), "a", &p));
	t = begin_read();
	OK(catalog_sources(t, p.content_artifact_id, repository, false, &rows, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(rows[0].url, "http://up/a");
	assert_string_equal(rows[0].remote->name, "up");
	assert_int_equal(rows[0].size, 1);
	assert_int_equal(rows[0].digests.d[DIGEST_SHA256][31], 1);
	assert_int_equal(rows[0].failed_at_us, 0);
	assert_string_equal(rows[1].remote->username, "u");
	source_rows_free(&rows, n);
	/* The other repository was not synced with either: the open remote may serve it all the same. */
	OK(catalog_sources(t, p.content_artifact_id, other, false, &rows, &n, &err));
	assert_int_equal(n, 1);
	assert_string_equal(rows[0].remote->name, "up");
	source_rows_free(&rows, n);
	OK(catalog_sources(t, p.content_artifact_id, other, true, &rows, &n, &err));
	assert_int_equal(n, 2);
	source_rows_free(&rows, n);
	OK(catalog_sources(t, 4711, repository, false, &rows, &n, &err));
	assert_int_equal(n, 0);
	source_rows_free(&rows, n);
	txn_end(&t);
}

static void test_more_sources_than_one_array_begins_with(void **state)
{
	struct source_row *rows = NULL;
	struct served_path p;
	struct txn *t;
	size_t n = 0;

	OK(find(version_set(2), "a", &p));
	for (int i = 0; i < 9; i++) {
		char name[16];
		struct change_opts o;

		snprintf(name, sizeof(name), "mirror%d", i);
		o = fixture_opts(repository, make_remote(name, NULL));
		OK(change(&o, "a=1", NULL));
	}
	t = begin_read();
	OK(catalog_sources(t, p.content_artifact_id, repository, false, &rows, &n, &err));
	assert_int_equal(n, 10);
	source_rows_free(&rows, n);
	txn_end(&t);
}

static void test_failures_are_remembered_until_it_works(void **state)
{
	struct source_row *rows = NULL;
	struct served_path p;
	struct txn *t;
	size_t n = 0;

	OK(find(version_set(2), "a", &p));
	t = begin_write();
	OK(catalog_sources(t, p.content_artifact_id, repository, false, &rows, &n, &err));
	OK(catalog_source_failed(t, rows[0].remote_artifact_id, 11, &err));
	OK(catalog_source_missing(t, rows[0].remote_artifact_id, 12, &err));
	source_rows_free(&rows, n);
	OK(catalog_sources(t, p.content_artifact_id, repository, false, &rows, &n, &err));
	assert_int_equal(rows[0].failed_at_us, 11);
	assert_int_equal(rows[0].missing_at_us, 12);
	commit(t);
	save(p.content_artifact_id, rows[0].remote_artifact_id, 1, 1);
	source_rows_free(&rows, n);
	t = begin_read();
	OK(catalog_sources(t, p.content_artifact_id, repository, false, &rows, &n, &err));
	assert_int_equal(rows[0].failed_at_us, 0);
	assert_int_equal(rows[0].missing_at_us, 0);
	source_rows_free(&rows, n);
	txn_end(&t);
}

static void test_artifacts_are_found_by_digest(void **state)
{
	uint8_t sha256[32];
	int64_t id = 0, size = 0, made = save(0, 0, 5, 55);
	struct txn *t = begin_read();

	memset(sha256, 5, sizeof(sha256));
	OK(catalog_artifact_find(t, sha256, &id, &size, &err));
	assert_int_equal(id, made);
	assert_int_equal(size, 55);
	sha256[31] = 6;
	assert_int_equal(catalog_artifact_find(t, sha256, &id, &size, &err), -ERR_NOTFOUND);
	txn_end(&t);
}

/* A save must not throw away what loops have cached. */
static void test_a_save_does_not_change_what_is_served(void **state)
{
	uint64_t generation = shm_generation(shm);

	save(0, 0, 5, 55);
	assert_int_equal(shm_generation(shm), generation);
}

#define SERVED(fn) cmocka_unit_test_setup_teardown(fn, set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(test_a_path_is_what_its_version_says),
		SERVED(test_a_unit_keeps_its_date),
		SERVED(test_what_is_saved_counts),
		SERVED(test_a_source_with_sha256_is_believed_first),
		SERVED(test_published_paths_come_before_units),
		SERVED(test_sources_keep_credentials_to_themselves),
		SERVED(test_more_sources_than_one_array_begins_with),
		SERVED(test_failures_are_remembered_until_it_works),
		SERVED(test_artifacts_are_found_by_digest),
		SERVED(test_a_save_does_not_change_what_is_served),
	};

	return RUN("served", tests);
}
