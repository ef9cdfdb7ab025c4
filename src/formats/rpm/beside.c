/* Packages that were read and not asked for yet wait in a row; the one that is asked for is the first of it as a rule. */
#include "formats/rpm/beside.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

static int fail(struct beside *b, int rc)
{
	if (rc == -ERR_PARSE || rc == -ERR_LIMIT || rc == -ERR_NOMEM)
		return b->host->fail(b->sync, "%s: %s", b->name, b->err.msg[0] != '\0' ? b->err.msg : err_text(rc));
	return rc;
}

/* Takes it out of the row; what was found before is forgotten. */
static void take_out(struct beside *b, size_t at)
{
	free(b->last.pkgid);
	b->last = b->entries[at];
	b->bytes -= b->last.n;
	if (at > b->first)
		memmove(&b->entries[b->first + 1], &b->entries[b->first], (at - b->first) * sizeof(*b->entries));
	b->first++;
	if (b->first == b->count)
		b->first = b->count = 0;
}

static int make_room(struct beside *b)
{
	struct beside_entry *more;

	if (b->first > 0) {
		memmove(b->entries, b->entries + b->first, (b->count - b->first) * sizeof(*b->entries));
		b->count -= b->first;
		b->first = 0;
	}
	if (b->count < b->cap)
		return 0;
	if (b->count >= BESIDE_PACKAGES_MAX || b->bytes > BESIDE_BYTES_MAX)
		return err_set(&b->err, -ERR_LIMIT, "its packages are in another order than those of primary.xml");
	more = realloc(b->entries, (b->cap + 256) * sizeof(*more));
	if (more == NULL)
		return -ERR_NOMEM;
	b->entries = more;
	b->cap += 256;
	return 0;
}

static int take_package(void *arg, struct slice pkgid, struct slice inside)
{
	struct beside *b = arg;
	int rc = b->count == b->cap ? make_room(b) : 0;
	char *block;

	if (rc == 0 && b->bytes > BESIDE_BYTES_MAX)
		rc = err_set(&b->err, -ERR_LIMIT, "its packages are in another order than those of primary.xml");
	if (rc != 0)
		return rc;
	block = malloc(pkgid.n + 1 + inside.n + 1);
	if (block == NULL)
		return -ERR_NOMEM;
	memcpy(block, pkgid.p, pkgid.n);
	block[pkgid.n] = '\0';
	memcpy(block + pkgid.n + 1, inside.p, inside.n);
	b->entries[b->count++] = (struct beside_entry){block, block + pkgid.n + 1, inside.n};
	b->bytes += inside.n;
	return 0;
}

static bool skip_package(void *arg, struct slice pkgid)
{
	const struct beside *b = arg;

	return seen_has(&b->skipped, pkgid.p);
}

static int take_piece(void *arg, const char *p, size_t n)
{
	struct beside *b = arg;

	return fail(b, lists_feed(&b->lists, p, n, &b->err));
}

int beside_init(struct beside *b, const struct sluice_sync_host *h, struct sluice_sync *s, const char *name,
	const char *root, const char *save_as)
{
	int rc;

	*b = (struct beside){.host = h, .sync = s, .name = name, .ended = save_as == NULL};
	rc = lists_init(&b->lists, root, take_package, b);
	if (rc != 0)
		return fail(b, rc);
	b->lists.skip = skip_package;
	return save_as != NULL ? h->read_begin(s, save_as, take_piece, b, &b->reading) : 0;
}

void beside_fini(struct beside *b)
{
	for (size_t i = b->first; i < b->count; i++)
		free(b->entries[i].pkgid);
	free(b->entries);
	free(b->last.pkgid);
	lists_fini(&b->lists);
	seen_fini(&b->skipped);
}

static bool find(struct beside *b, struct slice pkgid, size_t from, size_t *at)
{
	for (*at = from; *at < b->count; (*at)++)
		if (slice_eq(slice_str(b->entries[*at].pkgid), pkgid))
			return true;
	return false;
}

int beside_find(struct beside *b, struct slice pkgid, struct slice *out)
{
	size_t at = b->first, seen;
	int rc;

	*out = SLICE("");
	if (b->last.pkgid != NULL && slice_eq(slice_str(b->last.pkgid), pkgid)) {
		*out = slice_of(b->last.inside, b->last.n);
		return 0;
	}
	while (!find(b, pkgid, at, &at)) {
		if (b->ended)
			return 0;
		seen = b->count - b->first;
		rc = b->host->read_more(b->sync, b->reading);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			b->ended = true;
			rc = fail(b, lists_end(&b->lists, &b->err));
			if (rc != 0)
				return rc;
		}
		at = b->first + seen; /* the rest was looked at */
	}
	take_out(b, at);
	*out = slice_of(b->last.inside, b->last.n);
	return 0;
}

bool beside_skipped(const struct beside *b, struct slice pkgid)
{
	return seen_has(&b->skipped, pkgid.p);
}

int beside_skip(struct beside *b, struct slice pkgid)
{
	size_t at = 0;
	int rc;

	if (b->reading == NULL)
		return 0;
	if (find(b, pkgid, b->first, &at)) {
		free(b->entries[at].pkgid);
		b->bytes -= b->entries[at].n;
		memmove(&b->entries[at], &b->entries[at + 1], (b->count - at - 1) * sizeof(*b->entries));
		b->count--;
	}
	rc = seen_add(&b->skipped, pkgid.p, "");
	return rc < 0 ? fail(b, rc) : 0;
}
