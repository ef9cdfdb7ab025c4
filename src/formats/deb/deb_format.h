/* The parts of the deb format. */
#ifndef SLUICE_FORMATS_DEB_DEB_FORMAT_H
#define SLUICE_FORMATS_DEB_DEB_FORMAT_H

#include "sluice/format.h"

/* Registered by `cmd`. */
extern const struct sluice_format deb_format;

/* Types of units. */
#define DEB_PACKAGE "deb.package"
#define DEB_UDEB "deb.installer_package"
#define DEB_SOURCE "deb.source_package"
#define DEB_MEMBER "deb.package_release_component"
#define DEB_RELEASE_FILE "deb.release_file"
#define DEB_PACKAGE_INDEX "deb.package_index"
#define DEB_SOURCE_INDEX "deb.source_index"
#define DEB_INSTALLER_INDEX "deb.installer_file_index"
#define DEB_GENERIC "deb.generic"

/* What the API knows flat repositories by. */
#define DEB_FLAT_DISTRIBUTION "flat-repo"
#define DEB_FLAT_COMPONENT "flat-repo-component"

int deb_sync(const struct sluice_sync_host *h, struct sluice_sync *s);
int deb_publish_verbatim(const struct sluice_publish_host *h, struct sluice_publish *p);
/* What packages without a place get, and where a package is said to be without that being asked for. */
#define DEB_UPLOAD_DISTRIBUTION "pulp"
#define DEB_UPLOAD_COMPONENT "upload"

int deb_upload(const struct sluice_upload_host *h, struct sluice_upload *u);
int deb_publish(const struct sluice_publish_host *h, struct sluice_publish *p);

#endif
