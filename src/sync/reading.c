/* Reading metadata that was fetched, as often and as far as the format asks for it: files that say something about the same units are walked side by side. A
 * piece is small, so that the format may look at each file as soon as it has the next unit. */
#include "sync/sync_priv.h"
#include "sync/unpack.h"

#include "base/check.h"
#include "base/fsutil.h"

#include <stdlib.h>

#define PIECE 8192 /* opened it may be a hundred times as much */

struct sluice_reading {
	struct sluice_reading *next;
	struct sluice_sync *s;
	const struct kept *kept;
	struct unpack *unpack;
	int (*take)(void *arg, const char *p, size_t n);
	void *arg;
	int64_t off;
	bool ended;
	struct err err;
};

/* A refusal of ours counts, whatever the format makes of it. */
static int hand_over(void *arg, const char *p, size_t n)
{
	struct sluice_reading *r = arg;
	int rc = r->take(r->arg, p, n);

	return rc < 0 ? rc : r->s->err.code;
}

int reading_begin(struct sluice_sync *s, const char *save_as, int (*take)(void *arg, const char *p, size_t n),
	void *arg, struct sluice_reading **out)
{
	const struct kept *kept = kept_find(s->kept, save_as);
	struct sluice_reading *r;

	if (kept == NULL)
		return err_set(&s->err, -ERR_INTERNAL, "the format reads '%s', which it has not kept", save_as);
	r = calloc(1, sizeof(*r));
	if (r == NULL || unpack_new(hand_over, r, &r->unpack) != 0) {
		free(r);
		return err_set(&s->err, -ERR_NOMEM, "no memory to open upstream's metadata");
	}
	r->s = s;
	r->kept = kept;
	r->take = take;
	r->arg = arg;
	r->next = s->readings;
	s->readings = r;
	*out = r;
	return 0;
}

int reading_more(struct sluice_sync *s, struct sluice_reading *r)
{
	size_t n = (size_t)MIN(r->kept->size - r->off, PIECE);
	char piece[PIECE];
	int rc = 0;

	if (r->ended)
		return 0;
	r->err = ERR_INIT;
	if (n > 0) {
		rc = fs_pread_all(staging_fd(r->kept->st), piece, n, r->off, &r->err);
		if (rc == 0)
			rc = unpack_feed(r->unpack, piece, n, &r->err);
		r->off += (int64_t)n;
	} else {
		rc = unpack_end(r->unpack, &r->err);
		r->ended = true;
	}
	if (rc != 0 && s->err.code == 0)
		(void)err_set(&s->err, rc, "%s: %s", r->kept->name,
			r->err.code != 0 ? r->err.msg : "the format stopped reading it");
	return rc != 0 ? s->err.code : !r->ended;
}

void readings_free(struct sluice_sync *s)
{
	while (s->readings != NULL) {
		struct sluice_reading *r = s->readings;

		s->readings = r->next;
		unpack_free(&r->unpack);
		free(r);
	}
}
