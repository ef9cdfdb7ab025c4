/* tasks/purge/: which records go, and which requests are refused. */
#include "fixture.h"

/* Two completed tasks and one that waits: a create of a distribution, run; a sync, run; a sync, not run. */
static void make_tasks(struct fixture *f)
{
	PLAY(f, {"POST", "remotes/file/file/", "{\"name\":\"m\",\"url\":\"http://h/M\"}", 201, NULL, "m=pulp_href"},
		{"POST", "repositories/file/file/", "{\"name\":\"r\",\"remote\":\"{m}\"}", 201, NULL, "r=pulp_href"},
		{"POST", "{r}sync/", "{}", 202, NULL, "one=task"});
	work(f);
	PLAY(f, {"POST", "{r}sync/", "{}", 202, NULL, "waiting=task"});
}

static void test_what_ended_before_a_date_goes(void **state)
{
	struct fixture *f = *state;

	make_tasks(f);
	PLAY(f, {"POST", "tasks/purge/", "{}", 202, NULL, "purge=task"});
	work(f);
	/* nothing is 30 days old */
	PLAY(f,
		{"GET", "{purge}", NULL, 200, "{\"state\":\"completed\",\"name\":\"pulpcore.app.tasks.purge.purge\"}",
			NULL},
		{"GET", "{one}", NULL, 200, NULL, NULL},
		{"POST", "tasks/purge/", "{\"finished_before\":\"2999-01-01T00:00\",\"states\":[\"failed\"]}", 202,
			NULL, "purge=task"});
	work(f);
	PLAY(f, {"GET", "{one}", NULL, 200, NULL, NULL}, {"POST", "{r}sync/", "{}", 202, NULL, "waiting=task"},
		{"POST", "tasks/purge/", "{\"finished_before\":\"2999-01-01T00:00\"}", 202, NULL, "purge=task"},
		{"PATCH", "{waiting}", "{\"state\":\"canceled\"}", 200, NULL, NULL});
	work(f);
	/* itself and what was canceled stay */
	PLAY(f, {"GET", "{one}", NULL, 404, NULL, NULL}, {"GET", "{waiting}", NULL, 200, NULL, NULL},
		{"GET", "{purge}", NULL, 200,
			"~{\"message\":\"Purged records in "
			"all\",\"code\":\"purge.tasks.total\",\"state\":\"completed\","
			"\"total\":4,\"done\":4,\"suffix\":null}",
			NULL},
		{"GET", "tasks/", NULL, 200, "{\"count\":2}", NULL});
}

static void test_a_purge_in_batches(void **state)
{
	struct fixture *f = *state;

	exec_sql(f,
		"INSERT INTO task (uuid, created, updated, name, state, finished_at) WITH RECURSIVE n(i) AS (SELECT 1 "
		"UNION ALL SELECT i + 1 FROM n WHERE i < 1100) SELECT randomblob(16), i, i, 'old', 'completed', i FROM "
		"n;");
	PLAY(f, {"POST", "tasks/purge/", "{}", 202, NULL, "purge=task"});
	work(f);
	PLAY(f, {"GET", "tasks/", NULL, 200, "{\"count\":1}", NULL},
		{"GET", "{purge}", NULL, 200, "~\"total\":1100,\"done\":1100", NULL});
}

static void test_refusals(void **state)
{
	struct fixture *f = *state;

	PLAY(f,
		{"POST", "tasks/purge/", "{\"states\":[\"running\"]}", 400,
			"={\"states\":{\"0\":[\"\\\"running\\\" is not a valid choice.\"]}}", NULL},
		{"POST", "tasks/purge/", "{\"states\":\"completed\"}", 400, NULL, NULL},
		{"POST", "tasks/purge/", "{\"finished_before\":\"yesterday\"}", 400, NULL, NULL},
		{"POST", "tasks/purge/", "{\"before\":1}", 400, "={\"before\":[\"Unexpected field\"]}", NULL},
		{"GET", "tasks/purge/", NULL, 405, NULL, NULL}, {"GET", "tasks/", NULL, 200, "{\"count\":0}", NULL});
}

/* Nothing is signed yet; clients that look get a list. */
static void test_no_signing_services(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"GET", "signing-services/?name=x", NULL, 200, "{\"count\":0,\"results\":[]}", NULL},
		{"GET", "signing-services/0190a0a0-0000-7000-8000-000000000000/", NULL, 404,
			"={\"detail\":\"No SigningService matches the given query.\"}", NULL},
		{"POST", "signing-services/", "{}", 405, NULL, NULL});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_ended_before_a_date_goes, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_a_purge_in_batches, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_refusals, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_no_signing_services, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
