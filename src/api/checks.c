/* Checks of single values that are more than a type: URLs, certificates, paths, policies. */
#include "api/api_priv.h"

#include "base/check.h"
#include "base/url.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <stdlib.h>

static struct slice text_of(const json_t *v)
{
	return slice_of(json_string_value(v), json_string_length(v));
}

/* "/srv/a/.." lies outside "/srv/a" though it begins with it: only clean absolute paths count. */
static bool import_allowed(const struct settings *s, struct slice path)
{
	struct slice rest = slice_str(s->content_allowed_import_paths), p = path;

	if (p.n < 2 || p.p[0] != '/')
		return false;
	while (p.p != NULL) {
		struct slice segment = slice_cut(&p, '/');

		if (slice_eq(segment, SLICE("..")) || slice_eq(segment, SLICE(".")))
			return false;
	}
	while (rest.n > 0 && rest.p != NULL) {
		struct slice dir = slice_trim(slice_cut(&rest, ','));

		while (dir.n > 1 && dir.p[dir.n - 1] == '/')
			dir.n--;
		if (dir.n == 1 || (dir.n > 1 && slice_starts(path, dir) && (path.n == dir.n || path.p[dir.n] == '/')))
			return true;
	}
	return false;
}

const char *api_check_url(struct api_ctx *x, const struct api_field *f, json_t **value)
{
	struct err err = ERR_INIT;
	struct url u;

	if (url_parse(text_of(*value), &u, &err) < 0)
		return api_text(x, "The url is not valid: %s.", err.msg);
	if (u.userinfo.p != NULL)
		return "The remote url contains username or password authentication information. "
		       "Please store the username and password in the corresponding fields.";
	if (slice_eq_nocase(u.scheme, SLICE("file")) && !import_allowed(x->api->settings, u.path))
		return api_text(x, "url '%s' is not an allowed import path", json_string_value(*value));
	return NULL;
}

const char *api_check_proxy_url(struct api_ctx *x, const struct api_field *f, json_t **value)
{
	struct err err = ERR_INIT;
	struct url u;

	if (url_parse(text_of(*value), &u, &err) < 0 || slice_eq_nocase(u.scheme, SLICE("file")))
		return "Enter a valid URL.";
	return u.userinfo.p != NULL ? "proxy_url must not contain credentials" : NULL;
}

/* An encrypted block must not make OpenSSL ask on the server's terminal. */
static int no_password(char *out, int n, int rwflag, void *arg)
{
	return -1;
}

/* Keeps the certificates and drops the text around them. */
const char *api_check_certificate(struct api_ctx *x, const struct api_field *f, json_t **value)
{
	BIO *in = BIO_new_mem_buf(json_string_value(*value), (int)json_string_length(*value)),
	    *out = BIO_new(BIO_s_mem());
	const char *problem = "Must be PEM encoded X.509 certificate.";
	char *text;
	X509 *cert;
	long n;

	if (in == NULL || out == NULL)
		goto out;
	while ((cert = PEM_read_bio_X509(in, NULL, no_password, NULL)) != NULL) {
		PEM_write_bio_X509(out, cert);
		X509_free(cert);
	}
	n = BIO_get_mem_data(out, &text);
	/* as upstream's files have it, without the last line break */
	while (n > 0 && text[n - 1] == '\n')
		n--;
	if (n > 0) {
		json_decref(*value);
		*value = json_stringn(text, (size_t)n);
		problem = *value != NULL ? NULL : problem;
	}
out:
	ERR_clear_error();
	BIO_free(in);
	BIO_free(out);
	return problem;
}

static const char *not_canonical(struct api_ctx *x, const json_t *value)
{
	return api_text(x, "Relative path is not in canonical form. %s", json_string_value(value));
}

const char *api_check_path(struct api_ctx *x, const struct api_field *f, json_t **value)
{
	struct slice s = text_of(*value);
	struct err err = ERR_INIT;

	if (s.n > 0 && (s.p[0] == '/' || s.p[s.n - 1] == '/'))
		return "Relative path cannot begin or end with slashes.";
	return url_relpath_check(s, &err) < 0 ? not_canonical(x, *value) : NULL;
}

/* Part of URLs that people write down: nothing in it may need an escape. */
const char *api_check_base_path(struct api_ctx *x, const struct api_field *f, json_t **value)
{
	struct slice s = text_of(*value);
	const char *problem = api_check_path(x, f, value);

	for (size_t i = 0; problem == NULL && i < s.n; i++)
		if (strchr(" \t\r\n\v\f?#", s.p[i]) != NULL)
			problem = not_canonical(x, *value);
	return problem;
}

const char *api_check_policy(struct api_ctx *x, const struct api_field *f, json_t **value)
{
	static const struct {
		const char *name;
		unsigned bit;
	} policies[] = {
		{"immediate", SLUICE_IMMEDIATE}, {"on_demand", SLUICE_ON_DEMAND}, {"streamed", SLUICE_STREAMED}};
	const struct sluice_format *format = x->route_resource != NULL ? x->route_resource->format : NULL;

	for (size_t i = 0; i < ARRAY_LEN(policies); i++)
		if (strcmp(json_string_value(*value), policies[i].name) == 0 &&
			(format == NULL || (format->policies & policies[i].bit)))
			return NULL;
	return api_text(x, "\"%s\" is not a valid choice.", json_string_value(*value));
}
