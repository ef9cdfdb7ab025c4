/* What several commands of the CLI do with the REST API. */
#ifndef SLUICE_CMD_REMOTE_OPS_H
#define SLUICE_CMD_REMOTE_OPS_H

#include "cmd/client.h"

/* The collections that the CLI works on. */
#define REMOTES "/pulp/api/v3/remotes/file/file/"
#define REPOSITORIES "/pulp/api/v3/repositories/file/file/"
#define PUBLICATIONS "/pulp/api/v3/publications/file/file/"
#define DISTRIBUTIONS "/pulp/api/v3/distributions/file/file/"
#define ALL_DISTRIBUTIONS "/pulp/api/v3/distributions/"

/* A member that is a text; "" when it is not. */
const char *json_text_of(const json_t *object, const char *key);
/* How many units a version has: `which` is "present", "added" or "removed". */
int64_t version_units(const json_t *version, const char *which);

/* Makes the object, or changes what differs from `wanted` (members that it has already are left alone). *out: as it is now. */
int ensure_object(struct client *c, const char *collection, const json_t *wanted, json_t **out, struct err *err);

/* Publishes the version unless it is. */
int ensure_published(struct client *c, const json_t *version, struct err *err);

struct sync_done {
	json_t *version; /* the repository's latest one, read after the sync */
	bool changed;    /* the sync made it */
	char *task;      /* href */
};
/* Syncs and waits, with progress on standard error unless `quiet`. `body`: of the request. */
int sync_repository(struct client *c, const json_t *repository, const json_t *body, bool quiet, struct sync_done *out,
	struct err *err);
void sync_done_fini(struct sync_done *d);

/* Where clients fetch what the distribution serves: an absolute URL. Appends. */
int distribution_url(const struct client *c, const json_t *distribution, struct buf *out);

#endif
