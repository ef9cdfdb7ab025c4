/* The shared counters: one page of one file, mapped by every process of the host.
 *
 * The file says nothing that must survive: a new one starts at zero, and readers only ask whether a number changed. Its
 * block is allocated before it is mapped, for a page that cannot be stored on a full disk would be a SIGBUS later. */
#include "base/shm.h"

#include "base/check.h"
#include "base/fsutil.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SHM_BYTES 4096
#define SHM_FORMAT UINT64_C(0x31306d6873736c75) /* also the byte order and version of what follows */

/* The layout of the file. Each counter has a cache line of its own: one changes often, the other is read often. */
struct shm_page {
	_Alignas(64) _Atomic uint64_t format;
	_Alignas(64) _Atomic uint64_t generation;
	_Alignas(64) _Atomic uint64_t task_signal;
};
static_assert(sizeof(struct shm_page) <= SHM_BYTES, "the counters fit the file");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock inside an atomic would not be shared");

struct shm {
	struct shm_page *page;
};

/* Claims a new file, or recognises ours. */
static int shm_check_format(struct shm_page *page, const char *path, struct err *err)
{
	uint64_t found = 0;

	if (atomic_compare_exchange_strong(&page->format, &found, SHM_FORMAT) || found == SHM_FORMAT)
		return 0;
	return err_set(err, -ERR_INVAL, "'%s' is not a file of shared counters", path);
}

int shm_open_file(const char *path, struct shm **out, struct err *err)
{
	void *page = MAP_FAILED;
	struct shm *s = NULL;
	int fd, rc;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, errno, "opening '%s'", path);
	rc = posix_fallocate(fd, 0, SHM_BYTES);
	if (rc != 0) {
		rc = err_sys(err, rc, "allocating '%s'", path);
		goto out;
	}
	page = mmap(NULL, SHM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		rc = err_sys(err, errno, "mapping '%s'", path);
		goto out;
	}
	rc = shm_check_format(page, path, err);
	if (rc < 0)
		goto out;
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		rc = err_set(err, -ERR_NOMEM, "mapping '%s'", path);
		goto out;
	}
	s->page = page;
	*out = s;
out:
	if (rc < 0 && page != MAP_FAILED)
		munmap(page, SHM_BYTES);
	fs_close(&fd);
	return rc;
}

void shm_close(struct shm **ps)
{
	struct shm *s = TAKE(*ps);

	if (s == NULL)
		return;
	munmap(s->page, SHM_BYTES);
	free(s);
}

/* Acquire and release: whoever sees the new number sees what was stored before it changed. */
uint64_t shm_generation(const struct shm *s)
{
	return atomic_load_explicit(&s->page->generation, memory_order_acquire);
}

void shm_bump_generation(struct shm *s)
{
	atomic_fetch_add_explicit(&s->page->generation, 1, memory_order_acq_rel);
}

uint64_t shm_task_signal(const struct shm *s)
{
	return atomic_load_explicit(&s->page->task_signal, memory_order_acquire);
}

void shm_bump_task_signal(struct shm *s)
{
	atomic_fetch_add_explicit(&s->page->task_signal, 1, memory_order_acq_rel);
}
