/* Digests over one stream. The algorithms are fetched from OpenSSL once: an implicit fetch at each start costs more than
 * hashing a small file. */
#include "base/digest.h"

#include "base/check.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

#define HASHER_MAGIC 0x68736872u /* "hshr" */

struct hasher {
	unsigned magic;
	unsigned algs;
	int64_t bytes;
	EVP_MD_CTX *ctx[DIGEST_COUNT]; /* NULL for those not asked for */
};

static const struct {
	const char *name;
	int len;
} algs[DIGEST_COUNT] = {
#define X(NAME, name, len) [DIGEST_##NAME] = {#name, len},
	DIGEST_ALGS(X)
#undef X
};

static EVP_MD *mds[DIGEST_COUNT]; /* NULL where this OpenSSL refuses it, as FIPS does with MD5 */
static pthread_once_t mds_once = PTHREAD_ONCE_INIT;

static void fetch_mds(void)
{
	for (int i = 0; i < DIGEST_COUNT; i++)
		mds[i] = EVP_MD_fetch(NULL, algs[i].name, NULL);
}

int digest_len(enum digest_alg alg)
{
	BUG(alg >= DIGEST_COUNT);
	return algs[alg].len;
}

const char *digest_name(enum digest_alg alg)
{
	BUG(alg >= DIGEST_COUNT);
	return algs[alg].name;
}

int digest_alg_parse(struct slice name, enum digest_alg *out)
{
	for (int i = 0; i < DIGEST_COUNT; i++) {
		if (slice_eq(name, slice_str(algs[i].name))) {
			*out = (enum digest_alg)i;
			return 0;
		}
	}
	return -ERR_INVAL;
}

int digests_set_hex(struct digests *ds, enum digest_alg alg, struct slice hex)
{
	uint8_t bytes[DIGEST_MAX];

	if (hex_parse(hex, bytes, (size_t)digest_len(alg)) != 0)
		return -ERR_INVAL;
	digests_set(ds, alg, bytes);
	return 0;
}

void digests_set(struct digests *ds, enum digest_alg alg, const uint8_t *bytes)
{
	memcpy(ds->d[alg], bytes, (size_t)digest_len(alg));
	ds->have |= 1u << alg;
}

char *digest_hex(enum digest_alg alg, const uint8_t *bytes, char out[DIGEST_HEX_MAX])
{
	return hex_of(bytes, (size_t)digest_len(alg), out);
}

int digests_match(const struct digests *expected, const struct digests *actual, struct err *err)
{
	unsigned shared = expected->have & actual->have;

	if (expected->have == 0)
		return 0;
	if (shared == 0)
		return err_set(err, -ERR_DIGEST, "none of the expected digests was computed");
	for (int alg = DIGEST_COUNT - 1; alg >= 0; alg--) { /* the strongest is what the message should name */
		char is[DIGEST_HEX_MAX], want[DIGEST_HEX_MAX];

		if ((shared & 1u << alg) == 0 || memcmp(expected->d[alg], actual->d[alg], (size_t)algs[alg].len) == 0)
			continue;
		return err_set(err, -ERR_DIGEST, "%s is %s but %s was expected", algs[alg].name,
			digest_hex((enum digest_alg)alg, actual->d[alg], is),
			digest_hex((enum digest_alg)alg, expected->d[alg], want));
	}
	return 0;
}

int hasher_new(unsigned wanted, struct hasher **out)
{
	struct hasher *h;
	int rc = -ERR_NOMEM;

	BUG(wanted >> DIGEST_COUNT != 0);
	pthread_once(&mds_once, fetch_mds);
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		goto fail;
	h->magic = HASHER_MAGIC;
	h->algs = wanted | 1u << DIGEST_SHA256;
	for (int i = 0; i < DIGEST_COUNT; i++) {
		if ((h->algs & 1u << i) == 0)
			continue;
		if (mds[i] == NULL) {
			rc = -ERR_UNSUPPORTED;
			goto fail;
		}
		h->ctx[i] = EVP_MD_CTX_new();
		if (h->ctx[i] == NULL || EVP_DigestInit_ex2(h->ctx[i], mds[i], NULL) != 1)
			goto fail;
	}
	*out = h;
	return 0;
fail:
	hasher_free(&h);
	return rc;
}

void hasher_free(struct hasher **ph)
{
	struct hasher *h = TAKE(*ph);

	if (h == NULL)
		return;
	MAGIC_CHECK(h, HASHER_MAGIC);
	for (int i = 0; i < DIGEST_COUNT; i++)
		EVP_MD_CTX_free(h->ctx[i]);
	h->magic = 0;
	free(h);
}

/* Neither feeding nor ending a software digest can fail once it is set up; bytes that were not hashed must never be
 * vouched for, so a failure stops us. */
void hasher_add(struct hasher *h, const void *p, size_t n)
{
	MAGIC_CHECK(h, HASHER_MAGIC);
	for (int i = 0; i < DIGEST_COUNT; i++)
		if (h->ctx[i] != NULL)
			BUG(EVP_DigestUpdate(h->ctx[i], p, n) != 1);
	h->bytes += (int64_t)n;
}

int64_t hasher_bytes(const struct hasher *h)
{
	MAGIC_CHECK(h, HASHER_MAGIC);
	return h->bytes;
}

void hasher_end(struct hasher *h, struct digests *out)
{
	MAGIC_CHECK(h, HASHER_MAGIC);
	BUG(h->algs == 0); /* ended before */
	*out = (struct digests){.have = h->algs};
	for (int i = 0; i < DIGEST_COUNT; i++)
		if (h->ctx[i] != NULL)
			BUG(EVP_DigestFinal_ex(h->ctx[i], out->d[i], NULL) != 1);
	h->algs = 0;
}

char *hex_of(const uint8_t *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * n] = '\0';
	return out;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_parse(struct slice hex, uint8_t *out, size_t n)
{
	if (hex.n % 2 != 0 || hex.n / 2 != n)
		return -ERR_INVAL;
	for (size_t i = 0; i < hex.n; i++)
		if (hex_digit(hex.p[i]) < 0)
			return -ERR_INVAL;
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)((unsigned)hex_digit(hex.p[2 * i]) << 4 | (unsigned)hex_digit(hex.p[2 * i + 1]));
	return 0;
}
