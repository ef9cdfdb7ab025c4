#include "base/err.h"

#include "base/check.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void set_fills_and_returns_the_code(void **state)
{
	struct err e = {.sys = 7};

	assert_int_equal(err_set(&e, -ERR_PARSE, "line %d", 3), -ERR_PARSE);
	assert_int_equal(e.code, -ERR_PARSE);
	assert_int_equal(e.sys, 0);
	assert_string_equal(e.msg, "line 3");
	assert_int_equal(err_set(NULL, -ERR_IO, "nobody looks"), -ERR_IO);
}

static void arguments_may_be_the_old_text(void **state)
{
	struct err e = ERR_INIT;

	err_set(&e, -ERR_IO, "inner");
	err_set(&e, -ERR_UPSTREAM, "outer (%s)", e.msg);
	assert_string_equal(e.msg, "outer (inner)");
}

static void a_missing_sign_never_means_success(void **state)
{
	struct err e = ERR_INIT;
	int fd = open("/dev/null", O_WRONLY);

	log_set_fd(fd);
	assert_int_equal(err_set(&e, ERR_BUSY, "x"), -ERR_BUSY);
	assert_int_equal(err_set(&e, 0, "x"), -ERR_INTERNAL);
	log_set_fd(-1);
	close(fd);
}

static void errno_chooses_the_code(void **state)
{
	static const struct {
		int sys, code;
	} rows[] = {
		{ENOSPC, -ERR_NOSPACE},
		{EDQUOT, -ERR_NOSPACE},
		{ENOENT, -ERR_NOTFOUND},
		{EEXIST, -ERR_EXISTS},
		{ENOMEM, -ERR_NOMEM},
		{EACCES, -ERR_DENIED},
		{EPERM, -ERR_DENIED},
		{ETIMEDOUT, -ERR_TIMEOUT},
		{EIO, -ERR_IO},
		{EBADF, -ERR_IO},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		char want[256];

		snprintf(want, sizeof(want), "open of 'x': %s", strerror(rows[i].sys));
		assert_int_equal(err_sys(&e, rows[i].sys, "open of '%s'", "x"), rows[i].code);
		assert_int_equal(e.code, rows[i].code);
		assert_int_equal(e.sys, rows[i].sys);
		assert_string_equal(e.msg, want);
		assert_int_equal(err_sys(NULL, rows[i].sys, "open"), rows[i].code);
	}
}

static void wrap_puts_context_in_front(void **state)
{
	struct err e = ERR_INIT;

	err_sys(&e, ENOENT, "open");
	assert_int_equal(err_wrap(&e, "reading %s", "f"), -ERR_NOTFOUND);
	assert_int_equal(err_wrap(&e, "start"), -ERR_NOTFOUND);
	assert_string_equal(e.msg, "start: reading f: open: No such file or directory");
	assert_int_equal(e.sys, ENOENT);
}

static void wrap_of_nothing_is_a_failure_still(void **state)
{
	struct err e = ERR_INIT;

	assert_int_equal(err_wrap(NULL, "context"), -ERR_INTERNAL);
	assert_int_equal(err_wrap(&e, "context"), -ERR_INTERNAL);
	assert_string_equal(e.msg, "context: internal error");
}

static void long_texts_are_cut(void **state)
{
	char big[2000];
	struct err e = ERR_INIT;

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	err_set(&e, -ERR_IO, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	assert_int_equal(err_wrap(&e, "front"), -ERR_IO);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	assert_memory_equal(e.msg, "front: xxx", 10);
	for (int i = 0; i < 500; i++)
		err_wrap(&e, "again and again");
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	err_wrap(&e, "%s", big); /* not even the context fits */
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	err_sys(&e, ENOENT, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
}

/* One byte below, at and above what fits. */
static void texts_that_just_fit(void **state)
{
	for (size_t n = sizeof(((struct err *)0)->msg) - 12; n < sizeof(((struct err *)0)->msg) + 2; n++) {
		struct err *e = malloc(sizeof(*e)); /* exactly, for AddressSanitizer */
		char text[1000];

		assert_non_null(e);
		*e = ERR_INIT;
		memset(text, 'x', n);
		text[n] = '\0';
		err_set(e, -ERR_IO, "%s", text);
		assert_int_equal(strlen(e->msg), n < sizeof(e->msg) ? n : sizeof(e->msg) - 1);
		err_wrap(e, "context");
		assert_int_equal(strlen(e->msg), n + 9 < sizeof(e->msg) ? n + 9 : sizeof(e->msg) - 1);
		free(e);
	}
}

/* A message with half a character in it could not be put into a JSON answer. */
static void cutting_keeps_characters_whole(void **state)
{
	static const char *const chars[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x93\xa6"};

	for (size_t c = 0; c < ARRAY_LEN(chars); c++) {
		for (size_t shift = 0; shift < 4; shift++) {
			struct err e = ERR_INIT;
			char big[1200] = "";
			size_t n = shift, len = strlen(chars[c]);

			memset(big, 'x', shift);
			for (; n + len < sizeof(big); n += len)
				memcpy(big + n, chars[c], len);
			err_set(&e, -ERR_IO, "%s", big);
			assert_true(slice_is_utf8(slice_str(e.msg)));
			assert_in_range(strlen(e.msg), sizeof(e.msg) - 4, sizeof(e.msg) - 1);
			err_wrap(&e, "wrapped");
			assert_true(slice_is_utf8(slice_str(e.msg)));
		}
	}
}

static void every_code_has_a_name_and_a_text(void **state)
{
	for (int i = 1; i < ERR_COUNT_; i++) {
		assert_true(strlen(err_text(-i)) > 3);
		assert_string_equal(err_text(i), err_text(-i));
		assert_string_equal(err_name(i), err_name(-i));
		for (const char *c = err_name(i); *c != '\0'; c++)
			assert_in_range(*c, 'a', 'z');
	}
	assert_string_equal(err_name(-ERR_NOSOURCE), "nosource");
	assert_string_equal(err_text(-ERR_NOSOURCE), "no source offers it");
	assert_string_equal(err_text(ERR_COUNT_), "unknown error");
	assert_string_equal(err_name(-2147483647 - 1), "unknown");
	assert_string_equal(err_name(0), "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_fills_and_returns_the_code),
		cmocka_unit_test(arguments_may_be_the_old_text),
		cmocka_unit_test(a_missing_sign_never_means_success),
		cmocka_unit_test(errno_chooses_the_code),
		cmocka_unit_test(wrap_puts_context_in_front),
		cmocka_unit_test(wrap_of_nothing_is_a_failure_still),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(texts_that_just_fit),
		cmocka_unit_test(cutting_keeps_characters_whole),
		cmocka_unit_test(every_code_has_a_name_and_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
