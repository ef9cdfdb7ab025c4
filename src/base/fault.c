/* Fault points. Two lists of rules, one from SLUICE_FAULT and one from the file that SLUICE_FAULT_FILE names; `lock`
 * protects both. Speed does not matter here: such builds are for tests. A rule that cannot be read ends the process,
 * for a test whose fault never strikes would pass for the wrong reason. */
#include "base/fault.h"

#ifdef SLUICE_FAULTS

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FAULT_RULES_MAX 32
#define FAULT_TEXT_MAX 4096

enum fault_act { FAULT_ERRNO, FAULT_KILL, FAULT_SLEEP };

struct fault_rule {
	char name[64];
	int64_t first; /* strikes from this time on … */
	int64_t last;  /* … until this one */
	int64_t seen;
	enum fault_act act;
	int64_t arg; /* errno or milliseconds */
};

struct fault_list {
	struct fault_rule rules[FAULT_RULES_MAX];
	int n;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool env_read;
static struct fault_list from_env, from_file;
static struct timespec file_mtime;
static off_t file_size;
static ino_t file_ino;

static int fault_parse_errno(struct slice s)
{
	for (int e = 1; e < 4096; e++) {
		const char *name = strerrorname_np(e);

		if (name != NULL && slice_eq(s, slice_str(name)))
			return e;
	}
	return 0;
}

static int fault_parse_act(struct slice s, struct fault_rule *r)
{
	if (slice_eq(s, SLICE("kill"))) {
		r->act = FAULT_KILL;
		return 0;
	}
	if (slice_starts(s, SLICE("sleep:"))) {
		r->act = FAULT_SLEEP;
		return slice_to_i64(slice_of(s.p + 6, s.n - 6), 3600000, &r->arg);
	}
	r->act = FAULT_ERRNO;
	r->arg = fault_parse_errno(s);
	return r->arg != 0 ? 0 : -ERR_INVAL;
}

static int fault_parse_times(struct slice s, struct fault_rule *r)
{
	bool on = slice_ends(s, SLICE("+"));

	r->first = 1;
	r->last = INT64_MAX;
	if (slice_eq(s, SLICE("*")))
		return 0;
	if (slice_to_i64(on ? slice_of(s.p, s.n - 1) : s, INT32_MAX, &r->first) < 0 || r->first < 1)
		return -ERR_INVAL;
	if (!on)
		r->last = r->first;
	return 0;
}

/* One "name@times=act". */
static int fault_parse_rule(struct slice s, struct fault_rule *r)
{
	struct slice name = slice_cut(&s, '@');
	struct slice times = slice_cut(&s, '=');

	*r = (struct fault_rule){0};
	if (name.n == 0 || name.n >= sizeof(r->name) || s.p == NULL)
		return -ERR_INVAL;
	memcpy(r->name, name.p, name.n);
	if (fault_parse_times(times, r) < 0)
		return -ERR_INVAL;
	return fault_parse_act(s, r);
}

/* Rules separated by white space. On failure *bad is the rule that could not be read. */
static int fault_parse(struct slice text, struct fault_list *out, struct slice *bad)
{
	size_t i = 0;

	out->n = 0;
	while (i < text.n) {
		size_t start = i;

		while (i < text.n && memchr(" \t\r\n", text.p[i], 4) == NULL)
			i++;
		*bad = slice_of(text.p + start, i - start);
		i++;
		if (bad->n == 0)
			continue;
		if (out->n == FAULT_RULES_MAX || fault_parse_rule(*bad, &out->rules[out->n]) < 0)
			return -ERR_INVAL;
		out->n++;
	}
	return 0;
}

static void fault_load(struct slice text, const char *where, struct fault_list *out)
{
	struct slice bad = SLICE_NULL;

	if (fault_parse(text, out, &bad) == 0)
		return;
	fprintf(stderr, "%s: cannot read the fault '%.*s'\n", where, SLICE_ARG(bad));
	abort();
}

static void fault_refresh_file(void)
{
	const char *path = getenv("SLUICE_FAULT_FILE");
	char text[FAULT_TEXT_MAX];
	struct stat st;
	ssize_t n;
	int fd;

	if (path == NULL)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		from_file.n = 0; /* no file: no faults */
		file_ino = 0;
	} else if (st.st_ino != file_ino || st.st_size != file_size || st.st_mtim.tv_sec != file_mtime.tv_sec ||
		   st.st_mtim.tv_nsec != file_mtime.tv_nsec) {
		file_ino = st.st_ino;
		file_size = st.st_size;
		file_mtime = st.st_mtim;
		n = read(fd, text, sizeof(text));
		fault_load(slice_of(text, n > 0 ? (size_t)n : 0), path, &from_file);
	}
	if (fd >= 0)
		close(fd);
}

/* Counts a visit of `name`; returns what strikes, sleeping first where a rule says so. */
static void fault_visit(struct fault_list *l, const char *name, int64_t *sleep_ms, bool *die, int *err)
{
	for (int i = 0; i < l->n; i++) {
		struct fault_rule *r = &l->rules[i];

		if (strcmp(r->name, name) != 0)
			continue;
		r->seen++;
		if (r->seen < r->first || r->seen > r->last)
			continue;
		if (r->act == FAULT_SLEEP)
			*sleep_ms += r->arg;
		else if (r->act == FAULT_KILL)
			*die = true;
		else if (*err == 0)
			*err = (int)r->arg;
	}
}

int fault_at(const char *name)
{
	int64_t sleep_ms = 0;
	bool die = false;
	int err = 0;

	pthread_mutex_lock(&lock);
	if (!env_read) {
		env_read = true;
		fault_load(slice_str(getenv("SLUICE_FAULT")), "SLUICE_FAULT", &from_env);
	}
	fault_refresh_file();
	fault_visit(&from_env, name, &sleep_ms, &die, &err);
	fault_visit(&from_file, name, &sleep_ms, &die, &err);
	pthread_mutex_unlock(&lock);

	if (sleep_ms > 0) {
		struct timespec left = {.tv_sec = sleep_ms / 1000, .tv_nsec = sleep_ms % 1000 * NS_PER_MS};

		while (nanosleep(&left, &left) < 0 && errno == EINTR)
			continue;
	}
	if (die)
		(void)kill(getpid(), SIGKILL);
	if (err != 0)
		errno = err;
	return -err;
}

#endif
