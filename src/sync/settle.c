/* What a format takes out of a version that is about to be completed: rules about the whole of it, whoever changed it. */
#include "sync/sync_priv.h"

#include "base/check.h"
#include "catalog/unit.h"

#include <stdlib.h>

#define DROP_MAX 500 /* units of one transaction */

struct sluice_settle {
	struct change *change;
	struct catalog *catalog;
	int64_t repository_id;
	struct facts facts;
	int64_t drop[DROP_MAX];
	size_t count;
	struct err err;
};

static int host_each_unit(struct sluice_settle *s, const char *type,
	int (*fn)(void *arg, const char *natural_key, const char *extra_json), void *arg)
{
	return sync_each_unit(s->catalog, s->repository_id, change_number(s->change), type, fn, arg, &s->err);
}

static int drop_all(struct sluice_settle *s)
{
	int rc = s->count > 0 ? change_remove(s->change, s->drop, s->count, &s->err) : 0;

	s->count = 0;
	return rc;
}

static int host_drop(struct sluice_settle *s, const char *type, const char *natural_key)
{
	struct txn *t = NULL;
	int rc;

	if (s->err.code != 0)
		return s->err.code;
	rc = s->count == DROP_MAX ? drop_all(s) : 0;
	if (rc == 0)
		rc = catalog_read(s->catalog, &t, &s->err);
	if (rc == 0)
		rc = catalog_unit_find(t, slice_str(type), slice_str(natural_key), &s->drop[s->count], &s->err);
	txn_end(&t);
	s->count += rc == 0;
	return rc;
}

static const char *host_get(struct sluice_settle *s, const char *name)
{
	return facts_get(&s->facts, name);
}

__attribute__((format(printf, 2, 3))) static int host_fail(struct sluice_settle *s, const char *fmt, ...)
{
	va_list ap;

	if (s->err.code != 0)
		return s->err.code;
	va_start(ap, fmt);
	err_setv(&s->err, -ERR_INVAL, fmt, ap);
	va_end(ap);
	return s->err.code;
}

static const struct sluice_settle_host settle_host = {
	.each_unit = host_each_unit,
	.drop = host_drop,
	.get = host_get,
	.fail = host_fail,
};

int settle_change(struct change *change, const struct sluice_format *f, const struct repository_row *r,
	struct catalog *catalog, struct err *err)
{
	json_t *fields = f->settle != NULL ? json_loads(r->extra, 0, NULL) : NULL;
	struct sluice_settle *s;
	int rc;

	if (f->settle == NULL)
		return 0;
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		json_decref(fields);
		return err_set(err, -ERR_NOMEM, "no memory for a version");
	}
	s->change = change;
	s->catalog = catalog;
	s->repository_id = r->id;
	rc = facts_set_fields(&s->facts, "repository", f->repository_fields, fields);
	if (rc == 0)
		rc = f->settle(&settle_host, s);
	if (rc >= 0 && s->err.code == 0)
		(void)drop_all(s);
	if (s->err.code != 0) { /* also when the format overlooked it */
		rc = s->err.code;
		if (err != NULL)
			*err = s->err;
	} else if (rc < 0) {
		rc = err_set(err, -ERR_INTERNAL, "the format '%s' failed without saying why (%d)", f->name, rc);
	}
	facts_fini(&s->facts);
	json_decref(fields);
	free(s);
	return MIN(rc, 0);
}
