/* The front of an .rpm file: whatever is in it, what comes out are texts in UTF-8 and JSON. */
#include "fuzz.h"

#include "base/check.h"
#include "formats/rpm/package_file.h"
#include "formats/rpm/rpm_format.h"

#include <jansson.h>
#include <string.h>

struct bytes {
	const uint8_t *p;
	size_t n;
};

static int64_t read_bytes(void *arg, void *buf, size_t n, int64_t off)
{
	const struct bytes *b = arg;

	n = off < (int64_t)b->n ? MIN(n, b->n - (size_t)off) : 0;
	if (n > 0)
		memcpy(buf, b->p + off, n);
	return (int64_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = {data, size};
	struct buf json = BUF_INIT(0);
	struct package_file f;
	struct err err = ERR_INIT;
	int rc = package_file_read(&f, read_bytes, &b, &err);

	BUG(rc != 0 && ((rc != -ERR_PARSE && rc != -ERR_LIMIT) || err.code != rc));
	if (rc == 0) {
		json_t *o;

		BUG(!slice_is_utf8(buf_slice(&f.files)) || !slice_is_utf8(buf_slice(&f.changes)));
		f.p.checksum_type = SLICE("sha256");
		f.p.pkgid = SLICE("00");
		f.p.href = SLICE("a.rpm");
		BUG(rpm_package_json(&f.p, &json) != 0);
		o = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
		BUG(!json_is_object(o));
		json_decref(o);
	}
	buf_fini(&json);
	package_file_fini(&f);
	return 0;
}
