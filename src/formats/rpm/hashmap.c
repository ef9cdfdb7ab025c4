/* Open addressing; grows to stay half empty. */
#include "formats/rpm/hashmap.h"

#include <stdlib.h>

struct hashmap_place {
	uint64_t hash, value; /* hash 0: free */
};

static uint64_t hash_of(struct slice text)
{
	uint64_t h = slice_hash(text);

	return h != 0 ? h : 1;
}

static struct hashmap_place *place_of(const struct hashmap *m, uint64_t hash)
{
	size_t at = (size_t)hash & (m->cap - 1);

	while (m->places[at].hash != 0 && m->places[at].hash != hash)
		at = (at + 1) & (m->cap - 1);
	return &m->places[at];
}

static bool grow(struct hashmap *m)
{
	struct hashmap bigger = {.cap = m->cap == 0 ? 256 : m->cap * 2, .count = m->count};

	if (bigger.cap > HASHMAP_MAX)
		return false;
	bigger.places = calloc(bigger.cap, sizeof(*bigger.places));
	if (bigger.places == NULL)
		return false;
	for (size_t i = 0; i < m->cap; i++)
		if (m->places[i].hash != 0)
			*place_of(&bigger, m->places[i].hash) = m->places[i];
	free(m->places);
	*m = bigger;
	return true;
}

uint64_t *hashmap_at(struct hashmap *m, struct slice text)
{
	uint64_t hash = hash_of(text);
	struct hashmap_place *p;

	if (2 * m->count >= m->cap && !grow(m))
		return NULL;
	p = place_of(m, hash);
	m->count += p->hash == 0;
	p->hash = hash;
	return &p->value;
}

bool hashmap_has(const struct hashmap *m, struct slice text)
{
	return m->cap > 0 && place_of(m, hash_of(text))->hash != 0;
}

void hashmap_fini(struct hashmap *m)
{
	free(m->places);
	*m = (struct hashmap){.cap = 0};
}
