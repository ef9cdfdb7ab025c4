/* Certificates, their keys, and what else OpenSSL is told, read into one SSL_CTX for each certificate. */
#include "http/tls_config.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CERTIFICATES_MAX 64
#define NAME_MAX_BYTES 256
#define EXPIRES_SOON_S (14 * 86400)
/* For TLS 1.2, what is forward secret and authenticated with its encryption; TLS 1.3 has nothing else. */
#define CIPHERS                                                      \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

struct tls_config {
	_Atomic int refs;
	size_t count;
	SSL_CTX *ctx[CERTIFICATES_MAX];
	char name[NAME_MAX_BYTES];
	int64_t expires_s;
	uint64_t files; /* what they looked like before they were read */
};

/* ---- errors ---- */

/* What OpenSSL says in its own words only, in ours. */
static const char *reason_of(unsigned long code)
{
	bool no_start = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;

	if (no_start || (ERR_GET_LIB(code) == ERR_LIB_OSSL_DECODER && ERR_GET_REASON(code) == ERR_R_UNSUPPORTED))
		return "there is none in it, as PEM";
	if (ERR_GET_REASON(code) == ERR_R_INTERRUPTED_OR_CANCELLED) /* what no_passphrase() comes to */
		return "it is encrypted, and nobody is there to type the passphrase";
	return code != 0 ? ERR_reason_error_string(code) : NULL;
}

/* What OpenSSL has to say, behind `what`; its queue is empty afterwards. */
static int fail(struct err *err, const char *what, const char *path)
{
	unsigned long code = ERR_peek_error();
	const char *reason = reason_of(code);
	int sys = errno;

	ERR_clear_error();
	if (code != 0 && ERR_SYSTEM_ERROR(code))
		return err_sys(err, ERR_GET_REASON(code), "%s '%s'", what, path);
	if (reason == NULL && sys != 0)
		return err_sys(err, sys, "%s '%s'", what, path);
	return err_set(err, -ERR_INVAL, "%s '%s': %s", what, path, reason != NULL ? reason : "refused by OpenSSL");
}

/* ---- the files ---- */

/* "CHAIN" or "CHAIN:KEY" taken apart; with one file the key is in it, too. */
struct cert_files {
	char chain[4096], key[4096];
};

static int split_files(const char *item, struct cert_files *out, struct err *err)
{
	const char *colon = strchr(item, ':');
	size_t n = colon != NULL ? (size_t)(colon - item) : strlen(item);
	const char *key = colon != NULL ? colon + 1 : item;

	if (n == 0 || n >= sizeof(out->chain) || key[0] == '\0' || strlen(key) >= sizeof(out->key))
		return err_set(err, -ERR_INVAL, "certificate '%.200s' is not CHAIN or CHAIN:KEY", item);
	(void)snprintf(out->chain, sizeof(out->chain), "%.*s", (int)n, item);
	(void)snprintf(out->key, sizeof(out->key), "%s", key);
	return 0;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	return (h ^ v) * UINT64_C(0x9e3779b97f4a7c15) + (h >> 29);
}

static uint64_t look_at(uint64_t h, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return mix(h, (uint64_t)errno);
	h = mix(h, (uint64_t)st.st_ino);
	h = mix(h, (uint64_t)st.st_size);
	h = mix(h, (uint64_t)st.st_mtim.tv_sec);
	return mix(h, (uint64_t)st.st_mtim.tv_nsec);
}

uint64_t tls_config_look(const struct http_tls *o)
{
	struct cert_files f;
	uint64_t h = 1;

	for (size_t i = 0; o->certificates[i] != NULL; i++) {
		if (split_files(o->certificates[i], &f, NULL) < 0)
			continue;
		h = look_at(h, f.chain);
		h = look_at(h, f.key);
	}
	return o->client_ca != NULL ? look_at(h, o->client_ca) : h;
}

uint64_t tls_config_looks(const struct tls_config *c)
{
	return c->files;
}

/* ---- callbacks of OpenSSL ---- */

/* Nobody is there to type a passphrase. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	return -1;
}

/* The first certificate whose names cover what the client asks for; without one the first of all, as for clients that name nothing. */
static int choose_certificate(SSL *ssl, int *alert, void *arg)
{
	const struct tls_config *c = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	if (name == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	for (size_t i = 0; i < c->count; i++) {
		if (X509_check_host(SSL_CTX_get0_certificate(c->ctx[i]), name, 0, 0, NULL) != 1)
			continue;
		return SSL_set_SSL_CTX(ssl, c->ctx[i]) != NULL ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	return SSL_TLSEXT_ERR_OK;
}

/* RFC 7301: a client that offers protocols, none of which we speak, has to be told. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *offered,
	unsigned int offered_n, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1\x08http/1.0";
	unsigned char *chosen;

	if (SSL_select_next_proto(&chosen, out_n, ours, sizeof(ours) - 1, offered, offered_n) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* The guards judge it, each by its own authorities; that the client has the key is proven here. */
static int take_any_certificate(X509_STORE_CTX *store, void *arg)
{
	return 1;
}

/* ---- one context ---- */

static void set_rules(SSL_CTX *ctx, const struct http_tls *o)
{
	/* An end without close_notify is the end of the input, as for a plain socket: requests say how long they are. */
	uint64_t options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF;

	if (o->kernel && tls_kernel_offers())
		options |= SSL_OP_ENABLE_KTLS;
	SSL_CTX_set_options(ctx, options);
	SSL_CTX_set_mode(
		ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets do without */
	SSL_CTX_set_timeout(ctx, (TICKET_KEYS - 1) * TICKET_KEY_NS / NS_PER_S);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_keys_callback);
}

static int set_clients(SSL_CTX *ctx, const struct http_tls *o, struct err *err)
{
	STACK_OF(X509_NAME) * names;

	if (o->client_certs == HTTP_CERTS_OFF)
		return 0;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (o->client_certs == HTTP_CERTS_PASS)
		SSL_CTX_set_cert_verify_callback(ctx, take_any_certificate, NULL);
	if (o->client_ca == NULL)
		return o->client_certs == HTTP_CERTS_PASS
			       ? 0
			       : err_set(err, -ERR_INVAL,
					 "client certificates shall be verified, but there is no file of authorities");
	errno = 0;
	if (SSL_CTX_load_verify_file(ctx, o->client_ca) != 1 || (names = SSL_load_client_CA_file(o->client_ca)) == NULL)
		return fail(err, "authorities for client certificates", o->client_ca);
	SSL_CTX_set_client_CA_list(ctx, names); /* a hint for clients that have several */
	return 0;
}

/* A session remembers who the client is: one of a server that judged clients otherwise must not be taken up. */
static int set_session_context(SSL_CTX *ctx, const struct http_tls *o)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	STACK_OF(X509_NAME) *names = SSL_CTX_get_client_CA_list(ctx);
	char text[4200];
	int n = snprintf(text, sizeof(text), "%d %d %016llx %.4096s", (int)o->client_certs, sk_X509_NAME_num(names),
		(unsigned long long)(o->client_ca != NULL ? look_at(1, o->client_ca) : 0),
		o->client_ca != NULL ? o->client_ca : "");

	(void)SHA256((const unsigned char *)text, (size_t)MIN(n, (int)sizeof(text) - 1), digest);
	return SSL_CTX_set_session_id_context(ctx, digest, sizeof(digest)) == 1 ? 0 : -ERR_INTERNAL;
}

/* Whoever reads the key can be the server: the group may (Debian's ssl-cert), nobody else, and nobody but the owner may change it. */
static int check_key_file(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(err, errno, "private key '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -ERR_INVAL, "private key '%s': not a regular file", path);
	if ((st.st_mode & (S_IWGRP | S_IRWXO)) == 0)
		return 0;
	return err_set(err, -ERR_INVAL,
		"private key '%s': its mode is %04o, which lets others %s it; chmod 600 (or 640) it", path,
		(unsigned)(st.st_mode & 07777), (st.st_mode & (S_IWGRP | S_IWOTH)) != 0 ? "change" : "read");
}

static int set_certificate(SSL_CTX *ctx, const char *item, struct err *err)
{
	struct cert_files f;
	int rc = split_files(item, &f, err);

	if (rc < 0)
		return rc;
	rc = check_key_file(f.key, err);
	if (rc < 0)
		return rc;
	errno = 0;
	if (SSL_CTX_use_certificate_chain_file(ctx, f.chain) != 1)
		return fail(err, "certificate", f.chain);
	if (SSL_CTX_use_PrivateKey_file(ctx, f.key, SSL_FILETYPE_PEM) != 1 &&
		ERR_GET_LIB(ERR_peek_error()) != ERR_LIB_X509)
		return fail(err, "private key", f.key);
	if (SSL_CTX_check_private_key(ctx) != 1) {
		ERR_clear_error();
		return err_set(err, -ERR_INVAL, "private key '%s' is not that of certificate '%s'", f.key, f.chain);
	}
	return 0;
}

static int64_t seconds_of(const ASN1_TIME *t)
{
	struct tm tm = {0};

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* Notes when it expires, and says so when it has or soon will. It is served all the same: without it other names, and plain HTTP, would not be
 * either. */
static void note_expiry(struct tls_config *c, const X509 *cert, const char *item)
{
	int64_t from = seconds_of(X509_get0_notBefore(cert)), to = seconds_of(X509_get0_notAfter(cert));
	int64_t now = clock_wall_us() / US_PER_S;
	char when[CLOCK_HTTP_MAX];

	if (c->expires_s == 0 || to < c->expires_s)
		c->expires_s = to;
	if (to < now)
		log_error("http", "certificate '%s' expired on %s: clients will refuse it", item, clock_http(to, when));
	else if (from > now)
		log_error("http", "certificate '%s' is valid from %s on: clients will refuse it before", item,
			clock_http(from, when));
	else if (to - now < EXPIRES_SOON_S)
		log_warn("http", "certificate '%s' expires on %s", item, clock_http(to, when));
}

/* Its first DNS name that is no pattern, else its common name. */
static void note_name(struct tls_config *c, X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && c->name[0] == '\0'; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type != GEN_DNS || ASN1_STRING_get0_data(g->d.dNSName)[0] == '*')
			continue;
		(void)snprintf(c->name, sizeof(c->name), "%.*s", ASN1_STRING_length(g->d.dNSName),
			(const char *)ASN1_STRING_get0_data(g->d.dNSName));
	}
	GENERAL_NAMES_free(names);
	if (c->name[0] == '\0')
		(void)X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, c->name, sizeof(c->name));
}

static int load_one(
	struct tls_config *c, const struct http_tls *o, const char *item, struct ticket_keys *keys, struct err *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int rc;

	if (ctx == NULL)
		return err_set(err, -ERR_NOMEM, "out of memory");
	c->ctx[c->count++] = ctx;
	set_rules(ctx, o);
	SSL_CTX_set_app_data(ctx, keys);
	if (SSL_CTX_set_min_proto_version(ctx, o->only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1 ||
		SSL_CTX_set_cipher_list(ctx, CIPHERS) != 1)
		return fail(err, "protocol for certificate", item);
	rc = set_certificate(ctx, item, err);
	if (rc == 0)
		rc = set_clients(ctx, o, err);
	if (rc < 0)
		return rc;
	if (set_session_context(ctx, o) < 0)
		return err_set(err, -ERR_INTERNAL, "session context");
	note_expiry(c, SSL_CTX_get0_certificate(ctx), item);
	return 0;
}

/* ---- all of it ---- */

int tls_config_load(const struct http_tls *o, struct ticket_keys *keys, struct tls_config **out, struct err *err)
{
	struct tls_config *c = calloc(1, sizeof(*c));
	int rc = 0;

	if (c == NULL)
		return err_set(err, -ERR_NOMEM, "out of memory");
	atomic_init(&c->refs, 1);
	c->files = tls_config_look(o);
	for (size_t i = 0; rc == 0 && o->certificates[i] != NULL; i++)
		rc = i < CERTIFICATES_MAX ? load_one(c, o, o->certificates[i], keys, err)
					  : err_set(err, -ERR_LIMIT, "more than %d certificates", CERTIFICATES_MAX);
	if (rc == 0 && c->count == 0)
		rc = err_set(err, -ERR_INVAL, "TLS needs a certificate");
	if (rc < 0) {
		tls_config_unref(&c);
		return rc;
	}
	note_name(c, SSL_CTX_get0_certificate(c->ctx[0]));
	SSL_CTX_set_tlsext_servername_callback(c->ctx[0], choose_certificate);
	SSL_CTX_set_tlsext_servername_arg(c->ctx[0], c);
	*out = c;
	return 0;
}

struct tls_config *tls_config_ref(struct tls_config *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void tls_config_unref(struct tls_config **pc)
{
	struct tls_config *c = TAKE(*pc);

	if (c == NULL || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < c->count; i++)
		SSL_CTX_free(c->ctx[i]);
	free(c);
}

SSL_CTX *tls_config_ctx(const struct tls_config *c)
{
	return c->ctx[0];
}

const char *tls_config_name(const struct tls_config *c)
{
	return c->name;
}

int64_t tls_config_expires_s(const struct tls_config *c)
{
	return c->expires_s;
}

static bool kernel_offers;

/* An unconnected socket cannot have it, but the kernel that knows it says so in another way than the one that does not. */
static void ask_kernel(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	kernel_offers = setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0 || errno == ENOTCONN;
	(void)close(fd);
}

bool tls_kernel_offers(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, ask_kernel);
	return kernel_offers;
}
