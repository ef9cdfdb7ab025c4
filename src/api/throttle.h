/* How often somebody may be wrong about a password: for each pair of client address and user name, and for each address. A wrong guess costs GUESS_S
 * seconds; whoever owes more than the burst allows waits. The table has a fixed size; what is evicted owes least.
 * No lock of its own: the caller has one. */
#ifndef SLUICE_API_THROTTLE_H
#define SLUICE_API_THROTTLE_H

#include "base/addr.h"
#include "base/slice.h"

#include <stdint.h>

#define THROTTLE_GUESS_S 30
#define THROTTLE_ADDRESS_FACTOR \
	10 /* an address alone may be wrong so much more often: there may be many people behind it */
#define THROTTLE_SETS 1024
#define THROTTLE_WAYS 4

struct throttle_entry {
	uint8_t key[16];
	int64_t paid_ns; /* when it owes nothing any more; past: the entry is free */
};
struct throttle {
	int64_t burst; /* 0: nobody ever waits */
	uint8_t secret[32];
	int64_t quiet_ns; /* from then on nobody waits, so that nobody needs to be looked for */
	struct throttle_entry entries[THROTTLE_SETS][THROTTLE_WAYS];
};

void throttle_init(struct throttle *t, int64_t burst, const uint8_t secret[32]);
/* How long until the next guess is taken; 0: now. now_ns: monotonic. */
int64_t throttle_wait_ns(const struct throttle *t, const struct addr *client, struct slice user, int64_t now_ns);
void throttle_failed(struct throttle *t, const struct addr *client, struct slice user, int64_t now_ns);
/* The pair owes nothing any more; the address goes on owing. */
void throttle_passed(struct throttle *t, const struct addr *client, struct slice user);

#endif
