/* What is repeated, what is not, and when. */
#include "harness.h"

#include "base/fsutil.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* The n-th answer to the n-th request, the last one for all that follow; "" closes the connection. */
struct script {
	const char *answers[5];
	struct env env;
};

static void serve(struct peer_conn *c, const struct peer_req *req, void *arg)
{
	struct script *s = arg;
	int n = 0;

	while (n + 1 < req->number && s->answers[n + 1] != NULL)
		n++;
	if (s->answers[n][0] == '!') { /* then closed */
		peer_send(c, "%s", s->answers[n] + 1);
		peer_close(c);
	} else {
		peer_send(c, "%s", s->answers[n]);
	}
}

static int setup(void **state)
{
	struct script *s = calloc(1, sizeof(*s));

	env_open(&s->env, serve, s, NULL);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct script *s = *state;

	env_close(&s->env);
	free(s);
	return 0;
}

static void test_what_is_repeated(void **state)
{
	static const struct {
		const char *answers[4];
		int max_retries;
		int rc;
		int status; /* of the final answer; 0: there is none */
		int requests;
	} cases[] = {
		{{"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", OK}, 1, 0, 200, 2},
		{{"HTTP/1.1 429 Slow Down\r\nContent-Length: 0\r\n\r\n", OK}, 1, 0, 200, 2},
		{{"!HTTP/1.1 500 Error\r\n\r\n", OK}, 1, 0, 200, 2},
		{{"!", OK}, 1, 0, 200, 2},
		{{"!HTTP/1.1 20", OK}, 1, 0, 200, 2},
		{{"!", "HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n", OK}, 2, 0, 200, 3},
		/* The last failure is the answer. */
		{{"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"}, 2, 0, 503, 3},
		{{"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"}, 0, 0, 503, 1},
		{{"!"}, 1, -ERR_CONNECT, 0, 2},
		/* Asking again changes nothing. */
		{{"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", OK}, 3, 0, 404, 1},
		{{"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", OK}, 3, 0, 403, 1},
		{{"HTTP/1.1 501 What\r\nContent-Length: 0\r\n\r\n", OK}, 3, 0, 501, 1},
		{{"!nonsense\r\n\r\n", OK}, 3, -ERR_UPSTREAM, 0, 1},
		/* It asks for more patience than we have: the caller hears of it. */
		{{"HTTP/1.1 503 Busy\r\nRetry-After: 61\r\nContent-Length: 0\r\n\r\n", OK}, 3, 0, 503, 1},
		/* The caller has the head already. */
		{{"!HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", OK}, 3, -ERR_TRUNCATED, 200, 1},
		{{"!HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", OK}, 3, -ERR_TRUNCATED, 200, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct script s = {0};
		struct call c = {0};
		int64_t retries = metric_get(M_fetch_retries);

		memcpy(s.answers, cases[i].answers, sizeof(cases[i].answers));
		env_open(&s.env, serve, &s, NULL);
		s.env.remote.max_retries = cases[i].max_retries;
		call_run(&s.env, &c, "x");
		if (c.rc != cases[i].rc || c.status != cases[i].status ||
			peer_requests(s.env.peer) != cases[i].requests)
			fail_msg("case %zu: %s, status %d, %d requests: %s", i, err_name(c.rc), c.status,
				peer_requests(s.env.peer), c.err.msg);
		assert_int_equal(c.heads, cases[i].status != 0);
		if (c.rc == 0)
			assert_body(&c, c.status == 200 ? "ok" : "");
		assert_int_equal(metric_get(M_fetch_retries) - retries, cases[i].requests - 1);
		call_free(&c);
		env_close(&s.env);
	}
}

static void test_the_error_counts_attempts(void **state)
{
	struct script *s = *state;
	struct call c = {0};

	s->answers[0] = "!";
	s->env.remote.max_retries = 1;
	assert_int_equal(call_run(&s->env, &c, "x?token=secret"), -ERR_CONNECT);
	assert_non_null(strstr(c.err.msg, "/x?token=***: "));
	assert_non_null(strstr(c.err.msg, "(attempt 2)"));
	call_free(&c);
}

static void test_retry_after_is_waited_for(void **state)
{
	struct script *s = *state;
	struct call c = {0};
	int64_t from = clock_mono_ns();

	s->answers[0] = "HTTP/1.1 429 Slow Down\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
	s->answers[1] = OK;
	s->env.remote.max_retries = 1;
	assert_int_equal(call_run(&s->env, &c, "x"), 0);
	assert_int_equal(c.status, 200);
	assert_true(c.done_ns - from >= NS_PER_S);
	assert_true(c.done_ns - from < 10 * NS_PER_S);
	call_free(&c);
}

static void test_retry_after_is_told(void **state)
{
	struct script *s = *state;
	struct call c = {0};

	s->answers[0] = "HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n";
	s->env.remote.max_retries = 3;
	assert_int_equal(call_run(&s->env, &c, "x"), 0);
	assert_string_equal(c.retry_after, "3600");
	call_free(&c);
}

/* A kept connection that the server has closed meanwhile is no failure: the request goes out on a new one, without an
 * attempt being spent. */
static void test_a_stale_connection_costs_no_attempt(void **state)
{
	struct script *s = *state;
	struct call c = {0};

	s->answers[0] = "!" OK;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(call_run(&s->env, &c, "x"), 0);
		assert_body(&c, "ok");
		call_free(&c);
	}
}

/* While one waits for its next attempt, its place is free for others. */
static void test_waiting_takes_no_place(void **state)
{
	struct script *s = *state;
	struct call first = {0}, second = {0};

	s->answers[0] = "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
	s->answers[1] = OK;
	s->env.remote.concurrency = 1;
	s->env.remote.max_retries = 1;
	call_go(&s->env, &first, "first");
	call_go(&s->env, &second, "second");
	call_wait(&second);
	assert_false(first.done);
	call_wait(&first);
	assert_int_equal(first.rc, 0);
	assert_int_equal(second.rc, 0);
	call_free(&first);
	call_free(&second);
}

static void test_backoff(void **state)
{
	static const struct {
		int attempt;
		int64_t around_ms;
	} cases[] = {{1, 250}, {2, 500}, {3, 1000}, {7, 16000}};
	bool differs = false;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (int n = 0; n < 200; n++) {
			int64_t ms = fetch_backoff_ms(cases[i].attempt);

			assert_in_range(ms, cases[i].around_ms * 3 / 4, cases[i].around_ms * 5 / 4);
			differs |= ms != cases[i].around_ms;
		}
	}
	assert_true(differs);
	assert_in_range(fetch_backoff_ms(8), 22500, 30000);
	assert_in_range(fetch_backoff_ms(1000000), 22500, 30000);
	assert_in_range(fetch_backoff_ms(0), 187, 313);
}

static void test_statuses_that_may_pass(void **state)
{
	static const int yes[] = {408, 425, 429, 500, 502, 503, 504, 507, 520, 599};
	static const int no[] = {0, 100, 200, 206, 301, 304, 400, 401, 403, 404, 410, 416, 451, 501, 505, 600};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		assert_true(fetch_status_may_pass(yes[i]));
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		assert_false(fetch_status_may_pass(no[i]));
}

static void test_retry_after_values(void **state)
{
	char date[CLOCK_HTTP_MAX];
	int64_t s;

	(void)state;
	assert_int_equal(fetch_retry_after_s(SLICE("0")), 0);
	assert_int_equal(fetch_retry_after_s(SLICE(" 120 ")), 120);
	assert_int_equal(fetch_retry_after_s(SLICE("")), -1);
	assert_int_equal(fetch_retry_after_s(SLICE_NULL), -1);
	assert_int_equal(fetch_retry_after_s(SLICE("-1")), -1);
	assert_int_equal(fetch_retry_after_s(SLICE("soon")), -1);
	assert_int_equal(fetch_retry_after_s(SLICE("99999999999999999999")), -1);
	assert_int_equal(fetch_retry_after_s(SLICE("Sun, 06 Nov 1994 08:49:37 GMT")), 0);
	s = fetch_retry_after_s(slice_str(clock_http(clock_wall_us() / US_PER_S + 100, date)));
	assert_in_range(s, 98, 100);
}

#ifdef SLUICE_FAULTS
static void faults(const char *rules)
{
	/* The file is read again when it changes; a new one has a new inode. */
	assert_int_equal(fs_replace_file(getenv("SLUICE_FAULT_FILE"), rules, strlen(rules), 0600, NULL), 0);
}

static void test_faults(void **state)
{
	struct script *s = *state;
	struct call c = {0};

	s->answers[0] = OK;
	s->env.remote.max_retries = 1;
	faults("fetch.start@1=ECONNREFUSED");
	assert_int_equal(call_run(&s->env, &c, "x"), 0);
	assert_body(&c, "ok");
	call_free(&c);
	faults("fetch.start@*=ECONNREFUSED");
	assert_int_equal(call_run(&s->env, &c, "x"), -ERR_CONNECT);
	call_free(&c);
	faults("fetch.data@1=ECONNRESET");
	assert_int_equal(call_run(&s->env, &c, "x"), -ERR_TRUNCATED);
	assert_int_equal(c.status, 200);
	call_free(&c);
	faults("");
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		cmocka_unit_test(test_what_is_repeated),
		T(test_the_error_counts_attempts),
		T(test_retry_after_is_waited_for),
		T(test_retry_after_is_told),
		T(test_a_stale_connection_costs_no_attempt),
		T(test_waiting_takes_no_place),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_statuses_that_may_pass),
		cmocka_unit_test(test_retry_after_values),
#ifdef SLUICE_FAULTS
		T(test_faults),
#endif
	};
	int rc;
#ifdef SLUICE_FAULTS
	char path[] = "/tmp/sluice-faults-XXXXXX";
	int fd = mkstemp(path);

	fs_close(&fd);
	setenv("SLUICE_FAULT_FILE", path, 1);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
#else
	rc = cmocka_run_group_tests(tests, NULL, NULL);
#endif
	return rc;
}
