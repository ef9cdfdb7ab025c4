/* Compares what is saved with what it should be, and puts right what is not, a page of artifacts at a time:
 *
 *   read whole ──┬── as it should be
 *                ├── not there ──────────────────────┬──> downloaded from any source ──> there again, or a miss
 *                └── other bytes ──> set aside ──────┘
 *
 * A damaged file goes before anything is asked of upstreams: from then on it is a miss, which a client's request heals as well. It is set aside in a write
 * transaction that also tells the caches, as space/removal.h has it, unless by then another file has its name. Rows stay: what no source has now comes
 * back with an upload, or a later repair. */
#include "sync/sync_priv.h"

#include "base/check.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "catalog/removal.h"
#include "catalog/repair.h"
#include "catalog/served.h"
#include "space/removal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE 100
#define BLOCK ((size_t)1 << 20)
#define CONCURRENCY 10

struct repair {
	struct sluice_sync s; /* what download.c needs of it */
	struct download_rules rules;
	struct repair_scope scope;
	bool verify;
	char *block;
	struct repair_artifact page[PAGE];
	struct repair_artifact damaged[PAGE]; /* of the page */
	size_t count, damaged_count;
	size_t at;        /* the damaged artifact whose content artifacts are handed out, */
	int64_t after_id; /* and the last of these */
	int64_t total, checked, missing, corrupted, repaired;
};

static void report(struct repair *r)
{
	struct task *t = r->s.task;

	task_progress(t, "repair.checked", "Checking Artifacts", r->total, r->checked);
	task_progress(t, "repair.missing", "Missing Artifacts", -1, r->missing);
	task_progress(t, "repair.corrupted", "Corrupted Artifacts", -1, r->corrupted);
	task_progress(t, "repair.repaired", "Repaired Artifacts", -1, r->repaired);
}

/* ---- is it what it should be ---- */

/* 1: it is. 0: it is not, or cannot be read. */
static int is_intact(struct repair *r, int fd, const struct repair_artifact *a, struct err *err)
{
	struct hasher *h = NULL;
	struct digests actual;
	int64_t off = 0;
	ssize_t n;

	if (hasher_new(1u << DIGEST_SHA256, &h) != 0)
		return err_set(err, -ERR_NOMEM, "no memory for a digest");
	do {
		n = pread(fd, r->block, BLOCK, off);
		if (n > 0) {
			hasher_add(h, r->block, (size_t)n);
			off += n;
		}
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		log_warn("sync", "an artifact cannot be read: %s", strerror(errno));
	hasher_end(h, &actual);
	hasher_free(&h);
	return n == 0 && memcmp(actual.d[DIGEST_SHA256], a->digests.d[DIGEST_SHA256], 32) == 0;
}

/* Takes the file away that `fd` is. 1: it is gone; 0: it has another one by now, or no row. */
static int take_away(struct repair *r, int fd, const struct repair_artifact *a)
{
	const uint8_t *sha256 = a->digests.d[DIGEST_SHA256];
	const struct sync_env *env = r->s.env;
	struct txn *t = NULL;
	int64_t id, size;
	int rc = catalog_write(env->catalog, &t, &r->s.err), found;

	if (rc < 0)
		return rc;
	found = catalog_artifact_find(t, sha256, &id, &size, &r->s.err);
	if (found == -ERR_NOTFOUND || (found == 0 && !store_is(env->store, sha256, fd))) {
		r->s.err = ERR_INIT;
		txn_end(&t);
		return 0;
	}
	rc = found < 0 ? found : catalog_removal_note(t, sha256, &r->s.err);
	if (rc == 0)
		rc = store_set_aside(env->store, sha256, &r->s.err);
	txn_changes_service(t);
	if (rc == 0)
		rc = txn_commit(&t, &r->s.err);
	txn_end(&t);
	if (rc == 0)
		rc = removal_run(env->catalog, env->store, &r->s.err);
	return rc < 0 ? rc : 1;
}

static void note_damaged(struct repair *r, const struct repair_artifact *a, const char *what)
{
	char name[STORE_NAME_MAX];

	log_warn("sync", "%s name=%s", what, store_name(a->digests.d[DIGEST_SHA256], name));
	r->damaged[r->damaged_count++] = *a;
}

/* Has it a row still, so that its file should be there? */
static int is_known(struct repair *r, const struct repair_artifact *a)
{
	struct txn *t = NULL;
	int64_t id, size;
	int rc = catalog_read(r->s.env->catalog, &t, &r->s.err);

	if (rc == 0)
		rc = catalog_artifact_find(t, a->digests.d[DIGEST_SHA256], &id, &size, &r->s.err);
	txn_end(&t);
	if (rc == -ERR_NOTFOUND)
		r->s.err = ERR_INIT;
	return rc == -ERR_NOTFOUND ? 0 : rc < 0 ? rc : 1;
}

static int check_one(struct repair *r, const struct repair_artifact *a)
{
	int64_t size = 0;
	int fd = -1, rc = store_get(r->s.env->store, a->digests.d[DIGEST_SHA256], -1, &fd, &size, &r->s.err);

	if (rc == -ERR_NOTFOUND) {
		r->s.err = ERR_INIT;
		rc = is_known(r, a);
		if (rc == 1) {
			r->missing++;
			note_damaged(r, a, "an artifact is not there");
		}
		return MIN(rc, 0);
	}
	if (rc < 0)
		return rc;
	rc = size != a->size ? 0 : r->verify ? is_intact(r, fd, a, &r->s.err) : 1;
	if (rc == 0) {
		rc = take_away(r, fd, a);
		if (rc == 1) {
			r->corrupted++;
			note_damaged(r, a, "an artifact has other bytes than it should, and was taken away");
		}
	}
	fs_close(&fd);
	return MIN(rc, 0);
}

/* ---- getting it again ---- */

static int next_damaged(void *arg, struct change_missing *rows, size_t max, size_t *count, struct err *err)
{
	struct repair *r = arg;
	struct txn *t = NULL;
	int rc = r->at < r->damaged_count ? catalog_read(r->s.env->catalog, &t, err) : 0;

	*count = 0;
	while (rc == 0 && r->at < r->damaged_count && *count < max) {
		const struct repair_artifact *a = &r->damaged[r->at];
		int64_t id;
		size_t n = 0;

		rc = catalog_repair_users(t, a->id, r->after_id, &id, 1, &n, err);
		if (rc != 0 || n == 0) {
			r->at++;
			r->after_id = 0;
			continue;
		}
		r->after_id = id;
		/* The URL is its source's, which download.c asks the catalog for. */
		rows[*count] = (struct change_missing){
			.content_artifact_id = id, .size = a->size, .digests = a->digests, .url = strdup("")};
		if (rows[*count].url == NULL)
			rc = err_set(err, -ERR_NOMEM, "no memory for a download");
		else
			(*count)++;
	}
	txn_end(&t);
	return rc;
}

static int note_lost(void *arg, const struct change_missing *row, bool missing, const struct err *why)
{
	char name[STORE_NAME_MAX];

	log_warn("sync", "an artifact cannot be repaired from this place name=%s: %s",
		store_name(row->digests.d[DIGEST_SHA256], name),
		why->code != 0 ? why->msg : "no remote or alternate source has it");
	return 0;
}

static int put_right(struct repair *r)
{
	int rc;

	if (r->damaged_count == 0)
		return 0;
	r->at = 0;
	r->after_id = 0;
	if (r->s.wire.loop == NULL && (rc = wire_init(&r->s.wire, r->s.env->settings, &r->s.err)) < 0)
		return rc;
	rc = download_all(&r->s, next_damaged, r);
	/* Also what a client's request has brought meanwhile. */
	for (size_t i = 0; i < r->damaged_count; i++)
		r->repaired += store_has(r->s.env->store, r->damaged[i].digests.d[DIGEST_SHA256]);
	return rc;
}

/* ---- the task ---- */

static int read_page(struct repair *r, int64_t after_id)
{
	struct txn *t = NULL;
	int rc = catalog_read(r->s.env->catalog, &t, &r->s.err);

	if (rc == 0)
		rc = catalog_repair_page(t, &r->scope, after_id, r->page, PAGE, &r->count, &r->s.err);
	txn_end(&t);
	return rc;
}

static int walk(struct repair *r)
{
	int64_t after_id = 0;
	int rc;

	while ((rc = read_page(r, after_id)) == 0 && r->count > 0) {
		after_id = r->page[r->count - 1].id;
		r->damaged_count = 0;
		for (size_t i = 0; rc == 0 && i < r->count; i++) {
			rc = check_one(r, &r->page[i]);
			r->checked++;
			report(r);
		}
		if (rc == 0)
			rc = put_right(r);
		report(r);
		if (rc < 0)
			break;
	}
	return rc;
}

/* The version that the arguments name; none: everything. */
static int load_scope(struct repair *r)
{
	const json_t *args = task_args(r->s.task), *number = json_object_get(args, "number");
	const char *text = json_string_value(json_object_get(args, "repository"));
	struct txn *t = NULL;
	struct uuid uuid;
	int rc = catalog_read(r->s.env->catalog, &t, &r->s.err);

	if (rc == 0 && text != NULL) {
		if (uuid_parse(slice_str(text), &uuid) != 0 || !json_is_integer(number))
			rc = err_set(&r->s.err, -ERR_INVAL, "the task does not say which version");
		if (rc == 0)
			rc = catalog_repository_by_uuid(t, &uuid, &r->s.repository, &r->s.err);
		if (rc == 0)
			r->scope = (struct repair_scope){r->s.repository->id, json_integer_value(number)};
		if (rc == 0) /* it may be deleted by now */
			rc = catalog_version_get(t, r->scope.repository_id, r->scope.number, &r->s.latest, &r->s.err);
	}
	if (rc == 0)
		rc = catalog_repair_count(t, &r->scope, &r->total, &r->s.err);
	txn_end(&t);
	return rc;
}

int repair_task(struct task *t, struct err *err)
{
	struct repair *r = calloc(1, sizeof(*r));
	int rc = 0;

	if (r == NULL || (r->block = malloc(BLOCK)) == NULL) {
		free(r);
		return err_set(err, -ERR_NOMEM, "no memory for a repair");
	}
	r->s.task = t;
	r->s.env = task_env(t);
	r->s.rules = &r->rules;
	r->rules = (struct download_rules){.concurrency = CONCURRENCY, .any_source = true, .lost = note_lost, .arg = r};
	r->verify = !json_is_false(json_object_get(task_args(t), "verify_checksums"));
	rc = load_scope(r);
	if (rc == 0)
		rc = walk(r);
	if (rc == 0) {
		task_progress_done(t, "repair.checked", r->checked);
		task_progress_done(t, "repair.missing", r->missing);
		task_progress_done(t, "repair.corrupted", r->corrupted);
		task_progress_done(t, "repair.repaired", r->repaired);
	} else if (err != NULL) {
		*err = r->s.err;
	}
	wire_fini(&r->s.wire);
	repository_row_free(&r->s.repository);
	free(r->block);
	free(r);
	return rc;
}
