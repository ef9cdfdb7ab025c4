/* The fetching side of a flight, from the first look into the store to its end. Fetch loop only. The states are drawn in flight.h;
 * what happens on each kind of failure is decided in source_failed, and nowhere else. */
#include "lazy/flight_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void try_source(struct flight *f);

static enum flight_state state_of(const struct flight *f)
{
	return (enum flight_state)atomic_load_explicit(&f->state, memory_order_relaxed);
}

/* ---- ends ---- */

/* What becomes the answer when sources fail in different ways: the failure that may pass soonest, because asking again helps. */
static int rank(int code)
{
	switch (-code) {
	case ERR_TIMEOUT:
		return 7;
	case ERR_CONNECT:
	case ERR_TRUNCATED:
	case ERR_UPSTREAM:
		return 6;
	case ERR_DIGEST:
	case ERR_SIZE:
		return 5;
	case ERR_DENIED:
		return 4;
	case ERR_COOLDOWN:
		return 3;
	case ERR_GONE:
		return 2;
	case ERR_NOSOURCE:
		return 1;
	default:
		return code == 0 ? 0 : 8; /* our own trouble: no space, no memory, no database */
	}
}

static void remember(struct flight *f, const struct err *err)
{
	if (rank(err->code) >= rank(f->worst.code))
		f->worst = *err;
}

void drive_fail(struct flight *f, const struct err *err, int64_t retry_after_s)
{
	struct flight *mine = f;

	if (state_of(f) >= FLIGHT_DONE)
		return;
	log_warn("lazy", "flight %" PRIu64 " failed: %s: %s", f->id, f->key, err->msg);
	loop_timer_cancel(f->lz->loop, &f->timer);
	fetch_cancel(&f->fetch);
	pthread_mutex_lock(&f->lock);
	f->err = *err;
	f->retry_after_s = retry_after_s;
	pthread_mutex_unlock(&f->lock);
	metric_inc(M_flights_failed);
	flight_set_state(f, FLIGHT_FAILED);
	flight_out_of_table(f);
	flight_wake(f, true);
	flight_unref(&mine); /* the driver's */
}

void drive_cancel(struct flight *f)
{
	struct err err = ERR_INIT;

	if (state_of(f) >= FLIGHT_VERIFYING)
		return; /* nothing is saved by stopping now */
	(void)err_set(&err, -ERR_CANCELED, "canceled");
	drive_fail(f, &err, -1);
}

static bool has_readers(struct flight *f)
{
	bool any;

	pthread_mutex_lock(&f->lz->table.lock);
	any = f->readers > 0;
	pthread_mutex_unlock(&f->lz->table.lock);
	return any;
}

static void finish(struct flight *f)
{
	struct flight *mine = f;

	atomic_store_explicit(&f->size, f->watermark, memory_order_release);
	atomic_store(&f->limit, f->watermark);
	flight_set_state(f, FLIGHT_DONE);
	/* A streamed one stays findable as long as someone reads it: drive_abandoned ends that. */
	if (!f->streamed || !has_readers(f))
		flight_out_of_table(f);
	flight_wake(f, true);
	flight_unref(&mine);
}

/* Is it worth going on without a reader? */
static bool worth_finishing(const struct flight *f)
{
	int64_t from = f->lz->settings->content_finish_abandoned, size = flight_size(f);

	if (f->streamed)
		return false;
	if (from == 0)
		return true;
	return from <= 100 && size > 0 && f->watermark * 100 / size >= from;
}

void drive_abandoned(struct loop_post *p)
{
	struct flight *f = container_of(p, struct flight, abandoned);

	MAGIC_CHECK(f, FLIGHT_MAGIC);
	if (!has_readers(f)) {
		enum flight_state s = state_of(f);

		if (s == FLIGHT_DONE)
			flight_out_of_table(f);
		else if ((s == FLIGHT_FETCHING || s == FLIGHT_WAITING) && !worth_finishing(f))
			drive_cancel(f);
	}
	flight_unref(&f);
}

/* ---- data ---- */

/* How far readers may see: never the last `holdback` bytes of what is not verified. */
static void advance_limit(struct flight *f)
{
	int64_t holdback = f->lz->settings->content_holdback, size = flight_size(f);
	int64_t limit = MIN(f->watermark, (size >= 0 ? size : f->watermark) - holdback);

	if (limit <= atomic_load_explicit(&f->limit, memory_order_relaxed))
		return;
	atomic_store_explicit(&f->limit, limit, memory_order_release);
	flight_wake(f, false);
}

/* Forgets the bytes so far, unless a reader has seen some. The seq_cst pair with reader_ready decides races. */
bool drive_begin_again(struct flight *f)
{
	int64_t was = atomic_load_explicit(&f->limit, memory_order_relaxed);
	struct err err = ERR_INIT;

	if (f->watermark == 0)
		return true;
	atomic_store(&f->limit, 0);
	if (atomic_load(&f->exposed)) {
		atomic_store(&f->limit, was);
		flight_wake(f, true); /* who looked in between sleeps on nothing */
		return false;
	}
	if (ftruncate(f->fd, 0) < 0) {
		(void)err_set(&err, -ERR_IO, "cannot empty a staging file");
		return false;
	}
	f->watermark = 0;
	f->skip = 0;
	flight_free_headers(f);
	if (f->upstream_size) {
		f->upstream_size = false;
		atomic_store_explicit(&f->size, f->want.size, memory_order_release);
	}
	return true;
}

/* Fields that sluice sets itself, or that are none of the client's business: cookies belong to one client, and here many share an answer. */
static bool passes_on(struct slice name)
{
	static const char *const ours[] = {"accept-ranges", "age", "alt-svc", "content-encoding", "content-length",
		"content-range", "content-type", "date", "etag", "last-modified", "public", "server", "set-cookie",
		"strict-transport-security", "vary", "x-sluice-reason"};

	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (slice_eq_nocase(name, slice_str(ours[i])))
			return false;
	return true;
}

static void keep_headers(struct flight *f, const struct fetch_head *h)
{
	if (f->headers != NULL || h->header_count == 0 || atomic_load_explicit(&f->exposed, memory_order_relaxed))
		return;
	f->headers = calloc(h->header_count, sizeof(*f->headers));
	for (size_t i = 0; f->headers != NULL && i < h->header_count; i++) {
		struct flight_header *to = &f->headers[f->header_count];

		if (!passes_on(h->headers[i].name))
			continue;
		to->name = slice_dup(h->headers[i].name);
		to->value = slice_dup(h->headers[i].value);
		f->header_count++;
		if (to->name == NULL || to->value == NULL) { /* the answer does not depend on them */
			flight_free_headers(f);
			return;
		}
	}
}

static void keep_validators(struct flight *f, const struct fetch_head *h)
{
	f->etag[0] = f->last_modified[0] = '\0';
	if (h->etag.n > 0 && h->etag.n < sizeof(f->etag) && h->etag.p[0] == '"') { /* If-Range needs a strong one */
		memcpy(f->etag, h->etag.p, h->etag.n);
		f->etag[h->etag.n] = '\0';
	}
	if (h->last_modified.n > 0 && h->last_modified.n < sizeof(f->last_modified)) {
		memcpy(f->last_modified, h->last_modified.p, h->last_modified.n);
		f->last_modified[h->last_modified.n] = '\0';
	}
}

static int check_size(struct flight *f, const struct fetch_head *h)
{
	int64_t size = flight_size(f);

	if (h->total < 0)
		return 0;
	if (size >= 0 && h->total != size)
		return err_set(
			&f->last, -ERR_SIZE, "has %" PRId64 " bytes, but %" PRId64 " were expected", h->total, size);
	if (size < 0) {
		f->upstream_size = true;
		atomic_store_explicit(&f->size, h->total, memory_order_release);
	}
	return 0;
}

static int on_head(void *arg, const struct fetch_head *h)
{
	struct flight *f = arg;

	f->status = h->status;
	switch (h->status) {
	case 200:
		if (f->watermark > 0) {
			/* It cannot or will not continue: what we have is skipped, and the digest decides whether it fits. */
			if (f->want.digests.have == 0 && f->sources[f->source_at].digests.have == 0 &&
				!drive_begin_again(f))
				return err_set(&f->last, -ERR_UPSTREAM,
					"began again instead of continuing, and no digest tells whether it is the "
					"same");
			f->skip = f->watermark;
			if (f->watermark == 0 && verify_begin(f) < 0)
				return err_set(&f->last, -ERR_NOMEM, "out of memory");
		}
		break;
	case 206:
		if (h->range_start != f->watermark)
			return err_set(&f->last, -ERR_UPSTREAM, "answered another range than was asked");
		break;
	case 404:
	case 410:
		return err_set(&f->last, -ERR_GONE, "answered %d", h->status);
	case 416:
		return err_set(&f->last, -ERR_SIZE, "ended at %" PRId64 " bytes", f->watermark);
	default:
		return err_set(&f->last, -ERR_UPSTREAM, "answered %d", h->status);
	}
	keep_validators(f, h);
	keep_headers(f, h);
	return check_size(f, h);
}

static int on_data(void *arg, const char *p, size_t n)
{
	struct flight *f = arg;
	int64_t size = flight_size(f);
	int rc;

	if (f->skip > 0) {
		size_t drop = (size_t)MIN(f->skip, (int64_t)n);

		f->skip -= (int64_t)drop;
		p += drop;
		n -= drop;
		if (n == 0)
			return 0;
	}
	if (size >= 0 && f->watermark + (int64_t)n > size)
		return err_set(&f->last, -ERR_SIZE, "sent more than the expected %" PRId64 " bytes", size);
	rc = staging_write(f->st, p, n, f->watermark, &f->last);
	if (rc < 0)
		return rc;
	f->watermark += (int64_t)n;
	verify_data(f, p, n);
	advance_limit(f);
	return 0;
}

/* ---- sources one after the other ---- */

static void describe(struct flight *f)
{
	const struct source_row *s = &f->sources[f->source_at];

	(void)err_wrap(&f->last, "remote '%s': %s", s->remote->name, s->url);
}

static void next_source(struct flight *f)
{
	bool digest_known = f->want.digests.have != 0;

	remember(f, &f->last);
	if ((f->last.code == -ERR_DIGEST || f->last.code == -ERR_SIZE || !digest_known) && !drive_begin_again(f)) {
		drive_fail(f, &f->last, -1);
		return;
	}
	f->source_at++;
	f->attempts = 0;
	f->etag[0] = f->last_modified[0] = '\0';
	if (source_next(f) == 0) {
		drive_fail(f, &f->worst,
			f->worst.code == -ERR_COOLDOWN || f->worst.code == -ERR_GONE ? f->retry_after_s : -1);
		return;
	}
	if (state_of(f) != FLIGHT_WAITING)
		flight_set_state(f, FLIGHT_WAITING);
	try_source(f);
}

static void noted(struct pool_job *j)
{
	struct flight *f = container_of(j, struct flight, load), *held = f;

	if (state_of(f) != FLIGHT_FAILED)
		next_source(f);
	flight_unref(&held);
}

static void on_timer(struct loop_timer *t)
{
	try_source(container_of(t, struct flight, timer));
}

/* Broken off after data: the same source again, from where it stopped. */
static bool resume(struct flight *f)
{
	const struct source_row *s = &f->sources[f->source_at];
	int64_t wait_ms;

	if (f->watermark == 0)
		return false;
	if (f->watermark - f->resumed_at >= RESUME_PROGRESS)
		f->attempts = 0;
	if (f->attempts >= s->remote->max_retries || f->resumes >= RESUMES_MAX)
		return false;
	f->attempts++;
	f->resumes++;
	metric_inc(M_flight_resumes);
	/* The first time at once: a dropped connection is the usual cause, and clients are waiting. */
	wait_ms = f->attempts == 1 ? 0 : fetch_backoff_ms(f->attempts - 1);
	log_info("lazy", "flight %" PRIu64 " continues at %" PRId64 " after: %s", f->id, f->watermark, f->last.msg);
	flight_set_state(f, FLIGHT_WAITING);
	f->timer.fn = on_timer;
	if (loop_timer_set(f->lz->loop, &f->timer, wait_ms * NS_PER_MS) < 0)
		try_source(f);
	return true;
}

/* The one place that decides what a source's failure means. f->last says what happened. */
static void source_failed(struct flight *f)
{
	metric_inc(M_flight_source_failures);
	describe(f);
	switch (-f->last.code) {
	case ERR_TRUNCATED:
	case ERR_TIMEOUT:
	case ERR_CONNECT:
		if (resume(f))
			return;
		break;
	case ERR_GONE:
	case ERR_DIGEST:
	case ERR_SIZE:
		log_warn("lazy", "flight %" PRIu64 ": source fails: %s", f->id, f->last.msg);
		f->sources[f->source_at].failed_at_us = 0;
		if (source_note(f, -f->last.code == ERR_GONE ? ERR_GONE : ERR_DIGEST, noted) < 0)
			break; /* no room to tell the catalog: the source is asked again by the next request */
		if (state_of(f) == FLIGHT_FETCHING)
			flight_set_state(f, FLIGHT_WAITING);
		return;
	case ERR_UPSTREAM:
	case ERR_DENIED:
	case ERR_LIMIT:
		break;
	default: /* ours: no space, no memory, I/O: another source would meet the same */
		drive_fail(f, &f->last, -1);
		return;
	}
	log_warn("lazy", "flight %" PRIu64 ": source fails: %s", f->id, f->last.msg);
	next_source(f);
}

static void on_done(void *arg, int rc, const struct err *err)
{
	struct flight *f = arg;
	int64_t size;

	f->fetch = NULL;
	if (rc < 0 && f->last.code == 0)
		f->last = *err;
	if (rc < 0) {
		source_failed(f);
		return;
	}
	size = flight_size(f);
	if (size >= 0 && f->watermark < size) {
		(void)err_set(
			&f->last, -ERR_TRUNCATED, "ended at %" PRId64 " of %" PRId64 " bytes", f->watermark, size);
		source_failed(f);
		return;
	}
	flight_set_state(f, FLIGHT_VERIFYING);
	verify_end(f);
}

static void try_source(struct flight *f)
{
	struct source_row *s = &f->sources[f->source_at];
	struct fetch_remote remote;
	struct fetch_req req = {.url = s->url, .on_head = on_head, .on_data = on_data, .on_done = on_done, .arg = f};

	f->streamed = s->remote->policy == POLICY_STREAMED;
	if (f->streamed && !has_readers(f)) {
		drive_cancel(f);
		return;
	}
	flight_set_state(f, FLIGHT_FETCHING);
	f->last = ERR_INIT;
	f->skip = 0;
	f->resumed_at = f->watermark;
	if (f->watermark == 0 && verify_begin(f) < 0) {
		(void)err_set(&f->last, -ERR_NOMEM, "out of memory");
		source_failed(f);
		return;
	}
	if (f->watermark > 0) {
		req.range_from = f->watermark;
		req.if_range = f->etag[0] != '\0' ? f->etag : (f->last_modified[0] != '\0' ? f->last_modified : NULL);
	}
	source_remote(f, s, &remote);
	if (fetch_start(f->lz->fetch, &remote, &req, &f->fetch, &f->last) < 0)
		source_failed(f);
}

/* ---- beginning and end ---- */

static void loaded(struct pool_job *j)
{
	struct flight *f = container_of(j, struct flight, load), *held = f;

	if (state_of(f) == FLIGHT_FAILED)
		goto out;
	if (f->load_rc < 0) {
		drive_fail(f, &f->load_err, -1);
		goto out;
	}
	if (f->load_rc == 1) { /* saved meanwhile */
		f->watermark = f->want.size;
		finish(f);
		goto out;
	}
	if (f->source_count == 0) {
		(void)err_set(&f->worst, -ERR_NOSOURCE, "no remote offers it");
		drive_fail(f, &f->worst, -1);
		goto out;
	}
	if (source_next(f) == 0) {
		drive_fail(f, &f->worst, f->retry_after_s);
		goto out;
	}
	metric_inc(M_flights_started);
	atomic_store_explicit(&f->prospects, true, memory_order_release);
	flight_wake(f, true);
	try_source(f);
out:
	flight_unref(&held);
}

void drive_start(struct loop_post *p)
{
	struct flight *f = container_of(p, struct flight, start);
	struct err err = ERR_INIT;

	f->load = (struct pool_job){.fn = source_load, .done = loaded, .loop = f->lz->loop};
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	if (pool_submit(f->lz->pool, &f->load) < 0) {
		struct flight *extra = f;

		flight_unref(&extra);
		(void)err_set(&err, -ERR_LIMIT, "too much work is queued");
		drive_fail(f, &err, 1);
	}
}

void drive_verified(struct flight *f, int rc, const struct err *err)
{
	if (rc < 0) {
		f->last = *err;
		source_failed(f);
		return;
	}
	if (f->streamed) {
		finish(f);
		return;
	}
	flight_set_state(f, FLIGHT_COMMITTING);
	committer_add(f);
}

void drive_committed(struct loop_post *p)
{
	struct flight *f = container_of(p, struct flight, committed), *held = f;

	/* The bytes are right whether they could be kept or not: the clients get them. */
	if (f->commit_rc < 0)
		log_error(
			"lazy", "flight %" PRIu64 ": served, but not saved: %s: %s", f->id, f->key, f->commit_err.msg);
	else
		metric_inc(M_flights_committed);
	finish(f);
	flight_unref(&held);
}
