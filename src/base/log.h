/* Log lines: "2026-01-31T12:34:56.123456Z LEVEL component message key=value …" on standard error.
 *
 * Lines leave through log_writer.h, which never makes a thread wait that serves clients. At most 4096 bytes a line, so that those of several
 * processes do not mix. Control bytes and what is
 * not UTF-8 are escaped: foreign bytes can never start a line of their own; log_value() quotes a value that could be
 * taken for more than one. Any thread. */
#ifndef SLUICE_BASE_LOG_H
#define SLUICE_BASE_LOG_H

#include "base/slice.h"

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level level);
int log_level_parse(struct slice s, enum log_level *out); /* "debug" "info" "warning" "error"; -ERR_INVAL */
/* Where lines go; -1 (default) means standard error. */
void log_set_fd(int fd);
int log_get_fd(void);
/* `component` is the layer: "http", "lazy", "task". The message may hold foreign bytes: they are escaped. */
void log_line(enum log_level level, const char *component, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool log_enabled(enum log_level level);
/* A value as key=value wants it: as it is, or in quotes with " and \ escaped when it is empty or holds a space, a control
 * byte, '=' or one of these two. Cut off (with "...") to fit. Returns out. */
#define LOG_VALUE_MAX 1024
char *log_value(struct slice v, char out[LOG_VALUE_MAX]);

#define log_debug(...) (log_enabled(LOG_DEBUG) ? log_line(LOG_DEBUG, __VA_ARGS__) : (void)0)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

#endif
