/* Alternate content sources: where the bytes of other remotes may be had as well, nearer or cheaper. */
#include "api/api_priv.h"

#include "base/check.h"
#include "catalog/acs.h"
#include "catalog/task.h"

static const char *check_paths(struct api_ctx *x, const struct api_field *f, json_t **value)
{
	const json_t *v;
	size_t i;

	json_array_foreach(*value, i, v)
	{
		if (json_string_value(v)[0] == '/')
			return "Path cannot start with a slash.";
	}
	return NULL;
}

static const struct api_field fields[] = {
	API_COMMON_FIELDS,
	{.name = "name",
		.type = T_STRING,
		.flags = F_REQUIRED | F_UNIQUE | F_COMMON,
		.max_length = API_NAME_MAX,
		.help = "unique name"},
	{.name = "last_refreshed",
		.type = T_TIME,
		.flags = F_READ_ONLY | F_NULLABLE | F_COMMON,
		.help = "when a refresh last ended well"},
	{.name = "remote",
		.type = T_REF,
		.flags = F_REQUIRED | F_COMMON,
		.kind = "remotes",
		.help = "how it is reached; its policy has to be on_demand"},
	{.name = "paths",
		.type = T_STRINGS,
		.flags = F_COMMON,
		.check = check_paths,
		.help = "what of it is refreshed: each is joined to the remote's URL; none: that URL alone"},
	{.name = NULL},
};

static const struct api_filter filters[] = {
	{"name", OPS_STRING, "name", .help = "name"},
	{.name = NULL},
};

static int check(struct api_ctx *x, const struct api_resource *r, const json_t *row, json_t *values, json_t *options,
	json_t *problems, struct err *err)
{
	const char *uuid = api_row_str(values, "remote");
	json_t *remote = NULL;
	int rc;

	if (uuid == NULL)
		return 0;
	rc = api_row_find(x, api_resource_by_path(x->api, "remotes"), SLICE_NULL, slice_str(uuid), &remote, err);
	if (rc < 0 && rc != -ERR_NOTFOUND)
		return rc;
	if (rc == -ERR_NOTFOUND)
		api_problem(problems, "remote", "Object does not exist.");
	else if (strcmp(api_row_str(remote, "type"), r->type) != 0)
		api_problem(problems, "remote", "Type for Remote '%s' does not match AlternateContentSource.",
			api_row_str(remote, "name"));
	else if (strcmp(api_row_str(remote, "policy"), "on_demand") != 0)
		api_problem(problems, "remote",
			"Remote used with alternate content source must have the 'on_demand' policy.");
	json_decref(remote);
	return 0;
}

/* ---- refresh ---- */

static int dispatch_path(struct api_ctx *x, struct txn *t, const json_t *row, const json_t *paths, const char *path,
	const struct api_locks *l, int64_t group_id, struct err *err)
{
	json_t *args = json_pack("{s:O, s:s, s:O}", "acs", json_object_get(row, "uuid"), "path", path, "paths", paths);
	char *text = args != NULL ? json_dumps(args, JSON_COMPACT) : NULL;
	struct task_new n = {.name = ACS_TASK,
		.args = slice_str(text),
		.logging_cid = slice_str(x->res->correlation_id),
		.shared = l->shared,
		.created_by = x->user_id,
		.group_id = group_id};
	struct uuid uuid;
	int64_t id;
	int rc = text == NULL ? err_set(err, -ERR_NOMEM, "no memory for a refresh")
			      : catalog_task_create(t, &n, &id, &uuid, NULL, err);

	free(text);
	json_decref(args);
	return rc;
}

/* One task for each path, all or none. */
static int dispatch(struct api_ctx *x, const json_t *row, const json_t *paths, const struct api_locks *l,
	struct uuid *group, struct err *err)
{
	struct txn *t = NULL;
	const json_t *path;
	int64_t group_id;
	size_t i;
	int rc = catalog_write(x->api->catalog, &t, err);

	if (rc == 0)
		rc = catalog_task_group_create(
			t, api_text(x, "Refreshing %s", api_row_str(row, "name")), &group_id, group, err);
	json_array_foreach((json_t *)paths, i, path)
	{
		if (rc == 0)
			rc = dispatch_path(x, t, row, paths, json_string_value(path), l, group_id, err);
	}
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	return rc;
}

static void action_refresh(struct api_ctx *x, const struct api_route *rt)
{
	const struct api_resource *remotes = api_resource_of(x->api, "remotes", rt->resource->type);
	json_t *row = NULL, *paths = NULL;
	struct api_locks locks = {0};
	struct err err = ERR_INIT;
	char text[UUID_STR];
	struct uuid group;
	int rc;

	if (!api_row_of_route(x, rt, &row))
		return;
	paths = json_array_size(json_object_get(row, "paths")) > 0 ? json_incref(json_object_get(row, "paths"))
								   : json_pack("[s]", "");
	api_lock(x, &locks, false, api_prn(x, remotes, api_row_str(row, "remote")));
	api_lock(x, &locks, false, api_prn(x, rt->resource, api_row_str(row, "uuid")));
	api_lock(x, &locks, false, api_text(x, "prn:core.domain:%s", x->api->domain));
	api_txn_end(x);
	rc = paths == NULL || x->nomem ? err_set(&err, -ERR_NOMEM, "no memory for a refresh")
				       : dispatch(x, row, paths, &locks, &group, &err);
	if (rc < 0)
		api_reply_err(x, rc, &err);
	else
		api_reply(x, 202,
			json_pack("{s:s}", "task_group", api_href_by(x, "task-groups", NULL, uuid_str(&group, text))));
	json_decref(paths);
	json_decref(row);
}

static const struct api_action actions[] = {
	{"refresh", HTTP_POST, true, action_refresh, NULL, "catalogs what it holds, without downloading it",
		{.answer = ANSWER_GROUP}},
	{.name = NULL},
};

const struct api_kind api_kinds_acs = {
	.name = "acs",
	.model = "AlternateContentSource",
	.view = "acs",
	.per_format = true,
	.ops = API_LIST | API_READ | API_CREATE | API_UPDATE | API_DELETE,
	.create = API_NOW,
	.destroy = API_TASK,
	.fields = fields,
	.filters = filters,
	.actions = actions,
	.check = check,
	.reserve = api_reserve_itself,
};
