/* The context, and the life of a fetch from fetch_start to on_done.
 *
 * A fetch waits in the lane of its remote, has an exchange (transfer.c, file_url.c) while it runs, and after a failure
 * that may pass waits for its next attempt. Call-backs of the caller run inside of libcurl's functions, where most of
 * libcurl must not be used: cancel and resume therefore only make a note, and fetch_ctx_kick() acts on it in the next
 * turn of the loop, which is also when queued fetches start. Loop only. */
#include "fetch/fetch_priv.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/metrics.h"
#include "base/url.h"
#include "fetch/ca.h"
#include "fetch/origin.h"
#include "fetch/upstream.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define CTX_MAGIC 0x66657463u   /* "fetc" */
#define FETCH_MAGIC 0x66657468u /* "feth" */

#define DEFAULT_TIMEOUT_MS 60000
#define TIMEOUT_MAX_S (30 * 86400.0)

/* ---- context ---- */

static CURLcode curl_init_rc;

static void curl_init_once(void)
{
	struct sigaction sa, ignore = {.sa_handler = SIG_IGN};

	curl_init_rc = curl_global_init(CURL_GLOBAL_ALL);
	ca_open();
	/* OpenSSL writes to sockets without MSG_NOSIGNAL: a peer that is gone must not end the process. Whoever has
	 * chosen something else than the default has thought of it. */
	if (sigaction(SIGPIPE, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL)
		(void)sigaction(SIGPIPE, &ignore, NULL); /* cannot fail: the signal exists */
}

static void fetch_ctx_kick(struct loop_timer *t);

static void fetch_ctx_sweep(struct loop_timer *t)
{
	struct fetch_ctx *c = container_of(t, struct fetch_ctx, sweep);

	ca_refresh(c->pool);
	lanes_sweep(c);
}

static char *copy_or_empty(const char *z)
{
	return strdup(z != NULL ? z : "");
}

int fetch_ctx_new(const struct fetch_ctx_opts *opts, struct fetch_ctx **out, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct fetch_ctx *c;

	pthread_once(&once, curl_init_once);
	if (curl_init_rc != CURLE_OK)
		return err_set(err, -ERR_INTERNAL, "libcurl: %s", curl_easy_strerror(curl_init_rc));
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_set(err, -ERR_NOMEM, "fetch context");
	c->magic = CTX_MAGIC;
	c->loop = opts->loop;
	c->pool = opts->pool;
	c->health = opts->health;
	c->max_running = opts->max_running;
	c->max_per_host = opts->max_per_host;
	c->max_waiting_per_host = opts->max_waiting_per_host;
	link_init(&c->fetches);
	link_init(&c->todo);
	link_init(&c->lanes_to_run);
	link_init(&c->lanes_blocked);
	c->kick.fn = fetch_ctx_kick;
	c->sweep.fn = fetch_ctx_sweep;
	c->user_agent = strdup(opts->user_agent != NULL ? opts->user_agent : "sluice/" SLUICE_VERSION);
	c->allowed_import_paths = copy_or_empty(opts->allowed_import_paths);
	c->credential_hosts = copy_or_empty(opts->credential_hosts);
	c->foreign_networks = copy_or_empty(opts->foreign_networks);
	if (c->user_agent == NULL || c->allowed_import_paths == NULL || c->credential_hosts == NULL ||
		c->foreign_networks == NULL) {
		fetch_ctx_free(&c);
		return err_set(err, -ERR_NOMEM, "fetch context");
	}
	*out = c;
	return 0;
}

void fetch_kick(struct fetch_ctx *c)
{
	/* It fails when a heap that never shrinks must grow and cannot; then the next fetch that does anything kicks. */
	if (c->kick.slot == 0 && !c->closing)
		(void)CHECK(loop_timer_set(c->loop, &c->kick, 0) == 0);
}

/* ---- the end of a fetch ---- */

static void fetch_free(struct fetch *f)
{
	link_del(&f->all);
	link_del(&f->todo);
	BUG(!link_alone(&f->place) || f->exchange != NULL);
	loop_timer_cancel(f->ctx->loop, &f->delay);
	upstream_put(&f->upstream);
	host_put(f->ctx, &f->host);
	health_put(&f->health);
	f->magic = 0;
	free(f);
}

/* Takes it out of everything it is in; what follows sets the next state or frees it. */
static void fetch_withdraw(struct fetch *f)
{
	health_let_go(f->health, &f->asked, loop_now(f->ctx->loop));
	f->kind->stop(f);
	lane_leave(f->upstream->lane, f);
	loop_timer_cancel(f->ctx->loop, &f->delay);
}

static void fetch_end(struct fetch *f, int rc, const struct err *err)
{
	f->state = FETCH_ENDED;
	if (!f->canceled && f->req.on_done != NULL)
		f->req.on_done(f->req.arg, rc, err);
	fetch_free(f);
}

void fetch_ctx_free(struct fetch_ctx **pc)
{
	struct fetch_ctx *c = TAKE(*pc);

	if (c == NULL)
		return;
	MAGIC_CHECK(c, CTX_MAGIC);
	ASSERT_ON_LOOP(c->loop);
	BUG(c->depth != 0);
	c->closing = true;
	while (!link_alone(&c->fetches)) {
		struct fetch *f = container_of(c->fetches.next, struct fetch, all);
		struct err err;

		fetch_withdraw(f);
		fetch_end(f, fetch_err(&err, -ERR_CANCELED, f->req.url, "%s", err_text(-ERR_CANCELED)), &err);
	}
	lanes_free(c);
	loop_timer_cancel(c->loop, &c->kick);
	file_port_close(c);
	free(c->user_agent);
	free(c->allowed_import_paths);
	free(c->credential_hosts);
	free(c->foreign_networks);
	free(c->gather.p);
	c->magic = 0;
	free(c);
}

void fetch_err_at(struct err *err, const char *url)
{
	struct buf b = BUF_INIT(65536);

	/* Half of the text is left for what happened there. */
	if (err != NULL && url_redact(slice_str(url), &b) == 0 && b.n > 0)
		(void)err_wrap(err, "%.*s", (int)MIN(b.n, sizeof(err->msg) / 2), b.p);
	buf_fini(&b);
}

int fetch_err(struct err *err, int code, const char *url, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)err_setv(err, code, fmt, ap);
	va_end(ap);
	fetch_err_at(err, url);
	return code;
}

/* ---- attempts ---- */

bool fetch_may_retry(const struct fetch *f)
{
	return !f->delivered && !f->canceled && f->attempt <= f->max_retries;
}

void fetch_start_attempt(struct fetch *f)
{
	struct err err = ERR_INIT;
	int rc;

	if (f->canceled) {
		fetch_withdraw(f);
		fetch_free(f);
		return;
	}
	rc = health_ask(f->health, slice_str(f->req.url), loop_now(f->ctx->loop), &f->asked, &err, NULL);
	if (rc != 0) {
		/* Whoever has tried before goes on trying: it may be open again by then. */
		fetch_err_at(&err, f->req.url);
		fetch_attempt_ended(f, rc, f->attempt > 1 || f->req.patient, -1, &err);
		return;
	}
	if (FAULT("fetch.start") != 0)
		rc = fetch_err(&err, -ERR_CONNECT, f->req.url, "%s", err_text(-ERR_CONNECT));
	else
		rc = f->kind->start(f, &err);
	if (rc != 0)
		fetch_attempt_ended(f, rc, rc == -ERR_CONNECT || rc == -ERR_LIMIT, -1, &err);
}

static void fetch_delay_over(struct loop_timer *t)
{
	struct fetch *f = container_of(t, struct fetch, delay);

	metric_inc(M_fetch_retries);
	f->attempt++;
	/* In front: it waited in the queue once already. */
	lane_enter(f->upstream->lane, f, true);
}

void fetch_attempt_ended(struct fetch *f, int rc, bool may_pass, int64_t wait_ms, const struct err *err)
{
	struct err copy;

	MAGIC_CHECK(f, FETCH_MAGIC);
	BUG(f->state != FETCH_RUNNING || f->ctx->depth != 0);
	if (rc != 0 && err != NULL)
		health_failed(f->health, &f->asked, err, loop_now(f->ctx->loop));
	fetch_withdraw(f);
	if (rc != 0 && may_pass && fetch_may_retry(f)) {
		f->state = FETCH_DELAYED;
		f->delay.fn = fetch_delay_over;
		if (loop_timer_set(f->ctx->loop, &f->delay, MAX(wait_ms, fetch_backoff_ms(f->attempt)) * NS_PER_MS) ==
			0)
			return;
	}
	copy = err != NULL ? *err : ERR_INIT;
	if (rc != 0 && f->attempt > 1)
		(void)err_set(&copy, rc, "%s (attempt %d)", copy.msg, f->attempt);
	fetch_end(f, rc, &copy);
}

/* ---- what the caller is given ---- */

int fetch_deliver_head(struct fetch *f, const struct fetch_head *head)
{
	int rc = 0;

	MAGIC_CHECK(f, FETCH_MAGIC);
	if (f->canceled)
		return -ERR_CANCELED;
	f->delivered |= head->status == 200 || head->status == 206;
	f->ctx->depth++;
	if (f->req.on_head != NULL)
		rc = f->req.on_head(f->req.arg, head);
	f->ctx->depth--;
	return f->canceled ? -ERR_CANCELED : MIN(rc, 0);
}

int fetch_deliver_data(struct fetch *f, const char *p, size_t n)
{
	int rc = 0;

	MAGIC_CHECK(f, FETCH_MAGIC);
	if (f->canceled)
		return -ERR_CANCELED;
	f->ctx->depth++;
	if (f->req.on_data != NULL)
		rc = f->req.on_data(f->req.arg, p, n);
	f->ctx->depth--;
	if (rc != FETCH_PAUSE)
		metric_add(M_fetch_bytes, (int64_t)n);
	return f->canceled ? -ERR_CANCELED : rc;
}

/* ---- notes, and acting on them ---- */

static void fetch_note(struct fetch *f)
{
	if (link_alone(&f->todo))
		link_add(&f->ctx->todo, &f->todo);
	fetch_kick(f->ctx);
}

void fetch_cancel(struct fetch **pf)
{
	struct fetch *f = TAKE(*pf);

	if (f == NULL)
		return;
	MAGIC_CHECK(f, FETCH_MAGIC);
	ASSERT_ON_LOOP(f->ctx->loop);
	BUG(f->state == FETCH_ENDED);
	f->canceled = true;
	fetch_note(f);
}

void fetch_resume(struct fetch *f)
{
	MAGIC_CHECK(f, FETCH_MAGIC);
	ASSERT_ON_LOOP(f->ctx->loop);
	fetch_note(f);
}

static void fetch_ctx_kick(struct loop_timer *t)
{
	struct fetch_ctx *c = container_of(t, struct fetch_ctx, kick);
	struct link now;

	/* What is noted from here on is for the next turn. */
	link_init(&now);
	while (!link_alone(&c->todo)) {
		struct link *l = c->todo.next;

		link_del(l);
		link_add(&now, l);
	}
	while (!link_alone(&now)) {
		struct fetch *f = container_of(now.next, struct fetch, todo);

		link_del(&f->todo);
		if (f->canceled) {
			fetch_withdraw(f);
			fetch_free(f);
		} else if (f->state == FETCH_RUNNING) {
			f->kind->resume(f);
		}
	}
	lanes_run(c);
}

/* ---- starting ---- */

static int64_t timeout_ms(double s, int64_t otherwise)
{
	if (!(s > 0)) /* also not a number */
		return otherwise;
	return MAX((int64_t)(MIN(s, TIMEOUT_MAX_S) * 1000), 1);
}

/* Both are set: whichever ends first, for libcurl does not tell the two apart. */
static int64_t connect_timeout_ms(const struct fetch_remote *r)
{
	int64_t a = timeout_ms(r->connect_timeout_s, 0), b = timeout_ms(r->sock_connect_timeout_s, 0);

	if (a == 0 && b == 0)
		return DEFAULT_TIMEOUT_MS;
	return a == 0 ? b : b == 0 ? a : MIN(a, b);
}

static int check_req(struct fetch_ctx *c, const struct fetch_req *req, const struct fetch_kind **kind, struct err *err)
{
	const char *const values[] = {req->if_range, req->if_none_match, req->if_modified_since};
	struct url u;
	int rc = url_parse(slice_str(req->url), &u, err);

	if (rc != 0) {
		fetch_err_at(err, req->url);
		return rc;
	}
	*kind = slice_eq_nocase(u.scheme, SLICE("file")) ? &fetch_kind_file : &fetch_kind_http;
	if (*kind == &fetch_kind_file && c->pool == NULL)
		return fetch_err(err, -ERR_UNSUPPORTED, req->url, "file: URLs are not read here");
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		if (values[i] != NULL && !origin_value_ok(values[i]))
			return fetch_err(err, -ERR_INVAL, req->url, "a validator has control bytes");
	return 0;
}

static const char *keep(char **at, const char *z)
{
	char *kept = *at;
	size_t n;

	if (z == NULL)
		return NULL;
	n = strlen(z) + 1;
	memcpy(kept, z, n);
	*at += n;
	return kept;
}

static size_t kept_size(const char *z)
{
	return z != NULL ? strlen(z) + 1 : 0;
}

static struct fetch *fetch_alloc(const struct fetch_req *req)
{
	size_t n = kept_size(req->url) + kept_size(req->if_range) + kept_size(req->if_none_match) +
		   kept_size(req->if_modified_since);
	struct fetch *f = calloc(1, sizeof(*f) + n);
	char *at;

	if (f == NULL)
		return NULL;
	at = f->text;
	f->magic = FETCH_MAGIC;
	f->req = *req;
	f->req.url = keep(&at, req->url);
	f->req.if_range = keep(&at, req->if_range);
	f->req.if_none_match = keep(&at, req->if_none_match);
	f->req.if_modified_since = keep(&at, req->if_modified_since);
	link_init(&f->place);
	link_init(&f->todo);
	return f;
}

/* Never a queue without bound, and for some not even a queue. */
static int check_room(struct fetch_ctx *c, const struct lane *l, const struct host *h,
	const struct fetch_remote *remote, const struct fetch_req *req, struct err *err)
{
	const char *why = NULL;

	if (req->optional && !lane_is_free(l, h, remote))
		why = "it would have to wait";
	else if (host_is_crowded(c, h))
		why = "too many requests wait for this host";
	else if (lane_queued(l) >= LANE_QUEUE_MAX)
		why = "too many requests wait for this remote";
	if (why == NULL)
		return 0;
	if (!req->optional)
		metric_inc(M_fetch_overloads);
	return fetch_err(err, -ERR_LIMIT, req->url, "%s", why);
}

int fetch_start(struct fetch_ctx *c, const struct fetch_remote *remote, const struct fetch_req *req, struct fetch **out,
	struct err *err)
{
	const struct fetch_kind *kind = NULL;
	struct upstream *u = NULL;
	struct host *h = NULL;
	struct fetch *f;
	int rc;

	MAGIC_CHECK(c, CTX_MAGIC);
	ASSERT_ON_LOOP(c->loop);
	if (c->closing)
		return err_set(err, -ERR_CLOSED, "%s", err_text(-ERR_CLOSED));
	rc = check_req(c, req, &kind, err);
	if (rc == 0)
		rc = upstream_get(c, remote, &u, err);
	if (rc != 0)
		return rc;
	rc = host_get(c, req->url, &h);
	if (rc == 0)
		rc = check_room(c, u->lane, h, remote, req, err);
	if (rc != 0)
		goto out;
	f = fetch_alloc(req);
	if (f == NULL) {
		rc = err_set(err, -ERR_NOMEM, "request to an upstream");
		goto out;
	}
	f->ctx = c;
	f->upstream = TAKE(u);
	f->host = TAKE(h);
	f->kind = kind;
	f->attempt = 1;
	f->max_retries = MAX(remote->max_retries, 0);
	f->concurrency = remote->concurrency;
	f->rate_limit = remote->rate_limit;
	f->total_ms = timeout_ms(remote->total_timeout_s, 0);
	f->connect_ms = connect_timeout_ms(remote);
	f->silence_ms = timeout_ms(remote->sock_read_timeout_s, DEFAULT_TIMEOUT_MS);
	f->health = health_get(c->health, remote->key, remote->revision, req->url);
	link_add(&c->fetches, &f->all);
	lane_enter(f->upstream->lane, f, false);
	*out = f;
out:
	host_put(c, &h);
	upstream_put(&u);
	return rc;
}
