/* Files: whole-buffer reads and writes, directories, durable replace. Blocking: pool, start-up and tasks only. */
#ifndef SLUICE_BASE_FSUTIL_H
#define SLUICE_BASE_FSUTIL_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

int fs_write_all(int fd, const void *p, size_t n, struct err *err);
int fs_pwrite_all(int fd, const void *p, size_t n, int64_t off, struct err *err);
/* Asks the kernel to begin writing these bytes to the disk, and does not wait: what fdatasync finds done later. A hint, which may block while the disk's
 * queue is full. */
void fs_write_back(int fd, int64_t off, int64_t n);
int fs_pread_all(int fd, void *p, size_t n, int64_t off, struct err *err); /* -ERR_TRUNCATED at end of file */
int fs_read_file(const char *path, size_t max_bytes, struct buf *out, struct err *err);
/* Temporary file beside it, fdatasync, rename, fsync of the directory: old or new content after any crash. */
int fs_replace_file(const char *path, const void *p, size_t n, mode_t mode, struct err *err);
int fs_mkdirs(const char *path, mode_t mode, struct err *err); /* as mkdir -p */
int fs_sync_dir(const char *path, struct err *err);
int fs_remove_tree(const char *path, struct err *err); /* never follows symbolic links; 0 if it is not there */
void fs_close(int *fd);                                /* closes if >= 0 and sets -1; EINTR-safe */

#endif
