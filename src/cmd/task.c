/* Tasks: following one until it ends, cancelling one. */
#include "cmd/commands.h"
#include "cmd/objects.h"
#include "cmd/progress.h"
#include "cmd/remote_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int say_task(struct work *w, const json_t *task)
{
	if (!objects_talks(w))
		return commands_add_json(&w->out, task);
	return buf_addf(&w->out, "%s %s\n", json_text_of(task, "name"), json_text_of(task, "state"));
}

static int follow(struct work *w, struct err *err)
{
	json_t *task = NULL;
	struct progress p;
	char *href = NULL;
	int rc = object_href(w->client, w->kind, w->o->operands[1], &href, err);

	progress_init(&p, STDERR_FILENO);
	if (rc == 0)
		rc = client_wait(w->client, href, objects_talks(w) ? &p : NULL, &task, err);
	if (rc == 0)
		rc = say_task(w, task);
	json_decref(task);
	free(href);
	return rc;
}

int cmd_task_follow(const struct options *o)
{
	return objects_run(o, follow);
}

/* One that has ended answers as if it were the error. */
static int cancel(struct work *w, struct err *err)
{
	json_t *task = NULL, *after = NULL, *body = json_pack("{s:s}", "state", "canceled");
	const char *href;
	int rc = object_find(w->client, w->kind, w->o->operands[1], &task, err);

	if (rc < 0)
		goto out;
	href = json_text_of(task, "pulp_href");
	if (json_is_string(json_object_get(task, "finished_at")))
		rc = err_set(err, -ERR_DENIED, "the task has ended: it is %s", json_text_of(task, "state"));
	else
		rc = client_call(w->client, "PATCH", href, body, &after, err);
	if (rc == 0)
		rc = say_task(w, after);
out:
	json_decref(after);
	json_decref(task);
	json_decref(body);
	return rc;
}

int cmd_task_cancel(const struct options *o)
{
	return objects_run(o, cancel);
}
