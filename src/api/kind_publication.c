/* Publications: a version made ready for clients. */
#include "api/api_priv.h"

#include "base/check.h"

/* The distributions that point at it. */
static json_t *show_distributions(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	json_t *list = json_array(), *rows = NULL, *d;
	struct err err = ERR_INIT;
	struct query *q = NULL;
	struct txn *t;
	size_t i;

	if (api_txn(x, &t, &err) < 0 || query_new(view_find("distribution"), &q) < 0)
		goto out;
	query_select(q, "uuid");
	query_select(q, "type");
	if (query_where(q, "publication", QUERY_EQ, slice_str(api_row_str(row, "uuid")), &err) < 0 ||
		query_rows(t, q, &rows, &err) < 0)
		goto out;
	json_array_foreach(rows, i, d) json_array_append_new(
		list, json_string(api_href_by(x, "distributions", api_row_str(d, "type"), api_row_str(d, "uuid"))));
out:
	query_free(&q);
	json_decref(rows);
	return list;
}

static json_t *show_version(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return json_string(api_version_href(
		x, api_row_str(row, "repository_type"), api_row_str(row, "repository"), api_row_int(row, "number")));
}

static json_t *show_repository(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return json_string(
		api_href_by(x, "repositories", api_row_str(row, "repository_type"), api_row_str(row, "repository")));
}

static const struct api_field fields[] = {
	API_COMMON_FIELDS,
	{.name = "repository_version",
		.type = T_REF,
		.flags = F_OPTION | F_SHOWN | F_COMMON,
		.kind = "repository_versions",
		.show = show_version,
		.help = "version to publish"},
	{.name = "repository",
		.type = T_REF,
		.flags = F_OPTION | F_SHOWN | F_COMMON,
		.kind = "repositories",
		.show = show_repository,
		.help = "repository whose newest version is published"},
	{.name = "distributions",
		.type = T_STRINGS,
		.flags = F_READ_ONLY,
		.show = show_distributions,
		.help = "distributions that point at it"},
	{.name = "checkpoint",
		.type = T_BOOLEAN,
		.default_json = "false",
		.help = "whether it is one of the repository's checkpoints"},
	{.name = NULL},
};

static const struct api_filter filters[] = {
	{"repository", OP(EQ) | OP(IN), "repository", .apply = api_filter_ref, .kind = "repositories",
		.help = "its repository, or a type"},
	{"repository_version", OPS_EXACT, "repository_version", .apply = api_filter_version,
		.kind = "repository_versions", .help = "its version"},
	{"content", OPS_EXACT | OP(IN), "content", .apply = api_filter_content, .kind = "content",
		.help = "a unit that it holds"},
	{"checkpoint", OPS_EXACT, "checkpoint", .help = "whether it is a checkpoint"},
	{.name = NULL},
};

static int check(struct api_ctx *x, const struct api_resource *r, const json_t *row, json_t *values, json_t *options,
	json_t *problems, struct err *err)
{
	bool version = api_row_str(options, "repository_version") != NULL,
	     repository = api_row_str(options, "repository") != NULL;

	if (version && repository)
		api_problem(problems, "non_field_errors",
			"Either the 'repository' or 'repository_version' need to be specified but not both.");
	else if (!version && !repository)
		api_problem(problems, "non_field_errors",
			"Either the 'repository' or 'repository_version' need to be specified");
	else if (json_is_true(json_object_get(values, "checkpoint")) && !repository)
		api_problem(problems, "non_field_errors", "'checkpoint' may only be used with 'repository'");
	return 0;
}

/* Which version: {"repository_version": [repository uuid, number]}, and the repository's prn. False: answered. */
static bool version_of(
	struct api_ctx *x, const struct api_resource *r, const json_t *options, json_t *args, const char **prn)
{
	const char *version = api_row_str(options, "repository_version"),
		   *repository = api_row_str(options, "repository");
	const char *type = api_text(x, "%s.%s", r->format->name, r->format->kind); /* of its repositories */
	bool direct = version != NULL;
	struct err err = ERR_INIT;
	json_t *row = NULL;
	int rc;

	rc = api_row_find(x, api_resource_by_path(x->api, direct ? "repository_versions" : "repositories"), SLICE_NULL,
		slice_str(direct ? version : repository), &row, &err);
	if (rc < 0) {
		api_reply_err(x, rc, &err);
		return false;
	}
	if (strcmp(api_row_str(row, "type"), type) != 0) {
		api_reply_field(x, direct ? "repository_version" : "repository", "Object does not exist.");
		json_decref(row);
		return false;
	}
	json_object_set_new(args, "repository_version",
		json_pack("[O, O]", json_object_get(row, direct ? "repository" : "uuid"),
			json_object_get(row, direct ? "number" : "latest_version")));
	*prn = api_prn(
		x, api_resource_of(x->api, "repositories", type), api_row_str(row, direct ? "repository" : "uuid"));
	json_decref(row);
	return true;
}

static void create_by(struct api_ctx *x, const struct api_resource *r, json_t *values, json_t *options)
{
	json_t *args = json_object(), *extra = json_object_get(values, "extra"), *v;
	struct api_locks locks = {0};
	const char *prn, *key;

	if (!version_of(x, r, options, args, &prn)) {
		json_decref(args);
		return;
	}
	json_object_foreach(extra, key, v) json_object_set(args, key, v);
	json_object_set(args, "checkpoint", json_object_get(values, "checkpoint"));
	if (r->publication != NULL)
		json_object_set_new(args, "publication_kind", json_string(r->publication->kind));
	api_lock(x, &locks, false, prn);
	api_dispatch(x, r->publication != NULL ? r->publication->task_publish : r->format->task_publish, args, &locks);
}

const struct api_kind api_kinds_publication = {
	.name = "publications",
	.model = "Publication",
	.view = "publication",
	.per_format = true,
	.generic = true,
	.ops = API_LIST | API_READ | API_CREATE | API_DELETE,
	.create = API_TASK,
	.destroy = API_NOW,
	.fields = fields,
	.filters = filters,
	.check = check,
	.create_by = create_by,
};
