/* A change from begin to finish or abort. Each step is a transaction of about a thousand rows, because the other
 * processes of the host wait for it; what has been written so far carries the number of an incomplete version, which
 * nobody serves.
 *
 * Killed at any instant: before the transaction in complete() the incomplete version is swept by the next change or
 * start, after it the version is there. Only retention may be late, and the next change makes up for that. */
#include "catalog/change_priv.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "catalog/repository.h"
#include "catalog/task_lock.h"
#include "catalog/version.h"

#include <stdlib.h>

#define BATCH 1000
#define LOOK 5000 /* rows that are only looked at */

static void change_free(struct change *ch)
{
	buf_fini(&ch->clean_dir);
	buf_fini(&ch->below_from);
	buf_fini(&ch->below_to);
	free(ch->states);
	free(ch->marks);
	known_free(&ch->known);
	idset_fini(&ch->declared);
	idset_fini(&ch->partial);
	idset_fini(&ch->made);
	idset_fini(&ch->kept);
	idset_fini(&ch->removed);
	idset_fini(&ch->artifacts);
	free(ch);
}

int change_mark(struct change *ch, struct idset *set, int64_t id, bool add, struct err *err)
{
	bool had = idset_has(set, id);

	if (had == add)
		return 0;
	if (ch->mark_count == ch->mark_cap) {
		size_t cap = ch->mark_cap > 0 ? 2 * ch->mark_cap : 64;
		struct change_mark *more = realloc(ch->marks, cap * sizeof(*more));

		if (more == NULL)
			return err_set(err, -ERR_NOMEM, "no memory for a change");
		ch->marks = more;
		ch->mark_cap = cap;
	}
	if (add && idset_add(set, id) < 0)
		return err_set(err, -ERR_NOMEM, "no memory for a change");
	if (!add)
		idset_remove(set, id);
	ch->marks[ch->mark_count++] = (struct change_mark){set, id, add};
	return 0;
}

void change_marks_end(struct change *ch, bool committed)
{
	while (!committed && ch->mark_count > 0) {
		const struct change_mark *m = &ch->marks[--ch->mark_count];

		if (m->added)
			idset_remove(m->set, m->id);
		else
			(void)idset_add(m->set, m->id); /* its chunk is there */
	}
	ch->mark_count = 0;
}

/* Commits if rc is 0, else rolls back. */
static int end(struct txn **pt, int rc, struct err *err)
{
	if (rc == 0)
		return txn_commit(pt, err);
	txn_end(pt);
	return rc;
}

/* Column 0 of up to `max` rows. */
static int read_ids(struct db_stmt *s, int64_t *ids, size_t max, size_t *count, struct err *err)
{
	size_t n = 0;
	int rc = 0;

	while (n < max && (rc = db_step(s, err)) == 1)
		ids[n++] = db_col_i64(s, 0);
	db_done(&s);
	*count = n;
	return rc < 0 ? rc : 0;
}

/* --- begin --- */

static int begin_version(struct txn *t, struct change *ch, struct err *err)
{
	struct db *db = txn_db(t);
	struct db_stmt *s;
	int64_t base_id = 0, latest = -1, latest_created_us = 0;
	int rc;

	rc = db_first(db, "SELECT next_version FROM repository WHERE id = $1", &s, err, DB_I64(ch->opts.repository_id));
	if (rc <= 0)
		return rc < 0 ? rc : err_set(err, -ERR_NOTFOUND, "no such repository");
	ch->number = db_col_i64(s, 0);
	db_done(&s);
	rc = db_first(db,
		"SELECT number, created FROM repository_version WHERE repository_id = $1 AND complete = 1 ORDER BY "
		"number DESC LIMIT 1",
		&s, err, DB_I64(ch->opts.repository_id));
	if (rc == 1) {
		latest = db_col_i64(s, 0);
		latest_created_us = db_col_i64(s, 1);
	}
	db_done(&s);
	if (rc >= 0 && ch->opts.base_number >= 0) {
		rc = db_first(db,
			"SELECT id FROM repository_version WHERE repository_id = $1 AND number = $2 AND complete = 1",
			&s, err, DB_I64(ch->opts.repository_id), DB_I64(ch->opts.base_number));
		if (rc == 0)
			return err_set(err, -ERR_NOTFOUND, "the repository has no version %lld",
				(long long)ch->opts.base_number);
		base_id = rc == 1 ? db_col_i64(s, 0) : 0;
		db_done(&s);
	}
	if (rc >= 0)
		rc = txn_created_us(
			t, "SELECT created FROM repository_version ORDER BY id DESC LIMIT 1", &ch->created_us, err);
	if (rc < 0)
		return rc;
	/* It is the Last-Modified of what comes in, which has seconds: what takes a path over must not have the same as what was there. */
	if (latest > 0)
		ch->created_us = MAX(ch->created_us, latest_created_us + US_PER_S);
	ch->since = latest + 1;
	ch->uuid = uuid_v7();
	rc = db_do(db,
		"INSERT INTO repository_version (uuid, repository_id, number, since, complete, created, updated, "
		"base_version_id) "
		"VALUES ($1, $2, $3, $4, 0, $5, $5, $6)",
		err, DB_UUID(&ch->uuid), DB_I64(ch->opts.repository_id), DB_I64(ch->number), DB_I64(ch->since),
		DB_I64(ch->created_us), DB_ID_OR_NULL(base_id));
	if (rc == 0)
		ch->version_id = db_last_id(db);
	return rc;
}

/* One batch towards the content of the base version. `add`: what it has and the latest one lacks; else the reverse. */
static int align_batch(struct change *ch, bool add, int64_t *after, size_t *count, struct err *err)
{
	int64_t ids[BATCH];
	struct db_stmt *s;
	struct txn *t;
	int rc = catalog_write(ch->c, &t, err);

	*count = 0;
	if (rc < 0)
		return rc;
	if (add)
		rc = db_rows(txn_db(t),
			"SELECT content_id FROM repository_content b WHERE repository_id = $1 AND content_id > $2 "
			"AND version_added <= $3 AND version_removed > $3 AND NOT EXISTS (SELECT 1 FROM "
			"repository_content x "
			"WHERE x.repository_id = $1 AND x.content_id = b.content_id AND x.version_removed IS NULL) "
			"ORDER BY content_id LIMIT $4",
			&s, err, DB_I64(ch->opts.repository_id), DB_I64(*after), DB_I64(ch->opts.base_number),
			DB_I64(BATCH));
	else
		rc = db_rows(txn_db(t),
			"SELECT content_id FROM repository_content l WHERE repository_id = $1 AND content_id > $2 "
			"AND version_removed IS NULL AND version_added > $3 AND NOT EXISTS (SELECT 1 FROM "
			"repository_content x "
			"WHERE x.repository_id = $1 AND x.content_id = l.content_id AND x.version_added <= $3 "
			"AND (x.version_removed IS NULL OR x.version_removed > $3)) ORDER BY content_id LIMIT $4",
			&s, err, DB_I64(ch->opts.repository_id), DB_I64(*after), DB_I64(ch->opts.base_number),
			DB_I64(BATCH));
	if (rc == 0)
		rc = read_ids(s, ids, BATCH, count, err);
	for (size_t i = 0; i < *count && rc == 0; i++) {
		rc = add ? member_add(txn_db(t), ch, ids[i], MEMBER_ABSENT, err)
			 : member_remove(txn_db(t), ch, ids[i], err);
		*after = ids[i];
	}
	return end(&t, rc, err);
}

static int align_to_base(struct change *ch, struct err *err)
{
	int rc = 0;

	for (int add = 0; add <= 1; add++) {
		int64_t after = 0;
		size_t count = BATCH;

		while (rc == 0 && count == BATCH)
			rc = align_batch(ch, add, &after, &count, err);
	}
	return rc;
}

int change_begin(struct catalog *c, const struct change_opts *opts, struct change **out, struct err *err)
{
	struct change *ch = NULL;
	struct txn *t = NULL;
	int rc = change_sweep(c, opts->repository_id, err);

	if (rc < 0)
		return rc;
	ch = calloc(1, sizeof(*ch));
	if (ch == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for a change");
	ch->c = c;
	ch->opts = *opts;
	rc = catalog_write(c, &t, err);
	if (rc < 0)
		goto out;
	rc = begin_version(t, ch, err);
	rc = end(&t, rc, err);
	if (rc < 0)
		goto out;
	if (opts->base_number >= 0 && opts->base_number != ch->since - 1)
		rc = align_to_base(ch, err);
	if (rc < 0)
		change_abort(&ch);
	else
		*out = TAKE(ch);
out:
	if (ch != NULL)
		change_free(ch);
	return rc;
}

/* --- single units --- */

static int remove_unit(struct db *db, struct change *ch, int64_t content_id, struct err *err)
{
	int rc = member_remove(db, ch, content_id, err);

	return rc < 0 ? rc : change_mark(ch, &ch->declared, content_id, false, err);
}

static int add_unit(struct db *db, struct change *ch, int64_t content_id, struct err *err)
{
	enum membership was;
	struct db_stmt *s;
	int rc = db_first(db, "SELECT 1 FROM content WHERE id = $1", &s, err, DB_I64(content_id));

	db_done(&s);
	if (rc == 0)
		return err_set(err, -ERR_NOTFOUND, "no content with the number %lld", (long long)content_id);
	if (rc > 0)
		rc = member_state(db, ch, content_id, &was, err);
	if (rc == 0)
		rc = member_declare(ch, content_id, false, false, err);
	if (rc == 0 && was != MEMBER_PRESENT)
		rc = member_add(db, ch, content_id, was, err);
	return rc;
}

/* Any number of units, in batches. */
static int for_units(struct change *ch, const int64_t *ids, size_t count,
	int (*fn)(struct db *db, struct change *ch, int64_t content_id, struct err *err), struct err *err)
{
	struct txn *t;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i += BATCH) {
		rc = catalog_write(ch->c, &t, err);
		if (rc < 0)
			break;
		for (size_t j = i; j < MIN(count, i + BATCH) && rc == 0; j++)
			rc = fn(txn_db(t), ch, ids[j], err);
		rc = end(&t, rc, err);
		change_marks_end(ch, rc == 0);
	}
	if (rc < 0)
		buf_reset(&ch->clean_dir);
	return rc;
}

int64_t change_number(const struct change *ch)
{
	return ch->number;
}

int change_remove(struct change *ch, const int64_t *content_ids, size_t count, struct err *err)
{
	return for_units(ch, content_ids, count, remove_unit, err);
}

int change_add(struct change *ch, const int64_t *content_ids, size_t count, struct err *err)
{
	return for_units(ch, content_ids, count, add_unit, err);
}

int change_remove_all(struct change *ch, struct err *err)
{
	int64_t ids[BATCH], after = 0;
	struct db_stmt *s;
	struct txn *t;
	size_t count;
	int rc;

	do {
		rc = catalog_read(ch->c, &t, err);
		if (rc < 0)
			return rc;
		count = 0;
		rc = db_rows(txn_db(t),
			"SELECT content_id FROM repository_content WHERE repository_id = $1 AND content_id > $2 "
			"AND version_removed IS NULL ORDER BY content_id LIMIT $3",
			&s, err, DB_I64(ch->opts.repository_id), DB_I64(after), DB_I64(BATCH));
		if (rc == 0)
			rc = read_ids(s, ids, BATCH, &count, err);
		txn_end(&t);
		if (rc == 0)
			rc = change_remove(ch, ids, count, err);
		after = count > 0 ? ids[count - 1] : after;
	} while (rc == 0 && count == BATCH);
	return rc;
}

/* --- what is to be downloaded --- */

void change_missing_fini(struct change_missing *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(TAKE(rows[i].url));
}

/* Those of one unit. */
static int missing_of(struct db *db, struct change *ch, struct change_missing_at *at, struct change_missing *rows,
	size_t max, size_t *count, struct err *err)
{
	bool all = idset_has(&ch->kept, at->content_id), failed = false;
	struct db_stmt *s;
	int rc = db_rows(db,
		"SELECT ca.id, ra.id, ra.size, ra.url, " DIGEST_COLUMNS(
			"ra.") " FROM content_artifact ca JOIN remote_artifact ra ON ra.content_artifact_id = ca.id "
			       "AND ra.remote_id = $1 WHERE ca.content_id = $2 AND ca.id > $3 AND ca.artifact_id IS "
			       "NULL ORDER BY ca.id",
		&s, err, DB_I64(ch->opts.remote_id), DB_I64(at->content_id), DB_I64(at->content_artifact_id));

	while (rc >= 0 && *count < max && (rc = db_step(s, err)) == 1) {
		struct change_missing *m = &rows[*count];

		at->content_artifact_id = db_col_i64(s, 0);
		if (!all && !idset_has(&ch->artifacts, at->content_artifact_id))
			continue;
		*m = (struct change_missing){.content_artifact_id = at->content_artifact_id,
			.remote_artifact_id = db_col_i64(s, 1),
			.size = col_size(s, 2),
			.url = col_dup(s, 3, &failed)};
		col_digests(s, 4, &m->digests);
		if (failed)
			rc = err_set(err, -ERR_NOMEM, "no memory for a download");
		else
			(*count)++;
	}
	db_done(&s);
	return rc < 0 ? rc : 0;
}

static int missing_piece(struct change *ch, struct change_missing_at *at, struct change_missing *rows, size_t max,
	size_t *count, bool *more, struct err *err)
{
	struct txn *t;
	int rc = catalog_read(ch->c, &t, err);

	if (rc < 0)
		return rc;
	for (int looked = 0; rc == 0 && *count < max && looked < LOOK; looked++) {
		if (!at->begun) {
			int64_t next = idset_next(&ch->declared, at->content_id);

			*more = next >= 0;
			if (!*more)
				break;
			*at = (struct change_missing_at){.content_id = next};
		}
		rc = missing_of(txn_db(t), ch, at, rows, max, count, err);
		at->begun = *count == max; /* else it was the last of them */
	}
	txn_end(&t);
	return rc;
}

int change_missing_next(struct change *ch, struct change_missing_at *at, struct change_missing *rows, size_t max,
	size_t *count, struct err *err)
{
	bool more = true;
	size_t n = 0;
	int rc = 0;

	while (rc == 0 && more && n < max)
		rc = missing_piece(ch, at, rows, max, &n, &more, err);
	if (rc < 0) {
		change_missing_fini(rows, n);
		return rc;
	}
	*count = n;
	return 0;
}

/* --- finish --- */

/* A remote's offer that is not one any more. Clients may still have metadata that names the file, and upstream as a rule still has it: so the
 * offer stays for as long as superseded publications are answered. But not when the same URL is that of the file which has taken its path:
 * what is there now is something else. */
static int offer_leaves(struct db *db, const struct change *ch, int64_t remote_artifact_id, struct err *err)
{
	static const char overtaken[] =
		"SELECT 1 FROM remote_artifact ra JOIN content_artifact ca ON ca.id = ra.content_artifact_id "
		"JOIN repository_path rp ON rp.repository_id = $2 AND rp.relative_path = ca.relative_path AND "
		"rp.version_removed IS NULL AND rp.content_artifact_id <> ca.id "
		"JOIN remote_artifact o ON o.content_artifact_id = rp.content_artifact_id AND o.remote_id = "
		"ra.remote_id "
		"WHERE ra.id = $1 AND o.url = ra.url";
	struct db_stmt *s = NULL;
	int rc = catalog_window_began_us(ch->c) == 0
			 ? 1
			 : db_first(db, overtaken, &s, err, DB_I64(remote_artifact_id), DB_I64(ch->opts.repository_id));

	db_done(&s);
	if (rc < 0)
		return rc;
	if (rc == 1)
		return db_do(db, "DELETE FROM remote_artifact WHERE id = $1", err, DB_I64(remote_artifact_id));
	return db_do(db, "UPDATE remote_artifact SET dropped_at = $1 WHERE id = $2 AND dropped_at IS NULL", err,
		DB_I64(clock_wall_us()), DB_I64(remote_artifact_id));
}

static int drop_remote_artifacts(struct db *db, struct change *ch, int64_t content_id, struct err *err)
{
	struct {
		int64_t id, content_artifact_id;
	} offers[BATCH];
	int64_t after = 0;
	size_t n = BATCH;
	struct db_stmt *s;
	int rc = 0;

	while (rc == 0 && n == BATCH) {
		rc = db_rows(db,
			"SELECT ra.id, ca.id FROM content_artifact ca JOIN remote_artifact ra ON "
			"ra.content_artifact_id = ca.id "
			"AND ra.remote_id = $1 WHERE ca.content_id = $2 AND ca.id > $3 ORDER BY ca.id LIMIT $4",
			&s, err, DB_I64(ch->opts.remote_id), DB_I64(content_id), DB_I64(after), DB_I64(BATCH));
		for (n = 0; rc >= 0 && n < BATCH && (rc = db_step(s, err)) == 1; n++) {
			offers[n].id = db_col_i64(s, 0);
			offers[n].content_artifact_id = after = db_col_i64(s, 1);
		}
		db_done(&s);
		rc = MIN(rc, 0);
		for (size_t i = 0; i < n && rc == 0; i++)
			if (!idset_has(&ch->artifacts, offers[i].content_artifact_id))
				rc = offer_leaves(db, ch, offers[i].id, err);
	}
	return rc;
}

/* Units of the repository that were not declared. Mirrors let them go. Of what leaves the repository the remote's offers go too, in the end; what stays keeps them,
 * because upstream may well serve still what it does not list any more. */
static int settle_piece(struct change *ch, int64_t *after, bool *more, struct err *err)
{
	struct {
		int64_t id;
		bool remove, drop;
	} todo[BATCH];
	size_t n = 0;
	int looked = 0, rc;
	struct db_stmt *s;
	struct txn *t;

	rc = catalog_write(ch->c, &t, err);
	if (rc < 0)
		return rc;
	rc = db_rows(txn_db(t),
		"SELECT content_id, version_removed FROM repository_content WHERE repository_id = $1 AND content_id > "
		"$2 "
		"AND (version_removed IS NULL OR version_removed = $3) ORDER BY content_id LIMIT $4",
		&s, err, DB_I64(ch->opts.repository_id), DB_I64(*after), DB_I64(ch->number), DB_I64(LOOK));
	if (rc < 0)
		goto out;
	while (n < BATCH && (rc = db_step(s, err)) == 1) {
		bool declared, present = db_col_null(s, 1);

		looked++;
		*after = db_col_i64(s, 0);
		declared = idset_has(&ch->declared, *after);
		if (declared && !idset_has(&ch->partial, *after))
			continue;
		todo[n].id = *after;
		todo[n].remove = ch->opts.mirror && present && !declared;
		/* Replaced, let go, or declared with fewer artifacts than it has. */
		todo[n].drop = todo[n].remove || !present || declared;
		n++;
	}
	db_done(&s);
	*more = looked == LOOK || n == BATCH;
	for (size_t i = 0; i < n && rc >= 0; i++) {
		if (todo[i].remove)
			rc = member_remove(txn_db(t), ch, todo[i].id, err);
		if (rc >= 0 && ch->opts.remote_id != 0 && todo[i].drop)
			rc = drop_remote_artifacts(txn_db(t), ch, todo[i].id, err);
	}
out:
	return end(&t, rc < 0 ? rc : 0, err);
}

static int count_rows(struct db *db, const struct change *ch, int64_t *added, int64_t *removed, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(db, "SELECT COUNT(*) FROM repository_content WHERE repository_id = $1 AND version_added = $2",
		&s, err, DB_I64(ch->opts.repository_id), DB_I64(ch->number));

	*added = rc == 1 ? db_col_i64(s, 0) : 0;
	db_done(&s);
	if (rc < 0)
		return rc;
	rc = db_first(db, "SELECT COUNT(*) FROM repository_content WHERE repository_id = $1 AND version_removed = $2",
		&s, err, DB_I64(ch->opts.repository_id), DB_I64(ch->number));
	*removed = rc == 1 ? db_col_i64(s, 0) : 0;
	db_done(&s);
	return rc < 0 ? rc : 0;
}

/* What it is going to be. *latest: the version before; id 0: none. */
static int look_ahead(
	struct txn *t, struct change *ch, struct change_result *out, struct version_row *latest, struct err *err)
{
	int rc;

	*latest = (struct version_row){.id = 0};
	*out = (struct change_result){.version_id = ch->version_id, .number = ch->number, .uuid = ch->uuid};
	rc = catalog_version_latest(t, ch->opts.repository_id, latest, err);
	if (rc == -ERR_NOTFOUND) /* not made by catalog_repository_create: its first version is never left out */
		out->changed = true;
	else if (rc < 0)
		return rc;
	rc = count_rows(txn_db(t), ch, &out->added, &out->removed, err);
	out->changed |= out->added > 0 || out->removed > 0;
	out->present = latest->present + out->added - out->removed;
	return rc;
}

/* The one transaction that makes the version real, or lets it go when it is as the one before. */
static int complete_in(struct txn *t, struct change *ch, struct change_result *out, struct err *err)
{
	struct version_row latest;
	struct db *db = txn_db(t);
	int rc = look_ahead(t, ch, out, &latest, err);

	if (rc < 0)
		return rc;
	if (out->changed) {
		rc = db_do(db,
			"UPDATE repository_version SET complete = 1, added = $1, removed = $2, present = $3, updated = "
			"$4 "
			"WHERE id = $5",
			err, DB_I64(out->added), DB_I64(out->removed), DB_I64(out->present), DB_I64(clock_wall_us()),
			DB_I64(ch->version_id));
		if (rc == 0)
			rc = db_do(db, "UPDATE repository SET next_version = $1 WHERE id = $2", err,
				DB_I64(ch->number + 1), DB_I64(ch->opts.repository_id));
	} else {
		out->version_id = latest.id;
		out->number = latest.number;
		out->uuid = latest.uuid;
		rc = db_do(db, "DELETE FROM repository_version WHERE id = $1", err, DB_I64(ch->version_id));
	}
	if (rc == 0 && ch->opts.remote_id != 0)
		rc = db_do(db,
			"INSERT INTO repository_remote (repository_id, remote_id) VALUES ($1, $2) "
			"ON CONFLICT (repository_id, remote_id) DO NOTHING",
			err, DB_I64(ch->opts.repository_id), DB_I64(ch->opts.remote_id));
	txn_changes_service(t);
	return rc;
}

static int settle(struct change *ch, struct err *err)
{
	bool more = !ch->settled && (ch->opts.mirror || ch->opts.remote_id != 0);
	int64_t after = 0;
	int rc = 0;

	while (rc == 0 && more)
		rc = settle_piece(ch, &after, &more, err);
	ch->settled = rc == 0;
	return rc;
}

int change_settle(struct change *ch, struct change_result *out, struct err *err)
{
	struct version_row latest;
	struct txn *t = NULL;
	int rc = settle(ch, err);

	if (rc == 0)
		rc = catalog_read(ch->c, &t, err);
	if (rc == 0)
		rc = look_ahead(t, ch, out, &latest, err);
	txn_end(&t);
	return rc;
}

int change_finish(struct change **pch, struct change_result *out, struct err *err)
{
	return change_finish_with(pch, NULL, NULL, out, err);
}

int change_finish_with(struct change **pch, int (*also)(struct txn *t, void *arg, struct err *err), void *arg,
	struct change_result *out, struct err *err)
{
	struct change_result result = {.changed = false};
	struct change *ch = *pch;
	struct txn *t = NULL;
	int rc = settle(ch, err);

	if (rc == 0)
		rc = catalog_write(ch->c, &t, err);
	if (rc == 0) {
		rc = complete_in(t, ch, &result, err);
		if (rc == 0 && result.changed && also != NULL)
			rc = also(t, arg, err);
		rc = end(&t, rc, err);
	}
	if (rc < 0) {
		change_abort(pch);
		return rc;
	}
	if (result.changed)
		version_retain(ch->c, ch->opts.repository_id);
	change_free(TAKE(*pch));
	*out = result;
	return 0;
}

/* --- undoing --- */

static int undo(struct catalog *c, int64_t repository_id, int64_t number, struct err *err)
{
	struct txn *t;
	int rc = 0, committed;

	while (rc == 0) {
		rc = catalog_write(c, &t, err);
		if (rc < 0)
			break;
		rc = version_undo(txn_db(t), repository_id, number, BATCH, err);
		committed = end(&t, rc < 0 ? rc : 0, err);
		rc = committed < 0 ? committed : rc;
	}
	return rc < 0 ? rc : 0;
}

/* A batch of the units that this change made, as far as nobody else has them: another change may have declared one, and the
 * same transaction that looks takes it away. A row of repository_path has its unit's in repository_content. */
static int forget_piece(struct change *ch, int64_t *after, size_t *count, struct err *err)
{
	struct txn *t;
	int64_t id;
	int rc = catalog_write(ch->c, &t, err);

	*count = 0;
	if (rc < 0)
		return rc;
	while (rc == 0 && *count < BATCH && (id = idset_next(&ch->made, *after)) >= 0) {
		*after = id;
		(*count)++;
		rc = db_do(txn_db(t),
			"DELETE FROM content WHERE id = $1 "
			"AND NOT EXISTS (SELECT 1 FROM repository_content x WHERE x.content_id = $1) "
			"AND NOT EXISTS (SELECT 1 FROM published_artifact x JOIN content_artifact ca "
			"ON ca.id = x.content_artifact_id WHERE ca.content_id = $1)",
			err, DB_I64(id));
	}
	return end(&t, rc, err);
}

static void forget_units(struct change *ch)
{
	struct err err = ERR_INIT;
	int64_t after = 0;
	size_t count;
	int rc;

	do
		rc = forget_piece(ch, &after, &count, &err);
	while (rc == 0 && count == BATCH);
	if (rc < 0)
		log_warn("catalog", "ignoring that units of an undone change stay until orphans are cleaned up: %s",
			err.msg);
}

void change_abort(struct change **pch)
{
	struct change *ch = TAKE(*pch);
	struct err err = ERR_INIT;

	if (ch == NULL)
		return;
	if (undo(ch->c, ch->opts.repository_id, ch->number, &err) < 0)
		log_warn("catalog",
			"ignoring that version %lld of repository %lld cannot be undone now, it is swept later: %s",
			(long long)ch->number, (long long)ch->opts.repository_id, err.msg);
	else
		forget_units(ch);
	change_free(ch);
}

/* The next version in the making after *id that is to be swept. 1, 0 or negative. */
static int next_to_sweep(
	struct catalog *c, int64_t repository_id, int64_t *id, int64_t *of_repository, int64_t *number, struct err *err)
{
	struct uuid uuid;
	struct db_stmt *s;
	struct txn *t;
	int rc = catalog_read(c, &t, err), busy = 1;

	if (rc < 0)
		return rc;
	while (busy == 1) {
		rc = db_first(txn_db(t),
			"SELECT v.id, v.repository_id, v.number, r.uuid FROM repository_version v "
			"JOIN repository r ON r.id = v.repository_id WHERE v.complete = 0 AND v.id > $1 "
			"AND (v.repository_id = $2 OR $2 = 0) ORDER BY v.id LIMIT 1",
			&s, err, DB_I64(*id), DB_I64(repository_id));
		if (rc <= 0)
			break;
		*id = db_col_i64(s, 0);
		*of_repository = db_col_i64(s, 1);
		*number = db_col_i64(s, 2);
		col_uuid(s, 3, &uuid);
		db_done(&s);
		/* Another host's task may work on it: ours are dead at start. */
		busy = repository_id != 0 ? 0 : task_lock_is_running(txn_db(t), &uuid, true, err);
		rc = busy < 0 ? busy : 1;
	}
	txn_end(&t);
	return rc;
}

int change_sweep(struct catalog *c, int64_t repository_id, struct err *err)
{
	int64_t id = 0, of_repository, number;
	int rc;

	while ((rc = next_to_sweep(c, repository_id, &id, &of_repository, &number, err)) == 1) {
		rc = undo(c, of_repository, number, err);
		if (rc < 0)
			break;
		log_info("catalog", "undid version %lld of repository %lld, which was never completed",
			(long long)number, (long long)of_repository);
	}
	return rc;
}
