/* Parsing the command line by the tables, and the help that is made from them. */
#include "cmd/options.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

enum option_kind { OPTION_STR, OPTION_FLAG };

static const struct option_row {
	const char *name;
	char letter;
	enum option_kind kind;
	const char *arg;
	const char *help;
	size_t at;
} option_rows[OPT_COUNT] = {
#define X(field, name, letter, kind, arg, help) \
	{name, letter, OPTION_##kind, arg, help, offsetof(struct options, field)},
	OPTIONS(X)
#undef X
};

#define HELP_COLUMN 28
#define HELP_WIDTH 80

static int option_by_name(struct slice name)
{
	for (int i = 0; i < OPT_COUNT; i++) {
		if (slice_eq(name, slice_str(option_rows[i].name)))
			return i;
	}
	return -1;
}

static int option_by_letter(char c)
{
	for (int i = 0; i < OPT_COUNT; i++) {
		if (c != '\0' && option_rows[i].letter == c)
			return i;
	}
	return -1;
}

static int option_take(struct options *o, int id, const char *value, struct err *err)
{
	void *at = (char *)o + option_rows[id].at;

	if (o->given & (1u << id))
		return err_set(err, -ERR_INVAL, "--%s is given twice", option_rows[id].name);
	o->given |= 1u << id;
	if (option_rows[id].kind == OPTION_FLAG)
		*(bool *)at = true;
	else
		*(const char **)at = value;
	return 0;
}

/* One argument that begins with '-', and perhaps the one behind it. */
static int option_parse(int argc, char *const *argv, int *i, struct options *o, struct err *err)
{
	const char *text = argv[*i];
	bool is_long = text[1] == '-';
	struct slice name = slice_str(text + 2), rest;
	const char *value = NULL;
	int id;

	if (is_long) {
		rest = name;
		name = slice_cut(&rest, '=');
		value = rest.p;
		id = option_by_name(name);
	} else {
		id = option_by_letter(text[1]);
		if (text[2] != '\0')
			value = text + 2;
	}
	if (id < 0)
		return err_set(err, -ERR_INVAL, "there is no option '%s'", text);
	if (option_rows[id].kind == OPTION_FLAG) {
		if (value != NULL)
			return err_set(err, -ERR_INVAL, "--%s takes no value", option_rows[id].name);
	} else if (value == NULL) {
		if (*i + 1 >= argc)
			return err_set(
				err, -ERR_INVAL, "--%s needs a value: %s", option_rows[id].name, option_rows[id].arg);
		value = argv[++*i];
	}
	return option_take(o, id, value, err);
}

int options_parse(int argc, char *const *argv, struct options *out, struct err *err)
{
	struct options o = {0};
	bool ended = false;

	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (!ended && strcmp(a, "--") == 0) {
			ended = true;
		} else if (!ended && a[0] == '-' && a[1] != '\0') {
			int rc = option_parse(argc, argv, &i, &o, err);

			if (rc < 0)
				return rc;
		} else if (o.operand_count > OPERANDS_MAX) {
			return err_set(err, -ERR_INVAL, "'%s' is one argument too many", a);
		} else {
			o.operands[o.operand_count++] = a;
		}
	}
	*out = o;
	return 0;
}

int options_match(const struct options *o, const struct command *commands, size_t count, const struct command **out,
	struct err *err)
{
	const struct command *c = NULL;
	int n = o->operand_count - 1;

	for (size_t i = 0; i < count && n >= 0; i++) {
		if (strcmp(commands[i].name, o->operands[0]) == 0)
			c = &commands[i];
	}
	if (c == NULL)
		return err_set(err, -ERR_NOTFOUND, "there is no command '%s'", n >= 0 ? o->operands[0] : "");
	for (int id = 0; id < OPT_COUNT && !o->help; id++) {
		if ((o->given & ~c->accepts & ~OPT_BIT(help)) & (1u << id))
			return err_set(err, -ERR_INVAL, "'%s' has no option --%s", c->name, option_rows[id].name);
	}
	if (!o->help && n < c->min)
		return err_set(err, -ERR_INVAL, "'%s' needs more arguments: %s", c->name, c->operands);
	if (!o->help && n > c->max)
		return err_set(err, -ERR_INVAL, "'%s' does not take '%s'", c->name, o->operands[c->max + 1]);
	*out = c;
	return 0;
}

/* Breaks at spaces; the first line continues one that has `column` bytes already. */
static void help_wrap(struct buf *out, struct slice text, size_t column)
{
	struct slice word;

	while (text.p != NULL) {
		word = slice_cut(&text, ' ');
		if (column + 1 + word.n > HELP_WIDTH && column > HELP_COLUMN) {
			buf_addf(out, "\n%*s", HELP_COLUMN, "");
			column = HELP_COLUMN;
		} else if (column > HELP_COLUMN) {
			buf_adds(out, " ");
			column++;
		}
		buf_add_slice(out, word);
		column += word.n;
	}
	buf_adds(out, "\n");
}

static void help_option(struct buf *out, const struct option_row *row)
{
	size_t start = out->n, column;

	if (row->letter != '\0')
		buf_addf(out, "  -%c, --%s", row->letter, row->name);
	else
		buf_addf(out, "      --%s", row->name);
	if (row->arg != NULL)
		buf_addf(out, " %s", row->arg);
	column = out->n - start;
	if (column + 2 > HELP_COLUMN) {
		buf_adds(out, "\n");
		column = 0;
	}
	buf_addf(out, "%*s", (int)(HELP_COLUMN - column), "");
	help_wrap(out, slice_str(row->help), HELP_COLUMN);
}

int options_help(const struct command *c, struct buf *out)
{
	buf_addf(out, "Usage: sluice %s [OPTIONS]%s%s\n\n%s\n\nOptions:\n", c->name, c->operands[0] != '\0' ? " " : "",
		c->operands, c->help);
	for (int id = 0; id < OPT_COUNT; id++) {
		if ((c->accepts | OPT_BIT(help)) & (1u << id))
			help_option(out, &option_rows[id]);
	}
	return out->failed;
}

int options_help_all(const struct command *commands, size_t count, struct buf *out)
{
	buf_adds(out,
		"Usage: sluice COMMAND [OPTIONS] …\n\n"
		"Mirrors package repositories lazily: metadata at once, each artifact when a client first asks.\n\n"
		"Commands:\n");
	for (size_t i = 0; i < count; i++) {
		char head[64];

		if (commands[i].line == NULL)
			continue;
		snprintf(head, sizeof(head), "%s %s", commands[i].name, commands[i].operands);
		buf_addf(out, "  %-*s%s\n", HELP_COLUMN - 2, head, commands[i].line);
	}
	buf_adds(out, "\nTry it:\n"
		      "  sluice serve --data ~/mirror &\n"
		      "  sluice mirror --data ~/mirror docs https://example.org/files/PULP_MANIFEST\n"
		      "  curl http://127.0.0.1:8080/pulp/content/docs/\n\n"
		      "`sluice COMMAND --help` explains a command.\n"
		      "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no server reached, 4 refused by the server.\n");
	return out->failed;
}
