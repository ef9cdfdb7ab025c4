/* A thread that accepts, and one for each connection, which serves one request. The lock protects pages and counts. */
#include "site.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGES_MAX 200
#define ETAG_MAX 64

struct page {
	char *path, *body;
	size_t n;
	struct site_script script;
	char etag[ETAG_MAX];
	int hits, conditional, ranges;
};

struct site {
	pthread_mutex_t lock;
	pthread_cond_t idle;
	pthread_t thread;
	int fd, port;
	struct page pages[PAGES_MAX];
	int page_count;
	int open, most; /* connections */
	char url[512];
};

struct visit {
	struct site *u;
	int fd;
};

static struct page *find(struct site *u, const char *path)
{
	for (int i = 0; i < u->page_count; i++)
		if (strcmp(u->pages[i].path, path) == 0)
			return &u->pages[i];
	return NULL;
}

static struct page *find_or_make(struct site *u, const char *path)
{
	struct page *p = find(u, path);

	if (p != NULL)
		return p;
	BUG(u->page_count == PAGES_MAX);
	p = &u->pages[u->page_count++];
	*p = (struct page){.path = strdup(path)};
	return p;
}

/* The value of a header, or "" . */
static void header_of(const char *head, const char *name, char *out, size_t cap)
{
	const char *at = strcasestr(head, name), *end;

	out[0] = '\0';
	if (at == NULL)
		return;
	at += strlen(name);
	end = strstr(at, "\r\n");
	snprintf(out, cap, "%.*s", (int)(end - at), at);
}

static bool read_head(int fd, char *head, size_t cap)
{
	size_t n = 0;

	while (n + 1 < cap) {
		ssize_t got = read(fd, head + n, cap - 1 - n);

		if (got <= 0)
			return false;
		n += (size_t)got;
		head[n] = '\0';
		if (strstr(head, "\r\n\r\n") != NULL)
			return true;
	}
	return false;
}

/* What goes over the wire; made under the lock. */
struct answer {
	struct buf bytes;
	bool reset;
};

static void answer_page(struct page *p, const char *head, struct answer *a)
{
	char match[256], range[64], *end;
	int64_t from = 0, size = (int64_t)p->n, send;

	header_of(head, "If-None-Match: ", match, sizeof(match));
	header_of(head, "Range: bytes=", range, sizeof(range));
	if (p->script.status != 0) {
		buf_addf(&a->bytes, "HTTP/1.1 %d Scripted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
			p->script.status);
		return;
	}
	if (p->etag[0] != '\0' && strcmp(match, p->etag) == 0) {
		p->conditional++;
		buf_addf(&a->bytes, "HTTP/1.1 304 Not Modified\r\nETag: %s\r\nConnection: close\r\n\r\n", p->etag);
		return;
	}
	if (range[0] != '\0')
		from = strtoll(range, &end, 10);
	if (from > 0 && from < size) {
		p->ranges++;
		buf_addf(&a->bytes, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %lld-%lld/%lld\r\n",
			(long long)from, (long long)size - 1, (long long)size);
	} else {
		from = 0;
		buf_adds(&a->bytes, "HTTP/1.1 200 OK\r\n");
	}
	if (p->etag[0] != '\0')
		buf_addf(&a->bytes, "ETag: %s\r\n", p->etag);
	if (!p->script.no_length)
		buf_addf(&a->bytes, "Content-Length: %lld\r\n", (long long)(size - from));
	buf_adds(&a->bytes, "Connection: close\r\n\r\n");
	send = size - from;
	if (p->script.cut != 0) {
		p->script.cut -= p->script.cut > 0;
		send = MIN(send, p->script.cut_at);
	}
	if (send > 0)
		buf_add(&a->bytes, p->body + from, (size_t)send);
	if (p->script.flip != 0 && send > 0) {
		p->script.flip -= p->script.flip > 0;
		a->bytes.p[a->bytes.n - 1] ^= 1;
	}
}

static void make_answer(struct site *u, const char *head, struct answer *a)
{
	char path[2048] = "";
	struct page *p;

	BUG(sscanf(head, "GET %2047[^ ?]", path) != 1);
	p = find(u, path);
	if (p == NULL) {
		p = find_or_make(u, path); /* counted as well */
		p->script.status = 404;
	}
	p->hits++;
	answer_page(p, head, a);
}

static void *serve(void *arg)
{
	struct visit v = *(struct visit *)arg;
	struct answer a = {.bytes = BUF_INIT(0)};
	char head[16384], rest[256];
	size_t sent = 0;

	free(arg);
	if (read_head(v.fd, head, sizeof(head))) {
		pthread_mutex_lock(&v.u->lock);
		make_answer(v.u, head, &a);
		pthread_mutex_unlock(&v.u->lock);
	}
	while (sent < a.bytes.n) {
		ssize_t n = send(v.fd, a.bytes.p + sent, a.bytes.n - sent, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	/* The peer reads all of it before it sees the end. */
	shutdown(v.fd, SHUT_WR);
	while (read(v.fd, rest, sizeof(rest)) > 0)
		;
	close(v.fd);
	buf_fini(&a.bytes);
	pthread_mutex_lock(&v.u->lock);
	v.u->open--;
	pthread_cond_broadcast(&v.u->idle);
	pthread_mutex_unlock(&v.u->lock);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct site *u = arg;

	for (;;) {
		int fd = accept4(u->fd, NULL, NULL, SOCK_CLOEXEC);
		struct visit *v;
		pthread_t thread;

		if (fd < 0)
			return NULL;
		v = malloc(sizeof(*v));
		BUG(v == NULL);
		*v = (struct visit){u, fd};
		pthread_mutex_lock(&u->lock);
		u->open++;
		u->most = MAX(u->most, u->open);
		pthread_mutex_unlock(&u->lock);
		BUG(pthread_create(&thread, NULL, serve, v) != 0);
		pthread_detach(thread);
	}
}

struct site *site_start(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(sa);
	struct site *u = calloc(1, sizeof(*u));

	BUG(u == NULL);
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->idle, NULL);
	u->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	BUG(u->fd < 0 || bind(u->fd, (struct sockaddr *)&sa, n) != 0 || listen(u->fd, 100) != 0);
	BUG(getsockname(u->fd, (struct sockaddr *)&sa, &n) != 0);
	u->port = ntohs(sa.sin_port);
	BUG(pthread_create(&u->thread, NULL, accept_all, u) != 0);
	return u;
}

void site_stop(struct site **pu)
{
	struct site *u = TAKE(*pu);

	if (u == NULL)
		return;
	shutdown(u->fd, SHUT_RDWR);
	pthread_join(u->thread, NULL);
	close(u->fd);
	pthread_mutex_lock(&u->lock);
	while (u->open > 0)
		pthread_cond_wait(&u->idle, &u->lock);
	pthread_mutex_unlock(&u->lock);
	for (int i = 0; i < u->page_count; i++) {
		free(u->pages[i].path);
		free(u->pages[i].body);
	}
	pthread_cond_destroy(&u->idle);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

const char *site_url(struct site *u, const char *path)
{
	snprintf(u->url, sizeof(u->url), "http://127.0.0.1:%d%s", u->port, path);
	return u->url;
}

void site_put(struct site *u, const char *path, struct slice body)
{
	struct page *p;

	pthread_mutex_lock(&u->lock);
	p = find_or_make(u, path);
	free(p->body);
	*p = (struct page){.path = p->path, .body = slice_dup(body), .n = body.n};
	pthread_mutex_unlock(&u->lock);
}

void site_drop(struct site *u, const char *path)
{
	site_script(u, path, &(struct site_script){.status = 404});
}

void site_script(struct site *u, const char *path, const struct site_script *s)
{
	struct page *p;

	pthread_mutex_lock(&u->lock);
	p = find_or_make(u, path);
	p->script = *s;
	snprintf(p->etag, sizeof(p->etag), "%s", s->etag != NULL ? s->etag : "");
	pthread_mutex_unlock(&u->lock);
}

/* One of a page's counts, read under the lock. */
static int count_of(struct site *u, const char *path, size_t field)
{
	const struct page *p;
	int n = 0;

	pthread_mutex_lock(&u->lock);
	p = find(u, path);
	if (p != NULL)
		memcpy(&n, (const char *)p + field, sizeof(n));
	pthread_mutex_unlock(&u->lock);
	return n;
}

int site_hits(struct site *u, const char *path)
{
	return count_of(u, path, offsetof(struct page, hits));
}

int site_conditional(struct site *u, const char *path)
{
	return count_of(u, path, offsetof(struct page, conditional));
}

int site_ranges(struct site *u, const char *path)
{
	return count_of(u, path, offsetof(struct page, ranges));
}

int site_most_at_once(struct site *u)
{
	int n;

	pthread_mutex_lock(&u->lock);
	n = u->most;
	pthread_mutex_unlock(&u->lock);
	return n;
}

int site_all_hits(struct site *u)
{
	int n = 0;

	pthread_mutex_lock(&u->lock);
	for (int i = 0; i < u->page_count; i++)
		n += u->pages[i].hits;
	pthread_mutex_unlock(&u->lock);
	return n;
}

void site_forget_hits(struct site *u)
{
	pthread_mutex_lock(&u->lock);
	for (int i = 0; i < u->page_count; i++)
		u->pages[i].hits = u->pages[i].conditional = u->pages[i].ranges = 0;
	u->most = 0;
	pthread_mutex_unlock(&u->lock);
}
