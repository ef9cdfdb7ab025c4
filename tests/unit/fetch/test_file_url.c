/* file:// URLs: read like a server's, and only below the directories that are allowed. */
#include "harness.h"

#include "base/fsutil.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGE (1024 * 1024 + 7)

struct site {
	struct env env;
	char dir[64]; /* has allowed/ and secret/ */
	char opts[160];
};

static void serve(struct peer_conn *c, const struct peer_req *req, void *arg)
{
	peer_close(c);
}

static char *in(struct site *s, const char *name)
{
	static char path[4][256];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", s->dir, name);
	return path[turn];
}

static void put(struct site *s, const char *name, const char *text)
{
	assert_int_equal(fs_replace_file(in(s, name), text, strlen(text), 0640, NULL), 0);
}

static int setup(void **state)
{
	struct site *s = calloc(1, sizeof(*s));
	char *large = calloc(1, LARGE);

	strcpy(s->dir, "/tmp/sluice-file-url-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	assert_int_equal(fs_mkdirs(in(s, "allowed/sub"), 0700, NULL), 0);
	assert_int_equal(fs_mkdirs(in(s, "allowed-not"), 0700, NULL), 0);
	assert_int_equal(fs_mkdirs(in(s, "secret"), 0700, NULL), 0);
	put(s, "allowed/hello", "hello");
	put(s, "allowed/empty", "");
	put(s, "allowed/sub/a b%20?c#d", "odd name");
	put(s, "allowed-not/hello", "not this");
	put(s, "secret/key", "secret");
	assert_int_equal(fs_replace_file(in(s, "allowed/large"), large, LARGE, 0640, NULL), 0);
	assert_int_equal(symlink("hello", in(s, "allowed/link-inside")), 0);
	assert_int_equal(symlink("../secret/key", in(s, "allowed/link-outside")), 0);
	assert_int_equal(symlink("../secret", in(s, "allowed/dir-outside")), 0);
	assert_int_equal(symlink("allowed", in(s, "link-to-allowed")), 0);
	assert_int_equal(symlink("loop", in(s, "allowed/loop")), 0);
	assert_int_equal(mkfifo(in(s, "allowed/fifo"), 0600), 0);
	snprintf(s->opts, sizeof(s->opts), "/nonexistent, relative, %s/allowed/ ,", s->dir);
	env_open(&s->env, serve, NULL, &(struct fetch_ctx_opts){.allowed_import_paths = s->opts});
	free(large);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct site *s = *state;

	env_close(&s->env);
	assert_int_equal(fs_remove_tree(s->dir, NULL), 0);
	free(s);
	return 0;
}

static int run(struct site *s, struct call *c, const char *name, struct fetch_req req)
{
	char url[512];

	snprintf(url, sizeof(url), "file://%s", in(s, name));
	return call_run_req(&s->env, c, url, &req);
}

static void test_what_may_be_read(void **state)
{
	struct site *s = *state;
	static const struct {
		const char *name;
		int rc;
		int status;
		const char *body;
	} cases[] = {
		{"allowed/hello", 0, 200, "hello"},
		{"allowed/empty", 0, 200, ""},
		{"allowed/sub/a b%20?c#d", 0, 200, "odd name"},
		{"allowed/link-inside", 0, 200, "hello"},
		{"link-to-allowed/hello", 0, 200, "hello"},
		{"allowed/sub/../hello", 0, 200, "hello"},
		{"allowed/missing", 0, 404, ""},
		{"allowed/missing/deeper", 0, 404, ""},
		{"allowed/hello/deeper", 0, 404, ""},
		{"allowed/sub", 0, 404, ""},
		{"allowed/sub/", 0, 404, ""},
		{"allowed/fifo", 0, 404, ""},
		{"link-to-allowed/missing", 0, 404, ""},
		{"allowed/link-outside", -ERR_DENIED, 0, ""},
		{"allowed/dir-outside/key", -ERR_DENIED, 0, ""},
		{"allowed/dir-outside/missing", -ERR_DENIED, 0, ""},
		{"allowed/../secret/key", -ERR_DENIED, 0, ""},
		{"allowed/../secret/missing", -ERR_DENIED, 0, ""},
		{"allowed-not/hello", -ERR_DENIED, 0, ""},
		{"allowed", -ERR_DENIED, 0, ""},
		{"secret/key", -ERR_DENIED, 0, ""},
		{"secret/missing", -ERR_DENIED, 0, ""},
		{"missing", -ERR_DENIED, 0, ""},
		{"../../etc/passwd", -ERR_DENIED, 0, ""},
		{"allowed/loop", -ERR_IO, 0, ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct call c = {0};

		run(s, &c, cases[i].name, (struct fetch_req){0});
		if (c.rc != cases[i].rc || c.status != cases[i].status)
			fail_msg("%s: %s, status %d: %s", cases[i].name, err_name(c.rc), c.status, c.err.msg);
		assert_body(&c, cases[i].body);
		assert_int_equal(c.heads, cases[i].status != 0);
		if (c.rc == -ERR_DENIED)
			assert_non_null(strstr(c.err.msg, "allowed_import_paths"));
		if (c.status == 200) {
			assert_int_equal(c.length, strlen(cases[i].body));
			assert_int_equal(c.total, strlen(cases[i].body));
		}
		call_free(&c);
	}
}

static void test_nothing_is_allowed_by_default(void **state)
{
	struct env e;
	struct call c = {0};

	(void)state;
	env_open(&e, serve, NULL, NULL);
	assert_int_equal(call_run(&e, &c, "file:///etc/passwd"), -ERR_DENIED);
	call_free(&c);
	assert_int_equal(call_run(&e, &c, "file:///nonexistent"), -ERR_DENIED);
	call_free(&c);
	env_close(&e);
}

static void test_large_and_in_parts(void **state)
{
	struct site *s = *state;
	struct call c = {0};
	char etag[64];
	int64_t bytes = metric_get(M_fetch_bytes);

	assert_int_equal(run(s, &c, "allowed/large", (struct fetch_req){0}), 0);
	assert_int_equal(c.body.n, LARGE);
	assert_true(c.datas > 1);
	assert_int_equal(metric_get(M_fetch_bytes) - bytes, LARGE);
	assert_string_not_equal(c.etag, "");
	assert_string_not_equal(c.last_modified, "");
	assert_non_null(strstr(c.headers.p, "Content-Length: 1048583\n"));
	strcpy(etag, c.etag);
	call_free(&c);

	assert_int_equal(run(s, &c, "allowed/large", (struct fetch_req){.range_from = LARGE - 3, .if_range = etag}), 0);
	assert_int_equal(c.status, 206);
	assert_int_equal(c.range_start, LARGE - 3);
	assert_int_equal(c.length, 3);
	assert_int_equal(c.total, LARGE);
	assert_int_equal(c.body.n, 3);
	call_free(&c);

	assert_int_equal(run(s, &c, "allowed/large", (struct fetch_req){.range_from = 100, .range_to = 110}), 0);
	assert_int_equal(c.status, 206);
	assert_int_equal(c.range_start, 100);
	assert_int_equal(c.length, 10);
	assert_int_equal(c.total, LARGE);
	assert_int_equal(c.body.n, 10);
	call_free(&c);

	assert_int_equal(run(s, &c, "allowed/large", (struct fetch_req){.range_from = 5, .if_range = "\"old\""}), 0);
	assert_int_equal(c.status, 200);
	assert_int_equal(c.body.n, LARGE);
	call_free(&c);

	assert_int_equal(run(s, &c, "allowed/large", (struct fetch_req){.range_from = LARGE}), 0);
	assert_int_equal(c.status, 416);
	assert_int_equal(c.body.n, 0);
	call_free(&c);
}

static void test_conditions(void **state)
{
	struct site *s = *state;
	struct call c = {0};
	char etag[64], date[64];

	assert_int_equal(run(s, &c, "allowed/hello", (struct fetch_req){0}), 0);
	strcpy(etag, c.etag);
	strcpy(date, c.last_modified);
	call_free(&c);
	assert_int_equal(run(s, &c, "allowed/hello", (struct fetch_req){.if_none_match = etag}), 0);
	assert_int_equal(c.status, 304);
	assert_int_equal(c.body.n, 0);
	assert_string_equal(c.etag, etag);
	call_free(&c);
	assert_int_equal(run(s, &c, "allowed/hello", (struct fetch_req){.if_modified_since = date}), 0);
	assert_int_equal(c.status, 304);
	call_free(&c);
	put(s, "allowed/hello", "changed");
	assert_int_equal(
		run(s, &c, "allowed/hello", (struct fetch_req){.if_none_match = etag, .if_modified_since = date}), 0);
	assert_int_equal(c.status, 200);
	assert_body(&c, "changed");
	call_free(&c);
}

static bool paused(void *arg)
{
	return ((struct call *)arg)->pauses > 0;
}

static void start(struct site *s, struct call *c, const char *name)
{
	char url[512];

	snprintf(url, sizeof(url), "file://%s", in(s, name));
	call_go(&s->env, c, url);
}

static void test_pause_and_resume(void **state)
{
	struct site *s = *state;
	struct call c = {.pause = true};

	start(s, &c, "allowed/large");
	env_wait(&s->env, paused, &c, "the first pause");
	assert_int_equal(c.datas, 0);
	call_resume(&c);
	call_wait(&c);
	assert_int_equal(c.rc, 0);
	assert_int_equal(c.body.n, LARGE);
	call_free(&c);
}

/* Cut off while it is read: what came does not count as the whole. */
static void test_a_file_that_shrinks(void **state)
{
	struct site *s = *state;
	struct call c = {.pause = true};

	start(s, &c, "allowed/large");
	env_wait(&s->env, paused, &c, "the first pause");
	assert_int_equal(truncate(in(s, "allowed/large"), 1000), 0);
	call_resume(&c);
	call_wait(&c);
	assert_int_equal(c.rc, -ERR_TRUNCATED);
	call_free(&c);
}

static void test_cancel(void **state)
{
	struct site *s = *state;
	struct call in_head = {.cancel_in_head = true}, in_data = {.cancel_in_data = true}, at_once = {0},
		    is_paused = {.pause = true}, c = {0}, refused = {.head_rc = -ERR_SIZE};

	start(s, &in_head, "allowed/large");
	start(s, &in_data, "allowed/large");
	start(s, &at_once, "allowed/large");
	fetch_cancel(&at_once.fetch);
	start(s, &is_paused, "allowed/large");
	env_wait(&s->env, paused, &is_paused, "the first pause");
	fetch_cancel(&is_paused.fetch);
	assert_int_equal(run(s, &refused, "allowed/large", (struct fetch_req){0}), -ERR_SIZE);
	assert_int_equal(run(s, &c, "allowed/hello", (struct fetch_req){0}), 0);
	assert_int_equal(in_head.datas + at_once.heads, 0);
	assert_int_equal(in_data.datas, 1);
	assert_false(in_head.done || in_data.done || at_once.done || is_paused.done);
	call_free(&in_head);
	call_free(&in_data);
	call_free(&is_paused);
	call_free(&refused);
	call_free(&c);
}

/* The context goes while the pool still reads for it, many times, to meet the pool at different moments. */
static void test_the_context_goes_first(void **state)
{
	struct site *s = *state;

	for (int i = 0; i < 50; i++) {
		struct fetch_ctx_opts opts = {
			.loop = s->env.loop, .pool = s->env.pool, .allowed_import_paths = s->opts};
		struct call calls[8] = {0};

		env_free_ctx(&s->env);
		assert_int_equal(fetch_ctx_new(&opts, &s->env.ctx, NULL), 0);
		for (size_t k = 0; k < ARRAY_LEN(calls); k++)
			start(s, &calls[k], "allowed/large");
		for (int turn = 0; turn <= i % 5; turn++) {
			struct loop_timer *t = &s->env.tick;

			s->env.ticked = false;
			assert_int_equal(loop_timer_set(s->env.loop, t, 0), 0);
			loop_run_until(s->env.loop, &s->env.ticked);
		}
		env_free_ctx(&s->env);
		for (size_t k = 0; k < ARRAY_LEN(calls); k++) {
			assert_true(calls[k].done);
			assert_true(calls[k].rc == -ERR_CANCELED || calls[k].rc == 0);
			call_free(&calls[k]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_what_may_be_read),
		cmocka_unit_test(test_nothing_is_allowed_by_default),
		T(test_large_and_in_parts),
		T(test_conditions),
		T(test_pause_and_resume),
		T(test_a_file_that_shrinks),
		T(test_cancel),
		T(test_the_context_goes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
