/* The save task of the split deployment: fetches one artifact through the front, so that the cache there answers and upstream is not asked
 * again, and saves it. What meanwhile is saved is left alone. */
#include "sync/single.h"
#include "sync/sync_priv.h"

#include "base/check.h"
#include "base/fsutil.h"
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

/* The streamer says 404 for whatever keeps its sources from delivering, so that passes as other things do. */
static int fetch_and_save(struct save *s, struct err *err)
{
	struct fetch_remote front = {.tls_validation = true, .headers_json = s->headers, .max_retries = RETRIES};
	struct single one = {.env = s->env,
		.wire = &s->wire,
		.remote = &front,
		.want = s->want,
		.size = s->size,
		.retries = RETRIES,
		.stubborn = true};
	int rc;

	task_progress(s->task, "lazy.save", "Saving Artifacts", 1, 0);
	rc = prepare(s, err);
	one.url = front.origin_url = s->url.p;
	front.ca_cert = s->ca.p;
	front.client_cert = s->cert.p;
	front.client_key = s->key.p;
	if (rc == 0)
		rc = single_fetch(&one, err);
	if (rc == 0)
		rc = single_save(&one, s->ca_id, err);
	if (rc == 0)
		task_progress_done(s->task, "lazy.save", 1);
	single_fini(&one);
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
