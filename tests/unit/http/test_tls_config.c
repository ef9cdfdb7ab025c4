/* Certificates and keys as files, with everything that can be wrong with them; the keys of session tickets. */
#include "http/tls_config.h"

#include "certs.h"

#include "base/clock.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

static struct ticket_keys *keys;

static int set_up(void **state)
{
	keys = ticket_keys_new();
	return keys != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	ticket_keys_free(&keys);
	return 0;
}

/* The error of loading that one, in a static buffer; "" if there is none. */
static const char *error_of_tls(const struct http_tls *o)
{
	static char text[1000];
	struct tls_config *c = NULL;
	struct err err = ERR_INIT;
	int rc = tls_config_load(o, keys, &c, &err);

	assert_int_equal(rc < 0, c == NULL);
	(void)snprintf(text, sizeof(text), "%s", rc < 0 ? err.msg : "");
	tls_config_unref(&c);
	assert_int_equal(ERR_peek_error(), 0); /* what is left there would be taken for the next one's */
	return text;
}

static const char *error_of(const char *item)
{
	const char *list[] = {item, NULL};

	return error_of_tls(&(struct http_tls){.certificates = list});
}

static void expect_error(const char *item, const char *path, const char *reason)
{
	const char *got = error_of(item);

	if (strstr(got, path) == NULL || strstr(got, reason) == NULL)
		fail_msg("of '%s': '%s' has no '%s' or no '%s'", item, got, path, reason);
}

static void write_text(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fchmod(fileno(f), mode), 0);
	assert_int_equal(fclose(f), 0);
}

static char *pair(const char *chain, const char *key)
{
	static char text[400];

	(void)snprintf(text, sizeof(text), "%s:%s", chain, key);
	return text;
}

static void test_what_is_wrong_with_files_is_said(void **state)
{
	const struct cert *good = cert_make("good.pem", "good.test", NULL),
			  *other = cert_make("other.pem", "other.test", NULL);
	const struct cert *rsa =
		cert_make_kind("rsa.pem", "rsa.test", NULL, (struct cert_kind){.to_s = 86400 * 90, .rsa = true});
	char path[200];
	FILE *f;

	assert_string_equal(error_of(good->path), "");
	assert_string_equal(error_of(rsa->path), "");
	assert_string_equal(error_of(pair(good->path, good->path)), "");
	(void)snprintf(path, sizeof(path), "%s", cert_path("absent.pem"));
	expect_error(path, path, "No such file");
	expect_error(pair(good->path, path), path, "No such file");
	expect_error(pair(path, good->path), path, "No such file");
	expect_error(pair(good->path, other->path), other->path, "is not that of certificate");
	expect_error(pair(good->path, rsa->path), rsa->path, "is not that of certificate");
	(void)snprintf(path, sizeof(path), "%s", cert_path("words.pem"));
	write_text(path, "no certificate\n", 0600);
	expect_error(path, path, "none in it");
	expect_error(pair(good->path, path), path, "none in it");
	write_text(path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0600);
	expect_error(pair(path, good->path), path, ": ");
	write_text(path, "", 0600);
	expect_error(path, path, "none in it");
	expect_error(cert_directory(), cert_directory(), "not a regular file");
	/* A key that only a person could open. */
	f = fopen(path, "w");
	assert_int_equal(
		PEM_write_PrivateKey(f, good->key, EVP_aes_256_cbc(), (const unsigned char *)"secret", 6, NULL, NULL),
		1);
	assert_int_equal(fclose(f), 0);
	expect_error(pair(good->path, path), path, "encrypted");
	expect_error("", "CHAIN", "CHAIN:KEY");
}

static void test_keys_that_others_can_read_are_refused(void **state)
{
	static const struct {
		mode_t mode;
		const char *reason;
	} rows[] = {{0600, ""}, {0400, ""}, {0640, ""}, {0440, ""}, {0644, "mode is 0644, which lets others read"},
		{0604, "lets others read"}, {0660, "lets others change"}, {0602, "lets others change"},
		{0777, "lets others change"}};
	const struct cert *c = cert_make("modes.pem", "modes.test", NULL);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(chmod(c->path, rows[i].mode), 0);
		if (rows[i].reason[0] == '\0')
			assert_string_equal(error_of(c->path), "");
		else
			expect_error(c->path, c->path, rows[i].reason);
	}
}

static void test_authorities(void **state)
{
	const struct cert *c = cert_make("server.pem", "server.test", NULL);
	const char *list[] = {c->path, NULL};
	struct http_tls o = {.certificates = list, .client_certs = HTTP_CERTS_VERIFY};

	assert_non_null(strstr(error_of_tls(&o), "no file of authorities"));
	o.client_ca = "/nowhere/ca.pem";
	assert_non_null(strstr(error_of_tls(&o), "/nowhere/ca.pem"));
	o.client_ca = c->path;
	assert_string_equal(error_of_tls(&o), "");
	o.client_ca = NULL;
	o.client_certs = HTTP_CERTS_PASS;
	assert_string_equal(error_of_tls(&o), "");
}

static void test_expiry(void **state)
{
	const struct cert *late = cert_make_kind("late.pem", "late.test", NULL, (struct cert_kind){.to_s = 90 * 86400});
	const struct cert *over =
		cert_make_kind("over.pem", "over.test", NULL, (struct cert_kind){.from_s = -7200, .to_s = -3600});
	const char *list[] = {late->path, over->path, NULL};
	struct tls_config *c = NULL;
	int64_t now = clock_wall_us() / US_PER_S;

	/* An expired one is served, for the sake of the others; its time is known. */
	assert_int_equal(tls_config_load(&(struct http_tls){.certificates = list}, keys, &c, NULL), 0);
	assert_in_range(now - tls_config_expires_s(c), 3600, 3700);
	assert_string_equal(tls_config_name(c), "late.test");
	tls_config_unref(&c);
}

static void test_files_that_change_are_noticed(void **state)
{
	const struct cert *a = cert_make("a.pem", "a.test", NULL), *b = cert_make("b.pem", "b.test", NULL);
	const char *list[] = {a->path, NULL};
	struct http_tls o = {.certificates = list};
	struct tls_config *c = NULL;

	assert_int_equal(tls_config_load(&o, keys, &c, NULL), 0);
	assert_true(tls_config_look(&o) == tls_config_looks(c));
	cert_write(a->path, b->x509, b->key);
	assert_true(tls_config_look(&o) != tls_config_looks(c));
	tls_config_unref(&c);
}

/* ---- tickets ---- */

#define HOUR_NS (3600 * NS_PER_S)

static void test_ticket_keys_change(void **state)
{
	struct ticket_key first, same, second, found;
	int64_t t = 1000 * HOUR_NS;

	assert_int_equal(ticket_keys_current(keys, t, &first), 0);
	assert_int_equal(ticket_keys_current(keys, t + HOUR_NS - 1, &same), 0);
	assert_memory_equal(&first, &same, sizeof(first));
	assert_int_equal(ticket_keys_current(keys, t + HOUR_NS, &second), 0);
	assert_memory_not_equal(first.name, second.name, sizeof(first.name));
	assert_memory_not_equal(first.aes, second.aes, sizeof(first.aes));
	assert_memory_not_equal(first.hmac, second.hmac, sizeof(first.hmac));
	/* Tickets of the first are good for a while, and are renewed. */
	assert_int_equal(ticket_keys_find(keys, t + HOUR_NS - 1, first.name, &found), 1);
	assert_int_equal(ticket_keys_find(keys, t + HOUR_NS, first.name, &found), 2);
	assert_memory_equal(found.aes, first.aes, sizeof(found.aes));
	assert_int_equal(ticket_keys_find(keys, t + 3 * HOUR_NS - 1, first.name, &found), 2);
	assert_int_equal(ticket_keys_find(keys, t + 3 * HOUR_NS, first.name, &found), 0);
	assert_int_equal(ticket_keys_find(keys, t, (const unsigned char *)"nobody's ticket.", &found), 0);
}

static void test_old_ticket_keys_are_forgotten(void **state)
{
	struct ticket_key key[TICKET_KEYS + 1], found;
	int64_t t = HOUR_NS;

	for (int i = 0; i <= TICKET_KEYS; i++)
		assert_int_equal(ticket_keys_current(keys, t + i * HOUR_NS, &key[i]), 0);
	assert_int_equal(ticket_keys_find(keys, t, key[0].name, &found), 0); /* overwritten */
	for (int i = 1; i <= TICKET_KEYS; i++)
		assert_true(ticket_keys_find(keys, t + TICKET_KEYS * HOUR_NS, key[i].name, &found) > 0);
}

#define T(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_what_is_wrong_with_files_is_said),
		T(test_keys_that_others_can_read_are_refused),
		T(test_authorities),
		T(test_expiry),
		T(test_files_that_change_are_noticed),
		T(test_ticket_keys_change),
		T(test_old_ticket_keys_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
