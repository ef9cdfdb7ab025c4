/* Verifying while it comes: small bodies are hashed at once, large ones by the pool, which reads the staging file behind the
 * watermark. At the end size and digests decide. Fetch loop, but for hash_chunks. */
#include "lazy/flight_priv.h"

#include "base/fsutil.h"
#include "base/metrics.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The pool is asked when this much waits: small enough to be done soon after the last byte. */
#define HASH_STEP (512 * 1024)
/* One job's share, so that a hundred large flights do not starve the look-ups of the others. */
#define HASH_JOB_MAX (8 * 1024 * 1024)
/* Of what will be saved so much at a time is sent to the disk while the rest comes: readers get the last bytes when all is durable, and should not wait for the
 * whole artifact to be written then. */
#define WRITE_BACK_STEP (4 * 1024 * 1024)

static void expected_digests(const struct flight *f, struct digests *out)
{
	const struct source_row *s = &f->sources[f->source_at];

	*out = f->want.digests;
	for (int i = 0; i < DIGEST_COUNT; i++)
		if ((s->digests.have & (1u << i)) != 0 && (out->have & (1u << i)) == 0)
			digests_set(out, (enum digest_alg)i, s->digests.d[i]);
}

int verify_begin(struct flight *f)
{
	unsigned algs = f->want.digests.have;
	int rc;

	if (f->hashing) { /* hasher, hashed and hash_rc are its job's; it looks at the flag when it is done */
		f->hash_dirty = true;
		return 0;
	}
	/* Of every source: the next one may go on where this one breaks off. */
	for (size_t i = 0; i < f->source_count; i++)
		algs |= f->sources[i].digests.have;
	f->hash_dirty = false;
	f->hashed = f->written_back = 0;
	atomic_store_explicit(&f->hash_to, f->watermark, memory_order_relaxed);
	hasher_free(&f->hasher);
	rc = hasher_new(algs, &f->hasher);
	f->hash_rc = rc;
	return rc;
}

/* Reads and hashes up to hash_to. Pool, or the loop when the pool is full. */
static void hash_chunks(struct flight *f, int64_t most)
{
	char chunk[65536];

	while (most > 0) {
		int64_t left = atomic_load_explicit(&f->hash_to, memory_order_acquire) - f->hashed;
		ssize_t got;

		if (left <= 0) /* below: another body has begun, and this one's digests do not matter any more */
			return;
		got = pread(f->fd, chunk, (size_t)MIN(left, (int64_t)sizeof(chunk)), f->hashed);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			f->hash_rc = -ERR_IO;
			return;
		}
		hasher_add(f->hasher, chunk, (size_t)got);
		f->hashed += got;
		most -= got;
	}
}

static void hash_job(struct pool_job *j)
{
	struct flight *f = container_of(j, struct flight, hash_job);

	hash_chunks(f, HASH_JOB_MAX);
	if (!f->write_back || f->hashed - f->written_back < WRITE_BACK_STEP)
		return;
	fs_write_back(f->fd, f->written_back, f->hashed - f->written_back);
	f->written_back = f->hashed;
	metric_inc(M_staging_writebacks);
}

static void verdict(struct flight *f)
{
	struct err err = ERR_INIT;
	struct digests want;
	int rc;

	if (f->hash_rc < 0) {
		rc = err_set(&err, f->hash_rc, "hashing the staging file: %s", err_text(f->hash_rc));
		drive_verified(f, rc, &err);
		return;
	}
	hasher_end(f->hasher, &f->actual);
	hasher_free(&f->hasher);
	expected_digests(f, &want);
	rc = want.have == 0 ? 0 : digests_match(&want, &f->actual, &err);
	drive_verified(f, rc, &err);
}

static void ask_pool(struct flight *f);

static void hash_done(struct pool_job *j)
{
	struct flight *f = container_of(j, struct flight, hash_job);
	int state = atomic_load_explicit(&f->state, memory_order_relaxed);

	f->hashing = false;
	if (state == FLIGHT_FAILED)
		goto out;
	if (f->hash_dirty)
		(void)verify_begin(f); /* hash_rc remembers */
	window_look(f);
	if (state == FLIGHT_VERIFYING && (f->hash_rc < 0 || f->hashed == f->watermark))
		verdict(f);
	else if (f->hash_rc == 0 && (state == FLIGHT_VERIFYING || f->watermark - f->hashed >= HASH_STEP))
		ask_pool(f);
out:
	flight_release(&f);
}

static void ask_pool(struct flight *f)
{
	f->hash_job = (struct pool_job){.fn = hash_job, .done = hash_done, .loop = f->lz->loop};
	atomic_store_explicit(&f->hash_to, f->watermark, memory_order_release);
	f->hashing = true;
	f->write_back = !f->streamed;
	flight_hold(f);
	if (pool_submit(f->lz->pool, &f->hash_job) < 0) {
		/* Overloaded: better a slow fetch loop for a moment than an artifact that is never verified. */
		struct flight *extra = f;

		f->hashing = false;
		flight_release(&extra);
		hash_chunks(f, INT64_MAX);
		if (atomic_load_explicit(&f->state, memory_order_relaxed) == FLIGHT_VERIFYING)
			verdict(f);
	}
}

void verify_data(struct flight *f, const char *p, size_t n)
{
	atomic_store_explicit(&f->hash_to, f->watermark, memory_order_release);
	if (f->hashing || f->hash_rc < 0)
		return;
	if (f->watermark <= HASH_INLINE_MAX && f->hashed == f->watermark - (int64_t)n) {
		hasher_add(f->hasher, p, n);
		f->hashed = f->watermark;
		return;
	}
	if (f->watermark - f->hashed >= HASH_STEP)
		ask_pool(f);
}

void verify_end(struct flight *f)
{
	if (f->hashing)
		return;
	if (f->hash_rc < 0 || f->hashed == f->watermark)
		verdict(f);
	else
		ask_pool(f);
}
