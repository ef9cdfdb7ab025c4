/* The API behind the HTTP server. The loop reads the body, copies what a pool thread needs into a job, and sends the answer;
 * the job is the loop's before pool_submit and after `done`, the pool's in between. A client that goes away takes the exchange
 * with it: the job then has no `x` and only frees itself. */
#include "api/api_priv.h"

#include "base/check.h"
#include "base/log.h"

#include <stdlib.h>

#define JOB_MAGIC 0x61706a62u /* "apjb" */
#define RETRY_AFTER_S 1

struct job {
	unsigned magic;
	struct pool_job pool;
	struct http_x *x; /* NULL: the client is gone. Loop only. */
	struct api *api;
	struct api_request req;
	struct api_response res;
	char peer[80];
	size_t used, cap;
	char text[]; /* what the request borrows */
};

static void job_free(struct job *j)
{
	api_response_fini(&j->res);
	free(j);
}

static void on_abort(void *arg)
{
	struct job *j = arg;

	MAGIC_CHECK(j, JOB_MAGIC);
	j->x = NULL;
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
	struct http_header *h = arena_alloc(a, 8 * sizeof(*h));
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
	/* Answers differ by who asks, and change any time. */
	add_header(h, &n, "Cache-Control", "no-store");
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

static void done(struct pool_job *p)
{
	struct job *j = container_of(p, struct job, pool);

	MAGIC_CHECK(j, JOB_MAGIC);
	if (j->x != NULL) {
		struct http_x *x = TAKE(j->x);

		http_on_abort(x, NULL, NULL);
		send_answer(x, &j->res);
	}
	job_free(j);
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
		body,
	};
	size_t cap = 0;
	struct job *j;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		cap += parts[i].n + 1;
	if ((j = calloc(1, sizeof(*j) + cap)) == NULL)
		return NULL;
	j->magic = JOB_MAGIC;
	j->cap = cap;
	j->x = x;
	j->api = api;
	j->pool.fn = work;
	j->pool.done = done;
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
		.body = parts[9],
		.peer = j->peer,
		.id = r->id,
	};
	return j;
}

static void on_body(struct http_x *x, struct slice body, void *arg)
{
	struct api *api = arg;
	struct job *j = job_new(api, x, http_request_of(x), body);

	if (j == NULL) {
		http_reply_text(x, 503, NULL, NULL, RETRY_AFTER_S);
		return;
	}
	if (pool_submit(api->pool, &j->pool) < 0) {
		log_warn("api", "request=%llu refused: the queue of API requests is full",
			(unsigned long long)j->req.id);
		job_free(j);
		http_reply_text(x, 503, NULL, NULL, RETRY_AFTER_S);
		return;
	}
	http_on_abort(x, on_abort, j);
}

void api_http_handler(struct http_x *x, const struct http_request *r, void *arg)
{
	struct api *api = arg;

	http_read_body(x, (size_t)api->settings->server_max_body, on_body, api);
}
