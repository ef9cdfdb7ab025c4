/* Answering: conditions, ranges, the response head, and the segments that send.c sends. The shard's loop only. */
#include "http/conn_priv.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD_MAX (64 * 1024)

const char *http_reason(int status)
{
	switch (status) {
	case 100:
		return "Continue";
	case 200:
		return "OK";
	case 201:
		return "Created";
	case 202:
		return "Accepted";
	case 204:
		return "No Content";
	case 206:
		return "Partial Content";
	case 301:
		return "Moved Permanently";
	case 302:
		return "Found";
	case 303:
		return "See Other";
	case 304:
		return "Not Modified";
	case 307:
		return "Temporary Redirect";
	case 308:
		return "Permanent Redirect";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 409:
		return "Conflict";
	case 410:
		return "Gone";
	case 411:
		return "Length Required";
	case 412:
		return "Precondition Failed";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 415:
		return "Unsupported Media Type";
	case 416:
		return "Range Not Satisfiable";
	case 417:
		return "Expectation Failed";
	case 429:
		return "Too Many Requests";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	case 501:
		return "Not Implemented";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Status";
	}
}

struct slice http_header_get(const struct http_request *r, struct slice name)
{
	for (size_t i = 0; i < r->header_count; i++)
		if (slice_eq_nocase(r->headers[i].name, name))
			return r->headers[i].value;
	return SLICE_NULL;
}

struct loop *http_loop(const struct http_x *x)
{
	return container_of(x, const struct conn, x)->shard->loop;
}
const struct http_request *http_request_of(const struct http_x *x)
{
	return &x->req;
}
struct arena *http_arena(struct http_x *x)
{
	return &x->arena;
}
void http_on_abort(struct http_x *x, void (*fn)(void *arg), void *arg)
{
	x->on_abort = fn;
	x->abort_arg = arg;
}

static const char *date_now(struct shard *s)
{
	int64_t now = clock_wall_us() / US_PER_S;

	if (now != s->date_s) {
		s->date_s = now;
		(void)clock_http(now, s->date);
	}
	return s->date;
}

/* The head of one answer being put together. */
struct answer {
	int status;
	int64_t length; /* Content-Length; -1: none */
	struct http_range ranges[HTTP_RANGES_MAX];
	int range_count;
	char boundary[32];
};

static void count_status(int status)
{
	static const enum metric by_class[] = {
		M_http_responses_2xx, M_http_responses_3xx, M_http_responses_4xx, M_http_responses_5xx};

	if (status >= 200 && status < 600)
		metric_inc(by_class[status / 100 - 2]);
}

/* Foreign text goes into header fields here and there (file names, reasons): what would end the line early is dropped. */
static void add_clean(struct buf *out, struct slice v)
{
	for (size_t i = 0; i < v.n; i++)
		if ((unsigned char)v.p[i] >= 0x20 || v.p[i] == '\t')
			(void)buf_add(out, v.p + i, 1);
}

static void add_field(struct buf *out, struct slice name, struct slice value)
{
	(void)buf_add_slice(out, name);
	(void)buf_add(out, ": ", 2);
	if (memchr(value.p, '\r', value.n) == NULL && memchr(value.p, '\n', value.n) == NULL)
		(void)buf_add_slice(out, value);
	else
		add_clean(out, value);
	(void)buf_add(out, "\r\n", 2);
}

static void build_head(struct conn *c, const struct http_reply *r, const struct answer *a, struct buf *out)
{
	struct http_x *x = &c->x;
	const char *reason = r->reason != NULL && a->status == r->status ? r->reason : http_reason(a->status);
	char when[CLOCK_HTTP_MAX];

	(void)buf_addf(out, "HTTP/1.1 %d ", a->status);
	add_clean(out, slice_str(reason));
	(void)buf_addf(out, "\r\nServer: %s\r\nDate: %s\r\n", c->shard->server->name, date_now(c->shard));
	if (a->range_count > 1)
		(void)buf_addf(out, "Content-Type: multipart/byteranges; boundary=%s\r\n", a->boundary);
	else if (r->content_type != NULL && a->status != 304)
		add_field(out, SLICE("Content-Type"), slice_str(r->content_type));
	if (a->length >= 0)
		(void)buf_addf(out, "Content-Length: %" PRId64 "\r\n", a->length);
	if (a->status == 206 && a->range_count == 1)
		(void)buf_addf(out, "Content-Range: bytes %" PRId64 "-%" PRId64 "/%" PRId64 "\r\n", a->ranges[0].from,
			a->ranges[0].to - 1, r->size);
	if (a->status == 416)
		(void)buf_addf(out, "Content-Range: bytes */%" PRId64 "\r\n", r->size);
	if (r->ranges)
		(void)buf_adds(out, "Accept-Ranges: bytes\r\n");
	if (r->etag != NULL)
		add_field(out, SLICE("ETag"), slice_str(r->etag));
	if (r->last_modified_s > 0)
		(void)buf_addf(out, "Last-Modified: %s\r\n", clock_http(r->last_modified_s, when));
	if (x->chunked_out)
		(void)buf_adds(out, "Transfer-Encoding: chunked\r\n");
	for (size_t i = 0; i < r->header_count; i++)
		add_field(out, r->headers[i].name, r->headers[i].value);
	if (c->close_after || !c->keep_alive)
		(void)buf_adds(out, "Connection: close\r\n");
	else if (x->req.minor == 0)
		(void)buf_adds(out, "Connection: keep-alive\r\n");
	(void)buf_adds(out, "\r\n");
}

/* Which part of the representation is sent, if any. */
static void choose_part(struct http_x *x, const struct http_reply *r, struct answer *a)
{
	bool safe = x->req.method == HTTP_GET || x->req.method == HTTP_HEAD;
	struct slice range;
	int rc;

	a->status = r->status;
	a->length = r->size;
	if (!safe || r->status != 200 || !r->ranges)
		return;
	rc = http_conditions(&x->req, slice_str(r->etag), r->last_modified_s);
	if (rc != 0) {
		a->status = rc;
		a->length = rc == 304 ? -1 : 0;
		return;
	}
	range = http_header_get(&x->req, SLICE("Range"));
	/* Range is defined for GET alone (RFC 9110 §14.2). */
	if (range.p == NULL || x->req.method != HTTP_GET || r->size < 0 ||
		!http_if_range_holds(&x->req, slice_str(r->etag), r->last_modified_s))
		return;
	rc = http_range_parse(range, r->size, a->ranges, HTTP_RANGES_MAX);
	if (rc == -416) {
		a->status = 416;
		a->length = 0;
	} else if (rc > 0) {
		a->status = 206;
		a->range_count = rc;
		a->length = a->ranges[0].to - a->ranges[0].from;
	}
}

/* multipart/byteranges as its narrowest readers want it: letters and digits in the boundary, CRLF, a size in Content-Range, the order asked. */
static int make_multipart(struct http_x *x, const struct http_reply *r, struct answer *a)
{
	struct segment *segs = arena_alloc(&x->arena, ((size_t)a->range_count * 2 + 2) * sizeof(*segs));
	size_t n = 1;
	int64_t total = 0;
	char *part;

	if (segs == NULL)
		return -ERR_NOMEM;
	(void)snprintf(a->boundary, sizeof(a->boundary), "sluice%016" PRIx64, x->req.id * UINT64_C(0x9e3779b97f4a7c15));
	for (int i = 0; i < a->range_count; i++) {
		const struct http_range *g = &a->ranges[i];

		part = arena_printf(&x->arena,
			"\r\n--%s\r\n%s%s%sContent-Range: bytes %" PRId64 "-%" PRId64 "/%" PRId64 "\r\n\r\n",
			a->boundary, r->content_type != NULL ? "Content-Type: " : "",
			r->content_type != NULL ? r->content_type : "", r->content_type != NULL ? "\r\n" : "", g->from,
			g->to - 1, r->size);
		if (part == NULL)
			return -ERR_NOMEM;
		segs[n++] = (struct segment){.mem = part, .end = (int64_t)strlen(part)};
		segs[n++] = (struct segment){.off = g->from, .end = g->to};
		total += (int64_t)strlen(part) + g->to - g->from;
	}
	part = arena_printf(&x->arena, "\r\n--%s--\r\n", a->boundary);
	if (part == NULL)
		return -ERR_NOMEM;
	segs[n++] = (struct segment){.mem = part, .end = (int64_t)strlen(part)};
	a->length = total + (int64_t)strlen(part);
	x->segs = segs;
	x->seg_count = n;
	return 0;
}

static int make_segments(struct http_x *x, const struct http_reply *r, struct answer *a)
{
	bool full = a->status == r->status;

	if (a->range_count > 1)
		return make_multipart(x, r, a);
	x->segs = arena_zalloc(&x->arena, 2 * sizeof(*x->segs));
	if (x->segs == NULL)
		return -ERR_NOMEM;
	x->seg_count = 1;
	if (x->req.method == HTTP_HEAD || x->body == NULL || (!full && a->status != 206))
		return 0;
	if (a->range_count == 1)
		x->segs[1] = (struct segment){.off = a->ranges[0].from, .end = a->ranges[0].to};
	else
		x->segs[1] = (struct segment){.off = 0, .end = r->size};
	if (x->segs[1].end != x->segs[1].off)
		x->seg_count = 2;
	return 0;
}

void http_reply(struct http_x *x, const struct http_reply *r)
{
	struct conn *c = conn_of(x);
	struct buf head = BUF_INIT(HEAD_MAX);
	struct answer a = {.length = -1};
	char *copy;
	size_t head_n = 0;

	BUG(x->replied);
	x->replied = true;
	x->on_abort = NULL;
	x->body = r->body;
	x->note = r->note;
	if (c->shard->draining || r->close)
		c->close_after = true;
	choose_part(x, r, &a);
	if (r->size < 0 && a.status == r->status && x->body != NULL) {
		a.length = -1;
		if (x->req.minor >= 1)
			x->chunked_out = true;
		else
			c->close_after = true;
	}
	if (r->body == NULL && r->size <= 0 && a.status != 304 && a.status != 204)
		a.length = 0;
	if (a.status == 204)
		a.length = -1;
	/* A request body that will not be read to its end makes the connection useless. */
	if (!x->body_done && (x->req.chunked || (x->head.expect_continue && !x->expect_sent)))
		c->close_after = true;
	if (make_segments(x, r, &a) < 0)
		goto nomem;
	x->status = a.status;
	build_head(c, r, &a, &head);
	copy = buf_take(&head, &head_n);
	if (copy == NULL || arena_on_fini(&x->arena, free, copy) < 0) {
		free(copy);
		goto nomem;
	}
	x->segs[0] = (struct segment){.mem = copy, .end = (int64_t)head_n};
	count_status(a.status);
	conn_run(c); /* returns at once when the handler is still on the stack */
	return;
nomem:
	buf_fini(&head);
	log_error("http", "request %" PRIu64 ": no memory for the response", x->req.id);
	x->segs = NULL;
	x->seg_count = 0;
	x->status = 503;
	c->close_after = true;
	conn_run(c);
}

void http_reply_text(struct http_x *x, int status, const char *reason, const char *text, int64_t retry_after_s)
{
	struct http_header retry = {SLICE("Retry-After"), SLICE_NULL};
	struct http_reply r = {.status = status, .reason = reason, .content_type = "text/plain; charset=utf-8"};

	if (text == NULL)
		text = arena_printf(&x->arena, "%d: %s\n", status, reason != NULL ? reason : http_reason(status));
	if (retry_after_s >= 0) {
		retry.value = slice_str(arena_printf(&x->arena, "%" PRId64, retry_after_s));
		r.headers = &retry;
		r.header_count = retry.value.p != NULL;
	}
	if (text != NULL) {
		r.size = (int64_t)strlen(text);
		r.body = body_memory(text, (size_t)r.size);
	}
	http_reply(x, &r);
}

/* A request that never reaches the handler. The connection ends: where the next one begins nobody can say. */
void reply_refuse(struct conn *c, int status, const char *why)
{
	struct http_x *x = &c->x;

	metric_inc(M_http_bad_requests);
	log_warn("http", "request of %s refused with %d: %s", c->peer, status, why);
	if (x->req.method_text.p == NULL) {
		x->req.method = HTTP_GET;
		x->req.minor = 1;
	}
	x->body_done = true;
	c->close_after = true;
	{
		bool nested = c->in_handler;

		c->in_handler = true; /* the caller drives the connection on */
		http_reply_text(x, status, NULL, arena_printf(&x->arena, "%d: %s\n", status, why), -1);
		c->in_handler = nested;
	}
	x->note = "refused";
}
