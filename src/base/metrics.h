/* Counters and gauges: metric, test oracle and coverage at once. One row is name, kind and help.
 * Adding is a relaxed atomic on a block of the calling thread's own; reading sums the blocks. Any thread. */
#ifndef SLUICE_BASE_METRICS_H
#define SLUICE_BASE_METRICS_H

#include "base/buf.h"

#include <stdint.h>

/* clang-format off */
#define METRICS(X)                                                                                  \
	X(http_connections_accepted, counter, "connections accepted")                               \
	X(http_connections_open, gauge, "connections open now")                                     \
	X(http_connections_refused, counter, "connections closed at once: too many")                \
	X(http_requests, counter, "requests whose head was read")                                   \
	X(http_bad_requests, counter, "requests refused by the parser")                             \
	X(http_timeouts, counter, "connections closed by one of the time-outs")                     \
	X(http_responses_2xx, counter, "responses by class")                                        \
	X(http_responses_3xx, counter, "responses by class")                                        \
	X(http_responses_4xx, counter, "responses by class")                                        \
	X(http_responses_5xx, counter, "responses by class")                                        \
	X(http_bytes_sent, counter, "bytes written to clients")                                     \
	X(content_hits, counter, "content requests answered from the store")                        \
	X(content_misses, counter, "content requests that joined or started a flight")              \
	X(content_not_found, counter, "content requests for an unknown path")                       \
	X(content_filter_404, counter, "unknown paths answered from memory alone")                  \
	X(content_cache_hits, counter, "look-ups answered by the resolver cache")                   \
	X(content_catalog_lookups, counter, "look-ups that asked the catalog")                      \
	X(content_short_closes, counter, "responses ended short because the source failed")         \
	X(flights_started, counter, "downloads started for clients")                                \
	X(flights_joined, counter, "requests that joined a running download")                       \
	X(flights_committed, counter, "downloads saved")                                            \
	X(flights_failed, counter, "downloads that no source completed")                            \
	X(flights_open, gauge, "downloads in progress")                                             \
	X(flight_readers, gauge, "clients reading from downloads in progress")                      \
	X(flight_source_failures, counter, "sources that failed, before or after data")             \
	X(flight_legs, counter, "ranges fetched ahead of a download, because a client waited for them") \
	X(flight_leg_bytes, counter, "bytes of them")                                               \
	X(flight_resumes, counter, "downloads continued after a break")                             \
	X(fetch_requests, counter, "requests sent upstream")                                        \
	X(fetch_retries, counter, "upstream requests repeated")                                     \
	X(fetch_bytes, counter, "body bytes received from upstream")                                \
	X(fetch_running, gauge, "requests to upstreams in progress, each with a connection")        \
	X(fetch_waiting, gauge, "requests that wait for such a place")                              \
	X(fetch_overloads, counter, "requests refused because too many waited for the upstream")    \
	X(sources_down, gauge, "upstreams that are left alone after failures")                      \
	X(sources_backoffs, counter, "upstreams that began to be left alone")                       \
	X(sources_probed, counter, "requests that tested whether an upstream has recovered")        \
	X(sources_refusals, counter, "requests not sent because an upstream was left alone")        \
	X(store_commits, counter, "artifacts saved")                                                \
	X(store_commit_failures, counter, "artifacts that could not be saved")                      \
	X(store_bytes_saved, counter, "bytes of artifacts saved")                                   \
	X(store_use_batches, counter, "batches of last uses written to the catalog")                \
	X(store_uses_written, counter, "last uses of artifacts written to the catalog")             \
	X(store_uses_dropped, counter, "last uses forgotten: too many at once, or no catalog")      \
	X(catalog_transactions, counter, "write transactions committed")                            \
	X(tasks_started, counter, "tasks started")                                                  \
	X(tasks_failed, counter, "tasks that ended failed")                                         \
	X(tasks_completed, counter, "tasks that ended completed")                                   \
	X(log_warnings, counter, "log lines of level warning")                                      \
	X(log_errors, counter, "log lines of level error")                                          \
	X(log_dropped, counter, "lines of the access log that nobody took")
/* clang-format on */

enum metric {
#define X(name, kind, help) M_##name,
	METRICS(X)
#undef X
		M_COUNT_
};

void metric_add(enum metric m, int64_t n);
#define metric_inc(m) metric_add((m), 1)
#define metric_dec(m) metric_add((m), -1)
int64_t metric_get(enum metric m);
/* Prometheus text exposition format 0.0.4; names are "sluice_<name>" with "_total" for counters. */
int metrics_text(struct buf *out);

#endif
