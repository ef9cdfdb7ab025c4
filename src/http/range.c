/* See range.h. */
#include "http/range.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"

/* A position: digits. One that no file can have is as good as the largest. */
static int parse_position(struct slice s, int64_t *out)
{
	int rc = slice_to_i64(s, INT64_MAX, out);

	if (rc == -ERR_LIMIT)
		*out = INT64_MAX;
	return rc == -ERR_INVAL ? -1 : 0;
}

/* One range-spec. 1: satisfiable; 0: not; -1: malformed. */
static int parse_one(struct slice spec, int64_t size, struct http_range *out)
{
	ptrdiff_t dash = slice_chr(spec, '-');
	struct slice first, last;
	int64_t a = 0, b = 0;

	if (dash < 0)
		return -1;
	first = slice_of(spec.p, (size_t)dash);
	last = slice_of(spec.p + dash + 1, spec.n - (size_t)dash - 1);
	if (first.n == 0) {
		if (parse_position(last, &b) != 0)
			return -1;
		out->from = b >= size ? 0 : size - b;
		out->to = size;
		return b > 0 && size > 0;
	}
	if (parse_position(first, &a) != 0)
		return -1;
	if (last.n == 0) {
		b = size - 1;
	} else {
		if (parse_position(last, &b) != 0 || b < a)
			return -1;
		if (b >= size)
			b = size - 1;
	}
	if (a >= size)
		return 0;
	out->from = a;
	out->to = b + 1;
	return 1;
}

int http_range_parse(struct slice value, int64_t size, struct http_range *out, size_t max)
{
	struct slice rest;
	size_t count = 0, specs = 0;
	int64_t sum = 0;

	if (value.p == NULL || size < 0 || !slice_starts_nocase(value, SLICE("bytes=")))
		return 0;
	rest = slice_of(value.p + 6, value.n - 6);
	while (rest.p != NULL) {
		struct slice spec = slice_trim(slice_cut(&rest, ','));
		struct http_range r;
		int rc;

		if (spec.n == 0) /* empty list elements are allowed: RFC 9110 §5.6.1 */
			continue;
		rc = parse_one(spec, size, &r);
		if (rc < 0)
			return -416;
		if (++specs > max)
			return 0;
		if (rc == 0)
			continue;
		if (__builtin_add_overflow(sum, r.to - r.from, &sum))
			return 0;
		out[count++] = r;
	}
	if (count == 0)
		return -416;
	if (count > 1 && sum - size > size)
		return 0;
	return (int)count;
}

static struct slice opaque_tag(struct slice tag)
{
	return slice_starts(tag, SLICE("W/")) ? slice_of(tag.p + 2, tag.n - 2) : tag;
}

/* Does one field's list of entity tags (or "*") match? Weak comparison unless `strong`. Tags may hold commas inside their quotes. */
static bool etag_list_matches(struct slice list, struct slice etag, bool strong)
{
	if (slice_eq(slice_trim(list), SLICE("*")))
		return true;
	while (list.n > 0) {
		size_t start, end;
		bool weak;

		while (list.n > 0 && (list.p[0] == ' ' || list.p[0] == '\t' || list.p[0] == ','))
			list = slice_of(list.p + 1, list.n - 1);
		weak = slice_starts(list, SLICE("W/"));
		start = weak ? 2 : 0;
		if (list.n <= start || list.p[start] != '"')
			return false;
		end = start + 1;
		while (end < list.n && list.p[end] != '"')
			end++;
		if (end == list.n)
			return false;
		end++;
		if (etag.n > 0 && slice_eq(slice_of(list.p + start, end - start), opaque_tag(etag)) &&
			!(strong && (weak || slice_starts(etag, SLICE("W/")))))
			return true;
		list = slice_of(list.p + end, list.n - end);
	}
	return false;
}

/* A list may be spread over several fields of its name (RFC 9110 §5.3). 1 matches, 0 does not, -1 there is no such field. */
static int etag_fields_match(const struct http_request *r, struct slice name, struct slice etag, bool strong)
{
	int rc = -1;

	for (size_t i = 0; i < r->header_count && rc != 1; i++)
		if (slice_eq_nocase(r->headers[i].name, name))
			rc = etag_list_matches(r->headers[i].value, etag, strong);
	return rc;
}

int http_conditions(const struct http_request *r, struct slice etag, int64_t last_modified_s)
{
	struct slice v;
	int64_t when;
	int match = etag_fields_match(r, SLICE("If-Match"), etag, true);

	if (match == 0)
		return 412;
	if (match < 0 && last_modified_s > 0) {
		v = http_header_get(r, SLICE("If-Unmodified-Since"));
		if (v.p != NULL && clock_http_parse(v, &when) == 0 && last_modified_s > when)
			return 412;
	}
	match = etag_fields_match(r, SLICE("If-None-Match"), etag, false);
	if (match >= 0)
		return match == 1 ? 304 : 0;
	v = http_header_get(r, SLICE("If-Modified-Since"));
	if (v.p != NULL && last_modified_s > 0 && clock_http_parse(v, &when) == 0 && last_modified_s <= when)
		return 304;
	return 0;
}

bool http_if_range_holds(const struct http_request *r, struct slice etag, int64_t last_modified_s)
{
	struct slice v = http_header_get(r, SLICE("If-Range"));
	int64_t when;

	if (v.p == NULL)
		return true;
	if (v.n > 0 && (v.p[0] == '"' || slice_starts(v, SLICE("W/"))))
		return !slice_starts(v, SLICE("W/")) && !slice_starts(etag, SLICE("W/")) && slice_eq(v, etag);
	/* A date must be the very one that was sent (RFC 9110 §13.1.5). */
	return clock_http_parse(v, &when) == 0 && last_modified_s > 0 && when == last_modified_s;
}

int http_select_part(const struct http_request *r, struct slice etag, int64_t last_modified_s, int64_t size,
	struct http_range out[HTTP_RANGES_MAX])
{
	struct slice range;
	int rc;

	if (r->whole)
		return 0;
	rc = http_conditions(r, etag, last_modified_s);
	if (rc != 0)
		return -rc;
	range = http_header_get(r, SLICE("Range"));
	/* Range is defined for GET alone (RFC 9110 §14.2). */
	if (range.p == NULL || r->method != HTTP_GET || size < 0 || !http_if_range_holds(r, etag, last_modified_s))
		return 0;
	return http_range_parse(range, size, out, HTTP_RANGES_MAX);
}
