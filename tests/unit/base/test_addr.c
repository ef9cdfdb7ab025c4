#include "base/addr.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void networks_in_lists(void **state)
{
	static const struct {
		const char *item;
		bool ok;
	} rows[] = {
		{"127.0.0.1", true},
		{"::1", true},
		{"10.0.0.0/8", true},
		{"0.0.0.0/0", true},
		{"2001:db8::/32", true},
		{"10.0.0.0/33", false},
		{"::1/129", false},
		{"10.0.0.0/", false},
		{"10.0.0.0/-1", false},
		{"10.0.0", false},
		{"localhost", false},
		{"[::1]", false},
		{"", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(addr_network_ok(slice_str(rows[i].item)), rows[i].ok);
}

static void whom_clients_are_counted_as(void **state)
{
	static const struct {
		const char *peer, *forwarded, *want; /* want: as a peer of its own */
	} rows[] = {
		{"192.0.2.1:4711", NULL, "192.0.2.1:1"},
		{"192.0.2.1:4711", "198.51.100.1", "192.0.2.1:1"}, /* not one of the trusted */
		{"10.0.0.1:4711", NULL, "10.0.0.1:1"},
		{"10.0.0.1:4711", "198.51.100.1", "198.51.100.1:1"},
		{"10.0.0.1:4711", "10.9.9.9,192.0.2.1 , 198.51.100.1 ", "198.51.100.1:1"},
		{"10.0.0.1:4711", "198.51.100.1, unknown", "10.0.0.1:1"},
		{"10.0.0.1:4711", "", "10.0.0.1:1"},
		{"10.0.0.1:4711", ",", "10.0.0.1:1"},
		{"[::ffff:10.0.0.1]:4711", "2001:db8::1", "[2001:db8::2]:1"},
		{"[2001:db8:0:1::1]:4711", NULL, "[2001:db8:0:1:ffff::]:2"}, /* all of a network of 64 bits */
		{"[2001:db8:0:1::1]:4711", "192.0.2.1", "[2001:db8:0:1::1]:1"},
		{"?", NULL, "unix:"},
		{"?", "192.0.2.1", ""},
	};
	static const struct addr none = {{0}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct addr a = addr_of_client("10.0.0.0/8", slice_str(rows[i].peer), slice_str(rows[i].forwarded)),
			    want = addr_of_client("", slice_str(rows[i].want), SLICE_NULL);

		assert_memory_equal(a.b, want.b, sizeof(a.b));
		assert_int_equal(memcmp(a.b, none.b, sizeof(a.b)) == 0, rows[i].peer[0] == '?');
	}
}

static void peers_in_lists(void **state)
{
	static const struct {
		const char *list, *peer;
		bool has;
	} rows[] = {
		{"127.0.0.1,::1", "127.0.0.1:4711", true},
		{"127.0.0.1,::1", "[::1]:4711", true},
		{"127.0.0.1,::1", "127.0.0.2:4711", false},
		{"127.0.0.1,::1", "[::2]:4711", false},
		{"", "127.0.0.1:4711", false},
		{" 192.0.2.0/24 , 10.0.0.0/8 ", "10.255.1.2:1", true},
		{"192.0.2.0/25", "192.0.2.127:1", true},
		{"192.0.2.0/25", "192.0.2.128:1", false},
		{"0.0.0.0/0", "203.0.113.9:1", true},
		{"0.0.0.0/0", "[2001:db8::1]:1", false},
		{"2001:db8::/33", "[2001:db8:7fff::1]:1", true},
		{"2001:db8::/33", "[2001:db8:8000::1]:1", false},
		/* through a socket for both kinds */
		{"127.0.0.0/8", "[::ffff:127.0.0.1]:1", true},
		{"127.0.0.1", "?", false},
		{"127.0.0.1", "127.0.0.1", false},
		{"127.0.0.1", "unix:", false},
		{"127.0.0.1", "", false},
		{"127.0.0.1", "[]:1", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(addr_list_has(rows[i].list, slice_str(rows[i].peer)), rows[i].has);
}

static void addresses_stand_for_themselves(void **state)
{
	struct buf b = BUF_INIT(0);

	assert_int_equal(addr_of_interfaces("127.0.0.1, ::1,[2001:db8::7]", 8751, &b, NULL), 0);
	assert_string_equal(b.p, "127.0.0.1:8751,[::1]:8751,[2001:db8::7]:8751");
	buf_fini(&b);
}

/* Every host has it, and it has this address at least. */
static void an_interface_stands_for_its_addresses(void **state)
{
	struct buf b = BUF_INIT(0);

	assert_int_equal(addr_of_interfaces("192.0.2.1,lo", 0, &b, NULL), 0);
	assert_true(slice_starts(buf_slice(&b), SLICE("192.0.2.1:0,127.0.0.1:0")));
	buf_fini(&b);
}

static void no_such_interface(void **state)
{
	struct err err = ERR_INIT;
	struct buf b = BUF_INIT(0);

	assert_int_equal(addr_of_interfaces("lo,nowhere9", 1, &b, &err), -ERR_NOTFOUND);
	assert_non_null(strstr(err.msg, "nowhere9"));
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_in_lists),
		cmocka_unit_test(whom_clients_are_counted_as),
		cmocka_unit_test(peers_in_lists),
		cmocka_unit_test(addresses_stand_for_themselves),
		cmocka_unit_test(an_interface_stands_for_its_addresses),
		cmocka_unit_test(no_such_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
