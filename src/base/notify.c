/* See notify.h. */
#include "base/notify.h"

#include "base/slice.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool notify_send(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t n = path != NULL ? strlen(path) : 0;
	ssize_t sent;
	int fd;

	/* A path, or with '@' in front a name of Linux's own that no file has. */
	if (n < 2 || n >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return false;
	memcpy(to.sun_path, path, n);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	(void)close(fd);
	return sent >= 0;
}

static bool number(const char *name, int64_t *out)
{
	const char *text = getenv(name);

	return text != NULL && slice_to_i64(slice_str(text), INT64_MAX, out) == 0;
}

int64_t notify_watchdog_ms(void)
{
	int64_t us, pid;

	if (!number("WATCHDOG_USEC", &us))
		return 0;
	/* It may be meant for another process, whose environment we inherited. */
	if (getenv("WATCHDOG_PID") != NULL && (!number("WATCHDOG_PID", &pid) || pid != getpid()))
		return 0;
	return us / 1000;
}
