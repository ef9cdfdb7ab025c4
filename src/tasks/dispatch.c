/* Putting work into the queue; short work whose resources are free is done on the spot. Any thread that may block. */
#include "tasks/tasks_priv.h"

#include "base/log.h"
#include "base/metrics.h"

static int dispatch_here(const struct task_registry *r, struct catalog *c, const struct uuid *uuid, struct err *err)
{
	enum task_state ended = TASK_FAILED;
	struct task_row *row = NULL;
	struct txn *t = NULL;
	int rc = catalog_read(c, &t, err);

	if (rc == 0)
		rc = catalog_task_by_uuid(t, uuid, &row, err);
	txn_end(&t);
	if (rc == 0) {
		metric_inc(M_tasks_started);
		rc = task_execute(r, c, row, &ended, err);
	}
	task_row_free(&row);
	if (rc < 0)
		return rc;
	metric_inc(ended == TASK_COMPLETED ? M_tasks_completed : M_tasks_failed);
	return 0;
}

int tasks_dispatch(
	const struct task_registry *r, struct catalog *c, const struct task_new *n, struct uuid *uuid, struct err *err)
{
	const struct task_handler *h = task_registry_find(r, n->name);
	struct task_new wanted = *n;
	struct uuid u = {{0}};
	bool started = false;
	struct txn *t = NULL;
	int64_t id;
	int rc;

	/* A name that is unknown here may be known to the process that will run it. */
	wanted.immediate = h != NULL && (h->immediate || n->immediate);
	rc = catalog_write(c, &t, err);
	if (rc == 0)
		rc = catalog_task_create(t, &wanted, &id, &u, &started, err);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	if (rc == 0 && started)
		rc = dispatch_here(r, c, &u, err);
	if (rc == 0)
		*uuid = u;
	return rc;
}
