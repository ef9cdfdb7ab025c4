/* The commands, and what they share when they print. Each returns an exit code and has said on standard error why. */
#ifndef SLUICE_CMD_COMMANDS_H
#define SLUICE_CMD_COMMANDS_H

#include "base/buf.h"
#include "base/err.h"
#include "cmd/options.h"

#include <jansson.h>

int cmd_serve(const struct options *o);
int cmd_mirror(const struct options *o);
int cmd_sync(const struct options *o);
int cmd_status(const struct options *o);
int cmd_flights(const struct options *o);
int cmd_sources(const struct options *o);
int cmd_reclaim(const struct options *o);
int cmd_repo(const struct options *o);
int cmd_config(const struct options *o);
int cmd_secrets(const struct options *o);
int cmd_task_run(const struct options *o); /* not listed: how the worker starts a task's process */

/* Writes to standard output and flushes: a full disk behind a pipe is an error like any other. */
int commands_print(const struct buf *out, struct err *err);
/* Appends it indented, with a newline. */
int commands_add_json(struct buf *out, const json_t *j);
/* "sluice NAME: text" on standard error; the exit code that belongs to rc. */
int commands_fail(const char *name, int rc, const struct err *err);

#endif
