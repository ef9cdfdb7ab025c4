/* What a format may do, and what is made of a format that does something else. The format of this test runs whatever the
 * test at hand says. */
#include "bench.h"

#include "base/check.h"
#include "base/err.h"

#include <stdio.h>
#include <string.h>

#undef fail /* cmocka's; here it is a function of the host */

static int (*sync_script)(const struct sluice_sync_host *h, struct sluice_sync *s);
static int (*publish_script)(const struct sluice_publish_host *h, struct sluice_publish *p);

static int run_sync(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	return sync_script(h, s);
}

static int run_publish(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	return publish_script(h, p);
}

static const struct sluice_field remote_fields[] = {
	{.name = "suite", .type = SLUICE_STRING, .default_json = "\"stable\""},
	{.name = "depth", .type = SLUICE_INTEGER},
	{.name = NULL},
};
static const struct sluice_field publication_fields[] = {
	{.name = "label", .type = SLUICE_STRING, .default_json = "\"plain\""},
	{.name = NULL},
};
static const struct sluice_format test_format = {
	.abi = SLUICE_FORMAT_ABI,
	.name = "test",
	.kind = "thing",
	.version = "1",
	.model = "Thing",
	.policies = SLUICE_IMMEDIATE | SLUICE_ON_DEMAND,
	.reclaimable = true,
	.remote_fields = remote_fields,
	.publication_fields = publication_fields,
	.content_type = "test.thing",
	.content_plural = "things",
	.sync = run_sync,
	.publish = run_publish,
};
const struct sluice_format *bench_formats[] = {&test_format, NULL};

#define T "test.thing"

static struct bench *bench;
static const char *remote, *repo;

static void begin(void **state, const char *settings)
{
	bench = *state;
	remote = bench_remote(bench, T, "upstream", site_url(bench->up, "/r/index"), settings);
	repo = bench_repository(bench, T, "r", "");
}

/* One unit of one artifact. */
static int declare(
	const struct sluice_sync_host *h, struct sluice_sync *s, const char *path, const char *url, bool never_deferred)
{
	const struct sluice_artifact a = {
		.relative_path = path, .url = url, .size = -1, .never_deferred = never_deferred};
	const struct sluice_unit u = {.type = T, .natural_key = path, .artifacts = &a, .artifact_count = 1};

	return h->unit(s, &u);
}

/* ---- never deferred ---- */

static int declare_mixed(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	char treeinfo[128], image[128];
	const struct sluice_artifact both[] = {
		{.relative_path = "kickstart/treeinfo", .url = treeinfo, .size = -1, .never_deferred = true},
		{.relative_path = "kickstart/image", .url = image, .size = -1},
	};
	const struct sluice_unit u = {.type = T, .natural_key = "tree", .artifacts = both, .artifact_count = 2};

	snprintf(treeinfo, sizeof(treeinfo), "%s", site_url(bench->up, "/treeinfo"));
	snprintf(image, sizeof(image), "%s", site_url(bench->up, "/image"));
	return h->unit(s, &u);
}

static void never_deferred_is_had_at_once(void **state)
{
	begin(state, "'policy': 'on_demand'");
	sync_script = declare_mixed;
	site_put(bench->up, "/treeinfo", SLICE("tree"));
	site_put(bench->up, "/image", SLICE("image"));
	assert_string_equal(bench_sync(bench, repo, remote, ""), "completed");
	assert_int_equal(bench_saved(bench, repo, "kickstart/treeinfo"), 1);
	assert_int_equal(bench_saved(bench, repo, "kickstart/image"), 0);
	assert_int_equal(site_hits(bench->up, "/image"), 0);
	/* And not again. */
	assert_string_equal(bench_sync(bench, repo, remote, ""), "completed");
	assert_int_equal(site_hits(bench->up, "/treeinfo"), 1);
}

static void never_deferred_that_fails(void **state)
{
	begin(state, "'policy': 'on_demand', 'max_retries': 1");
	sync_script = declare_mixed;
	site_put(bench->up, "/treeinfo", SLICE("tree"));
	site_script(bench->up, "/treeinfo", &(struct site_script){.status = 403});
	assert_string_equal(bench_sync(bench, repo, remote, ""), "failed");
	assert_int_equal(bench_latest(bench, repo), 0);
}

/* ---- known ---- */

static bool was_known;
static const char *known_url;

static int ask_for_known(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	const struct sluice_artifact a = {.relative_path = "a", .url = known_url, .size = 1};
	const struct sluice_unit u = {.type = T, .natural_key = "a", .artifacts = &a, .artifact_count = 1};
	int rc = h->known(s, &u);

	was_known = rc == 1;
	return rc == 0 ? h->unit(s, &u) : MIN(rc, 0);
}

static void known_is_what_the_last_sync_declared(void **state)
{
	static const struct {
		const char *url;
		bool known;
	} syncs[] = {{"http://127.0.0.1/a", false}, {"http://127.0.0.1/a", true}, {"http://127.0.0.1/b", false},
		{"http://127.0.0.1/b", true}};

	begin(state, "'policy': 'on_demand'");
	sync_script = ask_for_known;
	for (size_t i = 0; i < ARRAY_LEN(syncs); i++) {
		known_url = syncs[i].url;
		assert_string_equal(bench_sync(bench, repo, remote, ""), "completed");
		assert_int_equal(was_known, syncs[i].known);
		assert_int_equal(bench_latest(bench, repo), 1);
	}
}

/* ---- facts ---- */

static int check_facts(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	static const struct {
		const char *name, *value;
	} rows[] = {
		{"remote.name", "upstream"},
		{"repository.name", "r"},
		{"mirror", "true"},
		{"remote.suite", "sid"},
		{"remote.depth", "3"},
		{"sync.flavour", "sweet"},
		{"sync.optimize", "false"},
		{"remote.nonsense", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *v = h->get(s, rows[i].name);

		if ((v == NULL) != (rows[i].value == NULL) || (v != NULL && strcmp(v, rows[i].value) != 0))
			return h->fail(s, "%s is %s", rows[i].name, v != NULL ? v : "unset");
	}
	return 0;
}

static int check_defaults(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	if (h->get(s, "remote.depth") != NULL || strcmp(h->get(s, "remote.suite"), "stable") != 0)
		return h->fail(s, "wrong defaults");
	return strcmp(h->get(s, "mirror"), "false") == 0 ? 0 : h->fail(s, "mirror");
}

static int publish_nothing(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	return 0;
}

static void facts_by_name(void **state)
{
	begin(state, "'extra': {'suite': 'sid', 'depth': 3}");
	publish_script = publish_nothing;
	sync_script = check_facts;
	assert_string_equal(
		bench_sync(bench, repo, remote, "'mirror': true, 'flavour': 'sweet', 'optimize': false"), "completed");
	assert_string_equal(bench_error(bench), "");
	bench_remote_set(bench, remote, "'extra': {}");
	sync_script = check_defaults;
	assert_string_equal(bench_sync(bench, repo, remote, ""), "completed");
	assert_string_equal(bench_error(bench), "");
}

/* ---- what a format does wrong ---- */

static void assert_says(const char *reason)
{
	if (strstr(bench_error(bench), reason) == NULL)
		print_error("'%s' does not say '%s'\n", bench_error(bench), reason);
	assert_non_null(strstr(bench_error(bench), reason));
}

static int fail_with_reason(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	return h->fail(s, "because of %d things", 3);
}

static int fail_silently(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	return -7;
}

static int overlook_a_failure(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	(void)h->fail(s, "overlooked");
	(void)declare(h, s, "a", site_url(bench->up, "/a"), false);
	return 0;
}

static int claim_unchanged(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	return h->unchanged(s);
}

static int no_fields(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	const struct sluice_unit u = {.type = T, .natural_key = "k", .extra_json = "[1]"};

	return h->unit(s, &u);
}

static int no_key(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	const struct sluice_unit u = {.type = T, .natural_key = ""};

	return h->unit(s, &u);
}

static int path_up(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	return declare(h, s, "a/../../b", site_url(bench->up, "/a"), false);
}

static int url_of_another_kind(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	return declare(h, s, "a", "gopher://localhost/a", false);
}

static int with_digest(const struct sluice_sync_host *h, struct sluice_sync *s, const char *algorithm, const char *hex)
{
	const struct sluice_digest d = {algorithm, hex};
	const struct sluice_artifact a = {
		.relative_path = "a", .url = site_url(bench->up, "/a"), .size = -1, .digests = &d, .digest_count = 1};
	const struct sluice_unit u = {.type = T, .natural_key = "a", .artifacts = &a, .artifact_count = 1};

	return h->unit(s, &u);
}

static int digest_unknown(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	return with_digest(h, s, "crc32", "00000000");
}

static int digest_short(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	return with_digest(h, s, "sha256", "abcd");
}

static int digest_not_allowed(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	return with_digest(h, s, "md5", "00000000000000000000000000000000");
}

static int give_up(void *arg, const char *p, size_t n)
{
	return -1;
}

static int stop_reading(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	const struct sluice_fetch what = {.url = h->get(s, "remote.url"), .size = -1, .take = give_up};
	struct sluice_fetched got;

	return h->fetch(s, &what, &got);
}

static int url_too_long(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	char out[10];

	return h->sibling_url(s, h->get(s, "remote.url"), "a", out, sizeof(out));
}

static void misbehaviour_fails_the_sync(void **state)
{
	static const struct {
		int (*script)(const struct sluice_sync_host *h, struct sluice_sync *s);
		const char *reason;
	} rows[] = {
		{fail_with_reason, "because of 3 things"},
		{fail_silently, "failed without saying why"},
		{overlook_a_failure, "overlooked"},
		{claim_unchanged, "took a sync for unchanged"},
		{no_fields, "no JSON object"},
		{no_key, "no natural key"},
		{path_up, "\"..\""},
		{url_of_another_kind, "bad unit"},
		{digest_unknown, "unknown kind"},
		{digest_short, "malformed digest"},
		{digest_not_allowed, "[PLP0020]"},
		{stop_reading, "stopped reading"},
		{url_too_long, "longer than 9 bytes"},
	};

	begin(state, "'policy': 'on_demand'");
	site_put(bench->up, "/r/index", SLICE("index"));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		sync_script = rows[i].script;
		assert_string_equal(bench_sync(bench, repo, remote, ""), "failed");
		assert_says(rows[i].reason);
		assert_int_equal(bench_latest(bench, repo), 0);
		assert_int_equal(bench_count(bench, "content"), 0);
	}
}

static void policies_and_types_are_checked(void **state)
{
	const char *other;

	begin(state, "'policy': 'streamed'");
	sync_script = check_defaults;
	assert_string_equal(bench_sync(bench, repo, remote, ""), "failed");
	assert_non_null(strstr(bench_error(bench), "'streamed'"));
	other = bench_remote(bench, "file.file", "file", "http://localhost/", "");
	assert_string_equal(bench_sync(bench, repo, other, ""), "failed");
	assert_non_null(strstr(bench_error(bench), "another type"));
	assert_string_equal(bench_run(bench, "sync", "{'repository': '%s'}", repo), "failed");
	assert_non_null(strstr(bench_error(bench), "no valid 'remote'"));
}

/* ---- metadata ---- */

static struct buf taken = BUF_INIT(0);
static struct sluice_fetched got;

static int take(void *arg, const char *p, size_t n)
{
	return buf_add(&taken, p, n);
}

static int fetch_kept(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	const struct sluice_fetch what = {
		.url = h->get(s, "remote.url"), .if_changed = true, .save_as = "index", .size = -1, .take = take};
	int rc = h->fetch(s, &what, &got);

	if (rc == 0 && got.status == 304)
		return h->unchanged(s);
	return rc == 0 && got.status == 200 ? declare(h, s, "a", site_url(bench->up, "/a"), false) : rc;
}

/* More than one piece, broken off in the middle: the format sees it once and whole. */
static void metadata_comes_whole(void **state)
{
	struct buf index = BUF_INIT(0);

	for (int i = 0; i < 50000; i++)
		buf_addf(&index, "line %d\n", i);
	begin(state, "'policy': 'on_demand'");
	sync_script = fetch_kept;
	buf_reset(&taken);
	site_put(bench->up, "/r/index", buf_slice(&index));
	site_script(bench->up, "/r/index", &(struct site_script){.cut = 2, .cut_at = 300000, .etag = "\"e\""});
	assert_string_equal(bench_sync(bench, repo, remote, ""), "completed");
	assert_int_equal(got.status, 200);
	assert_int_equal(got.size, index.n);
	assert_string_equal(got.etag, "\"e\"");
	assert_true(slice_eq(buf_slice(&taken), buf_slice(&index)));
	assert_int_equal(site_hits(bench->up, "/r/index"), 3);
	/* Unchanged: nothing is handed over. */
	buf_reset(&taken);
	assert_string_equal(bench_sync(bench, repo, remote, ""), "completed");
	assert_int_equal(got.status, 304);
	assert_int_equal(taken.n, 0);
	/* Gone: the format decides. */
	site_drop(bench->up, "/r/index");
	assert_string_equal(bench_sync(bench, repo, remote, "'optimize': false"), "completed");
	assert_int_equal(got.status, 404);
	assert_non_null(strstr(got.problem, "404, message='Not Found'"));
	buf_fini(&index);
	buf_fini(&taken);
}

/* What a declared file is said to be: sha256 of "kept bytes" and its size, unless a test changes them. */
#define KEPT_SHA256 "40b26b79b8c6a8e3f36e9696301c4f7f1526202e44907c2659d11491c3e6d086"
static struct sluice_digest declared_digest;
static int64_t declared_size;
static bool declared_open;

static int fetch_declared(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	struct sluice_fetch what = {
		.url = site_url(bench->up, "/r/primary"),
		.save_as = "primary",
		.size = declared_size,
		.digests = &declared_digest,
		.digest_count = 1,
		.open = declared_open,
		.take = take,
	};
	int rc = h->fetch(s, &what, &got);

	return rc == 0 ? declare(h, s, "a", site_url(bench->up, "/a"), false) : rc;
}

static int publish_primary(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	return h->file_kept(p, "primary", "primary");
}

static void metadata_is_what_it_is_said_to_be(void **state)
{
	begin(state, "'policy': 'on_demand', 'max_retries': 1");
	sync_script = fetch_declared;
	site_put(bench->up, "/r/primary", SLICE("kept bytes"));

	declared_digest = (struct sluice_digest){"sha1", "0000000000000000000000000000000000000000"};
	declared_size = -1;
	assert_string_equal(bench_sync(bench, repo, remote, ""), "failed");
	assert_non_null(strstr(bench_error(bench), "[PLP0003]"));
	assert_non_null(strstr(bench_error(bench), "/r/primary: sha1 is "));
	assert_int_equal(site_hits(bench->up, "/r/primary"), 2); /* it may have been replaced just then */

	declared_digest = (struct sluice_digest){"sha256", KEPT_SHA256};
	for (declared_size = 9; declared_size <= 11; declared_size += 2) {
		assert_string_equal(bench_sync(bench, repo, remote, ""), "failed");
		assert_non_null(strstr(bench_error(bench), "[PLP0004]"));
	}
	declared_digest.hex = "abc";
	assert_string_equal(bench_sync(bench, repo, remote, ""), "failed");
	assert_int_equal(taken.n, 0);

	declared_digest.hex = KEPT_SHA256;
	declared_size = 10;
	assert_string_equal(bench_sync(bench, repo, remote, ""), "completed");
	assert_string_equal(taken.p, "kept bytes");
	buf_fini(&taken);
}

/* As a file that is named anew with each change of another one. */
static void saved_metadata_is_not_downloaded_again(void **state)
{
	begin(state, "'policy': 'on_demand'");
	sync_script = fetch_declared;
	publish_script = publish_primary;
	declared_digest = (struct sluice_digest){"sha256", KEPT_SHA256};
	declared_size = 10;
	site_put(bench->up, "/r/primary", SLICE("kept bytes"));
	assert_string_equal(bench_sync(bench, repo, remote, "'mirror': true"), "completed");
	site_forget_hits(bench->up);
	buf_reset(&taken);
	assert_string_equal(bench_sync(bench, repo, remote, "'mirror': true, 'optimize': false"), "completed");
	assert_int_equal(site_all_hits(bench->up), 0);
	assert_string_equal(taken.p, "kept bytes");
	buf_fini(&taken);
}

static void metadata_is_opened_and_kept_as_it_came(void **state)
{
	static const char packed[] = "\037\213\010\000\000\000\000\000\002\003\313\110\315\311\311\127\310\000\221\134"
				     "\000\245\152\012\104\014\000\000\000";
	const struct slice body = slice_of(packed, sizeof(packed) - 1);

	begin(state, "'policy': 'on_demand'");
	sync_script = fetch_declared;
	publish_script = publish_primary;
	declared_digest =
		(struct sluice_digest){"sha256", "99accfa915a5e6bf9b2d07986ed2b99db7f6094cad38452c074e583c1af38069"};
	declared_size = (int64_t)body.n;
	declared_open = true;
	site_put(bench->up, "/r/primary", body);
	assert_string_equal(bench_sync(bench, repo, remote, "'mirror': true"), "completed");
	assert_string_equal(taken.p, "hello hello\n");

	site_put(bench->up, "/r/primary", slice_of(body.p, body.n - 1));
	declared_size = -1;
	declared_digest.hex = "e59463bd11bf3c1826204553b6d93e23e145615a9d2a20261ae9e59e844a3fae";
	assert_string_equal(bench_sync(bench, repo, remote, ""), "failed");
	assert_non_null(strstr(bench_error(bench), "/r/primary: the gzip data breaks off"));
	declared_open = false;
	buf_fini(&taken);
}

/* ---- publishing ---- */

static int publish_kept(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	int rc = h->set(p, "label", "\"fancy\"");

	if (rc == 0 && h->file_kept(p, "never-kept", "x") != 1)
		return h->fail(p, "found what was never kept");
	return rc == 0 ? h->file_kept(p, "index", "repodata/index") : rc;
}

static void kept_metadata_is_published(void **state)
{
	begin(state, "'policy': 'on_demand'");
	sync_script = fetch_kept;
	publish_script = publish_kept;
	site_put(bench->up, "/r/index", SLICE("kept bytes"));
	assert_string_equal(bench_sync(bench, repo, remote, "'mirror': true"), "completed");
	assert_int_equal(json_array_size(bench->created), 2);
	assert_string_equal(bench_published(bench, repo, "repodata/index"), "kept bytes");
	buf_fini(&taken);
}

static int declare_what_was_kept(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	const struct sluice_artifact a = {.relative_path = "repodata/index", .kept = "index", .size = -1};
	const struct sluice_unit u = {.type = T, .natural_key = "index", .artifacts = &a, .artifact_count = 1};
	int rc = fetch_kept(h, s);

	return rc == 0 ? h->unit(s, &u) : rc;
}

static void kept_metadata_is_a_unit(void **state)
{
	begin(state, "'policy': 'on_demand'");
	sync_script = declare_what_was_kept;
	site_put(bench->up, "/r/index", SLICE("kept bytes"));
	assert_string_equal(bench_sync(bench, repo, remote, ""), "completed");
	assert_int_equal(bench_saved(bench, repo, "repodata/index"), 1);
	assert_non_null(strstr(bench_files(bench, repo, 1), "repodata/index 40b26b79 10\n"));
	assert_int_equal(site_all_hits(bench->up), 1);
	buf_fini(&taken);
}

static int declare_one(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	const struct sluice_artifact a = {.relative_path = "a", .url = h->get(s, "remote.url"), .size = -1};
	const struct sluice_unit u = {.type = T, .natural_key = "a", .artifacts = &a, .artifact_count = 1};

	return h->unit(s, &u);
}

static int publish_elsewhere(void *arg, const struct sluice_file *f)
{
	const struct sluice_publish_host *const *h = arg;

	return strcmp(f->type, T) == 0 && strcmp(f->natural_key, "a") == 0
		       ? (*h)->file_unit((struct sluice_publish *)(uintptr_t)h[1], f, "Packages/a")
		       : 0;
}

static int publish_under_other_paths(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	const void *arg[2] = {h, p};
	int rc = h->only_published(p);

	return rc == 0 ? h->each_file(p, publish_elsewhere, arg) : rc;
}

static void units_can_be_published_under_other_paths(void **state)
{
	begin(state, "");
	bench_repository_set(bench, repo, "'autopublish': true");
	sync_script = declare_one;
	publish_script = publish_under_other_paths;
	site_put(bench->up, "/r/index", SLICE("bytes of a"));
	assert_string_equal(bench_sync(bench, repo, remote, ""), "completed");
	assert_string_equal(bench_published(bench, repo, "Packages/a"), "bytes of a");
}

static const char *detail; /* that declare_with_detail gives */

static int declare_with_detail(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	const struct sluice_artifact a = {.relative_path = "a", .url = h->get(s, "remote.url"), .size = -1};
	const struct sluice_unit u = {.type = T,
		.natural_key = "a",
		.detail = detail,
		.detail_size = detail != NULL ? strlen(detail) : 0,
		.artifacts = &a,
		.artifact_count = 1};

	return h->unit(s, &u);
}

static int write_detail(void *arg, const struct sluice_file *f)
{
	return buf_add(arg, f->detail != NULL ? f->detail : "-", f->detail != NULL ? f->detail_size : 1);
}

static int publish_detail(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	struct buf text = BUF_INIT(0);
	int rc = h->each_file(p, write_detail, &text);

	if (rc == 0)
		rc = h->file_begin(p, "unnamed");
	if (rc == 0)
		rc = h->file_write(p, text.p, text.n);
	if (rc == 0)
		rc = h->file_name(p, "named/detail");
	buf_fini(&text);
	return rc == 0 ? h->file_end(p) : rc;
}

static const char *published_detail(void)
{
	assert_string_equal(bench_sync(bench, repo, remote, ""), "completed");
	assert_string_equal(bench_run(bench, "publish", "{'repository_version': ['%s', 1]}", repo), "completed");
	return bench_published(bench, repo, "named/detail");
}

/* Known once, it stays; what is known without gets it. */
static void details_of_units(void **state)
{
	begin(state, "'policy': 'on_demand'");
	sync_script = declare_with_detail;
	publish_script = publish_detail;
	detail = NULL;
	assert_string_equal(published_detail(), "-");
	detail = "first";
	assert_string_equal(published_detail(), "first");
	detail = "second";
	assert_string_equal(published_detail(), "first");
}

static int read_twice_and_optional(const struct sluice_sync_host *h, struct sluice_sync *s)
{
	struct sluice_fetch what = {.url = h->get(s, "remote.url"), .save_as = "index", .size = -1};
	char forbidden[128];
	struct sluice_reading *r[2];
	int rc = h->fetch(s, &what, &got), more = 1;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(r); i++)
		rc = h->read_begin(s, "index", take, NULL, &r[i]);
	while (rc == 0 && more > 0) {
		more = h->read_more(s, r[0]);
		rc = more < 0 ? more : h->read_more(s, r[1]);
		rc = rc < 0 ? rc : 0;
	}
	if (rc == 0 && h->read_more(s, r[0]) != 0)
		return h->fail(s, "read on behind the end");
	(void)snprintf(forbidden, sizeof(forbidden), "%s", site_url(bench->up, "/forbidden"));
	what = (struct sluice_fetch){.url = forbidden, .optional = true, .size = -1};
	if (rc == 0)
		rc = h->fetch(s, &what, &got);
	return rc == 0 && (got.status != 403 || got.problem[0] == '\0') ? h->fail(s, "403 is %d", got.status) : rc;
}

static void reading_again_and_doing_without(void **state)
{
	begin(state, "'policy': 'on_demand'");
	sync_script = read_twice_and_optional;
	site_put(bench->up, "/r/index",
		SLICE("\037\213\010\000\000\000\000\000\002\003\313\110\315\311\311\127\310\000\221\134"
		      "\000\245\152\012\104\014\000\000\000"));
	site_script(bench->up, "/forbidden", &(struct site_script){.status = 403});
	assert_string_equal(bench_sync(bench, repo, remote, ""), "completed");
	assert_string_equal(taken.p, "hello hello\nhello hello\n");
	buf_fini(&taken);
}

static int publish_many(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	char path[32];
	int rc = 0;

	for (int i = 0; rc == 0 && i < 200; i++) {
		snprintf(path, sizeof(path), "simple/%d/index.html", i);
		rc = h->file_begin(p, path);
		if (rc == 0)
			rc = h->file_write(p, path, strlen(path));
		if (rc == 0)
			rc = h->file_end(p);
	}
	return rc;
}

static int publish_twice(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	for (int i = 0; i < 2; i++) {
		(void)h->file_begin(p, "same");
		(void)h->file_end(p);
	}
	return 0;
}

static int begin_twice(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	(void)h->file_begin(p, "a");
	return h->file_begin(p, "b");
}

static int never_end(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	return h->file_begin(p, "a");
}

static int write_nowhere(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	return h->file_write(p, "a", 1);
}

static int end_nothing(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	return h->file_end(p);
}

static int set_late(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	(void)publish_many(h, p);
	return h->set(p, "label", "1");
}

static int set_nonsense(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	return h->set(p, "label", "{");
}

/* The first batches are written by then. */
static int fail_late(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	int rc = publish_many(h, p);

	return rc == 0 ? h->fail(p, "at the very end") : rc;
}

static void bad_publications_leave_nothing(void **state)
{
	static const struct {
		int (*script)(const struct sluice_publish_host *h, struct sluice_publish *p);
		const char *reason;
	} rows[] = {
		{publish_twice, "'same' twice"},
		{begin_twice, "before it had ended"},
		{never_end, "did not end"},
		{write_nowhere, "without having begun"},
		{end_nothing, "had not begun"},
		{set_late, "after its first file"},
		{set_nonsense, "no JSON"},
		{fail_late, "at the very end"},
	};

	begin(state, "");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		publish_script = rows[i].script;
		assert_string_equal(bench_run(bench, "publish", "{'repository_version': ['%s', 0]}", repo), "failed");
		assert_says(rows[i].reason);
		assert_int_equal(json_array_size(bench->created), 0);
		assert_int_equal(bench_count(bench, "publication"), 0);
	}
	publish_script = publish_many;
	assert_string_equal(bench_run(bench, "publish", "{'repository_version': ['%s', 0]}", repo), "completed");
	assert_string_equal(bench_published(bench, repo, "simple/199/index.html"), "simple/199/index.html");
	assert_string_equal(bench_published(bench, repo, "simple/0/index.html"), "simple/0/index.html");
}

static int publish_nowhere(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	(void)publish_many(h, p);
	return h->file_begin(p, "../a");
}

static void a_version_comes_with_its_publication_or_not(void **state)
{
	begin(state, "'policy': 'on_demand'");
	bench_repository_set(bench, repo, "'autopublish': true");
	sync_script = declare_one;
	publish_script = publish_nowhere;
	assert_string_equal(bench_sync(bench, repo, remote, ""), "failed");
	assert_says("../a");
	assert_int_equal(bench_latest(bench, repo), 0);
	assert_int_equal(bench_count(bench, "version"), 1);
	assert_int_equal(bench_count(bench, "publication"), 0);
	assert_int_equal(json_array_size(bench->created), 0);
	publish_script = publish_many;
	assert_string_equal(bench_sync(bench, repo, remote, ""), "completed");
	assert_int_equal(bench_latest(bench, repo), 1);
	assert_int_equal(json_array_size(bench->created), 2);
	assert_string_equal(bench_published(bench, repo, "simple/199/index.html"), "simple/199/index.html");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(never_deferred_is_had_at_once),
		TEST(never_deferred_that_fails),
		TEST(known_is_what_the_last_sync_declared),
		TEST(facts_by_name),
		TEST(misbehaviour_fails_the_sync),
		TEST(policies_and_types_are_checked),
		TEST(metadata_comes_whole),
		TEST(metadata_is_what_it_is_said_to_be),
		TEST(saved_metadata_is_not_downloaded_again),
		TEST(metadata_is_opened_and_kept_as_it_came),
		TEST(kept_metadata_is_published),
		TEST(kept_metadata_is_a_unit),
		TEST(details_of_units),
		TEST(reading_again_and_doing_without),
		TEST(units_can_be_published_under_other_paths),
		TEST(bad_publications_leave_nothing),
		TEST(a_version_comes_with_its_publication_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
