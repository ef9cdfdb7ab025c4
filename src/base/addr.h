/* Addresses as text: whom a list of addresses and networks names, and which addresses an interface has. Any thread. */
#ifndef SLUICE_BASE_ADDR_H
#define SLUICE_BASE_ADDR_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* "192.0.2.1", "192.0.2.0/24", "2001:db8::/32", "::1": can it stand in such a list? */
bool addr_network_ok(struct slice item);
/* Does one of the comma-separated addresses and networks hold `peer` ("192.0.2.1:4711", "[::1]:4711")? An IPv4 address that
 * came through an IPv6 socket counts as itself. */
bool addr_list_has(const char *list, struct slice peer);

/* Whom a client is counted as: 16 bytes, of an IPv6 address its network of 64 bits, since a host has all of that. All zeros: not known. */
struct addr {
	uint8_t b[16];
};
/* Of the connection's peer ("192.0.2.1:4711"). Where that is one of `trusted` (as addr_list_has takes it), the last address of `forwarded_for`, which
 * is the one that the proxy itself saw (X-Forwarded-For; p == NULL: absent). */
struct addr addr_of_client(const char *trusted, struct slice peer, struct slice forwarded_for);

/* Appends "ADDR:PORT" of each address of each of the comma-separated items, with commas between. An item is an address
 * ("127.0.0.1", "::1", "[::1]") or the name of an interface of this host, which stands for all its addresses but the link-local ones
 * of IPv6, which mean nothing without their interface. -ERR_NOTFOUND names an interface that is not there or has no address. */
int addr_of_interfaces(const char *items, int port, struct buf *out, struct err *err);

#endif
