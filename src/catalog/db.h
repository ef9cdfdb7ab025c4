/* One database connection behind a table of functions: what differs between SQLite and PostgreSQL, and nothing else.
 *
 * Inside src/catalog only. SQL uses $1… parameters and the dialect that both share. Statements are prepared once a
 * connection and found again by the address of their text: pass string literals (db_query), or text that lives
 * anywhere (db_query_text, prepared for this call). Single values are bound by type; a row is read in place. */
#ifndef SLUICE_CATALOG_DB_H
#define SLUICE_CATALOG_DB_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct db; /* a connection */
struct db_stmt;

struct db_ops; /* open, prepare, bind, step, column, begin, commit, rollback, changes, last_id: db_ops.h */

/* The statement, reset and without bindings. Returned to the connection by db_done. */
int db_query(struct db *db, const char *literal_sql, struct db_stmt **out, struct err *err);
int db_query_text(struct db *db, const char *sql, struct db_stmt **out, struct err *err);
void db_done(struct db_stmt **ps);

/* Parameters count from 1. Errors are remembered and come out of db_step. Text and blobs are borrowed until db_done. */
void db_bind_i64(struct db_stmt *s, int i, int64_t v);
void db_bind_f64(struct db_stmt *s, int i, double v);
void db_bind_text(struct db_stmt *s, int i, struct slice v); /* p == NULL binds null */
void db_bind_blob(struct db_stmt *s, int i, struct slice v); /* likewise */
void db_bind_null(struct db_stmt *s, int i);

/* 1: a row; 0: no more; negative: -ERR_DB, -ERR_BUSY, -ERR_EXISTS (a unique constraint), -ERR_NOSPACE. */
int db_step(struct db_stmt *s, struct err *err);
/* For statements without rows: steps, and db_done. */
int db_run(struct db_stmt **ps, struct err *err);

/* Columns count from 0; valid until the next db_step. */
bool db_col_null(struct db_stmt *s, int i);
int64_t db_col_i64(struct db_stmt *s, int i); /* 0 for null */
double db_col_f64(struct db_stmt *s, int i);
struct slice db_col_text(struct db_stmt *s, int i); /* p == NULL for null */
struct slice db_col_blob(struct db_stmt *s, int i);

int64_t db_last_id(struct db *db);
int64_t db_changes(struct db *db); /* rows changed by the last statement */

/* A statement with its values in one go: the first takes no rows (and returns as db_run), the second leaves the rows to db_step,
 * the third makes the first step: 1 with *out open, 0 or negative with *out NULL.
 *   rc = db_do(db, "UPDATE t SET a = $1 WHERE id = $2", err, DB_TEXT(name), DB_I64(id)); */
struct db_arg {
	enum db_arg_type { DB_ARG_NULL, DB_ARG_I64, DB_ARG_TEXT, DB_ARG_BLOB } type;
	int64_t i;
	struct slice s;
};
#define DB_NULL ((struct db_arg){.type = DB_ARG_NULL})
#define DB_I64(v) ((struct db_arg){.type = DB_ARG_I64, .i = (v)})
#define DB_TEXT(slice_) ((struct db_arg){.type = DB_ARG_TEXT, .s = (slice_)})
#define DB_STR(z) DB_TEXT(slice_str(z))
#define DB_BLOB(p_, n_) ((struct db_arg){.type = DB_ARG_BLOB, .s = slice_of((const char *)(p_), (n_))})
#define DB_UUID(u) DB_BLOB((u)->b, 16)
#define DB_ID_OR_NULL(v) ((struct db_arg){.type = (v) != 0 ? DB_ARG_I64 : DB_ARG_NULL, .i = (v)})
#define DB_ARGS_(...)                        \
	(const struct db_arg[])              \
	{                                    \
		{DB_ARG_NULL}, ##__VA_ARGS__ \
	}
#define DB_ARGC_(...) (sizeof((const struct db_arg[]){{DB_ARG_NULL}, ##__VA_ARGS__}) / sizeof(struct db_arg) - 1)
#define db_do(db, sql, err, ...) db_do_args(db, sql, DB_ARGS_(__VA_ARGS__) + 1, DB_ARGC_(__VA_ARGS__), err)
#define db_rows(db, sql, out, err, ...) \
	db_rows_args(db, sql, DB_ARGS_(__VA_ARGS__) + 1, DB_ARGC_(__VA_ARGS__), out, err)
#define db_first(db, sql, out, err, ...) \
	db_first_args(db, sql, DB_ARGS_(__VA_ARGS__) + 1, DB_ARGC_(__VA_ARGS__), out, err)
int db_do_args(struct db *db, const char *literal_sql, const struct db_arg *args, size_t count, struct err *err);
int db_rows_args(struct db *db, const char *literal_sql, const struct db_arg *args, size_t count, struct db_stmt **out,
	struct err *err);
int db_first_args(struct db *db, const char *literal_sql, const struct db_arg *args, size_t count, struct db_stmt **out,
	struct err *err);

/* Several statements without parameters, as migrations have them; the words in braces of 0001-model.sql are replaced. */
int db_exec(struct db *db, const char *sql, struct err *err);

struct txn;
struct db *txn_db(struct txn *t);
/* A date for a new row, later than any in its table, whichever process wrote it. `last_sql` is a literal: "SELECT created FROM
 * task ORDER BY id DESC LIMIT 1". */
int txn_created_us(struct txn *t, const char *last_sql, int64_t *out, struct err *err);

#endif
