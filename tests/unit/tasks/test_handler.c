/* What a handler may do, and what becomes of it: through the two ways that run one, inside the dispatch and as a task process's main. */
#include "fixture.h"

#include "base/clock.h"
#include "base/metrics.h"

#include <stdio.h>
#include <string.h>

static struct fixture f;
static int env;

static int run_ok(struct task *t, struct err *err)
{
	assert_ptr_equal(task_env(t), &env);
	assert_ptr_equal(task_catalog(t), f.catalog);
	assert_int_equal(task_self(t)->state, TASK_RUNNING);
	task_result(t, json_pack("{s:O}", "args", (json_t *)(uintptr_t)task_args(t)));
	assert_int_equal(task_created(t, "prn:a", "/a/"), 0);
	assert_int_equal(task_created(t, "prn:b", "/b/"), 0);
	return 0;
}

static int run_fail(struct task *t, struct err *err)
{
	const char *text = json_string_value(json_object_get(task_args(t), "text"));

	if (text == NULL)
		return -ERR_GONE; /* without a text of its own */
	return err_set(err, -ERR_DIGEST, "%s\xff", text);
}

static int run_progress(struct task *t, struct err *err)
{
	task_progress(t, "a", "First", 100, 0);
	for (int i = 1; i < 99; i++)
		task_progress(t, "a", NULL, 100, i);
	task_progress(t, "b", "Second", -1, 7);
	task_progress_done(t, "b", 9);
	task_progress_done(t, "c", 0);
	task_progress(t, "d", "Open", -1, 1);
	task_progress(t, "d", NULL, -1, 2);
	if (json_object_get(task_args(t), "fail") != NULL)
		return err_set(err, -ERR_IO, "broken");
	return 0;
}

/* Its last number comes too soon to be written at once, and then it waits for somebody who has seen it. */
static int run_waiting(struct task *t, struct err *err)
{
	int64_t deadline = clock_mono_ns() + 60 * NS_PER_S;
	const char *done = "";

	task_progress(t, "a", "Waiting", 10, 0);
	task_progress(t, "a", NULL, 10, 4);
	while (strcmp(done, "4") != 0) {
		if (clock_mono_ns() > deadline)
			return err_set(err, -ERR_TIMEOUT, "the last number is '%s'", done);
		done = fixture_text(
			&f, &task_self(t)->uuid, "SELECT CAST(done AS TEXT) FROM progress_report WHERE task_id = $1");
	}
	return 0;
}

/* Somebody cancels it while it works. */
static int run_canceled(struct task *t, struct err *err)
{
	fixture_cancel(&f, &task_self(t)->uuid);
	return 0;
}

static const struct task_handler handlers[] = {
	{"ok", run_ok, true},
	{"ok.later", run_ok, false},
	{"fail", run_fail, true},
	{"progress", run_progress, true},
	{"waiting", run_waiting, true},
	{"canceled", run_canceled, true},
};
static const struct task_registry registry = {handlers, sizeof(handlers) / sizeof(handlers[0]), &env};

static int set_up(void **state)
{
	fixture_open(&f);
	return 0;
}

static int tear_down(void **state)
{
	fixture_close(&f);
	return 0;
}

static void test_find(void **state)
{
	assert_string_equal(task_registry_find(&registry, "fail")->name, "fail");
	assert_null(task_registry_find(&registry, "failing"));
}

static void test_immediate_ends_inside_the_dispatch(void **state)
{
	int64_t completed = metric_get(M_tasks_completed);
	struct uuid u = fixture_dispatch(&f, &registry, "ok", "{\"x\": [1]}", "prn:r");

	assert_int_equal(fixture_state(&f, &u), TASK_COMPLETED);
	assert_int_equal(metric_get(M_tasks_completed), completed + 1);
	assert_string_equal(fixture_text(&f, &u, "SELECT result FROM task WHERE id = $1"), "{\"args\":{\"x\":[1]}}");
	assert_string_equal(fixture_text(&f, &u, "SELECT error FROM task WHERE id = $1"), "");
	assert_string_equal(
		fixture_text(&f, &u, "SELECT group_concat(href) FROM task_created WHERE task_id = $1"), "/a/,/b/");
}

static void test_immediate_waits_for_its_resources(void **state)
{
	struct uuid first = fixture_dispatch(&f, &registry, "ok.later", "{}", "prn:r");
	struct uuid second = fixture_dispatch(&f, &registry, "ok", "{}", "prn:r");
	struct uuid other = fixture_dispatch(&f, &registry, "ok", "{}", "prn:other");

	assert_int_equal(fixture_state(&f, &first), TASK_WAITING);
	assert_int_equal(fixture_state(&f, &second), TASK_WAITING);
	assert_int_equal(fixture_state(&f, &other), TASK_COMPLETED);
}

static void test_errors(void **state)
{
	static const struct {
		const char *args, *error;
	} rows[] = {
		{"{\"text\": \"plain\"}", "{\"description\":\"plain?\",\"traceback\":null}"},
		{"{\"text\": \"[PLP0003] wrong\"}",
			"{\"description\":\"[PLP0003] wrong?\",\"traceback\":null,\"error_code\":\"PLP0003\"}"},
		{"{\"text\": \"[PLP03] x\"}", "{\"description\":\"[PLP03] x?\",\"traceback\":null}"},
		{"{\"text\": \"\\u00e4 \\\"\"}", "{\"description\":\"\xc3\xa4 \\\"?\",\"traceback\":null}"},
		{"{}", "{\"description\":\"upstream does not have it\",\"traceback\":null}"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct uuid u = fixture_dispatch(&f, &registry, "fail", rows[i].args, NULL);

		assert_int_equal(fixture_state(&f, &u), TASK_FAILED);
		assert_string_equal(fixture_text(&f, &u, "SELECT error FROM task WHERE id = $1"), rows[i].error);
		assert_string_equal(fixture_text(&f, &u, "SELECT result FROM task WHERE id = $1"), "");
	}
}

#define REPORTS                                                                                                      \
	"SELECT group_concat(code || '|' || message || '|' || state || '|' || COALESCE(total, '-') || '|' || done) " \
	"FROM (SELECT * FROM progress_report WHERE task_id = $1 ORDER BY ord)"

static void test_progress(void **state)
{
	struct uuid u = fixture_dispatch(&f, &registry, "progress", "{}", NULL);

	/* The last numbers are there although they came faster than they are written. */
	assert_string_equal(fixture_text(&f, &u, REPORTS),
		"a|First|completed|100|98,b|Second|completed|9|9,c|c|completed|0|0,d|Open|completed|-|2");
	u = fixture_dispatch(&f, &registry, "progress", "{\"fail\": 1}", NULL);
	assert_string_equal(fixture_text(&f, &u, REPORTS),
		"a|First|failed|100|98,b|Second|completed|9|9,c|c|completed|0|0,d|Open|failed|-|2");
}

/* A hundred reports in a row are two or three transactions, for every process of the host waits for each. */
static void test_progress_is_throttled(void **state)
{
	int64_t began = clock_mono_ns(), before = metric_get(M_catalog_transactions), spent, halves;

	fixture_dispatch(&f, &registry, "progress", "{}", NULL);
	spent = metric_get(M_catalog_transactions) - before;
	halves = (clock_mono_ns() - began) / (NS_PER_S / 2);
	/* Create, four first reports, the end of two, the end; and one for each half second that it took. */
	assert_true(spent <= 8 + halves);
}

static void test_progress_is_true_while_the_handler_waits(void **state)
{
	struct uuid u = fixture_dispatch(&f, &registry, "waiting", "{}", NULL);

	assert_string_equal(fixture_text(&f, &u, "SELECT error FROM task WHERE id = $1"), "");
	assert_int_equal(fixture_state(&f, &u), TASK_COMPLETED);
}

static void test_canceled_meanwhile(void **state)
{
	struct uuid u = fixture_dispatch(&f, &registry, "canceled", "{}", NULL);

	assert_int_equal(fixture_state(&f, &u), TASK_CANCELED);
	assert_string_equal(fixture_text(&f, &u, "SELECT error FROM task WHERE id = $1"), "");
}

/* The process that queues need not be the one that can. */
static void test_unknown_name(void **state)
{
	struct uuid u = fixture_dispatch(&f, &registry, "another's", "{}", NULL);

	assert_int_equal(fixture_state(&f, &u), TASK_WAITING);
}

static void test_child(void **state)
{
	struct uuid u = fixture_dispatch(&f, &registry, "ok.later", "{}", NULL);
	char text[UUID_STR];

	uuid_str(&u, text);
	assert_int_equal(task_child_main(&registry, f.catalog, "rubbish"), 1);
	/* Nobody has claimed it. */
	assert_int_equal(task_child_main(&registry, f.catalog, text), 1);
	assert_int_equal(fixture_state(&f, &u), TASK_WAITING);
	fixture_exec(&f, "UPDATE task SET state = 'running'");
	assert_int_equal(task_child_main(&registry, f.catalog, text), 0);
	assert_int_equal(fixture_state(&f, &u), TASK_COMPLETED);
}

/* What the queue holds may come from another version of this program. */
static void test_child_of_another_version(void **state)
{
	struct uuid u = fixture_dispatch(&f, &registry, "ok.later", "{}", NULL);
	char text[UUID_STR];

	fixture_exec(&f, "UPDATE task SET state = 'running', name = 'future'");
	assert_int_equal(task_child_main(&registry, f.catalog, uuid_str(&u, text)), 0);
	assert_int_equal(fixture_state(&f, &u), TASK_FAILED);
	assert_non_null(strstr(fixture_text(&f, &u, "SELECT error FROM task WHERE id = $1"), "future"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_find, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_immediate_ends_inside_the_dispatch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_immediate_waits_for_its_resources, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_progress, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_progress_is_throttled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_progress_is_true_while_the_handler_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_canceled_meanwhile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unknown_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_child, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_child_of_another_version, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("handler", tests, NULL, NULL);
}
