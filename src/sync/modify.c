/* Changing what a repository holds by name: units are taken out first, then put in. */
#include "sync/sync_priv.h"

#include "base/check.h"
#include "catalog/query.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 500 /* units looked up, and changed, at once */

struct modify {
	struct task *task;
	const struct sync_env *env;
	const struct sluice_format *format;
	struct repository_row *repository;
	struct change *change;
	struct change_result result;
	struct err *err;
};

/* ---- names to ids ---- */

/* What is not there is missing in the answer; ids come in any order. */
static int look_up(struct modify *m, const struct slice *uuids, size_t n, json_t **rows)
{
	struct query *q = NULL;
	struct txn *t = NULL;
	int rc;

	if (query_new(view_find("content"), &q) != 0)
		return err_set(m->err, -ERR_NOMEM, "no memory for a query");
	query_select(q, "uuid");
	rc = query_where_any(q, "uuid", uuids, n, m->err);
	query_page(q, (int64_t)n, 0);
	if (rc == 0)
		rc = catalog_read(m->env->catalog, &t, m->err);
	if (rc == 0)
		rc = query_rows(t, q, rows, m->err);
	txn_end(&t);
	query_free(&q);
	return rc;
}

static int64_t id_of(const json_t *rows, const char *uuid)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		if (strcmp(json_string_value(json_object_get(row, "uuid")), uuid) == 0)
			return json_integer_value(json_object_get(row, "_id"));
	}
	return 0;
}

/* The ids of list[from…], in the order of the list: with one path twice, the last addition wins. `strict`: what is not there fails. */
static int ids_of(struct modify *m, const json_t *list, size_t from, bool strict, int64_t *ids, size_t *count)
{
	size_t n = MIN(json_array_size(list) - from, PAGE);
	char text[PAGE][UUID_STR];
	struct slice uuids[PAGE];
	json_t *rows = NULL;
	int rc = 0;

	*count = 0;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		const char *name = json_string_value(json_array_get(list, from + i));
		struct uuid u;

		rc = name != NULL ? sync_uuid_of(name, &u, m->err)
				  : err_set(m->err, -ERR_INVAL, "a unit's name is no text");
		if (rc == 0)
			uuids[i] = slice_str(uuid_str(&u, text[i]));
	}
	if (rc == 0 && n > 0)
		rc = look_up(m, uuids, n, &rows);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		int64_t id = id_of(rows, text[i]);

		if (id != 0)
			ids[(*count)++] = id;
		else if (strict)
			rc = err_set(m->err, -ERR_NOTFOUND, "there is no unit %s", text[i]);
	}
	json_decref(rows);
	return rc;
}

/* ---- the change ---- */

static bool removes_all(const json_t *remove)
{
	const char *first = json_string_value(json_array_get(remove, 0));

	return first != NULL && strcmp(first, "*") == 0;
}

static int apply(struct modify *m, const json_t *list, bool add)
{
	int64_t ids[PAGE];
	size_t count;
	int rc = 0;

	for (size_t at = 0; rc == 0 && at < json_array_size(list); at += PAGE) {
		rc = ids_of(m, list, at, add, ids, &count);
		if (rc == 0 && count > 0)
			rc = add ? change_add(m->change, ids, count, m->err)
				 : change_remove(m->change, ids, count, m->err);
	}
	return rc;
}

static int change(struct modify *m, const json_t *args)
{
	const json_t *base = json_object_get(args, "base_version"), *overwrite = json_object_get(args, "overwrite");
	const json_t *remove = json_object_get(args, "remove");
	const struct change_opts opts = {
		.repository_id = m->repository->id,
		.base_number = json_is_integer(base) ? json_integer_value(base) : -1,
		.keep_existing = json_is_false(overwrite),
	};
	int rc = change_begin(m->env->catalog, &opts, &m->change, m->err);

	if (rc == 0 && removes_all(remove))
		rc = change_remove_all(m->change, m->err);
	else if (rc == 0)
		rc = apply(m, remove, false);
	if (rc == 0)
		rc = apply(m, json_object_get(args, "add"), true);
	return rc;
}

static int make_version(struct modify *m)
{
	struct publish_what what = {.env = m->env, .format = m->format, .repository = m->repository};
	json_t *fields = publish_repository_fields(m->format, m->repository);
	int rc;

	what.fields = fields;
	rc = settle_change(m->change, m->format, m->repository, m->env->catalog, m->err);
	if (rc == 0)
		rc = publish_change(m->task, m->repository, m->repository->autopublish ? &what : NULL, &m->change,
			&m->result, m->err);
	json_decref(fields);
	return rc;
}

static int load(struct modify *m, const char *uuid)
{
	struct txn *t = NULL;
	struct uuid u;
	int rc;

	if (uuid == NULL || uuid_parse(slice_str(uuid), &u) != 0)
		return err_set(m->err, -ERR_INVAL, "the task has no valid 'repository'");
	rc = catalog_read(m->env->catalog, &t, m->err);
	if (rc == 0)
		rc = catalog_repository_by_uuid(t, &u, &m->repository, m->err);
	txn_end(&t);
	if (rc != 0)
		return rc;
	m->format = sync_format_of(m->env, m->repository->type);
	return m->format != NULL
		       ? 0
		       : err_set(m->err, -ERR_UNSUPPORTED, "no format '%s' is installed", m->repository->type);
}

int sync_add_units(struct task *t, const char *repository_uuid, const int64_t *content_ids, size_t count, bool replace,
	struct err *err)
{
	struct err own = ERR_INIT;
	struct modify m = {.task = t, .env = task_env(t), .err = err != NULL ? err : &own};
	struct change_opts opts = {.base_number = -1, .keep_existing = !replace};
	int rc = load(&m, repository_uuid);

	if (rc == 0) {
		opts.repository_id = m.repository->id;
		rc = change_begin(m.env->catalog, &opts, &m.change, m.err);
	}
	for (size_t at = 0; rc == 0 && at < count; at += PAGE)
		rc = change_add(m.change, content_ids + at, MIN(count - at, PAGE), m.err);
	if (rc == 0)
		rc = make_version(&m);
	change_abort(&m.change);
	repository_row_free(&m.repository);
	return rc;
}

int modify_task(struct task *t, struct err *err)
{
	struct err own = ERR_INIT;
	struct modify m = {.task = t, .env = task_env(t), .err = err != NULL ? err : &own};
	const json_t *args = task_args(t);
	int rc = load(&m, json_string_value(json_object_get(args, "repository")));

	if (rc == 0)
		rc = change(&m, args);
	if (rc == 0)
		rc = make_version(&m);
	change_abort(&m.change);
	repository_row_free(&m.repository);
	return rc;
}
