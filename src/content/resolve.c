/* What a path means: from the cache, else from the filter (certainly unknown), else from the catalog and the store, by a pool job. Equal paths give
 * equal entries on every loop. */
#include "content/request_priv.h"

#include "base/fsutil.h"
#include "base/log.h"
#include "base/metrics.h"
#include "content/mime.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

static const struct served_distribution *dist_of(const struct request *rq)
{
	return &rq->snap->table->d[rq->dist];
}

/* ---- filters ---- */

struct filter_job {
	struct pool_job job;
	struct content *content;
	struct filter *filter; /* a reference */
	struct served_set set;
};

static void filter_job_free(struct filter_job *fj)
{
	struct content *c = fj->content;

	filter_unref(&fj->filter);
	free(fj);
	atomic_fetch_sub_explicit(&c->jobs, 1, memory_order_release);
}

/* Pool. */
static void filter_job(struct pool_job *j)
{
	struct filter_job *fj = container_of(j, struct filter_job, job);
	struct pathset *p = NULL;
	struct txn *t = NULL;
	struct err err = ERR_INIT;
	int rc = catalog_read(fj->content->catalog, &t, &err);

	if (rc == 0)
		rc = pathset_build(t, &fj->set, &p, &err);
	txn_end(&t);
	if (rc < 0) {
		log_warn("content", "no filter for unknown paths of repository %" PRId64 ", ignoring: %s",
			fj->set.repository_id, err.msg);
		atomic_store(&fj->filter->building, false);
	} else {
		atomic_store_explicit(&fj->filter->set, p, memory_order_release);
	}
	filter_job_free(fj);
}

/* Pool. Has the filter of a set made that has none, by a job of its own: reading millions of paths takes seconds. Meanwhile the catalog is asked. */
static void ensure_filter(struct content *c, struct filter *f, const struct served_set *set)
{
	struct filter_job *fj;
	bool expected = false;

	if (atomic_load_explicit(&f->set, memory_order_acquire) != NULL ||
		!atomic_compare_exchange_strong(&f->building, &expected, true))
		return;
	fj = malloc(sizeof(*fj));
	if (fj == NULL) {
		atomic_store(&f->building, false);
		return;
	}
	*fj = (struct filter_job){.job.fn = filter_job, .content = c, .filter = filter_ref(f), .set = *set};
	atomic_fetch_add_explicit(&c->jobs, 1, memory_order_relaxed);
	if (pool_submit(c->pool, &fj->job) < 0) {
		atomic_store(&f->building, false);
		filter_job_free(fj);
	}
}

static bool filter_says_no(struct filter *f, struct slice path)
{
	struct pathset *p = atomic_load_explicit(&f->set, memory_order_acquire);

	return p != NULL && !pathset_maybe(p, path);
}

static struct slice without_slash(struct slice path)
{
	if (path.n > 0 && path.p[path.n - 1] == '/')
		path.n--;
	return path;
}

/* Certainly unknown, as far as every set's filter can tell? No catalog, no allocation. */
static bool surely_unknown(const struct request *rq)
{
	const struct served_distribution *d = dist_of(rq);
	struct slice path = without_slash(rq->rest);

	if (d->set_count == 0)
		return true;
	if (path.n == 0)
		return false;
	for (size_t i = 0; i < d->set_count; i++) {
		struct filter *f = rq->snap->filters[rq->dist][i];

		if (atomic_load_explicit(&f->set, memory_order_acquire) == NULL || !filter_says_no(f, path))
			return false;
	}
	return true;
}

/* ---- from the catalog and the store ---- */

/* Pool: opens what the store has of it; small bodies come into memory. What the catalog does not know as saved is left to a flight, which finds it in
 * the store, too, and tells the catalog: else this path would stay "missing" there for ever. */
static void open_saved(struct request *rq, struct entry *e)
{
	struct err err = ERR_INIT;
	int64_t size = -1;
	char hex[DIGEST_HEX_MAX];
	int fd = -1, rc;

	if ((e->what.digests.have & (1u << DIGEST_SHA256)) == 0)
		return;
	(void)snprintf(e->etag, sizeof(e->etag), "\"%.64s\"",
		digest_hex(DIGEST_SHA256, e->what.digests.d[DIGEST_SHA256], hex));
	if (!e->what.saved && e->what.content_artifact_id != 0)
		return;
	rc = store_get(rq->shard->content->store, e->what.digests.d[DIGEST_SHA256], e->what.size, &fd, &size, &err);
	if (rc < 0) {
		if (rc != -ERR_NOTFOUND)
			log_error("content", "request %" PRIx64 ": store: %s", rq->id, err.msg);
		return;
	}
	e->in_store = true;
	e->fd = fd;
	e->size = size;
	if (size > SMALL_BODY)
		return;
	e->room = malloc(HTTP_READY_ROOM + (size_t)size);
	if (e->room == NULL)
		return;
	if (fs_pread_all(fd, e->room + HTTP_READY_ROOM, (size_t)size, 0, &err) < 0) {
		free(TAKE(e->room));
		return;
	}
	e->data = e->room + HTTP_READY_ROOM;
	fs_close(&e->fd);
}

bool resolve_reopen(struct request *rq)
{
	struct entry *e = rq->entry;
	struct iovec body = {.iov_len = (size_t)e->size};
	int fd = -1;

	if (store_get_cached(rq->shard->content->store, e->what.digests.d[DIGEST_SHA256], e->size, &fd) < 0)
		return false;
	if (e->size > SMALL_BODY) {
		e->fd = fd;
	} else if ((e->room = malloc(HTTP_READY_ROOM + body.iov_len)) != NULL) {
		body.iov_base = e->room + HTTP_READY_ROOM;
		if (e->size == 0 || preadv2(fd, &body, 1, 0, RWF_NOWAIT) == e->size)
			e->data = body.iov_base;
		else
			free(TAKE(e->room));
	}
	if (e->fd < 0)
		fs_close(&fd);
	if (e->fd < 0 && e->data == NULL)
		return false;
	cache_holds(e);
	metric_inc(M_content_reopens);
	return true;
}

/* Pool: the sets in turn, then directories of the current one. */
static int look_up(struct request *rq, struct txn *t, struct slice rest, struct entry *e, struct err *err)
{
	const struct served_distribution *d = dist_of(rq);
	struct slice path = without_slash(rest);
	bool slash = rest.n != path.n;
	char index[2100];
	int rc;

	for (size_t i = 0; i < d->set_count; i++) {
		const struct served_set *set = &d->sets[i];
		struct filter *f = rq->snap->filters[rq->dist][i];

		ensure_filter(rq->shard->content, f, set);
		if (path.n > 0 && filter_says_no(f, path))
			continue;
		if (path.n > 0 && !slash) {
			rc = catalog_path_find(t, set, path, &e->what, err);
			if (rc != -ERR_NOTFOUND) {
				e->kind = ENTRY_FILE;
				e->set = i;
				return rc;
			}
		}
		if (set->superseded)
			continue;
		rc = catalog_path_is_dir(t, set, path, err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			continue;
		e->set = i;
		e->kind = slash || path.n == 0 ? ENTRY_DIR : ENTRY_REDIRECT;
		if (e->kind == ENTRY_DIR && set->publication_id != 0) {
			int n = snprintf(
				index, sizeof(index), "%.*s%sindex.html", SLICE_ARG(path), path.n > 0 ? "/" : "");
			struct served_set published = *set;

			published.pass_through = false; /* a unit that merely passes through is no index */
			if (n > 0 && (size_t)n < sizeof(index) &&
				catalog_path_find(t, &published, slice_of(index, (size_t)n), &e->what, err) == 0)
				e->kind = ENTRY_FILE;
		}
		return 0;
	}
	e->kind = ENTRY_NONE;
	return 0;
}

static void resolve_job(struct pool_job *j)
{
	struct request *rq = container_of(j, struct request, job);
	struct entry *e = &rq->found;
	struct slice rest = rq->rest;
	struct txn *t = NULL;

	metric_inc(M_content_catalog_lookups);
	*e = (struct entry){.fd = -1, .what.size = -1, .size = -1};
	rq->job_rc = catalog_read(rq->shard->content->catalog, &t, &rq->job_err);
	if (rq->job_rc == 0)
		rq->job_rc = look_up(rq, t, rest, e, &rq->job_err);
	txn_end(&t);
	if (rq->job_rc < 0 || e->kind != ENTRY_FILE)
		return;
	e->type = mime_of_path(rest.n == 0 || rest.p[rest.n - 1] == '/' ? SLICE("index.html") : rest);
	e->size = e->what.size;
	open_saved(rq, e);
}

/* Loop. */
static void resolve_done(struct pool_job *j)
{
	struct request *rq = container_of(j, struct request, job);
	struct entry *e;

	if (rq->job_rc == 0) {
		e = cache_put(rq->shard->cache, rq->path, rq->snap->generation, &rq->found);
		if (e == NULL)
			rq->job_rc = err_set(&rq->job_err, -ERR_NOMEM, "out of memory");
		rq->entry = e;
	}
	if (rq->x == NULL)
		request_free(rq);
	else
		request_run(rq);
}

int request_detach(struct request *rq)
{
	size_t skip = rq->rest.p != NULL ? (size_t)(rq->rest.p - rq->path.p) : 0;

	if (rq->own == NULL) {
		rq->own = slice_dup(rq->path);
		if (rq->own == NULL)
			return -ERR_NOMEM;
		rq->path.p = rq->own;
		if (rq->rest.p != NULL)
			rq->rest.p = rq->own + skip;
	}
	if (!rq->owns_snap) {
		rq->snap = snapshot_ref(rq->snap);
		rq->owns_snap = true;
	}
	return 0;
}

/* Where no flight looks once more what is missing, the catalog and the store are asked each time: another process may have saved it. */
static bool is_stale(const struct request *rq)
{
	const struct entry *e = rq->entry;
	bool sent_away = rq->role == ROLE_REDIRECT ||
			 (rq->role == ROLE_CONTENT && rq->shard->content->on_missing != MISSING_STREAM);

	return sent_away && e->kind == ENTRY_FILE && !e->in_store;
}

int resolve_start(struct request *rq)
{
	struct shard_state *sh = rq->shard;

	if (rq->job_rc < 0)
		return rq->job_rc;
	rq->entry = cache_get(sh->cache, rq->path, rq->snap->generation);
	if (rq->entry != NULL && is_stale(rq)) {
		cache_drop(rq->entry);
		entry_unref(&rq->entry);
	}
	if (rq->entry != NULL) {
		metric_inc(M_content_cache_hits);
		return 1;
	}
	if (surely_unknown(rq)) {
		metric_inc(M_content_filter_404);
		return -ERR_NOTFOUND;
	}
	if (request_detach(rq) < 0)
		return -ERR_NOMEM;
	rq->job = (struct pool_job){.fn = resolve_job, .done = resolve_done, .loop = sh->loop};
	if (pool_submit(sh->content->pool, &rq->job) < 0)
		return -ERR_LIMIT;
	return 0;
}
