/* Two readers, one inside of the other: the archive (deb(5), ar), and what its member control.tar opens to (tar, in the forms that dpkg
 * takes: ustar and GNU; what pax says beside is skipped).
 *
 *   ar:  MAGIC > HEADER > (VERSION | SKIP | CONTROL) > PAD > HEADER …
 *   tar: HEADER > (SKIP | FILE) > HEADER … */
#include "formats/deb/debfile.h"

#include "base/buf.h"
#include "base/check.h"
#include "sync/unpack.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define AR_MAGIC "!<arch>\n"
#define AR_HEADER 60
#define AR_MEMBERS_MAX 16
#define AR_SKIPPED_MAX ((int64_t)1 << 20) /* members that dpkg does not know either */
#define TAR_BLOCK 512
#define TAR_ENTRIES_MAX 4096

struct tar {
	char header[TAR_BLOCK];
	size_t have;
	int64_t left, padding; /* of an entry's data */
	int entries;
	size_t opened;
	bool inside_control, done;
	struct buf control;
	struct err err; /* why it stopped */
};

struct debfile {
	enum { MAGIC, HEADER, VERSION, SKIP, CONTROL } state;
	char head[AR_HEADER];
	size_t have;
	int64_t left; /* of the member's bytes, */
	bool pad;     /* and one more */
	int members;
	struct unpack *unpack;
	struct tar tar;
};

/* ---- tar ---- */

/* Octal digits between blanks, ended by a blank, a zero byte, or the end of the field. -1: something else. */
static int64_t octal(const char *p, size_t n)
{
	int64_t v = 0;
	size_t i = 0;

	while (i < n && p[i] == ' ')
		i++;
	if (i == n || p[i] < '0' || p[i] > '7')
		return -1;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
		v = v * 8 + (p[i] - '0');
	return i == n || p[i] == ' ' || p[i] == '\0' ? v : -1;
}

static bool checksum_holds(const char header[TAR_BLOCK])
{
	int64_t sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : (unsigned char)header[i];
	return octal(header + 148, 8) == sum;
}

static bool all_zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != '\0')
			return false;
	return true;
}

static int tar_entry(struct tar *t)
{
	const char *h = t->header;
	size_t name_n = strnlen(h, 100);
	struct slice name = slice_of(h, name_n);
	int64_t size;

	if (all_zero(h, TAR_BLOCK))
		return err_set(&t->err, -ERR_PARSE, "control.tar has no file 'control'");
	if (!checksum_holds(h))
		return err_set(&t->err, -ERR_PARSE, "control.tar is damaged: a checksum in it is wrong");
	size = octal(h + 124, 12);
	if (size < 0)
		return err_set(&t->err, -ERR_PARSE, "control.tar has an entry without a size");
	if (++t->entries > TAR_ENTRIES_MAX)
		return err_set(&t->err, -ERR_LIMIT, "control.tar has more than %d entries", TAR_ENTRIES_MAX);
	if (slice_starts(name, SLICE("./")))
		name = slice_of(name.p + 2, name.n - 2);
	t->inside_control = (h[156] == '0' || h[156] == '\0') && h[345] == '\0' && slice_eq(name, SLICE("control"));
	if (t->inside_control && (size == 0 || size > (int64_t)DEBFILE_CONTROL_MAX))
		return err_set(&t->err, -ERR_LIMIT, "the file 'control' has %lld bytes; 1 to %zu can be read",
			(long long)size, DEBFILE_CONTROL_MAX);
	t->left = size;
	t->padding = (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
	return 0;
}

/* What control.tar opens to, as unpack hands it over. Stops it, once the file is there. */
static int tar_take(void *arg, const char *p, size_t n)
{
	struct tar *t = arg;

	t->opened += n;
	if (t->opened > DEBFILE_OPEN_MAX)
		return err_set(&t->err, -ERR_LIMIT, "control.tar opens to more than %zu bytes", DEBFILE_OPEN_MAX);
	while (n > 0) {
		size_t take;
		int rc;

		if (t->left > 0) {
			take = (size_t)MIN((int64_t)n, t->left);
			if (t->inside_control && buf_add(&t->control, p, take) != 0)
				return err_set(&t->err, t->control.failed, "no memory for a control file");
			t->left -= (int64_t)take;
			t->done = t->inside_control && t->left == 0;
			if (t->done)
				return -ERR_CANCELED;
		} else if (t->padding > 0) {
			take = (size_t)MIN((int64_t)n, t->padding);
			t->padding -= (int64_t)take;
		} else {
			take = MIN(n, TAR_BLOCK - t->have);
			memcpy(t->header + t->have, p, take);
			t->have += take;
			if (t->have == TAR_BLOCK) {
				t->have = 0;
				rc = tar_entry(t);
				if (rc != 0)
					return rc;
			}
		}
		p += take;
		n -= take;
	}
	return 0;
}

/* ---- ar ---- */

int debfile_new(struct debfile **out)
{
	struct debfile *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return -ERR_NOMEM;
	d->tar.control = BUF_INIT(DEBFILE_CONTROL_MAX);
	*out = d;
	return 0;
}

void debfile_free(struct debfile **pd)
{
	struct debfile *d = TAKE(*pd);

	if (d == NULL)
		return;
	unpack_free(&d->unpack);
	buf_fini(&d->tar.control);
	free(d);
}

struct slice debfile_control(const struct debfile *d)
{
	return buf_slice(&d->tar.control);
}

static int not_a_package(struct err *err)
{
	return err_set(err, -ERR_PARSE, "it is no Debian binary package");
}

/* Sizes are decimal, names end in blanks and perhaps a slash. */
static int member(struct debfile *d, struct err *err)
{
	struct slice name = slice_trim(slice_of(d->head, 16)), size = slice_trim(slice_of(d->head + 48, 10));
	bool first = d->members == 0;

	if (d->head[58] != '`' || d->head[59] != '\n' || slice_to_i64(size, INT64_MAX / 2, &d->left) != 0)
		return first ? not_a_package(err)
			     : err_set(err, -ERR_PARSE, "the package is damaged: a member has no head");
	if (name.n > 0 && name.p[name.n - 1] == '/')
		name.n--;
	if (++d->members > AR_MEMBERS_MAX)
		return err_set(err, -ERR_LIMIT, "more than %d members before control.tar", AR_MEMBERS_MAX);
	d->pad = d->left % 2 != 0;
	d->have = 0;
	if (first) {
		if (!slice_eq(name, SLICE("debian-binary")) || d->left < 4 || d->left > AR_SKIPPED_MAX)
			return not_a_package(err);
		d->state = VERSION;
		return 0;
	}
	if (slice_eq(name, SLICE("control.tar")) || slice_eq(name, SLICE("control.tar.gz")) ||
		slice_eq(name, SLICE("control.tar.xz")) || slice_eq(name, SLICE("control.tar.zst"))) {
		if (d->left > (int64_t)DEBFILE_MEMBER_MAX)
			return err_set(err, -ERR_LIMIT, "control.tar has more than %zu bytes", DEBFILE_MEMBER_MAX);
		d->state = CONTROL;
		return unpack_new(tar_take, &d->tar, &d->unpack) == 0
			       ? 0
			       : err_set(err, -ERR_NOMEM, "no memory to open control.tar");
	}
	if (name.n == 0 || name.p[0] != '_' || d->left > AR_SKIPPED_MAX)
		return err_set(err, -ERR_PARSE, "there is no control.tar before what is in the package");
	d->state = SKIP;
	return 0;
}

static int open_control(struct debfile *d, const char *p, size_t n, bool last, struct err *err)
{
	int rc = unpack_feed(d->unpack, p, n, err);

	if (rc == 0 && last)
		rc = unpack_end(d->unpack, err);
	if (d->tar.done)
		return 1;
	if (rc == 0)
		return last ? err_set(err, -ERR_PARSE, "control.tar breaks off before its file 'control' ends") : 0;
	if (d->tar.err.code != 0) { /* ours, which unpack only passed on */
		if (err != NULL)
			*err = d->tar.err;
		return rc;
	}
	if (err != NULL)
		(void)err_wrap(err, "control.tar");
	return rc;
}

static int end_member(struct debfile *d)
{
	d->state = HEADER;
	d->have = 0;
	return 0;
}

/* Bytes of a member. */
static int body(struct debfile *d, const char *p, size_t n, struct err *err)
{
	int rc = 0;

	d->left -= (int64_t)n;
	if (d->state == VERSION) {
		for (size_t i = 0; i < n && d->have < 2; i++)
			d->head[d->have++] = p[i];
		if (d->have == 2 && memcmp(d->head, "2.", 2) != 0)
			return err_set(err, -ERR_UNSUPPORTED, "the package is not of version 2 of the format");
	} else if (d->state == CONTROL) {
		rc = open_control(d, p, n, d->left == 0, err);
	}
	return rc;
}

int debfile_feed(struct debfile *d, const char *p, size_t n, struct err *err)
{
	int rc = 0;

	while (rc == 0 && n > 0) {
		size_t want = d->state == MAGIC ? sizeof(AR_MAGIC) - 1 : AR_HEADER, take;

		if (d->state == MAGIC || d->state == HEADER) {
			if (d->state == HEADER && d->pad) {
				take = 1;
				d->pad = false;
			} else {
				take = MIN(n, want - d->have);
				memcpy(d->head + d->have, p, take);
				d->have += take;
				if (d->have == want && d->state == HEADER)
					rc = member(d, err);
				else if (d->have == want)
					rc = memcmp(d->head, AR_MAGIC, want) == 0 ? end_member(d) : not_a_package(err);
			}
		} else {
			take = (size_t)MIN((int64_t)n, d->left);
			rc = body(d, p, take, err);
			if (rc == 0 && d->left == 0)
				(void)end_member(d);
		}
		p += take;
		n -= take;
		/* One without bytes has no body that could end. */
		if (rc == 0 && d->state > HEADER && d->left == 0)
			rc = d->state == CONTROL ? err_set(err, -ERR_PARSE, "control.tar is empty") : end_member(d);
	}
	return rc;
}
