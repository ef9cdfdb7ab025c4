/* Metrics: every thread adds to a block of its own, reading sums all blocks.
 *
 * A block is written by one thread at a time, so that adding needs no locked instruction. A thread that ends gives its
 * block, with the values in it, to the next one that starts: sums never shrink, and there are as many blocks as there
 * were threads at once. The list only grows; `blocks_lock` protects who owns what. */
#include "base/metrics.h"

#include "base/check.h"
#include "base/clock.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* The buckets, each without those below it, and the nanoseconds of all. */
#define HISTOGRAM_SUM HISTOGRAM_BUCKETS
#define HISTOGRAM_SLOTS (HISTOGRAM_BUCKETS + 1)
#define SLOTS (M_COUNT_ + H_COUNT_ * HISTOGRAM_SLOTS)

struct metrics_block {
	_Alignas(64) _Atomic int64_t value[SLOTS];
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

static const struct {
	const char *name;
	const char *help;
} histogram_rows[H_COUNT_] = {
#define X(name, help) {#name, help},
	HISTOGRAMS(X)
#undef X
};

static const int32_t bounds_us[] = HISTOGRAM_BOUNDS_US;
_Static_assert(ARRAY_LEN(bounds_us) == HISTOGRAM_BUCKETS - 1, "one bucket more than bounds");

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
			for (int i = 0; i < SLOTS; i++)
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

static void slot_add(struct metrics_block *b, int slot, int64_t n)
{
	if (b == &shared_block)
		atomic_fetch_add_explicit(&b->value[slot], n, memory_order_relaxed);
	else
		atomic_store_explicit(&b->value[slot], atomic_load_explicit(&b->value[slot], memory_order_relaxed) + n,
			memory_order_relaxed);
}

static int64_t slot_get(int slot)
{
	int64_t sum = 0;

	for (struct metrics_block *b = atomic_load_explicit(&blocks, memory_order_acquire); b != NULL; b = b->next)
		sum += atomic_load_explicit(&b->value[slot], memory_order_relaxed);
	return sum;
}

static struct metrics_block *block_mine(void)
{
	struct metrics_block *b = mine;

	if (b == NULL && (b = block_acquire()) == NULL)
		b = &shared_block;
	return b;
}

void metric_add(enum metric m, int64_t n)
{
	slot_add(block_mine(), (int)m, n);
}

int64_t metric_get(enum metric m)
{
	return slot_get((int)m);
}

void histogram_add(enum histogram h, int64_t ns)
{
	struct metrics_block *b = block_mine();
	int first = M_COUNT_ + (int)h * HISTOGRAM_SLOTS;
	int bucket = 0;

	while (bucket < HISTOGRAM_BUCKETS - 1 && ns > bounds_us[bucket] * INT64_C(1000))
		bucket++;
	slot_add(b, first + bucket, 1);
	slot_add(b, first + HISTOGRAM_SUM, ns);
}

int64_t histogram_get(enum histogram h, int bucket)
{
	int64_t n = 0;

	BUG(bucket < 0 || bucket >= HISTOGRAM_BUCKETS);
	for (int i = 0; i <= bucket; i++)
		n += slot_get(M_COUNT_ + (int)h * HISTOGRAM_SLOTS + i);
	return n;
}

static void histogram_text(struct buf *out, enum histogram h)
{
	const char *name = histogram_rows[h].name;
	int64_t ns = slot_get(M_COUNT_ + (int)h * HISTOGRAM_SLOTS + HISTOGRAM_SUM), n = 0;

	buf_addf(out, "# HELP sluice_%s %s\n# TYPE sluice_%s histogram\n", name, histogram_rows[h].help, name);
	/* Added up here rather than by histogram_get: a bucket that grew meanwhile must not exceed the next. */
	for (int i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		n += slot_get(M_COUNT_ + (int)h * HISTOGRAM_SLOTS + i);
		buf_addf(out, "sluice_%s_bucket{le=\"%g\"} %" PRId64 "\n", name, bounds_us[i] / 1e6, n);
	}
	n += slot_get(M_COUNT_ + (int)h * HISTOGRAM_SLOTS + HISTOGRAM_BUCKETS - 1);
	buf_addf(out, "sluice_%s_bucket{le=\"+Inf\"} %" PRId64 "\n", name, n);
	buf_addf(out, "sluice_%s_sum %" PRId64 ".%09" PRId64 "\nsluice_%s_count %" PRId64 "\n", name, ns / NS_PER_S,
		ns % NS_PER_S, name, n);
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
	for (int i = 0; i < H_COUNT_; i++)
		histogram_text(out, (enum histogram)i);
	return out->failed;
}
