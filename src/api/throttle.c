/* See throttle.h. What a key owes is one time stamp (the generic cell rate algorithm: a leaky bucket without a clock that ticks). Keys are an HMAC, so
 * that nobody can choose users whose entries push out each other. */
#include "api/throttle.h"

#include "base/check.h"
#include "base/clock.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <string.h>

#define GUESS_NS (THROTTLE_GUESS_S * NS_PER_S)

void throttle_init(struct throttle *t, int64_t burst, const uint8_t secret[32])
{
	*t = (struct throttle){.burst = burst};
	memcpy(t->secret, secret, sizeof(t->secret));
}

/* Of the address alone when user.p == NULL. */
static void key_of(const struct throttle *t, const struct addr *client, struct slice user, uint8_t key[16])
{
	uint8_t full[32], text[sizeof(client->b) + 1 + 32] = {0};
	unsigned n = sizeof(full);

	memcpy(text, client->b, sizeof(client->b));
	text[sizeof(client->b)] = user.p != NULL;
	if (user.p != NULL)
		(void)HMAC(EVP_sha256(), t->secret, sizeof(t->secret), (const unsigned char *)user.p, user.n,
			text + sizeof(client->b) + 1, &n);
	n = sizeof(full);
	(void)HMAC(EVP_sha256(), t->secret, sizeof(t->secret), text, sizeof(text), full, &n);
	memcpy(key, full, 16);
}

static size_t set_of(const uint8_t key[16])
{
	return (key[0] | (size_t)key[1] << 8) & (THROTTLE_SETS - 1);
}

static int64_t owed_ns(const struct throttle *t, const uint8_t key[16], int64_t now_ns)
{
	const struct throttle_entry *set = t->entries[set_of(key)];

	for (size_t i = 0; i < THROTTLE_WAYS; i++)
		if (memcmp(set[i].key, key, sizeof(set[i].key)) == 0)
			return MAX(set[i].paid_ns - now_ns, 0);
	return 0;
}

/* Returns until when it has to wait. */
static int64_t owe(struct throttle *t, const uint8_t key[16], int64_t burst, int64_t now_ns)
{
	struct throttle_entry *set = t->entries[set_of(key)], *e = &set[0];

	for (size_t i = 0; i < THROTTLE_WAYS; i++) {
		if (memcmp(set[i].key, key, sizeof(set[i].key)) == 0) {
			e = &set[i];
			break;
		}
		if (set[i].paid_ns < e->paid_ns)
			e = &set[i];
	}
	if (memcmp(e->key, key, sizeof(e->key)) != 0) {
		memcpy(e->key, key, sizeof(e->key));
		e->paid_ns = 0;
	}
	e->paid_ns = MAX(e->paid_ns, now_ns) + GUESS_NS;
	return e->paid_ns - (burst - 1) * GUESS_NS;
}

int64_t throttle_wait_ns(const struct throttle *t, const struct addr *client, struct slice user, int64_t now_ns)
{
	uint8_t pair[16], address[16];
	int64_t wait, address_wait;

	if (t->burst == 0 || now_ns >= t->quiet_ns)
		return 0;
	key_of(t, client, user, pair);
	key_of(t, client, SLICE_NULL, address);
	wait = owed_ns(t, pair, now_ns) - (t->burst - 1) * GUESS_NS;
	address_wait = owed_ns(t, address, now_ns) - (t->burst * THROTTLE_ADDRESS_FACTOR - 1) * GUESS_NS;
	return MAX(MAX(wait, address_wait), 0);
}

void throttle_failed(struct throttle *t, const struct addr *client, struct slice user, int64_t now_ns)
{
	uint8_t pair[16], address[16];
	int64_t until, address_until;

	if (t->burst == 0)
		return;
	key_of(t, client, user, pair);
	key_of(t, client, SLICE_NULL, address);
	until = owe(t, pair, t->burst, now_ns);
	address_until = owe(t, address, t->burst * THROTTLE_ADDRESS_FACTOR, now_ns);
	t->quiet_ns = MAX(t->quiet_ns, MAX(until, address_until));
}

void throttle_passed(struct throttle *t, const struct addr *client, struct slice user)
{
	struct throttle_entry *set;
	uint8_t pair[16];

	if (t->burst == 0)
		return;
	key_of(t, client, user, pair);
	set = t->entries[set_of(pair)];
	for (size_t i = 0; i < THROTTLE_WAYS; i++)
		if (memcmp(set[i].key, pair, sizeof(pair)) == 0)
			set[i] = (struct throttle_entry){.paid_ns = 0};
}
