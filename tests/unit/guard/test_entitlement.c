/* Entitlements: both versions of certificates, which paths they cover, and what damaged ones do. The trees were written by tests/lib/entitlement.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ca.h"

#include "base/check.h"
#include "guard/entitlement.h"

/* /content/dist/rhel/$releasever/os, /content/dist/rhel/$releasever/debug, /foo/bar */
#define TREE                                                                                                   \
	"78da05c1890d00200804b01bc6c554ce273190003abf6d711ed6e0a3a35547374d6a42d8ee84ec480c3358c0170f3e8f9a10" \
	"0f07ae9e3c5c3a168c20"
#define ONE "78da4bcbcf67000003c701450260" /* /foo */

static struct slice bytes_of(const char *hex, unsigned char *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &out[i]), 1);
	return slice_of((char *)out, n);
}

static struct entitlement *tree_of(const char *hex)
{
	struct entitlement *e = NULL;
	struct err err = ERR_INIT;
	unsigned char bytes[256];

	if (entitlement_of_tree(bytes_of(hex, bytes), &e, &err) < 0)
		fail_msg("%s", err.msg);
	return e;
}

struct path {
	const char *path;
	bool covered;
};

static void expect(const struct entitlement *e, const struct path *paths, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (entitlement_covers(e, slice_str(paths[i].path)) != paths[i].covered)
			fail_msg("'%s' is %scovered", paths[i].path, paths[i].covered ? "not " : "");
}

static const struct path usual[] = {
	{"content/dist/rhel/9/os", true},
	{"content/dist/rhel/9/os/", true},
	{"content/dist/rhel/9/os/repodata/repomd.xml", true},
	{"content/dist/rhel/$releasever/debug/x", true},
	{"content/dist/rhel/9/debug", true},
	{"foo/bar", true},
	{"foo/bar/deep/listing", true},
	{"content/dist/rhel/9/osx", false},
	{"content/dist/rhel/9/o", false},
	{"content/dist/rhel/9", false},
	{"content/dist/rhel//os", false},
	{"content/dist/rhel/os", false},
	{"content/dist/rhel/9/8/os", false},
	{"foo", false},
	{"foo/barbar", false},
	{"bar", false},
	{"", false},
	{"/", false},
	{"/foo/bar", false}, /* it comes without its slash */
	{"FOO/BAR", false},
	/* what the variables may be */
	{"content/dist/rhel/listing", true},
	{"content/listing", true},
	{"content/dist/rhel/listing/os/x", true}, /* is a value as any */
	{"content/dist/sles/listing", false},
	{"content/dist/rhel/9/8/listing", false},
};

static void test_a_tree(void **state)
{
	struct entitlement *e = tree_of(TREE);

	expect(e, usual, ARRAY_LEN(usual));
	entitlement_free(&e);
	assert_null(e);
	e = tree_of(ONE);
	expect(e, (const struct path[]){{"foo", true}, {"foo/x", true}, {"fo", false}, {"", false}}, 4);
	entitlement_free(&e);
}

static struct entitlement *cert_with(const char *const *ext)
{
	struct entitlement *e = NULL;
	struct err err = ERR_INIT;
	struct id id;

	id_make(&id, "entitled", NULL, false, &(struct id_opts){.ext = ext});
	if (entitlement_of_cert(id.cert, &e, &err) < 0)
		fail_msg("%s", err.msg);
	id_free(&id);
	return e;
}

static void test_certificates_of_both_versions(void **state)
{
	static const char *const version_1[] = {"1.3.6.1.4.1.2312.9.2.37060.1.6",
		"ASN1:UTF8String:/content/dist/rhel/$releasever/os", "1.3.6.1.4.1.2312.9.2.37061.1.6",
		"ASN1:UTF8String:/content/dist/rhel/$releasever/debug/", "1.3.6.1.4.1.2312.9.2.3.1.6",
		"hex:2f666f6f2f626172", /* the bare bytes of /foo/bar */
		"1.3.6.1.4.1.2312.9.2.37060.1.1", "ASN1:UTF8String:/bar", "1.3.6.1.4.1.2312.9.2.37062.1.6",
		"ASN1:UTF8String:/", "1.3.6.1.4.1.2312.9.2.1.2.1.6", "ASN1:UTF8String:/bar", NULL};
	static const char *const version_3[] = {
		"1.3.6.1.4.1.2312.9.6", "ASN1:UTF8String:3.4", "1.3.6.1.4.1.2312.9.7", "hex:043c" TREE, NULL};
	static const char *const bare[] = {"1.3.6.1.4.1.2312.9.7", "hex:" TREE, NULL};
	static const char *const none[] = {NULL};
	struct entitlement *e = cert_with(version_1);

	expect(e, usual, ARRAY_LEN(usual));
	entitlement_free(&e);
	e = cert_with(version_3);
	expect(e, usual, ARRAY_LEN(usual));
	entitlement_free(&e);
	e = cert_with(bare);
	expect(e, usual, ARRAY_LEN(usual));
	entitlement_free(&e);
	e = cert_with(none); /* entitles to nothing */
	assert_false(entitlement_covers(e, SLICE("foo/bar")));
	assert_false(entitlement_covers(e, SLICE("")));
	entitlement_free(&e);
}

/* Any beginning of one, any byte of it changed: an error, or an entitlement that answers. */
static void test_damaged_trees(void **state)
{
	static const char *const wrong[] = {"", "00", "78", "78da030000000001", /* no nodes */
		"78da0300000000010100" /* a root alone: covers nothing */, ONE "ff"};
	unsigned char bytes[256];
	struct slice whole = bytes_of(TREE, bytes);
	struct err err = ERR_INIT;
	struct entitlement *e;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		unsigned char other[64];

		e = NULL;
		if (entitlement_of_tree(bytes_of(wrong[i], other), &e, &err) == 0)
			assert_false(entitlement_covers(e, SLICE("")) || entitlement_covers(e, SLICE("a/b")));
		entitlement_free(&e);
	}
	for (size_t n = 0; n + 1 < whole.n; n++) {
		e = NULL;
		assert_int_equal(entitlement_of_tree(slice_of(whole.p, n), &e, &err), -ERR_PARSE);
	}
	for (size_t i = 0; i < whole.n * 8; i++) {
		bytes[i / 8] ^= (unsigned char)(1u << i % 8);
		e = NULL;
		if (entitlement_of_tree(whole, &e, &err) == 0)
			(void)entitlement_covers(e, SLICE("content/dist/rhel/9/os/x"));
		entitlement_free(&e);
		bytes[i / 8] ^= (unsigned char)(1u << i % 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_tree),
		cmocka_unit_test(test_certificates_of_both_versions),
		cmocka_unit_test(test_damaged_trees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
