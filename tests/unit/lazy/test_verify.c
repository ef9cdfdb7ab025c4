/* Verifying while it comes: every size of body, digests of every kind, and beginning anew while the pool hashes. */
#include "readers.h"

#include "base/check.h"
#include "base/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sizes around the steps of hashing: inline, one job, many jobs. */
static void test_sizes_around_the_steps_of_hashing(void **state)
{
	static const size_t sizes[] = {
		64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 512 * KIB - 1, 512 * KIB, 512 * KIB + 1, 20 * MIB + 3};

	for (size_t i = 0; i < 2 * ARRAY_LEN(sizes); i++) {
		size_t size = sizes[i / 2];
		bool flip = i % 2 == 1;
		struct reader r;
		struct lab l;
		struct unit u;

		lab_open(&l, 2, 100);
		unit_new(&u, &l, "a", size, 1, POLICY_ON_DEMAND);
		lab_start(&l);
		u.body[size - 1] ^= (char)flip; /* upstream's is not the one that was declared */
		assert_int_equal(read_all(&l, &r, &u.want), flip ? -ERR_DIGEST : 0);
		if (!flip)
			assert_right(&r, u.body, u.size);
		assert_int_equal(stock_has(&l.stock, &u.digests), !flip);
		reader_fini(&r);
		lab_close(&l);
		unit_free(&u);
	}
}

/* So that the end need not wait for the whole to be written; what is not kept is not written. */
static void test_a_large_one_is_sent_to_the_disk_while_it_comes(void **state)
{
	static const enum policy policies[] = {POLICY_ON_DEMAND, POLICY_STREAMED};

	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		struct reader r;
		struct lab l;
		struct unit u;
		int64_t before;

		lab_open(&l, 2, 100);
		unit_new(&u, &l, "a", 20 * MIB, 1, policies[i]);
		lab_start(&l);
		before = metric_get(M_staging_writebacks);
		assert_int_equal(read_all(&l, &r, &u.want), 0);
		if (policies[i] == POLICY_STREAMED)
			assert_int_equal(metric_get(M_staging_writebacks), before);
		else
			assert_true(metric_get(M_staging_writebacks) >= before + 2);
		reader_fini(&r);
		lab_close(&l);
		unit_free(&u);
	}
}

static void test_each_allowed_digest_vouches(void **state)
{
	static const enum digest_alg algs[] = {DIGEST_SHA224, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512};

	for (size_t i = 0; i < 2 * ARRAY_LEN(algs); i++) {
		enum digest_alg alg = algs[i / 2];
		bool flip = i % 2 == 1;
		char sql[160];
		struct reader r;
		struct lab l;
		struct unit u;

		lab_open(&l, 2, 100);
		unit_new(&u, &l, "a", 700 * KIB, 1, POLICY_ON_DEMAND);
		u.want.digests = digests_of(u.body, 700 * KIB, 1u << alg);
		u.want.digests.have = 1u << alg;
		/* Only the catalog's idea of the source matters beside it, and it knows nothing. */
		snprintf(sql, sizeof(sql), "UPDATE remote_artifact SET sha256 = NULL WHERE id > $1");
		stock_exec(&l.stock, sql, 0);
		lab_start(&l);
		u.body[1] ^= (char)flip;
		assert_int_equal(read_all(&l, &r, &u.want), flip ? -ERR_DIGEST : 0);
		assert_int_equal(stock_has(&l.stock, &u.digests), !flip);
		assert_int_equal(stock_is_saved(&l.stock, u.ca), !flip);
		reader_fini(&r);
		lab_close(&l);
		unit_free(&u);
	}
}

/* What a source declares beyond the artifact's own digests must hold as well. */
static void test_digest_of_the_source_counts_too(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;

	lab_open(&l, 2, 100);
	unit_new(&u, &l, "a", 700 * KIB, 1, POLICY_ON_DEMAND);
	stock_exec(&l.stock, "UPDATE remote_artifact SET sha512 = zeroblob(64) WHERE id > $1", 0);
	lab_start(&l);
	assert_int_equal(read_all(&l, &r, &u.want), -ERR_DIGEST);
	reader_fini(&r);
	lab_close(&l);
	unit_free(&u);
}

/* The first source declares sha256, the second only sha512; it goes on where the first breaks off, and both digests are checked. */
static void test_next_source_with_other_digests(void **state)
{
	for (int flip = 0; flip < 2; flip++) {
		struct digests d;
		char sql[512], hex[DIGEST_HEX_MAX];
		struct reader r;
		struct lab l;
		struct unit u;
		int64_t b;

		lab_open(&l, 2, 100);
		unit_new(&u, &l, "a", MIB, 1, POLICY_ON_DEMAND);
		d = digests_of(u.body, MIB, 1u << DIGEST_SHA512);
		d.d[DIGEST_SHA512][0] ^= (uint8_t)flip;
		b = unit_add_source(&u, &l, "b", origin_url(l.origin, "/b"));
		snprintf(sql, sizeof(sql), "UPDATE remote_artifact SET sha256 = NULL, sha512 = x'%s' WHERE id = $1",
			digest_hex(DIGEST_SHA512, d.d[DIGEST_SHA512], hex));
		stock_exec(&l.stock, sql, b);
		lab_start(&l);
		ORIGIN_PUT(l.origin, "/a",
			{.ranges = true, .body = u.body, .size = MIB, .cut = 600 * KIB, .end = ORIGIN_CLOSE},
			{.status = 500});
		ORIGIN_PUT(l.origin, "/b", {.ranges = true, .body = u.body, .size = MIB});
		assert_int_equal(read_all(&l, &r, &u.want), flip ? -ERR_DIGEST : 0);
		assert_int_equal(origin_range(l.origin, "/b", 1), 600 * KIB);
		reader_fini(&r);
		lab_close(&l);
		unit_free(&u);
	}
}

/* The pool has one thread: what was queued before has run when this returns. */
static void flush_pool(struct lab *l)
{
	struct blocker *b = stock_block(&l->stock);

	stock_unblock(&b);
}

/* A job that hashes the first body is under way when the body begins anew, from byte 0 and with fewer bytes than were hashed already: the job must not
 * take the difference for a length, and its digests must not count. */
static void test_begins_anew_while_the_pool_hashes(void **state)
{
	int64_t before = metric_get(M_fetch_bytes);
	struct blocker *blocker;
	struct reader r;
	struct lab l;
	struct unit u;
	char *old = bytes_new(2 * MIB, 99);

	lab_open(&l, 1, 100);
	l.stock.settings.content_holdback = 10 * MIB; /* nothing is shown, so that it may begin anew */
	unit_new(&u, &l, "a", 2 * MIB, 1, POLICY_ON_DEMAND);
	lab_start(&l);
	ORIGIN_PUT(l.origin, "/a",
		{.body = old, .size = 2 * MIB, .gate = 1, .gate_at = 600 * KIB, .cut = 1300 * KIB, .end = ORIGIN_CLOSE},
		{.body = u.body, .size = 2 * MIB, .gate = 2, .gate_at = 100 * KIB});
	reader_init(&r, &l, 0, &u.want);
	reader_start(&r);
	WAIT_FOR(metric_get(M_fetch_bytes) - before == 600 * KIB);
	flush_pool(&l); /* hashed: more than half a MiB */
	blocker = stock_block(&l.stock);
	origin_open(l.origin, 1);
	WAIT_FOR(pool_queued(l.stock.pool) == 1); /* the next job waits behind the blocker */
	WAIT_FOR(metric_get(M_fetch_bytes) - before == (1300 + 100) * KIB);
	stock_unblock(&blocker);
	flush_pool(&l);
	origin_open(l.origin, 2);
	assert_int_equal(reader_wait(&r), 0);
	assert_right(&r, u.body, u.size);
	assert_true(stock_is_saved(&l.stock, u.ca));
	reader_fini(&r);
	lab_close(&l);
	free(old);
	unit_free(&u);
}

/* Likewise when the whole second body is there before the old job has run. */
static void test_ends_anew_before_the_old_job_has_run(void **state)
{
	static const size_t sizes[] = {0, 1, 100 * KIB, 1100 * KIB};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		int64_t before = metric_get(M_fetch_bytes);
		struct blocker *blocker;
		struct reader r;
		struct lab l;
		struct unit u;
		char *old = bytes_new(2 * MIB, 99);

		lab_open(&l, 1, 100);
		l.stock.settings.content_holdback = 10 * MIB;
		unit_new(&u, &l, "a", sizes[i], 1, POLICY_ON_DEMAND);
		u.want.size = -1;
		lab_start(&l);
		ORIGIN_PUT(l.origin, "/a",
			{.body = old,
				.size = 2 * MIB,
				.framing = ORIGIN_CHUNKED,
				.gate = 1,
				.gate_head = true,
				.cut = 600 * KIB,
				.end = ORIGIN_CLOSE},
			{.body = u.body, .size = sizes[i]});
		reader_init(&r, &l, 0, &u.want);
		reader_start(&r);
		WAIT_FOR(origin_hits(l.origin, "/a") == 1);
		blocker = stock_block(&l.stock);
		origin_open(l.origin, 1);
		WAIT_FOR(metric_get(M_fetch_bytes) - before == 600 * KIB + (int64_t)sizes[i]);
		WAIT_FOR(origin_hits(l.origin, "/a") == 2);
		stock_unblock(&blocker);
		assert_int_equal(reader_wait(&r), 0);
		assert_right(&r, u.body, u.size);
		reader_fini(&r);
		lab_close(&l);
		free(old);
		unit_free(&u);
	}
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_sizes_around_the_steps_of_hashing),
		T(test_a_large_one_is_sent_to_the_disk_while_it_comes),
		T(test_each_allowed_digest_vouches),
		T(test_digest_of_the_source_counts_too),
		T(test_next_source_with_other_digests),
		T(test_begins_anew_while_the_pool_hashes),
		T(test_ends_anew_before_the_old_job_has_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
