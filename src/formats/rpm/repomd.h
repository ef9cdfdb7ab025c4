/* repomd.xml: the list of a repository's other metadata files. One thread. */
#ifndef SLUICE_FORMATS_RPM_REPOMD_H
#define SLUICE_FORMATS_RPM_REPOMD_H

#include "base/arena.h"
#include "formats/rpm/xml.h"

#define REPOMD_ROWS_MAX 128                /* twenty or thirty are usual */
#define REPOMD_BYTES_MAX ((size_t)4 << 20) /* of all that is kept of it */

/* What is absent: NULL, and -1 for numbers. Strings live as long as the parser. */
struct repomd_row {
	const char *type;                     /* "primary" */
	const char *href;                     /* relative to the repository */
	const char *base;                     /* xml:base */
	const char *checksum_type, *checksum; /* of the file; types as struct sluice_digest has them */
	const char *open_checksum_type, *open_checksum;
	int64_t size, open_size, timestamp;
};

struct repomd {
	struct xml xml;
	struct arena arena;
	const char *revision; /* "" when absent */
	struct repomd_row rows[REPOMD_ROWS_MAX];
	size_t count;
	bool in_row;
	const char *checksum_type; /* of the checksum at hand */
	struct err err;
};

int repomd_init(struct repomd *r);
void repomd_fini(struct repomd *r);
int repomd_feed(struct repomd *r, const char *p, size_t n, struct err *err); /* -ERR_PARSE, -ERR_LIMIT, -ERR_NOMEM */
/* The end of the file. Each row has type, href and checksum then, and a primary is among them. */
int repomd_end(struct repomd *r, struct err *err);
const struct repomd_row *repomd_find(const struct repomd *r, const char *type);

/* "sha" is what old tools call SHA-1. */
const char *repomd_checksum_type(const char *name);
/* 32 to 128 hex digits. */
bool repomd_is_checksum(struct slice hex);

#endif
