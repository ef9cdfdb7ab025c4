/* filelists.xml or other.xml read beside primary.xml: asked for one package after the other, it reads on until it has what is in it. Both are in the same order as a
 * rule; what comes before it is asked for is kept, within bounds. One thread. */
#ifndef SLUICE_FORMATS_RPM_BESIDE_H
#define SLUICE_FORMATS_RPM_BESIDE_H

#include "base/seen.h"
#include "formats/rpm/lists.h"
#include "sluice/format.h"

#define BESIDE_PACKAGES_MAX 20000
#define BESIDE_BYTES_MAX ((size_t)96 << 20)

struct beside_entry {
	char *pkgid, *inside; /* one block, at pkgid */
	size_t n;
};

struct beside {
	const struct sluice_sync_host *host;
	struct sluice_sync *sync;
	struct sluice_reading *reading; /* NULL: upstream has no such file */
	const char *name;
	struct lists lists;
	struct beside_entry *entries; /* from `first` to `count` */
	size_t first, count, cap, bytes;
	struct beside_entry
		last; /* what was found last: a package may be asked for again, at another place of the repository */
	struct seen skipped; /* packages that nobody will ask for */
	bool ended;
	struct err err;
};

/* `save_as`: what was fetched; NULL: there is none, and nothing is ever found. */
int beside_init(struct beside *b, const struct sluice_sync_host *h, struct sluice_sync *s, const char *name,
	const char *root, const char *save_as);
void beside_fini(struct beside *b);
/* What is in the package's element; n == 0: nothing, or it is not there. Valid until the next call. Negative: the sync has failed. */
int beside_find(struct beside *b, struct slice pkgid, struct slice *out);
/* `pkgid` ends with a zero byte, here and in the next. This package will not be asked for: it is read over, and nothing of it is kept. */
int beside_skip(struct beside *b, struct slice pkgid);
/* Was it skipped? Then it may not be found any more. */
bool beside_skipped(const struct beside *b, struct slice pkgid);

#endif
