/* Remotes as downloads see them. */
#include "fixture.h"

#include "catalog/remote.h"

static struct remote_row *remote(int64_t id)
{
	struct remote_row *r = NULL;
	struct txn *t = begin_read();

	OK(catalog_remote_by_id(t, id, &r, &err));
	txn_end(&t);
	return r;
}

static void test_every_setting_arrives(void **state)
{
	int64_t id = make_remote("up",
		"policy='streamed', ca_cert='CA', client_cert='CC', client_key='CK', tls_validation=0, "
		"proxy_url='http://p', "
		"proxy_username='pu', proxy_password='pp', username='u', password='pw', max_retries=7, "
		"total_timeout=1.5, "
		"connect_timeout=2.5, sock_connect_timeout=3.5, sock_read_timeout=4.5, headers='[{{\"a\":\"b\"}}]', "
		"download_concurrency=5, rate_limit=6, extra='{{\"x\":1}}', updated=99");
	struct remote_row *r = remote(id), *same = NULL;
	struct txn *t = begin_read();

	assert_string_equal(r->type, "file.file");
	assert_string_equal(r->name, "up");
	assert_string_equal(r->url, "http://up/");
	assert_int_equal(r->policy, POLICY_STREAMED);
	assert_string_equal(r->ca_cert, "CA");
	assert_string_equal(r->client_cert, "CC");
	assert_string_equal(r->client_key, "CK");
	assert_false(r->tls_validation);
	assert_string_equal(r->proxy_url, "http://p");
	assert_string_equal(r->proxy_username, "pu");
	assert_string_equal(r->proxy_password, "pp");
	assert_string_equal(r->username, "u");
	assert_string_equal(r->password, "pw");
	assert_int_equal(r->max_retries, 7);
	assert_true(r->total_timeout_s == 1.5 && r->connect_timeout_s == 2.5);
	assert_true(r->sock_connect_timeout_s == 3.5 && r->sock_read_timeout_s == 4.5);
	assert_string_equal(r->headers, "[{\"a\":\"b\"}]");
	assert_int_equal(r->download_concurrency, 5);
	assert_int_equal(r->rate_limit, 6);
	assert_string_equal(r->extra, "{\"x\":1}");
	assert_int_equal(r->updated_us, 99);
	OK(catalog_remote_by_uuid(t, &r->uuid, &same, &err));
	assert_int_equal(same->id, id);
	remote_row_free(&same);
	remote_row_free(&r);
	assert_null(r);
	assert_int_equal(catalog_remote_by_id(t, id + 1, &r, &err), -ERR_NOTFOUND);
	assert_int_equal(catalog_remote_by_uuid(t, &(struct uuid){.b = {1}}, &r, &err), -ERR_NOTFOUND);
	txn_end(&t);
}

static void test_what_null_means(void **state)
{
	struct remote_row *r = remote(make_remote("bare", NULL));

	assert_null(r->ca_cert);
	assert_null(r->username);
	assert_true(r->tls_validation);
	assert_int_equal(r->max_retries, 3);
	assert_true(r->total_timeout_s == 0);
	assert_int_equal(r->download_concurrency, 0);
	assert_int_equal(r->rate_limit, 0);
	remote_row_free(&r);
	r = remote(make_remote("none", "max_retries=0"));
	assert_int_equal(r->max_retries, 3);
	remote_row_free(&r);
}

static void test_credentials(void **state)
{
	static const struct {
		const char *with;
		bool has;
	} cases[] = {
		{NULL, false},
		{"username='', password='', headers='[]'", false},
		{"ca_cert='CA', client_cert='C', proxy_url='http://p', proxy_username='u'", false},
		{"username='u'", true},
		{"password='p'", true},
		{"client_key='K'", true},
		{"proxy_password='p'", true},
		{"headers=' [{{\"x\": \"y\"}}]'", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char name[16];
		struct remote_row *r;

		snprintf(name, sizeof(name), "r%zu", i);
		r = remote(make_remote(name, cases[i].with));
		if (remote_has_credentials(r) != cases[i].has)
			fail_msg("%s", cases[i].with);
		remote_row_free(&r);
	}
}

static void test_policies_have_names(void **state)
{
	enum policy p = POLICY_IMMEDIATE;

	for (int i = POLICY_IMMEDIATE; i <= POLICY_STREAMED; i++) {
		assert_int_equal(policy_parse(slice_str(policy_name((enum policy)i)), &p), 0);
		assert_int_equal(p, i);
	}
	assert_int_equal(policy_parse(SLICE("On_demand"), &p), -ERR_INVAL);
	assert_int_equal(policy_parse(SLICE(""), &p), -ERR_INVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_setting_arrives),
		TEST(test_what_null_means),
		TEST(test_credentials),
		TEST(test_policies_have_names),
	};

	return RUN("remote", tests);
}
