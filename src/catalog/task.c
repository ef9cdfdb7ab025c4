/* Tasks: the queue, their ends, and what they report. All state is in the tables; each function is part of its
 * caller's transaction. */
#include "catalog/task.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "catalog/catalog_priv.h"
#include "catalog/task_lock.h"

#include <stdlib.h>

static const char *const states[] = {
#define X(NAME, name) #name,
	TASK_STATES(X)
#undef X
};

const char *task_state_name(enum task_state s)
{
	return states[s];
}

int task_state_parse(struct slice s, enum task_state *out)
{
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		if (slice_eq(s, slice_str(states[i]))) {
			*out = (enum task_state)i;
			return 0;
		}
	}
	return -ERR_INVAL;
}

bool task_state_is_final(enum task_state s)
{
	return s == TASK_COMPLETED || s == TASK_FAILED || s == TASK_CANCELED || s == TASK_SKIPPED;
}

void task_row_free(struct task_row **pt)
{
	struct task_row *r = TAKE(*pt);

	if (r == NULL)
		return;
	free(r->name);
	free(r->args);
	free(r->logging_cid);
	free(r->error);
	free(r->result);
	free(r);
}

#define TASK_SELECT                                                                                                  \
	"SELECT id, uuid, name, args, logging_cid, state, worker_id, pid, created, started_at, finished_at, error, " \
	"result FROM task "

/* What was sealed with a key that is given up is "": no JSON, so that a task whose arguments it was fails, and the queue goes on. */
static int read_sealed(struct txn *t, struct db_stmt *s, int i, const char *column, const struct task_row *r,
	char **out, struct err *err)
{
	struct sealed_at at = {.table = "task", .column = column, .row = r->uuid};
	struct err why = ERR_INIT;
	int rc = col_secret(t, s, i, &at, out, &why);

	if (rc == -ERR_DENIED) {
		log_warn("catalog", "task %lld: %s", (long long)r->id, why.msg);
		*out = slice_dup(SLICE(""));
		rc = *out != NULL ? 0 : err_set(&why, -ERR_NOMEM, "no memory for a task");
	}
	if (rc < 0 && err != NULL)
		*err = why;
	return rc;
}

static int read_task(struct txn *t, struct db_stmt *s, struct task_row **out, struct err *err)
{
	struct task_row *r = calloc(1, sizeof(*r));
	bool failed = r == NULL;
	int rc = 0;

	if (failed)
		goto out;
	r->id = db_col_i64(s, 0);
	col_uuid(s, 1, &r->uuid);
	r->name = col_dup(s, 2, &failed);
	r->logging_cid = col_dup(s, 4, &failed);
	if (task_state_parse(db_col_text(s, 5), &r->state) < 0)
		rc = err_set(err, -ERR_DB, "task %lld has an unknown state", (long long)r->id);
	r->worker_id = db_col_i64(s, 6);
	r->pid = db_col_i64(s, 7);
	r->created_us = db_col_i64(s, 8);
	r->started_us = db_col_i64(s, 9);
	r->finished_us = db_col_i64(s, 10);
	r->error = col_dup(s, 11, &failed);
	if (!failed && rc == 0)
		rc = read_sealed(t, s, 3, "args", r, &r->args, err);
	if (!failed && rc == 0)
		rc = read_sealed(t, s, 12, "result", r, &r->result, err);
out:
	if (failed)
		rc = err_set(err, -ERR_NOMEM, "no memory for a task");
	if (rc < 0)
		task_row_free(&r);
	else
		*out = r;
	return rc;
}

static int read_one(struct txn *t, struct db_stmt *s, int rc, struct task_row **out, struct err *err)
{
	if (rc == 0)
		return err_set(err, -ERR_NOTFOUND, "no such task");
	if (rc > 0)
		rc = read_task(t, s, out, err);
	db_done(&s);
	return rc;
}

int catalog_task_by_uuid(struct txn *t, const struct uuid *u, struct task_row **out, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(txn_db(t), TASK_SELECT "WHERE uuid = $1", &s, err, DB_UUID(u));

	return read_one(t, s, rc, out, err);
}

static int task_by_id(struct txn *t, int64_t id, struct task_row **out, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(txn_db(t), TASK_SELECT "WHERE id = $1", &s, err, DB_I64(id));

	return read_one(t, s, rc, out, err);
}

/* --- the queue --- */

static int start(struct db *db, int64_t id, int64_t worker_id, struct err *err)
{
	return db_do(db,
		"UPDATE task SET state = 'running', started_at = $1, updated = $1, worker_id = $2 WHERE id = $3", err,
		DB_I64(clock_wall_us()), DB_ID_OR_NULL(worker_id), DB_I64(id));
}

int catalog_task_create(
	struct txn *t, const struct task_new *n, int64_t *id, struct uuid *uuid, bool *started, struct err *err)
{
	struct slice args = n->args.n > 0 ? n->args : SLICE("{}"),
		     cid = n->logging_cid.p != NULL ? n->logging_cid : SLICE("");
	struct db *db = txn_db(t);
	struct uuid u = uuid_v7();
	int64_t now, new_id;
	char *mem = NULL;
	int rc, is_free;

	rc = txn_created_us(t, "SELECT created FROM task ORDER BY id DESC LIMIT 1", &now, err);
	if (rc == 0)
		rc = secret_sealed(t, &(struct sealed_at){"task", "args", u}, args, &args, &mem, err);
	if (rc == 0)
		rc = db_do(db,
			"INSERT INTO task (uuid, created, updated, name, state, args, logging_cid, created_by, "
			"group_id) "
			"VALUES ($1, $2, $2, $3, 'waiting', $4, $5, $6, $7)",
			err, DB_UUID(&u), DB_I64(now), DB_STR(n->name), DB_TEXT(args), DB_TEXT(cid),
			DB_ID_OR_NULL(n->created_by), DB_ID_OR_NULL(n->group_id));
	free(mem);
	if (rc < 0)
		return rc;
	new_id = db_last_id(db);
	rc = task_lock_add(db, new_id, n->exclusive, n->shared, err);
	if (rc < 0)
		return rc;
	is_free = task_lock_is_free(db, new_id, err);
	if (is_free < 0)
		return is_free;
	if (is_free)
		rc = db_do(db, "UPDATE task SET unblocked_at = $1 WHERE id = $2", err, DB_I64(now), DB_I64(new_id));
	if (rc == 0 && is_free && n->immediate)
		rc = start(db, new_id, n->worker_id, err);
	if (rc < 0)
		return rc;
	txn_changes_tasks(t);
	*id = new_id;
	*uuid = u;
	if (started != NULL)
		*started = is_free && n->immediate;
	return 0;
}

int catalog_task_group_create(struct txn *t, const char *description, int64_t *id, struct uuid *uuid, struct err *err)
{
	struct uuid u = uuid_v7();
	int64_t now;
	int rc = txn_created_us(t, "SELECT created FROM task_group ORDER BY id DESC LIMIT 1", &now, err);

	if (rc == 0)
		rc = db_do(txn_db(t),
			"INSERT INTO task_group (uuid, created, updated, description, all_tasks_dispatched) "
			"VALUES ($1, $2, $2, $3, 1)",
			err, DB_UUID(&u), DB_I64(now), DB_STR(description));
	if (rc < 0)
		return rc;
	*id = db_last_id(txn_db(t));
	*uuid = u;
	return 0;
}

int catalog_task_claim(struct txn *t, int64_t worker_id, struct task_row **out, struct err *err)
{
	struct db *db = txn_db(t);
	struct db_stmt *s;
	int64_t id;
	int rc = db_first(db,
		"SELECT id FROM task WHERE state = 'waiting' AND unblocked_at IS NOT NULL ORDER BY id LIMIT 1", &s,
		err);

	if (rc <= 0)
		return rc < 0 ? rc : err_set(err, -ERR_NOTFOUND, "no task is ready");
	id = db_col_i64(s, 0);
	db_done(&s);
	rc = start(db, id, worker_id, err);
	return rc < 0 ? rc : task_by_id(t, id, out, err);
}

int catalog_task_set_pid(struct txn *t, int64_t id, int64_t pid, struct err *err)
{
	return db_do(txn_db(t), "UPDATE task SET pid = $1 WHERE id = $2", err, DB_ID_OR_NULL(pid), DB_I64(id));
}

/* --- the end --- */

static int seal_result(struct txn *t, int64_t id, struct slice *result, char **mem, struct err *err)
{
	struct sealed_at at = {.table = "task", .column = "result"};
	struct db_stmt *s;
	int rc;

	if (txn_keyring(t) == NULL)
		return 0;
	rc = db_first(txn_db(t), "SELECT uuid FROM task WHERE id = $1", &s, err, DB_I64(id));
	if (rc == 1)
		col_uuid(s, 0, &at.row);
	db_done(&s);
	return rc < 0 ? rc : secret_sealed(t, &at, *result, result, mem, err);
}

int catalog_task_finish(
	struct txn *t, int64_t id, enum task_state final, struct slice error, struct slice result, struct err *err)
{
	struct slice state = slice_str(task_state_name(final));
	int64_t now = clock_wall_us();
	struct db *db = txn_db(t);
	char *mem = NULL;
	int rc = 0;

	BUG(!task_state_is_final(final));
	if (result.n > 0 && (rc = seal_result(t, id, &result, &mem, err)) < 0)
		return rc;
	/* What it was told to do goes: nobody reads it any more, and a remote's new password may be in it. */
	rc = db_do(db,
		"UPDATE task SET state = $1, finished_at = $2, updated = $2, error = $3, result = $4, pid = NULL, "
		"args = '{}' WHERE id = $5 AND state IN ('waiting', 'running', 'canceling')",
		err, DB_TEXT(state), DB_I64(now), DB_TEXT(error.n > 0 ? error : SLICE_NULL),
		DB_TEXT(result.n > 0 ? result : SLICE_NULL), DB_I64(id));
	free(mem);
	if (rc < 0)
		return rc;
	if (db_changes(db) == 0)
		return err_set(err, -ERR_BUSY, "the task has ended before");
	/* What had reached its total was done, whatever became of the rest. */
	rc = db_do(db,
		"UPDATE progress_report SET state = CASE WHEN done = total THEN 'completed' ELSE $1 END "
		"WHERE task_id = $2 AND state IN ('waiting', 'running', 'canceling')",
		err, DB_TEXT(state), DB_I64(id));
	if (rc == 0)
		rc = task_lock_release(db, id, now, err);
	if (rc < 0)
		return rc;
	txn_changes_tasks(t);
	/* One that was killed may have died between a commit of its own and the bump that belongs to it. */
	if (final != TASK_COMPLETED)
		txn_changes_service(t);
	return 0;
}

int catalog_task_cancel(struct txn *t, const struct uuid *u, enum task_state *now, struct err *err)
{
	struct task_row *row;
	enum task_state next;
	int rc = catalog_task_by_uuid(t, u, &row, err);

	if (rc < 0)
		return rc;
	next = row->state == TASK_WAITING ? TASK_CANCELED : TASK_CANCELING;
	if (task_state_is_final(row->state))
		rc = err_set(err, -ERR_BUSY, "the task is %s already", task_state_name(row->state));
	else if (next == TASK_CANCELED)
		rc = catalog_task_finish(t, row->id, next, SLICE_NULL, SLICE_NULL, err);
	else
		rc = db_do(txn_db(t), "UPDATE task SET state = 'canceling', updated = $1 WHERE id = $2", err,
			DB_I64(clock_wall_us()), DB_I64(row->id));
	task_row_free(&row);
	if (rc < 0)
		return rc;
	txn_changes_tasks(t);
	*now = next;
	return 0;
}

int catalog_task_canceling(struct txn *t, int64_t worker_id, int64_t *ids, size_t max, size_t *count, struct err *err)
{
	struct db_stmt *s;
	size_t n = 0;
	int rc = db_rows(txn_db(t),
		"SELECT id FROM task WHERE state = 'canceling' AND worker_id = $1 ORDER BY id LIMIT $2", &s, err,
		DB_I64(worker_id), DB_I64((int64_t)max));

	if (rc < 0)
		return rc;
	while (n < max && (rc = db_step(s, err)) == 1)
		ids[n++] = db_col_i64(s, 0);
	db_done(&s);
	if (rc < 0)
		return rc;
	*count = n;
	return 0;
}

/* --- reports --- */

int catalog_task_add_created(struct txn *t, int64_t id, const char *prn, const char *href, struct err *err)
{
	return db_do(txn_db(t),
		"INSERT INTO task_created (task_id, ord, prn, href) SELECT $1, COALESCE(MAX(ord) + 1, 0), $2, $3 "
		"FROM task_created WHERE task_id = $1",
		err, DB_I64(id), DB_STR(prn), DB_STR(href));
}

int catalog_progress_set(struct txn *t, int64_t task_id, const struct progress *p, struct err *err)
{
	return db_do(txn_db(t),
		"INSERT INTO progress_report (task_id, ord, message, code, state, total, done, suffix) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (task_id, ord) DO UPDATE SET message = "
		"excluded.message, "
		"code = excluded.code, state = excluded.state, total = excluded.total, done = excluded.done, "
		"suffix = excluded.suffix",
		err, DB_I64(task_id), DB_I64(p->ord), DB_STR(p->message), DB_STR(p->code),
		DB_STR(task_state_name(p->state)), p->total >= 0 ? DB_I64(p->total) : DB_NULL, DB_I64(p->done),
		DB_STR(p->suffix));
}
