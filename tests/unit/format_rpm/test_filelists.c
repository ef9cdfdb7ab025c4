/* filelists.xml and other.xml, and what is kept of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "formats/rpm/detail.h"
#include "formats/rpm/lists.h"

#define SUM "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"

static int note(void *arg, struct slice pkgid, struct slice inside)
{
	return buf_addf(arg, "[%.*s]%.*s", SLICE_ARG(pkgid), SLICE_ARG(inside));
}

static int parse(const char *text, const char *root, size_t piece, struct buf *out, struct err *err)
{
	size_t n = strlen(text);
	struct lists l;
	int rc = 0;

	*err = ERR_INIT;
	assert_int_equal(lists_init(&l, root, note, out), 0);
	for (size_t at = 0; rc == 0 && at < n; at += piece)
		rc = lists_feed(&l, text + at, MIN(piece, n - at), err);
	if (rc == 0)
		rc = lists_end(&l, err);
	lists_fini(&l);
	return rc;
}

static void entries_come_out_as_xml(void **state)
{
	static const char text[] =
		"<filelists xmlns='x'><package "
		"pkgid='7692C3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed' name='a' "
		"arch='b'><version epoch='0' ver='1' rel='2'/><file>/a&amp;b</file><file type='dir'>/c</file></package>"
		"<package pkgid='" SUM "' name='n'/></filelists>";

	for (size_t piece = 1; piece < 90; piece += 11) {
		struct buf out = BUF_INIT(0);
		struct err err;

		assert_int_equal(parse(text, "filelists", piece, &out, &err), 0);
		assert_string_equal(out.p, "[" SUM "]<file>/a&amp;b</file>\n<file type=\"dir\">/c</file>\n[" SUM "]");
		buf_fini(&out);
	}
}

static void what_is_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"<metadata/>", "its root is 'metadata' and not 'otherdata'"},
		{"<otherdata><package/></otherdata>", "has no pkgid"},
		{"<otherdata><package pkgid='../../../../../../../../../../../../etc/passwd'/></otherdata>",
			"has no pkgid"},
		{"<otherdata>", "no element found"},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf out = BUF_INIT(0);
		struct err err;

		assert_int_equal(parse(bad[i].text, "otherdata", 9, &out, &err), -ERR_PARSE);
		if (strstr(err.msg, bad[i].says) == NULL)
			fail_msg("%zu: %s", i, err.msg);
		buf_fini(&out);
	}
}

static void packed_and_opened(void **state)
{
	struct detail *d = detail_new();
	struct buf packed = BUF_INIT(0), long_list = BUF_INIT(0);
	struct slice files, changes;

	for (int i = 0; i < 10000; i++)
		buf_addf(&long_list, "<file>/usr/share/doc/%d</file>\n", i);
	assert_int_equal(detail_pack(d, buf_slice(&long_list), SLICE("<changelog/>"), &packed), 0);
	assert_true(packed.n < long_list.n / 4);
	assert_int_equal(detail_open(d, packed.p, packed.n, &files, &changes), 0);
	assert_true(slice_eq(files, buf_slice(&long_list)));
	assert_true(slice_eq(changes, SLICE("<changelog/>")));
	assert_int_equal(detail_open(d, packed.p, packed.n - 1, &files, &changes), -ERR_PARSE);
	assert_int_equal(detail_open(d, "none of ours", 12, &files, &changes), -ERR_PARSE);

	assert_int_equal(detail_pack(d, SLICE(""), SLICE(""), &packed), 0);
	assert_true(packed.n > 0);
	assert_int_equal(detail_open(d, packed.p, packed.n, &files, &changes), 0);
	assert_int_equal(files.n + changes.n, 0);
	detail_free(&d);
	buf_fini(&packed);
	buf_fini(&long_list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_come_out_as_xml),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(packed_and_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
