/* See space.h. `evict` is the one place that evicts; what it aims at is decided by its two callers, the thread and space_make_room. */
#include "space/space.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/metrics.h"
#include "catalog/evict.h"
#include "catalog/usage.h"
#include "space/removal.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LOOK_NS (1 * NS_PER_S)
#define PAGE 500                             /* artifacts looked at in one transaction */
#define SLACK_US (INT64_C(120) * US_PER_S)   /* last uses are written a minute late */
#define REWIND_NS (INT64_C(600) * NS_PER_S)  /* when what could not go is looked at again */
#define REST_MIN_NS (INT64_C(10) * NS_PER_S) /* after a look in vain, */
#define REST_MAX_NS (INT64_C(600) * NS_PER_S)
#define REST_TIMES 20                        /* or so many times as long as the look took */
#define FREE_REST_NS (INT64_C(5) * NS_PER_S) /* until what was evicted shows in the file system */
#define WARN_NS (INT64_C(60) * NS_PER_S)
#define AHEAD 2 /* room is made for downloads to come up to half of the quota */

struct space {
	struct space_opts o;
	_Atomic int64_t quota; /* 0: none */
	_Atomic int64_t expected, admitted;
	_Atomic int64_t warned_ns;
	_Atomic bool evicting; /* the thread runs, and has not looked in vain lately */
	void (*gone)(void *arg, const int64_t *artifact_ids, size_t count);
	void *arg;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool poked, started;
	_Atomic bool stop;
	pthread_t thread;

	/* the thread's, or the task's */
	struct evict_at at;
	int64_t rewound_ns, rest_until_ns, free_rest_until_ns;
	int64_t shown_bytes, shown_quota; /* what the gauges say */
};

/* ---- how much ---- */

static int64_t percent_of(int64_t whole, int64_t percent)
{
	return whole / 100 * percent + whole % 100 * percent / 100;
}

static int64_t high_mark(const struct space *s, int64_t quota)
{
	return percent_of(quota, s->o.settings->storage_quota_high);
}

static int64_t low_mark(const struct space *s, int64_t quota)
{
	return percent_of(quota, MIN(s->o.settings->storage_quota_low, s->o.settings->storage_quota_high));
}

/* Measures the file system, which may have grown. *missing: bytes to free for storage.min_free. */
static void measure(struct space *s, int64_t *missing)
{
	int64_t total = 0, used = 0, free_bytes = 0, least;
	struct err err = ERR_INIT;

	*missing = 0;
	if (store_space(s->o.store, &total, &used, &free_bytes, &err) < 0) {
		log_warn("space", "the file system cannot be measured, ignoring: %s", err.msg);
		return;
	}
	atomic_store(&s->quota, settings_share(s->o.settings->storage_quota, total));
	least = settings_share(s->o.settings->storage_min_free, total);
	if (free_bytes < least)
		*missing = least - free_bytes + least / 10;
}

static int stored(struct space *s, int64_t *bytes, struct err *err)
{
	struct usage usage = {0};
	struct txn *t = NULL;
	int rc = catalog_read(s->o.catalog, &t, err);

	if (rc == 0)
		rc = catalog_usage(t, &usage, err);
	txn_end(&t);
	*bytes = usage.bytes;
	return rc;
}

/* ---- eviction ---- */

struct evicted {
	int64_t artifacts, bytes;
	bool at_end; /* nothing more can go */
};

static bool stopping(const struct space *s)
{
	return atomic_load_explicit(&s->stop, memory_order_acquire);
}

static int by_id(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* One transaction, and then the files. */
static int evict_batch(
	struct space *s, const struct evict_candidate *c, size_t count, struct evicted *io, struct err *err)
{
	const bool share = s->o.settings->content_share_credentials;
	struct txn *t = NULL;
	int64_t ids[SPACE_GONE_MAX], bytes = 0;
	size_t n = 0;
	int rc = catalog_write(s->o.catalog, &t, err);

	for (size_t i = 0; rc >= 0 && i < count; i++) {
		rc = catalog_evict(t, &c[i], share, err);
		if (rc != 1)
			continue;
		ids[n++] = c[i].id;
		bytes += c[i].size;
	}
	if (rc >= 0 && FAULT("space.evict") != 0)
		rc = err_sys(err, errno, "evicting");
	if (rc >= 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	if (rc < 0)
		return rc;
	io->artifacts += (int64_t)n;
	io->bytes += bytes;
	metric_add(M_store_evictions, (int64_t)n);
	metric_add(M_store_evicted_bytes, bytes);
	rc = removal_run(s->o.catalog, s->o.store, err);
	qsort(ids, n, sizeof(*ids), by_id);
	if (s->gone != NULL && n > 0)
		s->gone(s->arg, ids, n);
	return rc;
}

/* Until *io says that so many bytes have gone, from s->at on. */
static int evict(struct space *s, int64_t bytes, int64_t before_us, struct evicted *io, struct err *err)
{
	struct evict_candidate found[SPACE_GONE_MAX];
	int rc = 0;

	io->at_end = false;
	while (rc == 0 && io->bytes < bytes && !io->at_end && !stopping(s)) {
		const struct evict_look look = {.before_us = before_us,
			.look = PAGE,
			.bytes = bytes - io->bytes,
			.share_credentials = s->o.settings->content_share_credentials};
		struct txn *t = NULL;
		size_t n = 0;

		rc = catalog_read(s->o.catalog, &t, err);
		if (rc == 0)
			rc = catalog_evict_look(t, &look, &s->at, found, SPACE_GONE_MAX, &n, &io->at_end, err);
		txn_end(&t);
		if (rc == 0 && n > 0)
			rc = evict_batch(s, found, n, io, err);
	}
	return rc;
}

/* `wanted` bytes of what has surely not been used lately; `needed` bytes, if those do not suffice, of anything. */
static int evict_by_age(struct space *s, int64_t wanted, int64_t needed, struct evicted *out, struct err *err)
{
	const int64_t now_us = clock_wall_us(), now_ns = clock_mono_ns();
	int rc;

	*out = (struct evicted){.artifacts = 0};
	if (s->rewound_ns == 0 || now_ns - s->rewound_ns > REWIND_NS) {
		s->at = (struct evict_at){0};
		s->rewound_ns = now_ns;
	}
	rc = evict(s, wanted, now_us - s->o.settings->storage_use_interval * 1000 - SLACK_US, out, err);
	if (rc == 0 && out->bytes < needed)
		rc = evict(s, needed, INT64_MAX, out, err);
	if (out->bytes < needed)
		s->rewound_ns = 0;
	return rc;
}

/* ---- the thread ---- */

static void show(struct space *s, int64_t bytes, int64_t quota)
{
	metric_add(M_store_artifact_bytes, bytes - s->shown_bytes);
	metric_add(M_store_quota_bytes, quota - s->shown_quota);
	s->shown_bytes = bytes;
	s->shown_quota = quota;
}

static int look(struct space *s, struct err *err)
{
	const int64_t now_ns = clock_mono_ns();
	int64_t missing, bytes, quota, ahead, wanted, needed;
	struct evicted out;
	int rc;

	measure(s, &missing);
	quota = atomic_load(&s->quota);
	rc = stored(s, &bytes, err);
	if (rc < 0)
		return rc;
	show(s, bytes, quota);
	if (quota == 0 || now_ns < s->rest_until_ns)
		return 0;
	if (now_ns < s->free_rest_until_ns)
		missing = 0;
	ahead = MIN(atomic_load(&s->expected), quota / AHEAD);
	atomic_store(&s->evicting, true);
	needed = MAX(MAX(bytes + ahead - high_mark(s, quota), missing), 0);
	if (needed == 0)
		return 0;
	wanted = MAX(bytes + ahead - low_mark(s, quota), needed);
	rc = evict_by_age(s, wanted, needed, &out, err);
	if (out.artifacts > 0)
		log_info("space",
			"evicted artifacts=%" PRId64 " bytes=%" PRId64 " for=%s stored=%" PRId64 " quota=%" PRId64,
			out.artifacts, out.bytes, missing > 0 ? "min_free" : "quota", bytes - out.bytes, quota);
	if (missing > 0)
		s->free_rest_until_ns = clock_mono_ns() + FREE_REST_NS;
	if (rc == 0 && out.bytes < needed && !stopping(s)) {
		int64_t took_ns = clock_mono_ns() - now_ns;

		atomic_store(&s->evicting, false);
		s->rest_until_ns = clock_mono_ns() + MIN(MAX(took_ns * REST_TIMES, REST_MIN_NS), REST_MAX_NS);
		log_warn("space",
			"nothing more can be evicted: the rest is pinned, uploaded, published or has no source that "
			"offers it; stored=%" PRId64 " quota=%" PRId64 " missing_free=%" PRId64,
			bytes - out.bytes, quota, missing);
	}
	return rc;
}

static void wait_for_work(struct space *s)
{
	int64_t until = clock_mono_ns() + LOOK_NS;
	struct timespec ts = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};

	pthread_mutex_lock(&s->lock);
	while (!s->poked && !stopping(s) && pthread_cond_timedwait(&s->wake, &s->lock, &ts) == 0)
		;
	s->poked = false;
	pthread_mutex_unlock(&s->lock);
}

static void *space_main(void *arg)
{
	struct space *s = arg;

	while (!stopping(s)) {
		struct err err = ERR_INIT;

		if (look(s, &err) < 0) {
			log_warn("space", "eviction failed, trying again: %s", err.msg);
			s->rest_until_ns = clock_mono_ns() + REST_MIN_NS;
			atomic_store(&s->evicting, false);
		}
		wait_for_work(s);
	}
	return NULL;
}

static void poke(struct space *s)
{
	pthread_mutex_lock(&s->lock);
	s->poked = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

/* ---- from outside ---- */

int space_new(const struct space_opts *opts, struct space **out, struct err *err)
{
	struct space *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	int64_t missing;

	if (s == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for the quota");
	s->o = *opts;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	measure(s, &missing);
	*out = s;
	return 0;
}

void space_free(struct space **ps)
{
	struct space *s = TAKE(*ps);

	if (s == NULL)
		return;
	space_stop(s);
	(void)pthread_cond_destroy(&s->wake);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

int space_start(
	struct space *s, void (*gone)(void *arg, const int64_t *artifact_ids, size_t count), void *arg, struct err *err)
{
	int rc;

	/* A percentage of a file system that cannot be measured just now is a quota. */
	if (s == NULL || (atomic_load(&s->quota) == 0 && settings_share(s->o.settings->storage_quota, INT64_MAX) == 0))
		return 0;
	s->gone = gone;
	s->arg = arg;
	rc = pthread_create(&s->thread, NULL, space_main, s);
	if (rc != 0)
		return err_sys(err, rc, "thread for eviction");
	s->started = true;
	atomic_store(&s->evicting, true);
	return 0;
}

void space_stop(struct space *s)
{
	if (s == NULL || !s->started)
		return;
	atomic_store(&s->evicting, false);
	atomic_store_explicit(&s->stop, true, memory_order_release);
	poke(s);
	(void)pthread_join(s->thread, NULL);
	s->started = false;
	show(s, 0, 0);
}

void space_expect(struct space *s, struct space_share *share, int64_t bytes)
{
	int64_t quota = s != NULL ? atomic_load_explicit(&s->quota, memory_order_relaxed) : 0, all;

	/* What is larger than the quota is not saved. */
	if (quota == 0 || bytes <= share->expected || bytes > quota)
		return;
	all = atomic_fetch_add(&s->expected, bytes - share->expected) + bytes - share->expected;
	share->expected = bytes;
	if (catalog_stored_bytes(s->o.catalog) + MIN(all, quota / AHEAD) > high_mark(s, quota))
		poke(s);
}

int space_admit(struct space *s, struct space_share *share, int64_t bytes)
{
	int64_t quota = s != NULL ? atomic_load_explicit(&s->quota, memory_order_relaxed) : 0, admitted;

	if (quota == 0)
		return 1;
	admitted = atomic_load(&s->admitted);
	do {
		if (catalog_stored_bytes(s->o.catalog) + admitted + bytes > quota) {
			space_expect(s, share, bytes);
			return bytes <= quota / AHEAD && atomic_load(&s->evicting) ? 0 : -1;
		}
	} while (!atomic_compare_exchange_weak(&s->admitted, &admitted, admitted + bytes));
	share->admitted += bytes;
	return 1;
}

void space_refused(struct space *s)
{
	int64_t now_ns = clock_mono_ns(), last = atomic_load(&s->warned_ns);

	metric_inc(M_store_unsaved);
	if ((last == 0 || now_ns - last >= WARN_NS) && atomic_compare_exchange_strong(&s->warned_ns, &last, now_ns))
		log_warn("space",
			"the quota is reached: downloads are served, but not saved; stored=%" PRId64 " quota=%" PRId64,
			catalog_stored_bytes(s->o.catalog), atomic_load(&s->quota));
}

void space_done(struct space *s, struct space_share *share)
{
	if (s == NULL)
		return;
	atomic_fetch_sub(&s->expected, share->expected);
	atomic_fetch_sub(&s->admitted, share->admitted);
	*share = (struct space_share){0};
}

int space_make_room(struct space *s, int64_t bytes, struct err *err)
{
	int64_t quota = s != NULL ? atomic_load(&s->quota) : 0, now = 0;
	struct evicted out;
	int rc;

	if (quota == 0)
		return 0;
	rc = stored(s, &now, err);
	if (rc < 0 || now + bytes <= quota)
		return rc;
	if (bytes <= quota)
		rc = evict_by_age(s, now + bytes - low_mark(s, quota), now + bytes - quota, &out, err);
	if (rc == 0)
		rc = stored(s, &now, err);
	if (rc == 0 && now + bytes > quota)
		rc = err_set(err, -ERR_NOSPACE,
			"storage.quota leaves no room: %" PRId64 " bytes are saved, %" PRId64
			" more are needed, %" PRId64 " are allowed, and not enough can be evicted",
			now, bytes, quota);
	return rc;
}

int space_has_room(struct space *s, int64_t bytes, struct err *err)
{
	int64_t quota, high, missing = 0, now = 0;
	int rc;

	if (s == NULL)
		return 0;
	measure(s, &missing);
	quota = atomic_load(&s->quota);
	if (quota == 0)
		return 0;
	high = high_mark(s, quota);
	rc = stored(s, &now, err);
	if (rc == 0 && now + bytes > high)
		rc = err_set(err, -ERR_NOSPACE,
			"storage.quota leaves no room for what nobody has asked for yet: %" PRId64 " bytes are saved, "
			"%" PRId64 " more would come, and past %" PRId64 " what is used less would be evicted for it",
			now, bytes, high);
	else if (rc == 0 && missing > 0)
		rc = err_set(err, -ERR_NOSPACE,
			"storage.min_free leaves no room for what nobody has asked for yet: %" PRId64
			" bytes of the file system should be free that are not",
			missing);
	return rc;
}
