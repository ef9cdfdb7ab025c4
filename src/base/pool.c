/* The thread pool: one bounded first-in-first-out list under one lock.
 *
 * `lock` protects everything but `threads`, which is constant between pool_new and pool_free. Jobs run without it. */
#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define POOL_MAGIC 0x706f6f6cu /* "pool" */

struct pool {
	uint32_t magic;
	char name[16]; /* the kernel keeps 15 bytes of a thread's name */
	pthread_mutex_t lock;
	pthread_cond_t work; /* something was queued, or the end began */
	struct pool_job *first;
	struct pool_job **last;
	int queued;
	int queue_max;
	int idle; /* threads waiting for work */
	bool ending;
	int thread_n;
	pthread_t threads[];
};

static void pool_done(struct loop_post *post)
{
	struct pool_job *j = container_of(post, struct pool_job, post);

	j->done(j);
}

/* Waits for a job; NULL when the pool ends and nothing is left. */
static struct pool_job *pool_take(struct pool *p)
{
	struct pool_job *j;

	pthread_mutex_lock(&p->lock);
	while (p->first == NULL && !p->ending) {
		p->idle++;
		pthread_cond_wait(&p->work, &p->lock);
		p->idle--;
	}
	j = p->first;
	if (j != NULL) {
		p->first = j->next;
		if (p->first == NULL)
			p->last = &p->first;
		p->queued--;
	}
	pthread_mutex_unlock(&p->lock);
	return j;
}

static void *pool_thread(void *arg)
{
	struct pool *p = arg;
	struct pool_job *j;

	MAGIC_CHECK(p, POOL_MAGIC);
	(void)pthread_setname_np(pthread_self(), p->name);
	while ((j = pool_take(p)) != NULL) {
		struct loop *lp = j->loop; /* without a loop, fn may free j */

		j->fn(j);
		if (lp != NULL)
			loop_post(lp, &j->post);
	}
	return NULL;
}

/* Signals are for the main thread: what a pool thread does must not end in EINTR. */
static int pool_start(struct pool *p, int threads)
{
	sigset_t all, old;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (p->thread_n < threads && rc == 0) {
		rc = pthread_create(&p->threads[p->thread_n], NULL, pool_thread, p);
		if (rc == 0)
			p->thread_n++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

int pool_new(const char *name, int threads, int queue_max, struct pool **out, struct err *err)
{
	struct pool *p;
	int rc;

	BUG(threads < 1 || queue_max < 1);
	p = calloc(1, sizeof(*p) + (size_t)threads * sizeof(p->threads[0]));
	if (p == NULL)
		return err_set(err, -ERR_NOMEM, "thread pool '%s'", name);
	p->magic = POOL_MAGIC;
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->last = &p->first;
	p->queue_max = queue_max;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	rc = pool_start(p, threads);
	if (rc != 0) {
		rc = err_sys(err, rc, "thread %d of pool '%s'", p->thread_n + 1, name);
		pool_free(&p);
		return rc;
	}
	*out = p;
	return 0;
}

void pool_free(struct pool **pp)
{
	struct pool *p = TAKE(*pp);

	if (p == NULL)
		return;
	MAGIC_CHECK(p, POOL_MAGIC);
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_mutex_unlock(&p->lock);
	pthread_cond_broadcast(&p->work);
	for (int i = 0; i < p->thread_n; i++)
		pthread_join(p->threads[i], NULL);
	BUG(p->first != NULL && p->thread_n > 0);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	p->magic = 0;
	free(p);
}

int pool_submit(struct pool *p, struct pool_job *j)
{
	bool wake;

	MAGIC_CHECK(p, POOL_MAGIC);
	BUG(j->fn == NULL || (j->loop != NULL && j->done == NULL));
	j->next = NULL;
	j->post = (struct loop_post){.fn = pool_done};
	pthread_mutex_lock(&p->lock);
	if (p->queued >= p->queue_max) {
		pthread_mutex_unlock(&p->lock);
		return -ERR_LIMIT;
	}
	*p->last = j;
	p->last = &j->next;
	p->queued++;
	wake = p->idle > 0;
	pthread_mutex_unlock(&p->lock);
	if (wake)
		pthread_cond_signal(&p->work);
	return 0;
}

int pool_queued(struct pool *p)
{
	int n;

	pthread_mutex_lock(&p->lock);
	n = p->queued;
	pthread_mutex_unlock(&p->lock);
	return n;
}
