/* Who may see what a remote keeps secret. Pure functions. */
#ifndef SLUICE_FETCH_ORIGIN_H
#define SLUICE_FETCH_ORIGIN_H

#include "base/err.h"
#include "base/slice.h"

#include <curl/curl.h>
#include <stdbool.h>

/* May user, password, client certificate and own headers of the remote at `origin_url` (NULL: of none) go to `url`? Yes for
 * the same scheme, host and port, and for `credential_hosts` (comma-separated HOST or HOST:PORT; may be NULL) when the scheme is not weaker. */
bool origin_may_see(const char *origin_url, const char *credential_hosts, struct slice url);

/* A remote's own headers, for curl. `user_agent` is not among them, because it is added to ours. */
struct origin_headers {
	struct curl_slist *list;
	char *user_agent;
};
/* From a JSON list of one-key objects. NULL and "" are no headers. -ERR_INVAL: not such a list, or what cannot be sent;
 * fields that belong to the transfer itself (Range, Accept-Encoding, Content-Length…) are left out. */
int origin_headers_parse(const char *json, struct origin_headers *out, struct err *err);
void origin_headers_free(struct origin_headers *h);
/* Can be sent as the value of a field: no control bytes, so that it cannot become two fields. */
bool origin_value_ok(const char *value);

#endif
