/* TLS of a connection: the handshake, and afterwards the same calls as a socket has (sock.h chooses). OpenSSL 3.
 *
 * Reading is OpenSSL's from the socket. Writing is done in one of two ways: where the kernel encrypts (kTLS) the socket is written to as a plain
 * one, sendfile included; else what is to be sent is sealed here into records, up to SEAL_MAX bytes of it at a time, and these leave in one call.
 * What the socket does not take of them is kept (at most those), and nothing more is sealed until it is out: so "taken" means what it means
 * for a socket, and a caller may come again with other bytes. A loop's room for sealing is shared by its connections.
 *
 * The loop of the connection only, but for what tls_config.h has. */
#ifndef SLUICE_HTTP_TLS_H
#define SLUICE_HTTP_TLS_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tls;
struct tls_config;

#define TLS_RECORD_MAX 16384
#define SEAL_MAX (2 * TLS_RECORD_MAX)
/* Records have at most 29 bytes around their content (TLS 1.2 with AES-GCM), and hold 512 at least (RFC 6066); the rest is for an alert or a key
 * update. */
#define SEAL_ROOM (SEAL_MAX + 8192)

/* What a loop's connections seal in; empty between two calls. */
struct tls_room {
	char plain[TLS_RECORD_MAX];
	char sealed[SEAL_ROOM];
	size_t n;
};

/* Holds the configuration. NULL: out of memory. */
struct tls *tls_new(struct tls_config *cfg, int fd, struct tls_room *room);
void tls_free(struct tls **pt);

enum tls_step {
	TLS_DONE,
	TLS_WANTS_INPUT,
	TLS_WANTS_ROOM,
	TLS_GONE,      /* the client went away */
	TLS_IS_PLAIN,  /* it speaks HTTP without TLS */
	TLS_HAS_FAILED /* the reason is in err */
};
enum tls_step tls_handshake(struct tls *t, struct err *err);
bool tls_was_resumed(const struct tls *t);
bool tls_in_kernel(const struct tls *t); /* after the handshake: write as to a plain socket */
const char *tls_version(const struct tls *t);
/* The client's certificate (DER), SLICE_NULL without one; lives as long as t. */
struct slice tls_client_cert(struct tls *t);

/* As recv(2). */
ssize_t tls_recv(struct tls *t, void *p, size_t n);
/* Is there input that no event of the socket will tell of? */
bool tls_has_input(const struct tls *t);
/* As sendmsg(2) with two pieces of memory, the first of which may be empty. */
ssize_t tls_send2(struct tls *t, const void *a, size_t a_n, const void *b, size_t b_n, int flags);
/* As sendfile(2), through `scratch` of SEAL_MAX bytes. */
ssize_t tls_sendfile(struct tls *t, int in_fd, int64_t off, size_t n, char *scratch);
/* Sends what is kept. 0: nothing is left; negative: errno, as of send(2). */
int tls_flush(struct tls *t);
size_t tls_unsent(const struct tls *t); /* bytes kept */
/* Tells the client that nothing follows, if the socket takes it. */
void tls_goodbye(struct tls *t);

#endif
