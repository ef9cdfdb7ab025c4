/* Parsing the command line by the tables, and the help that is made from them. */
#include "cmd/options.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

enum option_kind { OPTION_STR, OPTION_FLAG, OPTION_LIST };

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
#include "cmd/option_table.inc"
#undef X
};

static const char *const group_titles[GROUP_COUNT] = {
#define X(name, title) title,
	COMMAND_GROUPS(X)
#undef X
};
/* The overview begins with what a newcomer needs. */
static const enum command_group group_order[] = {
	GROUP_SERVER, GROUP_MIRROR, GROUP_OBJECTS, GROUP_SPACE, GROUP_WATCH, GROUP_OTHER};
static_assert(ARRAY_LEN(group_order) == GROUP_COUNT, "every group is listed");

#define HELP_COLUMN 28
#define HELP_WIDTH 80

/* ---- options ---- */

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

int options_find(struct slice word)
{
	if (slice_starts(word, SLICE("--")))
		return option_by_name(slice_of(word.p + 2, word.n - 2));
	return word.n >= 2 && word.p[0] == '-' ? option_by_letter(word.p[1]) : -1;
}

bool options_given(const struct options *o, enum option_id id)
{
	return (o->given & OPTION_BIT_OF(id)) != 0;
}

bool options_repeats(enum option_id id)
{
	return option_rows[id].kind == OPTION_LIST;
}

const char *options_text(const struct options *o, enum option_id id)
{
	BUG(option_rows[id].kind != OPTION_STR);
	return *(const char *const *)((const char *)o + option_rows[id].at);
}

const struct option_list *options_list(const struct options *o, enum option_id id)
{
	BUG(option_rows[id].kind != OPTION_LIST);
	return (const struct option_list *)((const char *)o + option_rows[id].at);
}

static int option_take(struct options *o, int id, const char *value, struct err *err)
{
	void *at = (char *)o + option_rows[id].at;
	struct option_list *list = at;

	if (option_rows[id].kind != OPTION_LIST && options_given(o, (enum option_id)id))
		return err_set(err, -ERR_INVAL, "--%s is given twice", option_rows[id].name);
	o->given |= OPTION_BIT_OF(id);
	if (option_rows[id].kind == OPTION_FLAG) {
		*(bool *)at = true;
	} else if (option_rows[id].kind == OPTION_STR) {
		*(const char **)at = value;
	} else {
		if (list->n == OPTION_VALUES_MAX)
			return err_set(err, -ERR_INVAL, "--%s is given more than %d times", option_rows[id].name,
				OPTION_VALUES_MAX);
		list->v[list->n++] = value;
	}
	return 0;
}

/* One argument that begins with '-', and perhaps the one behind it. */
static int option_parse(int argc, char *const *argv, int *i, struct options *o, struct err *err)
{
	const char *text = argv[*i];
	bool is_long = text[1] == '-';
	struct slice rest = slice_str(text), name = is_long ? slice_cut(&rest, '=') : rest;
	const char *value = NULL;
	int id = options_find(name);

	if (is_long)
		value = rest.p;
	else if (text[2] != '\0')
		value = text + 2;
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

/* ---- commands ---- */

option_bits options_accepted(const struct command *c)
{
	option_bits all = c->accepts | OPT_BIT(help);

	for (const struct field *f = c->fields; f != NULL && f->member != NULL; f++)
		all |= OPTION_BIT_OF(f->option);
	return all;
}

const struct noun *options_noun(const struct command_table *t, struct slice word)
{
	for (size_t i = 0; i < t->noun_count; i++) {
		if (slice_eq(slice_str(t->nouns[i].name), word))
			return &t->nouns[i];
	}
	return NULL;
}

static const struct command *command_find(const struct command_table *t, struct slice name)
{
	for (size_t i = 0; i < t->count; i++) {
		if (slice_eq(slice_str(t->commands[i].name), name))
			return &t->commands[i];
	}
	return NULL;
}

/* "create, list, show" of a noun. */
static void verbs_of(const struct command_table *t, const char *noun, struct buf *out)
{
	size_t n = strlen(noun), start = out->n;

	for (size_t i = 0; i < t->count; i++) {
		const struct command *c = &t->commands[i];

		if (c->line == NULL || strncmp(c->name, noun, n) != 0 || c->name[n] != ' ')
			continue;
		buf_addf(out, "%s%s", out->n > start ? ", " : "", c->name + n + 1);
	}
}

/* One word, or the two of a noun and its verb, which become one. */
static int command_choose(struct options *o, const struct command_table *t, struct err *err)
{
	const char *first = o->operand_count > 0 ? o->operands[0] : "";
	const struct noun *noun = options_noun(t, slice_str(first));
	struct buf text = BUF_INIT(4096);
	int rc = 0;

	if (noun == NULL) {
		o->command = command_find(t, slice_str(first));
		if (o->command == NULL)
			rc = err_set(err, -ERR_NOTFOUND, "there is no command '%s'", first);
		goto out;
	}
	if (o->operand_count > 1) {
		buf_addf(&text, "%s %s", first, o->operands[1]);
		o->command = command_find(t, buf_slice(&text));
	}
	if (o->command != NULL) {
		o->operand_count--;
		memmove(&o->operands[1], &o->operands[2], (size_t)(o->operand_count - 1) * sizeof(o->operands[0]));
		o->operands[0] = o->command->name;
		goto out;
	}
	buf_reset(&text);
	verbs_of(t, first, &text);
	if (o->operand_count > 1)
		rc = err_set(err, -ERR_NOTFOUND, "there is no '%s %s'; there is %s", first, o->operands[1], text.p);
	else
		rc = err_set(err, -ERR_INVAL, "'%s' needs to be told what: %s", first, text.p);
out:
	buf_fini(&text);
	return rc;
}

int options_match(struct options *o, const struct command_table *t, struct err *err)
{
	const struct command *c;
	option_bits wrong;
	int n, rc = command_choose(o, t, err);

	if (rc < 0 || o->help)
		return rc;
	c = o->command;
	n = o->operand_count - 1;
	wrong = o->given & ~options_accepted(c);
	for (int id = 0; id < OPT_COUNT; id++) {
		if (wrong & OPTION_BIT_OF(id))
			return err_set(err, -ERR_INVAL, "'%s' has no option --%s", c->name, option_rows[id].name);
	}
	if (n < c->min)
		return err_set(err, -ERR_INVAL, "'%s' needs more arguments: %s", c->name, c->operands);
	if (n > c->max)
		return err_set(err, -ERR_INVAL, "'%s' does not take '%s'", c->name, o->operands[c->max + 1]);
	return 0;
}

/* ---- help ---- */

struct option_text options_describe(const struct command *c, enum option_id id)
{
	const struct option_row *row = &option_rows[id];
	struct option_text t = {.name = row->name, .letter = row->letter, .arg = row->arg, .help = row->help};

	for (const struct field *f = c != NULL ? c->fields : NULL; f != NULL && f->member != NULL; f++) {
		if (f->option == id && f->help != NULL)
			t.help = f->help;
	}
	return t;
}

void options_order(const struct command *c, enum option_id ids[OPT_COUNT], size_t *count)
{
	option_bits left = options_accepted(c);
	size_t n = 0;

	for (const struct field *f = c->fields; f != NULL && f->member != NULL; f++) {
		if (left & OPTION_BIT_OF(f->option))
			ids[n++] = f->option;
		left &= ~OPTION_BIT_OF(f->option);
	}
	for (int id = 0; id < OPT_COUNT; id++) {
		if (left & OPTION_BIT_OF(id))
			ids[n++] = (enum option_id)id;
	}
	*count = n;
}

/* Characters, not bytes: metavariables have dots that are one. */
static size_t width_of(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* Breaks at spaces; the first line continues one that has `column` characters already. */
static void help_wrap(struct buf *out, struct slice text, size_t column)
{
	struct slice word;

	while (text.p != NULL) {
		word = slice_cut(&text, ' ');
		if (column + 1 + width_of(word) > HELP_WIDTH && column > HELP_COLUMN) {
			buf_addf(out, "\n%*s", HELP_COLUMN, "");
			column = HELP_COLUMN;
		} else if (column > HELP_COLUMN) {
			buf_adds(out, " ");
			column++;
		}
		buf_add_slice(out, word);
		column += width_of(word);
	}
	buf_adds(out, "\n");
}

static void help_option(struct buf *out, struct option_text t)
{
	size_t start = out->n, column;

	if (t.letter != '\0')
		buf_addf(out, "  -%c, --%s", t.letter, t.name);
	else
		buf_addf(out, "      --%s", t.name);
	if (t.arg != NULL)
		buf_addf(out, " %s", t.arg);
	column = width_of(slice_of(out->p + start, out->n - start));
	if (column + 2 > HELP_COLUMN) {
		buf_adds(out, "\n");
		column = 0;
	}
	buf_addf(out, "%*s", (int)(HELP_COLUMN - column), "");
	help_wrap(out, slice_str(t.help), HELP_COLUMN);
}

/* "  head   what it does": on two lines when the head is long. */
static void help_line(struct buf *out, const char *head, const char *line)
{
	size_t n = width_of(slice_str(head)) + 2;

	buf_addf(out, "  %s", head);
	if (n + 1 > HELP_COLUMN) {
		buf_adds(out, "\n");
		n = 0;
	}
	buf_addf(out, "%*s", (int)(HELP_COLUMN - n), "");
	help_wrap(out, slice_str(line), HELP_COLUMN);
}

int options_help(const struct command *c, struct buf *out)
{
	enum option_id ids[OPT_COUNT];
	size_t n;

	buf_addf(out, "Usage: sluice %s [OPTIONS]%s%s\n\n%s\n\nOptions:\n", c->name, c->operands[0] != '\0' ? " " : "",
		c->operands, c->help);
	options_order(c, ids, &n);
	for (size_t i = 0; i < n; i++)
		help_option(out, options_describe(c, ids[i]));
	return out->failed;
}

static void help_command(struct buf *out, const struct command *c)
{
	char head[128];

	(void)snprintf(head, sizeof(head), "%s%s%s", c->name, c->operands[0] != '\0' ? " " : "", c->operands);
	help_line(out, head, c->line);
}

int options_help_noun(const struct command_table *t, const struct noun *noun, struct buf *out)
{
	size_t n = strlen(noun->name);

	buf_addf(out, "Usage: sluice %s COMMAND [OPTIONS] …\n\n%s\n\nCommands:\n", noun->name, noun->help);
	for (size_t i = 0; i < t->count; i++) {
		const struct command *c = &t->commands[i];

		if (c->line != NULL && strncmp(c->name, noun->name, n) == 0 && c->name[n] == ' ')
			help_command(out, c);
	}
	buf_addf(out, "\n`sluice %s COMMAND --help` explains a command.\n", noun->name);
	return out->failed;
}

/* A noun once, with its verbs, where its first command stands. */
static void help_group(const struct command_table *t, enum command_group group, struct buf *out)
{
	const struct noun *last = NULL;

	buf_addf(out, "\n%s:\n", group_titles[group]);
	for (size_t i = 0; i < t->count; i++) {
		const struct command *c = &t->commands[i];
		struct slice rest = slice_str(c->name);
		const struct noun *noun = options_noun(t, slice_cut(&rest, ' '));
		struct buf line = BUF_INIT(4096);

		if (c->line == NULL || c->group != group || (noun != NULL && noun == last))
			continue;
		last = noun;
		if (noun == NULL) {
			help_command(out, c);
			continue;
		}
		buf_addf(&line, "%s: ", noun->line);
		verbs_of(t, noun->name, &line);
		help_line(out, noun->name, line.failed == 0 ? line.p : noun->line);
		buf_fini(&line);
	}
}

int options_help_all(const struct command_table *t, struct buf *out)
{
	buf_adds(out,
		"Usage: sluice COMMAND [OPTIONS] …\n\n"
		"Mirrors package repositories lazily: metadata at once, each artifact when a client first asks.\n");
	for (size_t i = 0; i < ARRAY_LEN(group_order); i++)
		help_group(t, group_order[i], out);
	buf_adds(out, "\nTry it:\n"
		      "  sluice serve --data ~/mirror &\n"
		      "  sluice mirror --data ~/mirror docs https://example.org/files/PULP_MANIFEST\n"
		      "  curl http://127.0.0.1:8080/pulp/content/docs/\n\n"
		      "`sluice COMMAND --help` explains a command.\n"
		      "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no server reached, 4 refused by the server.\n");
	return out->failed;
}
