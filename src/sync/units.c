/* What a format declares: checked, copied, and written a thousand units at a time. Everything here came out of foreign
 * metadata through a format that may be somebody else's: nothing is taken for granted. */
#include "sync/acs.h"
#include "sync/sync_priv.h"

#include "base/url.h"
#include "base/check.h"
#include "catalog/served.h"

#include <stdlib.h>
#include <string.h>

int units_init(struct sluice_sync *s)
{
	struct units *u = &s->units;

	arena_init(&u->arena, UNITS_BYTES_MAX);
	u->unit = calloc(UNITS_MAX, sizeof(*u->unit));
	u->undeferred = calloc(UNITS_MAX, sizeof(*u->undeferred));
	return u->unit != NULL && u->undeferred != NULL ? 0 : err_set(&s->err, -ERR_NOMEM, "no memory for units");
}

void units_fini(struct sluice_sync *s)
{
	arena_fini(&s->units.arena);
	free(s->units.unit);
	free(s->units.undeferred);
}

static int no_memory(struct sluice_sync *s)
{
	return err_set(&s->err, -ERR_LIMIT, "a unit that upstream's metadata declares is too large");
}

static int bad_unit(struct sluice_sync *s, const struct sluice_unit *u, const char *why)
{
	/* Natural keys may hold line ends, and the text ends up in one line of the task. */
	return err_set(&s->err, -ERR_INVAL, "upstream's metadata declares a bad unit (%s%s%s): %s",
		u->type != NULL ? u->type : "",
		u->artifact_count > 0 && u->artifacts[0].relative_path != NULL ? " " : "",
		u->artifact_count > 0 && u->artifacts[0].relative_path != NULL ? u->artifacts[0].relative_path : "",
		why);
}

/* NUL-terminated, and not counted: for borrowing by the catalog as a slice. */
static int copy(struct sluice_sync *s, const char *z, struct slice *out)
{
	char *p;

	*out = SLICE_NULL;
	if (z == NULL)
		return 0;
	p = arena_strdup(&s->units.arena, slice_str(z));
	if (p == NULL)
		return no_memory(s);
	*out = slice_str(p);
	return 0;
}

static int copy_detail(struct sluice_sync *s, const struct sluice_unit *u, struct slice *out)
{
	char *p = arena_alloc(&s->units.arena, MAX(u->detail_size, 1));

	if (p == NULL)
		return no_memory(s);
	memcpy(p, u->detail, u->detail_size);
	*out = slice_of(p, u->detail_size);
	return 0;
}

/* May one of them vouch for an artifact? Without digests the size must do. */
static bool digests_allowed(const struct sluice_sync *s, const struct digests *ds)
{
	for (int alg = 0; alg < DIGEST_COUNT; alg++)
		if ((ds->have & (1u << alg)) != 0 && settings_list_has(s->env->settings->storage_allowed_checksums,
							     slice_str(digest_name((enum digest_alg)alg))))
			return true;
	return ds->have == 0;
}

static int copy_digests(
	struct sluice_sync *s, const struct sluice_unit *u, const struct sluice_artifact *from, struct digests *to)
{
	to->have = 0;
	for (size_t i = 0; i < from->digest_count; i++) {
		enum digest_alg alg;

		if (from->digests[i].algorithm == NULL || from->digests[i].hex == NULL ||
			digest_alg_parse(slice_str(from->digests[i].algorithm), &alg) != 0)
			return bad_unit(s, u, "a digest of an unknown kind");
		if (digests_set_hex(to, alg, slice_str(from->digests[i].hex)) != 0)
			return bad_unit(s, u, "a malformed digest");
	}
	/* Found out now, and not by the first client: nobody could ever be served it. */
	if (!digests_allowed(s, to))
		return err_set(&s->err, -ERR_UNSUPPORTED,
			"[PLP0020] %s: none of its digests is among storage.allowed_checksums (%s)",
			from->relative_path, s->env->settings->storage_allowed_checksums);
	return 0;
}

/* No artifact_id afterwards: the store had had it, and it was removed meanwhile (space/removal.h); once more. */
static int save_kept(struct sluice_sync *s, struct kept *k)
{
	struct store_item item = {.st = k->st, .size = k->size, .keep = true};
	struct txn *t = NULL;
	bool there;
	int rc;

	memcpy(item.sha256, k->digests.d[DIGEST_SHA256], sizeof(item.sha256));
	store_commit(s->env->store, &item, 1);
	if (item.rc != 0) {
		s->err = item.err;
		return item.rc;
	}
	rc = catalog_write(s->env->catalog, &t, &s->err);
	there = rc < 0 || store_items_there(s->env->store, &item, 1);
	if (rc == 0 && there)
		rc = catalog_artifact_saved(t, 0, 0, &k->digests, k->size, &k->artifact_id, &s->err);
	if (rc == 0 && there)
		rc = txn_commit(&t, &s->err);
	txn_end(&t);
	if (rc != 0)
		k->artifact_id = 0;
	return rc;
}

/* Its bytes are there: saved now, so that the unit is declared with them. If the sync fails they are an orphan, and cleaned up as such. */
int units_save_kept(struct sluice_sync *s, const char *name, struct change_artifact *a)
{
	struct kept *k = s->kept;
	int rc;

	while (k != NULL && strcmp(k->name, name) != 0)
		k = k->next;
	if (k == NULL || (k->st == NULL && k->artifact_id == 0))
		return err_set(&s->err, -ERR_INTERNAL, "the format declared '%s', which it has not kept", name);
	a->size = k->size;
	a->digests = k->digests;
	while (k->artifact_id == 0) {
		rc = save_kept(s, k);
		if (rc != 0)
			return rc;
	}
	if (k->st != NULL) {
		staging_drop(&k->st);
		s->kept_count--; /* it counts descriptors */
	}
	a->artifact_id = k->artifact_id;
	return 0;
}

static int copy_artifact(struct sluice_sync *s, const struct sluice_unit *u, const struct sluice_artifact *from,
	struct change_artifact *to)
{
	struct err why;
	struct url url;
	int rc;

	if (from->relative_path == NULL || (from->url == NULL && from->kept == NULL))
		return bad_unit(s, u, "an artifact without path or URL");
	if (url_relpath_check(slice_str(from->relative_path), &why) != 0)
		return bad_unit(s, u, why.msg);
	if (from->url != NULL && url_parse(slice_str(from->url), &url, &why) != 0)
		return bad_unit(s, u, why.msg);
	to->size = from->size >= 0 ? from->size : -1;
	to->pinned = from->never_deferred || from->kept != NULL;
	rc = copy(s, from->relative_path, &to->relative_path);
	if (rc == 0)
		rc = copy(s, from->url, &to->url);
	if (rc == 0)
		rc = copy_digests(s, u, from, &to->digests);
	if (rc == 0 && from->kept != NULL && s->acs_id == 0)
		rc = units_save_kept(s, from->kept, to);
	return rc;
}

static int check_extra(struct sluice_sync *s, const struct sluice_unit *u)
{
	json_t *extra;
	bool object;

	if (u->extra_json == NULL)
		return 0;
	extra = json_loads(u->extra_json, JSON_REJECT_DUPLICATES, NULL);
	object = json_is_object(extra);
	json_decref(extra);
	return object ? 0 : bad_unit(s, u, "its fields are no JSON object");
}

static int copy_artifacts(struct sluice_sync *s, const struct sluice_unit *u, struct change_unit *to, bool **undeferred)
{
	struct arena *a = &s->units.arena;
	int rc = 0;

	if (u->artifact_count > UNITS_BYTES_MAX / sizeof(*to->artifacts))
		return no_memory(s);
	to->artifact_count = u->artifact_count;
	to->artifacts = arena_zalloc(a, MAX(u->artifact_count, 1) * sizeof(*to->artifacts));
	if (to->artifacts == NULL)
		return no_memory(s);
	for (size_t i = 0; rc == 0 && i < u->artifact_count; i++) {
		rc = copy_artifact(s, u, &u->artifacts[i], &to->artifacts[i]);
		if (rc != 0 || !u->artifacts[i].never_deferred)
			continue;
		if (*undeferred == NULL)
			*undeferred = arena_zalloc(a, u->artifact_count * sizeof(**undeferred));
		if (*undeferred == NULL)
			return no_memory(s);
		(*undeferred)[i] = true;
	}
	return rc;
}

int units_add(struct sluice_sync *s, const struct sluice_unit *u)
{
	struct units *us = &s->units;
	struct change_unit *to = &us->unit[us->count];
	int rc;

	if (u->type == NULL || u->natural_key == NULL || u->natural_key[0] == '\0' ||
		!slice_is_utf8(slice_str(u->natural_key)))
		return bad_unit(s, u, "it has no type or no natural key");
	*to = (struct change_unit){.artifact_count = 0};
	us->undeferred[us->count] = NULL;
	rc = check_extra(s, u);
	if (rc == 0)
		rc = copy(s, u->type, &to->type);
	if (rc == 0)
		rc = copy(s, u->natural_key, &to->natural_key);
	if (rc == 0)
		rc = copy(s, u->extra_json, &to->extra);
	if (rc == 0 && u->detail != NULL)
		rc = copy_detail(s, u, &to->detail);
	if (rc == 0)
		rc = copy_artifacts(s, u, to, &us->undeferred[us->count]);
	if (rc != 0)
		return rc;
	us->count++;
	s->declared++;
	return us->count == UNITS_MAX || us->arena.used > UNITS_BYTES ? units_flush(s) : 0;
}

int sync_begin_change(struct sluice_sync *s)
{
	const struct change_opts opts = {
		.repository_id = s->repository->id,
		.remote_id = s->remote->id,
		.mirror = s->mirror,
		.base_number = -1,
	};

	return s->change != NULL ? 0 : change_begin(s->env->catalog, &opts, &s->change, &s->err);
}

/* Walks the artifacts of the batch that must be had now and are not there. */
struct undeferred {
	const struct units *units;
	size_t unit, artifact;
};

static int row_of(const struct change_artifact *a, struct change_missing *row, struct err *err)
{
	*row = (struct change_missing){
		.content_artifact_id = a->content_artifact_id,
		.remote_artifact_id = a->remote_artifact_id,
		.size = a->size,
		.digests = a->digests,
		.url = slice_dup(a->url),
	};
	return row->url != NULL ? 0 : err_set(err, -ERR_NOMEM, "no memory for a download");
}

static int next_undeferred(void *arg, struct change_missing *rows, size_t max, size_t *count, struct err *err)
{
	struct undeferred *w = arg;
	int rc = 0;

	*count = 0;
	for (; w->unit < w->units->count; w->unit++, w->artifact = 0) {
		const struct change_unit *u = &w->units->unit[w->unit];
		const bool *now = w->units->undeferred[w->unit];

		for (; now != NULL && w->artifact < u->artifact_count; w->artifact++) {
			if (!now[w->artifact] || u->artifacts[w->artifact].saved)
				continue;
			if (*count == max)
				return 0;
			rc = row_of(&u->artifacts[w->artifact], &rows[*count], err);
			if (rc != 0)
				return rc;
			(*count)++;
		}
	}
	return 0;
}

/* Under immediate all of them are downloaded at the end, more of them at once. */
static int download_undeferred(struct sluice_sync *s)
{
	struct undeferred walk = {.units = &s->units};
	bool any = false;

	for (size_t i = 0; i < s->units.count; i++)
		any = any || s->units.undeferred[i] != NULL;
	return any && s->remote->policy != POLICY_IMMEDIATE ? download_all(s, next_undeferred, &walk) : 0;
}

int units_flush(struct sluice_sync *s)
{
	int rc = 0;

	if (s->units.count == 0)
		return 0;
	rc = s->acs_id != 0 ? acs_write(s) : sync_begin_change(s);
	if (rc == 0 && s->acs_id == 0)
		rc = change_declare(s->change, s->units.unit, s->units.count, &s->err);
	if (rc == 0 && s->acs_id == 0)
		rc = download_undeferred(s);
	s->units.count = 0;
	arena_reset(&s->units.arena);
	return rc;
}
