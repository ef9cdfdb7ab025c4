#include "guard/base64.h"

#include "base/err.h"

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int64_t base64_decode(struct slice text, void *out)
{
	unsigned char *to = out;
	uint32_t bits = 0;
	size_t digits = 0, padding = 0;
	int64_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		int v = value_of(c);

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		if (c == '=' && padding < 2) {
			padding++;
			continue;
		}
		if (v < 0 || padding > 0)
			return -ERR_INVAL;
		bits = bits << 6 | (uint32_t)v;
		if (++digits % 4 == 0)
			for (int shift = 16; shift >= 0; shift -= 8)
				to[n++] = (unsigned char)(bits >> shift);
	}
	if (digits % 4 == 1 || (padding > 0 && (digits + padding) % 4 != 0))
		return -ERR_INVAL;
	if (digits % 4 >= 2)
		to[n++] = (unsigned char)(bits >> (digits % 4 == 2 ? 4 : 10));
	if (digits % 4 == 3)
		to[n++] = (unsigned char)(bits >> 2);
	return n;
}
