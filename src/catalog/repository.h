/* Repositories, versions and publications as syncs, publishing and the API need them (beside the generic queries of
 * query.h). Blocking. */
#ifndef SLUICE_CATALOG_REPOSITORY_H
#define SLUICE_CATALOG_REPOSITORY_H

#include "base/err.h"
#include "base/uuid.h"
#include "catalog/catalog.h"
#include "catalog/remote.h"

#include <jansson.h>

struct repository_row {
	int64_t id;
	struct uuid uuid;
	char *type, *name;
	int64_t remote_id; /* 0: none */
	bool autopublish;
	int64_t retain_repo_versions; /* 0: all */
	int64_t next_version;
	char *last_sync_details; /* JSON object */
	char *extra;             /* JSON object */
};
void repository_row_free(struct repository_row **pr);
int catalog_repository_by_uuid(
	struct txn *t, const struct uuid *u, struct repository_row **out, struct err *err); /* -ERR_NOTFOUND */
int catalog_repository_by_id(struct txn *t, int64_t id, struct repository_row **out, struct err *err);
/* Inserts a repository with its empty version 0. */
int catalog_repository_create(
	struct txn *t, const char *type, const char *name, int64_t *id, struct uuid *uuid, struct err *err);
int catalog_repository_set_sync_details(struct txn *t, int64_t id, struct slice json, struct err *err);

struct version_row {
	int64_t id, repository_id, number;
	struct uuid uuid;
	int64_t created_us, added, removed, present;
};
int catalog_version_latest(struct txn *t, int64_t repository_id, struct version_row *out, struct err *err);
int catalog_version_get(struct txn *t, int64_t repository_id, int64_t number, struct version_row *out,
	struct err *err); /* -ERR_NOTFOUND */
int catalog_version_by_id(struct txn *t, int64_t id, struct version_row *out, struct err *err);
/* Squashes it into the next one; -ERR_BUSY when a distribution serves it; -ERR_INVAL "[PLP0011] …" when it is the only one. */
int catalog_version_delete(struct txn *t, int64_t repository_id, int64_t number, struct err *err);

/* How many units of each type: {"added": {type: n}, "removed": …, "present": …}; a new reference. Walks the version. */
int catalog_version_counts(struct txn *t, int64_t version_id, json_t **out, struct err *err);

/* Units of a version with their file, newest unit first, for metadata that names every file: digests and sizes as declared or saved
 * (the same either way). `fn` stops the walk by a non-zero result, which is returned. */
struct unit_file {
	int64_t content_id, content_artifact_id;
	struct slice type, natural_key;
	struct slice relative_path;
	const struct digests *digests;
	int64_t size;
	struct slice extra, detail;
};
int catalog_version_files_each(struct txn *t, int64_t repository_id, int64_t number,
	int (*fn)(void *arg, const struct unit_file *f), void *arg, struct err *err);
/* Every unit of a type that a version has, with or without artifacts, oldest first. `fn` as above. */
int catalog_version_units_each(struct txn *t, int64_t repository_id, int64_t number, const char *type,
	int (*fn)(void *arg, struct slice natural_key, struct slice extra), void *arg, struct err *err);
/* How many content artifacts of the version have no artifact. */
int catalog_version_missing_count(
	struct txn *t, int64_t repository_id, int64_t number, int64_t *count, struct err *err);

/* A publication in the making (complete = 0). Its date is later by a second at least than that of the repository's last one. */
int catalog_publication_begin(struct txn *t, const char *type, int64_t version_id, bool pass_through, bool checkpoint,
	struct slice extra, int64_t *id, struct uuid *uuid, struct err *err);
int catalog_publication_add(struct txn *t, int64_t publication_id, struct slice path, int64_t artifact_id,
	int64_t content_artifact_id, struct err *err);
/* Completes it; what the distributions served until now goes to their history. Changes service. */
int catalog_publication_complete(struct txn *t, int64_t publication_id, struct err *err);
int catalog_publication_delete(struct txn *t, int64_t publication_id, struct err *err);
/* Those with complete = 0 that no task works on: at start. */
int catalog_publication_sweep(struct txn *t, struct err *err);

/* Before what a distribution points at is changed: what it served until now goes to its history. Changes service. */
int catalog_distribution_supersede(struct txn *t, int64_t distribution_id, struct err *err);
/* Its source was set to null: the history is forgotten. Changes service. */
int catalog_distribution_forget(struct txn *t, int64_t distribution_id, struct err *err);
/* Drops from all histories what was superseded longer ago than the window of catalog_opts: now and then, or it would be answered
 * until something else changes. Changes service if there was any; else it only reads. */
int catalog_history_sweep(struct catalog *c, struct err *err);

/* Artifacts: does any content artifact or publication use it? Those of none, `older_than_us`, in id order; for orphan clean-up. */
int catalog_artifact_orphans(struct txn *t, int64_t older_than_us, int64_t after_id, int64_t *ids,
	uint8_t (*sha256)[32], size_t max, size_t *count, struct err *err);

#endif
