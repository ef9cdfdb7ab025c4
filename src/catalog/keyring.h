/* The keys that seal secrets, and the file that holds them: one line a key, "ID KEY" in hex, the first one seals, the others only open what was sealed
 * before. Values are sealed with AES-256-GCM: a nonce of its own for each, the key's id in front, bound to its column and row, so that no value can be
 * put in another's place. Functions on a constant keyring: any thread. */
#ifndef SLUICE_CATALOG_KEYRING_H
#define SLUICE_CATALOG_KEYRING_H

#include "base/err.h"
#include "base/slice.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stddef.h>

struct keyring;
#define KEYRING_ID_LEN 8                            /* hex digits */
#define KEYRING_PREFIX_LEN (3 + KEYRING_ID_LEN + 1) /* "s1:", id, ':' */

/* One fresh key. */
int keyring_new(struct keyring **out, struct err *err);
/* -ERR_NOTFOUND: there is no such file. -ERR_PARSE names the line. */
int keyring_load(const char *path, struct keyring **out, struct err *err);
/* For its owner alone; whole or not at all after any crash. */
int keyring_save(const struct keyring *k, const char *path, struct err *err);
void keyring_free(struct keyring **pk);

size_t keyring_count(const struct keyring *k);
/* What values that the first key has sealed begin with: KEYRING_PREFIX_LEN bytes and a NUL. */
void keyring_prefix(const struct keyring *k, char out[KEYRING_PREFIX_LEN + 1]);
/* A fresh key before the others. -ERR_LIMIT. */
int keyring_add(struct keyring *k, struct err *err);
/* All but the first go. */
void keyring_keep_first(struct keyring *k);

/* Where a value is kept: it can be opened there only. */
struct sealed_at {
	const char *table, *column;
	struct uuid row;
};
/* malloc'ed text. */
int keyring_seal(const struct keyring *k, const struct sealed_at *at, struct slice plain, char **out, struct err *err);
/* malloc'ed, with a NUL behind it. What does not look sealed is given as it is. -ERR_DENIED: another key, another place, or damaged. */
int keyring_open(const struct keyring *k, const struct sealed_at *at, struct slice stored, char **out, size_t *n,
	struct err *err);
bool keyring_is_sealed(struct slice stored);

#endif
