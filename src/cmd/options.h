/* The command line: every option of every command in one table (option_table.inc), the commands in another (command_table.c). What is parsed, explained,
 * completed and written into manual pages comes from these two. Pure text work.
 *
 * A new command is a row there, and its options, unless they are here already, are rows here. A command about objects of the API
 * needs no code: objects.h. */
#ifndef SLUICE_CMD_OPTIONS_H
#define SLUICE_CMD_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"

#include <assert.h>
#include <stdbool.h>

/* Exit codes, the same for every command. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,   /* it was tried and failed: a task, a start */
	EXIT_USAGE = 2,    /* the command line or the settings make no sense */
	EXIT_NOSERVER = 3, /* the server cannot be reached */
	EXIT_REFUSED = 4,  /* the server says no */
};

enum option_id {
#define X(field, name, letter, kind, arg, help) OPT_##field,
#include "cmd/option_table.inc"
#undef X
	OPT_COUNT
};
/* A set of options. */
typedef unsigned __int128 option_bits;
static_assert(OPT_COUNT <= 128, "option_bits holds 128");
#define OPTION_BIT_OF(id) ((option_bits)1 << (id))
#define OPT_BIT(field) OPTION_BIT_OF(OPT_##field)

#define OPERANDS_MAX 256
#define OPTION_VALUES_MAX 64
/* Of an option that can be given several times. */
struct option_list {
	const char *v[OPTION_VALUES_MAX];
	size_t n;
};
#define OPTION_T_STR const char *
#define OPTION_T_FLAG bool
#define OPTION_T_LIST struct option_list

struct command;
struct field;
struct object_kind;

/* What was given. Strings are those of argv, NULL when absent. */
struct options {
#define X(field, name, letter, kind, arg, help) OPTION_T_##kind field;
#include "cmd/option_table.inc"
#undef X
	option_bits given; /* OPT_BIT of each */
	const char
		*operands[OPERANDS_MAX + 1]; /* the first is the command: "sync", and once it is matched "repo list" */
	int operand_count;
	const struct command *command; /* once it is matched */
};

/* The parts of the overview of commands: name, title. */
#define COMMAND_GROUPS(X)                      \
	X(OTHER, "More")                       \
	X(SERVER, "The server")                \
	X(MIRROR, "Mirroring, in one go")      \
	X(OBJECTS, "What mirrors are made of") \
	X(WATCH, "What is going on")           \
	X(SPACE, "Content and disk space")
enum command_group {
#define X(name, title) GROUP_##name,
	COMMAND_GROUPS(X)
#undef X
		GROUP_COUNT
};

struct command {
	const char *name;     /* "sync", or a noun and a verb: "repo list" */
	const char *operands; /* "NAME URL" for the synopsis, "" */
	int min, max;         /* how many of them */
	option_bits accepts;
	const char *line; /* one line of help; NULL: not listed */
	const char *help; /* the text, examples included */
	int (*run)(const struct options *o);
	enum command_group group;
	const struct object_kind *kind; /* what it is about, NULL: nothing of objects.h */
	const struct field *fields;     /* accepted as well: what they set or select */
};

/* The first word of commands that have two. */
struct noun {
	const char *name;
	const char *line; /* one line of help */
	const char *help; /* more, NULL: that is all */
};

/* Everything that there is: command_table.c. */
struct command_table {
	const struct command *commands;
	size_t count;
	const struct noun *nouns;
	size_t noun_count;
};
extern const struct command_table command_table;

/* How the value of an option is understood: */
enum field_type {
	FIELD_TEXT,
	FIELD_NUMBER,  /* whole or not */
	FIELD_YESNO,   /* a boolean */
	FIELD_FILE,    /* what the file holds; "-": standard input */
	FIELD_SECRET,  /* the file's first line */
	FIELD_WORDS,   /* a list of texts; one empty one: none */
	FIELD_HEADERS, /* a list of {"Name": "value"}; one empty one: none */
	FIELD_LABELS,  /* what is set or removed of an object of texts */
	FIELD_REF,     /* href of an object of `ref` that is named so */
	FIELD_REFS,    /* a list of them */
	FIELD_VERSION, /* REPOSITORY/N: the version's href */
	FIELD_ANY,     /* FIELD=VALUE: whatever member of the body */
};
#define FIELD_REQUIRED 1u
#define FIELD_NULLABLE 2u  /* the empty text is null: nothing */
#define FIELD_FROM_NAME 4u /* on create, when it is not given: as the object's name */

/* That an option sets a member of an object of the API, or selects by a parameter of a list. */
struct field {
	enum option_id option;
	const char *member; /* NULL: the end of the table */
	enum field_type type;
	unsigned flags;
	const struct object_kind *ref;
	const char *types;  /* which types of the kind have it, separated by blanks; NULL: all */
	const char *preset; /* on create, when it is not given; NULL: what the server presets */
	const char *help;   /* NULL: the option's */
};

/* Options may stand anywhere; "--" ends them; "--name=value", "--name value", "-n value". -ERR_INVAL with the reason. */
int options_parse(int argc, char *const *argv, struct options *out, struct err *err);
/* Finds the command that the first operands name, if the rest fits it: sets o->command and makes its name operand 0. -ERR_NOTFOUND
 * no such command; -ERR_INVAL. */
int options_match(struct options *o, const struct command_table *t, struct err *err);
/* All options that the command takes. */
option_bits options_accepted(const struct command *c);

bool options_given(const struct options *o, enum option_id id);
bool options_repeats(enum option_id id);                                            /* it can be given several times */
const char *options_text(const struct options *o, enum option_id id);               /* of a STR */
const struct option_list *options_list(const struct options *o, enum option_id id); /* of a LIST */

/* What there is to say about an option. */
struct option_text {
	const char *name;
	char letter;     /* '\0': none */
	const char *arg; /* NULL: it takes none */
	const char *help;
};
/* `c` may say more exactly what it means there; NULL: in general. */
struct option_text options_describe(const struct command *c, enum option_id id);
/* By "--name" or "-n"; -1: there is none. */
int options_find(struct slice word);
/* In the order in which help lists them: those of the command's own, then the general ones. *count: how many. */
void options_order(const struct command *c, enum option_id ids[OPT_COUNT], size_t *count);

int options_help_all(const struct command_table *t, struct buf *out);
int options_help_noun(const struct command_table *t, const struct noun *n, struct buf *out);
int options_help(const struct command *c, struct buf *out);
const struct noun *options_noun(const struct command_table *t, struct slice word); /* NULL: there is none */

#endif
