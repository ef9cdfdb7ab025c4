/* The access log: what a line says, what it cannot be made to say, and a reader that does not read. */
#include "client.h"

#include "base/log_writer.h"

#include <fcntl.h>
#include <poll.h>

static int saved_stderr = -1, pipe_end = -1;

/* From here standard error is a pipe. */
static void catch_stderr(void)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	saved_stderr = dup(STDERR_FILENO);
	assert_true(saved_stderr >= 0);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(close(ends[1]), 0);
	pipe_end = ends[0];
}

static void release_stderr(void)
{
	if (saved_stderr < 0)
		return;
	log_writer_stop(0);
	(void)dup2(saved_stderr, STDERR_FILENO);
	(void)close(saved_stderr);
	(void)close(pipe_end);
	saved_stderr = pipe_end = -1;
}

static int set_up(void **state)
{
	rig_defaults();
	rig.access_log = true;
	rig_start();
	return 0;
}

static int tear_down(void **state)
{
	release_stderr();
	return rig_tear_down(state);
}

/* Reads lines until one holds `mark`; that line, in a static buffer. */
static const char *line_with(const char *mark)
{
	static char line[8192];
	struct pollfd p = {.fd = pipe_end, .events = POLLIN};
	size_t n = 0;

	while (poll(&p, 1, WAIT_S * 1000) == 1 && n < sizeof(line) - 1 && read(pipe_end, line + n, 1) == 1) {
		if (line[n++] != '\n')
			continue;
		line[n] = '\0';
		n = 0;
		if (strstr(line, mark) != NULL)
			return line;
	}
	fail_msg("no line with '%s'", mark);
	return "";
}

static void assert_holds(const char *line, const char *part)
{
	if (strstr(line, part) == NULL)
		fail_msg("no '%s' in: %s", part, line);
}

static void test_what_a_line_says(void **state)
{
	struct client c = client_new();
	struct answer a;
	const char *line;

	catch_stderr();
	client_sends(&c, "GET /mem?20 HTTP/1.1\r\nHost: t\r\nRange: bytes=0-4\r\n\r\n");
	a = client_read(&c, false);
	answer_fini(&a);
	line = line_with("/mem?20");
	assert_holds(line, " INFO access id=");
	assert_holds(line, " peer=127.0.0.1:");
	assert_holds(line, " method=\"GET\" target=\"/mem?20\" status=206 bytes=");
	assert_holds(line, " ms=");
	assert_null(strstr(line, "ended="));
	client_close(&c);
}

static void test_why_a_response_is_not_whole(void **state)
{
	struct client c = client_new();

	catch_stderr();
	script_begin(1000, 0, false);
	client_get(&c, "/script?gone");
	script_wait(sleeps, 1);
	client_reset(&c);
	assert_holds(line_with("?gone"), " ended=\"");
	script_wait_closed();

	c = client_new();
	client_get(&c, "/script?failed");
	script_wait(sleeps, 2);
	script_fail(-ERR_DIGEST);
	assert_holds(line_with("?failed"), " ended=\"the source failed: ended short\"");
	client_close(&c);
}

static void test_what_is_refused(void **state)
{
	struct client c = client_new();
	const char *line;

	catch_stderr();
	client_sends(&c, "GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
	line = line_with("refused");
	assert_holds(line, "400: more than one Host field: GET /a HTTP/1.1");
	assert_holds(line_with("status=400"), "note=refused");
	client_close(&c);
}

static void test_foreign_bytes_stay_in_their_quotes(void **state)
{
	static const char request[] = "GET /none?\"\\\xff' HTTP/1.1\r\nHost: t\r\n\r\n";
	struct client c = client_new();
	struct buf large = BUF_INIT(64 * KiB);
	const char *line;

	catch_stderr();
	client_send(&c, request, sizeof(request) - 1);
	assert_holds(line_with("/none"), " target=\"/none?\\x22\\x5c\\xff'\" status=404 ");
	/* Cut off, but still a line, and short enough for a pipe to keep it in one piece. */
	for (int i = 0; i < 4000; i++)
		buf_adds(&large, "\xff");
	client_sendf(&c, "GET /long?%s HTTP/1.1\r\nHost: t\r\n\r\n", large.p);
	line = line_with("/long");
	assert_holds(line, "\\xff...\" status=404 ");
	assert_true(strlen(line) <= 4096);
	client_close(&c);
	buf_fini(&large);
}

static void test_a_log_that_nobody_reads_holds_nobody_up(void **state)
{
	int64_t before = metric_get(M_log_dropped);
	struct client c = client_new();
	struct err err = ERR_INIT;

	catch_stderr();
	assert_int_equal(log_writer_start(&err), 0);
	for (int i = 0; metric_get(M_log_dropped) == before && i < 100000; i++) {
		struct answer a;

		client_get(&c, "/mem?0");
		a = client_expect(&c, 200, "", 0);
		answer_fini(&a);
	}
	assert_true(metric_get(M_log_dropped) > before);
	line_with(" lines were dropped");
	client_close(&c);
}

#define LOGGED(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOGGED(test_what_a_line_says),
		LOGGED(test_why_a_response_is_not_whole),
		LOGGED(test_what_is_refused),
		LOGGED(test_foreign_bytes_stay_in_their_quotes),
		LOGGED(test_a_log_that_nobody_reads_holds_nobody_up),
	};

	return RIG_RUN();
}
