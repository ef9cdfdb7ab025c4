/* repomd.xml: its rows, and what is wrong with some. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "formats/rpm/repomd.h"

#define SUM "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
#define ROW(type, href) \
	"<data type='" type "'><checksum type='sha256'>" SUM "</checksum><location href='" href "'/></data>"
#define WHOLE(rows) "<repomd xmlns='http://linux.duke.edu/metadata/repo'>" rows "</repomd>"

static int parse(struct repomd *r, const char *text, struct err *err)
{
	int rc;

	*err = ERR_INIT;
	assert_int_equal(repomd_init(r), 0);
	rc = 0;
	for (const char *p = text; rc == 0 && *p != '\0'; p++)
		rc = repomd_feed(r, p, 1, err);
	return rc == 0 ? repomd_end(r, err) : rc;
}

static void rows(void **state)
{
	static const char text[] =
		WHOLE("<revision>17</revision><tags><content>x</content></tags>"
		      "<data type='primary'><checksum type='sha'>" SUM "</checksum>"
		      "<open-checksum type='sha256'>" SUM "</open-checksum>"
		      "<location xml:base='http://h/' href='repodata/p.xml.gz'/><timestamp>1700000000.5</timestamp>"
		      "<size> 12 </size><open-size>34</open-size></data>" ROW("other", "repodata/o.xml"));
	struct repomd *r = malloc(sizeof(*r));
	struct err err;

	assert_int_equal(parse(r, text, &err), 0);
	assert_string_equal(r->revision, "17");
	assert_int_equal(r->count, 2);
	assert_string_equal(r->rows[0].type, "primary");
	assert_string_equal(r->rows[0].checksum_type, "sha1");
	assert_string_equal(r->rows[0].checksum, SUM);
	assert_string_equal(r->rows[0].open_checksum_type, "sha256");
	assert_string_equal(r->rows[0].base, "http://h/");
	assert_string_equal(r->rows[0].href, "repodata/p.xml.gz");
	assert_int_equal(r->rows[0].timestamp, 1700000000);
	assert_int_equal(r->rows[0].size, 12);
	assert_int_equal(r->rows[0].open_size, 34);
	assert_int_equal(r->rows[1].size, -1);
	assert_null(r->rows[1].base);
	assert_ptr_equal(repomd_find(r, "other"), &r->rows[1]);
	assert_null(repomd_find(r, "filelists"));
	repomd_fini(r);
	free(r);
}

static const struct {
	const char *text, *says;
} bad[] = {
	{"<html/>", "its root is 'html'"},
	{WHOLE(""), "lists no primary"},
	{WHOLE(ROW("other", "o")), "lists no primary"},
	{WHOLE("<data type='primary'><location href='p'/></data>"), "'primary' has no checksum"},
	{WHOLE("<data type='primary'><checksum type='sha256'>xyz</checksum><location href='p'/></data>"),
		"has no checksum"},
	{WHOLE("<data type='primary'><checksum type='sha256'>" SUM "</checksum></data>"), "'primary' has no location"},
	{WHOLE("<data><checksum type='sha256'>" SUM "</checksum><location href='p'/></data>"), "has no type"},
	{WHOLE("<data type='primary'><size>many</size></data>"), "size is no number"},
	{WHOLE("<data type='primary'><size>-1</size></data>"), "size is no number"},
	{WHOLE(ROW("primary", "p") ROW("other", "p")), "have the same location"},
	{"<repomd>" ROW("primary", "p"), "no element found"},
};

static void what_is_refused(void **state)
{
	struct repomd *r = malloc(sizeof(*r));

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err;

		assert_int_equal(parse(r, bad[i].text, &err), -ERR_PARSE);
		if (strstr(err.msg, bad[i].says) == NULL)
			fail_msg("%zu: %s", i, err.msg);
		repomd_fini(r);
	}
	free(r);
}

static void too_many_rows(void **state)
{
	struct repomd *r = malloc(sizeof(*r));
	struct buf text = BUF_INIT(0);
	struct err err;

	buf_adds(&text, "<repomd>");
	for (int i = 0; i <= REPOMD_ROWS_MAX; i++)
		buf_addf(&text, "<data type='t%d'/>", i);
	assert_int_equal(parse(r, text.p, &err), -ERR_LIMIT);
	assert_non_null(strstr(err.msg, "lists more than"));
	repomd_fini(r);
	buf_fini(&text);
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(too_many_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
