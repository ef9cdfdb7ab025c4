/* The fetching side of a flight, from the first look into the store to its end. Fetch loop only. The states are drawn in flight.h;
 * what happens on each kind of failure is decided in source_failed, and nowhere else. */
#include "lazy/flight_priv.h"

#include "base/clock.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Ahead of the download, that is worth a new request instead of reading over it: about a megabyte may be under way when a connection is given up, and a
 * new one has to get up to speed. */
#define JUMP_MIN (INT64_C(8) * 1024 * 1024)

/* How long a download waits for an eviction that is at work. */
#define ROOM_LOOK_MS 20
#define ROOM_LOOKS 100

static void try_source(struct flight *f);
static void save_if_there_is_room(struct flight *f);

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
	case ERR_INVAL:
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

bool drive_blames_source(int code)
{
	return rank(code) < 8;
}

void drive_remember(struct flight *f, const struct err *err)
{
	if (rank(err->code) >= rank(f->worst.code))
		f->worst = *err;
}

static void end_in_failure(struct flight *f, const struct err *err, int64_t retry_after_s)
{
	struct flight *mine = f;

	BUG(err->code >= 0);
	loop_timer_cancel(f->lz->loop, &f->timer);
	fetch_cancel(&f->fetch);
	hedge_end(f);
	legs_cancel(f);
	space_done(f->lz->space, &f->share);
	pthread_mutex_lock(&f->lock);
	f->err = *err;
	f->retry_after_s = retry_after_s;
	pthread_mutex_unlock(&f->lock);
	flight_set_state(f, FLIGHT_FAILED);
	flight_out_of_table(f);
	flight_wake(f, true);
	flight_release(&mine); /* the driver's */
}

static void fail(struct flight *f, const struct err *err, int64_t retry_after_s)
{
	/* Where no source was asked (all cool down, there is none) the reason was told when it arose: a client that repeats itself need not fill the log. */
	bool warn = f->asked || !drive_blames_source(err->code);

	log_line(warn ? LOG_WARN : LOG_INFO, "lazy", "flight %" PRIu64 " failed: %s: %s: %s", f->id, f->key,
		err_text(err->code), err->msg);
	metric_inc(M_flights_failed);
	end_in_failure(f, err, retry_after_s);
}

void drive_cancel(struct flight *f)
{
	struct err err = ERR_INIT;

	if (state_of(f) >= FLIGHT_VERIFYING)
		return; /* nothing is saved by stopping now */
	(void)err_set(&err, -ERR_CANCELED, "canceled");
	log_info("lazy", "flight %" PRIu64 " canceled at %" PRId64 " bytes: %s: %s", f->id, f->watermark, f->key,
		f->lz->stopping ? "the server stops" : "nobody waits for it");
	end_in_failure(f, &err, -1);
}

static void finish(struct flight *f)
{
	struct flight *mine = f;

	atomic_store_explicit(&f->size, f->watermark, memory_order_release);
	atomic_store(&f->limit, f->watermark);
	if (atomic_load_explicit(&f->stored, memory_order_relaxed)) /* it is an artifact now */
		room_give(f, INT64_MAX);
	if (f->streamed)
		space_done(f->lz->space, &f->share);
	flight_set_state(f, FLIGHT_DONE);
	/* A streamed one stays findable as long as someone reads it: drive_abandoned ends that. */
	if (!f->streamed || !flight_has_readers(f))
		flight_out_of_table(f);
	flight_wake(f, true);
	flight_release(&mine);
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
	enum flight_state s = state_of(f);

	MAGIC_CHECK(f, FLIGHT_MAGIC);
	if (s == FLIGHT_DONE)
		(void)flight_claim(f);
	else if (s < FLIGHT_VERIFYING && !worth_finishing(f) && flight_claim(f))
		drive_cancel(f);
	flight_release(&f);
}

/* ---- data ---- */

/* How far readers may see: never the last bytes of what is not verified, whatever the setting. */
static void advance_limit(struct flight *f)
{
	int64_t holdback = MAX(f->lz->settings->content_holdback, 1), size = flight_size(f);
	int64_t limit = MIN(f->watermark, (size >= 0 ? size : f->watermark) - holdback);

	if (limit <= atomic_load_explicit(&f->limit, memory_order_relaxed))
		return;
	atomic_store_explicit(&f->limit, limit, memory_order_release);
	flight_wake(f, false);
}

/* Unless a reader was promised some of what legs have brought: from then on it stays. */
static bool forget_ahead(struct flight *f)
{
	bool mine;

	pthread_mutex_lock(&f->lock);
	mine = !atomic_load(&f->exposed);
	if (mine)
		extents_clear(&f->ahead);
	pthread_mutex_unlock(&f->lock);
	if (mine)
		legs_cancel(f);
	return mine;
}

/* Forgets the bytes so far, unless a reader has seen some. The seq_cst pair with reader_ready decides races. */
static bool begin_again(struct flight *f)
{
	int64_t was = atomic_load_explicit(&f->limit, memory_order_relaxed);

	atomic_store(&f->limit, 0);
	if (!forget_ahead(f)) {
		atomic_store(&f->limit, was);
		flight_wake(f, true); /* who looked in between sleeps on nothing */
		return false;
	}
	/* What stays behind the end of a shorter body would be saved with it. */
	if ((f->watermark > 0 || atomic_load_explicit(&f->has_ahead, memory_order_relaxed)) && ftruncate(f->fd, 0) < 0)
		return false;
	f->watermark = f->resumed_at = f->skip = f->drop = 0;
	flight_free_headers(f);
	if (f->upstream_size) {
		f->upstream_size = false;
		atomic_store_explicit(&f->size, f->want.size, memory_order_release);
	}
	return true;
}

/* Fields that sluice sets itself, or that are none of the client's business: cookies belong to one client, and here many share an answer. */
static const char *const ours_always[] = {"accept-ranges", "age", "alt-svc", "content-length", "content-range", "date",
	"public", "server", "set-cookie", "strict-transport-security", "x-pulp-artifact-size", "x-pulp-cache",
	"x-sluice-reason"};
/* What is saved is served with them on every later hit; what only passes is upstream's. */
static const char *const ours_if_saved[] = {"content-encoding", "content-type", "etag", "last-modified", "vary"};

static bool is_among(const char *const *names, size_t count, struct slice name)
{
	for (size_t i = 0; i < count; i++)
		if (slice_eq_nocase(name, slice_str(names[i])))
			return true;
	return false;
}

static bool passes_on(const struct flight *f, struct slice name)
{
	return !is_among(ours_always, ARRAY_LEN(ours_always), name) &&
	       (f->want.passing || !is_among(ours_if_saved, ARRAY_LEN(ours_if_saved), name));
}

static void keep_headers(struct flight *f, const struct fetch_head *h)
{
	if (f->headers != NULL || h->header_count == 0 || atomic_load_explicit(&f->limit, memory_order_relaxed) > 0)
		return;
	f->headers = calloc(h->header_count, sizeof(*f->headers));
	for (size_t i = 0; f->headers != NULL && i < h->header_count; i++) {
		struct flight_header *to = &f->headers[f->header_count];

		if (!passes_on(f, h->headers[i].name))
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

static int ours(struct flight *f, int rc)
{
	f->ours = true;
	return rc;
}

/* So that what has to go for it goes while it comes. */
static void expect(struct flight *f, int64_t bytes)
{
	if (!f->want.passing && f->sources[f->source_at].remote->policy != POLICY_STREAMED)
		space_expect(f->lz->space, &f->share, bytes);
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
		if (room_take(f, window_room(f, h->total), &f->last) < 0)
			return ours(f, f->last.code);
		f->upstream_size = true;
		atomic_store_explicit(&f->size, h->total, memory_order_release);
		expect(f, h->total);
	}
	return 0;
}

static bool digest_known(const struct flight *f)
{
	return f->want.digests.have != 0 || f->sources[f->source_at].digests.have != 0;
}

/* It cannot or will not continue. As long as nobody has seen a byte its own bytes are taken from the first on; else what we have is skipped, and the
 * digest decides whether it fits. */
static int starts_over(struct flight *f)
{
	if (begin_again(f)) {
		if (verify_begin(f) < 0)
			return ours(f, err_set(&f->last, -ERR_NOMEM, "out of memory"));
		return 0;
	}
	if (!digest_known(f))
		return err_set(&f->last, -ERR_UPSTREAM,
			"began again instead of continuing, and no digest tells whether it is the same");
	f->skip = f->watermark;
	return 0;
}

/* After an error status 0 is returned, so that its short body is read and the connection lives on: on_done finds f->last. */
int drive_on_head(void *flight, const struct fetch_head *h)
{
	struct flight *f = flight;
	int rc = 0;

	hedge_end(f);
	switch (h->status) {
	case 200:
		if (f->watermark > 0)
			rc = starts_over(f);
		break;
	case 206:
		if (f->etag[0] != '\0' && h->etag.n > 0 && !slice_eq(slice_str(f->etag), h->etag))
			rc = err_set(&f->last, -ERR_UPSTREAM, "is another file now than before the break");
		else if (h->range_start != f->watermark)
			rc = err_set(&f->last, -ERR_UPSTREAM, "answered another range than was asked");
		break;
	case 404:
	case 410:
		(void)err_set(&f->last, -ERR_GONE, "answered %d", h->status);
		return 0;
	case 416:
		/* Nothing behind what we have: with an unknown size that may be all, and the digest tells. */
		if (flight_size(f) >= 0 || !digest_known(f))
			(void)err_set(&f->last, -ERR_SIZE, "ended at %" PRId64 " bytes", f->watermark);
		return 0;
	default:
		(void)err_set(&f->last, -ERR_UPSTREAM, "answered %d", h->status);
		return 0;
	}
	if (rc < 0)
		return rc;
	keep_validators(f, h);
	keep_headers(f, h);
	rc = check_size(f, h);
	if (rc == 0)
		legs_look(f);
	return rc;
}

/* Skips what was received before, if it is the same: else upstream has another file now, and clients must not get a mixture. */
static int skip_same(struct flight *f, const char *p, size_t n)
{
	char have[16384];

	while (n > 0) {
		size_t part = MIN(n, sizeof(have));
		int64_t at = f->watermark - f->skip;

		if (at < f->punched) /* gone: the digest has to do */
			part = (size_t)MIN((int64_t)part, f->punched - at);
		else if (fs_pread_all(f->fd, have, part, at, &f->last) < 0)
			return ours(f, f->last.code);
		if (at >= f->punched && memcmp(have, p, part) != 0)
			return err_set(&f->last, -ERR_UPSTREAM, "has other bytes now than before the break");
		f->skip -= (int64_t)part;
		p += part;
		n -= part;
	}
	return 0;
}

/* What legs have brought right behind the watermark is the download's now. Answers how much. */
static int64_t take_over_ahead(struct flight *f)
{
	int64_t from = f->watermark;

	pthread_mutex_lock(&f->lock);
	f->watermark = extents_end(&f->ahead, from);
	extents_forget_before(&f->ahead, f->watermark);
	pthread_mutex_unlock(&f->lock);
	if (f->watermark > from) {
		verify_data(f, NULL, 0);
		advance_limit(f);
	}
	return f->watermark - from;
}

static bool is_complete(const struct flight *f)
{
	return f->watermark > 0 && f->watermark == flight_size(f);
}

/* The transfer that runs has come to what legs have brought. It is ended where it would only bring bytes that are there: all of the rest, or more of them
 * than a new request costs. */
static int step_over_ahead(struct flight *f)
{
	bool overtaken;

	f->drop += take_over_ahead(f);
	overtaken = legs_overtaken(f, f->watermark);
	f->jump = f->drop > 0 && (overtaken || is_complete(f) || f->drop >= JUMP_MIN);
	return f->jump ? -ERR_CANCELED : 0;
}

/* Bytes that go behind the watermark, up to where a leg has been already. */
static int keep_data(struct flight *f, const char *p, size_t n)
{
	int rc = room_take(f, f->watermark + (int64_t)n - f->punched, &f->last);

	if (rc == 0)
		rc = staging_write(f->st, p, n, f->watermark, &f->last);
	if (rc < 0)
		return ours(f, rc);
	f->watermark += (int64_t)n;
	f->progress_ns = loop_now(f->lz->loop);
	verify_data(f, p, n);
	advance_limit(f);
	return 0;
}

static int64_t up_to_next_ahead(struct flight *f)
{
	int64_t next;

	pthread_mutex_lock(&f->lock);
	next = extents_next(&f->ahead, f->watermark);
	pthread_mutex_unlock(&f->lock);
	return next - f->watermark;
}

int drive_on_data(void *flight, const char *p, size_t n)
{
	struct flight *f = flight;
	int rc = 0;

	if (window_is_full(f))
		return FETCH_PAUSE;
	if (f->skip > 0) {
		size_t drop = (size_t)MIN(f->skip, (int64_t)n);

		rc = skip_same(f, p, drop);
		p += drop;
		n -= drop;
	}
	while (rc == 0 && n > 0) {
		int64_t size = flight_size(f), part = MIN((int64_t)n, f->drop);

		if (size >= 0 && (int64_t)n - f->drop > size - f->watermark)
			return err_set(&f->last, -ERR_SIZE, "sent more than the expected %" PRId64 " bytes", size);
		f->drop -= part;
		if (part == 0) {
			part = MIN((int64_t)n, up_to_next_ahead(f));
			rc = keep_data(f, p, (size_t)part);
			if (rc == 0 && atomic_load_explicit(&f->has_ahead, memory_order_relaxed))
				rc = step_over_ahead(f);
		}
		p += part;
		n -= (size_t)part;
	}
	return rc;
}

/* ---- sources one after the other ---- */

static void next_source(struct flight *f)
{
	/* A source that only said something wrong in its head has spoilt nothing. */
	bool spoilt = f->last.code == -ERR_DIGEST || (f->last.code == -ERR_SIZE && f->watermark > f->resumed_at);
	bool nothing = f->watermark == 0 && !atomic_load_explicit(&f->has_ahead, memory_order_relaxed);

	drive_remember(f, &f->last);
	legs_cancel(f);
	f->leg_failures = 0;
	if ((spoilt || nothing || f->want.digests.have == 0) && !begin_again(f)) {
		fail(f, &f->last, -1);
		return;
	}
	f->source_at++;
	f->attempts = 0;
	f->etag[0] = f->last_modified[0] = '\0';
	if (source_next(f) == 0) {
		fail(f, &f->worst,
			f->worst.code == -ERR_COOLDOWN || f->worst.code == -ERR_GONE ? f->retry_after_s
										     : source_retry_after_s(f));
		return;
	}
	log_warn("lazy", "flight %" PRIu64 " turns to the next source: %s: %s", f->id, err_text(f->last.code),
		f->last.msg);
	if (state_of(f) != FLIGHT_WAITING)
		flight_set_state(f, FLIGHT_WAITING);
	try_source(f);
}

/* The catalog does not answer: the next source need not wait for it. */
static void on_note_timer(struct loop_timer *t)
{
	next_source(container_of(t, struct flight, timer));
}

void drive_noted(struct loop_post *p)
{
	struct flight *f = container_of(p, struct flight, noted);
	bool waits = state_of(f) == FLIGHT_WAITING && f->timer.slot != 0 && f->timer.fn == on_note_timer;

	f->noting = false;
	metric_dec(M_flights_recording);
	if (f->note_rc < 0)
		log_warn("lazy", "flight %" PRIu64 ": the catalog did not learn that a source failed, ignoring: %s",
			f->id, f->note_err.msg);
	if (waits) {
		loop_timer_cancel(f->lz->loop, &f->timer);
		next_source(f);
	}
	flight_release(&f);
}

/* Tells the catalog before the next source is tried, so that whoever has the answer finds the mark. False: not now. */
static bool note_and_wait(struct flight *f)
{
	if (f->noting)
		return false;
	f->timer.fn = on_note_timer;
	if (loop_timer_set(f->lz->loop, &f->timer, ROWS_WAIT_MS * NS_PER_MS) < 0)
		return false;
	flight_set_state(f, FLIGHT_WAITING);
	return committer_note(f);
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

	/* Before its head fetch has retried already. */
	if (f->watermark == 0 && f->last.code != -ERR_TRUNCATED)
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
	log_info("lazy", "flight %" PRIu64 " continues at %" PRId64 " after: %s: %s", f->id, f->watermark,
		err_text(f->last.code), f->last.msg);
	flight_set_state(f, FLIGHT_WAITING);
	f->timer.fn = on_timer;
	if (loop_timer_set(f->lz->loop, &f->timer, wait_ms * NS_PER_MS) < 0)
		try_source(f);
	return true;
}

/* The one place that decides what a source's failure means. f->last says what happened. */
static void source_failed(struct flight *f)
{
	source_describe(&f->sources[f->source_at], !f->named, &f->last);
	if (f->ours) { /* no space, no memory, I/O: another source would meet the same */
		fail(f, &f->last, -1);
		return;
	}
	metric_inc(M_flight_source_failures);
	if ((f->last.code == -ERR_TRUNCATED || f->last.code == -ERR_TIMEOUT || f->last.code == -ERR_CONNECT) &&
		resume(f))
		return;
	if (!f->noting)
		f->missing = f->last.code == -ERR_GONE;
	/* When the catalog is not told, the source is asked again by the next request. */
	if ((f->last.code == -ERR_GONE || f->last.code == -ERR_DIGEST || f->last.code == -ERR_SIZE) && note_and_wait(f))
		return;
	next_source(f);
}

/* What fetch reports is the source's, unless we are out of memory: also a URL that is none, or a file that cannot be read. */
static void blame(struct flight *f, const struct err *err)
{
	f->last = *err;
	f->named = true;
	switch (-err->code) {
	case ERR_NOMEM:
		f->ours = true;
		break;
	case ERR_LIMIT: /* too many wait for this source */
		break;
	case ERR_PARSE:
	case ERR_UNSUPPORTED:
		f->last.code = -ERR_INVAL;
		break;
	default:
		if (!drive_blames_source(err->code))
			f->last.code = -ERR_UPSTREAM;
	}
}

/* All expected bytes are here, whatever became of the connection behind them? Then the digest decides; asking for more would only get "416". */
static bool complete_after_all(const struct flight *f, int rc)
{
	int64_t size = flight_size(f);

	return (rc == -ERR_TRUNCATED || rc == -ERR_TIMEOUT || rc == -ERR_CONNECT) && size > 0 && f->watermark == size;
}

static void verify_all(struct flight *f)
{
	legs_cancel(f);
	flight_set_state(f, FLIGHT_VERIFYING);
	verify_end(f);
}

void drive_on_done(void *flight, int rc, const struct err *err)
{
	struct flight *f = flight;
	int64_t size = flight_size(f);

	f->fetch = NULL;
	hedge_end(f);
	if (f->jump && !is_complete(f)) {
		flight_set_state(f, FLIGHT_WAITING);
		try_source(f);
		return;
	}
	if (f->jump) {
		verify_all(f);
		return;
	}
	if (rc < 0 && f->last.code == 0 && !complete_after_all(f, rc))
		blame(f, err);
	else if (f->last.code == 0 && size >= 0 && f->watermark < size)
		(void)err_set(
			&f->last, -ERR_TRUNCATED, "ended at %" PRId64 " of %" PRId64 " bytes", f->watermark, size);
	if (f->last.code < 0) {
		source_failed(f);
		return;
	}
	verify_all(f);
}

void drive_source_changed(struct flight *f)
{
	legs_cancel(f);
	f->leg_failures = 0;
	window_begin(f);
}

static void try_source(struct flight *f)
{
	struct source_row *s = &f->sources[f->source_at];
	struct fetch_remote remote;
	struct fetch_req req = {
		.url = s->url, .on_head = drive_on_head, .on_data = drive_on_data, .on_done = drive_on_done, .arg = f};

	window_begin(f);
	/* It may have been abandoned in a state in which that was no reason to stop. */
	if (f->lz->stopping || (!worth_finishing(f) && flight_claim(f))) {
		drive_cancel(f);
		return;
	}
	flight_set_state(f, FLIGHT_FETCHING);
	f->asked = true;
	f->last = ERR_INIT;
	f->named = false;
	f->skip = f->drop = 0;
	f->jump = false;
	(void)take_over_ahead(f);
	(void)legs_overtaken(f, f->watermark);
	if (is_complete(f)) { /* legs have brought all that was missing */
		verify_all(f);
		return;
	}
	req.gather = !atomic_load_explicit(&f->windowed, memory_order_relaxed);
	f->resumed_at = f->watermark;
	if (f->watermark == 0 && verify_begin(f) < 0) {
		(void)ours(f, err_set(&f->last, -ERR_NOMEM, "out of memory"));
		source_failed(f);
		return;
	}
	if (f->watermark > 0) {
		req.range_from = f->watermark;
		req.patient = true;
		req.if_range = f->etag[0] != '\0' ? f->etag : (f->last_modified[0] != '\0' ? f->last_modified : NULL);
	}
	source_remote(f, s, &remote);
	if (fetch_start(f->lz->fetch, &remote, &req, &f->fetch, &f->last) < 0) {
		struct err err = f->last;

		blame(f, &err);
		source_failed(f);
		return;
	}
	hedge_begin(f);
	legs_look(f);
}

/* ---- beginning and end ---- */

/* Files are durable, but the catalog is not told yet: readers get the end all the same. A file that is not durable yet is waited for. */
static void on_save_timer(struct loop_timer *t)
{
	struct flight *f = container_of(t, struct flight, timer);

	if (atomic_load_explicit(&f->stored, memory_order_acquire))
		finish(f);
	else
		(void)loop_timer_set(f->lz->loop, t, ROWS_WAIT_MS * NS_PER_MS); /* without: drive_committed ends it */
}

static void save(struct flight *f)
{
	flight_set_state(f, FLIGHT_COMMITTING);
	f->timer.fn = on_save_timer;
	(void)loop_timer_set(f->lz->loop, &f->timer, ROWS_WAIT_MS * NS_PER_MS); /* likewise */
	committer_add(f);
}

/* Room for it is being made: its bytes are right, and readers wait for the last of them only so long. */
static void on_room_timer(struct loop_timer *t)
{
	save_if_there_is_room(container_of(t, struct flight, timer));
}

static void save_if_there_is_room(struct flight *f)
{
	int rc = space_admit(f->lz->space, &f->share, f->watermark);

	if (rc > 0) {
		f->told = false; /* also when it had been saved and got lost: the source's marks are cleared */
		save(f);
		return;
	}
	f->timer.fn = on_room_timer;
	if (rc == 0 && f->room_looks++ < ROOM_LOOKS && !f->lz->stopping &&
		loop_timer_set(f->lz->loop, &f->timer, ROOM_LOOK_MS * NS_PER_MS) == 0)
		return;
	space_refused(f->lz->space);
	f->streamed = true;
	finish(f);
}

static void found_in_store(struct flight *f)
{
	f->watermark = f->want.size;
	if (f->told && flight_all_told(f))
		finish(f);
	else
		save(f);
}

static void begin(struct flight *f)
{
	if (f->load_rc < 0) {
		fail(f, &f->load_err, -1);
		return;
	}
	if (f->load_rc == 1) {
		found_in_store(f);
		return;
	}
	if (f->source_count == 0) {
		(void)err_set(&f->worst, -ERR_NOSOURCE, "no remote offers it");
		fail(f, &f->worst, -1);
		return;
	}
	if (source_next(f) == 0) {
		fail(f, &f->worst, f->retry_after_s);
		return;
	}
	if (room_take(f, window_room(f, f->want.size), &f->worst) < 0) {
		fail(f, &f->worst, -1);
		return;
	}
	expect(f, f->want.size);
	metric_inc(M_flights_started);
	atomic_store_explicit(&f->prospects, true, memory_order_release);
	flight_wake(f, true);
	try_source(f);
}

static void loaded(struct pool_job *j)
{
	struct flight *f = container_of(j, struct flight, load);

	if (state_of(f) != FLIGHT_FAILED)
		begin(f);
	flight_release(&f);
}

void drive_start(struct loop_post *p)
{
	struct flight *f = container_of(p, struct flight, start);
	struct err err = ERR_INIT;

	MAGIC_CHECK(f, FLIGHT_MAGIC);
	if (state_of(f) == FLIGHT_FAILED)
		goto out;
	f->started_ns = f->progress_ns = loop_now(f->lz->loop);
	f->load = (struct pool_job){.fn = source_load, .done = loaded, .loop = f->lz->loop};
	flight_hold(f);
	if (pool_submit(f->lz->pool, &f->load) < 0) {
		struct flight *extra = f;

		flight_release(&extra);
		(void)err_set(&err, -ERR_LIMIT, "too much work is queued");
		fail(f, &err, 1);
	}
out:
	flight_release(&f);
}

void drive_verified(struct flight *f, int rc, const struct err *err)
{
	if (rc < 0) {
		f->last = *err;
		f->named = false;
		f->ours = rc != -ERR_DIGEST;
		source_failed(f);
	} else if (f->streamed) {
		finish(f);
	} else {
		save_if_there_is_room(f);
	}
}

/* Told in vain, but the file is there: again, as long as that can help. */
static bool tell_again(struct flight *f)
{
	return f->commit_rc < 0 && atomic_load_explicit(&f->stored, memory_order_relaxed) && !f->lz->stopping &&
	       ++f->tells < TELLS_MAX;
}

void drive_committed(struct loop_post *p)
{
	struct flight *f = container_of(p, struct flight, committed);
	bool over = state_of(f) == FLIGHT_DONE; /* readers could not wait */

	if (f->commit_rc < 0) /* the bytes are right whether they could be kept or not: the clients get them */
		log_error("lazy", "flight %" PRIu64 ": served, but not %s: %s: %s", f->id,
			atomic_load(&f->stored) ? "recorded" : "saved", f->key, f->commit_err.msg);
	/* Some joined for another content artifact after the catalog was told. */
	if ((f->commit_rc == 0 && !flight_all_told(f)) || (over && tell_again(f))) {
		committer_add(f);
	} else if (!over) {
		loop_timer_cancel(f->lz->loop, &f->timer);
		finish(f);
	}
	if (f->commit_rc == 0)
		space_done(f->lz->space, &f->share);
	metric_dec(M_flights_recording);
	flight_release(&f);
}
