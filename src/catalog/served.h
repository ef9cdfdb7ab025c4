/* What the content service asks: which distributions there are and what each serves, what a path means, who offers an
 * artifact that is missing; and what it reports: saved, failed, missing. Blocking. */
#ifndef SLUICE_CATALOG_SERVED_H
#define SLUICE_CATALOG_SERVED_H

#include "base/digest.h"
#include "base/err.h"
#include "base/uuid.h"
#include "catalog/catalog.h"
#include "catalog/remote.h"

/* One set of paths that a distribution answers from. publication_id == 0: a version without publication. */
struct served_set {
	int64_t publication_id;
	int64_t repository_id;
	int64_t version_number;
	bool pass_through; /* paths of the version's units count, not only published ones */
	int64_t date_us;   /* of the publication, or of the version */
	bool superseded;   /* of the window (P10): answered, but not listed */
};

struct served_distribution {
	int64_t id;
	struct uuid uuid;
	char *name, *base_path, *type;
	bool hidden;
	int64_t content_guard_id; /* 0: none */
	bool has_source;          /* points at anything at all (another text of the 404) */
	struct served_set *sets;  /* current first, then superseded ones, newest first */
	size_t set_count;
};
struct served_table {
	struct served_distribution *d; /* sorted by base_path */
	size_t count;
};
/* All distributions and what they serve now: their publication; the latest complete publication of their version; of their
 * repository the publication with the highest version number, then the newest (facts 4.2 step 4). `window_us`: how long
 * superseded publications are answered; 0: not at all. `needs_publication(type)`: a format that also serves a version
 * without publication answers false. */
int catalog_served_load(struct txn *t, int64_t window_us, bool (*needs_publication)(const char *type),
	struct served_table **out, struct err *err);
void served_table_free(struct served_table **pt);

/* What a path of a set means. */
struct served_path {
	int64_t content_artifact_id; /* 0 for a published artifact without one (it must be in the store) */
	int64_t repository_id;       /* of the set: which credentials may serve it */
	bool saved;                  /* the catalog has an artifact for it */
	int64_t artifact_id;         /* if saved */
	struct digests digests; /* of the artifact if saved, else as declared by the remote artifacts; may be empty */
	int64_t size;           /* likewise; -1 unknown */
	int64_t date_us;        /* Last-Modified: when the unit entered the repository, or of the publication */
};
/* -ERR_NOTFOUND when no unit has it. One seek each in published_artifact and repository_path, whatever the size. */
int catalog_path_find(
	struct txn *t, const struct served_set *set, struct slice path, struct served_path *out, struct err *err);
/* Is `path` (without trailing slash; "" is the root) a directory of the set, i.e. does anything lie below it? 1 or 0 or negative. */
int catalog_path_is_dir(struct txn *t, const struct served_set *set, struct slice path, struct err *err);

struct listing_entry {
	struct slice name; /* one segment, without slash; valid during the call */
	bool is_dir;
	int64_t size;    /* -1 unknown; of some file below for a directory */
	int64_t date_us; /* likewise */
};
/* The entries of a directory, in byte order, merged from published and passed-through paths; one seek an entry, also when
 * a sub-directory holds a million files. `fn` stops the walk by returning non-zero, which is returned. */
int catalog_listing(struct txn *t, const struct served_set *set, struct slice dir,
	int (*fn)(void *arg, const struct listing_entry *e), void *arg, struct err *err);
/* Every path of the set, for the filter that answers unknown ones from memory. In byte order within each of the two tables. */
int catalog_paths_each(struct txn *t, const struct served_set *set, int (*fn)(void *arg, struct slice path), void *arg,
	struct err *err);

/* Where a missing artifact can be had. */
struct source_row {
	int64_t remote_artifact_id; /* negative: an alternate source's (acs.h) */
	char *url;
	int64_t size; /* -1 unknown */
	struct digests digests;
	int64_t failed_at_us, missing_at_us; /* 0: never */
	bool is_acs;
	struct remote_row *remote; /* owned */
};
/* All sources of a content artifact that may serve this repository: a remote with credentials only where
 * repository_remote has the pair, or `share_credentials`. ACS first. Zero rows is success. */
int catalog_sources(struct txn *t, int64_t content_artifact_id, int64_t repository_id, bool share_credentials,
	struct source_row **rows, size_t *count, struct err *err);
void source_rows_free(struct source_row **rows, size_t count);

/* The artifact is in the store: inserts it unless its sha256 is there, points the content artifact to it (if not 0), and clears
 * failed_at and missing_at of the remote artifact it came from (if not 0). digests must have sha256. */
int catalog_artifact_saved(struct txn *t, int64_t content_artifact_id, int64_t remote_artifact_id,
	const struct digests *digests, int64_t size, int64_t *artifact_id, struct err *err);
int catalog_source_failed(struct txn *t, int64_t remote_artifact_id, int64_t when_us, struct err *err);
int catalog_source_missing(struct txn *t, int64_t remote_artifact_id, int64_t when_us, struct err *err);
/* An artifact row by digest: id and size; -ERR_NOTFOUND. */
int catalog_artifact_find(struct txn *t, const uint8_t sha256[32], int64_t *id, int64_t *size, struct err *err);
/* The artifact that a content artifact points to by now; -ERR_NOTFOUND while it is not saved. */
int catalog_artifact_of(
	struct txn *t, int64_t content_artifact_id, struct digests *digests, int64_t *size, struct err *err);

#endif
