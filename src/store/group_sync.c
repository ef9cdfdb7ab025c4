/* What is relied on:
 *
 *   Linux 5.8      syncfs reports failed writes of the file system since the descriptor was opened or reported last, as fsync does of a file.
 *                  Before, it could lose them: there it is not trusted.
 *   ext4, xfs      it waits until all dirty pages are written, commits the journal with everything that was changed before, and flushes the disk's
 *                  cache. Network file systems, FUSE and overlays hand the call on, or do not: not trusted.
 *   ext4 without   metadata is written after the flush. Hence the fsync of one file behind it, which ends in a flush of its own.
 *   a journal
 *
 * It writes everything that is dirty there, of other programs, too. So the kernel is asked how much is dirty in all: beside gigabytes that a backup left
 * there, a small file would wait for minutes. Constant after init; any thread, but one at a time. */
#include "store/group_sync.h"

#include "base/check.h"
#include "base/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#define XFS_MAGIC 0x58465342 /* "XFSB": in none of the system's headers */

/* For fewer, syncing each costs no more. */
#define COUNT_MIN 4
/* Of others: half a second of a slow disk. */
#define FOREIGN_MAX (64 * INT64_C(1048576))

/* 5.8 or later. */
static bool kernel_reports(void)
{
	struct utsname u;
	int major = 0, minor = 0;

	if (uname(&u) != 0 || sscanf(u.release, "%d.%d", &major, &minor) != 2)
		return false;
	return major > 5 || (major == 5 && minor >= 8);
}

void group_sync_init(struct group_sync *g, int dir)
{
	struct statfs fs;

	*g = (struct group_sync){.dir = dir};
	if (fstatfs(dir, &fs) == 0 && (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_MAGIC))
		g->trusted = kernel_reports();
}

/* Value of a line of /proc/meminfo in bytes; -1 when it is not there. */
static int64_t meminfo(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	long long kib;

	return at != NULL && sscanf(at + strlen(name), ": %lld kB", &kib) == 1 ? kib * 1024 : -1;
}

/* Bytes that wait to be written, on all file systems; INT64_MAX when that is not known. */
static int64_t dirty_bytes(void)
{
	char text[4096];
	int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	int64_t dirty, writing;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return INT64_MAX;
	text[n] = '\0';
	dirty = meminfo(text, "\nDirty");
	writing = meminfo(text, "\nWriteback");
	return dirty < 0 || writing < 0 ? INT64_MAX : dirty + writing;
}

bool group_sync_pays(const struct group_sync *g, int count, int64_t bytes)
{
	return g->trusted && count >= COUNT_MIN && dirty_bytes() <= bytes + FOREIGN_MAX;
}

int group_sync_run(const struct group_sync *g, int member)
{
	BUG(!g->trusted);
	return syncfs(g->dir) == 0 && fsync(member) == 0 ? 0 : -errno;
}
