/* Metrics: every thread adds to a block of its own, reading sums all blocks.
 *
 * A block is written by one thread at a time, so that adding needs no locked instruction. A thread that ends gives its
 * block, with the values in it, to the next one that starts: sums never shrink, and there are as many blocks as there
 * were threads at once. The list only grows; `blocks_lock` protects who owns what. */
#include "base/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

struct metrics_block {
	_Alignas(64) _Atomic int64_t value[M_COUNT_];
	struct metrics_block *next; /* constant once listed */
	bool owned;
};

enum metric_kind { KIND_counter, KIND_gauge };

static const struct {
	const char *name;
	enum metric_kind kind;
	const char *help;
} metric_rows[M_COUNT_] = {
#define X(name, kind, help) {#name, KIND_##kind, help},
	METRICS(X)
#undef X
};

/* For threads that got no block of their own: shared, hence added to atomically. */
static struct metrics_block shared_block;

static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct metrics_block *) blocks = &shared_block;

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool key_made;
static _Thread_local struct metrics_block *mine;

static void block_release(void *arg)
{
	struct metrics_block *b = arg;

	mine = NULL;
	pthread_mutex_lock(&blocks_lock);
	b->owned = false;
	pthread_mutex_unlock(&blocks_lock);
}

static void key_make(void)
{
	key_made = pthread_key_create(&key, block_release) == 0;
}

static struct metrics_block *block_acquire(void)
{
	struct metrics_block *b;

	pthread_once(&key_once, key_make);
	if (!key_made)
		return NULL;
	pthread_mutex_lock(&blocks_lock);
	for (b = atomic_load(&blocks); b != NULL; b = b->next) {
		if (!b->owned && b != &shared_block)
			break;
	}
	if (b == NULL) {
		b = aligned_alloc(_Alignof(struct metrics_block), sizeof(*b));
		if (b != NULL) {
			for (int i = 0; i < M_COUNT_; i++)
				atomic_init(&b->value[i], 0);
			b->next = atomic_load(&blocks);
			atomic_store(&blocks, b);
		}
	}
	if (b != NULL)
		b->owned = true;
	pthread_mutex_unlock(&blocks_lock);
	if (b != NULL && pthread_setspecific(key, b) != 0) {
		block_release(b);
		b = NULL;
	}
	mine = b;
	return b;
}

void metric_add(enum metric m, int64_t n)
{
	struct metrics_block *b = mine;

	if (b == NULL && (b = block_acquire()) == NULL) {
		atomic_fetch_add_explicit(&shared_block.value[m], n, memory_order_relaxed);
		return;
	}
	atomic_store_explicit(
		&b->value[m], atomic_load_explicit(&b->value[m], memory_order_relaxed) + n, memory_order_relaxed);
}

int64_t metric_get(enum metric m)
{
	int64_t sum = 0;

	for (struct metrics_block *b = atomic_load_explicit(&blocks, memory_order_acquire); b != NULL; b = b->next)
		sum += atomic_load_explicit(&b->value[m], memory_order_relaxed);
	return sum;
}

int metrics_text(struct buf *out)
{
	for (int i = 0; i < M_COUNT_; i++) {
		bool counter = metric_rows[i].kind == KIND_counter;
		const char *name = metric_rows[i].name;
		const char *suffix = counter ? "_total" : "";

		buf_addf(out, "# HELP sluice_%s%s %s\n# TYPE sluice_%s%s %s\nsluice_%s%s %lld\n", name, suffix,
			metric_rows[i].help, name, suffix, counter ? "counter" : "gauge", name, suffix,
			(long long)metric_get((enum metric)i));
	}
	return out->failed;
}
