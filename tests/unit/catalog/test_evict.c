/* What may be evicted, in which order, and at what cost. */
#include "fixture.h"

#include "base/clock.h"
#include "catalog/evict.h"
#include "catalog/usage.h"

static int64_t repository, remote;

/* Units a=1 b=2 c=3 of a lazy remote, saved, and used in that order. */
static void set_up(void)
{
	struct change_opts o;

	repository = make_repository("r");
	remote = make_remote("up", "policy='on_demand'");
	o = fixture_opts(repository, remote);
	OK(change(&o, "a=1 b=2 c=3", NULL));
	for (int n = 1; n <= 3; n++) {
		struct txn *t = begin_write();
		struct digests d = {.have = 0};
		uint8_t sha256[32];
		char q[160];

		memset(sha256, n, sizeof(sha256));
		digests_set(&d, DIGEST_SHA256, sha256);
		snprintf(q, sizeof(q), "SELECT id FROM content_artifact WHERE relative_path = '%c'", 'a' + n - 1);
		commit(t);
		int64_t ca = number(q);
		t = begin_write();
		OK(catalog_artifact_saved(t, ca, 0, &d, n, NULL, &err));
		commit(t);
	}
	sql("UPDATE artifact SET last_used = 1000 * size;");
}

/* The sizes of what may go, as "1 2 3". */
static const char *may_go(const struct evict_look *what, struct evict_at *at, bool *at_end)
{
	static char out[64];
	struct evict_candidate found[8];
	struct txn *t = begin_read();
	size_t n = 0, len = 0;

	OK(catalog_evict_look(t, what, at, found, ARRAY_LEN(found), &n, at_end, &err));
	txn_end(&t);
	out[0] = '\0';
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(
			out + len, sizeof(out) - len, "%s%lld", i > 0 ? " " : "", (long long)found[i].size);
	return out;
}

static const char *all_that_may_go(bool share_credentials)
{
	struct evict_look what = {
		.before_us = INT64_MAX, .look = 100, .bytes = INT64_MAX, .share_credentials = share_credentials};
	struct evict_at at = {0};
	bool at_end = false;
	const char *found = may_go(&what, &at, &at_end);

	assert_true(at_end);
	return found;
}

static void test_only_what_can_come_back(void **state)
{
	static const struct {
		const char *what, *given, *found;
		bool share;
	} rows[] = {
		{"all of them", "", "1 2 3"},
		{"by last use", "UPDATE artifact SET last_used = 9 WHERE size = 3;", "3 1 2"},
		{"pinned", "UPDATE content_artifact SET pinned = 1 WHERE relative_path = 'b';", "1 3"},
		{"immediate", "UPDATE remote SET policy = 'immediate';", ""},
		{"streamed comes back as well", "UPDATE remote SET policy = 'streamed';", "1 2 3"},
		{"no source", "DELETE FROM remote_artifact WHERE size = 1;", "2 3"},
		{"no remote", "DELETE FROM remote;", ""},
		{"the source lacks it", "UPDATE remote_artifact SET missing_at = 5 WHERE size = 2;", "1 3"},
		{"the source sent something else", "UPDATE remote_artifact SET failed_at = 5 WHERE size = 2;", "1 3"},
		{"it has another digest", "UPDATE remote_artifact SET sha256 = x'00' WHERE size = 3;", "1 2"},
		{"it has another size", "UPDATE remote_artifact SET size = 17 WHERE size = 3;", "1 2"},
		{"it does not say its size", "UPDATE remote_artifact SET size = NULL;", "1 2 3"},
		{"it declares no digest", "UPDATE remote_artifact SET sha256 = NULL WHERE size = 1;", "2 3"},
		{"a weak one is none",
			"UPDATE remote_artifact SET sha256 = NULL, md5 = x'11'; UPDATE artifact SET md5 = x'11';", ""},
		{"another strong one",
			"UPDATE remote_artifact SET sha256 = NULL, sha512 = x'11'; UPDATE artifact SET sha512 = x'11' "
			"WHERE size < 3;",
			"1 2"},
		{"the artifact is not known by that one", "UPDATE remote_artifact SET sha256 = NULL, sha384 = x'11';",
			""},
		{"no unit has it", "UPDATE content_artifact SET artifact_id = NULL WHERE relative_path = 'a';", "2 3"},
		{"credentials of this repository", "UPDATE remote SET username = 'u';", "1 2 3"},
		{"credentials, and a repository without them",
			"UPDATE remote SET username = 'u'; DELETE FROM repository_remote;", ""},
		{"that share them", "UPDATE remote SET username = 'u'; DELETE FROM repository_remote;", "1 2 3", true},
		{"headers are credentials",
			"UPDATE remote SET headers = '[{{\"a\":\"b\"}}]'; DELETE FROM repository_remote;", ""},
		{"none", "DELETE FROM repository_remote;", "1 2 3"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *found;

		if (i > 0) {
			fixture_tear_down(state);
			fixture_set_up(state);
		}
		set_up();
		if (rows[i].given[0] != '\0')
			sql(rows[i].given);
		found = all_that_may_go(rows[i].share);
		if (strcmp(found, rows[i].found) != 0)
			fail_msg("%s: '%s' instead of '%s'", rows[i].what, found, rows[i].found);
	}
}

static void test_one_user_that_needs_it_is_enough(void **state)
{
	struct change_opts o;
	int64_t second;

	set_up();
	/* The same unit in a repository with an immediate remote. */
	second = make_repository("second");
	o = fixture_opts(second, make_remote("now", "policy='immediate'"));
	OK(change(&o, "a=1", NULL));
	assert_string_equal(all_that_may_go(false), "2 3");
	/* Another unit with the same bytes, that nobody offers any more. */
	o = fixture_opts(second, 0);
	OK(change(&o, "other=2", NULL));
	sql("UPDATE content_artifact SET artifact_id = (SELECT id FROM artifact WHERE size = 2) WHERE relative_path = "
	    "'other';");
	assert_string_equal(all_that_may_go(false), "3");
	/* A publication that has the bytes as its own. */
	sql("INSERT INTO publication (uuid, type, created, updated, repository_version_id) SELECT x'01', 't', 1, 1, "
	    "MIN(id) FROM repository_version;"
	    "INSERT INTO published_artifact (publication_id, relative_path, artifact_id) SELECT p.id, 'x', a.id FROM "
	    "publication p, artifact a WHERE a.size = 3;");
	assert_string_equal(all_that_may_go(false), "");
}

static void test_the_look_goes_on_where_it_was(void **state)
{
	struct evict_look what = {.before_us = INT64_MAX, .look = 2, .bytes = INT64_MAX};
	struct evict_at at = {0};
	bool at_end;

	set_up();
	assert_string_equal(may_go(&what, &at, &at_end), "1 2");
	assert_false(at_end);
	assert_string_equal(may_go(&what, &at, &at_end), "3");
	assert_true(at_end);
	assert_string_equal(may_go(&what, &at, &at_end), "");
	at = (struct evict_at){0};
	what = (struct evict_look){.before_us = INT64_MAX, .look = 10, .bytes = 3};
	assert_string_equal(may_go(&what, &at, &at_end), "1 2"); /* that is enough */
	assert_false(at_end);
	at = (struct evict_at){0};
	what = (struct evict_look){.before_us = 2000, .look = 10, .bytes = INT64_MAX};
	assert_string_equal(may_go(&what, &at, &at_end), "1"); /* the others were used since */
	assert_true(at_end);
	/* Equal last uses are passed one by one. */
	sql("UPDATE artifact SET last_used = 5;");
	at = (struct evict_at){0};
	what = (struct evict_look){.before_us = INT64_MAX, .look = 1, .bytes = INT64_MAX};
	assert_string_equal(may_go(&what, &at, &at_end), "1");
	assert_string_equal(may_go(&what, &at, &at_end), "2");
	assert_string_equal(may_go(&what, &at, &at_end), "3");
}

static int evict(const struct evict_candidate *c)
{
	struct txn *t = begin_write();
	int rc = catalog_evict(t, c, false, &err);

	commit(t);
	return rc;
}

static void test_evicting(void **state)
{
	struct evict_look what = {.before_us = INT64_MAX, .look = 10, .bytes = INT64_MAX};
	struct evict_candidate found[3];
	struct evict_at at = {0};
	struct txn *t;
	bool at_end;
	size_t n;

	set_up();
	t = begin_read();
	OK(catalog_evict_look(t, &what, &at, found, 3, &n, &at_end, &err));
	txn_end(&t);
	assert_int_equal(n, 3);
	sql("UPDATE artifact SET last_used = 99999 WHERE size = 2; UPDATE content_artifact SET pinned = 1 WHERE "
	    "relative_path = 'c';");
	assert_int_equal(evict(&found[0]), 1);
	assert_int_equal(evict(&found[0]), 0); /* gone */
	assert_int_equal(evict(&found[1]), 0); /* used since */
	assert_int_equal(evict(&found[2]), 0); /* pinned since */
	assert_int_equal(number("SELECT COUNT(*) FROM artifact"), 2);
	assert_int_equal(number("SELECT COUNT(*) FROM artifact_removal"), 1);
	assert_int_equal(
		number("SELECT COUNT(*) FROM content_artifact WHERE artifact_id IS NULL AND relative_path = 'a'"), 1);
	assert_int_equal(number("SELECT bytes FROM artifact_total"), 5);
	check_invariants();
}

/* However many artifacts there are: a walk of the index, in order, and seeks. */
static void test_the_look_sorts_nothing(void **state)
{
	struct db_stmt *s;
	struct txn *t;
	int rc;
	bool walks = false;

	set_up();
	t = begin_read();
	OK(db_rows(txn_db(t),
		"EXPLAIN QUERY PLAN SELECT a.id FROM artifact a WHERE (a.last_used, a.id) > (1, 2) AND a.last_used < 3 "
		"ORDER BY a.last_used, a.id LIMIT 10",
		&s, &err));
	while ((rc = db_step(s, &err)) == 1) {
		char row[200];

		snprintf(row, sizeof(row), "%.*s", SLICE_ARG(db_col_text(s, 3)));
		walks |= strstr(row, "artifact_last_used") != NULL;
		assert_null(strstr(row, "TEMP B-TREE"));
		assert_null(strstr(row, "SCAN"));
	}
	assert_int_equal(rc, 0);
	db_done(&s);
	txn_end(&t);
	assert_true(walks);
}

static void test_pinned_is_declared_and_stays(void **state)
{
	struct change_opts o = fixture_opts(make_repository("r"), make_remote("up", NULL));
	const char *first = "SELECT pinned FROM content_artifact WHERE relative_path = 'x'";

	for (int round = 0; round < 4; round++) {
		struct change_artifact a = {.relative_path = SLICE("x"),
			.url = SLICE("http://up/x"),
			.size = 1,
			.pinned = round == 1 || round == 2};
		struct change_unit u = {
			.type = SLICE("file.file"), .natural_key = SLICE("x"), .artifacts = &a, .artifact_count = 1};
		struct change_result out;
		struct change *ch = NULL;

		OK(change_begin(catalog, &o, &ch, &err));
		OK(change_declare(ch, &u, 1, &err));
		OK(change_finish(&ch, &out, &err));
		assert_int_equal(number(first), round > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_only_what_can_come_back),
		TEST(test_one_user_that_needs_it_is_enough),
		TEST(test_the_look_goes_on_where_it_was),
		TEST(test_evicting),
		TEST(test_the_look_sorts_nothing),
		TEST(test_pinned_is_declared_and_stays),
	};

	return RUN("evict", tests);
}
