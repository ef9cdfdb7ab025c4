/* The file format through the whole pipeline: a real catalog, a real store, an upstream over HTTP. */
#include "../sync/bench.h"

#include "base/check.h"
#include "formats/file/file_format.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

const struct sluice_format *bench_formats[] = {&file_format, NULL};

/* sha256 of "one", "two", "three" begin so. */
#define ONE "7692c3ad"
#define TWO "3fc4ccfe"
#define THREE "8b5b9db0"

static const char *const two_files[] = {"a.iso", "one", "dir/b.iso", "two", NULL};

static const char *remote_of(struct bench *b, const char *settings)
{
	return bench_remote(b, "file.file", "upstream", site_url(b->up, "/r/PULP_MANIFEST"), settings);
}

static const char *created(const struct bench *b, size_t i)
{
	const char *href = json_string_value(json_array_get(b->created, i));

	return href != NULL ? href : "";
}

static void on_demand_declares_only(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "'policy': 'on_demand'"), *repo = bench_repository(b, "file.file", "r", "");
	const json_t *result, *summary;
	char want[128];

	bench_upstream(b, two_files);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_latest(b, repo), 1);
	assert_string_equal(bench_files(b, repo, 1), "dir/b.iso " TWO " 3\na.iso " ONE " 3\n");
	assert_int_equal(site_hits(b->up, "/r/PULP_MANIFEST"), 1);
	assert_int_equal(site_all_hits(b->up), 1);
	assert_int_equal(bench_saved(b, repo, "a.iso"), 0);
	assert_int_equal(bench_count(b, "artifact"), 0);

	snprintf(want, sizeof(want), "/pulp/api/v3/repositories/file/file/%s/versions/1/", repo);
	assert_int_equal(json_array_size(b->created), 1);
	assert_string_equal(created(b, 0), want);
	result = json_object_get(b->task, "result");
	assert_string_equal(json_string_value(json_object_get(result, "pulp_href")), want);
	assert_int_equal(json_integer_value(json_object_get(result, "number")), 1);
	assert_true(json_is_null(json_object_get(result, "base_version")));
	summary = json_object_get(result, "content_summary");
	assert_int_equal(json_integer_value(json_object_get(
				 json_object_get(json_object_get(summary, "added"), "file.file"), "count")),
		2);
	assert_int_equal(json_object_size(json_object_get(summary, "removed")), 0);
	assert_int_equal(bench_done(b, "associating.content"), 2);
	assert_int_equal(bench_done(b, "sync.downloading.metadata"), 1);
	assert_int_equal(bench_done(b, "sync.parsing.metadata"), 2);
	assert_int_equal(bench_done(b, "sync.downloading.artifacts"), -1);
}

static void immediate_saves_everything_once(void **state)
{
	static const char *const files[] = {
		"a.iso", "one", "b.iso", "two", "same-as-a", "one", "empty", "", "also-empty", "", NULL};
	struct bench *b = *state;
	const char *remote = remote_of(b, ""), *repo = bench_repository(b, "file.file", "r", "");

	bench_upstream(b, files);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	for (size_t i = 0; files[i] != NULL; i += 2)
		assert_int_equal(bench_saved(b, repo, files[i]), 1);
	/* The manifest and three contents, though there are five paths. */
	assert_int_equal(site_all_hits(b->up), 4);
	assert_int_equal(bench_count(b, "artifact"), 3);
	assert_int_equal(bench_done(b, "sync.downloading.artifacts"), 3);
}

/* Over several pages and batches, the same few contents again and again. */
static void many_paths_few_contents(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, ""), *repo = bench_repository(b, "file.file", "r", "");
	struct buf manifest = BUF_INIT(0);

	for (int i = 0; i < 150; i++) {
		char path[32], body[32];

		snprintf(path, sizeof(path), "/r/%d", i);
		snprintf(body, sizeof(body), "body %d", i);
		site_put(b->up, path, slice_str(body));
	}
	for (int i = 0; i < 3000; i++) {
		char path[32], body[32];

		snprintf(body, sizeof(body), "body %d", i % 150);
		if (i < 150)
			snprintf(path, sizeof(path), "%d", i);
		else
			snprintf(path, sizeof(path), "copy%d/%d", i / 150, i % 150);
		bench_manifest_line(&manifest, path, slice_str(body));
	}
	site_put(b->up, "/r/PULP_MANIFEST", buf_slice(&manifest));
	buf_fini(&manifest);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	/* Upstream does not even have the copies. */
	assert_int_equal(bench_count(b, "artifact"), 150);
	assert_int_equal(site_all_hits(b->up), 151);
	assert_int_equal(bench_saved(b, repo, "copy19/149"), 1);
}

static void no_more_at_once_than_allowed(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "'download_concurrency': 2"),
		   *repo = bench_repository(b, "file.file", "r", "");
	const char *files[61];
	char text[60][12];

	for (int i = 0; i < 60; i++) {
		snprintf(text[i], sizeof(text[i]), "%s%d", i % 2 == 0 ? "f" : "body", i / 2);
		files[i] = text[i];
	}
	files[60] = NULL;
	bench_upstream(b, files);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_done(b, "sync.downloading.artifacts"), 30);
	/* A connection that is being closed overlaps with its successor. */
	assert_in_range(site_most_at_once(b->up), 1, 4);
}

static void additive_keeps_mirror_removes(void **state)
{
	static const char *const fewer[] = {"c.iso", "three", NULL};
	struct bench *b = *state;
	const char *remote = remote_of(b, "'policy': 'on_demand'");
	const char *repo = bench_repository(b, "file.file", "r", "'autopublish': true");
	struct buf all = BUF_INIT(0);

	bench_manifest_line(&all, "c.iso", SLICE("three"));
	bench_manifest_line(&all, "dir/b.iso", SLICE("two"));
	bench_manifest_line(&all, "a.iso", SLICE("one"));
	bench_upstream(b, two_files);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	bench_upstream(b, fewer);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_done(b, "unassociating.content"), -1);
	/* What upstream has dropped has no source any more, but it is listed as it was. */
	assert_string_equal(bench_published(b, repo, "PULP_MANIFEST"), all.p);
	/* Upstream is as before, but the flag is new. */
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "completed");
	assert_string_equal(bench_files(b, repo, 3), "c.iso " THREE " 5\n");
	assert_int_equal(bench_done(b, "unassociating.content"), 2);
	assert_int_equal(bench_saved(b, repo, "a.iso"), -1);
	buf_fini(&all);
}

static void replaced_file(void **state)
{
	static const char *const changed[] = {"a.iso", "three", "dir/b.iso", "two", NULL};
	struct bench *b = *state;
	const char *remote = remote_of(b, ""), *repo = bench_repository(b, "file.file", "r", "");

	bench_upstream(b, two_files);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	bench_upstream(b, changed);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_string_equal(bench_files(b, repo, 2), "a.iso " THREE " 5\ndir/b.iso " TWO " 3\n");
	assert_string_equal(bench_files(b, repo, 1), "dir/b.iso " TWO " 3\na.iso " ONE " 3\n");
	assert_int_equal(site_hits(b->up, "/r/dir/b.iso"), 0); /* since it was put again: it was there */
}

static void a_bad_line_changes_nothing(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "'policy': 'on_demand'"), *repo = bench_repository(b, "file.file", "r", "");
	struct buf manifest = BUF_INIT(0);

	bench_upstream(b, two_files);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	/* Enough good lines for a batch to be written before the bad one. */
	for (int i = 0; i < 1500; i++) {
		char path[32];

		snprintf(path, sizeof(path), "new/%d", i);
		bench_manifest_line(&manifest, path, SLICE("x"));
	}
	buf_adds(&manifest, "../up,");
	for (int i = 0; i < 64; i++)
		buf_adds(&manifest, "a");
	buf_adds(&manifest, ",1\n");
	site_put(b->up, "/r/PULP_MANIFEST", buf_slice(&manifest));
	buf_fini(&manifest);
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "failed");
	assert_non_null(strstr(bench_error(b), "Error: Parsing of the manifest file failed on line:1501"));
	assert_non_null(strstr(bench_error(b), "\"..\""));
	assert_int_equal(bench_latest(b, repo), 1);
	assert_int_equal(json_array_size(b->created), 0);
	assert_string_equal(bench_files(b, repo, 1), "dir/b.iso " TWO " 3\na.iso " ONE " 3\n");
	/* And nothing of it stands in the way of the next one. */
	bench_upstream(b, two_files);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_latest(b, repo), 1);
}

static void two_digests_for_one_path(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "'policy': 'on_demand'"), *repo = bench_repository(b, "file.file", "r", "");
	struct buf manifest = BUF_INIT(0);

	bench_manifest_line(&manifest, "a", SLICE("one"));
	bench_manifest_line(&manifest, "a", SLICE("two"));
	site_put(b->up, "/r/PULP_MANIFEST", buf_slice(&manifest));
	buf_fini(&manifest);
	assert_string_equal(bench_sync(b, repo, remote, ""), "failed");
	assert_int_equal(strncmp(bench_error(b), "[PLP0022]", 9), 0);
	assert_int_equal(bench_latest(b, repo), 0);
}

/* ---- what upstreams do wrong ---- */

static void missing_files_are_kept_and_counted(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, ""), *repo = bench_repository(b, "file.file", "r", "");

	bench_upstream(b, two_files);
	site_drop(b->up, "/r/a.iso");
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_latest(b, repo), 1);
	assert_int_equal(bench_done(b, "sync.missing.artifacts"), 1);
	assert_int_equal(bench_saved(b, repo, "a.iso"), 0);
	assert_int_equal(bench_saved(b, repo, "dir/b.iso"), 1);
	assert_int_equal(site_hits(b->up, "/r/a.iso"), 1); /* a 404 is not tried again */

	/* Known to be missing: that does not keep the next sync from being skipped, until the cool-down is over. */
	site_forget_hits(b->up);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_done(b, "sync.was_skipped"), 1);
	assert_int_equal(site_all_hits(b->up), 1);
	b->settings.content_failure_cooldown = 0;
	site_script(b->up, "/r/a.iso", &(struct site_script){.status = 0});
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_latest(b, repo), 1);
	assert_int_equal(json_array_size(b->created), 0);
	assert_int_equal(bench_saved(b, repo, "a.iso"), 1);
}

static void on_missing_fail(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, ""), *repo = bench_repository(b, "file.file", "r", "");

	bench_upstream(b, two_files);
	site_drop(b->up, "/r/a.iso");
	assert_string_equal(bench_sync(b, repo, remote, "'on_missing': 'fail'"), "failed");
	assert_non_null(strstr(bench_error(b), "404, message='Not Found', url='"));
	assert_int_equal(bench_latest(b, repo), 0);
	/* Also when it is known from a sync that kept it. */
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_string_equal(bench_sync(b, repo, remote, "'on_missing': 'fail'"), "failed");
}

static void passing_trouble_is_overcome(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, ""), *repo = bench_repository(b, "file.file", "r", "");

	bench_upstream(b, two_files);
	site_script(b->up, "/r/PULP_MANIFEST", &(struct site_script){.cut = 1, .cut_at = 20});
	site_script(b->up, "/r/a.iso", &(struct site_script){.flip = 1});
	site_script(b->up, "/r/dir/b.iso", &(struct site_script){.cut = 1, .cut_at = 2, .etag = "\"v1\""});
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_saved(b, repo, "a.iso"), 1);
	assert_int_equal(bench_saved(b, repo, "dir/b.iso"), 1);
	assert_int_equal(site_hits(b->up, "/r/PULP_MANIFEST"), 2);
	assert_int_equal(site_hits(b->up, "/r/a.iso"), 2);
	assert_int_equal(site_ranges(b->up, "/r/dir/b.iso"), 1); /* went on where it broke off */
}

static void lasting_trouble_fails_the_sync(void **state)
{
	static const struct {
		struct site_script script;
		const char *begins, *holds;
	} rows[] = {
		{{.flip = -1}, "[PLP0003]", "/r/a.iso"},
		{{.cut = -1, .cut_at = 2, .no_length = true}, "[PLP0004]", "/r/a.iso"},
		{{.status = 403}, "403, message='Forbidden', url='http", "/r/a.iso'"},
		{{.cut = -1, .cut_at = 2}, "", "/r/a.iso"},
	};
	struct bench *b = *state;
	const char *remote = remote_of(b, "'max_retries': 1"), *repo = bench_repository(b, "file.file", "r", "");

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bench_upstream(b, two_files);
		site_script(b->up, "/r/a.iso", &rows[i].script);
		b->settings.content_failure_cooldown = 0;
		assert_string_equal(bench_sync(b, repo, remote, ""), "failed");
		assert_int_equal(strncmp(bench_error(b), rows[i].begins, strlen(rows[i].begins)), 0);
		assert_non_null(strstr(bench_error(b), rows[i].holds));
		assert_int_equal(bench_latest(b, repo), 0);
		assert_int_equal(json_array_size(b->created), 0);
		assert_int_equal(site_hits(b->up, "/r/a.iso"), rows[i].script.status != 0 ? 1 : 2);
	}
}

static void longer_than_declared_is_cut_off(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "'max_retries': 1"), *repo = bench_repository(b, "file.file", "r", "");

	bench_upstream(b, two_files);
	site_put(b->up, "/r/a.iso", SLICE("one and more"));
	site_script(b->up, "/r/a.iso", &(struct site_script){.no_length = true});
	assert_string_equal(bench_sync(b, repo, remote, ""), "failed");
	assert_int_equal(strncmp(bench_error(b), "[PLP0004]", 9), 0);
	assert_non_null(strstr(bench_error(b), "more than 3 bytes"));
}

static void manifest_that_is_not_there(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, ""), *repo = bench_repository(b, "file.file", "r", "");

	assert_string_equal(bench_sync(b, repo, remote, ""), "failed");
	assert_non_null(strstr(bench_error(b), "404, message='Not Found', url='http://127.0.0.1:"));
	site_script(b->up, "/r/PULP_MANIFEST", &(struct site_script){.status = 401});
	assert_string_equal(bench_sync(b, repo, remote, ""), "failed");
	assert_non_null(strstr(bench_error(b), "401, message='Unauthorized', url='"));
}

static void another_remote_helps_out(void **state)
{
	struct bench *b = *state;
	const char *lazy = remote_of(b, "'policy': 'on_demand'"),
		   *other = bench_repository(b, "file.file", "other", "");
	const char *broken, *repo;
	struct buf manifest = BUF_INIT(0);

	bench_upstream(b, two_files);
	assert_string_equal(bench_sync(b, other, lazy, ""), "completed");
	/* A second upstream that lists the same files and delivers one of them wrong, the other not at all. */
	bench_manifest_line(&manifest, "a.iso", SLICE("one"));
	bench_manifest_line(&manifest, "dir/b.iso", SLICE("two"));
	site_put(b->up, "/s/PULP_MANIFEST", buf_slice(&manifest));
	buf_fini(&manifest);
	site_put(b->up, "/s/a.iso", SLICE("ONE"));
	broken = bench_remote(b, "file.file", "broken", site_url(b->up, "/s/PULP_MANIFEST"), "'max_retries': 1");
	repo = bench_repository(b, "file.file", "r", "");
	assert_string_equal(bench_sync(b, repo, broken, ""), "completed");
	assert_int_equal(bench_saved(b, repo, "a.iso"), 1);
	assert_int_equal(bench_saved(b, repo, "dir/b.iso"), 1);
	assert_int_equal(site_hits(b->up, "/r/a.iso"), 1);
	assert_int_equal(site_hits(b->up, "/s/a.iso"), 2);
	/* One unit, whoever offers it. */
	assert_int_equal(bench_count(b, "content"), 2);
}

/* ---- nothing new ---- */

static void nothing_new_costs_one_conditional_request(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "'policy': 'on_demand'"), *repo = bench_repository(b, "file.file", "r", "");

	bench_upstream(b, two_files);
	site_script(b->up, "/r/PULP_MANIFEST", &(struct site_script){.etag = "\"v1\""});
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	site_forget_hits(b->up);
	for (int i = 1; i <= 3; i++) {
		assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
		assert_int_equal(bench_done(b, "sync.was_skipped"), 1);
		assert_int_equal(site_conditional(b->up, "/r/PULP_MANIFEST"), i);
		assert_int_equal(site_all_hits(b->up), i);
		assert_int_equal(json_array_size(b->created), 0);
		assert_true(json_is_null(json_object_get(b->task, "result")));
		assert_int_equal(bench_latest(b, repo), 1);
	}
}

static void same_bytes_under_other_validators(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "'policy': 'on_demand'"), *repo = bench_repository(b, "file.file", "r", "");

	bench_upstream(b, two_files);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	site_script(b->up, "/r/PULP_MANIFEST", &(struct site_script){.etag = "\"v2\""});
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_done(b, "sync.was_skipped"), 1);
	assert_int_equal(site_conditional(b->up, "/r/PULP_MANIFEST"), 0);
	/* The new validator was remembered. */
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(site_conditional(b->up, "/r/PULP_MANIFEST"), 1);
}

static void what_keeps_a_sync_from_being_skipped(void **state)
{
	static const struct {
		const char *remote, *sync;
		bool skipped;
	} rows[] = {
		{"'policy': 'on_demand'", "", true},
		{"'policy': 'on_demand'", "'optimize': false", false},
		{"'policy': 'streamed'", "", false},
		{"'policy': 'streamed'", "", true},
		{"'policy': 'streamed'", "'mirror': true", false},
		{"'policy': 'streamed'", "'mirror': true", true},
		{"'policy': 'immediate'", "'mirror': true", false},
		{"'policy': 'immediate'", "'mirror': true", true},
	};
	struct bench *b = *state;
	const char *remote = remote_of(b, "'policy': 'on_demand'"), *repo = bench_repository(b, "file.file", "r", "");

	bench_upstream(b, two_files);
	site_script(b->up, "/r/PULP_MANIFEST", &(struct site_script){.etag = "\"v1\""});
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bench_remote_set(b, remote, rows[i].remote);
		assert_string_equal(bench_sync(b, repo, remote, rows[i].sync), "completed");
		assert_int_equal(bench_done(b, "sync.was_skipped"), rows[i].skipped ? 1 : -1);
		assert_int_equal(bench_latest(b, repo), 1);
	}
	assert_int_equal(bench_saved(b, repo, "a.iso"), 1);
	/* A version that no sync made. */
	assert_string_equal(
		bench_run(b, "modify", "{'repository': '%s', 'remove': ['*'], 'add': []}", repo), "completed");
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "completed");
	assert_int_equal(bench_done(b, "sync.was_skipped"), -1);
	assert_int_equal(bench_latest(b, repo), 3);
}

/* As another version of the program may have left them. */
static void strange_details_only_cost_a_sync(void **state)
{
	static const char *const rows[] = {"{}", "[]", "1",
		"{'remote': 1, 'url': [], 'policy': {}, 'mirror': 'yes', 'version': '1', 'metadata': 7}"};
	struct bench *b = *state;
	const char *remote = remote_of(b, "'policy': 'on_demand'"), *repo = bench_repository(b, "file.file", "r", "");

	bench_upstream(b, two_files);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char set[256];

		snprintf(set, sizeof(set), "'last_sync_details': %s", rows[i]);
		bench_repository_set(b, repo, set);
		assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
		assert_int_equal(bench_done(b, "sync.was_skipped"), -1);
		assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
		assert_int_equal(bench_done(b, "sync.was_skipped"), 1);
	}
	assert_int_equal(bench_latest(b, repo), 1);
}

static void turning_immediate_fetches_without_a_version(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "'policy': 'on_demand'"), *repo = bench_repository(b, "file.file", "r", "");

	bench_upstream(b, two_files);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	bench_remote_set(b, remote, "'policy': 'immediate'");
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_latest(b, repo), 1);
	assert_int_equal(json_array_size(b->created), 0);
	assert_int_equal(bench_saved(b, repo, "a.iso"), 1);
	assert_int_equal(bench_saved(b, repo, "dir/b.iso"), 1);
	assert_int_equal(bench_done(b, "sync.downloading.artifacts"), 2);
}

/* ---- publications ---- */

static void mirror_publishes_upstreams_own_bytes(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "'policy': 'on_demand'"), *repo = bench_repository(b, "file.file", "r", "");
	struct buf manifest = BUF_INIT(0);

	bench_upstream(b, two_files);
	buf_adds(&manifest, "# upstream's own words\n\n");
	bench_manifest_line(&manifest, "a.iso", SLICE("one"));
	site_put(b->up, "/r/PULP_MANIFEST", buf_slice(&manifest));
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "completed");
	assert_int_equal(json_array_size(b->created), 2);
	assert_non_null(strstr(created(b, 0), "/versions/1/"));
	assert_non_null(strstr(created(b, 1), "/pulp/api/v3/publications/file/file/"));
	assert_string_equal(bench_published(b, repo, "PULP_MANIFEST"), manifest.p);
	/* Nothing new: no second publication. */
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true, 'optimize': false"), "completed");
	assert_int_equal(json_array_size(b->created), 0);
	assert_int_equal(bench_count(b, "publication"), 1);
	buf_fini(&manifest);
}

/* Clients of the mirror find it under upstream's name for it. */
static void mirror_of_a_manifest_with_another_name(void **state)
{
	struct bench *b = *state;
	const char *remote, *repo = bench_repository(b, "file.file", "r", "");
	struct buf manifest = BUF_INIT(0);

	bench_manifest_line(&manifest, "a.iso", SLICE("one"));
	site_put(b->up, "/r/the%20%22list%22", buf_slice(&manifest));
	remote = bench_remote(
		b, "file.file", "named", site_url(b->up, "/r/the%20%22list%22?token=x"), "'policy': 'on_demand'");
	assert_string_equal(bench_sync(b, repo, remote, "'mirror': true"), "completed");
	assert_string_equal(bench_published(b, repo, "the \"list\""), manifest.p);
	assert_null(bench_published(b, repo, "PULP_MANIFEST"));
	buf_fini(&manifest);
}

static void autopublish_writes_a_manifest_of_its_own(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "'policy': 'on_demand'");
	const char *repo = bench_repository(b, "file.file", "r", "'autopublish': true, 'extra': {'manifest': 'LIST'}");
	struct buf want = BUF_INIT(0);

	bench_upstream(b, two_files);
	bench_manifest_line(&want, "dir/b.iso", SLICE("two"));
	bench_manifest_line(&want, "a.iso", SLICE("one"));
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(json_array_size(b->created), 2);
	assert_string_equal(bench_published(b, repo, "LIST"), want.p);
	assert_null(bench_published(b, repo, "PULP_MANIFEST"));
	buf_fini(&want);
}

static void publishing_by_hand(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, ""), *repo = bench_repository(b, "file.file", "r", "");
	const json_t *result;

	bench_upstream(b, two_files);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_string_equal(bench_run(b, "publish", "{'repository_version': ['%s', 1]}", repo), "completed");
	result = json_object_get(b->task, "result");
	assert_string_equal(json_string_value(json_object_get(result, "manifest")), "PULP_MANIFEST");
	assert_true(json_is_false(json_object_get(result, "checkpoint")));
	assert_string_equal(json_string_value(json_object_get(result, "pulp_href")), created(b, 0));
	assert_non_null(bench_published(b, repo, "PULP_MANIFEST"));
	assert_string_equal(
		bench_run(b, "publish", "{'repository_version': ['%s', 1], 'manifest': null}", repo), "completed");
	assert_true(json_is_null(json_object_get(json_object_get(b->task, "result"), "manifest")));
	assert_null(bench_published(b, repo, "PULP_MANIFEST"));
	assert_string_equal(bench_run(b, "publish", "{'repository_version': ['%s', 0]}", repo), "completed");
	assert_string_equal(
		bench_run(b, "publish", "{'repository_version': ['%s', 1], 'manifest': '../x'}", repo), "failed");
	assert_string_equal(bench_run(b, "publish", "{'repository_version': ['%s', 9]}", repo), "failed");
	assert_int_equal(bench_count(b, "publication"), 3);
}

static void no_version_without_its_publication(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "'policy': 'on_demand'");
	const char *repo = bench_repository(b, "file.file", "r", "'autopublish': true, 'extra': {'manifest': '/'}");

	bench_upstream(b, two_files);
	assert_string_equal(bench_sync(b, repo, remote, ""), "failed");
	assert_int_equal(bench_latest(b, repo), 0);
	assert_int_equal(json_array_size(b->created), 0);
	bench_repository_set(b, repo, "'extra': {}");
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_latest(b, repo), 1);
	assert_int_equal(json_array_size(b->created), 2);
	assert_non_null(bench_published(b, repo, "PULP_MANIFEST"));
}

/* A version that no sync made, before publications were wanted. */
static void an_owed_publication_is_made(void **state)
{
	static const char *const nothing[] = {NULL};
	struct bench *b = *state;
	const char *remote = remote_of(b, "'policy': 'on_demand'"), *repo = bench_repository(b, "file.file", "r", "");

	bench_upstream(b, two_files);
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_string_equal(bench_run(b, "modify", "{'repository': '%s', 'remove': ['*']}", repo), "completed");
	bench_upstream(b, nothing);
	bench_repository_set(b, repo, "'autopublish': true");
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_latest(b, repo), 2);
	assert_int_equal(json_array_size(b->created), 1);
	assert_string_equal(bench_published(b, repo, "PULP_MANIFEST"), "");
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_done(b, "sync.was_skipped"), 1);
}

/* ---- the rest ---- */

static void from_a_directory(void **state)
{
	struct bench *b = *state;
	struct buf manifest = BUF_INIT(0);
	char path[128], url[160];
	const char *remote, *repo;
	FILE *f;

	snprintf(path, sizeof(path), "%s/one file", b->dir);
	f = fopen(path, "w");
	assert_int_equal(fwrite("one", 1, 3, f), 3);
	fclose(f);
	bench_manifest_line(&manifest, "one file", SLICE("one"));
	bench_manifest_line(&manifest, "not-there", SLICE("two"));
	snprintf(path, sizeof(path), "%s/PULP_MANIFEST", b->dir);
	f = fopen(path, "w");
	assert_int_equal(fwrite(manifest.p, 1, manifest.n, f), manifest.n);
	fclose(f);
	buf_fini(&manifest);
	snprintf(url, sizeof(url), "file://%s/PULP_MANIFEST", b->dir);
	remote = bench_remote(b, "file.file", "disk", url, "");
	repo = bench_repository(b, "file.file", "r", "");
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	assert_int_equal(bench_saved(b, repo, "one file"), 1);
	assert_int_equal(bench_saved(b, repo, "not-there"), 0);
	assert_int_equal(bench_done(b, "sync.missing.artifacts"), 1);
	/* And not from anywhere else. */
	remote = bench_remote(b, "file.file", "etc", "file:///etc/passwd", "");
	assert_string_equal(bench_sync(b, repo, remote, ""), "failed");
}

/* Sanitizers keep shadows of all memory, and freed memory for a while. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static long peak_mib(void)
{
	struct rusage ru;

	assert_int_equal(getrusage(RUSAGE_SELF, &ru), 0);
	return ru.ru_maxrss / 1024;
}

static void a_hundred_thousand_files_in_flat_memory(void **state)
{
	struct bench *b = *state;
	const char *remote = remote_of(b, "'policy': 'on_demand'"),
		   *repo = bench_repository(b, "file.file", "r", "'autopublish': true");
	struct buf manifest = BUF_INIT(0);
	uint64_t x = 88172645463325252u; /* digests only have to differ */
	long before;

	for (int i = 0; i < 100000; i++) {
		buf_addf(&manifest, "dir%d/some-package-name-%d.x86_64.rpm,", i % 100, i);
		for (int k = 0; k < 4; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			buf_addf(&manifest, "%016llx", (unsigned long long)x);
		}
		buf_addf(&manifest, ",%d\n", i);
	}
	site_put(b->up, "/r/PULP_MANIFEST", buf_slice(&manifest));
	before = peak_mib();
	assert_string_equal(bench_sync(b, repo, remote, ""), "completed");
	print_message("peak memory: %ld MiB before the sync, %ld MiB after it\n", before, peak_mib());
	/* Of which the upstream, in this process too, holds its answer, twice 12 MiB. */
	if (!SANITIZED)
		assert_in_range(peak_mib() - before, 0, 100);
	assert_int_equal(bench_count(b, "content"), 100000);
	assert_int_equal(strlen(bench_published(b, repo, "PULP_MANIFEST")), manifest.n);
	buf_fini(&manifest);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(on_demand_declares_only),
		TEST(immediate_saves_everything_once),
		TEST(many_paths_few_contents),
		TEST(no_more_at_once_than_allowed),
		TEST(additive_keeps_mirror_removes),
		TEST(replaced_file),
		TEST(a_bad_line_changes_nothing),
		TEST(two_digests_for_one_path),
		TEST(missing_files_are_kept_and_counted),
		TEST(on_missing_fail),
		TEST(passing_trouble_is_overcome),
		TEST(lasting_trouble_fails_the_sync),
		TEST(longer_than_declared_is_cut_off),
		TEST(manifest_that_is_not_there),
		TEST(another_remote_helps_out),
		TEST(nothing_new_costs_one_conditional_request),
		TEST(same_bytes_under_other_validators),
		TEST(what_keeps_a_sync_from_being_skipped),
		TEST(strange_details_only_cost_a_sync),
		TEST(turning_immediate_fetches_without_a_version),
		TEST(mirror_publishes_upstreams_own_bytes),
		TEST(mirror_of_a_manifest_with_another_name),
		TEST(autopublish_writes_a_manifest_of_its_own),
		TEST(publishing_by_hand),
		TEST(no_version_without_its_publication),
		TEST(an_owed_publication_is_made),
		TEST(from_a_directory),
		TEST(a_hundred_thousand_files_in_flat_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
