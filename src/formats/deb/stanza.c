/* Cutting stanzas out of a stream, and fields out of stanzas. A line's length is bounded before its end is seen: an endless
 * one must not fill the memory. */
#include "formats/deb/stanza.h"

#include "base/check.h"

#include <stdlib.h>

int stanza_init(struct stanza_parser *p, size_t max_bytes,
	int (*take)(void *arg, const struct stanza *s, struct err *err), void *arg)
{
	*p = (struct stanza_parser){.take = take, .arg = arg, .text = BUF_INIT(max_bytes > 0 ? max_bytes : STANZA_MAX)};
	p->fields = calloc(STANZA_FIELDS_MAX, sizeof(*p->fields));
	return p->fields != NULL ? 0 : -ERR_NOMEM;
}

void stanza_fini(struct stanza_parser *p)
{
	buf_fini(&p->text);
	free(TAKE(p->fields));
}

struct slice stanza_get(const struct stanza *s, const char *name)
{
	for (size_t i = s->count; i-- > 0;)
		if (slice_eq_nocase(s->fields[i].name, slice_str(name)))
			return s->fields[i].value;
	return SLICE_NULL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int bad_line(int64_t line, const char *why, struct err *err)
{
	return err_set(err, -ERR_PARSE, "line %lld %s", (long long)line, why);
}

/* The line belongs to the field before it. Both lie in the same text, one behind the other. A last line of blanks does not count: written
 * again without them it would end the stanza. */
static void extend(struct stanza_field *f, struct slice line)
{
	const char *end = line.p + line.n;

	while (end > f->value.p && (is_blank(end[-1]) || end[-1] == '\r' || end[-1] == '\n'))
		end--;
	f->value.n = (size_t)(end - f->value.p);
}

static int begin_field(struct slice line, struct stanza_field *f, int64_t number, struct err *err)
{
	ptrdiff_t colon = slice_chr(line, ':');

	if (colon <= 0)
		return bad_line(number, "is no field: there is no name with a colon behind it", err);
	f->name = slice_of(line.p, (size_t)colon);
	f->value = slice_trim(slice_of(line.p + colon + 1, line.n - (size_t)colon - 1));
	if (f->value.n == 0) /* continuation lines are added behind it */
		f->value = slice_of(line.p + line.n, 0);
	for (size_t i = 0; i < f->name.n; i++)
		if (is_blank(f->name.p[i]))
			return bad_line(number, "is no field: there is a blank in its name", err);
	return 0;
}

/* A stanza is complete: its fields, and to the taker. */
static int hand_over(struct stanza_parser *p, struct err *err)
{
	struct stanza s = {.fields = p->fields, .line = p->first_line};
	struct slice rest = buf_slice(&p->text);
	int64_t number = p->first_line - 1;
	int rc = 0;

	if (memchr(rest.p, '\0', rest.n) != NULL)
		return bad_line(p->first_line, "begins a stanza that holds a zero byte", err);
	while (rc == 0 && rest.n > 0) {
		struct slice line = slice_cut(&rest, '\n');

		number++;
		if (line.n > 0 && line.p[0] == '#')
			continue;
		if (line.n > 0 && is_blank(line.p[0])) {
			if (s.count == 0)
				return bad_line(number, "continues a field, and there is none before it", err);
			extend(&p->fields[s.count - 1], line);
			continue;
		}
		if (s.count == STANZA_FIELDS_MAX)
			return bad_line(number, "is one field too many for a stanza", err);
		rc = begin_field(line, &p->fields[s.count++], number, err);
	}
	if (rc == 0 && s.count > 0) {
		p->stanzas++;
		rc = p->take(p->arg, &s, err);
	}
	buf_reset(&p->text);
	return rc;
}

/* A line, without its end, is over. */
static int line_over(struct stanza_parser *p, struct err *err)
{
	size_t start = p->start, n = p->text.n - start;

	p->line++;
	p->inside = false;
	if (n == 0 || (n == 1 && p->text.p[start] == '\r')) {
		p->text.n = start;
		if (start == 0)
			return 0;
		return hand_over(p, err);
	}
	if (start == 0)
		p->first_line = p->line;
	return buf_add(&p->text, "\n", 1);
}

static int too_long(struct stanza_parser *p, int rc, struct err *err)
{
	if (rc != -ERR_LIMIT)
		return err_set(err, -ERR_NOMEM, "no memory for a stanza");
	return err_set(err, -ERR_PARSE, "line %lld belongs to a stanza of more than %zu bytes",
		(long long)(p->line + 1), p->text.max);
}

int stanza_feed(struct stanza_parser *p, const char *data, size_t n, struct err *err)
{
	struct slice rest = slice_of(data, n);

	while (rest.n > 0) {
		ptrdiff_t end = slice_chr(rest, '\n');
		size_t part = end < 0 ? rest.n : (size_t)end;
		int rc;

		if (!p->inside)
			p->start = p->text.n;
		rc = buf_add(&p->text, rest.p, part);
		if (rc != 0)
			return too_long(p, rc, err);
		p->inside = true;
		rest = slice_of(rest.p + part + (end >= 0), rest.n - part - (end >= 0));
		if (end < 0)
			break;
		rc = line_over(p, err);
		if (rc == -ERR_LIMIT && p->text.failed != 0)
			return too_long(p, rc, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int stanza_end(struct stanza_parser *p, struct err *err)
{
	int rc = p->inside ? stanza_feed(p, "\n", 1, err) : 0;

	return rc == 0 && p->text.n > 0 ? hand_over(p, err) : rc;
}
