/* Dates from headers and queries: what is read must be written and read again as the same time. */
#include "fuzz.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"

/* Years 0 to 9999, with a day to spare for the zone of an ISO date. */
#define OLDEST_S (INT64_C(-62167219200) - 86400)
#define NEWEST_S (INT64_C(253402300800) + 86400)

static void try_http(struct slice s)
{
	char text[CLOCK_HTTP_MAX];
	int64_t t = 0, again = 0;
	int rc = clock_http_parse(s, &t);

	BUG(rc != 0 && rc != -ERR_PARSE);
	BUG(rc != 0 && t != 0);
	if (rc != 0)
		return;
	BUG(t < OLDEST_S || t > NEWEST_S);
	clock_http(t, text);
	BUG(strlen(text) != 29);
	BUG(clock_http_parse(slice_str(text), &again) != 0);
	BUG(again != t && t < INT64_C(253402300800)); /* the last leap second of 9999 has no place to go */
}

static void try_iso(struct slice s)
{
	char text[CLOCK_ISO_MAX];
	int64_t t = 0, again = 0;
	int rc = clock_iso_parse(s, &t);

	BUG(rc != 0 && rc != -ERR_PARSE);
	BUG(rc != 0 && t != 0);
	if (rc != 0)
		return;
	BUG(t < OLDEST_S * US_PER_S || t > NEWEST_S * US_PER_S);
	clock_iso(t, text);
	if (t < INT64_C(-62167219200) * US_PER_S || t >= INT64_C(253402300800) * US_PER_S)
		return; /* the zone moved it out of the years that have four digits */
	BUG(clock_iso_parse(slice_str(text), &again) != 0);
	BUG(again != t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = slice_of((const char *)data, size);

	try_http(s);
	try_iso(s);
	return 0;
}
