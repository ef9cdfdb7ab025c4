/* What publications need of a package and the API does not show: its entries in filelists.xml and other.xml, compressed, as the unit's detail. One thread. */
#ifndef SLUICE_FORMATS_RPM_DETAIL_H
#define SLUICE_FORMATS_RPM_DETAIL_H

#include "base/buf.h"

#define DETAIL_MAX ((size_t)256 << 20) /* bytes, open */

struct detail;                   /* memory for both directions */
struct detail *detail_new(void); /* NULL: out of memory */
void detail_free(struct detail **pd);
/* Replaces what is in `out`. -ERR_NOMEM, -ERR_LIMIT. */
int detail_pack(struct detail *d, struct slice files, struct slice changes, struct buf *out);
/* Both are valid until the next call. -ERR_PARSE: it is none of ours. */
int detail_open(struct detail *d, const void *p, size_t n, struct slice *files, struct slice *changes);

#endif
