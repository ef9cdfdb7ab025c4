/* Foreign bytes: comparing, cutting, reading numbers. Pure functions. */
#include "base/slice.h"

#include "base/err.h"

#include <stdlib.h>

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool same_nocase(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

bool slice_ends(struct slice s, struct slice suffix)
{
	return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
	return a.n == b.n && same_nocase(a.p, b.p, a.n);
}

bool slice_starts_nocase(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && same_nocase(s.p, prefix.p, prefix.n);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s)
{
	while (s.n > 0 && is_space(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

ptrdiff_t slice_chr(struct slice s, char c)
{
	const char *at = s.n > 0 ? memchr(s.p, c, s.n) : NULL;

	return at != NULL ? at - s.p : -1;
}

ptrdiff_t slice_rchr(struct slice s, char c)
{
	const char *at = s.n > 0 ? memrchr(s.p, c, s.n) : NULL;

	return at != NULL ? at - s.p : -1;
}

struct slice slice_cut(struct slice *rest, char c)
{
	ptrdiff_t at = slice_chr(*rest, c);
	struct slice part = *rest;

	if (at < 0) {
		*rest = SLICE_NULL;
	} else {
		part.n = (size_t)at;
		*rest = slice_of(rest->p + at + 1, rest->n - (size_t)at - 1);
	}
	return part;
}

int slice_to_i64(struct slice s, int64_t max, int64_t *out)
{
	int64_t v = 0;
	bool over = false;

	if (s.n == 0)
		return -ERR_INVAL;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -ERR_INVAL;
		/* Digits are checked to the end: "99999999999999999999x" is malformed, not large. */
		over = over || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s.p[i] - '0', &v);
	}
	if (over || v > max)
		return -ERR_LIMIT;
	*out = v;
	return 0;
}

char *slice_dup(struct slice s)
{
	char *z = s.n < SIZE_MAX ? malloc(s.n + 1) : NULL;

	if (z == NULL)
		return NULL;
	if (s.n > 0)
		memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	return z;
}

uint64_t slice_hash(struct slice s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a: offset basis and prime */

	for (size_t i = 0; i < s.n; i++) {
		h ^= (unsigned char)s.p[i];
		h *= UINT64_C(0x100000001b3);
	}
	/* FNV mixes its last bytes badly into the high bits; the finalizer is MurmurHash3's fmix64. */
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64_C(0xc4ceb9fe1a85ec53);
	h ^= h >> 33;
	return h;
}

/* Length of the sequence at s.p, 0 if malformed. The second byte alone rules out overlong forms, surrogates and what
 * lies above U+10FFFF (RFC 3629 §4). */
static size_t utf8_sequence(struct slice s)
{
	unsigned char c = (unsigned char)s.p[0], lo = 0x80, hi = 0xbf;
	size_t n;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (s.n < n)
		return 0;
	if (c == 0xe0)
		lo = 0xa0;
	else if (c == 0xed)
		hi = 0x9f;
	else if (c == 0xf0)
		lo = 0x90;
	else if (c == 0xf4)
		hi = 0x8f;
	for (size_t i = 1; i < n; i++) {
		c = (unsigned char)s.p[i];
		if (c < lo || c > hi)
			return 0;
		lo = 0x80;
		hi = 0xbf;
	}
	return n;
}

bool slice_is_utf8(struct slice s)
{
	while (s.n > 0) {
		uint64_t eight;
		size_t n;

		/* Most of it is ASCII. */
		if (s.n >= sizeof(eight)) {
			memcpy(&eight, s.p, sizeof(eight));
			if ((eight & UINT64_C(0x8080808080808080)) == 0) {
				s = slice_of(s.p + sizeof(eight), s.n - sizeof(eight));
				continue;
			}
		}
		n = utf8_sequence(s);

		if (n == 0)
			return false;
		s.p += n;
		s.n -= n;
	}
	return true;
}
