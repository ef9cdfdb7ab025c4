/* Sending clients for what is missing to where it is streamed (role redirect, and [content] on_missing).
 *
 * A web server in front that has a file no client may wait for answers 404, and its ErrorDocument brings the request here. What
 * the client had asked for travels in request fields, which are taken from trusted proxies only:
 *
 *   X-Redirect-Url       REDIRECT_URL, the path; that it is there tells that ErrorDocument was at work
 *   X-Redirect-Status    REDIRECT_STATUS, if there: 404, or there is nothing to be streamed
 *   X-Redirect-Request   THE_REQUEST, the request line as the client sent it; without it path and query are made of the next
 *   X-Redirect-Query     REDIRECT_QUERY_STRING
 *
 * The request line is what keeps percent-encodings byte for byte: web servers decode paths, and encode them again in their own way. */
#include "content/request_priv.h"

#include "base/addr.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/url.h"
#include "catalog/save.h"
#include "content/answer.h"

#include <inttypes.h>

/* ---- what the client had asked for ---- */

/* "GET /path?query HTTP/1.1", or the same with scheme and host in front → "/path?query"; p == NULL: something else. */
static struct slice target_of_request_line(struct slice line)
{
	ptrdiff_t first = slice_chr(line, ' '), last = slice_rchr(line, ' ');
	struct slice target, rest;

	if (first < 0 || last <= first ||
		!slice_starts(slice_of(line.p + last, line.n - (size_t)last), SLICE(" HTTP/")))
		return SLICE_NULL;
	target = slice_of(line.p + first + 1, (size_t)(last - first) - 1);
	if (slice_starts_nocase(target, SLICE("http://")) || slice_starts_nocase(target, SLICE("https://"))) {
		ptrdiff_t slash;

		rest = target;
		(void)slice_cut(&rest, '/');
		rest = slice_of(rest.p + 1, rest.n - 1);
		slash = slice_chr(rest, '/');
		target = slash >= 0 ? slice_of(rest.p + slash, rest.n - (size_t)slash) : SLICE_NULL;
	}
	return target;
}

static struct slice target_of_variables(struct arena *a, struct slice url, struct slice query)
{
	const char *joined =
		query.n > 0 ? arena_printf(a, "%.*s?%.*s", SLICE_ARG(url), SLICE_ARG(query)) : arena_strdup(a, url);

	return slice_str(joined);
}

/* 0, -ERR_INVAL: it was not ErrorDocument that asked, -ERR_NOTFOUND: but not for a missing file. */
static int original_target(const struct content *c, struct http_x *x, const struct http_request *r, struct slice *out)
{
	struct slice url = http_header_get(r, SLICE("X-Redirect-Url"));
	struct slice status = http_header_get(r, SLICE("X-Redirect-Status"));
	struct slice line = http_header_get(r, SLICE("X-Redirect-Request")), target;

	if (url.n == 0 || !addr_list_has(c->settings->server_trusted_proxies, slice_str(r->peer)))
		return -ERR_INVAL;
	if (status.n > 0 && !slice_eq(status, SLICE("404")))
		return -ERR_NOTFOUND;
	target = line.n > 0 ? target_of_request_line(line)
			    : target_of_variables(http_arena(x), url, http_header_get(r, SLICE("X-Redirect-Query")));
	if (target.n == 0 || target.p[0] != '/' || slice_chr(target, ' ') >= 0)
		return -ERR_INVAL;
	*out = target;
	return 0;
}

static void reply_bad(struct http_x *x)
{
	http_reply_text(x, 400, NULL,
		"400: this is where a web server's ErrorDocument turns to; it is not to be asked directly.\n", -1);
}

/* The path that a target means, below the content prefix; p == NULL: outside of it, or no path at all. */
static struct slice path_of_target(const struct content *c, struct http_x *x, struct slice target)
{
	struct slice rest = target, raw = slice_cut(&rest, '?');
	char *path = arena_alloc(http_arena(x), raw.n + 1);
	size_t n = 0;

	if (path == NULL || url_path_decode(raw, path, raw.n + 1, &n, NULL) < 0 ||
		!slice_starts(slice_of(path, n), c->prefix))
		return SLICE_NULL;
	return slice_of(path + c->prefix.n, n - c->prefix.n);
}

void content_redirect_handler(struct http_x *x, const struct http_request *r, void *content)
{
	struct content *c = content;
	struct slice target = SLICE_NULL, path;
	struct request *rq;
	int rc;

	if (c->settings->lazy_redirect_url[0] == '\0') {
		answer_failure(x, -ERR_NOTFOUND, -1);
		return;
	}
	rc = original_target(c, x, r, &target);
	if (rc == -ERR_INVAL) {
		reply_bad(x);
		return;
	}
	path = rc == 0 ? path_of_target(c, x, target) : SLICE_NULL;
	if (path.p == NULL) {
		metric_inc(M_content_not_found);
		answer_failure(x, -ERR_NOTFOUND, -1);
		return;
	}
	rq = request_start(c, x, r, ROLE_REDIRECT, path);
	if (rq == NULL)
		return;
	rq->target = target;
	request_run(rq);
}

/* ---- the answer ---- */

/* Pool. */
static void ask_job(struct pool_job *j)
{
	struct request *rq = container_of(j, struct request, job);
	struct txn *t = NULL;
	int rc = catalog_read(rq->shard->content->catalog, &t, &rq->job_err);

	if (rc == 0)
		rc = catalog_is_lazy(t, rq->entry->what.content_artifact_id, &rq->job_err);
	txn_end(&t);
	rq->lazy = rc > 0;
	rq->job_rc = MIN(rc, 0);
}

static void asked(struct pool_job *j)
{
	struct request *rq = container_of(j, struct request, job);

	if (rq->x == NULL)
		request_free(rq);
	else
		request_run(rq);
}

static enum step ask(struct request *rq)
{
	rq->lazy_known = true;
	rq->step = STEP_away;
	if (request_detach(rq) < 0)
		return request_fail(rq, -ERR_NOMEM, -1);
	rq->job = (struct pool_job){.fn = ask_job, .done = asked, .loop = rq->shard->loop};
	return pool_submit(rq->shard->content->pool, &rq->job) < 0 ? request_fail(rq, -ERR_LIMIT, -1) : STEP_WAIT;
}

static enum step send_away(struct request *rq)
{
	static const struct http_header no_store = {{"Cache-Control", 13}, {"no-store", 8}};
	struct http_header headers[2] = {{SLICE("Location"), SLICE_NULL}, no_store};
	struct http_reply r = {.status = 302, .headers = headers, .header_count = ARRAY_LEN(headers), .note = "away"};
	struct slice target = guard_sign(rq);
	const char *to = target.p == NULL ? NULL
					  : arena_printf(http_arena(rq->x), "%s%.*s",
						    rq->shard->content->settings->lazy_redirect_url, SLICE_ARG(target));

	if (to == NULL)
		return request_fail(rq, -ERR_NOMEM, -1);
	metric_inc(M_content_redirects);
	if (!rq->entry->in_store)
		save_want(
			&rq->shard->content->saves, rq->entry->what.content_artifact_id, rq->entry->what.saved, target);
	headers[0].value = slice_str(to);
	http_reply(TAKE(rq->x), &r);
	return STEP_DONE;
}

enum step redirect_step(struct request *rq)
{
	bool role_content = rq->role == ROLE_CONTENT;

	if (role_content && rq->shard->content->on_missing == MISSING_REFUSE)
		return request_fail(rq, -ERR_UNSAVED, -1);
	if (rq->entry->what.content_artifact_id == 0)
		return STEP_unknown;
	if (!rq->lazy_known)
		return ask(rq);
	if (rq->job_rc < 0) {
		log_error("content", "request %" PRIx64 ": %s", rq->id, rq->job_err.msg);
		return request_fail(rq, rq->job_rc, -1);
	}
	return rq->lazy ? send_away(rq) : STEP_unknown;
}
