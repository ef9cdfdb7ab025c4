/* updateinfo.xml and comps.xml: the same comes out however the bytes were cut into pieces, and what comes out is read as the same. */
#include "fuzz.h"

#include "base/check.h"
#include "formats/rpm/notes.h"

struct seen {
	struct buf text;
	struct err err;
	bool comps;
};

static int see(void *arg, const struct note *n)
{
	struct seen *s = arg;

	BUG(strchr(n->key, '\n') == NULL || n->key[0] == '\n');
	BUG(json_string_value(json_object_get(n->fields, NOTE_TEXT)) == NULL);
	return buf_adds(&s->text, json_string_value(json_object_get(n->fields, NOTE_TEXT)));
}

static int take(void *arg, const struct record *r)
{
	struct seen *s = arg;

	return s->comps ? note_comps(r, see, s, &s->err) : note_advisory(r, see, s, &s->err);
}

static int parse(struct seen *s, const char *p, size_t n, size_t piece)
{
	struct records r;
	int rc = 0;

	s->err = ERR_INIT;
	buf_adds(&s->text, s->comps ? "<comps>" : "<updates>");
	BUG(records_init(&r, s->comps ? "comps" : "updates", take, s) != 0);
	for (size_t at = 0; rc == 0 && at < n; at += piece)
		rc = records_feed(&r, p + at, MIN(piece, n - at), &s->err);
	if (rc == 0)
		rc = records_end(&r, &s->err);
	BUG(rc != 0 && ((rc != -ERR_PARSE && rc != -ERR_LIMIT) || s->err.code != rc));
	records_fini(&r);
	buf_adds(&s->text, s->comps ? "</comps>" : "</updates>");
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t piece = size > 0 ? 1 + data[0] % 97 : 1;

	for (int comps = 0; comps <= 1; comps++) {
		struct seen whole = {.comps = comps}, cut = {.comps = comps}, again = {.comps = comps};
		int rc = parse(&whole, (const char *)data, size, size + 1);

		BUG((parse(&cut, (const char *)data, size, piece) == 0) != (rc == 0));
		BUG(rc == 0 && !slice_eq(buf_slice(&whole.text), buf_slice(&cut.text)));
		/* Line ends in attributes become blanks. */
		if (rc == 0)
			BUG(parse(&again, whole.text.p, whole.text.n, whole.text.n) != 0 ||
				again.text.n != whole.text.n);
		buf_fini(&whole.text);
		buf_fini(&cut.text);
		buf_fini(&again.text);
	}
	return 0;
}
