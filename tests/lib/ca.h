/* Certificate authorities for tests: certificates, with what extensions a test wants, and lists of revoked ones. ECDSA P-256; every failure is the
 * test's. */
#ifndef SLUICE_TESTS_CA_H
#define SLUICE_TESTS_CA_H

#include <openssl/x509.h>

#include <stdbool.h>

struct id {
	EVP_PKEY *key;
	X509 *cert;
	char *pem; /* of the certificate */
	unsigned char *der;
	int der_n;
};

/* Times are seconds from now; 0 and 0: an hour ago until in an hour. `ext`: NULL-terminated pairs of OID (or OpenSSL's name) and value; a value "hex:…" is the
 * extension's DER, any other is as OpenSSL's configuration files write it. */
struct id_opts {
	long from_s, to_s;
	const char *const *ext;
};
/* Signed by `issuer`; NULL: by itself. An authority when ca. */
void id_make(struct id *out, const char *name, const struct id *issuer, bool ca, const struct id_opts *opts);
void id_free(struct id *id);
/* PEM: `by` revokes these (NULL-terminated); it ends `to_s` seconds from now. To be freed. */
char *crl_make(const struct id *by, const struct id *const *revoked, long to_s);
/* PEM as proxies send it: URL-encoded; on one line with spaces; DER in base64. To be freed. */
char *pem_escaped(const char *pem);
char *pem_on_one_line(const char *pem);
char *base64_of(const void *p, size_t n);

#endif
