/* Remotes as downloads need them. Reads only; no state. */
#include "catalog/remote.h"

#include "base/check.h"
#include "catalog/catalog_priv.h"

#include <stdlib.h>

#define DEFAULT_RETRIES 3 /* Pulp's, for null and for 0 */

static const char *const policies[] = {
	[POLICY_IMMEDIATE] = "immediate",
	[POLICY_ON_DEMAND] = "on_demand",
	[POLICY_STREAMED] = "streamed",
};

const char *policy_name(enum policy p)
{
	return policies[p];
}

int policy_parse(struct slice s, enum policy *out)
{
	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		if (slice_eq(s, slice_str(policies[i]))) {
			*out = (enum policy)i;
			return 0;
		}
	}
	return -ERR_INVAL;
}

void remote_row_free(struct remote_row **pr)
{
	struct remote_row *r = TAKE(*pr);

	if (r == NULL)
		return;
	free(r->type);
	free(r->name);
	free(r->url);
	free(r->ca_cert);
	free(r->client_cert);
	free(r->client_key);
	free(r->proxy_url);
	free(r->proxy_username);
	free(r->proxy_password);
	free(r->username);
	free(r->password);
	free(r->headers);
	free(r->extra);
	free(r);
}

#define REMOTE_SELECT                                                                                              \
	"SELECT id, uuid, type, name, url, policy, ca_cert, client_cert, client_key, tls_validation, proxy_url, "  \
	"proxy_username, proxy_password, username, password, max_retries, total_timeout, connect_timeout, "        \
	"sock_connect_timeout, sock_read_timeout, headers, download_concurrency, rate_limit, extra, updated FROM " \
	"remote "

/* -ERR_DENIED: no key opens one of them. */
static int read_secrets(struct txn *t, struct db_stmt *s, struct remote_row *r, struct err *err)
{
	const struct {
		const char *column;
		int at;
		char **out;
	} secrets[] = {
		{"client_key", 8, &r->client_key},
		{"proxy_username", 11, &r->proxy_username},
		{"proxy_password", 12, &r->proxy_password},
		{"username", 13, &r->username},
		{"password", 14, &r->password},
		{"headers", 20, &r->headers},
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(secrets) && rc == 0; i++)
		rc = col_secret(t, s, secrets[i].at,
			&(struct sealed_at){.table = "remote", .column = secrets[i].column, .row = r->uuid},
			secrets[i].out, err);
	if (rc < 0 && err != NULL)
		err_wrap(err, "remote '%s'", r->name);
	return rc;
}

static int read_row(struct txn *t, struct db_stmt *s, struct remote_row **out, struct err *err)
{
	struct remote_row *r = calloc(1, sizeof(*r));
	bool failed = r == NULL;
	int rc = 0;

	if (failed)
		goto out;
	r->id = db_col_i64(s, 0);
	col_uuid(s, 1, &r->uuid);
	r->type = col_dup(s, 2, &failed);
	r->name = col_dup(s, 3, &failed);
	r->url = col_dup(s, 4, &failed);
	if (policy_parse(db_col_text(s, 5), &r->policy) < 0) {
		rc = err_set(err, -ERR_DB, "remote %lld has an unknown policy", (long long)r->id);
		goto out;
	}
	r->ca_cert = col_dup(s, 6, &failed);
	r->client_cert = col_dup(s, 7, &failed);
	r->tls_validation = db_col_i64(s, 9) != 0;
	r->proxy_url = col_dup(s, 10, &failed);
	r->max_retries = db_col_i64(s, 15) > 0 ? db_col_i64(s, 15) : DEFAULT_RETRIES;
	r->total_timeout_s = db_col_f64(s, 16);
	r->connect_timeout_s = db_col_f64(s, 17);
	r->sock_connect_timeout_s = db_col_f64(s, 18);
	r->sock_read_timeout_s = db_col_f64(s, 19);
	r->download_concurrency = db_col_i64(s, 21);
	r->rate_limit = db_col_i64(s, 22);
	r->extra = col_dup(s, 23, &failed);
	r->updated_us = db_col_i64(s, 24);
	if (!failed)
		rc = read_secrets(t, s, r, err);
out:
	if (failed)
		rc = err_set(err, -ERR_NOMEM, "no memory for a remote");
	if (rc < 0)
		remote_row_free(&r);
	else
		*out = r;
	return rc;
}

static int read_one(struct txn *t, struct db_stmt *s, int rc, struct remote_row **out, struct err *err)
{
	if (rc == 0)
		return err_set(err, -ERR_NOTFOUND, "no such remote");
	if (rc > 0)
		rc = read_row(t, s, out, err);
	db_done(&s);
	return rc;
}

int catalog_remote_by_id(struct txn *t, int64_t id, struct remote_row **out, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(txn_db(t), REMOTE_SELECT "WHERE id = $1", &s, err, DB_I64(id));

	return read_one(t, s, rc, out, err);
}

int catalog_remote_by_uuid(struct txn *t, const struct uuid *u, struct remote_row **out, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(txn_db(t), REMOTE_SELECT "WHERE uuid = $1", &s, err, DB_UUID(u));

	return read_one(t, s, rc, out, err);
}

static bool given(const char *z)
{
	return z != NULL && z[0] != '\0';
}

bool remote_has_credentials(const struct remote_row *r)
{
	struct slice headers = slice_trim(slice_str(r->headers));

	return given(r->username) || given(r->password) || given(r->client_key) || given(r->proxy_password) ||
	       (headers.n > 0 && !slice_eq(headers, SLICE("[]")) && !slice_eq(headers, SLICE("null")));
}
