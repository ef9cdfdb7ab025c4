/* A Release file: what a distribution consists of, and size and digests of each of its files. InRelease is the same inside of
 * a clear signature. Pure functions. */
#ifndef SLUICE_FORMATS_DEB_RELEASE_H
#define SLUICE_FORMATS_DEB_RELEASE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define RELEASE_MAX ((size_t)4 << 20) /* bytes; sid's is 193 kB, noble's 256 kB */

struct release_file {
	const char *path; /* relative to the Release file; checked by url_relpath_check */
	int64_t size;
	struct digests digests;
};
struct release {
	struct arena arena;                                                    /* of everything below */
	const char *origin, *label, *suite, *codename, *version, *description; /* NULL: absent */
	const char *const *architectures, *const *components;                  /* NULL-terminated, maybe empty */
	bool by_hash;
	int64_t date_s, valid_until_s; /* seconds since 1970; 0: absent */
	struct release_file *files;    /* sorted by path */
	size_t file_count;
};

/* -ERR_PARSE with the reason, -ERR_NOMEM. release_fini in any case. */
int release_parse(struct slice text, struct release *out, struct err *err);
void release_fini(struct release *r);
const struct release_file *release_find(const struct release *r, const char *path); /* NULL: not listed */

/* What an InRelease file signs, appended to out; one that is not signed is taken as it is. It says nothing about whether the signature is good.
 * -ERR_PARSE: text outside of the signature, or no end. */
int release_signed_text(struct slice inrelease, struct buf *out, struct err *err);
/* "Sat, 10 Jun 2023 08:53:33 UTC" in seconds since 1970. -ERR_PARSE. */
int release_date(struct slice text, int64_t *out);

#endif
