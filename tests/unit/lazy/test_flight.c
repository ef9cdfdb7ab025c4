/* Flights as their readers see them: one download for all, how far they may read, joining and leaving. */
#include "readers.h"

#include "base/check.h"
#include "base/metrics.h"

#include <stdlib.h>
#include <string.h>

#define HOLDBACK (64 * KIB)

static void open_with(struct lab *l, struct unit *u, size_t size)
{
	lab_open(l, 2, 100);
	l->stock.settings.content_holdback = HOLDBACK;
	unit_new(u, l, "a", size, 1, POLICY_ON_DEMAND);
	lab_start(l);
}

static void close_with(struct lab *l, struct unit *u)
{
	lab_close(l);
	unit_free(u);
}

/* ---- one for all ---- */

static void test_one_get_for_many_readers_on_two_loops(void **state)
{
	enum { READERS = 10 };
	struct reader r[READERS];
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .gate = 1, .gate_at = 300 * KIB});
	for (int i = 0; i < READERS; i++) {
		reader_init(&r[i], &l, i % READER_LOOPS, &u.want);
		reader_start(&r[i]);
	}
	for (int i = 0; i < READERS; i++) /* all are fed what is there */
		reader_wait_bytes(&r[i], 300 * KIB);
	origin_open(l.origin, 1);
	for (int i = 0; i < READERS; i++) {
		assert_int_equal(reader_wait(&r[i]), 0);
		assert_right(&r[i], u.body, u.size);
		assert_int_equal(r[i].size, u.size);
		reader_fini(&r[i]);
	}
	assert_int_equal(origin_hits(l.origin, "/a"), 1);
	assert_true(stock_has(&l.stock, &u.digests));
	assert_true(stock_is_saved(&l.stock, u.ca));
	assert_int_equal(stock_int(&l.stock, "SELECT size FROM artifact", 0), u.size);
	close_with(&l, &u);
}

static void test_late_joiner_gets_what_is_there_at_once(void **state)
{
	struct reader early, late;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .gate = 1, .gate_at = 700 * KIB});
	reader_init(&early, &l, 0, &u.want);
	reader_start(&early);
	reader_wait_bytes(&early, 700 * KIB);
	reader_init(&late, &l, 1, &u.want);
	reader_start(&late);
	reader_wait_bytes(&late, 700 * KIB);
	origin_open(l.origin, 1);
	reader_wait(&early);
	reader_wait(&late);
	assert_right(&early, u.body, u.size);
	assert_right(&late, u.body, u.size);
	assert_int_equal(origin_hits(l.origin, "/a"), 1);
	reader_fini(&early);
	reader_fini(&late);
	close_with(&l, &u);
}

static void test_slow_reader_slows_nobody(void **state)
{
	struct reader slow, fast;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	reader_init(&slow, &l, 0, &u.want);
	slow.pause_at = 1000;
	reader_start(&slow);
	reader_wait_bytes(&slow, 1000);
	reader_init(&fast, &l, 0, &u.want);
	reader_start(&fast);
	assert_int_equal(reader_wait(&fast), 0);
	assert_true(stock_is_saved(&l.stock, u.ca));
	reader_go(&slow, -1);
	assert_int_equal(reader_wait(&slow), 0);
	assert_right(&slow, u.body, u.size);
	assert_int_equal(origin_hits(l.origin, "/a"), 1);
	reader_fini(&slow);
	reader_fini(&fast);
	close_with(&l, &u);
}

/* ---- how far they may read ---- */

/* All but the last byte is here, and nobody sees the withheld tail. */
static void tail_is_withheld(int64_t holdback)
{
	int64_t before = metric_get(M_fetch_bytes);
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	l.stock.settings.content_holdback = holdback;
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .gate = 1, .gate_at = MIB - 1});
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	WAIT_FOR(metric_get(M_fetch_bytes) - before == MIB - 1);
	reader_wait_bytes(&r, MIB - holdback);
	assert_int_equal(reader_seen(&r), MIB - holdback);
	assert_false(stock_has(&l.stock, &u.digests));
	origin_open(l.origin, 1);
	assert_int_equal(reader_wait(&r), 0);
	assert_right(&r, u.body, u.size);
	reader_fini(&r);
	close_with(&l, &u);
}

static void test_tail_is_withheld_until_verified(void **state)
{
	tail_is_withheld(HOLDBACK);
	tail_is_withheld(1);
}

/* Nothing declared: what is withheld follows the last byte that came. */
static void test_unknown_size_withholds_behind_the_watermark(void **state)
{
	int64_t before = metric_get(M_fetch_bytes);
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	u.want.size = -1;
	ORIGIN_PUT(l.origin, "/a",
		{.body = u.body, .size = MIB, .framing = ORIGIN_CHUNKED, .gate = 1, .gate_at = 500 * KIB});
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	WAIT_FOR(metric_get(M_fetch_bytes) - before == 500 * KIB);
	reader_wait_bytes(&r, 500 * KIB - HOLDBACK);
	assert_int_equal(reader_seen(&r), 500 * KIB - HOLDBACK);
	assert_int_equal(r.size, -1);
	origin_open(l.origin, 1);
	assert_int_equal(reader_wait(&r), 0);
	assert_right(&r, u.body, u.size);
	assert_int_equal(stock_int(&l.stock, "SELECT size FROM artifact", 0), MIB);
	reader_fini(&r);
	close_with(&l, &u);
}

static void test_size_that_upstream_tells(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	u.want.size = -1;
	assert_int_equal(read_all(&l, &r, &u.want), 0);
	assert_right(&r, u.body, u.size);
	assert_int_equal(r.size, MIB);
	reader_fini(&r);
	close_with(&l, &u);
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, HOLDBACK - 1, HOLDBACK, HOLDBACK + 1, 3 * MIB + 7};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (int declared = 0; declared < 2; declared++) {
			struct reader r;
			struct lab l;
			struct unit u;

			open_with(&l, &u, sizes[i]);
			if (!declared)
				u.want.size = -1;
			assert_int_equal(read_all(&l, &r, &u.want), 0);
			assert_right(&r, u.body, u.size);
			assert_true(stock_is_saved(&l.stock, u.ca));
			assert_true(stock_has(&l.stock, &u.digests));
			reader_fini(&r);
			close_with(&l, &u);
		}
	}
}

static void test_body_until_close(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .framing = ORIGIN_UNTIL_CLOSE});
	assert_int_equal(read_all(&l, &r, &u.want), 0);
	assert_right(&r, u.body, u.size);
	reader_fini(&r);
	close_with(&l, &u);
}

static void test_headers_pass_but_not_those_that_are_ours(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	ORIGIN_PUT(l.origin, "/a",
		{.body = u.body,
			.size = MIB,
			.headers = "Server: x\r\nSet-Cookie: a=b\r\nX-PULP-ARTIFACT-SIZE: 7\r\nETag: \"x\"\r\n"
				   "Content-Type: a/b\r\nKeep-Alive: timeout=5\r\nX-Mirror: 7\r\n"});
	assert_int_equal(read_all(&l, &r, &u.want), 0);
	assert_int_equal(r.headers, 1);
	assert_string_equal(r.first_header, "X-Mirror: 7");
	reader_fini(&r);
	close_with(&l, &u);
}

/* ---- what is there already ---- */

static void test_what_the_store_has_is_not_downloaded_but_written_down(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	stock_save(&l.stock, u.body, MIB);
	assert_int_equal(read_all(&l, &r, &u.want), 0);
	assert_right(&r, u.body, u.size);
	assert_int_equal(origin_hits(l.origin, "/a"), 0);
	assert_true(stock_is_saved(&l.stock, u.ca));
	assert_int_equal(stock_int(&l.stock, "SELECT size FROM artifact", 0), MIB);
	reader_fini(&r);
	close_with(&l, &u);
}

static void test_a_published_file_that_is_lost_has_no_source(void **state)
{
	struct flight_want want;
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, 10);
	want = u.want;
	want.content_artifact_id = 0;
	assert_int_equal(read_all(&l, &r, &want), -ERR_NOSOURCE);
	reader_fini(&r);
	assert_int_equal(origin_hits(l.origin, "/a"), 0);
	close_with(&l, &u);
}

/* The catalog says saved, the store has lost it: it is had again. */
static void test_a_lost_file_heals(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	assert_int_equal(read_all(&l, &r, &u.want), 0);
	reader_fini(&r);
	MUST(store_remove(l.stock.store, u.digests.d[DIGEST_SHA256], &err));
	u.want.saved = true;
	assert_int_equal(read_all(&l, &r, &u.want), 0);
	assert_right(&r, u.body, u.size);
	assert_int_equal(origin_hits(l.origin, "/a"), 2);
	assert_true(stock_has(&l.stock, &u.digests));
	reader_fini(&r);
	close_with(&l, &u);
}

/* A request that looked before it was saved, and without a sha256 to look for in the store: the catalog knows by now. */
static void test_downloaded_once_also_without_a_sha256(void **state)
{
	static const unsigned have[] = {0, 1u << DIGEST_SHA512};

	for (size_t i = 0; i < ARRAY_LEN(have); i++) {
		struct reader r;
		struct lab l;
		struct unit u;

		open_with(&l, &u, 1000);
		stock_exec(&l.stock, "UPDATE remote_artifact SET sha256 = NULL WHERE id > $1", 0);
		u.want.digests = digests_of(u.body, 1000, 1u << DIGEST_SHA512);
		u.want.digests.have = have[i];
		u.want.size = -1;
		for (int k = 0; k < 2; k++) {
			assert_int_equal(read_all(&l, &r, &u.want), 0);
			assert_right(&r, u.body, u.size);
			reader_fini(&r);
		}
		assert_int_equal(origin_hits(l.origin, "/a"), 1);
		/* Lost all the same: then it is had again. */
		MUST(store_remove(l.stock.store, u.digests.d[DIGEST_SHA256], &err));
		assert_int_equal(read_all(&l, &r, &u.want), 0);
		assert_right(&r, u.body, u.size);
		assert_int_equal(origin_hits(l.origin, "/a"), 2);
		assert_true(stock_has(&l.stock, &u.digests));
		reader_fini(&r);
		close_with(&l, &u);
	}
}

/* The same bytes as two units: one download, and the catalog has both. */
static void test_all_who_joined_get_the_artifact(void **state)
{
	struct reader a, b;
	struct unit u, v;
	struct lab l;

	open_with(&l, &u, MIB);
	unit_new(&v, &l, "b", MIB, 1, POLICY_ON_DEMAND);
	assert_int_not_equal(u.ca, v.ca);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .gate = 1, .gate_at = 500 * KIB});
	reader_init(&a, &l, 0, &u.want);
	reader_start(&a);
	reader_wait_bytes(&a, 1);
	reader_init(&b, &l, 1, &v.want);
	reader_start(&b);
	reader_wait_bytes(&b, 1);
	origin_open(l.origin, 1);
	assert_int_equal(reader_wait(&a), 0);
	assert_int_equal(reader_wait(&b), 0);
	assert_int_equal(origin_all_hits(l.origin), 1);
	assert_true(stock_is_saved(&l.stock, u.ca));
	assert_true(stock_is_saved(&l.stock, v.ca));
	assert_int_equal(stock_int(&l.stock, "SELECT count(*) FROM artifact", 0), 1);
	reader_fini(&a);
	reader_fini(&b);
	close_with(&l, &u);
	unit_free(&v);
}

/* The same, when the store had it before. */
static void test_all_who_joined_get_what_the_store_has(void **state)
{
	struct blocker *blocker;
	struct reader a, b;
	struct unit u, v;
	struct lab l;

	lab_open(&l, 1, 100);
	unit_new(&u, &l, "a", 1000, 1, POLICY_ON_DEMAND);
	unit_new(&v, &l, "b", 1000, 1, POLICY_ON_DEMAND);
	lab_start(&l);
	stock_save(&l.stock, u.body, 1000);
	blocker = stock_block(&l.stock);
	reader_init(&a, &l, 0, &u.want);
	reader_init(&b, &l, 1, &v.want);
	reader_start(&a);
	reader_wait_joined(&a);
	reader_start(&b);
	reader_wait_joined(&b);
	stock_unblock(&blocker);
	assert_int_equal(reader_wait(&a), 0);
	assert_int_equal(reader_wait(&b), 0);
	assert_int_equal(origin_all_hits(l.origin), 0);
	assert_true(stock_is_saved(&l.stock, u.ca));
	assert_true(stock_is_saved(&l.stock, v.ca));
	reader_fini(&a);
	reader_fini(&b);
	close_with(&l, &u);
	unit_free(&v);
}

/* ---- whose sources ---- */

/* Two repositories want the same bytes; the first has no source for them. Who joined its flight is told that his own are worth a try. */
static void test_who_joined_a_flight_without_sources_tries_his_own(void **state)
{
	struct blocker *blocker;
	struct reader a, b;
	struct unit u, v;
	struct lab l;

	lab_open(&l, 1, 100);
	unit_new(&u, &l, "a", 1000, 1, POLICY_ON_DEMAND);
	unit_new(&v, &l, "b", 1000, 1, POLICY_ON_DEMAND);
	stock_exec(&l.stock, "DELETE FROM remote WHERE id = $1", u.remote);
	lab_start(&l);
	blocker = stock_block(&l.stock);
	reader_init(&a, &l, 0, &u.want);
	reader_init(&b, &l, 1, &v.want);
	reader_start(&a);
	reader_wait_joined(&a);
	reader_start(&b);
	reader_wait_joined(&b);
	stock_unblock(&blocker);
	assert_int_equal(reader_wait(&a), -ERR_NOSOURCE);
	assert_int_equal(reader_wait(&b), -ERR_NOSOURCE);
	assert_false(a.try_alone);
	assert_true(b.try_alone);
	reader_fini(&a);
	reader_fini(&b);
	v.want.alone = true;
	assert_int_equal(read_all(&l, &b, &v.want), 0);
	assert_right(&b, v.body, v.size);
	assert_true(stock_is_saved(&l.stock, v.ca));
	reader_fini(&b);
	close_with(&l, &u);
	unit_free(&v);
}

/* A flight of one's own is not tried after that one failed. */
static void test_alone_is_tried_once(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, 1000);
	stock_exec(&l.stock, "DELETE FROM remote WHERE id = $1", u.remote);
	u.want.alone = true;
	assert_int_equal(read_all(&l, &r, &u.want), -ERR_NOSOURCE);
	assert_false(r.try_alone);
	reader_fini(&r);
	close_with(&l, &u);
}

static void test_too_many_flights_are_refused(void **state)
{
	struct reader a, b, c;
	struct unit u, v;
	struct lab l;

	open_with(&l, &u, MIB);
	unit_new(&v, &l, "b", 1000, 2, POLICY_ON_DEMAND);
	l.stock.settings.content_max_flights = 1;
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .gate = 1, .gate_at = 500 * KIB});
	reader_init(&a, &l, 0, &u.want);
	reader_start(&a);
	reader_wait_bytes(&a, 1);
	assert_int_equal(read_all(&l, &b, &v.want), -ERR_LIMIT);
	reader_init(&c, &l, 1, &u.want); /* joining costs none */
	reader_start(&c);
	reader_wait_bytes(&c, 1);
	origin_open(l.origin, 1);
	assert_int_equal(reader_wait(&a), 0);
	assert_int_equal(reader_wait(&c), 0);
	reader_fini(&b);
	assert_int_equal(read_all(&l, &b, &v.want), 0);
	reader_fini(&a);
	reader_fini(&b);
	reader_fini(&c);
	close_with(&l, &u);
	unit_free(&v);
}

/* ---- HEAD ---- */

static void test_prospects_do_not_wait_for_upstream(void **state)
{
	struct reader head;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .gate = 1, .gate_head = true});
	reader_init(&head, &l, 0, &u.want);
	head.head_only = true;
	reader_start(&head);
	assert_int_equal(reader_wait(&head), 0);
	reader_fini(&head);
	origin_open(l.origin, 1);
	WAIT_FOR(stock_is_saved(&l.stock, u.ca)); /* it goes on by itself */
	reader_init(&head, &l, 0, &u.want);
	head.head_only = true;
	reader_start(&head);
	assert_int_equal(reader_wait(&head), 0);
	reader_fini(&head);
	assert_int_equal(origin_hits(l.origin, "/a"), 1);
	close_with(&l, &u);
}

static void test_prospects_without_a_source(void **state)
{
	struct reader head;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	stock_exec(&l.stock, "DELETE FROM remote WHERE id = $1", u.remote);
	reader_init(&head, &l, 0, &u.want);
	head.head_only = true;
	reader_start(&head);
	assert_int_equal(reader_wait(&head), -ERR_NOSOURCE);
	reader_fini(&head);
	close_with(&l, &u);
}

/* ---- joining what is about to end ---- */

/* One client leaves while another comes: who has joined is never canceled with the first. */
static void test_nobody_joins_what_is_being_canceled(void **state)
{
	struct lab l;
	struct unit u;

	open_with(&l, &u, 1000);
	l.stock.settings.content_finish_abandoned = 101;
	for (int i = 0; i < 200; i++) {
		struct reader goes, stays;

		reader_init(&goes, &l, 0, &u.want);
		reader_init(&stays, &l, 1, &u.want);
		goes.head_only = true;
		reader_start(&goes);
		reader_start(&stays);
		assert_int_equal(reader_wait(&goes), 0);
		assert_int_equal(reader_wait(&stays), 0);
		assert_right(&stays, u.body, u.size);
		reader_fini(&goes);
		reader_fini(&stays);
		if (i % 2 == 0)
			MUST(store_remove(l.stock.store, u.digests.d[DIGEST_SHA256], &err));
	}
	close_with(&l, &u);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_one_get_for_many_readers_on_two_loops),
		T(test_late_joiner_gets_what_is_there_at_once),
		T(test_slow_reader_slows_nobody),
		T(test_tail_is_withheld_until_verified),
		T(test_unknown_size_withholds_behind_the_watermark),
		T(test_size_that_upstream_tells),
		T(test_sizes),
		T(test_body_until_close),
		T(test_headers_pass_but_not_those_that_are_ours),
		T(test_what_the_store_has_is_not_downloaded_but_written_down),
		T(test_a_published_file_that_is_lost_has_no_source),
		T(test_a_lost_file_heals),
		T(test_downloaded_once_also_without_a_sha256),
		T(test_all_who_joined_get_the_artifact),
		T(test_all_who_joined_get_what_the_store_has),
		T(test_who_joined_a_flight_without_sources_tries_his_own),
		T(test_alone_is_tried_once),
		T(test_too_many_flights_are_refused),
		T(test_prospects_do_not_wait_for_upstream),
		T(test_prospects_without_a_source),
		T(test_nobody_joins_what_is_being_canceled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
