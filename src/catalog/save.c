/* See save.h. That there is one task for each (unit, path) is decided in the transaction that creates it, by the reservation that it makes. */
#include "catalog/save.h"

#include "base/check.h"
#include "base/url.h"
#include "catalog/catalog_priv.h"
#include "catalog/task.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

int save_front(const struct settings *s, struct buf *out, struct err *err)
{
	struct slice url = slice_str(s->lazy_save_url[0] != '\0' ? s->lazy_save_url : s->lazy_redirect_url);

	if (slice_starts(url, SLICE("//")))
		(void)buf_adds(out, "https:");
	else if (!slice_starts_nocase(url, SLICE("http://")) && !slice_starts_nocase(url, SLICE("https://")))
		return err_set(err, -ERR_NOTFOUND, "neither [lazy] save_url nor redirect_url says where to fetch from");
	return buf_add_slice(out, url) < 0 ? err_set(err, -ERR_NOMEM, "no memory for a URL") : 0;
}

int catalog_is_lazy(struct txn *t, int64_t content_artifact_id, struct err *err)
{
	struct db_stmt *s = NULL;
	int rc = db_first(txn_db(t),
		"SELECT 1 FROM remote_artifact ra JOIN remote r ON r.id = ra.remote_id "
		"WHERE ra.content_artifact_id = $1 AND r.policy IN ('on_demand', 'streamed') LIMIT 1",
		&s, err, DB_I64(content_artifact_id));

	db_done(&s);
	return rc;
}

/* Sorting them by what they say is not left to the database, which would make a table for it, and as a rule there is one. */
int catalog_declared(
	struct txn *t, int64_t content_artifact_id, struct digests *digests, int64_t *size, struct err *err)
{
	struct db_stmt *s;
	bool any = false;
	int rc = db_rows(txn_db(t),
		"SELECT size, " DIGEST_COLUMNS("") " FROM remote_artifact WHERE content_artifact_id = $1 ORDER BY id",
		&s, err, DB_I64(content_artifact_id));

	if (rc < 0)
		return rc;
	while ((rc = db_step(s, err)) == 1) {
		struct digests ds = {0};

		col_digests(s, 1, &ds);
		if (any && (ds.have & 1u << DIGEST_SHA256) == 0)
			continue;
		any = true;
		*size = col_size(s, 0);
		*digests = ds;
		if ((ds.have & 1u << DIGEST_SHA256) != 0)
			break;
	}
	db_done(&s);
	return MIN(rc, 0);
}

/* "lazy-save:UNIT:PATH" of what an on_demand remote offers: 1, 0 or negative. */
static int resource_of(struct db *db, int64_t ca_id, bool lost, struct buf *out, struct err *err)
{
	struct db_stmt *s = NULL;
	char text[UUID_STR];
	struct uuid unit;
	int rc = db_first(db,
		"SELECT c.uuid, ca.relative_path FROM content_artifact ca JOIN content c ON c.id = ca.content_id "
		"WHERE ca.id = $1 AND (ca.artifact_id IS NULL OR $2 = 1) AND EXISTS (SELECT 1 FROM remote_artifact ra "
		"JOIN remote r ON r.id = ra.remote_id "
		"WHERE ra.content_artifact_id = ca.id AND r.policy = 'on_demand')",
		&s, err, DB_I64(ca_id), DB_I64(lost));

	if (rc == 1) {
		col_uuid(s, 0, &unit);
		(void)buf_addf(out, "lazy-save:%s:", uuid_str(&unit, text));
		(void)buf_add_slice(out, db_col_text(s, 1));
		if (out->failed != 0)
			rc = err_set(err, -ERR_NOMEM, "no memory for a reservation");
	}
	db_done(&s);
	return rc;
}

/* Does an unfinished task have it? */
static int is_reserved(struct db *db, const char *resource, struct err *err)
{
	struct db_stmt *s = NULL;
	int rc = db_first(
		db, "SELECT 1 FROM task_lock WHERE resource = $1 AND exclusive = 1 LIMIT 1", &s, err, DB_STR(resource));

	db_done(&s);
	return rc;
}

/* 1 and the resource, 0 or negative. */
static int wanted(struct db *db, int64_t ca_id, bool lost, struct buf *resource, struct err *err)
{
	int rc = resource_of(db, ca_id, lost, resource, err);

	if (rc <= 0)
		return rc;
	rc = is_reserved(db, resource->p, err);
	return rc < 0 ? rc : rc == 0;
}

int catalog_save_is_wanted(struct txn *t, int64_t content_artifact_id, bool lost, struct err *err)
{
	struct buf resource = BUF_INIT(0);
	int rc = wanted(txn_db(t), content_artifact_id, lost, &resource, err);

	buf_fini(&resource);
	return rc;
}

static int check_queue(struct db *db, int64_t max_waiting, struct err *err)
{
	struct db_stmt *s = NULL;
	int rc = db_first(db,
		"SELECT COUNT(*) FROM (SELECT 1 FROM task WHERE state = 'waiting' AND name = $1 LIMIT $2) x", &s, err,
		DB_STR(SAVE_TASK), DB_I64(max_waiting));

	if (rc == 1 && db_col_i64(s, 0) >= max_waiting)
		rc = err_set(err, -ERR_LIMIT, "%lld save tasks wait already", (long long)max_waiting);
	db_done(&s);
	return MIN(rc, 0);
}

static int create(struct txn *t, int64_t ca_id, struct slice target, const char *resource, struct err *err)
{
	const char *exclusive[] = {resource, NULL};
	struct task_new n = {.name = SAVE_TASK, .exclusive = exclusive};
	struct buf ascii = BUF_INIT(0);
	json_t *args = NULL;
	char *text = NULL;
	struct uuid uuid;
	int64_t id;
	int rc = url_encode(&ascii, target, "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}");

	if (rc == 0)
		args = json_pack("{s:I, s:s}", "content_artifact", (json_int_t)ca_id, "target", ascii.p);
	if (args != NULL)
		text = json_dumps(args, JSON_COMPACT);
	if (text != NULL) {
		n.args = slice_str(text);
		rc = catalog_task_create(t, &n, &id, &uuid, NULL, err);
	} else {
		rc = err_set(err, -ERR_NOMEM, "no memory for a task");
	}
	free(text);
	json_decref(args);
	buf_fini(&ascii);
	return rc;
}

int catalog_save_dispatch(struct txn *t, int64_t content_artifact_id, bool lost, struct slice target,
	int64_t max_waiting, struct err *err)
{
	struct buf resource = BUF_INIT(0);
	int rc = wanted(txn_db(t), content_artifact_id, lost, &resource, err);

	if (rc == 1) {
		rc = check_queue(txn_db(t), max_waiting, err);
		if (rc == 0)
			rc = create(t, content_artifact_id, target, resource.p, err);
		rc = rc < 0 ? rc : 1;
	}
	buf_fini(&resource);
	return rc;
}
