/* Taking files away: notes, what has a row again, and what an interruption left. */
#include "stock.h"

#include "base/check.h"
#include "catalog/removal.h"
#include "catalog/served.h"
#include "catalog/usage.h"
#include "space/removal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An artifact that nobody uses. */
static int64_t record(struct stock *s, const struct digests *d)
{
	struct txn *t = NULL;
	int64_t id = 0;

	MUST(catalog_write(s->catalog, &t, &err));
	MUST(catalog_artifact_saved(t, 0, 0, d, 1, &id, &err));
	MUST(txn_commit(&t, &err));
	return id;
}

static void forget(struct stock *s, int64_t id)
{
	struct txn *t = NULL;

	MUST(catalog_write(s->catalog, &t, &err));
	assert_int_equal(catalog_artifact_delete(t, id, NULL), 1);
	MUST(txn_commit(&t, &err));
}

static int64_t notes(struct stock *s)
{
	return stock_int(s, "SELECT count(*) FROM artifact_removal", 0);
}

static struct digests save(struct stock *s, const char *text)
{
	stock_save(s, text, strlen(text));
	return digests_of(text, strlen(text), 0);
}

static void test_rows_go_first_and_then_the_file(void **state)
{
	struct stock s;
	struct digests gone, kept;

	stock_open(&s, 1, 10);
	gone = save(&s, "gone");
	kept = save(&s, "kept");
	(void)record(&s, &kept);
	forget(&s, record(&s, &gone));
	assert_true(stock_has(&s, &gone)); /* until the removal runs */
	assert_int_equal(notes(&s), 1);
	MUST(removal_run(s.catalog, s.store, &err));
	assert_false(stock_has(&s, &gone));
	assert_true(stock_has(&s, &kept));
	assert_int_equal(notes(&s), 0);
	assert_int_equal(stock_staged(&s), 0);
	MUST(removal_run(s.catalog, s.store, &err)); /* nothing to do */
	stock_close(&s);
}

static void test_a_rollback_leaves_no_note(void **state)
{
	struct txn *t = NULL;
	struct digests d;
	struct stock s;
	int64_t id;

	stock_open(&s, 1, 10);
	d = save(&s, "x");
	id = record(&s, &d);
	MUST(catalog_write(s.catalog, &t, &err));
	assert_int_equal(catalog_artifact_delete(t, id, NULL), 1);
	txn_end(&t);
	assert_int_equal(notes(&s), 0);
	stock_close(&s);
}

static void test_what_has_a_row_again_stays(void **state)
{
	struct digests d;
	struct stock s;

	stock_open(&s, 1, 10);
	d = save(&s, "again");
	forget(&s, record(&s, &d));
	(void)record(&s, &d);
	MUST(removal_run(s.catalog, s.store, &err));
	assert_true(stock_has(&s, &d));
	assert_int_equal(notes(&s), 0);
	stock_close(&s);
}

/* Killed after the file was set aside, and after it was discarded; and then somebody downloaded it again. */
static void test_an_interruption_is_made_good(void **state)
{
	struct digests aside, discarded, back;
	struct stock s;

	stock_open(&s, 1, 10);
	aside = save(&s, "aside");
	discarded = save(&s, "discarded");
	back = save(&s, "back");
	forget(&s, record(&s, &aside));
	forget(&s, record(&s, &discarded));
	forget(&s, record(&s, &back));
	MUST(store_set_aside(s.store, aside.d[DIGEST_SHA256], &err));
	MUST(store_set_aside(s.store, discarded.d[DIGEST_SHA256], &err));
	MUST(store_discard(s.store, discarded.d[DIGEST_SHA256], &err));
	MUST(store_set_aside(s.store, back.d[DIGEST_SHA256], &err));
	assert_int_equal(stock_staged(&s), 2);
	(void)save(&s, "back");
	(void)record(&s, &back);
	MUST(removal_run(s.catalog, s.store, &err));
	assert_int_equal(notes(&s), 0);
	assert_int_equal(stock_staged(&s), 0);
	assert_false(stock_has(&s, &aside));
	assert_true(stock_has(&s, &back));
	stock_close(&s);
}

static void test_more_than_a_batch(void **state)
{
	enum { FILES = 150 };
	struct digests d[FILES];
	struct stock s;
	char text[16];

	stock_open(&s, 1, 10);
	for (int i = 0; i < FILES; i++) {
		snprintf(text, sizeof(text), "file %d", i);
		d[i] = save(&s, text);
		forget(&s, record(&s, &d[i]));
	}
	MUST(removal_run(s.catalog, s.store, &err));
	for (int i = 0; i < FILES; i++)
		assert_false(stock_has(&s, &d[i]));
	assert_int_equal(notes(&s), 0);
	stock_close(&s);
}

/* A directory in the file's place cannot be discarded: it stays noted, and the others go. */
static void test_what_cannot_be_removed_stays_noted(void **state)
{
	struct digests bad, good;
	char path[256], hex[65];
	struct stock s;

	stock_open(&s, 1, 10);
	bad = save(&s, "bad");
	good = save(&s, "good");
	forget(&s, record(&s, &bad));
	forget(&s, record(&s, &good));
	hex_of(bad.d[DIGEST_SHA256], 32, hex);
	snprintf(path, sizeof(path), "rm -rf %s/media/artifact/%.2s/%s && mkdir -p %s/media/artifact/%.2s/%s", s.dir,
		hex, hex + 2, s.dir, hex, hex + 2);
	assert_int_equal(system(path), 0);
	MUST(removal_run(s.catalog, s.store, &err));
	assert_false(stock_has(&s, &good));
	assert_int_equal(notes(&s), 1);
	stock_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_go_first_and_then_the_file),
		cmocka_unit_test(test_a_rollback_leaves_no_note),
		cmocka_unit_test(test_what_has_a_row_again_stays),
		cmocka_unit_test(test_an_interruption_is_made_good),
		cmocka_unit_test(test_more_than_a_batch),
		cmocka_unit_test(test_what_cannot_be_removed_stays_noted),
	};

	return cmocka_run_group_tests_name("removal", tests, NULL, NULL);
}
