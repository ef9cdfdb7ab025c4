/* When to try again. Pure, but for the jitter's random numbers. */
#include "base/clock.h"
#include "fetch/fetch.h"

#include <stdint.h>
#include <sys/random.h>

#define BACKOFF_FIRST_MS 250
#define BACKOFF_MAX_MS 30000

int64_t fetch_backoff_ms(int attempt)
{
	int64_t ms = BACKOFF_FIRST_MS;
	uint32_t random;

	for (int i = 1; i < attempt && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	/* Without jitter, those that failed together would come again together. Three to five quarters. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint32_t)clock_mono_ns();
	ms = ms * 3 / 4 + (int64_t)(random % (uint32_t)(ms / 2 + 1));
	return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

bool fetch_status_may_pass(int status)
{
	switch (status) {
	case 408:
	case 425:
	case 429:
		return true;
	case 501: /* not implemented, and HTTP version not supported: asking again changes nothing */
	case 505:
		return false;
	default:
		return status >= 500 && status <= 599;
	}
}

int64_t fetch_retry_after_s(struct slice value)
{
	int64_t s, at, now = clock_wall_us() / US_PER_S;

	value = slice_trim(value);
	if (slice_to_i64(value, INT32_MAX, &s) == 0)
		return s;
	if (value.n == 0 || clock_http_parse(value, &at) != 0)
		return -1;
	return at > now ? at - now : 0;
}
