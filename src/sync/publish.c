/* Making a publication: the format writes its metadata, file by file, into staging; here each becomes an artifact and a
 * published path. Files are written sixty-four at a time, in one transaction each; nothing is served before the
 * publication is completed. That of a new version is made while the version itself is still in the making, and one
 * transaction completes both. What a crash leaves is swept at the next start. */
#include "sync/sync_priv.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/url.h"
#include "catalog/served.h"
#include "sync/signing.h"

#include <stdlib.h>
#include <string.h>

#define STAGED_MAX 64  /* each holds a descriptor until it is written */
#define FILES_MAX 1000 /* with the units that are published under another path: rows of one transaction */

struct file {
	char *path;
	struct staging *st;
	struct digests digests;
	int64_t size;
	int64_t content_artifact_id; /* a file of the version; then nothing is staged */
};

struct sluice_publish {
	const struct publish_what *what;
	struct catalog *catalog;
	struct facts facts;
	json_t *extra; /* the publication's fields */
	struct file files[FILES_MAX];
	size_t count, staged;
	bool writing; /* files[count] is being written */
	struct hasher *hasher;
	bool only_published;            /* units do not pass through */
	const struct unit_file *walked; /* what each_file hands over just now */
	int64_t id;                     /* 0: not begun */
	struct uuid uuid;
	struct err err;
};

/* ---- into the catalog ---- */

#define TYPE_CAP 128

/* "deb.apt", or "deb.verbatim". */
static const char *type_of(const struct publish_what *what, char out[TYPE_CAP])
{
	(void)snprintf(
		out, TYPE_CAP, "%s.%s", what->format->name, what->kind != NULL ? what->kind->kind : what->format->kind);
	return out;
}

static int begin_publication(struct sluice_publish *p, struct txn *t)
{
	char type[TYPE_CAP];
	char *extra;
	int rc;

	if (p->id != 0)
		return 0;
	extra = json_dumps(p->extra, JSON_COMPACT);
	if (extra == NULL)
		return err_set(&p->err, -ERR_NOMEM, "no memory for a publication");
	rc = catalog_publication_begin(t, type_of(p->what, type), p->what->version.id, !p->only_published,
		p->what->checkpoint, slice_str(extra), &p->id, &p->uuid, &p->err);
	free(extra);
	return rc;
}

static int add_files(struct sluice_publish *p, struct txn *t)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->count; i++) {
		const struct file *f = &p->files[i];
		int64_t artifact = 0;

		if (f->content_artifact_id == 0)
			rc = catalog_artifact_saved(t, 0, 0, &f->digests, f->size, &artifact, &p->err);
		if (rc == 0)
			rc = catalog_publication_add(
				t, p->id, slice_str(f->path), artifact, f->content_artifact_id, &p->err);
		if (rc == -ERR_EXISTS)
			(void)err_wrap(&p->err, "the format published '%s' twice", f->path);
	}
	return rc;
}

/* The staging files stay the files' until they are recorded. */
static int commit_files(struct sluice_publish *p, struct store_item items[STAGED_MAX], size_t *count)
{
	size_t n = 0;

	for (size_t i = 0; i < p->count; i++) {
		const struct file *f = &p->files[i];

		if (f->content_artifact_id != 0)
			continue;
		items[n] = (struct store_item){.st = f->st, .size = f->size, .keep = true};
		memcpy(items[n++].sha256, f->digests.d[DIGEST_SHA256], sizeof(items[0].sha256));
	}
	*count = n;
	if (n > 0)
		store_commit(p->what->env->store, items, n);
	for (size_t i = 0; i < n; i++) {
		if (items[i].rc != 0) {
			p->err = items[i].err;
			return items[i].rc;
		}
	}
	return 0;
}

static void forget_files(struct sluice_publish *p)
{
	for (size_t i = 0; i < p->count; i++) {
		staging_drop(&p->files[i].st);
		free(p->files[i].path);
	}
	p->count = p->staged = 0;
}

/* *there: nothing of it was removed since it was found in the store; else nothing is written. */
static int record_files(struct sluice_publish *p, const struct store_item *items, size_t count, bool *there)
{
	struct txn *t = NULL;
	int64_t begun = p->id;
	int rc = catalog_write(p->catalog, &t, &p->err);

	*there = rc < 0 || store_items_there(p->what->env->store, items, count);
	if (rc == 0 && *there)
		rc = begin_publication(p, t);
	if (rc == 0 && *there)
		rc = add_files(p, t);
	if (rc == 0 && *there)
		rc = txn_commit(&t, &p->err);
	txn_end(&t);
	if (rc != 0)
		p->id = begun; /* rolled back */
	return rc;
}

static int write_files(struct sluice_publish *p)
{
	struct store_item items[STAGED_MAX];
	bool there = true;
	size_t count;
	int rc;

	do {
		rc = commit_files(p, items, &count);
		if (rc == 0)
			rc = record_files(p, items, count, &there);
	} while (rc == 0 && !there);
	forget_files(p);
	return rc;
}

/* ---- what the format calls ---- */

struct walk {
	struct sluice_publish *p;
	int (*fn)(void *arg, const struct sluice_file *f);
	void *arg;
};

static int each_unit(void *arg, const struct unit_file *u)
{
	struct walk *w = arg;
	struct sluice_digest digests[DIGEST_COUNT];
	char hex[DIGEST_COUNT][DIGEST_HEX_MAX];
	struct sluice_file f = {.size = u->size, .digests = digests};
	char *path = slice_dup(u->relative_path), *extra = slice_dup(u->extra), *type = slice_dup(u->type),
	     *key = slice_dup(u->natural_key);
	int rc;

	if (path == NULL || extra == NULL || type == NULL || key == NULL) {
		rc = err_set(&w->p->err, -ERR_NOMEM, "no memory for a publication");
		goto out;
	}
	for (int alg = 0; alg < DIGEST_COUNT; alg++) {
		if ((u->digests->have & (1u << alg)) == 0)
			continue;
		digest_hex((enum digest_alg)alg, u->digests->d[alg], hex[alg]);
		digests[f.digest_count++] = (struct sluice_digest){digest_name((enum digest_alg)alg), hex[alg]};
	}
	f.type = type;
	f.natural_key = key;
	f.relative_path = path;
	f.extra_json = u->extra.n > 0 ? extra : NULL;
	f.detail = u->detail.n > 0 ? u->detail.p : NULL;
	f.detail_size = u->detail.n;
	w->p->walked = u;
	rc = w->fn(w->arg, &f);
	w->p->walked = NULL;
	if (rc >= 0)
		rc = w->p->err.code;
out:
	free(path);
	free(extra);
	free(type);
	free(key);
	return rc;
}

static int host_each_file(struct sluice_publish *p, int (*fn)(void *arg, const struct sluice_file *f), void *arg)
{
	struct walk walk = {.p = p, .fn = fn, .arg = arg};
	struct txn *t = NULL;
	int rc;

	if (p->err.code != 0)
		return p->err.code;
	rc = catalog_read(p->catalog, &t, &p->err);
	if (rc == 0)
		rc = catalog_version_files_each(
			t, p->what->repository->id, p->what->version.number, each_unit, &walk, &p->err);
	txn_end(&t);
	if (rc != 0 && p->err.code == 0)
		(void)err_set(&p->err, rc, "the format stopped reading the version's files");
	return rc;
}

static int host_each_unit(struct sluice_publish *p, const char *type,
	int (*fn)(void *arg, const char *natural_key, const char *extra_json), void *arg)
{
	return sync_each_unit(p->catalog, p->what->repository->id, p->what->version.number, type, fn, arg, &p->err);
}

static int add_path(struct sluice_publish *p, const char *relative_path)
{
	struct err why;
	int rc;

	if (url_relpath_check(slice_str(relative_path), &why) != 0)
		return err_set(&p->err, -ERR_INVAL, "the format cannot publish under '%s': %s", relative_path, why.msg);
	rc = p->count == FILES_MAX || p->staged == STAGED_MAX ? write_files(p) : 0;
	if (rc != 0)
		return rc;
	p->files[p->count] = (struct file){.path = strdup(relative_path)};
	return p->files[p->count].path != NULL ? 0 : err_set(&p->err, -ERR_NOMEM, "no memory for a publication");
}

static int host_file_begin(struct sluice_publish *p, const char *relative_path)
{
	struct file *f;
	int rc;

	if (p->err.code != 0)
		return p->err.code;
	if (p->writing)
		return err_set(&p->err, -ERR_INTERNAL, "the format began '%s' before it had ended another file",
			relative_path);
	rc = add_path(p, relative_path);
	if (rc != 0)
		return rc;
	f = &p->files[p->count];
	rc = staging_new(p->what->env->store, &f->st, &p->err);
	if (rc == 0 && hasher_new(0, &p->hasher) != 0)
		rc = err_set(&p->err, -ERR_NOMEM, "no memory for a digest");
	p->writing = rc == 0;
	if (rc != 0) {
		staging_drop(&f->st);
		free(TAKE(f->path));
	}
	return rc;
}

static int host_file_write(struct sluice_publish *p, const void *data, size_t n)
{
	struct file *f = &p->files[p->count];
	int rc;

	if (p->err.code != 0)
		return p->err.code;
	if (!p->writing)
		return err_set(&p->err, -ERR_INTERNAL, "the format wrote without having begun a file");
	rc = staging_write(f->st, data, n, f->size, &p->err);
	if (rc != 0)
		return rc;
	hasher_add(p->hasher, data, n);
	f->size += (int64_t)n;
	return 0;
}

static int host_file_name(struct sluice_publish *p, const char *relative_path)
{
	struct err why;
	char *path;

	if (p->err.code != 0)
		return p->err.code;
	if (!p->writing)
		return err_set(&p->err, -ERR_INTERNAL, "the format named a file that it had not begun");
	if (url_relpath_check(slice_str(relative_path), &why) != 0)
		return err_set(&p->err, -ERR_INVAL, "the format cannot publish under '%s': %s", relative_path, why.msg);
	path = strdup(relative_path);
	if (path == NULL)
		return err_set(&p->err, -ERR_NOMEM, "no memory for a publication");
	free(p->files[p->count].path);
	p->files[p->count].path = path;
	return 0;
}

static int host_file_end(struct sluice_publish *p)
{
	if (p->err.code != 0)
		return p->err.code;
	if (!p->writing)
		return err_set(&p->err, -ERR_INTERNAL, "the format ended a file that it had not begun");
	hasher_end(p->hasher, &p->files[p->count].digests);
	hasher_free(&p->hasher);
	p->writing = false;
	p->count++;
	p->staged++;
	return 0;
}

static int add_text(struct sluice_publish *p, const char *path, struct slice text)
{
	int rc = path != NULL ? host_file_begin(p, path) : 0;

	if (rc == 0 && path != NULL)
		rc = host_file_write(p, text.p, text.n);
	return rc == 0 && path != NULL ? host_file_end(p) : rc;
}

static int host_sign(struct sluice_publish *p, const struct sluice_sign *what)
{
	struct signing_service service;
	struct signatures made;
	int rc;

	if (p->err.code != 0)
		return p->err.code;
	if (p->writing || strchr(what->name, '/') != NULL)
		return err_set(&p->err, -ERR_INTERNAL, "the format had '%s' signed at a wrong time", what->name);
	rc = signing_find(p->catalog, what->service, &service, &p->err);
	if (rc != 0)
		return rc;
	rc = signing_sign(&service, what->name, slice_of(what->data, what->size),
		p->what->env->settings->tasks_signing_limit, false, &made, &p->err);
	if (rc == 0) {
		if ((what->clear_signed != NULL && made.clear.n == 0) ||
			(what->detached != NULL && made.detached.n == 0))
			rc = err_set(&p->err, -ERR_UNSUPPORTED, "signing service '%.100s' does not make %s of '%s'",
				service.name, made.clear.n == 0 ? "a clear-signed form" : "a detached signature",
				what->name);
		if (rc == 0)
			rc = add_text(p, what->clear_signed, buf_slice(&made.clear));
		if (rc == 0)
			rc = add_text(p, what->detached, buf_slice(&made.detached));
		if (rc == 0)
			rc = add_text(p, what->key, slice_str(service.public_key));
		signatures_fini(&made);
	}
	signing_service_fini(&service);
	return rc;
}

static int host_file_kept(struct sluice_publish *p, const char *save_as, const char *relative_path)
{
	struct kept *k;
	struct file *f;
	int rc;

	if (p->err.code != 0)
		return p->err.code;
	if (p->writing)
		return err_set(&p->err, -ERR_INTERNAL, "the format published '%s' before it had ended another file",
			relative_path);
	k = p->what->kept != NULL ? kept_find(*p->what->kept, save_as) : NULL;
	if (k == NULL)
		return 1;
	rc = add_path(p, relative_path);
	if (rc != 0)
		return rc;
	f = &p->files[p->count++];
	p->staged++;
	f->st = TAKE(k->st);
	f->digests = k->digests;
	f->size = k->size;
	return 0;
}

static int host_file_unit(struct sluice_publish *p, const struct sluice_file *f, const char *relative_path)
{
	int rc;

	(void)f; /* what each_file handed over: known by its row */
	if (p->err.code != 0)
		return p->err.code;
	if (p->walked == NULL || p->writing)
		return err_set(&p->err, -ERR_INTERNAL, "the format published '%s' at a wrong time", relative_path);
	rc = add_path(p, relative_path);
	if (rc == 0)
		p->files[p->count++].content_artifact_id = p->walked->content_artifact_id;
	return rc;
}

static int host_only_published(struct sluice_publish *p)
{
	if (p->err.code != 0)
		return p->err.code;
	if (p->count > 0 || p->writing || p->id != 0)
		return err_set(&p->err, -ERR_INTERNAL, "the format chose what passes through after its first file");
	p->only_published = true;
	return 0;
}

__attribute__((format(printf, 2, 3))) static int host_fail(struct sluice_publish *p, const char *fmt, ...)
{
	va_list ap;

	if (p->err.code != 0)
		return p->err.code;
	va_start(ap, fmt);
	err_setv(&p->err, -ERR_INVAL, fmt, ap);
	va_end(ap);
	return p->err.code;
}

static const char *host_get(struct sluice_publish *p, const char *name)
{
	return facts_get(&p->facts, name);
}

static int host_set(struct sluice_publish *p, const char *field, const char *json)
{
	json_t *value;
	char name[256];
	int rc;

	if (p->err.code != 0)
		return p->err.code;
	if (p->count > 0 || p->writing || p->id != 0)
		return err_set(&p->err, -ERR_INTERNAL, "the format set '%s' after its first file", field);
	value = json_loads(json, JSON_DECODE_ANY, NULL);
	if (value == NULL || snprintf(name, sizeof(name), "publication.%s", field) >= (int)sizeof(name)) {
		json_decref(value);
		return err_set(&p->err, -ERR_INVAL, "the format set '%.100s' to what is no JSON", field);
	}
	rc = facts_set_json(&p->facts, name, value);
	if (json_object_set_new(p->extra, field, value) != 0)
		rc = -ERR_NOMEM;
	return rc == 0 ? 0 : err_set(&p->err, rc, "no memory for a publication");
}

static const struct sluice_publish_host publish_host = {
	.each_file = host_each_file,
	.each_unit = host_each_unit,
	.file_begin = host_file_begin,
	.file_write = host_file_write,
	.file_end = host_file_end,
	.file_name = host_file_name,
	.file_kept = host_file_kept,
	.fail = host_fail,
	.get = host_get,
	.set = host_set,
	.file_unit = host_file_unit,
	.only_published = host_only_published,
	.sign = host_sign,
};

/* ---- from begin to end ---- */

static json_t *own_fields(const struct sluice_field *fields, const json_t *values)
{
	json_t *out = json_object();

	for (; out != NULL && fields != NULL && fields->name != NULL; fields++)
		(void)json_object_set_new(out, fields->name, facts_field_value(fields, values));
	return out;
}

json_t *publish_repository_fields(const struct sluice_format *f, const struct repository_row *r)
{
	json_t *all = json_loads(r->extra, 0, NULL), *own, *out = json_object();
	const struct sluice_field *field = f->publication_fields;

	/* With the repository's defaults filled in; then those that publications have as well. */
	own = own_fields(f->repository_fields, all);
	for (; field != NULL && field->name != NULL; field++)
		if (json_object_get(own, field->name) != NULL)
			(void)json_object_set(out, field->name, json_object_get(own, field->name));
	json_decref(own);
	json_decref(all);
	return out;
}

static int prepare(struct sluice_publish *p)
{
	const struct publish_what *what = p->what;
	const struct sluice_field *fields = what->kind != NULL ? what->kind->fields : what->format->publication_fields;
	json_t *repository = json_loads(what->repository->extra, 0, NULL);
	int rc;

	p->extra = own_fields(fields, what->fields);
	rc = p->extra != NULL ? 0 : -ERR_NOMEM;
	if (rc == 0)
		rc = facts_set_fields(&p->facts, "publication", fields, p->extra);
	if (rc == 0)
		rc = facts_set_fields(&p->facts, "repository", what->format->repository_fields, repository);
	if (rc == 0)
		rc = facts_set(&p->facts, "repository.name", what->repository->name);
	if (rc == 0)
		rc = facts_set(&p->facts, "mirror", what->mirror ? "true" : "false");
	if (rc == 0)
		rc = facts_set(&p->facts, "remote.url", what->remote_url);
	json_decref(repository);
	return rc == 0 ? 0 : err_set(&p->err, rc, "no memory for a publication");
}

static int run_format(struct sluice_publish *p)
{
	const struct sluice_format *f = p->what->format;
	int rc;

	if (p->what->kind != NULL)
		rc = p->what->kind->publish(&publish_host, p);
	else if (f->publish != NULL)
		rc = f->publish(&publish_host, p);
	else
		return err_set(&p->err, -ERR_UNSUPPORTED, "the format '%s' has no publications", f->name);
	if (p->err.code != 0) /* also when the format overlooked it */
		return p->err.code;
	if (rc < 0)
		return err_set(&p->err, -ERR_INTERNAL, "the format '%s' failed without saying why (%d)", f->name, rc);
	if (p->writing)
		return err_set(&p->err, -ERR_INTERNAL, "the format '%s' did not end a file", f->name);
	return 0;
}

/* Undone for good; if that fails too, the sweep at the next start does it. */
static void drop_publication(struct sluice_publish *p)
{
	struct txn *t = NULL;
	struct err err = ERR_INIT;
	int rc;

	if (p->id == 0)
		return;
	rc = catalog_write(p->catalog, &t, &err);
	if (rc == 0)
		rc = catalog_publication_delete(t, p->id, &err);
	if (rc == 0)
		rc = txn_commit(&t, &err);
	txn_end(&t);
	if (rc != 0 && rc != -ERR_NOTFOUND) /* gone with its version */
		log_warn("sync", "an incomplete publication stays until the next start, ignoring: %s", err.msg);
}

static int tell(struct sluice_publish *p, struct task *t, json_t **result)
{
	struct buf href = BUF_INIT(0), prn = BUF_INIT(0);
	struct txn *txn = NULL;
	int rc = 0;

	sync_publication_names(p->what->format, p->what->kind, &p->uuid, &href, &prn);
	if (href.failed != 0 || prn.failed != 0)
		rc = err_set(&p->err, -ERR_NOMEM, "no memory for a name");
	else if (task_created(t, prn.p, href.p) != 0)
		rc = err_set(&p->err, -ERR_DB, "the publication cannot be recorded with its task");
	if (rc == 0 && result != NULL) {
		rc = catalog_read(p->catalog, &txn, &p->err);
		if (rc == 0)
			rc = sync_publication_json(txn, p->what->format, p->what->kind, &p->uuid, result, &p->err);
		txn_end(&txn);
	}
	buf_fini(&href);
	buf_fini(&prn);
	return rc;
}

static void end(struct sluice_publish **pp, bool completed)
{
	struct sluice_publish *p = TAKE(*pp);

	if (p == NULL)
		return;
	if (!completed)
		drop_publication(p);
	if (p->writing)
		p->count++; /* freed like the others */
	forget_files(p);
	hasher_free(&p->hasher);
	facts_fini(&p->facts);
	json_decref(p->extra);
	free(p);
}

/* All of it, but not complete. */
static int make(const struct publish_what *what, struct sluice_publish **out, struct err *err)
{
	struct sluice_publish *p = calloc(1, sizeof(*p));
	int rc;

	if (p == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for a publication");
	p->what = what;
	p->catalog = what->env->catalog;
	rc = prepare(p);
	if (rc == 0)
		rc = run_format(p);
	if (rc == 0)
		rc = write_files(p);
	if (rc != 0) {
		if (err != NULL)
			*err = p->err;
		end(&p, false);
	}
	*out = p;
	return rc;
}

static int complete_in(struct txn *t, void *arg, struct err *err)
{
	struct sluice_publish *p = arg;

	return catalog_publication_complete(t, p->id, err);
}

static int complete(struct sluice_publish *p, struct err *err)
{
	struct txn *t = NULL;
	int rc = catalog_write(p->catalog, &t, err);

	if (rc == 0)
		rc = complete_in(t, p, err);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	return rc;
}

int publish_version(struct task *t, const struct publish_what *what, json_t **result, struct err *err)
{
	struct sluice_publish *p = NULL;
	bool completed = false;
	int rc = make(what, &p, err);

	if (rc == 0) {
		rc = complete(p, err);
		completed = rc == 0;
	}
	if (rc == 0 && (rc = tell(p, t, result)) != 0 && err != NULL)
		*err = p->err;
	end(&p, completed);
	return rc;
}

int publish_change(struct task *t, const struct repository_row *r, struct publish_what *what, struct change **change,
	struct change_result *out, struct err *err)
{
	struct sluice_publish *p = NULL;
	bool completed = false;
	int rc = change_settle(*change, out, err);

	if (rc == 0 && out->changed && what != NULL) {
		what->version = (struct version_row){.id = out->version_id,
			.repository_id = r->id,
			.number = out->number,
			.uuid = out->uuid,
			.added = out->added,
			.removed = out->removed,
			.present = out->present};
		rc = make(what, &p, err);
	}
	if (rc == 0) {
		rc = change_finish_with(change, p != NULL ? complete_in : NULL, p, out, err);
		completed = rc == 0;
	}
	if (rc == 0 && out->changed)
		rc = sync_created_version(t, r->type, &r->uuid, out->number, &out->uuid, err);
	if (rc == 0 && p != NULL && (rc = tell(p, t, NULL)) != 0 && err != NULL)
		*err = p->err;
	end(&p, completed);
	return rc;
}

/* ---- the task ---- */

static int find_kind(struct publish_what *what, const char *name, struct err *err)
{
	const struct sluice_publication_kind *k = what->format->more_publications;

	while (name != NULL && k != NULL && k->kind != NULL && strcmp(k->kind, name) != 0)
		k++;
	if (name != NULL && (k == NULL || k->kind == NULL))
		return err_set(err, -ERR_UNSUPPORTED, "the format '%s' has no publications '%.100s'",
			what->format->name, name);
	what->kind = name != NULL ? k : NULL;
	return 0;
}

static int load(struct publish_what *what, const json_t *args, struct repository_row **repository, struct err *err)
{
	const json_t *version = json_object_get(args, "repository_version");
	const char *uuid = json_string_value(json_array_get(version, 0));
	const json_t *number = json_array_get(version, 1);
	struct uuid u;
	struct txn *t = NULL;
	int rc;

	if (uuid == NULL || uuid_parse(slice_str(uuid), &u) != 0 || !json_is_integer(number))
		return err_set(err, -ERR_INVAL, "the task has no valid 'repository_version'");
	rc = catalog_read(what->env->catalog, &t, err);
	if (rc == 0)
		rc = catalog_repository_by_uuid(t, &u, repository, err);
	if (rc == 0)
		rc = catalog_version_get(t, (*repository)->id, json_integer_value(number), &what->version, err);
	txn_end(&t);
	if (rc != 0)
		return rc;
	what->repository = *repository;
	what->format = sync_format_of(what->env, (*repository)->type);
	return what->format != NULL
		       ? find_kind(what, json_string_value(json_object_get(args, "publication_kind")), err)
		       : err_set(err, -ERR_UNSUPPORTED, "no format '%s' is installed", (*repository)->type);
}

int publish_task(struct task *t, struct err *err)
{
	const json_t *args = task_args(t);
	struct publish_what what = {
		.env = task_env(t),
		.fields = args,
		.checkpoint = json_is_true(json_object_get(args, "checkpoint")),
	};
	struct repository_row *repository = NULL;
	json_t *result = NULL;
	int rc = load(&what, args, &repository, err);

	if (rc == 0)
		rc = publish_version(t, &what, &result, err);
	if (rc == 0)
		task_result(t, result);
	repository_row_free(&repository);
	return rc;
}
