/* A task being run: what its handler may ask and report, and the end of it all. One thread: the one that runs the
 * handler. No function here may be called inside a transaction, for each makes its own.
 *
 * Progress comes faster than it is worth a transaction. The first numbers of a report and its completion are written at
 * once, all others by a second thread, twice a second at most; so the numbers are true also while the handler waits. */
#include "tasks/tasks_priv.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A handler names its reports in its source; nobody needs more of them to follow one task. */
#define REPORTS_MAX 32
#define REPORT_EVERY_NS (NS_PER_S / 2)
/* Each of them waits database.busy_timeout for the lock. */
#define END_TRIES 3

struct report {
	char *code; /* constant */
	char *message;
	int64_t total, done;
	int64_t written_ns; /* 0: never */
	bool completed;
	bool dirty; /* the catalog does not have these numbers yet */
};

struct task {
	const struct task_registry *registry;
	struct catalog *catalog;
	const struct task_row *row;
	json_t *args;
	json_t *result;
	/* One write at a time, from the look at the numbers to the commit: so they reach the catalog in order. Taken before `lock`. */
	pthread_mutex_t writing;
	pthread_mutex_t lock; /* of the reports and `ending` */
	struct report reports[REPORTS_MAX];
	int report_count;
	bool ending;
	pthread_cond_t end; /* `ending` */
	pthread_t reporter;
	bool has_reporter; /* the handler's thread only */
};

const json_t *task_args(const struct task *t)
{
	return t->args;
}

void *task_env(const struct task *t)
{
	return t->registry->env;
}

struct catalog *task_catalog(const struct task *t)
{
	return t->catalog;
}

const struct task_row *task_self(const struct task *t)
{
	return t->row;
}

/* ---- progress ---- */

/* Locked. NULL: no room or no memory. */
static struct report *report_of(struct task *t, const char *code)
{
	struct report *r;

	for (int i = 0; i < t->report_count; i++) {
		if (strcmp(t->reports[i].code, code) == 0)
			return &t->reports[i];
	}
	if (!CHECK(t->report_count < REPORTS_MAX))
		return NULL;
	r = &t->reports[t->report_count];
	r->code = strdup(code);
	if (r->code == NULL)
		return NULL;
	r->total = -1;
	t->report_count++;
	return r;
}

static int report_set(struct task *t, struct txn *tx, int ord, const struct report *r, struct err *err)
{
	struct progress p = {
		.ord = ord,
		.message = r->message != NULL ? r->message : r->code,
		.code = r->code,
		.state = r->completed ? TASK_COMPLETED : TASK_RUNNING,
		.total = r->total,
		.done = r->done,
	};

	return catalog_progress_set(tx, t->row->id, &p, err);
}

/* A report that cannot be written costs the reader a number, and must not cost the task its work. */
static void report_write(struct task *t, int i)
{
	struct txn *tx = NULL;
	struct err err = ERR_INIT;
	struct report now;
	int rc;

	pthread_mutex_lock(&t->writing);
	pthread_mutex_lock(&t->lock);
	t->reports[i].dirty = false;
	t->reports[i].written_ns = clock_mono_ns();
	now = t->reports[i];
	now.message = now.message != NULL ? strdup(now.message) : NULL;
	pthread_mutex_unlock(&t->lock);
	rc = catalog_write(t->catalog, &tx, &err);
	if (rc == 0)
		rc = report_set(t, tx, i, &now, &err);
	if (rc == 0)
		rc = txn_commit(&tx, &err);
	txn_end(&tx);
	if (rc < 0) {
		log_warn("task", "ignoring a progress report that cannot be written: %s", err.msg);
		pthread_mutex_lock(&t->lock);
		t->reports[i].dirty = true;
		pthread_mutex_unlock(&t->lock);
	}
	pthread_mutex_unlock(&t->writing);
	free(now.message);
}

static void *reporter_main(void *arg)
{
	struct task *t = arg;

	pthread_mutex_lock(&t->lock);
	while (!t->ending) {
		int64_t next_ns = clock_mono_ns() + REPORT_EVERY_NS;
		struct timespec at = {.tv_sec = next_ns / NS_PER_S, .tv_nsec = next_ns % NS_PER_S};

		for (int i = 0; i < t->report_count; i++) {
			if (!t->reports[i].dirty || clock_mono_ns() - t->reports[i].written_ns < REPORT_EVERY_NS)
				continue;
			pthread_mutex_unlock(&t->lock);
			report_write(t, i);
			pthread_mutex_lock(&t->lock);
		}
		if (!t->ending)
			pthread_cond_timedwait(&t->end, &t->lock, &at);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

static void reporter_start(struct task *t)
{
	/* Without it numbers are only as fresh as the handler's next report. */
	if (!t->has_reporter)
		t->has_reporter = pthread_create(&t->reporter, NULL, reporter_main, t) == 0;
}

static void reporter_stop(struct task *t)
{
	if (!t->has_reporter)
		return;
	pthread_mutex_lock(&t->lock);
	t->ending = true;
	pthread_cond_signal(&t->end);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->reporter, NULL);
	t->has_reporter = false;
}

/* Locked. Takes the numbers; is the report to be written at once? */
static bool report_update(struct task *t, struct report *r, const char *message, int64_t total, int64_t done)
{
	if (message != NULL && (r->message == NULL || strcmp(r->message, message) != 0)) {
		free(r->message);
		r->message = strdup(message);
		r->dirty = true;
	}
	if (r->total != total || r->done != done || r->completed)
		r->dirty = true;
	r->total = total;
	r->done = done;
	r->completed = false;
	if (r->written_ns == 0)
		return true;
	return !t->has_reporter && r->dirty && clock_mono_ns() - r->written_ns >= REPORT_EVERY_NS;
}

void task_progress(struct task *t, const char *code, const char *message, int64_t total, int64_t done)
{
	bool now = false, later = false;
	struct report *r;

	pthread_mutex_lock(&t->lock);
	r = report_of(t, code);
	if (r != NULL) {
		now = report_update(t, r, message, total, done);
		later = r->dirty;
	}
	pthread_mutex_unlock(&t->lock);
	if (now)
		report_write(t, (int)(r - t->reports));
	else if (later)
		reporter_start(t);
}

void task_progress_done(struct task *t, const char *code, int64_t done)
{
	struct report *r;

	pthread_mutex_lock(&t->lock);
	r = report_of(t, code);
	if (r != NULL) {
		r->done = done;
		if (r->total < 0)
			r->total = done;
		r->completed = true;
	}
	pthread_mutex_unlock(&t->lock);
	if (r != NULL)
		report_write(t, (int)(r - t->reports));
}

/* ---- results ---- */

int task_created(struct task *t, const char *prn, const char *href)
{
	struct txn *tx = NULL;
	struct err err = ERR_INIT;
	int rc = catalog_write(t->catalog, &tx, &err);

	if (rc == 0)
		rc = catalog_task_add_created(tx, t->row->id, prn, href, &err);
	if (rc == 0)
		rc = txn_commit(&tx, &err);
	txn_end(&tx);
	if (rc < 0)
		log_error("task", "created resource %s cannot be recorded: %s", href, err.msg);
	return rc;
}

void task_result(struct task *t, json_t *result)
{
	json_decref(t->result);
	t->result = result;
}

/* ---- running ---- */

static int task_end_once(struct task *t, enum task_state final, struct slice error, struct slice result,
	enum task_state *now, struct err *err)
{
	struct txn *tx = NULL;
	int rc = catalog_write(t->catalog, &tx, err);

	for (int i = 0; rc == 0 && i < t->report_count; i++) {
		if (t->reports[i].dirty)
			rc = report_set(t, tx, i, &t->reports[i], err);
	}
	if (rc == 0)
		rc = task_write_end(tx, &t->row->uuid, final, error, result, now, err);
	if (rc == 0)
		rc = txn_commit(&tx, err);
	txn_end(&tx);
	return rc;
}

static int task_end(struct task *t, int handled, const struct err *why, enum task_state *now, struct err *err)
{
	char *error = NULL, *result = NULL;
	int rc = 0;

	if (handled < 0)
		error = task_error_text(why);
	else if (t->result != NULL)
		result = json_dumps(t->result, JSON_COMPACT | JSON_ENCODE_ANY);
	if ((handled < 0 && error == NULL) || (handled >= 0 && t->result != NULL && result == NULL)) {
		rc = err_set(err, -ERR_NOMEM, "the end of a task cannot be written down");
		goto out;
	}
	for (int i = 0; i < END_TRIES; i++) {
		rc = task_end_once(
			t, handled < 0 ? TASK_FAILED : TASK_COMPLETED, slice_str(error), slice_str(result), now, err);
		if (rc != -ERR_BUSY)
			break;
	}
out:
	free(error);
	free(result);
	return rc;
}

static int task_handle(struct task *t, struct err *err)
{
	const struct task_handler *h = task_registry_find(t->registry, t->row->name);
	json_error_t je;
	int rc;

	if (h == NULL)
		return err_set(err, -ERR_UNSUPPORTED, "this program has no task '%s'", t->row->name);
	t->args = json_loads(t->row->args != NULL ? t->row->args : "{}", JSON_REJECT_DUPLICATES, &je);
	if (t->args == NULL)
		return err_set(err, -ERR_PARSE, "the arguments of the task cannot be read: %s", je.text);
	rc = h->run(t, err);
	if (rc < 0 && err->msg[0] == '\0')
		err_set(err, rc, "%s", err_text(rc));
	return rc;
}

static void task_init(struct task *t, const struct task_registry *r, struct catalog *c, const struct task_row *row)
{
	pthread_condattr_t attr;

	*t = (struct task){.registry = r, .catalog = c, .row = row};
	pthread_mutex_init(&t->writing, NULL);
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->end, &attr);
	pthread_condattr_destroy(&attr);
}

static void task_fini(struct task *t)
{
	for (int i = 0; i < t->report_count; i++) {
		free(t->reports[i].code);
		free(t->reports[i].message);
	}
	json_decref(t->args);
	json_decref(t->result);
	pthread_cond_destroy(&t->end);
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->writing);
}

int task_execute(const struct task_registry *r, struct catalog *c, const struct task_row *row, enum task_state *ended,
	struct err *err)
{
	struct err why = ERR_INIT;
	char uuid[UUID_STR];
	struct task t;
	int handled, rc;

	task_init(&t, r, c, row);
	handled = task_handle(&t, &why);
	reporter_stop(&t);
	rc = task_end(&t, handled, &why, ended, err);
	task_fini(&t);
	if (handled < 0)
		log_warn("task", "%s uuid=%s failed: %s", row->name, uuid_str(&row->uuid, uuid), why.msg);
	return rc;
}
