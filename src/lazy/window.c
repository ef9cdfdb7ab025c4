/* The window of a `streamed` flight: it is not kept, so what lies behind all of its readers and the verifier is given back to the disk while it runs, and the
 * download waits when it is that far ahead of them. A flight that is no larger than the window is left alone.
 *
 * What is sent but not acknowledged may have to be sent again, from the very pages of the file: so readers tell what was acknowledged (body.sent). From the first
 * hole on nobody can join any more: a later request starts a flight of its own. A reader that sleeps has taken all there is; the download then goes on
 * whatever another one lacks: a slow client costs disk, as much as it lies behind the fastest one, but it does not slow anybody.
 *
 * Fetch loop, but for punch(). */
#include "lazy/flight_priv.h"

#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define STEP_MAX (INT64_C(8) * 1024 * 1024)
#define STEP_MIN 4096

int64_t window_step(const struct lazy *lz)
{
	return MAX(MIN(STEP_MAX, lz->settings->content_streamed_window / 4) / STEP_MIN * STEP_MIN, STEP_MIN);
}

static bool streams(const struct flight *f)
{
	return f->want.passing || f->sources[f->source_at].remote->policy == POLICY_STREAMED || f->punched > 0;
}

int64_t window_room(const struct flight *f, int64_t size)
{
	int64_t window = f->lz->settings->content_streamed_window;

	return streams(f) && window > 0 && size > window ? window : size;
}

void window_begin(struct flight *f)
{
	int64_t window = f->lz->settings->content_streamed_window, size = flight_size(f);

	/* Once something is gone there is nothing left to be saved, whatever the next source's policy. */
	f->streamed = streams(f);
	atomic_store_explicit(
		&f->windowed, f->streamed && window > 0 && (size < 0 || size > window), memory_order_release);
	atomic_store(&f->paused, false);
}

/* Lock. Up to where nobody needs it any more. */
static int64_t behind_readers(const struct flight *f)
{
	int64_t behind = INT64_MAX;

	for (const struct flight_reader *r = f->bodies; r != NULL; r = r->next)
		behind = MIN(behind, atomic_load_explicit(&r->acknowledged, memory_order_acquire));
	return behind < INT64_MAX ? behind : 0;
}

/* Lock. */
static bool is_hungry(const struct flight *f)
{
	for (const struct wake *w = f->waiters; w != NULL; w = w->next)
		if (w->off < INT64_MAX)
			return true;
	return false;
}

/* The pool hashes and gives back slower than bytes come, though readers are through with them: what it is at calls window_look at its end. */
static bool pool_lags(const struct flight *f, int64_t behind)
{
	int64_t done = f->punching ? f->punch_from : f->punched;

	return !f->cannot_punch && (f->punching || f->hashing) &&
	       MIN(behind, f->watermark) - done >= f->lz->settings->content_streamed_window;
}

bool window_is_full(struct flight *f)
{
	int64_t behind;
	bool hungry;

	if (!atomic_load_explicit(&f->windowed, memory_order_relaxed) || f->watermark < f->fed_to)
		return false;
	/* Before the look: a reader that falls asleep behind it finds the flag, and asks (window_moved). */
	atomic_store(&f->paused, true);
	pthread_mutex_lock(&f->lock);
	behind = behind_readers(f);
	hungry = is_hungry(f);
	pthread_mutex_unlock(&f->lock);
	if (pool_lags(f, behind) || (!hungry && f->watermark - behind >= f->lz->settings->content_streamed_window))
		return true;
	/* So far without another look: it takes a lock, and who sleeps is woken by the first of these bytes. */
	f->fed_to = f->watermark + (hungry ? window_step(f->lz) : STEP_MIN);
	atomic_store(&f->paused, false);
	return false;
}

/* Pool. */
static void punch(struct pool_job *j)
{
	struct flight *f = container_of(j, struct flight, punch_job);
	int rc;

	do
		rc = fallocate(
			f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, f->punch_from, f->punched - f->punch_from);
	while (rc < 0 && errno == EINTR);
	f->punch_errno = rc < 0 ? errno : 0;
}

static void punched(struct pool_job *j)
{
	struct flight *f = container_of(j, struct flight, punch_job);
	int64_t n = f->punched - f->punch_from;

	f->punching = false;
	if (f->punch_errno == 0) {
		metric_add(M_staging_punched_bytes, n);
		room_give(f, n);
		window_look(f);
	} else { /* the file system cannot: then it takes the room that it takes */
		f->cannot_punch = true;
		log_info("lazy", "flight %" PRIu64 ": nothing is given back while it runs: %s", f->id,
			strerror(f->punch_errno));
		window_look(f);
	}
	flight_release(&f);
}

static void punch_up_to(struct flight *f, int64_t to)
{
	f->punch_from = f->punched;
	f->punched = to;
	f->punching = true;
	f->punch_job = (struct pool_job){.fn = punch, .done = punched, .loop = f->lz->loop};
	flight_hold(f);
	if (pool_submit(f->lz->pool, &f->punch_job) < 0) { /* overloaded: the next look comes */
		struct flight *extra = f;

		f->punched = f->punch_from;
		f->punching = false;
		flight_release(&extra);
	}
}

/* Gives back what is behind everybody, in steps. */
static void give_back(struct flight *f)
{
	int64_t step = window_step(f->lz), to;

	if (!f->hashing && f->hash_rc == 0)
		f->hashed_to = f->hashed;
	if (f->punching || f->cannot_punch || f->watermark <= f->lz->settings->content_streamed_window)
		return;
	pthread_mutex_lock(&f->lock);
	to = behind_readers(f);
	pthread_mutex_unlock(&f->lock);
	to = MIN(to, f->hashed_to) / step * step;
	if (to <= f->punched || (f->punched == 0 && !flight_seal(f)))
		return;
	punch_up_to(f, to);
}

void window_look(struct flight *f)
{
	if (!atomic_load_explicit(&f->windowed, memory_order_relaxed) ||
		atomic_load_explicit(&f->state, memory_order_relaxed) >= FLIGHT_DONE)
		return;
	give_back(f);
	if (f->fetch != NULL && atomic_load(&f->paused) && !window_is_full(f))
		fetch_resume(f->fetch);
}

void window_moved(struct loop_post *p)
{
	struct flight *f = container_of(p, struct flight, moved);

	MAGIC_CHECK(f, FLIGHT_MAGIC);
	window_look(f);
	flight_release(&f);
}
