/* server.conf: any text is read or refused with its name and a line, and what was read prints and reads back the same. */
#include "fuzz.h"

#include "base/check.h"
#include "base/settings.h"

#include <string.h>

/* "key = value  (origin)" becomes "key =value": a value may begin with a semicolon, which would be a comment behind a
 * blank. */
static void add_bare(struct slice line, struct buf *out)
{
	ptrdiff_t eq = slice_chr(line, '=');

	BUG(eq < 0);
	while (!slice_ends(line, SLICE("  ("))) {
		BUG(line.n == 0);
		line.n--;
	}
	line.n -= 3;
	buf_add(out, line.p, (size_t)eq + 1);
	buf_add_slice(out, slice_trim(slice_of(line.p + eq + 1, line.n - (size_t)eq - 1)));
}

/* The effective settings as a server.conf. */
static void print_bare(const struct settings *s, struct buf *out)
{
	struct buf full = BUF_INIT(16 << 20);
	struct slice rest;

	BUG(settings_print(s, false, &full) < 0);
	rest = buf_slice(&full);
	while (rest.p != NULL) {
		struct slice line = slice_cut(&rest, '\n');

		if (line.n == 0 || line.p[0] == '#' || line.p[0] == '[')
			buf_add_slice(out, line);
		else
			add_bare(line, out);
		buf_adds(out, "\n");
	}
	BUG(out->failed != 0);
	buf_fini(&full);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf first = BUF_INIT(16 << 20), second = BUF_INIT(16 << 20);
	struct err err = ERR_INIT;
	struct settings s;
	int rc;

	BUG(settings_init(&s, NULL) < 0);
	rc = settings_read_text(&s, "fuzz", slice_of((const char *)data, size), &err);
	BUG(rc != err.code);
	BUG(rc < 0 && (rc != -ERR_PARSE || strncmp(err.msg, "fuzz:", 5) != 0));
	print_bare(&s, &first);
	rc = settings_read_text(&s, "again", buf_slice(&first), &err);
	BUG(rc < 0);
	print_bare(&s, &second);
	BUG(!slice_eq(buf_slice(&first), buf_slice(&second)));
	buf_fini(&first);
	buf_fini(&second);
	settings_fini(&s);
	return 0;
}
