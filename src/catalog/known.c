/* What a version holds when a change of it begins, so that declaring a unit as it is costs no look-up: one pass over the version in the order of its rows is some
 * twenty times cheaper than asking for its units one by one.
 *
 * A table of fingerprints of all that a declaration compares, 24 bytes each. What is not found in it, for whatever reason, is declared the
 * long way. The fingerprint is keyed by the random bits of the change's uuid, so that no upstream can aim at one. */
#include "catalog/change_priv.h"

#include "base/check.h"
#include "catalog/repository.h"

#include <stdlib.h>

#define UNITS_MAX ((size_t)1500000) /* more are declared the long way: 48 MiB */
#define PIECE 5000                  /* rows that are read in one transaction */

struct print {
	uint64_t a, b;
};
struct known_unit {
	struct print print;
	int64_t id; /* 0: the slot is free; negative: it has details */
};
struct known {
	struct print key;
	struct known_unit *slots;
	size_t cap, count;
};

/* ---- fingerprints ---- */

static uint64_t fold(uint64_t x, uint64_t y)
{
	__uint128_t z = (__uint128_t)x * y;

	return (uint64_t)z ^ (uint64_t)(z >> 64);
}

static void add_words(struct print *p, uint64_t x, uint64_t y)
{
	p->a = fold(p->a ^ x ^ UINT64_C(0xa0761d6478bd642f), y ^ UINT64_C(0xe7037ed1a0b428db));
	p->b = fold(p->b ^ y ^ UINT64_C(0x8ebc6af09c88c6e3), x ^ UINT64_C(0x589965cc75374cc3)) + p->a;
}

static void add_bytes(struct print *p, const void *bytes, size_t n)
{
	const char *at = bytes;
	uint64_t w[2];

	add_words(p, n, 1);
	for (; n >= sizeof(w); at += sizeof(w), n -= sizeof(w)) {
		memcpy(w, at, sizeof(w));
		add_words(p, w[0], w[1]);
	}
	if (n > 0) {
		w[0] = w[1] = 0;
		memcpy(w, at, n);
		add_words(p, w[0], w[1]);
	}
}

static void add_slice(struct print *p, struct slice s)
{
	add_bytes(p, s.p, s.n);
}

static struct print print_of_unit(const struct known *k, struct slice type, struct slice natural_key)
{
	struct print p = k->key;

	add_slice(&p, type);
	add_slice(&p, natural_key);
	return p;
}

/* Of whatever order: they are added up. An artifact without an offer of the remote counts as one with no URL. */
static void add_artifact(struct print *sum, const struct known *k, struct slice path, struct slice url, int64_t size,
	bool pinned, const struct digests *ds)
{
	struct print p = k->key;

	add_slice(&p, path);
	if (url.n > 0) {
		add_slice(&p, url);
		add_words(&p, (uint64_t)size, ds->have);
		for (int alg = 0; alg < DIGEST_COUNT; alg++)
			if ((ds->have & 1u << alg) != 0)
				add_bytes(&p, ds->d[alg], (size_t)digest_len(alg));
	}
	add_words(&p, pinned, 2);
	sum->a += p.a;
	sum->b += p.b;
}

/* ---- the table ---- */

static struct known_unit *slot(const struct known *k, struct print p)
{
	size_t i = (size_t)p.a & (k->cap - 1);

	while (k->slots[i].id != 0 && (k->slots[i].print.a != p.a || k->slots[i].print.b != p.b))
		i = (i + 1) & (k->cap - 1);
	return &k->slots[i];
}

static int reserve(struct known *k, size_t units)
{
	k->cap = 64;
	while (3 * k->cap < 4 * (units + 1))
		k->cap *= 2;
	k->slots = calloc(k->cap, sizeof(*k->slots));
	return k->slots != NULL ? 0 : -ERR_NOMEM;
}

static void add(struct known *k, struct print p, int64_t id, bool detailed)
{
	struct known_unit *u;

	if (4 * (k->count + 1) > 3 * k->cap)
		return;
	u = slot(k, p);
	k->count += u->id == 0;
	*u = (struct known_unit){.print = p, .id = detailed ? -id : id};
}

void known_free(struct known **pk)
{
	struct known *k = TAKE(*pk);

	if (k != NULL)
		free(k->slots);
	free(k);
}

/* ---- reading the version ---- */

/* The rows of one unit, as they come. */
struct unit_at_hand {
	int64_t id; /* 0: none */
	bool detailed;
	struct print print;
};

static void read_row(const struct known *k, struct db_stmt *s, struct unit_at_hand *u)
{
	struct digests ds;

	if (u->id == 0) {
		u->id = db_col_i64(s, 0);
		u->print = print_of_unit(k, db_col_text(s, 1), db_col_text(s, 2));
		u->detailed = !db_col_null(s, 3);
	}
	if (db_col_null(s, 4))
		return;
	col_digests(s, 8, &ds);
	add_artifact(&u->print, k, db_col_text(s, 4), db_col_text(s, 6), col_size(s, 7), db_col_i64(s, 5) != 0, &ds);
}

/* *after: the last unit that was read whole. A unit that fills a piece alone is passed over. */
static int read_piece(struct change *ch, int64_t *after, bool *more, struct err *err)
{
	struct known *k = ch->known;
	struct unit_at_hand u = {.id = 0};
	struct db_stmt *s;
	struct txn *t;
	int64_t began = *after;
	int rows = 0, rc = catalog_read(ch->c, &t, err);

	if (rc < 0)
		return rc;
	rc = db_rows(txn_db(t),
		"SELECT rc.content_id, c.type, c.natural_key, d.content_id, ca.relative_path, ca.pinned, ra.url, "
		"ra.size, " DIGEST_COLUMNS("ra.") " FROM repository_content rc JOIN content c ON c.id = rc.content_id "
						  "LEFT JOIN content_detail d ON d.content_id = rc.content_id "
						  "LEFT JOIN content_artifact ca ON ca.content_id = rc.content_id "
						  "LEFT JOIN remote_artifact ra ON ra.content_artifact_id = ca.id AND "
						  "ra.remote_id = $2 AND ra.dropped_at IS NULL "
						  "WHERE rc.repository_id = $1 AND rc.version_removed IS NULL AND "
						  "rc.content_id > $3 "
						  "ORDER BY rc.content_id LIMIT $4",
		&s, err, DB_I64(ch->opts.repository_id), DB_I64(ch->opts.remote_id), DB_I64(*after), DB_I64(PIECE));
	while (rc >= 0 && (rc = db_step(s, err)) == 1) {
		if (u.id != 0 && db_col_i64(s, 0) != u.id) {
			add(k, u.print, u.id, u.detailed);
			*after = u.id;
			u = (struct unit_at_hand){.id = 0};
		}
		read_row(k, s, &u);
		rows++;
	}
	db_done(&s);
	txn_end(&t);
	*more = rows == PIECE && k->count < UNITS_MAX;
	if (rc == 0 && rows < PIECE && u.id != 0)
		add(k, u.print, u.id, u.detailed);
	if (rc == 0 && *more && *after == began)
		*after = u.id;
	return rc;
}

int change_know(struct change *ch, struct err *err)
{
	struct version_row latest;
	bool more = true;
	int64_t after = 0;
	struct txn *t;
	int rc = catalog_read(ch->c, &t, err);

	if (rc < 0)
		return rc;
	rc = catalog_version_latest(t, ch->opts.repository_id, &latest, err);
	txn_end(&t);
	if (rc == -ERR_NOTFOUND || (rc == 0 && latest.present == 0))
		return 0;
	if (rc < 0)
		return rc;
	ch->known = calloc(1, sizeof(*ch->known));
	if (ch->known == NULL || reserve(ch->known, MIN((size_t)latest.present, UNITS_MAX)) < 0) {
		known_free(&ch->known);
		return 0; /* it only saves time */
	}
	memcpy(&ch->known->key, ch->uuid.b, sizeof(ch->known->key));
	while (rc == 0 && more)
		rc = read_piece(ch, &after, &more, err);
	return rc;
}

int change_keep(struct change *ch, const struct change_unit *u)
{
	const struct known *k = ch->known;
	const struct known_unit *at;
	struct print p;
	int64_t id;

	if (k == NULL)
		return 0;
	p = print_of_unit(k, u->type, u->natural_key);
	for (size_t i = 0; i < u->artifact_count; i++) {
		const struct change_artifact *a = &u->artifacts[i];

		add_artifact(&p, k, a->relative_path, a->url, MAX(a->size, -1), a->pinned, &a->digests);
	}
	at = slot(k, p);
	id = at->id < 0 ? -at->id : at->id;
	if (id == 0 || (u->detail.p != NULL && at->id > 0) || idset_has(&ch->removed, id))
		return 0;
	if (idset_add(&ch->declared, id) < 0 || idset_add(&ch->kept, id) < 0)
		return 0;
	return 1;
}
