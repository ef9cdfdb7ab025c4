/* The data directory. One server at a time works in it: flock on DATA/lock, which the kernel gives back however the
 * server ends. Task processes do not have the lock; they die with their server. */
#include "cmd/datadir.h"

#include "base/clock.h"
#include "base/fsutil.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TASKS_WAIT_NS (30 * NS_PER_S)
#define CLIENT_FILE "client.json"
#define CLIENT_FILE_MAX 65536

static const char *env_nonempty(const char *name)
{
	const char *v = getenv(name);

	return v != NULL && v[0] != '\0' ? v : NULL;
}

int datadir_find(const char *option, struct buf *out, struct err *err)
{
	const char *dir = option != NULL ? option : env_nonempty("SLUICE_DATA");
	const char *home;

	if (dir != NULL)
		buf_adds(out, dir);
	else if (geteuid() == 0)
		buf_adds(out, "/var/lib/sluice");
	else if ((home = env_nonempty("XDG_DATA_HOME")) != NULL)
		buf_addf(out, "%s/sluice", home);
	else if ((home = env_nonempty("HOME")) != NULL)
		buf_addf(out, "%s/.local/share/sluice", home);
	else
		return err_set(err, -ERR_INVAL, "there is no home directory: name the data directory with --data DIR");
	if (out->failed != 0)
		return err_set(err, out->failed, "the data directory's name");
	if (out->n == 0)
		return err_set(err, -ERR_INVAL, "the data directory's name is empty");
	return 0;
}

/* Who has the lock says so in it, for people. */
static int lock_taken(int fd, const char *dir, struct err *err)
{
	char text[32] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	if (pid > 0)
		return err_set(err, -ERR_BUSY, "'%s' is in use by another server (process %ld)", dir, pid);
	return err_set(err, -ERR_BUSY, "'%s' is in use by another server", dir);
}

static int lock_open(const char *dir, const char *name, int *fd, struct err *err)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return err_set(err, -ERR_INVAL, "the name of the data directory is too long");
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *fd < 0 ? err_sys(err, errno, "opening '%s'", path) : 0;
}

int datadir_wait_for_tasks(const char *dir, struct err *err)
{
	struct timespec nap = {.tv_nsec = 20 * NS_PER_MS};
	int64_t deadline = clock_mono_ns() + TASKS_WAIT_NS;
	int fd = -1, rc = lock_open(dir, "tasks.lock", &fd, err);

	while (rc == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			rc = err_sys(err, errno, "locking 'tasks.lock' in '%s'", dir);
		else if (clock_mono_ns() > deadline)
			rc = err_set(err, -ERR_BUSY, "a task process of the former server still works in '%s'", dir);
		else
			nanosleep(&nap, NULL);
	}
	fs_close(&fd);
	return rc;
}

int datadir_join_tasks(const char *dir, int *out, struct err *err)
{
	int fd = -1, rc = lock_open(dir, "tasks.lock", &fd, err);

	while (rc == 0 && flock(fd, LOCK_SH) < 0) {
		if (errno != EINTR)
			rc = err_sys(err, errno, "locking 'tasks.lock' in '%s'", dir);
	}
	if (rc < 0)
		fs_close(&fd);
	else
		*out = fd;
	return rc;
}

int datadir_join_members(const char *dir, int *out, struct err *err)
{
	int fd = -1, rc = lock_open(dir, "members.lock", &fd, err);

	while (rc == 0 && flock(fd, LOCK_SH) < 0) {
		if (errno != EINTR)
			rc = err_sys(err, errno, "locking 'members.lock' in '%s'", dir);
	}
	if (rc < 0)
		fs_close(&fd);
	else
		*out = fd;
	return rc;
}

int datadir_has_members(const char *dir, bool *any, struct err *err)
{
	int fd = -1, rc = lock_open(dir, "members.lock", &fd, err);

	if (rc < 0)
		return rc;
	*any = flock(fd, LOCK_EX | LOCK_NB) < 0;
	if (*any && errno != EWOULDBLOCK)
		rc = err_sys(err, errno, "locking 'members.lock' in '%s'", dir);
	fs_close(&fd);
	return rc;
}

int datadir_lock(const char *dir, int *out, struct err *err)
{
	char pid[32];
	int fd = -1, rc = fs_mkdirs(dir, 0700, err);

	if (rc == 0)
		rc = lock_open(dir, "lock", &fd, err);
	if (rc < 0)
		return rc;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		rc = errno == EWOULDBLOCK ? lock_taken(fd, dir, err) : err_sys(err, errno, "locking '%s'", dir);
		goto out;
	}
	snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0) {
		rc = err_sys(err, errno, "writing the lock of '%s'", dir);
		goto out;
	}
	rc = fs_pwrite_all(fd, pid, strlen(pid), 0, err);
	if (rc < 0)
		goto out;
	*out = fd;
	fd = -1;
out:
	fs_close(&fd);
	return rc;
}

/* ---- client.json ---- */

void client_info_fini(struct client_info *info)
{
	free(info->url);
	free(info->username);
	free(info->password);
	free(info->connect_to);
	free(info->ca_file);
	*info = (struct client_info){0};
}

static int take_text(const json_t *root, const char *key, char **out, const char *path, struct err *err)
{
	const json_t *v = json_object_get(root, key);

	if (v == NULL || json_is_null(v))
		return 0;
	if (!json_is_string(v))
		return err_set(err, -ERR_PARSE, "'%s': \"%s\" is not a text", path, key);
	*out = strdup(json_string_value(v));
	return *out != NULL ? 0 : err_set(err, -ERR_NOMEM, "'%s'", path);
}

int client_info_read(const char *dir, struct client_info *out, struct err *err)
{
	struct buf path = BUF_INIT(4096), text = BUF_INIT(CLIENT_FILE_MAX);
	struct client_info info = {0};
	json_t *root = NULL;
	json_error_t je;
	int rc;

	buf_addf(&path, "%s/%s", dir, CLIENT_FILE);
	rc = path.failed != 0 ? err_set(err, path.failed, "the data directory's name is too long")
			      : fs_read_file(path.p, CLIENT_FILE_MAX, &text, err);
	if (rc < 0)
		goto out;
	root = json_loadb(text.p != NULL ? text.p : "", text.n, 0, &je);
	if (!json_is_object(root)) {
		rc = err_set(err, -ERR_PARSE, "'%s' is not a JSON object", path.p);
		goto out;
	}
	rc = take_text(root, "url", &info.url, path.p, err);
	if (rc == 0)
		rc = take_text(root, "username", &info.username, path.p, err);
	if (rc == 0)
		rc = take_text(root, "password", &info.password, path.p, err);
	if (rc == 0)
		rc = take_text(root, "connect_to", &info.connect_to, path.p, err);
	if (rc == 0)
		rc = take_text(root, "ca_file", &info.ca_file, path.p, err);
	if (rc == 0) {
		*out = info;
		info = (struct client_info){0};
	}
out:
	client_info_fini(&info);
	json_decref(root);
	buf_fini(&text);
	buf_fini(&path);
	return rc;
}

int client_info_write(const char *dir, const struct client_info *info, struct err *err)
{
	struct buf path = BUF_INIT(4096);
	char *text = NULL;
	json_t *root = json_pack("{s:s*, s:s*, s:s*, s:s*, s:s*}", "url", info->url, "username", info->username,
		"password", info->password, "connect_to", info->connect_to, "ca_file", info->ca_file);
	int rc;

	buf_addf(&path, "%s/%s", dir, CLIENT_FILE);
	if (root != NULL)
		text = json_dumps(root, JSON_INDENT(2));
	if (text == NULL || path.failed != 0)
		rc = err_set(err, -ERR_NOMEM, "writing '%s'", CLIENT_FILE);
	else
		rc = fs_replace_file(path.p, text, strlen(text), 0600, err);
	free(text);
	json_decref(root);
	buf_fini(&path);
	return rc;
}
