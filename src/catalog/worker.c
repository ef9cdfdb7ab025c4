/* Workers: who is alive, and what becomes of the tasks of those that are not. All state is in the tables. */
#include "catalog/task.h"

#include "base/clock.h"
#include "catalog/catalog_priv.h"

#include <unistd.h>

#define GONE SLICE("{\"reason\":\"Worker has gone missing.\"}")
#define HOST_MAX 256

/* Ends a task whose runner is dead: the row at `s` (id, state), which is given back. */
static int end_task(struct txn *t, struct db_stmt *s, int64_t *ended, struct err *err)
{
	bool canceling = slice_eq(db_col_text(s, 1), SLICE("canceling"));
	int64_t id = db_col_i64(s, 0);

	db_done(&s);
	(*ended)++;
	return catalog_task_finish(
		t, id, canceling ? TASK_CANCELED : TASK_FAILED, canceling ? SLICE_NULL : GONE, SLICE_NULL, err);
}

/* One at a time, because each end changes what the statement reads. */
static int end_tasks_of(struct txn *t, int64_t worker_id, int64_t *ended, struct err *err)
{
	struct db_stmt *s;
	int rc;

	while ((rc = db_first(txn_db(t),
			"SELECT id, state FROM task WHERE worker_id = $1 AND state IN ('running', 'canceling') ORDER "
			"BY id LIMIT 1",
			&s, err, DB_I64(worker_id))) == 1) {
		rc = end_task(t, s, ended, err);
		if (rc < 0)
			break;
	}
	return rc;
}

static int end_tasks_of_nobody(struct txn *t, int64_t started_before_us, int64_t *ended, struct err *err)
{
	struct db_stmt *s;
	int rc;

	while ((rc = db_first(txn_db(t),
			"SELECT id, state FROM task WHERE worker_id IS NULL AND state IN ('running', 'canceling') "
			"AND started_at < $1 ORDER BY id LIMIT 1",
			&s, err, DB_I64(started_before_us))) == 1) {
		rc = end_task(t, s, ended, err);
		if (rc < 0)
			break;
	}
	return rc;
}

int catalog_worker_register(
	struct txn *t, const char *name, const char *kind, const char *versions_json, int64_t *id, struct err *err)
{
	struct db *db = txn_db(t);
	struct uuid u = uuid_v7();
	char host[HOST_MAX] = "";
	int64_t now, found = 0, ended = 0;
	struct db_stmt *s;
	int rc;

	if (gethostname(host, sizeof(host) - 1) < 0)
		return err_set(err, -ERR_IO, "the host's name is longer than %d bytes", HOST_MAX - 2);
	rc = txn_created_us(t, "SELECT created FROM worker ORDER BY id DESC LIMIT 1", &now, err);
	if (rc == 0)
		rc = db_do(db,
			"INSERT INTO worker (uuid, name, kind, created, updated, last_heartbeat, versions, pid, host) "
			"VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8) ON CONFLICT (name) DO UPDATE SET kind = "
			"excluded.kind, "
			"updated = excluded.updated, last_heartbeat = excluded.last_heartbeat, versions = "
			"excluded.versions, "
			"pid = excluded.pid, host = excluded.host",
			err, DB_UUID(&u), DB_STR(name), DB_STR(kind), DB_I64(now), DB_I64(clock_wall_us()),
			DB_STR(versions_json != NULL ? versions_json : "{}"), DB_I64(getpid()), DB_STR(host));
	if (rc == 0)
		rc = db_first(db, "SELECT id FROM worker WHERE name = $1", &s, err, DB_STR(name));
	if (rc == 1) {
		found = db_col_i64(s, 0);
		db_done(&s);
		/* A former process of that name left them. */
		rc = end_tasks_of(t, found, &ended, err);
	}
	if (rc == 0)
		*id = found;
	return rc;
}

int catalog_worker_heartbeat(struct txn *t, int64_t id, struct err *err)
{
	int rc = db_do(txn_db(t), "UPDATE worker SET last_heartbeat = $1 WHERE id = $2", err, DB_I64(clock_wall_us()),
		DB_I64(id));

	return rc < 0 ? rc : expect_row(db_changes(txn_db(t)), "such worker: it was taken for dead", err);
}

static int remove_worker(struct txn *t, int64_t id, int64_t *ended, struct err *err)
{
	int rc = end_tasks_of(t, id, ended, err);

	return rc < 0 ? rc : db_do(txn_db(t), "DELETE FROM worker WHERE id = $1", err, DB_I64(id));
}

int catalog_worker_remove(struct txn *t, int64_t id, struct err *err)
{
	int64_t ended = 0;

	return remove_worker(t, id, &ended, err);
}

int catalog_worker_reap(struct txn *t, int64_t older_than_us, const char *all_of_host, int64_t except_id,
	int64_t *tasks, struct err *err)
{
	struct slice host = all_of_host != NULL ? slice_str(all_of_host) : SLICE("");
	int64_t ended = 0;
	struct db_stmt *s;
	int rc;

	while ((rc = db_first(txn_db(t),
			"SELECT id FROM worker WHERE id <> $1 AND (last_heartbeat < $2 OR (host = $3 AND host <> '')) "
			"ORDER BY id LIMIT 1",
			&s, err, DB_I64(except_id), DB_I64(older_than_us), DB_TEXT(host))) == 1) {
		int64_t id = db_col_i64(s, 0);

		db_done(&s);
		rc = remove_worker(t, id, &ended, err);
		if (rc < 0)
			break;
	}
	if (rc == 0)
		rc = end_tasks_of_nobody(t, all_of_host != NULL ? INT64_MAX : older_than_us, &ended, err);
	if (rc == 0)
		*tasks = ended;
	return rc;
}
