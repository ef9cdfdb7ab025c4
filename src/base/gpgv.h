/* OpenPGP signatures. gpgv decides: it is what apt asks, so that what is taken here is what clients take, and weak or
 * expired signatures are judged alike. It comes with every Debian, and with GnuPG elsewhere. Blocking. */
#ifndef SLUICE_BASE_GPGV_H
#define SLUICE_BASE_GPGV_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define GPGV_KEYS_MAX ((size_t)4 << 20)
#define GPGV_FINGERPRINT_MAX 65 /* hex digits, and a zero byte */

/* The binary form of armoured public keys, one block or several, appended to out. -ERR_PARSE: there is none, or one is damaged. */
int gpgv_dearmor(struct slice keys, struct buf *out, struct err *err);

/* Fingerprint of the first of armoured public keys, in upper case as GnuPG shows it. -ERR_PARSE; -ERR_UNSUPPORTED: a key of neither
 * version 4 nor 6; -ERR_NOMEM. */
int gpgv_fingerprint(struct slice keys, char out[GPGV_FINGERPRINT_MAX], struct err *err);

/* Has one of `keys` (armoured) signed it, and did none make a wrong signature? `signature`: beside `file`; n == 0: `file` is clear-signed. *text (emptied first): what is
 * signed, as gpgv read it. -ERR_DENIED with the reason; -ERR_PARSE: the keys; -ERR_UNSUPPORTED: there is no gpgv; -ERR_IO. */
int gpgv_verify(struct slice keys, struct slice file, struct slice signature, struct buf *text, struct err *err);

#endif
