/* See harness.h. */
#include "harness.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define DEADLINE_S 20

static int order;

int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static void on_deadline(struct loop_timer *t)
{
	fprintf(stderr, "a test waited for %d seconds in vain\n", DEADLINE_S);
	abort();
}

static void on_tick(struct loop_timer *t)
{
	container_of(t, struct env, tick)->ticked = true;
}

void env_open_tls(
	struct env *e, peer_fn *fn, void *arg, const struct fetch_ctx_opts *given, const struct peer_layer *layer)
{
	struct fetch_ctx_opts opts = {0};
	/* libcurl opens /dev/urandom or the like once; that is not a leak. */
	static bool warm;
	struct err err;

	if (!warm) {
		warm = true;
		env_open(e, fn, arg, NULL);
		env_close(e);
	}
	memset(e, 0, sizeof(*e));
	e->fds = open_fds();
	assert_int_equal(loop_new("test", &e->loop, &err), 0);
	assert_int_equal(pool_new("test", 2, 1000, &e->pool, &err), 0);
	if (given != NULL)
		opts = *given;
	opts.loop = e->loop;
	opts.pool = e->pool;
	assert_int_equal(fetch_ctx_new(&opts, &e->ctx, &err), 0);
	e->peer = peer_new(fn, arg, layer);
	snprintf(e->root, sizeof(e->root), layer != NULL ? "https://localhost:%d/" : "http://127.0.0.1:%d/",
		peer_port(e->peer));
	e->remote = (struct fetch_remote){.key = 1, .revision = 1, .origin_url = e->root, .tls_validation = true};
	e->deadline.fn = on_deadline;
	e->tick.fn = on_tick;
	assert_int_equal(loop_timer_set(e->loop, &e->deadline, DEADLINE_S * NS_PER_S), 0);
}

void env_open(struct env *e, peer_fn *fn, void *arg, const struct fetch_ctx_opts *opts)
{
	env_open_tls(e, fn, arg, opts, NULL);
}

void env_free_ctx(struct env *e)
{
	fetch_ctx_free(&e->ctx);
}

void env_close(struct env *e)
{
	fetch_ctx_free(&e->ctx);
	pool_free(&e->pool);
	loop_timer_cancel(e->loop, &e->deadline);
	loop_timer_cancel(e->loop, &e->tick);
	loop_free(&e->loop);
	peer_free(&e->peer);
	assert_int_equal(open_fds(), e->fds);
}

void env_wait(struct env *e, bool (*cond)(void *arg), void *arg, const char *what)
{
	int64_t until = clock_mono_ns() + DEADLINE_S * NS_PER_S;

	assert_int_equal(loop_timer_set(e->loop, &e->deadline, 2 * DEADLINE_S * NS_PER_S), 0);
	while (!cond(arg)) {
		if (clock_mono_ns() > until)
			fail_msg("waited in vain: %s", what);
		e->ticked = false;
		assert_int_equal(loop_timer_set(e->loop, &e->tick, NS_PER_MS), 0);
		loop_run_until(e->loop, &e->ticked);
	}
}

static void keep(char *out, size_t cap, struct slice s)
{
	snprintf(out, cap, "%.*s", SLICE_ARG(s));
}

static int on_head(void *arg, const struct fetch_head *head)
{
	struct call *c = arg;

	assert_false(c->done);
	assert_int_equal(c->datas, 0);
	c->heads++;
	c->status = head->status;
	c->length = head->length;
	c->range_start = head->range_start;
	c->total = head->total;
	keep(c->etag, sizeof(c->etag), head->etag);
	keep(c->last_modified, sizeof(c->last_modified), head->last_modified);
	keep(c->content_type, sizeof(c->content_type), head->content_type);
	keep(c->retry_after, sizeof(c->retry_after), head->retry_after);
	keep(c->url, sizeof(c->url), head->effective_url);
	for (size_t i = 0; i < head->header_count; i++)
		buf_addf(&c->headers, "%.*s: %.*s\n", SLICE_ARG(head->headers[i].name),
			SLICE_ARG(head->headers[i].value));
	if (c->cancel_in_head)
		fetch_cancel(&c->fetch);
	return c->head_rc;
}

static int on_data(void *arg, const char *p, size_t n)
{
	struct call *c = arg;

	assert_false(c->done);
	assert_int_equal(c->heads, 1);
	assert_true(c->status == 200 || c->status == 206);
	if (c->pause) {
		c->pauses++;
		if (c->resume_at_once)
			call_resume(c);
		return FETCH_PAUSE;
	}
	c->datas++;
	assert_int_equal(buf_add(&c->body, p, n), 0);
	c->largest = MAX(c->largest, n);
	if (c->cancel_in_data)
		fetch_cancel(&c->fetch);
	return c->data_rc;
}

static void on_done(void *arg, int rc, const struct err *err)
{
	struct call *c = arg;

	assert_false(c->done);
	assert_int_equal(rc, err->code);
	c->done = true;
	c->done_ns = clock_mono_ns();
	c->rc = rc;
	c->err = *err;
	c->order = ++order;
	c->fetch = NULL;
}

int call_start(struct env *e, struct call *c, const char *target, const struct fetch_req *given, struct err *err)
{
	struct fetch_req req = {0};
	char url[2048];
	int rc;

	snprintf(url, sizeof(url), "%s%s", strstr(target, "://") != NULL ? "" : e->root, target);
	if (given != NULL)
		req = *given;
	req.url = url;
	req.on_head = on_head;
	req.on_data = on_data;
	req.on_done = on_done;
	req.arg = c;
	c->env = e;
	rc = fetch_start(e->ctx, &e->remote, &req, &c->fetch, err);
	memset(url, 'x', sizeof(url)); /* it was copied */
	assert_false(c->done);
	return rc;
}

void call_go(struct env *e, struct call *c, const char *target)
{
	struct err err;

	assert_int_equal(call_start(e, c, target, NULL, &err), 0);
}

bool call_done(void *c)
{
	return ((struct call *)c)->done;
}

void call_wait(struct call *c)
{
	env_wait(c->env, call_done, c, "the end of a fetch");
}

void call_resume(struct call *c)
{
	c->pause = false;
	fetch_resume(c->fetch);
}

void call_free(struct call *c)
{
	buf_fini(&c->headers);
	buf_fini(&c->body);
	memset(c, 0, sizeof(*c));
}

int call_run_req(struct env *e, struct call *c, const char *target, const struct fetch_req *req)
{
	struct err err;

	assert_int_equal(call_start(e, c, target, req, &err), 0);
	call_wait(c);
	return c->rc;
}

int call_run(struct env *e, struct call *c, const char *target)
{
	return call_run_req(e, c, target, NULL);
}
