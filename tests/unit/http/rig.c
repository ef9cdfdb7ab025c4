/* See rig.h. */
#include "rig.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

struct rig rig;

static int pattern_fd = -1;
static char *pattern_mem;

const char *pattern_bytes(void)
{
	if (pattern_mem != NULL)
		return pattern_mem;
	pattern_fd = memfd_create("pattern", MFD_CLOEXEC);
	assert_int_equal(ftruncate(pattern_fd, PATTERN_N), 0);
	pattern_mem = mmap(NULL, PATTERN_N, PROT_READ | PROT_WRITE, MAP_SHARED, pattern_fd, 0);
	assert_ptr_not_equal(pattern_mem, MAP_FAILED);
	for (int64_t i = 0; i < PATTERN_N; i++)
		pattern_mem[i] = pattern(i);
	return pattern_mem;
}

/* ---- waiting ---- */

static struct timespec deadline(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += WAIT_S;
	return t;
}

void wait_at_least(pthread_mutex_t *lock, pthread_cond_t *changed, const int *value, int n, const char *what)
{
	struct timespec until = deadline();
	int rc = 0, is;

	pthread_mutex_lock(lock);
	while (*value < n && rc == 0)
		rc = pthread_cond_timedwait(changed, lock, &until);
	is = *value;
	pthread_mutex_unlock(lock);
	if (is < n)
		fail_msg("waited for %s to be %d, it is %d", what, n, is);
}

void wait_metric_past(enum metric m, int64_t before, int64_t n)
{
	const struct timespec moment = {.tv_nsec = NS_PER_MS};
	int64_t until = clock_mono_ns() + WAIT_S * NS_PER_S;

	while (metric_get(m) - before < n && clock_mono_ns() < until)
		(void)nanosleep(&moment, NULL); /* nobody signals a counter */
	assert_true(metric_get(m) - before >= n);
}

void wait_metric(enum metric m, int64_t before, int64_t n)
{
	wait_metric_past(m, before, n);
	assert_int_equal(metric_get(m) - before, n);
}

static void bump(int *counter)
{
	pthread_mutex_lock(&rig.lock);
	++*counter;
	pthread_cond_broadcast(&rig.changed);
	pthread_mutex_unlock(&rig.lock);
}

void rig_hold(bool hold)
{
	pthread_mutex_lock(&rig.lock);
	rig.hold = hold;
	pthread_cond_broadcast(&rig.changed);
	pthread_mutex_unlock(&rig.lock);
}

void rig_pause(int pauses)
{
	pthread_mutex_lock(&rig.lock);
	rig.pauses = pauses;
	pthread_mutex_unlock(&rig.lock);
}

/* ---- the scripted body ---- */

static void script_unlink(struct script *s, struct wake *w)
{
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		s->first = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	w->next = w->prev = NULL;
	w->on = NULL;
}

static int64_t script_ready_locked(struct script *s, int64_t off)
{
	if (off < s->limit)
		return s->limit - off;
	return s->failed;
}

struct script_body {
	struct body b;
	int64_t gone; /* told by sent(): never asked for again */
};

static int64_t script_ready(struct body *b, int64_t off)
{
	int64_t n;

	pthread_mutex_lock(&rig.script.lock);
	BUG(off < container_of(b, struct script_body, b)->gone);
	n = script_ready_locked(&rig.script, off);
	pthread_mutex_unlock(&rig.script.lock);
	return n;
}

static int script_wait_op(struct body *b, int64_t off, struct wake *w)
{
	struct script *s = &rig.script;
	int rc;

	pthread_mutex_lock(&s->lock);
	rc = script_ready_locked(s, off) != 0 || s->ended;
	if (rc == 0) {
		BUG(w->on != NULL); /* one wake sleeps on one body at a time */
		w->on = s;
		w->off = off;
		w->prev = NULL;
		w->next = s->first;
		if (s->first != NULL)
			s->first->prev = w;
		s->first = w;
		s->sleeps++;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static void script_unwait(struct body *b, struct wake *w)
{
	pthread_mutex_lock(&rig.script.lock);
	if (w->on == &rig.script)
		script_unlink(&rig.script, w);
	pthread_mutex_unlock(&rig.script.lock);
}

static int64_t script_size(const struct body *b)
{
	int64_t size;

	pthread_mutex_lock(&rig.script.lock);
	size = rig.script.ended ? rig.script.limit : rig.script.size; /* it may turn out to be shorter than promised */
	pthread_mutex_unlock(&rig.script.lock);
	return size;
}

static int script_fd(const struct body *b)
{
	bool by_sendfile;

	pthread_mutex_lock(&rig.script.lock);
	by_sendfile = rig.script.by_sendfile;
	pthread_mutex_unlock(&rig.script.lock);
	return by_sendfile ? pattern_fd : -1;
}

static ssize_t script_read(struct body *b, int64_t off, void *p, size_t n)
{
	bool fails;

	pthread_mutex_lock(&rig.script.lock);
	BUG(off + (int64_t)n > rig.script.limit); /* only what ready() promised */
	fails = rig.script.read_fails;
	pthread_mutex_unlock(&rig.script.lock);
	if (fails) {
		errno = EIO;
		return -1;
	}
	memcpy(p, pattern_bytes() + off, n);
	return (ssize_t)n;
}

static void script_sent(struct body *b, int64_t off)
{
	pthread_mutex_lock(&rig.script.lock);
	container_of(b, struct script_body, b)->gone = off;
	rig.script.sent = off;
	pthread_mutex_unlock(&rig.script.lock);
}

static void script_done(struct body **pb)
{
	struct body *b = TAKE(*pb);

	pthread_mutex_lock(&rig.script.lock);
	rig.script.open--;
	pthread_cond_broadcast(&rig.script.changed);
	pthread_mutex_unlock(&rig.script.lock);
	free(container_of(b, struct script_body, b));
}

static struct body *script_body(void)
{
	static const struct body_ops ops = {
		.ready = script_ready,
		.wait = script_wait_op,
		.unwait = script_unwait,
		.size = script_size,
		.fd = script_fd,
		.read = script_read,
		.sent = script_sent,
		.done = script_done,
	};
	struct script_body *sb = malloc(sizeof(*sb));

	BUG(sb == NULL);
	*sb = (struct script_body){.b.ops = &ops};
	pthread_mutex_lock(&rig.script.lock);
	rig.script.open++;
	pthread_cond_broadcast(&rig.script.changed);
	pthread_mutex_unlock(&rig.script.lock);
	return &sb->b;
}

/* Wakes everybody; with the lock held. */
static void script_wake(struct script *s)
{
	while (s->first != NULL) {
		struct wake *w = s->first;

		script_unlink(s, w);
		(void)loop_post_once(w->loop, &w->post);
	}
	pthread_cond_broadcast(&s->changed);
}

void script_begin(int64_t size, int64_t limit, bool by_sendfile)
{
	pthread_mutex_lock(&rig.script.lock);
	rig.script.size = size;
	rig.script.limit = limit;
	rig.script.by_sendfile = by_sendfile;
	pthread_mutex_unlock(&rig.script.lock);
}

void script_grow(int64_t limit)
{
	pthread_mutex_lock(&rig.script.lock);
	rig.script.limit = limit;
	script_wake(&rig.script);
	pthread_mutex_unlock(&rig.script.lock);
}

void script_end(void)
{
	pthread_mutex_lock(&rig.script.lock);
	rig.script.ended = true;
	script_wake(&rig.script);
	pthread_mutex_unlock(&rig.script.lock);
}

void script_fail(int code)
{
	pthread_mutex_lock(&rig.script.lock);
	rig.script.failed = code;
	script_wake(&rig.script);
	pthread_mutex_unlock(&rig.script.lock);
}

void script_wait_closed(void)
{
	struct timespec until = deadline();
	int rc = 0, open;

	pthread_mutex_lock(&rig.script.lock);
	while (rig.script.open > 0 && rc == 0)
		rc = pthread_cond_timedwait(&rig.script.changed, &rig.script.lock, &until);
	open = rig.script.open;
	pthread_mutex_unlock(&rig.script.lock);
	assert_int_equal(open, 0);
}

/* ---- handlers ---- */

static int64_t number_of(const struct http_request *r)
{
	int64_t n = 0;

	(void)slice_to_i64(r->query, PATTERN_N, &n); /* none is 0 */
	return n;
}

static struct http_reply pattern_reply(int64_t n)
{
	return (struct http_reply){.status = 200,
		.content_type = "application/octet-stream",
		.etag = RIG_ETAG,
		.last_modified_s = RIG_DATE,
		.ranges = true,
		.size = n};
}

static void handle_mem(struct http_x *x, const struct http_request *r)
{
	struct http_reply reply = pattern_reply(number_of(r));

	reply.body = body_memory_in(http_arena(x), pattern_bytes(), (size_t)reply.size, NULL, NULL);
	http_reply(x, &reply);
}

static void handle_file(struct http_x *x, const struct http_request *r)
{
	struct http_reply reply = pattern_reply(number_of(r));

	reply.body = body_file(dup(pattern_fd), reply.size, NULL, NULL);
	http_reply(x, &reply);
}

static void handle_script(struct http_x *x, const struct http_request *r)
{
	struct body *b = script_body();
	struct http_reply reply = pattern_reply(b->ops->size(b));

	reply.body = b;
	http_reply(x, &reply);
}

static void handle_fields(struct http_x *x, const struct http_request *r)
{
	struct buf b = BUF_INIT(MiB);
	struct http_reply reply = {.status = 200};
	size_t n;
	char *p;

	buf_addf(&b, "%.*s %.*s %.*s\n", SLICE_ARG(r->method_text), SLICE_ARG(r->path), SLICE_ARG(r->query));
	for (size_t i = 0; i < r->header_count; i++)
		buf_addf(&b, "%.*s=%.*s\n", SLICE_ARG(r->headers[i].name), SLICE_ARG(r->headers[i].value));
	p = buf_take(&b, &n);
	BUG(p == NULL || r->path.p[r->path.n] != '\0');
	reply.size = (int64_t)n;
	reply.body = body_memory_take(p, n);
	http_reply(x, &reply);
}

/* An answer from another thread. Freed by its post, which comes in any case. */
struct later {
	struct http_x *x;
	struct loop *loop;
	struct loop_post post;
	pthread_t thread;
};

static void later_abort(void *arg)
{
	struct later *l = arg;

	l->x = NULL;
	bump(&rig.aborts);
}

static void later_reply(struct loop_post *p)
{
	struct later *l = container_of(p, struct later, post);

	BUG(pthread_join(l->thread, NULL) != 0);
	if (l->x != NULL)
		http_reply_text(l->x, 200, NULL, "later\n", -1);
	free(l);
	bump(&rig.replies);
}

static void *later_run(void *arg)
{
	struct later *l = arg;

	pthread_mutex_lock(&rig.lock);
	while (rig.hold)
		pthread_cond_wait(&rig.changed, &rig.lock);
	pthread_mutex_unlock(&rig.lock);
	loop_post(l->loop, &l->post);
	return NULL;
}

static void handle_async(struct http_x *x, const struct http_request *r)
{
	struct later *l = calloc(1, sizeof(*l));

	BUG(l == NULL);
	l->x = x;
	l->loop = http_loop(x);
	l->post.fn = later_reply;
	http_on_abort(x, later_abort, l);
	bump(&rig.asyncs);
	bump(&rig.handling);
	BUG(pthread_create(&l->thread, NULL, later_run, l) != 0);
}

static void never_abort(void *arg)
{
	BUG(arg != &rig);
	bump(&rig.aborts);
}

/* The exchange that waits for another request to answer it. On one loop only. */
static struct http_x *parked;

static void park_abort(void *arg)
{
	parked = NULL;
	never_abort(arg);
}

static void handle_park(struct http_x *x, const struct http_request *r)
{
	http_on_abort(x, park_abort, &rig);
	parked = x;
	bump(&rig.handling);
}

static void handle_unpark(struct http_x *x, const struct http_request *r)
{
	struct http_x *other = TAKE(parked);

	if (other != NULL)
		http_reply_text(other, 200, NULL, "unparked\n", -1);
	http_reply_text(x, 200, NULL, other != NULL ? "did\n" : "nobody\n", -1);
}

static void handle_never(struct http_x *x, const struct http_request *r)
{
	http_on_abort(x, never_abort, &rig);
	bump(&rig.handling);
}

static void echo_body(struct http_x *x, struct slice body, void *arg)
{
	struct http_reply reply = {.status = 200, .size = (int64_t)body.n};

	BUG(arg != &rig);
	reply.body = body_memory_shared(body.p, body.n, NULL, NULL); /* lives until the exchange ends */
	http_reply(x, &reply);
}

static void handle_echo(struct http_x *x, const struct http_request *r)
{
	http_on_abort(x, never_abort, &rig);
	http_read_body(x, 1000, echo_body, &rig);
}

struct streamed {
	struct http_x *x;
	struct buf got;
	int pauses;
	struct loop_post resume;
};

static void stream_free(void *arg)
{
	struct streamed *s = arg;

	buf_fini(&s->got);
}

static void stream_resume(struct loop_post *p)
{
	http_body_resume(container_of(p, struct streamed, resume)->x);
}

static int pauses_now(void)
{
	int n;

	pthread_mutex_lock(&rig.lock);
	n = rig.pauses;
	pthread_mutex_unlock(&rig.lock);
	return n;
}

static int stream_data(struct http_x *x, const char *p, size_t n, void *arg)
{
	struct streamed *s = arg;

	if (s->pauses > 0) {
		s->pauses--;
		bump(&rig.paused);
		loop_post(http_loop(x), &s->resume);
		return HTTP_PAUSE;
	}
	s->pauses = pauses_now();
	BUG(buf_add(&s->got, p, n) != 0);
	bump(&rig.pieces);
	return 0;
}

static void stream_end(struct http_x *x, void *arg)
{
	struct streamed *s = arg;
	struct http_reply reply = {.status = 200, .size = (int64_t)s->got.n};

	reply.body = body_memory(s->got.p, s->got.n);
	http_reply(x, &reply);
}

static void handle_stream(struct http_x *x, const struct http_request *r)
{
	struct streamed *s = arena_zalloc(http_arena(x), sizeof(*s));
	const struct http_sink sink = {.on_data = stream_data, .on_end = stream_end, .arg = s};

	BUG(s == NULL || arena_on_fini(http_arena(x), stream_free, s) != 0);
	s->x = x;
	s->got = BUF_INIT(64 * MiB);
	s->pauses = pauses_now();
	s->resume.fn = stream_resume;
	http_on_abort(x, never_abort, &rig);
	http_stream_body(x, &sink);
}

static int refuse_data(struct http_x *x, const char *p, size_t n, void *arg)
{
	bump(&rig.pieces);
	http_reply_text(x, 403, NULL, "no\n", -1);
	return -ERR_DENIED;
}

static void refuse_end(struct http_x *x, void *arg)
{
	http_reply_text(x, 200, NULL, "nothing to refuse\n", -1);
}

static void handle_refuse(struct http_x *x, const struct http_request *r)
{
	const struct http_sink sink = {.on_data = refuse_data, .on_end = refuse_end};

	http_stream_body(x, &sink);
}

/* Answers while it reads. */
static void handle_hurry(struct http_x *x, const struct http_request *r)
{
	const struct http_sink sink = {.on_data = refuse_data, .on_end = refuse_end};

	handle_async(x, r);
	http_stream_body(x, &sink);
}

static void handle_ignore(struct http_x *x, const struct http_request *r)
{
	http_reply_text(x, 200, NULL, "ignored\n", -1);
}

static void handle_status(struct http_x *x, const struct http_request *r)
{
	struct http_reply reply = {.status = (int)number_of(r)};

	http_reply(x, &reply);
}

static void handle_odd(struct http_x *x, const struct http_request *r)
{
	static const struct http_header headers[] = {
		{{"Content-Length", 14}, {"999", 3}},
		{{"transfer-encoding", 17}, {"chunked", 7}},
		{{"Connection", 10}, {"upgrade", 7}},
		{{"Keep-Alive", 10}, {"timeout=1", 9}},
		{{"Upgrade", 7}, {"h2c", 3}},
		{{"Trailer", 7}, {"X", 1}},
		{{"X-Split", 7}, {"a\r\nX-Injected: b\0c", 18}},
		{{"X Space", 7}, {"a", 1}},
		{{"X-Bad\r\nX-Injected", 17}, {"a", 1}},
		{{"", 0}, {"a", 1}},
		{{"X-Good", 6}, {"\xc3\xa4\tb", 4}},
	};
	struct http_reply reply = {.status = 200,
		.reason = "Fine\r\nX-Injected: b",
		.content_type = "text/plain\r\nX-Injected: b",
		.etag = "\"a\nX-Injected: b\"",
		.headers = headers,
		.header_count = ARRAY_LEN(headers),
		.size = 2};

	reply.body = body_memory("ok", 2);
	http_reply(x, &reply);
}

static void handle_nobody(struct http_x *x, const struct http_request *r)
{
	struct http_reply reply = {.status = 200, .size = 100};

	http_reply(x, &reply);
}

static void handle_close(struct http_x *x, const struct http_request *r)
{
	struct http_reply reply = {.status = 200, .close = true};

	http_reply(x, &reply);
}

static void handle(struct http_x *x, const struct http_request *r, void *arg)
{
	static const struct {
		struct slice path;
		void (*fn)(struct http_x *x, const struct http_request *r);
	} rows[] = {
#define R(name) {{"/" #name, sizeof(#name)}, handle_##name}
		R(mem),
		R(file),
		R(script),
		R(fields),
		R(async),
		R(never),
		R(park),
		R(unpark),
		R(echo),
		R(stream),
		R(refuse),
		R(hurry),
		R(ignore),
		R(status),
		R(odd),
		R(nobody),
		R(close),
#undef R
	};

	BUG(arg != &rig || http_request_of(x) != r || !loop_is_mine(http_loop(x)));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (slice_eq(rows[i].path, r->path)) {
			rows[i].fn(x, r);
			return;
		}
	}
	http_reply_text(x, 404, NULL, NULL, -1);
}

/* ---- set-up ---- */

void rig_defaults(void)
{
	memset(&rig, 0, sizeof(rig));
	rig.loop_count = RIG_LOOPS;
	rig.limits = (struct http_limits){.max_line = 16 * KiB,
		.max_headers = 100,
		.max_header_bytes = 64 * KiB,
		.max_connections = 1000,
		.idle_ms = 60000,
		.header_ms = 60000,
		.body_ms = 60000,
		.send_ms = 60000};
	(void)pthread_mutex_init(&rig.lock, NULL);
	(void)pthread_cond_init(&rig.changed, NULL);
	(void)pthread_mutex_init(&rig.script.lock, NULL);
	(void)pthread_cond_init(&rig.script.changed, NULL);
	(void)pattern_bytes();
}

static void *run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

void rig_start(void)
{
	static const char *const listen[] = {"127.0.0.1:0", NULL};
	struct http_server_opts opts = {.loops = rig.loops,
		.loop_count = (size_t)rig.loop_count,
		.listen = listen,
		.limits = rig.limits,
		.handler = handle,
		.arg = &rig,
		.access_log = rig.access_log,
		.server_name = "rig"};
	struct err err = ERR_INIT;

	for (int i = 0; i < rig.loop_count; i++)
		assert_int_equal(loop_new("rig", &rig.loops[i], &err), 0);
	if (http_server_new(&opts, &rig.server, &err) != 0)
		fail_msg("%s", err.msg);
	rig.port = http_server_port(rig.server, 0);
	assert_true(rig.port > 0);
	for (int i = 0; i < rig.loop_count; i++)
		assert_int_equal(pthread_create(&rig.threads[i], NULL, run_loop, rig.loops[i]), 0);
	http_server_start(rig.server);
}

int rig_set_up(void **state)
{
	rig_defaults();
	rig_start();
	return 0;
}

void rig_drain(int64_t ms)
{
	http_server_drain(rig.server, ms);
	pthread_mutex_lock(&rig.lock);
	rig.drained = true;
	pthread_mutex_unlock(&rig.lock);
}

int rig_tear_down(void **state)
{
	if (rig.server == NULL)
		return 0;
	if (!rig.drained)
		rig_drain(WAIT_S * 1000); /* the clients are gone: nothing should be left to wait for */
	rig_hold(false);
	rig_wait(replies,
		rig.asyncs); /* their threads post to the loops, also for clients that are gone; no more begin now */
	for (int i = 0; i < rig.loop_count; i++)
		loop_stop(rig.loops[i]);
	for (int i = 0; i < rig.loop_count; i++)
		pthread_join(rig.threads[i], NULL);
	http_server_free(&rig.server);
	for (int i = 0; i < rig.loop_count; i++)
		loop_free(&rig.loops[i]);
	assert_int_equal(metric_get(M_http_connections_open), 0);
	assert_int_equal(rig.script.open, 0);
	assert_null(rig.script.first);
	return 0;
}

/* ---- the client ---- */

static struct client new_client(int rcvbuf)
{
	struct client c = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .in = BUF_INIT(256 * MiB)};
	struct timeval limit = {.tv_sec = WAIT_S};
	int on = 1;

	assert_true(c.fd >= 0);
	if (rcvbuf > 0)
		assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)), 0);
	assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	return c;
}

int client_try_connect(struct client *c)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)rig.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return connect(c->fd, (struct sockaddr *)&to, sizeof(to));
}

void client_connect(struct client *c)
{
	assert_int_equal(client_try_connect(c), 0);
}

struct client client_new_unconnected(void)
{
	return new_client(0);
}

struct client client_new(void)
{
	struct client c = new_client(0);

	client_connect(&c);
	return c;
}

struct client client_new_slow(void)
{
	struct client c = new_client(4096);

	client_connect(&c);
	return c;
}

void client_close(struct client *c)
{
	assert_int_equal(close(c->fd), 0);
	c->fd = -1;
	buf_fini(&c->in);
}

void client_reset(struct client *c)
{
	struct linger hard = {.l_onoff = 1, .l_linger = 0};

	assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
	client_close(c);
}

void client_send(struct client *c, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);

		if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
			return; /* reading tells what became of it */
		assert_true(sent > 0);
		p += sent;
		n -= (size_t)sent;
	}
}

void client_sends(struct client *c, const char *z)
{
	client_send(c, z, strlen(z));
}

void client_sendf(struct client *c, const char *fmt, ...)
{
	struct buf b = BUF_INIT(MiB);
	va_list ap;

	va_start(ap, fmt);
	assert_int_equal(buf_addv(&b, fmt, ap), 0);
	va_end(ap);
	client_send(c, b.p, b.n);
	buf_fini(&b);
}

void client_get(struct client *c, const char *target)
{
	client_sendf(c, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", target);
}

/* False at the end. */
static bool client_more(struct client *c)
{
	ssize_t n;

	if (c->eof)
		return false;
	if (c->at > 0 && c->at == c->in.n) {
		buf_reset(&c->in);
		c->at = 0;
	}
	assert_int_equal(buf_reserve(&c->in, 64 * KiB), 0);
	n = recv(c->fd, c->in.p + c->in.n, 64 * KiB, 0);
	if (n < 0 && errno == EAGAIN)
		fail_msg("the server sends nothing; there are: %.*s", (int)MIN(c->in.n - c->at, (size_t)500),
			c->in.p + c->at);
	if (n <= 0) {
		c->eof = true;
		c->reset = n < 0;
		return false;
	}
	c->in.n += (size_t)n;
	c->in.p[c->in.n] = '\0';
	return true;
}

static size_t available(const struct client *c)
{
	return c->in.n - c->at;
}

const char *client_take(struct client *c, size_t n)
{
	while (available(c) < n)
		if (!client_more(c))
			fail_msg("closed after %zu bytes of %zu", available(c), n);
	c->at += n;
	return c->in.p + c->at - n;
}

/* Up to and with `mark`, as a NUL-terminated copy; NULL: it never comes. */
static char *take_until(struct client *c, const char *mark)
{
	char *end, *copy;
	size_t n;

	while (available(c) == 0 || (end = memmem(c->in.p + c->at, available(c), mark, strlen(mark))) == NULL)
		if (!client_more(c))
			return NULL;
	n = (size_t)(end - (c->in.p + c->at)) + strlen(mark);
	copy = malloc(n + 1);
	assert_non_null(copy);
	memcpy(copy, c->in.p + c->at, n);
	copy[n] = '\0';
	c->at += n;
	return copy;
}

/* Up to n bytes into the body; false: there were fewer. */
static bool take_body(struct client *c, struct buf *body, int64_t n)
{
	while (n > 0) {
		size_t some;

		if (available(c) == 0 && !client_more(c))
			return false;
		some = MIN(available(c), (size_t)n);
		assert_int_equal(buf_add(body, c->in.p + c->at, some), 0);
		c->at += some;
		n -= (int64_t)some;
	}
	return true;
}

static bool take_chunks(struct client *c, struct buf *body)
{
	for (;;) {
		char *line = take_until(c, "\r\n"), *end;
		struct buf crlf = BUF_INIT(2);
		int64_t n;
		bool whole;

		if (line == NULL)
			return false;
		n = strtoll(line, &end, 16);
		assert_true(end > line && n >= 0);
		assert_string_equal(end, "\r\n");
		free(line);
		whole = take_body(c, body, n) && take_body(c, &crlf, 2);
		if (whole)
			assert_memory_equal(crlf.p, "\r\n", 2);
		buf_fini(&crlf);
		if (!whole || n == 0)
			return whole;
	}
}

const char *answer_field(const struct answer *a, const char *name)
{
	static char value[1024];
	const char *found = NULL;
	size_t n = strlen(name);

	for (const char *line = strstr(a->head, "\r\n") + 2; *line != '\r'; line = strstr(line, "\r\n") + 2) {
		if (strncasecmp(line, name, n) != 0 || line[n] != ':')
			continue;
		assert_null(found);
		(void)snprintf(value, sizeof(value), "%.*s", (int)(strstr(line, "\r\n") - line - (ptrdiff_t)n - 2),
			line + n + 2);
		found = value;
	}
	return found;
}

struct answer client_read(struct client *c, bool head_only)
{
	struct answer a = {.head = take_until(c, "\r\n\r\n"), .body = BUF_INIT(256 * MiB)};
	const char *length;

	if (a.head == NULL)
		fail_msg("no answer, %s, after: %.*s", c->reset ? "reset" : "closed",
			(int)MIN(available(c), (size_t)500), available(c) > 0 ? c->in.p + c->at : "");
	assert_int_equal(sscanf(a.head, "HTTP/1.1 %d ", &a.status), 1);
	(void)buf_adds(&a.body, "");
	length = answer_field(&a, "Content-Length");
	if (head_only || a.status < 200 || a.status == 204 || a.status == 304) {
		a.complete = true;
	} else if (length != NULL) {
		a.complete = take_body(c, &a.body, strtoll(length, NULL, 10));
		assert_null(answer_field(&a, "Transfer-Encoding"));
	} else if (answer_field(&a, "Transfer-Encoding") != NULL) {
		a.complete = take_chunks(c, &a.body);
	} else {
		(void)take_body(c, &a.body, INT64_MAX);
		a.complete = !c->reset;
	}
	return a;
}

void answer_fini(struct answer *a)
{
	free(a->head);
	a->head = NULL;
	buf_fini(&a->body);
}

bool client_is_closed(struct client *c)
{
	if (available(c) > 0 || client_more(c))
		fail_msg("instead of the end: %.*s", (int)MIN(available(c), (size_t)500), c->in.p + c->at);
	return c->reset;
}

struct answer client_expect(struct client *c, int status, const char *body, size_t n)
{
	struct answer a = client_read(c, false);

	if (a.status != status || !a.complete || a.body.n != n || (n > 0 && memcmp(a.body.p, body, n) != 0))
		fail_msg("%s%.*s", a.head, (int)MIN(a.body.n, (size_t)500), a.body.p);
	return a;
}

struct answer ask(const char *request)
{
	struct client c = client_new();
	struct answer a;

	client_sends(&c, request);
	a = client_read(&c, strncmp(request, "HEAD ", 5) == 0);
	client_close(&c);
	return a;
}

void assert_pattern(const struct buf *b, int64_t from, int64_t n)
{
	assert_int_equal(b->n, n);
	if (n > 0)
		assert_memory_equal(b->p, pattern_bytes() + from, n);
}

void assert_field(const struct answer *a, const char *name, const char *want)
{
	const char *is = answer_field(a, name);

	if (want == NULL ? is != NULL : is == NULL || strcmp(is, want) != 0)
		fail_msg("%s is '%s', not '%s', in\n%s", name, is != NULL ? is : "-", want != NULL ? want : "-",
			a->head);
}
