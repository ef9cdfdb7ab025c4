/* Connections: states, events, time-outs, input, handing requests to the handler, closing. See conn_priv.h for the states. The shard's loop
 * only. */
#include "http/conn_priv.h"
#include "http/sock.h"

#include "base/log.h"
#include "base/metrics.h"
#include "base/url.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* A peer that pipelines without end gets this many answers, then the others have their turn. */
#define REQUESTS_PER_TURN 32
/* How long what we sent last may need to arrive before the socket goes. */
#define LINGER_MS 2000
/* A client that has ended its side may still read (it must get its answer), or be gone altogether, which looks the same until something is
 * sent. So it gets this long whenever there is nothing to send. */
#define HALF_CLOSED_MS 10000
/* A client that takes less within the send time-out takes nothing. */
#define SEND_MIN_BYTES 4096
/* What handshakes may take of one turn of the loop (one at least): an RSA key of 4096 bits signs in 6 ms, of 2048 in 1 ms, ECDSA in 30 us. The others
 * have their turn, and everybody else in between. */
#define HANDSHAKE_TURN_NS (2 * NS_PER_MS)
/* What is read behind kept input at least. */
#define FILL_MIN 4096

static void conn_on_io(struct loop_io *io, uint32_t events);
static void conn_on_timer(struct loop_timer *t);

static void conn_set_state(struct conn *c, enum conn_state to)
{
	static const bool allowed[CONN_CLOSED + 1][CONN_CLOSED + 1] = {
		[CONN_IDLE] = {[CONN_HEAD] = 1, [CONN_CLOSED] = 1},
		[CONN_HEAD] = {[CONN_HANDLER] = 1, [CONN_SEND] = 1, [CONN_CLOSED] = 1},
		[CONN_HANDLER] = {[CONN_SEND] = 1, [CONN_CLOSED] = 1},
		[CONN_SEND] = {[CONN_IDLE] = 1, [CONN_SKIP] = 1, [CONN_LINGER] = 1, [CONN_CLOSED] = 1},
		[CONN_SKIP] = {[CONN_IDLE] = 1, [CONN_LINGER] = 1, [CONN_CLOSED] = 1},
		[CONN_LINGER] = {[CONN_CLOSED] = 1},
		[CONN_HANDSHAKE] = {[CONN_IDLE] = 1, [CONN_LINGER] = 1, [CONN_CLOSED] = 1},
	};

	BUG(!allowed[c->state][to]);
	c->state = to;
}

/* ---- beginning and end ---- */

static void conn_reap(struct loop_post *p)
{
	struct conn *c = container_of(p, struct conn, reap);
	struct http_server *srv = c->shard->server;

	MAGIC_CHECK(c, CONN_MAGIC);
	exchange_give(c);
	c->magic = 0;
	tls_free(&c->tls);
	free(c->in);
	free(c);
	server_left(srv);
}

static void conn_continue(struct loop_post *p)
{
	conn_run(container_of(p, struct conn, cont));
}

static void conn_woken(struct loop_post *p)
{
	conn_run(container_of(p, struct conn, wake.post));
}

void conn_new(struct shard *s, int fd, const char *peer, struct tls_config *tls)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct err err = ERR_INIT;

	if (c != NULL && tls != NULL && (c->tls = tls_new(tls, fd, s->tls_room)) == NULL)
		free(TAKE(c));
	if (c != NULL)
		c->io.fn = conn_on_io;
	if (c == NULL || loop_io_add(s->loop, &c->io, fd, EPOLLIN | EPOLLRDHUP, &err) < 0) {
		log_warn("http", "connection of %s dropped: %s", peer, c == NULL ? "out of memory" : err.msg);
		if (c != NULL)
			tls_free(&c->tls);
		free(c);
		(void)close(fd);
		server_left(s->server);
		return;
	}
	c->magic = CONN_MAGIC;
	c->shard = s;
	c->fd = fd;
	c->timer.fn = conn_on_timer;
	c->cont.fn = conn_continue;
	c->reap.fn = conn_reap;
	c->wake.loop = s->loop;
	c->wake.post.fn = conn_woken;
	(void)snprintf(c->peer, sizeof(c->peer), "%s", peer);
	c->next = s->conns;
	if (s->conns != NULL)
		s->conns->prev = c;
	s->conns = c;
	metric_inc(M_http_connections_open);
	if (c->tls != NULL) {
		c->state = CONN_HANDSHAKE;
		atomic_fetch_add_explicit(&s->server->handshakes, 1, memory_order_relaxed);
		conn_deadline(c, s->server->limits.header_ms, CLOSE_HANDSHAKE_TIMEOUT);
	} else {
		conn_deadline(c, s->server->limits.idle_ms, CLOSE_IDLE);
	}
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

void conn_abandon(struct conn *c)
{
	struct shard *s = c->shard;
	void (*fn)(void *) = c->x->replied ? NULL : TAKE(c->x->on_abort);
	bool outer = s->calling;

	if (fn == NULL)
		return;
	s->calling = true;
	fn(c->x->abort_arg);
	s->calling = outer;
}

/* The handshake is over, one way or the other. */
static void handshake_left(struct conn *c, enum metric m)
{
	atomic_fetch_sub_explicit(&c->shard->server->handshakes, 1, memory_order_relaxed);
	metric_inc(m);
}

static bool is_timeout(enum close_reason why)
{
	return why == CLOSE_IDLE || why == CLOSE_HEADER_TIMEOUT || why == CLOSE_BODY_TIMEOUT ||
	       why == CLOSE_SEND_TIMEOUT || why == CLOSE_HANDSHAKE_TIMEOUT;
}

void conn_close(struct conn *c, enum close_reason why)
{
	struct shard *s = c->shard;

	if (c->state == CONN_CLOSED)
		return;
	if (c->state == CONN_HANDSHAKE)
		handshake_left(c, M_http_tls_failures);
	if (c->state == CONN_SEND || c->state == CONN_HANDLER) {
		conn_abandon(c);
		exchange_finish(c, why, false);
	}
	if (is_timeout(why))
		metric_inc(M_http_timeouts);
	/* A client that is told of the end takes what it has for the whole. */
	if (c->tls != NULL && (why == CLOSE_DONE || (c->state != CONN_SEND && c->state != CONN_HANDLER)))
		tls_goodbye(c->tls);
	loop_timer_cancel(s->loop, &c->timer);
	loop_io_del(s->loop, &c->io);
	(void)close(c->fd);
	c->fd = -1;
	conn_unlink(c);
	conn_set_state(c, CONN_CLOSED);
	metric_dec(M_http_connections_open);
	loop_post(
		s->loop, &c->reap); /* the last one: posts keep their order, and nobody posts to a closed connection */
}

void conn_again(struct conn *c)
{
	if (c->state != CONN_CLOSED)
		(void)loop_post_once(c->shard->loop, &c->cont);
}

void conn_watch(struct conn *c, uint32_t events)
{
	if (sock_unsent(c) > 0) /* whoever waits for what, this goes out */
		events |= EPOLLOUT;
	/* FIN is told once; afterwards it would be told for ever. Whoever reads finds it as the end of the input. */
	loop_io_mod(c->shard->loop, &c->io, events | (c->eof ? 0 : EPOLLRDHUP));
}

/* ---- time ---- */

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

void conn_no_deadline(struct conn *c)
{
	if (c->eof && !(c->x != NULL && c->x->paused)) /* a paused body tells when it goes on */
		conn_deadline(c, MIN(HALF_CLOSED_MS, c->shard->server->limits.idle_ms), CLOSE_CLIENT);
	else
		c->deadline_ns = INT64_MAX;
}

int conn_unacknowledged(const struct conn *c)
{
	int n = 0;

	return ioctl(c->fd, SIOCOUTQ, &n) == 0 ? n + (int)sock_unsent(c) : -1;
}

/* The socket reports room only when a third of its buffer is free, which may be megabytes: a slow client takes long for that, and is not to be
 * taken for one that reads nothing. */
static bool client_took_some(struct conn *c)
{
	int queued = MAX(conn_unacknowledged(c), 0);

	if (queued > c->unsent - SEND_MIN_BYTES)
		return false;
	c->unsent = queued;
	return true;
}

static void conn_on_timer(struct loop_timer *t)
{
	struct conn *c = container_of(t, struct conn, timer);
	int64_t now = loop_now(c->shard->loop);
	bool head = c->state == CONN_HEAD, body = c->state == CONN_HANDLER && c->on_deadline == CLOSE_BODY_TIMEOUT;

	MAGIC_CHECK(c, CONN_MAGIC);
	if (c->deadline_ns == INT64_MAX || (c->state == CONN_HANDLER && c->x->replied))
		return; /* what is replied is about to be sent, with a deadline of its own */
	if (now < c->deadline_ns) {
		(void)loop_timer_set(c->shard->loop, t, c->deadline_ns - now);
		return;
	}
	if (c->on_deadline == CLOSE_SEND_TIMEOUT && c->want_out && client_took_some(c)) {
		conn_deadline(c, c->shard->server->limits.send_ms, CLOSE_SEND_TIMEOUT);
		return;
	}
	if (!head && !body) {
		conn_close(c, c->on_deadline);
		return;
	}
	metric_inc(M_http_timeouts);
	if (body)
		conn_abandon(c);
	reply_refuse(c, 408, head ? "request head took too long" : "request body took too long",
		head ? conn_input(c) : c->x->req.target);
	conn_run(c);
}

/* ---- input ---- */

struct slice conn_input(const struct conn *c)
{
	return c->in != NULL ? slice_of(c->in + c->in_at, c->in_n) : SLICE_NULL;
}

int conn_keep(struct conn *c, const char *p, size_t n)
{
	if (n == 0) { /* an idle connection costs no buffer */
		free(c->in);
		c->in = NULL;
		c->in_at = c->in_n = c->in_cap = 0;
		return 0;
	}
	if (c->in != NULL && p >= c->in && p < c->in + c->in_cap) {
		c->in_at = (size_t)(p - c->in);
		c->in_n = n;
		return 0;
	}
	if (n > c->in_cap) {
		char *grown = malloc(n);

		if (grown == NULL)
			return -ERR_NOMEM;
		free(c->in);
		c->in = grown;
		c->in_cap = n;
	}
	memcpy(c->in, p, n);
	c->in_at = 0;
	c->in_n = n;
	return 0;
}

/* Room behind what is kept. Twice as much each time, so that a large head is copied a few times only. */
static int make_room(struct conn *c)
{
	if (c->in_at > 0)
		memmove(c->in, c->in + c->in_at, c->in_n);
	c->in_at = 0;
	if (c->in_cap - c->in_n < FILL_MIN) {
		size_t cap = c->in_n + MAX(c->in_n, (size_t)FILL_MIN);
		char *grown = realloc(c->in, cap);

		if (grown == NULL)
			return -ERR_NOMEM;
		c->in = grown;
		c->in_cap = cap;
	}
	return 0;
}

int conn_fill(struct conn *c, struct slice *have)
{
	char *dst = c->shard->scratch;
	size_t room = SCRATCH_SIZE;
	ssize_t n;

	if (c->in_n > 0) {
		if (make_room(c) < 0) {
			conn_close(c, CLOSE_NOMEM);
			return -1;
		}
		dst = c->in + c->in_n;
		room = c->in_cap - c->in_n;
	}
	do
		n = sock_recv(c, dst, room);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN) {
		c->readable = false;
		conn_watch(c, EPOLLIN);
		return 0;
	}
	if (n <= 0) {
		conn_close(c, n == 0 ? CLOSE_CLIENT : CLOSE_RESET);
		return -1;
	}
	c->readable = sock_has_more(c, room, (size_t)n);
	if (c->in_n > 0) {
		c->in_n += (size_t)n;
		*have = conn_input(c);
	} else {
		*have = slice_of(dst, (size_t)n);
	}
	return 1;
}

/* ---- request heads ---- */

/* Copies the head into the exchange, because the scratch is the loop's: the fields, the bytes, and room for the decoded path. */
static int adopt_head(struct conn *c, const char *base, size_t len, const struct http_head *h)
{
	struct http_x *x = c->x;
	size_t count = h->req.header_count;
	struct http_header *fields = exchange_room(x, count * sizeof(*fields) + len + 1 + h->raw_path.n + 1);
	char *copy = (char *)(fields + count), *path = copy + len + 1;
	uint64_t id = x->req.id;
	struct err err = ERR_INIT;
	size_t n = 0;
	int rc;

	if (fields == NULL) {
		reply_refuse(c, 503, "out of memory", SLICE_NULL);
		return -ERR_NOMEM;
	}
	memcpy(copy, base, len);
	copy[len] = '\0';
	x->req = h->req;
	x->req.id = id;
	x->req.peer = c->peer;
	x->req.headers = fields;
#define MOVE(s) ((s).p != NULL ? (s).p = copy + ((s).p - base) : 0)
	for (size_t i = 0; i < count; i++) {
		fields[i] = h->req.headers[i];
		(void)MOVE(fields[i].name);
		(void)MOVE(fields[i].value);
	}
	(void)MOVE(x->req.method_text);
	(void)MOVE(x->req.target);
	(void)MOVE(x->req.query);
	(void)MOVE(x->req.host);
#undef MOVE
	x->expect_continue = h->expect_continue;
	x->body_left = MAX(x->req.content_length, 0);
	x->body_done = !x->req.chunked && x->body_left == 0;
	c->keep_alive = h->keep_alive;
	rc = url_path_decode(h->raw_path, path, h->raw_path.n + 1, &n, &err);
	x->req.path = slice_of(path, rc == 0 ? n : 0);
	if (rc < 0)
		reply_refuse(c, 400, err.msg, x->req.target);
	return rc;
}

/* The first line, for the log: what was refused. */
static struct slice first_line(struct slice s)
{
	ptrdiff_t end = slice_chr(s, '\n');

	return slice_trim(slice_of(s.p, end >= 0 ? (size_t)end : s.n));
}

/* Parses what is there. 1: an exchange began (or was refused); 0: incomplete, and kept; negative: closed. */
static int take_head(struct conn *c, struct slice have)
{
	struct http_server *srv = c->shard->server;
	struct http_head h;
	const char *why = NULL;
	int rc = http_parse_head(have.p, have.n, &srv->limits, c->shard->headers, &h, &why);

	if (c->state == CONN_IDLE) {
		conn_set_state(c, CONN_HEAD);
		conn_deadline(c, srv->limits.header_ms, CLOSE_HEADER_TIMEOUT);
	}
	if (rc == 0) {
		c->tried = have.n;
		if (conn_keep(c, have.p, have.n) == 0)
			return 0;
		conn_close(c, CLOSE_NOMEM);
		return -1;
	}
	c->tried = c->searched = 0;
	if (rc < 0) {
		reply_refuse(c, -rc, why, first_line(have));
		(void)conn_keep(c, NULL, 0);
		return 1;
	}
	metric_inc(M_http_requests);
	if (exchange_begin(c) < 0) {
		reply_refuse(c, 503, "out of memory", SLICE_NULL);
		return 1;
	}
	if (adopt_head(c, have.p, (size_t)rc, &h) < 0)
		return 1;
	if (conn_keep(c, have.p + rc, have.n - (size_t)rc) < 0) {
		reply_refuse(c, 503, "out of memory", SLICE_NULL);
		return 1;
	}
	conn_set_state(c, CONN_HANDLER);
	conn_no_deadline(c); /* the handler's own time-outs count now */
	c->in_handler = c->shard->calling = true;
	srv->handler(c->x, &c->x->req, srv->arg);
	c->in_handler = c->shard->calling = false;
	return 1;
}

static bool crosses(size_t from, size_t to, int64_t limit)
{
	return from <= (size_t)limit && to > (size_t)limit;
}

/* Is another look at the head worth it? When its end or a limit may have come (for a line with its CR, and two empty lines before it), or for
 * each doubling: else one that comes byte by byte would cost the square of its length. */
static bool head_is_due(struct conn *c, struct slice have)
{
	const struct http_limits *l = &c->shard->server->limits;
	size_t from = c->searched > 2 ? c->searched - 2 : 0;

	c->searched = have.n;
	return c->tried == 0 || have.n / 2 >= c->tried || memmem(have.p + from, have.n - from, "\n\r\n", 3) != NULL ||
	       crosses(c->tried, have.n, l->max_line + 1) || crosses(c->tried, have.n, l->max_line + 5) ||
	       crosses(c->tried, have.n, l->max_header_bytes) ||
	       crosses(c->tried, have.n, l->max_line + l->max_header_bytes);
}

/* IDLE and HEAD. True: look at the state again. */
static bool head_run(struct conn *c)
{
	struct slice have = conn_input(c);
	int rc;

	if (c->x != NULL) { /* refused before it reached the handler */
		conn_set_state(c, CONN_SEND);
		return true;
	}
	if (c->shard->draining && c->state == CONN_IDLE && have.n == 0) {
		conn_close(c, CLOSE_DRAIN);
		return false;
	}
	for (;;) {
		if (have.n > c->tried && head_is_due(c, have)) {
			rc = take_head(c, have);
			if (rc != 0)
				return rc > 0;
		}
		if (!c->readable) {
			conn_watch(c, EPOLLIN);
			return false;
		}
		if (conn_fill(c, &have) <= 0)
			return false;
	}
}

/* ---- after the response ---- */

/* Half a close: what we sent must not be lost to the reset that unread input would cause. */
static void conn_linger(struct conn *c)
{
	conn_set_state(c, CONN_LINGER);
	exchange_give(c);
	(void)conn_keep(c, NULL, 0);
	if (c->tls != NULL)
		tls_goodbye(c->tls);
	if (shutdown(c->fd, SHUT_WR) < 0) {
		conn_close(c, CLOSE_DONE);
		return;
	}
	conn_watch(c, EPOLLIN);
	conn_deadline(c, LINGER_MS, CLOSE_DONE);
}

static void linger_run(struct conn *c)
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

/* Is nothing unread in the socket, so that closing it sends no reset? */
static bool input_is_empty(struct conn *c)
{
	char byte;

	return c->in_n == 0 && !(c->tls != NULL && tls_has_input(c->tls)) && recv(c->fd, &byte, 1, MSG_PEEK) <= 0;
}

static void become_idle(struct conn *c)
{
	exchange_give(c);
	conn_set_state(c, CONN_IDLE);
	c->tried = c->searched = 0;
	conn_watch(c, EPOLLIN);
	conn_deadline(c, c->shard->server->limits.idle_ms, CLOSE_IDLE);
}

static void response_done(struct conn *c)
{
	struct http_x *x = c->x;

	c->want_out = false;
	exchange_finish(c, CLOSE_DONE, true);
	if (c->keep_alive && !c->close_after && !c->shard->draining) {
		if (x->body_done) {
			become_idle(c);
			return;
		}
		conn_set_state(c, CONN_SKIP);
		conn_deadline(c, c->shard->server->limits.body_ms, CLOSE_BODY_TIMEOUT);
		return;
	}
	if (x->body_done && input_is_empty(c))
		conn_close(c, CLOSE_DONE);
	else
		conn_linger(c);
}

/* ---- before the first request ---- */

static void handshake_done(struct conn *c)
{
	handshake_left(c, M_http_tls_handshakes);
	if (tls_was_resumed(c->tls))
		metric_inc(M_http_tls_resumed);
	if (!tls_in_kernel(c->tls))
		c->seal = c->tls;
	conn_set_state(c, CONN_IDLE);
	c->readable = true; /* the first request may have come with the end of the handshake */
	conn_watch(c, EPOLLIN);
	conn_deadline(c, c->shard->server->limits.idle_ms, CLOSE_IDLE);
}

static void refuse_plain(struct conn *c)
{
	static const char text[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: "
				   "33\r\nConnection: close\r\n\r\n"
				   "400: this port wants https, TLS.\n";

	metric_inc(M_http_bad_requests);
	handshake_left(c, M_http_tls_failures);
	log_info("http", "%s speaks HTTP without TLS where TLS is expected", c->peer);
	(void)raw_send(c->fd, text, sizeof(text) - 1, 0); /* an empty socket takes it */
	conn_linger(c);
}

/* Has this turn been spent on handshakes already? The event comes again. */
static bool handshake_has_to_wait(struct shard *s)
{
	if (s->turn_ns == loop_now(s->loop))
		return s->handshake_ns >= HANDSHAKE_TURN_NS;
	s->turn_ns = loop_now(s->loop);
	s->handshake_ns = 0;
	return false;
}

/* True: look at the state again. */
static bool handshake_run(struct conn *c)
{
	struct err err = ERR_INIT;
	enum tls_step step;
	int64_t began_ns;

	if (handshake_has_to_wait(c->shard))
		return false;
	began_ns = clock_mono_ns();
	step = tls_handshake(c->tls, &err);
	c->shard->handshake_ns += clock_mono_ns() - began_ns;
	switch (step) {
	case TLS_DONE:
		handshake_done(c);
		return true;
	case TLS_WANTS_INPUT:
		conn_watch(c, EPOLLIN);
		return false;
	case TLS_WANTS_ROOM:
		conn_watch(c, EPOLLOUT);
		return false;
	case TLS_IS_PLAIN:
		refuse_plain(c);
		return false;
	case TLS_GONE:
		conn_close(c, CLOSE_CLIENT);
		return false;
	case TLS_HAS_FAILED:
		log_info("http", "TLS handshake with %s failed: %s", c->peer, err.msg);
		conn_close(c, CLOSE_TLS);
		return false;
	}
	return false;
}

/* Does all that can be done now. */
void conn_run(struct conn *c)
{
	int turns = REQUESTS_PER_TURN, rc;

	MAGIC_CHECK(c, CONN_MAGIC);
	if (c->in_handler) /* called by the handler itself: whoever called that goes on */
		return;
	BUG(c->shard->calling);
	for (;;) {
		switch (c->state) {
		case CONN_IDLE:
			if (turns-- == 0) {
				conn_again(c);
				return;
			}
			/* fall through */
		case CONN_HEAD:
			if (!head_run(c))
				return;
			break;
		case CONN_HANDLER:
			if (c->x->replied)
				conn_set_state(c, CONN_SEND);
			else if (!body_run(c))
				return;
			break;
		case CONN_SEND:
			rc = send_run(c);
			if (rc <= 0)
				return;
			response_done(c);
			break;
		case CONN_SKIP:
			if (!skip_run(c))
				return;
			if (c->state == CONN_SKIP && c->x->body_done)
				become_idle(c);
			else if (c->state == CONN_SKIP)
				conn_linger(c);
			break;
		case CONN_LINGER:
			linger_run(c);
			return;
		case CONN_HANDSHAKE:
			if (!handshake_run(c))
				return;
			break;
		case CONN_CLOSED:
			return;
		}
	}
}

static bool conn_reads(const struct conn *c)
{
	switch (c->state) {
	case CONN_HANDLER:
		return c->x->reading && !c->x->paused;
	case CONN_SEND:
		return false;
	default:
		return true;
	}
}

/* What was sealed goes out, whatever the connection waits for. False: it is closed. */
static bool flush(struct conn *c)
{
	if (tls_flush(c->seal) == 0) {
		if (!c->want_out)
			conn_watch(c, c->io.events & EPOLLIN);
		return true;
	}
	if (errno == EAGAIN || errno == EINTR)
		return true;
	conn_close(c, CLOSE_CLIENT);
	return false;
}

static void conn_on_io(struct loop_io *io, uint32_t events)
{
	struct conn *c = container_of(io, struct conn, io);
	bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0, reads = conn_reads(c);

	MAGIC_CHECK(c, CONN_MAGIC);
	/* HUP: both directions are closed, so that nobody is left to answer. What came before is still read, and its requests obeyed. */
	if (broken && (!reads || (events & EPOLLIN) == 0)) {
		conn_close(c, (events & EPOLLERR) != 0 ? CLOSE_RESET : CLOSE_CLIENT);
		return;
	}
	if ((events & EPOLLOUT) != 0 && sock_unsent(c) > 0 && !flush(c))
		return;
	if ((events & EPOLLIN) != 0)
		c->readable = true;
	if ((events & EPOLLRDHUP) != 0) {
		c->eof = true;
		if (c->deadline_ns == INT64_MAX)
			conn_no_deadline(c);
	}
	if (!reads) {
		/* Input that nobody wants now (pipelined, or a body before its handler asks) waits in the socket, silently. */
		if ((events & (EPOLLIN | EPOLLRDHUP)) != 0)
			conn_watch(c, c->want_out ? EPOLLOUT : 0);
		if ((events & EPOLLOUT) == 0)
			return;
	}
	conn_run(c);
}
