/* Reading, creating, changing and deleting any resource, by what its kind's table says: at once, or as a task. Everything
 * is checked here first, so that a request that cannot succeed makes no task. */
#include "api/api_priv.h"

#include "base/check.h"

/* ---- finding ---- */

static int add_key(
	const struct api_resource *r, struct query *q, struct slice parent, struct slice key, struct err *err)
{
	bool by_number = strcmp(r->kind->view, "version") == 0 && parent.p != NULL;
	int rc;

	if ((rc = query_where(q, by_number ? "number" : "uuid", QUERY_EQ, key, err)) < 0)
		return rc;
	if (parent.p != NULL)
		rc = query_where(q, r->kind->parent_column != NULL ? r->kind->parent_column : "repository", QUERY_EQ,
			parent, err);
	if (rc == 0 && r->type != NULL && view_column_find(r->view, "type") != NULL)
		rc = query_where(q, "type", QUERY_EQ, slice_str(r->type), err);
	if (rc == 0 && r->kind->only_column != NULL)
		rc = query_where(q, r->kind->only_column, QUERY_EQ, slice_str(r->kind->only_value), err);
	return rc;
}

int api_row_find(struct api_ctx *x, const struct api_resource *r, struct slice parent, struct slice key, json_t **row,
	struct err *err)
{
	struct query *q = NULL;
	struct txn *t;
	int rc;

	if ((rc = api_txn(x, &t, err)) < 0 || (rc = query_new(r->view, &q)) < 0)
		return rc;
	rc = add_key(r, q, parent, key, err);
	if (rc == -ERR_INVAL) /* no uuid, no number: no such object */
		rc = -ERR_NOTFOUND;
	if (rc == 0)
		rc = query_row(t, q, row, err);
	query_free(&q);
	return rc;
}

int api_row_by(struct api_ctx *x, const struct api_resource *r, const char *column, const char *value, json_t **row,
	struct err *err)
{
	struct query *q = NULL;
	struct txn *t;
	int rc;

	if ((rc = api_txn(x, &t, err)) < 0 || (rc = query_new(r->view, &q)) < 0)
		return rc;
	if ((rc = query_where(q, column, QUERY_EQ, slice_str(value), err)) == 0)
		rc = query_row(t, q, row, err);
	query_free(&q);
	return rc;
}

bool api_row_of_route(struct api_ctx *x, const struct api_route *rt, json_t **row)
{
	struct err err = ERR_INIT;
	int rc = api_row_find(x, rt->resource, rt->parent, rt->key, row, &err);

	if (rc == -ERR_NOTFOUND)
		api_reply_no_object(x, rt->resource);
	else if (rc < 0)
		api_reply_err(x, rc, &err);
	return rc == 0;
}

void api_read(struct api_ctx *x, const struct api_route *rt)
{
	struct api_selection *sel;
	struct err err = ERR_INIT;
	json_t *row;
	int rc;

	if ((rc = api_selection_read(x, &sel)) < 0) {
		api_reply_err(x, rc, &err);
		return;
	}
	if (!api_row_of_route(x, rt, &row))
		return;
	api_reply(x, 200, api_show_row(x, rt->resource, row, sel));
	json_decref(row);
}

/* ---- checking ---- */

/* Checks the body. True: values and options are new objects; false: answered. */
static bool clean_body(struct api_ctx *x, const struct api_resource *r, enum api_mode mode, const json_t *row,
	json_t **values, json_t **options)
{
	json_t *v = json_object(), *o = json_object(), *problems = json_object();
	struct err err = ERR_INIT;
	bool ok = false;
	int rc;

	if (!api_body_read(x))
		goto out;
	rc = api_fields_clean(x, r->view, mode == API_MODE_CREATE ? r->create_fields : r->fields, mode,
		row != NULL ? api_row_int(row, "_id") : 0, v, o, problems, &err);
	if (rc == 0 && json_object_size(problems) == 0 && r->kind->check != NULL)
		rc = r->kind->check(x, r, row, v, o, problems, &err);
	if (rc < 0) {
		api_reply_err(x, rc, &err);
	} else if (json_object_size(problems) > 0) {
		api_reply(x, 400, json_incref(problems));
	} else {
		*values = json_incref(v);
		*options = json_incref(o);
		ok = true;
	}
out:
	json_decref(v);
	json_decref(o);
	json_decref(problems);
	return ok;
}

/* ---- create ---- */

int api_insert(
	struct txn *t, const struct api_resource *r, json_t *values, int64_t *id, struct uuid *uuid, struct err *err)
{
	if (r->kind->insert != NULL)
		return r->kind->insert(t, r, values, id, uuid, err);
	return row_insert(t, r->view, r->type, values, id, uuid, err);
}

static int create_now(struct api_ctx *x, const struct api_resource *r, json_t *values, json_t **row, struct err *err)
{
	struct txn *t = NULL;
	char text[UUID_STR];
	struct uuid uuid;
	int64_t id;
	int rc;

	api_txn_end(x);
	if ((rc = catalog_write(x->api->catalog, &t, err)) < 0)
		return rc;
	if ((rc = api_insert(t, r, values, &id, &uuid, err)) == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	if (rc < 0)
		return rc;
	/* what has no uuid is addressed by its number */
	if (!r->view->dated)
		(void)snprintf(text, sizeof(text), "%lld", (long long)id);
	return api_row_find(x, r, SLICE_NULL, slice_str(r->view->dated ? uuid_str(&uuid, text) : text), row, err);
}

/* Another request was faster than our check of uniqueness: the same answer as if it had come a moment earlier. */
static void reply_not_unique(struct api_ctx *x, const struct api_resource *r)
{
	for (const struct api_field **f = r->fields; *f != NULL; f++)
		if ((*f)->flags & F_UNIQUE) {
			api_reply_field(x, (*f)->name, "This field must be unique.");
			return;
		}
	api_reply_field(x, "non_field_errors", "This must be unique.");
}

void api_create(struct api_ctx *x, const struct api_route *rt)
{
	const struct api_resource *r = rt->resource;
	json_t *values = NULL, *options = NULL, *row = NULL;
	struct api_locks locks = {0};
	struct err err = ERR_INIT;
	int rc;

	if (!clean_body(x, r, API_MODE_CREATE, NULL, &values, &options))
		return;
	if (r->kind->create_by != NULL) {
		r->kind->create_by(x, r, values, options);
	} else if (r->kind->create == API_TASK) {
		if (r->kind->reserve != NULL)
			r->kind->reserve(x, r, API_CREATE, NULL, values, &locks);
		locks.brief = r->kind->make == NULL; /* one row is inserted */
		api_dispatch(
			x, API_TASK_CREATE, json_pack("{s:s, s:O}", "resource", r->path, "values", values), &locks);
	} else if ((rc = create_now(x, r, values, &row, &err)) == 0) {
		api_reply_location(x, api_href(x, r, row));
		api_reply(x, 201, api_show_row(x, r, row, NULL));
	} else if (rc == -ERR_EXISTS) {
		reply_not_unique(x, r);
	} else {
		api_reply_err(x, rc, &err);
	}
	json_decref(values);
	json_decref(options);
	json_decref(row);
}

/* ---- update ---- */

/* Keeps in `values` what differs from the row. */
static void drop_unchanged(const json_t *row, json_t *values)
{
	json_t *v, *extra = json_object_get(values, "extra"), *have = json_object_get(row, "extra");
	const char *key;
	void *tmp;

	json_object_foreach_safe(extra, tmp, key, v) if (json_equal(json_object_get(have, key), v))
		json_object_del(extra, key);
	if (extra != NULL && json_object_size(extra) == 0)
		json_object_del(values, "extra");
	json_object_foreach_safe(values, tmp, key, v)
	{
		const json_t *old = json_object_get(row, key);
		bool same = json_is_number(v) && json_is_number(old) ? json_number_value(v) == json_number_value(old)
								     : json_equal(old, v);

		if (same && strcmp(key, "extra") != 0)
			json_object_del(values, key);
	}
}

static void update_now(struct api_ctx *x, const struct api_resource *r, const json_t *row, const json_t *values)
{
	struct err err = ERR_INIT;
	struct txn *t = NULL;
	json_t *now = NULL;
	int rc;

	api_txn_end(x);
	if ((rc = catalog_write(x->api->catalog, &t, &err)) == 0 &&
		(rc = row_update(t, r->view, api_row_int(row, "_id"), values, &err)) == 0)
		rc = txn_commit(&t, &err);
	txn_end(&t);
	if (rc == 0)
		rc = api_row_find(x, r, SLICE_NULL, slice_str(api_row_str(row, "uuid")), &now, &err);
	if (rc == 0)
		api_reply(x, 200, api_show_row(x, r, now, NULL));
	else if (rc == -ERR_EXISTS)
		reply_not_unique(x, r);
	else if (rc == -ERR_NOTFOUND)
		api_reply_no_object(x, r);
	else
		api_reply_err(x, rc, &err);
	json_decref(now);
}

void api_update(struct api_ctx *x, const struct api_route *rt, enum api_mode mode)
{
	const struct api_resource *r = rt->resource;
	json_t *row = NULL, *values = NULL, *options = NULL;
	struct api_locks locks = {0};

	if (!api_row_of_route(x, rt, &row))
		return;
	if (!clean_body(x, r, mode, row, &values, &options))
		goto out;
	drop_unchanged(row, values);
	if (json_object_size(values) == 0) {
		api_reply(x, 200, api_show_row(x, r, row, NULL));
		goto out;
	}
	if (r->kind->update_now) {
		update_now(x, r, row, values);
		goto out;
	}
	if (r->kind->reserve != NULL)
		r->kind->reserve(x, r, API_UPDATE, row, values, &locks);
	api_dispatch(x, API_TASK_UPDATE,
		json_pack("{s:s, s:s, s:O}", "resource", r->path, "uuid", api_row_str(row, "uuid"), "values", values),
		&locks);
out:
	json_decref(row);
	json_decref(values);
	json_decref(options);
}

/* ---- delete ---- */

static void delete_now(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	struct err err = ERR_INIT;
	int rc;

	api_txn_end(x);
	if ((rc = row_delete(x->api->catalog, r->view, api_row_int(row, "_id"), &err)) < 0 && rc != -ERR_NOTFOUND)
		api_reply_err(x, rc, &err);
	else
		x->res->status = 204;
}

void api_delete(struct api_ctx *x, const struct api_route *rt)
{
	const struct api_resource *r = rt->resource;
	struct api_locks locks = {0};
	json_t *row = NULL;

	if (!api_row_of_route(x, rt, &row))
		return;
	if (r->kind->destroy_by != NULL) {
		r->kind->destroy_by(x, r, row);
	} else if (r->kind->destroy == API_NOW) {
		delete_now(x, r, row);
	} else {
		if (r->kind->reserve != NULL)
			r->kind->reserve(x, r, API_DELETE, row, NULL, &locks);
		/* What has much hanging on it is a worker's work, the rest is done on return. */
		api_dispatch(x, r->view->bulk_count == 0 ? API_TASK_DELETE : API_TASK_MULTI_DELETE,
			json_pack("{s:s, s:s}", "resource", r->path, "uuid", api_row_str(row, "uuid")), &locks);
	}
	json_decref(row);
}
