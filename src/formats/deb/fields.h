/* A stanza's fields as JSON, as the API shows them: those that have a name there, and all others below custom_fields. Pure functions. */
#ifndef SLUICE_FORMATS_DEB_FIELDS_H
#define SLUICE_FORMATS_DEB_FIELDS_H

#include "base/digest.h"
#include "formats/deb/stanza.h"

#include <jansson.h>
#include <stdbool.h>

struct deb_field {
	const char *name, *member; /* "Multi-Arch", "multi_arch"; NULL ends a table */
};
struct fields {
	json_t *object;
	char digest[33]; /* of what the fields say: hex */
};

/* `leave_out`: fields that say where and what the files are, and do not make it another stanza. -ERR_NOMEM. */
int fields_read(const struct stanza *s, const struct deb_field *known, bool (*leave_out)(struct slice name),
	struct fields *out);
/* The object as text, malloc'ed; NULL: no memory. It is gone afterwards. */
char *fields_take(struct fields *f);

#endif
