/* A scripted HTTP/1.1 server for unit tests: listens on 127.0.0.1, a thread for each connection, and a function of the test
 * that answers each request as it likes: late, wrongly, in parts, or not at all. Any thread may call what takes a peer. */
#ifndef SLUICE_TESTS_PEER_H
#define SLUICE_TESTS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct peer;
struct peer_conn;

struct peer_req {
	int conn;   /* 1, 2, … */
	int number; /* 1, 2, … over all connections */
	char method[16];
	char target[1024];
	char head[65536];
};

/* On the connection's thread. When it returns, the next request of the connection is read, unless it closed it. */
typedef void peer_fn(struct peer_conn *c, const struct peer_req *req, void *arg);

/* How bytes travel; NULL: as they are. For tests with TLS. */
struct peer_layer {
	void *(*accept)(void *arg, int fd); /* NULL: the connection is closed */
	ssize_t (*read)(void *session, void *p, size_t n);
	ssize_t (*write)(void *session, const void *p, size_t n);
	void (*close)(void *session);
	void *arg;
};

struct peer *peer_new(peer_fn *fn, void *arg, const struct peer_layer *layer);
void peer_free(struct peer **pp); /* breaks off what is going on and ends the threads */
int peer_port(const struct peer *p);
int peer_conns(struct peer *p); /* accepted so far */
int peer_open_conns(struct peer *p);
int peer_requests(struct peer *p); /* read so far */

/* Errors are ignored: the client may have gone away, and that is what its side of the test is about. */
void peer_send(struct peer_conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void peer_write(struct peer_conn *c, const void *p, size_t n);
void peer_close(struct peer_conn *c);         /* in order */
void peer_reset(struct peer_conn *c);         /* with RST */
void peer_hang(struct peer_conn *c);          /* says no more, and waits until the client closes */
void peer_pause(struct peer_conn *c, int ms); /* for servers that are slow; ends early when the connection breaks */
/* Gates 0 to 31: waits until the test opens it, or the peer ends. */
void peer_wait(struct peer_conn *c, int gate);
void peer_open(struct peer *p, int gate);

/* The value of a header field, or NULL. In a buffer of the calling thread, until the next call. */
const char *peer_header(const struct peer_req *req, const char *name);

#endif
