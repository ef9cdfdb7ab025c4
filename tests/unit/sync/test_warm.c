/* Warming: what is fetched ahead of clients, and what becomes of what cannot be had. */
#include "bench.h"

#include "base/check.h"
#include "base/clock.h"
#include "catalog/query.h"
#include "catalog/usage.h"
#include "formats/file/file_format.h"

#include <stdio.h>
#include <string.h>

const struct sluice_format *bench_formats[] = {&file_format, NULL};

static const char *const files[] = {"a.iso", "one", "b.iso", "two", "c.iso", "three", NULL};

static const char *synced(struct bench *b, const char *settings)
{
	const char *remote, *repo = bench_repository(b, "file.file", "r", "");

	bench_upstream(b, files);
	remote = bench_remote(b, "file.file", "r", site_url(b->up, "/r/PULP_MANIFEST"), settings);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	return repo;
}

static void sync_again(struct bench *b, const char *repo, const char *const *now)
{
	char uuid[UUID_STR];
	struct txn *t = NULL;
	struct query *q;
	json_t *row;

	bench_upstream(b, now);
	assert_int_equal(catalog_read(b->catalog, &t, NULL), 0);
	assert_int_equal(query_new(view_find("remote"), &q), 0);
	assert_int_equal(query_row(t, q, &row, NULL), 0);
	snprintf(uuid, sizeof(uuid), "%s", json_string_value(json_object_get(row, "uuid")));
	json_decref(row);
	query_free(&q);
	txn_end(&t);
	assert_string_equal(bench_sync(b, repo, uuid, ""), "completed");
}

/* The newest unit of a path, with its file. */
static json_t *unit(struct bench *b, const char *path)
{
	struct txn *t = NULL;
	struct query *q;
	json_t *row;

	assert_int_equal(catalog_read(b->catalog, &t, NULL), 0);
	assert_int_equal(query_new(view_find("content"), &q), 0);
	assert_int_equal(query_where(q, "relative_path", QUERY_EQ, slice_str(path), NULL), 0);
	assert_int_equal(query_row(t, q, &row, NULL), 0);
	query_free(&q);
	txn_end(&t);
	return row;
}

/* A client has it. */
static void use(struct bench *b, const char *path, int64_t now_us)
{
	json_t *row = unit(b, path), *artifact;
	struct txn *t = NULL;
	struct query *q;
	size_t written;
	int64_t id;

	assert_int_equal(catalog_write(b->catalog, &t, NULL), 0);
	assert_int_equal(query_new(view_find("artifact"), &q), 0);
	assert_int_equal(
		query_where(q, "uuid", QUERY_EQ, slice_str(json_string_value(json_object_get(row, "artifact"))), NULL),
		0);
	assert_int_equal(query_row(t, q, &artifact, NULL), 0);
	id = json_integer_value(json_object_get(artifact, "_id"));
	assert_int_equal(catalog_artifacts_used(t, &id, 1, now_us, 1, &written, NULL), 0);
	assert_int_equal(txn_commit(&t, NULL), 0);
	query_free(&q);
	json_decref(artifact);
	json_decref(row);
}

static void assert_last_used(struct bench *b, const char *path, int64_t us)
{
	json_t *row = unit(b, path);
	char iso[CLOCK_ISO_MAX];

	assert_string_equal(json_string_value(json_object_get(row, "last_used")), clock_iso(us, iso));
	json_decref(row);
}

static void all_of_it_and_then_only_the_rest(void **state)
{
	static const char *const more[] = {"a.iso", "one", "b.iso", "two", "c.iso", "three", "d.iso", "four", NULL};
	struct bench *b = *state;
	const char *repo = synced(b, "'policy': 'on_demand'");

	assert_string_equal(bench_run(b, "warm", "{'repository': '%s', 'number': 1}", repo), "completed");
	assert_int_equal(bench_done(b, "warm.artifacts"), 3);
	assert_int_equal(bench_done(b, "warm.bytes"), 11);
	assert_int_equal(bench_saved(b, repo, "a.iso"), 1);
	assert_int_equal(bench_saved(b, repo, "c.iso"), 1);
	assert_last_used(b, "a.iso", 0);
	sync_again(b, repo, more);
	site_forget_hits(b->up);
	assert_string_equal(bench_run(b, "warm", "{'repository': '%s', 'number': 1}", repo), "completed");
	assert_int_equal(bench_done(b, "warm.artifacts"), 0);
	assert_string_equal(bench_run(b, "warm", "{'repository': '%s', 'number': 2}", repo), "completed");
	assert_int_equal(bench_done(b, "warm.artifacts"), 1);
	assert_int_equal(site_all_hits(b->up), 1);
	assert_string_equal(bench_run(b, "warm", "{'repository': '%s', 'number': 3}", repo), "failed");
}

/* What a client had of a path before, it has of the next version before it asks; that counts as the same use, so that it goes on. */
static void what_was_used_before(void **state)
{
	static const char *const next[] = {"a.iso", "1", "b.iso", "2", "c.iso", "3", NULL};
	static const char *const last[] = {"a.iso", "I", "b.iso", "II", "c.iso", "3", NULL};
	struct bench *b = *state;
	const char *repo = synced(b, "'policy': 'on_demand'");
	int64_t now_us = clock_wall_us();

	assert_string_equal(bench_run(b, "warm", "{'repository': '%s', 'number': 1}", repo), "completed");
	use(b, "a.iso", now_us);
	use(b, "b.iso", now_us - 10 * 86400 * US_PER_S);
	sync_again(b, repo, next);
	assert_string_equal(
		bench_run(b, "warm", "{'repository': '%s', 'number': 2, 'what': 'used', 'used_within': 3}", repo),
		"completed");
	assert_int_equal(bench_done(b, "warm.artifacts"), 1);
	assert_int_equal(bench_saved(b, repo, "a.iso"), 1);
	assert_int_equal(bench_saved(b, repo, "b.iso"), 0);
	assert_last_used(b, "a.iso", now_us);
	assert_string_equal(
		bench_run(b, "warm", "{'repository': '%s', 'number': 2, 'what': 'used'}", repo), "completed");
	assert_int_equal(bench_done(b, "warm.artifacts"), 1);
	assert_int_equal(bench_saved(b, repo, "b.iso"), 1);
	assert_int_equal(bench_saved(b, repo, "c.iso"), 0);
	sync_again(b, repo, last);
	assert_string_equal(
		bench_run(b, "warm", "{'repository': '%s', 'number': 3, 'what': 'used'}", repo), "completed");
	assert_int_equal(bench_done(b, "warm.artifacts"), 2);
	assert_last_used(b, "a.iso", now_us);
}

/* What has bytes that are saved already is not asked for, and stays as used as it was. */
static void bytes_that_are_there_already(void **state)
{
	static const char *const same[] = {"a.iso", "one", "b.iso", "one", NULL};
	struct bench *b = *state;
	const char *repo = synced(b, "'policy': 'on_demand'");
	int64_t now_us = clock_wall_us();

	assert_string_equal(bench_run(b, "warm", "{'repository': '%s', 'number': 1}", repo), "completed");
	use(b, "a.iso", now_us);
	sync_again(b, repo, same);
	site_forget_hits(b->up);
	assert_string_equal(bench_run(b, "warm", "{'repository': '%s', 'number': 2}", repo), "completed");
	assert_int_equal(bench_done(b, "warm.artifacts"), 1);
	assert_int_equal(site_all_hits(b->up), 0);
	assert_last_used(b, "b.iso", now_us);
}

static void what_cannot_be_had(void **state)
{
	const struct site_script wrong = {.flip = -1};
	struct bench *b = *state;
	const char *repo = synced(b, "'policy': 'on_demand', 'max_retries': 1");

	site_drop(b->up, "/r/a.iso");
	assert_string_equal(
		bench_run(b, "warm", "{'repository': '%s', 'number': 1, 'concurrency': 1}", repo), "completed");
	assert_int_equal(bench_done(b, "warm.artifacts"), 2);
	assert_int_equal(bench_done(b, "warm.missing"), 1);
	/* Not again before the cool-down is over. */
	site_forget_hits(b->up);
	assert_string_equal(bench_run(b, "warm", "{'repository': '%s', 'number': 1}", repo), "completed");
	assert_int_equal(bench_done(b, "warm.artifacts"), 0);
	assert_int_equal(site_all_hits(b->up), 0);

	assert_string_equal(bench_run(b, "reclaim", "{'repositories': ['%s'], 'keep': []}", repo), "completed");
	site_script(b->up, "/r/b.iso", &wrong);
	assert_string_equal(bench_run(b, "warm", "{'repository': '%s', 'number': 1}", repo), "failed");
	assert_non_null(strstr(bench_error(b), "1 artifacts could not be had; the first: [PLP0003]"));
	assert_int_equal(bench_done(b, "warm.artifacts"), 1);
	assert_int_equal(bench_done(b, "warm.failed"), 1);
	assert_int_equal(bench_saved(b, repo, "c.iso"), 1);
	assert_int_equal(bench_saved(b, repo, "b.iso"), 0);
}

static void an_upstream_that_is_down_is_not_asked_for_everything(void **state)
{
	const struct site_script down = {.status = 403};
	const char *many[2 * 40 + 1] = {NULL};
	char path[40][16], url[40][20], body[40][16];
	struct bench *b = *state;
	const char *repo = synced(b, "'policy': 'on_demand', 'max_retries': 1");

	for (int i = 0; i < 40; i++) {
		snprintf(path[i], sizeof(path[i]), "f%d", i);
		snprintf(url[i], sizeof(url[i]), "/r/f%d", i);
		snprintf(body[i], sizeof(body[i]), "body %d", i);
		many[2 * i] = path[i];
		many[2 * i + 1] = body[i];
	}
	assert_string_equal(bench_run(b, "warm", "{'repository': '%s', 'number': 1}", repo), "completed");
	sync_again(b, repo, many);
	for (int i = 0; i < 40; i++)
		site_script(b->up, url[i], &down);
	assert_string_equal(
		bench_run(b, "warm", "{'repository': '%s', 'number': 2, 'concurrency': 1}", repo), "failed");
	assert_non_null(strstr(bench_error(b), "20 artifacts in a row"));
	assert_non_null(strstr(bench_error(b), "403, message='Forbidden'"));
}

/* A limit never makes it faster than that: a bound from below, which a slow machine keeps as well. */
static void at_a_rate(void **state)
{
	static char large[600000];
	static const char *const one[] = {"large", large, NULL};
	struct bench *b = *state;
	const char *repo = synced(b, "'policy': 'on_demand'");
	int64_t began_ns;

	memset(large, 'x', sizeof(large) - 1);
	sync_again(b, repo, one);
	began_ns = clock_mono_ns();
	assert_string_equal(
		bench_run(b, "warm", "{'repository': '%s', 'number': 2, 'rate_limit': 2000000}", repo), "completed");
	assert_true(clock_mono_ns() - began_ns > NS_PER_S / 5);
	assert_int_equal(bench_saved(b, repo, "large"), 1);
	assert_int_equal(bench_done(b, "warm.bytes"), 599999 + 11);
}

/* Streamed content is never kept. */
static void streamed_stays_streamed(void **state)
{
	struct bench *b = *state;
	const char *repo = synced(b, "'policy': 'streamed'");

	assert_string_equal(bench_run(b, "warm", "{'repository': '%s', 'number': 1}", repo), "completed");
	assert_int_equal(bench_done(b, "warm.artifacts"), 0);
	assert_int_equal(bench_count(b, "artifact"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_of_it_and_then_only_the_rest),
		TEST(what_was_used_before),
		TEST(bytes_that_are_there_already),
		TEST(what_cannot_be_had),
		TEST(an_upstream_that_is_down_is_not_asked_for_everything),
		TEST(at_a_rate),
		TEST(streamed_stays_streamed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
