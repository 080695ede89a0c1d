/* The fields of an Arrow schema become elements and leaves in one walk over them, depth first, as the
 * footer lists them. The walk is made twice: the first time nothing is there to be filled in and it
 * only counts, so that a schema of a hundred thousand columns takes seven allocations.
 *
 * While it walks, `steps` and `path` are the way from the root to where it is; a leaf copies them. */
#include "parquet/schema.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parquet/schema_parts.h"

enum {
  NODES_MAX = ARROW_DEPTH_MAX + 1,
  PATH_MAX_NAMES = 3 * NODES_MAX, /* a list's field, "list", "element" */
  WHERE_BYTES = 400,              /* of an error's text */
};

enum { POOL_STEPS, POOL_PATHS, POOL_NAMES };

struct walk {
  struct parquet_schema *schema; /* its arrays are NULL while things are counted */
  int64_t element_count, leaf_count, step_total, path_total, name_bytes;
  int64_t fields;
  int32_t top_level;
  struct parquet_step steps[NODES_MAX];
  int32_t step_count;
  const char *path[PATH_MAX_NAMES];
  int32_t path_count;
  int32_t least_path; /* path_count at its least since the leaf before */
};

/* A field as it stands in its parent. */
struct place {
  const struct ArrowSchema *field;
  const char *name;
  uint8_t def, rep; /* of what is above it */
  bool is_required; /* whatever its flags say: a map's key */
};

static enum status add_field(struct walk *walk, const struct place *place, struct error *error);

/* ---- elements and leaves ---------------------------------------------------------------- */

/* Writes "a.b.c", cut off at `room`. */
static void join_path(const struct walk *walk, char *text, size_t room) {
  size_t used = 0;
  text[0] = '\0';
  for (int32_t i = 0; i < walk->path_count && used < room; i++) {
    int made = snprintf(text + used, room - used, "%s%s", i == 0 ? "" : ".", walk->path[i]);
    used += made < 0 ? 0 : (size_t)made;
  }
}

static enum status at_field(const struct walk *walk, enum status status, struct error *error) {
  char where[WHERE_BYTES];
  join_path(walk, where, sizeof where);
  error_at(error, "column '%s'", where);
  return status;
}

/* The next element, to be filled in: NULL while things are counted. */
static struct parquet_element *next_element(struct walk *walk) {
  int64_t index = walk->element_count++;
  return walk->schema->elements == NULL ? NULL : &walk->schema->elements[index];
}

static void add_group(struct walk *walk, const char *name, enum parquet_repetition repetition,
                      enum parquet_logical_kind logical, int64_t children, int32_t field_id) {
  struct parquet_element *element = next_element(walk);
  if (element == NULL) return;
  *element = (struct parquet_element){.name = name,
                                      .repetition = repetition,
                                      .child_count = (int32_t)children,
                                      .field_id = field_id,
                                      .logical.kind = logical};
}

static void pop_name(struct walk *walk) {
  walk->path_count--;
  if (walk->least_path > walk->path_count) walk->least_path = walk->path_count;
}

/* Copies the way to the leaf into the pools. */
static void keep_way(struct walk *walk, struct parquet_leaf *leaf) {
  struct parquet_schema *schema = walk->schema;
  leaf->steps = (struct parquet_step *)schema->pools[POOL_STEPS] + walk->step_total;
  leaf->step_count = walk->step_count;
  memcpy(leaf->steps, walk->steps, (size_t)walk->step_count * sizeof walk->steps[0]);
  leaf->path = (const char **)schema->pools[POOL_PATHS] + walk->path_total;
  leaf->path_count = walk->path_count;
  memcpy(leaf->path, walk->path, (size_t)walk->path_count * sizeof walk->path[0]);
  leaf->name = (char *)schema->pools[POOL_NAMES] + walk->name_bytes;
  char *end = leaf->name;
  for (int32_t i = 0; i < walk->path_count; i++) {
    size_t bytes = strlen(walk->path[i]);
    memcpy(end, walk->path[i], bytes);
    end += bytes;
    *end++ = i + 1 < walk->path_count ? '.' : '\0';
  }
}

static enum status add_leaf(struct walk *walk, const struct place *place,
                            const struct ArrowSchema *inner, enum parquet_repetition repetition,
                            int32_t field_id, struct error *error) {
  const struct parquet_step *step = &walk->steps[walk->step_count - 1];
  struct parquet_leaf leaf = {.element = (int32_t)walk->element_count,
                              .top_level = walk->top_level,
                              .shared_names = walk->least_path,
                              .max_def = step->present_def,
                              .max_rep = place->rep,
                              .field_id = field_id};
  enum parquet_step_kind before =
      walk->step_count > 1 ? walk->steps[walk->step_count - 2].kind : PARQUET_STEP_LEAF;
  leaf.is_coded = before == PARQUET_STEP_DICTIONARY || before == PARQUET_STEP_RUNS;
  enum status status = parquet_describe_leaf(&step->type, place->field, inner, &leaf, error);
  if (status != STATUS_OK) return status;
  struct parquet_element *element = next_element(walk);
  if (element != NULL) {
    *element = (struct parquet_element){.name = place->name,
                                        .repetition = repetition,
                                        .field_id = field_id,
                                        .is_leaf = true,
                                        .type = leaf.type,
                                        .type_length = leaf.type_length,
                                        .logical = leaf.logical};
    keep_way(walk, &leaf);
    walk->schema->leaves[walk->leaf_count] = leaf;
  } else {
    for (int32_t i = 0; i < walk->path_count; i++)
      walk->name_bytes += (int64_t)strlen(walk->path[i]) + 1;
    if (walk->name_bytes > PARQUET_NAME_BYTES_MAX)
      return error_set(
          error, STATUS_TOO_LARGE,
          "with this column the names of the columns take more than %d bytes: give the "
          "fields shorter names",
          PARQUET_NAME_BYTES_MAX);
  }
  if (element != NULL) walk->name_bytes += (int64_t)strlen(leaf.name) + 1;
  walk->leaf_count++;
  walk->least_path = walk->path_count;
  walk->step_total += walk->step_count;
  walk->path_total += walk->path_count;
  return STATUS_OK;
}

/* ---- nodes ------------------------------------------------------------------------------ */

/* The next node on the way, with the levels of `above`. */
static enum status push_step(struct walk *walk, const struct ArrowSchema *schema,
                             const struct parquet_step *above, struct error *error) {
  if (walk->step_count == NODES_MAX)
    return error_set(error, STATUS_TOO_LARGE, "it is nested deeper than %d: flatten it",
                     ARROW_DEPTH_MAX);
  if (walk->fields++ >= ARROW_FIELDS_MAX)
    return error_set(error, STATUS_TOO_LARGE,
                     "with this field the schema has more than %d, nested ones counted: write "
                     "fewer columns",
                     ARROW_FIELDS_MAX);
  struct parquet_step *step = &walk->steps[walk->step_count++];
  *step = *above;
  step->kind = PARQUET_STEP_LEAF;
  step->schema = schema;
  return arrow_type_parse(schema->format, &step->type, error);
}

static enum status check_children(const struct ArrowSchema *schema, int64_t count,
                                  struct error *error) {
  bool is_whole = schema->n_children == count && (count == 0 || schema->children != NULL);
  for (int64_t i = 0; i < count && is_whole; i++)
    is_whole = schema->children[i] != NULL && schema->children[i]->format != NULL;
  return is_whole
             ? STATUS_OK
             : error_set(error, STATUS_INVALID,
                         "its format \"%.60s\" needs %" PRId64 " children, and it has %" PRId64,
                         schema->format, count, schema->n_children);
}

/* Goes through dictionaries and runs to the node of the values, which is pushed too. */
static enum status push_values(struct walk *walk, const struct place *place, bool is_nullable,
                               const struct ArrowSchema **values, struct error *error) {
  const struct parquet_step above = {.is_nullable = is_nullable,
                                     .null_def = place->def,
                                     .present_def = (uint8_t)(place->def + is_nullable)};
  const struct ArrowSchema *schema = place->field;
  for (;;) {
    *values = schema;
    enum status status = push_step(walk, schema, &above, error);
    if (status != STATUS_OK) return status;
    struct parquet_step *step = &walk->steps[walk->step_count - 1];
    if (schema->dictionary != NULL) {
      if (step->type.kind < ARROW_INT8 || step->type.kind > ARROW_UINT64)
        return error_set(error, STATUS_INVALID,
                         "it has a dictionary, and indices of format \"%.60s\", which are no "
                         "integers",
                         schema->format);
      step->kind = PARQUET_STEP_DICTIONARY;
      schema = schema->dictionary;
      continue;
    }
    if (step->type.kind != ARROW_RUN_END_ENCODED) return STATUS_OK;
    status = check_children(schema, 2, error);
    if (status != STATUS_OK) return status;
    struct arrow_type ends;
    status = arrow_type_parse(schema->children[0]->format, &ends, error);
    if (status != STATUS_OK) return status;
    if (ends.kind != ARROW_INT16 && ends.kind != ARROW_INT32 && ends.kind != ARROW_INT64)
      return error_set(error, STATUS_INVALID, "its run ends have format \"%.60s\"",
                       schema->children[0]->format);
    step->kind = PARQUET_STEP_RUNS;
    step->type.bit_width = ends.bit_width;
    walk->fields++;
    schema = schema->children[1];
  }
}

static enum status add_struct(struct walk *walk, const struct place *place,
                              const struct ArrowSchema *node, bool is_entries,
                              struct error *error) {
  enum status status = check_children(node, is_entries ? 2 : node->n_children, error);
  if (status != STATUS_OK) return status;
  if (node->n_children < 1)
    return error_set(error, STATUS_UNSUPPORTED,
                     "it is a struct without fields, which Parquet does not have: give it a field "
                     "or leave it out");
  int32_t step = walk->step_count - 1;
  for (int64_t i = 0; i < node->n_children && status == STATUS_OK; i++) {
    const char *own = node->children[i]->name == NULL ? "" : node->children[i]->name;
    const struct place child = {
        .field = node->children[i],
        .name = !is_entries ? own
                : i == 0    ? parquet_name_key
                            : parquet_name_value,
        .def = walk->steps[step].present_def,
        .rep = place->rep,
        .is_required = is_entries && i == 0,
    };
    walk->steps[step].child = (int32_t)i;
    status = add_field(walk, &child, error);
  }
  return status;
}

/* The repeated group of a list or map, and what is in it. `walk`'s last step is the list's. */
static enum status add_items(struct walk *walk, const struct place *place,
                             const struct ArrowSchema *node, struct error *error) {
  enum status status = check_children(node, 1, error);
  if (status != STATUS_OK) return status;
  assert(node->children[0] != NULL); /* checked */
  struct parquet_step *list = &walk->steps[walk->step_count - 1];
  bool is_map = list->type.kind == ARROW_MAP;
  list->present_def++;
  list->rep = (uint8_t)(place->rep + 1);
  const char *name = is_map ? parquet_name_key_value : parquet_name_list;
  struct place items = {.field = node->children[0],
                        .name = parquet_name_element,
                        .def = list->present_def,
                        .rep = list->rep};
  walk->path[walk->path_count++] = name;
  add_group(walk, name, PARQUET_REPEATED, PARQUET_LOGICAL_NONE, is_map ? 2 : 1,
            PARQUET_NO_FIELD_ID);
  if (is_map) { /* the entries are a struct, which has no element of its own */
    const struct parquet_step above = {.null_def = items.def, .present_def = items.def};
    status = push_step(walk, items.field, &above, error);
    struct parquet_step *entries = &walk->steps[walk->step_count - 1];
    if (status == STATUS_OK && (entries->type.kind != ARROW_STRUCT || items.field->dictionary))
      status = error_set(error, STATUS_INVALID, "its entries are no struct of key and value");
    entries->kind = PARQUET_STEP_STRUCT;
    if (status == STATUS_OK) status = add_struct(walk, &items, items.field, true, error);
    if (status == STATUS_OK) walk->step_count--;
  } else {
    status = add_field(walk, &items, error);
  }
  if (status == STATUS_OK) pop_name(walk);
  return status;
}

static const struct {
  bool is_list;
  enum parquet_step_kind kind;
} list_kinds[] = {
    [ARROW_LIST] = {true, PARQUET_STEP_LIST},
    [ARROW_MAP] = {true, PARQUET_STEP_LIST},
    [ARROW_LARGE_LIST] = {true, PARQUET_STEP_LARGE_LIST},
    [ARROW_LIST_VIEW] = {true, PARQUET_STEP_LIST_VIEW},
    [ARROW_LARGE_LIST_VIEW] = {true, PARQUET_STEP_LARGE_LIST_VIEW},
    [ARROW_FIXED_SIZE_LIST] = {true, PARQUET_STEP_FIXED_LIST},
    [ARROW_RUN_END_ENCODED] = {false, PARQUET_STEP_LEAF},
};

/* After a failure path and steps stay where they are: they say what failed. */
static enum status add_field(struct walk *walk, const struct place *place, struct error *error) {
  int32_t step_count = walk->step_count;
  assert(walk->path_count + 2 < PATH_MAX_NAMES);
  walk->path[walk->path_count++] = place->name;
  bool is_nullable = !place->is_required && (place->field->flags & ARROW_FLAG_NULLABLE) != 0;
  enum parquet_repetition repetition = is_nullable ? PARQUET_OPTIONAL : PARQUET_REQUIRED;
  int32_t field_id;
  const struct ArrowSchema *node = NULL;
  enum status status = parquet_field_id(place->field, &field_id, error);
  if (status == STATUS_OK) status = push_values(walk, place, is_nullable, &node, error);
  if (status != STATUS_OK) return status;
  struct parquet_step *step = &walk->steps[walk->step_count - 1];
  enum arrow_kind kind = step->type.kind;
  if ((size_t)kind < sizeof list_kinds / sizeof list_kinds[0] && list_kinds[kind].is_list) {
    step->kind = list_kinds[kind].kind;
    add_group(walk, place->name, repetition,
              kind == ARROW_MAP ? PARQUET_LOGICAL_MAP : PARQUET_LOGICAL_LIST, 1, field_id);
    status = add_items(walk, place, node, error);
  } else if (kind == ARROW_STRUCT) {
    step->kind = PARQUET_STEP_STRUCT;
    add_group(walk, place->name, repetition, PARQUET_LOGICAL_NONE, node->n_children, field_id);
    status = add_struct(walk, place, node, false, error);
  } else {
    status = add_leaf(walk, place, node, repetition, field_id, error);
  }
  if (status != STATUS_OK) return status;
  walk->step_count = step_count;
  pop_name(walk);
  return STATUS_OK;
}

static enum status walk_all(const struct ArrowSchema *arrow, struct walk *walk,
                            struct error *error) {
  struct parquet_schema *schema = walk->schema;
  *walk = (struct walk){.schema = schema};
  add_group(walk, "schema", PARQUET_REQUIRED, PARQUET_LOGICAL_NONE, arrow->n_children,
            PARQUET_NO_FIELD_ID);
  for (int64_t i = 0; i < arrow->n_children; i++) {
    const struct ArrowSchema *field = arrow->children[i];
    walk->top_level = (int32_t)i;
    const struct place place = {.field = field, .name = field->name == NULL ? "" : field->name};
    enum status status = add_field(walk, &place, error);
    if (status != STATUS_OK) return at_field(walk, status, error);
  }
  return STATUS_OK;
}

/* ---- the whole -------------------------------------------------------------------------- */

static void *pool(int64_t count, size_t size_bytes) {
  return calloc(count > 0 ? (size_t)count : 1, size_bytes);
}

static enum status make_room(const struct walk *counted, struct error *error) {
  struct parquet_schema *schema = counted->schema;
  schema->leaves = pool(counted->leaf_count, sizeof *schema->leaves);
  schema->pools[POOL_STEPS] = pool(counted->step_total, sizeof(struct parquet_step));
  schema->pools[POOL_PATHS] = pool(counted->path_total, sizeof(char *));
  schema->pools[POOL_NAMES] = pool(counted->name_bytes, 1);
  schema->elements = pool(counted->element_count, sizeof *schema->elements);
  if (schema->leaves == NULL || schema->pools[POOL_STEPS] == NULL ||
      schema->pools[POOL_PATHS] == NULL || schema->pools[POOL_NAMES] == NULL ||
      schema->elements == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for a Parquet schema");
  schema->leaf_count = (int32_t)counted->leaf_count;
  schema->element_count = (int32_t)counted->element_count;
  return STATUS_OK;
}

static enum status check_root(const struct ArrowSchema *arrow, struct error *error) {
  struct arrow_type type;
  enum status status = arrow_type_parse(arrow->format, &type, error);
  if (status != STATUS_OK) return status;
  if (type.kind != ARROW_STRUCT || arrow->dictionary != NULL)
    return error_set(error, STATUS_INVALID,
                     "the schema of record batches must be a struct, and has format \"%.60s\"",
                     arrow->format);
  if (arrow->n_children < 0 || arrow->n_children > ARROW_FIELDS_MAX)
    return error_set(error, STATUS_TOO_LARGE,
                     "the schema has %" PRId64 " columns, and %d are the most: write fewer",
                     arrow->n_children, ARROW_FIELDS_MAX);
  return check_children(arrow, arrow->n_children, error);
}

enum status parquet_schema_new(const struct ArrowSchema *arrow, struct parquet_schema **schema,
                               struct error *error) {
  *schema = NULL;
  enum status status = check_root(arrow, error);
  if (status != STATUS_OK) return status;
  struct parquet_schema *made = calloc(1, sizeof *made);
  struct walk *walk = calloc(1, sizeof *walk);
  if (made == NULL || walk == NULL) {
    status = error_set(error, STATUS_NOMEM, "no memory for a Parquet schema");
    goto done;
  }
  walk->schema = made;
  status = walk_all(arrow, walk, error);
  if (status == STATUS_OK) status = make_room(walk, error);
  if (status == STATUS_OK) status = walk_all(arrow, walk, error);
  if (status == STATUS_OK) status = parquet_names_new(made, &made->names, error);
  if (status != STATUS_OK) goto done;
  *schema = made;
  made = NULL;
done:
  parquet_schema_free(made);
  free(walk);
  return status;
}

void parquet_schema_free(struct parquet_schema *schema) {
  if (schema == NULL) return;
  parquet_names_free(schema->names);
  for (size_t i = 0; i < sizeof schema->pools / sizeof schema->pools[0]; i++)
    free(schema->pools[i]);
  free(schema->leaves);
  free(schema->elements);
  free(schema);
}
