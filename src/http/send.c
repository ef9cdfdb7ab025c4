/* Sending a response: its segments, from memory or from a body that may still be growing. The shard's loop only. */
#include "http/conn_priv.h"

#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* A fast peer's share of one turn of the loop. */
#define TURN_BYTES (1024 * 1024)
/* Chunks of a body whose size is unknown: as large as what is there, up to this. */
#define CHUNK_MAX (256 * 1024)
/* Below this, bytes of a file are read and sent with what precedes them in one call, cheaper than sendfile's two. */
#define COPY_MAX (32 * 1024)

/* The socket took n bytes, or says why not. > 0 bytes; 0 full; negative: closed. */
static ssize_t account(struct conn *c, ssize_t n)
{
	if (n > 0) {
		c->x.sent_bytes += n;
		metric_add(M_http_bytes_sent, n);
		conn_deadline(c, c->shard->server->limits.send_ms, CLOSE_SEND_TIMEOUT);
		return n;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (!c->want_out) {
			c->want_out = true;
			conn_deadline(c, c->shard->server->limits.send_ms, CLOSE_SEND_TIMEOUT);
		}
		loop_io_mod(c->shard->loop, &c->io, EPOLLOUT);
		return 0;
	}
	conn_close(c, errno == EPIPE || errno == ECONNRESET ? CLOSE_CLIENT : CLOSE_RESET);
	return -1;
}

/* The source failed after the head was sent: the client must not take what it has for the whole. */
static int end_short(struct conn *c)
{
	struct linger hard = {.l_onoff = 1, .l_linger = 0};

	metric_inc(M_content_short_closes);
	/* Without a length or chunks only a reset tells a broken response from a complete one. */
	if (c->x.segs[c->x.seg].end < 0 && !c->x.chunked_out)
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	conn_close(c, CLOSE_SHORT_BODY);
	return -1;
}

/* Bytes of the body that may go now, at `off`, at most `max`. > 0; 0: sleeps (or the end: *end); negative: closed. */
static int64_t body_ready(struct conn *c, int64_t off, int64_t max, bool *end)
{
	struct body *b = c->x.body;

	*end = false;
	for (;;) {
		int64_t n = b->ops->ready(b, off), size;

		if (n > 0)
			return MIN(n, max);
		if (n < 0)
			return end_short(c);
		size = b->ops->size(b);
		if (size >= 0 && off >= size) {
			*end = true;
			return 0;
		}
		if (b->ops->wait(b, off, &c->wake) == 0) {
			/* The upstream is slow, not the client. */
			c->deadline_ns = INT64_MAX;
			if (c->want_out || (c->io.events & EPOLLOUT) != 0) {
				c->want_out = false;
				loop_io_mod(c->shard->loop, &c->io, 0);
			}
			return 0;
		}
	}
}

#define PIECE_FULL (-1)   /* the socket takes no more; its event is asked for */
#define PIECE_CLOSED (-2) /* the connection is gone */

/* Sends up to n body bytes at off, after `prefix` (which may be empty). Adds what left of the prefix to *prefix_sent. Returns the body bytes
 * sent, which may be 0 when only some of the prefix went. */
static int64_t send_piece(struct conn *c, struct slice prefix, size_t *prefix_sent, int64_t off, int64_t n, bool more)
{
	struct body *b = c->x.body;
	int fd = b->ops->fd(b);
	size_t memory_n = 0;
	const char *memory = body_peek(b, &memory_n);
	int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
	ssize_t sent;

	if (memory == NULL && (fd < 0 || n <= COPY_MAX)) {
		ssize_t got = b->ops->read(b, off, c->shard->scratch, (size_t)MIN(n, COPY_MAX));

		if (got <= 0) {
			log_error("http", "request %llu: reading the body at %lld failed",
				(unsigned long long)c->x.req.id, (long long)off);
			(void)end_short(c);
			return PIECE_CLOSED;
		}
		memory = c->shard->scratch;
		n = got;
	} else if (memory != NULL) {
		memory += off;
	}
	if (memory != NULL) {
		struct iovec iov[2] = {{(void *)(uintptr_t)prefix.p, prefix.n}, {(void *)(uintptr_t)memory, (size_t)n}};
		struct msghdr msg = {.msg_iov = iov + (prefix.n == 0), .msg_iovlen = prefix.n == 0 ? 1 : 2};

		sent = account(c, sendmsg(c->fd, &msg, flags));
		if (sent <= 0)
			return sent == 0 ? PIECE_FULL : PIECE_CLOSED;
		if ((size_t)sent <= prefix.n) {
			*prefix_sent += (size_t)sent;
			return 0;
		}
		*prefix_sent += prefix.n;
		return sent - (ssize_t)prefix.n;
	}
	if (prefix.n > 0) {
		sent = account(c, send(c->fd, prefix.p, prefix.n, MSG_NOSIGNAL | MSG_MORE));
		if (sent <= 0)
			return sent == 0 ? PIECE_FULL : PIECE_CLOSED;
		*prefix_sent += (size_t)sent;
		if ((size_t)sent < prefix.n)
			return 0;
	}
	{
		off_t at = off;

		sent = sendfile(c->fd, fd, &at, (size_t)n);
	}
	if (sent == 0) { /* the file is shorter than it was: someone truncated an artifact */
		log_error("http", "request %llu: file ended at %lld", (unsigned long long)c->x.req.id, (long long)off);
		(void)end_short(c);
		return PIECE_CLOSED;
	}
	sent = account(c, sent);
	return sent > 0 ? sent : (sent == 0 ? PIECE_FULL : PIECE_CLOSED);
}

/* Prepares the framing of the next chunk. 1 something to send; 0 sleeps; negative closed. */
static int next_chunk(struct conn *c, struct segment *g)
{
	struct http_x *x = &c->x;
	bool end;
	int64_t n = body_ready(c, g->off, CHUNK_MAX, &end);

	if (n < 0)
		return -1;
	if (n == 0 && !end)
		return 0;
	/* After a first chunk the line end that closes it goes out with the next size. */
	x->frame_n = (size_t)snprintf(x->frame, sizeof(x->frame), "%s%llx\r\n%s", x->piece < 0 ? "\r\n" : "",
		(unsigned long long)n, n == 0 ? "\r\n" : "");
	x->frame_at = 0;
	x->piece = n;
	x->last_frame = n == 0;
	return 1;
}

/* A body of unknown size in chunks. 1 done; 0 waits; negative closed. */
static int send_chunked(struct conn *c, struct segment *g, int64_t *budget)
{
	struct http_x *x = &c->x;

	while (*budget > 0) {
		size_t frame_sent = 0;
		int64_t n;

		if (x->piece <= 0 && x->frame_at == x->frame_n) {
			int rc;

			if (x->last_frame)
				return 1;
			rc = next_chunk(c, g);
			if (rc <= 0)
				return rc;
		}
		if (x->last_frame) {
			ssize_t sent =
				account(c, send(c->fd, x->frame + x->frame_at, x->frame_n - x->frame_at, MSG_NOSIGNAL));

			if (sent <= 0)
				return (int)sent;
			x->frame_at += (size_t)sent;
			continue;
		}
		n = send_piece(c, slice_of(x->frame + x->frame_at, x->frame_n - x->frame_at), &frame_sent, g->off,
			x->piece, false);
		x->frame_at += frame_sent;
		if (n < 0)
			return n == PIECE_FULL ? 0 : -1;
		g->off += n;
		x->piece -= n;
		*budget -= n;
		if (x->piece == 0)
			x->piece = -1; /* next_chunk closes it */
		if (x->body->ops->sent != NULL)
			x->body->ops->sent(x->body, g->off);
	}
	return 0;
}

/* Memory, and body bytes right behind it if the next segment has some: one call for a small response. 1 done; 0 waits; negative closed. */
static int send_memory(struct conn *c, struct segment *g, int64_t *budget)
{
	struct http_x *x = &c->x;
	struct segment *next = x->seg + 1 < x->seg_count ? g + 1 : NULL;

	while (g->off < g->end) {
		struct slice mem = slice_of(g->mem + g->off, (size_t)(g->end - g->off));
		int64_t n = 0;
		ssize_t sent;

		if (next != NULL && next->mem == NULL && next->end > next->off)
			n = x->body->ops->ready(x->body, next->off);
		if (n > 0) {
			size_t prefix_sent = 0;

			n = send_piece(c, mem, &prefix_sent, next->off, MIN(n, next->end - next->off), false);
			g->off += (int64_t)prefix_sent;
			if (n < 0)
				return n == PIECE_FULL ? 0 : -1;
			next->off += n;
			*budget -= n;
			if (x->body->ops->sent != NULL)
				x->body->ops->sent(x->body, next->off);
			continue;
		}
		if (n < 0 && x->seg == 0 && g->off == 0)
			return end_short(c); /* nothing was sent: not even a head that promises a body */
		sent = account(c,
			send(c->fd, mem.p, mem.n, MSG_NOSIGNAL | (next != NULL && next->mem != NULL ? MSG_MORE : 0)));
		if (sent <= 0)
			return (int)sent;
		g->off += sent;
	}
	return 1;
}

static int send_body_range(struct conn *c, struct segment *g, int64_t *budget)
{
	struct http_x *x = &c->x;

	for (;;) {
		int64_t max = g->end < 0 ? CHUNK_MAX : g->end - g->off, n;
		size_t none = 0;
		bool end;

		if (max == 0)
			return 1;
		if (*budget <= 0)
			return 0;
		n = body_ready(c, g->off, MIN(max, *budget), &end);
		if (n < 0)
			return -1;
		if (n == 0) {
			if (!end)
				return 0;
			return g->end < 0 ? 1 : end_short(c);
		}
		n = send_piece(c, SLICE_NULL, &none, g->off, n, false);
		if (n < 0)
			return n == PIECE_FULL ? 0 : -1;
		g->off += n;
		*budget -= n;
		if (x->body->ops->sent != NULL)
			x->body->ops->sent(x->body, g->off);
	}
}

int send_run(struct conn *c)
{
	struct http_x *x = &c->x;
	int64_t budget = TURN_BYTES;

	c->want_out = false;
	while (x->seg < x->seg_count) {
		struct segment *g = &x->segs[x->seg];
		int rc;

		if (g->mem != NULL)
			rc = send_memory(c, g, &budget);
		else if (g->end < 0 && x->chunked_out)
			rc = send_chunked(c, g, &budget);
		else
			rc = send_body_range(c, g, &budget);
		if (rc < 0)
			return -1;
		if (rc == 0) {
			if (budget <= 0) /* its share of this turn is used up; the socket may well have room */
				(void)loop_post_once(c->shard->loop, &c->cont);
			return 0;
		}
		x->seg++;
	}
	if ((c->io.events & EPOLLIN) == 0)
		loop_io_mod(c->shard->loop, &c->io, EPOLLIN);
	return 1;
}
