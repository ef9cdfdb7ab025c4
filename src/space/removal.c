/* See removal.h. */
#include "space/removal.h"

#include "base/fault.h"
#include "base/log.h"
#include "catalog/removal.h"

#include <errno.h>

#define BATCH 64 /* the host's other processes wait so long: looks into an index, and renames */

struct batch {
	struct removal notes[BATCH];
	bool failed[BATCH];
	size_t count;
};

static int read_notes(struct catalog *c, struct batch *b, int64_t after_id, struct err *err)
{
	struct txn *t = NULL;
	int rc = catalog_read(c, &t, err);

	*b = (struct batch){.count = 0};
	if (rc == 0)
		rc = catalog_removals(t, after_id, b->notes, BATCH, &b->count, err);
	txn_end(&t);
	return rc;
}

static int set_aside(struct catalog *c, struct store *s, struct batch *b, struct err *err)
{
	struct txn *t = NULL;
	int rc;

	/* What has to be read from the disk for it is read before others wait. */
	for (size_t i = 0; i < b->count; i++)
		(void)store_has(s, b->notes[i].sha256);
	rc = catalog_write(c, &t, err);
	for (size_t i = 0; rc >= 0 && i < b->count; i++) {
		struct err why = ERR_INIT;

		rc = catalog_removal_due(t, &b->notes[i], err);
		if (rc != 1 || store_set_aside(s, b->notes[i].sha256, &why) == 0)
			continue;
		log_error("store", "a file that is not needed any more stays: %s", why.msg);
		b->failed[i] = true;
	}
	txn_end(&t);
	return rc < 0 ? rc : 0;
}

static void discard(struct store *s, struct batch *b)
{
	for (size_t i = 0; i < b->count; i++) {
		struct err why = ERR_INIT;

		if (b->failed[i] || store_discard(s, b->notes[i].sha256, &why) == 0)
			continue;
		log_error("store", "a file that is not needed any more stays: %s", why.msg);
		b->failed[i] = true;
	}
}

static int forget_notes(struct catalog *c, const struct batch *b, struct err *err)
{
	struct txn *t = NULL;
	int rc = FAULT("space.removal.forget") != 0 ? err_sys(err, errno, "forgetting removed files") : 0;

	if (rc == 0)
		rc = catalog_write(c, &t, err);
	for (size_t i = 0; rc == 0 && i < b->count; i++)
		if (!b->failed[i])
			rc = catalog_removal_done(t, &b->notes[i], err);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	return rc;
}

int removal_run(struct catalog *c, struct store *s, struct err *err)
{
	int64_t after_id = 0;
	struct batch b;
	int rc;

	for (;;) {
		rc = read_notes(c, &b, after_id, err);
		if (rc < 0 || b.count == 0)
			return rc;
		rc = FAULT("space.removal") != 0 ? err_sys(err, errno, "removing files") : set_aside(c, s, &b, err);
		if (rc < 0)
			return rc;
		discard(s, &b);
		rc = forget_notes(c, &b, err);
		if (rc < 0)
			return rc;
		after_id = b.notes[b.count - 1].id;
	}
}
