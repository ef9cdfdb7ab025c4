/* See entitlement.h.
 *
 * Version 1: each extension 1.3.6.1.4.1.2312.9.2.<n>.1.6 is a path. Version 3: 1.3.6.1.4.1.2312.9.7 holds
 *
 *   a zlib stream: the words of all paths, each ended by a NUL; the empty word behind the last NUL is one, too, and means "no more"
 *   the number of nodes: a byte, or from 128 on that many bytes more, which are it, big-endian
 *   bits, the highest first: for each node in order its edges, each the code of a word and the code of the node that it leads to, and then
 *   the code of "no more"
 *
 * The codes are Huffman's: the words weigh 1, 2, 3 … in their order, and so do the nodes but the first, which is the root and has no code. Of equal weights what
 * was there first is taken first. A node without edges ends a path.
 *
 * Both become one graph here. It is walked a segment at a time, by all ways at once, so that circles in it do no harm. */
#include "guard/entitlement.h"

#include "base/arena.h"
#include "base/check.h"

#include <openssl/asn1.h>
#include <openssl/objects.h>

#include <stdlib.h>
#include <zlib.h>

#define OID_PATHS "1.3.6.1.4.1.2312.9.2."
#define OID_TREE "1.3.6.1.4.1.2312.9.7"
/* Red Hat's largest certificates have some thousand words and nodes; a match looks at each edge once a segment. */
#define WORD_BYTES_MAX (1 << 20)
#define WORDS_MAX 16384
#define NODES_MAX 16384
#define EDGES_MAX 65536
#define SEGMENTS_MAX 256

struct edge {
	struct slice word;
	uint32_t from, to;
};
struct entitlement {
	char *words; /* what the edges' words point into */
	struct edge *edges;
	size_t edge_count, edge_cap;
	uint32_t node_count;
	bool *ends; /* of each node: a path ends there */
};

static int malformed(struct err *err, const char *what)
{
	return err_set(err, -ERR_PARSE, "the entitlement cannot be read: %s", what);
}

static int no_memory(struct err *err)
{
	return err_set(err, -ERR_NOMEM, "no memory for an entitlement");
}

void entitlement_free(struct entitlement **pe)
{
	struct entitlement *e = TAKE(*pe);

	if (e == NULL)
		return;
	free(e->words);
	free(e->edges);
	free(e->ends);
	free(e);
}

static int add_edge(struct entitlement *e, uint32_t from, struct slice word, uint32_t to, struct err *err)
{
	struct edge *more;

	if (e->edge_count == EDGES_MAX)
		return malformed(err, "too many paths");
	if (e->edge_count == e->edge_cap) {
		e->edge_cap = e->edge_cap == 0 ? 64 : 2 * e->edge_cap;
		more = realloc(e->edges, e->edge_cap * sizeof(*more));
		if (more == NULL)
			return no_memory(err);
		e->edges = more;
	}
	e->edges[e->edge_count++] = (struct edge){word, from, to};
	return 0;
}

/* A path that ends at the root would be all of them; it is none. */
static int mark_ends(struct entitlement *e, struct err *err)
{
	e->ends = malloc(e->node_count);
	if (e->ends == NULL)
		return no_memory(err);
	memset(e->ends, 1, e->node_count);
	for (size_t i = 0; i < e->edge_count; i++)
		e->ends[e->edges[i].from] = false;
	e->ends[0] = false;
	return 0;
}

/* ---- Huffman's codes ---- */

struct code_node {
	int64_t weight;
	int32_t child[2]; /* -1: a leaf */
};
/* The leaves come first, in order; the last one made is the root of the tree. */
struct codes {
	struct code_node *n;
	int32_t leaves, count;
};

/* Leaves and inner nodes each come in the order of their weights, so two queues are enough; of equal ones the leaf was there first. */
static int codes_make(int32_t leaves, struct codes *out, struct err *err)
{
	struct code_node *n = calloc((size_t)MAX(2 * leaves, 1), sizeof(*n));
	int32_t leaf = 0, inner = leaves, count = leaves;

	if (n == NULL)
		return no_memory(err);
	for (int32_t i = 0; i < leaves; i++)
		n[i] = (struct code_node){i + 1, {-1, -1}};
	while ((leaves - leaf) + (count - inner) > 1) {
		struct code_node made = {0, {-1, -1}};

		for (int side = 0; side < 2; side++) {
			bool take_leaf = leaf < leaves && (inner == count || n[leaf].weight <= n[inner].weight);

			made.child[side] = take_leaf ? leaf++ : inner++;
			made.weight += n[made.child[side]].weight;
		}
		n[count++] = made;
	}
	*out = (struct codes){n, leaves, count};
	return 0;
}

struct bits {
	const unsigned char *p;
	size_t n, at; /* in bits */
};

/* The leaf of the next code; -1: the bits end before. */
static int32_t read_code(struct bits *b, const struct codes *c)
{
	int32_t at = c->count - 1;

	while (at >= c->leaves) {
		if (b->at >= b->n)
			return -1;
		at = c->n[at].child[b->p[b->at / 8] >> (7 - b->at % 8) & 1];
		b->at++;
	}
	return at;
}

/* ---- version 3 ---- */

/* *used: bytes of the stream. */
static int inflate_words(struct slice bytes, char **out, size_t *n, size_t *used, struct err *err)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes.p, .avail_in = (uInt)bytes.n};
	size_t cap = 4096;
	char *p = malloc(cap), *more;
	int rc = Z_OK;

	if (p == NULL || inflateInit(&z) != Z_OK) {
		free(p);
		return no_memory(err);
	}
	do {
		if (z.total_out == cap) {
			cap *= 2;
			more = cap <= WORD_BYTES_MAX ? realloc(p, cap) : NULL;
			if (more == NULL)
				break;
			p = more;
		}
		z.next_out = (Bytef *)p + z.total_out;
		z.avail_out = (uInt)(cap - z.total_out);
		rc = inflate(&z, Z_NO_FLUSH);
	} while (rc == Z_OK || (rc == Z_BUF_ERROR && z.avail_out == 0));
	*n = z.total_out;
	*used = bytes.n - z.avail_in;
	(void)inflateEnd(&z);
	if (rc != Z_STREAM_END) {
		free(p);
		return malformed(err, "its list of words is damaged, or too long");
	}
	*out = p;
	return 0;
}

/* The places of the words, the empty one at the end among them. */
static int split_words(const char *p, size_t n, struct slice **out, int32_t *count, struct err *err)
{
	struct slice rest = slice_of(p, n), *words;
	size_t max = 1;

	for (size_t i = 0; i < n; i++)
		max += p[i] == '\0';
	if (max > WORDS_MAX)
		return malformed(err, "too many words");
	words = calloc(max, sizeof(*words));
	if (words == NULL)
		return no_memory(err);
	for (*count = 0; rest.p != NULL;)
		words[(*count)++] = slice_cut(&rest, '\0');
	*out = words;
	return 0;
}

static int read_node_count(struct slice *bytes, uint32_t *out, struct err *err)
{
	const unsigned char *p = (const unsigned char *)bytes->p;
	size_t more, n = bytes->n;
	uint32_t count;

	if (n == 0)
		return malformed(err, "it has no nodes");
	more = p[0] < 128 ? 0 : p[0] - 128u;
	count = p[0] < 128 ? p[0] : 0;
	if (more > n - 1)
		return malformed(err, "it ends in the number of its nodes");
	for (size_t i = 1; i <= more; i++) {
		if (count > NODES_MAX)
			break;
		count = count << 8 | p[i];
	}
	if (count == 0 || count > NODES_MAX)
		return malformed(err, "no nodes, or too many");
	*bytes = slice_of(bytes->p + 1 + more, n - 1 - more);
	*out = count;
	return 0;
}

static int read_edges(struct entitlement *e, struct slice bytes, const struct slice *words,
	const struct codes *of_words, const struct codes *of_nodes, struct err *err)
{
	struct bits b = {(const unsigned char *)bytes.p, bytes.n * 8, 0};
	int32_t word, node;
	int rc = 0;

	for (uint32_t i = 0; i < e->node_count && rc == 0; i++)
		for (;;) {
			word = read_code(&b, of_words);
			if (word >= 0 && words[word].n == 0)
				break;
			node = word >= 0 && of_nodes->leaves > 0 ? read_code(&b, of_nodes) : -1;
			if (node < 0)
				return malformed(err, "it ends in the middle");
			if ((rc = add_edge(e, i, words[word], (uint32_t)node + 1, err)) < 0)
				break;
		}
	return rc;
}

int entitlement_of_tree(struct slice bytes, struct entitlement **out, struct err *err)
{
	struct entitlement *e = calloc(1, sizeof(*e));
	struct codes of_words = {NULL, 0, 0}, of_nodes = {NULL, 0, 0};
	struct slice *words = NULL;
	int32_t word_count = 0;
	size_t n, used;
	int rc;

	if (e == NULL)
		return no_memory(err);
	if (bytes.n > UINT32_MAX)
		rc = malformed(err, "it is too long");
	else
		rc = inflate_words(bytes, &e->words, &n, &used, err);
	if (rc == 0 && (rc = split_words(e->words, n, &words, &word_count, err)) == 0) {
		bytes = slice_of(bytes.p + used, bytes.n - used);
		rc = read_node_count(&bytes, &e->node_count, err);
	}
	if (rc == 0 && (rc = codes_make(word_count, &of_words, err)) == 0)
		rc = codes_make((int32_t)e->node_count - 1, &of_nodes, err);
	if (rc == 0 && (rc = read_edges(e, bytes, words, &of_words, &of_nodes, err)) == 0)
		rc = mark_ends(e, err);
	free(words);
	free(of_words.n);
	free(of_nodes.n);
	if (rc < 0)
		entitlement_free(&e);
	else
		*out = e;
	return rc;
}

/* ---- version 1 ---- */

/* A chain of nodes from the root; an empty path is none. */
static int add_path(struct entitlement *e, struct slice path, struct err *err)
{
	uint32_t at = 0;
	int rc = 0;

	while (path.p != NULL && rc == 0) {
		struct slice word = slice_cut(&path, '/');

		if (word.n == 0)
			continue;
		rc = add_edge(e, at, word, e->node_count, err);
		at = e->node_count++;
	}
	return rc;
}

/* What a string, or bytes, of DER hold; or the bytes as they are. */
static struct slice unwrapped(X509_EXTENSION *ext)
{
	const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(ext);
	const unsigned char *p = ASN1_STRING_get0_data(value), *at = p;
	int n = ASN1_STRING_length(value), tag, class;
	long length;

	if (n > 0 && (ASN1_get_object(&at, &length, &tag, &class, n) & 0x80) == 0 && class == V_ASN1_UNIVERSAL &&
		(tag == V_ASN1_OCTET_STRING || tag == V_ASN1_UTF8STRING || tag == V_ASN1_IA5STRING ||
			tag == V_ASN1_PRINTABLESTRING) &&
		at + length == p + n)
		return slice_of((const char *)at, (size_t)length);
	return slice_of((const char *)p, (size_t)n);
}

/* "….9.2.<n>.1.6" */
static bool is_path_oid(const char *oid)
{
	struct slice rest = slice_of(oid + strlen(OID_PATHS), strlen(oid) - strlen(OID_PATHS));
	struct slice number = slice_cut(&rest, '.');

	return number.n > 0 && slice_eq(rest, SLICE("1.6"));
}

static int read_paths(X509 *cert, struct entitlement **out, struct err *err)
{
	struct entitlement *e = calloc(1, sizeof(*e));
	size_t bytes = 0, at = 0;
	char oid[128];
	int rc = 0;

	if (e == NULL)
		return no_memory(err);
	e->node_count = 1;
	for (int pass = 0; pass < 2 && rc == 0; pass++) { /* how long they are in all, then they themselves */
		for (int i = 0; i < X509_get_ext_count(cert) && rc == 0; i++) {
			X509_EXTENSION *ext = X509_get_ext(cert, i);
			struct slice path;
			int n = OBJ_obj2txt(oid, sizeof(oid), X509_EXTENSION_get_object(ext), 1);

			if (n <= 0 || n >= (int)sizeof(oid) || strncmp(oid, OID_PATHS, strlen(OID_PATHS)) != 0 ||
				!is_path_oid(oid))
				continue;
			path = unwrapped(ext);
			if (pass == 0) {
				bytes += path.n;
				continue;
			}
			memcpy(e->words + at, path.p, path.n);
			rc = add_path(e, slice_of(e->words + at, path.n), err);
			at += path.n;
		}
		if (pass == 0 && (e->words = malloc(bytes + 1)) == NULL)
			rc = no_memory(err);
	}
	if (rc == 0)
		rc = mark_ends(e, err);
	if (rc < 0)
		entitlement_free(&e);
	else
		*out = e;
	return rc;
}

int entitlement_of_cert(X509 *cert, struct entitlement **out, struct err *err)
{
	ASN1_OBJECT *tree = OBJ_txt2obj(OID_TREE, 1);
	int at = tree != NULL ? X509_get_ext_by_OBJ(cert, tree, -1) : -1;

	ASN1_OBJECT_free(tree);
	if (tree == NULL)
		return no_memory(err);
	return at >= 0 ? entitlement_of_tree(unwrapped(X509_get_ext(cert, at)), out, err) : read_paths(cert, out, err);
}

/* ---- asking ---- */

static bool matches(struct slice word, struct slice segment)
{
	return segment.n > 0 && (slice_eq(word, segment) || (word.n > 0 && word.p[0] == '$'));
}

bool entitlement_covers(const struct entitlement *e, struct slice path)
{
	/* where the segments so far have led to, and where the next one does */
	bool *here = calloc(2, e->node_count), *next = here != NULL ? here + e->node_count : NULL, any = true,
	     end = false;

	if (here == NULL)
		return false;
	here[0] = true;
	for (int i = 0; i < SEGMENTS_MAX && any && !end && path.p != NULL; i++) {
		struct slice segment = slice_cut(&path, '/');
		bool *swap = here;

		any = false;
		memset(next, 0, e->node_count);
		for (size_t k = 0; k < e->edge_count; k++) {
			const struct edge *d = &e->edges[k];

			if (!here[d->from])
				continue;
			if (path.p == NULL && slice_eq(segment, SLICE("listing")))
				end = true;
			if (matches(d->word, segment)) {
				any = next[d->to] = true;
				end |= e->ends[d->to];
			}
		}
		here = next;
		next = swap;
	}
	free(MIN(here, next));
	return end;
}
