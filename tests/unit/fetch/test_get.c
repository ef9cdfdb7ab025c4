/* Plain requests: what the caller is told of responses, good and bad. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

/* Every target is a case of this server. */
static void serve(struct peer_conn *c, const struct peer_req *req, void *arg)
{
	const char *t = req->target;

	if (strcmp(t, "/hello") == 0) {
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"e\"\r\nContent-Type: text/plain\r\n"
			     "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-Own: one\r\nX-Own: two\r\n"
			     "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\r\nhello");
	} else if (strcmp(t, "/request") == 0) { /* what was asked is the answer */
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(req->head), req->head);
	} else if (strcmp(t, "/empty") == 0) {
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	} else if (strcmp(t, "/chunked") == 0) {
		peer_send(c, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
			     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
			     "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n");
	} else if (strcmp(t, "/until-close") == 0) {
		peer_send(c, "HTTP/1.1 200 OK\r\n\r\nhello");
		peer_close(c);
	} else if (strcmp(t, "/gzip") == 0) {
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope");
	} else if (strcmp(t, "/truncated") == 0) {
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
		peer_close(c);
	} else if (strcmp(t, "/truncated-at-once") == 0) {
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
		peer_close(c);
	} else if (strcmp(t, "/chunk-cut") == 0) {
		peer_send(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
		peer_close(c);
	} else if (strcmp(t, "/chunk-bad") == 0) {
		peer_send(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n");
	} else if (strcmp(t, "/head-cut") == 0) {
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Le");
		peer_close(c);
	} else if (strcmp(t, "/nothing") == 0) {
		peer_close(c);
	} else if (strcmp(t, "/garbage") == 0) {
		peer_send(c, "SSH-2.0-OpenSSH\r\n\r\n");
		peer_close(c);
	} else if (strcmp(t, "/conflict") == 0) {
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello");
	} else if (strcmp(t, "/long-head") == 0) {
		peer_send(c, "HTTP/1.1 200 OK\r\n");
		for (int i = 0; i < 5000; i++)
			peer_send(c, "X-%d: %0100d\r\n", i, 0);
		peer_send(c, "\r\n");
	} else if (strcmp(t, "/404") == 0) {
		peer_send(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nsorry, ");
	} else if (strcmp(t, "/404-long") == 0) {
		peer_send(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 1000000000\r\n\r\nsorry, ");
	} else if (strcmp(t, "/404-endless") == 0) {
		char sorry[4096];

		memset(sorry, '!', sizeof(sorry));
		peer_send(c, "HTTP/1.1 404 Not Found\r\n\r\n");
		for (int i = 0; i < 64; i++)
			peer_write(c, sorry, sizeof(sorry));
		peer_hang(c);
	} else if (strcmp(t, "/304") == 0) {
		peer_send(c, "HTTP/1.1 304 Not Modified\r\nETag: %s\r\n\r\n", peer_header(req, "If-None-Match"));
	} else if (strcmp(t, "/range") == 0) {
		peer_send(c, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 3-9/10\r\nContent-Length: 7\r\n"
			     "ETag: \"r\"\r\n\r\n3456789");
	} else if (strcmp(t, "/range-unknown") == 0) {
		peer_send(c, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 3-9/*\r\n"
			     "Transfer-Encoding: chunked\r\n\r\n7\r\n3456789\r\n0\r\n\r\n");
	} else if (strcmp(t, "/range-too-long") == 0) {
		peer_send(c, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 3-9/10\r\n"
			     "Transfer-Encoding: chunked\r\n\r\n8\r\n34567890\r\n0\r\n\r\n");
	} else if (strcmp(t, "/range-short") == 0) {
		peer_send(c, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 3-9/10\r\n"
			     "Transfer-Encoding: chunked\r\n\r\n5\r\n34567\r\n0\r\n\r\n");
	} else if (strcmp(t, "/range-bad") == 0) {
		peer_send(c, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 3-1/10\r\nContent-Length: 1\r\n"
			     "\r\n3");
	} else if (strcmp(t, "/range-none") == 0) {
		peer_send(c, "HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\n3");
	} else if (strcmp(t, "/range-other") == 0) {
		peer_send(c, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\n"
			     "\r\n456789");
	} else if (strcmp(t, "/range-416") == 0) {
		peer_send(c, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */3\r\n"
			     "Content-Length: 0\r\n\r\n");
	} else if (strcmp(t, "/range-ignored") == 0) {
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789");
	} else if (strcmp(t, "/large") == 0) {
		static char block[65536];

		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 64 * 65536);
		for (int i = 0; i < 64; i++)
			peer_write(c, block, sizeof(block));
	} else {
		peer_send(c, "HTTP/1.1 500 Test Is Wrong\r\nContent-Length: 0\r\n\r\n");
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

static void test_the_head_is_told(void **state)
{
	struct env *e = *state;
	struct call c = {0};
	int64_t requests = metric_get(M_fetch_requests), bytes = metric_get(M_fetch_bytes);

	assert_int_equal(call_run(e, &c, "hello"), 0);
	assert_body(&c, "hello");
	assert_int_equal(c.heads, 1);
	assert_int_equal(c.status, 200);
	assert_int_equal(c.length, 5);
	assert_int_equal(c.total, 5);
	assert_int_equal(c.range_start, 0);
	assert_string_equal(c.etag, "\"e\"");
	assert_string_equal(c.last_modified, "Sun, 06 Nov 1994 08:49:37 GMT");
	assert_string_equal(c.content_type, "text/plain");
	assert_non_null(strstr(c.url, "/hello"));
	assert_string_equal(c.headers.p, "Content-Length: 5\nETag: \"e\"\nContent-Type: text/plain\n"
					 "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\nX-Own: one\nX-Own: two\n");
	assert_int_equal(metric_get(M_fetch_requests) - requests, 1);
	assert_int_equal(metric_get(M_fetch_bytes) - bytes, 5);
	call_free(&c);
}

static void test_the_request_is_plain(void **state)
{
	struct env *e = *state;
	struct call c = {0};
	char expected[256];

	assert_int_equal(call_run(e, &c, "request"), 0);
	snprintf(expected, sizeof(expected),
		"GET /request HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: sluice/" SLUICE_VERSION
		"\r\nAccept: */*\r\nAccept-Encoding: identity\r\n\r\n",
		peer_port(e->peer));
	assert_body(&c, expected);
	call_free(&c);
}

static void test_validators_and_ranges_are_sent(void **state)
{
	struct env *e = *state;
	struct call c = {0};

	call_run_req(e, &c, "request",
		&(struct fetch_req){.range_from = 5000000000,
			.if_range = "\"r\"",
			.if_none_match = "\"n\"",
			.if_modified_since = "Sun, 06 Nov 1994 08:49:37 GMT"});
	assert_non_null(strstr(c.body.p, "\r\nRange: bytes=5000000000-\r\nIf-Range: \"r\"\r\nIf-None-Match: \"n\"\r\n"
					 "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
	call_free(&c);
	call_run_req(e, &c, "request", &(struct fetch_req){.range_from = 5000000000, .range_to = 5000000010});
	assert_non_null(strstr(c.body.p, "\r\nRange: bytes=5000000000-5000000009\r\n"));
	call_free(&c);
	call_run_req(e, &c, "request", &(struct fetch_req){.if_range = "\"r\""});
	assert_null(strstr(c.body.p, "Range"));
	call_free(&c);
}

/* The same connection serves one after the other; another revision or another remote has its own. */
static void test_connections_are_kept(void **state)
{
	struct env *e = *state;
	struct call c = {0};

	for (int i = 0; i < 3; i++) {
		assert_int_equal(call_run(e, &c, i == 1 ? "404" : "hello"), 0);
		call_free(&c);
	}
	assert_int_equal(peer_conns(e->peer), 1);
	e->remote.revision = 2;
	assert_int_equal(call_run(e, &c, "hello"), 0);
	assert_int_equal(peer_conns(e->peer), 2);
	call_free(&c);
	e->remote.key = 2;
	assert_int_equal(call_run(e, &c, "hello"), 0);
	assert_int_equal(peer_conns(e->peer), 3);
	call_free(&c);
	/* The number says nothing changed, but something did. */
	e->remote.username = "somebody";
	assert_int_equal(call_run(e, &c, "hello"), 0);
	assert_int_equal(peer_conns(e->peer), 4);
	call_free(&c);
}

static void test_responses(void **state)
{
	struct env *e = *state;
	static const struct {
		const char *target;
		int64_t range_from;
		int rc;
		int status; /* 0: on_head is not called */
		int64_t length;
		int64_t total;
		const char *body;
		const char *text; /* part of the error */
	} cases[] = {
		{"empty", 0, 0, 200, 0, 0, "", NULL},
		{"chunked", 0, 0, 200, -1, -1, "hello", NULL},
		{"until-close", 0, 0, 200, -1, -1, "hello", NULL},
		{"gzip", 0, 0, 200, 4, 4, "nope", NULL},
		{"404", 0, 0, 404, 7, -1, "", NULL},
		{"404-long", 0, 0, 404, 1000000000, -1, "", NULL},
		{"404-endless", 0, 0, 404, -1, -1, "", NULL},
		{"304", 0, 0, 304, -1, -1, "", NULL},
		{"range", 3, 0, 206, 7, 10, "3456789", NULL},
		{"range-unknown", 3, 0, 206, 7, -1, "3456789", NULL},
		{"range-416", 3, 0, 416, 0, -1, "", NULL},
		{"range-ignored", 3, 0, 200, 10, 10, "0123456789", NULL},
		{"truncated", 0, -ERR_TRUNCATED, 200, 10, 10, "hello", "5 bytes"},
		{"truncated-at-once", 0, -ERR_TRUNCATED, 200, 10, 10, "", "10 bytes"},
		{"chunk-cut", 0, -ERR_TRUNCATED, 200, -1, -1, "hello", "outstanding"},
		{"chunk-bad", 0, -ERR_TRUNCATED, 200, -1, -1, "hello", "chunk"},
		{"head-cut", 0, -ERR_CONNECT, 0, 0, 0, "", "header"},
		{"nothing", 0, -ERR_CONNECT, 0, 0, 0, "", "mpty reply"},
		{"garbage", 0, -ERR_UPSTREAM, 0, 0, 0, "", "HTTP/0.9"},
		{"conflict", 0, -ERR_UPSTREAM, 0, 0, 0, "", "Content-Length"},
		{"long-head", 0, -ERR_UPSTREAM, 0, 0, 0, "", "more than 1000 header fields"},
		{"range-too-long", 3, -ERR_UPSTREAM, 206, 7, 10, "", "longer than announced"},
		{"range-short", 3, -ERR_TRUNCATED, 206, 7, 10, "34567", "5 of 7 bytes"},
		{"range-bad", 3, -ERR_UPSTREAM, 0, 0, 0, "", "malformed Content-Range: bytes 3-1/10"},
		{"range-none", 3, -ERR_UPSTREAM, 0, 0, 0, "", "without Content-Range"},
		{"range-other", 3, -ERR_UPSTREAM, 0, 0, 0, "", "from 4 on"},
		{"range", 0, -ERR_UPSTREAM, 0, 0, 0, "", "the whole was asked for"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct call c = {0};
		int rc = call_run_req(e, &c, cases[i].target,
			&(struct fetch_req){.range_from = cases[i].range_from,
				.if_none_match = strcmp(cases[i].target, "304") == 0 ? "\"x\"" : NULL});

		if (rc != cases[i].rc || c.status != cases[i].status)
			fail_msg("%s: %s, status %d: %s", cases[i].target, err_name(rc), c.status, c.err.msg);
		assert_int_equal(c.heads, cases[i].status != 0);
		assert_body(&c, cases[i].body);
		if (c.heads > 0) {
			assert_int_equal(c.length, cases[i].length);
			assert_int_equal(c.total, cases[i].total);
			assert_int_equal(c.range_start, c.status == 206 ? 3 : 0);
		}
		if (cases[i].text != NULL) {
			char url[128];

			snprintf(url, sizeof(url), "%s%s: ", e->root, cases[i].target);
			assert_int_equal(strncmp(c.err.msg, url, strlen(url)), 0);
			if (strstr(c.err.msg, cases[i].text) == NULL)
				fail_msg("%s: %s", cases[i].target, c.err.msg);
		}
		call_free(&c);
	}
}

static void test_the_etag_of_a_304(void **state)
{
	struct env *e = *state;
	struct call c = {0};

	assert_int_equal(call_run_req(e, &c, "304", &(struct fetch_req){.if_none_match = "\"same\""}), 0);
	assert_int_equal(c.status, 304);
	assert_string_equal(c.etag, "\"same\"");
	call_free(&c);
}

static void test_a_large_body(void **state)
{
	struct env *e = *state;
	struct call c = {0};

	assert_int_equal(call_run(e, &c, "large"), 0);
	assert_int_equal(c.body.n, 64 * 65536);
	call_free(&c);
}

static void test_on_head_can_refuse(void **state)
{
	struct env *e = *state;
	struct call c = {.head_rc = -ERR_SIZE};

	assert_int_equal(call_run(e, &c, "hello"), -ERR_SIZE);
	assert_int_equal(c.datas, 0);
	call_free(&c);
}

static void test_what_cannot_be_asked(void **state)
{
	struct env *e = *state;
	static const struct {
		const char *url;
		const char *validator;
	} cases[] = {
		{"ftp://127.0.0.1/", NULL},
		{"http://127.0.0.1:99999/", NULL},
		{"http://127.0.0.1/a b", NULL},
		{"http://127.0.0.1/a\r\nX: y", NULL},
		{"http:///", NULL},
		{"http://127.0.0.1/", "\"x\"\r\nX: y"},
	};
	struct call c = {0};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(
			call_start(e, &c, cases[i].url, &(struct fetch_req){.if_none_match = cases[i].validator}, &err),
			-ERR_INVAL);
		assert_null(c.fetch);
	}
	e->remote.headers_json = "[{\"X\": \"a\\r\\nb\"}]";
	assert_int_equal(call_start(e, &c, "hello", NULL, &err), -ERR_INVAL);
	assert_null(c.fetch);
	e->remote.headers_json = NULL;
	assert_int_equal(call_run(e, &c, "hello"), 0); /* nothing of it stays */
	call_free(&c);
}

/* A port on which nobody listens: taken, and given back. */
static void test_nobody_listens(void **state)
{
	struct env *e = *state;
	struct peer *p = peer_new(serve, NULL, NULL);
	struct call c = {0};
	char url[128];

	snprintf(url, sizeof(url), "http://user:secret@127.0.0.1:%d/?token=secret", peer_port(p));
	peer_free(&p);
	assert_int_equal(call_run(e, &c, url), -ERR_CONNECT);
	assert_null(strstr(c.err.msg, "secret"));
	assert_non_null(strstr(c.err.msg, "http://127.0.0.1:"));
	call_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_the_head_is_told),
		T(test_the_request_is_plain),
		T(test_validators_and_ranges_are_sent),
		T(test_connections_are_kept),
		T(test_responses),
		T(test_the_etag_of_a_304),
		T(test_a_large_body),
		T(test_on_head_can_refuse),
		T(test_what_cannot_be_asked),
		T(test_nobody_listens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
