/* The data directory: found, made, locked; and the file in it that tells the CLI where its server is. Blocking. */
#ifndef SLUICE_CMD_DATADIR_H
#define SLUICE_CMD_DATADIR_H

#include "base/buf.h"
#include "base/err.h"

/* --data, SLUICE_DATA, or the default of this user. Appends to out. */
int datadir_find(const char *option, struct buf *out, struct err *err);
/* Makes it (0700) if missing and takes its lock, which lasts until the descriptor is closed or the process ends. -ERR_BUSY: another
 * server has it. */
int datadir_lock(const char *dir, int *fd, struct err *err);

/* Task processes of a server that was killed die with it, but one that is busy inside the kernel may take a moment: while it
 * has its share of this lock, nobody may sweep what it works on. The server waits (-ERR_BUSY after half a minute); a task takes a
 * share, which lasts as the lock does. */
int datadir_wait_for_tasks(const char *dir, struct err *err);
int datadir_join_tasks(const char *dir, int *fd, struct err *err);

/* Processes that only serve (no api, no worker) share a data directory with the server that has its lock: each holds a share of this
 * one, which never blocks. For the server: *any says whether some run, so that their files in the making are left alone. */
int datadir_join_members(const char *dir, int *fd, struct err *err);
int datadir_has_members(const char *dir, bool *any, struct err *err);

/* client.json, 0600. Strings are malloc'ed; NULL when absent. */
struct client_info {
	char *url, *username, *password;
	char *connect_to,
		*ca_file; /* of a server with TLS: where the URL's host is, as HOST:PORT, and a PEM file to trust */
};
int client_info_read(const char *dir, struct client_info *out, struct err *err); /* -ERR_NOTFOUND */
int client_info_write(const char *dir, const struct client_info *info, struct err *err);
void client_info_fini(struct client_info *info);

#endif
