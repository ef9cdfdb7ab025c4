/* What an entitlement certificate (RHSM) lets its holder read: paths, in extensions of their own (version 1), or as a compressed tree of their segments
 * (version 3). Foreign bytes: whatever is not as it should be covers nothing. Constant once read; any thread may ask. */
#ifndef SLUICE_GUARD_ENTITLEMENT_H
#define SLUICE_GUARD_ENTITLEMENT_H

#include "base/err.h"
#include "base/slice.h"

#include <openssl/x509.h>

#include <stdbool.h>

struct entitlement;

/* -ERR_PARSE: it is none, or none that can be read; -ERR_NOMEM. */
int entitlement_of_cert(X509 *cert, struct entitlement **out, struct err *err);
/* The tree alone, as it is in the certificate: for the fuzzer. */
int entitlement_of_tree(struct slice bytes, struct entitlement **out, struct err *err);
void entitlement_free(struct entitlement **pe);
/* Is one of its paths, segment by segment, the beginning of this one (without a leading slash)? A segment of its own that begins with '$' stands for any
 * one. A file `listing` in any directory on the way to one of its paths belongs to it, too: clients read there what the variables may be. */
bool entitlement_covers(const struct entitlement *e, struct slice path);

#endif
