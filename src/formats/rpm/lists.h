/* filelists.xml and other.xml: for each package what primary.xml does not have, its files and its changelog. What is in a package's element (but its version) comes
 * out as XML again, to be kept and published as it was. One thread. */
#ifndef SLUICE_FORMATS_RPM_LISTS_H
#define SLUICE_FORMATS_RPM_LISTS_H

#include "formats/rpm/xml.h"

#define LISTS_PACKAGE_MAX \
	((size_t)64 << 20) /* bytes of one package: the largest known has some hundred thousand files */

struct lists {
	struct xml xml;
	const char *root;                                                /* "filelists" or "otherdata" */
	int (*take)(void *arg, struct slice pkgid, struct slice inside); /* 0, or negative to stop */
	bool (*skip)(void *arg, struct slice pkgid); /* true: it is not handed over; NULL: all are */
	void *arg;
	char pkgid[130];
	bool in_package, in_entry;
	struct buf inside;
};

int lists_init(
	struct lists *l, const char *root, int (*take)(void *arg, struct slice pkgid, struct slice inside), void *arg);
void lists_fini(struct lists *l);
int lists_feed(struct lists *l, const char *p, size_t n, struct err *err); /* as primary_feed */
int lists_end(struct lists *l, struct err *err);

#endif
