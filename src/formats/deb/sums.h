/* SHA256SUMS: "hex  ./path" a line. Pure. */
#ifndef SLUICE_FORMATS_DEB_SUMS_H
#define SLUICE_FORMATS_DEB_SUMS_H

#include "base/err.h"
#include "base/slice.h"

#define SUMS_MAX ((size_t)4 << 20) /* bytes; Debian's are some 30 kB */

/* Hands over each file: its path, checked by url_relpath_check, and its sha256 in lower case. -ERR_PARSE: err names the line. Else what `take` returned. */
int sums_parse(
	struct slice text, int (*take)(void *arg, struct slice path, const char *sha256), void *arg, struct err *err);

#endif
