/* The parts of a form, as they come: texts are collected, files go to staging. A file is known in the body by a mark, an empty object that is
 * compared by identity, so that no text can pretend to be one. */
#include "api/form.h"

#include "api/api_priv.h"
#include "api/multipart.h"
#include "base/check.h"

#include <stdlib.h>

#define FILES_MAX 16 /* each holds a descriptor; no request needs more than one */
#define FILE_ALGS (1u << DIGEST_SHA224 | 1u << DIGEST_SHA256 | 1u << DIGEST_SHA384 | 1u << DIGEST_SHA512)

struct api_form {
	struct store *store;
	struct multipart *parser;
	json_t *body;
	struct api_file files[FILES_MAX];
	size_t file_count;
	size_t text_left;
	/* the part that is being read */
	char *name;
	struct buf text;
	bool is_file;
};

static int no_memory(struct err *err)
{
	return err_set(err, -ERR_NOMEM, "no memory for a form");
}

static int take_room(struct api_form *f, size_t n, struct err *err)
{
	if (n > f->text_left)
		return err_set(err, -ERR_LIMIT, "its texts are too large");
	f->text_left -= n;
	return 0;
}

static int begin_file(struct api_form *f, struct err *err)
{
	struct api_file *file = &f->files[f->file_count];
	int rc;

	if (f->file_count == FILES_MAX)
		return err_set(err, -ERR_LIMIT, "there are more than %d files", FILES_MAX);
	*file = (struct api_file){.mark = json_object()};
	f->file_count++; /* from here it is freed with the form */
	if (file->mark == NULL)
		return no_memory(err);
	if ((rc = hasher_new(FILE_ALGS, &file->hasher)) < 0)
		return err_set(err, rc, "the digests of a file cannot be taken");
	return staging_new(f->store, &file->st, err);
}

static int part_begin(void *arg, struct slice name, struct slice filename, struct err *err)
{
	struct api_form *f = arg;
	int rc;

	if (!api_is_text(name))
		return err_set(err, -ERR_PARSE, "the name of a part is no text");
	if ((rc = take_room(f, name.n, err)) < 0)
		return rc;
	if ((f->name = slice_dup(name)) == NULL)
		return no_memory(err);
	f->is_file = filename.p != NULL;
	return f->is_file ? begin_file(f, err) : 0;
}

static int part_data(void *arg, struct slice piece, struct err *err)
{
	struct api_form *f = arg;
	struct api_file *file;
	int rc;

	if (!f->is_file) {
		if ((rc = take_room(f, piece.n, err)) < 0)
			return rc;
		return buf_add_slice(&f->text, piece) < 0 ? no_memory(err) : 0;
	}
	file = &f->files[f->file_count - 1];
	if ((rc = staging_write(file->st, piece.p, piece.n, file->size, err)) < 0)
		return rc;
	hasher_add(file->hasher, piece.p, piece.n);
	file->size += (int64_t)piece.n;
	return 0;
}

static int part_end(void *arg, struct err *err)
{
	struct api_form *f = arg;
	struct slice text = buf_slice(&f->text);
	json_t *value;
	int rc;

	if (f->is_file) {
		struct api_file *file = &f->files[f->file_count - 1];

		hasher_end(file->hasher, &file->digests);
		hasher_free(&file->hasher);
		value = json_incref(file->mark);
	} else if (!api_is_text(text)) {
		return err_set(err, -ERR_PARSE, "a part is no text");
	} else {
		value = json_stringn(text.n > 0 ? text.p : "", text.n);
	}
	rc = value != NULL ? api_body_add(f->body, f->name, value) : -1;
	free(TAKE(f->name));
	buf_reset(&f->text);
	return rc < 0 ? no_memory(err) : 0;
}

static const struct multipart_ops part_ops = {part_begin, part_data, part_end};

int api_form_new(struct store *s, struct slice content_type, size_t text_max, struct api_form **out, struct err *err)
{
	struct api_form *f = calloc(1, sizeof(*f));
	int rc;

	if (f == NULL)
		return no_memory(err);
	f->store = s;
	f->text = BUF_INIT(0);
	f->text_left = text_max;
	f->body = json_object();
	rc = f->body != NULL ? multipart_new(content_type, &part_ops, f, &f->parser, err) : no_memory(err);
	if (rc < 0)
		api_form_free(&f);
	else
		*out = f;
	return rc;
}

void api_form_free(struct api_form **pf)
{
	struct api_form *f = TAKE(*pf);

	if (f == NULL)
		return;
	multipart_free(&f->parser);
	for (size_t i = 0; i < f->file_count; i++) {
		staging_drop(&f->files[i].st);
		hasher_free(&f->files[i].hasher);
		json_decref(f->files[i].mark);
	}
	json_decref(f->body);
	buf_fini(&f->text);
	free(f->name);
	free(f);
}

int api_form_feed(struct api_form *f, const char *p, size_t n, struct err *err)
{
	return multipart_feed(f->parser, p, n, err);
}

int api_form_end(struct api_form *f, struct err *err)
{
	return multipart_end(f->parser, err);
}

json_t *api_form_body(const struct api_form *f)
{
	return f->body;
}

struct api_file *api_form_file(struct api_form *f, const json_t *mark)
{
	for (size_t i = 0; f != NULL && i < f->file_count; i++)
		if (f->files[i].mark == mark)
			return &f->files[i];
	return NULL;
}
