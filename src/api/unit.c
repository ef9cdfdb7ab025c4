/* Units that clients bring: made of an uploaded file of an artifact that is there, or of what lies at an URL, and put into a repository if one is named. At once
 * (the action upload), or by a task (create), because a repository may be busy. */
#include "api/api_priv.h"

#include "base/check.h"
#include "catalog/unit.h"

#include <stdlib.h>

#define KEY_CAP 8192
#define EXTRA_CAP 4096

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
	return r->format != NULL && r->format->unit_of != NULL && strcmp(r->type, r->format->content_type) == 0;
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

/* ---- making it ---- */

/* `unit`: {"relative_path", "sha256", "labels"}. In the transaction that looks for the artifact. */
static int put(struct api *api, struct txn *t, const struct api_resource *r, const json_t *unit, int64_t *id,
	struct uuid *uuid, struct err *err)
{
	const char *path = api_row_str(unit, "relative_path"), *sha256 = api_row_str(unit, "sha256");
	char key[KEY_CAP], extra[EXTRA_CAP], *labels;
	struct unit_new n = {.type = slice_str(r->type), .relative_path = slice_str(path)};
	uint8_t digest[32];
	int64_t size;
	bool is_new;
	int rc;

	if (path == NULL || sha256 == NULL || hex_parse(slice_str(sha256), digest, sizeof(digest)) < 0)
		return err_set(err, -ERR_INVAL, "the unit has no path or no digest");
	if ((rc = api_saved(api, t, digest, &n.artifact_id, &size, err)) < 0)
		return rc;
	if (r->format->unit_of(path, sha256, size, key, sizeof(key), extra, sizeof(extra)) != 0)
		return err_set(err, -ERR_INVAL, "no unit can be made of '%s'", path);
	labels = json_dumps(json_object_get(unit, "labels"), JSON_COMPACT);
	n.natural_key = slice_str(key);
	n.extra = slice_str(extra);
	n.labels = slice_str(labels);
	rc = catalog_unit_put(t, &n, id, uuid, &is_new, err);
	free(labels);
	return rc;
}

static int make(struct api *api, const struct api_resource *r, const json_t *unit, int64_t *id, struct uuid *uuid,
	struct err *err)
{
	struct txn *t = NULL;
	int rc = catalog_write(api->catalog, &t, err);

	if (rc == 0)
		rc = put(api, t, r, unit, id, uuid, err);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	return rc;
}

static json_t *unit_of(const json_t *options, const char *sha256)
{
	json_t *labels = json_object_get(options, "pulp_labels");

	return json_pack("{s:O, s:s?, s:o}", "relative_path", json_object_get(options, "relative_path"), "sha256",
		sha256, "labels", labels != NULL ? json_incref(labels) : json_object());
}

void api_action_upload(struct api_ctx *x, const struct api_route *rt)
{
	const struct api_resource *r = rt->resource;
	json_t *options = NULL, *unit = NULL, *row = NULL;
	struct err err = ERR_INIT;
	char text[UUID_STR];
	const char *sha256;
	struct uuid uuid;
	int64_t id;
	int rc;

	if (!api_options_read(x, api_unit_upload_fields, &options))
		return;
	if (!source_of(x, options, &sha256))
		goto out;
	unit = unit_of(options, sha256);
	api_txn_end(x);
	rc = make(x->api, r, unit, &id, &uuid, &err);
	if (rc == 0)
		rc = api_row_find(x, r, SLICE_NULL, slice_str(uuid_str(&uuid, text)), &row, &err);
	if (rc < 0) {
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
			unit_of(options, sha256), "repository",
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
	struct uuid uuid;
	int64_t id;
	int rc = take_upload(x, api_row_str(args, "upload"), unit, err);

	if (rc == 0)
		rc = take_url(t, x, args, unit, err);
	if (rc == 0)
		rc = make(x->api, r, unit, &id, &uuid, err);
	json_decref(unit);
	if (rc == 0 && repository != NULL)
		rc = x->api->add_units(t, repository, &id, 1, !json_is_false(json_object_get(args, "overwrite")), err);
	if (rc == 0)
		rc = api_row_find(x, r, SLICE_NULL, slice_str(uuid_str(&uuid, text)), &row, err);
	if (rc < 0)
		return rc;
	task_result(t, api_show_row(x, r, row, NULL));
	api_txn_end(x);
	rc = task_created(t, api_prn(x, r, text), api_href(x, r, row));
	json_decref(row);
	return rc;
}
