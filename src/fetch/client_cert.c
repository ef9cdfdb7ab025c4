/* What is wrong with a client certificate. */
#include "fetch/client_cert.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

/* An encrypted key must not make OpenSSL ask on the server's terminal. */
static int no_password(char *out, int n, int rwflag, void *arg)
{
	int *asked = arg;

	(void)out, (void)n, (void)rwflag;
	*asked = 1;
	return -1;
}

static EVP_PKEY *read_key(const char *pem, int *asked)
{
	BIO *in = BIO_new_mem_buf(pem, (int)strlen(pem));
	EVP_PKEY *key = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, no_password, asked) : NULL;

	BIO_free(in);
	return key;
}

static X509 *read_cert(const char *pem, int *asked)
{
	BIO *in = BIO_new_mem_buf(pem, (int)strlen(pem));
	X509 *cert = in != NULL ? PEM_read_bio_X509(in, NULL, no_password, asked) : NULL;

	BIO_free(in);
	return cert;
}

const char *client_cert_problem(const char *cert, const char *key)
{
	const char *problem = NULL;
	int asked = 0;
	X509 *c = read_cert(cert, &asked);
	EVP_PKEY *k = read_key(key != NULL && key[0] != '\0' ? key : cert, &asked);

	if (c == NULL)
		problem = "the client certificate cannot be read: it must be in PEM";
	else if (k == NULL && asked != 0)
		problem = "the client's private key is encrypted: it must be without a password";
	else if (k == NULL)
		problem = "the client's private key cannot be read: it must be in PEM, or stand with the certificate";
	else if (X509_check_private_key(c, k) != 1)
		problem = "the client certificate and the private key do not match";
	X509_free(c);
	EVP_PKEY_free(k);
	ERR_clear_error();
	return problem;
}
