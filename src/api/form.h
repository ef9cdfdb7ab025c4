/* A form with files: its texts in memory (bounded), its files in staging, hashed on the way. One owner, one thread at a time. */
#ifndef SLUICE_API_FORM_H
#define SLUICE_API_FORM_H

#include "base/digest.h"
#include "base/err.h"
#include "store/store.h"

#include <jansson.h>

struct api_file {
	json_t *mark; /* stands for it in the body */
	struct staging *st;
	struct hasher *hasher;
	struct digests digests; /* sha224, sha256, sha384, sha512; once it is whole */
	int64_t size;
};

struct api_form;
/* `text_max`: bytes of all texts and names together. -ERR_PARSE: no boundary. */
int api_form_new(struct store *s, struct slice content_type, size_t text_max, struct api_form **out, struct err *err);
/* What nobody took is forgotten: closing a large file may take a while. */
void api_form_free(struct api_form **pf);
/* Writes to the page cache; may block. -ERR_PARSE, -ERR_LIMIT: the client's fault; others are ours. */
int api_form_feed(struct api_form *f, const char *p, size_t n, struct err *err);
int api_form_end(struct api_form *f, struct err *err);
/* By name: text, a list of what came under one name, or a file's mark. Borrowed. */
json_t *api_form_body(const struct api_form *f);
/* The file that the mark stands for; NULL: it is none of this form's. */
struct api_file *api_form_file(struct api_form *f, const json_t *mark);

#endif
