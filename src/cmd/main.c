/* sluice: one program, a command for each thing that it does. */
#include "base/check.h"
#include "cmd/commands.h"

#include <stdio.h>

static int cmd_version(const struct options *o);
static int cmd_help(const struct options *o);

#define CONNECT_OPTIONS (OPT_BIT(data) | OPT_BIT(server) | OPT_BIT(user) | OPT_BIT(password_file) | OPT_BIT(json))

static const struct command commands[] = {
	{
		"serve",
		"",
		0,
		0,
		OPT_BIT(data) | OPT_BIT(config) | OPT_BIT(listen) | OPT_BIT(role),
		"run the server",
		"Runs the server: content at /pulp/content/, the REST API at /pulp/api/v3/, metrics at /metrics.\n"
		"Everything it keeps is in one directory, which is made if it is missing. Once it is ready it\n"
		"prints the address where it listens. SIGTERM or Ctrl-C lets responses in progress end; a second\n"
		"one does not.\n\n"
		"The first start makes the user admin. Its password is SLUICE_ADMIN_PASSWORD; without that, a\n"
		"random one is made and kept in client.json of the data directory, readable by you alone, where\n"
		"the other commands find it.\n\n"
		"Roles can be split over processes of one host: those that have neither api nor worker join the\n"
		"data directory of one that has, once that is up. The streamer listens on lazy.streamer_port of\n"
		"lazy.streamer_interface; one that is nothing else needs no --listen.\n\n"
		"Settings: `sluice config` prints them all, `sluice config --shipped` an example file.\n\n"
		"Examples:\n"
		"  sluice serve\n"
		"  sluice serve --role streamer\n"
		"  sluice serve --data /srv/mirror --listen 0.0.0.0:80,[::]:80\n"
		"  SLUICE_ADMIN_PASSWORD=secret sluice serve --data /srv/mirror\n"
		"  SLUICE_TASKS_WORKERS=4 sluice serve --config /etc/sluice/server.conf",
		cmd_serve,
	},
	{
		"mirror",
		"NAME URL",
		2,
		2,
		CONNECT_OPTIONS | OPT_BIT(policy) | OPT_BIT(mirror) | OPT_BIT(base_path) | OPT_BIT(format) |
			OPT_BIT(distributions) | OPT_BIT(components) | OPT_BIT(architectures),
		"mirror a repository: make it, sync it, serve it",
		"Makes a remote, a repository and a distribution called NAME, syncs, and prints the URL from which\n"
		"clients fetch. URL is that of the repository's manifest; to one that ends with '/', PULP_MANIFEST\n"
		"is added. Of rpm and deb repositories it is the directory that holds repodata/ or dists/.\n\n"
		"The command says what shall be: given again it changes what differs, and syncs what is new.\n"
		"`sluice sync NAME` is enough for the latter.\n\n"
		"Examples:\n"
		"  sluice mirror docs https://example.org/files/\n"
		"  sluice mirror docs https://example.org/files/PULP_MANIFEST --policy immediate\n"
		"  sluice mirror docs https://example.org/files/ --mirror --base-path site/docs\n"
		"  sluice mirror debian http://deb.example.org/debian/ --format deb --distributions \"bookworm "
		"bookworm-updates\" \\\n"
		"      --components main --architectures amd64\n"
		"  curl -O $(sluice mirror docs https://example.org/files/)README",
		cmd_mirror,
	},
	{
		"sync",
		"NAME",
		1,
		1,
		CONNECT_OPTIONS | OPT_BIT(mirror),
		"bring a repository up to date",
		"Reads the upstream of the repository NAME again, and waits until that is done. When there is\n"
		"nothing new it costs upstream one request. What was made with `sluice mirror --mirror` goes on\n"
		"dropping what upstream drops.\n\n"
		"Examples:\n"
		"  sluice sync docs\n"
		"  sluice sync docs --json",
		cmd_sync,
	},
	{
		"status",
		"",
		0,
		0,
		CONNECT_OPTIONS,
		"show whether the server is well and what it is doing",
		"Shows what the server consists of, what is online, how full the disk is, what is being downloaded,\n"
		"and how many tasks wait, run and have failed.\n\n"
		"Examples:\n"
		"  sluice status\n"
		"  sluice status --server http://mirror.example.org --password-file ~/.sluice-password",
		cmd_status,
	},
	{
		"flights",
		"",
		0,
		0,
		CONNECT_OPTIONS,
		"show the downloads in progress",
		"Shows each download in progress for clients: its number in the log, what it is doing, for how long,\n"
		"how many clients it feeds, its mean rate, how much has come, and from where.\n\n"
		"Examples:\n"
		"  sluice flights\n"
		"  sluice flights --json | jq -r '.[] | select(.age > 60) | .source'",
		cmd_flights,
	},
	{
		"sources",
		"",
		0,
		0,
		CONNECT_OPTIONS,
		"show how the upstreams fare",
		"Shows each upstream asked lately for clients: whether it is asked (up), left alone after failures\n"
		"(down) or being tested (probing), requests that run and wait, answers, the mean time to its first\n"
		"byte, and while it is left alone until when and why.\n\n"
		"Examples:\n"
		"  sluice sources\n"
		"  sluice sources --json | jq -r '.[] | select(.state != \"up\") | .origin'",
		cmd_sources,
	},
	{
		"reclaim",
		"[NAME…]",
		0,
		OPERANDS_MAX,
		CONNECT_OPTIONS | OPT_BIT(all) | OPT_BIT(dry_run) | OPT_BIT(keep_latest),
		"give back the disk space of saved artifacts that can be had again",
		"Turns saved artifacts of repositories (in any of their versions) back into lazy ones: the units "
		"stay,\n"
		"and the next client that asks has them downloaded again. Uploads, published metadata and what no\n"
		"source offers any more stay. Artifacts that another repository has, too, go for that one as well.\n\n"
		"Examples:\n"
		"  sluice reclaim docs --dry-run\n"
		"  sluice reclaim docs images\n"
		"  sluice reclaim --all --keep-latest",
		cmd_reclaim,
	},
	{
		"repo",
		"list",
		1,
		1,
		CONNECT_OPTIONS,
		"list the repositories",
		"Lists the repositories with their policy, latest version, number of units, and the URL from which\n"
		"clients fetch.\n\n"
		"Examples:\n"
		"  sluice repo list\n"
		"  sluice repo list --json | jq -r '.[].url'",
		cmd_repo,
	},
	{
		"config",
		"",
		0,
		0,
		OPT_BIT(data) | OPT_BIT(config) | OPT_BIT(listen) | OPT_BIT(role) | OPT_BIT(shipped) | OPT_BIT(json),
		"print the settings in force and where each comes from",
		"Prints every setting with its value and origin: the default, a line of server.conf, the\n"
		"environment (SLUICE_SECTION_KEY) or the command line. A wrong one is an error that names its place,\n"
		"as it would be for `sluice serve`.\n\n"
		"Examples:\n"
		"  sluice config\n"
		"  SLUICE_CONTENT_HOLDBACK=1M sluice config --config ./server.conf\n"
		"  sluice config --shipped > /etc/sluice/server.conf",
		cmd_config,
	},
	{
		"secrets",
		"rotate|forget",
		1,
		1,
		OPT_BIT(data) | OPT_BIT(config),
		"change the key of the secrets in the catalog",
		"What remotes log in with is sealed in the catalog, with a key in a file of its own (secrets.key in\n"
		"the data directory, or what server.secrets_key names). The server has to be stopped.\n\n"
		"rotate seals everything with a new key. It can be interrupted at any time, and called again.\n"
		"forget gives up what no key opens, when the file is lost: those remotes have no credentials then,\n"
		"until you set them again.\n\n"
		"Examples:\n"
		"  sluice secrets rotate\n"
		"  sluice secrets forget --data /var/lib/sluice",
		cmd_secrets,
	},
	{
		"version",
		"",
		0,
		0,
		0,
		"print the version",
		"Prints the version.",
		cmd_version,
	},
	{
		"help",
		"[COMMAND]",
		0,
		1,
		0,
		"explain a command",
		"Explains a command, or lists all.",
		cmd_help,
	},
	{
		"task-run",
		"UUID",
		1,
		1,
		OPT_BIT(data) | OPT_BIT(config) | OPT_BIT(listen),
		NULL,
		"Runs one task that a worker has claimed; the server starts it.",
		cmd_task_run,
	},
};

static int print_or_fail(struct buf *out)
{
	struct err err = ERR_INIT;
	int rc = commands_print(out, &err);

	buf_fini(out);
	return rc < 0 ? commands_fail("", rc, &err) : EXIT_OK;
}

static int cmd_version(const struct options *o)
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

static int cmd_help(const struct options *o)
{
	struct options wanted = {.operands = {o->operands[1]}, .operand_count = 1, .help = true};
	const struct command *c = NULL;
	struct buf out = BUF_INIT(0);
	struct err err = ERR_INIT;

	if (o->operand_count < 2) {
		options_help_all(commands, ARRAY_LEN(commands), &out);
		return print_or_fail(&out);
	}
	if (options_match(&wanted, commands, ARRAY_LEN(commands), &c, &err) < 0)
		return usage(&err);
	options_help(c, &out);
	return print_or_fail(&out);
}

int main(int argc, char **argv)
{
	const struct command *c = NULL;
	struct buf out = BUF_INIT(0);
	struct err err = ERR_INIT;
	struct options o;

	if (options_parse(argc, argv, &o, &err) < 0)
		return usage(&err);
	if (o.version)
		return cmd_version(&o);
	if (o.operand_count == 0) {
		options_help_all(commands, ARRAY_LEN(commands), &out);
		if (o.help)
			return print_or_fail(&out);
		fprintf(stderr, "%s", out.p != NULL ? out.p : "");
		buf_fini(&out);
		return EXIT_USAGE;
	}
	if (options_match(&o, commands, ARRAY_LEN(commands), &c, &err) < 0)
		return usage(&err);
	if (!o.help)
		return c->run(&o);
	options_help(c, &out);
	return print_or_fail(&out);
}
