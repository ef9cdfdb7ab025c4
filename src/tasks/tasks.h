/* Background work: a registry of handlers, a worker that runs each task in a child process of its own, and what a handler
 * may do. `cmd` fills the registry; this folder knows no handler. */
#ifndef SLUICE_TASKS_TASKS_H
#define SLUICE_TASKS_TASKS_H

#include "base/err.h"
#include "base/settings.h"
#include "base/shm.h"
#include "base/uuid.h"
#include "catalog/catalog.h"
#include "catalog/task.h"

#include <jansson.h>

struct task; /* a task being run, inside its own process (or, immediate ones, inside the API call) */

/* Returns 0 or negative with err (then the task is failed; a text that begins "[PLPnnnn]" becomes error_code too). */
typedef int task_fn(struct task *t, struct err *err);
struct task_handler {
	const char *name; /* Pulp's dotted name */
	task_fn *run;
	bool immediate; /* short; may run inside the API call */
};
struct task_registry {
	const struct task_handler *handlers;
	size_t count;
	void *env; /* given to handlers by task_env: what `cmd` wired */
};
const struct task_handler *task_registry_find(const struct task_registry *r, const char *name);

/* For handlers. Blocking. */
const json_t *task_args(const struct task *t);
void *task_env(const struct task *t);
struct catalog *task_catalog(const struct task *t);
const struct task_row *task_self(const struct task *t);
/* Reports progress; at most two writes a second and report, the first and a final state at once. total -1: unknown. */
void task_progress(struct task *t, const char *code, const char *message, int64_t total, int64_t done);
void task_progress_done(struct task *t, const char *code, int64_t done); /* completed, total = done if it was unknown */
int task_created(struct task *t, const char *prn, const char *href);
void task_result(struct task *t, json_t *result); /* steals the reference */

/* Creates a task, and runs it here when its handler, or the task, is immediate and its resources are free (it is final then). A name without handler is
 * queued all the same. Any thread that may block. */
int tasks_dispatch(
	const struct task_registry *r, struct catalog *c, const struct task_new *n, struct uuid *uuid, struct err *err);

/* The worker role: heartbeats, claims, child processes (`sluice task-run UUID`, with memory and time limits, killed with their worker), cancel,
 * reaping of dead workers. One thread. */
struct worker;
struct worker_opts {
	const struct settings *settings;
	struct catalog *catalog;
	struct shm *shm;         /* its task signal wakes the worker (looked at every 50 ms; every 1 s without) */
	char *const *child_argv; /* NULL-terminated: program and its options; "task-run UUID" is appended */
	const char *name;        /* "PID@HOST"; NULL: made */
};
int worker_start(const struct worker_opts *opts, struct worker **out, struct err *err);
/* Stops claiming; running tasks have grace_ms, then are killed and failed ("Aborted during worker shutdown."). Joins the thread. */
void worker_stop(struct worker **pw, int64_t grace_ms);

/* The child's main: runs one task that its worker has claimed and writes its end. Exit status 0 when the end was written. */
int task_child_main(const struct task_registry *r, struct catalog *c, const char *uuid);

#endif
