/* The part of jq's language that picks one value out of a document: `.identity.org_id`, `.["a b"]`, `.list[0]`, `.a? | .b`. Compiled once; any
 * thread may apply it. */
#ifndef SLUICE_GUARD_JSON_PATH_H
#define SLUICE_GUARD_JSON_PATH_H

#include "base/err.h"
#include "base/slice.h"

#include <jansson.h>

struct json_path;

/* -ERR_INVAL with a text that says where it stops; -ERR_NOMEM. */
int json_path_new(struct slice text, struct json_path **out, struct err *err);
void json_path_free(struct json_path **pp);
/* The value, borrowed from the document; NULL: there is none. */
const json_t *json_path_apply(const struct json_path *p, const json_t *document);

#endif
