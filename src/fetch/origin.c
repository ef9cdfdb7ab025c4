/* Credentials belong to an origin: which URLs may see them, and what a remote's own headers may be. */
#include "fetch/origin.h"

#include "base/check.h"
#include "base/url.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_MAX 100
#define HEADER_BYTES_MAX 16384 /* of one: servers refuse longer ones */

static bool host_listed(const char *list, const struct url *u)
{
	struct slice rest = slice_str(list);

	while (rest.p != NULL) {
		struct slice item = slice_trim(slice_cut(&rest, ','));
		struct slice host = item, port = SLICE_NULL;
		ptrdiff_t colon = slice_rchr(item, ':');

		if (item.n > 1 && item.p[0] == '[') { /* [v6] or [v6]:port */
			ptrdiff_t end = slice_chr(item, ']');

			if (end < 0)
				continue;
			host = slice_of(item.p + 1, (size_t)end - 1);
			if (colon > end)
				port = slice_of(item.p + colon + 1, item.n - (size_t)colon - 1);
		} else if (colon >= 0) {
			host = slice_of(item.p, (size_t)colon);
			port = slice_of(item.p + colon + 1, item.n - (size_t)colon - 1);
		}
		if (host.n > 0 && slice_eq_nocase(host, u->host) && (port.n == 0 || slice_eq(port, u->port)))
			return true;
	}
	return false;
}

bool origin_may_see(const char *origin_url, const char *credential_hosts, struct slice url)
{
	struct slice origin = slice_str(origin_url);
	struct url o, u;

	if (origin_url == NULL || url_parse(origin, &o, NULL) != 0 || url_parse(url, &u, NULL) != 0)
		return false;
	if (url_same_origin(origin, url))
		return true;
	/* A listed host is trusted, the network in between is not: never from https to http. */
	if (slice_eq_nocase(o.scheme, SLICE("https")) && !slice_eq_nocase(u.scheme, SLICE("https")))
		return false;
	return credential_hosts != NULL && host_listed(credential_hosts, &u);
}

bool origin_value_ok(const char *value)
{
	for (; *value != '\0'; value++)
		if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7f)
			return false;
	return true;
}

static bool name_ok(const char *name)
{
	/* tchar of RFC 9110 §5.6.2 */
	static const char allowed[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return *name != '\0' && name[strspn(name, allowed)] == '\0';
}

/* Fields that say how this very transfer is framed, or which part of the body is meant. */
static bool is_ours(struct slice name)
{
	static const char *const ours[] = {"Accept-Encoding", "Connection", "Content-Length", "Expect", "If-Match",
		"If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Keep-Alive",
		"Proxy-Authorization", "Proxy-Connection", "Range", "TE", "Trailer", "Transfer-Encoding", "Upgrade"};

	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (slice_eq_nocase(name, slice_str(ours[i])))
			return true;
	return false;
}

static int add_header(struct origin_headers *out, const char *name, const char *value, struct err *err)
{
	struct buf line = BUF_INIT(2 * HEADER_BYTES_MAX);
	struct curl_slist *list = NULL;
	int rc;

	if (is_ours(slice_str(name)))
		return 0;
	if (slice_eq_nocase(slice_str(name), SLICE("User-Agent"))) {
		free(out->user_agent);
		out->user_agent = strdup(value);
		return out->user_agent != NULL ? 0 : err_set(err, -ERR_NOMEM, "headers of the remote");
	}
	/* To curl, "Name:" means that the field is not sent, and "Name;" that it is sent empty. */
	rc = value[0] != '\0' ? buf_addf(&line, "%s: %s", name, value) : buf_addf(&line, "%s;", name);
	if (rc == 0)
		list = curl_slist_append(out->list, line.p);
	buf_fini(&line);
	if (list == NULL)
		return err_set(err, -ERR_NOMEM, "headers of the remote");
	out->list = list;
	return 0;
}

static int add_headers(struct origin_headers *out, const json_t *item, struct err *err)
{
	const char *name;
	json_t *value;

	if (!json_is_object(item))
		return err_set(err, -ERR_INVAL, "the headers of the remote are not a list of objects");
	json_object_foreach((json_t *)item, name, value)
	{
		int rc;

		if (!name_ok(name) || !json_is_string(value) || strlen(name) > 256 ||
			json_string_length(value) > HEADER_BYTES_MAX || !origin_value_ok(json_string_value(value)))
			return err_set(err, -ERR_INVAL, "the remote has a header that cannot be sent: %.64s",
				name_ok(name) ? name : "its name is not one");
		rc = add_header(out, name, json_string_value(value), err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int origin_headers_parse(const char *json, struct origin_headers *out, struct err *err)
{
	struct origin_headers h = {0};
	json_t *root = NULL;
	json_error_t why;
	int rc = 0;

	if (json == NULL || json[0] == '\0')
		goto out;
	root = json_loads(json, JSON_DECODE_ANY, &why);
	if (root == NULL) {
		rc = err_set(err, -ERR_INVAL, "the headers of the remote are not JSON: %s", why.text);
		goto out;
	}
	if (json_is_null(root))
		goto out;
	if (!json_is_array(root) || json_array_size(root) > HEADERS_MAX) {
		rc = err_set(
			err, -ERR_INVAL, "the headers of the remote are not a list of at most %d objects", HEADERS_MAX);
		goto out;
	}
	for (size_t i = 0; i < json_array_size(root) && rc == 0; i++)
		rc = add_headers(&h, json_array_get(root, i), err);
out:
	json_decref(root);
	if (rc == 0)
		*out = h;
	else
		origin_headers_free(&h);
	return rc;
}

void origin_headers_free(struct origin_headers *h)
{
	curl_slist_free_all(h->list);
	free(h->user_agent);
	*h = (struct origin_headers){0};
}
