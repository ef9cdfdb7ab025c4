/* What the server and each task process need alike, put together in order and taken apart in reverse: settings, shared
 * counters, catalog, store, formats, handlers of tasks, the API's tables. Blocking; one thread. */
#ifndef SLUICE_CMD_WIRING_H
#define SLUICE_CMD_WIRING_H

#include "api/api.h"
#include "base/pool.h"
#include "base/settings.h"
#include "base/shm.h"
#include "catalog/catalog.h"
#include "catalog/keyring.h"
#include "cmd/formats.h"
#include "cmd/options.h"
#include "space/space.h"
#include "store/store.h"
#include "sync/sync.h"
#include "tasks/tasks.h"

struct wiring {
	struct settings settings;
	bool has_settings;
	int lock_fd;       /* the data directory's lock (server); -1 */
	int tasks_lock_fd; /* a task process's share of the tasks' lock, or a member's of the members'; -1 */
	struct shm *shm;
	struct keyring *keyring; /* of the catalog */
	bool keyring_is_fresh;   /* there was no key file */
	struct catalog *catalog;
	struct store *store;
	struct space *space;
	struct formats formats;
	struct task_handler *handlers;
	struct task_registry registry;
	struct sync_env env;
	struct pool *api_pool; /* server */
	struct api *api;
};

/* As the server: locks the data directory, migrates the catalog, and sweeps what a dead server left. */
int wiring_open_server(const struct options *o, struct wiring *w, struct err *err);
/* As a process that only serves, beside the server that has the lock: migrates and sweeps nothing. -ERR_NOTFOUND, -ERR_DB: that server has not
 * made the catalog yet, or is of another version. */
int wiring_open_member(const struct options *o, struct wiring *w, struct err *err);
/* Do the effective settings give this process a role that needs the data directory's lock? */
bool wiring_needs_lock(const struct settings *s);
int wiring_open_task(const struct options *o, struct wiring *w, struct err *err);
void wiring_close(struct wiring *w);

#endif
