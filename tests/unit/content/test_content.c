/* Content requests over HTTP: hits and misses, the same bytes in two repositories, listings, what costs no catalog, clients that go away at each step,
 * and trouble of our own. */
#include "service.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONTENT "/pulp/content/"

static void done_with(struct service *s, struct file *f)
{
	service_close(s);
	file_free(f);
}

static void open_with(struct service *s, struct file *f, size_t size)
{
	service_open(s, 2, 1000);
	file_new(f, s, "r", "dir/a.xml", size, 1);
	service_start(s, 1);
}

/* ---- miss and hit ---- */

/* Saved once, the same answer ever after, and the hits ask neither upstream nor catalog. */
static void test_a_miss_becomes_a_hit(void **state)
{
	static const size_t sizes[] = {0, 10 * KIB, MIB}; /* nothing, in memory, as a file */
	static const char *const same[] = {
		"Content-Type", "Content-Length", "ETag", "Last-Modified", "Accept-Ranges", "X-PULP-ARTIFACT-SIZE"};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct response first, later;
		struct service s;
		struct file f;
		int64_t hits, lookups;

		open_with(&s, &f, sizes[i]);
		get(&s, CONTENT "r/dir/a.xml", &first);
		assert_int_equal(first.status, 200);
		assert_string_equal(field(&first, "Content-Type"), "text/xml");
		assert_int_equal(first.n, sizes[i]);
		assert_true(stock_is_saved(&s.stock, f.ca));
		expect_body(&s, CONTENT "r/dir/a.xml", f.body, f.size); /* the look-up */
		hits = metric_get(M_content_hits);
		lookups = metric_get(M_content_catalog_lookups);
		get(&s, CONTENT "r/dir/a.xml", &later);
		assert_int_equal(metric_get(M_content_hits), hits + 1);
		assert_int_equal(metric_get(M_content_catalog_lookups), lookups);
		assert_int_equal(later.n, sizes[i]);
		assert_memory_equal(later.body, f.body, sizes[i]);
		for (size_t k = 0; k < ARRAY_LEN(same); k++) {
			char *a = strdup(field(&first, same[k])), *b = strdup(field(&later, same[k]));

			assert_string_equal(a, b);
			free(a);
			free(b);
		}
		assert_int_equal(origin_all_hits(s.origin), 1);
		response_fini(&first);
		response_fini(&later);
		done_with(&s, &f);
	}
}

/* More is asked for than the cache may hold: it is opened again without the catalog; and what the store has lost is downloaded again. */
static void test_what_the_cache_gave_up_is_opened_again(void **state)
{
	static const size_t sizes[] = {10 * KIB, MIB}; /* in memory, as a file */

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct service s;
		struct file a, b;
		int64_t reopens, lookups;

		service_open(&s, 2, 1000);
		s.stock.settings.content_cache_bytes = 12 * KIB;
		s.stock.settings.content_cache_files = 1;
		file_new(&a, &s, "r", "a", sizes[i], 1);
		file_new(&b, &s, "s", "b", sizes[i], 2);
		service_start(&s, 1);
		for (int k = 0; k < 2; k++) { /* the download, and the look-up */
			expect_body(&s, CONTENT "r/a", a.body, a.size);
			expect_body(&s, CONTENT "s/b", b.body, b.size);
		}
		reopens = metric_get(M_content_reopens);
		lookups = metric_get(M_content_catalog_lookups);
		for (int k = 0; k < 5; k++) {
			expect_body(&s, CONTENT "r/a", a.body, a.size);
			expect_body(&s, CONTENT "s/b", b.body, b.size);
		}
		assert_int_equal(metric_get(M_content_reopens), reopens + 10);
		assert_int_equal(metric_get(M_content_catalog_lookups), lookups);
		assert_int_equal(store_remove(s.stock.store, a.digests.d[DIGEST_SHA256], NULL), 0);
		expect_body(&s, CONTENT "r/a", a.body, a.size);
		assert_int_equal(origin_all_hits(s.origin), 3);
		done_with(&s, &a);
		file_free(&b); /* the origin's threads are over now */
	}
}

/* The catalog's entry "not saved" goes with the flight that saved it: the next look-up is a hit, and no flight is asked again. */
static void test_a_stale_entry_goes_with_its_flight(void **state)
{
	struct service s;
	struct file f;
	int64_t misses;

	open_with(&s, &f, MIB);
	expect_body(&s, CONTENT "r/dir/a.xml", f.body, f.size);
	misses = metric_get(M_content_misses);
	expect_body(&s, CONTENT "r/dir/a.xml", f.body, f.size);
	assert_int_equal(metric_get(M_content_misses), misses);
	done_with(&s, &f);
}

static void test_many_clients_on_two_loops_one_get(void **state)
{
	enum { CLIENTS = 20 };
	struct service s;
	struct file f;
	int fds[CLIENTS];

	service_open(&s, 2, 1000);
	file_new(&f, &s, "r", "a", MIB, 1);
	service_start(&s, SERVICE_LOOPS);
	ORIGIN_PUT(s.origin, "/r/a", {.body = f.body, .size = MIB, .gate = 1, .gate_at = 300 * KIB});
	for (int i = 0; i < CLIENTS; i++)
		fds[i] = ask_begin(&s, "GET", CONTENT "r/a");
	WAIT_FOR(metric_get(M_flight_readers) == CLIENTS);
	origin_open(s.origin, 1);
	for (int i = 0; i < CLIENTS; i++) {
		struct response r;

		ask_end(fds[i], &r);
		assert_int_equal(r.status, 200);
		assert_true(r.complete && r.n == MIB && memcmp(r.body, f.body, MIB) == 0);
		response_fini(&r);
	}
	assert_int_equal(origin_all_hits(s.origin), 1);
	done_with(&s, &f);
}

static void test_upstreams_headers_pass_once(void **state)
{
	struct response r;
	struct service s;
	struct file f;

	open_with(&s, &f, 1000);
	ORIGIN_PUT(s.origin, "/r/dir/a.xml",
		{.body = f.body,
			.size = 1000,
			.headers =
				"X-Mirror: 7\r\nContent-Type: x/y\r\nETag: \"no\"\r\nServer: x\r\nSet-Cookie: a\r\n"});
	get(&s, CONTENT "r/dir/a.xml", &r);
	assert_string_equal(field(&r, "X-Mirror"), "7");
	assert_string_equal(field(&r, "Content-Type"), "text/xml");
	assert_int_equal(strlen(field(&r, "ETag")), 66);
	assert_string_equal(field(&r, "Server"), "sluice");
	assert_null(field(&r, "Set-Cookie"));
	response_fini(&r);
	done_with(&s, &f);
}

static void test_unknown_size_is_chunked_at_first(void **state)
{
	struct response r;
	struct service s;
	struct file f;

	open_with(&s, &f, MIB);
	stock_exec(&s.stock, "UPDATE remote_artifact SET size = NULL WHERE id > $1", 0);
	ORIGIN_PUT(s.origin, "/r/dir/a.xml", {.body = f.body, .size = MIB, .framing = ORIGIN_CHUNKED});
	get(&s, CONTENT "r/dir/a.xml", &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(field(&r, "Transfer-Encoding"), "chunked");
	assert_true(r.complete && r.n == MIB && memcmp(r.body, f.body, MIB) == 0);
	response_fini(&r);
	get(&s, CONTENT "r/dir/a.xml", &r);
	assert_string_equal(field(&r, "Content-Length"), "1048576");
	response_fini(&r);
	done_with(&s, &f);
}

static void test_failures_say_what_happened(void **state)
{
	static const struct {
		struct origin_answer answer;
		int status;
		const char *reason;
	} rows[] = {
		{{.status = 404}, 404, "upstream-missing"},
		{{.status = 500}, 502, "upstream-error"},
		{{.size = 999}, 502, "wrong-size"},
		{{.size = 1000, .cut = 10, .end = ORIGIN_CLOSE}, 502, "upstream-broke-off"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct origin_answer a = rows[i].answer;
		struct response r;
		struct service s;
		struct file f;

		open_with(&s, &f, 1000);
		a.body = f.body;
		origin_put(s.origin, "/r/dir/a.xml", &a, 1);
		get(&s, CONTENT "r/dir/a.xml", &r);
		assert_int_equal(r.status, rows[i].status);
		assert_string_equal(field(&r, "X-Sluice-Reason"), rows[i].reason);
		response_fini(&r);
		/* What came wrong cools down, the rest is asked again. */
		get(&s, CONTENT "r/dir/a.xml", &r);
		if (i == 2)
			assert_string_equal(field(&r, "X-Sluice-Reason"), "cooling-down");
		assert_int_equal(field(&r, "Retry-After") != NULL, i == 0 || i == 2);
		response_fini(&r);
		done_with(&s, &f);
	}
}

static void test_head_does_not_wait_for_upstream(void **state)
{
	struct response r;
	struct service s;
	struct file f;

	open_with(&s, &f, MIB);
	ORIGIN_PUT(s.origin, "/r/dir/a.xml", {.body = f.body, .size = MIB, .gate = 1, .gate_head = true});
	ask(&s, "HEAD", CONTENT "r/dir/a.xml", NULL, &r);
	assert_int_equal(r.status, 200);
	assert_string_equal(field(&r, "Content-Length"), "1048576");
	assert_int_equal(r.n, 0);
	response_fini(&r);
	origin_open(s.origin, 1);
	WAIT_FOR(stock_is_saved(&s.stock, f.ca));
	ask(&s, "HEAD", CONTENT "r/dir/a.xml", NULL, &r);
	assert_int_equal(r.status, 200);
	response_fini(&r);
	assert_int_equal(origin_all_hits(s.origin), 1);
	/* Nobody offers it: not even HEAD says otherwise. */
	MUST(store_remove(s.stock.store, f.digests.d[DIGEST_SHA256], &err));
	stock_exec(&s.stock, "UPDATE content_artifact SET artifact_id = NULL WHERE id = $1", f.ca);
	stock_exec(&s.stock, "DELETE FROM remote WHERE id = $1", f.remote);
	ask(&s, "HEAD", CONTENT "r/dir/a.xml", NULL, &r);
	assert_int_equal(r.status, 404);
	assert_string_equal(field(&r, "X-Sluice-Reason"), "no-source");
	response_fini(&r);
	done_with(&s, &f);
}

/* ---- the same bytes elsewhere ---- */

/* Saved by one repository, asked for in another: no second download, and the catalog knows both as saved. */
static void test_what_another_repository_saved_is_written_down(void **state)
{
	struct file f, g;
	struct service s;

	service_open(&s, 2, 1000);
	file_new(&f, &s, "r", "a", 1000, 1);
	file_new(&g, &s, "s", "b", 1000, 1);
	service_start(&s, 1);
	expect_body(&s, CONTENT "r/a", f.body, 1000);
	assert_false(stock_is_saved(&s.stock, g.ca));
	expect_body(&s, CONTENT "s/b", f.body, 1000);
	assert_true(stock_is_saved(&s.stock, g.ca));
	assert_int_equal(origin_all_hits(s.origin), 1);
	done_with(&s, &f);
	file_free(&g);
}

/* Two requests share a flight that was started for the first one's repository, and which fails: whoever joined is served by the sources of his own. What
 * the sources do is set by `answer_of_first` (NULL: its only remote may not serve it) and `answer_of_second` (NULL: the right one). */
struct pair {
	struct service s;
	struct file f, g;
	struct response a, b;
};

static void pair_run(struct pair *p, const char *method, const struct origin_answer *answer_of_first,
	const struct origin_answer *answer_of_second)
{
	struct blocker *blocker;
	int64_t joined;
	int first, second;

	service_open(&p->s, 1, 1000);
	file_new(&p->f, &p->s, "r", "a", 1000, 1);
	file_new(&p->g, &p->s, "s", "b", 1000, 1);
	if (answer_of_first == NULL) { /* credentials, and for another repository */
		stock_exec(&p->s.stock, "UPDATE remote SET username = 'u' WHERE id = $1", p->f.remote);
		stock_exec(&p->s.stock, "DELETE FROM repository_remote WHERE remote_id = $1", p->f.remote);
	}
	ORIGIN_PUT(p->s.origin, "/r/a", {.status = 403});
	ORIGIN_PUT(p->s.origin, "/s/b", {.status = 403});
	service_start(&p->s, 1);
	/* Both entries are cached then: nothing but the flight is left to do. */
	expect(&p->s, CONTENT "r/a", answer_of_first == NULL ? 404 : 502);
	expect(&p->s, CONTENT "s/b", 502);
	if (answer_of_first != NULL)
		origin_put(p->s.origin, "/r/a", answer_of_first, 1);
	if (answer_of_second != NULL)
		origin_put(p->s.origin, "/s/b", answer_of_second, 1);
	else
		ORIGIN_PUT(p->s.origin, "/s/b", {.body = p->g.body, .size = 1000});
	joined = metric_get(M_flights_joined);
	blocker = stock_block(&p->s.stock); /* the sources of the first one are not read yet */
	first = ask_begin(&p->s, "GET", CONTENT "r/a");
	WAIT_FOR(metric_get(M_flight_readers) == 1);
	second = ask_begin(&p->s, method, CONTENT "s/b");
	WAIT_FOR(metric_get(M_flight_readers) == 2);
	stock_unblock(&blocker);
	ask_end(first, &p->a);
	ask_end(second, &p->b);
	assert_int_equal(metric_get(M_flights_joined), joined + 1);
}

static void pair_close(struct pair *p)
{
	response_fini(&p->a);
	response_fini(&p->b);
	service_close(&p->s);
	file_free(&p->f);
	file_free(&p->g);
}

static void test_who_joined_anothers_flight_in_vain_is_served_by_his_own_sources(void **state)
{
	static const struct origin_answer fails = {.status = 500}, *const answers[] = {NULL, &fails, NULL};
	static const char *const methods[] = {"GET", "GET", "HEAD"};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct pair p;

		pair_run(&p, methods[i], answers[i], NULL);
		assert_int_equal(p.a.status, answers[i] == NULL ? 404 : 502);
		assert_int_equal(p.b.status, 200);
		if (strcmp(methods[i], "GET") == 0)
			assert_true(p.b.n == 1000 && memcmp(p.b.body, p.g.body, 1000) == 0);
		WAIT_FOR(stock_is_saved(&p.s.stock, p.g.ca)); /* HEAD does not wait for that */
		assert_int_equal(origin_hits(p.s.origin, "/s/b"), 1);
		pair_close(&p);
	}
}

/* When his own fail as well, they are asked once, and their failure is the answer. */
static void test_own_failure_is_the_answer(void **state)
{
	static const struct origin_answer refuses = {.status = 403};
	struct pair p;

	pair_run(&p, "GET", NULL, &refuses);
	assert_int_equal(p.a.status, 404);
	assert_int_equal(p.b.status, 502);
	assert_string_equal(field(&p.b, "X-Sluice-Reason"), "upstream-error");
	assert_int_equal(origin_hits(p.s.origin, "/s/b"), 1);
	pair_close(&p);
}

/* ---- listings ---- */

static void assert_has(const struct response *r, const char *fragment)
{
	if (strstr(r->body, fragment) == NULL)
		fail_msg("no '%s' in: %s", fragment, r->body);
}

/* A directory of one entry, in the form that clients scrape. */
static void test_listing_fragments(void **state)
{
	static const struct {
		const char *path;
		size_t size;
		const char *name, *text; /* escaped name, and size */
	} rows[] = {
		{"a", 0, "a", "0 Bytes"},
		{"one", 1, "one", "1 Byte"},
		{"n", 999, "n", "999 Bytes"},
		{"k", 1000, "k", "1.0 kB"},
		{"m", 1234567, "m", "1.2 MB"},
		{"<&>\"'.txt", 5, "&lt;&amp;&gt;&quot;&#39;.txt", "5 Bytes"},
		{"\xc3\xa4 b", 5, "\xc3\xa4 b", "5 Bytes"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char fragment[1024], base[16];
		struct response r;
		struct service s;
		struct file f;
		size_t width = 0;
		const char *at;

		service_open(&s, 2, 1000);
		snprintf(base, sizeof(base), "r%zu", i);
		file_new(&f, &s, base, rows[i].path, rows[i].size, 1);
		service_start(&s, 1);
		snprintf(fragment, sizeof(fragment), CONTENT "%s/", base);
		get(&s, fragment, &r);
		assert_int_equal(r.status, 200);
		assert_string_equal(field(&r, "Content-Type"), "text/html");
		snprintf(fragment, sizeof(fragment),
			"<html>\n<head><title>Index of " CONTENT
			"%s/</title></head>\n<body bgcolor=\"white\">\n<h1>Index of " CONTENT
			"%s/</h1>\n<hr><pre><a href=\"../\">../</a>\n<a href=\"./%s\">%s</a> ",
			base, base, rows[i].name, rows[i].name);
		assert_has(&r, fragment);
		snprintf(fragment, sizeof(fragment), "  %s\n</pre><hr></body>\n</html>\n", rows[i].text);
		assert_has(&r, fragment);
		/* Name and spaces are 100 characters, then a date "01-Jan-2026 12:34". */
		for (const char *p = rows[i].path; *p != '\0'; p++)
			width += (*p & 0xc0) != 0x80;
		at = strstr(strstr(r.body, "../</a>\n") + 8, "</a>") + 4;
		assert_int_equal(strspn(at, " "), 100 - width);
		at += 100 - width;
		assert_true(at[2] == '-' && at[6] == '-' && at[11] == ' ' && at[14] == ':' && at[17] == ' ' &&
			    at[18] == ' ');
		response_fini(&r);
		done_with(&s, &f);
	}
}

static void test_directories_and_slashes(void **state)
{
	struct response r;
	struct service s;
	struct file f;

	service_open(&s, 2, 1000);
	file_new(&f, &s, "x/y", "dir/sub/a", 10, 1);
	(void)stock_distribute(&s.stock, "x/z", f.repository);
	(void)stock_distribute(&s.stock, "x-", 0);
	stock_exec(&s.stock, "UPDATE distribution SET hidden = $1 WHERE base_path = 'x-'", 1);
	service_start(&s, 1);
	get(&s, CONTENT "x/y/dir/", &r);
	assert_has(&r, "<a href=\"./sub/\">sub/</a>");
	response_fini(&r);
	/* Above the distributions. */
	get(&s, CONTENT, &r);
	assert_has(&r, "<hr><pre>\n<a href=\"./x/\">x/</a>");
	assert_null(strstr(r.body, "x-"));
	assert_null(strstr(strstr(r.body, "./x/") + 4, "./x/"));
	response_fini(&r);
	get(&s, CONTENT "x/", &r);
	assert_has(&r, "<hr><pre><a href=\"../\">../</a>\n<a href=\"./y/\">y/</a>");
	assert_has(&r, "<a href=\"./z/\">z/</a>");
	response_fini(&r);
	{
		static const struct {
			const char *path;
			int status;
			const char *location;
		} rows[] = {
			{"/pulp/content", 301, CONTENT},
			{CONTENT "x", 301, CONTENT "x/"},
			{CONTENT "x/y", 301, CONTENT "x/y/"},
			{CONTENT "x/y/dir", 301, CONTENT "x/y/dir/"},
			{CONTENT "x/y/dir/sub/a/", 404, NULL},
			{CONTENT "x/y/nothing", 404, NULL},
			{CONTENT "x/y/nothing/", 404, NULL},
			{CONTENT "x/w", 404, NULL},
			{CONTENT "nothing", 404, NULL},
			{CONTENT "nothing/", 404, NULL},
			{CONTENT "x-/a", 404, NULL},
		};

		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			get(&s, rows[i].path, &r);
			assert_int_equal(r.status, rows[i].status);
			if (rows[i].location != NULL)
				assert_string_equal(field(&r, "Location"), rows[i].location);
			response_fini(&r);
		}
	}
	ask(&s, "HEAD", CONTENT "x/y/dir/", NULL, &r);
	assert_int_equal(r.status, 200);
	response_fini(&r);
	ask(&s, "POST", CONTENT "x/y/dir/", "Content-Length: 0\r\n", &r);
	assert_int_equal(r.status, 405);
	response_fini(&r);
	get(&s, CONTENT "x-/a", &r); /* it points nowhere, and says so */
	assert_non_null(strstr(r.head, "Distribution is not pointing"));
	response_fini(&r);
	done_with(&s, &f);
}

/* ---- what costs no catalog ---- */

static void test_unknown_paths_are_answered_from_memory(void **state)
{
	struct service s;
	struct file f;
	int64_t lookups;
	char path[64];

	open_with(&s, &f, 10);
	for (int64_t before = metric_get(M_content_filter_404), i = 0; metric_get(M_content_filter_404) == before;
		i++) {
		snprintf(path, sizeof(path), CONTENT "r/before-%ld", (long)i);
		expect(&s, path, 404);
		assert_true(i < 10000);
	}
	lookups = metric_get(M_content_catalog_lookups);
	for (int i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), CONTENT "r/unknown-%d", i);
		expect(&s, path, 404);
	}
	assert_int_equal(metric_get(M_content_catalog_lookups), lookups);
	/* What is there is found as before, and what is new at once. */
	expect(&s, CONTENT "r/dir", 301);
	expect_body(&s, CONTENT "r/dir/a.xml", f.body, f.size);
	(void)stock_declare(
		&s.stock, f.repository, f.remote, "unknown-1", origin_url(s.origin, "/r/dir/a.xml"), 10, &f.digests);
	(void)stock_publish(&s.stock, f.repository);
	expect_body(&s, CONTENT "r/unknown-1", f.body, f.size);
	done_with(&s, &f);
}

/* ---- clients that go away ---- */

/* Everything of a client that is gone is given back, whatever it waited for. */
static void wait_idle(struct service *s)
{
	WAIT_FOR(metric_get(M_http_connections_open) == 0);
	WAIT_FOR(metric_get(M_flight_readers) == 0);
}

/* With a reset: after a mere FIN the client might still read. */
static void go_away(struct service *s, int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(fd);
	wait_idle(s);
}

static void test_gone_while_a_snapshot_is_loaded(void **state)
{
	struct blocker *blocker;
	struct service s;
	struct file f;
	int fd;

	service_open(&s, 1, 1000);
	file_new(&f, &s, "r", "a", 1000, 1);
	service_start(&s, 1);
	blocker = stock_block(&s.stock);
	fd = ask_begin(&s, "GET", CONTENT "r/a");
	WAIT_FOR(pool_queued(s.stock.pool) == 1);
	go_away(&s, fd);
	stock_unblock(&blocker);
	expect_body(&s, CONTENT "r/a", f.body, f.size);
	done_with(&s, &f);
}

static void test_gone_while_a_path_is_resolved_or_a_directory_read(void **state)
{
	static const char *const paths[] = {CONTENT "r/dir/a.xml", CONTENT "r/dir/"};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct blocker *blocker;
		struct service s;
		struct file f;
		int fd;

		service_open(&s, 1, 1000);
		file_new(&f, &s, "r", "dir/a.xml", 1000, 1);
		service_start(&s, 1);
		expect(&s, CONTENT "r/other", 404);
		if (i == 1) /* the entry is cached: what waits is the listing itself */
			expect(&s, paths[i], 200);
		blocker = stock_block(&s.stock);
		fd = ask_begin(&s, "GET", paths[i]);
		WAIT_FOR(pool_queued(s.stock.pool) == 1);
		go_away(&s, fd);
		stock_unblock(&blocker);
		expect(&s, paths[i], 200);
		done_with(&s, &f);
	}
}

static void test_gone_while_a_flight_is_on_its_way(void **state)
{
	struct service s;
	struct file f;

	for (int i = 0; i < 3; i++) {
		static const struct {
			bool head;      /* upstream says nothing yet */
			size_t gate_at; /* or stops there */
			size_t size;    /* of which nothing or something is shown */
		} rows[] = {{true, 0, 1000}, {false, 500, 1000}, {false, 500 * KIB, MIB}};
		int fd;

		open_with(&s, &f, rows[i].size);
		ORIGIN_PUT(s.origin, "/r/dir/a.xml",
			{.body = f.body,
				.size = f.size,
				.gate = 1,
				.gate_at = rows[i].gate_at,
				.gate_head = rows[i].head});
		fd = ask_begin(&s, "GET", CONTENT "r/dir/a.xml");
		WAIT_FOR(origin_all_hits(s.origin) == 1);
		WAIT_FOR(metric_get(M_flight_readers) == 1);
		go_away(&s, fd);
		assert_int_equal(metric_get(M_flights_open), 1); /* finished in the background */
		origin_open(s.origin, 1);
		WAIT_FOR(stock_is_saved(&s.stock, f.ca));
		expect_body(&s, CONTENT "r/dir/a.xml", f.body, f.size);
		assert_int_equal(origin_all_hits(s.origin), 1);
		done_with(&s, &f);
	}
}

static void test_gone_while_prospects_are_looked_for(void **state)
{
	struct blocker *blocker;
	struct service s;
	struct file f;
	int fd;

	service_open(&s, 1, 1000);
	file_new(&f, &s, "r", "a", 1000, 1);
	service_start(&s, 1);
	stock_exec(&s.stock, "UPDATE remote SET policy = 'streamed' WHERE id = $1", f.remote);
	expect_body(&s, CONTENT "r/a", f.body, f.size); /* the entry is cached */
	WAIT_FOR(metric_get(M_flights_open) == 0);
	blocker = stock_block(&s.stock);
	fd = ask_begin(&s, "HEAD", CONTENT "r/a");
	WAIT_FOR(metric_get(M_flight_readers) == 1);
	go_away(&s, fd);
	stock_unblock(&blocker);
	done_with(&s, &f);
}

/* The server ends while a request waits for each thing that it can wait for. */
static void test_the_end_while_requests_wait(void **state)
{
	static const struct {
		const char *before; /* asked for, so that the request does not wait for that */
		int status;
		const char *path;
	} rows[] = {
		{NULL, 0, CONTENT "r/a"},            /* for a snapshot */
		{CONTENT "r/", 200, CONTENT "r/a"},  /* for the catalog */
		{CONTENT "r/", 200, CONTENT "r/"},   /* for a page */
		{CONTENT "r/a", 502, CONTENT "r/a"}, /* for a flight */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct blocker *blocker;
		struct response r;
		struct service s;
		struct file f;
		int fd;

		service_open(&s, 1, 1000);
		file_new(&f, &s, "r", "a", 1000, 1);
		ORIGIN_PUT(s.origin, "/r/a", {.status = 403});
		service_start(&s, 1);
		if (rows[i].before != NULL)
			expect(&s, rows[i].before, rows[i].status);
		blocker = stock_block(&s.stock);
		fd = ask_begin(&s, "GET", rows[i].path);
		WAIT_FOR(pool_queued(s.stock.pool) == 1);
		service_cut(&s);
		stock_unblock(&blocker);
		ask_end(fd, &r);
		assert_int_equal(r.status, 0);
		response_fini(&r);
		done_with(&s, &f);
	}
}

/* ---- trouble of our own ---- */

static void nothing(struct pool_job *j)
{
}

static struct blocker *fill_pool(struct service *s, struct pool_job jobs[16])
{
	struct blocker *b = stock_block(&s->stock);

	for (int i = 0; i < 16; i++) {
		jobs[i] = (struct pool_job){.fn = nothing};
		assert_int_equal(pool_submit(s->stock.pool, &jobs[i]), 0);
	}
	return b;
}

/* No room in the pool: 503 wherever the pool is needed, and all is well afterwards; what is in the cache is served. */
static void test_full_pool_is_an_overload(void **state)
{
	struct pool_job jobs[16];
	struct blocker *blocker;
	struct response r;
	struct service s;
	struct file f;

	service_open(&s, 1, 16);
	file_new(&f, &s, "r", "a", 1000, 1);
	service_start(&s, 1);
	blocker = fill_pool(&s, jobs); /* not even a snapshot */
	get(&s, CONTENT "r/a", &r);
	assert_int_equal(r.status, 503);
	assert_string_equal(field(&r, "X-Sluice-Reason"), "overload");
	assert_string_equal(field(&r, "Retry-After"), "1");
	response_fini(&r);
	stock_unblock(&blocker);
	expect(&s, CONTENT "r/", 200);
	blocker = fill_pool(&s, jobs);
	expect(&s, CONTENT "r/a", 503); /* the look-up */
	expect(&s, CONTENT "r/", 503);  /* the page, its entry is cached */
	stock_unblock(&blocker);
	stock_exec(&s.stock, "UPDATE remote SET policy = 'streamed' WHERE id = $1", f.remote);
	expect_body(&s, CONTENT "r/a", f.body, f.size);
	WAIT_FOR(metric_get(M_flights_open) == 0);
	blocker = fill_pool(&s, jobs);
	expect(&s, CONTENT "r/a", 503); /* the flight */
	stock_unblock(&blocker);
	stock_exec(&s.stock, "UPDATE remote SET policy = 'on_demand' WHERE id = $1", f.remote);
	expect_body(&s, CONTENT "r/a", f.body, f.size);
	expect_body(&s, CONTENT "r/a", f.body, f.size);
	blocker = fill_pool(&s, jobs);
	expect_body(&s, CONTENT "r/a", f.body, f.size); /* a hit needs nobody */
	stock_unblock(&blocker);
	done_with(&s, &f);
}

/* The table of distributions cannot be read any more: the last state of it serves on. */
static void test_database_in_trouble(void **state)
{
	struct response r;
	struct service s;
	struct file f;

	open_with(&s, &f, 1000);
	expect_body(&s, CONTENT "r/dir/a.xml", f.body, f.size);
	expect_body(&s, CONTENT "r/dir/a.xml", f.body, f.size);
	stock_exec(&s.stock, "ALTER TABLE distribution RENAME TO elsewhere", 0);
	expect_body(&s, CONTENT "r/dir/a.xml", f.body, f.size);
	stock_exec(&s.stock, "ALTER TABLE repository_path RENAME TO elsewhere_too", 0);
	get(&s, CONTENT "r/dir/", &r); /* this one must be read */
	assert_int_equal(r.status, 503);
	assert_string_equal(field(&r, "X-Sluice-Reason"), "database-error");
	response_fini(&r);
	stock_exec(&s.stock, "ALTER TABLE elsewhere_too RENAME TO repository_path", 0);
	stock_exec(&s.stock, "ALTER TABLE elsewhere RENAME TO distribution", 0);
	WAIT_FOR((get(&s, CONTENT "r/dir/", &r), response_fini(&r), r.status == 200));
	done_with(&s, &f);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_miss_becomes_a_hit),
		T(test_what_the_cache_gave_up_is_opened_again),
		T(test_a_stale_entry_goes_with_its_flight),
		T(test_many_clients_on_two_loops_one_get),
		T(test_upstreams_headers_pass_once),
		T(test_unknown_size_is_chunked_at_first),
		T(test_failures_say_what_happened),
		T(test_head_does_not_wait_for_upstream),
		T(test_what_another_repository_saved_is_written_down),
		T(test_who_joined_anothers_flight_in_vain_is_served_by_his_own_sources),
		T(test_own_failure_is_the_answer),
		T(test_listing_fragments),
		T(test_directories_and_slashes),
		T(test_unknown_paths_are_answered_from_memory),
		T(test_gone_while_a_snapshot_is_loaded),
		T(test_gone_while_a_path_is_resolved_or_a_directory_read),
		T(test_gone_while_a_flight_is_on_its_way),
		T(test_gone_while_prospects_are_looked_for),
		T(test_the_end_while_requests_wait),
		T(test_full_pool_is_an_overload),
		T(test_database_in_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
