/* The request head: bytes in, a checked request out. A pure function of its input, and strict: what two parsers could read
 * differently is refused (RFC 9112 §2.2, §3, §5, §6.1, §6.3; RFC 9110 §5.5, §8.6). */
#ifndef SLUICE_HTTP_PARSE_H
#define SLUICE_HTTP_PARSE_H

#include "http/http.h"

struct http_head {
	struct http_request req; /* slices point into the bytes given; path is not filled */
	struct slice raw_path;   /* of the target, not decoded */
	bool asterisk;           /* OPTIONS * */
	bool keep_alive;
	bool expect_continue;
};

/* > 0: length of the head, *out is filled. 0: incomplete, give more. Negative: -(HTTP status) to refuse it with, and *why says what is wrong.
 * Where the input was cut does not change the answer, only how early a refusal comes. `headers` has room for limits->max_headers entries. */
int http_parse_head(const char *p, size_t n, const struct http_limits *limits, struct http_header *headers,
	struct http_head *out, const char **why);

/* RFC 9110 §5.6.2. */
bool http_is_token(struct slice s);

/* Chunked request bodies (RFC 9112 §7.1), any split of the input. Zero it first. */
struct http_chunked {
	int state;
	int64_t left; /* of the current chunk */
	int line;     /* bytes of the current line: extensions and trailers are bounded */
	int ext;      /* bytes of extensions seen */
	int trailer;  /* bytes of trailers seen */
	bool digits;
};
/* Consumes from *in: 1: *out is a piece of data (call again); 0: needs more input; 2: the end, *in is what follows; -1 malformed. */
int http_chunked_next(struct http_chunked *c, struct slice *in, struct slice *out);

#endif
