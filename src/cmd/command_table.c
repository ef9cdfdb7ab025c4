/* Every command with its operands, options and help: what the parser, the help, the manual pages and completion are made of. */
#include "base/check.h"
#include "cmd/commands.h"
#include "cmd/objects.h"

#define CONNECT_OPTIONS (OPT_BIT(data) | OPT_BIT(server) | OPT_BIT(user) | OPT_BIT(password_file) | OPT_BIT(json))

static const struct command commands[] = {
#include "cmd/commands_server.inc"

#include "cmd/commands_objects.inc"

#include "cmd/commands_content.inc"
};

static const struct noun nouns[] = {
	{"repo", "repositories", "A repository is a named sequence of versions, each a set of content."},
	{"remote", "upstreams", "A remote is an upstream: where it is, and how content is fetched from there."},
	{"distribution", "where clients find repositories",
		"A distribution is a path below /pulp/content/ at which clients find a repository."},
	{"guard", "who may read", "A content guard says who may read what a distribution serves."},
	{"acs", "alternate content sources",
		"An alternate content source is a nearer or cheaper place that holds the same bytes."},
	{"content", "units of content", "Content is what repositories hold: packages, files, advisories."},
	{"orphans", "content that nothing needs",
		"Orphans are units that no version of a repository holds, and saved files that no unit needs."},
	{"task", "background work", "Tasks are what the server does in the background: syncs, publishing, deletions."},
};

const struct command_table command_table = {commands, ARRAY_LEN(commands), nouns, ARRAY_LEN(nouns)};
