/* What a process that serves content is doing just now, as data: the API shows it and knows nothing of flights and upstreams. */
#ifndef SLUICE_BASE_ACTIVITY_H
#define SLUICE_BASE_ACTIVITY_H

#include "base/url.h"

#include <stddef.h>
#include <stdint.h>

/* Rows of a view; more are counted, not shown. */
#define ACTIVITY_ROWS_MAX 1000

struct flight_view {
	uint64_t id; /* as in the log */
	const char *state;
	char artifact[192]; /* "sha256:…", or what stands for it while the digest is unknown */
	int64_t remote;     /* id in the catalog; 0: none is asked yet */
	char source[1024];  /* its URL without what is secret; "": none is asked yet */
	int64_t size;       /* -1 unknown */
	int64_t bytes;      /* that have come, without gaps */
	int64_t age_ns;
	int readers, ranges, resumes; /* ranges: requests ahead of the download */
};

struct source_view {
	int64_t remote;
	char origin[URL_ORIGIN_MAX]; /* scheme://host:port */
	const char *state;
	int64_t failures; /* in a row */
	int64_t wait_ns;  /* until it may be asked again; 0: now */
	char last_failure[256];
	int64_t first_byte_ns; /* mean; 0 unknown */
	int64_t hedge_ns;
	int64_t answers;
	int open, waiting; /* requests */
};

struct activity {
	/* Fill at most `max` rows; *n says how many, *total how many there are. 0; -ERR_NOMEM; -ERR_CLOSED: it ends. May block for a moment; any thread
	 * but a loop's. */
	int (*flights)(void *arg, struct flight_view *out, size_t max, size_t *n, int64_t *total);
	int (*sources)(void *arg, struct source_view *out, size_t max, size_t *n, int64_t *total);
	void *arg;
};

#endif
