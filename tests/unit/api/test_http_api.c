/* The API behind the real HTTP server: bodies in, answers out, clients that leave, and a pool that is full. */
#include "fixture.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "http/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S 20

static struct {
	struct loop *loop;
	struct http_server *server;
	pthread_t thread;
	struct fixture *f;
} world;

static void *run(void *arg)
{
	loop_run(arg);
	return NULL;
}

static int set_up(void **state)
{
	static const char *const listen[] = {"127.0.0.1:0", NULL};
	struct err err = ERR_INIT;
	struct http_server_opts opts = {.loops = &world.loop,
		.loop_count = 1,
		.listen = listen,
		.limits = {.max_line = 16384,
			.max_headers = 100,
			.max_header_bytes = 65536,
			.max_connections = 100,
			.idle_ms = 60000,
			.header_ms = 60000,
			.body_ms = 60000,
			.send_ms = 60000},
		.handler = api_http_handler,
		.server_name = "test"};

	if (fixture_setup_pool(state) != 0)
		return -1;
	world.f = *state;
	world.f->settings.server_max_body = 1000;
	opts.arg = world.f->api;
	assert_int_equal(loop_new("api", &world.loop, &err), 0);
	assert_int_equal(http_server_new(&opts, &world.server, &err), 0);
	assert_int_equal(pthread_create(&world.thread, NULL, run, world.loop), 0);
	http_server_start(world.server);
	return 0;
}

static int tear_down(void **state)
{
	http_server_drain(world.server, WAIT_S * 1000);
	loop_stop(world.loop);
	pthread_join(world.thread, NULL);
	http_server_free(&world.server);
	/* jobs whose clients are gone come back to the loop */
	pool_free(&world.f->pool);
	loop_stop(world.loop);
	loop_run(world.loop);
	loop_free(&world.loop);
	return fixture_teardown(state);
}

static int dial(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)http_server_port(world.server, 0)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval limit = {.tv_sec = WAIT_S};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* All until the server closes. */
static const char *hear(int fd)
{
	static char text[65536];
	size_t n = 0;
	ssize_t got;

	while ((got = recv(fd, text + n, sizeof(text) - 1 - n, 0)) > 0)
		n += (size_t)got;
	assert_true(got == 0);
	text[n] = '\0';
	close(fd);
	return text;
}

/* What is there, once something is. */
static const char *hear_some(int fd)
{
	static char text[4096];
	ssize_t got = recv(fd, text, sizeof(text) - 1, 0);

	assert_true(got > 0);
	text[got] = '\0';
	return text;
}

#define LOGIN "Authorization: Basic YWRtaW46czNjcmV0LW9mLXRlc3Rz\r\nConnection: close\r\nHost: h\r\n"

static void assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no \"%s\" in \"%s\"", part, text);
}

static void wait_until(const char *what, bool (*fn)(void))
{
	int64_t end = clock_mono_ns() + WAIT_S * NS_PER_S;

	while (!fn()) {
		if (clock_mono_ns() > end)
			fail_msg("waited in vain for %s", what);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

/* ---- a job that keeps the pool's only thread ---- */

static struct {
	struct pool_job job;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool open, running;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void hold(struct pool_job *j)
{
	pthread_mutex_lock(&gate.lock);
	gate.running = true;
	pthread_cond_broadcast(&gate.changed);
	while (!gate.open)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static void gate_close(void)
{
	gate.open = gate.running = false;
	gate.job = (struct pool_job){.fn = hold};
	assert_int_equal(pool_submit(world.f->pool, &gate.job), 0);
	pthread_mutex_lock(&gate.lock);
	while (!gate.running)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static void gate_open(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.open = true;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

static bool one_queued(void)
{
	return pool_queued(world.f->pool) == 1;
}

static bool two_queued(void)
{
	return pool_queued(world.f->pool) == 2;
}

static bool nobody_connected(void)
{
	return metric_get(M_http_connections_open) == 0;
}

/* ---- tests ---- */

static void test_requests_and_answers(void **state)
{
	static const struct {
		const char *request, *parts[5];
	} talks[] = {
		{"GET /pulp/api/v3/status/ HTTP/1.1\r\n" LOGIN "\r\n",
			{"HTTP/1.1 200 ", "Content-Type: application/json\r\n",
				"\r\nCorrelation-ID: ", "{\"versions\":["}},
		{"HEAD /pulp/api/v3/status/ HTTP/1.1\r\n" LOGIN "\r\n", {"HTTP/1.1 200 ", "Content-Length: "}},
		{"GET /pulp/api/v3/livez/ HTTP/1.1\r\n" LOGIN "\r\n", {"HTTP/1.1 200 ", "Content-Length: 0\r\n"}},
		{"GET /pulp/api/v3/status?a=b HTTP/1.1\r\n" LOGIN "\r\n",
			{"HTTP/1.1 301 ", "Location: /pulp/api/v3/status/?a=b\r\n"}},
		{"GET /pulp/api/v3/tasks/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
			{"HTTP/1.1 401 ", "WWW-Authenticate: Basic realm=\"api\"\r\n"}},
		{"PUT /pulp/api/v3/tasks/ HTTP/1.1\r\n" LOGIN "Content-Length: 0\r\n\r\n",
			{"HTTP/1.1 405 ", "Allow: GET, HEAD\r\n"}},
		{"POST /pulp/api/v3/remotes/file/file/ HTTP/1.1\r\n" LOGIN
		 "Correlation-ID: 0123456789abcdef0123456789abcdef\r\nContent-Type: "
		 "application/json\r\nContent-Length: 34\r\n\r\n"
		 "{\"name\":\"a\",\"url\":\"http://h/M%20\"}",
			{"HTTP/1.1 201 ", "Location: /pulp/api/v3/remotes/file/file/",
				"Correlation-ID: 0123456789abcdef0123456789abcdef\r\n", "\"name\":\"a\""}},
		{"POST /pulp/api/v3/remotes/file/file/ HTTP/1.1\r\n" LOGIN
		 "Transfer-Encoding: chunked\r\nContent-Type: "
		 "application/x-www-form-urlencoded\r\n\r\n5\r\nname=\r\n1\r\nb\r\n0\r\n\r\n",
			{"HTTP/1.1 400 ", "{\"url\":[\"This field is required.\"]}"}},
		{"POST /pulp/api/v3/remotes/file/file/ HTTP/1.1\r\n" LOGIN "Content-Length: 1001\r\n\r\n",
			{"HTTP/1.1 413 "}},
	};

	for (size_t i = 0; i < sizeof(talks) / sizeof(*talks); i++) {
		int fd = dial();
		const char *answer;

		say(fd, talks[i].request);
		answer = hear(fd);
		for (size_t k = 0; k < 5 && talks[i].parts[k] != NULL; k++)
			assert_has(answer, talks[i].parts[k]);
	}
}

/* Who leaves while the work waits: it is done, and nobody is answered. */
static void test_a_client_that_leaves(void **state)
{
	static const char create[] =
		"POST /pulp/api/v3/repositories/file/file/ HTTP/1.1\r\n" LOGIN "Content-Type: application/json\r\n"
		"Content-Length: 12\r\n\r\n{\"name\":\"x\"}";
	struct linger at_once = {.l_onoff = 1};
	int fd = dial();

	gate_close();
	say(fd, create);
	wait_until("the request in the pool's queue", one_queued);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	close(fd);
	wait_until("the end of the connection", nobody_connected);
	gate_open();
	fd = dial();
	say(fd, "GET /pulp/api/v3/repositories/file/file/?name=x HTTP/1.1\r\n" LOGIN "\r\n");
	assert_has(hear(fd), "\"count\":1");
}

static void test_a_full_pool_is_a_503(void **state)
{
	static const char ask_status[] = "GET /pulp/api/v3/status/ HTTP/1.1\r\n" LOGIN "\r\n";
	int waiting[2], third;
	const char *answer;

	gate_close();
	waiting[0] = dial();
	say(waiting[0], ask_status);
	wait_until("one request in the queue", one_queued);
	waiting[1] = dial();
	say(waiting[1], ask_status);
	wait_until("two requests in the queue", two_queued);
	third = dial();
	say(third, ask_status);
	answer = hear(third);
	assert_has(answer, "HTTP/1.1 503 ");
	assert_has(answer, "Retry-After: ");
	gate_open();
	assert_has(hear(waiting[0]), "HTTP/1.1 200 ");
	assert_has(hear(waiting[1]), "HTTP/1.1 200 ");
}

/* ---- forms with files: longer than what is collected (1,000 bytes here), and than a block ---- */

#define BIG (600 * 1024)
#define FORM_HEAD "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n"
#define FORM_TAIL "\r\n--b--\r\n"
#define POST_FORM(path) "POST " path " HTTP/1.1\r\n" LOGIN "Content-Type: multipart/form-data; boundary=b\r\n"

static void say_many(int fd, char c, size_t n)
{
	char text[4096];

	memset(text, c, sizeof(text));
	for (size_t at = 0; at < n; at += sizeof(text))
		assert_int_equal(send(fd, text, MIN(n - at, sizeof(text)), MSG_NOSIGNAL), MIN(n - at, sizeof(text)));
}

static void say_chunk(int fd, const char *text)
{
	char line[32];

	(void)snprintf(line, sizeof(line), "%zx\r\n", strlen(text));
	say(fd, line);
	say(fd, text);
	say(fd, "\r\n");
}

static void test_a_file_is_streamed(void **state)
{
	const char *answer;
	char line[64];
	int fd = dial();

	say(fd, POST_FORM("/pulp/api/v3/artifacts/"));
	(void)snprintf(line, sizeof(line), "Content-Length: %zu\r\n\r\n", strlen(FORM_HEAD FORM_TAIL) + BIG);
	say(fd, line);
	say(fd, FORM_HEAD);
	say_many(fd, 'x', BIG);
	say(fd, FORM_TAIL);
	answer = hear(fd);
	assert_has(answer, "HTTP/1.1 201 ");
	assert_has(answer, "\"size\":614400,");

	fd = dial();
	say(fd, POST_FORM("/pulp/api/v3/content/file/files/upload/") "Transfer-Encoding: chunked\r\n\r\n");
	say_chunk(fd, FORM_HEAD);
	(void)snprintf(line, sizeof(line), "%x\r\n", BIG);
	say(fd, line);
	say_many(fd, 'y', BIG);
	say(fd, "\r\n");
	say_chunk(fd, "\r\n--b\r\nContent-Disposition: form-data; name=relative_path\r\n\r\na");
	say_chunk(fd, FORM_TAIL);
	say(fd, "0\r\n\r\n");
	answer = hear(fd);
	assert_has(answer, "HTTP/1.1 201 ");
	assert_has(answer, "\"relative_path\":\"a\"");
}

static void test_forms_that_are_refused(void **state)
{
	static const struct {
		const char *request, *body, *parts[2];
	} talks[] = {
		/* before the body comes */
		{"POST /pulp/api/v3/artifacts/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: "
		 "multipart/form-data; "
		 "boundary=b\r\nContent-Length: 5\r\n\r\n",
			"", {"HTTP/1.1 401 ", "credentials were not provided"}},
		{POST_FORM("/pulp/api/v3/nothing/") "Content-Length: 5\r\n\r\n", "", {"HTTP/1.1 404 "}},
		{"POST /pulp/api/v3/artifacts/ HTTP/1.1\r\n" LOGIN
		 "Content-Type: multipart/form-data\r\nContent-Length: 5\r\n\r\n",
			"", {"HTTP/1.1 400 ", "there is no boundary"}},
		/* after it */
		{POST_FORM("/pulp/api/v3/artifacts/") "Content-Length: 5\r\n\r\n", "--b\r\n",
			{"HTTP/1.1 400 ", "Multipart form parse error"}},
		{POST_FORM("/pulp/api/v3/artifacts/") "Content-Length: 5\r\n\r\n", "--b--",
			{"HTTP/1.1 400 ", "{\"file\":[\"This field is required.\"]}"}},
		{POST_FORM("/pulp/api/v3/status/") "Content-Length: 5\r\n\r\n", "", {"HTTP/1.1 405 "}},
	};
	int fd;

	for (size_t i = 0; i < sizeof(talks) / sizeof(*talks); i++) {
		const char *answer;

		fd = dial();
		say(fd, talks[i].request);
		say(fd, talks[i].body);
		answer = hear(fd);
		for (size_t k = 0; k < 2 && talks[i].parts[k] != NULL; k++)
			assert_has(answer, talks[i].parts[k]);
	}
	/* texts are kept in memory, so they are bounded */
	fd = dial();
	say(fd, POST_FORM("/pulp/api/v3/artifacts/") "Transfer-Encoding: chunked\r\n\r\n600\r\n"
						     "--b\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\n");
	say_many(fd, 'x', 0x600 - strlen("--b\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\n"));
	say(fd, "\r\n0\r\n\r\n");
	assert_has(hear(fd), "its texts are too large");
}

/* Who leaves in the middle of a file leaves nothing behind: neither a descriptor nor bytes (the fixture looks for leaks). */
static void test_an_upload_that_breaks_off(void **state)
{
	struct linger at_once = {.l_onoff = 1};
	int fd = dial();

	say(fd, POST_FORM("/pulp/api/v3/artifacts/") "Content-Length: 10000000\r\n\r\n");
	say(fd, FORM_HEAD);
	say_many(fd, 'x', BIG);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	close(fd);
	wait_until("the end of the connection", nobody_connected);
	fd = dial();
	say(fd, "GET /pulp/api/v3/artifacts/ HTTP/1.1\r\n" LOGIN "\r\n");
	assert_has(hear(fd), "\"count\":0");
}

/* The pool is full while a body is being read: the request is given up, and the server goes on. */
static void test_a_full_pool_in_the_middle_of_a_form(void **state)
{
	static const char ask_status[] = "GET /pulp/api/v3/status/ HTTP/1.1\r\n" LOGIN "\r\n";
	int fd = dial(), waiting[2];

	say(fd, POST_FORM("/pulp/api/v3/artifacts/") "Content-Length: 100\r\nExpect: 100-continue\r\n\r\n");
	/* what asks for the body is through the pool's first job */
	assert_has(hear_some(fd), "HTTP/1.1 100 ");
	gate_close();
	waiting[0] = dial();
	say(waiting[0], ask_status);
	wait_until("one request in the queue", one_queued);
	waiting[1] = dial();
	say(waiting[1], ask_status);
	wait_until("two requests in the queue", two_queued);
	say_many(fd, 'x', 100);
	assert_has(hear(fd), "HTTP/1.1 503 ");
	gate_open();
	assert_has(hear(waiting[0]), "HTTP/1.1 200 ");
	assert_has(hear(waiting[1]), "HTTP/1.1 200 ");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_requests_and_answers),
		TEST(test_a_client_that_leaves),
		TEST(test_a_full_pool_is_a_503),
		TEST(test_a_file_is_streamed),
		TEST(test_forms_that_are_refused),
		TEST(test_an_upload_that_breaks_off),
		TEST(test_a_full_pool_in_the_middle_of_a_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
