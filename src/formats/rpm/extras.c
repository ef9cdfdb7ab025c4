/* Modules come first, so that packages are known as theirs. */
#include "formats/rpm/extras.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *file, *root, *code, *message;
	const char *const types[6];
	int (*read)(const struct record *r, note_fn *fn, void *arg, struct err *err);
} kinds[EXTRA_COUNT] = {
	[EXTRA_MODULES] = {"modules.yaml", NULL, "sync.parsing.modulemds", "Parsed Modulemd", {"modules"}, NULL},
	[EXTRA_COMPS] = {"comps.xml", "comps", "sync.parsing.comps", "Parsed Comps",
		{"group", "group_gz", "group_xz", "group_zst", "group_bz2"}, note_comps},
	[EXTRA_ADVISORIES] = {"updateinfo.xml", "updates", "sync.parsing.advisories", "Parsed Advisories",
		{"updateinfo"}, note_advisory},
};

void extras_init(struct extras *x, const struct sluice_sync_host *h, struct sluice_sync *s)
{
	*x = (struct extras){.host = h, .sync = s, .yaml = BUF_INIT(MODULES_BYTES_MAX)};
}

void extras_fini(struct extras *x)
{
	records_fini(&x->xml);
	buf_fini(&x->yaml);
	hashmap_fini(&x->modular);
	hashmap_fini(&x->ids);
	buf_fini(&x->id);
}

const char *const *extras_types(enum extra kind)
{
	return kinds[kind].types;
}

/* What a parser says becomes the task's error; what the host refused is noted already. */
static int bad(struct extras *x, int rc)
{
	if (rc == -ERR_PARSE || rc == -ERR_LIMIT || rc == -ERR_NOMEM)
		return x->host->fail(
			x->sync, "%s: %s", kinds[x->kind].file, x->err.msg[0] != '\0' ? x->err.msg : err_text(rc));
	return rc;
}

/* ---- declaring ---- */

static int note_modular(struct extras *x, const json_t *fields)
{
	json_t *nevra;
	size_t i;

	json_array_foreach(json_object_get(fields, "artifacts"), i, nevra)
	{
		uint64_t *there;

		if (!json_is_string(nevra))
			continue;
		there = hashmap_at(&x->modular, slice_str(json_string_value(nevra)));
		if (there == NULL)
			return x->host->fail(x->sync, "modules.yaml: more packages than can be kept");
		*there = 1;
	}
	return 0;
}

static int count(struct extras *x, const struct note *n)
{
	buf_reset(&x->id);
	buf_addf(&x->id, "%s\n%.*s", n->type, (int)strcspn(n->key, "\n"), n->key);
	return x->id.failed == 0 && hashmap_at(&x->ids, buf_slice(&x->id)) != NULL
		       ? 0
		       : x->host->fail(x->sync, "more advisories, groups and modules than can be kept");
}

static int declare(void *arg, const struct note *n)
{
	struct extras *x = arg;
	struct sluice_unit unit = {.type = n->type, .natural_key = n->key, .supersedes = true};
	char *json = json_dumps(n->fields, JSON_COMPACT);
	int rc = json != NULL ? note_modular(x, n->fields) : x->host->fail(x->sync, "no memory for a unit");

	unit.extra_json = json;
	if (rc == 0)
		rc = count(x, n);
	if (rc == 0)
		rc = x->host->unit(x->sync, &unit);
	free(json);
	if (rc == 0)
		x->done++;
	return rc;
}

/* ---- reading ---- */

static int take_record(void *arg, const struct record *r)
{
	struct extras *x = arg;

	return kinds[x->kind].read(r, declare, x, &x->xml.xml.err);
}

int extras_begin(struct extras *x, enum extra kind)
{
	x->kind = kind;
	x->done = 0;
	x->err = ERR_INIT;
	buf_reset(&x->yaml);
	if (kinds[kind].root == NULL)
		return 0;
	records_fini(&x->xml);
	return bad(x, records_init(&x->xml, kinds[kind].root, take_record, x));
}

int extras_feed(struct extras *x, const char *p, size_t n)
{
	return bad(x, kinds[x->kind].root != NULL ? records_feed(&x->xml, p, n, &x->err) : buf_add(&x->yaml, p, n));
}

int extras_end(struct extras *x)
{
	int rc = bad(x, kinds[x->kind].root != NULL ? records_end(&x->xml, &x->err)
						    : note_modules(buf_slice(&x->yaml), declare, x, &x->err));

	if (rc == 0)
		x->host->progress(x->sync, kinds[x->kind].code, kinds[x->kind].message, x->done, x->done);
	return rc;
}
