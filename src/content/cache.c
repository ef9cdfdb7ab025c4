/* See cache.h. A chained hash table that doubles, and two lists by age, of all entries and of those that hold something, in which what was used gets a
 * second chance: a hit touches its own entry and no other. */
#include "content/cache.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPARED_MAX 64 /* passed over at once: a turn of the loop must not go through all there is */

struct cache {
	struct entry **buckets;
	size_t bucket_count; /* a power of two */
	int64_t entries, bytes, files;
	int64_t max_entries, max_bytes, max_files;
	struct {
		struct entry *newest, *oldest;
	} list[CACHE_LISTS];
};

int cache_new(int64_t max_entries, int64_t max_bytes, int64_t max_files, struct cache **out)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ERR_NOMEM;
	c->bucket_count = 1024;
	c->buckets = calloc(c->bucket_count, sizeof(*c->buckets));
	if (c->buckets == NULL) {
		free(c);
		return -ERR_NOMEM;
	}
	c->max_entries = max_entries;
	c->max_bytes = max_bytes;
	c->max_files = max_files;
	*out = c;
	return 0;
}

struct entry *entry_ref(struct entry *e)
{
	e->refs++;
	return e;
}

static void release_heap(struct entry *e)
{
	if (e->fd >= 0)
		(void)close(e->fd); /* read-only */
	e->fd = -1;
	free(TAKE(e->room));
	e->data = NULL;
	e->ready.p = NULL;
}

void entry_unref(struct entry **pe)
{
	struct entry *e = TAKE(*pe);

	if (e == NULL || --e->refs > 0)
		return;
	release_heap(e);
	free(e->path);
	free(e);
}

static void list_remove(struct cache *c, enum cache_list l, struct entry *e)
{
	struct entry *newer = e->list[l].newer, *older = e->list[l].older;

	*(newer != NULL ? &newer->list[l].older : &c->list[l].newest) = older;
	*(older != NULL ? &older->list[l].newer : &c->list[l].oldest) = newer;
	e->list[l].newer = e->list[l].older = NULL;
	e->list[l].in = false;
}

static void list_add(struct cache *c, enum cache_list l, struct entry *e, bool used)
{
	e->list[l].newer = NULL;
	e->list[l].older = c->list[l].newest;
	if (c->list[l].newest != NULL)
		c->list[l].newest->list[l].newer = e;
	c->list[l].newest = e;
	if (c->list[l].oldest == NULL)
		c->list[l].oldest = e;
	e->list[l].in = true;
	e->list[l].used = used;
}

/* The oldest that was not used since it was here last, or the one behind SPARED_MAX that were. NULL: the list is empty. */
static struct entry *next_to_go(struct cache *c, enum cache_list l)
{
	struct entry *e;

	for (int i = 0; i < SPARED_MAX && (e = c->list[l].oldest) != NULL && e->list[l].used; i++) {
		list_remove(c, l, e);
		list_add(c, l, e, false);
	}
	return c->list[l].oldest;
}

static bool holds_something(const struct entry *e)
{
	return e->fd >= 0 || e->data != NULL;
}

/* Also the room that an open file's head will need. */
static int64_t memory_of(const struct entry *e)
{
	return HTTP_READY_ROOM + (e->data != NULL ? e->size : 0);
}

static void hold(struct cache *c, struct entry *e)
{
	list_add(c, CACHE_HOLDING, e, true);
	c->files += e->fd >= 0;
	c->bytes += memory_of(e);
}

static void unhold(struct cache *c, struct entry *e)
{
	if (!e->list[CACHE_HOLDING].in)
		return;
	list_remove(c, CACHE_HOLDING, e);
	c->files -= e->fd >= 0;
	c->bytes -= memory_of(e);
}

void cache_drop(struct entry *e)
{
	struct cache *c = TAKE(e->cache);
	struct entry **p;

	if (c == NULL)
		return;
	for (p = &c->buckets[e->hash & (c->bucket_count - 1)]; *p != e; p = &(*p)->chain)
		BUG(*p == NULL);
	*p = e->chain;
	unhold(c, e);
	list_remove(c, CACHE_ALL, e);
	c->entries--;
	entry_unref(&e);
}

/* The entry stays, if nobody is being sent what it gives up. */
static void give_up(struct cache *c, struct entry *e)
{
	if (e->refs > 1 || !e->in_store) {
		cache_drop(e);
		return;
	}
	unhold(c, e);
	release_heap(e);
}

static void keep_bounds(struct cache *c)
{
	struct entry *e;

	while ((c->bytes > c->max_bytes || c->files > c->max_files) && (e = next_to_go(c, CACHE_HOLDING)) != NULL)
		give_up(c, e);
	while (c->entries > c->max_entries && (e = next_to_go(c, CACHE_ALL)) != NULL)
		cache_drop(e);
}

void cache_holds(struct entry *e)
{
	struct cache *c = e->cache;

	BUG(e->list[CACHE_HOLDING].in || !holds_something(e));
	if (c == NULL)
		return;
	hold(c, e);
	keep_bounds(c);
}

static void grow(struct cache *c)
{
	size_t n = c->bucket_count * 2;
	struct entry **b = calloc(n, sizeof(*b));

	if (b == NULL) /* longer chains, no more */
		return;
	for (size_t i = 0; i < c->bucket_count; i++) {
		struct entry *e = c->buckets[i];

		while (e != NULL) {
			struct entry *next = e->chain;

			e->chain = b[e->hash & (n - 1)];
			b[e->hash & (n - 1)] = e;
			e = next;
		}
	}
	free(c->buckets);
	c->buckets = b;
	c->bucket_count = n;
}

struct entry *cache_get(struct cache *c, struct slice path, uint64_t generation)
{
	uint64_t hash = slice_hash(path);
	struct entry *e = c->buckets[hash & (c->bucket_count - 1)];

	while (e != NULL && (e->hash != hash || !slice_eq(slice_of(e->path, e->path_n), path)))
		e = e->chain;
	if (e == NULL)
		return NULL;
	if (e->generation != generation) {
		cache_drop(e);
		return NULL;
	}
	for (int l = 0; l < CACHE_LISTS; l++)
		e->list[l].used = true;
	return entry_ref(e);
}

struct entry *cache_put(struct cache *c, struct slice path, uint64_t generation, const struct entry *from)
{
	struct entry *e = malloc(sizeof(*e)), *old = cache_get(c, path, generation);
	char *copy = slice_dup(path);

	if (old != NULL) {
		cache_drop(old);
		entry_unref(&old);
	}
	if (e == NULL || copy == NULL) {
		if (from->fd >= 0)
			(void)close(from->fd);
		free(from->room);
		free(e);
		free(copy);
		return NULL;
	}
	*e = *from;
	e->path = copy;
	e->path_n = path.n;
	e->hash = slice_hash(path);
	e->generation = generation;
	e->refs = 2; /* the cache's and the caller's */
	e->cache = c;
	memset(e->list, 0, sizeof(e->list));
	if (c->entries >= (int64_t)c->bucket_count)
		grow(c);
	e->chain = c->buckets[e->hash & (c->bucket_count - 1)];
	c->buckets[e->hash & (c->bucket_count - 1)] = e;
	list_add(c, CACHE_ALL, e, true);
	c->entries++;
	if (holds_something(e))
		hold(c, e);
	keep_bounds(c);
	return e;
}

static bool is_among(int64_t id, const int64_t *ids, size_t count)
{
	size_t lo = 0, hi = count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (ids[mid] < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < count && ids[lo] == id;
}

void cache_forget(struct cache *c, const int64_t *artifact_ids, size_t count)
{
	struct entry *e = c->list[CACHE_HOLDING].oldest, *newer;

	for (; e != NULL; e = newer) {
		newer = e->list[CACHE_HOLDING].newer;
		if (is_among(e->what.artifact_id, artifact_ids, count))
			cache_drop(e);
	}
}

void cache_sweep(struct cache *c, uint64_t generation, int max)
{
	struct entry *e = c->list[CACHE_HOLDING].oldest, *newer;

	for (; e != NULL && max > 0; e = newer, max--) {
		newer = e->list[CACHE_HOLDING].newer;
		if (e->generation != generation)
			cache_drop(e);
	}
}

void cache_free(struct cache **pc)
{
	struct cache *c = TAKE(*pc);

	if (c == NULL)
		return;
	while (c->list[CACHE_ALL].oldest != NULL)
		cache_drop(c->list[CACHE_ALL].oldest);
	free(c->buckets);
	free(c);
}
