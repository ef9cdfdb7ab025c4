/* What conn.c (reading), reply.c (the head), send.c (writing) and server.c (listening) share.
 *
 *            first byte            head complete                 http_reply
 *   IDLE ───────────────► HEAD ───────────────────► HANDLER ───────────────────► SEND ──► IDLE (kept alive)
 *     │                     │ refused: SEND, then LINGER           │                │
 *     └── idle, HUP ────────┴───────────── time-out, HUP ──────────┴────────────────┴──► LINGER ──► CLOSED
 *
 * A connection belongs to one shard, i.e. one loop; everything here runs on it. States move as drawn, by conn_set_state only. */
#ifndef SLUICE_HTTP_CONN_PRIV_H
#define SLUICE_HTTP_CONN_PRIV_H

#include "http/parse.h"
#include "http/range.h"

#include "base/buf.h"
#include "base/clock.h"

#include <stdatomic.h>

#define CONN_MAGIC 0x636f6e6eu
#define SCRATCH_SIZE (64 * 1024)
#define PEER_MAX 64

/* Why a connection ended: one row is name and text; the name reaches the log. */
#define CLOSE_REASONS(X)                                    \
	X(DONE, "served")                                   \
	X(CLIENT, "the client closed it")                   \
	X(RESET, "connection error")                        \
	X(IDLE, "idle for too long")                        \
	X(HEADER_TIMEOUT, "request head took too long")     \
	X(BODY_TIMEOUT, "request body took too long")       \
	X(SEND_TIMEOUT, "client took no data for too long") \
	X(BAD_REQUEST, "request refused")                   \
	X(SHORT_BODY, "the source failed: ended short")     \
	X(DRAIN, "server stops")                            \
	X(NOMEM, "out of memory")

enum close_reason {
#define X(name, text) CLOSE_##name,
	CLOSE_REASONS(X)
#undef X
		CLOSE_COUNT
};

enum conn_state { CONN_IDLE, CONN_HEAD, CONN_HANDLER, CONN_SEND, CONN_LINGER, CONN_CLOSED };

/* A response is a row of segments: memory, or a range of the body. */
struct segment {
	const char *mem; /* NULL: the body's [off, end); end -1: up to its end, chunked or until close */
	int64_t off, end;
};

struct http_x {
	struct http_request req;
	struct http_head head;
	struct arena arena;
	int64_t started_ns;
	void (*on_abort)(void *arg);
	void *abort_arg;

	/* request body */
	struct http_chunked chunks;
	int64_t body_left; /* of a sized body */
	bool body_done, reading, paused, expect_sent;
	struct http_sink sink;
	struct buf *collect; /* http_read_body */
	size_t collect_max;
	void (*collect_fn)(struct http_x *x, struct slice body, void *arg);
	void *collect_arg;

	/* response */
	bool replied;
	int status;
	const char *note;
	struct body *body;
	struct segment *segs;
	size_t seg, seg_count;
	bool chunked_out;
	char frame[32]; /* chunk framing on its way out */
	size_t frame_n, frame_at;
	int64_t piece;   /* bytes left of the chunk in progress */
	bool last_frame; /* the closing chunk is in frame */
	int64_t sent_bytes;
};

struct shard;

struct conn {
	uint32_t magic;
	enum conn_state state;
	struct shard *shard;
	struct conn *next, *prev; /* of the shard */
	int fd;
	struct loop_io io;
	struct loop_timer timer;
	int64_t deadline_ns;
	enum close_reason on_deadline;
	struct loop_post cont; /* more to do without an event */
	struct loop_post reap; /* frees it, after every other post of it has run */
	struct wake wake;      /* sleeps on x.body */
	char *in;              /* bytes read but not used: only while there are any */
	size_t in_n, in_cap;
	bool want_out; /* the socket was full */
	bool keep_alive;
	bool eof; /* the client sent FIN */
	bool in_handler;
	bool close_after;
	uint64_t requests;
	char peer[PEER_MAX];
	struct http_x x;
};

struct listener {
	struct loop_io io;
	struct shard *shard;
	struct loop_timer again; /* after EMFILE */
	int fd;
};

/* What a loop has of the server. */
struct shard {
	struct http_server *server;
	struct loop *loop;
	struct listener *listeners;
	struct conn *conns;
	struct http_header *headers; /* room for one head being parsed */
	char *scratch;               /* SCRATCH_SIZE: what was read, until it is used */
	uint64_t next_id;
	int64_t date_s;
	char date[CLOCK_HTTP_MAX];
	struct buf log; /* access log lines on their way out */
	struct loop_timer log_timer;
	struct loop_post start, drain, cut;
	bool draining;
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
	_Atomic int64_t open;
};

/* conn.c */
void conn_new(struct shard *s, int fd, const char *peer);
void conn_run(struct conn *c);
void conn_close(struct conn *c, enum close_reason why);
void conn_deadline(struct conn *c, int64_t ms, enum close_reason why);
void conn_exchange_done(struct conn *c);

/* reply.c */
void reply_refuse(struct conn *c, int status, const char *why);

/* send.c: 1 all is out; 0 waits for the socket or the body; negative: the connection is closed. */
int send_run(struct conn *c);

/* access.c */
void access_log_line(struct conn *c, enum close_reason why, bool complete);
void access_log_flush(struct shard *s);

static inline struct conn *conn_of(struct http_x *x)
{
	struct conn *c = container_of(x, struct conn, x);

	MAGIC_CHECK(c, CONN_MAGIC);
	return c;
}

#endif
