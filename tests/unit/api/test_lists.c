/* Lists: pages, order, filters, the expression q; and what is only read: content, artifacts, tasks. */
#include "fixture.h"

#include <stdio.h>

#define REMOTES "remotes/file/file/"
#define REPOS "repositories/file/file/"

static void make_remotes(struct fixture *f)
{
	PLAY(f,
		{"POST", REMOTES, "{\"name\":\"alpha\",\"url\":\"http://h/1\",\"policy\":\"on_demand\"}", 201, NULL,
			"a=pulp_href"},
		{"POST", REMOTES, "{\"name\":\"Beta\",\"url\":\"http://h/2\"}", 201, NULL, "b=pulp_href"},
		{"POST", REMOTES, "{\"name\":\"100%_x\",\"url\":\"http://h/3\",\"pulp_labels\":{\"k\":\"v\"}}", 201,
			NULL, "c=pulp_href"});
}

static const struct {
	const char *query;
	int count; /* -1: 400 */
	const char *want;
} filters[] = {
	{"name=alpha", 1, NULL},
	{"name=Alpha", 0, NULL},
	{"name__iexact=ALPHA", 1, NULL},
	{"name__in=alpha,Beta,none", 2, NULL},
	{"name__in=", 0, NULL},
	{"name__contains=a", 2, NULL},
	{"name__contains=", 3, NULL},
	{"name__contains=%25_", 1, NULL},
	{"name__contains=_", 1, NULL},
	{"name__icontains=BET", 1, NULL},
	{"name__startswith=al", 1, NULL},
	{"name__startswith=%25", 0, NULL},
	{"name__istartswith=be", 1, NULL},
	{"name__regex=%5Ea.*a$", 1, NULL},
	{"name__regex=%5EA.*A$", 0, NULL},
	{"name__iregex=%5EA.*A$", 1, NULL},
	{"name__regex=(", -1, "={\"name__regex\":[\"Enter a valid regular expression.\"]}"},
	{"name__regex=((a%7B99%7D)%7B99%7D)%7B99%7D", -1, NULL},
	{"name=a%00", -1, NULL},
	{"name=%FF", -1, NULL},
	{"name=x'%20OR%201=1--", 0, NULL},
	{"name=alpha&name=Beta", 0, NULL},
	{"pulp_created__gt=2000-01-01", 3, NULL},
	{"pulp_created__gt=2000-13-01", -1, NULL},
	{"pulp_created__lt=2000-01-01T00:00:00Z", 0, NULL},
	{"pulp_created__range=2000-01-01,2999-12-31T23:59", 3, NULL},
	{"pulp_created__range=2000-01-01", -1, NULL},
	{"pulp_created__isnull=true", 0, NULL},
	{"pulp_created=yesterday", -1, "={\"pulp_created\":[\"Enter a valid date/time.\"]}"},
	{"pulp_last_updated__gte=2000-01-01", 3, NULL},
	{"pulp_href__in={a},{b}", 2, NULL},
	{"pulp_href__in=x", -1, "=[\"URI not valid: x\"]"},
	{"pulp_id__in=00000000-0000-7000-8000-000000000000", 0, NULL},
	{"pulp_id__in=x", -1, "={\"pulp_id__in\":[\"Enter a valid UUID\"]}"},
	{"bogus=1", -1, "={\"errors\":[\"Invalid Filter: 'bogus'\"]}"},
	{"name__bogus=1", -1, "={\"errors\":[\"Invalid Filter: 'name__bogus'\"]}"},
	{"name__lt=1", -1, "={\"errors\":[\"Invalid Filter: 'name__lt'\"]}"},
	{"password=x", -1, "={\"errors\":[\"Invalid Filter: 'password'\"]}"},
	{"format=json&page_size=3", 3, NULL},
	{"limit=0", 3, NULL},
	{"limit=rubbish&offset=-4", 3, NULL},
	{"ordering=name", 3, "~\"name\":\"100%_x\",\"url\":\"http://h/3\""},
	{"ordering=password", -1,
		"={\"ordering\":[\"Select a valid choice. password is not one of the available choices.\"]}"},
	{"ordering=-pulp_created,pk", 3, NULL},
	{"ordering=pulp_labels", -1, NULL},
	/* q */
	{"q=name%3Dalpha", 1, NULL},
	{"q=NOT%20name%3Dalpha", 2, NULL},
	{"q=name%3Dalpha%20OR%20name%3DBeta", 2, NULL},
	{"q=name%3Dalpha%20AND%20name%3DBeta", 0, NULL},
	{"q=NOT%20(name%3Dalpha%20OR%20name%3DBeta)", 1, NULL},
	{"q=name__in%3Dalpha,Beta%20AND%20NOT%20name%3D%22alpha%22", 1, NULL},
	{"q=name%3D'100%25_x'%20AND%20pulp_label_select%3D%22k%3Dv%22", 1, NULL},
	{"q=name%3Da%20OR%20name%3Db%20AND%20name__startswith%3DB", 0, NULL},
	{"q=name%3Dalpha%20OR%20name%3DBeta%20AND%20name__startswith%3DB", 2, NULL},
	{"q=NOT%20NOT%20name%3Dalpha", 1, NULL},
	{"q=", -1, "={\"q\":[\"Syntax error in expression.\"]}"},
	{"q=name%3Dalpha%20or%20name%3DBeta", -1, "={\"q\":[\"Syntax error in expression.\"]}"},
	{"q=(name%3Dalpha", -1, "={\"q\":[\"Syntax error in expression.\"]}"},
	{"q=name%3D'alpha", -1, "={\"q\":[\"Syntax error in expression.\"]}"},
	{"q=bogus%3D1", -1, "={\"q\":[\"Filter 'bogus' does not exist.\"]}"},
	{"q=q%3D1", -1, "={\"q\":[\"Filter 'q' does not exist.\"]}"},
	{"q=pulp_created%3Dx", -1,
		"={\"q\":[\"{\\\"pulp_created\\\": [{\\\"message\\\": \\\"Enter a valid date/time.\\\", \\\"code\\\": "
		"\\\"invalid\\\"}]}\"]}"},
	{"q=name%3Da%20OR%20name%3Db%20OR%20name%3Dc%20OR%20name%3Dd%20OR%20name%3De%20OR%20name%3Df%20OR%20name%3Dg",
		0, NULL},
	{"q=name%3Da%20OR%20name%3Db%20OR%20name%3Dc%20OR%20name%3Dd%20OR%20name%3De%20OR%20name%3Df%20OR%20name%3Dg%"
	 "20OR%20name%3Dh",
		-1, "={\"q\":[\"Filter expression exceeds allowed complexity.\"]}"},
	{"q=((((((((((((((((((((((((((((((name%3Da))))))))))))))))))))))))))))))", -1, NULL},
};

static void test_filters(void **state)
{
	struct fixture *f = *state;

	make_remotes(f);
	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++) {
		char path[512], count[32];

		(void)snprintf(path, sizeof(path), REMOTES "?%s", filters[i].query);
		(void)snprintf(count, sizeof(count), "{\"count\":%d}", filters[i].count);
		PLAY(f,
			{"GET", path, NULL, filters[i].count < 0 ? 400 : 200,
				filters[i].count < 0 ? filters[i].want : count, NULL},
			{"GET", path, NULL, filters[i].count < 0 ? 400 : 200, filters[i].want, NULL});
	}
}

static void test_pages(void **state)
{
	struct fixture *f = *state;

	make_remotes(f);
	PLAY(f,
		{"GET", REMOTES "?fields=name", NULL, 200,
			"={\"count\":3,\"next\":null,\"previous\":null,\"results\":[{\"name\":\"100%_x\"},{\"name\":"
			"\"Beta\"},{\"name\":\"alpha\"}]}",
			NULL},
		{"GET", REMOTES "?fields=name&limit=1&offset=1&name__contains=&ordering=-name", NULL, 200,
			"={\"count\":3,\"next\":\"http://mirror.test/pulp/api/v3/" REMOTES
			"?fields=name&name__contains=&ordering=-name&limit=1&offset=2\",\"previous\":\"http://"
			"mirror.test/pulp/api/v3/" REMOTES
			"?fields=name&name__contains=&ordering=-name&limit=1\",\"results\":[{\"name\":\"Beta\"}]}",
			NULL},
		{"GET", REMOTES "?fields=name&fields=policy,nothing&exclude_fields=policy&name=alpha", NULL, 200,
			"~\"results\":[{\"name\":\"alpha\"}]", NULL},
		{"GET", "{a}?fields=name,password,hidden_fields&exclude_fields=hidden_fields", NULL, 200,
			"={\"name\":\"alpha\"}", NULL},
		{"GET", REMOTES "?offset=9", NULL, 200, "{\"count\":3,\"results\":[],\"next\":null}", NULL},
		{"GET", "remotes/?name=alpha", NULL, 200,
			"{\"results\":[{\"pulp_href\":\"{a}\",\"policy\":\"on_demand\"}]}", NULL});
}

/* Two units in one repository: "one" saved, "two" not, and upstream has not got it; a third in none. */
static void make_content(struct fixture *f)
{
	PLAY(f, {"POST", REMOTES, "{\"name\":\"m\",\"url\":\"http://h/1\"}", 201, NULL, NULL},
		{"POST", REPOS, "{\"name\":\"r\"}", 201, NULL, "r=pulp_href"},
		{"POST", REPOS, "{\"name\":\"other\"}", 201, NULL, "other=pulp_href"},
		{"GET", "{r}", NULL, 200, NULL, "rprn=prn"});
	exec_sql(f,
		"INSERT INTO content (id, uuid, type, natural_key, created, updated, extra) VALUES "
		"(1, x'01900000000070008000000000000001', 'file.file', 'one', 1000000, 1000000, '{{}}'),"
		"(2, x'01900000000070008000000000000002', 'file.file', 'two', 2000000, 2000000, '{{}}'),"
		"(3, x'01900000000070008000000000000003', 'file.file', 'three', 3000000, 3000000, '{{}}'),"
		"(4, x'01900000000070008000000000000004', 'box.item', 'four', 4000000, 4000000, '{{\"weight\": 7, "
		"\"colour\": \"red, warm\"}}'),"
		"(5, x'01900000000070008000000000000005', 'box.item', 'five', 5000000, 5000000, '{{\"colour\": "
		"\"blue\"}}');"
		"INSERT INTO artifact (id, uuid, sha256, size, created) VALUES (1, "
		"x'01900000000070008000000000000009', "
		"x'abababababababababababababababababababababababababababababababab', 5, 1000000);"
		"INSERT INTO content_artifact (id, content_id, relative_path, artifact_id) VALUES (1, 1, 'd/one', 1), "
		"(2, 2, 'd/two', NULL), "
		"(3, 3, 'three', NULL), (4, 4, 'four', NULL);"
		"INSERT INTO remote_artifact (content_artifact_id, remote_id, url, size, sha256, missing_at) SELECT 2, "
		"id, 'http://h/two', 6, "
		"x'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd', 5000000 FROM remote;"
		"INSERT INTO repository_version (uuid, repository_id, number, since, complete, created, updated, "
		"added, removed, present) SELECT "
		"x'01900000000070008000000000000021', id, 1, 1, 1, 5, 5, 2, 0, 2 FROM repository WHERE name = 'r';"
		"INSERT INTO repository_version (uuid, repository_id, number, since, complete, created, updated, "
		"added, removed, present) SELECT "
		"x'01900000000070008000000000000022', id, 2, 2, 1, 6, 6, 0, 1, 1 FROM repository WHERE name = 'r';"
		"INSERT INTO repository_version (uuid, repository_id, number, since, complete, created, updated, "
		"added, removed, present) SELECT "
		"x'01900000000070008000000000000023', id, 3, 3, 0, 7, 7, 0, 0, 0 FROM repository WHERE name = 'r';"
		"INSERT INTO repository_content (repository_id, content_id, version_added, version_removed) SELECT id, "
		"1, 1, 2 FROM repository "
		"WHERE name = 'r';"
		"INSERT INTO repository_content (repository_id, content_id, version_added, version_removed) SELECT id, "
		"2, 1, NULL FROM "
		"repository WHERE name = 'r';"
		"INSERT INTO repository_content (repository_id, content_id, version_added, version_removed) SELECT id, "
		"3, 3, NULL FROM "
		"repository WHERE name = 'r'");
	save(f, "one", "/pulp/api/v3/content/file/files/01900000-0000-7000-8000-000000000001/");
	save(f, "two", "/pulp/api/v3/content/file/files/01900000-0000-7000-8000-000000000002/");
	save(f, "three", "/pulp/api/v3/content/file/files/01900000-0000-7000-8000-000000000003/");
}

static const struct {
	const char *query;
	int count; /* -1: 400 */
} content_filters[] = {
	{"", 3},
	{"relative_path=d/one", 1},
	{"relative_path__startswith=d/", 2},
	{"sha256=ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB", 1},
	{"sha256=cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd", 1}, /* only declared */
	{"sha256=efefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefef", 0},
	{"sha256=rubbish", 0},
	{"digest=cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd", 1},
	{"repository_version={r}versions/1/", 2},
	{"repository_version={r}versions/2/", 1},
	{"repository_version={r}", 1}, /* its newest complete one */
	{"repository_version={other}", 0},
	{"repository_version=prn:core.repositoryversion:01900000-0000-7000-8000-000000000021", 2},
	{"repository_version={r}versions/3/", -1}, /* being made */
	{"repository_version={r}versions/", -1},
	{"repository_version={one}", -1},
	{"repository_version=", -1},
	{"repository_version_added={r}versions/1/", 2},
	{"repository_version_added={r}versions/2/", 0},
	{"repository_version_removed={r}versions/2/", 1},
	{"unavailable=true", 2}, /* one is said to be missing, one has no source */
	{"unavailable=false", 1},
	{"unavailable=x", -1},
	{"orphaned_for=0", 0}, /* the third is in a version that is being made */
	{"orphaned_for=x", -1},
	{"q=relative_path%3Dthree%20OR%20repository_version%3D{r}versions/2/", 2},
};

static void test_content(void **state)
{
	struct fixture *f = *state;

	make_content(f);
	for (size_t i = 0; i < sizeof(content_filters) / sizeof(*content_filters); i++) {
		char path[512], count[32];

		(void)snprintf(path, sizeof(path), "content/file/files/?%s", content_filters[i].query);
		(void)snprintf(count, sizeof(count), "{\"count\":%d}", content_filters[i].count);
		PLAY(f, {"GET", path, NULL, content_filters[i].count < 0 ? 400 : 200,
				content_filters[i].count < 0 ? NULL : count, NULL});
	}
	PLAY(f,
		{"GET", "{one}", NULL, 200,
			"{\"relative_path\":\"d/one\",\"artifact\":\"/pulp/api/v3/artifacts/"
			"01900000-0000-7000-8000-000000000009/\","
			"\"sha256\":\"abababababababababababababababababababababababababababababababab\",\"md5\":null,"
			"\"unavailable_since\":null,\"pulp_labels\":{},\"vuln_report\":null,\"prn\":"
			"\"prn:file.filecontent:01900000-0000-7000-8000-000000000001\",\"pulp_created\":\"1970-01-"
			"01T00:00:01Z\"}",
			NULL},
		{"GET", "{two}", NULL, 200,
			"{\"artifact\":null,\"sha256\":null,\"unavailable_since\":\"1970-01-01T00:00:05Z\"}", NULL},
		{"GET", "content/", NULL, 200, "{\"count\":5}", NULL},
		{"GET", "content/box/items/?colour=blue", NULL, 200,
			"{\"count\":1,\"results\":[{\"colour\":\"blue\"}]}", NULL},
		{"GET", "content/box/items/?colour=red,%20warm", NULL, 200, "{\"count\":1}", NULL},
		{"GET", "content/box/items/?colour__in=blue,green", NULL, 200, "{\"count\":1}", NULL},
		{"GET", "content/box/items/?colour__ne=blue", NULL, 200, "{\"count\":1}", NULL},
		{"GET", "content/box/items/?weight=7", NULL, 400, NULL, NULL},
		{"GET", "content/file/files/?colour=blue", NULL, 400, NULL, NULL},
		{"GET", "content/box/items/?colour__ne=blue", NULL, 200,
			"{\"count\":1,\"results\":[{\"prn\":\"prn:box.boxcontent:01900000-0000-7000-8000-"
			"000000000004\"}]}",
			"four=results.0.pulp_href"},
		{"GET", "{four}", NULL, 200, "{\"weight\":7,\"relative_path\":\"four\"}", NULL},
		{"POST", "{one}set_label/", "{\"key\":\"k\",\"value\":null}", 201, NULL, NULL},
		{"GET", "content/file/files/?pulp_label_select=k", NULL, 200, "{\"count\":1}", NULL},
		{"PATCH", "{one}", "{}", 405, NULL, NULL}, {"DELETE", "{one}", NULL, 405, NULL, NULL},
		{"GET", "artifacts/", NULL, 200,
			"{\"count\":1,\"results\":[{\"size\":5,\"file\":"
			"\"artifact/ab/ababababababababababababababababababababababababababababababab\"}]}",
			"artifact=results.0.pulp_href"},
		{"GET", "artifacts/?repository_version={r}versions/1/", NULL, 200, "{\"count\":1}", NULL},
		{"GET", "artifacts/?repository_version={r}versions/2/", NULL, 200, "{\"count\":0}", NULL},
		{"GET", "artifacts/?orphaned_for=-1", NULL, 200, "{\"count\":0}", NULL},
		{"DELETE", "{artifact}", NULL, 403, NULL, NULL},
		{"GET", REPOS "?with_content={one}", NULL, 200, "{\"count\":1}", NULL},
		{"GET", REPOS "?latest_with_content={one}", NULL, 200, "{\"count\":0}", NULL},
		{"GET", REPOS "?latest_with_content__in={one},{two}", NULL, 200, "{\"count\":1}", NULL},
		{"GET", REPOS "?with_content={three}", NULL, 200, "{\"count\":0}", NULL},
		{"GET", "repository_versions/?content={two}", NULL, 200, "{\"count\":2}", NULL},
		{"GET", "{r}versions/?content__in={one},{three}", NULL, 200, "{\"count\":1}", NULL},
		{"GET", "{r}versions/?number__gte=1&ordering=number", NULL, 200,
			"{\"results\":[{\"number\":1},{\"number\":2}]}", NULL},
		{"GET", "{r}versions/1/", NULL, 200,
			"{\"content_summary\":{\"added\":{\"file.file\":{\"count\":2,\"href\":"
			"\"/pulp/api/v3/content/file/files/?repository_version_added={r}versions/1/"
			"\"}},\"removed\":{},\"present\":"
			"{\"file.file\":{\"count\":2,\"href\":\"/pulp/api/v3/content/file/files/"
			"?repository_version={r}versions/1/\"}}}}",
			NULL},
		{"POST", "{r}modify/",
			"{\"add_content_units\":[\"{three}\"],\"remove_content_units\":[\"prn:file.filecontent:"
			"01900000-0000-7000-8000-000000000001\"],\"base_version\":\"{r}versions/1/\"}",
			202, NULL, "t=task"},
		{"POST", "{r}modify/", "{\"base_version\":\"{other}versions/0/\"}", 400, NULL, NULL});
	work(f);
	PLAY(f, {"GET", "{t}", NULL, 200,
			"{\"result\":{\"add\":[\"01900000-0000-7000-8000-000000000003\"],\"remove\":"
			"[\"01900000-0000-7000-8000-000000000001\"],\"base_version\":1}}",
			NULL});
}

static void test_maintenance(void **state)
{
	struct fixture *f = *state;

	make_content(f);
	PLAY(f,
		{"POST", "repositories/reclaim_space/", "{}", 400, "={\"repo_hrefs\":[\"This field is required.\"]}",
			NULL},
		{"POST", "repositories/reclaim_space/", "{\"repo_hrefs\":[]}", 400,
			"={\"repo_hrefs\":[\"Must not be [].\"]}", NULL},
		{"POST", "repositories/reclaim_space/", "{\"repo_hrefs\":[\"*\",\"{r}\"]}", 400, NULL, NULL},
		{"POST", "repositories/reclaim_space/", "{\"repo_hrefs\":[\"{one}\"]}", 400,
			"=[\"URI {one} is not a valid repository.\"]", NULL},
		{"POST", "repositories/reclaim_space/", "{\"repo_hrefs\":[\"*\"]}", 202, NULL, "all=task"},
		{"POST", "repositories/reclaim_space/",
			"{\"repo_hrefs\":[\"{r}\"],\"repo_versions_keeplist\":[\"{r}versions/2/\"]}", 202, NULL,
			"one_of=task"},
		{"POST", "orphans/cleanup/", "{\"content_hrefs\":[]}", 400,
			"={\"content_hrefs\":[\"Must not be [].\"]}", NULL},
		{"POST", "orphans/cleanup/", "{\"content_hrefs\":[\"{r}\"]}", 400,
			"=[\"URI {r} is not a valid content.\"]", NULL},
		{"POST", "orphans/cleanup/", "{\"orphan_protection_time\":-1}", 400, NULL, NULL},
		{"POST", "orphans/cleanup/", "{\"content_hrefs\":[\"{one}\"],\"orphan_protection_time\":5}", 202, NULL,
			"o=task"},
		{"DELETE", "orphans/", NULL, 202, NULL, "old=task"});
	work(f);
	PLAY(f, {"GET", "{all}", NULL, 200, "{\"result\":{\"repositories\":[\"*\"],\"keep\":[]}}", NULL},
		{"GET", "{all}", NULL, 200, "~\"shared:{rprn}\"", NULL},
		{"GET", "{one_of}", NULL, 200, "~\"keep\":[[\"", NULL},
		{"GET", "{o}", NULL, 200, "{\"result\":{\"content_hrefs\":[\"{one}\"],\"protection_min\":5}}", NULL},
		{"GET", "{o}", NULL, 200, "~\"reserved_resources_record\":[\"pdrn:", NULL},
		{"GET", "{old}", NULL, 200, "{\"result\":{\"content_hrefs\":null,\"protection_min\":1440}}", NULL});
}

static void test_tasks(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"POST", REMOTES, "{\"name\":\"m\",\"url\":\"http://h/1\"}", 201, NULL, "m=pulp_href"},
		{"POST", REPOS, "{\"name\":\"r\",\"remote\":\"{m}\"}", 201, NULL, "r=pulp_href"},
		{"GET", "{r}", NULL, 200, NULL, "rprn=prn"}, {"POST", "{r}sync/", "{}", 202, NULL, "t=task"},
		{"POST", "{r}sync/", "{}", 202, NULL, "u=task"},
		{"POST", "distributions/file/file/", "{\"name\":\"d\",\"base_path\":\"d\"}", 202, NULL, "d=task"},
		{"GET", "{t}", NULL, 200,
			"{\"state\":\"waiting\",\"name\":\"test.file.sync\",\"created_by\":\"/pulp/api/v3/users/1/"
			"\",\"started_at\":null,"
			"\"finished_at\":null,\"error\":null,\"worker\":null,\"parent_task\":null,\"child_tasks\":[],"
			"\"task_group\":null,"
			"\"progress_reports\":[],\"created_resources\":[],\"result\":null,\"pulp_api_version\":\"v3\"}",
			NULL},
		{"PATCH", "{t}", "{\"state\":\"running\"}", 400,
			"={\"state\":[\"The only acceptable value for 'state' is 'canceled'.\"]}", NULL},
		{"PATCH", "{t}", "{}", 400, NULL, NULL}, {"DELETE", "{t}", NULL, 409, NULL, NULL},
		{"PATCH", "{t}", "{\"state\":\"canceled\"}", 200, "{\"state\":\"canceled\",\"pulp_href\":\"{t}\"}",
			NULL},
		{"PATCH", "{t}", "{\"state\":\"canceled\"}", 409, "{\"state\":\"canceled\"}", NULL});
	work(f);
	PLAY(f, {"GET", "tasks/?state=completed", NULL, 200, "{\"count\":2}", NULL},
		{"GET", "tasks/?state__in=canceled,failed", NULL, 200, "{\"count\":1}", NULL},
		{"GET", "tasks/?state__ne=canceled", NULL, 200, "{\"count\":2}", NULL},
		{"GET", "tasks/?state=done", NULL, 400,
			"={\"state\":[\"Select a valid choice. done is not one of the available choices.\"]}", NULL},
		{"GET", "tasks/?name__contains=sync", NULL, 200, "{\"count\":2}", NULL},
		{"GET", "tasks/?reserved_resources={r}", NULL, 200, "{\"count\":2}", NULL},
		{"GET", "tasks/?reserved_resources__in={r},{m}", NULL, 200, "{\"count\":2}", NULL},
		{"GET", "tasks/?exclusive_resources={m}", NULL, 200, "{\"count\":0}", NULL},
		{"GET", "tasks/?shared_resources={m}", NULL, 200, "{\"count\":2}", NULL},
		{"GET", "tasks/?reserved_resources=shared:{rprn}", NULL, 200, "{\"count\":0}", NULL},
		{"GET", "tasks/?reserved_resources=anything", NULL, 200, "{\"count\":0}", NULL},
		{"GET", "tasks/?created_resources=rubbish", NULL, 400, "=[\"URI not valid: rubbish\"]", NULL},
		{"GET", "{d}", NULL, 200, NULL, "dist=created_resources.0"},
		{"GET", "tasks/?created_resources={dist}", NULL, 200,
			"{\"count\":1,\"results\":[{\"pulp_href\":\"{d}\"}]}", NULL},
		{"GET", "tasks/?started_at__isnull=true", NULL, 200, "{\"count\":1}", NULL},
		{"GET", "tasks/?child_tasks={t}", NULL, 200, "{\"count\":0}", NULL},
		{"GET", "tasks/?parent_task={t}", NULL, 200, "{\"count\":0}", NULL},
		{"GET", "{u}?minimal=true", NULL, 200, "~\"name\":\"test.file.sync\"", NULL},
		{"DELETE", "{u}", NULL, 204, "=", NULL},
		{"GET", "{u}", NULL, 404, "={\"detail\":\"No Task matches the given query.\"}", NULL});
	exec_sql(f, "INSERT INTO task_group (id, uuid, created, updated, description, all_tasks_dispatched) VALUES "
		    "(1, x'01900000000070008000000000000031', 1, 1, 'all', 1);"
		    "UPDATE task SET group_id = 1;"
		    "INSERT INTO progress_report (task_id, ord, message, code, state, total, done, suffix) SELECT id, "
		    "0, 'Files', 'files', "
		    "'completed', 3, 2, NULL FROM task");
	PLAY(f, {"GET", "task-groups/", NULL, 200, "{\"count\":1}", "g=results.0.pulp_href"},
		{"GET", "{g}", NULL, 200,
			"{\"description\":\"all\",\"all_tasks_dispatched\":true,\"completed\":1,\"canceled\":1,"
			"\"waiting\":0,"
			"\"group_progress_reports\":[{\"code\":\"files\",\"total\":6,\"done\":4}]}",
			NULL},
		{"GET", "{d}", NULL, 200,
			"{\"progress_reports\":[{\"message\":\"Files\",\"code\":\"files\",\"state\":\"completed\","
			"\"total\":3,\"done\":2,"
			"\"suffix\":null}],\"task_group\":\"{g}\"}",
			NULL},
		{"GET", "tasks/?task_group={g}", NULL, 200, "{\"count\":2}", NULL},
		{"PATCH", "{g}", "{\"state\":\"canceled\"}", 200, NULL, NULL});
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_filters),
		TEST(test_pages),
		TEST(test_content),
		TEST(test_maintenance),
		TEST(test_tasks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
