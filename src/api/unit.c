/* Units that clients bring: made of an uploaded file of an artifact that is there, or of what lies at an URL, and put into a repository if one is named. At once
 * (the action upload), or by a task (create), because a repository may be busy. */
#include "api/api_priv.h"

#include "base/check.h"
#include "base/fsutil.h"
#include "base/url.h"
#include "catalog/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define PATH_FIELD                                                                         \
	{                                                                                  \
		.name = "relative_path", .type = T_STRING, .flags = F_REQUIRED | F_OPTION, \
		.check = api_check_base_path, .help = "path below the distribution"        \
	}
#define FILE_FIELD                                                                                      \
	{                                                                                               \
		.name = "file", .type = T_FILE, .flags = F_OPTION, .help = "the file, with the request" \
	}
#define ARTIFACT_FIELD                                                                                  \
	{                                                                                               \
		.name = "artifact", .type = T_REF, .flags = F_OPTION | F_NULLABLE, .kind = "artifacts", \
		.help = "an artifact that is there"                                                     \
	}
#define UPLOAD_FIELD                                                                                \
	{                                                                                           \
		.name = "upload", .type = T_REF, .flags = F_OPTION | F_NULLABLE, .kind = "uploads", \
		.help = "an upload whose chunks are all there; it goes"                             \
	}
#define URL_FIELD                                                                                             \
	{                                                                                                     \
		.name = "file_url", .type = T_STRING, .flags = F_OPTION | F_NULLABLE, .check = api_check_url, \
		.help = "where the file is downloaded from"                                                   \
	}
#define CONFIG_FIELD                                                                                                 \
	{                                                                                                            \
		.name = "downloader_config", .type = T_OBJECT, .flags = F_OPTION | F_NULLABLE,                       \
		.check = api_check_downloader, .help = "for file_url: fields of a remote that say how it is fetched" \
	}
#define LABELS_FIELD                                                                                       \
	{                                                                                                  \
		.name = "pulp_labels", .type = T_LABELS, .flags = F_OPTION, .help = "labels of a new unit" \
	}

const struct api_field api_unit_fields[] = {
	PATH_FIELD,
	FILE_FIELD,
	UPLOAD_FIELD,
	ARTIFACT_FIELD,
	URL_FIELD,
	CONFIG_FIELD,
	LABELS_FIELD,
	{.name = "repository",
		.type = T_REF,
		.flags = F_OPTION | F_NULLABLE,
		.kind = "repositories",
		.help = "repository that gets it"},
	{.name = "overwrite",
		.type = T_BOOLEAN,
		.flags = F_OPTION,
		.default_json = "true",
		.help = "whether it replaces another unit of the same path in the repository"},
	{.name = NULL},
};

const struct api_field api_unit_upload_fields[] = {
	PATH_FIELD, FILE_FIELD, ARTIFACT_FIELD, LABELS_FIELD, {.name = NULL}};

bool api_uploads(const struct api_resource *r)
{
	return r->format != NULL && r->format->upload != NULL && strcmp(r->type, r->format->content_type) == 0;
}

/* ---- where the bytes come from ---- */

/* sha256 in hex of what is there now, in the arena; NULL: the task gets it, of an upload or an URL. False: answered. */
static bool source_of(struct api_ctx *x, const json_t *options, const char **sha256)
{
	struct api_file *file = api_form_file(x->files, json_object_get(options, "file"));
	const char *artifact = api_row_str(options, "artifact"), *upload = api_row_str(options, "upload"),
		   *url = api_row_str(options, "file_url");
	char hex[DIGEST_HEX_MAX];
	struct err err = ERR_INIT;
	json_t *row = NULL;
	bool existed;
	int64_t id;
	int rc;

	if ((file != NULL) + (artifact != NULL) + (upload != NULL) + (url != NULL) != 1) {
		api_reply_field(x, "non_field_errors", "Exactly one of %s must be specified.",
			json_object_get(options, "overwrite") != NULL ? "'upload', 'artifact', 'file', 'file_url'"
								      : "'artifact', 'file'");
		return false;
	}
	*sha256 = NULL;
	if (upload != NULL || url != NULL)
		return true;
	if (file != NULL) {
		rc = api_save(x, file, &id, &existed, &err);
		*sha256 = api_text(x, "%s", digest_hex(DIGEST_SHA256, file->digests.d[DIGEST_SHA256], hex));
	} else if ((rc = api_row_by(x, api_resource_of(x->api, "artifacts", NULL), "uuid", artifact, &row, &err)) ==
		   0) {
		*sha256 = api_text(x, "%s", api_row_str(row, "sha256"));
	}
	json_decref(row);
	if (rc < 0)
		api_reply_err(x, rc, &err);
	return rc == 0;
}

/* ---- what the format makes of it ---- */

#define UNITS_MAX 8 /* the file's, and what goes with it */

struct made {
	char *type, *key, *extra, *path; /* path: of the first alone */
	void *detail;
	size_t detail_size;
};

struct sluice_upload {
	const struct api_resource *resource;
	const json_t *facts; /* texts by name */
	int fd;
	struct made units[UNITS_MAX];
	size_t count;
	struct err err;
};

static const char *host_get(struct sluice_upload *u, const char *name)
{
	return api_row_str(u->facts, name);
}

static int64_t host_read(struct sluice_upload *u, int64_t off, void *buf, size_t n)
{
	ssize_t got;

	do
		got = pread(u->fd, buf, n, off);
	while (got < 0 && errno == EINTR);
	return got >= 0 ? got : err_sys(&u->err, errno, "reading an uploaded file");
}

static int host_unit(struct sluice_upload *u, const struct sluice_unit *unit)
{
	const struct sluice_artifact *a = unit->artifact_count > 0 ? &unit->artifacts[0] : NULL;
	struct made *m = &u->units[u->count];
	bool main_unit = u->count == 0;

	if (u->err.code != 0)
		return u->err.code;
	if (u->count == UNITS_MAX || main_unit != (a != NULL) ||
		(main_unit && strcmp(unit->type, u->resource->type) != 0))
		return err_set(&u->err, -ERR_INTERNAL, "the format made an upload into what it cannot be");
	if (a != NULL && url_relpath_check(slice_str(a->relative_path), &u->err) != 0)
		return err_wrap(&u->err, "relative_path");
	u->count++;
	m->type = strdup(unit->type);
	m->key = strdup(unit->natural_key);
	m->extra = strdup(unit->extra_json != NULL ? unit->extra_json : "{}");
	m->path = a != NULL ? strdup(a->relative_path) : NULL;
	m->detail = unit->detail != NULL ? malloc(MAX(unit->detail_size, 1)) : NULL;
	if (m->detail != NULL) {
		memcpy(m->detail, unit->detail, unit->detail_size);
		m->detail_size = unit->detail_size;
	}
	if ((unit->detail != NULL && m->detail == NULL) || m->type == NULL || m->key == NULL || m->extra == NULL ||
		(a != NULL && m->path == NULL))
		return err_set(&u->err, -ERR_NOMEM, "no memory for a unit");
	return 0;
}

__attribute__((format(printf, 2, 3))) static int host_fail(struct sluice_upload *u, const char *fmt, ...)
{
	va_list ap;

	if (u->err.code != 0)
		return u->err.code;
	va_start(ap, fmt);
	err_setv(&u->err, -ERR_INVAL, fmt, ap);
	va_end(ap);
	return u->err.code;
}

static const struct sluice_upload_host upload_host = {host_get, host_read, host_unit, host_fail};

static void upload_fini(struct sluice_upload *u)
{
	for (size_t i = 0; i < u->count; i++) {
		free(u->units[i].type);
		free(u->units[i].key);
		free(u->units[i].extra);
		free(u->units[i].path);
		free(u->units[i].detail);
	}
	fs_close(&u->fd);
}

/* Reads the file, in no transaction. `unit`: {"relative_path", "sha256", "labels", "options"}. */
static int describe(struct api *api, const json_t *unit, struct sluice_upload *u, struct err *err)
{
	const char *path = api_row_str(unit, "relative_path"), *sha256 = api_row_str(unit, "sha256"), *name;
	json_t *facts = json_object(), *option;
	char size_text[24];
	uint8_t digest[32];
	int64_t size;
	int rc;

	json_object_foreach(json_object_get(unit, "options"), name, option)(void) json_object_set(facts, name, option);
	if (sha256 == NULL || hex_parse(slice_str(sha256), digest, sizeof(digest)) < 0)
		rc = err_set(err, -ERR_INVAL, "the unit has no digest");
	else
		rc = store_get(api->store, digest, -1, &u->fd, &size, err);
	if (rc == 0) {
		(void)snprintf(size_text, sizeof(size_text), "%lld", (long long)size);
		(void)json_object_set_new(facts, "sha256", json_string(sha256));
		(void)json_object_set_new(facts, "size", json_string(size_text));
		(void)json_object_set_new(facts, "relative_path", path != NULL ? json_string(path) : json_null());
		u->facts = facts;
		rc = u->resource->format->upload(&upload_host, u);
		if (rc == 0 && u->err.code == 0 && u->count == 0)
			rc = err_set(&u->err, -ERR_INTERNAL, "the format made nothing of an upload");
		rc = u->err.code != 0 ? u->err.code : rc;
		if (rc != 0 && err != NULL)
			*err = u->err;
	}
	json_decref(facts);
	return rc;
}

/* ---- making it ---- */

struct unit_ids {
	int64_t id[UNITS_MAX];
	size_t count;
	struct uuid uuid; /* of the file's */
};

/* In the transaction that looks for the artifact. `all`: with what goes into the repository beside it. */
static int put(struct api *api, struct txn *t, const struct sluice_upload *u, const json_t *unit, bool all,
	struct unit_ids *out, struct err *err)
{
	char *labels = json_dumps(json_object_get(unit, "labels"), JSON_COMPACT);
	int64_t artifact_id, size;
	uint8_t digest[32];
	struct uuid other;
	bool is_new;
	int rc = hex_parse(slice_str(api_row_str(unit, "sha256")), digest, sizeof(digest));

	if (rc == 0)
		rc = api_saved(api, t, digest, &artifact_id, &size, err);
	out->count = 0;
	for (size_t i = 0; rc == 0 && i < (all ? u->count : 1); i++) {
		const struct made *m = &u->units[i];
		struct unit_new n = {
			.type = slice_str(m->type),
			.natural_key = slice_str(m->key),
			.extra = slice_str(m->extra),
			.labels = i == 0 && labels != NULL ? slice_str(labels) : SLICE_NULL,
			.relative_path = m->path != NULL ? slice_str(m->path) : SLICE_NULL,
			.detail = slice_of(m->detail, m->detail_size),
			.artifact_id = artifact_id,
		};

		rc = catalog_unit_put(t, &n, &out->id[out->count++], i == 0 ? &out->uuid : &other, &is_new, err);
	}
	free(labels);
	return rc;
}

static int make(struct api *api, const struct api_resource *r, const json_t *unit, bool all, struct unit_ids *out,
	struct err *err)
{
	struct sluice_upload u = {.resource = r, .fd = -1};
	struct txn *t = NULL;
	int rc = describe(api, unit, &u, err);

	if (rc == 0)
		rc = catalog_write(api->catalog, &t, err);
	if (rc == 0)
		rc = put(api, t, &u, unit, all, out, err);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	upload_fini(&u);
	return rc;
}

/* With the format's own options, which are texts. */
static json_t *unit_of(const struct api_resource *r, const json_t *options, const char *sha256)
{
	const struct sluice_field *f = r->format->upload_fields;
	json_t *labels = json_object_get(options, "pulp_labels"), *own = json_object();
	json_t *path = json_object_get(options, "relative_path");

	for (; f != NULL && f->name != NULL; f++)
		if (json_object_get(options, f->name) != NULL)
			(void)json_object_set(own, f->name, json_object_get(options, f->name));
	return json_pack("{s:o, s:s?, s:o, s:o}", "relative_path", path != NULL ? json_incref(path) : json_null(),
		"sha256", sha256, "labels", labels != NULL ? json_incref(labels) : json_object(), "options", own);
}

void api_action_upload(struct api_ctx *x, const struct api_route *rt)
{
	const struct api_resource *r = rt->resource;
	json_t *options = NULL, *unit = NULL, *row = NULL;
	struct err err = ERR_INIT;
	char text[UUID_STR];
	struct unit_ids ids;
	const char *sha256;
	int rc;

	if (!api_options_read(x, r->upload_fields, &options))
		return;
	if (!source_of(x, options, &sha256))
		goto out;
	unit = unit_of(r, options, sha256);
	api_txn_end(x);
	rc = make(x->api, r, unit, false, &ids, &err);
	if (rc == 0)
		rc = api_row_find(x, r, SLICE_NULL, slice_str(uuid_str(&ids.uuid, text)), &row, &err);
	if (rc == -ERR_INVAL) { /* refused by the format */
		api_reply_field(x, "non_field_errors", "%s", err.msg);
	} else if (rc < 0) {
		api_reply_err(x, rc, &err);
	} else {
		api_reply_location(x, api_href(x, r, row));
		api_reply(x, 201, api_show_row(x, r, row, NULL));
	}
out:
	json_decref(options);
	json_decref(unit);
	json_decref(row);
}

/* ---- by a task ---- */

/* *prn: of the repository; NULL: none is named. False: answered. */
static bool repository_of(struct api_ctx *x, const struct api_resource *r, const json_t *options, const char **prn)
{
	const struct api_resource *repositories =
		api_resource_of(x->api, "repositories", api_text(x, "%s.%s", r->format->name, r->format->kind));
	const char *uuid = api_row_str(options, "repository");
	struct err err = ERR_INIT;
	json_t *row = NULL;
	int rc;

	*prn = NULL;
	if (uuid == NULL)
		return true;
	rc = api_row_find(x, repositories, SLICE_NULL, slice_str(uuid), &row, &err);
	json_decref(row);
	if (rc == -ERR_NOTFOUND)
		api_reply_field(x, "repository", "Object does not exist.");
	else if (rc < 0)
		api_reply_err(x, rc, &err);
	else
		*prn = api_prn(x, repositories, uuid);
	return rc == 0;
}

void api_unit_create_by(struct api_ctx *x, const struct api_resource *r, json_t *values, json_t *options)
{
	struct api_locks locks = {0};
	const char *sha256, *prn, *upload = api_row_str(options, "upload");
	json_t *repository = json_object_get(options, "repository");

	if (!repository_of(x, r, options, &prn) || !source_of(x, options, &sha256))
		return;
	if (prn != NULL)
		api_lock(x, &locks, true, prn);
	if (upload != NULL)
		api_lock(x, &locks, true, api_prn(x, api_resource_of(x->api, "uploads", NULL), upload));
	api_dispatch(x, API_TASK_CREATE,
		json_pack("{s:s, s:o, s:o, s:O, s:s?, s:s?, s:O?}", "resource", r->path, "unit",
			unit_of(r, options, sha256), "repository",
			repository != NULL ? json_incref(repository) : json_null(), "overwrite",
			json_object_get(options, "overwrite"), "upload", upload, "file_url",
			api_row_str(options, "file_url"), "downloader_config",
			json_object_get(options, "downloader_config")),
		&locks);
}

/* Puts the upload together, if there is one. */
static int take_upload(struct api_ctx *x, const char *upload, json_t *unit, struct err *err)
{
	char hex[DIGEST_HEX_MAX];
	struct api_file file;
	int rc;

	if (upload == NULL)
		return 0;
	if ((rc = api_upload_finish(x, upload, NULL, &file, err)) < 0)
		return rc;
	(void)digest_hex(DIGEST_SHA256, file.digests.d[DIGEST_SHA256], hex);
	return json_object_set_new(unit, "sha256", json_string(hex)) == 0 ? 0 : err_set(err, -ERR_NOMEM, "no memory");
}

/* Downloads it, if it is named by its URL. */
static int take_url(struct task *t, struct api_ctx *x, const json_t *args, json_t *unit, struct err *err)
{
	const char *url = api_row_str(args, "file_url");
	char sha256[DIGEST_HEX_MAX];
	int rc;

	if (url == NULL)
		return 0;
	if (x->api->fetch_url == NULL)
		return err_set(err, -ERR_INTERNAL, "this process cannot download");
	if ((rc = x->api->fetch_url(t, url, json_object_get(args, "downloader_config"), sha256, err)) < 0)
		return rc;
	return json_object_set_new(unit, "sha256", json_string(sha256)) == 0 ? 0
									     : err_set(err, -ERR_NOMEM, "no memory");
}

/* The version comes first among what was created, then the unit. */
int api_unit_make(struct task *t, struct api_ctx *x, const struct api_resource *r, struct err *err)
{
	const json_t *args = task_args(t);
	const char *repository = api_row_str(args, "repository");
	char text[UUID_STR];
	json_t *row = NULL, *unit = json_deep_copy(json_object_get(args, "unit"));
	struct unit_ids ids;
	int rc = take_upload(x, api_row_str(args, "upload"), unit, err);

	if (rc == 0)
		rc = take_url(t, x, args, unit, err);
	if (rc == 0)
		rc = make(x->api, r, unit, repository != NULL, &ids, err);
	json_decref(unit);
	if (rc == 0 && repository != NULL)
		rc = x->api->add_units(
			t, repository, ids.id, ids.count, !json_is_false(json_object_get(args, "overwrite")), err);
	if (rc == 0)
		rc = api_row_find(x, r, SLICE_NULL, slice_str(uuid_str(&ids.uuid, text)), &row, err);
	if (rc < 0)
		return rc;
	task_result(t, api_show_row(x, r, row, NULL));
	api_txn_end(x);
	rc = task_created(t, api_prn(x, r, text), api_href(x, r, row));
	json_decref(row);
	return rc;
}
