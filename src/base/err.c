/* Errors as values: writing, wrapping and naming them. No state but a constant table. */
#include "base/err.h"

#include "base/check.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const char *const texts[ERR_COUNT_] = {[0] = "no error",
#define X(name, text) [ERR_##name] = text,
	ERR_CODES(X)
#undef X
};

/* The preprocessor cannot lower the case of the enum's names, so the table is lowered once. */
static char names[ERR_COUNT_][16] = {[0] = "none",
#define X(name, text) [ERR_##name] = #name,
	ERR_CODES(X)
#undef X
};
static pthread_once_t names_once = PTHREAD_ONCE_INIT;

#define X(name, text) static_assert(sizeof(#name) <= sizeof(names[0]), "the name must fit its row");
ERR_CODES(X)
#undef X

static void lower_names(void)
{
	for (size_t i = 0; i < ERR_COUNT_; i++)
		for (char *c = names[i]; *c != '\0'; c++)
			if (*c >= 'A' && *c <= 'Z')
				*c = (char)(*c - 'A' + 'a');
}

/* A text cut in the middle of a UTF-8 sequence would be refused where messages become JSON. */
static void drop_partial_utf8(char *z, size_t n)
{
	for (size_t back = 1; back <= 3 && back <= n; back++) {
		unsigned char c = (unsigned char)z[n - back];

		if ((c & 0xc0) == 0x80)
			continue;
		if ((c >= 0xc0 && back < 2) || (c >= 0xe0 && back < 3) || (c >= 0xf0 && back < 4))
			z[n - back] = '\0';
		return;
	}
}

/* As vsnprintf, but the result is always the length of what is there. */
static __attribute__((format(printf, 3, 0))) size_t format(char *out, size_t cap, const char *fmt, va_list ap)
{
	int n = vsnprintf(out, cap, fmt, ap);

	if (n < 0) {
		out[0] = '\0';
		return 0;
	}
	if ((size_t)n >= cap)
		drop_partial_utf8(out, cap - 1);
	return strlen(out);
}

static void append(char *out, size_t cap, size_t *n, const char *z)
{
	size_t len = strlen(z), room = cap - 1 - *n;

	if (len > room) {
		memcpy(out + *n, z, room);
		out[cap - 1] = '\0';
		drop_partial_utf8(out, cap - 1);
		*n = strlen(out);
	} else {
		memcpy(out + *n, z, len + 1);
		*n += len;
	}
}

/* A caller that forgot the sign, or passes 0, must not turn its failure into a success. */
static int negative(int code)
{
	if (CHECK(code < 0))
		return code;
	return code > 0 ? -code : -ERR_INTERNAL;
}

int err_setv(struct err *e, int code, const char *fmt, va_list ap)
{
	char msg[sizeof(e->msg)]; /* the arguments may point into e->msg */

	code = negative(code);
	if (e == NULL)
		return code;
	format(msg, sizeof(msg), fmt, ap);
	e->code = code;
	e->sys = 0;
	memcpy(e->msg, msg, strlen(msg) + 1);
	return code;
}

/* In parentheses: the analyzer sees a macro of that name. */
int(err_set)(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	code = err_setv(e, code, fmt, ap);
	va_end(ap);
	return code;
}

static int code_of_errno(int sys)
{
	switch (sys) {
	case ENOSPC:
	case EDQUOT:
		return -ERR_NOSPACE;
	case ENOENT:
		return -ERR_NOTFOUND;
	case EEXIST:
		return -ERR_EXISTS;
	case ENOMEM:
		return -ERR_NOMEM;
	case EACCES:
	case EPERM:
		return -ERR_DENIED;
	case ETIMEDOUT:
		return -ERR_TIMEOUT;
	default:
		return -ERR_IO;
	}
}

int err_sys(struct err *e, int sys, const char *fmt, ...)
{
	char msg[sizeof(e->msg)], text[128];
	int code = code_of_errno(sys);
	size_t n;
	va_list ap;

	if (e == NULL)
		return code;
	va_start(ap, fmt);
	n = format(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	append(msg, sizeof(msg), &n, ": ");
	append(msg, sizeof(msg), &n, strerror_r(sys, text, sizeof(text)));
	e->code = code;
	e->sys = sys;
	memcpy(e->msg, msg, n + 1);
	return code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char msg[sizeof(e->msg)];
	size_t n;
	va_list ap;

	if (e == NULL)
		return -ERR_INTERNAL; /* the code is unknown here, and 0 would say success */
	if (e->code == 0)
		err_set(e, -ERR_INTERNAL, "%s", err_text(ERR_INTERNAL));
	va_start(ap, fmt);
	n = format(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	append(msg, sizeof(msg), &n, ": ");
	append(msg, sizeof(msg), &n, e->msg);
	memcpy(e->msg, msg, n + 1);
	return e->code;
}

static size_t row_of(int code)
{
	unsigned row = code < 0 ? 0U - (unsigned)code : (unsigned)code;

	return row < ERR_COUNT_ ? row : ERR_COUNT_;
}

const char *err_text(int code)
{
	size_t row = row_of(code);

	return row < ERR_COUNT_ ? texts[row] : "unknown error";
}

const char *err_name(int code)
{
	size_t row = row_of(code);

	pthread_once(&names_once, lower_names);
	return row < ERR_COUNT_ ? names[row] : "unknown";
}
