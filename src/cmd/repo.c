/* `sluice repo list`: the repositories, where each comes from, and where clients find it. */
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/remote_ops.h"

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

static int repo_fetch(struct client *c, json_t *rows, struct err *err)
{
	json_t *repos = NULL, *remotes = NULL, *distributions = NULL, *repo;
	size_t i;
	int rc = client_list(c, ALL_REPOSITORIES, &repos, err);

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

static void repo_table(const json_t *rows, struct buf *out)
{
	int width = (int)strlen("NAME");
	json_t *row;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)rows, i, row)
	{
		int n = (int)strlen(json_text_of(row, "name"));

		width = n > width ? n : width;
	}
	buf_addf(out, "%-*s  %-9s  %7s  %8s  %s\n", width, "NAME", "POLICY", "VERSION", "UNITS", "URL");
	json_array_foreach((json_t *)(uintptr_t)rows, i, row)
	{
		const char *policy = json_text_of(row, "policy"), *url = json_text_of(row, "url");

		buf_addf(out, "%-*s  %-9s  %7lld  %8lld  %s\n", width, json_text_of(row, "name"),
			policy[0] != '\0' ? policy : "-",
			(long long)json_integer_value(json_object_get(row, "version")),
			(long long)json_integer_value(json_object_get(row, "units")), url[0] != '\0' ? url : "-");
	}
}

int cmd_repo(const struct options *o)
{
	struct buf out = BUF_INIT(0);
	struct client *c = NULL;
	json_t *rows = json_array();
	struct err err = ERR_INIT;
	int rc;

	if (strcmp(o->operands[1], "list") != 0) {
		err_set(&err, -ERR_INVAL, "there is no 'repo %s'; there is `sluice repo list`", o->operands[1]);
		rc = -ERR_INVAL;
		goto out;
	}
	rc = client_open(o, &c, &err);
	if (rc == 0)
		rc = repo_fetch(c, rows, &err);
	if (rc == 0) {
		if (o->json)
			commands_add_json(&out, rows);
		else
			repo_table(rows, &out);
		rc = commands_print(&out, &err);
	}
out:
	json_decref(rows);
	buf_fini(&out);
	client_close(&c);
	return rc < 0 ? commands_fail("repo", rc, &err) : EXIT_OK;
}
