/* The way of a content request, top to bottom. Each step does one thing and returns the next; one that must wait returns STEP_WAIT after setting rq->step to
 * where it goes on. The request's loop only. */
#include "content/request_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/url.h"
#include "catalog/save.h"
#include "content/answer.h"
#include "http/range.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FREE_MAX 256 /* requests kept for the next ones */

static const struct served_distribution *dist_of(const struct request *rq)
{
	return &rq->snap->table->d[rq->dist];
}

enum step request_fail(struct request *rq, int code, int64_t retry_after_s)
{
	struct http_x *x = TAKE(rq->x);

	if (rq->role == ROLE_STREAMER)
		answer_failure_bare(x, code, retry_after_s);
	else
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
		return request_fail(rq, rc, -1);
	rq->snap = rq->shard->snap;
	if (path.p == NULL)
		return rq->role == ROLE_CONTENT ? STEP_redirect : STEP_unknown;
	rq->dist = snapshot_match(rq->snap, path, &rq->rest);
	if (rq->dist >= 0)
		return STEP_guard;
	return rq->role == ROLE_CONTENT ? STEP_above : STEP_unknown;
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
			return request_fail(rq, rc, -1);
		if (rc == 0)
			return STEP_unknown;
		listing_reply(rq);
		return STEP_DONE;
	}
	dir = arena_printf(http_arena(rq->x), "%.*s/", SLICE_ARG(path));
	if (dir == NULL)
		return request_fail(rq, -ERR_NOMEM, -1);
	return listing_any_distribution(rq->snap, slice_str(dir)) ? STEP_redirect : STEP_unknown;
}

/* ---- guard: before anything below reveals whether the path exists (C12) ---- */

static enum step step_guard(struct request *rq)
{
	int64_t guard_id = dist_of(rq)->content_guard_id;
	enum step next;
	int rc;

	/* Whoever reaches the streamer was let through on the way to it, which a signature can prove. */
	if (rq->role == ROLE_STREAMER)
		return guard_was_sent(rq) ? guard_passed(rq) : STEP_denied;
	if (guard_id == 0)
		return guard_passed(rq);
	rc = guard_request(rq, guard_id, &next);
	return rc < 0 ? request_fail(rq, rc, -1) : next;
}

/* The same to everyone and for every path: what was missing is for the log. */
static enum step step_denied(struct request *rq)
{
	struct http_x *x = TAKE(rq->x);

	metric_inc(M_content_denied);
	http_reply_text(x, 403, "Access denied.", "403: Access denied.", -1);
	return STEP_DONE;
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
		return request_fail(rq, rc, -1);
	}
	if (rq->role != ROLE_CONTENT && rq->entry->kind != ENTRY_FILE)
		return STEP_unknown; /* only artifacts are lazy */
	switch (rq->entry->kind) {
	case ENTRY_FILE:
		if (rq->role == ROLE_REDIRECT)
			return STEP_away;
		if (rq->entry->fd >= 0 || rq->entry->data != NULL)
			return STEP_hit;
		return rq->entry->in_store ? STEP_reopen : STEP_miss;
	case ENTRY_DIR:
		return STEP_listing;
	case ENTRY_REDIRECT:
		return STEP_redirect;
	default:
		return STEP_unknown;
	}
}

/* If it takes more than a look into the store, or it is gone: from the beginning, by the pool. */
static enum step step_reopen(struct request *rq)
{
	if (resolve_reopen(rq))
		return STEP_hit;
	cache_drop(rq->entry);
	entry_unref(&rq->entry);
	return STEP_resolve;
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

/* The answer, but for what only a flight knows. `size` is room for its digits, and for as long as the answer is needed. */
static struct http_reply reply_of(const struct request *rq, char size[24], struct http_header *size_field)
{
	const struct entry *e = rq->entry;
	struct http_reply r = {.status = 200,
		.content_type = e->type,
		.etag = e->etag[0] != '\0' ? e->etag : NULL,
		.last_modified_s = e->what.date_us / US_PER_S,
		.ranges = true,
		.size = rq->size};

	if (rq->size >= 0) {
		int n = snprintf(size, 24, "%" PRId64, rq->size);

		*size_field = (struct http_header){SLICE("X-PULP-ARTIFACT-SIZE"), slice_of(size, (size_t)n)};
		r.headers = size_field;
		r.header_count = 1;
	}
	return r;
}

/* Has the entry, from now on, an answer made ready? */
static bool make_ready(struct request *rq)
{
	struct entry *e = rq->entry;
	struct http_header field;
	char digits[24];
	struct http_reply r = reply_of(rq, digits, &field);

	/* who is to be told a file's name is not known before he is looked at */
	if (rq->shard->content->delegate != DELEGATE_NONE)
		return false;
	if (e->room == NULL && (e->room = malloc(HTTP_READY_ROOM)) == NULL)
		return false;
	return http_ready_make(rq->x, &r, e->room, e->data != NULL ? (size_t)e->size : 0, &e->ready) == 0;
}

static enum step step_hit(struct request *rq)
{
	struct entry *e = rq->entry;

	metric_inc(M_content_hits);
	use_note(&rq->shard->uses, e);
	rq->size = e->size;
	if (rq->role == ROLE_CONTENT && http_ready_fits(rq->x) && (e->ready.p != NULL || make_ready(rq)))
		return STEP_ready;
	if (rq->shard->content->delegate != DELEGATE_NONE && delegate_fits(rq))
		return STEP_delegate;
	rq->body = e->data != NULL
			   ? body_memory_in(http_arena(rq->x), e->data, (size_t)e->size, release_entry, entry_ref(e))
			   : body_file_in(http_arena(rq->x), e->fd, e->size, rq->shard->content->disk_pool,
				     release_entry_fd, entry_ref(e));
	if (rq->body == NULL) {
		release_entry(e);
		return request_fail(rq, -ERR_NOMEM, -1);
	}
	return STEP_respond;
}

static enum step step_delegate(struct request *rq)
{
	struct http_header fields[2];
	char digits[24];
	struct http_reply r = reply_of(rq, digits, &fields[1]);

	if (delegate_fields(rq, fields) < 0)
		return request_fail(rq, -ERR_NOMEM, -1);
	metric_inc(M_content_delegated);
	r.headers = fields;
	r.header_count = ARRAY_LEN(fields);
	r.ranges = false; /* of the file, which is the other's */
	r.size = 0;
	r.note = "delegated";
	http_reply(TAKE(rq->x), &r);
	return STEP_DONE;
}

static enum step step_ready(struct request *rq)
{
	struct http_x *x = TAKE(rq->x);
	struct entry *e = rq->entry;
	struct body *body;

	if (e->data != NULL) {
		http_reply_ready(x, &e->ready, NULL, release_entry, entry_ref(e), "hit");
		return STEP_DONE;
	}
	body = body_file_in(
		http_arena(x), e->fd, e->size, rq->shard->content->disk_pool, release_entry_fd, entry_ref(e));
	if (body == NULL) {
		release_entry(e);
		answer_failure(x, -ERR_NOMEM, -1);
	} else {
		http_reply_ready(x, &e->ready, body, NULL, NULL, "hit");
	}
	return STEP_DONE;
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
		.passing = rq->role == ROLE_STREAMER,
		.alone = rq->alone};
}

/* False: it was answered. */
static bool join_flight(struct request *rq)
{
	struct flight_want want = want_of(rq);
	int rc = flight_join(rq->shard->content->lazy, &want, &rq->flight);

	if (rc < 0) {
		(void)request_fail(rq, rc, -1);
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
	return request_fail(rq, err.code, retry_after_s);
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

/* The same for the streamer, whose complete downloads are to be saved, too (S3). */
struct passage {
	struct entry *entry;
	struct save_queue *saves;
	char *target;
};

static void passage_free(struct passage *p)
{
	entry_unref(&p->entry);
	free(p->target);
	free(p);
}

static void flight_passed(void *arg, const struct flight *f)
{
	struct passage *p = arg;

	forget_entry_if_saved(p->entry, f);
	if (flight_is_done(f) && !flight_was_saved(f))
		save_want(p->saves, p->entry->what.content_artifact_id, p->entry->what.saved, slice_str(p->target));
	passage_free(p);
}

/* NULL: out of memory. */
static struct passage *passage_new(struct request *rq)
{
	struct passage *p = malloc(sizeof(*p));

	if (p == NULL)
		return NULL;
	*p = (struct passage){entry_ref(rq->entry), &rq->shard->content->saves, slice_dup(rq->target)};
	if (p->target == NULL) {
		passage_free(p);
		p = NULL;
	}
	return p;
}

static struct body *body_of_flight(struct request *rq)
{
	struct passage *p;
	struct entry *extra;
	struct body *b;

	if (rq->role == ROLE_STREAMER && !rq->by_save_task) {
		p = passage_new(rq);
		if (p == NULL) {
			flight_leave(&rq->flight);
			return NULL;
		}
		b = flight_body(rq->flight, flight_passed, p);
		if (b == NULL)
			passage_free(p);
		return b;
	}
	extra = entry_ref(rq->entry);
	b = flight_body(rq->flight, flight_left, extra);
	if (b == NULL)
		entry_unref(&extra);
	return b;
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
	if (rq->role == ROLE_CONTENT && rq->shard->content->on_missing != MISSING_STREAM)
		return STEP_away;
	if (rq->http->method == HTTP_HEAD && rq->entry->size >= 0)
		return STEP_prospect;
	if (rq->flight == NULL && !join_flight(rq))
		return STEP_DONE;
	if (rq->body == NULL) {
		rq->body = body_of_flight(rq); /* it has the reference now; rq->flight only looks */
		if (rq->body == NULL) {
			rq->flight = NULL;
			return request_fail(rq, -ERR_NOMEM, -1);
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
	return rc < 0 ? request_fail(rq, rc, -1) : STEP_WAIT;
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
	struct http_x *x;

	metric_inc(M_content_not_found);
	if (rq->role == ROLE_STREAMER)
		return request_fail(rq, -ERR_NOTFOUND, -1);
	x = TAKE(rq->x);
	if (rq->dist >= 0 && !dist_of(rq)->has_source)
		http_reply_text(x, 404, no_source, NULL, -1);
	else
		answer_failure_kept(x, -ERR_NOTFOUND, &rq->shard->unknown);
	return STEP_DONE;
}

static enum step step_away(struct request *rq)
{
	return redirect_step(rq);
}

/* ---- respond ---- */

/* Upstream's own fields in front of those of `r`; without memory for them the answer goes without. */
static void add_upstream_fields(const struct request *rq, struct arena *a, struct http_reply *r)
{
	size_t n = flight_header_count(rq->flight), count = 0;
	struct http_header *all = arena_alloc(a, (n + r->header_count) * sizeof(*all));

	if (all == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		const char *name, *value;
		struct http_header *h = &all[count];

		flight_header(rq->flight, i, &name, &value);
		h->name = slice_str(arena_strdup(a, slice_str(name)));
		h->value = slice_str(arena_strdup(a, slice_str(value)));
		count += h->name.p != NULL && h->value.p != NULL;
	}
	for (size_t i = 0; i < r->header_count; i++)
		all[count++] = r->headers[i];
	r->headers = all;
	r->header_count = count;
}

/* What upstream itself says of it, absences included, and how long the cache in front may keep it. */
static void as_streamer(const struct request *rq, struct arena *a, struct http_reply *r)
{
	size_t n = rq->flight != NULL ? flight_header_count(rq->flight) : 0, count = 0;
	struct http_header *all = arena_alloc(a, (n + 1) * sizeof(*all));
	const char *max_age = arena_printf(a, "public, max-age=%" PRId64, guard_keep_s(rq));

	r->header_count = 0;
	if (all == NULL || max_age == NULL)
		return;
	if (n > 0) {
		r->content_type = r->etag = NULL;
		r->last_modified_s = 0;
	}
	for (size_t i = 0; i < n; i++) {
		const char *name, *kept;
		struct slice value;

		flight_header(rq->flight, i, &name, &kept);
		value = slice_str(kept = arena_strdup(a, slice_str(kept)));
		if (kept == NULL)
			continue;
		if (strcasecmp(name, "Content-Type") == 0)
			r->content_type = kept;
		else if (strcasecmp(name, "ETag") == 0)
			r->etag = kept;
		else if (strcasecmp(name, "Last-Modified") == 0 && clock_http_parse(value, &r->last_modified_s) == 0)
			continue;
		else if (strcasecmp(name, "Cache-Control") != 0)
			all[count++] = (struct http_header){slice_str(arena_strdup(a, slice_str(name))), value};
	}
	all[count++] = (struct http_header){SLICE("Cache-Control"), slice_str(max_age)};
	r->headers = all;
	r->header_count = count;
}

static enum step step_respond(struct request *rq)
{
	struct http_x *x = TAKE(rq->x);
	struct http_header field;
	char digits[24];
	struct http_reply r = reply_of(rq, digits, &field);

	r.body = TAKE(rq->body);
	r.note = rq->flight != NULL ? "flight" : (r.body != NULL ? "hit" : "known");
	if (rq->role == ROLE_STREAMER)
		as_streamer(rq, http_arena(x), &r);
	else if (rq->flight != NULL)
		add_upstream_fields(rq, http_arena(x), &r);
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

/* Only the loop writes it: no locked instruction. */
static void busy_add(struct shard_state *sh, int64_t n)
{
	atomic_store_explicit(
		&sh->busy, atomic_load_explicit(&sh->busy, memory_order_relaxed) + n, memory_order_release);
}

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
	if (sh->free_count < FREE_MAX) {
		rq->next = sh->free_list;
		sh->free_list = rq;
		sh->free_count++;
	} else {
		free(rq);
	}
	busy_add(sh, -1);
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

	if (rq != NULL) {
		sh->free_list = rq->next;
		sh->free_count--;
	} else if ((rq = malloc(sizeof(*rq))) == NULL) {
		return NULL;
	}
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
	busy_add(sh, 1);
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

struct request *request_start(
	struct content *c, struct http_x *x, const struct http_request *r, enum request_role role, struct slice path)
{
	struct request *rq = request_new(shard_of(c, http_loop(x)));

	if (rq == NULL) {
		answer_failure(x, -ERR_NOMEM, -1);
		return NULL;
	}
	rq->x = x;
	rq->http = r;
	rq->id = r->id;
	rq->role = role;
	rq->path = path;
	rq->target = r->target;
	http_on_abort(x, aborted, rq);
	return rq;
}

/* The prefix without its slash is redirected: then there is no path at all. */
static struct slice below_prefix(const struct content *c, struct slice path)
{
	return path.n >= c->prefix.n ? slice_of(path.p + c->prefix.n, path.n - c->prefix.n) : SLICE_NULL;
}

void content_handler(struct http_x *x, const struct http_request *r, void *content)
{
	struct request *rq = request_start(content, x, r, ROLE_CONTENT, below_prefix(content, r->path));

	if (rq != NULL)
		request_run(rq);
}

/* Without the scheme and host that a proxy may put in front. */
static struct slice target_in_origin_form(struct slice target)
{
	ptrdiff_t at = 0;

	for (int slashes = 0; target.n > 0 && target.p[0] != '/' && at < (ptrdiff_t)target.n; at++)
		if (target.p[at] == '/' && ++slashes == 3)
			return slice_of(target.p + at, target.n - (size_t)at);
	return target;
}

void content_streamer_handler(struct http_x *x, const struct http_request *r, void *content)
{
	struct content *c = content;
	struct request *rq;

	if (!slice_starts(r->path, c->prefix)) {
		answer_failure_bare(x, -ERR_NOTFOUND, -1);
		return;
	}
	rq = request_start(c, x, r, ROLE_STREAMER, below_prefix(c, r->path));
	if (rq == NULL)
		return;
	rq->target = target_in_origin_form(r->target);
	rq->by_save_task = http_header_get(r, SLICE(SAVE_FIELD)).p != NULL;
	request_run(rq);
}
