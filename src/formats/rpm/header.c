/* All numbers are big-endian. An entry: tag, type, offset into the data, count. */
#include "formats/rpm/header.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define LEAD_SIZE 96
#define INTRO_SIZE 16
#define ENTRY_SIZE 16

enum { TYPE_INT16 = 3, TYPE_INT32 = 4, TYPE_INT64 = 5, TYPE_STRING = 6, TYPE_STRINGS = 8, TYPE_I18N = 9 };

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int read_all(header_read_fn *read, void *arg, void *buf, size_t n, int64_t off, struct err *err)
{
	int64_t got = read(arg, buf, n, off);

	if (got < 0)
		return (int)got;
	return got == (int64_t)n ? 0 : err_set(err, -ERR_PARSE, "it is no rpm package: it ends at its header");
}

/* *end: where it ends in the file. */
static int read_one(struct header *h, header_read_fn *read, void *arg, int64_t off, int64_t *end, struct err *err)
{
	static const uint8_t magic[] = {0x8e, 0xad, 0xe8, 0x01};
	uint8_t intro[INTRO_SIZE];
	size_t n;
	int rc = read_all(read, arg, intro, sizeof(intro), off, err);

	if (rc != 0)
		return rc;
	if (memcmp(intro, magic, sizeof(magic)) != 0)
		return err_set(
			err, -ERR_PARSE, "it is no rpm package: there is no header at byte %lld", (long long)off);
	h->count = be32(intro + 8);
	h->size = be32(intro + 12);
	if (h->count > HEADER_ENTRIES_MAX || h->size > HEADER_BYTES_MAX)
		return err_set(err, -ERR_LIMIT, "its header has %u entries and %u bytes", h->count, h->size);
	n = (size_t)h->count * ENTRY_SIZE + h->size;
	h->block = malloc(MAX(n, 1));
	if (h->block == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for its header");
	h->index = h->block;
	h->data = h->block + (size_t)h->count * ENTRY_SIZE;
	*end = off + INTRO_SIZE + (int64_t)n;
	return read_all(read, arg, h->block, n, off + INTRO_SIZE, err);
}

int header_read(struct rpm_front *f, header_read_fn *read, void *arg, struct err *err)
{
	static const uint8_t magic[] = {0xed, 0xab, 0xee, 0xdb};
	uint8_t lead[LEAD_SIZE];
	int64_t end = 0;
	int rc;

	*f = (struct rpm_front){.source = false};
	rc = read_all(read, arg, lead, sizeof(lead), 0, err);
	if (rc != 0)
		return rc;
	if (memcmp(lead, magic, sizeof(magic)) != 0)
		return err_set(err, -ERR_PARSE, "it is no rpm package: it begins otherwise");
	rc = read_one(&f->signature, read, arg, LEAD_SIZE, &end, err);
	if (rc != 0)
		return rc;
	f->header_start = end + (8 - end % 8) % 8;
	return read_one(&f->header, read, arg, f->header_start, &f->header_end, err);
}

void header_fini(struct rpm_front *f)
{
	free(f->signature.block);
	free(f->header.block);
	*f = (struct rpm_front){.source = false};
}

/* ---- entries ---- */

struct entry {
	uint32_t type, offset, count;
};

static bool find(const struct header *h, uint32_t tag, struct entry *out)
{
	for (uint32_t i = 0; i < h->count; i++) {
		const uint8_t *e = h->index + (size_t)i * ENTRY_SIZE;

		if (be32(e) != tag)
			continue;
		*out = (struct entry){be32(e + 4), be32(e + 8), be32(e + 12)};
		return out->offset < h->size;
	}
	return false;
}

static uint32_t width_of(uint32_t type)
{
	return type == TYPE_INT16 ? 2 : type == TYPE_INT32 ? 4 : type == TYPE_INT64 ? 8 : 0;
}

uint32_t header_count(const struct header *h, uint32_t tag)
{
	struct entry e;
	uint32_t width, room;

	if (!find(h, tag, &e))
		return 0;
	/* Not more than there can be: each string has its zero byte at least. */
	width = MAX(width_of(e.type), 1);
	room = (h->size - e.offset) / width;
	return MIN(e.count, room);
}

struct header_numbers header_numbers(const struct header *h, uint32_t tag)
{
	struct entry e;
	uint32_t width;

	if (!find(h, tag, &e) || (width = width_of(e.type)) == 0)
		return (struct header_numbers){.count = 0};
	return (struct header_numbers){h->data + e.offset, width, MIN(e.count, (h->size - e.offset) / width)};
}

bool header_value(const struct header_numbers *n, uint32_t i, int64_t *out)
{
	uint64_t v = 0;

	if (i >= n->count)
		return false;
	for (uint32_t k = 0; k < n->width; k++)
		v = v << 8 | n->at[(size_t)i * n->width + k];
	if (v > INT64_MAX)
		return false;
	*out = (int64_t)v;
	return true;
}

bool header_number(const struct header *h, uint32_t tag, int64_t *out)
{
	struct header_numbers n = header_numbers(h, tag);

	return header_value(&n, 0, out);
}

struct header_strings header_strings(const struct header *h, uint32_t tag)
{
	struct entry e;

	if (!find(h, tag, &e) || (e.type != TYPE_STRING && e.type != TYPE_STRINGS && e.type != TYPE_I18N))
		return (struct header_strings){.left = 0};
	return (struct header_strings){h->data + e.offset, h->data + h->size, e.type == TYPE_STRING ? 1 : e.count};
}

bool header_next(struct header_strings *s, struct slice *out)
{
	const uint8_t *zero = s->left > 0 ? memchr(s->at, '\0', (size_t)(s->end - s->at)) : NULL;

	if (zero == NULL) /* none is left, or the last one does not end */
		return false;
	*out = slice_of((const char *)s->at, (size_t)(zero - s->at));
	s->at = zero + 1;
	s->left--;
	return true;
}

struct slice header_string(const struct header *h, uint32_t tag, uint32_t i)
{
	struct header_strings s = header_strings(h, tag);
	struct slice out;

	for (; header_next(&s, &out); i--)
		if (i == 0)
			return out;
	return SLICE_NULL;
}
