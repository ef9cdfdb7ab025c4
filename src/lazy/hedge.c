/* A source that is late: when its head has not come after as long as it takes for nineteen of twenty of its answers, the next source that may be asked now is asked
 * besides, and whichever head comes first is used. Once a try, only for the beginning of a body, and only where the second request need not queue: the other one
 * is slow, and its load should not become the next one's. The loser stays among the sources that are left. Fetch loop only. */
#include "lazy/flight_priv.h"

#include "base/log.h"
#include "base/metrics.h"

#include <inttypes.h>

void hedge_end(struct flight *f)
{
	loop_timer_cancel(f->lz->loop, &f->hedge_timer);
	fetch_cancel(&f->hedge);
}

/* The late one keeps its place behind it: it may still be needed. */
static void change_places(struct flight *f)
{
	struct source_row late = f->sources[f->source_at];

	f->sources[f->source_at] = f->sources[f->hedge_at];
	f->sources[f->hedge_at] = late;
}

static int on_head(void *arg, const struct fetch_head *h)
{
	struct flight *f = arg;

	if (h->status != 200) /* asked again when its turn comes, with all that belongs to a failure */
		return -ERR_UPSTREAM;
	log_info("lazy", "flight %" PRIu64 ": remote '%s' is late, remote '%s' was faster", f->id,
		f->sources[f->source_at].remote->name, f->sources[f->hedge_at].remote->name);
	metric_inc(M_flight_hedges_won);
	fetch_cancel(&f->fetch);
	f->fetch = TAKE(f->hedge);
	change_places(f);
	drive_source_changed(f);
	return drive_on_head(f, h);
}

static void on_done(void *arg, int rc, const struct err *err)
{
	struct flight *f = arg;

	if (f->hedge != NULL) /* it lost, or failed */
		f->hedge = NULL;
	else
		drive_on_done(f, rc, err);
}

static void on_timer(struct loop_timer *t)
{
	struct flight *f = container_of(t, struct flight, hedge_timer);
	struct fetch_req req = {
		.optional = true, .on_head = on_head, .on_data = drive_on_data, .on_done = on_done, .arg = f};
	struct fetch_remote remote;
	struct err err = ERR_INIT;

	f->hedge_at = source_after(f, f->source_at);
	if (f->hedge_at == f->source_count || f->lz->stopping)
		return;
	req.url = f->sources[f->hedge_at].url;
	source_remote(f, &f->sources[f->hedge_at], &remote);
	remote.max_retries = 0;
	if (fetch_start(f->lz->fetch, &remote, &req, &f->hedge, &err) == 0)
		metric_inc(M_flight_hedges);
}

void hedge_begin(struct flight *f)
{
	const struct source_row *s = &f->sources[f->source_at];

	if (f->watermark > 0 || source_after(f, f->source_at) == f->source_count)
		return;
	f->hedge_timer.fn = on_timer;
	/* Without a timer nobody is asked besides. */
	(void)loop_timer_set(f->lz->loop, &f->hedge_timer, source_hedge_delay_ns(f, s));
}
