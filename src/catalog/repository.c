/* Repositories, and what the versions of one hold. No state of its own. */
#include "catalog/repository.h"

#include "base/check.h"
#include "base/clock.h"
#include "catalog/catalog_priv.h"

#include <stdlib.h>

void repository_row_free(struct repository_row **pr)
{
	struct repository_row *r = TAKE(*pr);

	if (r == NULL)
		return;
	free(r->type);
	free(r->name);
	free(r->last_sync_details);
	free(r->extra);
	free(r);
}

#define REPOSITORY_SELECT                                                                                              \
	"SELECT id, uuid, type, name, remote_id, autopublish, retain_repo_versions, next_version, last_sync_details, " \
	"extra FROM repository "

static int read_one(struct db_stmt *s, int rc, struct repository_row **out, struct err *err)
{
	struct repository_row *r;
	bool failed;

	if (rc == 0)
		return err_set(err, -ERR_NOTFOUND, "no such repository");
	if (rc < 0)
		return rc;
	r = calloc(1, sizeof(*r));
	failed = r == NULL;
	if (r != NULL) {
		r->id = db_col_i64(s, 0);
		col_uuid(s, 1, &r->uuid);
		r->type = col_dup(s, 2, &failed);
		r->name = col_dup(s, 3, &failed);
		r->remote_id = db_col_i64(s, 4);
		r->autopublish = db_col_i64(s, 5) != 0;
		r->retain_repo_versions = db_col_i64(s, 6);
		r->next_version = db_col_i64(s, 7);
		r->last_sync_details = col_dup(s, 8, &failed);
		r->extra = col_dup(s, 9, &failed);
	}
	db_done(&s);
	if (failed) {
		repository_row_free(&r);
		return err_set(err, -ERR_NOMEM, "no memory for a repository");
	}
	*out = r;
	return 0;
}

int catalog_repository_by_uuid(struct txn *t, const struct uuid *u, struct repository_row **out, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(txn_db(t), REPOSITORY_SELECT "WHERE uuid = $1", &s, err, DB_UUID(u));

	return read_one(s, rc, out, err);
}

int catalog_repository_by_id(struct txn *t, int64_t id, struct repository_row **out, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(txn_db(t), REPOSITORY_SELECT "WHERE id = $1", &s, err, DB_I64(id));

	return read_one(s, rc, out, err);
}

int catalog_repository_create(
	struct txn *t, const char *type, const char *name, int64_t *id, struct uuid *uuid, struct err *err)
{
	struct uuid u = uuid_v7(), version_uuid = uuid_v7();
	struct db *db = txn_db(t);
	int64_t now, version_now, new_id;
	int rc = txn_created_us(t, "SELECT created FROM repository ORDER BY id DESC LIMIT 1", &now, err);

	if (rc == 0)
		rc = db_do(db,
			"INSERT INTO repository (uuid, type, name, created, updated, next_version) VALUES ($1, $2, $3, "
			"$4, $4, 1)",
			err, DB_UUID(&u), DB_STR(type), DB_STR(name), DB_I64(now));
	if (rc < 0)
		return rc;
	new_id = db_last_id(db);
	rc = txn_created_us(t, "SELECT created FROM repository_version ORDER BY id DESC LIMIT 1", &version_now, err);
	if (rc == 0)
		rc = db_do(db,
			"INSERT INTO repository_version (uuid, repository_id, number, since, complete, created, "
			"updated) "
			"VALUES ($1, $2, 0, 0, 1, $3, $3)",
			err, DB_UUID(&version_uuid), DB_I64(new_id), DB_I64(version_now));
	if (rc < 0)
		return rc;
	*id = new_id;
	*uuid = u;
	return 0;
}

int catalog_repository_set_sync_details(struct txn *t, int64_t id, struct slice json, struct err *err)
{
	int rc = db_do(txn_db(t), "UPDATE repository SET last_sync_details = $1 WHERE id = $2", err,
		DB_TEXT(json.n > 0 ? json : SLICE("{}")), DB_I64(id));

	return rc < 0 ? rc : expect_row(db_changes(txn_db(t)), "such repository", err);
}

static int count_types(
	struct db *db, const char *sql, int64_t version_id, const char *name, json_t *out, struct err *err)
{
	json_t *counts = json_object();
	struct db_stmt *s;
	int rc = json_object_set_new(out, name, counts) == 0
			 ? db_rows(db, sql, &s, err, DB_I64(version_id))
			 : err_set(err, -ERR_NOMEM, "no memory for the counts of a version");

	if (rc < 0)
		return rc;
	while ((rc = db_step(s, err)) == 1) {
		char *type = slice_dup(db_col_text(s, 0));

		if (type == NULL || json_object_set_new(counts, type, json_integer(db_col_i64(s, 1))) != 0)
			rc = err_set(err, -ERR_NOMEM, "no memory for the counts of a version");
		free(type);
		if (rc < 0)
			break;
	}
	db_done(&s);
	return rc;
}

#define COUNT_TYPES(condition)                                                             \
	"SELECT c.type, COUNT(*) FROM repository_version v JOIN repository_content rc ON " \
	"rc.repository_id = v.repository_id AND " condition                                \
	" JOIN content c ON c.id = rc.content_id WHERE v.id = $1 GROUP BY c.type ORDER BY c.type"

int catalog_version_counts(struct txn *t, int64_t version_id, json_t **out, struct err *err)
{
	json_t *all = json_object();
	struct db *db = txn_db(t);
	int rc;

	if (all == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for the counts of a version");
	rc = count_types(db,
		COUNT_TYPES("rc.version_added <= v.number AND (rc.version_removed IS NULL OR rc.version_removed > "
			    "v.number)"),
		version_id, "present", all, err);
	if (rc == 0)
		rc = count_types(db, COUNT_TYPES("rc.version_added BETWEEN v.since AND v.number"), version_id, "added",
			all, err);
	if (rc == 0)
		rc = count_types(db, COUNT_TYPES("rc.version_removed BETWEEN v.since AND v.number"), version_id,
			"removed", all, err);
	if (rc < 0)
		json_decref(all);
	else
		*out = all;
	return rc;
}

/* What a remote declares counts, and only without any (an upload) what is saved: metadata must not change when a file
 * is saved. */
#define DECLARED                                                                            \
	"(SELECT x.id FROM remote_artifact x WHERE x.content_artifact_id = ca.id ORDER BY " \
	"CASE WHEN x.sha256 IS NULL THEN 1 ELSE 0 END, x.id LIMIT 1)"

int catalog_version_files_each(struct txn *t, int64_t repository_id, int64_t number,
	int (*fn)(void *arg, const struct unit_file *f), void *arg, struct err *err)
{
	struct digests digests;
	struct db_stmt *s;
	int rc = db_rows(txn_db(t),
		"SELECT rc.content_id, ca.relative_path, c.extra, ra.size, " DIGEST_COLUMNS(
			"ra.") ", a.size, " DIGEST_COLUMNS("a.") ", ca.id, c.type, c.natural_key, cd.data "
								 "FROM repository_content rc JOIN content c ON c.id = "
								 "rc.content_id "
								 "JOIN content_artifact ca ON ca.content_id = "
								 "rc.content_id LEFT JOIN artifact a ON a.id = "
								 "ca.artifact_id "
								 "LEFT JOIN content_detail cd ON cd.content_id = "
								 "rc.content_id LEFT JOIN remote_artifact ra ON ra.id "
								 "= " DECLARED
								 " WHERE rc.repository_id = $1 AND rc.version_added <= "
								 "$2 "
								 "AND (rc.version_removed IS NULL OR "
								 "rc.version_removed > $2) ORDER BY rc.content_id "
								 "DESC, ca.relative_path",
		&s, err, DB_I64(repository_id), DB_I64(number));

	if (rc < 0)
		return rc;
	while ((rc = db_step(s, err)) == 1) {
		struct unit_file f = {.content_id = db_col_i64(s, 0),
			.relative_path = db_col_text(s, 1),
			.extra = db_col_text(s, 2),
			.digests = &digests,
			.size = col_size(s, 3),
			.content_artifact_id = db_col_i64(s, 5 + 2 * DIGEST_COUNT),
			.type = db_col_text(s, 6 + 2 * DIGEST_COUNT),
			.natural_key = db_col_text(s, 7 + 2 * DIGEST_COUNT),
			.detail = db_col_blob(s, 8 + 2 * DIGEST_COUNT)};

		col_digests(s, 4, &digests);
		if (digests.have == 0)
			col_digests(s, 5 + DIGEST_COUNT, &digests);
		if (f.size < 0)
			f.size = col_size(s, 4 + DIGEST_COUNT);
		rc = fn(arg, &f);
		if (rc != 0)
			break;
	}
	db_done(&s);
	return rc;
}

int catalog_version_missing_count(struct txn *t, int64_t repository_id, int64_t number, int64_t *count, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(txn_db(t),
		"SELECT COUNT(*) FROM repository_content rc JOIN content_artifact ca ON ca.content_id = rc.content_id "
		"WHERE rc.repository_id = $1 AND rc.version_added <= $2 "
		"AND (rc.version_removed IS NULL OR rc.version_removed > $2) AND ca.artifact_id IS NULL",
		&s, err, DB_I64(repository_id), DB_I64(number));

	if (rc == 1)
		*count = db_col_i64(s, 0);
	db_done(&s);
	return rc < 0 ? rc : 0;
}

int catalog_artifact_orphans(struct txn *t, int64_t older_than_us, int64_t after_id, int64_t *ids,
	uint8_t (*sha256)[32], size_t max, size_t *count, struct err *err)
{
	struct db_stmt *s;
	size_t n = 0;
	int rc = db_rows(txn_db(t),
		"SELECT id, sha256 FROM artifact a WHERE id > $1 AND created < $2 "
		"AND NOT EXISTS (SELECT 1 FROM content_artifact x WHERE x.artifact_id = a.id) "
		"AND NOT EXISTS (SELECT 1 FROM published_artifact x WHERE x.artifact_id = a.id) ORDER BY id LIMIT $3",
		&s, err, DB_I64(after_id), DB_I64(older_than_us), DB_I64((int64_t)max));

	if (rc < 0)
		return rc;
	while (n < max && (rc = db_step(s, err)) == 1) {
		struct slice d = db_col_blob(s, 1);

		if (d.n != 32) {
			rc = err_set(err, -ERR_DB, "artifact %lld has no sha256", (long long)db_col_i64(s, 0));
			break;
		}
		ids[n] = db_col_i64(s, 0);
		memcpy(sha256[n++], d.p, 32);
	}
	db_done(&s);
	if (rc < 0)
		return rc;
	*count = n;
	return 0;
}
