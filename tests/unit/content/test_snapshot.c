/* What is served right now: which distribution a path belongs to, and filters that outlive a snapshot. */
#include "content/snapshot.h"
#include "stock.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool needs_publication(const char *type)
{
	return true;
}

static struct snapshot *load(struct stock *s, uint64_t generation, const struct snapshot *old)
{
	struct snapshot *snap = NULL;

	MUST(snapshot_load(s->catalog, generation, 0, needs_publication, old, &snap, &err));
	return snap;
}

static void test_match(void **state)
{
	static const char *const bases[] = {"a-b", "a/x", "b", "fedora/40/os", "fedora/40/updates", "\xc3\xa4"};
	static const struct {
		const char *path, *base, *rest; /* rest NULL: its root without the slash */
	} rows[] = {
		{"b", "b", NULL},
		{"b/", "b", ""},
		{"b/c", "b", "c"},
		{"b/c/", "b", "c/"},
		{"b//c", "b", "/c"},
		{"bb", NULL, NULL},
		{"B", NULL, NULL},
		{"a-b/b/c", "a-b", "b/c"},
		{"a", NULL, NULL},
		{"a/", NULL, NULL},
		{"a/xx", NULL, NULL},
		{"a/x/x", "a/x", "x"},
		{"fedora/40", NULL, NULL},
		{"fedora/40/os", "fedora/40/os", NULL},
		{"fedora/40/os/repodata/repomd.xml", "fedora/40/os", "repodata/repomd.xml"},
		{"fedora/40/updates/x", "fedora/40/updates", "x"},
		{"fedora/40/updatesx/x", NULL, NULL},
		{"\xc3\xa4/x", "\xc3\xa4", "x"},
		{"", NULL, NULL},
		{"/", NULL, NULL},
		{"/b", NULL, NULL},
		{"~", NULL, NULL},
	};
	struct snapshot *snap;
	struct stock s;

	stock_open(&s, 1, 10);
	for (size_t i = 0; i < ARRAY_LEN(bases); i++)
		(void)stock_distribute(&s, bases[i], 0);
	snap = load(&s, 7, NULL);
	assert_int_equal(snap->generation, 7);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct slice rest = SLICE("untouched");
		int d = snapshot_match(snap, slice_str(rows[i].path), &rest);

		if ((d >= 0) != (rows[i].base != NULL))
			fail_msg("'%s' matches %s", rows[i].path, d >= 0 ? snap->table->d[d].base_path : "nothing");
		if (d < 0)
			continue;
		assert_string_equal(snap->table->d[d].base_path, rows[i].base);
		if (rows[i].rest == NULL) {
			assert_null(rest.p);
		} else {
			assert_non_null(rest.p);
			assert_true(slice_eq(rest, slice_str(rows[i].rest)));
		}
	}
	snapshot_unref(&snap);
	stock_close(&s);
}

static void test_match_among_a_thousand(void **state)
{
	struct snapshot *snap;
	struct stock s;
	char sql[256], path[64];

	stock_open(&s, 1, 10);
	snprintf(sql, sizeof(sql),
		"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999) INSERT INTO "
		"distribution "
		"(uuid, type, name, created, updated, base_path) SELECT randomblob(16), 'file.file', i, 0, 0, 'd/' || "
		"i FROM n "
		"WHERE $1 = 1");
	stock_exec(&s, sql, 1);
	snap = load(&s, 1, NULL);
	assert_int_equal(snap->table->count, 1000);
	for (int i = 0; i < 1000; i++) {
		struct slice rest;
		int d;

		snprintf(path, sizeof(path), "d/%d/f", i);
		d = snapshot_match(snap, slice_str(path), &rest);
		assert_true(d >= 0 && slice_eq(rest, SLICE("f")));
		path[strlen(path) - 2] = '\0';
		assert_string_equal(snap->table->d[d].base_path, path);
	}
	assert_int_equal(snapshot_first_below(snap, SLICE("")), 0);
	assert_string_equal(snap->table->d[snapshot_first_below(snap, SLICE("d/99"))].base_path, "d/99");
	assert_int_equal(snapshot_first_below(snap, SLICE("e")), 1000);
	snapshot_unref(&snap);
	stock_close(&s);
}

/* A filter is for a set that never changes: the next snapshot has the same one, also when the old one is gone first. */
static void test_filters_are_inherited(void **state)
{
	struct digests d = digests_of("x", 1, 0);
	struct snapshot *one, *two;
	struct filter *f;
	int64_t repository;
	struct stock s;

	stock_open(&s, 1, 10);
	repository = stock_repository(&s, "r");
	(void)stock_declare(&s, repository, 0, "f", "", 1, &d);
	(void)stock_publish(&s, repository);
	(void)stock_distribute(&s, "r", repository);
	one = load(&s, 1, NULL);
	assert_int_equal(one->table->d[0].set_count, 1);
	f = one->filters[0][0];
	(void)stock_distribute(&s, "a", 0); /* it comes before */
	two = load(&s, 2, one);
	assert_ptr_equal(two->filters[1][0], f);
	snapshot_unref(&one);
	assert_null(atomic_load(&f->set));
	/* Another publication is another set. */
	(void)stock_declare(&s, repository, 0, "g", "", 1, &d);
	(void)stock_publish(&s, repository);
	one = load(&s, 3, two);
	assert_ptr_not_equal(one->filters[1][0], f);
	snapshot_unref(&one);
	snapshot_unref(&two);
	stock_close(&s);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_match),
		T(test_match_among_a_thousand),
		T(test_filters_are_inherited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
