/* The parts of the file format. */
#ifndef SLUICE_FORMATS_FILE_FILE_FORMAT_H
#define SLUICE_FORMATS_FILE_FILE_FORMAT_H

#include "sluice/format.h"

/* Registered by `cmd`. */
extern const struct sluice_format file_format;

#define FILE_MANIFEST "PULP_MANIFEST" /* upstream's own, as it is kept for mirrors; and the usual name of ours */

/* The same for what a manifest lists and what is uploaded. */
#define FILE_KEY_CAP (2048 + 1 + 65) /* the longest path, newline, digest */
#define FILE_EXTRA_CAP 160
int file_unit_of(const char *relative_path, const char *sha256, int64_t size, char *key, size_t key_cap, char *extra,
	size_t extra_cap);

int file_sync(const struct sluice_sync_host *h, struct sluice_sync *s);
int file_publish(const struct sluice_publish_host *h, struct sluice_publish *p);

#endif
