/* What the programs of bench/ share: they end when something is wrong, because a measurement that goes on regardless is
 * worth nothing. Single-threaded unless a function says otherwise. */
#ifndef SLUICE_BENCH_TOOL_H
#define SLUICE_BENCH_TOOL_H

#include "base/slice.h"

#include <stdint.h>
#include <sys/types.h>

/* "load: connect: Connection refused"; ends with 1. */
_Noreturn void tool_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* malloc and friends that do not return NULL. */
void *tool_alloc(size_t n); /* zeroed */
void *tool_grow(void *p, size_t n);

/* The decimal number in `s`; dies naming `what` when there is none, or when it is above `max`. */
int64_t tool_number(const char *what, struct slice s, int64_t max);

/* A non-blocking socket that listens on a free port of 127.0.0.1, which it prints as a line "port N". */
int tool_listen(void);

/* Raises the limit of descriptors to what is allowed. */
void tool_raise_files(void);

/* The value of one field of a head ("Content-Length"); p is NULL when it is not there. */
struct slice tool_field(struct slice head, const char *name);

/* Where the head ends: the bytes up to and including the empty line; 0 while it is not there. */
size_t tool_head_end(const char *p, size_t n);

#endif
