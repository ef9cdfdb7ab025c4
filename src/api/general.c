/* The tasks behind creates, updates and deletes. They run in a task process, or, immediate ones, inside the request; the
 * tables come from the api that the process has bound, because a handler has no argument of its own. */
#include "api/api_priv.h"

#include "base/check.h"
#include "catalog/repository.h"

#include <stdatomic.h>
#include <stdlib.h>

static _Atomic(struct api *) bound;

void api_tasks_bind(struct api *api)
{
	atomic_store(&bound, api);
}

struct api *api_tasks_bound(void)
{
	return atomic_load(&bound);
}

/* What the task is about. The resource is constant; the context is the caller's to end. */
static int begin(struct task *t, struct api_ctx *x, const struct api_resource **r, struct err *err)
{
	struct api *api = atomic_load(&bound);
	const char *path = api_row_str(task_args(t), "resource");

	if (api == NULL)
		return err_set(err, -ERR_INTERNAL, "this process has no API tables");
	if (path == NULL || (*r = api_resource_by_path(api, path)) == NULL)
		return err_set(err, -ERR_INVAL, "there is no resource '%s'", path != NULL ? path : "");
	api_ctx_init(x, api);
	x->route_resource = *r;
	return 0;
}

static int check_again(
	struct api_ctx *x, const struct api_resource *r, const json_t *row, json_t *values, struct err *err)
{
	json_t *problems = json_object();
	int rc = 0;
	char *text;

	for (const struct api_field **f = r->fields; *f != NULL && rc == 0; f++) {
		const json_t *v = json_object_get(values, api_field_column(*f));

		if (((*f)->flags & F_UNIQUE) && json_is_string(v))
			rc = api_unique_check(
				x, r->view, *f, v, row != NULL ? api_row_int(row, "_id") : 0, problems, err);
	}
	if (rc == 0 && json_object_size(problems) == 0 && r->kind->check != NULL)
		rc = r->kind->check(x, r, row, values, NULL, problems, err);
	if (rc == 0 && json_object_size(problems) > 0) {
		text = json_dumps(problems, JSON_COMPACT);
		rc = err_set(err, -ERR_INVAL, "%s", text != NULL ? text : "no longer valid");
		free(text);
	}
	json_decref(problems);
	return rc;
}

/* The object as the API shows it. */
static int put_result(struct task *t, struct api_ctx *x, const struct api_resource *r, const char *uuid, bool created,
	struct err *err)
{
	json_t *row;
	int rc;

	if ((rc = api_row_find(x, r, SLICE_NULL, slice_str(uuid), &row, err)) < 0)
		return rc;
	task_result(t, api_show_row(x, r, row, NULL));
	api_txn_end(x);
	if (created)
		rc = task_created(t, api_prn(x, r, uuid), api_href(x, r, row));
	json_decref(row);
	return rc;
}

static int general_create(struct task *t, struct err *err)
{
	const struct api_resource *r;
	json_t *values = NULL;
	struct txn *w = NULL;
	char text[UUID_STR];
	struct api_ctx x;
	struct uuid uuid;
	int64_t id;
	int rc;

	if ((rc = begin(t, &x, &r, err)) < 0)
		return rc;
	if (r->kind->make != NULL) {
		rc = r->kind->make(t, &x, r, err);
		goto out;
	}
	values = json_deep_copy(json_object_get(task_args(t), "values"));
	if ((rc = catalog_write(task_catalog(t), &w, err)) < 0)
		goto out;
	/* Checked once more inside the transaction that writes: the API's check is some time ago. */
	x.txn = w;
	rc = check_again(&x, r, NULL, values, err);
	x.txn = NULL;
	if (rc == 0 && (rc = api_insert(w, r, values, &id, &uuid, err)) == 0)
		rc = txn_commit(&w, err);
	txn_end(&w);
	if (rc == 0)
		rc = put_result(t, &x, r, uuid_str(&uuid, text), true, err);
out:
	txn_end(&w);
	json_decref(values);
	api_ctx_fini(&x);
	return rc;
}

static int general_update(struct task *t, struct err *err)
{
	const char *uuid = api_row_str(task_args(t), "uuid");
	json_t *values = NULL, *row = NULL, *extra;
	const struct api_resource *r;
	struct txn *w = NULL;
	struct api_ctx x;
	int rc;

	if ((rc = begin(t, &x, &r, err)) < 0)
		return rc;
	values = json_deep_copy(json_object_get(task_args(t), "values"));
	if ((rc = catalog_write(task_catalog(t), &w, err)) < 0)
		goto out;
	x.txn = w;
	rc = api_row_find(&x, r, SLICE_NULL, slice_str(uuid), &row, err);
	if (rc == 0)
		rc = check_again(&x, r, row, values, err);
	x.txn = NULL;
	if (rc == 0 && (extra = json_object_get(values, "extra")) != NULL) {
		json_t *merged = json_deep_copy(json_object_get(row, "extra"));

		if (!json_is_object(merged)) {
			json_decref(merged);
			merged = json_object();
		}
		json_object_update(merged, extra);
		json_object_set_new(values, "extra", merged);
	}
	if (rc == 0 && r->kind->before_update != NULL)
		rc = r->kind->before_update(w, row, values, err);
	if (rc == 0 && (rc = row_update(w, r->view, api_row_int(row, "_id"), values, err)) == 0)
		rc = txn_commit(&w, err);
	txn_end(&w);
	if (rc == 0)
		rc = put_result(t, &x, r, uuid, false, err);
out:
	txn_end(&w);
	json_decref(values);
	json_decref(row);
	api_ctx_fini(&x);
	return rc;
}

static int general_delete(struct task *t, struct err *err)
{
	const char *uuid = api_row_str(task_args(t), "uuid");
	const struct api_resource *r;
	json_t *row = NULL;
	struct api_ctx x;
	int rc;

	if ((rc = begin(t, &x, &r, err)) < 0)
		return rc;
	rc = api_row_find(&x, r, SLICE_NULL, slice_str(uuid), &row, err);
	api_txn_end(&x);
	if (rc == 0)
		rc = row_delete(task_catalog(t), r->view, api_row_int(row, "_id"), err);
	/* Somebody was faster: it is gone, which is what was asked for. */
	if (rc == -ERR_NOTFOUND)
		rc = 0;
	json_decref(row);
	api_ctx_fini(&x);
	return rc;
}

/* {"repository": uuid, "number": n} */
static int delete_version(struct task *t, struct err *err)
{
	const char *text = api_row_str(task_args(t), "repository");
	int64_t number = api_row_int(task_args(t), "number");
	struct repository_row *repository = NULL;
	struct txn *w = NULL;
	struct uuid uuid;
	int rc;

	if (text == NULL || uuid_parse(slice_str(text), &uuid) < 0)
		return err_set(err, -ERR_INVAL, "no repository is given");
	if ((rc = catalog_write(task_catalog(t), &w, err)) < 0)
		return rc;
	if ((rc = catalog_repository_by_uuid(w, &uuid, &repository, err)) == 0 &&
		(rc = catalog_version_delete(w, repository->id, number, err)) == 0)
		rc = txn_commit(&w, err);
	txn_end(&w);
	repository_row_free(&repository);
	return rc == -ERR_NOTFOUND ? 0 : rc;
}

const struct task_handler api_task_handlers[] = {
	{API_TASK_CREATE, general_create, false},
	{API_TASK_UPDATE, general_update, true},
	{API_TASK_DELETE, general_delete, true},
	{API_TASK_MULTI_DELETE, general_delete, false},
	{API_TASK_DELETE_VERSION, delete_version, false},
	{API_TASK_PURGE, api_task_purge, false},
	{API_TASK_COPY, api_task_copy, false},
	{API_TASK_UPLOAD_COMMIT, api_task_upload_commit, false},
};
const size_t api_task_handler_count = ARRAY_LEN(api_task_handlers);
