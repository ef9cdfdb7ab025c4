/* Directories, which only exist as beginnings of paths. */
#include "fixture.h"

#include "base/buf.h"

static const char units[] = "a=1 b/c=2 b/d/e=3 b/d/f=4 b-1=5 b.x=6 b0=7 \xc3\xa4/o=8 z/z/z=9";

struct listing {
	struct buf out;
	int left; /* entries until the walk is stopped; 0: never */
};

static int add_entry(void *arg, const struct listing_entry *e)
{
	struct listing *l = arg;

	buf_addf(&l->out, "%s%.*s%s", l->out.n > 0 ? " " : "", SLICE_ARG(e->name), e->is_dir ? "/" : "");
	if (!e->is_dir)
		buf_addf(&l->out, ":%lld", (long long)e->size);
	assert_true(e->date_us > 0);
	return --l->left == 0 ? 42 : 0;
}

static int list(const struct served_set *set, const char *dir, int stop_after, char out[512])
{
	struct listing l = {.out = BUF_INIT(0), .left = stop_after};
	struct txn *t = begin_read();
	int rc = catalog_listing(t, set, slice_str(dir), add_entry, &l, &err);

	snprintf(out, 512, "%s", l.out.n > 0 ? l.out.p : "");
	buf_fini(&l.out);
	txn_end(&t);
	return rc;
}

static int is_dir(const struct served_set *set, const char *path)
{
	struct txn *t = begin_read();
	int rc = catalog_path_is_dir(t, set, slice_str(path), &err);

	txn_end(&t);
	return rc;
}

/* A repository whose first version holds `old`, its second `units`; and a publication of some more. */
static struct served_set make_set(void)
{
	int64_t repository = make_repository("r"), remote = make_remote("up", NULL), artifact;
	struct change_opts o = fixture_opts(repository, 0);
	struct served_set set = {.repository_id = repository, .version_number = 2, .pass_through = true, .date_us = 1};
	struct uuid uuid;
	struct txn *t;

	o.mirror = true;
	OK(change(&o, "old/1=1 b/a=1 b/gone/x=1 zz=1", NULL));
	o.remote_id = remote;
	OK(change(&o, units, NULL));
	o.remote_id = 0;
	OK(change(&o, "future=1", NULL));
	t = begin_write();
	OK(catalog_artifact_saved(t, 0, 0, &(struct digests){.have = 1u << DIGEST_SHA256}, 99, &artifact, &err));
	OK(catalog_publication_begin(t, "file.file", 3, true, false, SLICE_NULL, &set.publication_id, &uuid, &err));
	OK(catalog_publication_add(t, set.publication_id, SLICE("INDEX"), artifact, 0, &err));
	OK(catalog_publication_add(t, set.publication_id, SLICE("a"), artifact, 0, &err));
	OK(catalog_publication_add(t, set.publication_id, SLICE("b/d/meta"), artifact, 0, &err));
	OK(catalog_publication_add(t, set.publication_id, SLICE("own/x"), artifact, 0, &err));
	commit(t);
	return set;
}

enum which { BOTH, UNITS, PUBLISHED };

static const struct {
	enum which which;
	const char *dir, *entries;
} listings[] = {
	{UNITS, "", "a:1 b-1:5 b.x:6 b/ b0:7 z/ \xc3\xa4/"},
	{UNITS, "b", "c:2 d/"},
	{UNITS, "b/d", "e:3 f:4"},
	{UNITS, "z/z", "z:9"},
	{UNITS, "\xc3\xa4", "o:8"},
	{UNITS, "a", ""},
	{UNITS, "b/gone", ""},
	{UNITS, "old", ""},
	{UNITS, "nowhere", ""},
	{PUBLISHED, "", "INDEX:99 a:99 b/ own/"},
	{PUBLISHED, "b", "d/"},
	{BOTH, "", "INDEX:99 a:99 b-1:5 b.x:6 b/ b0:7 own/ z/ \xc3\xa4/"},
	{BOTH, "b/d", "e:3 f:4 meta:99"},
	{BOTH, "own", "x:99"},
};

static struct served_set only(struct served_set set, enum which which)
{
	set.pass_through = which != PUBLISHED;
	if (which == UNITS)
		set.publication_id = 0;
	return set;
}

static void test_listings(void **state)
{
	struct served_set all = make_set();
	char out[512];

	for (size_t i = 0; i < ARRAY_LEN(listings); i++) {
		struct served_set set = only(all, listings[i].which);

		OK(list(&set, listings[i].dir, 0, out));
		assert_string_equal(out, listings[i].entries);
		assert_int_equal(is_dir(&set, listings[i].dir), listings[i].entries[0] != '\0');
	}
}

static void test_a_walk_can_be_stopped(void **state)
{
	struct served_set set = make_set();
	char out[512];

	assert_int_equal(list(&set, "", 2, out), 42);
	assert_string_equal(out, "INDEX:99 a:99");
}

static int count_path(void *arg, struct slice path)
{
	return ++*(int *)arg == 5 ? 42 : 0;
}

static void test_all_paths_of_a_set(void **state)
{
	struct served_set set = make_set();
	struct txn *t = begin_read();
	int n = -100;

	OK(catalog_paths_each(t, &set, count_path, &n, &err));
	assert_int_equal(n, -100 + 9 + 4);
	set.pass_through = false;
	n = -100;
	OK(catalog_paths_each(t, &set, count_path, &n, &err));
	assert_int_equal(n, -100 + 4);
	set.pass_through = true;
	n = 0;
	assert_int_equal(catalog_paths_each(t, &set, count_path, &n, &err), 42);
	txn_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_listings),
		TEST(test_a_walk_can_be_stopped),
		TEST(test_all_paths_of_a_set),
	};

	return RUN("listing", tests);
}
