/* See ca.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ca.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static void add(X509 *cert, const char *name, const char *value)
{
	X509_EXTENSION *e;

	if (strncmp(value, "hex:", 4) == 0) {
		ASN1_OBJECT *oid = OBJ_txt2obj(name, 1);
		ASN1_OCTET_STRING *bytes = ASN1_OCTET_STRING_new();
		long n = 0;
		unsigned char *p = OPENSSL_hexstr2buf(value + 4, &n);

		assert_true(oid != NULL && bytes != NULL && p != NULL);
		assert_int_equal(ASN1_OCTET_STRING_set(bytes, p, (int)n), 1);
		e = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, bytes);
		OPENSSL_free(p);
		ASN1_OBJECT_free(oid);
		ASN1_OCTET_STRING_free(bytes);
	} else {
		e = X509V3_EXT_conf(NULL, NULL, name, value);
	}
	assert_non_null(e);
	assert_int_equal(X509_add_ext(cert, e, -1), 1);
	X509_EXTENSION_free(e);
}

static char *text_of(BIO *bio)
{
	char *p, *copy;
	long n = BIO_get_mem_data(bio, &p);

	copy = strndup(p, (size_t)n);
	assert_non_null(copy);
	BIO_free(bio);
	return copy;
}

void id_make(struct id *out, const char *name, const struct id *issuer, bool ca, const struct id_opts *opts)
{
	static long serial = 1;
	struct id_opts o = opts != NULL ? *opts : (struct id_opts){0};
	BIO *bio = BIO_new(BIO_s_mem());
	X509_NAME *subject;

	if (o.from_s == 0 && o.to_s == 0) {
		o.from_s = -3600;
		o.to_s = 3600;
	}
	*out = (struct id){.key = EVP_EC_gen("P-256"), .cert = X509_new()};
	assert_true(out->key != NULL && out->cert != NULL && bio != NULL);
	X509_set_version(out->cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(out->cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(out->cert), o.from_s);
	X509_gmtime_adj(X509_getm_notAfter(out->cert), o.to_s);
	X509_set_pubkey(out->cert, out->key);
	subject = X509_get_subject_name(out->cert);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(out->cert, issuer != NULL ? X509_get_subject_name(issuer->cert) : subject);
	add(out->cert, "basicConstraints", ca ? "critical,CA:TRUE" : "CA:FALSE");
	for (size_t i = 0; o.ext != NULL && o.ext[i] != NULL; i += 2)
		add(out->cert, o.ext[i], o.ext[i + 1]);
	assert_true(X509_sign(out->cert, issuer != NULL ? issuer->key : out->key, EVP_sha256()) > 0);
	PEM_write_bio_X509(bio, out->cert);
	out->pem = text_of(bio);
	out->der_n = i2d_X509(out->cert, &out->der);
	assert_true(out->der_n > 0);
}

void id_free(struct id *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
	free(id->pem);
	OPENSSL_free(id->der);
	*id = (struct id){.key = NULL};
}

char *crl_make(const struct id *by, const struct id *const *revoked, long to_s)
{
	BIO *bio = BIO_new(BIO_s_mem());
	ASN1_TIME *now = X509_gmtime_adj(NULL, -60), *end = X509_gmtime_adj(NULL, to_s);
	X509_CRL *crl = X509_CRL_new();

	assert_true(bio != NULL && crl != NULL && now != NULL && end != NULL);
	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(by->cert));
	X509_CRL_set1_lastUpdate(crl, now);
	X509_CRL_set1_nextUpdate(crl, end);
	for (; *revoked != NULL; revoked++) {
		X509_REVOKED *r = X509_REVOKED_new();

		X509_REVOKED_set_serialNumber(r, X509_get_serialNumber((*revoked)->cert));
		X509_REVOKED_set_revocationDate(r, now);
		assert_int_equal(X509_CRL_add0_revoked(crl, r), 1);
	}
	X509_CRL_sort(crl);
	assert_true(X509_CRL_sign(crl, by->key, EVP_sha256()) > 0);
	PEM_write_bio_X509_CRL(bio, crl);
	X509_CRL_free(crl);
	ASN1_TIME_free(now);
	ASN1_TIME_free(end);
	return text_of(bio);
}

char *pem_escaped(const char *pem)
{
	char *out = malloc(3 * strlen(pem) + 1), *to = out;

	assert_non_null(out);
	for (; *pem != '\0'; pem++)
		to += strchr("+/= \n", *pem) != NULL ? sprintf(to, "%%%02X", (unsigned char)*pem)
						     : sprintf(to, "%c", *pem);
	return out;
}

char *pem_on_one_line(const char *pem)
{
	char *out = strdup(pem);

	assert_non_null(out);
	for (char *p = out; *p != '\0'; p++)
		*p = (char)(*p == '\n' ? ' ' : *p);
	return out;
}

char *base64_of(const void *p, size_t n)
{
	char *out = malloc(4 * n / 3 + 5);

	assert_non_null(out);
	EVP_EncodeBlock((unsigned char *)out, p, (int)n);
	return out;
}
