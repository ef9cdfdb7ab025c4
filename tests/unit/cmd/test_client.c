/* The CLI's client: whom it would talk to as whom, and what it makes of the answers. The server is a thread with a script. */
#include "cmd/client.h"

#include "base/fsutil.h"
#include "cmd/datadir.h"

#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* One answer for each connection, in this order. */
struct script {
	int fd;
	char url[64];
	const char *const *answers;
	char requests[8][1024];
	int asked;
	pthread_t thread;
};

static struct script script;
static char dir[64];

static void *script_main(void *arg)
{
	struct script *s = arg;

	for (int i = 0; s->answers[i] != NULL; i++) {
		int fd = accept(s->fd, NULL, NULL);
		size_t n = 0;
		char head[128];

		while (n < sizeof(s->requests[i]) - 1 && strstr(s->requests[i], "\r\n\r\n") == NULL) {
			ssize_t got = read(fd, s->requests[i] + n, sizeof(s->requests[i]) - 1 - n);

			if (got <= 0)
				break;
			n += (size_t)got;
		}
		s->asked++;
		/* "200 {…}" */
		snprintf(head, sizeof(head), "HTTP/1.1 %.3s X\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
			s->answers[i], strlen(s->answers[i]) - 4);
		fs_write_all(fd, head, strlen(head), NULL);
		fs_write_all(fd, s->answers[i] + 4, strlen(s->answers[i]) - 4, NULL);
		close(fd);
	}
	return NULL;
}

static void script_start(const char *const *answers)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);

	memset(&script, 0, sizeof(script));
	script.answers = answers;
	script.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(script.fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(script.fd, 8), 0);
	assert_int_equal(getsockname(script.fd, (struct sockaddr *)&a, &n), 0);
	snprintf(script.url, sizeof(script.url), "http://127.0.0.1:%d", ntohs(a.sin_port));
	assert_int_equal(pthread_create(&script.thread, NULL, script_main, &script), 0);
}

static void script_end(void)
{
	pthread_join(script.thread, NULL);
	close(script.fd);
}

static struct client *connect_to(const char *url)
{
	struct options o = {.server = url, .data = dir};
	struct client *c = NULL;
	struct err err = ERR_INIT;

	if (client_open(&o, &c, &err) < 0)
		fail_msg("%s", err.msg);
	return c;
}

static int set_up(void **state)
{
	unsetenv("SLUICE_SERVER");
	unsetenv("SLUICE_ADMIN_PASSWORD");
	snprintf(dir, sizeof(dir), "/tmp/sluice-client-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	return fs_remove_tree(dir, NULL);
}

static void test_error_texts(void **state)
{
	static const struct {
		const char *body, *text;
	} rows[] = {
		{"{\"detail\": \"Not found.\"}", "Not found."},
		{"{\"name\": [\"This field is required.\", \"So there.\"]}",
			"name: This field is required.; name: So there."},
		{"{\"non_field_errors\": [\"Either or.\"]}", "Either or."},
		{"[\"Cannot do it.\"]", "Cannot do it."},
		{"{\"base_path\": {\"base_path\": \"Overlaps\"}}", "base_path: Overlaps"},
		{"{\"n\": 7}", ""},
		{"[[[[[[[[[[[[[[[[\"deep\"]]]]]]]]]]]]]]]]", ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *body = json_loads(rows[i].body, 0, NULL);
		struct buf b = BUF_INIT(0);

		assert_non_null(body);
		client_error_text(body, &b);
		assert_string_equal(b.p != NULL ? b.p : "", rows[i].text);
		buf_fini(&b);
		json_decref(body);
	}
}

static void test_no_server_is_known(void **state)
{
	struct options o = {.data = dir};
	struct client *c = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(client_open(&o, &c, &err), -ERR_CONNECT);
	assert_non_null(strstr(err.msg, "sluice serve"));
	o.server = "nonsense";
	assert_int_equal(client_open(&o, &c, &err), -ERR_INVAL);
	assert_null(c);
}

/* "admin:secret" and "admin:made" in base64. */
#define SECRET "Authorization: Basic YWRtaW46c2VjcmV0"
#define MADE "Authorization: Basic YWRtaW46bWFkZQ=="

static void test_password(void **state)
{
	static const char *const answers[] = {"200 {}", "200 {}", "200 {}", "200 {}", NULL};
	struct client_info info = {.username = (char *)(uintptr_t) "admin", .password = (char *)(uintptr_t) "made"};
	struct options o = {.data = dir};
	struct client *c = NULL;
	char path[128];

	script_start(answers);
	info.url = script.url;
	assert_int_equal(client_info_write(dir, &info, NULL), 0);
	/* The data directory's own. */
	assert_int_equal(client_open(&o, &c, NULL), 0);
	assert_string_equal(client_url(c), script.url);
	assert_int_equal(client_call(c, "GET", "/x", NULL, NULL, NULL), 0);
	client_close(&c);
	/* The environment wins. */
	setenv("SLUICE_ADMIN_PASSWORD", "secret", 1);
	assert_int_equal(client_open(&o, &c, NULL), 0);
	assert_int_equal(client_call(c, "GET", "/x", NULL, NULL, NULL), 0);
	client_close(&c);
	unsetenv("SLUICE_ADMIN_PASSWORD");
	/* So does a file. */
	snprintf(path, sizeof(path), "%s/pw", dir);
	assert_int_equal(fs_replace_file(path, "secret\nmore\n", 12, 0600, NULL), 0);
	o.password_file = path;
	assert_int_equal(client_open(&o, &c, NULL), 0);
	assert_int_equal(client_call(c, "GET", "/x", NULL, NULL, NULL), 0);
	client_close(&c);
	/* Another server does not get to see the made one. */
	info.url = (char *)(uintptr_t) "http://127.0.0.1:1";
	assert_int_equal(client_info_write(dir, &info, NULL), 0);
	o = (struct options){.data = dir, .server = script.url};
	assert_int_equal(client_open(&o, &c, NULL), 0);
	assert_int_equal(client_call(c, "GET", "/x", NULL, NULL, NULL), 0);
	client_close(&c);
	script_end();
	assert_non_null(strstr(script.requests[0], MADE));
	assert_non_null(strstr(script.requests[1], SECRET));
	assert_non_null(strstr(script.requests[2], SECRET));
	assert_null(strstr(script.requests[3], "Authorization"));
}

static void test_refusals(void **state)
{
	static const char *const answers[] = {
		"400 {\"policy\":[\"bad\"]}", "404 <html>", "401 {\"detail\":\"x\"}", "200 <html>", "204 ", NULL};
	static const struct {
		int rc;
		const char *says;
	} rows[] = {
		{-ERR_DENIED, "policy: bad"},
		{-ERR_DENIED, "404"},
		{-ERR_DENIED, "SLUICE_ADMIN_PASSWORD"},
		{-ERR_DENIED, "is not the API"},
		{0, ""},
	};
	struct client *c;

	script_start(answers);
	c = connect_to(script.url);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = ERR_INIT;
		json_t *out = NULL;

		assert_int_equal(client_call(c, "GET", "/x", NULL, &out, &err), rows[i].rc);
		assert_non_null(strstr(err.msg, rows[i].says));
		assert_null(out);
	}
	client_close(&c);
	script_end();
}

static void test_nobody_there(void **state)
{
	struct client *c = connect_to("http://127.0.0.1:1");
	struct err err = ERR_INIT;

	assert_int_equal(client_call(c, "GET", "/x", NULL, NULL, &err), -ERR_CONNECT);
	assert_non_null(strstr(err.msg, "127.0.0.1:1"));
	client_close(&c);
}

static void test_task_is_waited_for(void **state)
{
	static const char *const answers[] = {
		"202 {\"task\":\"/t/1/\"}",
		"200 {\"state\":\"waiting\"}",
		"200 {\"state\":\"running\"}",
		"200 {\"state\":\"completed\",\"created_resources\":[\"/other/1/\",\"/things/7/\"]}",
		"200 {\"name\":\"seven\"}",
		NULL,
	};
	struct client *c;
	json_t *body = json_pack("{s:s}", "name", "seven"), *out = NULL;

	script_start(answers);
	c = connect_to(script.url);
	assert_int_equal(client_do(c, "POST", "/things/", body, true, &out, NULL), 0);
	assert_string_equal(json_string_value(json_object_get(out, "name")), "seven");
	client_close(&c);
	script_end();
	assert_non_null(strstr(script.requests[0], "POST /things/ HTTP/1.1"));
	assert_non_null(strstr(script.requests[3], "GET /t/1/ "));
	assert_non_null(strstr(script.requests[4], "GET /things/7/ "));
	json_decref(out);
	json_decref(body);
}

static void test_failed_task(void **state)
{
	static const char *const answers[] = {
		"202 {\"task\":\"/t/1/\"}",
		"200 {\"state\":\"failed\",\"error\":{\"description\":\"line 7\"}}",
		"202 {\"task\":\"/t/2/\"}",
		"200 {\"state\":\"canceled\",\"error\":null}",
		NULL,
	};
	struct err err = ERR_INIT;
	struct client *c;

	script_start(answers);
	c = connect_to(script.url);
	assert_int_equal(client_do(c, "POST", "/x/", NULL, false, NULL, &err), -ERR_UPSTREAM);
	assert_string_equal(err.msg, "the task failed: line 7");
	assert_int_equal(client_do(c, "POST", "/x/", NULL, false, NULL, &err), -ERR_UPSTREAM);
	assert_string_equal(err.msg, "the task was canceled");
	client_close(&c);
	script_end();
}

static void test_metrics(void **state)
{
	static const char *const answers[] = {
		"200 # HELP a b\n# TYPE a counter\na_total 12\nb 0\nc 1.5\nd\n d 7\n", "404 ", NULL};
	struct client *c;
	json_t *out = NULL;
	char *text;

	script_start(answers);
	c = connect_to(script.url);
	assert_int_equal(client_metrics(c, &out, NULL), 0);
	text = json_dumps(out, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(text, "{\"a_total\":12,\"b\":0,\"d\":7}");
	free(text);
	json_decref(out);
	assert_int_equal(client_metrics(c, &out, NULL), -ERR_DENIED);
	client_close(&c);
	script_end();
}

static void test_find_and_list(void **state)
{
	static const char *const answers[] = {
		"200 {\"count\":0,\"results\":[]}",
		"200 {\"next\":\"more\",\"results\":[1,2]}",
		"200 {\"next\":null,\"results\":[3]}",
		NULL,
	};
	json_t *out = NULL;
	struct client *c;

	script_start(answers);
	c = connect_to(script.url);
	assert_int_equal(client_find(c, "/r/", "a b&c", &out, NULL), -ERR_NOTFOUND);
	assert_int_equal(client_list(c, "/r/", &out, NULL), 0);
	assert_int_equal(json_array_size(out), 3);
	json_decref(out);
	client_close(&c);
	script_end();
	assert_non_null(strstr(script.requests[0], "GET /r/?limit=1&name=a%20b%26c "));
	assert_non_null(strstr(script.requests[2], "offset=2 "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_texts),
		cmocka_unit_test_setup_teardown(test_no_server_is_known, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_password, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_task_is_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failed_task, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_metrics, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_find_and_list, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
