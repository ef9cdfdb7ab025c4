/* What a database is to db.c: the functions behind `struct db`, one table for each kind of database. A kind puts
 * these structs first in its own. Inside src/catalog only; a connection belongs to one thread at a time. */
#ifndef SLUICE_CATALOG_DB_OPS_H
#define SLUICE_CATALOG_DB_OPS_H

#include "catalog/db.h"

struct db_open_opts {
	const char *place; /* the url behind "<scheme>:" */
	bool write;        /* for write transactions; else the connection refuses to change anything */
	bool create;       /* a database that does not exist is made */
	int64_t busy_timeout_ms;
};

struct db_ops {
	const char *scheme;
	int (*open)(const struct db_open_opts *opts, struct db **out, struct err *err);
	void (*close)(struct db *db);
	/* `keep`: it will be run often. */
	int (*prepare)(struct db *db, const char *sql, bool keep, struct db_stmt **out, struct err *err);
	void (*finalize)(struct db_stmt *s);
	void (*reset)(struct db_stmt *s); /* rows and bindings are gone */
	/* Binding: 0, or an -ERR_x that db_step will return. */
	int (*bind_i64)(struct db_stmt *s, int i, int64_t v);
	int (*bind_f64)(struct db_stmt *s, int i, double v);
	int (*bind_bytes)(struct db_stmt *s, int i, struct slice v, bool is_text);
	int (*bind_null)(struct db_stmt *s, int i);
	int (*step)(struct db_stmt *s, struct err *err);
	bool (*col_null)(struct db_stmt *s, int i);
	int64_t (*col_i64)(struct db_stmt *s, int i);
	double (*col_f64)(struct db_stmt *s, int i);
	struct slice (*col_bytes)(struct db_stmt *s, int i, bool is_text);
	int64_t (*last_id)(struct db *db);
	int64_t (*changes)(struct db *db);
	int (*exec)(struct db *db, const char *sql, struct err *err);
	/* begin for writing takes the write lock at once. rollback is fine without a transaction. */
	int (*begin)(struct db *db, bool write, struct err *err);
	int (*commit)(struct db *db, struct err *err);
	void (*rollback)(struct db *db);
	bool (*has_table)(struct db *db, const char *name); /* false on errors too */
	/* Outside of transactions: makes the files anew, without what rows held before. */
	int (*erase)(struct db *db, struct err *err);
};

struct db_cached {
	const char *sql; /* the key is the address */
	struct db_stmt *stmt;
};

struct db {
	const struct db_ops *ops;
	struct db_cached *cache; /* open addressing; a power of two */
	size_t cache_cap, cache_count;
	int in_use; /* statements between db_query and db_done */
};

struct db_stmt {
	struct db *db;
	bool cached; /* stays in the cache when done */
	bool busy;   /* handed out */
	int bind_rc; /* first failure of a bind */
};

extern const struct db_ops db_sqlite_ops;

/* url: "<scheme>:<place>". -ERR_INVAL for a scheme that is not known. */
int db_open(const char *url, const struct db_open_opts *opts, struct db **out, struct err *err);
void db_close(struct db **pdb);
/* Is it a url that db_open understands? -ERR_INVAL with the reason. */
int db_url_check(const char *url, struct err *err);

#endif
