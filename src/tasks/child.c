/* The whole life of a task process: look up the task, run it, write its end. What kills this process is noticed and
 * written down by the worker that made it. */
#include "tasks/tasks_priv.h"

#include "base/log.h"

static int child_run(const struct task_registry *r, struct catalog *c, const char *text, struct err *err)
{
	enum task_state ended;
	struct task_row *row = NULL;
	struct txn *t = NULL;
	struct uuid uuid;
	int rc;

	if (uuid_parse(slice_str(text), &uuid) < 0)
		return err_set(err, -ERR_INVAL, "'%s' is not a UUID", text);
	rc = catalog_read(c, &t, err);
	if (rc == 0)
		rc = catalog_task_by_uuid(t, &uuid, &row, err);
	txn_end(&t);
	if (rc < 0)
		goto out;
	/* Canceled between its claim and now: its worker ends it. */
	if (row->state != TASK_RUNNING) {
		rc = err_set(err, -ERR_CANCELED, "the task is %s, not running", task_state_name(row->state));
		goto out;
	}
	rc = task_execute(r, c, row, &ended, err);
out:
	task_row_free(&row);
	return rc;
}

int task_child_main(const struct task_registry *r, struct catalog *c, const char *uuid)
{
	struct err err = ERR_INIT;

	if (child_run(r, c, uuid, &err) == 0)
		return 0;
	log_error("task", "%s: %s", uuid, err.msg);
	return 1;
}
