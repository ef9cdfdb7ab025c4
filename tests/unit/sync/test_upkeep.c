/* modify, orphan clean-up and reclaim, over repositories of files. */
#include "bench.h"

#include "base/check.h"
#include "base/digest.h"
#include "catalog/query.h"
#include "formats/file/file_format.h"

#include <stdio.h>
#include <string.h>

const struct sluice_format *bench_formats[] = {&file_format, NULL};

static const char *const files[] = {"a.iso", "one", "b.iso", "two", "c.iso", "three", NULL};

static const char *synced(struct bench *b, const char *name, const char *policy)
{
	char settings[64];
	const char *remote, *repo = bench_repository(b, "file.file", name, "");

	snprintf(settings, sizeof(settings), "'policy': '%s'", policy);
	remote = bench_remote(b, "file.file", name, site_url(b->up, "/r/PULP_MANIFEST"), settings);
	bench_upstream(b, files);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	return repo;
}

/* The uuid of a unit by its path, valid until the fourth call after. */
static const char *unit(struct bench *b, const char *path)
{
	static char out[4][UUID_STR];
	static int at;
	struct txn *t = NULL;
	struct query *q;
	json_t *row;

	at = (at + 1) % 4;
	assert_int_equal(catalog_read(b->catalog, &t, NULL), 0);
	assert_int_equal(query_new(view_find("content"), &q), 0);
	assert_int_equal(query_where(q, "relative_path", QUERY_EQ, slice_str(path), NULL), 0);
	assert_int_equal(query_row(t, q, &row, NULL), 0);
	snprintf(out[at], sizeof(out[at]), "%s", json_string_value(json_object_get(row, "uuid")));
	json_decref(row);
	query_free(&q);
	txn_end(&t);
	return out[at];
}

/* ---- modify ---- */

static void removing_and_adding(void **state)
{
	struct bench *b = *state;
	const char *from = synced(b, "from", "on_demand"), *to = bench_repository(b, "file.file", "to", "");

	assert_string_equal(bench_run(b, "modify", "{'repository': '%s', 'add': ['%s', '%s']}", to, unit(b, "a.iso"),
				    unit(b, "b.iso")),
		"completed");
	assert_int_equal(bench_latest(b, to), 1);
	assert_int_equal(json_array_size(b->created), 1);
	assert_int_equal(bench_saved(b, to, "a.iso"), 0);
	/* By href, and removal before addition. */
	assert_string_equal(
		bench_run(b, "modify",
			"{'repository': '%s', 'remove': ['*'], 'add': ['/pulp/api/v3/content/file/files/%s/', "
			"'prn:file.filecontent:%s']}",
			to, unit(b, "b.iso"), unit(b, "c.iso")),
		"completed");
	assert_int_equal(bench_saved(b, to, "a.iso"), -1);
	assert_int_equal(bench_saved(b, to, "b.iso"), 0);
	assert_int_equal(bench_saved(b, to, "c.iso"), 0);
	/* From an older version. */
	assert_string_equal(bench_run(b, "modify", "{'repository': '%s', 'remove': ['%s'], 'base_version': 1}", to,
				    unit(b, "b.iso")),
		"completed");
	assert_int_equal(bench_saved(b, to, "a.iso"), 0);
	assert_int_equal(bench_saved(b, to, "b.iso"), -1);
	assert_int_equal(bench_saved(b, to, "c.iso"), -1);
	/* No difference: no version. */
	assert_string_equal(bench_run(b, "modify", "{'repository': '%s', 'add': ['%s'], 'remove': ['%s']}", to,
				    unit(b, "a.iso"), unit(b, "b.iso")),
		"completed");
	assert_int_equal(bench_latest(b, to), 3);
	assert_int_equal(json_array_size(b->created), 0);
	assert_string_equal(
		bench_run(b, "modify", "{'repository': '%s', 'add': ['01a1fbe0-1441-7467-9f95-8f7a1b6b0cce']}", to),
		"failed");
	assert_string_equal(bench_run(b, "modify", "{'repository': '%s', 'add': ['rubbish']}", to), "failed");
	assert_int_equal(bench_latest(b, to), 3);
	assert_int_equal(bench_latest(b, from), 1);
}

static void overwriting(void **state)
{
	static const char *const other[] = {"a.iso", "three", NULL};
	struct bench *b = *state;
	const char *first = synced(b, "first", "on_demand"), *second = bench_repository(b, "file.file", "second", "");
	const char *remote, *old = unit(b, "a.iso");
	char newer[UUID_STR];

	bench_upstream(b, other);
	remote = bench_remote(b, "file.file", "other", site_url(b->up, "/r/PULP_MANIFEST"), "'policy': 'on_demand'");
	assert_string_equal(bench_sync(b, second, remote, ""), "completed");
	snprintf(newer, sizeof(newer), "%s", unit(b, "a.iso")); /* the newest of that path */
	assert_string_not_equal(old, newer);
	assert_string_equal(
		bench_run(b, "modify", "{'repository': '%s', 'add': ['%s'], 'overwrite': false}", first, newer),
		"failed");
	assert_int_equal(strncmp(bench_error(b), "[PLP0023]", 9), 0);
	assert_string_equal(
		bench_run(b, "modify", "{'repository': '%s', 'add': ['%s'], 'remove': ['%s'], 'overwrite': false}",
			first, newer, old),
		"completed");
	assert_string_equal(
		bench_run(b, "modify", "{'repository': '%s', 'add': ['%s'], 'overwrite': false}", first, newer),
		"completed");
	assert_int_equal(bench_latest(b, first), 2);
	assert_string_equal(bench_run(b, "modify", "{'repository': '%s', 'add': ['%s']}", first, old), "completed");
	assert_int_equal(bench_latest(b, first), 3);
}

static void modify_publishes_as_well(void **state)
{
	struct bench *b = *state;
	const char *to = bench_repository(b, "file.file", "to", "'autopublish': true");

	(void)synced(b, "from", "on_demand");
	assert_string_equal(
		bench_run(b, "modify", "{'repository': '%s', 'add': ['%s']}", to, unit(b, "a.iso")), "completed");
	assert_int_equal(json_array_size(b->created), 2);
	assert_int_equal(strncmp(bench_published(b, to, "PULP_MANIFEST"), "a.iso,7692c3ad", 14), 0);
}

/* ---- orphans ---- */

static void what_nobody_uses_goes(void **state)
{
	struct bench *b = *state;
	const char *repo = synced(b, "r", "immediate");
	uint8_t sha256[32];

	assert_int_equal(
		hex_parse(SLICE("7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"), sha256, 32), 0);
	assert_int_equal(bench_count(b, "artifact"), 3);
	assert_true(store_has(b->store, sha256));

	/* In use. */
	assert_string_equal(bench_run(b, "orphans", "{'content_hrefs': null, 'protection_min': 0}"), "completed");
	assert_int_equal(bench_done(b, "clean-up.content"), 0);
	assert_int_equal(bench_done(b, "clean-up.artifacts"), 0);

	/* Still used by the old version; and once that is gone, protected by its youth. */
	assert_string_equal(
		bench_run(b, "modify", "{'repository': '%s', 'remove': ['%s']}", repo, unit(b, "a.iso")), "completed");
	assert_string_equal(bench_run(b, "orphans", "{'content_hrefs': null, 'protection_min': 0}"), "completed");
	assert_int_equal(bench_done(b, "clean-up.content"), 0);
	bench_delete(b, "repository", repo);
	assert_string_equal(bench_run(b, "orphans", "{'content_hrefs': null, 'protection_min': 60}"), "completed");
	assert_int_equal(bench_done(b, "clean-up.content"), 0);
	assert_int_equal(bench_count(b, "content"), 3);

	/* One by name. */
	assert_string_equal(bench_run(b, "orphans",
				    "{'content_hrefs': ['/pulp/api/v3/content/file/files/%s/'], 'protection_min': 0}",
				    unit(b, "a.iso")),
		"completed");
	assert_int_equal(bench_done(b, "clean-up.content"), 1);
	assert_int_equal(bench_done(b, "clean-up.artifacts"), 1);
	assert_false(store_has(b->store, sha256));
	assert_string_equal(bench_run(b, "orphans", "{'content_hrefs': null, 'protection_min': 0}"), "completed");
	assert_int_equal(bench_done(b, "clean-up.content"), 2);
	assert_int_equal(bench_done(b, "clean-up.artifacts"), 2);
	assert_int_equal(bench_count(b, "content"), 0);
	assert_int_equal(bench_count(b, "artifact"), 0);
}

/* ---- reclaim ---- */

static void saved_becomes_lazy_again(void **state)
{
	struct bench *b = *state;
	const char *repo = synced(b, "r", "immediate"), *remote;

	assert_string_equal(
		bench_run(b, "reclaim", "{'repositories': ['%s'], 'keep': [['%s', 1]]}", repo, repo), "completed");
	assert_int_equal(bench_done(b, "reclaim-space.artifact"), 0);
	assert_int_equal(bench_done(b, "reclaim-space.bytes"), 0);
	/* What every source lacks could not come back. */
	bench_mark_missing(b, "c.iso");
	assert_string_equal(
		bench_run(b, "reclaim", "{'repositories': ['%s'], 'keep': [], 'dry_run': true}", repo), "completed");
	assert_int_equal(bench_done(b, "reclaim-space.artifact"), 2);
	assert_int_equal(bench_done(b, "reclaim-space.bytes"), 6);
	assert_int_equal(bench_saved(b, repo, "a.iso"), 1);
	assert_string_equal(bench_run(b, "reclaim", "{'repositories': ['%s'], 'keep': []}", repo), "completed");
	assert_int_equal(bench_done(b, "reclaim-space.artifact"), 2);
	assert_int_equal(bench_done(b, "reclaim-space.bytes"), 6); /* "one" and "two" */
	assert_int_equal(bench_saved(b, repo, "a.iso"), 0);
	assert_int_equal(bench_saved(b, repo, "c.iso"), 1);
	assert_int_equal(bench_count(b, "artifact"), 1);
	/* It comes back with an immediate sync, though upstream has nothing new. */
	remote = bench_remote(b, "file.file", "again", site_url(b->up, "/r/PULP_MANIFEST"), "");
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_saved(b, repo, "a.iso"), 1);
	assert_int_equal(bench_latest(b, repo), 1);
}

static void published_metadata_is_spared(void **state)
{
	struct bench *b = *state;
	const char *repo = synced(b, "r", "immediate");

	assert_string_equal(bench_run(b, "publish", "{'repository_version': ['%s', 1]}", repo), "completed");
	assert_string_equal(bench_run(b, "reclaim", "{'repositories': ['*']}"), "completed");
	assert_int_equal(bench_done(b, "reclaim-space.artifact"), 3);
	assert_non_null(bench_published(b, repo, "PULP_MANIFEST"));
	assert_string_equal(
		bench_run(b, "reclaim", "{'repositories': ['01a1fbe0-1441-7467-9f95-8f7a1b6b0cce']}"), "failed");
}

/* ---- repair ---- */

/* Where the store has the file of a page's body. */
static const char *file_of(struct bench *b, const char *body)
{
	static char path[256];
	char name[STORE_NAME_MAX];
	struct digests d;
	struct hasher *h;

	assert_int_equal(hasher_new(0, &h), 0);
	hasher_add(h, body, strlen(body));
	hasher_end(h, &d);
	hasher_free(&h);
	snprintf(path, sizeof(path), "%s/media/%s", b->dir, store_name(d.d[DIGEST_SHA256], name));
	return path;
}

/* In the place of what it has; NULL: nothing. */
static void damage(struct bench *b, const char *body, const char *with)
{
	const char *path = file_of(b, body);
	FILE *f;

	assert_int_equal(remove(path), 0);
	if (with == NULL)
		return;
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(with, f);
	assert_int_equal(fclose(f), 0);
}

static bool holds(struct bench *b, const char *body)
{
	FILE *f = fopen(file_of(b, body), "r");
	char got[64] = "";
	size_t n = 0;

	if (f != NULL) {
		n = fread(got, 1, sizeof(got) - 1, f);
		fclose(f);
	}
	return f != NULL && n == strlen(body) && memcmp(got, body, n) == 0;
}

static void assert_repair(const struct bench *b, int checked, int missing, int corrupted, int repaired)
{
	assert_int_equal(bench_done(b, "repair.checked"), checked);
	assert_int_equal(bench_done(b, "repair.missing"), missing);
	assert_int_equal(bench_done(b, "repair.corrupted"), corrupted);
	assert_int_equal(bench_done(b, "repair.repaired"), repaired);
}

static void damaged_and_lost_files_come_back(void **state)
{
	struct bench *b = *state;
	const char *repo = synced(b, "r", "immediate");

	assert_string_equal(bench_run(b, "repair", "{}"), "completed");
	assert_repair(b, 3, 0, 0, 0);
	damage(b, "one", "onE");
	damage(b, "two", "t");
	damage(b, "three", NULL);
	assert_string_equal(
		bench_run(b, "repair", "{'repository': '%s', 'number': 1, 'verify_checksums': false}", repo),
		"completed");
	assert_repair(b, 3, 1, 1, 2);
	assert_true(holds(b, "two") && holds(b, "three"));
	assert_string_equal(bench_run(b, "repair", "{'repository': '%s', 'number': 1}", repo), "completed");
	assert_repair(b, 3, 0, 1, 1);
	assert_true(holds(b, "one"));
	assert_int_equal(bench_count(b, "artifact"), 3);
	assert_string_equal(bench_run(b, "repair", "{'repository': '%s', 'number': 2}", repo), "failed");
}

static void only_the_version_that_is_named_is_looked_at(void **state)
{
	struct bench *b = *state;
	const char *repo = synced(b, "r", "immediate");

	assert_string_equal(
		bench_run(b, "modify", "{'repository': '%s', 'remove': ['%s']}", repo, unit(b, "a.iso")), "completed");
	damage(b, "one", "onE");
	assert_string_equal(bench_run(b, "repair", "{'repository': '%s', 'number': 2}", repo), "completed");
	assert_repair(b, 2, 0, 0, 0);
	assert_string_equal(bench_run(b, "repair", "{'repository': '%s', 'number': 1}", repo), "completed");
	assert_repair(b, 3, 0, 1, 1);
}

/* What upstream has not got any more stays away, rather than being served as it is; a source that once failed is asked all the same. */
static void what_cannot_be_repaired_goes(void **state)
{
	const struct site_script wrong = {.flip = -1};
	struct bench *b = *state;

	(void)synced(b, "r", "immediate");
	damage(b, "one", "onE");
	damage(b, "two", "twO");
	damage(b, "three", "threE");
	site_drop(b->up, "/r/a.iso");
	site_script(b->up, "/r/b.iso", &wrong);
	bench_mark_missing(b, "c.iso");
	assert_string_equal(bench_run(b, "repair", "{}"), "completed");
	assert_repair(b, 3, 0, 3, 1);
	assert_false(holds(b, "onE") || holds(b, "one") || holds(b, "two"));
	assert_true(holds(b, "three"));
	assert_int_equal(remove(file_of(b, "one")), -1);
	bench_upstream(b, files);
	assert_string_equal(bench_run(b, "repair", "{'verify_checksums': false}"), "completed");
	assert_repair(b, 3, 2, 0, 2);
	assert_true(holds(b, "one") && holds(b, "two"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(removing_and_adding),
		TEST(overwriting),
		TEST(modify_publishes_as_well),
		TEST(what_nobody_uses_goes),
		TEST(saved_becomes_lazy_again),
		TEST(published_metadata_is_spared),
		TEST(damaged_and_lost_files_come_back),
		TEST(only_the_version_that_is_named_is_looked_at),
		TEST(what_cannot_be_repaired_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
