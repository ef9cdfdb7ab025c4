/* Client certificates: every form in which proxies send them, and which of them a guard trusts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ca.h"

#include "base/check.h"
#include "guard/base64.h"
#include "guard/cert.h"

#include <time.h>

static struct id root, client;

static int set_up(void **state)
{
	id_make(&root, "root", NULL, true, NULL);
	id_make(&client, "client", &root, false, NULL);
	return 0;
}

static int tear_down(void **state)
{
	id_free(&root);
	id_free(&client);
	return 0;
}

static void test_base64(void **state)
{
	static const struct {
		const char *text;
		int64_t n; /* negative: refused */
		const char *bytes;
	} cases[] = {
		{"", 0, ""},
		{"Zg==", 1, "f"},
		{"Zg", 1, "f"},
		{"Zm8=", 2, "fo"},
		{"Zm9v", 3, "foo"},
		{" Zm9v\r\nYg == ", 4, "foob"},
		{"Zm9vYmFy", 6, "foobar"},
		{"Z", -1, NULL},
		{"Zg=", -1, NULL},
		{"Zg===", -1, NULL},
		{"Zg==Zg==", -1, NULL},
		{"Zm9v=", -1, NULL},
		{"Zm-v", -1, NULL},
		{"=", -1, NULL},
	};
	char out[64];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t n = base64_decode(slice_str(cases[i].text), out);

		if (cases[i].n < 0 ? n >= 0 : n != cases[i].n || memcmp(out, cases[i].bytes, (size_t)n) != 0)
			fail_msg("'%s' gives %lld", cases[i].text, (long long)n);
	}
}

static void expect_client(const char *field)
{
	struct err err = ERR_INIT;
	X509 *cert = NULL;

	if (cert_of_field(slice_str(field), &cert, &err) < 0)
		fail_msg("%.60s…: %s", field, err.msg);
	assert_int_equal(X509_cmp(cert, client.cert), 0);
	X509_free(cert);
}

static void expect_none(struct slice field)
{
	struct err err = ERR_INIT;
	X509 *cert = NULL;

	assert_int_equal(cert_of_field(field, &cert, &err), -ERR_INVAL);
	assert_null(cert);
}

static void test_the_forms_of_proxies(void **state)
{
	char *escaped = pem_escaped(client.pem), *line = pem_on_one_line(client.pem),
	     *der = base64_of(client.der, (size_t)client.der_n), *armored = base64_of(client.pem, strlen(client.pem)),
	     *more;

	expect_client(client.pem);
	expect_client(escaped);
	expect_client(line);
	expect_client(der);
	expect_client(armored);
	assert_true(asprintf(&more, ":%s:", der) > 0); /* RFC 9440 */
	expect_client(more);
	free(more);
	assert_true(asprintf(&more, "%s,%s", der, "AAAA") > 0); /* a chain, the client's first */
	expect_client(more);
	free(more);
	assert_true(asprintf(&more, "%s%s", line, root.pem) > 0);
	expect_client(more);
	free(more);
	assert_true(asprintf(&more, "Subject: x\n%s", client.pem) > 0); /* text around it */
	expect_client(more);
	free(more);
	free(escaped);
	free(line);
	free(der);
	free(armored);
}

static void test_what_is_no_certificate(void **state)
{
	static const char *const wrong[] = {"", " ", "rubbish", "AAAA", "MIIB", "%", "%2", "%2D%2D", "(null)",
		"-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE----- -----END CERTIFICATE-----",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "::", ":", ",", "LS0tLS1CRUdJTg=="};
	char *der = base64_of(client.der, (size_t)client.der_n), *longer;
	size_t n = strlen(der);

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		expect_none(slice_str(wrong[i]));
	for (size_t cut = 0; cut < n; cut += 7) /* any shorter one */
		expect_none(slice_of(der, cut));
	expect_none(slice_of("\0\0\0\0", 4));
	free(der);
	longer = calloc(1, (size_t)client.der_n + 3); /* bytes behind it */
	memcpy(longer, client.der, (size_t)client.der_n);
	der = base64_of(longer, (size_t)client.der_n + 3);
	expect_none(slice_str(der));
	free(der);
	free(longer);
	longer = malloc(CERT_FIELD_MAX + 1);
	memset(longer, 'A', CERT_FIELD_MAX + 1);
	expect_none(slice_of(longer, CERT_FIELD_MAX + 1));
	free(longer);
}

/* ---- trust ---- */

static struct trust *trust_in(const char *ca, const char *crl)
{
	struct err err = ERR_INIT;
	struct trust *t = NULL;

	if (trust_new(slice_str(ca), slice_str(crl), &t, &err) < 0)
		fail_msg("%s", err.msg);
	return t;
}

static int check_at(const struct trust *t, const struct id *id, long from_now_s, int64_t *until_s)
{
	struct err err = ERR_INIT;
	int64_t until = -1;
	int rc = trust_check(t, id->cert, (int64_t)time(NULL) + from_now_s, &until, &err);

	if (until_s != NULL)
		*until_s = until - (int64_t)time(NULL);
	return rc;
}

static void test_chains(void **state)
{
	struct id other, middle, below, server, forged;
	static const char *const for_servers[] = {"extendedKeyUsage", "serverAuth", NULL};
	struct trust *t = trust_in(root.pem, NULL), *both, *partial;
	char *bundle;

	id_make(&other, "other", NULL, true, NULL);
	id_make(&middle, "middle", &root, true, NULL);
	id_make(&below, "below", &middle, false, NULL);
	id_make(&server, "server", &root, false, &(struct id_opts){.ext = for_servers});
	id_make(&forged, "client", &other, false, NULL);
	/* it says that root has signed it, and root has not */
	X509_set_issuer_name(forged.cert, X509_get_subject_name(root.cert));
	assert_true(X509_sign(forged.cert, other.key, EVP_sha256()) > 0);

	assert_int_equal(check_at(t, &client, 0, NULL), 0);
	assert_int_equal(check_at(t, &other, 0, NULL), -ERR_DENIED);
	assert_int_equal(check_at(t, &below, 0, NULL), -ERR_DENIED); /* nobody showed the one between */
	assert_int_equal(check_at(t, &server, 0, NULL), -ERR_DENIED);
	assert_int_equal(check_at(t, &forged, 0, NULL), -ERR_DENIED);
	assert_true(asprintf(&bundle, "two of them\n%s\n%s%s", other.pem, middle.pem, root.pem) > 0);
	both = trust_in(bundle, NULL);
	assert_int_equal(check_at(both, &client, 0, NULL), 0);
	assert_int_equal(check_at(both, &below, 0, NULL), 0);
	partial = trust_in(middle.pem, NULL); /* is enough by itself */
	assert_int_equal(check_at(partial, &below, 0, NULL), 0);
	assert_int_equal(check_at(partial, &client, 0, NULL), -ERR_DENIED);
	free(bundle);
	trust_free(&t);
	trust_free(&both);
	trust_free(&partial);
	id_free(&other);
	id_free(&middle);
	id_free(&below);
	id_free(&server);
	id_free(&forged);
}

static void test_dates(void **state)
{
	struct trust *t = trust_in(root.pem, NULL);
	struct id past, future, soon;
	int64_t until;

	id_make(&past, "past", &root, false, &(struct id_opts){.from_s = -900, .to_s = -10});
	id_make(&future, "future", &root, false, &(struct id_opts){.from_s = 600, .to_s = 900});
	id_make(&soon, "soon", &root, false, &(struct id_opts){.from_s = -900, .to_s = 900});
	assert_int_equal(check_at(t, &past, 0, NULL), -ERR_DENIED);
	assert_int_equal(check_at(t, &past, -100, NULL), 0);
	assert_int_equal(check_at(t, &future, 0, NULL), -ERR_DENIED);
	assert_int_equal(check_at(t, &future, 700, NULL), 0);
	assert_int_equal(check_at(t, &soon, 0, &until), 0);
	assert_in_range(until, 890, 901);
	assert_int_equal(check_at(t, &soon, 902, NULL), -ERR_DENIED);
	/* the authority's own end counts, too */
	assert_int_equal(check_at(t, &client, 4000, NULL), -ERR_DENIED);
	trust_free(&t);
	id_free(&past);
	id_free(&future);
	id_free(&soon);
}

static void test_revoked(void **state)
{
	struct id good, middle, below, bad_middle, orphan;
	const struct id *revoked[] = {&client, &bad_middle, NULL}, *none[] = {NULL};
	char *of_root, *of_middle, *lists, *bundle, *old;
	struct trust *t;
	int64_t until;

	id_make(&good, "good", &root, false, NULL);
	id_make(&middle, "middle", &root, true, NULL);
	id_make(&below, "below", &middle, false, NULL);
	id_make(&bad_middle, "bad middle", &root, true, NULL);
	id_make(&orphan, "orphan", &bad_middle, false, NULL);
	of_root = crl_make(&root, revoked, 1800);
	of_middle = crl_make(&middle, none, 600);
	old = crl_make(&root, none, -10);
	assert_true(asprintf(&lists, "%s%s", of_root, of_middle) > 0);
	assert_true(asprintf(&bundle, "%s%s%s", root.pem, middle.pem, bad_middle.pem) > 0);

	t = trust_in(bundle, lists);
	assert_int_equal(check_at(t, &client, 0, NULL), -ERR_DENIED);
	assert_int_equal(check_at(t, &good, 0, &until), 0);
	assert_in_range(until, 1790, 1801); /* then the list has ended */
	assert_int_equal(check_at(t, &below, 0, &until), 0);
	assert_in_range(until, 590, 601);
	assert_int_equal(check_at(t, &orphan, 0, NULL), -ERR_DENIED);
	trust_free(&t);
	t = trust_in(bundle, of_root); /* the issuer of this one has no list */
	assert_int_equal(check_at(t, &below, 0, NULL), -ERR_DENIED);
	trust_free(&t);
	t = trust_in(bundle, of_middle); /* those above need none */
	assert_int_equal(check_at(t, &below, 0, NULL), 0);
	trust_free(&t);
	t = trust_in(root.pem, old);
	assert_int_equal(check_at(t, &good, 0, NULL), -ERR_DENIED);
	trust_free(&t);
	free(of_root);
	free(of_middle);
	free(old);
	free(lists);
	free(bundle);
	id_free(&good);
	id_free(&middle);
	id_free(&below);
	id_free(&bad_middle);
	id_free(&orphan);
}

static void test_bundles_without_anything(void **state)
{
	struct err err = ERR_INIT;
	struct trust *t = NULL;

	assert_int_equal(trust_new(SLICE_NULL, SLICE_NULL, &t, &err), -ERR_INVAL);
	assert_int_equal(trust_new(SLICE("x"), SLICE_NULL, &t, &err), -ERR_INVAL);
	assert_int_equal(trust_new(slice_str(root.pem), SLICE("x"), &t, &err), -ERR_INVAL);
	assert_null(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_the_forms_of_proxies),
		cmocka_unit_test(test_what_is_no_certificate),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_revoked),
		cmocka_unit_test(test_bundles_without_anything),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
