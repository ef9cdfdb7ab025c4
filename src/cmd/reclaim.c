/* `sluice reclaim NAME…`: saved artifacts of repositories become lazy ones again. */
#include "base/check.h"
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/progress.h"
#include "cmd/remote_ops.h"

#include <unistd.h>

static void add_repository(const struct options *o, json_t *repository, json_t *body)
{
	json_t *keep = json_object_get(body, "repo_versions_keeplist");

	if (!o->all)
		json_array_append(json_object_get(body, "repo_hrefs"), json_object_get(repository, "pulp_href"));
	if (o->keep_latest)
		json_array_append(keep, json_object_get(repository, "latest_version_href"));
}

static int named_repositories(struct client *c, const struct options *o, json_t *body, struct err *err)
{
	int rc = 0;

	for (int i = 1; rc == 0 && i < o->operand_count; i++) {
		json_t *repository = NULL;

		rc = client_find(c, ALL_REPOSITORIES, o->operands[i], &repository, err);
		if (rc == -ERR_NOTFOUND)
			err_set(err, rc, "there is no repository '%s'; `sluice repo list` shows what is there",
				o->operands[i]);
		else if (rc == 0)
			add_repository(o, repository, body);
		json_decref(repository);
	}
	return rc;
}

static int all_repositories(struct client *c, const struct options *o, json_t *body, struct err *err)
{
	json_t *repositories = NULL, *repository;
	size_t i;
	int rc = 0;

	json_array_append_new(json_object_get(body, "repo_hrefs"), json_string("*"));
	if (o->keep_latest)
		rc = client_list(c, ALL_REPOSITORIES, &repositories, err);
	json_array_foreach(repositories, i, repository)
	{
		add_repository(o, repository, body);
	}
	json_decref(repositories);
	return rc;
}

/* `done` of one of the task's progress reports. */
static long long report_of(const json_t *task, const char *code)
{
	json_t *reports = json_object_get(task, "progress_reports"), *r;
	size_t i;

	json_array_foreach(reports, i, r)
	{
		if (strcmp(json_text_of(r, "code"), code) == 0)
			return (long long)json_integer_value(json_object_get(r, "done"));
	}
	return 0;
}

static int reclaim_print(const struct options *o, const json_t *task, struct err *err)
{
	long long artifacts = report_of(task, "reclaim-space.artifact"), bytes = report_of(task, "reclaim-space.bytes");
	struct buf out = BUF_INIT(0);
	int rc;

	if (o->json) {
		json_t *j = json_pack("{s:I, s:I, s:b, s:s}", "artifacts", (json_int_t)artifacts, "bytes",
			(json_int_t)bytes, "dry_run", o->dry_run, "task", json_text_of(task, "pulp_href"));

		commands_add_json(&out, j);
		json_decref(j);
	} else {
		buf_addf(&out, "%lld artifacts, %.1f MiB %s\n", artifacts, (double)bytes / (1024.0 * 1024),
			o->dry_run ? "would be reclaimed" : "reclaimed");
	}
	rc = commands_print(&out, err);
	buf_fini(&out);
	return rc;
}

static int reclaim(struct client *c, const struct options *o, struct err *err)
{
	json_t *body = json_pack("{s:[], s:[], s:b}", "repo_hrefs", "repo_versions_keeplist", "dry_run", o->dry_run);
	json_t *answer = NULL, *task = NULL;
	struct progress p;
	int rc = o->all ? all_repositories(c, o, body, err) : named_repositories(c, o, body, err);

	progress_init(&p, STDERR_FILENO);
	if (rc == 0)
		rc = client_call(c, "POST", "/pulp/api/v3/repositories/reclaim_space/", body, &answer, err);
	if (rc == 0)
		rc = client_wait(c, json_text_of(answer, "task"), o->json ? NULL : &p, &task, err);
	if (rc == 0)
		rc = reclaim_print(o, task, err);
	json_decref(task);
	json_decref(answer);
	json_decref(body);
	return rc;
}

int cmd_reclaim(const struct options *o)
{
	struct client *c = NULL;
	struct err err = ERR_INIT;
	int rc;

	if (o->all == (o->operand_count > 1)) {
		rc = err_set(&err, -ERR_INVAL, "either names of repositories, or --all");
		return commands_fail("reclaim", rc, &err);
	}
	rc = client_open(o, &c, &err);
	if (rc == 0)
		rc = reclaim(c, o, &err);
	client_close(&c);
	return rc < 0 ? commands_fail("reclaim", rc, &err) : EXIT_OK;
}
