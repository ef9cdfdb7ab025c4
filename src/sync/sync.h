/* The declarative pipeline: a format declares units, this folder writes them in batches, downloads what may not wait, makes the version,
 * and publishes. Runs in task processes: blocking. Memory stays flat at any repository size. */
#ifndef SLUICE_SYNC_SYNC_H
#define SLUICE_SYNC_SYNC_H

#include "base/digest.h"
#include "base/settings.h"
#include "catalog/catalog.h"
#include "sluice/format.h"
#include "space/space.h"
#include "store/store.h"
#include "tasks/tasks.h"

/* What `cmd` wires and task_env() returns. */
struct sync_env {
	const struct settings *settings;
	struct catalog *catalog;
	struct store *store;
	struct space *space;                        /* NULL: no bound on what is saved */
	const struct sluice_format *const *formats; /* NULL-terminated */
};
const struct sluice_format *sync_format_of(const struct sync_env *env, const char *type /* "file.file" */);

/* Handlers. args of sync: {"repository": uuid, "remote": uuid, "mirror": bool, "optimize": bool, "on_missing": "keep"|"fail",
 * "warm": what a task of WARM_TASK is to fetch of the new version, options…};
 * of publish: {"repository_version": [repo uuid, number], "publication_kind": name (if not the main one), fields…}; created_resources and result as facts 5.2 and 6.5 say. */
task_fn sync_task; /* also of ACS_TASK (catalog/acs.h), whose args say "acs" */
task_fn publish_task;
/* {"repository": uuid, "add": [content uuid…], "remove": [content uuid… or "*"], "base_version": number|null, "overwrite": bool} */
task_fn modify_task;
/* Adds units to a repository as modify does, for a task of another layer that holds its reservation: a new version, with its publication where
 * the repository wants one, both reported as created; or none when nothing changes. `replace`: what has the same path goes. */
int sync_add_units(struct task *t, const char *repository_uuid, const int64_t *content_ids, size_t count, bool replace,
	struct err *err);
/* Downloads a file for such a task of another layer and saves it as an artifact; its sha256 in hex. `config`: fields of a remote by name, or NULL. That the URL
 * comes from somebody who need not be allowed to make remotes, content.foreign_networks takes into account. */
int sync_fetch_url(struct task *t, const char *url, const json_t *config, char sha256[DIGEST_HEX_MAX], struct err *err);
/* {"content_hrefs": […]|null, "protection_min": n}: units in no version, then artifacts of no unit; codes clean-up.content, clean-up.artifacts */
task_fn orphan_cleanup_task;
/* {"repositories": [uuid…] | ["*"], "keep": [[repo uuid, number]…], "dry_run": bool}: codes reclaim-space.artifact (facts 3.14), reclaim-space.bytes */
task_fn reclaim_task;

/* {"repository": uuid, "number": n, "verify_checksums": bool}, or without repository for all that is saved: codes repair.checked, repair.missing,
 * repair.corrupted, repair.repaired. */
task_fn repair_task;

/* WARM_TASK of catalog/warm.h. {"repository": uuid, "number": n, "what": "all"|"used"|"vanishing", "used_within": days|null, "rate_limit": bytes a
 * second|null, "concurrency": n|null}: codes warm.artifacts, warm.bytes, warm.missing, warm.failed. */
task_fn warm_task;

/* SAVE_TASK of catalog/save.h */
task_fn save_task;

/* Hrefs and PRNs of what tasks create: "/pulp/api/v3/repositories/file/file/<uuid>/versions/3/", "prn:core.repositoryversion:<uuid>". */
void sync_version_names(const char *type, const struct uuid *repo, int64_t number, const struct uuid *version,
	struct buf *href, struct buf *prn);
/* `kind`: NULL: the format's main one. */
void sync_publication_names(const struct sluice_format *f, const struct sluice_publication_kind *kind,
	const struct uuid *pub, struct buf *href, struct buf *prn);

#endif
