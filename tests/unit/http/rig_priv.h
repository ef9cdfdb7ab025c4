/* What the files of the rig share. */
#ifndef SLUICE_TESTS_HTTP_RIG_PRIV_H
#define SLUICE_TESTS_HTTP_RIG_PRIV_H

#include "rig.h"

/* rig.c */
int pattern_file(void);             /* the pattern as an open file */
void rig_bump(int *counter);        /* of rig: under its lock, with a broadcast */
struct timespec rig_deadline(void); /* in WAIT_S, of the clock that conditions wait by */

/* script.c: a body of rig.script. */
struct body *script_body(void);

/* handlers.c */
void rig_handle(struct http_x *x, const struct http_request *r, void *arg);
/* What this loop's thread keeps of answers made ready. */
void rig_forget_ready(void);

#endif
