/* Changing what a repository holds: a version in the making, filled in batches, then completed or swept. Used by syncs,
 * modify and upload. The caller holds the repository's exclusive reservation. Blocking.
 *
 *   change_begin ── change_declare, change_remove … (a transaction each) ── change_finish ──> a complete version, or none
 *        └───────────────────────── change_abort (also: crash, then change_sweep) ─────────> the repository as it was
 *
 * Rows of a version in the making carry its number; nothing serves them while it is incomplete. */
#ifndef SLUICE_CATALOG_CHANGE_H
#define SLUICE_CATALOG_CHANGE_H

#include "base/digest.h"
#include "base/err.h"
#include "base/uuid.h"
#include "catalog/catalog.h"

struct change;

/* One artifact of a declared unit. Borrowed strings. */
struct change_artifact {
	struct slice relative_path;
	struct slice url;       /* n == 0: no remote artifact (uploads) */
	int64_t size;           /* -1 unknown */
	struct digests digests; /* as declared */
	int64_t artifact_id;    /* already in the catalog: point at it; 0 otherwise */
	bool pinned;            /* once it is saved it stays, until its unit goes: not reclaimed, not evicted */
	/* results */
	int64_t content_artifact_id;
	bool saved; /* it has an artifact now */
	int64_t remote_artifact_id;
};
struct change_unit {
	struct slice type;        /* "file.file" */
	struct slice natural_key; /* unique within the type */
	struct slice extra;       /* JSON object, or n == 0 */
	struct slice detail;      /* bytes for publications; n == 0: none. What is known already stays */
	struct change_artifact *artifacts;
	size_t artifact_count;
	bool supersedes; /* units of the version whose key begins with the same line go */
	/* results */
	int64_t content_id;
	bool is_new; /* the catalog did not have it */
};

struct change_opts {
	int64_t repository_id;
	int64_t remote_id;   /* whose remote artifacts are declared; 0: none */
	bool mirror;         /* what is not declared is removed */
	int64_t base_number; /* version to start from; -1: the latest */
	bool keep_existing; /* an addition whose path another unit has is -ERR_EXISTS ("[PLP0023] …") instead of replacing it */
};

int64_t change_number(const struct change *ch); /* of the version that it makes */
int change_begin(struct catalog *c, const struct change_opts *opts, struct change **out, struct err *err);
/* Adds units (at most 1,000) in one transaction: rows for new content, its artifacts and remote artifacts (an existing remote artifact of
 * this remote gets the new url, size and digests), membership in the version; a unit that has the same path as an older one
 * replaces it. Two declared units with one path in one change: -ERR_EXISTS "[PLP0022] …". Fills the results. An identical redeclaration writes nothing. */
int change_declare(struct change *ch, struct change_unit *units, size_t count, struct err *err);
/* Takes units out of the version; unknown ones are ignored. */
int change_remove(struct change *ch, const int64_t *content_ids, size_t count, struct err *err);
int change_remove_all(struct change *ch, struct err *err);
/* Adds existing content by id (copy); same rules as change_declare. */
int change_add(struct change *ch, const int64_t *content_ids, size_t count, struct err *err);

/* What the version held when the change began is remembered, as far as memory goes, for change_keep. After change_begin, if at all. */
int change_know(struct change *ch, struct err *err);
/* Declares a unit by what change_know remembers. 1: that was all, for it is in the version, and everything but `extra` and the bytes of `detail` is as here (without
 * `artifact_id`s); the results are not filled in. 0: it has to be declared by change_declare. `detail` with p != NULL: it has one. */
int change_keep(struct change *ch, const struct change_unit *u);

/* Artifacts of this change's declared units that are not saved, for immediate downloads: at most `max` rows into caller's array; *count of them. *at is
 * zeroed before the first call. */
struct change_missing {
	int64_t content_artifact_id, remote_artifact_id, size;
	struct digests digests;
	char *url;      /* malloc'ed */
	int64_t for_us; /* of what is fetched ahead of clients: its last use, until one comes; 0: none */
};
struct change_missing_at {
	int64_t content_id, content_artifact_id;
	bool begun;
};
int change_missing_next(struct change *ch, struct change_missing_at *at, struct change_missing *rows, size_t max,
	size_t *count, struct err *err);
void change_missing_fini(struct change_missing *rows, size_t count);

struct change_result {
	bool changed; /* false: nothing differs; no version was made */
	int64_t version_id, number;
	struct uuid uuid;
	int64_t added, removed, present;
};
/* mirror: removes what was not declared. With a remote: drops its remote artifacts from content that leaves this repository, and from
 * artifacts that a declared unit no longer names or offers; and records (repository, remote) as synced together. Then completes the version (one small transaction), or sweeps it when
 * nothing differs. Applies retain_repo_versions. Frees *pch in any case. Bumps the generation. */
int change_finish(struct change **pch, struct change_result *out, struct err *err);
/* In two steps, for what must be there exactly when the version is (its publication): first only what change_finish does before
 * the version is complete. *out is what it will be; its rows can be read under its number, and version_id referred to. */
int change_settle(struct change *ch, struct change_result *out, struct err *err);
/* Then the rest; `also` (NULL: nothing) is part of the transaction that completes the version, when one is made. Its failure is the change's. */
int change_finish_with(struct change **pch, int (*also)(struct txn *t, void *arg, struct err *err), void *arg,
	struct change_result *out, struct err *err);
/* Undoes everything: also units that it made itself, unless another repository or publication has them by now. Artifacts that
 * were saved for it become orphans; so do the units when the process dies first. Frees. NULL is fine. */
void change_abort(struct change **pch);
/* Sweeps versions in the making that no one works on: at start, and by the owner of the reservation before change_begin (which calls it). */
int change_sweep(struct catalog *c, int64_t repository_id /* 0: all */, struct err *err);

#endif
