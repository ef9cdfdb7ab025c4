/* The table of flights, and their readers. What is under which lock stands in flight_priv.h. */
#include "lazy/flight_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- keys and the table ---- */

/* By content where a digest is known, so that equal files of any repository are one flight. */
static void make_key(const struct flight_want *w, char out[FLIGHT_KEY_MAX])
{
	char hex[DIGEST_HEX_MAX];
	int n;

	if ((w->digests.have & (1u << DIGEST_SHA256)) != 0)
		n = snprintf(
			out, FLIGHT_KEY_MAX, "sha256:%s", digest_hex(DIGEST_SHA256, w->digests.d[DIGEST_SHA256], hex));
	else
		n = snprintf(out, FLIGHT_KEY_MAX, "content-artifact:%" PRId64, w->content_artifact_id);
	if (w->passing)
		n += snprintf(out + n, FLIGHT_KEY_MAX - (size_t)n, " passing");
	if (w->alone)
		(void)snprintf(out + n, FLIGHT_KEY_MAX - (size_t)n, " of %" PRId64 " in repository %" PRId64,
			w->content_artifact_id, w->repository_id);
}

static struct flight **slot_of(struct flight_table *t, const char *key)
{
	struct flight **p = &t->buckets[slice_hash(slice_str(key)) % t->bucket_count];

	while (*p != NULL && strcmp((*p)->key, key) != 0)
		p = &(*p)->chain;
	return p;
}

/* Table lock. */
static void remove_from_table(struct flight *f)
{
	struct flight **p = slot_of(&f->lz->table, f->key);

	BUG(*p != f);
	*p = f->chain;
	f->chain = NULL;
	f->in_table = false;
	f->lz->table.count--;
	metric_dec(M_flights_open);
}

void flight_out_of_table(struct flight *f)
{
	pthread_mutex_lock(&f->lz->table.lock);
	if (f->in_table)
		remove_from_table(f);
	pthread_mutex_unlock(&f->lz->table.lock);
}

bool flight_has_readers(struct flight *f)
{
	bool any;

	pthread_mutex_lock(&f->lz->table.lock);
	any = f->readers > 0;
	pthread_mutex_unlock(&f->lz->table.lock);
	return any;
}

bool flight_claim(struct flight *f)
{
	bool mine;

	pthread_mutex_lock(&f->lz->table.lock);
	mine = f->readers == 0;
	if (mine && f->in_table)
		remove_from_table(f);
	pthread_mutex_unlock(&f->lz->table.lock);
	return mine;
}

bool flight_seal(struct flight *f)
{
	struct flight_table *t = &f->lz->table;
	struct flight **slot;
	size_t n = strlen(f->key);
	int known = 0;

	pthread_mutex_lock(&t->lock);
	pthread_mutex_lock(&f->lock);
	for (const struct flight_reader *r = f->bodies; r != NULL; r = r->next)
		known++;
	pthread_mutex_unlock(&f->lock);
	known = f->in_table && known == f->readers;
	if (known) { /* it stays in the table, where a drain finds it, by a name that nobody asks for */
		slot = slot_of(t, f->key);
		BUG(*slot != f);
		*slot = f->chain;
		(void)snprintf(f->key + n, sizeof(f->key) - n, " in flight %" PRIu64, f->id);
		f->chain = NULL;
		*slot_of(t, f->key) = f;
	}
	pthread_mutex_unlock(&t->lock);
	return known;
}

/* ---- whose content artifacts get it ---- */

/* Past this many, the next request for such a path finds the artifact in the store and sees to it. */
#define OTHERS_MAX 1000

/* Table lock. */
static void add_other(struct flight *f, const struct flight_want *want)
{
	int64_t *grown;

	if (want->saved || want->content_artifact_id == 0 || f->other_count == OTHERS_MAX ||
		want->content_artifact_id == f->want.content_artifact_id)
		return;
	for (size_t i = 0; i < f->other_count; i++)
		if (f->others[i] == want->content_artifact_id)
			return;
	grown = realloc(f->others, (f->other_count + 1) * sizeof(*grown));
	if (grown == NULL)
		return;
	f->others = grown;
	f->others[f->other_count++] = want->content_artifact_id;
}

bool flight_next_other(struct flight *f, int64_t *content_artifact_id)
{
	bool any;

	pthread_mutex_lock(&f->lz->table.lock);
	any = f->others_told < f->other_count;
	if (any)
		*content_artifact_id = f->others[f->others_told++];
	pthread_mutex_unlock(&f->lz->table.lock);
	return any;
}

void flight_untell(struct flight *f)
{
	pthread_mutex_lock(&f->lz->table.lock);
	f->others_told = 0;
	pthread_mutex_unlock(&f->lz->table.lock);
}

bool flight_all_told(struct flight *f)
{
	bool all;

	pthread_mutex_lock(&f->lz->table.lock);
	all = f->others_told == f->other_count;
	if (all && f->in_table)
		remove_from_table(f);
	pthread_mutex_unlock(&f->lz->table.lock);
	return all;
}

/* ---- references ---- */

static struct flight *flight_new(struct lazy *lz, const struct flight_want *want, const char *key)
{
	struct flight *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->magic = FLIGHT_MAGIC;
	f->lz = lz;
	f->id = atomic_fetch_add_explicit(&lz->next_id, 1, memory_order_relaxed);
	(void)snprintf(f->key, sizeof(f->key), "%s", key);
	f->want = *want;
	f->fd = -1;
	f->retry_after_s = -1;
	f->told = want->saved || want->content_artifact_id == 0;
	atomic_init(&f->size, want->size);
	(void)pthread_mutex_init(&f->lock, NULL);
	f->start.fn = drive_start;
	f->abandoned.fn = drive_abandoned;
	f->committed.fn = drive_committed;
	f->noted.fn = drive_noted;
	f->wanted.fn = legs_wanted;
	f->moved.fn = window_moved;
	return f;
}

static void flight_unref(struct flight **pf)
{
	struct flight *f = TAKE(*pf);

	MAGIC_CHECK(f, FLIGHT_MAGIC);
	if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
		return;
	BUG(f->waiters != NULL || f->bodies != NULL || f->in_table || f->legs != NULL);
	extents_clear(&f->ahead);
	source_rows_free(&f->sources, f->source_count);
	flight_free_headers(f);
	staging_drop(&f->st);
	room_give(f, INT64_MAX);
	space_done(f->lz->space, &f->share);
	hasher_free(&f->hasher);
	if (f->fd >= 0)
		(void)close(f->fd); /* verified and synced, or not wanted */
	free(f->others);
	(void)pthread_mutex_destroy(&f->lock);
	f->magic = 0;
	free(f);
}

void flight_hold(struct flight *f)
{
	atomic_fetch_add_explicit(&f->lz->work, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
}

void flight_release(struct flight **pf)
{
	struct lazy *lz = (*pf)->lz;

	flight_unref(pf);
	atomic_fetch_sub_explicit(&lz->work, 1, memory_order_release);
}

/* ---- joining and leaving ---- */

/* Table lock. */
static int start_flight(struct lazy *lz, const struct flight_want *want, const char *key, struct flight **slot)
{
	struct flight *f;

	if (lz->table.count >= lz->settings->content_max_flights || atomic_load(&lz->closed))
		return -ERR_LIMIT;
	f = flight_new(lz, want, key);
	if (f == NULL)
		return -ERR_NOMEM;
	flight_hold(f); /* the driver's, given back when the flight is over */
	flight_hold(f); /* the post's: the flight may be over before it comes */
	*slot = f;
	f->in_table = true;
	lz->table.count++;
	metric_inc(M_flights_open);
	return 0;
}

int flight_join(struct lazy *lz, const struct flight_want *want, struct flight **out)
{
	struct flight_table *t = &lz->table;
	char key[FLIGHT_KEY_MAX];
	struct flight **slot, *f = NULL;
	bool started;
	int rc = 0;

	make_key(want, key);
	pthread_mutex_lock(&t->lock);
	slot = slot_of(t, key);
	started = *slot == NULL;
	if (started)
		rc = start_flight(lz, want, key, slot);
	else
		add_other(*slot, want);
	if (rc == 0) {
		f = *slot;
		f->readers++;
		atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&t->lock);
	if (rc < 0)
		return rc;
	metric_inc(M_flight_readers);
	if (started)
		loop_post(lz->loop, &f->start);
	else
		metric_inc(M_flights_joined);
	*out = f;
	return 0;
}

void flight_leave(struct flight **pf)
{
	struct flight *f = TAKE(*pf);
	struct flight_table *t;
	bool last;

	if (f == NULL)
		return;
	MAGIC_CHECK(f, FLIGHT_MAGIC);
	t = &f->lz->table;
	pthread_mutex_lock(&t->lock);
	last = --f->readers == 0 && f->in_table;
	if (last)
		flight_hold(f); /* the post's */
	pthread_mutex_unlock(&t->lock);
	metric_dec(M_flight_readers);
	/* A post that is queued already will look at the same state: its reference is enough. */
	if (last && !loop_post_once(f->lz->loop, &f->abandoned)) {
		struct flight *extra = f;

		flight_release(&extra);
	}
	flight_unref(&f);
}

/* ---- states and sleepers ---- */

void flight_set_state(struct flight *f, enum flight_state to)
{
	static const bool allowed[FLIGHT_FAILED + 1][FLIGHT_FAILED + 1] = {
		[FLIGHT_LOADING] =
			{[FLIGHT_FETCHING] = 1, [FLIGHT_COMMITTING] = 1, [FLIGHT_DONE] = 1, [FLIGHT_FAILED] = 1},
		[FLIGHT_FETCHING] = {[FLIGHT_WAITING] = 1, [FLIGHT_VERIFYING] = 1, [FLIGHT_FAILED] = 1},
		[FLIGHT_WAITING] = {[FLIGHT_FETCHING] = 1, [FLIGHT_FAILED] = 1},
		[FLIGHT_VERIFYING] =
			{[FLIGHT_COMMITTING] = 1, [FLIGHT_WAITING] = 1, [FLIGHT_DONE] = 1, [FLIGHT_FAILED] = 1},
		[FLIGHT_COMMITTING] = {[FLIGHT_DONE] = 1, [FLIGHT_FAILED] = 1},
	};
	int from = atomic_load_explicit(&f->state, memory_order_relaxed);

	BUG(!allowed[from][to]);
	atomic_store_explicit(&f->state, (int)to, memory_order_release);
}

static bool is_over(const struct flight *f)
{
	return atomic_load_explicit(&f->state, memory_order_acquire) >= FLIGHT_DONE;
}

int64_t flight_ahead(const struct flight *f, int64_t off)
{
	int64_t end = extents_end(&f->ahead, off);

	/* The last byte makes a body complete, and that means verified. */
	return end > off ? MAX(MIN(end, flight_size(f) - 1), off) : off;
}

/* Lock. */
static bool bytes_there(const struct flight *f, int64_t off)
{
	return off < atomic_load_explicit(&f->limit, memory_order_acquire) || is_over(f) || flight_ahead(f, off) > off;
}

/* Wakes those whose bytes have come; `all`: everyone (an end, a failure, prospects). */
void flight_wake(struct flight *f, bool all)
{
	struct wake *w, *next;

	pthread_mutex_lock(&f->lock);
	for (w = f->waiters; w != NULL; w = next) {
		next = w->next;
		if (!all && !bytes_there(f, w->off))
			continue;
		if (w->prev != NULL)
			w->prev->next = w->next;
		else
			f->waiters = w->next;
		if (w->next != NULL)
			w->next->prev = w->prev;
		w->next = w->prev = NULL;
		w->on = NULL;
		(void)loop_post_once(w->loop, &w->post);
	}
	pthread_mutex_unlock(&f->lock);
}

void flight_unwait(struct flight *f, struct wake *w)
{
	pthread_mutex_lock(&f->lock);
	if (w->on == f) {
		if (w->prev != NULL)
			w->prev->next = w->next;
		else
			f->waiters = w->next;
		if (w->next != NULL)
			w->next->prev = w->prev;
		w->next = w->prev = NULL;
		w->on = NULL;
	}
	pthread_mutex_unlock(&f->lock);
}

/* Registers w unless `there` holds, as one step: whoever changes what `there` looks at calls flight_wake afterwards. */
static int sleep_unless(
	struct flight *f, int64_t off, struct wake *w, bool (*there)(const struct flight *f, int64_t off))
{
	int rc;

	pthread_mutex_lock(&f->lock);
	rc = there(f, off);
	if (rc == 0 && w->on == f) { /* asked again before it was woken */
		w->off = off;
	} else if (rc == 0) {
		BUG(w->on != NULL);
		w->on = f;
		w->off = off;
		w->prev = NULL;
		w->next = f->waiters;
		if (f->waiters != NULL)
			f->waiters->prev = w;
		f->waiters = w;
	}
	pthread_mutex_unlock(&f->lock);
	return rc;
}

static bool prospects_there(const struct flight *f, int64_t off)
{
	return atomic_load_explicit(&f->prospects, memory_order_acquire) || is_over(f);
}

int flight_wait_prospects(struct flight *f, struct wake *w)
{
	return sleep_unless(f, INT64_MAX, w, prospects_there);
}

int flight_prospects(struct flight *f)
{
	int state = atomic_load_explicit(&f->state, memory_order_acquire);

	if (state == FLIGHT_FAILED)
		return f->err.code;
	return state == FLIGHT_DONE || atomic_load_explicit(&f->prospects, memory_order_acquire);
}

bool flight_try_alone(const struct flight *f, const struct flight_want *want)
{
	return !want->alone && atomic_load_explicit(&f->state, memory_order_acquire) == FLIGHT_FAILED &&
	       drive_blames_source(f->err.code) &&
	       (f->want.content_artifact_id != want->content_artifact_id ||
		       f->want.repository_id != want->repository_id);
}

bool flight_is_done(const struct flight *f)
{
	return atomic_load_explicit(&f->state, memory_order_acquire) == FLIGHT_DONE;
}

bool flight_was_saved(const struct flight *f)
{
	return flight_is_done(f) && !f->streamed; /* the driver leaves it alone from then on */
}

int64_t flight_size(const struct flight *f)
{
	return atomic_load_explicit(&f->size, memory_order_acquire);
}

uint64_t flight_id(const struct flight *f)
{
	return f->id;
}

size_t flight_header_count(const struct flight *f)
{
	return f->header_count;
}

void flight_header(const struct flight *f, size_t i, const char **name, const char **value)
{
	*name = f->headers[i].name;
	*value = f->headers[i].value;
}

void flight_free_headers(struct flight *f)
{
	for (size_t i = 0; i < f->header_count; i++) {
		free(f->headers[i].name);
		free(f->headers[i].value);
	}
	free(f->headers);
	f->headers = NULL;
	f->header_count = 0;
}

void flight_error(struct flight *f, struct err *out, int64_t *retry_after_s)
{
	pthread_mutex_lock(&f->lock);
	*out = f->err;
	*retry_after_s = f->retry_after_s;
	pthread_mutex_unlock(&f->lock);
}

/* ---- a reader as a body ---- */

static struct flight *flight_of(const struct body *b)
{
	struct flight *f = container_of(b, const struct flight_reader, b)->f;

	MAGIC_CHECK(f, FLIGHT_MAGIC);
	return f;
}

static int64_t ready_ahead(struct flight *f, int64_t off)
{
	int64_t end;

	pthread_mutex_lock(&f->lock);
	end = flight_ahead(f, off);
	if (end > off)
		atomic_store(&f->exposed, true); /* begin_again asks under the lock */
	pthread_mutex_unlock(&f->lock);
	return end;
}

static int64_t reader_ready(struct body *b, int64_t off)
{
	struct flight *f = flight_of(b);

	if (off < atomic_load_explicit(&f->limit, memory_order_acquire)) {
		/* From here the driver may not begin anew with other bytes; if it just did, this reader must not see them: the pair
		 * of this store and load, and the driver's store and load (drive.c, begin_again), are sequentially
		 * consistent. Whoever finds it set already acquires from the reader that set it. */
		if (!atomic_load_explicit(&f->exposed, memory_order_acquire))
			atomic_store(&f->exposed, true);
		int64_t limit = atomic_load(&f->limit);

		if (off < limit)
			return limit - off;
	}
	if (atomic_load_explicit(&f->has_ahead, memory_order_acquire)) {
		int64_t end = ready_ahead(f, off);

		if (end > off)
			return end - off;
	}
	if (atomic_load_explicit(&f->state, memory_order_acquire) == FLIGHT_FAILED)
		return f->err.code;
	return 0;
}

/* The window of the flight may move on: window_look. */
static void tell_moved(struct flight *f)
{
	struct flight *extra = f;

	if (is_over(f))
		return;
	flight_hold(f); /* the post's */
	if (!loop_post_once(f->lz->loop, &f->moved))
		flight_release(&extra);
}

static int reader_wait(struct body *b, int64_t off, struct wake *w)
{
	struct flight *f = flight_of(b);
	int rc = sleep_unless(f, off, w, bytes_there);

	if (rc == 0 && atomic_load(&f->paused))
		tell_moved(f);
	if (rc == 0 && off - atomic_load_explicit(&f->limit, memory_order_relaxed) > AHEAD_MIN) {
		struct flight *extra = f;

		flight_hold(f); /* the post's */
		if (!loop_post_once(f->lz->loop, &f->wanted))
			flight_release(&extra); /* one is queued that will find this reader, too */
	}
	return rc;
}

static void reader_unwait(struct body *b, struct wake *w)
{
	flight_unwait(flight_of(b), w);
}

static int64_t reader_size(const struct body *b)
{
	return flight_size(flight_of(b));
}

static int reader_fd(const struct body *b)
{
	return flight_of(b)->fd;
}

static ssize_t reader_read(struct body *b, int64_t off, void *p, size_t n)
{
	return pread(flight_of(b)->fd, p, n, off);
}

static void reader_sent(struct body *b, int64_t off)
{
	struct flight_reader *r = container_of(b, struct flight_reader, b);

	atomic_store_explicit(&r->acknowledged, off, memory_order_release);
	if (off - r->told < window_step(r->f->lz) || !atomic_load_explicit(&r->f->windowed, memory_order_acquire))
		return;
	r->told = off;
	tell_moved(r->f);
}

static void reader_unlink(struct flight_reader *r)
{
	struct flight *f = r->f;

	pthread_mutex_lock(&f->lock);
	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		f->bodies = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	pthread_mutex_unlock(&f->lock);
	/* It may be the one that the others' download waited for. */
	if (atomic_load_explicit(&f->windowed, memory_order_acquire))
		tell_moved(f);
}

static void reader_done(struct body **pb)
{
	struct body *b = TAKE(*pb);
	struct flight_reader *r;

	if (b == NULL)
		return;
	r = container_of(b, struct flight_reader, b);
	if (r->left != NULL)
		r->left(r->arg, r->f);
	reader_unlink(r);
	flight_leave(&r->f);
	free(r);
}

static const struct body_ops reader_ops = {
	.ready = reader_ready,
	.wait = reader_wait,
	.unwait = reader_unwait,
	.size = reader_size,
	.fd = reader_fd,
	.read = reader_read,
	.sent = reader_sent,
	.done = reader_done,
};

struct body *flight_body(struct flight *f, void (*left)(void *arg, const struct flight *f), void *arg)
{
	struct flight_reader *r = malloc(sizeof(*r));

	if (r == NULL) {
		flight_leave(&f);
		return NULL;
	}
	*r = (struct flight_reader){.b.ops = &reader_ops, .f = f, .left = left, .arg = arg};
	pthread_mutex_lock(&f->lock);
	r->next = f->bodies;
	if (r->next != NULL)
		r->next->prev = r;
	f->bodies = r;
	pthread_mutex_unlock(&f->lock);
	return &r->b;
}

/* ---- the engine ---- */

static void *run_loop(void *arg)
{
	struct lazy *lz = arg;

	loop_run(lz->loop);
	return NULL;
}

/* In a drain, a download that nobody reads is given up when it has brought nothing for that part of the time there is; how often that is looked at. */
#define IDLE_PART 20
#define IDLE_TICKS 50

/* Loop: cancels what is left at the end of lazy_drain. What is being verified or saved already comes to its end. */
static void cancel_all(struct loop_post *p)
{
	struct lazy *lz = container_of(p, struct lazy, cancel_all);

	lz->stopping = true;
	for (size_t i = 0; i < lz->table.bucket_count; i++) {
		for (;;) {
			struct flight *f;

			pthread_mutex_lock(&lz->table.lock);
			f = lz->table.buckets[i];
			if (f != NULL)
				flight_hold(f);
			pthread_mutex_unlock(&lz->table.lock);
			if (f == NULL)
				break;
			drive_cancel(f);
			flight_out_of_table(f);
			flight_release(&f);
		}
	}
}

/* Is nobody served by going on, and nothing coming either? */
static bool is_idle(const struct flight *f, int64_t now_ns)
{
	return f->readers == 0 && now_ns - MAX(f->progress_ns, f->lz->drain_ns) > f->lz->idle_ns &&
	       atomic_load_explicit(&f->state, memory_order_relaxed) < FLIGHT_VERIFYING;
}

static struct flight *hold_idle(struct lazy *lz, size_t bucket, int64_t now_ns)
{
	struct flight *f;

	pthread_mutex_lock(&lz->table.lock);
	f = lz->table.buckets[bucket];
	while (f != NULL && !is_idle(f, now_ns))
		f = f->chain;
	if (f != NULL)
		flight_hold(f);
	pthread_mutex_unlock(&lz->table.lock);
	return f;
}

/* Loop, during lazy_drain: gives up what would only hold up the stop. */
static void cancel_idle(struct loop_post *p)
{
	struct lazy *lz = container_of(p, struct lazy, cancel_idle);
	struct flight *f;

	for (size_t i = 0; i < lz->table.bucket_count; i++) {
		while ((f = hold_idle(lz, i, loop_now(lz->loop))) != NULL) {
			drive_cancel(f);
			flight_out_of_table(f);
			flight_release(&f);
		}
	}
}

static unsigned parse_allowed(const char *list)
{
	unsigned bits = 1u << DIGEST_SHA256; /* obligatory */
	struct slice rest = slice_str(list);
	enum digest_alg alg;

	while (rest.p != NULL)
		if (digest_alg_parse(slice_trim(slice_cut(&rest, ',')), &alg) == 0)
			bits |= 1u << alg;
	return bits;
}

int lazy_new(const struct lazy_opts *o, struct lazy **out, struct err *err)
{
	struct lazy *lz = calloc(1, sizeof(*lz));
	struct fetch_ctx_opts fo;
	struct health_opts ho = {.failures = o->settings->content_source_failures,
		.backoff_ns = o->settings->content_source_backoff * NS_PER_MS,
		.backoff_max_ns = o->settings->content_source_backoff_max * NS_PER_MS,
		.seed = (uint64_t)clock_mono_ns() ^ (uint64_t)getpid()};
	int rc;

	if (lz == NULL)
		return err_set(err, -ERR_NOMEM, "out of memory");
	lz->pool = o->pool;
	lz->catalog = o->catalog;
	lz->store = o->store;
	lz->settings = o->settings;
	lz->space = o->space;
	lz->allowed_digests = parse_allowed(o->settings->storage_allowed_checksums);
	lz->cancel_all.fn = cancel_all;
	lz->cancel_idle.fn = cancel_idle;
	atomic_init(&lz->next_id, 1);
	(void)pthread_mutex_init(&lz->table.lock, NULL);
	lz->table.bucket_count = 4096;
	lz->table.buckets = calloc(lz->table.bucket_count, sizeof(*lz->table.buckets));
	if (lz->table.buckets == NULL) {
		rc = err_set(err, -ERR_NOMEM, "out of memory");
		goto fail;
	}
	if ((rc = loop_new("fetch", &lz->loop, err)) < 0)
		goto fail;
	if ((rc = health_table_new(&ho, &lz->health, err)) < 0)
		goto fail;
	fo = (struct fetch_ctx_opts){.loop = lz->loop,
		.pool = o->pool,
		.health = lz->health,
		.max_running = (int)o->settings->content_upstream_connections,
		.max_per_host = (int)o->settings->content_upstream_connections_per_host,
		.max_waiting_per_host = (int)o->settings->content_upstream_queue,
		.allowed_import_paths = o->settings->content_allowed_import_paths,
		.credential_hosts = o->settings->content_credential_hosts,
		.foreign_networks = o->settings->content_foreign_networks};
	if ((rc = fetch_ctx_new(&fo, &lz->fetch, err)) < 0)
		goto fail;
	if ((rc = committer_start(lz, err)) < 0)
		goto fail;
	rc = pthread_create(&lz->thread, NULL, run_loop, lz);
	if (rc != 0) {
		rc = err_sys(err, rc, "thread for downloads");
		goto fail;
	}
	(void)pthread_setname_np(lz->thread, "fetch");
	lz->thread_started = true;
	*out = lz;
	return 0;
fail:
	lazy_free(&lz);
	return rc;
}

static int64_t flights_open(struct lazy *lz)
{
	int64_t n;

	pthread_mutex_lock(&lz->table.lock);
	n = lz->table.count;
	pthread_mutex_unlock(&lz->table.lock);
	return n;
}

static bool is_busy(struct lazy *lz)
{
	return flights_open(lz) > 0 || atomic_load(&lz->work) > 0;
}

void lazy_drain(struct lazy *lz, int64_t wait_ms)
{
	const struct timespec tick = {.tv_nsec = 2000000};
	int64_t until_ns = clock_mono_ns() + wait_ms * NS_PER_MS, left;

	lz->drain_ns = clock_mono_ns();
	lz->idle_ns = wait_ms * NS_PER_MS / IDLE_PART;
	atomic_store(&lz->closed, true);
	for (int64_t n = 0; is_busy(lz) && clock_mono_ns() < until_ns; n++) {
		if (n % IDLE_TICKS == 0)
			(void)loop_post_once(lz->loop, &lz->cancel_idle);
		(void)nanosleep(&tick, NULL);
	}
	left = flights_open(lz);
	if (left > 0)
		log_warn("lazy", "%" PRId64 " downloads canceled: the server stops", left);
	/* Also when none is open: what is over may still be at the catalog's door, and must not knock again. */
	if (is_busy(lz))
		(void)loop_post_once(lz->loop, &lz->cancel_all);
	while (is_busy(lz))
		(void)nanosleep(&tick, NULL);
}

void lazy_free(struct lazy **plz)
{
	struct lazy *lz = TAKE(*plz);

	if (lz == NULL)
		return;
	if (lz->thread_started) {
		lazy_drain(lz, 0);
		loop_stop(lz->loop);
		(void)pthread_join(lz->thread, NULL);
	}
	committer_stop(lz);
	fetch_ctx_free(&lz->fetch);
	health_table_free(&lz->health);
	loop_free(&lz->loop);
	free(lz->table.buckets);
	(void)pthread_mutex_destroy(&lz->table.lock);
	free(lz);
}
