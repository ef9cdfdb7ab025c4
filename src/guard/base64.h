/* Base64 (RFC 4648), as header fields and certificates have it. Pure functions. */
#ifndef SLUICE_GUARD_BASE64_H
#define SLUICE_GUARD_BASE64_H

#include "base/slice.h"

#include <stdint.h>

/* White space within is skipped, padding may be missing. Into `out`, which has room for text.n / 4 * 3 + 3 bytes. The length; -ERR_INVAL: other
 * characters, or a length that no bytes give. */
int64_t base64_decode(struct slice text, void *out);

#endif
