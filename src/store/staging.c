/* Staging files: bodies on their way in.
 *
 * As a rule a file has no name (O_TMPFILE), so that the kernel forgets it with the process. Where the file system cannot
 * do that, or /proc is missing, without which such a file cannot get a name later, it has one in staging/ from birth, and
 * what a crash leaves there is swept at the next start. A staging file has one owner and no lock; the area is constant. */
#include "store/staging.h"

#include "base/check.h"
#include "base/fault.h"
#include "base/fsutil.h"
#include "base/uuid.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAGING_MAGIC 0x73746167u /* "stag" */

/* Group: a web server in front may be told to send artifacts itself. */
#define STAGING_MODE 0640

static void staging_name(char out[STAGING_NAME_MAX])
{
	struct uuid u = uuid_v4();
	char text[UUID_STR];

	snprintf(out, STAGING_NAME_MAX, "body-%s", uuid_str(&u, text));
}

static int link_fd(int fd, int dir, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

static int open_unnamed(const struct staging_area *a)
{
	return openat(a->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, STAGING_MODE);
}

/* Whether a file without a name can be made here and be named afterwards: by trying, because the errors for "cannot"
 * differ between file systems and kernels. Wrong only when the disk is full, and both ways work then, too. */
static bool unnamed_works(const struct staging_area *a)
{
	char name[STAGING_NAME_MAX];
	int fd = open_unnamed(a);
	bool works;

	if (fd < 0)
		return false;
	staging_name(name);
	works = link_fd(fd, a->dir, name) == 0;
	if (works)
		(void)unlinkat(a->dir, name, 0); /* what stays is swept at the next start */
	fs_close(&fd);
	return works;
}

int staging_area_open(struct staging_area *a, int parent, struct err *err)
{
	if (mkdirat(parent, "staging", 0750) != 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot create directory staging");
	a->dir = openat(parent, "staging", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->dir < 0)
		return err_sys(err, errno, "cannot open directory staging");
	a->named = !unnamed_works(a);
	return 0;
}

void staging_area_close(struct staging_area *a)
{
	fs_close(&a->dir);
}

int staging_area_sweep(const struct staging_area *a, int64_t *removed, struct err *err)
{
	int fd = openat(a->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	*removed = 0;
	if (dir == NULL) {
		rc = err_sys(err, errno, "cannot list staging");
		fs_close(&fd);
		return rc;
	}
	for (errno = 0; (de = readdir(dir)) != NULL; errno = 0) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		if (unlinkat(a->dir, de->d_name, 0) == 0)
			++*removed;
		else if (errno != ENOENT && errno != EISDIR && rc == 0) /* the others go; directories are not ours */
			rc = err_sys(err, errno, "cannot remove staging/%s", de->d_name);
	}
	if (errno != 0 && rc == 0)
		rc = err_sys(err, errno, "cannot list staging");
	closedir(dir);
	return rc;
}

int staging_create(const struct staging_area *a, struct staging **out, struct err *err)
{
	struct staging *st = calloc(1, sizeof(*st));
	int rc;

	if (st == NULL)
		return err_set(err, -ERR_NOMEM, "staging file");
	st->magic = STAGING_MAGIC;
	st->area = a;
	if (FAULT("staging.new") != 0) {
		st->fd = -1;
	} else if (a->named) {
		staging_name(st->name);
		st->fd = openat(a->dir, st->name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, STAGING_MODE);
	} else {
		st->fd = open_unnamed(a);
	}
	if (st->fd < 0) {
		bool full = errno == EMFILE || errno == ENFILE;

		rc = err_sys(err, errno, "cannot create a staging file");
		if (full && err != NULL)
			err->code = -ERR_LIMIT;
		free(st);
		return full ? -ERR_LIMIT : rc;
	}
	*out = st;
	return 0;
}

int staging_fd(const struct staging *st)
{
	return st->fd;
}

int staging_write(struct staging *st, const void *p, size_t n, int64_t off, struct err *err)
{
	int rc;

	MAGIC_CHECK(st, STAGING_MAGIC);
	if (FAULT("staging.write") != 0)
		rc = err_sys(err, errno, "write of %zu bytes at %lld", n, (long long)off);
	else
		rc = fs_pwrite_all(st->fd, p, n, off, err);
	if (rc != 0)
		(void)err_wrap(err, "staging file");
	return rc;
}

void staging_drop(struct staging **pst)
{
	struct staging *st = TAKE(*pst);

	if (st == NULL)
		return;
	MAGIC_CHECK(st, STAGING_MAGIC);
	if (st->name[0] != '\0')
		(void)unlinkat(st->area->dir, st->name, 0); /* what stays is swept at the next start */
	fs_close(&st->fd);
	st->magic = 0;
	free(st);
}

int staging_link(const struct staging *st, int dir, const char *name)
{
	if (st->name[0] == '\0')
		return link_fd(st->fd, dir, name);
	return linkat(st->area->dir, st->name, dir, name, 0) == 0 ? 0 : -errno;
}

int staging_replace(struct staging *st, int dir, const char *name)
{
	if (st->name[0] == '\0') {
		char temporary[STAGING_NAME_MAX];
		int rc;

		staging_name(temporary);
		rc = link_fd(st->fd, st->area->dir, temporary);
		if (rc != 0)
			return rc;
		/* From here staging_drop removes it. */
		memcpy(st->name, temporary, sizeof(st->name));
	}
	if (renameat(st->area->dir, st->name, dir, name) != 0)
		return -errno;
	st->name[0] = '\0';
	return 0;
}
