/* See cache.h. A chained hash table that doubles, and a list by last use. */
#include "content/cache.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cache {
	struct entry **buckets;
	size_t bucket_count; /* a power of two */
	int64_t entries, bytes, files;
	int64_t max_entries, max_bytes, max_files;
	struct entry *newest, *oldest;
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

void entry_unref(struct entry **pe)
{
	struct entry *e = TAKE(*pe);

	if (e == NULL || --e->refs > 0)
		return;
	if (e->fd >= 0)
		(void)close(e->fd); /* read-only */
	free(e->data);
	free(e->path);
	free(e);
}

static void list_remove(struct cache *c, struct entry *e)
{
	*(e->newer != NULL ? &e->newer->older : &c->newest) = e->older;
	*(e->older != NULL ? &e->older->newer : &c->oldest) = e->newer;
	e->newer = e->older = NULL;
}

static void list_add(struct cache *c, struct entry *e)
{
	e->older = c->newest;
	if (c->newest != NULL)
		c->newest->newer = e;
	c->newest = e;
	if (c->oldest == NULL)
		c->oldest = e;
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
	list_remove(c, e);
	c->entries--;
	c->files -= e->fd >= 0;
	c->bytes -= e->data != NULL ? e->size : 0;
	entry_unref(&e);
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
	if (c->newest != e) {
		list_remove(c, e);
		list_add(c, e);
	}
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
		free(from->data);
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
	e->newer = e->older = NULL;
	if (c->entries >= (int64_t)c->bucket_count)
		grow(c);
	e->chain = c->buckets[e->hash & (c->bucket_count - 1)];
	c->buckets[e->hash & (c->bucket_count - 1)] = e;
	list_add(c, e);
	c->entries++;
	c->files += e->fd >= 0;
	c->bytes += e->data != NULL ? e->size : 0;
	while ((c->entries > c->max_entries || c->bytes > c->max_bytes || c->files > c->max_files) && c->oldest != NULL)
		cache_drop(c->oldest);
	return e;
}

void cache_free(struct cache **pc)
{
	struct cache *c = TAKE(*pc);

	if (c == NULL)
		return;
	while (c->oldest != NULL)
		cache_drop(c->oldest);
	free(c->buckets);
	free(c);
}
