/* Having the web server in front send what is saved (C13): guard, look-up and validators are ours, the bytes its. It is told the file's name in a field
 * of its own kind: X-Sendfile (Apache with mod_xsendfile, lighttpd), or X-Accel-Redirect (nginx), where the name is below a location that clients cannot
 * ask for. What is missing, HEAD, and whatever has a condition, which is about our validators, is answered as ever. */
#include "content/request_priv.h"

#include "base/addr.h"
#include "base/check.h"

#include <limits.h>
#include <stdlib.h>

int delegate_init(struct content *c, struct err *err)
{
	const struct settings *s = c->settings;

	c->delegate = strcmp(s->content_send_by, "x-sendfile") == 0         ? DELEGATE_SENDFILE
		      : strcmp(s->content_send_by, "x-accel-redirect") == 0 ? DELEGATE_ACCEL
									    : DELEGATE_NONE;
	if (c->delegate == DELEGATE_NONE)
		return 0;
	c->delegate_root =
		c->delegate == DELEGATE_ACCEL ? strdup(s->content_accel_prefix) : realpath(s->storage_media, NULL);
	return c->delegate_root != NULL
		       ? 0
		       : err_set(err, -ERR_IO, "the name of '%s' cannot be found out", s->storage_media);
}

/* Only to whom is a web server in front: anybody else would get a name instead of a file. */
bool delegate_fits(const struct request *rq)
{
	const struct http_request *r = rq->http;

	if (rq->role != ROLE_CONTENT || r->method != HTTP_GET)
		return false;
	for (size_t i = 0; i < r->header_count; i++)
		if (slice_starts_nocase(r->headers[i].name, SLICE("If-")))
			return false;
	return addr_list_has(rq->shard->content->settings->server_trusted_proxies, slice_str(r->peer));
}

int delegate_fields(const struct request *rq, struct http_header out[1])
{
	const struct content *c = rq->shard->content;
	size_t n = strlen(c->delegate_root);
	const char *slash = n > 0 && c->delegate_root[n - 1] == '/' ? "" : "/";
	char file[STORE_NAME_MAX];
	const char *name = arena_printf(http_arena(rq->x), "%s%s%s", c->delegate_root, slash,
		store_name(rq->entry->what.digests.d[DIGEST_SHA256], file));

	if (name == NULL)
		return -ERR_NOMEM;
	out[0].name = c->delegate == DELEGATE_ACCEL ? SLICE("X-Accel-Redirect") : SLICE("X-Sendfile");
	out[0].value = slice_str(name);
	return 0;
}
