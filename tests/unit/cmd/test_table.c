/* Tables for people: columns that line up, numbers to the right, and nothing that a terminal would obey. */
#include "cmd/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void cell_shout(const struct client *c, const json_t *row, struct buf *out)
{
	buf_adds(out, json_string_value(json_object_get(row, "name")));
	buf_adds(out, "!");
}

static void cell_nothing(const struct client *c, const json_t *row, struct buf *out)
{
}

static const struct column columns[] = {
	{"NAME", "name", NULL},
	{"N", "n", NULL},
	{"EMPTY", NULL, cell_nothing},
	{"LOUD", NULL, cell_shout},
	{NULL, NULL, NULL},
};

static void test_lines_up(void **state)
{
	json_t *rows = json_pack("[{s:s, s:i}, {s:s, s:i}, {s:s, s:n}]", "name", "a", "n", 5, "name",
		"\303\244\303\266 x", "n", 12345, "name", "long name", "n");
	struct buf out = BUF_INIT(0);

	assert_non_null(rows);
	assert_int_equal(table_add(columns, rows, NULL, &out), 0);
	assert_string_equal(out.p, "NAME           N  EMPTY  LOUD\n"
				   "a              5  -      a!\n"
				   "\303\244\303\266 x       12345  -      \303\244\303\266 x!\n"
				   "long name      -  -      long name!\n");
	buf_fini(&out);
	json_decref(rows);
}

static void test_without_rows_there_are_titles(void **state)
{
	json_t *rows = json_array();
	struct buf out = BUF_INIT(0);

	assert_int_equal(table_add(columns, rows, NULL, &out), 0);
	assert_string_equal(out.p, "NAME  N  EMPTY  LOUD\n");
	buf_fini(&out);
	json_decref(rows);
}

static void test_control_characters_do_not_reach_the_terminal(void **state)
{
	json_t *object =
		json_pack("{s:s, s:{s:s}, s:n, s:b}", "name", "a\033[31m\nb\177", "more", "k", "v\t", "none", "yes", 1);
	struct buf out = BUF_INIT(0);

	json_t *rows = json_pack("[{s:s}]", "name", "\033c");

	assert_int_equal(table_add(columns, rows, NULL, &out), 0);
	assert_null(strchr(out.p, '\033'));
	buf_reset(&out);
	assert_int_equal(table_add_members(object, &out), 0);
	assert_string_equal(out.p, "name  a [31m b \n"
				   "more  {\"k\":\"v\\t\"}\n"
				   "none  -\n"
				   "yes   true\n");
	buf_fini(&out);
	json_decref(rows);
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_up),
		cmocka_unit_test(test_without_rows_there_are_titles),
		cmocka_unit_test(test_control_characters_do_not_reach_the_terminal),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
