/* Every field that can be written, of every resource, action and page, with values that it must not take: made from the tables, so that no field is
 * forgotten. Each is refused with 400 and the field's name, in Pulp's shape, and nothing is made. */
#include "fixture.h"

#include "api/api_priv.h"
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

#define MISSING "01900000-0000-7000-8000-000000000099"

/* Texts of JSON, by type. */
static const char *const bad_values[][12] = {
	[T_STRING] = {"5", "1.5", "true", "[]", "{}", "[\"a\"]"},
	[T_INTEGER] = {"\"x\"", "\"\"", "1.5", "true", "[]", "{}", "1e30", "99999999999999999999", "\"0x10\"",
		"\"1 2\""},
	[T_FLOAT] = {"\"x\"", "\"\"", "true", "[]", "{}", "1e300", "\"nan\"", "\"inf\"", "-1e300"},
	[T_BOOLEAN] = {"\"maybe\"", "\"\"", "2", "1.5", "[]", "{}"},
	[T_TIME] = {"\"x\"", "\"\"", "5", "[]", "{}", "\"2026-13-01T00:00\"", "\"2026-02-30T00:00\""},
	[T_CHOICE] = {"\"x\"", "\"\"", "5", "true", "[]", "{}"},
	[T_LABELS] = {"\"x\"", "5", "[]", "{\"k\":1}", "{\"k\":[]}", "{\"k!\":\"v\"}", "{\"\":\"v\"}", "{\"k\":\"(\"}"},
	[T_OBJECT] = {"\"x\"", "5", "[]", "true"},
	[T_JSON] = {NULL},
	[T_STRINGS] = {"\"x\"", "5", "{}", "[5]", "[null]", "[[\"a\"]]", "[{}]"},
	[T_HEADERS] = {"\"x\"", "5", "{}", "[\"a\"]", "[{}]", "[{\"a\":5}]", "[{\"a\":\"b\",\"c\":\"d\"}]",
		"[{\"a b\":\"c\"}]", "[{\"a\":\"\\r\\n\"}]"},
	[T_FILE] = {"\"x\"", "5", "{}", "[]"},
	[T_REF] = {"\"x\"", "5", "true", "{}", "[]", "\"/pulp/api/v3/nothing/" MISSING "/\"",
		"\"prn:core.nothing:" MISSING "\"", "\"/pulp/api/v3/tasks/" MISSING "/\"", "\"prn:file.fileremote:x\"",
		"\"/pulp/api/v3/remotes/file/file/\""},
};

struct door {
	const char *method;
	char path[256];
	int asked; /* how many values */
};

static void try(struct fixture *f, struct door *d, const struct api_field *field, const char *value)
{
	char want[128];
	struct buf body = BUF_INIT(1 << 20);
	struct api_request req = {.content_type = SLICE("application/json")};
	struct api_response res;
	json_t *json;

	buf_addf(&body, "{\"%s\":%s}", field->name, value);
	req.body = buf_slice(&body);
	ask(f, d->method, d->path, &req, &res);
	json = res.body.n > 0 ? json_loadb(res.body.p, res.body.n, JSON_DECODE_ANY, NULL) : NULL;
	(void)snprintf(want, sizeof(want), "%s", field->name);
	if (res.status != 400 || json_object_get(json, want) == NULL)
		fail_msg("%s %s %.200s: %d %s", d->method, d->path, body.p, res.status,
			res.body.p != NULL ? res.body.p : "");
	d->asked++;
	json_decref(json);
	api_response_fini(&res);
	buf_fini(&body);
}

static void try_field(struct fixture *f, struct door *d, const struct api_field *field)
{
	char text[64];

	if (field->flags & F_READ_ONLY)
		return;
	for (size_t i = 0; i < ARRAY_LEN(bad_values[0]) && bad_values[field->type][i] != NULL; i++) {
		/* an empty text is null for what may be null */
		if (field->type == T_REF && (field->flags & F_NULLABLE) && strcmp(bad_values[T_REF][i], "\"\"") == 0)
			continue;
		try(f, d, field, bad_values[field->type][i]);
	}
	if (!(field->flags & F_NULLABLE))
		try(f, d, field, "null");
	if (field->type == T_STRING && !(field->flags & (F_BLANK | F_NULLABLE | F_VERBATIM))) {
		try(f, d, field, "\"\"");
		try(f, d, field, "\" \\t\\n\"");
	}
	if (field->type == T_STRING && field->max_length > 0) {
		char *longer = calloc(1, (size_t)field->max_length + 4);

		assert_non_null(longer);
		memset(longer, 'a', (size_t)field->max_length + 3);
		longer[0] = longer[field->max_length + 2] = '"';
		try(f, d, field, longer);
		free(longer);
	}
	if (field->bounded && (field->type == T_INTEGER || field->type == T_FLOAT)) {
		(void)snprintf(text, sizeof(text), "%lld", (long long)field->min - 1);
		try(f, d, field, text);
	}
}

static void try_list(struct fixture *f, struct door *d, const struct api_field *const *list)
{
	for (; *list != NULL; list++)
		try_field(f, d, *list);
}

static void try_array(struct fixture *f, struct door *d, const struct api_field *fields)
{
	for (; fields != NULL && fields->name != NULL; fields++)
		try_field(f, d, fields);
}

/* ---- creates ---- */

static void test_creates(void **state)
{
	struct fixture *f = *state;
	int asked = 0;

	for (size_t i = 0; i < f->api->resource_count; i++) {
		const struct api_resource *r = &f->api->resources[i];
		struct door d = {.method = "POST"};

		if (!(r->ops & API_CREATE))
			continue;
		(void)snprintf(d.path, sizeof(d.path), "%s/", r->path);
		try_list(f, &d, (const struct api_field *const *)r->create_fields);
		asked += d.asked;
		(void)snprintf(d.path, sizeof(d.path), "%s/", r->path);
		/* whom the test logs in as is there already */
		PLAY(f, {"GET", d.path, NULL, 200, strcmp(r->path, "users") == 0 ? "{\"count\":1}" : "{\"count\":0}",
				NULL});
	}
	assert_true(asked > 500);
	PLAY(f, {"GET", "tasks/", NULL, 200, "{\"count\":0}", NULL});
}

/* ---- changes and actions of objects that are there ---- */

static void test_changes_and_actions(void **state)
{
	static const struct {
		const char *path, *body;
	} made[] = {
		{"remotes/file/file/", "{\"name\":\"m\",\"url\":\"http://h/M\"}"},
		{"remotes/box/box/", "{\"name\":\"b\",\"url\":\"http://h/M\",\"suite\":\"s\"}"},
		{"repositories/file/file/", "{\"name\":\"m\"}"},
		{"repositories/box/box/", "{\"name\":\"b\"}"},
		{"uploads/", "{\"size\":5}"},
		{"users/", "{\"username\":\"m\"}"},
		{"groups/", "{\"name\":\"m\"}"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(made); i++) {
		struct door d = {0};
		const struct api_resource *r;
		char path[64], href[200];

		(void)snprintf(path, sizeof(path), "%.*s", (int)strlen(made[i].path) - 1, made[i].path);
		r = api_resource_by_path(f->api, path);
		assert_non_null(r);
		PLAY(f, {"POST", made[i].path, made[i].body, 201, NULL, "o=pulp_href"});
		(void)snprintf(href, sizeof(href), "%s", saved(f, "o"));
		(void)snprintf(d.path, sizeof(d.path), "%s", href);
		if (r->ops & API_UPDATE) {
			d.method = "PATCH";
			try_list(f, &d, (const struct api_field *const *)r->fields);
			d.method = "PUT";
			try_list(f, &d, (const struct api_field *const *)r->fields);
		}
		for (const struct api_action *a = r->kind->actions; a != NULL && a->name != NULL; a++) {
			if (!a->on_object || a->name[0] == '\0' || strcmp(a->name, "sync") == 0)
				continue;
			d.method = "POST";
			(void)snprintf(d.path, sizeof(d.path), "%s%s/", href, a->name);
			try_array(f, &d, a->fields);
		}
		PLAY(f, {"GET", "{o}", NULL, 200, NULL, NULL});
	}
	PLAY(f, {"GET", "tasks/", NULL, 200, "{\"count\":0}", NULL});
}

static void test_pages(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < api_page_count; i++) {
		struct door d = {.method = "POST"};

		if (api_pages[i].method != HTTP_POST || api_pages[i].format != NULL)
			continue;
		(void)snprintf(d.path, sizeof(d.path), "%s/", api_pages[i].path);
		try_array(f, &d, api_pages[i].fields);
	}
	PLAY(f, {"GET", "tasks/", NULL, 200, "{\"count\":0}", NULL});
}

/* ---- bodies that are none ---- */

static void test_deep_and_broken_bodies(void **state)
{
	struct fixture *f = *state;
	struct buf deep = BUF_INIT(1 << 22);

	for (size_t i = 0; i < f->api->resource_count; i++) {
		const struct api_resource *r = &f->api->resources[i];
		static const char *const bodies[] = {"[]", "1", "\"x\"", "null", "{", "{\"name\":}",
			"{\"name\":\"\xff\"}", "{\"name\":\"a\\u0000b\"}", "{\"a\":1,\"a\":2}", NULL};
		char path[128];

		if (!(r->ops & API_CREATE))
			continue;
		(void)snprintf(path, sizeof(path), "%s/", r->path);
		buf_reset(&deep);
		buf_adds(&deep, "{\"name\":");
		for (int k = 0; k < 100000; k++)
			buf_adds(&deep, "[");
		for (size_t k = 0; k <= ARRAY_LEN(bodies) - 1; k++) {
			struct api_request req = {.content_type = SLICE("application/json"),
				.body = bodies[k] != NULL ? slice_str(bodies[k]) : buf_slice(&deep)};
			struct api_response res;

			ask(f, "POST", path, &req, &res);
			if (res.status != 400)
				fail_msg("%s %.60s: %d", path, req.body.p, res.status);
			api_response_fini(&res);
		}
	}
	buf_fini(&deep);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_creates),
		TEST(test_changes_and_actions),
		TEST(test_pages),
		TEST(test_deep_and_broken_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
