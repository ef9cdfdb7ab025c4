/* What guards said about certificates and passwords, for the next request that shows the same: a table of fixed size, one a loop. An entry counts
 * for the generation in which it was made; so a change of a guard or of a user needs nobody to look for entries. */
#ifndef SLUICE_CONTENT_PROOFS_H
#define SLUICE_CONTENT_PROOFS_H

#include "guard/guard.h"

/* Of guard and credentials, as a digest: what clients show is not kept. */
struct proof_key {
	uint8_t b[32];
};
struct proofs;

/* -ERR_NOMEM. Room for some ten thousand. */
int proofs_new(struct proofs **out);
void proofs_free(struct proofs **pp);
/* Borrowed until the next put; NULL: none that holds. */
const struct guard_proof *proofs_get(struct proofs *p, const struct proof_key *key, uint64_t generation, int64_t now_s);
/* Takes a reference. The oldest of its neighbours goes for it. */
void proofs_put(struct proofs *p, const struct proof_key *key, uint64_t generation, struct guard_proof *proof);

#endif
