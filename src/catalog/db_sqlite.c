/* SQLite behind db_ops, the only file that knows it. WAL, so that readers and the writer do not wait for each other;
 * every commit is synced. A connection is opened without SQLite's own mutexes: it belongs to one thread at a time.
 *
 * No memory map: a page that cannot be read from a failing disk is an error for one request here, with a map it is a
 * SIGBUS. */
#include "catalog/db_ops.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "catalog/sqlite_functions.h"
#include "catalog/sqlite_functions.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CACHE_KIB_WRITER 65536
#define CACHE_KIB_READER 16384
#define WAL_PAGES "4000"          /* checkpoint every 16 MiB: fewer syncs of the database while a sync fills it */
#define WAL_KEEP_BYTES "67108864" /* what a long reader made it grow to is given back */
#define POLL_MAX_US 1000          /* a writer that holds the lock often leaves it for about this long (catalog.c) */

struct sqlite_db {
	struct db base;
	sqlite3 *h;
	int64_t busy_timeout_ms, busy_until_ns;
	struct db_stmt *begin_read, *begin_write, *commit, *rollback;
};

struct sqlite_stmt {
	struct db_stmt base;
	sqlite3_stmt *h;
	int column_count;
};

static struct sqlite_db *to_db(struct db *db)
{
	return container_of(db, struct sqlite_db, base);
}

static sqlite3_stmt *to_stmt(struct db_stmt *s)
{
	return container_of(s, struct sqlite_stmt, base)->h;
}

static int fail(sqlite3 *h, int rc, struct err *err)
{
	int extended = h != NULL ? sqlite3_extended_errcode(h) : rc, sys = h != NULL ? sqlite3_system_errno(h) : 0;
	const char *text = h != NULL ? sqlite3_errmsg(h) : sqlite3_errstr(rc);
	int code = -ERR_DB;

	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		code = -ERR_BUSY;
		break;
	case SQLITE_FULL:
		code = -ERR_NOSPACE;
		break;
	case SQLITE_IOERR:
		if (sys == ENOSPC || sys == EDQUOT)
			code = -ERR_NOSPACE;
		break;
	case SQLITE_NOMEM:
		code = -ERR_NOMEM;
		break;
	case SQLITE_CONSTRAINT:
		if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY ||
			extended == SQLITE_CONSTRAINT_ROWID)
			code = -ERR_EXISTS;
		break;
	}
	err_set(err, code, "SQLite: %s (code %d)", text, extended);
	if (err != NULL)
		err->sys = sys;
	return code;
}

/* SQLite's own handler sleeps up to 100 ms: beside a process that writes again and again one would hardly ever meet the
 * instants between its transactions. */
static int on_busy(void *arg, int count)
{
	struct sqlite_db *d = arg;
	int64_t now = clock_mono_ns(), us = count < 5 ? 50 << count : POLL_MAX_US;

	if (count == 0)
		d->busy_until_ns = now + d->busy_timeout_ms * NS_PER_MS;
	if (now >= d->busy_until_ns)
		return 0;
	nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL); /* shorter when a signal came: it is a loop */
	return 1;
}

/* --- statements --- */

/* "$7" is a name to SQLite, numbered as it comes; "?7" is what everybody else means by it. */
static int to_numbered(const char *sql, struct buf *out)
{
	bool quoted = false;

	for (const char *p = sql; *p != '\0'; p++) {
		quoted ^= *p == '\'';
		buf_add(out, !quoted && p[0] == '$' && p[1] >= '0' && p[1] <= '9' ? "?" : p, 1);
	}
	return out->failed;
}

static int sq_prepare(struct db *db, const char *sql, bool keep, struct db_stmt **out, struct err *err)
{
	struct sqlite_db *d = to_db(db);
	struct sqlite_stmt *s = calloc(1, sizeof(*s));
	struct buf text = BUF_INIT(0);
	int rc = -ERR_NOMEM;

	if (s == NULL || to_numbered(sql, &text) < 0) {
		err_set(err, rc, "no memory for a statement");
		goto out;
	}
	s->base.db = db;
	rc = sqlite3_prepare_v3(d->h, text.p, (int)text.n + 1, keep ? SQLITE_PREPARE_PERSISTENT : 0, &s->h, NULL);
	if (rc != SQLITE_OK || s->h == NULL) {
		rc = rc != SQLITE_OK ? fail(d->h, rc, err) : err_set(err, -ERR_DB, "SQLite: an empty statement");
		if (rc == -ERR_DB)
			err_wrap(err, "preparing \"%.300s\"", sql);
		goto out;
	}
	s->column_count = sqlite3_column_count(s->h);
	*out = &TAKE(s)->base;
	rc = 0;
out:
	free(s);
	buf_fini(&text);
	return rc;
}

static void sq_finalize(struct db_stmt *s)
{
	sqlite3_finalize(to_stmt(s)); /* repeats the error of the last step */
	free(container_of(s, struct sqlite_stmt, base));
}

static void sq_reset(struct db_stmt *s)
{
	sqlite3_reset(to_stmt(s)); /* likewise */
	sqlite3_clear_bindings(to_stmt(s));
}

static int bound(int rc)
{
	return rc == SQLITE_OK ? 0 : rc == SQLITE_NOMEM ? -ERR_NOMEM : rc == SQLITE_TOOBIG ? -ERR_LIMIT : -ERR_DB;
}

static int sq_bind_i64(struct db_stmt *s, int i, int64_t v)
{
	return bound(sqlite3_bind_int64(to_stmt(s), i, v));
}

static int sq_bind_f64(struct db_stmt *s, int i, double v)
{
	return bound(sqlite3_bind_double(to_stmt(s), i, v));
}

static int sq_bind_bytes(struct db_stmt *s, int i, struct slice v, bool is_text)
{
	if (is_text)
		return bound(sqlite3_bind_text64(to_stmt(s), i, v.p, v.n, SQLITE_STATIC, SQLITE_UTF8));
	return bound(sqlite3_bind_blob64(to_stmt(s), i, v.p, v.n, SQLITE_STATIC));
}

static int sq_bind_null(struct db_stmt *s, int i)
{
	return bound(sqlite3_bind_null(to_stmt(s), i));
}

static int sq_step(struct db_stmt *s, struct err *err)
{
	int rc = sqlite3_step(to_stmt(s));

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	return fail(to_db(s->db)->h, rc, err);
}

static bool sq_col_null(struct db_stmt *s, int i)
{
	return sqlite3_column_type(to_stmt(s), i) == SQLITE_NULL;
}

static int64_t sq_col_i64(struct db_stmt *s, int i)
{
	return sqlite3_column_int64(to_stmt(s), i);
}

static double sq_col_f64(struct db_stmt *s, int i)
{
	return sqlite3_column_double(to_stmt(s), i);
}

static struct slice sq_col_bytes(struct db_stmt *s, int i, bool is_text)
{
	sqlite3_stmt *h = to_stmt(s);
	const void *p;

	if (sqlite3_column_type(h, i) == SQLITE_NULL)
		return SLICE_NULL;
	p = is_text ? (const void *)sqlite3_column_text(h, i) : sqlite3_column_blob(h, i);
	return slice_of(p != NULL ? p : "", p != NULL ? (size_t)sqlite3_column_bytes(h, i) : 0);
}

static int64_t sq_last_id(struct db *db)
{
	return sqlite3_last_insert_rowid(to_db(db)->h);
}

static int64_t sq_changes(struct db *db)
{
	return sqlite3_changes64(to_db(db)->h);
}

/* --- whole scripts --- */

static const struct {
	const char *word, *text;
} words[] = {
	{"{id}", "INTEGER PRIMARY KEY AUTOINCREMENT"},
	{"{int}", "INTEGER"},
	{"{real}", "REAL"},
	{"{blob}", "BLOB"},
	{"{path}", "TEXT"},
	{"{norowid}", "WITHOUT ROWID"},
	{"{{", "{"},
	{"}}", "}"},
};

static int replace_words(const char *sql, struct buf *out, struct err *err)
{
	for (const char *p = sql; *p != '\0';) {
		size_t plain = strcspn(p, "{}"), i;

		buf_add(out, p, plain);
		p += plain;
		if (*p == '\0')
			break;
		for (i = 0; i < ARRAY_LEN(words); i++) {
			size_t n = strlen(words[i].word);

			if (strncmp(p, words[i].word, n) == 0) {
				buf_adds(out, words[i].text);
				p += n;
				break;
			}
		}
		if (i == ARRAY_LEN(words))
			return err_set(err, -ERR_DB, "SQL has an unknown word: \"%.20s\"", p);
	}
	return out->failed < 0 ? err_set(err, out->failed, "no memory for a script") : 0;
}

static int sq_exec(struct db *db, const char *sql, struct err *err)
{
	struct buf text = BUF_INIT(0);
	int rc = replace_words(sql, &text, err), sq;

	if (rc == 0 && text.n > 0) {
		sq = sqlite3_exec(to_db(db)->h, text.p, NULL, NULL, NULL);
		if (sq != SQLITE_OK)
			rc = fail(to_db(db)->h, sq, err);
	}
	buf_fini(&text);
	return rc;
}

/* --- transactions --- */

static int run_kept(struct db_stmt *s, struct err *err)
{
	int rc = sq_step(s, err);

	sq_reset(s);
	return rc;
}

static int sq_begin(struct db *db, bool write, struct err *err)
{
	return run_kept(write ? to_db(db)->begin_write : to_db(db)->begin_read, err);
}

static void sq_rollback(struct db *db)
{
	/* Some errors (a full disk) have rolled back already. What fails here leaves no transaction either. */
	if (sqlite3_get_autocommit(to_db(db)->h) == 0)
		(void)run_kept(to_db(db)->rollback, NULL);
}

static int sq_commit(struct db *db, struct err *err)
{
	if (sqlite3_get_autocommit(to_db(db)->h) != 0)
		return err_set(err, -ERR_DB, "SQLite: the transaction was rolled back before");
	return run_kept(to_db(db)->commit, err);
}

/* By reading: what the connection remembers of the schema may be older than the transaction. */
static bool sq_has_table(struct db *db, const char *name)
{
	struct db_stmt *s;
	bool found;

	if (sq_prepare(db, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1", false, &s, NULL) < 0)
		return false;
	found = sq_bind_bytes(s, 1, slice_str(name), true) == 0 && sq_step(s, NULL) == 1;
	sq_finalize(s);
	return found;
}

/* --- open and close --- */

/* Making a database and turning it to WAL is not safe beside others that do the same (3.40: "disk I/O error"), so
 * they take turns, by a lock on the directory. Not on the file: closing any descriptor of it would drop the locks of
 * this process's connections. */
static int lock_directory(const struct db_open_opts *o, int *out, struct err *err)
{
	int64_t until = clock_mono_ns() + o->busy_timeout_ms * NS_PER_MS;
	const char *slash = strrchr(o->place, '/');
	struct slice dir = slash == NULL ? SLICE(".") : slice_of(o->place, (size_t)MAX(slash - o->place, 1));
	char *path = slice_dup(dir);
	int fd, rc = 0;

	if (path == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for a database connection");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		rc = err_set(err, -ERR_DB, "opening its directory: %s", strerror(errno));
	while (rc == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			rc = err_set(err, -ERR_DB, "locking its directory: %s", strerror(errno));
		else if (clock_mono_ns() > until)
			rc = err_set(err, -ERR_BUSY, "another process is making it");
		else
			nanosleep(&(struct timespec){.tv_nsec = POLL_MAX_US * 1000}, NULL);
	}
	free(path);
	if (rc < 0 && fd >= 0)
		close(fd);
	else
		*out = fd;
	return rc;
}

/* It holds secrets: made for its owner alone, and SQLite gives its side files the same mode. */
static int make_file(const char *path, struct err *err)
{
	int sys = mknod(path, S_IFREG | 0600, 0) < 0 ? errno : 0;

	if (sys == 0 || sys == EEXIST)
		return 0;
	return err_set(
		err, sys == ENOSPC || sys == EDQUOT ? -ERR_NOSPACE : -ERR_DB, "making the file: %s", strerror(sys));
}

static int set_up(struct sqlite_db *d, const struct db_open_opts *o, struct err *err)
{
	char text[512];
	int rc;

	sqlite3_extended_result_codes(d->h, 1);
	sqlite3_busy_handler(d->h, on_busy, d);
	snprintf(text, sizeof(text),
		"PRAGMA foreign_keys=ON; PRAGMA temp_store=FILE; PRAGMA cache_size=-%d; PRAGMA trusted_schema=OFF;",
		o->write ? CACHE_KIB_WRITER : CACHE_KIB_READER);
	rc = sqlite3_exec(d->h, text, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite_functions_add(d->h);
	if (rc == SQLITE_OK && o->write)
		rc = sqlite3_exec(d->h,
			"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=" WAL_PAGES
			"; PRAGMA journal_size_limit=" WAL_KEEP_BYTES ";",
			NULL, NULL, NULL);
	if (rc == SQLITE_OK && !o->write)
		rc = sqlite3_exec(d->h, "PRAGMA query_only=ON; SELECT count(*) FROM sqlite_schema;", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite_functions_add(d->h);
	return rc == SQLITE_OK ? 0 : fail(d->h, rc, err);
}

static void sq_close(struct db *db)
{
	struct sqlite_db *d = to_db(db);

	if (d->begin_read != NULL)
		sq_finalize(d->begin_read);
	if (d->begin_write != NULL)
		sq_finalize(d->begin_write);
	if (d->commit != NULL)
		sq_finalize(d->commit);
	if (d->rollback != NULL)
		sq_finalize(d->rollback);
	/* Refused only while statements are left: db_close() has seen to them. */
	(void)CHECK(sqlite3_close(d->h) == SQLITE_OK);
	free(d);
}

/* Counting what it allocates takes a lock for each piece, and nobody asks. */
static void configure(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS,
		0); /* refused when somebody else has opened a database before: it only costs time */
}

static int sq_open(const struct db_open_opts *o, struct db **out, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sqlite_db *d = calloc(1, sizeof(*d));
	int lock = -1, rc = 0;

	if (d == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for a database connection");
	pthread_once(&once, configure);
	d->base.ops = &db_sqlite_ops;
	d->busy_timeout_ms = o->busy_timeout_ms;
	if (o->create)
		rc = lock_directory(o, &lock, err);
	if (rc == 0 && o->create)
		rc = make_file(o->place, err);
	if (rc < 0)
		goto out;
	rc = sqlite3_open_v2(
		o->place, &d->h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (rc != SQLITE_OK) {
		rc = fail(d->h, rc, err);
		goto out;
	}
	rc = set_up(d, o, err);
	if (rc == 0)
		rc = sq_prepare(&d->base, "BEGIN", true, &d->begin_read, err);
	if (rc == 0)
		rc = sq_prepare(&d->base, "BEGIN IMMEDIATE", true, &d->begin_write, err);
	if (rc == 0)
		rc = sq_prepare(&d->base, "COMMIT", true, &d->commit, err);
	if (rc == 0)
		rc = sq_prepare(&d->base, "ROLLBACK", true, &d->rollback, err);
out:
	if (lock >= 0)
		close(lock);
	if (rc < 0) {
		if (err != NULL)
			err_wrap(err, "'%s'", o->place);
		sq_close(&d->base);
		return rc;
	}
	*out = &d->base;
	return 0;
}

static int sq_erase(struct db *db, struct err *err)
{
	struct sqlite_db *d = to_db(db);
	int log = 0, done = 0, rc = sqlite3_exec(d->h, "VACUUM", NULL, NULL, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_wal_checkpoint_v2(d->h, NULL, SQLITE_CHECKPOINT_TRUNCATE, &log, &done);
	return rc == SQLITE_OK ? 0 : fail(d->h, rc, err);
}

const struct db_ops db_sqlite_ops = {
	.scheme = "sqlite",
	.open = sq_open,
	.close = sq_close,
	.prepare = sq_prepare,
	.finalize = sq_finalize,
	.reset = sq_reset,
	.bind_i64 = sq_bind_i64,
	.bind_f64 = sq_bind_f64,
	.bind_bytes = sq_bind_bytes,
	.bind_null = sq_bind_null,
	.step = sq_step,
	.col_null = sq_col_null,
	.col_i64 = sq_col_i64,
	.col_f64 = sq_col_f64,
	.col_bytes = sq_col_bytes,
	.last_id = sq_last_id,
	.changes = sq_changes,
	.exec = sq_exec,
	.begin = sq_begin,
	.commit = sq_commit,
	.rollback = sq_rollback,
	.has_table = sq_has_table,
	.erase = sq_erase,
};
