/* Connections: reading requests, handing them to the handler, reading request bodies, time-outs, closing. See conn_priv.h
 * for the states. The shard's loop only. */
#include "http/conn_priv.h"

#include "base/log.h"
#include "base/metrics.h"
#include "base/url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A peer that pipelines without end gets this many answers, then the others have their turn. */
#define REQUESTS_PER_TURN 32
/* A request body that the handler did not want is read and dropped up to this size, to keep the connection. */
#define DISCARD_MAX 65536
#define LINGER_MS 2000
#define ARENA_MAX (1024 * 1024)

static void conn_on_io(struct loop_io *io, uint32_t events);
static void conn_on_timer(struct loop_timer *t);
static void begin_exchange(struct conn *c);

static void conn_set_state(struct conn *c, enum conn_state to)
{
	static const bool allowed[CONN_CLOSED + 1][CONN_CLOSED + 1] = {
		[CONN_IDLE] = {[CONN_HEAD] = 1, [CONN_CLOSED] = 1},
		[CONN_HEAD] = {[CONN_IDLE] = 1, [CONN_HANDLER] = 1, [CONN_SEND] = 1, [CONN_CLOSED] = 1},
		[CONN_HANDLER] = {[CONN_SEND] = 1, [CONN_CLOSED] = 1},
		[CONN_SEND] = {[CONN_IDLE] = 1, [CONN_LINGER] = 1, [CONN_CLOSED] = 1},
		[CONN_LINGER] = {[CONN_CLOSED] = 1},
	};

	BUG(!allowed[c->state][to]);
	c->state = to;
}

static void conn_reap(struct loop_post *p)
{
	struct conn *c = container_of(p, struct conn, reap);

	MAGIC_CHECK(c, CONN_MAGIC);
	c->magic = 0;
	arena_fini(&c->x.arena);
	free(c->in);
	free(c);
}

static void conn_continue(struct loop_post *p)
{
	conn_run(container_of(p, struct conn, cont));
}

static void conn_woken(struct loop_post *p)
{
	conn_run(container_of(p, struct conn, wake.post));
}

void conn_new(struct shard *s, int fd, const char *peer)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct err err = ERR_INIT;

	if (c != NULL)
		c->io.fn = conn_on_io;
	if (c == NULL || loop_io_add(s->loop, &c->io, fd, EPOLLIN, &err) < 0) {
		log_warn("http", "connection of %s dropped: %s", peer, c == NULL ? "out of memory" : err.msg);
		free(c);
		(void)close(fd);
		atomic_fetch_sub_explicit(&s->server->open, 1, memory_order_relaxed);
		return;
	}
	c->magic = CONN_MAGIC;
	c->shard = s;
	c->fd = fd;
	c->io.fn = conn_on_io;
	c->timer.fn = conn_on_timer;
	c->cont.fn = conn_continue;
	c->reap.fn = conn_reap;
	c->wake.loop = s->loop;
	c->wake.post.fn = conn_woken;
	(void)snprintf(c->peer, sizeof(c->peer), "%s", peer);
	arena_init(&c->x.arena, ARENA_MAX);
	c->next = s->conns;
	if (s->conns != NULL)
		s->conns->prev = c;
	s->conns = c;
	metric_inc(M_http_connections_open);
	conn_deadline(c, s->server->limits.idle_ms, CLOSE_IDLE);
}

static void conn_unlink(struct conn *c)
{
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		c->shard->conns = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->next = c->prev = NULL;
}

static void release_body(struct conn *c)
{
	if (c->x.body == NULL)
		return;
	c->x.body->ops->unwait(c->x.body, &c->wake);
	c->x.body->ops->done(&c->x.body);
}

static void free_collect(struct http_x *x)
{
	if (x->collect != NULL)
		buf_fini(x->collect);
	x->collect = NULL;
}

void conn_close(struct conn *c, enum close_reason why)
{
	if (c->state == CONN_CLOSED)
		return;
	if (c->state == CONN_SEND || c->state == CONN_HANDLER) {
		void (*abort_fn)(void *) = c->x.replied ? NULL : c->x.on_abort;

		c->x.on_abort = NULL;
		access_log_line(c, why, false);
		if (abort_fn != NULL)
			abort_fn(c->x.abort_arg);
	}
	if (why == CLOSE_IDLE || why == CLOSE_HEADER_TIMEOUT || why == CLOSE_BODY_TIMEOUT || why == CLOSE_SEND_TIMEOUT)
		metric_inc(M_http_timeouts);
	release_body(c);
	free_collect(&c->x);
	loop_timer_cancel(c->shard->loop, &c->timer);
	loop_io_del(c->shard->loop, &c->io);
	(void)close(c->fd);
	c->fd = -1;
	conn_unlink(c);
	conn_set_state(c, CONN_CLOSED);
	metric_dec(M_http_connections_open);
	atomic_fetch_sub_explicit(&c->shard->server->open, 1, memory_order_release);
	loop_post(c->shard->loop, &c->reap);
}

/* Deadlines move with every request; the timer is only set when it would fire too late, and looks again when it fires. */
void conn_deadline(struct conn *c, int64_t ms, enum close_reason why)
{
	struct loop *lp = c->shard->loop;

	c->deadline_ns = loop_now(lp) + ms * NS_PER_MS;
	c->on_deadline = why;
	if (c->timer.slot == 0 || c->timer.at_ns > c->deadline_ns)
		(void)loop_timer_set(
			lp, &c->timer, ms * NS_PER_MS); /* without memory for it: no time-out for this one */
}

static void conn_on_timer(struct loop_timer *t)
{
	struct conn *c = container_of(t, struct conn, timer);
	int64_t now = loop_now(c->shard->loop);

	if (c->deadline_ns == INT64_MAX)
		return;
	if (now < c->deadline_ns) {
		(void)loop_timer_set(c->shard->loop, t, c->deadline_ns - now);
		return;
	}
	if (c->state == CONN_HEAD && c->on_deadline == CLOSE_HEADER_TIMEOUT) {
		metric_inc(M_http_timeouts);
		begin_exchange(c);
		reply_refuse(c, 408, "request head took too long");
		conn_run(c);
		return;
	}
	conn_close(c, c->on_deadline);
}

/* Half a close: what we sent must not be lost to the reset that unread input would cause. */
static void conn_linger(struct conn *c)
{
	conn_set_state(c, CONN_LINGER);
	if (shutdown(c->fd, SHUT_WR) < 0) {
		conn_close(c, CLOSE_DONE);
		return;
	}
	loop_io_mod(c->shard->loop, &c->io, EPOLLIN);
	conn_deadline(c, LINGER_MS, CLOSE_DONE);
}

static void conn_discard(struct conn *c)
{
	for (int i = 0; i < 16; i++) {
		ssize_t n = recv(c->fd, c->shard->scratch, SCRATCH_SIZE, 0);

		if (n > 0)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		conn_close(c, CLOSE_DONE);
		return;
	}
}

/* ---- input ---- */

/* Keeps what was read but not used. */
static int conn_keep(struct conn *c, const char *p, size_t n)
{
	if (n > c->in_cap) {
		size_t cap = MAX(n, MIN(c->in_cap * 2, (size_t)SCRATCH_SIZE));
		char *grown = malloc(cap);

		if (grown == NULL)
			return -ERR_NOMEM;
		memcpy(grown, p, n);
		free(c->in);
		c->in = grown;
		c->in_cap = cap;
	} else if (n > 0) {
		memmove(c->in, p, n);
	}
	c->in_n = n;
	if (n == 0 && c->in != NULL) { /* an idle connection costs no buffer */
		free(c->in);
		c->in = NULL;
		c->in_cap = 0;
	}
	return 0;
}

/* Reads behind what is kept, into the scratch. > 0: *have is all there is; 0: nothing now; negative: the connection is gone or at its end. */
static int conn_fill(struct conn *c, struct slice *have)
{
	struct shard *s = c->shard;
	char *dst = s->scratch;
	size_t room = SCRATCH_SIZE;
	ssize_t n;

	if (c->in_n > 0) {
		size_t cap = c->in_n + 16384;

		if (c->in_cap < cap) {
			char *grown = realloc(c->in, cap);

			if (grown == NULL) {
				conn_close(c, CLOSE_NOMEM);
				return -1;
			}
			c->in = grown;
			c->in_cap = cap;
		}
		dst = c->in + c->in_n;
		room = c->in_cap - c->in_n;
	}
	do
		n = recv(c->fd, dst, room, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN) {
		loop_io_mod(s->loop, &c->io, EPOLLIN);
		return 0;
	}
	if (n <= 0) {
		c->eof = true;
		conn_close(c, n == 0 ? CLOSE_CLIENT : CLOSE_RESET);
		return -1;
	}
	if (c->in_n > 0) {
		c->in_n += (size_t)n;
		*have = slice_of(c->in, c->in_n);
	} else {
		*have = slice_of(dst, (size_t)n);
	}
	return 1;
}

/* Copies the head into the exchange, because the scratch is the loop's. */
static int adopt_head(struct conn *c, const char *base, size_t len, const struct http_head *h)
{
	struct http_x *x = &c->x;
	char *copy = arena_alloc(&x->arena, len + 1);
	struct http_header *fields = arena_alloc(&x->arena, MAX(h->req.header_count, 1) * sizeof(*fields));

	if (copy == NULL || fields == NULL)
		return -ERR_NOMEM;
	memcpy(copy, base, len);
	copy[len] = '\0';
	x->head = *h;
#define MOVE(s) ((s).p != NULL && (s).p >= base && (s).p <= base + len ? (s).p = copy + ((s).p - base) : 0)
	for (size_t i = 0; i < h->req.header_count; i++) {
		fields[i] = h->req.headers[i];
		(void)MOVE(fields[i].name);
		(void)MOVE(fields[i].value);
	}
	(void)MOVE(x->head.req.method_text);
	(void)MOVE(x->head.req.target);
	(void)MOVE(x->head.req.query);
	(void)MOVE(x->head.req.host);
	(void)MOVE(x->head.raw_path);
#undef MOVE
	x->head.req.headers = fields;
	x->req = x->head.req;
	return 0;
}

static int decode_path(struct http_x *x, struct err *err)
{
	size_t cap = x->head.raw_path.n + 1, n = 0;
	char *path = arena_alloc(&x->arena, cap);
	int rc;

	if (path == NULL)
		return err_set(err, -ERR_NOMEM, "out of memory");
	rc = url_path_decode(x->head.raw_path, path, cap, &n, err);
	if (rc == 0)
		x->req.path = slice_of(path, n);
	return rc;
}

static void begin_exchange(struct conn *c)
{
	struct http_x *x = &c->x;
	struct arena keep = x->arena;

	memset(x, 0, sizeof(*x));
	x->arena = keep;
	x->started_ns = loop_now(c->shard->loop);
	c->requests++;
}

/* A head is complete: check its path, call the handler. */
static void dispatch(struct conn *c)
{
	struct http_x *x = &c->x;
	struct http_server *srv = c->shard->server;
	struct err err = ERR_INIT;

	c->keep_alive = x->head.keep_alive;
	x->req.id = c->shard->next_id++;
	x->req.peer = c->peer;
	x->body_left = x->req.content_length > 0 ? x->req.content_length : 0;
	x->body_done = !x->req.chunked && x->body_left == 0;
	metric_inc(M_http_requests);
	if (decode_path(x, &err) < 0) {
		reply_refuse(c, 400, err.msg);
		return;
	}
	conn_set_state(c, CONN_HANDLER);
	c->deadline_ns = INT64_MAX; /* the handler's own time-outs count now */
	c->in_handler = true;
	srv->handler(x, &x->req, srv->arg);
	c->in_handler = false;
}

/* Parses what is there. 1: an exchange began (or was refused); 0: incomplete; negative: closed. */
static int take_head(struct conn *c, struct slice have)
{
	struct http_server *srv = c->shard->server;
	struct http_head h;
	const char *why = NULL;
	int rc = http_parse_head(have.p, have.n, &srv->limits, c->shard->headers, &h, &why);

	if (rc == 0) {
		bool from_scratch = have.p == c->shard->scratch;

		if (c->state == CONN_IDLE && have.n > 0) {
			conn_set_state(c, CONN_HEAD);
			conn_deadline(c, srv->limits.header_ms, CLOSE_HEADER_TIMEOUT);
		}
		if (from_scratch && conn_keep(c, have.p, have.n) < 0) {
			conn_close(c, CLOSE_NOMEM);
			return -1;
		}
		return 0;
	}
	if (c->state == CONN_IDLE)
		conn_set_state(c, CONN_HEAD);
	begin_exchange(c);
	if (rc < 0) {
		(void)conn_keep(c, NULL, 0);
		reply_refuse(c, -rc, why);
		return 1;
	}
	if (adopt_head(c, have.p, (size_t)rc, &h) < 0 || conn_keep(c, have.p + rc, have.n - (size_t)rc) < 0) {
		reply_refuse(c, 503, "out of memory");
		return 1;
	}
	dispatch(c);
	return 1;
}

/* A head that comes byte by byte is looked at once a line, not once a byte. */
static bool adds_line(const struct conn *c, struct slice have, size_t before)
{
	return before == 0 || have.n > (size_t)c->shard->server->limits.max_line ||
	       memchr(have.p + before, '\n', have.n - before) != NULL;
}

/* ---- request bodies ---- */

static void body_finish(struct conn *c)
{
	struct http_x *x = &c->x;

	x->body_done = true;
	x->reading = false;
	c->deadline_ns = INT64_MAX;
	c->in_handler = true;
	x->sink.on_end(x, x->sink.arg);
	c->in_handler = false;
}

/* Gives one piece to the sink. 1 taken, 0 paused, -1 the sink answered. */
static int body_piece(struct conn *c, struct slice piece)
{
	struct http_x *x = &c->x;
	int rc;

	c->in_handler = true;
	rc = x->sink.on_data(x, piece.p, piece.n, x->sink.arg);
	c->in_handler = false;
	if (rc == HTTP_PAUSE) {
		x->paused = true;
		loop_io_mod(c->shard->loop, &c->io, 0);
		c->deadline_ns = INT64_MAX;
		return 0;
	}
	if (rc < 0) {
		BUG(!x->replied); /* http_sink: who refuses answers */
		x->reading = false;
		return -1;
	}
	return 1;
}

/* Feeds the sink from `have`; what is left is kept. 1 go on reading; 0 stop (paused, ended, answered); -1 closed or refused. */
static int body_feed(struct conn *c, struct slice have)
{
	struct http_x *x = &c->x;
	int go = 1;

	while (go == 1 && !x->body_done) {
		struct slice before = have, piece = SLICE_NULL;

		if (x->req.chunked) {
			struct http_chunked saved = x->chunks;
			int rc = http_chunked_next(&x->chunks, &have, &piece);

			if (rc < 0) {
				(void)conn_keep(c, NULL, 0);
				x->reading = false;
				c->close_after = true;
				reply_refuse(c, 400, "malformed chunked body");
				return -1;
			}
			if (rc == 0)
				break;
			if (rc == 2) {
				if (conn_keep(c, have.p, have.n) < 0) {
					conn_close(c, CLOSE_NOMEM);
					return -1;
				}
				body_finish(c);
				return 0;
			}
			go = body_piece(c, piece);
			if (go == 0) {
				x->chunks = saved;
				have = before;
			}
		} else {
			size_t take = (int64_t)have.n < x->body_left ? have.n : (size_t)x->body_left;

			if (take == 0)
				break;
			piece = slice_of(have.p, take);
			go = body_piece(c, piece);
			if (go == 0)
				break;
			have = slice_of(have.p + take, have.n - take);
			x->body_left -= (int64_t)take;
			if (x->body_left == 0 && go == 1) {
				if (conn_keep(c, have.p, have.n) < 0) {
					conn_close(c, CLOSE_NOMEM);
					return -1;
				}
				body_finish(c);
				return 0;
			}
		}
	}
	if (conn_keep(c, have.p, have.n) < 0) {
		conn_close(c, CLOSE_NOMEM);
		return -1;
	}
	return go == 1 ? 1 : 0;
}

/* 1: something happened, look at the state again; 0: waits. */
static int body_run(struct conn *c)
{
	struct http_x *x = &c->x;
	struct slice have;
	int rc;

	if (!x->reading || x->paused)
		return 0;
	if (c->in_n > 0) {
		rc = body_feed(c, slice_of(c->in, c->in_n));
		if (rc <= 0)
			return 1;
	}
	if (!x->expect_sent && x->head.expect_continue) {
		static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

		x->expect_sent = true;
		if (send(c->fd, go_on, sizeof(go_on) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(go_on) - 1) {
			conn_close(c, CLOSE_RESET); /* a fresh socket that takes no 25 bytes is not worth a queue */
			return 1;
		}
	}
	rc = conn_fill(c, &have);
	if (rc <= 0) {
		if (rc == 0)
			conn_deadline(c, c->shard->server->limits.body_ms, CLOSE_BODY_TIMEOUT);
		return rc < 0;
	}
	return body_feed(c, have) <= 0 ? 1 : 2;
}

void http_stream_body(struct http_x *x, const struct http_sink *sink)
{
	struct conn *c = conn_of(x);

	BUG(c->state != CONN_HANDLER || x->reading || x->replied);
	x->sink = *sink;
	if (x->body_done) {
		x->sink.on_end(x, x->sink.arg);
	} else {
		x->reading = true;
		conn_deadline(c, c->shard->server->limits.body_ms, CLOSE_BODY_TIMEOUT);
	}
	if (!c->in_handler)
		(void)loop_post_once(c->shard->loop, &c->cont);
}

void http_body_resume(struct http_x *x)
{
	struct conn *c = conn_of(x);

	if (!x->paused)
		return;
	x->paused = false;
	conn_deadline(c, c->shard->server->limits.body_ms, CLOSE_BODY_TIMEOUT);
	(void)loop_post_once(c->shard->loop, &c->cont);
}

static int collect_data(struct http_x *x, const char *p, size_t n, void *arg)
{
	if (x->collect->n + n > x->collect_max) {
		http_reply_text(x, 413, NULL, NULL, -1);
		return -ERR_LIMIT;
	}
	if (buf_add(x->collect, p, n) < 0) {
		http_reply_text(x, 503, NULL, NULL, 1);
		return -ERR_NOMEM;
	}
	return 0;
}

static void collect_end(struct http_x *x, void *arg)
{
	x->collect_fn(x, buf_slice(x->collect), x->collect_arg);
}

void http_read_body(
	struct http_x *x, size_t max_bytes, void (*fn)(struct http_x *x, struct slice body, void *arg), void *arg)
{
	const struct http_sink sink = {.on_data = collect_data, .on_end = collect_end};

	if (x->req.content_length > (int64_t)max_bytes) {
		http_reply_text(x, 413, NULL, NULL, -1);
		return;
	}
	x->collect = arena_zalloc(&x->arena, sizeof(*x->collect));
	if (x->collect == NULL) {
		http_reply_text(x, 503, NULL, NULL, 1);
		return;
	}
	x->collect->max = max_bytes + 1;
	x->collect_max = max_bytes;
	x->collect_fn = fn;
	x->collect_arg = arg;
	http_stream_body(x, &sink);
}

/* ---- the life of a connection ---- */

/* After a response: is the rest of the request body small enough to read past it? Drops it from the input that is here. */
static bool skip_request_body(struct conn *c)
{
	struct http_x *x = &c->x;
	struct slice have = slice_of(c->in, c->in_n), piece;

	if (x->body_done)
		return true;
	if (x->head.expect_continue && !x->expect_sent)
		return false; /* whether the client sends it now nobody can tell */
	if (x->req.chunked) {
		int rc;

		do
			rc = http_chunked_next(&x->chunks, &have, &piece);
		while (rc == 1);
		if (rc != 2)
			return false;
	} else {
		if (x->body_left > (int64_t)have.n || x->body_left > DISCARD_MAX)
			return false;
		have = slice_of(have.p + x->body_left, have.n - (size_t)x->body_left);
	}
	return conn_keep(c, have.p, have.n) == 0;
}

void conn_exchange_done(struct conn *c)
{
	struct http_x *x = &c->x;
	bool keep = c->keep_alive && !c->close_after && !c->shard->draining;
	bool body_over = skip_request_body(c);

	c->want_out = false;
	access_log_line(c, CLOSE_DONE, true);
	release_body(c);
	free_collect(x);
	arena_reset(&x->arena);
	x->replied = false;
	if (keep && body_over) {
		conn_set_state(c, CONN_IDLE);
		conn_deadline(c, c->shard->server->limits.idle_ms, CLOSE_IDLE);
		return;
	}
	if (body_over && c->in_n == 0 && !c->close_after)
		conn_close(c, CLOSE_DONE);
	else
		conn_linger(c);
}

/* Does all that can be done now. */
void conn_run(struct conn *c)
{
	struct slice have;
	uint64_t until = c->requests + REQUESTS_PER_TURN;
	int rc;

	if (c->in_handler) /* called by the handler itself: the caller's loop goes on */
		return;
	for (;;) {
		switch (c->state) {
		case CONN_IDLE:
		case CONN_HEAD:
			if (c->x.replied) { /* refused before it reached the handler */
				conn_set_state(c, CONN_SEND);
				break;
			}
			if (c->requests >= until) {
				(void)loop_post_once(c->shard->loop, &c->cont);
				return;
			}
			if (c->shard->draining && c->state == CONN_IDLE && c->in_n == 0) {
				conn_close(c, CLOSE_DRAIN);
				return;
			}
			rc = c->in_n > 0 ? take_head(c, slice_of(c->in, c->in_n)) : 0;
			if (rc == 0) {
				size_t before = c->in_n;

				rc = conn_fill(c, &have);
				if (rc > 0 && !adds_line(c, have, before)) {
					rc = 0;
					continue;
				}
				if (rc > 0)
					rc = take_head(c, have);
				if (rc == 0 && c->state == CONN_HEAD)
					loop_io_mod(c->shard->loop, &c->io, EPOLLIN);
			}
			if (rc <= 0)
				return;
			break;
		case CONN_HANDLER:
			if (c->x.replied) {
				conn_set_state(c, CONN_SEND);
				break;
			}
			rc = body_run(c);
			if (rc == 0 || (rc == 1 && c->state == CONN_HANDLER && !c->x.replied))
				return;
			if (rc == 2) { /* much to read: others have their turn */
				(void)loop_post_once(c->shard->loop, &c->cont);
				return;
			}
			break;
		case CONN_SEND:
			rc = send_run(c);
			if (rc <= 0)
				return;
			conn_exchange_done(c);
			break;
		case CONN_LINGER:
			conn_discard(c);
			return;
		case CONN_CLOSED:
			return;
		}
	}
}

static void conn_on_io(struct loop_io *io, uint32_t events)
{
	struct conn *c = container_of(io, struct conn, io);

	MAGIC_CHECK(c, CONN_MAGIC);
	if ((events & (EPOLLERR | EPOLLHUP)) != 0 && (events & EPOLLIN) == 0) {
		conn_close(c, (events & EPOLLERR) != 0 ? CLOSE_RESET : CLOSE_CLIENT);
		return;
	}
	/* HUP: both directions are closed, so that nobody is left to answer. */
	if ((events & (EPOLLERR | EPOLLHUP)) != 0 && (c->state == CONN_HANDLER || c->state == CONN_SEND)) {
		conn_close(c, (events & EPOLLERR) != 0 ? CLOSE_RESET : CLOSE_CLIENT);
		return;
	}
	/* Input that nobody wants now (pipelined, or a body before its handler asks) waits in the socket, silently. */
	if ((events & EPOLLIN) != 0 && ((c->state == CONN_HANDLER && !c->x.reading) || c->state == CONN_SEND))
		loop_io_mod(c->shard->loop, &c->io, c->want_out ? EPOLLOUT : 0);
	if (c->state == CONN_SEND && (events & EPOLLOUT) == 0)
		return;
	conn_run(c);
}
