/* Pausing, canceling, time-outs, and the order and limits of many requests. */
#include "harness.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK 65536
#define BLOCKS 64

static void serve(struct peer_conn *c, const struct peer_req *req, void *arg)
{
	char block[BLOCK] = "";
	const char *t = req->target;

	if (strcmp(t, "/large") == 0) {
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BLOCKS * BLOCK);
		for (int i = 0; i < BLOCKS; i++) {
			block[0] = (char)('a' + i % 26);
			peer_write(c, block, sizeof(block));
		}
	} else if (strcmp(t, "/gate-0") == 0) {
		peer_wait(c, 0);
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	} else if (strcmp(t, "/silent") == 0) {
		peer_hang(c);
	} else if (strcmp(t, "/silent-after-head") == 0) {
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
		peer_hang(c);
	} else if (strcmp(t, "/silent-after-data") == 0) {
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
		peer_hang(c);
	} else if (strcmp(t, "/silent-404") == 0) {
		peer_send(c, "HTTP/1.1 404 No\r\nContent-Length: 10\r\n\r\nhello");
		peer_hang(c);
	} else if (strcmp(t, "/drip") == 0) { /* a byte every 20 ms */
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
		for (int i = 0; i < 150; i++) { /* it does not notice that nobody listens any more */
			peer_send(c, ".");
			peer_pause(c, 20);
		}
	} else if (strcmp(t, "/503") == 0) {
		peer_send(c, "HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n");
	} else {
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	}
}

static int setup(void **state)
{
	struct env *e = calloc(1, sizeof(*e));

	env_open(e, serve, NULL, NULL);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	env_close(*state);
	free(*state);
	return 0;
}

struct at_least {
	struct env *env;
	struct call *call;
	int64_t n;
};

static bool has_requests(void *arg)
{
	struct at_least *a = arg;

	return peer_requests(a->env->peer) >= a->n;
}

static bool has_pauses(void *arg)
{
	struct at_least *a = arg;

	return a->call->pauses >= a->n;
}

static bool has_time(void *arg)
{
	return clock_mono_ns() >= ((struct at_least *)arg)->n;
}

static bool has_open_conns_at_most(void *arg)
{
	struct at_least *a = arg;

	return peer_open_conns(a->env->peer) <= a->n;
}

static void wait_requests(struct env *e, int n)
{
	env_wait(e, has_requests, &(struct at_least){.env = e, .n = n}, "requests at the server");
}

static void wait_no_conns(struct env *e)
{
	env_wait(e, has_open_conns_at_most, &(struct at_least){.env = e, .n = 0}, "connections to be closed");
}

/* The next fetch works: whatever happened before left nothing behind that is in its way. */
static void assert_still_works(struct env *e)
{
	struct call c = {0};

	assert_int_equal(call_run(e, &c, "ok"), 0);
	assert_body(&c, "ok");
	call_free(&c);
}

/* ---- pausing ---- */

static void test_pause_and_resume(void **state)
{
	struct env *e = *state;
	struct call c = {.pause = true};
	size_t before;

	call_go(e, &c, "large");
	env_wait(e, has_pauses, &(struct at_least){.call = &c, .n = 1}, "the first pause");
	assert_int_equal(c.datas, 0);
	env_wait(e, has_time, &(struct at_least){.n = clock_mono_ns() + 50 * NS_PER_MS}, "50 ms");
	assert_int_equal(c.datas, 0);
	assert_int_equal(c.pauses, 1);
	/* Resumed, and paused again at once. */
	fetch_resume(c.fetch);
	env_wait(e, has_pauses, &(struct at_least){.call = &c, .n = 2}, "the second pause");
	before = c.body.n;
	assert_int_equal(before, 0);
	call_resume(&c);
	fetch_resume(c.fetch); /* more often than necessary */
	call_wait(&c);
	assert_int_equal(c.rc, 0);
	assert_int_equal(c.body.n, BLOCKS * BLOCK);
	call_free(&c);
}

/* ---- pieces that come together ---- */

static void assert_large(struct call *c)
{
	assert_int_equal(c->rc, 0);
	assert_int_equal(c->body.n, BLOCKS * BLOCK);
	for (size_t i = 0; i < BLOCKS; i++)
		assert_int_equal(c->body.p[i * BLOCK], 'a' + i % 26);
}

static void test_gather(void **state)
{
	struct env *e = *state;
	struct call two[2] = {{0}, {0}};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(two); i++)
		assert_int_equal(call_start(e, &two[i], "large", &(struct fetch_req){.gather = true}, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(two); i++) {
		call_wait(&two[i]);
		assert_large(&two[i]);
		assert_true(two[i].largest > 16 * 1024); /* what libcurl hands over at once */
		assert_true(two[i].largest <= 128 * 1024);
		call_free(&two[i]);
	}
}

static void test_gather_refused(void **state)
{
	struct env *e = *state;
	struct call c = {.data_rc = -ERR_NOSPACE};

	assert_int_equal(call_run_req(e, &c, "large", &(struct fetch_req){.gather = true}), -ERR_NOSPACE);
	assert_int_equal(c.datas, 1);
	call_free(&c);
	assert_still_works(e);
}

static void test_gather_short(void **state)
{
	struct env *e = *state;
	struct call c = {0};

	e->remote.sock_read_timeout_s = 0.05;
	assert_int_equal(call_run_req(e, &c, "silent-after-data", &(struct fetch_req){.gather = true}), -ERR_TIMEOUT);
	assert_body(&c, "hello"); /* was not kept back */
	call_free(&c);
}

static bool has_datas(void *arg)
{
	struct at_least *a = arg;

	return a->call->datas >= a->n;
}

static void test_gather_canceled(void **state)
{
	struct env *e = *state;
	struct call c = {.cancel_in_data = true};
	struct err err;

	assert_int_equal(call_start(e, &c, "large", &(struct fetch_req){.gather = true}, &err), 0);
	env_wait(e, has_datas, &(struct at_least){.call = &c, .n = 1}, "a piece");
	wait_no_conns(e);
	assert_int_equal(c.datas, 1);
	assert_false(c.done);
	call_free(&c);
	assert_still_works(e);
}

static void test_resume_from_within(void **state)
{
	struct env *e = *state;
	struct call c = {.pause = true, .resume_at_once = true};

	assert_int_equal(call_run(e, &c, "large"), 0);
	assert_int_equal(c.pauses, 1);
	assert_int_equal(c.body.n, BLOCKS * BLOCK);
	call_free(&c);
}

/* It is we who are slow, not upstream. */
static void test_a_pause_is_no_silence(void **state)
{
	struct env *e = *state;
	struct call c = {.pause = true};

	e->remote.sock_read_timeout_s = 0.1;
	call_go(e, &c, "large");
	env_wait(e, has_pauses, &(struct at_least){.call = &c, .n = 1}, "the first pause");
	env_wait(e, has_time, &(struct at_least){.n = clock_mono_ns() + 300 * NS_PER_MS}, "300 ms");
	assert_false(c.done);
	call_resume(&c);
	call_wait(&c);
	assert_int_equal(c.rc, 0);
	assert_int_equal(c.body.n, BLOCKS * BLOCK);
	call_free(&c);
}

/* ---- canceling ---- */

static void test_cancel_from_within(void **state)
{
	struct env *e = *state;
	struct call in_head = {.cancel_in_head = true}, in_data = {.cancel_in_data = true};

	call_go(e, &in_head, "large");
	call_go(e, &in_data, "large");
	wait_requests(e, 2);
	wait_no_conns(e);
	assert_null(in_head.fetch);
	assert_int_equal(in_head.heads, 1);
	assert_int_equal(in_head.datas, 0);
	assert_null(in_data.fetch);
	assert_int_equal(in_data.datas, 1);
	assert_false(in_head.done || in_data.done);
	call_free(&in_head);
	call_free(&in_data);
	assert_still_works(e);
}

static void test_cancel_while_paused(void **state)
{
	struct env *e = *state;
	struct call c = {.pause = true};

	call_go(e, &c, "large");
	env_wait(e, has_pauses, &(struct at_least){.call = &c, .n = 1}, "the first pause");
	fetch_resume(c.fetch);
	fetch_cancel(&c.fetch); /* of the two, it counts */
	wait_no_conns(e);
	assert_false(c.done);
	call_free(&c);
	assert_still_works(e);
}

/* Resumed data arrives inside of fetch_resume's own turn, where it is canceled. */
static void test_cancel_when_resumed(void **state)
{
	struct env *e = *state;
	struct call c = {.pause = true, .cancel_in_data = true};

	call_go(e, &c, "large");
	env_wait(e, has_pauses, &(struct at_least){.call = &c, .n = 1}, "the first pause");
	call_resume(&c);
	wait_no_conns(e);
	assert_int_equal(c.datas, 1);
	assert_false(c.done);
	call_free(&c);
	assert_still_works(e);
}

static void test_cancel_from_outside(void **state)
{
	struct env *e = *state;
	struct call running = {0}, queued = {0}, delayed = {0}, fresh = {0};

	e->remote.concurrency = 1;
	call_go(e, &running, "silent");
	call_go(e, &queued, "ok");
	wait_requests(e, 1);
	fetch_cancel(&queued.fetch);
	fetch_cancel(&queued.fetch); /* NULL by now */
	fetch_cancel(&running.fetch);
	wait_no_conns(e);
	e->remote.max_retries = 1;
	call_go(e, &delayed, "503");
	wait_requests(e, 2);
	assert_still_works(e); /* which needs the only place, so the other one waits for its next attempt */
	fetch_cancel(&delayed.fetch);
	call_go(e, &fresh, "ok");
	fetch_cancel(&fresh.fetch);
	assert_still_works(e);
	assert_int_equal(peer_requests(e->peer), 4);
	assert_false(running.done || queued.done || delayed.done || fresh.done);
	assert_int_equal(running.heads + queued.heads + delayed.heads + fresh.heads, 0);
}

/* One call-back cancels and starts others of the same remote, which run inside of the same libcurl handle. */
struct meddler {
	struct env *env;
	struct call *victim;
	struct call started;
	bool done;
	struct fetch *fetch;
};

static int meddler_head(void *arg, const struct fetch_head *head)
{
	struct meddler *m = arg;

	fetch_cancel(&m->victim->fetch);
	call_go(m->env, &m->started, "ok");
	return 0;
}

static void meddler_done(void *arg, int rc, const struct err *err)
{
	((struct meddler *)arg)->done = true;
}

static void test_others_from_within(void **state)
{
	struct env *e = *state;
	struct call victim = {0};
	struct meddler m = {.env = e, .victim = &victim};
	char url[128];
	struct err err;

	call_go(e, &victim, "silent");
	wait_requests(e, 1);
	snprintf(url, sizeof(url), "%sok", e->root);
	assert_int_equal(
		fetch_start(e->ctx, &e->remote,
			&(struct fetch_req){.url = url, .on_head = meddler_head, .on_done = meddler_done, .arg = &m},
			&m.fetch, &err),
		0);
	env_wait(e, call_done, &m.started, "the fetch that a call-back started");
	assert_true(m.done);
	assert_int_equal(m.started.rc, 0);
	assert_false(victim.done);
	call_free(&m.started);
	call_free(&victim);
}

static void test_the_context_goes_first(void **state)
{
	struct env *e = *state;
	struct call running = {0}, paused = {.pause = true}, queued = {0}, delayed = {0}, canceled = {0};

	e->remote.max_retries = 1;
	call_go(e, &delayed, "503");
	wait_requests(e, 1);
	call_go(e, &paused, "large");
	env_wait(e, has_pauses, &(struct at_least){.call = &paused, .n = 1}, "the first pause");
	e->remote.concurrency = 2;
	call_go(e, &running, "silent");
	wait_requests(e, 3);
	call_go(e, &queued, "ok");
	call_go(e, &canceled, "ok");
	fetch_cancel(&canceled.fetch);
	env_free_ctx(e);
	assert_int_equal(running.rc, -ERR_CANCELED);
	assert_int_equal(paused.rc, -ERR_CANCELED);
	assert_int_equal(queued.rc, -ERR_CANCELED);
	assert_int_equal(delayed.rc, -ERR_CANCELED);
	assert_true(running.done && paused.done && queued.done && delayed.done);
	assert_non_null(strstr(running.err.msg, "/silent: "));
	assert_false(canceled.done);
	call_free(&paused);
}

/* ---- time-outs ---- */

static void test_timeouts(void **state)
{
	struct env *e = *state;
	static const struct {
		const char *target;
		double total_s, read_s;
		int rc;
		int status;
		const char *text;
	} cases[] = {
		{"silent", 0, 0.2, -ERR_TIMEOUT, 0, "nothing came for 200 ms"},
		{"silent-after-head", 0, 0.2, -ERR_TIMEOUT, 200, "nothing came"},
		{"silent-after-data", 0, 0.2, -ERR_TIMEOUT, 200, "nothing came"},
		{"silent-404", 0, 0.2, 0, 404, ""}, /* what there is to know is known */
		{"silent", 0.2, 0, -ERR_TIMEOUT, 0, "timed out"},
		{"drip", 0.2, 0, -ERR_TIMEOUT, 200, "timed out"},
		{"drip", 0.2, 0.1, -ERR_TIMEOUT, 200, "timed out"}, /* slow, but not silent */
		{"ok", 5, 5, 0, 200, ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct call c = {0};
		int64_t from = clock_mono_ns();

		e->remote.total_timeout_s = cases[i].total_s;
		e->remote.sock_read_timeout_s = cases[i].read_s;
		call_run(e, &c, cases[i].target);
		if (c.rc != cases[i].rc || c.status != cases[i].status || strstr(c.err.msg, cases[i].text) == NULL)
			fail_msg("case %zu: %s, status %d: %s", i, err_name(c.rc), c.status, c.err.msg);
		if (c.rc != 0)
			assert_true(c.done_ns - from >= 199 * NS_PER_MS);
		assert_true(c.done_ns - from < 5 * NS_PER_S);
		call_free(&c);
	}
}

/* A listening socket that accepts nobody: when its queue is full, the kernel answers no further SYN. */
static void test_connect_timeout(void **state)
{
	struct env *e = *state;
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fill[8];
	struct call c = {0};
	char url[64];

	assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(listener, 0), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
	for (size_t i = 0; i < ARRAY_LEN(fill); i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fill[i], (struct sockaddr *)&sa, sizeof(sa)); /* most of them never get through */
	}
	e->remote.connect_timeout_s = 10;
	e->remote.sock_connect_timeout_s = 0.2;
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", ntohs(sa.sin_port));
	assert_int_equal(call_run(e, &c, url), -ERR_TIMEOUT);
	assert_int_equal(c.heads, 0);
	for (size_t i = 0; i < ARRAY_LEN(fill); i++)
		close(fill[i]);
	close(listener);
	call_free(&c);
}

/* ---- many ---- */

static void test_concurrency(void **state)
{
	struct env *e = *state;
	struct call calls[6] = {0};

	e->remote.concurrency = 2;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		call_go(e, &calls[i], "gate-0");
	wait_requests(e, 2);
	env_wait(e, has_time, &(struct at_least){.n = clock_mono_ns() + 100 * NS_PER_MS}, "100 ms");
	assert_int_equal(peer_requests(e->peer), 2);
	/* Another remote is not held up. */
	e->remote.key = 2;
	assert_still_works(e);
	peer_open(e->peer, 0);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		call_wait(&calls[i]);
		assert_int_equal(calls[i].rc, 0);
	}
	assert_int_equal(peer_conns(e->peer), 3);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		call_free(&calls[i]);
}

static void test_first_come_first_served(void **state)
{
	struct env *e = *state;
	struct call calls[20] = {0};

	e->remote.concurrency = 1;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		call_go(e, &calls[i], "ok");
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		call_wait(&calls[i]);
	for (size_t i = 1; i < ARRAY_LEN(calls); i++)
		assert_int_equal(calls[i].order, calls[i - 1].order + 1);
	assert_int_equal(peer_conns(e->peer), 1);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		call_free(&calls[i]);
}

static void test_rate_limit(void **state)
{
	struct env *e = *state;
	struct call calls[6] = {0};
	int64_t from = clock_mono_ns();

	e->remote.rate_limit = 20;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		call_go(e, &calls[i], "ok");
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		call_wait(&calls[i]);
		assert_int_equal(calls[i].rc, 0);
		/* The first at once, each further one 50 ms later. */
		assert_true(calls[i].done_ns - from >= (int64_t)i * 50 * NS_PER_MS);
		call_free(&calls[i]);
	}
}

static void test_many_at_once(void **state)
{
	struct env *e = *state;
	struct call *calls = calloc(300, sizeof(*calls));

	for (int i = 0; i < 300; i++)
		call_go(e, &calls[i], "ok");
	for (int i = 0; i < 300; i++) {
		call_wait(&calls[i]);
		assert_int_equal(calls[i].rc, 0);
		call_free(&calls[i]);
	}
	free(calls);
	/* Of all the connections, some are kept. */
	env_wait(e, has_open_conns_at_most, &(struct at_least){.env = e, .n = 64}, "connections to be closed");
	assert_still_works(e);
}

static void test_the_queue_has_an_end(void **state)
{
	struct env *e = *state;
	struct call first = {0}, *calls = calloc(100001, sizeof(*calls));
	struct err err;

	e->remote.concurrency = 1;
	call_go(e, &first, "silent");
	wait_requests(e, 1);
	for (int i = 0; i < 100000; i++)
		call_go(e, &calls[i], "ok");
	assert_int_equal(call_start(e, &calls[100000], "ok", NULL, &err), -ERR_LIMIT);
	assert_null(calls[100000].fetch);
	e->remote.key = 2;
	assert_still_works(e);
	env_free_ctx(e);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(calls[i].rc, -ERR_CANCELED);
	free(calls);
}

/* Remotes that are not used any more do not keep their connections for ever: of many, those go that rested longest. */
static void test_idle_connections_are_bounded(void **state)
{
	struct env *e = *state;

	for (int i = 0; i < 100; i++) {
		e->remote.key = 1000 + i;
		assert_still_works(e);
	}
	env_wait(e, has_open_conns_at_most, &(struct at_least){.env = e, .n = 64}, "idle connections to be closed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_pause_and_resume),
		T(test_gather),
		T(test_gather_refused),
		T(test_gather_short),
		T(test_gather_canceled),
		T(test_resume_from_within),
		T(test_a_pause_is_no_silence),
		T(test_cancel_from_within),
		T(test_cancel_while_paused),
		T(test_cancel_when_resumed),
		T(test_cancel_from_outside),
		T(test_others_from_within),
		T(test_the_context_goes_first),
		T(test_timeouts),
		T(test_connect_timeout),
		T(test_concurrency),
		T(test_first_come_first_served),
		T(test_rate_limit),
		T(test_many_at_once),
		T(test_the_queue_has_an_end),
		T(test_idle_connections_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
