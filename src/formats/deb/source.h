/* A stanza of a Sources file as a unit: a source package with all of its files. Pure functions. */
#ifndef SLUICE_FORMATS_DEB_SOURCE_H
#define SLUICE_FORMATS_DEB_SOURCE_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/err.h"
#include "formats/deb/stanza.h"
#include "sluice/format.h"

#define SOURCE_FILES_MAX 512

struct source_file {
	const char *path; /* below the archive's root; checked */
	int64_t size;
	struct digests digests;
};
struct source {
	struct arena arena; /* of everything below */
	struct source_file *files;
	size_t count;
	const char *key;  /* what makes it the same again: the .dsc (else the first file), and what the stanza says */
	char *extra_json; /* malloc'ed */
};

extern const struct sluice_field source_fields[];

/* -ERR_PARSE, -ERR_NOMEM. source_fini in any case. */
int source_parse(const struct stanza *s, struct source *out, struct err *err);
void source_fini(struct source *p);

#endif
