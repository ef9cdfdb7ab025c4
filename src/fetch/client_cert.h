/* Why a client certificate and its key cannot be used, in words: libcurl only says that it could not load '(memory blob)'.
 * Pure; any thread. */
#ifndef SLUICE_FETCH_CLIENT_CERT_H
#define SLUICE_FETCH_CLIENT_CERT_H

/* Both PEM; key NULL or "": it is expected with the certificate. NULL: there is nothing wrong with them. */
const char *client_cert_problem(const char *cert, const char *key);

#endif
