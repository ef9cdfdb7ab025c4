/* Walking over the units of a version for a format. */
#include "sync/sync_priv.h"

#include <stdlib.h>

struct walk {
	int (*fn)(void *arg, const char *natural_key, const char *extra_json);
	void *arg;
	struct err *err;
};

static int each(void *arg, struct slice natural_key, struct slice extra)
{
	struct walk *w = arg;
	char *key = slice_dup(natural_key), *json = slice_dup(extra);
	int rc;

	if (key == NULL || json == NULL)
		rc = err_set(w->err, -ERR_NOMEM, "no memory for a unit");
	else
		rc = w->fn(w->arg, key, json);
	free(key);
	free(json);
	return rc < 0 ? rc : w->err->code;
}

int sync_each_unit(struct catalog *c, int64_t repository_id, int64_t number, const char *type,
	int (*fn)(void *arg, const char *natural_key, const char *extra_json), void *arg, struct err *err)
{
	struct walk walk = {fn, arg, err};
	struct txn *t = NULL;
	int rc;

	if (err->code != 0)
		return err->code;
	rc = catalog_read(c, &t, err);
	if (rc == 0)
		rc = catalog_version_units_each(t, repository_id, number, type, each, &walk, err);
	txn_end(&t);
	if (rc != 0 && err->code == 0)
		(void)err_set(err, rc, "the format stopped reading the version's units");
	return rc;
}
