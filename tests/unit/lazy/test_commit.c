/* Saving: many at once, the same artifact twice, and what cannot be saved is served all the same. */
#include "readers.h"

#include "base/check.h"
#include "base/fsutil.h"
#include "base/metrics.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_many_are_saved_together(void **state)
{
	enum { UNITS = 30 };
	struct reader r[UNITS];
	struct unit u[UNITS];
	struct lab l;
	char name[16];

	lab_open(&l, 2, 100);
	for (unsigned i = 0; i < UNITS; i++) {
		snprintf(name, sizeof(name), "u%u", i);
		unit_new(&u[i], &l, name, 1000 + i, i, POLICY_ON_DEMAND);
	}
	lab_start(&l);
	for (int i = 0; i < UNITS; i++) {
		reader_init(&r[i], &l, i % READER_LOOPS, &u[i].want);
		reader_start(&r[i]);
	}
	for (int i = 0; i < UNITS; i++) {
		assert_int_equal(reader_wait(&r[i]), 0);
		assert_right(&r[i], u[i].body, u[i].size);
		/* Who has the last byte finds it saved. */
		assert_true(stock_is_saved(&l.stock, u[i].ca));
		assert_true(stock_has(&l.stock, &u[i].digests));
	}
	assert_int_equal(stock_int(&l.stock, "SELECT count(*) FROM artifact", 0), UNITS);
	for (int i = 0; i < UNITS; i++)
		reader_fini(&r[i]);
	lab_close(&l);
	for (int i = 0; i < UNITS; i++)
		unit_free(&u[i]);
}

/* A catalog that somebody else holds delays the record, not the readers; and what was saved meanwhile is recorded afterwards. */
static void test_a_locked_catalog_keeps_nobody_waiting(void **state)
{
	struct txn *writer = NULL;
	struct reader r;
	struct unit u;
	struct lab l;

	lab_open(&l, 2, 100);
	unit_new(&u, &l, "a", MIB, 1, POLICY_ON_DEMAND);
	lab_start(&l);
	assert_int_equal(catalog_write(l.stock.catalog, &writer, NULL), 0);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB});
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	assert_int_equal(reader_wait(&r), 0);
	assert_right(&r, u.body, u.size);
	assert_true(stock_has(&l.stock, &u.digests));
	assert_false(stock_is_saved(&l.stock, u.ca));
	txn_end(&writer);
	WAIT_FOR(stock_is_saved(&l.stock, u.ca));
	reader_fini(&r);
	lab_close(&l);
	unit_free(&u);
}

/* The store had it when the flight looked, but a removal was faster than the record: the reader has it whole, and nobody claims that it is saved. */
static void test_what_is_removed_meanwhile_is_not_recorded(void **state)
{
	struct txn *writer = NULL;
	struct reader r;
	struct unit u;
	struct lab l;
	int64_t before;

	lab_open(&l, 2, 100);
	unit_new(&u, &l, "a", MIB, 1, POLICY_ON_DEMAND);
	lab_start(&l);
	stock_save(&l.stock, u.body, MIB);
	before = metric_get(M_catalog_transactions);
	assert_int_equal(catalog_write(l.stock.catalog, &writer, NULL), 0);
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	assert_int_equal(reader_wait(&r), 0);
	assert_right(&r, u.body, u.size);
	assert_int_equal(store_set_aside(l.stock.store, u.digests.d[DIGEST_SHA256], NULL), 0);
	txn_end(&writer);
	WAIT_FOR(metric_get(M_catalog_transactions) > before);
	assert_false(stock_is_saved(&l.stock, u.ca));
	assert_int_equal(stock_int(&l.stock, "SELECT count(*) FROM artifact", 0), 0);
	assert_int_equal(origin_hits(l.origin, "/a"), 0);
	reader_fini(&r);
	lab_close(&l);
	unit_free(&u);
}

/* Two flights of the same bytes, one of them for its repository alone. */
static void test_the_same_artifact_twice_at_once(void **state)
{
	struct reader a, b;
	struct unit u, v;
	struct lab l;

	lab_open(&l, 2, 100);
	unit_new(&u, &l, "a", MIB, 1, POLICY_ON_DEMAND);
	unit_new(&v, &l, "b", MIB, 1, POLICY_ON_DEMAND);
	v.want.alone = true;
	lab_start(&l);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .gate = 1, .gate_at = MIB - 1});
	ORIGIN_PUT(l.origin, "/b", {.body = u.body, .size = MIB, .gate = 1, .gate_at = MIB - 1});
	reader_init(&a, &l, 0, &u.want);
	reader_init(&b, &l, 1, &v.want);
	reader_start(&a);
	reader_start(&b);
	WAIT_FOR(origin_hits(l.origin, "/a") == 1 && origin_hits(l.origin, "/b") == 1);
	origin_open(l.origin, 1);
	assert_int_equal(reader_wait(&a), 0);
	assert_int_equal(reader_wait(&b), 0);
	assert_right(&a, u.body, u.size);
	assert_right(&b, u.body, u.size);
	assert_true(stock_is_saved(&l.stock, u.ca));
	assert_true(stock_is_saved(&l.stock, v.ca));
	assert_int_equal(stock_int(&l.stock, "SELECT count(*) FROM artifact", 0), 1);
	reader_fini(&a);
	reader_fini(&b);
	lab_close(&l);
	unit_free(&u);
	unit_free(&v);
}

/* Something that is no directory stands where the artifact's directory should be: it cannot be saved, and the clients have it whole. */
static void test_what_cannot_be_saved_is_served(void **state)
{
	struct reader r, late;
	struct lab l;
	struct unit u;
	char path[256];
	int fd;

	lab_open(&l, 2, 100);
	unit_new(&u, &l, "a", MIB, 1, POLICY_ON_DEMAND);
	lab_start(&l);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .gate = 1, .gate_at = 700 * KIB},
		{.body = u.body, .size = MIB});
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	reader_wait_bytes(&r, 1);
	snprintf(path, sizeof(path), "%s/media/artifact/%02x", l.stock.dir, u.digests.d[DIGEST_SHA256][0]);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	reader_init(&late, &l, 1, &u.want);
	late.pause_at = 1000;
	reader_start(&late);
	reader_wait_bytes(&late, 1000);
	origin_open(l.origin, 1);
	assert_int_equal(reader_wait(&r), 0);
	assert_right(&r, u.body, u.size);
	WAIT_FOR(metric_get(M_flights_open) == 0);
	reader_go(&late, -1); /* its bytes are gone from every directory, and it has them all the same */
	assert_int_equal(reader_wait(&late), 0);
	assert_right(&late, u.body, u.size);
	assert_false(stock_is_saved(&l.stock, u.ca));
	assert_int_equal(stock_int(&l.stock, "SELECT count(*) FROM artifact", 0), 0);
	reader_fini(&late);
	reader_fini(&r);
	/* And it heals by itself. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(read_all(&l, &r, &u.want), 0);
	assert_true(stock_is_saved(&l.stock, u.ca));
	reader_fini(&r);
	lab_close(&l);
	unit_free(&u);
}

#ifdef SLUICE_FAULTS
static void faults(const char *rules)
{
	MUST(fs_replace_file(getenv("SLUICE_FAULT_FILE"), rules, strlen(rules), 0600, &err));
}

/* Each step of saving fails, for bodies that are hashed at once and by the pool: an honest answer or right bytes, never a wrong row, and healed. */
static void test_faults_of_saving(void **state)
{
	static const struct {
		const char *rule;
		int rc;    /* what the reader gets; large bodies break off after the first bytes with the same */
		bool file; /* the store has it afterwards */
	} rows[] = {
		{"staging.new@*=ENOSPC", -ERR_NOSPACE, false},
		{"staging.new@*=EMFILE", -ERR_LIMIT, false},
		{"staging.new@*=EIO", -ERR_IO, false},
		{"staging.new@*=EACCES", -ERR_IO, false},
		{"staging.write@*=ENOSPC", -ERR_NOSPACE, false},
		{"staging.write@1=EIO", -ERR_IO, false},
		{"store.commit.sync@*=ENOSPC", 0, false},
		{"store.commit.sync@*=EIO", 0, false},
		{"store.commit.link@*=EIO", 0, false},
		{"store.commit.dirsync@*=EIO", 0, true},
		{"lazy.commit@*=EIO", 0, true},
	};
	static const size_t sizes[] = {10 * KIB, 2 * MIB};

	for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		size_t size = sizes[i % 2];
		struct reader r;
		struct lab l;
		struct unit u;

		lab_open(&l, 2, 100);
		unit_new(&u, &l, "a", size, 1, POLICY_ON_DEMAND);
		lab_start(&l);
		faults(rows[i / 2].rule);
		assert_int_equal(read_all(&l, &r, &u.want), rows[i / 2].rc);
		if (rows[i / 2].rc == 0)
			assert_right(&r, u.body, u.size);
		reader_fini(&r);
		faults("");
		assert_false(stock_is_saved(&l.stock, u.ca));
		assert_int_equal(stock_has(&l.stock, &u.digests), rows[i / 2].file);
		assert_int_equal(stock_int(&l.stock, "SELECT count(*) FROM artifact", 0), 0);
		assert_int_equal(stock_int(&l.stock, "SELECT count(failed_at) FROM remote_artifact", 0), 0);
		assert_int_equal(read_all(&l, &r, &u.want), 0);
		assert_right(&r, u.body, u.size);
		assert_true(stock_is_saved(&l.stock, u.ca));
		assert_int_equal(stock_staged(&l.stock), 0);
		/* What was in the store already is not downloaded again. */
		if (rows[i / 2].file)
			assert_int_equal(origin_hits(l.origin, "/a"), 1);
		reader_fini(&r);
		lab_close(&l);
		unit_free(&u);
	}
}

/* The disk is full in the middle: who has seen bytes is cut off, and nothing is saved. */
static void test_disk_full_in_the_middle(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;

	lab_open(&l, 2, 100);
	l.stock.settings.content_holdback = 64 * KIB;
	unit_new(&u, &l, "a", MIB, 1, POLICY_ON_DEMAND);
	lab_start(&l);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = MIB, .gate = 1, .gate_at = 500 * KIB},
		{.body = u.body, .size = MIB});
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	reader_wait_bytes(&r, 1);
	faults("staging.write@*=ENOSPC");
	origin_open(l.origin, 1);
	assert_int_equal(reader_wait(&r), -ERR_NOSPACE);
	assert_true(r.n <= 500 * KIB && memcmp(r.data, u.body, (size_t)r.n) == 0);
	reader_fini(&r);
	faults("");
	assert_int_equal(read_all(&l, &r, &u.want), 0);
	assert_right(&r, u.body, u.size);
	reader_fini(&r);
	lab_close(&l);
	unit_free(&u);
}
#endif

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_many_are_saved_together),
		T(test_a_locked_catalog_keeps_nobody_waiting),
		T(test_what_is_removed_meanwhile_is_not_recorded),
		T(test_the_same_artifact_twice_at_once),
		T(test_what_cannot_be_saved_is_served),
#ifdef SLUICE_FAULTS
		T(test_faults_of_saving),
		T(test_disk_full_in_the_middle),
#endif
	};
	int failed;
#ifdef SLUICE_FAULTS
	char path[] = "/tmp/sluice-faults-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	setenv("SLUICE_FAULT_FILE", path, 1);
#endif
	failed = cmocka_run_group_tests(tests, NULL, NULL);
#ifdef SLUICE_FAULTS
	(void)unlink(path);
#endif
	return failed;
}
