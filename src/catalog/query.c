/* The query builder: terms become text with numbered parameters, values stay values. A query is built and run by one
 * thread; an allocation that failed is remembered and comes out when it is run. */
#include "catalog/query.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/digest.h"
#include "catalog/catalog_priv.h"
#include "catalog/db.h"

#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_MAX (8u << 20) /* of one query's values: a request line has at most a megabyte */
#define TEXT_MAX (1u << 20)  /* of SQL */
#define PARAMS_MAX 20000     /* below SQLite's 32766 */
#define PATTERN_MAX 256      /* bytes of a regular expression */
#define DEPTH_MAX 64         /* of open junctions */
#define COLUMNS_MAX 64

enum param_kind { PARAM_NULL, PARAM_INT, PARAM_REAL, PARAM_TEXT, PARAM_BLOB };
struct param {
	enum param_kind kind;
	int64_t i;
	double f;
	struct slice s;
};

struct query {
	const struct view *view;
	struct arena arena;
	struct buf where, order;
	struct param *params;
	size_t param_count, param_cap;
	struct {
		enum query_junction junction;
		int terms;
	} open[DEPTH_MAX];
	int depth;
	bool led; /* the view's member table is part of FROM */
	unsigned joins, order_joins;
	const struct view_column *columns[COLUMNS_MAX];
	size_t column_count;
	int64_t limit, offset; /* limit -1: all */
	int failed;
};

static const char *const suffixes[] = {
#define X(NAME, suffix) [QUERY_##NAME] = suffix,
	QUERY_OPS(X)
#undef X
};

const char *query_op_suffix(enum query_op op)
{
	return suffixes[op];
}

int query_op_parse(struct slice suffix, enum query_op *out)
{
	for (size_t i = 0; i < QUERY_OP_COUNT; i++)
		if (slice_eq(suffix, slice_str(suffixes[i]))) {
			*out = (enum query_op)i;
			return 0;
		}
	return -ERR_INVAL;
}

int query_new(const struct view *v, struct query **out)
{
	struct query *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return -ERR_NOMEM;
	q->view = v;
	q->where = BUF_INIT(TEXT_MAX);
	q->order = BUF_INIT(TEXT_MAX);
	q->limit = -1;
	arena_init(&q->arena, ARENA_MAX);
	*out = q;
	return 0;
}

void query_free(struct query **pq)
{
	struct query *q = TAKE(*pq);

	if (q == NULL)
		return;
	buf_fini(&q->where);
	buf_fini(&q->order);
	arena_fini(&q->arena);
	free(q->params);
	free(q);
}

static const struct view_column *column_of(struct query *q, const char *name)
{
	const struct view_column *c = view_column_find(q->view, name);

	BUG(c == NULL);
	return c;
}

void query_select(struct query *q, const char *column)
{
	const struct view_column *c = column_of(q, column);

	for (size_t i = 0; i < q->column_count; i++)
		if (q->columns[i] == c)
			return;
	BUG(q->column_count == COLUMNS_MAX);
	q->columns[q->column_count++] = c;
}

/* ---- parameters ---- */

static void param_add(struct query *q, struct param p)
{
	if (q->param_count == q->param_cap) {
		size_t cap = q->param_cap ? 2 * q->param_cap : 16;
		struct param *grown;

		if (cap > PARAMS_MAX || (grown = realloc(q->params, cap * sizeof(*grown))) == NULL) {
			q->failed = cap > PARAMS_MAX ? -ERR_LIMIT : -ERR_NOMEM;
			return;
		}
		q->params = grown;
		q->param_cap = cap;
	}
	if (p.s.p != NULL && (p.s.p = arena_strdup(&q->arena, p.s)) == NULL) {
		q->failed = -ERR_NOMEM;
		return;
	}
	q->params[q->param_count++] = p;
}

/* Adds SQL text whose "?1" is the parameter that was added first after `first` others. */
static void text_add(struct query *q, const char *sql, size_t first)
{
	for (const char *at = sql; *at != '\0'; at++) {
		if (*at == '?')
			buf_addf(&q->where, "$%zu", first + (size_t)(*++at - '0'));
		else
			buf_add(&q->where, at, 1);
	}
}

static int blob_param(struct query *q, const void *p, size_t n, struct param *out)
{
	char *copy = arena_alloc(&q->arena, n);

	if (copy == NULL)
		return -ERR_NOMEM;
	memcpy(copy, p, n);
	*out = (struct param){.kind = PARAM_BLOB, .s = {copy, n}};
	return 0;
}

static int real_parse(struct slice value, double *out)
{
	char text[64], *end;

	if (value.n == 0 || value.n >= sizeof(text))
		return -ERR_INVAL;
	memcpy(text, value.p, value.n);
	text[value.n] = '\0';
	*out = strtod(text, &end);
	return *end == '\0' && isfinite(*out) ? 0 : -ERR_INVAL;
}

static int int_parse(struct slice value, int64_t *out)
{
	bool negative = value.n > 0 && value.p[0] == '-';
	struct slice digits = negative ? slice_of(value.p + 1, value.n - 1) : value;

	if (slice_to_i64(digits, INT64_MAX, out) < 0)
		return -ERR_INVAL;
	*out = negative ? -*out : *out;
	return 0;
}

/* A date alone is its first instant. */
static int time_parse(struct slice value, int64_t *out)
{
	char text[32];

	if (value.n != strlen("2026-01-31"))
		return clock_iso_parse(value, out);
	(void)snprintf(text, sizeof(text), "%.*sT00:00", SLICE_ARG(value));
	return clock_iso_parse(slice_str(text), out);
}

static int bool_parse(struct slice value, bool *out)
{
	static const char *const words[] = {"false", "true", "0", "1", "f", "t", "no", "yes"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (slice_eq_nocase(value, slice_str(words[i]))) {
			*out = i % 2 == 1;
			return 0;
		}
	return -ERR_INVAL;
}

/* 1: the value can equal nothing (not hex, where digests are compared). */
static int param_parse(struct query *q, enum col_type type, struct slice value, struct param *out, struct err *err)
{
	uint8_t bytes[DIGEST_MAX];
	struct uuid u;
	bool flag;

	*out = (struct param){.kind = PARAM_INT};
	switch (type) {
	case COL_INT:
		return int_parse(slice_trim(value), &out->i) < 0 ? err_set(err, -ERR_INVAL, "Enter a number.") : 0;
	case COL_REAL:
		out->kind = PARAM_REAL;
		return real_parse(slice_trim(value), &out->f) < 0 ? err_set(err, -ERR_INVAL, "Enter a number.") : 0;
	case COL_BOOL:
		if (bool_parse(slice_trim(value), &flag) < 0)
			return err_set(err, -ERR_INVAL, "Enter true or false.");
		out->i = flag;
		return 0;
	case COL_TIME:
		return time_parse(slice_trim(value), &out->i) < 0 ? err_set(err, -ERR_INVAL, "Enter a valid date/time.")
								  : 0;
	case COL_UUID:
		if (uuid_parse(slice_trim(value), &u) < 0)
			return err_set(err, -ERR_INVAL, "Enter a valid UUID");
		return blob_param(q, u.b, sizeof(u.b), out);
	case COL_HEX:
		if (value.n % 2 != 0 || value.n / 2 > sizeof(bytes) || hex_parse(value, bytes, value.n / 2) < 0)
			return 1;
		return blob_param(q, bytes, value.n / 2, out);
	case COL_TEXT:
		if (!slice_is_utf8(value) ||
			memchr(value.n > 0 ? value.p : "-", '\0', value.n > 0 ? value.n : 1) != NULL)
			return err_set(err, -ERR_INVAL, "Null characters are not allowed.");
		*out = (struct param){.kind = PARAM_TEXT, .s = {value.p != NULL ? value.p : "", value.n}};
		return 0;
	case COL_JSON:
		break;
	}
	return err_set(err, -ERR_UNSUPPORTED, "This field cannot be compared.");
}

/* ---- terms ---- */

static void term_begin(struct query *q)
{
	static const char *const between[] = {[QUERY_AND] = " AND ", [QUERY_OR] = " OR ", [QUERY_NOT] = " OR "};

	if (q->open[q->depth].terms++ > 0)
		buf_adds(&q->where, between[q->open[q->depth].junction]);
}

void query_open(struct query *q, enum query_junction j)
{
	BUG(q->depth + 1 == DEPTH_MAX);
	term_begin(q);
	buf_adds(&q->where, "((");
	q->depth++;
	q->open[q->depth].junction = j;
	q->open[q->depth].terms = 0;
}

void query_close(struct query *q)
{
	BUG(q->depth == 0);
	if (q->open[q->depth].terms == 0)
		buf_adds(&q->where, q->open[q->depth].junction == QUERY_AND ? "1 = 1" : "1 = 0");
	/* Not "NOT (...)": a comparison with null is neither, and its complement has to hold. */
	buf_adds(&q->where, q->open[q->depth].junction == QUERY_NOT ? ") IS NOT TRUE)" : "))");
	q->depth--;
}

/* '%' in the pattern stands for the column, '?' for the value. */
static void pattern_add(struct query *q, const char *column, const char *pattern, size_t value)
{
	for (const char *at = pattern; *at != '\0'; at++) {
		if (*at == '%')
			buf_adds(&q->where, column);
		else if (*at == '?')
			buf_addf(&q->where, "$%zu", value);
		else
			buf_add(&q->where, at, 1);
	}
}

/* A term of one column. `tail`: SQL after the pattern, or NULL. */
static void column_term(
	struct query *q, const struct view_column *c, const char *pattern, size_t value, const struct buf *tail)
{
	const char *hole = c->within != NULL ? strchr(c->within, '%') : NULL;

	term_begin(q);
	if (hole != NULL)
		buf_add(&q->where, c->within, (size_t)(hole - c->within));
	else
		q->joins |= c->joins;
	pattern_add(q, hole != NULL ? c->within_sql : c->sql, pattern, value);
	if (tail != NULL)
		buf_add_slice(&q->where, buf_slice(tail));
	if (hole != NULL)
		buf_adds(&q->where, hole + 1);
}

static void term_never(struct query *q)
{
	term_begin(q);
	buf_adds(&q->where, "1 = 0");
}

int query_where_any(struct query *q, const char *column, const struct slice *values, size_t count, struct err *err)
{
	const struct view_column *c = column_of(q, column);
	struct buf list = BUF_INIT(TEXT_MAX);
	size_t first = q->param_count;
	struct param p;
	int rc;

	for (size_t i = 0; i < count; i++) {
		if ((rc = param_parse(q, c->type, values[i], &p, err)) < 0)
			return rc;
		if (rc == 0)
			param_add(q, p);
	}
	if (q->param_count == first) {
		term_never(q);
		return 0;
	}
	for (size_t i = first; i < q->param_count; i++)
		buf_addf(&list, "%s$%zu", i == first ? " IN (" : ", ", i + 1);
	buf_adds(&list, ")");
	column_term(q, c, "%", 0, &list);
	rc = list.failed;
	buf_fini(&list);
	return rc;
}

/* Cuts at commas into the arena. */
static int parts_of(struct query *q, struct slice value, struct slice **out, size_t *count)
{
	size_t n = 0, max = 1;
	struct slice *parts, rest = value;

	for (size_t i = 0; i < value.n; i++)
		max += value.p[i] == ',';
	if ((parts = arena_alloc(&q->arena, max * sizeof(*parts))) == NULL)
		return -ERR_NOMEM;
	while (value.n > 0 && rest.p != NULL)
		parts[n++] = slice_trim(slice_cut(&rest, ','));
	*out = parts;
	*count = n;
	return 0;
}

/* Text comparisons in words that every database has; LIKE differs in case and in what it escapes. `lower` folds ASCII. */
static const struct {
	const char *sql;
	bool text_only;
	bool empty_is_all; /* every text contains the empty one */
} comparisons[QUERY_OP_COUNT] = {
	[QUERY_EQ] = {"% = ?", false, false},
	[QUERY_NE] = {"% <> ?", false, false},
	[QUERY_IEXACT] = {"lower(%) = lower(?)", true, false},
	[QUERY_CONTAINS] = {"replace(%, ?, '') <> %", true, true},
	[QUERY_ICONTAINS] = {"replace(lower(%), lower(?), '') <> lower(%)", true, true},
	[QUERY_STARTSWITH] = {"substr(%, 1, length(?)) = ?", true, true},
	[QUERY_ISTARTSWITH] = {"substr(lower(%), 1, length(?)) = lower(?)", true, true},
	[QUERY_REGEX] = {"text_matches(%, ?, 0) = 1", true, false},
	[QUERY_IREGEX] = {"text_matches(%, ?, 1) = 1", true, false},
	[QUERY_LT] = {"% < ?", false, false},
	[QUERY_LTE] = {"% <= ?", false, false},
	[QUERY_GT] = {"% > ?", false, false},
	[QUERY_GTE] = {"% >= ?", false, false},
};

static int where_range(
	struct query *q, const struct view_column *c, const struct slice *parts, size_t count, struct err *err)
{
	size_t first = q->param_count;
	struct param p[2];
	int rc;

	if (count != 2)
		return err_set(err, -ERR_INVAL, "Range query expects two values.");
	for (int i = 0; i < 2; i++) {
		if ((rc = param_parse(q, c->type, parts[i], &p[i], err)) < 0)
			return rc;
		if (rc > 0)
			return err_set(err, -ERR_INVAL, "Enter a valid value.");
	}
	param_add(q, p[0]);
	param_add(q, p[1]);
	column_term(q, c, "% >= ?", first + 1, NULL);
	column_term(q, c, "% <= ?", first + 2, NULL);
	return 0;
}

/* Nested repetitions and back references cost the matcher memory and time without bound. */
static bool pattern_ok(struct slice pattern)
{
	char text[PATTERN_MAX + 1];
	int braces = 0;
	regex_t re;

	if (pattern.n == 0 || pattern.n > PATTERN_MAX || memchr(pattern.p, '\0', pattern.n) != NULL)
		return false;
	for (size_t i = 0; i < pattern.n; i++) {
		if (pattern.p[i] == '{' && ++braces > 1)
			return false;
		if (pattern.p[i] == '\\' && i + 1 < pattern.n && pattern.p[i + 1] >= '1' && pattern.p[i + 1] <= '9')
			return false;
	}
	memcpy(text, pattern.p, pattern.n);
	text[pattern.n] = '\0';
	if (regcomp(&re, text, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	regfree(&re);
	return true;
}

int query_where(struct query *q, const char *column, enum query_op op, struct slice value, struct err *err)
{
	const struct view_column *c = column_of(q, column);
	struct slice *parts;
	struct param p;
	size_t count;
	bool flag;
	int rc;

	if (op == QUERY_IN || op == QUERY_RANGE) {
		if ((rc = parts_of(q, value, &parts, &count)) < 0)
			return rc;
		if (op == QUERY_IN)
			return query_where_any(q, column, parts, count, err);
		/* two terms: they must hold together whatever is open around them */
		query_open(q, QUERY_AND);
		rc = where_range(q, c, parts, count, err);
		query_close(q);
		return rc;
	}
	if (op == QUERY_ISNULL) {
		if (bool_parse(slice_trim(value), &flag) < 0)
			return err_set(err, -ERR_INVAL, "Enter true or false.");
		column_term(q, c, flag ? "% IS NULL" : "% IS NOT NULL", 0, NULL);
		return 0;
	}
	if (comparisons[op].sql == NULL || (comparisons[op].text_only && c->type != COL_TEXT))
		return err_set(err, -ERR_UNSUPPORTED, "This comparison is not possible here.");
	if (comparisons[op].empty_is_all && value.n == 0) {
		column_term(q, c, "% IS NOT NULL", 0, NULL);
		return 0;
	}
	if ((op == QUERY_REGEX || op == QUERY_IREGEX) && !pattern_ok(value))
		return err_set(err, -ERR_INVAL, "Enter a valid regular expression.");
	if ((rc = param_parse(q, c->type, value, &p, err)) < 0)
		return rc;
	if (rc > 0) {
		term_never(q);
		return 0;
	}
	param_add(q, p);
	column_term(q, c, comparisons[op].sql, q->param_count, NULL);
	return 0;
}

/* A condition on members that holds for the whole query leads it: their table is walked in the order of its key, and a page
 * costs a page. Elsewhere, or a second one, it is a set to look into. */
static void condition_text(struct query *q, const struct view_condition *vc, size_t first)
{
	if (vc->member && q->depth == 0 && !q->led) {
		q->led = true;
		text_add(q, vc->sql, first);
		return;
	}
	if (vc->member)
		buf_addf(&q->where, "%s IN (SELECT %s FROM %s WHERE ", q->view->id, q->view->member_key,
			q->view->member_from);
	else
		buf_adds(&q->where, "(");
	text_add(q, vc->sql, first);
	buf_adds(&q->where, ")");
}

int query_condition(struct query *q, const char *condition, const struct slice *values, size_t count, struct err *err)
{
	const struct view_condition *vc = view_condition_find(q->view, condition);
	struct param p[VIEW_PARAMS_MAX];
	size_t rounds;
	int rc;

	BUG(vc == NULL || (!vc->each && count != vc->param_count));
	rounds = vc->each ? count : 1;
	if (rounds == 0)
		term_never(q);
	for (size_t r = 0; r < rounds; r++) {
		size_t first = q->param_count;
		bool never = false;

		for (size_t i = 0; i < vc->param_count; i++) {
			if ((rc = param_parse(q, vc->params[i], vc->each ? values[r] : values[i], &p[i], err)) < 0)
				return rc;
			never |= rc > 0;
		}
		if (never) {
			term_never(q);
			continue;
		}
		for (size_t i = 0; i < vc->param_count; i++)
			param_add(q, p[i]);
		term_begin(q);
		q->joins |= vc->joins;
		condition_text(q, vc, first);
	}
	return 0;
}

void query_label(struct query *q, const char *column, enum query_label how, struct slice key, struct slice value)
{
	/* '%' the column, '?' the key, '!' the value */
	static const char *const sql[] = {
		[QUERY_LABEL_HAS] = "label_has(%, ?) = 1",
		[QUERY_LABEL_LACKS] = "label_has(%, ?) = 0",
		[QUERY_LABEL_EQ] = "label_get(%, ?) = !",
		/* a null value differs from every text */
		[QUERY_LABEL_NE] = "(label_has(%, ?) = 1 AND (label_get(%, ?) = !) IS NOT TRUE)",
		[QUERY_LABEL_CONTAINS] = "replace(lower(label_get(%, ?)), lower(!), '') <> lower(label_get(%, ?))",
	};
	const struct view_column *c = column_of(q, column);
	size_t k, v;

	if (how == QUERY_LABEL_CONTAINS && value.n == 0)
		how = QUERY_LABEL_HAS;
	param_add(q, (struct param){.kind = PARAM_TEXT, .s = key});
	k = v = q->param_count;
	if (how != QUERY_LABEL_HAS && how != QUERY_LABEL_LACKS) {
		param_add(q, (struct param){.kind = PARAM_TEXT, .s = {value.p != NULL ? value.p : "", value.n}});
		v = q->param_count;
	}
	term_begin(q);
	q->joins |= c->joins;
	for (const char *at = sql[how]; *at != '\0'; at++) {
		if (*at == '%')
			buf_adds(&q->where, c->sql);
		else if (*at == '?' || *at == '!')
			buf_addf(&q->where, "$%zu", *at == '?' ? k : v);
		else
			buf_add(&q->where, at, 1);
	}
}

/* ---- order and page ---- */

void query_order(struct query *q, const char *column, bool descending)
{
	const struct view_column *c = column_of(q, column);

	q->order_joins |= c->joins;
	buf_addf(&q->order, "%s%s, ", c->sql, descending ? " DESC" : "");
}

void query_page(struct query *q, int64_t limit, int64_t offset)
{
	q->limit = limit;
	q->offset = offset;
}

/* ---- running ---- */

/* FROM with these joins and what they need; `filter`: WHERE too. */
static void from_add(const struct query *q, unsigned joins, bool filter, struct buf *sql)
{
	unsigned need = joins;

	for (size_t i = q->view->join_count; i-- > 0;)
		if (need & (1u << i))
			need |= q->view->joins[i].needs;
	buf_addf(sql, " FROM %s", q->view->from);
	if (filter && q->led)
		buf_addf(sql, " JOIN %s ON %s = %s", q->view->member_from, q->view->member_key, q->view->id);
	for (size_t i = 0; i < q->view->join_count; i++)
		if (need & (1u << i))
			buf_addf(sql, " %s", q->view->joins[i].sql);
	if (!filter)
		return;
	if (q->view->where != NULL || q->where.n > 0)
		buf_adds(sql, " WHERE ");
	if (q->view->where != NULL)
		buf_addf(sql, "%s%s", q->view->where, q->where.n > 0 ? " AND " : "");
	buf_add_slice(sql, buf_slice(&q->where));
}

static void order_add(const struct query *q, bool filter, struct buf *sql)
{
	buf_addf(sql, " ORDER BY %s%s DESC", q->order.p != NULL ? q->order.p : "",
		filter && q->led ? q->view->member_key : q->view->id);
}

static void limit_add(const struct query *q, struct buf *sql)
{
	if (q->limit >= 0)
		buf_addf(sql, " LIMIT %lld OFFSET %lld", (long long)q->limit, (long long)q->offset);
}

static bool has_secrets(const struct query *q)
{
	for (size_t i = 0; i < q->column_count; i++)
		if (q->columns[i]->secret)
			return true;
	return false;
}

/* A page is chosen by ids alone first: columns are worked out for its rows, not for those that are skipped or sorted away. */
static void rows_sql(const struct query *q, struct buf *sql)
{
	bool two_steps = q->limit > 1 && !q->view->id_repeats;
	unsigned joins = q->order_joins;

	buf_addf(sql, "SELECT %s", q->view->id);
	for (size_t i = 0; i < q->column_count; i++) {
		buf_addf(sql, ", %s", q->columns[i]->sql);
		joins |= q->columns[i]->joins;
	}
	/* secrets are bound to their row, which is named last */
	if (has_secrets(q))
		buf_addf(sql, ", %s", view_column_find(q->view, "uuid")->sql);
	from_add(q, two_steps ? joins : joins | q->joins, !two_steps, sql);
	if (two_steps) {
		buf_addf(sql, " WHERE %s IN (SELECT %s", q->view->id, q->view->id);
		from_add(q, q->joins | q->order_joins, true, sql);
		order_add(q, true, sql);
		limit_add(q, sql);
		buf_adds(sql, ")");
	}
	order_add(q, !two_steps, sql);
	if (!two_steps)
		limit_add(q, sql);
}

static int query_start(struct txn *t, const struct query *q, struct buf *sql, struct db_stmt **out, struct err *err)
{
	int rc = q->failed         ? q->failed
		 : q->where.failed ? q->where.failed
		 : q->order.failed ? q->order.failed
				   : sql->failed;
	struct db_stmt *st;

	if (rc < 0)
		return err_set(err, rc, "the query is too long");
	if ((rc = db_query_text(txn_db(t), sql->p, &st, err)) < 0)
		return rc;
	for (size_t i = 0; i < q->param_count; i++) {
		const struct param *p = &q->params[i];
		int at = (int)i + 1;

		switch (p->kind) {
		case PARAM_NULL:
			db_bind_null(st, at);
			break;
		case PARAM_INT:
			db_bind_i64(st, at, p->i);
			break;
		case PARAM_REAL:
			db_bind_f64(st, at, p->f);
			break;
		case PARAM_TEXT:
			db_bind_text(st, at, p->s);
			break;
		case PARAM_BLOB:
			db_bind_blob(st, at, p->s);
			break;
		}
	}
	*out = st;
	return 0;
}

/* Is every row of one type asked for, and nothing else? */
static bool is_all_of_type(const struct query *q)
{
	const struct view_column *type = q->view->type_count != NULL ? view_column_find(q->view, "type") : NULL;
	char all[64];

	if (type == NULL || q->led || q->param_count != 1)
		return false;
	(void)snprintf(all, sizeof(all), "%s = $1", type->sql);
	return slice_eq(buf_slice(&q->where), slice_str(all));
}

int query_count(struct txn *t, struct query *q, int64_t *count, struct err *err)
{
	struct buf sql = BUF_INIT(2 * TEXT_MAX);
	struct db_stmt *st = NULL;
	int rc;

	BUG(q->depth != 0);
	if (is_all_of_type(q)) {
		buf_adds(&sql, q->view->type_count);
	} else {
		buf_adds(&sql, "SELECT count(*)");
		from_add(q, q->joins, true, &sql);
	}
	if ((rc = query_start(t, q, &sql, &st, err)) < 0)
		goto out;
	if ((rc = db_step(st, err)) < 0)
		goto out;
	*count = rc > 0 ? db_col_i64(st, 0) : 0;
	rc = 0;
out:
	db_done(&st);
	buf_fini(&sql);
	return rc;
}

/* NULL: out of memory. */
static json_t *text_value(struct slice s, enum col_type type)
{
	json_t *v;

	if (type == COL_TEXT)
		return slice_is_utf8(s) ? json_stringn(s.p, s.n) : json_null();
	v = json_loadb(s.p, s.n, JSON_DECODE_ANY, NULL);
	return v != NULL ? v : json_null();
}

static json_t *column_value(struct db_stmt *st, int at, enum col_type type)
{
	char text[2 * DIGEST_MAX + 1], iso[CLOCK_ISO_MAX], uuid_text[UUID_STR];
	struct slice s;
	struct uuid u;

	if (db_col_null(st, at))
		return json_null();
	switch (type) {
	case COL_INT:
		return json_integer(db_col_i64(st, at));
	case COL_REAL:
		return json_real(db_col_f64(st, at));
	case COL_BOOL:
		return json_boolean(db_col_i64(st, at) != 0);
	case COL_TIME:
		return json_string(clock_iso(db_col_i64(st, at), iso));
	case COL_TEXT:
	case COL_JSON:
		return text_value(db_col_text(st, at), type);
	case COL_UUID:
		s = db_col_blob(st, at);
		if (s.n != sizeof(u.b))
			return json_null();
		memcpy(u.b, s.p, sizeof(u.b));
		return json_string(uuid_str(&u, uuid_text));
	case COL_HEX:
		s = db_col_blob(st, at);
		return s.n > DIGEST_MAX ? json_null() : json_string(hex_of((const uint8_t *)s.p, s.n, text));
	}
	return json_null();
}

/* A value that no key opens is null: whether remotes can be opened is asked at the start, and an old task's result is worth no failure. */
static json_t *secret_value(struct txn *t, const struct query *q, struct db_stmt *st, size_t i)
{
	struct sealed_at at = {.table = q->view->table, .column = q->columns[i]->name};
	struct err err = ERR_INIT;
	char *text = NULL;
	json_t *v;
	int rc;

	col_uuid(st, (int)q->column_count + 1, &at.row);
	rc = col_secret(t, st, (int)i + 1, &at, &text, &err);
	if (rc == -ERR_NOMEM)
		return NULL;
	if (rc < 0 || text == NULL)
		return json_null();
	v = text_value(slice_str(text), q->columns[i]->type);
	free(text);
	return v;
}

static int row_read(struct txn *t, const struct query *q, struct db_stmt *st, json_t **out)
{
	json_t *row = json_object(), *v;

	if (row == NULL || json_object_set_new(row, "_id", json_integer(db_col_i64(st, 0))) < 0)
		goto nomem;
	for (size_t i = 0; i < q->column_count; i++) {
		v = q->columns[i]->secret ? secret_value(t, q, st, i)
					  : column_value(st, (int)i + 1, q->columns[i]->type);
		if (json_object_set_new(row, q->columns[i]->name, v) < 0)
			goto nomem;
	}
	*out = row;
	return 0;
nomem:
	json_decref(row);
	return -ERR_NOMEM;
}

int query_rows(struct txn *t, struct query *q, json_t **rows, struct err *err)
{
	struct buf sql = BUF_INIT(2 * TEXT_MAX);
	struct db_stmt *st = NULL;
	json_t *all = json_array(), *row;
	int rc;

	BUG(q->depth != 0);
	if (q->column_count == 0)
		for (size_t i = 0; i < q->view->column_count; i++)
			query_select(q, q->view->columns[i].name);
	rows_sql(q, &sql);
	if ((rc = query_start(t, q, &sql, &st, err)) < 0)
		goto out;
	while ((rc = db_step(st, err)) > 0)
		if (row_read(t, q, st, &row) < 0 || json_array_append_new(all, row) < 0) {
			rc = err_set(err, -ERR_NOMEM, "out of memory for the rows of a list");
			break;
		}
out:
	db_done(&st);
	buf_fini(&sql);
	if (rc < 0)
		json_decref(all);
	else
		*rows = all;
	return rc;
}

int query_row(struct txn *t, struct query *q, json_t **row, struct err *err)
{
	json_t *rows;
	int rc;

	query_page(q, 1, 0);
	if ((rc = query_rows(t, q, &rows, err)) < 0)
		return rc;
	if (json_array_size(rows) == 0)
		rc = err_set(err, -ERR_NOTFOUND, "no such %s", q->view->name);
	else
		*row = json_incref(json_array_get(rows, 0));
	json_decref(rows);
	return rc;
}

int query_by_uuid(struct txn *t, const struct view *v, const struct uuid *u, json_t **row, struct err *err)
{
	char text[UUID_STR];
	struct query *q;
	int rc;

	if ((rc = query_new(v, &q)) < 0)
		return rc;
	if ((rc = query_where(q, "uuid", QUERY_EQ, slice_str(uuid_str(u, text)), err)) == 0)
		rc = query_row(t, q, row, err);
	query_free(&q);
	return rc;
}
