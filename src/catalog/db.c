/* The part of a connection that all databases share: which kind a url means, and the prepared statements of a
 * connection, found again by the address of their text. A connection belongs to one thread at a time; nothing here is
 * locked. */
#include "catalog/db_ops.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define CACHE_MIN 64

static const struct db_ops *const kinds[] = {&db_sqlite_ops};

static const struct db_ops *kind_of(const char *url, const char **place)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t n = strlen(kinds[i]->scheme);

		if (strncmp(url, kinds[i]->scheme, n) == 0 && url[n] == ':' && url[n + 1] != '\0') {
			*place = url + n + 1;
			return kinds[i];
		}
	}
	return NULL;
}

int db_url_check(const char *url, struct err *err)
{
	const char *place;

	if (kind_of(url, &place) == NULL)
		return err_set(err, -ERR_INVAL, "'%s' is no database: \"sqlite:PATH\" is", url);
	return 0;
}

int db_open(const char *url, const struct db_open_opts *opts, struct db **out, struct err *err)
{
	struct db_open_opts o = *opts;
	const struct db_ops *ops = kind_of(url, &o.place);

	if (ops == NULL)
		return db_url_check(url, err);
	return ops->open(&o, out, err);
}

void db_close(struct db **pdb)
{
	struct db *db = TAKE(*pdb);

	if (db == NULL)
		return;
	BUG(db->in_use != 0);
	for (size_t i = 0; i < db->cache_cap; i++) {
		if (db->cache[i].stmt != NULL)
			db->ops->finalize(db->cache[i].stmt);
	}
	free(db->cache);
	db->ops->close(db);
}

static size_t cache_at(const struct db_cached *cache, size_t cap, const char *sql)
{
	size_t i = ((uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (cap - 1);

	while (cache[i].sql != NULL && cache[i].sql != sql)
		i = (i + 1) & (cap - 1);
	return i;
}

static int cache_grow(struct db *db)
{
	size_t cap = db->cache_cap == 0 ? CACHE_MIN : db->cache_cap * 2;
	struct db_cached *bigger = calloc(cap, sizeof(*bigger));

	if (bigger == NULL)
		return -ERR_NOMEM;
	for (size_t i = 0; i < db->cache_cap; i++) {
		if (db->cache[i].sql != NULL)
			bigger[cache_at(bigger, cap, db->cache[i].sql)] = db->cache[i];
	}
	free(db->cache);
	db->cache = bigger;
	db->cache_cap = cap;
	return 0;
}

static void hand_out(struct db_stmt *s, struct db_stmt **out)
{
	s->busy = true;
	s->bind_rc = 0;
	s->db->in_use++;
	*out = s;
}

int db_query_text(struct db *db, const char *sql, struct db_stmt **out, struct err *err)
{
	struct db_stmt *s;
	int rc = db->ops->prepare(db, sql, false, &s, err);

	if (rc < 0)
		return rc;
	s->db = db;
	s->cached = false;
	hand_out(s, out);
	return 0;
}

int db_query(struct db *db, const char *literal_sql, struct db_stmt **out, struct err *err)
{
	struct db_cached *c;
	int rc;

	if (db->cache_count * 2 >= db->cache_cap && cache_grow(db) < 0)
		return err_set(err, -ERR_NOMEM, "no memory for a statement");
	c = &db->cache[cache_at(db->cache, db->cache_cap, literal_sql)];
	if (c->stmt != NULL && c->stmt->busy) /* one inside the other's rows */
		return db_query_text(db, literal_sql, out, err);
	if (c->stmt == NULL) {
		rc = db->ops->prepare(db, literal_sql, true, &c->stmt, err);
		if (rc < 0)
			return rc;
		c->sql = literal_sql;
		c->stmt->db = db;
		c->stmt->cached = true;
		db->cache_count++;
	}
	hand_out(c->stmt, out);
	return 0;
}

void db_done(struct db_stmt **ps)
{
	struct db_stmt *s = TAKE(*ps);

	if (s == NULL)
		return;
	BUG(!s->busy);
	s->busy = false;
	s->db->in_use--;
	if (s->cached)
		s->db->ops->reset(s);
	else
		s->db->ops->finalize(s);
}

static void remember(struct db_stmt *s, int rc)
{
	if (rc < 0 && s->bind_rc == 0)
		s->bind_rc = rc;
}

void db_bind_i64(struct db_stmt *s, int i, int64_t v)
{
	remember(s, s->db->ops->bind_i64(s, i, v));
}

void db_bind_f64(struct db_stmt *s, int i, double v)
{
	remember(s, s->db->ops->bind_f64(s, i, v));
}

void db_bind_null(struct db_stmt *s, int i)
{
	remember(s, s->db->ops->bind_null(s, i));
}

void db_bind_text(struct db_stmt *s, int i, struct slice v)
{
	remember(s, v.p == NULL ? s->db->ops->bind_null(s, i) : s->db->ops->bind_bytes(s, i, v, true));
}

void db_bind_blob(struct db_stmt *s, int i, struct slice v)
{
	remember(s, v.p == NULL ? s->db->ops->bind_null(s, i) : s->db->ops->bind_bytes(s, i, v, false));
}

int db_step(struct db_stmt *s, struct err *err)
{
	if (s->bind_rc < 0)
		return err_set(err, s->bind_rc, "a value does not fit its statement: %s", err_text(s->bind_rc));
	return s->db->ops->step(s, err);
}

int db_run(struct db_stmt **ps, struct err *err)
{
	int rc = db_step(*ps, err);

	db_done(ps);
	return rc > 0 ? 0 : rc;
}

bool db_col_null(struct db_stmt *s, int i)
{
	return s->db->ops->col_null(s, i);
}

int64_t db_col_i64(struct db_stmt *s, int i)
{
	return s->db->ops->col_i64(s, i);
}

double db_col_f64(struct db_stmt *s, int i)
{
	return s->db->ops->col_f64(s, i);
}

struct slice db_col_text(struct db_stmt *s, int i)
{
	return s->db->ops->col_bytes(s, i, true);
}

struct slice db_col_blob(struct db_stmt *s, int i)
{
	return s->db->ops->col_bytes(s, i, false);
}

int64_t db_last_id(struct db *db)
{
	return db->ops->last_id(db);
}

int64_t db_changes(struct db *db)
{
	return db->ops->changes(db);
}

int db_exec(struct db *db, const char *sql, struct err *err)
{
	return db->ops->exec(db, sql, err);
}

int db_rows_args(struct db *db, const char *literal_sql, const struct db_arg *args, size_t count, struct db_stmt **out,
	struct err *err)
{
	struct db_stmt *s;
	int rc = db_query(db, literal_sql, &s, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < count; i++) {
		int at = (int)i + 1;

		switch (args[i].type) {
		case DB_ARG_NULL:
			db_bind_null(s, at);
			break;
		case DB_ARG_I64:
			db_bind_i64(s, at, args[i].i);
			break;
		case DB_ARG_TEXT:
			db_bind_text(s, at, args[i].s);
			break;
		case DB_ARG_BLOB:
			db_bind_blob(s, at, args[i].s);
			break;
		}
	}
	*out = s;
	return 0;
}

int db_do_args(struct db *db, const char *literal_sql, const struct db_arg *args, size_t count, struct err *err)
{
	struct db_stmt *s;
	int rc = db_rows_args(db, literal_sql, args, count, &s, err);

	return rc < 0 ? rc : db_run(&s, err);
}

int db_first_args(struct db *db, const char *literal_sql, const struct db_arg *args, size_t count, struct db_stmt **out,
	struct err *err)
{
	struct db_stmt *s;
	int rc;

	*out = NULL;
	rc = db_rows_args(db, literal_sql, args, count, &s, err);
	if (rc < 0)
		return rc;
	rc = db_step(s, err);
	if (rc <= 0) {
		db_done(&s);
		return rc;
	}
	*out = s;
	return 1;
}
