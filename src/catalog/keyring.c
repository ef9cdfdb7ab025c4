/* See keyring.h. A sealed value is "s1:", the key's id, ':', and base64 of nonce, ciphertext and tag. A key's id is the beginning of its digest: a line
 * that was copied with an error is noticed when it is read, not when it is too late. */
#include "catalog/keyring.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/fsutil.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES 32
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define KEYS_MAX 8
#define FILE_MAX 8192
#define SECRET_MAX (64u << 20) /* of one value: a task's arguments may be long lists */

static const char preface[] =
	"# The keys of this server's secrets: of what remotes log in with, and of the tasks that change it. The first "
	"one\n"
	"# seals, the others only open. Without this file those secrets are lost: keep a copy, and not beside the\n"
	"# database's. `sluice secrets rotate` changes the key.\n";

struct key {
	char id[KEYRING_ID_LEN + 1];
	uint8_t b[KEY_BYTES];
};
struct keyring {
	size_t count; /* at least one */
	struct key keys[KEYS_MAX];
};

static void name_key(struct key *k)
{
	static const char label[] = "sluice secrets key";
	uint8_t text[sizeof(label) + KEY_BYTES], digest[SHA256_DIGEST_LENGTH];

	memcpy(text, label, sizeof(label));
	memcpy(text + sizeof(label), k->b, KEY_BYTES);
	(void)SHA256(text, sizeof(text), digest);
	(void)hex_of(digest, KEYRING_ID_LEN / 2, k->id);
	OPENSSL_cleanse(text, sizeof(text));
}

static int make_key(struct key *out, struct err *err)
{
	if (RAND_bytes(out->b, sizeof(out->b)) != 1)
		return err_set(err, -ERR_IO, "no random numbers for a key");
	name_key(out);
	return 0;
}

int keyring_new(struct keyring **out, struct err *err)
{
	struct keyring *k = calloc(1, sizeof(*k));
	int rc = k != NULL ? make_key(&k->keys[0], err) : err_set(err, -ERR_NOMEM, "no memory for a key");

	if (rc < 0) {
		free(k);
		return rc;
	}
	k->count = 1;
	*out = k;
	return 0;
}

void keyring_free(struct keyring **pk)
{
	struct keyring *k = TAKE(*pk);

	if (k == NULL)
		return;
	OPENSSL_cleanse(k, sizeof(*k));
	free(k);
}

size_t keyring_count(const struct keyring *k)
{
	return k->count;
}

int keyring_add(struct keyring *k, struct err *err)
{
	struct key fresh;
	int rc;

	if (k->count == KEYS_MAX)
		return err_set(err, -ERR_LIMIT, "there are %d keys already", KEYS_MAX);
	if ((rc = make_key(&fresh, err)) < 0)
		return rc;
	memmove(&k->keys[1], &k->keys[0], k->count * sizeof(k->keys[0]));
	k->keys[0] = fresh;
	k->count++;
	OPENSSL_cleanse(&fresh, sizeof(fresh));
	return 0;
}

void keyring_keep_first(struct keyring *k)
{
	OPENSSL_cleanse(&k->keys[1], sizeof(k->keys) - sizeof(k->keys[0]));
	k->count = 1;
}

/* ---- the file ---- */

static int read_line(struct keyring *k, struct slice line, struct err *err)
{
	struct slice key = line, id = slice_cut(&key, ' ');
	struct key *out = &k->keys[k->count];

	if (k->count == KEYS_MAX)
		return err_set(err, -ERR_PARSE, "there are more than %d keys", KEYS_MAX);
	key = key.p != NULL ? slice_trim(key) : SLICE("");
	if (id.n != KEYRING_ID_LEN || key.n != (size_t)2 * KEY_BYTES || hex_parse(key, out->b, KEY_BYTES) < 0)
		return err_set(err, -ERR_PARSE, "it is not an id of %d and a key of %d hex digits", KEYRING_ID_LEN,
			2 * KEY_BYTES);
	name_key(out);
	if (!slice_eq_nocase(id, slice_str(out->id)))
		return err_set(err, -ERR_PARSE, "the key is not the one that its id names: it is damaged");
	k->count++;
	return 0;
}

int keyring_load(const char *path, struct keyring **out, struct err *err)
{
	struct buf text = BUF_INIT(FILE_MAX);
	struct keyring *k = NULL;
	struct slice rest;
	int rc = fs_read_file(path, FILE_MAX, &text, err), n = 0;

	if (rc < 0)
		return rc;
	k = calloc(1, sizeof(*k));
	rest = buf_slice(&text);
	if (k == NULL)
		rc = err_set(err, -ERR_NOMEM, "no memory for the keys");
	while (rc == 0 && rest.p != NULL) {
		struct slice line = slice_trim(slice_cut(&rest, '\n'));

		n++;
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if ((rc = read_line(k, line, err)) < 0)
			(void)err_wrap(err, "'%s' line %d", path, n);
	}
	if (rc == 0 && k->count == 0)
		rc = err_set(err, -ERR_PARSE, "'%s' has no key in it", path);
	if (text.p != NULL)
		OPENSSL_cleanse(text.p, text.n);
	buf_fini(&text);
	if (rc < 0)
		keyring_free(&k);
	else
		*out = k;
	return rc;
}

int keyring_save(const struct keyring *k, const char *path, struct err *err)
{
	char text[sizeof(preface) + KEYS_MAX * (KEYRING_ID_LEN + 2 * KEY_BYTES + 2)], hex[2 * KEY_BYTES + 1];
	size_t n = sizeof(preface) - 1;
	int rc;

	memcpy(text, preface, n);
	for (size_t i = 0; i < k->count; i++)
		n += (size_t)snprintf(
			text + n, sizeof(text) - n, "%s %s\n", k->keys[i].id, hex_of(k->keys[i].b, KEY_BYTES, hex));
	rc = fs_replace_file(path, text, n, 0600, err);
	OPENSSL_cleanse(text, sizeof(text));
	OPENSSL_cleanse(hex, sizeof(hex));
	return rc;
}

/* ---- values ---- */

static const struct slice mark = {"s1:", 3};

void keyring_prefix(const struct keyring *k, char out[KEYRING_PREFIX_LEN + 1])
{
	(void)snprintf(out, KEYRING_PREFIX_LEN + 1, "s1:%s:", k->keys[0].id);
}

bool keyring_is_sealed(struct slice stored)
{
	return stored.n > KEYRING_PREFIX_LEN && slice_starts(stored, mark) && stored.p[KEYRING_PREFIX_LEN - 1] == ':';
}

/* "table.column" and the row's uuid; the zero between them is in no name. */
static size_t bound_to(const struct sealed_at *at, uint8_t out[128])
{
	size_t n = (size_t)snprintf((char *)out, 128 - sizeof(at->row.b), "%s.%s", at->table, at->column) + 1;

	BUG(n >= 128 - sizeof(at->row.b));
	memcpy(out + n, at->row.b, sizeof(at->row.b));
	return n + sizeof(at->row.b);
}

/* AES-256-GCM over n bytes from `in` to `out` (which may be the same); the tag is written when sealing, compared when opening. */
static bool gcm(bool seal, const struct key *key, const uint8_t *nonce, const struct sealed_at *at, const uint8_t *in,
	size_t n, uint8_t *out, uint8_t *tag)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t bound[128];
	size_t bound_n = bound_to(at, bound);
	int len = 0;
	bool ok;

	ok = c != NULL && EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key->b, nonce, seal) == 1 &&
	     EVP_CipherUpdate(c, NULL, &len, bound, (int)bound_n) == 1 &&
	     (n == 0 || EVP_CipherUpdate(c, out, &len, in, (int)n) == 1);
	if (ok && !seal)
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1;
	ok = ok && EVP_CipherFinal_ex(c, out + n, &len) == 1;
	if (ok && seal)
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag) == 1;
	EVP_CIPHER_CTX_free(c);
	return ok;
}

int keyring_seal(const struct keyring *k, const struct sealed_at *at, struct slice plain, char **out, struct err *err)
{
	size_t raw_n = NONCE_BYTES + plain.n + TAG_BYTES;
	uint8_t *raw;
	char *text;
	bool ok;

	if (plain.n > SECRET_MAX)
		return err_set(err, -ERR_LIMIT, "a secret for %s.%s is too long", at->table, at->column);
	raw = malloc(raw_n);
	text = malloc(KEYRING_PREFIX_LEN + (raw_n + 2) / 3 * 4 + 1);
	ok = raw != NULL && text != NULL && RAND_bytes(raw, NONCE_BYTES) == 1 &&
	     gcm(true, &k->keys[0], raw, at, (const uint8_t *)plain.p, plain.n, raw + NONCE_BYTES,
		     raw + NONCE_BYTES + plain.n);
	if (ok) {
		keyring_prefix(k, text);
		(void)EVP_EncodeBlock((unsigned char *)text + KEYRING_PREFIX_LEN, raw, (int)raw_n);
		*out = TAKE(text);
	}
	free(text);
	free(raw);
	return ok ? 0 : err_set(err, -ERR_NOMEM, "no memory to seal a secret");
}

static const struct key *key_named(const struct keyring *k, struct slice id)
{
	for (size_t i = 0; i < k->count; i++)
		if (slice_eq(id, slice_str(k->keys[i].id)))
			return &k->keys[i];
	return NULL;
}

/* The bytes of base64; -1: it is none. Room for text.n / 4 * 3. */
static int64_t decode(struct slice text, uint8_t *out)
{
	int n;

	if (text.n == 0 || text.n % 4 != 0 || text.n > INT_MAX ||
		(n = EVP_DecodeBlock(out, (const unsigned char *)text.p, (int)text.n)) < 0)
		return -1;
	for (size_t i = text.n; i > text.n - 2 && text.p[i - 1] == '='; i--)
		n--;
	return n;
}

int keyring_open(const struct keyring *k, const struct sealed_at *at, struct slice stored, char **out, size_t *n,
	struct err *err)
{
	const struct key *key;
	struct slice text;
	int64_t raw_n = -1;
	size_t plain_n = 0;
	uint8_t *raw;
	bool ok;

	if (!keyring_is_sealed(stored)) {
		*out = slice_dup(stored);
		*n = stored.n;
		return *out != NULL ? 0 : err_set(err, -ERR_NOMEM, "no memory for a value");
	}
	key = key_named(k, slice_of(stored.p + mark.n, KEYRING_ID_LEN));
	if (key == NULL)
		return err_set(err, -ERR_DENIED, "%s.%s is sealed with the key %.*s, which is not there", at->table,
			at->column, KEYRING_ID_LEN, stored.p + mark.n);
	text = slice_of(stored.p + KEYRING_PREFIX_LEN, stored.n - KEYRING_PREFIX_LEN);
	if ((raw = malloc(text.n / 4 * 3 + 1)) == NULL)
		return err_set(err, -ERR_NOMEM, "no memory to open a secret");
	raw_n = decode(text, raw);
	ok = raw_n >= NONCE_BYTES + TAG_BYTES;
	if (ok) {
		plain_n = (size_t)raw_n - NONCE_BYTES - TAG_BYTES;
		ok = gcm(false, key, raw, at, raw + NONCE_BYTES, plain_n, raw + NONCE_BYTES,
			raw + NONCE_BYTES + plain_n);
	}
	if (ok) {
		/* in place: where it was decoded is where it is given back */
		memmove(raw, raw + NONCE_BYTES, plain_n);
		OPENSSL_cleanse(raw + plain_n, (size_t)raw_n - plain_n);
		raw[plain_n] = '\0';
		*out = (char *)TAKE(raw);
		*n = plain_n;
	}
	free(raw);
	return ok ? 0
		  : err_set(err, -ERR_DENIED, "%s.%s is damaged, or was sealed for another row", at->table, at->column);
}
