/* Who offers an artifact: reading the sources, choosing the next one, how to talk to it, and telling the catalog how it fared.
 * Functions marked so run on the pool; the rest on the fetch loop. */
#include "lazy/flight_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "catalog/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

/* Pool. The store has it, perhaps through another repository or another flight: then the catalog learns it too. */
static int look_into_store(struct flight *f)
{
	const struct digests *ds = &f->want.digests;
	struct txn *t = NULL;
	int64_t size = -1;
	struct err err = ERR_INIT;
	int rc;

	if ((ds->have & (1u << DIGEST_SHA256)) == 0)
		return -ERR_NOTFOUND;
	rc = store_get(f->lz->store, ds->d[DIGEST_SHA256], f->want.size, &f->fd, &size, &f->load_err);
	if (rc < 0)
		return rc;
	f->want.size = size;
	if (f->want.saved || f->want.content_artifact_id == 0)
		return 0;
	rc = catalog_write(f->lz->catalog, &t, &err);
	if (rc == 0)
		rc = catalog_artifact_saved(t, f->want.content_artifact_id, 0, ds, size, NULL, &err);
	if (rc == 0)
		rc = txn_commit(&t, &err);
	txn_end(&t);
	if (rc < 0) /* the bytes are right all the same; the next miss tries again */
		log_warn("lazy",
			"flight %" PRIu64 ": the catalog did not learn that the artifact is saved, ignoring: %s", f->id,
			err.msg);
	return 0;
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
	if (rc < 0 || f->source_count == 0)
		goto out;
	if ((rc = staging_new(f->lz->store, &f->st, &f->load_err)) < 0)
		goto out;
	f->fd = fcntl(staging_fd(f->st), F_DUPFD_CLOEXEC, 3);
	if (f->fd < 0)
		rc = err_sys(&f->load_err, errno, "descriptor of a staging file");
out:
	f->load_rc = rc < 0 ? rc : 0;
}

/* May any of its digests vouch for it? One that declares none is accepted: then the size must do. */
static bool digests_usable(const struct flight *f, const struct source_row *s)
{
	unsigned have = s->digests.have | f->want.digests.have;

	return have == 0 || (have & f->lz->allowed_digests) != 0;
}

int source_next(struct flight *f)
{
	const int64_t now = clock_wall_us(), cool = f->lz->settings->content_failure_cooldown * 1000;

	for (; f->source_at < f->source_count; f->source_at++) {
		const struct source_row *s = &f->sources[f->source_at];
		int64_t until = 0;
		int code = 0;

		if (s->failed_at_us > 0 && s->failed_at_us + cool > now) {
			until = s->failed_at_us + cool;
			code = -ERR_COOLDOWN;
		} else if (s->missing_at_us > 0 && s->missing_at_us + cool > now) {
			until = s->missing_at_us + cool;
			code = -ERR_GONE;
		} else if (!digests_usable(f, s)) {
			code = -ERR_NOSOURCE;
		} else {
			return 1;
		}
		if (until > 0 && (f->retry_after_s < 0 || (until - now) / US_PER_S + 1 < f->retry_after_s))
			f->retry_after_s = (until - now) / US_PER_S + 1;
		if (f->worst.code == 0 || (f->worst.code == -ERR_NOSOURCE && code != -ERR_NOSOURCE) ||
			code == -ERR_COOLDOWN)
			(void)err_set(&f->worst, code, "remote '%s': %s: %s", s->remote->name, s->url,
				code == -ERR_COOLDOWN ? "sent wrong bytes lately, cooling down"
				: code == -ERR_GONE   ? "did not have it lately, cooling down"
						      : "none of its digests is allowed");
	}
	return 0;
}

void source_remote(const struct flight *f, const struct source_row *s, struct fetch_remote *out)
{
	const struct remote_row *r = s->remote;
	bool last = f->source_at + 1 == f->source_count;

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
		.max_retries = last ? (int)r->max_retries : 0,
		.concurrency = (int)r->download_concurrency,
		.rate_limit = (int)r->rate_limit};
}

/* Pool. */
static void note_job(struct pool_job *j)
{
	struct flight *f = container_of(j, struct flight, load);
	const struct source_row *s = &f->sources[f->source_at];
	struct err err = ERR_INIT;
	struct txn *t = NULL;
	int rc = catalog_write(f->lz->catalog, &t, &err);

	if (rc == 0 && f->note_kind == ERR_GONE)
		rc = catalog_source_missing(t, s->remote_artifact_id, clock_wall_us(), &err);
	else if (rc == 0)
		rc = catalog_source_failed(t, s->remote_artifact_id, clock_wall_us(), &err);
	if (rc == 0)
		rc = txn_commit(&t, &err);
	txn_end(&t);
	if (rc < 0)
		log_warn("lazy", "flight %" PRIu64 ": the catalog did not learn that a source failed, ignoring: %s",
			f->id, err.msg);
}

int source_note(struct flight *f, int kind, void (*done)(struct pool_job *j))
{
	int rc;

	f->note_kind = kind;
	f->load = (struct pool_job){.fn = note_job, .done = done, .loop = f->lz->loop};
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	rc = pool_submit(f->lz->pool, &f->load);
	if (rc < 0) {
		struct flight *extra = f;

		flight_unref(&extra);
	}
	return rc;
}
