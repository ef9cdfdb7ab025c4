/* What comes before any resource: paths, methods, credentials, media types, headers. */
#include "fixture.h"

#include "base/check.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define ROOT "/pulp/api/v3/"

static void test_anonymous_pages(void **state)
{
	static const char *const paths[] = {"status/", "livez/", ""};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct api_request req = {.authorization = {"", 0}};
		struct api_response res;

		ask(f, "GET", paths[i], &req, &res);
		assert_int_equal(res.status, 200);
		assert_true(i == 1 ? res.body.n == 0 : strcmp(res.content_type, "application/json") == 0);
		api_response_fini(&res);
	}
	work(f); /* registers a worker */
	PLAY(f,
		{"GET", "status/", NULL, 200,
			"{\"online_workers\":[{\"name\":\"1@test\",\"versions\":{}}],\"online_api_apps\":[],\"database_"
			"connection\":"
			"{\"connected\":true},\"storage\":{\"total\":1000,\"used\":300,\"free\":700},\"domain_"
			"enabled\":false,"
			"\"content_settings\":{\"content_origin\":null,\"content_path_prefix\":\"/pulp/content/\"}}",
			NULL},
		{"GET", "status/", NULL, 200, "~{\"component\":\"box\",\"version\":\"4.5.6\"", NULL},
		{"GET", "", NULL, 200, "{\"remotes/file/file\":\"http://mirror.test" ROOT "remotes/file/file/\"}",
			NULL},
		{"GET", "workers/?online=true", NULL, 200, "{\"count\":1}", "w=results.0.pulp_href"},
		{"GET", "workers/?missing=true", NULL, 200, "{\"count\":0}", NULL},
		{"GET", "{w}", NULL, 200, "{\"name\":\"1@test\",\"current_task\":null}", NULL});
}

static const struct {
	const char *authorization;
	int status;
	const char *detail;
} logins[] = {
	{"Basic YWRtaW46czNjcmV0LW9mLXRlc3Rz", 200, NULL}, {"basic   YWRtaW46czNjcmV0LW9mLXRlc3Rz", 200, NULL},
	{"", 401, "Authentication credentials were not provided."},
	{"Bearer YWRtaW46czNjcmV0LW9mLXRlc3Rz", 401, "Authentication credentials were not provided."},
	{"Basic", 401, "Invalid basic header. Credentials not correctly base64 encoded."},
	{"Basic !!!!", 401, "Invalid basic header. Credentials not correctly base64 encoded."},
	{"Basic YWRtaW4=", 401, "Invalid basic header. Credentials not correctly base64 encoded."}, /* no colon */
	{"Basic YWRtaW46d3Jvbmc=", 401, "Invalid username/password."},
	{"Basic YWRtaW46", 401, "Invalid username/password."}, {"Basic Og==", 401, "Invalid username/password."},
	{"Basic bm9ib2R5OnMzY3JldC1vZi10ZXN0cw==", 401, "Invalid username/password."},
	{"Basic YWRtaW4AOnMzY3JldC1vZi10ZXN0cw==", 401,
		"Invalid basic header. Credentials not correctly base64 encoded."}, /* NUL */
};

static void test_logins(void **state)
{
	struct fixture *f = *state;

	/* twice: the second round is answered from the cache */
	for (size_t i = 0; i < 2 * ARRAY_LEN(logins); i++) {
		const char *text = logins[i % ARRAY_LEN(logins)].authorization;
		struct api_request req = {.authorization = {text, strlen(text)}};
		struct api_response res;
		char want[128];

		ask(f, "GET", "tasks/", &req, &res);
		assert_int_equal(res.status, logins[i % ARRAY_LEN(logins)].status);
		if (res.status == 401) {
			(void)snprintf(want, sizeof(want), "{\"detail\":\"%s\"}", logins[i % ARRAY_LEN(logins)].detail);
			assert_string_equal(res.body.p, want);
			assert_string_equal(res.authenticate, "Basic realm=\"api\"");
		} else {
			assert_null(res.authenticate);
		}
		api_response_fini(&res);
	}
}

static void test_a_changed_password_counts_at_once(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;

	PLAY(f, {"GET", "tasks/", NULL, 200, NULL, NULL});
	assert_int_equal(api_user_ensure_admin(f->catalog, "another", &err), 0);
	PLAY(f, {"GET", "tasks/", NULL, 401, NULL, NULL});
	assert_int_equal(api_user_ensure_admin(f->catalog, ADMIN_PASSWORD, &err), 0);
	PLAY(f, {"GET", "tasks/", NULL, 200, NULL, NULL});
	exec_sql(f, "UPDATE users SET is_staff = 0");
	PLAY(f, {"GET", "tasks/", NULL, 403, "={\"detail\":\"You do not have permission to perform this action.\"}",
			NULL});
	exec_sql(f, "UPDATE users SET is_active = 0");
	PLAY(f, {"GET", "tasks/", NULL, 401, NULL, NULL});
	exec_sql(f, "DELETE FROM users");
	assert_int_equal(api_user_has_admin(f->catalog, &err), -ERR_NOTFOUND);
	PLAY(f, {"GET", "tasks/", NULL, 401, "={\"detail\":\"Invalid username/password.\"}", NULL});
}

static struct slice basic(const char *user, const char *password, char out[128])
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%s:%s", user, password);

	(void)snprintf(out, 128, "Basic ");
	(void)EVP_EncodeBlock((unsigned char *)out + 6, (const unsigned char *)text, n);
	return slice_str(out);
}

static int log_in_as(struct fixture *f, const char *user, const char *password, const char *peer, const char *forwarded)
{
	struct api_request req = {.peer = peer, .forwarded_for = slice_str(forwarded)};
	struct api_response res;
	char field[128];
	int status;

	req.authorization = basic(user, password, field);
	ask(f, "GET", "tasks/", &req, &res);
	status = res.status;
	if (status == 429)
		assert_in_range(res.retry_after_s, 1, 31);
	api_response_fini(&res);
	return status;
}

#define FAR "192.0.2.7:5"
static void test_guessing_is_slowed_down(void **state)
{
	struct fixture *f = *state;
	int guesses = 0, status = 401;
	char guess[32];

	/* each costs half a minute, so that the end comes however slow the machine is */
	while (guesses < 40 && status == 401) {
		(void)snprintf(guess, sizeof(guess), "guess%d", guesses);
		status = log_in_as(f, "admin", guess, FAR, NULL);
		guesses += status == 401;
		/* again the same is no guess */
		if (guesses < 10)
			assert_int_equal(log_in_as(f, "admin", guess, FAR, NULL), 401);
	}
	assert_int_equal(status, 429);
	assert_true(guesses >= 10);
	/* nothing is learnt now, not even what is right; another port is no other client, and only a trusted proxy names one */
	assert_int_equal(log_in_as(f, "admin", ADMIN_PASSWORD, FAR, NULL), 429);
	assert_int_equal(log_in_as(f, "admin", ADMIN_PASSWORD, "192.0.2.7:6", "198.51.100.1"), 429);
	assert_int_equal(log_in_as(f, "admin", ADMIN_PASSWORD, "127.0.0.1:5", "10.0.0.1, 192.0.2.7"), 429);
	assert_int_equal(log_in_as(f, "admin", ADMIN_PASSWORD, "127.0.0.1:5", NULL), 200);
	assert_int_equal(log_in_as(f, "admin", ADMIN_PASSWORD, "192.0.2.8:5", NULL), 200);
	assert_int_equal(log_in_as(f, "nobody", "x", FAR, NULL), 401);
}

static void *log_in(void *arg)
{
	struct api_request req = {.host = {NULL, 0}};
	struct api_response res;
	intptr_t status;

	ask(arg, "GET", "tasks/", &req, &res);
	status = res.status;
	api_response_fini(&res);
	return (void *)status;
}

/* Many at once with the same credentials: all get in, though few verifications run at a time and the catalog has two readers. */
static void test_many_log_in_at_once(void **state)
{
	pthread_t t[24];
	void *status;

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, log_in, *state), 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		pthread_join(t[i], &status);
		assert_int_equal((intptr_t)status, 200);
	}
}

static const struct {
	const char *method, *path;
	int status;
	const char *more; /* Location, or Allow */
} doors[] = {
	{"GET", "tasks", 301, ROOT "tasks/"},
	{"GET", "remotes/file/file?a=%20b", 301, ROOT "remotes/file/file/?a=%20b"},
	{"GET", "repositories/file/file/a b\xc3\xa9/versions", 301,
		ROOT "repositories/file/file/a%20b%C3%A9/versions/"},
	{"HEAD", "status", 301, ROOT "status/"},
	{"POST", "tasks", 404, NULL},
	{"GET", "no/such/thing", 404, NULL},
	{"GET", "nothing/", 404, NULL},
	{"GET", "remotes/file/", 404, NULL},
	{"GET", "remotes/file/file//", 404, NULL},
	{"GET", "remotes/00000000-0000-7000-8000-000000000000/", 404, NULL},
	{"GET", "/pulp/api/v4/tasks/", 404, NULL},
	{"GET", "/pulp/api/v3", 301, ROOT},
	{"GET", "remotes/file/file/not-a-uuid/", 404, NULL},
	{"GET", "remotes/file/file/00000000-0000-7000-8000-000000000000/nothing/", 404, NULL},
	{"DELETE", "remotes/file/file/", 405, "GET, HEAD, POST"},
	{"PUT", "tasks/", 405, "GET, HEAD"},
	{"POST", "status/", 405, "GET, HEAD"},
	{"PATCH", "artifacts/", 405, "GET, HEAD, POST"},
	{"GET", "orphans/cleanup/", 405, "POST"},
	{"PUT", "tasks/00000000-0000-7000-8000-000000000000/", 405, "GET, HEAD, DELETE, PATCH"},
	{"GET", "repositories/file/file/00000000-0000-7000-8000-000000000000/sync/", 405, "POST"},
	{"BREW", "tasks/", 405, "GET, HEAD"},
};

static void test_paths_and_methods(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(doors); i++) {
		struct api_request req = {.host = {NULL, 0}};
		struct api_response res;
		char want[96];

		ask(f, doors[i].method, doors[i].path, &req, &res);
		if (res.status != doors[i].status)
			fail_msg("%s %s: %d", doors[i].method, doors[i].path, res.status);
		if (res.status == 301)
			assert_string_equal(res.location, doors[i].more);
		if (res.status == 405) {
			(void)snprintf(
				want, sizeof(want), "{\"detail\":\"Method \\\"%s\\\" not allowed.\"}", doors[i].method);
			assert_string_equal(res.body.p, want);
			assert_string_equal(res.allow, doors[i].more);
		}
		api_response_fini(&res);
	}
}

static void test_correlation_ids(void **state)
{
	static const char *const adopted[] = {
		"0123456789abcdef0123456789ABCDEF", "01234567-89ab-cdef-0123-456789abcdef"};
	static const char *const replaced[] = {
		"", "x", "01234567-89ab-cdef-0123-456789abcdeg", "01234567-89ab-cdef-0123-456789abcdef0"};
	struct fixture *f = *state;
	struct api_response res;
	struct uuid u;

	for (size_t i = 0; i < ARRAY_LEN(adopted); i++) {
		struct api_request req = {.correlation_id = slice_str(adopted[i])};

		ask(f, "GET", "status/", &req, &res);
		assert_string_equal(res.correlation_id, adopted[i]);
		api_response_fini(&res);
	}
	for (size_t i = 0; i < ARRAY_LEN(replaced); i++) {
		struct api_request req = {.correlation_id = slice_str(replaced[i])};

		ask(f, "GET", "status/", &req, &res);
		assert_int_equal(uuid_parse(slice_str(res.correlation_id), &u), 0);
		assert_string_not_equal(res.correlation_id, replaced[i]);
		api_response_fini(&res);
	}
	{
		struct api_request req = {
			.correlation_id = slice_str(adopted[0]), .body = SLICE("{\"orphan_protection_time\":0}")};

		ask(f, "POST", "orphans/cleanup/", &req, &res);
		assert_int_equal(res.status, 202);
		api_response_fini(&res);
		PLAY(f, {"GET", "tasks/?logging_cid=0123456789abcdef0123456789ABCDEF", NULL, 200, "{\"count\":1}",
				NULL});
	}
}

/* Bodies that no client would send. */
static void test_bodies(void **state)
{
	static const struct {
		const char *type, *body;
		int status;
		const char *want;
	} bodies[] = {
		{"application/json; charset=utf-8", "{}", 400, "{\"name\":"},
		{"application/json", "{\"name\":", 400, "{\"detail\":\"JSON parse error - "},
		{"application/json", "{\"name\":\"a\",\"name\":\"b\",\"url\":\"http://h/\"}", 400,
			"{\"detail\":\"JSON parse error - "},
		{"application/json", "{\"name\":\"a\\u0000b\",\"url\":\"http://h/\"}", 400,
			"{\"detail\":\"JSON parse error - "},
		{"application/json", "{\"name\":\"\xff\",\"url\":\"http://h/\"}", 400,
			"{\"detail\":\"JSON parse error - "},
		{"application/json", "{\"name\":\"\\ud800\",\"url\":\"http://h/\"}", 400,
			"{\"detail\":\"JSON parse error - "},
		{"application/json", "{\"name\":\"x\",\"url\":\"http://h/\",\"max_retries\":99999999999999999999}", 400,
			"{\"max_retries\":[\"A valid integer is required.\"]}"},
		{"application/json", "{\"total_timeout\":1e999}", 400, "{\"detail\":\"JSON parse error - "},
		{"text/plain", "x", 415, "{\"detail\":\"Unsupported media type \\\"text/plain\\\" in request.\"}"},
		{"multipart/form-data; boundary=x", "x", 400, "{\"detail\":\"Multipart form parse error"},
		{"multipart/form-data", "--x\r\n", 400, "{\"detail\":\"Multipart form parse error"},
		{"multipart/form-data; boundary=x", "--x\r\n\r\nv\r\n--x--", 400,
			"{\"detail\":\"Multipart form parse error"},
		{"multipart/form-data; boundary=x",
			"--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nv\r\n--x\r\n", 400,
			"{\"detail\":\"Multipart form parse error"},
		{"multipart/form-data; boundary=\"x y\"",
			"pre\r\n--x y\r\ncontent-disposition: form-data; name=\"policy\"\r\n\r\nv\r\n--x y--\r\n", 400,
			"{\"name\":[\"This field is required.\"],\"url\":[\"This field is "
			"required.\"],\"policy\":[\"\\\"v\\\" is"},
		{"multipart/form-data; boundary=x",
			"--x\r\nContent-Disposition: form-data; name=\"name\"; filename=\"f\"\r\n\r\n\xff\r\n--x--",
			400, "{\"name\":[\"Not a valid string.\"]"},
		{"\xff", "x", 415, "{\"detail\":\"Unsupported media type \\\"?\\\" in request.\"}"},
	};
	struct fixture *f = *state;
	struct buf deep = BUF_INIT(1 << 20);

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct api_request req = {.content_type = slice_str(bodies[i].type), .body = slice_str(bodies[i].body)};
		struct api_response res;

		ask(f, "POST", "remotes/file/file/", &req, &res);
		assert_int_equal(res.status, bodies[i].status);
		if (strncmp(res.body.p, bodies[i].want, strlen(bodies[i].want)) != 0)
			fail_msg("%s: %s", bodies[i].body, res.body.p);
		api_response_fini(&res);
	}
	for (int i = 0; i < 100000; i++)
		buf_adds(&deep, "{\"a\":");
	PLAY(f, {"POST", "remotes/file/file/", deep.p, 400, "~JSON parse error", NULL});
	buf_reset(&deep);
	buf_adds(&deep, "{\"name\":\"x\",\"url\":\"http://h/\",\"headers\":");
	for (int i = 0; i < 1000; i++)
		buf_adds(&deep, "[");
	for (int i = 0; i < 1000; i++)
		buf_adds(&deep, "]");
	buf_adds(&deep, "}");
	PLAY(f, {"POST", "remotes/file/file/", deep.p, 400, "~Expected a dictionary of items", NULL});
	buf_fini(&deep);
}

static void test_the_name_of_the_scheme_for_scripts(void **state)
{
	struct api_request req = {.authorization = {"", 0}, .requested_with = SLICE("XMLHttpRequest")};
	struct api_response res;

	ask(*state, "GET", "tasks/", &req, &res);
	assert_int_equal(res.status, 401);
	assert_string_equal(res.authenticate, "xBasic realm=\"api\"");
	api_response_fini(&res);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_anonymous_pages),
		TEST(test_logins),
		TEST(test_guessing_is_slowed_down),
		TEST(test_a_changed_password_counts_at_once),
		TEST(test_many_log_in_at_once),
		TEST(test_paths_and_methods),
		TEST(test_correlation_ids),
		TEST(test_bodies),
		TEST(test_the_name_of_the_scheme_for_scripts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
