/* Other people's programs: run one, read what it prints, and end it when it takes too long or prints too much. Blocking. */
#ifndef SLUICE_BASE_RUN_H
#define SLUICE_BASE_RUN_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct run_opts {
	const char *const *argv; /* NULL-terminated; argv[0] is the path of the program */
	const char *const *env;  /* NULL-terminated "NAME=value"s: all that it gets */
	const char *dir;         /* where it runs */
	int64_t limit_ms;
	bool show_errors; /* it writes to our standard error; else what it writes there is lost */
};

/* *out (emptied first, whose max bounds it): what it wrote to standard output. It stays in our process group, so that it ends with us;
 * what it has started itself and left behind may outlive it.
 * -ERR_TIMEOUT, -ERR_LIMIT: it was killed; -ERR_NOTFOUND, -ERR_DENIED, -ERR_IO: it could not be started; -ERR_UPSTREAM: it failed, or died. */
int run_program(const struct run_opts *o, struct buf *out, struct err *err);

#endif
