/* Remotes, repositories, publications, distributions and versions over the REST API: request by request. */
#include "fixture.h"

#include "catalog/served.h"

#include <stdio.h>

#define REMOTES "remotes/file/file/"
#define REPOS "repositories/file/file/"
#define DISTS "distributions/file/file/"
#define PUBS "publications/file/file/"

static void test_a_remote_from_create_to_delete(void **state)
{
	struct fixture *f = *state;

	PLAY(f,
		{"POST", REMOTES, "{\"name\":\"a\",\"url\":\"http://h/M\"}", 201,
			"{\"name\":\"a\",\"url\":\"http://h/"
			"M\",\"policy\":\"immediate\",\"tls_validation\":true,\"pulp_labels\":{},"
			"\"ca_cert\":null,\"max_retries\":null,\"total_timeout\":null,\"headers\":[],\"hidden_fields\":"
			"["
			"{\"name\":\"client_key\",\"is_set\":false},{\"name\":\"proxy_username\",\"is_set\":false},"
			"{\"name\":\"proxy_password\",\"is_set\":false},{\"name\":\"username\",\"is_set\":false},"
			"{\"name\":\"password\",\"is_set\":false}]}",
			"r=pulp_href"},
		{"GET", "{r}", NULL, 200, "{\"name\":\"a\",\"pulp_href\":\"{r}\"}", "prn=prn"},
		{"PATCH", "{r}", "{\"url\":\"http://h/M\"}", 200, "{\"name\":\"a\"}", NULL},
		{"PATCH", "{r}", "{\"url\":\"http://h/N\",\"username\":\"u\",\"password\":\" p \"}", 202, NULL,
			"t=task"},
		{"GET", "{t}", NULL, 200,
			"{\"state\":\"completed\",\"name\":\"pulpcore.app.tasks.base.ageneral_update\",\"error\":null,"
			"\"result\":{\"url\":\"http://h/N\",\"pulp_href\":\"{r}\"}}",
			NULL},
		{"GET", "{r}", NULL, 200,
			"{\"url\":\"http://h/N\",\"hidden_fields\":[{\"name\":\"client_key\",\"is_set\":false},"
			"{\"name\":\"proxy_username\",\"is_set\":false},{\"name\":\"proxy_password\",\"is_set\":false},"
			"{\"name\":\"username\",\"is_set\":true},{\"name\":\"password\",\"is_set\":true}]}",
			NULL},
		/* a PUT keeps secrets and resets what has a default */
		{"PATCH", "{r}", "{\"policy\":\"streamed\",\"max_retries\":5,\"total_timeout\":1.5}", 202, NULL, NULL},
		{"PUT", "{r}", "{\"name\":\"a\",\"url\":\"http://h/N\"}", 202, NULL, NULL},
		{"GET", "{r}", NULL, 200, "{\"policy\":\"immediate\",\"max_retries\":5,\"total_timeout\":1.5}", NULL},
		{"GET", "tasks/?reserved_resources={r}&state=completed", NULL, 200, "{\"count\":3}", NULL},
		{"GET", "tasks/?exclusive_resources={prn}&limit=1&fields=reserved_resources_record,name", NULL, 200,
			"{\"count\":3}", NULL},
		{"DELETE", "{r}", NULL, 202, NULL, "t=task"},
		{"GET", "{t}", NULL, 200, "{\"state\":\"waiting\"}", NULL}, {"GET", "{r}", NULL, 200, NULL, NULL});
	work(f);
	PLAY(f,
		{"GET", "{t}", NULL, 200,
			"{\"state\":\"completed\",\"name\":\"pulpcore.app.tasks.base.general_multi_delete\"}", NULL},
		{"GET", "{r}", NULL, 404, "={\"detail\":\"No FileRemote matches the given query.\"}", NULL},
		{"DELETE", "{r}", NULL, 404, NULL, NULL}, {"PATCH", "{r}", "{\"name\":\"b\"}", 404, NULL, NULL});
}

/* What GET gave may be put back as it is: read-only fields are ignored, nothing changes. */
static void test_a_put_of_what_get_gave_changes_nothing(void **state)
{
	struct fixture *f = *state;

	PLAY(f,
		{"POST", REMOTES, "{\"name\":\"a\",\"url\":\"http://h/M\",\"total_timeout\":3}", 201, NULL,
			"all=pulp_href"},
		{"GET", "{all}", NULL, 200, NULL, "r=pulp_href"}, {"GET", REMOTES, NULL, 200, NULL, "body=results.0"},
		{"PUT", "{r}", "{body}", 200, "{\"pulp_href\":\"{r}\",\"total_timeout\":3.0}", NULL},
		{"POST", REPOS, "{\"name\":\"a\",\"remote\":\"{r}\"}", 201, NULL, "repo=pulp_href"},
		{"GET", REPOS, NULL, 200, NULL, "body=results.0"}, {"PUT", "{repo}", "{body}", 200, NULL, NULL},
		{"GET", "tasks/", NULL, 200, "{\"count\":0}", NULL});
}

static const struct {
	const char *body, *want;
} refused_remotes[] = {
	{"{}", "{\"name\":[\"This field is required.\"],\"url\":[\"This field is required.\"]}"},
	{"{\"name\":\"\",\"url\":\"http://h/\"}", "{\"name\":[\"This field may not be blank.\"]}"},
	{"{\"name\":\"  \",\"url\":\"http://h/\"}", "{\"name\":[\"This field may not be blank.\"]}"},
	{"{\"name\":null,\"url\":\"http://h/\"}", "{\"name\":[\"This field may not be null.\"]}"},
	{"{\"name\":{},\"url\":[]}", "{\"name\":[\"Not a valid string.\"],\"url\":[\"Not a valid string.\"]}"},
	{"{\"name\":true,\"url\":\"http://h/\"}", "{\"name\":[\"Not a valid string.\"]}"},
	{"{\"name\":\"taken\",\"url\":\"http://h/\"}", "{\"name\":[\"This field must be unique.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"polcy\":1}", "{\"polcy\":[\"Unexpected field\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"policy\":\"lazy\"}",
		"{\"policy\":[\"\\\"lazy\\\" is not a valid choice.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"policy\":3}", "{\"policy\":[\"\\\"3\\\" is not a valid choice.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"policy\":null}", "{\"policy\":[\"This field may not be null.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"download_concurrency\":0}",
		"{\"download_concurrency\":[\"Ensure this value is greater than or equal to 1.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"download_concurrency\":1.5}",
		"{\"download_concurrency\":[\"A valid integer is required.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"max_retries\":\"many\"}",
		"{\"max_retries\":[\"A valid integer is required.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"max_retries\":true}",
		"{\"max_retries\":[\"A valid integer is required.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"rate_limit\":99999999999}",
		"{\"rate_limit\":[\"Ensure this value is less than or equal to 2147483647.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"total_timeout\":-1}",
		"{\"total_timeout\":[\"Ensure this value is greater than or equal to 0.0.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"total_timeout\":\"nan\"}",
		"{\"total_timeout\":[\"A valid number is required.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"tls_validation\":\"maybe\"}",
		"{\"tls_validation\":[\"Must be a valid boolean.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"tls_validation\":2}",
		"{\"tls_validation\":[\"Must be a valid boolean.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"headers\":null}", "{\"headers\":[\"This field may not be null.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"headers\":{\"a\":\"b\"}}",
		"{\"headers\":[\"Expected a list of items but got type \\\"dict\\\".\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"headers\":[{\"a\":\"b\\r\\nc: d\"}]}",
		"{\"headers\":{\"0\":[\"Not a valid header.\"]}}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"pulp_labels\":[]}",
		"{\"pulp_labels\":[\"Expected a dictionary of items but got type \\\"list\\\".\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"pulp_labels\":{\"k\":1}}",
		"{\"pulp_labels\":{\"k\":[\"Not a valid string.\"]}}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"pulp_labels\":{\"k!\":\"v\"}}",
		"{\"pulp_labels\":[\"Key 'k!' contains non-alphanumerics.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"pulp_labels\":{\"k\":\"(v\"}}",
		"{\"pulp_labels\":[\"Value cannot contain '(' or ')'.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"proxy_url\":\"http://u:p@h/\"}",
		"{\"proxy_url\":[\"proxy_url must not contain credentials\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"proxy_username\":\"u\",\"proxy_password\":\"p\"}",
		"{\"non_field_errors\":[\"proxy credentials cannot be specified without a proxy\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"proxy_url\":\"http://p/\",\"proxy_username\":\"u\"}",
		"{\"non_field_errors\":[\"proxy username and password can only be specified together\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"ca_cert\":\"no\"}",
		"{\"ca_cert\":[\"Must be PEM encoded X.509 certificate.\"]}"},
	{"{\"name\":\"x\",\"url\":\"http://h/\",\"client_cert\":\"-----BEGIN RSA PRIVATE KEY-----\\nProc-Type: "
	 "4,ENCRYPTED\\nDEK-Info: "
	 "DES-EDE3-CBC,0102030405060708\\n\\nAAAA\\n-----END RSA PRIVATE KEY-----\\n\"}",
		"{\"client_cert\":[\"Must be PEM encoded X.509 certificate.\"]}"},
	{"[]", "{\"non_field_errors\":[\"Invalid data. Expected a dictionary, but got list.\"]}"},
	{"\"x\"", "{\"non_field_errors\":[\"Invalid data. Expected a dictionary, but got str.\"]}"},
	{"7", "{\"non_field_errors\":[\"Invalid data. Expected a dictionary, but got int.\"]}"},
	{"null", "{\"non_field_errors\":[\"No data provided\"]}"},
};

static void test_messages_of_refused_remotes(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"POST", REMOTES, "{\"name\":\"taken\",\"url\":\"http://h/\"}", 201, NULL, NULL});
	for (size_t i = 0; i < sizeof(refused_remotes) / sizeof(*refused_remotes); i++) {
		char want[512] = "=";

		strcat(want, refused_remotes[i].want);
		PLAY(f, {"POST", REMOTES, refused_remotes[i].body, 400, want, NULL});
	}
	PLAY(f, {"GET", REMOTES, NULL, 200, "{\"count\":1}", NULL},
		{"GET", "tasks/", NULL, 200, "{\"count\":0}", NULL});
}

static void test_urls_with_secrets_or_outside_the_import_paths(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;

	PLAY(f, {"POST", REMOTES, "{\"name\":\"a\",\"url\":\"http://u:p@h/M\"}", 400, "~username or password", NULL},
		{"POST", REMOTES, "{\"name\":\"a\",\"url\":\"ftp://h/M\"}", 400, "~{\"url\":[\"", NULL},
		{"POST", REMOTES, "{\"name\":\"a\",\"url\":\"file:///srv/a/M\"}", 400, "~not an allowed import path",
			NULL});
	assert_int_equal(
		settings_set(&f->settings, "content", "allowed_import_paths", SLICE("/srv/a/, /mnt"), "test", &err), 0);
	PLAY(f, {"POST", REMOTES, "{\"name\":\"a\",\"url\":\"file:///srv/a/M\"}", 201, NULL, NULL},
		{"POST", REMOTES, "{\"name\":\"b\",\"url\":\"file:///srv/ab/M\"}", 400, NULL, NULL},
		{"POST", REMOTES, "{\"name\":\"b\",\"url\":\"file:///srv/a/../b/M\"}", 400, NULL, NULL},
		{"POST", REMOTES, "{\"name\":\"b\",\"url\":\"file:///mnt/x\"}", 201, NULL, NULL});
}

static void test_a_repository_and_its_actions(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"POST", REMOTES, "{\"name\":\"m\",\"url\":\"http://h/M\"}", 201, NULL, "m=pulp_href"},
		{"GET", "{m}", NULL, 200, NULL, "mprn=prn"},
		{"POST", "remotes/box/box/", "{\"name\":\"x\",\"url\":\"http://h/\",\"suite\":\"s\"}", 201, NULL,
			"box=pulp_href"},
		{"POST", REPOS, "{\"name\":\"r\",\"description\":null}", 201,
			"{\"name\":\"r\",\"description\":null,\"remote\":null,\"autopublish\":false,\"manifest\":"
			"\"PULP_MANIFEST\","
			"\"retain_repo_versions\":null,\"retain_checkpoints\":null,\"last_sync_details\":{}}",
			"r=pulp_href"},
		{"GET", "{r}", NULL, 200,
			"{\"versions_href\":\"{r}versions/\",\"latest_version_href\":\"{r}versions/0/\"}", "rprn=prn"},
		{"GET", "{r}versions/0/", NULL, 200,
			"{\"number\":0,\"repository\":\"{r}\",\"base_version\":null,\"pulp_href\":\"{r}versions/0/\","
			"\"content_summary\":{\"added\":{},\"removed\":{},\"present\":{}}}",
			"v0prn=prn"},
		{"GET", "{r}versions/1/", NULL, 404, "={\"detail\":\"No RepositoryVersion matches the given query.\"}",
			NULL},
		{"GET", "{r}versions/x/", NULL, 404, NULL, NULL},
		{"GET", "repository_versions/?repository_version=1", NULL, 400, NULL, NULL},
		{"GET", "repository_versions/", NULL, 200,
			"{\"count\":1,\"results\":[{\"pulp_href\":\"{r}versions/0/\"}]}", NULL},
		{"POST", "{r}sync/", "{}", 400,
			"={\"remote\":[\"This field is required since a remote is not set on the repository.\"]}",
			NULL},
		{"POST", "{r}sync/", "{\"remote\":\"{box}\"}", 400,
			"=[\"Type for Remote 'x' does not match Repository 'r'.\"]", NULL},
		{"POST", "{r}sync/", "{\"remote\":\"{r}\"}", 400, "={\"remote\":[\"URI {r} is not a valid remote.\"]}",
			NULL},
		{"POST", "{r}sync/", "{\"remote\":\"nothing\"}", 400, "={\"remote\":[\"URI not valid: nothing\"]}",
			NULL},
		{"POST", "{r}sync/", "{\"remote\":7}", 400,
			"={\"remote\":[\"Incorrect type. Expected URL string, received int.\"]}", NULL},
		{"POST", "{r}sync/",
			"{\"remote\":\""
			"/pulp/api/v3/remotes/file/file/00000000-0000-7000-8000-000000000000/\"}",
			400, "={\"remote\":[\"Object does not exist.\"]}", NULL},
		{"POST", "{r}sync/", "{\"remote\":\"{m}\",\"mirror\":\"maybe\"}", 400,
			"={\"mirror\":[\"Must be a valid boolean.\"]}", NULL},
		{"POST", "{r}sync/", "{\"remote\":\"{mprn}\",\"mirror\":true}", 202, NULL, "t=task"},
		{"GET", "{t}", NULL, 200,
			"~\"reserved_resources_record\":[\"{rprn}\",\"shared:{mprn}\",\"shared:prn:core.domain:", NULL},
		{"PATCH", "{r}", "{\"autopublish\":true}", 202, NULL, "u=task"},
		/* the repository is busy: the immediate task has to wait as well */
		{"GET", "{u}", NULL, 200, "{\"state\":\"waiting\"}", NULL});
	work(f);
	PLAY(f,
		{"GET", "{t}", NULL, 200,
			"{\"state\":\"completed\",\"name\":\"test.file.sync\",\"result\":{\"mirror\":true,\"optimize\":"
			"true,"
			"\"on_missing\":\"keep\"}}",
			NULL},
		{"GET", "{u}", NULL, 200, "{\"state\":\"completed\"}", NULL},
		{"POST", "{r}sync/", "{\"remote\":\"{m}\",\"mirror\":true}", 400,
			"=[\"Cannot use mirror mode with autopublished repository.\"]", NULL},
		{"PATCH", "{r}", "{\"remote\":\"{box}\"}", 400, "~does not match Repository", NULL},
		{"PATCH", "{r}", "{\"remote\":\"{m}\"}", 202, NULL, NULL},
		{"GET", "{r}", NULL, 200, "{\"remote\":\"{m}\"}", NULL}, {"POST", "{r}sync/", NULL, 202, NULL, NULL},
		{"GET", REPOS "?remote={m}", NULL, 200, "{\"count\":1}", NULL},
		{"GET", REPOS "?remote=null", NULL, 200, "{\"count\":0}", NULL},
		{"GET", REPOS "?remote=/pulp/api/v3/remotes/file/file/", NULL, 200, "{\"count\":1}", NULL},
		{"GET", REPOS "?remote=/pulp/api/v3/remotes/box/box/", NULL, 200, "{\"count\":0}", NULL},
		{"GET", REPOS "?remote=bla", NULL, 400, "=[\"URI not valid: bla\"]", NULL},
		{"PATCH", "{r}", "remote=", 202, NULL, "t=task"}); /* waits for the sync */
	work(f);
	PLAY(f, {"GET", "{r}", NULL, 200, "{\"remote\":null}", NULL},
		{"POST", "{r}modify/", "{\"add_content_units\":[\"x\"]}", 400, "=[\"URI not valid: x\"]", NULL},
		{"POST", "{r}modify/", "{\"remove_content_units\":[\"*\",\"x\"]}", 400,
			"={\"remove_content_units\":[\"Cannot supply content units and '*'.\"]}", NULL},
		{"POST", "{r}modify/", "{\"remove_content_units\":[\"*\"],\"base_version\":\"{r}versions/0/\"}", 202,
			NULL, "t=task"},
		{"POST", "{r}modify/", "{\"base_version\":\"{v0prn}\",\"overwrite\":false}", 202, NULL, NULL});
	work(f);
	PLAY(f,
		{"GET", "{t}", NULL, 200,
			"{\"result\":{\"add\":[],\"remove\":[\"*\"],\"base_version\":0,\"overwrite\":true}}", NULL},
		{"DELETE", "{r}versions/0/", NULL, 202, NULL, "t=task"});
	work(f);
	PLAY(f, {"GET", "{t}", NULL, 200, "~[PLP0011]", NULL},
		{"GET", "{t}", NULL, 200, "{\"state\":\"failed\"}", NULL}, {"DELETE", "{r}", NULL, 202, NULL, NULL});
	work(f);
	PLAY(f, {"GET", "{r}", NULL, 404, NULL, NULL},
		{"GET", "repository_versions/", NULL, 200, "{\"count\":0}", NULL});
}

static void test_a_distribution_from_create_to_delete(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"POST", REPOS, "{\"name\":\"r\"}", 201, NULL, "r=pulp_href"},
		{"POST", "repositories/box/box/", "{\"name\":\"b\"}", 201, NULL, "b=pulp_href"},
		{"POST", DISTS, "{\"name\":\"d\",\"base_path\":\"a/b\",\"repository\":\"{r}\"}", 202, NULL, "t=task"},
		{"GET", "{t}", NULL, 200, "~\"pdrn:", NULL});
	work(f);
	PLAY(f,
		{"GET", "{t}", NULL, 200, "{\"state\":\"completed\",\"result\":{\"base_url\":\"/pulp/content/a/b/\"}}",
			"d=created_resources.0"},
		{"GET", "{t}", NULL, 200, NULL, "dprn=created_resource_prns.0"},
		{"GET", "{d}", NULL, 200,
			"{\"prn\":\"{dprn}\",\"name\":\"d\",\"base_path\":\"a/b\",\"base_url\":\"/pulp/content/a/b/\","
			"\"repository\":\"{r}\",\"repository_version\":null,\"publication\":null,\"content_guard\":"
			"null,"
			"\"content_guard_prn\":null,\"no_content_change_since\":null,\"hidden\":false,\"checkpoint\":"
			"false}",
			NULL},
		/* none of these makes a task */
		{"POST", DISTS, "{\"name\":\"e\",\"base_path\":\"a\"}", 400,
			"={\"base_path\":{\"base_path\":\"Overlaps with existing distribution 'd'\"}}", NULL},
		{"POST", DISTS, "{\"name\":\"e\",\"base_path\":\"a/b/c\"}", 400,
			"={\"base_path\":{\"base_path\":\"Overlaps with existing distribution 'd'\"}}", NULL},
		{"POST", DISTS, "{\"name\":\"e\",\"base_path\":\"a/b\"}", 400, "~base_path", NULL},
		{"POST", DISTS, "{\"name\":\"d\",\"base_path\":\"x\"}", 400,
			"={\"name\":[\"This field must be unique.\"]}", NULL},
		{"POST", DISTS, "{\"name\":\"e\",\"base_path\":\"/x\"}", 400,
			"={\"base_path\":[\"Relative path cannot begin or end with slashes.\"]}", NULL},
		{"POST", DISTS, "{\"name\":\"e\",\"base_path\":\"x//y\"}", 400,
			"={\"base_path\":[\"Relative path is not in canonical form. x//y\"]}", NULL},
		{"POST", DISTS, "{\"name\":\"e\",\"base_path\":\"x y\"}", 400, NULL, NULL},
		{"POST", DISTS, "{\"name\":\"e\",\"base_path\":\"x/../y\"}", 400, NULL, NULL},
		{"POST", DISTS, "{\"name\":\"e\",\"base_path\":\"e\",\"repository\":\"{b}\"}", 400,
			"={\"repository\":[\"Object does not exist.\"]}", NULL},
		{"POST", DISTS,
			"{\"name\":\"e\",\"base_path\":\"e\",\"repository\":\"{r}\",\"repository_version\":\"{r}"
			"versions/0/\"}",
			400,
			"={\"non_field_errors\":[\"Only one of the attributes 'repository' and 'repository_version' "
			"may be used "
			"simultaneously.\"]}",
			NULL},
		{"POST", DISTS, "{\"name\":\"e\",\"base_path\":\"e\",\"content_guard\":\"/pulp/x\"}", 400,
			"~content_guard", NULL},
		{"POST", DISTS, "{\"name\":\"e\",\"base_path\":\"e\",\"remote\":null}", 400,
			"={\"remote\":[\"Unexpected field\"]}", NULL},
		{"PATCH", "{d}", "{\"repository_version\":\"{r}versions/0/\"}", 400, "~Only one of the attributes",
			NULL},
		{"GET", "tasks/", NULL, 200, "{\"count\":1}", NULL},
		/* a name that only begins alike is no overlap */
		{"POST", DISTS, "{\"name\":\"e\",\"base_path\":\"a/bc\"}", 202, NULL, NULL},
		{"PATCH", "{d}", "{\"repository\":null,\"repository_version\":\"{r}versions/0/\"}", 202, NULL, NULL},
		{"GET", "{d}", NULL, 200, "{\"repository\":null,\"repository_version\":\"{r}versions/0/\"}", NULL},
		{"GET", DISTS "?repository_version={r}versions/0/", NULL, 200, "{\"count\":1}", NULL},
		{"GET", DISTS "?repository={r}", NULL, 200, "{\"count\":0}", NULL},
		{"DELETE", "{r}versions/0/", NULL, 400, "~[\"The repository version cannot be deleted", NULL},
		/* done on return */
		{"DELETE", "{d}", NULL, 202, NULL, "x=task"}, {"GET", "{d}", NULL, 404, NULL, NULL},
		{"GET", "{x}", NULL, 200,
			"{\"state\":\"completed\",\"name\":\"pulpcore.app.tasks.base.ageneral_delete\"}", NULL},
		{"GET", "{t}", NULL, 200,
			"{\"created_resources\":[\"<unavailable>\"],\"created_resource_prns\":[\"<unavailable>\"]}",
			NULL});
}

/* Two requests that were both right when they came: the later task fails, and only it. */
static void test_a_distribution_is_checked_again_by_its_task(void **state)
{
	struct fixture *f = *state;

	/* Alone it is made at once. Behind a task that waits, with the same reservations, others wait, too. */
	PLAY(f, {"POST", DISTS, "{\"name\":\"o\",\"base_path\":\"o\"}", 202, NULL, "o=task"},
		{"GET", "{o}", NULL, 200, "{\"state\":\"completed\"}", NULL});
	exec_sql(f, "INSERT INTO task (uuid, created, updated, name, state, unblocked_at) VALUES "
		    "(x'0190000000007000800000000000000b', 1, 1, 'blocker', 'waiting', 1)");
	exec_sql(f, "INSERT INTO task_resource (task_id, ord, resource, exclusive) SELECT b.id, r.ord, r.resource, "
		    "r.exclusive "
		    "FROM task_resource r JOIN task b ON b.name = 'blocker'");
	exec_sql(f, "INSERT INTO task_lock (task_id, resource, exclusive) SELECT b.id, r.resource, r.exclusive "
		    "FROM task_resource r JOIN task b ON b.id = r.task_id AND b.name = 'blocker'");
	PLAY(f, {"POST", DISTS, "{\"name\":\"a\",\"base_path\":\"p\"}", 202, NULL, "a=task"},
		{"GET", "{a}", NULL, 200, "{\"state\":\"waiting\"}", NULL},
		{"POST", DISTS, "{\"name\":\"b\",\"base_path\":\"p/q\"}", 202, NULL, "b=task"},
		{"POST", DISTS, "{\"name\":\"a\",\"base_path\":\"z\"}", 202, NULL, "c=task"});
	work(f);
	PLAY(f, {"GET", "{a}", NULL, 200, "{\"state\":\"completed\"}", NULL},
		{"GET", "{b}", NULL, 200, "{\"state\":\"failed\"}", NULL},
		{"GET", "{b}", NULL, 200, "~Overlaps with existing distribution 'a'", NULL},
		{"GET", "{c}", NULL, 200, "{\"state\":\"failed\",\"created_resources\":[]}", NULL},
		{"GET", DISTS, NULL, 200, "{\"count\":2}", NULL});
}

static void test_publications_are_made_by_the_formats_task(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"POST", REPOS, "{\"name\":\"r\"}", 201, NULL, "r=pulp_href"},
		{"GET", "{r}", NULL, 200, NULL, "rprn=prn"},
		{"POST", PUBS, "{}", 400, "~Either the 'repository' or 'repository_version' need to be specified",
			NULL},
		{"POST", PUBS, "{\"repository\":\"{r}\",\"repository_version\":\"{r}versions/0/\"}", 400,
			"~but not both", NULL},
		{"POST", PUBS, "{\"repository_version\":\"{r}versions/0/\",\"checkpoint\":true}", 400,
			"={\"non_field_errors\":[\"'checkpoint' may only be used with 'repository'\"]}", NULL},
		{"POST", "publications/box/box/", "{\"repository\":\"{r}\"}", 400,
			"={\"repository\":[\"Object does not exist.\"]}", NULL},
		{"POST", PUBS, "{\"repository\":\"{r}\",\"manifest\":null}", 202, NULL, "t=task"});
	work(f);
	PLAY(f, {"GET", "{t}", NULL, 200, "{\"result\":{\"manifest\":null,\"checkpoint\":false}}", NULL},
		{"GET", "{t}", NULL, 200, "~\"shared:{rprn}\"", NULL});
	exec_sql(f,
		"INSERT INTO publication (uuid, type, created, updated, repository_version_id, complete, extra) SELECT "
		"x'0190000000007000800000000000000a', 'file.file', 1000001, 1000001, id, 1, '{{\"manifest\":\"M\"}}' "
		"FROM repository_version");
	PLAY(f, {"GET", PUBS, NULL, 200, "{\"count\":1}", "p=results.0.pulp_href"},
		{"GET", "{p}", NULL, 200,
			"{\"repository\":\"{r}\",\"repository_version\":\"{r}versions/0/"
			"\",\"manifest\":\"M\",\"distributions\":[],"
			"\"pulp_created\":\"1970-01-01T00:00:01.000001Z\"}",
			NULL},
		{"GET", PUBS "?repository_version={r}versions/0/", NULL, 200, "{\"count\":1}", NULL},
		{"GET", PUBS "?repository_version={r}versions/7/", NULL, 400,
			"=[\"URI {r}versions/7/ not found for repositoryversion.\"]", NULL},
		{"GET", PUBS "?repository=/pulp/api/v3/repositories/file/file/", NULL, 200, "{\"count\":1}", NULL},
		{"POST", DISTS, "{\"name\":\"d\",\"base_path\":\"d\",\"publication\":\"{p}\"}", 202, NULL, NULL});
	work(f);
	PLAY(f, {"GET", DISTS, NULL, 200, NULL, "d=results.0.pulp_href"},
		{"GET", "{p}", NULL, 200, "{\"distributions\":[\"{d}\"]}", NULL},
		{"GET", "{d}", NULL, 200, "{\"publication\":\"{p}\"}", NULL},
		{"PATCH", "{p}", "{\"manifest\":\"x\"}", 405, NULL, NULL}, {"DELETE", "{p}", NULL, 204, "=", NULL},
		{"GET", "{p}", NULL, 404, NULL, NULL}, {"GET", "{d}", NULL, 200, "{\"publication\":null}", NULL});
}

/* A format adds rows, no code: fields of every type, its own policies. */
/* How many publications the distribution answers from: what it serves now, and what it served before. */
static size_t answered_from(struct fixture *f)
{
	struct served_table *table = NULL;
	struct err err = ERR_INIT;
	struct txn *t = NULL;
	size_t n;

	assert_int_equal(catalog_read(f->catalog, &t, &err), 0);
	assert_int_equal(catalog_served_load(t, INT64_C(3600000000), NULL, &table, &err), 0);
	txn_end(&t);
	assert_int_equal(table->count, 1);
	n = table->d[0].set_count;
	served_table_free(&table);
	return n;
}

/* Publication `n` of the repository's version 0, named p1 and so on. */
static void add_publication(struct fixture *f, int n, const char *repository)
{
	char sql[512], name[8], href[96];

	snprintf(sql, sizeof(sql),
		"INSERT INTO publication (uuid, type, created, updated, repository_version_id, complete) SELECT "
		"x'0190000000007000800000000000000%d', 'file.file', %d000000, 1, v.id, 1 "
		"FROM repository_version v JOIN repository r ON r.id = v.repository_id WHERE r.name = '%s'",
		n, n, repository);
	exec_sql(f, sql);
	snprintf(name, sizeof(name), "p%d", n);
	snprintf(href, sizeof(href), "/pulp/api/v3/" PUBS "01900000-0000-7000-8000-00000000000%d/", n);
	save(f, name, href);
}

static void point(struct fixture *f, const char *values, size_t want)
{
	PLAY(f, {"PATCH", "{d}", values, 202, NULL, "t=task"},
		{"GET", "{t}", NULL, 200, "{\"state\":\"completed\"}", NULL});
	assert_int_equal(answered_from(f), want);
}

static void test_what_a_distribution_served_before_is_answered_until_it_serves_nothing(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"POST", REPOS, "{\"name\":\"r\"}", 201, NULL, "r=pulp_href"},
		{"POST", REPOS, "{\"name\":\"s\"}", 201, NULL, "s=pulp_href"});
	for (int n = 1; n <= 4; n++)
		add_publication(f, n, n <= 2 ? "r" : "s");
	PLAY(f, {"POST", DISTS, "{\"name\":\"d\",\"base_path\":\"d\",\"publication\":\"{p1}\"}", 202, NULL, NULL});
	work(f);
	PLAY(f, {"GET", DISTS, NULL, 200, NULL, "d=results.0.pulp_href"});
	assert_int_equal(answered_from(f), 1);
	point(f, "{\"name\":\"other\"}", 1);
	point(f, "{\"publication\":\"{p2}\"}", 2);
	point(f, "{\"publication\":null,\"repository\":\"{s}\"}", 3);
	point(f, "{\"repository\":null}", 0);
	point(f, "{\"publication\":\"{p2}\"}", 1);
	point(f, "{\"publication\":\"{p3}\"}", 2);
	PLAY(f, {"DELETE", "{p3}", NULL, 204, NULL, NULL});
	assert_int_equal(answered_from(f), 0);
	point(f, "{\"publication\":\"{p1}\"}", 1);
	point(f, "{\"publication\":null,\"repository\":\"{s}\"}", 2);
	PLAY(f, {"DELETE", "{s}", NULL, 202, NULL, NULL});
	work(f);
	assert_int_equal(answered_from(f), 0);
	point(f, "{\"publication\":\"{p2}\"}", 1);
}

static void test_the_fields_of_a_format(void **state)
{
	struct fixture *f = *state;

	PLAY(f,
		{"POST", "remotes/box/box/", "{\"name\":\"a\",\"url\":\"http://h/\"}", 400,
			"={\"suite\":[\"This field is required.\"]}", NULL},
		{"POST", "remotes/box/box/",
			"{\"name\":\"a\",\"url\":\"http://h/\",\"suite\":\"s\",\"policy\":\"on_demand\"}", 400,
			"={\"policy\":[\"\\\"on_demand\\\" is not a valid choice.\"]}", NULL},
		{"POST", "remotes/box/box/",
			"{\"name\":\"a\",\"url\":\"http://h/"
			"\",\"suite\":\"s\",\"tags\":[1],\"more\":[],\"depth\":\"x\",\"strict\":3}",
			400,
			"={\"depth\":[\"A valid integer is required.\"],\"tags\":{\"0\":[\"Not a valid string.\"]},"
			"\"more\":[\"Expected a dictionary of items but got type \\\"list\\\".\"],\"strict\":[\"Must "
			"be a valid boolean.\"]}",
			NULL},
		{"POST", "remotes/box/box/",
			"{\"name\":\"a\",\"url\":\"http://h/\",\"suite\":\"s\",\"tags\":[\"x\"],\"more\":{\"k\":[1]}}",
			201, "{\"depth\":null,\"tags\":[\"x\"],\"more\":{\"k\":[1]},\"strict\":true,\"suite\":\"s\"}",
			"r=pulp_href"},
		{"PATCH", "{r}", "{\"depth\":3}", 202, NULL, NULL},
		{"GET", "{r}", NULL, 200, "{\"depth\":3,\"tags\":[\"x\"],\"more\":{\"k\":[1]},\"suite\":\"s\"}", NULL},
		{"PATCH", "{r}", "{\"depth\":3,\"suite\":\"s\"}", 200, NULL, NULL},
		{"GET", "remotes/", NULL, 200, "{\"count\":1,\"results\":[{\"pulp_href\":\"{r}\",\"name\":\"a\"}]}",
			NULL},
		{"GET", "remotes/file/file/", NULL, 200, "{\"count\":0}", NULL},
		{"GET", "remotes/?pulp_type=box.box", NULL, 200, "{\"count\":1}", NULL},
		{"GET", "remotes/?pulp_type__in=file.file,x.y", NULL, 200, "{\"count\":0}", NULL});
}

static void test_labels(void **state)
{
	struct fixture *f = *state;

	PLAY(f,
		{"POST", REPOS, "{\"name\":\"r\",\"pulp_labels\":{\"a\":\"1\",\"n\":null,\"e\":\"\"}}", 201,
			"{\"pulp_labels\":{\"a\":\"1\",\"n\":null,\"e\":\"\"}}", "r=pulp_href"},
		{"POST", "{r}set_label/", "{\"key\":\"k.1\",\"value\":\"x,y\"}", 201,
			"={\"key\":\"k.1\",\"value\":\"x,y\"}", NULL},
		{"POST", "{r}set_label/", "{\"key\":\"k\"}", 400, "={\"value\":[\"This field is required.\"]}", NULL},
		{"POST", "{r}set_label/", "{\"key\":\"k)\",\"value\":\"\"}", 400, NULL, NULL},
		{"POST", "{r}unset_label/", "{\"key\":\"a\"}", 201, "={\"key\":\"a\",\"value\":\"1\"}", NULL},
		{"POST", "{r}unset_label/", "{\"key\":\"a\"}", 400, "=[\"Label 'a' is not set on the object.\"]", NULL},
		{"GET", "{r}", NULL, 200, "~\"pulp_labels\":{\"n\":null,\"e\":\"\",\"k.1\":\"x,y\"}", NULL},
		{"GET", REPOS "?pulp_label_select=k.1", NULL, 200, "{\"count\":1}", NULL},
		{"GET", REPOS "?pulp_label_select=k.1%3Dx%5C,y", NULL, 200, "{\"count\":1}", NULL},
		{"GET", REPOS "?pulp_label_select=k.1%3Dx", NULL, 200, "{\"count\":0}", NULL},
		{"GET", REPOS "?pulp_label_select=k.1!%3Dx", NULL, 200, "{\"count\":1}", NULL},
		{"GET", REPOS "?pulp_label_select=n!%3Dx", NULL, 200, "{\"count\":1}", NULL},
		{"GET", REPOS "?pulp_label_select=zz!%3Dx", NULL, 200, "{\"count\":0}", NULL},
		{"GET", REPOS "?pulp_label_select=k.1~X,!zz,e%3D", NULL, 200, "{\"count\":1}", NULL},
		{"GET", REPOS "?pulp_label_select=!n", NULL, 200, "{\"count\":0}", NULL},
		{"GET", REPOS "?pulp_label_select=!n%3Dx", NULL, 400, NULL, NULL},
		{"GET", REPOS "?pulp_label_select=", NULL, 400, NULL, NULL},
		{"PATCH", "{r}", "{\"pulp_labels\":{\"only\":\"this\"}}", 202, NULL, NULL},
		{"GET", "{r}", NULL, 200, "~\"pulp_labels\":{\"only\":\"this\"}", NULL});
}

static void test_forms_are_bodies_too(void **state)
{
	struct fixture *f = *state;

	PLAY(f,
		{"POST", REMOTES, "url=http%3A%2F%2Fh%2FM&name=", 400, "={\"name\":[\"This field may not be blank.\"]}",
			NULL},
		{"POST", REMOTES,
			"name=a+b&url=http%3A%2F%2Fh%2FM&max_retries=4&tls_validation=false&rate_limit=&ca_cert=&pulp_"
			"labels=%7B%22k%22%3A%22v%22%7D"
			"&headers=%5B%7B%22X-A%22%3A%22b%22%7D%5D&csrfmiddlewaretoken=x",
			201,
			"{\"name\":\"a "
			"b\",\"ca_cert\":null,\"max_retries\":4,\"tls_validation\":false,\"rate_limit\":null,\"pulp_"
			"labels\":{\"k\":\"v\"},"
			"\"headers\":[{\"X-A\":\"b\"}]}",
			NULL},
		{"POST", REMOTES, "name=%FF&url=http%3A%2F%2Fh", 400, NULL, NULL},
		{"POST", "remotes/box/box/", "name=x&url=http%3A%2F%2Fh&suite=s&tags=a&tags=b", 201,
			"{\"tags\":[\"a\",\"b\"]}", NULL});
}

static void test_what_a_format_adds_to_a_sync(void **state)
{
	struct fixture *f = *state;

	PLAY(f,
		{"POST", "remotes/box/box/", "{\"name\":\"x\",\"url\":\"http://h/\",\"suite\":\"s\"}", 201, NULL,
			"m=pulp_href"},
		{"POST", "repositories/box/box/", "{\"name\":\"b\",\"remote\":\"{m}\"}", 201, NULL, "b=pulp_href"},
		{"GET", "content/box/lids/", NULL, 200, "{\"count\":0}", NULL},
		{"POST", "{b}sync/", "{\"sync_policy\":\"some\"}", 400,
			"={\"sync_policy\":[\"\\\"some\\\" is not a valid choice.\"]}", NULL},
		{"POST", "{b}sync/", "{\"skip_types\":[\"lids\",\"walls\"]}", 400,
			"={\"skip_types\":{\"1\":[\"\\\"walls\\\" is not a valid choice.\"]}}", NULL},
		{"POST", "{b}sync/", "{\"sync_policy\":\"additive\",\"mirror\":false}", 400,
			"=[\"Cannot use 'mirror' and 'sync_policy' options simultaneously.\"]", NULL},
		{"POST", "{b}sync/", "{}", 202, NULL, "none=task"},
		{"POST", "{b}sync/", "{\"sync_policy\":\"mirror_content_only\",\"skip_types\":[\"lids\"]}", 202, NULL,
			"content=task"},
		{"POST", "{b}sync/", "{\"sync_policy\":\"mirror_complete\"}", 202, NULL, "complete=task"},
		{"POST", "{b}sync/", "{\"mirror\":true}", 202, NULL, "mirror=task"});
	work(f);
	PLAY(f,
		{"GET", "{none}", NULL, 200, "{\"result\":{\"mirror\":false,\"verbatim\":false,\"skip_types\":[]}}",
			NULL},
		{"GET", "{content}", NULL, 200,
			"{\"result\":{\"mirror\":true,\"verbatim\":false,\"skip_types\":[\"lids\"]}}", NULL},
		{"GET", "{complete}", NULL, 200, "{\"result\":{\"mirror\":true,\"verbatim\":true}}", NULL},
		{"GET", "{mirror}", NULL, 200, "{\"result\":{\"mirror\":true,\"verbatim\":true}}", NULL});
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_remote_from_create_to_delete),
		TEST(test_a_put_of_what_get_gave_changes_nothing),
		TEST(test_messages_of_refused_remotes),
		TEST(test_urls_with_secrets_or_outside_the_import_paths),
		TEST(test_a_repository_and_its_actions),
		TEST(test_a_distribution_from_create_to_delete),
		TEST(test_a_distribution_is_checked_again_by_its_task),
		TEST(test_publications_are_made_by_the_formats_task),
		TEST(test_what_a_distribution_served_before_is_answered_until_it_serves_nothing),
		TEST(test_the_fields_of_a_format),
		TEST(test_what_a_format_adds_to_a_sync),
		TEST(test_labels),
		TEST(test_forms_are_bodies_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
