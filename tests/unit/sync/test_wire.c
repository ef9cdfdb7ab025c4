#include "sync/wire.h"

#include "base/check.h"
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void texts_that_users_look_for(void **state)
{
	static const struct {
		int status, code;
		const char *text;
	} rows[] = {
		{404, -ERR_GONE, "404, message='Not Found', url='http://h/a'"},
		{410, -ERR_GONE, "410, message='Gone', url='http://h/a'"},
		{503, -ERR_UPSTREAM, "503, message='Service Unavailable', url='http://h/a'"},
		{407, -ERR_UPSTREAM, "[PLP0010] 407, message='Proxy Authentication Required', url='http://h/a'"},
		{599, -ERR_UPSTREAM, "599, message='Unexpected Status', url='http://h/a'"},
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(wire_status(&err, rows[i].status, "http://h/a"), rows[i].code);
		assert_string_equal(err.msg, rows[i].text);
	}
	/* No secrets of the URL. */
	(void)wire_status(&err, 404, "http://user:secret@h/a?token=secret");
	assert_null(strstr(err.msg, "secret"));
}

static void codes_in_front(void **state)
{
	static const struct {
		int code;
		const char *msg, *out;
	} rows[] = {
		{-ERR_TIMEOUT, "http://h/: took too long", "[PLP0005] http://h/: took too long"},
		{-ERR_CONNECT, "http://h/: refused", "http://h/: refused"},
		{-ERR_CONNECT, "https://h/: CONNECT tunnel failed, response 407",
			"[PLP0010] Proxy Authentication Required: https://h/: CONNECT tunnel failed, response 407"},
		{-ERR_CONNECT, "https://h/: Received HTTP code 407 from proxy after CONNECT",
			"[PLP0010] Proxy Authentication Required: https://h/: Received HTTP code 407 from proxy after "
			"CONNECT"},
		{-ERR_DIGEST, "[PLP0003] http://h/", "[PLP0003] http://h/"},
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		(void)err_set(&err, rows[i].code, "%s", rows[i].msg);
		assert_int_equal(wire_error(&err), rows[i].code);
		assert_string_equal(err.msg, rows[i].out);
	}
	/* A text that fills its room is cut, not overrun. */
	memset(err.msg, 'x', sizeof(err.msg) - 1);
	err.code = -ERR_TIMEOUT;
	(void)wire_error(&err);
	assert_int_equal(strncmp(err.msg, "[PLP0005] xxx", 13), 0);
	assert_true(strlen(err.msg) < sizeof(err.msg));
}

static void limits_of_a_remote(void **state)
{
	struct remote_row r = {.id = 7};

	assert_int_equal(wire_concurrency(&r), 10);
	assert_int_equal(wire_retries(&r), 3);
	r.download_concurrency = 3;
	r.max_retries = 1;
	assert_int_equal(wire_concurrency(&r), 3);
	assert_int_equal(wire_retries(&r), 1);
	r.download_concurrency = INT64_MAX;
	assert_int_equal(wire_concurrency(&r), WIRE_CONCURRENCY_MAX);
}

static void waiting(void **state)
{
	struct settings settings;
	struct wire w = {.loop = NULL};
	struct err err = ERR_INIT;
	int64_t before;

	assert_int_equal(settings_init(&settings, &err), 0);
	assert_int_equal(wire_init(&w, &settings, &err), 0);
	before = clock_mono_ns();
	assert_int_equal(wire_wait(&w, 20, &err), 0);
	assert_true(clock_mono_ns() - before >= 20 * NS_PER_MS);
	wire_fini(&w);
	wire_fini(&w);
	settings_fini(&settings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_that_users_look_for),
		cmocka_unit_test(codes_in_front),
		cmocka_unit_test(limits_of_a_remote),
		cmocka_unit_test(waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
