/* Tables and lists of members. What comes from the server is printed without its control characters. */
#include "cmd/table.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 16

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static void add_plain(const char *z, struct buf *out)
{
	for (; *z != '\0'; z++)
		buf_add(out, is_control(*z) ? " " : z, 1);
}

void table_add_value(const json_t *v, struct buf *out)
{
	char *text;

	if (v == NULL || json_is_null(v)) {
		buf_adds(out, "-");
	} else if (json_is_string(v)) {
		add_plain(json_string_value(v), out);
	} else {
		text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
		if (text != NULL)
			add_plain(text, out);
		else
			out->failed = -ERR_NOMEM;
		free(text);
	}
}

/* As wide as a terminal draws most of them: what is not the middle of a character. */
static size_t width_of(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static void cell_of(const struct column *col, const json_t *row, const struct client *c, struct buf *out)
{
	size_t start = out->n;

	if (col->cell != NULL)
		col->cell(c, row, out);
	else
		table_add_value(json_object_get(row, col->member), out);
	if (out->n == start)
		buf_adds(out, "-");
	for (size_t i = start; i < out->n; i++)
		if (is_control(out->p[i]))
			out->p[i] = ' ';
}

static bool is_number(const struct column *col, const json_t *row)
{
	return col->cell == NULL && json_is_number(json_object_get(row, col->member));
}

/* The last column is not padded: lines do not end in blanks. */
static void add_padded(struct slice text, size_t width, bool right, bool last, struct buf *out)
{
	size_t n = width_of(text), fill = n < width ? width - n : 0;

	if (right)
		buf_addf(out, "%*s", (int)fill, "");
	buf_add_slice(out, text);
	if (!last && !right)
		buf_addf(out, "%*s", (int)fill, "");
	buf_adds(out, last ? "\n" : "  ");
}

int table_add(const struct column *columns, const json_t *rows, const struct client *c, struct buf *out)
{
	size_t width[COLUMNS_MAX] = {0}, n = 0, i;
	bool right[COLUMNS_MAX] = {0};
	struct buf cell = BUF_INIT(0);
	json_t *row;

	for (; columns[n].title != NULL; n++) {
		BUG(n + 1 >= COLUMNS_MAX);
		width[n] = strlen(columns[n].title);
	}
	json_array_foreach((json_t *)(uintptr_t)rows, i, row)
	{
		for (size_t k = 0; k < n; k++) {
			buf_reset(&cell);
			cell_of(&columns[k], row, c, &cell);
			width[k] = MAX(width[k], width_of(buf_slice(&cell)));
			right[k] = right[k] || is_number(&columns[k], row);
		}
	}
	for (size_t k = 0; k < n; k++)
		add_padded(slice_str(columns[k].title), width[k], right[k], k + 1 == n, out);
	json_array_foreach((json_t *)(uintptr_t)rows, i, row)
	{
		for (size_t k = 0; k < n; k++) {
			buf_reset(&cell);
			cell_of(&columns[k], row, c, &cell);
			add_padded(buf_slice(&cell), width[k], right[k], k + 1 == n, out);
		}
	}
	if (cell.failed != 0)
		out->failed = cell.failed;
	buf_fini(&cell);
	return out->failed;
}

int table_add_members(const json_t *object, struct buf *out)
{
	size_t width = 0;
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)object, key, v) width = MAX(width, strlen(key));
	json_object_foreach((json_t *)(uintptr_t)object, key, v)
	{
		buf_addf(out, "%-*s  ", (int)width, key);
		table_add_value(v, out);
		buf_adds(out, "\n");
	}
	return out->failed;
}
