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
	&api_kinds_acs,
	&api_kinds_guard,
	&api_kinds_guard_header,
	&api_kinds_guard_rbac,
	&api_kinds_guard_composite,
	&api_kinds_guard_x509,
	&api_kinds_guard_rhsm,
	&api_kinds_guard_redirect,
	&api_kinds_content,
	&api_kinds_all_versions,
	&api_kinds_artifact,
	&api_kinds_task,
	&api_kinds_task_group,
	&api_kinds_worker,
	&api_kinds_signing_service,
	&api_kinds_upload,
	&api_kinds_user,
	&api_kinds_group,
	&api_kinds_group_member,
	&api_kinds_role,
	&api_kinds_user_role,
	&api_kinds_group_role,
};

const struct sluice_format *api_format_named(const struct api *api, const char *name)
{
	for (const struct sluice_format *const *f = api->formats; *f != NULL; f++)
		if (strcmp((*f)->name, name) == 0)
			return *f;
	return NULL;
}

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

/* The types of units that a format has: its main one first. False: there is no i-th. */
static bool content_at(const struct sluice_format *f, size_t i, struct sluice_content_type *out)
{
	if (i == 0) {
		*out = (struct sluice_content_type){
			f->content_type, f->content_plural, f->content_model, f->content_fields};
		return true;
	}
	for (size_t n = 0; f->more_content != NULL && f->more_content[n].type != NULL; n++)
		if (n + 1 == i) {
			*out = f->more_content[n];
			return true;
		}
	return false;
}

size_t api_content_types(const struct sluice_format *f)
{
	struct sluice_content_type t;
	size_t n = 0;

	while (content_at(f, n, &t))
		n++;
	return n;
}

static const struct sluice_field *format_fields(const struct sluice_format *f, const struct api_kind *k)
{
	if (f == NULL)
		return NULL;
	return k == &api_kinds_remote         ? f->remote_fields
	       : k == &api_kinds_repository   ? f->repository_fields
	       : k == &api_kinds_publication  ? f->publication_fields /* of the main kind */
	       : k == &api_kinds_distribution ? f->distribution_fields
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
		[SLUICE_CHOICE] = T_CHOICE,
		[SLUICE_CHOICE_LIST] = T_STRINGS,
		[SLUICE_JSON] = T_JSON,
		[SLUICE_SIGNING_SERVICE] = T_REF,
	};

	return (struct api_field){
		.name = f->name,
		.type = types[f->type],
		.flags = F_EXTRA | (f->required ? F_REQUIRED : 0) | (f->nullable ? F_NULLABLE : 0) |
			 (f->read_only || !(k->ops & (API_CREATE | API_UPDATE)) ? F_READ_ONLY : 0) |
			 (f->write_only ? F_WRITE_ONLY : 0),
		.default_json = f->default_json,
		.choices = f->choices,
		.kind = f->type == SLUICE_SIGNING_SERVICE ? "signing-services" : NULL,
		.check = f->type == SLUICE_PATH ? api_check_path : NULL,
		.help = f->help,
	};
}

/* The kind's fields, then the format's own; what the kind has already is the kind's. */
static int make_fields(struct api_resource *r, const struct sluice_field *own)
{
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

static int make_own_filters(struct api_resource *r, const struct sluice_field *own)
{
	size_t count = 0, n = 0;

	while (own != NULL && own[count].name != NULL)
		count++;
	r->own_filters = calloc(count + 1, sizeof(*r->own_filters));
	if (r->own_filters == NULL)
		return -ERR_NOMEM;
	for (size_t i = 0; i < count; i++)
		if (own[i].filter)
			r->own_filters[n++] = (struct api_filter){.name = own[i].name,
				.ops = OP(EQ) | OP(NE) | OP(IN),
				.apply = api_filter_own_field,
				.help = own[i].help};
	return 0;
}

/* The options of a sync: the kind's, without `mirror` where the format has sync_policy, and the format's own. */
static int make_sync_fields(struct api_resource *r)
{
	const struct sluice_field *own = r->format->sync_fields;
	size_t own_count = 0, count = 0, n = 0;
	bool policy = false;

	while (own != NULL && own[own_count].name != NULL)
		policy = strcmp(own[own_count++].name, "sync_policy") == 0 || policy;
	while (api_sync_fields[count].name != NULL)
		count++;
	r->sync_fields = calloc(count + own_count + 1, sizeof(*r->sync_fields));
	if (r->sync_fields == NULL)
		return -ERR_NOMEM;
	for (size_t i = 0; i < count; i++) {
		r->sync_fields[n] = api_sync_fields[i];
		/* Absent, it follows from the policy; false would be a choice. */
		if (policy && strcmp(api_sync_fields[i].name, "mirror") == 0)
			r->sync_fields[n].default_json = NULL;
		n++;
	}
	for (size_t i = 0; i < own_count; i++) {
		r->sync_fields[n] = field_of(&own[i], &api_kinds_repository);
		r->sync_fields[n++].flags |= F_OPTION;
	}
	return 0;
}

/* A kind's table for uploads, as the format wants it, and `own` behind. */
static struct api_field *upload_table(
	const struct api_field *common, const struct sluice_format *f, const struct sluice_field *own)
{
	size_t count = 0, own_count = 0;
	struct api_field *out;

	while (common[count].name != NULL)
		count++;
	while (own != NULL && own[own_count].name != NULL)
		own_count++;
	if ((out = calloc(count + own_count + 1, sizeof(*out))) == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		out[i] = common[i];
		if (f->upload_names && strcmp(out[i].name, "relative_path") == 0)
			out[i].flags = (out[i].flags & ~(unsigned)F_REQUIRED) | F_NULLABLE;
	}
	for (size_t i = 0; i < own_count; i++) {
		out[count + i] = field_of(&own[i], &api_kinds_repository);
		out[count + i].flags = (out[count + i].flags & ~(unsigned)F_EXTRA) | F_OPTION;
	}
	return out;
}

static int make_upload_fields(struct api_resource *r)
{
	r->unit_fields = upload_table(api_unit_fields, r->format, r->format->upload_fields);
	r->upload_fields = upload_table(api_unit_upload_fields, r->format, NULL);
	return r->unit_fields != NULL && r->upload_fields != NULL ? 0 : -ERR_NOMEM;
}

static bool among(const struct api_field *list, const char *name)
{
	for (; list->name != NULL; list++)
		if (strcmp(list->name, name) == 0)
			return true;
	return false;
}

/* What a create takes: the kind's own table for it, and what is only shown otherwise, which is ignored. */
static int make_create_fields(struct api_resource *r)
{
	const struct api_field *own = r->unit_fields != NULL ? r->unit_fields : r->kind->create_fields;
	size_t count = 0, shown = 0, n = 0;

	if (own == NULL) {
		r->create_fields = r->fields;
		return 0;
	}
	while (own[count].name != NULL)
		count++;
	while (r->fields[shown] != NULL)
		shown++;
	if ((r->create_fields = calloc(count + shown + 1, sizeof(*r->create_fields))) == NULL)
		return -ERR_NOMEM;
	for (size_t i = 0; i < count; i++)
		r->create_fields[n++] = &own[i];
	for (size_t i = 0; i < shown; i++)
		if ((r->fields[i]->flags & F_READ_ONLY) && !among(own, r->fields[i]->name))
			r->create_fields[n++] = r->fields[i];
	return 0;
}

/* `content`: of content, which type of the format's units; NULL otherwise. `publication`: of publications, which kind; NULL: the main one. */
static int make_resource(struct api *api, const struct api_kind *k, const struct sluice_format *f,
	const struct sluice_content_type *content, const struct sluice_publication_kind *publication, bool all_types)
{
	struct api_resource *r = &api->resources[api->resource_count++];
	int rc;
	bool versions = strcmp(k->view, "version") == 0;

	r->kind = k;
	r->view = view_find(k->view);
	r->format = f;
	r->publication = publication;
	r->all_types = all_types;
	r->ops = all_types ? API_LIST : k->ops;
	if (k->plugin != NULL) {
		r->path = text("%s/%s/%s", k->name, k->plugin, k->variant);
		r->model = text("%s", k->model);
		r->type = text("%s.%s", k->plugin, k->variant);
	} else if (f == NULL) {
		r->path = text("%s", k->name);
		r->model = text("%s", k->model);
	} else if (k->below != NULL) {
		r->path = text("%s/%s/%s/*/versions", k->below, f->name, f->kind);
		r->model = text("%s", k->model);
		r->type = text("%s.%s", f->name, f->kind);
	} else if (content != NULL) {
		r->path = text("%s/%s/%s", k->name, f->name, content->plural);
		r->model = content->model != NULL ? text("%s", content->model) : text("%s%s", f->model, k->model);
		r->type = text("%s", content->type);
	} else if (publication != NULL) {
		r->path = text("%s/%s/%s", k->name, f->name, publication->kind);
		r->model = text("%s", publication->model);
		r->type = text("%s.%s", f->name, publication->kind);
	} else {
		r->path = text("%s/%s/%s", k->name, f->name, f->kind);
		r->model = text("%s%s", f->model, k->model);
		r->type = text("%s.%s", f->name, f->kind);
	}
	if (r->path == NULL || r->model == NULL || ((f != NULL || k->plugin != NULL) && r->type == NULL))
		return -ERR_NOMEM;
	r->prn = text("%s.%s", versions ? "core" : api_plugin_of(r), r->model);
	for (char *p = r->prn; p != NULL && *p != '\0'; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	rc = r->prn == NULL ? -ERR_NOMEM
			    : make_fields(r, content != NULL       ? content->fields
					     : publication != NULL ? publication->fields
								   : format_fields(f, k));
	if (k == &api_kinds_content && !api_uploads(r))
		r->ops &= ~(unsigned)API_CREATE;
	if (rc == 0 && content != NULL)
		rc = make_own_filters(r, content->fields);
	if (rc == 0 && f != NULL && k == &api_kinds_repository)
		rc = make_sync_fields(r);
	if (rc == 0 && k == &api_kinds_content && api_uploads(r))
		rc = make_upload_fields(r);
	return rc == 0 ? make_create_fields(r) : rc;
}

/* A kind at the paths of one format: once, or once for each type of its units or kind of its publications. */
static int make_resources_of(struct api *api, const struct api_kind *k, const struct sluice_format *f)
{
	const struct sluice_publication_kind *p = f->more_publications;
	struct sluice_content_type content;
	int rc = 0;

	for (size_t i = 0; k == &api_kinds_content && rc == 0 && content_at(f, i, &content); i++)
		rc = make_resource(api, k, f, &content, NULL, false);
	if (k != &api_kinds_content)
		rc = make_resource(api, k, f, NULL, NULL, false);
	for (; k == &api_kinds_publication && rc == 0 && p != NULL && p->kind != NULL; p++)
		rc = make_resource(api, k, f, NULL, p, false);
	return rc;
}

/* Of what a format has more than one: how many resources that makes at most. */
static size_t resources_beyond(const struct sluice_format *f)
{
	size_t n = api_content_types(f);

	for (const struct sluice_publication_kind *p = f->more_publications; p != NULL && p->kind != NULL; p++)
		n++;
	return n;
}

static int make_resources(struct api *api)
{
	size_t formats = 0, types = 0;
	int rc = 0;

	for (; api->formats[formats] != NULL; formats++)
		types += resources_beyond(api->formats[formats]);
	api->resources = calloc(ARRAY_LEN(kinds) * (formats + 1) + types, sizeof(*api->resources));
	if (api->resources == NULL)
		return -ERR_NOMEM;
	for (size_t k = 0; k < ARRAY_LEN(kinds) && rc == 0; k++) {
		for (size_t i = 0; kinds[k]->per_format && i < formats && rc == 0; i++)
			rc = make_resources_of(api, kinds[k], api->formats[i]);
		if (rc == 0 && (kinds[k]->generic || !kinds[k]->per_format))
			rc = make_resource(api, kinds[k], NULL, NULL, NULL,
				kinds[k]->generic || kinds[k] == &api_kinds_all_versions);
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
	api->store = opts->store;
	api->add_units = opts->add_units;
	api->fetch_url = opts->fetch_url;
	if ((rc = make_resources(api)) < 0)
		err_set(err, rc, "no memory for the API's tables");
	if (rc == 0)
		rc = signing_key_load(api->settings->server_data, &api->signing_key, err);
	if (rc == 0 && (rc = api_documents_new(api, &api->documents)) < 0)
		err_set(err, rc, "no memory for the API's description");
	if (rc == 0)
		rc = api_auth_new(api->settings, &api->auth, err);
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
		if (r->create_fields != r->fields)
			free(r->create_fields);
		free(r->fields);
		free(r->own);
		free(r->own_filters);
		free(r->unit_fields);
		free(r->upload_fields);
		free(r->sync_fields);
	}
	free(api->resources);
	api_documents_free(&api->documents);
	api_auth_free(&api->auth);
	free(api);
}
