/* See acs.h. */
#include "sync/acs.h"

#include "base/check.h"
#include "catalog/acs.h"

#include <stdlib.h>
#include <string.h>

#define ROWS 1000

/* "http://h/base" + "a/b" → "http://h/base/a/b". */
static int join(struct remote_row *r, const char *path, struct err *err)
{
	struct buf url = BUF_INIT(0);
	size_t n = 0;
	char *joined;

	(void)buf_adds(&url, r->url);
	if (path[0] != '\0' && !slice_ends(buf_slice(&url), SLICE("/")))
		(void)buf_adds(&url, "/");
	(void)buf_adds(&url, path);
	joined = url.failed == 0 ? buf_take(&url, &n) : NULL;
	buf_fini(&url);
	if (joined == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for a URL");
	free(r->url);
	r->url = joined;
	return 0;
}

static int stand_in(struct sluice_sync *s, const struct acs_row *acs)
{
	struct repository_row *r = calloc(1, sizeof(*r));

	s->repository = r;
	if (r != NULL) {
		r->type = strdup(acs->type);
		r->name = strdup(acs->name);
		r->last_sync_details = strdup("{}");
		r->extra = strdup("{}");
	}
	if (r == NULL || r->type == NULL || r->name == NULL || r->last_sync_details == NULL || r->extra == NULL)
		return err_set(&s->err, -ERR_NOMEM, "no memory for a refresh");
	return 0;
}

int acs_load(struct sluice_sync *s)
{
	const json_t *args = task_args(s->task);
	const char *name = json_string_value(json_object_get(args, "acs"));
	const char *path = json_string_value(json_object_get(args, "path"));
	struct acs_row *acs = NULL;
	struct txn *t = NULL;
	struct uuid uuid;
	int rc;

	if (name == NULL || path == NULL || uuid_parse(slice_str(name), &uuid) != 0)
		return err_set(&s->err, -ERR_INVAL, "the task does not say what to refresh");
	rc = catalog_read(s->env->catalog, &t, &s->err);
	if (rc == 0)
		rc = catalog_acs_by_uuid(t, &uuid, &acs, &s->err);
	if (rc == 0)
		rc = catalog_remote_by_id(t, acs->remote_id, &s->remote, &s->err);
	txn_end(&t);
	if (rc == 0)
		rc = join(s->remote, path, &s->err);
	if (rc == 0)
		rc = stand_in(s, acs);
	if (rc == 0) {
		s->acs_id = acs->id;
		s->acs_path = path;
	}
	acs_row_free(&acs);
	return rc;
}

static int note_unit(struct sluice_sync *s, struct txn *t, const struct change_unit *u)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < u->artifact_count; i++) {
		const struct change_artifact *a = &u->artifacts[i];

		/* Only what vouches for itself can stand for what another upstream declares. */
		if ((a->digests.have & (1u << DIGEST_SHA256)) == 0 || a->url.p == NULL)
			continue;
		rc = catalog_acs_note(t, s->acs_id, s->acs_path, task_self(s->task)->id, a->digests.d[DIGEST_SHA256],
			a->size, a->url.p, &s->err);
	}
	return rc;
}

int acs_write(struct sluice_sync *s)
{
	struct txn *t = NULL;
	int rc = catalog_write(s->env->catalog, &t, &s->err);

	for (size_t i = 0; rc == 0 && i < s->units.count; i++)
		rc = note_unit(s, t, &s->units.unit[i]);
	if (rc == 0)
		rc = txn_commit(&t, &s->err);
	txn_end(&t);
	return rc;
}

/* All that is known below a path, but for what was seen by the refresh `seen`. */
static int forget(struct sluice_sync *s, const char *path, int64_t seen)
{
	bool more = true;
	int rc = 0;

	while (rc == 0 && more) {
		struct txn *t = NULL;

		rc = catalog_write(s->env->catalog, &t, &s->err);
		if (rc == 0)
			rc = catalog_acs_sweep(t, s->acs_id, path, seen, ROWS, &more, &s->err);
		if (rc == 0)
			rc = txn_commit(&t, &s->err);
		txn_end(&t);
	}
	return rc;
}

/* Paths that the source has no longer. */
static int note_path(void *arg, struct slice path)
{
	json_t *list = arg;

	return json_array_append_new(list, json_stringn(path.p, path.n)) == 0 ? 0 : -ERR_NOMEM;
}

static bool is_among(const json_t *list, const char *text)
{
	const json_t *v;
	size_t i;

	json_array_foreach((json_t *)list, i, v) if (strcmp(json_string_value(v), text) == 0) return true;
	return false;
}

static int forget_other_paths(struct sluice_sync *s)
{
	const json_t *paths = json_object_get(task_args(s->task), "paths"), *v;
	json_t *known = json_array();
	struct txn *t = NULL;
	size_t i;
	int rc = catalog_read(s->env->catalog, &t, &s->err);

	if (rc == 0)
		rc = catalog_acs_paths(t, s->acs_id, note_path, known, &s->err);
	txn_end(&t);
	json_array_foreach(known, i, v) if (rc == 0 && !is_among(paths, json_string_value(v))) rc =
		forget(s, json_string_value(v), -1);
	json_decref(known);
	return rc;
}

int acs_finish(struct sluice_sync *s)
{
	struct txn *t = NULL;
	int rc = forget(s, s->acs_path, task_self(s->task)->id);

	if (rc == 0)
		rc = forget_other_paths(s);
	if (rc == 0)
		rc = catalog_write(s->env->catalog, &t, &s->err);
	if (rc == 0)
		rc = catalog_acs_refreshed(t, s->acs_id, &s->err);
	if (rc == 0)
		rc = txn_commit(&t, &s->err);
	txn_end(&t);
	return rc;
}
