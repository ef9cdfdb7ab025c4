/* URLs and paths as text: percent coding, normalising of request paths, joining. Pure functions. Any thread.
 * Sources: RFC 3986, RFC 9110 §4. */
#ifndef SLUICE_BASE_URL_H
#define SLUICE_BASE_URL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>

/* The path of a request target (without query), decoded exactly once and checked, into out (cap bytes, NUL-terminated;
 * needs at most path.n + 1). '+' is a literal. Refused, -ERR_INVAL: not starting with '/', bad or truncated % escapes, NUL or
 * other control bytes (raw or encoded), backslash, invalid UTF-8, an encoded slash (%2F), any "." or ".." segment
 * (raw or encoded) and empty segments ("//"). -ERR_LIMIT: longer than cap. A trailing slash is kept. */
int url_path_decode(struct slice path, char *out, size_t cap, size_t *n, struct err *err);

/* A path inside a repository, as upstream metadata gives it: not empty, no leading or trailing slash, no empty, "."
 * or ".." segment, no control bytes, no backslash, valid UTF-8, at most 2048 bytes. -ERR_INVAL with the reason. */
int url_relpath_check(struct slice path, struct err *err);

/* Appends s percent-encoded; unreserved bytes (RFC 3986) and those of `keep` stay. */
int url_encode(struct buf *b, struct slice s, const char *keep);

struct url {
	struct slice scheme;   /* as written, e.g. "https" */
	struct slice userinfo; /* p == NULL when absent */
	struct slice host;     /* without brackets for IPv6 */
	struct slice port;     /* n == 0 when absent */
	struct slice path;     /* begins with '/', or n == 0 */
	struct slice query;    /* without '?'; p == NULL when absent */
};
/* Borrows from `s`. http, https and file only. -ERR_INVAL with the reason (control bytes, spaces, no host, bad port…). A
 * fragment is left out. The path of a file: URL is the name as it stands: '?', '#', '%' and spaces belong to it. */
int url_parse(struct slice s, struct url *out, struct err *err);
/* Same scheme, host (any case) and port (defaults filled in): may credentials of one go to the other? */
bool url_same_origin(struct slice a, struct slice b);
/* "scheme://host:port" in lower case, with the port filled in. -ERR_INVAL: no URL of that kind, file: among them; -ERR_LIMIT: too long. */
#define URL_ORIGIN_MAX 280 /* a host name has 253 bytes at most */
int url_origin(struct slice s, char out[URL_ORIGIN_MAX]);
/* URL of an entry named by a manifest at `manifest_url`: its directory + encoded path ('/' and ':' kept; file: not
 * encoded) + the query of the manifest's URL. -ERR_INVAL unless relpath passes url_relpath_check(). */
int url_sibling(struct slice manifest_url, struct slice relpath, struct buf *out);
/* The URL without userinfo and query values, for logs and messages. */
int url_redact(struct slice url, struct buf *out);

#endif
