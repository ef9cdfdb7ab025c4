/* sluice: one program, a command for each thing that it does (command_table.c). */
#include "cmd/commands.h"

#include <stdio.h>

static int print_or_fail(struct buf *out)
{
	struct err err = ERR_INIT;
	int rc = commands_print(out, &err);

	buf_fini(out);
	return rc < 0 ? commands_fail("", rc, &err) : EXIT_OK;
}

int cmd_version(const struct options *o)
{
	struct buf out = BUF_INIT(0);

	buf_adds(&out, "sluice " SLUICE_VERSION "\n");
	return print_or_fail(&out);
}

static int usage(const struct err *err)
{
	fprintf(stderr, "sluice: %s\nTry `sluice --help`.\n", err->msg);
	return EXIT_USAGE;
}

/* About a command, about a noun that commands begin with, or about all. */
static int explain(struct options *o)
{
	const struct noun *noun =
		o->operand_count == 1 ? options_noun(&command_table, slice_str(o->operands[0])) : NULL;
	struct buf out = BUF_INIT(0);
	struct err err = ERR_INIT;

	o->help = true;
	if (o->operand_count == 0)
		options_help_all(&command_table, &out);
	else if (noun != NULL)
		options_help_noun(&command_table, noun, &out);
	else if (options_match(o, &command_table, &err) < 0)
		return usage(&err);
	else
		options_help(o->command, &out);
	return print_or_fail(&out);
}

int cmd_help(const struct options *o)
{
	struct options wanted = {.operand_count = o->operand_count - 1};

	for (int i = 0; i < wanted.operand_count; i++)
		wanted.operands[i] = o->operands[i + 1];
	return explain(&wanted);
}

int main(int argc, char **argv)
{
	struct buf out = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct options o;

	if (options_parse(argc, argv, &o, &err) < 0)
		return usage(&err);
	if (o.version)
		return cmd_version(&o);
	if (o.help)
		return explain(&o);
	if (o.operand_count == 0) {
		options_help_all(&command_table, &out);
		fprintf(stderr, "%s", out.p != NULL ? out.p : "");
		buf_fini(&out);
		return EXIT_USAGE;
	}
	if (options_match(&o, &command_table, &err) < 0)
		return usage(&err);
	return o.command->run(&o);
}
