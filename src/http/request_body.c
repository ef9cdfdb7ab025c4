/* Request bodies: sized or chunked, streamed to the handler's sink or collected in memory, or dropped after the response. The shard's loop
 * only. */
#include "http/conn_priv.h"

/* A fast peer's share of one turn of the loop, in reads. */
#define READS_PER_TURN 16

/* The next piece of the body out of *have. 1: *piece (which *have is moved behind); 0: needs more input; 2: the end; -1: malformed. */
static int next_piece(struct http_x *x, struct slice *have, struct slice *piece)
{
	size_t n;

	if (x->req.chunked)
		return http_chunked_next(&x->chunks, have, piece);
	if (x->body_left == 0)
		return 2;
	n = (int64_t)have->n < x->body_left ? have->n : (size_t)x->body_left;
	if (n == 0)
		return 0;
	*piece = slice_of(have->p, n);
	*have = slice_of(have->p + n, have->n - n);
	x->body_left -= (int64_t)n;
	return 1;
}

enum fed { FED_ALL, FED_PAUSED, FED_OVER }; /* over: at its end, refused, or the connection is gone */

/* Gives one piece to the sink. */
static enum fed give_piece(struct conn *c, struct slice piece)
{
	struct http_x *x = c->x;
	int rc;

	c->in_handler = c->shard->calling = true;
	rc = x->sink.on_data(x, piece.p, piece.n, x->sink.arg);
	c->in_handler = c->shard->calling = false;
	if (x->replied) {
		x->reading = false;
		return FED_OVER;
	}
	if (rc == HTTP_PAUSE) {
		x->paused = true;
		conn_watch(c, 0);
		conn_no_deadline(c);
		return FED_PAUSED;
	}
	BUG(rc < 0); /* http_sink: who refuses answers */
	return FED_ALL;
}

static void give_end(struct conn *c)
{
	struct http_x *x = c->x;

	x->body_done = true;
	x->reading = false;
	conn_no_deadline(c);
	c->in_handler = c->shard->calling = true;
	x->sink.on_end(x, x->sink.arg);
	c->in_handler = c->shard->calling = false;
}

/* Feeds the sink from `have`; what is left is kept. */
static enum fed body_feed(struct conn *c, struct slice have)
{
	struct http_x *x = c->x;
	enum fed fed = FED_ALL;
	int rc = 1;

	while (fed == FED_ALL && rc == 1) {
		struct http_chunked chunks = x->chunks;
		struct slice before = have, piece = SLICE_NULL;

		rc = next_piece(x, &have, &piece);
		if (rc == 1)
			fed = give_piece(c, piece);
		if (fed == FED_PAUSED) { /* not taken: it comes again */
			x->chunks = chunks;
			x->body_left += x->req.chunked ? 0 : (int64_t)piece.n;
			have = before;
		}
	}
	if (rc < 0) {
		conn_abandon(c);
		reply_refuse(c, 400, "malformed chunked body", x->req.target);
		return FED_OVER;
	}
	if (conn_keep(c, have.p, have.n) < 0) { /* before the end is told: the scratch is not ours then */
		conn_close(c, CLOSE_NOMEM);
		return FED_OVER;
	}
	if (rc == 2) {
		give_end(c);
		return FED_OVER;
	}
	return fed;
}

bool body_run(struct conn *c)
{
	struct http_x *x = c->x;
	struct slice have = conn_input(c);
	int rc;

	if (!x->reading || x->paused)
		return false;
	for (int reads = 0;; reads++) {
		if (have.n > 0) {
			enum fed fed = body_feed(c, have);

			if (fed != FED_ALL)
				return fed == FED_OVER;
		}
		if (x->expect_continue && x->continue_at < sizeof(CONTINUE_TEXT) - 1 && (rc = send_continue(c)) <= 0)
			return rc < 0;
		if (!c->readable) {
			conn_watch(c, EPOLLIN);
			conn_deadline(c, c->shard->server->limits.body_ms, CLOSE_BODY_TIMEOUT);
			return false;
		}
		if (reads == READS_PER_TURN) { /* much to read: others have their turn */
			conn_again(c);
			return false;
		}
		rc = conn_fill(c, &have);
		if (rc < 0)
			return true;
		if (rc == 0)
			have = SLICE_NULL; /* comes by again, and waits */
	}
}

/* The rest of a request body that nobody read. False: waits; true: the state changed, or body_done says whether all of it is gone. */
bool skip_run(struct conn *c)
{
	struct http_x *x = c->x;
	struct slice have = conn_input(c), piece;
	int rc;

	for (;;) {
		while ((rc = next_piece(x, &have, &piece)) == 1)
			x->skipped += (int64_t)piece.n;
		x->body_done = rc == 2;
		if (rc != 0 || x->skipped > DISCARD_MAX) {
			if (conn_keep(c, have.p, have.n) < 0)
				conn_close(c, CLOSE_NOMEM);
			return true;
		}
		(void)conn_keep(c, NULL, 0);
		if (!c->readable) {
			conn_watch(c, EPOLLIN);
			return false;
		}
		rc = conn_fill(c, &have);
		if (rc <= 0)
			return rc < 0;
	}
}

void http_stream_body(struct http_x *x, const struct http_sink *sink)
{
	struct conn *c = conn_of(x);

	BUG(c->state != CONN_HANDLER || x->reading || x->replied);
	x->sink = *sink;
	if (x->body_done) {
		x->sink.on_end(x, x->sink.arg);
		return;
	}
	x->reading = true;
	conn_deadline(c, c->shard->server->limits.body_ms, CLOSE_BODY_TIMEOUT);
	if (!c->in_handler)
		conn_again(c);
}

void http_body_resume(struct http_x *x)
{
	struct conn *c = conn_of(x);

	if (!x->paused)
		return;
	x->paused = false;
	conn_deadline(c, c->shard->server->limits.body_ms, CLOSE_BODY_TIMEOUT);
	conn_again(c);
}

static int collect_data(struct http_x *x, const char *p, size_t n, void *arg)
{
	int status = 413;

	if (n <= x->collect_max - x->collect.n) {
		if (buf_add(&x->collect, p, n) == 0)
			return 0;
		status = 503;
	}
	conn_abandon(conn_of(x));
	http_reply_text(x, status, NULL, NULL, status == 503 ? 1 : -1);
	return -ERR_LIMIT;
}

static void collect_end(struct http_x *x, void *arg)
{
	x->collect_fn(x, buf_slice(&x->collect), x->collect_arg);
}

void http_read_body(
	struct http_x *x, size_t max_bytes, void (*fn)(struct http_x *x, struct slice body, void *arg), void *arg)
{
	const struct http_sink sink = {.on_data = collect_data, .on_end = collect_end};

	if (x->req.content_length > (int64_t)MIN(max_bytes, (size_t)INT64_MAX)) {
		conn_abandon(conn_of(x));
		http_reply_text(x, 413, NULL, NULL, -1);
		return;
	}
	x->collect = BUF_INIT(MIN(max_bytes, SIZE_MAX - 2) + 1); /* 0 would mean a default */
	x->collect_max = max_bytes;
	x->collect_fn = fn;
	x->collect_arg = arg;
	http_stream_body(x, &sink);
}
