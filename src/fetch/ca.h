/* The certificate authorities that the system trusts, parsed once for all connections. Any thread. */
#ifndef SLUICE_FETCH_CA_H
#define SLUICE_FETCH_CA_H

#include "base/pool.h"

#include <curl/curl.h>
#include <stdbool.h>

/* Reads them if no one has yet. Blocking. Failure means that libcurl reads them for each remote, and says what is wrong. */
void ca_open(void);
/* Whether ca_apply() has something to give. */
bool ca_ready(void);
/* CURLOPT_SSL_CTX_FUNCTION */
CURLcode ca_apply(CURL *easy, void *ssl_ctx, void *arg);
/* Looks whether the system has changed them, now and then, and reads them anew in the pool (NULL: here). */
void ca_refresh(struct pool *pool);

#endif
