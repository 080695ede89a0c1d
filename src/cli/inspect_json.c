/* The report for programs: one JSON document, described in docs/cli.md. Messages are
 * written as they come, so that a stream of a million batches takes no more memory than one
 * of ten; what is known at the end follows them. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "arrow/schema.h"
#include "cli/cli.h"
#include "cli/inspect.h"

struct json_report {
  struct inspect_report report;
  bool begun;
  int64_t listed;
};

/* ---- pieces ---------------------------------------------------------------------------- */

/* NULL only without memory. Bytes that are not UTF-8 become U+FFFD. */
static json_t *text_of(const char *data, size_t bytes) {
  struct text quoted = TEXT_EMPTY;
  if (utf8_valid_bytes((const uint8_t *)data, bytes) == bytes) return json_stringn(data, bytes);
  json_t *made = NULL;
  if (text_add_json(&quoted, data, bytes, NULL) == STATUS_OK)
    made = json_loadb(quoted.data, quoted.size_bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
  text_release(&quoted);
  return made;
}

static json_t *string_of(const char *string) {
  return string == NULL ? json_null() : text_of(string, strlen(string));
}

/* Takes `value`, which may be NULL for want of memory; `*object` is NULL from then on. */
static void put(json_t **object, const char *key, json_t *value) {
  if (*object == NULL) {
    json_decref(value);
    return;
  }
  if (json_object_set_new(*object, key, value) == 0) return;
  json_decref(*object);
  *object = NULL;
}

static void put_integer(json_t **object, const char *key, int64_t value) {
  put(object, key, json_integer(value));
}

/* The same for an array. */
static void add(json_t **array, json_t *value) {
  if (*array == NULL) {
    json_decref(value);
    return;
  }
  if (json_array_append_new(*array, value) == 0) return;
  json_decref(*array);
  *array = NULL;
}

static json_t *hex_of(const char *data, size_t bytes) {
  static const char digits[] = "0123456789abcdef";
  char *hex = malloc(2 * bytes + 1);
  if (hex == NULL) return NULL;
  for (size_t i = 0; i < bytes; i++) {
    hex[2 * i] = digits[(unsigned char)data[i] >> 4];
    hex[2 * i + 1] = digits[(unsigned char)data[i] & 15];
  }
  json_t *made = json_stringn(hex, 2 * bytes);
  free(hex);
  return made;
}

/* {"key": text, "value": text}; what is not UTF-8 is also there as "key_hex", "value_hex". */
static json_t *metadata_of(const char *metadata) {
  struct inspect_pairs pairs = inspect_pairs(metadata);
  json_t *list = json_array();
  while (inspect_pair_next(&pairs)) {
    size_t key_bytes = (size_t)pairs.key_bytes;
    size_t value_bytes = (size_t)pairs.value_bytes;
    json_t *pair = json_object();
    put(&pair, "key", text_of(pairs.key, key_bytes));
    put(&pair, "value", text_of(pairs.value, value_bytes));
    if (utf8_valid_bytes((const uint8_t *)pairs.key, key_bytes) != key_bytes)
      put(&pair, "key_hex", hex_of(pairs.key, key_bytes));
    if (utf8_valid_bytes((const uint8_t *)pairs.value, value_bytes) != value_bytes)
      put(&pair, "value_hex", hex_of(pairs.value, value_bytes));
    add(&list, pair);
  }
  return list;
}

/* ---- the schema ------------------------------------------------------------------------- */

struct ids {
  const int64_t *next;
  int64_t left;
};

static json_t *type_of(const struct ArrowSchema *field) {
  struct text type = TEXT_EMPTY;
  json_t *made = NULL;
  if (arrow_type_print(field, &type, NULL) == STATUS_OK)
    made = text_of(text_get(&type), type.size_bytes);
  text_release(&type);
  return made;
}

static json_t *fields_of(const struct ArrowSchema *parent, struct ids *ids);

static json_t *dictionary_of(const struct ArrowSchema *field, struct ids *ids) {
  json_t *made = json_object();
  int64_t id = 0;
  if (ids->left > 0) {
    ids->left--;
    id = *ids->next++;
  }
  put_integer(&made, "id", id);
  put(&made, "ordered", json_boolean((field->flags & ARROW_FLAG_DICTIONARY_ORDERED) != 0));
  put(&made, "type", type_of(field->dictionary));
  put(&made, "format", string_of(field->dictionary->format));
  put(&made, "children", fields_of(field->dictionary, ids));
  return made;
}

static json_t *field_of(const struct ArrowSchema *field, struct ids *ids) {
  json_t *made = json_object();
  put(&made, "name", string_of(field->name == NULL ? "" : field->name));
  put(&made, "type", type_of(field));
  put(&made, "format", string_of(field->format));
  put(&made, "nullable", json_boolean((field->flags & ARROW_FLAG_NULLABLE) != 0));
  if ((field->flags & ARROW_FLAG_MAP_KEYS_SORTED) != 0) put(&made, "keys_sorted", json_true());
  put(&made, "dictionary", field->dictionary == NULL ? json_null() : dictionary_of(field, ids));
  put(&made, "children", fields_of(field, ids));
  put(&made, "metadata", metadata_of(field->metadata));
  return made;
}

/* Fields nest no deeper than ARROW_DEPTH_MAX. */
static json_t *fields_of(const struct ArrowSchema *parent, struct ids *ids) {
  json_t *made = json_array();
  for (int64_t i = 0; i < parent->n_children; i++) add(&made, field_of(parent->children[i], ids));
  return made;
}

static json_t *schema_of(const struct inspect *inspect) {
  const struct ipc_description *described = &inspect->schema;
  struct ids ids = {described->dictionary_ids, described->dictionary_count};
  if (described->schema.release == NULL) return json_null();
  json_t *made = json_object();
  put(&made, "endianness", json_string(described->big_endian ? "big" : "little"));
  put(&made, "fields", fields_of(&described->schema, &ids));
  put(&made, "metadata", metadata_of(described->schema.metadata));
  return made;
}

/* ---- messages --------------------------------------------------------------------------- */

static void put_body(json_t **object, const struct ipc_description *description) {
  json_t *list = json_array();
  if (description->kind == IPC_MESSAGE_DICTIONARY) {
    put_integer(object, "dictionary_id", description->dictionary_id);
    put(object, "delta", json_boolean(description->is_delta));
  }
  put_integer(object, "rows", description->rows);
  put_integer(object, "nodes", description->node_count);
  put(object, "compression", json_string(inspect_codec_name(description->compression)));
  put_integer(object, "buffer_bytes", description->buffer_bytes);
  put_integer(object, "uncompressed_bytes", description->expanded_bytes);
  put_integer(object, "alignment_bytes", description->alignment_bytes);
  for (int64_t i = 0; i < description->buffer_count; i++) {
    const struct ipc_buffer_description *buffer = &description->buffers[i];
    json_t *one = json_object();
    put_integer(&one, "offset", buffer->offset_bytes);
    put_integer(&one, "bytes", buffer->size_bytes);
    put_integer(&one, "uncompressed_bytes", buffer->expanded_bytes);
    put(&one, "compressed", json_boolean(buffer->compressed));
    add(&list, one);
  }
  put(object, "buffers", list);
}

static json_t *message_of(const struct inspect_message *message) {
  static const char *const kinds[] = {[IPC_MESSAGE_UNKNOWN] = "unknown",
                                      [IPC_MESSAGE_SCHEMA] = "schema",
                                      [IPC_MESSAGE_DICTIONARY] = "dictionary",
                                      [IPC_MESSAGE_BATCH] = "batch"};
  static const char *const verdicts[] = {
      [INSPECT_UNCHECKED] = "unchecked", [INSPECT_GOOD] = "good", [INSPECT_BROKEN] = "broken"};
  const struct ipc_description *description = message->description;
  json_t *made = json_object();
  put_integer(&made, "index", message->index);
  put(&made, "kind", json_string(kinds[description->kind]));
  put(&made, "metadata_version",
      description->version > 0 ? json_integer(description->version) : json_null());
  put_integer(&made, "offset", message->offset_bytes);
  put_integer(&made, "prefix_bytes", message->prefix_bytes);
  put_integer(&made, "metadata_bytes", description->metadata_bytes);
  put_integer(&made, "body_offset", message->body_offset_bytes);
  put_integer(&made, "body_bytes", description->body_bytes);
  if (description->kind == IPC_MESSAGE_DICTIONARY || description->kind == IPC_MESSAGE_BATCH)
    put_body(&made, description);
  if (description->kind == IPC_MESSAGE_DICTIONARY)
    put(&made, "replaces", json_boolean(message->replaces));
  put(&made, "metadata", metadata_of(description->metadata));
  put(&made, "checked", json_string(verdicts[message->verdict]));
  put(&made, "problem", string_of(message->why));
  return made;
}

/* Writes `before`, `value`, which is taken, without its first `skip` bytes, and `after`. */
static enum status write_json(const char *before, json_t *value, size_t skip, const char *after,
                              struct error *error) {
  char *dumped = value == NULL ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
  struct text out = TEXT_EMPTY;
  enum status status = dumped == NULL ? error_set(error, STATUS_NOMEM, "no memory for a report")
                                      : text_add(&out, before, error);
  if (status == STATUS_OK) status = text_add(&out, dumped + skip, error);
  if (status == STATUS_OK) status = text_add(&out, after, error);
  if (status == STATUS_OK) status = cli_print(&out, error);
  text_release(&out);
  free(dumped);
  json_decref(value);
  return status;
}

static enum status begin(struct json_report *report, const struct inspect *inspect,
                         struct error *error) {
  report->begun = true;
  enum status status = write_json("{\"path\":", string_of(inspect->name), 0, "", error);
  if (status != STATUS_OK) return status;
  return write_json(",\"format\":", json_string(inspect->is_file ? "file" : "stream"), 0,
                    ",\"messages\":[", error);
}

static enum status json_message(struct inspect_report *base, const struct inspect *inspect,
                                const struct inspect_message *message, struct error *error) {
  struct json_report *report = (struct json_report *)base;
  enum status status = report->begun ? STATUS_OK : begin(report, inspect, error);
  if (status != STATUS_OK || report->listed == inspect->options.messages_max) return status;
  return write_json(report->listed++ == 0 ? "\n" : ",\n", message_of(message), 0, "", error);
}

/* ---- the end ---------------------------------------------------------------------------- */

static json_t *totals_of(const struct inspect *inspect) {
  const struct inspect_totals *totals = &inspect->totals;
  json_t *made = json_object();
  put_integer(&made, "messages", totals->messages);
  put_integer(&made, "broken", totals->broken);
  put_integer(&made, "batches", totals->batches);
  put_integer(&made, "rows", totals->rows);
  put_integer(&made, "dictionaries", totals->dictionaries);
  put_integer(&made, "deltas", totals->deltas);
  put_integer(&made, "replacements", totals->replacements);
  put_integer(&made, "metadata_bytes", totals->metadata_bytes);
  put_integer(&made, "body_bytes", totals->body_bytes);
  put_integer(&made, "buffer_bytes", totals->buffer_bytes);
  put_integer(&made, "uncompressed_bytes", totals->expanded_bytes);
  return made;
}

static json_t *footer_of(const struct inspect *inspect) {
  if (inspect->footer.offset_bytes == 0) return json_null();
  json_t *made = json_object();
  put_integer(&made, "offset", inspect->footer.offset_bytes);
  put_integer(&made, "bytes", inspect->footer.size_bytes);
  put_integer(&made, "metadata_version", inspect->footer.version);
  put_integer(&made, "dictionaries", inspect->file.dictionary_count);
  put_integer(&made, "batches", inspect->file.batch_count);
  put(&made, "metadata", metadata_of(inspect->file.metadata));
  return made;
}

static json_t *salvage_of(const struct inspect *inspect) {
  if (!inspect->salvage.done) return json_null();
  json_t *made = json_object();
  put_integer(&made, "batches", inspect->salvage.batches);
  put_integer(&made, "end", inspect->salvage.end_bytes);
  put(&made, "stop",
      inspect->salvage.stop[0] == '\0' ? json_null() : string_of(inspect->salvage.stop));
  return made;
}

static json_t *problem_of(const struct inspect *inspect) {
  const struct inspect_problem *problem = &inspect->problem;
  if (problem->status == STATUS_OK) return json_null();
  json_t *made = json_object();
  put(&made, "status", json_string(status_name(problem->status)));
  put_integer(&made, "offset", problem->offset_bytes);
  put(&made, "message",
      inspect->place.end_bytes > 0 ? json_integer(inspect->place.index) : json_null());
  put(&made, "text", string_of(problem->text));
  put(&made, "hint", inspect->hint[0] == '\0' ? json_null() : string_of(inspect->hint));
  put(&made, "without_footer", salvage_of(inspect));
  return made;
}

static enum status json_end(struct inspect_report *base, const struct inspect *inspect,
                            struct error *error) {
  struct json_report *report = (struct json_report *)base;
  json_t *rest = json_object();
  put_integer(&rest, "messages_listed", report->listed);
  put(&rest, "schema", schema_of(inspect));
  put(&rest, "footer", footer_of(inspect));
  put(&rest, "totals", totals_of(inspect));
  put_integer(&rest, "bytes", inspect->size_bytes);
  put(&rest, "end_of_stream", json_boolean(inspect->has_end));
  put(&rest, "checked", json_boolean(inspect->options.check));
  put(&rest, "note", inspect->note[0] == '\0' ? json_null() : string_of(inspect->note));
  put(&rest, "problem", problem_of(inspect));
  enum status status = report->begun ? STATUS_OK : begin(report, inspect, error);
  if (status == STATUS_OK) return write_json("\n],\n", rest, 1, "\n", error);
  json_decref(rest);
  return status;
}

static void json_free(struct inspect_report *report) { free(report); }

static const struct inspect_report_type type = {
    .message = json_message, .end = json_end, .free = json_free};

enum status inspect_json_new(struct inspect_report **report, struct error *error) {
  struct json_report *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a report");
  made->report.type = &type;
  *report = &made->report;
  return STATUS_OK;
}
