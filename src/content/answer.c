/* See answer.h. What a client can do about it decides the status: 404 look elsewhere, 502 and 504 tell the administrator of the upstream, 503
 * come again. */
#include "content/answer.h"

#include "base/check.h"

#include <inttypes.h>

static const struct answer_row rows[] = {
	/* upstream says that it is not there, or nobody offers it */
	{-ERR_NOTFOUND, 404, "not-found", -1},
	{-ERR_NOSOURCE, 404, "no-source", -1},
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

void answer_failure(struct http_x *x, int code, int64_t retry_after_s)
{
	const struct answer_row *row = answer_for(code);
	int64_t retry = retry_after_s >= 0 ? retry_after_s : row->retry_after_s;
	struct http_header headers[2] = {{SLICE("X-Sluice-Reason"), slice_str(row->reason)}};
	struct http_reply r = {.status = row->status,
		.content_type = "text/plain; charset=utf-8",
		.headers = headers,
		.header_count = 1,
		.note = row->reason};
	char *text = arena_printf(http_arena(x), "%d: %s\n", row->status, http_reason(row->status));
	char *when = retry >= 0 ? arena_printf(http_arena(x), "%" PRId64, retry) : NULL;

	if (when != NULL)
		headers[r.header_count++] = (struct http_header){SLICE("Retry-After"), slice_str(when)};
	if (text != NULL) {
		r.size = (int64_t)strlen(text);
		r.body = body_memory_in(http_arena(x), text, (size_t)r.size, NULL, NULL);
	}
	http_reply(x, &r);
}
