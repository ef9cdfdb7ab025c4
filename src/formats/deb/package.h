/* A stanza of a Packages file as a unit: what is served, and its fields as the API shows them. Pure functions. */
#ifndef SLUICE_FORMATS_DEB_PACKAGE_H
#define SLUICE_FORMATS_DEB_PACKAGE_H

#include "base/digest.h"
#include "base/err.h"
#include "formats/deb/stanza.h"
#include "sluice/format.h"

#define PACKAGE_PATH_MAX 2049 /* what url_relpath_check lets pass, and a zero byte */

struct package {
	char path[PACKAGE_PATH_MAX]; /* below the archive's root; checked */
	int64_t size;
	struct sluice_digest digest[DIGEST_COUNT];
	char hex[DIGEST_COUNT][DIGEST_HEX_MAX]; /* lower case */
	size_t digest_count;
	/* What makes it the same package again: path, strongest digest, and what the stanza says beyond them. */
	char key[PACKAGE_PATH_MAX + DIGEST_HEX_MAX + 40];
	const char *
		identity; /* the digest that tells files apart: sha256 where it is given, or two indexes would disagree that give others beside it */
	char *extra_json; /* malloc'ed; NULL before package_fields_read */
};

extern const struct sluice_field package_fields[];

/* -ERR_PARSE: a field that is needed is missing or malformed; -ERR_NOMEM. */
int package_parse(const struct stanza *s, struct package *out, struct err *err);
/* Then its own fields: what costs most of the time, and is no news of a package that is known. -ERR_NOMEM. */
int package_fields_read(const struct stanza *s, struct package *p, struct err *err);
void package_fini(struct package *p);

/* The unit that says that the package is in that component: its key, appended, and its fields, malloc'ed (NULL: no memory). */
int package_member_key(
	const char *path, const char *identity, const char *distribution, const char *component, struct buf *key);
char *package_member_json(const char *path, const char *distribution, const char *component);

/* The stanza of a unit's file, with its empty line, appended; *architecture: as it says. -ERR_INVAL: its fields are not what package_parse makes; -ERR_NOMEM. */
int package_write(const struct sluice_file *f, struct buf *out, char *architecture, size_t cap);

#endif
