/* Users, groups and roles: who they are, what they may do, and that nobody locks himself out for good. */
#include "fixture.h"

#include "base/check.h"

#include <openssl/evp.h>

#include <stdio.h>
#include <string.h>

#define USERS "users/"
#define GROUPS "groups/"
#define RBAC "contentguards/core/rbac/"
#define DOWNLOADER "core.rbaccontentguard_downloader"

static int ask_as(struct fixture *f, const char *who, const char *method, const char *path, const char *body)
{
	char field[256] = "Basic ";
	struct api_request req = {
		.content_type = SLICE("application/json"), .body = slice_str(body != NULL ? body : "")};
	struct api_response res;
	int status;

	(void)EVP_EncodeBlock((unsigned char *)field + 6, (const unsigned char *)who, (int)strlen(who));
	req.authorization = slice_str(field);
	ask(f, method, path, &req, &res);
	status = res.status;
	/* whatever they are told, no hash and no password is in it */
	assert_true(res.body.p == NULL ||
		    (strstr(res.body.p, "scrypt") == NULL && strstr(res.body.p, "pass-word") == NULL));
	api_response_fini(&res);
	return status;
}

static void test_the_life_of_a_user(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"GET", USERS, NULL, 200, "{\"count\":1}", "admin=results.0.pulp_href"},
		{"GET", "{admin}", NULL, 200,
			"{\"pulp_href\":\"/pulp/api/v3/users/1/"
			"\",\"prn\":\"prn:auth.user:1\",\"id\":1,\"username\":\"admin\","
			"\"is_staff\":true,\"is_active\":true,\"groups\":[],\"hidden_fields\":[{\"name\":\"password\","
			"\"is_set\":"
			"true}]}",
			NULL},
		{"POST", USERS, "{\"username\":\"eve\",\"password\":\"pass-word\",\"email\":\"e@x\"}", 201,
			"{\"username\":\"eve\",\"email\":\"e@x\",\"first_name\":\"\",\"is_staff\":false,\"is_active\":"
			"true}",
			"eve=pulp_href"},
		{"POST", USERS, "{\"username\":\"eve\",\"password\":\"x\"}", 400,
			"={\"username\":[\"This field must be unique.\"]}", NULL},
		{"POST", USERS, "{\"username\":\"a:b\"}", 400, "~Enter a valid username", NULL},
		{"POST", USERS, "{\"username\":\"adam\"}", 201,
			"{\"hidden_fields\":[{\"name\":\"password\",\"is_set\":false}]}", "adam=pulp_href"},
		{"GET", USERS "?username__startswith=e&is_staff=false", NULL, 200, "{\"count\":1}", NULL},
		{"GET", USERS "?ordering=-username", NULL, 200, "{\"count\":3}", NULL},
		{"GET", USERS "?password=x", NULL, 400, NULL, NULL}, {"GET", "users/99/", NULL, 404, NULL, NULL},
		{"GET", "users/x/", NULL, 404, NULL, NULL});
	assert_int_equal(ask_as(f, "eve:pass-word", "GET", "tasks/", NULL), 403);
	assert_int_equal(ask_as(f, "adam:!", "GET", "tasks/", NULL), 401);
	PLAY(f,
		{"PATCH", "{eve}", "{\"first_name\":\"Eve\"}", 200, "{\"first_name\":\"Eve\",\"username\":\"eve\"}",
			NULL},
		{"PATCH", "{eve}", "{\"password\":\"another pass-word\"}", 200, "{\"first_name\":\"Eve\"}", NULL});
	assert_int_equal(ask_as(f, "eve:pass-word", "GET", "tasks/", NULL), 401);
	assert_int_equal(ask_as(f, "eve:another pass-word", "GET", "tasks/", NULL), 403);
	PLAY(f, {"PUT", "{eve}", "{\"username\":\"eva\",\"is_staff\":true}", 200,
			"{\"username\":\"eva\",\"is_staff\":true}", NULL});
	assert_int_equal(ask_as(f, "eva:another pass-word", "GET", USERS, NULL), 200);
	assert_int_equal(ask_as(f, "eva:another pass-word", "DELETE", saved(f, "adam"), NULL), 204);
	PLAY(f, {"PATCH", "{eve}", "{\"is_active\":false}", 200, "{\"is_active\":false}", NULL});
	assert_int_equal(ask_as(f, "eva:another pass-word", "GET", USERS, NULL), 401);
	PLAY(f, {"DELETE", "{eve}", NULL, 204, NULL, NULL}, {"GET", "{eve}", NULL, 404, NULL, NULL});
}

static void test_somebody_has_to_stay(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;

	PLAY(f, {"DELETE", "users/1/", NULL, 400, "=[\"The last administrator cannot be deleted.\"]", NULL},
		{"PATCH", "users/1/", "{\"is_active\":false}", 400, "~has to stay", NULL},
		{"PATCH", "users/1/", "{\"is_staff\":false}", 400, "~has to stay", NULL},
		{"POST", USERS, "{\"username\":\"eve\",\"password\":\"x\",\"is_staff\":true}", 201, NULL, NULL},
		{"PATCH", "users/1/", "{\"is_staff\":false}", 200, NULL, NULL}, {"GET", USERS, NULL, 403, NULL, NULL});
	/* who has the server's environment gets in again */
	assert_int_equal(api_user_ensure_admin(f->catalog, ADMIN_PASSWORD, &err), 0);
	PLAY(f, {"GET", USERS, NULL, 200, NULL, NULL});
}

static void test_groups(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"POST", USERS, "{\"username\":\"eve\",\"password\":\"pass-word\"}", 201, NULL, "eve=pulp_href"},
		{"POST", GROUPS, "{\"name\":\"g\"}", 201, "{\"name\":\"g\",\"pulp_href\":\"/pulp/api/v3/groups/1/\"}",
			"g=pulp_href"},
		{"POST", GROUPS, "{\"name\":\"g\"}", 400, NULL, NULL},
		{"PATCH", "{g}", "{\"name\":\"h\"}", 200, NULL, NULL},
		{"GET", GROUPS "?name=h", NULL, 200, "{\"count\":1}", NULL},
		{"POST", "{g}users/", "{\"username\":\"eve\"}", 201, "{\"username\":\"eve\",\"pulp_href\":\"{eve}\"}",
			NULL},
		{"POST", "{g}users/", "{\"username\":\"eve\"}", 201, NULL, NULL},
		{"POST", "{g}users/", "{\"username\":\"nobody\"}", 400, "~does not exist", NULL},
		{"POST", "{g}users/", "{}", 400, NULL, NULL},
		{"POST", "groups/99/users/", "{\"username\":\"eve\"}", 404, NULL, NULL},
		{"GET", "{g}users/", NULL, 200, "{\"count\":1}", NULL},
		{"GET", "groups/99/users/", NULL, 200, "{\"count\":0}", NULL},
		{"GET", "{eve}", NULL, 200, "{\"groups\":[{\"name\":\"h\",\"pulp_href\":\"{g}\"}]}", NULL},
		{"DELETE", "{g}users/2/", NULL, 204, NULL, NULL}, {"DELETE", "{g}users/2/", NULL, 404, NULL, NULL},
		{"GET", "{eve}", NULL, 200, "{\"groups\":[]}", NULL}, {"DELETE", "{g}", NULL, 204, NULL, NULL});
}

static void test_viewers_read(void **state)
{
	static const struct {
		const char *method, *path, *body;
	} writes[] = {
		{"POST", "remotes/file/file/", "{\"name\":\"x\",\"url\":\"http://h/\"}"},
		{"DELETE", "{r}", NULL},
		{"PATCH", "{r}", "{\"name\":\"y\"}"},
		{"POST", "{r}set_label/", "{\"key\":\"k\",\"value\":\"v\"}"},
		{"POST", "orphans/cleanup/", "{}"},
		{"POST", "tasks/purge/", "{}"},
		{"POST", USERS, "{\"username\":\"x\"}"},
		{"POST", "users/2/roles/", "{\"role\":\"sluice.admin\"}"},
		{"PATCH", "users/2/", "{\"is_staff\":true}"},
	};
	struct fixture *f = *state;
	struct api_request req = {.host = {NULL, 0}};
	struct api_response res;

	PLAY(f,
		{"POST", "remotes/file/file/",
			"{\"name\":\"r\",\"url\":\"http://h/"
			"\",\"headers\":[{\"X\":\"tok-en\"}],\"password\":\"pass-word\"}",
			201, NULL, "r=pulp_href"},
		{"POST", "contentguards/core/header/",
			"{\"name\":\"h\",\"header_name\":\"X\",\"header_value\":\"tok-en\"}", 201, NULL, NULL},
		{"POST", USERS, "{\"username\":\"eve\",\"password\":\"pass-word\"}", 201, NULL, NULL},
		{"POST", "users/2/roles/", "{\"role\":\"sluice.viewer\",\"content_object\":null,\"domain\":null}", 201,
			"{\"role\":\"sluice.viewer\",\"content_object\":null}", "a=pulp_href"},
		{"POST", "users/2/roles/", "{\"role\":\"sluice.viewer\"}", 400, "~already assigned", NULL},
		{"POST", "users/2/roles/", "{\"role\":\"file.nothing\"}", 400, "~is not one", NULL},
		{"POST", "users/2/roles/", "{\"role\":\"sluice.viewer\",\"content_object\":\"{r}\"}", 400, "~add_role",
			NULL},
		{"POST", "users/99/roles/", "{\"role\":\"sluice.viewer\"}", 404, NULL, NULL},
		{"GET", "users/2/roles/?role=sluice.viewer", NULL, 200, "{\"count\":1}", NULL},
		{"GET", "users/1/roles/", NULL, 200, "{\"count\":0}", NULL},
		{"GET", "{a}", NULL, 200, "{\"role\":\"sluice.viewer\"}", NULL});
	for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
		const char *path = writes[i].path;
		char full[256];

		(void)snprintf(full, sizeof(full), "%s%s", path[0] == '{' ? saved(f, "r") : "",
			path[0] == '{' ? path + 3 : path);
		assert_int_equal(ask_as(f, "eve:pass-word", writes[i].method, full, writes[i].body), 403);
	}
	assert_int_equal(ask_as(f, "eve:pass-word", "GET", "remotes/", NULL), 200);
	assert_int_equal(ask_as(f, "eve:pass-word", "HEAD", "tasks/", NULL), 200);
	/* and no secrets */
	for (int i = 0; i < 2; i++) {
		char field[128] = "Basic ";

		(void)EVP_EncodeBlock((unsigned char *)field + 6, (const unsigned char *)"eve:pass-word", 13);
		req.authorization = slice_str(field);
		ask(f, "GET", i == 0 ? "remotes/file/file/" : "contentguards/core/header/", &req, &res);
		assert_int_equal(res.status, 200);
		assert_non_null(strstr(res.body.p, "\"count\":1"));
		assert_null(strstr(res.body.p, "tok-en"));
		api_response_fini(&res);
		req = (struct api_request){.host = {NULL, 0}};
	}
	PLAY(f, {"GET", "{r}", NULL, 200, "{\"headers\":[{\"X\":\"tok-en\"}]}", NULL},
		{"DELETE", "{a}", NULL, 204, NULL, NULL});
	assert_int_equal(ask_as(f, "eve:pass-word", "GET", "remotes/", NULL), 403);
}

static void test_roles_of_groups(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"POST", USERS, "{\"username\":\"eve\",\"password\":\"pass-word\"}", 201, NULL, NULL},
		{"POST", GROUPS, "{\"name\":\"g\"}", 201, NULL, "g=pulp_href"},
		{"POST", "{g}users/", "{\"username\":\"eve\"}", 201, NULL, NULL});
	assert_int_equal(ask_as(f, "eve:pass-word", "GET", "tasks/", NULL), 403);
	PLAY(f, {"POST", "{g}roles/", "{\"role\":\"sluice.admin\"}", 201, "{\"permissions\":[\"*\"]}", "a=pulp_href"});
	assert_int_equal(ask_as(f, "eve:pass-word", "POST", GROUPS, "{\"name\":\"by-eve\"}"), 201);
	PLAY(f, {"DELETE", "{a}", NULL, 204, NULL, NULL});
	assert_int_equal(ask_as(f, "eve:pass-word", "GET", "tasks/", NULL), 403);
	PLAY(f, {"GET", "roles/", NULL, 200, "{\"count\":3}", NULL},
		{"GET", "roles/?name=" DOWNLOADER, NULL, 200, "{\"count\":1}", "d=results.0.pulp_href"},
		{"GET", "{d}", NULL, 200, "{\"locked\":true}", NULL},
		{"POST", "roles/", "{\"name\":\"x\"}", 405, NULL, NULL});
}

static void test_groups_of_a_guard(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"POST", RBAC, "{\"name\":\"r\"}", 201, NULL, "r=pulp_href"},
		{"POST", GROUPS, "{\"name\":\"g\"}", 201, NULL, "g=pulp_href"},
		{"POST", "{r}add_role/", "{\"role\":\"" DOWNLOADER "\",\"groups\":[\"g\"],\"users\":[\"admin\"]}", 201,
			NULL, NULL},
		{"POST", "{r}add_role/", "{\"role\":\"" DOWNLOADER "\",\"groups\":[\"none\"]}", 400, "~does not exist",
			NULL},
		{"GET", "{r}", NULL, 200, "{\"groups\":[{\"name\":\"g\"}],\"users\":[{\"username\":\"admin\"}]}", NULL},
		{"GET", "{r}list_roles/", NULL, 200,
			"{\"roles\":[{\"role\":\"" DOWNLOADER "\",\"users\":[\"admin\"],\"groups\":[\"g\"]}]}", NULL},
		{"POST", "{r}remove_role/", "{\"role\":\"" DOWNLOADER "\",\"groups\":[\"g\"],\"users\":[]}", 201, NULL,
			NULL},
		{"GET", "{r}", NULL, 200, "{\"groups\":[]}", NULL});
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_life_of_a_user),
		TEST(test_somebody_has_to_stay),
		TEST(test_groups),
		TEST(test_viewers_read),
		TEST(test_roles_of_groups),
		TEST(test_groups_of_a_guard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
