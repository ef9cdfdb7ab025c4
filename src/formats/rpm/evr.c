/* Versions are runs of digits and runs of letters; everything between them but '~' and '^' only separates. */
#include "formats/rpm/evr.h"

#include "base/check.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void skip(struct slice *s, size_t n)
{
	s->p += n;
	s->n -= n;
}

static void skip_separators(struct slice *s)
{
	while (s->n > 0 && !is_digit(s->p[0]) && !is_letter(s->p[0]) && s->p[0] != '~' && s->p[0] != '^')
		skip(s, 1);
}

static struct slice cut_run(struct slice *s, bool (*belongs)(char c))
{
	struct slice run = {s->p, 0};

	while (run.n < s->n && belongs(s->p[run.n]))
		run.n++;
	skip(s, run.n);
	return run;
}

static int bytes(struct slice a, struct slice b)
{
	int c = memcmp(a.p, b.p, MIN(a.n, b.n));

	return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

static int numbers(struct slice a, struct slice b)
{
	while (a.n > 0 && a.p[0] == '0')
		skip(&a, 1);
	while (b.n > 0 && b.p[0] == '0')
		skip(&b, 1);
	if (a.n != b.n)
		return a.n > b.n ? 1 : -1;
	return a.n > 0 ? memcmp(a.p, b.p, a.n) : 0;
}

int evr_segments(struct slice a, struct slice b)
{
	for (;;) {
		bool tilde_a, tilde_b, caret_a, caret_b, digits;
		struct slice run_a, run_b;
		int c;

		skip_separators(&a);
		skip_separators(&b);
		tilde_a = a.n > 0 && a.p[0] == '~';
		tilde_b = b.n > 0 && b.p[0] == '~';
		caret_a = a.n > 0 && a.p[0] == '^';
		caret_b = b.n > 0 && b.p[0] == '^';
		/* Older than anything, the end included. */
		if (tilde_a != tilde_b)
			return tilde_a ? -1 : 1;
		/* Newer than the end, older than anything else. */
		if (!tilde_a && caret_a != caret_b)
			return caret_a ? (b.n == 0 ? 1 : -1) : (a.n == 0 ? -1 : 1);
		if (tilde_a || caret_a) {
			skip(&a, 1);
			skip(&b, 1);
			continue;
		}
		if (a.n == 0 || b.n == 0)
			return (a.n > 0) - (b.n > 0);
		digits = is_digit(a.p[0]);
		run_a = cut_run(&a, digits ? is_digit : is_letter);
		run_b = cut_run(&b, digits ? is_digit : is_letter);
		if (run_b.n == 0) /* a number is newer than letters */
			return digits ? 1 : -1;
		c = digits ? numbers(run_a, run_b) : bytes(run_a, run_b);
		if (c != 0)
			return c;
	}
}

int evr_compare(const struct evr *a, const struct evr *b)
{
	int c = numbers(a->epoch, b->epoch);

	if (c == 0)
		c = evr_segments(a->version, b->version);
	return c != 0 ? c : evr_segments(a->release, b->release);
}

/* Cuts off what follows the last `c`. */
static bool cut_last(struct slice *s, char c, struct slice *rest)
{
	ptrdiff_t at = slice_rchr(*s, c);

	if (at < 0)
		return false;
	*rest = slice_of(s->p + at + 1, s->n - (size_t)at - 1);
	s->n = (size_t)at;
	return true;
}

bool evr_of_nevra(struct slice nevra, struct slice *name, struct slice *arch, struct evr *out)
{
	struct slice version;
	ptrdiff_t colon;

	*name = nevra;
	if (!cut_last(name, '.', arch) || !cut_last(name, '-', &out->release) || !cut_last(name, '-', &version))
		return false;
	colon = slice_chr(version, ':');
	out->epoch = slice_of(version.p, colon > 0 ? (size_t)colon : 0);
	out->version = slice_of(version.p + (colon + 1), version.n - (size_t)(colon + 1));
	return true;
}
