/* A client that sends raw bytes to the rig and reads answers strictly. What does not come fails the test. */
#ifndef SLUICE_TESTS_HTTP_CLIENT_H
#define SLUICE_TESTS_HTTP_CLIENT_H

#include "rig.h"

struct client {
	int fd;
	struct buf in;
	size_t at; /* read so far */
	bool eof, reset;
	struct ssl_st *ssl; /* over TLS, from the first byte that is sent or read */
	bool cut;           /* TLS ended without close_notify */
};
struct answer {
	int status;
	char *head; /* NUL-terminated, with its last empty line */
	struct buf body;
	bool complete; /* the body, as its framing says */
};

/* What TLS clients begin with: NULL, one that takes any certificate. Not owned. */
extern struct ssl_ctx_st *client_ctx;

struct client client_new(void);
/* The handshake, now; false: it failed. Later ones are not needed. */
bool client_handshake(struct client *c);
/* With a small receive buffer: it takes little unless it reads. */
struct client client_new_slow(void);
struct client client_new_unconnected(void);
int client_try_connect(struct client *c); /* as connect() */
void client_connect(struct client *c);
void client_close(struct client *c);
void client_reset(struct client *c); /* closes with RST, which is noticed at once */
void client_send(struct client *c, const char *p, size_t n);
void client_sends(struct client *c, const char *z);
void client_sendf(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void client_get(struct client *c, const char *target); /* HTTP/1.1, no further fields */
/* As recv(), of what the connection carries. */
ssize_t client_recv(struct client *c, void *p, size_t n);
/* The same of one byte, which stays. */
ssize_t client_peek(struct client *c);
/* The next answer; `head_only`: to a HEAD. Fails the test if there is none. */
struct answer client_read(struct client *c, bool head_only);
void answer_fini(struct answer *a);
/* Reads until `n` bytes are there that were not used yet, and uses them. */
const char *client_take(struct client *c, size_t n);
/* The value of a field, or NULL; in a static buffer. Fails the test if it is there twice. */
const char *answer_field(const struct answer *a, const char *name);
/* The server closes without another byte; true: by a reset. */
bool client_is_closed(struct client *c);
/* Reads the answer and checks status and body; returns it for more. */
struct answer client_expect(struct client *c, int status, const char *body, size_t n);
/* One request on a connection of its own. */
struct answer ask(const char *request);
void assert_pattern(const struct buf *b, int64_t from, int64_t n);
void assert_field(const struct answer *a, const char *name, const char *want); /* want NULL: it is not there */

#endif
