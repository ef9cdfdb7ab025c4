/* Reading updateinfo.xml, comps.xml and modules.yaml in a sync, and declaring what is in them. One thread. */
#ifndef SLUICE_FORMATS_RPM_EXTRAS_H
#define SLUICE_FORMATS_RPM_EXTRAS_H

#include "formats/rpm/hashmap.h"
#include "formats/rpm/notes.h"
#include "sluice/format.h"

enum extra { EXTRA_MODULES, EXTRA_COMPS, EXTRA_ADVISORIES, EXTRA_COUNT };

struct extras {
	const struct sluice_sync_host *host;
	struct sluice_sync *sync;
	enum extra kind; /* that is being read */
	struct records xml;
	struct buf yaml, id;
	struct hashmap modular; /* NEVRAs of packages that belong to module streams */
	struct hashmap ids;     /* of what is declared: how many there are */
	int64_t done;
	struct err err;
};

void extras_init(struct extras *x, const struct sluice_sync_host *h, struct sluice_sync *s);
void extras_fini(struct extras *x);
/* Which types of repomd.xml it may have, the best first; NULL ends them. */
const char *const *extras_types(enum extra kind);
/* One file: begin, feed, end. Negative results: the sync has failed. */
int extras_begin(struct extras *x, enum extra kind);
int extras_feed(struct extras *x, const char *p, size_t n);
int extras_end(struct extras *x);

#endif
