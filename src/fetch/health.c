/* See health.h. One lock protects the table and every record; a record whose last reference is gone stays until it is the oldest. */
#include "fetch/health.h"

#include "base/check.h"
#include "base/metrics.h"
#include "fetch/fetch.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEALTH_MAGIC 0x6865616cu /* "heal" */

#define SAMPLES \
	64 /* of times to the first byte: enough for a 95th percentile, few enough to forget last hour's network */
#define SAMPLES_FEW 8       /* below, nothing is known */
#define RESAMPLE 8          /* answers after which the percentile is taken anew: sorting costs a microsecond or two */
#define EWMA_SHIFT 3        /* a new sample counts one eighth */
#define FAILING_NS NS_PER_S /* a restart of an upstream breaks every connection at once, and is over soon */
#define BUCKETS 256

struct health {
	uint32_t magic;
	struct health_table *t;
	struct health *chain;         /* of the bucket */
	struct health *newer, *older; /* by use */
	uint64_t hash;
	int refs;
	int64_t remote, revision;
	char origin[URL_ORIGIN_MAX];

	enum health_state state;
	int64_t failures;    /* in a row */
	int64_t failing_ns;  /* start of the first attempt of the row */
	int64_t alive_ns;    /* last sign of life */
	uint64_t failed_url; /* the last one's */
	bool widespread;     /* not the fault of one URL alone */
	int64_t backoff_ns;  /* DOWN, PROBING: the current one */
	int64_t until_ns;    /* DOWN: the end of it */
	int64_t wanted_ns;   /* what upstream asked for by Retry-After, with the last failure */
	int code;            /* of the last failure */
	char why[256];       /* ... and its text */

	int64_t answers;
	int64_t ewma_ns;
	int64_t hedge_ns;
	uint32_t sample_us[SAMPLES];
	unsigned samples, sample_at;
	int open, waiting;
};

struct health_table {
	pthread_mutex_t lock;
	struct health_opts opts;
	struct health *buckets[BUCKETS];
	struct health *newest, *oldest;
	size_t count;
	uint64_t random;
};

const char *health_state_name(enum health_state s)
{
	static const char *const names[] = {
#define X(name, help) #name,
		HEALTH_STATES(X)
#undef X
	};

	return names[s];
}

/* ---- which failure counts how ---- */

/* The one table. An artifact's own faults never count: 404 and every other 4xx show that upstream lives, and wrong bytes are marked in the
 * catalog, per artifact. Once a head is there upstream has answered; what breaks off behind it is for the flight to resume. */
enum meaning {
	MEANS_NOTHING, /* ours, or of one artifact */
	MEANS_ALIVE,
	MEANS_TROUBLE, /* a failure, perhaps of this URL alone: it takes two URLs to make it the source's */
	MEANS_DEAD,    /* a failure of the source */
};

/* Statuses: 1xx never come here. */
static enum meaning meaning_of_status(int status)
{
	/* 408, 425, 429, 500, 502, 503, 504 and the like; 501 and 505 are about the request. */
	return fetch_status_may_pass(status) ? MEANS_TROUBLE : MEANS_ALIVE;
}

static enum meaning meaning_of_failure(int code, bool connected)
{
	switch (-code) {
	case ERR_CONNECT: /* name, route, port, TLS, proxy; closed before the head was there */
		return MEANS_DEAD;
	case ERR_TIMEOUT: /* after the request was sent, a slow page may be to blame */
		return connected ? MEANS_TROUBLE : MEANS_DEAD;
	default: /* a head that makes no sense, redirects in circles, canceled, out of memory, too much is waiting */
		return MEANS_NOTHING;
	}
}

/* ---- the table ---- */

int health_table_new(const struct health_opts *opts, struct health_table **out, struct err *err)
{
	struct health_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return err_set(err, -ERR_NOMEM, "health of upstreams");
	(void)pthread_mutex_init(&t->lock, NULL);
	t->opts = *opts;
	if (t->opts.records_max == 0)
		t->opts.records_max = HEALTH_RECORDS_MAX;
	t->random = opts->seed | 1;
	*out = t;
	return 0;
}

static void unlink_by_use(struct health_table *t, struct health *h)
{
	*(h->newer != NULL ? &h->newer->older : &t->newest) = h->older;
	*(h->older != NULL ? &h->older->newer : &t->oldest) = h->newer;
	h->newer = h->older = NULL;
}

static void link_as_newest(struct health_table *t, struct health *h)
{
	h->older = t->newest;
	*(h->older != NULL ? &h->older->newer : &t->oldest) = h;
	t->newest = h;
}

static void forget(struct health_table *t, struct health *h)
{
	struct health **p = &t->buckets[h->hash % BUCKETS];

	while (*p != h)
		p = &(*p)->chain;
	*p = h->chain;
	unlink_by_use(t, h);
	t->count--;
	if (h->state != HEALTH_up)
		metric_dec(M_sources_down);
	h->magic = 0;
	free(h);
}

void health_table_free(struct health_table **pt)
{
	struct health_table *t = TAKE(*pt);

	if (t == NULL)
		return;
	while (t->newest != NULL) {
		BUG(t->newest->refs != 0);
		forget(t, t->newest);
	}
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
}

/* Lock. */
static struct health *find(struct health_table *t, int64_t remote, const char *origin, uint64_t hash)
{
	struct health *h = t->buckets[hash % BUCKETS];

	while (h != NULL && (h->hash != hash || h->remote != remote || strcmp(h->origin, origin) != 0))
		h = h->chain;
	return h;
}

/* Lock. */
static bool make_room(struct health_table *t)
{
	struct health *h = t->oldest;

	if (t->count < t->opts.records_max)
		return true;
	while (h != NULL && h->refs > 0)
		h = h->newer;
	if (h == NULL)
		return false;
	forget(t, h);
	return true;
}

/* Lock. */
static struct health *make(struct health_table *t, int64_t remote, const char *origin, uint64_t hash)
{
	struct health *h = make_room(t) ? calloc(1, sizeof(*h)) : NULL;

	if (h == NULL)
		return NULL;
	h->magic = HEALTH_MAGIC;
	h->t = t;
	h->hash = hash;
	h->remote = remote;
	(void)snprintf(h->origin, sizeof(h->origin), "%s", origin);
	h->hedge_ns = HEALTH_HEDGE_UNKNOWN_NS;
	h->chain = t->buckets[hash % BUCKETS];
	t->buckets[hash % BUCKETS] = h;
	link_as_newest(t, h);
	t->count++;
	return h;
}

static void set_up(struct health *h)
{
	if (h->state != HEALTH_up)
		metric_dec(M_sources_down);
	h->state = HEALTH_up;
	h->failures = 0;
	h->failing_ns = h->backoff_ns = h->until_ns = 0;
	h->widespread = false;
	h->code = 0;
	h->why[0] = '\0';
}

/* Lock. NULL: none is kept. */
static struct health *look_up(struct health_table *t, int64_t remote, const char *url, bool may_make)
{
	char origin[URL_ORIGIN_MAX];
	struct health *h;
	uint64_t hash;

	if (url_origin(slice_str(url), origin) != 0)
		return NULL;
	hash = slice_hash(slice_str(origin)) ^ ((uint64_t)remote * UINT64_C(0x9e3779b97f4a7c15));
	h = find(t, remote, origin, hash);
	return h == NULL && may_make ? make(t, remote, origin, hash) : h;
}

struct health *health_get(struct health_table *t, int64_t remote, int64_t revision, const char *url)
{
	struct health *h;

	if (t == NULL)
		return NULL;
	pthread_mutex_lock(&t->lock);
	h = look_up(t, remote, url, true);
	if (h != NULL) {
		unlink_by_use(t, h);
		link_as_newest(t, h);
		h->refs++;
		if (h->revision != revision)
			set_up(h);
		h->revision = revision;
	}
	pthread_mutex_unlock(&t->lock);
	return h;
}

void health_put(struct health **ph)
{
	struct health *h = TAKE(*ph);

	if (h == NULL)
		return;
	MAGIC_CHECK(h, HEALTH_MAGIC);
	pthread_mutex_lock(&h->t->lock);
	h->refs--;
	pthread_mutex_unlock(&h->t->lock);
}

/* ---- asking ---- */

/* Lock. */
static int refused(const struct health *h, int64_t now_ns, struct err *err, int64_t *wait_ns)
{
	/* While one tests it the others cannot know more before that has ended; a second is when asking again makes sense. */
	int64_t left_ns = h->state == HEALTH_probing ? NS_PER_S : h->until_ns - now_ns;

	if (h->state == HEALTH_up || left_ns <= 0)
		return 0;
	if (wait_ns != NULL)
		*wait_ns = left_ns;
	return err_set(err, h->code, "not asked after %" PRId64 " failures, the last: %s", h->failures, h->why);
}

int health_may_ask(const struct health *h, int64_t now_ns, struct err *err, int64_t *wait_ns)
{
	int rc;

	if (h == NULL)
		return 0;
	MAGIC_CHECK(h, HEALTH_MAGIC);
	pthread_mutex_lock(&h->t->lock);
	rc = refused(h, now_ns, err, wait_ns);
	pthread_mutex_unlock(&h->t->lock);
	return rc;
}

int health_peek(struct health_table *t, int64_t remote, int64_t revision, const char *url, int64_t now_ns,
	struct err *err, int64_t *wait_ns)
{
	struct health *h;
	int rc = 0;

	if (t == NULL)
		return 0;
	pthread_mutex_lock(&t->lock);
	h = look_up(t, remote, url, false);
	if (h != NULL && h->revision == revision)
		rc = refused(h, now_ns, err, wait_ns);
	pthread_mutex_unlock(&t->lock);
	return rc;
}

int health_ask(
	struct health *h, struct slice url, int64_t now_ns, struct health_attempt *a, struct err *err, int64_t *wait_ns)
{
	int rc = 0;

	BUG(a->started_ns != 0);
	if (h != NULL) {
		MAGIC_CHECK(h, HEALTH_MAGIC);
		pthread_mutex_lock(&h->t->lock);
		rc = refused(h, now_ns, err, wait_ns);
	}
	if (rc == 0) {
		*a = (struct health_attempt){.url = slice_hash(url), .started_ns = now_ns};
		if (h != NULL && h->state == HEALTH_down) {
			h->state = HEALTH_probing;
			a->probe = true;
			metric_inc(M_sources_probed);
		}
	} else {
		metric_inc(M_sources_refusals);
	}
	if (h != NULL)
		pthread_mutex_unlock(&h->t->lock);
	return rc;
}

/* ---- what became of it ---- */

/* Between three quarters and the whole of it: servers that lost an upstream together do not come back together. xorshift64. */
static int64_t with_jitter(struct health_table *t, int64_t ns)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return ns - (int64_t)(t->random % (uint64_t)(ns / 4 + 1));
}

/* Lock. */
static void leave_alone(struct health *h, int64_t now_ns)
{
	const struct health_opts *o = &h->t->opts;
	int64_t wait_ns = MAX(with_jitter(h->t, h->backoff_ns), MIN(h->wanted_ns, o->backoff_max_ns));

	if (h->state == HEALTH_up) {
		metric_inc(M_sources_down);
		metric_inc(M_sources_backoffs);
	}
	h->state = HEALTH_down;
	h->until_ns = now_ns + wait_ns;
}

/* Lock. Outside of UP only the probe can make things worse: the others were sent before. */
static void note_failure(struct health *h, const struct health_attempt *a, enum meaning m, int64_t now_ns)
{
	const struct health_opts *o = &h->t->opts;
	bool same_url = h->failures > 0 && h->failed_url == a->url;

	bool probe = a->probe && h->state == HEALTH_probing;

	if (h->state != HEALTH_up && !probe)
		return;
	if (h->failures == 0)
		h->failing_ns = a->started_ns;
	h->widespread |= m == MEANS_DEAD || (h->failures > 0 && !same_url);
	h->failures++;
	h->failed_url = a->url;
	if (probe) {
		/* One page that always fails says nothing new by failing again. */
		if (m == MEANS_DEAD || !same_url)
			h->backoff_ns = MIN(2 * h->backoff_ns, o->backoff_max_ns);
		leave_alone(h, now_ns);
	} else if (o->failures > 0 && h->failures >= o->failures && h->widespread &&
		   now_ns - MAX(h->failing_ns, h->alive_ns) >= FAILING_NS) {
		h->backoff_ns = MIN(o->backoff_ns, o->backoff_max_ns);
		leave_alone(h, now_ns);
	}
}

/* Lock. The probe ended and nobody knows more: the next request is another. */
static void probe_lost(struct health *h, const struct health_attempt *a, int64_t now_ns)
{
	if (!a->probe || h->state != HEALTH_probing)
		return;
	h->state = HEALTH_down;
	h->until_ns = now_ns;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Lock. */
static void note_first_byte(struct health *h, int64_t ns)
{
	uint32_t sorted[SAMPLES];
	int64_t p95_ns;

	h->ewma_ns = h->samples == 0 ? ns : h->ewma_ns + (ns - h->ewma_ns) / (1 << EWMA_SHIFT);
	h->sample_us[h->sample_at] = (uint32_t)MIN(ns / 1000, (int64_t)UINT32_MAX);
	h->sample_at = (h->sample_at + 1) % SAMPLES;
	h->samples = MIN(h->samples + 1, SAMPLES);
	if (h->samples < SAMPLES_FEW || h->sample_at % RESAMPLE != 0)
		return;
	memcpy(sorted, h->sample_us, h->samples * sizeof(*sorted));
	qsort(sorted, h->samples, sizeof(*sorted), by_size);
	p95_ns = (int64_t)sorted[h->samples * 95 / 100] * 1000;
	h->hedge_ns = MAX(MIN(p95_ns, HEALTH_HEDGE_MAX_NS), HEALTH_HEDGE_MIN_NS);
}

void health_answered(struct health *h, struct health_attempt *a, int status, int64_t retry_after_s, int64_t now_ns)
{
	enum meaning m = meaning_of_status(status);

	if (h == NULL || a->started_ns == 0)
		goto out;
	MAGIC_CHECK(h, HEALTH_MAGIC);
	pthread_mutex_lock(&h->t->lock);
	h->answers++;
	if (m == MEANS_ALIVE) {
		set_up(h);
		h->alive_ns = now_ns;
		if (status == 200 || status == 206)
			note_first_byte(h, now_ns - a->started_ns);
	} else {
		h->code = -ERR_UPSTREAM;
		(void)snprintf(h->why, sizeof(h->why), "it answered %d", status);
		h->wanted_ns = retry_after_s > 0 ? MIN(retry_after_s, INT64_C(86400)) * NS_PER_S : 0;
		note_failure(h, a, m, now_ns);
	}
	pthread_mutex_unlock(&h->t->lock);
out:
	a->started_ns = 0;
}

void health_failed(struct health *h, struct health_attempt *a, const struct err *err, int64_t now_ns)
{
	enum meaning m = meaning_of_failure(err->code, a->connected);

	if (m == MEANS_NOTHING) {
		health_let_go(h, a, now_ns);
		return;
	}
	if (h == NULL || a->started_ns == 0)
		goto out;
	MAGIC_CHECK(h, HEALTH_MAGIC);
	pthread_mutex_lock(&h->t->lock);
	h->code = err->code;
	(void)snprintf(h->why, sizeof(h->why), "%.*s", (int)sizeof(h->why) - 1, err->msg);
	h->wanted_ns = 0;
	note_failure(h, a, m, now_ns);
	pthread_mutex_unlock(&h->t->lock);
out:
	a->started_ns = 0;
}

void health_let_go(struct health *h, struct health_attempt *a, int64_t now_ns)
{
	if (h == NULL || a->started_ns == 0)
		goto out;
	MAGIC_CHECK(h, HEALTH_MAGIC);
	pthread_mutex_lock(&h->t->lock);
	probe_lost(h, a, now_ns);
	/* Else a source that became slow would lose every race of a hedge without anyone noticing. What was given up earlier than that says
	 * nothing about it. */
	if (a->connected && now_ns - a->started_ns > h->hedge_ns)
		note_first_byte(h, now_ns - a->started_ns);
	pthread_mutex_unlock(&h->t->lock);
out:
	a->started_ns = 0;
}

void health_count(struct health *h, int open, int waiting)
{
	if (h == NULL)
		return;
	MAGIC_CHECK(h, HEALTH_MAGIC);
	pthread_mutex_lock(&h->t->lock);
	h->open += open;
	h->waiting += waiting;
	pthread_mutex_unlock(&h->t->lock);
}

/* ---- reading ---- */

int64_t health_hedge_delay_ns(const struct health *h)
{
	int64_t ns;

	if (h == NULL)
		return HEALTH_HEDGE_UNKNOWN_NS;
	MAGIC_CHECK(h, HEALTH_MAGIC);
	pthread_mutex_lock(&h->t->lock);
	ns = h->hedge_ns;
	pthread_mutex_unlock(&h->t->lock);
	return ns;
}

int64_t health_hedge_delay_of(struct health_table *t, int64_t remote, const char *url)
{
	int64_t ns = HEALTH_HEDGE_UNKNOWN_NS;
	struct health *h;

	if (t == NULL)
		return ns;
	pthread_mutex_lock(&t->lock);
	h = look_up(t, remote, url, false);
	if (h != NULL)
		ns = h->hedge_ns;
	pthread_mutex_unlock(&t->lock);
	return ns;
}

size_t health_views(struct health_table *t, int64_t now_ns, struct health_view *out, size_t max)
{
	size_t n = 0;

	if (t == NULL)
		return 0;
	pthread_mutex_lock(&t->lock);
	for (const struct health *h = t->newest; h != NULL && n < max; h = h->older, n++) {
		int64_t wait_ns = 0;

		(void)refused(h, now_ns, NULL, &wait_ns); /* what is left of it; the code is in the view */
		out[n] = (struct health_view){.remote = h->remote,
			.state = h->state,
			.failures = h->failures,
			.wait_ns = wait_ns,
			.first_byte_ns = h->ewma_ns,
			.hedge_ns = h->hedge_ns,
			.answers = h->answers,
			.open = h->open,
			.waiting = h->waiting};
		memcpy(out[n].origin, h->origin, sizeof(h->origin));
		memcpy(out[n].last_failure, h->why, sizeof(h->why));
	}
	pthread_mutex_unlock(&t->lock);
	return n;
}
