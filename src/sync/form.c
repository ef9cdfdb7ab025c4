/* By descending: each function takes where something has to begin, and gives where it ended, or NULL. */
#include "sync/form.h"

#define DEPTH_MAX 32
#define DIGITS_MAX 18 /* so many always fit 63 bits */

struct text {
	const char *end;
	int depth;
};

static bool is_at(const struct text *t, const char *p, char c)
{
	return p < t->end && *p == c;
}

static bool is_digit(const struct text *t, const char *p)
{
	return p < t->end && *p >= '0' && *p <= '9';
}

static const char *blanks(const struct text *t, const char *p)
{
	while (is_at(t, p, ' ') || is_at(t, p, '\n'))
		p++;
	return p;
}

/* Behind the backslash. "\u00" and two digits that are not both zero stand for one character. */
static const char *escape(const struct text *t, const char *p)
{
	if (p < t->end && *p != '\0' && strchr("\"\\/bfnrt", *p) != NULL)
		return p + 1;
	if (t->end - p < 5 || memcmp(p, "u00", 3) != 0 || (p[3] != '0' && p[3] != '1'))
		return NULL;
	if (!is_digit(t, p + 4) && (p[4] < 'a' || p[4] > 'f'))
		return NULL;
	return p[3] == '0' && p[4] == '0' ? NULL : p + 5;
}

static const char *string(const struct text *t, const char *p)
{
	if (!is_at(t, p, '"'))
		return NULL;
	for (p++; p != NULL && p < t->end;) {
		if (*p == '"')
			return p + 1;
		if ((unsigned char)*p < 0x20)
			return NULL;
		p = *p == '\\' ? escape(t, p + 1) : p + 1;
	}
	return NULL;
}

static const char *number(const struct text *t, const char *p)
{
	const char *first = p + is_at(t, p, '-');

	for (p = first; is_digit(t, p);)
		p++;
	if (p == first || p - first > DIGITS_MAX || (*first == '0' && p - first > 1))
		return NULL;
	return is_at(t, p, '.') || is_at(t, p, 'e') || is_at(t, p, 'E') ? NULL : p;
}

static const char *word(const struct text *t, const char *p, struct slice word)
{
	return slice_starts(slice_of(p, (size_t)(t->end - p)), word) ? p + word.n : NULL;
}

static const char *value(struct text *t, const char *p);

static const char *member(struct text *t, const char *p)
{
	p = string(t, p);
	p = p != NULL ? blanks(t, p) : NULL;
	return p != NULL && is_at(t, p, ':') ? value(t, p + 1) : NULL;
}

/* An array or object from its first bracket on. */
static const char *list(struct text *t, const char *p, char close, const char *(*item)(struct text *t, const char *p))
{
	if (++t->depth > DEPTH_MAX)
		return NULL;
	p = blanks(t, p + 1);
	if (!is_at(t, p, close)) {
		p = item(t, p);
		while (p != NULL && is_at(t, p = blanks(t, p), ','))
			p = item(t, blanks(t, p + 1));
	}
	t->depth--;
	return p != NULL && is_at(t, p, close) ? p + 1 : NULL;
}

static const char *value(struct text *t, const char *p)
{
	p = blanks(t, p);
	if (p == t->end)
		return NULL;
	switch (*p) {
	case '{':
		return list(t, p, '}', member);
	case '[':
		return list(t, p, ']', value);
	case '"':
		return string(t, p);
	case 'n':
		return word(t, p, SLICE("null"));
	case 't':
		return word(t, p, SLICE("true"));
	case 'f':
		return word(t, p, SLICE("false"));
	default:
		return number(t, p);
	}
}

bool form_is_object(struct slice s)
{
	struct text t = {.end = s.p + s.n};

	return s.n > 0 && s.p[0] == '{' && list(&t, s.p, '}', member) == t.end && slice_is_utf8(s);
}
