/* Saving: a thread that takes all flights that wait, commits their files together, and tells the catalog in one transaction.
 *
 * What an interruption leaves: before the link nothing (the staging file has no name); after it an artifact file without a row, which is complete
 * and right: the next request finds it in the store and makes the row; orphan clean-up removes it if nobody asks. */
#include "lazy/flight_priv.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/metrics.h"
#include "catalog/served.h"

#include <inttypes.h>
#include <string.h>

#define BATCH_MAX 256

/* All content artifacts of one flight. */
static int tell_one(struct txn *t, struct flight *f, struct err *err)
{
	int64_t other, source = f->sources != NULL ? f->sources[f->source_at].remote_artifact_id : 0;
	int rc = 0;

	if (!f->told)
		rc = catalog_artifact_saved(
			t, f->want.content_artifact_id, source, &f->actual, f->watermark, NULL, err);
	while (rc == 0 && flight_next_other(f, &other))
		rc = catalog_artifact_saved(t, other, 0, &f->actual, f->watermark, NULL, err);
	return rc;
}

static int tell_catalog(struct lazy *lz, struct flight **batch, size_t n, struct err *err)
{
	struct txn *t = NULL;
	int rc = catalog_write(lz->catalog, &t, err);

	for (size_t i = 0; i < n && rc == 0; i++)
		if (batch[i]->item.rc == 0)
			rc = tell_one(t, batch[i], err);
	if (rc == 0 && FAULT("lazy.commit") < 0)
		rc = err_set(err, -ERR_DB, "fault point lazy.commit");
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	return rc;
}

/* Those that have a staging file; the others are in the store already. */
static void commit_files(struct lazy *lz, struct flight **batch, size_t n)
{
	struct store_item items[BATCH_MAX];
	struct flight *of[BATCH_MAX];
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		if (batch[i]->item.st == NULL)
			continue;
		of[count] = batch[i];
		items[count++] = batch[i]->item;
	}
	if (count == 0)
		return;
	store_commit(lz->store, items, count);
	for (size_t i = 0; i < count; i++) {
		of[i]->item = items[i];
		if (items[i].rc == 0)
			metric_inc(M_flights_committed);
	}
}

static void commit_batch(struct lazy *lz, struct flight **batch, size_t n)
{
	struct err err = ERR_INIT;
	int rc;

	commit_files(lz, batch, n);
	rc = tell_catalog(lz, batch, n, &err);
	for (size_t i = 0; i < n; i++) {
		struct flight *f = batch[i];

		f->commit_rc = f->item.rc < 0 ? f->item.rc : rc;
		f->commit_err = f->item.rc < 0 ? f->item.err : err;
		f->told = true;
		loop_post(lz->loop, &f->committed);
	}
}

static void *committer_main(void *arg)
{
	struct lazy *lz = arg;
	struct committer *c = &lz->committer;
	struct flight *batch[BATCH_MAX];

	pthread_mutex_lock(&c->lock);
	for (;;) {
		size_t n = 0;

		while (c->head == NULL && !c->stop)
			pthread_cond_wait(&c->more, &c->lock);
		if (c->head == NULL)
			break;
		while (c->head != NULL && n < BATCH_MAX) {
			batch[n++] = c->head;
			c->head = c->head->next_commit;
		}
		if (c->head == NULL)
			c->tail = &c->head;
		pthread_mutex_unlock(&c->lock);
		commit_batch(lz, batch, n);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int committer_start(struct lazy *lz, struct err *err)
{
	struct committer *c = &lz->committer;
	int rc;

	c->tail = &c->head;
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_cond_init(&c->more, NULL);
	rc = pthread_create(&c->thread, NULL, committer_main, lz);
	if (rc != 0)
		return err_sys(err, rc, "thread for saving");
	c->started = true;
	return 0;
}

void committer_stop(struct lazy *lz)
{
	struct committer *c = &lz->committer;

	if (!c->started)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->more);
	pthread_mutex_unlock(&c->lock);
	(void)pthread_join(c->thread, NULL);
	(void)pthread_cond_destroy(&c->more);
	(void)pthread_mutex_destroy(&c->lock);
	c->started = false;
}

/* The queue is bounded by the number of flights. */
void committer_add(struct flight *f)
{
	struct committer *c = &f->lz->committer;

	f->item = (struct store_item){.st = TAKE(f->st), .size = f->watermark};
	memcpy(f->item.sha256, f->actual.d[DIGEST_SHA256], sizeof(f->item.sha256));
	f->next_commit = NULL;
	flight_hold(f); /* given back by drive_committed */
	pthread_mutex_lock(&c->lock);
	*c->tail = f;
	c->tail = &f->next_commit;
	pthread_cond_signal(&c->more);
	pthread_mutex_unlock(&c->lock);
}
