/* A package as elements of primary.xml, filelists.xml and other.xml, from what its unit declares. One thread. */
#ifndef SLUICE_FORMATS_RPM_ELEMENTS_H
#define SLUICE_FORMATS_RPM_ELEMENTS_H

#include "base/buf.h"

#include <jansson.h>

/* `fields`: of the unit (rpm_package_json); `path`: where the publication has the package. Appends; look at out->failed. */
void elements_primary(struct buf *out, const json_t *fields, const char *path);
/* `inside`: of filelists' or other's element. */
void elements_list(struct buf *out, const json_t *fields, struct slice inside);

#endif
