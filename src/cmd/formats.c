/* Formats, built in and loaded. Their tables are used in place: a plugin stays loaded until the process ends its service. */
#include "cmd/formats.h"

#include "base/check.h"
#include "base/log.h"
#include "formats/deb/deb_format.h"
#include "formats/file/file_format.h"
#include "formats/rpm/rpm_format.h"

#include <ctype.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static const struct sluice_format *const built_in[] = {
	&deb_format,
	&file_format,
	&rpm_format,
};

/* Whom formats_need_publication asks. Set before the threads that ask are started. */
static const struct formats *loaded;

static bool is_name(const char *s)
{
	if (s == NULL || s[0] == '\0')
		return false;
	for (; *s != '\0'; s++) {
		if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != '-' && *s != '_')
			return false;
	}
	return true;
}

static bool is_set(const char *s)
{
	return s != NULL && s[0] != '\0';
}

int formats_check(const struct formats *f, const struct sluice_format *format, struct err *err)
{
	if (format->abi != SLUICE_FORMAT_ABI)
		return err_set(err, -ERR_INVAL, "it is made for interface %u, and this program has %d", format->abi,
			SLUICE_FORMAT_ABI);
	if (!is_name(format->name) || !is_name(format->kind))
		return err_set(err, -ERR_INVAL, "name and kind must be lower-case letters, digits, - and _");
	for (size_t i = 0; i < f->count; i++) {
		if (strcmp(f->list[i]->name, format->name) == 0 && strcmp(f->list[i]->kind, format->kind) == 0)
			return err_set(err, -ERR_INVAL, "there is a format %s.%s already", format->name, format->kind);
	}
	if (!is_set(format->model) || !is_set(format->version) || !is_set(format->content_type) ||
		!is_set(format->content_plural) || !is_set(format->task_sync) || !is_set(format->task_publish))
		return err_set(err, -ERR_INVAL, "model, version, content type or plural, or a task's name is missing");
	for (const struct sluice_publication_kind *k = format->more_publications; k != NULL && k->kind != NULL; k++)
		if (!is_name(k->kind) || !is_set(k->model) || !is_set(k->task_publish) || k->publish == NULL)
			return err_set(
				err, -ERR_INVAL, "a kind of publications lacks its name, model, task or publish");
	if (format->policies == 0 || format->sync == NULL || format->publish == NULL)
		return err_set(err, -ERR_INVAL, "it supports no policy, or lacks sync or publish");
	return 0;
}

static int formats_add(struct formats *f, const struct sluice_format *format, struct err *err)
{
	int rc;

	if (f->count == FORMATS_MAX)
		return err_set(err, -ERR_LIMIT, "more than %d formats", FORMATS_MAX);
	rc = formats_check(f, format, err);
	if (rc == 0)
		f->list[f->count++] = format;
	return rc;
}

static int formats_load_one(struct formats *f, const char *path, struct err *err)
{
	const struct sluice_format *format;
	void *handle;
	int rc;

	/* A name without a slash would be looked for in the system's library path. */
	if (path[0] != '/')
		return err_set(err, -ERR_INVAL, "plugin '%s': the path must begin with /", path);
	if (f->handle_count == FORMATS_MAX)
		return err_set(err, -ERR_LIMIT, "more than %d plugins", FORMATS_MAX);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL)
		return err_set(err, -ERR_INVAL, "plugin cannot be loaded: %s", dlerror());
	f->handles[f->handle_count++] = handle;
	format = dlsym(handle, "sluice_format");
	if (format == NULL)
		return err_set(err, -ERR_INVAL, "plugin '%s' has no symbol sluice_format", path);
	rc = formats_add(f, format, err);
	if (rc < 0)
		return err_wrap(err, "plugin '%s'", path);
	log_info("start", "format %s.%s %s from %s", format->name, format->kind, format->version, path);
	return 0;
}

int formats_load(const char *plugins, struct formats *out, struct err *err)
{
	struct slice rest = slice_str(plugins);
	int rc = 0;

	*out = (struct formats){0};
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(built_in); i++)
		rc = formats_add(out, built_in[i], err);
	while (rc == 0 && rest.n > 0) {
		struct slice item = slice_trim(slice_cut(&rest, ','));
		char *path = item.n > 0 ? slice_dup(item) : NULL;

		if (path != NULL)
			rc = formats_load_one(out, path, err);
		free(path);
	}
	if (rc < 0)
		formats_unload(out);
	else
		loaded = out;
	return rc;
}

void formats_unload(struct formats *f)
{
	if (loaded == f)
		loaded = NULL;
	while (f->handle_count > 0)
		dlclose(f->handles[--f->handle_count]);
	*f = (struct formats){0};
}

bool formats_need_publication(const char *type)
{
	for (size_t i = 0; loaded != NULL && i < loaded->count; i++) {
		const struct sluice_format *f = loaded->list[i];
		size_t n = strlen(f->name);

		if (strncmp(type, f->name, n) == 0 && type[n] == '.' && strcmp(type + n + 1, f->kind) == 0)
			return !f->serves_without_publication;
	}
	return true;
}
