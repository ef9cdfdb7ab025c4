/* The access log: a line a request, gathered per loop and written where it does not block. When standard error takes no more
 * (a reader that hangs), lines are dropped and counted, because a server that waits for its log is down. The shard's loop only. */
#include "http/conn_priv.h"

#include "base/log.h"
#include "base/metrics.h"

#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

#define LOG_FLUSH 4096 /* PIPE_BUF: a pipe that polls writable takes this much at once */

static const char *const close_text[] = {
#define X(name, text) text,
	CLOSE_REASONS(X)
#undef X
};

static void add_quoted(struct buf *b, struct slice s)
{
	(void)buf_add(b, "\"", 1);
	for (size_t i = 0; i < s.n && i < 2048; i++) {
		unsigned char ch = (unsigned char)s.p[i];

		if (ch < 0x20 || ch == 0x7f || ch == '"' || ch == '\\')
			(void)buf_addf(b, "\\x%02x", ch);
		else
			(void)buf_add(b, s.p + i, 1);
	}
	(void)buf_add(b, "\"", 1);
}

void access_log_flush(struct shard *s)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
	size_t at = 0;

	while (at < s->log.n) {
		size_t n = MIN(s->log.n - at, (size_t)LOG_FLUSH);
		ssize_t w;

		if (poll(&p, 1, 0) != 1)
			break;
		w = write(STDERR_FILENO, s->log.p + at, n);
		if (w <= 0)
			break;
		at += (size_t)w;
	}
	buf_reset(&s->log);
}

void access_log_line(struct conn *c, enum close_reason why, bool complete)
{
	struct http_x *x = &c->x;
	struct shard *s = c->shard;
	struct buf line = BUF_INIT(8192);
	char when[CLOCK_ISO_MAX];
	int64_t now = clock_mono_ns();

	if (!s->server->access_log)
		return;
	(void)buf_addf(&line, "%s INFO access id=%" PRIx64 " peer=%s method=", clock_iso(clock_wall_us(), when),
		x->req.id, c->peer);
	add_quoted(&line, x->req.method_text);
	(void)buf_adds(&line, " target=");
	add_quoted(&line, x->req.target);
	(void)buf_addf(&line, " status=%d bytes=%" PRId64 " ms=%.3f note=%s%s%s%s\n", x->status, x->sent_bytes,
		(double)(now - x->started_ns) / (double)NS_PER_MS, x->note != NULL ? x->note : "-",
		complete ? "" : " ended=\"", complete ? "" : close_text[why], complete ? "" : "\"");
	if (s->log.n + line.n > LOG_FLUSH)
		access_log_flush(s);
	if (line.failed == 0)
		(void)buf_add(&s->log, line.p, line.n);
	buf_fini(&line);
	if (s->log_timer.slot == 0)
		(void)loop_timer_set(s->loop, &s->log_timer, 200 * NS_PER_MS);
}
