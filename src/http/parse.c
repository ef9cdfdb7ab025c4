/* See parse.h. Nothing here allocates or keeps state. */
#include "http/parse.h"

#include "base/check.h"

/* RFC 9110 §5.6.2: token characters. */
static const bool token_char[256] = {
	['!'] = 1,
	['#'] = 1,
	['$'] = 1,
	['%'] = 1,
	['&'] = 1,
	['\''] = 1,
	['*'] = 1,
	['+'] = 1,
	['-'] = 1,
	['.'] = 1,
	['^'] = 1,
	['_'] = 1,
	['`'] = 1,
	['|'] = 1,
	['~'] = 1,
	['0' ... '9'] = 1,
	['A' ... 'Z'] = 1,
	['a' ... 'z'] = 1,
};

static const struct {
	struct slice text;
	enum http_method method;
} methods[] = {
	{{"GET", 3}, HTTP_GET},
	{{"HEAD", 4}, HTTP_HEAD},
	{{"POST", 4}, HTTP_POST},
	{{"PUT", 3}, HTTP_PUT},
	{{"PATCH", 5}, HTTP_PATCH},
	{{"DELETE", 6}, HTTP_DELETE},
	{{"OPTIONS", 7}, HTTP_OPTIONS},
};

static int refuse(const char **why, int status, const char *text)
{
	*why = text;
	return -status;
}

bool http_is_token(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!token_char[(unsigned char)s.p[i]])
			return false;
	return s.n > 0;
}

/* Length of the first line with its line end; 0: it is not complete; SIZE_MAX: it is longer than `max` without its CRLF. What is there of an
 * incomplete line is judged as it will be when the rest has come: how the bytes were cut must not matter. */
static size_t line_length(const char *p, size_t n, size_t max)
{
	const char *lf = memchr(p, '\n', MIN(n, max + 2));

	if (lf != NULL)
		return (size_t)(lf - p) + 1;
	return n >= max + 2 ? SIZE_MAX : 0;
}

/* Only CRLF ends a line (RFC 9112 §2.2 lets us take a bare LF, and a request be two); no CR or NUL anywhere else. */
static bool line_is_clean(const char *p, size_t n)
{
	return n >= 2 && p[n - 2] == '\r' && memchr(p, '\r', n - 2) == NULL && memchr(p, '\0', n - 2) == NULL;
}

/* RFC 3986 §3.2: the bytes of a host and its port, but no comma and no user. */
static const bool host_char[256] = {
	['0' ... '9'] = 1,
	['A' ... 'Z'] = 1,
	['a' ... 'z'] = 1,
	['-'] = 1,
	['.'] = 1,
	['_'] = 1,
	['~'] = 1,
	['%'] = 1,
	['!'] = 1,
	['$'] = 1,
	['&'] = 1,
	['\''] = 1,
	['('] = 1,
	[')'] = 1,
	['*'] = 1,
	['+'] = 1,
	[';'] = 1,
	['='] = 1,
	[':'] = 1,
	['['] = 1,
	[']'] = 1,
};

static bool host_is_valid(struct slice h)
{
	for (size_t i = 0; i < h.n; i++)
		if (!host_char[(unsigned char)h.p[i]])
			return false;
	return true;
}

/* No white space, no control character, no fragment. Bytes beyond ASCII are the path's business. */
static bool target_is_clean(struct slice t)
{
	unsigned bad = 0;

	for (size_t i = 0; i < t.n; i++) {
		unsigned char c = (unsigned char)t.p[i];

		bad |= (unsigned)(c <= 0x20) | (unsigned)(c == 0x7f) | (unsigned)(c == '#');
	}
	return bad == 0;
}

/* Absolute form: servers must accept it (RFC 9112 §3.2.2). Cuts scheme and authority off. */
static int cut_authority(struct slice *rest, struct http_head *h, const char **why)
{
	size_t n = 0;

	*rest = slice_of(rest->p + (rest->p[4] == ':' ? 7 : 8), rest->n - (rest->p[4] == ':' ? 7 : 8));
	while (n < rest->n && rest->p[n] != '/' && rest->p[n] != '?')
		n++;
	h->req.host = slice_of(rest->p, n);
	if (n == 0 || !host_is_valid(h->req.host))
		return refuse(why, 400, "malformed authority in the request target");
	*rest = slice_of(rest->p + n, rest->n - n);
	return 0;
}

static int parse_target(struct slice t, struct http_head *h, const char **why)
{
	struct slice rest = t;
	bool absolute = false;
	ptrdiff_t q;

	if (!target_is_clean(t))
		return refuse(why, 400, "invalid character in the request target");
	if (h->req.method == HTTP_OPTIONS && slice_eq(t, SLICE("*"))) {
		h->asterisk = true;
		h->raw_path = SLICE("/");
		return 0;
	}
	if (t.n > 0 && t.p[0] != '/' &&
		(slice_starts_nocase(t, SLICE("http://")) || slice_starts_nocase(t, SLICE("https://")))) {
		int rc = cut_authority(&rest, h, why);

		if (rc < 0)
			return rc;
		absolute = true;
	}
	if (!absolute && (rest.n == 0 || rest.p[0] != '/'))
		return refuse(why, 400, "request target does not begin with a slash");
	q = slice_chr(rest, '?');
	if (q >= 0) {
		h->req.query = slice_of(rest.p + q + 1, rest.n - (size_t)q - 1);
		rest.n = (size_t)q;
	}
	h->raw_path = rest.n > 0 ? rest : SLICE("/"); /* "http://host?query" */
	return 0;
}

static int parse_request_line(struct slice line, struct http_head *h, const char **why)
{
	struct slice rest = line;
	struct slice method = slice_cut(&rest, ' ');
	struct slice target = rest.p != NULL ? slice_cut(&rest, ' ') : SLICE_NULL;
	struct slice version = rest;

	if (!http_is_token(method) || method.n > 32)
		return refuse(why, 400, "malformed method");
	if (version.p == NULL || version.n != 8 || memcmp(version.p, "HTTP/", 5) != 0 || version.p[6] != '.')
		return refuse(why, 400, "malformed request line");
	if (version.p[5] != '1')
		return refuse(
			why, version.p[5] >= '0' && version.p[5] <= '9' ? 505 : 400, "HTTP version is not supported");
	if (version.p[7] < '0' || version.p[7] > '9')
		return refuse(why, 400, "malformed HTTP version");
	h->req.minor = version.p[7] == '0' ? 0 : 1;
	h->req.method = HTTP_OTHER;
	h->req.method_text = method;
	for (size_t i = 0; i < ARRAY_LEN(methods) && h->req.method == HTTP_OTHER; i++)
		if (slice_eq(methods[i].text, method))
			h->req.method = methods[i].method;
	h->req.target = target;
	return parse_target(target, h, why);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* No control character but the tab (RFC 9110 §5.5)? Without a way out in the middle, so that it is done for many bytes at once. */
static bool value_is_clean(struct slice v)
{
	unsigned bad = 0;

	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];

		bad |= (unsigned)(c < 0x20 && c != '\t') | (unsigned)(c == 0x7f);
	}
	return bad == 0;
}

/* What is wrong with a field line that parse_field does not take. */
static const char *field_fault(struct slice line)
{
	ptrdiff_t colon = slice_chr(line, ':');

	if (memchr(line.p, '\r', line.n) != NULL || memchr(line.p, '\0', line.n) != NULL)
		return "malformed line end";
	if (is_blank(line.p[0]))
		return "folded header field";
	if (colon <= 0)
		return "header field without a colon";
	if (!http_is_token(slice_of(line.p, (size_t)colon))) /* white space before the colon too: RFC 9112 §5.1 */
		return "malformed header field name";
	return "control character in a header field";
}

/* One that is not empty, without its CRLF. */
static bool parse_field(struct slice line, struct http_header *out)
{
	const char *end = line.p + line.n, *p = line.p;

	while (p < end && token_char[(unsigned char)*p])
		p++;
	if (p == line.p || p == end || *p != ':')
		return false;
	out->name = slice_of(line.p, (size_t)(p - line.p));
	p++;
	while (p < end && is_blank(*p))
		p++;
	while (end > p && is_blank(end[-1]))
		end--;
	out->value = slice_of(p, (size_t)(end - p));
	return value_is_clean(out->value);
}

/* Is `token` an element of the comma-separated list (any case)? */
static bool list_has(struct slice list, struct slice token)
{
	while (list.p != NULL)
		if (slice_eq_nocase(slice_trim(slice_cut(&list, ',')), token))
			return true;
	return false;
}

/* Once, and as the last one. */
static bool ends_in_chunked(struct slice codings)
{
	bool chunked = false;

	while (codings.p != NULL) {
		struct slice one = slice_trim(slice_cut(&codings, ','));

		if (chunked)
			return false;
		chunked = slice_eq_nocase(one, SLICE("chunked"));
	}
	return chunked;
}

/* Range, If-Range, and the conditions: every field of RFC 9110 §13 and §14 that a request may have begins so. */
static bool is_selective(struct slice name)
{
	char c = (char)(name.p[0] | 0x20);

	return (c == 'i' && slice_starts_nocase(name, SLICE("If-"))) ||
	       (c == 'r' && slice_eq_nocase(name, SLICE("Range")));
}

/* The fields that frame the message and the connection. */
static int interpret(struct http_head *h, const char **why)
{
	int hosts = 0, lengths = 0, codings = 0;
	bool closes = false;

	h->keep_alive = h->req.minor >= 1;
	h->req.whole = h->req.method == HTTP_GET || h->req.method == HTTP_HEAD;
	for (size_t i = 0; i < h->req.header_count; i++) {
		const struct http_header *f = &h->req.headers[i];

		if (is_selective(f->name))
			h->req.whole = false;

		switch (f->name.n) {
		case 4:
			if (slice_eq_nocase(f->name, SLICE("Host"))) {
				if (++hosts > 1)
					return refuse(why, 400, "more than one Host field");
				if (!host_is_valid(f->value))
					return refuse(why, 400, "malformed Host field");
				if (h->req.host.p == NULL) /* the absolute form wins */
					h->req.host = f->value;
			}
			break;
		case 6:
			if (slice_eq_nocase(f->name, SLICE("Expect"))) {
				if (!slice_eq_nocase(f->value, SLICE("100-continue")))
					return refuse(why, 417, "unknown expectation");
				h->expect_continue = h->req.minor >= 1;
			}
			break;
		case 10:
			if (slice_eq_nocase(f->name, SLICE("Connection"))) {
				closes = closes || list_has(f->value, SLICE("close"));
				if (list_has(f->value, SLICE("keep-alive")))
					h->keep_alive = true;
			}
			break;
		case 14:
			if (slice_eq_nocase(f->name, SLICE("Content-Length"))) {
				/* Also refused when the values agree: nobody honest sends two. */
				if (++lengths > 1)
					return refuse(why, 400, "more than one Content-Length field");
				if (slice_to_i64(f->value, INT64_C(1) << 60, &h->req.content_length) != 0)
					return refuse(why, 400, "malformed Content-Length field");
			}
			break;
		case 17:
			if (slice_eq_nocase(f->name, SLICE("Transfer-Encoding"))) {
				if (++codings > 1)
					return refuse(why, 400, "more than one Transfer-Encoding field");
				/* Where the body of a request ends is only known when chunked is the last coding (RFC 9112 §6.3). */
				if (!ends_in_chunked(f->value))
					return refuse(why, 400, "transfer coding that does not end in chunked");
				if (!slice_eq_nocase(f->value, SLICE("chunked")))
					return refuse(why, 501, "unknown transfer coding");
				h->req.chunked = true;
			}
			break;
		default:
			break;
		}
	}
	h->keep_alive = h->keep_alive && !closes;
	if (h->req.minor >= 1 && hosts == 0)
		return refuse(why, 400, "no Host field");
	if (codings > 0 && (lengths > 0 || h->req.minor == 0))
		return refuse(why, 400, "conflicting message lengths");
	return 0;
}

struct slice http_header_get(const struct http_request *r, struct slice name)
{
	for (size_t i = 0; i < r->header_count; i++)
		if (slice_eq_nocase(r->headers[i].name, name))
			return r->headers[i].value;
	return SLICE_NULL;
}

struct slice http_header_last(const struct http_request *r, struct slice name)
{
	for (size_t i = r->header_count; i > 0; i--)
		if (slice_eq_nocase(r->headers[i - 1].name, name))
			return r->headers[i - 1].value;
	return SLICE_NULL;
}

int http_parse_head(const char *p, size_t n, const struct http_limits *limits, struct http_header *headers,
	struct http_head *out, const char **why)
{
	const size_t max_line = (size_t)limits->max_line, max_all = (size_t)limits->max_header_bytes;
	size_t at = 0, fields_at, count = 0, len;
	struct slice request_line;
	int rc;

	*why = NULL;
	/* An empty line before the request line is a client's slip that RFC 9112 §2.2 asks us to overlook. */
	while (at < 4 && n - at >= 2 && p[at] == '\r' && p[at + 1] == '\n')
		at += 2;
	if (at == n)
		return 0;
	len = line_length(p + at, n - at, max_line);
	if (len == SIZE_MAX)
		return refuse(why, 414, "request line too long");
	if (len == 0)
		return 0;
	if (!line_is_clean(p + at, len))
		return refuse(why, 400, "malformed line end");
	request_line = slice_of(p + at, len - 2);
	at += len;
	for (fields_at = at;; at += len) {
		len = at < n ? line_length(p + at, n - at, max_line) : 0;
		if (len == SIZE_MAX)
			return refuse(why, 431, "header field too long");
		if (at - fields_at + (len == 0 ? n - at : len) > max_all)
			return refuse(why, 431, "header fields too large");
		if (len == 0)
			return 0;
		if (len < 2 || p[at + len - 2] != '\r')
			return refuse(why, 400, "malformed line end");
		if (len == 2)
			break;
		if (count >= (size_t)limits->max_headers)
			return refuse(why, 431, "too many header fields");
		if (!parse_field(slice_of(p + at, len - 2), &headers[count]))
			return refuse(why, 400, field_fault(slice_of(p + at, len - 2)));
		count++;
	}
	memset(out, 0, sizeof(*out));
	out->req.content_length = -1;
	out->req.headers = headers;
	out->req.header_count = count;
	rc = parse_request_line(request_line, out, why);
	if (rc == 0)
		rc = interpret(out, why);
	return rc < 0 ? rc : (int)(at + 2);
}

enum { CH_SIZE, CH_EXT, CH_SIZE_LF, CH_DATA, CH_DATA_CR, CH_DATA_LF, CH_TRAILER, CH_TRAILER_LF, CH_END_LF, CH_END };
/* Nobody uses extensions or trailers: long ones, and many, are an attack. */
#define CHUNK_LINE_MAX 4096
#define CHUNK_EXT_MAX 65536 /* of the whole body */
#define CHUNK_TRAILER_MAX 16384

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* One byte of the framing: 0 go on, -1 malformed. */
static int chunked_byte(struct http_chunked *c, char b)
{
	int v;

	if (++c->line > CHUNK_LINE_MAX)
		return -1;
	switch (c->state) {
	case CH_SIZE:
		v = hex_value(b);
		if (v >= 0) {
			if (c->left > (INT64_C(1) << 56))
				return -1;
			c->left = c->left * 16 + v;
			c->digits = true;
		} else if (!c->digits) {
			return -1;
		} else if (b == ';') {
			c->state = CH_EXT;
		} else if (b == '\r') {
			c->state = CH_SIZE_LF;
		} else {
			return -1;
		}
		return 0;
	case CH_EXT:
		if (++c->ext > CHUNK_EXT_MAX)
			return -1;
		if (b == '\r')
			c->state = CH_SIZE_LF;
		else if (((unsigned char)b < 0x20 && b != '\t') || b == 0x7f)
			return -1;
		return 0;
	case CH_SIZE_LF:
		if (b != '\n')
			return -1;
		c->line = 0;
		c->state = c->left > 0 ? CH_DATA : CH_TRAILER;
		return 0;
	case CH_DATA_CR:
		c->state = CH_DATA_LF;
		return b == '\r' ? 0 : -1;
	case CH_DATA_LF:
		c->state = CH_SIZE;
		c->left = 0;
		c->line = 0;
		c->digits = false;
		return b == '\n' ? 0 : -1;
	case CH_TRAILER:
		if (++c->trailer > CHUNK_TRAILER_MAX)
			return -1;
		if (b == '\r')
			c->state = c->line == 1 ? CH_END_LF : CH_TRAILER_LF;
		else if (b == '\n' || b == '\0')
			return -1;
		return 0;
	case CH_TRAILER_LF:
		c->state = CH_TRAILER;
		c->line = 0;
		return b == '\n' ? 0 : -1;
	case CH_END_LF:
		c->state = CH_END;
		return b == '\n' ? 0 : -1;
	default:
		return -1;
	}
}

int http_chunked_next(struct http_chunked *c, struct slice *in, struct slice *out)
{
	while (c->state != CH_END) {
		if (in->n == 0)
			return 0;
		if (c->state == CH_DATA) {
			size_t take = (int64_t)in->n < c->left ? in->n : (size_t)c->left;

			*out = slice_of(in->p, take);
			*in = slice_of(in->p + take, in->n - take);
			c->left -= (int64_t)take;
			if (c->left == 0)
				c->state = CH_DATA_CR;
			return 1;
		}
		if (chunked_byte(c, in->p[0]) < 0)
			return -1;
		*in = slice_of(in->p + 1, in->n - 1);
	}
	return 2;
}
