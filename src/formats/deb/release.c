/* Reading a Release file. Its lists name each file once for each kind of digest; here they become one entry a file. */
#include "formats/deb/release.h"

#include "base/check.h"
#include "base/url.h"
#include "formats/deb/stanza.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ARENA_MAX (8 * RELEASE_MAX) /* an entry of some 100 bytes becomes one of some 400 */

static const struct {
	const char *field;
	enum digest_alg alg;
} lists[] = {
	{"MD5Sum", DIGEST_MD5},
	{"SHA1", DIGEST_SHA1},
	{"SHA256", DIGEST_SHA256},
	{"SHA512", DIGEST_SHA512},
};

struct reading {
	struct release *out;
	struct release_file *files; /* one for each line of each list */
	size_t count, cap;
	bool done;
};

static int no_memory(struct err *err)
{
	return err_set(err, -ERR_NOMEM, "no memory for a Release file");
}

/* ---- fields ---- */

static int copy(struct release *r, const struct stanza *s, const char *name, const char **out, struct err *err)
{
	struct slice v = stanza_get(s, name);

	if (v.p == NULL || v.n == 0)
		return 0;
	*out = arena_strdup(&r->arena, v);
	return *out != NULL ? 0 : no_memory(err);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The next word of *rest; n == 0: none. */
static struct slice word(struct slice *rest)
{
	struct slice w;

	while (rest->n > 0 && is_space(rest->p[0]))
		*rest = slice_of(rest->p + 1, rest->n - 1);
	w = slice_of(rest->p, 0);
	while (rest->n > 0 && !is_space(rest->p[0])) {
		w.n++;
		*rest = slice_of(rest->p + 1, rest->n - 1);
	}
	return w;
}

static int copy_words(
	struct release *r, const struct stanza *s, const char *name, const char *const **out, struct err *err)
{
	struct slice rest = stanza_get(s, name), again = rest;
	const char **list;
	size_t n = 0;

	while (word(&rest).n > 0)
		n++;
	list = arena_zalloc(&r->arena, (n + 1) * sizeof(*list));
	for (size_t i = 0; list != NULL && i < n; i++) {
		list[i] = arena_strdup(&r->arena, word(&again));
		if (list[i] == NULL)
			list = NULL;
	}
	*out = list;
	return list != NULL ? 0 : no_memory(err);
}

int release_date(struct slice text, int64_t *out)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = {0};
	char zone[8], month[4], z[64];
	const char *m;
	int n = 0;

	if (text.n >= sizeof(z))
		return -ERR_PARSE;
	(void)snprintf(z, sizeof(z), "%.*s", SLICE_ARG(text));
	if (sscanf(z, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d %7[A-Z0-9+-]%n", &tm.tm_mday, month, &tm.tm_year,
		    &tm.tm_hour, &tm.tm_min, &tm.tm_sec, zone, &n) != 7 ||
		z[n] != '\0')
		return -ERR_PARSE;
	m = strstr(months, month);
	if (m == NULL || strlen(month) != 3 || (m - months) % 3 != 0 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
		tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60 || tm.tm_year < 1970)
		return -ERR_PARSE;
	if (strcmp(zone, "UTC") != 0 && strcmp(zone, "GMT") != 0 && strcmp(zone, "Z") != 0 &&
		strcmp(zone, "+0000") != 0)
		return -ERR_PARSE;
	tm.tm_mon = (int)(m - months) / 3;
	tm.tm_year -= 1900;
	*out = timegm(&tm);
	return 0;
}

static int copy_date(const struct stanza *s, const char *name, int64_t *out, struct err *err)
{
	struct slice v = stanza_get(s, name);

	if (v.p == NULL || v.n == 0)
		return 0;
	if (release_date(v, out) != 0)
		return err_set(err, -ERR_PARSE, "its field %s is no date in UTC", name);
	return 0;
}

/* ---- lists ---- */

static struct release_file *add_file(struct reading *r)
{
	struct release_file *more;

	if (r->count == r->cap) {
		r->cap = r->cap == 0 ? 1024 : r->cap * 2;
		more = realloc(r->files, r->cap * sizeof(*more));
		if (more == NULL)
			return NULL;
		r->files = more;
	}
	r->files[r->count] = (struct release_file){.size = -1};
	return &r->files[r->count++];
}

static int read_line(struct reading *r, enum digest_alg alg, struct slice line, struct err *err)
{
	struct slice hex = word(&line), size = word(&line), path = slice_trim(line);
	struct release_file *f;
	struct err why;

	if (hex.n == 0)
		return 0;
	f = add_file(r);
	if (f == NULL)
		return no_memory(err);
	if (digests_set_hex(&f->digests, alg, hex) != 0)
		return err_set(err, -ERR_PARSE, "one of its files has a malformed %s", digest_name(alg));
	if (slice_to_i64(size, INT64_MAX, &f->size) != 0)
		return err_set(err, -ERR_PARSE, "one of its files has a size that is no number of bytes");
	while (slice_starts(path, SLICE("./")))
		path = slice_of(path.p + 2, path.n - 2);
	if (url_relpath_check(path, &why) != 0)
		return err_set(err, -ERR_PARSE, "one of its files has a bad path: %s", why.msg);
	f->path = arena_strdup(&r->out->arena, path);
	return f->path != NULL ? 0 : no_memory(err);
}

static int read_list(struct reading *r, const struct stanza *s, const char *field, enum digest_alg alg, struct err *err)
{
	struct slice rest = stanza_get(s, field);
	int rc = 0;

	while (rc == 0 && rest.p != NULL)
		rc = read_line(r, alg, slice_cut(&rest, '\n'), err);
	return rc;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct release_file *)a)->path, ((const struct release_file *)b)->path);
}

/* Lines of one path become one file. */
static int merge(struct reading *r, struct err *err)
{
	size_t n = 0;

	if (r->count > 0)
		qsort(r->files, r->count, sizeof(*r->files), by_path);
	for (size_t i = 0; i < r->count; i++) {
		struct release_file *to = n > 0 ? &r->files[n - 1] : NULL, *from = &r->files[i];

		if (to == NULL || strcmp(to->path, from->path) != 0) {
			r->files[n++] = *from;
			continue;
		}
		if (to->size != from->size)
			return err_set(err, -ERR_PARSE, "it gives '%.200s' two sizes", to->path);
		for (int alg = 0; alg < DIGEST_COUNT; alg++) {
			if ((from->digests.have & (1u << alg)) == 0)
				continue;
			if ((to->digests.have & (1u << alg)) != 0 &&
				memcmp(to->digests.d[alg], from->digests.d[alg],
					(size_t)digest_len((enum digest_alg)alg)) != 0)
				return err_set(err, -ERR_PARSE, "it gives '%.200s' two digests of one kind", to->path);
			digests_set(&to->digests, (enum digest_alg)alg, from->digests.d[alg]);
		}
	}
	r->count = n;
	return 0;
}

/* ---- the whole ---- */

static int read_stanza(void *arg, const struct stanza *s, struct err *err)
{
	struct reading *r = arg;
	struct release *out = r->out;
	int rc;

	if (r->done)
		return err_set(err, -ERR_PARSE, "line %lld begins a second stanza", (long long)s->line);
	r->done = true;
	if ((rc = copy(out, s, "Origin", &out->origin, err)) != 0 ||
		(rc = copy(out, s, "Label", &out->label, err)) != 0 ||
		(rc = copy(out, s, "Suite", &out->suite, err)) != 0 ||
		(rc = copy(out, s, "Codename", &out->codename, err)) != 0 ||
		(rc = copy(out, s, "Version", &out->version, err)) != 0 ||
		(rc = copy(out, s, "Description", &out->description, err)) != 0 ||
		(rc = copy_words(out, s, "Architectures", &out->architectures, err)) != 0 ||
		(rc = copy_words(out, s, "Components", &out->components, err)) != 0 ||
		(rc = copy_date(s, "Date", &out->date_s, err)) != 0 ||
		(rc = copy_date(s, "Valid-Until", &out->valid_until_s, err)) != 0)
		return rc;
	out->by_hash = slice_eq_nocase(stanza_get(s, "Acquire-By-Hash"), SLICE("yes"));
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(lists); i++)
		rc = read_list(r, s, lists[i].field, lists[i].alg, err);
	return rc == 0 ? merge(r, err) : rc;
}

int release_parse(struct slice text, struct release *out, struct err *err)
{
	struct reading r = {.out = out};
	struct stanza_parser p;
	int rc;

	*out = (struct release){.file_count = 0};
	arena_init(&out->arena, ARENA_MAX);
	if (stanza_init(&p, RELEASE_MAX, read_stanza, &r) != 0)
		return no_memory(err);
	rc = stanza_feed(&p, text.p, text.n, err);
	if (rc == 0)
		rc = stanza_end(&p, err);
	stanza_fini(&p);
	if (rc == 0 && !r.done)
		rc = err_set(err, -ERR_PARSE, "it is empty");
	out->files = r.files;
	out->file_count = rc == 0 ? r.count : 0;
	return rc;
}

void release_fini(struct release *r)
{
	free(TAKE(r->files));
	r->file_count = 0;
	arena_fini(&r->arena);
}

const struct release_file *release_find(const struct release *r, const char *path)
{
	struct release_file key = {.path = path};

	return r->file_count > 0 ? bsearch(&key, r->files, r->file_count, sizeof(key), by_path) : NULL;
}

/* ---- clear signatures (RFC 4880, 7) ---- */

static struct slice next_line(struct slice *rest)
{
	struct slice line = slice_cut(rest, '\n');

	while (line.n > 0 && (is_space(line.p[line.n - 1])))
		line.n--; /* blanks at line ends are not signed */
	return line;
}

static int bad_signature(const char *why, struct err *err)
{
	return err_set(err, -ERR_PARSE, "its clear signature is malformed: %s", why);
}

int release_signed_text(struct slice inrelease, struct buf *out, struct err *err)
{
	struct slice rest = inrelease, line = next_line(&rest);

	if (!slice_eq(line, SLICE("-----BEGIN PGP SIGNED MESSAGE-----"))) {
		if (memmem(inrelease.p, inrelease.n, "-----BEGIN PGP ", 15) != NULL)
			return bad_signature("there is text before it", err);
		return buf_add_slice(out, inrelease) == 0 ? 0 : no_memory(err);
	}
	do { /* its head ends with an empty line */
		if (rest.p == NULL)
			return bad_signature("its head does not end", err);
		line = next_line(&rest);
	} while (line.n > 0);
	for (;;) {
		if (rest.p == NULL)
			return bad_signature("the signature is missing", err);
		line = next_line(&rest);
		if (slice_eq(line, SLICE("-----BEGIN PGP SIGNATURE-----")))
			break;
		if (slice_starts(line, SLICE("- ")))
			line = slice_of(line.p + 2, line.n - 2);
		else if (slice_starts(line, SLICE("-")))
			return bad_signature("a line begins with a dash", err);
		buf_add_slice(out, line);
		buf_add(out, "\n", 1);
	}
	while (rest.p != NULL && !slice_eq(line, SLICE("-----END PGP SIGNATURE-----")))
		line = next_line(&rest);
	if (!slice_eq(line, SLICE("-----END PGP SIGNATURE-----")))
		return bad_signature("it breaks off", err);
	while (rest.p != NULL)
		if (next_line(&rest).n > 0)
			return bad_signature("there is text behind it", err);
	return out->failed == 0 ? 0 : no_memory(err);
}
