/* Users, groups, and who is in which. All are addressed by numbers, as in Pulp. A group and its members decide whom rbac guards let pass, so whatever changes
 * them has the guards read anew. */
#include "api/api_priv.h"

#include "base/check.h"
#include "base/clock.h"
#include "catalog/guard.h"

#define NAME_MAX_CHARS 150 /* of users and groups, as in Pulp */
#define NO_PASSWORD "!"    /* what no hash looks like: nobody logs in with it */

#define NUMBERED_FIELDS(model)                                                           \
	{.name = "pulp_href",                                                            \
		.type = T_STRING,                                                        \
		.flags = F_READ_ONLY,                                                    \
		.show = api_show_href,                                                   \
		.help = "path of this object"},                                          \
		{.name = "prn",                                                          \
			.type = T_STRING,                                                \
			.flags = F_READ_ONLY,                                            \
			.show = show_##model##_prn,                                      \
			.help = "name of this object that holds on every server"},       \
	{                                                                                \
		.name = "id", .type = T_INTEGER, .flags = F_READ_ONLY, .help = "number", \
	}

static json_t *show_user_prn(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return json_string(api_text(x, "prn:auth.user:%s", api_row_str(row, "uuid")));
}

static json_t *show_group_prn(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return json_string(api_text(x, "prn:auth.group:%s", api_row_str(row, "uuid")));
}

/* ---- users ---- */

static const char *check_username(struct api_ctx *x, const struct api_field *f, json_t **value)
{
	static const char marks[] = "@.+-_";

	for (const char *p = json_string_value(*value); *p != '\0'; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');

		if (!plain && (unsigned char)*p < 0x80 && strchr(marks, *p) == NULL)
			return "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ "
			       "characters.";
	}
	return NULL;
}

/* What is kept is its hash. On a thread of the API, like all checks: as many at once as there are of those. */
static const char *check_password(struct api_ctx *x, const struct api_field *f, json_t **value)
{
	struct err err = ERR_INIT;
	char hash[256];
	json_t *hashed;

	if (api_password_hash(json_string_value(*value), hash, sizeof(hash), &err) < 0 ||
		(hashed = json_string(hash)) == NULL)
		return "The password cannot be hashed.";
	json_decref(*value);
	*value = hashed;
	return NULL;
}

static json_t *show_hidden(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	const char *password = api_row_str(row, "password");

	return json_pack(
		"[{s:s, s:b}]", "name", "password", "is_set", password != NULL && strcmp(password, NO_PASSWORD) != 0);
}

static json_t *show_groups(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	json_t *list = json_array(), *rows = NULL, *member;
	struct query *q = NULL;
	struct err err = ERR_INIT;
	struct txn *t;
	size_t i;
	int rc;

	if ((rc = api_txn(x, &t, &err)) == 0 && (rc = query_new(view_find("group_member"), &q)) == 0 &&
		(rc = query_where(q, "uuid", QUERY_EQ, slice_str(api_row_str(row, "uuid")), &err)) == 0)
		rc = query_rows(t, q, &rows, &err);
	query_free(&q);
	json_array_foreach(rows, i, member) json_array_append_new(
		list, json_pack("{s:s, s:s}", "name", api_row_str(member, "group_name"), "pulp_href",
			      api_text(x, API_ROOT "groups/%s/", api_row_str(member, "group"))));
	json_decref(rows);
	if (rc < 0) {
		json_decref(list);
		return NULL;
	}
	return list;
}

#define FLAG(name_, default_, help_)                                                      \
	{                                                                                 \
		.name = name_, .type = T_BOOLEAN, .default_json = default_, .help = help_ \
	}
#define SHORT(name_, max_, help_)                                                                    \
	{                                                                                            \
		.name = name_, .type = T_STRING, .flags = F_BLANK, .max_length = max_, .help = help_ \
	}

static const struct api_field user_fields[] = {
	NUMBERED_FIELDS(user),
	{.name = "username",
		.type = T_STRING,
		.flags = F_REQUIRED | F_UNIQUE,
		.max_length = NAME_MAX_CHARS,
		.check = check_username,
		.help = "unique name, to log in with"},
	{.name = "password",
		.type = T_STRING,
		.flags = F_NULLABLE | F_WRITE_ONLY | F_VERBATIM,
		.max_length = 1024,
		.check = check_password,
		.help = "null: nobody can log in as this user"},
	SHORT("first_name", NAME_MAX_CHARS, "first name"),
	SHORT("last_name", NAME_MAX_CHARS, "last name"),
	SHORT("email", 254, "address"),
	FLAG("is_staff", "false", "whether this is an administrator, who may do everything"),
	FLAG("is_active", "true", "whether this user can log in"),
	{.name = "date_joined", .type = T_TIME, .flags = F_READ_ONLY, .help = "when the user was made"},
	{.name = "groups",
		.type = T_JSON,
		.flags = F_READ_ONLY,
		.show = show_groups,
		.schema = "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":"
			  "\"string\"},"
			  "\"pulp_href\":{\"type\":\"string\"}}}}",
		.help = "groups that the user is in"},
	{.name = "hidden_fields",
		.type = T_JSON,
		.flags = F_READ_ONLY,
		.show = show_hidden,
		.schema = "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":"
			  "\"string\"},\"is_set\":{\"type\":\"boolean\"}}}}",
		.help = "which fields that are never shown are set"},
	{.name = NULL},
};

static const struct api_filter user_filters[] = {
	{"username", OPS_STRING, "username", .help = "name"},
	{"first_name", OPS_STRING, "first_name", .help = "first name"},
	{"last_name", OPS_STRING, "last_name", .help = "last name"},
	{"email", OPS_STRING, "email", .help = "address"},
	{"is_active", OPS_EXACT, "is_active", .help = "whether they can log in"},
	{"is_staff", OPS_EXACT, "is_staff", .help = "whether they are administrators"},
	{.name = NULL},
};

/* Somebody must be left who can undo what is done. `*last`: this is the only active administrator by itself (not by a role). */
static int is_last_admin(struct api_ctx *x, const json_t *row, bool *last, struct err *err)
{
	struct query *q = NULL;
	int64_t count = 0;
	struct txn *t;
	int rc;

	*last = false;
	if (!json_is_true(json_object_get(row, "is_staff")) || !json_is_true(json_object_get(row, "is_active")))
		return 0;
	if ((rc = api_txn(x, &t, err)) == 0 && (rc = query_new(view_find("user"), &q)) == 0 &&
		(rc = query_where(q, "is_staff", QUERY_EQ, SLICE("true"), err)) == 0 &&
		(rc = query_where(q, "is_active", QUERY_EQ, SLICE("true"), err)) == 0)
		rc = query_count(t, q, &count, err);
	query_free(&q);
	*last = count <= 1;
	return rc;
}

static int check_user(struct api_ctx *x, const struct api_resource *r, const json_t *row, json_t *values,
	json_t *options, json_t *problems, struct err *err)
{
	const json_t *password = json_object_get(values, "password");
	bool last = false;
	int rc = 0;

	if (json_is_null(password) || (row == NULL && password == NULL))
		json_object_set_new(values, "password", json_string(NO_PASSWORD));
	if (row != NULL && (json_is_false(json_object_get(values, "is_staff")) ||
				   json_is_false(json_object_get(values, "is_active"))))
		rc = is_last_admin(x, row, &last, err);
	if (last)
		api_problem(problems, "non_field_errors", "The last administrator has to stay one.");
	return rc;
}

static int insert_user(
	struct txn *t, const struct api_resource *r, json_t *values, int64_t *id, struct uuid *uuid, struct err *err)
{
	char iso[CLOCK_ISO_MAX];

	json_object_set_new(values, "date_joined", json_string(clock_iso(clock_wall_us(), iso)));
	return row_insert(t, r->view, NULL, values, id, uuid, err);
}

/* Deletes a row that guards may go by. */
void api_destroy_touching_guards(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	struct err err = ERR_INIT;
	struct txn *t = NULL;
	int rc;

	api_txn_end(x);
	if ((rc = catalog_write(x->api->catalog, &t, &err)) == 0 && (rc = catalog_guards_touch(t, &err)) == 0 &&
		(rc = row_delete_in(t, r->view, api_row_int(row, "_id"), &err)) == 0)
		rc = txn_commit(&t, &err);
	txn_end(&t);
	if (rc < 0 && rc != -ERR_NOTFOUND)
		api_reply_err(x, rc, &err);
	else
		x->res->status = 204;
}

static void destroy_user(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	struct err err = ERR_INIT;
	bool last;
	int rc = is_last_admin(x, row, &last, &err);

	if (rc < 0)
		api_reply_err(x, rc, &err);
	else if (last)
		api_reply_bare(x, "The last administrator cannot be deleted.");
	else
		api_destroy_touching_guards(x, r, row);
}

const struct api_kind api_kinds_user = {
	.name = "users",
	.model = "AuthUser",
	.view = "user",
	.ops = API_LIST | API_READ | API_CREATE | API_UPDATE | API_DELETE,
	.create = API_NOW,
	.destroy = API_NOW,
	.update_now = true,
	.fields = user_fields,
	.filters = user_filters,
	.check = check_user,
	.insert = insert_user,
	.destroy_by = destroy_user,
};

/* ---- groups ---- */

static const struct api_field group_fields[] = {
	NUMBERED_FIELDS(group),
	{.name = "name",
		.type = T_STRING,
		.flags = F_REQUIRED | F_UNIQUE,
		.max_length = NAME_MAX_CHARS,
		.help = "unique name"},
	{.name = NULL},
};

static const struct api_filter group_filters[] = {
	{"name", OPS_STRING, "name", .help = "name"},
	{.name = NULL},
};

static int insert_group(
	struct txn *t, const struct api_resource *r, json_t *values, int64_t *id, struct uuid *uuid, struct err *err)
{
	char iso[CLOCK_ISO_MAX];

	json_object_set_new(values, "created", json_string(clock_iso(clock_wall_us(), iso)));
	return row_insert(t, r->view, NULL, values, id, uuid, err);
}

const struct api_kind api_kinds_group = {
	.name = "groups",
	.model = "Group",
	.view = "group",
	.ops = API_LIST | API_READ | API_CREATE | API_UPDATE | API_DELETE,
	.create = API_NOW,
	.destroy = API_NOW,
	.update_now = true,
	.fields = group_fields,
	.filters = group_filters,
	.insert = insert_group,
	.destroy_by = api_destroy_touching_guards,
};

/* ---- members ---- */

static json_t *show_member_href(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return json_string(api_text(x, API_ROOT "users/%s/", api_row_str(row, "uuid")));
}

static json_t *show_username(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return json_incref(json_object_get(row, "username"));
}

static const struct api_field member_fields[] = {
	{.name = "pulp_href",
		.type = T_STRING,
		.flags = F_READ_ONLY,
		.show = show_member_href,
		.help = "path of the user"},
	{.name = "prn",
		.type = T_STRING,
		.flags = F_READ_ONLY,
		.show = show_user_prn,
		.help = "name of the user that holds on every server"},
	{.name = "username",
		.type = T_STRING,
		.flags = F_REQUIRED | F_OPTION | F_SHOWN,
		.max_length = NAME_MAX_CHARS,
		.show = show_username,
		.help = "name of the user"},
	{.name = NULL},
};

static const struct api_filter member_filters[] = {
	{"username", OPS_STRING, "username", .help = "name"},
	{.name = NULL},
};

bool api_parent_row(struct api_ctx *x, const char *kind, json_t **row)
{
	const struct api_resource *r = api_resource_by_path(x->api, kind);
	struct err err = ERR_INIT;
	int rc = api_row_find(x, r, SLICE_NULL, x->route_parent, row, &err);

	if (rc == -ERR_NOTFOUND)
		api_reply_no_object(x, r);
	else if (rc < 0)
		api_reply_err(x, rc, &err);
	return rc == 0;
}

static int add_member(
	struct api_ctx *x, const struct api_resource *r, const json_t *group, const json_t *user, struct err *err)
{
	char iso[CLOCK_ISO_MAX];
	json_t *values = json_pack("{s:O, s:O, s:s}", "group_id", json_object_get(group, "_id"), "user_id",
		json_object_get(user, "_id"), "created", clock_iso(clock_wall_us(), iso));
	struct txn *t = NULL;
	int64_t id;
	int rc;

	api_txn_end(x);
	rc = values != NULL ? catalog_write(x->api->catalog, &t, err) : err_set(err, -ERR_NOMEM, "no memory");
	if (rc == 0 && (rc = catalog_guards_touch(t, err)) == 0 &&
		(rc = row_insert(t, r->view, NULL, values, &id, NULL, err)) == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	json_decref(values);
	return rc == -ERR_EXISTS ? 0 : rc; /* twice is once */
}

static void create_member(struct api_ctx *x, const struct api_resource *r, json_t *values, json_t *options)
{
	const struct api_resource *users = api_resource_by_path(x->api, "users");
	const char *name = api_row_str(options, "username");
	json_t *group = NULL, *user = NULL, *row = NULL;
	struct err err = ERR_INIT;
	int rc;

	if (!api_parent_row(x, "groups", &group))
		return;
	rc = api_row_by(x, users, "username", name, &user, &err);
	if (rc == -ERR_NOTFOUND) {
		api_reply_field(x, "username", "User with username=%s does not exist.", name);
		goto out;
	}
	if (rc == 0)
		rc = add_member(x, r, group, user, &err);
	if (rc == 0)
		rc = api_row_find(x, r, x->route_parent, slice_str(api_row_str(user, "uuid")), &row, &err);
	if (rc == 0)
		api_reply(x, 201, api_show_row(x, r, row, NULL));
	else
		api_reply_err(x, rc, &err);
out:
	json_decref(group);
	json_decref(user);
	json_decref(row);
}

const struct api_kind api_kinds_group_member = {
	.name = "groups/*/users",
	.model = "GroupsUser",
	.view = "group_member",
	.below = "groups",
	.parent_column = "group",
	.ops = API_LIST | API_CREATE | API_DELETE,
	.create = API_NOW,
	.destroy = API_NOW,
	.fields = member_fields,
	.filters = member_filters,
	.create_by = create_member,
	.destroy_by = api_destroy_touching_guards,
};
