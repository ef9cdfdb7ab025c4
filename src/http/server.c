/* Listening: sockets with SO_REUSEPORT, one per loop and address; accepting within the connection limit; draining. */
#include "http/conn_priv.h"
#include "http/tls.h"
#include "http/tls_config.h"

#include "base/log.h"
#include "base/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 64
#define ACCEPT_PAUSE_MS 100
/* Some handshakes end in that time, and looking again costs nothing beside them. */
#define HANDSHAKE_PAUSE_MS 10
/* What may wait unsent in a connection's socket; the kernel asks for more when half of it has gone. Without a bound it holds as much as a fast client
 * would need, megabytes of each slow one. What is under way to the client does not count, so that a long fat pipe is filled all the same. It costs a
 * turn of the loop for each half of it, three times the processor time of a large body on a fast network: send.c lifts it for whoever proves fast.
 * Linux 6.18 holds sendfile to it, too. */
#define UNSENT_MAX (256 * 1024)
/* For cutting what did not end in time: each loop only has to close what it has. */
#define CUT_MS 5000

static void peer_text(const struct sockaddr_storage *ss, char out[PEER_MAX])
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)ss;

		(void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		(void)snprintf(out, PEER_MAX, "%s:%u", host, ntohs(in->sin_port));
	} else if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

		(void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		(void)snprintf(out, PEER_MAX, "[%s]:%u", host, ntohs(in6->sin6_port));
	} else {
		(void)snprintf(out, PEER_MAX, "?");
	}
}

static void refuse_connection(int fd, bool tls)
{
	static const char busy[] =
		"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

	metric_inc(M_http_connections_refused);
	if (!tls) /* a handshake for the sake of a refusal would be the load that is refused */
		(void)send(fd, busy, sizeof(busy) - 1,
			MSG_NOSIGNAL | MSG_DONTWAIT); /* best effort: it is closed either way */
	(void)close(fd);
}

/* The certificates of the moment: a reference. */
static struct tls_config *current_tls(struct http_server *s)
{
	struct tls_config *c;

	pthread_mutex_lock(&s->tls_lock);
	c = tls_config_ref(s->tls);
	pthread_mutex_unlock(&s->tls_lock);
	return c;
}

static void take_connection(struct listener *l, int fd, const char *peer)
{
	struct tls_config *tls = l->tls ? current_tls(l->shard->server) : NULL;

	conn_new(l->shard, fd, peer, tls);
	tls_config_unref(&tls);
}

static void pause_listener(struct listener *l, int64_t ms)
{
	loop_io_del(l->shard->loop, &l->io);
	(void)loop_timer_set(l->shard->loop, &l->again, ms * NS_PER_MS);
}

/* As many handshakes as may be: further clients wait in the kernel's queue, like any that come faster than they are accepted. To refuse them would
 * make a fleet that comes back all at once fail, and is no defence: whoever holds a handshake open has the head time-out for it. */
static bool must_wait(struct listener *l)
{
	struct http_server *srv = l->shard->server;

	if (!l->tls || atomic_load_explicit(&srv->handshakes, memory_order_relaxed) < srv->limits.max_handshakes)
		return false;
	metric_inc(M_http_tls_waits);
	pause_listener(l, HANDSHAKE_PAUSE_MS);
	return true;
}

/* Errors of the connection that was to be accepted: accept(2) hands them on. */
static bool is_of_the_peer(int e)
{
	static const int errors[] = {EINTR, ECONNABORTED, EPROTO, EPERM, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH,
		ENONET, ENOPROTOOPT, EOPNOTSUPP, ETIMEDOUT};

	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (errors[i] == e)
			return true;
	return false;
}

static void on_accept(struct loop_io *io, uint32_t events)
{
	struct listener *l = container_of(io, struct listener, io);
	struct http_server *srv = l->shard->server;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		char peer[PEER_MAX];
		int fd;

		if (must_wait(l))
			return;
		fd = accept4(l->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (is_of_the_peer(errno))
				continue;
			if (errno != EAGAIN) {
				/* No descriptors: the listener would fire for ever; look again when some are free. */
				if (!l->starved)
					log_warn("http", "accept: %s; new connections wait", strerror(errno));
				l->starved = true;
				pause_listener(l, ACCEPT_PAUSE_MS);
			}
			return;
		}
		if (l->starved)
			log_info("http", "accepting connections again");
		l->starved = false;
		metric_inc(M_http_connections_accepted);
		if (atomic_fetch_add(&srv->open, 1) >= srv->limits.max_connections) {
			server_left(srv);
			refuse_connection(fd, l->tls);
			continue;
		}
		peer_text(&ss, peer);
		take_connection(l, fd, peer);
	}
}

static void on_again(struct loop_timer *t)
{
	struct listener *l = container_of(t, struct listener, again);
	struct err err = ERR_INIT;

	if (l->fd < 0 || loop_io_add(l->shard->loop, &l->io, l->fd, EPOLLIN, &err) == 0)
		return;
	log_error("http", "cannot accept: %s", err.msg);
	pause_listener(l, ACCEPT_PAUSE_MS);
}

static void on_log_timer(struct loop_timer *t)
{
	access_log_flush(container_of(t, struct shard, log_timer));
}

/* ---- set-up ---- */

static int resolve_address(const char *text, struct addrinfo **out, struct err *err)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
	const char *colon = strrchr(text, ':');
	char host[128];
	size_t n;
	int rc;

	if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
		return err_set(err, -ERR_INVAL, "listen address '%s' is not ADDR:PORT", text);
	n = (size_t)(colon - text);
	memcpy(host, text, n);
	host[n] = '\0';
	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		memmove(host, host + 1, n - 2);
		host[n - 2] = '\0';
	}
	if (strcmp(host, "localhost") == 0)
		hints.ai_flags &= ~AI_NUMERICHOST;
	rc = getaddrinfo(host[0] == '\0' || strcmp(host, "*") == 0 ? NULL : host, colon + 1, &hints, out);
	if (rc != 0)
		return err_set(err, -ERR_INVAL, "listen address '%s': %s", text, gai_strerror(rc));
	return 0;
}

static int open_listener(const struct sockaddr *sa, socklen_t len, int *out)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, unsent = UNSENT_MAX,
	    saved;

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
		/* Connections inherit it. */
		setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent)) < 0 || bind(fd, sa, len) < 0 ||
		listen(fd, 4096) < 0) {
		saved = errno;
		(void)close(fd);
		errno = saved;
		return -1;
	}
	*out = fd;
	return 0;
}

/* SO_REUSEPORT lets a second server of ours share the port unnoticed: this finds out before. */
static int check_free(const struct sockaddr *sa, socklen_t len)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, rc;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	rc = bind(fd, sa, len);
	if (rc == 0)
		rc = listen(fd, 1);
	if (rc < 0) {
		int saved = errno;

		(void)close(fd);
		errno = saved;
		return -1;
	}
	(void)close(fd);
	return 0;
}

/* Moves *text behind the scheme. */
static bool takes_https(const char **text)
{
	bool tls = strncasecmp(*text, "https://", 8) == 0;

	if (tls)
		*text += 8;
	else if (strncasecmp(*text, "http://", 7) == 0)
		*text += 7;
	return tls;
}

/* One listener per shard for address i. Port 0 is chosen by the first and shared by the others. */
static int listen_on(struct http_server *s, size_t i, const char *text, struct err *err)
{
	struct addrinfo *ai = NULL;
	struct sockaddr_storage ss;
	socklen_t len;
	bool tls = takes_https(&text);
	int rc = resolve_address(text, &ai, err);

	if (rc < 0)
		return rc;
	if (tls && s->tls == NULL) {
		freeaddrinfo(ai);
		return err_set(err, -ERR_INVAL, "listen on https://%s: there is no certificate", text);
	}
	len = ai->ai_addrlen;
	memcpy(&ss, ai->ai_addr, len);
	freeaddrinfo(ai);
	if (check_free((struct sockaddr *)&ss, len) < 0)
		return err_sys(err, errno, "listen on %s", text);
	for (size_t k = 0; k < s->shard_count; k++) {
		struct listener *l = &s->shards[k].listeners[i];

		l->tls = tls;
		if (open_listener((struct sockaddr *)&ss, len, &l->fd) < 0)
			return err_sys(err, errno, "listen on %s", text);
		if (k == 0) {
			socklen_t bound = sizeof(ss);

			if (getsockname(l->fd, (struct sockaddr *)&ss, &bound) < 0)
				return err_sys(err, errno, "listen on %s", text);
		}
	}
	return 0;
}

static void shard_start(struct loop_post *p)
{
	struct shard *s = container_of(p, struct shard, start);
	sigset_t pipe_signal;

	/* A client that is gone is an error of sendfile, which knows no MSG_NOSIGNAL. The signal goes to the thread that wrote. */
	(void)sigemptyset(&pipe_signal);
	(void)sigaddset(&pipe_signal, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
	for (size_t i = 0; i < s->server->listen_count; i++)
		on_again(&s->listeners[i].again);
}

static void shard_drain(struct loop_post *p)
{
	struct shard *s = container_of(p, struct shard, drain);
	struct http_server *srv = s->server;
	struct conn *next;

	s->draining = true;
	for (size_t i = 0; i < srv->listen_count; i++) {
		struct listener *l = &s->listeners[i];

		loop_timer_cancel(s->loop, &l->again);
		loop_io_del(s->loop, &l->io);
		if (l->fd >= 0)
			(void)close(l->fd);
		l->fd = -1;
	}
	for (struct conn *c = s->conns; c != NULL; c = next) {
		next = c->next;
		if (c->state == CONN_HANDSHAKE || (c->state == CONN_IDLE && !c->readable && c->in_n == 0))
			conn_close(c, CLOSE_DRAIN);
	}
	access_log_flush(s);
	pthread_mutex_lock(&srv->lock);
	srv->drained++;
	pthread_cond_broadcast(&srv->quiet);
	pthread_mutex_unlock(&srv->lock);
}

static void shard_cut(struct loop_post *p)
{
	struct shard *s = container_of(p, struct shard, cut);

	while (s->conns != NULL)
		conn_close(s->conns, CLOSE_DRAIN);
	access_log_flush(s);
}

static int shard_init(struct shard *sh, struct http_server *s, struct loop *lp, size_t k)
{
	sh->server = s;
	sh->loop = lp;
	sh->next_id = (uint64_t)k << 48 | 1;
	sh->log = BUF_INIT(64 * 1024);
	sh->log_timer.fn = on_log_timer;
	sh->start.fn = shard_start;
	sh->drain.fn = shard_drain;
	sh->cut.fn = shard_cut;
	sh->scratch = malloc(SCRATCH_SIZE);
	sh->headers = calloc((size_t)s->limits.max_headers, sizeof(*sh->headers));
	sh->listeners = calloc(s->listen_count, sizeof(*sh->listeners));
	if (s->tls != NULL)
		sh->tls_room = calloc(1, sizeof(*sh->tls_room));
	if (sh->scratch == NULL || sh->headers == NULL || sh->listeners == NULL ||
		(s->tls != NULL && sh->tls_room == NULL))
		return -ERR_NOMEM;
	for (size_t i = 0; i < s->listen_count; i++)
		sh->listeners[i] = (struct listener){.io.fn = on_accept, .shard = sh, .again.fn = on_again, .fd = -1};
	return 0;
}

/* ---- TLS ---- */

/* The options outlive the caller's. */
static int keep_tls_options(struct http_server *s, const struct http_tls *o)
{
	size_t n = 0;

	while (o->certificates[n] != NULL)
		n++;
	s->tls_strings = calloc(n + 2, sizeof(*s->tls_strings));
	if (s->tls_strings == NULL)
		return -ERR_NOMEM;
	for (size_t i = 0; i < n; i++)
		if ((s->tls_strings[i] = strdup(o->certificates[i])) == NULL)
			return -ERR_NOMEM;
	s->tls_opts = *o;
	s->tls_opts.certificates = (const char *const *)s->tls_strings;
	if (o->client_ca != NULL && (s->tls_opts.client_ca = s->tls_client_ca = strdup(o->client_ca)) == NULL)
		return -ERR_NOMEM;
	return 0;
}

static int load_tls(struct http_server *s, struct err *err)
{
	struct tls_config *fresh = NULL, *old;
	uint64_t seen = tls_config_look(&s->tls_opts);
	int64_t expires_s;
	int rc = tls_config_load(&s->tls_opts, s->ticket_keys, &fresh, err);

	s->tls_refused = rc < 0 ? seen : 0;
	if (rc < 0)
		return rc;
	expires_s = tls_config_expires_s(fresh);
	pthread_mutex_lock(&s->tls_lock);
	old = s->tls;
	s->tls = fresh;
	pthread_mutex_unlock(&s->tls_lock);
	metric_add(M_http_tls_expiry_seconds, expires_s - (old != NULL ? tls_config_expires_s(old) : 0));
	tls_config_unref(&old);
	return 0;
}

static int set_up_tls(struct http_server *s, const struct http_tls *o, struct err *err)
{
	if (keep_tls_options(s, o) < 0 || (s->ticket_keys = ticket_keys_new()) == NULL)
		return err_set(err, -ERR_NOMEM, "out of memory");
	return load_tls(s, err);
}

int http_server_reload_tls(struct http_server *s, bool always, struct err *err)
{
	uint64_t seen;
	int rc;

	if (s->tls == NULL)
		return 0;
	seen = tls_config_look(&s->tls_opts);
	if (!always && (seen == tls_config_looks(s->tls) || seen == s->tls_refused))
		return 0;
	rc = load_tls(s, err);
	return rc < 0 ? rc : 1;
}

const char *http_server_tls_name(const struct http_server *s)
{
	return s->tls != NULL ? tls_config_name(s->tls) : "";
}

bool http_server_port_has_tls(const struct http_server *s, size_t i)
{
	return s->shards[0].listeners[i].tls;
}

static void tls_fini(struct http_server *s)
{
	if (s->tls != NULL)
		metric_add(M_http_tls_expiry_seconds, -tls_config_expires_s(s->tls));
	tls_config_unref(&s->tls);
	ticket_keys_free(&s->ticket_keys);
	for (size_t i = 0; s->tls_strings != NULL && s->tls_strings[i] != NULL; i++)
		free(s->tls_strings[i]);
	free(s->tls_strings);
	free(s->tls_client_ca);
	(void)pthread_mutex_destroy(&s->tls_lock);
}

int http_server_new(const struct http_server_opts *o, struct http_server **out, struct err *err)
{
	struct http_server *s = calloc(1, sizeof(*s));
	pthread_condattr_t monotonic;
	int rc = -ERR_NOMEM;

	if (s == NULL)
		return err_set(err, -ERR_NOMEM, "out of memory");
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_mutex_init(&s->tls_lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->quiet, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	s->limits = o->limits;
	s->handler = o->handler;
	s->arg = o->arg;
	s->access_log = o->access_log;
	s->name = o->server_name;
	while (o->listen[s->listen_count] != NULL)
		s->listen_count++;
	if (o->tls != NULL && (rc = set_up_tls(s, o->tls, err)) < 0)
		goto fail;
	rc = -ERR_NOMEM;
	s->shards = calloc(o->loop_count, sizeof(*s->shards));
	s->shard_count = s->shards != NULL ? o->loop_count : 0;
	for (size_t k = 0; k < o->loop_count; k++) {
		if (s->shards == NULL || shard_init(&s->shards[k], s, o->loops[k], k) < 0) {
			(void)err_set(err, rc, "out of memory");
			goto fail;
		}
	}
	for (size_t i = 0; i < s->listen_count; i++)
		if ((rc = listen_on(s, i, o->listen[i], err)) < 0)
			goto fail;
	*out = s;
	return 0;
fail:
	http_server_free(&s);
	return rc;
}

int http_server_port(const struct http_server *s, size_t i)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(s->shards[0].listeners[i].fd, (struct sockaddr *)&ss, &len) < 0)
		return -1;
	return ntohs(ss.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&ss)->sin6_port
					      : ((struct sockaddr_in *)&ss)->sin_port);
}

void http_server_start(struct http_server *s)
{
	for (size_t k = 0; k < s->shard_count; k++)
		loop_post(s->shards[k].loop, &s->shards[k].start);
}

/* ---- the end ---- */

void server_left(struct http_server *s)
{
	if (atomic_fetch_sub(&s->open, 1) != 1 || !atomic_load(&s->waiting))
		return;
	pthread_mutex_lock(&s->lock);
	pthread_cond_broadcast(&s->quiet);
	pthread_mutex_unlock(&s->lock);
}

/* Until all shards accept no more and no connection is left; false: not within `ms`. */
static bool wait_quiet(struct http_server *s, int64_t ms)
{
	int64_t until_ns = clock_mono_ns() + ms * NS_PER_MS;
	const struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
	bool quiet;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	while (!(quiet = s->drained == s->shard_count && atomic_load(&s->open) == 0) && rc == 0)
		rc = pthread_cond_timedwait(&s->quiet, &s->lock, &until);
	pthread_mutex_unlock(&s->lock);
	return quiet;
}

void http_server_drain(struct http_server *s, int64_t drain_ms)
{
	atomic_store(&s->waiting, true);
	for (size_t k = 0; k < s->shard_count; k++)
		loop_post(s->shards[k].loop, &s->shards[k].drain);
	if (wait_quiet(s, drain_ms))
		return;
	log_warn("http", "%lld connections cut: the drain time-out is over", (long long)atomic_load(&s->open));
	for (size_t k = 0; k < s->shard_count; k++)
		loop_post(s->shards[k].loop, &s->shards[k].cut);
	if (!wait_quiet(s, CUT_MS))
		log_error("http", "a loop does not answer: connections are left open");
}

/* What drain could not end because its loop had stopped. */
static void free_conn(struct conn *c)
{
	c->shard->conns = c->next;
	if (c->x != NULL) {
		exchange_drop_body(c->x);
		buf_fini(&c->x->collect);
		exchange_give(c);
	}
	loop_timer_cancel(c->shard->loop, &c->timer);
	tls_free(&c->tls);
	(void)close(c->fd);
	free(c->in);
	free(c);
	metric_dec(M_http_connections_open);
}

/* The loop is still there, and others' timers in it: none of ours may stay among them. */
static void shard_fini(struct shard *sh)
{
	while (sh->conns != NULL)
		free_conn(sh->conns);
	for (size_t i = 0; sh->listeners != NULL && i < sh->server->listen_count; i++) {
		loop_timer_cancel(sh->loop, &sh->listeners[i].again);
		if (sh->listeners[i].fd >= 0)
			(void)close(sh->listeners[i].fd);
	}
	if (sh->log_timer.slot != 0)
		loop_timer_cancel(sh->loop, &sh->log_timer);
	access_log_flush(sh);
	exchange_pool_free(sh);
	free(sh->listeners);
	free(sh->headers);
	free(sh->scratch);
	free(sh->tls_room);
	buf_fini(&sh->log);
}

void http_server_free(struct http_server **ps)
{
	struct http_server *s = TAKE(*ps);

	if (s == NULL)
		return;
	for (size_t k = 0; k < s->shard_count; k++)
		shard_fini(&s->shards[k]);
	tls_fini(s);
	(void)pthread_cond_destroy(&s->quiet);
	(void)pthread_mutex_destroy(&s->lock);
	free(s->shards);
	free(s);
}
