/* Rows in another order: all of them into a table of an engine in memory, and out again by ORDER BY.
 *
 * The table's columns are c0, c1, ... whatever the data calls them, so that no name is in the way, and
 * the last one numbers the rows: the order of equal rows is then theirs, and the same in every run.
 *
 * What the engine gives back has its types. Where they are the data's in another layout (large_utf8 as
 * utf8) the new type is said; where a value would be told otherwise (a duration as an interval) the
 * column is refused before a row is read. Names, nullability, metadata and the zone of a timestamp are
 * taken from the data's schema. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "source/private.h"

enum { NAME_BYTES = 24, INSERT_ROWS = 491520, INSERT_SLICES = 256, NAMES_MAX = 4096 };
static const int64_t INSERT_BYTES = (int64_t)32 << 20;

struct sorted {
  struct source source;
  const struct source_sort_options *options; /* while it is opened */
  struct ArrowSchema schema;                 /* of what comes out */
  struct ArrowSchema table;                  /* of what goes in */
  struct engine *engine;
  struct engine_session *session;
  struct engine_insert *insert;
  struct engine_result *result;
  struct engine_slice slices[INSERT_SLICES]; /* that wait to be inserted */
  int64_t slice_count;
  int64_t slice_rows;
  int64_t rows;     /* in the table */
  int64_t rows_out; /* given */
};

/* ---- types ----------------------------------------------------------------------------------- */

static enum status print_types(const struct ArrowSchema *from, const struct ArrowSchema *to,
                               struct error *error) {
  struct text old = TEXT_EMPTY;
  struct text new = TEXT_EMPTY;
  enum status status = arrow_type_print(from, &old, error);
  if (status == STATUS_OK) status = arrow_type_print(to, &new, error);
  if (status == STATUS_OK)
    status = error_set(error, STATUS_UNSUPPORTED,
                       "it is %s, which the engine that sorts would give back as %s; cast it, or "
                       "sort where the data comes from",
                       text_get(&old), text_get(&new));
  text_release(&old);
  text_release(&new);
  return status;
}

/* Kinds whose values are the same, however they lie in memory. */
static int family(enum arrow_kind kind) {
  switch (kind) {
  case ARROW_UTF8:
  case ARROW_LARGE_UTF8:
  case ARROW_UTF8_VIEW: return ARROW_UTF8;
  case ARROW_BINARY:
  case ARROW_LARGE_BINARY:
  case ARROW_BINARY_VIEW:
  case ARROW_FIXED_SIZE_BINARY: return ARROW_BINARY;
  case ARROW_DATE32:
  case ARROW_DATE64: return ARROW_DATE32;
  case ARROW_TIME32:
  case ARROW_TIME64: return ARROW_TIME64;
  case ARROW_FLOAT16:
  case ARROW_FLOAT32: return ARROW_FLOAT32;
  case ARROW_LIST:
  case ARROW_LARGE_LIST:
  case ARROW_LIST_VIEW:
  case ARROW_LARGE_LIST_VIEW: return ARROW_LIST;
  default: return (int)kind;
  }
}

static bool has_extension(const struct ArrowSchema *field) {
  static const char key[] = "ARROW:extension:name";
  const char *at = field->metadata;
  int32_t pairs = 0;
  if (at == NULL) return false;
  memcpy(&pairs, at, sizeof pairs);
  at += sizeof pairs;
  for (int64_t i = 0; i < 2 * (int64_t)pairs; i++) {
    int32_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    at += sizeof bytes;
    if (i % 2 == 0 && bytes == (int32_t)sizeof key - 1 && memcmp(at, key, sizeof key - 1) == 0)
      return true;
    at += bytes;
  }
  return false;
}

static void drop_dictionary(struct ArrowSchema *field) {
  arrow_schema_release(field->dictionary);
  free(field->dictionary);
  field->dictionary = NULL;
}

static enum status set_format(struct ArrowSchema *field, const char *format, const char *zone,
                              struct error *error) {
  struct text made = TEXT_EMPTY;
  enum status status = text_add_format(&made, error, "%s%s", format, zone);
  if (status != STATUS_OK) return status;
  status = arrow_schema_set(field, text_get(&made), NULL, error);
  text_release(&made);
  return status;
}

static enum status settle(struct ArrowSchema *field, const struct ArrowSchema *result,
                          struct error *error);

/* `field`, a copy of the data's, becomes what the engine gives for it. */
static enum status settle_type(struct ArrowSchema *field, const struct ArrowSchema *result,
                               struct error *error) {
  struct arrow_type from;
  struct arrow_type to;
  enum status status = arrow_type_parse(field->format, &from, error);
  if (status == STATUS_OK) status = arrow_type_parse(result->format, &to, error);
  if (status != STATUS_OK) return status;
  bool zoned = from.kind == ARROW_TIMESTAMP && from.timezone[0] != '\0';
  if (family(from.kind) != family(to.kind) || field->n_children != result->n_children ||
      (zoned && to.timezone[0] == '\0'))
    return print_types(field, result, error);
  char zone_less[] = "ts?:";
  zone_less[2] = result->format[2];
  struct text zone = TEXT_EMPTY; /* of the old format, which is about to go */
  if (zoned) status = text_add(&zone, from.timezone, error);
  bool changes = strcmp(field->format, result->format) != 0 && !(zoned && from.unit == to.unit);
  if (status == STATUS_OK && changes && has_extension(field))
    status = print_types(field, result, error);
  if (status == STATUS_OK && changes)
    status = set_format(field, zoned ? zone_less : result->format, text_get(&zone), error);
  text_release(&zone);
  for (int64_t i = 0; i < field->n_children && status == STATUS_OK; i++)
    status = settle(field->children[i], result->children[i], error);
  return status;
}

static enum status settle(struct ArrowSchema *field, const struct ArrowSchema *result,
                          struct error *error) {
  enum status status = STATUS_OK;
  if (field->dictionary != NULL && field->dictionary->n_children > 0) {
    status = error_set(error, STATUS_UNSUPPORTED,
                       "it is a dictionary of nested values, which cannot be sorted");
  } else if (field->dictionary != NULL) { /* its values, under the field's own name */
    status = set_format(field, field->dictionary->format, "", error);
    if (status == STATUS_OK) drop_dictionary(field);
  }
  if (status == STATUS_OK) status = settle_type(field, result, error);
  return status;
}

/* ---- the table ------------------------------------------------------------------------------- */

/* The data's columns under names of ours, and the number of the row. */
static enum status make_table(struct sorted *sorted, const struct ArrowSchema *data,
                              struct error *error) {
  char name[NAME_BYTES];
  enum status status =
      arrow_schema_init(&sorted->table, "+s", "", false, data->n_children + 1, error);
  for (int64_t i = 0; i < data->n_children && status == STATUS_OK; i++) {
    struct text ignored = TEXT_EMPTY;
    struct ArrowSchema *column = sorted->table.children[i];
    status = engine_type_of(data->children[i], &ignored, error);
    text_release(&ignored);
    if (status == STATUS_OK) status = arrow_schema_copy(data->children[i], column, error);
    snprintf(name, sizeof name, "c%" PRId64, i);
    if (status == STATUS_OK) status = arrow_schema_set(column, NULL, name, error);
  }
  if (status == STATUS_OK)
    status =
        arrow_schema_init(sorted->table.children[data->n_children], "l", "row", false, 0, error);
  return status;
}

struct numbered {
  struct ArrowArray batch;  /* the data's */
  struct ArrowArray number; /* of the row, one column more */
  struct buffer numbers;
  const void *number_buffers[2];
  struct ArrowArray *children[];
};

static void release_number(struct ArrowArray *array) { array->release = NULL; }

static void release_numbered(struct ArrowArray *array) {
  struct numbered *made = array->private_data;
  arrow_array_release(&made->batch);
  buffer_release(&made->numbers);
  free(made);
  array->release = NULL;
}

/* Takes the batch over on STATUS_OK, and makes it one with the numbers of its rows. */
static enum status number_rows(struct sorted *sorted, struct ArrowArray *batch,
                               struct error *error) {
  size_t columns = (size_t)batch->n_children;
  int64_t slots = batch->offset + batch->length;
  struct numbered *made = calloc(1, sizeof *made + (columns + 1) * sizeof made->children[0]);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory to sort rows");
  enum status status = buffer_reserve(&made->numbers, sorted->options->budget,
                                      slots * (int64_t)sizeof(int64_t) + 1, error);
  if (status != STATUS_OK) {
    free(made);
    return status;
  }
  int64_t *numbers = (int64_t *)(void *)made->numbers.data;
  for (int64_t i = 0; i < slots; i++) numbers[i] = sorted->rows + i - batch->offset;
  made->number_buffers[1] = numbers;
  made->number = (struct ArrowArray){
      .length = slots, .n_buffers = 2, .buffers = made->number_buffers, .release = release_number};
  if (columns > 0) memcpy(made->children, batch->children, columns * sizeof made->children[0]);
  made->children[columns] = &made->number;
  struct ArrowArray whole = *batch;
  whole.n_children = batch->n_children + 1;
  whole.children = made->children;
  whole.private_data = made;
  whole.release = release_numbered;
  made->batch = *batch;
  *batch = whole;
  return STATUS_OK;
}

static enum status insert_slices(struct sorted *sorted, struct error *error) {
  int64_t inserted;
  if (sorted->slice_count == 0) return STATUS_OK;
  enum status status = engine_begin(sorted->session, error);
  if (status != STATUS_OK) return status;
  status =
      engine_insert_rows(sorted->insert, sorted->slices, sorted->slice_count, &inserted, error);
  if (status == STATUS_OK)
    status = engine_commit(sorted->session, error);
  else
    engine_rollback(sorted->session);
  for (int64_t i = 0; i < sorted->slice_count; i++) arrow_shared_release(sorted->slices[i].batch);
  sorted->slice_count = sorted->slice_rows = 0;
  return status;
}

static bool is_due(const struct sorted *sorted) {
  struct budget *budget = sorted->options->budget;
  return sorted->slice_count == INSERT_SLICES || sorted->slice_rows >= INSERT_ROWS ||
         (budget != NULL && atomic_load(&budget->used_bytes) >= INSERT_BYTES);
}

static enum status take_batch(struct sorted *sorted, struct ArrowArray *batch,
                              struct error *error) {
  struct arrow_shared *shared = NULL;
  int64_t rows = batch->length;
  enum status status = number_rows(sorted, batch, error);
  if (status == STATUS_OK) status = arrow_shared_new(batch, &shared, error);
  if (status != STATUS_OK) return status;
  sorted->slices[sorted->slice_count++] = (struct engine_slice){shared, 0, rows};
  sorted->slice_rows += rows;
  sorted->rows += rows;
  return is_due(sorted) ? insert_slices(sorted, error) : STATUS_OK;
}

/* All of `inner` into the table. Memory that is refused is asked for again once what waits has gone
 * into the engine. */
static enum status fill(struct sorted *sorted, struct source *inner, struct error *error) {
  const struct source_sort_options *options = sorted->options;
  for (;;) {
    struct ArrowArray batch = {.release = NULL};
    enum status status = source_next(inner, &batch, error);
    if (status == STATUS_BUDGET && sorted->slice_count > 0) {
      status = insert_slices(sorted, error);
      if (status == STATUS_OK) status = source_next(inner, &batch, error);
    }
    if (status != STATUS_OK) return status;
    if (batch.release == NULL) return insert_slices(sorted, error);
    status = take_batch(sorted, &batch, error);
    if (status == STATUS_BUDGET && sorted->slice_count > 0 && batch.release != NULL) {
      status = insert_slices(sorted, error);
      if (status == STATUS_OK) status = take_batch(sorted, &batch, error);
    }
    arrow_array_release(&batch);
    if (status != STATUS_OK) return status;
    if (options->progress != NULL &&
        !options->progress(options->context, sorted->rows, source_fraction(inner)))
      return error_set(error, STATUS_CANCELLED, "sorting was given up");
  }
}

/* ---- the order ------------------------------------------------------------------------------- */

static enum status refuse_key(const struct ArrowSchema *data, const char *path,
                              struct error *error) {
  const char *names[NAMES_MAX];
  size_t count = 0;
  for (int64_t i = 0; i < data->n_children && count < NAMES_MAX; i++)
    names[count++] = data->children[i]->name;
  const char *nearest = text_nearest(path, names, count);
  if (nearest != NULL)
    return error_set(error, STATUS_NOT_FOUND, "there is no column '%.200s'; did you mean '%.200s'?",
                     path, nearest);
  return error_set(error, STATUS_NOT_FOUND, "there is no column '%.200s'", path);
}

/* Appends `."a"."b"` for what is left of a path below `field`; false: there is none. */
static bool add_fields(const struct ArrowSchema *field, const char *path,
                       const struct ArrowSchema **found, struct text *sql, enum status *status,
                       struct error *error) {
  *found = field;
  if (path[0] == '\0') return true;
  if (strcmp(field->format, "+s") != 0) return false;
  for (int64_t i = 0; i < field->n_children; i++) {
    const struct ArrowSchema *child = field->children[i];
    size_t bytes = strlen(child->name), old = sql->size_bytes;
    if (strncmp(path, child->name, bytes) != 0 || (path[bytes] != '.' && path[bytes] != '\0'))
      continue;
    *status = text_add(sql, ".", error);
    if (*status == STATUS_OK) *status = text_add_identifier(sql, child->name, error);
    const char *rest = path[bytes] == '.' ? path + bytes + 1 : path + bytes;
    if (*status != STATUS_OK || add_fields(child, rest, found, sql, status, error)) return true;
    sql->size_bytes = old;
    sql->data[old] = '\0';
  }
  return false;
}

static enum status check_order(const struct ArrowSchema *field, const char *path,
                               struct error *error) {
  struct arrow_type type;
  struct text said = TEXT_EMPTY;
  enum status status = arrow_type_parse(field->format, &type, error);
  if (status != STATUS_OK || field->dictionary != NULL || field->n_children == 0) return status;
  status = arrow_type_print(field, &said, error);
  if (status == STATUS_OK)
    status = error_set(error, STATUS_UNSUPPORTED,
                       "the column '%.200s' is %s; rows are sorted by plain columns", path,
                       text_get(&said));
  text_release(&said);
  return status;
}

static enum status add_key(const struct ArrowSchema *data, const struct source_sort_key *key,
                           struct text *sql, struct error *error) {
  for (int64_t i = 0; i < data->n_children; i++) {
    const struct ArrowSchema *found = NULL;
    const char *name = data->children[i]->name;
    size_t bytes = strlen(name), old = sql->size_bytes;
    if (strncmp(key->path, name, bytes) != 0 ||
        (key->path[bytes] != '.' && key->path[bytes] != '\0'))
      continue;
    const char *rest = key->path[bytes] == '.' ? key->path + bytes + 1 : key->path + bytes;
    enum status status = text_add_format(sql, error, "c%" PRId64, i);
    if (status == STATUS_OK && !add_fields(data->children[i], rest, &found, sql, &status, error)) {
      sql->size_bytes = old;
      sql->data[old] = '\0';
      continue;
    }
    if (status == STATUS_OK) status = check_order(found, key->path, error);
    if (status == STATUS_OK)
      status = text_add_format(sql, error, " %s NULLS %s, ", key->is_descending ? "DESC" : "ASC",
                               key->nulls_first ? "FIRST" : "LAST");
    return status;
  }
  return refuse_key(data, key->path, error);
}

static enum status write_sql(const struct ArrowSchema *data,
                             const struct source_sort_options *options, struct text *sql,
                             struct error *error) {
  enum status status = text_add(sql, "SELECT ", error);
  for (int64_t i = 0; i < data->n_children && status == STATUS_OK; i++)
    status = text_add_format(sql, error, "%sc%" PRId64, i == 0 ? "" : ", ", i);
  if (status == STATUS_OK) status = text_add(sql, " FROM rows ORDER BY ", error);
  for (size_t i = 0; i < options->key_count && status == STATUS_OK; i++)
    status = add_key(data, &options->keys[i], sql, error);
  return status == STATUS_OK ? text_add(sql, "\"row\"", error) : status;
}

/* ---- the source ------------------------------------------------------------------------------ */

static void sorted_close(struct source *source) {
  struct sorted *made = (struct sorted *)source;
  for (int64_t i = 0; i < made->slice_count; i++) arrow_shared_release(made->slices[i].batch);
  engine_result_close(made->result);
  engine_insert_close(made->insert);
  engine_session_close(made->session);
  engine_close(made->engine);
  arrow_schema_release(&made->schema);
  arrow_schema_release(&made->table);
  free(made);
}

static const struct ArrowSchema *sorted_schema(struct source *source) {
  return &((struct sorted *)source)->schema;
}

static enum status sorted_next(struct source *source, struct ArrowArray *batch,
                               struct error *error) {
  struct sorted *made = (struct sorted *)source;
  enum status status = engine_result_next(made->result, batch, error);
  if (status == STATUS_OK && batch->release != NULL) made->rows_out += batch->length;
  return status;
}

static double sorted_fraction(struct source *source) {
  const struct sorted *made = (const struct sorted *)source;
  return made->rows > 0 ? (double)made->rows_out / (double)made->rows : -1;
}

static const struct source_type type = {
    .name = "sorted",
    .summary = "the rows of another source, sorted by DuckDB",
    .close = sorted_close,
    .schema = sorted_schema,
    .next = sorted_next,
    .fraction = sorted_fraction,
};

static enum status open_table(struct sorted *sorted, const struct table_name *name,
                              struct error *error) {
  const struct source_sort_options *options = sorted->options;
  struct engine_options engine = {.memory_limit_bytes = options->memory_limit_bytes,
                                  .threads = options->threads,
                                  .spill_folder = options->spill_folder};
  enum status status = engine_open(&engine, &sorted->engine, error);
  if (status == STATUS_OK) status = engine_session_open(sorted->engine, &sorted->session, error);
  if (status == STATUS_OK)
    status = engine_create_table(sorted->session, name, &sorted->table, error);
  if (status == STATUS_OK)
    status = engine_insert_open(sorted->session, name, &sorted->table, &sorted->insert, error);
  return status;
}

/* The statement is asked twice: while the table is empty, for the types, so that what cannot be sorted
 * is refused at once, and when it is full. */
static enum status ask(struct sorted *sorted, const char *sql, struct error *error) {
  struct engine_query query = {
      .sql = sql, .own = true, .read_only = true, .budget = sorted->options->budget};
  return engine_query(sorted->session, &query, &sorted->result, error);
}

static enum status settle_all(struct sorted *sorted, const struct ArrowSchema *data,
                              struct error *error) {
  const struct ArrowSchema *result = engine_result_schema(sorted->result);
  enum status status = arrow_schema_copy(data, &sorted->schema, error);
  for (int64_t i = 0; i < data->n_children && status == STATUS_OK; i++) {
    status = settle(sorted->schema.children[i], result->children[i], error);
    if (status != STATUS_OK) error_at(error, "the column \"%s\"", data->children[i]->name);
  }
  engine_result_close(sorted->result);
  sorted->result = NULL;
  return status;
}

static enum status open_sorted(struct sorted *sorted, struct source *inner, struct error *error) {
  const struct ArrowSchema *data = source_schema(inner);
  struct table_name name = {.table = "rows"};
  struct text sql = TEXT_EMPTY;
  enum status status = write_sql(data, sorted->options, &sql, error);
  if (status == STATUS_OK) status = make_table(sorted, data, error);
  if (status == STATUS_OK) status = open_table(sorted, &name, error);
  if (status == STATUS_OK) status = ask(sorted, text_get(&sql), error);
  if (status == STATUS_OK) status = settle_all(sorted, data, error);
  if (status == STATUS_OK) status = fill(sorted, inner, error);
  engine_insert_close(sorted->insert);
  sorted->insert = NULL;
  if (status == STATUS_OK) status = engine_session_order(sorted->session, error);
  if (status == STATUS_OK) status = ask(sorted, text_get(&sql), error);
  text_release(&sql);
  return status;
}

enum status source_open_sorted(struct source *inner, const struct source_sort_options *options,
                               struct source **source, struct error *error) {
  *source = NULL;
  struct sorted *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory to sort rows");
  made->source.type = &type;
  made->options = options;
  enum status status = open_sorted(made, inner, error);
  made->options = NULL;
  if (status == STATUS_OK)
    *source = &made->source;
  else
    sorted_close(&made->source);
  return status;
}
