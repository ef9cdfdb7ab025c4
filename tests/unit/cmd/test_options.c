/* The command line: what is taken, what is refused and how, and that help names what there is. */
#include "cmd/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct command commands[] = {
	{"mirror", "NAME URL", 2, 2, OPT_BIT(policy) | OPT_BIT(mirror) | OPT_BIT(data), "mirror it", "Mirrors.", NULL},
	{"serve", "", 0, 0, OPT_BIT(data), "serve it", "Serves.", NULL},
	{"hidden", "", 0, 0, 0, NULL, "Hides.", NULL},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* Splits at spaces; parses and matches. */
static int run(const char *line, struct options *o, const struct command **c, struct err *err)
{
	static char mem[256];
	char *argv[16] = {mem}, *save = NULL;
	int argc = 1, rc;

	strncpy(mem, line, sizeof(mem) - 1);
	for (char *p = strtok_r(mem, " ", &save); p != NULL; p = strtok_r(NULL, " ", &save))
		argv[argc++] = p;
	rc = options_parse(argc, argv, o, err);
	return rc < 0 ? rc : options_match(o, commands, COMMANDS, c, err);
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
		const struct command *c = NULL;
		struct options o = {0};
		struct err err = ERR_INIT;
		int rc = run(lines[i], &o, &c, &err);

		if (i == 3) { /* a flag takes nothing, also when it is glued on */
			assert_int_equal(rc, -ERR_INVAL);
			continue;
		}
		if (rc < 0)
			fail_msg("'%s': %s", lines[i], err.msg);
		assert_string_equal(c->name, "mirror");
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
		{"a b c d e f", -ERR_INVAL, "'f'"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct command *c = NULL;
		struct options o = {0};
		struct err err = ERR_INIT;

		assert_int_equal(run(rows[i].line, &o, &c, &err), rows[i].code);
		if (strstr(err.msg, rows[i].says) == NULL)
			fail_msg("'%s': '%s' is not in '%s'", rows[i].line, rows[i].says, err.msg);
	}
}

/* Help is for somebody who does not know yet what belongs there. */
static void test_help_needs_nothing_else(void **state)
{
	const struct command *c = NULL;
	struct options o = {0};

	assert_int_equal(run("mirror --help", &o, &c, NULL), 0);
	assert_true(o.help);
	assert_string_equal(c->name, "mirror");
}

static void test_help_texts(void **state)
{
	struct buf b = BUF_INIT(0);

	assert_int_equal(options_help_all(commands, COMMANDS, &b), 0);
	assert_non_null(strstr(b.p, "  mirror NAME URL           mirror it\n"));
	assert_null(strstr(b.p, "hidden"));
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
		cmocka_unit_test(test_help_needs_nothing_else),
		cmocka_unit_test(test_help_texts),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
