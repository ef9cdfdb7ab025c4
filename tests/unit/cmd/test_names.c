/* Names and base paths: what is refused before the server is asked. */
#include "cmd/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* `said` NULL: it is fine. */
struct row {
	const char *text, *said;
};

static void check_rows(int (*check)(struct slice, struct err *), const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct err err = ERR_INIT;
		int rc = check(slice_str(rows[i].text), &err);

		assert_int_equal(rc, rows[i].said == NULL ? 0 : -ERR_INVAL);
		if (rows[i].said != NULL && strstr(err.msg, rows[i].said) == NULL)
			fail_msg("'%s': %s", rows[i].text, err.msg);
		assert_int_equal(check(slice_str(rows[i].text), NULL), rc);
	}
}

static void test_names(void **state)
{
	static char longest[256], longer[257];
	const struct row rows[] = {
		{"docs", NULL},
		{"sp ace", NULL},
		{"b\xc3\xbc/cher?", NULL},
		{longest, NULL},
		{longer, "longer than 255 characters"},
		{"", "the name is empty"},
		{" docs", "begins or ends with a space"},
		{"docs ", "begins or ends with a space"},
		{"do\ncs", "control character"},
		{"\xff", "not UTF-8"},
	};

	memset(longest, 'n', sizeof(longest) - 1);
	memset(longer, 'n', sizeof(longer) - 1);
	check_rows(name_check, rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_base_paths(void **state)
{
	static const struct row rows[] = {
		{"docs", NULL},
		{"site/docs", NULL},
		{"b\xc3\xbc/cher", NULL},
		{"", "the base path is empty"},
		{"sp ace", "the base path 'sp ace' has a ' '"},
		{"a?b", "has a '?'"},
		{"a#b", "has a '#'"},
		{"/docs", "the base path '/docs': "},
		{"docs/", "the base path 'docs/': "},
		{"a//b", "the base path 'a//b': "},
		{"a/../b", "the base path 'a/../b': "},
		{"a\tb", "control character"},
		{"\xc3", "not UTF-8"},
	};

	check_rows(base_path_check, rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_overlaps(void **state)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} rows[] = {
		{"site", "site", true},
		{"site", "site/docs", true},
		{"site/docs", "site/docs/old", true},
		{"site", "sites", false},
		{"site/docs", "site/doc", false},
		{"site/docs", "docs", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(base_paths_overlap(slice_str(rows[i].a), slice_str(rows[i].b)), rows[i].overlap);
		assert_int_equal(base_paths_overlap(slice_str(rows[i].b), slice_str(rows[i].a)), rows[i].overlap);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_base_paths),
		cmocka_unit_test(test_overlaps),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
