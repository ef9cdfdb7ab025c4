/* .treeinfo: its files and repositories, in both dialects, and what is wrong with some. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/check.h"
#include "formats/rpm/treeinfo.h"

static const char modern[] =
	"[header]\ntype = productmd.treeinfo\nversion = 1.2\n\n[release]\nname = Zoo\nshort=Z\nversion: 9\n"
	"is_layered = false\n[tree]\narch = x86_64\nbuild_timestamp = 1700000000.5\n"
	"[checksums]\nimages/boot.iso = sha256:aa\nrepodata/repomd.xml = sha256:bb\n"
	"App/repodata/repomd.xml = sha256:cc\n"
	"[images-x86_64]\nkernel = images/vmlinuz\nboot.iso = ./images/boot.iso\n"
	"[stage2]\nmainimage = images/install.img\n"
	"[variant-Base]\nid = Base\nrepository = .\npackages = Packages\n"
	"[variant-App]\nid = A\nname = Apps\nrepository = App\n"
	"[addon-HA]\nrepository = ./addons/HA\n"
	"[variant-Else]\nrepository = ../../Else/os\n";

static int list_file(void *arg, const char *path, const char *alg, const char *hex)
{
	return buf_addf(arg, "%s %s:%s\n", path, alg != NULL ? alg : "", hex != NULL ? hex : "");
}

static int parse(struct treeinfo *t, const char *text, struct err *err)
{
	*err = ERR_INIT;
	return treeinfo_parse(t, slice_str(text), err);
}

static void files_and_repositories(void **state)
{
	struct buf b = BUF_INIT(0);
	const char *dirs[4];
	struct treeinfo t;
	struct err err;

	assert_int_equal(parse(&t, modern, &err), 0);
	assert_int_equal(treeinfo_files(&t, list_file, &b), 0);
	assert_string_equal(b.p, "images/boot.iso sha256:aa\nimages/vmlinuz :\nimages/install.img :\n");
	assert_int_equal(treeinfo_repositories(&t, dirs, 4), 2);
	assert_string_equal(dirs[0], "App");
	assert_string_equal(dirs[1], "addons/HA");
	treeinfo_fini(&t);
	buf_fini(&b);
}

static void as_json(void **state)
{
	const char *name, *id;
	struct treeinfo t;
	json_int_t built;
	struct err err;
	json_t *all;

	assert_int_equal(parse(&t, modern, &err), 0);
	all = treeinfo_json(&t);
	assert_int_equal(json_unpack(all, "{s:s, s:I}", "release_name", &name, "build_timestamp", &built), 0);
	assert_string_equal(name, "Zoo");
	assert_int_equal(built, 1700000000);
	assert_string_equal(json_string_value(json_object_get(all, "release_version")), "9");
	assert_int_equal(json_array_size(json_object_get(all, "variants")), 3);
	assert_int_equal(json_unpack(json_array_get(json_object_get(all, "variants"), 1), "{s:s, s:s}", "variant_id",
				 &id, "name", &name),
		0);
	assert_string_equal(id, "A");
	assert_string_equal(name, "Apps");
	assert_int_equal(json_array_size(json_object_get(all, "addons")), 1);
	assert_int_equal(json_array_size(json_object_get(all, "images")), 2);
	json_decref(all);
	treeinfo_fini(&t);
	/* As EL 6 has it. */
	assert_int_equal(parse(&t, "[general]\nfamily = Old\nversion = 6\narch = i386\ntimestamp = 12.3\n", &err), 0);
	all = treeinfo_json(&t);
	assert_string_equal(json_string_value(json_object_get(all, "release_name")), "Old");
	assert_string_equal(json_string_value(json_object_get(all, "arch")), "i386");
	assert_int_equal(json_integer_value(json_object_get(all, "build_timestamp")), 12);
	assert_true(json_is_null(json_object_get(all, "mainimage")));
	json_decref(all);
	treeinfo_fini(&t);
}

static void without_repomd(void **state)
{
	struct buf b = BUF_INIT(0);

	assert_int_equal(
		treeinfo_without_repomd(
			SLICE("[checksums]\na = sha256:1\nrepodata/repomd.xml = sha256:2\nb/repodata/repomd.xml = "
			      "sha256:3\n[x]\nrepodata/repomd.xml = 4"),
			&b),
		0);
	assert_string_equal(
		b.p, "[checksums]\na = sha256:1\nb/repodata/repomd.xml = sha256:3\n[x]\nrepodata/repomd.xml = 4");
	buf_fini(&b);
}

static const struct {
	const char *text, *why;
} bad_ones[] = {
	{"", "it is no treeinfo"},
	{"[x]\na = b\n", "it is no treeinfo"},
	{"[general]\nnonsense\n", "line 2 "},
	{"[general\n", "line 1 "},
	{"[]\n", "line 1 "},
	{"[general]\n[checksums]\n../../etc/shadow = sha256:00\n", "line 3: '../../etc/shadow'"},
	{"[general]\n[images-x]\nkernel = /etc/shadow\n", "no path inside of the tree"},
	{"[general]\n[images-x]\nkernel = a/../../b\n", "no path inside of the tree"},
	{"[general]\n[stage2]\nmainimage = a//b\n", "no path inside of the tree"},
	{"[general]\n[variant-x]\nrepository = /srv\n", "the repository '/srv'"},
	{"[general]\n[variant-x]\nrepository = a/../../b\n", "the repository"},
	{"[general]\na = \xff\n", "UTF-8"},
};

static void bad(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_ones); i++) {
		struct treeinfo t;
		struct err err;

		assert_int_equal(parse(&t, bad_ones[i].text, &err), -ERR_PARSE);
		if (strstr(err.msg, bad_ones[i].why) == NULL)
			fail_msg("%zu: %s", i, err.msg);
		treeinfo_fini(&t);
	}
}

static void bounds(void **state)
{
	struct buf b = BUF_INIT(0);
	struct treeinfo t;
	struct err err = ERR_INIT;

	buf_adds(&b, "[general]\n");
	for (int i = 0; i <= TREEINFO_ENTRIES_MAX; i++)
		buf_addf(&b, "a%d = b\n", i);
	assert_int_equal(parse(&t, b.p, &err), -ERR_LIMIT);
	treeinfo_fini(&t);
	while (b.n <= TREEINFO_BYTES_MAX)
		buf_adds(&b, "# and so on and on and on and on\n");
	assert_int_equal(parse(&t, b.p, &err), -ERR_LIMIT);
	treeinfo_fini(&t);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_and_repositories),
		cmocka_unit_test(as_json),
		cmocka_unit_test(without_repomd),
		cmocka_unit_test(bad),
		cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
