/* `sluice warm` and `sluice repair`: tasks about what is saved of a repository's latest version. */
#include "base/check.h"
#include "cmd/commands.h"
#include "cmd/objects.h"
#include "cmd/remote_ops.h"

/* Has the version's task done, and prints what it counted. `name`: NULL: of everything, at `path`. */
static int do_task(struct work *w, const char *name, const char *path, struct err *err)
{
	json_t *repository = NULL, *body = NULL, *task = NULL;
	struct buf where = BUF_INIT(4096);
	int rc = fields_body(w->client, w->o, &kind_repository, "", NULL, &body, err);

	if (rc == 0 && name != NULL)
		rc = object_find(w->client, &kind_repository, name, &repository, err);
	if (rc == 0 && buf_addf(&where, "%s%s", name != NULL ? json_text_of(repository, "latest_version_href") : API,
			       path) < 0)
		rc = err_set(err, -ERR_NOMEM, "no memory for a path");
	if (rc == 0)
		rc = objects_do(w, where.p, body, &task, err);
	if (rc == 0)
		rc = objects_add_reports(w, task);
	buf_fini(&where);
	json_decref(task);
	json_decref(body);
	json_decref(repository);
	return rc;
}

static int warm(struct work *w, struct err *err)
{
	return do_task(w, w->o->operands[1], "warm/", err);
}

int cmd_warm(const struct options *o)
{
	return objects_run(o, warm);
}

static int repair(struct work *w, struct err *err)
{
	return do_task(w, w->o->operand_count > 1 ? w->o->operands[1] : NULL, "repair/", err);
}

int cmd_repair(const struct options *o)
{
	return objects_run(o, repair);
}
