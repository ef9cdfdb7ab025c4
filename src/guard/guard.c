/* See guard.h. */
#include "guard/guard.h"

#include "base/check.h"
#include "base/log.h"
#include "base/uuid.h"
#include "catalog/guard.h"
#include "guard/base64.h"
#include "guard/cert.h"
#include "guard/entitlement.h"
#include "guard/json_path.h"
#include "guard/signature.h"

#include <jansson.h>
#include <openssl/crypto.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Guards within guards, one walk: a composite one that contains itself ends here, closed. */
#define DEPTH_MAX 8
#define VISITS_MAX 256
#define HEADER_MAX (16 * 1024)
/* A proof is made anew after this, whatever it says; a refusal sooner, since certificates become valid, too. */
#define PROOF_S 300
#define REFUSAL_S 60

enum guard_type { GUARD_HEADER, GUARD_RBAC, GUARD_COMPOSITE, GUARD_X509, GUARD_RHSM, GUARD_REDIRECT, GUARD_UNKNOWN };
static const char *const types[] = {
	[GUARD_HEADER] = "core.header",
	[GUARD_RBAC] = "core.rbac",
	[GUARD_COMPOSITE] = "core.composite",
	[GUARD_X509] = "certguard.x509",
	[GUARD_RHSM] = "certguard.rhsm",
	[GUARD_REDIRECT] = "core.content_redirect",
};

struct guard {
	_Atomic int refs;
	int64_t id, updated_us;
	struct uuid uuid;
	enum guard_type type;
	char *header_name, *header_value;
	struct json_path *filter; /* NULL: the text itself is compared */
	struct trust *trust;
	struct uuid *members;
	size_t member_count;
	int64_t *users; /* ids, ascending */
	size_t user_count;
};

struct guards {
	size_t count;
	struct guard *g[]; /* by id */
};

struct guard_proof {
	_Atomic int refs;
	bool everything;
	struct entitlement *entitlement; /* what a guard of entitlements trusts; NULL: none */
	int64_t until_s;
	char why[160];
};

/* ---- making them ---- */

static void guard_unref(struct guard **pg)
{
	struct guard *g = TAKE(*pg);

	if (g == NULL || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
		return;
	free(g->header_name);
	free(g->header_value);
	json_path_free(&g->filter);
	trust_free(&g->trust);
	free(g->members);
	free(g->users);
	free(g);
}

static enum guard_type type_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcmp(types[i], name) == 0)
			return (enum guard_type)i;
	return GUARD_UNKNOWN;
}

static int make_header(struct guard *g, struct guard_row *row, struct err *err)
{
	if (row->header_name == NULL || row->header_value == NULL)
		return err_set(err, -ERR_INVAL, "it has no header");
	g->header_name = TAKE(row->header_name);
	g->header_value = TAKE(row->header_value);
	if (row->jq_filter == NULL || row->jq_filter[0] == '\0')
		return 0;
	return json_path_new(slice_str(row->jq_filter), &g->filter, err);
}

static int make_members(struct guard *g, const struct guard_row *row, struct err *err)
{
	json_t *list = row->guards != NULL ? json_loads(row->guards, 0, NULL) : NULL, *member;
	int rc = 0;
	size_t i;

	g->members = calloc(MAX(json_array_size(list), 1), sizeof(*g->members));
	if (g->members == NULL)
		rc = err_set(err, -ERR_NOMEM, "no memory");
	json_array_foreach(list, i, member) if (rc == 0)
	{
		rc = uuid_parse(slice_str(json_string_value(member)), &g->members[g->member_count++]);
		if (rc < 0)
			(void)err_set(err, rc, "a member of it has no uuid");
	}
	json_decref(list);
	return rc;
}

static int make_guard(struct guard_row *row, struct guard **out, struct err *err)
{
	struct guard *g = calloc(1, sizeof(*g));
	int rc = 0;

	if (g == NULL)
		return err_set(err, -ERR_NOMEM, "no memory");
	atomic_init(&g->refs, 1);
	g->id = row->id;
	g->updated_us = row->updated_us;
	g->uuid = row->uuid;
	g->type = type_of(row->type);
	g->users = TAKE(row->users);
	g->user_count = row->user_count;
	if (g->type == GUARD_HEADER)
		rc = make_header(g, row, err);
	else if (g->type == GUARD_COMPOSITE)
		rc = make_members(g, row, err);
	else if (g->type == GUARD_X509 || g->type == GUARD_RHSM)
		rc = trust_new(slice_str(row->ca_certificate), slice_str(row->crl), &g->trust, err);
	else if (g->type == GUARD_UNKNOWN)
		rc = err_set(err, -ERR_UNSUPPORTED, "its type is not known");
	if (rc == -ERR_NOMEM) {
		guard_unref(&g);
		return rc;
	}
	if (rc < 0) {
		log_error("guard", "content guard '%s' (%s) lets nobody pass: %s", row->name, row->type, err->msg);
		g->type = GUARD_UNKNOWN;
	}
	*out = g;
	return 0;
}

static struct guard *find(const struct guards *set, int64_t id)
{
	size_t lo = 0, hi = set != NULL ? set->count : 0;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (set->g[mid]->id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return set != NULL && lo < set->count && set->g[lo]->id == id ? set->g[lo] : NULL;
}

static const struct guard *find_member(const struct guards *set, const struct uuid *u)
{
	for (size_t i = 0; i < set->count; i++)
		if (memcmp(&set->g[i]->uuid, u, sizeof(*u)) == 0)
			return set->g[i];
	return NULL;
}

int guards_load(struct txn *t, const struct guards *old, struct guards **out, struct err *err)
{
	struct guard_row *rows = NULL;
	struct guards *set = NULL;
	size_t n = 0;
	int rc = catalog_guards(t, &rows, &n, err);

	if (rc < 0)
		return rc;
	set = calloc(1, sizeof(*set) + n * sizeof(set->g[0]));
	if (set == NULL)
		rc = err_set(err, -ERR_NOMEM, "no memory for the content guards");
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct guard *same = find(old, rows[i].id);

		if (same != NULL && same->updated_us == rows[i].updated_us) {
			atomic_fetch_add_explicit(&same->refs, 1, memory_order_relaxed);
			set->g[set->count++] = same;
		} else if ((rc = make_guard(&rows[i], &set->g[set->count], err)) == 0) {
			set->count++;
		}
	}
	guard_rows_free(&rows, n);
	if (rc < 0)
		guards_free(&set);
	else
		*out = set;
	return rc;
}

void guards_free(struct guards **pset)
{
	struct guards *set = TAKE(*pset);

	for (size_t i = 0; set != NULL && i < set->count; i++)
		guard_unref(&set->g[i]);
	free(set);
}

/* ---- what can be said at once ---- */

static bool text_eq(const void *a, size_t a_n, const char *want)
{
	size_t n = strlen(want);

	return a_n == n && CRYPTO_memcmp(a, want, n) == 0;
}

/* What the filter picks is compared as text: strings as they are, numbers and truth as JSON writes them. */
static bool filtered_eq(const struct json_path *filter, const char *p, size_t n, const char *want)
{
	json_t *doc = json_loadb(p, n, JSON_DECODE_ANY, NULL);
	const json_t *v = doc != NULL ? json_path_apply(filter, doc) : NULL;
	bool eq = false;
	char *text;

	if (json_is_string(v)) {
		eq = text_eq(json_string_value(v), json_string_length(v), want);
	} else if (json_is_number(v) || json_is_boolean(v)) {
		text = json_dumps(v, JSON_ENCODE_ANY);
		eq = text != NULL && text_eq(text, strlen(text), want);
		free(text);
	}
	json_decref(doc);
	return eq;
}

static bool header_passes(const struct guard *g, const struct guard_claim *c)
{
	struct slice value = c->header(c->header_arg, slice_str(g->header_name));
	char text[HEADER_MAX / 4 * 3 + 3];
	int64_t n;

	if (value.p == NULL || value.n > HEADER_MAX || (n = base64_decode(value, text)) < 0)
		return false;
	return g->filter == NULL ? text_eq(text, (size_t)n, g->header_value)
				 : filtered_eq(g->filter, text, (size_t)n, g->header_value);
}

struct walk {
	const struct guards *set;
	const struct guard_claim *claim;
	int depth, visits;
};

static enum guard_answer judge(struct walk *w, const struct guard *g);

/* Any one of them; without any it is open, as in Pulp. */
static enum guard_answer judge_members(struct walk *w, const struct guard *g)
{
	enum guard_answer best = GUARD_DENY, one;
	size_t found = 0;

	if (w->depth >= DEPTH_MAX)
		return GUARD_DENY;
	w->depth++;
	for (size_t i = 0; i < g->member_count && best != GUARD_PASS; i++) {
		const struct guard *m = find_member(w->set, &g->members[i]);

		if (m == NULL) /* deleted */
			continue;
		found++;
		one = judge(w, m);
		if (one == GUARD_PASS || best == GUARD_DENY)
			best = one;
	}
	w->depth--;
	return found == 0 ? GUARD_PASS : best;
}

static enum guard_answer judge(struct walk *w, const struct guard *g)
{
	const struct guard_claim *c = w->claim;

	if (g == NULL || ++w->visits > VISITS_MAX)
		return GUARD_DENY;
	switch (g->type) {
	case GUARD_HEADER:
		return header_passes(g, c) ? GUARD_PASS : GUARD_DENY;
	case GUARD_RBAC:
		return c->authorization.n > 0 ? GUARD_ASK : GUARD_DENY;
	case GUARD_X509:
	case GUARD_RHSM:
		return c->cert.n > 0 ? GUARD_ASK : GUARD_DENY;
	case GUARD_REDIRECT:
		return signature_holds(c->key, &g->uuid, c->path, c->query, c->now_s) ? GUARD_PASS : GUARD_DENY;
	case GUARD_COMPOSITE:
		return judge_members(w, g);
	case GUARD_UNKNOWN:
		break;
	}
	return GUARD_DENY;
}

enum guard_answer guard_judge(const struct guards *set, int64_t id, const struct guard_claim *claim)
{
	struct walk w = {.set = set, .claim = claim};

	return judge(&w, find(set, id));
}

/* ---- what has to be proved ---- */

struct proving {
	struct walk walk;
	struct guard_proof *proof;
	guard_login *login;
	void *login_arg;
	struct err *err;
	X509 *cert; /* read when first needed */
	int cert_rc;
	struct guard_user user; /* likewise */
	int user_rc;            /* 1: not yet */
};

static void refused(struct proving *p, const char *why)
{
	(void)snprintf(p->proof->why, sizeof(p->proof->why), "%s", why);
	p->proof->until_s = MIN(p->proof->until_s, p->walk.claim->now_s + REFUSAL_S);
}

static int read_cert(struct proving *p, struct err *why)
{
	const struct guard_claim *c = p->walk.claim;

	if (p->cert == NULL && p->cert_rc == 0)
		p->cert_rc =
			c->cert_is_der ? cert_of_der(c->cert, &p->cert, why) : cert_of_field(c->cert, &p->cert, why);
	return p->cert_rc;
}

static int prove_cert(struct proving *p, const struct guard *g)
{
	struct err why = ERR_INIT;
	int64_t until_s = INT64_MAX;
	int rc;

	if (p->walk.claim->cert.n == 0)
		return 0;
	rc = read_cert(p, &why);
	if (rc == 0)
		rc = trust_check(g->trust, p->cert, p->walk.claim->now_s, &until_s, &why);
	if (rc == 0 && g->type == GUARD_RHSM && p->proof->entitlement == NULL)
		rc = entitlement_of_cert(p->cert, &p->proof->entitlement, &why);
	if (rc == -ERR_NOMEM)
		return err_set(p->err, rc, "%s", why.msg);
	if (rc < 0) {
		refused(p, why.msg);
		return 0;
	}
	p->proof->everything |= g->type == GUARD_X509;
	p->proof->until_s = MIN(p->proof->until_s, until_s);
	return 0;
}

static bool is_granted(const struct guard *g, int64_t user)
{
	for (size_t lo = 0, hi = g->user_count; lo < hi;) {
		size_t mid = (lo + hi) / 2;

		if (g->users[mid] == user)
			return true;
		if (g->users[mid] < user)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

static int prove_user(struct proving *p, const struct guard *g)
{
	if (p->walk.claim->authorization.n == 0)
		return 0;
	if (p->user_rc > 0)
		p->user_rc = p->login == NULL ? -ERR_DENIED
					      : p->login(p->login_arg, p->walk.claim->authorization,
							&p->walk.claim->client, &p->user, p->err);
	if (p->user_rc < 0 && p->user_rc != -ERR_DENIED)
		return p->user_rc;
	if (p->user_rc == -ERR_DENIED)
		refused(p, "nobody has these credentials");
	else if (!p->user.admin && !is_granted(g, p->user.id))
		refused(p, "the user has no access");
	else
		p->proof->everything = true;
	return 0;
}

static int prove(struct proving *p, const struct guard *g)
{
	int rc = 0;

	if (g == NULL || ++p->walk.visits > VISITS_MAX)
		return 0;
	switch (g->type) {
	case GUARD_RBAC:
		return prove_user(p, g);
	case GUARD_X509:
	case GUARD_RHSM:
		return prove_cert(p, g);
	case GUARD_COMPOSITE:
		if (p->walk.depth >= DEPTH_MAX)
			return 0;
		p->walk.depth++;
		for (size_t i = 0; i < g->member_count && rc == 0 && !p->proof->everything; i++)
			rc = prove(p, find_member(p->walk.set, &g->members[i]));
		p->walk.depth--;
		return rc;
	case GUARD_HEADER:
	case GUARD_REDIRECT:
	case GUARD_UNKNOWN:
		break;
	}
	return 0;
}

int guard_prove(const struct guards *set, int64_t id, const struct guard_claim *claim, guard_login *login,
	void *login_arg, struct guard_proof **out, struct err *err)
{
	struct guard_proof *proof = calloc(1, sizeof(*proof));
	struct proving p = {.walk = {.set = set, .claim = claim},
		.proof = proof,
		.login = login,
		.login_arg = login_arg,
		.err = err,
		.user_rc = 1};
	int rc;

	if (proof == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for the decision of a content guard");
	atomic_init(&proof->refs, 1);
	proof->until_s = claim->now_s + PROOF_S;
	rc = prove(&p, find(set, id));
	X509_free(p.cert);
	if (proof->everything || proof->entitlement != NULL)
		proof->why[0] = '\0';
	if (rc < 0)
		guard_proof_unref(&proof);
	else
		*out = proof;
	return rc;
}

struct guard_proof *guard_proof_ref(struct guard_proof *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void guard_proof_unref(struct guard_proof **pp)
{
	struct guard_proof *p = TAKE(*pp);

	if (p == NULL || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	entitlement_free(&p->entitlement);
	free(p);
}

bool guard_proof_holds(const struct guard_proof *p, int64_t now_s)
{
	return now_s < p->until_s;
}

bool guard_proof_covers(const struct guard_proof *p, struct slice path)
{
	return p->everything || (p->entitlement != NULL && entitlement_covers(p->entitlement, path));
}

const char *guard_proof_why(const struct guard_proof *p)
{
	return p->why;
}
