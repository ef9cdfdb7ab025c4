/* How much a second of processor time is worth now: a fixed piece of loopback work, again and again, on each processor.
 *
 *   gauge CPU…
 *
 * On a shared machine a second of processor time does between half and one and a third of its usual work, and steal time does not show
 * it. A thread on each processor named does BURST round trips of 4 KiB over a loopback connection every PERIOD_MS and takes the
 * processor time that it used. For each line on standard input it prints, for each processor, how many bursts there were
 * since the line before, and their mean in nanoseconds. It ends with standard input. */
#include "base/check.h"
#include "base/clock.h"
#include "tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BURST 100
#define PIECE 4096
#define PERIOD_MS 40
#define CPUS_MAX 64

struct meter {
	pthread_t thread;
	int cpu;
	int ends[2];
	pthread_mutex_t lock;
	int64_t bursts, ns; /* lock */
};

/* Two connected ends of a loopback connection. */
static void tcp_pair(int ends[2])
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0 ||
		getsockname(fd, (struct sockaddr *)&a, &n) < 0 || (ends[0] = socket(AF_INET, SOCK_STREAM, 0)) < 0 ||
		connect(ends[0], (struct sockaddr *)&a, sizeof(a)) < 0 || (ends[1] = accept(fd, NULL, NULL)) < 0)
		tool_die("loopback: %s", strerror(errno));
	close(fd);
}

static void move(int from, int to)
{
	static _Thread_local char piece[PIECE];

	if (send(from, piece, sizeof(piece), 0) != PIECE || recv(to, piece, sizeof(piece), MSG_WAITALL) != PIECE)
		tool_die("loopback: %s", strerror(errno));
}

static int64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void *meter_run(void *arg)
{
	struct meter *m = arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)m->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		tool_die("processor %d: %s", m->cpu, strerror(errno));
	for (;;) {
		int64_t before = cpu_ns();

		for (int i = 0; i < BURST; i++) {
			move(m->ends[0], m->ends[1]);
			move(m->ends[1], m->ends[0]);
		}
		before = cpu_ns() - before;
		pthread_mutex_lock(&m->lock);
		m->bursts++;
		m->ns += before;
		pthread_mutex_unlock(&m->lock);
		(void)poll(NULL, 0, PERIOD_MS);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static struct meter meters[CPUS_MAX];
	char line[16];

	if (argc < 2 || argc > CPUS_MAX)
		tool_die("usage: gauge CPU…");
	for (int i = 1; i < argc; i++) {
		struct meter *m = &meters[i];

		m->cpu = (int)tool_number("CPU", slice_str(argv[i]), CPU_SETSIZE - 1);
		tcp_pair(m->ends);
		pthread_mutex_init(&m->lock, NULL);
		if (pthread_create(&m->thread, NULL, meter_run, m) != 0)
			tool_die("no thread");
	}
	while (fgets(line, sizeof(line), stdin) != NULL) {
		for (int i = 1; i < argc; i++) {
			struct meter *m = &meters[i];

			pthread_mutex_lock(&m->lock);
			printf("%lld %lld%s", (long long)m->bursts, (long long)(m->bursts > 0 ? m->ns / m->bursts : 0),
				i < argc - 1 ? " " : "\n");
			m->bursts = m->ns = 0;
			pthread_mutex_unlock(&m->lock);
		}
		fflush(stdout);
	}
	return 0;
}
