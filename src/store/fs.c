/* The store of files: media/artifact/ab/cdef….
 *
 * Commit, and what an interruption leaves behind at each step:
 *
 *   fdatasync(staging file)   nothing, or a name in staging/ that the next start sweeps
 *   link → artifact/ab/cdef…  the same, and perhaps the whole artifact under its name: its bytes are durable already
 *   fsync(artifact/ab)        the artifact; it may have lost its name if the machine went down: then it is a miss
 *   fsync(artifact)           once a directory: another process may have made it and not have synced it yet
 *
 * For many at once the first step and the last two are one syncfs each, in the same order (group_sync.c).
 *
 * Everything is constant after open except `durable`, which only ever gains bits: any thread, no lock. */
#include "store/store.h"

#include "base/check.h"
#include "base/digest.h"
#include "base/fault.h"
#include "base/fsutil.h"
#include "base/log.h"
#include "base/metrics.h"
#include "store/group_sync.h"
#include "store/staging.h"
#include "store/store_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DIR_MODE 0750
#define SUBDIRS 256

struct fs_store {
	struct store base;
	int media;    /* directory */
	int artifact; /* directory */
	struct staging_area staging;
	struct group_sync group;
	_Atomic bool durable[SUBDIRS]; /* this process has synced artifact/ since it saw the directory there */
};

static struct fs_store *fs_of(struct store *s)
{
	return container_of(s, struct fs_store, base);
}

/* ---- opening ---- */

static int make_dir_at(int parent, const char *name, struct err *err)
{
	if (mkdirat(parent, name, DIR_MODE) != 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot create directory %s", name);
	return 0;
}

static int open_dir_at(int parent, const char *name, int *out, struct err *err)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "cannot open directory %s", name);
	*out = fd;
	return 0;
}

static void fs_store_free(struct store *s)
{
	struct fs_store *fs = fs_of(s);

	staging_area_close(&fs->staging);
	fs_close(&fs->artifact);
	fs_close(&fs->media);
	free(fs);
}

static int sync_dir(int fd)
{
	/* EINVAL: some network file systems have no such call for directories, and write their names at once. */
	return fsync(fd) == 0 || errno == EINVAL ? 0 : -errno;
}

/* media/ itself, and its name: a first start followed by a loss of power keeps what was reported as saved. */
static int fs_sync_roots(struct fs_store *fs, struct err *err)
{
	int parent = -1, rc;

	rc = open_dir_at(fs->media, "..", &parent, err);
	if (rc != 0)
		return rc;
	rc = sync_dir(parent);
	if (rc == 0)
		rc = sync_dir(fs->media);
	fs_close(&parent);
	return rc == 0 ? 0 : err_sys(err, -rc, "cannot sync directory");
}

static int fs_init(struct fs_store *fs, const char *media, bool sweep, struct err *err)
{
	bool is_new = access(media, F_OK) != 0;
	int64_t removed = 0;
	int rc;

	rc = fs_mkdirs(media, DIR_MODE, err);
	if (rc == 0)
		rc = open_dir_at(AT_FDCWD, media, &fs->media, err);
	if (rc == 0) {
		is_new |= faccessat(fs->media, "artifact", F_OK, 0) != 0;
		rc = make_dir_at(fs->media, "artifact", err);
	}
	if (rc == 0)
		rc = open_dir_at(fs->media, "artifact", &fs->artifact, err);
	if (rc == 0) {
		group_sync_init(&fs->group, fs->artifact);
		rc = staging_area_open(&fs->staging, fs->media, err);
	}
	if (rc == 0 && is_new)
		rc = fs_sync_roots(fs, err);
	if (rc == 0 && sweep)
		rc = staging_area_sweep(&fs->staging, &removed, err);
	if (removed > 0)
		log_info("store", "removed unfinished downloads of an earlier run files=%lld", (long long)removed);
	return rc;
}

/* ---- saving ---- */

static const char *name_in_subdir(const char name[STORE_NAME_MAX])
{
	return name + sizeof("artifact/") - 1;
}

static int item_check(struct store_item *item)
{
	char name[STORE_NAME_MAX];
	struct stat st;

	if (fstat(item->st->fd, &st) != 0)
		return err_sys(&item->err, errno, "cannot save %s: fstat", store_name(item->sha256, name));
	if (st.st_size != item->size)
		return err_set(&item->err, -ERR_SIZE, "cannot save %s: %lld bytes are staged, %lld were announced",
			store_name(item->sha256, name), (long long)st.st_size, (long long)item->size);
	return 0;
}

static int item_sync(struct store_item *item, bool synced)
{
	char name[STORE_NAME_MAX];

	if (FAULT("store.commit.sync") != 0 || (!synced && fdatasync(item->st->fd) != 0))
		return err_sys(&item->err, errno, "cannot save %s: fdatasync", store_name(item->sha256, name));
	return 0;
}

/* The bytes of each, before any of them gets its name. False: by a sync for each. */
static bool items_sync(struct fs_store *fs, struct store_item *items, size_t count)
{
	bool grouped = false;
	int64_t bytes = 0;
	int good = 0, one = -1;

	for (size_t i = 0; i < count; i++) {
		items[i].rc = item_check(&items[i]);
		if (items[i].rc != 0)
			continue;
		bytes += items[i].size;
		good++;
		one = items[i].st->fd;
	}
	if (group_sync_pays(&fs->group, good, bytes))
		grouped = group_sync_run(&fs->group, one) == 0; /* else each tells whether it is its own failure */
	for (size_t i = 0; i < count; i++)
		if (items[i].rc == 0)
			items[i].rc = item_sync(&items[i], grouped);
	return grouped;
}

/* The name is taken: by the same artifact, as it should be, or by something that only claims to be it. 1: replaced. */
static int item_settle(struct fs_store *fs, struct store_item *item, const char *name)
{
	struct stat st;
	int rc;

	if (fstatat(fs->artifact, name_in_subdir(name), &st, 0) == 0 && S_ISREG(st.st_mode) && st.st_size == item->size)
		return 0;
	log_warn("store", "replacing a damaged artifact name=%s", name);
	rc = staging_replace(item->st, fs->artifact, name_in_subdir(name));
	if (rc != 0)
		return err_sys(&item->err, -rc, "cannot save %s: rename", name);
	return 1;
}

static int link_once(struct fs_store *fs, struct store_item *item, const char *name)
{
	int rc;

	if (FAULT("store.commit.link") != 0)
		return -errno;
	rc = staging_link(item->st, fs->artifact, name_in_subdir(name));
	/* File systems without hard links answer so: what is renamed over is either the same or damaged. */
	if ((rc == -EPERM || rc == -EOPNOTSUPP) && item->st->name[0] != '\0')
		rc = staging_replace(item->st, fs->artifact, name_in_subdir(name));
	return rc;
}

/* 1: it got its name; 0: it had been there. */
static int item_link(struct fs_store *fs, struct store_item *item, const char *name)
{
	int rc = link_once(fs, item, name);

	if (rc == -ENOENT) {
		char subdir[3] = {name_in_subdir(name)[0], name_in_subdir(name)[1], '\0'};

		if (mkdirat(fs->artifact, subdir, DIR_MODE) != 0 && errno != EEXIST)
			return err_sys(&item->err, errno, "cannot save %s: mkdir", name);
		atomic_store(&fs->durable[item->sha256[0]], false);
		rc = link_once(fs, item, name);
	}
	if (rc == -EEXIST)
		return item_settle(fs, item, name);
	if (rc != 0)
		return err_sys(&item->err, -rc, "cannot save %s: link", name);
	return 1;
}

/* 0 or -errno */
static int subdir_sync(struct fs_store *fs, unsigned subdir, bool synced)
{
	char name[3];
	int fd, rc;

	if (FAULT("store.commit.dirsync") != 0)
		return -errno;
	if (synced)
		return 0;
	snprintf(name, sizeof(name), "%02x", subdir);
	fd = openat(fs->artifact, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = sync_dir(fd);
	fs_close(&fd);
	return rc;
}

/* Each directory once, then their own names where this process cannot know them to be durable. A failure is one of
 * every item in that directory. `grouped`: the items' bytes were synced together, and the names shall be. */
static void dirs_sync(struct fs_store *fs, const bool used[SUBDIRS], int failed[SUBDIRS], bool grouped)
{
	bool synced = grouped && group_sync_run(&fs->group, fs->artifact) == 0, names = false;
	int rc = 0;

	for (unsigned i = 0; i < SUBDIRS; i++) {
		failed[i] = used[i] ? subdir_sync(fs, i, synced) : 0;
		names |= used[i] && failed[i] == 0 && !atomic_load(&fs->durable[i]);
	}
	if (!names)
		return;
	if (FAULT("store.commit.dirsync") != 0)
		rc = -errno;
	else
		rc = synced ? 0 : sync_dir(fs->artifact);
	for (unsigned i = 0; i < SUBDIRS; i++) {
		if (!used[i] || failed[i] != 0)
			continue;
		if (rc != 0 && !atomic_load(&fs->durable[i]))
			failed[i] = rc;
		else
			atomic_store(&fs->durable[i], true);
	}
}

static void fs_commit(struct store *s, struct store_item *items, size_t count)
{
	struct fs_store *fs = fs_of(s);
	bool used[SUBDIRS] = {false};
	int failed[SUBDIRS];
	char name[STORE_NAME_MAX];
	bool grouped = items_sync(fs, items, count);

	for (size_t i = 0; i < count; i++) {
		struct store_item *item = &items[i];

		if (item->rc == 0)
			item->rc = item_link(fs, item, store_name(item->sha256, name));
		if (item->rc >= 0)
			used[item->sha256[0]] = true;
	}
	dirs_sync(fs, used, failed, grouped);
	for (size_t i = 0; i < count; i++) {
		struct store_item *item = &items[i];
		int sys = failed[item->sha256[0]];
		bool saved = item->rc == 1;

		if (item->rc < 0)
			continue;
		item->rc = 0;
		item->existed = !saved;
		if (sys != 0) {
			item->rc = err_sys(&item->err, -sys, "cannot save %s: fsync of its directory",
				store_name(item->sha256, name));
		} else if (saved) {
			metric_inc(M_store_commits);
			metric_add(M_store_bytes_saved, item->size);
		}
	}
}

/* ---- what is there ---- */

static int fs_get(
	struct store *s, const uint8_t sha256[32], int64_t size, int *fd, int64_t *actual_size, struct err *err)
{
	struct fs_store *fs = fs_of(s);
	char name[STORE_NAME_MAX];
	struct stat st;
	int file, rc = 0;

	store_name(sha256, name);
	file = openat(fs->artifact, name_in_subdir(name), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (file < 0) {
		int sys = errno;

		rc = err_sys(err, sys, "cannot open %s", name);
		if (sys != EMFILE && sys != ENFILE)
			return rc;
		if (err != NULL)
			err->code = -ERR_LIMIT;
		return -ERR_LIMIT;
	}
	if (fstat(file, &st) != 0) {
		rc = err_sys(err, errno, "cannot look at %s", name);
		goto out;
	}
	if (!S_ISREG(st.st_mode) || (size >= 0 && st.st_size != size)) {
		rc = err_set(err, -ERR_NOTFOUND, "%s is damaged: %lld bytes instead of %lld", name,
			(long long)st.st_size, (long long)size);
		log_warn("store", "ignoring a damaged artifact name=%s size=%lld expected=%lld", name,
			(long long)st.st_size, (long long)size);
		goto out;
	}
	*actual_size = st.st_size;
	*fd = file;
	file = -1;
out:
	fs_close(&file);
	return rc;
}

static int fs_get_cached(struct store *s, const uint8_t sha256[32], int64_t size, int *fd)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, .resolve = RESOLVE_CACHED};
	char name[STORE_NAME_MAX];
	struct statx st;
	int file;

	store_name(sha256, name);
	file = (int)syscall(SYS_openat2, fs_of(s)->artifact, name_in_subdir(name), &how, sizeof(how));
	if (file < 0)
		return -ERR_BUSY;
	if (statx(file, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE, &st) != 0 ||
		!S_ISREG(st.stx_mode) || (int64_t)st.stx_size != size) {
		fs_close(&file);
		return -ERR_BUSY; /* store_get says what is wrong with it */
	}
	*fd = file;
	return 0;
}

static bool fs_has(struct store *s, const uint8_t sha256[32])
{
	char name[STORE_NAME_MAX];
	struct stat st;

	store_name(sha256, name);
	return fstatat(fs_of(s)->artifact, name_in_subdir(name), &st, 0) == 0 && S_ISREG(st.st_mode);
}

static bool fs_is(struct store *s, const uint8_t sha256[32], int fd)
{
	char name[STORE_NAME_MAX];
	struct stat now, then;

	store_name(sha256, name);
	return fstatat(fs_of(s)->artifact, name_in_subdir(name), &now, 0) == 0 && fstat(fd, &then) == 0 &&
	       now.st_dev == then.st_dev && now.st_ino == then.st_ino;
}

static int fs_remove(struct store *s, const uint8_t sha256[32], struct err *err)
{
	char name[STORE_NAME_MAX];

	store_name(sha256, name);
	if (unlinkat(fs_of(s)->artifact, name_in_subdir(name), 0) != 0 && errno != ENOENT)
		return err_sys(err, errno, "cannot remove %s", name);
	return 0;
}

/* ---- files that come in chunks ---- */

/* upload/ is made when it is needed: most stores never see an upload. */
static int fs_part_open(struct store *s, const char *name, bool create, int *fd, struct err *err)
{
	int media = fs_of(s)->media, dir = -1, file, rc = 0;

	if (create)
		rc = make_dir_at(media, "upload", err);
	if (rc == 0)
		rc = open_dir_at(media, "upload", &dir, err);
	if (rc < 0)
		return rc;
	file = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0640);
	if (file < 0)
		rc = err_sys(err, errno, "cannot open upload/%s", name);
	else
		*fd = file;
	fs_close(&dir);
	return rc;
}

static int fs_part_remove(struct store *s, const char *name, struct err *err)
{
	int dir, rc = 0;

	dir = openat(fs_of(s)->media, "upload", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "cannot open directory upload");
	if (unlinkat(dir, name, 0) != 0 && errno != ENOENT)
		rc = err_sys(err, errno, "cannot remove upload/%s", name);
	fs_close(&dir);
	return rc;
}

/* ---- what is to go ---- */

#define ASIDE_NAME_MAX (STORE_NAME_MAX + 8)

/* In staging/, where a start would sweep it. */
static char *aside_name(const uint8_t sha256[32], char out[ASIDE_NAME_MAX])
{
	char hex[65];

	hex_of(sha256, 32, hex);
	snprintf(out, ASIDE_NAME_MAX, "gone-%s", hex);
	return out;
}

static int fs_set_aside(struct store *s, const uint8_t sha256[32], struct err *err)
{
	struct fs_store *fs = fs_of(s);
	char name[STORE_NAME_MAX], aside[ASIDE_NAME_MAX];

	store_name(sha256, name);
	if (FAULT("store.set_aside") != 0 ||
		(renameat(fs->artifact, name_in_subdir(name), fs->staging.dir, aside_name(sha256, aside)) != 0 &&
			errno != ENOENT))
		return err_sys(err, errno, "cannot set %s aside", name);
	return 0;
}

static int fs_discard(struct store *s, const uint8_t sha256[32], struct err *err)
{
	char aside[ASIDE_NAME_MAX];

	if (FAULT("store.discard") != 0 ||
		(unlinkat(fs_of(s)->staging.dir, aside_name(sha256, aside), 0) != 0 && errno != ENOENT))
		return err_sys(err, errno, "cannot remove staging/%s", aside);
	return 0;
}

static int fs_staging(struct store *s, struct staging **out, struct err *err)
{
	return staging_create(&fs_of(s)->staging, out, err);
}

static int fs_space(struct store *s, int64_t *total, int64_t *used, int64_t *free_, struct err *err)
{
	struct statvfs vfs;

	if (fstatvfs(fs_of(s)->media, &vfs) != 0)
		return err_sys(err, errno, "cannot measure the media directory");
	*total = (int64_t)(vfs.f_blocks * vfs.f_frsize);
	*used = (int64_t)((vfs.f_blocks - vfs.f_bfree) * vfs.f_frsize);
	*free_ = (int64_t)(vfs.f_bavail * vfs.f_frsize);
	return 0;
}

static const struct store_ops fs_ops = {
	.close = fs_store_free,
	.staging = fs_staging,
	.commit = fs_commit,
	.get = fs_get,
	.get_cached = fs_get_cached,
	.has = fs_has,
	.is = fs_is,
	.remove = fs_remove,
	.set_aside = fs_set_aside,
	.discard = fs_discard,
	.part_open = fs_part_open,
	.part_remove = fs_part_remove,
	.space = fs_space,
};

int store_fs_open(const char *media, bool sweep, struct store **out, struct err *err)
{
	struct fs_store *fs = calloc(1, sizeof(*fs));
	int rc;

	if (fs == NULL)
		return err_set(err, -ERR_NOMEM, "store");
	fs->base = (struct store){.magic = STORE_MAGIC, .ops = &fs_ops};
	fs->media = fs->artifact = fs->staging.dir = -1;
	rc = fs_init(fs, media, sweep, err);
	if (rc != 0) {
		(void)err_wrap(err, "media directory %s", media);
		fs_store_free(&fs->base);
		return rc;
	}
	*out = &fs->base;
	return 0;
}
