/* Room for staging files: what the flights in progress hold of the disk, or will, within settings.storage_staging_max. A declared size is taken at the start of
 * a flight, so that what has begun can end; an unknown one as it grows. Nobody waits for room: whoever gets none is told so. Any thread; each flight's own share
 * is changed by its driver, and given back by it or by whoever frees the flight. */
#include "lazy/flight_priv.h"

#include "base/metrics.h"

#include <inttypes.h>

int room_take(struct flight *f, int64_t bytes, struct err *err)
{
	const int64_t max = f->lz->settings->storage_staging_max, more = bytes - f->room;
	int64_t used = atomic_load_explicit(&f->lz->room_used, memory_order_relaxed);

	if (more <= 0)
		return 0;
	do {
		if (max > 0 && more > max - used) {
			metric_inc(M_staging_refusals);
			return err_set(err, -ERR_STAGING,
				"needs %" PRId64 " bytes of staging%s, and %" PRId64 " of %" PRId64
				" are taken (storage.staging_max)",
				more, f->room > 0 ? " more" : "", used, max);
		}
	} while (!atomic_compare_exchange_weak_explicit(
		&f->lz->room_used, &used, used + more, memory_order_relaxed, memory_order_relaxed));
	f->room = bytes;
	metric_add(M_staging_bytes, more);
	return 0;
}

void room_give(struct flight *f, int64_t bytes)
{
	bytes = MIN(bytes, f->room);
	atomic_fetch_sub_explicit(&f->lz->room_used, bytes, memory_order_relaxed);
	metric_add(M_staging_bytes, -bytes);
	f->room -= bytes;
}
