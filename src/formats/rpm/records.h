/* XML that is a list of records below its root, as updateinfo.xml and comps.xml are: each record is handed over as a small tree, and no other is held. Bounded
 * by xml.h and by what one record may take. One thread. */
#ifndef SLUICE_FORMATS_RPM_RECORDS_H
#define SLUICE_FORMATS_RPM_RECORDS_H

#include "base/arena.h"
#include "formats/rpm/xml.h"

#define RECORD_MAX ((size_t)64 << 20) /* bytes: the largest known advisories take some hundred KiB */

struct record {
	const char *name, *text;  /* text: "" when there is none, or elements */
	const char *const *attrs; /* name, value, …, NULL */
	struct record *parent, *child, *last, *next;
};

struct records {
	struct xml xml;
	struct arena arena;
	const char *root;
	int (*take)(void *arg, const struct record *r); /* 0, or negative to stop, with the reason in xml.err */
	void *arg;
	struct record *at;
};

int records_init(struct records *r, const char *root, int (*take)(void *arg, const struct record *record), void *arg);
void records_fini(struct records *r); /* also of a zeroed one */
/* -ERR_PARSE, -ERR_LIMIT, -ERR_NOMEM with the reason, or what `take` returned. */
int records_feed(struct records *r, const char *p, size_t n, struct err *err);
int records_end(struct records *r, struct err *err);

const struct record *record_child(const struct record *r, const char *name); /* the first; NULL: there is none */
const char *record_text(const struct record *r, const char *name);           /* of that child; "" when there is none */
const char *record_attr(const struct record *r, const char *name);           /* NULL: there is none; r may be NULL */
/* Appends it as XML again: the same elements, attributes and texts. */
void record_xml(const struct record *r, struct buf *out);

#endif
