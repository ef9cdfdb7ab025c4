/* See certs.h. */
#include "certs.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#define CERTS_MAX 32

static struct cert certs[CERTS_MAX];
static int count;
static char directory[96];

static void remove_all(void)
{
	struct dirent *e;
	DIR *d = opendir(directory);

	while (d != NULL && (e = readdir(d)) != NULL)
		(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d != NULL)
		(void)closedir(d);
	for (int i = 0; i < count; i++) {
		EVP_PKEY_free(certs[i].key);
		X509_free(certs[i].x509);
	}
	(void)rmdir(directory);
}

const char *cert_directory(void)
{
	if (directory[0] == '\0') {
		(void)snprintf(directory, sizeof(directory), "/tmp/sluice-certs-XXXXXX");
		assert_non_null(mkdtemp(directory));
		(void)atexit(remove_all);
	}
	return directory;
}

static void add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static X509 *make(EVP_PKEY *key, const char *file, const char *names, const struct cert *issuer, struct cert_kind kind)
{
	X509 *x = X509_new();
	X509_NAME *subject = X509_get_subject_name(x);
	char list[512] = "", *rest = strdup(names);

	assert_int_equal(X509_set_version(x, 2), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(x), count + 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), kind.from_s));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), kind.to_s));
	assert_int_equal(
		X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)file, -1, -1, 0), 1);
	assert_int_equal(X509_set_issuer_name(x, issuer != NULL ? X509_get_subject_name(issuer->x509) : subject), 1);
	assert_int_equal(X509_set_pubkey(x, key), 1);
	for (char *name = strtok(rest, ","); name != NULL; name = strtok(NULL, ","))
		(void)snprintf(
			list + strlen(list), sizeof(list) - strlen(list), "%sDNS:%s", list[0] != '\0' ? "," : "", name);
	add_extension(x, NID_subject_alt_name, list);
	if (issuer == NULL)
		add_extension(x, NID_basic_constraints, "CA:TRUE");
	assert_true(X509_sign(x, issuer != NULL ? issuer->key : key, EVP_sha256()) > 0);
	free(rest);
	return x;
}

void cert_write(const char *path, X509 *x509, EVP_PKEY *key)
{
	FILE *f;

	(void)unlink(path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	if (x509 != NULL)
		assert_int_equal(PEM_write_X509(f, x509), 1);
	if (key != NULL)
		assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(f), 0);
}

const char *cert_path(const char *file)
{
	static char path[160];

	(void)snprintf(path, sizeof(path), "%s/%s", cert_directory(), file);
	return path;
}

const struct cert *cert_make_kind(const char *file, const char *names, const struct cert *issuer, struct cert_kind kind)
{
	struct cert *c = &certs[count];

	assert_true(count < CERTS_MAX);
	(void)snprintf(c->path, sizeof(c->path), "%s", cert_path(file));
	c->key = kind.rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	assert_non_null(c->key);
	c->x509 = make(c->key, file, names, issuer, kind);
	count++;
	cert_write(c->path, c->x509, c->key);
	return c;
}

const struct cert *cert_make(const char *file, const char *names, const struct cert *issuer)
{
	return cert_make_kind(file, names, issuer, CERT_USUAL);
}
