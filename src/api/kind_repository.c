/* Repositories: sets of content with a history of versions. */
#include "api/api_priv.h"

#include "base/check.h"
#include "catalog/repository.h"

/* ---- fields ---- */

static json_t *show_versions_href(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return json_string(api_text(x, "%sversions/", api_href(x, r, row)));
}

static json_t *show_latest(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	if (json_is_null(json_object_get(row, "latest_version")))
		return json_null();
	return json_string(
		api_text(x, "%sversions/%lld/", api_href(x, r, row), (long long)api_row_int(row, "latest_version")));
}

static const struct api_field fields[] = {
	API_COMMON_FIELDS,
	{.name = "versions_href",
		.type = T_STRING,
		.flags = F_READ_ONLY | F_COMMON,
		.show = show_versions_href,
		.help = "list of its versions"},
	{.name = "pulp_labels", .type = T_LABELS, .flags = F_COMMON, .column = "labels", .help = "labels"},
	{.name = "latest_version_href",
		.type = T_STRING,
		.flags = F_READ_ONLY | F_COMMON,
		.show = show_latest,
		.help = "newest version"},
	{.name = "name",
		.type = T_STRING,
		.flags = F_REQUIRED | F_UNIQUE | F_COMMON,
		.max_length = API_NAME_MAX,
		.help = "unique name"},
	{.name = "description", .type = T_STRING, .flags = F_NULLABLE | F_COMMON, .help = "text for people"},
	{.name = "retain_repo_versions",
		.type = T_INTEGER,
		.flags = F_NULLABLE | F_COMMON,
		.bounded = true,
		.min = 1,
		.help = "how many versions are kept; null: all"},
	{.name = "retain_checkpoints",
		.type = T_INTEGER,
		.flags = F_NULLABLE | F_COMMON,
		.bounded = true,
		.min = 1,
		.help = "how many checkpoints are kept; null: all"},
	{.name = "remote",
		.type = T_REF,
		.flags = F_NULLABLE | F_COMMON,
		.kind = "remotes",
		.help = "what a sync takes content from"},
	{.name = "autopublish",
		.type = T_BOOLEAN,
		.default_json = "false",
		.help = "whether each new version is published"},
	{.name = "last_sync_details",
		.type = T_JSON,
		.flags = F_READ_ONLY,
		.help = "what the last sync saw",
		.schema = "{\"type\":\"object\",\"additionalProperties\":{}}"},
	{.name = NULL},
};

static const struct api_filter filters[] = {
	{"name", OPS_STRING, "name", .help = "name"},
	{"retain_repo_versions", OPS_NUMBER, "retain_repo_versions", .help = "how many versions are kept"},
	{"retain_checkpoints", OPS_NUMBER, "retain_checkpoints", .help = "how many checkpoints are kept"},
	{"remote", OP(EQ) | OP(IN), "remote", .apply = api_filter_ref, .kind = "remotes", .nullable = true,
		.help = "its remote, null, or a type of remotes"},
	{"with_content", OPS_EXACT | OP(IN), "with_content", .apply = api_filter_content, .kind = "content",
		.help = "a unit that is in any version"},
	{"latest_with_content", OPS_EXACT | OP(IN), "latest_with_content", .apply = api_filter_content,
		.kind = "content", .help = "a unit that is in the newest version"},
	{"pulp_label_select", OPS_EXACT, .apply = api_filter_label, .help = "terms about labels"},
	{.name = NULL},
};

/* ---- sync ---- */

static const char *const on_missing[] = {"keep", "fail", NULL};

const struct api_field api_sync_fields[] = {
	{.name = "remote",
		.type = T_REF,
		.flags = F_OPTION | F_NULLABLE,
		.kind = "remotes",
		.help = "remote to sync with; default: the repository's own"},
	{.name = "mirror",
		.type = T_BOOLEAN,
		.flags = F_OPTION,
		.default_json = "false",
		.help = "content that upstream does not have is removed"},
	{.name = "optimize",
		.type = T_BOOLEAN,
		.flags = F_OPTION,
		.default_json = "true",
		.help = "nothing is done when upstream did not change"},
	{.name = "on_missing",
		.type = T_CHOICE,
		.flags = F_OPTION,
		.default_json = "\"keep\"",
		.choices = on_missing,
		.help = "what upstream names but does not have: kept as unavailable, or the sync fails"},
	{.name = "warm",
		.type = T_CHOICE,
		.flags = F_OPTION | F_NULLABLE,
		.choices = api_warm_what,
		.help = "what of a new version is then fetched ahead of clients, by a task of its own (the version's "
			"warm/)"},
	{.name = NULL},
};

/* The remote of the request, else the repository's; the caller's in either case. False: answered. */
static bool remote_of(
	struct api_ctx *x, const struct api_route *rt, const json_t *row, const json_t *options, json_t **remote)
{
	const char *uuid = api_row_str(options, "remote") != NULL ? api_row_str(options, "remote")
								  : api_row_str(row, "remote"),
		   *type;
	const struct api_resource *remotes = api_resource_by_path(x->api, "remotes");
	struct err err = ERR_INIT;
	int rc;

	if (uuid == NULL) {
		api_reply_field(x, "remote", "This field is required since a remote is not set on the repository.");
		return false;
	}
	if ((rc = api_row_find(x, remotes, SLICE_NULL, slice_str(uuid), remote, &err)) < 0) {
		if (rc == -ERR_NOTFOUND)
			api_reply_field(x, "remote", "Object does not exist.");
		else
			api_reply_err(x, rc, &err);
		return false;
	}
	type = api_row_str(*remote, "type");
	/* a format may have several types of remotes: the first part counts */
	if (!slice_starts(slice_str(type), slice_str(api_text(x, "%s.", rt->resource->format->name)))) {
		api_reply_bare(x, "Type for Remote '%s' does not match Repository '%s'.", api_row_str(*remote, "name"),
			api_row_str(row, "name"));
		return false;
	}
	return true;
}

/* sync_policy and mirror say the same in two words: what the task gets is whether the content is mirrored, and whether upstream's metadata is published as
 * it is. False: answered. */
static bool decide_mirror(struct api_ctx *x, const json_t *row, json_t *options)
{
	const char *policy = api_row_str(options, "sync_policy");
	const json_t *asked = json_object_get(options, "mirror");
	bool verbatim = json_is_true(asked);

	if (policy != NULL && asked != NULL) {
		api_reply_bare(x, "Cannot use 'mirror' and 'sync_policy' options simultaneously.");
		return false;
	}
	if (policy != NULL)
		verbatim = strcmp(policy, "mirror_complete") == 0;
	if (verbatim && json_is_true(json_object_get(row, "autopublish"))) {
		api_reply_bare(x, "Cannot use mirror mode with autopublished repository.");
		return false;
	}
	json_object_set_new(
		options, "mirror", json_boolean(verbatim || (policy != NULL && strcmp(policy, "additive") != 0)));
	json_object_set_new(options, "verbatim", json_boolean(verbatim));
	return true;
}

static void action_sync(struct api_ctx *x, const struct api_route *rt)
{
	json_t *row = NULL, *options = NULL, *remote = NULL;
	const struct api_resource *remotes;
	struct api_locks locks = {0};

	if (!api_row_of_route(x, rt, &row))
		return;
	if (!api_options_read(x, rt->resource->sync_fields, &options) || !remote_of(x, rt, row, options, &remote) ||
		!decide_mirror(x, row, options))
		goto out;
	remotes = api_resource_of(x->api, "remotes", api_row_str(remote, "type"));
	api_lock(x, &locks, true, api_prn(x, rt->resource, api_row_str(row, "uuid")));
	if (remotes != NULL)
		api_lock(x, &locks, false, api_prn(x, remotes, api_row_str(remote, "uuid")));
	json_object_set(options, "remote", json_object_get(remote, "uuid"));
	json_object_set(options, "repository", json_object_get(row, "uuid"));
	api_dispatch(x, rt->resource->format->task_sync, json_incref(options), &locks);
out:
	json_decref(row);
	json_decref(options);
	json_decref(remote);
}

/* ---- modify ---- */

static const struct api_field modify_fields[] = {
	{.name = "add_content_units", .type = T_STRINGS, .flags = F_OPTION, .help = "hrefs of units to add"},
	{.name = "remove_content_units",
		.type = T_STRINGS,
		.flags = F_OPTION,
		.help = "hrefs of units to remove; [\"*\"]: all"},
	{.name = "base_version",
		.type = T_REF,
		.flags = F_OPTION | F_NULLABLE,
		.kind = "repository_versions",
		.help = "version to start from; default: the newest"},
	{.name = "overwrite",
		.type = T_BOOLEAN,
		.flags = F_OPTION,
		.default_json = "true",
		.help = "whether an added unit replaces another one of the same path"},
	{.name = NULL},
};

/* Looks all units up. False: answered. */
static bool units_of(struct api_ctx *x, const json_t *hrefs, const char *field, json_t *uuids)
{
	struct err err = ERR_INIT;
	const json_t *href;
	size_t i;
	int rc;

	json_array_foreach((json_t *)hrefs, i, href)
	{
		struct api_ref ref;
		json_t *row;

		rc = api_ref_find(
			x, "content", slice_of(json_string_value(href), json_string_length(href)), &ref, &row, &err);
		if (rc == -ERR_INVAL)
			api_reply_bare(x, "%s", err.msg);
		else if (rc < 0)
			api_reply_err(x, rc, &err);
		if (rc < 0)
			return false;
		json_array_append(uuids, json_object_get(row, "uuid"));
		json_decref(row);
	}
	return true;
}

static bool is_star(const json_t *v)
{
	return json_is_string(v) && strcmp(json_string_value(v), "*") == 0;
}

static bool has_star(const json_t *list)
{
	const json_t *v;
	size_t i;

	json_array_foreach((json_t *)list, i, v) if (is_star(v)) return true;
	return false;
}

static void action_modify(struct api_ctx *x, const struct api_route *rt)
{
	json_t *row = NULL, *options = NULL, *add = json_array(), *remove = json_array(), *removals, *base = NULL;
	struct api_locks locks = {0};
	struct err err = ERR_INIT;
	int rc;

	if (!api_row_of_route(x, rt, &row))
		goto out;
	if (!api_options_read(x, modify_fields, &options))
		goto out;
	removals = json_object_get(options, "remove_content_units");
	if (has_star(removals) && json_array_size(removals) > 1) {
		api_reply_field(x, "remove_content_units", "Cannot supply content units and '*'.");
		goto out;
	}
	if (has_star(removals))
		json_array_append_new(remove, json_string("*"));
	else if (!units_of(x, removals, "remove_content_units", remove))
		goto out;
	if (!units_of(x, json_object_get(options, "add_content_units"), "add_content_units", add))
		goto out;
	if (api_row_str(options, "base_version") != NULL) {
		rc = api_row_find(x, api_resource_by_path(x->api, "repository_versions"), SLICE_NULL,
			slice_str(api_row_str(options, "base_version")), &base, &err);
		if (rc < 0) {
			api_reply_err(x, rc, &err);
			goto out;
		}
		if (strcmp(api_row_str(base, "repository"), api_row_str(row, "uuid")) != 0) {
			api_reply_field(x, "base_version", "The version is not one of this repository.");
			goto out;
		}
	}
	api_lock(x, &locks, true, api_prn(x, rt->resource, api_row_str(row, "uuid")));
	api_dispatch(x, API_TASK_MODIFY,
		json_pack("{s:O, s:O, s:O, s:o, s:O}", "repository", json_object_get(row, "uuid"), "add", add, "remove",
			remove, "base_version", base != NULL ? json_integer(api_row_int(base, "number")) : json_null(),
			"overwrite", json_object_get(options, "overwrite")),
		&locks);
out:
	json_decref(row);
	json_decref(options);
	json_decref(add);
	json_decref(remove);
	json_decref(base);
}

static const struct api_action actions[] = {
	{"sync", HTTP_POST, true, action_sync, api_sync_fields, "brings the repository to what its remote has",
		{.body = "*SyncURL"}},
	{"modify", HTTP_POST, true, action_modify, modify_fields, "adds and removes units",
		{.body = "RepositoryAddRemoveContent"}},
	API_LABEL_ACTIONS,
	{.name = NULL},
};

/* ---- the kind ---- */

static int check(struct api_ctx *x, const struct api_resource *r, const json_t *row, json_t *values, json_t *options,
	json_t *problems, struct err *err)
{
	const char *uuid = api_row_str(values, "remote");
	json_t *remote = NULL;
	int rc;

	if (uuid == NULL || r->format == NULL)
		return 0;
	rc = api_row_find(x, api_resource_by_path(x->api, "remotes"), SLICE_NULL, slice_str(uuid), &remote, err);
	if (rc < 0 && rc != -ERR_NOTFOUND)
		return rc;
	if (rc == -ERR_NOTFOUND)
		api_problem(problems, "remote", "Object does not exist.");
	else if (!slice_starts(slice_str(api_row_str(remote, "type")), slice_str(api_text(x, "%s.", r->format->name))))
		api_problem(problems, "remote", "Type for Remote '%s' does not match Repository.",
			api_row_str(remote, "name"));
	json_decref(remote);
	return 0;
}

/* With its empty version 0. */
static int insert(
	struct txn *t, const struct api_resource *r, json_t *values, int64_t *id, struct uuid *uuid, struct err *err)
{
	int rc = catalog_repository_create(t, r->type, api_row_str(values, "name"), id, uuid, err);

	return rc < 0 ? rc : row_update(t, r->view, *id, values, err);
}

const struct api_kind api_kinds_repository = {
	.name = "repositories",
	.model = "Repository",
	.view = "repository",
	.per_format = true,
	.generic = true,
	.ops = API_LIST | API_READ | API_CREATE | API_UPDATE | API_DELETE,
	.create = API_NOW,
	.destroy = API_TASK,
	.fields = fields,
	.filters = filters,
	.actions = actions,
	.check = check,
	.insert = insert,
	.reserve = api_reserve_itself,
};
