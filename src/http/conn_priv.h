/* What the files of this folder share: conn.c (the life of a connection), tls.c (TLS on it), request_body.c (reading bodies), exchange.c (memory of a request
 * and its response), reply.c (the head), ready.c (heads made before), send.c (writing), access.c (the log), server.c (listening).
 *
 *   HANDSHAKE (TLS only) ─► IDLE; ─► LINGER when it was told that this is not HTTP without TLS
 *
 *            first byte            head complete                 http_reply                 body was read
 *   IDLE ───────────────► HEAD ───────────────────► HANDLER ───────────────────► SEND ────────────────────► IDLE (kept alive)
 *     │                     │ refused: SEND            │                           │ └─ a little is left ─► SKIP ─► IDLE
 *     └── idle, HUP ────────┴─────── time-out, HUP ────┴───────────────────────────┴──► LINGER ──► CLOSED
 *
 * A connection belongs to one shard, i.e. one loop; everything here runs on it. States move as drawn, by conn_set_state only. x is there from
 * a complete (or refused) head until the exchange ends; an idle connection has neither an exchange nor a buffer. */
#ifndef SLUICE_HTTP_CONN_PRIV_H
#define SLUICE_HTTP_CONN_PRIV_H

#include "http/parse.h"
#include "http/range.h"

#include "base/buf.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>

#define CONN_MAGIC 0x636f6e6eu
#define EXCHANGE_MAGIC 0x78636867u
#define SCRATCH_SIZE (64 * 1024)
#define PEER_MAX 64
/* A request body that nobody read is dropped up to this size, to keep the connection. */
#define DISCARD_MAX (64 * 1024)
#define CONTINUE_TEXT "HTTP/1.1 100 Continue\r\n\r\n"

/* Why a connection ended: one row is name and text; the text reaches the log. */
#define CLOSE_REASONS(X)                                    \
	X(DONE, "served")                                   \
	X(CLIENT, "the client closed it")                   \
	X(RESET, "connection error")                        \
	X(IDLE, "idle for too long")                        \
	X(HEADER_TIMEOUT, "request head took too long")     \
	X(BODY_TIMEOUT, "request body took too long")       \
	X(SEND_TIMEOUT, "client took no data for too long") \
	X(SHORT_BODY, "the source failed: ended short")     \
	X(DRAIN, "server stops")                            \
	X(NOMEM, "out of memory")                           \
	X(HANDSHAKE_TIMEOUT, "TLS handshake took too long") \
	X(TLS, "TLS failed")

enum close_reason {
#define X(name, text) CLOSE_##name,
	CLOSE_REASONS(X)
#undef X
		CLOSE_COUNT
};

enum conn_state { CONN_IDLE, CONN_HEAD, CONN_HANDLER, CONN_SEND, CONN_SKIP, CONN_LINGER, CONN_HANDSHAKE, CONN_CLOSED };

/* A response is a row of segments: memory, or a range of the body. */
struct segment {
	const char *mem; /* NULL: the body's [off, end); end -1: up to its end, chunked or until close */
	int64_t off, end;
};

/* One request and its response. What stands above `req` stays for the next exchange, so that serving allocates nothing. */
struct http_x {
	uint32_t magic;
	struct conn *conn;
	struct http_x *next; /* of the shard's free ones */
	struct arena arena;
	void *room; /* the request's head: fields, bytes, decoded path */
	size_t room_size;
	struct buf head_out;

	struct http_request req; /* from here on zeroed for each exchange */
	int64_t started_ns;
	void (*on_abort)(void *arg);
	void *abort_arg;

	/* request body */
	struct http_chunked chunks;
	int64_t body_left; /* of a sized body */
	bool body_done, reading, paused;
	bool expect_continue;
	size_t continue_at; /* bytes of CONTINUE_TEXT that are out */
	int64_t skipped;    /* bytes dropped after the response */
	struct http_sink sink;
	struct buf collect; /* http_read_body */
	size_t collect_max;
	void (*collect_fn)(struct http_x *x, struct slice body, void *arg);
	void *collect_arg;

	/* response */
	bool replied;
	bool hide_query; /* from the access log */
	bool begun;      /* some of the response is out */
	int status;
	const char *note;
	struct body *body;
	bool asleep; /* conn.wake may be registered with the body */
	struct http_ready
		*ready; /* answers, until some of it could not be sent at once: then it is segments as any other */
	void (*release)(void *arg);
	void *release_arg;
	struct segment *segs;
	struct segment few[2];
	size_t seg, seg_count;
	bool chunked_out;
	char frame[32]; /* chunk framing on its way out */
	size_t frame_n, frame_at;
	int64_t piece;   /* bytes left of the chunk in progress */
	bool last_frame; /* the closing chunk is in frame */
	int64_t sent_bytes;
	/* of a body that wants to know what was acknowledged: bytes of the range that is told, and what it was told last */
	int64_t range_sent, acknowledged;
};

struct shard;
struct tls;
struct tls_config;
struct tls_room;
struct ticket_keys;

struct conn {
	uint32_t magic;
	enum conn_state state;
	struct shard *shard;
	struct conn *next, *prev; /* of the shard */
	struct http_x *x;
	int fd;
	struct tls *tls; /* NULL: a plain connection */
	struct tls *
		seal; /* the same when what is sent has to be sealed by us: after the handshake, unless the kernel does it */
	struct loop_io io;
	struct loop_timer timer;
	int64_t deadline_ns; /* INT64_MAX: none */
	enum close_reason on_deadline;
	struct loop_post cont; /* more to do without an event */
	struct loop_post reap; /* frees it, after every other post of it has run */
	struct wake wake;      /* sleeps on x->body */
	char *in;              /* bytes read but not used, in[in_at .. in_at + in_n): only while there are any */
	size_t in_at, in_n, in_cap;
	size_t tried;    /* bytes of an incomplete head that were parsed in vain */
	size_t searched; /* bytes of it in which its end was looked for */
	bool readable;   /* the socket may have more input */
	bool want_out;   /* the socket was full */
	int unsent;      /* bytes in it then, or when a time-out looked again */
	int64_t full_ns; /* when it was full last */
	int fast_rounds; /* how often in a row it then had room again at once; FAST_ROUNDS: it is not bounded any more */
	bool eof;        /* the client sent FIN */
	bool keep_alive;
	bool in_handler; /* a callback of this exchange is on the stack: whoever called it drives the connection on */
	bool close_after;
	char peer[PEER_MAX];
};

struct listener {
	struct loop_io io;
	struct shard *shard;
	struct loop_timer again; /* after EMFILE */
	bool starved;            /* ... which was logged */
	bool tls;
	int fd;
};

/* What a loop has of the server. */
struct shard {
	struct http_server *server;
	struct loop *loop;
	struct listener *listeners;
	struct conn *conns;
	struct http_x *free; /* exchanges */
	size_t free_count;
	struct http_header *headers; /* room for one head being parsed */
	char *scratch;               /* SCRATCH_SIZE: what was read, until it is used */
	bool calling; /* a callback is on the stack: no other connection may be driven, it would use the scratch */
	uint64_t next_id;
	int64_t date_s, date_until_ns;
	char server_date[256]; /* the Server and Date fields */
	size_t server_date_n;
	struct buf log; /* access log lines on their way out */
	struct loop_timer log_timer;
	struct loop_post start, drain, cut;
	bool draining;
	struct tls_room *tls_room;     /* NULL: no listener has TLS */
	int64_t turn_ns, handshake_ns; /* the turn of the loop, and what handshakes took of it */
};

struct http_server {
	struct http_limits limits;
	http_handler *handler;
	void *arg;
	bool access_log;
	const char *name;
	struct shard *shards;
	size_t shard_count;
	size_t listen_count;
	_Atomic int64_t open;       /* connections, until they are freed */
	_Atomic int64_t handshakes; /* in progress */

	struct http_tls tls_opts; /* its strings are copies, in tls_strings */
	char **tls_strings, *tls_client_ca;
	struct ticket_keys *ticket_keys;
	pthread_mutex_t tls_lock; /* of tls: what new connections get; nothing but a reference is taken under it */
	struct tls_config *tls;
	uint64_t tls_refused; /* what the files looked like when they could not be used; of whoever reloads */

	/* http_server_drain sleeps until no connection is left. */
	_Atomic bool waiting;
	pthread_mutex_t lock;
	pthread_cond_t quiet;
	size_t drained; /* shards that accept no more; under lock */
};

/* conn.c */
/* Takes over fd; `tls` (NULL: plain) stays the caller's. */
void conn_new(struct shard *s, int fd, const char *peer, struct tls_config *tls);
void conn_run(struct conn *c);
/* The same soon, from a post: for callers that somebody's callback may stand above. */
void conn_again(struct conn *c);
void conn_close(struct conn *c, enum close_reason why);
void conn_deadline(struct conn *c, int64_t ms, enum close_reason why);
/* No deadline of ours: somebody else's turn. A client that has ended its side gets little time then, because only sending tells whether it is
 * still there. */
void conn_no_deadline(struct conn *c);
/* Bytes in the socket that the client has not acknowledged; negative: the system does not say. */
int conn_unacknowledged(const struct conn *c);
/* Asks for EPOLLIN or EPOLLOUT events, or none. */
void conn_watch(struct conn *c, uint32_t events);
/* The exchange ends without the handler: tells it. */
void conn_abandon(struct conn *c);
/* Input that was read but not used. */
struct slice conn_input(const struct conn *c);
/* Keeps [p, p + n), which lies in the kept input or in the shard's scratch, for later. Never fails for what lies in the kept input. */
int conn_keep(struct conn *c, const char *p, size_t n);
/* Reads more. > 0: *have is all there is; 0: nothing now, its event is asked for; negative: closed. */
int conn_fill(struct conn *c, struct slice *have);

/* request_body.c: true: look at the state again; false: it waits. */
bool body_run(struct conn *c);
bool skip_run(struct conn *c);

/* exchange.c */
int exchange_begin(struct conn *c);
/* The response is out, or nobody wants it: the line of the access log, then everything but the memory goes. */
void exchange_finish(struct conn *c, enum close_reason why, bool complete);
void exchange_give(struct conn *c);
void exchange_pool_free(struct shard *s);
/* Gives the body back. */
void exchange_drop_body(struct http_x *x);
/* Memory for the head of the request: one block, its content undefined. NULL: out of memory. */
void *exchange_room(struct http_x *x, size_t n);

/* reply.c */
/* Answers what never reaches the handler, or what the handler was told to forget. The caller drives the connection on. */
void reply_refuse(struct conn *c, int status, const char *why, struct slice shown);
/* The body failed before a byte of the head left: there is still time for an honest answer. */
void reply_instead(struct conn *c, int status);

/* What frames an answer, and what of the body it is. */
struct answer {
	int status;
	int64_t length; /* Content-Length; -1: none */
	int range_count;
	char boundary[32];
	struct http_range ranges[HTTP_RANGES_MAX]; /* filled as far as range_count says */
};
void reply_head(struct conn *c, const struct http_reply *r, const struct answer *a, struct buf *out);
/* The Server and Date fields of this second, in this order. */
struct slice reply_server_and_date(struct shard *s);
/* Marks the exchange as answered. */
void reply_begin(struct http_x *x, struct body *body, const char *note);
/* Counts it, and drives the connection on unless somebody above does. */
void reply_end(struct conn *c);

/* ready.c: as send_run, for an exchange that has an answer made ready; 2: it is an answer as any other now. */
int ready_run(struct conn *c);

/* send.c: 1 all is out; 0 waits for the socket or the body; negative: the connection is closed. */
int send_run(struct conn *c);
/* The same for "100 Continue". */
int send_continue(struct conn *c);
/* The socket took n bytes, or says why not (errno): > 0 bytes; 0 waits for it; negative: the connection is closed. */
ssize_t send_account(struct conn *c, ssize_t n);

/* access.c */
void access_log_line(struct conn *c, enum close_reason why, bool complete);
void access_log_flush(struct shard *s);

/* server.c: one connection less. */
void server_left(struct http_server *s);

static inline struct conn *conn_of(struct http_x *x)
{
	MAGIC_CHECK(x, EXCHANGE_MAGIC);
	MAGIC_CHECK(x->conn, CONN_MAGIC);
	return x->conn;
}

#endif
