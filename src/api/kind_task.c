/* Tasks, task groups and workers: what is being done, and by whom. */
#include "api/api_priv.h"

#include "base/check.h"
#include "base/clock.h"
#include "catalog/task.h"

static const char *const states[] = {
#define X(NAME, name) #name,
	TASK_STATES(X)
#undef X
		NULL,
};

/* ---- what hangs on a task ---- */

/* Rows of `view` with this value, in the order they were made in. NULL on errors, which are logged. */
static json_t *rows_of(struct api_ctx *x, const char *view, const char *column, const char *value)
{
	struct err err = ERR_INIT;
	struct query *q = NULL;
	json_t *rows = NULL;
	struct txn *t;

	if (api_txn(x, &t, &err) < 0 || query_new(view_find(view), &q) < 0)
		return NULL;
	if (query_where(q, column, QUERY_EQ, slice_str(value), &err) < 0 || query_rows(t, q, &rows, &err) < 0)
		rows = NULL;
	query_free(&q);
	return rows;
}

static const char *id_of(struct api_ctx *x, const json_t *row)
{
	return api_text(x, "%lld", (long long)api_row_int(row, "_id"));
}

/* Views give the newest first. */
#define FOREACH_BACKWARDS(rows, i, row) \
	for (i = json_array_size(rows); i-- > 0 && (row = json_array_get(rows, i)) != NULL;)

static json_t *show_created_by(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	int64_t id = api_row_int(row, "created_by");

	return id == 0 ? json_null() : json_string(api_text(x, API_ROOT "users/%lld/", (long long)id));
}

static json_t *show_children(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	json_t *rows = rows_of(x, "task", "parent_task", api_row_str(row, "uuid")), *list = json_array(), *child;
	size_t i;

	FOREACH_BACKWARDS(rows, i, child)
	json_array_append_new(list, json_string(api_href_by(x, "tasks", NULL, api_row_str(child, "uuid"))));
	json_decref(rows);
	return list;
}

static json_t *show_progress(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	static const char *const members[] = {"message", "code", "state", "total", "done", "suffix"};
	json_t *rows = rows_of(x, "progress", "task", id_of(x, row)), *list = json_array(), *report;
	size_t i;

	FOREACH_BACKWARDS(rows, i, report)
	{
		json_t *one = json_object();

		for (size_t k = 0; k < ARRAY_LEN(members); k++)
			json_object_set(one, members[k], json_object_get(report, members[k]));
		json_array_append_new(list, one);
	}
	json_decref(rows);
	return list;
}

/* Is what the task made still there? */
static bool still_there(struct api_ctx *x, const char *href)
{
	struct err err = ERR_INIT;
	struct api_ref ref;
	json_t *row = NULL;
	bool there;

	there = api_ref_parse(x->api, slice_str(href), &ref) == 0 && api_ref_row(x, &ref, &row, &err) == 0;
	json_decref(row);
	return there;
}

static json_t *show_created_as(struct api_ctx *x, const json_t *row, const char *member)
{
	json_t *rows = rows_of(x, "task_created", "task", id_of(x, row)), *list = json_array(), *made;
	size_t i;

	FOREACH_BACKWARDS(rows, i, made)
	json_array_append_new(list,
		json_string(still_there(x, api_row_str(made, "href")) ? api_row_str(made, member) : "<unavailable>"));
	json_decref(rows);
	return list;
}

static json_t *show_created(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return show_created_as(x, row, "href");
}

static json_t *show_created_prns(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return show_created_as(x, row, "prn");
}

static json_t *show_reserved(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	json_t *rows = rows_of(x, "task_resource", "task", id_of(x, row)), *list = json_array(), *held;
	size_t i;

	FOREACH_BACKWARDS(rows, i, held)
	json_array_append_new(
		list, json_string(api_text(x, "%s%s", json_is_true(json_object_get(held, "exclusive")) ? "" : "shared:",
			      api_row_str(held, "resource"))));
	json_decref(rows);
	return list;
}

static json_t *show_version(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	return json_string("v3");
}

/* What reports of one task and of a group have alike. */
#define SUM_SCHEMA                                                                            \
	"\"message\":{\"type\":\"string\"},\"code\":{\"type\":\"string\"},"                   \
	"\"total\":{\"type\":\"integer\",\"nullable\":true},\"done\":{\"type\":\"integer\"}," \
	"\"suffix\":{\"type\":\"string\",\"nullable\":true}"

#define RO_TEXT(name_, extra_flags, help_)                                                           \
	{                                                                                            \
		.name = name_, .type = T_STRING, .flags = F_READ_ONLY | (extra_flags), .help = help_ \
	}
#define RO_TIME(name_, help_)                                                                               \
	{                                                                                                   \
		.name = name_, .type = T_TIME, .flags = F_READ_ONLY | F_NULLABLE | F_MINIMAL, .help = help_ \
	}

static const struct api_field task_fields[] = {
	API_COMMON_FIELDS,
	{.name = "pulp_api_version",
		.type = T_STRING,
		.flags = F_READ_ONLY | F_MINIMAL,
		.show = show_version,
		.help = "version of the API"},
	RO_TEXT("state", F_MINIMAL, "waiting, skipped, running, completed, failed, canceled or canceling"),
	RO_TEXT("name", F_MINIMAL, "what is done"),
	RO_TEXT("logging_cid", 0, "Correlation-ID of the request that made it"),
	{.name = "created_by",
		.type = T_STRING,
		.flags = F_READ_ONLY | F_NULLABLE,
		.show = show_created_by,
		.help = "user who made it"},
	RO_TIME("unblocked_at", "when its resources were free"),
	RO_TIME("started_at", "when it began to run"),
	RO_TIME("finished_at", "when it ended"),
	{.name = "error",
		.type = T_JSON,
		.flags = F_READ_ONLY | F_NULLABLE,
		.help = "why it failed",
		.schema = "{\"type\":\"object\",\"additionalProperties\":{}}"},
	{.name = "worker",
		.type = T_STRING,
		.flags = F_READ_ONLY | F_NULLABLE | F_MINIMAL,
		.show = api_show_null,
		.help = "no longer told"},
	{.name = "parent_task",
		.type = T_REF,
		.flags = F_READ_ONLY | F_NULLABLE,
		.kind = "tasks",
		.help = "task that made it"},
	{.name = "child_tasks",
		.type = T_STRINGS,
		.flags = F_READ_ONLY,
		.show = show_children,
		.help = "tasks that it made"},
	{.name = "task_group",
		.type = T_REF,
		.flags = F_READ_ONLY | F_NULLABLE,
		.kind = "task-groups",
		.help = "group that it belongs to"},
	{.name = "progress_reports",
		.type = T_JSON,
		.flags = F_READ_ONLY,
		.show = show_progress,
		.help = "how far it is",
		.schema = "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{" SUM_SCHEMA
			  ",\"state\":{\"type\":\"string\"}}}}"},
	{.name = "created_resources",
		.type = T_STRINGS,
		.flags = F_READ_ONLY,
		.show = show_created,
		.help = "hrefs of what it made"},
	{.name = "created_resource_prns",
		.type = T_STRINGS,
		.flags = F_READ_ONLY,
		.show = show_created_prns,
		.help = "PRNs of what it made"},
	{.name = "reserved_resources_record",
		.type = T_STRINGS,
		.flags = F_READ_ONLY,
		.show = show_reserved,
		.help = "what it had or has for itself or shares"},
	{.name = "result",
		.type = T_JSON,
		.flags = F_READ_ONLY | F_NULLABLE | F_ADMIN,
		.help = "what it found or made"},
	{.name = NULL},
};

/* ---- filters ---- */

/* Reservations are known by PRN; an href is looked up as its PRN. All of several must be held. */
static int filter_reserved(struct api_ctx *x, const struct api_resource *r, struct query *q, const struct api_filter *f,
	enum query_op op, struct slice value, struct err *err)
{
	struct slice rest = value;
	int rc = 0;

	query_open(q, QUERY_AND);
	while (rc == 0 && rest.p != NULL) {
		struct slice one = op == QUERY_IN ? slice_trim(slice_cut(&rest, ',')) : value;
		const char *condition = f->column;
		char uuid[UUID_STR];
		struct api_ref ref;
		json_t *row = NULL;

		if (op != QUERY_IN)
			rest = SLICE_NULL;
		if (op == QUERY_IN && one.n == 0)
			continue;
		if (slice_starts(one, SLICE("shared:")) && strcmp(condition, "reserves") == 0) {
			condition = "reserves_shared";
			one = slice_of(one.p + 7, one.n - 7);
		}
		if (slice_starts(one, SLICE("/")) && api_ref_parse(x->api, one, &ref) == 0 && !ref.is_type) {
			if (ref.has_uuid)
				one = slice_str(api_prn(x, ref.resource, uuid_str(&ref.uuid, uuid)));
			else if (api_ref_row(x, &ref, &row, err) == 0)
				one = slice_str(api_prn(x, ref.resource, api_row_str(row, "uuid")));
			json_decref(row);
		}
		rc = query_condition(q, condition, &one, 1, err);
	}
	query_close(q);
	return rc;
}

static int filter_created(struct api_ctx *x, const struct api_resource *r, struct query *q, const struct api_filter *f,
	enum query_op op, struct slice value, struct err *err)
{
	struct slice rest = value;
	int rc = 0;

	query_open(q, QUERY_AND);
	while (rc == 0 && rest.p != NULL) {
		struct slice one = op == QUERY_IN ? slice_trim(slice_cut(&rest, ',')) : value, href;
		struct api_ref ref;
		json_t *row = NULL;

		if (op != QUERY_IN)
			rest = SLICE_NULL;
		if (!slice_is_utf8(one) || api_ref_parse(x->api, one, &ref) < 0 || ref.is_type) {
			x->filter_bare = true;
			rc = err_set(err, -ERR_INVAL, "URI not valid: %.*s",
				SLICE_ARG(slice_is_utf8(one) ? one : SLICE("?")));
			break;
		}
		href = one;
		/* hrefs are what is recorded; of a PRN its object tells the href */
		if (slice_starts(one, SLICE("prn:")) && api_ref_row(x, &ref, &row, err) == 0)
			href = slice_str(api_href(x, ref.resource, row));
		rc = query_condition(q, f->column, &href, 1, err);
		json_decref(row);
	}
	query_close(q);
	return rc;
}

static const struct api_filter task_filters[] = {
	{"state", OP(EQ) | OP(IN) | OP(NE), "state", .choices = states, .help = "state"},
	{"name", OP(EQ) | OP(CONTAINS) | OP(IN) | OP(NE), "name", .help = "what is done"},
	{"logging_cid", OP(EQ) | OP(CONTAINS), "logging_cid", .help = "Correlation-ID"},
	{"unblocked_at", OPS_TIME, "unblocked_at", .help = "when its resources were free"},
	{"started_at", OPS_TIME, "started_at", .help = "when it began to run"},
	{"finished_at", OPS_TIME, "finished_at", .help = "when it ended"},
	{"parent_task", OPS_EXACT, "parent_task", .apply = api_filter_ref, .kind = "tasks",
		.help = "task that made it"},
	{"child_tasks", OPS_EXACT, "child", .apply = api_filter_content, .kind = "tasks",
		.help = "a task that it made"},
	{"task_group", OPS_EXACT, "task_group", .apply = api_filter_ref, .kind = "task-groups",
		.help = "group that it belongs to"},
	{"worker", OP(EQ) | OP(IN), "worker", .apply = api_filter_ref, .kind = "workers",
		.help = "worker that runs it"},
	{"created_resources", OP(EQ) | OP(IN), "created", .apply = filter_created, .help = "href of what it made"},
	{"reserved_resources", OP(EQ) | OP(IN), "reserves", .apply = filter_reserved, .help = "what it reserves"},
	{"exclusive_resources", OP(EQ) | OP(IN), "reserves_exclusive", .apply = filter_reserved,
		.help = "what it has for itself"},
	{"shared_resources", OP(EQ) | OP(IN), "reserves_shared", .apply = filter_reserved, .help = "what it shares"},
	{.name = NULL},
};

/* ---- cancel and delete ---- */

static void reply_task(struct api_ctx *x, const struct api_route *rt, int status)
{
	json_t *row;

	api_txn_end(x);
	if (!api_row_of_route(x, rt, &row))
		return;
	api_reply(x, status, api_show_row(x, rt->resource, row, NULL));
	json_decref(row);
}

static int cancel(struct api_ctx *x, const char *uuid_text, struct err *err)
{
	enum task_state now = TASK_WAITING;
	struct txn *t = NULL;
	struct uuid uuid;
	int rc;

	if (uuid_parse(slice_str(uuid_text), &uuid) < 0)
		return err_set(err, -ERR_INVAL, "not a UUID");
	api_txn_end(x);
	if ((rc = catalog_write(x->api->catalog, &t, err)) < 0)
		return rc;
	if ((rc = catalog_task_cancel(t, &uuid, &now, err)) == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	/* a write lock that could not be had is not the end of a task */
	return rc == -ERR_BUSY ? -ERR_EXISTS : rc;
}

static const struct api_field cancel_fields[] = {
	{.name = "state", .type = T_STRING, .flags = F_REQUIRED | F_OPTION, .help = "\"canceled\""},
	{.name = NULL},
};

static bool wants_cancel(struct api_ctx *x)
{
	const char *state;

	if (!api_body_read(x))
		return false;
	state = api_row_str(x->body, "state");
	if (state != NULL && strcmp(state, "canceled") == 0)
		return true;
	api_reply_field(x, "state", "The only acceptable value for 'state' is 'canceled'.");
	return false;
}

static void action_cancel(struct api_ctx *x, const struct api_route *rt)
{
	struct err err = ERR_INIT;
	enum task_state state = TASK_WAITING;
	json_t *row;
	int rc;

	if (!api_row_of_route(x, rt, &row))
		return;
	if (!wants_cancel(x))
		goto out;
	(void)task_state_parse(slice_str(api_row_str(row, "state")), &state);
	rc = task_state_is_final(state) ? -ERR_EXISTS : cancel(x, api_row_str(row, "uuid"), &err);
	if (rc == 0)
		reply_task(x, rt, 200);
	else if (rc == -ERR_EXISTS)
		reply_task(x, rt, 409);
	else
		api_reply_err(x, rc, &err);
out:
	json_decref(row);
}

static void destroy_by(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	enum task_state state = TASK_WAITING;
	struct err err = ERR_INIT;
	int rc;

	(void)task_state_parse(slice_str(api_row_str(row, "state")), &state);
	if (!task_state_is_final(state)) {
		api_reply_detail(x, 409, "The task has not ended yet.");
		return;
	}
	api_txn_end(x);
	if ((rc = row_delete(x->api->catalog, r->view, api_row_int(row, "_id"), &err)) < 0 && rc != -ERR_NOTFOUND)
		api_reply_err(x, rc, &err);
	else
		x->res->status = 204;
}

/* "" is the object itself. */
static const struct api_action task_actions[] = {
	{"", HTTP_PATCH, true, action_cancel, cancel_fields, "cancels it: {\"state\": \"canceled\"}",
		{.id = "cancel", .body = "PatchedTaskCancel", .answer = ANSWER_OBJECT, .conflict = true}},
	{"purge", HTTP_POST, false, api_action_purge, api_purge_fields, "deletes tasks that ended before a date",
		{.body = "Purge", .answer = ANSWER_TASK}},
	{.name = NULL},
};

const struct api_kind api_kinds_task = {
	.name = "tasks",
	.model = "Task",
	.view = "task",
	.ops = API_LIST | API_READ | API_DELETE,
	.fields = task_fields,
	.filters = task_filters,
	.actions = task_actions,
	.destroy_by = destroy_by,
};

/* ---- groups ---- */

static json_t *show_group_tasks(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	const struct api_resource *tasks = api_resource_of(x->api, "tasks", NULL);
	json_t *rows = rows_of(x, "task", "task_group", api_row_str(row, "uuid")), *list = json_array(), *task;
	size_t i;

	FOREACH_BACKWARDS(rows, i, task)
	json_array_append_new(list, api_show_minimal(x, tasks, task));
	json_decref(rows);
	return list;
}

/* The reports of its tasks, added up by code. */
static json_t *show_group_progress(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	json_t *tasks = rows_of(x, "task", "task_group", api_row_str(row, "uuid")), *by_code = json_object(),
	       *list = json_array(), *task, *report, *sum;
	const char *code;
	size_t i, k;

	json_array_foreach(tasks, i, task)
	{
		json_t *rows = rows_of(x, "progress", "task", id_of(x, task));

		json_array_foreach(rows, k, report)
		{
			code = api_row_str(report, "code");
			if ((sum = json_object_get(by_code, code)) == NULL) {
				sum = json_pack("{s:O, s:s, s:i, s:i, s:O}", "message",
					json_object_get(report, "message"), "code", code, "total", 0, "done", 0,
					"suffix", json_object_get(report, "suffix"));
				json_object_set_new(by_code, code, sum);
			}
			json_object_set_new(
				sum, "total", json_integer(api_row_int(sum, "total") + api_row_int(report, "total")));
			json_object_set_new(
				sum, "done", json_integer(api_row_int(sum, "done") + api_row_int(report, "done")));
		}
		json_decref(rows);
	}
	json_object_foreach(by_code, code, sum) json_array_append(list, sum);
	json_decref(tasks);
	json_decref(by_code);
	return list;
}

#define COUNTER(state)                                                                                               \
	{                                                                                                            \
		.name = #state, .type = T_INTEGER, .flags = F_READ_ONLY, .help = "how many of its tasks are " #state \
	}

static const struct api_field group_fields[] = {
	API_COMMON_FIELDS,
	RO_TEXT("description", 0, "what it is about"),
	{.name = "all_tasks_dispatched",
		.type = T_BOOLEAN,
		.flags = F_READ_ONLY,
		.help = "whether more tasks will join it"},
	COUNTER(waiting),
	COUNTER(skipped),
	COUNTER(running),
	COUNTER(completed),
	COUNTER(canceled),
	COUNTER(failed),
	COUNTER(canceling),
	{.name = "group_progress_reports",
		.type = T_JSON,
		.flags = F_READ_ONLY,
		.show = show_group_progress,
		.help = "how far they are",
		.schema = "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{" SUM_SCHEMA "}}}"},
	{.name = "tasks",
		.type = T_JSON,
		.flags = F_READ_ONLY,
		.show = show_group_tasks,
		.help = "its tasks",
		.schema = "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"additionalProperties\":{}}}"},
	{.name = NULL},
};

static void action_cancel_group(struct api_ctx *x, const struct api_route *rt)
{
	json_t *row, *rows = NULL, *task;
	struct err err = ERR_INIT;
	size_t i;
	int rc;

	if (!api_row_of_route(x, rt, &row))
		return;
	if (!wants_cancel(x))
		goto out;
	rows = rows_of(x, "task", "task_group", api_row_str(row, "uuid"));
	json_array_foreach(rows, i, task)
	{
		enum task_state state = TASK_WAITING;

		(void)task_state_parse(slice_str(api_row_str(task, "state")), &state);
		if (task_state_is_final(state))
			continue;
		if ((rc = cancel(x, api_row_str(task, "uuid"), &err)) < 0 && rc != -ERR_EXISTS && rc != -ERR_NOTFOUND) {
			api_reply_err(x, rc, &err);
			goto out;
		}
	}
	reply_task(x, rt, 200);
out:
	json_decref(rows);
	json_decref(row);
}

static const struct api_filter no_filters[] = {{.name = NULL}};
static const struct api_action group_actions[] = {
	{"", HTTP_PATCH, true, action_cancel_group, cancel_fields, "cancels its tasks: {\"state\": \"canceled\"}",
		{.id = "cancel", .body = "PatchedTaskCancel", .answer = ANSWER_OBJECT}},
	{.name = NULL},
};

const struct api_kind api_kinds_task_group = {
	.name = "task-groups",
	.model = "TaskGroup",
	.view = "task_group",
	.ops = API_LIST | API_READ,
	.fields = group_fields,
	.filters = no_filters,
	.actions = group_actions,
};

/* ---- workers ---- */

static const struct api_field worker_fields[] = {
	API_COMMON_FIELDS,
	RO_TEXT("name", 0, "PID@HOST"),
	{.name = "last_heartbeat", .type = T_TIME, .flags = F_READ_ONLY, .help = "when it last said that it lives"},
	{.name = "versions",
		.type = T_JSON,
		.flags = F_READ_ONLY,
		.help = "versions of its components",
		.schema = "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}"},
	{.name = "current_task",
		.type = T_STRING,
		.flags = F_READ_ONLY | F_NULLABLE,
		.show = api_show_null,
		.help = "no longer told"},
	{.name = NULL},
};

/* online: its heartbeat is younger than the limit; missing: it is not. */
static int filter_alive(struct api_ctx *x, const struct api_resource *r, struct query *q, const struct api_filter *f,
	enum query_op op, struct slice value, struct err *err)
{
	char iso[CLOCK_ISO_MAX];
	bool wanted;

	if (!api_bool_parse(value, &wanted))
		return err_set(err, -ERR_INVAL, "Enter true or false.");
	wanted = strcmp(f->name, "online") == 0 ? wanted : !wanted;
	(void)clock_iso(clock_wall_us() - x->api->settings->tasks_worker_ttl * 1000, iso);
	return query_where(q, "last_heartbeat", wanted ? QUERY_GTE : QUERY_LT, slice_str(iso), err);
}

static const struct api_filter worker_filters[] = {
	{"name", OPS_STRING, "name", .help = "name"},
	{"last_heartbeat", OPS_TIME, "last_heartbeat", .help = "when it last said that it lives"},
	{"online", OPS_EXACT, .apply = filter_alive, .help = "whether it lives", .type = T_BOOLEAN},
	{"missing", OPS_EXACT, .apply = filter_alive, .help = "whether it does not", .type = T_BOOLEAN},
	{.name = NULL},
};

const struct api_kind api_kinds_worker = {
	.name = "workers",
	.model = "Worker",
	.view = "worker",
	.only_column = "kind",
	.only_value = "worker",
	.ops = API_LIST | API_READ,
	.fields = worker_fields,
	.filters = worker_filters,
};
