/* An .rpm file as the package that createrepo_c would put into primary.xml, filelists.xml and other.xml. One thread. */
#ifndef SLUICE_FORMATS_RPM_PACKAGE_FILE_H
#define SLUICE_FORMATS_RPM_PACKAGE_FILE_H

#include "base/arena.h"
#include "base/buf.h"
#include "formats/rpm/header.h"
#include "formats/rpm/primary.h"

#define PACKAGE_FILE_MAX ((size_t)256 << 20) /* of memory, its file list written out included */

struct package_file {
	struct rpm_package p;      /* but pkgid, checksum_type, href, size_package */
	struct buf files, changes; /* what is inside of the elements of filelists and other */
	struct buf relations[RPM_RELATION_COUNT], primary_files;
	struct arena arena;
};

/* -ERR_PARSE: it is no package, or lacks what every package has. package_file_fini in any case. */
int package_file_read(struct package_file *f, header_read_fn *read, void *arg, struct err *err);
void package_file_fini(struct package_file *f);

#endif
