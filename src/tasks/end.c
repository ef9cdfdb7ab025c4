/* How a task ends: one transaction, and the JSON that tells why. Any thread that may block. */
#include "tasks/tasks_priv.h"

#include "base/log.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

int task_write_end(struct txn *t, const struct uuid *u, enum task_state final, struct slice error, struct slice result,
	enum task_state *now, struct err *err)
{
	struct task_row *row = NULL;
	int rc = catalog_task_by_uuid(t, u, &row, err);

	if (rc < 0)
		return rc;
	if (task_state_is_final(row->state)) {
		*now = row->state;
		goto out;
	}
	/* Whoever canceled it was told that it will end that way. */
	if (row->state == TASK_CANCELING) {
		final = TASK_CANCELED;
		error = result = SLICE_NULL;
	}
	rc = catalog_task_finish(t, row->id, final, error, result, err);
	if (rc == 0)
		*now = final;
out:
	task_row_free(&row);
	return rc;
}

/* Error texts quote foreign bytes, and JSON is UTF-8: what is not becomes '?'. */
static void utf8_repair(const char *in, char *out, size_t cap)
{
	size_t at = 0;

	for (const char *p = in; *p != '\0';) {
		size_t left = strlen(p), n = 1;

		while (n <= 4 && n <= left && !slice_is_utf8(slice_of(p, n)))
			n++;
		if (n > 4 || n > left) {
			n = 1;
			if (at + 1 >= cap)
				break;
			out[at++] = '?';
		} else {
			if (at + n >= cap)
				break;
			memcpy(out + at, p, n);
			at += n;
		}
		p += n;
	}
	out[at] = '\0';
}

/* "[PLP0003] …" → "PLP0003". */
static bool error_code_of(const char *text, char out[8])
{
	if (strncmp(text, "[PLP", 4) != 0)
		return false;
	for (int i = 4; i < 8; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
	}
	if (text[8] != ']')
		return false;
	memcpy(out, text + 1, 7);
	out[7] = '\0';
	return true;
}

static char *dump_and_free(json_t *j)
{
	char *text = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	return text;
}

char *task_error_text(const struct err *e)
{
	const char *raw = e->msg[0] != '\0' ? e->msg : err_text(e->code);
	char text[sizeof(e->msg)];
	char code[8];
	json_t *j;

	utf8_repair(raw, text, sizeof(text));
	j = json_pack("{s:s, s:n}", "description", text, "traceback");
	if (j != NULL && error_code_of(text, code) && json_object_set_new(j, "error_code", json_string(code)) < 0) {
		json_decref(j);
		return NULL;
	}
	return dump_and_free(j);
}

char *task_reason_text(const char *fmt, ...)
{
	char raw[256], text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	utf8_repair(raw, text, sizeof(text));
	return dump_and_free(json_pack("{s:s}", "reason", text));
}
