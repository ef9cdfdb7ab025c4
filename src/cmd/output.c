/* What commands print, and the exit code that belongs to a failure. */
#include "base/fsutil.h"
#include "cmd/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int commands_print(const struct buf *out, struct err *err)
{
	if (out->failed != 0)
		return err_set(err, out->failed, "the output is too long");
	return fs_write_all(STDOUT_FILENO, out->p, out->n, err);
}

int commands_add_json(struct buf *out, const json_t *j)
{
	char *text = json_dumps(j, JSON_INDENT(2));

	if (text == NULL)
		return out->failed = -ERR_NOMEM;
	buf_addf(out, "%s\n", text);
	free(text);
	return out->failed;
}

int commands_fail(const char *name, int rc, const struct err *err)
{
	fprintf(stderr, "sluice %s: %s\n", name, err->msg[0] != '\0' ? err->msg : err_text(rc));
	switch (rc) {
	case -ERR_INVAL:
	case -ERR_PARSE:
		return EXIT_USAGE;
	case -ERR_CONNECT:
		return EXIT_NOSERVER;
	case -ERR_DENIED:
		return EXIT_REFUSED;
	default:
		return EXIT_FAILED;
	}
}
