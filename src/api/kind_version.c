/* Repository versions: below their repository, and all of them in one list. */
#include "api/api_priv.h"

#include "base/check.h"
#include "catalog/repository.h"
#include "catalog/warm.h"

static json_t *show_repository(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return json_string(api_href_by(x, "repositories", api_row_str(row, "type"), api_row_str(row, "repository")));
}

static json_t *show_base(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	const char *repository = api_row_str(row, "base_repository");

	if (repository == NULL)
		return json_null();
	return json_string(
		api_version_href(x, api_row_str(row, "base_type"), repository, api_row_int(row, "base_number")));
}

/* {"file.file": {"count": n, "href": …}, …}, or {} for none. `counts` (by type) of what has more types than one. */
static json_t *counts_of(
	struct api_ctx *x, const json_t *row, const json_t *counts, const char *column, const char *filter)
{
	const char *type = api_row_str(row, "type"),
		   *href = api_version_href(x, type, api_row_str(row, "repository"), api_row_int(row, "number"));
	const struct api_resource *repositories = api_resource_of(x->api, "repositories", type);
	json_t *out = json_object();

	for (size_t i = 0; i < x->api->resource_count && repositories != NULL; i++) {
		const struct api_resource *r = &x->api->resources[i];
		int64_t n;

		if (r->kind != &api_kinds_content || r->format != repositories->format)
			continue;
		n = counts != NULL ? json_integer_value(json_object_get(json_object_get(counts, column), r->type))
				   : api_row_int(row, column);
		if (n > 0)
			json_object_set_new(out, r->type,
				json_pack("{s:I, s:s}", "count", (json_int_t)n, "href",
					api_text(x, API_ROOT "%s/?%s=%s", r->path, filter, href)));
	}
	return out;
}

static json_t *show_summary(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	const struct api_resource *repositories = api_resource_of(x->api, "repositories", api_row_str(row, "type"));
	struct err err = ERR_INIT;
	json_t *counts = NULL, *out;
	struct txn *t;

	/* The row counts all units together. */
	if (repositories != NULL && api_content_types(repositories->format) > 1 &&
		(api_txn(x, &t, &err) < 0 || catalog_version_counts(t, api_row_int(row, "_id"), &counts, &err) < 0))
		return NULL;
	out = json_pack("{s:o, s:o, s:o}", "added", counts_of(x, row, counts, "added", "repository_version_added"),
		"removed", counts_of(x, row, counts, "removed", "repository_version_removed"), "present",
		counts_of(x, row, counts, "present", "repository_version"));
	json_decref(counts);
	return out;
}

#define COUNTS_SCHEMA                                                                                             \
	"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"object\",\"properties\":{\"count\":{\"type\":" \
	"\"integer\"},\"href\":{\"type\":\"string\"}}}}"

static const struct api_field fields[] = {
	API_COMMON_FIELDS,
	{.name = "number", .type = T_INTEGER, .flags = F_READ_ONLY | F_COMMON, .help = "number within the repository"},
	{.name = "repository",
		.type = T_STRING,
		.flags = F_READ_ONLY | F_COMMON,
		.show = show_repository,
		.help = "its repository"},
	{.name = "base_version",
		.type = T_STRING,
		.flags = F_READ_ONLY | F_NULLABLE | F_COMMON,
		.show = show_base,
		.help = "version that it started from"},
	{.name = "content_summary",
		.type = T_JSON,
		.flags = F_READ_ONLY | F_COMMON,
		.show = show_summary,
		.help = "how many units of each type were added, removed, are present",
		.schema = "{\"type\":\"object\",\"properties\":{\"added\":" COUNTS_SCHEMA ",\"removed\":" COUNTS_SCHEMA
			  ",\"present\":" COUNTS_SCHEMA "}}"},
	{.name = "vuln_report",
		.type = T_STRING,
		.flags = F_READ_ONLY | F_NULLABLE | F_COMMON,
		.show = api_show_null,
		.help = "vulnerability report"},
	{.name = NULL},
};

static const struct api_filter filters[] = {
	{"number", OPS_NUMBER, "number", .help = "number"},
	{"content", OPS_EXACT | OP(IN), "content", .apply = api_filter_content, .kind = "content",
		.help = "a unit that it holds"},
	{.name = NULL},
};

static void destroy_by(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	const struct api_resource *repository = api_resource_of(x->api, "repositories", api_row_str(row, "type"));
	struct api_locks locks = {0};

	if (json_is_true(json_object_get(row, "served"))) {
		api_reply_bare(x, "The repository version cannot be deleted because it (or its publication) is "
				  "currently being used "
				  "to distribute content.");
		return;
	}
	api_lock(x, &locks, true, api_prn(x, repository, api_row_str(row, "repository")));
	api_dispatch(x, API_TASK_DELETE_VERSION,
		json_pack("{s:O, s:O}", "repository", json_object_get(row, "repository"), "number",
			json_object_get(row, "number")),
		&locks);
}

const struct api_field api_repair_fields[] = {
	{.name = "verify_checksums",
		.type = T_BOOLEAN,
		.flags = F_OPTION,
		.default_json = "true",
		.help = "whether files are read whole, or only looked for"},
	{.name = NULL},
};

static void action_repair(struct api_ctx *x, const struct api_route *rt)
{
	json_t *row = NULL, *options = NULL;
	struct api_locks locks = {0};

	if (!api_row_of_route(x, rt, &row) || !api_options_read(x, api_repair_fields, &options))
		goto out;
	api_lock(x, &locks, false,
		api_prn(x, api_resource_of(x->api, "repositories", api_row_str(row, "type")),
			api_row_str(row, "repository")));
	api_dispatch(x, API_TASK_REPAIR_VERSION,
		json_pack("{s:O, s:O, s:O}", "repository", json_object_get(row, "repository"), "number",
			json_object_get(row, "number"), "verify_checksums",
			json_object_get(options, "verify_checksums")),
		&locks);
out:
	json_decref(row);
	json_decref(options);
}

const char *const api_warm_what[] = {"all", "used", "vanishing", NULL};

static const struct api_field warm_fields[] = {
	{.name = "what",
		.type = T_CHOICE,
		.flags = F_OPTION,
		.default_json = "\"all\"",
		.choices = api_warm_what,
		.help = "all; used: what clients had of the same things before; vanishing: what upstream has dropped "
			"or replaced"},
	{.name = "used_within",
		.type = T_INTEGER,
		.flags = F_OPTION | F_NULLABLE,
		.bounded = true,
		.min = 1,
		.help = "of what was used: days ago at most; null: ever"},
	{.name = "rate_limit",
		.type = T_INTEGER,
		.flags = F_OPTION | F_NULLABLE | F_BIG,
		.bounded = true,
		.min = 1,
		.help = "bytes a second, of all downloads together; null: no limit"},
	{.name = "concurrency",
		.type = T_INTEGER,
		.flags = F_OPTION | F_NULLABLE,
		.bounded = true,
		.min = 1,
		.help = "downloads at once, within what each remote allows; null: 4"},
	{.name = NULL},
};

/* Syncs of the repository go on meanwhile, so it is not reserved; but two that warm it would fetch the same twice. */
static void action_warm(struct api_ctx *x, const struct api_route *rt)
{
	json_t *row = NULL, *options = NULL;
	struct api_locks locks = {0};

	if (!api_row_of_route(x, rt, &row) || !api_options_read(x, warm_fields, &options))
		goto out;
	api_lock(x, &locks, true, api_text(x, "pdrn:%s:warm:%s", x->api->domain, api_row_str(row, "repository")));
	json_object_set(options, "repository", json_object_get(row, "repository"));
	json_object_set(options, "number", json_object_get(row, "number"));
	api_dispatch(x, WARM_TASK, json_incref(options), &locks);
out:
	json_decref(row);
	json_decref(options);
}

static const struct api_action actions[] = {
	{"repair", HTTP_POST, true, action_repair, api_repair_fields,
		"downloads anew what is saved of the version's content and is damaged or lost", {.body = "Repair"}},
	{"warm", HTTP_POST, true, action_warm, warm_fields, "fetches the version's content ahead of clients",
		{.body = "Warm"}},
	{.name = NULL},
};

const struct api_kind api_kinds_version = {
	.name = "repository_versions",
	.model = "RepositoryVersion",
	.view = "version",
	.per_format = true,
	.by_number = true,
	.below = "repositories",
	.parent_column = "repository",
	.ops = API_LIST | API_READ | API_DELETE,
	.destroy = API_TASK,
	.fields = fields,
	.filters = filters,
	.actions = actions,
	.destroy_by = destroy_by,
};

const struct api_kind api_kinds_all_versions = {
	.name = "repository_versions",
	.model = "RepositoryVersion",
	.view = "version",
	.ops = API_LIST,
	.fields = fields,
	.filters = filters,
};
