/* One table of decoders. A file may consist of several compressed ones, one after the other: each is opened anew, so that
 * all four formats are alike.
 *
 *   SNIFF ──(first bytes known)──> BETWEEN ──(a byte)──> INSIDE ──(its end)──> BETWEEN …
 *     └──(nothing known)──> PLAIN */
#include "sync/unpack.h"

#include "base/check.h"
#include "base/slice.h"

#include <bzlib.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define MAGIC_MAX 6

enum state { SNIFF, PLAIN, BETWEEN, INSIDE };

struct codec;

struct unpack {
	int (*take)(void *arg, const char *p, size_t n);
	void *arg;
	enum state state;
	const struct codec *codec;
	char first[MAGIC_MAX]; /* SNIFF */
	size_t first_n;
	int64_t in, out; /* bytes so far */
	union {
		z_stream gzip;
		lzma_stream xz;
		bz_stream bzip2;
		ZSTD_DCtx *zstd;
	} z;
	char piece[UNPACK_PIECE];
};

/* Some input and some room; both are moved on. */
struct step {
	const char *in;
	size_t in_n;
	char *out;
	size_t out_n;
	bool ended;
};

struct codec {
	const char *name;
	const char *magic;
	size_t magic_n;
	int (*open)(struct unpack *u, struct err *err);
	int (*step)(struct unpack *u, struct step *s, struct err *err);
	void (*close)(struct unpack *u);
};

static int damaged(const struct unpack *u, struct err *err)
{
	return err_set(err, -ERR_PARSE, "the %s data is damaged", u->codec->name);
}

static int no_memory(const struct unpack *u, struct err *err)
{
	return err_set(err, -ERR_NOMEM, "no memory to open %s data", u->codec->name);
}

static int too_much_memory(const struct unpack *u, struct err *err)
{
	return err_set(err, -ERR_LIMIT, "the %s data needs more memory to be opened than is allowed", u->codec->name);
}

/* ---- gzip ---- */

static int gzip_open(struct unpack *u, struct err *err)
{
	u->z.gzip = (z_stream){.zalloc = Z_NULL};
	/* 16: with a gzip header, and no other */
	return inflateInit2(&u->z.gzip, 16 + MAX_WBITS) == Z_OK ? 0 : no_memory(u, err);
}

static int gzip_step(struct unpack *u, struct step *s, struct err *err)
{
	z_stream *z = &u->z.gzip;
	int rc;

	z->next_in = (const unsigned char *)s->in;
	z->avail_in = (unsigned)s->in_n;
	z->next_out = (unsigned char *)s->out;
	z->avail_out = (unsigned)s->out_n;
	rc = inflate(z, Z_NO_FLUSH);
	*s = (struct step){
		(const char *)z->next_in, z->avail_in, (char *)z->next_out, z->avail_out, rc == Z_STREAM_END};
	if (rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR)
		return 0;
	return rc == Z_MEM_ERROR ? no_memory(u, err) : damaged(u, err);
}

static void gzip_close(struct unpack *u)
{
	inflateEnd(&u->z.gzip);
}

/* ---- xz ---- */

static int xz_open(struct unpack *u, struct err *err)
{
	u->z.xz = (lzma_stream)LZMA_STREAM_INIT;
	return lzma_stream_decoder(&u->z.xz, UNPACK_MEMORY, 0) == LZMA_OK ? 0 : no_memory(u, err);
}

static int xz_step(struct unpack *u, struct step *s, struct err *err)
{
	lzma_stream *z = &u->z.xz;
	lzma_ret rc;

	z->next_in = (const uint8_t *)s->in;
	z->avail_in = s->in_n;
	z->next_out = (uint8_t *)s->out;
	z->avail_out = s->out_n;
	rc = lzma_code(z, LZMA_RUN);
	*s = (struct step){
		(const char *)z->next_in, z->avail_in, (char *)z->next_out, z->avail_out, rc == LZMA_STREAM_END};
	if (rc == LZMA_OK || rc == LZMA_STREAM_END || rc == LZMA_BUF_ERROR)
		return 0;
	if (rc == LZMA_MEMLIMIT_ERROR)
		return too_much_memory(u, err);
	return rc == LZMA_MEM_ERROR ? no_memory(u, err) : damaged(u, err);
}

static void xz_close(struct unpack *u)
{
	lzma_end(&u->z.xz);
}

/* ---- bzip2 ---- */

static int bzip2_open(struct unpack *u, struct err *err)
{
	u->z.bzip2 = (bz_stream){.bzalloc = NULL};
	return BZ2_bzDecompressInit(&u->z.bzip2, 0, 0) == BZ_OK ? 0 : no_memory(u, err);
}

static int bzip2_step(struct unpack *u, struct step *s, struct err *err)
{
	bz_stream *z = &u->z.bzip2;
	int rc;

	z->next_in = (char *)(uintptr_t)s->in; /* it does not write there */
	z->avail_in = (unsigned)s->in_n;
	z->next_out = s->out;
	z->avail_out = (unsigned)s->out_n;
	rc = BZ2_bzDecompress(z);
	*s = (struct step){z->next_in, z->avail_in, z->next_out, z->avail_out, rc == BZ_STREAM_END};
	if (rc == BZ_OK || rc == BZ_STREAM_END)
		return 0;
	return rc == BZ_MEM_ERROR ? no_memory(u, err) : damaged(u, err);
}

static void bzip2_close(struct unpack *u)
{
	BZ2_bzDecompressEnd(&u->z.bzip2);
}

/* ---- zstd ---- */

static int zstd_open(struct unpack *u, struct err *err)
{
	u->z.zstd = ZSTD_createDCtx();
	if (u->z.zstd == NULL)
		return no_memory(u, err);
	if (!ZSTD_isError(ZSTD_DCtx_setParameter(u->z.zstd, ZSTD_d_windowLogMax, UNPACK_WINDOW_LOG)))
		return 0;
	ZSTD_freeDCtx(u->z.zstd);
	return err_set(err, -ERR_INTERNAL, "zstd takes no bound of its memory");
}

static int zstd_step(struct unpack *u, struct step *s, struct err *err)
{
	ZSTD_inBuffer in = {s->in, s->in_n, 0};
	ZSTD_outBuffer out = {s->out, s->out_n, 0};
	size_t rc = ZSTD_decompressStream(u->z.zstd, &out, &in);

	*s = (struct step){s->in + in.pos, s->in_n - in.pos, s->out + out.pos, s->out_n - out.pos, rc == 0};
	if (!ZSTD_isError(rc))
		return 0;
	switch (ZSTD_getErrorCode(rc)) {
	case ZSTD_error_frameParameter_windowTooLarge:
		return too_much_memory(u, err);
	case ZSTD_error_memory_allocation:
		return no_memory(u, err);
	default:
		return damaged(u, err);
	}
}

static void zstd_close(struct unpack *u)
{
	ZSTD_freeDCtx(u->z.zstd);
}

static int zchunk_open(struct unpack *u, struct err *err)
{
	return err_set(err, -ERR_UNSUPPORTED, "zchunk data cannot be read");
}

static void zchunk_close(struct unpack *u)
{
}

#define CODEC(kind, bytes)                                                                          \
	{                                                                                           \
		.name = #kind, .magic = (bytes), .magic_n = sizeof(bytes) - 1, .open = kind##_open, \
		.step = kind##_step, .close = kind##_close                                          \
	}
#define zchunk_step NULL /* never opened */
static const struct codec codecs[] = {
	CODEC(gzip, "\x1f\x8b"),
	CODEC(xz, "\xfd"
		  "7zXZ\0"),
	CODEC(bzip2, "BZh"),
	CODEC(zstd, "\x28\xb5\x2f\xfd"),
	CODEC(zchunk, "\0ZCK1"),
};

/* ---- all of them ---- */

int unpack_new(int (*take)(void *arg, const char *p, size_t n), void *arg, struct unpack **out)
{
	struct unpack *u = malloc(sizeof(*u));

	if (u == NULL)
		return -ERR_NOMEM;
	u->take = take;
	u->arg = arg;
	u->state = SNIFF;
	u->codec = NULL;
	u->first_n = 0;
	u->in = u->out = 0;
	*out = u;
	return 0;
}

void unpack_free(struct unpack **pu)
{
	struct unpack *u = TAKE(*pu);

	if (u == NULL)
		return;
	if (u->state == INSIDE)
		u->codec->close(u);
	free(u);
}

static int hand_over(struct unpack *u, const char *p, size_t n, struct err *err)
{
	u->out += (int64_t)n;
	if (u->out > UNPACK_MAX || (u->codec != NULL && u->out > UNPACK_FREE && u->out / UNPACK_RATIO > u->in))
		return err_set(err, -ERR_LIMIT, "it opens to more than %lld bytes, out of %lld: taken for a bomb",
			(long long)(u->out - (int64_t)n), (long long)u->in);
	return n > 0 ? u->take(u->arg, p, n) : 0;
}

static int open_next(struct unpack *u, struct err *err)
{
	int rc = u->codec->open(u, err);

	if (rc == 0)
		u->state = INSIDE;
	return rc;
}

static int decode(struct unpack *u, const char *p, size_t n, struct err *err)
{
	struct step s = {.in = p, .in_n = n};
	int rc = 0;

	/* Also on while there is no input left but the room was used up: there may be more to come out. */
	while (rc == 0 && (s.in_n > 0 || (u->state == INSIDE && s.out_n == 0))) {
		size_t before = s.in_n;

		if (u->state == BETWEEN && (rc = open_next(u, err)) != 0)
			return rc;
		s.out = u->piece;
		s.out_n = sizeof(u->piece);
		rc = u->codec->step(u, &s, err);
		if (rc == 0 && s.in_n == before && s.out_n == sizeof(u->piece) && !s.ended) {
			if (s.in_n == 0)
				return 0;
			return damaged(u, err); /* it goes neither on nor back */
		}
		if (rc == 0)
			rc = hand_over(u, u->piece, sizeof(u->piece) - s.out_n, err);
		if (rc == 0 && s.ended) {
			u->codec->close(u);
			u->state = BETWEEN;
		}
	}
	return rc;
}

static int feed_known(struct unpack *u, const char *p, size_t n, struct err *err)
{
	return u->state == PLAIN ? hand_over(u, p, n, err) : decode(u, p, n, err);
}

/* Which one do the first bytes name? NULL: none, or *undecided. */
static const struct codec *sniff(const struct unpack *u, bool at_end, bool *undecided)
{
	*undecided = false;
	for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
		const struct codec *c = &codecs[i];

		if (memcmp(u->first, c->magic, MIN(u->first_n, c->magic_n)) != 0)
			continue;
		if (u->first_n >= c->magic_n)
			return c;
		*undecided = !at_end;
	}
	return NULL;
}

static int decide(struct unpack *u, bool at_end, struct err *err)
{
	bool undecided;

	u->codec = sniff(u, at_end, &undecided);
	if (undecided)
		return 0;
	u->state = u->codec != NULL ? BETWEEN : PLAIN;
	return feed_known(u, u->first, u->first_n, err);
}

int unpack_feed(struct unpack *u, const char *p, size_t n, struct err *err)
{
	int rc = 0;

	u->in += (int64_t)n;
	while (rc == 0 && n > 0 && u->state == SNIFF) {
		u->first[u->first_n++] = *p++;
		n--;
		rc = decide(u, false, err);
	}
	return rc == 0 && n > 0 ? feed_known(u, p, n, err) : rc;
}

int unpack_end(struct unpack *u, struct err *err)
{
	int rc = 0;

	if (u->state == SNIFF)
		rc = decide(u, true, err);
	if (rc == 0 && u->state == INSIDE)
		rc = err_set(err, -ERR_PARSE, "the %s data breaks off", u->codec->name);
	return rc;
}
