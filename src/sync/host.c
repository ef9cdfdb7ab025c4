/* What a format may call during its sync. Each function checks what it is given, notes in s->err why it refused, and from
 * the first failure on nothing is done any more: a format that goes on regardless cannot turn a failure into a success. */
#include "sync/sync_priv.h"

#include "base/url.h"

#include <stdio.h>
#include <string.h>

static int host_fetch(struct sluice_sync *s, const struct sluice_fetch *what, struct sluice_fetched *out)
{
	if (s->err.code != 0)
		return s->err.code;
	return metadata_fetch(s, what, out);
}

static int host_unit(struct sluice_sync *s, const struct sluice_unit *u)
{
	if (s->err.code != 0)
		return s->err.code;
	return units_add(s, u);
}

static int host_known(struct sluice_sync *s, const struct sluice_unit *u)
{
	return s->err.code != 0 ? s->err.code : units_known(s, u);
}

static int host_unchanged(struct sluice_sync *s)
{
	if (s->err.code != 0)
		return s->err.code;
	/* Without a 304, which is only given when skipping is right, this would lose changes silently. */
	if (!s->may_skip || s->declared > 0)
		return err_set(&s->err, -ERR_INTERNAL, "the format took a sync for unchanged that is not");
	s->unchanged = true;
	return 0;
}

static void host_progress(struct sluice_sync *s, const char *code, const char *message, int64_t total, int64_t done)
{
	task_progress(s->task, code, message, total, done);
}

__attribute__((format(printf, 2, 3))) static int host_fail(struct sluice_sync *s, const char *fmt, ...)
{
	va_list ap;

	if (s->err.code != 0)
		return s->err.code;
	va_start(ap, fmt);
	err_setv(&s->err, -ERR_UPSTREAM, fmt, ap);
	va_end(ap);
	return s->err.code;
}

static const char *host_get(struct sluice_sync *s, const char *name)
{
	return facts_get(&s->facts, name);
}

static int host_sibling_url(
	struct sluice_sync *s, const char *base_url, const char *relative_path, char *out, size_t cap)
{
	struct buf url = BUF_INIT(cap > 0 ? cap - 1 : 0);
	int rc;

	if (s->err.code != 0)
		return s->err.code;
	if (cap == 0)
		return err_set(&s->err, -ERR_LIMIT, "no room for a URL");
	rc = url_sibling(slice_str(base_url), slice_str(relative_path), &url);
	if (rc == 0)
		(void)snprintf(out, cap, "%s", url.p);
	else if (rc == -ERR_LIMIT)
		(void)err_set(&s->err, rc, "the URL of an artifact is longer than %zu bytes", cap - 1);
	else
		(void)err_set(&s->err, rc, "the URL of an artifact cannot be made: %s", err_text(rc));
	buf_fini(&url);
	return rc;
}

static int host_read_begin(struct sluice_sync *s, const char *save_as, int (*take)(void *arg, const char *p, size_t n),
	void *arg, struct sluice_reading **out)
{
	return s->err.code != 0 ? s->err.code : reading_begin(s, save_as, take, arg, out);
}

static int host_read_more(struct sluice_sync *s, struct sluice_reading *r)
{
	return s->err.code != 0 ? s->err.code : reading_more(s, r);
}

static int host_each_seen(struct sluice_sync *s, int (*fn)(void *arg, const char *url), void *arg)
{
	json_t *last = s->may_skip ? json_object_get(s->last, "metadata") : NULL;
	const char *url;
	json_t *entry;
	int rc = s->err.code;

	json_object_foreach(last, url, entry)
	{
		if (rc == 0)
			rc = fn(arg, url);
	}
	return s->err.code != 0 ? s->err.code : rc;
}

const struct sluice_sync_host sync_host = {
	.fetch = host_fetch,
	.unit = host_unit,
	.known = host_known,
	.unchanged = host_unchanged,
	.progress = host_progress,
	.fail = host_fail,
	.get = host_get,
	.sibling_url = host_sibling_url,
	.read_begin = host_read_begin,
	.read_more = host_read_more,
	.each_seen = host_each_seen,
};
