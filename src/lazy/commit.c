/* Saving, in two stages with a thread each: files become durable, then the catalog is told. Each stage takes all flights that wait together: one directory
 * sync, one transaction. They are apart because a locked database must not keep other files from being saved, nor a saved file's last bytes from its readers
 * (drive.c waits for the rows only so long).
 *
 * What an interruption leaves: before the link nothing (the staging file has no name); after it an artifact file without a row, which is complete
 * and right: the next request finds it in the store and makes the row. Until then nobody counts it. */
#include "lazy/flight_priv.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/metrics.h"
#include "catalog/served.h"

#include <inttypes.h>
#include <string.h>

#define BATCH_MAX 256

/* The queue is bounded by the number of flights. */
static void stage_add(struct stage *st, struct stage_item *item)
{
	item->next = NULL;
	pthread_mutex_lock(&st->lock);
	*st->tail = item;
	st->tail = &item->next;
	pthread_cond_signal(&st->more);
	pthread_mutex_unlock(&st->lock);
}

/* ---- files ---- */

static void save_files(struct lazy *lz, struct stage_item **batch, size_t n)
{
	struct store_item items[BATCH_MAX];
	struct flight *of[BATCH_MAX];
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		if (batch[i]->f->item.st == NULL) /* the store has it already, only the catalog is told */
			continue;
		of[count] = batch[i]->f;
		items[count++] = batch[i]->f->item;
	}
	if (count > 0)
		store_commit(lz->store, items, count);
	for (size_t i = 0; i < count; i++) {
		of[i]->item = items[i];
		if (items[i].rc == 0)
			metric_inc(M_flights_committed);
	}
	for (size_t i = 0; i < n; i++) {
		struct flight *f = batch[i]->f;

		if (f->item.rc < 0) {
			f->commit_rc = f->item.rc;
			f->commit_err = f->item.err;
			loop_post(lz->loop, &f->committed);
			continue;
		}
		atomic_store_explicit(&f->stored, true, memory_order_release);
		stage_add(&lz->rows, batch[i]);
	}
}

/* ---- rows ---- */

/* All content artifacts of one flight. Was its file removed since it was found in the store? Then none of them has it: readers have it open, and who asks
 * next downloads it. */
static int tell_one(struct txn *t, struct flight *f, struct err *err)
{
	int64_t other, source = f->sources != NULL ? f->sources[f->source_at].remote_artifact_id : 0;
	bool there = store_items_there(f->lz->store, &f->item, 1);
	int rc = 0;

	while (!there && flight_next_other(f, &other))
		;
	if (there && !f->told)
		rc = catalog_artifact_saved(
			t, f->want.content_artifact_id, source, &f->actual, f->watermark, NULL, err);
	while (rc == 0 && flight_next_other(f, &other))
		rc = catalog_artifact_saved(t, other, 0, &f->actual, f->watermark, NULL, err);
	return rc;
}

static int note_one(struct txn *t, const struct flight *f, struct err *err)
{
	const int64_t now = clock_wall_us();

	return f->missing ? catalog_source_missing(t, f->note_source, now, err)
			  : catalog_source_failed(t, f->note_source, now, err);
}

static int tell_catalog(struct lazy *lz, struct stage_item **batch, size_t n, struct err *err)
{
	struct txn *t = NULL;
	int rc = catalog_write(lz->catalog, &t, err);

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = batch[i]->is_note ? note_one(t, batch[i]->f, err) : tell_one(t, batch[i]->f, err);
	if (rc == 0 && FAULT("lazy.commit") < 0)
		rc = err_set(err, -ERR_DB, "fault point lazy.commit");
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	return rc;
}

static void save_rows(struct lazy *lz, struct stage_item **batch, size_t n)
{
	struct err err = ERR_INIT;
	int rc = tell_catalog(lz, batch, n, &err);

	for (size_t i = 0; i < n; i++) {
		struct flight *f = batch[i]->f;

		if (batch[i]->is_note) {
			f->note_rc = rc;
			f->note_err = err;
			loop_post(lz->loop, &f->noted);
			continue;
		}
		f->commit_rc = rc;
		f->commit_err = err;
		if (rc == 0)
			f->told = true;
		else
			flight_untell(f);
		loop_post(lz->loop, &f->committed);
	}
}

/* ---- stages ---- */

static void *stage_main(void *arg)
{
	struct stage *st = arg;
	struct stage_item *batch[BATCH_MAX];

	pthread_mutex_lock(&st->lock);
	for (;;) {
		size_t n = 0;

		while (st->head == NULL && !st->stop)
			pthread_cond_wait(&st->more, &st->lock);
		if (st->head == NULL)
			break;
		while (st->head != NULL && n < BATCH_MAX) {
			batch[n++] = st->head;
			st->head = st->head->next;
		}
		if (st->head == NULL)
			st->tail = &st->head;
		pthread_mutex_unlock(&st->lock);
		st->run(st->lz, batch, n);
		pthread_mutex_lock(&st->lock);
	}
	pthread_mutex_unlock(&st->lock);
	return NULL;
}

static int stage_start(struct lazy *lz, struct stage *st, const char *name,
	void (*run)(struct lazy *lz, struct stage_item **batch, size_t n), struct err *err)
{
	int rc;

	st->lz = lz;
	st->run = run;
	st->tail = &st->head;
	(void)pthread_mutex_init(&st->lock, NULL);
	(void)pthread_cond_init(&st->more, NULL);
	rc = pthread_create(&st->thread, NULL, stage_main, st);
	if (rc != 0)
		return err_sys(err, rc, "thread for saving");
	(void)pthread_setname_np(st->thread, name);
	st->started = true;
	return 0;
}

static void stage_stop(struct stage *st)
{
	if (!st->started)
		return;
	pthread_mutex_lock(&st->lock);
	st->stop = true;
	pthread_cond_signal(&st->more);
	pthread_mutex_unlock(&st->lock);
	(void)pthread_join(st->thread, NULL);
	(void)pthread_cond_destroy(&st->more);
	(void)pthread_mutex_destroy(&st->lock);
	st->started = false;
}

int committer_start(struct lazy *lz, struct err *err)
{
	int rc = stage_start(lz, &lz->rows, "save rows", save_rows, err);

	return rc < 0 ? rc : stage_start(lz, &lz->files, "save files", save_files, err);
}

void committer_stop(struct lazy *lz)
{
	stage_stop(&lz->files);
	stage_stop(&lz->rows);
}

void committer_add(struct flight *f)
{
	f->item = (struct store_item){.st = TAKE(f->st), .size = f->watermark};
	f->item.existed = f->item.st == NULL;
	memcpy(f->item.sha256, f->actual.d[DIGEST_SHA256], sizeof(f->item.sha256));
	flight_hold(f); /* given back by drive_committed */
	metric_inc(M_flights_recording);
	f->save_item = (struct stage_item){.f = f};
	stage_add(&f->lz->files, &f->save_item);
}

bool committer_note(struct flight *f)
{
	if (f->noting)
		return false;
	f->noting = true;
	f->note_source = f->sources[f->source_at].remote_artifact_id;
	flight_hold(f); /* given back by drive_noted */
	metric_inc(M_flights_recording);
	f->note_item = (struct stage_item){.f = f, .is_note = true};
	stage_add(&f->lz->rows, &f->note_item);
	return true;
}
