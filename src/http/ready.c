/* Answers made ready: the head once, in front of its body, and from then on one call of the kernel for each request. What a socket does not take at
 * once becomes segments of a copy, because the Date in the shared head changes. The shard's loop only. */
#include "http/conn_priv.h"
#include "http/sock.h"

#define DATE_BYTES 29 /* RFC 9110 §5.6.7: IMF-fixdate */

bool http_ready_fits(const struct http_x *x)
{
	const struct conn *c = x->conn;

	return x->req.whole && x->req.minor >= 1 && x->body_done && c->keep_alive && !c->close_after &&
	       !c->shard->draining;
}

int http_ready_make(
	struct http_x *x, const struct http_reply *r, char room[HTTP_READY_ROOM], size_t body_n, struct http_ready *out)
{
	struct answer a = {.status = r->status, .length = r->size};
	const char *date;

	buf_reset(&x->head_out);
	reply_head(x->conn, r, &a, &x->head_out);
	if (x->head_out.failed != 0)
		return x->head_out.failed;
	if (x->head_out.n > HTTP_READY_ROOM)
		return -ERR_LIMIT;
	date = memmem(x->head_out.p, x->head_out.n, "\r\nDate: ", 8);
	BUG(date == NULL);
	*out = (struct http_ready){.p = room + HTTP_READY_ROOM - x->head_out.n,
		.head_n = x->head_out.n,
		.body_n = body_n,
		.status = r->status,
		.date_at = (size_t)(date - x->head_out.p) + 8,
		.date_s = x->conn->shard->date_s};
	memcpy(out->p, x->head_out.p, x->head_out.n);
	return 0;
}

static void set_date(struct shard *s, struct http_ready *ready)
{
	struct slice fields = reply_server_and_date(s);

	if (ready->date_s == s->date_s)
		return;
	memcpy(ready->p + ready->date_at, fields.p + fields.n - 2 - DATE_BYTES, DATE_BYTES);
	ready->date_s = s->date_s;
}

/* The head as a copy of this exchange's own. Head and body are the segments; `sent` bytes of them are out. */
static int become_segments(struct http_x *x, const struct http_ready *ready, size_t sent)
{
	const char *body = ready->p + ready->head_n;

	buf_reset(&x->head_out);
	if (buf_add(&x->head_out, ready->p, ready->head_n) < 0)
		return -ERR_NOMEM;
	if (x->body == NULL && ready->body_n > 0) {
		x->body = body_memory_in(&x->arena, body, ready->body_n, x->release, x->release_arg);
		if (x->body == NULL)
			return -ERR_NOMEM;
		x->release = NULL;
	}
	x->few[0] = (struct segment){
		.mem = x->head_out.p, .off = (int64_t)MIN(sent, ready->head_n), .end = (int64_t)ready->head_n};
	x->segs = x->few;
	x->seg_count = 1;
	return 0;
}

void http_reply_ready(struct http_x *x, struct http_ready *ready, struct body *body, void (*release)(void *arg),
	void *arg, const char *note)
{
	struct conn *c = conn_of(x);

	BUG(!http_ready_fits(x));
	reply_begin(x, body, note);
	x->status = ready->status;
	x->ready = ready;
	x->release = release;
	x->release_arg = arg;
	reply_end(c);
}

int ready_run(struct conn *c)
{
	struct http_x *x = c->x;
	struct http_ready *ready = TAKE(x->ready);
	bool head_only = x->req.method == HTTP_HEAD, here = x->body == NULL && !head_only;
	size_t n = ready->head_n + (here ? ready->body_n : 0);
	int64_t size = x->body != NULL ? x->body->ops->size(x->body) : (int64_t)ready->body_n;
	ssize_t sent = 0;

	set_date(c->shard, ready);
	if (here || head_only) {
		sent = send_account(c, sock_send(c, ready->p, n, 0));
		if (sent == (ssize_t)n)
			return 1;
		if (sent < 0)
			return (int)sent;
	}
	if (become_segments(x, ready, (size_t)sent) < 0) {
		conn_close(c, CLOSE_NOMEM);
		return -1;
	}
	if (!head_only && size > 0) {
		x->few[1] = (struct segment){.off = MAX(sent - (ssize_t)ready->head_n, 0), .end = size};
		x->seg_count = 2;
	}
	return sent == 0 && (here || head_only) ? 0 : 2;
}
