/* sluice: one program, a command for each thing that it does. */
#include "base/check.h"
#include "cmd/commands.h"
#include "cmd/objects.h"

#include <stdio.h>

#define CONNECT_OPTIONS (OPT_BIT(data) | OPT_BIT(server) | OPT_BIT(user) | OPT_BIT(password_file) | OPT_BIT(json))

static const struct command commands[] = {
	{
		.group = GROUP_SERVER,
		.name = "serve",
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
		.group = GROUP_MIRROR,
		.name = "mirror",
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
		.group = GROUP_MIRROR,
		.name = "sync",
		"REPOSITORY",
		1,
		1,
		CONNECT_OPTIONS | OPT_BIT(mirror),
		"bring a repository up to date",
		"Reads the upstream of a repository again, and waits until that is done. When there is\n"
		"nothing new it costs upstream one request. What was made with `sluice mirror --mirror` goes on\n"
		"dropping what upstream drops.\n\n"
		"Examples:\n"
		"  sluice sync docs\n"
		"  sluice sync docs --json",
		cmd_sync,
	},
	{
		.group = GROUP_WATCH,
		.name = "status",
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
		.group = GROUP_WATCH,
		.name = "flights",
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
		.group = GROUP_WATCH,
		.name = "sources",
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
		.group = GROUP_SPACE,
		.name = "reclaim",
		"[REPOSITORY…]",
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
		.group = GROUP_OBJECTS,
		.kind = &kind_repository,
		.fields = label_filters,
		.name = "repo list",
		"",
		0,
		0,
		CONNECT_OPTIONS,
		"list the repositories",
		"Lists the repositories with their policy, latest version, number of units, and the URL from which\n"
		"clients fetch.\n\n"
		"Examples:\n"
		"  sluice repo list\n"
		"  sluice repo list --label-select env=test\n"
		"  sluice repo list --json | jq -r '.[].url'",
		cmd_repo,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_repository,
		.name = "repo show",
		"REPOSITORY",
		1,
		1,
		CONNECT_OPTIONS,
		"show all that is set of one",
		"Shows a repository as the API does.\n\n"
		"Examples:\n"
		"  sluice repo show docs\n"
		"  sluice repo show docs --json | jq .latest_version_href",
		objects_show,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_repository,
		.fields = repository_fields,
		.name = "repo create",
		"NAME",
		1,
		1,
		CONNECT_OPTIONS | OPT_BIT(format),
		"make an empty one",
		"Makes an empty repository and prints its href. `sluice sync NAME` fills it from its remote, `sluice\n"
		"content upload` with files. Clients see it once it is published (--autopublish yes) and there is a\n"
		"distribution.\n\n"
		"Examples:\n"
		"  sluice repo create uploads --autopublish yes\n"
		"  sluice repo create alma --format rpm --remote alma --autopublish yes --retain-versions 5",
		objects_create,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_repository,
		.fields = repository_fields,
		.name = "repo update",
		"REPOSITORY",
		1,
		1,
		CONNECT_OPTIONS,
		"change one",
		"Changes what the options say, and nothing else. '' as a value takes one away.\n\n"
		"Examples:\n"
		"  sluice repo update docs --retain-versions 3 --label env=test\n"
		"  sluice repo update docs --remote ''",
		objects_update,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_repository,
		.name = "repo versions",
		"REPOSITORY",
		1,
		1,
		CONNECT_OPTIONS,
		"list its versions",
		"Lists the versions of a repository, the newest first: when each was made, and how many units it "
		"added,\n"
		"removed and has.\n"
		"\n"
		"Examples:\n"
		"  sluice repo versions docs",
		cmd_repo_versions,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_repository,
		.name = "repo add",
		"REPOSITORY CONTENT…",
		2,
		OPERANDS_MAX,
		CONNECT_OPTIONS,
		"add units to one",
		"Makes a new version with these units as well; they are named by href or by the SHA-256 of their "
		"file.\n"
		"\n"
		"Examples:\n"
		"  sluice repo add stable $(sluice content list --repository docs --path README --json | jq -r "
		"'.[].pulp_href')",
		cmd_repo_add,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_repository,
		.name = "repo remove",
		"REPOSITORY CONTENT…",
		2,
		OPERANDS_MAX,
		CONNECT_OPTIONS,
		"take units out of one",
		"Makes a new version without these units; they are named by href or by the SHA-256 of their file.\n"
		"\n"
		"Examples:\n"
		"  sluice repo remove docs $(sha256sum README | cut -d' ' -f1)",
		cmd_repo_remove,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_repository,
		.name = "repo publish",
		"REPOSITORY",
		1,
		1,
		CONNECT_OPTIONS,
		"publish its newest version",
		"Makes the metadata that clients read, of the newest version, and has distributions serve it. A "
		"repository\n"
		"with --autopublish yes does so by itself.\n"
		"\n"
		"Examples:\n"
		"  sluice repo publish docs",
		cmd_repo_publish,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_repository,
		.name = "repo delete",
		"REPOSITORY…",
		1,
		OPERANDS_MAX,
		CONNECT_OPTIONS | OPT_BIT(yes),
		"delete some",
		"Deletes repositories with all their versions. Their content stays until `sluice orphans cleanup`.\n\n"
		"Examples:\n"
		"  sluice repo delete docs\n"
		"  sluice repo delete docs images --yes",
		objects_delete,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_remote,
		.fields = label_filters,
		.name = "remote list",
		"",
		0,
		0,
		CONNECT_OPTIONS | OPT_BIT(format) | OPT_BIT(limit),
		"list them",
		"Lists remotes with their policy and URL.\n\n"
		"Examples:\n"
		"  sluice remote list\n"
		"  sluice remote list --format deb --label-select env=test",
		objects_list,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_remote,
		.name = "remote show",
		"REMOTE",
		1,
		1,
		CONNECT_OPTIONS,
		"show all that is set of one",
		"Shows a remote as the API does. Passwords and keys are never shown, only whether they are set.\n\n"
		"Examples:\n"
		"  sluice remote show docs",
		objects_show,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_remote,
		.fields = remote_fields,
		.name = "remote create",
		"NAME",
		1,
		1,
		CONNECT_OPTIONS | OPT_BIT(format),
		"make one",
		"Makes a remote: where content comes from and how it is fetched. Passwords come from files, or from\n"
		"standard input (-), for the command line of a process can be read by everybody.\n\n"
		"Examples:\n"
		"  sluice remote create docs --url https://example.org/files/PULP_MANIFEST\n"
		"  sluice remote create alma --format rpm --url https://repo.example.org/alma/9/BaseOS/x86_64/os/ \\\n"
		"      --client-cert client.pem --client-key client.key\n"
		"  sluice remote create debian --format deb --url http://deb.example.org/debian/ --distributions "
		"bookworm \\\n"
		"      --components main --architectures amd64 --gpgkey archive-key.asc\n"
		"  sluice remote create internal --url https://files.internal/PULP_MANIFEST --upstream-user mirror \\\n"
		"      --upstream-password-file - < password",
		objects_create,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_remote,
		.fields = remote_fields,
		.name = "remote update",
		"REMOTE",
		1,
		1,
		CONNECT_OPTIONS,
		"change one",
		"Changes what the options say, and nothing else. '' as a value takes one away. A changed policy "
		"counts\n"
		"from the next sync on.\n\n"
		"Examples:\n"
		"  sluice remote update docs --policy immediate\n"
		"  sluice remote update docs --proxy-url http://proxy.example.org:3128 --rate-limit 20\n"
		"  sluice remote update docs --proxy-url ''",
		objects_update,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_remote,
		.name = "remote delete",
		"REMOTE…",
		1,
		OPERANDS_MAX,
		CONNECT_OPTIONS | OPT_BIT(yes),
		"delete some",
		"Deletes remotes. What is saved goes on being served; what is not, and has no other source, is not\n"
		"found any more.\n\n"
		"Examples:\n"
		"  sluice remote delete docs",
		objects_delete,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_distribution,
		.fields = label_filters,
		.name = "distribution list",
		"",
		0,
		0,
		CONNECT_OPTIONS | OPT_BIT(format) | OPT_BIT(limit),
		"list them",
		"Lists distributions with the URL from which clients fetch.\n\n"
		"Examples:\n"
		"  sluice distribution list\n"
		"  sluice distribution list --json | jq -r '.[].base_path'",
		objects_list,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_distribution,
		.name = "distribution show",
		"DISTRIBUTION",
		1,
		1,
		CONNECT_OPTIONS,
		"show all that is set of one",
		"Shows a distribution as the API does.\n\n"
		"Examples:\n"
		"  sluice distribution show docs",
		objects_show,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_distribution,
		.fields = distribution_fields,
		.name = "distribution create",
		"NAME",
		1,
		1,
		CONNECT_OPTIONS | OPT_BIT(format),
		"make one",
		"Makes a distribution: a path below /pulp/content/ at which clients find a repository.\n\n"
		"Examples:\n"
		"  sluice distribution create docs --repository docs\n"
		"  sluice distribution create stable --base-path site/stable --repository-version docs/3 --guard staff",
		objects_create,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_distribution,
		.fields = distribution_fields,
		.name = "distribution update",
		"DISTRIBUTION",
		1,
		1,
		CONNECT_OPTIONS,
		"change one",
		"Changes what the options say, and nothing else. '' as a value takes one away. It serves one thing: "
		"to\n"
		"have it serve another one, take away what it serves in the same command.\n\n"
		"Examples:\n"
		"  sluice distribution update docs --guard staff\n"
		"  sluice distribution update docs --guard ''\n"
		"  sluice distribution update docs --repository '' --repository-version docs/2",
		objects_update,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_distribution,
		.name = "distribution delete",
		"DISTRIBUTION…",
		1,
		OPERANDS_MAX,
		CONNECT_OPTIONS | OPT_BIT(yes),
		"delete some",
		"Deletes distributions: clients find nothing there any more. The repositories stay.\n\n"
		"Examples:\n"
		"  sluice distribution delete docs",
		objects_delete,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_guard,
		.fields = name_filters,
		.name = "guard list",
		"",
		0,
		0,
		CONNECT_OPTIONS | OPT_BIT(type) | OPT_BIT(limit),
		"list them",
		"Lists content guards.\n\n"
		"Examples:\n"
		"  sluice guard list\n"
		"  sluice guard list --type x509",
		objects_list,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_guard,
		.name = "guard show",
		"GUARD",
		1,
		1,
		CONNECT_OPTIONS,
		"show all that is set of one",
		"Shows a content guard as the API does.\n\n"
		"Examples:\n"
		"  sluice guard show staff",
		objects_show,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_guard,
		.fields = guard_fields,
		.name = "guard create",
		"NAME",
		1,
		1,
		CONNECT_OPTIONS | OPT_BIT(type),
		"make one",
		"Makes a content guard: who may read what a distribution serves. Types:\n"
		"  x509       who has a certificate of these authorities\n"
		"  rhsm       the same, for the paths that the certificate entitles to\n"
		"  header     whose request has a field with this value\n"
		"  rbac       users that `sluice guard allow` names\n"
		"  composite  whom any of its members lets pass\n"
		"  redirect   who has a URL that was signed with `sluice guard sign`\n\n"
		"Examples:\n"
		"  sluice guard create staff --type x509 --ca-cert ca.pem\n"
		"  sluice guard create either --type composite --member staff --member robots\n"
		"  sluice distribution update docs --guard staff",
		objects_create,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_guard,
		.fields = guard_fields,
		.name = "guard update",
		"GUARD",
		1,
		1,
		CONNECT_OPTIONS,
		"change one",
		"Changes what the options say, and nothing else. '' as a value takes one away.\n\n"
		"Examples:\n"
		"  sluice guard update staff --ca-cert new-ca.pem --crl revoked.pem",
		objects_update,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_guard,
		.name = "guard allow",
		"GUARD USER…",
		2,
		OPERANDS_MAX,
		CONNECT_OPTIONS,
		"let users pass",
		"Lets users pass an rbac guard.\n"
		"\n"
		"Examples:\n"
		"  sluice guard allow staff alice bob",
		cmd_guard_allow,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_guard,
		.name = "guard deny",
		"GUARD USER…",
		2,
		OPERANDS_MAX,
		CONNECT_OPTIONS,
		"let users pass no more",
		"Takes back what `sluice guard allow` gave.\n"
		"\n"
		"Examples:\n"
		"  sluice guard deny staff bob",
		cmd_guard_deny,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_guard,
		.fields = sign_fields,
		.name = "guard sign",
		"GUARD URL",
		2,
		2,
		CONNECT_OPTIONS,
		"sign a URL",
		"Prints a URL that a redirect guard lets pass for a while, whoever has it.\n"
		"\n"
		"Examples:\n"
		"  sluice guard sign links http://mirror.example.org/pulp/content/docs/README --valid 600",
		cmd_guard_sign,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_guard,
		.name = "guard delete",
		"GUARD…",
		1,
		OPERANDS_MAX,
		CONNECT_OPTIONS | OPT_BIT(yes),
		"delete some",
		"Deletes content guards. One that a distribution has cannot be deleted.\n\n"
		"Examples:\n"
		"  sluice guard delete staff",
		objects_delete,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_acs,
		.fields = name_filters,
		.name = "acs list",
		"",
		0,
		0,
		CONNECT_OPTIONS | OPT_BIT(format) | OPT_BIT(limit),
		"list them",
		"Lists alternate content sources.\n\n"
		"Examples:\n"
		"  sluice acs list",
		objects_list,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_acs,
		.name = "acs show",
		"ACS",
		1,
		1,
		CONNECT_OPTIONS,
		"show all that is set of one",
		"Shows an alternate content source as the API does.\n\n"
		"Examples:\n"
		"  sluice acs show nearby",
		objects_show,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_acs,
		.fields = acs_fields,
		.name = "acs create",
		"NAME",
		1,
		1,
		CONNECT_OPTIONS | OPT_BIT(format),
		"make one",
		"Makes an alternate content source: a nearer or cheaper place that holds the same bytes.\n\n"
		"Examples:\n"
		"  sluice remote create nearby --url file:///srv/dvd/PULP_MANIFEST\n"
		"  sluice acs create nearby --remote nearby",
		objects_create,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_acs,
		.fields = acs_fields,
		.name = "acs update",
		"ACS",
		1,
		1,
		CONNECT_OPTIONS,
		"change one",
		"Changes what the options say, and nothing else.\n\n"
		"Examples:\n"
		"  sluice acs update nearby --subpath a/PULP_MANIFEST --subpath b/PULP_MANIFEST",
		objects_update,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_acs,
		.name = "acs refresh",
		"ACS",
		1,
		1,
		CONNECT_OPTIONS,
		"catalog what it holds",
		"Reads what an alternate content source holds, without downloading it. What is fetched later and is "
		"there\n"
		"is taken from there.\n"
		"\n"
		"Examples:\n"
		"  sluice acs refresh nearby",
		cmd_acs_refresh,
	},
	{
		.group = GROUP_OBJECTS,
		.kind = &kind_acs,
		.name = "acs delete",
		"ACS…",
		1,
		OPERANDS_MAX,
		CONNECT_OPTIONS | OPT_BIT(yes),
		"delete some",
		"Deletes alternate content sources. What was saved from them stays.\n\n"
		"Examples:\n"
		"  sluice acs delete nearby",
		objects_delete,
	},
	{
		.group = GROUP_SPACE,
		.kind = &kind_content,
		.fields = content_filters,
		.name = "content list",
		"",
		0,
		0,
		CONNECT_OPTIONS | OPT_BIT(type) | OPT_BIT(limit),
		"list units",
		"Lists units of content, 100 unless --limit says otherwise, and whether their files are saved.\n\n"
		"Examples:\n"
		"  sluice content list --repository docs --path-contains .pdf\n"
		"  sluice content list --type rpm --repository-version alma/3 --limit 0 --json",
		objects_list,
	},
	{
		.group = GROUP_SPACE,
		.kind = &kind_content,
		.name = "content show",
		"CONTENT",
		1,
		1,
		CONNECT_OPTIONS,
		"show all that is known of one",
		"Shows a unit, which its href or the SHA-256 of its file names.\n\n"
		"Examples:\n"
		"  sluice content show $(sha256sum README | cut -d' ' -f1)",
		objects_show,
	},
	{
		.group = GROUP_SPACE,
		.kind = &kind_content,
		.name = "content where",
		"CONTENT",
		1,
		1,
		CONNECT_OPTIONS,
		"show what has one",
		"Lists the repositories that have a unit, in their newest or in older versions, and the distributions "
		"that\n"
		"serve it. Its href or the SHA-256 of its file names it.\n"
		"\n"
		"Examples:\n"
		"  sluice content where $(sha256sum README | cut -d' ' -f1)",
		cmd_content_where,
	},
	{
		.group = GROUP_SPACE,
		.kind = &kind_content,
		.fields = upload_fields,
		.name = "content upload",
		"FILE…",
		1,
		OPERANDS_MAX,
		CONNECT_OPTIONS | OPT_BIT(type) | OPT_BIT(chunk_size),
		"upload files",
		"Uploads files, large ones in chunks, and prints the hrefs of the units that they became. With "
		"--repository\n"
		"each one makes a new version of it. Which types take files is for the server to say.\n"
		"\n"
		"Examples:\n"
		"  sluice content upload report.pdf --repository uploads\n"
		"  sluice content upload disk.img --repository uploads --path images/2026/disk.img --chunk-size 64",
		cmd_content_upload,
	},
	{
		.group = GROUP_SPACE,
		.kind = &kind_repository,
		.fields = warm_fields,
		.name = "warm",
		"REPOSITORY",
		1,
		1,
		CONNECT_OPTIONS,
		"fetch artifacts ahead of clients",
		"Fetches what is not saved yet of a repository's latest version, beside what clients ask for, and\n"
		"waits. Syncs go on meanwhile. What is done stays when it is stopped (`sluice task cancel`), and the\n"
		"next time only the rest is fetched. With a quota it ends where something that is used would have\n"
		"to go.\n\n"
		"Examples:\n"
		"  sluice warm alma\n"
		"  sluice warm alma --what used --used-within 90\n"
		"  sluice warm debian --bytes-per-second 5000000",
		cmd_warm,
	},
	{
		.group = GROUP_SPACE,
		.kind = &kind_repository,
		.fields = repair_fields,
		.name = "repair",
		"[REPOSITORY]",
		0,
		1,
		CONNECT_OPTIONS,
		"find damaged and lost files, and download them anew",
		"Reads everything that is saved, or what the latest version of a repository has of it, and compares\n"
		"it with its digests. What is damaged is taken away, and with what is lost downloaded from any\n"
		"source.\n\n"
		"Examples:\n"
		"  sluice repair\n"
		"  sluice repair alma --verify-checksums no",
		cmd_repair,
	},
	{
		.group = GROUP_SPACE,
		.fields = orphan_fields,
		.name = "orphans cleanup",
		"",
		0,
		0,
		CONNECT_OPTIONS | OPT_BIT(yes),
		"delete content that no version holds",
		"Deletes units that no version of a repository holds, and the saved files that nothing needs any "
		"more.\n"
		"\n"
		"Examples:\n"
		"  sluice orphans cleanup\n"
		"  sluice orphans cleanup --protection 0 --yes",
		cmd_orphans_cleanup,
	},
	{
		.group = GROUP_WATCH,
		.kind = &kind_task,
		.fields = task_filters,
		.name = "task list",
		"",
		0,
		0,
		CONNECT_OPTIONS | OPT_BIT(limit),
		"list them",
		"Lists tasks, the newest first, 50 unless --limit says otherwise.\n\n"
		"Examples:\n"
		"  sluice task list --state running,waiting\n"
		"  sluice task list --repository docs",
		objects_list,
	},
	{
		.group = GROUP_WATCH,
		.kind = &kind_task,
		.name = "task show",
		"TASK",
		1,
		1,
		CONNECT_OPTIONS,
		"show all that is known of one",
		"Shows a task, which its UUID or href names: what it did and why it failed.\n\n"
		"Examples:\n"
		"  sluice task show 019ad2a1-4b6c-7000-8000-000000000000",
		objects_show,
	},
	{
		.group = GROUP_WATCH,
		.kind = &kind_task,
		.name = "task follow",
		"TASK",
		1,
		1,
		CONNECT_OPTIONS,
		"wait until one has ended",
		"Shows the progress of a task until it has ended. The exit code says whether it completed.\n"
		"\n"
		"Examples:\n"
		"  sluice task follow 019ad2a1-4b6c-7000-8000-000000000000",
		cmd_task_follow,
	},
	{
		.group = GROUP_WATCH,
		.kind = &kind_task,
		.name = "task cancel",
		"TASK",
		1,
		1,
		CONNECT_OPTIONS,
		"stop one",
		"Cancels a task that waits or runs.\n"
		"\n"
		"Examples:\n"
		"  sluice task cancel 019ad2a1-4b6c-7000-8000-000000000000",
		cmd_task_cancel,
	},
	{
		.group = GROUP_SERVER,
		.name = "signing-service",
		"list|add|check|remove [NAME [PROGRAM KEYFILE]]",
		1,
		4,
		OPT_BIT(data) | OPT_BIT(config) | OPT_BIT(json),
		"manage the programs that sign published metadata",
		"Adds a program that signs metadata with a key of yours, tries one, lists or removes them. It works "
		"on\n"
		"the data directory, on the server's machine and as its user, and needs no restart of the server.\n\n"
		"PROGRAM gets the path of a file, signs it with the key whose fingerprint is in\n"
		"PULP_SIGNING_KEY_FINGERPRINT, and prints where the result is, as JSON:\n"
		"{\"signatures\": {\"inline\": PATH, \"detached\": PATH}} for deb, {\"signature\": PATH} for rpm.\n"
		"KEYFILE holds the public key, armoured. What the program makes is checked with it (by gpgv) when the\n"
		"service is added, and again each time.\n\n"
		"Examples:\n"
		"  sluice signing-service add releases /usr/local/bin/sign-release key.asc\n"
		"  sluice signing-service check releases\n"
		"  sluice signing-service list --json",
		cmd_signing_service,
	},
	{
		.group = GROUP_SERVER,
		.name = "config",
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
		.group = GROUP_SERVER,
		.name = "secrets",
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
		"[COMMAND…]",
		0,
		2,
		0,
		"explain a command",
		"Explains a command, or lists all.",
		cmd_help,
	},
	{
		"manual",
		"DIR",
		1,
		1,
		0,
		NULL,
		"Writes the manual pages into a directory; the build calls it.",
		cmd_manual,
	},
	{
		"complete",
		"WORD…",
		0,
		OPERANDS_MAX,
		0,
		NULL,
		"Lists what the last word can become; shells call it.",
		cmd_complete,
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
