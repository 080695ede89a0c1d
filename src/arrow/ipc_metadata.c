#include "arrow/ipc_metadata.h"

#include <string.h>

#include "arrow/ipc_file.h"
#include "arrow/ipc_numbers.h"

enum { UNION_SPARSE, UNION_DENSE };

/* The bytes that each field of a table takes. */
static const uint8_t dictionary_encoding_sizes[] = {8, 4, 1};
static const uint8_t key_value_sizes[] = {4, 4};
static const uint8_t compression_sizes[] = {1, 1};

/* The message around a header that is written next. */
static int64_t write_message(struct flatbuf *flatbuf, int header_type, bool has_metadata) {
  uint8_t metadata_bytes = has_metadata ? 4 : 0;
  const uint8_t sizes[] = {2, 1, 4, 8, metadata_bytes};
  int64_t message = flatbuf_table(flatbuf, sizes, 5);
  flatbuf_set(flatbuf, message, MESSAGE_VERSION, IPC_METADATA_V5, 2);
  flatbuf_set(flatbuf, message, MESSAGE_HEADER_TYPE, header_type, 1);
  return message;
}

/* ---- types ------------------------------------------------------------------------- */

/* A table of numbers: every type is one, but for a time zone and a union's type ids. */
struct type_table {
  enum type_number id;
  int count;
  uint8_t sizes[3];
  int64_t values[3];
};

static struct type_table no_values(enum type_number id) { return (struct type_table){.id = id}; }

static struct type_table one_value(enum type_number id, uint8_t bytes, int64_t value) {
  return (struct type_table){.id = id, .count = 1, .sizes = {bytes}, .values = {value}};
}

static struct type_table integer(const struct arrow_type *type) {
  bool is_signed = type->kind == ARROW_INT8 || type->kind == ARROW_INT16 ||
                   type->kind == ARROW_INT32 || type->kind == ARROW_INT64;
  return (struct type_table){
      .id = TYPE_INT, .count = 2, .sizes = {4, 1}, .values = {type->bit_width, is_signed}};
}

static struct type_table time_of_day(const struct arrow_type *type) {
  return (struct type_table){.id = TYPE_TIME,
                             .count = 2,
                             .sizes = {2, 4},
                             .values = {(int64_t)type->unit, type->bit_width}};
}

static struct type_table decimal(const struct arrow_type *type) {
  return (struct type_table){.id = TYPE_DECIMAL,
                             .count = 3,
                             .sizes = {4, 4, 4},
                             .values = {type->precision, type->scale, type->bit_width}};
}

static struct type_table type_table(const struct arrow_type *type,
                                    const struct ArrowSchema *schema) {
  switch (type->kind) {
  case ARROW_NULL: return no_values(TYPE_NULL);
  case ARROW_BOOL: return no_values(TYPE_BOOL);
  case ARROW_FLOAT16: return one_value(TYPE_FLOATING_POINT, 2, 0);
  case ARROW_FLOAT32: return one_value(TYPE_FLOATING_POINT, 2, 1);
  case ARROW_FLOAT64: return one_value(TYPE_FLOATING_POINT, 2, 2);
  case ARROW_BINARY: return no_values(TYPE_BINARY);
  case ARROW_LARGE_BINARY: return no_values(TYPE_LARGE_BINARY);
  case ARROW_UTF8: return no_values(TYPE_UTF8);
  case ARROW_LARGE_UTF8: return no_values(TYPE_LARGE_UTF8);
  case ARROW_BINARY_VIEW: return no_values(TYPE_BINARY_VIEW);
  case ARROW_UTF8_VIEW: return no_values(TYPE_UTF8_VIEW);
  case ARROW_FIXED_SIZE_BINARY: return one_value(TYPE_FIXED_SIZE_BINARY, 4, type->fixed_size);
  case ARROW_DECIMAL: return decimal(type);
  case ARROW_DATE32: return one_value(TYPE_DATE, 2, 0);
  case ARROW_DATE64: return one_value(TYPE_DATE, 2, 1);
  case ARROW_TIME32:
  case ARROW_TIME64: return time_of_day(type);
  case ARROW_TIMESTAMP: return one_value(TYPE_TIMESTAMP, 2, (int64_t)type->unit);
  case ARROW_DURATION: return one_value(TYPE_DURATION, 2, (int64_t)type->unit);
  case ARROW_INTERVAL_MONTHS: return one_value(TYPE_INTERVAL, 2, 0);
  case ARROW_INTERVAL_DAY_TIME: return one_value(TYPE_INTERVAL, 2, 1);
  case ARROW_INTERVAL_MONTH_DAY_NANO: return one_value(TYPE_INTERVAL, 2, 2);
  case ARROW_LIST: return no_values(TYPE_LIST);
  case ARROW_LARGE_LIST: return no_values(TYPE_LARGE_LIST);
  case ARROW_FIXED_SIZE_LIST: return one_value(TYPE_FIXED_SIZE_LIST, 4, type->fixed_size);
  case ARROW_STRUCT: return no_values(TYPE_STRUCT);
  case ARROW_MAP: return one_value(TYPE_MAP, 1, (schema->flags & ARROW_FLAG_MAP_KEYS_SORTED) != 0);
  case ARROW_LIST_VIEW: return no_values(TYPE_LIST_VIEW);
  case ARROW_LARGE_LIST_VIEW: return no_values(TYPE_LARGE_LIST_VIEW);
  case ARROW_SPARSE_UNION: return one_value(TYPE_UNION, 2, UNION_SPARSE);
  case ARROW_DENSE_UNION: return one_value(TYPE_UNION, 2, UNION_DENSE);
  case ARROW_RUN_END_ENCODED: return no_values(TYPE_RUN_END_ENCODED);
  default: return integer(type);
  }
}

/* The type ids of a union's children, in their order. */
static int64_t write_type_ids(struct flatbuf *flatbuf, const struct layout *layout) {
  int64_t vector = flatbuf_vector(flatbuf, layout->child_count, 4, 4);
  for (int code = 0; code < UNION_CODES; code++)
    if (layout->child_of_code[code] >= 0)
      flatbuf_put32(flatbuf, flatbuf_element(vector, layout->child_of_code[code], 4), code);
  return vector;
}

static int64_t write_numbers(struct flatbuf *flatbuf, const struct type_table *table,
                             bool has_reference) {
  uint8_t sizes[FLATBUF_FIELDS_MAX] = {0};
  memcpy(sizes, table->sizes, sizeof table->sizes);
  if (has_reference) sizes[table->count] = 4;
  int64_t type = flatbuf_table(flatbuf, sizes, table->count + has_reference);
  for (int i = 0; i < table->count; i++) flatbuf_set(flatbuf, type, i, table->values[i], sizes[i]);
  return type;
}

static int64_t write_type(struct flatbuf *flatbuf, const struct layout *layout,
                          const struct type_table *table) {
  const char *zone = layout->type.timezone;
  bool has_zone = zone != NULL && zone[0] != '\0';
  bool is_union = layout_is_union(layout->type.kind);
  int64_t type = write_numbers(flatbuf, table, has_zone || is_union);
  if (has_zone)
    flatbuf_refer(flatbuf, type, 1, flatbuf_string(flatbuf, zone, (int64_t)strlen(zone)));
  if (is_union) flatbuf_refer(flatbuf, type, 1, write_type_ids(flatbuf, layout));
  return type;
}

/* ---- schemas ----------------------------------------------------------------------- */

/* The C data interface's metadata: a count, then keys and values, each behind its
 * length, all lengths 32 bits in the host's order. */
static int32_t metadata_count(const char *metadata) {
  int32_t count = 0;
  if (metadata != NULL) memcpy(&count, metadata, sizeof count);
  return count;
}

static const char *write_metadata_string(struct flatbuf *flatbuf, int64_t pair, int field,
                                         const char *metadata) {
  int32_t bytes;
  memcpy(&bytes, metadata, sizeof bytes);
  metadata += sizeof bytes;
  flatbuf_refer(flatbuf, pair, field, flatbuf_string(flatbuf, metadata, bytes));
  return metadata + bytes;
}

static int64_t write_metadata(struct flatbuf *flatbuf, const char *metadata) {
  int32_t count = metadata_count(metadata);
  metadata += sizeof count;
  int64_t vector = flatbuf_vector(flatbuf, count, 4, 4);
  for (int32_t i = 0; i < count; i++) {
    int64_t pair = flatbuf_table(flatbuf, key_value_sizes, 2);
    flatbuf_refer_element(flatbuf, vector, i, pair);
    metadata = write_metadata_string(flatbuf, pair, KEY_VALUE_KEY, metadata);
    metadata = write_metadata_string(flatbuf, pair, KEY_VALUE_VALUE, metadata);
  }
  return vector;
}

/* A dictionary's id is the number of its values' node: each field has its own. */
static int64_t write_dictionary_encoding(struct flatbuf *flatbuf, const struct layout *layout) {
  int64_t encoding = flatbuf_table(flatbuf, dictionary_encoding_sizes, 3);
  bool is_ordered = (layout->schema->flags & ARROW_FLAG_DICTIONARY_ORDERED) != 0;
  flatbuf_set(flatbuf, encoding, DICTIONARY_ENCODING_ID, layout->dictionary->index, 8);
  flatbuf_set(flatbuf, encoding, DICTIONARY_ENCODING_ORDERED, is_ordered, 1);
  struct type_table indices = integer(&layout->type);
  flatbuf_refer(flatbuf, encoding, DICTIONARY_ENCODING_INDEX,
                write_numbers(flatbuf, &indices, false));
  return encoding;
}

static int64_t write_fields(struct flatbuf *flatbuf, const struct layout *layout);

/* A dictionary-encoded field has the type and the children of its values. What the
 * values' schema says of metadata (an extension's name) stands for the field when it
 * says nothing itself: the format has one place for both. */
static int64_t write_field(struct flatbuf *flatbuf, const struct layout *layout) {
  const struct layout *values = layout->dictionary == NULL ? layout : layout->dictionary;
  const char *metadata = layout->schema->metadata;
  if (metadata_count(metadata) == 0) metadata = values->schema->metadata;
  bool has_metadata = metadata_count(metadata) > 0;
  uint8_t dictionary_bytes = layout->dictionary == NULL ? 0 : 4;
  uint8_t metadata_bytes = has_metadata ? 4 : 0;
  const uint8_t sizes[] = {4, 1, 1, 4, dictionary_bytes, 4, metadata_bytes};
  struct type_table type = type_table(&values->type, values->schema);
  const char *name = layout_name(layout);

  int64_t field = flatbuf_table(flatbuf, sizes, 7);
  flatbuf_set(flatbuf, field, FIELD_NULLABLE, (layout->schema->flags & ARROW_FLAG_NULLABLE) != 0,
              1);
  flatbuf_set(flatbuf, field, FIELD_TYPE_TYPE, (int64_t)type.id, 1);
  flatbuf_refer(flatbuf, field, FIELD_NAME, flatbuf_string(flatbuf, name, (int64_t)strlen(name)));
  flatbuf_refer(flatbuf, field, FIELD_TYPE, write_type(flatbuf, values, &type));
  if (layout->dictionary != NULL)
    flatbuf_refer(flatbuf, field, FIELD_DICTIONARY, write_dictionary_encoding(flatbuf, layout));
  flatbuf_refer(flatbuf, field, FIELD_CHILDREN, write_fields(flatbuf, values));
  if (has_metadata)
    flatbuf_refer(flatbuf, field, FIELD_METADATA, write_metadata(flatbuf, metadata));
  return field;
}

static int64_t write_fields(struct flatbuf *flatbuf, const struct layout *layout) {
  int64_t vector = flatbuf_vector(flatbuf, layout->child_count, 4, 4);
  for (int64_t i = 0; i < layout->child_count; i++)
    flatbuf_refer_element(flatbuf, vector, i, write_field(flatbuf, &layout->children[i]));
  return vector;
}

static int64_t write_schema(struct flatbuf *flatbuf, const struct layout *layout) {
  bool has_metadata = metadata_count(layout->schema->metadata) > 0;
  uint8_t metadata_bytes = has_metadata ? 4 : 0;
  const uint8_t sizes[] = {2, 4, metadata_bytes};
  int64_t schema = flatbuf_table(flatbuf, sizes, 3);
  flatbuf_set(flatbuf, schema, SCHEMA_ENDIANNESS, 0, 2); /* little */
  flatbuf_refer(flatbuf, schema, SCHEMA_FIELDS, write_fields(flatbuf, layout));
  if (has_metadata)
    flatbuf_refer(flatbuf, schema, SCHEMA_METADATA,
                  write_metadata(flatbuf, layout->schema->metadata));
  return schema;
}

void ipc_metadata_schema(struct flatbuf *flatbuf, struct budget *budget,
                         const struct layout *layout) {
  flatbuf_begin(flatbuf, budget);
  int64_t message = write_message(flatbuf, IPC_HEADER_SCHEMA, false);
  flatbuf_refer(flatbuf, message, MESSAGE_HEADER, write_schema(flatbuf, layout));
}

/* ---- footers ----------------------------------------------------------------------- */

static int64_t write_blocks(struct flatbuf *flatbuf, const struct ipc_file_block *blocks,
                            int64_t count) {
  int64_t vector = flatbuf_vector(flatbuf, count, IPC_FILE_BLOCK_BYTES, 8);
  for (int64_t i = 0; i < count; i++) {
    int64_t element = flatbuf_element(vector, i, IPC_FILE_BLOCK_BYTES);
    flatbuf_put64(flatbuf, element, blocks[i].offset_bytes);
    flatbuf_put64(flatbuf, element + 8, blocks[i].metadata_bytes); /* an int, and padding */
    flatbuf_put64(flatbuf, element + 16, blocks[i].body_bytes);
  }
  return vector;
}

void ipc_metadata_footer(struct flatbuf *flatbuf, struct budget *budget,
                         const struct layout *layout, const struct ipc_file_block *dictionaries,
                         int64_t dictionary_count, const struct ipc_file_block *batches,
                         int64_t batch_count) {
  static const uint8_t sizes[] = {2, 4, 4, 4};
  flatbuf_begin(flatbuf, budget);
  int64_t footer = flatbuf_table(flatbuf, sizes, 4);
  flatbuf_set(flatbuf, footer, FOOTER_VERSION, IPC_METADATA_V5, 2);
  flatbuf_refer(flatbuf, footer, FOOTER_SCHEMA, write_schema(flatbuf, layout));
  flatbuf_refer(flatbuf, footer, FOOTER_DICTIONARIES,
                write_blocks(flatbuf, dictionaries, dictionary_count));
  flatbuf_refer(flatbuf, footer, FOOTER_BATCHES, write_blocks(flatbuf, batches, batch_count));
}

/* ---- batches ----------------------------------------------------------------------- */

static int64_t write_compression(struct flatbuf *flatbuf, enum ipc_compression compression) {
  int64_t table = flatbuf_table(flatbuf, compression_sizes, 2);
  int64_t codec = compression == IPC_COMPRESSION_ZSTD ? CODEC_ZSTD : CODEC_LZ4_FRAME;
  flatbuf_set(flatbuf, table, COMPRESSION_CODEC, codec, 1);
  flatbuf_set(flatbuf, table, COMPRESSION_METHOD, 0, 1); /* buffer by buffer */
  return table;
}

static int64_t write_nodes(struct flatbuf *flatbuf, const struct ipc_plan *plan) {
  int64_t count = ipc_plan_node_count(plan);
  const struct ipc_node *nodes = (const struct ipc_node *)plan->nodes.data;
  int64_t vector = flatbuf_vector(flatbuf, count, NODE_STRUCT_BYTES, 8);
  for (int64_t i = 0; i < count; i++) {
    int64_t element = flatbuf_element(vector, i, NODE_STRUCT_BYTES);
    flatbuf_put64(flatbuf, element, nodes[i].length);
    flatbuf_put64(flatbuf, element + 8, nodes[i].null_count);
  }
  return vector;
}

static int64_t write_variadic(struct flatbuf *flatbuf, const struct ipc_plan *plan) {
  int64_t count = ipc_plan_variadic_count(plan);
  const int64_t *counts = (const int64_t *)plan->variadic.data;
  int64_t vector = flatbuf_vector(flatbuf, count, 8, 8);
  for (int64_t i = 0; i < count; i++)
    flatbuf_put64(flatbuf, flatbuf_element(vector, i, 8), counts[i]);
  return vector;
}

/* The record batch; `*buffers` is the first element of its vector of buffers. */
static int64_t write_batch(struct flatbuf *flatbuf, const struct ipc_plan *plan,
                           enum ipc_compression compression, int64_t *buffers) {
  bool is_compressed = compression != IPC_COMPRESSION_NONE;
  bool has_variadic = ipc_plan_variadic_count(plan) > 0;
  uint8_t compression_bytes = is_compressed ? 4 : 0;
  uint8_t variadic_bytes = has_variadic ? 4 : 0;
  const uint8_t sizes[] = {8, 4, 4, compression_bytes, variadic_bytes};
  int64_t batch = flatbuf_table(flatbuf, sizes, 5);
  flatbuf_set(flatbuf, batch, BATCH_LENGTH, plan->length, 8);
  flatbuf_refer(flatbuf, batch, BATCH_NODES, write_nodes(flatbuf, plan));
  int64_t vector = flatbuf_vector(flatbuf, ipc_plan_piece_count(plan), BUFFER_STRUCT_BYTES, 8);
  flatbuf_refer(flatbuf, batch, BATCH_BUFFERS, vector);
  if (is_compressed)
    flatbuf_refer(flatbuf, batch, BATCH_COMPRESSION, write_compression(flatbuf, compression));
  if (has_variadic) flatbuf_refer(flatbuf, batch, BATCH_VARIADIC, write_variadic(flatbuf, plan));
  *buffers = flatbuf_element(vector, 0, BUFFER_STRUCT_BYTES);
  return batch;
}

static int64_t write_dictionary(struct flatbuf *flatbuf, const struct ipc_plan *plan,
                                const struct ipc_batch_kind *kind, int64_t *buffers) {
  uint8_t delta_bytes = kind->is_delta ? 1 : 0;
  const uint8_t sizes[] = {8, 4, delta_bytes};
  int64_t dictionary = flatbuf_table(flatbuf, sizes, 3);
  flatbuf_set(flatbuf, dictionary, DICTIONARY_BATCH_ID, kind->dictionary_id, 8);
  if (kind->is_delta) flatbuf_set(flatbuf, dictionary, DICTIONARY_BATCH_IS_DELTA, 1, 1);
  flatbuf_refer(flatbuf, dictionary, DICTIONARY_BATCH_DATA,
                write_batch(flatbuf, plan, kind->compression, buffers));
  return dictionary;
}

struct ipc_batch_metadata ipc_metadata_batch(struct flatbuf *flatbuf, struct budget *budget,
                                             const struct ipc_plan *plan,
                                             const struct ipc_batch_kind *kind) {
  bool is_dictionary = kind->dictionary_id != IPC_NO_DICTIONARY;
  bool has_metadata = metadata_count(kind->metadata) > 0;
  struct ipc_batch_metadata positions = {0};
  flatbuf_begin(flatbuf, budget);
  int64_t message = write_message(flatbuf, is_dictionary ? IPC_HEADER_DICTIONARY : IPC_HEADER_BATCH,
                                  has_metadata);
  positions.body_length = flatbuf_position(flatbuf, message, MESSAGE_BODY_LENGTH);
  int64_t header = is_dictionary
                       ? write_dictionary(flatbuf, plan, kind, &positions.buffers)
                       : write_batch(flatbuf, plan, kind->compression, &positions.buffers);
  flatbuf_refer(flatbuf, message, MESSAGE_HEADER, header);
  if (has_metadata)
    flatbuf_refer(flatbuf, message, MESSAGE_METADATA, write_metadata(flatbuf, kind->metadata));
  return positions;
}

enum status ipc_metadata_size(const char *metadata, int64_t *bytes, struct error *error) {
  int32_t count = metadata_count(metadata);
  *bytes = sizeof count;
  for (int64_t i = 0; i < 2 * (int64_t)count; i++) { /* keys and values */
    int32_t length;
    memcpy(&length, metadata + *bytes, sizeof length);
    if (length < 0)
      return error_set(error, STATUS_INVALID, "custom metadata has a string of %d bytes",
                       (int)length);
    *bytes += (int64_t)sizeof length + length;
  }
  if (count >= 0) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "custom metadata has %d pairs", (int)count);
}
