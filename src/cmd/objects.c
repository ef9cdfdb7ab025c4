/* The verbs that all kinds of objects share. */
#include "cmd/objects.h"

#include "base/check.h"
#include "base/url.h"
#include "base/uuid.h"
#include "cmd/commands.h"
#include "cmd/progress.h"
#include "cmd/remote_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- finding ---- */

const char *object_type_of(const struct object_kind *kind, const char *href)
{
	size_t n = strlen(kind->path);

	if (strncmp(href, kind->path, n) != 0)
		return "";
	for (const struct object_type *t = kind->types; t != NULL && t->name != NULL; t++) {
		if (strncmp(href + n, t->path, strlen(t->path)) == 0)
			return t->name;
	}
	return "";
}

static const struct object_type *type_named(const struct object_kind *kind, const char *name)
{
	for (const struct object_type *t = kind->types; t != NULL && t->name != NULL; t++) {
		if (strcmp(t->name, name) == 0)
			return t;
	}
	return NULL;
}

/* Calls for each collection that the objects of a kind are in: one of all, else each type's. Appends what matches. */
static int collect(struct client *c, const struct object_kind *kind, const struct object_type *only, const char *query,
	int64_t limit, json_t *rows, int64_t *count, struct err *err)
{
	const struct object_type *t = only != NULL ? only : kind->lists_all ? NULL : kind->types;
	struct buf path = BUF_INIT(1 << 20);
	int rc = 0;

	do {
		json_t *some = NULL;
		int64_t n = 0;

		buf_reset(&path);
		buf_addf(&path, "%s%s?%s", kind->path, t != NULL ? t->path : "", query);
		rc = path.failed != 0 ? err_set(err, -ERR_INVAL, "what is asked for is too long")
				      : client_list_first(c, path.p, limit, &some, &n, err);
		if (rc == 0 && json_array_extend(rows, some) < 0)
			rc = err_set(err, -ERR_NOMEM, "listing");
		*count += n;
		json_decref(some);
	} while (rc == 0 && only == NULL && t != NULL && (++t)->name != NULL);
	buf_fini(&path);
	return rc;
}

static bool is_reference(const char *name)
{
	return name[0] == '/' || strncmp(name, "prn:", 4) == 0;
}

static int find_in_lists(
	struct client *c, const struct object_kind *kind, const char *name, json_t **out, struct err *err)
{
	const char *key = strncmp(name, "prn:", 4) == 0 ? "prn__in" : kind->key != NULL ? kind->key : "name";
	struct buf query = BUF_INIT(65536);
	json_t *rows = json_array();
	int64_t n = 0;
	int rc;

	buf_addf(&query, "%s=", key);
	url_encode(&query, slice_str(name), "");
	buf_adds(&query, "&");
	if (query.failed != 0 || rows == NULL)
		rc = err_set(err, -ERR_INVAL, "the name of the %s is too long", kind->noun);
	else
		rc = collect(c, kind, NULL, query.p, 2, rows, &n, err);
	if (rc == 0 && n == 0)
		rc = err_set(err, -ERR_NOTFOUND, "there is no %s '%s'; `sluice %s list` shows what is there",
			kind->noun, name, kind->noun);
	else if (rc == 0 && n > 1)
		rc = err_set(err, -ERR_INVAL, "'%s' are %lld: %s, %s…; give the href", name, (long long)n,
			json_string_value(json_object_get(json_array_get(rows, 0), "pulp_href")),
			json_string_value(json_object_get(json_array_get(rows, 1), "pulp_href")));
	if (rc == 0)
		*out = json_incref(json_array_get(rows, 0));
	json_decref(rows);
	buf_fini(&query);
	return rc;
}

int object_href(struct client *c, const struct object_kind *kind, const char *name, char **out, struct err *err)
{
	struct buf href = BUF_INIT(65536);
	json_t *row = NULL;
	struct uuid uuid;
	int rc = 0;

	if (name[0] == '/') {
		buf_adds(&href, name);
	} else if (kind->by_uuid && !is_reference(name)) {
		if (uuid_parse(slice_str(name), &uuid) < 0)
			rc = err_set(err, -ERR_INVAL, "'%s' is no %s: its UUID or href is needed", name, kind->noun);
		buf_addf(&href, "%s%s/", kind->path, name);
	} else if ((rc = find_in_lists(c, kind, name, &row, err)) == 0) {
		buf_adds(&href, json_string_value(json_object_get(row, "pulp_href")));
	}
	if (rc == 0 && (*out = buf_take(&href, NULL)) == NULL)
		rc = err_set(err, -ERR_NOMEM, "'%s'", name);
	buf_fini(&href);
	json_decref(row);
	return rc;
}

int object_find(struct client *c, const struct object_kind *kind, const char *name, json_t **out, struct err *err)
{
	char *href = NULL;
	int rc = object_href(c, kind, name, &href, err);

	if (rc == 0)
		rc = client_call(c, "GET", href, NULL, out, err);
	free(href);
	return rc;
}

/* ---- what all verbs do ---- */

int objects_run(const struct options *o, int (*verb)(struct work *w, struct err *err))
{
	struct work w = {.o = o, .kind = o->command->kind, .out = BUF_INIT(0)};
	struct err err = ERR_INIT;
	int rc = client_open(o, &w.client, &err);

	if (rc == 0)
		rc = verb(&w, &err);
	if (rc == 0)
		rc = commands_print(&w.out, &err);
	buf_fini(&w.out);
	client_close(&w.client);
	return rc < 0 ? commands_fail(o->command->name, rc, &err) : EXIT_OK;
}

bool objects_talks(const struct work *w)
{
	return !w->o->json;
}

int objects_print(struct work *w, const struct column *columns, const json_t *rows)
{
	return w->o->json ? commands_add_json(&w->out, rows) : table_add(columns, rows, w->client, &w->out);
}

int objects_do(struct work *w, const char *path, const json_t *body, json_t **task, struct err *err)
{
	json_t *answer = NULL;
	struct progress p;
	int rc = client_call(w->client, "POST", path, body, &answer, err);

	progress_init(&p, STDERR_FILENO);
	if (rc == 0)
		rc = client_wait(w->client, json_text_of(answer, "task"), objects_talks(w) ? &p : NULL, task, err);
	json_decref(answer);
	return rc;
}

int objects_add_reports(struct work *w, const json_t *task)
{
	const json_t *report;
	size_t i;

	if (!objects_talks(w))
		return commands_add_json(&w->out, task);
	json_array_foreach(json_object_get(task, "progress_reports"), i, report)
	{
		table_add_value(json_object_get(report, "message"), &w->out);
		buf_addf(&w->out, ": %lld\n", (long long)json_integer_value(json_object_get(report, "done")));
	}
	return 0;
}

/* The type that the options name; NULL: none. */
static int type_given(const struct work *w, const struct object_type **out, struct err *err)
{
	const char *name = w->kind->types != NULL && options_given(w->o, w->kind->type_option)
				   ? options_text(w->o, w->kind->type_option)
				   : NULL;
	struct buf all = BUF_INIT(4096);

	*out = name != NULL ? type_named(w->kind, name) : NULL;
	if (name == NULL || *out != NULL)
		return 0;
	for (const struct object_type *t = w->kind->types; t->name != NULL; t++)
		buf_addf(&all, "%s%s", t == w->kind->types ? "" : ", ", t->name);
	err_set(err, -ERR_INVAL, "there is no %s '%s': %s", options_describe(NULL, w->kind->type_option).name, name,
		all.p);
	buf_fini(&all);
	return -ERR_INVAL;
}

int objects_type(const struct work *w, const struct object_type **out, struct err *err)
{
	int rc = type_given(w, out, err);

	if (rc < 0 || *out != NULL || w->kind->types == NULL)
		return rc;
	if (w->kind->preset_type == NULL)
		return err_set(err, -ERR_INVAL, "--%s is needed: %s", options_describe(NULL, w->kind->type_option).name,
			options_describe(w->o->command, w->kind->type_option).help);
	*out = type_named(w->kind, w->kind->preset_type);
	return 0;
}

static const char *href_of(const json_t *object)
{
	return json_text_of(object, "pulp_href");
}

/* ---- list ---- */

static int limit_given(const struct work *w, int64_t *limit, struct err *err)
{
	*limit = w->kind->limit;
	if (w->o->limit != NULL && slice_to_i64(slice_str(w->o->limit), INT32_MAX, limit) < 0)
		return err_set(err, -ERR_INVAL, "--limit: '%s' is not a number", w->o->limit);
	return 0;
}

static int list(struct work *w, struct err *err)
{
	const struct object_type *type = NULL;
	struct buf query = BUF_INIT(1 << 20);
	int64_t limit = 0, count = 0;
	json_t *rows = json_array();
	int rc = limit_given(w, &limit, err);

	if (rc == 0)
		rc = type_given(w, &type, err);
	if (rc == 0)
		rc = fields_query(w->client, w->o, &query, err);
	if (rc == 0)
		rc = collect(w->client, w->kind, type, query.p != NULL ? query.p : "", limit, rows, &count, err);
	if (rc == 0)
		rc = objects_print(w, w->kind->columns, rows);
	if (rc == 0 && w->o->limit == NULL && count > (int64_t)json_array_size(rows))
		fprintf(stderr, "the first %zu of %lld; --limit 0 shows all\n", json_array_size(rows),
			(long long)count);
	json_decref(rows);
	buf_fini(&query);
	return rc;
}

int objects_list(const struct options *o)
{
	return objects_run(o, list);
}

/* ---- show ---- */

static int add_object(struct work *w, const json_t *object)
{
	return w->o->json ? commands_add_json(&w->out, object) : table_add_members(object, &w->out);
}

static int show(struct work *w, struct err *err)
{
	json_t *object = NULL;
	int rc = object_find(w->client, w->kind, w->o->operands[1], &object, err);

	if (rc == 0)
		rc = add_object(w, object);
	json_decref(object);
	return rc;
}

int objects_show(const struct options *o)
{
	return objects_run(o, show);
}

/* ---- create and update ---- */

/* For people on standard error what was done, for programs on standard output what it was done to. */
static int said(struct work *w, const json_t *object, const char *done)
{
	if (w->o->json)
		return commands_add_json(&w->out, object);
	fprintf(stderr, "%s '%s' %s\n", w->kind->noun, w->o->operands[1], done);
	return buf_addf(&w->out, "%s\n", href_of(object));
}

static int create(struct work *w, struct err *err)
{
	struct buf path = BUF_INIT(4096);
	const struct object_type *type = NULL;
	json_t *body = NULL, *object = NULL;
	int rc = objects_type(w, &type, err);

	if (rc == 0)
		rc = fields_body(w->client, w->o, w->kind, type != NULL ? type->name : "", NULL, &body, err);
	if (rc == 0 && json_object_set_new(body, "name", json_string(w->o->operands[1])) < 0)
		rc = err_set(err, -ERR_INVAL, "the name is not UTF-8");
	if (rc == 0) {
		buf_addf(&path, "%s%s", w->kind->path, type != NULL ? type->path : "");
		rc = client_do(w->client, "POST", path.p, body, true, &object, err);
	}
	if (rc == 0)
		rc = said(w, object, "is made");
	json_decref(object);
	json_decref(body);
	buf_fini(&path);
	return rc;
}

int objects_create(const struct options *o)
{
	return objects_run(o, create);
}

static int update(struct work *w, struct err *err)
{
	json_t *is = NULL, *body = NULL, *object = NULL;
	int rc = object_find(w->client, w->kind, w->o->operands[1], &is, err);

	if (rc == 0)
		rc = fields_body(w->client, w->o, w->kind, object_type_of(w->kind, href_of(is)), is, &body, err);
	if (rc == 0 && json_object_size(body) == 0)
		rc = err_set(err, -ERR_INVAL, "nothing is to be changed; `sluice %s --help` lists what can be",
			w->o->command->name);
	if (rc == 0)
		rc = client_do(w->client, "PATCH", href_of(is), body, false, NULL, err);
	if (rc == 0)
		rc = client_call(w->client, "GET", href_of(is), NULL, &object, err);
	if (rc == 0)
		rc = said(w, object, "is changed");
	json_decref(object);
	json_decref(body);
	json_decref(is);
	return rc;
}

int objects_update(const struct options *o)
{
	return objects_run(o, update);
}

/* ---- delete ---- */

/* All are looked up before the first one goes: a mistyped name deletes nothing. */
static int destroy(struct work *w, struct err *err)
{
	char *hrefs[OPERANDS_MAX] = {NULL};
	json_t *gone = json_array();
	int n = w->o->operand_count - 1, rc = 0;

	for (int i = 0; rc == 0 && i < n; i++) {
		json_t *object = NULL;

		rc = object_find(w->client, w->kind, w->o->operands[i + 1], &object, err);
		if (rc == 0 && (hrefs[i] = strdup(href_of(object))) == NULL)
			rc = err_set(err, -ERR_NOMEM, "deleting");
		json_decref(object);
	}
	if (rc == 0 && n == 1)
		rc = commands_confirm(w->o, err, "delete the %s '%s'", w->kind->noun, w->o->operands[1]);
	else if (rc == 0)
		rc = commands_confirm(w->o, err, "delete %d objects of kind %s", n, w->kind->noun);
	for (int i = 0; rc == 0 && i < n; i++) {
		rc = client_do(w->client, "DELETE", hrefs[i], NULL, false, NULL, err);
		if (rc < 0)
			err_wrap(err, "'%s'", w->o->operands[i + 1]);
		else if (!w->o->json)
			fprintf(stderr, "%s '%s' is deleted\n", w->kind->noun, w->o->operands[i + 1]);
		if (rc == 0)
			json_array_append_new(gone, json_string(hrefs[i]));
	}
	if (rc == 0 && w->o->json)
		rc = commands_add_json(&w->out, gone);
	for (int i = 0; i < n; i++)
		free(hrefs[i]);
	json_decref(gone);
	return rc;
}

int objects_delete(const struct options *o)
{
	return objects_run(o, destroy);
}
