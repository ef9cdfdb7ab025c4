/* Lanes: the order and the limits of the requests of one remote.
 *
 * A lane has a queue, places for those that run (`concurrency`), and a moment before which no further request starts
 * (`rate_limit`: one every 1/n of a second). It lives while anybody uses it and a minute longer, with its connections.
 * Loop only. */
#include "base/clock.h"
#include "fetch/fetch_priv.h"
#include "fetch/upstream.h"

#include <assert.h>
#include <stdlib.h>

#define IDLE_NS (60 * NS_PER_S)
#define SWEEP_NS (15 * NS_PER_S)

/* Requests started in one turn: each costs tens of microseconds, and the loop has other work. */
#define STARTS_A_TURN 64

struct lane {
	int64_t key;
	struct lane *next; /* of the bucket */
	struct fetch_ctx *ctx;
	struct upstream *upstreams;
	struct link queue;  /* fetch.place */
	struct link to_run; /* in ctx->lanes_to_run */
	int queued;
	int running;
	int64_t next_start_ns;
	struct loop_timer rate;
	int64_t idle_since_ns;
};

static struct lane **bucket_of(struct fetch_ctx *c, int64_t key)
{
	return &c->lanes[((uint64_t)key * UINT64_C(0x9e3779b97f4a7c15)) >> 58];
}
static_assert(LANE_BUCKETS == 1 << (64 - 58), "the hash has as many values as there are buckets");

static void lane_want_run(struct lane *l)
{
	if (link_alone(&l->to_run))
		link_add(&l->ctx->lanes_to_run, &l->to_run);
	fetch_kick(l->ctx);
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
	link_init(&l->to_run);
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

bool lane_is_free(const struct lane *l, const struct fetch_remote *r)
{
	return (r->concurrency <= 0 || l->running + l->queued < r->concurrency) &&
	       (r->rate_limit <= 0 || (l->queued == 0 && l->next_start_ns <= loop_now(l->ctx->loop)));
}

void lane_enter(struct lane *l, struct fetch *f, bool first)
{
	BUG(!link_alone(&f->place));
	f->state = FETCH_QUEUED;
	link_add(first ? l->queue.next : &l->queue, &f->place);
	l->queued++;
	health_count(f->health, 0, 1);
	lane_want_run(l);
}

void lane_leave(struct lane *l, struct fetch *f)
{
	if (f->state == FETCH_QUEUED) {
		link_del(&f->place);
		l->queued--;
		health_count(f->health, 0, -1);
	} else if (f->state == FETCH_RUNNING) {
		l->running--;
		health_count(f->health, -1, 0);
	}
	l->idle_since_ns = loop_now(l->ctx->loop);
	if (l->queued > 0)
		lane_want_run(l);
}

/* Evenly spaced; what was not used is not saved up. */
void lane_charge(struct lane *l, const struct fetch *f)
{
	if (f->rate_limit > 0)
		l->next_start_ns = MAX(l->next_start_ns, loop_now(l->ctx->loop)) + MAX(NS_PER_S / f->rate_limit, 1);
}

/* May the first of the queue start? If not, something is set that asks again. */
static bool lane_may_start(struct lane *l, const struct fetch *f)
{
	int64_t wait_ns = l->next_start_ns - loop_now(l->ctx->loop);

	if (f->concurrency > 0 && l->running >= f->concurrency)
		return false; /* lane_leave() asks again */
	if (f->rate_limit <= 0 || wait_ns <= 0)
		return true;
	if (loop_timer_set(l->ctx->loop, &l->rate, wait_ns) != 0)
		return true; /* out of memory: rather too early than never */
	return false;
}

static void lane_run(struct lane *l, int *starts)
{
	while (!link_alone(&l->queue) && *starts > 0) {
		struct fetch *f = container_of(l->queue.next, struct fetch, place);

		if (!f->canceled) {
			if (!lane_may_start(l, f))
				return;
			--*starts;
			lane_charge(l, f);
		}
		link_del(&f->place);
		l->queued--;
		l->running++;
		health_count(f->health, 1, -1);
		f->state = FETCH_RUNNING;
		fetch_start_attempt(f); /* f may be gone afterwards */
	}
	if (!link_alone(&l->queue))
		lane_want_run(l);
}

void lanes_run(struct fetch_ctx *c)
{
	int starts = STARTS_A_TURN;
	struct link now;

	/* Those that ask again while this runs are served in the next turn. */
	link_init(&now);
	while (!link_alone(&c->lanes_to_run)) {
		struct link *l = c->lanes_to_run.next;

		link_del(l);
		link_add(&now, l);
	}
	while (!link_alone(&now)) {
		struct lane *l = container_of(now.next, struct lane, to_run);

		link_del(&l->to_run);
		lane_run(l, &starts);
	}
}

/* ---- ageing ---- */

static bool lane_unused(const struct lane *l)
{
	return l->upstreams == NULL && l->queued == 0 && l->running == 0;
}

static void lane_free(struct lane *l)
{
	BUG(!lane_unused(l));
	link_del(&l->to_run);
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
