/* Publications. Of a version that is a complete mirror upstream's metadata is served: it is among the units. Else metadata is written here, from what the units
 * declare, in several walks over the version:
 *
 *   choose ── which packages (of two with one file name the newer one), which metadata files ── place ── files at their new paths
 *   ── primary, filelists, other ── repomd.xml
 *
 * Nothing depends on the time or on what is saved: the same content gives the same bytes. */
#include "formats/rpm/detail.h"
#include "formats/rpm/elements.h"
#include "formats/rpm/hashmap.h"
#include "formats/rpm/notes.h"
#include "formats/rpm/packed.h"
#include "formats/rpm/rpm_format.h"
#include "formats/rpm/treeinfo.h"

#include "base/check.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_CAP 2048
#define CHOICES_MAX ((size_t)8 << 20) /* packages of one version */

/* A package that is published, by its file name. */
struct choice {
	uint64_t name, key; /* hashes; name 0: free */
	int64_t epoch, time_build;
};

/* What primary.xml and the others are made of. */
struct walk_of;

struct publishing {
	const struct sluice_publish_host *host;
	struct sluice_publish *publish;
	enum packing packing;
	enum digest_alg alg;
	const char *layout;
	struct choice *choices; /* a table of cap places, cap a power of two */
	size_t cap, count;
	int64_t packages;       /* units, chosen or not */
	int64_t mirrored;       /* how many packages there are in the repomd.xml among the units; -1: none is */
	bool shares;            /* repositories of a tree have packages of the main one, at upstream's paths */
	int64_t mirrored_notes; /* likewise of advisories, groups and modules */
	struct hashmap notes;   /* the newest key of each of these, by type and id */
	int64_t newest;         /* of all dates: revision and timestamps */
	char *types[64];        /* of metadata files that are published; the first of a type counts: the newest */
	uint64_t type_keys[64];
	size_t type_count;
	struct buf rows; /* of repomd.xml */
	struct buf text;
	struct detail *detail;
	struct packed out;
	const struct walk_of *walk;
};

static int no_memory(struct publishing *x)
{
	return x->host->fail(x->publish, "no memory for a publication");
}

/* ---- facts of a unit ---- */

/* The unit's fields were written by us, so that a member of the object cannot be mistaken for anything inside a text: there quotes are escaped. */
static int64_t quick_number(const char *json, const char *member)
{
	const char *at = json != NULL ? strstr(json, member) : NULL;

	return at != NULL ? strtoll(at + strlen(member), NULL, 10) : 0;
}

/* Of "name-epoch:version-release.arch\n…": "name-version-release.arch.rpm", and the epoch. */
static bool file_name(const char *key, char out[PATH_CAP], int64_t *epoch)
{
	struct slice line = slice_of(key, strcspn(key, "\n")), name, rest;
	ptrdiff_t dash = slice_rchr(line, '-'), colon;

	if (dash <= 0)
		return false;
	name = slice_of(line.p, (size_t)dash);
	dash = slice_rchr(name, '-');
	if (dash <= 0)
		return false;
	rest = slice_of(line.p + dash + 1, line.n - (size_t)dash - 1);
	name.n = (size_t)dash;
	colon = slice_chr(rest, ':');
	if (colon < 0)
		return false;
	*epoch = strtoll(rest.p, NULL, 10);
	rest = slice_of(rest.p + colon + 1, rest.n - (size_t)colon - 1);
	return snprintf(out, PATH_CAP, "%.*s-%.*s.rpm", SLICE_ARG(name), SLICE_ARG(rest)) < PATH_CAP;
}

static bool is_package(const struct sluice_file *f)
{
	return strcmp(f->type, RPM_PACKAGE) == 0;
}

/* ---- choose ---- */

static struct choice *place_of(const struct publishing *x, uint64_t name)
{
	size_t at = (size_t)name & (x->cap - 1);

	while (x->choices[at].name != 0 && x->choices[at].name != name)
		at = (at + 1) & (x->cap - 1);
	return &x->choices[at];
}

static int grow(struct publishing *x)
{
	struct publishing bigger = {.cap = x->cap == 0 ? 1024 : x->cap * 2};

	if (bigger.cap > CHOICES_MAX)
		return x->host->fail(x->publish, "more packages than can be published");
	bigger.choices = calloc(bigger.cap, sizeof(*bigger.choices));
	if (bigger.choices == NULL)
		return no_memory(x);
	for (size_t i = 0; i < x->cap; i++)
		if (x->choices[i].name != 0)
			*place_of(&bigger, x->choices[i].name) = x->choices[i];
	free(x->choices);
	x->choices = bigger.choices;
	x->cap = bigger.cap;
	return 0;
}

static uint64_t hash(const char *z)
{
	uint64_t h = slice_hash(slice_str(z));

	return h != 0 ? h : 1;
}

static int choose_package(struct publishing *x, const struct sluice_file *f)
{
	struct choice c = {.key = hash(f->natural_key), .time_build = quick_number(f->extra_json, ",\"time_build\":")},
		      *there;
	char name[PATH_CAP];
	int rc;

	x->packages++;
	if (!file_name(f->natural_key, name, &c.epoch))
		return x->host->fail(x->publish, "a package has no name");
	c.name = hash(name);
	x->newest = MAX(x->newest, MAX(c.time_build, quick_number(f->extra_json, ",\"time_file\":")));
	if (2 * x->count >= x->cap && (rc = grow(x)) != 0)
		return rc;
	there = place_of(x, c.name);
	x->count += there->name == 0;
	if (there->name == 0 || c.epoch > there->epoch || (c.epoch == there->epoch && c.time_build > there->time_build))
		*there = c;
	return 0;
}

/* Those that are written anew, or that only say the same in other words. */
bool rpm_is_made_anew(const char *type)
{
	static const char *const names[] = {"primary", "filelists", "filelists-ext", "other", "repomd",
		"repomd.xml.asc", "repomd.xml.key", "prestodelta", "deltainfo", "updateinfo", "group", "modules"};
	size_t n = strlen(type);

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(type, names[i]) == 0)
			return true;
	return strncmp(type, "group_", 6) == 0 || (n > 3 && strcmp(type + n - 3, "_db") == 0) ||
	       (n > 4 && strcmp(type + n - 4, "_zck") == 0);
}

static int choose_file(struct publishing *x, const struct sluice_file *f)
{
	size_t n = strcspn(f->natural_key, "\n");
	char type[64];

	if (n >= sizeof(type))
		return 0;
	(void)snprintf(type, sizeof(type), "%.*s", (int)n, f->natural_key);
	if (strcmp(type, "repomd") == 0 && x->mirrored < 0) {
		x->mirrored = quick_number(f->extra_json, ",\"packages\":");
		x->mirrored_notes = quick_number(f->extra_json, ",\"notes\":");
	}
	if (rpm_is_made_anew(type) || x->type_count == ARRAY_LEN(x->types))
		return 0;
	for (size_t i = 0; i < x->type_count; i++)
		if (strcmp(x->types[i], type) == 0)
			return 0;
	x->types[x->type_count] = strdup(type);
	if (x->types[x->type_count] == NULL)
		return no_memory(x);
	x->type_keys[x->type_count++] = hash(f->natural_key);
	return 0;
}

static int choose(void *arg, const struct sluice_file *f)
{
	struct publishing *x = arg;

	if (strcmp(f->type, RPM_TREE) == 0 && f->extra_json != NULL &&
		strstr(f->extra_json, "\"shares_packages\":true") != NULL)
		x->shares = true;
	if (is_package(f))
		return choose_package(x, f);
	return strcmp(f->type, RPM_METADATA_FILE) == 0 ? choose_file(x, f) : 0;
}

/* Where a package of that name is; `digest`: its hex. */
static bool layout_path(const struct publishing *x, const char *name, const char *digest, char out[PATH_CAP])
{
	char first = (char)(name[0] >= 'A' && name[0] <= 'Z' ? name[0] - 'A' + 'a' : name[0]);
	int n;

	if (strcmp(x->layout, "flat") == 0)
		n = snprintf(out, PATH_CAP, "Packages/%s", name);
	else if (strcmp(x->layout, "nested_by_digest") == 0)
		n = snprintf(out, PATH_CAP, "Packages/%c/by-digest/%.6s-%s", first, digest, name);
	else
		n = snprintf(out, PATH_CAP, "Packages/%c/%s", first, name);
	return n < PATH_CAP;
}

/* Is it published, and where? */
static bool chosen_path(const struct publishing *x, const struct sluice_file *f, char out[PATH_CAP])
{
	const char *digest = strchr(f->natural_key, '\n');
	char name[PATH_CAP];
	const struct choice *c;
	int64_t epoch;

	if (!file_name(f->natural_key, name, &epoch))
		return false;
	c = place_of(x, hash(name));
	if (c->name == 0 || c->key != hash(f->natural_key))
		return false;
	digest = digest != NULL ? strchr(digest, ':') : NULL;
	return layout_path(x, name, digest != NULL ? digest + 1 : "", out);
}

/* ---- place ---- */

static void add_row(struct publishing *x, const char *type, const char *alg, const char *checksum, const char *open_alg,
	const char *open_checksum, const char *path, int64_t size, int64_t open_size)
{
	struct buf *b = &x->rows;

	buf_adds(b, "  <data type=\"");
	xml_add(b, slice_str(type));
	buf_addf(b, "\">\n    <checksum type=\"%s\">%s</checksum>\n", alg, checksum);
	if (open_checksum != NULL)
		buf_addf(b, "    <open-checksum type=\"%s\">%s</open-checksum>\n", open_alg, open_checksum);
	buf_adds(b, "    <location href=\"");
	xml_add(b, slice_str(path));
	buf_addf(b, "\"/>\n    <timestamp>%lld</timestamp>\n    <size>%lld</size>\n", (long long)x->newest,
		(long long)size);
	if (open_size >= 0)
		buf_addf(b, "    <open-size>%lld</open-size>\n", (long long)open_size);
	buf_adds(b, "  </data>\n");
}

/* Upstream's name without the digest in front. */
static const char *bare_name(const char *href, const char *checksum)
{
	const char *slash = strrchr(href, '/'), *name = slash != NULL ? slash + 1 : href;
	size_t n = strlen(checksum);

	return strncmp(name, checksum, n) == 0 && name[n] == '-' && name[n + 1] != '\0' ? name + n + 1 : name;
}

static int place_file(struct publishing *x, const struct sluice_file *f)
{
	const char *type = NULL, *alg, *checksum, *href, *open_alg, *open;
	json_t *fields, *open_size;
	char path[PATH_CAP];
	int rc = 0;

	for (size_t i = 0; i < x->type_count; i++)
		if (x->type_keys[i] == hash(f->natural_key))
			type = x->types[i];
	if (type == NULL || f->extra_json == NULL)
		return 0;
	fields = json_loads(f->extra_json, 0, NULL);
	alg = json_string_value(json_object_get(fields, "checksum_type"));
	checksum = json_string_value(json_object_get(fields, "checksum"));
	href = json_string_value(json_object_get(fields, "location_href"));
	open_alg = json_string_value(json_object_get(fields, "open_checksum_type"));
	open = json_string_value(json_object_get(fields, "open_checksum"));
	open_size = json_object_get(fields, "open_size");
	if (alg != NULL && checksum != NULL && href != NULL &&
		snprintf(path, sizeof(path), "repodata/%s-%s", checksum, bare_name(href, checksum)) < PATH_CAP) {
		add_row(x, type, alg, checksum, open_alg, open_alg != NULL ? open : NULL, path, f->size,
			json_is_integer(open_size) ? json_integer_value(open_size) : -1);
		rc = x->host->file_unit(x->publish, f, path);
	}
	json_decref(fields);
	return rc;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static int place_package(struct publishing *x, const struct sluice_file *f)
{
	char path[PATH_CAP], name[PATH_CAP];
	int64_t epoch;
	int rc;

	if (!chosen_path(x, f, path))
		return 0;
	rc = x->host->file_unit(x->publish, f, path);
	/* At upstream's path as well; never at that of another package, which has another name. */
	if (rc == 0 && x->shares && strcmp(path, f->relative_path) != 0 && file_name(f->natural_key, name, &epoch) &&
		strcmp(base_name(f->relative_path), name) == 0)
		rc = x->host->file_unit(x->publish, f, f->relative_path);
	return rc;
}

/* Files of a tree stay where they are, unless the package is published there anyway. */
static int place_tree_file(struct publishing *x, const struct sluice_file *f)
{
	const char *name = base_name(f->relative_path);
	char path[PATH_CAP];

	if (place_of(x, hash(name))->name != 0 && layout_path(x, name, "", path) && strcmp(path, f->relative_path) == 0)
		return 0;
	return x->host->file_unit(x->publish, f, f->relative_path);
}

/* Its digest of our repomd.xml would be wrong. */
static int write_treeinfo(struct publishing *x, const struct sluice_file *f)
{
	struct buf b = BUF_INIT(TREEINFO_BYTES_MAX);
	int rc = treeinfo_without_repomd(slice_of(f->detail, f->detail_size), &b);

	if (rc == 0)
		rc = x->host->file_begin(x->publish, f->relative_path);
	if (rc == 0)
		rc = x->host->file_write(x->publish, b.p, b.n);
	if (rc == 0)
		rc = x->host->file_end(x->publish);
	buf_fini(&b);
	return rc == -ERR_NOMEM ? no_memory(x) : rc;
}

static bool is_treeinfo(const char *path)
{
	return strcmp(path, ".treeinfo") == 0 || strcmp(path, "treeinfo") == 0;
}

static int place(void *arg, const struct sluice_file *f)
{
	struct publishing *x = arg;

	if (is_package(f))
		return place_package(x, f);
	if (strcmp(f->type, RPM_TREE_FILE) == 0)
		return place_tree_file(x, f);
	if (strcmp(f->type, RPM_TREE) != 0)
		return place_file(x, f);
	if (f->detail != NULL && is_treeinfo(f->relative_path))
		return write_treeinfo(x, f);
	return place_tree_file(x, f);
}

/* ---- primary, filelists, other ---- */

struct walk_of {
	const char *type, *name, *root, *spaces;
	/* Appends the package to x->text. */
	int (*add)(struct publishing *x, const struct sluice_file *f, const json_t *fields, const char *path);
};

static int add_primary(struct publishing *x, const struct sluice_file *f, const json_t *fields, const char *path)
{
	elements_primary(&x->text, fields, path);
	return 0;
}

static int open_detail(struct publishing *x, const struct sluice_file *f, struct slice *files, struct slice *changes)
{
	if (f->detail == NULL)
		return x->host->fail(x->publish,
			"the file list of '%.200s' is not known: the package comes from a sync with mirror_complete, "
			"which serves upstream's "
			"metadata; sync with mirror_content_only or additive to publish with metadata of our own",
			f->relative_path);
	if (detail_open(x->detail, f->detail, f->detail_size, files, changes) != 0)
		return x->host->fail(x->publish, "the file list of '%.200s' cannot be read", f->relative_path);
	return 0;
}

static int add_files(struct publishing *x, const struct sluice_file *f, const json_t *fields, const char *path)
{
	struct slice files = SLICE(""), changes = SLICE("");
	int rc = open_detail(x, f, &files, &changes);

	if (rc == 0)
		elements_list(&x->text, fields, files);
	return rc;
}

static int add_changes(struct publishing *x, const struct sluice_file *f, const json_t *fields, const char *path)
{
	struct slice files = SLICE(""), changes = SLICE("");
	int rc = open_detail(x, f, &files, &changes);

	if (rc == 0)
		elements_list(&x->text, fields, changes);
	return rc;
}

static const struct walk_of walks[] = {
	{"primary", "primary.xml", "metadata",
		" xmlns=\"http://linux.duke.edu/metadata/common\" xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\"",
		add_primary},
	{"filelists", "filelists.xml", "filelists", " xmlns=\"http://linux.duke.edu/metadata/filelists\"", add_files},
	{"other", "other.xml", "otherdata", " xmlns=\"http://linux.duke.edu/metadata/other\"", add_changes},
};

static int write_text(struct publishing *x)
{
	int rc = x->text.failed != 0 ? no_memory(x) : packed_add(&x->out, buf_slice(&x->text));

	buf_reset(&x->text);
	return rc;
}

static int write_package(void *arg, const struct sluice_file *f)
{
	struct publishing *x = arg;
	char path[PATH_CAP];
	json_t *fields;
	int rc;

	if (!is_package(f) || !chosen_path(x, f, path))
		return 0;
	fields = f->extra_json != NULL ? json_loads(f->extra_json, 0, NULL) : NULL;
	if (fields == NULL)
		return x->host->fail(x->publish, "the package '%.200s' cannot be read", f->relative_path);
	rc = x->walk->add(x, f, fields, path);
	json_decref(fields);
	return rc == 0 ? write_text(x) : rc;
}

static int write_list(struct publishing *x, const struct walk_of *w)
{
	char path[PATH_CAP];
	int rc = packed_begin(&x->out, x->host, x->publish, x->packing, x->alg);

	x->walk = w;
	buf_addf(&x->text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<%s%s packages=\"%zu\">\n", w->root, w->spaces,
		x->count);
	if (rc == 0)
		rc = x->host->each_file(x->publish, write_package, x);
	buf_addf(&x->text, "</%s>\n", w->root);
	if (rc == 0)
		rc = write_text(x);
	if (rc == 0)
		rc = packed_end(&x->out, w->name, path);
	if (rc == 0)
		add_row(x, w->type, digest_name(x->alg), x->out.checksum, digest_name(x->alg), x->out.open_checksum,
			path, x->out.size, x->out.open_size);
	packed_fini(&x->out);
	return rc;
}

/* ---- advisories, groups, modules ---- */

static const struct note_file {
	const char *type, *name, *head, *tail;
	bool packed; /* clients look for groups and modules as they are */
	const char *const units[5];
} note_files[] = {
	{"updateinfo", "updateinfo.xml", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<updates>\n", "</updates>\n",
		true, {RPM_ADVISORY}},
	{"group", "comps.xml", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<comps>\n", "</comps>\n", false,
		{RPM_GROUP, RPM_CATEGORY, RPM_ENVIRONMENT, RPM_LANGPACKS}},
	{"modules", "modules.yaml", "", "", false, {RPM_MODULEMD, RPM_MODULEMD_DEFAULTS, RPM_MODULEMD_OBSOLETE}},
};

struct note_walk {
	struct publishing *x;
	const char *type;
};

/* NULL: the publication has failed. */
static uint64_t *note_at(struct note_walk *w, const char *key)
{
	struct buf *b = &w->x->text;
	uint64_t *at;

	buf_addf(b, "%s\n%.*s", w->type, (int)strcspn(key, "\n"), key);
	at = b->failed == 0 ? hashmap_at(&w->x->notes, buf_slice(b)) : NULL;
	buf_reset(b);
	if (at == NULL)
		(void)no_memory(w->x);
	return at;
}

/* Units of one id that came by copying: the newest counts, which is the last. */
static int choose_note(void *arg, const char *key, const char *extra_json)
{
	uint64_t *at = note_at(arg, key);

	if (at != NULL)
		*at = hash(key);
	return at != NULL ? 0 : -ERR_NOMEM;
}

static int choose_notes(struct publishing *x, const struct note_file *f)
{
	int rc = 0;

	for (const char *const *type = f->units; rc == 0 && *type != NULL; type++) {
		struct note_walk w = {x, *type};

		rc = x->host->each_unit(x->publish, *type, choose_note, &w);
	}
	return rc;
}

static int write_note(void *arg, const char *key, const char *extra_json)
{
	struct note_walk *w = arg;
	struct publishing *x = w->x;
	const uint64_t *at = note_at(w, key);
	json_t *fields;
	const char *text;
	int rc;

	if (at == NULL || *at != hash(key))
		return at != NULL ? 0 : -ERR_NOMEM;
	fields = json_loads(extra_json, 0, NULL);
	text = json_string_value(json_object_get(fields, NOTE_TEXT));
	if (text == NULL) {
		json_decref(fields);
		return x->host->fail(x->publish, "a unit of the type '%s' cannot be read", w->type);
	}
	buf_adds(&x->text, text);
	if (text[0] == '<')
		buf_adds(&x->text, "\n");
	json_decref(fields);
	rc = write_text(x);
	return rc;
}

static int write_notes(struct publishing *x, const struct note_file *f)
{
	char path[PATH_CAP];
	int rc = packed_begin(&x->out, x->host, x->publish, f->packed ? x->packing : PACK_NONE, x->alg);

	buf_adds(&x->text, f->head);
	if (rc == 0)
		rc = write_text(x);
	for (const char *const *type = f->units; rc == 0 && *type != NULL; type++) {
		struct note_walk w = {x, *type};

		rc = x->host->each_unit(x->publish, *type, write_note, &w);
	}
	buf_adds(&x->text, f->tail);
	if (rc == 0)
		rc = write_text(x);
	if (rc == 0)
		rc = packed_end(&x->out, f->name, path);
	if (rc == 0)
		add_row(x, f->type, digest_name(x->alg), x->out.checksum, digest_name(x->alg), x->out.open_checksum,
			path, x->out.size, x->out.open_size);
	packed_fini(&x->out);
	return rc;
}

static const char *signer(struct publishing *x)
{
	const char *own = x->host->get(x->publish, "publication.metadata_signing_service");

	return own != NULL ? own : x->host->get(x->publish, "repository.metadata_signing_service");
}

static int write_repomd(struct publishing *x)
{
	struct buf *b = &x->text;
	int rc;

	buf_addf(b,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\" "
		"xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\">\n  <revision>%lld</revision>\n",
		(long long)x->newest);
	buf_add_slice(b, buf_slice(&x->rows));
	buf_adds(b, "</repomd>\n");
	if (b->failed != 0 || x->rows.failed != 0)
		return no_memory(x);
	rc = x->host->file_begin(x->publish, RPM_REPOMD);
	if (rc == 0)
		rc = x->host->file_write(x->publish, b->p, b->n);
	if (rc == 0)
		rc = x->host->file_end(x->publish);
	if (rc == 0 && signer(x) != NULL)
		rc = x->host->sign(x->publish, &(struct sluice_sign){.service = signer(x),
						       .name = "repomd.xml",
						       .data = b->p,
						       .size = b->n,
						       .detached = RPM_REPOMD ".asc",
						       .key = RPM_REPOMD ".key"});
	return rc;
}

/* ---- from begin to end ---- */

static void read_fields(struct publishing *x)
{
	const char *packing = x->host->get(x->publish, "publication.compression_type"),
		   *alg = x->host->get(x->publish, "publication.checksum_type"),
		   *layout = x->host->get(x->publish, "publication.layout");

	x->packing = packing == NULL                ? PACK_GZ
		     : strcmp(packing, "zstd") == 0 ? PACK_ZSTD
		     : strcmp(packing, "none") == 0 ? PACK_NONE
						    : PACK_GZ;
	if (alg == NULL || digest_alg_parse(slice_str(alg), &x->alg) != 0)
		x->alg = DIGEST_SHA256;
	x->layout = layout != NULL ? layout : "nested_alphabetically";
}

static int regenerate(struct publishing *x)
{
	size_t counts[ARRAY_LEN(note_files)];
	int rc = x->host->each_file(x->publish, choose, x);

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(note_files); i++) {
		counts[i] = x->notes.count;
		rc = choose_notes(x, &note_files[i]);
		counts[i] = x->notes.count - counts[i];
	}
	if (rc != 0)
		return rc;
	/* The version is what upstream has, and upstream's metadata is there: nothing is better than that, unless it shall be
	 * signed here. */
	if (x->mirrored >= 0 && x->mirrored == x->packages && x->mirrored_notes == (int64_t)x->notes.count &&
		signer(x) == NULL)
		return x->host->set(x->publish, "checksum_type", "\"unknown\"");
	if (x->cap == 0 && (rc = grow(x)) != 0)
		return rc;
	rc = x->host->only_published(x->publish);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(walks); i++)
		rc = write_list(x, &walks[i]);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(note_files); i++)
		if (counts[i] > 0)
			rc = write_notes(x, &note_files[i]);
	if (rc == 0)
		rc = x->host->each_file(x->publish, place, x);
	return rc == 0 ? write_repomd(x) : rc;
}

int rpm_publish(const struct sluice_publish_host *h, struct sluice_publish *p)
{
	const char *verbatim = h->get(p, "mirror");
	struct publishing *x;
	int rc;

	/* Upstream's metadata are units, at their paths. */
	if (verbatim != NULL && strcmp(verbatim, "true") == 0)
		return h->set(p, "checksum_type", "\"unknown\"");
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		return h->fail(p, "no memory for a publication");
	x->host = h;
	x->publish = p;
	x->mirrored = -1;
	x->detail = detail_new();
	read_fields(x);
	rc = x->detail != NULL ? regenerate(x) : no_memory(x);
	for (size_t i = 0; i < x->type_count; i++)
		free(x->types[i]);
	packed_fini(&x->out);
	detail_free(&x->detail);
	hashmap_fini(&x->notes);
	buf_fini(&x->rows);
	buf_fini(&x->text);
	free(x->choices);
	free(x);
	return rc;
}
