#include "base/notify.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

/* `abstract`: a name that no file has. */
static int manager(bool abstract)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t n;

	snprintf(path, sizeof(path), abstract ? "@sluice-test-%d" : "/tmp/sluice-test-%d", (int)getpid());
	n = strlen(path);
	memcpy(sa.sun_path, path, n);
	if (abstract)
		sa.sun_path[0] = '\0';
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	return fd;
}

static void the_manager_is_told(void **state)
{
	for (int abstract = 0; abstract < 2; abstract++) {
		int fd = manager(abstract != 0);
		char got[64] = "";

		assert_true(notify_send("READY=1"));
		assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), 7);
		assert_string_equal(got, "READY=1");
		close(fd);
		if (abstract == 0)
			unlink(path);
	}
}

static void nobody_is_told(void **state)
{
	static const char *const names[] = {"", "/", "@", "relative", "/no/such/socket"};
	char longer[200];

	unsetenv("NOTIFY_SOCKET");
	assert_false(notify_send("READY=1"));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		assert_false(notify_send("READY=1"));
	}
	memset(longer, 'a', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longer, 1);
	assert_false(notify_send("READY=1"));
}

static void watchdog(void **state)
{
	char pid[32];

	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	assert_int_equal(notify_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(notify_watchdog_ms(), 30000);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(notify_watchdog_ms(), 0);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(notify_watchdog_ms(), 30000);
	setenv("WATCHDOG_USEC", "soon", 1);
	assert_int_equal(notify_watchdog_ms(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manager_is_told),
		cmocka_unit_test(nobody_is_told),
		cmocka_unit_test(watchdog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
