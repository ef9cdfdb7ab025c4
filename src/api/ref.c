/* Hrefs and PRNs: which object a text names, and how an object is named. Constant tables and the request's arena. */
#include "api/api_priv.h"

#include "base/check.h"

const char *api_row_str(const json_t *row, const char *column)
{
	return json_string_value(json_object_get(row, column));
}

int64_t api_row_int(const json_t *row, const char *column)
{
	return json_integer_value(json_object_get(row, column));
}

const struct api_resource *api_resource_of(const struct api *api, const char *kind, const char *type)
{
	for (size_t i = 0; i < api->resource_count; i++) {
		const struct api_resource *r = &api->resources[i];

		if (strcmp(r->kind->name, kind) != 0 || r->all_types)
			continue;
		if (r->type == NULL || (type != NULL && strcmp(r->type, type) == 0))
			return r;
	}
	return NULL;
}

const char *api_plugin_of(const struct api_resource *r)
{
	if (r->format != NULL)
		return r->format->name;
	return r->kind->plugin != NULL ? r->kind->plugin : "core";
}

const struct api_resource *api_resource_by_path(const struct api *api, const char *path)
{
	for (size_t i = 0; i < api->resource_count; i++)
		if (strcmp(api->resources[i].path, path) == 0)
			return &api->resources[i];
	return NULL;
}

/* ---- naming ---- */

/* The type's path when no format of this program knows it any more. */
static const char *path_of(struct api_ctx *x, const char *kind, const char *type)
{
	const struct api_resource *r = api_resource_of(x->api, kind, type);
	struct slice rest;
	struct slice name;

	if (r != NULL)
		return r->path;
	if (type == NULL)
		return kind;
	rest = slice_str(type);
	name = slice_cut(&rest, '.');
	return api_text(x, "%s/%.*s/%.*s", kind, SLICE_ARG(name), SLICE_ARG(rest));
}

char *api_href_by(struct api_ctx *x, const char *kind, const char *type, const char *uuid)
{
	return arena_printf(&x->arena, API_ROOT "%s/%s/", path_of(x, kind, type), uuid);
}

char *api_version_href(struct api_ctx *x, const char *type, const char *repository, int64_t number)
{
	return arena_printf(&x->arena, API_ROOT "%s/%s/versions/%lld/", path_of(x, "repositories", type), repository,
		(long long)number);
}

char *api_href(struct api_ctx *x, const struct api_resource *r, const json_t *row)
{
	if (strcmp(r->kind->view, "version") == 0)
		return api_version_href(
			x, api_row_str(row, "type"), api_row_str(row, "repository"), api_row_int(row, "number"));
	return api_href_by(
		x, r->kind->name, r->all_types ? api_row_str(row, "type") : r->type, api_row_str(row, "uuid"));
}

char *api_prn(struct api_ctx *x, const struct api_resource *r, const char *uuid)
{
	return arena_printf(&x->arena, "prn:%s:%s", r->prn, uuid);
}

/* ---- parsing ---- */

/* Matches the path's segments with a resource's, '*' taking any one. What is left of the path goes to *rest. */
static bool path_match(const char *pattern, struct slice path, struct slice *star, struct slice *rest)
{
	struct slice want = slice_str(pattern);

	while (want.p != NULL) {
		struct slice w = slice_cut(&want, '/'), have;

		if (path.p == NULL)
			return false;
		have = slice_cut(&path, '/');
		if (slice_eq(w, SLICE("*")))
			*star = have;
		else if (!slice_eq(w, have))
			return false;
	}
	*rest = path;
	return true;
}

static int parse_prn(const struct api *api, struct slice text, struct api_ref *out)
{
	struct slice rest = text, model;

	(void)slice_cut(&rest, ':');
	model = slice_cut(&rest, ':');
	if (rest.p == NULL || uuid_parse(rest, &out->uuid) < 0)
		return -ERR_INVAL;
	for (size_t i = 0; i < api->resource_count; i++)
		if (!api->resources[i].all_types && slice_eq(model, slice_str(api->resources[i].prn))) {
			out->resource = &api->resources[i];
			/* the versions of every format have one model: the list of all of them holds each */
			if (out->resource->kind == &api_kinds_version)
				out->resource = api_resource_by_path(api, "repository_versions");
			out->has_uuid = true;
			return 0;
		}
	return -ERR_INVAL;
}

int api_ref_parse(const struct api *api, struct slice text, struct api_ref *out)
{
	struct slice path = text, star = SLICE_NULL, rest = SLICE_NULL;

	*out = (struct api_ref){.number = -1};
	if (slice_starts(text, SLICE("prn:")))
		return parse_prn(api, text, out);
	if (slice_starts(path, SLICE("http://")) || slice_starts(path, SLICE("https://"))) {
		(void)slice_cut(&path, '/');
		(void)slice_cut(&path, '/');
		(void)slice_cut(&path, '/');
		path = path.p != NULL ? slice_of(path.p - 1, path.n + 1) : path;
	}
	if (!slice_starts(path, SLICE(API_ROOT)) || !slice_ends(path, SLICE("/")))
		return -ERR_INVAL;
	path = slice_of(path.p + strlen(API_ROOT), path.n - strlen(API_ROOT) - (path.n > strlen(API_ROOT)));
	for (size_t i = 0; i < api->resource_count; i++) {
		const struct api_resource *r = &api->resources[i];

		if (!path_match(r->path, path, &star, &rest))
			continue;
		if (rest.p == NULL) {
			out->resource = r;
			out->is_type = true;
			continue; /* "remotes/file/file" may still be an object of a longer path */
		}
		if (r->all_types || slice_chr(rest, '/') >= 0)
			continue;
		if (r->kind->by_number) {
			if (uuid_parse(star, &out->parent) < 0 || slice_to_i64(rest, INT64_MAX, &out->number) < 0)
				continue;
		} else {
			if (uuid_parse(rest, &out->uuid) < 0)
				continue;
			out->has_uuid = true;
		}
		out->resource = r;
		out->is_type = false;
		return 0;
	}
	return out->is_type ? 0 : -ERR_INVAL;
}

int api_ref_row(struct api_ctx *x, const struct api_ref *ref, json_t **row, struct err *err)
{
	char a[UUID_STR];

	if (ref->is_type)
		return err_set(err, -ERR_NOTFOUND, "a type is no object");
	if (ref->has_uuid)
		return api_row_find(x, ref->resource, SLICE_NULL, slice_str(uuid_str(&ref->uuid, a)), row, err);
	return api_row_find(x, ref->resource, slice_str(uuid_str(&ref->parent, a)),
		slice_str(api_text(x, "%lld", (long long)ref->number)), row, err);
}

/* Versions are one kind with two tables of filters. */
static bool kind_is(const struct api_resource *r, const char *kind)
{
	return strcmp(r->kind->name, kind) == 0 ||
	       (strcmp(kind, "repository_versions") == 0 && strcmp(r->kind->view, "version") == 0);
}

static const char *model_of(const struct api *api, const char *kind)
{
	for (size_t i = 0; i < api->resource_count; i++)
		if (strcmp(api->resources[i].kind->name, kind) == 0)
			return api->resources[i].kind->model;
	return kind;
}

static const char *lower(struct api_ctx *x, const char *z)
{
	char *copy = arena_strdup(&x->arena, slice_str(z));

	for (char *p = copy; p != NULL && *p != '\0'; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	return copy != NULL ? copy : "object";
}

int api_ref_find(
	struct api_ctx *x, const char *kind, struct slice text, struct api_ref *ref, json_t **row, struct err *err)
{
	const char *model = lower(x, model_of(x->api, kind));
	int rc;

	if (!slice_is_utf8(text) || api_ref_parse(x->api, text, ref) < 0 || ref->is_type)
		return err_set(
			err, -ERR_INVAL, "URI not valid: %.*s", SLICE_ARG(slice_is_utf8(text) ? text : SLICE("?")));
	if (!kind_is(ref->resource, kind))
		return err_set(err, -ERR_INVAL, "URI %.*s is not a valid %s.", SLICE_ARG(text), model);
	if ((rc = api_ref_row(x, ref, row, err)) == -ERR_NOTFOUND)
		return err_set(err, -ERR_INVAL, "URI %.*s not found for %s.", SLICE_ARG(text), model);
	return rc;
}
