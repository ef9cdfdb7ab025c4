/* What a format declares: checked, copied, and written a thousand units at a time, unless the version has it just so already. Everything here
 * came out of foreign metadata through a format that may be somebody else's: nothing is taken for granted. */
#include "sync/acs.h"
#include "sync/form.h"
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
	free(s->units.scratch);
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

static int copy(struct sluice_sync *s, struct slice from, struct slice *out)
{
	char *p;

	*out = SLICE_NULL;
	if (from.p == NULL)
		return 0;
	p = arena_strdup(&s->units.arena, from);
	if (p == NULL)
		return no_memory(s);
	*out = slice_of(p, from.n);
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

static int read_digests(
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

/* `to` is what was borrowed of `from`. */
static int copy_artifact(struct sluice_sync *s, const struct sluice_unit *u, const struct sluice_artifact *from,
	struct change_artifact *to)
{
	struct err why;
	struct url url;
	int rc;

	if (from->relative_path == NULL || (from->url == NULL && from->kept == NULL))
		return bad_unit(s, u, "an artifact without path or URL");
	if (url_relpath_check(to->relative_path, &why) != 0)
		return bad_unit(s, u, why.msg);
	if (from->url != NULL && url_parse(to->url, &url, &why) != 0)
		return bad_unit(s, u, why.msg);
	/* Found out now, and not by the first client: nobody could ever be served it. */
	if (!digests_allowed(s, &to->digests))
		return err_set(&s->err, -ERR_UNSUPPORTED,
			"[PLP0020] %s: none of its digests is among storage.allowed_checksums (%s)",
			from->relative_path, s->env->settings->storage_allowed_checksums);
	rc = copy(s, to->relative_path, &to->relative_path);
	if (rc == 0)
		rc = copy(s, to->url, &to->url);
	if (rc == 0 && from->kept != NULL && s->acs_id == 0)
		rc = units_save_kept(s, from->kept, to);
	return rc;
}

static int check_extra(struct sluice_sync *s, const struct sluice_unit *u)
{
	json_t *extra;
	bool object;

	if (u->extra_json == NULL || form_is_object(slice_str(u->extra_json)))
		return 0;
	extra = json_loads(u->extra_json, JSON_REJECT_DUPLICATES, NULL);
	object = json_is_object(extra);
	json_decref(extra);
	return object ? 0 : bad_unit(s, u, "its fields are no JSON object");
}

/* The unit as the catalog takes it, by the format's own strings. *plain: nothing of it has to be saved or downloaded now. */
static int borrow(struct sluice_sync *s, const struct sluice_unit *u, struct change_unit *to, bool *plain)
{
	struct units *us = &s->units;
	int rc = 0;

	if (u->type == NULL || u->natural_key == NULL || u->natural_key[0] == '\0')
		return bad_unit(s, u, "it has no type or no natural key");
	if (u->artifact_count > us->scratch_cap) {
		struct change_artifact *more = u->artifact_count > UNITS_BYTES_MAX / sizeof(*more)
						       ? NULL
						       : realloc(us->scratch, u->artifact_count * sizeof(*more));

		if (more == NULL)
			return no_memory(s);
		us->scratch = more;
		us->scratch_cap = u->artifact_count;
	}
	*to = (struct change_unit){
		.type = slice_str(u->type),
		.natural_key = slice_str(u->natural_key),
		.detail = slice_of(u->detail, u->detail_size),
		.artifacts = us->scratch,
		.artifact_count = u->artifact_count,
	};
	*plain = true;
	for (size_t i = 0; rc == 0 && i < u->artifact_count; i++) {
		const struct sluice_artifact *from = &u->artifacts[i];

		us->scratch[i] = (struct change_artifact){
			.relative_path = slice_str(from->relative_path),
			.url = slice_str(from->url),
			.size = from->size >= 0 ? from->size : -1,
			.pinned = from->never_deferred || from->kept != NULL,
		};
		*plain = *plain && !us->scratch[i].pinned;
		rc = read_digests(s, u, from, &us->scratch[i].digests);
	}
	return rc;
}

static int copy_artifacts(struct sluice_sync *s, const struct sluice_unit *u, struct change_unit *to, bool **undeferred)
{
	struct arena *a = &s->units.arena;
	int rc = 0;

	to->artifacts = arena_alloc(a, MAX(u->artifact_count, 1) * sizeof(*to->artifacts));
	if (to->artifacts == NULL)
		return no_memory(s);
	for (size_t i = 0; rc == 0 && i < u->artifact_count; i++) {
		to->artifacts[i] = s->units.scratch[i];
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

/* Behind those that are declared now. */
static int add(struct sluice_sync *s, const struct sluice_unit *u, const struct change_unit *borrowed)
{
	struct units *us = &s->units;
	struct change_unit *to = &us->unit[us->count];
	int rc;

	if (!slice_is_utf8(borrowed->natural_key))
		return bad_unit(s, u, "its natural key is no UTF-8");
	*to = *borrowed;
	us->undeferred[us->count] = NULL;
	rc = check_extra(s, u);
	if (rc == 0)
		rc = copy(s, borrowed->type, &to->type);
	if (rc == 0)
		rc = copy(s, borrowed->natural_key, &to->natural_key);
	if (rc == 0)
		rc = copy(s, slice_str(u->extra_json), &to->extra);
	if (rc == 0 && u->detail != NULL)
		rc = copy_detail(s, u, &to->detail);
	if (rc == 0)
		rc = copy_artifacts(s, u, to, &us->undeferred[us->count]);
	if (rc != 0)
		return rc;
	to->supersedes = u->supersedes;
	us->count++;
	s->declared++;
	return us->count == UNITS_MAX || us->arena.used > UNITS_BYTES ? units_flush(s) : 0;
}

/* 1: it is declared already; the change has begun. */
static int keep(struct sluice_sync *s, const struct change_unit *borrowed)
{
	int rc = sync_begin_change(s);

	if (rc == 0 && change_keep(s->change, borrowed) == 1) {
		s->declared++;
		rc = 1;
	}
	return rc;
}

int units_known(struct sluice_sync *s, const struct sluice_unit *u)
{
	struct change_unit borrowed;
	bool plain = false;
	int rc = borrow(s, u, &borrowed, &plain);

	return rc == 0 && plain && s->acs_id == 0 ? keep(s, &borrowed) : rc;
}

int units_add(struct sluice_sync *s, const struct sluice_unit *u)
{
	struct change_unit borrowed;
	bool plain = false;
	int rc = borrow(s, u, &borrowed, &plain);

	if (rc == 0 && plain && s->acs_id == 0)
		rc = keep(s, &borrowed);
	if (rc != 0)
		return MIN(rc, 0);
	return add(s, u, &borrowed);
}

int sync_begin_change(struct sluice_sync *s)
{
	const struct change_opts opts = {
		.repository_id = s->repository->id,
		.remote_id = s->remote->id,
		.mirror = s->mirror,
		.base_number = -1,
	};

	int rc;

	if (s->change != NULL)
		return 0;
	rc = change_begin(s->env->catalog, &opts, &s->change, &s->err);
	return rc == 0 ? change_know(s->change, &s->err) : rc;
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
