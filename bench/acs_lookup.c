/* Who may be asked for a missing artifact, beside the number of alternate content sources: what the first request of an artifact pays for them.
 *
 *   acs_lookup URL
 *
 * With 0, 1 and 20 sources of 100,000 artifacts each, in an empty catalog of its own; random artifacts of a repository of as many, one read transaction
 * each, as resolving a miss does it. One line a step: sources, then microseconds: median and p99 for artifacts that no alternate source holds, and the same for
 * those that one holds. */
#include "base/check.h"
#include "base/clock.h"
#include "catalog/acs.h"
#include "catalog/change.h"
#include "catalog/db.h"
#include "catalog/repository.h"

#include <stdio.h>
#include <stdlib.h>

#define ARTIFACTS 100000
#define BATCH 1000
#define LOOKUPS 20000

static struct err err;
static int64_t repository, sources;

#define DO(call)                                                     \
	do {                                                         \
		if ((call) < 0) {                                    \
			fprintf(stderr, "%s: %s\n", #call, err.msg); \
			exit(1);                                     \
		}                                                    \
	} while (0)

/* Of artifact n of a set: 0 is the repository's first half, which no source holds, 1 its other half, then what the other sources hold. */
static void digest_of(int64_t set, int64_t n, uint8_t out[32])
{
	uint64_t bits = ((uint64_t)(set + 1) << 32 | (uint64_t)n) * UINT64_C(0x9e3779b97f4a7c15);

	for (size_t b = 0; b < 32; b++)
		out[b] = (uint8_t)(bits >> b % 8 * 8) ^ (uint8_t)b;
}

static void make_repository(struct catalog *c)
{
	static struct change_artifact a[BATCH];
	static struct change_unit u[BATCH];
	static char paths[BATCH][32], urls[BATCH][64], keys[BATCH][128];
	struct change_opts o = {.remote_id = 1, .base_number = -1};
	struct change_result result;
	struct change *ch;
	struct txn *t;
	struct uuid uuid;

	DO(catalog_write(c, &t, &err));
	DO(db_exec(txn_db(t),
		"INSERT INTO remote (uuid, type, name, created, updated, url, policy) "
		"VALUES (CAST('r' AS {blob}), 'file.file', 'upstream', 1, 1, 'http://localhost/', 'on_demand');",
		&err));
	DO(catalog_repository_create(t, "file.file", "r", &repository, &uuid, &err));
	DO(txn_commit(&t, &err));
	o.repository_id = repository;
	DO(change_begin(c, &o, &ch, &err));
	for (int n = 0; n < ARTIFACTS; n += BATCH) {
		for (int i = 0; i < BATCH; i++) {
			uint8_t sha256[32];
			char hex[65];

			digest_of((n + i) % 2, (n + i) / 2, sha256);
			(void)snprintf(paths[i], sizeof(paths[i]), "package-%d", n + i);
			(void)snprintf(urls[i], sizeof(urls[i]), "http://localhost/%s", paths[i]);
			(void)snprintf(
				keys[i], sizeof(keys[i]), "%s %s", paths[i], hex_of(sha256, sizeof(sha256), hex));
			a[i] = (struct change_artifact){
				.relative_path = slice_str(paths[i]), .url = slice_str(urls[i]), .size = n};
			digests_set(&a[i].digests, DIGEST_SHA256, sha256);
			u[i] = (struct change_unit){.type = SLICE("file.file"),
				.natural_key = slice_str(keys[i]),
				.artifacts = &a[i],
				.artifact_count = 1};
		}
		DO(change_declare(ch, u, BATCH, &err));
	}
	DO(change_finish(&ch, &result, &err));
}

/* The first one holds half of the repository, the others nothing of it. */
static void add_source(struct catalog *c)
{
	int64_t set = ++sources;
	struct uuid uuid = uuid_v4();
	char name[32];
	struct txn *t;

	(void)snprintf(name, sizeof(name), "source-%lld", (long long)set);
	DO(catalog_write(c, &t, &err));
	DO(db_do(txn_db(t),
		"INSERT INTO acs (uuid, type, name, created, updated, remote_id) VALUES ($1, 'file.file', $2, 1, 1, 1)",
		&err, DB_UUID(&uuid), DB_STR(name)));
	for (int64_t n = 0; n < ARTIFACTS; n++) {
		uint8_t sha256[32];

		digest_of(set, n, sha256);
		DO(catalog_acs_note(t, set, "", 1, sha256, n, "http://near/x", &err));
	}
	DO(txn_commit(&t, &err));
}

static int by_size(const void *x, const void *y)
{
	int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;

	return (a > b) - (a < b);
}

/* Random artifacts of one half of the repository. Their content artifacts were declared one after the other: 1, 2, 3, … */
static void look_up(struct catalog *c, int half, size_t want, double *median_us, double *p99_us)
{
	static int64_t ns[LOOKUPS];
	static uint64_t x = UINT64_C(88172645463325252);

	for (int i = 0; i < LOOKUPS; i++) {
		struct source_row *rows = NULL;
		size_t count = 0;
		struct txn *t;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		ns[i] = clock_mono_ns();
		DO(catalog_read(c, &t, &err));
		DO(catalog_sources(t, 1 + 2 * (int64_t)((x >> 16) % (ARTIFACTS / 2)) + half, repository, false, &rows,
			&count, &err));
		txn_end(&t);
		ns[i] = clock_mono_ns() - ns[i];
		source_rows_free(&rows, count);
		if (count != want) {
			fprintf(stderr, "%zu sources, not %zu\n", count, want);
			exit(1);
		}
	}
	qsort(ns, LOOKUPS, sizeof(ns[0]), by_size);
	*median_us = (double)ns[LOOKUPS / 2] / 1e3;
	*p99_us = (double)ns[LOOKUPS / 100 * 99] / 1e3;
}

int main(int argc, char **argv)
{
	static const int64_t steps[] = {0, 1, 20};
	struct catalog_opts opts = {.busy_timeout_ms = 10000, .readers = 1};
	struct catalog *c;

	if (argc != 2) {
		fprintf(stderr, "usage: %s URL\n", argv[0]);
		return 2;
	}
	opts.url = argv[1];
	DO(catalog_open(&opts, true, &c, &err));
	make_repository(c);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		double none, none99, held, held99;

		while (sources < steps[i])
			add_source(c);
		look_up(c, 0, 1, &none, &none99);
		look_up(c, 1, sources > 0 ? 2 : 1, &held, &held99);
		printf("%lld %.1f %.1f %.1f %.1f\n", (long long)sources, none, none99, held, held99);
		fflush(stdout);
	}
	catalog_close(&c);
	return 0;
}
