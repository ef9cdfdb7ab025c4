/* `sluice complete -- WORD…`: what the last word can become, a candidate on a line, a tab and what it is. Shells call it when TAB is
 * pressed (completion/). Commands, options and words come from the tables, names of objects from the server, which has a second to
 * answer (SLUICE_COMPLETION_MS): who waits is at a keyboard. Whatever goes wrong there are no candidates, and no message. */
#include "base/check.h"
#include "base/url.h"
#include "cmd/commands.h"
#include "cmd/objects.h"
#include "cmd/remote_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVER_MS 1000
#define SERVER_MS_MAX 60000
#define NAMES 100

/* The line as far as it is typed. */
struct typed {
	const struct options *o; /* of `complete` itself: its operands are the words */
	const char *words[2];    /* the first operands: they name the command */
	int operands;            /* before the word that is completed */
	int pending;             /* option whose value it is; -1: none */
	const struct command *c; /* NULL: not known yet */
	int at;                  /* which operand of the command the word is, from 0 */
	option_bits given;
	bool ended; /* by "--" */
	struct slice word;
	struct buf out;
};

/* What metavariables stand for. */
static const struct metavariable {
	const char *name;
	const char *words;              /* separated by blanks */
	const struct object_kind *kind; /* names of its objects */
} metavariables[] = {
	{"FILE", ":files"},
	{"DIR", ":dirs"},
	{"YES|NO", "yes no"},
	{"POLICY", "on_demand immediate streamed"},
	{"CHECKSUM", "sha256 sha384 sha512 unknown"},
	{"COMPRESSION", "gz zstd none"},
	{"LAYOUT", "nested_alphabetically flat nested_by_digest"},
	{"WHAT", "all used vanishing"},
	{"STATE", "waiting running completed failed canceled canceling skipped"},
	{"ROLE,", "content api worker redirect streamer"},
	{"REPOSITORY", NULL, &kind_repository},
	{"REMOTE", NULL, &kind_remote},
	{"DISTRIBUTION", NULL, &kind_distribution},
	{"GUARD", NULL, &kind_guard},
	{"ACS", NULL, &kind_acs},
	{"TASK", NULL, &kind_task},
};

static void add(struct typed *t, const char *candidate, const char *what)
{
	if (slice_starts(slice_str(candidate), t->word) || candidate[0] == ':')
		buf_addf(&t->out, "%s\t%s\n", candidate, what);
}

static void add_words(struct typed *t, const char *words)
{
	struct slice rest = slice_str(words);
	char word[64];

	while (rest.p != NULL) {
		struct slice one = slice_cut(&rest, ' ');

		(void)snprintf(word, sizeof(word), "%.*s", SLICE_ARG(one));
		add(t, word, "");
	}
}

/* ---- names from the server ---- */

/* How the server is reached is what the options on the line say. */
static int options_typed(const struct typed *t, struct options *out)
{
	char *argv[OPERANDS_MAX + 2] = {NULL};
	int n = t->o->operand_count - 1 -
		(t->pending >= 0); /* without the word, and without an option that it is the value of */

	for (int i = 1; i < n; i++)
		argv[i] = (char *)(uintptr_t)t->o->operands[i];
	return options_parse(MAX(n, 1), argv, out, NULL);
}

static void add_rows(struct typed *t, const struct object_kind *kind, const json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)rows, i, row)
	{
		const char *href = json_text_of(row, "pulp_href"), *name = json_text_of(row, "name");
		char uuid[64];

		if (!kind->by_uuid) {
			/* A name that is more than a line cannot be completed. */
			if (strpbrk(name, "\n\t") == NULL)
				add(t, name, object_type_of(kind, href));
			continue;
		}
		(void)snprintf(uuid, sizeof(uuid), "%.36s",
			strncmp(href, kind->path, strlen(kind->path)) == 0 ? href + strlen(kind->path) : "");
		add(t, uuid, name);
	}
}

static long server_ms(void)
{
	int64_t ms;

	return slice_to_i64(slice_str(getenv("SLUICE_COMPLETION_MS")), SERVER_MS_MAX, &ms) == 0 && ms > 0 ? (long)ms
													  : SERVER_MS;
}

static void add_names(struct typed *t, const struct object_kind *kind)
{
	const struct object_type *type = kind->lists_all ? NULL : kind->types;
	struct client *c = NULL;
	struct options o;

	if (options_typed(t, &o) < 0 || client_open(&o, &c, NULL) < 0)
		return;
	client_limit(c, server_ms());
	do {
		struct buf path = BUF_INIT(65536);
		json_t *page = NULL;

		buf_addf(&path, "%s%s?limit=%d&fields=pulp_href,name", kind->path, type != NULL ? type->path : "",
			NAMES);
		if (kind->by_uuid) {
			buf_adds(&path, "&state__in=running,waiting");
		} else {
			buf_adds(&path, "&name__startswith=");
			url_encode(&path, t->word, "");
		}
		if (path.failed == 0 && client_call(c, "GET", path.p, NULL, &page, NULL) == 0)
			add_rows(t, kind, json_object_get(page, "results"));
		json_decref(page);
		buf_fini(&path);
	} while (type != NULL && (++type)->name != NULL);
	client_close(&c);
}

/* ---- values ---- */

static void add_types(struct typed *t, const struct object_kind *kind)
{
	for (const struct object_type *type = kind->types; type != NULL && type->name != NULL; type++)
		add(t, type->name, "");
}

static void add_commands(struct typed *t, const char *noun)
{
	size_t n = noun != NULL ? strlen(noun) : 0;
	const struct noun *last = NULL;

	for (size_t i = 0; i < command_table.count; i++) {
		const struct command *c = &command_table.commands[i];
		struct slice rest = slice_str(c->name);
		const struct noun *of = options_noun(&command_table, slice_cut(&rest, ' '));

		if (c->line == NULL)
			continue;
		if (noun != NULL && of != NULL && strcmp(of->name, noun) == 0)
			add(t, c->name + n + 1, c->line);
		else if (noun == NULL && (of == NULL || of != last))
			add(t, of != NULL ? of->name : c->name, of != NULL ? of->line : c->line);
		last = of;
	}
}

/* `name`: a metavariable, perhaps with brackets and dots around it. */
static void add_metavariable(struct typed *t, struct slice name)
{
	if (name.n > 0 && name.p[0] == '[')
		name = slice_of(name.p + 1, name.n - 1);
	for (size_t i = 0; i < ARRAY_LEN(metavariables); i++) {
		const struct metavariable *m = &metavariables[i];
		size_t n = strlen(m->name);

		if (!slice_starts(name, slice_str(m->name)) || (name.n > n && strchr("],\xe2", name.p[n]) == NULL))
			continue;
		if (m->words != NULL)
			add_words(t, m->words);
		else
			add_names(t, m->kind);
		return;
	}
	if (slice_starts(name, SLICE("FORMAT")))
		add_types(t, &kind_remote);
	else if (slice_starts(name, SLICE("TYPE")) && t->c != NULL && t->c->kind != NULL)
		add_types(t, t->c->kind);
	else if (slice_starts(name, SLICE("COMMAND")))
		add_commands(t, NULL);
}

static void add_options(struct typed *t)
{
	enum option_id ids[OPT_COUNT] = {OPT_help, OPT_version};
	size_t n = 2;
	char text[64];

	if (t->c != NULL)
		options_order(t->c, ids, &n);
	for (size_t i = 0; i < n; i++) {
		struct option_text d = options_describe(t->c, ids[i]);

		(void)snprintf(text, sizeof(text), "--%s", d.name);
		if (!(t->given & OPTION_BIT_OF(ids[i])) || options_repeats(ids[i]))
			add(t, text, d.help);
	}
}

/* The metavariable of the operand; the last one counts for all that follow, if it has dots. */
static void add_operand(struct typed *t)
{
	struct slice rest = slice_str(t->c->operands), name = SLICE_NULL;
	int i;

	for (i = 0; i <= t->at && rest.p != NULL; i++)
		name = slice_cut(&rest, ' ');
	if (name.p != NULL && (i > t->at || slice_ends(name, SLICE("…")) || slice_ends(name, SLICE("…]"))))
		add_metavariable(t, name);
}

/* ---- the line ---- */

static void read_word(struct typed *t, const char *word)
{
	bool is_option = !t->ended && word[0] == '-' && word[1] != '\0';
	struct slice rest = slice_str(word), name = slice_cut(&rest, '=');
	int id;

	if (t->pending >= 0) {
		/* bash makes three words of --name=value */
		if (strcmp(word, "=") != 0)
			t->pending = -1;
	} else if (!is_option) {
		if (t->operands < 2)
			t->words[t->operands] = word;
		t->operands++;
	} else if (strcmp(word, "--") == 0) {
		t->ended = true;
	} else if ((id = options_find(name)) >= 0) {
		bool has_value = rest.p != NULL || (word[1] != '-' && word[2] != '\0');

		t->given |= OPTION_BIT_OF(id);
		if (options_describe(NULL, (enum option_id)id).arg != NULL && !has_value)
			t->pending = id;
	}
}

/* The command, once its words are there. */
static void find_command(struct typed *t)
{
	const struct noun *noun = t->operands > 0 ? options_noun(&command_table, slice_str(t->words[0])) : NULL;
	int words = noun != NULL ? 2 : 1;
	char name[128];

	if (t->operands < words)
		return;
	(void)snprintf(
		name, sizeof(name), "%s%s%s", t->words[0], noun != NULL ? " " : "", noun != NULL ? t->words[1] : "");
	for (size_t i = 0; i < command_table.count; i++) {
		const struct command *c = &command_table.commands[i];

		if (c->line != NULL && strcmp(c->name, name) == 0)
			t->c = c;
	}
	t->at = t->operands - words;
}

static void complete(struct typed *t)
{
	struct slice rest = t->word, name;
	int id;

	if (t->pending >= 0) {
		if (slice_eq(t->word, SLICE("=")))
			t->word = slice_str("");
		add_metavariable(t, slice_str(options_describe(t->c, (enum option_id)t->pending).arg));
		return;
	}
	if (!t->ended && t->word.n > 0 && t->word.p[0] == '-') {
		name = slice_cut(&rest, '=');
		id = rest.p != NULL ? options_find(name) : -1;
		if (id < 0) {
			add_options(t);
		} else if (options_describe(t->c, (enum option_id)id).arg != NULL) {
			t->word = rest;
			add_metavariable(t, slice_str(options_describe(t->c, (enum option_id)id).arg));
		}
		return;
	}
	if (t->c != NULL)
		add_operand(t);
	else if (t->operands == 0 || (t->operands == 1 && options_noun(&command_table, slice_str(t->words[0])) != NULL))
		add_commands(t, t->operands == 0 ? NULL : t->words[0]);
}

int cmd_complete(const struct options *o)
{
	struct typed t = {.o = o, .pending = -1, .out = BUF_INIT(1 << 20)};
	int last = o->operand_count - 1;
	struct err err = ERR_INIT;

	for (int i = 1; i < last; i++)
		read_word(&t, o->operands[i]);
	t.word = last > 0 ? slice_str(o->operands[last]) : slice_str("");
	find_command(&t);
	complete(&t);
	(void)commands_print(&t.out, &err);
	buf_fini(&t.out);
	return EXIT_OK;
}
