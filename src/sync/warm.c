/* Fetches artifacts of a version ahead of clients, in the background: all, or what clients used of the same things before, or what upstream is about to
 * drop. It changes no version, so syncs of the repository go on beside it.
 *
 *   what was used, or what has a successor: a table of keys ── count what is missing ── download it
 *
 * A key is what two versions of the same thing have alike, as its format says, or its path. The table holds 64 bits of a digest of it: two things that
 * share these cost one download too many. Whatever is saved stays, so the next run goes on where this one was stopped. */
#include "sync/sync_priv.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "catalog/warm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 1000
#define CONCURRENCY 4   /* clients' own downloads come first */
#define FAILURES_MAX 20 /* one after the other: then upstream is down, not an artifact bad */
#define TABLE_MIN ((size_t)1 << 12)
#define TABLE_MAX ((size_t)1 << 26) /* a gigabyte */

enum what { WARM_ALL, WARM_USED, WARM_VANISHING };

/* Open addressing; key 0 is an empty place. */
struct table {
	struct place {
		uint64_t key;
		int64_t value;
	} * place;
	size_t size, count;
};

struct warm {
	struct sluice_sync s; /* what download.c needs of it */
	struct download_rules rules;
	enum what what;
	int64_t since_us; /* WARM_USED: uses that count */
	int64_t number;
	int64_t failed_before_us;
	struct table table; /* WARM_USED: last use by key. WARM_VANISHING: the newest version that added it, by key */
	struct warm_at at;
	bool at_end;
	/* the page that is being filled */
	struct change_missing *rows;
	size_t count;
	int64_t total, bytes_total, done, bytes, missing, failed;
	int failed_in_a_row;
	struct err first_err;
};

/* ---- keys ---- */

/* FNV-1a, with the end of each part in it. */
static uint64_t mix(uint64_t h, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (uint8_t)s.p[i]) * UINT64_C(0x100000001b3);
	return (h ^ 0xff) * UINT64_C(0x100000001b3);
}

/* Of what lacks one of the members: its path. */
static uint64_t key_of(const struct warm *w, const struct warm_unit *u)
{
	const char *const *member = w->s.format->same_thing;
	bool is_main = slice_eq(u->type, slice_str(w->s.format->content_type));
	json_t *extra = member != NULL && is_main ? json_loadb(u->extra.p, u->extra.n, 0, NULL) : NULL;
	uint64_t h = mix(UINT64_C(0xcbf29ce484222325), u->type);
	bool by_path = extra == NULL;

	for (; !by_path && *member != NULL; member++) {
		const char *text = json_string_value(json_object_get(extra, *member));

		by_path = text == NULL;
		if (text != NULL)
			h = mix(h, slice_str(text));
	}
	json_decref(extra);
	if (by_path)
		h = mix(h, u->relative_path);
	return h != 0 ? h : 1;
}

static struct place *place_of(const struct table *t, uint64_t key)
{
	size_t i = key & (t->size - 1);

	while (t->place[i].key != 0 && t->place[i].key != key)
		i = (i + 1) & (t->size - 1);
	return &t->place[i];
}

static int table_grow(struct table *t, struct err *err)
{
	struct table more = {.size = t->size > 0 ? 2 * t->size : TABLE_MIN, .count = t->count};

	if (more.size > TABLE_MAX)
		return err_set(err, -ERR_LIMIT, "the repository has more different things than can be kept in mind");
	more.place = calloc(more.size, sizeof(*more.place));
	if (more.place == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for what to warm");
	for (size_t i = 0; i < t->size; i++)
		if (t->place[i].key != 0)
			*place_of(&more, t->place[i].key) = t->place[i];
	free(t->place);
	*t = more;
	return 0;
}

/* Keeps the larger value. */
static int table_add(struct table *t, uint64_t key, int64_t value, struct err *err)
{
	int rc = 2 * (t->count + 1) > t->size ? table_grow(t, err) : 0;
	struct place *p;

	if (rc < 0)
		return rc;
	p = place_of(t, key);
	if (p->key == 0 || value > p->value)
		p->value = value;
	t->count += p->key == 0;
	p->key = key;
	return 0;
}

/* 0: it is not there. */
static int64_t table_get(const struct table *t, uint64_t key)
{
	return t->size > 0 ? place_of(t, key)->value : 0;
}

static int note_used(void *arg, const struct warm_unit *u, struct err *err)
{
	struct warm *w = arg;

	return table_add(&w->table, key_of(w, u), u->last_used_us, err);
}

static int note_added(void *arg, const struct warm_unit *u, struct err *err)
{
	struct warm *w = arg;

	return table_add(&w->table, key_of(w, u), u->version_added, err);
}

/* One piece of a walk in a transaction of its own, so that a long walk holds up nobody. As catalog_warm_missing. */
static int piece(struct warm *w, struct warm_at *at, warm_fn *fn, size_t max, struct err *err)
{
	int64_t repository = w->s.repository->id;
	struct txn *t = NULL;
	int rc = catalog_read(w->s.env->catalog, &t, err);

	if (rc == 0 && fn == note_used)
		rc = catalog_warm_used(t, repository, w->number, w->since_us, at, max, fn, w, err);
	else if (rc == 0 && fn == note_added)
		rc = catalog_warm_units(t, repository, at, max, fn, w, err);
	else if (rc == 0)
		rc = catalog_warm_missing(t, repository, w->number, w->failed_before_us, at, max, fn, w, err);
	txn_end(&t);
	return rc;
}

static int whole(struct warm *w, warm_fn *fn)
{
	struct warm_at at = {0};
	int rc;

	do
		rc = piece(w, &at, fn, PAGE, &w->s.err);
	while (rc == 1);
	return rc;
}

/* ---- what is wanted ---- */

static bool is_wanted(const struct warm *w, const struct warm_unit *u, int64_t *for_us)
{
	*for_us = 0;
	switch (w->what) {
	case WARM_USED:
		*for_us = table_get(&w->table, key_of(w, u));
		return *for_us > 0;
	case WARM_VANISHING:
		return u->dropped || table_get(&w->table, key_of(w, u)) > u->version_added;
	default:
		return true;
	}
}

static int count_one(void *arg, const struct warm_unit *u, struct err *err)
{
	struct warm *w = arg;
	int64_t for_us;

	if (is_wanted(w, u, &for_us)) {
		w->total++;
		w->bytes_total += MAX(u->want.size, 0);
	}
	return 0;
}

static int take_one(void *arg, const struct warm_unit *u, struct err *err)
{
	struct warm *w = arg;
	int64_t for_us;

	if (!is_wanted(w, u, &for_us))
		return 0;
	w->rows[w->count] = u->want;
	w->rows[w->count].for_us = for_us;
	/* The URL is its source's, which download.c asks the catalog for. */
	w->rows[w->count].url = strdup("");
	if (w->rows[w->count].url == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for a download");
	w->count++;
	return 0;
}

static int next_wanted(void *arg, struct change_missing *rows, size_t max, size_t *count, struct err *err)
{
	struct warm *w = arg;
	int rc = space_has_room(w->s.env->space, 0, err);

	w->rows = rows;
	w->count = 0;
	while (rc == 0 && w->count == 0 && !w->at_end) {
		rc = piece(w, &w->at, take_one, max, err);
		w->at_end = rc == 0;
		rc = MIN(rc, 0);
	}
	if (rc < 0)
		change_missing_fini(rows, w->count);
	*count = rc < 0 ? 0 : w->count;
	return rc;
}

/* ---- how it goes ---- */

static void report(const struct warm *w)
{
	task_progress(w->s.task, "warm.artifacts", "Warming Artifacts", w->total, w->done);
	task_progress(w->s.task, "warm.bytes", "Warming Bytes", w->bytes_total, w->bytes);
	if (w->missing > 0)
		task_progress(w->s.task, "warm.missing", "Unavailable upstream", -1, w->missing);
	if (w->failed > 0)
		task_progress(w->s.task, "warm.failed", "Not to be had just now", -1, w->failed);
}

static void report_end(const struct warm *w)
{
	report(w);
	task_progress_done(w->s.task, "warm.artifacts", w->done);
	task_progress_done(w->s.task, "warm.bytes", w->bytes);
	if (w->missing > 0)
		task_progress_done(w->s.task, "warm.missing", w->missing);
	if (w->failed > 0)
		task_progress_done(w->s.task, "warm.failed", w->failed);
}

static void on_saved(void *arg, int64_t artifacts, int64_t bytes)
{
	struct warm *w = arg;

	if (artifacts > w->done)
		w->failed_in_a_row = 0;
	w->done = artifacts;
	w->bytes = bytes;
	report(w);
}

static int on_lost(void *arg, const struct change_missing *row, bool missing, const struct err *why)
{
	struct warm *w = arg;

	if (missing) {
		w->missing++;
	} else {
		w->failed++;
		w->failed_in_a_row++;
		if (w->first_err.code == 0)
			w->first_err = *why;
		log_warn("sync", "cannot be warmed: %s", why->code != 0 ? why->msg : "no source may be asked for it");
	}
	report(w);
	if (w->failed_in_a_row < FAILURES_MAX)
		return 0;
	return err_set(&w->s.err, why->code != 0 ? why->code : -ERR_UPSTREAM,
		"%d artifacts in a row could not be had, so the rest was not tried; the last: %.700s",
		w->failed_in_a_row, why->code != 0 ? why->msg : "no source may be asked for it");
}

/* ---- the task ---- */

static int load_rows(struct warm *w)
{
	const json_t *args = task_args(w->s.task), *number = json_object_get(args, "number");
	const char *text = json_string_value(json_object_get(args, "repository"));
	struct txn *t = NULL;
	struct uuid uuid;
	int rc;

	if (text == NULL || uuid_parse(slice_str(text), &uuid) != 0 || !json_is_integer(number))
		return err_set(&w->s.err, -ERR_INVAL, "the task does not say which version");
	w->number = json_integer_value(number);
	rc = catalog_read(w->s.env->catalog, &t, &w->s.err);
	if (rc == 0)
		rc = catalog_repository_by_uuid(t, &uuid, &w->s.repository, &w->s.err);
	if (rc == 0) /* it may be deleted by now */
		rc = catalog_version_get(t, w->s.repository->id, w->number, &w->s.latest, &w->s.err);
	txn_end(&t);
	if (rc < 0)
		return rc;
	w->s.format = sync_format_of(w->s.env, w->s.repository->type);
	return w->s.format != NULL
		       ? 0
		       : err_set(&w->s.err, -ERR_UNSUPPORTED, "no format '%s' is installed", w->s.repository->type);
}

static int64_t whole_number(const json_t *args, const char *name, int64_t otherwise)
{
	const json_t *v = json_object_get(args, name);

	return json_is_integer(v) ? MAX(json_integer_value(v), 1) : otherwise;
}

static void read_options(struct warm *w)
{
	const json_t *args = task_args(w->s.task);
	const char *what = json_string_value(json_object_get(args, "what"));
	int64_t now_us = clock_wall_us(), days = whole_number(args, "used_within", 0);

	w->what = what == NULL                     ? WARM_ALL
		  : strcmp(what, "used") == 0      ? WARM_USED
		  : strcmp(what, "vanishing") == 0 ? WARM_VANISHING
						   : WARM_ALL;
	w->since_us = days > 0 ? now_us - MIN(days, 1000000) * 86400 * US_PER_S : 0;
	w->failed_before_us = now_us - w->s.env->settings->content_failure_cooldown * 1000;
	w->rules = (struct download_rules){
		.concurrency = (int)MIN(whole_number(args, "concurrency", CONCURRENCY), WIRE_CONCURRENCY_MAX),
		.rate = whole_number(args, "rate_limit", 0),
		.ahead = true,
		.room = space_has_room,
		.saved = on_saved,
		.lost = on_lost,
		.arg = w,
	};
}

static int warm(struct warm *w)
{
	int rc = load_rows(w);

	if (rc < 0)
		return rc;
	read_options(w);
	if (w->what != WARM_ALL)
		rc = whole(w, w->what == WARM_USED ? note_used : note_added);
	if (rc == 0)
		rc = whole(w, count_one);
	report(w);
	if (rc == 0 && w->total > 0)
		rc = wire_init(&w->s.wire, w->s.env->settings, &w->s.err);
	if (rc == 0 && w->total > 0)
		rc = download_all(&w->s, next_wanted, w);
	if (rc == 0 && w->failed > 0)
		rc = err_set(&w->s.err, w->first_err.code != 0 ? w->first_err.code : -ERR_UPSTREAM,
			"%lld artifacts could not be had; the first: %.700s", (long long)w->failed,
			w->first_err.code != 0 ? w->first_err.msg : "no source may be asked for it");
	if (rc == 0)
		report_end(w);
	return rc;
}

int warm_task(struct task *t, struct err *err)
{
	struct warm *w = calloc(1, sizeof(*w));
	int rc;

	if (w == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for warming");
	w->s.task = t;
	w->s.env = task_env(t);
	w->s.rules = &w->rules;
	rc = warm(w);
	if (rc < 0 && err != NULL)
		*err = w->s.err;
	wire_fini(&w->s.wire);
	repository_row_free(&w->s.repository);
	free(w->table.place);
	free(w);
	return rc;
}

/* ---- after a sync ---- */

static int create_task(struct txn *t, struct sluice_sync *s, const char *what, const char *domain)
{
	char uuid_text[UUID_STR], resource[128], *text;
	const char *exclusive[] = {resource, NULL};
	struct task_new n = {.name = WARM_TASK, .exclusive = exclusive};
	json_t *args = json_pack("{s:s, s:I, s:s}", "repository", uuid_str(&s->repository->uuid, uuid_text), "number",
		(json_int_t)s->result.number, "what", what);
	struct uuid uuid;
	int64_t id;
	int rc;

	(void)snprintf(resource, sizeof(resource), "pdrn:%s:warm:%s", domain, uuid_text);
	text = args != NULL ? json_dumps(args, JSON_COMPACT) : NULL;
	n.args = slice_str(text);
	n.logging_cid = slice_str(task_self(s->task)->logging_cid);
	rc = text != NULL ? catalog_task_create(t, &n, &id, &uuid, NULL, &s->err)
			  : err_set(&s->err, -ERR_NOMEM, "no memory for a task");
	free(text);
	json_decref(args);
	return rc;
}

int warm_later(struct sluice_sync *s)
{
	const char *what = json_string_value(json_object_get(task_args(s->task), "warm"));
	struct txn *t = NULL;
	char *domain = NULL;
	int rc;

	if (what == NULL || !s->result.changed)
		return 0;
	rc = catalog_write(s->env->catalog, &t, &s->err);
	if (rc == 0)
		rc = catalog_meta_get(t, "domain_uuid", &domain, &s->err);
	if (rc == 0)
		rc = create_task(t, s, what, domain);
	if (rc == 0)
		rc = txn_commit(&t, &s->err);
	txn_end(&t);
	free(domain);
	return rc;
}
