/* What several commands of the CLI do with the REST API. */
#ifndef SLUICE_CMD_REMOTE_OPS_H
#define SLUICE_CMD_REMOTE_OPS_H

#include "cmd/client.h"

/* The collections that the CLI works on: those of all formats, which show what all have alike, */
#define ALL_REMOTES "/pulp/api/v3/remotes/"
#define ALL_REPOSITORIES "/pulp/api/v3/repositories/"
#define ALL_DISTRIBUTIONS "/pulp/api/v3/distributions/"
/* and those of one. */
struct collections {
	const char *format; /* as on the command line */
	const char *remotes, *repositories, *publications, *distributions;
	const char *manifest; /* what a URL that ends in a slash lacks; "": nothing */
	bool publishes_own;   /* metadata of our own, unless it is told to mirror */
};
const struct collections *collections_of(const char *format); /* NULL: there is no such format */

/* A member that is a text; "" when it is not. */
const char *json_text_of(const json_t *object, const char *key);
/* How many units a version has: `which` is "present", "added" or "removed". */
int64_t version_units(const json_t *version, const char *which);

/* Makes the object, or changes what differs from `wanted` (members that it has already are left alone). *out: as it is now. */
int ensure_object(struct client *c, const char *collection, const json_t *wanted, json_t **out, struct err *err);

/* Publishes the version unless it is; `publications`: the collection. */
int ensure_published(struct client *c, const char *publications, const json_t *version, struct err *err);

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
