/* Content guards over the API: each type from create to delete, whom they name, and who logs in. */
#include "fixture.h"

#include "ca.h"

#include "base/check.h"

#include <jansson.h>
#include <openssl/evp.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUARDS "contentguards/"
#define HEADER GUARDS "core/header/"
#define RBAC GUARDS "core/rbac/"
#define COMPOSITE GUARDS "core/composite/"
#define X509 GUARDS "certguard/x509/"
#define DISTS "distributions/file/file/"
#define DOWNLOADER "core.rbaccontentguard_downloader"

static void test_a_header_guard(void **state)
{
	struct fixture *f = *state;

	PLAY(f,
		{"POST", HEADER, "{\"name\":\"h\",\"header_name\":\"X-Org\",\"header_value\":\"12\"}", 201,
			"{\"name\":\"h\",\"description\":null,\"header_name\":\"X-Org\",\"header_value\":\"12\",\"jq_"
			"filter\":"
			"null}",
			"h=pulp_href"},
		{"GET", "{h}", NULL, 200, "~\"prn\":\"prn:core.headercontentguard:", "hprn=prn"},
		{"POST", HEADER, "{\"name\":\"h\",\"header_name\":\"X\",\"header_value\":\"1\"}", 400,
			"={\"name\":[\"This field must be unique.\"]}", NULL},
		{"POST", HEADER, "{\"name\":\"i\"}", 400,
			"={\"header_name\":[\"This field is required.\"],\"header_value\":[\"This field is "
			"required.\"]}",
			NULL},
		{"POST", HEADER, "{\"name\":\"i\",\"header_name\":\"X Y\",\"header_value\":\"1\"}", 400, "~header_name",
			NULL},
		{"POST", HEADER,
			"{\"name\":\"i\",\"header_name\":\"X\",\"header_value\":\"1\",\"jq_filter\":\"length\"}", 400,
			"~Not a filter of this server: not a path", NULL},
		/* at once, no task */
		{"PATCH", "{h}", "{\"jq_filter\":\".identity.org_id\"}", 200,
			"{\"jq_filter\":\".identity.org_id\",\"header_value\":\"12\"}", NULL},
		{"PATCH", "{h}", "{\"jq_filter\":\".identity.org_id\"}", 200, NULL, NULL},
		{"PUT", "{h}", "{\"name\":\"h2\",\"header_name\":\"Y\",\"header_value\":\"1\"}", 200,
			"{\"name\":\"h2\",\"header_name\":\"Y\"}", NULL},
		{"GET", "tasks/", NULL, 200, "{\"count\":0}", NULL},
		{"GET", HEADER "?name=h2", NULL, 200, "{\"count\":1}", NULL},
		{"GET", HEADER "?name=h", NULL, 200, "{\"count\":0}", NULL},
		{"GET", GUARDS "?pulp_type=core.header", NULL, 200, "{\"count\":1}", NULL},
		{"GET", GUARDS "?pulp_type=core.rbac", NULL, 200, "{\"count\":0}", NULL},
		{"GET", GUARDS, NULL, 200, "~\"pulp_href\":\"{h}\"", NULL},
		{"GET", RBAC, NULL, 200, "{\"count\":0}", NULL}, {"DELETE", "{h}", NULL, 204, NULL, NULL},
		{"GET", "{h}", NULL, 404, NULL, NULL});
}

static char *json_text(const char *pem)
{
	json_t *v = json_string(pem);
	char *text = json_dumps(v, JSON_ENCODE_ANY);

	json_decref(v);
	assert_non_null(text);
	return text;
}

static void test_a_certificate_guard(void **state)
{
	struct fixture *f = *state;
	const struct id *none[] = {NULL};
	char *body, *pem, *crl, *list;
	struct id root;

	id_make(&root, "root", NULL, true, NULL);
	pem = json_text(root.pem);
	list = crl_make(&root, none, 600);
	crl = json_text(list);
	assert_true(asprintf(&body, "{\"name\":\"x\",\"ca_certificate\":%s}", pem) > 0);
	PLAY(f, {"POST", X509, body, 201, "{\"name\":\"x\",\"crl\":null}", "x=pulp_href"},
		{"GET", "{x}", NULL, 200, "~-----BEGIN CERTIFICATE-----", NULL},
		{"GET", "{x}", NULL, 200, "~\"prn\":\"prn:certguard.x509certguard:", NULL},
		{"POST", X509, "{\"name\":\"y\",\"ca_certificate\":\"rubbish\"}", 400,
			"={\"ca_certificate\":[\"Must be PEM encoded X.509 certificate.\"]}", NULL},
		{"POST", X509, "{\"name\":\"y\"}", 400, "={\"ca_certificate\":[\"This field is required.\"]}", NULL},
		{"PATCH", "{x}", "{\"crl\":\"rubbish\"}", 400,
			"={\"crl\":[\"Must be PEM encoded certificate revocation lists.\"]}", NULL});
	free(body);
	assert_true(asprintf(&body, "{\"crl\":%s}", crl) > 0);
	PLAY(f, {"PATCH", "{x}", body, 200, NULL, NULL}, {"GET", "{x}", NULL, 200, "~BEGIN X509 CRL", NULL},
		{"PATCH", "{x}", "{\"crl\":null}", 200, "{\"crl\":null}", NULL});
	free(body);
	free(pem);
	free(crl);
	free(list);
	id_free(&root);
}

static void test_a_composite_guard(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"POST", RBAC, "{\"name\":\"a\"}", 201, NULL, "a=pulp_href"},
		{"GET", "{a}", NULL, 200, NULL, "aprn=prn"},
		{"POST", HEADER, "{\"name\":\"b\",\"header_name\":\"X\",\"header_value\":\"1\"}", 201, NULL,
			"b=pulp_href"},
		{"POST", COMPOSITE, "{\"name\":\"c\",\"guards\":[\"{aprn}\",\"{b}\"]}", 201,
			"{\"guards\":[\"{a}\",\"{b}\"]}", "c=pulp_href"},
		{"POST", COMPOSITE, "{\"name\":\"d\"}", 201, "{\"guards\":[]}", "d=pulp_href"},
		{"POST", COMPOSITE, "{\"name\":\"e\",\"guards\":[\"/pulp/x/\"]}", 400, "~guards", NULL},
		{"PATCH", "{c}", "{\"guards\":[\"{c}\"]}", 400, "~cannot be one of its own", NULL},
		{"PATCH", "{d}", "{\"guards\":[\"{c}\"]}", 200, "{\"guards\":[\"{c}\"]}", NULL},
		{"DELETE", "{a}", NULL, 204, NULL, NULL}, {"GET", "{c}", NULL, 200, "{\"guards\":[\"{b}\"]}", NULL},
		{"PATCH", "{c}", "{\"guards\":[]}", 200, "{\"guards\":[]}", NULL});
}

static void test_distributions_have_guards(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"POST", RBAC, "{\"name\":\"a\"}", 201, NULL, "a=pulp_href"},
		{"GET", "{a}", NULL, 200, NULL, "aprn=prn"},
		{"POST", DISTS, "{\"name\":\"d\",\"base_path\":\"d\",\"content_guard\":\"{a}\"}", 202, NULL, "t=task"});
	work(f);
	PLAY(f, {"GET", "{t}", NULL, 200, NULL, "d=created_resources.0"},
		{"GET", "{d}", NULL, 200, "{\"content_guard\":\"{a}\",\"content_guard_prn\":\"{aprn}\"}", NULL},
		{"GET", "distributions/", NULL, 200, "~\"content_guard\":\"{a}\"", NULL},
		{"PATCH", "{d}", "{\"content_guard\":null}", 202, NULL, NULL},
		{"GET", "{d}", NULL, 200, "{\"content_guard\":null,\"content_guard_prn\":null}", NULL},
		{"PATCH", "{d}", "{\"content_guard\":\"{aprn}\"}", 202, NULL, NULL},
		{"GET", "{d}", NULL, 200, "{\"content_guard\":\"{a}\"}", NULL},
		/* goes with it */
		{"DELETE", "{a}", NULL, 204, NULL, NULL}, {"GET", "{d}", NULL, 200, "{\"content_guard\":null}", NULL},
		{"PATCH", "{d}", "{\"content_guard\":\"{a}\"}", 400,
			"={\"content_guard\":[\"Object does not exist.\"]}", NULL});
}

static void test_roles_of_an_rbac_guard(void **state)
{
	struct fixture *f = *state;

	exec_sql(f, "INSERT INTO users (username, password, date_joined) VALUES ('zoe', 'x', 1), ('amy', 'x', 1)");
	PLAY(f, {"POST", RBAC, "{\"name\":\"a\"}", 201, "{\"users\":[],\"groups\":[]}", "a=pulp_href"},
		{"POST", "{a}add_role/", "{\"role\":\"" DOWNLOADER "\",\"users\":[\"zoe\",\"amy\"]}", 201,
			"{\"role\":\"" DOWNLOADER "\",\"users\":[\"zoe\",\"amy\"],\"groups\":[]}", NULL},
		{"GET", "{a}", NULL, 200, "{\"users\":[{\"username\":\"amy\"},{\"username\":\"zoe\"}]}", NULL},
		{"GET", "{a}list_roles/", NULL, 200,
			"{\"roles\":[{\"role\":\"" DOWNLOADER "\",\"users\":[\"amy\",\"zoe\"],\"groups\":[]}]}", NULL},
		{"GET", "{a}my_permissions/", NULL, 200, "~core.download_rbaccontentguard", NULL},
		{"POST", "{a}remove_role/", "{\"role\":\"" DOWNLOADER "\",\"users\":[\"amy\"]}", 201, NULL, NULL},
		{"GET", "{a}", NULL, 200, "{\"users\":[{\"username\":\"zoe\"}]}", NULL},
		{"POST", "{a}add_role/", "{\"role\":\"" DOWNLOADER "\",\"users\":[\"amy\",\"nobody\"]}", 400,
			"={\"users\":[\"Object with username=nobody does not exist.\"]}", NULL},
		{"GET", "{a}", NULL, 200, "{\"users\":[{\"username\":\"zoe\"}]}", NULL},
		{"POST", "{a}add_role/", "{\"role\":\"x\",\"users\":[\"amy\"]}", 400, "~\"role\"", NULL},
		{"POST", "{a}add_role/", "{\"users\":[\"amy\"]}", 400, "={\"role\":[\"This field is required.\"]}",
			NULL},
		{"GET", "{a}add_role/", NULL, 405, NULL, NULL});
}

static void test_signed_urls(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"POST", GUARDS "core/content_redirect/", "{\"name\":\"s\"}", 201, NULL, "s=pulp_href"},
		{"POST", "{s}sign_url/", "{\"url\":\"/pulp/content/r/a\"}", 201,
			"~\"url\":\"/pulp/content/r/a?expires=", NULL},
		{"POST", "{s}sign_url/", "{\"url\":\"https://h/pulp/content/r/a%20b?x=y\",\"valid\":60}", 201,
			"~\"url\":\"https://h/pulp/content/r/a%20b?x=y&expires=", NULL},
		{"POST", "{s}sign_url/", "{\"url\":\"/pulp/api/v3/\"}", 400,
			"={\"url\":[\"Not a URL of content of this server.\"]}", NULL},
		{"POST", "{s}sign_url/", "{\"url\":\"/pulp/content/../x\"}", 400, "~url", NULL},
		{"POST", "{s}sign_url/", "{\"url\":\"/pulp/content/r/a#b\"}", 400, "~url", NULL},
		{"POST", "{s}sign_url/", "{\"url\":\"/pulp/content/r/a\",\"valid\":0}", 400, "~valid", NULL},
		{"POST", "{s}sign_url/", "{\"url\":\"/pulp/content/r/a\",\"valid\":9999999}", 400, "~valid", NULL},
		{"POST", "{s}sign_url/", "{}", 400, "~url", NULL});
}

static const struct addr here = {{1}};

static int login_as(struct fixture *f, const char *text, struct guard_user *user)
{
	char field[200] = "Basic ";
	struct err err = ERR_INIT;

	EVP_EncodeBlock((unsigned char *)field + 6, (const unsigned char *)text, (int)strlen(text));
	return api_login(f->api, slice_str(field), &here, user, &err);
}

static void test_whose_credentials(void **state)
{
	struct fixture *f = *state;
	struct guard_user user = {0};
	struct err err = ERR_INIT;

	assert_int_equal(login_as(f, "admin:" ADMIN_PASSWORD, &user), 0);
	assert_true(user.admin);
	assert_true(user.id > 0);
	assert_int_equal(login_as(f, "admin:wrong", &user), -ERR_DENIED);
	assert_int_equal(login_as(f, "nobody:" ADMIN_PASSWORD, &user), -ERR_DENIED);
	assert_int_equal(login_as(f, "admin", &user), -ERR_DENIED);
	assert_int_equal(api_login(f->api, SLICE("Bearer x"), &here, &user, &err), -ERR_DENIED);
	assert_int_equal(api_login(f->api, SLICE("Basic !!!!"), &here, &user, &err), -ERR_DENIED);
	exec_sql(f, "UPDATE users SET is_staff = 0");
	assert_int_equal(login_as(f, "admin:" ADMIN_PASSWORD, &user), 0);
	assert_false(user.admin);
	exec_sql(f, "UPDATE users SET is_active = 0");
	assert_int_equal(login_as(f, "admin:" ADMIN_PASSWORD, &user), -ERR_DENIED);
}

/* pulp-cli finds what it calls by these names. */
static void test_the_document_names_them(void **state)
{
	struct fixture *f = *state;

	PLAY(f, {"GET", "docs/api.json", NULL, 200, "~r_b_a_c_content_guard_href", NULL},
		{"GET", "docs/api.json", NULL, 200, "~contentguards_core_rbac_add_role", NULL},
		{"GET", "docs/api.json", NULL, 200, "~header_content_guard_href", NULL},
		{"GET", "docs/api.json", NULL, 200, "~composite_content_guard_href", NULL},
		{"GET", "docs/api.json", NULL, 200, "~certguard_x509_cert_guard_href", NULL},
		{"GET", "docs/api.json", NULL, 200, "~\"contentguards_list\"", NULL},
		{"GET", "docs/api.json", NULL, 200, "~\"certguard.X509CertGuardResponse\"", NULL},
		{"GET", "docs/api.json?component=certguard", NULL, 200, "~contentguards_certguard_x509_create", NULL},
		{"GET", "docs/api.json", NULL, 200, "~certguard_r_h_s_m_cert_guard_href", NULL},
		{"GET", "status/", NULL, 200, "~\"component\":\"certguard\"", NULL});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_header_guard, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_a_certificate_guard, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_a_composite_guard, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_distributions_have_guards, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_roles_of_an_rbac_guard, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_signed_urls, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_whose_credentials, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_the_document_names_them, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
