/* Who offers an artifact: reading the sources, choosing the next one, how to talk to it, and telling the catalog how it fared.
 * Functions marked so run on the pool; the rest on the fetch loop. */
#include "lazy/flight_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/url.h"
#include "catalog/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define RETRIES_MAX 100 /* an administrator's slip of the finger must not keep a client for hours */

/* Pool. Without a declared sha256 only the catalog can know what was saved since the request looked. */
static int ask_what_was_saved(struct flight *f)
{
	struct txn *t = NULL;
	int rc = catalog_read(f->lz->catalog, &t, &f->load_err);

	if (rc == 0)
		rc = catalog_artifact_of(t, f->want.content_artifact_id, &f->want.digests, &f->want.size, &f->load_err);
	txn_end(&t);
	if (rc == 0)
		f->told = true;
	return rc;
}

/* Pool. The store has it, perhaps through another repository or another flight. */
static int look_into_store(struct flight *f)
{
	const struct digests *ds = &f->want.digests;
	int64_t size = -1;
	int rc = 0;

	if ((ds->have & (1u << DIGEST_SHA256)) == 0)
		rc = ask_what_was_saved(f);
	if (rc < 0)
		return rc;
	rc = store_get(f->lz->store, ds->d[DIGEST_SHA256], f->want.size, &f->fd, &size, &f->load_err);
	if (rc == -ERR_DENIED) /* ours, not an upstream's */
		rc = f->load_err.code = -ERR_IO;
	if (rc < 0)
		return rc;
	f->want.size = size;
	/* Of the others that were declared, the store's file proves nothing. */
	digests_set(&f->actual, DIGEST_SHA256, ds->d[DIGEST_SHA256]);
	return 0;
}

/* Pool. */
static int make_staging(struct flight *f)
{
	int rc = staging_new(f->lz->store, &f->st, &f->load_err);

	if (rc == 0) {
		/* One of its own: the staging file is closed when it is saved, and readers go on. */
		f->fd = fcntl(staging_fd(f->st), F_DUPFD_CLOEXEC, 3);
		if (f->fd < 0)
			rc = err_sys(&f->load_err, errno, "descriptor of a staging file");
		if (f->fd < 0 && errno == EMFILE)
			rc = f->load_err.code = -ERR_LIMIT;
	}
	if (rc == -ERR_DENIED)
		rc = f->load_err.code = -ERR_IO;
	return rc;
}

/* Pool. load_rc: 1 the store has it, 0 sources were read, negative: failed. */
void source_load(struct pool_job *j)
{
	struct flight *f = container_of(j, struct flight, load);
	struct txn *t = NULL;
	int rc = look_into_store(f);

	if (rc == 0) {
		f->load_rc = 1;
		return;
	}
	if (rc != -ERR_NOTFOUND)
		goto out;
	f->load_err = ERR_INIT;
	if (f->want.content_artifact_id == 0) {
		rc = err_set(&f->load_err, -ERR_NOSOURCE,
			"a published file is missing in the store and has no source: publish again");
		goto out;
	}
	if ((rc = catalog_read(f->lz->catalog, &t, &f->load_err)) < 0)
		goto out;
	rc = catalog_sources(t, f->want.content_artifact_id, f->want.repository_id,
		f->lz->settings->content_share_credentials, &f->sources, &f->source_count, &f->load_err);
	txn_end(&t);
	if (rc == 0 && f->source_count > 0)
		rc = make_staging(f);
out:
	f->load_rc = rc;
}

/* May any of its digests vouch for it? One that declares none is accepted: then the size must do. */
static bool digests_usable(const struct flight *f, const struct source_row *s)
{
	unsigned have = s->digests.have | f->want.digests.have;

	return have == 0 || (have & f->lz->allowed_digests) != 0;
}

/* 0: it may be tried now. Else why not, also in *why; and *until_us is when it may, 0 for never. */
static int refused(
	const struct flight *f, const struct source_row *s, int64_t now_us, int64_t *until_us, struct err *why)
{
	const int64_t cool_us = f->lz->settings->content_failure_cooldown * 1000;
	int64_t wait_ns = 0;
	int rc;

	*until_us = 0;
	if (s->failed_at_us > 0 && s->failed_at_us + cool_us > now_us) {
		*until_us = s->failed_at_us + cool_us;
		return err_set(why, -ERR_COOLDOWN, "sent wrong bytes lately, cooling down");
	}
	if (s->missing_at_us > 0 && s->missing_at_us + cool_us > now_us) {
		*until_us = s->missing_at_us + cool_us;
		return err_set(why, -ERR_GONE, "did not have it lately, cooling down");
	}
	if (!digests_usable(f, s))
		return err_set(why, -ERR_NOSOURCE, "none of its digests is allowed");
	rc = health_peek(f->lz->health, s->remote->id, s->remote->updated_us, s->url, clock_mono_ns(), why, &wait_ns);
	if (rc < 0)
		*until_us = now_us + wait_ns / 1000;
	return rc;
}

int source_next(struct flight *f)
{
	const int64_t now_us = clock_wall_us();

	for (; f->source_at < f->source_count; f->source_at++) {
		const struct source_row *s = &f->sources[f->source_at];
		struct err why = ERR_INIT;
		int64_t until_us, left_s;

		if (refused(f, s, now_us, &until_us, &why) == 0)
			return 1;
		left_s = (until_us - now_us) / US_PER_S + 1;
		if (until_us > 0 && (f->retry_after_s < 0 || left_s < f->retry_after_s))
			f->retry_after_s = left_s;
		source_describe(s, true, &why);
		drive_remember(f, &why);
	}
	return 0;
}

size_t source_after(const struct flight *f, size_t at)
{
	const int64_t now_us = clock_wall_us();
	int64_t until_us;

	for (at++; at < f->source_count; at++)
		if (refused(f, &f->sources[at], now_us, &until_us, NULL) == 0)
			break;
	return MIN(at, f->source_count);
}

int64_t source_retry_after_s(const struct flight *f)
{
	int64_t soonest_ns = INT64_MAX, wait_ns;

	for (size_t i = 0; i < f->source_count; i++) {
		const struct source_row *s = &f->sources[i];

		if (health_peek(f->lz->health, s->remote->id, s->remote->updated_us, s->url, clock_mono_ns(), NULL,
			    &wait_ns) < 0)
			soonest_ns = MIN(soonest_ns, wait_ns);
	}
	return soonest_ns < INT64_MAX ? (soonest_ns + NS_PER_S - 1) / NS_PER_S : -1;
}

int64_t source_hedge_delay_ns(const struct flight *f, const struct source_row *s)
{
	return health_hedge_delay_of(f->lz->health, s->remote->id, s->url);
}

void source_describe(const struct source_row *s, bool with_url, struct err *err)
{
	struct buf url = BUF_INIT(65536);

	/* Half of the text is left for what happened there. */
	if (with_url && url_redact(slice_str(s->url), &url) == 0 && url.n > 0)
		(void)err_wrap(err, "%.*s", (int)MIN(url.n, sizeof(err->msg) / 2), url.p);
	(void)err_wrap(err, "remote '%.200s'", s->remote->name);
	buf_fini(&url);
}

void source_remote(const struct flight *f, const struct source_row *s, struct fetch_remote *out)
{
	const struct remote_row *r = s->remote;

	*out = (struct fetch_remote){.key = r->id,
		.revision = r->updated_us,
		.origin_url = r->url,
		.ca_cert = r->ca_cert,
		.client_cert = r->client_cert,
		.client_key = r->client_key,
		.tls_validation = r->tls_validation,
		.proxy_url = r->proxy_url,
		.proxy_username = r->proxy_username,
		.proxy_password = r->proxy_password,
		.username = r->username,
		.password = r->password,
		.headers_json = r->headers,
		.total_timeout_s = r->total_timeout_s,
		.connect_timeout_s = r->connect_timeout_s,
		.sock_connect_timeout_s = r->sock_connect_timeout_s,
		.sock_read_timeout_s = r->sock_read_timeout_s,
		/* With another source at hand a client should not wait for this one to recover. */
		.max_retries =
			source_after(f, f->source_at) == f->source_count ? (int)MIN(r->max_retries, RETRIES_MAX) : 0,
		.concurrency = (int)r->download_concurrency,
		.rate_limit = (int)r->rate_limit};
}
