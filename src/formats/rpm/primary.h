/* primary.xml: one element a package, with all that is known of it but its file list and changelog. Hands over one package at a time and holds no
 * other. One thread. */
#ifndef SLUICE_FORMATS_RPM_PRIMARY_H
#define SLUICE_FORMATS_RPM_PRIMARY_H

#include "base/arena.h"
#include "formats/rpm/xml.h"

#define PRIMARY_PACKAGE_MAX ((size_t)64 << 20) /* bytes of one package: the kernel's provides take a few hundred KiB */

/* What a package says about others. In the order and by the names of REST and of primary.xml. */
#define RPM_RELATIONS(X)            \
	X(REQUIRES, "requires")     \
	X(PROVIDES, "provides")     \
	X(CONFLICTS, "conflicts")   \
	X(OBSOLETES, "obsoletes")   \
	X(SUGGESTS, "suggests")     \
	X(ENHANCES, "enhances")     \
	X(RECOMMENDS, "recommends") \
	X(SUPPLEMENTS, "supplements")
enum rpm_relation {
#define X(id, name) RPM_##id,
	RPM_RELATIONS(X)
#undef X
		RPM_RELATION_COUNT
};
extern const char *const rpm_relation_names[RPM_RELATION_COUNT];

/* Texts are UTF-8; absent ones have p == NULL, absent numbers are -1. Valid during the call. */
struct rpm_package {
	struct slice name, arch, epoch, version, release;
	struct slice checksum_type, pkgid; /* pkgid: lower-case hex */
	struct slice summary, description, packager, url;
	struct slice license, vendor, group, buildhost, sourcerpm;
	struct slice href, base; /* base: xml:base of the location */
	int64_t time_file, time_build, size_package, size_installed, size_archive, header_start, header_end;
	/* JSON: what is inside of the brackets of a list. Entries are [name, flags, epoch, version, release, pre], files [type, directory, name]. */
	struct slice relations[RPM_RELATION_COUNT], files;
	bool is_modular; /* a module stream has it; said by whoever read modules.yaml */
};

struct primary {
	struct xml xml;
	int (*take)(void *arg, const struct rpm_package *p); /* 0, or negative to stop */
	/* Asked before <format>, when what makes it this package has been read: 1: that is all that is wanted of it, and `take` does not get it; 0, or negative to
	 * stop. NULL: all are wanted whole. */
	int (*known)(void *arg, const struct rpm_package *p);
	void *arg;
	int64_t packages; /* so far */
	int64_t declared; /* what the root says; -1 */
	bool in_package, in_relation, is_known;
	enum rpm_relation relation;
	const char *file_type;
	struct rpm_package p;
	struct arena arena; /* of the package at hand */
	struct buf relations[RPM_RELATION_COUNT], files;
};

int primary_init(struct primary *m, int (*take)(void *arg, const struct rpm_package *p), void *arg);
void primary_fini(struct primary *m);
/* -ERR_PARSE, -ERR_LIMIT, -ERR_NOMEM with the reason, or what `take` returned. */
int primary_feed(struct primary *m, const char *p, size_t n, struct err *err);
int primary_end(struct primary *m, struct err *err);

/* Appends a JSON string; p == NULL: null. */
void rpm_json_text(struct buf *b, struct slice s);

#endif
