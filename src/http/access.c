/* The access log: a line a request, gathered per loop and handed to the writer of the log (base/log_writer.h) a piece at a time. The shard's loop
 * only. */
#include "http/conn_priv.h"
#include "http/tls.h"

#include "base/log_writer.h"
#include "base/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define LINE_MAX_BYTES LOG_PIECE_MAX
#define QUOTED_MAX 600 /* bytes of a target: escaped they are four times as many */

static const char *const close_text[] = {
#define X(name, text) text,
	CLOSE_REASONS(X)
#undef X
};

/* One line; what does not fit is left out. */
struct line {
	char p[LINE_MAX_BYTES];
	size_t n;
};

static __attribute__((format(printf, 2, 3))) void add(struct line *l, const char *fmt, ...)
{
	size_t room = sizeof(l->p) - l->n;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->p + l->n, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->n += MIN((size_t)n, room - 1);
}

static void add_quoted(struct line *l, struct slice s)
{
	static const char digits[] = "0123456789abcdef";
	size_t shown = MIN(s.n, (size_t)QUOTED_MAX);

	BUG(l->n + 4 * shown + 8 > sizeof(l->p));
	l->p[l->n++] = '"';
	for (size_t i = 0; i < shown; i++) {
		unsigned char ch = (unsigned char)s.p[i];

		if (ch >= 0x20 && ch < 0x7f && ch != '"' && ch != '\\') {
			l->p[l->n++] = (char)ch;
		} else {
			l->p[l->n++] = '\\';
			l->p[l->n++] = 'x';
			l->p[l->n++] = digits[ch >> 4];
			l->p[l->n++] = digits[ch & 15];
		}
	}
	for (int i = 0; i < 3 && shown < s.n; i++)
		l->p[l->n++] = '.';
	l->p[l->n++] = '"';
}

void access_log_flush(struct shard *s)
{
	if (s->log.n > 0)
		log_write(s->log.p, s->log.n, false);
	buf_reset(&s->log);
}

void access_log_line(struct conn *c, enum close_reason why, bool complete)
{
	struct http_x *x = c->x;
	struct shard *s = c->shard;
	char when[CLOCK_ISO_MAX];
	struct line l;

	if (!s->server->access_log)
		return;
	l.n = 0;
	add(&l, "%s INFO access id=%" PRIx64 " peer=%s method=", clock_iso(clock_wall_us(), when), x->req.id, c->peer);
	add_quoted(&l, slice_of(x->req.method_text.p, MIN(x->req.method_text.n, (size_t)32)));
	add(&l, " target=");
	add_quoted(&l, x->hide_query && x->req.query.p != NULL
			       ? slice_of(x->req.target.p, x->req.target.n - x->req.query.n)
			       : x->req.target);
	add(&l, " status=%d bytes=%" PRId64 " ms=%.3f note=%.64s", x->status, x->sent_bytes,
		(double)(clock_mono_ns() - x->started_ns) / (double)NS_PER_MS, x->note != NULL ? x->note : "-");
	if (c->tls != NULL)
		add(&l, " tls=%s", tls_version(c->tls));
	if (!complete)
		add(&l, " ended=\"%s\"", close_text[why]);
	add(&l, "\n");
	if (s->log.n + l.n > LINE_MAX_BYTES)
		access_log_flush(s);
	if (buf_add(&s->log, l.p, l.n) < 0) {
		metric_inc(M_log_dropped);
		buf_reset(&s->log); /* the next line tries again */
	}
	if (s->log_timer.slot == 0)
		(void)loop_timer_set(s->loop, &s->log_timer, 200 * NS_PER_MS);
}
