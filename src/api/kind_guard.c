/* Content guards: who may read a distribution. One kind for each type, all of one view; what they mean is src/guard's. */
#include "api/api_priv.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/url.h"
#include "catalog/guard.h"
#include "guard/cert.h"
#include "guard/json_path.h"
#include "guard/signature.h"
#include "http/parse.h"

#define DOWNLOADER "core.rbaccontentguard_downloader"
#define GUARD_FIELDS                                                                                           \
	API_COMMON_FIELDS,                                                                                     \
		{.name = "name",                                                                               \
			.type = T_STRING,                                                                      \
			.flags = F_REQUIRED | F_UNIQUE | F_COMMON,                                             \
			.max_length = API_NAME_MAX,                                                            \
			.help = "unique name"},                                                                \
	{                                                                                                      \
		.name = "description", .type = T_STRING, .flags = F_NULLABLE | F_COMMON, .help = "description" \
	}

static const struct api_filter filters[] = {
	{"name", OPS_STRING, "name", .help = "name"},
	{.name = NULL},
};

/* As it will be when `values` are written over `row`. */
static const char *merged(const json_t *row, const json_t *values, const char *column)
{
	const json_t *v = json_object_get(values, column);

	return json_string_value(v != NULL ? v : json_object_get(row, column));
}

/* ---- core.header ---- */

static const char *check_header_name(struct api_ctx *x, const struct api_field *f, json_t **value)
{
	return http_is_token(slice_str(json_string_value(*value))) ? NULL : "Not the name of a header field.";
}

static const char *check_filter(struct api_ctx *x, const struct api_field *f, json_t **value)
{
	struct json_path *p = NULL;
	struct err err = ERR_INIT;

	if (json_path_new(slice_str(json_string_value(*value)), &p, &err) < 0)
		return api_text(x, "Not a filter of this server: %s.", err.msg);
	json_path_free(&p);
	return NULL;
}

static const struct api_field header_fields[] = {
	GUARD_FIELDS,
	{.name = "header_name",
		.type = T_STRING,
		.flags = F_REQUIRED,
		.check = check_header_name,
		.help = "field of the request that is looked at"},
	{.name = "header_value",
		.type = T_STRING,
		.flags = F_REQUIRED | F_ADMIN,
		.help = "what it must hold, encoded in base64"},
	{.name = "jq_filter",
		.type = T_STRING,
		.flags = F_NULLABLE,
		.check = check_filter,
		.help = "path into the JSON that it holds: .identity.org_id"},
	{.name = NULL},
};

/* ---- certguard.x509 ---- */

static const struct api_field cert_fields[] = {
	GUARD_FIELDS,
	{.name = "ca_certificate",
		.type = T_STRING,
		.flags = F_REQUIRED,
		.check = api_check_certificate,
		.help = "certificates of whom a client's must be signed by, PEM"},
	{.name = "crl",
		.type = T_STRING,
		.flags = F_NULLABLE,
		.help = "lists of revoked certificates, PEM; then whoever issued a client's certificate must have one"},
	{.name = NULL},
};

static int check_trust(struct api_ctx *x, const struct api_resource *r, const json_t *row, json_t *values,
	json_t *options, json_t *problems, struct err *err)
{
	struct slice ca = slice_str(merged(row, values, "ca_certificate")), crl = slice_str(merged(row, values, "crl"));
	struct trust *t = NULL;
	int rc;

	if (ca.p == NULL) /* which is a problem already */
		return 0;
	rc = trust_new(ca, crl, &t, err);
	if (rc == -ERR_INVAL && crl.n > 0) {
		api_problem(problems, "crl", "Must be PEM encoded certificate revocation lists.");
		rc = 0;
	} else if (rc == -ERR_INVAL) {
		api_problem(problems, "ca_certificate", "Must be PEM encoded X.509 certificate.");
		rc = 0;
	}
	trust_free(&t);
	return rc;
}

/* ---- core.rbac ---- */

typedef int names_fn(struct txn *t, int64_t guard_id, char ***names, size_t *count, struct err *err);

/* Whom it lets pass: texts, or objects with one member `key`. NULL: it cannot be found out. */
static json_t *names_of(struct api_ctx *x, const json_t *row, names_fn *fn, const char *key)
{
	json_t *list = json_array();
	struct err err = ERR_INIT;
	char **names = NULL;
	struct txn *t;
	size_t n = 0;

	if (api_txn(x, &t, &err) < 0 || fn(t, api_row_int(row, "_id"), &names, &n, &err) < 0) {
		json_decref(list);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, key != NULL ? json_pack("{s:s}", key, names[i]) : json_string(names[i]));
	guard_users_free(&names, n);
	return list;
}

static json_t *show_users(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return names_of(x, row, catalog_guard_users, "username");
}

static json_t *show_groups(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return names_of(x, row, catalog_guard_groups, "name");
}

static const struct api_field rbac_fields[] = {
	GUARD_FIELDS,
	{.name = "users",
		.type = T_JSON,
		.flags = F_READ_ONLY,
		.show = show_users,
		.schema = "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"username\":{\"type\":"
			  "\"string\"}}}}",
		.help = "whom it lets pass, besides administrators"},
	{.name = "groups",
		.type = T_JSON,
		.flags = F_READ_ONLY,
		.show = show_groups,
		.schema = "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":"
			  "\"string\"}}}}",
		.help = "groups that it lets pass"},
	{.name = NULL},
};

static const struct api_field role_fields[] = {
	{.name = "role", .type = T_STRING, .flags = F_REQUIRED | F_OPTION, .help = DOWNLOADER},
	{.name = "users", .type = T_STRINGS, .flags = F_OPTION, .default_json = "[]", .help = "names of users"},
	{.name = "groups", .type = T_STRINGS, .flags = F_OPTION, .default_json = "[]", .help = "names of groups"},
	{.name = NULL},
};

/* False: answered. */
static bool check_role(struct api_ctx *x, const json_t *options)
{
	const char *role = api_row_str(options, "role");

	if (strcmp(role, DOWNLOADER) == 0)
		return true;
	api_reply_field(x, "role", "Role '%s' is not one of this object: it has " DOWNLOADER ".", role);
	return false;
}

typedef int change_fn(struct txn *t, int64_t guard_id, struct slice name, struct err *err);

/* Each name of the option `field`. -ERR_NOTFOUND: answered. */
static int change_each(struct api_ctx *x, struct txn *t, const json_t *row, const json_t *options, const char *field,
	const char *what, change_fn *change, struct err *err)
{
	json_t *list = json_object_get(options, field), *name;
	int rc = 0;
	size_t i;

	json_array_foreach(list, i, name) if (rc == 0)
	{
		rc = change(t, api_row_int(row, "_id"), slice_str(json_string_value(name)), err);
		if (rc == -ERR_NOTFOUND)
			api_reply_field(x, field, "Object with %s=%s does not exist.", what, json_string_value(name));
	}
	return rc;
}

static void change_roles(struct api_ctx *x, const struct api_route *rt, change_fn *user, change_fn *group)
{
	json_t *options = NULL, *row = NULL;
	struct err err = ERR_INIT;
	struct txn *t = NULL;
	int rc = 0;

	if (!api_row_of_route(x, rt, &row))
		return;
	if (!api_options_read(x, role_fields, &options) || !check_role(x, options))
		goto out;
	api_txn_end(x);
	rc = catalog_write(x->api->catalog, &t, &err);
	if (rc == 0)
		rc = change_each(x, t, row, options, "users", "username", user, &err);
	if (rc == 0)
		rc = change_each(x, t, row, options, "groups", "name", group, &err);
	if (rc == 0)
		rc = txn_commit(&t, &err);
	txn_end(&t);
	if (rc == 0)
		api_reply(x, 201, json_incref(options));
	else if (rc != -ERR_NOTFOUND)
		api_reply_err(x, rc, &err);
out:
	json_decref(options);
	json_decref(row);
}

static void add_role(struct api_ctx *x, const struct api_route *rt)
{
	change_roles(x, rt, catalog_guard_grant, catalog_guard_grant_group);
}

static void remove_role(struct api_ctx *x, const struct api_route *rt)
{
	change_roles(x, rt, catalog_guard_revoke, catalog_guard_revoke_group);
}

static void list_roles(struct api_ctx *x, const struct api_route *rt)
{
	struct err err = ERR_INIT;
	json_t *row = NULL, *users, *groups;

	if (!api_row_of_route(x, rt, &row))
		return;
	users = names_of(x, row, catalog_guard_users, NULL);
	groups = names_of(x, row, catalog_guard_groups, NULL);
	if (users == NULL || groups == NULL)
		api_reply_err(x, -ERR_NOMEM, &err);
	else if (json_array_size(users) + json_array_size(groups) == 0)
		api_reply(x, 200, json_pack("{s:[]}", "roles"));
	else
		api_reply(x, 200,
			json_pack("{s:[{s:s, s:O, s:O}]}", "roles", "role", DOWNLOADER, "users", users, "groups",
				groups));
	json_decref(users);
	json_decref(groups);
	json_decref(row);
}

static void my_permissions(struct api_ctx *x, const struct api_route *rt)
{
	json_t *row = NULL;

	if (!api_row_of_route(x, rt, &row))
		return;
	if (x->viewer)
		api_reply(x, 200, json_pack("{s:[s]}", "permissions", "core.view_rbaccontentguard"));
	else
		api_reply(x, 200,
			json_pack("{s:[s, s, s, s, s]}", "permissions", "core.change_rbaccontentguard",
				"core.delete_rbaccontentguard", "core.download_rbaccontentguard",
				"core.manage_roles_rbaccontentguard", "core.view_rbaccontentguard"));
	json_decref(row);
}

#define TEXTS "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"
#define ROLE_SCHEMA \
	"{\"type\":\"object\",\"properties\":{\"role\":{\"type\":\"string\"},\"users\":" TEXTS ",\"groups\":" TEXTS "}}"

static const struct api_action rbac_actions[] = {
	{.name = "add_role",
		.method = HTTP_POST,
		.on_object = true,
		.run = add_role,
		.fields = role_fields,
		.help = "lets users pass",
		.doc = {.body = "NestedRole", .answer = ANSWER_MADE, .schema = ROLE_SCHEMA}},
	{.name = "remove_role",
		.method = HTTP_POST,
		.on_object = true,
		.run = remove_role,
		.fields = role_fields,
		.help = "lets users pass no more",
		.doc = {.body = "NestedRole", .answer = ANSWER_MADE, .schema = ROLE_SCHEMA}},
	{.name = "list_roles",
		.method = HTTP_GET,
		.on_object = true,
		.run = list_roles,
		.help = "whom it lets pass",
		.doc = {.answer = ANSWER_JSON,
			.schema = "{\"type\":\"object\",\"properties\":{\"roles\":{\"type\":\"array\","
				  "\"items\":" ROLE_SCHEMA "}}}"}},
	{.name = "my_permissions",
		.method = HTTP_GET,
		.on_object = true,
		.run = my_permissions,
		.help = "what you may do with it",
		.doc = {.answer = ANSWER_JSON,
			.schema = "{\"type\":\"object\",\"properties\":{\"permissions\":" TEXTS "}}"}},
	{.name = NULL},
};

/* ---- core.composite ---- */

/* Those that are there yet. */
static json_t *show_members(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	const struct api_resource *all = api_resource_by_path(x->api, "contentguards");
	json_t *list = json_array(), *uuid, *member = NULL;
	struct err err = ERR_INIT;
	size_t i;

	json_array_foreach(json_object_get(row, "guards"), i, uuid)
	{
		int rc = api_row_find(x, all, SLICE_NULL, slice_str(json_string_value(uuid)), &member, &err);

		if (rc == 0) {
			json_array_append_new(list, json_string(api_href(x, all, member)));
			json_decref(member);
		} else if (rc != -ERR_NOTFOUND) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static const struct api_field composite_fields[] = {
	GUARD_FIELDS,
	{.name = "guards",
		.type = T_STRINGS,
		.flags = F_NULLABLE | F_OPTION | F_SHOWN,
		.show = show_members,
		.help = "guards of which any one must let pass; without any, everybody passes"},
	{.name = NULL},
};

/* hrefs and PRNs come, uuids are kept. */
static int check_members(struct api_ctx *x, const struct api_resource *r, const json_t *row, json_t *values,
	json_t *options, json_t *problems, struct err *err)
{
	json_t *uuids, *name, *given = json_object_get(options, "guards");
	size_t i;
	int rc = 0;

	if (given == NULL)
		return 0;
	uuids = json_array();
	json_array_foreach(given, i, name)
	{
		struct err why = ERR_INIT;
		json_t *member = NULL;
		struct api_ref ref;

		rc = api_ref_find(x, "contentguards", slice_of(json_string_value(name), json_string_length(name)), &ref,
			&member, &why);
		if (rc == 0 && row != NULL && api_row_int(member, "_id") == api_row_int(row, "_id"))
			api_problem(problems, "guards", "A guard cannot be one of its own.");
		if (rc == 0)
			json_array_append(uuids, json_object_get(member, "uuid"));
		json_decref(member);
		if (rc == -ERR_INVAL)
			api_problem(problems, "guards", "%s", why.msg);
		else if (rc < 0)
			*err = why;
		if (rc < 0 && rc != -ERR_INVAL)
			break;
		rc = 0;
	}
	if (rc == 0)
		json_object_set(values, "guards", uuids);
	json_decref(uuids);
	return rc;
}

/* ---- core.content_redirect ---- */

#define SIGN_S_MAX (7 * 86400)

static const struct api_field redirect_fields[] = {GUARD_FIELDS, {.name = NULL}};
static const struct api_field sign_fields[] = {
	{.name = "url",
		.type = T_STRING,
		.flags = F_REQUIRED | F_OPTION,
		.help = "URL or path of what may be read, as a client asks for it"},
	{.name = "valid",
		.type = T_INTEGER,
		.flags = F_OPTION,
		.default_json = "3600",
		.bounded = true,
		.min = 1,
		.help = "seconds"},
	{.name = NULL},
};

/* The path of a URL, or of a path, below the content prefix; p == NULL: it is none. */
static struct slice content_path(struct api_ctx *x, struct slice url, struct slice *query)
{
	struct slice rest = url, prefix = slice_str(x->api->settings->content_path_prefix), raw;
	struct url parsed;
	size_t n = 0;
	char *path;

	if (url.n > 0 && url.p[0] != '/') {
		if (url_parse(url, &parsed, NULL) < 0)
			return SLICE_NULL;
		raw = parsed.path;
		*query = parsed.query;
	} else {
		raw = slice_cut(&rest, '?');
		*query = rest;
	}
	if (slice_chr(url, '#') >= 0 || (path = arena_alloc(&x->arena, raw.n + 1)) == NULL ||
		url_path_decode(raw, path, raw.n + 1, &n, NULL) < 0 || !slice_starts(slice_of(path, n), prefix))
		return SLICE_NULL;
	return slice_of(path + prefix.n, n - prefix.n);
}

static void sign_url(struct api_ctx *x, const struct api_route *rt)
{
	json_t *options = NULL, *row = NULL;
	struct slice url, path, query = SLICE_NULL;
	struct buf b = BUF_INIT(64 * 1024);
	struct err err = ERR_INIT;
	int64_t valid_s;
	struct uuid uuid;
	int rc;

	if (!api_row_of_route(x, rt, &row))
		return;
	if (!api_options_read(x, sign_fields, &options))
		goto out;
	url = slice_str(api_row_str(options, "url"));
	valid_s = api_row_int(options, "valid");
	path = content_path(x, url, &query);
	if (path.p == NULL) {
		api_reply_field(x, "url", "Not a URL of content of this server.");
		goto out;
	}
	if (valid_s > SIGN_S_MAX) {
		api_reply_field(x, "valid", "Ensure this value is less than or equal to %d.", SIGN_S_MAX);
		goto out;
	}
	(void)buf_add_slice(&b, url);
	if (query.p == NULL)
		(void)buf_adds(&b, "?");
	rc = uuid_parse(slice_str(api_row_str(row, "uuid")), &uuid);
	if (rc == 0 && (rc = b.failed) == 0)
		rc = signature_add(&x->api->signing_key, &uuid, path, query, clock_wall_us() / US_PER_S + valid_s, &b);
	if (rc < 0)
		api_reply_err(x, rc, &err);
	else
		api_reply(x, 201, json_pack("{s:s}", "url", b.p));
out:
	buf_fini(&b);
	json_decref(options);
	json_decref(row);
}

static const struct api_action redirect_actions[] = {
	{.name = "sign_url",
		.method = HTTP_POST,
		.on_object = true,
		.run = sign_url,
		.fields = sign_fields,
		.help = "makes a URL that this guard lets pass for a while",
		.doc = {.body = "SignURL",
			.answer = ANSWER_MADE,
			.schema = "{\"type\":\"object\",\"properties\":{\"url\":{\"type\":\"string\"}}}"}},
	{.name = NULL},
};

/* ---- the kinds ---- */

#define GUARD_KIND                                                                                                \
	.name = "contentguards", .view = "content_guard",                                                         \
	.ops = API_LIST | API_READ | API_CREATE | API_UPDATE | API_DELETE, .create = API_NOW, .update_now = true, \
	.destroy = API_NOW, .filters = filters

static const struct api_field all_fields[] = {GUARD_FIELDS, {.name = NULL}};

const struct api_kind api_kinds_guard = {
	.name = "contentguards",
	.model = "ContentGuard",
	.view = "content_guard",
	.generic = true,
	.ops = API_LIST,
	.fields = all_fields,
	.filters = filters,
};
const struct api_kind api_kinds_guard_header = {
	GUARD_KIND, .plugin = "core", .variant = "header", .model = "HeaderContentGuard", .fields = header_fields};
const struct api_kind api_kinds_guard_rbac = {GUARD_KIND, .plugin = "core", .variant = "rbac",
	.model = "RBACContentGuard", .fields = rbac_fields, .actions = rbac_actions};
const struct api_kind api_kinds_guard_composite = {GUARD_KIND, .plugin = "core", .variant = "composite",
	.model = "CompositeContentGuard", .fields = composite_fields, .check = check_members};
const struct api_kind api_kinds_guard_x509 = {GUARD_KIND, .plugin = "certguard", .variant = "x509",
	.model = "X509CertGuard", .fields = cert_fields, .check = check_trust};
const struct api_kind api_kinds_guard_rhsm = {GUARD_KIND, .plugin = "certguard", .variant = "rhsm",
	.model = "RHSMCertGuard", .fields = cert_fields, .check = check_trust};
const struct api_kind api_kinds_guard_redirect = {GUARD_KIND, .plugin = "core", .variant = "content_redirect",
	.model = "ContentRedirectContentGuard", .fields = redirect_fields, .actions = redirect_actions};
