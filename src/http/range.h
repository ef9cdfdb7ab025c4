/* Range (RFC 9110 §14) and conditions (§13): pure functions. */
#ifndef SLUICE_HTTP_RANGE_H
#define SLUICE_HTTP_RANGE_H

#include "http/http.h"

/* zchunk clients ask for up to 256 at once. */
#define HTTP_RANGES_MAX 256

struct http_range {
	int64_t from, to; /* first byte and the one after the last */
};
/* > 0: that many ranges, clipped to the size, in the order asked; 0: no usable Range field, send everything; -416: none is satisfiable, or one is malformed
 * (RFC 9110 §14.2 leaves that choice; Pulp's clients know it so). Other units must be ignored (§14.2). A set that has too many ranges, or that asks for more
 * than twice the size in all, is ignored too: that is what overlapping ranges are abused for. */
int http_range_parse(struct slice value, int64_t size, struct http_range *out, size_t max);

/* 0: go on; 304 or 412: answer that. GET and HEAD of a representation that exists (RFC 9110 §13.2.2's order). */
int http_conditions(const struct http_request *r, struct slice etag, int64_t last_modified_s);
/* May the Range field be honoured, as far as If-Range says? True without one. */
bool http_if_range_holds(const struct http_request *r, struct slice etag, int64_t last_modified_s);
/* Which part of a representation of `size` bytes (-1: unknown) the answer to a GET or HEAD is, by its conditions and its Range field: > 0: so many
 * ranges (HTTP_RANGES_MAX at most) in out; 0: the whole; else the negative of the status that is answered instead: -304, -412, -416. */
int http_select_part(const struct http_request *r, struct slice etag, int64_t last_modified_s, int64_t size,
	struct http_range out[HTTP_RANGES_MAX]);

#endif
