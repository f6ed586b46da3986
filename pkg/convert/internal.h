#pragma once
/* Shared by the files of this package. */
#include "api/names.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/map.h"
#include "convert/accelerators.h"
#include "convert/convert.h"

/* One of the input's. */
struct object {
	const char *file;
	const char *prefix; /* of paths in it: "", "[1]" in a list, "#2" for the file's second text */
	json_t *json;       /* of conversion.documents */
	const char *name;   /* SageMaker's */
	bool used;
};
struct objects {
	struct object *items;
	size_t n;
};

/* A Model to be written: a model on instances that have so many devices. */
struct model_use {
	const char *model; /* SageMaker's name */
	struct accelerators devices;
	const char *instance_type; /* the first one, for the note */
	const char *name;          /* of the Model */
};

struct conversion {
	struct arena arena;
	json_t *documents; /* array: what was read */
	struct objects models, configs, endpoints;
	struct model_use *uses; /* on the heap */
	size_t n_uses;
	struct map names;                   /* "Kind/name" that is taken -> anything */
	json_t *out_endpoints, *out_models; /* arrays: what will be written */
	struct buf *notes;
	bool quiet; /* what is read has been noted already */
};

enum field_fate {
	FIELD_CARRIED, /* over, or noted by who reads it */
	FIELD_RECORD,  /* what SageMaker notes down; says nothing about how to serve */
	FIELD_LEFT,    /* not carried over */
};
struct field {
	const char *name; /* NULL ends a table */
	enum field_fate fate;
	const char *why; /* LEFT: and what to do instead */
};

/* A line of ret_notes about the field at `path` of the object, with its value if that is not NULL. What is not ASCII
 * or no character becomes '?'. */
void note(struct conversion *c, const struct object *of, const char *path, const json_t *value,
          const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* -1: file, path, value (NULL: none) and what is wrong with it. */
#define refuse(c, err, of, path, value, what) (refuse_fill(c, err, of, path, value, what), err_minus_one())
void refuse_fill(struct conversion *c, struct err *err, const struct object *of, const char *path,
                 const json_t *value, const char *what);
/* The value as one line of ASCII, cut when long; in the arena, as what follows. */
const char *shown(struct conversion *c, const json_t *value);
const char *shown_text(struct conversion *c, const char *text); /* the same of a string, without quotes */
const char *path_join(struct conversion *c, const char *path, const char *member);
const char *path_item(struct conversion *c, const char *path, size_t i);

/* Members of o, which is at `path` of the object. Absent or null leaves *ret alone. */
int take_str(struct conversion *c, const struct object *of, const char *path, json_t *o, const char *key,
             const char **ret, struct err *err);
int take_int(struct conversion *c, const struct object *of, const char *path, json_t *o, const char *key,
             int64_t min, int64_t max, int64_t *ret, struct err *err);
/* An object; a list of objects. Borrowed. */
int take_object(struct conversion *c, const struct object *of, const char *path, json_t *o, const char *key,
                json_t **ret, struct err *err);
int take_objects(struct conversion *c, const struct object *of, const char *path, json_t *o, const char *key,
                 json_t **ret, struct err *err);

/* A DNS label of at most `room` bytes made of the text; `otherwise` where nothing is left of it. */
void label_from(const char *text, const char *otherwise, size_t room, char ret[static NAME_MAX_BYTES + 1]);
/* A name that the API takes, made of SageMaker's and the suffix ("" or "-4gpu"): a DNS label that begins with a letter, and
 * that nothing else of this kind has. In the arena. */
const char *name_new(struct conversion *c, const char *kind, const char *name, const char *suffix);
struct object *object_find(const struct objects *list, const char *name); /* NULL: none */
json_t *object_new(const char *kind, const char *name);                   /* apiVersion, kind, metadata */

/* The name of the Model that runs this model on such devices; noted down to be written. */
const char *model_use(struct conversion *c, const char *model, const char *instance_type);
/* The same on whatever devices it has been noted down for first; on this type's if it has not. */
const char *model_use_any(struct conversion *c, const char *model, const char *instance_type);
int models_write(struct conversion *c, struct err *err);
/* endpoint NULL: nothing is known but the configuration. */
int endpoint_write(struct conversion *c, const struct object *endpoint, struct object *config,
                   struct err *err);
