/* Chunks of 512 ids, sorted; found by halving unless it is the one that was used last, or the one behind it. */
#include "catalog/idset.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BITS 512
#define WORDS (CHUNK_BITS / 64)

struct idset_chunk {
	int64_t number; /* id / CHUNK_BITS */
	uint64_t bits[WORDS];
};

void idset_fini(struct idset *s)
{
	free(s->chunks);
	*s = (struct idset){.chunks = NULL};
}

/* The first chunk that is not below `number`. */
static size_t find(struct idset *s, int64_t number)
{
	size_t from = 0, to = s->count;

	for (size_t i = s->last; i < s->count && i <= s->last + 1; i++)
		if (s->chunks[i].number == number)
			return s->last = i;
	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (s->chunks[middle].number < number)
			from = middle + 1;
		else
			to = middle;
	}
	s->last = from;
	return from;
}

static struct idset_chunk *chunk_of(struct idset *s, int64_t id)
{
	size_t at = find(s, id / CHUNK_BITS);

	return at < s->count && s->chunks[at].number == id / CHUNK_BITS ? &s->chunks[at] : NULL;
}

static struct idset_chunk *insert(struct idset *s, int64_t id)
{
	size_t at = find(s, id / CHUNK_BITS);

	if (s->count == s->cap) {
		size_t cap = s->cap > 0 ? 2 * s->cap : 16;
		struct idset_chunk *more = realloc(s->chunks, cap * sizeof(*more));

		if (more == NULL)
			return NULL;
		s->chunks = more;
		s->cap = cap;
	}
	memmove(&s->chunks[at + 1], &s->chunks[at], (s->count - at) * sizeof(*s->chunks));
	s->chunks[at] = (struct idset_chunk){.number = id / CHUNK_BITS};
	s->count++;
	return &s->chunks[at];
}

static uint64_t *word_of(struct idset_chunk *c, int64_t id)
{
	return &c->bits[id % CHUNK_BITS / 64];
}

static uint64_t bit_of(int64_t id)
{
	return UINT64_C(1) << (id % 64);
}

int idset_add(struct idset *s, int64_t id)
{
	struct idset_chunk *c;

	BUG(id < 0);
	c = chunk_of(s, id);
	if (c == NULL)
		c = insert(s, id);
	if (c == NULL)
		return -ERR_NOMEM;
	if ((*word_of(c, id) & bit_of(id)) != 0)
		return 0;
	*word_of(c, id) |= bit_of(id);
	return 1;
}

bool idset_has(struct idset *s, int64_t id)
{
	struct idset_chunk *c = id >= 0 ? chunk_of(s, id) : NULL;

	return c != NULL && (*word_of(c, id) & bit_of(id)) != 0;
}

void idset_remove(struct idset *s, int64_t id)
{
	struct idset_chunk *c = id >= 0 ? chunk_of(s, id) : NULL;

	if (c != NULL)
		*word_of(c, id) &= ~bit_of(id);
}

int64_t idset_next(struct idset *s, int64_t after)
{
	int64_t first;

	if (after == INT64_MAX)
		return -1;
	first = MAX(after, -1) + 1;
	for (size_t at = find(s, first / CHUNK_BITS); at < s->count; at++) {
		struct idset_chunk *c = &s->chunks[at];
		int64_t from = MAX(first, c->number * CHUNK_BITS) - c->number * CHUNK_BITS;

		for (int64_t w = from / 64; w < WORDS; w++) {
			uint64_t bits = c->bits[w];

			if (w == from / 64)
				bits &= ~UINT64_C(0) << (from % 64);
			if (bits != 0)
				return c->number * CHUNK_BITS + 64 * w + __builtin_ctzll(bits);
		}
	}
	return -1;
}
