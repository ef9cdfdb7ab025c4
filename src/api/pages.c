/* What is no resource: the root, status, the sign of life, and maintenance. */
#include "api/activity.h"

#include "base/check.h"
#include "base/clock.h"
#include "catalog/usage.h"

#define ORPHAN_PROTECTION_MIN 1440 /* Pulp's default of ORPHAN_PROTECTION_TIME */

/* ---- root ---- */

/* Route name → absolute URL. */
static void page_root(struct api_ctx *x, const struct api_route *rt)
{
	const char *base = api_base_url(x);
	json_t *all = json_object();

	for (size_t i = 0; i < x->api->resource_count; i++) {
		const struct api_resource *r = &x->api->resources[i];

		if (strchr(r->path, '*') == NULL)
			json_object_set_new(all, r->path, json_string(api_text(x, "%s" API_ROOT "%s/", base, r->path)));
	}
	for (size_t i = 0; i < api_page_count; i++) {
		const struct api_page *p = &api_pages[i];

		if (p->path[0] != '\0' && (p->format == NULL || api_format_named(x->api, p->format) != NULL))
			json_object_set_new(all, p->path,
				json_string(api_text(x, "%s" API_ROOT "%s%s", base, p->path, p->no_slash ? "" : "/")));
	}
	api_reply(x, 200, all);
}

/* ---- status ---- */

static json_t *component(const char *name, const char *version, const char *package, const char *module)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:b}", "component", name, "version", version, "package", package,
		"module", module, "domain_compatible", 1);
}

static json_t *versions(struct api_ctx *x)
{
	json_t *list = json_array();

	json_array_append_new(list, component("core", API_CORE_VERSION, "pulpcore", "pulpcore.app"));
	json_array_append_new(list, component("certguard", API_CORE_VERSION, "pulp-certguard", "pulp_certguard.app"));
	for (const struct sluice_format *const *f = x->api->formats; *f != NULL; f++)
		json_array_append_new(list, component((*f)->name, (*f)->version, api_text(x, "pulp-%s", (*f)->name),
						    api_text(x, "pulp_%s.app", (*f)->name)));
	json_array_append_new(list, component("sluice", SLUICE_VERSION, "sluice", "sluice"));
	return list;
}

/* Those of a kind whose heartbeat is younger than the limit. */
static json_t *online(struct api_ctx *x, const char *kind, struct err *err)
{
	json_t *rows = NULL, *list = json_array(), *row;
	struct query *q = NULL;
	char iso[CLOCK_ISO_MAX];
	struct txn *t;
	size_t i;
	int rc;

	(void)clock_iso(clock_wall_us() - x->api->settings->tasks_worker_ttl * 1000, iso);
	if ((rc = api_txn(x, &t, err)) < 0 || (rc = query_new(view_find("worker"), &q)) < 0)
		goto out;
	if ((rc = query_where(q, "kind", QUERY_EQ, slice_str(kind), err)) < 0 ||
		(rc = query_where(q, "last_heartbeat", QUERY_GTE, slice_str(iso), err)) < 0 ||
		(rc = query_rows(t, q, &rows, err)) < 0)
		goto out;
	json_array_foreach(rows, i, row) json_array_append_new(
		list, json_pack("{s:O, s:O, s:O}", "name", json_object_get(row, "name"), "last_heartbeat",
			      json_object_get(row, "last_heartbeat"), "versions", json_object_get(row, "versions")));
out:
	query_free(&q);
	json_decref(rows);
	return list;
}

static json_t *whole_or_null(bool known, int64_t v)
{
	return known ? json_integer((json_int_t)v) : json_null();
}

/* Of the file system, and what saved artifacts take of it. */
static json_t *storage(struct api_ctx *x)
{
	int64_t total = 0, used = 0, free_bytes = 0, quota;
	struct usage saved = {0};
	struct err err = ERR_INIT;
	struct txn *t;
	bool measured = x->api->usage != NULL && x->api->usage(x->api->usage_arg, &total, &used, &free_bytes) == 0;
	bool counted = api_txn(x, &t, &err) == 0 && catalog_usage(t, &saved, &err) == 0;

	quota = settings_share(x->api->settings->storage_quota, total);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "total", whole_or_null(measured, total), "used",
		whole_or_null(measured, used), "free", whole_or_null(measured, free_bytes), "artifacts",
		whole_or_null(counted, saved.artifacts), "artifact_bytes", whole_or_null(counted, saved.bytes), "quota",
		whole_or_null(quota > 0, quota));
}

static void page_status(struct api_ctx *x, const struct api_route *rt)
{
	const struct settings *s = x->api->settings;
	struct err err = ERR_INIT;
	json_t *workers = online(x, "worker", &err), *apis = online(x, "api", &err),
	       *contents = online(x, "content", &err), *store = storage(x);

	api_txn_end(x);
	api_reply(x, 200,
		json_pack("{s:o, s:o, s:o, s:o, s:{s:b}, s:{s:b}, s:o, s:{s:o, s:s}, s:b}", "versions", versions(x),
			"online_workers", workers, "online_api_apps", apis, "online_content_apps", contents,
			"database_connection", "connected", err.code == 0, "redis_connection", "connected", 0,
			"storage", store, "content_settings", "content_origin",
			s->content_origin[0] != '\0' ? json_string(s->content_origin) : json_null(),
			"content_path_prefix", s->content_path_prefix, "domain_enabled", 0));
}

static void page_livez(struct api_ctx *x, const struct api_route *rt)
{
	x->res->status = 200;
}

/* ---- maintenance ---- */

static const struct api_field reclaim_fields[] = {
	{.name = "repo_hrefs", .type = T_STRINGS, .flags = F_REQUIRED | F_OPTION, .help = "repositories; [\"*\"]: all"},
	{.name = "repo_versions_keeplist",
		.type = T_STRINGS,
		.flags = F_OPTION,
		.help = "versions whose content is spared"},
	{.name = "dry_run", .type = T_BOOLEAN, .flags = F_OPTION, .help = "only count what would be reclaimed"},
	{.name = NULL},
};

static bool is_star(const json_t *v)
{
	return json_is_string(v) && strcmp(json_string_value(v), "*") == 0;
}

/* False: answered. */
static bool find_one(
	struct api_ctx *x, const char *kind, const char *field, const json_t *name, struct api_ref *ref, json_t **row)
{
	struct err err = ERR_INIT;
	int rc = api_ref_find(x, kind, slice_of(json_string_value(name), json_string_length(name)), ref, row, &err);

	if (rc == -ERR_INVAL)
		api_reply_bare(x, "%s", err.msg);
	else if (rc < 0)
		api_reply_err(x, rc, &err);
	return rc == 0;
}

/* All repositories, or those named; each is shared by the task. */
static bool reclaim_repositories(struct api_ctx *x, const json_t *names, json_t *uuids, struct api_locks *locks)
{
	const struct api_resource *own;
	json_t *rows = NULL, *row;
	struct err err = ERR_INIT;
	struct query *q = NULL;
	struct api_ref ref;
	struct txn *t;
	size_t i;
	int rc;

	if (!is_star(json_array_get(names, 0))) {
		const json_t *name;

		json_array_foreach((json_t *)names, i, name)
		{
			if (!find_one(x, "repositories", "repo_hrefs", name, &ref, &row))
				return false;
			json_array_append(uuids, json_object_get(row, "uuid"));
			api_lock(x, locks, false, api_prn(x, ref.resource, api_row_str(row, "uuid")));
			json_decref(row);
		}
		return true;
	}
	json_array_append_new(uuids, json_string("*"));
	if ((rc = api_txn(x, &t, &err)) == 0 && (rc = query_new(view_find("repository"), &q)) == 0) {
		query_select(q, "uuid");
		query_select(q, "type");
		rc = query_rows(t, q, &rows, &err);
	}
	query_free(&q);
	if (rc < 0) {
		api_reply_err(x, rc, &err);
		return false;
	}
	json_array_foreach(
		rows, i, row) if ((own = api_resource_of(x->api, "repositories", api_row_str(row, "type"))) != NULL)
		api_lock(x, locks, false, api_prn(x, own, api_row_str(row, "uuid")));
	json_decref(rows);
	return true;
}

static void page_reclaim(struct api_ctx *x, const struct api_route *rt)
{
	json_t *options = NULL, *uuids = json_array(), *keep = json_array(), *names, *name, *row;
	struct api_locks locks = {0};
	struct api_ref ref;
	bool star = false;
	size_t i;

	if (!api_options_read(x, reclaim_fields, &options))
		goto out;
	names = json_object_get(options, "repo_hrefs");
	json_array_foreach(names, i, name) star |= is_star(name);
	if (json_array_size(names) == 0) {
		api_reply_field(x, "repo_hrefs", "Must not be [].");
		goto out;
	}
	if (star && json_array_size(names) > 1) {
		api_reply_field(x, "repo_hrefs", "Cannot supply content units and '*'.");
		goto out;
	}
	if (!reclaim_repositories(x, names, uuids, &locks))
		goto out;
	json_array_foreach(json_object_get(options, "repo_versions_keeplist"), i, name)
	{
		if (!find_one(x, "repository_versions", "repo_versions_keeplist", name, &ref, &row))
			goto out;
		json_array_append_new(
			keep, json_pack("[O, O]", json_object_get(row, "repository"), json_object_get(row, "number")));
		json_decref(row);
	}
	api_dispatch(x, API_TASK_RECLAIM,
		json_pack("{s:O, s:O, s:b}", "repositories", uuids, "keep", keep, "dry_run",
			json_is_true(json_object_get(options, "dry_run"))),
		&locks);
out:
	json_decref(options);
	json_decref(uuids);
	json_decref(keep);
}

static const struct api_field orphan_fields[] = {
	{.name = "content_hrefs", .type = T_STRINGS, .flags = F_OPTION | F_NULLABLE, .help = "only these units"},
	{.name = "orphan_protection_time",
		.type = T_INTEGER,
		.flags = F_OPTION | F_NULLABLE,
		.bounded = true,
		.help = "minutes that a unit is kept after it came; null: 1440"},
	{.name = NULL},
};

static void clean_orphans(struct api_ctx *x, const json_t *options)
{
	const json_t *names = json_object_get(options, "content_hrefs"),
		     *minutes = json_object_get(options, "orphan_protection_time"), *name;
	json_t *hrefs = json_is_array(names) ? json_array() : json_null(), *row;
	struct api_locks locks = {0};
	struct api_ref ref;
	size_t i;

	if (json_is_array(names) && json_array_size(names) == 0) {
		api_reply_field(x, "content_hrefs", "Must not be [].");
		goto out;
	}
	if (json_is_array(names)) {
		json_array_foreach((json_t *)names, i, name)
		{
			if (!find_one(x, "content", "content_hrefs", name, &ref, &row))
				goto out;
			json_array_append_new(hrefs, json_string(api_href(x, ref.resource, row)));
			json_decref(row);
		}
	}
	api_lock(x, &locks, true, api_text(x, "pdrn:%s:orphans", x->api->domain));
	api_dispatch(x, API_TASK_ORPHANS,
		json_pack("{s:O, s:I}", "content_hrefs", hrefs, "protection_min",
			(json_int_t)(json_is_integer(minutes) ? json_integer_value(minutes) : ORPHAN_PROTECTION_MIN)),
		&locks);
out:
	json_decref(hrefs);
}

static void page_orphans(struct api_ctx *x, const struct api_route *rt)
{
	json_t *options;

	if (!api_options_read(x, orphan_fields, &options))
		return;
	clean_orphans(x, options);
	json_decref(options);
}

static void page_repair(struct api_ctx *x, const struct api_route *rt)
{
	struct api_locks locks = {0};
	json_t *options = NULL;

	if (!api_options_read(x, api_repair_fields, &options))
		return;
	api_lock(x, &locks, true, api_text(x, "pdrn:%s:repair", x->api->domain));
	api_dispatch(x, API_TASK_REPAIR, options, &locks);
}

/* The old form: no body, the server's protection time. */
static void page_orphans_old(struct api_ctx *x, const struct api_route *rt)
{
	clean_orphans(x, NULL);
}

#define TEXT "{\"type\":\"string\"}"
#define TEXT_NULL "{\"type\":\"string\",\"nullable\":true}"
#define FLAG "{\"type\":\"boolean\"}"
#define NUMBER_NULL "{\"type\":\"integer\",\"nullable\":true}"
#define OBJECT(members) "{\"type\":\"object\",\"properties\":{" members "}}"
#define LIST(items) "{\"type\":\"array\",\"items\":" items "}"
#define APP                                                                                           \
	OBJECT("\"name\":" TEXT ",\"last_heartbeat\":{\"type\":\"string\",\"format\":\"date-time\"}," \
	       "\"versions\":{\"type\":\"object\",\"additionalProperties\":" TEXT "}")
#define STATUS_SCHEMA                                                                                                                                                                               \
	OBJECT("\"versions\":" LIST(                                                                                                                                                                \
		OBJECT("\"component\":" TEXT ",\"version\":" TEXT ",\"package\":" TEXT ",\"module\":" TEXT                                                                                          \
		       ",\"domain_compatible\":" FLAG)) ","                                                                                                                                         \
							"\"online_workers\":" LIST(APP) ",\"online_api_apps\":" LIST(APP) ",\"online_content_apps\":" LIST(APP) ",\"database_connection\":" OBJECT( \
								"\"connected\":" FLAG) ","                                                                                                          \
										       "\"redis_connection\":" OBJECT(                                                                              \
											       "\"connected\":" FLAG) ","                                                                           \
														      "\"storage\":" OBJECT(                                                        \
															      "\"total\":" NUMBER_NULL                                              \
															      ",\"used\":" NUMBER_NULL                                              \
															      ",\"free\":" NUMBER_NULL                                              \
															      ",\"artifacts\":" NUMBER_NULL                                         \
															      ",\"artifact_bytes\":" NUMBER_NULL                                    \
															      ",\"quota\":" NUMBER_NULL) ","                                        \
																			 "\"content_settings\":" OBJECT(            \
																				 "\"content_origin\":" TEXT_NULL    \
																				 ",\"content_path_prefix\":" TEXT) ",\"domain_enabled\":" FLAG)

const struct api_page api_pages[] = {
	{"", HTTP_GET, true, page_root, NULL, "the paths of this API",
		{NULL, NULL, ANSWER_JSON, "{\"type\":\"object\",\"additionalProperties\":" TEXT "}"}},
	{"status", HTTP_GET, true, page_status, NULL, "versions, what is online, and how full the store is",
		{"status_read", NULL, ANSWER_JSON, STATUS_SCHEMA}},
	{"livez", HTTP_GET, true, page_livez, NULL, "200 while the server answers at all",
		{"livez_read", NULL, ANSWER_EMPTY}},
	{"flights", HTTP_GET, false, api_page_flights, NULL,
		"downloads in progress for clients: at most 1000, `count` says how many there are",
		{"flights_list", NULL, ANSWER_JSON, API_FLIGHTS_SCHEMA}},
	{"sources", HTTP_GET, false, api_page_sources, NULL,
		"upstreams that were asked for clients lately, and how they fare",
		{"sources_list", NULL, ANSWER_JSON, API_SOURCES_SCHEMA}},
	{"docs", HTTP_GET, true, api_page_docs, NULL, "this document for people", {0}},
	{"docs/api.json", HTTP_GET, true, api_page_openapi_json, NULL, "this document", {0}, .no_slash = true},
	{"docs/api.yaml", HTTP_GET, true, api_page_openapi_yaml, NULL, "this document as YAML", {0}, .no_slash = true},
	{"repositories/reclaim_space", HTTP_POST, false, page_reclaim, reclaim_fields,
		"turns saved content back into content on demand",
		{"repositories_reclaim_space_reclaim", "ReclaimSpace"}},
	{"orphans/cleanup", HTTP_POST, false, page_orphans, orphan_fields, "deletes content that no version holds",
		{"orphans_cleanup_cleanup", "OrphansCleanup"}},
	{"repair", HTTP_POST, false, page_repair, api_repair_fields,
		"downloads anew whatever is saved and is damaged or lost", {"repair_post", "Repair"}},
	{"rpm/copy", HTTP_POST, false, api_page_copy, api_copy_fields, "adds units of versions to other repositories",
		{"copy_content", "Copy"}, .format = "rpm"},
	{"orphans", HTTP_DELETE, false, page_orphans_old, NULL, "the same, in the old form", {"orphans_delete"}},
};
const size_t api_page_count = ARRAY_LEN(api_pages);
