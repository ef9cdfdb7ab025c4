/* PULP_MANIFEST: one line a file, `path,sha256,size`. A parser that is fed pieces of any size and hands over one entry at
 * a time; it holds one line at most. One thread. */
#ifndef SLUICE_FORMATS_FILE_MANIFEST_H
#define SLUICE_FORMATS_FILE_MANIFEST_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

#define MANIFEST_LINE_MAX 65536 /* bytes; longer ones are refused, not cut */

struct manifest_entry {
	char *path;      /* checked by url_relpath_check */
	char sha256[65]; /* lower case */
	int64_t size;
};

struct manifest {
	int (*take)(void *arg, const struct manifest_entry *e); /* 0, or negative to stop */
	void *arg;
	struct buf partial; /* a line whose end has not come yet */
	int64_t line;       /* the one that was read last, from 1 */
	int64_t entries;
};

void manifest_init(struct manifest *m, int (*take)(void *arg, const struct manifest_entry *e), void *arg);
void manifest_fini(struct manifest *m);
/* -ERR_PARSE: m->line is a bad line and err says why, without its bytes (they are foreign). Else what `take` returned. */
int manifest_feed(struct manifest *m, const char *p, size_t n, struct err *err);
/* The end of the file: a last line needs no newline. */
int manifest_end(struct manifest *m, struct err *err);

#endif
