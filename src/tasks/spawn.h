/* Starting, signalling and reaping one task process. One thread: the one that made the process, because the process is
 * killed when that thread ends. */
#ifndef SLUICE_TASKS_SPAWN_H
#define SLUICE_TASKS_SPAWN_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
	pid_t pid;    /* 0: none; also the id of its process group */
	int pidfd;    /* readable when it has ended; -1 where the kernel has none (before 5.3) */
	int start_fd; /* holds an errno when it could not become the program */
};

struct spawn_opts {
	char *const *argv;     /* argv[0] is the path */
	int64_t address_bytes; /* limit of its address space; 0: none */
};

int spawn_child(const struct spawn_opts *opts, struct child *out, struct err *err);
/* The child and whatever it started itself. */
void spawn_signal(const struct child *c, int sig);

enum spawn_end { SPAWN_EXITED, SPAWN_KILLED, SPAWN_NOT_STARTED };
/* Never blocks. 0: it still runs. 1: it has ended, *c is empty, and nothing of its group is left; *detail is the exit status, the
 * signal, or the errno. */
int spawn_reap(struct child *c, enum spawn_end *how, int *detail);

#endif
