/* Request heads: what is understood, what is refused with which status, and that it does not matter how the bytes arrive. */
#include "http/parse.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_HEADERS 10

static const struct http_limits limits = {.max_line = 200, .max_headers = MAX_HEADERS, .max_header_bytes = 1000};

/* In memory of exactly its size, so that AddressSanitizer sees one byte too far. The slices of *out are not valid afterwards. */
static int parse(const char *p, size_t n, struct http_head *out, const char **why)
{
	struct http_header headers[MAX_HEADERS];
	char *exact = malloc(n > 0 ? n : 1);
	int rc;

	assert_non_null(exact);
	memcpy(exact, p, n);
	rc = http_parse_head(exact, n, &limits, headers, out, why);
	free(exact);
	return rc;
}

/* The answer to every prefix is "more" until it is the answer to the whole. */
static int parse_all_splits(const char *name, const char *p, size_t n)
{
	struct http_head h;
	const char *whole_why, *why;
	int whole = parse(p, n, &h, &whole_why);
	bool over = false;

	for (size_t i = 0; i <= n; i++) {
		int rc = parse(p, i, &h, &why);

		if (rc == 0 && !over && (whole <= 0 || i < (size_t)whole))
			continue;
		over = true;
		if (rc != whole || (rc < 0 && strcmp(why, whole_why) != 0))
			fail_msg("%s: cut at %zu: %d (%s), whole: %d (%s)", name, i, rc, why != NULL ? why : "-", whole,
				whole_why != NULL ? whole_why : "-");
	}
	return whole;
}

#define A10 "aaaaaaaaaa"
#define A50 A10 A10 A10 A10 A10
#define A200 A50 A50 A50 A50
#define H "Host: t\r\n"
#define GET "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n" H

/* status 0: accepted, the head ends where the text does; -1: accepted, and more follows; 1: incomplete. */
static const struct {
	const char *name;
	struct slice text;
	int status;
} heads[] = {
#define R(name, text, status)                          \
	{                                              \
		name, {text, sizeof(text) - 1}, status \
	}
	R("plain", GET H "\r\n", 0),
	R("another follows", GET H "\r\nGET", -1),
	R("nothing", "", 1),
	R("incomplete", GET H, 1),
	R("one empty line before", "\r\n" GET H "\r\n", 0),
	R("two empty lines before", "\r\n\r\n" GET H "\r\n", 0),
	R("three empty lines before", "\r\n\r\n\r\n" GET H "\r\n", 400),
	R("a bare LF before", "\n" GET H "\r\n", 400),
	R("any method", "BREW / HTTP/1.1\r\n" H "\r\n", 0),
	R("HTTP/1.0 needs no host", "GET / HTTP/1.0\r\n\r\n", 0),
	R("a minor version to come", "GET / HTTP/1.7\r\n" H "\r\n", 0),

	/* request lines */
	R("no target", "GET HTTP/1.1\r\n" H "\r\n", 400),
	R("two spaces", "GET  / HTTP/1.1\r\n" H "\r\n", 400),
	R("no version", "GET /\r\n" H "\r\n", 400),
	R("text behind the version", "GET / HTTP/1.1 x\r\n" H "\r\n", 400),
	R("space behind the version", "GET / HTTP/1.1 \r\n" H "\r\n", 400),
	R("space before the method", " GET / HTTP/1.1\r\n" H "\r\n", 400),
	R("tab for space", "GET\t/ HTTP/1.1\r\n" H "\r\n", 400),
	R("no token", "G(T / HTTP/1.1\r\n" H "\r\n", 400),
	R("a long method", A50 " / HTTP/1.1\r\n" H "\r\n", 400),
	R("small letters", "GET / http/1.1\r\n" H "\r\n", 400),
	R("no minor version", "GET / HTTP/1\r\n" H "\r\n", 400),
	R("a letter for a digit", "GET / HTTP/1.x\r\n" H "\r\n", 400),
	R("version 2", "GET / HTTP/2.0\r\n" H "\r\n", 505),
	R("version 0.9", "GET / HTTP/0.9\r\n" H "\r\n", 505),
	R("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
	R("a TLS client hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 400),

	/* targets */
	R("no slash", "GET a HTTP/1.1\r\n" H "\r\n", 400),
	R("an asterisk", "GET * HTTP/1.1\r\n" H "\r\n", 400),
	R("an asterisk for OPTIONS", "OPTIONS * HTTP/1.1\r\n" H "\r\n", 0),
	R("authority form", "CONNECT a:443 HTTP/1.1\r\n" H "\r\n", 400),
	R("a fragment", "GET /a#b HTTP/1.1\r\n" H "\r\n", 400),
	R("a control byte", "GET /a\x01 HTTP/1.1\r\n" H "\r\n", 400),
	R("DEL", "GET /a\x7f HTTP/1.1\r\n" H "\r\n", 400),
	R("absolute form", "GET http://a:80/b?c HTTP/1.1\r\n" H "\r\n", 0),
	R("absolute form without a path", "GET http://a HTTP/1.1\r\n" H "\r\n", 0),
	R("absolute form, nobody's", "GET http:///b HTTP/1.1\r\n" H "\r\n", 400),
	R("absolute form with a user", "GET http://u@a/b HTTP/1.1\r\n" H "\r\n", 400),
	R("another scheme", "GET ftp://a/b HTTP/1.1\r\n" H "\r\n", 400),

	/* line ends */
	R("bare LF", "GET / HTTP/1.1\n" H "\r\n", 400),
	R("bare LF after a field", GET "Host: t\n\r\n", 400),
	R("bare LF at the end", GET H "\n", 400),
	R("bare CR in the request line", "GET /\r HTTP/1.1\r\n" H "\r\n", 400),
	R("bare CR in a field", GET H "A: b\rC: d\r\n\r\n", 400),
	R("CR CR LF", GET H "A: b\r\r\n\r\n", 400),
	R("NUL in the request line", "GET /\0 HTTP/1.1\r\n" H "\r\n", 400),
	R("NUL in a field", GET H "A: \0\r\n\r\n", 400),

	/* fields */
	R("no colon", GET H "A\r\n\r\n", 400),
	R("no name", GET H ": b\r\n\r\n", 400),
	R("space before the colon", GET H "A : b\r\n\r\n", 400),
	R("space before the name", GET H " A: b\r\n\r\n", 400),
	R("folded", GET H "A: b\r\n c\r\n\r\n", 400),
	R("folded by a tab", GET H "A: b\r\n\tc\r\n\r\n", 400),
	R("folded, the first", GET " A: b\r\n" H "\r\n", 400),
	R("only white space", GET H " \r\n\r\n", 400),
	R("control byte in a name", GET H "A\x01: b\r\n\r\n", 400),
	R("control byte in a value", GET H "A: \x0b\r\n\r\n", 400),
	R("DEL in a value", GET H "A: \x7f\r\n\r\n", 400),
	R("beyond ASCII in a value", GET H "A: \xc3\xa4\r\n\r\n", 0),
	R("beyond ASCII in a name", GET H "\xc3\xa4: b\r\n\r\n", 400),
	R("tab inside a value", GET H "A: b\tc\r\n\r\n", 0),
	R("empty value", GET H "A:\r\n\r\n", 0),

	/* hosts */
	R("no host", GET "\r\n", 400),
	R("two hosts", GET H H "\r\n", 400),
	R("two hosts, other case", GET H "HOST: t\r\n\r\n", 400),
	R("empty host", GET "Host:\r\n\r\n", 0),
	R("host and port", GET "Host: a-b_c.example:8080\r\n\r\n", 0),
	R("IPv6 host", GET "Host: [::1]:80\r\n\r\n", 0),
	R("a path as host", GET "Host: a/b\r\n\r\n", 400),
	R("a user as host", GET "Host: u@a\r\n\r\n", 400),
	R("hosts in a list", GET "Host: a, b\r\n\r\n", 400),
	R("two words as host", GET "Host: a b\r\n\r\n", 400),
	R("a host beyond ASCII", GET "Host: \xc3\xa4\r\n\r\n", 400),
	R("absolute form needs a host too", "GET http://a/b HTTP/1.1\r\n\r\n", 400),

	/* framing */
	R("a length", POST "Content-Length: 5\r\n\r\n", 0),
	R("leading zeros", POST "Content-Length: 0005\r\n\r\n", 0),
	R("chunked", POST "Transfer-Encoding: chunked\r\n\r\n", 0),
	R("Chunked", POST "Transfer-Encoding: \t ChunKed \r\n\r\n", 0),
	R("length, then chunked", POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
	R("chunked, then length", POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400),
	R("chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
	R("two lengths", POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
	R("the same length twice", POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400),
	R("two lengths in one field", POST "Content-Length: 5, 5\r\n\r\n", 400),
	R("no digits", POST "Content-Length:\r\n\r\n", 400),
	R("a sign", POST "Content-Length: +5\r\n\r\n", 400),
	R("a minus", POST "Content-Length: -5\r\n\r\n", 400),
	R("hexadecimal", POST "Content-Length: 0x5\r\n\r\n", 400),
	R("a space inside", POST "Content-Length: 5 0\r\n\r\n", 400),
	R("too large", POST "Content-Length: 99999999999999999999\r\n\r\n", 400),
	R("chunked twice", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
	R("chunked, chunked", POST "Transfer-Encoding: chunked, chunked\r\n\r\n", 400),
	R("gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
	R("chunked, identity", POST "Transfer-Encoding: chunked, identity\r\n\r\n", 400),
	R("identity", POST "Transfer-Encoding: identity\r\n\r\n", 400),
	R("xchunked", POST "Transfer-Encoding: xchunked\r\n\r\n", 400),
	R("nothing", POST "Transfer-Encoding:\r\n\r\n", 400),
	R("chunked behind a control byte",
		POST "Transfer-Encoding: \x0b"
		     "chunked\r\n\r\n",
		400),
	R("Transfer-Encoding with a space", POST "Transfer-Encoding : chunked\r\n\r\n", 400),
	R("an expectation", POST "Expect: 100-Continue\r\n\r\n", 0),
	R("an unknown expectation", POST "Expect: miracles\r\n\r\n", 417),

	/* limits: lines of 200, 10 fields, 1000 bytes of them */
	R("a long target that fits", "GET /" A50 A50 A50 A10 A10 A10 " HTTP/1.1\r\n" H "\r\n", 0),
	R("a long target", "GET /" A200 " HTTP/1.1\r\n" H "\r\n", 414),
	R("a line without end", "GET /" A200, 414),
	R("a long target, malformed too", "G T /\r" A200 " HTTP/1.1\n", 414),
	R("a field of 200 bytes", GET H "A: " A50 A50 A50 A10 A10 A10 A10 "aaaaaaa\r\n\r\n", 0),
	R("a field of 201 bytes", GET H "A: " A50 A50 A50 A10 A10 A10 A10 "aaaaaaaa\r\n\r\n", 431),
	R("a field without end", GET H "A: " A200, 431),
	R("as many fields as allowed", GET H "A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n", 0),
	R("one field more", GET H "A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n", 431),
	R("fields of 1000 bytes in all",
		GET H "A: " A50 A50 A50 "\r\nA: " A50 A50 A50 "\r\nA: " A50 A50 A50 "\r\nA: " A50 A50 A50
		      "\r\nA: " A50 A50 A50 "\r\nA: " A50 A50 A50 "\r\nA: " A50 "aaaa\r\n\r\n",
		0),
	R("fields of 1001 bytes",
		GET H "A: " A50 A50 A50 "\r\nA: " A50 A50 A50 "\r\nA: " A50 A50 A50 "\r\nA: " A50 A50 A50
		      "\r\nA: " A50 A50 A50 "\r\nA: " A50 A50 A50 "\r\nA: " A50 "aaaaa\r\n\r\n",
		431),
#undef R
};

static void test_heads_however_they_are_cut(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		int rc = parse_all_splits(heads[i].name, heads[i].text.p, heads[i].text.n);
		int want = heads[i].status == 0 ? (int)heads[i].text.n : -heads[i].status;

		if (heads[i].status == -1      ? rc <= 0 || (size_t)rc >= heads[i].text.n
			: heads[i].status == 1 ? rc != 0
					       : rc != want)
			fail_msg("%s: %d", heads[i].name, rc);
	}
}

/* The head of `text`, which must be right; slices point into it. */
static struct http_head head_of(const char *text)
{
	static struct http_header headers[MAX_HEADERS];
	struct http_head h;
	const char *why;

	assert_int_equal(http_parse_head(text, strlen(text), &limits, headers, &h, &why), strlen(text));
	return h;
}

#define assert_slice(s, text)                                     \
	do {                                                      \
		assert_int_equal((s).n, strlen(text));            \
		assert_memory_equal((s).p, (text), strlen(text)); \
	} while (0)

static void test_what_is_understood(void **state)
{
	struct http_head h = head_of("HEAD /a%20b?c=d?e HTTP/1.1\r\nhost: T:80\r\nX-Y: \t z \r\nEmpty:\r\n\r\n");

	assert_int_equal(h.req.method, HTTP_HEAD);
	assert_slice(h.req.method_text, "HEAD");
	assert_slice(h.req.target, "/a%20b?c=d?e");
	assert_slice(h.raw_path, "/a%20b");
	assert_slice(h.req.query, "c=d?e");
	assert_slice(h.req.host, "T:80");
	assert_int_equal(h.req.minor, 1);
	assert_int_equal(h.req.header_count, 3);
	assert_slice(http_header_get(&h.req, SLICE("x-y")), "z");
	assert_non_null(http_header_get(&h.req, SLICE("EMPTY")).p);
	assert_null(http_header_get(&h.req, SLICE("X-Z")).p);
	assert_int_equal(h.req.content_length, -1);
	assert_false(h.req.chunked);
	assert_true(h.keep_alive);
}

static void test_queries(void **state)
{
	assert_null(head_of("GET /a HTTP/1.0\r\n\r\n").req.query.p);
	assert_non_null(head_of("GET /a? HTTP/1.0\r\n\r\n").req.query.p);
	assert_slice(head_of("GET /a? HTTP/1.0\r\n\r\n").req.query, "");
}

static void test_absolute_form_says_host_and_path(void **state)
{
	struct http_head h = head_of("GET HTTPS://a:1/b?c HTTP/1.1\r\nHost: other\r\n\r\n");

	assert_slice(h.req.host, "a:1");
	assert_slice(h.raw_path, "/b");
	assert_slice(h.req.query, "c");
	h = head_of("GET http://a?c HTTP/1.1\r\nHost: other\r\n\r\n");
	assert_slice(h.req.host, "a");
	assert_slice(h.raw_path, "/");
	assert_slice(h.req.query, "c");
}

static void test_asterisk(void **state)
{
	struct http_head h = head_of("OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n");

	assert_true(h.asterisk);
	assert_slice(h.raw_path, "/");
}

static const struct {
	const char *text;
	bool keep;
} keeps[] = {
	{"GET / HTTP/1.1\r\nHost:\r\n\r\n", true},
	{"GET / HTTP/1.1\r\nHost:\r\nConnection: keep-alive\r\n\r\n", true},
	{"GET / HTTP/1.1\r\nHost:\r\nConnection: CLOSE\r\n\r\n", false},
	{"GET / HTTP/1.1\r\nHost:\r\nConnection: TE , close\r\n\r\n", false},
	{"GET / HTTP/1.1\r\nHost:\r\nConnection: closed\r\n\r\n", true},
	{"GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n", false},
	{"GET / HTTP/1.0\r\n\r\n", false},
	{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
	{"GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n", false},
	{"GET / HTTP/1.0\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n", false},
};

static void test_keep_alive(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(keeps); i++)
		if (head_of(keeps[i].text).keep_alive != keeps[i].keep)
			fail_msg("%s", keeps[i].text);
}

static void test_bodies(void **state)
{
	struct http_head h = head_of("POST / HTTP/1.1\r\nHost:\r\nContent-Length: 1152921504606846976\r\n"
				     "Expect: 100-continue\r\n\r\n");

	assert_int_equal(h.req.content_length, INT64_C(1) << 60);
	assert_true(h.expect_continue);
	h = head_of("POST / HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\n");
	assert_true(h.req.chunked);
	assert_int_equal(h.req.content_length, -1);
	/* Clients of HTTP/1.0 do not know 100 (RFC 9110 §10.1.1). */
	assert_false(head_of("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expect_continue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads_however_they_are_cut),
		cmocka_unit_test(test_what_is_understood),
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_absolute_form_says_host_and_path),
		cmocka_unit_test(test_asterisk),
		cmocka_unit_test(test_keep_alive),
		cmocka_unit_test(test_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
