/* URLs and paths as text. Everything that decides whether foreign text may name something of ours is here, so that it is
 * decided in one way. Pure functions. */
#include "base/url.h"

#include "base/check.h"
#include "base/digest.h"

#include <arpa/inet.h>
#include <stdio.h>

#define RELPATH_MAX 2048

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_unreserved(char c)
{
	return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static struct slice from(struct slice s, size_t at)
{
	return slice_of(s.p + at, s.n - at);
}

/* What is wrong with a decoded path below a '/', or NULL. Request paths may end with '/', paths in repositories not. */
static const char *path_fault(struct slice path, bool slash_at_end)
{
	struct slice rest = path;

	for (size_t i = 0; i < path.n; i++) {
		if (is_control(path.p[i]))
			return "a control byte";
		if (path.p[i] == '\\')
			return "a backslash";
	}
	if (!slice_is_utf8(path))
		return "bytes that are not UTF-8";
	while (rest.p != NULL) {
		struct slice segment = slice_cut(&rest, '/');

		if (segment.n == 0 && !(slash_at_end && rest.p == NULL))
			return "an empty segment";
		if (slice_eq(segment, SLICE(".")) || slice_eq(segment, SLICE("..")))
			return "a \".\" or \"..\" segment";
	}
	return NULL;
}

enum path_class { PATH_ORDINARY, PATH_SLASH, PATH_DOT, PATH_SPECIAL };

static const unsigned char path_class[256] = {
	['/'] = PATH_SLASH,
	['.'] = PATH_DOT,
	[0x00 ... 0x1f] = PATH_SPECIAL,
	['%'] = PATH_SPECIAL,
	['\\'] = PATH_SPECIAL,
	[0x7f ... 0xff] = PATH_SPECIAL,
};

/* Nearly every path: nothing to decode, and nothing that could be wrong with it. One pass, because every request comes through here. False: look
 * closer. */
static bool copy_plain(struct slice path, char *out)
{
	enum path_class before = PATH_ORDINARY;

	for (size_t i = 0; i < path.n; i++) {
		enum path_class is = path_class[(unsigned char)path.p[i]];

		if (is == PATH_SPECIAL || (is != PATH_ORDINARY && before == PATH_SLASH))
			return false;
		out[i] = path.p[i];
		before = is;
	}
	out[path.n] = '\0';
	return true;
}

int url_path_decode(struct slice path, char *out, size_t cap, size_t *n, struct err *err)
{
	const char *fault;
	size_t len = 0;

	if (path.n == 0 || path.p[0] != '/')
		return err_set(err, -ERR_INVAL, "the path does not start with '/'");
	if (path.n < cap && copy_plain(path, out)) {
		*n = path.n;
		return 0;
	}
	for (size_t i = 0; i < path.n; i++) {
		char c = path.p[i];

		if (c == '%') {
			uint8_t byte;

			if (path.n - i < 3 || hex_parse(slice_of(path.p + i + 1, 2), &byte, 1) != 0)
				return err_set(err, -ERR_INVAL, "the path holds a malformed %% escape");
			/* Decoded it would separate segments that the sender, or a proxy on the way, took for one. */
			if (byte == '/')
				return err_set(err, -ERR_INVAL, "the path holds an encoded slash");
			c = (char)byte;
			i += 2;
		}
		if (len + 1 >= cap)
			return err_set(err, -ERR_LIMIT, "the path is too long");
		out[len++] = c;
	}
	/* Checks look at what will be used, after the only decoding. */
	fault = path_fault(slice_of(out + 1, len - 1), true);
	if (fault != NULL)
		return err_set(err, -ERR_INVAL, "the path holds %s", fault);
	out[len] = '\0';
	*n = len;
	return 0;
}

int url_relpath_check(struct slice path, struct err *err)
{
	const char *fault;

	if (path.n == 0)
		return err_set(err, -ERR_INVAL, "the path is empty");
	if (path.n > RELPATH_MAX)
		return err_set(err, -ERR_INVAL, "the path is longer than %d bytes", RELPATH_MAX);
	fault = path_fault(path, false);
	if (fault != NULL)
		return err_set(err, -ERR_INVAL, "the path holds %s", fault);
	return 0;
}

int url_encode(struct buf *b, struct slice s, const char *keep)
{
	static const char digits[] = "0123456789ABCDEF"; /* RFC 3986 §2.1 asks for upper case */

	(void)buf_reserve(b, s.n); /* only a hint: the appends report what fails */
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		char escaped[3] = {'%', digits[(unsigned char)c >> 4], digits[(unsigned char)c & 15]};

		if (is_unreserved(c) || (keep != NULL && c != '\0' && strchr(keep, c) != NULL))
			buf_add(b, &c, 1);
		else
			buf_add(b, escaped, sizeof(escaped));
	}
	return b->failed;
}

/* Cuts the front of *s off at the first byte of `stops`; the byte stays in *s. */
static struct slice cut_before(struct slice *s, const char *stops)
{
	struct slice head = *s;
	size_t n = 0;

	while (n < s->n && (s->p[n] == '\0' || strchr(stops, s->p[n]) == NULL))
		n++;
	head.n = n;
	*s = from(*s, n);
	return head;
}

/* ASCII names (an international one in its "xn--" form) and IPv4. Escapes are refused: one program would compare what
 * another decodes, and credentials go by the host. */
static const char *host_fault(struct slice host)
{
	if (host.n == 0)
		return "no host";
	if (host.n > 255)
		return "a host that is too long";
	for (size_t i = 0; i < host.n; i++)
		if (!is_alnum(host.p[i]) && strchr("-._~", host.p[i]) == NULL)
			return "a host with a byte that no name has";
	return NULL;
}

static const char *ipv6_fault(struct slice host)
{
	unsigned char addr[16];
	char text[INET6_ADDRSTRLEN];

	if (host.n >= sizeof(text) || slice_chr(host, '\0') >= 0)
		return "a malformed IPv6 address";
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	return inet_pton(AF_INET6, text, addr) == 1 ? NULL : "a malformed IPv6 address";
}

static const char *parse_authority(struct slice s, struct url *u)
{
	ptrdiff_t at = slice_rchr(s, '@'), close;
	int64_t port;

	if (at >= 0) {
		u->userinfo = slice_of(s.p, (size_t)at);
		/* Which '@' ends it is a question that programs answer differently. */
		if (slice_chr(u->userinfo, '@') >= 0)
			return "an '@' in its user information";
		s = from(s, (size_t)at + 1);
	}
	if (s.n > 0 && s.p[0] == '[') {
		close = slice_chr(s, ']');
		if (close < 0)
			return "a malformed IPv6 address";
		u->host = slice_of(s.p + 1, (size_t)close - 1);
		s = from(s, (size_t)close + 1);
		if (ipv6_fault(u->host) != NULL)
			return ipv6_fault(u->host);
	} else {
		u->host = cut_before(&s, ":");
		if (host_fault(u->host) != NULL)
			return host_fault(u->host);
	}
	if (s.n == 0)
		return NULL;
	if (s.p[0] != ':')
		return "bytes between host and port";
	u->port = from(s, 1); /* "host:" is legal, and means the default */
	if (u->port.n > 0 && (slice_to_i64(u->port, 65535, &port) != 0 || port == 0))
		return "a bad port";
	return NULL;
}

/* A file's name is taken as it stands: '?', '#', '%' and spaces are part of it. */
static const char *parse_file(struct slice s, struct url *u)
{
	struct slice host = cut_before(&s, "/");

	if (host.n > 0 && !slice_eq_nocase(host, SLICE("localhost")))
		return "a host, which file: URLs cannot have";
	if (s.n == 0)
		return "no path";
	u->host = host;
	u->path = s;
	return NULL;
}

static const char *parse_http(struct slice s, struct url *u)
{
	const char *fault = parse_authority(cut_before(&s, "/?#"), u);

	if (fault != NULL)
		return fault;
	u->path = cut_before(&s, "?#");
	if (s.n > 0 && s.p[0] == '?') {
		s = from(s, 1);
		u->query = cut_before(&s, "#");
	}
	return NULL; /* what is left is the fragment, which is never sent */
}

static const char *parse(struct slice s, struct url *u)
{
	ptrdiff_t colon = slice_chr(s, ':');
	bool file;

	if (colon <= 0 || !slice_starts(from(s, (size_t)colon), SLICE("://")))
		return "no scheme";
	u->scheme = slice_of(s.p, (size_t)colon);
	file = slice_eq_nocase(u->scheme, SLICE("file"));
	if (!file && !slice_eq_nocase(u->scheme, SLICE("http")) && !slice_eq_nocase(u->scheme, SLICE("https")))
		return "a scheme other than http, https and file";
	for (size_t i = 0; i < s.n; i++) {
		if (is_control(s.p[i]))
			return "a control byte";
		if (!file && s.p[i] == ' ')
			return "a space";
		if (!file && s.p[i] == '\\')
			return "a backslash"; /* some programs take it for a slash */
	}
	if (!slice_is_utf8(s))
		return "bytes that are not UTF-8";
	s = from(s, (size_t)colon + 3);
	return file ? parse_file(s, u) : parse_http(s, u);
}

int url_parse(struct slice s, struct url *out, struct err *err)
{
	struct url u = {.path = SLICE("")};
	const char *fault = parse(s, &u);

	if (fault != NULL)
		return err_set(err, -ERR_INVAL, "the URL has %s", fault);
	*out = u;
	return 0;
}

static int64_t port_of(const struct url *u)
{
	int64_t port;

	if (u->port.n > 0 && slice_to_i64(u->port, 65535, &port) == 0)
		return port;
	return slice_eq_nocase(u->scheme, SLICE("https")) ? 443 : slice_eq_nocase(u->scheme, SLICE("http")) ? 80 : 0;
}

bool url_same_origin(struct slice a, struct slice b)
{
	struct url ua, ub;

	return url_parse(a, &ua, NULL) == 0 && url_parse(b, &ub, NULL) == 0 && slice_eq_nocase(ua.scheme, ub.scheme) &&
	       slice_eq_nocase(ua.host, ub.host) && port_of(&ua) == port_of(&ub);
}

int url_origin(struct slice s, char out[URL_ORIGIN_MAX])
{
	struct url u;
	int n;

	if (url_parse(s, &u, NULL) != 0 || slice_eq_nocase(u.scheme, SLICE("file")))
		return -ERR_INVAL;
	n = snprintf(out, URL_ORIGIN_MAX, slice_chr(u.host, ':') >= 0 ? "%.*s://[%.*s]:%d" : "%.*s://%.*s:%d",
		SLICE_ARG(u.scheme), SLICE_ARG(u.host), (int)port_of(&u));
	if (n >= URL_ORIGIN_MAX)
		return -ERR_LIMIT;
	for (char *p = out; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return 0;
}

int url_sibling(struct slice manifest_url, struct slice relpath, struct buf *out)
{
	struct url u;
	int rc = url_relpath_check(relpath, NULL);

	if (rc == 0)
		rc = url_parse(manifest_url, &u, NULL);
	if (rc != 0)
		return rc;
	if (u.path.n == 0) { /* the query, if any, follows the host at once */
		struct slice host = u.port.n > 0 ? u.port : u.host;
		size_t n = (size_t)(host.p + host.n - manifest_url.p);

		if (n < manifest_url.n && (manifest_url.p[n] == ']' || manifest_url.p[n] == ':'))
			n++;
		buf_add(out, manifest_url.p, n);
		buf_adds(out, "/");
	} else {
		buf_add(out, manifest_url.p, (size_t)(u.path.p - manifest_url.p) + (size_t)slice_rchr(u.path, '/') + 1);
	}
	if (slice_eq_nocase(u.scheme, SLICE("file")))
		return buf_add_slice(out, relpath);
	url_encode(out, relpath, "/:");
	if (u.query.p != NULL) {
		buf_adds(out, "?");
		buf_add_slice(out, u.query);
	}
	return out->failed;
}

#define HIDDEN "***"

/* "a=1&b=2" → "a=***&b=***"; a part without '=' may itself be the secret. */
static void redact_query(struct slice query, struct buf *out)
{
	while (query.p != NULL) {
		struct slice part = slice_cut(&query, '&');
		ptrdiff_t eq = slice_chr(part, '=');

		if (eq >= 0)
			buf_add(out, part.p, (size_t)eq + 1);
		if (part.n > 0)
			buf_adds(out, HIDDEN);
		if (query.p != NULL)
			buf_adds(out, "&");
	}
}

int url_redact(struct slice url, struct buf *out)
{
	struct slice rest = url;
	struct url u;
	ptrdiff_t at = -1;

	if (url_parse(url, &u, NULL) == 0) {
		if (slice_eq_nocase(u.scheme, SLICE("file")))
			return buf_add_slice(out, url);
		if (u.userinfo.p != NULL) {
			buf_add(out, url.p, (size_t)(u.userinfo.p - url.p));
			rest = from(url, (size_t)(u.userinfo.p - url.p) + u.userinfo.n + 1);
		}
	} else {
		/* Not a URL for us, but it may hold a password for all that: up to the last '@', wherever it is. */
		at = slice_rchr(url, '@');
		if (at >= 0) {
			buf_adds(out, HIDDEN "@");
			rest = from(url, (size_t)at + 1);
		}
	}
	buf_add_slice(out, cut_before(&rest, "?#"));
	if (rest.n > 0 && rest.p[0] == '?') {
		rest = from(rest, 1);
		buf_adds(out, "?");
		redact_query(cut_before(&rest, "#"), out);
	}
	return out->failed;
}
