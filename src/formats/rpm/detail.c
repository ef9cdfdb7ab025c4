/* Four bytes say how long the first part is, then come both; all of it is one zstd frame. */
#include "formats/rpm/detail.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define LEVEL \
	1 /* a fifth of a first sync's time is spent here; level 3 takes half as long again, and saves a tenth of the bytes */
#define HEAD 4

struct detail {
	ZSTD_CCtx *pack;
	ZSTD_DCtx *open;
	struct buf plain;
};

struct detail *detail_new(void)
{
	struct detail *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->plain = BUF_INIT(DETAIL_MAX);
	d->pack = ZSTD_createCCtx();
	d->open = ZSTD_createDCtx();
	if (d->pack == NULL || d->open == NULL)
		detail_free(&d);
	return d;
}

void detail_free(struct detail **pd)
{
	struct detail *d = TAKE(*pd);

	if (d == NULL)
		return;
	ZSTD_freeCCtx(d->pack);
	ZSTD_freeDCtx(d->open);
	buf_fini(&d->plain);
	free(d);
}

int detail_pack(struct detail *d, struct slice files, struct slice changes, struct buf *out)
{
	uint32_t n = (uint32_t)files.n;
	unsigned char head[HEAD] = {
		(unsigned char)n, (unsigned char)(n >> 8), (unsigned char)(n >> 16), (unsigned char)(n >> 24)};
	size_t bound;

	buf_reset(&d->plain);
	buf_reset(out);
	buf_add(&d->plain, head, sizeof(head));
	buf_add_slice(&d->plain, files);
	if (buf_add_slice(&d->plain, changes) != 0)
		return d->plain.failed;
	bound = ZSTD_compressBound(d->plain.n);
	if (buf_reserve(out, bound) != 0)
		return -ERR_NOMEM;
	bound = ZSTD_compressCCtx(d->pack, out->p, bound, d->plain.p, d->plain.n, LEVEL);
	if (ZSTD_isError(bound))
		return -ERR_NOMEM;
	out->n = bound;
	return 0;
}

int detail_open(struct detail *d, const void *p, size_t n, struct slice *files, struct slice *changes)
{
	unsigned long long size = ZSTD_getFrameContentSize(p, n);
	const unsigned char *head;
	size_t first;

	if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size < HEAD || size > DETAIL_MAX)
		return -ERR_PARSE;
	buf_reset(&d->plain);
	if (buf_reserve(&d->plain, (size_t)size) != 0)
		return -ERR_NOMEM;
	if (ZSTD_decompressDCtx(d->open, d->plain.p, (size_t)size, p, n) != size)
		return -ERR_PARSE;
	head = (const unsigned char *)d->plain.p;
	first = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
	if (first > size - HEAD)
		return -ERR_PARSE;
	*files = slice_of(d->plain.p + HEAD, first);
	*changes = slice_of(d->plain.p + HEAD + first, (size_t)size - HEAD - first);
	return 0;
}
