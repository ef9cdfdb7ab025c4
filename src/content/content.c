/* Setting up the content service, and keeping its loops' snapshot of the catalog fresh. */
#include "content/request_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "catalog/save.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

/* With the database down the old snapshot serves on; how often to look again. */
#define RELOAD_RETRY_NS (1 * NS_PER_S)
/* As many pieces of saved files, a megabyte each, are read at once as a disk likes to have queued. */
#define DISK_THREADS 8
#define DISK_QUEUE 1024
/* As many passwords as are checked at once (api/auth.c); each takes some 40 ms, a certificate some 0.2 ms. */
#define GUARD_THREADS 2
#define GUARD_QUEUE 1000

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

/* Where nothing can be fetched through a front, nothing is saved so. */
static int64_t max_saves(const struct settings *s)
{
	struct buf front = BUF_INIT(0);
	int rc = save_front(s, &front, NULL);

	buf_fini(&front);
	return rc < 0 ? 0 : s->lazy_save_queue;
}

/* What guards need. */
static int open_doors(struct content *c, struct err *err)
{
	int rc;

	if (getrandom(c->proof_salt, sizeof(c->proof_salt), 0) != sizeof(c->proof_salt))
		return err_sys(err, errno, "random bytes for content guards");
	if ((rc = delegate_init(c, err)) < 0)
		return rc;
	rc = signing_key_load(c->settings->server_data, &c->signing_key, err);
	return rc < 0 ? rc : pool_new("guard", GUARD_THREADS, GUARD_QUEUE, &c->guard_pool, err);
}

/* A pool of its own: whoever waits for a disk must not keep look-ups waiting. */
static int open_disk(struct content *c, struct err *err)
{
	return pool_new("disk", DISK_THREADS, DISK_QUEUE, &c->disk_pool, err);
}

#define SWEPT_MAX 500

/* Loop: entries that no request can use any more keep no file open, for it may have been reclaimed. */
static void shard_beat(void *arg)
{
	struct shard_state *sh = arg;

	if (sh->snap != NULL)
		cache_sweep(sh->cache, sh->snap->generation, SWEPT_MAX);
}

int content_new(const struct content_opts *o, struct content **out, struct err *err)
{
	struct content *c = calloc(1, sizeof(*c));
	struct lazy_opts lo = {
		.pool = o->pool, .catalog = o->catalog, .store = o->store, .settings = o->settings, .space = o->space};
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
	c->on_missing = strcmp(o->settings->content_on_missing, "redirect") == 0 ? MISSING_REDIRECT
			: strcmp(o->settings->content_on_missing, "refuse") == 0 ? MISSING_REFUSE
										 : MISSING_STREAM;
	c->login = o->login;
	c->login_arg = o->login_arg;
	c->prefix = slice_str(o->settings->content_path_prefix);
	if (save_queue_init(&c->saves, c->pool, c->catalog, max_saves(o->settings), &c->jobs) < 0)
		goto nomem;
	if ((rc = open_doors(c, err)) < 0 || (rc = open_disk(c, err)) < 0)
		goto fail;
	rc = -ERR_NOMEM;
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
						.jobs = &c->jobs,
						.beat = shard_beat,
						.arg = sh}) < 0)
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

static int flights(void *arg, struct flight_view *out, size_t max, size_t *n, int64_t *total)
{
	struct content *c = arg;

	return lazy_flights(c->lazy, out, max, n, total);
}

static int sources(void *arg, struct source_view *out, size_t max, size_t *n, int64_t *total)
{
	struct content *c = arg;

	return lazy_sources(c->lazy, out, max, n, total);
}

void content_activity(struct content *c, struct activity *out)
{
	*out = (struct activity){.flights = flights, .sources = sources, .arg = c};
}

/* ---- evicted ---- */

struct gone {
	struct content *c;
	_Atomic size_t refs; /* loops that have not seen it yet */
	size_t count;
	int64_t ids[SPACE_GONE_MAX];
	struct gone_post {
		struct loop_post post;
		struct gone *gone;
		struct cache *cache;
	} posts[];
};

static void shard_gone(struct loop_post *p)
{
	struct gone_post *gp = container_of(p, struct gone_post, post);
	struct gone *g = gp->gone;
	struct content *c = g->c;

	cache_forget(gp->cache, g->ids, g->count);
	if (atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) == 1)
		free(g);
	atomic_fetch_sub_explicit(&c->jobs, 1, memory_order_release);
}

void content_gone(void *content, const int64_t *artifact_ids, size_t count)
{
	struct content *c = content;
	struct gone *g = calloc(1, sizeof(*g) + c->shard_count * sizeof(g->posts[0]));

	if (g == NULL) /* they stay open until something else takes their place */
		return;
	BUG(count > SPACE_GONE_MAX);
	g->c = c;
	g->count = count;
	memcpy(g->ids, artifact_ids, count * sizeof(*artifact_ids));
	atomic_init(&g->refs, c->shard_count);
	for (size_t i = 0; i < c->shard_count; i++) {
		g->posts[i] = (struct gone_post){.post.fn = shard_gone, .gone = g, .cache = c->shards[i].cache};
		atomic_fetch_add_explicit(&c->jobs, 1, memory_order_relaxed);
		loop_post(c->shards[i].loop, &g->posts[i].post);
	}
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
	if (c->guard_pool != NULL)
		pool_free(&c->guard_pool);
	if (c->disk_pool != NULL)
		pool_free(&c->disk_pool);
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
		proofs_free(&sh->proofs);
	}
	lazy_free(&c->lazy);
	snapshot_unref(&c->snap);
	save_queue_fini(&c->saves);
	free(c->shards);
	free(c->delegate_root);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}
