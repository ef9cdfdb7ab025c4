/* primary.xml: packages as they come out, cut into pieces of any size; and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/check.h"
#include "formats/rpm/rpm_format.h"

#define SUM "7692C3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
#define MIN_PACKAGE(name, more)                                                                            \
	"<package type='rpm'><name>" name "</name><arch>noarch</arch><version epoch='0' ver='1' rel='2'/>" \
	"<checksum type='sha256' pkgid='YES'>" SUM "</checksum><location href='p.rpm'/>" more "</package>"
#define WHOLE(n, packages)                                         \
	"<metadata xmlns='http://linux.duke.edu/metadata/common' " \
	"xmlns:rpm='http://linux.duke.edu/metadata/rpm' packages='" n "'>" packages "</metadata>"

static int note(void *arg, const struct rpm_package *p)
{
	struct buf *out = arg, b = BUF_INIT(0);

	assert_int_equal(rpm_package_json(p, &b), 0);
	buf_adds(out, b.p);
	assert_int_equal(rpm_package_key(p, p->href.p, &b), 0);
	buf_adds(out, b.p);
	buf_fini(&b);
	return out->failed;
}

static int parse(const char *text, size_t piece, struct buf *out, struct err *err)
{
	struct primary *m = malloc(sizeof(*m));
	size_t n = strlen(text);
	int rc = 0;

	*err = ERR_INIT;
	assert_int_equal(primary_init(m, note, out), 0);
	for (size_t at = 0; rc == 0 && at < n; at += piece)
		rc = primary_feed(m, text + at, MIN(piece, n - at), err);
	if (rc == 0)
		rc = primary_end(m, err);
	primary_fini(m);
	free(m);
	return rc;
}

/* ---- known ones ---- */

static int asked;
static char taken[64];

static int know_bear(void *arg, const struct rpm_package *p)
{
	asked++;
	assert_int_equal(slice_chr(p->pkgid, 'C'), -1); /* lower case by now */
	return slice_eq(p->name, SLICE("bear"));
}

static int note_name(void *arg, const struct rpm_package *p)
{
	assert_int_equal(snprintf(taken, sizeof(taken), "%.*s", SLICE_ARG(p->name)), p->name.n);
	assert_string_equal(p->relations[RPM_PROVIDES].p, "[\"a\",null,null,null,null,false]");
	return 0;
}

#define FORMAT "<format><rpm:provides><rpm:entry name='a'/></rpm:provides></format>"

/* Of the first nothing is wanted; what the second says is not mixed with it. One that has its facts behind <format> is not asked for. */
static void known_ones_are_read_over(void **state)
{
	static const char text[] = WHOLE("3",
		MIN_PACKAGE("bear", "<format><rpm:provides><rpm:entry "
				    "name='b'/></rpm:provides><file>/b</file></format><summary>b</summary>")
			MIN_PACKAGE("lion", FORMAT) "<package type='rpm'>" FORMAT "<name>bear</name></package>");
	struct primary *m = malloc(sizeof(*m));
	struct err err = ERR_INIT;

	asked = 0;
	assert_int_equal(primary_init(m, note_name, NULL), 0);
	m->known = know_bear;
	assert_int_equal(primary_feed(m, text, strlen(text), &err), -ERR_PARSE); /* the third lacks its version */
	assert_int_equal(asked, 2);
	assert_string_equal(taken, "lion");
	assert_int_equal(m->packages, 2);
	primary_fini(m);
	free(m);
}

static const char bear[] = WHOLE("1",
	"<package type='rpm'><name>bear</name><arch>noarch</arch><version epoch='1' ver='4.1' rel='1.fc38'/>"
	"<checksum type='sha256' pkgid='YES'>" SUM "</checksum><summary>A &lt;bear&gt;</summary><description>It "
	"says \"grr\".\nTwice.</description><packager></packager><url>http://zoo/</url><time file='11' "
	"build='12'/><size package='13' installed='14' archive='15'/><location xml:base='http://h/' "
	"href='b/bear.rpm'/><format><rpm:license>GPL</rpm:license><rpm:vendor/><rpm:group>Zoo</rpm:group>"
	"<rpm:buildhost>dull</rpm:buildhost><rpm:sourcerpm>bear.src.rpm</rpm:sourcerpm><rpm:header-range "
	"start='280' end='1697'/><rpm:provides><rpm:entry name='bear' flags='EQ' epoch='0' ver='4.1' rel='1'/>"
	"<rpm:entry name='grr'/></rpm:provides><rpm:requires><rpm:entry name='/bin/sh' pre='1'/></rpm:requires>"
	"<file>/usr/bin/bear</file><file type='dir'>/etc/bear</file><file "
	"type='ghost'>/etc/\xc3\xa4</file></format></package>");

static void a_package(void **state)
{
	static const char want[] =
		"{\"name\":\"bear\",\"epoch\":\"1\",\"version\":\"4.1\",\"release\":\"1.fc38\",\"arch\":\"noarch\","
		"\"pkgId\":"
		"\"7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed\",\"checksum_type\":\"sha256\","
		"\"summary\":"
		"\"A <bear>\",\"description\":\"It says "
		"\\\"grr\\\".\\nTwice.\",\"url\":\"http://zoo/\",\"requires\":[[\"/bin/"
		"sh\",null,null,null,null,true]],\"provides\":[[\"bear\",\"EQ\",\"0\",\"4.1\",\"1\",false],[\"grr\","
		"null,null,"
		"null,null,false]],\"conflicts\":[],\"obsoletes\":[],\"suggests\":[],\"enhances\":[],\"recommends\":[],"
		"\"supplements\":[],\"files\":[[null,\"/usr/bin/\",\"bear\"],[\"dir\",\"/etc/"
		"\",\"bear\"],[\"ghost\",\"/etc/"
		"\",\"\xc3\xa4\"]],\"location_base\":\"http://h/\",\"location_href\":\"b/"
		"bear.rpm\",\"rpm_buildhost\":\"dull\","
		"\"rpm_group\":\"Zoo\",\"rpm_license\":\"GPL\",\"rpm_packager\":\"\",\"rpm_sourcerpm\":\"bear.src."
		"rpm\",\"rpm_"
		"vendor\":\"\",\"rpm_header_start\":280,\"rpm_header_end\":1697,\"size_archive\":15,\"size_installed\":"
		"14,"
		"\"size_package\":13,\"time_build\":12,\"time_file\":11,\"is_modular\":false}"
		"bear-1:4.1-1.fc38.noarch\nsha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed\nb/"
		"bear.rpm";

	for (size_t piece = 1; piece < 200; piece += 13) {
		struct buf out = BUF_INIT(0);
		struct err err;

		assert_int_equal(parse(bear, piece, &out, &err), 0);
		assert_string_equal(out.p, want);
		buf_fini(&out);
	}
}

/* What one package says does not stick to the next. */
static void packages_do_not_mix(void **state)
{
	struct buf out = BUF_INIT(0);
	struct err err;

	assert_int_equal(
		parse(WHOLE("2",
			      MIN_PACKAGE("a",
				      "<summary>s</summary><format><rpm:requires><rpm:entry name='x'/></rpm:requires>"
				      "<file>/f</file></format>") MIN_PACKAGE("b", "")),
			50, &out, &err),
		0);
	assert_null(strstr(strstr(out.p, "\"name\":\"b\""), "\"x\""));
	assert_non_null(strstr(strstr(out.p, "\"name\":\"b\""), "\"files\":[],"));
	assert_non_null(strstr(strstr(out.p, "\"name\":\"b\""), "\"summary\":\"\""));
	buf_fini(&out);
}

static const struct {
	const char *text, *says;
} bad[] = {
	{"<repomd/>", "its root is 'repomd'"},
	{WHOLE("1", "<package><name>a b</name></package>"), "has a name that is none"},
	{WHOLE("1", "<package><name>a</name><arch>x</arch></package>"), "the package a lacks its version"},
	{WHOLE("1", "<package><name>a</name><arch>x</arch><version ver='1' rel='1'/><location href='x'/></package>"),
		"has no checksum"},
	{WHOLE("1", "<package><name>a</name><arch>x</arch><version ver='1' rel='1'/><checksum type='sha256'>" SUM
		    "</checksum></package>"),
		"has no location"},
	{"<metadata><package>", "no element found"},
};

static void what_is_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf out = BUF_INIT(0);
		struct err err;

		assert_int_equal(parse(bad[i].text, 10, &out, &err), -ERR_PARSE);
		if (strstr(err.msg, bad[i].says) == NULL)
			fail_msg("%zu: %s", i, err.msg);
		buf_fini(&out);
	}
}

static void texts_as_json(void **state)
{
	struct buf b = BUF_INIT(0);
	json_t *j;

	rpm_json_text(&b, SLICE("a\"b\\c\n\t\001\x7f\xc3\xa4"));
	assert_string_equal(b.p, "\"a\\\"b\\\\c\\n\\t\\u0001\x7f\xc3\xa4\"");
	j = json_loads(b.p, JSON_DECODE_ANY, NULL);
	assert_string_equal(json_string_value(j), "a\"b\\c\n\t\001\x7f\xc3\xa4");
	json_decref(j);
	buf_reset(&b);
	rpm_json_text(&b, SLICE_NULL);
	assert_string_equal(b.p, "null");
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_ones_are_read_over),
		cmocka_unit_test(a_package),
		cmocka_unit_test(packages_do_not_mix),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(texts_as_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
