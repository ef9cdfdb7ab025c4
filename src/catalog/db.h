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

/* Several statements without parameters, as migrations have them. */
int db_exec(struct db *db, const char *sql, struct err *err);

struct txn;
struct db *txn_db(struct txn *t);

#endif
