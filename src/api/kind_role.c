/* Roles, and who has them everywhere: sluice.admin and sluice.viewer. Roles on one object are given there (kind_guard.c). What roles allow is
 * decided in auth.c; here they are only said. */
#include "api/api_priv.h"

#include "base/check.h"

#define TEXTS "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"

static const struct api_field role_fields[] = {
	API_COMMON_FIELDS,
	{.name = "name", .type = T_STRING, .flags = F_READ_ONLY, .help = "unique name"},
	{.name = "description", .type = T_STRING, .flags = F_READ_ONLY, .help = "what it is for"},
	{.name = "permissions", .type = T_JSON, .flags = F_READ_ONLY, .schema = TEXTS, .help = "what it allows"},
	{.name = "locked", .type = T_BOOLEAN, .flags = F_READ_ONLY, .help = "true: nobody can change it"},
	{.name = NULL},
};

static const struct api_filter role_filters[] = {
	{"name", OPS_STRING, "name", .help = "name"},
	{"description", OPS_STRING, "description", .help = "description"},
	{"locked", OPS_EXACT, "locked", .help = "whether it can be changed"},
	{.name = NULL},
};

const struct api_kind api_kinds_role = {
	.name = "roles",
	.model = "Role",
	.view = "role",
	.ops = API_LIST | API_READ,
	.fields = role_fields,
	.filters = role_filters,
};

/* ---- who has one ---- */

static json_t *show_href(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	const char *parent = api_row_str(row, r->kind->parent_column);

	return json_string(api_text(x, API_ROOT "%s/%s/roles/%s/", r->kind->below, parent, api_row_str(row, "uuid")));
}

static json_t *show_role(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return json_incref(json_object_get(row, "role"));
}

static const char *check_role(struct api_ctx *x, const struct api_field *f, json_t **value)
{
	const char *name = json_string_value(*value);

	if (strcmp(name, "sluice.admin") == 0 || strcmp(name, "sluice.viewer") == 0)
		return NULL;
	return api_text(x, "Role '%s' is not one for everything: there are sluice.admin and sluice.viewer.", name);
}

static const char *check_object(struct api_ctx *x, const struct api_field *f, json_t **value)
{
	return "A role on one object is given by add_role/ of that object.";
}

#define NO_OBJECT(name_)                                                                                          \
	{                                                                                                         \
		.name = name_, .type = T_STRING, .flags = F_NULLABLE | F_OPTION | F_SHOWN, .check = check_object, \
		.show = api_show_null, .help = "null: the role counts everywhere"                                 \
	}

static const struct api_field assignment_fields[] = {
	{.name = "pulp_href", .type = T_STRING, .flags = F_READ_ONLY, .show = show_href, .help = "path of this object"},
	{.name = "prn",
		.type = T_STRING,
		.flags = F_READ_ONLY,
		.show = api_show_prn,
		.help = "name of this object that holds on every server"},
	{.name = "pulp_created", .type = T_TIME, .flags = F_READ_ONLY, .column = "created", .help = "when it was made"},
	{.name = "pulp_last_updated",
		.type = T_TIME,
		.flags = F_READ_ONLY,
		.column = "updated",
		.help = "when it was changed last"},
	{.name = "role",
		.type = T_STRING,
		.flags = F_REQUIRED | F_OPTION | F_SHOWN,
		.check = check_role,
		.show = show_role,
		.help = "sluice.admin or sluice.viewer"},
	NO_OBJECT("content_object"),
	NO_OBJECT("content_object_prn"),
	NO_OBJECT("domain"),
	{.name = "description", .type = T_STRING, .flags = F_READ_ONLY, .help = "what the role is for"},
	{.name = "permissions", .type = T_JSON, .flags = F_READ_ONLY, .schema = TEXTS, .help = "what it allows"},
	{.name = NULL},
};

/* Every assignment here counts everywhere: none is on an object, or of a domain. */
static int filter_object(struct api_ctx *x, const struct api_resource *r, struct query *q, const struct api_filter *f,
	enum query_op op, struct slice value, struct err *err)
{
	if (value.n == 0 || slice_eq(value, SLICE("null")))
		return 0;
	return query_where(q, "role", QUERY_EQ, SLICE(""), err); /* which no role is called */
}

static const struct api_filter assignment_filters[] = {
	{"role", OPS_STRING, "role", .help = "name of the role"},
	{"content_object", OPS_EXACT, .apply = filter_object, .nullable = true,
		.help = "null: those that count everywhere, all"},
	{"domain", OPS_EXACT, .apply = filter_object, .nullable = true, .help = "likewise"},
	{.name = NULL},
};

static int assign(struct api_ctx *x, const struct api_resource *r, const json_t *parent, const json_t *role,
	struct uuid *uuid, struct err *err)
{
	json_t *values = json_pack("{s:O, s:O}", "role_id", json_object_get(role, "_id"),
		api_text(x, "%s_id", r->kind->parent_column), json_object_get(parent, "_id"));
	struct txn *t = NULL;
	int64_t id;
	int rc;

	api_txn_end(x);
	rc = values != NULL ? catalog_write(x->api->catalog, &t, err) : err_set(err, -ERR_NOMEM, "no memory");
	if (rc == 0 && (rc = row_insert(t, r->view, NULL, values, &id, uuid, err)) == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	json_decref(values);
	return rc;
}

static void create(struct api_ctx *x, const struct api_resource *r, json_t *values, json_t *options)
{
	json_t *parent = NULL, *role = NULL, *row = NULL;
	const char *name = api_row_str(options, "role");
	struct err err = ERR_INIT;
	char text[UUID_STR];
	struct uuid uuid;
	int rc;

	if (!api_parent_row(x, r->kind->below, &parent))
		return;
	rc = api_row_by(x, api_resource_by_path(x->api, "roles"), "name", name, &role, &err);
	if (rc == 0)
		rc = assign(x, r, parent, role, &uuid, &err);
	if (rc == 0)
		rc = api_row_find(x, r, x->route_parent, slice_str(uuid_str(&uuid, text)), &row, &err);
	if (rc == 0) {
		api_reply_location(
			x, api_text(x, API_ROOT "%s/%.*s/roles/%s/", r->kind->below, SLICE_ARG(x->route_parent), text));
		api_reply(x, 201, api_show_row(x, r, row, NULL));
	} else if (rc == -ERR_EXISTS) {
		api_reply_field(x, "non_field_errors", "The role %s is already assigned.", name);
	} else {
		api_reply_err(x, rc, &err);
	}
	json_decref(parent);
	json_decref(role);
	json_decref(row);
}

#define ASSIGNMENT_KIND                                                                                     \
	.view = "role_assignment", .ops = API_LIST | API_READ | API_CREATE | API_DELETE, .create = API_NOW, \
	.destroy = API_NOW, .fields = assignment_fields, .filters = assignment_filters, .create_by = create

const struct api_kind api_kinds_user_role = {ASSIGNMENT_KIND, .name = "users/*/roles", .model = "AuthUsersUserRole",
	.below = "users", .parent_column = "user"};
const struct api_kind api_kinds_group_role = {ASSIGNMENT_KIND, .name = "groups/*/roles", .model = "GroupsGroupRole",
	.below = "groups", .parent_column = "group"};
