/* Log lines. A line is built in a buffer on the stack and handed to the writer. Level and descriptor are atomics, so that they may change while
 * threads log. */
#include "base/log.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log_writer.h"
#include "base/metrics.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_BYTES LOG_PIECE_MAX
#define COMPONENT_MAX 32

static int min_level = LOG_INFO;
static int log_fd = -1;

static const char *const level_names[] = {
	[LOG_DEBUG] = "DEBUG",
	[LOG_INFO] = "INFO",
	[LOG_WARN] = "WARNING",
	[LOG_ERROR] = "ERROR",
};

void log_set_level(enum log_level level)
{
	__atomic_store_n(&min_level, (int)level, __ATOMIC_RELAXED);
}

int log_level_parse(struct slice s, enum log_level *out)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (slice_eq_nocase(s, slice_str(level_names[i]))) {
			*out = (enum log_level)i;
			return 0;
		}
	}
	return -ERR_INVAL;
}

void log_set_fd(int fd)
{
	__atomic_store_n(&log_fd, fd, __ATOMIC_RELAXED);
}

int log_get_fd(void)
{
	int fd = __atomic_load_n(&log_fd, __ATOMIC_RELAXED);

	return fd >= 0 ? fd : STDERR_FILENO;
}

bool log_enabled(enum log_level level)
{
	return (int)level >= __atomic_load_n(&min_level, __ATOMIC_RELAXED);
}

struct line {
	char p[LINE_MAX_BYTES];
	size_t n;
};

#define LINE_ROOM (LINE_MAX_BYTES - 4) /* "...\n" always fits behind it */

/* False when it does not fit, and then nothing more does. */
static bool put(struct line *l, const char *p, size_t n)
{
	if (n > LINE_ROOM - l->n)
		return false;
	memcpy(l->p + l->n, p, n);
	l->n += n;
	return true;
}

/* The length of the well-formed character at s.p, 0 if there is none. */
static size_t char_len(struct slice s)
{
	for (size_t n = 1; n <= 4 && n <= s.n; n++)
		if (slice_is_utf8(slice_of(s.p, n)))
			return n;
	return 0;
}

/* C0, DEL and C1 (U+0080 to U+009F: terminals obey them too). */
static bool is_control(const char *p, size_t n)
{
	unsigned char c = (unsigned char)p[0];

	return c < 0x20 || c == 0x7f || (n == 2 && c == 0xc2 && (unsigned char)p[1] < 0xa0);
}

/* `p` to `out`, escaped if it is no printable character; returns how many bytes of p were used. */
static size_t escape(struct slice s, char out[16], size_t *out_n)
{
	size_t n = char_len(s);

	if (n > 0 && !is_control(s.p, n)) {
		memcpy(out, s.p, n);
		*out_n = n;
		return n;
	}
	if (s.p[0] == '\n' || s.p[0] == '\r' || s.p[0] == '\t')
		*out_n = (size_t)snprintf(out, 16, "\\%c", s.p[0] == '\n' ? 'n' : s.p[0] == '\r' ? 'r' : 't');
	else
		*out_n = (size_t)snprintf(out, 16, "\\x%02x", (unsigned char)s.p[0]);
	return 1;
}

static void put_message(struct line *l, struct slice s)
{
	while (s.n > 0) {
		char text[16];
		size_t text_n, used = escape(s, text, &text_n);

		if (!put(l, text, text_n)) {
			memcpy(l->p + l->n, "...", 3);
			l->n += 3;
			return;
		}
		s = slice_of(s.p + used, s.n - used);
	}
}

void log_line(enum log_level level, const char *component, const char *fmt, ...)
{
	char message[LINE_MAX_BYTES], when[CLOCK_ISO_MAX];
	int saved = errno, n;
	struct line l;
	va_list ap;

	/* Counted even when not shown: what an alert looks at must not depend on the level. */
	if (level == LOG_WARN)
		metric_inc(M_log_warnings);
	else if (level == LOG_ERROR)
		metric_inc(M_log_errors);
	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	n = vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	if (n < 0)
		message[n = 0] = '\0';
	n = snprintf(l.p, LINE_ROOM, "%s %s ", clock_iso(clock_wall_us(), when), level_names[level]);
	l.n = n < 0 ? 0 : (size_t)n;
	put_message(&l, slice_of(component, strnlen(component, COMPONENT_MAX)));
	put(&l, " ", 1);
	put_message(&l, slice_str(message));
	l.p[l.n++] = '\n';
	log_write(l.p, l.n, level >= LOG_WARN);
	errno = saved;
}

char *log_value(struct slice v, char out[LOG_VALUE_MAX])
{
	bool quoted = v.n == 0;
	size_t n = 0;

	for (size_t i = 0; i < v.n && !quoted; i++)
		quoted = (unsigned char)v.p[i] <= ' ' || v.p[i] == '"' || v.p[i] == '\\' || v.p[i] == '=';
	if (quoted)
		out[n++] = '"';
	while (v.n > 0) {
		char text[16];
		size_t text_n, used;

		if (v.p[0] == '"' || v.p[0] == '\\') {
			text[0] = '\\';
			text[1] = v.p[0];
			text_n = 2;
			used = 1;
		} else {
			used = escape(v, text, &text_n);
		}
		if (text_n > LOG_VALUE_MAX - 5 - n) { /* ..." and the NUL */
			memcpy(out + n, "...", 3);
			n += 3;
			break;
		}
		memcpy(out + n, text, text_n);
		n += text_n;
		v = slice_of(v.p + used, v.n - used);
	}
	if (quoted)
		out[n++] = '"';
	out[n] = '\0';
	return out;
}
