/* Programs that behave, and programs that do not. */
#include "base/run.h"

#include "base/check.h"

#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int run(const char *script, int64_t limit_ms, struct buf *out, struct err *err)
{
	const char *const argv[] = {"/bin/sh", "-c", script, NULL}, *const env[] = {
									    "PATH=/usr/bin:/bin", "A=b c", NULL};

	return run_program(&(struct run_opts){.argv = argv, .env = env, .dir = "/", .limit_ms = limit_ms}, out, err);
}

static void what_it_prints(void **state)
{
	struct buf out = BUF_INIT(1 << 20);
	struct err err;

	assert_int_equal(run("echo \"$A\"; pwd; echo lost >&2; read x; echo \"<$x>\"", 60000, &out, &err), 0);
	assert_string_equal(out.p, "b c\n/\n<>\n");
	/* More than a pipe holds. */
	assert_int_equal(run("head -c 200000 /dev/zero", 60000, &out, &err), 0);
	assert_int_equal(out.n, 200000);
	/* Signals that are ignored here are not there. */
	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(run("kill -PIPE $$", 60000, &out, &err), -ERR_UPSTREAM);
	assert_non_null(strstr(err.msg, "signal 13"));
	/* The end of the program is the end, whatever still has its output open. */
	assert_int_equal(run("sleep 20 & echo done", 50000, &out, &err), 0);
	assert_string_equal(out.p, "done\n");
	buf_fini(&out);
}

static void failures(void **state)
{
	static const char *const absent[] = {"/nonexistent/x", NULL}, *const empty[] = {NULL};
	struct buf out = BUF_INIT(1000);
	struct err err;

	assert_int_equal(run("echo x; exit 3", 60000, &out, &err), -ERR_UPSTREAM);
	assert_non_null(strstr(err.msg, "status 3"));
	assert_int_equal(run("exec sleep 600", 50, &out, &err), -ERR_TIMEOUT);
	assert_int_equal(run("exec cat /dev/zero", 60000, &out, &err), -ERR_LIMIT);
	buf_fini(&out);
	out = BUF_INIT(1000);
	assert_int_equal(run_program(&(struct run_opts){.argv = absent, .env = empty, .dir = "/", .limit_ms = 60000},
				 &out, &err),
		-ERR_NOTFOUND);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(what_it_prints), cmocka_unit_test(failures)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
