/* Stanzas: what Packages, Sources and Release files are made of. Fields "Name: value", continued on lines that begin with a
 * blank; an empty line ends a stanza. A parser that is fed pieces of any size and hands over one stanza at a time, of
 * which it holds the text; nothing more. One thread. */
#ifndef SLUICE_FORMATS_DEB_STANZA_H
#define SLUICE_FORMATS_DEB_STANZA_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

/* Bytes of a stanza, and with it of a line. The largest of Debian's are some 300 kB (Package-List of linux). */
#define STANZA_MAX ((size_t)4 << 20)
#define STANZA_FIELDS_MAX 256

struct stanza_field {
	struct slice name;
	struct slice value; /* without the blanks around it; continuation lines as they are, behind their line ends */
};
struct stanza {
	const struct stanza_field *fields;
	size_t count;
	int64_t line; /* its first, from 1 */
};
/* Any case; of several the last, as apt takes it. p == NULL: none. */
struct slice stanza_get(const struct stanza *s, const char *name);

struct stanza_parser {
	/* 0, or negative to stop. What it is given is valid during the call. err: for its own reasons. */
	int (*take)(void *arg, const struct stanza *s, struct err *err);
	void *arg;
	struct buf text;             /* of the stanza that has not ended */
	bool inside;                 /* of a line whose end has not come, */
	size_t start;                /* and where it begins in the text */
	int64_t line;                /* the one that was read last, from 1 */
	int64_t first_line;          /* of the stanza */
	int64_t stanzas;             /* handed over */
	struct stanza_field *fields; /* STANZA_FIELDS_MAX */
};

/* max_bytes: of a stanza; 0: STANZA_MAX. -ERR_NOMEM. */
int stanza_init(struct stanza_parser *p, size_t max_bytes,
	int (*take)(void *arg, const struct stanza *s, struct err *err), void *arg);
void stanza_fini(struct stanza_parser *p);
/* -ERR_PARSE: err names the line and the reason, without foreign bytes. Else what `take` returned. */
int stanza_feed(struct stanza_parser *p, const char *data, size_t n, struct err *err);
/* The end of the file: a last stanza needs no empty line. */
int stanza_end(struct stanza_parser *p, struct err *err);

#endif
