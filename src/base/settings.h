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
	X(server, listen, LIST, "127.0.0.1:8080", 0, 0, "addresses (ADDR:PORT, [v6]:PORT) that serve API, content and metrics; https://ADDR:PORT: with TLS; port 0 takes a free one") \
	X(server, roles, LIST, "content,api,worker,redirect", 0, 0, "which roles this process plays: content, api, worker, redirect, streamer") \
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
	X(server, trusted_proxies, LIST, "127.0.0.1,::1", 0, 0, "addresses and networks of web servers in front, whose word about the original request is taken; anyone else's is dropped") \
	X(server, secrets_key, STR, "", 0, 0, "file with the key of the secrets that the catalog holds; empty: secrets.key in the data directory") \
	X(server, login_failures, INT, "10", 0, 100000, "wrong passwords for one user that an address may send before it has to wait, half a minute for each more; for all users together ten times as many; 0: any number") \
	X(server, tls_certificates, LIST, "", 0, 0, "PEM files for https:// addresses: CHAIN, or CHAIN:KEY when the key has a file of its own; chosen by the name that a client asks for, else the first") \
	X(server, tls_min_version, STR, "1.2", 0, 0, "oldest TLS version: 1.2 or 1.3")                                   \
	X(server, tls_client_certificates, STR, "off", 0, 0, "off; request: clients may show a certificate, which content guards judge; verify: one that tls_client_ca does not vouch for ends the connection") \
	X(server, tls_client_ca, STR, "", 0, 0, "PEM file of the authorities for client certificates")                   \
	X(server, tls_max_handshakes, INT, "1000", 1, 10000000, "TLS handshakes at once; past it connections wait to be accepted") \
	X(server, tls_kernel, BOOL, "true", 0, 0, "let the kernel encrypt, where it can: large bodies by sendfile")      \
	X(server, plugins, LIST, "", 0, 0, "shared objects with further formats: absolute paths")                        \
	X(content, path_prefix, STR, "/pulp/content/", 0, 0, "where content is served")                                  \
	X(content, on_missing, STR, "stream", 0, 0, "what the first request of an artifact gets: stream: the artifact, as it is downloaded; redirect: a 302 to lazy.redirect_url; refuse: a 404, from which a web server in front sends it to the redirect handler") \
	X(content, origin, STR, "", 0, 0, "scheme and host that clients use, for absolute URLs; empty: URLs are paths")  \
	X(content, failure_cooldown, MSEC, "300s", 0, INT64_C(86400000) * 30, "how long a source that sent wrong bytes, or lacks an artifact, is left alone") \
	X(content, holdback, BYTES, "256k", 0, 1073741824, "bytes withheld from clients until an artifact is verified")  \
	X(content, streamed_window, BYTES, "64M", 0, INT64_C(1) << 50, "how much of a streamed artifact is on disk at once: what is behind its readers is given back, and the download waits for them; 0: all of it") \
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
	X(content, send_by, STR, "", 0, 0, "who sends saved files to clients of trusted proxies: x-sendfile (Apache) or x-accel-redirect (nginx) tells the proxy the name of the file; empty: sluice sends them") \
	X(content, accel_prefix, STR, "/sluice-media/", 0, 0, "with x-accel-redirect: nginx's internal location of the directory storage.media") \
	X(content, foreign_networks, LIST, "", 0, 0, "networks (192.0.2.0/24) that redirects and URLs in metadata may lead to when it is not to the remote's own host; empty: any") \
	X(content, cache_entries, INT, "200000", 16, 100000000, "resolved paths remembered by each loop")                \
	X(content, cache_bytes, BYTES, "64M", 0, INT64_C(1) << 40, "small bodies kept in memory by each loop")           \
	X(content, cache_files, INT, "0", 0, 1000000, "open files kept by each loop; 0: a share of the descriptor limit") \
	X(content, superseded_window, MSEC, "3d", 0, INT64_C(86400000) * 365, "how long paths of a superseded publication are still served") \
	X(content, allowed_import_paths, LIST, "", 0, 0, "directories below which file:// remotes may read")             \
	X(lazy, redirect_url, STR, "", 0, 0, "where the redirect handler sends a client for an artifact that is not saved yet: the original path and query are appended as they are; best without a scheme (//HOST/streamer), so that clients keep theirs; empty: the handler answers 404") \
	X(lazy, redirect_valid, MSEC, "0", 0, INT64_C(86400000) * 365, "sign the URLs of redirects so that they hold at least so long, and at most twice: the streamer then answers to nothing else; 0: they are not signed") \
	X(lazy, streamer_port, INT, "8751", 0, 65535, "port of the streamer; 0 takes a free one")                        \
	X(lazy, streamer_interface, LIST, "lo", 0, 0, "where the streamer listens: names of interfaces and addresses; it asks nobody who he is, so only the cache in front should reach it") \
	X(lazy, streamer_cache_timeout, MSEC, "86400", 0, INT64_C(86400000) * 3650, "how long the cache in front of the streamer may keep what it delivers: the max-age that it is told") \
	X(lazy, save_url, STR, "", 0, 0, "where the save task fetches what a client was redirected for, or streamed: the path is appended; it should lead through the cache; empty: redirect_url, with https: in front if it has no scheme") \
	X(lazy, save_ca_cert, STR, "", 0, 0, "file with the certificate authorities of save_url (PEM); empty: the system's") \
	X(lazy, save_client_cert, STR, "", 0, 0, "file with the certificate that the save task shows there (PEM)")      \
	X(lazy, save_client_key, STR, "", 0, 0, "file with the key of save_client_cert (PEM)")                           \
	X(lazy, save_queue, INT, "10000", 0, 1000000, "save tasks that may wait; past it the next request for the file brings its own; 0: nothing is saved so") \
	X(database, url, STR, "", 0, 0, "sqlite:PATH; empty: catalog.db in the data directory")                          \
	X(database, busy_timeout, MSEC, "30s", 100, 3600000, "how long a write may wait for another process's write")    \
	X(storage, media, STR, "", 0, 0, "directory of artifacts; empty: media in the data directory")                   \
	X(storage, allowed_checksums, LIST, "sha224,sha256,sha384,sha512", 0, 0, "digests that may vouch for an artifact") \
	X(storage, staging_max, BYTES, "0", 0, INT64_C(1) << 60, "bytes of disk for the downloads in progress for clients; past it requests get 503; 0: what the disk has") \
	X(storage, use_interval, MSEC, "1h", 0, INT64_C(86400000) * 30, "how exactly the last use of an artifact is known; it is written no more often than that; 0: not at all") \
	X(storage, quota, STR, "0", 0, 0, "bytes (or N% of the file system) that saved artifacts may take: near it the least recently used that a source still offers are evicted, past it nothing more is saved; 0: no bound, and nothing is evicted") \
	X(storage, quota_high, INT, "95", 1, 100, "percent of the quota at which eviction begins")                        \
	X(storage, quota_low, INT, "90", 0, 100, "percent of the quota at which it ends")                                 \
	X(storage, min_free, STR, "1%", 0, 0, "bytes (or N%) of the file system: with less than that free artifacts are evicted, too, if there is a quota; 0: whatever is free") \
	X(tasks, workers, INT, "2", 1, 1000, "tasks that run at once")                                                   \
	X(tasks, memory_limit, BYTES, "2G", 67108864, INT64_C(1) << 50, "address space of one task")                     \
	X(tasks, time_limit, MSEC, "24h", 1000, INT64_C(86400000) * 365, "how long one task may take")                   \
	X(tasks, signing_limit, MSEC, "60s", 100, 86400000, "how long a signing service may take to sign one file")        \
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
		[96]; /* of each row, for `sluice config`: "default", "environment", "command line", "FILE:LINE" */
	char *origin_mem[96];
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
/* What a setting of bytes or percent says, of a whole of that size (a file system); "0" is 0. For settings that have been checked: storage.quota, storage.min_free. */
int64_t settings_share(const char *text, int64_t whole);
/* Is `item` in the comma-separated `list` (spaces around items ignored)? */
bool settings_list_has(const char *list, struct slice item);

#endif
