/* Opens what upstreams compress: gzip, xz, bzip2 and zstd, told by their first bytes; anything else comes out as it went in.
 * Fed pieces of any size, it hands over pieces of at most UNPACK_PIECE bytes. What comes in is hostile: what comes out is
 * bounded by what went in and in all, and the decoders' memory is bounded as well. One thread. */
#ifndef SLUICE_SYNC_UNPACK_H
#define SLUICE_SYNC_UNPACK_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define UNPACK_PIECE 65536
#define UNPACK_MAX ((int64_t)64 << 30) /* bytes: the largest repository known opens to 11 GB */
#define UNPACK_RATIO 250               /* repetitive metadata packs twenty to sixty times; a bomb a thousand and more */
#define UNPACK_FREE ((int64_t)16 << 20)    /* bytes for which no ratio holds: small files may be all blanks */
#define UNPACK_MEMORY ((uint64_t)96 << 20) /* xz -9 needs 65 MiB */
#define UNPACK_WINDOW_LOG 26               /* zstd: 64 MiB, more than any level without --ultra has */

struct unpack;

/* `take` returns 0, or negative to stop: feed and end then return that. -ERR_NOMEM. */
int unpack_new(int (*take)(void *arg, const char *p, size_t n), void *arg, struct unpack **out);
void unpack_free(struct unpack **pu);
/* -ERR_PARSE: damaged; -ERR_LIMIT: a bomb, or it needs too much memory; -ERR_UNSUPPORTED: zchunk. Not to be called again then. */
int unpack_feed(struct unpack *u, const char *p, size_t n, struct err *err);
/* The end of the input. -ERR_PARSE: it breaks off. */
int unpack_end(struct unpack *u, struct err *err);

#endif
