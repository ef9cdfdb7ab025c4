/* A package that a user brings, as the unit that a sync would have declared. */
#include "formats/rpm/detail.h"
#include "formats/rpm/package_file.h"
#include "formats/rpm/rpm_format.h"

#include "base/err.h"

struct source {
	const struct sluice_upload_host *host;
	struct sluice_upload *upload;
};

static int64_t read_source(void *arg, void *buf, size_t n, int64_t off)
{
	const struct source *s = arg;
	size_t got = 0;

	while (got < n) {
		int64_t more = s->host->read(s->upload, off + (int64_t)got, (char *)buf + got, n - got);

		if (more < 0)
			return more;
		if (more == 0)
			break;
		got += (size_t)more;
	}
	return (int64_t)got;
}

/* "name-version-release.arch.rpm", unless the user has chosen a path. */
static const char *path_of(struct package_file *f, const char *chosen)
{
	const struct rpm_package *p = &f->p;

	return chosen != NULL ? chosen
			      : arena_printf(&f->arena, "%.*s-%.*s-%.*s.%.*s.rpm", SLICE_ARG(p->name),
					SLICE_ARG(p->version), SLICE_ARG(p->release), SLICE_ARG(p->arch));
}

static int declare(struct package_file *f, const struct sluice_upload_host *h, struct sluice_upload *u)
{
	struct buf key = BUF_INIT(0), json = BUF_INIT(0), packed = BUF_INIT(0);
	const char *path = path_of(f, h->get(u, "relative_path"));
	struct sluice_artifact artifact = {.relative_path = path, .size = -1};
	struct sluice_unit unit = {.type = RPM_PACKAGE, .artifacts = &artifact, .artifact_count = 1};
	struct detail *d = detail_new();
	int64_t size = -1;
	int rc;

	(void)slice_to_i64(slice_str(h->get(u, "size")), INT64_MAX, &size);
	f->p.checksum_type = SLICE("sha256");
	f->p.pkgid = slice_str(h->get(u, "sha256"));
	f->p.size_package = size;
	f->p.href = slice_str(path);
	if (d == NULL || path == NULL || rpm_package_json(&f->p, &json) != 0 ||
		rpm_package_key(&f->p, path, &key) != 0 ||
		detail_pack(d, buf_slice(&f->files), buf_slice(&f->changes), &packed) != 0) {
		rc = h->fail(u, "no memory for the package");
	} else {
		unit.natural_key = key.p;
		unit.extra_json = json.p;
		unit.detail = packed.p;
		unit.detail_size = packed.n;
		rc = h->unit(u, &unit);
	}
	detail_free(&d);
	buf_fini(&key);
	buf_fini(&json);
	buf_fini(&packed);
	return rc;
}

int rpm_upload(const struct sluice_upload_host *h, struct sluice_upload *u)
{
	struct source s = {h, u};
	struct err err = ERR_INIT;
	struct package_file f;
	int rc = package_file_read(&f, read_source, &s, &err);

	rc = rc == 0 ? declare(&f, h, u) : h->fail(u, "%s", err.msg[0] != '\0' ? err.msg : err_text(rc));
	package_file_fini(&f);
	return rc;
}
