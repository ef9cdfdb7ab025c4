/* Expat with bounds: upstreams' XML is hostile. Elements are told by their local names; no declarations of a document type, hence no entities; depth, text, and
 * what a single tag may hold are limited. Fed pieces of any size. One thread. */
#ifndef SLUICE_FORMATS_RPM_XML_H
#define SLUICE_FORMATS_RPM_XML_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

#define XML_DEPTH_MAX 32
#define XML_TEXT_MAX ((size_t)16 << 20) /* of one element */
#define XML_TAG_MAX ((int64_t)8 << 20)  /* expat holds a whole tag, and looks at it again with each piece */

struct xml;
struct xml_ops {
	/* Return 0, or negative to stop: xml_feed returns that. `name` is without its prefix; attributes: xml_attr. */
	int (*start)(void *arg, struct xml *x, const char *name, const char **attrs);
	/* `text`: what came since the last tag, so all of it when no elements are inside; NUL-terminated. */
	int (*end)(void *arg, struct xml *x, const char *name, struct slice text);
};

struct xml {
	struct XML_ParserStruct *parser;
	const struct xml_ops *ops;
	void *arg;
	int depth; /* of the element at hand: 1 is the root */
	/* Set by `start` to its element's depth: what is inside of it is read over, and counts for nothing but its form. 0: nothing is. */
	int skip_depth;
	struct buf text; /* since the last tag began */
	int64_t fed;
	int rc; /* what a function of `ops` returned */
	struct err err;
};

/* -ERR_NOMEM. xml_fini takes a zeroed one as well. */
int xml_init(struct xml *x, const struct xml_ops *ops, void *arg);
void xml_fini(struct xml *x);
/* -ERR_PARSE, -ERR_LIMIT, -ERR_NOMEM, or what `ops` returned; not to be called again then. */
int xml_feed(struct xml *x, const char *p, size_t n, struct err *err);
int xml_end(struct xml *x, struct err *err);
int64_t xml_line(const struct xml *x);

/* By local name, but "xml:base" by its whole one; NULL: there is none. */
const char *xml_attr(const char **attrs, const char *name);

/* Appends `s` as XML text (with the quotes escaped as well, for attributes); bytes that XML 1.0 cannot hold are left out. */
void xml_add(struct buf *b, struct slice s);

#endif
