/* The catalog: its connections and transactions. A fixed number of reading connections and one writing one, opened
 * when first needed. Who finds none free waits in line; a connection that comes back is handed to the first in line,
 * so nobody is overtaken.
 *
 * `struct lane` is one such line, protected by its mutex, which is never held while a connection is opened or used. */
#include "catalog/catalog.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/metrics.h"
#include "catalog/catalog_priv.h"
#include "catalog/db_ops.h"
#include "catalog/migrate.h"
#include "catalog/secrets.h"
#include "catalog/usage.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define READERS_MAX 64
#define PATH_BYTES_MAX 4096
/* After a transaction that held the write lock this long, the next one of the same process waits a moment: other
 * processes look every millisecond (db_sqlite.c), and a sync that writes batch after batch would keep them out for
 * seconds. */
#define LONG_WRITE_NS (4 * NS_PER_MS)
#define COURTESY_NS (3 * NS_PER_MS / 2)

struct waiter {
	pthread_cond_t wake;
	bool called;
	struct db *db; /* NULL although called: take the place and open one */
	struct waiter *next;
};

struct lane {
	pthread_mutex_t lock;
	struct db *idle[READERS_MAX];
	int idle_count, open_count, max;
	struct waiter *first, **last;
	bool write;
};

struct catalog {
	char *url;
	int64_t busy_timeout_ms, window_ms;
	struct shm *shm;
	const struct keyring *keyring;
	struct lane readers, writer;
	int64_t write_began_ns, write_ended_ns; /* of the last write; whoever has the writing connection */
	_Atomic int64_t stored_bytes;           /* of artifact_total, as seen last */
};

struct txn {
	struct catalog *c;
	struct db *db;
	bool write, service, tasks;
	int64_t artifacts, bytes; /* more (or less) than before */
};

static void lane_init(struct lane *l, int max, bool write)
{
	pthread_mutex_init(&l->lock, NULL);
	l->max = max;
	l->write = write;
	l->last = &l->first;
}

static void lane_fini(struct lane *l)
{
	BUG(l->idle_count != l->open_count); /* a transaction is still open */
	while (l->idle_count > 0)
		db_close(&l->idle[--l->idle_count]);
	pthread_mutex_destroy(&l->lock);
}

/* Lock held. Gives a connection, or with NULL the right to open one, to the first in line. */
static void lane_call_next(struct lane *l, struct db *db)
{
	struct waiter *w = l->first;

	if (w == NULL) {
		if (db != NULL)
			l->idle[l->idle_count++] = db;
		else
			l->open_count--;
		return;
	}
	l->first = w->next;
	if (l->first == NULL)
		l->last = &l->first;
	w->db = db;
	w->called = true;
	pthread_cond_signal(&w->wake);
}

static void lane_give(struct lane *l, struct db *db)
{
	pthread_mutex_lock(&l->lock);
	lane_call_next(l, db);
	pthread_mutex_unlock(&l->lock);
}

/* Lock held. False when time ran out. */
static bool lane_wait(struct lane *l, struct waiter *w, int64_t timeout_ms)
{
	int64_t until = clock_mono_ns() + timeout_ms * NS_PER_MS;
	struct timespec ts = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &attr);
	pthread_condattr_destroy(&attr);
	*l->last = w;
	l->last = &w->next;
	while (!w->called && pthread_cond_timedwait(&w->wake, &l->lock, &ts) == 0)
		;
	if (!w->called) {
		struct waiter **at = &l->first;

		while (*at != w)
			at = &(*at)->next;
		*at = w->next;
		if (l->last == &w->next)
			l->last = at;
	}
	pthread_cond_destroy(&w->wake);
	return w->called;
}

static int lane_take(struct catalog *c, struct lane *l, struct db **out, struct err *err)
{
	struct db_open_opts o = {.write = l->write, .busy_timeout_ms = c->busy_timeout_ms};
	struct waiter w = {.called = false};
	bool granted = true;
	int rc;

	pthread_mutex_lock(&l->lock);
	if (l->idle_count > 0)
		w.db = l->idle[--l->idle_count];
	else if (l->open_count < l->max)
		l->open_count++;
	else
		granted = lane_wait(l, &w, c->busy_timeout_ms);
	pthread_mutex_unlock(&l->lock);
	if (!granted)
		return err_set(err, -ERR_BUSY, "waited %lld ms for a %s connection to the database",
			(long long)c->busy_timeout_ms, l->write ? "writing" : "reading");
	if (w.db == NULL) {
		rc = db_open(c->url, &o, &w.db, err);
		if (rc < 0) {
			lane_give(l, NULL);
			return rc;
		}
	}
	*out = w.db;
	return 0;
}

static int read_total(struct catalog *c, struct db *db, struct err *err)
{
	struct db_stmt *s = NULL;
	int rc = db_first(db, "SELECT bytes FROM artifact_total WHERE id = 1", &s, err);

	if (rc == 1)
		atomic_init(&c->stored_bytes, db_col_i64(s, 0));
	db_done(&s);
	return MIN(rc, 0);
}

int catalog_open(const struct catalog_opts *opts, bool migrate, struct catalog **out, struct err *err)
{
	struct db_open_opts first = {.write = true, .create = migrate, .busy_timeout_ms = opts->busy_timeout_ms};
	struct catalog *c = calloc(1, sizeof(*c));
	struct db *db = NULL;
	int rc = -ERR_NOMEM;

	if (c == NULL)
		return err_set(err, rc, "no memory for the catalog");
	lane_init(&c->readers, MAX(1, MIN(opts->readers, READERS_MAX)), false);
	lane_init(&c->writer, 1, true);
	c->busy_timeout_ms = opts->busy_timeout_ms;
	c->window_ms = opts->window_ms;
	c->shm = opts->shm;
	c->keyring = opts->keyring;
	c->url = slice_dup(slice_str(opts->url));
	if (c->url == NULL) {
		err_set(err, rc, "no memory for the catalog");
		goto out;
	}
	rc = db_open(c->url, &first, &db, err);
	if (rc == 0)
		rc = catalog_migrate(db, migrate, err);
	if (rc == 0)
		rc = read_total(c, db, err);
	if (rc < 0)
		goto out;
	c->writer.open_count = 1;
	lane_give(&c->writer, TAKE(db));
	*out = TAKE(c);
out:
	db_close(&db);
	catalog_close(&c);
	return rc;
}

void catalog_close(struct catalog **pc)
{
	struct catalog *c = TAKE(*pc);

	if (c == NULL)
		return;
	lane_fini(&c->readers);
	lane_fini(&c->writer);
	free(c->url);
	free(c);
}

static int begin(struct catalog *c, bool write, struct txn **out, struct err *err)
{
	struct lane *l = write ? &c->writer : &c->readers;
	struct txn *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for a transaction");
	rc = lane_take(c, l, &t->db, err);
	if (rc < 0)
		goto out;
	if (write && c->write_ended_ns - c->write_began_ns > LONG_WRITE_NS &&
		clock_mono_ns() - c->write_ended_ns < COURTESY_NS)
		nanosleep(&(struct timespec){.tv_nsec = COURTESY_NS}, NULL);
	rc = t->db->ops->begin(t->db, write, err);
	if (rc < 0) {
		lane_give(l, t->db);
		goto out;
	}
	if (write)
		c->write_began_ns = clock_mono_ns();
	t->c = c;
	t->write = write;
	*out = TAKE(t);
out:
	free(t);
	return rc;
}

int catalog_read(struct catalog *c, struct txn **out, struct err *err)
{
	return begin(c, false, out, err);
}

int catalog_write(struct catalog *c, struct txn **out, struct err *err)
{
	return begin(c, true, out, err);
}

void txn_end(struct txn **pt)
{
	struct txn *t = TAKE(*pt);

	if (t == NULL)
		return;
	BUG(t->db->in_use != 0); /* a statement was not given back: its text and values may be gone by its next use */
	t->db->ops->rollback(t->db);
	if (t->write)
		t->c->write_ended_ns = clock_mono_ns();
	lane_give(t->write ? &t->c->writer : &t->c->readers, t->db);
	free(t);
}

/* Part of the transaction. Its row is written last, so that where rows have locks nobody waits for this one long. */
static int commit_total(struct txn *t, int64_t *stored, struct err *err)
{
	struct db_stmt *s = NULL;
	int rc;

	if (t->artifacts == 0 && t->bytes == 0)
		return 0;
	rc = db_first(t->db,
		"UPDATE artifact_total SET artifacts = artifacts + $1, bytes = bytes + $2 WHERE id = 1 RETURNING bytes",
		&s, err, DB_I64(t->artifacts), DB_I64(t->bytes));
	if (rc == 1)
		*stored = db_col_i64(s, 0);
	db_done(&s);
	return rc < 0 ? rc : 0;
}

int txn_commit(struct txn **pt, struct err *err)
{
	struct txn *t = *pt;
	struct shm *shm = t->c->shm;
	bool service = t->service, tasks = t->tasks;
	int64_t stored = -1;
	int rc;

	BUG(t->db->in_use != 0);
	rc = FAULT("catalog.commit");
	rc = rc < 0 ? err_sys(err, -rc, "commit") : commit_total(t, &stored, err);
	if (rc == 0)
		rc = t->db->ops->commit(t->db, err);
	if (rc == 0 && stored >= 0)
		txn_note_stored(t, stored);
	txn_end(pt);
	if (rc == 0)
		metric_inc(M_catalog_transactions);
	if (rc < 0 || shm == NULL)
		return rc;
	if (service)
		shm_bump_generation(shm);
	if (tasks)
		shm_bump_task_signal(shm);
	return 0;
}

void txn_changes_service(struct txn *t)
{
	t->service = true;
}

void txn_changes_tasks(struct txn *t)
{
	t->tasks = true;
}

void txn_count_artifact(struct txn *t, int artifacts, int64_t bytes)
{
	t->artifacts += artifacts;
	t->bytes += bytes;
}

void txn_note_stored(struct txn *t, int64_t bytes)
{
	atomic_store_explicit(&t->c->stored_bytes, bytes, memory_order_relaxed);
}

int64_t catalog_stored_bytes(const struct catalog *c)
{
	return atomic_load_explicit(&c->stored_bytes, memory_order_relaxed);
}

struct db *txn_db(struct txn *t)
{
	return t->db;
}

const struct keyring *txn_keyring(struct txn *t)
{
	return t->c->keyring;
}

int catalog_erase(struct catalog *c, struct err *err)
{
	struct db *db = NULL;
	int rc = lane_take(c, &c->writer, &db, err);

	if (rc < 0)
		return rc;
	rc = db->ops->erase(db, err);
	lane_give(&c->writer, db);
	return rc;
}

int txn_created_us(struct txn *t, const char *last_sql, int64_t *out, struct err *err)
{
	int64_t now = clock_wall_unique_us();
	struct db_stmt *s;
	int rc = db_first(t->db, last_sql, &s, err);

	if (rc < 0)
		return rc;
	if (rc == 1)
		now = MAX(now, db_col_i64(s, 0) + 1);
	db_done(&s);
	*out = now;
	return 0;
}

int catalog_meta_get(struct txn *t, const char *key, char **out, struct err *err)
{
	struct db_stmt *s;
	bool failed = false;
	char *value;
	int rc = db_first(t->db, "SELECT value FROM meta WHERE key = $1", &s, err, DB_STR(key));

	if (rc <= 0)
		return rc < 0 ? rc : err_set(err, -ERR_NOTFOUND, "the catalog has no '%s'", key);
	value = col_dup(s, 0, &failed);
	db_done(&s);
	if (value == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for '%s'", key);
	*out = value;
	return 0;
}

int catalog_meta_set(struct txn *t, const char *key, const char *value, struct err *err)
{
	return db_do(t->db,
		"INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
		err, DB_STR(key), DB_STR(value));
}

/* --- catalog_priv.h --- */

void col_digests(struct db_stmt *s, int i, struct digests *out)
{
	out->have = 0;
	for (int alg = 0; alg < DIGEST_COUNT; alg++) {
		struct slice d = db_col_blob(s, i + alg);

		if (d.n == (size_t)digest_len(alg))
			digests_set(out, alg, (const uint8_t *)d.p);
	}
}

void bind_digests(struct db_stmt *s, int i, const struct digests *ds)
{
	for (int alg = 0; alg < DIGEST_COUNT; alg++) {
		if (ds->have & 1u << alg)
			db_bind_blob(s, i + alg, slice_of((const char *)ds->d[alg], (size_t)digest_len(alg)));
		else
			db_bind_null(s, i + alg);
	}
}

int64_t col_size(struct db_stmt *s, int i)
{
	return db_col_null(s, i) ? -1 : db_col_i64(s, i);
}

void col_uuid(struct db_stmt *s, int i, struct uuid *out)
{
	struct slice b = db_col_blob(s, i);

	*out = (struct uuid){.b = {0}};
	if (b.n == sizeof(out->b))
		memcpy(out->b, b.p, sizeof(out->b));
}

char *col_dup(struct db_stmt *s, int i, bool *failed)
{
	char *z;

	if (db_col_null(s, i))
		return NULL;
	z = slice_dup(db_col_text(s, i));
	*failed |= z == NULL;
	return z;
}

int col_secret(struct txn *t, struct db_stmt *s, int i, const struct sealed_at *at, char **out, struct err *err)
{
	struct slice stored = db_col_text(s, i);
	size_t n;

	if (stored.p == NULL) {
		*out = NULL;
		return 0;
	}
	if (t->c->keyring != NULL)
		return keyring_open(t->c->keyring, at, stored, out, &n, err);
	*out = slice_dup(stored);
	return *out != NULL ? 0 : err_set(err, -ERR_NOMEM, "no memory for %s.%s", at->table, at->column);
}

int secret_sealed(
	struct txn *t, const struct sealed_at *at, struct slice text, struct slice *out, char **mem, struct err *err)
{
	int rc;

	*mem = NULL;
	*out = text;
	if (t->c->keyring == NULL || catalog_secret_empty(text))
		return 0;
	if ((rc = keyring_seal(t->c->keyring, at, text, mem, err)) == 0)
		*out = slice_str(*mem);
	return rc;
}

int64_t catalog_window_began_us(const struct catalog *c)
{
	return c->window_ms > 0 ? clock_wall_us() - c->window_ms * (NS_PER_MS / 1000) : 0;
}

int catalog_window_sweep(
	struct catalog *c, const char *due, const char *sweep, void (*changes)(struct txn *t), struct err *err)
{
	int64_t began = catalog_window_began_us(c);
	struct txn *t = NULL;
	struct db_stmt *s;
	int rc = catalog_read(c, &t, err);

	if (began == 0) /* there is no window */
		began = clock_wall_us();
	if (rc == 0)
		rc = db_first(txn_db(t), due, &s, err, DB_I64(began));
	if (rc == 1)
		db_done(&s);
	txn_end(&t);
	if (rc <= 0)
		return rc;
	rc = catalog_write(c, &t, err);
	if (rc == 0)
		rc = db_do(txn_db(t), sweep, err, DB_I64(began));
	if (rc == 0 && changes != NULL)
		changes(t);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	return rc;
}

static bool is_path(struct slice path)
{
	struct slice rest = path;

	if (path.n == 0 || path.n > PATH_BYTES_MAX || !slice_is_utf8(path))
		return false;
	for (size_t i = 0; i < path.n; i++) {
		if ((unsigned char)path.p[i] < 0x20 || path.p[i] == 0x7f)
			return false;
	}
	while (rest.p != NULL) {
		struct slice part = slice_cut(&rest, '/');

		if (part.n == 0 || slice_eq(part, SLICE(".")) || slice_eq(part, SLICE("..")))
			return false;
	}
	return true;
}

int check_path(struct slice path, struct err *err)
{
	if (is_path(path))
		return 0;
	return err_set(err, -ERR_INVAL, "'%.*s' is not a relative path", (int)MIN(path.n, (size_t)200),
		path.p != NULL ? path.p : "");
}

int expect_row(int64_t changes, const char *what, struct err *err)
{
	return changes > 0 ? 0 : err_set(err, -ERR_NOTFOUND, "no %s", what);
}
