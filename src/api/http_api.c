/* The API behind the HTTP server. The loop reads the body, copies what a pool thread needs into a job, and sends the answer;
 * the job is the loop's before pool_submit and after `done`, the pool's in between. A client that goes away takes the exchange
 * with it: the job then has no `x` and only frees itself.
 *
 * A body that may hold files is not collected: first a pool thread asks whether the request may come in at all (ADMIT), then the loop fills a block
 * at a time and a pool thread takes it in (FEED), while the connection is not read; the last block is taken in by the thread that then answers.
 * So an upload of any size costs a block of memory, and no loop writes to a disk. */
#include "api/api_priv.h"

#include "base/check.h"
#include "base/log.h"

#include <stdlib.h>

#define JOB_MAGIC 0x61706a62u /* "apjb" */
#define RETRY_AFTER_S 1
/* Large enough that a hop to the pool does not matter beside hashing it, small enough for hundreds of uploads at once. */
#define BLOCK_SIZE ((size_t)256 << 10)

struct job {
	unsigned magic;
	struct pool_job pool;
	struct http_x *x; /* NULL: the client is gone. Loop only. */
	bool busy;        /* the pool has it. Loop only. */
	bool answered;    /* by the pool, before the whole body was read */
	struct api *api;
	struct api_form *form; /* of a streamed body */
	struct buf block;
	struct api_request req;
	struct api_response res;
	char peer[80];
	size_t used, cap;
	char text[]; /* what the request borrows */
};

static void job_free(struct job *j)
{
	api_response_fini(&j->res);
	api_form_free(&j->form);
	buf_fini(&j->block);
	j->magic = 0;
	free(j);
}

static void work_free(struct pool_job *p)
{
	job_free(container_of(p, struct job, pool));
}

/* Forgetting a file of gigabytes takes the kernel a while, which is no loop's to wait for, if the pool has room for it. */
static void job_end(struct job *j)
{
	if (j->form != NULL) {
		j->pool.fn = work_free;
		j->pool.loop = NULL;
		if (pool_submit(j->api->pool, &j->pool) == 0)
			return;
	}
	job_free(j);
}

static void on_abort(void *arg)
{
	struct job *j = arg;

	MAGIC_CHECK(j, JOB_MAGIC);
	j->x = NULL;
	if (!j->busy)
		job_end(j);
}

static void work(struct pool_job *p)
{
	struct job *j = container_of(p, struct job, pool);

	MAGIC_CHECK(j, JOB_MAGIC);
	api_handle(j->api, &j->req, &j->res);
}

static void add_header(struct http_header *h, size_t *n, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0')
		h[(*n)++] = (struct http_header){slice_str(name), slice_str(value)};
}

/* Strings live in the exchange's arena: the job is gone before the answer is out. */
static void send_answer(struct http_x *x, struct api_response *res)
{
	struct arena *a = http_arena(x);
	struct http_header *h = arena_alloc(a, 10 * sizeof(*h));
	struct http_reply reply = {.status = res->status, .content_type = res->content_type, .note = "api"};
	char retry[16] = "";
	size_t n = 0;
	char *body;

	if (h == NULL)
		goto nomem;
	if (res->retry_after_s > 0)
		(void)snprintf(retry, sizeof(retry), "%d", res->retry_after_s);
	add_header(h, &n, "Correlation-ID", arena_strdup(a, slice_str(res->correlation_id)));
	add_header(h, &n, "Location", res->location != NULL ? arena_strdup(a, slice_str(res->location)) : NULL);
	add_header(h, &n, "WWW-Authenticate", res->authenticate);
	add_header(h, &n, "Allow", arena_strdup(a, slice_str(res->allow)));
	add_header(h, &n, "Retry-After", arena_strdup(a, slice_str(retry)));
	add_header(h, &n, "Content-Security-Policy", res->policy);
	if (res->etag[0] != '\0') {
		reply.etag = arena_strdup(a, slice_str(res->etag));
		reply.ranges = true; /* and conditions */
		add_header(h, &n, "Cache-Control", "no-cache");
		add_header(h, &n, "Vary", "Accept-Encoding");
		add_header(h, &n, "Content-Encoding", res->gzip ? "gzip" : NULL);
	} else {
		/* Answers differ by who asks, and change any time. */
		add_header(h, &n, "Cache-Control", "no-store");
	}
	reply.headers = h;
	reply.header_count = n;
	if (res->body.n > 0) {
		reply.size = (int64_t)res->body.n;
		if ((body = buf_take(&res->body, NULL)) == NULL ||
			(reply.body = body_memory_take(body, (size_t)reply.size)) == NULL)
			goto nomem;
	}
	http_reply(x, &reply);
	return;
nomem:
	http_reply_text(x, 503, NULL, NULL, RETRY_AFTER_S);
}

static void job_answer(struct job *j)
{
	if (j->x != NULL) {
		struct http_x *x = TAKE(j->x);

		http_on_abort(x, NULL, NULL);
		send_answer(x, &j->res);
	}
	job_end(j);
}

static void done(struct pool_job *p)
{
	struct job *j = container_of(p, struct job, pool);

	MAGIC_CHECK(j, JOB_MAGIC);
	j->busy = false;
	job_answer(j);
}

static struct slice keep(struct job *j, struct slice s)
{
	char *at = j->text + j->used;

	if (s.p == NULL)
		return SLICE_NULL;
	BUG(j->used + s.n + 1 > j->cap);
	memcpy(at, s.n > 0 ? s.p : "", s.n);
	at[s.n] = '\0';
	j->used += s.n + 1;
	return slice_of(at, s.n);
}

static struct job *job_new(struct api *api, struct http_x *x, const struct http_request *r, struct slice body)
{
	struct slice parts[] = {
		r->method_text,
		r->path,
		r->query,
		http_header_get(r, SLICE("Authorization")),
		http_header_get(r, SLICE("Content-Type")),
		http_header_get(r, SLICE("Correlation-ID")),
		r->host,
		http_header_get(r, SLICE("X-Forwarded-Proto")),
		http_header_get(r, SLICE("X-Requested-With")),
		http_header_get(r, SLICE("Content-Range")),
		http_header_get(r, SLICE("Accept-Encoding")),
		http_header_last(r, SLICE("X-Forwarded-For")),
		body,
	};
	size_t cap = 0;
	struct job *j;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		cap += parts[i].n + 1;
	if ((j = calloc(1, sizeof(*j) + cap)) == NULL)
		return NULL;
	j->magic = JOB_MAGIC;
	j->block = BUF_INIT(0);
	j->cap = cap;
	j->x = x;
	j->api = api;
	j->pool.loop = http_loop(x);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		parts[i] = keep(j, parts[i]);
	(void)snprintf(j->peer, sizeof(j->peer), "%s", r->peer != NULL ? r->peer : "?");
	j->req = (struct api_request){
		.method = r->method,
		.method_text = parts[0],
		.path = parts[1],
		.query = parts[2],
		.authorization = parts[3],
		.content_type = parts[4],
		.correlation_id = parts[5],
		.host = parts[6],
		.forwarded_proto = parts[7],
		.requested_with = parts[8],
		.content_range = parts[9],
		.accept_encoding = parts[10],
		.forwarded_for = parts[11],
		.body = parts[12],
		.peer = j->peer,
		.id = r->id,
	};
	return j;
}

/* False: refused and answered; the job is gone. */
static bool job_submit(struct job *j, void (*fn)(struct pool_job *p), void (*then)(struct pool_job *p))
{
	struct http_x *x = j->x;

	j->pool.fn = fn;
	j->pool.done = then;
	if (pool_submit(j->api->pool, &j->pool) == 0) {
		j->busy = true;
		return true;
	}
	log_warn("api", "request=%llu refused: the queue of API requests is full", (unsigned long long)j->req.id);
	http_on_abort(x, NULL, NULL);
	job_free(j);
	http_reply_text(x, 503, NULL, NULL, RETRY_AFTER_S);
	return false;
}

static void on_body(struct http_x *x, struct slice body, void *arg)
{
	struct api *api = arg;
	struct job *j = job_new(api, x, http_request_of(x), body);

	if (j == NULL)
		http_reply_text(x, 503, NULL, NULL, RETRY_AFTER_S);
	else if (job_submit(j, work, done))
		http_on_abort(x, on_abort, j);
}

/* ---- a body that may hold files ---- */

/* On a pool thread. The answer says what was wrong with the form. */
static void feed(struct job *j, bool last)
{
	struct err err = ERR_INIT;
	int rc = api_form_feed(j->form, j->block.p, j->block.n, &err);

	buf_reset(&j->block);
	if (rc == 0 && last)
		rc = api_form_end(j->form, &err);
	if (rc == 0)
		return;
	j->answered = true;
	api_refuse_form(j->api, &j->req, rc, &err, &j->res);
}

static void work_feed(struct pool_job *p)
{
	feed(container_of(p, struct job, pool), false);
}

static void done_feed(struct pool_job *p)
{
	struct job *j = container_of(p, struct job, pool);

	MAGIC_CHECK(j, JOB_MAGIC);
	j->busy = false;
	if (j->x == NULL || j->answered)
		job_answer(j);
	else
		http_body_resume(j->x);
}

static void work_last(struct pool_job *p)
{
	struct job *j = container_of(p, struct job, pool);

	feed(j, true);
	if (j->answered)
		return;
	j->req.form = j->form;
	api_handle(j->api, &j->req, &j->res);
}

static int on_data(struct http_x *x, const char *p, size_t n, void *arg)
{
	struct job *j = arg;

	MAGIC_CHECK(j, JOB_MAGIC);
	/* a piece that is larger than a block comes alone */
	if (j->block.n > 0 && j->block.n + n > BLOCK_SIZE)
		return job_submit(j, work_feed, done_feed) ? HTTP_PAUSE : -ERR_LIMIT;
	if (buf_add(&j->block, p, n) == 0)
		return 0;
	http_on_abort(x, NULL, NULL);
	job_end(j);
	http_reply_text(x, 503, NULL, NULL, RETRY_AFTER_S);
	return -ERR_NOMEM;
}

static void on_end(struct http_x *x, void *arg)
{
	(void)job_submit(arg, work_last, done);
}

static void work_admit(struct pool_job *p)
{
	struct job *j = container_of(p, struct job, pool);
	struct err err = ERR_INIT;
	int rc;

	j->answered = !api_admit(j->api, &j->req, &j->res);
	if (j->answered)
		return;
	rc = api_form_new(
		j->api->store, j->req.content_type, (size_t)j->api->settings->server_max_body, &j->form, &err);
	if (rc == 0)
		return;
	j->answered = true;
	api_refuse_form(j->api, &j->req, rc, &err, &j->res);
}

static void done_admit(struct pool_job *p)
{
	struct job *j = container_of(p, struct job, pool);
	const struct http_sink sink = {.on_data = on_data, .on_end = on_end, .arg = j};

	MAGIC_CHECK(j, JOB_MAGIC);
	j->busy = false;
	if (j->x == NULL || j->answered)
		job_answer(j);
	else
		http_stream_body(j->x, &sink);
}

void api_http_handler(struct http_x *x, const struct http_request *r, void *arg)
{
	struct api *api = arg;
	struct job *j;

	if (!api_is_multipart(http_header_get(r, SLICE("Content-Type")))) {
		http_read_body(x, (size_t)api->settings->server_max_body, on_body, api);
		return;
	}
	if ((j = job_new(api, x, r, SLICE_NULL)) == NULL)
		http_reply_text(x, 503, NULL, NULL, RETRY_AFTER_S);
	else if (job_submit(j, work_admit, done_admit))
		http_on_abort(x, on_abort, j);
}
