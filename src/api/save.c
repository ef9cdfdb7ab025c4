/* From a client's file to an artifact: durable in the store first, then a row. Runs on a pool thread or in a task.
 *
 * A removal deletes rows first and sets files aside inside of a second transaction that sees no row (space/removal.h). So what the store had already is
 * looked for again in the transaction that makes the row, and saved once more if it is gone. */
#include "api/api_priv.h"

#include "base/check.h"
#include "catalog/served.h"

int api_saved(struct api *api, struct txn *t, const uint8_t sha256[32], int64_t *id, int64_t *size, struct err *err)
{
	int rc = catalog_artifact_find(t, sha256, id, size, err);

	if (rc == 0 && !store_has(api->store, sha256))
		rc = err_set(err, -ERR_NOTFOUND, "the file of the artifact is not in the store");
	return rc;
}

/* *there: false when the file has to be saved once more. */
static int record(struct api *api, const struct api_file *file, const struct store_item *item, int64_t *id,
	bool *existed, bool *there, struct err *err)
{
	struct txn *t = NULL;
	int64_t size;
	int rc = catalog_write(api->catalog, &t, err);

	if (rc < 0)
		return rc;
	*there = store_items_there(api->store, item, 1);
	if (!*there)
		goto out;
	rc = catalog_artifact_find(t, item->sha256, id, &size, err);
	*existed = rc == 0;
	if (rc == 0 || rc == -ERR_NOTFOUND)
		rc = catalog_artifact_saved(t, 0, 0, &file->digests, file->size, id, err);
	if (rc == 0)
		rc = txn_commit(&t, err);
out:
	txn_end(&t);
	return rc;
}

int api_save(struct api_ctx *x, struct api_file *file, int64_t *id, bool *existed, struct err *err)
{
	struct store_item item = {.st = TAKE(file->st), .size = file->size, .keep = true};
	bool there = false;
	int rc = 0;

	BUG(item.st == NULL);
	memcpy(item.sha256, file->digests.d[DIGEST_SHA256], sizeof(item.sha256));
	api_txn_end(x);
	while (rc == 0 && !there) {
		store_commit(x->api->store, &item, 1);
		rc = item.rc;
		if (rc == 0)
			rc = record(x->api, file, &item, id, existed, &there, err);
		else if (err != NULL)
			*err = item.err;
	}
	staging_drop(&item.st);
	return rc;
}
