/* What may be asked of upstreams at once, of one host and in all, by how many remotes whatever; and that they take turns. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

static void serve(struct peer_conn *c, const struct peer_req *req, void *arg)
{
	if (strcmp(req->target, "/gate-0") == 0)
		peer_wait(c, 0);
	if (strcmp(req->target, "/silent") == 0)
		peer_hang(c);
	else
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static struct env *open_with(struct fetch_ctx_opts opts)
{
	struct env *e = calloc(1, sizeof(*e));

	env_open(e, serve, NULL, &opts);
	return e;
}

static void close_all(struct env *e)
{
	env_free_ctx(e);
	assert_int_equal(metric_get(M_fetch_running), 0);
	assert_int_equal(metric_get(M_fetch_waiting), 0);
	env_close(e);
	free(e);
}

/* The same server by another name: another host. */
static const char *elsewhere(const struct env *e, const char *target)
{
	static char url[128];

	snprintf(url, sizeof(url), "http://localhost:%d/%s", peer_port(e->peer), target);
	return url;
}

static void go_as(struct env *e, struct call *c, int64_t remote, const char *target)
{
	e->remote.key = remote;
	call_go(e, c, target);
}

static bool has_requests(void *arg)
{
	struct env *e = arg;

	return peer_requests(e->peer) >= 2;
}

static bool nothing_is_waiting(void *arg)
{
	return metric_get(M_fetch_waiting) == 0;
}

static void all_done(struct call *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		call_wait(&calls[i]);
		assert_int_equal(calls[i].rc, 0);
		call_free(&calls[i]);
	}
}

static void test_one_host(void **state)
{
	struct env *e = open_with((struct fetch_ctx_opts){.max_per_host = 2, .max_waiting_per_host = 100});
	struct call calls[10] = {0}, other = {0};

	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		go_as(e, &calls[i], 1 + (int64_t)i % 3, "gate-0");
	env_wait(e, has_requests, e, "two requests");
	assert_int_equal(metric_get(M_fetch_running), 2);
	assert_int_equal(metric_get(M_fetch_waiting), 8);
	/* Another host is not held up. */
	e->remote.key = 9;
	assert_int_equal(call_run(e, &other, elsewhere(e, "ok")), 0);
	call_free(&other);
	assert_int_equal(peer_requests(e->peer), 3);
	peer_open(e->peer, 0);
	all_done(calls, ARRAY_LEN(calls));
	close_all(e);
}

static void test_in_all(void **state)
{
	struct env *e = open_with((struct fetch_ctx_opts){.max_running = 2});
	struct call calls[9] = {0};

	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		go_as(e, &calls[i], 1 + (int64_t)i % 3, i % 2 == 0 ? "gate-0" : elsewhere(e, "gate-0"));
	env_wait(e, has_requests, e, "two requests");
	assert_int_equal(metric_get(M_fetch_running), 2);
	assert_int_equal(metric_get(M_fetch_waiting), 7);
	peer_open(e->peer, 0);
	all_done(calls, ARRAY_LEN(calls));
	close_all(e);
}

/* Whichever limit they meet: the first request of a remote comes after one of the other's, not after all of them. */
static void test_remotes_take_turns(void **state)
{
	static const struct fetch_ctx_opts opts[] = {
		{.max_per_host = 1, .max_waiting_per_host = 100}, {.max_running = 1}};

	for (size_t k = 0; k < ARRAY_LEN(opts); k++) {
		struct env *e = open_with(opts[k]);
		struct call many[80] = {0}, few[2] = {0};

		for (size_t i = 0; i < ARRAY_LEN(many); i++)
			go_as(e, &many[i], 1, "ok");
		for (size_t i = 0; i < ARRAY_LEN(few); i++)
			go_as(e, &few[i], 2, "ok");
		for (size_t i = 0; i < ARRAY_LEN(few); i++)
			call_wait(&few[i]);
		assert_true(few[1].order - many[0].order < 6);
		all_done(many, ARRAY_LEN(many));
		all_done(few, ARRAY_LEN(few));
		close_all(e);
	}
}

static void test_the_queue_of_a_host_has_an_end(void **state)
{
	struct env *e = open_with((struct fetch_ctx_opts){.max_per_host = 1, .max_waiting_per_host = 2});
	int64_t before = metric_get(M_fetch_overloads);
	struct call calls[3] = {0}, more = {0};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		go_as(e, &calls[i], 1 + (int64_t)i, "gate-0");
	assert_int_equal(call_start(e, &more, "ok", NULL, &err), -ERR_LIMIT);
	assert_non_null(strstr(err.msg, "too many requests wait for this host"));
	assert_int_equal(metric_get(M_fetch_overloads), before + 1);
	e->remote.key = 9;
	assert_int_equal(call_run(e, &more, elsewhere(e, "ok")), 0);
	call_free(&more);
	peer_open(e->peer, 0);
	all_done(calls, ARRAY_LEN(calls));
	assert_int_equal(call_run(e, &more, "ok"), 0);
	call_free(&more);
	close_all(e);
}

/* A place at once, or none. */
static void test_optional(void **state)
{
	static const struct {
		struct fetch_ctx_opts opts;
		int concurrency, rate_limit;
	} rows[] = {
		{.opts = {.max_per_host = 1, .max_waiting_per_host = 100}},
		{.opts = {.max_running = 1}},
		{.concurrency = 1},
		{.rate_limit = 1},
	};
	const struct fetch_req optional = {.optional = true};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct env *e = open_with(rows[i].opts);
		struct call calls[2] = {0};
		struct err err = ERR_INIT;

		e->remote.concurrency = rows[i].concurrency;
		e->remote.rate_limit = rows[i].rate_limit;
		assert_int_equal(call_start(e, &calls[0], "ok", &optional, &err), 0);
		assert_int_equal(call_start(e, &calls[1], "ok", &optional, &err), -ERR_LIMIT);
		call_wait(&calls[0]);
		e->remote.rate_limit = 0;
		assert_int_equal(call_start(e, &calls[1], "ok", &optional, &err), 0);
		call_wait(&calls[1]);
		call_free(&calls[0]);
		call_free(&calls[1]);
		close_all(e);
	}
}

/* What a canceled request waited for was for that one alone. */
static void test_canceled_while_blocked(void **state)
{
	struct env *e = open_with((struct fetch_ctx_opts){.max_per_host = 1, .max_waiting_per_host = 100});
	struct call holds = {0}, blocked[2] = {0}, behind = {0};

	go_as(e, &holds, 1, "gate-0");
	go_as(e, &blocked[0], 2, "ok");
	go_as(e, &behind, 2, elsewhere(e, "ok"));
	go_as(e, &blocked[1], 3, "ok");
	fetch_cancel(&blocked[0].fetch);
	call_wait(&behind);
	assert_int_equal(behind.rc, 0);
	peer_open(e->peer, 0);
	call_wait(&holds);
	call_wait(&blocked[1]);
	assert_int_equal(blocked[1].rc, 0);
	call_free(&holds);
	call_free(&blocked[0]);
	call_free(&blocked[1]);
	call_free(&behind);
	close_all(e);
}

/* Many remotes, two hosts, both limits, and some that give up: everyone gets an end, and no place is lost. */
static void test_no_place_is_lost(void **state)
{
	struct env *e =
		open_with((struct fetch_ctx_opts){.max_per_host = 3, .max_running = 4, .max_waiting_per_host = 1000});
	struct call *calls = calloc(400, sizeof(*calls));
	struct call after[4] = {{0}};

	for (int i = 0; i < 400; i++) {
		e->remote.concurrency = i % 5 == 0 ? 1 : 0;
		go_as(e, &calls[i], 1 + i % 5, i % 2 == 0 ? "ok" : elsewhere(e, "ok"));
		if (i % 7 == 0)
			fetch_cancel(&calls[i - i % 5].fetch);
		if (i % 50 == 49)
			call_wait(&calls[i]);
	}
	for (int i = 0; i < 400; i++) {
		if (calls[i].fetch != NULL)
			call_wait(&calls[i]);
		call_free(&calls[i]);
	}
	free(calls);
	e->remote.concurrency = 0;
	/* all four places are still there */
	for (int i = 0; i < 4; i++)
		go_as(e, &after[i], 1 + i, i < 2 ? "gate-0" : elsewhere(e, "gate-0"));
	env_wait(e, nothing_is_waiting, e, "four requests at once");
	assert_int_equal(metric_get(M_fetch_running), 4);
	peer_open(e->peer, 0);
	all_done(after, ARRAY_LEN(after));
	close_all(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_host),
		cmocka_unit_test(test_in_all),
		cmocka_unit_test(test_remotes_take_turns),
		cmocka_unit_test(test_the_queue_of_a_host_has_an_end),
		cmocka_unit_test(test_optional),
		cmocka_unit_test(test_canceled_while_blocked),
		cmocka_unit_test(test_no_place_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
