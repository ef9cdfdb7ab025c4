/* The settings: one row for each, made from the table in the header; reading, checking and printing go by the rows.
 *
 * libinih splits server.conf into sections, keys and values, with two gaps that the reader function here closes: it
 * does not say in which line a value stands, and it cuts lines at 200 bytes. */
#include "base/settings.h"

#include "base/addr.h"
#include "base/check.h"
#include "base/fsutil.h"
#include "base/log.h"

#include <assert.h>
#include <ctype.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>

#define SETTINGS_FILE_MAX (1024 * 1024)
#define SETTINGS_VALUE_MAX (64 * 1024)

enum setting_type { TYPE_STR, TYPE_LIST, TYPE_INT, TYPE_BYTES, TYPE_MSEC, TYPE_BOOL };

struct setting_row {
	const char *section;
	const char *key;
	enum setting_type type;
	const char *dflt;
	int64_t lo;
	int64_t hi;
	const char *help;
	size_t at; /* of the value in struct settings */
};

static const struct setting_row setting_rows[] = {
#define X(section, key, type, dflt, lo, hi, help) \
	{#section, #key, TYPE_##type, dflt, lo, hi, help, offsetof(struct settings, section##_##key)},
	SETTINGS(X)
#undef X
};
#define ROWS ((int)ARRAY_LEN(setting_rows))
static_assert(ARRAY_LEN(setting_rows) <= ARRAY_LEN(((struct settings *)0)->origin), "each row has its origin");

/* ---- values ---- */

struct unit {
	const char *suffix;
	int64_t factor;
};
/* Largest first: printing takes the first that divides. */
static const struct unit byte_units[] = {
	{"T", INT64_C(1) << 40},
	{"G", INT64_C(1) << 30},
	{"M", INT64_C(1) << 20},
	{"k", INT64_C(1) << 10},
	{"", 1},
};
static const struct unit msec_units[] = {
	{"d", 86400000},
	{"h", 3600000},
	{"m", 60000},
	{"s", 1000},
	{"ms", 1},
	{"", 1000},
};
static const struct unit no_unit = {"", 1};

static int parse_with_unit(struct slice s, const struct unit *units, size_t n, int64_t *out)
{
	size_t digits = 0;
	int64_t v;
	int rc;

	while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
		digits++;
	rc = slice_to_i64(slice_of(s.p, digits), INT64_MAX, &v);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n; i++) {
		if (slice_eq_nocase(slice_of(s.p + digits, s.n - digits), slice_str(units[i].suffix)))
			return __builtin_mul_overflow(v, units[i].factor, out) ? -ERR_LIMIT : 0;
	}
	return -ERR_INVAL;
}

/* Exactly, in the largest unit that divides it; the plain number of a duration would be seconds, so "ms" is last. */
static int print_with_unit(struct buf *out, int64_t v, const struct unit *units)
{
	size_t i = 0;

	if (v == 0)
		return buf_adds(out, "0");
	while (v % units[i].factor != 0)
		i++;
	return buf_addf(out, "%lld%s", (long long)(v / units[i].factor), units[i].suffix);
}

static int parse_int(struct slice s, int64_t *out)
{
	bool minus = s.n > 1 && s.p[0] == '-';
	int rc = slice_to_i64(minus ? slice_of(s.p + 1, s.n - 1) : s, INT64_MAX, out);

	if (rc == 0 && minus)
		*out = -*out;
	return rc;
}

static int parse_bool(struct slice s, bool *out)
{
	static const char *const yes[] = {"true", "yes", "on", "1"};
	static const char *const no[] = {"false", "no", "off", "0"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (slice_eq_nocase(s, slice_str(yes[i])) || slice_eq_nocase(s, slice_str(no[i]))) {
			*out = slice_eq_nocase(s, slice_str(yes[i]));
			return 0;
		}
	}
	return -ERR_INVAL;
}

static bool list_has(struct slice rest, struct slice item)
{
	while (rest.p != NULL) {
		if (item.n > 0 && slice_eq(slice_trim(slice_cut(&rest, ',')), item))
			return true;
		if (item.n == 0)
			break;
	}
	return false;
}

bool settings_list_has(const char *list, struct slice item)
{
	return list_has(slice_str(list), item);
}

/* ---- what a text must look like, beyond its type ---- */

static bool is_listen(struct slice s)
{
	struct slice host;
	ptrdiff_t colon;
	int64_t port;

	if (slice_starts_nocase(s, SLICE("https://")))
		s = slice_of(s.p + 8, s.n - 8);
	else if (slice_starts_nocase(s, SLICE("http://")))
		s = slice_of(s.p + 7, s.n - 7);
	colon = slice_rchr(s, ':');

	if (colon < 1 || slice_to_i64(slice_of(s.p + colon + 1, s.n - (size_t)colon - 1), 65535, &port) < 0)
		return false;
	host = slice_of(s.p, (size_t)colon);
	if (host.p[0] == '[')
		return host.n > 2 && host.p[host.n - 1] == ']';
	return slice_chr(host, ':') < 0;
}

static bool is_role(struct slice s)
{
	return settings_list_has("content,api,worker,redirect,streamer", s);
}

static bool is_digest(struct slice s)
{
	return settings_list_has("md5,sha1,sha224,sha256,sha384,sha512", s);
}

static bool is_level(struct slice s)
{
	enum log_level level;

	return log_level_parse(s, &level) == 0;
}

static bool is_sender(struct slice s)
{
	return settings_list_has("x-sendfile,x-accel-redirect", s);
}

static bool is_prefix(struct slice s)
{
	return slice_starts(s, SLICE("/")) && slice_ends(s, SLICE("/"));
}

static bool is_web_url(struct slice s)
{
	return slice_starts_nocase(s, SLICE("http://")) || slice_starts_nocase(s, SLICE("https://"));
}

static bool is_absolute(struct slice s)
{
	return slice_starts(s, SLICE("/"));
}

static bool is_on_missing(struct slice s)
{
	return settings_list_has("stream,redirect,refuse", s);
}

/* The beginning of a URL, as it goes into a Location: anything but what would end it. */
static bool is_url_start(struct slice s)
{
	return slice_chr(s, ' ') < 0 && slice_chr(s, '#') < 0 && slice_chr(s, '?') < 0;
}

static bool is_network(struct slice s)
{
	return addr_network_ok(s);
}

static bool is_interface(struct slice s)
{
	return s.n > 0 && slice_chr(s, ' ') < 0;
}

/* "/CHAIN" or "/CHAIN:/KEY" */
static bool is_certificate(struct slice s)
{
	struct slice chain = slice_cut(&s, ':');

	return is_absolute(chain) && (s.p == NULL || (is_absolute(s) && slice_chr(s, ':') < 0));
}

static bool is_tls_version(struct slice s)
{
	return settings_list_has("1.2,1.3", s);
}

static bool is_client_certificates(struct slice s)
{
	return settings_list_has("off,request,verify", s);
}

static bool is_database(struct slice s)
{
	return slice_starts(s, SLICE("sqlite:")) && s.n > strlen("sqlite:");
}

/* Bytes, or "N%": then *percent is N, else -1. */
static int parse_share(struct slice s, int64_t *bytes, int64_t *percent)
{
	*bytes = *percent = -1;
	if (slice_ends(s, SLICE("%")))
		return slice_to_i64(slice_of(s.p, s.n - 1), 100, percent);
	return parse_with_unit(s, byte_units, ARRAY_LEN(byte_units), bytes);
}

static bool is_share(struct slice s)
{
	int64_t bytes, percent;

	return parse_share(s, &bytes, &percent) == 0;
}

int64_t settings_share(const char *text, int64_t whole)
{
	int64_t bytes = 0, percent = -1;

	if (parse_share(slice_str(text), &bytes, &percent) < 0)
		return 0;
	return percent >= 0 ? whole / 100 * percent : bytes;
}

static const struct {
	const char *section;
	const char *key;
	bool (*ok)(struct slice item); /* the text, or each item of a list */
	bool may_be_empty;
	const char *wanted;
	const char *needs; /* an item that the list cannot do without, or NULL */
} text_rules[] = {
	{"server", "listen", is_listen, true, "ADDR:PORT or [ADDR]:PORT, perhaps behind https://"},
	{"server", "roles", is_role, false, "content, api, worker, redirect or streamer"},
	{"server", "secrets_key", is_absolute, true, "an absolute path"},
	{"server", "trusted_proxies", is_network, true, "an address or a network (ADDR/BITS)"},
	{"content", "send_by", is_sender, true, "x-sendfile or x-accel-redirect"},
	{"content", "accel_prefix", is_prefix, false, "a path that begins and ends with /"},
	{"content", "foreign_networks", is_network, true, "an address or a network (ADDR/BITS)"},
	{"content", "on_missing", is_on_missing, false, "stream, redirect or refuse"},
	{"lazy", "redirect_url", is_url_start, true, "the beginning of a URL, without query and fragment"},
	{"lazy", "save_url", is_url_start, true, "the beginning of a URL, without query and fragment"},
	{"lazy", "save_ca_cert", is_absolute, true, "an absolute path"},
	{"lazy", "save_client_cert", is_absolute, true, "an absolute path"},
	{"lazy", "save_client_key", is_absolute, true, "an absolute path"},
	{"lazy", "streamer_interface", is_interface, false, "the name of an interface, or an address"},
	{"server", "tls_certificates", is_certificate, true, "/CHAIN or /CHAIN:/KEY"},
	{"server", "tls_min_version", is_tls_version, false, "1.2 or 1.3"},
	{"server", "tls_client_certificates", is_client_certificates, false, "off, request or verify"},
	{"server", "tls_client_ca", is_absolute, true, "an absolute path"},
	{"content", "path_prefix", is_prefix, false, "a path that begins and ends with /"},
	{"content", "origin", is_web_url, true, "http://HOST or https://HOST"},
	{"content", "allowed_import_paths", is_absolute, true, "an absolute path"},
	{"database", "url", is_database, true, "sqlite:PATH (there is no other kind of database)"},
	{"storage", "allowed_checksums", is_digest, false, "md5, sha1, sha224, sha256, sha384 or sha512", "sha256"},
	{"storage", "quota", is_share, false,
		"a size (a number, then k, M, G or T or nothing) or a percentage (0% to 100%)"},
	{"storage", "min_free", is_share, false,
		"a size (a number, then k, M, G or T or nothing) or a percentage (0% to 100%)"},
	{"log", "level", is_level, false, "debug, info, warning or error"},
};

static int bad_value(struct err *err, struct slice value, const char *wanted)
{
	if (value.n > 100)
		return err_set(err, -ERR_INVAL, "'%.*s…' is not %s", 100, value.p, wanted);
	return err_set(err, -ERR_INVAL, "'%.*s' is not %s", SLICE_ARG(value), wanted);
}

static int check_text(const struct setting_row *row, struct slice value, struct err *err)
{
	for (size_t i = 0; i < value.n; i++) {
		if ((unsigned char)value.p[i] < 0x20 || value.p[i] == 0x7f)
			return err_set(err, -ERR_INVAL, "the value has a control character");
	}
	for (size_t i = 0; i < ARRAY_LEN(text_rules); i++) {
		struct slice rest = value;

		if (strcmp(text_rules[i].section, row->section) != 0 || strcmp(text_rules[i].key, row->key) != 0)
			continue;
		if (value.n == 0 && text_rules[i].may_be_empty)
			return 0;
		do {
			struct slice item =
				row->type == TYPE_LIST ? slice_trim(slice_cut(&rest, ',')) : slice_cut(&rest, '\0');

			if (!text_rules[i].ok(item))
				return bad_value(err, item, text_rules[i].wanted);
		} while (rest.p != NULL);
		if (text_rules[i].needs != NULL && !list_has(value, slice_str(text_rules[i].needs)))
			return err_set(err, -ERR_INVAL, "%s must be among them", text_rules[i].needs);
	}
	return 0;
}

/* ---- one row ---- */

static void *row_at(const struct settings *s, int i)
{
	return (char *)(uintptr_t)s + setting_rows[i].at;
}

static int row_find(const char *section, const char *key)
{
	for (int i = 0; i < ROWS; i++) {
		if (strcmp(setting_rows[i].section, section) == 0 && strcmp(setting_rows[i].key, key) == 0)
			return i;
	}
	return -1;
}

static int set_text(struct settings *s, int i, struct slice value, struct err *err)
{
	char **at = row_at(s, i);
	char *copy;
	int rc = check_text(&setting_rows[i], value, err);

	if (rc < 0)
		return rc;
	copy = slice_dup(value);
	if (copy == NULL)
		return err_set(err, -ERR_NOMEM, "no memory for the value");
	free(*at);
	*at = copy;
	return 0;
}

static int out_of_range(struct err *err, const struct setting_row *row, struct slice value, const struct unit *units)
{
	struct buf range = BUF_INIT(256);
	int rc;

	print_with_unit(&range, row->lo, units);
	buf_adds(&range, " to ");
	print_with_unit(&range, row->hi, units);
	rc = bad_value(err, value, range.failed == 0 ? range.p : "in range");
	buf_fini(&range);
	return rc;
}

static int set_number(struct settings *s, int i, struct slice value, struct err *err)
{
	const struct setting_row *row = &setting_rows[i];
	const struct unit *units = &no_unit;
	const char *wanted;
	int64_t v;
	int rc;

	if (row->type == TYPE_BYTES) {
		wanted = "a size (a number, then k, M, G or T or nothing)";
		units = byte_units;
		rc = parse_with_unit(value, byte_units, ARRAY_LEN(byte_units), &v);
	} else if (row->type == TYPE_MSEC) {
		wanted = "a duration (a number, then ms, s, m, h, d or nothing for seconds)";
		units = msec_units;
		rc = parse_with_unit(value, msec_units, ARRAY_LEN(msec_units), &v);
	} else {
		wanted = "a whole number";
		rc = parse_int(value, &v);
	}
	if (rc == -ERR_INVAL)
		return bad_value(err, value, wanted);
	if (rc < 0 || v < row->lo || v > row->hi)
		return out_of_range(err, row, value, units);
	*(int64_t *)row_at(s, i) = v;
	return 0;
}

static int row_set(struct settings *s, int i, struct slice value, struct err *err)
{
	switch (setting_rows[i].type) {
	case TYPE_STR:
	case TYPE_LIST:
		return set_text(s, i, value, err);
	case TYPE_BOOL:
		return parse_bool(value, row_at(s, i)) == 0 ? 0 : bad_value(err, value, "true or false");
	default:
		return set_number(s, i, value, err);
	}
}

int settings_set(struct settings *s, const char *section, const char *key, struct slice value, const char *origin,
	struct err *err)
{
	int i = row_find(section, key);
	char *copy;
	int rc;

	if (i < 0)
		return err_set(err, -ERR_NOTFOUND, "%s: there is no setting '%s' in [%s]", origin, key, section);
	if (value.p == NULL)
		value = SLICE("");
	copy = strdup(origin);
	if (copy == NULL)
		return err_set(err, -ERR_NOMEM, "%s: no memory", origin);
	rc = row_set(s, i, value, err);
	if (rc < 0) {
		free(copy);
		if (err != NULL)
			err_wrap(err, "%s: [%s] %s", origin, section, key);
		return rc;
	}
	free(s->origin_mem[i]);
	s->origin_mem[i] = copy;
	s->origin[i] = copy;
	return 0;
}

int settings_init(struct settings *s, struct err *err)
{
	memset(s, 0, sizeof(*s));
	for (int i = 0; i < ROWS; i++) {
		int rc = settings_set(s, setting_rows[i].section, setting_rows[i].key, slice_str(setting_rows[i].dflt),
			"default", err);

		BUG(rc < 0 && rc != -ERR_NOMEM);
		if (rc < 0) {
			settings_fini(s);
			return rc;
		}
	}
	return 0;
}

void settings_fini(struct settings *s)
{
	for (int i = 0; i < ROWS; i++) {
		if (setting_rows[i].type == TYPE_STR || setting_rows[i].type == TYPE_LIST)
			free(*(char **)row_at(s, i));
		free(s->origin_mem[i]);
	}
	memset(s, 0, sizeof(*s));
}

/* ---- server.conf ---- */

/* One read of one text. libinih asks next_line() for lines and hands what it found to on_value(). */
struct ini_read {
	struct settings *settings;
	const char *name;
	struct slice rest; /* p is NULL at the end */
	int line;          /* number of the line being read */
	struct slice more; /* of this line, not handed out yet */
	bool wants_value;  /* this line is a key, and libinih has not reported it yet */
	char section[64];
	char key[64];
	struct buf value;
	int set_in[ROWS]; /* the line, or 0 */
	int rc;
	struct err *err;
};

__attribute__((format(printf, 3, 4))) static int ini_fail(struct ini_read *r, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	r->rc = err_setv(r->err, code, fmt, ap);
	va_end(ap);
	if (r->err != NULL)
		err_wrap(r->err, "%s:%d", r->name, r->line);
	return r->rc;
}

/* Without indentation, which libinih would take for a continued value, and without comments, of which libinih would
 * take a long one's end for a line of its own. A comment starts a line, or is a ; after white space. */
static struct slice ini_strip(struct slice line)
{
	line = slice_trim(line);
	if (line.n > 0 && (line.p[0] == ';' || line.p[0] == '#'))
		return slice_of(line.p, 0);
	for (size_t i = 1; i < line.n; i++) {
		if (line.p[i] == ';' && (line.p[i - 1] == ' ' || line.p[i - 1] == '\t'))
			return slice_trim(slice_of(line.p, i));
	}
	return line;
}

static bool is_section(struct slice name)
{
	for (int i = 0; i < ROWS; i++) {
		if (slice_eq(name, slice_str(setting_rows[i].section)))
			return true;
	}
	return false;
}

/* What libinih would let pass: a bracket that is never closed or that text follows, a section that nobody knows, and
 * bytes that end or hide a C string. */
static int ini_check_line(struct ini_read *r, struct slice line)
{
	for (size_t i = 0; i < line.n; i++) {
		if (((unsigned char)line.p[i] < 0x20 && line.p[i] != '\t') || line.p[i] == 0x7f)
			return ini_fail(r, -ERR_PARSE, "control character");
	}
	if (line.n > SETTINGS_VALUE_MAX)
		return ini_fail(r, -ERR_PARSE, "line too long");
	if (line.n == 0 || line.p[0] != '[')
		return 0;
	if (line.n < 2 || line.p[line.n - 1] != ']')
		return ini_fail(r, -ERR_PARSE, "a section is written as [name]");
	if (!is_section(slice_of(line.p + 1, line.n - 2)))
		return ini_fail(r, -ERR_PARSE, "there is no section [%.*s]", (int)MIN(line.n - 2, 64), line.p + 1);
	return 0;
}

/* The second of two values would win silently, and whoever wrote the first would look for the reason elsewhere. */
static int ini_check_first(struct ini_read *r, int row)
{
	if (row < 0)
		return 0; /* settings_set() tells */
	if (r->set_in[row] != 0)
		return ini_fail(r, -ERR_PARSE, "[%s] %s is set in line %d already", r->section, r->key, r->set_in[row]);
	r->set_in[row] = r->line;
	return 0;
}

/* The line before is complete: takes its value. */
static int ini_finish_line(struct ini_read *r)
{
	char origin[512];

	if (r->rc < 0)
		return r->rc;
	if (r->wants_value)
		return ini_fail(r, -ERR_PARSE, "expected 'key = value'");
	if (r->key[0] == '\0')
		return 0;
	if (r->value.failed != 0)
		return ini_fail(r, r->value.failed, "the value is too long");
	if (r->section[0] == '\0')
		return ini_fail(r, -ERR_PARSE, "'%s' stands before the first [section]", r->key);
	if (ini_check_first(r, row_find(r->section, r->key)) < 0)
		return r->rc;
	snprintf(origin, sizeof(origin), "%s:%d", r->name, r->line);
	r->rc = settings_set(r->settings, r->section, r->key, buf_slice(&r->value), origin, r->err);
	if (r->rc == -ERR_NOTFOUND || r->rc == -ERR_INVAL) {
		r->rc = -ERR_PARSE;
		if (r->err != NULL)
			r->err->code = -ERR_PARSE;
	}
	r->key[0] = '\0';
	buf_reset(&r->value);
	return r->rc;
}

static bool has_separator(struct slice s)
{
	return slice_chr(s, '=') >= 0 || slice_chr(s, ':') >= 0;
}

/* Copies as much of r->more as fits. What does not fit follows in the next call behind a blank, which libinih takes as
 * more of the same value; so neither side of the cut may be something that libinih removes or takes for a comment. */
static int ini_hand_out(struct ini_read *r, char *out, size_t cap, bool continued)
{
	/* Less a blank, a line feed, a NUL, and one: a full buffer would make some builds of libinih ask for more. */
	size_t n = MIN(r->more.n, cap - 4);

	while (n < r->more.n && n > 0 &&
		(isspace((unsigned char)r->more.p[n - 1]) || strchr(" \t;#", r->more.p[n]) != NULL))
		n--;
	if (n < r->more.n && (n == 0 || (!continued && !has_separator(slice_of(r->more.p, n)))))
		return ini_fail(r, -ERR_PARSE, "line too long");
	if (continued)
		*out++ = ' ';
	if (n > 0)
		memcpy(out, r->more.p, n);
	memcpy(out + n, "\n", 2);
	r->more = slice_of(r->more.p + n, r->more.n - n);
	return 0;
}

static char *next_line(char *out, int cap, void *arg)
{
	struct ini_read *r = arg;
	bool continued = r->more.n > 0;

	if (r->rc < 0)
		return NULL;
	if (!continued) {
		if (ini_finish_line(r) < 0 || r->rest.p == NULL)
			return NULL;
		r->line++;
		r->more = ini_strip(slice_cut(&r->rest, '\n'));
		if (ini_check_line(r, r->more) < 0)
			return NULL;
		r->wants_value = r->more.n > 0 && r->more.p[0] != '[';
	}
	return ini_hand_out(r, out, (size_t)cap, continued) < 0 ? NULL : out;
}

static int on_value(void *arg, const char *section, const char *key, const char *value)
{
	struct ini_read *r = arg;

	if (r->rc < 0)
		return 1;
	r->wants_value = false;
	snprintf(r->section, sizeof(r->section), "%s", section);
	snprintf(r->key, sizeof(r->key), "%s", key);
	if (key[0] == '\0')
		ini_fail(r, -ERR_PARSE, "expected 'key = value'");
	buf_adds(&r->value, value);
	return 1;
}

int settings_read_text(struct settings *s, const char *name, struct slice text, struct err *err)
{
	struct ini_read r = {
		.settings = s, .name = name, .rest = text, .value = BUF_INIT(SETTINGS_VALUE_MAX), .err = err};
	int bad;

	if (slice_starts(text, SLICE("\xef\xbb\xbf")))
		r.rest = slice_of(text.p + 3, text.n - 3);
	bad = ini_parse_stream(next_line, &r, on_value, &r);
	if (r.rc == 0 && bad != 0)
		ini_fail(&r, -ERR_PARSE, "cannot be read");
	buf_fini(&r.value);
	return r.rc;
}

int settings_read_file(struct settings *s, const char *path, struct err *err)
{
	struct buf text = BUF_INIT(SETTINGS_FILE_MAX);
	int rc = fs_read_file(path, SETTINGS_FILE_MAX, &text, err);

	if (rc == 0)
		rc = settings_read_text(s, path, buf_slice(&text), err);
	buf_fini(&text);
	return rc;
}

/* ---- the environment ---- */

static void env_name(const struct setting_row *row, char *out, size_t cap)
{
	snprintf(out, cap, "SLUICE_%s_%s", row->section, row->key);
	for (; *out != '\0'; out++)
		*out = (char)toupper((unsigned char)*out);
}

/* SLUICE_SECTION_KEY of one of our sections, but of no key: a slip of the pen. Without such a section it may be anybody's. */
static int env_check_known(struct slice name, struct err *err)
{
	struct slice key = slice_of(name.p + strlen("SLUICE_"), name.n - strlen("SLUICE_"));
	struct slice section = slice_cut(&key, '_');
	char known[128];

	for (int i = 0; i < ROWS; i++) {
		env_name(&setting_rows[i], known, sizeof(known));
		if (slice_eq(name, slice_str(known)))
			return 0;
	}
	for (int i = 0; key.p != NULL && i < ROWS; i++) {
		env_name(&setting_rows[i], known, sizeof(known));
		known[strlen("SLUICE_") + strlen(setting_rows[i].section)] = '\0';
		if (slice_eq(section, slice_str(known + strlen("SLUICE_"))))
			return err_set(err, -ERR_INVAL, "environment: %.*s: there is no such setting in [%s]",
				(int)MIN(name.n, 100), name.p, setting_rows[i].section);
	}
	return 0;
}

int settings_read_env(struct settings *s, char **environ_, struct err *err)
{
	for (char **e = environ_; e != NULL && *e != NULL; e++) {
		struct slice value = slice_str(*e), name = slice_cut(&value, '=');

		if (value.p != NULL && slice_starts(name, SLICE("SLUICE_")) && env_check_known(name, err) < 0)
			return -ERR_INVAL;
	}
	for (int i = 0; i < ROWS; i++) {
		const struct setting_row *row = &setting_rows[i];
		char name[128];
		int rc;

		env_name(row, name, sizeof(name));
		for (char **e = environ_; e != NULL && *e != NULL; e++) {
			struct slice value = slice_str(*e);

			if (!slice_eq(slice_cut(&value, '='), slice_str(name)) || value.p == NULL)
				continue;
			rc = settings_set(s, row->section, row->key, slice_trim(value), "environment", err);
			if (rc < 0)
				return err != NULL ? err_wrap(err, "%s", name) : rc;
		}
	}
	return 0;
}

/* ---- printing ---- */

static int print_value(const struct settings *s, int i, struct buf *out)
{
	switch (setting_rows[i].type) {
	case TYPE_STR:
	case TYPE_LIST:
		return buf_adds(out, *(char **)row_at(s, i));
	case TYPE_BOOL:
		return buf_adds(out, *(bool *)row_at(s, i) ? "true" : "false");
	case TYPE_BYTES:
		return print_with_unit(out, *(int64_t *)row_at(s, i), byte_units);
	case TYPE_MSEC:
		return print_with_unit(out, *(int64_t *)row_at(s, i), msec_units);
	default:
		return buf_addf(out, "%lld", (long long)*(int64_t *)row_at(s, i));
	}
}

int settings_print(const struct settings *s, bool shipped, struct buf *out)
{
	for (int i = 0; i < ROWS; i++) {
		const struct setting_row *row = &setting_rows[i];

		if (i == 0 || strcmp(row->section, setting_rows[i - 1].section) != 0)
			buf_addf(out, "%s[%s]\n", i == 0 ? "" : "\n", row->section);
		buf_addf(out, "# %s\n", row->help);
		if (shipped) {
			buf_addf(out, "#%s = %s\n", row->key, row->dflt);
			continue;
		}
		buf_addf(out, "%s = ", row->key);
		print_value(s, i, out);
		buf_addf(out, "  (%s)\n", s->origin[i]);
	}
	return out->failed;
}
