/* A quick look at JSON that formats hand over: most of it is the program's own and is well-formed. Pure functions. */
#ifndef SLUICE_SYNC_FORM_H
#define SLUICE_SYNC_FORM_H

#include "base/slice.h"

/* True: it is certainly an object that jansson reads. False: jansson has to be asked, for this knows no reals, no long numbers, and of escapes only the short
 * ones and those of control characters. A member may come twice. */
bool form_is_object(struct slice s);

#endif
