/* Secrets at rest: which columns are sealed, what a server does about them when it starts, and the change of their key. Blocking; for whoever has the
 * catalog to himself (start, the command line).
 *
 * Sealed are what remotes log in with (user, password, client key, their proxy's, header fields) and what tasks were told and made of it, because such
 * values pass through them. Empty values stay as they are: whether there is something is no secret. */
#ifndef SLUICE_CATALOG_SECRETS_H
#define SLUICE_CATALOG_SECRETS_H

#include "base/err.h"
#include "base/slice.h"
#include "catalog/catalog.h"

#include <stdbool.h>

struct keyring;

/* `path` is the key file, for messages and for writing. `fresh`: the keyring was made just now because there is no file.
 *
 * Checks that the keys open what remotes have (-ERR_DENIED names the file and the remotes), writes the file of fresh keys, seals what an older version
 * left in the clear, and has that erased from the database's files. After any interruption the next call goes on. */
int catalog_secrets_start(struct catalog *c, const struct keyring *k, const char *path, bool fresh, struct err *err);
/* A new key for everything; the old ones go when nothing needs them. The catalog must use the same keyring. */
int catalog_secrets_rotate(struct catalog *c, struct keyring *k, const char *path, struct err *err);
/* Gives up what no key opens: those fields of remotes are empty then. *count: how many fields. */
int catalog_secrets_forget(struct catalog *c, const struct keyring *k, int64_t *count, struct err *err);

/* Is it sealed in the catalog? Which columns of views are, their tables say (views.h: `secret`); a test compares the two. */
bool catalog_secret_column(struct slice table, struct slice column);
/* Nothing to hide: "", and the empty values of JSON. */
bool catalog_secret_empty(struct slice text);

#endif
