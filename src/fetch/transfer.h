/* One attempt over HTTP. Loop only. */
#ifndef SLUICE_FETCH_TRANSFER_H
#define SLUICE_FETCH_TRANSFER_H

#include <curl/curl.h>

struct fetch_ctx;
struct transfer;
struct upstream;

/* libcurl is through with it. Not from inside a call-back. The transfer, and perhaps its fetch, is gone afterwards. */
void transfer_completed(struct transfer *t, CURLcode result);
/* The same for all that run on an upstream, when libcurl cannot go on with any of them. */
void transfers_fail(struct upstream *u, const char *why);

/* Hands over what was gathered inside of libcurl: after each of its functions that call back, before results are looked at. */
void transfers_flush(struct fetch_ctx *c);

#endif
