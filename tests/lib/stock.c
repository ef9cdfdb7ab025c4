/* See stock.h. */
#include "stock.h"

#include "base/clock.h"
#include "base/fsutil.h"
#include "catalog/change.h"
#include "catalog/db.h"
#include "catalog/repository.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_NS (60 * NS_PER_S)

void stock_open(struct stock *s, int threads, int queue_max)
{
	struct catalog_opts opts = {.busy_timeout_ms = 10000, .readers = 3};
	char path[128];

	memset(s, 0, sizeof(*s));
	snprintf(s->dir, sizeof(s->dir), "/tmp/sluice-stock-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	MUST(settings_init(&s->settings, &err));
	snprintf(path, sizeof(path), "%s/generation", s->dir);
	MUST(shm_open_file(path, &s->shm, &err));
	snprintf(path, sizeof(path), "sqlite:%s/catalog.db", s->dir);
	opts.url = path;
	opts.shm = s->shm;
	MUST(catalog_open(&opts, true, &s->catalog, &err));
	snprintf(path, sizeof(path), "%s/media", s->dir);
	MUST(store_open(path, true, &s->store, &err));
	MUST(pool_new("test", threads, queue_max, &s->pool, &err));
}

void stock_close(struct stock *s)
{
	pool_free(&s->pool);
	store_close(&s->store);
	catalog_close(&s->catalog);
	shm_close(&s->shm);
	settings_fini(&s->settings);
	MUST(fs_remove_tree(s->dir, &err));
}

/* ---- the catalog ---- */

static bool has_parameter(const char *sql)
{
	return strstr(sql, "$1") != NULL;
}

void stock_exec(struct stock *s, const char *sql, int64_t id)
{
	struct db_stmt *st;
	struct txn *t;

	MUST(catalog_write(s->catalog, &t, &err));
	MUST(db_query_text(txn_db(t), sql, &st, &err));
	if (has_parameter(sql))
		db_bind_i64(st, 1, id);
	MUST(db_run(&st, &err));
	txn_changes_service(t);
	MUST(txn_commit(&t, &err));
}

int64_t stock_int(struct stock *s, const char *sql, int64_t id)
{
	struct db_stmt *st;
	struct txn *t;
	int64_t v = -1;

	MUST(catalog_read(s->catalog, &t, &err));
	MUST(db_query_text(txn_db(t), sql, &st, &err));
	if (has_parameter(sql))
		db_bind_i64(st, 1, id);
	if (db_step(st, NULL) == 1 && !db_col_null(st, 0))
		v = db_col_i64(st, 0);
	db_done(&st);
	txn_end(&t);
	return v;
}

int64_t stock_remote(struct stock *s, const char *name, const char *url, enum policy policy)
{
	int64_t now = clock_wall_unique_us(), id;
	struct uuid u = uuid_v7();
	struct txn *t;

	MUST(catalog_write(s->catalog, &t, &err));
	MUST(db_do(txn_db(t),
		"INSERT INTO remote (uuid, type, name, created, updated, url, policy, max_retries) "
		"VALUES ($1, 'file.file', $2, $3, $3, $4, $5, 1)",
		&err, DB_UUID(&u), DB_STR(name), DB_I64(now), DB_STR(url), DB_STR(policy_name(policy))));
	id = db_last_id(txn_db(t));
	MUST(txn_commit(&t, &err));
	return id;
}

int64_t stock_repository(struct stock *s, const char *name)
{
	struct uuid u;
	struct txn *t;
	int64_t id;

	MUST(catalog_write(s->catalog, &t, &err));
	MUST(catalog_repository_create(t, "file.file", name, &id, &u, &err));
	MUST(txn_commit(&t, &err));
	return id;
}

int64_t stock_declare(struct stock *s, int64_t repository, int64_t remote, const char *path, const char *url,
	int64_t size, const struct digests *digests)
{
	struct change_opts opts = {.repository_id = repository, .remote_id = remote, .base_number = -1};
	struct change_artifact a = {
		.relative_path = slice_str(path), .url = slice_str(url), .size = size, .digests = *digests};
	struct change_unit u = {.type = SLICE("file.file"), .artifacts = &a, .artifact_count = 1};
	struct change_result result;
	struct change *ch;
	char key[DIGEST_HEX_MAX + 256], hex[DIGEST_HEX_MAX] = "";

	for (int i = 0; i < DIGEST_COUNT; i++)
		if ((digests->have & (1u << i)) != 0)
			digest_hex((enum digest_alg)i, digests->d[i], hex);
	snprintf(key, sizeof(key), "%s %s", path, hex);
	u.natural_key = slice_str(key);
	MUST(change_begin(s->catalog, &opts, &ch, &err));
	MUST(change_declare(ch, &u, 1, &err));
	MUST(change_finish(&ch, &result, &err));
	return a.content_artifact_id;
}

int64_t stock_source(struct stock *s, int64_t content_artifact, int64_t remote)
{
	char sql[160];

	snprintf(sql, sizeof(sql), "SELECT id FROM remote_artifact WHERE content_artifact_id = $1 AND remote_id = %ld",
		remote);
	return stock_int(s, sql, content_artifact);
}

int64_t stock_publish(struct stock *s, int64_t repository)
{
	struct version_row v;
	struct uuid u;
	struct txn *t;
	int64_t id;

	MUST(catalog_write(s->catalog, &t, &err));
	MUST(catalog_version_latest(t, repository, &v, &err));
	MUST(catalog_publication_begin(t, "file.file", v.id, true, false, SLICE("{}"), &id, &u, &err));
	MUST(catalog_publication_complete(t, id, &err));
	txn_changes_service(t);
	MUST(txn_commit(&t, &err));
	return id;
}

int64_t stock_distribute(struct stock *s, const char *base_path, int64_t repository)
{
	int64_t now = clock_wall_unique_us(), id;
	struct uuid u = uuid_v7();
	struct txn *t;

	MUST(catalog_write(s->catalog, &t, &err));
	MUST(db_do(txn_db(t),
		"INSERT INTO distribution (uuid, type, name, created, updated, base_path, repository_id) "
		"VALUES ($1, 'file.file', $2, $3, $3, $2, $4)",
		&err, DB_UUID(&u), DB_STR(base_path), DB_I64(now), DB_ID_OR_NULL(repository)));
	id = db_last_id(txn_db(t));
	txn_changes_service(t);
	MUST(txn_commit(&t, &err));
	return id;
}

bool stock_is_saved(struct stock *s, int64_t content_artifact)
{
	return stock_int(s, "SELECT artifact_id FROM content_artifact WHERE id = $1", content_artifact) > 0;
}

/* ---- the store ---- */

void stock_save(struct stock *s, const char *p, size_t n)
{
	struct digests d = digests_of(p, n, 0);
	struct store_item item = {.size = (int64_t)n};

	memcpy(item.sha256, d.d[DIGEST_SHA256], sizeof(item.sha256));
	MUST(staging_new(s->store, &item.st, &err));
	MUST(staging_write(item.st, p, n, 0, &err));
	store_commit(s->store, &item, 1);
	assert_int_equal(item.rc, 0);
}

bool stock_has(struct stock *s, const struct digests *digests)
{
	return store_has(s->store, digests->d[DIGEST_SHA256]);
}

static int entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *de;
	int n = 0;

	assert_non_null(dir);
	while ((de = readdir(dir)) != NULL)
		n += de->d_name[0] != '.';
	closedir(dir);
	return n;
}

int stock_staged(struct stock *s)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/media/staging", s->dir);
	return entries(path);
}

int open_fds(void)
{
	return entries("/proc/self/fd") - 1;
}

/* ---- bytes ---- */

char *bytes_new(size_t n, unsigned seed)
{
	uint64_t x = 0x9e3779b97f4a7c15u * (seed + 1);
	char *p = malloc(n > 0 ? n : 1);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		p[i] = (char)(x >> 56);
	}
	return p;
}

struct digests digests_of(const char *p, size_t n, unsigned algs)
{
	struct digests d = {.have = 0};
	struct hasher *h;

	assert_int_equal(hasher_new(algs, &h), 0);
	hasher_add(h, p, n);
	hasher_end(h, &d);
	hasher_free(&h);
	return d;
}

/* ---- waiting ---- */

int64_t wait_deadline(void)
{
	return clock_mono_ns() + DEADLINE_NS;
}

bool wait_a_little(int64_t deadline)
{
	struct timespec nap = {.tv_nsec = NS_PER_MS};

	if (clock_mono_ns() > deadline)
		return false;
	nanosleep(&nap, NULL);
	return true;
}

struct blocker {
	struct pool_job job;
	struct pool *pool;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool running, free, over;
};

static void blocker_set(struct blocker *b, bool *what)
{
	pthread_mutex_lock(&b->lock);
	*what = true;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

static void blocker_wait(struct blocker *b, const bool *what)
{
	pthread_mutex_lock(&b->lock);
	while (!*what)
		pthread_cond_wait(&b->changed, &b->lock);
	pthread_mutex_unlock(&b->lock);
}

static void blocker_job(struct pool_job *j)
{
	struct blocker *b = (struct blocker *)((char *)j - offsetof(struct blocker, job));

	blocker_set(b, &b->running);
	blocker_wait(b, &b->free);
	blocker_set(b, &b->over);
}

struct blocker *stock_block(struct stock *s)
{
	struct blocker *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->changed, NULL);
	b->job.fn = blocker_job;
	b->pool = s->pool;
	assert_int_equal(pool_submit(s->pool, &b->job), 0);
	blocker_wait(b, &b->running);
	return b;
}

void stock_unblock(struct blocker **pb)
{
	struct blocker *b = *pb;

	*pb = NULL;
	blocker_set(b, &b->free);
	blocker_wait(b, &b->over);
	WAIT_FOR(pool_queued(b->pool) == 0);
	/* Its last unlock may be going on still. */
	pthread_mutex_lock(&b->lock);
	pthread_mutex_unlock(&b->lock);
	pthread_cond_destroy(&b->changed);
	pthread_mutex_destroy(&b->lock);
	free(b);
}
