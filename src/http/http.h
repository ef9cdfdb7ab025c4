/* The HTTP/1.1 server (RFC 9110, RFC 9112): connections, parsing, framing, ranges, conditions, sending. Knows nothing of what is served.
 *
 * One listener with SO_REUSEPORT per loop and address; a connection lives and dies on one loop, and so does each exchange (one request and its response).
 * The handler is called on the loop when the head is complete and checked. It answers with http_reply, at once or later, from the
 * same loop (post to http_loop(x) from elsewhere); it never blocks. Pipelined requests are answered in order, one at a time. */
#ifndef SLUICE_HTTP_HTTP_H
#define SLUICE_HTTP_HTTP_H

#include "base/arena.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/slice.h"
#include "base/body.h"

#include <stdbool.h>
#include <stdint.h>

struct http_server;
struct http_x; /* an exchange */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OPTIONS, HTTP_OTHER };

struct http_header {
	struct slice name, value; /* value without outer white space */
};

/* The request; borrowed from the exchange, valid until it ends. */
struct http_request {
	enum http_method method;
	struct slice method_text;
	struct slice target; /* as sent */
	struct slice path;   /* decoded once and checked (url_path_decode); NUL-terminated */
	struct slice query;  /* as sent, without '?'; p == NULL when absent */
	struct slice host;
	int minor; /* HTTP/1.minor */
	const struct http_header *headers;
	size_t header_count;
	int64_t content_length; /* -1: none */
	bool chunked;
	uint64_t id;      /* of this request, in every log line about it */
	const char *peer; /* "127.0.0.1:4711" */
};

/* First field of that name (any case); p == NULL when absent. */
struct slice http_header_get(const struct http_request *r, struct slice name);

struct http_limits {
	int64_t max_line, max_headers, max_header_bytes, max_connections; /* connections: of the whole server */
	int64_t idle_ms, header_ms, body_ms, send_ms;
};

typedef void http_handler(struct http_x *x, const struct http_request *r, void *arg);

struct http_server_opts {
	struct loop *const *loops;
	size_t loop_count;
	const char *const *listen; /* "ADDR:PORT", NULL-terminated */
	struct http_limits limits;
	http_handler *handler;
	void *arg;
	bool access_log;
	const char *server_name; /* the Server field */
};
/* Binds. Before the loops run. -ERR_INVAL bad address, -ERR_BUSY in use. */
int http_server_new(const struct http_server_opts *opts, struct http_server **out, struct err *err);
/* The port that address i was bound to (0 asks for any). */
int http_server_port(const struct http_server *s, size_t i);
/* Starts accepting: while the loops run, from any thread. */
void http_server_start(struct http_server *s);
/* No new connections; idle ones close; responses in progress may end; after drain_ms the rest is cut. Blocks while the loops run; not from a loop;
 * once. */
void http_server_drain(struct http_server *s, int64_t drain_ms);
void http_server_free(struct http_server **ps); /* after the loops ended, before they are freed */

/* ---- an exchange, on its loop ---- */
struct loop *http_loop(const struct http_x *x);
const struct http_request *http_request_of(const struct http_x *x);
struct arena *http_arena(struct http_x *x); /* lives as long as the exchange */
/* Called once if the exchange ends without http_reply: the client went away, its body was malformed, too large or too slow (then the answer is
 * given here), or the server stops. The handler's part is over then: x must not be used any more. Not called after http_reply: from there on
 * it is the body that is told, by done. */
void http_on_abort(struct http_x *x, void (*fn)(void *arg), void *arg);
/* The client's certificate and such come with TLS. */

/* Reads the request body into memory, at most max_bytes, then calls fn; larger: on_abort is called, perhaps at once, and 413 sent here. Sends 100
 * Continue if asked. Without a body fn is called with n == 0, possibly at once. `body` lives until the exchange ends. */
void http_read_body(
	struct http_x *x, size_t max_bytes, void (*fn)(struct http_x *x, struct slice body, void *arg), void *arg);

/* A streamed request body: on_data gets pieces as they come; 0, negative to refuse (then it answers itself by http_reply), or HTTP_PAUSE: this piece was not taken; it comes again
 * (perhaps longer) after http_body_resume, which is called later, not from on_data itself. on_end once at the end. */
struct http_sink {
	int (*on_data)(struct http_x *x, const char *p, size_t n, void *arg);
	void (*on_end)(struct http_x *x, void *arg);
	void *arg;
};
#define HTTP_PAUSE 1
void http_stream_body(struct http_x *x, const struct http_sink *sink);
void http_body_resume(struct http_x *x);

/* What is answered. Zero it first. Strings are copied or live in the exchange's arena or longer than the exchange. */
struct http_reply {
	int status;
	const char *reason;       /* NULL: the usual phrase */
	const char *content_type; /* NULL: none */
	const char *etag;         /* with its quotes; NULL: none */
	int64_t last_modified_s;  /* 0: none */
	bool ranges; /* Range, If-Range and conditions are evaluated, for GET and HEAD answers with status 200 */
	const struct http_header *headers; /* further ones; what frames the message or the connection is left out */
	size_t header_count;
	struct body *body; /* taken over; NULL: none */
	int64_t size;      /* of the body; -1: unknown until its end (chunked; close for HTTP/1.0) */
	bool close;        /* close the connection afterwards */
	const char *note;  /* why, for the access log: "hit", "flight", "no-source" */
};
/* Sends the response, then ends the exchange: x must not be used any more, except that a handler (or sink) which answers before it returns may use
 * it until then. For HEAD the body is not sent (body may be NULL with its size given). Once per exchange. */
void http_reply(struct http_x *x, const struct http_reply *reply);
/* A short text/plain answer; text NULL: "STATUS: Reason\n"; retry_after_s < 0: none. */
void http_reply_text(struct http_x *x, int status, const char *reason, const char *text, int64_t retry_after_s);
const char *http_reason(int status);

#endif
