/* The document that describes the API: is it OpenAPI, does it name everything that is served, do clients find what they go by. */
#include "fixture.h"

#include "base/check.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static json_t *document(struct fixture *f, const char *query)
{
	struct api_request req = {.authorization = {"", 0}};
	struct api_response res;
	char path[128];
	json_t *doc;

	(void)snprintf(path, sizeof(path), "docs/api.json%s", query);
	ask(f, "GET", path, &req, &res);
	assert_int_equal(res.status, 200);
	assert_string_equal(res.content_type, "application/json");
	doc = json_loadb(res.body.p, res.body.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	api_response_fini(&res);
	return doc;
}

static const json_t *at(const json_t *v, const char *path)
{
	char *copy = strdup(path), *rest = copy, *part;

	while (v != NULL && (part = strsep(&rest, "|")) != NULL)
		v = json_object_get(v, part);
	free(copy);
	return v;
}

static const char *text_at(const json_t *v, const char *path)
{
	return json_string_value(at(v, path));
}

/* Only these members, and x-… */
static void only(const json_t *object, const char *where, const char *const *names)
{
	const char *key;
	json_t *v;

	assert_true(json_is_object(object));
	json_object_foreach((json_t *)object, key, v)
	{
		const char *const *n = names;

		while (*n != NULL && strcmp(*n, key) != 0)
			n++;
		if (*n == NULL && strncmp(key, "x-", 2) != 0)
			fail_msg("%s has the member %s", where, key);
	}
}
#define ONLY(object, where, ...) only(object, where, (const char *const[]){__VA_ARGS__, NULL})

static void check_schema(const json_t *doc, const json_t *schema, const char *where)
{
	const char *ref = text_at(schema, "$ref"), *key;
	json_t *v;

	if (!json_is_object(schema))
		fail_msg("%s has no schema", where);
	if (ref != NULL) {
		assert_int_equal(strncmp(ref, "#/components/schemas/", 21), 0);
		if (json_object_get(at(doc, "components|schemas"), ref + 21) == NULL)
			fail_msg("%s refers to %s", where, ref);
		return;
	}
	ONLY(schema, where, "type", "format", "enum", "properties", "required", "items", "additionalProperties",
		"nullable", "default", "description", "readOnly", "writeOnly", "minimum", "maxLength", "minLength");
	json_object_foreach(json_object_get(schema, "properties"), key, v) check_schema(doc, v, key);
	if (json_object_get(schema, "items") != NULL)
		check_schema(doc, json_object_get(schema, "items"), where);
	else
		assert_true(text_at(schema, "type") == NULL || strcmp(text_at(schema, "type"), "array") != 0);
}

static void check_content(const json_t *doc, const json_t *content, const char *where)
{
	const char *type;
	json_t *v;

	json_object_foreach((json_t *)content, type, v)
	{
		ONLY(v, where, "schema");
		check_schema(doc, json_object_get(v, "schema"), where);
	}
}

static bool has_parameter(const json_t *op, const char *in, const char *name)
{
	json_t *p;
	size_t i;

	json_array_foreach(json_object_get(op, "parameters"), i,
		p) if (strcmp(text_at(p, "in"), in) == 0 && strcmp(text_at(p, "name"), name) == 0) return true;
	return false;
}

static void check_parameters(const json_t *doc, const json_t *op, const char *id)
{
	json_t *p;
	size_t i;

	json_array_foreach(json_object_get(op, "parameters"), i, p)
	{
		ONLY(p, id, "name", "in", "description", "required", "schema", "style", "explode");
		assert_non_null(text_at(p, "name"));
		check_schema(doc, json_object_get(p, "schema"), text_at(p, "name"));
		if (strcmp(text_at(p, "in"), "path") == 0)
			assert_true(json_is_true(json_object_get(p, "required")));
		for (size_t k = 0; k < i; k++)
			if (strcmp(text_at(json_array_get(json_object_get(op, "parameters"), k), "name"),
				    text_at(p, "name")) == 0)
				fail_msg("%s has two parameters %s", id, text_at(p, "name"));
	}
}

static void check_operation(const json_t *doc, const char *path, const json_t *op)
{
	const char *id = text_at(op, "operationId"), *status;
	const json_t *responses = json_object_get(op, "responses");
	json_t *v;

	if (id == NULL)
		fail_msg("%s has an operation without a name", path);
	ONLY(op, id, "operationId", "description", "tags", "parameters", "requestBody", "responses", "security");
	check_parameters(doc, op, id);
	for (const char *p = path; (p = strchr(p, '{')) != NULL; p++) {
		char name[128];

		(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(p + 1, "}"), p + 1);
		if (!has_parameter(op, "path", name))
			fail_msg("%s does not declare {%s}", id, name);
	}
	assert_true(json_object_size(responses) > 0);
	json_object_foreach((json_t *)responses, status, v)
	{
		ONLY(v, id, "description", "content");
		assert_non_null(text_at(v, "description"));
		check_content(doc, json_object_get(v, "content"), id);
	}
	if ((v = json_object_get(op, "requestBody")) != NULL) {
		ONLY(v, id, "content", "required");
		assert_true(json_object_size(json_object_get(v, "content")) > 0);
		check_content(doc, json_object_get(v, "content"), id);
	}
}

static void check_document(const json_t *doc, bool unique)
{
	json_t *seen = json_object(), *item, *op, *schema;
	const char *path, *method, *name;

	ONLY(doc, "the document", "openapi", "info", "servers", "paths", "components");
	assert_int_equal(strncmp(text_at(doc, "openapi"), "3.0.", 4), 0);
	assert_non_null(text_at(doc, "info|title"));
	assert_non_null(text_at(doc, "info|version"));
	json_object_foreach(json_object_get(doc, "paths"), path, item)
	{
		ONLY(item, path, "get", "put", "post", "patch", "delete");
		json_object_foreach(item, method, op)
		{
			check_operation(doc, path, op);
			if (unique && json_object_get(seen, text_at(op, "operationId")) != NULL)
				fail_msg("%s is there twice", text_at(op, "operationId"));
			json_object_set_new(seen, text_at(op, "operationId"), json_true());
		}
	}
	json_object_foreach((json_t *)at(doc, "components|schemas"), name, schema) check_schema(doc, schema, name);
	json_decref(seen);
}

static void test_each_variant_is_openapi(void **state)
{
	static const char *const queries[] = {"", "?pk_path=1", "?include_html=1", "?bindings",
		"?bindings&component=core", "?bindings&component=file", "?component=box", "?component=none"};

	for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
		json_t *doc = document(*state, queries[i]);

		check_document(doc, strstr(queries[i], "bindings") == NULL);
		json_decref(doc);
	}
}

/* Every route that the root lists is a path of the document, and each method that a path answers with anything but 405 is one of its operations. */
static void test_every_route_is_described(void **state)
{
	static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"}, *const members[] = {"get",
												"post", "put", "patch",
												"delete"};
	struct fixture *f = *state;
	json_t *doc = document(f, "?pk_path=1"), *item;
	struct api_request root = {.authorization = {"", 0}};
	struct api_response res;
	const char *path, *name;
	json_t *routes, *url;

	ask(f, "GET", "", &root, &res);
	routes = json_loadb(res.body.p, res.body.n, 0, NULL);
	api_response_fini(&res);
	json_object_foreach(routes, name, url)
	{
		path = json_string_value(url) + strlen("http://mirror.test");
		if (strncmp(name, "docs", 4) != 0 && json_object_get(json_object_get(doc, "paths"), path) == NULL)
			fail_msg("%s is not in the document", path);
	}
	json_object_foreach(json_object_get(doc, "paths"), path, item)
	{
		char real[256] = "";

		for (const char *p = path; *p != '\0'; p++) {
			bool open = *p == '{';

			strncat(real,
				open ? strncmp(p, "{number}", 8) == 0 ? "7" : "0199aaaa-0000-7000-8000-000000000000"
				     : p,
				open ? sizeof(real) - strlen(real) - 1 : 1);
			p = open ? strchr(p, '}') : p;
		}
		for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
			struct api_request req = {.content_type = SLICE("application/json"), .body = SLICE("[]")};

			ask(f, methods[i], real, &req, &res);
			if ((res.status != 405) != (json_object_get(item, members[i]) != NULL))
				fail_msg("%s %s answers %d", methods[i], path, res.status);
			assert_true(res.status < 500);
			api_response_fini(&res);
		}
	}
	json_decref(routes);
	json_decref(doc);
}

static const char *id_of(const json_t *doc, const char *path, const char *method)
{
	return text_at(json_object_get(at(doc, "paths"), path), method);
}

static void test_names_are_pulps(void **state)
{
	static const char *const ids[][3] = {
		{"/pulp/api/v3/remotes/file/file/", "post|operationId", "remotes_file_file_create"},
		{"{file_file_remote_href}", "patch|operationId", "remotes_file_file_partial_update"},
		{"{file_file_repository_href}sync/", "post|operationId", "repositories_file_file_sync"},
		{"{file_file_repository_href}versions/", "get|operationId", "repositories_file_file_versions_list"},
		{"{file_file_repository_version_href}", "delete|operationId", "repositories_file_file_versions_delete"},
		{"{file_file_content_href}", "get|operationId", "content_file_files_read"},
		{"{task_href}", "patch|operationId", "tasks_cancel"},
		{"{task_group_href}", "patch|operationId", "task_groups_cancel"},
		{"/pulp/api/v3/orphans/cleanup/", "post|operationId", "orphans_cleanup_cleanup"},
		{"/pulp/api/v3/status/", "get|operationId", "status_read"},
	};
	json_t *doc = document(*state, ""), *op;

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		const char *id = id_of(doc, ids[i][0], ids[i][1]);

		if (id == NULL || strcmp(id, ids[i][2]) != 0)
			fail_msg("%s is called %s", ids[i][2], id != NULL ? id : "nothing");
	}
	assert_string_equal(text_at(doc, "info|x-pulp-app-versions|box"), "4.5.6");
	assert_true(json_is_false(at(doc, "info|x-pulp-domain-enabled")));
	assert_string_equal(
		text_at(doc, "components|schemas|file.FileRepositoryResponse|properties|manifest|type"), "string");
	assert_null(at(doc, "components|schemas|file.FileRemoteResponse|properties|password"));
	assert_true(json_is_true(at(doc, "components|schemas|file.FileRemote|properties|password|writeOnly")));
	assert_non_null(at(doc, "components|schemas|FileRepositorySyncURL|properties|mirror"));
	assert_null(at(doc, "components|schemas|Patchedfile.FileRemote|required"));
	op = json_object_get(
		json_object_get(json_object_get(doc, "paths"), "/pulp/api/v3/repositories/file/file/"), "get");
	assert_true(has_parameter(op, "query", "name__icontains") && has_parameter(op, "query", "pulp_href__in") &&
		    has_parameter(op, "query", "retain_repo_versions__isnull") && has_parameter(op, "query", "q"));
	json_decref(doc);
	doc = document(*state, "?bindings&component=file");
	assert_string_equal(id_of(doc, "{file_file_repository_href}sync/", "post|operationId"), "sync");
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(json_object_get(json_object_get(at(doc, "paths"),
									    "{file_file_repository_href}versions/"),
							    "get"),
					    "tags"),
				    0)),
		"Repositories: File Versions");
	assert_null(json_object_get(json_object_get(doc, "paths"), "/pulp/api/v3/remotes/box/box/"));
	assert_null(json_object_get(json_object_get(doc, "paths"), "/pulp/api/v3/status/"));
	json_decref(doc);
}

static void test_yaml_says_the_same(void **state)
{
	struct api_request req = {.authorization = {"", 0}};
	struct api_response res;

	ask(*state, "GET", "docs/api.yaml", &req, &res);
	assert_int_equal(res.status, 200);
	assert_string_equal(res.content_type, "application/yaml");
	assert_non_null(strstr(res.body.p, "\"openapi\": \"3.0.3\"\n\"info\":\n  \"title\": "));
	assert_non_null(strstr(res.body.p, "      \"parameters\":\n        - \"name\": "));
	assert_non_null(strstr(res.body.p, "        - \"basicAuth\": []\n"));
	assert_non_null(strstr(res.body.p, "        - {}\n"));
	api_response_fini(&res);
	PLAY(*state, {"POST", "docs/api.json", NULL, 405, NULL, NULL}, {"GET", "docs/api.json/", NULL, 404, NULL, NULL},
		{"GET", "docs/api.jso", NULL, 404, NULL, NULL});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_variant_is_openapi, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_every_route_is_described, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_names_are_pulps, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_yaml_says_the_same, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
