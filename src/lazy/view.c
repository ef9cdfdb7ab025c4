/* What is in flight, for people: rows made on the fetch loop, which alone may look into a flight. */
#include "lazy/flight_priv.h"

#include "base/activity.h"
#include "base/clock.h"
#include "base/url.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The strings of views are copied whole. */
static_assert(sizeof(((struct flight_view *)0)->artifact) == FLIGHT_KEY_MAX, "a key fits");
static_assert(sizeof(((struct source_view *)0)->origin) == sizeof(((struct health_view *)0)->origin), "an origin fits");
static_assert(sizeof(((struct source_view *)0)->last_failure) == sizeof(((struct health_view *)0)->last_failure),
	"a text fits");

static const char *const state_names[] = {
	[FLIGHT_LOADING] = "loading",
	[FLIGHT_FETCHING] = "fetching",
	[FLIGHT_WAITING] = "waiting",
	[FLIGHT_VERIFYING] = "verifying",
	[FLIGHT_COMMITTING] = "committing",
	[FLIGHT_DONE] = "done",
	[FLIGHT_FAILED] = "failed",
};

struct look {
	struct loop_post post;
	struct lazy *lz;
	struct flight_view *out;
	size_t max, n;
	int64_t total;
	struct flight **held; /* `max` */

	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_done;
};

static void fill(const struct flight *f, struct flight_view *v)
{
	enum flight_state state = (enum flight_state)atomic_load_explicit(&f->state, memory_order_relaxed);
	struct buf url = BUF_INIT(65536);

	v->id = f->id;
	v->state = state_names[state];
	memcpy(v->artifact, f->key, sizeof(v->artifact));
	v->size = flight_size(f);
	v->bytes = f->watermark;
	v->age_ns = f->started_ns != 0 ? loop_now(f->lz->loop) - f->started_ns : 0;
	v->ranges = f->leg_count;
	v->resumes = f->resumes;
	/* While it is LOADING the sources are the pool's. */
	if (state == FLIGHT_LOADING || f->source_at >= f->source_count)
		return;
	v->remote = f->sources[f->source_at].remote->id;
	if (url_redact(slice_str(f->sources[f->source_at].url), &url) == 0 && url.n > 0)
		memcpy(v->source, url.p, MIN(url.n, sizeof(v->source) - 1));
	buf_fini(&url);
}

/* The table's lock is held for a look at each flight only. */
static void hold_all(struct look *k)
{
	struct flight_table *t = &k->lz->table;

	pthread_mutex_lock(&t->lock);
	k->total = t->count;
	for (size_t i = 0; i < t->bucket_count && k->n < k->max; i++) {
		for (struct flight *f = t->buckets[i]; f != NULL && k->n < k->max; f = f->chain) {
			flight_hold(f);
			k->out[k->n] = (struct flight_view){.readers = f->readers};
			k->held[k->n++] = f;
		}
	}
	pthread_mutex_unlock(&t->lock);
}

static void look(struct loop_post *p)
{
	struct look *k = container_of(p, struct look, post);

	hold_all(k);
	for (size_t i = 0; i < k->n; i++) {
		fill(k->held[i], &k->out[i]);
		flight_release(&k->held[i]);
	}
	/* The last touch: whoever waits frees it. */
	pthread_mutex_lock(&k->lock);
	k->is_done = true;
	pthread_cond_signal(&k->done);
	pthread_mutex_unlock(&k->lock);
}

static int by_id(const void *a, const void *b)
{
	const struct flight_view *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

int lazy_flights(struct lazy *lz, struct flight_view *out, size_t max, size_t *n, int64_t *total)
{
	struct look k = {.post.fn = look, .lz = lz, .out = out, .max = max};
	int rc = 0;

	/* The loop runs as long as somebody is at work: lazy_drain sets one, then looks at the other. */
	atomic_fetch_add(&lz->work, 1);
	k.held = calloc(max, sizeof(struct flight *));
	if (k.held == NULL)
		rc = -ERR_NOMEM;
	else if (atomic_load(&lz->closed))
		rc = -ERR_CLOSED;
	if (rc == 0) {
		(void)pthread_mutex_init(&k.lock, NULL);
		(void)pthread_cond_init(&k.done, NULL);
		loop_post(lz->loop, &k.post);
		pthread_mutex_lock(&k.lock);
		while (!k.is_done)
			pthread_cond_wait(&k.done, &k.lock);
		pthread_mutex_unlock(&k.lock);
		(void)pthread_cond_destroy(&k.done);
		(void)pthread_mutex_destroy(&k.lock);
		qsort(out, k.n, sizeof(*out), by_id);
		*n = k.n;
		*total = k.total;
	}
	atomic_fetch_sub_explicit(&lz->work, 1, memory_order_release);
	free(k.held);
	return rc;
}

int lazy_sources(struct lazy *lz, struct source_view *out, size_t max, size_t *n, int64_t *total)
{
	struct health_view *all = calloc(HEALTH_RECORDS_MAX, sizeof(*all));

	if (all == NULL)
		return -ERR_NOMEM;
	*total = (int64_t)health_views(lz->health, clock_mono_ns(), all, HEALTH_RECORDS_MAX);
	*n = MIN((size_t)*total, max);
	for (size_t i = 0; i < *n; i++) {
		const struct health_view *h = &all[i];

		out[i] = (struct source_view){.remote = h->remote,
			.state = health_state_name(h->state),
			.failures = h->failures,
			.wait_ns = h->wait_ns,
			.first_byte_ns = h->first_byte_ns,
			.hedge_ns = h->hedge_ns,
			.answers = h->answers,
			.open = h->open,
			.waiting = h->waiting};
		memcpy(out[i].origin, h->origin, sizeof(h->origin));
		memcpy(out[i].last_failure, h->last_failure, sizeof(h->last_failure));
	}
	free(all);
	return 0;
}
