/* UUIDs. The 60 bits that follow the clock in version 7 (milliseconds, then rand_a as the fraction of the millisecond:
 * RFC 9562 §6.2, method 3) are kept in one atomic, so that they grow with every call of any thread. */
#include "base/uuid.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"

#include <errno.h>
#include <sys/random.h>

static void random_bytes(uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		BUG(got < 0 &&
			errno != EINTR); /* any kernel since 3.17 has it; guessable ids would be worse than none */
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		}
	}
}

static void set_version(struct uuid *u, uint8_t version)
{
	u->b[6] = (uint8_t)((u->b[6] & 0x0f) | version << 4);
	u->b[8] = (uint8_t)((u->b[8] & 0x3f) | 0x80);
}

/* Milliseconds in the upper 48 of 60 bits, 1/4096 of them below; larger than ever before. */
static uint64_t next_tick(void)
{
	static uint64_t last;
	uint64_t was = __atomic_load_n(&last, __ATOMIC_RELAXED), us = (uint64_t)clock_wall_us(), now, next;

	now = us / 1000 << 12 | us % 1000 * 4096 / 1000;
	do {
		next = now > was ? now : was + 1;
	} while (!__atomic_compare_exchange_n(&last, &was, next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return next;
}

struct uuid uuid_v7(void)
{
	uint64_t tick = next_tick(), ms = tick >> 12;
	struct uuid u;

	for (int i = 0; i < 6; i++)
		u.b[i] = (uint8_t)(ms >> (40 - 8 * i));
	u.b[6] = (uint8_t)(tick >> 8 & 0x0f);
	u.b[7] = (uint8_t)tick;
	random_bytes(u.b + 8, 8);
	set_version(&u, 7);
	return u;
}

struct uuid uuid_v4(void)
{
	struct uuid u;

	random_bytes(u.b, sizeof(u.b));
	set_version(&u, 4);
	return u;
}

/* Bytes before each dash. */
static const uint8_t groups[] = {4, 2, 2, 2, 6};

char *uuid_str(const struct uuid *u, char out[UUID_STR])
{
	const uint8_t *from = u->b;
	char *to = out;

	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		if (i > 0)
			*to++ = '-';
		hex_of(from, groups[i], to);
		from += groups[i];
		to += 2 * groups[i];
	}
	return out;
}

int uuid_parse(struct slice s, struct uuid *out)
{
	struct uuid u;
	uint8_t *to = u.b;

	if (s.n == 2 * sizeof(u.b)) {
		if (hex_parse(s, u.b, sizeof(u.b)) != 0)
			return -ERR_INVAL;
		*out = u;
		return 0;
	}
	if (s.n != UUID_STR - 1)
		return -ERR_INVAL;
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		if (i > 0 && *s.p++ != '-')
			return -ERR_INVAL;
		if (hex_parse(slice_of(s.p, 2u * groups[i]), to, groups[i]) != 0)
			return -ERR_INVAL;
		s.p += 2 * groups[i];
		to += groups[i];
	}
	*out = u;
	return 0;
}
