/* The list of destinations, and the checks that hold for all of them: what is wrong
 * with a call is found here, so that a destination sees only what its contract
 * allows. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sink/duckdb.h"
#include "sink/ducklake.h"
#include "sink/null.h"
#include "sink/sink.h"

/* A destination more is a line more. */
static const struct sink_type *const types[] = {
    &SINK_DUCKDB,
    &SINK_DUCKLAKE,
    &SINK_NULL,
};

enum { TYPE_COUNT = sizeof types / sizeof types[0] };

const struct sink_type *sink_find(const char *name) {
  for (size_t i = 0; i < TYPE_COUNT; i++)
    if (strcmp(types[i]->name, name) == 0) return types[i];
  return NULL;
}

const struct sink_type *const *sink_all(size_t *count) {
  *count = TYPE_COUNT;
  return types;
}

static enum status unknown_sink(const char *name, struct error *error) {
  const char *names[TYPE_COUNT];
  struct text list = TEXT_EMPTY;
  enum status status = STATUS_OK;
  for (size_t i = 0; i < TYPE_COUNT; i++) {
    names[i] = types[i]->name;
    if (status == STATUS_OK)
      status = text_add_format(&list, error, "%s%s", i == 0 ? "" : ", ", names[i]);
  }
  const char *nearest = text_nearest(name, names, TYPE_COUNT);
  if (status == STATUS_OK)
    status = error_set(error, STATUS_NOT_FOUND, "there is no sink \"%s\"%s%s%s; there are %s", name,
                       nearest == NULL ? "" : " (did you mean ", nearest == NULL ? "" : nearest,
                       nearest == NULL ? "" : "?)", text_get(&list));
  text_release(&list);
  return status;
}

enum status sink_open(const char *name, const struct config *config, struct sink **sink,
                      struct error *error) {
  *sink = NULL;
  const struct sink_type *type = sink_find(name);
  if (type == NULL) return unknown_sink(name, error);
  if (config_fields(config) != type->config)
    return error_set(error, STATUS_INTERNAL, "the settings given to sink %s are another's", name);
  enum status status = config_check(config, error);
  if (status == STATUS_OK) status = type->open(config, sink, error);
  if (status != STATUS_OK) error_at(error, "sink %s", name);
  return status;
}

void sink_close(struct sink *sink) {
  if (sink != NULL) sink->type->close(sink);
}

const char *sink_mode_name(enum sink_mode mode) {
  switch (mode) {
  case SINK_APPEND: return "append";
  case SINK_OVERWRITE: return "overwrite";
  case SINK_UPSERT: return "upsert";
  case SINK_MERGE: return "merge";
  }
  return NULL;
}

const char *schema_policy_name(enum schema_policy policy) {
  switch (policy) {
  case SCHEMA_SKIP: return "skip";
  case SCHEMA_STRICT: return "strict";
  case SCHEMA_MERGE: return "merge";
  }
  return NULL;
}

static bool is_nested(const struct ArrowSchema *field) {
  struct arrow_type type;
  const struct ArrowSchema *values = field->dictionary != NULL ? field->dictionary : field;
  return arrow_type_parse(values->format, &type, NULL) != STATUS_OK || type.kind >= ARROW_LIST ||
         type.kind == ARROW_NULL;
}

/* Upper and lower case are not told apart, as no destination with SQL does. */
static const struct ArrowSchema *field_of(const struct ArrowSchema *schema, const char *name) {
  for (int64_t i = 0; i < schema->n_children; i++)
    if (schema->children[i]->name != NULL && strcasecmp(schema->children[i]->name, name) == 0)
      return schema->children[i];
  return NULL;
}

static enum status check_token(const char *token, struct error *error) {
  size_t bytes = token == NULL ? 1 : strlen(token);
  if (bytes >= 1 && bytes <= SINK_TOKEN_BYTES_MAX) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "a token has 1 to %d bytes, this one %zu",
                   (int)SINK_TOKEN_BYTES_MAX, bytes);
}

static enum status check_keys(const struct load_spec *spec, struct error *error) {
  bool keyed = spec->mode == SINK_UPSERT || spec->mode == SINK_MERGE;
  const char *mode = sink_mode_name(spec->mode);
  if (keyed && spec->key_count == 0)
    return error_set(error, STATUS_INVALID, "the mode \"%s\" needs a key: name its columns", mode);
  if (!keyed && spec->key_count > 0)
    return error_set(error, STATUS_INVALID,
                     "the mode \"%s\" has no use for a key (\"%.100s\"): upsert and merge have",
                     mode, spec->keys[0]);
  for (size_t i = 0; i < spec->key_count; i++) {
    const char *key = spec->keys[i];
    const struct ArrowSchema *field = field_of(spec->schema, key);
    if (field == NULL)
      return error_set(error, STATUS_SCHEMA, "the data has no column \"%.200s\", which is the key",
                       key);
    if (spec->mode == SINK_MERGE && strcasecmp(key, SINK_OPERATION) == 0)
      return error_set(error, STATUS_INVALID,
                       "\"%s\" says what to do with a row and cannot be its key", key);
    if (is_nested(field))
      return error_set(error, STATUS_SCHEMA,
                       "the key column \"%.200s\" is nested or null; a key is made of plain values",
                       key);
    for (size_t k = 0; k < i; k++)
      if (strcasecmp(spec->keys[k], key) == 0)
        return error_set(error, STATUS_INVALID, "the key names the column \"%.200s\" twice", key);
  }
  return STATUS_OK;
}

enum status load_begin(struct sink *sink, const struct load_spec *spec, struct load **load,
                       struct error *error) {
  *load = NULL;
  const char *mode = sink_mode_name(spec->mode);
  if (mode == NULL) return error_set(error, STATUS_INVALID, "there is no such load mode");
  if ((sink->type->modes & (unsigned)spec->mode) == 0)
    return error_set(error, STATUS_UNSUPPORTED, "sink %s does not take the mode \"%s\"",
                     sink->type->name, mode);
  if (spec->table.table[0] == '\0')
    return error_set(error, STATUS_INVALID, "the load does not name its table");
  if (spec->schema == NULL || strcmp(spec->schema->format, "+s") != 0)
    return error_set(error, STATUS_INVALID, "the load's schema is not a struct");
  if (spec->schema->n_children < 1)
    return error_set(error, STATUS_SCHEMA, "the load's schema has no columns");
  enum status status = check_token(spec->token, error);
  if (status == STATUS_OK && spec->token != NULL && (sink->type->traits & SINK_TOKENS) == 0)
    status = error_set(error, STATUS_UNSUPPORTED,
                       "sink %s remembers no tokens: a load that is repeated lands again",
                       sink->type->name);
  if (status == STATUS_OK) status = check_keys(spec, error);
  if (status != STATUS_OK) return status;
  return sink->type->begin(sink, spec, load, error);
}

enum status load_append(struct load *load, struct ArrowArray *batch, struct error *error) {
  if (batch->release == NULL)
    return error_set(error, STATUS_INVALID, "the batch holds nothing: it was released before");
  if (batch->length < 0 || batch->offset < 0)
    return error_set(error, STATUS_INVALID, "the batch has %lld rows", (long long)batch->length);
  for (int64_t i = 0; i < batch->n_children; i++)
    if (batch->children[i]->length - batch->offset < batch->length)
      return error_set(error, STATUS_INVALID, "column %lld of the batch has %lld of its %lld rows",
                       (long long)i, (long long)batch->children[i]->length,
                       (long long)batch->length);
  return load->sink->type->append(load, batch, error);
}

enum status load_flush(struct load *load, struct error *error) {
  if (load->sink->type->flush == NULL) return STATUS_OK;
  return load->sink->type->flush(load, error);
}

enum status load_commit(struct load *load, struct load_result *result, struct error *error) {
  *result = (struct load_result){.version = -1};
  return load->sink->type->commit(load, result, error);
}

void load_abort(struct load *load) {
  if (load != NULL) load->sink->type->abort(load);
}

enum status sink_lookup(struct sink *sink, const struct table_name *name, const char *token,
                        bool *found, struct load_result *result, struct error *error) {
  *found = false;
  *result = (struct load_result){.version = -1};
  if (sink->type->lookup == NULL)
    return error_set(error, STATUS_UNSUPPORTED, "sink %s remembers no tokens", sink->type->name);
  enum status status = check_token(token, error);
  if (status != STATUS_OK) return status;
  return sink->type->lookup(sink, name, token, found, result, error);
}

void load_result_release(struct load_result *result) {
  free(result->changes);
  result->changes = NULL;
}

enum status sink_table_info(struct sink *sink, const struct table_name *name,
                            struct table_info *info, struct error *error) {
  *info = (struct table_info){0};
  if (sink->type->table_info == NULL)
    return error_set(error, STATUS_UNSUPPORTED, "sink %s keeps no tables", sink->type->name);
  return sink->type->table_info(sink, name, info, error);
}

enum status sink_list_tables(struct sink *sink, struct table_info **tables, int64_t *count,
                             struct error *error) {
  *tables = NULL;
  *count = 0;
  if (sink->type->list_tables == NULL)
    return error_set(error, STATUS_UNSUPPORTED, "sink %s keeps no tables", sink->type->name);
  return sink->type->list_tables(sink, tables, count, error);
}

void table_info_release(struct table_info *info) {
  for (int64_t i = 0; i < info->column_count; i++) {
    free(info->columns[i].name);
    free(info->columns[i].type);
  }
  free(info->columns);
  *info = (struct table_info){0};
}
