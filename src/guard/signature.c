/* See signature.h. Signed are the guard, the salt, the path and the query up to the token, each with its length, so that none can be shifted into another. */
#include "guard/signature.h"

#include "base/check.h"
#include "base/digest.h"
#include "base/fsutil.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXPIRES "expires="
#define TOKEN "validate_token="
#define SALT_BYTES 16
#define MAC_BYTES 32
#define TEXT_MAX (64 * 1024) /* of a path and a query */

/* ---- the key ---- */

static int read_key(const char *path, struct signing_key *out, struct err *err)
{
	struct buf b = BUF_INIT(0);
	int rc = fs_read_file(path, sizeof(out->b), &b, err);

	if (rc == 0 && b.n != sizeof(out->b))
		rc = err_set(err, -ERR_INVAL, "'%s' is no key of %zu bytes", path, sizeof(out->b));
	if (rc == 0)
		memcpy(out->b, b.p, sizeof(out->b));
	if (b.p != NULL)
		OPENSSL_cleanse(b.p, b.n);
	buf_fini(&b);
	return rc;
}

/* Under a name of its own first: under the real one it is whole from the beginning, and the first one stays. */
static int make_key(const char *path, struct err *err)
{
	struct signing_key key;
	char own[PATH_MAX + 32];
	int fd, rc;

	(void)snprintf(own, sizeof(own), "%s.%ld", path, (long)getpid());
	if (RAND_bytes(key.b, sizeof(key.b)) != 1)
		return err_set(err, -ERR_IO, "no random numbers for '%s'", path);
	fd = open(own, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, errno, "making '%s'", own);
	rc = fs_write_all(fd, key.b, sizeof(key.b), err);
	if (rc == 0 && fsync(fd) < 0)
		rc = err_sys(err, errno, "writing '%s'", own);
	fs_close(&fd);
	if (rc == 0 && link(own, path) < 0 && errno != EEXIST)
		rc = err_sys(err, errno, "making '%s'", path);
	(void)unlink(own);
	OPENSSL_cleanse(&key, sizeof(key));
	return rc;
}

int signing_key_load(const char *dir, struct signing_key *out, struct err *err)
{
	char path[PATH_MAX];
	int rc;

	if (dir[0] == '\0')
		return RAND_bytes(out->b, sizeof(out->b)) == 1 ? 0 : err_set(err, -ERR_IO, "no random numbers");
	if (snprintf(path, sizeof(path), "%s/signing.key", dir) >= (int)sizeof(path))
		return err_set(err, -ERR_INVAL, "the name of the data directory is too long");
	rc = read_key(path, out, err);
	if (rc == -ERR_NOTFOUND && (rc = make_key(path, err)) == 0)
		rc = read_key(path, out, err);
	return rc;
}

/* ---- signatures ---- */

static int mac_of(const struct signing_key *key, const struct uuid *guard, struct slice salt, struct slice path,
	struct slice query, uint8_t out[MAC_BYTES])
{
	uint64_t head[2] = {path.n, query.n};
	struct buf text = BUF_INIT(TEXT_MAX);
	unsigned n = MAC_BYTES;
	int rc;

	(void)buf_add(&text, guard->b, sizeof(guard->b));
	(void)buf_add_slice(&text, salt);
	(void)buf_add(&text, head, sizeof(head));
	(void)buf_add_slice(&text, path);
	(void)buf_add_slice(&text, query);
	rc = text.failed;
	if (rc == 0 && HMAC(EVP_sha256(), key->b, sizeof(key->b), (unsigned char *)text.p, text.n, out, &n) == NULL)
		rc = -ERR_NOMEM;
	buf_fini(&text);
	return rc;
}

static int add(const struct signing_key *key, const struct uuid *guard, const uint8_t salt[SALT_BYTES],
	struct slice path, struct slice query, int64_t expires_s, struct buf *out)
{
	uint8_t mac[MAC_BYTES];
	char salt_hex[2 * SALT_BYTES + 1], mac_hex[2 * MAC_BYTES + 1];
	struct buf whole = BUF_INIT(TEXT_MAX);
	int rc;

	(void)hex_of(salt, SALT_BYTES, salt_hex);
	(void)buf_add_slice(&whole, query);
	(void)buf_addf(&whole, "%s" EXPIRES "%lld", query.n > 0 ? "&" : "", (long long)expires_s);
	rc = whole.failed;
	if (rc == 0)
		rc = mac_of(key, guard, slice_str(salt_hex), path, buf_slice(&whole), mac);
	if (rc == 0)
		rc = buf_addf(out, "%s&" TOKEN "%s:%s", whole.p + query.n, salt_hex, hex_of(mac, sizeof(mac), mac_hex));
	buf_fini(&whole);
	return rc;
}

int signature_add(const struct signing_key *key, const struct uuid *guard, struct slice path, struct slice query,
	int64_t expires_s, struct buf *out)
{
	uint8_t salt[SALT_BYTES];

	return RAND_bytes(salt, sizeof(salt)) == 1 ? add(key, guard, salt, path, query, expires_s, out) : -ERR_IO;
}

int signature_add_same(const struct signing_key *key, const struct uuid *guard, struct slice path, struct slice query,
	int64_t expires_s, struct buf *out)
{
	static const uint8_t no_salt[SALT_BYTES];

	return add(key, guard, no_salt, path, query, expires_s, out);
}

/* The last parameter of the query is `name`: what stands in front of it, without '&', and its value. */
static bool last_parameter(struct slice query, struct slice name, struct slice *before, struct slice *value)
{
	ptrdiff_t amp = query.p != NULL ? slice_rchr(query, '&') : -1;
	struct slice last = slice_of(query.p + amp + 1, query.n - (size_t)(amp + 1));

	if (query.p == NULL || !slice_starts(last, name))
		return false;
	*before = slice_of(query.p, amp > 0 ? (size_t)amp : 0);
	*value = slice_of(last.p + name.n, last.n - name.n);
	return true;
}

bool signature_holds(
	const struct signing_key *key, const struct uuid *guard, struct slice path, struct slice query, int64_t now_s)
{
	struct slice signed_part, token, before, expires, salt;
	uint8_t want[MAC_BYTES], have[MAC_BYTES];
	int64_t expires_s;

	if (!last_parameter(query, SLICE(TOKEN), &signed_part, &token) ||
		!last_parameter(signed_part, SLICE(EXPIRES), &before, &expires) ||
		slice_to_i64(expires, INT64_MAX, &expires_s) < 0 || expires_s <= now_s)
		return false;
	salt = slice_cut(&token, ':');
	if (salt.n != 2 * SALT_BYTES || token.p == NULL || hex_parse(token, have, sizeof(have)) < 0 ||
		mac_of(key, guard, salt, path, signed_part, want) < 0)
		return false;
	return CRYPTO_memcmp(want, have, sizeof(want)) == 0;
}

int64_t signature_expires_s(struct slice query)
{
	struct slice signed_part, token, before, expires;
	int64_t s = 0;

	if (!last_parameter(query, SLICE(TOKEN), &signed_part, &token) ||
		!last_parameter(signed_part, SLICE(EXPIRES), &before, &expires) ||
		slice_to_i64(expires, INT64_MAX, &s) < 0)
		return 0;
	return s;
}
