/* Progress: lines of reports, bars on a terminal, plain lines in a pipe. */
#include "cmd/progress.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_lines(void **state)
{
	static const struct {
		const char *report;
		bool bar;
		double per_s;
		const char *line;
	} rows[] = {
		{"{\"message\": \"Downloading\", \"state\": \"running\", \"total\": 200, \"done\": 50}", false, 7.4,
			"Downloading                       50/200  25%  7/s"},
		{"{\"message\": \"Downloading\", \"state\": \"running\", \"total\": 200, \"done\": 50}", true, -1,
			"Downloading                       [######------------------]  50/200  25%"},
		{"{\"message\": \"Parsing\", \"state\": \"running\", \"total\": null, \"done\": 12}", true, 0.2,
			"Parsing                           12"},
		{"{\"message\": \"Parsing\", \"state\": \"completed\", \"total\": 0, \"done\": 0}", true, 9,
			"Parsing                           [########################]  0/0  100%  completed"},
		{"{\"message\": \"\\u001b[31mred\", \"state\": \"failed\", \"total\": 1, \"done\": 5}", false, -1,
			" [31mred                          5/1  100%  failed"},
		{"{}", false, -1, "                                  0"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *report = json_loads(rows[i].report, 0, NULL);
		struct buf b = BUF_INIT(0);

		assert_int_equal(progress_line(report, 200, rows[i].bar, rows[i].per_s, &b), 0);
		assert_string_equal(b.p, rows[i].line);
		buf_fini(&b);
		json_decref(report);
	}
}

static void test_bars_do_not_wrap(void **state)
{
	json_t *report = json_pack("{s:s, s:s, s:i, s:i}", "message", "Downloading artifacts", "state", "running",
		"total", 1000000, "done", 999999);
	struct buf b = BUF_INIT(0);

	assert_int_equal(progress_line(report, 40, true, -1, &b), 0);
	assert_int_equal(b.n, 40);
	buf_fini(&b);
	json_decref(report);
}

/* Everything shown to fd, as one text. */
static void show(struct progress *p, const char *state, int done)
{
	json_t *task = json_pack("{s:[{s:s, s:s, s:i, s:i}]}", "progress_reports", "message", "Work", "state", state,
		"total", 9, "done", done);

	progress_show(p, task);
	json_decref(task);
}

static void read_all(int fd, char *out, size_t cap)
{
	ssize_t n = read(fd, out, cap - 1);

	out[n > 0 ? n : 0] = '\0';
}

/*
 * Until end has come or nothing more does: a terminal's other side gets what was written in pieces, when the kernel
 * comes to it.
 */
static void read_until(int fd, const char *end, char *out, size_t cap)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t got = 0;

	out[0] = '\0';
	while (strstr(out, end) == NULL && got < cap - 1 && poll(&p, 1, 10000) == 1) {
		ssize_t n = read(fd, out + got, cap - 1 - got);

		if (n <= 0)
			break;
		got += (size_t)n;
		out[got] = '\0';
	}
}

static void test_plain_lines_in_a_pipe(void **state)
{
	char text[1024];
	struct progress p;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	progress_init(&p, fds[1]);
	for (int i = 0; i < 9; i++)
		show(&p, "running", i);
	show(&p, "completed", 9);
	show(&p, "completed", 9);
	progress_end(&p);
	read_all(fds[0], text, sizeof(text));
	assert_string_equal(text, "Work                              0/9  0%\n"
				  "Work                              9/9  100%  completed\n");
	close(fds[0]);
	close(fds[1]);
}

static void test_bars_on_a_terminal(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	struct progress p;
	char text[1024];

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	setenv("TERM", "xterm", 1);
	progress_init(&p, slave);
	assert_true(p.bars);
	show(&p, "running", 3);
	show(&p, "running", 6);
	read_until(master, "6/9  66%", text, sizeof(text));
	/* The second one goes up a line and draws over the first. */
	assert_non_null(strstr(text, "[########----------------]  3/9  33%"));
	assert_non_null(strstr(text, "\033[1A\r\033[KWork"));
	assert_non_null(strstr(text, "6/9  66%"));
	setenv("TERM", "dumb", 1);
	progress_init(&p, slave);
	assert_false(p.bars);
	close(slave);
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_bars_do_not_wrap),
		cmocka_unit_test(test_plain_lines_in_a_pipe),
		cmocka_unit_test(test_bars_on_a_terminal),
	};

	return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
