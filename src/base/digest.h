/* Digests, several at once over one stream (OpenSSL's EVP). One owner, one thread at a time. */
#ifndef SLUICE_BASE_DIGEST_H
#define SLUICE_BASE_DIGEST_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* Weakest first: DIGEST_STRONGEST of a set is its highest bit. */
#define DIGEST_ALGS(X)        \
	X(MD5, md5, 16)       \
	X(SHA1, sha1, 20)     \
	X(SHA224, sha224, 28) \
	X(SHA256, sha256, 32) \
	X(SHA384, sha384, 48) \
	X(SHA512, sha512, 64)

enum digest_alg {
#define X(NAME, name, len) DIGEST_##NAME,
	DIGEST_ALGS(X)
#undef X
		DIGEST_COUNT
};

#define DIGEST_MAX 64
#define DIGEST_HEX_MAX (2 * DIGEST_MAX + 1)

/* What is known or expected of a body; bit i of `have` says that d[i] is filled. */
struct digests {
	unsigned have;
	uint8_t d[DIGEST_COUNT][DIGEST_MAX];
};

int digest_len(enum digest_alg alg);                           /* bytes */
const char *digest_name(enum digest_alg alg);                  /* "sha256" */
int digest_alg_parse(struct slice name, enum digest_alg *out); /* -ERR_INVAL */
/* hex → bytes; exactly 2*digest_len digits, either case. -ERR_INVAL. Sets the bit. */
int digests_set_hex(struct digests *ds, enum digest_alg alg, struct slice hex);
void digests_set(struct digests *ds, enum digest_alg alg, const uint8_t *bytes);
char *digest_hex(enum digest_alg alg, const uint8_t *bytes, char out[DIGEST_HEX_MAX]);
/* 0 when every digest that both have agrees and at least one is shared (or expected has none);
 * -ERR_DIGEST with err "sha256 is … but … was expected". */
int digests_match(const struct digests *expected, const struct digests *actual, struct err *err);

struct hasher;
/* `algs`: bits 1 << enum digest_alg; sha256 is always added. -ERR_NOMEM; -ERR_UNSUPPORTED: OpenSSL refuses one (FIPS). */
int hasher_new(unsigned algs, struct hasher **out);
void hasher_free(struct hasher **ph);
void hasher_add(struct hasher *h, const void *p, size_t n);
int64_t hasher_bytes(const struct hasher *h);           /* added so far */
void hasher_end(struct hasher *h, struct digests *out); /* once */

/* Lower-case hex of any bytes; out has 2*n+1. And back: -ERR_INVAL unless exactly 2*n hex digits. */
char *hex_of(const uint8_t *p, size_t n, char *out);
int hex_parse(struct slice hex, uint8_t *out, size_t n);

#endif
