/* Binary packages, made here byte by byte: what dpkg-deb makes is in the corpus of fuzz_deb. */
#include "formats/deb/debfile.h"

#include "base/buf.h"
#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void member(struct buf *b, const char *name, struct slice data)
{
	buf_addf(b, "%-16s%-12d%-6d%-6d%-8s%-10zu`\n", name, 0, 0, 0, "100644", data.n);
	buf_add_slice(b, data);
	if (data.n % 2 != 0)
		buf_adds(b, "\n");
}

static void entry(struct buf *b, const char *name, char type, const char *data, int64_t size)
{
	static const char zero[512];
	char h[512] = {0};
	unsigned sum = 0;
	size_t n = strlen(data);

	(void)snprintf(h, 100, "%s", name);
	(void)snprintf(h + 124, 12, "%011o", (unsigned)(size >= 0 ? size : (int64_t)n));
	h[156] = type;
	memset(h + 148, ' ', 8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += (unsigned char)h[i];
	(void)snprintf(h + 148, 8, "%06o", sum);
	buf_add(b, h, sizeof(h));
	buf_add(b, data, n);
	buf_add(b, zero, (512 - n % 512) % 512);
}

static int feed(const struct buf *b, size_t piece, char *out, size_t cap, struct err *err)
{
	struct debfile *d = NULL;
	int rc = debfile_new(&d);

	for (size_t at = 0; rc == 0 && at < b->n; at += piece)
		rc = debfile_feed(d, b->p + at, MIN(piece, b->n - at), err);
	if (rc == 1)
		(void)snprintf(out, cap, "%.*s", SLICE_ARG(debfile_control(d)));
	debfile_free(&d);
	return rc;
}

static void packages(void **state)
{
	static const char *const names[] = {"./control", "control"};
	struct buf b = BUF_INIT(0), tar = BUF_INIT(0);
	char text[64] = "";
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		buf_reset(&b);
		buf_reset(&tar);
		entry(&tar, "./", '5', "", -1);
		entry(&tar, "PaxHeader", 'x', "13 a=control\n", -1);
		entry(&tar, "./postinst", '0', "#!/bin/sh\n", -1);
		entry(&tar, names[i], i == 0 ? '0' : '\0', "Package: x\n", -1);
		buf_adds(&b, "!<arch>\n");
		member(&b, i == 0 ? "debian-binary" : "debian-binary/", SLICE("2.0\n"));
		member(&b, "_ours", SLICE("odd"));
		member(&b, "_empty", SLICE(""));
		member(&b, "control.tar", buf_slice(&tar));
		for (size_t piece = 1; piece <= 600; piece += 13) {
			assert_int_equal(feed(&b, piece, text, sizeof(text), &err), 1);
			assert_string_equal(text, "Package: x\n");
		}
	}
	b.n -= 520; /* the end of control is not there */
	assert_int_equal(feed(&b, 4096, text, sizeof(text), &err), 0);
	buf_fini(&b);
	buf_fini(&tar);
}

static void what_is_none(void **state)
{
	static const struct {
		const char *first, *version, *second, *name;
		char type;
		int64_t size;
		const char *reason;
	} cases[] = {
		{"debian-binary", "3.0\n", "control.tar", "control", '0', -1, "version 2"},
		{"control.tar", "2.0\n", "control.tar", "control", '0', -1, "no Debian binary package"},
		{"debian-binary", "2.0\n", "data.tar.xz", "control", '0', -1, "no control.tar before"},
		{"debian-binary", "2.0\n", "control.tar.bz2", "control", '0', -1, "no control.tar before"},
		{"debian-binary", "2.0\n", "control.tar", "other", '0', -1, "has no file 'control'"},
		{"debian-binary", "2.0\n", "control.tar", "control", '2', -1, "has no file 'control'"}, /* a link */
		{"debian-binary", "2.0\n", "control.tar", "control", '0', 1 << 21, "can be read"},
		{"debian-binary", "2.0\n", "control.tar", "control", '0', 0, "can be read"},
		{"debian-binary", "2.0\n", "control.tar", "control", '0', 5000, "breaks off"},
	};
	struct buf b = BUF_INIT(0), tar = BUF_INIT(0);
	char text[64];
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_reset(&b);
		buf_reset(&tar);
		entry(&tar, cases[i].name, cases[i].type, "Package: x\n", cases[i].size);
		buf_add(&tar, (const char[1024]){0}, 1024);
		buf_adds(&b, "!<arch>\n");
		member(&b, cases[i].first, slice_str(cases[i].version));
		member(&b, cases[i].second, buf_slice(&tar));
		err = ERR_INIT;
		assert_true(feed(&b, 100, text, sizeof(text), &err) < 0);
		if (strstr(err.msg, cases[i].reason) == NULL)
			fail_msg("case %zu: %s", i, err.msg);
	}
	buf_fini(&b);
	buf_fini(&tar);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(packages), cmocka_unit_test(what_is_none)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
