/* Walks over the artifacts of a repository, in the order of its units: each piece goes on by one seek where the one before ended. */
#include "catalog/warm.h"

#include "catalog/catalog_priv.h"

/* $1 the repository; $2 and $3 where to go on; $4 how many rows; $5 the version. */
#define UNITS                                                                \
	"FROM repository_content rc JOIN content c ON c.id = rc.content_id " \
	"JOIN content_artifact ca ON ca.content_id = rc.content_id "
#define FROM_HERE "rc.repository_id = $1 AND rc.content_id >= $2 AND (rc.content_id > $2 OR ca.id > $3) "
#define IN_ORDER "ORDER BY rc.content_id, ca.id LIMIT $4"
#define COLUMNS "rc.content_id, ca.id, c.type, c.extra, ca.relative_path, rc.version_added, "

static void read_unit(struct db_stmt *s, struct warm_unit *u)
{
	*u = (struct warm_unit){
		.content_artifact_id = db_col_i64(s, 1),
		.type = db_col_text(s, 2),
		.extra = db_col_text(s, 3),
		.relative_path = db_col_text(s, 4),
		.version_added = db_col_i64(s, 5),
	};
}

/* `what`: fills in the rest, from column 6 on. */
static int walk(struct db_stmt *s, struct warm_at *at, size_t max, void (*what)(struct db_stmt *s, struct warm_unit *u),
	warm_fn *fn, void *arg, struct err *err)
{
	size_t n = 0;
	int rc = 0;

	while (n < max && (rc = db_step(s, err)) == 1) {
		struct warm_unit u;

		read_unit(s, &u);
		if (what != NULL)
			what(s, &u);
		*at = (struct warm_at){db_col_i64(s, 0), u.content_artifact_id};
		n++;
		rc = fn(arg, &u, err);
		if (rc < 0)
			break;
	}
	db_done(&s);
	return rc < 0 ? rc : n == max;
}

static void read_missing(struct db_stmt *s, struct warm_unit *u)
{
	u->dropped = db_col_i64(s, 6) != 0;
	u->want = (struct change_missing){.content_artifact_id = u->content_artifact_id, .size = col_size(s, 7)};
	col_digests(s, 8, &u->want.digests);
}

int catalog_warm_missing(struct txn *t, int64_t repository_id, int64_t number, int64_t failed_before_us,
	struct warm_at *at, size_t max, warm_fn *fn, void *arg, struct err *err)
{
	struct db_stmt *s;
	int rc = db_rows(txn_db(t),
		"SELECT " COLUMNS "CASE WHEN rc.version_removed IS NULL THEN 0 ELSE 1 END, ra.size, " DIGEST_COLUMNS(
			"ra.") " " UNITS "JOIN remote_artifact ra ON ra.id = (SELECT x.id FROM remote_artifact x "
			       "JOIN remote r ON r.id = x.remote_id AND r.policy <> 'streamed' "
			       "WHERE x.content_artifact_id = ca.id AND (x.missing_at IS NULL OR x.missing_at < $6) "
			       "AND (x.failed_at IS NULL OR x.failed_at < $6) ORDER BY x.id LIMIT 1) "
			       "WHERE " FROM_HERE "AND ca.artifact_id IS NULL AND rc.version_added <= $5 "
			       "AND (rc.version_removed IS NULL OR rc.version_removed > $5) " IN_ORDER,
		&s, err, DB_I64(repository_id), DB_I64(at->content_id), DB_I64(at->content_artifact_id),
		DB_I64((int64_t)max), DB_I64(number), DB_I64(failed_before_us));

	return rc < 0 ? rc : walk(s, at, max, read_missing, fn, arg, err);
}

static void read_used(struct db_stmt *s, struct warm_unit *u)
{
	u->last_used_us = db_col_i64(s, 6);
}

int catalog_warm_used(struct txn *t, int64_t repository_id, int64_t number, int64_t since_us, struct warm_at *at,
	size_t max, warm_fn *fn, void *arg, struct err *err)
{
	struct db_stmt *s;
	int rc = db_rows(txn_db(t),
		"SELECT " COLUMNS "a.last_used " UNITS "JOIN artifact a ON a.id = ca.artifact_id "
		"WHERE " FROM_HERE "AND rc.version_added <= $5 AND a.last_used > 0 AND a.last_used >= $6 " IN_ORDER,
		&s, err, DB_I64(repository_id), DB_I64(at->content_id), DB_I64(at->content_artifact_id),
		DB_I64((int64_t)max), DB_I64(number), DB_I64(since_us));

	return rc < 0 ? rc : walk(s, at, max, read_used, fn, arg, err);
}

int catalog_warm_units(
	struct txn *t, int64_t repository_id, struct warm_at *at, size_t max, warm_fn *fn, void *arg, struct err *err)
{
	struct db_stmt *s;
	int rc = db_rows(txn_db(t), "SELECT " COLUMNS "0 " UNITS "WHERE " FROM_HERE IN_ORDER, &s, err,
		DB_I64(repository_id), DB_I64(at->content_id), DB_I64(at->content_artifact_id), DB_I64((int64_t)max));

	return rc < 0 ? rc : walk(s, at, max, NULL, fn, arg, err);
}
