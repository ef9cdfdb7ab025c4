/* What the server of the rig answers: one handler a path, see rig.h. On its loops. */
#include "rig_priv.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>

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

	reply.body = body_file(dup(pattern_file()), reply.size, NULL, NULL, NULL);
	http_reply(x, &reply);
}

/* What a loop keeps of /ready and of /readyfile, for the number that was asked for last. */
struct kept {
	struct http_ready ready;
	int64_t size;
	char *room;
};
static _Thread_local struct kept kept[2];

void rig_forget_ready(void)
{
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		free(TAKE(kept[i].room));
}

static void kept_release(void *arg)
{
	atomic_fetch_sub(&rig.ready_held, 1);
}

static void reply_ready(struct http_x *x, const struct http_request *r, struct kept *k, bool file)
{
	struct http_reply reply = pattern_reply(number_of(r));
	size_t behind = file ? 0 : (size_t)reply.size;

	if (!http_ready_fits(x)) {
		reply.body = body_memory_in(http_arena(x), pattern_bytes(), (size_t)reply.size, NULL, NULL);
		http_reply(x, &reply);
		return;
	}
	if (k->room == NULL || k->size != reply.size) {
		free(k->room);
		k->room = malloc(HTTP_READY_ROOM + behind);
		memcpy(k->room + HTTP_READY_ROOM, pattern_bytes(), behind);
		k->size = reply.size;
		BUG(http_ready_make(x, &reply, k->room, behind, &k->ready) != 0);
	}
	atomic_fetch_add(&rig.ready_held, !file);
	http_reply_ready(x, &k->ready, file ? body_file(dup(pattern_file()), reply.size, NULL, NULL, NULL) : NULL,
		file ? NULL : kept_release, NULL, "ready");
}

static void handle_ready(struct http_x *x, const struct http_request *r)
{
	reply_ready(x, r, &kept[0], false);
}

static void handle_readyfile(struct http_x *x, const struct http_request *r)
{
	reply_ready(x, r, &kept[1], true);
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

/* The certificate of the client (DER). */
static void handle_cert(struct http_x *x, const struct http_request *r)
{
	struct slice cert = http_client_cert(x);
	struct http_reply reply = {.status = http_is_tls(x) ? 200 : 404, .size = (int64_t)cert.n};

	reply.body = body_memory_in(
		http_arena(x), cert.n > 0 ? cert.p : "", cert.n, NULL, NULL); /* lives as long as the exchange */
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
	rig_bump(&rig.aborts);
}

static void later_reply(struct loop_post *p)
{
	struct later *l = container_of(p, struct later, post);

	BUG(pthread_join(l->thread, NULL) != 0);
	if (l->x != NULL)
		http_reply_text(l->x, 200, NULL, "later\n", -1);
	free(l);
	rig_bump(&rig.replies);
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
	rig_bump(&rig.asyncs);
	rig_bump(&rig.handling);
	BUG(pthread_create(&l->thread, NULL, later_run, l) != 0);
}

static void never_abort(void *arg)
{
	BUG(arg != &rig);
	rig_bump(&rig.aborts);
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
	rig_bump(&rig.handling);
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
	rig_bump(&rig.handling);
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
		rig_bump(&rig.paused);
		loop_post(http_loop(x), &s->resume);
		return HTTP_PAUSE;
	}
	s->pauses = pauses_now();
	BUG(buf_add(&s->got, p, n) != 0);
	rig_bump(&rig.pieces);
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
	rig_bump(&rig.pieces);
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

void rig_handle(struct http_x *x, const struct http_request *r, void *arg)
{
	static const struct {
		struct slice path;
		void (*fn)(struct http_x *x, const struct http_request *r);
	} rows[] = {
#define R(name) {{"/" #name, sizeof(#name)}, handle_##name}
		R(mem),
		R(file),
		R(ready),
		R(readyfile),
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
		R(cert),
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
