/* Tasks, their reservations, progress and results; workers and their heartbeats. Blocking.
 *
 * States: waiting → running → completed | failed | canceled; waiting → canceled | skipped; running → canceling → canceled.
 * A reservation is text: exclusive "X", shared "X" with exclusive = false (shown as "shared:X"). */
#ifndef SLUICE_CATALOG_TASK_H
#define SLUICE_CATALOG_TASK_H

#include "base/err.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "catalog/catalog.h"

/* clang-format off */
#define TASK_STATES(X) X(WAITING, waiting) X(SKIPPED, skipped) X(RUNNING, running) X(COMPLETED, completed) X(FAILED, failed) X(CANCELED, canceled) X(CANCELING, canceling)
/* clang-format on */
enum task_state {
#define X(NAME, name) TASK_##NAME,
	TASK_STATES(X)
#undef X
		TASK_STATE_COUNT
};
const char *task_state_name(enum task_state s);
int task_state_parse(struct slice s, enum task_state *out);
bool task_state_is_final(enum task_state s);

struct task_row {
	int64_t id;
	struct uuid uuid;
	char *name;
	char *args; /* JSON */
	char *logging_cid;
	enum task_state state;
	int64_t worker_id, pid;
	int64_t created_us, started_us, finished_us;
	char *error, *result; /* JSON, or NULL */
};
void task_row_free(struct task_row **pt);
int catalog_task_by_uuid(struct txn *t, const struct uuid *u, struct task_row **out, struct err *err);

struct task_new {
	const char *name;  /* "pulp_file.app.tasks.synchronizing.synchronize" */
	struct slice args; /* JSON */
	struct slice logging_cid;
	const char *const *exclusive; /* NULL-terminated, or NULL */
	const char *const *shared;
	int64_t created_by; /* user id, 0: none */
	int64_t group_id;   /* 0: none */
	bool immediate; /* starts in state running, owned by the caller, if its resources are free; else as any other */
	int64_t worker_id; /* with `immediate`: who the caller is registered as; 0: nobody, then only its age tells that it is dead */
};
/* Inserts it; txn_changes_tasks. *started: an immediate task may be run by the caller now. */
int catalog_task_create(
	struct txn *t, const struct task_new *n, int64_t *id, struct uuid *uuid, bool *started, struct err *err);

/* A group whose tasks are all created in the same transaction. */
int catalog_task_group_create(struct txn *t, const char *description, int64_t *id, struct uuid *uuid, struct err *err);

/* The oldest waiting task whose resources are free (exclusive waits for every earlier unfinished task that holds or wants the resource;
 * shared for earlier exclusive ones, those still waiting included) becomes running for this worker. Sets unblocked_at of all that are free.
 * -ERR_NOTFOUND: nothing to do. */
int catalog_task_claim(struct txn *t, int64_t worker_id, struct task_row **out, struct err *err);
int catalog_task_set_pid(struct txn *t, int64_t id, int64_t pid, struct err *err);
/* running or canceling → a final state; progress reports still open take it too, or are completed when they had reached their total; reservations are free. -ERR_BUSY when it is final already.
 * error and result are JSON or n == 0. */
int catalog_task_finish(
	struct txn *t, int64_t id, enum task_state final, struct slice error, struct slice result, struct err *err);
/* waiting → canceled; running → canceling (its worker stops it); -ERR_BUSY when final. */
int catalog_task_cancel(struct txn *t, const struct uuid *u, enum task_state *now, struct err *err);
/* Running tasks of this worker that are to be stopped: up to max ids. */
int catalog_task_canceling(struct txn *t, int64_t worker_id, int64_t *ids, size_t max, size_t *count, struct err *err);
int catalog_task_add_created(struct txn *t, int64_t id, const char *prn, const char *href, struct err *err);

struct progress {
	int ord; /* which report of the task */
	const char *message, *code;
	enum task_state state;
	int64_t total; /* -1: unknown */
	int64_t done;
	const char *suffix; /* NULL: none */
};
int catalog_progress_set(
	struct txn *t, int64_t task_id, const struct progress *p, struct err *err); /* inserts or updates */

/* Workers and app instances. kind: "worker", "api", "content". Registers or revives by name. */
int catalog_worker_register(
	struct txn *t, const char *name, const char *kind, const char *versions_json, int64_t *id, struct err *err);
int catalog_worker_heartbeat(struct txn *t, int64_t id, struct err *err); /* -ERR_NOTFOUND: it was taken for dead */
int catalog_worker_remove(struct txn *t, int64_t id, struct err *err);
/* Workers without heartbeat since older_than_us, and with `all_of_host` every other worker of that host (a data directory has one server, so at start they
 * are dead): their running tasks become failed {"reason":"Worker has gone missing."} (canceling ones canceled), the rows go; so do running tasks without
 * worker that are older, or with `all_of_host` all of them. *tasks: how many. */
int catalog_worker_reap(struct txn *t, int64_t older_than_us, const char *all_of_host, int64_t except_id,
	int64_t *tasks, struct err *err);

#endif
