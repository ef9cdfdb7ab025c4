/* The body of /script: it grows, ends and fails when the test says so. Its lock is a leaf: nothing is called under it but loop_post. */
#include "rig_priv.h"

#include <errno.h>

static void script_unlink(struct script *s, struct wake *w)
{
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		s->first = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	w->next = w->prev = NULL;
	w->on = NULL;
}

static int64_t script_ready_locked(struct script *s, int64_t off)
{
	if (off < s->limit)
		return s->limit - off;
	return s->failed;
}

struct script_body {
	struct body b;
	int64_t gone; /* told by sent(): never asked for again */
};

static int64_t script_ready(struct body *b, int64_t off)
{
	int64_t n;

	pthread_mutex_lock(&rig.script.lock);
	BUG(off < container_of(b, struct script_body, b)->gone);
	n = script_ready_locked(&rig.script, off);
	pthread_mutex_unlock(&rig.script.lock);
	return n;
}

static int script_wait_op(struct body *b, int64_t off, struct wake *w)
{
	struct script *s = &rig.script;
	int rc;

	pthread_mutex_lock(&s->lock);
	rc = script_ready_locked(s, off) != 0 || s->ended;
	if (rc == 0) {
		BUG(w->on != NULL); /* one wake sleeps on one body at a time */
		w->on = s;
		w->off = off;
		w->prev = NULL;
		w->next = s->first;
		if (s->first != NULL)
			s->first->prev = w;
		s->first = w;
		s->sleeps++;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static void script_unwait(struct body *b, struct wake *w)
{
	pthread_mutex_lock(&rig.script.lock);
	if (w->on == &rig.script)
		script_unlink(&rig.script, w);
	pthread_mutex_unlock(&rig.script.lock);
}

static int64_t script_size(const struct body *b)
{
	int64_t size;

	pthread_mutex_lock(&rig.script.lock);
	size = rig.script.ended ? rig.script.limit : rig.script.size; /* it may turn out to be shorter than promised */
	pthread_mutex_unlock(&rig.script.lock);
	return size;
}

static int script_fd(const struct body *b)
{
	bool by_sendfile;

	pthread_mutex_lock(&rig.script.lock);
	by_sendfile = rig.script.by_sendfile;
	pthread_mutex_unlock(&rig.script.lock);
	return by_sendfile ? pattern_file() : -1;
}

static ssize_t script_read(struct body *b, int64_t off, void *p, size_t n)
{
	bool fails;

	pthread_mutex_lock(&rig.script.lock);
	BUG(off + (int64_t)n > rig.script.limit); /* only what ready() promised */
	fails = rig.script.read_fails;
	pthread_mutex_unlock(&rig.script.lock);
	if (fails) {
		errno = EIO;
		return -1;
	}
	memcpy(p, pattern_bytes() + off, n);
	return (ssize_t)n;
}

static void script_sent(struct body *b, int64_t off)
{
	pthread_mutex_lock(&rig.script.lock);
	container_of(b, struct script_body, b)->gone = off;
	rig.script.sent = off;
	pthread_mutex_unlock(&rig.script.lock);
}

static void script_done(struct body **pb)
{
	struct body *b = TAKE(*pb);

	pthread_mutex_lock(&rig.script.lock);
	rig.script.open--;
	pthread_cond_broadcast(&rig.script.changed);
	pthread_mutex_unlock(&rig.script.lock);
	free(container_of(b, struct script_body, b));
}

struct body *script_body(void)
{
	static const struct body_ops ops = {
		.ready = script_ready,
		.wait = script_wait_op,
		.unwait = script_unwait,
		.size = script_size,
		.fd = script_fd,
		.read = script_read,
		.sent = script_sent,
		.done = script_done,
	};
	struct script_body *sb = malloc(sizeof(*sb));

	BUG(sb == NULL);
	*sb = (struct script_body){.b.ops = &ops};
	pthread_mutex_lock(&rig.script.lock);
	rig.script.open++;
	pthread_cond_broadcast(&rig.script.changed);
	pthread_mutex_unlock(&rig.script.lock);
	return &sb->b;
}

/* Wakes everybody; with the lock held. */
static void script_wake(struct script *s)
{
	while (s->first != NULL) {
		struct wake *w = s->first;

		script_unlink(s, w);
		(void)loop_post_once(w->loop, &w->post);
	}
	pthread_cond_broadcast(&s->changed);
}

void script_begin(int64_t size, int64_t limit, bool by_sendfile)
{
	pthread_mutex_lock(&rig.script.lock);
	rig.script.size = size;
	rig.script.limit = limit;
	rig.script.by_sendfile = by_sendfile;
	pthread_mutex_unlock(&rig.script.lock);
}

void script_grow(int64_t limit)
{
	pthread_mutex_lock(&rig.script.lock);
	rig.script.limit = limit;
	script_wake(&rig.script);
	pthread_mutex_unlock(&rig.script.lock);
}

void script_end(void)
{
	pthread_mutex_lock(&rig.script.lock);
	rig.script.ended = true;
	script_wake(&rig.script);
	pthread_mutex_unlock(&rig.script.lock);
}

void script_fail(int code)
{
	pthread_mutex_lock(&rig.script.lock);
	rig.script.failed = code;
	script_wake(&rig.script);
	pthread_mutex_unlock(&rig.script.lock);
}

void script_wait_closed(void)
{
	struct timespec until = rig_deadline();
	int rc = 0, open;

	pthread_mutex_lock(&rig.script.lock);
	while (rig.script.open > 0 && rc == 0)
		rc = pthread_cond_timedwait(&rig.script.changed, &rig.script.lock, &until);
	open = rig.script.open;
	pthread_mutex_unlock(&rig.script.lock);
	assert_int_equal(open, 0);
}
