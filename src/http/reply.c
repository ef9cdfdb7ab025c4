/* Answering: conditions, ranges, the response head, and the segments that send.c sends. The shard's loop only. */
#include "http/conn_priv.h"

#include "base/log.h"
#include "base/metrics.h"

#include <inttypes.h>
#include <stdio.h>

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

struct loop *http_loop(const struct http_x *x)
{
	return x->conn->shard->loop;
}

const struct http_request *http_request_of(const struct http_x *x)
{
	return &x->req;
}

struct arena *http_arena(struct http_x *x)
{
	return &x->arena;
}

void http_hide_query(struct http_x *x)
{
	x->hide_query = true;
}

void http_on_abort(struct http_x *x, void (*fn)(void *arg), void *arg)
{
	x->on_abort = fn;
	x->abort_arg = arg;
}

/* ---- the head ---- */

static void add_number(struct buf *out, int64_t n)
{
	char digits[24];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	(void)buf_add(out, digits + at, sizeof(digits) - at);
}

static bool is_control(char ch)
{
	return ((unsigned char)ch < 0x20 && ch != '\t') || ch == 0x7f;
}

/* Foreign text goes into header fields here and there (file names, reasons): what would end the line early is dropped. */
static void add_clean(struct buf *out, struct slice v)
{
	size_t from = 0;

	for (size_t i = 0; i < v.n; i++) {
		if (!is_control(v.p[i]))
			continue;
		(void)buf_add(out, v.p + from, i - from);
		from = i + 1;
	}
	(void)buf_add(out, v.p + from, v.n - from);
}

static void add_field(struct buf *out, struct slice name, struct slice value)
{
	(void)buf_add_slice(out, name);
	(void)buf_add(out, ": ", 2);
	add_clean(out, value);
	(void)buf_add(out, "\r\n", 2);
}

/* What frames the message and the connection is said here and nowhere else: the same from a handler, which may pass on what a foreign server
 * said, would let two readers disagree where the response ends. */
static bool is_ours(struct slice name)
{
	static const struct slice ours[] = {{"Content-Length", 14}, {"Transfer-Encoding", 17}, {"Connection", 10},
		{"Keep-Alive", 10}, {"Trailer", 7}, {"Upgrade", 7}};

	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (slice_eq_nocase(name, ours[i]))
			return true;
	return !http_is_token(name);
}

struct slice reply_server_and_date(struct shard *s)
{
	int64_t mono = loop_now(s->loop);
	char date[CLOCK_HTTP_MAX];

	if (mono >= s->date_until_ns) {
		int64_t wall_us = clock_wall_us();

		s->date_s = wall_us / US_PER_S;
		s->date_until_ns = mono + (US_PER_S - wall_us % US_PER_S) * (NS_PER_S / US_PER_S);
		s->server_date_n =
			(size_t)snprintf(s->server_date, sizeof(s->server_date), "Server: %.128s\r\nDate: %s\r\n",
				s->server->name != NULL ? s->server->name : "sluice", clock_http(s->date_s, date));
	}
	return slice_of(s->server_date, s->server_date_n);
}

static void add_content_range(struct buf *out, const struct http_reply *r, const struct answer *a)
{
	if (a->status == 416) {
		(void)buf_adds(out, "Content-Range: bytes */");
		add_number(out, r->size);
	} else {
		(void)buf_adds(out, "Content-Range: bytes ");
		add_number(out, a->ranges[0].from);
		(void)buf_add(out, "-", 1);
		add_number(out, a->ranges[0].to - 1);
		(void)buf_add(out, "/", 1);
		add_number(out, r->size);
	}
	(void)buf_add(out, "\r\n", 2);
}

void reply_head(struct conn *c, const struct http_reply *r, const struct answer *a, struct buf *out)
{
	struct http_x *x = c->x;
	const char *reason = r->reason != NULL && a->status == r->status ? r->reason : http_reason(a->status);
	char when[CLOCK_HTTP_MAX];

	(void)buf_add(out, "HTTP/1.1 ", 9);
	add_number(out, a->status);
	(void)buf_add(out, " ", 1);
	add_clean(out, slice_str(reason));
	(void)buf_add(out, "\r\n", 2);
	(void)buf_add_slice(out, reply_server_and_date(c->shard));
	if (a->range_count > 1)
		(void)buf_addf(out, "Content-Type: multipart/byteranges; boundary=%s\r\n", a->boundary);
	else if (r->content_type != NULL && a->status != 304)
		add_field(out, SLICE("Content-Type"), slice_str(r->content_type));
	if (a->length >= 0) {
		(void)buf_adds(out, "Content-Length: ");
		add_number(out, a->length);
		(void)buf_add(out, "\r\n", 2);
	}
	if (a->range_count == 1 || (a->status == 416 && r->status != 416))
		add_content_range(out, r, a);
	if (r->ranges)
		(void)buf_adds(out, "Accept-Ranges: bytes\r\n");
	if (r->etag != NULL)
		add_field(out, SLICE("ETag"), slice_str(r->etag));
	if (r->last_modified_s > 0)
		add_field(out, SLICE("Last-Modified"), slice_str(clock_http(r->last_modified_s, when)));
	if (x->chunked_out)
		(void)buf_adds(out, "Transfer-Encoding: chunked\r\n");
	for (size_t i = 0; i < r->header_count; i++)
		if (!is_ours(r->headers[i].name))
			add_field(out, r->headers[i].name, r->headers[i].value);
	if (c->close_after || !c->keep_alive)
		(void)buf_adds(out, "Connection: close\r\n");
	else if (x->req.minor == 0)
		(void)buf_adds(out, "Connection: keep-alive\r\n");
	(void)buf_adds(out, "\r\n");
}

/* ---- what is sent ---- */

/* Which part of the representation, if any: the conditions and the range of the request. */
static void choose_part(struct http_x *x, const struct http_reply *r, struct answer *a)
{
	bool safe = x->req.method == HTTP_GET || x->req.method == HTTP_HEAD;
	int rc;

	a->status = r->status;
	a->length = r->size;
	a->range_count = 0;
	if (!safe || r->status != 200 || !r->ranges)
		return;
	rc = http_select_part(&x->req, slice_str(r->etag), r->last_modified_s, r->size, a->ranges);
	if (rc < 0) {
		a->status = -rc;
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
	const char *type = r->content_type;
	size_t n = 1;
	char *part;

	if (segs == NULL)
		return -ERR_NOMEM;
	/* Not to be guessed by whoever made the file: it could hold its own boundary. */
	(void)snprintf(a->boundary, sizeof(a->boundary), "sluice%016" PRIx64,
		(x->req.id ^ (uint64_t)x->started_ns) * UINT64_C(0x9e3779b97f4a7c15));
	a->length = 0;
	for (int i = 0; i < a->range_count; i++) {
		const struct http_range *g = &a->ranges[i];

		part = arena_printf(&x->arena,
			"\r\n--%s\r\n%s%s%sContent-Range: bytes %" PRId64 "-%" PRId64 "/%" PRId64 "\r\n\r\n",
			a->boundary, type != NULL ? "Content-Type: " : "", type != NULL ? type : "",
			type != NULL ? "\r\n" : "", g->from, g->to - 1, r->size);
		if (part == NULL)
			return -ERR_NOMEM;
		segs[n++] = (struct segment){.mem = part, .end = (int64_t)strlen(part)};
		segs[n++] = (struct segment){.off = g->from, .end = g->to};
		a->length += (int64_t)strlen(part) + g->to - g->from;
	}
	part = arena_printf(&x->arena, "\r\n--%s--\r\n", a->boundary);
	if (part == NULL)
		return -ERR_NOMEM;
	segs[n++] = (struct segment){.mem = part, .end = (int64_t)strlen(part)};
	a->length += (int64_t)strlen(part);
	x->segs = segs;
	x->seg_count = n;
	return 0;
}

static bool has_no_body(int status)
{
	return status < 200 || status == 204 || status == 304;
}

/* Decides the framing: a->length or chunks or the close, and the segments behind the head. -ERR_NOMEM. */
static int make_segments(struct conn *c, const struct http_reply *r, struct answer *a)
{
	struct http_x *x = c->x;
	bool full = a->status == r->status && a->range_count == 0, head_only = x->req.method == HTTP_HEAD;

	memset(x->few, 0, sizeof(x->few));
	x->segs = x->few;
	x->seg_count = 1;
	if (has_no_body(a->status)) {
		a->length = -1;
		return 0;
	}
	if (!full && a->range_count == 0) /* 412, 416 */
		return 0;
	if (x->body == NULL && !head_only) {
		a->length = 0;
		return r->size > 0 ? -ERR_NOMEM : 0; /* whoever made the body had no memory for it */
	}
	if (full && r->size < 0 && x->body != NULL) {
		if (x->req.minor >= 1)
			x->chunked_out = true;
		else
			c->close_after = true;
	}
	if (a->range_count > 1)
		return make_multipart(x, r, a);
	if (head_only)
		return 0;
	x->few[1] = full ? (struct segment){.off = 0, .end = r->size}
			 : (struct segment){.off = a->ranges[0].from, .end = a->ranges[0].to};
	if (x->few[1].end != x->few[1].off)
		x->seg_count = 2;
	return 0;
}

/* Counted before it is sent, so that who has the answer finds it counted. */
static void count_response(int status, int64_t n)
{
	static const enum metric by_class[] = {
		M_http_responses_2xx, M_http_responses_3xx, M_http_responses_4xx, M_http_responses_5xx};

	if (status >= 200 && status < 600)
		metric_add(by_class[status / 100 - 2], n);
}

/* Without memory for anything else. */
static void reply_nomem(struct conn *c)
{
	static const char text[] =
		"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	struct http_x *x = c->x;

	log_error("http", "request %" PRIx64 ": no memory for the response", x->req.id);
	exchange_drop_body(x);
	x->chunked_out = false;
	x->few[0] = (struct segment){.mem = text, .end = sizeof(text) - 1};
	x->segs = x->few;
	x->seg_count = 1;
	x->status = 503;
	x->note = "out-of-memory";
	c->close_after = true;
}

void reply_begin(struct http_x *x, struct body *body, const char *note)
{
	BUG(x->replied || x->conn->state == CONN_CLOSED);
	x->replied = true;
	x->reading = false;
	x->on_abort = NULL;
	x->body = body;
	x->note = note;
}

void reply_end(struct conn *c)
{
	count_response(c->x->status, 1);
	if (c->in_handler)
		return; /* whoever called it goes on */
	if (c->shard->calling)
		conn_again(c);
	else
		conn_run(c);
}

void http_reply(struct http_x *x, const struct http_reply *r)
{
	struct conn *c = conn_of(x);
	struct answer a;

	reply_begin(x, r->body, r->note);
	if (c->shard->draining || r->close)
		c->close_after = true;
	/* A request body that will not be read to its end makes the connection useless. Whether a client that was not told to continue sends one,
	 * nobody knows. */
	if (!x->body_done && (x->body_left > DISCARD_MAX || (x->expect_continue && x->continue_at == 0)))
		c->close_after = true;
	choose_part(x, r, &a);
	if (make_segments(c, r, &a) < 0) {
		reply_nomem(c);
	} else {
		x->status = a.status;
		buf_reset(&x->head_out);
		reply_head(c, r, &a, &x->head_out);
		x->segs[0] = (struct segment){.mem = x->head_out.p, .end = (int64_t)x->head_out.n};
		if (x->head_out.failed != 0)
			reply_nomem(c);
	}
	reply_end(c);
}

void http_reply_text(struct http_x *x, int status, const char *reason, const char *text, int64_t retry_after_s)
{
	struct http_header retry = {SLICE("Retry-After"), SLICE_NULL};
	struct http_reply r = {.status = status, .reason = reason, .content_type = "text/plain; charset=utf-8"};

	if (text == NULL)
		text = arena_printf(&x->arena, "%d: %s\n", status, reason != NULL ? reason : http_reason(status));
	else
		text = arena_strdup(&x->arena, slice_str(text));
	if (retry_after_s >= 0) {
		retry.value = slice_str(arena_printf(&x->arena, "%" PRId64, retry_after_s));
		r.headers = &retry;
		r.header_count = retry.value.p != NULL;
	}
	if (text != NULL) {
		r.size = (int64_t)strlen(text);
		r.body = body_memory_in(&x->arena, text, (size_t)r.size, NULL, NULL);
	}
	http_reply(x, &r);
}

static void reply_text_now(struct conn *c, int status, const char *text)
{
	bool outer = c->in_handler;

	c->in_handler = true; /* the caller drives the connection on */
	http_reply_text(c->x, status, NULL, text, status == 503 ? 1 : -1);
	c->in_handler = outer;
}

void reply_refuse(struct conn *c, int status, const char *why, struct slice shown)
{
	struct http_x *x;

	metric_inc(M_http_bad_requests);
	if (c->x == NULL && exchange_begin(c) < 0) {
		log_warn("http", "%s: out of memory for a request", c->peer);
		conn_close(c, CLOSE_NOMEM);
		return;
	}
	x = c->x;
	log_warn("http", "request %" PRIx64 " of %s refused with %d: %s: %.*s", x->req.id, c->peer, status, why,
		(int)MIN(shown.n, (size_t)200), shown.p != NULL ? shown.p : "");
	if (x->req.method_text.p == NULL) /* the head could not be read */
		x->req.minor = 1;
	c->close_after = true;
	reply_text_now(c, status, arena_printf(&x->arena, "%d: %s\n", status, why));
	x->note = "refused";
}

void reply_instead(struct conn *c, int status)
{
	struct http_x *x = c->x;

	exchange_drop_body(x);
	count_response(x->status, -1);
	x->replied = x->chunked_out = false;
	x->seg = x->seg_count = 0;
	reply_text_now(c, status, NULL);
	x->note = "body-failed";
}
