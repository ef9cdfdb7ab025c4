/* Files that come in chunks: each lies below upload/ under a name that the caller gives, with holes for what has not come. Nothing is durable here
 * before the whole is saved as an artifact, from a copy: a chunk that comes late changes what is being put together, never what was saved. */
#include "store/store.h"

#include "base/check.h"
#include "base/fsutil.h"
#include "store/staging.h"
#include "store/store_ops.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define COPY_BLOCK ((size_t)1 << 20)

/* By read and write, where the kernel has no better way between these two files. */
static int copy_plain(int from, int64_t from_off, int to, int64_t to_off, int64_t n, struct err *err)
{
	char *block = malloc(COPY_BLOCK);
	int rc = block != NULL ? 0 : err_set(err, -ERR_NOMEM, "no memory to copy a chunk");

	while (rc == 0 && n > 0) {
		ssize_t got = pread(from, block, (size_t)MIN(n, (int64_t)COPY_BLOCK), from_off);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			rc = got < 0 ? err_sys(err, errno, "cannot read a chunk")
				     : err_set(err, -ERR_SIZE, "a chunk is shorter than it was");
			break;
		}
		rc = fs_pwrite_all(to, block, (size_t)got, to_off, err);
		from_off += got;
		to_off += got;
		n -= got;
	}
	free(block);
	return rc;
}

static int copy(int from, int64_t from_off, int to, int64_t to_off, int64_t n, struct err *err)
{
	while (n > 0) {
		ssize_t got = copy_file_range(from, &from_off, to, &to_off, (size_t)MIN(n, INT64_C(1) << 30), 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n -= got;
	}
	return n > 0 ? copy_plain(from, from_off, to, to_off, n, err) : 0;
}

int store_part_write(struct store *s, const char *name, struct staging *chunk, int64_t n, int64_t at, struct err *err)
{
	int fd = -1, rc;

	MAGIC_CHECK(s, STORE_MAGIC);
	rc = s->ops->part_open(s, name, true, &fd, err);
	if (rc == 0)
		rc = copy(chunk->fd, 0, fd, at, n, err);
	fs_close(&fd);
	return rc;
}

int store_part_copy(struct store *s, const char *name, int64_t size, struct staging **out, struct err *err)
{
	struct staging *st = NULL;
	int fd = -1, rc;

	MAGIC_CHECK(s, STORE_MAGIC);
	rc = s->ops->part_open(s, name, size == 0, &fd, err);
	if (rc == 0)
		rc = staging_new(s, &st, err);
	if (rc == 0)
		rc = copy(fd, 0, st->fd, 0, size, err);
	fs_close(&fd);
	if (rc < 0)
		staging_drop(&st);
	else
		*out = st;
	return rc;
}

int store_part_remove(struct store *s, const char *name, struct err *err)
{
	MAGIC_CHECK(s, STORE_MAGIC);
	return s->ops->part_remove(s, name, err);
}
