/* The keys of session tickets. A client that comes back with a ticket is spared the expensive part of a handshake, on whatever loop it lands; the
 * server keeps nothing about it. Who has the keys can read past connections of TLS 1.2, so they live in memory only, and not for long. */
#include "http/tls_config.h"

#include "base/check.h"
#include "base/clock.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>

struct ticket_keys {
	pthread_mutex_t lock; /* of all that follows; nothing but memory is touched under it */
	struct ticket_key key[TICKET_KEYS];
	size_t newest;
};

struct ticket_keys *ticket_keys_new(void)
{
	struct ticket_keys *k = calloc(1, sizeof(*k));

	if (k != NULL)
		(void)pthread_mutex_init(&k->lock, NULL);
	return k;
}

void ticket_keys_free(struct ticket_keys **pk)
{
	struct ticket_keys *k = TAKE(*pk);

	if (k == NULL)
		return;
	OPENSSL_cleanse(k->key, sizeof(k->key));
	(void)pthread_mutex_destroy(&k->lock);
	free(k);
}

static bool is_of_age(const struct ticket_key *key, int64_t now_ns, int64_t limit_ns)
{
	return key->made_ns != 0 && now_ns - key->made_ns < limit_ns;
}

int ticket_keys_current(struct ticket_keys *k, int64_t now_ns, struct ticket_key *out)
{
	struct ticket_key fresh = {.made_ns = now_ns};
	bool current;

	pthread_mutex_lock(&k->lock);
	*out = k->key[k->newest];
	pthread_mutex_unlock(&k->lock);
	if (is_of_age(out, now_ns, TICKET_KEY_NS))
		return 0;
	if (RAND_bytes(fresh.name, sizeof(fresh.name)) != 1 || RAND_priv_bytes(fresh.aes, sizeof(fresh.aes)) != 1 ||
		RAND_priv_bytes(fresh.hmac, sizeof(fresh.hmac)) != 1)
		return -ERR_INTERNAL;
	pthread_mutex_lock(&k->lock);
	current = is_of_age(&k->key[k->newest], now_ns, TICKET_KEY_NS); /* another loop was faster */
	if (!current) {
		k->newest = (k->newest + 1) % TICKET_KEYS;
		k->key[k->newest] = fresh;
	}
	*out = k->key[k->newest];
	pthread_mutex_unlock(&k->lock);
	OPENSSL_cleanse(&fresh, sizeof(fresh));
	return 0;
}

int ticket_keys_find(struct ticket_keys *k, int64_t now_ns, const unsigned char name[16], struct ticket_key *out)
{
	int found = 0;

	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < TICKET_KEYS && found == 0; i++) {
		const struct ticket_key *key = &k->key[i];

		if (!is_of_age(key, now_ns, TICKET_KEYS * TICKET_KEY_NS) ||
			memcmp(key->name, name, sizeof(key->name)) != 0)
			continue;
		*out = *key;
		found = is_of_age(key, now_ns, TICKET_KEY_NS) ? 1 : 2;
	}
	pthread_mutex_unlock(&k->lock);
	return found;
}

static bool use_key(
	const struct ticket_key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->hmac, sizeof(key->hmac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "sha256", 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->aes, iv, encrypt) == 1 &&
	       EVP_MAC_CTX_set_params(mac, params) == 1;
}

int ticket_keys_callback(
	SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
	/* The context may have been changed for the name that the client asked for; all have the same keys. */
	struct ticket_keys *k = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct ticket_key key;
	int rc = 1;

	if (encrypt) {
		if (ticket_keys_current(k, clock_mono_ns(), &key) < 0 || RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1)
			return -1;
		memcpy(name, key.name, sizeof(key.name));
	} else if ((rc = ticket_keys_find(k, clock_mono_ns(), name, &key)) == 0) {
		return 0; /* a full handshake, then */
	}
	if (!use_key(&key, iv, cipher, mac, encrypt))
		rc = -1;
	OPENSSL_cleanse(&key, sizeof(key));
	return rc;
}
