/* The queue of tasks: who may run when, and how tasks end. */
#include "fixture.h"

#include "base/clock.h"
#include "catalog/task.h"

#include <unistd.h>

#define TASKS_MAX 4096

static int64_t worker;
static struct uuid uuids[TASKS_MAX]; /* by id */

static int set_up(void **state)
{
	struct txn *t;

	if (fixture_set_up(state) < 0)
		return -1;
	t = begin_write();
	OK(catalog_worker_register(t, "w", "worker", NULL, &worker, &err));
	commit(t);
	return 0;
}

/* A task that wants "A" exclusively or "a" shared, for each letter of `wants`. */
static int64_t create_in(struct txn *t, const char *wants, bool immediate, bool *started)
{
	static const char *const upper[] = {"A", "B", "C", "D"};
	const char *exclusive[8] = {NULL}, *shared[8] = {NULL};
	size_t e = 0, s = 0;
	struct task_new n = {.name = "t",
		.args = SLICE("{\"x\":1}"),
		.logging_cid = SLICE("cid"),
		.exclusive = exclusive,
		.shared = shared,
		.immediate = immediate,
		.worker_id = worker};
	struct uuid uuid;
	int64_t id = 0;

	for (; *wants != '\0'; wants++) {
		if (*wants <= 'Z')
			exclusive[e++] = upper[*wants - 'A'];
		else
			shared[s++] = upper[*wants - 'a'];
	}
	OK(catalog_task_create(t, &n, &id, &uuid, started, &err));
	uuids[id % TASKS_MAX] = uuid;
	return id;
}

static int64_t create(const char *wants)
{
	struct txn *t = begin_write();
	int64_t id = create_in(t, wants, false, NULL);

	commit(t);
	return id;
}

/* The id of the claimed task, 0 when none is ready. */
static int64_t claim(void)
{
	struct txn *t = begin_write();
	struct task_row *row = NULL;
	int rc = catalog_task_claim(t, worker, &row, &err);
	int64_t id = 0;

	if (rc != -ERR_NOTFOUND) {
		OK(rc);
		assert_int_equal(row->state, TASK_RUNNING);
		assert_int_equal(row->worker_id, worker);
		assert_true(row->started_us > 0);
		id = row->id;
		task_row_free(&row);
	}
	commit(t);
	return id;
}

static int finish(int64_t id, enum task_state final)
{
	struct txn *t = begin_write();
	int rc = catalog_task_finish(t, id, final, SLICE_NULL, SLICE_NULL, &err);

	commit(t);
	return rc;
}

static int cancel(int64_t id, enum task_state *now)
{
	struct txn *t = begin_write();
	int rc = catalog_task_cancel(t, &uuids[id % TASKS_MAX], now, &err);

	commit(t);
	return rc;
}

static struct task_row *task(int64_t id)
{
	struct task_row *row = NULL;
	struct txn *t = begin_read();

	OK(catalog_task_by_uuid(t, &uuids[id % TASKS_MAX], &row, &err));
	txn_end(&t);
	return row;
}

/* Tasks 1, 2, 3 … with what they want; then steps: "+" claims all that are ready, "-2" finishes task 2, "x3" cancels
 * it; in between the claimed tasks as they come. */
static const struct {
	const char *what, *wants, *steps;
} orders[] = {
	{"tasks without common resources run together", "A B cD", "+123"},
	{"exclusive ones follow each other", "A A A", "+1 -1 +2 -2 +3"},
	{"shared ones run together", "a a a", "+123"},
	{"exclusive waits for shared", "a a A", "+12 -1 + -2 +3"},
	{"shared waits for exclusive", "A a a", "+1 -1 +23"},
	{"shared does not overtake a waiting exclusive one", "a A a", "+1 -1 +2 -2 +3"},
	{"several resources are needed at once", "A B AB c", "+124 -1 + -2 +3"},
	{"a blocked one blocks what comes behind it", "A AB B", "+1 -1 +2 -2 +3"},
	{"canceling the blocked one frees that", "A AB B", "+1 x2 +3"},
	{"canceling in the middle of shared ones", "a A a a", "+1 x2 +34"},
	{"exclusive and shared of one resource do not block themselves", "Aa Aa", "+1 -1 +2"},
	{"long chains", "AbC aBc abC cA B b", "+1 -1 +2 -2 +3 -3 +45 -5 +6"},
};

static void test_orders(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		char wants[64], seen[64];
		size_t n = 0;
		int64_t first, id;

		snprintf(wants, sizeof(wants), "%s", orders[i].wants);
		sql("DELETE FROM task;");
		first = 0;
		for (char *w = strtok(wants, " "); w != NULL; w = strtok(NULL, " ")) {
			id = create(w);
			first = first == 0 ? id : first;
		}
		for (const char *s = orders[i].steps; *s != '\0';) {
			seen[n++] = *s;
			switch (*s++) {
			case '+':
				while ((id = claim()) != 0)
					seen[n++] = (char)('1' + id - first);
				s += strspn(s, "123456789");
				break;
			case '-':
				seen[n++] = *s;
				OK(finish(first + *s++ - '1', TASK_COMPLETED));
				break;
			case 'x':
				seen[n++] = *s;
				OK(cancel(first + *s++ - '1', &(enum task_state){0}));
				break;
			}
			check_invariants();
		}
		seen[n] = '\0';
		if (strcmp(seen, orders[i].steps) != 0)
			fail_msg("%s: %s instead of %s", orders[i].what, seen, orders[i].steps);
	}
}

/* The same rule, the slow way. */
static bool is_free_by_the_book(int64_t id)
{
	char q[512];

	snprintf(q, sizeof(q),
		"SELECT COUNT(*) FROM task_resource r JOIN task_resource o ON o.resource = r.resource AND o.task_id < "
		"r.task_id "
		"JOIN task e ON e.id = o.task_id WHERE r.task_id = %lld AND (r.exclusive = 1 OR o.exclusive = 1) "
		"AND e.state IN ('waiting', 'running', 'canceling')",
		(long long)id);
	return number(q) == 0;
}

static void test_any_sequence_keeps_the_rule(void **state)
{
	unsigned seed = getenv("SEED") != NULL ? (unsigned)atoi(getenv("SEED")) : 1;

	print_message("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 300; round++) {
		char wants[5] = "", q[128];
		int64_t id;

		switch (rand() % 4) {
		case 0:
		case 1:
			for (int i = 0, n = 0; i < 4; i++) {
				if (rand() % 3 == 0)
					wants[n++] = (char)((rand() % 2 ? 'A' : 'a') + i);
			}
			create(wants);
			break;
		case 2:
			claim();
			break;
		default:
			snprintf(q, sizeof(q),
				"SELECT id FROM task WHERE state IN ('running', 'canceling'%s) ORDER BY id LIMIT 1 "
				"OFFSET %d",
				rand() % 4 == 0 ? ", 'waiting'" : "", rand() % 3);
			id = number(q);
			if (id > 0)
				OK(finish(id, rand() % 2 ? TASK_COMPLETED : TASK_CANCELED));
		}
		for (id = number("SELECT MIN(id) FROM task WHERE state = 'waiting'"); id > 0; id = number(q)) {
			snprintf(q, sizeof(q), "SELECT unblocked_at IS NOT NULL FROM task WHERE id = %lld",
				(long long)id);
			assert_int_equal(number(q), is_free_by_the_book(id));
			snprintf(q, sizeof(q), "SELECT MIN(id) FROM task WHERE state = 'waiting' AND id > %lld",
				(long long)id);
		}
		check_invariants();
	}
}

static void test_a_task_says_what_it_is(void **state)
{
	int64_t id = create("Ab"), before = clock_wall_us();
	uint64_t signal = shm_task_signal(shm);
	struct task_row *row = task(id);
	struct txn *t;

	assert_string_equal(row->name, "t");
	assert_string_equal(row->args, "{\"x\":1}");
	assert_string_equal(row->logging_cid, "cid");
	assert_int_equal(row->state, TASK_WAITING);
	assert_int_equal(row->worker_id, 0);
	assert_int_equal(row->started_us, 0);
	assert_true(row->created_us <= before && row->created_us > before - US_PER_S);
	assert_null(row->error);
	task_row_free(&row);
	assert_string_equal(
		text("SELECT group_concat(resource || exclusive) FROM (SELECT * FROM task_resource ORDER BY ord)"),
		"A1,B0");
	assert_int_equal(claim(), id);
	t = begin_write();
	OK(catalog_task_set_pid(t, id, 123, &err));
	commit(t);
	t = begin_write();
	OK(catalog_task_finish(t, id, TASK_FAILED, SLICE("{\"description\":\"x\"}"), SLICE("[1]"), &err));
	commit(t);
	assert_true(shm_task_signal(shm) > signal);
	row = task(id);
	assert_int_equal(row->state, TASK_FAILED);
	assert_string_equal(row->error, "{\"description\":\"x\"}");
	assert_string_equal(row->result, "[1]");
	assert_string_equal(row->args, "{}"); /* secrets may have been in them */
	assert_true(row->finished_us >= row->started_us && row->started_us > 0);
	task_row_free(&row);
	assert_int_equal(number("SELECT COUNT(*) FROM task_resource"), 2); /* the record stays */
	assert_int_equal(finish(id, TASK_COMPLETED), -ERR_BUSY);
	t = begin_read();
	assert_int_equal(catalog_task_by_uuid(t, &(struct uuid){{9}}, &row, &err), -ERR_NOTFOUND);
	txn_end(&t);
}

static void test_immediate_tasks_start_when_they_are_free(void **state)
{
	struct txn *t = begin_write();
	bool started = false;
	int64_t id = create_in(t, "A", true, &started);
	struct task_row *row;

	assert_true(started);
	create_in(t, "A", true, &started);
	assert_false(started);
	create_in(t, "B", false, &started);
	assert_false(started);
	commit(t);
	row = task(id);
	assert_int_equal(row->state, TASK_RUNNING);
	assert_int_equal(row->worker_id, worker);
	task_row_free(&row);
	assert_int_equal(claim(), id + 2);
	assert_int_equal(claim(), 0);
	OK(finish(id, TASK_COMPLETED));
	assert_int_equal(claim(), id + 1); /* left to a worker */
}

static void test_cancel(void **state)
{
	int64_t waiting, running = create("A"), ids[4];
	enum task_state now = TASK_WAITING;
	struct task_row *row;
	struct txn *t;
	size_t n = 9;

	waiting = create("A");
	assert_int_equal(claim(), running);
	OK(cancel(waiting, &now));
	assert_int_equal(now, TASK_CANCELED);
	row = task(waiting);
	assert_int_equal(row->state, TASK_CANCELED);
	assert_int_equal(row->started_us, 0);
	assert_true(row->finished_us > 0);
	task_row_free(&row);
	OK(cancel(running, &now));
	assert_int_equal(now, TASK_CANCELING);
	OK(cancel(running, &now)); /* once more does no harm */
	assert_int_equal(now, TASK_CANCELING);
	t = begin_read();
	OK(catalog_task_canceling(t, worker, ids, ARRAY_LEN(ids), &n, &err));
	assert_int_equal(n, 1);
	assert_int_equal(ids[0], running);
	OK(catalog_task_canceling(t, worker + 1, ids, ARRAY_LEN(ids), &n, &err));
	assert_int_equal(n, 0);
	txn_end(&t);
	OK(finish(running, TASK_CANCELED));
	assert_int_equal(cancel(running, &now), -ERR_BUSY);
	assert_int_equal(cancel(waiting, &now), -ERR_BUSY);
	t = begin_write();
	assert_int_equal(catalog_task_cancel(t, &(struct uuid){{9}}, &now, &err), -ERR_NOTFOUND);
	txn_end(&t);
}

static void test_progress_and_created_resources(void **state)
{
	struct progress p = {.ord = 1,
		.message = "Downloading",
		.code = "sync.downloading",
		.state = TASK_RUNNING,
		.total = -1,
		.done = 5};
	int64_t id = create("A");
	struct txn *t;

	assert_int_equal(claim(), id);
	t = begin_write();
	OK(catalog_progress_set(t, id, &p, &err));
	p = (struct progress){
		.ord = 0, .message = "m", .code = "c", .state = TASK_COMPLETED, .total = 3, .done = 3, .suffix = "s"};
	OK(catalog_progress_set(t, id, &p, &err));
	p = (struct progress){.ord = 1,
		.message = "Downloading",
		.code = "sync.downloading",
		.state = TASK_RUNNING,
		.total = 9,
		.done = 7};
	OK(catalog_progress_set(t, id, &p, &err));
	OK(catalog_task_add_created(t, id, "prn:b", "/b/", &err));
	OK(catalog_task_add_created(t, id, "prn:a", "/a/", &err));
	commit(t);
	assert_string_equal(text("SELECT group_concat(prn || href) FROM (SELECT * FROM task_created ORDER BY ord)"),
		"prn:b/b/,prn:a/a/");
	assert_string_equal(text("SELECT total || state || done FROM progress_report WHERE ord = 1"), "9running7");
	OK(finish(id, TASK_FAILED));
	assert_string_equal(text("SELECT state FROM progress_report WHERE ord = 1"), "failed");
	assert_string_equal(text("SELECT state FROM progress_report WHERE ord = 0"), "completed");
}

static void test_states_have_names(void **state)
{
	enum task_state s = TASK_WAITING;
	int final = 0;

	for (int i = 0; i < TASK_STATE_COUNT; i++) {
		assert_int_equal(task_state_parse(slice_str(task_state_name((enum task_state)i)), &s), 0);
		assert_int_equal(s, i);
		final += task_state_is_final(s);
	}
	assert_int_equal(final, 4);
	assert_int_equal(task_state_parse(SLICE("done"), &s), -ERR_INVAL);
}

/* Thousands wait behind one resource, all of them share another. The bound is loose for slow machines: a walk over
 * all of them for each step, as it would be without task_lock, takes minutes. */
static void test_a_claim_is_cheap_behind_thousands(void **state)
{
	int64_t first = 0, began;
	struct txn *t = begin_write();

	for (int i = 0; i < 3000; i++) {
		int64_t id = create_in(t, i % 3 == 0 ? "Ad" : i % 3 == 1 ? "aBd" : "Bd", false, NULL);

		first = first == 0 ? id : first;
	}
	commit(t);
	began = clock_mono_ns();
	t = begin_write();
	for (int i = 0; i < 200; i++) {
		struct task_row *row = NULL;

		OK(catalog_task_claim(t, worker, &row, &err));
		OK(catalog_task_finish(t, row->id, TASK_COMPLETED, SLICE_NULL, SLICE_NULL, &err));
		assert_int_equal(row->id, first + i);
		task_row_free(&row);
	}
	commit(t);
	assert_true(clock_mono_ns() - began < 2 * NS_PER_S);
}

/* --- workers --- */

static void test_workers_live_by_their_heartbeat(void **state)
{
	int64_t other = 0, again = 0, tasks = -1, now = clock_wall_us(), id = create("A"), canceled = create("B");
	enum task_state s;
	struct task_row *row;
	struct txn *t;

	assert_int_equal(claim(), id);
	assert_int_equal(claim(), canceled);
	OK(cancel(canceled, &s));
	t = begin_write();
	OK(catalog_worker_register(t, "other", "worker", "{\"core\":\"1\"}", &other, &err));
	assert_true(other != worker);
	OK(catalog_worker_reap(t, now - US_PER_S, NULL, other, &tasks, &err)); /* all are alive */
	assert_int_equal(tasks, 0);
	OK(catalog_worker_heartbeat(t, worker, &err));
	OK(catalog_worker_reap(t, clock_wall_us() + US_PER_S, NULL, other, &tasks, &err));
	assert_int_equal(tasks, 2);
	assert_int_equal(catalog_worker_heartbeat(t, worker, &err), -ERR_NOTFOUND);
	OK(catalog_worker_heartbeat(t, other, &err));
	OK(catalog_worker_register(t, "w", "worker", NULL, &again, &err));
	assert_true(again != worker);
	commit(t);
	row = task(id);
	assert_int_equal(row->state, TASK_FAILED);
	assert_string_equal(row->error, "{\"reason\":\"Worker has gone missing.\"}");
	assert_int_equal(row->worker_id, 0);
	task_row_free(&row);
	row = task(canceled);
	assert_int_equal(row->state, TASK_CANCELED);
	task_row_free(&row);
	check_invariants();
}

static void test_a_start_takes_all_others_of_the_host_for_dead(void **state)
{
	int64_t me = 0, far = 0, tasks = 0, ids[3];
	char host[256];
	struct txn *t;
	bool started;

	for (int i = 0; i < 2; i++)
		ids[i] = create("a");
	t = begin_write();
	OK(catalog_worker_register(t, "far", "worker", NULL, &far, &err));
	OK(db_exec(txn_db(t), "UPDATE worker SET host = 'far away' WHERE name = 'far';", &err));
	commit(t);
	assert_int_equal(claim(), ids[0]);
	worker = far;
	assert_int_equal(claim(), ids[1]);
	worker = 0; /* an immediate task of a process that did not say who it is */
	t = begin_write();
	ids[2] = create_in(t, "a", true, &started);
	assert_true(started);
	commit(t);
	assert_int_equal(gethostname(host, sizeof(host)), 0);
	t = begin_write();
	OK(catalog_worker_register(t, "me", "worker", NULL, &me, &err));
	OK(catalog_worker_reap(t, 0, NULL, me, &tasks, &err));
	assert_int_equal(tasks, 0);
	OK(catalog_worker_reap(t, 0, host, me, &tasks, &err));
	assert_int_equal(tasks, 2);
	OK(catalog_worker_heartbeat(t, me, &err));
	OK(catalog_worker_heartbeat(t, far, &err));
	commit(t);
	assert_string_equal(
		text("SELECT group_concat(state) FROM (SELECT state FROM task ORDER BY id)"), "failed,running,failed");
}

static void test_a_worker_that_leaves_or_returns_ends_its_tasks(void **state)
{
	int64_t first = create("a"), second = create("a"), id = 0;
	struct txn *t;

	assert_int_equal(claim(), first);
	t = begin_write();
	OK(catalog_worker_register(t, "w", "worker", "{}", &id, &err)); /* by name: a new process, the same row */
	commit(t);
	assert_int_equal(id, worker);
	assert_string_equal(text("SELECT state FROM task ORDER BY id LIMIT 1"), "failed");
	assert_int_equal(claim(), second);
	t = begin_write();
	OK(catalog_worker_remove(t, worker, &err));
	commit(t);
	assert_string_equal(text("SELECT state FROM task ORDER BY id DESC LIMIT 1"), "failed");
	assert_int_equal(number("SELECT COUNT(*) FROM worker"), 0);
	check_invariants();
}

#define TASK(fn) cmocka_unit_test_setup_teardown(fn, set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TASK(test_orders),
		TASK(test_any_sequence_keeps_the_rule),
		TASK(test_a_task_says_what_it_is),
		TASK(test_immediate_tasks_start_when_they_are_free),
		TASK(test_cancel),
		TASK(test_progress_and_created_resources),
		TASK(test_states_have_names),
		TASK(test_a_claim_is_cheap_behind_thousands),
		TASK(test_workers_live_by_their_heartbeat),
		TASK(test_a_start_takes_all_others_of_the_host_for_dead),
		TASK(test_a_worker_that_leaves_or_returns_ends_its_tasks),
	};

	return RUN("task", tests);
}
