/* What nobody uses any more: units in no version, then artifacts of no unit and no publication. How their files go: space/removal.h. */
#include "sync/sync_priv.h"

#include "base/check.h"
#include "base/clock.h"
#include "catalog/query.h"
#include "catalog/usage.h"
#include "space/removal.h"

#include <stdio.h>
#include <stdlib.h>

#define UNITS 500
#define ARTIFACTS 200
#define PROTECTION_MIN 1440 /* Pulp's default: a day */

struct cleanup {
	struct task *task;
	const struct sync_env *env;
	const json_t *names; /* only these units; NULL: all */
	int64_t before_us;
	int64_t units, artifacts;
	struct err *err;
};

/* The next unused units, without those in `from` and before when names are given. */
static int orphaned_units(struct cleanup *c, struct txn *t, size_t from, json_t **rows)
{
	char before[CLOCK_ISO_MAX], text[UNITS][UUID_STR];
	struct slice when = slice_str(clock_iso(c->before_us, before)), uuids[UNITS];
	struct query *q = NULL;
	size_t n = 0;
	int rc = 0;

	if (query_new(view_find("content"), &q) != 0)
		return err_set(c->err, -ERR_NOMEM, "no memory for a query");
	query_select(q, "uuid");
	for (; rc == 0 && n < UNITS && from + n < json_array_size(c->names); n++) {
		const char *name = json_string_value(json_array_get(c->names, from + n));
		struct uuid u;

		rc = name != NULL ? sync_uuid_of(name, &u, c->err)
				  : err_set(c->err, -ERR_INVAL, "a unit's name is no text");
		if (rc == 0)
			uuids[n] = slice_str(uuid_str(&u, text[n]));
	}
	if (rc == 0 && n > 0)
		rc = query_where_any(q, "uuid", uuids, n, c->err);
	if (rc == 0)
		rc = query_condition(q, "orphaned", &when, 1, c->err);
	query_page(q, UNITS, 0);
	if (rc == 0)
		rc = query_rows(t, q, rows, c->err);
	query_free(&q);
	return rc;
}

static int delete_units(struct cleanup *c, size_t from, size_t *deleted)
{
	struct txn *t = NULL;
	json_t *rows = NULL, *row;
	size_t i;
	int rc = catalog_write(c->env->catalog, &t, c->err);

	if (rc == 0)
		rc = orphaned_units(c, t, from, &rows);
	json_array_foreach(rows, i, row)
	{
		if (rc == 0)
			rc = row_delete_in(
				t, view_find("content"), json_integer_value(json_object_get(row, "_id")), c->err);
	}
	*deleted = rc == 0 ? json_array_size(rows) : 0;
	if (rc == 0)
		rc = txn_commit(&t, c->err);
	txn_end(&t);
	json_decref(rows);
	return rc;
}

static void report_units(struct cleanup *c, size_t more)
{
	c->units += (int64_t)more;
	task_progress(c->task, "clean-up.content", "Clean up orphan Content", -1, c->units);
}

static int clean_units(struct cleanup *c)
{
	size_t deleted, from = 0;
	int rc = 0;

	report_units(c, 0);
	do {
		rc = delete_units(c, from, &deleted);
		if (rc == 0)
			report_units(c, deleted);
		from += UNITS;
		/* Without names the next units are found by looking again; with names each is looked at once. */
	} while (rc == 0 && (c->names != NULL ? from < json_array_size(c->names) : deleted == UNITS));
	task_progress_done(c->task, "clean-up.content", c->units);
	return rc;
}

static int delete_artifacts(struct cleanup *c, int64_t *after, size_t *deleted)
{
	int64_t ids[ARTIFACTS];
	uint8_t sha256[ARTIFACTS][32];
	struct txn *t = NULL;
	int rc = catalog_write(c->env->catalog, &t, c->err);

	*deleted = 0;
	if (rc == 0)
		rc = catalog_artifact_orphans(t, c->before_us, *after, ids, sha256, ARTIFACTS, deleted, c->err);
	for (size_t i = 0; rc == 0 && i < *deleted; i++) {
		*after = ids[i];
		rc = MIN(catalog_artifact_delete(t, ids[i], c->err), 0);
	}
	if (rc == 0)
		rc = txn_commit(&t, c->err);
	txn_end(&t);
	return rc == 0 ? removal_run(c->env->catalog, c->env->store, c->err) : rc;
}

static int clean_artifacts(struct cleanup *c)
{
	size_t deleted;
	int64_t after = 0;
	int rc;

	do {
		task_progress(c->task, "clean-up.artifacts", "Clean up orphan Artifacts", -1, c->artifacts);
		rc = delete_artifacts(c, &after, &deleted);
		if (rc == 0)
			c->artifacts += (int64_t)deleted;
	} while (rc == 0 && deleted == ARTIFACTS);
	task_progress_done(c->task, "clean-up.artifacts", c->artifacts);
	return rc;
}

int orphan_cleanup_task(struct task *t, struct err *err)
{
	const json_t *args = task_args(t), *names = json_object_get(args, "content_hrefs");
	const json_t *protection = json_object_get(args, "protection_min");
	struct err own = ERR_INIT;
	struct cleanup c = {
		.task = t,
		.env = task_env(t),
		.names = json_is_array(names) ? names : NULL,
		.err = err != NULL ? err : &own,
	};
	int64_t minutes = json_is_integer(protection) ? json_integer_value(protection) : PROTECTION_MIN;
	int rc;

	c.before_us = clock_wall_us() - MIN(MAX(minutes, 0), INT32_MAX) * 60 * US_PER_S;
	rc = clean_units(&c);
	return rc == 0 ? clean_artifacts(&c) : rc;
}
