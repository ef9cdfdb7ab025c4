/* Batches of artifacts. While `busy` the pool owns `writing` (and rc, err, saved); everything else is the task's thread's. */
#include "sync/saving.h"

#include "base/check.h"
#include "base/clock.h"
#include "catalog/served.h"
#include "catalog/usage.h"

#include <stdlib.h>
#include <string.h>

int saving_init(
	struct saving *s, struct loop *loop, struct pool *pool, const struct sync_env *env, bool *wake, struct err *err)
{
	*s = (struct saving){.loop = loop,
		.pool = pool,
		.store = env->store,
		.catalog = env->catalog,
		.space = env->space,
		.room = space_make_room,
		.wake = wake};
	s->filling = calloc(1, sizeof(*s->filling));
	s->writing = calloc(1, sizeof(*s->writing));
	if (s->filling == NULL || s->writing == NULL) {
		saving_fini(s);
		return err_set(err, -ERR_NOMEM, "no memory for downloads");
	}
	return 0;
}

static void batch_reset(struct saving_batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		staging_drop(&b->items[i].st);
	b->count = b->mark_count = 0;
	b->bytes = 0;
}

void saving_fini(struct saving *s)
{
	BUG(s->busy);
	if (s->filling != NULL)
		batch_reset(s->filling);
	if (s->writing != NULL)
		batch_reset(s->writing);
	free(s->filling);
	free(s->writing);
	s->filling = s->writing = NULL;
}

void saving_add(struct saving *s, struct staging **st, int64_t size, const struct saving_row *row)
{
	struct saving_batch *b = s->filling;

	BUG(b->count == SAVING_ROOM);
	b->items[b->count] = (struct store_item){.st = TAKE(*st), .size = size, .keep = true};
	memcpy(b->items[b->count].sha256, row->digests.d[DIGEST_SHA256], sizeof(b->items[b->count].sha256));
	b->rows[b->count] = *row;
	b->count++;
	b->bytes += size;
}

void saving_mark(struct saving *s, int64_t remote_artifact_id, bool missing)
{
	struct saving_batch *b = s->filling;

	if (b->mark_count < SAVING_MARKS)
		b->marks[b->mark_count++] = (struct saving_mark){remote_artifact_id, clock_wall_us(), missing};
}

bool saving_empty(const struct saving *s)
{
	return !s->busy && s->filling->count == 0 && s->filling->mark_count == 0;
}

bool saving_full(const struct saving *s)
{
	const struct saving_batch *b = s->filling;

	return b->count >= SAVING_ITEMS || b->bytes >= SAVING_BYTES || b->mark_count >= SAVING_MARKS / 2;
}

static bool batch_has(const struct saving_batch *b, const uint8_t sha256[32])
{
	for (size_t i = 0; i < b->count; i++)
		if (memcmp(b->rows[i].digests.d[DIGEST_SHA256], sha256, 32) == 0)
			return true;
	return false;
}

bool saving_has(const struct saving *s, const uint8_t sha256[32])
{
	return batch_has(s->filling, sha256) || (s->busy && batch_has(s->writing, sha256));
}

/* ---- on the pool ---- */

/* What nobody had before is known as used when it says, and not now. */
static int write_row(struct txn *t, const struct saving_row *r, int64_t size, struct err *err)
{
	struct err found = ERR_INIT;
	int64_t id, known;
	int rc = r->ahead ? catalog_artifact_find(t, r->digests.d[DIGEST_SHA256], &id, &known, &found) : 0;
	bool is_new = rc == -ERR_NOTFOUND;

	if (rc < 0 && !is_new)
		return err_set(err, rc, "%s", found.msg);
	rc = catalog_artifact_saved(t, r->content_artifact_id, r->remote_artifact_id, &r->digests, size, &id, err);
	return rc == 0 && is_new ? catalog_artifact_set_used(t, id, r->for_us, err) : rc;
}

static int write_rows(struct saving *s, struct txn *t, struct err *err)
{
	const struct saving_batch *b = s->writing;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < b->count; i++)
		rc = write_row(t, &b->rows[i], b->items[i].size, err);
	for (size_t i = 0; rc == 0 && i < b->mark_count; i++) {
		const struct saving_mark *m = &b->marks[i];

		rc = m->missing ? catalog_source_missing(t, m->remote_artifact_id, m->when_us, err)
				: catalog_source_failed(t, m->remote_artifact_id, m->when_us, err);
	}
	return rc;
}

static int write_rows_once(struct saving *s, bool *there, struct err *err)
{
	struct saving_batch *b = s->writing;
	struct txn *t = NULL;
	int rc = catalog_write(s->catalog, &t, err);

	*there = rc < 0 || store_items_there(s->store, b->items, b->count);
	if (rc == 0 && *there)
		rc = write_rows(s, t, err);
	if (rc == 0 && *there)
		rc = txn_commit(&t, err);
	txn_end(&t);
	return rc;
}

/* Files first: a row that has no file would be a lie, a file that has no row is only unused. What had been there and was removed meanwhile is
 * saved again. */
static int write_batch(struct saving *s, struct err *err)
{
	struct saving_batch *b = s->writing;
	bool there;
	int rc = s->room != NULL ? s->room(s->space, b->bytes, err) : 0;

	if (rc < 0)
		return rc;
	do {
		if (b->count > 0)
			store_commit(s->store, b->items, b->count);
		for (size_t i = 0; i < b->count; i++) {
			if (b->items[i].rc != 0) {
				*err = b->items[i].err;
				return b->items[i].rc;
			}
		}
		rc = write_rows_once(s, &there, err);
	} while (rc == 0 && !there);
	if (rc == 0) {
		s->saved += (int64_t)b->count;
		s->saved_bytes += b->bytes;
	}
	return rc;
}

static void job_run(struct pool_job *j)
{
	struct saving *s = container_of(j, struct saving, job);

	s->rc = write_batch(s, &s->err);
}

/* ---- back on the task's loop ---- */

static void job_done(struct pool_job *j)
{
	struct saving *s = container_of(j, struct saving, job);

	batch_reset(s->writing);
	s->busy = false;
	*s->wake = true;
}

void saving_push(struct saving *s)
{
	struct saving_batch *b = s->filling;

	if (s->busy || s->rc != 0 || (b->count == 0 && b->mark_count == 0))
		return;
	s->filling = s->writing;
	s->writing = b;
	s->busy = true;
	s->job = (struct pool_job){.fn = job_run, .done = job_done, .loop = s->loop};
	if (pool_submit(s->pool, &s->job) != 0) {
		/* Its queue is full of file:// requests: then it is done here. */
		job_run(&s->job);
		job_done(&s->job);
	}
}
