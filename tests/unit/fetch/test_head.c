/* Heads of responses: what is understood, what is passed on, and what is refused. */
#include "harness.h"

#include "fetch/head.h"

#include <stdio.h>
#include <stdlib.h>

/* Feeds `text` line by line; the result of the last line. */
static int feed(struct head *h, const char *text, struct err *err)
{
	struct slice rest = slice_str(text);
	int rc = 0;

	while (rest.n > 0 && rc == 0) {
		size_t n = (size_t)(strstr(rest.p, "\r\n") - rest.p) + 2;

		rc = head_line(h, slice_of(rest.p, n), err);
		rest = slice_of(rest.p + n, rest.n - n);
	}
	return rc;
}

static void test_lines(void **state)
{
	static const struct {
		const char *text;
		int rc; /* 1: complete */
		int status;
		size_t fields;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\n\r\n", 1, 200, 0},
		{"HTTP/1.1 200\r\n\r\n", 1, 200, 0},
		{"HTTP/1.0 404 Not here\r\nA: b\r\n\r\n", 1, 404, 1},
		{"HTTP/1.1 200 OK\r\nA:b\r\nB:\r\nC: \t d \t\r\n", 0, 200, 3},
		{"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 206 Part\r\n\r\n", 1, 206, 0},
		/* Not passed on: they could be read in two ways. */
		{"HTTP/1.1 200 OK\r\nA b: c\r\nA : c\r\n: c\r\nno colon\r\nA\x01: c\r\nA: \x01\r\nOk: yes\r\n\r\n", 1,
			200, 1},
		{"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", -ERR_UPSTREAM, 200, 1},
		{"HTTP/1.1 200 OK\r\n \r\n\r\n", -ERR_UPSTREAM, 200, 0},
		{"HTTP/1.1 200 OK\r\nHTTP/1.1 206 OK\r\n", -ERR_UPSTREAM, 200, 0},
		{"A: b\r\n", -ERR_UPSTREAM, 0, 0},
		{"\r\n", -ERR_UPSTREAM, 0, 0},
		{"HTTP/1.1 20\r\n", -ERR_UPSTREAM, 0, 0},
		{"HTTP/1.1 2000 OK\r\n", -ERR_UPSTREAM, 0, 0},
		{"HTTP/1.1 -20 OK\r\n", -ERR_UPSTREAM, 0, 0},
		{"HTTP/1.1 099 OK\r\n", -ERR_UPSTREAM, 0, 0},
		{"HTTP/1.1\r\n", -ERR_UPSTREAM, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct head h = {0};
		struct err err = ERR_INIT;
		int rc = feed(&h, cases[i].text, &err);

		if (rc != cases[i].rc || h.status != cases[i].status || h.count != cases[i].fields)
			fail_msg("case %zu: %d, status %d, %zu fields: %s", i, rc, h.status, h.count, err.msg);
		head_fini(&h);
	}
}

static void test_ranges(void **state)
{
	static const struct {
		const char *range;
		int64_t from;
		int rc;
		int64_t length, total;
	} cases[] = {
		{"bytes 3-9/10", 3, 0, 7, 10},
		{"Bytes  3-9/10", 3, 0, 7, 10},
		{"bytes 3-3/*", 3, 0, 1, -1},
		{"bytes 3-9223372036854775806/9223372036854775807", 3, 0, INT64_C(9223372036854775804), INT64_MAX},
		{"bytes 3-9223372036854775807/*", 3, -ERR_UPSTREAM, 0, 0},
		{"bytes 4-9/10", 3, -ERR_UPSTREAM, 0, 0},
		{"bytes 3-2/10", 3, -ERR_UPSTREAM, 0, 0},
		{"bytes 3-10/10", 3, -ERR_UPSTREAM, 0, 0},
		{"bytes 3-9", 3, -ERR_UPSTREAM, 0, 0},
		{"bytes 3-9/", 3, -ERR_UPSTREAM, 0, 0},
		{"bytes -9/10", 3, -ERR_UPSTREAM, 0, 0},
		{"bytes 3-/10", 3, -ERR_UPSTREAM, 0, 0},
		{"bytes */10", 3, -ERR_UPSTREAM, 0, 0},
		{"items 3-9/10", 3, -ERR_UPSTREAM, 0, 0},
		{"bytes 3-9/10x", 3, -ERR_UPSTREAM, 0, 0},
		{"bytes +3-9/10", 3, -ERR_UPSTREAM, 0, 0},
		{"", 3, -ERR_UPSTREAM, 0, 0},
		{"bytes 0-9/10", 0, -ERR_UPSTREAM, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct head h = {0};
		struct fetch_head out;
		struct err err = ERR_INIT;
		char text[256];
		int rc;

		snprintf(text, sizeof(text), "HTTP/1.1 206 Part\r\nContent-Range: %s\r\n\r\n", cases[i].range);
		assert_int_equal(feed(&h, text, &err), 1);
		rc = head_get(&h, cases[i].from, SLICE("http://x/"), &out, &err);
		if (rc != cases[i].rc)
			fail_msg("%s: %d: %s", cases[i].range, rc, err.msg);
		if (rc == 0) {
			assert_int_equal(out.range_start, cases[i].from);
			assert_int_equal(out.length, cases[i].length);
			assert_int_equal(out.total, cases[i].total);
		}
		head_fini(&h);
	}
}

static void test_lengths(void **state)
{
	static const struct {
		const char *fields;
		int rc;
		int64_t length;
	} cases[] = {
		{"", 0, -1},
		{"Content-Length: 5\r\n", 0, 5},
		{"Content-Length: 5\r\ncontent-length: 5\r\n", 0, 5},
		{"Content-Length: 5, 5\r\n", 0, 5},
		{"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 0, -1},
		{"Content-Length: 5, 6\r\n", -ERR_UPSTREAM, 0},
		{"Content-Length: 5\r\nContent-Length: 6\r\n", -ERR_UPSTREAM, 0},
		{"Content-Length: -5\r\n", -ERR_UPSTREAM, 0},
		{"Content-Length: +5\r\n", -ERR_UPSTREAM, 0},
		{"Content-Length: 0x5\r\n", -ERR_UPSTREAM, 0},
		{"Content-Length:\r\n", -ERR_UPSTREAM, 0},
		{"Content-Length: 9223372036854775808\r\n", -ERR_UPSTREAM, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct head h = {0};
		struct fetch_head out;
		struct err err = ERR_INIT;
		char text[256];
		int rc;

		snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%s\r\n", cases[i].fields);
		assert_int_equal(feed(&h, text, &err), 1);
		rc = head_get(&h, 0, SLICE("http://x/"), &out, &err);
		if (rc != cases[i].rc || (rc == 0 && out.length != cases[i].length))
			fail_msg("%s: %d: %s", cases[i].fields, rc, err.msg);
		head_fini(&h);
	}
}

static void test_hop_by_hop_fields_stay_here(void **state)
{
	struct head h = {0};
	struct fetch_head out;
	struct err err;

	(void)state;
	assert_int_equal(
		feed(&h,
			"HTTP/1.1 200 OK\r\nX-Mine: 1\r\nConnection: close , x-mine\r\nConnection: X-Too\r\nX-Too: "
			"2\r\n"
			"Keep-Alive: 1\r\nProxy-Authenticate: Basic\r\nProxy-Connection: x\r\nTE: x\r\nTrailer: x\r\n"
			"Transfer-Encoding: chunked\r\nUpgrade: x\r\nX-Theirs: 3\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
			"\r\n",
			&err),
		1);
	assert_int_equal(head_get(&h, 0, SLICE("http://x/"), &out, &err), 0);
	assert_int_equal(out.header_count, 3);
	assert_true(slice_eq(out.headers[0].name, SLICE("X-Theirs")));
	assert_true(slice_eq(out.headers[0].value, SLICE("3")));
	assert_true(slice_eq(out.headers[2].value, SLICE("b")));
	head_fini(&h);
}

static void test_limits(void **state)
{
	struct head h = {0};
	struct fetch_head out;
	struct err err;
	char line[2048];
	int rc = 0, n;

	(void)state;
	assert_int_equal(feed(&h, "HTTP/1.1 200 OK\r\n", &err), 0);
	memset(line, 'x', sizeof(line));
	memcpy(line, "A: ", 3);
	for (n = 0; rc == 0; n++)
		rc = head_line(&h, slice_of(line, sizeof(line)), &err);
	assert_int_equal(rc, -ERR_UPSTREAM);
	assert_int_equal(n, 256 * 1024 / sizeof(line)); /* with the status line, the last one was too much */
	head_reset(&h);

	assert_int_equal(feed(&h, "HTTP/1.1 200 OK\r\n", &err), 0);
	for (n = 0, rc = 0; rc == 0; n++)
		rc = head_line(&h, SLICE("A: b\r\n"), &err);
	assert_int_equal(rc, -ERR_UPSTREAM);
	assert_int_equal(n, 1001);
	head_reset(&h);

	/* Interim responses count: they could be sent for ever. */
	for (n = 0, rc = 0; rc == 0; n++)
		rc = feed(&h, "HTTP/1.1 100 Continue\r\n\r\n", &err);
	assert_int_equal(rc, -ERR_UPSTREAM);
	head_reset(&h);

	memcpy(line, "Connection: ", 12);
	assert_int_equal(feed(&h, "HTTP/1.1 200 OK\r\n", &err), 0);
	assert_int_equal(head_line(&h, slice_of(line, sizeof(line)), &err), 0);
	assert_int_equal(head_line(&h, SLICE("\r\n"), &err), 1);
	assert_int_equal(head_get(&h, 0, SLICE("http://x/"), &out, &err), -ERR_UPSTREAM);
	head_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_hop_by_hop_fields_stay_here),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
