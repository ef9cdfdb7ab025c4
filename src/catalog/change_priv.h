/* The insides of a change, for change.c, declare.c and member.c. All functions are part of the caller's write
 * transaction.
 *
 * In the version in the making a unit is present exactly when its row has no version_removed: no later version
 * exists. */
#ifndef SLUICE_CATALOG_CHANGE_PRIV_H
#define SLUICE_CATALOG_CHANGE_PRIV_H

#include "base/buf.h"
#include "catalog/catalog_priv.h"
#include "catalog/change.h"
#include "catalog/idset.h"

struct artifact_state;
struct known;

/* What a transaction did to a set, to be undone with it. */
struct change_mark {
	struct idset *set;
	int64_t id;
	bool added; /* else taken out */
};

struct change {
	struct catalog *c;
	struct change_opts opts;
	int64_t version_id, number, since, created_us;
	struct uuid uuid;
	bool settled;
	/* A directory which, like all above it, is no unit's path: most units lie beside the one before. */
	struct buf clean_dir;
	struct buf below_from, below_to; /* member.c: scratch */
	struct artifact_state *states;   /* declare.c: one for each artifact of the unit at hand */
	size_t state_cap;
	struct known *known; /* known.c; NULL: nothing is */
	/* Of units: declared by this change; of those: that have remote artifacts of the remote that were not declared, that it made, that were as
	 * declared already. And those that it took out, even if that was rolled back. */
	struct idset declared, partial, made, kept, removed;
	struct idset artifacts; /* content artifacts that it declared, but for those of `kept` */
	struct change_mark *marks;
	size_t mark_count, mark_cap;
};

void known_free(struct known **pk);

/* Changes to the sets above that are part of a transaction: -ERR_NOMEM. Its owner ends them when it has committed it, or not. */
int change_mark(struct change *ch, struct idset *set, int64_t id, bool add, struct err *err);
void change_marks_end(struct change *ch, bool committed);

/* How a unit stands to the version in the making. */
enum membership { MEMBER_ABSENT, MEMBER_PRESENT, MEMBER_REMOVED /* by this very version */ };
int member_state(struct db *db, const struct change *ch, int64_t content_id, enum membership *out, struct err *err);
/* Puts an absent or removed unit in, its paths with it. What has one of its paths goes (or -ERR_EXISTS, see
 * change.h). */
int member_add(struct db *db, struct change *ch, int64_t content_id, enum membership was, struct err *err);
/* The same for one whose rows were just made: its artifacts are those of `u`. */
/* Takes out what the unit supersedes. */
int member_supersede(struct db *db, struct change *ch, const struct change_unit *u, struct err *err);
int member_add_new(struct db *db, struct change *ch, const struct change_unit *u, struct err *err);
/* Takes it out; nothing happens when it is not present. */
int member_remove(struct db *db, struct change *ch, int64_t content_id, struct err *err);
/* A unit that repositories have already got one more artifact. */
int member_add_artifact(struct db *db, struct change *ch, int64_t content_id, int64_t ca_id, struct slice path,
	bool present, struct err *err);
/* Marks a unit as declared by this change. `partial`: it has remote artifacts of the remote that were not declared;
 * `made`: by this change. */
int member_declare(struct change *ch, int64_t content_id, bool partial, bool made, struct err *err);

/* Undoes up to `max` rows of a version in the making, then its own row. 1: done; 0: there is more; or negative. */
int version_undo(struct db *db, int64_t repository_id, int64_t number, int64_t max, struct err *err);

#endif
