/* The front of an .rpm file: lead, signature, header (rpm's file format, version 3 and 4). Reads what it needs and holds that; every offset and count in it is
 * checked against what is there before it is followed. One thread. */
#ifndef SLUICE_FORMATS_RPM_HEADER_H
#define SLUICE_FORMATS_RPM_HEADER_H

#include "base/err.h"
#include "base/slice.h"

#define HEADER_ENTRIES_MAX 0xffffu            /* rpm's own bounds */
#define HEADER_BYTES_MAX ((uint32_t)64 << 20) /* rpm allows 256 MiB; the kernel's takes some MiB */

/* One header: an index of entries and the bytes that they point to. */
struct header {
	const uint8_t *index, *data;
	uint32_t count, size; /* entries; bytes of data */
	uint8_t *block;       /* owned */
};

struct rpm_front {
	struct header signature, header;
	bool source;
	int64_t header_start, header_end; /* in the file */
};

/* Fills `buf` with the file's bytes from `off`; how many: fewer than n only at its end; negative: failed. */
typedef int64_t header_read_fn(void *arg, void *buf, size_t n, int64_t off);

/* -ERR_PARSE: it is no package; -ERR_LIMIT, -ERR_NOMEM; or what `read` returned. header_fini in any case. */
int header_read(struct rpm_front *f, header_read_fn *read, void *arg, struct err *err);
void header_fini(struct rpm_front *f);

/* How many values the tag has; 0 when it is absent or of another kind. */
uint32_t header_count(const struct header *h, uint32_t tag);
/* A number of 16, 32 or 64 bits, the first of a list; false: there is none. */
bool header_number(const struct header *h, uint32_t tag, int64_t *out);
/* A list of numbers, found once. */
struct header_numbers {
	const uint8_t *at;
	uint32_t width, count;
};
struct header_numbers header_numbers(const struct header *h, uint32_t tag);
bool header_value(const struct header_numbers *n, uint32_t i, int64_t *out);
/* A string, the i-th of a list; p == NULL: there is none. */
struct slice header_string(const struct header *h, uint32_t tag, uint32_t i);

/* To walk over a list of strings once, without looking for each from the beginning. */
struct header_strings {
	const uint8_t *at, *end;
	uint32_t left;
};
struct header_strings header_strings(const struct header *h, uint32_t tag);
bool header_next(struct header_strings *s, struct slice *out);

#endif
