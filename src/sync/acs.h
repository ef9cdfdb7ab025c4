/* Refreshing an alternate content source: a sync that catalogs what is there, by digest, and neither makes a version nor downloads an
 * artifact. The walk is sync_task's, which calls these instead of what only a repository needs. */
#ifndef SLUICE_SYNC_ACS_H
#define SLUICE_SYNC_ACS_H

#include "sync/sync_priv.h"

/* Instead of the repository's rows: the source, its remote with the path joined to its URL, and a repository that stands for it. */
int acs_load(struct sluice_sync *s);
/* Instead of declaring units: their artifacts are noted. */
int acs_write(struct sluice_sync *s);
/* Instead of making a version: forgets what was not found any more. */
int acs_finish(struct sluice_sync *s);

#endif
