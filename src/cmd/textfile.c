/* Files and standard input, for what does not belong on a command line. */
#include "cmd/textfile.h"

#include "base/fsutil.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_stdin(struct buf *out, struct err *err)
{
	char piece[4096];
	ssize_t n;

	while ((n = read(STDIN_FILENO, piece, sizeof(piece))) != 0) {
		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "standard input");
		if (n > 0 && buf_add(out, piece, (size_t)n) < 0)
			return err_set(err, out->failed, "standard input");
	}
	return 0;
}

int textfile_read(const char *path, struct buf *out, struct err *err)
{
	return strcmp(path, "-") == 0 ? read_stdin(out, err) : fs_read_file(path, TEXTFILE_BYTES_MAX, out, err);
}

int textfile_first_line(const char *path, char **out, struct err *err)
{
	struct buf text = BUF_INIT(TEXTFILE_BYTES_MAX);
	struct slice rest;
	char *secret;
	int rc = textfile_read(path, &text, err);

	if (rc < 0)
		goto out;
	rest = buf_slice(&text);
	secret = rest.p != NULL ? slice_dup(slice_trim(slice_cut(&rest, '\n'))) : strdup("");
	if (secret == NULL)
		rc = err_set(err, -ERR_NOMEM, "'%s'", path);
	else
		*out = secret;
out:
	if (text.p != NULL)
		explicit_bzero(text.p, text.n);
	buf_fini(&text);
	return rc;
}
