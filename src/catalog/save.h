/* The split deployment's side of the catalog: what is served lazily, and the tasks that save it. Blocking. */
#ifndef SLUICE_CATALOG_SAVE_H
#define SLUICE_CATALOG_SAVE_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/settings.h"
#include "base/slice.h"
#include "catalog/catalog.h"

/* The request field by which the save task tells the streamer that it is he who asks. */
#define SAVE_FIELD "X-Sluice-Save"
/* The task, with args {"content_artifact": id, "target": "/pulp/content/…"}. */
#define SAVE_TASK "sluice.app.tasks.lazy.save"

/* Appends the URL that a target is appended to when it is fetched through the front: lazy.save_url, else lazy.redirect_url, with https: in
 * front if it begins with "//". -ERR_NOTFOUND: neither can be asked from here; then nothing can be saved. */
int save_front(const struct settings *s, struct buf *out, struct err *err);

/* Does a remote offer the content artifact under a policy that leaves it to the first request (on_demand, streamed)? 1, 0 or negative. */
int catalog_is_lazy(struct txn *t, int64_t content_artifact_id, struct err *err);

/* Is a save task of use: is it not saved (or `lost`: recorded as saved, but the store lacks it), does an on_demand remote offer it, and is none on its
 * way for this unit and path? 1, 0 or negative. */
int catalog_save_is_wanted(struct txn *t, int64_t content_artifact_id, bool lost, struct err *err);
/* Creates the task, unless it is of no use: 1 created, 0 not. -ERR_LIMIT: max_waiting of them wait already. The target's bytes that no
 * JSON text can hold are percent-encoded. */
int catalog_save_dispatch(struct txn *t, int64_t content_artifact_id, bool lost, struct slice target,
	int64_t max_waiting, struct err *err);

/* What the remotes declare of it: the first that knows a sha256, else the last. *size -1: unknown. Nothing declared is success. */
int catalog_declared(
	struct txn *t, int64_t content_artifact_id, struct digests *digests, int64_t *size, struct err *err);

#endif
