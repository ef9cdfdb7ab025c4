/* Units that are recognised as declared already, and those that must not be. */
#include "fixture.h"

#include "base/buf.h"

static int64_t repository, remote;

/* How many of them are taken for known; the rest is declared. */
static int keep_or_declare(struct change *ch, const char *units)
{
	struct change_unit *u;
	size_t count = make_units(units, &u);
	int kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (change_keep(ch, &u[i]) == 1)
			kept++;
		else
			OK(change_declare(ch, &u[i], 1, &err));
	}
	return kept;
}

static struct change *begin(bool mirror)
{
	struct change_opts o = fixture_opts(repository, remote);
	struct change *ch = NULL;

	o.mirror = mirror;
	OK(change_begin(catalog, &o, &ch, &err));
	OK(change_know(ch, &err));
	return ch;
}

static void make(const char *units)
{
	struct change_opts o;

	repository = make_repository("r");
	remote = make_remote("up", NULL);
	o = fixture_opts(repository, remote);
	OK(change(&o, units, NULL));
}

static void test_what_is_kept_is_declared(void **state)
{
	struct change_result r;
	struct change *ch;

	make("a=1 b/c=2 d=3");
	ch = begin(true);
	assert_int_equal(keep_or_declare(ch, "d=3 a=1 e=4"), 2);
	OK(change_finish(&ch, &r, &err));
	assert_int_equal(r.added, 1);
	assert_int_equal(r.removed, 1);
	assert_string_equal(contents(repository, 99), "a=1 d=3 e=4");
	assert_int_equal(number("SELECT COUNT(*) FROM remote_artifact"), 3);
	check_invariants();
}

static void test_all_kept_makes_no_version(void **state)
{
	struct change_result r;
	struct change *ch;

	make("a=1 b/c=2 d=3");
	ch = begin(true);
	assert_int_equal(keep_or_declare(ch, "b/c=2 a=1 d=3"), 3);
	OK(change_finish(&ch, &r, &err));
	assert_false(r.changed);
	check_invariants();
}

static const struct {
	const char *what, *sql;
} otherwise[] = {
	{"another URL", "UPDATE remote_artifact SET url = 'http://up/x';"},
	{"another size", "UPDATE remote_artifact SET size = 9;"},
	{"no size", "UPDATE remote_artifact SET size = NULL;"},
	{"another digest", "UPDATE remote_artifact SET sha256 = CAST('12345678901234567890123456789012' AS BLOB);"},
	{"one digest more", "UPDATE remote_artifact SET md5 = CAST('1234567890123456' AS BLOB);"},
	{"no offer of the remote", "DELETE FROM remote_artifact;"},
	{"one artifact more", "INSERT INTO content_artifact (content_id, relative_path) SELECT id, 'z' FROM content;"},
	{"pinned", "UPDATE content_artifact SET pinned = 1;"},
	{"another type", "UPDATE content SET type = 'file.other';"},
	{"another key", "UPDATE content SET natural_key = 'z';"},
};

static void test_whatever_differs_is_not_known(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(otherwise); i++) {
		struct change_unit *u;
		struct change *ch;

		make("a=1");
		sql(otherwise[i].sql);
		ch = begin(false);
		assert_int_equal(make_units("a=1", &u), 1);
		if (change_keep(ch, &u[0]) != 0)
			fail_msg("%s: known", otherwise[i].what);
		change_abort(&ch);
		fixture_tear_down(state);
		fixture_set_up(state);
	}
}

static void test_details_must_be_there_when_they_are_asked_for(void **state)
{
	struct change_unit *u;
	struct change *ch;

	make("a=1 b=2");
	sql("INSERT INTO content_detail (content_id, data) SELECT id, CAST('x' AS BLOB) FROM content WHERE natural_key "
	    "LIKE "
	    "'a%';");
	ch = begin(false);
	assert_int_equal(make_units("a=1 b=2", &u), 2);
	u[0].detail = u[1].detail = SLICE("");
	assert_int_equal(change_keep(ch, &u[0]), 1);
	assert_int_equal(change_keep(ch, &u[1]), 0);
	u[1].detail = SLICE_NULL;
	assert_int_equal(change_keep(ch, &u[1]), 1);
	change_abort(&ch);
}

static void test_what_was_displaced_is_not_known_any_more(void **state)
{
	struct change_unit *u;
	struct change *ch;

	make("a=1 b=2");
	ch = begin(false);
	OK(declare(ch, "a=9"));
	assert_int_equal(make_units("a=1", &u), 1);
	assert_int_equal(change_keep(ch, &u[0]), 0);
	assert_int_equal(declare(ch, "a=1"), -ERR_EXISTS); /* two units of one path */
	change_abort(&ch);
	check_invariants();
}

static void test_what_is_kept_holds_its_path(void **state)
{
	struct change *ch;

	make("a=1");
	ch = begin(true);
	assert_int_equal(keep_or_declare(ch, "a=1"), 1);
	assert_int_equal(declare(ch, "a=2"), -ERR_EXISTS);
	assert_int_equal(declare(ch, "a/b=2"), -ERR_EXISTS);
	change_abort(&ch);
	assert_string_equal(contents(repository, 99), "a=1");
	check_invariants();
}

static void test_what_is_kept_can_be_missing(void **state)
{
	struct change_missing rows[5];
	struct change_missing_at at = {.content_id = 0};
	struct change *ch;
	size_t n = 0;

	make("a=1 b=2");
	ch = begin(false);
	assert_int_equal(keep_or_declare(ch, "b=2 c=3"), 1);
	OK(change_missing_next(ch, &at, rows, ARRAY_LEN(rows), &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(rows[0].url, "http://up/b");
	assert_string_equal(rows[1].url, "http://up/c");
	change_missing_fini(rows, n);
	change_abort(&ch);
}

/* More rows than are read at once, and a unit that does not fit at all. */
static void test_a_large_version_is_known_whole(void **state)
{
	struct change_unit *u;
	struct change *ch;
	char units[64];
	int kept = 0;

	make("a=1");
	sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) INSERT INTO "
	    "content_artifact "
	    "(content_id, relative_path) SELECT 1, 'many/' || i FROM n;");
	for (int i = 0; i < 12; i++) {
		struct change_opts o = fixture_opts(repository, remote);
		struct buf b = BUF_INIT(0);

		for (int k = 0; k < 900; k++)
			buf_addf(&b, "%sd%d/f%d=%d", k > 0 ? " " : "", i, k, k % 99 + 1);
		OK(change(&o, b.p, NULL));
		buf_fini(&b);
	}
	ch = begin(false);
	for (int i = 0; i < 12; i++)
		for (int k = 0; k < 900; k++) {
			snprintf(units, sizeof(units), "d%d/f%d=%d", i, k, k % 99 + 1);
			assert_int_equal(make_units(units, &u), 1);
			kept += change_keep(ch, &u[0]);
		}
	assert_int_equal(kept, 12 * 900);
	assert_int_equal(make_units("a=1", &u), 1);
	assert_int_equal(change_keep(ch, &u[0]), 0);
	change_abort(&ch);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_what_is_kept_is_declared),
		TEST(test_all_kept_makes_no_version),
		TEST(test_whatever_differs_is_not_known),
		TEST(test_details_must_be_there_when_they_are_asked_for),
		TEST(test_what_was_displaced_is_not_known_any_more),
		TEST(test_what_is_kept_holds_its_path),
		TEST(test_what_is_kept_can_be_missing),
		TEST(test_a_large_version_is_known_whole),
	};

	return RUN("known", tests);
}
