/* Progress on standard error. */
#include "cmd/progress.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/fsutil.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PLAIN_EVERY_NS (5 * NS_PER_S)
#define NAME_WIDTH 32
#define BAR_WIDTH 24

void progress_init(struct progress *p, int fd)
{
	const char *term = getenv("TERM");
	struct winsize ws;

	*p = (struct progress){.fd = fd, .columns = 80};
	p->bars = isatty(fd) && term != NULL && strcmp(term, "dumb") != 0;
	if (p->bars && ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 20)
		p->columns = ws.ws_col;
}

static bool is_over(const json_t *report)
{
	const char *state = json_string_value(json_object_get(report, "state"));

	return state != NULL && strcmp(state, "running") != 0 && strcmp(state, "waiting") != 0;
}

static void add_bar(struct buf *out, int64_t done, int64_t total)
{
	int filled = total > 0 ? (int)(MIN(done, total) * BAR_WIDTH / total) : BAR_WIDTH;

	buf_adds(out, "  [");
	for (int i = 0; i < BAR_WIDTH; i++)
		buf_adds(out, i < filled ? "#" : "-");
	buf_adds(out, "]");
}

/* Messages come from the server: nothing but printable text reaches the terminal. */
static void add_name(struct buf *out, const char *name)
{
	size_t start = out->n;

	for (; *name != '\0' && out->n - start < NAME_WIDTH; name++)
		buf_add(out, (unsigned char)*name < 0x20 || *name == 0x7f ? " " : name, 1);
	while (out->n - start < NAME_WIDTH)
		buf_adds(out, " ");
}

int progress_line(const json_t *report, int columns, bool bar, double per_s, struct buf *out)
{
	const char *name = json_string_value(json_object_get(report, "message"));
	const json_t *total_json = json_object_get(report, "total");
	int64_t total = json_is_integer(total_json) ? json_integer_value(total_json) : -1;
	int64_t done = json_integer_value(json_object_get(report, "done"));
	size_t start = out->n;

	add_name(out, name != NULL ? name : "");
	if (bar && total >= 0)
		add_bar(out, done, total);
	if (total >= 0)
		buf_addf(out, "  %lld/%lld  %d%%", (long long)done, (long long)total,
			total > 0 ? (int)((double)MIN(done, total) * 100 / (double)total) : 100);
	else
		buf_addf(out, "  %lld", (long long)done);
	if (is_over(report))
		buf_addf(out, "  %s", json_string_value(json_object_get(report, "state")));
	else if (per_s >= 1)
		buf_addf(out, "  %.0f/s", per_s);
	/* A line that wraps could not be drawn over. */
	if (out->failed == 0 && bar && out->n - start > (size_t)columns)
		out->n = start + (size_t)columns;
	return out->failed;
}

static double report_rate(struct progress *p, size_t i, const json_t *report, int64_t now)
{
	int64_t done = json_integer_value(json_object_get(report, "done"));

	if (p->report[i].first_ns == 0) {
		p->report[i].first_ns = now;
		p->report[i].first_done = done;
	}
	if (now - p->report[i].first_ns < NS_PER_S)
		return -1;
	return (double)(done - p->report[i].first_done) * NS_PER_S / (double)(now - p->report[i].first_ns);
}

/* When it begins, now and then, and when it ends. */
static bool plain_line_is_due(struct progress *p, size_t i, const json_t *report, int64_t now)
{
	bool over = is_over(report);

	if (p->report[i].said_end ||
		(!over && p->report[i].line_ns != 0 && now - p->report[i].line_ns < PLAIN_EVERY_NS))
		return false;
	p->report[i].line_ns = now;
	p->report[i].said_end = over;
	return true;
}

void progress_show(struct progress *p, const json_t *task)
{
	struct buf out = BUF_INIT(65536);
	int64_t now = clock_mono_ns();
	json_t *report;
	int lines = 0;
	size_t i;

	if (p == NULL)
		return;
	if (p->drawn > 0)
		buf_addf(&out, "\033[%dA", p->drawn);
	json_array_foreach(json_object_get(task, "progress_reports"), i, report)
	{
		double per_s;

		if (i >= PROGRESS_MAX)
			break;
		per_s = report_rate(p, i, report, now);
		if (!p->bars && !plain_line_is_due(p, i, report, now))
			continue;
		if (p->bars)
			buf_adds(&out, "\r\033[K");
		progress_line(report, p->columns - 1, p->bars, per_s, &out);
		buf_adds(&out, "\n");
		lines++;
	}
	if (p->bars)
		p->drawn = lines;
	/* Somebody who closed standard error does not want to see it. */
	if (out.failed == 0 && out.n > 0)
		(void)fs_write_all(p->fd, out.p, out.n, NULL);
	buf_fini(&out);
}

void progress_end(struct progress *p)
{
	if (p != NULL)
		p->drawn = 0;
}
