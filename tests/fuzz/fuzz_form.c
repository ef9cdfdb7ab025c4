/* What the quick look takes for a JSON object is one to jansson. */
#include "fuzz.h"

#include "base/check.h"
#include "sync/form.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = slice_of((const char *)data, size);
	json_t *j = json_loadb(s.p, s.n, 0, NULL);

	BUG(form_is_object(s) && !json_is_object(j));
	json_decref(j);
	return 0;
}
