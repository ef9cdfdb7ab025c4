/* What is done to content guards and alternate content sources beyond changing their fields. */
#include "base/check.h"
#include "base/clock.h"
#include "cmd/commands.h"
#include "cmd/objects.h"
#include "cmd/remote_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DOWNLOADER "core.rbaccontentguard_downloader"
#define POLL_MS 200

/* Calls `action` of the object that operand 1 names. */
static int act(struct work *w, const char *action, const json_t *body, json_t **out, struct err *err)
{
	struct buf path = BUF_INIT(65536);
	char *href = NULL;
	int rc = object_href(w->client, w->kind, w->o->operands[1], &href, err);

	if (rc == 0) {
		buf_addf(&path, "%s%s/", href, action);
		rc = client_call(w->client, "POST", path.p, body, out, err);
	}
	free(href);
	buf_fini(&path);
	return rc;
}

/* ---- whom an rbac guard lets pass ---- */

static int change_users(struct work *w, const char *action, const char *done, struct err *err)
{
	json_t *users = json_array(), *body = json_pack("{s:s, s:O}", "role", DOWNLOADER, "users", users),
	       *answer = NULL;
	int rc = 0;

	for (int i = 2; rc == 0 && i < w->o->operand_count; i++)
		if (json_array_append_new(users, json_string(w->o->operands[i])) < 0)
			rc = err_set(err, -ERR_INVAL, "'%s' is not UTF-8", w->o->operands[i]);
	if (rc == 0)
		rc = act(w, action, body, &answer, err);
	if (rc == 0 && objects_talks(w))
		fprintf(stderr, "guard '%s' %s\n", w->o->operands[1], done);
	else if (rc == 0)
		rc = commands_add_json(&w->out, answer);
	json_decref(answer);
	json_decref(body);
	json_decref(users);
	return rc;
}

static int allow(struct work *w, struct err *err)
{
	return change_users(w, "add_role", "lets them pass", err);
}

int cmd_guard_allow(const struct options *o)
{
	return objects_run(o, allow);
}

static int deny(struct work *w, struct err *err)
{
	return change_users(w, "remove_role", "lets them pass no more", err);
}

int cmd_guard_deny(const struct options *o)
{
	return objects_run(o, deny);
}

/* ---- signing ---- */

static int sign(struct work *w, struct err *err)
{
	json_t *body = NULL, *answer = NULL;
	int rc = fields_body(w->client, w->o, w->kind, "", NULL, &body, err);

	if (rc == 0 && json_object_set_new(body, "url", json_string(w->o->operands[2])) < 0)
		rc = err_set(err, -ERR_INVAL, "'%s' is not UTF-8", w->o->operands[2]);
	if (rc == 0)
		rc = act(w, "sign_url", body, &answer, err);
	if (rc == 0 && objects_talks(w))
		rc = buf_addf(&w->out, "%s\n", json_text_of(answer, "url"));
	else if (rc == 0)
		rc = commands_add_json(&w->out, answer);
	json_decref(answer);
	json_decref(body);
	return rc;
}

int cmd_guard_sign(const struct options *o)
{
	return objects_run(o, sign);
}

/* ---- refreshing a source ---- */

static int64_t count_of(const json_t *group, const char *state)
{
	return json_integer_value(json_object_get(group, state));
}

static int wait_for_group(struct client *c, const char *href, json_t **group, struct err *err)
{
	static const struct timespec nap = {.tv_nsec = POLL_MS * NS_PER_MS};

	for (;;) {
		int rc = client_call(c, "GET", href, NULL, group, err);

		if (rc < 0)
			return rc;
		if (json_is_true(json_object_get(*group, "all_tasks_dispatched")) &&
			count_of(*group, "waiting") + count_of(*group, "running") + count_of(*group, "canceling") == 0)
			return 0;
		json_decref(TAKE(*group));
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	}
}

static int refresh(struct work *w, struct err *err)
{
	json_t *answer = NULL, *group = NULL;
	int rc = act(w, "refresh", NULL, &answer, err);

	if (rc == 0)
		rc = wait_for_group(w->client, json_text_of(answer, "task_group"), &group, err);
	if (rc == 0 && count_of(group, "completed") < (int64_t)json_array_size(json_object_get(group, "tasks")))
		rc = err_set(err, -ERR_UPSTREAM,
			"%lld of %zu refreshes failed; `sluice task list --state failed` shows them",
			(long long)(count_of(group, "failed") + count_of(group, "canceled")),
			json_array_size(json_object_get(group, "tasks")));
	if (rc == 0 && objects_talks(w))
		fprintf(stderr, "acs '%s' is refreshed\n", w->o->operands[1]);
	else if (rc == 0)
		rc = commands_add_json(&w->out, group);
	json_decref(group);
	json_decref(answer);
	return rc;
}

int cmd_acs_refresh(const struct options *o)
{
	return objects_run(o, refresh);
}
