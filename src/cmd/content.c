/* Content units: uploading them, where one is used, and deleting those that nothing needs. */
#include "base/check.h"
#include "base/url.h"
#include "cmd/commands.h"
#include "cmd/objects.h"
#include "cmd/progress.h"
#include "cmd/remote_ops.h"
#include "cmd/upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- upload ---- */

static int chunk_bytes_of(const struct options *o, int64_t *out, struct err *err)
{
	int64_t mib;

	*out = UPLOAD_CHUNK;
	if (o->chunk_size == NULL)
		return 0;
	if (slice_to_i64(slice_str(o->chunk_size), 1024, &mib) < 0 || mib == 0)
		return err_set(err, -ERR_INVAL, "--chunk-size: '%s' is no number of MiB from 1 to 1024", o->chunk_size);
	*out = mib << 20;
	return 0;
}

static int upload_one(struct work *w, const char *path, const json_t *fields, const char *file, int64_t chunk_bytes,
	json_t *made, struct err *err)
{
	const char *slash = strrchr(file, '/'), *name = slash != NULL ? slash + 1 : file;
	json_t *body = json_copy((json_t *)(uintptr_t)fields), *unit = NULL;
	int rc = 0;

	if (json_object_get(body, "relative_path") == NULL &&
		json_object_set_new(body, "relative_path", json_string(name)) < 0)
		rc = err_set(err, -ERR_INVAL, "'%s' is not UTF-8: give a path with --path", file);
	if (rc == 0)
		rc = upload_file(w->client, path, body, file, chunk_bytes, !objects_talks(w), &unit, err);
	if (rc == 0 && objects_talks(w))
		buf_addf(&w->out, "%s\n", json_text_of(unit, "pulp_href"));
	if (rc == 0 && json_array_append(made, unit) < 0)
		rc = err_set(err, -ERR_NOMEM, "'%s'", file);
	json_decref(unit);
	json_decref(body);
	return rc;
}

static int upload(struct work *w, struct err *err)
{
	json_t *made = json_array(), *fields = NULL;
	const struct object_type *type = NULL;
	struct buf path = BUF_INIT(4096);
	int64_t chunk_bytes = 0;
	int rc = chunk_bytes_of(w->o, &chunk_bytes, err);

	if (rc == 0 && w->o->path != NULL && w->o->operand_count > 2)
		rc = err_set(err, -ERR_INVAL, "--path is for one file, and these are %d", w->o->operand_count - 1);
	if (rc == 0)
		rc = objects_type(w, &type, err);
	if (rc == 0)
		rc = fields_body(w->client, w->o, w->kind, type->name, NULL, &fields, err);
	if (rc == 0)
		buf_addf(&path, "%s%s", w->kind->path, type->path);
	for (int i = 1; rc == 0 && i < w->o->operand_count; i++)
		rc = upload_one(w, path.p, fields, w->o->operands[i], chunk_bytes, made, err);
	/* What did get there is told also when a later one did not. */
	if (!objects_talks(w))
		commands_add_json(&w->out, made);
	else if (rc < 0)
		(void)commands_print(&w->out, NULL);
	json_decref(fields);
	json_decref(made);
	buf_fini(&path);
	return rc;
}

int cmd_content_upload(const struct options *o)
{
	return objects_run(o, upload);
}

/* ---- where it is used ---- */

static const struct column where_columns[] = {
	{"WHAT", "what", NULL},
	{"NAME", "name", NULL},
	{"WHERE", "where", NULL},
	{NULL, NULL, NULL},
};

/* Lists what has the unit: `filter` of the collection. */
static int having(
	struct work *w, const char *collection, const char *filter, const char *href, json_t **out, struct err *err)
{
	struct buf path = BUF_INIT(65536);
	int rc;

	buf_addf(&path, "%s?%s=", collection, filter);
	url_encode(&path, slice_str(href), "/");
	rc = path.failed != 0 ? err_set(err, path.failed, "where '%s' is", href)
			      : client_list(w->client, path.p, out, err);
	buf_fini(&path);
	return rc;
}

static bool has_href(const json_t *list, const char *href)
{
	json_t *v;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, v)
	{
		if (strcmp(json_text_of(v, "pulp_href"), href) == 0)
			return true;
	}
	return false;
}

static int where_repositories(struct work *w, const char *href, json_t *rows, struct err *err)
{
	json_t *any = NULL, *latest = NULL, *v;
	size_t i;
	int rc = having(w, ALL_REPOSITORIES, "with_content", href, &any, err);

	if (rc == 0)
		rc = having(w, ALL_REPOSITORIES, "latest_with_content", href, &latest, err);
	json_array_foreach(any, i, v)
	{
		bool newest = has_href(latest, json_text_of(v, "pulp_href"));

		if (rc == 0)
			json_array_append_new(
				rows, json_pack("{s:s, s:s, s:s, s:s}", "what", "repository", "name",
					      json_text_of(v, "name"), "href", json_text_of(v, "pulp_href"), "where",
					      newest ? "in the newest version" : "in older versions"));
	}
	json_decref(latest);
	json_decref(any);
	return rc;
}

static int where_distributions(struct work *w, const json_t *unit, json_t *rows, struct err *err)
{
	json_t *all = NULL, *v;
	size_t i;
	int rc = having(w, ALL_DISTRIBUTIONS, "with_content", json_text_of(unit, "pulp_href"), &all, err);

	json_array_foreach(all, i, v)
	{
		struct buf url = BUF_INIT(65536);

		distribution_url(w->client, v, &url);
		url_encode(&url, slice_str(json_text_of(unit, "relative_path")), "/");
		if (rc == 0)
			json_array_append_new(
				rows, json_pack("{s:s, s:s, s:s, s:s}", "what", "distribution", "name",
					      json_text_of(v, "name"), "href", json_text_of(v, "pulp_href"), "where",
					      url.p != NULL ? url.p : ""));
		buf_fini(&url);
	}
	json_decref(all);
	return rc;
}

static int where(struct work *w, struct err *err)
{
	json_t *unit = NULL, *rows = json_array();
	int rc = object_find(w->client, w->kind, w->o->operands[1], &unit, err);

	if (rc == 0)
		rc = where_repositories(w, json_text_of(unit, "pulp_href"), rows, err);
	if (rc == 0)
		rc = where_distributions(w, unit, rows, err);
	if (rc == 0)
		rc = objects_print(w, where_columns, rows);
	json_decref(rows);
	json_decref(unit);
	return rc;
}

int cmd_content_where(const struct options *o)
{
	return objects_run(o, where);
}

/* ---- orphans ---- */

static int cleanup(struct work *w, struct err *err)
{
	json_t *body = NULL, *task = NULL;
	int rc = fields_body(w->client, w->o, &kind_content, "", NULL, &body, err);

	if (rc == 0)
		rc = commands_confirm(w->o, err, "delete content that no version holds, with its saved files");
	if (rc == 0)
		rc = objects_do(w, API "orphans/cleanup/", body, &task, err);
	if (rc == 0)
		rc = objects_add_reports(w, task);
	json_decref(task);
	json_decref(body);
	return rc;
}

int cmd_orphans_cleanup(const struct options *o)
{
	return objects_run(o, cleanup);
}
