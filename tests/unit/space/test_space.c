/* The quota: what is admitted, what eviction takes first, and what it does when nothing can go. */
#include "stock.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "catalog/served.h"
#include "space/space.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB 1024

struct lab {
	struct stock stock;
	struct space *space;
	int64_t repository, remote;
	int units;
};

static void lab_open(struct lab *l, const char *quota)
{

	*l = (struct lab){.units = 0};
	stock_open(&l->stock, 1, 10);
	MUST(settings_set(&l->stock.settings, "storage", "quota", slice_str(quota), "test", &err));
	MUST(settings_set(&l->stock.settings, "storage", "min_free", SLICE("0"), "test", &err));
	l->repository = stock_repository(&l->stock, "r");
	l->remote = stock_remote(&l->stock, "up", "http://up/", POLICY_ON_DEMAND);
	MUST(space_new(
		&(struct space_opts){
			.catalog = l->stock.catalog, .store = l->stock.store, .settings = &l->stock.settings},
		&l->space, &err));
}

static void lab_close(struct lab *l)
{
	space_free(&l->space);
	stock_close(&l->stock);
}

/* A unit of so many bytes, saved `age_s` ago; its content artifact. */
static int64_t add(struct lab *l, size_t size, int64_t age_s, bool offered)
{
	char *body = bytes_new(size, (unsigned)l->units), path[16], url[32];
	struct digests d = digests_of(body, size, 0);
	struct txn *t = NULL;
	int64_t ca, id = 0;

	snprintf(path, sizeof(path), "u%d", l->units++);
	snprintf(url, sizeof(url), "http://up/%s", path);
	ca = stock_declare(&l->stock, l->repository, offered ? l->remote : 0, path, url, (int64_t)size, &d);
	stock_save(&l->stock, body, size);
	MUST(catalog_write(l->stock.catalog, &t, &err));
	MUST(catalog_artifact_saved(t, ca, 0, &d, (int64_t)size, &id, &err));
	MUST(txn_commit(&t, &err));
	stock_exec(&l->stock,
		"UPDATE artifact SET last_used = last_used - 1000000 * $1 WHERE id = (SELECT MAX(id) FROM artifact)",
		age_s);
	free(body);
	return ca;
}

static void test_without_a_quota_everything_is_admitted(void **state)
{
	struct space_share share = {0};
	struct lab l;

	lab_open(&l, "0");
	space_expect(l.space, &share, INT64_MAX);
	assert_int_equal(space_admit(l.space, &share, INT64_MAX), 1);
	space_done(l.space, &share);
	assert_int_equal(space_make_room(l.space, INT64_MAX, NULL), 0);
	assert_int_equal(space_admit(NULL, &share, 1), 1);
	space_expect(NULL, &share, 1);
	space_done(NULL, &share);
	assert_int_equal(space_make_room(NULL, 1, NULL), 0);
	MUST(space_start(l.space, NULL, NULL, &err)); /* no thread */
	lab_close(&l);
}

static void test_what_is_admitted_counts_until_it_is_done(void **state)
{
	struct space_share a = {0}, b = {0};
	struct lab l;

	lab_open(&l, "100k");
	(void)add(&l, 40 * KIB, 0, true);
	assert_int_equal(space_admit(l.space, &a, 60 * KIB + 1), -1); /* nobody evicts */
	assert_int_equal(space_admit(l.space, &a, 60 * KIB), 1);
	assert_int_equal(space_admit(l.space, &b, 1), -1);
	space_done(l.space, &a);
	assert_int_equal(space_admit(l.space, &b, 60 * KIB), 1);
	space_done(l.space, &b);
	space_done(l.space, &b); /* once more is nothing */
	assert_int_equal(space_admit(l.space, &a, 60 * KIB), 1);
	space_done(l.space, &a);
	lab_close(&l);
}

/* What was used within the interval is taken only as far as it must be. */
static void test_a_task_makes_room_by_age(void **state)
{
	struct err why = ERR_INIT;
	struct lab l;
	int64_t ca[8];

	lab_open(&l, "100k");
	for (int i = 0; i < 8; i++)
		ca[i] = add(
			&l, 10 * KIB, i < 4 ? 10000 - i : 100 - i, true); /* the first four are older than an hour */
	MUST(space_make_room(l.space, 20 * KIB, &err));                   /* fits */
	assert_true(stock_is_saved(&l.stock, ca[0]));
	MUST(space_make_room(l.space, 25 * KIB, &err)); /* to 90 %: two */
	assert_false(stock_is_saved(&l.stock, ca[0]));
	assert_false(stock_is_saved(&l.stock, ca[1]));
	assert_true(stock_is_saved(&l.stock, ca[2]));
	MUST(space_make_room(l.space, 80 * KIB, &err)); /* two old ones do not suffice, and then only what is needed */
	assert_false(stock_is_saved(&l.stock, ca[3]));
	assert_false(stock_is_saved(&l.stock, ca[5]));
	assert_true(stock_is_saved(&l.stock, ca[6]));
	assert_true(stock_is_saved(&l.stock, ca[7]));
	assert_int_equal(stock_int(&l.stock, "SELECT count(*) FROM artifact_removal", 0), 0);
	assert_int_equal(space_make_room(l.space, 101 * KIB, &why), -ERR_NOSPACE);
	assert_non_null(strstr(why.msg, "storage.quota"));
	assert_true(stock_is_saved(&l.stock, ca[7])); /* in vain anyway: nothing is sacrificed */
	lab_close(&l);
}

static void test_a_task_that_finds_nothing_to_evict_is_told(void **state)
{
	struct lab l;

	lab_open(&l, "100k");
	for (int i = 0; i < 9; i++)
		(void)add(&l, 10 * KIB, 10000, i == 0);
	assert_int_equal(space_make_room(l.space, 30 * KIB, NULL), -ERR_NOSPACE);
	MUST(space_make_room(l.space, 20 * KIB, &err));
	lab_close(&l);
}

/* ---- the thread ---- */

struct told {
	pthread_mutex_t lock;
	int64_t ids[100];
	size_t count;
};

static void gone(void *arg, const int64_t *ids, size_t count)
{
	struct told *t = arg;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < count; i++) {
		assert_true(i == 0 || ids[i] > ids[i - 1]);
		t->ids[t->count++] = ids[i];
	}
	pthread_mutex_unlock(&t->lock);
}

static void test_the_thread_keeps_to_the_marks(void **state)
{
	struct told told = {.lock = PTHREAD_MUTEX_INITIALIZER};
	int64_t ca[10], evictions = metric_get(M_store_evictions);
	struct lab l;

	lab_open(&l, "100k");
	for (int i = 0; i < 10; i++)
		ca[i] = add(&l, 10 * KIB, 20000 - i, true);
	MUST(space_start(l.space, gone, &told, &err));
	WAIT_FOR(stock_int(&l.stock, "SELECT bytes FROM artifact_total", 0) == 90 * KIB);
	WAIT_FOR(metric_get(M_store_evictions) - evictions == 1);
	assert_false(stock_is_saved(&l.stock, ca[0]));
	assert_true(stock_is_saved(&l.stock, ca[1]));
	space_stop(l.space);
	assert_int_equal(told.count, 1);
	assert_int_equal(metric_get(M_store_artifact_bytes), 0);
	lab_close(&l);
}

static void test_room_is_made_while_a_download_comes(void **state)
{
	struct space_share share = {0}, other = {0};
	struct lab l;

	lab_open(&l, "100k");
	for (int i = 0; i < 9; i++)
		(void)add(&l, 10 * KIB, 20000 - i, true);
	MUST(space_start(l.space, NULL, NULL, &err));
	assert_int_equal(space_admit(l.space, &share, 40 * KIB), 0); /* room is being made */
	WAIT_FOR(space_admit(l.space, &share, 40 * KIB) == 1);
	assert_true(stock_int(&l.stock, "SELECT bytes FROM artifact_total", 0) <= 60 * KIB);
	assert_int_equal(space_admit(l.space, &other, 60 * KIB), -1); /* more than half of it is not made room for */
	space_done(l.space, &share);
	space_done(l.space, &other);
	lab_close(&l);
}

static void test_the_thread_says_when_nothing_can_go(void **state)
{
	struct space_share share = {0};
	int64_t warnings = metric_get(M_log_warnings), refused = metric_get(M_store_unsaved);
	struct lab l;

	lab_open(&l, "100k");
	for (int i = 0; i < 10; i++)
		(void)add(&l, 10 * KIB, 20000 - i, false);
	MUST(space_start(l.space, NULL, NULL, &err));
	WAIT_FOR(metric_get(M_log_warnings) > warnings);
	WAIT_FOR(space_admit(l.space, &share, 10 * KIB) == -1);
	space_refused(l.space);
	assert_int_equal(metric_get(M_store_unsaved) - refused, 1);
	assert_int_equal(stock_int(&l.stock, "SELECT count(*) FROM artifact", 0), 10);
	space_done(l.space, &share);
	lab_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_quota_everything_is_admitted),
		cmocka_unit_test(test_what_is_admitted_counts_until_it_is_done),
		cmocka_unit_test(test_a_task_makes_room_by_age),
		cmocka_unit_test(test_a_task_that_finds_nothing_to_evict_is_told),
		cmocka_unit_test(test_the_thread_keeps_to_the_marks),
		cmocka_unit_test(test_room_is_made_while_a_download_comes),
		cmocka_unit_test(test_the_thread_says_when_nothing_can_go),
	};

	return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
