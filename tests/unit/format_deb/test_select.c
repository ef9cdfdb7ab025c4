#include "formats/deb/select.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void words(void **state)
{
	struct words w;

	assert_int_equal(words_split(&w, " a\tb,c  "), 0);
	assert_int_equal(w.count, 3);
	assert_int_equal(words_find(&w, SLICE("b")), 1);
	assert_int_equal(words_find(&w, SLICE("bb")), -1);
	assert_int_equal(words_split(&w, NULL), 0);
	assert_int_equal(w.count, 0);
}

static void files_of_a_release(void **state)
{
	static const char *const components[] = {"main", "updates/contrib", "non-free", NULL},
				 *const architectures[] = {"all", "amd64", "arm64", "armhf", NULL};
	static const struct release r = {.components = components, .architectures = architectures};
	static const struct {
		const char *path;
		bool all, some,
			extra; /* selected by: nothing chosen; main contrib, amd64; the same with sources, udebs, installer */
	} rows[] = {
		{"main/binary-amd64/Packages.xz", true, true, true},
		{"main/binary-all/Packages.xz", true, true, true},
		{"main/binary-arm64/Packages.xz", true, false, false},
		{"contrib/binary-amd64/Packages", true, true, true},
		{"updates/contrib/binary-amd64/Packages", true, true, true},
		{"non-free/binary-amd64/Packages", true, false, false},
		{"main/Contents-amd64.gz", true, true, true},
		{"main/Contents-arm64.gz", true, false, false},
		{"Contents-amd64.gz", true, true, true},
		{"Contents-armhf", true, false, false},
		{"main/i18n/Translation-en.bz2", true, true, true},
		{"main/dep11/Components-amd64.yml.xz", true, true, true},
		{"main/dep11/Components-arm64.yml.xz", true, false, false},
		{"main/dep11/icons-64x64.tar.gz", true, true, true},
		{"main/cnf/Commands-amd64.xz", true, true, true},
		{"main/source/Sources.xz", false, false, true},
		{"main/Contents-source.gz", false, false, true},
		{"main/debian-installer/binary-amd64/Packages.xz", false, false, true},
		{"main/debian-installer/binary-arm64/Packages.xz", false, false, false},
		{"main/Contents-udeb-amd64.gz", false, false, true},
		{"main/installer-amd64/current/images/SHA256SUMS", false, false, true},
		{"main/installer-arm64/current/images/SHA256SUMS", false, false, false},
	};
	struct selection all = {.sources = false}, some = {.sources = false}, extra;

	words_split(&some.components, "main contrib");
	words_split(&some.architectures, "amd64");
	extra = some;
	extra.sources = extra.udebs = extra.installer = true;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(select_file(&all, &r, rows[i].path), rows[i].all);
		assert_int_equal(select_file(&some, &r, rows[i].path), rows[i].some);
		assert_int_equal(select_file(&extra, &r, rows[i].path), rows[i].extra);
	}
}

static void kinds(void **state)
{
	assert_int_equal(select_kind("main/binary-amd64/Packages"), DEB_PACKAGES);
	assert_int_equal(select_kind("Packages.gz"), DEB_PACKAGES);
	assert_int_equal(select_kind("main/binary-amd64/Packages.diff/Index"), DEB_OTHER);
	assert_int_equal(select_kind("main/source/Sources.xz"), DEB_SOURCES);
	assert_int_equal(select_kind("main/source/Release"), DEB_OTHER);
	assert_int_equal(select_kind("main/installer-amd64/current/images/MD5SUMS"), DEB_INSTALLER);
	assert_int_equal(select_kind("main/i18n/Translation-en"), DEB_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(files_of_a_release),
		cmocka_unit_test(kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
