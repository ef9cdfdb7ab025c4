/* What a change makes of a repository. */
#include "fixture.h"

#include "catalog/upkeep.h"

#include "catalog/repository.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define BULK 2500

enum mode { ADDITIVE, MIRROR, KEEP };

static const struct {
	const char *what, *before, *declared;
	enum mode mode;
	int rc;
	const char *after; /* or how the error begins */
} rules[] = {
	{"units are added to what is there", "a=1 b=2", "c=3", ADDITIVE, 0, "a=1 b=2 c=3"},
	{"a mirror has what was declared and nothing else", "a=1 b=2", "b=2 c=3", MIRROR, 0, "b=2 c=3"},
	{"an empty mirror is empty", "a=1 b=2", "", MIRROR, 0, ""},
	{"a unit replaces the one that has its path", "a=1 b=2", "a=7", ADDITIVE, 0, "a=7 b=2"},
	{"the same unit twice is one", "", "a=1 a=1", ADDITIVE, 0, "a=1"},
	{"two units with one path are refused", "", "a=1 b=2 a=3", ADDITIVE, -ERR_EXISTS, "[PLP0022]"},
	{"also when one of them was there before", "a=1", "a=1 a=3", ADDITIVE, -ERR_EXISTS, "[PLP0022]"},
	{"also in the other order", "a=1", "a=3 a=1", ADDITIVE, -ERR_EXISTS, "[PLP0022]"},
	{"a directory below a file is refused", "", "a/b=1 a/b/c=2", ADDITIVE, -ERR_EXISTS, "[PLP0022]"},
	{"a file above a directory is refused", "", "a/b/c=1 a/b=2", ADDITIVE, -ERR_EXISTS, "[PLP0022]"},
	{"also far above", "", "a/b/c/d=1 x=3 a=2", ADDITIVE, -ERR_EXISTS, "[PLP0022]"},
	{"also when the file was there before", "a=1", "a/b=2", ADDITIVE, -ERR_EXISTS, "[PLP0022]"},
	{"a mirror lets the file go instead", "a=1", "a/b=2", MIRROR, 0, "a/b=2"},
	{"and the directory", "a/b=1 a/c/d=2", "a=3", MIRROR, 0, "a=3"},
	{"but not when both are declared", "a=1", "a/b=2 a=1", MIRROR, -ERR_EXISTS, "[PLP0022]"},
	{"names that only begin alike are fine", "a=1", "ab=2 a.b=3 a-b/c=4 a0=5", ADDITIVE, 0,
		"a=1 a-b/c=4 a.b=3 a0=5 ab=2"},
	{"a taken path can be a reason to refuse", "a=1", "b=2 a=3", KEEP, -ERR_EXISTS, "[PLP0023]"},
	{"but not for the unit that has it", "a=1", "b=2 a=1", KEEP, 0, "a=1 b=2"},
	{"a path does not begin with a slash", "", "/a=1", ADDITIVE, -ERR_INVAL, ""},
	{"nor end in one", "", "a/=1", ADDITIVE, -ERR_INVAL, ""},
	{"and has no empty part", "", "a//b=1", ADDITIVE, -ERR_INVAL, ""},
	{"and does not climb", "", "a/../b=1", ADDITIVE, -ERR_INVAL, ""},
	{"and is UTF-8", "", "a\xff=1", ADDITIVE, -ERR_INVAL, ""},
	{"and has no control bytes", "", "a\x01=1", ADDITIVE, -ERR_INVAL, ""},
};

static void test_rules(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		int64_t repository = make_repository(rules[i].what);
		struct change_opts o = fixture_opts(repository, 0);
		int rc;

		OK(change(&o, rules[i].before, NULL));
		o.mirror = rules[i].mode == MIRROR;
		o.keep_existing = rules[i].mode == KEEP;
		err = ERR_INIT;
		rc = change(&o, rules[i].declared, NULL);
		if (rc != rules[i].rc)
			fail_msg("%s: %s %s", rules[i].what, err_name(rc), err.msg);
		if (rc == 0)
			assert_string_equal(contents(repository, 99), rules[i].after);
		else if (strncmp(err.msg, rules[i].after, strlen(rules[i].after)) != 0)
			fail_msg("%s: %s", rules[i].what, err.msg);
		else
			assert_string_equal(contents(repository, 99), rules[i].before);
		check_invariants();
	}
}

static void test_versions_count_and_stay_as_they_are(void **state)
{
	int64_t repository = make_repository("r");
	struct change_opts o = fixture_opts(repository, 0);
	struct change_result r;

	OK(change(&o, "a=1 b=2 c=3", &r));
	assert_true(r.changed);
	assert_int_equal(r.number, 1);
	assert_int_equal(r.added, 3);
	assert_int_equal(r.present, 3);
	o.mirror = true;
	OK(change(&o, "b=2 c=9 d=4", &r));
	assert_int_equal(r.number, 2);
	assert_int_equal(r.added, 2);
	assert_int_equal(r.removed, 2);
	assert_int_equal(r.present, 3);
	assert_string_equal(contents(repository, 0), "");
	assert_string_equal(contents(repository, 1), "a=1 b=2 c=3");
	assert_string_equal(contents(repository, 2), "b=2 c=9 d=4");
	check_invariants();
}

/* Clients of an index that ask by date alone, in seconds, must learn of each new one. */
static void test_what_takes_a_path_over_is_a_second_younger(void **state)
{
	int64_t repository = make_repository("r");
	struct change_opts o = fixture_opts(repository, 0);
	struct change_result r;

	o.mirror = true;
	OK(change(&o, "a=1", &r));
	OK(change(&o, "a=2", &r));
	OK(change(&o, "a=3", &r));
	assert_int_equal(
		number("SELECT COUNT(DISTINCT added_at / 1000000) FROM repository_path WHERE relative_path = 'a'"), 3);
	assert_int_equal(number("SELECT COUNT(*) FROM repository_path x JOIN repository_path y ON y.version_added > "
				"x.version_added "
				"AND y.added_at < x.added_at + 1000000"),
		0);
}

static void test_nothing_new_makes_no_version(void **state)
{
	int64_t repository = make_repository("r"), remote = make_remote("up", NULL);
	struct change_opts o = fixture_opts(repository, remote);
	struct change_result first, again;
	int64_t before;

	o.mirror = true;
	OK(change(&o, "a=1 b/c=2", &first));
	before = number("SELECT MAX(created) FROM content");
	for (int i = 0; i < 2; i++) {
		OK(change(&o, "b/c=2 a=1", &again));
		assert_false(again.changed);
		assert_int_equal(again.number, first.number);
		assert_memory_equal(&again.uuid, &first.uuid, sizeof(first.uuid));
		assert_int_equal(again.present, 2);
	}
	assert_int_equal(number("SELECT next_version FROM repository"), 2);
	assert_int_equal(number("SELECT COUNT(*) FROM repository_version"), 2);
	assert_int_equal(number("SELECT MAX(created) FROM content"), before);
	check_invariants();
}

/* Statements that change a row count, whether or not the row differs; so this sees what a comparison of the tables
 * would not. */
static void test_declaring_again_writes_nothing(void **state)
{
	int64_t repository = make_repository("r"), remote = make_remote("up", NULL);
	struct change_opts o = fixture_opts(repository, remote);
	struct change *ch = NULL;

	OK(change(&o, "a=1 b/c=2 d=3", NULL));
	OK(change_begin(catalog, &o, &ch, &err));
	sql("CREATE TABLE written (what TEXT);");
#define SPY(table, event)                                                  \
	sql("CREATE TRIGGER spy_" table event " AFTER " event " ON " table \
	    " BEGIN INSERT INTO written VALUES ('" table "'); END;")
	SPY("content", "INSERT");
	SPY("content_artifact", "INSERT");
	SPY("content_artifact", "UPDATE");
	SPY("remote_artifact", "INSERT");
	SPY("remote_artifact", "UPDATE");
	SPY("repository_content", "INSERT");
	SPY("repository_content", "UPDATE");
	SPY("repository_path", "INSERT");
	SPY("repository_path", "UPDATE");
	OK(declare(ch, "a=1 b/c=2 d=3"));
	assert_int_equal(number("SELECT COUNT(*) FROM written"), 0);
	OK(declare(ch, "e=4"));
	assert_int_equal(number("SELECT COUNT(*) FROM written"), 5); /* the triggers do see what is new */
	change_abort(&ch);
}

static void test_results_say_what_is_new_and_saved(void **state)
{
	int64_t repository = make_repository("r"), remote = make_remote("up", NULL);
	struct change_opts o = fixture_opts(repository, remote);
	struct change_artifact a = {.relative_path = SLICE("a"), .url = SLICE("http://up/a"), .size = 1};
	struct change_unit u = {
		.type = SLICE("file.file"), .natural_key = SLICE("k"), .artifacts = &a, .artifact_count = 1};
	struct digests d = {.have = 0};
	struct change *ch = NULL;
	struct txn *t;
	int64_t ca, artifact;

	OK(change_begin(catalog, &o, &ch, &err));
	OK(change_declare(ch, &u, 1, &err));
	assert_true(u.is_new);
	assert_true(u.content_id > 0 && a.content_artifact_id > 0 && a.remote_artifact_id > 0);
	assert_false(a.saved);
	ca = a.content_artifact_id;
	digests_set(&d, DIGEST_SHA256, (const uint8_t *)"01234567890123456789012345678901");
	t = begin_write();
	OK(catalog_artifact_saved(t, ca, a.remote_artifact_id, &d, 1, &artifact, &err));
	commit(t);
	OK(change_declare(ch, &u, 1, &err));
	assert_false(u.is_new);
	assert_true(a.saved);
	assert_int_equal(a.content_artifact_id, ca);
	/* An upload brings its artifact along. */
	a = (struct change_artifact){.relative_path = SLICE("up"), .artifact_id = artifact};
	u.natural_key = SLICE("uploaded");
	OK(change_declare(ch, &u, 1, &err));
	assert_true(a.saved);
	assert_int_equal(a.remote_artifact_id, 0);
	change_abort(&ch);
}

static void test_a_unit_may_have_no_artifact_or_several(void **state)
{
	int64_t repository = make_repository("r");
	struct change_opts o = fixture_opts(repository, 0);
	struct change_artifact two[] = {
		{.relative_path = SLICE("b/1"), .size = -1}, {.relative_path = SLICE("b/2"), .size = -1}};
	struct change_artifact clash[] = {{.relative_path = SLICE("c")}, {.relative_path = SLICE("c/d")}};
	struct change_artifact same[] = {{.relative_path = SLICE("c")}, {.relative_path = SLICE("c")}};
	struct change_unit u[] = {
		{.type = SLICE("x.advisory"), .natural_key = SLICE("A-1"), .extra = SLICE("{\"a\":1}")},
		{.type = SLICE("x.tree"), .natural_key = SLICE("t"), .artifacts = two, .artifact_count = 2},
	};
	struct change_unit bad = {
		.type = SLICE("x.tree"), .natural_key = SLICE("bad"), .artifacts = clash, .artifact_count = 2};
	struct change_result r;
	struct change *ch = NULL;

	OK(change_begin(catalog, &o, &ch, &err));
	OK(change_declare(ch, u, 2, &err));
	assert_int_equal(change_declare(ch, &bad, 1, &err), -ERR_EXISTS);
	bad.artifacts = same;
	assert_int_equal(change_declare(ch, &bad, 1, &err), -ERR_EXISTS);
	OK(change_finish(&ch, &r, &err));
	assert_int_equal(r.present, 2);
	assert_string_equal(contents(repository, 1), "b/1= b/2=");
	assert_string_equal(text("SELECT extra FROM content WHERE natural_key = 'A-1'"), "{\"a\":1}");
	/* An artifact more, of a unit that repositories have: all versions with the unit have its path. */
	two[0].relative_path = SLICE("b/3");
	OK(change_begin(catalog, &o, &ch, &err));
	OK(change_declare(ch, &u[1], 1, &err));
	OK(change_finish(&ch, &r, &err));
	assert_false(r.changed);
	assert_string_equal(contents(repository, 1), "b/1= b/2= b/3=");
	check_invariants();
}

/* --- sources --- */

static int64_t remote_artifacts(int64_t remote)
{
	char q[128];

	snprintf(q, sizeof(q), "SELECT COUNT(*) FROM remote_artifact WHERE remote_id = %lld", (long long)remote);
	return number(q);
}

static void test_remote_artifacts_follow_upstream(void **state)
{
	int64_t here = make_repository("here"), there = make_repository("there");
	int64_t one = make_remote("one", NULL), two = make_remote("two", NULL);
	struct change_opts o = fixture_opts(here, one), elsewhere = fixture_opts(there, one);

	OK(change(&elsewhere, "c=3 d=4", NULL));
	OK(change(&o, "a=1 b=2 c=3", NULL));
	assert_int_equal(remote_artifacts(one), 4);
	/* A second remote offers the same content: one source more, no second content. */
	o.remote_id = two;
	OK(change(&o, "a=1", NULL));
	assert_int_equal(remote_artifacts(two), 1);
	assert_int_equal(number("SELECT COUNT(*) FROM content"), 4);
	/* Upstream lists "b" and "c" no more: here they stay units (not a mirror), and upstream may serve them still; "a" has other bytes, so that nobody
	 * offers the old ones; "d" is not ours to judge. */
	o.remote_id = one;
	OK(change(&o, "a=7", NULL));
	assert_string_equal(contents(here, 2), "a=7 b=2 c=3");
	assert_int_equal(remote_artifacts(one), 4);
	assert_int_equal(remote_artifacts(two), 1);
	/* A mirror loses unit and source at once. */
	o.mirror = true;
	OK(change(&o, "z=9", NULL));
	assert_int_equal(remote_artifacts(one), 2); /* of d and z */
	assert_int_equal(number("SELECT COUNT(*) FROM repository_remote"), 3);
	check_invariants();
}

/* Clients that have the metadata of before are served from there for a while. */
static void test_sources_outlive_their_units_for_the_window(void **state)
{
	struct catalog_opts opts = {.url = fixture_url, .busy_timeout_ms = 5000, .readers = 2, .window_ms = 60000};
	int64_t repository = make_repository("r"), remote = make_remote("up", NULL);
	struct change_opts o = fixture_opts(repository, remote);

	catalog_close(&catalog);
	OK(catalog_open(&opts, true, &catalog, &err));
	o.mirror = true;
	OK(change(&o, "a=1 b=2 c=3", NULL));
	/* Where "a" was is something else now, "b" is listed no more. */
	OK(change(&o, "a=7 c=3", NULL));
	assert_int_equal(number("SELECT COUNT(*) FROM remote_artifact ra JOIN content_artifact ca ON ca.id = "
				"ra.content_artifact_id WHERE ca.relative_path = 'a'"),
		1);
	assert_int_equal(remote_artifacts(remote), 3);
	assert_string_equal(text("SELECT url FROM remote_artifact WHERE dropped_at IS NOT NULL"), "http://up/b");
	OK(catalog_offers_sweep(catalog, &err));
	assert_int_equal(remote_artifacts(remote), 3);
	/* It comes back. */
	OK(change(&o, "a=7 b=2", NULL));
	assert_string_equal(text("SELECT url FROM remote_artifact WHERE dropped_at IS NOT NULL"), "http://up/c");
	sql("UPDATE remote_artifact SET dropped_at = dropped_at - 61000000;");
	OK(catalog_offers_sweep(catalog, &err));
	assert_int_equal(remote_artifacts(remote), 2);
	assert_int_equal(number("SELECT COUNT(*) FROM remote_artifact WHERE dropped_at IS NOT NULL"), 0);
	check_invariants();
}

static void test_a_unit_may_lose_one_of_its_sources(void **state)
{
	int64_t repository = make_repository("r"), remote = make_remote("up", NULL);
	struct change_opts o = fixture_opts(repository, remote);
	struct change_artifact a[] = {
		{.relative_path = SLICE("t/1"), .url = SLICE("http://up/1"), .size = -1},
		{.relative_path = SLICE("t/2"), .url = SLICE("http://up/2"), .size = -1},
		{.relative_path = SLICE("t/3"), .url = SLICE("http://up/3"), .size = -1},
	};
	struct change_unit u = {
		.type = SLICE("x.tree"), .natural_key = SLICE("t"), .artifacts = a, .artifact_count = 3};
	struct change_result r;
	struct change *ch = NULL;

	o.mirror = true;
	for (int i = 0; i < 3; i++) {
		a[1].url = i == 1 ? SLICE_NULL : SLICE("http://up/2"); /* is there, but nobody offers it */
		u.artifact_count = i == 2 ? 2 : 3;                     /* the third is not named at all */
		OK(change_begin(catalog, &o, &ch, &err));
		OK(change_declare(ch, &u, 1, &err));
		OK(change_finish(&ch, &r, &err));
		assert_int_equal(r.present, 1);
		assert_int_equal(remote_artifacts(remote), i == 0 ? 3 : 2);
	}
	assert_string_equal(contents(repository, 1), "t/1= t/2= t/3=");
	check_invariants();
}

static void test_a_moved_source_is_updated_and_tried_again(void **state)
{
	int64_t repository = make_repository("r"), remote = make_remote("up", NULL);
	struct change_opts o = fixture_opts(repository, remote);
	struct change_artifact a = {.relative_path = SLICE("a"), .url = SLICE("http://new/a"), .size = -1};
	struct change_unit u = {
		.type = SLICE("file.file"), .natural_key = SLICE("a|1"), .artifacts = &a, .artifact_count = 1};
	struct change_result r;
	struct change *ch = NULL;

	OK(change(&o, "a=1", NULL));
	sql("UPDATE remote_artifact SET failed_at = 5, missing_at = 6;");
	OK(change_begin(catalog, &o, &ch, &err));
	OK(change_declare(ch, &u, 1, &err));
	OK(change_finish(&ch, &r, &err));
	assert_false(r.changed);
	assert_string_equal(text("SELECT url FROM remote_artifact"), "http://new/a");
	assert_int_equal(number("SELECT COUNT(*) FROM remote_artifact WHERE size IS NULL AND sha256 IS NULL "
				"AND failed_at IS NULL AND missing_at IS NULL"),
		1);
}

static void test_missing_artifacts_are_listed_in_pieces(void **state)
{
	int64_t repository = make_repository("r"), remote = make_remote("up", NULL);
	struct change_opts o = fixture_opts(repository, remote);
	struct change_missing rows[3];
	struct change *ch = NULL;
	char all[64] = "";
	struct change_missing_at at = {.content_id = 0};
	size_t n = 0;

	OK(change(&o, "old=9", NULL)); /* not of the next change */
	OK(change_begin(catalog, &o, &ch, &err));
	OK(declare(ch, "a=1 b=2 c=3 d=4 e=5"));
	sql("INSERT INTO artifact (uuid, sha256, size, created) VALUES (CAST('u' AS BLOB), CAST('s' AS BLOB), 1, 1);"
	    "UPDATE content_artifact SET artifact_id = 1 WHERE relative_path = 'c';");
	do {
		OK(change_missing_next(ch, &at, rows, ARRAY_LEN(rows), &n, &err));
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(rows[i].size, rows[i].digests.d[DIGEST_SHA256][0]);
			strcat(all, strrchr(rows[i].url, '/'));
		}
		change_missing_fini(rows, n);
	} while (n > 0);
	assert_string_equal(all, "/a/b/d/e");
	change_abort(&ch);
}

/* --- by hand --- */

static void test_modify_removes_then_adds(void **state)
{
	int64_t repository = make_repository("r"), other = make_repository("other"), ids[3];
	struct change_opts o = fixture_opts(repository, 0), elsewhere = fixture_opts(other, 0);
	struct change_result r;
	struct change *ch = NULL;

	OK(change(&elsewhere, "a=7 x=8", NULL));
	OK(change(&o, "a=1 b=2", NULL));
	ids[0] = unit("a=7");
	ids[1] = unit("x=8");
	ids[2] = unit("a=1");
	o.keep_existing = true;
	OK(change_begin(catalog, &o, &ch, &err));
	assert_int_equal(change_add(ch, ids, 2, &err), -ERR_EXISTS);
	assert_int_equal(strncmp(err.msg, "[PLP0023]", 9), 0);
	OK(change_remove(ch, &ids[2], 1, &err));
	OK(change_remove(ch, (const int64_t[]){4711, ids[1]}, 2, &err)); /* neither is there */
	OK(change_add(ch, ids, 2, &err));
	OK(change_finish(&ch, &r, &err));
	assert_string_equal(contents(repository, 2), "a=7 b=2 x=8");
	assert_string_equal(contents(repository, 1), "a=1 b=2");
	OK(change_begin(catalog, &o, &ch, &err));
	assert_int_equal(change_add(ch, (const int64_t[]){4711}, 1, &err), -ERR_NOTFOUND);
	OK(change_remove_all(ch, &err));
	OK(change_add(ch, &ids[2], 1, &err));
	OK(change_finish(&ch, &r, &err));
	assert_int_equal(r.removed, 3);
	assert_string_equal(contents(repository, 3), "a=1");
	check_invariants();
}

static void test_out_and_in_again_is_no_change(void **state)
{
	int64_t repository = make_repository("r"), id;
	struct change_opts o = fixture_opts(repository, 0);
	struct change_result r;
	struct change *ch = NULL;

	OK(change(&o, "a=1 b=2", NULL));
	id = unit("a=1");
	OK(change_begin(catalog, &o, &ch, &err));
	OK(change_remove(ch, &id, 1, &err));
	OK(change_add(ch, &id, 1, &err));
	OK(declare(ch, "c=3"));
	OK(change_remove(ch, (const int64_t[]){unit("c=3")}, 1, &err));
	OK(change_finish(&ch, &r, &err));
	assert_false(r.changed);
	assert_string_equal(contents(repository, 1), "a=1 b=2");
	check_invariants();
}

static void test_a_base_version_is_where_it_starts(void **state)
{
	int64_t repository = make_repository("r");
	struct change_opts o = fixture_opts(repository, 0);
	struct change_result r;
	struct change *ch = NULL;

	OK(change(&o, "a=1 b=2", NULL));
	o.mirror = true;
	OK(change(&o, "b=7 c=3", NULL));
	o.mirror = false;
	o.base_number = 1;
	OK(change(&o, "d=4", &r));
	assert_int_equal(r.number, 3);
	assert_string_equal(contents(repository, 3), "a=1 b=2 d=4");
	assert_string_equal(contents(repository, 2), "b=7 c=3");
	check_invariants();
	/* What came and went before the base is not of it. */
	o.base_number = 2;
	OK(change(&o, "", &r));
	assert_int_equal(r.number, 4);
	assert_string_equal(contents(repository, 4), "b=7 c=3");
	o.base_number = 3;
	OK(change(&o, "", &r));
	assert_string_equal(contents(repository, 5), "a=1 b=2 d=4");
	check_invariants();
	/* The base being the latest one's content already. */
	o.base_number = 5;
	OK(change(&o, "", &r));
	assert_false(r.changed);
	o.base_number = 9;
	assert_int_equal(change_begin(catalog, &o, &ch, &err), -ERR_NOTFOUND);
	o.base_number = 0;
	OK(change(&o, "", &r));
	assert_string_equal(contents(repository, 6), "");
	check_invariants();
}

/* What is remembered about directories must not outlive its truth. */
static void test_directories_and_files_take_turns(void **state)
{
	int64_t repository = make_repository("r"), id;
	struct change_opts o = fixture_opts(repository, 0);
	struct change_result r;
	struct change *ch = NULL;

	OK(change_begin(catalog, &o, &ch, &err));
	OK(declare(ch, "d/e/x=1"));
	id = unit("d/e/x=1");
	OK(change_remove(ch, &id, 1, &err));
	OK(declare(ch, "d=2"));
	assert_int_equal(declare(ch, "d/e/y=3"), -ERR_EXISTS);
	OK(change_finish(&ch, &r, &err));
	assert_string_equal(contents(repository, 1), "d=2");
	/* A batch that fails had made room; that is undone as well. */
	o.mirror = true;
	OK(change_begin(catalog, &o, &ch, &err));
	assert_int_equal(declare(ch, "d/x=1 not//a/path=1"), -ERR_INVAL);
	OK(declare(ch, "d=2"));
	assert_int_equal(declare(ch, "d/y=3"), -ERR_EXISTS);
	change_abort(&ch);
	check_invariants();
}

/* --- the ends --- */

static void test_nobody_sees_a_change_before_its_end(void **state)
{
	int64_t repository = make_repository("r");
	struct change_opts o = fixture_opts(repository, 0);
	struct version_row v;
	struct change_result r;
	struct change *ch = NULL;
	struct txn *t;
	uint64_t generation;

	OK(change(&o, "a=1 b=2", NULL));
	o.mirror = true;
	OK(change_begin(catalog, &o, &ch, &err));
	generation = shm_generation(shm);
	OK(declare(ch, "b=9 c=3"));
	t = begin_read();
	OK(catalog_version_latest(t, repository, &v, &err));
	txn_end(&t);
	assert_int_equal(v.number, 1);
	assert_string_equal(contents(repository, 1), "a=1 b=2");
	assert_int_equal(shm_generation(shm), generation);
	OK(change_finish(&ch, &r, &err));
	assert_true(shm_generation(shm) > generation);
}

static void test_abort_leaves_the_repository_as_it_was(void **state)
{
	int64_t repository = make_repository("r"), remote = make_remote("up", NULL);
	struct change_opts o = fixture_opts(repository, remote);
	struct change_result r;
	struct change *ch = NULL;

	OK(change(&o, "a=1 b=2 c=3", NULL));
	OK(change_begin(catalog, &o, &ch, &err));
	OK(declare(ch, "a=7 d=4"));
	OK(change_remove(ch, (const int64_t[]){unit("b=2")}, 1, &err));
	change_abort(&ch);
	assert_null(ch);
	assert_string_equal(contents(repository, 99), "a=1 b=2 c=3");
	assert_int_equal(number("SELECT COUNT(*) FROM repository_version"), 2);
	/* Nor are units left that only this change had. */
	assert_int_equal(number("SELECT COUNT(*) FROM content"), 3);
	assert_int_equal(number("SELECT COUNT(*) FROM remote_artifact"), 3);
	check_invariants();
	/* Its number is free. */
	OK(change(&o, "e=5", &r));
	assert_int_equal(r.number, 2);
	change_abort(&ch);
}

static void test_abort_spares_units_that_others_have_taken(void **state)
{
	int64_t first = make_repository("r"), second = make_repository("s"), remote = make_remote("up", NULL);
	struct change_opts o = fixture_opts(first, remote), other = fixture_opts(second, remote);
	struct change_result r;
	struct change *ch = NULL, *taker = NULL;

	OK(change_begin(catalog, &o, &ch, &err));
	OK(declare(ch, "a=1 b=2 c=3"));
	OK(change_begin(catalog, &other, &taker, &err));
	OK(declare(taker, "b=2"));
	change_abort(&ch);
	assert_int_equal(number("SELECT COUNT(*) FROM content"), 1);
	OK(change_finish(&taker, &r, &err));
	assert_string_equal(contents(second, 1), "b=2");
	check_invariants();
}

/* A process that is killed in the middle of a change. */
static void leave_unfinished(int64_t repository, const char *units)
{
	struct change_opts o = fixture_opts(repository, 0);
	struct change *ch = NULL;
	int status;
	pid_t pid;

	catalog_close(&catalog); /* SQLite's connections do not survive a fork */
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		catalog = fixture_open_again(5000, 1);
		if (change_begin(catalog, &o, &ch, &err) == 0 && declare(ch, units) == 0)
			raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	catalog = fixture_open_again(5000, 4);
}

static void test_what_a_killed_change_left_is_swept(void **state)
{
	int64_t repository = make_repository("r");
	struct change_opts o = fixture_opts(repository, 0);
	struct change_result r;

	OK(change(&o, "a=1 b=2", NULL));
	leave_unfinished(repository, "a=7 c=3");
	assert_int_equal(number("SELECT COUNT(*) FROM repository_version WHERE complete = 0"), 1);
	OK(change_sweep(catalog, 0, &err));
	assert_string_equal(contents(repository, 99), "a=1 b=2");
	check_invariants();
	/* By the next change as well. */
	leave_unfinished(repository, "b=7 d=4");
	OK(change(&o, "e=5", &r));
	assert_int_equal(r.number, 2);
	assert_string_equal(contents(repository, 2), "a=1 b=2 e=5");
	check_invariants();
}

static void test_a_start_does_not_sweep_what_another_host_works_on(void **state)
{
	int64_t repository = make_repository("r");
	char q[256], uuid[33];

	leave_unfinished(repository, "a=1");
	snprintf(uuid, sizeof(uuid), "%s", text("SELECT lower(hex(uuid)) FROM repository"));
	snprintf(q, sizeof(q),
		"INSERT INTO task (uuid, created, updated, name, state) VALUES (CAST('t' AS BLOB), 1, 1, 'sync', "
		"'running');"
		"INSERT INTO task_lock VALUES ('prn:file.filerepository:%.8s-%.4s-%.4s-%.4s-%.12s', 1, 1);",
		uuid, uuid + 8, uuid + 12, uuid + 16, uuid + 20);
	sql(q);
	OK(change_sweep(catalog, 0, &err));
	assert_int_equal(number("SELECT COUNT(*) FROM repository_version WHERE complete = 0"), 1);
	/* Whoever asks for this one has the reservation. */
	OK(change_sweep(catalog, repository, &err));
	assert_int_equal(number("SELECT COUNT(*) FROM repository_version WHERE complete = 0"), 0);
}

static void test_changes_larger_than_a_batch(void **state)
{
	int64_t repository = make_repository("r");
	struct change_opts o = fixture_opts(repository, 0);
	static char units[500 * 16];
	struct change_result r;
	struct change *ch = NULL;

	OK(change_begin(catalog, &o, &ch, &err));
	for (int i = 0; i < BULK; i += 500) {
		size_t n = 0;

		for (int j = 0; j < 500; j++)
			n += (size_t)snprintf(units + n, sizeof(units) - n, "%d/%d=1 ", i, j);
		OK(declare(ch, units));
	}
	OK(change_finish(&ch, &r, &err));
	assert_int_equal(r.present, BULK);
	check_invariants();
	o.mirror = true;
	OK(change(&o, "last=1", &r));
	assert_int_equal(r.removed, BULK);
	o.mirror = false;
	o.base_number = 1;
	OK(change(&o, "", &r));
	assert_int_equal(r.added, BULK);
	assert_int_equal(r.removed, 1);
	OK(change_begin(catalog, &o, &ch, &err));
	OK(change_remove_all(ch, &err));
	change_abort(&ch);
	assert_int_equal(number("SELECT COUNT(*) FROM repository_path WHERE version_removed IS NULL"), BULK);
	check_invariants();
}

static void test_two_changes_at_once_keep_apart(void **state)
{
	int64_t one = make_repository("one"), two = make_repository("two");
	struct change_opts a = fixture_opts(one, 0), b = fixture_opts(two, 0);
	struct change *first = NULL, *second = NULL;
	struct change_result r;

	OK(change(&a, "a=1 b=2", NULL));
	a.mirror = b.mirror = true;
	OK(change_begin(catalog, &a, &first, &err));
	OK(change_begin(catalog, &b, &second, &err));
	OK(declare(first, "a=1"));
	OK(declare(second, "b=2"));
	OK(change_finish(&second, &r, &err));
	OK(change_finish(&first, &r, &err));
	assert_string_equal(contents(one, 2), "a=1");
	assert_string_equal(contents(two, 1), "b=2");
	check_invariants();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rules),
		TEST(test_versions_count_and_stay_as_they_are),
		TEST(test_what_takes_a_path_over_is_a_second_younger),
		TEST(test_nothing_new_makes_no_version),
		TEST(test_declaring_again_writes_nothing),
		TEST(test_results_say_what_is_new_and_saved),
		TEST(test_a_unit_may_have_no_artifact_or_several),
		TEST(test_remote_artifacts_follow_upstream),
		TEST(test_sources_outlive_their_units_for_the_window),
		TEST(test_a_unit_may_lose_one_of_its_sources),
		TEST(test_a_moved_source_is_updated_and_tried_again),
		TEST(test_missing_artifacts_are_listed_in_pieces),
		TEST(test_modify_removes_then_adds),
		TEST(test_out_and_in_again_is_no_change),
		TEST(test_a_base_version_is_where_it_starts),
		TEST(test_directories_and_files_take_turns),
		TEST(test_nobody_sees_a_change_before_its_end),
		TEST(test_abort_leaves_the_repository_as_it_was),
		TEST(test_abort_spares_units_that_others_have_taken),
		TEST(test_what_a_killed_change_left_is_swept),
		TEST(test_a_start_does_not_sweep_what_another_host_works_on),
		TEST(test_changes_larger_than_a_batch),
		TEST(test_two_changes_at_once_keep_apart),
	};

	return RUN("change", tests);
}
