/* Which function runs a task of which name. Constant after start: any thread. */
#include "tasks/tasks.h"

#include <string.h>

const struct task_handler *task_registry_find(const struct task_registry *r, const char *name)
{
	for (size_t i = 0; i < r->count; i++) {
		if (strcmp(r->handlers[i].name, name) == 0)
			return &r->handlers[i];
	}
	return NULL;
}
