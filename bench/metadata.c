/* Makes the metadata of a repository of any size, the same bytes each time:
 *
 *   metadata rpm|deb|file DIRECTORY PACKAGES CHANGED
 *
 * CHANGED of them, spread evenly, are another build than with CHANGED = 0. A package is as large as Fedora's and Debian's are on average:
 *
 *   rpm   repodata/: repomd.xml; primary 2.3 KiB, filelists 10 KiB, other 1.5 KiB a package, zstd as Fedora has it
 *   deb   InRelease and main/binary-amd64/Packages.xz, 750 bytes a package
 *   file  PULP_MANIFEST
 *
 * What belongs to a package comes from a generator that begins with its number: names, relations and file lists differ from package to package as
 * they do in life, and none depends on how many there are. */
#include "base/digest.h"
#include "tool.h"

#include <errno.h>
#include <lzma.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define PACKAGES_MAX 10000000 /* a letter of the alphabet for every 400,000 */
#define PIECE ((size_t)1 << 20)
#define ROOM ((size_t)64 << 10) /* of one line */

/* ---- what is written ---- */

enum packing { PLAIN, XZ, ZST };

/* A file that is written in order, and what is told of it elsewhere. */
struct out {
	FILE *f;
	enum packing packing;
	ZSTD_CCtx *zstd;
	lzma_stream xz;
	char *text; /* PIECE + ROOM: not packed yet */
	size_t n;
	struct hasher *open_hasher, *hasher;
	int64_t open_size, size;
	char open_sha256[DIGEST_HEX_MAX], sha256[DIGEST_HEX_MAX];
};

static void put(struct out *o, const void *p, size_t n)
{
	if (n > 0 && fwrite(p, 1, n, o->f) != n)
		tool_die("writing: %m");
	hasher_add(o->hasher, p, n);
	o->size += (int64_t)n;
}

static void flush_zst(struct out *o, bool last, char *packed)
{
	ZSTD_inBuffer in = {o->text, o->n, 0};
	size_t left;

	do {
		ZSTD_outBuffer to = {packed, PIECE, 0};

		left = ZSTD_compressStream2(o->zstd, &to, &in, last ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			tool_die("zstd: %s", ZSTD_getErrorName(left));
		put(o, packed, to.pos);
	} while (last ? left > 0 : in.pos < in.size);
}

static void flush_xz(struct out *o, bool last, char *packed)
{
	lzma_ret rc;

	o->xz.next_in = (const uint8_t *)o->text;
	o->xz.avail_in = o->n;
	do {
		o->xz.next_out = (uint8_t *)packed;
		o->xz.avail_out = PIECE;
		rc = lzma_code(&o->xz, last ? LZMA_FINISH : LZMA_RUN);
		if (rc != LZMA_OK && rc != LZMA_STREAM_END)
			tool_die("xz: error %d", (int)rc);
		put(o, packed, PIECE - o->xz.avail_out);
	} while (last ? rc != LZMA_STREAM_END : o->xz.avail_in > 0);
}

static void flush(struct out *o, bool last)
{
	static char packed[PIECE];

	hasher_add(o->open_hasher, o->text, o->n);
	o->open_size += (int64_t)o->n;
	if (o->packing == ZST)
		flush_zst(o, last, packed);
	else if (o->packing == XZ)
		flush_xz(o, last, packed);
	else
		put(o, o->text, o->n);
	o->n = 0;
}

static void out_begin(struct out *o, const char *path, enum packing packing)
{
	*o = (struct out){.packing = packing, .text = tool_alloc(PIECE + ROOM), .xz = LZMA_STREAM_INIT};
	o->f = fopen(path, "we");
	if (o->f == NULL)
		tool_die("%s: %m", path);
	if (hasher_new(1u << DIGEST_SHA256, &o->hasher) != 0 || hasher_new(1u << DIGEST_SHA256, &o->open_hasher) != 0)
		tool_die("out of memory");
	if (packing == ZST) {
		o->zstd = ZSTD_createCCtx();
		if (o->zstd == NULL || ZSTD_isError(ZSTD_CCtx_setParameter(o->zstd, ZSTD_c_compressionLevel, 1)))
			tool_die("out of memory");
	} else if (packing == XZ && lzma_easy_encoder(&o->xz, 1, LZMA_CHECK_CRC64) != LZMA_OK) {
		tool_die("out of memory");
	}
}

static void end_hasher(struct hasher **h, char out[DIGEST_HEX_MAX])
{
	struct digests ds;

	hasher_end(*h, &ds);
	(void)digest_hex(DIGEST_SHA256, ds.d[DIGEST_SHA256], out);
	hasher_free(h);
}

static void out_end(struct out *o)
{
	flush(o, true);
	end_hasher(&o->hasher, o->sha256);
	end_hasher(&o->open_hasher, o->open_sha256);
	if (fclose(o->f) != 0)
		tool_die("closing: %m");
	ZSTD_freeCCtx(o->zstd);
	lzma_end(&o->xz);
	free(o->text);
}

__attribute__((format(printf, 2, 3))) static void say(struct out *o, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(o->text + o->n, ROOM, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= ROOM)
		tool_die("a line is too long");
	o->n += (size_t)n;
	if (o->n >= PIECE)
		flush(o, false);
}

/* ---- what a package is ---- */

struct package {
	int number;
	bool changed;
	uint64_t state; /* of the generator */
	char name[64], sha256[65];
};

/* splitmix64 */
static uint64_t next(struct package *p)
{
	uint64_t z = p->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static int below(struct package *p, int n)
{
	return (int)(next(p) % (uint64_t)n);
}

static const char *word(struct package *p)
{
	static const char *const words[] = {"lib", "core", "data", "python", "perl", "test", "util", "gtk", "qt", "net",
		"image", "sound", "font", "lang", "common", "devel", "doc", "server", "client", "plugin", "theme",
		"json", "xml", "http", "crypto", "math", "graph", "kernel", "module", "tools", "extra", "base"};

	return words[below(p, (int)(sizeof(words) / sizeof(words[0])))];
}

static void name_of(int number, char out[64])
{
	struct package p = {.state = (uint64_t)number};
	const char *first = word(&p), *second = word(&p);

	/* In the order in which indexes have them. */
	(void)snprintf(out, 64, "%c%07d-%s-%s", 'a' + number / 400000, number, first, second);
}

static int changed_every; /* 0: none is */

static void package_of(struct package *p, int number)
{
	bool changed = changed_every > 0 && number % changed_every == 0;

	*p = (struct package){.number = number, .changed = changed, .state = (uint64_t)number * 4 + changed};
	for (int i = 0; i < 4; i++)
		(void)snprintf(p->sha256 + (ptrdiff_t)16 * i, 17, "%016llx", (unsigned long long)next(p));
	p->state = (uint64_t)number; /* a new build says the same of itself */
	name_of(number, p->name);
}

static const char *version_of(const struct package *p)
{
	return p->changed ? "2.0" : "1.0";
}

/* ---- rpm ---- */

static void say_relations(struct out *o, struct package *p, const char *what, int count, bool versions)
{
	char name[64];

	if (count == 0)
		return;
	say(o, "    <rpm:%s>\n", what);
	for (int i = 0; i < count; i++) {
		name_of(below(p, p->number + 1), name);
		if (below(p, 2) == 0)
			say(o, "      <rpm:entry name=\"lib%s.so.%d()(64bit)\"/>\n", name, below(p, 9));
		else if (versions)
			say(o,
				"      <rpm:entry name=\"%s\" flags=\"EQ\" epoch=\"0\" ver=\"%d.%d\" "
				"rel=\"%d.fc41\"/>\n",
				name, below(p, 9), below(p, 9), below(p, 9));
		else
			say(o, "      <rpm:entry name=\"%s\"/>\n", name);
	}
	say(o, "    </rpm:%s>\n", what);
}

static void say_words(struct out *o, struct package *p, int count)
{
	for (int i = 0; i < count; i++)
		say(o, "%s%s", i > 0 ? " " : "", word(p));
}

static void say_primary(struct out *o, struct package *p)
{
	const char *v = version_of(p);

	say(o,
		"<package type=\"rpm\">\n  <name>%s</name>\n  <arch>x86_64</arch>\n  <version epoch=\"0\" ver=\"%s\" "
		"rel=\"1.fc41\"/>\n  <checksum type=\"sha256\" pkgid=\"YES\">%s</checksum>\n  <summary>",
		p->name, v, p->sha256);
	say_words(o, p, 6);
	say(o, "</summary>\n  <description>");
	say_words(o, p, 20 + below(p, 60));
	say(o,
		"</description>\n  <packager>Some Project</packager>\n  <url>https://example.org/%s</url>\n  <time "
		"file=\"17%08d\" build=\"17%08d\"/>\n  <size package=\"%d\" installed=\"%d\" archive=\"%d\"/>\n  "
		"<location "
		"href=\"Packages/%c/%s-%s-1.fc41.x86_64.rpm\"/>\n  <format>\n    "
		"<rpm:license>GPL-2.0-or-later</rpm:license>\n    <rpm:vendor>Some Project</rpm:vendor>\n    "
		"<rpm:group>Unspecified</rpm:group>\n    <rpm:buildhost>build-%d.example.org</rpm:buildhost>\n    "
		"<rpm:sourcerpm>%s-%s-1.fc41.src.rpm</rpm:sourcerpm>\n    <rpm:header-range start=\"4504\" "
		"end=\"%d\"/>\n",
		p->name, p->number, p->number, 1000 + p->number, 4000 + p->number, 4100 + p->number, p->name[0],
		p->name, v, p->number % 40, p->name, v, 9000 + p->number % 5000);
	say_relations(o, p, "provides", 2 + below(p, 6), true);
	say_relations(o, p, "requires", 4 + below(p, 14), false);
	say_relations(o, p, "recommends", below(p, 2), false);
	for (int i = below(p, 4); i > 0; i--)
		say(o, "    <file>/usr/bin/%s-%s</file>\n", p->name, word(p));
	say(o, "  </format>\n</package>\n");
}

static void say_list_head(struct out *o, const struct package *p)
{
	say(o,
		"<package pkgid=\"%s\" name=\"%s\" arch=\"x86_64\">\n  <version epoch=\"0\" ver=\"%s\" "
		"rel=\"1.fc41\"/>\n",
		p->sha256, p->name, version_of(p));
}

/* Most packages have a few files, and one of a hundred some thousands. */
static void say_filelist(struct out *o, struct package *p)
{
	int count = below(p, 100) == 0 ? 2000 + below(p, 8000)
		    : below(p, 3) == 0 ? 50 + below(p, 260)
				       : 2 + below(p, 56);

	say_list_head(o, p);
	for (int i = 0; i < count; i++) {
		const char *a = word(p), *b = word(p), *c = word(p);

		if (i % 10 == 9)
			say(o, "  <file type=\"dir\">/usr/share/%s/%s/%s</file>\n", p->name, a, b);
		else
			say(o, "  <file>/usr/share/%s/%s/%s/%s%d.so</file>\n", p->name, a, b, c, i);
	}
	say(o, "</package>\n");
}

static void say_changelog(struct out *o, struct package *p)
{
	say_list_head(o, p);
	for (int i = 0; i < 10; i++) {
		say(o, "  <changelog author=\"Some Body &lt;some.body@example.org&gt; - 1.%d-1\" date=\"16%08d\">- ", i,
			p->number + i);
		say_words(o, p, 4 + below(p, 10));
		say(o, "</changelog>\n");
	}
	say(o, "</package>\n");
}

static void make_list(struct out *o, const char *path, const char *head, const char *root, int count,
	void (*one)(struct out *o, struct package *p))
{
	struct package p;

	out_begin(o, path, ZST);
	say(o, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<%s packages=\"%d\">\n", head, count);
	for (int i = 0; i < count; i++) {
		package_of(&p, i);
		one(o, &p);
	}
	say(o, "</%s>\n", root);
	out_end(o);
}

static void say_row(struct out *o, const char *type, const struct out *of)
{
	say(o,
		"<data type=\"%s\"><checksum type=\"sha256\">%s</checksum><open-checksum "
		"type=\"sha256\">%s</open-checksum>"
		"<location "
		"href=\"repodata/%s.xml.zst\"/><timestamp>1700000000</timestamp><size>%lld</size><open-size>%lld"
		"</open-size></data>\n",
		type, of->sha256, of->open_sha256, type, (long long)of->size, (long long)of->open_size);
}

static void make_rpm(int count)
{
	struct out primary, filelists, other, repomd;

	if (mkdir("repodata", 0777) != 0 && errno != EEXIST)
		tool_die("repodata: %m");
	make_list(&primary, "repodata/primary.xml.zst",
		"metadata xmlns=\"http://linux.duke.edu/metadata/common\" "
		"xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\"",
		"metadata", count, say_primary);
	make_list(&filelists, "repodata/filelists.xml.zst",
		"filelists xmlns=\"http://linux.duke.edu/metadata/filelists\"", "filelists", count, say_filelist);
	make_list(&other, "repodata/other.xml.zst", "otherdata xmlns=\"http://linux.duke.edu/metadata/other\"",
		"otherdata", count, say_changelog);
	out_begin(&repomd, "repodata/repomd.xml", PLAIN);
	say(&repomd,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\" "
		"xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\"><revision>1</revision>\n");
	say_row(&repomd, "primary", &primary);
	say_row(&repomd, "filelists", &filelists);
	say_row(&repomd, "other", &other);
	say(&repomd, "</repomd>\n");
	out_end(&repomd);
}

/* ---- deb ---- */

static void say_stanza(struct out *o, struct package *p)
{
	char a[64], b[64], c[64];

	name_of(p->number / 2, a);
	name_of(p->number / 3, b);
	name_of(p->number / 5, c);
	say(o,
		"Package: %s\nSource: source-%d\nVersion: %s-%d\nInstalled-Size: %d\nMaintainer: Some Body "
		"<some.body@example.org>\nArchitecture: amd64\nDepends: libc6 (>= 2.36), libgcc-s1 (>= 3.0), %s, %s "
		"(>= 1.0) "
		"| %s\nDescription: ",
		p->name, p->number / 3, version_of(p), p->number % 7, p->number, a, b, c);
	say_words(o, p, 7);
	say(o,
		"\nHomepage: https://example.org/%s\nDescription-md5: %.32s\nTag: role::program, "
		"interface::commandline, "
		"use::%s\nSection: misc\nPriority: optional\nMulti-Arch: foreign\nFilename: "
		"pool/main/%c/%s/%s_%s_amd64.deb\nSize: %d\nMD5sum: %.32s\nSHA256: %s\n\n",
		p->name, p->sha256 + 32, word(p), p->name[0], p->name, p->name, version_of(p), 1000 + p->number,
		p->sha256, p->sha256);
}

static void make_deb(int count)
{
	struct out packages, release;
	struct package p;

	out_begin(&packages, "Packages.xz", XZ);
	for (int i = 0; i < count; i++) {
		package_of(&p, i);
		say_stanza(&packages, &p);
	}
	out_end(&packages);
	out_begin(&release, "InRelease", PLAIN);
	say(&release,
		"Suite: s\nCodename: s\nArchitectures: amd64\nComponents: main\nAcquire-By-Hash: yes\nSHA256:\n %s "
		"%lld "
		"main/binary-amd64/Packages\n %s %lld main/binary-amd64/Packages.xz\n",
		packages.open_sha256, (long long)packages.open_size, packages.sha256, (long long)packages.size);
	out_end(&release);
}

/* ---- file ---- */

static void make_file(int count)
{
	struct out manifest;
	struct package p;

	out_begin(&manifest, "PULP_MANIFEST", PLAIN);
	for (int i = 0; i < count; i++) {
		package_of(&p, i);
		say(&manifest, "files/%03d/%s.bin,%s,%d\n", i / 1000, p.name, p.sha256, 1000 + i);
	}
	out_end(&manifest);
}

int main(int argc, char **argv)
{
	int count, changed;

	if (argc != 5)
		tool_die("usage: metadata rpm|deb|file DIRECTORY PACKAGES CHANGED");
	count = (int)tool_number("PACKAGES", slice_str(argv[3]), PACKAGES_MAX);
	changed = (int)tool_number("CHANGED", slice_str(argv[4]), count);
	changed_every = changed > 0 ? count / changed : 0;
	if (chdir(argv[2]) != 0)
		tool_die("%s: %m", argv[2]);
	if (strcmp(argv[1], "rpm") == 0)
		make_rpm(count);
	else if (strcmp(argv[1], "deb") == 0)
		make_deb(count);
	else if (strcmp(argv[1], "file") == 0)
		make_file(count);
	else
		tool_die("'%s' is no format that is known here", argv[1]);
	return 0;
}
