/* Range, If-Range and the conditions: whatever a client asks for lies inside the representation and is no multiple of it. The first line of the
 * input is a size, the second an entity tag, the others are fields. */
#include "fuzz.h"

#include "base/check.h"
#include "base/clock.h"
#include "http/range.h"

#include <stdlib.h>

#define FIELDS_MAX 16
#define DATE INT64_C(784111777)

static void check_ranges(struct slice value, int64_t size)
{
	struct http_range ranges[HTTP_RANGES_MAX];
	int rc = http_range_parse(value, size, ranges, HTTP_RANGES_MAX);
	uint64_t sum = 0;

	BUG(rc != -416 && (rc < 0 || rc > HTTP_RANGES_MAX));
	for (int i = 0; i < rc; i++) {
		BUG(ranges[i].from < 0 || ranges[i].from >= ranges[i].to || ranges[i].to > size);
		sum += (uint64_t)(ranges[i].to - ranges[i].from);
	}
	BUG(rc > 1 && sum > 2 * (uint64_t)size);
	BUG(rc != 0 && value.p == NULL);
	/* The order of the calls does not matter: nothing is kept. */
	BUG(rc != http_range_parse(value, size, ranges, HTTP_RANGES_MAX));
	/* With less room for ranges, fewer are honoured or none. */
	BUG(http_range_parse(value, size, ranges, 1) > 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_header fields[FIELDS_MAX];
	struct http_request r = {.headers = fields};
	struct slice rest = slice_of((const char *)data, size), etag;
	int64_t bytes = -1;
	int rc;

	(void)slice_to_i64(slice_cut(&rest, '\n'), INT64_MAX, &bytes); /* -1 when it is none */
	etag = slice_cut(&rest, '\n');
	while (rest.p != NULL && r.header_count < FIELDS_MAX) {
		struct slice line = slice_cut(&rest, '\n'), name = slice_cut(&line, ':');

		/* As the parser gives them: never NULL. */
		fields[r.header_count++] = (struct http_header){name, line.p != NULL ? slice_trim(line) : SLICE("")};
	}
	rc = http_conditions(&r, etag, DATE);
	BUG(rc != 0 && rc != 304 && rc != 412);
	BUG(rc == 304 && http_header_get(&r, SLICE("If-None-Match")).p == NULL &&
		http_header_get(&r, SLICE("If-Modified-Since")).p == NULL);
	if (http_if_range_holds(&r, etag, DATE)) {
		struct slice v = http_header_get(&r, SLICE("If-Range"));
		int64_t when;

		BUG(v.p != NULL && !slice_eq(v, etag) && (clock_http_parse(v, &when) != 0 || when != DATE));
		BUG(v.p != NULL && slice_starts(v, SLICE("W/")));
	}
	for (size_t i = 0; i < r.header_count; i++)
		check_ranges(fields[i].value, bytes);
	check_ranges(slice_of((const char *)data, size), 1000);
	return 0;
}
