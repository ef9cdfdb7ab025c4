/* The parts of the file format. */
#ifndef SLUICE_FORMATS_FILE_FILE_FORMAT_H
#define SLUICE_FORMATS_FILE_FILE_FORMAT_H

#include "sluice/format.h"

/* Registered by `cmd`. */
extern const struct sluice_format file_format;

#define FILE_MANIFEST "PULP_MANIFEST" /* upstream's own, as it is kept for mirrors; and the usual name of ours */

int file_sync(const struct sluice_sync_host *h, struct sluice_sync *s);
int file_publish(const struct sluice_publish_host *h, struct sluice_publish *p);

#endif
