/* Showing a task's progress reports: bars that are redrawn on a terminal, plain lines anywhere else. Standard error. */
#ifndef SLUICE_CMD_PROGRESS_H
#define SLUICE_CMD_PROGRESS_H

#include "base/buf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define PROGRESS_MAX 32

struct progress {
	int fd;
	bool bars;
	int columns;
	int drawn; /* lines of bars on the screen */
	struct {
		int64_t first_ns, first_done; /* when it was first seen: for the rate */
		int64_t line_ns;              /* last plain line */
		bool said_end;
	} report[PROGRESS_MAX];
};

void progress_init(struct progress *p, int fd);
/* With the task as the API shows it. NULL p: nothing. */
void progress_show(struct progress *p, const json_t *task);
/* Nothing more comes: what follows begins on a line of its own. */
void progress_end(struct progress *p);

/* One report as a line of at most `columns`: "Downloading artifacts  [####----]  412/1000  41%  35/s". per_s < 0: no rate. */
int progress_line(const json_t *report, int columns, bool bar, double per_s, struct buf *out);

#endif
