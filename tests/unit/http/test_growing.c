/* Bodies that grow, end and fail while they are sent, by another thread; and clients that go away meanwhile. */
#include "client.h"

#include <sys/ioctl.h>

/* A row is run with a body that is read and with one that sendfile sends. */
static const bool ways[] = {false, true};

static void get_script(struct client *c, int minor, const char *fields)
{
	client_sendf(c, "GET /script HTTP/1.%d\r\nHost: t\r\n%s\r\n", minor, fields);
}

static void start_over(int64_t size, int64_t limit, bool by_sendfile)
{
	static const struct script none;

	script_wait_closed();
	pthread_mutex_lock(&rig.script.lock);
	rig.script.failed = none.failed;
	rig.script.ended = none.ended;
	rig.script.read_fails = none.read_fails;
	rig.script.sleeps = none.sleeps;
	rig.script.sent = none.sent;
	pthread_mutex_unlock(&rig.script.lock);
	script_begin(size, limit, by_sendfile);
}

static int64_t sent(void)
{
	int64_t n;

	pthread_mutex_lock(&rig.script.lock);
	n = rig.script.sent;
	pthread_mutex_unlock(&rig.script.lock);
	return n;
}

static void test_the_head_comes_before_the_data(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct client c = client_new();
		struct answer a;

		start_over(100000, 0, ways[i]);
		get_script(&c, 1, "");
		script_wait(sleeps, 1);
		assert_memory_equal(client_take(&c, 17), "HTTP/1.1 200 OK\r\n", 17);
		c.at -= 17;
		script_grow(10);
		script_wait(sleeps, 2);
		script_grow(99999);
		script_wait(sleeps, 3);
		assert_in_range(sent(), 0, 99999);
		script_grow(100000);
		a = client_expect(&c, 200, pattern_bytes(), 100000);
		assert_field(&a, "Content-Length", "100000");
		answer_fini(&a);
		/* The connection is in step. */
		client_get(&c, "/mem?3");
		a = client_expect(&c, 200, pattern_bytes(), 3);
		answer_fini(&a);
		client_close(&c);
	}
}

static void test_unknown_size_in_chunks(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct client c = client_new();
		struct answer a;

		start_over(-1, 0, ways[i]);
		get_script(&c, 1, "Range: bytes=0-1\r\n"); /* of what size nobody knows: ignored */
		script_wait(sleeps, 1);
		script_grow(5);
		script_wait(sleeps, 2);
		script_grow(6);
		script_wait(sleeps, 3);
		script_grow(1000000); /* more than one chunk, and more than the socket holds of it */
		script_end();
		a = client_expect(&c, 200, pattern_bytes(), 1000000);
		assert_field(&a, "Content-Length", NULL);
		assert_field(&a, "Transfer-Encoding", "chunked");
		answer_fini(&a);
		client_get(&c, "/mem?3");
		a = client_expect(&c, 200, pattern_bytes(), 3);
		answer_fini(&a);
		client_close(&c);
	}
}

static void test_unknown_size_that_is_nothing(void **state)
{
	struct client c = client_new();
	struct answer a;

	start_over(-1, 0, false);
	get_script(&c, 1, "");
	script_wait(sleeps, 1);
	script_end();
	a = client_expect(&c, 200, "", 0);
	assert_field(&a, "Transfer-Encoding", "chunked");
	answer_fini(&a);
	client_close(&c);
}

static void test_unknown_size_for_http_1_0_ends_with_the_connection(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct client c = client_new();
		struct answer a;

		start_over(-1, 100, ways[i]);
		get_script(&c, 0, "Connection: keep-alive\r\n");
		script_wait(sleeps, 1);
		script_grow(500000);
		script_end();
		a = client_expect(&c, 200, pattern_bytes(), 500000);
		assert_field(&a, "Connection", "close");
		assert_field(&a, "Transfer-Encoding", NULL);
		answer_fini(&a);
		client_close(&c);
	}
}

static void test_a_range_far_ahead_waits_for_nothing_before_it(void **state)
{
	struct client c = client_new();
	struct answer a;

	start_over(1000000, 0, true);
	get_script(&c, 1, "Range: bytes=900000-900009\r\n");
	script_wait(sleeps, 1);
	script_grow(900000);
	script_wait(sleeps, 2);
	script_grow(900010);
	a = client_expect(&c, 206, pattern_bytes() + 900000, 10);
	answer_fini(&a);
	client_close(&c);
}

static void test_several_ranges_of_a_growing_body(void **state)
{
	struct client c = client_new();
	struct answer a;

	start_over(1000, 0, false);
	/* Backward, too: what is still to be sent must not be told to be gone. */
	get_script(&c, 1, "Range: bytes=0-9,500-509,100-109\r\n");
	script_wait(sleeps, 1);
	script_grow(10);
	script_wait(sleeps, 2);
	script_grow(505);
	script_wait(sleeps, 3);
	script_grow(1000);
	a = client_read(&c, false);
	assert_int_equal(a.status, 206);
	assert_true(a.complete);
	assert_non_null(memmem(a.body.p, a.body.n, pattern_bytes() + 500, 10));
	assert_non_null(memmem(a.body.p, a.body.n, pattern_bytes() + 100, 10));
	answer_fini(&a);
	client_close(&c);
}

/* What the kernel has taken but the client has not may have to be sent again. */
static void test_what_is_told_to_be_gone_was_acknowledged(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		int64_t bytes = metric_get(M_http_bytes_sent), told;
		struct client c = client_new_slow();
		int there = 0;

		start_over(PATTERN_N, PATTERN_N - 1, ways[i]);
		get_script(&c, 1, "");
		/* The client reads nothing: more is handed to the kernel than it has room for. */
		wait_metric_past(M_http_bytes_sent, bytes, 128 * KiB);
		told = sent();
		assert_int_equal(ioctl(c.fd, FIONREAD, &there), 0);
		assert_in_range(told, 0, there);
		(void)client_take(&c, PATTERN_N - 1);
		script_wait(sleeps, 1);
		assert_true(sent() > PATTERN_N / 2);
		/* It has read all that there was, so that is acknowledged. */
		script_grow(PATTERN_N);
		(void)client_take(&c, 1);
		script_wait_closed();
		client_close(&c);
	}
}

/* ---- failures ---- */

static const struct {
	const char *name;
	int minor;
	int64_t size, before, at; /* promised; there when asked; and when it fails */
	bool reset;               /* how a client knows that it is not whole */
} failures[] = {
	{"sized", 1, 100000, 1000, 1000, false},
	{"sized, after its head", 1, 100000, 0, 0, false},
	{"sized, HTTP/1.0", 0, 100000, 1000, 50000, false},
	{"chunked", 1, -1, 1000, 1000, false},
	{"chunked, after its head", 1, -1, 0, 0, false},
	{"chunked, much", 1, -1, 1000, 200000, false},
	{"until the close", 0, -1, 1000, 1000, true},
};

static void test_a_body_that_fails_is_never_whole(void **state)
{
	for (size_t i = 0; i < 2 * ARRAY_LEN(failures); i++) {
		size_t row = i / 2;
		int64_t shorts = metric_get(M_content_short_closes);
		struct client c = client_new();
		struct answer a;

		start_over(failures[row].size, failures[row].before, ways[i % 2]);
		get_script(&c, failures[row].minor, "");
		script_wait(sleeps, 1);
		if (failures[row].at > failures[row].before) {
			script_grow(failures[row].at);
			script_wait(sleeps, 2);
		}
		script_fail(-ERR_DIGEST);
		a = client_read(&c, false);
		if (a.complete)
			fail_msg("%s: taken for complete", failures[row].name);
		/* A reset may overtake bytes that were not read yet. */
		if (!failures[row].reset)
			assert_pattern(&a.body, 0, failures[row].at);
		assert_int_equal(client_is_closed(&c), failures[row].reset);
		answer_fini(&a);
		client_close(&c);
		script_wait_closed();
		assert_int_equal(metric_get(M_content_short_closes) - shorts, 1);
	}
}

static void test_a_body_that_fails_before_the_head_left_is_a_502(void **state)
{
	static const int64_t sizes[] = {100000, -1};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		int64_t fives = metric_get(M_http_responses_5xx), twos = metric_get(M_http_responses_2xx);
		struct client c = client_new();
		struct answer a;

		start_over(sizes[i], 0, false);
		script_fail(-ERR_CONNECT);
		get_script(&c, 1, "");
		a = client_expect(&c, 502, "502: Bad Gateway\n", 17);
		assert_field(&a, "ETag", NULL);
		answer_fini(&a);
		start_over(10, 10, false);
		get_script(&c, 1, "");
		a = client_expect(&c, 200, pattern_bytes(), 10);
		answer_fini(&a);
		client_close(&c);
		assert_int_equal(metric_get(M_http_responses_5xx) - fives, 1);
		assert_int_equal(metric_get(M_http_responses_2xx) - twos, 1);
	}
}

static void test_a_body_that_cannot_be_read(void **state)
{
	struct client c = client_new();
	struct answer a;

	/* Nothing is out yet: 500. */
	start_over(1000, 1000, false);
	pthread_mutex_lock(&rig.script.lock);
	rig.script.read_fails = true;
	pthread_mutex_unlock(&rig.script.lock);
	get_script(&c, 1, "");
	a = client_expect(&c, 500, "500: Internal Server Error\n", 27);
	answer_fini(&a);
	/* The head is out: short. */
	start_over(1000, 0, false);
	get_script(&c, 1, "");
	script_wait(sleeps, 1);
	pthread_mutex_lock(&rig.script.lock);
	rig.script.read_fails = true;
	pthread_mutex_unlock(&rig.script.lock);
	script_grow(1000);
	a = client_read(&c, false);
	assert_false(a.complete);
	answer_fini(&a);
	client_close(&c);
}

static void test_a_body_that_is_shorter_than_promised(void **state)
{
	struct client c = client_new();
	struct answer a;

	start_over(1000, 400, false);
	get_script(&c, 1, "");
	script_wait(sleeps, 1);
	script_end(); /* its size is 400 now */
	a = client_read(&c, false);
	assert_false(a.complete);
	assert_pattern(&a.body, 0, 400);
	answer_fini(&a);
	client_close(&c);
}

static void test_a_file_that_was_cut_off(void **state)
{
	struct client c = client_new();
	struct answer a;

	/* The pattern's file ends at PATTERN_N, whatever the body says. */
	start_over(PATTERN_N + 100000, PATTERN_N + 100000, true);
	client_sendf(&c, "GET /script HTTP/1.1\r\nHost: t\r\nRange: bytes=%d-\r\n\r\n", PATTERN_N - 100000);
	a = client_read(&c, false);
	assert_int_equal(a.status, 206);
	assert_false(a.complete);
	assert_pattern(&a.body, PATTERN_N - 100000, 100000);
	answer_fini(&a);
	client_close(&c);
}

/* ---- clients that go away ---- */

static void test_a_client_that_goes_away_while_the_body_sleeps(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct client c = client_new();

		start_over(100000, 1000, ways[i]);
		get_script(&c, 1, "");
		script_wait(sleeps, 1);
		client_reset(&c);
		script_wait_closed();
		script_grow(2000); /* nobody is woken */
	}
}

static void test_a_client_that_goes_away_while_it_is_sent_to(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		struct client c = client_new_slow();

		start_over(PATTERN_N, PATTERN_N, ways[i]);
		get_script(&c, 1, "");
		(void)client_take(&c, 1000);
		client_close(&c); /* with bytes unread: a reset */
		script_wait_closed();
	}
}

static void test_a_client_that_goes_away_is_told_to_the_handler_once(void **state)
{
	struct client c = client_new(), later = client_new();

	client_get(&c, "/never");
	rig_wait(handling, 1);
	client_reset(&c);
	rig_wait(aborts, 1);
	/* The same while another thread is about to answer. */
	rig_hold(true);
	client_get(&later, "/async");
	client_get(&later, "/mem?5");
	rig_wait(handling, 2);
	client_reset(&later);
	rig_wait(aborts, 2);
	rig_hold(false);
	rig_wait(replies, 1);
	rig_drain(WAIT_S * 1000);
	assert_int_equal(rig.aborts, 2);
}

static int set_up_impatient(void **state)
{
	rig_defaults();
	rig.limits.idle_ms = 50;
	rig_start();
	return 0;
}

/* FIN alone may come from a client that still reads; but one that reads nothing for long is taken for gone. */
static void test_a_client_that_ends_its_side_does_not_keep_a_sleeper_for_ever(void **state)
{
	struct client c = client_new();

	client_get(&c, "/never");
	rig_wait(handling, 1);
	assert_int_equal(rig.aborts, 0);
	assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
	rig_wait(aborts, 1);
	assert_false(client_is_closed(&c));
	client_close(&c);

	c = client_new();
	start_over(100000, 1000, true);
	get_script(&c, 1, "");
	script_wait(sleeps, 1);
	assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
	script_wait_closed();
	client_close(&c);
}

/* ---- clients that read slowly ---- */

static int set_up_one_loop(void **state)
{
	rig_defaults();
	rig.loop_count = 1;
	rig_start();
	return 0;
}

/* A client that reads nothing costs the kernel little, whatever it asked for. */
static void test_little_waits_unsent(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		int64_t bytes = metric_get(M_http_bytes_sent);
		struct client slow = client_new_slow(), other = client_new();

		start_over(PATTERN_N, PATTERN_N, ways[i]);
		get_script(&slow, 1, "");
		wait_metric_past(M_http_bytes_sent, bytes, 64 * KiB);
		/* The loop takes turns: meanwhile it has tried to send more of the other ten times. */
		for (int k = 0; k < 20; k++) {
			struct answer a;

			client_get(&other, "/mem?3");
			a = client_expect(&other, 200, pattern_bytes(), 3);
			answer_fini(&a);
		}
		assert_in_range(metric_get(M_http_bytes_sent) - bytes, 64 * KiB, MiB);
		client_close(&slow);
		client_close(&other);
		script_wait_closed();
	}
}

/* ---- many at once ---- */

#define READERS 12

static void *grow_in_steps(void *arg)
{
	unsigned seed = 1;

	for (int64_t n = 0; n < 2000000; n += 1 + (int64_t)(rand_r(&seed) % 5000))
		script_grow(n);
	script_grow(2000000);
	script_end();
	return NULL;
}

static void test_a_dozen_readers_while_it_grows(void **state)
{
	struct client c[READERS];
	pthread_t grower;

	start_over(-1, 0, true);
	for (int i = 0; i < READERS; i++) {
		c[i] = i % 3 == 0 ? client_new_slow() : client_new();
		get_script(&c[i], i % 4 == 0 ? 0 : 1, "");
		get_script(&c[i], 1, ""); /* joins when the first is done: all is there then */
	}
	assert_int_equal(pthread_create(&grower, NULL, grow_in_steps, NULL), 0);
	for (int i = 0; i < READERS; i++) {
		struct answer a = client_expect(&c[i], 200, pattern_bytes(), 2000000);

		answer_fini(&a);
		if (i % 4 != 0) {
			a = client_expect(&c[i], 200, pattern_bytes(), 2000000);
			answer_fini(&a);
		}
		client_close(&c[i]);
	}
	pthread_join(grower, NULL);
}

static void test_readers_that_leave_while_it_grows(void **state)
{
	pthread_t grower;

	start_over(2000000, 0, true);
	assert_int_equal(pthread_create(&grower, NULL, grow_in_steps, NULL), 0);
	for (int i = 0; i < 200; i++) {
		struct client c = client_new();

		get_script(&c, 1, "");
		if (i % 3 > 0)
			(void)client_take(&c, (size_t)i);
		if (i % 2 == 0)
			client_reset(&c);
		else
			client_close(&c);
	}
	pthread_join(grower, NULL);
	script_wait_closed();
}

#define SERVED(t) cmocka_unit_test_setup_teardown(t, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(test_the_head_comes_before_the_data),
		SERVED(test_unknown_size_in_chunks),
		SERVED(test_unknown_size_that_is_nothing),
		SERVED(test_unknown_size_for_http_1_0_ends_with_the_connection),
		SERVED(test_a_range_far_ahead_waits_for_nothing_before_it),
		SERVED(test_several_ranges_of_a_growing_body),
		SERVED(test_what_is_told_to_be_gone_was_acknowledged),
		SERVED(test_a_body_that_fails_is_never_whole),
		SERVED(test_a_body_that_fails_before_the_head_left_is_a_502),
		SERVED(test_a_body_that_cannot_be_read),
		SERVED(test_a_body_that_is_shorter_than_promised),
		SERVED(test_a_file_that_was_cut_off),
		SERVED(test_a_client_that_goes_away_while_the_body_sleeps),
		SERVED(test_a_client_that_goes_away_while_it_is_sent_to),
		SERVED(test_a_client_that_goes_away_is_told_to_the_handler_once),
		cmocka_unit_test_setup_teardown(test_a_client_that_ends_its_side_does_not_keep_a_sleeper_for_ever,
			set_up_impatient, rig_tear_down),
		cmocka_unit_test_setup_teardown(test_little_waits_unsent, set_up_one_loop, rig_tear_down),
		SERVED(test_a_dozen_readers_while_it_grows),
		SERVED(test_readers_that_leave_while_it_grows),
	};

	/* Its time-out is too short for a handshake on a busy machine. */
	return RIG_RUN("test_a_client_that_ends_its_side_does_not_keep_a_sleeper_for_ever");
}
