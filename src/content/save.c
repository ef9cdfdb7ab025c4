/* See save.h. Two buffers: one is filled by the loops, the other written by the pool. What already has its task costs a read, so
 * that a herd of redirects for one file does not take the catalog's write lock again and again. */
#include "content/save.h"

#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "catalog/save.h"

#include <inttypes.h>
#include <stdlib.h>

int save_queue_init(
	struct save_queue *q, struct pool *pool, struct catalog *catalog, int64_t max_waiting, _Atomic int64_t *jobs)
{
	*q = (struct save_queue){.pool = pool, .catalog = catalog, .max_waiting = max_waiting, .jobs = jobs};
	(void)pthread_mutex_init(&q->lock, NULL);
	q->noted = calloc(SAVE_ROOM, sizeof(*q->noted));
	q->writing = calloc(SAVE_ROOM, sizeof(*q->writing));
	return q->noted != NULL && q->writing != NULL ? 0 : -ERR_NOMEM;
}

static void forget(struct save_wish *list, size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		free(TAKE(list[i].target));
	*n = 0;
}

void save_queue_fini(struct save_queue *q)
{
	if (q->jobs == NULL)
		return;
	forget(q->noted, &q->noted_n);
	free(TAKE(q->noted));
	free(TAKE(q->writing));
	(void)pthread_mutex_destroy(&q->lock);
}

/* ---- the pool ---- */

/* Moves those that are of no use any more behind the rest, and returns how many are left. */
static int sift(struct save_queue *q, size_t *left, struct err *err)
{
	struct txn *t = NULL;
	size_t n = q->writing_n;
	int rc = catalog_read(q->catalog, &t, err);

	for (size_t i = 0; rc >= 0 && i < n;) {
		struct save_wish w = q->writing[i];

		rc = catalog_save_is_wanted(t, w.content_artifact_id, w.lost, err);
		if (rc != 0) {
			i++;
			continue;
		}
		q->writing[i] = q->writing[--n];
		q->writing[n] = w;
	}
	txn_end(&t);
	*left = n;
	return MIN(rc, 0);
}

static int dispatch(struct save_queue *q, size_t n, struct err *err)
{
	struct txn *t = NULL;
	int64_t made = 0;
	int rc = catalog_write(q->catalog, &t, err);

	for (size_t i = 0; rc >= 0 && i < n; i++) {
		const struct save_wish *w = &q->writing[i];

		rc = catalog_save_dispatch(
			t, w->content_artifact_id, w->lost, slice_str(w->target), q->max_waiting, err);
		made += rc == 1;
	}
	if (rc == -ERR_LIMIT) { /* those before are made */
		metric_add(M_lazy_saves_dropped, (int64_t)n - made);
		log_warn("lazy", "ignoring what is to be saved: %s", err->msg);
		rc = 0;
	}
	if (rc >= 0 && made > 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	if (rc >= 0)
		metric_add(M_lazy_saves, made);
	return MIN(rc, 0);
}

static void write_once(struct save_queue *q)
{
	struct err err = ERR_INIT;
	size_t n = 0;
	int rc = sift(q, &n, &err);

	if (rc == 0 && n > 0)
		rc = dispatch(q, n, &err);
	if (rc < 0) {
		metric_add(M_lazy_saves_dropped, (int64_t)q->writing_n);
		log_warn("lazy", "ignoring that %zu save tasks cannot be made: %s", q->writing_n, err.msg);
	}
	forget(q->writing, &q->writing_n);
}

static bool take_noted(struct save_queue *q)
{
	struct save_wish *full = q->noted;

	if (q->noted_n == 0)
		return false;
	q->noted = q->writing;
	q->writing = full;
	q->writing_n = q->noted_n;
	q->noted_n = 0;
	return true;
}

static void write_job(struct pool_job *j)
{
	struct save_queue *q = container_of(j, struct save_queue, job);
	_Atomic int64_t *jobs = q->jobs;
	bool more = true;

	while (more) {
		write_once(q);
		pthread_mutex_lock(&q->lock);
		more = take_noted(q);
		q->busy = more;
		pthread_mutex_unlock(&q->lock);
	}
	atomic_fetch_sub_explicit(jobs, 1, memory_order_release);
}

/* ---- the loops ---- */

static bool is_noted(const struct save_queue *q, int64_t content_artifact_id)
{
	for (size_t i = 0; i < q->noted_n; i++)
		if (q->noted[i].content_artifact_id == content_artifact_id)
			return true;
	return false;
}

/* Lock. */
static void note(struct save_queue *q, int64_t content_artifact_id, bool lost, struct slice target)
{
	char *copy;

	if (is_noted(q, content_artifact_id))
		return;
	copy = q->noted_n < SAVE_ROOM ? slice_dup(target) : NULL;
	if (copy == NULL) {
		metric_inc(M_lazy_saves_dropped);
		return;
	}
	q->noted[q->noted_n++] = (struct save_wish){content_artifact_id, lost, copy};
}

void save_want(struct save_queue *q, int64_t content_artifact_id, bool lost, struct slice target)
{
	if (q->max_waiting == 0 || content_artifact_id == 0)
		return;
	pthread_mutex_lock(&q->lock);
	note(q, content_artifact_id, lost, target);
	if (!q->busy && take_noted(q)) {
		q->job = (struct pool_job){.fn = write_job};
		q->busy = true;
		atomic_fetch_add_explicit(q->jobs, 1, memory_order_relaxed);
		if (pool_submit(q->pool, &q->job) < 0) {
			metric_add(M_lazy_saves_dropped, (int64_t)q->writing_n);
			forget(q->writing, &q->writing_n);
			q->busy = false;
			atomic_fetch_sub_explicit(q->jobs, 1, memory_order_release);
		}
	}
	pthread_mutex_unlock(&q->lock);
}
