/* What commands print and ask, and the exit code that belongs to a failure. */
#include "base/fsutil.h"
#include "cmd/commands.h"

#include <ctype.h>
#include <stdarg.h>
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

int commands_confirm(const struct options *o, struct err *err, const char *fmt, ...)
{
	struct buf text = BUF_INIT(4096);
	char answer[16] = "";
	va_list ap;
	int rc = 0;

	if (o->yes)
		return 0;
	va_start(ap, fmt);
	buf_addv(&text, fmt, ap);
	va_end(ap);
	if (text.failed != 0) {
		rc = err_set(err, text.failed, "asking");
	} else if (!isatty(STDIN_FILENO)) {
		rc = err_set(err, -ERR_INVAL, "to %s, say --yes", text.p);
	} else {
		fprintf(stderr, "%c%s? [y/N] ", toupper((unsigned char)text.p[0]), text.p + 1);
		if (fgets(answer, sizeof(answer), stdin) == NULL || (answer[0] != 'y' && answer[0] != 'Y'))
			rc = err_set(err, -ERR_CANCELED, "nothing was done");
	}
	buf_fini(&text);
	return rc;
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
