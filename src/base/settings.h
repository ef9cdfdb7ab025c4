/* Every setting, in one table: section, key, type, default, and the help that the shipped server.conf and `sluice
 * config` show. Values come from the default, then server.conf (INI), then the environment
 * (SLUICE_SECTION_KEY), then the command line; an unknown key or a bad value is an error with file, line and reason.
 * Read at start, constant afterwards: any thread may read. */
#ifndef SLUICE_BASE_SETTINGS_H
#define SLUICE_BASE_SETTINGS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Types: STR text; LIST comma separated, kept as text; INT, with range; BYTES with suffix k M G T (powers of 1024);
 * MSEC: duration, suffix ms s m h d, plain numbers are seconds, stored in ms; BOOL true/false/yes/no/on/off/1/0. */
/* clang-format off */
#define SETTINGS(X)                                                                                                     \
	X(server, data, STR, "", 0, 0, "directory of everything that sluice keeps: database, artifacts, keys")          \
	X(server, listen, LIST, "127.0.0.1:8080", 0, 0, "addresses (ADDR:PORT, [v6]:PORT) that serve API, content and metrics; port 0 takes a free one") \
	X(server, roles, LIST, "content,api,worker", 0, 0, "which roles this process plays: content, api, worker")       \
	X(server, loops, INT, "0", 0, 256, "event loops, one thread each; 0: one for each processor")                    \
	X(server, pool_threads, INT, "0", 0, 1024, "threads for disk and database work; 0: chosen from the processors")  \
	X(server, pool_queue, INT, "10000", 16, 10000000, "jobs that may wait for such a thread; past it requests get 503") \
	X(server, max_connections, INT, "0", 0, 10000000, "connections at once; 0: what the descriptor limit allows")    \
	X(server, idle_timeout, MSEC, "60s", 100, 86400000, "how long a kept-alive connection may be silent")            \
	X(server, header_timeout, MSEC, "15s", 100, 86400000, "how long a request head may take from its first byte")    \
	X(server, body_timeout, MSEC, "30s", 100, 86400000, "how long a request body may go without a byte")             \
	X(server, send_timeout, MSEC, "60s", 100, 86400000, "how long a client may take no byte of a response")          \
	X(server, drain_timeout, MSEC, "30s", 0, 86400000, "how long responses in progress may take when the server stops") \
	X(server, max_line, BYTES, "16k", 1024, 1048576, "longest request line and header field")                        \
	X(server, max_headers, INT, "100", 10, 10000, "header fields of one request")                                    \
	X(server, max_header_bytes, BYTES, "64k", 4096, 16777216, "all header fields of one request")                    \
	X(server, max_body, BYTES, "16M", 1024, INT64_C(1) << 50, "largest request body that is held in memory")         \
	X(server, plugins, LIST, "", 0, 0, "shared objects with further formats: absolute paths")                        \
	X(content, path_prefix, STR, "/pulp/content/", 0, 0, "where content is served")                                  \
	X(content, origin, STR, "", 0, 0, "scheme and host that clients use, for absolute URLs; empty: URLs are paths")  \
	X(content, failure_cooldown, MSEC, "300s", 0, INT64_C(86400000) * 30, "how long a source that sent wrong bytes, or lacks an artifact, is left alone") \
	X(content, holdback, BYTES, "256k", 0, 1073741824, "bytes withheld from clients until an artifact is verified")  \
	X(content, max_flights, INT, "10000", 1, 1000000, "downloads for clients at once; past it requests get 503")     \
	X(content, upstream_connections, INT, "1000", 1, 100000, "downloads for clients that talk to upstreams at once") \
	X(content, upstream_connections_per_host, INT, "100", 1, 100000, "the same for one upstream host (scheme, host and port); a remote's download_concurrency may allow it less") \
	X(content, upstream_queue, INT, "2000", 0, 1000000, "downloads that may wait for a connection to one upstream host; past it requests get 503") \
	X(content, source_failures, INT, "3", 0, 1000, "failures in a row (no connection, no answer, 5xx) after which an upstream is left alone for a while; 0: never") \
	X(content, source_backoff, MSEC, "1s", 100, 3600000, "how long at first; each test that fails doubles it")        \
	X(content, source_backoff_max, MSEC, "30s", 100, 86400000, "how long at most; what an upstream asks for by Retry-After is heeded up to this") \
	X(content, finish_abandoned, INT, "0", 0, 101, "percent done from which a download that no client waits for is finished; 0 always, 101 never") \
	X(content, share_credentials, BOOL, "false", 0, 0, "let a remote's credentials serve repositories that were not synced with it") \
	X(content, credential_hosts, LIST, "", 0, 0, "further hosts that a remote's credentials may be sent to")         \
	X(content, cache_entries, INT, "200000", 16, 100000000, "resolved paths remembered by each loop")                \
	X(content, cache_bytes, BYTES, "64M", 0, INT64_C(1) << 40, "small bodies kept in memory by each loop")           \
	X(content, cache_files, INT, "0", 0, 1000000, "open files kept by each loop; 0: a share of the descriptor limit") \
	X(content, superseded_window, MSEC, "3d", 0, INT64_C(86400000) * 365, "how long paths of a superseded publication are still served") \
	X(content, allowed_import_paths, LIST, "", 0, 0, "directories below which file:// remotes may read")             \
	X(database, url, STR, "", 0, 0, "sqlite:PATH; empty: catalog.db in the data directory")                          \
	X(database, busy_timeout, MSEC, "30s", 100, 3600000, "how long a write may wait for another process's write")    \
	X(storage, media, STR, "", 0, 0, "directory of artifacts; empty: media in the data directory")                   \
	X(storage, allowed_checksums, LIST, "sha224,sha256,sha384,sha512", 0, 0, "digests that may vouch for an artifact") \
	X(storage, use_interval, MSEC, "1h", 0, INT64_C(86400000) * 30, "how exactly the last use of an artifact is known; it is written no more often than that; 0: not at all") \
	X(tasks, workers, INT, "2", 1, 1000, "tasks that run at once")                                                   \
	X(tasks, memory_limit, BYTES, "2G", 67108864, INT64_C(1) << 50, "address space of one task")                     \
	X(tasks, time_limit, MSEC, "24h", 1000, INT64_C(86400000) * 365, "how long one task may take")                   \
	X(tasks, worker_ttl, MSEC, "30s", 1000, 3600000, "age of the last heartbeat at which a worker is taken for dead") \
	X(log, level, STR, "info", 0, 0, "debug, info, warning or error")                                                \
	X(log, access, BOOL, "true", 0, 0, "one line for each request served")
/* clang-format on */

#define SETTING_T_STR char *
#define SETTING_T_LIST char *
#define SETTING_T_INT int64_t
#define SETTING_T_BYTES int64_t
#define SETTING_T_MSEC int64_t
#define SETTING_T_BOOL bool

/* settings->content_holdback and so on. Strings are never NULL. */
struct settings {
#define X(section, key, type, dflt, lo, hi, help) SETTING_T_##type section##_##key;
	SETTINGS(X)
#undef X
	const char *origin
		[64]; /* of each row, for `sluice config`: "default", "environment", "command line", "FILE:LINE" */
	char *origin_mem[64];
};

int settings_init(struct settings *s, struct err *err); /* the defaults */
void settings_fini(struct settings *s);
/* `path` as INI (libinih). -ERR_PARSE with "FILE:LINE: reason". */
int settings_read_file(struct settings *s, const char *path, struct err *err);
/* The same from memory, for tests and the fuzzer. */
int settings_read_text(struct settings *s, const char *name, struct slice text, struct err *err);
/* SLUICE_SECTION_KEY, upper case. An unknown key of one of our sections is an error; another SLUICE_ name is not (others
 * use the prefix). */
int settings_read_env(struct settings *s, char **environ_, struct err *err);
int settings_set(struct settings *s, const char *section, const char *key, struct slice value, const char *origin,
	struct err *err);
/* "[section]\n# help\nkey = value  (origin)" of all rows; `shipped`: every row commented out with its default. */
int settings_print(const struct settings *s, bool shipped, struct buf *out);
/* Is `item` in the comma-separated `list` (spaces around items ignored)? */
bool settings_list_has(const char *list, struct slice item);

#endif
