/* How a flight survives its sources: which failure leads where, what the answer is when all fail, and resuming. */
#include "readers.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOLDBACK (64 * KIB)
#define BREAK (37 * MIB / 100) /* 37 % of a MiB */

static void open_with(struct lab *l, struct unit *u, size_t size)
{
	lab_open(l, 2, 100);
	l->stock.settings.content_holdback = HOLDBACK;
	unit_new(u, l, "a", size, 1, POLICY_ON_DEMAND);
	lab_start(l);
}

static void close_with(struct lab *l, struct unit *u)
{
	lab_close(l);
	unit_free(u);
}

/* A port where nobody listens, as long as the socket is open. */
static int refusing_url(char *url, size_t cap)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&sa, n) == 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
	snprintf(url, cap, "http://127.0.0.1:%d/a", ntohs(sa.sin_port));
	return fd;
}

static void set_url(struct lab *l, int64_t source, const char *url)
{
	char sql[512];

	snprintf(sql, sizeof(sql), "UPDATE remote_artifact SET url = '%s' WHERE id = $1", url);
	stock_exec(&l->stock, sql, source);
}

static bool marked(struct lab *l, const char *column, int64_t source)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "SELECT %s FROM remote_artifact WHERE id = $1", column);
	return stock_int(&l->stock, sql, source) > 0;
}

/* ---- one source fails, the next one is right ---- */

/* What a source does to a body of 40 KiB, of which nothing is shown before it is verified. */
static const struct trouble {
	const char *name;
	struct origin_answer answer; /* .body stays NULL for the right one */
	const char *url;             /* instead of the origin's; "refused": where nobody listens */
	bool flip;                   /* one byte of the body is wrong */
	int longer;                  /* so many bytes more */
	bool failed, missing;        /* which mark it gets */
	int code;                    /* when there is no other source */
} troubles[] = {
	{.name = "404", .answer.status = 404, .missing = true, .code = -ERR_GONE},
	{.name = "410", .answer.status = 410, .missing = true, .code = -ERR_GONE},
	{.name = "403", .answer.status = 403, .code = -ERR_UPSTREAM},
	{.name = "500", .answer.status = 500, .code = -ERR_UPSTREAM},
	{.name = "204", .answer.status = 204, .code = -ERR_UPSTREAM},
	{.name = "206 to no range", .answer.status = 206, .code = -ERR_UPSTREAM},
	{.name = "wrong digest", .flip = true, .failed = true, .code = -ERR_DIGEST},
	{.name = "longer", .longer = 1, .failed = true, .code = -ERR_SIZE},
	{.name = "shorter", .longer = -1, .failed = true, .code = -ERR_SIZE},
	{.name = "longer in chunks", .longer = 1, .answer.framing = ORIGIN_CHUNKED, .failed = true, .code = -ERR_SIZE},
	{.name = "announces more",
		.answer.announce = 50 * KIB,
		.answer.end = ORIGIN_CLOSE,
		.failed = true,
		.code = -ERR_SIZE},
	{.name = "breaks off always", .answer.cut = 1000, .answer.end = ORIGIN_CLOSE, .code = -ERR_TRUNCATED},
	{.name = "resets always", .answer.cut = 1000, .answer.end = ORIGIN_RESET, .code = -ERR_TRUNCATED},
	{.name = "chunks break off always",
		.answer = {.cut = 1000, .framing = ORIGIN_CHUNKED, .end = ORIGIN_CLOSE},
		.code = -ERR_TRUNCATED},
	{.name = "refused", .url = "refused", .code = -ERR_CONNECT},
	{.name = "no URL", .url = "http:/", .code = -ERR_INVAL},
	{.name = "not our kind of URL", .url = "gopher://localhost/a", .code = -ERR_INVAL},
	{.name = "file that may not be read", .url = "file:///etc/passwd", .code = -ERR_DENIED},
};

static void make_trouble(
	struct lab *l, const struct unit *u, const struct trouble *t, int64_t source, char *wrong, const char *refused)
{
	struct origin_answer a = t->answer;

	memcpy(wrong, u->body, (size_t)u->size);
	wrong[u->size] = 'x';
	if (t->flip)
		wrong[u->size / 2] ^= 1;
	a.body = wrong;
	a.size = (size_t)(u->size + t->longer);
	origin_put(l->origin, "/a", &a, 1);
	if (t->url != NULL)
		set_url(l, source, strcmp(t->url, "refused") == 0 ? refused : t->url);
}

static void one_trouble(const struct trouble *t, bool other, const char *refused)
{
	struct reader r;
	struct lab l;
	struct unit u;
	int64_t source;
	char *wrong = malloc(41 * KIB);

	assert_non_null(wrong);
	open_with(&l, &u, 40 * KIB);
	source = stock_source(&l.stock, u.ca, u.remote);
	make_trouble(&l, &u, t, source, wrong, refused);
	if (other) {
		ORIGIN_PUT(l.origin, "/b", {.ranges = true, .body = u.body, .size = 40 * KIB, .headers = "X-B: 1\r\n"});
		unit_add_source(&u, &l, "b", origin_url(l.origin, "/b"));
	}
	(void)read_all(&l, &r, &u.want);
	if (other) {
		assert_right(&r, u.body, u.size);
		assert_true(r.headers == 0 || strcmp(r.first_header, "X-B: 1") == 0);
		assert_int_equal(origin_hits(l.origin, "/b"), 1);
		assert_true(stock_is_saved(&l.stock, u.ca));
	} else {
		assert_int_equal(r.rc, t->code);
		assert_int_equal(r.n, 0);
		assert_false(stock_has(&l.stock, &u.digests));
		assert_int_equal(stock_int(&l.stock, "SELECT count(*) FROM artifact", 0), 0);
		assert_non_null(strstr(r.err.msg, "remote 'a'"));
	}
	assert_int_equal(r.seen, other ? u.size : 0);
	assert_int_equal(marked(&l, "failed_at", source), t->failed);
	assert_int_equal(marked(&l, "missing_at", source), t->missing);
	reader_fini(&r);
	close_with(&l, &u);
	free(wrong);
}

static void test_each_trouble_with_and_without_another_source(void **state)
{
	char refused[64];
	int fd = refusing_url(refused, sizeof(refused));

	for (size_t i = 0; i < ARRAY_LEN(troubles); i++) {
		print_message("  %s\n", troubles[i].name);
		one_trouble(&troubles[i], true, refused);
		one_trouble(&troubles[i], false, refused);
	}
	close(fd);
}

/* ---- the answer when all fail ---- */

static const struct trouble *trouble(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(troubles); i++)
		if (strcmp(troubles[i].name, name) == 0)
			return &troubles[i];
	fail_msg("no trouble '%s'", name);
	return NULL;
}

static void test_all_fail_the_one_that_may_pass_soonest_is_the_answer(void **state)
{
	static const struct {
		const char *first, *second; /* NULL: cools down after wrong bytes */
		int code;
	} rows[] = {
		{"404", "500", -ERR_UPSTREAM},
		{"500", "404", -ERR_UPSTREAM},
		{"404", "wrong digest", -ERR_DIGEST},
		{"wrong digest", "404", -ERR_DIGEST},
		{"wrong digest", "refused", -ERR_CONNECT},
		{"refused", "wrong digest", -ERR_CONNECT},
		{"404", "410", -ERR_GONE},
		{"500", NULL, -ERR_UPSTREAM},
		{"wrong digest", NULL, -ERR_DIGEST},
		{"404", NULL, -ERR_COOLDOWN},
		{"no URL", "404", -ERR_INVAL},
		{"file that may not be read", NULL, -ERR_DENIED},
	};
	char refused[64], wrong[41 * KIB], wrong_b[41 * KIB];
	int fd = refusing_url(refused, sizeof(refused));

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct trouble *second = rows[i].second != NULL ? trouble(rows[i].second) : NULL;
		struct reader r;
		struct lab l;
		struct unit u;
		int64_t b;

		open_with(&l, &u, 40 * KIB);
		b = unit_add_source(&u, &l, "b", origin_url(l.origin, "/b"));
		if (second != NULL) {
			struct origin_answer a = second->answer;

			memcpy(wrong_b, u.body, 40 * KIB);
			wrong_b[5] ^= (char)second->flip;
			a.body = wrong_b;
			a.size = 40 * KIB;
			origin_put(l.origin, "/b", &a, 1);
			if (second->url != NULL)
				set_url(&l, b, refused);
		} else {
			stock_exec(&l.stock,
				"UPDATE remote_artifact SET failed_at = (SELECT max(created) FROM remote) WHERE id = "
				"$1",
				b);
		}
		make_trouble(&l, &u, trouble(rows[i].first), stock_source(&l.stock, u.ca, u.remote), wrong, refused);
		assert_int_equal(read_all(&l, &r, &u.want), rows[i].code);
		/* Time makes a difference only where waiting is all that helps. */
		assert_int_equal(r.retry_after_s >= 0, rows[i].code == -ERR_COOLDOWN);
		reader_fini(&r);
		close_with(&l, &u);
	}
	close(fd);
}

static void test_no_answer_is_a_timeout(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, 1000);
	stock_exec(&l.stock, "UPDATE remote SET sock_read_timeout = 0.2", 0);
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = 1000, .gate = 1, .gate_head = true});
	assert_int_equal(read_all(&l, &r, &u.want), -ERR_TIMEOUT);
	assert_int_equal(origin_hits(l.origin, "/a"), 2); /* max_retries = 1 */
	reader_fini(&r);
	close_with(&l, &u);
}

/* ---- cooling down ---- */

static void test_cools_down_after_wrong_bytes_or_a_404(void **state)
{
	static const char *const names[] = {"wrong digest", "404"};
	char wrong[41 * KIB];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct reader r;
		struct lab l;
		struct unit u;

		open_with(&l, &u, 40 * KIB);
		make_trouble(&l, &u, trouble(names[i]), 0, wrong, "");
		assert_int_equal(read_all(&l, &r, &u.want), trouble(names[i])->code);
		reader_fini(&r);
		assert_int_equal(read_all(&l, &r, &u.want), i == 0 ? -ERR_COOLDOWN : -ERR_GONE);
		assert_true(r.retry_after_s >= 1 && r.retry_after_s <= 301);
		reader_fini(&r);
		assert_int_equal(origin_hits(l.origin, "/a"), 1);
		/* Then it is tried again, and being right clears the marks. */
		l.stock.settings.content_failure_cooldown = 0;
		ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = 40 * KIB});
		assert_int_equal(read_all(&l, &r, &u.want), 0);
		reader_fini(&r);
		assert_false(marked(&l, "failed_at", stock_source(&l.stock, u.ca, u.remote)));
		assert_false(marked(&l, "missing_at", stock_source(&l.stock, u.ca, u.remote)));
		close_with(&l, &u);
	}
}

/* A source that may not be tried is no reason to be impatient with the other one. */
static void test_last_source_that_may_be_tried_is_retried(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;
	int64_t b;

	open_with(&l, &u, 1000);
	b = unit_add_source(&u, &l, "b", origin_url(l.origin, "/b"));
	stock_exec(
		&l.stock, "UPDATE remote_artifact SET failed_at = (SELECT max(created) FROM remote) WHERE id = $1", b);
	ORIGIN_PUT(l.origin, "/a", {.status = 503}, {.body = u.body, .size = 1000});
	assert_int_equal(read_all(&l, &r, &u.want), 0);
	assert_right(&r, u.body, u.size);
	assert_int_equal(origin_hits(l.origin, "/b"), 0);
	reader_fini(&r);
	close_with(&l, &u);
}

static void test_digests_that_are_not_allowed_vouch_for_nothing(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, 1000);
	u.want.digests = digests_of(u.body, 1000, 1u << DIGEST_MD5);
	u.want.digests.have = 1u << DIGEST_MD5;
	stock_exec(&l.stock, "UPDATE remote_artifact SET sha256 = NULL, md5 = zeroblob(16) WHERE 1 = 1 OR id = $1", 0);
	assert_int_equal(read_all(&l, &r, &u.want), -ERR_NOSOURCE);
	assert_int_equal(origin_hits(l.origin, "/a"), 0);
	reader_fini(&r);
	close_with(&l, &u);
}

/* ---- wrong bytes of which some were shown ---- */

static void wrong_large_body(int64_t holdback, int64_t withheld)
{
	struct reader r[2];
	struct lab l;
	struct unit u;
	char *wrong;

	open_with(&l, &u, MIB);
	l.stock.settings.content_holdback = holdback;
	wrong = bytes_new(MIB, 1);
	wrong[MIB - 5] ^= 1;
	ORIGIN_PUT(l.origin, "/a", {.body = wrong, .size = MIB, .gate = 1, .gate_at = 500 * KIB});
	/* Another source cannot help any more: what was shown cannot be taken back. */
	ORIGIN_PUT(l.origin, "/b", {.body = u.body, .size = MIB});
	unit_add_source(&u, &l, "b", origin_url(l.origin, "/b"));
	for (int i = 0; i < 2; i++) {
		reader_init(&r[i], &l, i, &u.want);
		reader_start(&r[i]);
		reader_wait_bytes(&r[i], 1);
	}
	origin_open(l.origin, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(reader_wait(&r[i]), -ERR_DIGEST);
		assert_true(r[i].seen <= MIB - withheld);
		reader_fini(&r[i]);
	}
	assert_false(stock_has(&l.stock, &u.digests));
	assert_int_equal(stock_int(&l.stock, "SELECT count(*) FROM artifact", 0), 0);
	assert_true(marked(&l, "failed_at", stock_source(&l.stock, u.ca, u.remote)));
	/* The next request takes the other source. */
	assert_int_equal(read_all(&l, &r[0], &u.want), 0);
	assert_right(&r[0], u.body, u.size);
	reader_fini(&r[0]);
	close_with(&l, &u);
	free(wrong);
}

static void test_wrong_large_body_is_never_complete(void **state)
{
	wrong_large_body(HOLDBACK, HOLDBACK);
	wrong_large_body(0, 1); /* whatever the setting */
}

/* Large, but nobody has looked yet: the next source replaces it, and who comes then sees only right bytes. */
static void test_wrong_large_body_that_nobody_saw_is_replaced(void **state)
{
	struct reader head, r;
	struct lab l;
	struct unit u;
	char *wrong;

	open_with(&l, &u, MIB);
	wrong = bytes_new(MIB, 1);
	wrong[5] ^= 1;
	ORIGIN_PUT(l.origin, "/a", {.body = wrong, .size = MIB, .gate = 1, .gate_head = true});
	ORIGIN_PUT(l.origin, "/b", {.body = u.body, .size = MIB, .gate = 2, .gate_at = 500 * KIB});
	unit_add_source(&u, &l, "b", origin_url(l.origin, "/b"));
	reader_init(&head, &l, 0, &u.want);
	head.head_only = true;
	reader_start(&head);
	assert_int_equal(reader_wait(&head), 0);
	origin_open(l.origin, 1);
	WAIT_FOR(origin_hits(l.origin, "/b") == 1);
	reader_init(&r, &l, 1, &u.want);
	reader_start(&r);
	reader_wait_joined(&r);
	origin_open(l.origin, 2);
	assert_int_equal(reader_wait(&r), 0);
	assert_right(&r, u.body, u.size);
	reader_fini(&head);
	reader_fini(&r);
	close_with(&l, &u);
	free(wrong);
}

/* ---- broken off ---- */

/* `shown`: a reader has seen bytes when it breaks. */
static void wait_shown(struct lab *l, struct reader *r, const struct unit *u, bool shown)
{
	if (!shown)
		l->stock.settings.content_holdback = 10 * MIB;
	reader_init(r, l, 0, &u->want);
	reader_start(r);
	if (shown)
		reader_wait_bytes(r, BREAK - 1);
	origin_open(l->origin, 1);
}

static void test_resumes_from_exactly_where_it_broke(void **state)
{
	static const enum origin_framing framings[] = {ORIGIN_LENGTH, ORIGIN_CHUNKED};
	static const enum origin_end ends[] = {ORIGIN_CLOSE, ORIGIN_RESET};

	for (size_t i = 0; i < 8; i++) {
		struct reader r;
		struct lab l;
		struct unit u;

		open_with(&l, &u, MIB);
		if (i >= 4)
			u.want.size = -1;
		ORIGIN_PUT(l.origin, "/a",
			{.ranges = true,
				.body = u.body,
				.size = MIB,
				.framing = framings[i % 2],
				.headers = "ETag: \"v1\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
				.gate = 1,
				.gate_at = BREAK,
				.cut = BREAK,
				.end = ends[i / 2 % 2]},
			{.ranges = true, .body = u.body, .size = MIB});
		reader_init(&r, &l, 0, &u.want);
		reader_start(&r);
		/* The reset may overtake bytes: it comes when they have arrived. */
		reader_wait_bytes(&r, BREAK - (i >= 4 && i % 2 == 1 ? HOLDBACK : 0));
		origin_open(l.origin, 1);
		assert_int_equal(reader_wait(&r), 0);
		assert_right(&r, u.body, u.size);
		assert_int_equal(origin_hits(l.origin, "/a"), 2);
		assert_int_equal(origin_range(l.origin, "/a", 2), BREAK);
		assert_string_equal(origin_if_range(l.origin, "/a", 2), "\"v1\"");
		assert_true(stock_is_saved(&l.stock, u.ca));
		reader_fini(&r);
		close_with(&l, &u);
	}
}

static void test_range_ignored_is_skipped_or_taken_anew(void **state)
{
	for (int shown = 0; shown < 2; shown++) {
		struct reader r;
		struct lab l;
		struct unit u;

		open_with(&l, &u, MIB);
		ORIGIN_PUT(l.origin, "/a",
			{.body = u.body, .size = MIB, .gate = 1, .gate_at = BREAK, .cut = BREAK, .end = ORIGIN_CLOSE},
			{.body = u.body, .size = MIB});
		wait_shown(&l, &r, &u, shown);
		assert_int_equal(reader_wait(&r), 0);
		assert_right(&r, u.body, u.size);
		assert_int_equal(origin_range(l.origin, "/a", 2), BREAK);
		assert_true(stock_is_saved(&l.stock, u.ca));
		reader_fini(&r);
		close_with(&l, &u);
	}
}

/* What broke off was an older body; the answer to the resume is the right one, from the start. Unless bytes of the older one were shown, that is as
 * good as any. */
static void test_changed_body_is_taken_from_the_start_or_refused(void **state)
{
	for (int shown = 0; shown < 2; shown++) {
		char *old = bytes_new(MIB, 99);
		struct reader r;
		struct lab l;
		struct unit u;

		open_with(&l, &u, MIB);
		ORIGIN_PUT(l.origin, "/a",
			{.body = old, .size = MIB, .gate = 1, .gate_at = BREAK, .cut = BREAK, .end = ORIGIN_CLOSE},
			{.body = u.body, .size = MIB});
		wait_shown(&l, &r, &u, shown);
		/* Once shown, what was received before is held against what comes now: clients never get a mixture. */
		assert_int_equal(reader_wait(&r), shown ? -ERR_UPSTREAM : 0);
		if (!shown)
			assert_right(&r, u.body, u.size);
		assert_int_equal(stock_has(&l.stock, &u.digests), !shown);
		reader_fini(&r);
		close_with(&l, &u);
		free(old);
	}
}

/* Without a digest nobody could tell whether the second half belongs to the first. */
static void test_without_a_digest_nothing_is_mixed(void **state)
{
	for (int shown = 0; shown < 2; shown++) {
		struct reader r;
		struct lab l;
		struct unit u;

		open_with(&l, &u, MIB);
		stock_exec(&l.stock, "UPDATE remote_artifact SET sha256 = NULL WHERE 1 = 1 OR id = $1", 0);
		u.want.digests.have = 0;
		ORIGIN_PUT(l.origin, "/a",
			{.body = u.body, .size = MIB, .gate = 1, .gate_at = BREAK, .cut = BREAK, .end = ORIGIN_CLOSE},
			{.body = u.body, .size = MIB});
		wait_shown(&l, &r, &u, shown);
		assert_int_equal(reader_wait(&r), shown ? -ERR_UPSTREAM : 0);
		if (!shown)
			assert_right(&r, u.body, u.size);
		assert_int_equal(stock_is_saved(&l.stock, u.ca), !shown);
		reader_fini(&r);
		close_with(&l, &u);
	}
}

static void test_another_source_goes_on_at_the_same_offset(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	ORIGIN_PUT(l.origin, "/a",
		{.ranges = true,
			.body = u.body,
			.size = MIB,
			.gate = 1,
			.gate_at = BREAK,
			.cut = BREAK,
			.end = ORIGIN_CLOSE},
		{.status = 503});
	ORIGIN_PUT(l.origin, "/b", {.ranges = true, .body = u.body, .size = MIB});
	unit_add_source(&u, &l, "b", origin_url(l.origin, "/b"));
	wait_shown(&l, &r, &u, true);
	assert_int_equal(reader_wait(&r), 0);
	assert_right(&r, u.body, u.size);
	assert_int_equal(origin_range(l.origin, "/b", 1), BREAK);
	assert_string_equal(origin_if_range(l.origin, "/b", 1), ""); /* validators are the other one's */
	reader_fini(&r);
	close_with(&l, &u);
}

/* A source whose head tells another size has spoilt nothing of what is there: the third one goes on. */
static void test_wrong_size_in_a_head_spoils_nothing(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	ORIGIN_PUT(l.origin, "/a",
		{.ranges = true,
			.body = u.body,
			.size = MIB,
			.gate = 1,
			.gate_at = BREAK,
			.cut = BREAK,
			.end = ORIGIN_CLOSE},
		{.status = 503});
	ORIGIN_PUT(l.origin, "/b", {.ranges = true, .body = u.body, .size = MIB - 7});
	ORIGIN_PUT(l.origin, "/c", {.ranges = true, .body = u.body, .size = MIB});
	unit_add_source(&u, &l, "b", origin_url(l.origin, "/b"));
	unit_add_source(&u, &l, "c", origin_url(l.origin, "/c"));
	wait_shown(&l, &r, &u, true);
	assert_int_equal(reader_wait(&r), 0);
	assert_right(&r, u.body, u.size);
	assert_int_equal(origin_range(l.origin, "/c", 1), BREAK);
	reader_fini(&r);
	close_with(&l, &u);
}

/* All expected bytes came, only the end of the framing did not: there is nothing left to ask for. */
static void test_broken_behind_the_last_byte_is_complete(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	ORIGIN_PUT(l.origin, "/a",
		{.ranges = true, .body = u.body, .size = MIB, .framing = ORIGIN_CHUNKED, .end = ORIGIN_CLOSE});
	assert_int_equal(read_all(&l, &r, &u.want), 0);
	assert_right(&r, u.body, u.size);
	assert_int_equal(origin_hits(l.origin, "/a"), 1);
	assert_false(marked(&l, "failed_at", stock_source(&l.stock, u.ca, u.remote)));
	reader_fini(&r);
	close_with(&l, &u);
}

/* The same with an unknown size: upstream says that there is nothing behind it (416), and the digest that it is right. */
static void test_broken_behind_the_last_byte_of_an_unknown_size(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	u.want.size = -1;
	ORIGIN_PUT(l.origin, "/a",
		{.ranges = true, .body = u.body, .size = MIB, .framing = ORIGIN_CHUNKED, .end = ORIGIN_CLOSE});
	assert_int_equal(read_all(&l, &r, &u.want), 0);
	assert_right(&r, u.body, u.size);
	assert_int_equal(origin_range(l.origin, "/a", 2), MIB);
	assert_false(marked(&l, "failed_at", stock_source(&l.stock, u.ca, u.remote)));
	reader_fini(&r);
	close_with(&l, &u);
}

/* What a source only announced is forgotten with it. */
static void test_size_of_a_source_that_failed_counts_no_more(void **state)
{
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, 40 * KIB);
	u.want.size = -1;
	ORIGIN_PUT(l.origin, "/a", {.body = u.body, .size = 10, .announce = 99, .cut = 1, .end = ORIGIN_CLOSE},
		{.status = 500});
	ORIGIN_PUT(l.origin, "/b", {.body = u.body, .size = 40 * KIB});
	stock_exec(&l.stock, "UPDATE remote_artifact SET sha256 = NULL WHERE 1 = 1 OR id = $1", 0);
	unit_add_source(&u, &l, "b", origin_url(l.origin, "/b"));
	u.want.digests.have = 0;
	assert_int_equal(read_all(&l, &r, &u.want), 0);
	assert_right(&r, u.body, u.size);
	reader_fini(&r);
	close_with(&l, &u);
}

static void test_moves_on_as_long_as_it_moves(void **state)
{
	struct origin_answer a[ORIGIN_ANSWERS];
	struct reader r;
	struct lab l;
	struct unit u;

	open_with(&l, &u, MIB);
	for (size_t i = 0; i < ORIGIN_ANSWERS; i++)
		a[i] = (struct origin_answer){.ranges = true,
			.body = u.body,
			.size = MIB,
			.cut = i + 1 < ORIGIN_ANSWERS ? (i + 1) * 100 * KIB : 0,
			.end = ORIGIN_CLOSE};
	origin_put(l.origin, "/a", a, ORIGIN_ANSWERS);
	assert_int_equal(read_all(&l, &r, &u.want), 0);
	assert_right(&r, u.body, u.size);
	assert_int_equal(origin_hits(l.origin, "/a"), ORIGIN_ANSWERS);
	reader_fini(&r);
	close_with(&l, &u);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_each_trouble_with_and_without_another_source),
		T(test_all_fail_the_one_that_may_pass_soonest_is_the_answer),
		T(test_no_answer_is_a_timeout),
		T(test_cools_down_after_wrong_bytes_or_a_404),
		T(test_last_source_that_may_be_tried_is_retried),
		T(test_digests_that_are_not_allowed_vouch_for_nothing),
		T(test_wrong_large_body_is_never_complete),
		T(test_wrong_large_body_that_nobody_saw_is_replaced),
		T(test_resumes_from_exactly_where_it_broke),
		T(test_range_ignored_is_skipped_or_taken_anew),
		T(test_changed_body_is_taken_from_the_start_or_refused),
		T(test_without_a_digest_nothing_is_mixed),
		T(test_another_source_goes_on_at_the_same_offset),
		T(test_wrong_size_in_a_head_spoils_nothing),
		T(test_broken_behind_the_last_byte_is_complete),
		T(test_broken_behind_the_last_byte_of_an_unknown_size),
		T(test_size_of_a_source_that_failed_counts_no_more),
		T(test_moves_on_as_long_as_it_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
