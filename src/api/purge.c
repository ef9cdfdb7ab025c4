/* tasks/purge/: deleting the records of tasks that ended before a date. The request is checked here and done by a task, in
 * transactions of a batch each, so that nobody waits for a purge of years. What runs is never in a final state, so a purge cannot delete itself. */
#include "api/api_priv.h"

#include "base/check.h"
#include "base/clock.h"
#include "catalog/task.h"

#include <stdlib.h>

#define KEPT_DAYS 30 /* Pulp's default */
#define DAY_US (24 * 3600 * US_PER_S)
#define BATCH 500

const struct api_field api_purge_fields[] = {
	{.name = "finished_before",
		.type = T_TIME,
		.flags = F_OPTION,
		.help = "only tasks that ended before it; default: 30 days ago"},
	{.name = "states",
		.type = T_STRINGS,
		.flags = F_OPTION,
		.default_json = "[\"completed\"]",
		.help = "only tasks that ended so: completed, failed, canceled, skipped"},
	{.name = NULL},
};

/* False: answered. */
static bool states_of(struct api_ctx *x, const json_t *states)
{
	enum task_state state;
	const json_t *s;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)states, i, s)
	{
		struct slice text = slice_of(json_string_value(s), json_string_length(s));

		if (task_state_parse(text, &state) == 0 && task_state_is_final(state))
			continue;
		api_reply(x, 400,
			json_pack("{s:{s:[s]}}", "states", api_text(x, "%zu", i),
				api_text(x, "\"%s\" is not a valid choice.", json_string_value(s))));
		return false;
	}
	return true;
}

void api_action_purge(struct api_ctx *x, const struct api_route *rt)
{
	struct api_locks locks = {0};
	char iso[CLOCK_ISO_MAX];
	const char *before;
	json_t *options;

	if (!api_options_read(x, api_purge_fields, &options))
		return;
	if ((before = api_row_str(options, "finished_before")) == NULL)
		before = clock_iso(clock_wall_us() - KEPT_DAYS * DAY_US, iso);
	if (states_of(x, json_object_get(options, "states")))
		api_dispatch(x, API_TASK_PURGE,
			json_pack(
				"{s:s, s:O}", "finished_before", before, "states", json_object_get(options, "states")),
			&locks);
	json_decref(options);
}

/* ---- the task ---- */

static int next_batch(struct txn *t, const char *before, const json_t *states, json_t **rows, struct err *err)
{
	struct slice names[TASK_STATE_COUNT];
	struct query *q = NULL;
	size_t n = 0, i;
	const json_t *s;
	int rc;

	json_array_foreach((json_t *)(uintptr_t)states, i, s) if (n < ARRAY_LEN(names)) names[n++] =
		slice_of(json_string_value(s), json_string_length(s));
	if (query_new(view_find("task"), &q) < 0)
		return err_set(err, -ERR_NOMEM, "no memory for a query");
	query_select(q, "uuid");
	query_page(q, BATCH, 0);
	if ((rc = query_where_any(q, "state", names, n, err)) == 0 &&
		(rc = query_where(q, "finished_at", QUERY_LT, slice_str(before), err)) == 0)
		rc = query_rows(t, q, rows, err);
	query_free(&q);
	return rc;
}

static int purge_batch(struct task *t, const char *before, const json_t *states, int64_t *deleted, struct err *err)
{
	json_t *rows = NULL, *row;
	struct txn *w = NULL;
	size_t i;
	int rc;

	if ((rc = catalog_write(task_catalog(t), &w, err)) == 0)
		rc = next_batch(w, before, states, &rows, err);
	json_array_foreach(rows, i, row) if (rc == 0) rc =
		row_delete_in(w, view_find("task"), api_row_int(row, "_id"), err);
	if (rc == 0)
		rc = txn_commit(&w, err);
	txn_end(&w);
	*deleted = rc == 0 ? (int64_t)json_array_size(rows) : 0;
	json_decref(rows);
	return rc;
}

int api_task_purge(struct task *t, struct err *err)
{
	const char *before = api_row_str(task_args(t), "finished_before");
	const json_t *states = json_object_get(task_args(t), "states");
	int64_t total = 0, deleted = 0;
	int rc = 0;

	if (before == NULL)
		return err_set(err, -ERR_INVAL, "no date is given");
	do {
		task_progress(t, "purge.tasks.total", "Purged records in all", -1, total);
		rc = json_array_size(states) > 0 ? purge_batch(t, before, states, &deleted, err) : 0;
		total += deleted;
	} while (rc == 0 && deleted == BATCH);
	if (rc < 0)
		return rc;
	task_progress_done(t, "purge.tasks.total", total);
	task_progress(t, "purge.tasks.key.core.Task", "Purged tasks", -1, total);
	task_progress_done(t, "purge.tasks.key.core.Task", total);
	task_progress(t, "purge.tasks.error", "Tasks that could not be purged", -1, 0);
	task_progress_done(t, "purge.tasks.error", 0);
	return 0;
}
