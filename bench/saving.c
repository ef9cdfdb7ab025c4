/* What saving costs at least on this machine, without a client, an upstream, a digest or a database:
 *
 *   saving DIR BATCH    for each line of standard input, a size: a file without a name is made in DIR, filled, made durable together with BATCH - 1
 *                       others (one syncfs, one flush), and linked to a name in one of 256 directories, which are made durable likewise.
 *
 * Prints the processor time of the process, in nanoseconds; what the kernel's own threads write behind it is not in it. */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SIZE_MAX_HERE (1 << 20)
#define BATCH_MAX 1024

static int dir;
static int batch[BATCH_MAX];
static int64_t named;

static void must(int rc, const char *what)
{
	if (rc < 0)
		tool_die("%s: %s", what, strerror(errno));
}

static void make_file(int *fd, int64_t size)
{
	static char bytes[SIZE_MAX_HERE];

	*fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
	must(*fd, "a file without a name");
	if (pwrite(*fd, bytes, (size_t)size, 0) != size)
		tool_die("write: %s", strerror(errno));
}

static void save(int n)
{
	must(syncfs(dir), "syncfs");
	must(fsync(batch[0]), "fsync");
	for (int i = 0; i < n; i++) {
		char from[64], to[80];

		(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", batch[i]);
		(void)snprintf(to, sizeof(to), "%02x/%062llx", (unsigned)(named * 167 % 256), (long long)named);
		must(linkat(AT_FDCWD, from, dir, to, AT_SYMLINK_FOLLOW), "link");
		named++;
	}
	must(syncfs(dir), "syncfs");
	must(fsync(dir), "fsync");
	for (int i = 0; i < n; i++)
		(void)close(batch[i]);
}

int main(int argc, char **argv)
{
	struct timespec used;
	char line[64];
	int size, n = 0;

	if (argc != 3)
		tool_die("usage: saving DIR BATCH");
	size = (int)tool_number("BATCH", slice_str(argv[2]), BATCH_MAX);
	dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(dir, argv[1]);
	for (unsigned i = 0; i < 256; i++) {
		char name[3];

		(void)snprintf(name, sizeof(name), "%02x", i);
		must(mkdirat(dir, name, 0750), "mkdir");
	}
	while (fgets(line, sizeof(line), stdin) != NULL) {
		struct slice number = slice_str(line);

		if (number.n > 0 && number.p[number.n - 1] == '\n')
			number.n--;
		make_file(&batch[n], tool_number("a size", number, SIZE_MAX_HERE));
		if (++n < size)
			continue;
		save(n);
		n = 0;
	}
	if (n > 0)
		save(n);
	must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), "clock");
	printf("%lld\n", (long long)used.tv_sec * 1000000000 + used.tv_nsec);
	return 0;
}
