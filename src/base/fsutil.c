/* Files. All of it blocks and none of it keeps state. */
#include "base/fsutil.h"

#include "base/check.h"
#include "base/fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TREE_DEPTH_MAX 128 /* each level holds a descriptor */

void fs_close(int *fd)
{
	int saved = errno;

	/* Linux has released the number even when close() answers EINTR: closing again could hit another's file. */
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int fs_write_all(int fd, const void *p, size_t n, struct err *err)
{
	const char *at = p;

	while (n > 0) {
		ssize_t done = write(fd, at, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return err_sys(err, errno, "write of %zu bytes", n);
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

int fs_pwrite_all(int fd, const void *p, size_t n, int64_t off, struct err *err)
{
	const char *at = p;

	while (n > 0) {
		ssize_t done = pwrite(fd, at, n, off);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return err_sys(err, errno, "write of %zu bytes at %lld", n, (long long)off);
		at += done;
		off += done;
		n -= (size_t)done;
	}
	return 0;
}

void fs_write_back(int fd, int64_t off, int64_t n)
{
	(void)sync_file_range(fd, off, n, SYNC_FILE_RANGE_WRITE);
}

int fs_pread_all(int fd, void *p, size_t n, int64_t off, struct err *err)
{
	char *at = p;

	while (n > 0) {
		ssize_t done = pread(fd, at, n, off);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return err_sys(err, errno, "read of %zu bytes at %lld", n, (long long)off);
		if (done == 0)
			return err_set(
				err, -ERR_TRUNCATED, "the file ends at %lld, %zu bytes early", (long long)off, n);
		at += done;
		off += done;
		n -= (size_t)done;
	}
	return 0;
}

int fs_read_file(const char *path, size_t max_bytes, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	size_t total = 0;

	if (fd < 0)
		return err_sys(err, errno, "cannot open %s", path);
	for (;;) {
		char block[16384];
		ssize_t n = read(fd, block, sizeof(block));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = err_sys(err, errno, "cannot read %s", path);
			break;
		}
		if ((size_t)n > max_bytes - total) {
			rc = err_set(err, -ERR_LIMIT, "%s is larger than %zu bytes", path, max_bytes);
			break;
		}
		total += (size_t)n;
		if (buf_add(out, block, (size_t)n) != 0) {
			rc = err_set(err, out->failed, "cannot hold %s: %s", path, err_text(out->failed));
			break;
		}
		if (n == 0)
			break;
	}
	fs_close(&fd);
	return rc;
}

/* The directory of `path` into out: "." for a plain name, "/" for one in the root. */
static int parent_of(const char *path, char out[PATH_MAX], struct err *err)
{
	struct slice s = slice_str(path);
	ptrdiff_t slash = slice_rchr(s, '/');
	int n;

	if (s.n >= PATH_MAX)
		return err_set(err, -ERR_INVAL, "the path is too long: %s", path);
	if (slash < 0)
		n = snprintf(out, PATH_MAX, ".");
	else
		n = snprintf(out, PATH_MAX, "%.*s", slash == 0 ? 1 : (int)slash, path);
	return n < 0 ? err_set(err, -ERR_INTERNAL, "cannot write the path") : 0;
}

int fs_sync_dir(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return err_sys(err, errno, "cannot open directory %s", path);
	/* EINVAL: some network file systems have no such call for directories, and write their names at once. */
	if (fsync(fd) != 0 && errno != EINVAL)
		rc = err_sys(err, errno, "cannot sync directory %s", path);
	fs_close(&fd);
	return rc;
}

/* A crash before the rename leaves the old file and perhaps a "<path>.new-XXXXXX"; after it the new file; the directory
 * is synced before success is reported, so that the new name survives a loss of power. */
int fs_replace_file(const char *path, const void *p, size_t n, mode_t mode, struct err *err)
{
	char dir[PATH_MAX], tmp[PATH_MAX] = "";
	int fd = -1, rc, len;

	rc = parent_of(path, dir, err);
	if (rc != 0)
		return rc;
	len = snprintf(tmp, sizeof(tmp), "%s.new-XXXXXX", path);
	if (len < 0 || (size_t)len >= sizeof(tmp))
		return err_set(err, -ERR_INVAL, "the path is too long: %s", path);
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "cannot create a file beside %s", path);
	if (FAULT("fs.replace.write") != 0 || fchmod(fd, mode) != 0) {
		rc = err_sys(err, errno, "cannot write %s", path);
		goto fail;
	}
	rc = fs_write_all(fd, p, n, err);
	if (rc != 0) {
		rc = err_wrap(err, "cannot write %s", path);
		goto fail;
	}
	if (FAULT("fs.replace.sync") != 0 || fdatasync(fd) != 0) {
		rc = err_sys(err, errno, "cannot sync %s", path);
		goto fail;
	}
	if (FAULT("fs.replace.rename") != 0 || rename(tmp, path) != 0) {
		rc = err_sys(err, errno, "cannot rename to %s", path);
		goto fail;
	}
	fs_close(&fd);
	if (FAULT("fs.replace.syncdir") != 0)
		return err_sys(err, errno, "cannot sync directory %s", dir);
	return fs_sync_dir(dir, err);
fail:
	fs_close(&fd);
	unlink(tmp);
	return rc;
}

static int make_dir(const char *path, mode_t mode, struct err *err)
{
	struct stat st;
	int sys;

	if (mkdir(path, mode) == 0)
		return 0;
	sys = errno;
	/* Also EROFS and EACCES come before "exists" on some file systems. */
	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : err_sys(err, ENOTDIR, "%s", path);
	return err_sys(err, sys, "cannot create directory %s", path);
}

int fs_mkdirs(const char *path, mode_t mode, struct err *err)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(part))
		return err_set(err, -ERR_INVAL, "not a path of a directory: \"%s\"", path);
	memcpy(part, path, n + 1);
	for (size_t i = 1; i < n; i++) {
		int rc;

		if (part[i] != '/' || part[i - 1] == '/')
			continue;
		part[i] = '\0';
		rc = make_dir(part, mode, err);
		if (rc != 0)
			return rc;
		part[i] = '/';
	}
	return make_dir(part, mode, err);
}

static int remove_at(int parent, const char *name, int depth, struct err *err);

/* Everything below the open directory. */
static int empty_dir(DIR *dir, int depth, struct err *err)
{
	struct dirent *de;

	for (;;) {
		int rc;

		errno = 0;
		de = readdir(dir);
		if (de == NULL)
			return errno != 0 ? err_sys(err, errno, "cannot list a directory") : 0;
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		rc = remove_at(dirfd(dir), de->d_name, depth + 1, err);
		if (rc != 0)
			return rc;
	}
}

static int remove_dir_at(int parent, const char *name, int depth, struct err *err)
{
	int fd = -1, rc = 0;
	DIR *dir = NULL;

	if (depth > TREE_DEPTH_MAX)
		return err_set(err, -ERR_LIMIT, "%s: more than %d directories deep", name, TREE_DEPTH_MAX);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "cannot open %s", name);
	dir = fdopendir(fd);
	if (dir == NULL) {
		rc = err_sys(err, errno, "cannot list %s", name);
		goto out;
	}
	fd = -1; /* dir's now */
	rc = empty_dir(dir, depth, err);
	if (rc == 0 && unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
		rc = err_sys(err, errno, "cannot remove %s", name);
out:
	if (dir != NULL)
		closedir(dir);
	fs_close(&fd);
	return rc;
}

static int remove_at(int parent, const char *name, int depth, struct err *err)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	/* Linux answers EISDIR for directories; POSIX, and some file systems, EPERM. */
	if (errno != EISDIR && errno != EPERM)
		return err_sys(err, errno, "cannot remove %s", name);
	return remove_dir_at(parent, name, depth, err);
}

int fs_remove_tree(const char *path, struct err *err)
{
	char name[PATH_MAX];
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/') /* "link/" would mean what the link points to */
		n--;
	if (n == 0 || n >= sizeof(name))
		return err_set(err, -ERR_INVAL, "not a path: \"%s\"", path);
	memcpy(name, path, n);
	name[n] = '\0';
	return remove_at(AT_FDCWD, name, 0, err);
}
