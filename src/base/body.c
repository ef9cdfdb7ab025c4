/* Bodies of memory. Used by one loop; a shared block may be seen by many bodies. */
#include "base/body.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

struct memory_body {
	struct body b;
	bool in_arena;
	const char *p;
	size_t n;
	void (*release)(void *arg);
	void *arg;
};

/* It is complete from the start: nobody ever sleeps on it. */
static int never_wait(struct body *b, int64_t off, struct wake *w)
{
	return 1;
}
static void no_unwait(struct body *b, struct wake *w)
{
}

static int64_t memory_ready(struct body *b, int64_t off)
{
	int64_t n = (int64_t)container_of(b, struct memory_body, b)->n;

	return MAX(n - off, 0);
}
static int64_t memory_size(const struct body *b)
{
	return (int64_t)container_of(b, struct memory_body, b)->n;
}
static int memory_fd(const struct body *b)
{
	return -1;
}
static ssize_t memory_read(struct body *b, int64_t off, void *p, size_t n)
{
	struct memory_body *m = container_of(b, struct memory_body, b);
	size_t have = (size_t)off < m->n ? MIN(n, m->n - (size_t)off) : 0;

	if (have > 0)
		memcpy(p, m->p + off, have);
	return (ssize_t)have;
}
static void memory_done(struct body **pb)
{
	struct body *b = TAKE(*pb);
	struct memory_body *m;

	if (b == NULL)
		return;
	m = container_of(b, struct memory_body, b);
	if (m->release != NULL)
		m->release(m->arg);
	if (!m->in_arena)
		free(m);
}
static const struct body_ops memory_ops = {
	.ready = memory_ready,
	.wait = never_wait,
	.unwait = no_unwait,
	.size = memory_size,
	.fd = memory_fd,
	.read = memory_read,
	.done = memory_done,
};

struct body *body_memory_shared(const void *p, size_t n, void (*release)(void *arg), void *arg)
{
	struct memory_body *m = malloc(sizeof(*m));

	if (m == NULL)
		return NULL;
	*m = (struct memory_body){.b.ops = &memory_ops, .p = p, .n = n, .release = release, .arg = arg};
	return &m->b;
}

struct body *body_memory_in(struct arena *a, const void *p, size_t n, void (*release)(void *arg), void *arg)
{
	struct memory_body *m = arena_alloc(a, sizeof(*m));

	if (m == NULL)
		return NULL;
	*m = (struct memory_body){
		.b.ops = &memory_ops, .in_arena = true, .p = p, .n = n, .release = release, .arg = arg};
	return &m->b;
}

struct body *body_memory_take(void *p, size_t n)
{
	struct body *b = body_memory_shared(p, n, free, p);

	if (b == NULL)
		free(p);
	return b;
}

struct body *body_memory(const void *p, size_t n)
{
	void *copy = malloc(n > 0 ? n : 1);

	if (copy == NULL)
		return NULL;
	if (n > 0)
		memcpy(copy, p, n);
	return body_memory_take(copy, n);
}

const char *body_peek(const struct body *b, size_t *n)
{
	const struct memory_body *m;

	if (b->ops != &memory_ops)
		return NULL;
	m = container_of(b, struct memory_body, b);
	*n = m->n;
	return m->p;
}
