/* Limits and time: heads too large, peers too slow, too many connections, no descriptors, and the end of the server. */
#include "client.h"

#include "base/clock.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>

/* ---- sizes ---- */

/* The answer arrives whatever was sent behind what is refused. */
static void expect_refusal(struct client *c, int status)
{
	struct answer a = client_read(c, false);

	assert_int_equal(a.status, status);
	assert_true(a.complete);
	assert_field(&a, "Connection", "close");
	answer_fini(&a);
	assert_false(client_is_closed(c));
	client_close(c);
}

static void send_many(struct client *c, const char *piece, int n)
{
	struct buf b = BUF_INIT(64 * MiB);

	for (int i = 0; i < n; i++)
		buf_adds(&b, piece);
	client_send(c, b.p, b.n);
	buf_fini(&b);
}

static void test_a_request_line_of_64_kib(void **state)
{
	struct client c = client_new();

	client_sends(&c, "GET /");
	send_many(&c, "aaaaaaaaaaaaaaaa", 4096);
	client_sends(&c, " HTTP/1.1\r\nHost: t\r\n\r\n");
	expect_refusal(&c, 414);
}

static void test_a_line_that_never_ends(void **state)
{
	struct client c = client_new();

	client_sends(&c, "GET /");
	send_many(&c, "aaaaaaaaaaaaaaaa", 1024); /* no more than the limit, and no end of it */
	expect_refusal(&c, 414);
}

static void test_ten_thousand_fields(void **state)
{
	struct client c = client_new();

	client_sends(&c, "GET / HTTP/1.1\r\nHost: t\r\n");
	send_many(&c, "A: b\r\n", 10000);
	client_sends(&c, "\r\n");
	expect_refusal(&c, 431);
}

static void test_fields_that_are_large(void **state)
{
	struct client c = client_new();
	struct answer a;

	client_sends(&c, "GET /mem?3 HTTP/1.1\r\nHost: t\r\nA: ");
	send_many(&c, "aaaaaaaaaaaaaaaa", 1000);
	client_sends(&c, "\r\n\r\n");
	a = client_expect(&c, 200, pattern_bytes(), 3);
	answer_fini(&a);
	client_sends(&c, "GET /mem?3 HTTP/1.1\r\nHost: t\r\nA: ");
	send_many(&c, "aaaaaaaaaaaaaaaa", 1024);
	client_sends(&c, "\r\n\r\n");
	expect_refusal(&c, 431);
	/* 64 KiB in all, none of them too long. */
	c = client_new();
	client_sends(&c, "GET /mem?3 HTTP/1.1\r\nHost: t\r\n");
	for (int i = 0; i < 6; i++) {
		client_sends(&c, "A: ");
		send_many(&c, "aaaaaaaaaaaaaaaa", 1000);
		client_sends(&c, "\r\n");
	}
	expect_refusal(&c, 431);
}

static void test_what_is_refused_is_not_read_on(void **state)
{
	static const char *const requests[] = {
		"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET /mem?3 HTTP/1.1\r\nHost: t\r\nHost: u\r\n\r\n",
		"GET /../etc/passwd HTTP/1.1\r\nHost: t\r\n\r\n",
		"GET /%2e%2e/etc/passwd HTTP/1.1\r\nHost: t\r\n\r\n",
		"GET /a%00b HTTP/1.1\r\nHost: t\r\n\r\n",
		"GET /mem?3 HTTP/1.1\r\n Host: t\r\n\r\n",
		"\x16\x03\x01\x02\n",
	};
	int64_t before = metric_get(M_http_bad_requests);

	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		struct client c = client_new();

		client_sends(&c, requests[i]);
		client_get(&c, "/mem?3");
		expect_refusal(&c, 400);
	}
	assert_int_equal(metric_get(M_http_bad_requests) - before, ARRAY_LEN(requests));
	assert_int_equal(rig.aborts, 0);
}

/* ---- time ---- */

static int set_up_impatient(void **state)
{
	rig_defaults();
	rig.limits.header_ms = 100;
	rig.limits.idle_ms = 150;
	rig.limits.send_ms = 100;
	rig_start();
	return 0;
}

static void test_a_head_that_does_not_come_is_a_408(void **state)
{
	int64_t before = metric_get(M_http_timeouts);
	struct client c = client_new();

	client_sends(&c, "GET / HTTP/1.1\r\nHost:");
	expect_refusal(&c, 408);
	assert_int_equal(metric_get(M_http_timeouts) - before, 1);
}

/* A byte now and then does not move the deadline: bytes are sent until the server has had enough, however long that is. */
static void test_a_head_that_comes_slowly_is_a_408(void **state)
{
	struct client c = client_new();
	struct timeval moment = {.tv_usec = 5000};
	ssize_t n;

	assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof(moment)), 0);
	client_sends(&c, "GET / HTTP/1.1\r\nHost: t");
	for (int i = 0; (n = client_peek(&c)) < 0 && i < 10000; i++)
		client_sendf(&c, i % 20 == 0 ? "\r\nX-%d: " : "%d", i);
	assert_int_equal(n, 1);
	expect_refusal(&c, 408);
}

static void test_silent_connections_are_closed(void **state)
{
	int64_t before = metric_get(M_http_timeouts);
	struct client c = client_new(), kept = client_new();
	struct answer a;

	client_get(&kept, "/mem?3");
	a = client_expect(&kept, 200, pattern_bytes(), 3);
	answer_fini(&a);
	assert_false(client_is_closed(&c));
	assert_false(client_is_closed(&kept));
	client_close(&c);
	client_close(&kept);
	assert_int_equal(metric_get(M_http_timeouts) - before, 2);
}

static void test_a_reader_that_reads_nothing_is_cut_off(void **state)
{
	static const char *const targets[] = {"/mem?8000000", "/file?8000000", "/script"};

	script_begin(-1, PATTERN_N, false);
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		int64_t before = metric_get(M_http_timeouts);
		struct client c = client_new_slow(), other = client_new();
		struct answer a;

		client_get(&c, targets[i]);
		client_get(&other, "/mem?3"); /* nobody waits for it */
		a = client_expect(&other, 200, pattern_bytes(), 3);
		answer_fini(&a);
		wait_metric(M_http_timeouts, before, 2); /* the other one because it is idle */
		a = client_read(&c, false);
		assert_int_equal(a.status, 200);
		assert_false(a.complete);
		answer_fini(&a);
		client_close(&c);
		client_close(&other);
	}
}

static int set_up_second(void **state)
{
	rig_defaults();
	rig.limits.send_ms = 1000;
	rig_start();
	return 0;
}

/* So slowly that for longer than the time-out the socket does not report room. */
static void test_a_reader_that_is_slow_is_served(void **state)
{
	const struct timespec moment = {.tv_nsec = 50 * 1000000};
	struct client c = client_new_slow();
	struct answer a;

	client_get(&c, "/file?8000000");
	for (size_t i = 1; i <= 50; i++) {
		(void)client_take(&c, i * 4000);
		c.at = 0;                       /* it was only a look */
		(void)nanosleep(&moment, NULL); /* 2.5 s in all */
	}
	a = client_expect(&c, 200, pattern_bytes(), 8000000);
	answer_fini(&a);
	client_close(&c);
}

/* Who waits for a body that does not grow is not to blame. */
static void test_a_reader_of_a_slow_body_is_not_cut_off(void **state)
{
	struct client c = client_new(), silent = client_new();
	struct answer a;

	script_begin(1000, 500, false);
	client_get(&c, "/script");
	script_wait(sleeps, 1);
	assert_false(client_is_closed(&silent)); /* 150 ms have passed */
	script_grow(1000);
	a = client_expect(&c, 200, pattern_bytes(), 1000);
	answer_fini(&a);
	client_close(&c);
	client_close(&silent);
}

static void test_a_handler_may_take_its_time(void **state)
{
	struct client c = client_new(), silent = client_new();
	struct answer a;

	rig_hold(true);
	client_get(&c, "/async");
	rig_wait(handling, 1);
	assert_false(client_is_closed(&silent));
	rig_hold(false);
	a = client_expect(&c, 200, "later\n", 6);
	answer_fini(&a);
	client_close(&c);
	client_close(&silent);
}

/* ---- how many ---- */

static int set_up_few(void **state)
{
	rig_defaults();
	rig.limits.max_connections = 4;
	rig_start();
	return 0;
}

static void test_too_many_connections(void **state)
{
	int64_t before = metric_get(M_http_connections_refused);
	struct client c[4], late;
	struct answer a;

	for (int i = 0; i < 4; i++) {
		c[i] = client_new();
		client_get(&c[i], "/mem?3");
		a = client_expect(&c[i], 200, pattern_bytes(), 3);
		answer_fini(&a);
	}
	late = client_new(); /* sends nothing: the answer would be lost to a reset */
	a = client_expect(&late, 503, "", 0);
	assert_field(&a, "Retry-After", "1");
	answer_fini(&a);
	assert_false(client_is_closed(&late));
	client_close(&late);
	assert_int_equal(metric_get(M_http_connections_refused) - before, 1);
	for (int i = 0; i < 4; i++) {
		client_get(&c[i], "/mem?3");
		a = client_expect(&c[i], 200, pattern_bytes(), 3);
		answer_fini(&a);
	}
	/* One that goes makes room: the server closes it, so that it is known to be gone. */
	client_sends(&c[0], "GET /close HTTP/1.1\r\nHost: t\r\n\r\n");
	a = client_expect(&c[0], 200, "", 0);
	answer_fini(&a);
	client_close(&c[0]);
	for (int status = 503, i = 0; status == 503 && i < 100000; i++) {
		late = client_new();
		client_get(&late, "/mem?3");
		(void)client_take(&late, 12); /* perhaps of the refusal, perhaps reset */
		status = atoi(late.in.p + 9);
		client_close(&late);
	}
	for (int i = 1; i < 4; i++)
		client_close(&c[i]);
}

/* Connections that cannot be accepted wait in the listener's queue. */
static void test_no_descriptors(void **state)
{
	struct client c, one = client_new();
	struct rlimit limit, none;
	struct answer a;

	client_get(&one, "/mem?3");
	a = client_expect(&one, 200, pattern_bytes(), 3);
	answer_fini(&a);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	c = client_new_unconnected();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	client_connect(&c);
	client_get(&c, "/mem?3");
	/* Those that are there are served. */
	client_get(&one, "/mem?3");
	a = client_expect(&one, 200, pattern_bytes(), 3);
	answer_fini(&a);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	a = client_expect(&c, 200, pattern_bytes(), 3);
	answer_fini(&a);
	client_close(&c);
	client_close(&one);
}

/* ---- the end ---- */

static void *drain(void *arg)
{
	rig_drain(*(int64_t *)arg);
	return NULL;
}

/* All loops have begun to drain: each closes its own listening socket then. */
static void wait_for_no_listener(void)
{
	const int64_t until_ns = clock_mono_ns() + WAIT_S * NS_PER_S;
	int rc;

	do {
		struct client c = client_new_unconnected();

		rc = client_try_connect(&c);
		client_close(&c);
	} while (rc == 0 && clock_mono_ns() < until_ns);
	assert_int_equal(rc, -1);
}

static void test_drain_lets_a_response_in_progress_end(void **state)
{
	struct client c = client_new(), idle = client_new(), fresh = client_new();
	int64_t patience = WAIT_S * 1000;
	struct answer a;
	pthread_t t;

	script_begin(100000, 1000, true);
	client_get(&idle, "/mem?3");
	a = client_expect(&idle, 200, pattern_bytes(), 3);
	answer_fini(&a);
	client_get(&c, "/script");
	client_get(&c, "/mem?3"); /* too late */
	script_wait(sleeps, 1);
	assert_int_equal(pthread_create(&t, NULL, drain, &patience), 0);
	assert_false(client_is_closed(&idle)); /* at once */
	(void)client_is_closed(&fresh);        /* closed, or reset if it was never accepted */
	wait_for_no_listener();
	script_grow(100000);
	a = client_expect(&c, 200, pattern_bytes(), 100000);
	answer_fini(&a);
	assert_false(client_is_closed(&c));
	client_close(&c);
	client_close(&idle);
	client_close(&fresh);
	pthread_join(t, NULL);
}

static void block_loop(struct loop_post *p)
{
	pthread_mutex_lock(&rig.lock);
	rig.handling++;
	pthread_cond_broadcast(&rig.changed);
	while (rig.hold)
		pthread_cond_wait(&rig.changed, &rig.lock);
	pthread_mutex_unlock(&rig.lock);
}

/* Not before every loop has stopped accepting, even when no connection is open. */
static void test_drain_waits_for_a_busy_loop(void **state)
{
	struct loop_post blocks[RIG_LOOPS] = {{.fn = block_loop}, {.fn = block_loop}};
	int64_t patience = WAIT_S * 1000;
	struct client c = client_new_unconnected();
	pthread_t t;

	rig_hold(true);
	for (int i = 0; i < RIG_LOOPS; i++)
		loop_post(rig.loops[i], &blocks[i]);
	rig_wait(handling, RIG_LOOPS);
	assert_int_equal(pthread_create(&t, NULL, drain, &patience), 0);
	client_connect(&c); /* into the queue of a listener that is still open */
	pthread_mutex_lock(&rig.lock);
	assert_false(rig.drained);
	pthread_mutex_unlock(&rig.lock);
	rig_hold(false);
	pthread_join(t, NULL);
	assert_true(rig.drained);
	(void)client_is_closed(&c);
	client_close(&c);
}

static void test_what_does_not_end_is_cut(void **state)
{
	struct client c = client_new(), never = client_new(), half = client_new();

	script_begin(100000, 1000, true);
	client_get(&c, "/script");
	script_wait(sleeps, 1);
	client_get(&never, "/never");
	rig_wait(handling, 1);
	client_sends(&half, "GET /");
	rig_drain(50);
	assert_int_equal(rig.aborts, 1);
	assert_int_equal(rig.script.open, 0);
	client_close(&c);
	client_close(&never);
	client_close(&half);
}

static void test_drain_before_anything_came(void **state)
{
	struct client c = client_new_unconnected();

	rig_drain(WAIT_S * 1000);
	assert_int_equal(client_try_connect(&c), -1);
	client_close(&c);
}

/* ---- everything at once ---- */

static void *abuse(void *arg)
{
	static const char *const texts[] = {"GET / HTTP/1.1\r\nHost: t",
		"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n",
		"POST /stream HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n",
		"GET /file?8000000 HTTP/1.1\r\nHost: t\r\n\r\n",
		"GET /mem?3 HTTP/1.1\r\nHost: t\r\n\r\nGET /never HTTP/1.1\r\nHost: t\r\n\r\n",
		"GET /script HTTP/1.1\r\nHost: t\r\n\r\n",
		"GET /async HTTP/1.1\r\nHost: t\r\n\r\nGET /async HTTP/1.1\r\nHost: t\r\n\r\n", "\r\n\r\n\r\nx"};
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < 150; i++) {
		struct client c = rand_r(&seed) % 2 == 0 ? client_new_slow() : client_new();

		client_sends(&c, texts[(unsigned)rand_r(&seed) % ARRAY_LEN(texts)]);
		if (rand_r(&seed) % 2 == 0)
			(void)recv(c.fd, &(char){0}, 1, MSG_DONTWAIT);
		if (rand_r(&seed) % 3 == 0)
			(void)shutdown(c.fd, SHUT_WR);
		if (rand_r(&seed) % 2 == 0)
			client_reset(&c);
		else
			client_close(&c);
	}
	return NULL;
}

static void test_abuse_leaves_nothing_behind(void **state)
{
	pthread_t t[4];
	struct client c;
	struct answer a;

	script_begin(-1, 50000, true);
	for (uintptr_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, abuse, (void *)(i + 1)), 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
	c = client_new();
	client_get(&c, "/mem?3");
	a = client_expect(&c, 200, pattern_bytes(), 3);
	answer_fini(&a);
	client_close(&c);
	rig_drain(100); /* those that closed without a reset may look as if they still read */
}

#define SERVED(t) cmocka_unit_test_setup_teardown(t, rig_set_up, rig_tear_down)
#define IMPATIENT(t) cmocka_unit_test_setup_teardown(t, set_up_impatient, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(test_a_request_line_of_64_kib),
		SERVED(test_a_line_that_never_ends),
		SERVED(test_ten_thousand_fields),
		SERVED(test_fields_that_are_large),
		SERVED(test_what_is_refused_is_not_read_on),
		IMPATIENT(test_a_head_that_does_not_come_is_a_408),
		IMPATIENT(test_a_head_that_comes_slowly_is_a_408),
		IMPATIENT(test_silent_connections_are_closed),
		IMPATIENT(test_a_reader_that_reads_nothing_is_cut_off),
		cmocka_unit_test_setup_teardown(test_a_reader_that_is_slow_is_served, set_up_second, rig_tear_down),
		IMPATIENT(test_a_reader_of_a_slow_body_is_not_cut_off),
		IMPATIENT(test_a_handler_may_take_its_time),
		cmocka_unit_test_setup_teardown(test_too_many_connections, set_up_few, rig_tear_down),
		SERVED(test_no_descriptors),
		SERVED(test_drain_lets_a_response_in_progress_end),
		SERVED(test_drain_waits_for_a_busy_loop),
		SERVED(test_what_does_not_end_is_cut),
		SERVED(test_drain_before_anything_came),
		SERVED(test_abuse_leaves_nothing_behind),
	};

	/* With time-outs as short as these a busy machine does not get through a handshake, and the kernel's queue is plain: test_tls.c has the like. */
	return RIG_RUN("test_a_head_that_does_not_come_is_a_408", "test_a_head_that_comes_slowly_is_a_408",
		"test_silent_connections_are_closed", "test_a_reader_that_reads_nothing_is_cut_off",
		"test_a_reader_of_a_slow_body_is_not_cut_off", "test_a_handler_may_take_its_time",
		"test_too_many_connections", "test_no_descriptors", "test_drain_waits_for_a_busy_loop",
		"test_drain_lets_a_response_in_progress_end");
}
