/* Which saved artifacts may go because they can come back, the least recently used first. Blocking.
 *
 * An artifact may go when every content artifact that has it is offered by a remote with policy on_demand or streamed that declares the same digest (sha224
 * or better) and size, neither lacked it nor sent something else when it was asked last, and may serve every repository that has the unit; when none of
 * them is pinned (change.h) or offered by an immediate remote; and when no publication has it as its own. So what was uploaded, generated or
 * downloaded by an immediate sync stays. */
#ifndef SLUICE_CATALOG_EVICT_H
#define SLUICE_CATALOG_EVICT_H

#include "base/err.h"
#include "catalog/catalog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the look is, in order of last use; 0, 0 at first. */
struct evict_at {
	int64_t last_used_us, id;
};
struct evict_candidate {
	int64_t id, size, last_used_us;
};
/* Looks at up to `look` artifacts from *at on that were used before `before_us`, and moves *at to the last one looked at. Stops early when `max` were found
 * or their sizes add up to `bytes`. *count of them may go. *at_end: none is left to look at. One seek each, and no sort, however many there are. */
struct evict_look {
	int64_t before_us;
	size_t look;
	int64_t bytes;
	bool share_credentials; /* settings.content_share_credentials */
};
int catalog_evict_look(struct txn *t, const struct evict_look *what, struct evict_at *at, struct evict_candidate *out,
	size_t max, size_t *count, bool *at_end, struct err *err);
/* Write transaction: units forget it, its row goes and its file is noted (removal.h), unless it was used or became unfit meanwhile. 1: gone; 0: not. */
int catalog_evict(struct txn *t, const struct evict_candidate *c, bool share_credentials, struct err *err);

#endif
