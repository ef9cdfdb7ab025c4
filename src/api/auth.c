/* Who asks: basic authentication against the users table.
 *
 * Passwords are stored as "scrypt$N$r$p$salt$hash". scrypt is slow on purpose, so what was verified (or refused) is remembered
 * under an HMAC of user, password and stored hash with a key of this process: a changed password is another entry. At most
 * VERIFY_MAX verifications run at once and WAITERS_MAX wait; others are turned away, so that guessing cannot occupy every thread. Who is wrong too
 * often waits (throttle.h), and is told nothing while he does, not even that he is right now. What was refused before and comes again is no guess
 * and costs nothing: a script with an old password locks nobody out.
 * The mutex protects all of struct api_auth; it is not held while scrypt runs. */
#include "api/api_priv.h"
#include "api/throttle.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <pthread.h>
#include <stdlib.h>

#define SCRYPT_N 16384 /* RFC 7914 and OWASP for interactive logins: 16 MiB, some 40 ms */
#define SCRYPT_R 8
#define SCRYPT_P 1
#define SCRYPT_MEM_MAX (64u << 20)
#define SALT_LEN 16
#define HASH_LEN 32
#define KEY_LEN 32
#define CACHE_SIZE 1024 /* entries; a power of two */
#define VERIFY_MAX 2
#define WAITERS_MAX 64
#define SECRET_MAX 4096 /* of user name and password together */

/* BUSY: too many at once. THROTTLED: was wrong too often. */
enum verdict { UNKNOWN, GOOD, BAD, BUSY, THROTTLED };
/* Who logs in, from where. */
struct claim {
	struct slice user, password;
	struct addr client;
};
struct entry {
	uint8_t key[KEY_LEN];
	enum verdict verdict;
};
struct api_auth {
	pthread_mutex_t lock;
	pthread_cond_t less;
	uint8_t secret[KEY_LEN];
	struct entry cache[CACHE_SIZE];
	struct throttle throttle;
	int running, waiting;
};

int api_auth_new(const struct settings *s, struct api_auth **out, struct err *err)
{
	struct api_auth *a = calloc(1, sizeof(*a));

	if (a == NULL || RAND_bytes(a->secret, sizeof(a->secret)) != 1) {
		free(a);
		return err_set(err, -ERR_NOMEM, "no memory or no random numbers for authentication");
	}
	throttle_init(&a->throttle, s->server_login_failures, a->secret);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->less, NULL);
	*out = a;
	return 0;
}

void api_auth_free(struct api_auth **pa)
{
	struct api_auth *a = TAKE(*pa);

	if (a == NULL)
		return;
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->less);
	OPENSSL_cleanse(a, sizeof(*a));
	free(a);
}

/* ---- stored passwords ---- */

int api_password_hash(const char *password, char *out, size_t cap, struct err *err)
{
	uint8_t salt[SALT_LEN], hash[HASH_LEN];
	char salt_hex[2 * SALT_LEN + 1], hash_hex[2 * HASH_LEN + 1];

	if (RAND_bytes(salt, sizeof(salt)) != 1 ||
		EVP_PBE_scrypt(password, strlen(password), salt, sizeof(salt), SCRYPT_N, SCRYPT_R, SCRYPT_P,
			SCRYPT_MEM_MAX, hash, sizeof(hash)) != 1)
		return err_set(err, -ERR_NOMEM, "the password could not be hashed");
	(void)snprintf(out, cap, "scrypt$%d$%d$%d$%s$%s", SCRYPT_N, SCRYPT_R, SCRYPT_P,
		hex_of(salt, sizeof(salt), salt_hex), hex_of(hash, sizeof(hash), hash_hex));
	return 0;
}

static bool password_matches(struct slice password, const char *stored)
{
	struct slice rest = slice_str(stored), scheme = slice_cut(&rest, '$'), n_text = slice_cut(&rest, '$'),
		     r_text = slice_cut(&rest, '$'), p_text = slice_cut(&rest, '$'), salt_hex = slice_cut(&rest, '$');
	uint8_t salt[64], want[HASH_LEN], have[HASH_LEN];
	int64_t n, r, p;

	if (!slice_eq(scheme, SLICE("scrypt")) || slice_to_i64(n_text, 1 << 20, &n) < 0 ||
		slice_to_i64(r_text, 64, &r) < 0 || slice_to_i64(p_text, 16, &p) < 0)
		return false;
	if (salt_hex.n / 2 > sizeof(salt) || hex_parse(salt_hex, salt, salt_hex.n / 2) < 0 ||
		hex_parse(rest, want, sizeof(want)) < 0)
		return false;
	if (EVP_PBE_scrypt(password.p, password.n, salt, salt_hex.n / 2, (uint64_t)n, (uint64_t)r, (uint64_t)p,
		    SCRYPT_MEM_MAX, have, sizeof(have)) != 1)
		return false;
	return CRYPTO_memcmp(have, want, sizeof(want)) == 0;
}

/* ---- the cache ---- */

static void cache_key(const struct api_auth *a, const struct claim *c, const char *stored, uint8_t key[KEY_LEN])
{
	unsigned char text[SECRET_MAX + 512];
	size_t n = 0, stored_n = MIN(strlen(stored), (size_t)400);
	unsigned len = KEY_LEN;

	/* NUL cannot be part of the user, so no two triples look alike */
	memcpy(text, c->user.p, c->user.n);
	n = c->user.n;
	text[n++] = '\0';
	memcpy(text + n, stored, stored_n);
	n += stored_n;
	text[n++] = '\0';
	memcpy(text + n, c->password.p, c->password.n);
	n += c->password.n;
	HMAC(EVP_sha256(), a->secret, sizeof(a->secret), text, n, key, &len);
	OPENSSL_cleanse(text, n);
}

static struct entry *cache_slot(struct api_auth *a, const uint8_t key[KEY_LEN])
{
	return &a->cache[(key[0] | (size_t)key[1] << 8) & (CACHE_SIZE - 1)];
}

static enum verdict cache_get(struct api_auth *a, const uint8_t key[KEY_LEN])
{
	const struct entry *e = cache_slot(a, key);

	return e->verdict != UNKNOWN && CRYPTO_memcmp(e->key, key, KEY_LEN) == 0 ? e->verdict : UNKNOWN;
}

/* Lock held. What can be said without scrypt; UNKNOWN: nothing. */
static enum verdict known(struct api_auth *a, const struct claim *c, const uint8_t key[KEY_LEN], int *wait_s)
{
	int64_t wait_ns = throttle_wait_ns(&a->throttle, &c->client, c->user, clock_mono_ns());

	if (wait_ns == 0)
		return cache_get(a, key);
	*wait_s = (int)(wait_ns / NS_PER_S) + 1;
	return THROTTLED;
}

/* Lock held. */
static void learn(struct api_auth *a, const struct claim *c, const uint8_t key[KEY_LEN], enum verdict v)
{
	struct entry *e = cache_slot(a, key);

	if (v == GOOD)
		throttle_passed(&a->throttle, &c->client, c->user);
	else
		throttle_failed(&a->throttle, &c->client, c->user, clock_mono_ns());
	/* a guess must not push out who is known */
	if (v == GOOD || e->verdict != GOOD) {
		memcpy(e->key, key, KEY_LEN);
		e->verdict = v;
	}
}

/* Any verdict but UNKNOWN. */
static enum verdict verify(struct api_auth *a, const struct claim *c, const char *stored, int *wait_s)
{
	uint8_t key[KEY_LEN];
	enum verdict v;

	cache_key(a, c, stored, key);
	pthread_mutex_lock(&a->lock);
	v = known(a, c, key, wait_s);
	while (v == UNKNOWN && a->running >= VERIFY_MAX) {
		if (a->waiting >= WAITERS_MAX) {
			v = BUSY;
			break;
		}
		a->waiting++;
		pthread_cond_wait(&a->less, &a->lock);
		a->waiting--;
		/* the same credentials may have been verified meanwhile */
		v = known(a, c, key, wait_s);
	}
	if (v == UNKNOWN) {
		a->running++;
		pthread_mutex_unlock(&a->lock);
		v = password_matches(c->password, stored) ? GOOD : BAD;
		pthread_mutex_lock(&a->lock);
		a->running--;
		learn(a, c, key, v);
		pthread_cond_broadcast(&a->less);
	}
	pthread_mutex_unlock(&a->lock);
	return v;
}

/* ---- requests ---- */

static void challenge(struct api_ctx *x, const char *detail)
{
	/* a browser's script asks for itself: the other word keeps the browser from asking the user */
	x->res->authenticate = slice_eq_nocase(x->req->requested_with, SLICE("XMLHttpRequest")) ? "xBasic realm=\"api\""
												: "Basic realm=\"api\"";
	api_reply_detail(x, 401, "%s", detail);
}

/* "Basic dXNlcjpwYXNz" into user and password, in the request's arena. */
static int credentials(struct api_ctx *x, struct slice authorization, struct claim *c)
{
	struct slice rest = authorization, scheme = slice_cut(&rest, ' '), text;
	unsigned char *out;
	int n;

	if (!slice_eq_nocase(scheme, SLICE("Basic")))
		return -ERR_NOTFOUND;
	text = rest.p != NULL ? slice_trim(rest) : SLICE_NULL;
	if (text.n == 0 || text.n > SECRET_MAX || text.n % 4 != 0 || (out = arena_alloc(&x->arena, text.n)) == NULL)
		return -ERR_INVAL;
	if ((n = EVP_DecodeBlock(out, (const unsigned char *)text.p, (int)text.n)) < 0)
		return -ERR_INVAL;
	for (size_t i = text.n; i > 0 && text.p[i - 1] == '=' && n > 0; i--)
		n--;
	text = slice_of((const char *)out, (size_t)n);
	c->user = slice_cut(&text, ':');
	if (text.p == NULL || memchr(c->user.p, '\0', c->user.n) != NULL || !slice_is_utf8(c->user))
		return -ERR_INVAL;
	c->password = text;
	return 0;
}

static int user_row(struct api_ctx *x, struct slice name, json_t **row, struct err *err)
{
	struct query *q = NULL;
	struct txn *t;
	int rc;

	if ((rc = api_txn(x, &t, err)) < 0 || (rc = query_new(view_find("user"), &q)) < 0)
		return rc;
	if ((rc = query_where(q, "username", QUERY_EQ, name, err)) == 0)
		rc = query_row(t, q, row, err);
	query_free(&q);
	return rc;
}

/* Of nobody: an unknown user takes as long as a wrong password. */
static const char nobody[] = "scrypt$16384$8$1$00000000000000000000000000000000$"
			     "0000000000000000000000000000000000000000000000000000000000000000";

int api_login(void *api, struct slice authorization, const struct addr *client, struct guard_user *out, struct err *err)
{
	struct claim claim = {.client = *client};
	json_t *row = NULL;
	int wait_s = 0;
	struct api_ctx x;
	enum verdict v;
	int rc;

	api_ctx_init(&x, api);
	if ((rc = credentials(&x, authorization, &claim)) < 0) {
		rc = err_set(err, -ERR_DENIED, "no basic credentials");
		goto out;
	}
	if ((rc = user_row(&x, claim.user, &row, err)) < 0 && rc != -ERR_NOTFOUND)
		goto out;
	api_txn_end(&x);
	v = verify(x.api->auth, &claim, row != NULL ? api_row_str(row, "password") : nobody, &wait_s);
	rc = 0;
	if (v == BUSY)
		rc = err_set(err, -ERR_LIMIT, "too many logins at once");
	else if (v == THROTTLED)
		rc = err_set(err, -ERR_LIMIT, "too many wrong passwords, the next is taken in %d s", wait_s);
	else if (row == NULL || v == BAD || !json_is_true(json_object_get(row, "is_active")))
		rc = err_set(err, -ERR_DENIED, "wrong credentials");
	else
		*out = (struct guard_user){api_row_int(row, "_id"), json_is_true(json_object_get(row, "is_admin"))};
out:
	json_decref(row);
	api_ctx_fini(&x);
	return rc;
}

/* Administrators may do everything, viewers may read, and all others only fetch what guards let them. */
static bool may_enter(struct api_ctx *x, const json_t *user)
{
	if (json_is_true(json_object_get(user, "is_admin")))
		return true;
	x->viewer = json_is_true(json_object_get(user, "is_viewer"));
	return x->viewer && (x->req->method == HTTP_GET || x->req->method == HTTP_HEAD);
}

int api_authenticate(struct api_ctx *x)
{
	struct claim claim = {.client = addr_of_client(x->api->settings->server_trusted_proxies,
				      slice_str(x->req->peer), x->req->forwarded_for)};
	struct err err = ERR_INIT;
	json_t *row = NULL;
	enum verdict v;
	int rc, wait_s = 0;

	if (x->req->authorization.p == NULL || (rc = credentials(x, x->req->authorization, &claim)) == -ERR_NOTFOUND) {
		challenge(x, "Authentication credentials were not provided.");
		return -ERR_DENIED;
	}
	if (rc < 0) {
		challenge(x, "Invalid basic header. Credentials not correctly base64 encoded.");
		return -ERR_DENIED;
	}
	if ((rc = user_row(x, claim.user, &row, &err)) < 0 && rc != -ERR_NOTFOUND) {
		api_reply_err(x, rc, &err);
		return rc;
	}
	/* A connection of the catalog must not wait for scrypt. */
	api_txn_end(x);
	v = verify(x->api->auth, &claim, row != NULL ? api_row_str(row, "password") : nobody, &wait_s);
	rc = -ERR_DENIED;
	if (v == THROTTLED) {
		x->res->retry_after_s = wait_s;
		api_reply_detail(x, 429, "Too many wrong passwords. The next is taken in %d seconds.", wait_s);
	} else if (v == BUSY) {
		x->res->retry_after_s = 1;
		api_reply_detail(x, 503, "Too many logins at once. Try again.");
	} else if (row == NULL || v == BAD) {
		log_warn("api", "request=%llu peer=%s a login with wrong credentials", (unsigned long long)x->req->id,
			x->req->peer != NULL ? x->req->peer : "?");
		challenge(x, "Invalid username/password.");
	} else if (!json_is_true(json_object_get(row, "is_active"))) {
		challenge(x, "User inactive or deleted.");
	} else if (!may_enter(x, row)) {
		api_reply_detail(x, 403, "You do not have permission to perform this action.");
	} else {
		x->user_id = api_row_int(row, "_id");
		rc = 0;
	}
	json_decref(row);
	return rc;
}

/* ---- the administrator ---- */

static int admin_row(struct txn *t, json_t **row, struct err *err)
{
	struct query *q = NULL;
	int rc;

	if ((rc = query_new(view_find("user"), &q)) < 0)
		return err_set(err, rc, "no memory for a query");
	if ((rc = query_where(q, "username", QUERY_EQ, SLICE("admin"), err)) == 0)
		rc = query_row(t, q, row, err);
	query_free(&q);
	return rc;
}

int api_user_has_admin(struct catalog *c, struct err *err)
{
	struct txn *t = NULL;
	json_t *row = NULL;
	int rc;

	if ((rc = catalog_read(c, &t, err)) < 0)
		return rc;
	rc = admin_row(t, &row, err);
	txn_end(&t);
	json_decref(row);
	return rc;
}

int api_user_ensure_admin(struct catalog *c, const char *password, struct err *err)
{
	json_t *row = NULL, *values = NULL;
	char hash[256], iso[CLOCK_ISO_MAX];
	struct txn *t = NULL;
	int64_t id;
	int rc;

	if (password[0] == '\0' || strlen(password) > SECRET_MAX / 2)
		return err_set(err, -ERR_INVAL, "the administrator's password is empty or too long");
	if ((rc = catalog_write(c, &t, err)) < 0)
		return rc;
	rc = admin_row(t, &row, err);
	if (rc < 0 && rc != -ERR_NOTFOUND)
		goto out;
	if (rc == 0 && password_matches(slice_str(password), api_row_str(row, "password")) &&
		json_is_true(json_object_get(row, "is_staff")) && json_is_true(json_object_get(row, "is_active")))
		goto out;
	if ((rc = api_password_hash(password, hash, sizeof(hash), err)) < 0)
		goto out;
	if (row != NULL) {
		values = json_pack("{s:s, s:b, s:b}", "password", hash, "is_staff", 1, "is_active", 1);
		rc = row_update(t, view_find("user"), api_row_int(row, "_id"), values, err);
	} else {
		values = json_pack("{s:s, s:s, s:b, s:s}", "username", "admin", "password", hash, "is_staff", 1,
			"date_joined", clock_iso(clock_wall_us(), iso));
		rc = row_insert(t, view_find("user"), NULL, values, &id, NULL, err);
	}
	if (rc == 0)
		rc = txn_commit(&t, err);
out:
	txn_end(&t);
	json_decref(values);
	json_decref(row);
	return rc;
}
