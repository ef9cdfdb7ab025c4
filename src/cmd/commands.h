/* The commands, and what they share when they print. Each returns an exit code and has said on standard error why. */
#ifndef SLUICE_CMD_COMMANDS_H
#define SLUICE_CMD_COMMANDS_H

#include "base/buf.h"
#include "base/err.h"
#include "cmd/options.h"

#include <jansson.h>

int cmd_serve(const struct options *o);
int cmd_mirror(const struct options *o);
int cmd_repo_versions(const struct options *o);
int cmd_repo_add(const struct options *o);
int cmd_repo_remove(const struct options *o);
int cmd_repo_publish(const struct options *o);
int cmd_guard_allow(const struct options *o);
int cmd_guard_deny(const struct options *o);
int cmd_guard_sign(const struct options *o);
int cmd_acs_refresh(const struct options *o);
int cmd_content_upload(const struct options *o);
int cmd_content_where(const struct options *o);
int cmd_orphans_cleanup(const struct options *o);
int cmd_warm(const struct options *o);
int cmd_repair(const struct options *o);
int cmd_task_follow(const struct options *o);
int cmd_task_cancel(const struct options *o);
int cmd_manual(const struct options *o);   /* not listed: the build calls it */
int cmd_complete(const struct options *o); /* not listed: shells call it */
int cmd_version(const struct options *o);
int cmd_help(const struct options *o);
int cmd_sync(const struct options *o);
int cmd_status(const struct options *o);
int cmd_flights(const struct options *o);
int cmd_sources(const struct options *o);
int cmd_reclaim(const struct options *o);
int cmd_repo(const struct options *o);
int cmd_signing_service(const struct options *o);
int cmd_config(const struct options *o);
int cmd_secrets(const struct options *o);
int cmd_task_run(const struct options *o); /* not listed: how the worker starts a task's process */

/* Asks on the terminal whether to do what cannot be undone, unless --yes was given: "delete the remote 'x'". -ERR_INVAL: there is
 * nobody to ask; -ERR_CANCELED: no. */
int commands_confirm(const struct options *o, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Writes to standard output and flushes: a full disk behind a pipe is an error like any other. */
int commands_print(const struct buf *out, struct err *err);
/* Appends it indented, with a newline. */
int commands_add_json(struct buf *out, const json_t *j);
/* "sluice NAME: text" on standard error; the exit code that belongs to rc. */
int commands_fail(const char *name, int rc, const struct err *err);

#endif
