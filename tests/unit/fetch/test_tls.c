/* TLS: who is trusted, and who is shown the client's certificate. The certificates are made here. */
#include "harness.h"

#include "fetch/ca.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct identity {
	EVP_PKEY *key;
	X509 *cert;
	char *cert_pem, *key_pem;
};

static struct identity ca, other_ca, server, stranger, client;

static char *pem_of(BIO *bio)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);
	char *z = strndup(p, (size_t)n);

	BIO_free(bio);
	return z;
}

static void add_ext(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(ext);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

/* Signed by `issuer`, or by itself. */
static void identity_make(struct identity *id, const char *name, const char *alt_name, const struct identity *issuer)
{
	static long serial = 1;
	X509_NAME *subject;
	BIO *bio;

	id->key = EVP_EC_gen("P-256");
	id->cert = X509_new();
	assert_non_null(id->key);
	X509_set_version(id->cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(id->cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(id->cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(id->cert), 3600);
	X509_set_pubkey(id->cert, id->key);
	subject = X509_get_subject_name(id->cert);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(id->cert, issuer != NULL ? X509_get_subject_name(issuer->cert) : subject);
	add_ext(id->cert, NID_basic_constraints, issuer == NULL ? "critical,CA:TRUE" : "CA:FALSE");
	if (alt_name != NULL)
		add_ext(id->cert, NID_subject_alt_name, alt_name);
	assert_true(X509_sign(id->cert, issuer != NULL ? issuer->key : id->key, EVP_sha256()) > 0);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, id->cert);
	id->cert_pem = pem_of(bio);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, id->key, NULL, NULL, 0, NULL, NULL);
	id->key_pem = pem_of(bio);
}

static void identity_free(struct identity *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
	free(id->cert_pem);
	free(id->key_pem);
}

static int group_setup(void **state)
{
	(void)state;
	identity_make(&ca, "test ca", NULL, NULL);
	identity_make(&other_ca, "other ca", NULL, NULL);
	identity_make(&server, "server", "DNS:localhost", &ca);
	identity_make(&stranger, "stranger", "DNS:elsewhere.example", &ca);
	identity_make(&client, "client", NULL, &ca);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	identity_free(&ca);
	identity_free(&other_ca);
	identity_free(&server);
	identity_free(&stranger);
	identity_free(&client);
	return 0;
}

/* ---- the server's side ---- */

struct tls {
	SSL_CTX *ctx;
	struct peer_layer layer;
	pthread_mutex_t lock;
	int client_certs; /* connections on which one was shown; lock */
};

static void *tls_accept(void *arg, int fd)
{
	struct tls *t = arg;
	SSL *ssl = SSL_new(t->ctx);
	X509 *shown;

	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) != 1) {
		ERR_clear_error();
		SSL_free(ssl);
		return NULL;
	}
	shown = SSL_get1_peer_certificate(ssl);
	pthread_mutex_lock(&t->lock);
	t->client_certs += shown != NULL;
	pthread_mutex_unlock(&t->lock);
	X509_free(shown);
	return ssl;
}

static ssize_t tls_read(void *session, void *p, size_t n)
{
	int done = SSL_read(session, p, (int)n);

	ERR_clear_error();
	return done;
}

static ssize_t tls_write(void *session, const void *p, size_t n)
{
	int done = SSL_write(session, p, (int)n);

	ERR_clear_error();
	return done;
}

static void tls_close(void *session)
{
	/* Without the farewell of TLS: a connection that was cut looks like this. */
	SSL_set_quiet_shutdown(session, 1);
	SSL_shutdown(session);
	SSL_free(session);
}

static void tls_open(struct tls *t, const struct identity *id, int verify)
{
	memset(t, 0, sizeof(*t));
	pthread_mutex_init(&t->lock, NULL);
	t->ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(t->ctx, id->cert);
	SSL_CTX_use_PrivateKey(t->ctx, id->key);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(t->ctx), ca.cert);
	SSL_CTX_set_verify(t->ctx, verify, NULL);
	t->layer = (struct peer_layer){tls_accept, tls_read, tls_write, tls_close, t};
}

static void tls_free(struct tls *t)
{
	SSL_CTX_free(t->ctx);
	pthread_mutex_destroy(&t->lock);
}

struct site {
	struct tls tls, other_tls;
	struct env env;
	struct peer *other;
	char other_root[64];
};

static void serve(struct peer_conn *c, const struct peer_req *req, void *arg)
{
	struct site *s = arg;

	if (strcmp(req->target, "/to-other") == 0) {
		peer_send(c, "HTTP/1.1 302 On\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", s->other_root);
	} else if (strcmp(req->target, "/cut") == 0) {
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel");
		peer_close(c);
	} else {
		peer_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	}
}

static void site_open(struct site *s, const struct identity *id, int verify)
{
	memset(s, 0, sizeof(*s));
	tls_open(&s->tls, id, verify);
	tls_open(&s->other_tls, &server, SSL_VERIFY_PEER);
	env_open_tls(&s->env, serve, s, NULL, &s->tls.layer);
	s->other = peer_new(serve, s, &s->other_tls.layer);
	snprintf(s->other_root, sizeof(s->other_root), "https://localhost:%d/", peer_port(s->other));
	s->env.remote.ca_cert = ca.cert_pem;
}

static void site_close(struct site *s)
{
	peer_free(&s->other);
	env_close(&s->env);
	tls_free(&s->tls);
	tls_free(&s->other_tls);
}

/* ---- tests ---- */

static void test_who_is_trusted(void **state)
{
	static const struct {
		const struct identity *shown, *trusted; /* NULL: the system's authorities */
		bool validate;
		int rc;
	} cases[] = {
		{&server, &ca, true, 0},
		{&server, &other_ca, true, -ERR_CONNECT},
		{&server, NULL, true, -ERR_CONNECT},
		{&stranger, &ca, true, -ERR_CONNECT}, /* a good certificate of another host */
		{&server, &other_ca, false, 0},
		{&stranger, NULL, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct call c = {0};
		struct site s;

		site_open(&s, cases[i].shown, SSL_VERIFY_NONE);
		s.env.remote.ca_cert = cases[i].trusted != NULL ? cases[i].trusted->cert_pem : NULL;
		s.env.remote.tls_validation = cases[i].validate;
		s.env.remote.max_retries = 3;
		call_run(&s.env, &c, "x");
		if (c.rc != cases[i].rc)
			fail_msg("case %zu: %s: %s", i, err_name(c.rc), c.err.msg);
		if (c.rc != 0) {
			assert_non_null(strstr(c.err.msg, "certificate"));
			assert_int_equal(peer_conns(s.env.peer), 1); /* it would be refused again */
		}
		call_free(&c);
		site_close(&s);
	}
}

static void test_client_certificate(void **state)
{
	struct site s;
	struct call c = {0};

	(void)state;
	site_open(&s, &server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
	s.env.remote.client_cert = client.cert_pem;
	s.env.remote.client_key = client.key_pem;
	assert_int_equal(call_run(&s.env, &c, "x"), 0);
	assert_body(&c, "ok");
	call_free(&c);
	assert_int_equal(call_run(&s.env, &c, "x"), 0);
	call_free(&c);
	assert_int_equal(peer_conns(s.env.peer), 1);
	/* The remote loses its certificate: its connection is not used any more. */
	s.env.remote.client_cert = s.env.remote.client_key = NULL;
	s.env.remote.revision = 2;
	assert_true(call_run(&s.env, &c, "x") < 0);
	assert_int_equal(peer_conns(s.env.peer), 2);
	call_free(&c);
	site_close(&s);
}

static void test_certificate_and_key_in_one(void **state)
{
	struct site s;
	struct call c = {0};
	char *both = NULL;

	(void)state;
	assert_true(asprintf(&both, "%s%s", client.cert_pem, client.key_pem) > 0);
	site_open(&s, &server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
	s.env.remote.client_cert = both;
	assert_int_equal(call_run(&s.env, &c, "x"), 0);
	call_free(&c);
	site_close(&s);
	free(both);
}

static void test_a_broken_certificate_is_said(void **state)
{
	struct site s;
	struct call c = {0};

	(void)state;
	site_open(&s, &server, SSL_VERIFY_NONE);
	s.env.remote.client_cert = "not a certificate";
	s.env.remote.max_retries = 3;
	assert_int_equal(call_run(&s.env, &c, "x"), -ERR_CONNECT);
	assert_non_null(strstr(c.err.msg, "certificate"));
	assert_null(strstr(c.err.msg, "attempt"));
	call_free(&c);
	site_close(&s);
}

static char *encrypted_key(void)
{
	BIO *bio = BIO_new(BIO_s_mem());

	PEM_write_bio_PrivateKey(bio, client.key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6, NULL, NULL);
	return pem_of(bio);
}

static void test_a_certificate_and_a_key_that_do_not_fit_are_named(void **state)
{
	char *locked = encrypted_key();
	const struct {
		const char *cert, *key, *said;
	} cases[] = {
		{client.cert_pem, stranger.key_pem, "the client certificate and the private key do not match"},
		{client.cert_pem, "not a key", "the client's private key cannot be read"},
		{client.cert_pem, NULL, "the client's private key cannot be read"},
		{client.cert_pem, locked, "the client's private key is encrypted"},
		{client.key_pem, client.key_pem, "the client certificate cannot be read"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct call c = {0};
		struct site s;

		site_open(&s, &server, SSL_VERIFY_NONE);
		s.env.remote.client_cert = cases[i].cert;
		s.env.remote.client_key = cases[i].key;
		s.env.remote.max_retries = 3;
		assert_int_equal(call_run(&s.env, &c, "x"), -ERR_CONNECT);
		if (strstr(c.err.msg, cases[i].said) == NULL || strstr(c.err.msg, "attempt") != NULL)
			fail_msg("case %zu: %s", i, c.err.msg);
		call_free(&c);
		site_close(&s);
	}
	free(locked);
}

static void test_a_server_that_wants_a_certificate_is_understood(void **state)
{
	static const char hint[] = "the server closed the TLS connection; it may want a client certificate";

	(void)state;
	/* Whether the sending or the receiving fails is a race. */
	for (int i = 0; i < 20; i++) {
		struct call c = {0};
		struct site s;

		site_open(&s, &server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
		assert_int_equal(call_run(&s.env, &c, "x"), -ERR_CONNECT);
		if (strstr(c.err.msg, hint) == NULL)
			fail_msg("%s", c.err.msg);
		call_free(&c);
		site_close(&s);
	}
}

static void test_another_origin_sees_no_certificate(void **state)
{
	struct site s;
	struct call c = {0};

	(void)state;
	site_open(&s, &server, SSL_VERIFY_PEER);
	s.env.remote.client_cert = client.cert_pem;
	s.env.remote.client_key = client.key_pem;
	assert_int_equal(call_run(&s.env, &c, "to-other"), 0);
	assert_body(&c, "ok");
	assert_int_equal(s.tls.client_certs, 1);
	assert_int_equal(s.other_tls.client_certs, 0);
	assert_int_equal(peer_conns(s.other), 1);
	call_free(&c);
	/* Asked for directly, too. */
	assert_int_equal(call_run(&s.env, &c, s.other_root), 0);
	assert_int_equal(s.other_tls.client_certs, 0);
	call_free(&c);
	site_close(&s);
}

static void test_truncation(void **state)
{
	struct site s;
	struct call c = {0};

	(void)state;
	site_open(&s, &server, SSL_VERIFY_NONE);
	assert_int_equal(call_run(&s.env, &c, "cut"), -ERR_TRUNCATED);
	assert_body(&c, "hel");
	call_free(&c);
	site_close(&s);
}

/* Whom the system trusts is read once, and shared: made to trust the test's authority, all connections do. Last, because
 * it cannot be undone. */
static void test_the_system_decides_by_default(void **state)
{
	struct site s;
	struct call c = {0};
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	(void)state;
	site_open(&s, &server, SSL_VERIFY_NONE);
	s.env.remote.ca_cert = NULL;
	assert_int_equal(call_run(&s.env, &c, "x"), -ERR_CONNECT);
	call_free(&c);
	if (ca_ready()) { /* else the system has no bundle, and trusts nobody */
		ca_apply(NULL, ctx, NULL);
		X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca.cert);
		assert_int_equal(call_run(&s.env, &c, "x"), 0);
		assert_body(&c, "ok");
		call_free(&c);
	}
	SSL_CTX_free(ctx);
	site_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_trusted),
		cmocka_unit_test(test_client_certificate),
		cmocka_unit_test(test_certificate_and_key_in_one),
		cmocka_unit_test(test_a_broken_certificate_is_said),
		cmocka_unit_test(test_a_certificate_and_a_key_that_do_not_fit_are_named),
		cmocka_unit_test(test_a_server_that_wants_a_certificate_is_understood),
		cmocka_unit_test(test_another_origin_sees_no_certificate),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_the_system_decides_by_default),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
