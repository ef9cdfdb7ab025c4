/* The rules are createrepo_c's, so that a package that is uploaded and one that is synced are the same unit: which requirements are left out, which files are
 * primary's, how many changes there are. The file's date, which only a file system knows, is that of the build. */
#include "formats/rpm/package_file.h"

#include "formats/rpm/evr.h"
#include "formats/rpm/hashmap.h"

#include "base/check.h"

#include <string.h>

/* Tags, by rpm's numbers. */
enum {
	TAG_NAME = 1000,
	TAG_VERSION = 1001,
	TAG_RELEASE = 1002,
	TAG_EPOCH = 1003,
	TAG_SUMMARY = 1004,
	TAG_DESCRIPTION = 1005,
	TAG_BUILDTIME = 1006,
	TAG_BUILDHOST = 1007,
	TAG_SIZE = 1009,
	TAG_VENDOR = 1011,
	TAG_LICENSE = 1014,
	TAG_PACKAGER = 1015,
	TAG_GROUP = 1016,
	TAG_URL = 1020,
	TAG_ARCH = 1022,
	TAG_OLDFILENAMES = 1027,
	TAG_FILEMODES = 1030,
	TAG_FILEFLAGS = 1037,
	TAG_SOURCERPM = 1044,
	TAG_ARCHIVESIZE = 1046,
	TAG_CHANGELOGTIME = 1080,
	TAG_CHANGELOGNAME = 1081,
	TAG_CHANGELOGTEXT = 1082,
	TAG_DIRINDEXES = 1116,
	TAG_BASENAMES = 1117,
	TAG_DIRNAMES = 1118,
	TAG_LONGSIZE = 5009,
	TAG_LONGARCHIVESIZE = 271,
	SIGTAG_LONGARCHIVESIZE = 271,
	SIGTAG_PAYLOADSIZE = 1007,
};

#define FLAG_GHOST (1 << 6)
#define MODE_KIND 0170000
#define MODE_DIR 0040000
/* RPMSENSE_PREREQ, _SCRIPT_PRE, _SCRIPT_POST */
#define SENSE_PRE ((1 << 6) | (1 << 9) | (1 << 10))
#define CHANGES_MAX 10

static const struct {
	uint32_t name, flags, version;
} relation_tags[RPM_RELATION_COUNT] = {
	[RPM_REQUIRES] = {1049, 1048, 1050},
	[RPM_PROVIDES] = {1047, 1112, 1113},
	[RPM_CONFLICTS] = {1054, 1053, 1055},
	[RPM_OBSOLETES] = {1090, 1114, 1115},
	[RPM_SUGGESTS] = {5049, 5051, 5050},
	[RPM_ENHANCES] = {5055, 5057, 5056},
	[RPM_RECOMMENDS] = {5046, 5048, 5047},
	[RPM_SUPPLEMENTS] = {5052, 5054, 5053},
};

struct reading {
	struct package_file *f;
	const struct rpm_front *front;
	struct hashmap own;      /* paths of its files */
	struct hashmap provided; /* name, flags and version of what it provides */
	struct hashmap required; /* of what is required already */
	struct buf scratch;
	struct err *err;
};

static int no_memory(struct reading *r)
{
	return err_set(r->err, -ERR_LIMIT, "it is larger than can be read");
}

/* ---- texts ---- */

/* As XML can hold it: UTF-8 without control characters. Other bytes are taken for Latin-1, as old packages have it. */
static int text(struct reading *r, struct slice s, struct slice *out)
{
	bool utf8 = slice_is_utf8(s);
	struct buf *b = &r->scratch;
	char *copy;

	*out = SLICE_NULL;
	if (s.p == NULL)
		return 0;
	buf_reset(b);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		char two[] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};

		if (c >= 0x80 && !utf8)
			buf_add(b, two, 2);
		else if (c >= 0x20 || c == '\t' || c == '\n' || c == '\r')
			buf_add(b, &s.p[i], 1);
	}
	copy = b->failed == 0 ? arena_strdup(&r->f->arena, b->n > 0 ? buf_slice(b) : SLICE("")) : NULL;
	if (copy == NULL)
		return no_memory(r);
	*out = slice_str(copy);
	return 0;
}

static int tag_text(struct reading *r, uint32_t tag, struct slice *out)
{
	return text(r, header_string(&r->front->header, tag, 0), out);
}

/* ---- what every package has ---- */

/* Names and versions become parts of a key that line ends separate, and of file names. */
static bool is_word(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '/' || s.p[i] == '\\')
			return false;
	return s.n > 0 && s.n <= 512;
}

static int read_identity(struct reading *r)
{
	const struct header *h = &r->front->header;
	struct rpm_package *p = &r->f->p;
	int64_t epoch = 0;
	char *z;
	int rc;

	if ((rc = tag_text(r, TAG_NAME, &p->name)) != 0 || (rc = tag_text(r, TAG_VERSION, &p->version)) != 0 ||
		(rc = tag_text(r, TAG_RELEASE, &p->release)) != 0 || (rc = tag_text(r, TAG_ARCH, &p->arch)) != 0 ||
		(rc = tag_text(r, TAG_SOURCERPM, &p->sourcerpm)) != 0)
		return rc;
	if (p->sourcerpm.n == 0) /* it is one itself */
		p->arch = SLICE("src");
	(void)header_number(h, TAG_EPOCH, &epoch);
	z = arena_printf(&r->f->arena, "%lld", (long long)epoch);
	if (z == NULL)
		return no_memory(r);
	p->epoch = slice_str(z);
	if (!is_word(p->name) || !is_word(p->version) || !is_word(p->release) || !is_word(p->arch))
		return err_set(r->err, -ERR_PARSE, "its header has no name, version, release or architecture");
	return 0;
}

static int64_t number(const struct header *h, uint32_t tag, uint32_t other)
{
	int64_t v;

	return header_number(h, tag, &v) || header_number(h, other, &v) ? v : 0;
}

static int read_facts(struct reading *r)
{
	const struct header *h = &r->front->header;
	struct rpm_package *p = &r->f->p;
	const struct {
		uint32_t tag;
		struct slice *to;
	} texts[] = {{TAG_SUMMARY, &p->summary}, {TAG_DESCRIPTION, &p->description}, {TAG_URL, &p->url},
		{TAG_LICENSE, &p->license}, {TAG_VENDOR, &p->vendor}, {TAG_GROUP, &p->group},
		{TAG_PACKAGER, &p->packager}, {TAG_BUILDHOST, &p->buildhost}};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(texts); i++)
		rc = tag_text(r, texts[i].tag, texts[i].to);
	p->time_build = number(h, TAG_BUILDTIME, TAG_BUILDTIME);
	p->time_file = p->time_build;
	p->size_installed = number(h, TAG_SIZE, TAG_LONGSIZE);
	p->size_archive = number(h, TAG_ARCHIVESIZE, TAG_LONGARCHIVESIZE);
	if (p->size_archive == 0)
		p->size_archive = number(&r->front->signature, SIGTAG_PAYLOADSIZE, SIGTAG_LONGARCHIVESIZE);
	p->header_start = r->front->header_start;
	p->header_end = r->front->header_end;
	return rc;
}

/* ---- files ---- */

static bool is_primary(struct slice path)
{
	return slice_starts(path, SLICE("/etc/")) || slice_eq(path, SLICE("/usr/lib/sendmail")) ||
	       (path.n > 0 && strstr(path.p, "bin/") != NULL);
}

static void add_primary_file(struct buf *b, const char *type, struct slice path)
{
	size_t cut = (size_t)(slice_rchr(path, '/') + 1);

	buf_adds(b, b->n > 0 ? ",[" : "[");
	rpm_json_text(b, type != NULL ? slice_str(type) : SLICE_NULL);
	buf_adds(b, ",");
	rpm_json_text(b, slice_of(path.p, cut));
	buf_adds(b, ",");
	rpm_json_text(b, slice_of(path.p + cut, path.n - cut));
	buf_adds(b, "]");
}

static int add_file(struct reading *r, struct slice path, int64_t mode, int64_t flags)
{
	struct buf *b = &r->f->files;
	const char *type;
	uint64_t *own = hashmap_at(&r->own, path);

	if (own == NULL)
		return no_memory(r);
	*own = 1;
	type = (mode & MODE_KIND) == MODE_DIR ? "dir" : (flags & FLAG_GHOST) != 0 ? "ghost" : NULL;
	if (type != NULL)
		buf_addf(b, "<file type=\"%s\">", type);
	else
		buf_adds(b, "<file>");
	xml_add(b, path);
	buf_adds(b, "</file>\n");
	if (is_primary(path))
		add_primary_file(&r->f->primary_files, type, path);
	return b->failed != 0 || r->f->primary_files.failed != 0 ? no_memory(r) : 0;
}

/* Directories are listed once, and files name theirs by its number. */
static int read_dirs(struct reading *r, struct slice **dirs, uint32_t *count)
{
	struct header_strings s = header_strings(&r->front->header, TAG_DIRNAMES);
	uint32_t max = header_count(&r->front->header, TAG_DIRNAMES);
	int rc = 0;

	*count = 0;
	*dirs = arena_alloc(&r->f->arena, MAX((size_t)max, 1) * sizeof(**dirs));
	if (*dirs == NULL)
		return no_memory(r);
	while (rc == 0 && *count < max && header_next(&s, &(*dirs)[*count])) {
		rc = text(r, (*dirs)[*count], &(*dirs)[*count]);
		++*count;
	}
	return rc;
}

static int read_files(struct reading *r)
{
	const struct header *h = &r->front->header;
	bool old = header_count(h, TAG_BASENAMES) == 0;
	struct header_strings names = header_strings(h, old ? TAG_OLDFILENAMES : TAG_BASENAMES);
	struct header_numbers modes = header_numbers(h, TAG_FILEMODES), flags = header_numbers(h, TAG_FILEFLAGS),
			      places = header_numbers(h, TAG_DIRINDEXES);
	struct buf path = BUF_INIT(65536);
	struct slice *dirs, name, whole;
	uint32_t dir_count;
	int64_t dir, mode, flag;
	int rc = read_dirs(r, &dirs, &dir_count);

	for (uint32_t i = 0; rc == 0 && header_next(&names, &name); i++) {
		mode = flag = 0;
		(void)header_value(&modes, i, &mode);
		(void)header_value(&flags, i, &flag);
		buf_reset(&path);
		if (!old && header_value(&places, i, &dir) && dir < dir_count)
			buf_add_slice(&path, dirs[dir]);
		buf_add_slice(&path, name);
		rc = path.failed == 0 ? text(r, buf_slice(&path), &whole) : no_memory(r);
		if (rc == 0 && whole.n > 0)
			rc = add_file(r, whole, mode, flag);
	}
	buf_fini(&path);
	return rc;
}

/* ---- relations ---- */

/* What is said of one, in the terms of primary.xml. */
struct relation {
	struct slice name, version; /* version: "epoch:version-release" */
	const char *flags;
	int64_t sense;
	bool pre;
};

static const char *flags_of(int64_t sense)
{
	switch (sense & 0xf) {
	case 2:
		return "LT";
	case 4:
		return "GT";
	case 8:
		return "EQ";
	case 10:
		return "LE";
	case 12:
		return "GE";
	default:
		return NULL;
	}
}

static void add_relation(struct buf *b, const struct relation *l)
{
	struct slice epoch = SLICE_NULL, version = l->version, release = SLICE_NULL;
	ptrdiff_t at;

	buf_adds(b, b->n > 0 ? ",[" : "[");
	rpm_json_text(b, l->name);
	buf_adds(b, ",");
	rpm_json_text(b, slice_str(l->flags));
	if (version.n == 0) {
		version = SLICE_NULL;
	} else {
		epoch = SLICE("0");
		if ((at = slice_chr(version, ':')) > 0) {
			epoch = slice_of(version.p, (size_t)at);
			version = slice_of(version.p + at + 1, version.n - (size_t)at - 1);
		}
		if ((at = slice_chr(version, '-')) >= 0) {
			release = slice_of(version.p + at + 1, version.n - (size_t)at - 1);
			version.n = (size_t)at;
		}
	}
	buf_adds(b, ",");
	rpm_json_text(b, epoch);
	buf_adds(b, ",");
	rpm_json_text(b, version);
	buf_adds(b, ",");
	rpm_json_text(b, release);
	buf_adds(b, l->pre ? ",true]" : ",false]");
}

/* "name flags version", as a key. NULL: no memory. */
static uint64_t *seen(struct reading *r, struct hashmap *m, const struct relation *l)
{
	buf_reset(&r->scratch);
	buf_addf(&r->scratch, "%.*s\n%s\n%.*s\n%d", SLICE_ARG(l->name), l->flags != NULL ? l->flags : "",
		SLICE_ARG(l->version), l->pre);
	return r->scratch.failed == 0 ? hashmap_at(m, buf_slice(&r->scratch)) : NULL;
}

/* Of the many "libc.so.6(GLIBC_2.4)(64bit)" only the one of the highest version stays. */
static struct slice glibc_of(struct slice name)
{
	const char *at = name.n > 0 ? strstr(name.p, "GLIBC_") : NULL;

	return at != NULL ? slice_of(at + 6, strcspn(at + 6, ")")) : SLICE("");
}

/* 1: it is left out. */
static int is_left_out(struct reading *r, const struct relation *l)
{
	struct relation plain = *l;
	uint64_t *there;

	plain.pre = false;
	if (slice_starts(l->name, SLICE("rpmlib(")))
		return 1;
	if (l->name.n > 0 && l->name.p[0] == '/' && hashmap_has(&r->own, l->name) && is_primary(l->name))
		return 1;
	there = seen(r, &r->provided, &plain);
	if (there == NULL)
		return no_memory(r);
	if (*there != 0)
		return 1;
	there = seen(r, &r->required, l);
	if (there == NULL)
		return no_memory(r);
	if (*there != 0)
		return 1;
	*there = 1;
	return 0;
}

static int take_requirement(struct reading *r, struct relation *l, struct relation *libc)
{
	int rc;

	l->pre = (l->sense & SENSE_PRE) != 0;
	rc = is_left_out(r, l);
	if (rc != 0)
		return MIN(rc, 0);
	if (!slice_starts(l->name, SLICE("libc.so.6")))
		add_relation(&r->f->relations[RPM_REQUIRES], l);
	else if (libc->name.p == NULL || evr_segments(glibc_of(l->name), glibc_of(libc->name)) > 0)
		*libc = *l;
	return 0;
}

static int take_relation(struct reading *r, enum rpm_relation kind, struct relation *l, struct relation *libc)
{
	uint64_t *there;

	if (kind == RPM_REQUIRES)
		return take_requirement(r, l, libc);
	if (kind == RPM_PROVIDES) {
		there = seen(r, &r->provided, l);
		if (there == NULL)
			return no_memory(r);
		*there = 1;
	}
	add_relation(&r->f->relations[kind], l);
	return 0;
}

static int read_relations(struct reading *r, enum rpm_relation kind)
{
	const struct header *h = &r->front->header;
	struct header_strings names = header_strings(h, relation_tags[kind].name),
			      versions = header_strings(h, relation_tags[kind].version);
	struct header_numbers senses = header_numbers(h, relation_tags[kind].flags);
	struct relation libc = {.sense = 0};
	struct slice name, version;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && header_next(&names, &name) && header_next(&versions, &version); i++) {
		struct relation l = {.sense = 0};

		(void)header_value(&senses, i, &l.sense);
		l.flags = flags_of(l.sense);
		if ((rc = text(r, name, &l.name)) == 0 && (rc = text(r, version, &l.version)) == 0)
			rc = take_relation(r, kind, &l, &libc);
	}
	if (libc.name.p != NULL)
		add_relation(&r->f->relations[kind], &libc);
	return rc == 0 && r->f->relations[kind].failed != 0 ? no_memory(r) : rc;
}

/* ---- changes ---- */

/* The newest ones, which come first in the header, the oldest of them first. Of two at one moment the older one gets a later time: so does createrepo_c. */
static int read_changes(struct reading *r)
{
	struct header_strings names = header_strings(&r->front->header, TAG_CHANGELOGNAME),
			      texts = header_strings(&r->front->header, TAG_CHANGELOGTEXT);
	struct header_numbers times = header_numbers(&r->front->header, TAG_CHANGELOGTIME);
	struct {
		struct slice name, text;
		int64_t time;
	} all[CHANGES_MAX];
	struct slice name, change;
	struct buf *b = &r->f->changes;
	int64_t last = 0;
	uint32_t n = 0;
	int rc = 0;

	while (rc == 0 && n < CHANGES_MAX && header_next(&names, &name) && header_next(&texts, &change) &&
		header_value(&times, n, &all[n].time)) {
		if ((rc = text(r, slice_trim(name), &all[n].name)) == 0)
			rc = text(r, change, &all[n].text);
		if (n > 0 && last == all[n].time) {
			int64_t later = last;

			for (uint32_t i = n; i-- > 0 && all[i].time == later;)
				all[i].time = ++later;
		}
		last = all[n++].time;
	}
	while (n-- > 0) {
		buf_adds(b, "<changelog author=\"");
		xml_add(b, all[n].name);
		buf_addf(b, "\" date=\"%lld\">", (long long)all[n].time);
		xml_add(b, all[n].text);
		buf_adds(b, "</changelog>\n");
	}
	return rc == 0 && b->failed != 0 ? no_memory(r) : rc;
}

/* ---- from begin to end ---- */

static int read_package(struct reading *r)
{
	struct rpm_package *p = &r->f->p;
	int rc = read_identity(r);

	if (rc == 0)
		rc = read_facts(r);
	if (rc == 0)
		rc = read_files(r);
	if (rc == 0)
		rc = read_relations(r, RPM_PROVIDES); /* what is provided is not required */
	for (int i = 0; rc == 0 && i < RPM_RELATION_COUNT; i++)
		rc = i != RPM_PROVIDES ? read_relations(r, (enum rpm_relation)i) : 0;
	if (rc == 0)
		rc = read_changes(r);
	for (int i = 0; i < RPM_RELATION_COUNT; i++)
		p->relations[i] = buf_slice(&r->f->relations[i]);
	p->files = buf_slice(&r->f->primary_files);
	return rc;
}

int package_file_read(struct package_file *f, header_read_fn *read, void *arg, struct err *err)
{
	struct rpm_front front;
	struct reading r = {.f = f, .front = &front, .scratch = BUF_INIT(PACKAGE_FILE_MAX), .err = err};
	int rc;

	*f = (struct package_file){.p.size_package = -1};
	arena_init(&f->arena, PACKAGE_FILE_MAX);
	f->files.max = f->changes.max = f->primary_files.max = PACKAGE_FILE_MAX;
	for (int i = 0; i < RPM_RELATION_COUNT; i++)
		f->relations[i].max = PACKAGE_FILE_MAX;
	rc = header_read(&front, read, arg, err);
	if (rc == 0)
		rc = read_package(&r);
	header_fini(&front);
	hashmap_fini(&r.own);
	hashmap_fini(&r.provided);
	hashmap_fini(&r.required);
	buf_fini(&r.scratch);
	return rc;
}

void package_file_fini(struct package_file *f)
{
	for (int i = 0; i < RPM_RELATION_COUNT; i++)
		buf_fini(&f->relations[i]);
	buf_fini(&f->primary_files);
	buf_fini(&f->files);
	buf_fini(&f->changes);
	arena_fini(&f->arena);
}
