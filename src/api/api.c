/* The tables of resources, made once from the kinds and the formats. Constant afterwards. */
#include "api/api_priv.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct api_kind *const kinds[] = {
	&api_kinds_remote,
	&api_kinds_repository,
	&api_kinds_version,
	&api_kinds_publication,
	&api_kinds_distribution,
	&api_kinds_content,
	&api_kinds_all_versions,
	&api_kinds_artifact,
	&api_kinds_task,
	&api_kinds_task_group,
	&api_kinds_worker,
};

static char *text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *text(const char *fmt, ...)
{
	va_list ap;
	char *out;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&out, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : out;
}

static const struct sluice_field *format_fields(const struct sluice_format *f, const struct api_kind *k)
{
	if (f == NULL)
		return NULL;
	return k == &api_kinds_remote         ? f->remote_fields
	       : k == &api_kinds_repository   ? f->repository_fields
	       : k == &api_kinds_publication  ? f->publication_fields
	       : k == &api_kinds_distribution ? f->distribution_fields
	       : k == &api_kinds_content      ? f->content_fields
					      : NULL;
}

static bool has_field(const struct api_kind *k, const char *name)
{
	for (const struct api_field *f = k->fields; f->name != NULL; f++)
		if (strcmp(f->name, name) == 0)
			return true;
	return false;
}

static struct api_field field_of(const struct sluice_field *f, const struct api_kind *k)
{
	static const enum api_type types[] = {
		[SLUICE_STRING] = T_STRING,
		[SLUICE_TEXT] = T_STRING,
		[SLUICE_INTEGER] = T_INTEGER,
		[SLUICE_BOOLEAN] = T_BOOLEAN,
		[SLUICE_STRING_LIST] = T_STRINGS,
		[SLUICE_OBJECT] = T_OBJECT,
		[SLUICE_PATH] = T_STRING,
	};

	return (struct api_field){
		.name = f->name,
		.type = types[f->type],
		.flags = F_EXTRA | (f->required ? F_REQUIRED : 0) | (f->nullable ? F_NULLABLE : 0) |
			 (f->read_only || !(k->ops & (API_CREATE | API_UPDATE)) ? F_READ_ONLY : 0) |
			 (f->write_only ? F_WRITE_ONLY : 0),
		.default_json = f->default_json,
		.check = f->type == SLUICE_PATH ? api_check_path : NULL,
		.help = f->help,
	};
}

/* The kind's fields, then the format's own; what the kind has already is the kind's. */
static int make_fields(struct api_resource *r)
{
	const struct sluice_field *own = format_fields(r->format, r->kind);
	size_t own_count = 0, n = 0, count = 0;

	while (own != NULL && own[own_count].name != NULL)
		own_count++;
	while (r->kind->fields[count].name != NULL)
		count++;
	r->fields = calloc(count + own_count + 1, sizeof(*r->fields));
	r->own = calloc(own_count + 1, sizeof(*r->own));
	if (r->fields == NULL || r->own == NULL)
		return -ERR_NOMEM;
	for (size_t i = 0; i < count; i++)
		r->fields[n++] = &r->kind->fields[i];
	for (size_t i = 0; i < own_count; i++) {
		if (has_field(r->kind, own[i].name))
			continue;
		r->own[i] = field_of(&own[i], r->kind);
		r->fields[n++] = &r->own[i];
	}
	return 0;
}

static int make_resource(struct api *api, const struct api_kind *k, const struct sluice_format *f, bool all_types)
{
	struct api_resource *r = &api->resources[api->resource_count++];
	bool versions = strcmp(k->view, "version") == 0;

	r->kind = k;
	r->view = view_find(k->view);
	r->format = f;
	r->all_types = all_types;
	r->ops = all_types ? API_LIST : k->ops;
	if (f == NULL) {
		r->path = text("%s", k->name);
		r->model = text("%s", k->model);
	} else if (k->below != NULL) {
		r->path = text("%s/%s/%s/*/versions", k->below, f->name, f->kind);
		r->model = text("%s", k->model);
		r->type = text("%s.%s", f->name, f->kind);
	} else if (k == &api_kinds_content) {
		r->path = text("%s/%s/%s", k->name, f->name, f->content_plural);
		r->model = text("%s%s", f->model, k->model);
		r->type = text("%s", f->content_type);
	} else {
		r->path = text("%s/%s/%s", k->name, f->name, f->kind);
		r->model = text("%s%s", f->model, k->model);
		r->type = text("%s.%s", f->name, f->kind);
	}
	if (r->path == NULL || r->model == NULL || (f != NULL && r->type == NULL))
		return -ERR_NOMEM;
	r->prn = text("%s.%s", f == NULL || versions ? "core" : f->name, r->model);
	for (char *p = r->prn; p != NULL && *p != '\0'; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	return r->prn == NULL ? -ERR_NOMEM : make_fields(r);
}

static int make_resources(struct api *api)
{
	size_t formats = 0;
	int rc = 0;

	while (api->formats[formats] != NULL)
		formats++;
	api->resources = calloc(ARRAY_LEN(kinds) * (formats + 1), sizeof(*api->resources));
	if (api->resources == NULL)
		return -ERR_NOMEM;
	for (size_t k = 0; k < ARRAY_LEN(kinds) && rc == 0; k++) {
		for (size_t i = 0; kinds[k]->per_format && i < formats && rc == 0; i++)
			rc = make_resource(api, kinds[k], api->formats[i], false);
		if (rc == 0 && (kinds[k]->generic || !kinds[k]->per_format))
			rc = make_resource(
				api, kinds[k], NULL, kinds[k]->generic || kinds[k] == &api_kinds_all_versions);
	}
	return rc;
}

/* Reservations name the domain by its uuid, which therefore has to stay what it is. */
static int find_domain(struct api *api, struct err *err)
{
	struct txn *t = NULL;
	char *have = NULL;
	struct uuid u;
	int rc;

	if ((rc = catalog_read(api->catalog, &t, err)) < 0)
		return rc;
	rc = catalog_meta_get(t, "domain_uuid", &have, err);
	txn_end(&t);
	if (rc == -ERR_NOTFOUND) {
		if ((rc = catalog_write(api->catalog, &t, err)) < 0)
			return rc;
		/* another process may have been faster */
		rc = catalog_meta_get(t, "domain_uuid", &have, err);
		if (rc == -ERR_NOTFOUND) {
			u = uuid_v7();
			(void)uuid_str(&u, api->domain);
			if ((rc = catalog_meta_set(t, "domain_uuid", api->domain, err)) == 0)
				rc = txn_commit(&t, err);
		}
		txn_end(&t);
	}
	if (rc == 0 && have != NULL)
		rc = uuid_parse(slice_str(have), &u) < 0 ? err_set(err, -ERR_DB, "the catalog's domain_uuid is no UUID")
							 : (uuid_str(&u, api->domain), 0);
	free(have);
	return rc;
}

int api_new(const struct api_opts *opts, struct api **out, struct err *err)
{
	struct api *api = calloc(1, sizeof(*api));
	int rc;

	if (api == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for the API");
	api->settings = opts->settings;
	api->catalog = opts->catalog;
	api->registry = opts->registry;
	api->formats = opts->formats;
	api->pool = opts->pool;
	api->usage = opts->usage;
	api->usage_arg = opts->usage_arg;
	if ((rc = make_resources(api)) < 0)
		err_set(err, rc, "no memory for the API's tables");
	if (rc == 0)
		rc = api_auth_new(&api->auth, err);
	if (rc == 0)
		rc = find_domain(api, err);
	if (rc < 0)
		api_free(&api);
	else
		*out = api;
	return rc;
}

void api_free(struct api **pa)
{
	struct api *api = TAKE(*pa);

	if (api == NULL)
		return;
	for (size_t i = 0; i < api->resource_count; i++) {
		struct api_resource *r = &api->resources[i];

		free(r->path);
		free(r->type);
		free(r->model);
		free(r->prn);
		free(r->fields);
		free(r->own);
	}
	free(api->resources);
	api_auth_free(&api->auth);
	free(api);
}
