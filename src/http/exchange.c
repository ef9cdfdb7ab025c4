/* Exchanges: the memory of one request and its response. A shard keeps some that are free, with their blocks, so that serving allocates
 * nothing once it runs, while an idle connection holds none. The shard's loop only. */
#include "http/conn_priv.h"
#include "http/tls.h"

#include <stdlib.h>

#define ARENA_MAX (1024 * 1024)
/* Free exchanges of a shard, and the largest blocks that they keep. */
#define POOL_MAX 64
#define ROOM_MAX (16 * 1024)
#define HEAD_OUT_KEEP (8 * 1024)
#define HEAD_OUT_MAX (256 * 1024)

#if defined(__SANITIZE_ADDRESS__)
#define POOLED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOLED 0
#endif
#endif
#ifndef POOLED
#define POOLED 1
#endif

bool http_is_tls(const struct http_x *x)
{
	return x->conn->tls != NULL;
}

struct slice http_client_cert(const struct http_x *x)
{
	return x->conn->tls != NULL ? tls_client_cert(x->conn->tls) : SLICE_NULL;
}

static struct http_x *exchange_new(void)
{
	struct http_x *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->magic = EXCHANGE_MAGIC;
	x->head_out = BUF_INIT(HEAD_OUT_MAX);
	arena_init(&x->arena, ARENA_MAX);
	return x;
}

static void exchange_free(struct http_x *x)
{
	arena_fini(&x->arena);
	free(x->room);
	buf_fini(&x->head_out);
	x->magic = 0;
	free(x);
}

int exchange_begin(struct conn *c)
{
	struct shard *s = c->shard;
	struct http_x *x = s->free;

	BUG(c->x != NULL);
	if (x != NULL) {
		s->free = x->next;
		s->free_count--;
	} else if ((x = exchange_new()) == NULL) {
		return -ERR_NOMEM;
	}
	memset(&x->req, 0, sizeof(*x) - offsetof(struct http_x, req));
	x->next = NULL;
	x->conn = c;
	x->started_ns = loop_now(s->loop);
	x->req.content_length = -1;
	x->req.id = s->next_id++;
	x->req.peer = c->peer;
	c->x = x;
	return 0;
}

void exchange_drop_body(struct http_x *x)
{
	struct shard *s = x->conn->shard;
	void (*release)(void *) = TAKE(x->release);
	bool outer = s->calling;

	x->ready = NULL;
	if (release != NULL)
		release(x->release_arg);
	if (x->body == NULL)
		return;
	x->body->ops->unwait(x->body, &x->conn->wake);
	x->asleep = false;
	s->calling = true;
	x->body->ops->done(&x->body);
	s->calling = outer;
}

void exchange_finish(struct conn *c, enum close_reason why, bool complete)
{
	access_log_line(c, why, complete);
	exchange_drop_body(c->x);
	buf_fini(&c->x->collect);
}

void exchange_give(struct conn *c)
{
	struct shard *s = c->shard;
	struct http_x *x = TAKE(c->x);

	if (x == NULL)
		return;
	MAGIC_CHECK(x, EXCHANGE_MAGIC);
	BUG(x->body != NULL);
	x->conn = NULL;
	if (!POOLED || s->free_count >= POOL_MAX) {
		exchange_free(x);
		return;
	}
	arena_reset(&x->arena);
	if (x->room_size > ROOM_MAX) {
		free(x->room);
		x->room = NULL;
		x->room_size = 0;
	}
	if (x->head_out.cap > HEAD_OUT_KEEP)
		buf_fini(&x->head_out);
	else
		buf_reset(&x->head_out);
	x->next = s->free;
	s->free = x;
	s->free_count++;
}

void exchange_pool_free(struct shard *s)
{
	while (s->free != NULL) {
		struct http_x *x = s->free;

		s->free = x->next;
		exchange_free(x);
	}
	s->free_count = 0;
}

void *exchange_room(struct http_x *x, size_t n)
{
	if (n > x->room_size) {
		size_t size = MAX(n, 2048);
		void *p = malloc(size);

		if (p == NULL)
			return NULL;
		free(x->room);
		x->room = p;
		x->room_size = size;
	}
	return x->room;
}
