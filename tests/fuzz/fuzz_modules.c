/* modules.yaml: what comes out is read as the same. */
#include "fuzz.h"

#include "base/check.h"
#include "formats/rpm/notes.h"

static int see(void *arg, const struct note *n)
{
	BUG(strchr(n->key, '\n') == NULL || n->key[0] == '\n');
	return buf_adds(arg, json_string_value(json_object_get(n->fields, NOTE_TEXT)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf once = BUF_INIT(0), twice = BUF_INIT(0);
	struct err err = ERR_INIT;
	int rc = note_modules(slice_of((const char *)data, size), see, &once, &err);

	BUG(rc != 0 && ((rc != -ERR_PARSE && rc != -ERR_LIMIT) || err.code != rc));
	if (rc == 0) {
		BUG(note_modules(buf_slice(&once), see, &twice, &err) != 0);
		BUG(!slice_eq(buf_slice(&once), buf_slice(&twice)));
	}
	buf_fini(&once);
	buf_fini(&twice);
	return 0;
}
