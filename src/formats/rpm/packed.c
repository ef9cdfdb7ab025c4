/* gzip without a date and zstd, each with the same bytes for the same content. */
#include "formats/rpm/packed.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define PIECE 65536
#define GZIP_WINDOW (15 + 16)
#define ZSTD_LEVEL 7 /* half the time of createrepo_c's default, and within a few percent of its size */
#define PATH_CAP 2048

static int no_memory(struct packed *f)
{
	return f->host->fail(f->publish, "no memory for metadata");
}

int packed_begin(struct packed *f, const struct sluice_publish_host *h, struct sluice_publish *p, enum packing packing,
	enum digest_alg alg)
{
	z_stream *z;

	*f = (struct packed){.host = h, .publish = p, .packing = packing, .alg = alg, .pending = BUF_INIT(0)};
	if (hasher_new(1u << alg, &f->hasher) != 0 || hasher_new(1u << alg, &f->open_hasher) != 0)
		return no_memory(f);
	if (packing == PACK_GZ) {
		f->stream = z = calloc(1, sizeof(*z));
		if (z == NULL || deflateInit2(z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8,
					 Z_DEFAULT_STRATEGY) != Z_OK) {
			free(TAKE(f->stream));
			return no_memory(f);
		}
	} else if (packing == PACK_ZSTD) {
		f->stream = ZSTD_createCCtx();
		if (f->stream == NULL ||
			ZSTD_isError(ZSTD_CCtx_setParameter(f->stream, ZSTD_c_compressionLevel, ZSTD_LEVEL)))
			return no_memory(f);
	}
	return h->file_begin(p, "repodata/unnamed");
}

static int write_out(struct packed *f, const void *p, size_t n)
{
	if (n == 0)
		return 0;
	hasher_add(f->hasher, p, n);
	f->size += (int64_t)n;
	return f->host->file_write(f->publish, p, n);
}

static int write_gz(struct packed *f, bool last)
{
	z_stream *z = f->stream;
	unsigned char out[PIECE];
	int rc = 0, state;

	z->next_in = (unsigned char *)f->pending.p;
	z->avail_in = (unsigned)f->pending.n;
	do {
		z->next_out = out;
		z->avail_out = sizeof(out);
		state = deflate(z, last ? Z_FINISH : Z_NO_FLUSH);
		rc = write_out(f, out, sizeof(out) - z->avail_out);
	} while (rc == 0 && (last ? state == Z_OK || state == Z_BUF_ERROR : z->avail_out == 0));
	return rc;
}

static int write_zstd(struct packed *f, bool last)
{
	ZSTD_inBuffer in = {f->pending.p, f->pending.n, 0};
	char piece[PIECE];
	size_t left;
	int rc;

	do {
		ZSTD_outBuffer out = {piece, sizeof(piece), 0};

		left = ZSTD_compressStream2(f->stream, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return f->host->fail(f->publish, "metadata cannot be compressed: %s", ZSTD_getErrorName(left));
		rc = write_out(f, piece, out.pos);
	} while (rc == 0 && (last ? left > 0 : in.pos < in.size));
	return rc;
}

static int flush(struct packed *f, bool last)
{
	int rc;

	if (f->pending.failed != 0)
		return no_memory(f);
	hasher_add(f->open_hasher, f->pending.p, f->pending.n);
	f->open_size += (int64_t)f->pending.n;
	rc = f->packing == PACK_GZ     ? write_gz(f, last)
	     : f->packing == PACK_ZSTD ? write_zstd(f, last)
				       : write_out(f, f->pending.p, f->pending.n);
	buf_reset(&f->pending);
	return rc;
}

int packed_add(struct packed *f, struct slice s)
{
	buf_add_slice(&f->pending, s);
	return f->pending.n >= PIECE || f->pending.failed != 0 ? flush(f, false) : 0;
}

int packed_end(struct packed *f, const char *name, char *path)
{
	static const char *const suffixes[] = {[PACK_NONE] = "", [PACK_GZ] = ".gz", [PACK_ZSTD] = ".zst"};
	struct digests digests;
	int rc = flush(f, true);

	if (rc != 0)
		return rc;
	hasher_end(f->hasher, &digests);
	digest_hex(f->alg, digests.d[f->alg], f->checksum);
	hasher_end(f->open_hasher, &digests);
	digest_hex(f->alg, digests.d[f->alg], f->open_checksum);
	(void)snprintf(path, PATH_CAP, "repodata/%s-%s%s", f->checksum, name, suffixes[f->packing]);
	rc = f->host->file_name(f->publish, path);
	return rc == 0 ? f->host->file_end(f->publish) : rc;
}

void packed_fini(struct packed *f)
{
	if (f->packing == PACK_GZ && f->stream != NULL)
		(void)deflateEnd(f->stream);
	if (f->packing == PACK_ZSTD)
		ZSTD_freeCCtx(f->stream);
	else
		free(f->stream);
	f->stream = NULL;
	hasher_free(&f->hasher);
	hasher_free(&f->open_hasher);
	buf_fini(&f->pending);
}
