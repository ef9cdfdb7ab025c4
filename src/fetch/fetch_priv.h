/* What the files of this folder share: the context, a fetch, and how a fetch is carried out.
 *
 *   fetch.c     context and life of a fetch        transfer.c  one exchange over HTTP, redirects included
 *   lane.c      order and limits of one remote     head.c      the head of a response
 *   upstream.c  a remote's settings, connections   file_url.c  file://
 *   origin.c    who may see credentials            backoff.c   when to try again
 *   ca.c        whom the system trusts             health.c    how upstreams fare
 *
 * Everything belongs to the context's loop, except what file_url.c hands to the pool. */
#ifndef SLUICE_FETCH_FETCH_PRIV_H
#define SLUICE_FETCH_FETCH_PRIV_H

#include "base/check.h"
#include "fetch/fetch.h"
#include "fetch/health.h"

struct file_port;
struct host;
struct lane;
struct upstream;

/* A member of a list whose head is a link, too: empty when it points to itself. */
struct link {
	struct link *prev, *next;
};

static inline void link_init(struct link *l)
{
	l->prev = l->next = l;
}
static inline bool link_alone(const struct link *l)
{
	return l->next == l;
}
static inline void link_del(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	link_init(l);
}
/* Before `at`: with the head of a list, at its end. */
static inline void link_add(struct link *at, struct link *l)
{
	l->next = at;
	l->prev = at->prev;
	at->prev->next = l;
	at->prev = l;
}

#define LANE_BUCKETS 64

/* Pieces of a body on their way to whom they are for, within one call of libcurl (transfer.c). */
struct transfer;
struct gather {
	struct transfer *of; /* NULL: empty */
	char *p;             /* RECEIVE_BYTES; made with the first use */
	size_t n;
};

struct fetch_ctx {
	uint32_t magic;
	struct loop *loop;
	struct pool *pool;
	char *user_agent;
	char *allowed_import_paths;
	char *credential_hosts;
	char *foreign_networks;
	struct health_table *health; /* NULL: none */
	bool closing;
	int depth; /* call-backs that are running */

	struct link fetches; /* all */
	struct link todo;    /* fetches that were resumed or canceled since the last kick */
	struct lane *lanes[LANE_BUCKETS];
	struct host *hosts[LANE_BUCKETS];
	struct link lanes_to_run;
	struct link lanes_blocked; /* by max_running */
	int max_running, max_per_host, max_waiting_per_host;
	int queued, running;     /* over HTTP */
	struct loop_timer kick;  /* "in the next turn": a timer, because a post could not be taken back */
	struct loop_timer sweep; /* set while there are lanes */
	int idle_upstreams;
	struct file_port *port; /* made with the first file:// */
	struct gather gather;
};

/* How URLs of a scheme are read. `start` makes f->exchange; the exchange calls fetch_deliver_*() and, at the end and
 * outside of them, fetch_attempt_ended(). */
struct fetch_kind {
	int (*start)(struct fetch *f, struct err *err);
	void (*resume)(struct fetch *f);
	void (*stop)(struct fetch *f); /* frees f->exchange; NULL there is fine */
};
extern const struct fetch_kind fetch_kind_http;
extern const struct fetch_kind fetch_kind_file;

/*   QUEUED → RUNNING → ENDED
 *      ↑        ↓
 *      └─── DELAYED        (before the next attempt)
 * QUEUED: in the lane's queue. RUNNING: has an exchange and one of the lane's places. DELAYED: its timer is set. */
enum fetch_state { FETCH_QUEUED, FETCH_RUNNING, FETCH_DELAYED, FETCH_ENDED };

struct fetch {
	uint32_t magic;
	enum fetch_state state;
	struct fetch_ctx *ctx;
	struct upstream *upstream; /* a reference */
	struct health *health;     /* likewise; NULL: none */
	struct host *host;         /* likewise; NULL: file: */
	struct health_attempt asked;
	const struct fetch_kind *kind;
	void *exchange;
	struct fetch_req req; /* its strings are in `text` */
	struct link all;
	struct link place; /* in the lane's queue */
	struct link todo;
	struct loop_timer delay;

	int attempt; /* 1, 2, … */
	int max_retries;
	int concurrency;
	int rate_limit;
	int64_t total_ms; /* 0: none */
	int64_t connect_ms;
	int64_t silence_ms;

	bool delivered; /* the head of a success: from here on nothing is repeated */
	bool canceled;  /* no call-back any more; freed in the next turn */
	char text[];
};

/* ---- fetch.c ---- */
bool fetch_may_retry(const struct fetch *f);
/* Negative: end the exchange with this code, from outside of the call-back. */
int fetch_deliver_head(struct fetch *f, const struct fetch_head *head);
int fetch_deliver_data(struct fetch *f, const char *p, size_t n); /* also FETCH_PAUSE */
/* `wait_ms` >= 0: at least that long before the next attempt. Frees the exchange, and perhaps f. */
void fetch_attempt_ended(struct fetch *f, int rc, bool may_pass, int64_t wait_ms, const struct err *err);
/* f is RUNNING; it may be gone afterwards. */
void fetch_start_attempt(struct fetch *f);
void fetch_kick(struct fetch_ctx *c);
/* Puts the URL, redacted, in front of the text that is there. */
void fetch_err_at(struct err *err, const char *url);
/* Fills *err and does that. */
int fetch_err(struct err *err, int code, const char *url, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* ---- lane.c ---- */
/* Remotes whose connections are kept without being in use. */
#define IDLE_UPSTREAMS_MAX 64

#define LANE_QUEUE_MAX 100000                            /* the contract of fetch_start */
struct lane *lane_get(struct fetch_ctx *c, int64_t key); /* NULL: out of memory */
struct upstream **lane_upstreams(struct lane *l);
int lane_queued(const struct lane *l);
/* Would a request of this remote start at once? */
bool lane_is_free(const struct lane *l, const struct host *h, const struct fetch_remote *r);
/* The host of a URL: a reference. 0, also without a host (*out stays NULL); -ERR_NOMEM. */
int host_get(struct fetch_ctx *c, const char *url, struct host **out);
void host_put(struct fetch_ctx *c, struct host **ph);
/* As many wait for it as may. */
bool host_is_crowded(const struct fetch_ctx *c, const struct host *h);
void lane_enter(struct lane *l, struct fetch *f, bool first);
void lane_leave(struct lane *l, struct fetch *f);        /* the queue, or the place of a running one */
void lane_charge(struct lane *l, const struct fetch *f); /* a request besides the one that was waited for */
void lanes_run(struct fetch_ctx *c);
void lanes_sweep(struct fetch_ctx *c);
void lanes_free(struct fetch_ctx *c);

/* ---- file_url.c ---- */
void file_port_close(struct fetch_ctx *c);

#endif
