/* Repositories, and walking what their versions hold. */
#include "fixture.h"

#include "base/buf.h"
#include "base/clock.h"

static void test_a_repository_begins_with_an_empty_version(void **state)
{
	struct txn *t = begin_write();
	struct repository_row *r = NULL, *same = NULL;
	struct version_row v;
	struct uuid uuid;
	int64_t id = 0;

	OK(catalog_repository_create(t, "file.file", "r", &id, &uuid, &err));
	OK(catalog_repository_by_uuid(t, &uuid, &r, &err));
	OK(catalog_repository_by_id(t, id, &same, &err));
	assert_int_equal(r->id, id);
	assert_memory_equal(&same->uuid, &uuid, sizeof(uuid));
	assert_string_equal(r->type, "file.file");
	assert_string_equal(r->name, "r");
	assert_int_equal(r->remote_id, 0);
	assert_false(r->autopublish);
	assert_int_equal(r->retain_repo_versions, 0);
	assert_int_equal(r->next_version, 1);
	assert_string_equal(r->last_sync_details, "{}");
	assert_string_equal(r->extra, "{}");
	repository_row_free(&r);
	repository_row_free(&same);
	OK(catalog_version_latest(t, id, &v, &err));
	assert_int_equal(v.number, 0);
	assert_int_equal(v.present, 0);
	OK(catalog_repository_set_sync_details(t, id, SLICE("{\"a\":1}"), &err));
	OK(catalog_repository_by_id(t, id, &r, &err));
	assert_string_equal(r->last_sync_details, "{\"a\":1}");
	repository_row_free(&r);
	assert_int_equal(catalog_repository_set_sync_details(t, 4711, SLICE("{}"), &err), -ERR_NOTFOUND);
	assert_int_equal(catalog_repository_by_id(t, 4711, &r, &err), -ERR_NOTFOUND);
	assert_int_equal(catalog_repository_create(t, "file.file", "r", &id, &uuid, &err), -ERR_EXISTS);
	txn_end(&t);
}

struct walk {
	struct buf out;
	int left;
};

static int add_file(void *arg, const struct unit_file *f)
{
	struct walk *w = arg;

	buf_addf(&w->out, "%s%.*s,%d,%lld", w->out.n > 0 ? " " : "", SLICE_ARG(f->relative_path),
		f->digests->have & 1u << DIGEST_SHA256 ? f->digests->d[DIGEST_SHA256][0] : -1, (long long)f->size);
	assert_true(slice_eq(f->extra, SLICE("{}")));
	return --w->left == 0 ? 42 : 0;
}

static int walk(int64_t repository, int64_t version, int stop_after, char out[256])
{
	struct walk w = {.out = BUF_INIT(0), .left = stop_after};
	struct txn *t = begin_read();
	int rc = catalog_version_files_each(t, repository, version, add_file, &w, &err);

	snprintf(out, 256, "%s", w.out.n > 0 ? w.out.p : "");
	buf_fini(&w.out);
	txn_end(&t);
	return rc;
}

static void test_files_of_a_version_newest_first(void **state)
{
	int64_t repository = make_repository("r"), remote = make_remote("up", NULL), missing = -1;
	struct change_opts o = fixture_opts(repository, remote);
	char before[256], after[256];
	struct txn *t;

	o.mirror = true;
	OK(change(&o, "b=2 a=1", NULL));
	o.remote_id = make_remote("second", NULL);
	OK(change(&o, "c=3 b=2", NULL));
	OK(walk(repository, 1, 0, before));
	assert_string_equal(before, "a,1,1 b,2,2");
	OK(walk(repository, 2, 0, before));
	assert_string_equal(before, "c,3,3 b,2,2");
	assert_int_equal(walk(repository, 2, 1, after), 42);
	assert_string_equal(after, "c,3,3");
	OK(walk(repository, 0, 0, after));
	assert_string_equal(after, "");
	t = begin_read();
	OK(catalog_version_missing_count(t, repository, 2, &missing, &err));
	txn_end(&t);
	assert_int_equal(missing, 2);
	/* Saving a file changes nothing of what metadata is made of (P7). */
	sql("INSERT INTO artifact (uuid, sha256, size, created) VALUES (CAST('u' AS BLOB), CAST('s' AS BLOB), 1000, 1);"
	    "UPDATE content_artifact SET artifact_id = 1 WHERE relative_path = 'b';");
	OK(walk(repository, 2, 0, after));
	assert_string_equal(after, before);
	t = begin_read();
	OK(catalog_version_missing_count(t, repository, 2, &missing, &err));
	txn_end(&t);
	assert_int_equal(missing, 1);
	/* Without a remote it is the artifact's. */
	sql("DELETE FROM remote;");
	OK(walk(repository, 2, 0, after));
	assert_string_equal(after, "c,-1,-1 b,-1,1000"); /* its sha256 is no 32 bytes here */
}

static void test_orphans_are_used_by_nothing(void **state)
{
	int64_t repository = make_repository("r"), ids[2], after = 0, seen = 0;
	struct change_opts o = fixture_opts(repository, 0);
	uint8_t sha256[2][32];
	struct uuid uuid;
	struct txn *t;
	size_t n = 0;

	OK(change(&o, "a=1", NULL));
	t = begin_write();
	for (int i = 1; i <= 7; i++) {
		struct digests d = {.have = 1u << DIGEST_SHA256, .d = {[DIGEST_SHA256] = {(uint8_t)i}}};
		int64_t id;

		OK(catalog_artifact_saved(t, i == 2 ? 1 : 0, 0, &d, i, &id, &err));
		assert_int_equal(id, i);
	}
	OK(catalog_publication_begin(t, "file.file", 1, true, false, SLICE_NULL, &ids[0], &uuid, &err));
	OK(catalog_publication_add(t, ids[0], SLICE("i"), 4, 0, &err));
	OK(db_exec(txn_db(t), "UPDATE artifact SET created = 4102444800000000 WHERE id = 7;", &err)); /* younger */
	commit(t);
	t = begin_read();
	do {
		OK(catalog_artifact_orphans(t, clock_wall_us() + US_PER_S, after, ids, sha256, 2, &n, &err));
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(sha256[i][0], ids[i]);
			seen = seen * 10 + ids[i];
			after = ids[i];
		}
	} while (n > 0);
	txn_end(&t);
	assert_int_equal(seen, 1356);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_repository_begins_with_an_empty_version),
		TEST(test_files_of_a_version_newest_first),
		TEST(test_orphans_are_used_by_nothing),
	};

	return RUN("repository", tests);
}
