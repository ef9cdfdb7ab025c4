/* One attempt over HTTP, from the first request to the final response; redirects are followed here.
 *
 *   HEAD → BODY              a 200 or 206: on_head, then on_data
 *        → DISCARD           any other final status: on_head; its body is read to keep the connection, if it is short
 *        → DISCARD, hop      a redirect: then the next URL, from HEAD on
 *        → DISCARD, repeat   a status that may pass, while there are attempts left: nobody hears of it
 *
 * libcurl does not follow redirects itself, because it would show our own headers and the client's certificate to
 * wherever they lead: what may be sent is decided anew for each URL. The call-backs of libcurl only note how it shall go
 * on (`verdict`); transfer_completed() acts on it. Loop only. */
#include "fetch/transfer.h"

#include "base/addr.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/metrics.h"
#include "base/url.h"
#include "fetch/ca.h"
#include "fetch/client_cert.h"
#include "fetch/fetch_priv.h"
#include "fetch/head.h"
#include "fetch/origin.h"
#include "fetch/upstream.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRANSFER_MAGIC 0x7472616eu /* "tran" */

#define HOPS_MAX 10
#define DISCARD_MAX 65536    /* past it a new connection is cheaper than the rest of the body */
#define RETRY_AFTER_MAX_S 60 /* who asks for more is answered by giving up: that is for the caller to plan */
#define RECEIVE_BYTES (128 * 1024L)
#define TLS_REFUSED_US 2000000 /* who turns away a client for its certificate does so at once */

enum phase { PHASE_HEAD, PHASE_BODY, PHASE_DISCARD };
enum verdict {
	VERDICT_NONE,   /* it goes by libcurl's result */
	VERDICT_DONE,   /* the caller has seen all there is to see */
	VERDICT_HOP,    /* on to the next URL */
	VERDICT_REPEAT, /* a failure that may pass */
	VERDICT_FAILED, /* t->err says why */
};

struct transfer {
	uint32_t magic;
	struct fetch *fetch;
	CURL *easy;
	bool added; /* to the upstream */
	struct curl_slist *headers;
	char *url;       /* of this hop */
	bool shows_cert; /* in this hop */
	int hops;
	struct head head;
	enum phase phase;
	enum verdict verdict;
	int64_t wait_ms; /* before VERDICT_REPEAT; -1: as the back-off says */
	int64_t got;     /* bytes of the body that the caller took, or that are gathered for it */
	int64_t expect;  /* bytes that belong to the body; -1 unknown */
	int64_t discarded;
	bool paused;
	int64_t deadline_ns; /* of all hops; 0: none */
	int64_t heard_ns;    /* when something came last */
	struct loop_timer silence;
	struct err err;
	char curl_text[CURL_ERROR_SIZE];
	char refused[96]; /* the address that it may not connect to */
};

/* ---- call-backs of libcurl: inside of its functions ---- */

/* How a call-back ends a transfer: libcurl reports CURLE_WRITE_ERROR, and the verdict stands. */
#define STOP 0

static size_t transfer_refuse(struct transfer *t, int code, const char *why)
{
	t->verdict = VERDICT_FAILED;
	(void)fetch_err(&t->err, code, t->url, "%s", why);
	return STOP;
}

/* The same with the reason that t->err holds already. */
static size_t transfer_refuse_as_noted(struct transfer *t)
{
	t->verdict = VERDICT_FAILED;
	fetch_err_at(&t->err, t->url);
	return STOP;
}

static void transfer_heard(struct transfer *t)
{
	t->heard_ns = loop_now(t->fetch->ctx->loop);
}

static bool is_redirect(const struct transfer *t)
{
	switch (t->head.status) {
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		return head_find(&t->head, SLICE("Location")).n > 0;
	default:
		return false;
	}
}

static bool shall_repeat(struct transfer *t)
{
	int64_t after_s = fetch_retry_after_s(head_find(&t->head, SLICE("Retry-After")));

	if (!fetch_status_may_pass(t->head.status) || !fetch_may_retry(t->fetch) || after_s > RETRY_AFTER_MAX_S)
		return false;
	t->wait_ms = after_s * 1000;
	return true;
}

static size_t transfer_deliver_head(struct transfer *t, size_t n)
{
	struct fetch_head head;
	int rc = head_get(&t->head, t->fetch->req.range_from, slice_str(t->url), &head, &t->err);

	if (rc != 0)
		return transfer_refuse_as_noted(t);
	if (head.status == 200 || head.status == 206) {
		t->phase = PHASE_BODY;
		t->expect = head.length;
	} else {
		t->phase = PHASE_DISCARD;
		t->verdict = VERDICT_DONE;
	}
	rc = fetch_deliver_head(t->fetch, &head);
	if (rc != 0)
		return transfer_refuse(t, rc, err_text(rc));
	return n;
}

static size_t transfer_head_complete(struct transfer *t, size_t n)
{
	struct fetch *f = t->fetch;
	int64_t length;

	if (!is_redirect(t))
		health_answered(f->health, &f->asked, t->head.status,
			fetch_retry_after_s(head_find(&t->head, SLICE("Retry-After"))), loop_now(f->ctx->loop));
	if (is_redirect(t)) {
		t->phase = PHASE_DISCARD;
		t->verdict = VERDICT_HOP;
	} else if (shall_repeat(t)) {
		t->phase = PHASE_DISCARD;
		t->verdict = VERDICT_REPEAT;
	} else {
		n = transfer_deliver_head(t, n);
	}
	if (n != STOP && t->phase == PHASE_DISCARD && t->head.status != 304 &&
		slice_to_i64(head_find(&t->head, SLICE("Content-Length")), INT64_MAX, &length) == 0 &&
		length > DISCARD_MAX)
		return STOP;
	return n;
}

static size_t on_header(char *p, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t n = size * count;
	int rc;

	transfer_heard(t);
	if (t->fetch->canceled)
		return STOP;
	if (t->phase != PHASE_HEAD)
		return n; /* trailers */
	rc = head_line(&t->head, slice_of(p, n), &t->err);
	if (rc < 0)
		return transfer_refuse_as_noted(t);
	return rc == 1 ? transfer_head_complete(t, n) : n;
}

/* The next piece of the body to whom it is for. */
static size_t transfer_deliver(struct transfer *t, const char *p, size_t n)
{
	int rc = fetch_deliver_data(t->fetch, p, n);

	if (rc == FETCH_PAUSE) {
		BUG(t->fetch->req.gather);
		t->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (rc != 0)
		return transfer_refuse(t, MIN(rc, -1), err_text(rc));
	return n;
}

/* ---- pieces that come together ---- */

static size_t gather_deliver(struct gather *g)
{
	struct transfer *t = TAKE(g->of);

	return transfer_deliver(t, g->p, g->n);
}

/* Another transfer's pieces are in the way within the same call of libcurl, or there is no memory: then it goes without. */
static size_t gather_add(struct transfer *t, const char *p, size_t n)
{
	struct gather *g = &t->fetch->ctx->gather;

	if (g->of == t && g->n + n > RECEIVE_BYTES && gather_deliver(g) == STOP)
		return STOP;
	if (g->p == NULL)
		g->p = malloc(RECEIVE_BYTES);
	if ((g->of != NULL && g->of != t) || g->p == NULL || n > RECEIVE_BYTES)
		return transfer_deliver(t, p, n);
	if (g->of == NULL)
		g->n = 0;
	g->of = t;
	memcpy(g->p + g->n, p, n);
	g->n += n;
	return n;
}

void transfers_flush(struct fetch_ctx *c)
{
	struct transfer *t = c->gather.of;

	if (t == NULL || gather_deliver(&c->gather) != STOP || t->fetch->canceled)
		return;
	transfer_completed(t, CURLE_WRITE_ERROR);
}

static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t n = size * count, taken;

	transfer_heard(t);
	if (t->fetch->canceled)
		return STOP;
	if (t->phase == PHASE_HEAD)
		return transfer_refuse(t, -ERR_UPSTREAM, "a body without a head");
	if (t->phase == PHASE_DISCARD) {
		t->discarded += (int64_t)n;
		return t->discarded > DISCARD_MAX ? STOP : n;
	}
	if (FAULT("fetch.data") != 0)
		return transfer_refuse(t, -ERR_TRUNCATED, err_text(-ERR_TRUNCATED));
	if (t->expect >= 0 && (int64_t)n > t->expect - t->got)
		return transfer_refuse(t, -ERR_UPSTREAM, "the body is longer than announced");
	taken = t->fetch->req.gather ? gather_add(t, p, n) : transfer_deliver(t, p, n);
	if (taken == n)
		t->got += (int64_t)n;
	return taken;
}

/* Connected; the request is about to be sent. From here on silence is measured; before, the connect time-out counts. */
static int on_connected(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct transfer *t = arg;

	(void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
	transfer_heard(t);
	t->fetch->asked.connected = true;
	/* Failed: out of memory; then the total time-out is what is left. */
	(void)loop_timer_set(t->fetch->ctx->loop, &t->silence, t->fetch->silence_ms * NS_PER_MS);
	return CURL_PREREQFUNC_OK;
}

/* ---- setting up a request ---- */

static int add_line(struct curl_slist **list, const char *name, const char *value)
{
	struct curl_slist *more;
	char *line = NULL;

	if (value == NULL)
		return 0;
	if (asprintf(&line, "%s: %s", name, value) < 0)
		return -ERR_NOMEM;
	more = curl_slist_append(*list, line);
	free(line);
	if (more == NULL)
		return -ERR_NOMEM;
	*list = more;
	return 0;
}

static int build_headers(struct transfer *t, bool trusted)
{
	const struct fetch_req *req = &t->fetch->req;
	struct curl_slist *list = NULL, *more;
	char range[64];
	int rc;

	if (req->range_to > req->range_from)
		snprintf(range, sizeof(range), "bytes=%lld-%lld", (long long)req->range_from,
			(long long)req->range_to - 1);
	else
		snprintf(range, sizeof(range), "bytes=%lld-", (long long)req->range_from);
	rc = add_line(&list, "Accept-Encoding", "identity");
	if (rc == 0 && req->range_from > 0)
		rc = add_line(&list, "Range", range);
	if (rc == 0 && req->range_from > 0)
		rc = add_line(&list, "If-Range", req->if_range);
	if (rc == 0)
		rc = add_line(&list, "If-None-Match", req->if_none_match);
	if (rc == 0)
		rc = add_line(&list, "If-Modified-Since", req->if_modified_since);
	for (more = trusted ? t->fetch->upstream->headers.list : NULL; rc == 0 && more != NULL; more = more->next) {
		struct curl_slist *longer = curl_slist_append(list, more->data);

		if (longer == NULL)
			rc = -ERR_NOMEM;
		else
			list = longer;
	}
	curl_slist_free_all(t->headers);
	t->headers = list;
	return rc;
}

/* Every option matters, so the first that libcurl refuses is the result. */
#define SET(option, value)                                                 \
	do {                                                               \
		if (rc == CURLE_OK)                                        \
			rc = curl_easy_setopt(t->easy, (option), (value)); \
	} while (0)

static CURLcode set_blob(struct transfer *t, CURLoption option, const char *pem)
{
	struct curl_blob blob = {.data = (void *)(uintptr_t)pem, .len = strlen(pem), .flags = CURL_BLOB_NOCOPY};

	return curl_easy_setopt(t->easy, option, &blob);
}

static CURLcode set_tls(struct transfer *t, const struct fetch_remote *r, bool trusted)
{
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_SSL_VERIFYPEER, r->tls_validation ? 1L : 0L);
	SET(CURLOPT_SSL_VERIFYHOST, r->tls_validation ? 2L : 0L);
	if (rc == CURLE_OK && r->ca_cert != NULL && r->ca_cert[0] != '\0') {
		rc = set_blob(t, CURLOPT_CAINFO_BLOB, r->ca_cert);
	} else if (r->tls_validation && ca_ready()) {
		SET(CURLOPT_CAINFO, (char *)NULL);
		SET(CURLOPT_CAPATH, (char *)NULL);
		SET(CURLOPT_SSL_CTX_FUNCTION, ca_apply);
	}
	t->shows_cert = trusted && r->client_cert != NULL && r->client_cert[0] != '\0';
	if (rc != CURLE_OK || !t->shows_cert)
		return rc;
	SET(CURLOPT_SSLCERTTYPE, "PEM");
	SET(CURLOPT_SSLKEYTYPE, "PEM");
	/* Without one, libcurl takes the length of a null pointer when the key turns out to be encrypted. */
	SET(CURLOPT_KEYPASSWD, "");
	if (rc == CURLE_OK)
		rc = set_blob(t, CURLOPT_SSLCERT_BLOB, r->client_cert);
	/* A certificate without a key of its own: both are often kept in one file. */
	if (rc == CURLE_OK)
		rc = set_blob(t, CURLOPT_SSLKEY_BLOB,
			r->client_key != NULL && r->client_key[0] != '\0' ? r->client_key : r->client_cert);
	return rc;
}

static CURLcode set_proxy(struct transfer *t, const struct fetch_remote *r)
{
	CURLcode rc = CURLE_OK;

	/* Empty, not unset: else the environment would decide. */
	SET(CURLOPT_PROXY, r->proxy_url != NULL ? r->proxy_url : "");
	SET(CURLOPT_NOPROXY, "");
	SET(CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
	if (r->proxy_username != NULL && r->proxy_username[0] != '\0') {
		SET(CURLOPT_PROXYUSERNAME, r->proxy_username);
		SET(CURLOPT_PROXYPASSWORD, r->proxy_password != NULL ? r->proxy_password : "");
	}
	SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	return rc;
}

static CURLcode set_http(struct transfer *t, const struct fetch_remote *r, bool trusted)
{
	const struct upstream *u = t->fetch->upstream;
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_URL, t->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_HTTP09_ALLOWED, 0L);
	SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
	SET(CURLOPT_HTTPHEADER, t->headers);
	SET(CURLOPT_USERAGENT, trusted && u->user_agent != NULL ? u->user_agent : t->fetch->ctx->user_agent);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
	if (trusted && r->username != NULL && r->username[0] != '\0') {
		SET(CURLOPT_USERNAME, r->username);
		SET(CURLOPT_PASSWORD, r->password != NULL ? r->password : "");
	}
	return rc;
}

static CURLcode set_general(struct transfer *t, int64_t total_ms)
{
	CURLcode rc = CURLE_OK;

	SET(CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Else giving up while a name is being resolved waits for the thread that resolves it. */
	SET(CURLOPT_QUICK_EXIT, 1L);
#endif
	SET(CURLOPT_PRIVATE, (char *)t);
	SET(CURLOPT_ERRORBUFFER, t->curl_text);
	SET(CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)t->fetch->connect_ms);
	SET(CURLOPT_TIMEOUT_MS, (long)total_ms);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, (void *)t);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, (void *)t);
	SET(CURLOPT_OPENSOCKETFUNCTION, upstream_open_socket);
	SET(CURLOPT_OPENSOCKETDATA, (void *)t->fetch->upstream);
	SET(CURLOPT_PREREQFUNCTION, on_connected);
	SET(CURLOPT_PREREQDATA, (void *)t);
	return rc;
}

/* The address is known here only, when the name has been resolved. */
static curl_socket_t open_foreign(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct transfer *t = arg;
	char host[NI_MAXHOST], peer[NI_MAXHOST + 8];

	if (getnameinfo(&a->addr, a->addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST) != 0)
		return CURL_SOCKET_BAD;
	(void)snprintf(peer, sizeof(peer), strchr(host, ':') != NULL ? "[%s]:0" : "%s:0", host);
	if (addr_list_has(t->fetch->ctx->foreign_networks, slice_str(peer)))
		return upstream_open_socket(t->fetch->upstream, purpose, a);
	snprintf(t->refused, sizeof(t->refused), "%.50s lies outside of content.foreign_networks", host);
	return CURL_SOCKET_BAD;
}

/* Outside of the remote's own host only where the site allows: what upstream says must not reach what only we can reach. A connection of
 * another request, which was allowed more, is not used. */
static CURLcode set_limits(struct transfer *t, const struct fetch_remote *r, bool trusted)
{
	CURLcode rc = CURLE_OK;

	bool proxied = r->proxy_url != NULL && r->proxy_url[0] != '\0';

	if (t->fetch->ctx->foreign_networks[0] == '\0' || (!r->foreign && (trusted || proxied)))
		return rc;
	SET(CURLOPT_FRESH_CONNECT, 1L);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_foreign);
	SET(CURLOPT_OPENSOCKETDATA, (void *)t);
	return rc;
}

/* Sends the request of this hop. */
static int transfer_request(struct transfer *t, struct err *err)
{
	const struct fetch_remote *r = &t->fetch->upstream->remote;
	struct fetch_ctx *c = t->fetch->ctx;
	bool trusted = origin_may_see(r->origin_url, c->credential_hosts, slice_str(t->url));
	int64_t total_ms = 0;
	CURLcode rc;

	if (t->deadline_ns != 0) {
		total_ms = (t->deadline_ns - loop_now(c->loop)) / NS_PER_MS;
		if (total_ms <= 0)
			return fetch_err(
				err, -ERR_TIMEOUT, t->url, "not done after %lld ms", (long long)t->fetch->total_ms);
	}
	head_reset(&t->head);
	t->phase = PHASE_HEAD;
	t->verdict = VERDICT_NONE;
	t->expect = -1;
	t->discarded = 0;
	t->curl_text[0] = t->refused[0] = '\0';
	if (build_headers(t, trusted) != 0)
		return fetch_err(err, -ERR_NOMEM, t->url, "%s", err_text(-ERR_NOMEM));
	curl_easy_reset(t->easy);
	rc = set_general(t, total_ms);
	if (rc == CURLE_OK)
		rc = set_http(t, r, trusted);
	if (rc == CURLE_OK)
		rc = set_tls(t, r, trusted);
	if (rc == CURLE_OK)
		rc = set_proxy(t, r);
	if (rc == CURLE_OK)
		rc = set_limits(t, r, trusted);
	if (rc != CURLE_OK)
		return fetch_err(
			err, rc == CURLE_OUT_OF_MEMORY ? -ERR_NOMEM : -ERR_INVAL, t->url, "%s", curl_easy_strerror(rc));
	metric_inc(M_fetch_requests);
	t->added = true; /* before: libcurl may call back at once */
	if (upstream_add(t->fetch->upstream, t->easy, err) != 0) {
		t->added = false;
		return fetch_err(err, -ERR_INTERNAL, t->url, "libcurl does not take the request");
	}
	return 0;
}

/* ---- life ---- */

static void transfer_silent(struct loop_timer *timer);

static void transfer_stop(struct fetch *f)
{
	struct transfer *t = TAKE(f->exchange);

	if (t == NULL)
		return;
	MAGIC_CHECK(t, TRANSFER_MAGIC);
	if (f->ctx->gather.of == t)
		f->ctx->gather.of = NULL;
	loop_timer_cancel(f->ctx->loop, &t->silence);
	if (t->added)
		upstream_remove(f->upstream, t->easy);
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	head_fini(&t->head);
	free(t->url);
	t->magic = 0;
	free(t);
}

static int transfer_start(struct fetch *f, struct err *err)
{
	struct transfer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return fetch_err(err, -ERR_NOMEM, f->req.url, "%s", err_text(-ERR_NOMEM));
	t->magic = TRANSFER_MAGIC;
	t->fetch = f;
	t->wait_ms = -1;
	t->silence.fn = transfer_silent;
	t->head.text = BUF_INIT(HEAD_BYTES_MAX);
	if (f->total_ms > 0)
		t->deadline_ns = loop_now(f->ctx->loop) + f->total_ms * NS_PER_MS;
	f->exchange = t;
	t->url = strdup(f->req.url);
	t->easy = curl_easy_init();
	if (t->url == NULL || t->easy == NULL)
		return fetch_err(err, -ERR_NOMEM, f->req.url, "%s", err_text(-ERR_NOMEM));
	return transfer_request(t, err); /* on failure the caller stops it */
}

static void transfer_failed(struct transfer *t, int code, bool may_pass, const char *why)
{
	struct err err;

	(void)fetch_err(&err, code, t->url, "%s", why);
	fetch_attempt_ended(t->fetch, code, may_pass, -1, &err);
}

static void transfer_resume(struct fetch *f)
{
	struct transfer *t = f->exchange;
	CURLcode rc;

	if (!t->paused)
		return;
	t->paused = false;
	transfer_heard(t);
	(void)loop_timer_set(f->ctx->loop, &t->silence, f->silence_ms * NS_PER_MS); /* as in on_connected() */
	rc = curl_easy_pause(t->easy, CURLPAUSE_CONT);                              /* calls on_body at once */
	/* libcurl reports what goes wrong in here only here. */
	if (rc != CURLE_OK)
		transfer_completed(t, rc);
}

/* Nothing came for as long as sock_read allows? Set anew only when it is due: not with every piece of data. */
static void transfer_silent(struct loop_timer *timer)
{
	struct transfer *t = container_of(timer, struct transfer, silence);
	struct loop *loop = t->fetch->ctx->loop;
	int64_t left_ns = t->heard_ns + t->fetch->silence_ms * NS_PER_MS - loop_now(loop);
	char why[64];

	if (t->paused)
		return; /* transfer_resume() sets it again */
	if (left_ns > 0) {
		(void)loop_timer_set(loop, timer, left_ns); /* as in on_connected() */
		return;
	}
	if (t->phase == PHASE_DISCARD) { /* what matters was there: act on it */
		transfer_completed(t, CURLE_OPERATION_TIMEDOUT);
		return;
	}
	snprintf(why, sizeof(why), "nothing came for %lld ms", (long long)t->fetch->silence_ms);
	transfer_failed(t, -ERR_TIMEOUT, true, why);
}

/* ---- the end of a request ---- */

/* What a failure of libcurl means to us, and whether it may be gone the next time. What is not listed is upstream's
 * fault and stays. */
static const struct {
	CURLcode curl;
	int code;
	bool may_pass;
} failures[] = {
	{CURLE_COULDNT_RESOLVE_PROXY, -ERR_CONNECT, true},
	{CURLE_COULDNT_RESOLVE_HOST, -ERR_CONNECT, true},
	{CURLE_COULDNT_CONNECT, -ERR_CONNECT, true},
	{CURLE_PROXY, -ERR_CONNECT, true},
	{CURLE_SSL_CONNECT_ERROR, -ERR_CONNECT, true},
	{CURLE_SEND_ERROR, -ERR_CONNECT, true},
	{CURLE_RECV_ERROR, -ERR_CONNECT, true},
	{CURLE_GOT_NOTHING, -ERR_CONNECT, true},
	{CURLE_PARTIAL_FILE, -ERR_TRUNCATED, true},
	{CURLE_OPERATION_TIMEDOUT, -ERR_TIMEOUT, true},
	{CURLE_PEER_FAILED_VERIFICATION, -ERR_CONNECT, false},
	{CURLE_SSL_CERTPROBLEM, -ERR_CONNECT, false},
	{CURLE_SSL_CIPHER, -ERR_CONNECT, false},
	{CURLE_SSL_CACERT_BADFILE, -ERR_CONNECT, false},
	{CURLE_SSL_ISSUER_ERROR, -ERR_CONNECT, false},
	{CURLE_SSL_INVALIDCERTSTATUS, -ERR_CONNECT, false},
	{CURLE_SSL_CLIENTCERT, -ERR_CONNECT, false},
	{CURLE_OUT_OF_MEMORY, -ERR_NOMEM, false},
	{CURLE_URL_MALFORMAT, -ERR_INVAL, false},
};

/* TLS 1.3: the client is done before the server has looked at its certificate. A server that wants one and got none takes
 * the connection and closes it when the request is on its way; which call then fails, and how, is chance. */
static bool closed_after_handshake(struct transfer *t, CURLcode result)
{
	curl_off_t shaken_us = 0, ended_us = 0;
	long connects = 0;

	if ((result != CURLE_SEND_ERROR && result != CURLE_RECV_ERROR) || t->phase != PHASE_HEAD)
		return false;
	return slice_starts_nocase(slice_str(t->url), SLICE("https:")) &&
	       curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects) == CURLE_OK && connects > 0 &&
	       curl_easy_getinfo(t->easy, CURLINFO_APPCONNECT_TIME_T, &shaken_us) == CURLE_OK && shaken_us > 0 &&
	       curl_easy_getinfo(t->easy, CURLINFO_TOTAL_TIME_T, &ended_us) == CURLE_OK &&
	       ended_us - shaken_us < TLS_REFUSED_US;
}

/* In our words where libcurl's lead nowhere. */
static const char *transfer_why(struct transfer *t, CURLcode result)
{
	const struct fetch_remote *r = &t->fetch->upstream->remote;
	const char *why = NULL;

	if (result == CURLE_SSL_CERTPROBLEM && t->shows_cert)
		why = client_cert_problem(r->client_cert, r->client_key);
	else if (!t->shows_cert && closed_after_handshake(t, result))
		why = "the server closed the TLS connection; it may want a client certificate";
	if (why != NULL)
		return why;
	if (t->refused[0] != '\0')
		return t->refused;
	return t->curl_text[0] != '\0' ? t->curl_text : curl_easy_strerror(result);
}

static void transfer_broke(struct transfer *t, CURLcode result)
{
	const char *why = transfer_why(t, result);
	int code = -ERR_UPSTREAM;
	bool may_pass = false;
	long proxy_status = 0;

	for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
		if (failures[i].curl == result) {
			code = failures[i].code;
			may_pass = failures[i].may_pass;
		}
	}
	/* Once a head was there it is not the connecting that failed. */
	if (code == -ERR_CONNECT && t->phase != PHASE_HEAD)
		code = -ERR_TRUNCATED;
	/* A proxy that says no keeps saying it. */
	if (curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status) == CURLE_OK && proxy_status >= 400)
		may_pass = fetch_status_may_pass((int)proxy_status);
	transfer_failed(t, code, may_pass, why);
}

/* The absolute form of Location, which may be relative and is not always encoded. */
static char *next_url(struct transfer *t)
{
	struct slice location = head_find(&t->head, SLICE("Location"));
	char *text = slice_dup(location), *whole = NULL, *out = NULL;
	CURLU *u = curl_url();
	struct url parsed;

	if (text == NULL || u == NULL || curl_url_set(u, CURLUPART_URL, t->url, CURLU_PATH_AS_IS) != CURLUE_OK ||
		curl_url_set(u, CURLUPART_URL, text, CURLU_PATH_AS_IS | CURLU_URLENCODE) != CURLUE_OK ||
		curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) != CURLUE_OK ||
		curl_url_get(u, CURLUPART_URL, &whole, 0) != CURLUE_OK)
		goto out;
	if (url_parse(slice_str(whole), &parsed, NULL) == 0 && !slice_eq_nocase(parsed.scheme, SLICE("file")))
		out = strdup(whole);
out:
	curl_free(whole);
	curl_url_cleanup(u);
	free(text);
	return out;
}

static void transfer_hop(struct transfer *t)
{
	struct err err;
	char *url;
	int rc;

	if (t->hops == HOPS_MAX) {
		transfer_failed(t, -ERR_UPSTREAM, false, "more than 10 redirects");
		return;
	}
	url = next_url(t);
	if (url == NULL) {
		transfer_failed(t, -ERR_UPSTREAM, false, "a redirect that leads nowhere");
		return;
	}
	free(t->url);
	t->url = url;
	t->hops++;
	lane_charge(t->fetch->upstream->lane, t->fetch);
	rc = transfer_request(t, &err);
	if (rc != 0)
		fetch_attempt_ended(t->fetch, rc, rc == -ERR_TIMEOUT, -1, &err);
}

static void transfer_body_done(struct transfer *t)
{
	char why[96];

	if (t->expect < 0 || t->got == t->expect) {
		fetch_attempt_ended(t->fetch, 0, false, -1, NULL);
		return;
	}
	snprintf(why, sizeof(why), "the body ended after %lld of %lld bytes", (long long)t->got, (long long)t->expect);
	transfer_failed(t, -ERR_TRUNCATED, true, why);
}

void transfer_completed(struct transfer *t, CURLcode result)
{
	struct fetch *f = t->fetch;
	struct err err;
	char why[64];

	MAGIC_CHECK(t, TRANSFER_MAGIC);
	loop_timer_cancel(f->ctx->loop, &t->silence);
	upstream_remove(f->upstream, t->easy);
	t->added = false;
	if (f->canceled) {
		fetch_attempt_ended(f, -ERR_CANCELED, false, -1, NULL);
		return;
	}
	switch (t->verdict) {
	case VERDICT_NONE:
		if (result != CURLE_OK)
			transfer_broke(t, result);
		else if (t->phase == PHASE_HEAD)
			transfer_failed(t, -ERR_CONNECT, true, "the connection was closed within the header");
		else
			transfer_body_done(t);
		break;
	case VERDICT_DONE:
		fetch_attempt_ended(f, 0, false, -1, NULL);
		break;
	case VERDICT_HOP:
		transfer_hop(t);
		break;
	case VERDICT_REPEAT:
		snprintf(why, sizeof(why), "upstream answered %d", t->head.status);
		(void)fetch_err(&err, -ERR_UPSTREAM, t->url, "%s", why);
		fetch_attempt_ended(f, -ERR_UPSTREAM, true, t->wait_ms, &err);
		break;
	case VERDICT_FAILED:
		err = t->err;
		fetch_attempt_ended(f, err.code, err.code == -ERR_TRUNCATED, -1, &err);
		break;
	}
}

void transfers_fail(struct upstream *u, const char *why)
{
	struct link *all = &u->ctx->fetches, *l = all->next;

	while (l != all) {
		struct fetch *f = container_of(l, struct fetch, all);

		l = l->next;
		if (f->upstream != u || f->state != FETCH_RUNNING || f->kind != &fetch_kind_http)
			continue;
		transfer_failed(f->exchange, -ERR_INTERNAL, false, why);
		l = all->next; /* on_done may have changed the list anywhere */
	}
}

const struct fetch_kind fetch_kind_http = {
	.start = transfer_start,
	.resume = transfer_resume,
	.stop = transfer_stop,
};
