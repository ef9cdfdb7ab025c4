/* Lanes: the order and the limits of the requests of one remote; hosts: what is asked of one origin by all remotes.
 *
 * A lane has a queue, places for those that run (`concurrency`), and a moment before which no further request starts
 * (`rate_limit`: one every 1/n of a second). It lives while anybody uses it and a minute longer, with its connections. A host
 * (scheme, host and port of the URL that was asked for; file: has none) lives while a fetch refers to it.
 *
 *   RESTING ── a request comes, a place of the lane is free, the rate allows it ──► TO_RUN ── nothing is left, or its own limits ──► RESTING
 *                                                      ▲    │ one start a turn, so that lanes take turns
 *                                                      │    ▼
 *                                                    BLOCKED: its first request waits for a place of the host, or in all
 *
 * A place that becomes free is offered to the lane that has been blocked longest; one that cannot use it is followed by the next. So
 * a remote with thousands of requests delays another one's first request by one start, not by thousands. Within a remote the order is kept, also
 * where its URLs lead to several hosts. Loop only. */
#include "base/clock.h"
#include "base/metrics.h"
#include "fetch/fetch_priv.h"
#include "fetch/upstream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_NS (60 * NS_PER_S)
#define SWEEP_NS (15 * NS_PER_S)

/* Requests started in one turn: each costs tens of microseconds, and the loop has other work. */
#define STARTS_A_TURN 64

enum lane_state { LANE_RESTING, LANE_TO_RUN, LANE_BLOCKED };

struct lane {
	int64_t key;
	struct lane *next; /* of the bucket */
	struct fetch_ctx *ctx;
	struct upstream *upstreams;
	struct link queue; /* fetch.place */
	enum lane_state state;
	struct link place; /* TO_RUN: in ctx->lanes_to_run; BLOCKED: in a list of lanes that wait for the same */
	int queued;
	int running;
	int64_t next_start_ns;
	struct loop_timer rate;
	int64_t idle_since_ns;
};

struct host {
	struct host *next; /* of the bucket */
	int refs;          /* fetches */
	int queued, running;
	struct link blocked; /* lanes */
	char origin[URL_ORIGIN_MAX];
};

static struct lane **bucket_of(struct fetch_ctx *c, int64_t key)
{
	return &c->lanes[((uint64_t)key * UINT64_C(0x9e3779b97f4a7c15)) >> 58];
}
static_assert(LANE_BUCKETS == 1 << (64 - 58), "the hash has as many values as there are buckets");

/* ---- hosts ---- */

static struct host **host_slot(struct fetch_ctx *c, const char *origin)
{
	struct host **p = &c->hosts[slice_hash(slice_str(origin)) % LANE_BUCKETS];

	while (*p != NULL && strcmp((*p)->origin, origin) != 0)
		p = &(*p)->next;
	return p;
}

int host_get(struct fetch_ctx *c, const char *url, struct host **out)
{
	char origin[URL_ORIGIN_MAX] = "";
	struct host **slot;

	if (url_origin(slice_str(url), origin) != 0)
		return 0; /* file:, or a name that no resolver takes */
	slot = host_slot(c, origin);
	if (*slot == NULL) {
		struct host *h = calloc(1, sizeof(*h));

		if (h == NULL)
			return -ERR_NOMEM;
		link_init(&h->blocked);
		memcpy(h->origin, origin, sizeof(origin));
		*slot = h;
	}
	(*slot)->refs++;
	*out = *slot;
	return 0;
}

void host_put(struct fetch_ctx *c, struct host **ph)
{
	struct host *h = TAKE(*ph);

	if (h == NULL || --h->refs > 0)
		return;
	BUG(h->queued != 0 || h->running != 0 || !link_alone(&h->blocked));
	*host_slot(c, h->origin) = h->next;
	free(h);
}

bool host_is_crowded(const struct fetch_ctx *c, const struct host *h)
{
	/* Those that are about to start are in the queue, too. */
	return h != NULL && c->max_per_host > 0 && h->queued + h->running >= c->max_per_host + c->max_waiting_per_host;
}

static bool host_is_full(const struct fetch_ctx *c, const struct host *h, int besides)
{
	return h != NULL && c->max_per_host > 0 && h->running + besides >= c->max_per_host;
}

static bool ctx_is_full(const struct fetch_ctx *c, const struct host *h, int besides)
{
	return h != NULL && c->max_running > 0 && c->running + besides >= c->max_running;
}

static void count(struct fetch *f, int queued, int running)
{
	struct fetch_ctx *c = f->ctx;
	struct lane *l = f->upstream->lane;

	l->queued += queued;
	l->running += running;
	health_count(f->health, running, queued);
	if (f->host == NULL)
		return;
	f->host->queued += queued;
	f->host->running += running;
	c->queued += queued;
	c->running += running;
	metric_add(M_fetch_waiting, queued);
	metric_add(M_fetch_running, running);
}

/* ---- lanes ---- */

static void lane_rest(struct lane *l)
{
	link_del(&l->place);
	l->state = LANE_RESTING;
}

static void lane_block(struct lane *l, struct link *with)
{
	link_add(with, &l->place);
	l->state = LANE_BLOCKED;
}

static void lane_want_run(struct lane *l)
{
	if (l->state != LANE_TO_RUN) {
		lane_rest(l);
		link_add(&l->ctx->lanes_to_run, &l->place);
		l->state = LANE_TO_RUN;
	}
	fetch_kick(l->ctx);
}

static void offer(struct link *blocked)
{
	if (!link_alone(blocked))
		lane_want_run(container_of(blocked->next, struct lane, place));
}

/* What is free goes to whoever has waited longest. Whenever a place became free, or a lane did not use the one that it was offered. */
static void offer_places(struct fetch_ctx *c, struct host *h)
{
	if (h != NULL && !host_is_full(c, h, 0))
		offer(&h->blocked);
	if (!ctx_is_full(c, h, 0))
		offer(&c->lanes_blocked);
}

static void lane_rate_due(struct loop_timer *t)
{
	lane_want_run(container_of(t, struct lane, rate));
}

struct lane *lane_get(struct fetch_ctx *c, int64_t key)
{
	struct lane **bucket = bucket_of(c, key), *l;

	for (l = *bucket; l != NULL; l = l->next)
		if (l->key == key)
			return l;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	l->key = key;
	l->ctx = c;
	link_init(&l->queue);
	link_init(&l->place);
	l->rate.fn = lane_rate_due;
	l->idle_since_ns = loop_now(c->loop);
	l->next = *bucket;
	*bucket = l;
	if (c->sweep.slot == 0)
		(void)loop_timer_set(c->loop, &c->sweep, SWEEP_NS); /* failed: the next new lane tries again */
	return l;
}

struct upstream **lane_upstreams(struct lane *l)
{
	return &l->upstreams;
}

int lane_queued(const struct lane *l)
{
	return l->queued;
}

bool lane_is_free(const struct lane *l, const struct host *h, const struct fetch_remote *r)
{
	const struct fetch_ctx *c = l->ctx;

	return (r->concurrency <= 0 || l->running + l->queued < r->concurrency) &&
	       (r->rate_limit <= 0 || (l->queued == 0 && l->next_start_ns <= loop_now(c->loop))) &&
	       (h == NULL || (!host_is_full(c, h, h->queued) && !ctx_is_full(c, h, c->queued)));
}

void lane_enter(struct lane *l, struct fetch *f, bool first)
{
	BUG(!link_alone(&f->place));
	f->state = FETCH_QUEUED;
	link_add(first ? l->queue.next : &l->queue, &f->place);
	count(f, 1, 0);
	/* Else the lane waits for something already that this one must wait for, too. */
	if (first || l->queued == 1)
		lane_want_run(l);
}

void lane_leave(struct lane *l, struct fetch *f)
{
	bool was_first = f->state == FETCH_QUEUED && l->queue.next == &f->place, ran = f->state == FETCH_RUNNING;

	if (f->state == FETCH_QUEUED) {
		link_del(&f->place);
		count(f, -1, 0);
	} else if (ran) {
		count(f, 0, -1);
	}
	l->idle_since_ns = loop_now(l->ctx->loop);
	if (was_first && l->state == LANE_BLOCKED)
		lane_rest(l); /* what it waited for was for that one */
	if (was_first || ran)
		offer_places(l->ctx, f->host);
	if (l->queued > 0 && l->state == LANE_RESTING)
		lane_want_run(l);
}

/* Evenly spaced; what was not used is not saved up. */
void lane_charge(struct lane *l, const struct fetch *f)
{
	if (f->rate_limit > 0)
		l->next_start_ns = MAX(l->next_start_ns, loop_now(l->ctx->loop)) + MAX(NS_PER_S / f->rate_limit, 1);
}

/* May the first of the queue start? If not, the lane is blocked, or something is set that asks again. */
static bool lane_may_start(struct lane *l, const struct fetch *f)
{
	int64_t wait_ns = l->next_start_ns - loop_now(l->ctx->loop);

	if (f->concurrency > 0 && l->running >= f->concurrency)
		return false; /* lane_leave() asks again */
	if (f->rate_limit > 0 && wait_ns > 0 && loop_timer_set(l->ctx->loop, &l->rate, wait_ns) == 0)
		return false; /* out of memory: rather too early than never */
	if (host_is_full(l->ctx, f->host, 0)) {
		lane_block(l, &f->host->blocked);
		return false;
	}
	if (ctx_is_full(l->ctx, f->host, 0)) {
		lane_block(l, &l->ctx->lanes_blocked);
		return false;
	}
	return true;
}

/* Starts its first request, if that may be. */
static void lane_run(struct lane *l, int *starts)
{
	struct fetch *f = container_of(l->queue.next, struct fetch, place);
	struct fetch_ctx *c = l->ctx;
	struct host *h = f->host;

	if (h != NULL)
		h->refs++; /* f may be gone before its place is offered to others */
	if (f->canceled || lane_may_start(l, f)) {
		if (!f->canceled) {
			--*starts;
			lane_charge(l, f);
		}
		link_del(&f->place);
		count(f, -1, 1);
		f->state = FETCH_RUNNING;
		fetch_start_attempt(f);
		if (l->queued > 0)
			lane_want_run(l); /* behind the others */
	}
	offer_places(c, h);
	host_put(c, &h);
}

void lanes_run(struct fetch_ctx *c)
{
	int starts = STARTS_A_TURN;

	while (!link_alone(&c->lanes_to_run) && starts > 0) {
		struct lane *l = container_of(c->lanes_to_run.next, struct lane, place);

		lane_rest(l);
		if (l->queued > 0)
			lane_run(l, &starts);
	}
	if (!link_alone(&c->lanes_to_run))
		fetch_kick(c);
}

/* ---- ageing ---- */

static bool lane_unused(const struct lane *l)
{
	return l->upstreams == NULL && l->queued == 0 && l->running == 0;
}

static void lane_free(struct lane *l)
{
	BUG(!lane_unused(l));
	lane_rest(l);
	loop_timer_cancel(l->ctx->loop, &l->rate);
	free(l);
}

/* Frees the connections that nobody has used since `before_ns`; answers how many idle remotes are left. */
static int sweep_upstreams(struct fetch_ctx *c, int64_t before_ns)
{
	int idle = 0;

	for (int i = 0; i < LANE_BUCKETS; i++) {
		for (struct lane *l = c->lanes[i]; l != NULL; l = l->next) {
			struct upstream **pu = &l->upstreams, *u;

			while ((u = *pu) != NULL) {
				if (u->refs == 0 && (u->broken || u->idle_since_ns <= before_ns)) {
					*pu = u->next;
					c->idle_upstreams--;
					upstream_free(u);
					continue;
				}
				idle += u->refs == 0;
				pu = &u->next;
			}
		}
	}
	return idle;
}

void lanes_sweep(struct fetch_ctx *c)
{
	int64_t now = loop_now(c->loop), age = IDLE_NS;
	bool any = false;

	/* Too many: those that have waited half as long go, too, and so on. */
	while (sweep_upstreams(c, now - age) > IDLE_UPSTREAMS_MAX && age > 0)
		age /= 2;
	for (int i = 0; i < LANE_BUCKETS; i++) {
		struct lane **pl = &c->lanes[i], *l;

		while ((l = *pl) != NULL) {
			/* A lane also remembers when the next request may start. */
			if (lane_unused(l) && l->idle_since_ns <= now - age && l->next_start_ns <= now) {
				*pl = l->next;
				lane_free(l);
				continue;
			}
			any = true;
			pl = &l->next;
		}
	}
	if (any)
		(void)loop_timer_set(c->loop, &c->sweep, SWEEP_NS); /* failed: the next new lane tries again */
}

void lanes_free(struct fetch_ctx *c)
{
	for (int i = 0; i < LANE_BUCKETS; i++) {
		struct lane *l;

		while ((l = c->lanes[i]) != NULL) {
			struct upstream *u;

			while ((u = l->upstreams) != NULL) {
				l->upstreams = u->next;
				upstream_free(u);
			}
			c->lanes[i] = l->next;
			lane_free(l);
		}
	}
	loop_timer_cancel(c->loop, &c->sweep);
}
