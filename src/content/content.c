/* Setting up the content service, and keeping its loops' snapshot of the catalog fresh. */
#include "content/request_priv.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* With the database down the old snapshot serves on; how often to look again. */
#define RELOAD_RETRY_NS (1 * NS_PER_S)

/* Loop: those who waited go on, with whatever snapshot there is. */
static void shard_reload(struct loop_post *p)
{
	struct shard_state *sh = container_of(p, struct shard_state, reload);
	struct request *rq = TAKE(sh->waiting), *next;

	pthread_mutex_lock(&sh->content->lock);
	if (sh->snap != sh->content->snap) {
		snapshot_unref(&sh->snap);
		sh->snap = snapshot_ref(sh->content->snap);
	}
	pthread_mutex_unlock(&sh->content->lock);
	for (; rq != NULL; rq = next) {
		next = rq->next;
		rq->next = NULL;
		if (rq->x == NULL)
			request_free(rq);
		else
			request_run(rq);
	}
}

/* Pool. */
static void load_job(struct pool_job *j)
{
	struct content *c = container_of(j, struct content, load);
	uint64_t generation = shm_generation(c->shm);
	struct snapshot *old, *made = NULL, *gone = NULL;
	struct err err = ERR_INIT;
	int rc;

	pthread_mutex_lock(&c->lock);
	old = snapshot_ref(c->snap);
	pthread_mutex_unlock(&c->lock);
	rc = snapshot_load(c->catalog, generation, c->settings->content_superseded_window * 1000, c->needs_publication,
		old, &made, &err);
	snapshot_unref(&old);
	if (rc < 0)
		log_error("content", "reading the distributions failed, %s: %s",
			c->snap != NULL ? "serving on with the last ones" : "none can be served", err.msg);
	pthread_mutex_lock(&c->lock);
	c->loading = false;
	if (rc == 0) {
		gone = c->snap;
		c->snap = made;
	} else {
		c->failed_generation = generation;
		c->retry_at_ns = clock_mono_ns() + RELOAD_RETRY_NS;
	}
	pthread_mutex_unlock(&c->lock);
	snapshot_unref(&gone);
	for (size_t i = 0; i < c->shard_count; i++)
		(void)loop_post_once(c->shards[i].loop, &c->shards[i].reload);
	atomic_fetch_sub_explicit(&c->jobs, 1, memory_order_release);
}

int snapshot_ensure(struct shard_state *sh, struct request *rq)
{
	struct content *c = sh->content;
	uint64_t generation;
	int rc = 0;

	/* As of its arrival: else a storm of changes would keep it waiting for ever. */
	if (rq->generation == 0)
		rq->generation = shm_generation(c->shm) + 1;
	generation = rq->generation - 1;
	if (sh->snap != NULL && sh->snap->generation >= generation)
		return 1;
	pthread_mutex_lock(&c->lock);
	if (c->snap != NULL && c->snap != sh->snap) {
		snapshot_unref(&sh->snap);
		sh->snap = snapshot_ref(c->snap);
	}
	if (sh->snap != NULL && sh->snap->generation >= generation) {
		rc = 1;
	} else if (c->retry_at_ns > clock_mono_ns() && c->failed_generation >= generation) {
		rc = sh->snap != NULL ? 1 : -ERR_DB;
	} else {
		if (!c->loading) {
			c->load = (struct pool_job){.fn = load_job};
			c->loading = true;
			atomic_fetch_add_explicit(&c->jobs, 1, memory_order_relaxed);
			if (pool_submit(c->pool, &c->load) < 0) {
				c->loading = false;
				atomic_fetch_sub_explicit(&c->jobs, 1, memory_order_relaxed);
				rc = -ERR_LIMIT;
			}
		}
		if (rc == 0) {
			rq->next = sh->waiting;
			sh->waiting = rq;
		}
	}
	pthread_mutex_unlock(&c->lock);
	return rc;
}

/* Open files kept by each loop: a share of what the process may have, because sockets and flights need theirs. */
static int64_t files_per_loop(const struct content_opts *o)
{
	struct rlimit rl;

	if (o->settings->content_cache_files > 0)
		return o->settings->content_cache_files;
	if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur == RLIM_INFINITY)
		return 4096;
	return MAX((int64_t)rl.rlim_cur / 4 / (int64_t)o->loop_count, 16);
}

int content_new(const struct content_opts *o, struct content **out, struct err *err)
{
	struct content *c = calloc(1, sizeof(*c));
	struct lazy_opts lo = {.pool = o->pool, .catalog = o->catalog, .store = o->store, .settings = o->settings};
	int rc = -ERR_NOMEM;

	if (c == NULL)
		return err_set(err, -ERR_NOMEM, "out of memory");
	(void)pthread_mutex_init(&c->lock, NULL);
	c->settings = o->settings;
	c->pool = o->pool;
	c->catalog = o->catalog;
	c->store = o->store;
	c->shm = o->shm;
	c->needs_publication = o->needs_publication;
	c->prefix = slice_str(o->settings->content_path_prefix);
	c->shards = calloc(o->loop_count, sizeof(*c->shards));
	if (c->shards == NULL)
		goto nomem;
	c->shard_count = o->loop_count;
	for (size_t i = 0; i < o->loop_count; i++) {
		struct shard_state *sh = &c->shards[i];

		sh->content = c;
		sh->loop = o->loops[i];
		sh->reload.fn = shard_reload;
		if (cache_new(o->settings->content_cache_entries, o->settings->content_cache_bytes, files_per_loop(o),
			    &sh->cache) < 0)
			goto nomem;
		if (use_init(&sh->uses, &(struct use_opts){.loop = sh->loop,
						.pool = c->pool,
						.catalog = c->catalog,
						.interval_ms = c->settings->storage_use_interval,
						.jobs = &c->jobs}) < 0)
			goto nomem;
	}
	if ((rc = lazy_new(&lo, &c->lazy, err)) < 0)
		goto fail;
	*out = c;
	return 0;
nomem:
	(void)err_set(err, rc, "out of memory");
fail:
	content_free(&c);
	return rc;
}

static bool is_busy(struct content *c)
{
	if (atomic_load_explicit(&c->jobs, memory_order_acquire) > 0)
		return true;
	for (size_t i = 0; i < c->shard_count; i++)
		if (atomic_load_explicit(&c->shards[i].busy, memory_order_acquire) > 0)
			return true;
	return false;
}

void content_drain(struct content *c, int64_t wait_ms)
{
	const struct timespec tick = {.tv_nsec = 2000000};

	lazy_drain(c->lazy, wait_ms);
	for (size_t i = 0; i < c->shard_count; i++)
		use_drain(&c->shards[i].uses);
	/* Requests whose clients are gone end with the job that they wait for, on their loop: it must not end before. */
	while (is_busy(c))
		(void)nanosleep(&tick, NULL);
}

void content_free(struct content **pc)
{
	struct content *c = TAKE(*pc);

	if (c == NULL)
		return;
	for (size_t i = 0; c->shards != NULL && i < c->shard_count; i++) {
		struct shard_state *sh = &c->shards[i];
		struct request *rq, *next;

		for (rq = sh->free_list; rq != NULL; rq = next) {
			next = rq->next;
			free(rq);
		}
		snapshot_unref(&sh->snap);
		cache_free(&sh->cache);
		use_fini(&sh->uses);
	}
	lazy_free(&c->lazy);
	snapshot_unref(&c->snap);
	free(c->shards);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}
