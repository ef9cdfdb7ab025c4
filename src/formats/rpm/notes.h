/* What a repository says beside its packages: advisories (updateinfo.xml), groups, categories, environments and language packs (comps.xml), module
 * streams with their defaults and obsoletes (modules.yaml). Each is a unit without files: fields as Pulp shows them, and the text that publications are made
 * of, which is upstream's as a tree of elements or as lines. One thread. */
#ifndef SLUICE_FORMATS_RPM_NOTES_H
#define SLUICE_FORMATS_RPM_NOTES_H

#include "base/buf.h"
#include "base/err.h"
#include "formats/rpm/records.h"

#include <jansson.h>

#define NOTE_TEXT "text" /* the field with the text, which the API does not show */
#define NOTE_ID_MAX 400  /* bytes of what makes it the same one */

/* In the order of comps.xml's own. */
#define RPM_ADVISORY "rpm.advisory"
#define RPM_GROUP "rpm.packagegroup"
#define RPM_CATEGORY "rpm.packagecategory"
#define RPM_ENVIRONMENT "rpm.packageenvironment"
#define RPM_LANGPACKS "rpm.packagelangpacks"
#define RPM_MODULEMD "rpm.modulemd"
#define RPM_MODULEMD_DEFAULTS "rpm.modulemd_defaults"
#define RPM_MODULEMD_OBSOLETE "rpm.modulemd_obsolete"

struct note {
	const char *type;
	const char *key; /* "<id>\n<sha256 of the text>": of one id a repository has one */
	json_t *fields;  /* with NOTE_TEXT */
};
/* 0, or negative to stop. Valid during the call. */
typedef int note_fn(void *arg, const struct note *n);

/* Of a record of updateinfo.xml; of one of comps.xml, where unknown ones are passed over. What `fn` returned, or -ERR_PARSE, -ERR_LIMIT, -ERR_NOMEM with
 * the reason. */
int note_advisory(const struct record *r, note_fn *fn, void *arg, struct err *err);
int note_comps(const struct record *r, note_fn *fn, void *arg, struct err *err);
/* Of a whole modules.yaml. */
#define MODULES_BYTES_MAX ((size_t)128 << 20) /* EL 8's takes 10 MiB */
int note_modules(struct slice yaml, note_fn *fn, void *arg, struct err *err);

/* For the functions above: adds text and key, and hands it over; takes `fields`. */
int note_give(const char *type, const char *id, json_t *fields, const struct buf *text, note_fn *fn, void *arg,
	struct err *err);

#endif
