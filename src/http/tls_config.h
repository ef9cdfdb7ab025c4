/* What TLS listeners have in common: certificates chosen by the name that the client asks for, how clients are authenticated, and the keys of
 * session tickets. A configuration is read from files, never changes and is counted: connections hold theirs while a newer one takes over. */
#ifndef SLUICE_HTTP_TLS_CONFIG_H
#define SLUICE_HTTP_TLS_CONFIG_H

#include "http/http.h"

#include <openssl/ssl.h>

struct tls_config;
struct ticket_keys;

/* Reads all files. Not on a loop. -ERR_INVAL with file and reason; `keys` must outlive it. */
int tls_config_load(const struct http_tls *o, struct ticket_keys *keys, struct tls_config **out, struct err *err);
struct tls_config *tls_config_ref(struct tls_config *c); /* any thread */
void tls_config_unref(struct tls_config **pc);           /* any thread */
SSL_CTX *tls_config_ctx(const struct tls_config *c);     /* borrowed: what a handshake begins with */
/* What the files look like now, without reading them, and when they were read: not the same, they have changed. Not on a loop. */
uint64_t tls_config_look(const struct http_tls *o);
uint64_t tls_config_looks(const struct tls_config *c);
/* A host name of the first certificate, and when the first of all expires (Unix seconds). */
const char *tls_config_name(const struct tls_config *c);
int64_t tls_config_expires_s(const struct tls_config *c);
/* Does this kernel encrypt for TLS sockets? */
bool tls_kernel_offers(void);

/* ---- session tickets: their keys are the process's own, shared by all loops, and change with time. Any thread. ---- */

/* A key makes tickets that long; twice as long again its tickets are taken. */
#define TICKET_KEY_NS (3600 * INT64_C(1000000000))
#define TICKET_KEYS 3

struct ticket_key {
	unsigned char name[16], aes[32], hmac[32];
	int64_t made_ns; /* 0: none */
};
struct ticket_keys *ticket_keys_new(void);
void ticket_keys_free(struct ticket_keys **pk);
/* The key for a new ticket at `now_ns` (monotonic); made if the last one is too old. Negative: no randomness. */
int ticket_keys_current(struct ticket_keys *k, int64_t now_ns, struct ticket_key *out);
/* The key of that name: 1; 2: the ticket should be renewed; 0: unknown or too old. */
int ticket_keys_find(struct ticket_keys *k, int64_t now_ns, const unsigned char name[16], struct ticket_key *out);
/* OpenSSL's callback, for a context whose application data are the keys. */
int ticket_keys_callback(
	SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt);

#endif
