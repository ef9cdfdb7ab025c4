/* Repositories: the list, where each comes from, and where clients find it; their versions; adding, removing, publishing. */
#include "base/check.h"
#include "cmd/commands.h"
#include "cmd/objects.h"
#include "cmd/remote_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The object of `list` whose member `key` is `value`; NULL: none. */
static const json_t *pick(const json_t *list, const char *key, const char *value)
{
	json_t *v;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, v)
	{
		if (value[0] != '\0' && strcmp(json_text_of(v, key), value) == 0)
			return v;
	}
	return NULL;
}

/* One row of the list: what three collections and a version say about one repository. */
static int repo_row(struct client *c, const json_t *repo, const json_t *remotes, const json_t *distributions,
	json_t *rows, struct err *err)
{
	const json_t *remote = pick(remotes, "pulp_href", json_text_of(repo, "remote"));
	const json_t *dist = pick(distributions, "repository", json_text_of(repo, "pulp_href"));
	struct buf url = BUF_INIT(65536);
	json_t *version = NULL, *row;
	int rc = client_call(c, "GET", json_text_of(repo, "latest_version_href"), NULL, &version, err);

	if (rc < 0)
		goto out;
	if (dist != NULL)
		distribution_url(c, dist, &url);
	row = json_pack("{s:s, s:s, s:s?, s:s?, s:I, s:I, s:s?}", "name", json_text_of(repo, "name"), "repository",
		json_text_of(repo, "pulp_href"), "upstream", json_string_value(json_object_get(remote, "url")),
		"policy", json_string_value(json_object_get(remote, "policy")), "version",
		json_integer_value(json_object_get(version, "number")), "units",
		(json_int_t)version_units(version, "present"), "url", url.p);
	if (row == NULL || json_array_append_new(rows, row) < 0)
		rc = err_set(err, -ERR_NOMEM, "listing repositories");
out:
	json_decref(version);
	buf_fini(&url);
	return rc;
}

static int repo_fetch(struct work *w, json_t *rows, struct err *err)
{
	json_t *repos = NULL, *remotes = NULL, *distributions = NULL, *repo;
	struct buf path = BUF_INIT(1 << 20);
	struct client *c = w->client;
	size_t i;
	int rc;

	buf_adds(&path, ALL_REPOSITORIES "?");
	rc = fields_query(c, w->o, &path, err);
	if (rc == 0)
		rc = client_list(c, path.p, &repos, err);
	buf_fini(&path);
	if (rc == 0)
		rc = client_list(c, ALL_REMOTES, &remotes, err);
	if (rc == 0)
		rc = client_list(c, ALL_DISTRIBUTIONS, &distributions, err);
	json_array_foreach(repos, i, repo)
	{
		if (rc == 0)
			rc = repo_row(c, repo, remotes, distributions, rows, err);
	}
	json_decref(distributions);
	json_decref(remotes);
	json_decref(repos);
	return rc;
}

static const struct column columns[] = {
	{"NAME", "name", NULL},
	{"POLICY", "policy", NULL},
	{"VERSION", "version", NULL},
	{"UNITS", "units", NULL},
	{"URL", "url", NULL},
	{NULL, NULL, NULL},
};

static int list(struct work *w, struct err *err)
{
	json_t *rows = json_array();
	int rc = repo_fetch(w, rows, err);

	if (rc == 0)
		rc = objects_print(w, columns, rows);
	json_decref(rows);
	return rc;
}

int cmd_repo(const struct options *o)
{
	return objects_run(o, list);
}

/* ---- versions ---- */

static const struct column version_columns[] = {
	{"VERSION", "number", NULL},
	{"CREATED", "created", NULL},
	{"ADDED", "added", NULL},
	{"REMOVED", "removed", NULL},
	{"UNITS", "units", NULL},
	{NULL, NULL, NULL},
};

static json_t *version_row(const json_t *v)
{
	return json_pack("{s:O, s:s, s:s, s:I, s:I, s:I}", "number", json_object_get(v, "number"), "href",
		json_text_of(v, "pulp_href"), "created", json_text_of(v, "pulp_created"), "added",
		(json_int_t)version_units(v, "added"), "removed", (json_int_t)version_units(v, "removed"), "units",
		(json_int_t)version_units(v, "present"));
}

static int versions(struct work *w, struct err *err)
{
	json_t *rows = json_array(), *all = NULL, *v;
	struct buf path = BUF_INIT(65536);
	char *href = NULL;
	size_t i;
	int rc = object_href(w->client, w->kind, w->o->operands[1], &href, err);

	if (rc == 0) {
		buf_addf(&path, "%sversions/", href);
		rc = client_list(w->client, path.p, &all, err);
	}
	json_array_foreach(all, i, v)
	{
		if (rc == 0 && json_array_append_new(rows, version_row(v)) < 0)
			rc = err_set(err, -ERR_UPSTREAM, "what answers for versions is not the API");
	}
	if (rc == 0)
		rc = objects_print(w, version_columns, rows);
	json_decref(all);
	json_decref(rows);
	free(href);
	buf_fini(&path);
	return rc;
}

int cmd_repo_versions(const struct options *o)
{
	return objects_run(o, versions);
}

/* ---- adding and removing ---- */

/* The version that a task made, or that nothing changed. */
static int say_version(struct work *w, const json_t *task)
{
	const char *made = json_string_value(json_array_get(json_object_get(task, "created_resources"), 0));

	if (!objects_talks(w))
		return commands_add_json(&w->out, task);
	if (made == NULL)
		fprintf(stderr, "nothing has changed\n");
	return made != NULL ? buf_addf(&w->out, "%s\n", made) : 0;
}

static int modify(struct work *w, const char *member, struct err *err)
{
	json_t *units = json_array(), *body = json_pack("{s:O}", member, units), *task = NULL;
	struct buf path = BUF_INIT(65536);
	char *href = NULL, *unit = NULL;
	int rc = object_href(w->client, w->kind, w->o->operands[1], &href, err);

	for (int i = 2; rc == 0 && i < w->o->operand_count; i++) {
		rc = object_href(w->client, &kind_content, w->o->operands[i], &unit, err);
		if (rc == 0)
			json_array_append_new(units, json_string(unit));
		free(TAKE(unit));
	}
	if (rc == 0) {
		buf_addf(&path, "%smodify/", href);
		rc = objects_do(w, path.p, body, &task, err);
	}
	if (rc == 0)
		rc = say_version(w, task);
	json_decref(task);
	json_decref(body);
	json_decref(units);
	free(href);
	buf_fini(&path);
	return rc;
}

static int add(struct work *w, struct err *err)
{
	return modify(w, "add_content_units", err);
}

int cmd_repo_add(const struct options *o)
{
	return objects_run(o, add);
}

static int drop(struct work *w, struct err *err)
{
	return modify(w, "remove_content_units", err);
}

int cmd_repo_remove(const struct options *o)
{
	return objects_run(o, drop);
}

/* ---- publishing ---- */

static int publish(struct work *w, struct err *err)
{
	char *href = NULL;
	json_t *body = NULL, *task = NULL;
	struct buf path = BUF_INIT(65536);
	struct slice type;
	int rc = object_href(w->client, w->kind, w->o->operands[1], &href, err);

	if (rc < 0)
		goto out;
	/* A format's publications are named as its repositories are: publications/rpm/rpm/. */
	type = slice_str(href);
	if (slice_starts(type, slice_str(w->kind->path)))
		type = slice_of(type.p + strlen(w->kind->path), type.n - strlen(w->kind->path));
	while (type.n > 0 && type.p[type.n - 1] == '/')
		type.n--;
	type.n = (size_t)MAX(slice_rchr(type, '/'), 0);
	buf_addf(&path, API "publications/%.*s/", SLICE_ARG(type));
	body = json_pack("{s:s}", "repository", href);
	rc = objects_do(w, path.p, body, &task, err);
	if (rc == 0)
		rc = say_version(w, task);
out:
	json_decref(task);
	json_decref(body);
	free(href);
	buf_fini(&path);
	return rc;
}

int cmd_repo_publish(const struct options *o)
{
	return objects_run(o, publish);
}
