/* Publications.
 *
 * verbatim    a version holds upstream's own files under upstream's paths: there is nothing to write
 * structured  indexes of our own, from what the version holds: for each distribution a Release, and below it Packages for each
 *             component and architecture. A package is where the units that say so put it
 * simple      one distribution `default` with one component `all`, in which every package is
 *
 * The indexes are made in one walk over the packages, each in a temporary file of its own; packages for all architectures
 * are written once, and added to every index of their component when that is published. */
#include "formats/deb/deb_format.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/fsutil.h"
#include "base/slice.h"
#include "formats/deb/package.h"
#include "formats/deb/select.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define PIECE 65536
#define PLACES_MAX 1024
#define INDEXES_MAX 512 /* each holds a descriptor */
#define PATH_CAP 4400

/* A component of a distribution. */
struct place {
	char *distribution, *component;
};

/* What a version says of one of its packages: hash of its path, and a place. */
struct member {
	uint64_t package;
	size_t place;
};

struct index {
	size_t place;
	char *architecture;
	FILE *file; /* NULL: no packages */
};

struct publishing {
	const struct sluice_publish_host *h;
	struct sluice_publish *p;
	bool structured, simple, upstream_fields;
	struct place *places;
	size_t place_count;
	struct member *members; /* sorted */
	size_t member_count, member_cap;
	struct index *indexes;
	size_t index_count;
	json_t *releases; /* what upstream's Release files say, by distribution */
	struct buf stanza;
	/* of the distribution that is being written: */
	struct buf list;
};

static int no_memory(struct publishing *x)
{
	return x->h->fail(x->p, "no memory for a publication");
}

int deb_publish_verbatim(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	(void)h;
	(void)p;
	return 0;
}

/* ---- what the version says ---- */

static int find_place(struct publishing *x, const char *distribution, const char *component, size_t *out)
{
	struct place *at;

	for (size_t i = 0; i < x->place_count; i++)
		if (strcmp(x->places[i].distribution, distribution) == 0 &&
			strcmp(x->places[i].component, component) == 0) {
			*out = i;
			return 0;
		}
	if (x->place_count == PLACES_MAX)
		return x->h->fail(x->p, "more than %d components of distributions", PLACES_MAX);
	at = &x->places[x->place_count];
	at->distribution = strdup(distribution);
	at->component = strdup(component);
	if (at->distribution == NULL || at->component == NULL) {
		free(at->distribution);
		free(at->component);
		return no_memory(x);
	}
	*out = x->place_count++;
	return 0;
}

static int find_index(struct publishing *x, size_t place, const char *architecture, struct index **out)
{
	struct index *at;

	for (size_t i = 0; i < x->index_count; i++)
		if (x->indexes[i].place == place && strcmp(x->indexes[i].architecture, architecture) == 0) {
			*out = &x->indexes[i];
			return 0;
		}
	if (x->index_count == INDEXES_MAX)
		return x->h->fail(x->p, "more than %d package indexes", INDEXES_MAX);
	at = &x->indexes[x->index_count];
	*at = (struct index){.place = place, .architecture = strdup(architecture)};
	if (at->architecture == NULL)
		return no_memory(x);
	x->index_count++;
	*out = at;
	return 0;
}

static int take_member(void *arg, const char *natural_key, const char *extra_json)
{
	struct publishing *x = arg;
	json_t *o = json_loads(extra_json, 0, NULL);
	const char *path = json_string_value(json_object_get(o, "path")),
		   *distribution = json_string_value(json_object_get(o, "distribution")),
		   *component = json_string_value(json_object_get(o, "component"));
	struct member *more;
	size_t place;
	int rc = 0;

	(void)natural_key;
	if (path == NULL || distribution == NULL || component == NULL)
		goto out; /* not one of ours */
	rc = find_place(x, distribution, component, &place);
	if (rc == 0 && x->member_count == x->member_cap) {
		x->member_cap = x->member_cap == 0 ? 4096 : 2 * x->member_cap;
		more = realloc(x->members, x->member_cap * sizeof(*more));
		if (more != NULL)
			x->members = more;
		rc = more != NULL ? 0 : no_memory(x);
	}
	if (rc == 0)
		x->members[x->member_count++] = (struct member){slice_hash(slice_str(path)), place};
out:
	json_decref(o);
	return rc;
}

/* Upstream's Release, for the fields that clients know it by. */
static int take_release(void *arg, const char *natural_key, const char *extra_json)
{
	struct publishing *x = arg;
	json_t *o = json_loads(extra_json, 0, NULL);
	const char *distribution = json_string_value(json_object_get(o, "distribution"));
	int rc = 0;

	(void)natural_key;
	if (distribution != NULL && json_object_set(x->releases, distribution, o) != 0)
		rc = no_memory(x);
	json_decref(o);
	return rc;
}

/* Upstream's indexes: an architecture without packages has one too, or its clients are told that there is no such. */
static int take_index(void *arg, const char *natural_key, const char *extra_json)
{
	struct publishing *x = arg;
	json_t *o = json_loads(extra_json, 0, NULL);
	const char *distribution = json_string_value(json_object_get(o, "distribution")),
		   *component = json_string_value(json_object_get(o, "component")),
		   *architecture = json_string_value(json_object_get(o, "architecture"));
	struct index *index;
	size_t place;
	int rc = 0;

	(void)natural_key;
	if (distribution != NULL && component != NULL && architecture != NULL) {
		rc = find_place(x, distribution, component, &place);
		if (rc == 0)
			rc = find_index(x, place, architecture, &index);
	}
	json_decref(o);
	return rc;
}

static int by_package(const void *a, const void *b)
{
	const struct member *m = a, *n = b;

	if (m->package != n->package)
		return m->package < n->package ? -1 : 1;
	return m->place < n->place ? -1 : m->place > n->place;
}

static int read_members(struct publishing *x)
{
	int rc = x->h->each_unit(x->p, DEB_MEMBER, take_member, x);

	if (rc == 0)
		rc = x->h->each_unit(x->p, DEB_PACKAGE_INDEX, take_index, x);
	if (rc == 0 && x->member_count > 0)
		qsort(x->members, x->member_count, sizeof(*x->members), by_package);
	return rc;
}

/* The first of a package; members of one package lie side by side. */
static size_t first_member(const struct publishing *x, uint64_t package)
{
	size_t low = 0, high = x->member_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (x->members[mid].package < package)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* ---- temporary files ---- */

/* Without a name: gone with the process, whatever becomes of it. /var/tmp is on a disk where /tmp may be memory. NULL: errno says why. */
static FILE *temporary(void)
{
	const char *dir = getenv("TMPDIR");
	char name[4096];
	int fd;
	FILE *f;

	dir = dir != NULL && dir[0] == '/' ? dir : "/var/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	/* NFS and others cannot. */
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR) &&
		snprintf(name, sizeof(name), "%s/sluice-XXXXXX", dir) < (int)sizeof(name)) {
		fd = mkostemp(name, O_CLOEXEC);
		if (fd >= 0)
			(void)unlink(name); /* without it a file stays behind, and that is all */
	}
	f = fd >= 0 ? fdopen(fd, "w+") : NULL;
	if (f == NULL)
		fs_close(&fd);
	return f;
}

/* ---- packages ---- */

static int add_to_index(struct publishing *x, size_t place, const char *architecture)
{
	struct index *index = NULL;
	int rc = find_index(x, place, architecture, &index);

	if (rc != 0 || index == NULL)
		return rc;
	if (index->file == NULL)
		index->file = temporary();
	if (index->file == NULL || fwrite(x->stanza.p, 1, x->stanza.n, index->file) != x->stanza.n)
		return x->h->fail(x->p, "a temporary file for an index cannot be written: %m");
	return 0;
}

static int take_file(void *arg, const struct sluice_file *f)
{
	struct publishing *x = arg;
	uint64_t package = slice_hash(slice_str(f->relative_path));
	char architecture[64];
	size_t place;
	bool placed;
	int rc;

	if (strcmp(f->type, DEB_PACKAGE) != 0)
		return 0;
	rc = x->h->file_unit(x->p, f, f->relative_path);
	if (rc != 0)
		return rc;
	buf_reset(&x->stanza);
	if (package_write(f, &x->stanza, architecture, sizeof(architecture)) != 0)
		return x->h->fail(x->p, "the package '%s' cannot be listed: its fields are not what they should be",
			f->relative_path);
	place = first_member(x, package);
	placed = place < x->member_count && x->members[place].package == package;
	for (size_t i = place; rc == 0 && x->structured && i < x->member_count && x->members[i].package == package; i++)
		rc = add_to_index(x, x->members[i].place, architecture);
	/* Nothing says where: uploaded, and added by itself. */
	if (rc == 0 && x->structured && !placed) {
		rc = find_place(x, DEB_UPLOAD_DISTRIBUTION, DEB_UPLOAD_COMPONENT, &place);
		if (rc == 0)
			rc = add_to_index(x, place, architecture);
	}
	if (rc == 0 && x->simple)
		rc = find_place(x, "default", "all", &place);
	if (rc == 0 && x->simple)
		rc = add_to_index(x, place, architecture);
	return rc;
}

/* ---- files ---- */

/* Publishes a temporary file, under its name and under its digest, and lists it. */
static int emit(struct publishing *x, FILE *file, const char *dist_dir, const char *name)
{
	char piece[PIECE], path[PATH_CAP], hex[DIGEST_HEX_MAX];
	const char *slash = strrchr(name, '/');
	struct digests ds;
	struct hasher *h;
	int64_t size = 0;

	if (hasher_new(0, &h) != 0)
		return no_memory(x);
	rewind(file);
	for (size_t n; (n = fread(piece, 1, sizeof(piece), file)) > 0; size += (int64_t)n)
		hasher_add(h, piece, n);
	hasher_end(h, &ds);
	hasher_free(&h);
	(void)digest_hex(DIGEST_SHA256, ds.d[DIGEST_SHA256], hex);
	for (int alias = 0; alias < 2; alias++) {
		int n = alias ? snprintf(path, sizeof(path), "%s%.*sby-hash/SHA256/%s", dist_dir,
					(int)(slash - name) + 1, name, hex)
			      : snprintf(path, sizeof(path), "%s%s", dist_dir, name);
		int rc = n < (int)sizeof(path) ? x->h->file_begin(x->p, path)
					       : x->h->fail(x->p, "the path of an index is too long");

		rewind(file);
		while (rc == 0 && (n = (int)fread(piece, 1, sizeof(piece), file)) > 0)
			rc = x->h->file_write(x->p, piece, (size_t)n);
		if (rc == 0 && ferror(file))
			rc = x->h->fail(x->p, "a temporary file for an index cannot be read: %m");
		if (rc == 0)
			rc = x->h->file_end(x->p);
		if (rc != 0)
			return rc;
	}
	return buf_addf(&x->list, " %s %lld %s\n", hex, (long long)size, name) == 0 ? 0 : no_memory(x);
}

static int copy_into(FILE *from, FILE *to)
{
	char piece[PIECE];

	rewind(from);
	for (size_t n; (n = fread(piece, 1, sizeof(piece), from)) > 0;)
		if (fwrite(piece, 1, n, to) != n)
			return -1;
	return ferror(from) ? -1 : 0;
}

/* With no name and no date in its head: the same indexes are the same bytes. */
static int compress_into(FILE *from, FILE *to)
{
	unsigned char in[PIECE], out[PIECE];
	z_stream z = {.next_in = in};
	int rc = deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), flush;

	if (rc != Z_OK)
		return -1;
	rewind(from);
	do {
		z.next_in = in;
		z.avail_in = (unsigned)fread(in, 1, sizeof(in), from);
		flush = z.avail_in < sizeof(in) ? Z_FINISH : Z_NO_FLUSH;
		do {
			z.next_out = out;
			z.avail_out = sizeof(out);
			rc = deflate(&z, flush);
			if (fwrite(out, 1, sizeof(out) - z.avail_out, to) != sizeof(out) - z.avail_out)
				rc = Z_ERRNO;
		} while (rc >= Z_OK && z.avail_out == 0);
	} while (rc >= Z_OK && flush != Z_FINISH);
	deflateEnd(&z);
	return rc == Z_STREAM_END && !ferror(from) ? 0 : -1;
}

static const struct index *index_of(const struct publishing *x, size_t place, const char *architecture)
{
	for (size_t i = 0; i < x->index_count; i++)
		if (x->indexes[i].place == place && strcmp(x->indexes[i].architecture, architecture) == 0)
			return &x->indexes[i];
	return NULL;
}

static int write_index(struct publishing *x, const char *dist_dir, size_t place, const char *architecture)
{
	const struct index *own = index_of(x, place, architecture), *all = index_of(x, place, "all");
	char name[PATH_CAP];
	FILE *plain = temporary(), *packed = temporary();
	int rc = plain != NULL && packed != NULL ? 0 : -1;

	if (rc == 0 && own != NULL && own->file != NULL)
		rc = copy_into(own->file, plain);
	if (rc == 0 && own != all && all != NULL && all->file != NULL)
		rc = copy_into(all->file, plain);
	if (rc == 0)
		rc = compress_into(plain, packed);
	if (rc != 0)
		rc = x->h->fail(x->p, "a temporary file for an index cannot be made: %m");
	(void)snprintf(name, sizeof(name), "%.2000s/binary-%.60s/Packages", component_dir(x->places[place].component),
		architecture);
	if (rc == 0)
		rc = emit(x, plain, dist_dir, name);
	(void)snprintf(name, sizeof(name), "%.2000s/binary-%.60s/Packages.gz",
		component_dir(x->places[place].component), architecture);
	if (rc == 0)
		rc = emit(x, packed, dist_dir, name);
	if (plain != NULL)
		fclose(plain);
	if (packed != NULL)
		fclose(packed);
	return rc;
}

/* ---- distributions ---- */

static bool has(const json_t *names, const char *name)
{
	const json_t *v;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)names, i, v) if (strcmp(json_string_value(v), name) == 0) return true;
	return false;
}

/* The architectures of a distribution, `all` last. */
static json_t *architectures_of(const struct publishing *x, const char *distribution)
{
	json_t *names = json_array();

	for (size_t i = 0; i < x->index_count; i++) {
		const struct index *index = &x->indexes[i];

		if (strcmp(x->places[index->place].distribution, distribution) == 0 &&
			strcmp(index->architecture, "all") != 0 && !has(names, index->architecture))
			json_array_append_new(names, json_string(index->architecture));
	}
	json_array_append_new(names, json_string("all"));
	return names;
}

static void add_field(struct buf *out, const char *name, const json_t *value, const char *otherwise)
{
	const char *text = json_string_value(value);

	if (text != NULL || otherwise != NULL)
		buf_addf(out, "%s: %s\n", name, text != NULL ? text : otherwise);
}

/* Who signs a distribution; NULL: nobody. What the publication says itself goes before what the repository says of this distribution, and that
 * before what it says of all; autopublish hands the last of these on as the first. */
static const char *signer_of(struct publishing *x, const char *distribution, json_t **overrides)
{
	const char *own = x->h->get(x->p, "publication.signing_service"),
		   *common = x->h->get(x->p, "repository.signing_service"),
		   *text = x->h->get(x->p, "repository.signing_service_release_overrides"), *special;

	if (own != NULL && (common == NULL || strcmp(own, common) != 0))
		return own;
	*overrides = text != NULL ? json_loads(text, 0, NULL) : NULL;
	special = json_string_value(json_object_get(*overrides, distribution));
	return special != NULL ? special : common;
}

static int sign_release(struct publishing *x, const char *distribution, const char *dist_dir, const struct buf *release)
{
	char clear[PATH_CAP], detached[PATH_CAP];
	json_t *overrides = NULL;
	struct sluice_sign what = {
		.service = signer_of(x, distribution, &overrides),
		.name = "Release",
		.data = release->p,
		.size = release->n,
		.clear_signed = clear,
		.detached = detached,
	};
	int rc;

	(void)snprintf(clear, sizeof(clear), "%.2100sInRelease", dist_dir);
	(void)snprintf(detached, sizeof(detached), "%.2100sRelease.gpg", dist_dir);
	rc = what.service != NULL ? x->h->sign(x->p, &what) : 0;
	json_decref(overrides);
	return rc;
}

static int write_release(
	struct publishing *x, const char *distribution, const char *dist_dir, const json_t *architectures)
{
	const json_t *upstream = x->upstream_fields ? json_object_get(x->releases, distribution) : NULL;
	struct buf out = BUF_INIT(0);
	char date[64], path[PATH_CAP];
	time_t now = time(NULL);
	struct tm tm;
	const json_t *v;
	size_t i;
	int rc;

	(void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&now, &tm));
	add_field(&out, "Origin", json_object_get(upstream, "origin"), "sluice");
	add_field(&out, "Label", json_object_get(upstream, "label"), NULL);
	add_field(&out, "Suite", json_object_get(upstream, "suite"), distribution);
	add_field(&out, "Version", json_object_get(upstream, "version"), NULL);
	add_field(&out, "Codename", json_object_get(upstream, "codename"), distribution);
	buf_addf(&out, "Date: %s\nAcquire-By-Hash: yes\nArchitectures:", date);
	json_array_foreach((json_t *)(uintptr_t)architectures, i, v) buf_addf(&out, " %s", json_string_value(v));
	/* Every index has the packages for all architectures; that of those alone is for who asks for it. */
	if (json_array_size(architectures) > 1)
		buf_adds(&out, "\nNo-Support-for-Architecture-all: Packages");
	buf_adds(&out, "\nComponents:");
	for (i = 0; i < x->place_count; i++)
		if (strcmp(x->places[i].distribution, distribution) == 0)
			buf_addf(&out, " %s", x->places[i].component);
	buf_adds(&out, "\n");
	add_field(&out, "Description", json_object_get(upstream, "description"), NULL);
	buf_adds(&out, "SHA256:\n");
	buf_add_slice(&out, buf_slice(&x->list));
	(void)snprintf(path, sizeof(path), "%.2100sRelease", dist_dir);
	rc = out.failed == 0 ? x->h->file_begin(x->p, path) : no_memory(x);
	if (rc == 0)
		rc = x->h->file_write(x->p, out.p, out.n);
	if (rc == 0)
		rc = x->h->file_end(x->p);
	if (rc == 0)
		rc = sign_release(x, distribution, dist_dir, &out);
	buf_fini(&out);
	return rc;
}

static int write_distribution(struct publishing *x, const char *distribution)
{
	json_t *architectures = architectures_of(x, distribution), *v;
	char dist_dir[PATH_CAP];
	size_t k;
	int rc = 0;

	(void)snprintf(dist_dir, sizeof(dist_dir), "dists/%.2048s/", distribution);
	buf_reset(&x->list);
	for (size_t i = 0; i < x->place_count; i++) {
		if (strcmp(x->places[i].distribution, distribution) != 0)
			continue;
		json_array_foreach(architectures, k, v) if (rc == 0) rc =
			write_index(x, dist_dir, i, json_string_value(v));
	}
	if (rc == 0)
		rc = write_release(x, distribution, dist_dir, architectures);
	json_decref(architectures);
	return rc;
}

/* Each distribution once: at its first place. */
static int write_distributions(struct publishing *x)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < x->place_count; i++) {
		bool first = true;

		for (size_t k = 0; k < i; k++)
			first &= strcmp(x->places[k].distribution, x->places[i].distribution) != 0;
		if (first)
			rc = write_distribution(x, x->places[i].distribution);
	}
	return rc;
}

/* ---- the whole ---- */

static bool is_true(struct publishing *x, const char *fact)
{
	const char *v = x->h->get(x->p, fact);

	return v != NULL && strcmp(v, "true") == 0;
}

static int publish(struct publishing *x)
{
	size_t place;
	int rc;

	x->structured = is_true(x, "publication.structured");
	x->simple = is_true(x, "publication.simple");
	x->upstream_fields = is_true(x, "publication.publish_upstream_release_fields");
	if (!x->structured && !x->simple)
		return x->h->fail(x->p, "a publication has to be structured, or simple, or both");
	x->places = calloc(PLACES_MAX, sizeof(*x->places));
	x->indexes = calloc(INDEXES_MAX, sizeof(*x->indexes));
	x->releases = json_object();
	if (x->places == NULL || x->indexes == NULL || x->releases == NULL)
		return no_memory(x);
	rc = x->h->only_published(x->p);
	if (rc == 0 && x->structured)
		rc = x->h->each_unit(x->p, DEB_RELEASE_FILE, take_release, x);
	if (rc == 0 && x->structured)
		rc = read_members(x);
	if (rc == 0 && x->simple)
		rc = find_place(x, "default", "all", &place);
	if (rc == 0)
		rc = x->h->each_file(x->p, take_file, x);
	return rc == 0 ? write_distributions(x) : rc;
}

int deb_publish(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	struct publishing x = {.h = h, .p = p};
	int rc = publish(&x);

	for (size_t i = 0; i < x.place_count; i++) {
		free(x.places[i].distribution);
		free(x.places[i].component);
	}
	for (size_t i = 0; i < x.index_count; i++) {
		free(x.indexes[i].architecture);
		if (x.indexes[i].file != NULL)
			fclose(x.indexes[i].file);
	}
	free(x.places);
	free(x.indexes);
	free(x.members);
	json_decref(x.releases);
	buf_fini(&x.stanza);
	buf_fini(&x.list);
	return rc;
}
