/* The guard of a distribution: may this client learn whether the path exists (C12)? Runs for guarded distributions only, on hits and misses alike.
 * What certificates and passwords are worth is found out by a pool of its own, so that a crowd of strangers holds up no download, and is remembered
 * by the loop (proofs.c). Loop, but for prove_job. */
#include "content/request_priv.h"

#include "base/addr.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct proving {
	struct pool_job job;
	struct request *rq;
	struct snapshot *snap; /* a reference */
	int64_t guard_id;
	struct guard_claim claim; /* points into `shown` */
	struct proof_key key;
	struct guard_proof *proof;
	int rc;
	struct err err;
	char shown[];
};

/* ---- what the request shows ---- */

/* The only field of that name: of two, one may be the client's and one the proxy's, and nobody can tell which. */
static struct slice sole_field(const struct http_request *r, struct slice name)
{
	struct slice found = SLICE_NULL;

	for (size_t i = 0; i < r->header_count; i++) {
		if (!slice_eq_nocase(r->headers[i].name, name))
			continue;
		if (found.p != NULL)
			return SLICE_NULL;
		found = r->headers[i].value;
	}
	return found;
}

static struct slice header_of(const void *arg, struct slice name)
{
	return sole_field(arg, name);
}

/* Of what the client asked for, which is not what the request names when it came through ErrorDocument. */
static struct slice query_of(struct slice target)
{
	struct slice rest = target;

	(void)slice_cut(&rest, '?');
	return rest;
}

/* What a proxy says that is trusted, even if that makes no sense; else the certificate of the connection itself, whose key the client has proven to have. */
static void claim_cert(const struct request *rq, struct guard_claim *c)
{
	static const struct slice name = {"X-CLIENT-CERT", 13};
	const struct http_request *r = rq->http;

	if (http_header_get(r, name).p != NULL &&
		addr_list_has(rq->shard->content->settings->server_trusted_proxies, slice_str(r->peer))) {
		c->cert = sole_field(r, name);
		return;
	}
	c->cert = http_client_cert(rq->x);
	c->cert_is_der = c->cert.p != NULL;
}

static struct guard_claim claim_of(const struct request *rq)
{
	const struct http_request *r = rq->http;
	struct guard_claim c = {.path = rq->path,
		.authorization = sole_field(r, SLICE("Authorization")),
		.query = query_of(rq->target),
		.key = &rq->shard->content->signing_key,
		.header = header_of,
		.header_arg = r,
		.client = addr_of_client(rq->shard->content->settings->server_trusted_proxies, slice_str(r->peer),
			http_header_last(r, SLICE("X-Forwarded-For"))),
		.now_s = time(NULL)};

	claim_cert(rq, &c);
	return c;
}

/* With a salt: nobody who reads memory can try passwords against it faster than against us. */
static int key_of(const struct request *rq, const struct guard_claim *c, int64_t guard_id, struct proof_key *out)
{
	const struct content *content = rq->shard->content;
	int64_t head[3] = {guard_id, (int64_t)c->cert.n, c->cert_is_der};
	struct digests digests;
	struct hasher *h = NULL;
	int rc = hasher_new(1u << DIGEST_SHA256, &h);

	if (rc < 0)
		return rc;
	hasher_add(h, content->proof_salt, sizeof(content->proof_salt));
	hasher_add(h, head, sizeof(head));
	hasher_add(h, c->cert.p, c->cert.n);
	hasher_add(h, c->authorization.p, c->authorization.n);
	hasher_end(h, &digests);
	hasher_free(&h);
	memcpy(out->b, digests.d[DIGEST_SHA256], sizeof(out->b));
	return 0;
}

/* ---- the decision ---- */

static enum step decided(const struct request *rq, const struct guard_proof *proof)
{
	return guard_proof_covers(proof, rq->path) ? guard_passed(rq) : STEP_denied;
}

/* Pool. */
static void prove_job(struct pool_job *j)
{
	struct proving *p = container_of(j, struct proving, job);
	const struct content *c = p->rq->shard->content;

	p->rc = guard_prove(p->snap->guards, p->guard_id, &p->claim, c->login, c->login_arg, &p->proof, &p->err);
}

static void remember(struct shard_state *sh, const struct proving *p)
{
	if (sh->proofs == NULL && proofs_new(&sh->proofs) < 0)
		return; /* it only served speed */
	proofs_put(sh->proofs, &p->key, p->snap->generation, p->proof);
}

static void prove_done(struct pool_job *j)
{
	struct proving *p = container_of(j, struct proving, job);
	struct request *rq = p->rq;

	if (p->rc < 0) {
		if (p->rc != -ERR_LIMIT)
			log_error("content", "request %" PRIx64 ": its content guard could not be asked: %s", rq->id,
				p->err.msg);
		rq->job_rc = p->rc;
		rq->step = STEP_guard;
	} else {
		if (guard_proof_why(p->proof)[0] != '\0')
			log_info("content", "request %" PRIx64 " is denied by a content guard: %s", rq->id,
				guard_proof_why(p->proof));
		remember(rq->shard, p);
		rq->step = decided(rq, p->proof);
	}
	guard_proof_unref(&p->proof);
	snapshot_unref(&p->snap);
	free(p);
	if (rq->x == NULL)
		request_free(rq);
	else
		request_run(rq);
}

/* 0: a job runs. */
static int prove_start(struct request *rq, const struct guard_claim *c, const struct proof_key *key, int64_t guard_id)
{
	struct proving *p;

	if (request_detach(rq) < 0 || (p = malloc(sizeof(*p) + c->cert.n + c->authorization.n)) == NULL)
		return -ERR_NOMEM;
	*p = (struct proving){.job = {.fn = prove_job, .done = prove_done, .loop = rq->shard->loop},
		.rq = rq,
		.snap = snapshot_ref(rq->snap),
		.guard_id = guard_id,
		.key = *key,
		.err = ERR_INIT,
		.claim = {.cert_is_der = c->cert_is_der, .client = c->client, .now_s = c->now_s}};
	if (c->cert.n > 0)
		p->claim.cert = slice_of(memcpy(p->shown, c->cert.p, c->cert.n), c->cert.n);
	if (c->authorization.n > 0)
		p->claim.authorization = slice_of(
			memcpy(p->shown + c->cert.n, c->authorization.p, c->authorization.n), c->authorization.n);
	if (pool_submit(rq->shard->content->guard_pool, &p->job) == 0)
		return 0;
	snapshot_unref(&p->snap);
	free(p);
	return -ERR_LIMIT;
}

int guard_request(struct request *rq, int64_t guard_id, enum step *next)
{
	struct shard_state *sh = rq->shard;
	struct guard_claim claim = claim_of(rq);
	const struct guard_proof *proof;
	struct proof_key key;
	int rc = rq->job_rc;

	if (rc < 0)
		return rc;
	/* Whoever reads the log must not be able to use it. */
	if (claim.query.n > 0 && memmem(claim.query.p, claim.query.n, "validate_token=", 15) != NULL)
		http_hide_query(rq->x);
	switch (guard_judge(rq->snap->guards, guard_id, &claim)) {
	case GUARD_PASS:
		*next = guard_passed(rq);
		return 0;
	case GUARD_DENY:
		*next = STEP_denied;
		return 0;
	case GUARD_ASK:
		break;
	}
	if ((rc = key_of(rq, &claim, guard_id, &key)) < 0)
		return rc;
	proof = sh->proofs != NULL ? proofs_get(sh->proofs, &key, rq->snap->generation, claim.now_s) : NULL;
	if (proof != NULL) {
		*next = decided(rq, proof);
		return 0;
	}
	*next = STEP_WAIT;
	return prove_start(rq, &claim, &key, guard_id);
}

/* ---- signed redirects ---- */

/* Guards have identifiers of their own; this is nobody's. */
static const struct uuid redirects;

#define SIGNATURE_MAX 1024

struct slice guard_sign(const struct request *rq)
{
	const struct content *c = rq->shard->content;
	int64_t valid_s = c->settings->lazy_redirect_valid / 1000;
	struct slice query = query_of(rq->target), out = SLICE_NULL;
	struct buf b = BUF_INIT(SIGNATURE_MAX);

	if (valid_s == 0)
		return rq->target;
	/* The same URL for everybody for a while: else a cache would keep one copy for each client. */
	if (signature_add_same(
		    &c->signing_key, &redirects, rq->path, query, (time(NULL) / valid_s + 2) * valid_s, &b) == 0)
		out = slice_str(arena_printf(http_arena(rq->x), "%.*s%s%.*s", SLICE_ARG(rq->target),
			query.p != NULL ? "" : "?", (int)b.n, b.p));
	buf_fini(&b);
	return out;
}

bool guard_was_sent(const struct request *rq)
{
	const struct content *c = rq->shard->content;

	if (c->settings->lazy_redirect_valid / 1000 == 0)
		return true;
	http_hide_query(rq->x);
	return signature_holds(&c->signing_key, &redirects, rq->path, query_of(rq->target), time(NULL));
}

int64_t guard_keep_s(const struct request *rq)
{
	const struct settings *s = rq->shard->content->settings;
	int64_t keep_s = s->lazy_streamer_cache_timeout / 1000;

	if (s->lazy_redirect_valid / 1000 > 0)
		keep_s = MIN(keep_s, MAX(signature_expires_s(query_of(rq->target)) - (int64_t)time(NULL), 0));
	return keep_s;
}
