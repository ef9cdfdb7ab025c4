/* One request in progress: its memory, its view of the catalog, its answer. Belongs to the thread that handles it. */
#include "api/api_priv.h"

#include "base/check.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA_MAX (256u << 20) /* a body of 16 MiB, decoded, and what is made of it */
#define BODY_MAX (512u << 20)  /* of an answer: `limit` has no maximum */
#define RETRY_AFTER_S 5        /* a busy database is free again within its time-out */

void api_ctx_init(struct api_ctx *x, struct api *api)
{
	*x = (struct api_ctx){.api = api};
	arena_init(&x->arena, ARENA_MAX);
}

void api_ctx_fini(struct api_ctx *x)
{
	txn_end(&x->txn);
	json_decref(x->body);
	x->body = NULL;
	api_form_free(&x->own_files);
	arena_fini(&x->arena);
}

int api_txn(struct api_ctx *x, struct txn **out, struct err *err)
{
	int rc = x->txn != NULL ? 0 : catalog_read(x->api->catalog, &x->txn, err);

	if (rc == 0)
		*out = x->txn;
	return rc;
}

void api_txn_end(struct api_ctx *x)
{
	txn_end(&x->txn);
}

const char *api_text(struct api_ctx *x, const char *fmt, ...)
{
	struct buf b = BUF_INIT(1 << 20);
	const char *text;
	va_list ap;

	va_start(ap, fmt);
	buf_addv(&b, fmt, ap);
	va_end(ap);
	text = b.failed ? NULL : arena_strdup(&x->arena, buf_slice(&b));
	buf_fini(&b);
	if (text == NULL)
		x->nomem = true;
	return text != NULL ? text : "This value is too long.";
}

void api_response_fini(struct api_response *res)
{
	buf_fini(&res->body);
	free(res->location);
	res->location = NULL;
}

static int buf_dump(const char *p, size_t n, void *arg)
{
	return buf_add(arg, p, n);
}

static void set_body(struct api_ctx *x, int status, const json_t *json)
{
	x->res->status = status;
	x->res->content_type = "application/json";
	buf_fini(&x->res->body);
	x->res->body = BUF_INIT(BODY_MAX);
	/* 15 digits: every decimal fraction comes back as it was written. */
	if (json_dump_callback(
		    json, buf_dump, &x->res->body, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) == 0)
		return;
	log_error("api", "request=%llu no memory for the answer", (unsigned long long)x->req->id);
	x->res->status = 503;
	x->res->content_type = NULL;
	x->res->retry_after_s = RETRY_AFTER_S;
	buf_reset(&x->res->body);
}

void api_reply(struct api_ctx *x, int status, json_t *json)
{
	set_body(x, status, json);
	json_decref(json);
}

void api_reply_begin(struct api_ctx *x, const char *head)
{
	buf_fini(&x->res->body);
	x->res->body = BUF_INIT(BODY_MAX);
	x->res->status = 200;
	x->res->content_type = "application/json";
	buf_adds(&x->res->body, head);
}

int api_reply_part(struct api_ctx *x, const json_t *json)
{
	if (json_dump_callback(
		    json, buf_dump, &x->res->body, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) != 0)
		return x->res->body.failed < 0 ? x->res->body.failed : -ERR_NOMEM;
	return 0;
}

/* A text that was cut to fit may end inside a character. */
static const char *whole(struct buf *b)
{
	if (b->p == NULL)
		return "";
	for (int i = 0; i < 3 && b->n > 0 && !slice_is_utf8(buf_slice(b)); i++)
		b->p[--b->n] = '\0';
	return slice_is_utf8(buf_slice(b)) ? b->p : "The text of this error is not UTF-8.";
}

void api_reply_detail(struct api_ctx *x, int status, const char *fmt, ...)
{
	struct buf b = BUF_INIT(1 << 16);
	va_list ap;

	va_start(ap, fmt);
	buf_addv(&b, fmt, ap);
	va_end(ap);
	api_reply(x, status, json_pack("{s:s}", "detail", whole(&b)));
	buf_fini(&b);
}

void api_reply_bare(struct api_ctx *x, const char *fmt, ...)
{
	struct buf b = BUF_INIT(1 << 20);
	va_list ap;

	va_start(ap, fmt);
	buf_addv(&b, fmt, ap);
	va_end(ap);
	api_reply(x, 400, json_pack("[s]", whole(&b)));
	buf_fini(&b);
}

void api_reply_field(struct api_ctx *x, const char *field, const char *fmt, ...)
{
	struct buf b = BUF_INIT(1 << 20);
	va_list ap;

	va_start(ap, fmt);
	buf_addv(&b, fmt, ap);
	va_end(ap);
	api_reply(x, 400, json_pack("{s:[s]}", field, whole(&b)));
	buf_fini(&b);
}

void api_reply_location(struct api_ctx *x, const char *href)
{
	free(x->res->location);
	x->res->location = strdup(href);
}

void api_reply_err(struct api_ctx *x, int rc, struct err *err)
{
	bool passing =
		rc == -ERR_BUSY || rc == -ERR_NOMEM || rc == -ERR_NOSPACE || rc == -ERR_LIMIT || rc == -ERR_TIMEOUT;

	log_error("api", "request=%llu %.*s %.*s: %s", (unsigned long long)x->req->id, SLICE_ARG(x->req->method_text),
		SLICE_ARG(x->req->path), err->msg[0] != '\0' ? err->msg : err_text(rc));
	if (passing)
		x->res->retry_after_s = RETRY_AFTER_S;
	api_reply_detail(x, passing ? 503 : 500, "%s",
		passing ? "The server cannot do this right now. Try again." : "Internal server error.");
}

void api_reply_html_404(struct api_ctx *x)
{
	x->res->status = 404;
	x->res->content_type = "text/html; charset=utf-8";
	buf_fini(&x->res->body);
	x->res->body = BUF_INIT(BODY_MAX);
	buf_adds(&x->res->body, "<!doctype html>\n<html lang=\"en\"><head><title>Not Found</title></head>"
				"<body><h1>Not Found</h1><p>There is nothing at this URL.</p></body></html>\n");
}

void api_reply_no_object(struct api_ctx *x, const struct api_resource *r)
{
	api_reply_detail(x, 404, "No %s matches the given query.", r->model);
}
