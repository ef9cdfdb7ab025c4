/* See use.h. Two buffers: one is filled by the loop, the other written by the pool. */
#include "content/use.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "catalog/usage.h"

#include <stdlib.h>

#define BEAT_MS 1000
#define FLUSH_MS 60000
#define ROWS 1000 /* of one transaction: the host's other processes wait for it */

void use_note_due(struct use_log *u, struct entry *e)
{
	if (u->o.interval_ms == 0 || e->what.artifact_id == 0) {
		e->use_due = UINT32_MAX;
		return;
	}
	if (u->noted_n == USE_ROOM) {
		metric_inc(M_store_uses_dropped);
		return;
	}
	u->noted[u->noted_n++] = e->what.artifact_id;
	e->use_due = u->tick + u->every;
}

/* ---- writing: pool ---- */

static int by_id(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int write_some(struct use_log *u, const int64_t *ids, size_t n, size_t *written, struct err *err)
{
	struct txn *t = NULL;
	int rc = catalog_write(u->o.catalog, &t, err);

	if (rc == 0)
		rc = catalog_artifacts_used(t, ids, n, clock_wall_us(), u->o.interval_ms * 1000, written, err);
	if (rc == 0 && *written > 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	return rc;
}

static void write_job(struct pool_job *j)
{
	struct use_log *u = container_of(j, struct use_log, job);
	struct err err = ERR_INIT;

	/* Rows that were made together lie together. */
	qsort(u->writing, u->writing_n, sizeof(*u->writing), by_id);
	for (size_t at = 0; at < u->writing_n; at += ROWS) {
		size_t n = MIN(u->writing_n - at, ROWS), written = 0;

		if (write_some(u, u->writing + at, n, &written, &err) < 0) {
			metric_add(M_store_uses_dropped, (int64_t)(u->writing_n - at));
			log_warn("content", "ignoring that %zu last uses cannot be written: %s", u->writing_n - at,
				err.msg);
			return;
		}
		metric_add(M_store_uses_written, (int64_t)written);
		metric_inc(M_store_use_batches);
	}
}

/* ---- the loop ---- */

static void written(struct pool_job *j);

static void flush(struct use_log *u)
{
	int64_t *full = u->noted;

	if (u->busy || u->noted_n == 0)
		return;
	u->noted = u->writing;
	u->writing = full;
	u->writing_n = u->noted_n;
	u->noted_n = 0;
	u->busy = true;
	u->job = (struct pool_job){.fn = write_job, .done = written, .loop = u->o.loop};
	atomic_fetch_add_explicit(u->o.jobs, 1, memory_order_relaxed);
	if (pool_submit(u->o.pool, &u->job) == 0)
		return;
	/* The pool has more urgent things to do: with the next beat. */
	u->writing = u->noted;
	u->noted = full;
	u->noted_n = u->writing_n;
	u->busy = false;
	atomic_fetch_sub_explicit(u->o.jobs, 1, memory_order_release);
}

static void written(struct pool_job *j)
{
	struct use_log *u = container_of(j, struct use_log, job);

	u->busy = false;
	if (u->draining)
		flush(u);
	atomic_fetch_sub_explicit(u->o.jobs, 1, memory_order_release);
}

static void on_beat(struct loop_timer *t)
{
	struct use_log *u = container_of(t, struct use_log, beat);

	u->tick++;
	if (u->o.beat != NULL)
		u->o.beat(u->o.arg);
	if (u->tick % u->flush_every == 0 || u->noted_n > USE_ROOM / 2)
		flush(u);
	(void)loop_timer_set(
		u->o.loop, t, u->beat_ns); /* without: nothing is written any more, and dropped is counted */
}

static void on_start(struct loop_post *p)
{
	struct use_log *u = container_of(p, struct use_log, start);

	atomic_store_explicit(&u->started, true, memory_order_release);
	(void)loop_timer_set(u->o.loop, &u->beat, u->beat_ns); /* likewise */
}

static void on_drain(struct loop_post *p)
{
	struct use_log *u = container_of(p, struct use_log, drain);

	loop_timer_cancel(u->o.loop, &u->beat);
	u->draining = true;
	flush(u);
	atomic_fetch_sub_explicit(u->o.jobs, 1, memory_order_release);
}

/* ---- from outside ---- */

int use_init(struct use_log *u, const struct use_opts *o)
{
	int64_t beat_ms = o->interval_ms > 0 ? MIN(o->interval_ms, BEAT_MS) : BEAT_MS;

	*u = (struct use_log){.o = *o, .tick = 1, .beat_ns = beat_ms * NS_PER_MS};
	u->every = (uint32_t)MAX(o->interval_ms / beat_ms, 1);
	u->flush_every = MIN(u->every, FLUSH_MS / BEAT_MS);
	u->beat.fn = on_beat;
	u->start.fn = on_start;
	u->drain.fn = on_drain;
	u->noted = calloc(USE_ROOM, sizeof(*u->noted));
	u->writing = calloc(USE_ROOM, sizeof(*u->writing));
	if (u->noted == NULL || u->writing == NULL)
		return -ERR_NOMEM;
	loop_post(o->loop, &u->start);
	return 0;
}

void use_fini(struct use_log *u)
{
	if (u->beat.slot != 0)
		loop_timer_cancel(u->o.loop, &u->beat);
	free(TAKE(u->noted));
	free(TAKE(u->writing));
}

void use_drain(struct use_log *u)
{
	if (!atomic_load_explicit(&u->started, memory_order_acquire))
		return;
	atomic_fetch_add_explicit(u->o.jobs, 1, memory_order_relaxed);
	if (!loop_post_once(u->o.loop, &u->drain))
		atomic_fetch_sub_explicit(u->o.jobs, 1, memory_order_relaxed);
}
