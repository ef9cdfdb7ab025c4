/* See evict.h. The whole rule is one SQL condition, used to look and again to evict. No state of its own. */
#include "catalog/evict.h"

#include "catalog/catalog_priv.h"
#include "catalog/usage.h"

/* As remote_has_credentials: only repositories that were synced with it are served by such a remote. $1 is share_credentials. */
#define SERVES_ALL                                                                                   \
	"($1 = 1 OR (COALESCE(r.username, '') = '' AND COALESCE(r.password, '') = '' AND "           \
	"COALESCE(r.client_key, '') = '' AND COALESCE(r.proxy_password, '') = '' AND "               \
	"r.headers IN ('', '[]', 'null')) OR NOT EXISTS (SELECT 1 FROM repository_content rc WHERE " \
	"rc.content_id = ca.content_id AND NOT EXISTS (SELECT 1 FROM repository_remote rr WHERE "    \
	"rr.repository_id = rc.repository_id AND rr.remote_id = ra.remote_id)))"
#define SAME_BYTES                                                                                             \
	"(ra.size IS NULL OR ra.size = a.size) AND CASE WHEN ra.sha256 IS NOT NULL THEN ra.sha256 = a.sha256 " \
	"ELSE COALESCE(ra.sha512 = a.sha512, ra.sha384 = a.sha384, ra.sha224 = a.sha224, 1 = 0) END"
#define SOURCES "remote_artifact ra JOIN remote r ON r.id = ra.remote_id WHERE ra.content_artifact_id = ca.id AND "
#define MAY_GO                                                                                               \
	"EXISTS (SELECT 1 FROM content_artifact ca WHERE ca.artifact_id = a.id) "                            \
	"AND NOT EXISTS (SELECT 1 FROM published_artifact pa WHERE pa.artifact_id = a.id) "                  \
	"AND NOT EXISTS (SELECT 1 FROM content_artifact ca WHERE ca.artifact_id = a.id AND (ca.pinned <> 0 " \
	"OR EXISTS (SELECT 1 FROM " SOURCES "r.policy = 'immediate') "                                       \
	"OR NOT EXISTS (SELECT 1 FROM " SOURCES "r.policy IN ('on_demand', 'streamed') "                     \
	"AND ra.missing_at IS NULL AND ra.failed_at IS NULL AND ra.dropped_at IS NULL AND " SAME_BYTES       \
	" AND " SERVES_ALL ")))"

int catalog_evict_look(struct txn *t, const struct evict_look *what, struct evict_at *at, struct evict_candidate *out,
	size_t max, size_t *count, bool *at_end, struct err *err)
{
	struct db_stmt *s;
	size_t n = 0, looked = 0;
	int64_t bytes = 0;
	int rc = db_rows(txn_db(t),
		"SELECT a.id, a.last_used, a.size, CASE WHEN " MAY_GO " THEN 1 ELSE 0 END FROM artifact a "
		"WHERE (a.last_used, a.id) > ($2, $3) AND a.last_used < $4 ORDER BY a.last_used, a.id LIMIT $5",
		&s, err, DB_I64(what->share_credentials), DB_I64(at->last_used_us), DB_I64(at->id),
		DB_I64(what->before_us), DB_I64((int64_t)what->look));

	if (rc < 0)
		return rc;
	while (n < max && bytes < what->bytes && (rc = db_step(s, err)) == 1) {
		*at = (struct evict_at){db_col_i64(s, 1), db_col_i64(s, 0)};
		looked++;
		if (db_col_i64(s, 3) == 0)
			continue;
		out[n] = (struct evict_candidate){at->id, db_col_i64(s, 2), at->last_used_us};
		bytes += out[n++].size;
	}
	db_done(&s);
	if (rc < 0)
		return rc;
	*at_end = rc == 0 && looked < what->look;
	*count = n;
	return 0;
}

int catalog_evict(struct txn *t, const struct evict_candidate *c, bool share_credentials, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(txn_db(t), "SELECT 1 FROM artifact a WHERE a.id = $2 AND a.last_used = $3 AND " MAY_GO, &s,
		err, DB_I64(share_credentials), DB_I64(c->id), DB_I64(c->last_used_us));

	db_done(&s);
	if (rc != 1)
		return rc;
	rc = db_do(
		txn_db(t), "UPDATE content_artifact SET artifact_id = NULL WHERE artifact_id = $1", err, DB_I64(c->id));
	return rc < 0 ? rc : catalog_artifact_delete(t, c->id, err);
}
