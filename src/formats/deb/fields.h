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
/* `leave_out`: fields that say where and what the files are, and do not make it another stanza. */
typedef bool fields_filter(struct slice name);

/* Of what the fields say: hex. -ERR_NOMEM. */
int fields_digest(const struct stanza *s, fields_filter *leave_out, char out[33]);
/* The fields as a JSON object; the caller's. NULL: no memory. */
json_t *fields_read(const struct stanza *s, const struct deb_field *known, fields_filter *leave_out);

#endif
