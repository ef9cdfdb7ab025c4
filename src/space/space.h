/* The bound on what saved artifacts take of the disk (storage.quota), and the eviction that keeps to it.
 *
 * A thread of its own looks once a second, and when a download says that it will need room: past quota_high percent of the quota, or with less than
 * storage.min_free of the file system free, it evicts what can come back (catalog/evict.h), the least recently used first and in small transactions, until
 * quota_low is reached. What was used within storage.use_interval, so that nobody knows how recently, goes only where there is nothing else, and then no
 * further than to quota_high. A look does not begin anew each time: what could not go a few minutes ago is passed over.
 *
 * Past the quota itself nothing is saved: a download is served like a streamed one, a sync fails. Every function takes NULL for "no bound". */
#ifndef SLUICE_SPACE_SPACE_H
#define SLUICE_SPACE_SPACE_H

#include "base/err.h"
#include "base/settings.h"
#include "catalog/catalog.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct space;

struct space_opts { /* all borrowed */
	struct catalog *catalog;
	struct store *store;
	const struct settings *settings;
};
/* Blocking. */
int space_new(const struct space_opts *opts, struct space **out, struct err *err);
void space_free(struct space **ps);

/* Starts the thread; nothing happens without a quota. `gone` (or NULL) is called on it for artifacts that were evicted, so that whoever has their files
 * open can let go of them: at most SPACE_GONE_MAX, ids in rising order. */
#define SPACE_GONE_MAX 64
int space_start(struct space *s, void (*gone)(void *arg, const int64_t *artifact_ids, size_t count), void *arg,
	struct err *err);
/* After the current transaction; `gone` is not called any more. Blocks. */
void space_stop(struct space *s);

/* ---- downloads for clients: any thread, never blocks ---- */

/* What a download expects to need and has been given. Its owner's, one thread at a time; zeroed at first. */
struct space_share {
	int64_t expected, admitted;
};
/* So many bytes will come: eviction makes room ahead of them. */
void space_expect(struct space *s, struct space_share *share, int64_t bytes);
/* May they be saved? 1: yes, and they count until space_done, which follows when the catalog knows them. 0: there is no room now, but eviction is at work:
 * ask again soon. -1: there is none. */
int space_admit(struct space *s, struct space_share *share, int64_t bytes);
/* They will not be saved: counted, and logged once a minute. */
void space_refused(struct space *s);
void space_done(struct space *s, struct space_share *share);

/* ---- tasks ---- */

/* Evicts in the caller's thread if that is needed for so many more bytes. -ERR_NOSPACE: there is no room for them. Blocking. */
int space_make_room(struct space *s, int64_t bytes, struct err *err);
/* For what nobody has asked for yet: is there room without anything that would be evicted for it, now or by the thread? -ERR_NOSPACE: there is none.
 * Blocking. */
int space_has_room(struct space *s, int64_t bytes, struct err *err);

#endif
