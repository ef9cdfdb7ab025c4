/* Client certificates: out of what proxies put into a header field, and whether a bundle of authorities vouches for one. Any thread; checking takes
 * some hundred microseconds, so it is the pool's. */
#ifndef SLUICE_GUARD_CERT_H
#define SLUICE_GUARD_CERT_H

#include "base/err.h"
#include "base/slice.h"

#include <openssl/x509.h>

/* A longer field is refused: a certificate with a post-quantum key takes about 10 KiB. */
#define CERT_FIELD_MAX (64 * 1024)

/* From X-CLIENT-CERT as proxies write it: PEM that is URL-encoded (nginx), or has spaces for its line breaks (Apache); base64 of DER or of PEM, also between colons
 * (RFC 9440). Of several certificates the first counts. -ERR_INVAL: it is none of these. */
int cert_of_field(struct slice field, X509 **out, struct err *err);
int cert_of_der(struct slice der, X509 **out, struct err *err);

/* Whom a guard trusts. */
struct trust;
/* `ca`: PEM certificates, at least one; each of them is trusted, also one that is signed by another. `crl`: PEM lists of revoked certificates, or NULL.
 * -ERR_INVAL, -ERR_NOMEM. */
int trust_new(struct slice ca, struct slice crl, struct trust **out, struct err *err);
void trust_free(struct trust **pt);
/* Does it vouch for this certificate as one of a TLS client, at this time? 0: yes, and *until_s is the second from which it may be otherwise: a certificate
 * of the chain or a list of revoked ones ends. -ERR_DENIED with the reason, which may name the certificate. With lists: who issued it must have one that
 * is of this time. */
int trust_check(const struct trust *t, X509 *cert, int64_t now_s, int64_t *until_s, struct err *err);

#endif
