/* The scripted server. `lock` protects everything that changes, except what is the connection's own. */
#include "peer.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct peer_conn {
	struct peer *peer;
	struct peer_conn *next;
	pthread_t thread;
	int number;
	int fd;      /* -1 once closed; lock */
	void *layer; /* of the connection */
	bool ended;
};

struct peer {
	peer_fn *fn;
	void *arg;
	const struct peer_layer *layer;
	int fd;
	int port;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stopping;
	unsigned gates;
	int conn_count;
	int request_count;
	struct peer_conn *conns;
};

static void die(const char *what)
{
	perror(what);
	abort();
}

static ssize_t conn_read(struct peer_conn *c, void *p, size_t n)
{
	return c->peer->layer != NULL ? c->peer->layer->read(c->layer, p, n) : read(c->fd, p, n);
}

void peer_write(struct peer_conn *c, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0 && !c->ended) {
		ssize_t done = c->peer->layer != NULL ? c->peer->layer->write(c->layer, at, n)
						      : send(c->fd, at, n, MSG_NOSIGNAL);

		if (done <= 0) {
			peer_close(c);
			return;
		}
		at += done;
		n -= (size_t)done;
	}
}

void peer_send(struct peer_conn *c, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		die("vasprintf");
	peer_write(c, text, (size_t)n);
	free(text);
}

void peer_close(struct peer_conn *c)
{
	int fd;

	pthread_mutex_lock(&c->peer->lock);
	fd = c->fd;
	c->fd = -1;
	c->ended = true;
	pthread_mutex_unlock(&c->peer->lock);
	if (fd < 0)
		return;
	if (c->peer->layer != NULL && c->layer != NULL)
		c->peer->layer->close(c->layer);
	c->layer = NULL;
	close(fd);
}

void peer_reset(struct peer_conn *c)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	peer_close(c);
}

void peer_hang(struct peer_conn *c)
{
	char byte;

	while (!c->ended && conn_read(c, &byte, 1) > 0)
		;
	peer_close(c);
}

void peer_pause(struct peer_conn *c, int ms)
{
	struct pollfd pfd = {.fd = c->fd};

	(void)poll(&pfd, 1, ms);
}

void peer_wait(struct peer_conn *c, int gate)
{
	pthread_mutex_lock(&c->peer->lock);
	while (!c->peer->stopping && !(c->peer->gates & 1U << gate))
		pthread_cond_wait(&c->peer->changed, &c->peer->lock);
	pthread_mutex_unlock(&c->peer->lock);
}

void peer_open(struct peer *p, int gate)
{
	pthread_mutex_lock(&p->lock);
	p->gates |= 1U << gate;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static bool read_head(struct peer_conn *c, struct peer_req *req)
{
	size_t n = 0;

	while (n < sizeof(req->head) - 1) {
		/* One byte at a time: what follows the head is the next request's. */
		if (conn_read(c, req->head + n, 1) != 1)
			return false;
		req->head[++n] = '\0';
		if (n >= 4 && memcmp(req->head + n - 4, "\r\n\r\n", 4) == 0)
			return sscanf(req->head, "%15s %1023s", req->method, req->target) == 2;
	}
	return false;
}

static void *conn_thread(void *arg)
{
	struct peer_conn *c = arg;
	struct peer *p = c->peer;
	struct peer_req *req = calloc(1, sizeof(*req));

	if (req == NULL)
		die("calloc");
	if (p->layer != NULL && (c->layer = p->layer->accept(p->layer->arg, c->fd)) == NULL)
		peer_close(c);
	while (!c->ended && read_head(c, req)) {
		pthread_mutex_lock(&p->lock);
		req->conn = c->number;
		req->number = ++p->request_count;
		pthread_mutex_unlock(&p->lock);
		p->fn(c, req, p->arg);
	}
	peer_close(c);
	free(req);
	return NULL;
}

static void *peer_thread(void *arg)
{
	struct peer *p = arg;
	int fd;

	while ((fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct peer_conn *c = calloc(1, sizeof(*c));

		if (c == NULL)
			die("calloc");
		c->peer = p;
		c->fd = fd;
		pthread_mutex_lock(&p->lock);
		if (p->stopping) {
			pthread_mutex_unlock(&p->lock);
			close(fd);
			free(c);
			break;
		}
		c->number = ++p->conn_count;
		c->next = p->conns;
		p->conns = c;
		if (pthread_create(&c->thread, NULL, conn_thread, c) != 0)
			die("pthread_create");
		pthread_mutex_unlock(&p->lock);
	}
	return NULL;
}

struct peer *peer_new(peer_fn *fn, void *arg, const struct peer_layer *layer)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	struct peer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		die("calloc");
	signal(SIGPIPE, SIG_IGN);
	p->fn = fn;
	p->arg = arg;
	p->layer = layer;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 || listen(p->fd, 128) != 0 ||
		getsockname(p->fd, (struct sockaddr *)&sa, &len) != 0)
		die("cannot listen");
	p->port = ntohs(sa.sin_port);
	if (pthread_create(&p->thread, NULL, peer_thread, p) != 0)
		die("pthread_create");
	return p;
}

void peer_free(struct peer **pp)
{
	struct peer *p = *pp;
	struct peer_conn *c, *next;

	*pp = NULL;
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_broadcast(&p->changed);
	shutdown(p->fd, SHUT_RDWR); /* ends accept */
	for (c = p->conns; c != NULL; c = c->next)
		if (c->fd >= 0)
			shutdown(c->fd, SHUT_RDWR);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	for (c = p->conns; c != NULL; c = next) {
		next = c->next;
		pthread_join(c->thread, NULL);
		free(c);
	}
	close(p->fd);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

int peer_port(const struct peer *p)
{
	return p->port;
}

int peer_conns(struct peer *p)
{
	int n;

	pthread_mutex_lock(&p->lock);
	n = p->conn_count;
	pthread_mutex_unlock(&p->lock);
	return n;
}

int peer_open_conns(struct peer *p)
{
	int n = 0;

	pthread_mutex_lock(&p->lock);
	for (struct peer_conn *c = p->conns; c != NULL; c = c->next)
		n += c->fd >= 0;
	pthread_mutex_unlock(&p->lock);
	return n;
}

int peer_requests(struct peer *p)
{
	int n;

	pthread_mutex_lock(&p->lock);
	n = p->request_count;
	pthread_mutex_unlock(&p->lock);
	return n;
}

const char *peer_header(const struct peer_req *req, const char *name)
{
	static _Thread_local char value[4096];
	const char *line = strstr(req->head, "\r\n");
	size_t n = strlen(name);

	while (line != NULL && line[2] != '\r') {
		const char *end = strstr(line + 2, "\r\n");

		if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
			const char *from = line + 2 + n + 1;

			while (*from == ' ')
				from++;
			snprintf(value, sizeof(value), "%.*s", (int)(end - from), from);
			return value;
		}
		line = end;
	}
	return NULL;
}
