/* Memory of one request. Pieces are cut off the front of the current block; a large piece gets a block of its own, so that
 * the rest of the current one stays in use. One owner, one thread at a time. */
#include "base/arena.h"

#include "base/check.h"
#include "base/err.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_SPLIT 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_SPLIT 1
#endif
#endif
#ifndef ARENA_SPLIT
#define ARENA_SPLIT 0
#endif

#define ARENA_ALIGN _Alignof(max_align_t)
#define ARENA_BLOCK 4000 /* with its header and malloc's own it stays below a page */
#define ARENA_LARGE (ARENA_BLOCK / 4)

struct arena_block {
	struct arena_block *next;
	size_t size;
	max_align_t data[];
};

struct arena_cleanup {
	struct arena_cleanup *next;
	void (*fn)(void *arg);
	void *arg;
};

void arena_init(struct arena *a, size_t max_bytes)
{
	*a = (struct arena){.max = max_bytes};
}

/* A clean-up may register another one: the list is read anew each time. */
static void run_cleanups(struct arena *a)
{
	while (a->cleanups != NULL) {
		struct arena_cleanup *c = a->cleanups;

		a->cleanups = c->next;
		c->fn(c->arg);
	}
}

static void free_blocks(struct arena *a, struct arena_block *keep)
{
	for (struct arena_block *b = a->blocks, *next; b != NULL; b = next) {
		next = b->next;
		if (b != keep)
			free(b);
	}
	a->blocks = keep;
	a->at = NULL;
	a->left = 0;
	a->used = 0;
	if (keep != NULL) {
		keep->next = NULL;
		a->at = (char *)keep->data;
		a->left = keep->size;
	}
}

void arena_fini(struct arena *a)
{
	run_cleanups(a);
	free_blocks(a, NULL);
}

void arena_reset(struct arena *a)
{
	struct arena_block *keep = NULL;

	run_cleanups(a);
	if (!ARENA_SPLIT)
		for (keep = a->blocks; keep != NULL && keep->size != ARENA_BLOCK; keep = keep->next)
			;
	free_blocks(a, keep);
}

/* Makes a block; where pieces are cut from does not change. */
static struct arena_block *push_block(struct arena *a, size_t size)
{
	struct arena_block *b = malloc(sizeof(*b) + size);

	if (b == NULL)
		return NULL;
	b->size = size;
	b->next = a->blocks;
	a->blocks = b;
	return b;
}

static void *own_block(struct arena *a, size_t n)
{
	struct arena_block *b = push_block(a, n);

	return b != NULL ? b->data : NULL;
}

void *arena_alloc(struct arena *a, size_t n)
{
	size_t size;
	void *p;

	if (n > a->max - a->used || n > SIZE_MAX / 2)
		return NULL;
	size = (MAX(n, 1) + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
	if (ARENA_SPLIT) {
		p = own_block(a, n); /* exact, so that one byte too far is seen */
	} else if (size > a->left && size > ARENA_LARGE) {
		p = own_block(a, size);
	} else {
		if (size > a->left) {
			struct arena_block *b = push_block(a, ARENA_BLOCK);

			if (b == NULL)
				return NULL;
			a->at = (char *)b->data;
			a->left = b->size;
		}
		p = a->at;
		a->at += size;
		a->left -= size;
	}
	if (p != NULL)
		a->used += MIN(size, a->max - a->used);
	return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
	void *p = arena_alloc(a, n);

	return p != NULL ? memset(p, 0, n) : NULL;
}

char *arena_strdup(struct arena *a, struct slice s)
{
	char *z = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1) : NULL;

	if (z == NULL)
		return NULL;
	if (s.n > 0)
		memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	return z;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *z;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	z = arena_alloc(a, (size_t)n + 1);
	if (z == NULL)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(z, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return z;
}

int arena_on_fini(struct arena *a, void (*fn)(void *arg), void *arg)
{
	struct arena_cleanup *c = arena_alloc(a, sizeof(*c));

	if (c == NULL)
		return -ERR_NOMEM;
	*c = (struct arena_cleanup){.next = a->cleanups, .fn = fn, .arg = arg};
	a->cleanups = c;
	return 0;
}
