/* The life of a sync, from top to bottom:
 *
 *   begin ── read upstream ──┬── download what may not wait ── make and publish the version ── remember ── report
 *                            └── nothing new: skip
 *
 * Until the version is made nothing of it is visible, and a failure (or the death of this process) leaves the repository
 * as it was; its publication and the version itself are completed together. The caller holds the repository exclusively and the remote shared. */
#include "sync/acs.h"
#include "sync/details.h"
#include "sync/sync_priv.h"
#include "catalog/upkeep.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

const struct sluice_format *sync_format_of(const struct sync_env *env, const char *type)
{
	struct slice rest = slice_str(type);
	struct slice name = slice_cut(&rest, '.');

	for (const struct sluice_format *const *f = env->formats; *f != NULL; f++)
		if (slice_eq(name, slice_str((*f)->name)) && slice_eq(rest, slice_str((*f)->kind)))
			return *f;
	return NULL;
}

static unsigned policy_bit(enum policy p)
{
	return p == POLICY_IMMEDIATE ? SLUICE_IMMEDIATE : p == POLICY_ON_DEMAND ? SLUICE_ON_DEMAND : SLUICE_STREAMED;
}

static int arg_uuid(const json_t *args, const char *key, struct uuid *out, struct err *err)
{
	const char *text = json_string_value(json_object_get(args, key));

	if (text == NULL || uuid_parse(slice_str(text), out) != 0)
		return err_set(err, -ERR_INVAL, "the task has no valid '%s'", key);
	return 0;
}

static bool arg_bool(const json_t *args, const char *key, bool otherwise)
{
	const json_t *v = json_object_get(args, key);

	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

/* The rows that the sync starts from. */
static int load_rows(struct sluice_sync *s)
{
	const json_t *args = task_args(s->task);
	struct uuid repository, remote;
	struct txn *t = NULL;
	int rc;

	if ((rc = arg_uuid(args, "repository", &repository, &s->err)) != 0 ||
		(rc = arg_uuid(args, "remote", &remote, &s->err)) != 0)
		return rc;
	rc = catalog_read(s->env->catalog, &t, &s->err);
	if (rc == 0)
		rc = catalog_repository_by_uuid(t, &repository, &s->repository, &s->err);
	if (rc == 0)
		rc = catalog_remote_by_uuid(t, &remote, &s->remote, &s->err);
	if (rc == 0)
		rc = catalog_version_latest(t, s->repository->id, &s->latest, &s->err);
	txn_end(&t);
	return rc;
}

static int set_facts(struct sluice_sync *s)
{
	json_t *remote = json_loads(s->remote->extra, 0, NULL), *repository = json_loads(s->repository->extra, 0, NULL);
	struct facts *f = &s->facts;
	const char *key;
	json_t *value;
	char name[256];
	int rc;

	rc = facts_set_fields(f, "remote", s->format->remote_fields, remote);
	if (rc == 0)
		rc = facts_set_fields(f, "repository", s->format->repository_fields, repository);
	if (rc == 0)
		rc = facts_set(f, "remote.url", s->remote->url);
	if (rc == 0)
		rc = facts_set(f, "remote.name", s->remote->name);
	if (rc == 0)
		rc = facts_set(f, "repository.name", s->repository->name);
	if (rc == 0)
		rc = facts_set(f, "mirror", s->mirror ? "true" : "false");
	if (rc == 0)
		rc = facts_set(f, "verbatim", s->verbatim ? "true" : "false");
	json_object_foreach((json_t *)task_args(s->task), key, value)
	{
		if (rc == 0 && snprintf(name, sizeof(name), "sync.%s", key) < (int)sizeof(name))
			rc = facts_set_json(f, name, value);
	}
	json_decref(remote);
	json_decref(repository);
	return rc == 0 ? 0 : err_set(&s->err, rc, "no memory for what the format may ask");
}

/* Is anything missing that this sync would download although upstream's metadata has not changed? What upstream did not
 * have is asked for again only after the cool-down. */
static int is_anything_due(struct sluice_sync *s, bool *due)
{
	int64_t cooldown_us = s->env->settings->content_failure_cooldown * 1000;
	int64_t before_us = s->fail_missing ? INT64_MAX : clock_wall_us() - cooldown_us;
	struct txn *t = NULL;
	int rc = catalog_read(s->env->catalog, &t, &s->err);

	if (rc == 0)
		rc = catalog_version_due(
			t, s->repository->id, s->latest.number, s->remote->id, before_us, due, &s->err);
	txn_end(&t);
	return rc;
}

/* What this sync was asked for beside the common options, by whoever started it and by the remote's own fields, to be compared with the next
 * one's. */
static int note_options(struct sluice_sync *s)
{
	const struct sluice_field *f = s->format->sync_fields;
	int rc;

	s->options = json_object();
	rc = s->options != NULL ? json_object_set_new(s->options, "verbatim", json_boolean(s->verbatim)) : -1;
	if (rc == 0)
		rc = json_object_set_new(s->options, "remote", json_loads(s->remote->extra, 0, NULL));
	/* What a format takes out of versions goes by the repository. */
	if (rc == 0 && s->format->settle != NULL)
		rc = json_object_set_new(s->options, "repository", json_loads(s->repository->extra, 0, NULL));
	for (; rc == 0 && f != NULL && f->name != NULL; f++) {
		json_t *v = json_object_get(task_args(s->task), f->name);

		rc = json_object_set_new(s->options, f->name, v != NULL ? json_incref(v) : json_null());
	}
	return rc == 0 ? 0 : err_set(&s->err, -ERR_NOMEM, "no memory for a sync");
}

static int decide_skipping(struct sluice_sync *s)
{
	bool due = false;
	int rc = 0;

	s->may_skip = s->optimize && details_match(s);
	if (s->may_skip && s->remote->policy == POLICY_IMMEDIATE)
		rc = is_anything_due(s, &due);
	s->may_skip = s->may_skip && !due;
	return rc;
}

static int begin(struct sluice_sync *s)
{
	const json_t *args = task_args(s->task);
	const char *on_missing = json_string_value(json_object_get(args, "on_missing"));
	int rc = json_object_get(args, "acs") != NULL ? acs_load(s) : load_rows(s);

	if (rc != 0)
		return rc;
	s->mirror = arg_bool(args, "mirror", false);
	s->verbatim = arg_bool(args, "verbatim", s->mirror);
	s->optimize = s->acs_id == 0 && arg_bool(args, "optimize", true);
	s->fail_missing = on_missing != NULL && strcmp(on_missing, "fail") == 0;
	s->format = sync_format_of(s->env, s->repository->type);
	if (s->format == NULL)
		return err_set(&s->err, -ERR_UNSUPPORTED, "no format '%s' is installed", s->repository->type);
	if (strcmp(s->remote->type, s->repository->type) != 0)
		return err_set(&s->err, -ERR_INVAL, "remote '%s' is of another type than repository '%s'",
			s->remote->name, s->repository->name);
	if ((s->format->policies & policy_bit(s->remote->policy)) == 0)
		return err_set(&s->err, -ERR_UNSUPPORTED, "the format does not support the policy '%s'",
			policy_name(s->remote->policy));
	s->last = json_loads(s->repository->last_sync_details, 0, NULL);
	s->metadata = json_object();
	if (s->metadata == NULL)
		return err_set(&s->err, -ERR_NOMEM, "no memory for a sync");
	if ((rc = set_facts(s)) != 0 || (rc = note_options(s)) != 0 || (rc = units_init(s)) != 0 ||
		(rc = decide_skipping(s)) != 0)
		return rc;
	return wire_init(&s->wire, s->env->settings, &s->err);
}

static int read_upstream(struct sluice_sync *s)
{
	int rc = s->format->sync(&sync_host, s);

	if (s->err.code != 0) /* also when the format overlooked it */
		return s->err.code;
	if (rc < 0)
		return err_set(
			&s->err, -ERR_INTERNAL, "the format '%s' failed without saying why (%d)", s->format->name, rc);
	if (s->unchanged)
		return 0;
	rc = units_flush(s);
	if (rc == 0 && s->fetched > 0)
		task_progress_done(s->task, "sync.downloading.metadata", s->fetched);
	return rc;
}

/* Nothing new. The validators may be: the next request is to be a conditional one as well. */
static int skip(struct sluice_sync *s)
{
	const json_t *last = json_object_get(s->last, "metadata");
	const char *url;
	json_t *entry;

	task_progress(s->task, "sync.was_skipped", "Skipping Sync (nothing new)", 1, 0);
	task_progress_done(s->task, "sync.was_skipped", 1);
	/* What was not asked for this time keeps what is known of it. */
	json_object_foreach((json_t *)last, url, entry)
	{
		if (json_object_get(s->metadata, url) == NULL && json_object_set(s->metadata, url, entry) != 0)
			return err_set(&s->err, -ERR_NOMEM, "no memory for the details of the sync");
	}
	return json_equal(s->metadata, last) ? 0 : details_save(s, s->latest.number);
}

/* Everything that this sync declared and that is not there. */
struct missing_walk {
	struct sluice_sync *s;
	struct change_missing_at at;
};

static int next_missing(void *arg, struct change_missing *rows, size_t max, size_t *count, struct err *err)
{
	struct missing_walk *w = arg;

	return change_missing_next(w->s->change, &w->at, rows, max, count, err);
}

static int download_missing(struct sluice_sync *s)
{
	struct missing_walk walk = {.s = s};
	int rc = s->remote->policy == POLICY_IMMEDIATE ? download_all(s, next_missing, &walk) : 0;

	if (rc == 0 && s->downloaded > 0)
		task_progress_done(s->task, "sync.downloading.artifacts", s->downloaded);
	if (rc == 0 && s->missing > 0)
		task_progress_done(s->task, "sync.missing.artifacts", s->missing);
	return rc;
}

/* A version without the publication that it should have: it was made before publications were wanted, or by a program
 * that died in between. Clients have the old one; made up for by the next sync, which finds a version that no sync has
 * recorded and nobody published. */
static int publish_owed(struct sluice_sync *s, struct publish_what *what)
{
	struct txn *t = NULL;
	bool owed = false;
	int rc;

	if (s->latest.number == 0 || details_version(s) == s->latest.number)
		return 0;
	rc = catalog_read(s->env->catalog, &t, &s->err);
	if (rc == 0)
		rc = catalog_version_unpublished(t, s->latest.id, &owed, &s->err);
	txn_end(&t);
	what->version = s->latest;
	return rc == 0 && owed ? publish_version(s->task, what, NULL, &s->err) : rc;
}

static const struct sluice_publication_kind *verbatim_kind(const struct sluice_format *f)
{
	const struct sluice_publication_kind *k = f->more_publications;

	while (k != NULL && k->kind != NULL && !k->verbatim)
		k++;
	return k != NULL && k->kind != NULL ? k : NULL;
}

static int make_version(struct sluice_sync *s)
{
	struct publish_what what = {
		.env = s->env,
		.format = s->format,
		.repository = s->repository,
		.mirror = s->verbatim,
		.remote_url = s->remote->url,
		.kept = &s->kept,
	};
	bool publishes = s->verbatim || s->repository->autopublish;
	json_t *fields = publish_repository_fields(s->format, s->repository);
	int rc;

	what.fields = fields;
	what.kind = s->verbatim ? verbatim_kind(s->format) : NULL;
	rc = settle_change(s->change, s->format, s->repository, s->env->catalog, &s->err);
	if (rc == 0)
		rc = publish_change(s->task, s->repository, publishes ? &what : NULL, &s->change, &s->result, &s->err);
	if (rc == 0 && publishes && !s->result.changed)
		rc = publish_owed(s, &what);
	json_decref(fields);
	return rc;
}

static int set_result(struct sluice_sync *s)
{
	struct txn *t = NULL;
	json_t *result = NULL;
	int rc;

	if (!s->result.changed)
		return 0;
	rc = catalog_read(s->env->catalog, &t, &s->err);
	if (rc == 0)
		rc = sync_version_json(t, s->format, &s->repository->uuid, s->result.number, &result, &s->err);
	txn_end(&t);
	if (rc == 0)
		task_result(s->task, result);
	return rc;
}

static void report(struct sluice_sync *s)
{
	task_progress(s->task, "associating.content", "Associating Content", s->result.added, 0);
	task_progress_done(s->task, "associating.content", s->result.added);
	if (s->mirror || s->result.removed > 0) {
		task_progress(s->task, "unassociating.content", "Un-Associating Content", s->result.removed, 0);
		task_progress_done(s->task, "unassociating.content", s->result.removed);
	}
}

static void end(struct sluice_sync *s)
{
	change_abort(&s->change);
	units_fini(s);
	readings_free(s);
	kept_free(&s->kept);
	wire_fini(&s->wire);
	facts_fini(&s->facts);
	json_decref(s->last);
	json_decref(s->metadata);
	json_decref(s->options);
	repository_row_free(&s->repository);
	remote_row_free(&s->remote);
	free(s);
}

int sync_task(struct task *t, struct err *err)
{
	struct sluice_sync *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for a sync");
	s->task = t;
	s->env = task_env(t);
	if ((rc = begin(s)) != 0 || (rc = read_upstream(s)) != 0)
		goto out;
	if (s->unchanged) {
		rc = skip(s);
		goto out;
	}
	if (s->acs_id != 0) {
		rc = acs_finish(s);
		goto out;
	}
	if ((rc = sync_begin_change(s)) != 0 || (rc = download_missing(s)) != 0 || (rc = make_version(s)) != 0)
		goto out;
	report(s);
	rc = details_save(s, s->result.changed ? s->result.number : s->latest.number);
	if (rc == 0)
		rc = set_result(s);
	if (rc == 0)
		rc = warm_later(s);
out:
	if (rc != 0 && err != NULL)
		*err = s->err;
	end(s);
	return rc;
}
