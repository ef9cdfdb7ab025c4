/* The content service behind a real HTTP server on two loops, its stock, an upstream, and a client that speaks bytes. The test's thread asks and waits. */
#ifndef SLUICE_TESTS_CONTENT_SERVICE_H
#define SLUICE_TESTS_CONTENT_SERVICE_H

#include "content/content.h"
#include "origin.h"
#include "stock.h"

#include "base/metrics.h"

#include <pthread.h>

#define SERVICE_LOOPS 2
#define KIB 1024
#define MIB (1024 * KIB)

struct service {
	struct stock stock;
	struct origin *origin;
	struct loop *loops[SERVICE_LOOPS];
	pthread_t threads[SERVICE_LOOPS];
	size_t loop_count;
	struct http_server *http;
	struct content *content;
	guard_login *login;    /* NULL: nobody's credentials are good */
	http_handler *handler; /* instead of the content service's */
	http_handler *door;    /* the content service is there, and this calls its handlers */
	int port;
	int fds;
	bool cut;
};
/* Settings may be changed in between; queue_max is the pool's. With one loop all requests share a cache. */
void service_open(struct service *s, int pool_threads, int queue_max);
void service_start(struct service *s, size_t loop_count);
/* Cuts all connections off, as at the end of the server. */
void service_cut(struct service *s);
/* Clients are closed before. Checks that no descriptor is left. */
void service_close(struct service *s);

/* A file of a repository that `remote` offers at /<path>; both are made if they are not there. */
struct file {
	char *body;
	size_t size;
	struct digests digests;
	int64_t repository, remote, ca;
};
/* In a new repository, published and distributed at base_path. */
void file_new(struct file *f, struct service *s, const char *base_path, const char *path, size_t size, unsigned seed);
void file_free(struct file *f);

/* A response, whole. */
struct response {
	int status;
	bool complete; /* all that Content-Length or chunks promised */
	char head[16384];
	char *body;
	size_t n;
};
/* One request on a connection of its own; `fields`: further lines, each with its CRLF, or NULL. */
void ask(struct service *s, const char *method, const char *path, const char *fields, struct response *r);
void get(struct service *s, const char *path, struct response *r);
void response_fini(struct response *r);
/* Value of a field, or NULL; in a buffer until the next call. */
const char *field(const struct response *r, const char *name);
/* Asks, and checks the status. */
void expect(struct service *s, const char *path, int status);
void expect_body(struct service *s, const char *path, const char *p, size_t n);

/* The same in two steps: a client that waits. */
int ask_begin(struct service *s, const char *method, const char *path);
void ask_end(int fd, struct response *r);

#endif
