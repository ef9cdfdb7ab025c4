/* The roles of the split deployment: the redirect handler's answers, what the content service says of what is missing, and the streamer. */
#include "service.h"

#include "base/check.h"
#include "catalog/save.h"
#include "catalog/served.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTENT "/pulp/content/"
#define AWAY "//cache.example.org/streamer"
#define VIA(url) "X-Redirect-Url: " url "\r\nX-Redirect-Status: 404\r\n"
#define LINE(line) "X-Redirect-Request: " line "\r\n"

/* All doors in one server; which one, says a field. */
static void doors(struct http_x *x, const struct http_request *r, void *content)
{
	if (slice_eq(r->path, SLICE(CONTENT_REDIRECT_PATH)))
		content_redirect_handler(x, r, content);
	else if (http_header_get(r, SLICE("Door")).p != NULL)
		content_streamer_handler(x, r, content);
	else
		content_handler(x, r, content);
}

static void set_text(struct service *s, const char *section, const char *key, const char *value)
{
	MUST(settings_set(&s->stock.settings, section, key, slice_str(value), "test", &err));
}

static void open_with(struct service *s, struct file *f, size_t size)
{
	service_open(s, 2, 1000);
	s->door = doors;
	set_text(s, "lazy", "redirect_url", AWAY);
	file_new(f, s, "r", "dir/a.xml", size, 1);
}

static void done_with(struct service *s, struct file *f)
{
	service_close(s);
	file_free(f);
}

static void redirect(struct service *s, const char *fields, struct response *r)
{
	ask(s, "GET", CONTENT_REDIRECT_PATH, fields, r);
}

static void redirects_with(struct service *s, const char *fields, int status, const char *location)
{
	struct response r;

	redirect(s, fields, &r);
	assert_int_equal(r.status, status);
	if (location != NULL)
		assert_string_equal(field(&r, "Location"), location);
	else
		assert_null(field(&r, "Location"));
	response_fini(&r);
}

/* As another process saves it: without a word to this one. */
static void save_elsewhere(struct service *s, const struct file *f)
{
	struct txn *t;
	int64_t id;

	stock_save(&s->stock, f->body, f->size);
	MUST(catalog_write(s->stock.catalog, &t, &err));
	MUST(catalog_artifact_saved(t, f->ca, 0, &f->digests, (int64_t)f->size, &id, &err));
	MUST(txn_commit(&t, &err));
}

/* ---- the redirect handler ---- */

static void test_four_answers(void **state)
{
	struct service s;
	struct file f;

	open_with(&s, &f, 1000);
	service_start(&s, 1);
	redirects_with(&s, VIA(CONTENT "r/dir/a.xml"), 302, AWAY CONTENT "r/dir/a.xml");
	redirects_with(&s, "", 400, NULL);
	redirects_with(&s, VIA(CONTENT "r/dir/b.xml"), 404, NULL);
	redirects_with(&s, VIA(CONTENT "q/dir/a.xml"), 404, NULL);
	redirects_with(&s, VIA(CONTENT "r/dir/"), 404, NULL);
	redirects_with(&s, VIA(CONTENT "r/dir"), 404, NULL);
	redirects_with(&s, VIA(CONTENT "r"), 404, NULL);
	redirects_with(&s, VIA(CONTENT), 404, NULL);
	redirects_with(&s, VIA("/elsewhere/r/dir/a.xml"), 404, NULL);
	redirects_with(&s, VIA(CONTENT "r/../r/dir/a.xml"), 404, NULL);
	/* another status led here: there is nothing to be had */
	redirects_with(&s, "X-Redirect-Url: " CONTENT "r/dir/a.xml\r\nX-Redirect-Status: 403\r\n", 404, NULL);
	assert_int_equal(origin_all_hits(s.origin), 0);
	done_with(&s, &f);
}

static void test_without_a_redirect_url_everything_is_404(void **state)
{
	struct service s;
	struct file f;

	open_with(&s, &f, 1000);
	set_text(&s, "lazy", "redirect_url", "");
	service_start(&s, 1);
	redirects_with(&s, VIA(CONTENT "r/dir/a.xml"), 404, NULL);
	redirects_with(&s, "", 404, NULL);
	done_with(&s, &f);
}

static void test_fields_of_strangers_do_not_count(void **state)
{
	struct service s;
	struct file f;

	open_with(&s, &f, 1000);
	set_text(&s, "server", "trusted_proxies", "192.0.2.0/24");
	service_start(&s, 1);
	redirects_with(&s, VIA(CONTENT "r/dir/a.xml"), 400, NULL);
	done_with(&s, &f);
}

/* What the request line says goes into the Location as it is, whatever the web server makes of the path. */
static void test_bytes_survive(void **state)
{
	static const struct {
		const char *fields, *location;
	} rows[] = {
		{VIA(CONTENT "r/dir/a.xml") LINE("GET " CONTENT "r/dir/a%2Exml?x=%41&y=a+b HTTP/1.1"),
			AWAY CONTENT "r/dir/a%2Exml?x=%41&y=a+b"},
		{VIA(CONTENT "r/dir/a.xml") LINE("GET " CONTENT "r/%64ir/a.xml? HTTP/1.0"),
			AWAY CONTENT "r/%64ir/a.xml?"},
		{VIA(CONTENT "r/dir/a.xml") LINE("GET http://front.example.org" CONTENT "r/dir/a.xml?q HTTP/1.1"),
			AWAY CONTENT "r/dir/a.xml?q"},
		{VIA(CONTENT "r/dir/a.xml") "X-Redirect-Query: x=%41&y=a+b\r\n",
			AWAY CONTENT "r/dir/a.xml?x=%41&y=a+b"},
	};
	static const char *const bad[] = {
		VIA(CONTENT "r/dir/a.xml") LINE("GET"),
		VIA(CONTENT "r/dir/a.xml") LINE("GET " CONTENT "r/dir/a.xml"),
		VIA(CONTENT "r/dir/a.xml") LINE("GET " CONTENT "r/dir/a.xml x HTTP/1.1"),
		VIA(CONTENT "r/dir/a.xml") LINE("GET http:// HTTP/1.1"),
		VIA(CONTENT "r/dir/a.xml") LINE("GET http://front HTTP/1.1"),
		VIA(CONTENT "r/dir/a.xml") LINE("OPTIONS * HTTP/1.1"),
		VIA("r/dir/a.xml"),
	};
	struct service s;
	struct file f;

	open_with(&s, &f, 1000);
	service_start(&s, 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		redirects_with(&s, rows[i].fields, 302, rows[i].location);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		redirects_with(&s, bad[i], 400, NULL);
	done_with(&s, &f);
}

static void test_a_guard_comes_first(void **state)
{
	struct service s;
	struct file f;

	open_with(&s, &f, 1000);
	stock_exec(&s.stock, "UPDATE distribution SET content_guard_id = 99", 0);
	service_start(&s, 1);
	redirects_with(&s, VIA(CONTENT "r/dir/a.xml"), 403, NULL);
	redirects_with(&s, VIA(CONTENT "r/dir/b.xml"), 403, NULL);
	done_with(&s, &f);
}

/* By the remote's policy; of what is uploaded, or downloaded at once, there is nothing that a streamer could do. */
static void test_only_what_is_lazy_is_sent_away(void **state)
{
	static const struct {
		const char *policy;
		int status;
	} rows[] = {{"streamed", 302}, {"immediate", 404}, {"on_demand", 302}};
	struct service s;
	struct file f;

	open_with(&s, &f, 1000);
	service_start(&s, 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char sql[128];

		snprintf(sql, sizeof(sql), "UPDATE remote SET policy = '%s' WHERE id = $1", rows[i].policy);
		stock_exec(&s.stock, sql, f.remote);
		redirects_with(&s, VIA(CONTENT "r/dir/a.xml"), rows[i].status,
			rows[i].status == 302 ? AWAY CONTENT "r/dir/a.xml" : NULL);
	}
	done_with(&s, &f);
}

/* ---- what the content service says of what is missing ---- */

static void test_missing_is_redirected_and_saved_is_served(void **state)
{
	struct response r;
	struct service s;
	struct file f;

	open_with(&s, &f, 1000);
	set_text(&s, "content", "on_missing", "redirect");
	service_start(&s, 1);
	for (int i = 0; i < 2; i++) {
		get(&s, CONTENT "r/dir/a.xml?a=%62", &r);
		assert_int_equal(r.status, 302);
		assert_string_equal(field(&r, "Location"), AWAY CONTENT "r/dir/a.xml?a=%62");
		response_fini(&r);
	}
	expect(&s, CONTENT "r/", 200);
	expect(&s, CONTENT "r/nothing", 404);
	assert_int_equal(origin_all_hits(s.origin), 0);
	save_elsewhere(&s, &f);
	expect_body(&s, CONTENT "r/dir/a.xml", f.body, f.size);
	expect_body(&s, CONTENT "r/dir/a.xml", f.body, f.size);
	assert_int_equal(origin_all_hits(s.origin), 0);
	done_with(&s, &f);
}

static void test_missing_is_refused(void **state)
{
	struct response r;
	struct service s;
	struct file f;

	open_with(&s, &f, 1000);
	set_text(&s, "content", "on_missing", "refuse");
	service_start(&s, 1);
	get(&s, CONTENT "r/dir/a.xml", &r);
	assert_int_equal(r.status, 404);
	assert_string_equal(field(&r, "X-Sluice-Reason"), "not-saved");
	response_fini(&r);
	save_elsewhere(&s, &f);
	expect_body(&s, CONTENT "r/dir/a.xml", f.body, f.size);
	done_with(&s, &f);
}

/* ---- the streamer ---- */

static void stream(struct service *s, const char *method, const char *path, struct response *r)
{
	ask(s, method, path, "Door: streamer\r\n", r);
}

/* Upstream's fields as they are, but for those of its connection and what the cache is told; nothing is kept. */
static void test_streamed_with_upstreams_fields(void **state)
{
	static const struct {
		const char *name, *value;
	} rows[] = {
		{"Content-Type", "application/x-theirs"},
		{"ETag", "\"theirs\""},
		{"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"},
		{"X-Theirs", "yes"},
		{"Vary", "Accept"},
		{"Expires", "Sun, 06 Nov 1994 08:49:37 GMT"},
		{"Cache-Control", "public, max-age=7200"},
		{"Content-Length", "100000"},
	};
	struct response r;
	struct service s;
	struct file f;

	open_with(&s, &f, 100000);
	ORIGIN_PUT(s.origin, "/r/dir/a.xml",
		{.body = f.body,
			.size = f.size,
			.headers = "Content-Type: application/x-theirs\r\nETag: \"theirs\"\r\nCache-Control: private, "
				   "no-store\r\n"
				   "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-Theirs: yes\r\nVary: Accept\r\n"
				   "Expires: Sun, 06 Nov 1994 08:49:37 GMT\r\nKeep-Alive: timeout=5\r\nPublic: GET\r\n"
				   "Upgrade: x\r\nProxy-Authenticate: Basic\r\n"});
	set_text(&s, "lazy", "streamer_cache_timeout", "2h");
	service_start(&s, 1);
	for (int i = 0; i < 2; i++) {
		stream(&s, "GET", CONTENT "r/dir/a.xml", &r);
		assert_int_equal(r.status, 200);
		assert_int_equal(r.n, f.size);
		assert_memory_equal(r.body, f.body, f.size);
		for (size_t k = 0; k < ARRAY_LEN(rows); k++)
			assert_string_equal(field(&r, rows[k].name), rows[k].value);
		assert_null(field(&r, "Keep-Alive"));
		assert_null(field(&r, "Public"));
		assert_null(field(&r, "Upgrade"));
		assert_null(field(&r, "Proxy-Authenticate"));
		response_fini(&r);
		WAIT_FOR(metric_get(M_flights_open) == 0);
	}
	assert_int_equal(origin_all_hits(s.origin), 2);
	assert_false(stock_has(&s.stock, &f.digests));
	assert_false(stock_is_saved(&s.stock, f.ca));
	done_with(&s, &f);
}

static void test_what_is_saved_is_streamed_from_the_store(void **state)
{
	struct response r;
	struct service s;
	struct file f;

	open_with(&s, &f, 1000);
	service_start(&s, 1);
	expect_body(&s, CONTENT "r/dir/a.xml", f.body, f.size); /* saved by the content service */
	for (int i = 0; i < 2; i++) {
		stream(&s, "GET", CONTENT "r/dir/a.xml", &r);
		assert_int_equal(r.status, 200);
		assert_int_equal(r.n, f.size);
		assert_string_equal(field(&r, "Cache-Control"), "public, max-age=86400");
		response_fini(&r);
	}
	assert_int_equal(origin_all_hits(s.origin), 1);
	done_with(&s, &f);
}

/* Asks the streamer for `target`; the answer's status, and its Cache-Control's age, -1: none. */
static int streamed(struct service *s, const char *target, int *max_age)
{
	struct response r;
	int status;

	stream(s, "GET", target, &r);
	status = r.status;
	*max_age = -1;
	if (field(&r, "Cache-Control") != NULL)
		(void)sscanf(field(&r, "Cache-Control"), "public, max-age=%d", max_age);
	response_fini(&r);
	return status;
}

/* What a redirect gave opens this path, with this query, for a while; nothing else opens anything. */
static void test_signed_redirects(void **state)
{
	static const char *const requests[] = {
		CONTENT "r/dir/a.xml", CONTENT "r/dir/a.xml?x=%41&y", CONTENT "r/dir/%61.xml?"};
	struct response r, again;
	struct service s;
	struct file f;
	int age;

	open_with(&s, &f, 1000);
	set_text(&s, "lazy", "redirect_valid", "1h");
	service_start(&s, 1);
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		char fields[512], target[512];

		(void)snprintf(fields, sizeof(fields),
			VIA(CONTENT "r/dir/a.xml") "X-Redirect-Request: GET %s HTTP/1.1\r\n", requests[i]);
		redirect(&s, fields, &r);
		redirect(&s, fields, &again);
		assert_int_equal(r.status, 302);
		assert_memory_equal(field(&r, "Location"), AWAY, strlen(AWAY));
		(void)snprintf(target, sizeof(target), "%s", field(&r, "Location") + strlen(AWAY));
		assert_memory_equal(target, requests[i], strlen(requests[i]));
		/* in two different hours they may differ */
		if (strcmp(field(&r, "Location"), field(&again, "Location")) != 0)
			assert_null(strstr(field(&again, "Location"), strstr(target, "expires=")));
		response_fini(&r);
		response_fini(&again);
		assert_int_equal(streamed(&s, target, &age), 200);
		assert_in_range(age, 3500, 7200);
		memmove(target + strlen(CONTENT) + 1, target + strlen(CONTENT) + 2,
			strlen(target) - strlen(CONTENT) - 1);
		assert_int_equal(streamed(&s, target, &age), 404); /* "rdir/a.xml": of no distribution */
		assert_int_equal(streamed(&s, requests[i], &age), 403);
		(void)snprintf(target, sizeof(target), CONTENT "r/no%s", strchr(target, '?'));
		assert_int_equal(streamed(&s, target, &age), 403);
	}
	done_with(&s, &f);
}

/* No body, and 404 whatever upstream's trouble is; no directory, no guard. */
static void test_streamers_failures(void **state)
{
	static const struct {
		const char *path;
		int status;
	} rows[] = {
		{CONTENT "r/nothing", 404},
		{CONTENT "r/dir/", 404},
		{CONTENT "r/dir", 404},
		{CONTENT "r", 404},
		{CONTENT, 404},
		{"/metrics", 404},
		{"/", 404},
		{CONTENT "r/dir/a.xml", 404},
	};
	struct response r;
	struct service s;
	struct file f;

	open_with(&s, &f, 1000);
	ORIGIN_PUT(s.origin, "/r/dir/a.xml", {.status = 501});
	service_start(&s, 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		stream(&s, "GET", rows[i].path, &r);
		assert_int_equal(r.status, rows[i].status);
		assert_int_equal(r.n, 0);
		assert_true(r.complete);
		response_fini(&r);
	}
	stream(&s, "POST", CONTENT "r/dir/a.xml", &r);
	assert_int_equal(r.status, 405);
	response_fini(&r);
	done_with(&s, &f);
}

static void test_guards_are_not_the_streamers(void **state)
{
	struct response r;
	struct service s;
	struct file f;

	open_with(&s, &f, 1000);
	stock_exec(&s.stock, "UPDATE distribution SET content_guard_id = 99", 0);
	service_start(&s, 1);
	stream(&s, "GET", CONTENT "r/dir/a.xml", &r);
	assert_int_equal(r.status, 200);
	response_fini(&r);
	expect(&s, CONTENT "r/dir/a.xml", 403);
	done_with(&s, &f);
}

/* Wrong bytes never look complete to the cache. */
static void test_wrong_bytes_end_short(void **state)
{
	struct response r;
	struct service s;
	struct file f;
	char *wrong;

	open_with(&s, &f, 2 * MIB);
	wrong = bytes_new(f.size, 7);
	ORIGIN_PUT(s.origin, "/r/dir/a.xml", {.body = wrong, .size = f.size});
	service_start(&s, 1);
	stream(&s, "GET", CONTENT "r/dir/a.xml", &r);
	assert_int_equal(r.status, 200);
	assert_false(r.complete);
	response_fini(&r);
	service_close(&s);
	free(wrong);
	file_free(&f);
}

/* ---- what is to be saved ---- */

static int64_t tasks(struct service *s)
{
	return stock_int(&s->stock, "SELECT COUNT(*) FROM task", 0);
}

static void end_tasks(struct service *s)
{
	stock_exec(&s->stock, "DELETE FROM task", 0);
}

/* However many redirects; and another when that task is over and has not helped. */
static void test_redirects_make_one_save_task(void **state)
{
	struct service s;
	struct file f, g;

	open_with(&s, &f, 1000);
	file_new(&g, &s, "q", "b", 1000, 2);
	service_start(&s, 1);
	for (int i = 0; i < 5; i++)
		redirects_with(&s, VIA(CONTENT "r/dir/a.xml"), 302, AWAY CONTENT "r/dir/a.xml");
	WAIT_FOR(tasks(&s) == 1);
	redirects_with(
		&s, VIA(CONTENT "q/b") LINE("GET " CONTENT "q/%62?\xe4 HTTP/1.1"), 302, AWAY CONTENT "q/%62?\xe4");
	WAIT_FOR(tasks(&s) == 2);
	assert_int_equal(
		stock_int(&s.stock,
			"SELECT COUNT(*) FROM task WHERE args LIKE '%\"/pulp/content/q/%62?%E4\"%' ESCAPE '!'", 0),
		1);
	assert_int_equal(
		stock_int(&s.stock, "SELECT COUNT(DISTINCT resource) FROM task_lock WHERE exclusive = 1", 0), 2);
	end_tasks(&s);
	redirects_with(&s, VIA(CONTENT "r/dir/a.xml"), 302, AWAY CONTENT "r/dir/a.xml");
	WAIT_FOR(tasks(&s) == 1);
	done_with(&s, &f);
	file_free(&g);
}

/* What the store has lost comes back the same way. */
static void test_what_is_lost_is_saved_again(void **state)
{
	struct service s;
	struct file f;

	open_with(&s, &f, 1000);
	save_elsewhere(&s, &f);
	MUST(store_remove(s.stock.store, f.digests.d[DIGEST_SHA256], &err));
	service_start(&s, 1);
	redirects_with(&s, VIA(CONTENT "r/dir/a.xml"), 302, AWAY CONTENT "r/dir/a.xml");
	WAIT_FOR(tasks(&s) == 1);
	done_with(&s, &f);
}

/* What only passes is not to be saved, nor what is saved, nor what was not found. */
static void test_no_save_task_without_need(void **state)
{
	struct service s;
	struct file f, g;

	open_with(&s, &f, 1000);
	file_new(&g, &s, "q", "b", 1000, 2);
	stock_exec(&s.stock, "UPDATE remote SET policy = 'streamed' WHERE id = $1", f.remote);
	service_start(&s, 1);
	redirects_with(&s, VIA(CONTENT "r/dir/a.xml"), 302, AWAY CONTENT "r/dir/a.xml");
	redirects_with(&s, VIA(CONTENT "r/dir/b.xml"), 404, NULL);
	expect_body(&s, CONTENT "q/b", g.body, g.size);
	redirects_with(&s, VIA(CONTENT "q/b"), 302, AWAY CONTENT "q/b");
	content_drain(s.content, 20000);
	assert_int_equal(tasks(&s), 0);
	done_with(&s, &f);
	file_free(&g);
}

/* A complete download makes one, the save task's own none, a broken one none. */
static void test_streamed_downloads_make_one_save_task(void **state)
{
	struct response r;
	struct service s;
	struct file f;

	open_with(&s, &f, 100000);
	ORIGIN_PUT(s.origin, "/r/dir/a.xml", {.status = 404}, {.body = f.body, .size = f.size});
	set_text(&s, "content", "failure_cooldown", "0");
	service_start(&s, 1);
	stream(&s, "GET", CONTENT "r/dir/a.xml", &r);
	assert_int_equal(r.status, 404);
	response_fini(&r);
	ask(&s, "GET", CONTENT "r/dir/a.xml", "Door: streamer\r\nX-Sluice-Save: 1\r\n", &r);
	assert_int_equal(r.status, 200);
	response_fini(&r);
	stream(&s, "HEAD", CONTENT "r/dir/a.xml", &r);
	assert_int_equal(r.status, 200);
	response_fini(&r);
	WAIT_FOR(metric_get(M_flights_open) == 0);
	assert_int_equal(tasks(&s), 0);
	for (int i = 0; i < 3; i++) {
		stream(&s, "GET", i < 2 ? CONTENT "r/dir/a.xml" : "http://h" CONTENT "r/dir/a.xml", &r);
		assert_int_equal(r.status, 200);
		response_fini(&r);
		WAIT_FOR(tasks(&s) == 1);
	}
	assert_int_equal(
		stock_int(&s.stock, "SELECT COUNT(*) FROM task WHERE args LIKE '%:\"/pulp/content/r/dir/a.xml\"%'", 0),
		1);
	done_with(&s, &f);
}

static void test_the_queue_of_save_tasks_is_bounded(void **state)
{
	int64_t dropped = metric_get(M_lazy_saves_dropped);
	struct service s;
	struct file f, g;

	open_with(&s, &f, 1000);
	file_new(&g, &s, "q", "b", 1000, 2);
	set_text(&s, "lazy", "save_queue", "1");
	service_start(&s, 1);
	redirects_with(&s, VIA(CONTENT "r/dir/a.xml"), 302, AWAY CONTENT "r/dir/a.xml");
	WAIT_FOR(tasks(&s) == 1);
	redirects_with(&s, VIA(CONTENT "q/b"), 302, AWAY CONTENT "q/b");
	WAIT_FOR(metric_get(M_lazy_saves_dropped) == dropped + 1);
	assert_int_equal(tasks(&s), 1);
	done_with(&s, &f);
	file_free(&g);
}

static void test_nothing_is_saved_where_no_front_can_be_asked(void **state)
{
	static const struct {
		const char *save_url, *redirect_url;
		const char *front; /* NULL: none */
	} rows[] = {
		{"http://front:3128", "/streamer", "http://front:3128"},
		{"", "http://front/streamer", "http://front/streamer"},
		{"", "//front/streamer", "https://front/streamer"},
		{"", "/streamer", NULL},
		{"", "", NULL},
	};
	struct settings set;

	MUST(settings_init(&set, &err));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT(0);

		MUST(settings_set(&set, "lazy", "save_url", slice_str(rows[i].save_url), "test", &err));
		MUST(settings_set(&set, "lazy", "redirect_url", slice_str(rows[i].redirect_url), "test", &err));
		assert_int_equal(save_front(&set, &b, NULL), rows[i].front != NULL ? 0 : -ERR_NOTFOUND);
		if (rows[i].front != NULL)
			assert_string_equal(b.p, rows[i].front);
		buf_fini(&b);
	}
	settings_fini(&set);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_four_answers),
		T(test_without_a_redirect_url_everything_is_404),
		T(test_fields_of_strangers_do_not_count),
		T(test_bytes_survive),
		T(test_a_guard_comes_first),
		T(test_only_what_is_lazy_is_sent_away),
		T(test_missing_is_redirected_and_saved_is_served),
		T(test_missing_is_refused),
		T(test_streamed_with_upstreams_fields),
		T(test_what_is_saved_is_streamed_from_the_store),
		T(test_signed_redirects),
		T(test_streamers_failures),
		T(test_guards_are_not_the_streamers),
		T(test_wrong_bytes_end_short),
		T(test_redirects_make_one_save_task),
		T(test_what_is_lost_is_saved_again),
		T(test_no_save_task_without_need),
		T(test_streamed_downloads_make_one_save_task),
		T(test_the_queue_of_save_tasks_is_bounded),
		T(test_nothing_is_saved_where_no_front_can_be_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
