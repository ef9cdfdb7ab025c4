/* Connections of one remote: libcurl's multi_socket interface under our loop.
 *
 * libcurl says which sockets it waits for and for how long; we tell it what happened and collect what ended. Its
 * call-backs run inside of its functions and must not call back into the same multi handle: they only note things.
 * Loop only. */
#include "fetch/upstream.h"

#include "base/clock.h"
#include "base/log.h"
#include "fetch/transfer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define UPSTREAM_MAGIC 0x75707374u /* "upst" */

/* Idle connections kept for each remote, whatever the number that was open at once. */
#define CONNECTIONS_KEPT 32L

/* Every text of struct fetch_remote: compared and copied as one. */
#define REMOTE_STRINGS(X) \
	X(origin_url)     \
	X(ca_cert)        \
	X(client_cert)    \
	X(client_key)     \
	X(proxy_url)      \
	X(proxy_username) \
	X(proxy_password) \
	X(username)       \
	X(password)       \
	X(headers_json)

/* A socket that libcurl waits for. */
struct watch {
	struct loop_io io;
	struct upstream *upstream;
	struct link place; /* in upstream->watches */
};

/* ---- settings ---- */

static bool same_string(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* The revision should say it all; but a connection with somebody else's certificate is too high a price for trusting
 * whoever numbers revisions. */
static bool upstream_fits(const struct upstream *u, const struct fetch_remote *r)
{
	if (u->broken || u->remote.revision != r->revision || u->remote.tls_validation != r->tls_validation ||
		u->remote.foreign != r->foreign)
		return false;
#define X(name)                                    \
	if (!same_string(u->remote.name, r->name)) \
		return false;
	REMOTE_STRINGS(X)
#undef X
	return true;
}

static const char *keep_string(char **at, const char *z)
{
	char *kept = *at;
	size_t n;

	if (z == NULL)
		return NULL;
	n = strlen(z) + 1;
	memcpy(kept, z, n);
	*at += n;
	return kept;
}

static struct upstream *upstream_alloc(const struct fetch_remote *r)
{
	struct upstream *u;
	size_t n = 0;
	char *at;

#define X(name) n += r->name != NULL ? strlen(r->name) + 1 : 0;
	REMOTE_STRINGS(X)
#undef X
	u = calloc(1, sizeof(*u) + n);
	if (u == NULL)
		return NULL;
	at = u->text;
	u->remote = *r;
#define X(name) u->remote.name = keep_string(&at, r->name);
	REMOTE_STRINGS(X)
#undef X
	return u;
}

static void upstream_timer(struct loop_timer *t);

static int upstream_new(struct fetch_ctx *c, const struct fetch_remote *r, struct upstream **out, struct err *err)
{
	struct upstream *u = upstream_alloc(r);
	int rc;

	if (u == NULL)
		return err_set(err, -ERR_NOMEM, "settings of a remote");
	u->magic = UPSTREAM_MAGIC;
	u->ctx = c;
	u->timer.fn = upstream_timer;
	link_init(&u->watches);
	rc = origin_headers_parse(r->headers_json, &u->headers, err);
	if (rc == 0 && u->headers.user_agent != NULL &&
		asprintf(&u->user_agent, "%s %s", c->user_agent, u->headers.user_agent) < 0) {
		u->user_agent = NULL;
		rc = err_set(err, -ERR_NOMEM, "settings of a remote");
	}
	if (rc != 0)
		upstream_free(u);
	else
		*out = u;
	return rc;
}

int upstream_get(struct fetch_ctx *c, const struct fetch_remote *r, struct upstream **out, struct err *err)
{
	struct lane *lane = lane_get(c, r->key);
	struct upstream *u;
	int rc;

	if (lane == NULL)
		return err_set(err, -ERR_NOMEM, "queue of a remote");
	for (u = *lane_upstreams(lane); u != NULL; u = u->next)
		if (upstream_fits(u, r))
			break;
	if (u == NULL) {
		rc = upstream_new(c, r, &u, err);
		if (rc != 0)
			return rc;
		u->lane = lane;
		u->next = *lane_upstreams(lane);
		*lane_upstreams(lane) = u;
		c->idle_upstreams++;
	}
	if (u->refs++ == 0)
		c->idle_upstreams--;
	*out = u;
	return 0;
}

void upstream_put(struct upstream **pu)
{
	struct upstream *u = TAKE(*pu);

	if (u == NULL)
		return;
	MAGIC_CHECK(u, UPSTREAM_MAGIC);
	BUG(u->refs < 1);
	if (--u->refs > 0)
		return;
	/* lanes_sweep() frees it: requests that follow soon find the connections still open. */
	u->idle_since_ns = loop_now(u->ctx->loop);
	if (++u->ctx->idle_upstreams > IDLE_UPSTREAMS_MAX)
		(void)loop_timer_set(u->ctx->loop, &u->ctx->sweep, 0); /* failed: the sweep comes later */
}

void upstream_free(struct upstream *u)
{
	MAGIC_CHECK(u, UPSTREAM_MAGIC);
	BUG(u->refs != 0);
	if (u->multi != NULL)
		curl_multi_cleanup(u->multi); /* takes back every socket and the timer through the call-backs */
	loop_timer_cancel(u->ctx->loop, &u->timer);
	origin_headers_free(&u->headers);
	free(u->user_agent);
	u->magic = 0;
	free(u);
}

/* ---- libcurl and the loop ---- */

static void upstream_fail(struct upstream *u, CURLMcode rc)
{
	if (!u->broken)
		log_error("fetch", "libcurl gave up on the connections of a remote: %s", curl_multi_strerror(rc));
	u->broken = true;
	transfers_fail(u, curl_multi_strerror(rc));
}

/* Only now, outside of libcurl, are results looked at. */
static void upstream_act(struct upstream *u, curl_socket_t fd, int what)
{
	int running, left;
	CURLMcode rc = curl_multi_socket_action(u->multi, fd, what, &running);
	CURLMsg *msg;

	transfers_flush(u->ctx);
	while ((msg = curl_multi_info_read(u->multi, &left)) != NULL) {
		CURLcode result = msg->data.result;
		char *transfer = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &transfer);
		transfer_completed((struct transfer *)(void *)transfer, result);
	}
	if (rc != CURLM_OK)
		upstream_fail(u, rc);
}

static void upstream_timer(struct loop_timer *t)
{
	upstream_act(container_of(t, struct upstream, timer), CURL_SOCKET_TIMEOUT, 0);
}

static void watch_event(struct loop_io *io, uint32_t events)
{
	struct watch *w = container_of(io, struct watch, io);
	int what = 0;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP))
		what |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		what |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		what |= CURL_CSELECT_ERR;
	upstream_act(w->upstream, io->fd, what); /* w may be gone afterwards */
}

static int watch_socket(struct upstream *u, curl_socket_t fd, struct watch *w, uint32_t events)
{
	struct err err;

	if (w != NULL) {
		loop_io_mod(u->ctx->loop, &w->io, events);
		return 0;
	}
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -1;
	w->upstream = u;
	w->io.fn = watch_event;
	if (loop_io_add(u->ctx->loop, &w->io, fd, events, &err) != 0) {
		log_error("fetch", "cannot watch a connection: %s", err.msg);
		free(w);
		return -1;
	}
	link_add(&u->watches, &w->place);
	curl_multi_assign(u->multi, fd, w);
	return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
	struct upstream *u = arg;
	struct watch *w = assigned;
	uint32_t events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w != NULL) {
			loop_io_del(u->ctx->loop, &w->io);
			link_del(&w->place);
			free(w);
		}
		return 0;
	}
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= EPOLLIN;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= EPOLLOUT;
	return watch_socket(u, fd, w, events);
}

static bool is_watched(const struct upstream *u, int fd)
{
	for (const struct link *l = u->watches.next; l != &u->watches; l = l->next)
		if (container_of(l, struct watch, place)->io.fd == fd)
			return true;
	return false;
}

/* libcurl 7.88 closes the socket of a connect that failed before it takes back its interest in it, and knows sockets by
 * their number: one that gets the number anew, for the next address of the host, would never be watched. So it gets
 * another number. */
curl_socket_t upstream_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr)
{
	struct upstream *u = arg;
	int fd = socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);

	(void)purpose;
	while (fd >= 0 && is_watched(u, fd)) {
		int other = fcntl(fd, F_DUPFD_CLOEXEC, fd + 1);

		close(fd);
		fd = other;
	}
	return fd >= 0 ? fd : CURL_SOCKET_BAD;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct upstream *u = arg;

	(void)multi;
	if (timeout_ms >= 0)
		return loop_timer_set(u->ctx->loop, &u->timer, timeout_ms * NS_PER_MS) == 0 ? 0 : -1;
	loop_timer_cancel(u->ctx->loop, &u->timer);
	return 0;
}

static CURLM *multi_new(struct upstream *u)
{
	CURLM *multi = curl_multi_init();

	if (multi == NULL)
		return NULL;
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, u);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, u);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	return multi;
}

int upstream_add(struct upstream *u, CURL *easy, struct err *err)
{
	CURLMcode rc;

	MAGIC_CHECK(u, UPSTREAM_MAGIC);
	if (u->multi == NULL)
		u->multi = multi_new(u);
	if (u->multi == NULL)
		return err_set(err, -ERR_NOMEM, "libcurl");
	rc = curl_multi_add_handle(u->multi, easy);
	if (rc == CURLM_OK)
		return 0;
	if (rc == CURLM_OUT_OF_MEMORY)
		return err_set(err, -ERR_NOMEM, "libcurl");
	u->broken = true;
	return err_set(err, -ERR_INTERNAL, "libcurl: %s", curl_multi_strerror(rc));
}

void upstream_remove(struct upstream *u, CURL *easy)
{
	MAGIC_CHECK(u, UPSTREAM_MAGIC);
	(void)CHECK(curl_multi_remove_handle(u->multi, easy) == CURLM_OK);
}
