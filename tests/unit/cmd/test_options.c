/* The command line: what is taken, what is refused and how, and that help names what there is. */
#include "cmd/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct field fields[] = {
	{OPT_url, "url", FIELD_TEXT, .help = "where it is"},
	{OPT_label, "labels", FIELD_LABELS},
	{OPT_help, NULL},
};
static const struct command commands[] = {
	{"mirror", "NAME URL", 2, 2, OPT_BIT(policy) | OPT_BIT(mirror) | OPT_BIT(data), "mirror it", "Mirrors.", NULL},
	{"serve", "", 0, 0, OPT_BIT(data), "serve it", "Serves.", NULL, GROUP_SERVER},
	{"hidden", "", 0, 0, 0, NULL, "Hides.", NULL},
	{"thing make", "NAME…", 1, OPERANDS_MAX, OPT_BIT(data), "make it", "Makes.", NULL, GROUP_OBJECTS, NULL, fields},
	{"thing drop", "NAME", 1, 1, 0, "drop it", "Drops.", NULL, GROUP_OBJECTS},
};
static const struct noun nouns[] = {{"thing", "things", "A thing is a thing."}};
static const struct command_table table = {commands, sizeof(commands) / sizeof(commands[0]), nouns, 1};

/* Splits at spaces; parses and matches. */
static int run(const char *line, struct options *o, struct err *err)
{
	static char mem[4096], *argv[512];
	char *save = NULL;
	int argc = 1, rc;

	strncpy(mem, line, sizeof(mem) - 1);
	for (char *p = strtok_r(mem, " ", &save); p != NULL; p = strtok_r(NULL, " ", &save))
		argv[argc++] = p;
	rc = options_parse(argc, argv, o, err);
	return rc < 0 ? rc : options_match(o, &table, err);
}

static void test_accepted(void **state)
{
	static const char *const lines[] = {
		"mirror n http://h/ --policy streamed --mirror --data /d",
		"--data /d mirror --mirror n --policy=streamed http://h/",
		"-d /d -m -p streamed mirror n http://h/",
		"mirror -d/d -mirrored",
		"-pstreamed --mirror --data=/d -- mirror n http://h/",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct options o = {0};
		struct err err = ERR_INIT;
		int rc = run(lines[i], &o, &err);

		if (i == 3) { /* a flag takes nothing, also when it is glued on */
			assert_int_equal(rc, -ERR_INVAL);
			continue;
		}
		if (rc < 0)
			fail_msg("'%s': %s", lines[i], err.msg);
		assert_string_equal(o.command->name, "mirror");
		assert_string_equal(o.data, "/d");
		assert_string_equal(o.policy, "streamed");
		assert_true(o.mirror);
		assert_string_equal(o.operands[1], "n");
		assert_string_equal(o.operands[2], "http://h/");
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *line;
		int code;
		const char *says;
	} rows[] = {
		{"", -ERR_NOTFOUND, "no command"},
		{"nonsense", -ERR_NOTFOUND, "'nonsense'"},
		{"mirror", -ERR_INVAL, "NAME URL"},
		{"mirror n", -ERR_INVAL, "NAME URL"},
		{"mirror n u v", -ERR_INVAL, "'v'"},
		{"serve --policy x", -ERR_INVAL, "--policy"},
		{"serve --nope", -ERR_INVAL, "--nope"},
		{"serve -x", -ERR_INVAL, "-x"},
		{"serve --data", -ERR_INVAL, "DIR"},
		{"mirror a b --mirror=yes", -ERR_INVAL, "no value"},
		{"serve --data a -d b", -ERR_INVAL, "twice"},
		{"thing", -ERR_INVAL, "make, drop"},
		{"thing break x", -ERR_NOTFOUND, "there is no 'thing break'; there is make, drop"},
		{"thing make", -ERR_INVAL, "NAME…"},
		{"thing drop x y", -ERR_INVAL, "'y'"},
		{"thing drop x --url u", -ERR_INVAL, "'thing drop' has no option --url"},
		{"thing make x --url u --url v", -ERR_INVAL, "twice"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct options o = {0};
		struct err err = ERR_INIT;

		assert_int_equal(run(rows[i].line, &o, &err), rows[i].code);
		if (strstr(err.msg, rows[i].says) == NULL)
			fail_msg("'%s': '%s' is not in '%s'", rows[i].line, rows[i].says, err.msg);
	}
}

static void test_nouns_and_verbs(void **state)
{
	struct options o = {0};

	assert_int_equal(run("thing --label a=1 make x --label=b=2 y --url u", &o, NULL), 0);
	assert_string_equal(o.command->name, "thing make");
	assert_int_equal(o.operand_count, 3);
	assert_string_equal(o.operands[0], "thing make");
	assert_string_equal(o.operands[1], "x");
	assert_string_equal(o.operands[2], "y");
	assert_true(options_given(&o, OPT_label) && !options_given(&o, OPT_data));
	assert_int_equal(options_list(&o, OPT_label)->n, 2);
	assert_string_equal(options_list(&o, OPT_label)->v[1], "b=2");
	assert_string_equal(options_text(&o, OPT_url), "u");
}

/* What is too much is refused, not written behind the end. */
static void test_limits(void **state)
{
	static char *argv[OPERANDS_MAX + 3], operand[] = "x", option[] = "--label=x";
	struct err err = ERR_INIT;
	struct options o = {0};

	for (size_t i = 0; i < sizeof(argv) / sizeof(argv[0]); i++)
		argv[i] = operand;
	assert_int_equal(options_parse(OPERANDS_MAX + 2, argv, &o, &err), 0);
	assert_int_equal(options_parse(OPERANDS_MAX + 3, argv, &o, &err), -ERR_INVAL);
	for (size_t i = 0; i <= OPTION_VALUES_MAX; i++)
		argv[i + 1] = option;
	assert_int_equal(options_parse(OPTION_VALUES_MAX + 1, argv, &o, &err), 0);
	assert_int_equal(options_parse(OPTION_VALUES_MAX + 2, argv, &o, &err), -ERR_INVAL);
	assert_non_null(strstr(err.msg, "more than"));
}

/* Help is for somebody who does not know yet what belongs there. */
static void test_help_needs_nothing_else(void **state)
{
	struct options o = {0};

	assert_int_equal(run("mirror --help", &o, NULL), 0);
	assert_true(o.help);
	assert_string_equal(o.command->name, "mirror");
}

static void test_help_texts(void **state)
{
	struct buf b = BUF_INIT(0);

	assert_int_equal(options_help_all(&table, &b), 0);
	assert_non_null(strstr(b.p, "  mirror NAME URL           mirror it\n"));
	assert_non_null(strstr(b.p, "\nThe server:\n  serve                     serve it\n"));
	assert_non_null(strstr(b.p, "  thing                     things: make, drop\n"));
	assert_null(strstr(b.p, "hidden"));
	buf_reset(&b);
	assert_int_equal(options_help_noun(&table, &nouns[0], &b), 0);
	assert_non_null(strstr(b.p, "  thing drop NAME           drop it\n"));
	assert_null(strstr(b.p, "mirror"));
	buf_reset(&b);
	assert_int_equal(options_help(&commands[3], &b), 0);
	assert_non_null(strstr(b.p, "Options:\n      --url URL             where it is\n"));
	assert_non_null(strstr(b.p, "\n      --label KEY=VALUE     "));
	buf_reset(&b);
	assert_int_equal(options_help(&commands[0], &b), 0);
	assert_non_null(strstr(b.p, "Usage: sluice mirror [OPTIONS] NAME URL\n"));
	assert_non_null(strstr(b.p, "\n  -p, --policy POLICY       on_demand"));
	assert_non_null(strstr(b.p, "\n  -h, --help "));
	assert_null(strstr(b.p, "--listen"));
	for (struct slice rest = buf_slice(&b), line; rest.p != NULL;) {
		line = slice_cut(&rest, '\n');
		assert_true(line.n <= 80);
	}
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_nouns_and_verbs),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_help_needs_nothing_else),
		cmocka_unit_test(test_help_texts),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
