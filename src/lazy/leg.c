/* Legs: ranges that readers wait for far ahead of the download, fetched beside it into the same staging file. Fetch loop only.
 *
 * Nobody queues for them: the readers that sleep on the flight are the queue, and whenever a leg ends the rest of them is looked at again. A leg is a
 * help and no more: when it fails, its reader gets its bytes when the download comes there. What legs bring counts as little as any other byte until the
 * digest of the whole is right; so without a declared digest there are none. */
#include "lazy/flight_priv.h"

#include "base/log.h"
#include "base/metrics.h"

#include <inttypes.h>
#include <stdlib.h>

/* At once, of one flight: a client that reads an image in pieces has a few requests open. */
#define LEGS_MAX 8
/* Of one source; then its readers wait for the download. */
#define LEG_FAILURES_MAX 3
/* Who reads on where a leg ended gets as much again at most, so that reading in small pieces does not cost a request each. */
#define READ_ON_MAX (INT64_C(4) * 1024 * 1024)

struct leg {
	struct flight *f;
	struct leg *next;
	struct fetch *fetch;
	int64_t from, at, to; /* asked for [from, to), there up to before at */
	bool over;            /* ended by us: no failure */
};

static void leg_remove(struct leg *l)
{
	struct leg **p = &l->f->legs;

	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	l->f->leg_count--;
	free(l);
}

void legs_cancel(struct flight *f)
{
	while (f->legs != NULL) {
		fetch_cancel(&f->legs->fetch);
		leg_remove(f->legs);
	}
}

bool legs_overtaken(struct flight *f, int64_t off)
{
	for (struct leg *l = f->legs; l != NULL; l = l->next) {
		if (l->at != off)
			continue;
		fetch_cancel(&l->fetch);
		leg_remove(l);
		return true;
	}
	return false;
}

/* ---- what comes ---- */

static int end(struct leg *l)
{
	l->over = true;
	return -ERR_CANCELED;
}

static int on_head(void *arg, const struct fetch_head *h)
{
	struct leg *l = arg;
	struct flight *f = l->f;

	if (h->status == 200) /* it does not do ranges, or has another file by now */
		f->leg_failures = LEG_FAILURES_MAX;
	if (h->status != 206 || h->range_start != l->from || (h->total >= 0 && h->total != flight_size(f)))
		return -ERR_UPSTREAM;
	if (f->etag[0] != '\0' && h->etag.n > 0 && !slice_eq(slice_str(f->etag), h->etag))
		return -ERR_UPSTREAM;
	return 0;
}

static int on_data(void *arg, const char *p, size_t n)
{
	struct leg *l = arg;
	struct flight *f = l->f;
	struct err err = ERR_INIT;
	int64_t part;
	int rc;

	if (l->at < f->watermark) /* the download was faster */
		return end(l);
	pthread_mutex_lock(&f->lock);
	/* Another leg may have begun, or ended, where this one is now. */
	part = extents_end(&f->ahead, l->at) > l->at ? 0 : MIN(l->to, extents_next(&f->ahead, l->at)) - l->at;
	pthread_mutex_unlock(&f->lock);
	part = MIN(part, (int64_t)n);
	if (part <= 0)
		return end(l);
	rc = staging_write(f->st, p, (size_t)part, l->at, &err);
	if (rc < 0)
		return rc; /* the download meets the same, and says so */
	pthread_mutex_lock(&f->lock);
	rc = extents_add(&f->ahead, l->at, l->at + part);
	atomic_store_explicit(&f->has_ahead, true, memory_order_release);
	pthread_mutex_unlock(&f->lock);
	if (rc < 0)
		return rc;
	metric_add(M_flight_leg_bytes, part);
	l->at += part;
	flight_wake(f, false);
	return l->at == l->to || part < (int64_t)n ? end(l) : 0;
}

static void on_done(void *arg, int rc, const struct err *err)
{
	struct leg *l = arg;
	struct flight *f = l->f;

	if (!l->over && l->at < l->to) {
		f->leg_failures++;
		log_info("lazy", "flight %" PRIu64 ": bytes %" PRId64 " to %" PRId64 " wait for the download: %s",
			f->id, l->at, l->to - 1,
			rc < 0 && err->msg[0] != '\0' ? err->msg : "the answer was another one");
	}
	leg_remove(l);
	legs_look(f);
}

/* ---- what is wanted ---- */

static int leg_start(struct flight *f, int64_t from, int64_t to)
{
	const struct source_row *s = &f->sources[f->source_at];
	struct fetch_remote remote;
	struct fetch_req req = {.url = s->url,
		.range_from = from,
		.range_to = to,
		.if_range = f->etag[0] != '\0' ? f->etag : NULL,
		.optional = true,
		.gather = true,
		.on_head = on_head,
		.on_data = on_data,
		.on_done = on_done};
	struct leg *l = calloc(1, sizeof(*l));
	struct err err = ERR_INIT;
	int rc;

	if (l == NULL)
		return -ERR_NOMEM;
	*l = (struct leg){.f = f, .from = from, .at = from, .to = to};
	req.arg = l;
	source_remote(f, s, &remote);
	rc = fetch_start(f->lz->fetch, &remote, &req, &l->fetch, &err);
	if (rc < 0) {
		free(l);
		return rc;
	}
	l->next = f->legs;
	f->legs = l;
	f->leg_count++;
	metric_inc(M_flight_legs);
	return 0;
}

/* Will a leg bring it about as soon as one of its own would? */
static bool is_under_way(const struct flight *f, int64_t off)
{
	for (const struct leg *l = f->legs; l != NULL; l = l->next)
		if (off >= l->at && off < l->to && off - l->at <= AHEAD_MIN)
			return true;
	return false;
}

static int64_t next_leg(const struct flight *f, int64_t off)
{
	int64_t next = INT64_MAX;

	for (const struct leg *l = f->legs; l != NULL; l = l->next)
		if (l->at > off)
			next = MIN(next, l->at);
	return next;
}

/* The range that some sleeping reader needs next. */
static bool find_wanted(struct flight *f, int64_t *from, int64_t *to)
{
	int64_t size = flight_size(f), read;
	struct wake *w;

	pthread_mutex_lock(&f->lock);
	for (w = f->waiters; w != NULL; w = w->next)
		if (w->off < size && w->end > w->off && w->off - f->watermark > AHEAD_MIN &&
			extents_end(&f->ahead, w->off) == w->off && !is_under_way(f, w->off))
			break;
	if (w != NULL) {
		*from = w->off;
		*to = MIN(w->end, size);
		read = *from - extents_begin(&f->ahead, *from);
		*to = MAX(*to, MIN(*from + MIN(read, READ_ON_MAX), size));
		*to = MIN(*to, MIN(extents_next(&f->ahead, *from), next_leg(f, *from)));
	}
	pthread_mutex_unlock(&f->lock);
	return w != NULL;
}

void legs_look(struct flight *f)
{
	int64_t from, to;

	/* Outside of FETCHING it is not settled which source is the right one; drive.c looks again when it is. */
	if (atomic_load_explicit(&f->state, memory_order_relaxed) != FLIGHT_FETCHING || f->want.digests.have == 0 ||
		f->lz->stopping)
		return;
	while (f->leg_count < LEGS_MAX && f->leg_failures < LEG_FAILURES_MAX && find_wanted(f, &from, &to))
		if (leg_start(f, from, to) < 0)
			return;
}

void legs_wanted(struct loop_post *p)
{
	struct flight *f = container_of(p, struct flight, wanted);

	MAGIC_CHECK(f, FLIGHT_MAGIC);
	legs_look(f);
	flight_release(&f);
}
