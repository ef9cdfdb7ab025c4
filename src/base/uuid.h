/* UUIDs (RFC 9562): version 7 for new objects; 16 bytes in memory and in the catalog. Any thread. */
#ifndef SLUICE_BASE_UUID_H
#define SLUICE_BASE_UUID_H

#include "base/slice.h"

#include <stdint.h>

struct uuid {
	uint8_t b[16];
};
#define UUID_STR 37

/* Increases with every call of this process, even within one millisecond. */
struct uuid uuid_v7(void);
struct uuid uuid_v4(void);
char *uuid_str(const struct uuid *u, char out[UUID_STR]);
/* With dashes in the usual places, or 32 hex digits; either case. -ERR_INVAL. */
int uuid_parse(struct slice s, struct uuid *out);

#endif
