/* See single.h. What fetch does not repeat by itself, because the body had begun, is begun anew. */
#include "sync/single.h"

#include "base/check.h"
#include "base/log.h"
#include "base/url.h"
#include "sync/saving.h"

static const char *shown(struct single *s, struct buf *out)
{
	(void)url_redact(slice_str(s->url), out); /* an error text is written with what there is */
	return out->p != NULL ? out->p : "";
}

static int wrong_size(struct single *s, const char *how, int64_t size)
{
	struct buf url = BUF_INIT(0);
	int rc = err_set(&s->err, -ERR_SIZE, "[PLP0004] %s: %s%lld bytes come where %lld were expected", shown(s, &url),
		how, (long long)size, (long long)s->size);

	buf_fini(&url);
	return rc;
}

static int on_head(void *arg, const struct fetch_head *head)
{
	struct single *s = arg;

	s->status = head->status;
	return head->status == 200 && s->size >= 0 && head->length >= 0 && head->length != s->size
		       ? wrong_size(s, "", head->length)
		       : 0;
}

static int on_data(void *arg, const char *p, size_t n)
{
	struct single *s = arg;
	int rc;

	if (s->size >= 0 && (int64_t)n > s->size - s->off)
		return wrong_size(s, "more than ", s->size);
	rc = staging_write(s->st, p, n, s->off, &s->err);
	hasher_add(s->hasher, p, n);
	s->off += (int64_t)n;
	return rc;
}

static void on_done(void *arg, int rc, const struct err *err)
{
	struct single *s = arg;

	s->fetch = NULL;
	s->rc = rc;
	if (rc < 0 && s->err.code == 0 && err != NULL)
		s->err = *err;
	s->done = true;
}

static int verify(struct single *s)
{
	struct buf url = BUF_INIT(0);
	struct err why = ERR_INIT;
	int rc;

	if (s->rc < 0)
		return s->err.code < 0 ? wire_error(&s->err) : err_set(&s->err, s->rc, "%s", err_text(s->rc));
	if (s->status != 200)
		return wire_status(&s->err, s->status, s->url);
	if (s->size >= 0 && s->off != s->size)
		return wrong_size(s, "only ", s->off);
	hasher_end(s->hasher, &s->actual);
	rc = digests_match(&s->want, &s->actual, &why);
	if (rc < 0)
		rc = err_set(&s->err, rc, "[PLP0003] %s: %s", shown(s, &url), why.msg);
	buf_fini(&url);
	return rc;
}

void single_fini(struct single *s)
{
	fetch_cancel(&s->fetch);
	staging_drop(&s->st);
	hasher_free(&s->hasher);
}

static int fetch_once(struct single *s)
{
	struct fetch_req req = {
		.url = s->url, .gather = true, .on_head = on_head, .on_data = on_data, .on_done = on_done, .arg = s};
	int rc;

	single_fini(s);
	s->err = ERR_INIT;
	s->off = s->status = s->rc = 0;
	s->done = false;
	rc = staging_new(s->env->store, &s->st, &s->err);
	if (rc == 0 && hasher_new(s->want.have | s->algs, &s->hasher) != 0)
		rc = err_set(&s->err, -ERR_NOMEM, "no memory for a digest");
	if (rc == 0)
		rc = fetch_start(s->wire->fetch, s->remote, &req, &s->fetch, &s->err);
	if (rc < 0)
		return rc;
	loop_run_until(s->wire->loop, &s->done);
	return verify(s);
}

static bool may_repeat(const struct single *s, int rc)
{
	if (rc == -ERR_DIGEST || rc == -ERR_SIZE || rc == -ERR_TRUNCATED || rc == -ERR_TIMEOUT || rc == -ERR_CONNECT)
		return s->stubborn || s->off > 0;
	return s->stubborn && rc != -ERR_NOMEM && rc != -ERR_NOSPACE && rc != -ERR_IO && rc != -ERR_INVAL;
}

int single_fetch(struct single *s, struct err *err)
{
	int rc = fetch_once(s);

	for (int attempt = 1; rc < 0 && attempt <= s->retries && may_repeat(s, rc); attempt++) {
		log_info("sync", "trying again: %s", s->err.msg);
		rc = wire_wait(s->wire, fetch_backoff_ms(attempt), &s->err);
		if (rc == 0)
			rc = fetch_once(s);
	}
	if (rc < 0)
		*err = s->err;
	return rc;
}

int single_save(struct single *s, int64_t content_artifact_id, struct err *err)
{
	const struct saving_row row = {.content_artifact_id = content_artifact_id, .digests = s->actual};
	struct saving saving;
	bool written = false;
	int rc = saving_init(&saving, s->wire->loop, s->wire->pool, s->env, &written, err);

	if (rc < 0)
		return rc;
	saving_add(&saving, &s->st, s->off, &row);
	saving_push(&saving);
	if (saving.busy)
		loop_run_until(s->wire->loop, &written);
	rc = saving.rc;
	if (rc < 0)
		*err = saving.err;
	saving_fini(&saving);
	return rc;
}
