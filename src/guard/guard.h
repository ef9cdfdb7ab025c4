/* Content guards: may who asks read this path? Answered before anything else is looked at, in two steps:
 *
 *   guard_judge   on the loop: what can be said at once, from header fields and signed URLs
 *   guard_prove   in the pool: what takes chains of certificates and passwords; its outcome holds for whoever shows the same, until it ends
 *
 * A set of guards is immutable and shared by all threads. What cannot be understood lets nobody pass. */
#ifndef SLUICE_GUARD_GUARD_H
#define SLUICE_GUARD_GUARD_H

#include "base/addr.h"
#include "base/err.h"
#include "base/slice.h"
#include "catalog/catalog.h"

#include <stdbool.h>
#include <stdint.h>

struct guards;
struct guard_proof;
struct signing_key;

/* All guards there are. Those of `old` (may be NULL) that have not changed are taken over: certificates are read once. Blocking. */
int guards_load(struct txn *t, const struct guards *old, struct guards **out, struct err *err);
void guards_free(struct guards **pg);

/* What a request shows; all borrowed. */
struct guard_claim {
	struct slice path; /* decoded, below the content prefix, without a leading slash */
	struct slice cert; /* X-CLIENT-CERT, or the DER of our own TLS; p == NULL: none */
	bool cert_is_der;
	struct slice authorization; /* the field; p == NULL: none */
	struct addr client;         /* who sends it */
	struct slice query;         /* as sent, without '?' */
	const struct signing_key *key;
	struct slice (*header)(const void *arg, struct slice name);
	const void *header_arg;
	int64_t now_s; /* since 1970 */
};

enum guard_answer {
	GUARD_DENY,
	GUARD_PASS,
	GUARD_ASK /* cert and authorization have to be proved */
};
/* Never blocks. A guard that is not there denies. */
enum guard_answer guard_judge(const struct guards *set, int64_t id, const struct guard_claim *claim);

/* Whose are the credentials of an Authorization field? 0; -ERR_DENIED: nobody's; -ERR_LIMIT: too many ask at once, or the client was wrong too often. May
 * block. */
struct guard_user {
	int64_t id;
	bool admin;
};
typedef int guard_login(
	void *arg, struct slice authorization, const struct addr *client, struct guard_user *out, struct err *err);

/* Judges cert and authorization alone: path and header fields are not looked at, so that the proof holds for other requests, too. May block. Negative:
 * it could not be found out. */
int guard_prove(const struct guards *set, int64_t id, const struct guard_claim *claim, guard_login *login,
	void *login_arg, struct guard_proof **out, struct err *err);
struct guard_proof *guard_proof_ref(struct guard_proof *p);
void guard_proof_unref(struct guard_proof **pp);
/* Does it hold yet? */
bool guard_proof_holds(const struct guard_proof *p, int64_t now_s);
bool guard_proof_covers(const struct guard_proof *p, struct slice path);
/* Why it covers nothing; "" when it covers something. */
const char *guard_proof_why(const struct guard_proof *p);

#endif
