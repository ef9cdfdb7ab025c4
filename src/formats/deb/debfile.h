/* Binary packages: an ar archive whose member control.tar holds the file `control`, which is a stanza. A parser that is fed pieces of any
 * size and keeps that one file; of the rest it reads nothing, for it comes first. One thread. */
#ifndef SLUICE_FORMATS_DEB_DEBFILE_H
#define SLUICE_FORMATS_DEB_DEBFILE_H

#include "base/err.h"
#include "base/slice.h"

#include <stddef.h>

/* The largest of Debian are some tens of kilobytes. */
#define DEBFILE_CONTROL_MAX ((size_t)1 << 20)
#define DEBFILE_MEMBER_MAX \
	((size_t)32 << 20) /* control.tar as it lies there: maintainer scripts and lists of files beside it */
#define DEBFILE_OPEN_MAX ((size_t)256 << 20) /* and opened */

struct debfile;

int debfile_new(struct debfile **out); /* -ERR_NOMEM */
void debfile_free(struct debfile **pd);

/* 1: the control file is there, no more is needed; 0: there has to come more; -ERR_PARSE, -ERR_LIMIT: it is no package, or an absurd one, the
 * reason has no foreign bytes in it; -ERR_NOMEM. */
int debfile_feed(struct debfile *d, const char *p, size_t n, struct err *err);
/* The text, once there; valid until debfile_free. */
struct slice debfile_control(const struct debfile *d);

#endif
