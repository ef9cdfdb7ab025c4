#include "formats/file/manifest.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
#define B_LOWER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* What came out, as text: "path|sha256|size\n" an entry. */
static int note(void *arg, const struct manifest_entry *e)
{
	return buf_addf(arg, "%s|%s|%lld\n", e->path, e->sha256, (long long)e->size);
}

/* Feeds `text` in pieces of `piece` bytes; the code, and in *line where it stopped. */
static int parse(struct slice text, size_t piece, struct buf *out, int64_t *line, struct err *err)
{
	struct manifest m;
	int rc = 0;

	buf_reset(out);
	manifest_init(&m, note, out);
	for (size_t at = 0; rc == 0 && at < text.n; at += piece)
		rc = manifest_feed(&m, text.p + at, MIN(piece, text.n - at), err);
	if (rc == 0)
		rc = manifest_end(&m, err);
	*line = m.line;
	manifest_fini(&m);
	return rc;
}

static void good_lines(void **state)
{
	static const struct {
		const char *text, *out;
	} rows[] = {
		{"", ""},
		{"\n\n", ""},
		{"a," A ",1", "a|" A "|1\n"},
		{"a," A ",1\n", "a|" A "|1\n"},
		{"a," A ",1\r\nb," A ",2\r\n", "a|" A "|1\nb|" A "|2\n"},
		{"  \t a , " A " , 0 \n", "a|" A "|0\n"},
		{"# a comment, with, commas\n \t\n  # indented\na/b/c.iso," B ",9\n", "a/b/c.iso|" B_LOWER "|9\n"},
		{"with, two, commas," A ",7\n", "with, two, commas|" A "|7\n"},
		{"inner space and #hash," A ",7\n", "inner space and #hash|" A "|7\n"},
		{"\xc3\xa4.iso," A ",9223372036854775807\n", "\xc3\xa4.iso|" A "|9223372036854775807\n"},
		{"a," A ",0007\n", "a|" A "|7\n"},
		{".hidden/..x/x..," A ",1\n", ".hidden/..x/x..|" A "|1\n"},
	};
	struct buf out = BUF_INIT(0);
	struct err err;
	int64_t line;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t piece = 1; piece <= strlen(rows[i].text) + 1; piece++) {
			assert_int_equal(parse(slice_str(rows[i].text), piece, &out, &line, &err), 0);
			assert_string_equal(out.n > 0 ? out.p : "", rows[i].out);
		}
	}
	buf_fini(&out);
}

#define LIT(z) SLICE(z)

static void bad_lines(void **state)
{
	static const struct {
		struct slice text;
		int line;
		const char *reason;
	} rows[] = {
		{LIT("a"), 1, "path,sha256,size"},
		{LIT("a," A), 1, "path,sha256,size"},
		{LIT("\n\n# x\n,\n"), 4, "path,sha256,size"},
		{LIT("," A ",1\n"), 1, "empty"},
		{LIT("  ," A ",1\n"), 1, "empty"},
		{LIT("/a," A ",1\n"), 1, "empty segment"},
		{LIT("a/," A ",1\n"), 1, "empty segment"},
		{LIT("a//b," A ",1\n"), 1, "empty segment"},
		{LIT("../a," A ",1\n"), 1, "\"..\""},
		{LIT("a/./b," A ",1\n"), 1, "\"..\""},
		{LIT("a\\b," A ",1\n"), 1, "backslash"},
		{LIT("a\0b," A ",1\n"), 1, "control"},
		{LIT("a\rb," A ",1\n"), 1, "control"},
		{LIT("\xff," A ",1\n"), 1, "UTF-8"},
		{LIT("ok," A ",1\na,,1\n"), 2, "sha256"},
		{LIT("ok," A ",1\na,d41d8cd98f00b204e9800998ecf8427e,1\n"), 2, "sha256"},
		{LIT("ok," A ",1\na," A "a,1\n"), 2, "sha256"},
		{LIT("ok," A ",1\na,gg" A ",1\n"), 2, "sha256"},
		{LIT("ok," A ",1\nok," A ",2\na," A ",\n"), 3, "size"},
		{LIT("a," A ",-1\n"), 1, "size"},
		{LIT("a," A ",+1\n"), 1, "size"},
		{LIT("a," A ",1.5\n"), 1, "size"},
		{LIT("a," A ",1k\n"), 1, "size"},
		{LIT("a," A ",9223372036854775808\n"), 1, "size"},
		{LIT("a," A ",1 2\n"), 1, "size"},
	};
	struct buf out = BUF_INIT(0);
	struct err err;
	int64_t line;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t piece = 1; piece <= rows[i].text.n; piece++) {
			assert_int_equal(parse(rows[i].text, piece, &out, &line, &err), -ERR_PARSE);
			assert_int_equal(line, rows[i].line);
			assert_non_null(strstr(err.msg, rows[i].reason));
		}
	}
	buf_fini(&out);
}

/* Every split into two pieces says the same as the whole. */
static void split_at_each_byte(void **state)
{
	static const char text[] = "# head\na," A ",1\r\n\n  b, c," B ",22\nd/e," A ",333";
	struct buf whole = BUF_INIT(0), out = BUF_INIT(0);
	struct err err;
	int64_t line;

	assert_int_equal(parse(SLICE(text), sizeof(text), &whole, &line, &err), 0);
	for (size_t cut = 0; cut < sizeof(text); cut++) {
		struct manifest m;

		buf_reset(&out);
		manifest_init(&m, note, &out);
		assert_int_equal(manifest_feed(&m, text, cut, &err), 0);
		assert_int_equal(manifest_feed(&m, text + cut, sizeof(text) - 1 - MIN(cut, sizeof(text) - 1), &err), 0);
		assert_int_equal(manifest_end(&m, &err), 0);
		assert_int_equal(m.entries, 3);
		assert_string_equal(out.p, whole.p);
		manifest_fini(&m);
		if (cut == sizeof(text) - 1)
			break;
	}
	buf_fini(&whole);
	buf_fini(&out);
}

/* The bound holds for comments as well, and before the end of the line has come. */
static void long_lines(void **state)
{
	static const size_t pieces[] = {1000, MANIFEST_LINE_MAX, MANIFEST_LINE_MAX + 1, 10 * MANIFEST_LINE_MAX};
	size_t size = 3 * MANIFEST_LINE_MAX;
	char *text = malloc(size);
	struct buf out = BUF_INIT(0);
	struct err err;
	int64_t line;

	assert_non_null(text);
	memset(text, '#', size);
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		memcpy(text, "a," A ",1\n", 69);
		assert_int_equal(parse(slice_of(text, size), pieces[i], &out, &line, &err), -ERR_PARSE);
		assert_int_equal(line, 2);
		assert_non_null(strstr(err.msg, "longer than 65536"));
		assert_int_equal(parse(slice_of(text, 69 + MANIFEST_LINE_MAX), pieces[i], &out, &line, &err), 0);
		assert_int_equal(
			parse(slice_of(text, 69 + MANIFEST_LINE_MAX + 1), pieces[i], &out, &line, &err), -ERR_PARSE);
	}
	free(text);
	buf_fini(&out);
}

static int refuse(void *arg, const struct manifest_entry *e)
{
	return -ERR_CANCELED;
}

static void the_taker_stops_it(void **state)
{
	struct manifest m;
	struct err err;

	manifest_init(&m, refuse, NULL);
	assert_int_equal(manifest_feed(&m, "a," A ",1\nrubbish\n", 77, &err), -ERR_CANCELED);
	assert_int_equal(m.line, 1);
	manifest_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_lines),
		cmocka_unit_test(bad_lines),
		cmocka_unit_test(split_at_each_byte),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(the_taker_stops_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
