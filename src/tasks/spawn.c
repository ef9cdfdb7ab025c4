/* Task processes. fork and exec, because between the two stand limits that posix_spawn does not know; what runs there
 * is the copy of one thread of many, so it makes async-signal-safe calls only.
 *
 * PR_SET_PDEATHSIG is tied to the thread that forked, not to the process: the worker's thread outlives its children. */
#include "tasks/spawn.h"

#include "base/check.h"
#include "base/fsutil.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

/* Sanitizers reserve terabytes of addresses. */
#ifdef SANITIZED
#define LIMIT_ADDRESSES 0
#else
#define LIMIT_ADDRESSES 1
#endif

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define CLOSE_RANGE_MARK (1u << 2) /* CLOSE_RANGE_CLOEXEC, Linux 5.11 */

/* When memory runs out, a task is the one to go, not the service that has clients. */
static void child_offer_to_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		/* A system without it kills by size alone. */
		(void)!write(fd, "500", 3);
		close(fd);
	}
}

static int child_limit(int what, int64_t n)
{
	struct rlimit r;

	if (getrlimit(what, &r) < 0)
		return -1;
	if (r.rlim_max == RLIM_INFINITY || (rlim_t)n < r.rlim_max)
		r.rlim_max = (rlim_t)n;
	r.rlim_cur = r.rlim_max;
	return setrlimit(what, &r);
}

static void child_reset_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Standard output says where the server listens, to whoever started it: tasks write to standard error. */
static int child_stdio(void)
{
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return -1;
	/* Everything is opened close-on-exec; this is for what a library forgot. */
	(void)syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_MARK);
	return 0;
}

static _Noreturn void child_become(const struct spawn_opts *opts, pid_t parent, int start_fd)
{
	int sys;

	/* A terminal's Ctrl-C goes to the server, which then gives its tasks time; hence a group of its own. */
	if (setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		goto fail;
	/* The parent died before prctl: no signal will come. */
	if (getppid() != parent)
		_exit(1);
	child_reset_signals();
	child_offer_to_oom();
	if (child_limit(RLIMIT_CORE, 0) < 0)
		goto fail;
	if (LIMIT_ADDRESSES && opts->address_bytes > 0 && child_limit(RLIMIT_AS, opts->address_bytes) < 0)
		goto fail;
	if (child_stdio() < 0)
		goto fail;
	execv(opts->argv[0], opts->argv);
fail:
	sys = errno;
	(void)!write(start_fd, &sys, sizeof(sys));
	_exit(127);
}

int spawn_child(const struct spawn_opts *opts, struct child *out, struct err *err)
{
	pid_t parent = getpid(), pid;
	int pipe_fd[2];

	if (pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(err, errno, "making a pipe for a task process");
	pid = fork();
	if (pid == 0)
		child_become(opts, parent, pipe_fd[1]);
	if (pid < 0) {
		int rc = err_sys(err, errno, "making a task process");

		fs_close(&pipe_fd[0]);
		fs_close(&pipe_fd[1]);
		return rc;
	}
	/* Here and in the child: whoever comes first. Fails once the child runs its program, when it is done. */
	(void)setpgid(pid, pid);
	fs_close(&pipe_fd[1]);
	*out = (struct child){.pid = pid, .pidfd = (int)syscall(SYS_pidfd_open, pid, 0u), .start_fd = pipe_fd[0]};
	return 0;
}

void spawn_signal(const struct child *c, int sig)
{
	if (c->pid > 0 && kill(-c->pid, sig) < 0)
		(void)kill(c->pid, sig);
}

int spawn_reap(struct child *c, enum spawn_end *how, int *detail)
{
	siginfo_t info = {.si_pid = 0};
	int status, sys, rc;

	/* The zombie keeps the group's number from being given away until the group is dead too. */
	rc = waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT);
	if (rc == 0 && info.si_pid == 0)
		return 0;
	(void)kill(-c->pid, SIGKILL);
	while ((rc = waitpid(c->pid, &status, 0)) < 0 && errno == EINTR)
		;
	if (!CHECK(rc == c->pid))
		status = 0;
	*how = WIFSIGNALED(status) ? SPAWN_KILLED : SPAWN_EXITED;
	*detail = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
	if (read(c->start_fd, &sys, sizeof(sys)) == sizeof(sys)) {
		*how = SPAWN_NOT_STARTED;
		*detail = sys;
	}
	fs_close(&c->pidfd);
	fs_close(&c->start_fd);
	c->pid = 0;
	return 1;
}
