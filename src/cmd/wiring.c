/* The parts below the network, wired together. */
#include "cmd/wiring.h"

#include "base/check.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "catalog/acs.h"
#include "catalog/change.h"
#include "catalog/repository.h"
#include "catalog/save.h"
#include "catalog/secrets.h"
#include "catalog/warm.h"
#include "cmd/config.h"
#include "cmd/datadir.h"
#include "space/removal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* A request to the API waits for one of these, and they wait for the database, so that content never does. */
#define API_THREADS 4
#define API_QUEUE 1000
/* Connections that read: a thread that finds none free waits for one. Each has descriptors and a page cache. */
#define SERVER_READERS 12
#define TASK_READERS 2

/* ---- handlers of tasks ---- */

static const struct task_handler common_handlers[] = {
	{"pulpcore.app.tasks.repository.add_and_remove", modify_task, false},
	{"pulpcore.app.tasks.orphan.orphan_cleanup", orphan_cleanup_task, false},
	{"pulpcore.app.tasks.reclaim_space.reclaim_space", reclaim_task, false},
	{"pulpcore.app.tasks.repository.repair_version", repair_task, false},
	{"pulpcore.app.tasks.repository.repair_all_artifacts", repair_task, false},
	{WARM_TASK, warm_task, false},
	{SAVE_TASK, save_task, false},
	{ACS_TASK, sync_task, false},
};

static int wire_handlers(struct wiring *w, struct err *err)
{
	size_t n = 0, max = ARRAY_LEN(common_handlers) + api_task_handler_count;
	const struct sluice_publication_kind *k;
	struct task_handler *h;

	for (size_t i = 0; i < w->formats.count; i++) {
		max += 2;
		for (k = w->formats.list[i]->more_publications; k != NULL && k->kind != NULL; k++)
			max++;
	}
	h = calloc(max, sizeof(*h));

	if (h == NULL)
		return err_set(err, -ERR_NOMEM, "registering the tasks");
	for (size_t i = 0; i < w->formats.count; i++) {
		h[n++] = (struct task_handler){w->formats.list[i]->task_sync, sync_task, false};
		h[n++] = (struct task_handler){w->formats.list[i]->task_publish, publish_task, false};
		for (k = w->formats.list[i]->more_publications; k != NULL && k->kind != NULL; k++)
			h[n++] = (struct task_handler){k->task_publish, publish_task, false};
	}
	for (size_t i = 0; i < ARRAY_LEN(common_handlers); i++)
		h[n++] = common_handlers[i];
	for (size_t i = 0; i < api_task_handler_count; i++)
		h[n++] = api_task_handlers[i];
	w->handlers = h;
	w->registry = (struct task_registry){.handlers = h, .count = n, .env = &w->env};
	return 0;
}

/* ---- steps ---- */

static int wire_settings(struct wiring *w, const struct options *o, struct err *err)
{
	int rc = config_load(o, &w->settings, err);

	w->has_settings = rc == 0;
	if (rc == 0)
		rc = formats_load(w->settings.server_plugins, &w->formats, err);
	return rc;
}

static int wire_shm(struct wiring *w, struct err *err)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/generation", w->settings.server_data) >= (int)sizeof(path))
		return err_set(err, -ERR_INVAL, "the name of the data directory is too long");
	return shm_open_file(path, &w->shm, err);
}

/* What this process is to the data directory. */
enum part { PART_SERVER, PART_MEMBER, PART_TASK };

/* Whether a missing one may be made is known when the catalog is open. */
static int wire_keyring(struct wiring *w, enum part part, struct err *err)
{
	int rc = keyring_load(w->settings.server_secrets_key, &w->keyring, err);

	if (rc != -ERR_NOTFOUND || part != PART_SERVER)
		return rc;
	w->keyring_is_fresh = true;
	return keyring_new(&w->keyring, err);
}

static int wire_catalog(struct wiring *w, enum part part, struct err *err)
{
	struct catalog_opts opts = {
		.url = w->settings.database_url,
		.busy_timeout_ms = w->settings.database_busy_timeout,
		.readers = part == PART_TASK ? TASK_READERS : SERVER_READERS,
		.shm = w->shm,
		.window_ms = w->settings.content_superseded_window,
	};
	int rc = wire_keyring(w, part, err);

	opts.keyring = w->keyring;
	if (rc == 0)
		rc = catalog_open(&opts, part == PART_SERVER, &w->catalog, err);
	if (rc == 0 && part == PART_SERVER)
		rc = catalog_secrets_start(
			w->catalog, w->keyring, w->settings.server_secrets_key, w->keyring_is_fresh, err);
	return rc;
}

/* Versions and publications in the making have no maker when a server starts. */
static int sweep_catalog(struct wiring *w, struct err *err)
{
	struct txn *t = NULL;
	int rc = change_sweep(w->catalog, 0, err);

	if (rc == 0)
		rc = catalog_write(w->catalog, &t, err);
	if (rc == 0)
		rc = catalog_publication_sweep(t, err);
	if (rc == 0)
		rc = txn_commit(&t, err);
	txn_end(&t);
	return rc;
}

static int store_usage(void *arg, int64_t *total, int64_t *used, int64_t *free_bytes)
{
	return store_space(arg, total, used, free_bytes, NULL);
}

static int wire_api(struct wiring *w, struct err *err)
{
	struct api_opts opts = {
		.settings = &w->settings,
		.catalog = w->catalog,
		.registry = &w->registry,
		.formats = w->formats.list,
		.pool = w->api_pool,
		.usage = store_usage,
		.usage_arg = w->store,
		.store = w->store,
		.add_units = sync_add_units,
		.fetch_url = sync_fetch_url,
	};
	int rc = api_new(&opts, &w->api, err);

	if (rc == 0)
		api_tasks_bind(w->api);
	return rc;
}

static int wire_rest(struct wiring *w, enum part part, struct err *err)
{
	bool members = false;
	int rc = part == PART_SERVER ? datadir_has_members(w->settings.server_data, &members, err) : 0;

	if (rc == 0)
		rc = store_open(w->settings.storage_media, part == PART_SERVER && !members, &w->store, err);
	if (rc == 0)
		rc = space_new(&(struct space_opts){.catalog = w->catalog, .store = w->store, .settings = &w->settings},
			&w->space, err);
	if (rc < 0)
		return rc;
	w->env = (struct sync_env){
		.settings = &w->settings,
		.catalog = w->catalog,
		.store = w->store,
		.space = w->space,
		.formats = w->formats.list,
	};
	rc = wire_handlers(w, err);
	if (rc == 0 && part == PART_SERVER)
		rc = pool_new("api", API_THREADS, API_QUEUE, &w->api_pool, err);
	if (rc == 0)
		rc = wire_api(w, err);
	return rc;
}

/* ---- from outside ---- */

int wiring_open_server(const struct options *o, struct wiring *w, struct err *err)
{
	int rc;

	*w = (struct wiring){.lock_fd = -1, .tasks_lock_fd = -1};
	rc = wire_settings(w, o, err);
	if (rc == 0)
		rc = datadir_lock(w->settings.server_data, &w->lock_fd, err);
	if (rc == 0)
		rc = datadir_wait_for_tasks(w->settings.server_data, err);
	if (rc == 0)
		rc = wire_shm(w, err);
	if (rc == 0)
		rc = wire_catalog(w, PART_SERVER, err);
	if (rc == 0)
		rc = sweep_catalog(w, err);
	if (rc == 0)
		rc = wire_rest(w, PART_SERVER, err);
	if (rc == 0)
		rc = removal_run(w->catalog, w->store, err);
	if (rc < 0)
		wiring_close(w);
	return rc;
}

int wiring_open_member(const struct options *o, struct wiring *w, struct err *err)
{
	int rc;

	*w = (struct wiring){.lock_fd = -1, .tasks_lock_fd = -1};
	rc = wire_settings(w, o, err);
	if (rc == 0)
		rc = datadir_join_members(w->settings.server_data, &w->tasks_lock_fd, err);
	if (rc == 0)
		rc = wire_shm(w, err);
	if (rc == 0)
		rc = wire_catalog(w, PART_MEMBER, err);
	if (rc == 0)
		rc = wire_rest(w, PART_MEMBER, err);
	if (rc < 0)
		wiring_close(w);
	return rc;
}

bool wiring_needs_lock(const struct settings *s)
{
	return settings_list_has(s->server_roles, SLICE("api")) || settings_list_has(s->server_roles, SLICE("worker"));
}

int wiring_open_task(const struct options *o, struct wiring *w, struct err *err)
{
	int rc;

	*w = (struct wiring){.lock_fd = -1, .tasks_lock_fd = -1};
	rc = wire_settings(w, o, err);
	if (rc == 0)
		rc = datadir_join_tasks(w->settings.server_data, &w->tasks_lock_fd, err);
	if (rc == 0)
		rc = wire_shm(w, err);
	if (rc == 0)
		rc = wire_catalog(w, PART_TASK, err);
	if (rc == 0)
		rc = wire_rest(w, PART_TASK, err);
	if (rc < 0)
		wiring_close(w);
	return rc;
}

void wiring_close(struct wiring *w)
{
	api_tasks_bind(NULL);
	api_free(&w->api);
	if (w->api_pool != NULL)
		pool_free(&w->api_pool);
	free(TAKE(w->handlers));
	space_free(&w->space);
	store_close(&w->store);
	catalog_close(&w->catalog);
	keyring_free(&w->keyring);
	shm_close(&w->shm);
	fs_close(&w->tasks_lock_fd);
	fs_close(&w->lock_fd);
	formats_unload(&w->formats);
	if (w->has_settings)
		settings_fini(&w->settings);
	w->has_settings = false;
}
