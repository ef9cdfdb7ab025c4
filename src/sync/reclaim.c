/* Turning saved artifacts back into lazy ones: the unit and its sources stay, the bytes go, and come back with the first
 * request. Spared is what could not come back: uploads, and what every source has answered 404 for. */
#include "sync/sync_priv.h"

#include "base/check.h"
#include "catalog/query.h"
#include "catalog/upkeep.h"
#include "space/removal.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 100

struct reclaim {
	struct task *task;
	const struct sync_env *env;
	struct upkeep_keep *keep;
	size_t keep_count;
	bool dry_run;
	int64_t done, bytes;
	struct err *err;
};

static void report(struct reclaim *r)
{
	task_progress(r->task, "reclaim-space.artifact", r->dry_run ? "Artifacts to reclaim" : "Reclaim disk space", -1,
		r->done);
	task_progress(
		r->task, "reclaim-space.bytes", r->dry_run ? "Bytes to reclaim" : "Reclaimed bytes", -1, r->bytes);
}

static int reclaim_page(struct reclaim *r, int64_t repository_id, int64_t *after)
{
	struct upkeep_reclaimed page = {.dry_run = r->dry_run, .after_content_id = *after};
	struct txn *t = NULL;
	int rc = r->dry_run ? catalog_read(r->env->catalog, &t, r->err) : catalog_write(r->env->catalog, &t, r->err);

	if (rc == 0)
		rc = catalog_reclaim(t, repository_id, r->keep, r->keep_count, PAGE, &page, r->err);
	if (rc == 0 && !r->dry_run && page.reclaimed > 0)
		txn_changes_service(t);
	if (rc == 0 && !r->dry_run)
		rc = txn_commit(&t, r->err);
	txn_end(&t);
	if (rc == 0) {
		r->done += page.reclaimed;
		r->bytes += page.bytes;
		*after = page.at_end ? -1 : page.after_content_id;
	}
	return rc == 0 && page.unused > 0 ? removal_run(r->env->catalog, r->env->store, r->err) : rc;
}

static int reclaim_repository(struct reclaim *r, const struct repository_row *repository)
{
	const struct sluice_format *f = sync_format_of(r->env, repository->type);
	int64_t after = 0;
	int rc = 0;

	if (f == NULL || !f->reclaimable)
		return 0;
	while (rc == 0 && after >= 0) {
		rc = reclaim_page(r, repository->id, &after);
		report(r);
	}
	return rc;
}

static int one(struct reclaim *r, const char *name)
{
	struct repository_row *repository = NULL;
	struct txn *t = NULL;
	struct uuid u;
	int rc = sync_uuid_of(name, &u, r->err);

	if (rc == 0)
		rc = catalog_read(r->env->catalog, &t, r->err);
	if (rc == 0)
		rc = catalog_repository_by_uuid(t, &u, &repository, r->err);
	txn_end(&t);
	if (rc == 0)
		rc = reclaim_repository(r, repository);
	repository_row_free(&repository);
	return rc;
}

/* All of them, by what there are now. */
static int all_names(struct reclaim *r, json_t **out)
{
	struct query *q = NULL;
	json_t *rows = NULL, *row;
	struct txn *t = NULL;
	size_t i;
	int rc;

	if (query_new(view_find("repository"), &q) != 0)
		return err_set(r->err, -ERR_NOMEM, "no memory for a query");
	query_select(q, "uuid");
	rc = catalog_read(r->env->catalog, &t, r->err);
	if (rc == 0)
		rc = query_rows(t, q, &rows, r->err);
	txn_end(&t);
	query_free(&q);
	*out = json_array();
	json_array_foreach(rows, i, row)
	{
		(void)json_array_append(*out, json_object_get(row, "uuid"));
	}
	json_decref(rows);
	return rc;
}

static int keep_one(struct reclaim *r, struct txn *t, const json_t *pair, struct upkeep_keep *out)
{
	const char *name = json_string_value(json_array_get(pair, 0));
	struct repository_row *repository = NULL;
	struct uuid u;
	int rc;

	if (name == NULL || !json_is_integer(json_array_get(pair, 1)))
		return err_set(r->err, -ERR_INVAL, "the task has a malformed version to keep");
	rc = sync_uuid_of(name, &u, r->err);
	if (rc == 0)
		rc = catalog_repository_by_uuid(t, &u, &repository, r->err);
	if (rc == 0)
		*out = (struct upkeep_keep){repository->id, json_integer_value(json_array_get(pair, 1))};
	repository_row_free(&repository);
	return rc;
}

static int load_keep(struct reclaim *r, const json_t *list)
{
	size_t n = json_array_size(list);
	struct txn *t = NULL;
	int rc;

	r->keep = calloc(MAX(n, 1), sizeof(*r->keep));
	if (r->keep == NULL)
		return err_set(r->err, -ERR_NOMEM, "no memory for versions to keep");
	rc = catalog_read(r->env->catalog, &t, r->err);
	for (; rc == 0 && r->keep_count < n; r->keep_count++)
		rc = keep_one(r, t, json_array_get(list, r->keep_count), &r->keep[r->keep_count]);
	txn_end(&t);
	return rc;
}

int reclaim_task(struct task *t, struct err *err)
{
	const json_t *args = task_args(t), *names = json_object_get(args, "repositories");
	const char *first = json_string_value(json_array_get(names, 0));
	struct err own = ERR_INIT;
	struct reclaim r = {.task = t,
		.env = task_env(t),
		.dry_run = json_is_true(json_object_get(args, "dry_run")),
		.err = err != NULL ? err : &own};
	json_t *all = NULL;
	int rc = load_keep(&r, json_object_get(args, "keep"));

	if (rc == 0 && first != NULL && strcmp(first, "*") == 0) {
		rc = all_names(&r, &all);
		names = all;
	}
	report(&r);
	for (size_t i = 0; rc == 0 && i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));

		rc = name != NULL ? one(&r, name) : err_set(r.err, -ERR_INVAL, "a repository's name is no text");
	}
	task_progress_done(t, "reclaim-space.artifact", r.done);
	task_progress_done(t, "reclaim-space.bytes", r.bytes);
	json_decref(all);
	free(r.keep);
	return rc;
}
