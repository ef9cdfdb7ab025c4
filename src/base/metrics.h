/* Counters, gauges and histograms: metric, test oracle and coverage at once. One row is name, kind and help.
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
	X(http_tls_handshakes, counter, "TLS handshakes completed")                                 \
	X(http_tls_resumed, counter, "of these, by a session ticket")                               \
	X(http_tls_failures, counter, "TLS handshakes failed, timed out or given up")               \
	X(http_tls_waits, counter, "times a listener left clients waiting because of server.tls_max_handshakes") \
	X(http_tls_expiry_seconds, gauge, "when the first certificate expires, as Unix time")       \
	X(http_bytes_sent, counter, "bytes written to clients")                                     \
	X(content_hits, counter, "content requests answered from the store")                        \
	X(content_misses, counter, "content requests that joined or started a flight")              \
	X(content_not_found, counter, "content requests for an unknown path")                       \
	X(content_delegated, counter, "hits whose bytes a web server in front sends")                \
	X(content_denied, counter, "content requests that a guard refused")                         \
	X(content_filter_404, counter, "unknown paths answered from memory alone")                  \
	X(content_cache_hits, counter, "look-ups answered by the resolver cache")                   \
	X(content_reopens, counter, "saved artifacts opened again without asking the catalog")      \
	X(content_catalog_lookups, counter, "look-ups that asked the catalog")                      \
	X(content_redirects, counter, "requests sent to where missing artifacts are streamed")      \
	X(content_short_closes, counter, "responses ended short because the source failed")         \
	X(cold_reads, counter, "pieces of saved files that a thread read before they were sent")    \
	X(flights_started, counter, "downloads started for clients")                                \
	X(flights_joined, counter, "requests that joined a running download")                       \
	X(flights_committed, counter, "downloads saved")                                            \
	X(flights_failed, counter, "downloads that no source completed")                            \
	X(flights_open, gauge, "downloads in progress")                                             \
	X(flights_recording, gauge, "results of downloads that the catalog has not been told yet")   \
	X(flight_readers, gauge, "clients reading from downloads in progress")                      \
	X(flight_source_failures, counter, "sources that failed, before or after data")             \
	X(flight_legs, counter, "ranges fetched ahead of a download, because a client waited for them") \
	X(flight_leg_bytes, counter, "bytes of them")                                               \
	X(lazy_saves, counter, "save tasks made for what was streamed")                             \
	X(lazy_saves_dropped, counter, "save tasks not made: too many at once, or no catalog")      \
	X(staging_bytes, gauge, "bytes of disk that downloads in progress hold, or will")           \
	X(staging_refusals, counter, "downloads refused or ended because these reached their bound") \
	X(staging_writebacks, counter, "pieces of downloads sent to the disk while the rest came")   \
	X(staging_punched_bytes, counter, "bytes of streamed downloads given back to the disk behind their readers") \
	X(flight_hedges, counter, "requests to a second source beside a late one")  \
	X(flight_hedges_won, counter, "of them those whose answer came first")  \
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
	X(store_evictions, counter, "artifacts evicted, to come back with the next request")        \
	X(store_evicted_bytes, counter, "bytes of them")                                            \
	X(store_unsaved, counter, "downloads served and not saved, because the quota was reached")  \
	X(store_artifact_bytes, gauge, "bytes of saved artifacts, as the catalog knows them; with a quota only") \
	X(store_quota_bytes, gauge, "storage.quota in bytes")                                       \
	X(catalog_transactions, counter, "write transactions committed")                            \
	X(tasks_started, counter, "tasks started")                                                  \
	X(tasks_failed, counter, "tasks that ended failed")                                         \
	X(tasks_completed, counter, "tasks that ended completed")                                   \
	X(log_warnings, counter, "log lines of level warning")                                      \
	X(log_errors, counter, "log lines of level error")                                          \
	X(log_dropped, counter, "log lines that were dropped because nobody took them in time")

/* Durations. */
#define HISTOGRAMS(X) X(loop_turn_seconds, "time that event loops worked before they waited again")

/* Upper bounds of the buckets of every histogram, in microseconds; one more has what is longer. */
#define HISTOGRAM_BOUNDS_US {100, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000}
#define HISTOGRAM_BUCKETS 13
/* clang-format on */

enum metric {
#define X(name, kind, help) M_##name,
	METRICS(X)
#undef X
		M_COUNT_
};

enum histogram {
#define X(name, help) H_##name,
	HISTOGRAMS(X)
#undef X
		H_COUNT_
};

void metric_add(enum metric m, int64_t n);
#define metric_inc(m) metric_add((m), 1)
#define metric_dec(m) metric_add((m), -1)
int64_t metric_get(enum metric m);
/* One duration, in nanoseconds. */
void histogram_add(enum histogram h, int64_t ns);
/* How many there were of at most the bound of that bucket (from 0); HISTOGRAM_BUCKETS - 1: all. */
int64_t histogram_get(enum histogram h, int bucket);
/* Prometheus text exposition format 0.0.4; names are "sluice_<name>" with "_total" for counters. */
int metrics_text(struct buf *out);

#endif
