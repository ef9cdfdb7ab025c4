/* Look-ups of paths beside the size of the catalog, and how fast it is filled: bench/catalog shows the figures as a
 * table.
 *
 *   catalog_lookup URL TOTAL
 *
 * A thousand repositories, each with a distribution, grow together to 10,000, 250,000 and TOTAL content artifacts in
 * all; after each step random paths of random repositories are looked up, as the content service does it: one read
 * transaction each. One line a step: artifacts, declared a second, then microseconds: hit median, hit p99, unknown
 * median, unknown p99. */
#include "base/check.h"
#include "base/clock.h"
#include "catalog/change.h"
#include "catalog/db.h"
#include "catalog/repository.h"
#include "catalog/served.h"

#include <stdio.h>
#include <stdlib.h>

#define REPOSITORIES 1000
#define BATCH 1000
#define LOOKUPS 20000
#define TOTAL_MAX 1000000000
#define PATH_MAX_BYTES 96

static struct err err;
static int64_t repositories[REPOSITORIES], versions[REPOSITORIES];

#define DO(call)                                                     \
	do {                                                         \
		if ((call) < 0) {                                    \
			fprintf(stderr, "%s: %s\n", #call, err.msg); \
			exit(1);                                     \
		}                                                    \
	} while (0)

static void path_of(char out[PATH_MAX_BYTES], int repository, int n)
{
	snprintf(out, PATH_MAX_BYTES, "pool/%d/%c/package-%d/package-%d_1.0-1_amd64.deb", repository, 'a' + n % 26,
		n / 8, n);
}

static void make_repositories(struct catalog *c)
{
	struct txn *t;
	struct uuid uuid;
	char name[32];

	DO(catalog_write(c, &t, &err));
	DO(db_exec(txn_db(t),
		"INSERT INTO remote (uuid, type, name, created, updated, url, policy) "
		"VALUES (CAST('r' AS {blob}), 'file.file', 'upstream', 1, 1, 'http://localhost/', 'on_demand');",
		&err));
	for (int i = 0; i < REPOSITORIES; i++) {
		snprintf(name, sizeof(name), "repository-%d", i);
		DO(catalog_repository_create(t, "file.file", name, &repositories[i], &uuid, &err));
		DO(db_do(txn_db(t),
			"INSERT INTO distribution (uuid, type, name, created, updated, base_path, repository_id) "
			"VALUES ($1, 'file.file', $2, $3, $3, $2, $4)",
			&err, DB_UUID(&uuid), DB_STR(name), DB_I64(i), DB_I64(repositories[i])));
	}
	DO(txn_commit(&t, &err));
}

/* Adds the files numbered from..to-1 to one repository. */
static void grow(struct catalog *c, int repository, int from, int to)
{
	static struct change_artifact a[BATCH];
	static struct change_unit u[BATCH];
	static char paths[BATCH][PATH_MAX_BYTES], urls[BATCH][PATH_MAX_BYTES + 32], keys[BATCH][PATH_MAX_BYTES + 80];
	struct change_opts o = {.repository_id = repositories[repository], .remote_id = 1, .base_number = -1};
	struct change_result result;
	struct change *ch;

	DO(change_begin(c, &o, &ch, &err));
	while (from < to) {
		int count = MIN(BATCH, to - from);

		for (int i = 0; i < count; i++, from++) {
			uint64_t bits = ((uint64_t)repository << 32 | (uint32_t)from) * UINT64_C(0x9e3779b97f4a7c15);
			uint8_t sha256[32];
			char hex[65];

			for (size_t b = 0; b < sizeof(sha256); b++)
				sha256[b] = (uint8_t)(bits >> b % 8 * 8) ^ (uint8_t)b;
			path_of(paths[i], repository, from);
			snprintf(urls[i], sizeof(urls[i]), "http://localhost/%s", paths[i]);
			snprintf(keys[i], sizeof(keys[i]), "%s %s", paths[i], hex_of(sha256, sizeof(sha256), hex));
			a[i] = (struct change_artifact){
				.relative_path = slice_str(paths[i]), .url = slice_str(urls[i]), .size = from};
			digests_set(&a[i].digests, DIGEST_SHA256, sha256);
			u[i] = (struct change_unit){.type = SLICE("file.file"),
				.natural_key = slice_str(keys[i]),
				.artifacts = &a[i],
				.artifact_count = 1};
		}
		DO(change_declare(ch, u, (size_t)count, &err));
	}
	DO(change_finish(&ch, &result, &err));
	versions[repository] = result.number;
}

static int by_size(const void *x, const void *y)
{
	int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;

	return (a > b) - (a < b);
}

/* The same sequence in every run (xorshift). */
static int dice(int sides)
{
	static uint64_t x = 88172645463325252;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (int)((x >> 16) % (uint64_t)sides);
}

/* Random files numbered from..to-1. */
static void look_up(struct catalog *c, int from, int to, bool known, double *median_us, double *p99_us)
{
	static int64_t ns[LOOKUPS];

	for (int i = 0; i < LOOKUPS; i++) {
		int r = dice(REPOSITORIES);
		struct served_set set = {
			.repository_id = repositories[r], .version_number = versions[r], .pass_through = true};
		struct served_path found;
		char path[PATH_MAX_BYTES];
		struct txn *t;
		int rc;

		path_of(path, r, from + dice(to - from));
		ns[i] = clock_mono_ns();
		DO(catalog_read(c, &t, &err));
		rc = catalog_path_find(t, &set, slice_str(path), &found, &err);
		txn_end(&t);
		ns[i] = clock_mono_ns() - ns[i];
		if (rc != (known ? 0 : -ERR_NOTFOUND)) {
			fprintf(stderr, "'%s' is %s: %s\n", path, known ? "not found" : "found", err.msg);
			exit(1);
		}
	}
	qsort(ns, LOOKUPS, sizeof(ns[0]), by_size);
	*median_us = (double)ns[LOOKUPS / 2] / 1e3;
	*p99_us = (double)ns[LOOKUPS / 100 * 99] / 1e3;
}

int main(int argc, char **argv)
{
	struct catalog_opts opts = {.busy_timeout_ms = 10000, .readers = 1};
	int steps[] = {10000, 250000, 0}, each = 0;
	int64_t total = 0;
	struct catalog *c;

	if (argc != 3 || slice_to_i64(slice_str(argv[2]), TOTAL_MAX, &total) < 0 || total < REPOSITORIES) {
		fprintf(stderr, "usage: %s URL TOTAL (at least %d)\n", argv[0], REPOSITORIES);
		return 2;
	}
	opts.url = argv[1];
	steps[2] = (int)total;
	DO(catalog_open(&opts, true, &c, &err));
	make_repositories(c);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		int before = each, to = steps[i] / REPOSITORIES;
		double hit, hit99, unknown, unknown99, seconds;
		int64_t began = clock_mono_ns();

		if (to <= before)
			continue;
		for (int r = 0; r < REPOSITORIES; r++)
			grow(c, r, before, to);
		each = to;
		seconds = (double)(clock_mono_ns() - began) / 1e9;
		look_up(c, 0, each, true, &hit, &hit99);
		look_up(c, steps[2], 2 * steps[2], false, &unknown, &unknown99);
		printf("%d %.0f %.1f %.1f %.1f %.1f\n", each * REPOSITORIES, (each - before) * REPOSITORIES / seconds,
			hit, hit99, unknown, unknown99);
		fflush(stdout);
	}
	catalog_close(&c);
	return 0;
}
