/* Time. Monotonic nanoseconds for all durations and deadlines; wall-clock microseconds since 1970 (UTC) for
 * what is stored or shown. Any thread. */
#ifndef SLUICE_BASE_CLOCK_H
#define SLUICE_BASE_CLOCK_H

#include "base/slice.h"

#include <stdint.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define US_PER_S INT64_C(1000000)

int64_t clock_mono_ns(void);
int64_t clock_wall_us(void);
/* Strictly increasing over this process, near clock_wall_us(): the order of pulp_created is relied upon. */
int64_t clock_wall_unique_us(void);

/* "2026-01-31T12:34:56.123456Z"; the fraction is left out when it is zero. */
#define CLOCK_ISO_MAX 32
char *clock_iso(int64_t wall_us, char out[CLOCK_ISO_MAX]);
/* ISO 8601 with or without seconds, fraction and zone (then UTC). -ERR_PARSE. */
int clock_iso_parse(struct slice s, int64_t *wall_us);

/* RFC 9110 §5.6.7 "Sun, 06 Nov 1994 08:49:37 GMT" (IMF-fixdate). */
#define CLOCK_HTTP_MAX 32
char *clock_http(int64_t wall_s, char out[CLOCK_HTTP_MAX]);
/* All three forms of RFC 9110 §5.6.7 (the obsolete ones must be accepted). Seconds. -ERR_PARSE. */
int clock_http_parse(struct slice s, int64_t *wall_s);

#endif
