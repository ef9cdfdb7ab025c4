/* See addr.h. Addresses are compared as 16 bytes, IPv4 ones mapped into IPv6 (RFC 4291 §2.5.5.2). */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define ADDR_BYTES 16
#define MAPPED_BITS 96

/* Without brackets. False: it is no address. */
static bool parse(struct slice text, uint8_t out[ADDR_BYTES], bool *is_v4)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char z[INET6_ADDRSTRLEN];

	if (text.n == 0 || text.n >= sizeof(z))
		return false;
	memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	*is_v4 = inet_pton(AF_INET, z, out + sizeof(mapped)) == 1;
	if (*is_v4)
		memcpy(out, mapped, sizeof(mapped));
	else if (inet_pton(AF_INET6, z, out) != 1)
		return false;
	return true;
}

struct network {
	uint8_t bytes[ADDR_BYTES];
	int64_t bits;
};

static bool parse_network(struct slice item, struct network *out)
{
	struct slice bits = item, addr = slice_cut(&bits, '/');
	bool is_v4;

	if (!parse(addr, out->bytes, &is_v4))
		return false;
	out->bits = 8 * ADDR_BYTES;
	if (bits.p == NULL)
		return true;
	if (slice_to_i64(bits, is_v4 ? 32 : 8 * ADDR_BYTES, &out->bits) < 0)
		return false;
	if (is_v4)
		out->bits += MAPPED_BITS;
	return true;
}

bool addr_network_ok(struct slice item)
{
	struct network n;

	return parse_network(item, &n);
}

static bool holds(const struct network *n, const uint8_t addr[ADDR_BYTES])
{
	size_t whole = (size_t)n->bits / 8, rest = (size_t)n->bits % 8;

	if (memcmp(n->bytes, addr, whole) != 0)
		return false;
	return rest == 0 || ((n->bytes[whole] ^ addr[whole]) >> (8 - rest)) == 0;
}

/* "ADDR:PORT" or "[ADDR]:PORT". */
static bool parse_peer(struct slice peer, uint8_t out[ADDR_BYTES], bool *is_v4)
{
	ptrdiff_t colon = slice_rchr(peer, ':');

	if (colon < 0)
		return false;
	peer.n = (size_t)colon;
	if (peer.n >= 2 && peer.p[0] == '[')
		peer = slice_of(peer.p + 1, peer.n - 2);
	return parse(peer, out, is_v4);
}

bool addr_list_has(const char *list, struct slice peer)
{
	struct slice rest = slice_str(list);
	uint8_t addr[ADDR_BYTES];
	struct network n;
	bool is_v4;

	if (!parse_peer(peer, addr, &is_v4))
		return false;
	while (rest.p != NULL)
		if (parse_network(slice_trim(slice_cut(&rest, ',')), &n) && holds(&n, addr))
			return true;
	return false;
}

static bool is_mapped(const uint8_t addr[ADDR_BYTES])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(addr, mapped, sizeof(mapped)) == 0;
}

struct addr addr_of_client(const char *trusted, struct slice peer, struct slice forwarded_for)
{
	struct addr a = {{0}}, seen;
	bool is_v4;

	if (!parse_peer(peer, a.b, &is_v4))
		return (struct addr){{0}};
	if (forwarded_for.p != NULL && addr_list_has(trusted, peer)) {
		ptrdiff_t comma = slice_rchr(forwarded_for, ',');
		size_t from = comma < 0 ? 0 : (size_t)comma + 1;
		struct slice last = slice_trim(slice_of(forwarded_for.p + from, forwarded_for.n - from));

		if (parse(last, seen.b, &is_v4))
			a = seen;
	}
	if (!is_mapped(a.b))
		memset(a.b + ADDR_BYTES / 2, 0, ADDR_BYTES / 2);
	return a;
}

/* ---- interfaces ---- */

static int add_address(struct buf *out, struct slice addr, int port)
{
	bool v6 = slice_chr(addr, ':') >= 0;

	return buf_addf(
		out, "%s%s%.*s%s:%d", out->n > 0 ? "," : "", v6 ? "[" : "", SLICE_ARG(addr), v6 ? "]" : "", port);
}

/* 1: it was added; 0: not one to listen on. */
static int add_of_interface(struct buf *out, const struct ifaddrs *ifa, int port)
{
	char text[INET6_ADDRSTRLEN];
	const void *addr;

	if (ifa->ifa_addr == NULL)
		return 0;
	if (ifa->ifa_addr->sa_family == AF_INET) {
		addr = &((const struct sockaddr_in *)(const void *)ifa->ifa_addr)->sin_addr;
	} else if (ifa->ifa_addr->sa_family == AF_INET6) {
		const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)ifa->ifa_addr)->sin6_addr;

		if (IN6_IS_ADDR_LINKLOCAL(a))
			return 0;
		addr = a;
	} else {
		return 0;
	}
	if (inet_ntop(ifa->ifa_addr->sa_family, addr, text, sizeof(text)) == NULL)
		return 0;
	(void)add_address(out, slice_str(text), port);
	return 1;
}

int addr_of_interfaces(const char *items, int port, struct buf *out, struct err *err)
{
	struct slice rest = slice_str(items);
	struct ifaddrs *all = NULL;
	int rc = 0;

	if (getifaddrs(&all) < 0)
		return err_sys(err, errno, "listing the interfaces of this host");
	while (rc == 0 && rest.p != NULL) {
		struct slice item = slice_trim(slice_cut(&rest, ','));
		uint8_t bytes[ADDR_BYTES];
		int found = 0;
		bool is_v4;

		if (item.n == 0)
			continue;
		if (item.n > 2 && item.p[0] == '[' && item.p[item.n - 1] == ']')
			item = slice_of(item.p + 1, item.n - 2);
		if (parse(item, bytes, &is_v4)) {
			(void)add_address(out, item, port);
			continue;
		}
		for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
			if (slice_eq(slice_str(i->ifa_name), item))
				found += add_of_interface(out, i, port);
		if (found == 0)
			rc = err_set(
				err, -ERR_NOTFOUND, "there is no interface '%.*s' with an address", SLICE_ARG(item));
	}
	freeifaddrs(all);
	if (rc == 0 && out->failed != 0)
		rc = err_set(err, out->failed, "too many addresses");
	return rc;
}
