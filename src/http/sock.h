/* The data path of a connection: its plain socket, or TLS on top of it. The only place that knows which; a plain connection pays one comparison a
 * call. The shard's loop only. */
#ifndef SLUICE_HTTP_SOCK_H
#define SLUICE_HTTP_SOCK_H

#include "http/conn_priv.h"
#include "http/sock_raw.h"
#include "http/tls.h"

#define RARELY(cond) __builtin_expect(!!(cond), 0)

static inline ssize_t sock_recv(struct conn *c, void *p, size_t n)
{
	if (RARELY(c->tls != NULL))
		return tls_recv(c->tls, p, n);
	return raw_recv(c->fd, p, n);
}

/* Does it have more input, after a call that asked for `asked` bytes and got n? Less than there was room for: the socket is empty, or its event comes.
 * Saves a call a request. */
static inline bool sock_has_more(const struct conn *c, size_t asked, size_t n)
{
	return n == asked || (RARELY(c->tls != NULL) && tls_has_input(c->tls));
}

static inline ssize_t sock_send(struct conn *c, const void *p, size_t n, int flags)
{
	if (RARELY(c->seal != NULL))
		return tls_send2(c->seal, NULL, 0, p, n, flags);
	return raw_send(c->fd, p, n, flags);
}

/* Two pieces of memory, of which the first may be empty. */
static inline ssize_t sock_send2(struct conn *c, const void *a, size_t a_n, const void *b, size_t b_n, int flags)
{
	if (RARELY(c->seal != NULL))
		return tls_send2(c->seal, a, a_n, b, b_n, flags);
	return raw_send2(c->fd, a, a_n, b, b_n, flags);
}

static inline ssize_t sock_sendfile(struct conn *c, int in_fd, int64_t off, size_t n)
{
	if (RARELY(c->seal != NULL))
		return tls_sendfile(c->seal, in_fd, off, n, c->shard->scratch);
	return raw_sendfile(c->fd, in_fd, off, n);
}

/* Did the socket say, by taking n of `asked` bytes of a file, that it is full? */
static inline bool sock_is_full(const struct conn *c, ssize_t asked, ssize_t n)
{
	return RARELY(c->seal != NULL) ? tls_unsent(c->seal) > 0 : n < asked;
}

/* Bytes that were taken but that the socket does not have yet. */
static inline size_t sock_unsent(const struct conn *c)
{
	return RARELY(c->seal != NULL) ? tls_unsent(c->seal) : 0;
}

#endif
