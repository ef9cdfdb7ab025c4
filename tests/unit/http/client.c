/* See client.h. A blocking client that gives up after WAIT_S. */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <strings.h>

SSL_CTX *client_ctx;

static SSL_CTX *any_ctx(void)
{
	static SSL_CTX *ctx;

	if (ctx == NULL)
		ctx = SSL_CTX_new(TLS_client_method());
	return ctx;
}

static struct client new_client(int rcvbuf)
{
	struct client c = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .in = BUF_INIT(256 * MiB)};
	struct timeval limit = {.tv_sec = WAIT_S};
	int on = 1;

	assert_true(c.fd >= 0);
	if (rcvbuf > 0)
		assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)), 0);
	assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	return c;
}

int client_try_connect(struct client *c)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)rig.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return connect(c->fd, (struct sockaddr *)&to, sizeof(to));
}

void client_connect(struct client *c)
{
	assert_int_equal(client_try_connect(c), 0);
}

struct client client_new_unconnected(void)
{
	return new_client(0);
}

struct client client_new(void)
{
	struct client c = new_client(0);

	client_connect(&c);
	return c;
}

struct client client_new_slow(void)
{
	struct client c = new_client(4096);

	client_connect(&c);
	return c;
}

bool client_handshake(struct client *c)
{
	if (!rig_tls || c->ssl != NULL)
		return true;
	c->ssl = SSL_new(client_ctx != NULL ? client_ctx : any_ctx());
	assert_non_null(c->ssl);
	assert_int_equal(SSL_set_fd(c->ssl, c->fd), 1);
	return SSL_connect(c->ssl) == 1;
}

/* As recv() and send(). */
static ssize_t take(struct client *c, void *p, size_t n, bool peek)
{
	int got;

	if (!rig_tls)
		return recv(c->fd, p, n, peek ? MSG_PEEK : 0);
	ERR_clear_error();
	if (!client_handshake(c)) {
		errno = ECONNRESET;
		return -1;
	}
	errno = 0;
	got = peek ? SSL_peek(c->ssl, p, (int)n) : SSL_read(c->ssl, p, (int)n);
	if (got > 0)
		return got;
	switch (SSL_get_error(c->ssl, got)) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_READ:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_SSL:
		c->cut = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
		errno = ECONNRESET;
		return c->cut ? 0 : -1;
	default:
		c->cut = errno == 0;
		return c->cut ? 0 : -1;
	}
}

ssize_t client_recv(struct client *c, void *p, size_t n)
{
	return take(c, p, n, false);
}

ssize_t client_peek(struct client *c)
{
	char byte;

	return take(c, &byte, 1, true);
}

static ssize_t give(struct client *c, const void *p, size_t n)
{
	int sent;

	if (!rig_tls)
		return send(c->fd, p, n, MSG_NOSIGNAL);
	ERR_clear_error();
	if (client_handshake(c) && (sent = SSL_write(c->ssl, p, (int)n)) > 0)
		return sent;
	errno = ECONNRESET;
	return -1;
}

static void client_drop(struct client *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
	assert_int_equal(close(c->fd), 0);
	c->fd = -1;
	buf_fini(&c->in);
}

void client_close(struct client *c)
{
	if (c->ssl != NULL && SSL_is_init_finished(c->ssl))
		(void)SSL_shutdown(c->ssl);
	client_drop(c);
}

void client_reset(struct client *c)
{
	struct linger hard = {.l_onoff = 1, .l_linger = 0};

	assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
	client_drop(c);
}

void client_send(struct client *c, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = give(c, p, n);

		if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
			return; /* reading tells what became of it */
		assert_true(sent > 0);
		p += sent;
		n -= (size_t)sent;
	}
}

void client_sends(struct client *c, const char *z)
{
	client_send(c, z, strlen(z));
}

void client_sendf(struct client *c, const char *fmt, ...)
{
	struct buf b = BUF_INIT(MiB);
	va_list ap;

	va_start(ap, fmt);
	assert_int_equal(buf_addv(&b, fmt, ap), 0);
	va_end(ap);
	client_send(c, b.p, b.n);
	buf_fini(&b);
}

void client_get(struct client *c, const char *target)
{
	client_sendf(c, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", target);
}

/* False at the end. */
static bool client_more(struct client *c)
{
	ssize_t n;

	if (c->eof)
		return false;
	if (c->at > 0 && c->at == c->in.n) {
		buf_reset(&c->in);
		c->at = 0;
	}
	assert_int_equal(buf_reserve(&c->in, 64 * KiB), 0);
	n = client_recv(c, c->in.p + c->in.n, 64 * KiB);
	if (n < 0 && errno == EAGAIN)
		fail_msg("the server sends nothing; there are: %.*s", (int)MIN(c->in.n - c->at, (size_t)500),
			c->in.p + c->at);
	if (n <= 0) {
		c->eof = true;
		c->reset = n < 0;
		return false;
	}
	c->in.n += (size_t)n;
	c->in.p[c->in.n] = '\0';
	return true;
}

static size_t available(const struct client *c)
{
	return c->in.n - c->at;
}

const char *client_take(struct client *c, size_t n)
{
	while (available(c) < n)
		if (!client_more(c))
			fail_msg("closed after %zu bytes of %zu", available(c), n);
	c->at += n;
	return c->in.p + c->at - n;
}

/* Up to and with `mark`, as a NUL-terminated copy; NULL: it never comes. */
static char *take_until(struct client *c, const char *mark)
{
	char *end, *copy;
	size_t n;

	while (available(c) == 0 || (end = memmem(c->in.p + c->at, available(c), mark, strlen(mark))) == NULL)
		if (!client_more(c))
			return NULL;
	n = (size_t)(end - (c->in.p + c->at)) + strlen(mark);
	copy = malloc(n + 1);
	assert_non_null(copy);
	memcpy(copy, c->in.p + c->at, n);
	copy[n] = '\0';
	c->at += n;
	return copy;
}

/* Up to n bytes into the body; false: there were fewer. */
static bool take_body(struct client *c, struct buf *body, int64_t n)
{
	while (n > 0) {
		size_t some;

		if (available(c) == 0 && !client_more(c))
			return false;
		some = MIN(available(c), (size_t)n);
		assert_int_equal(buf_add(body, c->in.p + c->at, some), 0);
		c->at += some;
		n -= (int64_t)some;
	}
	return true;
}

static bool take_chunks(struct client *c, struct buf *body)
{
	for (;;) {
		char *line = take_until(c, "\r\n"), *end;
		struct buf crlf = BUF_INIT(2);
		int64_t n;
		bool whole;

		if (line == NULL)
			return false;
		n = strtoll(line, &end, 16);
		assert_true(end > line && n >= 0);
		assert_string_equal(end, "\r\n");
		free(line);
		whole = take_body(c, body, n) && take_body(c, &crlf, 2);
		if (whole)
			assert_memory_equal(crlf.p, "\r\n", 2);
		buf_fini(&crlf);
		if (!whole || n == 0)
			return whole;
	}
}

const char *answer_field(const struct answer *a, const char *name)
{
	static char value[1024];
	const char *found = NULL;
	size_t n = strlen(name);

	for (const char *line = strstr(a->head, "\r\n") + 2; *line != '\r'; line = strstr(line, "\r\n") + 2) {
		if (strncasecmp(line, name, n) != 0 || line[n] != ':')
			continue;
		assert_null(found);
		(void)snprintf(value, sizeof(value), "%.*s", (int)(strstr(line, "\r\n") - line - (ptrdiff_t)n - 2),
			line + n + 2);
		found = value;
	}
	return found;
}

struct answer client_read(struct client *c, bool head_only)
{
	struct answer a = {.head = take_until(c, "\r\n\r\n"), .body = BUF_INIT(256 * MiB)};
	const char *length;

	if (a.head == NULL)
		fail_msg("no answer, %s, after: %.*s", c->reset ? "reset" : "closed",
			(int)MIN(available(c), (size_t)500), available(c) > 0 ? c->in.p + c->at : "");
	assert_int_equal(sscanf(a.head, "HTTP/1.1 %d ", &a.status), 1);
	(void)buf_adds(&a.body, "");
	length = answer_field(&a, "Content-Length");
	if (head_only || a.status < 200 || a.status == 204 || a.status == 304) {
		a.complete = true;
	} else if (length != NULL) {
		a.complete = take_body(c, &a.body, strtoll(length, NULL, 10));
		assert_null(answer_field(&a, "Transfer-Encoding"));
	} else if (answer_field(&a, "Transfer-Encoding") != NULL) {
		a.complete = take_chunks(c, &a.body);
	} else {
		(void)take_body(c, &a.body, INT64_MAX);
		a.complete = !c->reset && !c->cut;
	}
	return a;
}

void answer_fini(struct answer *a)
{
	free(a->head);
	a->head = NULL;
	buf_fini(&a->body);
}

bool client_is_closed(struct client *c)
{
	if (available(c) > 0 || client_more(c))
		fail_msg("instead of the end: %.*s", (int)MIN(available(c), (size_t)500), c->in.p + c->at);
	return c->reset;
}

struct answer client_expect(struct client *c, int status, const char *body, size_t n)
{
	struct answer a = client_read(c, false);

	if (a.status != status || !a.complete || a.body.n != n || (n > 0 && memcmp(a.body.p, body, n) != 0))
		fail_msg("%s%.*s", a.head, (int)MIN(a.body.n, (size_t)500), a.body.p);
	return a;
}

struct answer ask(const char *request)
{
	struct client c = client_new();
	struct answer a;

	client_sends(&c, request);
	a = client_read(&c, strncmp(request, "HEAD ", 5) == 0);
	client_close(&c);
	return a;
}

void assert_pattern(const struct buf *b, int64_t from, int64_t n)
{
	assert_int_equal(b->n, n);
	if (n > 0)
		assert_memory_equal(b->p, pattern_bytes() + from, n);
}

void assert_field(const struct answer *a, const char *name, const char *want)
{
	const char *is = answer_field(a, name);

	if (want == NULL ? is != NULL : is == NULL || strcmp(is, want) != 0)
		fail_msg("%s is '%s', not '%s', in\n%s", name, is != NULL ? is : "-", want != NULL ? want : "-",
			a->head);
}
