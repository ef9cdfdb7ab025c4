/* The front door: content, API, metrics, and a page that says what this server is. */
#include "cmd/route.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/metrics.h"
#include "content/content.h"

#include <stdlib.h>

static void reply_buf(struct http_x *x, struct buf *b, const char *type)
{
	static const struct http_header headers[] = {
		{{"Cache-Control", 13}, {"no-store", 8}},
		{{"X-Content-Type-Options", 22}, {"nosniff", 7}},
		{{"Content-Security-Policy", 23}, {"default-src 'none'; style-src 'unsafe-inline'", 45}},
	};
	struct http_reply reply = {
		.status = 200, .content_type = type, .headers = headers, .header_count = ARRAY_LEN(headers)};
	size_t n = 0;
	char *text = buf_take(b, &n);

	reply.size = (int64_t)n;
	reply.body = text != NULL ? body_memory_take(text, n) : NULL;
	if (reply.body == NULL)
		http_reply_text(x, 503, NULL, NULL, 1);
	else
		http_reply(x, &reply);
}

static void reply_metrics(struct http_x *x, const struct http_request *r, void *arg)
{
	struct buf b = BUF_INIT(1 << 20);

	metrics_text(&b);
	reply_buf(x, &b, "text/plain; version=0.0.4; charset=utf-8");
}

static void home_row(struct buf *b, const char *name, int64_t n)
{
	buf_addf(b, "<tr><th>%s<td>%lld\n", name, (long long)n);
}

static void reply_home(struct http_x *x, const struct http_request *r, void *arg)
{
	const struct route *route = arg;
	struct buf b = BUF_INIT(1 << 20);

	buf_adds(&b, "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>sluice</title>\n"
		     "<style>body{font:16px/1.5 sans-serif;max-width:40em;margin:3em auto;padding:0 1em}"
		     "th{text-align:left;font-weight:normal;padding-right:2em}td{text-align:right}</style>\n"
		     "<h1>sluice " SLUICE_VERSION "</h1>\n<ul>\n");
	if (route->content != NULL) {
		buf_adds(&b, "<li><a href=\"");
		buf_add_html(&b, slice_str(route->content_prefix));
		buf_adds(&b, "\">Content</a>\n");
	}
	if (route->api != NULL)
		buf_adds(&b, "<li><a href=\"/pulp/api/v3/status/\">Status</a> and the rest of the "
			     "<a href=\"/pulp/api/v3/\">REST API</a>\n");
	buf_adds(&b, "<li><a href=\"/metrics\">Metrics</a>\n</ul>\n<table>\n");
	home_row(&b, "Requests for content answered from the store", metric_get(M_content_hits));
	home_row(&b, "Requests that were downloaded for", metric_get(M_content_misses));
	home_row(&b, "Downloads in progress", metric_get(M_flights_open));
	home_row(&b, "Clients that read from them", metric_get(M_flight_readers));
	home_row(&b, "Artifacts saved", metric_get(M_store_commits));
	home_row(&b, "Tasks completed", metric_get(M_tasks_completed));
	home_row(&b, "Tasks failed", metric_get(M_tasks_failed));
	buf_adds(&b, "</table>\n");
	reply_buf(x, &b, "text/html; charset=utf-8");
}

static void reply_method(struct http_x *x)
{
	static const struct http_header allow = {{"Allow", 5}, {"GET, HEAD", 9}};
	static const char text[] = "405: Method Not Allowed\n";
	struct http_reply reply = {
		.status = 405,
		.content_type = "text/plain; charset=utf-8",
		.headers = &allow,
		.header_count = 1,
		.body = body_memory(text, sizeof(text) - 1),
		.size = sizeof(text) - 1,
	};

	http_reply(x, &reply);
}

/* "/pulp/content" → "/pulp/content/", the query kept. */
static void reply_slash(struct http_x *x, const struct http_request *r, const char *prefix)
{
	struct http_header location = {SLICE("Location"), SLICE_NULL};
	struct http_reply reply = {.status = 301, .headers = &location, .header_count = 1};
	const char *to =
		r->query.p == NULL ? prefix : arena_printf(http_arena(x), "%s?%.*s", prefix, SLICE_ARG(r->query));

	if (to == NULL) {
		http_reply_text(x, 503, NULL, NULL, 1);
		return;
	}
	location.value = slice_str(to);
	http_reply(x, &reply);
}

static bool is_prefix_without_slash(struct slice path, const char *prefix)
{
	size_t n = strlen(prefix);

	return n > 1 && slice_eq(path, slice_of(prefix, n - 1));
}

/* With or without the slash at its end: both stand in configurations of web servers. */
static bool is_redirect(struct slice path)
{
	return slice_eq(path, SLICE(CONTENT_REDIRECT_PATH)) || slice_eq(path, SLICE(CONTENT_REDIRECT_PATH "/"));
}

void route_handler(struct http_x *x, const struct http_request *r, void *arg)
{
	static const struct {
		struct slice path;
		http_handler *handler;
	} pages[] = {
		{{"/", 1}, reply_home},
		{{"/metrics", 8}, reply_metrics},
	};
	const struct route *route = arg;
	bool reads = r->method == HTTP_GET || r->method == HTTP_HEAD;

	if (route->content != NULL && slice_starts(r->path, slice_str(route->content_prefix))) {
		route->content(x, r, route->content_arg);
		return;
	}
	if (route->redirect != NULL && is_redirect(r->path)) {
		if (reads)
			route->redirect(x, r, route->content_arg);
		else
			reply_method(x);
		return;
	}
	if (route->api != NULL && slice_starts(r->path, SLICE("/pulp/api/"))) {
		route->api(x, r, route->api_arg);
		return;
	}
	if (route->content != NULL && reads && is_prefix_without_slash(r->path, route->content_prefix)) {
		reply_slash(x, r, route->content_prefix);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		if (!slice_eq(r->path, pages[i].path))
			continue;
		if (reads)
			pages[i].handler(x, r, arg);
		else
			reply_method(x);
		return;
	}
	http_reply_text(x, 404, NULL, NULL, -1);
}
