/* Redirects, and who sees what a remote keeps secret: its origin, and nobody else. */
#include "harness.h"

#include "fetch/origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Two servers: the origin, and another one at a different port. Both do what the target says, and keep the last head. */
struct site {
	struct env env;
	struct peer *other;
	char other_root[64];
	char seen[2][65536]; /* head of the last request: origin, other. Written before the answer, read after it. */
};

static void answer(struct site *s, struct peer_conn *c, const struct peer_req *req, int which)
{
	const char *t = req->target;
	int status, n;

	snprintf(s->seen[which], sizeof(s->seen[which]), "%s", req->head);
	if (sscanf(t, "/to-other/%d", &status) == 1)
		peer_send(c, "HTTP/1.1 %d Elsewhere\r\nLocation: %send\r\nContent-Length: 5\r\n\r\nthere", status,
			s->other_root);
	else if (strcmp(t, "/to-origin") == 0)
		peer_send(c, "HTTP/1.1 302 Back\r\nLocation: %send\r\nContent-Length: 0\r\n\r\n", s->env.root);
	else if (strcmp(t, "/round") == 0)
		peer_send(c, "HTTP/1.1 302 Round\r\nLocation: %sto-origin\r\nContent-Length: 0\r\n\r\n", s->other_root);
	else if (sscanf(t, "/hops/%d", &n) == 1 && n > 0)
		peer_send(c, "HTTP/1.1 307 On\r\nLocation: %d\r\nContent-Length: 0\r\n\r\n", n - 1);
	else if (strcmp(t, "/a/encoded") == 0)
		peer_send(
			c, "HTTP/1.1 302 On\r\nLocation: ../b c/\xc3\xa4?x=%%20y z#part\r\nContent-Length: 0\r\n\r\n");
	else if (strcmp(t, "/to-file") == 0)
		peer_send(c, "HTTP/1.1 302 On\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n");
	else if (strcmp(t, "/to-ftp") == 0)
		peer_send(c, "HTTP/1.1 302 On\r\nLocation: ftp://127.0.0.1/x\r\nContent-Length: 0\r\n\r\n");
	else if (strcmp(t, "/to-nowhere") == 0)
		peer_send(c, "HTTP/1.1 302 On\r\nLocation: http://127.0.0.1:99999/\r\nContent-Length: 0\r\n\r\n");
	else if (strcmp(t, "/without-location") == 0)
		peer_send(c, "HTTP/1.1 302 On\r\nContent-Length: 0\r\n\r\n");
	else if (strcmp(t, "/long") == 0) {
		char text[4096];

		memset(text, '.', sizeof(text));
		peer_send(c, "HTTP/1.1 302 On\r\nLocation: /end\r\n\r\n");
		for (int i = 0; i < 64; i++)
			peer_write(c, text, sizeof(text));
		peer_hang(c);
	} else
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(t), t);
}

static void serve_origin(struct peer_conn *c, const struct peer_req *req, void *arg)
{
	answer(arg, c, req, 0);
}

static void serve_other(struct peer_conn *c, const struct peer_req *req, void *arg)
{
	answer(arg, c, req, 1);
}

static void site_open(struct site *s, const char *credential_hosts)
{
	env_open(&s->env, serve_origin, s, &(struct fetch_ctx_opts){.credential_hosts = credential_hosts});
	s->other = peer_new(serve_other, s, NULL);
	snprintf(s->other_root, sizeof(s->other_root), "http://127.0.0.1:%d/", peer_port(s->other));
	s->env.remote.username = "joe";
	s->env.remote.password = "pass:word";
	s->env.remote.headers_json = "[{\"X-Token\": \"t0k\"}, {\"User-Agent\": \"mirror/7\"}, {\"X-Empty\": \"\"},"
				     " {\"Range\": \"bytes=1-2\"}]";
}

static int setup(void **state)
{
	struct site *s = calloc(1, sizeof(*s));

	site_open(s, NULL);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct site *s = *state;

	peer_free(&s->other);
	env_close(&s->env);
	free(s);
	return 0;
}

#define BASIC "\r\nAuthorization: Basic am9lOnBhc3M6d29yZA==\r\n" /* joe:pass:word */

static void assert_secrets(const char *head)
{
	assert_non_null(strstr(head, BASIC));
	assert_non_null(strstr(head, "\r\nX-Token: t0k\r\n"));
	assert_non_null(strstr(head, "\r\nX-Empty:\r\n"));
	assert_non_null(strstr(head, "\r\nUser-Agent: sluice/" SLUICE_VERSION " mirror/7\r\n"));
}

static void assert_no_secrets(const char *head)
{
	assert_null(strstr(head, "Authorization"));
	assert_null(strstr(head, "X-Token"));
	assert_null(strstr(head, "X-Empty"));
	assert_non_null(strstr(head, "\r\nUser-Agent: sluice/" SLUICE_VERSION "\r\n"));
}

static void test_the_origin_sees_them(void **state)
{
	struct site *s = *state;
	struct call c = {0};

	assert_int_equal(call_run(&s->env, &c, "end"), 0);
	assert_secrets(s->seen[0]);
	assert_null(strstr(s->seen[0], "\r\nRange:"));
	call_free(&c);
}

static void test_another_origin_does_not(void **state)
{
	struct site *s = *state;
	static const int statuses[] = {301, 302, 303, 307, 308};
	char url[128];

	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		struct call c = {0};

		snprintf(url, sizeof(url), "to-other/%d", statuses[i]);
		assert_int_equal(call_run(&s->env, &c, url), 0);
		assert_body(&c, "/end");
		assert_int_equal(c.heads, 1);
		assert_non_null(strstr(s->seen[1], "GET /end HTTP/1.1"));
		assert_secrets(s->seen[0]);
		assert_no_secrets(s->seen[1]);
		snprintf(url, sizeof(url), "%send", s->other_root);
		assert_string_equal(c.url, url);
		call_free(&c);
	}
}

/* Not only after a redirect: metadata may name any URL. */
static void test_a_url_elsewhere_does_not(void **state)
{
	struct site *s = *state;
	struct call c = {0};
	char url[128];

	snprintf(url, sizeof(url), "%send", s->other_root);
	assert_int_equal(call_run(&s->env, &c, url), 0);
	assert_no_secrets(s->seen[1]);
	call_free(&c);
}

static void test_back_at_the_origin_they_are_sent(void **state)
{
	struct site *s = *state;
	struct call c = {0};

	assert_int_equal(call_run(&s->env, &c, "round"), 0);
	assert_no_secrets(s->seen[1]);
	assert_non_null(strstr(s->seen[0], "GET /end "));
	assert_secrets(s->seen[0]);
	call_free(&c);
}

static void test_a_listed_host_sees_them(void **state)
{
	struct site s = {0};
	struct call c = {0};

	(void)state;
	site_open(&s, "cdn.example, 127.0.0.1");
	assert_int_equal(call_run(&s.env, &c, "to-other/302"), 0);
	assert_secrets(s.seen[1]);
	call_free(&c);
	peer_free(&s.other);
	env_close(&s.env);
}

static void test_conditions_go_along(void **state)
{
	struct site *s = *state;
	struct call c = {0};

	call_run_req(&s->env, &c, "to-other/302",
		&(struct fetch_req){.range_from = 2, .if_range = "\"e\"", .if_none_match = "\"n\""});
	assert_non_null(strstr(s->seen[1], "\r\nRange: bytes=2-\r\nIf-Range: \"e\"\r\nIf-None-Match: \"n\"\r\n"));
	call_free(&c);
}

static void test_where_redirects_lead(void **state)
{
	struct site *s = *state;
	static const struct {
		const char *target;
		int rc;
		int status;
		const char *body;
		const char *text;
	} cases[] = {
		{"hops/10", 0, 200, "/hops/0", NULL},
		{"hops/11", -ERR_UPSTREAM, 0, "", "more than 10 redirects"},
		{"a/encoded", 0, 200, "/b%20c/%c3%a4?x=%20y+z", NULL},
		{"to-file", -ERR_UPSTREAM, 0, "", "leads nowhere"},
		{"to-ftp", -ERR_UPSTREAM, 0, "", "leads nowhere"},
		{"to-nowhere", -ERR_UPSTREAM, 0, "", "leads nowhere"},
		{"without-location", 0, 302, "", NULL},
		{"long", 0, 200, "/end", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct call c = {0};

		call_run(&s->env, &c, cases[i].target);
		if (c.rc != cases[i].rc || c.status != cases[i].status)
			fail_msg("%s: %s, status %d: %s", cases[i].target, err_name(c.rc), c.status, c.err.msg);
		assert_body(&c, cases[i].body);
		if (cases[i].text != NULL)
			assert_non_null(strstr(c.err.msg, cases[i].text));
		call_free(&c);
	}
}

/* ---- proxies ---- */

static void test_proxy_with_credentials(void **state)
{
	struct site *s = *state;
	struct call c = {0};

	s->env.remote.proxy_url = s->other_root;
	s->env.remote.proxy_username = "proxy";
	s->env.remote.proxy_password = "door";
	s->env.remote.origin_url = "http://origin.invalid/pub/";
	assert_int_equal(call_run(&s->env, &c, "http://origin.invalid/pub/x"), 0);
	assert_non_null(strstr(s->seen[1], "GET http://origin.invalid/pub/x HTTP/1.1\r\n"));
	assert_non_null(strstr(s->seen[1], "\r\nProxy-Authorization: Basic cHJveHk6ZG9vcg==\r\n"));
	assert_secrets(s->seen[1]); /* they are the origin's, which is behind it */
	call_free(&c);
}

static void test_tunnel_shows_the_proxy_nothing(void **state)
{
	struct site *s = *state;
	struct call c = {0};

	s->env.remote.proxy_url = s->other_root;
	s->env.remote.proxy_username = "proxy";
	s->env.remote.proxy_password = "door";
	s->env.remote.origin_url = "https://origin.invalid/";
	s->env.remote.max_retries = 0;
	/* The other server takes CONNECT for an unknown target and answers 200; then TLS fails on what it says. */
	assert_int_equal(call_run(&s->env, &c, "https://origin.invalid/x"), -ERR_CONNECT);
	assert_non_null(strstr(s->seen[1], "CONNECT origin.invalid:443 HTTP/1.1\r\n"));
	assert_non_null(strstr(s->seen[1], "\r\nProxy-Authorization: Basic "));
	assert_null(strstr(s->seen[1], "X-Token"));
	assert_null(strstr(s->seen[1], "\r\nAuthorization"));
	call_free(&c);
}

static void refuse_tunnel(struct peer_conn *c, const struct peer_req *req, void *arg)
{
	peer_send(c, "HTTP/1.1 407 Who Are You\r\nContent-Length: 0\r\n\r\n");
}

static void test_a_proxy_that_refuses_is_not_asked_again(void **state)
{
	struct site *s = *state;
	struct peer *proxy = peer_new(refuse_tunnel, NULL, NULL);
	struct call c = {0};
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d", peer_port(proxy));
	s->env.remote.proxy_url = url;
	s->env.remote.max_retries = 3;
	assert_int_equal(call_run(&s->env, &c, "https://origin.invalid/x"), -ERR_CONNECT);
	assert_non_null(strstr(c.err.msg, "407"));
	assert_int_equal(peer_requests(proxy), 1);
	call_free(&c);
	peer_free(&proxy);
}

static void test_the_environment_names_no_proxy(void **state)
{
	struct site *s = *state;
	struct call c = {0};

	setenv("http_proxy", s->other_root, 1);
	setenv("all_proxy", s->other_root, 1);
	assert_int_equal(call_run(&s->env, &c, "end"), 0);
	assert_int_equal(peer_requests(s->other), 0);
	s->env.remote.proxy_url = s->other_root;
	setenv("no_proxy", "*", 1);
	call_free(&c);
	assert_int_equal(call_run(&s->env, &c, "end"), 0);
	assert_int_equal(peer_requests(s->other), 1);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
	unsetenv("no_proxy");
	call_free(&c);
}

/* ---- the rule itself ---- */

static void test_networks_outside_of_the_origin(void **state)
{
	static const struct {
		const char *networks, *target;
		int rc;
	} cases[] = {
		{"192.0.2.0/24", "to-other/302", -ERR_CONNECT}, /* a redirect elsewhere */
		{"192.0.2.0/24", "end", 0},                     /* the origin itself is what the remote names */
		{"192.0.2.0/24", "hops/3", 0},
		{"127.0.0.0/8", "to-other/302", 0},
		{"", "to-other/302", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct call c = {0};
		struct site s = {0};
		int rc;

		env_open(&s.env, serve_origin, &s, &(struct fetch_ctx_opts){.foreign_networks = cases[i].networks});
		s.other = peer_new(serve_other, &s, NULL);
		snprintf(s.other_root, sizeof(s.other_root), "http://127.0.0.1:%d/", peer_port(s.other));
		rc = call_run(&s.env, &c, cases[i].target);
		if (rc != cases[i].rc)
			fail_msg("case %zu: %d %s", i, rc, c.err.msg);
		if (rc < 0) {
			assert_int_equal(peer_requests(s.other), 0);
			assert_non_null(strstr(c.err.msg, "foreign_networks"));
		}
		call_free(&c);
		/* likewise a URL that metadata gives */
		if (strcmp(cases[i].target, "end") == 0) {
			char url[96];

			snprintf(url, sizeof(url), "%send", s.other_root);
			assert_int_equal(call_run(&s.env, &c, url), -ERR_CONNECT);
			assert_int_equal(peer_requests(s.other), 0);
			call_free(&c);
		}
		peer_free(&s.other);
		env_close(&s.env);
	}
}

static void test_who_may_see(void **state)
{
	static const struct {
		const char *origin, *hosts, *url;
		bool may;
	} cases[] = {
		{"https://a.example/pub/", "", "https://a.example/other", true},
		{"https://a.example/pub/", NULL, "https://A.EXAMPLE:443/", true},
		{"https://a.example:8443/", "", "https://a.example:8443/x", true},
		{"https://u:p@a.example/", "", "https://a.example/", true},
		{"https://a.example/", "", "https://a.example:8443/", false},
		{"https://a.example/", "", "http://a.example/", false},
		{"http://a.example/", "", "https://a.example/", false},
		{"https://a.example/", "", "https://b.example/", false},
		{"https://a.example/", "", "https://a.example.b.example/", false},
		{"https://a.example/", "", "https://b.a.example/", false},
		{"https://a.example/", "", "https://a.example@b.example/", false},
		{"https://a.example/", "b.example", "https://b.example/", true},
		{"https://a.example/", " c.example , B.example ", "https://b.example:99/", true},
		{"https://a.example/", "b.example:99", "https://b.example:99/", true},
		{"https://a.example/", "b.example:99", "https://b.example/", false},
		{"https://a.example/", "b.example", "http://b.example/", false},
		{"http://a.example/", "b.example", "http://b.example/", true},
		{"https://a.example/", "[::1]:99,[::2]", "https://[::2]/", true},
		{"https://a.example/", "[::1]:99,[::2]", "https://[::1]/", false},
		{"https://a.example/", ",,:,[", "https://b.example/", false},
		{NULL, "b.example", "https://b.example/", false},
		{"file:///srv/a/", "", "http://localhost/", false},
		{"not a url", "b.example", "https://b.example/", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (origin_may_see(cases[i].origin, cases[i].hosts, slice_str(cases[i].url)) != cases[i].may)
			fail_msg("case %zu: %s → %s", i, cases[i].origin, cases[i].url);
}

static void test_headers_that_cannot_be_sent(void **state)
{
	static const char *const bad[] = {"{", "{}", "[1]", "[[]]", "\"x\"", "[{\"a\": 1}]", "[{\"a b\": \"c\"}]",
		"[{\"\": \"c\"}]", "[{\"a\": \"b\\r\\nc: d\"}]", "[{\"a\": \"\\u0000\"}]", "[{\"a:\": \"b\"}]",
		"[{\"a\": null}]"};
	static const char *const good[] = {NULL, "", "null", "[]", "[{}]", "[{\"a\": \"b\"}]", "[{\"a\": \"\"}]",
		"[{\"a\": \"b\"}, {\"a\": \"c\"}]"};
	struct origin_headers h;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (origin_headers_parse(bad[i], &h, &err) != -ERR_INVAL)
			fail_msg("accepted: %s", bad[i]);
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(origin_headers_parse(good[i], &h, &err), 0);
		origin_headers_free(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_the_origin_sees_them),
		T(test_another_origin_does_not),
		T(test_a_url_elsewhere_does_not),
		T(test_back_at_the_origin_they_are_sent),
		cmocka_unit_test(test_a_listed_host_sees_them),
		T(test_conditions_go_along),
		T(test_where_redirects_lead),
		T(test_proxy_with_credentials),
		T(test_tunnel_shows_the_proxy_nothing),
		T(test_a_proxy_that_refuses_is_not_asked_again),
		T(test_the_environment_names_no_proxy),
		cmocka_unit_test(test_networks_outside_of_the_origin),
		cmocka_unit_test(test_who_may_see),
		cmocka_unit_test(test_headers_that_cannot_be_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
