/* The save task of the split deployment: fetches one artifact through the front, so that the cache there answers and upstream is not asked
 * again, and saves it. What meanwhile is saved is left alone. */
#include "sync/saving.h"
#include "sync/sync_priv.h"

#include "base/check.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "catalog/save.h"
#include "catalog/served.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRIES 3
#define PEM_MAX (1024 * 1024)

struct save {
	struct task *task;
	const struct sync_env *env;
	int64_t ca_id;
	const char *target;
	struct digests want;
	int64_t size;
	struct wire wire;
	struct buf url, ca, cert, key;
	char headers[128];
	/* the transfer */
	struct fetch *fetch;
	struct staging *st;
	struct hasher *hasher;
	struct digests actual;
	int64_t off;
	int status, rc;
	bool done;
	struct err err;
};

/* ---- what is there already ---- */

/* Inside of the transaction that links: see download.c. 1: it is saved, 0: not. */
static int find(struct save *s, struct txn *t, struct err *err)
{
	struct digests have = {0};
	int64_t size = -1, id;
	int rc = catalog_artifact_of(t, s->ca_id, &have, &size, err);

	if (rc == 0 && store_has(s->env->store, have.d[DIGEST_SHA256]))
		return 1;
	if (rc < 0 && rc != -ERR_NOTFOUND)
		return rc;
	if (rc == 0) { /* saved once, and lost: what comes has to be the same */
		s->want = have;
		s->size = size;
		return 0;
	}
	if ((s->want.have & (1u << DIGEST_SHA256)) == 0)
		return 0;
	rc = catalog_artifact_find(t, s->want.d[DIGEST_SHA256], &id, &size, err);
	if (rc == -ERR_NOTFOUND || (rc == 0 && !store_has(s->env->store, s->want.d[DIGEST_SHA256])))
		return 0;
	if (rc == 0)
		rc = catalog_artifact_saved(t, s->ca_id, 0, &s->want, size, &id, err);
	return rc < 0 ? rc : 1;
}

static int look(struct save *s, struct err *err)
{
	struct txn *t = NULL;
	int found = 0, rc = catalog_write(s->env->catalog, &t, err);

	if (rc == 0)
		rc = catalog_declared(t, s->ca_id, &s->want, &s->size, err);
	if (rc == 0) {
		*err = ERR_INIT;
		found = find(s, t, err);
		rc = MIN(found, 0);
	}
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	return rc < 0 ? rc : found;
}

/* ---- the transfer ---- */

static int on_head(void *arg, const struct fetch_head *head)
{
	struct save *s = arg;

	s->status = head->status;
	if (head->status == 200 && s->size >= 0 && head->length >= 0 && head->length != s->size)
		return err_set(&s->err, -ERR_SIZE, "[PLP0004] %s: %lld bytes come where %lld were expected", s->url.p,
			(long long)head->length, (long long)s->size);
	return 0;
}

static int on_data(void *arg, const char *p, size_t n)
{
	struct save *s = arg;
	int rc;

	if (s->size >= 0 && (int64_t)n > s->size - s->off)
		return err_set(
			&s->err, -ERR_SIZE, "[PLP0004] %s: more than %lld bytes come", s->url.p, (long long)s->size);
	rc = staging_write(s->st, p, n, s->off, &s->err);
	hasher_add(s->hasher, p, n);
	s->off += (int64_t)n;
	return rc;
}

static void on_done(void *arg, int rc, const struct err *err)
{
	struct save *s = arg;

	s->fetch = NULL;
	s->rc = rc;
	if (rc < 0 && s->err.code == 0 && err != NULL)
		s->err = *err;
	s->done = true;
}

static int verify(struct save *s)
{
	struct err why = ERR_INIT;
	int rc;

	if (s->rc < 0)
		return s->err.code < 0 ? s->err.code : err_set(&s->err, s->rc, "%s: %s", s->url.p, err_text(s->rc));
	if (s->status != 200)
		return wire_status(&s->err, s->status, s->url.p);
	if (s->size >= 0 && s->off != s->size)
		return err_set(&s->err, -ERR_SIZE, "[PLP0004] %s: %lld bytes came where %lld were expected", s->url.p,
			(long long)s->off, (long long)s->size);
	hasher_end(s->hasher, &s->actual);
	rc = digests_match(&s->want, &s->actual, &why);
	return rc == 0 ? 0 : err_set(&s->err, rc, "[PLP0003] %s: %s", s->url.p, why.msg);
}

static void transfer_drop(struct save *s)
{
	fetch_cancel(&s->fetch);
	staging_drop(&s->st);
	hasher_free(&s->hasher);
}

static int fetch_once(struct save *s)
{
	struct fetch_remote front = {
		.origin_url = s->url.p,
		.ca_cert = s->ca.p,
		.client_cert = s->cert.p,
		.client_key = s->key.p,
		.tls_validation = true,
		.headers_json = s->headers,
		.max_retries = RETRIES,
	};
	struct fetch_req req = {
		.url = s->url.p, .gather = true, .on_head = on_head, .on_data = on_data, .on_done = on_done, .arg = s};
	int rc;

	transfer_drop(s);
	s->err = ERR_INIT;
	s->off = s->status = s->rc = 0;
	s->done = false;
	rc = staging_new(s->env->store, &s->st, &s->err);
	if (rc == 0 && hasher_new(s->want.have, &s->hasher) != 0)
		rc = err_set(&s->err, -ERR_NOMEM, "no memory for a digest");
	if (rc == 0)
		rc = fetch_start(s->wire.fetch, &front, &req, &s->fetch, &s->err);
	if (rc < 0)
		return rc;
	loop_run_until(s->wire.loop, &s->done);
	return verify(s);
}

static bool is_ours(int rc)
{
	return rc == -ERR_NOMEM || rc == -ERR_NOSPACE || rc == -ERR_IO || rc == -ERR_INVAL;
}

/* The streamer says 404 for whatever keeps its sources from delivering, so that passes as other things do. */
static int fetch_it(struct save *s, struct err *err)
{
	int rc = fetch_once(s);

	for (int attempt = 1; rc < 0 && !is_ours(rc) && attempt <= RETRIES; attempt++) {
		log_info("sync", "trying again: %s", s->err.msg);
		rc = wire_wait(&s->wire, fetch_backoff_ms(attempt), &s->err);
		if (rc == 0)
			rc = fetch_once(s);
	}
	if (rc < 0)
		*err = s->err;
	return rc;
}

static int commit(struct save *s, struct err *err)
{
	const struct saving_row row = {.content_artifact_id = s->ca_id, .digests = s->actual};
	struct saving saving;
	bool written = false;
	int rc = saving_init(&saving, s->wire.loop, s->wire.pool, s->env, &written, err);

	if (rc < 0)
		return rc;
	saving_add(&saving, &s->st, s->off, &row);
	saving_push(&saving);
	if (saving.busy)
		loop_run_until(s->wire.loop, &written);
	rc = saving.rc;
	if (rc < 0)
		*err = saving.err;
	saving_fini(&saving);
	return rc;
}

/* ---- the task ---- */

static int read_pem(const char *path, struct buf *out, struct err *err)
{
	return path[0] == '\0' ? 0 : fs_read_file(path, PEM_MAX, out, err);
}

static int prepare(struct save *s, struct err *err)
{
	const struct settings *set = s->env->settings;
	char text[UUID_STR];
	int rc = save_front(set, &s->url, err);

	if (rc == 0 && buf_adds(&s->url, s->target) < 0)
		rc = err_set(err, -ERR_NOMEM, "no memory for a URL");
	if (rc == 0)
		rc = read_pem(set->lazy_save_ca_cert, &s->ca, err);
	if (rc == 0)
		rc = read_pem(set->lazy_save_client_cert, &s->cert, err);
	if (rc == 0)
		rc = read_pem(set->lazy_save_client_key, &s->key, err);
	if (rc == 0)
		rc = wire_init(&s->wire, set, err);
	(void)snprintf(s->headers, sizeof(s->headers), "[{\"" SAVE_FIELD "\": \"%s\"}]",
		uuid_str(&task_self(s->task)->uuid, text));
	return rc;
}

static int fetch_and_save(struct save *s, struct err *err)
{
	int rc;

	task_progress(s->task, "lazy.save", "Saving Artifacts", 1, 0);
	rc = prepare(s, err);
	if (rc == 0)
		rc = fetch_it(s, err);
	if (rc == 0)
		rc = commit(s, err);
	if (rc == 0)
		task_progress_done(s->task, "lazy.save", 1);
	transfer_drop(s);
	wire_fini(&s->wire);
	buf_fini(&s->url);
	buf_fini(&s->ca);
	buf_fini(&s->cert);
	buf_fini(&s->key);
	return rc;
}

int save_task(struct task *t, struct err *err)
{
	const json_t *args = task_args(t);
	struct save s = {
		.task = t,
		.env = task_env(t),
		.ca_id = json_integer_value(json_object_get(args, "content_artifact")),
		.target = json_string_value(json_object_get(args, "target")),
		.size = -1,
		.url = BUF_INIT(64 * 1024),
		.ca = BUF_INIT(PEM_MAX),
		.cert = BUF_INIT(PEM_MAX),
		.key = BUF_INIT(PEM_MAX),
	};
	int rc;

	if (s.ca_id <= 0 || s.target == NULL || s.target[0] != '/')
		return err_set(err, -ERR_INVAL, "the task does not say what to save");
	rc = look(&s, err);
	return rc == 0 ? fetch_and_save(&s, err) : MIN(rc, 0);
}
