/* What a client sends: the head, the path in it, and a chunked body behind it. Where the bytes are cut must not matter, what is understood lies
 * inside them, and nothing that two readers could frame differently passes. */
#include "fuzz.h"

#include "base/check.h"
#include "base/url.h"
#include "http/parse.h"

#include <stdlib.h>

#define MAX_HEADERS 12

static const struct http_limits limits = {.max_line = 256, .max_headers = MAX_HEADERS, .max_header_bytes = 1024};

static void assert_inside(struct slice part, struct slice whole)
{
	BUG(part.n > 0 && (part.p < whole.p || part.p + part.n > whole.p + whole.n));
}

static bool has_line_break(struct slice s)
{
	return slice_chr(s, '\r') >= 0 || slice_chr(s, '\n') >= 0 || slice_chr(s, '\0') >= 0;
}

/* Counted here by plain comparison, apart from the code under test. */
static size_t count(const struct http_request *r, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < r->header_count; i++)
		n += slice_eq_nocase(r->headers[i].name, slice_str(name));
	return n;
}

static void check_path(struct slice raw)
{
	char *out = malloc(raw.n + 1);
	size_t n = 0;

	BUG(out == NULL);
	if (url_path_decode(raw, out, raw.n + 1, &n, NULL) == 0)
		BUG(n == 0 || n > raw.n || out[0] != '/' || strlen(out) != n || strstr(out, "/../") != NULL);
	free(out);
}

static void check_head(const struct http_head *h, struct slice head)
{
	const struct http_request *r = &h->req;
	size_t lengths = count(r, "Content-Length"), codings = count(r, "Transfer-Encoding");

	BUG(!slice_ends(head, SLICE("\r\n")));
	assert_inside(r->method_text, head);
	assert_inside(r->target, head);
	assert_inside(r->query, head);
	assert_inside(r->host, head);
	BUG(r->method_text.n == 0 || r->target.n == 0);
	BUG(has_line_break(r->method_text) || has_line_break(r->target) || has_line_break(r->host));
	BUG(h->raw_path.n == 0 || h->raw_path.p[0] != '/' || slice_chr(h->raw_path, '?') >= 0);
	BUG(r->header_count > MAX_HEADERS);
	for (size_t i = 0; i < r->header_count; i++) {
		assert_inside(r->headers[i].name, head);
		assert_inside(r->headers[i].value, head);
		BUG(!http_is_token(r->headers[i].name) || has_line_break(r->headers[i].value));
	}
	/* One framing, one host. */
	BUG(lengths > 1 || codings > 1 || lengths + codings > 1);
	BUG((lengths == 1) != (r->content_length >= 0) || (codings == 1) != r->chunked);
	BUG(r->chunked && r->minor == 0);
	BUG(count(r, "Host") != 1 && (r->minor > 0 || count(r, "Host") > 1));
	check_path(h->raw_path);
}

/* A body cut at `cut` has the same data, and the same end, as the whole. */
static void check_chunked(struct slice body, size_t cut)
{
	struct http_chunked whole = {0}, parts = {0};
	struct slice in = body, piece, left, first = slice_of(body.p, MIN(cut, body.n)),
		     rest = slice_of(body.p + first.n, body.n - first.n);
	uint64_t sum[2] = {0, 0};
	int rc[2];

	while ((rc[0] = http_chunked_next(&whole, &in, &piece)) == 1) {
		assert_inside(piece, body);
		BUG(piece.n == 0);
		for (size_t i = 0; i < piece.n; i++)
			sum[0] = sum[0] * 31 + (unsigned char)piece.p[i];
	}
	left = in;
	for (int half = 0; half < 2; half++) {
		in = half == 0 ? first : rest;
		while ((rc[1] = http_chunked_next(&parts, &in, &piece)) == 1)
			for (size_t i = 0; i < piece.n; i++)
				sum[1] = sum[1] * 31 + (unsigned char)piece.p[i];
		if (rc[1] != 0)
			break;
	}
	BUG(rc[0] != rc[1] || sum[0] != sum[1]);
	BUG(rc[0] == 2 && in.p != left.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_header headers[MAX_HEADERS], again[MAX_HEADERS];
	struct http_head h, part;
	struct slice in = slice_of((const char *)data, size);
	const char *why, *part_why;
	int rc = http_parse_head(in.p, in.n, &limits, headers, &h, &why);

	BUG(rc > 0 && (size_t)rc > in.n);
	BUG((rc < 0) != (why != NULL));
	BUG(rc < 0 && rc != -400 && rc != -414 && rc != -417 && rc != -431 && rc != -501 && rc != -505);
	for (size_t cut = 0; cut < in.n; cut = cut * 2 + 1) {
		char *exact = malloc(cut + 1);
		int part_rc;

		BUG(exact == NULL);
		memcpy(exact, in.p, cut);
		part_rc = http_parse_head(exact, cut, &limits, again, &part, &part_why);
		BUG(part_rc != rc && (part_rc != 0 || (rc > 0 && cut >= (size_t)rc)));
		free(exact);
	}
	if (rc > 0) {
		struct slice body = slice_of(in.p + rc, in.n - (size_t)rc);

		check_head(&h, slice_of(in.p, (size_t)rc));
		check_chunked(body, body.n / 2);
		check_chunked(body, 1);
	}
	check_chunked(in, in.n / 3);
	return 0;
}
