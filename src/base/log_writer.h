/* The writer of the log: a bounded ring and one thread, so that whoever logs never waits for whoever reads.
 *
 * From log_writer_start to log_writer_stop lines go into the ring; before and after, and in a process that was forked, log_write
 * writes itself. What does not fit is dropped and counted (metric log_dropped), and a line says how many once there is room again. */
#ifndef SLUICE_BASE_LOG_WRITER_H
#define SLUICE_BASE_LOG_WRITER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* PIPE_BUF: written in one call, and not mixed with what other processes write to the same pipe. */
#define LOG_PIECE_MAX 4096
#define LOG_RING_BYTES (1024 * 1024)

/* One writer a process. Also sees to it that a process which dies of SIGABRT, SIGSEGV, SIGBUS, SIGFPE or SIGILL has written what waits. */
int log_writer_start(struct err *err);
/* Writes what waits, for at most wait_ms when nobody reads; the rest is dropped and counted. Nothing happens if none was started. */
void log_writer_stop(int64_t wait_ms);

/* One or more whole lines, at most LOG_PIECE_MAX bytes. A quarter of the ring is kept for `important` ones: a flood of requests shall not hide an
 * error. Any thread; never blocks while the writer runs. */
void log_write(const char *p, size_t n, bool important);

/* This process is about to die: writes what waits. Signal-safe; takes no lock; waits half a second at most. */
void log_writer_last_words(void);

#endif
