/* What the files of this folder share: running a handler, and writing how a task ended. */
#ifndef SLUICE_TASKS_TASKS_PRIV_H
#define SLUICE_TASKS_TASKS_PRIV_H

#include "tasks/tasks.h"

/* Runs the handler of a task that is in state running and owned by the caller, then writes its end. 0: the end is
 * written (or somebody else had written one); *ended is the state that the task has now. Blocking. */
int task_execute(const struct task_registry *r, struct catalog *c, const struct task_row *row, enum task_state *ended,
	struct err *err);

/* The end of a task, in a write transaction: `final`, or canceled when somebody asked for that meanwhile. Nothing is
 * changed when the task is final already. *now: its state afterwards. `error` and `result` are JSON or n == 0. */
int task_write_end(struct txn *t, const struct uuid *u, enum task_state final, struct slice error, struct slice result,
	enum task_state *now, struct err *err);

/* {"description": …, "traceback": null, "error_code"?} and {"reason": …} as JSON text; malloc'ed, NULL: no memory. */
char *task_error_text(const struct err *e);
char *task_reason_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
