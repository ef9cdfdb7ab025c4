/* What a failed check does. No state. */
#include "base/check.h"

#include "base/log.h"
#include "base/log_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void bug_at(const char *file, int line, const char *cond)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "BUG at %s:%d: %s\n", file, line, cond);

	log_writer_last_words();
	/* Neither stdio nor the log: their locks or their state may be what is broken. */
	if (n > 0)
		(void)!write(STDERR_FILENO, text, MIN((size_t)n, sizeof(text) - 1)); /* aborting anyway */
	abort();
}

bool check_failed(const char *file, int line, const char *cond, _Bool *once)
{
	if (!__atomic_exchange_n(once, 1, __ATOMIC_RELAXED))
		log_error("check", "failed at %s:%d: %s (reported once)", file, line, cond);
	return false;
}
