/* Signed URLs: who has one may read what it names until it ends. "…?expires=SECONDS&validate_token=SALT:HEX", where HEX is an HMAC-SHA256 with a key that
 * never leaves the data directory. Any thread. */
#ifndef SLUICE_GUARD_SIGNATURE_H
#define SLUICE_GUARD_SIGNATURE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/uuid.h"

#include <stdbool.h>

struct signing_key {
	uint8_t b[32];
};

/* The key of this data directory (signing.key, 0600), made when there is none; two processes that make it at once get the same. "": one of this process
 * alone. Blocking. */
int signing_key_load(const char *dir, struct signing_key *out, struct err *err);
/* Appends what has to stand behind `query` (without '?'; may be empty): "expires=…&validate_token=…", with '&' in front if needed. `path`: decoded, below
 * the content prefix. `guard`: whose signature it is. */
int signature_add(const struct signing_key *key, const struct uuid *guard, struct slice path, struct slice query,
	int64_t expires_s, struct buf *out);
/* The same without chance: equal arguments are an equal URL, so that what a cache has of it serves everybody who was given it. */
int signature_add_same(const struct signing_key *key, const struct uuid *guard, struct slice path, struct slice query,
	int64_t expires_s, struct buf *out);
/* Is the query, as it was sent, one of these, and has it not ended? What stands in front of the token is signed, and nothing may follow it. */
bool signature_holds(
	const struct signing_key *key, const struct uuid *guard, struct slice path, struct slice query, int64_t now_s);
/* Until when, of a query for which that was true. */
int64_t signature_expires_s(struct slice query);

#endif
