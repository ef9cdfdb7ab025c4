/* `sluice manual DIR`: the manual pages, written from the tables of commands, options and settings. The build calls it. */
#include "base/check.h"
#include "base/fsutil.h"
#include "base/settings.h"
#include "cmd/commands.h"

#include <stdio.h>
#include <string.h>

/* ---- troff ---- */

/* The code point that begins at s->p, which moves on; the text is ours, and UTF-8. */
static unsigned take_rune(struct slice *s)
{
	unsigned char first = (unsigned char)s->p[0];
	size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	unsigned rune = n == 1 ? first : first & (0xffu >> (n + 1));

	for (size_t i = 1; i < n && i < s->n; i++)
		rune = rune << 6 | ((unsigned char)s->p[i] & 0x3f);
	s->p += MIN(n, s->n);
	s->n -= MIN(n, s->n);
	return rune;
}

/* As it stands: nothing in it is an order to troff, and a hyphen can be copied into a shell. */
static void add_text(struct buf *out, struct slice s)
{
	while (s.n > 0) {
		unsigned rune = take_rune(&s);

		if (rune == '\\')
			buf_adds(out, "\\e");
		else if (rune == '-')
			buf_adds(out, "\\-");
		else if (rune == '\'')
			buf_adds(out, "\\(aq");
		else if (rune == '`')
			buf_adds(out, "\\(ga");
		else if (rune == '~')
			buf_adds(out, "\\(ti");
		else if (rune == '^')
			buf_adds(out, "\\(ha");
		else if (rune < 0x80)
			buf_addf(out, "%c", (int)rune);
		else
			buf_addf(out, "\\[u%04X]", rune);
	}
}

static void add_str(struct buf *out, const char *z)
{
	add_text(out, slice_str(z));
}

/* A line of text: a dot at its beginning is a dot. */
static void add_line(struct buf *out, struct slice s)
{
	if (s.n > 0 && s.p[0] == '.')
		buf_adds(out, "\\&");
	add_text(out, s);
	buf_adds(out, "\n");
}

/* Paragraphs are filled; lines that begin with two blanks stand as they are. */
static void add_paragraphs(struct buf *out, const char *text)
{
	struct slice rest = slice_str(text);
	bool verbatim = false;

	while (rest.p != NULL) {
		struct slice line = slice_cut(&rest, '\n');
		bool indented = slice_starts(line, SLICE("  "));

		if (indented != verbatim)
			buf_adds(out, indented ? ".PP\n.RS 4\n.nf\n" : ".fi\n.RE\n");
		verbatim = indented;
		if (indented)
			add_line(out, slice_of(line.p + 2, line.n - 2));
		else if (line.n == 0)
			buf_adds(out, ".PP\n");
		else
			add_line(out, line);
	}
	if (verbatim)
		buf_adds(out, ".fi\n.RE\n");
}

static void add_head(struct buf *out, const char *name, int section, const char *line)
{
	buf_addf(out, ".\\\" Made by `sluice manual`.\n.TH ");
	for (const char *p = name; *p != '\0'; p++)
		buf_addf(out, *p == '-' ? "\\-" : "%c", *p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
	buf_addf(out, " %d \"\" \"sluice " SLUICE_VERSION "\" \"%s\"\n", section,
		section == 1 ? "User Commands" : "File Formats");
	/* Long options are no words to break. */
	buf_adds(out, ".nh\n.ad l\n.SH NAME\n");
	add_str(out, name);
	buf_adds(out, " \\- ");
	add_str(out, line);
	buf_adds(out, "\n");
}

/* ---- options ---- */

static void add_option(struct buf *out, struct option_text t)
{
	buf_adds(out, ".TP\n");
	if (t.letter != '\0')
		buf_addf(out, "\\fB\\-%c\\fR, ", t.letter);
	buf_adds(out, "\\fB\\-\\-");
	add_str(out, t.name);
	buf_adds(out, "\\fR");
	if (t.arg != NULL) {
		buf_adds(out, " \\fI");
		add_str(out, t.arg);
		buf_adds(out, "\\fR");
	}
	buf_adds(out, "\n");
	add_line(out, slice_str(t.help));
}

/* Those of the command, but for `except`. */
static void add_options(struct buf *out, const struct command *c, option_bits except)
{
	enum option_id ids[OPT_COUNT];
	size_t n;

	options_order(c, ids, &n);
	for (size_t i = 0; i < n; i++)
		if (!(except & OPTION_BIT_OF(ids[i])))
			add_option(out, options_describe(c, ids[i]));
}

/* ---- pages ---- */

/* A noun's commands, or the one command of that name. */
static bool is_of(const struct command *c, const char *name)
{
	size_t n = strlen(name);

	return c->line != NULL && strncmp(c->name, name, n) == 0 && (c->name[n] == ' ' || c->name[n] == '\0');
}

static void add_synopsis(struct buf *out, const struct command *c)
{
	buf_adds(out, "\\fBsluice ");
	add_str(out, c->name);
	buf_adds(out, "\\fR [\\fIOPTIONS\\fR]");
	if (c->operands[0] != '\0') {
		buf_adds(out, " \\fI");
		add_str(out, c->operands);
		buf_adds(out, "\\fR");
	}
	buf_adds(out, "\n");
}

static void add_tail(struct buf *out, const char *name)
{
	static const struct {
		const char *name, *text;
	} variables[] = {
		{"SLUICE_DATA", "Data directory, where --data is not given."},
		{"SLUICE_SERVER", "Server to talk to, where --server is not given."},
		{"SLUICE_ADMIN_PASSWORD",
			"Password of the user admin: at a start of the server it is set, else it is used."},
		{"SLUICE_CONFIG", "Settings file, where --config is not given."},
		{"SLUICE_COMPLETION_MS", "How long completion waits for names from the server, in milliseconds: 1000."},
	};

	buf_adds(out,
		".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 3 no server reached, 4 refused by the server.\n");
	buf_adds(out, ".SH ENVIRONMENT\n");
	for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
		buf_addf(out, ".TP\n.B %s\n", variables[i].name);
		add_line(out, slice_str(variables[i].text));
	}
	buf_addf(out, ".SH SEE ALSO\n%s.BR sluice.conf (5)\n", strcmp(name, "sluice") == 0 ? "" : ".BR sluice (1),\n");
}

/* What every command of a page takes is said once. */
static option_bits common_options(const struct command_table *t, const char *name)
{
	option_bits all = ~(option_bits)0;
	int n = 0;

	for (size_t i = 0; i < t->count; i++) {
		if (!is_of(&t->commands[i], name))
			continue;
		all &= options_accepted(&t->commands[i]);
		n++;
	}
	return n > 1 ? all : 0;
}

static void page_of(const struct command_table *t, const char *name, const struct noun *noun, struct buf *out)
{
	option_bits common = common_options(t, name);
	const struct command *last = NULL;
	char title[64];

	(void)snprintf(title, sizeof(title), "sluice-%s", name);
	for (size_t i = 0; i < t->count; i++)
		last = is_of(&t->commands[i], name) ? &t->commands[i] : last;
	if (last == NULL)
		return;
	add_head(out, title, 1, noun != NULL ? noun->line : last->line);
	buf_adds(out, ".SH SYNOPSIS\n.nf\n");
	for (size_t i = 0; i < t->count; i++)
		if (is_of(&t->commands[i], name))
			add_synopsis(out, &t->commands[i]);
	buf_adds(out, ".fi\n.SH DESCRIPTION\n");
	add_paragraphs(out, noun != NULL ? noun->help : last->help);
	if (noun == NULL) {
		buf_adds(out, ".SH OPTIONS\n");
		add_options(out, last, 0);
		add_tail(out, name);
		return;
	}
	buf_adds(out, ".SH COMMANDS\n");
	for (size_t i = 0; i < t->count; i++) {
		if (!is_of(&t->commands[i], name))
			continue;
		buf_adds(out, ".SS \"");
		add_str(out, t->commands[i].name);
		buf_adds(out, "\"\n");
		add_paragraphs(out, t->commands[i].help);
		add_options(out, &t->commands[i], common);
	}
	buf_adds(out, ".SH OPTIONS OF ALL OF THEM\n");
	add_options(out, last, ~common);
	add_tail(out, name);
}

/* Which page tells of a command: "repo" of "repo list". */
static struct slice page_name(const struct command *c)
{
	struct slice rest = slice_str(c->name);

	return slice_cut(&rest, ' ');
}

static void overview(const struct command_table *t, struct buf *out)
{
	struct slice last = SLICE_NULL;

	add_head(out, "sluice", 1, "lazy mirror of package repositories");
	buf_adds(out,
		".SH SYNOPSIS\n\\fBsluice\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] \\fI\\[u2026]\\fR\n.SH DESCRIPTION\n"
		"Mirrors package repositories lazily: metadata at once, each artifact when a client first asks. One\n"
		"program is the server, and what is typed to manage it over its REST API.\n.SH COMMANDS\n");
	for (size_t i = 0; i < t->count; i++) {
		const struct command *c = &t->commands[i];
		struct slice name = page_name(c);
		const struct noun *noun = options_noun(t, name);

		if (c->line == NULL || slice_eq(name, last))
			continue;
		last = name;
		buf_adds(out, ".TP\n\\fBsluice\\-");
		add_text(out, name);
		buf_adds(out, "\\fR(1)\n");
		add_line(out, slice_str(noun != NULL ? noun->line : c->line));
	}
	add_tail(out, "sluice");
}

/* From the lines of the shipped file: [section], # help, #key = default. */
static int settings_page(struct buf *out)
{
	struct buf text = BUF_INIT(0);
	struct settings s;
	struct err err = ERR_INIT;
	struct slice rest, help = SLICE_NULL;
	int rc = settings_init(&s, &err);

	if (rc < 0)
		return rc;
	rc = settings_print(&s, true, &text);
	add_head(out, "sluice.conf", 5, "settings of sluice");
	buf_adds(out,
		".SH DESCRIPTION\nSettings are in \\fIserver.conf\\fR of the data directory, else in "
		"\\fI/etc/sluice/server.conf\\fR, else what \\fBsluice\\-serve\\fR(1) is told with \\-\\-config. An "
		"unknown key or a bad value stops the start. A variable of the environment, SLUICE_SECTION_KEY in "
		"capitals, "
		"wins over the file. \\fBsluice config\\fR prints what is in force and where it comes from.\n");
	for (rest = buf_slice(&text); rest.p != NULL;) {
		struct slice line = slice_cut(&rest, '\n'), key, value;

		if (slice_starts(line, SLICE("["))) {
			buf_adds(out, ".SH ");
			add_text(out, line);
			buf_adds(out, "\n");
		} else if (slice_starts(line, SLICE("# "))) {
			help = slice_of(line.p + 2, line.n - 2);
		} else if (slice_starts(line, SLICE("#"))) {
			value = slice_of(line.p + 1, line.n - 1);
			key = slice_trim(slice_cut(&value, '='));
			value = slice_trim(value);
			buf_adds(out, ".TP\n\\fB");
			add_text(out, key);
			buf_adds(out, "\\fR = ");
			add_text(out, value.n > 0 ? value : SLICE("(empty)"));
			buf_adds(out, "\n");
			add_line(out, help);
		}
	}
	buf_adds(out, ".SH SEE ALSO\n.BR sluice (1)\n");
	buf_fini(&text);
	settings_fini(&s);
	return rc;
}

/* `section`: "1": the pages are in directories, as man wants them. */
static int write_page(const char *dir, const char *section, const char *name, struct buf *page, struct err *err)
{
	struct buf path = BUF_INIT(4096);
	int rc;

	buf_addf(&path, "%s/man%s/%s.%s", dir, section, name, section);
	if (path.failed != 0 || page->failed != 0)
		rc = err_set(err, -ERR_NOMEM, "writing '%s'", name);
	else
		rc = fs_replace_file(path.p, page->p, page->n, 0644, err);
	buf_reset(page);
	buf_fini(&path);
	return rc;
}

/* Empty ones: a command that is no more leaves no page. */
static int make_directory(const char *dir, const char *section, struct err *err)
{
	struct buf path = BUF_INIT(4096);
	int rc;

	buf_addf(&path, "%s/man%s", dir, section);
	rc = path.failed != 0 ? err_set(err, -ERR_INVAL, "the name of the directory is too long")
			      : fs_remove_tree(path.p, err);
	if (rc == 0)
		rc = fs_mkdirs(path.p, 0755, err);
	buf_fini(&path);
	return rc;
}

int cmd_manual(const struct options *o)
{
	const struct command_table *t = &command_table;
	const char *dir = o->operands[1];
	struct buf page = BUF_INIT(0);
	struct slice last = SLICE_NULL;
	struct err err = ERR_INIT;
	int rc = make_directory(dir, "1", &err);

	if (rc == 0)
		rc = make_directory(dir, "5", &err);
	for (size_t i = 0; rc == 0 && i < t->count; i++) {
		struct slice name = page_name(&t->commands[i]);
		char word[64], file[128];

		if (t->commands[i].line == NULL || slice_eq(name, last))
			continue;
		last = name;
		(void)snprintf(word, sizeof(word), "%.*s", SLICE_ARG(name));
		(void)snprintf(file, sizeof(file), "sluice-%s", word);
		page_of(t, word, options_noun(t, name), &page);
		rc = write_page(dir, "1", file, &page, &err);
	}
	if (rc == 0) {
		overview(t, &page);
		rc = write_page(dir, "1", "sluice", &page, &err);
	}
	if (rc == 0)
		rc = settings_page(&page);
	if (rc == 0)
		rc = write_page(dir, "5", "sluice.conf", &page, &err);
	buf_fini(&page);
	return rc < 0 ? commands_fail("manual", rc, &err) : EXIT_OK;
}
