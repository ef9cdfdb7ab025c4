/* Which of two versions is the newer one, as rpm sees it (rpm's manual, "rpmvercmp"; tilde and caret as rpm-version(7) has them). Any thread. */
#ifndef SLUICE_FORMATS_RPM_EVR_H
#define SLUICE_FORMATS_RPM_EVR_H

#include "base/slice.h"

/* Of a version or a release: negative, 0, positive. */
int evr_segments(struct slice a, struct slice b);

struct evr {
	struct slice epoch, version, release; /* epoch: digits, "" is 0 */
};
int evr_compare(const struct evr *a, const struct evr *b);

/* The parts of "name-epoch:version-release.arch"; false: it is none. */
bool evr_of_nevra(struct slice nevra, struct slice *name, struct slice *arch, struct evr *out);

#endif
