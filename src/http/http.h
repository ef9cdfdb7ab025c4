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
	bool whole;       /* GET or HEAD without a range and without a condition */
	uint64_t id;      /* of this request, in every log line about it */
	const char *peer; /* "127.0.0.1:4711" */
};

/* First field of that name (any case); p == NULL when absent. */
struct slice http_header_get(const struct http_request *r, struct slice name);
/* Last one: of a field that each proxy adds, what the nearest one said. */
struct slice http_header_last(const struct http_request *r, struct slice name);

struct http_limits {
	int64_t max_line, max_headers, max_header_bytes, max_connections; /* connections: of the whole server */
	int64_t idle_ms, header_ms, body_ms, send_ms; /* header_ms is also what a TLS handshake may take in all */
	/* TLS handshakes at once, of the whole server; past it connections are not accepted, but wait in the kernel's queue. */
	int64_t max_handshakes;
};

/* Whether clients are asked for a certificate; one that has none is served all the same, as far as the handler does. */
enum http_client_certs {
	HTTP_CERTS_OFF,
	HTTP_CERTS_PASS,  /* asked for; any is taken whose key the client has: the handler judges it */
	HTTP_CERTS_VERIFY /* asked for; one that client_ca does not vouch for ends the handshake */
};

/* TLS 1.2 and 1.3 (OpenSSL). Sessions are resumed by tickets, whose keys live in memory and change every hour. */
struct http_tls {
	const char *const *
		certificates; /* "CHAIN" or "CHAIN:KEY", PEM files; NULL-terminated. The first whose names fit is shown, else the first. */
	enum http_client_certs client_certs;
	const char *client_ca; /* PEM file; NULL: none */
	bool only_1_3;
	bool kernel; /* let the kernel encrypt where it can (kTLS): sendfile as for plain connections */
};

typedef void http_handler(struct http_x *x, const struct http_request *r, void *arg);

struct http_server_opts {
	struct loop *const *loops;
	size_t loop_count;
	const char *const *listen;  /* "ADDR:PORT", with "https://" in front for TLS; NULL-terminated */
	const struct http_tls *tls; /* NULL: no TLS */
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
bool http_server_port_has_tls(const struct http_server *s, size_t i);
/* Reads certificates, keys and authorities again: `always`, or if the files have changed. 1: new connections get them, those that are there go on
 * with what they have; 0: unchanged, or not again since they were refused; negative: what was there stays, and *err says which file is why. It reads
 * files: any thread but a loop, one at a time. */
int http_server_reload_tls(struct http_server *s, bool always, struct err *err);
/* A host name of the first certificate; until the next reload, by whoever does that. */
const char *http_server_tls_name(const struct http_server *s);
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
/* The query is a secret: it does not come into the access log. */
void http_hide_query(struct http_x *x);
/* Called once if the exchange ends without http_reply: the client went away, its body was malformed, too large or too slow (then the answer is
 * given here), or the server stops. The handler's part is over then: x must not be used any more. Not called after http_reply: from there on
 * it is the body that is told, by done. */
void http_on_abort(struct http_x *x, void (*fn)(void *arg), void *arg);
bool http_is_tls(const struct http_x *x);
/* The certificate (DER) of a client whose own TLS connection to us this is; it has proven to have the key. Verified only under HTTP_CERTS_VERIFY.
 * SLICE_NULL: it has none, was not asked, or the connection is plain. Lives until the exchange ends. */
struct slice http_client_cert(const struct http_x *x);

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

/* ---- answers made ready: what is saved is asked for again and again ---- */

/* Room for a head in front of a body in memory. */
#define HTTP_READY_ROOM 640
/* The head of an answer, made once, and behind it the body if that is in memory: both leave in one call. Only its Date changes. Its memory is
 * the maker's; it may be used on one loop. */
struct http_ready {
	char *p;
	size_t head_n, body_n;
	int status;
	size_t date_at;
	int64_t date_s;
};
/* Can this exchange be answered so? A request of HTTP/1.1 for the whole, on a connection that stays. */
bool http_ready_fits(const struct http_x *x);
/* Makes the head of `r` (a known size; its body does not matter) at the end of `room`, where body_n bytes of body follow (0: it comes
 * from elsewhere). Only for an exchange that fits. 0; -ERR_LIMIT: the head is too long; -ERR_NOMEM. */
int http_ready_make(struct http_x *x, const struct http_reply *r, char room[HTTP_READY_ROOM], size_t body_n,
	struct http_ready *out);
/* As http_reply, for an exchange that fits. The body is behind the head, and release(arg) is called when neither is needed any more; or it is
 * `body`, which is taken over, and release is NULL. */
void http_reply_ready(struct http_x *x, struct http_ready *ready, struct body *body, void (*release)(void *arg),
	void *arg, const char *note);

#endif
