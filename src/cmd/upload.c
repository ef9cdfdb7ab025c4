/* A file is read twice: once for its digest, which each chunk is sent with, and once to be sent. */
#include "cmd/upload.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/fsutil.h"
#include "cmd/progress.h"
#include "cmd/remote_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UPLOADS "/pulp/api/v3/uploads/"
#define SHOW_EVERY_NS (200 * NS_PER_MS)
#define KIB 1024

struct upload {
	struct client *client;
	const char *name; /* last part of the file's name */
	int fd;
	int64_t size;
	struct progress progress;
	bool quiet;
	int64_t shown_ns;
};

/* ---- progress ---- */

static void show(struct upload *u, int64_t done, const char *state)
{
	json_t *task;

	if (u->quiet)
		return;
	task = json_pack("{s:[{s:s, s:I, s:I, s:s}]}", "progress_reports", "message", u->name, "done",
		(json_int_t)(done == u->size ? (done + KIB - 1) / KIB : done / KIB), "total",
		(json_int_t)((u->size + KIB - 1) / KIB), "state", state);
	progress_show(&u->progress, task);
	json_decref(task);
}

static void sent(void *arg, int64_t off)
{
	struct upload *u = arg;
	int64_t now = clock_mono_ns();

	if (now - u->shown_ns < SHOW_EVERY_NS)
		return;
	u->shown_ns = now;
	show(u, off, "running");
}

/* ---- the requests ---- */

static int digest_of(struct upload *u, int64_t off, int64_t n, char hex[DIGEST_HEX_MAX], struct err *err)
{
	static char block[256 * KIB];
	struct hasher *h = NULL;
	struct digests d = {0};
	int rc = hasher_new(0, &h);

	if (rc < 0)
		return err_set(err, rc, "hashing '%s'", u->name);
	while (rc == 0 && n > 0) {
		size_t piece = (size_t)MIN(n, (int64_t)sizeof(block));

		rc = fs_pread_all(u->fd, block, piece, off, err);
		hasher_add(h, block, rc == 0 ? piece : 0);
		off += (int64_t)piece;
		n -= (int64_t)piece;
	}
	if (rc == 0) {
		hasher_end(h, &d);
		(void)digest_hex(DIGEST_SHA256, d.d[DIGEST_SHA256], hex);
	}
	hasher_free(&h);
	return rc;
}

static int send_chunk(struct upload *u, const char *href, int64_t off, int64_t n, struct err *err)
{
	struct client_part part = {.fd = u->fd, .off = off, .size = n, .name = u->name, .sent = sent, .arg = u};
	char hex[DIGEST_HEX_MAX], range[96];
	json_t *fields;
	int rc = digest_of(u, off, n, hex, err);

	if (rc < 0)
		return rc;
	(void)snprintf(range, sizeof(range), "Content-Range: bytes %lld-%lld/%lld", (long long)off,
		(long long)(off + n - 1), (long long)u->size);
	fields = json_pack("{s:s}", "sha256", hex);
	rc = client_send(u->client, "PUT", href, fields, &part, range, NULL, err);
	json_decref(fields);
	return rc;
}

static int send_chunks(struct upload *u, int64_t chunk_bytes, char **href, struct err *err)
{
	json_t *body = json_pack("{s:I}", "size", (json_int_t)u->size), *made = NULL;
	int rc = client_call(u->client, "POST", UPLOADS, body, &made, err);

	json_decref(body);
	if (rc == 0 && (*href = strdup(json_text_of(made, "pulp_href"))) == NULL)
		rc = err_set(err, -ERR_NOMEM, "uploading");
	json_decref(made);
	for (int64_t off = 0; rc == 0 && off < u->size; off += chunk_bytes)
		rc = send_chunk(u, *href, off, MIN(chunk_bytes, u->size - off), err);
	return rc;
}

/* What could not be finished is not left on the server. The first error is the one to tell. */
static void take_back(struct upload *u, const char *href)
{
	if (href != NULL)
		(void)client_call(u->client, "DELETE", href, NULL, NULL, NULL);
}

static int make_in_chunks(
	struct upload *u, const char *path, const json_t *body, int64_t chunk_bytes, json_t **out, struct err *err)
{
	json_t *with = json_copy((json_t *)(uintptr_t)body);
	char *href = NULL;
	int rc = with != NULL ? send_chunks(u, chunk_bytes, &href, err) : err_set(err, -ERR_NOMEM, "uploading");

	if (rc == 0 && json_object_set_new(with, "upload", json_string(href)) < 0)
		rc = err_set(err, -ERR_NOMEM, "uploading");
	if (rc == 0)
		rc = client_do(u->client, "POST", path, with, true, out, err);
	if (rc < 0)
		take_back(u, href);
	free(href);
	json_decref(with);
	return rc;
}

static int make_at_once(struct upload *u, const char *path, const json_t *body, json_t **out, struct err *err)
{
	struct client_part part = {.fd = u->fd, .size = u->size, .name = u->name, .sent = sent, .arg = u};
	json_t *answer = NULL;
	int rc = client_send(u->client, "POST", path, body, &part, NULL, &answer, err);

	if (rc == 0)
		rc = client_take_made(u->client, answer, path, out, err);
	json_decref(answer);
	return rc;
}

static int upload_open(struct upload *u, const char *file, struct err *err)
{
	struct stat st;

	u->fd = open(file, O_RDONLY | O_CLOEXEC);
	if (u->fd < 0 || fstat(u->fd, &st) < 0) {
		(void)err_sys(err, errno, "'%s'", file);
		return -ERR_IO; /* whatever it was, it was not the server */
	}
	if (!S_ISREG(st.st_mode))
		return err_set(err, -ERR_INVAL, "'%s' is not a regular file", file);
	u->size = st.st_size;
	return 0;
}

int upload_file(struct client *c, const char *path, const json_t *body, const char *file, int64_t chunk_bytes,
	bool quiet, json_t **out, struct err *err)
{
	const char *slash = strrchr(file, '/');
	struct upload u = {.client = c, .name = slash != NULL ? slash + 1 : file, .fd = -1, .quiet = quiet};
	int rc = upload_open(&u, file, err);

	progress_init(&u.progress, STDERR_FILENO);
	if (rc == 0)
		rc = u.size <= chunk_bytes ? make_at_once(&u, path, body, out, err)
					   : make_in_chunks(&u, path, body, chunk_bytes, out, err);
	if (rc == 0)
		show(&u, u.size, "completed");
	progress_end(&u.progress);
	fs_close(&u.fd);
	return rc;
}
