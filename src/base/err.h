/* Errors as values: a negative code, and a text that names what failed.
 *
 * A function that can fail returns 0 or a negative enum err_code and fills the `struct err` of its caller
 * (which may be NULL where only the code matters). Layers on the way up add context in front with
 * err_wrap(); the layer that decides logs it, once. Any thread. */
#ifndef SLUICE_BASE_ERR_H
#define SLUICE_BASE_ERR_H

#include <stdarg.h>

/* clang-format off */
#define ERR_CODES(X)                                                        \
	X(NOMEM, "out of memory")                                           \
	X(IO, "input/output error")                                         \
	X(NOSPACE, "no space left in storage")                              \
	X(INVAL, "invalid value")                                           \
	X(PARSE, "malformed input")                                         \
	X(NOTFOUND, "not found")                                            \
	X(EXISTS, "already exists")                                         \
	X(DENIED, "not permitted")                                          \
	X(LIMIT, "a limit is reached")                                      \
	X(TIMEOUT, "timed out")                                             \
	X(CANCELED, "canceled")                                             \
	X(CLOSED, "closed")                                                 \
	X(BUSY, "busy")                                                     \
	X(DB, "database error")                                             \
	X(NOSOURCE, "no source offers it")                                  \
	X(COOLDOWN, "every source is cooling down")                         \
	X(GONE, "upstream does not have it")                                \
	X(UNSAVED, "not saved yet")                                         \
	X(UPSTREAM, "upstream failed")                                      \
	X(CONNECT, "upstream cannot be reached")                            \
	X(TRUNCATED, "upstream broke off")                                  \
	X(DIGEST, "wrong digest")                                           \
	X(SIZE, "wrong size")                                               \
	X(UNSUPPORTED, "not supported")                                     \
	X(STAGING, "no room for another download")                          \
	X(INTERNAL, "internal error")
/* clang-format on */

enum err_code {
	ERR_NONE_ = 0, /* codes start at 1; functions return -ERR_x */
#define X(name, text) ERR_##name,
	ERR_CODES(X)
#undef X
		ERR_COUNT_
};

struct err {
	int code;      /* 0, or -ERR_x */
	int sys;       /* errno or CURLcode behind it, 0 if none */
	char msg[896]; /* for people; always NUL-terminated */
};

#define ERR_INIT ((struct err){.code = 0})

/* Fills *e (if not NULL) and returns `code` (which is negative). */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int err_setv(struct err *e, int code, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

/* The same from an errno: chooses the code (ENOSPC and EDQUOT are -ERR_NOSPACE, ENOENT -ERR_NOTFOUND,
 * EEXIST -ERR_EXISTS, ENOMEM -ERR_NOMEM, EACCES and EPERM -ERR_DENIED, ETIMEDOUT -ERR_TIMEOUT, else -ERR_IO)
 * and appends ": <strerror>". */
int err_sys(struct err *e, int sys, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__ /* it reads a file at a time, and would follow paths on which the result is 0 */
#define err_set(e, code, ...) ((void)(err_set)((e), (code), __VA_ARGS__), (code))
#endif

/* Puts "<context>: " in front of the text that is there (cut at the end if it does not fit). Returns e->code;
 * -ERR_INTERNAL if e is NULL: whoever passes NULL on keeps the code himself. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The general text of a code (negative or positive); never NULL. */
const char *err_text(int code);
/* Its name in lower case, for logs and headers: "nosource"; never NULL. */
const char *err_name(int code);

#endif
