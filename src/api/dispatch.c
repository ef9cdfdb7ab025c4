/* From a request to a task: what it reserves, and the answer 202. */
#include "api/api_priv.h"

#include "base/check.h"

#include <stdlib.h>

static void add(struct api_ctx *x, const char ***list, size_t *count, size_t *cap, const char *text)
{
	for (size_t i = 0; i < *count; i++)
		if (strcmp((*list)[i], text) == 0)
			return;
	if (*count + 1 >= *cap) {
		size_t more = *cap > 0 ? 2 * *cap : 8;
		const char **grown = arena_alloc(&x->arena, more * sizeof(*grown));

		if (grown == NULL) {
			x->nomem = true;
			return;
		}
		memcpy(grown, *list != NULL ? *list : grown, *count * sizeof(*grown));
		*list = grown;
		*cap = more;
	}
	(*list)[(*count)++] = text;
	(*list)[*count] = NULL;
}

void api_lock(struct api_ctx *x, struct api_locks *l, bool exclusive, const char *resource)
{
	if (exclusive)
		add(x, &l->exclusive, &l->exclusive_count, &l->exclusive_cap, resource);
	else
		add(x, &l->shared, &l->shared_count, &l->shared_cap, resource);
}

void api_reserve_itself(struct api_ctx *x, const struct api_resource *r, enum api_op op, const json_t *row,
	const json_t *values, struct api_locks *l)
{
	api_lock(x, l, true, api_prn(x, r, api_row_str(row, "uuid")));
}

void api_dispatch(struct api_ctx *x, const char *name, json_t *args, struct api_locks *l)
{
	char *text = args != NULL ? json_dumps(args, JSON_COMPACT) : NULL, uuid_text[UUID_STR];
	struct task_new n = {.name = name, .created_by = x->user_id};
	struct err err = ERR_INIT;
	struct uuid uuid;
	int rc;

	api_lock(x, l, false, api_text(x, "prn:core.domain:%s", x->api->domain));
	n.args = slice_str(text);
	n.logging_cid = slice_str(x->res->correlation_id);
	n.exclusive = l->exclusive;
	n.shared = l->shared;
	n.immediate = l->brief;
	/* A task that runs here opens transactions of its own. */
	api_txn_end(x);
	if (text == NULL || x->nomem) /* never a task without one of its reservations */
		rc = err_set(&err, -ERR_NOMEM, "no memory for the arguments of %s", name);
	else
		rc = tasks_dispatch(x->api->registry, x->api->catalog, &n, &uuid, &err);
	if (rc < 0)
		api_reply_err(x, rc, &err);
	else
		api_reply(
			x, 202, json_pack("{s:s}", "task", api_href_by(x, "tasks", NULL, uuid_str(&uuid, uuid_text))));
	free(text);
	json_decref(args);
}
