/* The way of a content request, top to bottom. Each step does one thing and returns the next; one that must wait returns STEP_WAIT after setting rq->step to
 * where it goes on. The request's loop only. */
#include "content/request_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/url.h"
#include "content/answer.h"
#include "http/range.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct served_distribution *dist_of(const struct request *rq)
{
	return &rq->snap->table->d[rq->dist];
}

static enum step fail(struct request *rq, int code, int64_t retry_after_s)
{
	struct http_x *x = TAKE(rq->x);

	answer_failure(x, code, retry_after_s);
	return STEP_DONE;
}

/* ---- match ---- */

static enum step step_match(struct request *rq)
{
	struct slice path = rq->path;
	int rc;

	if (rq->http->method != HTTP_GET && rq->http->method != HTTP_HEAD) {
		static const struct http_header allow = {{"Allow", 5}, {"GET, HEAD", 9}};
		struct http_x *x = TAKE(rq->x);
		struct http_reply r = {.status = 405, .headers = &allow, .header_count = 1, .note = "method"};

		http_reply(x, &r);
		return STEP_DONE;
	}
	rc = snapshot_ensure(rq->shard, rq);
	if (rc == 0)
		return STEP_WAIT;
	if (rc < 0)
		return fail(rq, rc, -1);
	rq->snap = rq->shard->snap;
	if (path.p == NULL)
		return STEP_redirect;
	rq->dist = snapshot_match(rq->snap, path, &rq->rest);
	if (rq->dist >= 0)
		return STEP_guard;
	return STEP_above;
}

/* ---- above the distributions: their base_paths as a tree of directories ---- */

static enum step step_above(struct request *rq)
{
	struct slice path = rq->path;
	char *dir;
	int rc;

	if (path.n == 0 || path.p[path.n - 1] == '/') {
		rc = listing_of_distributions(rq, path);
		if (rc < 0)
			return fail(rq, rc, -1);
		if (rc == 0)
			return STEP_unknown;
		listing_reply(rq);
		return STEP_DONE;
	}
	dir = arena_printf(http_arena(rq->x), "%.*s/", SLICE_ARG(path));
	if (dir == NULL)
		return fail(rq, -ERR_NOMEM, -1);
	return listing_any_distribution(rq->snap, slice_str(dir)) ? STEP_redirect : STEP_unknown;
}

/* ---- guard: before anything below reveals whether the path exists (C12) ---- */

static enum step step_guard(struct request *rq)
{
	if (dist_of(rq)->content_guard_id != 0) {
		/* No guard can be evaluated by this version, so nobody passes. */
		struct http_x *x = TAKE(rq->x);

		http_reply_text(x, 403, "Access denied.", "403: Access denied.", -1);
		return STEP_DONE;
	}
	return rq->rest.p == NULL ? STEP_redirect : STEP_resolve;
}

/* ---- resolve ---- */

static enum step step_resolve(struct request *rq)
{
	int rc = rq->entry != NULL ? 1 : resolve_start(rq);

	if (rc == 0)
		return STEP_WAIT;
	if (rc == -ERR_NOTFOUND)
		return STEP_unknown;
	if (rc < 0) {
		log_error("content", "request %" PRIx64 " of '%s': %s", rq->id, dist_of(rq)->base_path,
			rq->job_err.code != 0 ? rq->job_err.msg : err_text(rc));
		return fail(rq, rc, -1);
	}
	switch (rq->entry->kind) {
	case ENTRY_FILE:
		return rq->entry->fd >= 0 || rq->entry->data != NULL ? STEP_hit : STEP_miss;
	case ENTRY_DIR:
		return STEP_listing;
	case ENTRY_REDIRECT:
		return STEP_redirect;
	default:
		return STEP_unknown;
	}
}

/* ---- hit ---- */

static void release_entry(void *arg)
{
	struct entry *e = arg;

	entry_unref(&e);
}

static void release_entry_fd(void *arg, int fd)
{
	release_entry(arg);
}

static enum step step_hit(struct request *rq)
{
	struct entry *e = rq->entry;

	rq->size = e->size;
	rq->body = e->data != NULL
			   ? body_memory_in(http_arena(rq->x), e->data, (size_t)e->size, release_entry, entry_ref(e))
			   : body_file_in(http_arena(rq->x), e->fd, e->size, release_entry_fd, entry_ref(e));
	if (rq->body == NULL) {
		struct entry *extra = e;

		entry_unref(&extra);
		return fail(rq, -ERR_NOMEM, -1);
	}
	metric_inc(M_content_hits);
	use_note(&rq->shard->uses, e);
	return STEP_respond;
}

/* ---- miss ---- */

static struct flight_want want_of(const struct request *rq)
{
	const struct served_path *w = &rq->entry->what;

	return (struct flight_want){.content_artifact_id = w->content_artifact_id,
		.repository_id = w->repository_id,
		.digests = w->digests,
		.size = w->size,
		.saved = w->saved,
		.alone = rq->alone};
}

/* False: it was answered. */
static bool join_flight(struct request *rq)
{
	struct flight_want want = want_of(rq);
	int rc = flight_join(rq->shard->content->lazy, &want, &rq->flight);

	if (rc < 0) {
		(void)fail(rq, rc, -1);
		return false;
	}
	if (!rq->alone)
		metric_inc(M_content_misses);
	return true;
}

/* What it says becomes the answer, unless it was started for another repository: then the sources of this one are tried, once. The caller gives the flight
 * back and goes to the step. */
static enum step flight_failed(struct request *rq, struct flight *f, enum step again)
{
	struct flight_want want = want_of(rq);
	struct err err = ERR_INIT;
	int64_t retry_after_s = -1;

	if (flight_try_alone(f, &want)) {
		rq->alone = true;
		return again;
	}
	flight_error(f, &err, &retry_after_s);
	return fail(rq, err.code, retry_after_s);
}

/* What the flight saved is found in the store by whoever resolves the path from now on. */
static void forget_entry_if_saved(struct entry *e, const struct flight *f)
{
	if (flight_was_saved(f))
		cache_drop(e);
}

static void flight_left(void *arg, const struct flight *f)
{
	struct entry *e = arg;

	forget_entry_if_saved(e, f);
	entry_unref(&e);
}

/* Which byte is sent first, and how far from there: only then there is something to say. A condition that fails needs no byte at all, and no download:
 * negative. As long as the size is unknown nobody can tell, and it is the whole. */
static int first_bytes(const struct request *rq, struct http_range *first)
{
	const struct entry *e = rq->entry;
	struct http_range ranges[HTTP_RANGES_MAX];
	int rc = http_select_part(rq->http, slice_str(e->etag), e->what.date_us / US_PER_S, e->size, ranges);

	*first = rc > 0 ? ranges[0] : (struct http_range){0, INT64_MAX};
	return rc;
}

static enum step step_miss(struct request *rq)
{
	struct http_range first;
	int64_t ready;

	if (first_bytes(rq, &first) < 0) {
		rq->size = rq->entry->size;
		return STEP_respond;
	}
	if (rq->http->method == HTTP_HEAD && rq->entry->size >= 0)
		return STEP_prospect;
	if (rq->flight == NULL && !join_flight(rq))
		return STEP_DONE;
	if (rq->body == NULL) {
		struct flight *f = rq->flight; /* the body has the reference now; rq->flight only looks */

		rq->body = flight_body(f, flight_left, entry_ref(rq->entry));
		if (rq->body == NULL) {
			struct entry *extra = rq->entry;

			entry_unref(&extra);
			rq->flight = NULL;
			return fail(rq, -ERR_NOMEM, -1);
		}
	}
	for (;;) {
		ready = rq->body->ops->ready(rq->body, first.from);
		if (ready < 0) {
			enum step s = flight_failed(rq, rq->flight, STEP_miss);

			rq->flight = NULL;
			rq->body->ops->done(&rq->body);
			return s;
		}
		if (ready > 0 || flight_is_done(rq->flight))
			break;
		rq->wake.end = first.to;
		if (rq->body->ops->wait(rq->body, first.from, &rq->wake) == 0) {
			rq->step = STEP_miss;
			return STEP_WAIT;
		}
	}
	rq->size = flight_size(rq->flight);
	return STEP_respond;
}

/* HEAD is answered from what is known (C16); the download it starts goes on by itself. */
static enum step step_prospect(struct request *rq)
{
	int rc;

	if (rq->flight == NULL && !join_flight(rq))
		return STEP_DONE;
	for (;;) {
		rc = flight_prospects(rq->flight);
		if (rc < 0) {
			enum step s = flight_failed(rq, rq->flight, STEP_prospect);

			flight_leave(&rq->flight);
			return s;
		}
		if (rc > 0)
			break;
		if (flight_wait_prospects(rq->flight, &rq->wake) == 0) {
			rq->step = STEP_prospect;
			return STEP_WAIT;
		}
	}
	forget_entry_if_saved(rq->entry, rq->flight);
	flight_leave(&rq->flight);
	rq->size = rq->entry->size;
	return STEP_respond;
}

/* ---- answers that are no artifact ---- */

static enum step step_listing(struct request *rq)
{
	int rc;

	if (rq->page.n > 0) {
		listing_reply(rq);
		return STEP_DONE;
	}
	rq->step = STEP_listing;
	rc = rq->job_rc < 0 ? rq->job_rc : listing_start(rq);
	return rc < 0 ? fail(rq, rc, -1) : STEP_WAIT;
}

static enum step step_redirect(struct request *rq)
{
	struct http_x *x = TAKE(rq->x);
	struct buf to = BUF_INIT(16384);
	struct http_header location = {SLICE("Location"), SLICE_NULL};
	struct http_reply r = {.status = 301, .headers = &location, .header_count = 1, .note = "slash"};

	(void)url_encode(&to, rq->http->path, "/");
	(void)buf_add(&to, "/", 1);
	if (rq->http->query.p != NULL) {
		(void)buf_add(&to, "?", 1);
		(void)buf_add_slice(&to, rq->http->query);
	}
	location.value = slice_str(arena_strdup(http_arena(x), buf_slice(&to)));
	buf_fini(&to);
	if (location.value.p == NULL)
		answer_failure(x, -ERR_NOMEM, -1);
	else
		http_reply(x, &r);
	return STEP_DONE;
}

static enum step step_unknown(struct request *rq)
{
	static const char no_source[] =
		"Distribution is not pointing to a publication, repository, repository version, or remote.";
	struct http_x *x = TAKE(rq->x);

	metric_inc(M_content_not_found);
	if (rq->dist >= 0 && !dist_of(rq)->has_source)
		http_reply_text(x, 404, no_source, NULL, -1);
	else
		answer_failure(x, -ERR_NOTFOUND, -1);
	return STEP_DONE;
}

/* ---- respond ---- */

static enum step step_respond(struct request *rq)
{
	struct http_x *x = TAKE(rq->x);
	struct entry *e = rq->entry;
	size_t upstream = rq->flight != NULL ? flight_header_count(rq->flight) : 0;
	struct http_header *headers = arena_alloc(http_arena(x), (upstream + 1) * sizeof(*headers));
	struct http_reply r = {.status = 200,
		.content_type = e->type,
		.etag = e->etag[0] != '\0' ? e->etag : NULL,
		.last_modified_s = e->what.date_us / US_PER_S,
		.ranges = true,
		.headers = headers,
		.body = TAKE(rq->body),
		.size = rq->size};

	r.note = rq->flight != NULL ? "flight" : (r.body != NULL ? "hit" : "known");
	if (headers != NULL) {
		char *size = rq->size >= 0 ? arena_printf(http_arena(x), "%" PRId64, rq->size) : NULL;

		for (size_t i = 0; i < upstream; i++) {
			const char *name, *value;
			struct http_header *h = &headers[r.header_count];

			flight_header(rq->flight, i, &name, &value);
			h->name = slice_str(arena_strdup(http_arena(x), slice_str(name)));
			h->value = slice_str(arena_strdup(http_arena(x), slice_str(value)));
			r.header_count +=
				h->name.p != NULL && h->value.p != NULL; /* the answer does not depend on it */
		}
		if (size != NULL)
			headers[r.header_count++] =
				(struct http_header){SLICE("X-PULP-ARTIFACT-SIZE"), slice_str(size)};
	}
	rq->flight = NULL; /* the body's */
	http_reply(x, &r);
	return STEP_DONE;
}

/* ---- the walk ---- */

static enum step (*const steps[])(struct request *rq) = {
#define X(name) step_##name,
	CONTENT_STEPS(X)
#undef X
};

void request_free(struct request *rq)
{
	struct shard_state *sh = rq->shard;

	MAGIC_CHECK(rq, REQUEST_MAGIC);
	if (rq->body != NULL) {
		rq->flight = NULL;
		rq->body->ops->done(&rq->body);
	}
	flight_leave(&rq->flight);
	entry_unref(&rq->entry);
	if (rq->owns_snap)
		snapshot_unref(&rq->snap);
	buf_fini(&rq->page);
	free(rq->own);
	rq->magic = 0;
	rq->next = sh->free_list;
	sh->free_list = rq;
	atomic_fetch_sub_explicit(&sh->busy, 1, memory_order_release);
}

void request_run(struct request *rq)
{
	enum step s = rq->step;

	MAGIC_CHECK(rq, REQUEST_MAGIC);
	while (s < STEP_WAIT) {
		rq->step = s;
		s = steps[s](rq);
	}
	if (s == STEP_DONE)
		request_free(rq);
}

static void woken(struct loop_post *p)
{
	struct request *rq = container_of(p, struct request, wake.post);

	if (rq->x == NULL)
		request_free(rq);
	else
		request_run(rq);
}

/* The client is gone. What waits for a job, a snapshot or a wake that is queued already is freed when that comes. */
static void aborted(void *arg)
{
	struct request *rq = arg;
	bool asleep_on_flight = rq->step == STEP_miss || rq->step == STEP_prospect;

	rq->x = NULL;
	rq->http = NULL;
	if (!asleep_on_flight)
		return;
	if (rq->body != NULL)
		rq->body->ops->unwait(rq->body, &rq->wake);
	else if (rq->flight != NULL)
		flight_unwait(rq->flight, &rq->wake);
	if (atomic_load_explicit(&rq->wake.post.queued, memory_order_acquire) == 0)
		request_free(rq);
}

static struct request *request_new(struct shard_state *sh)
{
	struct request *rq = sh->free_list;

	if (rq != NULL)
		sh->free_list = rq->next;
	else if ((rq = malloc(sizeof(*rq))) == NULL)
		return NULL;
	memset(rq, 0, offsetof(struct request, found));
	rq->page = BUF_INIT(PAGE_MAX);
	rq->job_rc = 0;
	rq->job_err.code = 0;
	rq->next = NULL;
	rq->magic = REQUEST_MAGIC;
	rq->shard = sh;
	rq->dist = -1;
	rq->size = -1;
	rq->wake.loop = sh->loop;
	rq->wake.post.fn = woken;
	atomic_fetch_add_explicit(&sh->busy, 1, memory_order_relaxed);
	return rq;
}

static struct shard_state *shard_of(struct content *c, const struct loop *lp)
{
	for (size_t i = 0; i < c->shard_count; i++)
		if (c->shards[i].loop == lp)
			return &c->shards[i];
	BUG(true); /* content_new was told of all loops */
	return NULL;
}

void content_handler(struct http_x *x, const struct http_request *r, void *content)
{
	struct content *c = content;
	struct request *rq = request_new(shard_of(c, http_loop(x)));

	if (rq == NULL) {
		answer_failure(x, -ERR_NOMEM, -1);
		return;
	}
	rq->x = x;
	rq->http = r;
	rq->id = r->id;
	/* The prefix without its slash is redirected: then there is no path at all. */
	rq->path = r->path.n >= c->prefix.n ? slice_of(r->path.p + c->prefix.n, r->path.n - c->prefix.n) : SLICE_NULL;
	http_on_abort(x, aborted, rq);
	request_run(rq);
}
