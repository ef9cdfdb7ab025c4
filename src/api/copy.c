/* rpm/copy/: units of repository versions into other repositories. pulp-cli will not start with a server that has rpm and lacks this path. Dependencies
 * are not resolved: who wants them names them. One task does all entries, each as a change of its own. */
#include "api/api_priv.h"

#include "base/check.h"

#include <stdlib.h>

#define PAGE 1000

const struct api_field api_copy_fields[] = {
	{.name = "config",
		.type = T_JSON,
		.flags = F_REQUIRED | F_OPTION,
		.help = "a list of {source_repo_version, dest_repo, content}; without content: all of the version",
		.schema = "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"additionalProperties\":{}}}"},
	{.name = "dependency_solving",
		.type = T_BOOLEAN,
		.flags = F_OPTION,
		.default_json = "true",
		.help = "must be false where content is given"},
	{.name = NULL},
};

/* ---- the request ---- */

/* Looks up what a member of an entry names. False: answered. */
static bool find(struct api_ctx *x, const char *kind, const json_t *name, struct api_ref *ref, json_t **row)
{
	struct err err = ERR_INIT;
	int rc;

	if (!json_is_string(name)) {
		api_reply_field(x, "config", "An entry has no %s.", kind);
		return false;
	}
	rc = api_ref_find(x, kind, slice_of(json_string_value(name), json_string_length(name)), ref, row, &err);
	if (rc == -ERR_INVAL)
		api_reply_field(x, "config", "%s", err.msg);
	else if (rc < 0)
		api_reply_err(x, rc, &err);
	return rc == 0;
}

static bool add_content(struct api_ctx *x, const json_t *names, json_t *entry)
{
	json_t *uuids = json_array();
	const json_t *name;
	size_t i;

	json_object_set_new(entry, "content", uuids);
	json_array_foreach((json_t *)(uintptr_t)names, i, name)
	{
		struct api_ref ref;
		json_t *row;

		if (!find(x, "content", name, &ref, &row))
			return false;
		json_array_append(uuids, json_object_get(row, "uuid"));
		json_decref(row);
	}
	return true;
}

static bool known_members(struct api_ctx *x, const json_t *given)
{
	static const char *const known[] = {"source_repo_version", "dest_repo", "content"};
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)given, key, v)
	{
		size_t i = 0;

		while (i < ARRAY_LEN(known) && strcmp(known[i], key) != 0)
			i++;
		if (i == ARRAY_LEN(known)) {
			api_reply_field(x, "config", "An entry has a member that is not supported: %s", key);
			return false;
		}
	}
	return true;
}

/* One entry as the task wants it. False: answered. */
static bool add_entry(struct api_ctx *x, const json_t *given, bool solving, json_t *entries, struct api_locks *locks)
{
	const json_t *content = json_object_get(given, "content");
	json_t *source = NULL, *dest = NULL, *entry = NULL;
	struct api_ref source_ref, dest_ref;
	bool ok = false;

	if (!json_is_object(given)) {
		api_reply_field(x, "config", "An entry is no object.");
		return false;
	}
	if (!known_members(x, given) ||
		!find(x, "repository_versions", json_object_get(given, "source_repo_version"), &source_ref, &source) ||
		!find(x, "repositories", json_object_get(given, "dest_repo"), &dest_ref, &dest))
		goto out;
	if (strcmp(api_row_str(source, "type"), api_row_str(dest, "type")) != 0) {
		api_reply_field(x, "config", "Source and destination are of different types.");
		goto out;
	}
	if (content != NULL && !json_is_array(content)) {
		api_reply_field(x, "config", "The content of an entry is no list.");
		goto out;
	}
	if (content != NULL && solving) {
		api_reply_field(
			x, "dependency_solving", "Dependencies are not resolved here: say false, and name all units.");
		goto out;
	}
	entry = json_pack("{s:O, s:O, s:O}", "source", json_object_get(source, "repository"), "number",
		json_object_get(source, "number"), "dest", json_object_get(dest, "uuid"));
	if (content != NULL && !add_content(x, content, entry))
		goto out;
	api_lock(x, locks, true, api_prn(x, dest_ref.resource, api_row_str(dest, "uuid")));
	api_lock(x, locks, false,
		api_prn(x, api_resource_of(x->api, "repositories", api_row_str(source, "type")),
			api_row_str(source, "repository")));
	ok = json_array_append(entries, entry) == 0;
out:
	json_decref(source);
	json_decref(dest);
	json_decref(entry);
	return ok;
}

void api_page_copy(struct api_ctx *x, const struct api_route *rt)
{
	json_t *options, *entries = json_array(), *config, *given;
	struct api_locks locks = {0};
	bool solving, ok = true;
	size_t i;

	if (!api_options_read(x, api_copy_fields, &options))
		goto out;
	config = json_object_get(options, "config");
	solving = json_is_true(json_object_get(options, "dependency_solving"));
	if (!json_is_array(config) || json_array_size(config) == 0) {
		api_reply_field(x, "config", "It must be a list of entries.");
		ok = false;
	}
	if (ok)
		json_array_foreach(config, i, given) ok = ok && add_entry(x, given, solving, entries, &locks);
	if (ok)
		api_dispatch(x, API_TASK_COPY, json_pack("{s:O}", "entries", entries), &locks);
	json_decref(options);
out:
	json_decref(entries);
}

/* ---- the task ---- */

struct ids {
	int64_t *id;
	size_t count, cap;
};

static int add_ids(struct ids *ids, const json_t *rows, struct err *err)
{
	const json_t *row;
	size_t i;

	if (ids->count + json_array_size(rows) > ids->cap) {
		size_t cap = 2 * ids->cap + json_array_size(rows);
		int64_t *more = realloc(ids->id, cap * sizeof(*more));

		if (more == NULL)
			return err_set(err, -ERR_NOMEM, "no memory for a list of units");
		ids->id = more;
		ids->cap = cap;
	}
	json_array_foreach((json_t *)(uintptr_t)rows, i, row) ids->id[ids->count++] = api_row_int(row, "_id");
	return 0;
}

/* Units of the source's version: all, or those named. */
static int page_of(struct api_ctx *x, const json_t *entry, int64_t offset, json_t **rows, struct err *err)
{
	const char *number = api_text(x, "%lld", (long long)api_row_int(entry, "number"));
	const struct slice version[] = {slice_str(api_row_str(entry, "source")), slice_str(number)};
	const json_t *content = json_object_get(entry, "content");
	size_t n = json_array_size(content);
	struct slice *uuids = arena_alloc(&x->arena, (n + 1) * sizeof(*uuids));
	struct query *q = NULL;
	struct txn *t;
	int rc = uuids != NULL && query_new(view_find("content"), &q) == 0 ? 0 : err_set(err, -ERR_NOMEM, "no memory");

	for (size_t i = 0; rc == 0 && i < n; i++)
		uuids[i] = slice_str(json_string_value(json_array_get(content, i)));
	if (rc == 0) {
		query_select(q, "uuid");
		query_page(q, PAGE, offset);
		rc = query_condition(q, "in_version", version, ARRAY_LEN(version), err);
	}
	if (rc == 0 && json_is_array(content))
		rc = query_where_any(q, "uuid", uuids, n, err);
	if (rc == 0)
		rc = api_txn(x, &t, err);
	if (rc == 0)
		rc = query_rows(t, q, rows, err);
	query_free(&q);
	return rc;
}

static int copy_entry(struct task *t, struct api_ctx *x, const json_t *entry, struct err *err)
{
	struct ids ids = {0};
	size_t got = PAGE;
	int rc = 0;

	for (int64_t at = 0; rc == 0 && got == PAGE; at += PAGE) {
		json_t *rows = NULL;

		if ((rc = page_of(x, entry, at, &rows, err)) == 0)
			rc = add_ids(&ids, rows, err);
		got = json_array_size(rows);
		json_decref(rows);
	}
	api_txn_end(x);
	if (rc == 0 && ids.count > 0)
		rc = x->api->add_units(t, api_row_str(entry, "dest"), ids.id, ids.count, true, err);
	free(ids.id);
	return rc;
}

int api_task_copy(struct task *t, struct err *err)
{
	const json_t *entries = json_object_get(task_args(t), "entries"), *entry;
	struct api_ctx x;
	int rc = 0;
	size_t i;

	if (api_tasks_bound() == NULL)
		return err_set(err, -ERR_INTERNAL, "this process has no API tables");
	api_ctx_init(&x, api_tasks_bound());
	json_array_foreach((json_t *)(uintptr_t)entries, i, entry) if (rc == 0) rc = copy_entry(t, &x, entry, err);
	api_ctx_fini(&x);
	return rc;
}
