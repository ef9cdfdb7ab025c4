/* Asking gpgv, and what of keys is needed before one can. It gets everything as files without names, and says what it found on
 * a descriptor of its own, line by line; its exit status will not do: it is bad as soon as one of several signatures is by
 * an unknown key, which is how Debian's are while keys change. */
#include "base/gpgv.h"

#include "base/check.h"
#include "base/digest.h"
#include "base/fsutil.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- armour (RFC 4880, 6.2) ---- */

static int base64_value(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

struct base64 {
	unsigned bits;
	int have;
	bool ended;
};

static int decode_line(struct base64 *b, struct slice line, struct buf *out)
{
	for (size_t i = 0; i < line.n; i++) {
		int v = base64_value(line.p[i]);
		char byte;

		if (line.p[i] == '=') {
			b->ended = true;
			continue;
		}
		if (v < 0 || b->ended)
			return -ERR_PARSE;
		b->bits = b->bits << 6 | (unsigned)v;
		b->have += 6;
		if (b->have < 8)
			continue;
		b->have -= 8;
		byte = (char)(b->bits >> b->have & 0xff);
		if (buf_add(out, &byte, 1) != 0)
			return out->failed;
	}
	return 0;
}

static struct slice next_line(struct slice *rest)
{
	return slice_trim(slice_cut(rest, '\n'));
}

/* What stands between the first and the last line of a block. */
static int dearmor_block(struct slice *rest, struct buf *out)
{
	struct base64 b = {.have = 0};
	struct slice line;
	int rc;

	do { /* its head, which ends with an empty line */
		if (rest->p == NULL)
			return -ERR_PARSE;
		line = next_line(rest);
	} while (line.n > 0);
	while (rest->p != NULL) {
		line = next_line(rest);
		if (slice_eq(line, SLICE("-----END PGP PUBLIC KEY BLOCK-----")))
			return 0;
		if (line.n == 5 && line.p[0] == '=') /* the checksum, of no use to anybody */
			continue;
		rc = decode_line(&b, line, out);
		if (rc != 0)
			return rc;
	}
	return -ERR_PARSE;
}

int gpgv_dearmor(struct slice keys, struct buf *out, struct err *err)
{
	struct slice rest = keys;
	size_t before = out->n;
	int rc = 0;

	while (rc == 0 && rest.p != NULL)
		if (slice_eq(next_line(&rest), SLICE("-----BEGIN PGP PUBLIC KEY BLOCK-----")))
			rc = dearmor_block(&rest, out);
	if (rc == -ERR_PARSE)
		return err_set(err, rc, "a public key is damaged");
	if (rc != 0)
		return err_set(err, -ERR_NOMEM, "no memory for public keys");
	return out->n > before ? 0 : err_set(err, -ERR_PARSE, "there is no armoured public key");
}

/* ---- fingerprints (RFC 4880, 12.2; RFC 9580, 5.5.4) ---- */

/* The body of the first packet, which has to be a public key. */
static int key_packet(struct slice ring, struct slice *out)
{
	const unsigned char *p = (const unsigned char *)ring.p;
	size_t head, n;
	bool is_new;

	if (ring.n < 6 || (p[0] & 0x80) == 0)
		return -ERR_PARSE;
	is_new = (p[0] & 0x40) != 0;
	if ((is_new ? p[0] & 0x3f : p[0] >> 2 & 0x0f) != 6)
		return -ERR_PARSE;
	if (is_new ? p[1] < 192 : (p[0] & 3) == 0) {
		head = 2;
		n = p[1];
	} else if (is_new && p[1] < 224) {
		head = 3;
		n = ((size_t)(p[1] - 192) << 8) + p[2] + 192;
	} else if (!is_new && (p[0] & 3) == 1) {
		head = 3;
		n = (size_t)p[1] << 8 | p[2];
	} else {
		return -ERR_PARSE; /* longer than any key */
	}
	if (n == 0 || n > ring.n - head)
		return -ERR_PARSE;
	*out = slice_of(ring.p + head, n);
	return 0;
}

int gpgv_fingerprint(struct slice keys, char out[GPGV_FINGERPRINT_MAX], struct err *err)
{
	struct buf ring = BUF_INIT(GPGV_KEYS_MAX);
	struct hasher *h = NULL;
	enum digest_alg alg;
	struct slice body;
	struct digests ds;
	int rc = gpgv_dearmor(keys, &ring, err);

	if (rc == 0 && key_packet(buf_slice(&ring), &body) != 0)
		rc = err_set(err, -ERR_PARSE, "a public key is damaged");
	if (rc == 0 && body.p[0] != 4 && body.p[0] != 6)
		rc = err_set(err, -ERR_UNSUPPORTED, "public keys of version %d cannot be used", (int)body.p[0]);
	if (rc != 0)
		goto out;
	alg = body.p[0] == 4 ? DIGEST_SHA1 : DIGEST_SHA256;
	if (hasher_new(1u << alg, &h) != 0) {
		rc = err_set(err, -ERR_NOMEM, "no memory for a digest");
		goto out;
	}
	if (alg == DIGEST_SHA1)
		hasher_add(h, (const unsigned char[]){0x99, (unsigned char)(body.n >> 8), (unsigned char)body.n}, 3);
	else
		hasher_add(
			h, (const unsigned char[]){0x9b, 0, 0, (unsigned char)(body.n >> 8), (unsigned char)body.n}, 5);
	hasher_add(h, body.p, body.n);
	hasher_end(h, &ds);
	hasher_free(&h);
	(void)hex_of(ds.d[alg], (size_t)digest_len(alg), out);
	for (char *c = out; *c != '\0'; c++)
		*c = (char)(*c >= 'a' ? *c - 'a' + 'A' : *c);
out:
	buf_fini(&ring);
	return rc;
}

/* ---- gpgv ---- */

enum { KEYS, SIGNATURE, DATA, TEXT, STATUS, FILES };

/* Descriptors that the child sees: those of `names`. */
#define CHILD_FD 3
static const char *const names[FILES] = {"/dev/fd/3", "/dev/fd/4", "/dev/fd/5", "/dev/fd/6", "/dev/fd/7"};

static int make_file(struct slice content, int *out, struct err *err)
{
	int fd = memfd_create("gpgv", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "a file in memory for gpgv");
	*out = fd;
	return content.n > 0 ? fs_pwrite_all(fd, content.p, content.n, 0, err) : 0;
}

static int read_file(int fd, size_t max, struct buf *out, struct err *err)
{
	struct stat st;
	int rc;

	buf_fini(out);
	*out = BUF_INIT(max);
	if (fstat(fd, &st) != 0)
		return err_sys(err, errno, "what gpgv wrote");
	rc = (size_t)st.st_size <= max ? buf_reserve(out, (size_t)st.st_size) : -ERR_LIMIT;
	if (rc != 0)
		return err_set(err, rc, "gpgv wrote more than %zu bytes", max);
	if (st.st_size > 0)
		rc = fs_pread_all(fd, out->p, (size_t)st.st_size, 0, err);
	if (rc == 0 && st.st_size > 0) {
		out->n = (size_t)st.st_size;
		out->p[out->n] = '\0';
	}
	return rc;
}

static int spawn(const int fds[FILES], bool detached, pid_t *pid, struct err *err)
{
	/* SHA1 is too weak for apt as well. */
	const char *argv[] = {"gpgv", "--keyring", names[KEYS], "--status-fd", "7", "--weak-digest", "SHA1",
		detached ? "--quiet" : "--output", detached ? "--" : "-", names[detached ? SIGNATURE : DATA],
		detached ? names[DATA] : NULL, NULL};
	char *const env[] = {(char *)(uintptr_t) "LC_ALL=C", (char *)(uintptr_t) "PATH=/usr/local/bin:/usr/bin:/bin",
		(char *)(uintptr_t) "HOME=/nonexistent", NULL};
	posix_spawn_file_actions_t actions;
	int high[FILES], rc = posix_spawn_file_actions_init(&actions);

	if (rc != 0)
		return err_sys(err, rc, "starting gpgv");
	/* First out of the way, so that none is overwritten before it is copied. */
	for (int i = 0; i < FILES; i++)
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, CHILD_FD + FILES);
	for (int i = 0; rc == 0 && i < FILES; i++)
		rc = high[i] < 0 ? EMFILE : posix_spawn_file_actions_adddup2(&actions, high[i], CHILD_FD + i);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&actions, high[TEXT], STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (rc == 0)
		rc = posix_spawnp(pid, "gpgv", &actions, NULL, (char *const *)(uintptr_t)argv, env);
	for (int i = 0; i < FILES; i++)
		fs_close(&high[i]);
	posix_spawn_file_actions_destroy(&actions);
	if (rc == ENOENT)
		return err_set(err, -ERR_UNSUPPORTED, "there is no gpgv on this machine to check signatures with");
	return rc == 0 ? 0 : err_sys(err, rc, "starting gpgv");
}

static int await(pid_t pid, struct err *err)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "waiting for gpgv");
	return WIFEXITED(status) && WEXITSTATUS(status) < 126 ? 0 : err_set(err, -ERR_IO, "gpgv died");
}

/* "[GNUPG:] NO_PUBKEY 0E98404D386FA1D9" and such. */
static int judge(struct slice status, struct err *err)
{
	struct slice unknown = SLICE_NULL, refused = SLICE_NULL;
	bool good = false, bad = false;

	while (status.p != NULL) {
		struct slice line = next_line(&status), word;

		if (!slice_starts(line, SLICE("[GNUPG:] ")))
			continue;
		line = slice_of(line.p + 9, line.n - 9);
		word = slice_cut(&line, ' ');
		good |= slice_eq(word, SLICE("GOODSIG"));
		bad |= slice_eq(word, SLICE("BADSIG"));
		if (slice_eq(word, SLICE("NO_PUBKEY")))
			unknown = slice_cut(&line, ' ');
		if (slice_eq(word, SLICE("EXPKEYSIG")) || slice_eq(word, SLICE("REVKEYSIG")) ||
			slice_eq(word, SLICE("EXPSIG")))
			refused = slice_cut(&line, ' ');
	}
	if (bad)
		return err_set(err, -ERR_DENIED, "its signature is wrong: the file is not what was signed");
	if (good)
		return 0;
	if (refused.n > 0)
		return err_set(err, -ERR_DENIED,
			"its signature by key %.*s has expired, or the key has, or was revoked", SLICE_ARG(refused));
	if (unknown.n > 0)
		return err_set(err, -ERR_DENIED, "it is signed by key %.*s, which is not among those that may sign it",
			SLICE_ARG(unknown));
	return err_set(err, -ERR_DENIED, "it has no signature that can be checked");
}

int gpgv_verify(struct slice keys, struct slice file, struct slice signature, struct buf *text, struct err *err)
{
	struct buf ring = BUF_INIT(GPGV_KEYS_MAX), status = BUF_INIT(0);
	int fds[FILES] = {-1, -1, -1, -1, -1};
	bool detached = signature.n > 0;
	pid_t pid = -1;
	int rc = gpgv_dearmor(keys, &ring, err);

	if (rc != 0 || (rc = make_file(buf_slice(&ring), &fds[KEYS], err)) != 0 ||
		(rc = make_file(signature, &fds[SIGNATURE], err)) != 0 ||
		(rc = make_file(file, &fds[DATA], err)) != 0 || (rc = make_file(SLICE_NULL, &fds[TEXT], err)) != 0 ||
		(rc = make_file(SLICE_NULL, &fds[STATUS], err)) != 0)
		goto out;
	rc = spawn(fds, detached, &pid, err);
	if (rc == 0)
		rc = await(pid, err);
	if (rc == 0)
		rc = read_file(fds[STATUS], (size_t)1 << 20, &status, err);
	if (rc == 0)
		rc = judge(buf_slice(&status), err);
	if (rc == 0 && !detached)
		rc = read_file(fds[TEXT], file.n, text, err);
	if (rc == 0 && detached) {
		buf_reset(text);
		rc = buf_add_slice(text, file) == 0 ? 0 : err_set(err, -ERR_NOMEM, "no memory for a Release file");
	}
out:
	for (int i = 0; i < FILES; i++)
		fs_close(&fds[i]);
	buf_fini(&ring);
	buf_fini(&status);
	return rc;
}
