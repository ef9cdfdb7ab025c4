/* The head of a response: collected line by line as libcurl hands it over, checked, and stripped of what concerns this
 * hop only. Bytes of an upstream: everything is bounded, and no field passes on that could become two. */
#include "fetch/head.h"

#include "base/check.h"

#include <stdlib.h>

#define CONNECTION_BYTES_MAX 1024

void head_fini(struct head *h)
{
	buf_fini(&h->text);
	free(h->fields);
	free(h->out);
	*h = (struct head){0};
}

void head_reset(struct head *h)
{
	buf_reset(&h->text);
	h->count = 0;
	h->bytes = 0;
	h->status = 0;
}

static struct slice field_name(const struct head *h, const struct head_field *f)
{
	return slice_of(h->text.p + f->name, f->name_n);
}

static struct slice field_value(const struct head *h, const struct head_field *f)
{
	return slice_of(h->text.p + f->value, f->value_n);
}

/* "HTTP/1.1 200 OK" */
static int status_line(struct head *h, struct slice line, struct err *err)
{
	struct slice rest = line, digits;
	int64_t status;

	(void)slice_cut(&rest, ' ');
	digits = slice_of(rest.p, rest.n < 3 ? rest.n : 3);
	if (digits.n != 3 || slice_to_i64(digits, 999, &status) != 0 || status < 100 ||
		(rest.n > 3 && rest.p[3] != ' '))
		return err_set(err, -ERR_UPSTREAM, "malformed status line");
	h->status = (int)status;
	h->count = 0;
	buf_reset(&h->text);
	return 0;
}

static bool name_ok(struct slice name)
{
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		/* tchar of RFC 9110 §5.6.2 */
		if (c <= 0x20 || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
			return false;
	}
	return name.n > 0;
}

static bool value_ok(struct slice value)
{
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static int add_field(struct head *h, struct slice name, struct slice value, struct err *err)
{
	struct head_field f = {.name = (uint32_t)h->text.n, .name_n = (uint32_t)name.n};

	if (h->count == HEAD_FIELDS_MAX)
		return err_set(err, -ERR_UPSTREAM, "more than %d header fields", HEAD_FIELDS_MAX);
	if (h->count == h->cap) {
		size_t cap = h->cap == 0 ? 32 : h->cap * 2;
		struct head_field *fields = realloc(h->fields, cap * sizeof(*fields));

		if (fields == NULL)
			return err_set(err, -ERR_NOMEM, "header of a response");
		h->fields = fields;
		h->cap = cap;
	}
	buf_add_slice(&h->text, name);
	f.value = (uint32_t)h->text.n;
	f.value_n = (uint32_t)value.n;
	if (buf_add_slice(&h->text, value) != 0)
		return err_set(err, h->text.failed, "header of a response");
	h->fields[h->count++] = f;
	return 0;
}

int head_line(struct head *h, struct slice line, struct err *err)
{
	struct slice rest, name, value;

	h->bytes += line.n;
	if (h->bytes > HEAD_BYTES_MAX)
		return err_set(err, -ERR_UPSTREAM, "the header is longer than %d bytes", HEAD_BYTES_MAX);
	if (slice_starts(line, SLICE("HTTP/")) != (h->status == 0))
		return err_set(err, -ERR_UPSTREAM, "a status line where none belongs, or none where one does");
	if (h->status == 0)
		return status_line(h, slice_trim(line), err);
	if (line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t'))
		/* RFC 9112 §5.2 lets a client refuse folded lines; nobody sends them any more. */
		return err_set(err, -ERR_UPSTREAM, "a header field over several lines");
	line = slice_trim(line);
	if (line.n == 0) {
		if (h->status >= 200)
			return 1;
		h->status = 0; /* interim */
		return 0;
	}
	rest = line;
	name = slice_cut(&rest, ':');
	value = slice_trim(rest);
	/* libcurl tolerates such lines; passed on they could mean something else to the next reader. */
	if (rest.p == NULL || !name_ok(name) || !value_ok(value))
		return 0;
	return add_field(h, name, value, err);
}

struct slice head_find(const struct head *h, struct slice name)
{
	for (size_t i = 0; i < h->count; i++)
		if (slice_eq_nocase(field_name(h, &h->fields[i]), name))
			return field_value(h, &h->fields[i]);
	return SLICE_NULL;
}

/* Fields of RFC 9110 §7.6.1, of the proxy in between (§11.7), and those that Connection names. */
static bool is_hop_by_hop(const struct head *h, struct slice name)
{
	static const char *const always[] = {"Connection", "Keep-Alive", "Proxy-Authenticate",
		"Proxy-Authentication-Info", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade"};

	for (size_t i = 0; i < ARRAY_LEN(always); i++)
		if (slice_eq_nocase(name, slice_str(always[i])))
			return true;
	for (size_t i = 0; i < h->count; i++) {
		struct slice rest = field_value(h, &h->fields[i]);

		if (!slice_eq_nocase(field_name(h, &h->fields[i]), SLICE("Connection")))
			continue;
		while (rest.p != NULL)
			if (slice_eq_nocase(slice_trim(slice_cut(&rest, ',')), name))
				return true;
	}
	return false;
}

/* Content-Length: absent or overruled by a transfer coding: -1. Several that agree are one (RFC 9110 §8.6). */
static int get_length(const struct head *h, int64_t *out, struct err *err)
{
	int64_t length = -1;

	for (size_t i = 0; i < h->count; i++) {
		struct slice rest = field_value(h, &h->fields[i]);

		if (!slice_eq_nocase(field_name(h, &h->fields[i]), SLICE("Content-Length")))
			continue;
		while (rest.p != NULL) {
			int64_t n;

			if (slice_to_i64(slice_trim(slice_cut(&rest, ',')), INT64_MAX, &n) != 0 ||
				(length >= 0 && n != length))
				return err_set(err, -ERR_UPSTREAM, "malformed or conflicting Content-Length");
			length = n;
		}
	}
	*out = head_find(h, SLICE("Transfer-Encoding")).p != NULL ? -1 : length;
	return 0;
}

/* "bytes 0-499/1234" or "bytes 0-499/" "*" */
static int get_range(const struct head *h, int64_t *first, int64_t *last, int64_t *total)
{
	struct slice s = head_find(h, SLICE("Content-Range")), part;

	if (!slice_starts_nocase(s, SLICE("bytes ")))
		return -ERR_PARSE;
	s = slice_trim(slice_of(s.p + 6, s.n - 6));
	part = slice_cut(&s, '-');
	if (s.p == NULL || slice_to_i64(part, INT64_MAX, first) != 0)
		return -ERR_PARSE;
	part = slice_cut(&s, '/');
	if (s.p == NULL || slice_to_i64(part, INT64_MAX - 1, last) != 0 || *last < *first)
		return -ERR_PARSE;
	*total = -1;
	if (slice_eq(s, SLICE("*")))
		return 0;
	return slice_to_i64(s, INT64_MAX, total) == 0 && *total > *last ? 0 : -ERR_PARSE;
}

static int settle_range(const struct head *h, int64_t range_from, struct fetch_head *out, struct err *err)
{
	struct slice text = head_find(h, SLICE("Content-Range"));
	int64_t last;

	if (range_from <= 0)
		return err_set(err, -ERR_UPSTREAM, "answered with a part (206) although the whole was asked for");
	if (text.n == 0)
		return err_set(err, -ERR_UPSTREAM, "answered with a part (206) without Content-Range");
	if (get_range(h, &out->range_start, &last, &out->total) != 0)
		return err_set(err, -ERR_UPSTREAM, "answered with a part (206) and a malformed Content-Range: %.*s",
			(int)MIN(text.n, 100), text.p);
	if (out->range_start != range_from)
		return err_set(err, -ERR_UPSTREAM, "answered with bytes from %lld on when asked for those from %lld on",
			(long long)out->range_start, (long long)range_from);
	if (out->length >= 0 && out->length != last - range_from + 1)
		return err_set(err, -ERR_UPSTREAM, "Content-Length and Content-Range contradict each other");
	out->length = last - range_from + 1;
	return 0;
}

/* It is compared with every field: without a limit, a hostile head would cost seconds. */
static int check_connection(const struct head *h, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < h->count; i++)
		if (slice_eq_nocase(field_name(h, &h->fields[i]), SLICE("Connection")))
			n += h->fields[i].value_n;
	return n <= CONNECTION_BYTES_MAX ? 0 : err_set(err, -ERR_UPSTREAM, "a Connection field of %zu bytes", n);
}

int head_get(struct head *h, int64_t range_from, struct slice url, struct fetch_head *out, struct err *err)
{
	struct fetch_head head = {.status = h->status, .total = -1, .effective_url = url};
	int rc = check_connection(h, err);

	if (rc == 0)
		rc = get_length(h, &head.length, err);
	if (rc == 0 && h->status == 206)
		rc = settle_range(h, range_from, &head, err);
	if (rc != 0)
		return rc;
	if (h->status == 200)
		head.total = head.length;
	head.etag = head_find(h, SLICE("ETag"));
	head.last_modified = head_find(h, SLICE("Last-Modified"));
	head.content_type = head_find(h, SLICE("Content-Type"));
	head.retry_after = head_find(h, SLICE("Retry-After"));
	free(h->out);
	h->out = calloc(h->count + 1, sizeof(*h->out));
	if (h->out == NULL)
		return err_set(err, -ERR_NOMEM, "header of a response");
	for (size_t i = 0; i < h->count; i++) {
		struct slice name = field_name(h, &h->fields[i]);

		if (!is_hop_by_hop(h, name))
			h->out[head.header_count++] = (struct fetch_header){name, field_value(h, &h->fields[i])};
	}
	head.headers = h->out;
	*out = head;
	return 0;
}
