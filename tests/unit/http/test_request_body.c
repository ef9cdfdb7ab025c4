/* Request bodies: collected, streamed with pauses, refused, ignored, malformed, too large, and those that never come. */
#include "client.h"

#define POST(path) "POST " path " HTTP/1.1\r\nHost: t\r\n"

/* The next answer must be right, and the connection in step behind it. */
static void expect_and_go_on(struct client *c, int status, const char *body, size_t n)
{
	struct answer a = client_expect(c, status, body, n);

	assert_field(&a, "Connection", NULL);
	answer_fini(&a);
	client_get(c, "/mem?3");
	a = client_expect(c, 200, pattern_bytes(), 3);
	answer_fini(&a);
}

static void expect_and_close(struct client *c, int status)
{
	struct answer a = client_read(c, false);

	assert_int_equal(a.status, status);
	assert_true(a.complete);
	assert_field(&a, "Connection", "close");
	answer_fini(&a);
	assert_false(client_is_closed(c));
	client_close(c);
}

/* Head and body as one text, in every cut into two writes. */
static const struct {
	const char *text;
	const char *body;
} bodies[] = {
	{POST("/echo") "Content-Length: 5\r\n\r\nhello", "hello"},
	{POST("/echo") "Content-Length: 0\r\n\r\n", ""},
	{POST("/echo") "\r\n", ""},
	{"GET /echo HTTP/1.1\r\nHost: t\r\n\r\n", ""},
	{"GET /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi", "hi"},
	{POST("/echo") "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""},
	{POST("/echo") "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: x\r\n\r\n", "hello"},
	{POST("/stream") "Content-Length: 5\r\n\r\nhello", "hello"},
	{POST("/stream") "\r\n", ""},
	{POST("/stream") "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello"},
};

static void test_bodies_wherever_they_are_cut(void **state)
{
	for (int pauses = 0; pauses < 2; pauses++) {
		rig_pause(pauses);
		for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
			struct client c = client_new();
			size_t n = strlen(bodies[i].text);

			for (size_t cut = 1; cut <= n; cut++) {
				client_send(&c, bodies[i].text, cut);
				client_send(&c, bodies[i].text + cut, n - cut);
				expect_and_go_on(&c, 200, bodies[i].body, strlen(bodies[i].body));
			}
			client_close(&c);
		}
	}
}

static void test_pipelined_behind_bodies(void **state)
{
	struct client c = client_new();

	for (int i = 0; i < 50; i++) {
		for (size_t k = 0; k < ARRAY_LEN(bodies); k++)
			client_sends(&c, bodies[k].text);
		for (size_t k = 0; k < ARRAY_LEN(bodies); k++) {
			struct answer a = client_expect(&c, 200, bodies[k].body, strlen(bodies[k].body));

			answer_fini(&a);
		}
	}
	client_close(&c);
}

static void *send_pattern(void *arg)
{
	client_send(arg, pattern_bytes(), 3000000);
	return NULL;
}

static void test_large_bodies_with_pauses(void **state)
{
	for (int pauses = 0; pauses < 4; pauses += 3) {
		struct client c = client_new();
		pthread_t sender;

		rig_pause(pauses);
		if (rig_tls) { /* OpenSSL's connections are one thread's at a time: so much fits into the sockets' buffers */
			client_sends(&c, POST("/stream") "Content-Length: 100000\r\n\r\n");
			client_send(&c, pattern_bytes(), 100000);
			expect_and_go_on(&c, 200, pattern_bytes(), 100000);
		} else {
			client_sends(&c, POST("/stream") "Content-Length: 3000000\r\n\r\n");
			assert_int_equal(pthread_create(&sender, NULL, send_pattern, &c), 0);
			expect_and_go_on(&c, 200, pattern_bytes(), 3000000);
			pthread_join(sender, NULL);
		}

		client_sends(&c, POST("/stream") "Transfer-Encoding: chunked\r\n\r\n");
		for (int64_t off = 0; off < 300000; off += 30000) {
			client_sends(&c, "7530\r\n");
			client_send(&c, pattern_bytes() + off, 30000);
			client_sends(&c, "\r\n");
		}
		client_sends(&c, "0\r\n\r\n");
		expect_and_go_on(&c, 200, pattern_bytes(), 300000);
		client_close(&c);
	}
}

/* ---- Expect: 100-continue ---- */

static void test_continue_is_said_when_the_handler_reads(void **state)
{
	struct client c = client_new();

	client_sends(&c, POST("/echo") "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
	assert_memory_equal(client_take(&c, 25), "HTTP/1.1 100 Continue\r\n\r\n", 25);
	client_sends(&c, "hello");
	expect_and_go_on(&c, 200, "hello", 5);
	/* Not when there is none. */
	client_sends(&c, POST("/echo") "Content-Length: 0\r\nExpect: 100-continue\r\n\r\n");
	expect_and_go_on(&c, 200, "", 0);
	client_close(&c);
}

static void test_continue_is_not_said_when_nobody_reads(void **state)
{
	static const char *const requests[] = {
		POST("/ignore") "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
		POST("/ignore") "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		struct client c = client_new();

		client_sends(&c, requests[i]);
		expect_and_close(&c, 200);
	}
}

static void test_an_answer_comes_while_the_body_is_read(void **state)
{
	struct client c = client_new();
	struct answer a;

	client_sends(&c, POST("/hurry") "Content-Length: 5\r\n\r\n");
	a = client_expect(&c, 200, "later\n", 6);
	answer_fini(&a);
	client_sends(&c, "hello");
	/* What was said of 100 is said to its end, and nothing mixes with the answer. */
	for (int i = 0; i < 50; i++) {
		client_sends(&c, POST("/hurry") "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
		a = client_read(&c, false);
		if (a.status == 100) {
			answer_fini(&a);
			a = client_read(&c, false);
			client_sends(&c, "hello");
		} else {
			assert_field(&a, "Connection", "close");
			client_close(&c);
			c = client_new();
		}
		assert_int_equal(a.status, 200);
		assert_memory_equal(a.body.p, "later\n", 6);
		answer_fini(&a);
	}
	client_close(&c);
	rig_wait(replies, 51);
}

static void test_too_large_is_said_instead_of_continue(void **state)
{
	struct client c = client_new();

	client_sends(&c, POST("/echo") "Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n");
	expect_and_close(&c, 413);
	assert_int_equal(rig.aborts, 1);
}

/* ---- bodies that are not wanted ---- */

static void test_a_body_that_is_not_read_is_skipped(void **state)
{
	struct client c = client_new();

	client_sends(&c, POST("/ignore") "Content-Length: 5\r\n\r\nhello");
	expect_and_go_on(&c, 200, "ignored\n", 8);
	client_sends(&c, POST("/ignore") "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
	expect_and_go_on(&c, 200, "ignored\n", 8);
	client_sends(&c, POST("/unknown") "Content-Length: 5\r\n\r\nhello");
	expect_and_go_on(&c, 404, "404: Not Found\n", 15);
	client_close(&c);
}

/* Clients write head and body apart, and the answer may be out before the body is in. */
static void test_a_body_that_comes_after_the_answer_is_skipped(void **state)
{
	struct client c = client_new();
	struct answer a;

	client_sends(&c, POST("/ignore") "Content-Length: 65536\r\n\r\n");
	a = client_expect(&c, 200, "ignored\n", 8);
	assert_field(&a, "Connection", NULL);
	answer_fini(&a);
	client_send(&c, pattern_bytes(), 65536);
	client_sends(&c, POST("/ignore") "Transfer-Encoding: chunked\r\n\r\n");
	a = client_expect(&c, 200, "ignored\n", 8);
	assert_field(&a, "Connection", NULL);
	answer_fini(&a);
	client_sends(&c, "1\r\nx\r\n100\r\n");
	client_send(&c, pattern_bytes(), 256);
	client_sends(&c, "\r\n0\r\n\r\n");
	client_get(&c, "/mem?3");
	a = client_expect(&c, 200, pattern_bytes(), 3);
	answer_fini(&a);
	client_close(&c);
}

static void test_an_endless_body_after_the_answer_costs_the_connection(void **state)
{
	struct client c = client_new();
	struct answer a;

	client_sends(&c, POST("/ignore") "Transfer-Encoding: chunked\r\n\r\nfffff\r\n");
	a = client_expect(&c, 200, "ignored\n", 8);
	answer_fini(&a);
	client_send(&c, pattern_bytes(), 65537);
	assert_false(client_is_closed(&c));
	client_close(&c);
}

static void test_a_large_body_that_is_not_read_costs_the_connection(void **state)
{
	struct client c = client_new();

	client_sends(&c, POST("/ignore") "Content-Length: 70000\r\n\r\n");
	expect_and_close(&c, 200);
	/* While it is being sent: the answer arrives all the same. */
	c = client_new();
	client_sends(&c, POST("/ignore") "Content-Length: 3000000\r\n\r\n");
	client_send(&c, pattern_bytes(), 3000000);
	expect_and_close(&c, 200);
}

static void test_a_body_that_is_refused_at_its_first_piece(void **state)
{
	struct client c = client_new();

	client_sends(&c, POST("/refuse") "Content-Length: 5\r\n\r\nhello");
	expect_and_go_on(&c, 403, "no\n", 3);
	client_sends(&c, POST("/refuse") "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n");
	expect_and_go_on(&c, 403, "no\n", 3);
	assert_int_equal(rig.pieces, 2);
	client_close(&c);
}

/* ---- bodies that are wrong ---- */

static void test_too_large(void **state)
{
	struct client c = client_new();
	struct answer a;

	client_sends(&c, POST("/echo") "Content-Length: 1000\r\n\r\n");
	client_send(&c, pattern_bytes(), 1000);
	expect_and_go_on(&c, 200, pattern_bytes(), 1000);
	assert_int_equal(rig.aborts, 0);
	client_sends(&c, POST("/echo") "Content-Length: 1001\r\n\r\n");
	client_send(&c, pattern_bytes(), 1001);
	expect_and_go_on(&c, 413, "413: Content Too Large\n", 23);
	assert_int_equal(rig.aborts, 1);
	client_sends(&c, POST("/echo") "Transfer-Encoding: chunked\r\n\r\n3e8\r\n");
	client_send(&c, pattern_bytes(), 1000);
	client_sends(&c, "\r\n1\r\nx\r\n0\r\n\r\n");
	expect_and_go_on(&c, 413, "413: Content Too Large\n", 23);
	assert_int_equal(rig.aborts, 2);
	client_close(&c);
	a = ask(POST("/echo") "Content-Length: 1152921504606846976\r\n\r\n");
	assert_int_equal(a.status, 413);
	answer_fini(&a);
}

static void test_malformed_chunks(void **state)
{
	static const char *const chunks[] = {
		"x\r\n", "5\r\nhelloXX0\r\n\r\n", "5\nhello", "-1\r\n", "fffffffffffffffff\r\n"};

	for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
		struct client c = client_new();

		client_sends(&c, POST("/stream") "Transfer-Encoding: chunked\r\n\r\n");
		client_sends(&c, chunks[i]);
		client_sends(&c, "GET /mem?3 HTTP/1.1\r\nHost: t\r\n\r\n"); /* smuggled, or not */
		expect_and_close(&c, 400);
		rig_wait(aborts, (int)i + 1);
	}
}

static void test_a_client_that_stops_in_the_middle(void **state)
{
	static const char *const requests[] = {POST("/echo") "Content-Length: 5\r\n\r\nhel",
		POST("/stream") "Transfer-Encoding: chunked\r\n\r\n5\r\nhel"};

	for (size_t i = 0; i < 2 * ARRAY_LEN(requests); i++) {
		struct client c = client_new();

		client_sends(&c, requests[i / 2]);
		if (i % 2 == 0)
			client_close(&c);
		else
			client_reset(&c);
		rig_wait(aborts, (int)i + 1);
	}
}

static int set_up_impatient(void **state)
{
	rig_defaults();
	rig.limits.body_ms = 50;
	rig_start();
	return 0;
}

static void test_a_body_that_does_not_come_is_a_408(void **state)
{
	int64_t before = metric_get(M_http_timeouts);
	struct client c = client_new();
	struct answer a;

	client_sends(&c, POST("/echo") "Content-Length: 5\r\n\r\nhel");
	expect_and_close(&c, 408);
	rig_wait(aborts, 1);
	assert_int_equal(metric_get(M_http_timeouts) - before, 1);
	/* The same when the answer is out already: the connection goes. */
	c = client_new();
	client_sends(&c, POST("/ignore") "Content-Length: 5\r\n\r\nhel");
	a = client_expect(&c, 200, "ignored\n", 8);
	answer_fini(&a);
	assert_false(client_is_closed(&c));
	client_close(&c);
	assert_int_equal(metric_get(M_http_timeouts) - before, 2);
	/* A handler that pauses is not the client's fault, even for longer than the time-out. */
	rig_pause(10);
	c = client_new();
	client_sends(&c, POST("/stream") "Content-Length: 5\r\n\r\nhello");
	a = client_expect(&c, 200, "hello", 5);
	answer_fini(&a);
	client_close(&c);
}

#define SERVED(t) cmocka_unit_test_setup_teardown(t, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(test_bodies_wherever_they_are_cut),
		SERVED(test_pipelined_behind_bodies),
		SERVED(test_large_bodies_with_pauses),
		SERVED(test_continue_is_said_when_the_handler_reads),
		SERVED(test_continue_is_not_said_when_nobody_reads),
		SERVED(test_an_answer_comes_while_the_body_is_read),
		SERVED(test_too_large_is_said_instead_of_continue),
		SERVED(test_a_body_that_is_not_read_is_skipped),
		SERVED(test_a_body_that_comes_after_the_answer_is_skipped),
		SERVED(test_an_endless_body_after_the_answer_costs_the_connection),
		SERVED(test_a_large_body_that_is_not_read_costs_the_connection),
		SERVED(test_a_body_that_is_refused_at_its_first_piece),
		SERVED(test_too_large),
		SERVED(test_malformed_chunks),
		SERVED(test_a_client_that_stops_in_the_middle),
		cmocka_unit_test_setup_teardown(
			test_a_body_that_does_not_come_is_a_408, set_up_impatient, rig_tear_down),
	};

	return RIG_RUN();
}
