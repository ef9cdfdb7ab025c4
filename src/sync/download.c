/* Downloads inside a sync: what may not wait until a client asks. A fixed number of slots, each with one artifact:
 *
 *   FREE ── slot_take ──> RUNNING ──(on_done)──> ENDED ── judge ──┬── verified: to saving.c ──> FREE
 *                            ^                                    ├── may pass: PAUSED ──(timer)──> READY
 *                            └── next source, or READY again <────┴── 404 and no other source: counted ──> FREE
 *
 * Call-backs only note what happened and wake the pump; every decision is made between two runs of the loop. What fails
 * for good ends it all: the other transfers are canceled, and the caller undoes the change.
 *
 * Hashing and writing happen in the call-backs: the loop serves this task alone, and the page cache does not block. */
#include "sync/saving.h"
#include "sync/sync_priv.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/url.h"
#include "catalog/acs.h"
#include "catalog/served.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 1000
#define FRESH_MAX (PAGE + 2 * SAVING_ROOM)

enum slot_state { SLOT_FREE, SLOT_RUNNING, SLOT_ENDED, SLOT_PAUSED, SLOT_READY };

struct slot {
	struct download *d;
	enum slot_state state;
	struct change_missing want;
	/* the source in use */
	const struct remote_row *remote;
	int64_t remote_artifact_id;
	const char *url;
	int attempt;                /* transfers from this source that went wrong */
	struct source_row *sources; /* the others; read when the first has failed */
	size_t source_count, source_at;
	bool asked_others;
	bool alternate;        /* what is in use is an alternate source; the remote that is synced follows */
	bool first_is_missing; /* the remote that is synced says 404 */
	struct err first_err;  /* or what else it did */
	/* the transfer */
	struct fetch *fetch;
	struct loop_timer timer;
	struct loop_timer turn; /* while it waits for one, under a rate limit */
	struct staging *st;
	struct hasher *hasher;
	int64_t off;
	char etag[256]; /* a strong one, for going on where it broke off; else "" */
	int status;
	int rc;
	struct err err;
};

struct download {
	struct sluice_sync *s;
	wanted_fn *next;
	void *arg;
	bool wake;
	struct slot *slots;
	int slot_count, active;
	struct saving saving;
	/* the page that is worked on */
	struct change_missing *rows;
	size_t count, at;
	struct change_missing
		*later; /* rows whose bytes are on their way, or were saved since the page was looked up */
	size_t later_count;
	uint8_t (*fresh)[32]; /* what came since then, and what was on its way: FRESH_MAX */
	size_t fresh_count;
	int64_t linked, linked_bytes; /* were there already */
	int64_t next_ns;              /* under a rate limit: when more may come */
	bool alternates;              /* some alternate source holds something */
	bool in_later;                /* rows are those of a `later` */
	bool exhausted;
};

/* ---- one transfer ---- */

static void transfer_drop(struct slot *sl)
{
	fetch_cancel(&sl->fetch);
	loop_timer_cancel(sl->d->s->wire.loop, &sl->turn);
	staging_drop(&sl->st);
	hasher_free(&sl->hasher);
	sl->off = 0;
	sl->etag[0] = '\0';
}

/* A new, empty file to write to. */
static int transfer_begin(struct slot *sl, struct err *err)
{
	staging_drop(&sl->st);
	hasher_free(&sl->hasher);
	sl->off = 0;
	sl->etag[0] = '\0';
	if (hasher_new(sl->want.digests.have, &sl->hasher) != 0)
		return err_set(err, -ERR_NOMEM, "no memory for a digest");
	return staging_new(sl->d->s->env->store, &sl->st, err);
}

static int wrong_size(struct slot *sl, int64_t size)
{
	struct buf url = BUF_INIT(0);

	(void)url_redact(slice_str(sl->url), &url); /* an error text is written with what there is */
	err_set(&sl->err, -ERR_SIZE, "[PLP0004] %s: %s%lld bytes came where %lld were expected",
		url.p != NULL ? url.p : "", size < 0 ? "more than " : "", (long long)(size < 0 ? sl->want.size : size),
		(long long)sl->want.size);
	buf_fini(&url);
	return -ERR_SIZE;
}

static int on_head(void *arg, const struct fetch_head *head)
{
	struct slot *sl = arg;
	int rc = 0;

	sl->status = head->status;
	if (head->status != 200 && head->status != 206)
		return 0;
	if (head->status == 200 && sl->off > 0) /* it starts over */
		rc = transfer_begin(sl, &sl->err);
	else if (head->status == 206 && (sl->off == 0 || head->range_start != sl->off))
		rc = err_set(&sl->err, -ERR_UPSTREAM, "%s: a part came that was not asked for", sl->url);
	if (rc == 0 && sl->want.size >= 0 && head->total >= 0 && head->total != sl->want.size)
		rc = wrong_size(sl, head->total);
	/* If-Range wants a strong validator (RFC 9110 §13.1.5). */
	if (head->etag.n > 0 && head->etag.n < sizeof(sl->etag) && head->etag.p[0] == '"') {
		memcpy(sl->etag, head->etag.p, head->etag.n);
		sl->etag[head->etag.n] = '\0';
	}
	return rc;
}

static void turn_came(struct loop_timer *t)
{
	struct slot *sl = container_of(t, struct slot, turn);

	if (sl->fetch != NULL)
		fetch_resume(sl->fetch);
}

/* Each piece puts off the next one, of whatever download, by the time that it is worth: what is not taken stays in the kernel, and upstream waits. 1: not
 * now. */
static int throttle(struct slot *sl, size_t n)
{
	const struct download_rules *rules = sl->d->s->rules;
	struct loop *loop = sl->d->s->wire.loop;
	int64_t now_ns;

	if (rules == NULL || rules->rate == 0)
		return 0;
	now_ns = clock_mono_ns();
	if (now_ns < sl->d->next_ns) {
		sl->turn.fn = turn_came;
		return loop_timer_set(loop, &sl->turn, sl->d->next_ns - now_ns) == 0 ? 1 : -ERR_NOMEM;
	}
	sl->d->next_ns = now_ns + (int64_t)((double)n * (double)NS_PER_S / (double)rules->rate);
	return 0;
}

static int on_data(void *arg, const char *p, size_t n)
{
	struct slot *sl = arg;
	int rc = throttle(sl, n);

	if (rc != 0)
		return rc > 0 ? FETCH_PAUSE : rc;
	if (sl->want.size >= 0 && (int64_t)n > sl->want.size - sl->off)
		return wrong_size(sl, -1);
	rc = staging_write(sl->st, p, n, sl->off, &sl->err);
	if (rc != 0)
		return rc;
	hasher_add(sl->hasher, p, n);
	sl->off += (int64_t)n;
	return 0;
}

static void on_done(void *arg, int rc, const struct err *err)
{
	struct slot *sl = arg;

	sl->fetch = NULL;
	sl->rc = rc;
	if (rc != 0 && sl->err.code == 0 && err != NULL)
		sl->err = *err;
	sl->state = SLOT_ENDED;
	sl->d->wake = true;
}

static int slot_start(struct slot *sl)
{
	struct download *d = sl->d;
	struct fetch_remote remote;
	struct fetch_req req = {
		.url = sl->url,
		.range_from = sl->off,
		.if_range = sl->off > 0 ? sl->etag : NULL,
		.gather = d->s->rules == NULL || d->s->rules->rate == 0, /* or it may have to be refused */
		.on_head = on_head,
		.on_data = on_data,
		.on_done = on_done,
		.arg = sl,
	};
	int rc = 0;

	sl->err = ERR_INIT;
	sl->status = 0;
	if (sl->off == 0)
		rc = transfer_begin(sl, &d->s->err);
	if (rc != 0)
		return rc;
	wire_remote(sl->remote, &remote);
	rc = fetch_start(d->s->wire.fetch, &remote, &req, &sl->fetch, &sl->err);
	if (rc != 0) { /* a URL or settings that cannot be used: as any other failure of this source */
		on_done(sl, rc, NULL);
		return 0;
	}
	sl->state = SLOT_RUNNING;
	return 0;
}

/* ---- from one artifact to the next ---- */

static void slot_free(struct slot *sl)
{
	transfer_drop(sl);
	loop_timer_cancel(sl->d->s->wire.loop, &sl->timer);
	source_rows_free(&sl->sources, sl->source_count);
	change_missing_fini(&sl->want, 1);
	sl->d->active--;
	*sl = (struct slot){.d = sl->d};
}

static void slot_use(struct slot *sl, const struct remote_row *remote, int64_t remote_artifact_id, const char *url)
{
	transfer_drop(sl);
	sl->remote = remote;
	sl->remote_artifact_id = remote_artifact_id;
	sl->url = url;
	sl->attempt = 0;
}

static int load_sources(struct slot *sl)
{
	struct sluice_sync *s = sl->d->s;
	bool share = s->env->settings->content_share_credentials || (s->rules != NULL && s->rules->any_source);
	struct txn *t = NULL;
	int rc;

	if (sl->asked_others)
		return 0;
	rc = catalog_read(s->env->catalog, &t, &s->err);

	if (rc == 0)
		rc = catalog_sources(t, sl->want.content_artifact_id, s->repository != NULL ? s->repository->id : 0,
			share, &sl->sources, &sl->source_count, &s->err);
	txn_end(&t);
	sl->asked_others = rc == 0;
	return rc;
}

static bool source_usable(const struct slot *sl, const struct source_row *x)
{
	const struct download_rules *rules = sl->d->s->rules;
	int64_t since = clock_wall_us() - sl->d->s->env->settings->content_failure_cooldown * 1000;

	if (rules != NULL && rules->any_source)
		return true;
	return x->remote_artifact_id != sl->want.remote_artifact_id && x->failed_at_us < since &&
	       x->missing_at_us < since;
}

/* An alternate source that has it is asked before the remote that is synced: 1 it is, 0 there is none, negative: failed. */
static int use_alternate(struct slot *sl)
{
	int rc = sl->d->alternates ? load_sources(sl) : 0;

	while (rc == 0 && sl->source_at < sl->source_count && sl->sources[sl->source_at].is_acs) {
		const struct source_row *x = &sl->sources[sl->source_at++];

		if (!source_usable(sl, x))
			continue;
		sl->alternate = true;
		slot_use(sl, x->remote, x->remote_artifact_id, x->url);
		rc = slot_start(sl);
		return rc < 0 ? rc : 1;
	}
	return rc;
}

/* Nobody has it, or nobody can be asked: not the end of what is done by rules. */
static int lost(struct slot *sl)
{
	const struct download_rules *rules = sl->d->s->rules;

	int rc = rules->lost(rules->arg, &sl->want, sl->first_is_missing, &sl->first_err);

	slot_free(sl);
	return rc;
}

static int next_source(struct slot *sl);

static int slot_take(struct slot *sl, struct change_missing *want)
{
	int rc;

	sl->want = *want;
	*want = (struct change_missing){.url = NULL};
	sl->d->active++;
	if (sl->d->s->rules != NULL)
		return next_source(sl);
	rc = use_alternate(sl);
	if (rc != 0)
		return MIN(rc, 0);
	slot_use(sl, sl->d->s->remote, sl->want.remote_artifact_id, sl->want.url);
	return slot_start(sl);
}

/* Upstream does not have it and nobody else does: the unit stays, and clients get a 404 until it turns up (P7). */
static int unavailable(struct slot *sl)
{
	struct sluice_sync *s = sl->d->s;

	if (s->fail_missing) {
		s->err = sl->first_err;
		return s->err.code;
	}
	s->missing++;
	task_progress(s->task, "sync.missing.artifacts", "Unavailable upstream", -1, s->missing);
	slot_free(sl);
	return 0;
}

/* This source is done with; sl->err says why. Another one, or the end. */
static int next_source(struct slot *sl)
{
	struct sluice_sync *s = sl->d->s;
	int rc;

	(void)wire_error(&sl->err);
	if (sl->alternate) { /* the next alternate source, or now the remote itself; what it said counts for nothing */
		log_info("sync", "falling back: %s", sl->err.msg);
		sl->alternate = false;
		rc = use_alternate(sl);
		if (rc != 0)
			return MIN(rc, 0);
		slot_use(sl, s->remote, sl->want.remote_artifact_id, sl->want.url);
		return slot_start(sl);
	}
	if (sl->first_err.code == 0 && sl->err.code != 0) {
		sl->first_err = sl->err;
		sl->first_is_missing = sl->err.code == -ERR_GONE;
	}
	if (!sl->asked_others) {
		rc = load_sources(sl);
		if (rc != 0)
			return rc;
	}
	while (sl->source_at < sl->source_count) {
		const struct source_row *x = &sl->sources[sl->source_at++];

		if (!source_usable(sl, x))
			continue;
		if (sl->err.code != 0)
			log_info("sync", "trying remote '%s' instead: %s", x->remote->name, sl->err.msg);
		slot_use(sl, x->remote, x->remote_artifact_id, x->url);
		return slot_start(sl);
	}
	if (s->rules != NULL)
		return lost(sl);
	if (sl->first_is_missing)
		return unavailable(sl);
	s->err = sl->first_err;
	return s->err.code;
}

/* ---- how a transfer ended ---- */

static int verify(struct slot *sl, struct digests *actual)
{
	struct err why;
	struct buf url = BUF_INIT(0);
	int rc;

	if (sl->want.size >= 0 && sl->off != sl->want.size)
		return wrong_size(sl, sl->off);
	hasher_end(sl->hasher, actual);
	rc = digests_match(&sl->want.digests, actual, &why);
	if (rc != 0) {
		(void)url_redact(slice_str(sl->url), &url);
		err_set(&sl->err, rc, "[PLP0003] %s: %s", url.p != NULL ? url.p : "", why.msg);
		buf_fini(&url);
	}
	return rc;
}

static int save(struct slot *sl, const struct digests *actual)
{
	struct sluice_sync *s = sl->d->s;
	const struct saving_row row = {
		.content_artifact_id = sl->want.content_artifact_id,
		.remote_artifact_id = sl->remote_artifact_id,
		.digests = *actual,
		.ahead = s->rules != NULL && s->rules->ahead,
		.for_us = sl->want.for_us,
	};

	saving_add(&sl->d->saving, &sl->st, sl->off, &row);
	if (sl->d->fresh_count < FRESH_MAX)
		memcpy(sl->d->fresh[sl->d->fresh_count++], actual->d[DIGEST_SHA256], 32);
	s->downloaded++;
	if (s->rules == NULL)
		task_progress(s->task, "sync.downloading.artifacts", "Downloading Artifacts", -1, s->downloaded);
	slot_free(sl);
	return 0;
}

/* What is wrong with us and not with the source. */
static bool is_ours(int rc)
{
	return rc == -ERR_NOMEM || rc == -ERR_NOSPACE || rc == -ERR_IO || rc == -ERR_INTERNAL || rc == -ERR_DB;
}

/* fetch repeats what fails before the first byte; the rest is decided here. */
static bool may_repeat(const struct slot *sl, int rc)
{
	if (rc == -ERR_DIGEST || rc == -ERR_SIZE || rc == -ERR_TRUNCATED)
		return true;
	return sl->off > 0 && (rc == -ERR_TIMEOUT || rc == -ERR_CONNECT);
}

static void pause_over(struct loop_timer *t)
{
	struct slot *sl = container_of(t, struct slot, timer);

	sl->state = SLOT_READY;
	sl->d->wake = true;
}

static int repeat_later(struct slot *sl, int rc)
{
	bool go_on = (rc == -ERR_TRUNCATED || rc == -ERR_TIMEOUT || rc == -ERR_CONNECT) && sl->etag[0] != '\0';

	log_info("sync", "trying again: %s", sl->err.msg);
	if (!go_on)
		transfer_drop(sl);
	sl->state = SLOT_PAUSED;
	sl->timer.fn = pause_over;
	if (loop_timer_set(sl->d->s->wire.loop, &sl->timer, fetch_backoff_ms(sl->attempt) * NS_PER_MS) != 0)
		return err_set(&sl->d->s->err, -ERR_NOMEM, "no memory for a timer");
	return 0;
}

static int judge(struct slot *sl)
{
	struct download *d = sl->d;
	struct digests actual;
	int rc = sl->rc;

	if (rc == 0 && sl->status == 416 && sl->off > 0) { /* what broke off is not as long there any more */
		sl->etag[0] = '\0';
		rc = err_set(&sl->err, -ERR_TRUNCATED, "%s: the rest of it cannot be had", sl->url);
	}
	if (rc == 0 && sl->status != 200 && sl->status != 206) {
		rc = wire_status(&sl->err, sl->status, sl->url);
		if (rc == -ERR_GONE)
			saving_mark(&d->saving, sl->remote_artifact_id, true);
		return next_source(sl);
	}
	if (rc == 0)
		rc = verify(sl, &actual);
	if (rc == 0)
		return save(sl, &actual);
	if (sl->err.code == 0)
		err_set(&sl->err, rc, "%s: %s", sl->url, err_text(rc));
	if (is_ours(rc)) {
		d->s->err = sl->err;
		return rc;
	}
	if (may_repeat(sl, rc) && sl->attempt < wire_retries(sl->remote)) {
		sl->attempt++;
		return repeat_later(sl, rc);
	}
	if (rc == -ERR_DIGEST || rc == -ERR_SIZE)
		saving_mark(&d->saving, sl->remote_artifact_id, false);
	return next_source(sl);
}

/* ---- what is there already ---- */

/* Does the catalog have an artifact of these bytes, and the store the file? */
static int is_saved(struct sluice_sync *s, struct txn *t, const struct change_missing *row, int64_t *size)
{
	const uint8_t *sha256 = row->digests.d[DIGEST_SHA256];
	int64_t id;
	int rc;

	if (row->url == NULL || (row->digests.have & (1u << DIGEST_SHA256)) == 0)
		return 0;
	rc = catalog_artifact_find(t, sha256, &id, size, &s->err);
	if (rc == -ERR_NOTFOUND) {
		s->err = ERR_INIT;
		return 0;
	}
	if (rc != 0)
		return rc;
	return (row->size < 0 || row->size == *size) && store_has(s->env->store, sha256);
}

static int find_saved(struct download *d, bool *any)
{
	struct sluice_sync *s = d->s;
	struct txn *t = NULL;
	int64_t size;
	int rc = catalog_read(s->env->catalog, &t, &s->err);

	for (size_t i = 0; rc == 0 && i < d->count; i++)
		rc = is_saved(s, t, &d->rows[i], &size);
	txn_end(&t);
	*any = rc > 0;
	return rc < 0 ? rc : 0;
}

/* Looks again in the transaction that links: what is seen here is there when this commits (space/removal.h). */
static int link_in(struct download *d, struct txn *t)
{
	struct sluice_sync *s = d->s;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < d->count; i++) {
		struct change_missing *row = &d->rows[i];
		int64_t size, id;

		rc = is_saved(s, t, row, &size);
		if (rc <= 0)
			continue;
		rc = catalog_artifact_saved(t, row->content_artifact_id, 0, &row->digests, size, &id, &s->err);
		d->linked++;
		d->linked_bytes += size;
		change_missing_fini(row, 1);
		*row = (struct change_missing){.url = NULL};
	}
	return rc < 0 ? rc : 0;
}

/* Points what the store has already to it, and takes it off the page. */
static int link_saved(struct download *d)
{
	struct txn *t = NULL;
	bool any = false;
	int rc = find_saved(d, &any);

	if (rc != 0 || !any)
		return rc;
	rc = catalog_write(d->s->env->catalog, &t, &d->s->err);
	if (rc == 0)
		rc = link_in(d, t);
	if (rc == 0)
		rc = txn_commit(&t, &d->s->err);
	txn_end(&t);
	return rc;
}

/* ---- the pump ---- */

/* Are these bytes on their way for another path, or saved after the page was compared with the catalog? Then they are
 * linked with the next page, and downloaded once. */
static bool under_way(const struct download *d, const struct change_missing *row)
{
	const uint8_t *sha256 = row->digests.d[DIGEST_SHA256];

	if ((row->digests.have & (1u << DIGEST_SHA256)) == 0)
		return false;
	for (int i = 0; i < d->slot_count; i++) {
		const struct slot *sl = &d->slots[i];

		if (sl->state != SLOT_FREE && (sl->want.digests.have & (1u << DIGEST_SHA256)) != 0 &&
			memcmp(sl->want.digests.d[DIGEST_SHA256], sha256, 32) == 0)
			return true;
	}
	for (size_t i = 0; i < d->fresh_count; i++)
		if (memcmp(d->fresh[i], sha256, 32) == 0)
			return true;
	return false;
}

/* Before a page is compared with the catalog: what is written is found there. */
static void forget_written(struct download *d)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->fresh_count; i++)
		if (saving_has(&d->saving, d->fresh[i]))
			memmove(d->fresh[kept++], d->fresh[i], 32);
	d->fresh_count = kept;
}

static bool is_idle(const struct download *d)
{
	return d->active == 0 && saving_empty(&d->saving);
}

/* The next page: rows that were put off, once what they waited for is written; else more of the caller's. */
static int turn_page(struct download *d)
{
	struct change_missing *rows = d->rows;
	int rc = 0;

	change_missing_fini(d->rows, d->count);
	d->at = d->count = 0;
	forget_written(d);
	d->in_later = d->later_count > 0;
	if (d->in_later) {
		d->rows = d->later;
		d->count = d->later_count;
		d->later = rows;
		d->later_count = 0;
	} else {
		rc = d->next(d->arg, d->rows, PAGE, &d->count, &d->s->err);
		d->exhausted = rc == 0 && d->count == 0;
	}
	return rc == 0 && d->count > 0 ? link_saved(d) : rc;
}

/* The next row to start; NULL: none for now, or at all (d->exhausted). */
static int next_row(struct download *d, struct change_missing **out)
{
	int rc;

	*out = NULL;
	while (!d->exhausted) {
		while (d->at < d->count) {
			struct change_missing *row = &d->rows[d->at++];

			if (row->url == NULL)
				continue;
			if (d->in_later || !under_way(d, row)) {
				*out = row;
				return 0;
			}
			d->later[d->later_count++] = *row;
			row->url = NULL;
		}
		if (d->later_count > 0 && !is_idle(d))
			return 0;
		rc = turn_page(d);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int fill(struct download *d)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < d->slot_count && !saving_full(&d->saving); i++) {
		struct change_missing *row;

		if (d->slots[i].state != SLOT_FREE)
			continue;
		rc = next_row(d, &row);
		if (rc == 0 && row == NULL)
			break;
		if (rc == 0)
			rc = slot_take(&d->slots[i], row);
	}
	return rc;
}

static int harvest(struct download *d)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < d->slot_count; i++) {
		struct slot *sl = &d->slots[i];

		/* A judgement may end at once again, with the next source: then it is judged again. */
		while (rc == 0 && sl->state == SLOT_ENDED)
			rc = judge(sl);
		if (rc == 0 && sl->state == SLOT_READY)
			rc = slot_start(sl);
	}
	return rc;
}

static void tell_saved(const struct download *d)
{
	const struct download_rules *rules = d->s->rules;

	if (rules != NULL && rules->saved != NULL && !d->saving.busy)
		rules->saved(rules->arg, d->saving.saved + d->linked, d->saving.saved_bytes + d->linked_bytes);
}

static int pump(struct download *d)
{
	int rc = 0;

	while (rc == 0) {
		rc = fill(d);
		if (rc != 0 || (d->exhausted && is_idle(d)))
			break;
		if (saving_full(&d->saving) || d->active == 0 || d->s->rules != NULL)
			saving_push(&d->saving);
		if (!is_idle(d))
			loop_run_until(d->s->wire.loop, &d->wake);
		d->wake = false;
		rc = harvest(d);
		tell_saved(d);
		if (rc == 0 && !d->saving.busy && d->saving.rc != 0) {
			d->s->err = d->saving.err;
			rc = d->saving.rc;
		}
	}
	return rc;
}

/* Nothing may call back any more. What came whole is saved all the same: the next try need not fetch it again. */
static void stop(struct download *d)
{
	for (int i = 0; i < d->slot_count; i++)
		if (d->slots[i].state != SLOT_FREE)
			slot_free(&d->slots[i]);
	for (int round = 0; round < 2 && d->saving.filling != NULL;
		round++) { /* the batch in writing, then the other */
		while (d->saving.busy) {
			d->wake = false;
			loop_run_until(d->s->wire.loop, &d->wake);
		}
		saving_push(&d->saving);
	}
	tell_saved(d);
	saving_fini(&d->saving);
	if (d->rows != NULL)
		change_missing_fini(d->rows, d->count);
	if (d->later != NULL)
		change_missing_fini(d->later, d->later_count);
	free(d->rows);
	free(d->later);
	free(d->fresh);
	free(d->slots);
}

static int start(struct download *d)
{
	struct sluice_sync *s = d->s;
	struct txn *t = NULL;
	int rc;

	d->slot_count = s->rules != NULL ? s->rules->concurrency : wire_concurrency(s->remote);
	d->slots = calloc((size_t)d->slot_count, sizeof(*d->slots));
	d->rows = calloc(PAGE, sizeof(*d->rows));
	d->later = calloc(PAGE, sizeof(*d->later));
	d->fresh = calloc(FRESH_MAX, sizeof(*d->fresh));
	if (d->slots == NULL || d->rows == NULL || d->later == NULL || d->fresh == NULL) {
		d->slot_count = 0;
		return err_set(&s->err, -ERR_NOMEM, "no memory for downloads");
	}
	for (int i = 0; i < d->slot_count; i++)
		d->slots[i].d = d;
	rc = catalog_read(s->env->catalog, &t, &s->err);
	if (rc == 0)
		rc = catalog_acs_any(t, &s->err);
	txn_end(&t);
	if (rc < 0)
		return rc;
	d->alternates = rc > 0;
	rc = saving_init(&d->saving, s->wire.loop, s->wire.pool, s->env, &d->wake, &s->err);
	if (s->rules != NULL)
		d->saving.room = s->rules->room;
	return rc;
}

int download_all(struct sluice_sync *s, wanted_fn *next, void *arg)
{
	struct download d = {.s = s, .next = next, .arg = arg};
	int rc = start(&d);

	if (rc == 0)
		rc = pump(&d);
	stop(&d);
	return rc;
}
