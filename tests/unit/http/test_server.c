/* Responses: framing, connections, pipelining, ranges, conditions, what handlers give. */
#include "client.h"

static const struct {
	const char *request;
	int status;
	int64_t from, n; /* of the pattern */
} gets[] = {
	{"GET /mem?0 HTTP/1.1\r\nHost: t\r\n\r\n", 200, 0, 0},
	{"GET /mem?1 HTTP/1.1\r\nHost: t\r\n\r\n", 200, 0, 1},
	{"GET /mem?4096 HTTP/1.1\r\nHost: t\r\n\r\n", 200, 0, 4096},
	{"GET /mem?3000000 HTTP/1.1\r\nHost: t\r\n\r\n", 200, 0, 3000000},
	{"GET /file?0 HTTP/1.1\r\nHost: t\r\n\r\n", 200, 0, 0},
	{"GET /file?1 HTTP/1.1\r\nHost: t\r\n\r\n", 200, 0, 1},
	{"GET /file?32768 HTTP/1.1\r\nHost: t\r\n\r\n", 200, 0, 32768},
	{"GET /file?32769 HTTP/1.1\r\nHost: t\r\n\r\n", 200, 0, 32769},
	{"GET /file?3000000 HTTP/1.1\r\nHost: t\r\n\r\n", 200, 0, 3000000},
	{"GET http://elsewhere/mem?10 HTTP/1.1\r\nHost: t\r\n\r\n", 200, 0, 10},
	{"GET /mem?20 HTTP/1.1\r\nHost: t\r\nRange: bytes=0-0\r\n\r\n", 206, 0, 1},
	{"GET /mem?20 HTTP/1.1\r\nHost: t\r\nRange: bytes=5-\r\n\r\n", 206, 5, 15},
	{"GET /file?20 HTTP/1.1\r\nHost: t\r\nRange: bytes=-3\r\n\r\n", 206, 17, 3},
	{"GET /file?3000000 HTTP/1.1\r\nHost: t\r\nRange: bytes=100000-2099999\r\n\r\n", 206, 100000, 2000000},
	{"GET /mem?20 HTTP/1.1\r\nHost: t\r\nRange: lines=1-2\r\n\r\n", 200, 0, 20},
	{"GET /mem?20 HTTP/1.1\r\nHost: t\r\nRange: bytes=0-1\r\nIf-Range: " RIG_ETAG "\r\n\r\n", 206, 0, 2},
	{"GET /mem?20 HTTP/1.1\r\nHost: t\r\nRange: bytes=0-1\r\nIf-Range: \"x\"\r\n\r\n", 200, 0, 20},
	{"POST /mem?20 HTTP/1.1\r\nHost: t\r\nRange: bytes=0-1\r\nIf-None-Match: *\r\nContent-Length: 0\r\n\r\n", 200,
		0, 20},
};

static void test_bodies_of_memory_and_of_files(void **state)
{
	struct client c = client_new();

	/* All on one connection. */
	for (size_t i = 0; i < ARRAY_LEN(gets); i++) {
		struct answer a;

		client_sends(&c, gets[i].request);
		a = client_read(&c, false);
		assert_int_equal(a.status, gets[i].status);
		assert_true(a.complete);
		assert_pattern(&a.body, gets[i].from, gets[i].n);
		assert_field(&a, "Connection", NULL);
		assert_field(&a, "Accept-Ranges", "bytes");
		assert_field(&a, "ETag", RIG_ETAG);
		assert_field(&a, "Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
		assert_field(&a, "Server", "rig");
		assert_non_null(answer_field(&a, "Date"));
		answer_fini(&a);
	}
	client_close(&c);
}

static void test_a_range_says_where_it_is(void **state)
{
	struct answer a = ask("GET /mem?20 HTTP/1.1\r\nHost: t\r\nRange: bytes=5-6\r\n\r\n");

	assert_field(&a, "Content-Range", "bytes 5-6/20");
	assert_field(&a, "Content-Length", "2");
	assert_field(&a, "Content-Type", "application/octet-stream");
	answer_fini(&a);
}

/* Byte for byte what RFC 9110 §14.6 shows. */
static void check_multipart(const char *path, int64_t size, const int64_t (*parts)[2], size_t n)
{
	struct buf want = BUF_INIT(64 * MiB), request = BUF_INIT(64 * KiB);
	struct client c = client_new();
	struct answer a;
	const char *type;

	buf_addf(&request, "GET %s?%lld HTTP/1.1\r\nHost: t\r\nRange: bytes=", path, (long long)size);
	for (size_t i = 0; i < n; i++)
		buf_addf(&request, "%s%lld-%lld", i > 0 ? "," : "", (long long)parts[i][0], (long long)parts[i][1] - 1);
	client_sendf(&c, "%s\r\n\r\n", request.p);
	a = client_read(&c, false);
	assert_int_equal(a.status, 206);
	assert_true(a.complete);
	assert_field(&a, "Content-Range", NULL);
	type = answer_field(&a, "Content-Type");
	assert_non_null(type);
	assert_memory_equal(type, "multipart/byteranges; boundary=sluice", 37);
	type = strchr(type, '=') + 1;
	for (size_t i = 0; i < n; i++) {
		buf_addf(&want,
			"\r\n--%s\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes "
			"%lld-%lld/%lld\r\n\r\n",
			type, (long long)parts[i][0], (long long)parts[i][1] - 1, (long long)size);
		buf_add(&want, pattern_bytes() + parts[i][0], (size_t)(parts[i][1] - parts[i][0]));
	}
	buf_addf(&want, "\r\n--%s--\r\n", type);
	assert_int_equal(a.body.n, want.n);
	assert_memory_equal(a.body.p, want.p, want.n);
	answer_fini(&a);
	/* The connection is in step. */
	client_get(&c, "/mem?5");
	a = client_expect(&c, 200, pattern_bytes(), 5);
	answer_fini(&a);
	client_close(&c);
	buf_fini(&want);
	buf_fini(&request);
}

static void test_several_ranges_byte_for_byte(void **state)
{
	static const int64_t few[][2] = {{0, 2}, {5, 7}, {18, 20}}, backward[][2] = {{10, 12}, {0, 1}},
			     large[][2] = {{0, 100000}, {200000, 900000}, {2999999, 3000000}};
	int64_t many[256][2];

	for (int i = 0; i < 256; i++) {
		many[i][0] = i * 1000;
		many[i][1] = i * 1000 + 1 + i % 100;
	}
	check_multipart("/mem", 20, few, ARRAY_LEN(few));
	check_multipart("/file", 20, backward, ARRAY_LEN(backward));
	check_multipart("/mem", 3000000, large, ARRAY_LEN(large));
	check_multipart("/file", 3000000, large, ARRAY_LEN(large));
	check_multipart("/file", 3000000, many, ARRAY_LEN(many));
}

static const struct {
	const char *fields;
	int status;
	const char *content_range;
} without_body[] = {
	{"If-None-Match: " RIG_ETAG, 304, NULL},
	{"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", 304, NULL},
	{"If-None-Match: " RIG_ETAG "\r\nRange: bytes=0-1", 304, NULL},
	{"If-Match: \"x\"", 412, NULL},
	{"Range: bytes=20-", 416, "bytes */20"},
	{"Range: bytes=20-,30-", 416, "bytes */20"},
};

static void test_answers_without_a_body(void **state)
{
	struct client c = client_new();

	for (size_t i = 0; i < ARRAY_LEN(without_body); i++) {
		struct answer a;

		client_sendf(&c, "GET /file?20 HTTP/1.1\r\nHost: t\r\n%s\r\n\r\n", without_body[i].fields);
		a = client_expect(&c, without_body[i].status, "", 0);
		assert_field(&a, "ETag", RIG_ETAG);
		assert_field(&a, "Content-Length", without_body[i].status == 304 ? NULL : "0");
		assert_field(&a, "Content-Range", without_body[i].content_range);
		if (without_body[i].status == 304)
			assert_field(&a, "Content-Type", NULL);
		answer_fini(&a);
	}
	client_close(&c);
}

static void test_statuses_that_have_no_body(void **state)
{
	static const int statuses[] = {204, 304};
	struct client c = client_new();

	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		struct answer a;

		client_sendf(&c, "GET /status?%d HTTP/1.1\r\nHost: t\r\n\r\n", statuses[i]);
		a = client_expect(&c, statuses[i], "", 0);
		assert_field(&a, "Content-Length", NULL);
		assert_field(&a, "Transfer-Encoding", NULL);
		answer_fini(&a);
	}
	client_get(&c, "/status?404");
	{
		struct answer a = client_expect(&c, 404, "", 0);

		assert_field(&a, "Content-Length", "0");
		answer_fini(&a);
	}
	client_close(&c);
}

static void test_head_says_what_get_says(void **state)
{
	static const char *const targets[] = {"/mem?20", "/file?3000000", "/mem?0", "/unknown", "/script"};
	struct client c = client_new();

	script_begin(-1, 0, false);
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		struct answer head;

		client_sendf(&c, "HEAD %s HTTP/1.1\r\nHost: t\r\nRange: bytes=0-1\r\n\r\n", targets[i]);
		head = client_read(&c, true);
		assert_int_equal(head.status, i == 3 ? 404 : 200);
		assert_field(&head, "Content-Length",
			i == 0   ? "20"
			: i == 1 ? "3000000"
			: i == 2 ? "0"
			: i == 3 ? "15"
				 : NULL);
		assert_field(&head, "Transfer-Encoding", i == 4 ? "chunked" : NULL);
		answer_fini(&head);
	}
	client_close(&c);
}

static void test_http_1_0(void **state)
{
	struct client c = client_new();
	struct answer a;

	client_sends(&c, "GET /mem?20 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	a = client_expect(&c, 200, pattern_bytes(), 20);
	assert_field(&a, "Connection", "keep-alive");
	answer_fini(&a);
	client_sends(&c, "GET /file?100000 HTTP/1.0\r\n\r\n");
	a = client_expect(&c, 200, pattern_bytes(), 100000);
	assert_field(&a, "Connection", "close");
	assert_field(&a, "Content-Length", "100000");
	answer_fini(&a);
	assert_false(client_is_closed(&c));
	client_close(&c);
}

static void test_connection_close(void **state)
{
	static const char *const requests[] = {"GET /mem?20 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
		"GET /close HTTP/1.1\r\nHost: t\r\n\r\n",
		/* more than was asked for, which nobody reads */
		"GET /close HTTP/1.1\r\nHost: t\r\n\r\nGET /mem?1 HTTP/1.1\r\nHost: t\r\n\r\n"};

	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		struct client c = client_new();
		struct answer a;

		client_sends(&c, requests[i]);
		a = client_read(&c, false);
		assert_int_equal(a.status, 200);
		assert_true(a.complete);
		assert_field(&a, "Connection", "close");
		answer_fini(&a);
		assert_false(client_is_closed(&c));
		client_close(&c);
	}
}

/* ---- pipelining ---- */

static void test_a_hundred_requests_in_one_write(void **state)
{
	static const char *const paths[] = {"/mem", "/file", "/async"};
	struct buf all = BUF_INIT(64 * KiB);
	struct client c = client_new();

	for (int i = 0; i < 100; i++)
		buf_addf(&all, "GET %s?%d HTTP/1.1\r\nHost: t\r\n\r\n", paths[i % 3], i * 700);
	client_send(&c, all.p, all.n);
	for (int i = 0; i < 100; i++) {
		struct answer a = i % 3 == 2 ? client_expect(&c, 200, "later\n", 6)
					     : client_expect(&c, 200, pattern_bytes(), (size_t)i * 700);

		answer_fini(&a);
	}
	client_close(&c);
	buf_fini(&all);
}

/* More than one turn of the loop serves, and more than one read takes in. */
static void test_five_thousand_requests_before_the_first_answer_is_read(void **state)
{
	struct buf all = BUF_INIT(MiB);
	struct client c = client_new();

	for (int i = 0; i < 5000; i++)
		buf_addf(&all, "GET /mem?%d HTTP/1.1\r\nHost: t\r\n\r\n", i % 10);
	client_send(&c, all.p, all.n);
	for (int i = 0; i < 5000; i++) {
		struct answer a = client_expect(&c, 200, pattern_bytes(), (size_t)i % 10);

		answer_fini(&a);
	}
	client_close(&c);
	buf_fini(&all);
}

static void test_large_pipelined_bodies_do_not_mix(void **state)
{
	struct client c = client_new_slow();

	for (int i = 0; i < 6; i++)
		client_sendf(&c, "GET /%s?3000000 HTTP/1.1\r\nHost: t\r\nRange: bytes=%d-%d\r\n\r\n",
			i % 2 == 0 ? "file" : "mem", i * 1000, i * 1000 + 499999);
	for (int i = 0; i < 6; i++) {
		struct answer a = client_expect(&c, 206, pattern_bytes() + i * 1000, 500000);

		answer_fini(&a);
	}
	client_close(&c);
}

static void test_a_request_that_comes_byte_by_byte(void **state)
{
	static const char request[] = "\r\nGET /fields?x HTTP/1.1\r\nHost: t\r\nX-A:   b  \r\n\r\n";
	struct client c = client_new();
	struct answer a;

	for (size_t i = 0; i < sizeof(request) - 1; i++)
		client_send(&c, request + i, 1);
	a = client_expect(&c, 200, "GET /fields x\nHost=t\nX-A=b\n", 27);
	answer_fini(&a);
	client_close(&c);
}

/* ---- what handlers give ---- */

static void test_replies_from_another_thread(void **state)
{
	struct client c[20];

	rig_hold(true);
	for (size_t i = 0; i < ARRAY_LEN(c); i++) {
		c[i] = client_new();
		client_get(&c[i], "/async");
		client_get(&c[i], "/mem?7"); /* waits for its turn */
	}
	rig_wait(handling, ARRAY_LEN(c));
	rig_hold(false);
	for (size_t i = 0; i < ARRAY_LEN(c); i++) {
		struct answer a = client_expect(&c[i], 200, "later\n", 6);

		answer_fini(&a);
		a = client_expect(&c[i], 200, pattern_bytes(), 7);
		answer_fini(&a);
		client_close(&c[i]);
	}
	rig_wait(replies, ARRAY_LEN(c));
	assert_int_equal(rig.aborts, 0);
}

static int set_up_one_loop(void **state)
{
	rig_defaults();
	rig.loop_count = 1;
	rig_start();
	return 0;
}

/* Nobody drives a connection while a callback of another one is on the stack: they share the loop's memory. */
static void test_a_handler_answers_another_connection(void **state)
{
	struct client waits = client_new(), c = client_new();
	struct answer a;

	for (int i = 1; i <= 50; i++) {
		client_sends(&waits, "GET /park HTTP/1.1\r\nHost: t\r\n\r\nGET /file?3000 HTTP/1.1\r\nHost: t\r\n\r\n");
		rig_wait(handling, i);
		client_sends(&c, "GET /unpark HTTP/1.1\r\nHost: t\r\n\r\nGET /file?4000 HTTP/1.1\r\nHost: t\r\n\r\n");
		a = client_expect(&c, 200, "did\n", 4);
		answer_fini(&a);
		a = client_expect(&c, 200, pattern_bytes(), 4000);
		answer_fini(&a);
		a = client_expect(&waits, 200, "unparked\n", 9);
		answer_fini(&a);
		a = client_expect(&waits, 200, pattern_bytes(), 3000);
		answer_fini(&a);
	}
	client_close(&waits);
	client_close(&c);
}

static void test_a_handler_cannot_break_the_framing(void **state)
{
	struct answer a = ask("GET /odd HTTP/1.1\r\nHost: t\r\n\r\n");

	assert_int_equal(a.status, 200);
	assert_true(a.complete);
	assert_memory_equal(a.body.p, "ok", 2);
	assert_field(&a, "Content-Length", "2");
	assert_field(&a, "Transfer-Encoding", NULL);
	assert_field(&a, "Connection", NULL);
	assert_field(&a, "Keep-Alive", NULL);
	assert_field(&a, "Upgrade", NULL);
	assert_field(&a, "Trailer", NULL);
	assert_field(&a, "X-Injected", NULL);
	assert_field(&a, "X-Split", "aX-Injected: bc");
	assert_field(&a, "X Space", NULL);
	assert_field(&a, "X-Good", "\xc3\xa4\tb");
	answer_fini(&a);
}

static void test_no_memory_for_the_body_is_a_503(void **state)
{
	struct client c = client_new();
	struct answer a;

	client_get(&c, "/nobody");
	a = client_expect(&c, 503, "", 0);
	assert_field(&a, "Retry-After", "1");
	answer_fini(&a);
	assert_false(client_is_closed(&c));
	client_close(&c);
}

static void test_a_client_that_ends_its_side_is_still_served(void **state)
{
	struct client c = client_new();
	struct answer a;

	client_get(&c, "/async");
	client_get(&c, "/file?3000000");
	assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
	a = client_expect(&c, 200, "later\n", 6);
	answer_fini(&a);
	a = client_expect(&c, 200, pattern_bytes(), 3000000);
	answer_fini(&a);
	assert_false(client_is_closed(&c));
	client_close(&c);
}

static void never_due(struct loop_timer *t)
{
	fail();
}

/* Of connections, listeners and log: what else there is in a loop's heap is moved past them, in memory that is gone. */
static void test_no_timer_outlives_the_server(void **state)
{
	struct client c = client_new(), idle = client_new();
	struct loop_timer others[2] = {{.fn = never_due}, {.fn = never_due}};
	struct answer a;

	client_get(&idle, "/mem?5");
	a = client_expect(&idle, 200, pattern_bytes(), 5);
	answer_fini(&a);
	client_get(&c, "/never");
	rig_wait(handling, 1);
	loop_stop(rig.loops[0]);
	pthread_join(rig.threads[0], NULL);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_int_equal(loop_timer_set(rig.loops[0], &others[i], 0), 0);
	http_server_free(&rig.server);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		loop_timer_cancel(rig.loops[0], &others[i]);
	loop_free(&rig.loops[0]);
	client_close(&c);
	client_close(&idle);
}

static int set_up_with_log(void **state)
{
	rig_defaults();
	rig.loop_count = 1;
	rig.access_log = true;
	rig_start();
	return 0;
}

#define SERVED(t) cmocka_unit_test_setup_teardown(t, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(test_bodies_of_memory_and_of_files),
		SERVED(test_a_range_says_where_it_is),
		SERVED(test_several_ranges_byte_for_byte),
		SERVED(test_answers_without_a_body),
		SERVED(test_statuses_that_have_no_body),
		SERVED(test_head_says_what_get_says),
		SERVED(test_http_1_0),
		SERVED(test_connection_close),
		SERVED(test_a_hundred_requests_in_one_write),
		SERVED(test_five_thousand_requests_before_the_first_answer_is_read),
		SERVED(test_large_pipelined_bodies_do_not_mix),
		SERVED(test_a_request_that_comes_byte_by_byte),
		SERVED(test_replies_from_another_thread),
		cmocka_unit_test_setup_teardown(
			test_a_handler_answers_another_connection, set_up_one_loop, rig_tear_down),
		SERVED(test_a_handler_cannot_break_the_framing),
		SERVED(test_no_memory_for_the_body_is_a_503),
		SERVED(test_a_client_that_ends_its_side_is_still_served),
		cmocka_unit_test_setup_teardown(test_no_timer_outlives_the_server, set_up_with_log, rig_tear_down),
	};

	return RIG_RUN();
}
