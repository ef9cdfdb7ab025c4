/* The worker: one thread that claims tasks, runs each in a process of its own, and sees to it that every one ends.
 *
 * A place for a task goes through these states, forward only, and back to FREE:
 *
 *   FREE ──claimed──> ALIVE ──reaped──> ENDED ──end is in the catalog──> FREE
 *
 *   FREE   no task
 *   ALIVE  the process runs; it was perhaps told to stop (`stop` says why)
 *   ENDED  the process is gone, and its task has an end that perhaps only we know; kept until the catalog takes it
 *
 * Everything here is the worker's thread's, but `stopping`, which anybody sets, and `wake_fd`. */
#include "tasks/spawn.h"
#include "tasks/tasks_priv.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/metrics.h"
#include "catalog/repository.h"
#include "catalog/upkeep.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WORKER_MAGIC UINT32_C(0x736c776b)
/* How soon a queued task is noticed: one atomic load each time. */
#define LOOK_MS 50
/* The same without shared memory: a look into the catalog each time. */
#define LOOK_BLIND_NS NS_PER_S
/* After an error of the catalog, until it is asked again. */
#define AGAIN_NS NS_PER_S
/* At the end, how long ends that the catalog does not take are tried again. The next start does the rest. */
#define GIVE_UP_NS (2 * NS_PER_S)
/* From SIGTERM to SIGKILL. A task has nothing to tidy up that the next one would not. */
#define TERM_NS (5 * NS_PER_S)
#define HOST_LEN 256

enum place_state { PLACE_FREE, PLACE_ALIVE, PLACE_ENDED };
enum stop { STOP_NONE, STOP_CANCEL, STOP_TIMEOUT, STOP_SHUTDOWN, STOP_LOST };

struct place {
	enum place_state state;
	enum stop stop;
	int64_t task_id;
	struct uuid uuid;
	char *name;
	struct child child;
	int64_t started_ns;
	int64_t stopped_ns; /* of SIGTERM; 0: not told to stop */
	enum spawn_end how; /* ENDED */
	int detail;         /* ENDED */
	int64_t again_ns;   /* ENDED: when the catalog is asked again */
};

struct worker {
	uint32_t magic;
	const struct settings *settings;
	struct catalog *catalog;
	struct shm *shm;
	char **argv; /* child_argv, "task-run", the UUID, NULL */
	size_t argc; /* index of the UUID */
	char host[HOST_LEN];
	char name[HOST_LEN + 32];
	int64_t id;
	pthread_t thread;
	int wake_fd;
	_Atomic int stopping;
	_Atomic int64_t grace_ms;

	struct place *places;
	int place_count;
	int64_t stop_ns;      /* when the grace ends; 0: not stopping */
	uint64_t seen_signal; /* of the last look */
	bool look;            /* look whatever the signal says */
	int64_t look_at_ns;
	int64_t beat_at_ns;
	bool blind; /* the catalog does not answer, and the log says so */
};

/* ---- transactions ---- */

/* Registers under our name; with `all`, after declaring every worker of this host dead. */
static int worker_register(struct worker *w, bool all, struct err *err)
{
	int64_t tasks = 0;
	struct txn *t = NULL;
	int rc = catalog_write(w->catalog, &t, err);

	/* First the dead, then us: in a container the process before us had our name. */
	if (rc == 0 && all)
		rc = catalog_worker_reap(
			t, clock_wall_us() - w->settings->tasks_worker_ttl * 1000, w->host, 0, &tasks, err);
	if (rc == 0)
		rc = catalog_worker_register(t, w->name, "worker", "{\"sluice\":\"" SLUICE_VERSION "\"}", &w->id, err);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	if (rc == 0 && tasks > 0)
		log_warn("task", "%lld tasks of workers that are gone have failed", (long long)tasks);
	return rc;
}

static void worker_unregister(struct worker *w)
{
	struct txn *t = NULL;
	struct err err = ERR_INIT;
	int rc = catalog_write(w->catalog, &t, &err);

	if (rc == 0)
		rc = catalog_worker_remove(t, w->id, &err);
	if (rc == 0)
		rc = txn_commit(&t, &err);
	txn_end(&t);
	if (rc < 0)
		log_warn("task", "ignoring that worker %s cannot sign off: %s", w->name, err.msg);
}

static int worker_heartbeat(struct worker *w, struct err *err)
{
	int64_t tasks = 0;
	struct txn *t = NULL;
	int rc = catalog_write(w->catalog, &t, err);

	if (rc == 0)
		rc = catalog_worker_heartbeat(t, w->id, err);
	if (rc == 0)
		rc = catalog_worker_reap(
			t, clock_wall_us() - w->settings->tasks_worker_ttl * 1000, NULL, w->id, &tasks, err);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	if (rc == 0 && tasks > 0)
		log_warn("task", "%lld tasks of workers that went missing have failed", (long long)tasks);
	return rc;
}

static int worker_claim(struct worker *w, struct task_row **out, struct err *err)
{
	struct task_row *row = NULL;
	struct txn *t = NULL;
	int rc = catalog_write(w->catalog, &t, err);

	if (rc == 0)
		rc = catalog_task_claim(t, w->id, &row, err);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	if (rc == 0)
		*out = TAKE(row);
	task_row_free(&row);
	return rc;
}

static void worker_note_pid(struct worker *w, const struct place *p)
{
	struct txn *t = NULL;
	struct err err = ERR_INIT;
	int rc = catalog_write(w->catalog, &t, &err);

	if (rc == 0)
		rc = catalog_task_set_pid(t, p->task_id, p->child.pid, &err);
	if (rc == 0)
		rc = txn_commit(&t, &err);
	txn_end(&t);
	if (rc < 0)
		log_warn("task", "ignoring that the process of a task cannot be recorded: %s", err.msg);
}

/* ---- ends ---- */

static char *place_reason(const struct worker *w, const struct place *p)
{
	char text[128];

	if (p->stop == STOP_TIMEOUT)
		return task_reason_text("Timed out after %lld s.", (long long)(w->settings->tasks_time_limit / 1000));
	if (p->stop == STOP_SHUTDOWN)
		return task_reason_text("Aborted during worker shutdown.");
	switch (p->how) {
	case SPAWN_KILLED:
		return task_reason_text("Killed by signal %d.", p->detail);
	case SPAWN_NOT_STARTED:
		return task_reason_text(
			"The task process could not be started: %s.", strerror_r(p->detail, text, sizeof(text)));
	default:
		if (p->detail == 0)
			return task_reason_text("The task process ended without a result.");
		return task_reason_text("Exit status %d.", p->detail);
	}
}

/* How the task stands, if its process wrote its end. */
static int place_read_state(struct worker *w, const struct place *p, enum task_state *now, struct err *err)
{
	struct task_row *row = NULL;
	struct txn *t = NULL;
	int rc = catalog_read(w->catalog, &t, err);

	if (rc == 0)
		rc = catalog_task_by_uuid(t, &p->uuid, &row, err);
	txn_end(&t);
	if (rc == 0)
		*now = row->state;
	task_row_free(&row);
	return rc;
}

static int place_write_end(struct worker *w, const struct place *p, enum task_state *now, struct err *err)
{
	enum task_state final = p->stop == STOP_CANCEL ? TASK_CANCELED : TASK_FAILED;
	char *reason = final == TASK_FAILED ? place_reason(w, p) : NULL;
	struct txn *t = NULL;
	int rc = 0;

	if (final == TASK_FAILED && reason == NULL)
		rc = err_set(err, -ERR_NOMEM, "no memory");
	if (rc == 0)
		rc = catalog_write(w->catalog, &t, err);
	if (rc == 0)
		rc = task_write_end(t, &p->uuid, final, slice_str(reason), SLICE_NULL, now, err);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	free(reason);
	return rc;
}

static void place_free(struct place *p)
{
	BUG(p->child.pid != 0);
	free(p->name);
	*p = (struct place){.state = PLACE_FREE};
}

/* ENDED → FREE, as soon as the catalog has the end. A task that was deleted meanwhile needs none. */
static void place_finish(struct worker *w, struct place *p)
{
	enum task_state now = TASK_RUNNING;
	struct err err = ERR_INIT;
	char uuid[UUID_STR];
	int rc = place_read_state(w, p, &now, &err);

	BUG(p->state != PLACE_ENDED);
	if (rc == 0 && !task_state_is_final(now))
		rc = place_write_end(w, p, &now, &err);
	if (rc < 0 && rc != -ERR_NOTFOUND) {
		if (p->again_ns == 0)
			log_error("task", "the end of task %s cannot be written, trying again: %s",
				uuid_str(&p->uuid, uuid), err.msg);
		p->again_ns = clock_mono_ns() + AGAIN_NS;
		return;
	}
	if (rc == 0) {
		metric_inc(now == TASK_COMPLETED ? M_tasks_completed : M_tasks_failed);
		log_info("task", "%s uuid=%s %s ms=%lld", p->name, uuid_str(&p->uuid, uuid), task_state_name(now),
			(long long)((clock_mono_ns() - p->started_ns) / NS_PER_MS));
	}
	place_free(p);
	w->look = true;
}

/* ---- processes ---- */

static void place_stop(struct place *p, enum stop why)
{
	if (p->state != PLACE_ALIVE || p->stop >= why)
		return;
	/* Later reasons are the harder ones: those two do not wait for manners. */
	p->stop = why;
	if (why >= STOP_SHUTDOWN) {
		spawn_signal(&p->child, SIGKILL);
	} else if (p->stopped_ns == 0) {
		p->stopped_ns = clock_mono_ns();
		spawn_signal(&p->child, SIGTERM);
	}
}

static void place_start(struct worker *w, struct place *p, struct task_row *row)
{
	struct spawn_opts opts = {.argv = w->argv, .address_bytes = w->settings->tasks_memory_limit};
	struct err err = ERR_INIT;
	char uuid[UUID_STR];

	BUG(p->state != PLACE_FREE);
	p->task_id = row->id;
	p->uuid = row->uuid;
	p->name = TAKE(row->name);
	p->started_ns = clock_mono_ns();
	w->argv[w->argc] = uuid_str(&row->uuid, uuid);
	metric_inc(M_tasks_started);
	if (spawn_child(&opts, &p->child, &err) < 0) {
		log_error("task", "%s uuid=%s: %s", p->name, uuid, err.msg);
		p->state = PLACE_ENDED;
		p->how = SPAWN_NOT_STARTED;
		p->detail = err.sys;
	} else {
		log_info("task", "%s uuid=%s running pid=%d", p->name, uuid, (int)p->child.pid);
		p->state = PLACE_ALIVE;
		worker_note_pid(w, p);
	}
	w->argv[w->argc] = NULL;
}

static void worker_reap(struct worker *w)
{
	int64_t now = clock_mono_ns();

	for (int i = 0; i < w->place_count; i++) {
		struct place *p = &w->places[i];

		if (p->state == PLACE_ALIVE && spawn_reap(&p->child, &p->how, &p->detail) > 0)
			p->state = PLACE_ENDED;
		if (p->state == PLACE_ENDED && now >= p->again_ns)
			place_finish(w, p);
	}
}

static void worker_limits(struct worker *w)
{
	int64_t now = clock_mono_ns();

	for (int i = 0; i < w->place_count; i++) {
		struct place *p = &w->places[i];

		if (p->state != PLACE_ALIVE)
			continue;
		if (p->stop == STOP_NONE && now - p->started_ns >= w->settings->tasks_time_limit * NS_PER_MS)
			place_stop(p, STOP_TIMEOUT);
		if (w->stop_ns != 0 && now >= w->stop_ns)
			place_stop(p, STOP_SHUTDOWN);
		if (p->stopped_ns != 0 && now - p->stopped_ns >= TERM_NS)
			spawn_signal(&p->child, SIGKILL);
	}
}

/* ---- looking for work ---- */

static struct place *worker_place_of(struct worker *w, int64_t task_id)
{
	for (int i = 0; i < w->place_count; i++) {
		if (w->places[i].state != PLACE_FREE && w->places[i].task_id == task_id)
			return &w->places[i];
	}
	return NULL;
}

static struct place *worker_free_place(struct worker *w)
{
	for (int i = 0; i < w->place_count; i++) {
		if (w->places[i].state == PLACE_FREE)
			return &w->places[i];
	}
	return NULL;
}

static bool worker_is_idle(struct worker *w)
{
	for (int i = 0; i < w->place_count; i++) {
		if (w->places[i].state != PLACE_FREE)
			return false;
	}
	return true;
}

static int worker_look_for_canceled(struct worker *w, struct err *err)
{
	int64_t ids[64];
	size_t count = 0;
	struct txn *t = NULL;
	int rc;

	if (worker_is_idle(w))
		return 0;
	rc = catalog_read(w->catalog, &t, err);
	if (rc == 0)
		rc = catalog_task_canceling(t, w->id, ids, ARRAY_LEN(ids), &count, err);
	txn_end(&t);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		struct place *p = worker_place_of(w, ids[i]);

		if (p != NULL)
			place_stop(p, STOP_CANCEL);
	}
	/* Those that were shown vanish from the answer as they end, and each end asks for another look. */
	return rc;
}

static int worker_look_for_work(struct worker *w, struct err *err)
{
	struct place *p;

	while (w->stop_ns == 0 && (p = worker_free_place(w)) != NULL) {
		struct task_row *row = NULL;
		int rc = worker_claim(w, &row, err);

		if (rc == -ERR_NOTFOUND)
			return 0;
		if (rc < 0)
			return rc;
		place_start(w, p, row);
		task_row_free(&row);
	}
	return 0;
}

static void worker_look(struct worker *w)
{
	int64_t now = clock_mono_ns();
	uint64_t signal_now = w->shm != NULL ? shm_task_signal(w->shm) : 0;
	struct err err = ERR_INIT;
	int rc;

	if (now < w->look_at_ns || (!w->look && w->shm != NULL && signal_now == w->seen_signal))
		return;
	w->look = false;
	w->seen_signal = signal_now; /* read before the catalog: what comes in between is looked at again */
	rc = worker_look_for_canceled(w, &err);
	if (rc == 0)
		rc = worker_look_for_work(w, &err);
	w->look_at_ns = w->shm == NULL ? now + LOOK_BLIND_NS : now;
	if (rc < 0) {
		w->look = true;
		w->look_at_ns = now + AGAIN_NS;
	}
	if (rc < 0 && !w->blind)
		log_error("task", "the queue cannot be read, trying again: %s", err.msg);
	else if (rc == 0 && w->blind)
		log_info("task", "the queue can be read again");
	w->blind = rc < 0;
}

/* Somebody took us for dead and failed our tasks: their reservations are free, so nothing of them may go on. */
static void worker_was_lost(struct worker *w)
{
	struct err err = ERR_INIT;

	log_error("task", "worker %s was taken for dead; its tasks are killed", w->name);
	for (int i = 0; i < w->place_count; i++)
		place_stop(&w->places[i], STOP_LOST);
	if (worker_register(w, false, &err) < 0)
		log_error("task", "worker %s cannot register again: %s", w->name, err.msg);
}

static void worker_beat(struct worker *w)
{
	int64_t now = clock_mono_ns();
	struct err err = ERR_INIT;
	int rc;

	if (now < w->beat_at_ns)
		return;
	w->beat_at_ns = now + w->settings->tasks_worker_ttl * NS_PER_MS / 4;
	rc = worker_heartbeat(w, &err);
	if (rc == -ERR_NOTFOUND)
		worker_was_lost(w);
	else if (rc < 0)
		log_error("task", "the heartbeat of worker %s cannot be written: %s", w->name, err.msg);
	if (rc == 0 && catalog_history_sweep(w->catalog, &err) < 0)
		log_warn("task", "ignoring that superseded publications are not dropped now: %s", err.msg);
	if (rc == 0 && catalog_offers_sweep(w->catalog, &err) < 0)
		log_warn("task", "ignoring that sources of what was dropped are not forgotten now: %s", err.msg);
	w->look = true; /* in case a signal was lost with the process that should have sent it */
}

/* Until a process ends, somebody stops us, or it is time to look. */
static void worker_wait(struct worker *w)
{
	struct pollfd fds[64];
	nfds_t n = 0;
	uint64_t drop;

	fds[n++] = (struct pollfd){.fd = w->wake_fd, .events = POLLIN};
	for (int i = 0; i < w->place_count && n < ARRAY_LEN(fds); i++) {
		if (w->places[i].state == PLACE_ALIVE)
			fds[n++] = (struct pollfd){.fd = w->places[i].child.pidfd, .events = POLLIN};
	}
	if (poll(fds, n, LOOK_MS) > 0 && fds[0].revents != 0)
		(void)!read(w->wake_fd, &drop, sizeof(drop));
}

static bool worker_is_done(struct worker *w)
{
	if (w->stop_ns == 0)
		return false;
	if (worker_is_idle(w))
		return true;
	if (clock_mono_ns() < w->stop_ns + GIVE_UP_NS)
		return false;
	for (int i = 0; i < w->place_count; i++) {
		if (w->places[i].state == PLACE_ALIVE)
			return false;
	}
	return true;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	MAGIC_CHECK(w, WORKER_MAGIC);
	pthread_setname_np(pthread_self(), "worker");
	for (;;) {
		if (w->stop_ns == 0 && atomic_load(&w->stopping))
			w->stop_ns = clock_mono_ns() + atomic_load(&w->grace_ms) * NS_PER_MS;
		worker_reap(w);
		if (worker_is_done(w))
			break;
		worker_beat(w);
		worker_look(w);
		worker_limits(w);
		worker_wait(w);
	}
	worker_unregister(w);
	return NULL;
}

/* ---- from outside ---- */

static void worker_free(struct worker *w)
{
	for (size_t i = 0; w->argv != NULL && i < w->argc; i++)
		free(w->argv[i]);
	free(w->argv);
	for (int i = 0; w->places != NULL && i < w->place_count; i++)
		free(w->places[i].name);
	free(w->places);
	fs_close(&w->wake_fd);
	w->magic = 0;
	free(w);
}

static int worker_take_argv(struct worker *w, char *const *argv, struct err *err)
{
	size_t n = 0;

	while (argv[n] != NULL)
		n++;
	w->argv = calloc(n + 3, sizeof(*w->argv));
	if (w->argv == NULL)
		return err_set(err, -ERR_NOMEM, "starting the worker");
	for (; w->argc <= n; w->argc++) {
		w->argv[w->argc] = strdup(w->argc < n ? argv[w->argc] : "task-run");
		if (w->argv[w->argc] == NULL)
			return err_set(err, -ERR_NOMEM, "starting the worker");
	}
	return 0;
}

static int worker_start_thread(struct worker *w, struct err *err)
{
	static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
	sigset_t all, before;
	int sys;

	/* Signals are the main thread's, but for those that this thread's own mistakes raise. */
	sigfillset(&all);
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		sigdelset(&all, own[i]);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	sys = pthread_create(&w->thread, NULL, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return sys != 0 ? err_sys(err, sys, "starting the worker's thread") : 0;
}

int worker_start(const struct worker_opts *opts, struct worker **out, struct err *err)
{
	struct worker *w = calloc(1, sizeof(*w));
	int rc;

	if (w == NULL)
		return err_set(err, -ERR_NOMEM, "starting the worker");
	w->magic = WORKER_MAGIC;
	w->settings = opts->settings;
	w->catalog = opts->catalog;
	w->shm = opts->shm;
	w->look = true;
	w->place_count = (int)opts->settings->tasks_workers;
	w->places = calloc((size_t)w->place_count, sizeof(*w->places));
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->places == NULL || w->wake_fd < 0) {
		rc = err_sys(err, w->places == NULL ? ENOMEM : errno, "starting the worker");
		goto out;
	}
	if (gethostname(w->host, sizeof(w->host) - 1) < 0)
		snprintf(w->host, sizeof(w->host), "localhost");
	if (opts->name != NULL)
		snprintf(w->name, sizeof(w->name), "%s", opts->name);
	else
		snprintf(w->name, sizeof(w->name), "%ld@%s", (long)getpid(), w->host);
	rc = worker_take_argv(w, opts->child_argv, err);
	if (rc == 0)
		rc = worker_register(w, true, err);
	if (rc < 0)
		goto out;
	w->beat_at_ns = clock_mono_ns() + w->settings->tasks_worker_ttl * NS_PER_MS / 4;
	rc = worker_start_thread(w, err);
	if (rc < 0) {
		worker_unregister(w);
		goto out;
	}
	*out = w;
out:
	if (rc < 0)
		worker_free(w);
	return rc;
}

void worker_stop(struct worker **pw, int64_t grace_ms)
{
	struct worker *w = TAKE(*pw);
	uint64_t one = 1;

	if (w == NULL)
		return;
	MAGIC_CHECK(w, WORKER_MAGIC);
	atomic_store(&w->grace_ms, grace_ms);
	atomic_store(&w->stopping, 1);
	(void)!write(w->wake_fd, &one, sizeof(one)); /* without it the thread sees it LOOK_MS later */
	pthread_join(w->thread, NULL);
	worker_free(w);
}
