/* Signing services: a program of the administrator's signs a file; what it made is believed once gpgv has checked it against the
 * service's public key. They are made on the server's own machine (`sluice signing-service add`): nobody can have a program run
 * there by way of the API. Blocking: tasks and commands. */
#ifndef SLUICE_SYNC_SIGNING_H
#define SLUICE_SYNC_SIGNING_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "catalog/catalog.h"

#include <stdbool.h>

#define SIGNING_KEY_MAX ((size_t)1 << 20)

/* Strings are malloc'ed. */
struct signing_service {
	char *name, *public_key /* armoured */, *fingerprint, *script;
};
void signing_service_fini(struct signing_service *s);

/* By href, PRN or uuid. -ERR_NOTFOUND: there is none. */
int signing_find(struct catalog *c, const char *which, struct signing_service *out, struct err *err);

struct signatures {
	struct buf clear;    /* the file clear-signed; n == 0: the service does not make such */
	struct buf detached; /* armoured; n == 0: likewise */
};
void signatures_fini(struct signatures *s);

/* Has the program sign a file called `name` (no path) with these bytes. It runs in a directory of its own, made for it, with the
 * file's path as its only argument and its key's fingerprint in PULP_SIGNING_KEY_FINGERPRINT, and prints JSON:
 * {"signatures": {"inline": path, "detached": path}} or {"signature": path}. What it writes to standard error goes to ours with
 * `show_errors`, else nowhere: it may hold what nobody shall read. The text of an error names the service, and never what the program wrote.
 * -ERR_TIMEOUT; -ERR_UPSTREAM: it failed; -ERR_PARSE: its answer; -ERR_DENIED: a signature is not good; others: the machine. */
int signing_sign(const struct signing_service *s, const char *name, struct slice data, int64_t limit_ms,
	bool show_errors, struct signatures *out, struct err *err);

#endif
