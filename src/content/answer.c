/* See answer.h. What a client can do about it decides the status: 404 look elsewhere, 502 and 504 tell the administrator of the upstream, 503
 * come again. */
#include "content/answer.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>

static const struct answer_row rows[] = {
	/* upstream says that it is not there, or nobody offers it */
	{-ERR_NOTFOUND, 404, "not-found", -1},
	{-ERR_NOSOURCE, 404, "no-source", -1},
	{-ERR_UNSAVED, 404, "not-saved", -1},
	{-ERR_GONE, 404, "upstream-missing", -1},
	{-ERR_COOLDOWN, 404, "cooling-down", 60},
	/* sources exist, none of them delivers */
	{-ERR_CONNECT, 502, "upstream-unreachable", -1},
	{-ERR_UPSTREAM, 502, "upstream-error", -1},
	{-ERR_TRUNCATED, 502, "upstream-broke-off", -1},
	{-ERR_DIGEST, 502, "wrong-digest", -1},
	{-ERR_SIZE, 502, "wrong-size", -1},
	{-ERR_DENIED, 502, "source-refused", -1},
	{-ERR_INVAL, 502, "bad-source", -1},
	{-ERR_TIMEOUT, 504, "upstream-timeout", -1},
	/* our own trouble, that passes */
	{-ERR_LIMIT, 503, "overload", 1},
	{-ERR_NOMEM, 503, "out-of-memory", 1},
	{-ERR_NOSPACE, 503, "storage-full", 30},
	{-ERR_STAGING, 503, "staging-full", 10},
	{-ERR_IO, 503, "storage-error", 30},
	{-ERR_DB, 503, "database-error", 5},
	{-ERR_BUSY, 503, "database-busy", 1},
	{-ERR_CANCELED, 503, "canceled", 1},
	{-ERR_CLOSED, 503, "stopping", 1},
};

static const struct answer_row internal = {-ERR_INTERNAL, 500, "internal-error", -1};

const struct answer_row *answer_for(int code)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].code == code)
			return &rows[i];
	return &internal;
}

/* The head, but for what comes with a body; `headers` and `when` are room for it. */
static struct http_reply reply_of(
	const struct answer_row *row, int64_t retry_after_s, struct http_header headers[2], char when[24])
{
	struct http_reply r = {.status = row->status,
		.content_type = "text/plain; charset=utf-8",
		.headers = headers,
		.header_count = 1,
		.note = row->reason};

	headers[0] = (struct http_header){SLICE("X-Sluice-Reason"), slice_str(row->reason)};
	if (retry_after_s >= 0) {
		(void)snprintf(when, 24, "%" PRId64, retry_after_s);
		headers[r.header_count++] = (struct http_header){SLICE("Retry-After"), slice_str(when)};
	}
	return r;
}

static size_t text_of(const struct answer_row *row, char *out, size_t size)
{
	return (size_t)snprintf(out, size, "%d: %s\n", row->status, http_reason(row->status));
}

void answer_failure(struct http_x *x, int code, int64_t retry_after_s)
{
	const struct answer_row *row = answer_for(code);
	struct http_header headers[2];
	char when[24], text[64];
	struct http_reply r = reply_of(row, retry_after_s >= 0 ? retry_after_s : row->retry_after_s, headers, when);
	char *kept;

	r.size = (int64_t)text_of(row, text, sizeof(text));
	kept = arena_strdup(http_arena(x), slice_of(text, (size_t)r.size));
	if (kept != NULL)
		r.body = body_memory_in(http_arena(x), kept, (size_t)r.size, NULL, NULL);
	if (r.body == NULL)
		r.size = 0;
	http_reply(x, &r);
}

void answer_failure_bare(struct http_x *x, int code, int64_t retry_after_s)
{
	const struct answer_row *row = answer_for(code);
	struct http_header headers[2];
	char when[24];
	struct http_reply r = reply_of(row, retry_after_s >= 0 ? retry_after_s : row->retry_after_s, headers, when);

	if (r.status == 502 || r.status == 504)
		r.status = 404;
	r.content_type = NULL;
	http_reply(x, &r);
}

static bool make_ready(struct http_x *x, const struct answer_row *row, struct answer_kept *kept)
{
	struct http_header headers[2];
	char when[24];
	struct http_reply r = reply_of(row, row->retry_after_s, headers, when);

	r.size = (int64_t)text_of(row, kept->room + HTTP_READY_ROOM, sizeof(kept->room) - HTTP_READY_ROOM);
	return http_ready_make(x, &r, kept->room, (size_t)r.size, &kept->ready) == 0;
}

void answer_failure_kept(struct http_x *x, int code, struct answer_kept *kept)
{
	const struct answer_row *row = answer_for(code);

	if (http_ready_fits(x) && (kept->ready.p != NULL || make_ready(x, row, kept)))
		http_reply_ready(x, &kept->ready, NULL, NULL, NULL, row->reason);
	else
		answer_failure(x, code, -1);
}
