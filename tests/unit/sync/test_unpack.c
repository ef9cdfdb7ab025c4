/* Opening compressed metadata: each kind, cut anywhere, damaged anywhere, and bombs. */
#include "sync/unpack.h"

#include "base/buf.h"
#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <bzlib.h>
#include <lzma.h>
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#define ROOM ((size_t)1 << 20)

static size_t pack_gzip(const char *p, size_t n, char *out)
{
	z_stream z = {.next_in = (const unsigned char *)p,
		.avail_in = (unsigned)n,
		.next_out = (unsigned char *)out,
		.avail_out = ROOM};

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return ROOM - z.avail_out;
}

static size_t pack_xz(const char *p, size_t n, char *out)
{
	size_t at = 0;

	assert_int_equal(
		lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, (const uint8_t *)p, n, (uint8_t *)out, &at, ROOM),
		LZMA_OK);
	return at;
}

static size_t pack_bzip2(const char *p, size_t n, char *out)
{
	unsigned at = ROOM;

	assert_int_equal(BZ2_bzBuffToBuffCompress(out, &at, (char *)(uintptr_t)p, (unsigned)n, 9, 0, 0), BZ_OK);
	return at;
}

static size_t pack_zstd(const char *p, size_t n, char *out)
{
	size_t at = ZSTD_compress(out, ROOM, p, n, 3);

	assert_false(ZSTD_isError(at));
	return at;
}

static const struct {
	const char *name;
	size_t (*pack)(const char *p, size_t n, char *out);
} kinds[] = {{"gzip", pack_gzip}, {"xz", pack_xz}, {"bzip2", pack_bzip2}, {"zstd", pack_zstd}};

static int into_buf(void *arg, const char *p, size_t n)
{
	return buf_add(arg, p, n);
}

static int count(void *arg, const char *p, size_t n)
{
	*(int64_t *)arg += (int64_t)n;
	return 0;
}

static int open_with(int (*take)(void *arg, const char *p, size_t n), void *arg, const char *p, size_t n, size_t piece,
	struct err *err)
{
	struct unpack *u = NULL;
	int rc = unpack_new(take, arg, &u);

	for (size_t at = 0; rc == 0 && at < n; at += piece)
		rc = unpack_feed(u, p + at, MIN(piece, n - at), err);
	if (rc == 0)
		rc = unpack_end(u, err);
	unpack_free(&u);
	return rc;
}

static char *text_of(size_t *n)
{
	struct buf b = BUF_INIT(0);

	for (int i = 0; i < 30000; i++)
		buf_addf(&b, "<package n=\"%d\"/>\n", i * 7919 % 10007);
	return buf_take(&b, n);
}

/* In pieces of several sizes, once and twice in one file. */
static void every_kind_however_cut(void **state)
{
	static const size_t pieces[] = {1, 7, 4096, ROOM};
	char *packed = malloc(2 * ROOM), *text;
	struct buf out = BUF_INIT(0);
	size_t n;

	text = text_of(&n);
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		size_t m = kinds[k].pack(text, n, packed);

		memcpy(packed + m, packed, m);
		for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
			for (size_t times = 1; times <= 2; times++) {
				struct err err = ERR_INIT;

				buf_reset(&out);
				assert_int_equal(open_with(into_buf, &out, packed, times * m, pieces[i], &err), 0);
				assert_int_equal(out.n, times * n);
				assert_memory_equal(out.p + (times - 1) * n, text, n);
			}
		}
	}
	buf_fini(&out);
	free(text);
	free(packed);
}

static void anything_else_comes_out_as_it_is(void **state)
{
	static const char *const texts[] = {"", "\x1f",
		"\xfd"
		"7z",
		"<?xml?>", "BZ", "(\xb5/"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct buf out = BUF_INIT(0);
		struct err err = ERR_INIT;

		assert_int_equal(open_with(into_buf, &out, texts[i], strlen(texts[i]), 1, &err), 0);
		assert_int_equal(out.n, strlen(texts[i]));
		buf_fini(&out);
	}
}

static void damaged_and_broken_off(void **state)
{
	char *packed = malloc(ROOM), *text;
	size_t n;

	text = text_of(&n);
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		size_t m = kinds[k].pack(text, n, packed);
		int64_t came = 0;
		struct err err = ERR_INIT;
		char want[64];

		assert_int_equal(open_with(count, &came, packed, m - 1, 4096, &err), -ERR_PARSE);
		snprintf(want, sizeof(want), "the %s data breaks off", kinds[k].name);
		assert_string_equal(err.msg, want);
		packed[m / 2] ^= 0x55;
		packed[m / 2 + 1] ^= 0x55;
		assert_int_equal(open_with(count, &came, packed, m, 4096, &err), -ERR_PARSE);
		memcpy(packed + m, "rubbish", 7);
		packed[m / 2] ^= 0x55;
		packed[m / 2 + 1] ^= 0x55;
		assert_int_equal(open_with(count, &came, packed, m + 7, 4096, &err), -ERR_PARSE);
	}
	free(text);
	free(packed);
}

static void zchunk_is_named(void **state)
{
	int64_t came = 0;
	struct err err = ERR_INIT;

	assert_int_equal(open_with(count, &came, "\0ZCK1xyz", 8, 8, &err), -ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "zchunk"));
}

/* Blanks pack a thousand times and more. */
static void bombs_are_stopped(void **state)
{
	size_t n = (size_t)24 << 20;
	char *blanks = calloc(1, n), *packed = malloc(ROOM);

	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		size_t m = kinds[k].pack(blanks, n, packed);
		int64_t came = 0;
		struct err err = ERR_INIT;

		assert_int_equal(open_with(count, &came, packed, m, 4096, &err), -ERR_LIMIT);
		assert_non_null(strstr(err.msg, "bomb"));
		assert_in_range(came, 0, UNPACK_FREE + UNPACK_RATIO * (int64_t)m);
	}
	free(packed);
	free(blanks);
}

/* The header alone names a window of 2 GiB. */
static void a_window_without_end_is_refused(void **state)
{
	static const char frame[] = "\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00";
	int64_t came = 0;
	struct err err = ERR_INIT;

	assert_int_equal(open_with(count, &came, frame, sizeof(frame) - 1, 100, &err), -ERR_LIMIT);
	assert_non_null(strstr(err.msg, "memory"));
}

static int stop(void *arg, const char *p, size_t n)
{
	return -ERR_CANCELED;
}

static void the_reader_may_stop(void **state)
{
	char *packed = malloc(ROOM);
	size_t m = pack_gzip("hello", 5, packed);
	struct err err = ERR_INIT;

	assert_int_equal(open_with(stop, NULL, packed, m, 100, &err), -ERR_CANCELED);
	assert_int_equal(err.code, 0);
	free(packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_however_cut),
		cmocka_unit_test(anything_else_comes_out_as_it_is),
		cmocka_unit_test(damaged_and_broken_off),
		cmocka_unit_test(zchunk_is_named),
		cmocka_unit_test(bombs_are_stopped),
		cmocka_unit_test(a_window_without_end_is_refused),
		cmocka_unit_test(the_reader_may_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
