#include "base/digest.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ALL ((1u << DIGEST_COUNT) - 1)

/* RFC 1321 §A.5 and the examples of FIPS 180. */
static const struct {
	enum digest_alg alg;
	const char *name;
	int len;
	const char *of_abc;
} rows[] = {
	{DIGEST_MD5, "md5", 16, "900150983cd24fb0d6963f7d28e17f72"},
	{DIGEST_SHA1, "sha1", 20, "a9993e364706816aba3e25717850c26c9cd0d89d"},
	{DIGEST_SHA224, "sha224", 28, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"},
	{DIGEST_SHA256, "sha256", 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{DIGEST_SHA384, "sha384", 48,
		"cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"},
	{DIGEST_SHA512, "sha512", 64,
		"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
};

static void digests_of_abc(void **state)
{
	struct hasher *h;
	struct digests d;

	assert_int_equal(ARRAY_LEN(rows), DIGEST_COUNT);
	assert_int_equal(hasher_new(ALL, &h), 0);
	hasher_add(h, "a", 1);
	hasher_add(h, "", 0);
	hasher_add(h, "bc", 2);
	assert_int_equal(hasher_bytes(h), 3);
	hasher_end(h, &d);
	hasher_free(&h);
	assert_null(h);
	hasher_free(&h);
	assert_int_equal(d.have, ALL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char hex[DIGEST_HEX_MAX];

		assert_string_equal(digest_hex(rows[i].alg, d.d[rows[i].alg], hex), rows[i].of_abc);
	}
}

static void sha256_is_always_there(void **state)
{
	for (unsigned algs = 0; algs <= ALL; algs++) {
		struct hasher *h;
		struct digests d;

		assert_int_equal(hasher_new(algs, &h), 0);
		hasher_end(h, &d);
		assert_int_equal(d.have, algs | 1u << DIGEST_SHA256);
		hasher_free(&h);
	}
}

static void an_unfinished_hasher_can_be_freed(void **state)
{
	struct hasher *h;

	assert_int_equal(hasher_new(ALL, &h), 0);
	hasher_add(h, "x", 1);
	hasher_free(&h);
	assert_null(h);
}

static void names(void **state)
{
	enum digest_alg alg;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_string_equal(digest_name(rows[i].alg), rows[i].name);
		assert_int_equal(digest_len(rows[i].alg), rows[i].len);
		assert_int_equal(digest_alg_parse(slice_str(rows[i].name), &alg), 0);
		assert_int_equal(alg, rows[i].alg);
	}
	assert_int_equal(digest_alg_parse(SLICE("sha"), &alg), -ERR_INVAL);
	assert_int_equal(digest_alg_parse(SLICE(""), &alg), -ERR_INVAL);
	assert_int_equal(digest_alg_parse(SLICE("sha2567"), &alg), -ERR_INVAL);
}

static void hex_in_any_case(void **state)
{
	static const char *const bad[] = {"", "0", "00", "90015098 cd24fb0d6963f7d28e17f72",
		"900150983cd24fb0d6963f7d28e17f7", "900150983cd24fb0d6963f7d28e17f7200",
		"g00150983cd24fb0d6963f7d28e17f72"};
	struct digests lower = {0}, upper = {0}, none = {0};

	assert_int_equal(digests_set_hex(&lower, DIGEST_MD5, SLICE("900150983cd24fb0d6963f7d28e17f72")), 0);
	assert_int_equal(digests_set_hex(&upper, DIGEST_MD5, SLICE("900150983CD24FB0D6963F7D28E17F72")), 0);
	assert_int_equal(lower.have, 1u << DIGEST_MD5);
	assert_int_equal(digests_match(&lower, &upper, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(digests_set_hex(&none, DIGEST_MD5, slice_str(bad[i])), -ERR_INVAL);
	assert_int_equal(none.have, 0);
}

static void hex_of_bytes_and_back(void **state)
{
	uint8_t all[256], back[256];
	char hex[513];

	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	assert_int_equal(strlen(hex_of(all, 256, hex)), 512);
	assert_memory_equal(hex, "000102030405060708090a0b0c0d0e0f10", 34);
	assert_int_equal(hex_parse(slice_str(hex), back, 256), 0);
	assert_memory_equal(back, all, 256);
	assert_int_equal(hex_parse(slice_str(hex), back, 255), -ERR_INVAL);
	assert_int_equal(hex_parse(SLICE_NULL, back, 0), 0);
}

static struct digests some(unsigned algs, unsigned wrong)
{
	struct digests d = {0};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if ((algs & 1u << rows[i].alg) == 0)
			continue;
		assert_int_equal(digests_set_hex(&d, rows[i].alg, slice_str(rows[i].of_abc)), 0);
		if ((wrong & 1u << rows[i].alg) != 0)
			d.d[rows[i].alg][rows[i].len - 1] ^= 1; /* the very last bit */
	}
	return d;
}

static void matching(void **state)
{
	enum { MD5 = 1u << DIGEST_MD5, SHA1 = 1u << DIGEST_SHA1, SHA256 = 1u << DIGEST_SHA256 };
	static const struct {
		unsigned expected, wrong, actual;
		int rc;
		const char *msg;
	} cases[] = {
		{0, 0, SHA256, 0, NULL},
		{0, 0, 0, 0, NULL},
		{SHA256, 0, SHA256, 0, NULL},
		{SHA256 | MD5, 0, SHA256, 0, NULL},
		{SHA256, 0, SHA256 | SHA1, 0, NULL},
		{SHA256, SHA256, SHA256, -ERR_DIGEST, "sha256 is ba78"},
		{SHA256 | MD5, MD5, SHA256 | MD5, -ERR_DIGEST, "md5 is 9001"},
		{SHA256 | MD5, SHA256 | MD5, SHA256 | MD5, -ERR_DIGEST, "sha256 is ba78"},
		{SHA256 | MD5, MD5, SHA256, 0, NULL}, /* md5 was not computed */
		{SHA1, 0, SHA256, -ERR_DIGEST, "none of"},
		{SHA1, 0, 0, -ERR_DIGEST, "none of"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct digests expected = some(cases[i].expected, cases[i].wrong), actual = some(cases[i].actual, 0);
		struct err e = ERR_INIT;

		assert_int_equal(digests_match(&expected, &actual, &e), cases[i].rc);
		assert_int_equal(digests_match(&expected, &actual, NULL), cases[i].rc);
		assert_int_equal(e.code, cases[i].rc);
		if (cases[i].msg != NULL)
			assert_memory_equal(e.msg, cases[i].msg, strlen(cases[i].msg));
	}
}

static void a_mismatch_names_both(void **state)
{
	struct digests expected = some(ALL, 1u << DIGEST_MD5), actual = some(ALL, 0);
	struct err e = ERR_INIT;

	digests_match(&expected, &actual, &e);
	assert_string_equal(
		e.msg, "md5 is 900150983cd24fb0d6963f7d28e17f72 but 900150983cd24fb0d6963f7d28e17f73 was expected");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_of_abc),
		cmocka_unit_test(sha256_is_always_there),
		cmocka_unit_test(an_unfinished_hasher_can_be_freed),
		cmocka_unit_test(names),
		cmocka_unit_test(hex_in_any_case),
		cmocka_unit_test(hex_of_bytes_and_back),
		cmocka_unit_test(matching),
		cmocka_unit_test(a_mismatch_names_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
