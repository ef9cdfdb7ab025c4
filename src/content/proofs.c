/* See proofs.h. Sets of a few neighbours: the key's first bytes say which, and it is a digest, so nobody can aim at one. */
#include "content/proofs.h"

#include "base/check.h"

#include <stdlib.h>

#define SETS 4096 /* a power of two */
#define WAYS 4

struct entry {
	struct proof_key key;
	uint64_t generation;
	uint64_t put; /* when, in puts */
	struct guard_proof *proof;
};
struct proofs {
	uint64_t puts;
	struct entry set[SETS][WAYS];
};

int proofs_new(struct proofs **out)
{
	*out = calloc(1, sizeof(**out));
	return *out == NULL ? -ERR_NOMEM : 0;
}

void proofs_free(struct proofs **pp)
{
	struct proofs *p = TAKE(*pp);

	for (size_t i = 0; p != NULL && i < SETS; i++)
		for (size_t k = 0; k < WAYS; k++)
			guard_proof_unref(&p->set[i][k].proof);
	free(p);
}

static struct entry *set_of(struct proofs *p, const struct proof_key *key)
{
	return p->set[(key->b[0] | (size_t)key->b[1] << 8) & (SETS - 1)];
}

static struct entry *find(struct proofs *p, const struct proof_key *key)
{
	struct entry *e = set_of(p, key);

	for (size_t k = 0; k < WAYS; k++)
		if (e[k].proof != NULL && memcmp(&e[k].key, key, sizeof(*key)) == 0)
			return &e[k];
	return NULL;
}

const struct guard_proof *proofs_get(struct proofs *p, const struct proof_key *key, uint64_t generation, int64_t now_s)
{
	const struct entry *e = find(p, key);

	return e != NULL && e->generation == generation && guard_proof_holds(e->proof, now_s) ? e->proof : NULL;
}

void proofs_put(struct proofs *p, const struct proof_key *key, uint64_t generation, struct guard_proof *proof)
{
	struct entry *e = find(p, key), *set = set_of(p, key);

	for (size_t k = 0; e == NULL && k < WAYS; k++)
		if (set[k].proof == NULL)
			e = &set[k];
	if (e == NULL) {
		e = set;
		for (size_t k = 1; k < WAYS; k++)
			if (set[k].put < e->put)
				e = &set[k];
	}
	guard_proof_unref(&e->proof);
	*e = (struct entry){*key, generation, ++p->puts, guard_proof_ref(proof)};
}
