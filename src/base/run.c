/* A child, its standard output as a pipe, and a descriptor that says when it has ended. The end is the child's and not that of the pipe,
 * which a process that it left in the background may hold open for good. */
#include "base/run.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/fsutil.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define PIECE 4096

static int set_up(const struct run_opts *o, int out_fd, posix_spawn_file_actions_t *actions, posix_spawnattr_t *attr)
{
	sigset_t none, all;
	int rc = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(actions, out_fd, STDOUT_FILENO);
	if (rc == 0 && !o->show_errors)
		rc = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_addchdir_np(actions, o->dir);
	/* What we ignore or block it would not expect. */
	sigemptyset(&none);
	sigfillset(&all);
	if (rc == 0)
		rc = posix_spawnattr_setsigmask(attr, &none);
	if (rc == 0)
		rc = posix_spawnattr_setsigdefault(attr, &all);
	return rc != 0 ? rc : posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static int start(const struct run_opts *o, int out_fd, pid_t *pid, struct err *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int rc = posix_spawn_file_actions_init(&actions);

	if (rc != 0)
		return err_sys(err, rc, "starting '%.300s'", o->argv[0]);
	rc = posix_spawnattr_init(&attr);
	if (rc == 0) {
		rc = set_up(o, out_fd, &actions, &attr);
		if (rc == 0)
			rc = posix_spawn(pid, o->argv[0], &actions, &attr, (char *const *)(uintptr_t)o->argv,
				(char *const *)(uintptr_t)o->env);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&actions);
	return rc == 0 ? 0 : err_sys(err, rc, "starting '%.300s'", o->argv[0]);
}

/* What the pipe holds just now. */
static int drain(const struct run_opts *o, int fd, struct buf *out, bool *ended, struct err *err)
{
	char piece[PIECE];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0)
		if (buf_add(out, piece, (size_t)n) != 0)
			return err_set(err, out->failed, "'%.300s' wrote more than %zu bytes", o->argv[0], out->max);
	*ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
	return 0;
}

/* Until the child has ended. */
static int attend(const struct run_opts *o, int pidfd, int fd, struct buf *out, struct err *err)
{
	int64_t until = clock_mono_ns() + o->limit_ms * NS_PER_MS;
	struct pollfd wait[] = {{.fd = pidfd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
	bool ended;

	for (;;) {
		int64_t left = (until - clock_mono_ns() + NS_PER_MS - 1) / NS_PER_MS;
		int rc = poll(wait, ARRAY_LEN(wait), (int)MIN(MAX(left, 0), INT32_MAX));

		if (rc < 0 && errno != EINTR)
			return err_sys(err, errno, "waiting for '%.300s'", o->argv[0]);
		if (rc == 0)
			return err_set(err, -ERR_TIMEOUT, "'%.300s' took longer than %lld ms", o->argv[0],
				(long long)o->limit_ms);
		if (rc < 0)
			continue;
		ended = false;
		if (wait[1].fd >= 0 && (rc = drain(o, fd, out, &ended, err)) != 0)
			return rc;
		if (ended)
			wait[1].fd = -1;
		if (wait[0].revents != 0)
			return 0;
	}
}

static int reap(const struct run_opts *o, pid_t pid, struct err *err)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "waiting for '%.300s'", o->argv[0]);
	if (WIFSIGNALED(status))
		return err_set(err, -ERR_UPSTREAM, "'%.300s' was killed by signal %d", o->argv[0], WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return err_set(err, -ERR_UPSTREAM, "'%.300s' ended with status %d", o->argv[0], WEXITSTATUS(status));
	return 0;
}

int run_program(const struct run_opts *o, struct buf *out, struct err *err)
{
	int fds[2], pidfd = -1, rc, died;
	struct err ignored;
	bool ended;
	pid_t pid = -1;

	buf_reset(out);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "a pipe for '%.300s'", o->argv[0]);
	rc = fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ? err_sys(err, errno, "a pipe for '%.300s'", o->argv[0])
						    : start(o, fds[1], &pid, err);
	fs_close(&fds[1]);
	if (rc == 0) {
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0u);
		rc = pidfd < 0 ? err_sys(err, errno, "waiting for '%.300s'", o->argv[0])
			       : attend(o, pidfd, fds[0], out, err);
		if (rc != 0)
			(void)kill(pid, SIGKILL); /* not reaped: still ours */
		died = reap(o, pid, rc == 0 ? err : &ignored);
		if (rc == 0)
			rc = died;
		/* What it wrote last. */
		if (rc == 0)
			rc = drain(o, fds[0], out, &ended, err);
	}
	fs_close(&pidfd);
	fs_close(&fds[0]);
	return rc;
}
