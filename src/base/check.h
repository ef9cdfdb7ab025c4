/* The three kinds of check, and small macros that the whole tree uses.
 *
 * BUG(cond): our own mistake; always compiled in; says where and aborts.
 * CHECK(cond): "cannot happen" but survivable; reported once per place, then false is returned to the caller.
 * static_assert: sizes and table lengths. Bytes from outside never reach a BUG. */
#ifndef SLUICE_BASE_CHECK_H
#define SLUICE_BASE_CHECK_H

#include <stdbool.h>
#include <stddef.h>

_Noreturn void bug_at(const char *file, int line, const char *cond);
bool check_failed(const char *file, int line, const char *cond, _Bool *once);

#define BUG(cond)                                          \
	do {                                               \
		if (__builtin_expect(!!(cond), 0))         \
			bug_at(__FILE__, __LINE__, #cond); \
	} while (0)

/* True when cond holds. */
#define CHECK(cond)                                                                               \
	({                                                                                        \
		static _Bool once_;                                                               \
		__builtin_expect(!!(cond), 1) || check_failed(__FILE__, __LINE__, #cond, &once_); \
	})

#define MAGIC_CHECK(ptr, m) BUG((ptr)->magic != (m))

/* Takes the value out of a holder and leaves NULL there. */
#define TAKE(holder)                                  \
	({                                            \
		__typeof__(holder) taken_ = (holder); \
		(holder) = NULL;                      \
		taken_;                               \
	})

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
