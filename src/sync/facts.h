/* What a format may ask by name: fields of resources, options, and what the server says. Values are texts that live as
 * long as the sync or the publication. One thread. */
#ifndef SLUICE_SYNC_FACTS_H
#define SLUICE_SYNC_FACTS_H

#include "base/err.h"
#include "sluice/format.h"

#include <jansson.h>

struct fact;
struct facts {
	struct fact *list;
};

void facts_fini(struct facts *f);
/* Remembers name → value; replaces. `value` may be NULL: known to be unset. -ERR_NOMEM. */
int facts_set(struct facts *f, const char *name, const char *value);
/* The same from JSON: strings as they are, null as unset, anything else as its JSON text. */
int facts_set_json(struct facts *f, const char *name, const json_t *value);
/* Every field "<prefix>.<name>": its value in `object` (may be NULL), or the field's default. */
int facts_set_fields(struct facts *f, const char *prefix, const struct sluice_field *fields, const json_t *object);
const char *facts_get(const struct facts *f, const char *name);

/* The value of a field in `object`, else its default; a new reference (null when neither is there), NULL: no memory. */
json_t *facts_field_value(const struct sluice_field *field, const json_t *object);

#endif
