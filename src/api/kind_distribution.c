/* Distributions: where clients find a repository. */
#include "api/api_priv.h"

#include "base/check.h"
#include "catalog/repository.h"

static json_t *show_base_url(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	const struct settings *s = x->api->settings;
	struct slice origin = slice_str(s->content_origin);

	while (origin.n > 0 && origin.p[origin.n - 1] == '/')
		origin.n--;
	return json_string(
		api_text(x, "%.*s%s%s/", SLICE_ARG(origin), s->content_path_prefix, api_row_str(row, "base_path")));
}

/* A publication and a version never change: since it points there, its content has not. */
static json_t *show_no_change(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	bool fixed = api_row_str(row, "publication") != NULL || api_row_str(row, "repository_version") != NULL;

	return fixed ? json_incref(json_object_get(row, "updated")) : json_null();
}

static json_t *show_guard_prn(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	const struct api_resource *guard =
		api_resource_of(x->api, "contentguards", api_row_str(row, "content_guard_type"));
	const char *uuid = api_row_str(row, "content_guard");

	return guard != NULL && uuid != NULL ? json_string(api_prn(x, guard, uuid)) : json_null();
}

static const struct api_field fields[] = {
	API_COMMON_FIELDS,
	{.name = "base_path",
		.type = T_STRING,
		.flags = F_REQUIRED | F_UNIQUE | F_COMMON,
		.max_length = API_NAME_MAX,
		.check = api_check_base_path,
		.help = "its path below the content prefix"},
	{.name = "base_url",
		.type = T_STRING,
		.flags = F_READ_ONLY | F_COMMON,
		.show = show_base_url,
		.help = "where clients find it"},
	{.name = "content_guard",
		.type = T_REF,
		.flags = F_NULLABLE | F_COMMON,
		.kind = "contentguards",
		.help = "who may read it"},
	{.name = "content_guard_prn",
		.type = T_STRING,
		.flags = F_READ_ONLY | F_NULLABLE | F_COMMON,
		.show = show_guard_prn,
		.help = "who may read it, by PRN"},
	{.name = "no_content_change_since",
		.type = T_STRING,
		.flags = F_READ_ONLY | F_NULLABLE | F_COMMON,
		.show = show_no_change,
		.help = "since when its content is certain to be the same"},
	{.name = "hidden",
		.type = T_BOOLEAN,
		.flags = F_COMMON,
		.default_json = "false",
		.help = "left out of the listing of distributions"},
	{.name = "pulp_labels", .type = T_LABELS, .flags = F_COMMON, .column = "labels", .help = "labels"},
	{.name = "name",
		.type = T_STRING,
		.flags = F_REQUIRED | F_UNIQUE | F_COMMON,
		.max_length = API_NAME_MAX,
		.help = "unique name"},
	{.name = "repository",
		.type = T_REF,
		.flags = F_NULLABLE | F_COMMON,
		.kind = "repositories",
		.help = "repository whose newest publication is served"},
	{.name = "repository_version",
		.type = T_REF,
		.flags = F_NULLABLE | F_COMMON,
		.kind = "repository_versions",
		.help = "version whose newest publication is served"},
	{.name = "publication",
		.type = T_REF,
		.flags = F_NULLABLE,
		.kind = "publications",
		.help = "publication that is served"},
	{.name = "checkpoint",
		.type = T_BOOLEAN,
		.default_json = "false",
		.help = "serves the repository's checkpoints by date"},
	{.name = NULL},
};

static const struct api_filter filters[] = {
	{"name", OPS_STRING, "name", .help = "name"},
	{"base_path", OP(EQ) | OP(CONTAINS) | OP(ICONTAINS) | OP(IN), "base_path", .help = "base_path"},
	{"repository", OP(EQ) | OP(IN), "repository", .apply = api_filter_ref, .kind = "repositories", .nullable = true,
		.help = "what it serves"},
	{"repository_version", OPS_EXACT, "repository_version", .apply = api_filter_version,
		.kind = "repository_versions", .nullable = true, .help = "what it serves"},
	{"publication", OP(EQ) | OP(IN), "publication", .apply = api_filter_ref, .kind = "publications",
		.nullable = true, .help = "what it serves"},
	{"checkpoint", OPS_EXACT, "checkpoint", .help = "whether it serves checkpoints"},
	{"hidden", OPS_EXACT, "hidden", .help = "whether it is left out of listings"},
	{"with_content", OPS_EXACT | OP(IN), "with_content", .apply = api_filter_content, .kind = "content",
		.help = "a unit that it serves"},
	{"pulp_label_select", OPS_EXACT, .apply = api_filter_label, .help = "terms about labels"},
	{.name = NULL},
};

static const struct api_action actions[] = {API_LABEL_ACTIONS, {.name = NULL}};

/* ---- checks ---- */

static bool will_be(const json_t *row, const json_t *values, const char *column)
{
	const json_t *v = json_object_get(values, column);

	if (v == NULL)
		v = json_object_get(row, column);
	return json_is_string(v) || json_is_true(v);
}

/* What a distribution may point at, one of these at a time. */
static const char *const sources[] = {"publication", "repository", "repository_version"};

static void check_source(const json_t *row, const json_t *values, json_t *problems)
{
	const char *first = NULL;

	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		if (!will_be(row, values, sources[i]))
			continue;
		if (first != NULL) {
			api_problem(problems, "non_field_errors",
				"Only one of the attributes '%s' and '%s' may be used simultaneously.", first,
				sources[i]);
			return;
		}
		first = sources[i];
	}
	if (will_be(row, values, "checkpoint") && !will_be(row, values, "repository"))
		api_problem(problems, "non_field_errors", "'checkpoint' may only be used with 'repository'");
}

static int check_overlap(struct api_ctx *x, const json_t *row, const json_t *values, json_t *problems, struct err *err)
{
	struct slice path = slice_str(api_row_str(values, "base_path"));
	json_t *rows = NULL, *other;
	struct query *q = NULL;
	struct txn *t;
	size_t i;
	int rc;

	if (path.p == NULL)
		return 0;
	if ((rc = api_txn(x, &t, err)) < 0 || (rc = query_new(view_find("distribution"), &q)) < 0)
		return rc;
	query_select(q, "name");
	if ((rc = query_condition(q, "overlaps", &path, 1, err)) == 0 && (rc = query_rows(t, q, &rows, err)) == 0)
		json_array_foreach(rows, i, other)
		{
			if (row != NULL && api_row_int(row, "_id") == api_row_int(other, "_id"))
				continue;
			json_object_set_new(problems, "base_path",
				json_pack("{s:o}", "base_path",
					json_string(api_text(x, "Overlaps with existing distribution '%s'",
						api_row_str(other, "name")))));
			break;
		}
	json_decref(rows);
	query_free(&q);
	return rc;
}

/* What is served must be of this format. */
static int check_types(
	struct api_ctx *x, const struct api_resource *r, const json_t *values, json_t *problems, struct err *err)
{
	static const char *const fields_and_lists[][2] = {{"repository", "repositories"},
		{"repository_version", "repository_versions"}, {"publication", "publications"}};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(fields_and_lists); i++) {
		const char *uuid = api_row_str(values, fields_and_lists[i][0]), *type;
		json_t *row = NULL;

		if (uuid == NULL)
			continue;
		rc = api_row_find(x, api_resource_by_path(x->api, fields_and_lists[i][1]), SLICE_NULL, slice_str(uuid),
			&row, err);
		/* A format may have several kinds of publications: what counts is of which type of repository. */
		type = row != NULL
			       ? api_row_str(row, strcmp(fields_and_lists[i][0], "publication") == 0 ? "repository_type"
												     : "type")
			       : "";
		if (rc == -ERR_NOTFOUND || (rc == 0 && strcmp(type, r->type) != 0)) {
			api_problem(problems, fields_and_lists[i][0], "Object does not exist.");
			rc = 0;
		}
		json_decref(row);
	}
	return rc;
}

static int check(struct api_ctx *x, const struct api_resource *r, const json_t *row, json_t *values, json_t *options,
	json_t *problems, struct err *err)
{
	int rc;

	if ((rc = check_overlap(x, row, values, problems, err)) < 0 ||
		(rc = check_types(x, r, values, problems, err)) < 0)
		return rc;
	if (json_object_size(problems) == 0)
		check_source(row, values, problems);
	return 0;
}

/* A client in the middle of something goes on with what was served until now, for a while. Not so when nothing is to be
 * served any more: that is said at once and for everything. */
static int before_update(struct txn *t, const json_t *row, const json_t *values, struct err *err)
{
	bool moves = false, has_source = false;

	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		const json_t *v = json_object_get(values, sources[i]);

		moves = moves || (v != NULL && !json_equal(v, json_object_get(row, sources[i])));
		has_source = has_source || will_be(row, values, sources[i]);
	}
	if (!moves)
		return 0;
	return has_source ? catalog_distribution_supersede(t, api_row_int(row, "_id"), err)
			  : catalog_distribution_forget(t, api_row_int(row, "_id"), err);
}

static void reserve(struct api_ctx *x, const struct api_resource *r, enum api_op op, const json_t *row,
	const json_t *values, struct api_locks *l)
{
	const char *path = values != NULL ? api_row_str(values, "base_path") : NULL;

	if (op != API_CREATE)
		api_lock(x, l, true, api_prn(x, r, api_row_str(row, "uuid")));
	if (path != NULL)
		api_lock(x, l, true, api_text(x, "pdrn:%s:distribution.base_path", x->api->domain));
	api_lock(x, l, false, api_text(x, "pdrn:%s:distributions", x->api->domain));
}

const struct api_kind api_kinds_distribution = {
	.name = "distributions",
	.model = "Distribution",
	.view = "distribution",
	.per_format = true,
	.generic = true,
	.ops = API_LIST | API_READ | API_CREATE | API_UPDATE | API_DELETE,
	.create = API_TASK,
	.destroy = API_TASK,
	.fields = fields,
	.filters = filters,
	.actions = actions,
	.check = check,
	.before_update = before_update,
	.reserve = reserve,
};
