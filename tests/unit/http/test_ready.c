/* Answers made ready: the same bytes as any other answer, whatever the client does with its socket. */
#include "client.h"

#include "base/clock.h"

#include <time.h>

static void wait_released(void)
{
	const struct timespec moment = {.tv_nsec = NS_PER_MS};
	int64_t until = clock_mono_ns() + WAIT_S * NS_PER_S;

	while (atomic_load(&rig.ready_held) != 0 && clock_mono_ns() < until)
		(void)nanosleep(&moment, NULL); /* nobody signals it */
	assert_int_equal(atomic_load(&rig.ready_held), 0);
}

/* What the server says to it, all of it, without its Date. */
static char *raw_answer(const char *request)
{
	struct client c = client_new();
	struct buf all = BUF_INIT(8 * MiB);
	char part[4096], *date, *text;
	ssize_t n;
	size_t size;

	client_sends(&c, request);
	shutdown(c.fd, SHUT_WR);
	while ((n = client_recv(&c, part, sizeof(part))) > 0)
		assert_int_equal(buf_add(&all, part, (size_t)n), 0);
	client_close(&c);
	text = buf_take(&all, &size);
	assert_non_null(text);
	date = strstr(text, "\r\nDate: ");
	assert_non_null(date);
	memset(date + 8, 'x', 29);
	return text;
}

static void test_the_same_bytes_as_any_other_answer(void **state)
{
	static const char *const rest[] = {
		"?0 HTTP/1.1\r\nHost: t\r\n\r\n",
		"?1 HTTP/1.1\r\nHost: t\r\n\r\n",
		"?4096 HTTP/1.1\r\nHost: t\r\nUser-Agent: x\r\n\r\n",
		"?20000 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
		"?20000 HTTP/1.0\r\n\r\n",
		"?20000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"?20000 HTTP/1.1\r\nHost: t\r\nRange: bytes=5-6\r\n\r\n",
		"?20000 HTTP/1.1\r\nHost: t\r\nrANGE: bytes=30000-\r\n\r\n",
		"?20000 HTTP/1.1\r\nHost: t\r\nIf-None-Match: " RIG_ETAG "\r\n\r\n",
		"?20000 HTTP/1.1\r\nHost: t\r\nif-modified-since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
		"?20000 HTTP/1.1\r\nHost: t\r\nIf-Match: \"other\"\r\n\r\n",
	};
	static const char *const methods[] = {"GET", "HEAD"};
	static const char *const kinds[][2] = {{"/mem", "/ready"}, {"/file", "/readyfile"}};

	for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
		for (size_t m = 0; m < ARRAY_LEN(methods); m++)
			for (size_t i = 0; i < ARRAY_LEN(rest); i++) {
				char *texts[2], request[512];

				for (int j = 0; j < 2; j++) {
					(void)snprintf(
						request, sizeof(request), "%s %s%s", methods[m], kinds[k][j], rest[i]);
					texts[j] = raw_answer(request);
				}
				assert_string_equal(texts[0], texts[1]);
				free(texts[0]);
				free(texts[1]);
			}
	wait_released();
}

/* More than a socket takes, to clients that read late: head and body go on where they stopped, while others are sent the same. */
static void test_what_the_socket_does_not_take_follows(void **state)
{
	enum { CLIENTS = 6 };
	static const char *const targets[] = {"/ready?3000000", "/readyfile?3000000"};
	struct client c[CLIENTS];

	for (int i = 0; i < CLIENTS; i++) {
		c[i] = client_new_slow();
		for (int k = 0; k < 2; k++)
			client_get(&c[i], targets[(i + k) % 2]);
	}
	for (int k = 0; k < 2; k++)
		for (int i = 0; i < CLIENTS; i++) {
			struct answer a = client_expect(&c[i], 200, pattern_bytes(), 3000000);

			assert_true(a.complete);
			assert_int_equal(strlen(answer_field(&a, "Date")), 29);
			answer_fini(&a);
		}
	wait_released();
	for (int i = 0; i < CLIENTS; i++)
		client_close(&c[i]);
}

/* Each answer begins in a socket that the one before has filled to any byte of it. */
static void test_pipelined_ones_stop_anywhere(void **state)
{
	enum { MANY = 300 };
	struct client c = client_new_slow();

	for (int i = 0; i < MANY; i++)
		client_get(&c, i % 3 == 0 ? "/mem?7001" : "/ready?9973");
	for (int i = 0; i < MANY; i++) {
		struct answer a = client_expect(&c, 200, pattern_bytes(), i % 3 == 0 ? 7001 : 9973);

		assert_int_equal(strlen(answer_field(&a, "Date")), 29);
		answer_fini(&a);
	}
	client_close(&c);
	wait_released();
}

static void test_released_when_the_client_goes(void **state)
{
	struct client c = client_new_slow();

	client_get(&c, "/ready?3000000");
	(void)client_take(&c, 1000);
	assert_int_equal(atomic_load(&rig.ready_held), 1);
	client_reset(&c);
	wait_released();
}

/* The head stays, its Date does not. */
static void test_the_date_goes_on(void **state)
{
	struct client c = client_new();
	struct answer a;
	int64_t first, later, asked;

	client_get(&c, "/ready?10");
	a = client_expect(&c, 200, pattern_bytes(), 10);
	assert_int_equal(clock_http_parse(slice_str(answer_field(&a, "Date")), &first), 0);
	answer_fini(&a);
	do {
		asked = clock_wall_us() / US_PER_S;
		client_get(&c, "/ready?10");
		a = client_expect(&c, 200, pattern_bytes(), 10);
		assert_int_equal(clock_http_parse(slice_str(answer_field(&a, "Date")), &later), 0);
		answer_fini(&a);
		assert_true(later >= asked - 1); /* of the turn of the loop */
	} while (later < first + 2);
	client_close(&c);
}

#define SERVED(t) cmocka_unit_test_setup_teardown(t, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(test_the_same_bytes_as_any_other_answer),
		SERVED(test_what_the_socket_does_not_take_follows),
		SERVED(test_pipelined_ones_stop_anywhere),
		SERVED(test_released_when_the_client_goes),
		SERVED(test_the_date_goes_on),
	};

	return RIG_RUN();
}
