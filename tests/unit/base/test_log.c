#include "base/log.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A datagram socket shows how many writes there were: each is a message of its own. */
static int fds[2];

static int open_sink(void **state)
{
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds) != 0)
		return -1;
	log_set_fd(fds[1]);
	log_set_level(LOG_INFO);
	return 0;
}

static int close_sink(void **state)
{
	log_set_fd(-1);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

/* The next line without its newline; false if there is none. */
static bool next_line(char out[8192])
{
	ssize_t n = recv(fds[0], out, 8191, 0);

	if (n < 0)
		return false;
	assert_true(n > 0 && n <= 4096);
	assert_int_equal(out[n - 1], '\n');
	out[n - 1] = '\0';
	assert_null(strchr(out, '\n'));
	return true;
}

/* What follows the time; the time is checked. */
static const char *after_time(const char *line)
{
	const char *space = strchr(line, ' ');
	int64_t us;

	assert_non_null(space);
	assert_int_equal(clock_iso_parse(slice_of(line, (size_t)(space - line)), &us), 0);
	assert_in_range((uintmax_t)(clock_wall_us() - us), 0, 60 * US_PER_S);
	return space + 1;
}

static void a_line_has_time_level_component_message(void **state)
{
	static const struct {
		enum log_level level;
		const char *want;
	} rows[] = {
		{LOG_DEBUG, "DEBUG http n=1"},
		{LOG_INFO, "INFO http n=1"},
		{LOG_WARN, "WARNING http n=1"},
		{LOG_ERROR, "ERROR http n=1"},
	};

	log_set_level(LOG_DEBUG);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char line[8192];

		errno = EXDEV;
		log_line(rows[i].level, "http", "n=%d", 1);
		assert_int_equal(errno, EXDEV);
		assert_true(next_line(line));
		assert_string_equal(after_time(line), rows[i].want);
		assert_false(next_line(line));
	}
}

static void a_log_that_cannot_be_written_changes_nothing(void **state)
{
	int fd = dup(fds[1]);

	close(fd);
	log_set_fd(fd);
	errno = EXDEV;
	log_info("x", "lost");
	assert_int_equal(errno, EXDEV);
}

static int evaluated(int *n)
{
	return ++*n;
}

static void levels_filter_and_count(void **state)
{
	int64_t warnings = metric_get(M_log_warnings), errors = metric_get(M_log_errors);
	char line[8192];
	int n = 0;

	log_set_level(LOG_ERROR);
	log_debug("x", "%d", evaluated(&n));
	assert_int_equal(n, 0); /* arguments of what is not shown cost nothing */
	log_info("x", "%s", "info");
	log_warn("x", "%s", "warn");
	assert_false(next_line(line));
	log_error("x", "%s", "error");
	assert_true(next_line(line));
	assert_true(log_enabled(LOG_ERROR));
	assert_false(log_enabled(LOG_WARN));
	assert_int_equal(metric_get(M_log_warnings), warnings + 1);
	assert_int_equal(metric_get(M_log_errors), errors + 1);
}

static void foreign_bytes_cannot_forge_a_line(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"a\nb", "a\\nb"},
		{"a\r\tb", "a\\r\\tb"},
		{"\x1b[31m", "\\x1b[31m"},
		{"\x7f", "\\x7f"},
		{"\xff\xfe", "\\xff\\xfe"},
		{"\xc2\x9b"
		 "0m",
			"\\xc2\\x9b0m"}, /* a terminal takes U+009B for ESC [ */
		{"\xc3", "\\xc3"},
		{"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x93\xa6", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x93\xa6"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char line[8192];

		log_info("x", "%s", rows[i].text);
		assert_true(next_line(line));
		assert_string_equal(after_time(line) + strlen("INFO x "), rows[i].want);
	}
}

static void long_lines_are_cut(void **state)
{
	static const char fills[] = {'a', '\n'};

	for (size_t i = 0; i < ARRAY_LEN(fills); i++) {
		char big[10000], line[8192];

		memset(big, fills[i], sizeof(big));
		big[sizeof(big) - 1] = '\0';
		log_info("x", "%s", big);
		assert_true(next_line(line));
		assert_in_range(strlen(line), 4000, 4095);
		assert_string_equal(line + strlen(line) - 3, "...");
		log_info(big, "%s", big); /* our own mistake, and no overflow for all that */
		assert_true(next_line(line));
	}
}

static void values_are_quoted_when_needed(void **state)
{
	static const struct {
		const char *value, *want;
	} rows[] = {
		{"plain/path-1.2.rpm", "plain/path-1.2.rpm"},
		{"", "\"\""},
		{"two words", "\"two words\""},
		{"a=b", "\"a=b\""},
		{"say \"x\"", "\"say \\\"x\\\"\""},
		{"back\\slash", "\"back\\\\slash\""},
		{"new\nline", "\"new\\nline\""},
		{"\xc3\xa4", "\xc3\xa4"},
		{"\xff", "\\xff"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[LOG_VALUE_MAX];

		assert_string_equal(log_value(slice_str(rows[i].value), out), rows[i].want);
	}
}

static void long_values_are_cut(void **state)
{
	static const char fills[] = {'a', ' ', '"', '\n'};

	for (size_t i = 0; i < ARRAY_LEN(fills); i++) {
		char big[3000], out[LOG_VALUE_MAX];

		memset(big, fills[i], sizeof(big));
		log_value(slice_of(big, sizeof(big)), out);
		assert_in_range(strlen(out), LOG_VALUE_MAX - 10, LOG_VALUE_MAX - 1);
		assert_non_null(strstr(out, "..."));
	}
}

static void names_of_levels(void **state)
{
	static const char *const names[] = {"debug", "info", "warning", "error"};
	enum log_level level;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(log_level_parse(slice_str(names[i]), &level), 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(log_level_parse(SLICE("verbose"), &level), -ERR_INVAL);
	assert_int_equal(log_level_parse(SLICE(""), &level), -ERR_INVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_line_has_time_level_component_message, open_sink, close_sink),
		cmocka_unit_test_setup_teardown(a_log_that_cannot_be_written_changes_nothing, open_sink, close_sink),
		cmocka_unit_test_setup_teardown(levels_filter_and_count, open_sink, close_sink),
		cmocka_unit_test_setup_teardown(foreign_bytes_cannot_forge_a_line, open_sink, close_sink),
		cmocka_unit_test_setup_teardown(long_lines_are_cut, open_sink, close_sink),
		cmocka_unit_test(values_are_quoted_when_needed),
		cmocka_unit_test(long_values_are_cut),
		cmocka_unit_test(names_of_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
