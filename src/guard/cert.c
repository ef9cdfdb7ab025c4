/* See cert.h. */
#include "guard/cert.h"

#include "base/check.h"
#include "guard/base64.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdlib.h>
#include <time.h>

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define BEGIN_PLUS "-----BEGIN+CERTIFICATE-----" /* a space, as forms encode it */
#define END "-----END"

struct trust {
	X509_STORE *store;
	bool lists;
};

/* ---- out of a header field ---- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* In place; what is no escape stays. */
static size_t percent_decode(char *p, size_t n)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++) {
		int hi = p[i] == '%' && i + 2 < n ? hex_digit(p[i + 1]) : -1, lo = hi >= 0 ? hex_digit(p[i + 2]) : -1;

		if (lo >= 0) {
			p[to++] = (char)(hi << 4 | lo);
			i += 2;
		} else {
			p[to++] = p[i];
		}
	}
	return to;
}

static struct slice behind(struct slice text, const char *mark)
{
	const char *at = memmem(text.p, text.n, mark, strlen(mark));

	return at == NULL ? SLICE_NULL : slice_of(at + strlen(mark), text.n - (size_t)(at - text.p) - strlen(mark));
}

/* What stands between the marks of the first certificate. */
static struct slice pem_body(struct slice text)
{
	struct slice body = behind(text, BEGIN);
	const char *end;

	if (body.p == NULL)
		body = behind(text, BEGIN_PLUS);
	if (body.p == NULL)
		return SLICE_NULL;
	end = memmem(body.p, body.n, END, strlen(END));
	return end == NULL ? SLICE_NULL : slice_of(body.p, (size_t)(end - body.p));
}

static int no_certificate(struct err *err)
{
	ERR_clear_error();
	return err_set(err, -ERR_INVAL, "not a certificate");
}

int cert_of_der(struct slice der, X509 **out, struct err *err)
{
	const unsigned char *at = (const unsigned char *)der.p;
	X509 *cert = der.n > 0 && der.n <= CERT_FIELD_MAX ? d2i_X509(NULL, &at, (long)der.n) : NULL;

	if (cert == NULL)
		return no_certificate(err);
	if (at != (const unsigned char *)der.p + der.n) {
		X509_free(cert);
		return no_certificate(err);
	}
	*out = cert;
	return 0;
}

/* Base64 of DER, or of PEM. `bytes` has room for the result. */
static int cert_of_base64(struct slice text, char *bytes, X509 **out, struct err *err)
{
	int64_t n = base64_decode(text, bytes);
	struct slice pem = n > 0 ? pem_body(slice_of(bytes, (size_t)n)) : SLICE_NULL;

	if (n <= 0)
		return no_certificate(err);
	/* in place: what is written lies before what is read */
	if (pem.p != NULL && (n = base64_decode(pem, bytes)) <= 0)
		return no_certificate(err);
	return cert_of_der(slice_of(bytes, (size_t)n), out, err);
}

int cert_of_field(struct slice field, X509 **out, struct err *err)
{
	struct slice text, body, rest;
	char *copy, *bytes;
	int rc;

	field = slice_trim(field);
	if (field.n == 0 || field.n > CERT_FIELD_MAX)
		return no_certificate(err);
	copy = slice_dup(field);
	bytes = malloc(field.n / 4 * 3 + 3);
	if (copy == NULL || bytes == NULL) {
		free(copy);
		free(bytes);
		return err_set(err, -ERR_NOMEM, "no memory for a certificate");
	}
	text = slice_of(copy, percent_decode(copy, field.n));
	body = pem_body(text);
	if (body.p == NULL) {
		rest = text;
		body = slice_trim(slice_cut(&rest, ',')); /* a list of them */
		if (body.n >= 2 && body.p[0] == ':' && body.p[body.n - 1] == ':')
			body = slice_of(body.p + 1, body.n - 2);
	}
	rc = cert_of_base64(body, bytes, out, err);
	free(copy);
	free(bytes);
	return rc;
}

/* ---- whom it trusts ---- */

/* An encrypted block must not make OpenSSL ask on the server's terminal. */
static int no_password(char *out, int n, int rwflag, void *arg)
{
	return -1;
}

static int add_authorities(X509_STORE *store, BIO *in)
{
	int count = 0;
	X509 *cert;

	while ((cert = PEM_read_bio_X509(in, NULL, no_password, NULL)) != NULL) {
		count += X509_STORE_add_cert(store, cert) == 1;
		X509_free(cert);
	}
	ERR_clear_error();
	return count;
}

static int add_lists(X509_STORE *store, BIO *in)
{
	int count = 0;
	X509_CRL *crl;

	while ((crl = PEM_read_bio_X509_CRL(in, NULL, no_password, NULL)) != NULL) {
		count += X509_STORE_add_crl(store, crl) == 1;
		X509_CRL_free(crl);
	}
	ERR_clear_error();
	return count;
}

static int add_all(X509_STORE *store, struct slice pem, int (*add)(X509_STORE *, BIO *))
{
	BIO *in = pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	int count = in != NULL ? add(store, in) : 0;

	BIO_free(in);
	return count;
}

int trust_new(struct slice ca, struct slice crl, struct trust **out, struct err *err)
{
	struct trust *t = calloc(1, sizeof(*t));
	int rc = 0;

	if (t == NULL || (t->store = X509_STORE_new()) == NULL) {
		free(t);
		return err_set(err, -ERR_NOMEM, "no memory for certificates");
	}
	t->lists = crl.n > 0;
	if (ca.n == 0 || add_all(t->store, ca, add_authorities) == 0)
		rc = err_set(err, -ERR_INVAL, "no certificate in the bundle");
	else if (t->lists && add_all(t->store, crl, add_lists) == 0)
		rc = err_set(err, -ERR_INVAL, "no list of revoked certificates among them");
	if (rc < 0)
		trust_free(&t);
	else
		*out = t;
	return rc;
}

void trust_free(struct trust **pt)
{
	struct trust *t = TAKE(*pt);

	if (t == NULL)
		return;
	X509_STORE_free(t->store);
	free(t);
}

static bool is_about_lists(int error)
{
	return error == X509_V_ERR_UNABLE_TO_GET_CRL || error == X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER ||
	       error == X509_V_ERR_CRL_SIGNATURE_FAILURE || error == X509_V_ERR_CRL_PATH_VALIDATION_ERROR ||
	       error == X509_V_ERR_DIFFERENT_CRL_SCOPE;
}

/* Authorities above the one that issued it need no list; and where the chain ends at one that is signed by somebody who is not there, nobody can tell
 * whether a list about that one is genuine. */
static int verdict(int ok, X509_STORE_CTX *ctx)
{
	int error = X509_STORE_CTX_get_error(ctx), depth = X509_STORE_CTX_get_error_depth(ctx),
	    last = sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) - 1;

	if (!ok && depth > 0 && (error == X509_V_ERR_UNABLE_TO_GET_CRL || (depth == last && is_about_lists(error)))) {
		X509_STORE_CTX_set_error(ctx, X509_V_OK);
		return 1;
	}
	return ok;
}

static void no_later_than(int64_t *until_s, const ASN1_TIME *end)
{
	struct tm tm;

	if (end != NULL && ASN1_TIME_to_tm(end, &tm) == 1)
		*until_s = MIN(*until_s, (int64_t)timegm(&tm) + 1); /* the last second counts */
}

static int64_t chain_ends(const struct trust *t, X509_STORE_CTX *ctx)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
	int64_t until_s = INT64_MAX;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *cert = sk_X509_value(chain, i);
		STACK_OF(X509_CRL) *lists = t->lists ? X509_STORE_CTX_get1_crls(ctx, X509_get_issuer_name(cert)) : NULL;

		no_later_than(&until_s, X509_get0_notAfter(cert));
		for (int k = 0; lists != NULL && k < sk_X509_CRL_num(lists); k++)
			no_later_than(&until_s, X509_CRL_get0_nextUpdate(sk_X509_CRL_value(lists, k)));
		sk_X509_CRL_pop_free(lists, X509_CRL_free);
	}
	return until_s;
}

/* X509_V_OK, or what is wrong; negative: out of memory. */
static int check_once(const struct trust *t, X509 *cert, int64_t now_s, unsigned long flags, int64_t *until_s)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int error = X509_V_OK;

	if (ctx == NULL || X509_STORE_CTX_init(ctx, t->store, cert, NULL) != 1) {
		X509_STORE_CTX_free(ctx);
		ERR_clear_error();
		return -ERR_NOMEM;
	}
	if (t->lists)
		flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
	param = X509_STORE_CTX_get0_param(ctx);
	(void)X509_VERIFY_PARAM_set_flags(param, flags);
	(void)X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT);
	X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
	X509_STORE_CTX_set_verify_cb(ctx, verdict);
	if (X509_verify_cert(ctx) == 1)
		*until_s = chain_ends(t, ctx);
	else if ((error = X509_STORE_CTX_get_error(ctx)) == X509_V_OK)
		error = X509_V_ERR_UNSPECIFIED;
	ERR_clear_error();
	X509_STORE_CTX_free(ctx);
	return error;
}

int trust_check(const struct trust *t, X509 *cert, int64_t now_s, int64_t *until_s, struct err *err)
{
	/* up to a root, so that every list on the way counts; else up to any of the bundle */
	int error = check_once(t, cert, now_s, 0, until_s);

	if (error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT || error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
		error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE)
		error = check_once(t, cert, now_s, X509_V_FLAG_PARTIAL_CHAIN, until_s);
	if (error < 0)
		return err_set(err, error, "no memory to check a certificate");
	return error == X509_V_OK ? 0 : err_set(err, -ERR_DENIED, "%s", X509_verify_cert_error_string(error));
}
