/* The parts of the rpm format. */
#ifndef SLUICE_FORMATS_RPM_RPM_FORMAT_H
#define SLUICE_FORMATS_RPM_RPM_FORMAT_H

#include "base/buf.h"
#include "formats/rpm/primary.h"
#include "sluice/format.h"

/* Registered by `cmd`. */
extern const struct sluice_format rpm_format;

#define RPM_PACKAGE "rpm.package"
#define RPM_METADATA_FILE "rpm.repo_metadata_file"
#define RPM_TREE "rpm.distribution_tree"
#define RPM_TREE_FILE "rpm.tree_file"
#define RPM_REPOMD "repodata/repomd.xml"

int rpm_sync(const struct sluice_sync_host *h, struct sluice_sync *s);
int rpm_publish(const struct sluice_publish_host *h, struct sluice_publish *p);

/* retain.c */
int rpm_settle(const struct sluice_settle_host *h, struct sluice_settle *s);
int64_t rpm_retained(const char *field); /* the field retain_package_versions; 0: all are kept */

/* upload.c */
int rpm_upload(const struct sluice_upload_host *h, struct sluice_upload *u);

/* publish.c: is a metadata file of this type written by publications, and upstream's not needed? */
bool rpm_is_made_anew(const char *type);

/* unit.c */
/* The unit's own fields, as REST shows them; replaces what is in `out`. */
int rpm_package_json(const struct rpm_package *p, struct buf *out);
/* Appends "name-epoch:version-release.arch", as modules.yaml has it. */
int rpm_package_nevra(const struct rpm_package *p, struct buf *out);
/* That, checksum and path, a line each: the same package at the same place is the same unit. */
int rpm_package_key(const struct rpm_package *p, const char *path, struct buf *out);

#endif
