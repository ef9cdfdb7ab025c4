/* The task's own loop, and the texts of what upstreams do. */
#include "sync/wire.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/url.h"

#include <stdio.h>
#include <string.h>

#define POOL_THREADS 4
#define CONCURRENCY_DEFAULT 10 /* what Pulp documents for a remote that says nothing */
#define RETRIES_DEFAULT 3
#define RETRIES_MAX 100

int wire_init(struct wire *w, const struct settings *settings, struct err *err)
{
	struct fetch_ctx_opts opts = {
		.allowed_import_paths = settings->content_allowed_import_paths,
		.credential_hosts = settings->content_credential_hosts,
		.foreign_networks = settings->content_foreign_networks,
	};
	int rc = loop_new("sync", &w->loop, err);

	if (rc == 0)
		rc = pool_new("sync", POOL_THREADS, 4 * WIRE_CONCURRENCY_MAX, &w->pool, err);
	if (rc == 0) {
		opts.loop = w->loop;
		opts.pool = w->pool;
		rc = fetch_ctx_new(&opts, &w->fetch, err);
	}
	if (rc != 0)
		wire_fini(w);
	return rc;
}

void wire_fini(struct wire *w)
{
	/* Fetches first: jobs of the pool report to them, and to the loop. */
	if (w->fetch != NULL)
		fetch_ctx_free(&w->fetch);
	if (w->pool != NULL)
		pool_free(&w->pool);
	if (w->loop != NULL)
		loop_free(&w->loop);
}

int wire_concurrency(const struct remote_row *r)
{
	if (r->download_concurrency <= 0)
		return CONCURRENCY_DEFAULT;
	return (int)MIN(r->download_concurrency, WIRE_CONCURRENCY_MAX);
}

int wire_retries(const struct remote_row *r)
{
	if (r->max_retries <= 0)
		return RETRIES_DEFAULT;
	return (int)MIN(r->max_retries, RETRIES_MAX);
}

void wire_remote(const struct remote_row *r, struct fetch_remote *out)
{
	*out = (struct fetch_remote){
		.key = r->id,
		.revision = r->updated_us,
		.origin_url = r->url,
		.ca_cert = r->ca_cert,
		.client_cert = r->client_cert,
		.client_key = r->client_key,
		.tls_validation = r->tls_validation,
		.proxy_url = r->proxy_url,
		.proxy_username = r->proxy_username,
		.proxy_password = r->proxy_password,
		.username = r->username,
		.password = r->password,
		.headers_json = r->headers,
		.total_timeout_s = r->total_timeout_s,
		.connect_timeout_s = r->connect_timeout_s,
		.sock_connect_timeout_s = r->sock_connect_timeout_s,
		.sock_read_timeout_s = r->sock_read_timeout_s,
		.max_retries = wire_retries(r),
		.concurrency = wire_concurrency(r),
		.rate_limit = (int)MIN(r->rate_limit, INT32_MAX),
	};
}

struct pause {
	struct loop_timer timer;
	bool over;
};

static void pause_over(struct loop_timer *t)
{
	container_of(t, struct pause, timer)->over = true;
}

int wire_wait(struct wire *w, int64_t ms, struct err *err)
{
	struct pause p = {.timer.fn = pause_over};

	if (loop_timer_set(w->loop, &p.timer, ms * NS_PER_MS) != 0)
		return err_set(err, -ERR_NOMEM, "no memory for a timer");
	loop_run_until(w->loop, &p.over);
	return 0;
}

/* RFC 9110 §15, RFC 6585: those that an upstream may well answer. HTTP/2 has no reason phrases, so the text is ours. */
static const char *status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} rows[] = {
		{300, "Multiple Choices"},
		{301, "Moved Permanently"},
		{302, "Found"},
		{303, "See Other"},
		{304, "Not Modified"},
		{307, "Temporary Redirect"},
		{308, "Permanent Redirect"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{402, "Payment Required"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{406, "Not Acceptable"},
		{407, "Proxy Authentication Required"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{410, "Gone"},
		{412, "Precondition Failed"},
		{414, "URI Too Long"},
		{416, "Range Not Satisfiable"},
		{421, "Misdirected Request"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{451, "Unavailable For Legal Reasons"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].status == status)
			return rows[i].text;
	return "Unexpected Status";
}

int wire_status(struct err *err, int status, const char *url)
{
	struct buf shown = BUF_INIT(0);
	int code = status == 404 || status == 410 ? -ERR_GONE : -ERR_UPSTREAM;

	(void)url_redact(slice_str(url), &shown); /* an error text is written with what there is */
	err_set(err, code, "%s%d, message='%s', url='%s'", status == 407 ? "[PLP0010] " : "", status,
		status_text(status), shown.p != NULL ? shown.p : "");
	buf_fini(&shown);
	return code;
}

int wire_error(struct err *err)
{
	const char *code = NULL;
	char msg[sizeof(err->msg)];

	if (strncmp(err->msg, "[PLP", 4) == 0)
		return err->code;
	if (err->code == -ERR_TIMEOUT)
		code = "[PLP0005]";
	/* curl's text for a proxy that refuses to open a tunnel (8.x: "CONNECT tunnel failed, response 407"; 7.x: "Received
	 * HTTP code 407 from proxy after CONNECT"). */
	else if (strstr(err->msg, "407") != NULL &&
		 (strstr(err->msg, "CONNECT") != NULL || strstr(err->msg, "proxy") != NULL))
		code = "[PLP0010] Proxy Authentication Required:";
	if (code == NULL)
		return err->code;
	memcpy(msg, err->msg, sizeof(msg));
	(void)snprintf(err->msg, sizeof(err->msg), "%s %.800s", code, msg);
	return err->code;
}
