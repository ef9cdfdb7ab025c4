/* Sending a response: its segments, from memory or from a body that may still be growing. The shard's loop only. */
#include "http/conn_priv.h"
#include "http/sock.h"

#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>

/* A fast peer's share of one turn of the loop. */
#define TURN_BYTES (1024 * 1024)
/* Chunks of a body whose size is unknown: as large as what is there, up to this. */
#define CHUNK_MAX (256 * 1024)
/* Below this, bytes of a file are read and sent with what precedes them in one call, cheaper than sendfile's two. */
#define COPY_MAX (16 * 1024)

/* A client that takes half of what may wait unsent (server.c) in that time, so many times in a row, is fast: five megabytes a second. Its
 * own socket takes a few hundred kilobytes at once even when it reads nothing, hence the row. */
#define FAST_NS (25 * NS_PER_MS)
#define FAST_ROUNDS 8

/* What a step of sending came to; all but SENT_ON are at most 0. */
enum {
	SENT_ON = 1,
	SENT_WAITS = 0,
	SENT_CLOSED = -1,
	SENT_INSTEAD = -2 /* another answer takes its place: begin again */
};

/* The socket, which was full, has room again: a slow client holds little unsent data in the kernel, a fast one need not wake the loop for each bit of it. */
static void judge_client(struct conn *c)
{
	const int unbounded = 0;

	if (c->fast_rounds == FAST_ROUNDS)
		return;
	c->fast_rounds = loop_now(c->shard->loop) - c->full_ns <= FAST_NS ? c->fast_rounds + 1 : 0;
	if (c->fast_rounds == FAST_ROUNDS) /* else it stays bounded: slower, not wrong */
		(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unbounded, sizeof(unbounded));
}

/* Nothing more goes in: its event comes. */
static void socket_is_full(struct conn *c)
{
	int64_t send_ms = c->shard->server->limits.send_ms;

	if (c->want_out)
		return;
	/* Only progress moves the deadline. */
	if (c->deadline_ns == INT64_MAX || c->on_deadline != CLOSE_SEND_TIMEOUT)
		conn_deadline(c, send_ms, CLOSE_SEND_TIMEOUT);
	c->unsent = MAX(conn_unacknowledged(c), 0);
	c->full_ns = loop_now(c->shard->loop);
	c->want_out = true;
	conn_watch(c, EPOLLOUT);
}

ssize_t send_account(struct conn *c, ssize_t n)
{
	int64_t send_ms = c->shard->server->limits.send_ms;

	if (n > 0) {
		c->x->sent_bytes += n;
		if (c->want_out)
			judge_client(c);
		c->want_out = false;
		c->x->begun = c->x->replied;
		metric_add(M_http_bytes_sent, n);
		conn_deadline(c, send_ms, CLOSE_SEND_TIMEOUT);
		return n;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		socket_is_full(c);
		return SENT_WAITS;
	}
	conn_close(c, errno == EPIPE || errno == ECONNRESET ? CLOSE_CLIENT : CLOSE_RESET);
	return SENT_CLOSED;
}

/* The source failed: another answer if there is still time, else the client must not take what it has for the whole. */
static int body_failed(struct conn *c, int status, const char *why)
{
	struct http_x *x = c->x;
	struct linger hard = {.l_onoff = 1, .l_linger = 0};

	log_warn("http", "request %" PRIx64 " of %s: %s: %s", x->req.id, c->peer,
		x->begun ? "response ended short" : "no response", why);
	if (!x->begun) {
		reply_instead(c, status);
		return SENT_INSTEAD;
	}
	metric_inc(M_content_short_closes);
	/* Without a length or chunks only a reset tells a broken response from a complete one. */
	if (x->segs[x->seg].mem == NULL && x->segs[x->seg].end < 0 && !x->chunked_out)
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	conn_close(c, CLOSE_SHORT_BODY);
	return SENT_CLOSED;
}

/* Tells a body that wants to know how far the client has acknowledged it, if that is further than it was: not what was handed to the kernel, which
 * has the pages of a file that sendfile sent and not copies of them, and sends them again when they are lost. What is in the socket ends with the
 * segment in progress, so at most that much of the segment is under way; framing in between only makes it less. Of several ranges only the last one
 * is told, once nothing before it is under way: an earlier one may lie behind a later. */
static void tell_acknowledged(struct conn *c)
{
	struct http_x *x = c->x;
	const struct segment *g;
	int64_t unacknowledged;

	if (x->range_sent == 0)
		return;
	g = &x->segs[x->seg];
	if (g->mem != NULL)
		return;
	unacknowledged = conn_unacknowledged(c);
	if (unacknowledged < 0 || (unacknowledged >= x->range_sent && x->seg_count > 2))
		return;
	unacknowledged = MIN(unacknowledged, x->range_sent);
	if (g->off - unacknowledged <= x->acknowledged)
		return;
	x->acknowledged = g->off - unacknowledged;
	x->body->ops->sent(x->body, x->acknowledged);
}

/* Bytes of the body that may go now, of segment g, at most `max`. > 0; SENT_WAITS: sleeps (or the end: *end); negative: as body_failed. */
static int64_t body_ready(struct conn *c, const struct segment *g, int64_t max, bool *end)
{
	struct http_x *x = c->x;
	struct body *b = x->body;
	int64_t off = g->off;

	*end = false;
	for (;;) {
		int64_t n = b->ops->ready(b, off), size;

		if (n > 0)
			return MIN(n, max);
		if (n < 0)
			return body_failed(c, 502, err_text((int)n));
		size = b->ops->size(b);
		if (size >= 0 && off >= size) {
			*end = true;
			return SENT_WAITS;
		}
		/* A wake that was queued for an earlier sleep may bring us here while the next one lasts. */
		if (x->asleep)
			b->ops->unwait(b, &c->wake);
		c->wake.end = g->end < 0 ? INT64_MAX : g->end;
		x->asleep = b->ops->wait(b, off, &c->wake) == 0;
		if (x->asleep) {
			tell_acknowledged(c);
			c->want_out = false;
			if ((c->io.events & EPOLLOUT) != 0 || sock_unsent(c) > 0)
				conn_watch(c, 0);
			conn_no_deadline(c); /* the upstream is slow, not the client */
			return SENT_WAITS;
		}
	}
}

/* n bytes of the body more are the kernel's. */
static void body_sent(struct conn *c, const struct segment *g, int64_t n)
{
	struct http_x *x = c->x;

	if (x->body->ops->sent == NULL || g + 2 < x->segs + x->seg_count)
		return;
	x->range_sent += n;
	if (g == x->segs + x->seg)
		tell_acknowledged(c);
}

/* The bytes of the body at off: its own memory, or up to COPY_MAX of them read. NULL: large, better by sendfile; *n is what *memory holds. */
static int body_bytes(struct conn *c, int64_t off, int64_t *n, const char **memory)
{
	struct body *b = c->x->body;
	size_t memory_n = 0;
	const char *own = body_peek(b, &memory_n);
	ssize_t got;

	if (own != NULL) {
		*memory = own + off;
		return SENT_ON;
	}
	*memory = NULL;
	if (b->ops->fd(b) >= 0 && *n > COPY_MAX)
		return SENT_ON;
	got = b->ops->read(b, off, c->shard->scratch, (size_t)MIN(*n, COPY_MAX));
	if (got <= 0)
		return body_failed(c, 500, got == 0 ? "the file is shorter than it was" : "reading the body failed");
	*memory = c->shard->scratch;
	*n = got;
	return SENT_ON;
}

static bool is_socket_error(int e)
{
	return e == EAGAIN || e == EINTR || e == EPIPE || e == ECONNRESET || e == ETIMEDOUT || e == ENOTCONN ||
	       e == EHOSTUNREACH || e == ENETUNREACH || e == ENETDOWN || e == ENOBUFS;
}

/* By sendfile, the prefix first. */
static ssize_t send_file(struct conn *c, struct slice prefix, int64_t off, int64_t n)
{
	ssize_t sent = 0, asked = (ssize_t)n;
	int fd = c->x->body->ops->fd(c->x->body);

	if (prefix.n > 0) {
		sent = send_account(c, sock_send(c, prefix.p, prefix.n, MSG_MORE));
		if (sent < (ssize_t)prefix.n)
			return sent;
	}
	n = sock_sendfile(c, fd, off, (size_t)n);
	if (n == 0)
		return body_failed(c, 500, "the file is shorter than it was");
	if (n < 0 && !is_socket_error(errno))
		return body_failed(c, 500, strerror(errno));
	n = send_account(c, n);
	if (n > 0 && sock_is_full(c, asked, n)) /* to ask again would only be told so */
		socket_is_full(c);
	/* The prefix is out: the caller must hear of it, and meets a full socket again at the next try. */
	return n > 0 ? sent + n : (n == SENT_WAITS && sent > 0 ? sent : n);
}

/* Sends `prefix` (which may be empty) and up to n bytes of the body at off, which are ready. > 0: bytes sent, of the prefix first; or SENT_*. */
static ssize_t send_piece(struct conn *c, struct slice prefix, int64_t off, int64_t n)
{
	const char *memory;
	int rc = body_bytes(c, off, &n, &memory);

	if (rc != SENT_ON)
		return rc;
	if (memory == NULL)
		return send_file(c, prefix, off, n);
	return send_account(c, sock_send2(c, prefix.p, prefix.n, memory, (size_t)n, 0));
}

/* Memory, and body bytes right behind it if the next segment has some: one call for a small response. */
static int send_memory(struct conn *c, struct segment *g, int64_t *budget)
{
	struct http_x *x = c->x;
	struct segment *next = x->seg + 1 < x->seg_count ? g + 1 : NULL;

	while (g->off < g->end) {
		struct slice mem = slice_of(g->mem + g->off, (size_t)(g->end - g->off));
		bool has_body = next != NULL && next->mem == NULL;
		int64_t ready = has_body ? x->body->ops->ready(x->body, next->off) : 0;
		ssize_t sent;

		if (ready < 0)
			return body_failed(c, 502, err_text((int)ready));
		if (ready > 0 && next->end >= 0) {
			sent = send_piece(c, mem, next->off, MIN(ready, next->end - next->off));
		} else { /* in front of a chunk comes its size: send_chunked's */
			sent = send_account(
				c, sock_send(c, mem.p, mem.n, next != NULL && (!has_body || ready > 0) ? MSG_MORE : 0));
		}
		if (sent <= 0)
			return (int)sent;
		g->off += MIN(sent, (ssize_t)mem.n);
		if (sent > (ssize_t)mem.n) {
			next->off += sent - (ssize_t)mem.n;
			*budget -= sent - (ssize_t)mem.n;
			body_sent(c, next, sent - (ssize_t)mem.n);
		}
	}
	return SENT_ON;
}

static int send_body_range(struct conn *c, struct segment *g, int64_t *budget)
{
	while (g->off != g->end) {
		int64_t max = g->end < 0 ? CHUNK_MAX : g->end - g->off, n;
		bool end;

		if (*budget <= 0)
			return SENT_WAITS;
		n = body_ready(c, g, MIN(max, *budget), &end);
		if (end)
			return g->end < 0 ? SENT_ON : body_failed(c, 502, "the body is shorter than its size");
		if (n > 0)
			n = send_piece(c, SLICE_NULL, g->off, n);
		if (n <= 0)
			return (int)n;
		g->off += n;
		*budget -= n;
		body_sent(c, g, n);
		if (c->want_out && g->off != g->end)
			return SENT_WAITS;
	}
	return SENT_ON;
}

/* Prepares the framing of the next chunk. */
static int next_chunk(struct conn *c, struct segment *g)
{
	struct http_x *x = c->x;
	bool end;
	int64_t n = body_ready(c, g, CHUNK_MAX, &end);

	if (n <= 0 && !end)
		return (int)n;
	/* After a first chunk the line end that closes it goes out with the next size. */
	x->frame_n = (size_t)snprintf(
		x->frame, sizeof(x->frame), "%s%" PRIx64 "\r\n%s", g->off > 0 ? "\r\n" : "", n, end ? "\r\n" : "");
	x->frame_at = 0;
	x->piece = n;
	x->last_frame = end;
	return SENT_ON;
}

/* A body of unknown size in chunks. */
static int send_chunked(struct conn *c, struct segment *g, int64_t *budget)
{
	struct http_x *x = c->x;

	while (*budget > 0) {
		struct slice frame;
		ssize_t sent;

		if (x->piece == 0 && x->frame_at == x->frame_n) {
			int rc = SENT_ON;

			if (x->last_frame || (rc = next_chunk(c, g)) != SENT_ON)
				return rc;
		}
		frame = slice_of(x->frame + x->frame_at, x->frame_n - x->frame_at);
		if (x->last_frame)
			sent = send_account(c, sock_send(c, frame.p, frame.n, 0));
		else
			sent = send_piece(c, frame, g->off, x->piece);
		if (sent <= 0)
			return (int)sent;
		x->frame_at += MIN((size_t)sent, frame.n);
		if (sent > (ssize_t)frame.n) {
			g->off += sent - (ssize_t)frame.n;
			x->piece -= sent - (ssize_t)frame.n;
			*budget -= sent - (ssize_t)frame.n;
			body_sent(c, g, sent - (ssize_t)frame.n);
		}
	}
	return SENT_WAITS;
}

/* All is taken; what of it was sealed but is not in the socket yet follows before anything else happens. */
static int send_rest(struct conn *c)
{
	if (sock_unsent(c) == 0)
		return SENT_ON;
	if (tls_flush(c->seal) == 0) {
		c->want_out = false;
		return SENT_ON;
	}
	if (errno == EAGAIN || errno == EINTR) {
		socket_is_full(c);
		return SENT_WAITS;
	}
	conn_close(c, CLOSE_CLIENT);
	return SENT_CLOSED;
}

int send_continue(struct conn *c)
{
	struct http_x *x = c->x;
	ssize_t sent;

	while (x->continue_at < sizeof(CONTINUE_TEXT) - 1) {
		sent = send_account(
			c, sock_send(c, &CONTINUE_TEXT[x->continue_at], sizeof(CONTINUE_TEXT) - 1 - x->continue_at, 0));
		if (sent <= 0)
			return (int)sent;
		x->continue_at += (size_t)sent;
	}
	return send_rest(c);
}

int send_run(struct conn *c)
{
	struct http_x *x = c->x;
	int64_t budget = TURN_BYTES;
	int rc = SENT_ON;

	if (x->ready != NULL) {
		rc = ready_run(c);
		if (rc == SENT_ON)
			return send_rest(c);
		if (rc < SENT_ON)
			return rc;
	}
	tell_acknowledged(c);
	if (x->continue_at > 0) /* answered before "100 Continue" was out altogether */
		rc = send_continue(c);
	while (rc > 0 && x->seg < x->seg_count) {
		struct segment *g = &x->segs[x->seg];

		if (g->mem != NULL)
			rc = send_memory(c, g, &budget);
		else if (g->end < 0 && x->chunked_out)
			rc = send_chunked(c, g, &budget);
		else
			rc = send_body_range(c, g, &budget);
		if (rc == SENT_ON)
			x->seg++;
		else if (rc == SENT_INSTEAD)
			rc = SENT_ON;
	}
	if (rc == SENT_ON)
		rc = send_rest(c);
	/* Its share of this turn is used up; the socket may well have room. */
	if (rc == SENT_WAITS && budget <= 0 && !c->want_out)
		conn_again(c);
	return rc;
}
