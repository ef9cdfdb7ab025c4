/* The command line: every option of every command in one table, the commands in another. Pure text work. */
#ifndef SLUICE_CMD_OPTIONS_H
#define SLUICE_CMD_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

/* Exit codes, the same for every command. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,   /* it was tried and failed: a task, a start */
	EXIT_USAGE = 2,    /* the command line or the settings make no sense */
	EXIT_NOSERVER = 3, /* the server cannot be reached */
	EXIT_REFUSED = 4,  /* the server says no */
};

/* name in the struct, name on the command line, short form or 0, kind, metavariable, help */
#define OPTIONS(X)                                                                                                  \
	X(data, "data", 'd', STR, "DIR",                                                                            \
		"data directory (SLUICE_DATA; default: /var/lib/sluice for root, else "                             \
		"~/.local/share/sluice)")                                                                           \
	X(config, "config", 'c', STR, "FILE",                                                                       \
		"settings file (SLUICE_CONFIG; default: server.conf in the data "                                   \
		"directory, else /etc/sluice/server.conf, if there)")                                               \
	X(listen, "listen", 'l', STR, "ADDR:PORT", "where to listen; several with commas; port 0 takes a free one") \
	X(role, "role", 'r', STR, "ROLE,…",                                                                         \
		"which roles to play: content, api, worker, redirect, streamer "                                    \
		"(default: all but streamer)")                                                                      \
	X(server, "server", 's', STR, "URL",                                                                        \
		"server to talk to (SLUICE_SERVER; default: the one of the data "                                   \
		"directory)")                                                                                       \
	X(user, "user", 'u', STR, "NAME", "user to log in as (default: admin)")                                     \
	X(password_file, "password-file", 0, STR, "FILE",                                                           \
		"file whose first line is the password "                                                            \
		"(SLUICE_ADMIN_PASSWORD; default: as the data directory says)")                                     \
	X(policy, "policy", 'p', STR, "POLICY",                                                                     \
		"on_demand (default): an artifact is downloaded when a client asks "                                \
		"first; immediate: all at once; streamed: never kept")                                              \
	X(base_path, "base-path", 'b', STR, "PATH",                                                                 \
		"path of the content below the server's content URL "                                               \
		"(default: NAME)")                                                                                  \
	X(format, "format", 'f', STR, "FORMAT", "kind of repository: file (default), rpm or deb")                   \
	X(distributions, "distributions", 0, STR, "LIST",                                                           \
		"deb: distributions to have, separated by blanks; one that ends in / is flat")                      \
	X(components, "components", 0, STR, "LIST", "deb: components to have (default: all)")                       \
	X(architectures, "architectures", 0, STR, "LIST", "deb: architectures to have (default: all)")              \
	X(mirror, "mirror", 'm', FLAG, NULL,                                                                        \
		"drop what upstream has dropped, and publish upstream's own metadata (rpm and deb: always)")        \
	X(all, "all", 'a', FLAG, NULL, "all repositories")                                                          \
	X(dry_run, "dry-run", 'n', FLAG, NULL, "change nothing: say what would be done")                            \
	X(keep_latest, "keep-latest", 0, FLAG, NULL, "spare what the latest versions hold")                         \
	X(shipped, "shipped", 0, FLAG, NULL, "print the commented server.conf with all defaults instead")           \
	X(json, "json", 'j', FLAG, NULL, "print JSON, for programs")                                                \
	X(version, "version", 'V', FLAG, NULL, "print the version")                                                 \
	X(help, "help", 'h', FLAG, NULL, "print help")

enum option_id {
#define X(field, name, letter, kind, arg, help) OPT_##field,
	OPTIONS(X)
#undef X
		OPT_COUNT
};
#define OPT_BIT(field) (1u << OPT_##field)

#define OPTION_T_STR const char *
#define OPTION_T_FLAG bool
#define OPERANDS_MAX 4

/* What was given. Strings are those of argv, NULL when absent. */
struct options {
#define X(field, name, letter, kind, arg, help) OPTION_T_##kind field;
	OPTIONS(X)
#undef X
	unsigned given;                         /* OPT_BIT of each */
	const char *operands[OPERANDS_MAX + 1]; /* the first is the command */
	int operand_count;
};

struct command {
	const char *name;
	const char *operands; /* "NAME URL" for the synopsis, "" */
	int min, max;         /* how many of them */
	unsigned accepts;     /* OPT_BITs */
	const char *line;     /* one line of help; NULL: not listed */
	const char *help;     /* the text, examples included */
	int (*run)(const struct options *o);
};

/* Options may stand anywhere; "--" ends them; "--name=value", "--name value", "-n value". -ERR_INVAL with the reason. */
int options_parse(int argc, char *const *argv, struct options *out, struct err *err);
/* The command that the first operand names, if the rest fits it. -ERR_NOTFOUND no such command; -ERR_INVAL. */
int options_match(const struct options *o, const struct command *commands, size_t count, const struct command **out,
	struct err *err);
int options_help_all(const struct command *commands, size_t count, struct buf *out);
int options_help(const struct command *c, struct buf *out);

#endif
