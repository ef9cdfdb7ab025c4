/* The declarative pipeline: a format declares units, this folder writes them in batches, downloads what may not wait, makes the version,
 * and publishes. Runs in task processes: blocking. Memory stays flat at any repository size. */
#ifndef SLUICE_SYNC_SYNC_H
#define SLUICE_SYNC_SYNC_H

#include "base/settings.h"
#include "catalog/catalog.h"
#include "sluice/format.h"
#include "store/store.h"
#include "tasks/tasks.h"

/* What `cmd` wires and task_env() returns. */
struct sync_env {
	const struct settings *settings;
	struct catalog *catalog;
	struct store *store;
	const struct sluice_format *const *formats; /* NULL-terminated */
};
const struct sluice_format *sync_format_of(const struct sync_env *env, const char *type /* "file.file" */);

/* Handlers. args of sync: {"repository": uuid, "remote": uuid, "mirror": bool, "optimize": bool, "on_missing": "keep"|"fail", options…};
 * of publish: {"repository_version": [repo uuid, number], fields…}; created_resources and result as facts 5.2 and 6.5 say. */
task_fn sync_task;
task_fn publish_task;
/* {"repository": uuid, "add": [content uuid…], "remove": [content uuid… or "*"], "base_version": number|null, "overwrite": bool} */
task_fn modify_task;
/* {"content_hrefs": […]|null, "protection_min": n}: units in no version, then artifacts of no unit; codes clean-up.content, clean-up.artifacts */
task_fn orphan_cleanup_task;
/* {"repositories": [uuid…] | ["*"], "keep": [[repo uuid, number]…]}: code reclaim-space.artifact (facts 3.14) */
task_fn reclaim_task;

/* Hrefs and PRNs of what tasks create: "/pulp/api/v3/repositories/file/file/<uuid>/versions/3/", "prn:core.repositoryversion:<uuid>". */
void sync_version_names(const char *type, const struct uuid *repo, int64_t number, const struct uuid *version,
	struct buf *href, struct buf *prn);
void sync_publication_names(const struct sluice_format *f, const struct uuid *pub, struct buf *href, struct buf *prn);

#endif
