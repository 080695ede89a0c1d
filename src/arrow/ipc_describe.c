#include "arrow/ipc_describe.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/flatbuf_read.h"
#include "arrow/ipc_body.h"
#include "arrow/ipc_file.h"
#include "arrow/ipc_header.h"
#include "arrow/ipc_numbers.h"
#include "arrow/ipc_pairs.h"
#include "arrow/ipc_schema.h"

enum {
  LENGTH_PREFIX_BYTES = 8, /* before each compressed buffer */
  ALIGNMENT_BYTES_MAX = 64,
};

/* ---- schemas --------------------------------------------------------------------------- */

static enum status describe_schema(const struct ipc_header *header,
                                   struct ipc_description *description, struct error *error) {
  struct ipc_dictionary_ids ids = {.ids = NULL};
  enum status status =
      ipc_schema_read(header, &description->schema, &ids, &description->big_endian, error);
  if (status == STATUS_OK) {
    description->dictionary_ids = ids.ids;
    description->dictionary_count = ids.count;
  } else {
    free(ids.ids);
  }
  return status;
}

/* ---- bodies ---------------------------------------------------------------------------- */

/* What a compressed buffer says of its size. -1: it did not shrink and came as it is. */
static enum status read_expanded(const uint8_t *data, int64_t index,
                                 struct ipc_buffer_description *buffer, struct error *error) {
  if (buffer->size_bytes < LENGTH_PREFIX_BYTES)
    return error_set(error, STATUS_INVALID,
                     "buffer %" PRId64 ", %" PRId64
                     " bytes of a compressed body, is too short for its length",
                     index, buffer->size_bytes);
  uint64_t announced = 0;
  for (int i = 0; i < LENGTH_PREFIX_BYTES; i++) announced |= (uint64_t)data[i] << (8 * i);
  int64_t expanded_bytes = (int64_t)announced;
  if (expanded_bytes < -1)
    return error_set(error, STATUS_INVALID,
                     "buffer %" PRId64 " says it has %" PRId64 " bytes before compression", index,
                     expanded_bytes);
  buffer->compressed = expanded_bytes >= 0;
  buffer->expanded_bytes =
      buffer->compressed ? expanded_bytes : buffer->size_bytes - LENGTH_PREFIX_BYTES;
  return STATUS_OK;
}

static enum status describe_buffer(const struct fb_vector *vector, int64_t index,
                                   const struct buffer *body, const struct ipc_limits *limits,
                                   struct ipc_description *description, struct error *error) {
  struct ipc_buffer_description *buffer = &description->buffers[index];
  buffer->offset_bytes = fb_vector_int64(vector, index, BUFFER_STRUCT_BYTES, 0);
  buffer->size_bytes = fb_vector_int64(vector, index, BUFFER_STRUCT_BYTES, 8);
  if (buffer->offset_bytes < 0 || buffer->size_bytes < 0 ||
      buffer->offset_bytes > body->size_bytes ||
      buffer->size_bytes > body->size_bytes - buffer->offset_bytes)
    return error_set(error, STATUS_INVALID,
                     "buffer %" PRId64 " (%" PRId64 " bytes from byte %" PRId64
                     ") lies outside the body of %" PRId64 " bytes",
                     index, buffer->size_bytes, buffer->offset_bytes, body->size_bytes);
  buffer->expanded_bytes = buffer->size_bytes;
  if (buffer->size_bytes > 0 && description->compression != IPC_COMPRESSION_NONE) {
    enum status status = read_expanded(body->data + buffer->offset_bytes, index, buffer, error);
    if (status != STATUS_OK) return status;
  }
  if (buffer->compressed &&
      buffer->expanded_bytes > limits->decoded_bytes_max - description->expanded_bytes)
    return error_set(error, STATUS_TOO_LARGE,
                     "the batch expands to more than %" PRId64 " bytes; send smaller batches",
                     limits->decoded_bytes_max);
  /* Buffers may overlap: a sum that runs over is none of a batch that can be read. */
  if (__builtin_add_overflow(description->buffer_bytes, buffer->size_bytes,
                             &description->buffer_bytes) ||
      __builtin_add_overflow(description->expanded_bytes, buffer->expanded_bytes,
                             &description->expanded_bytes))
    return error_set(error, STATUS_INVALID, "its buffers have more bytes than can be counted");
  if (buffer->size_bytes > 0)
    while (buffer->offset_bytes % description->alignment_bytes != 0)
      description->alignment_bytes /= 2;
  return STATUS_OK;
}

static enum status describe_buffers(const struct fb_table *batch, const struct buffer *body,
                                    const struct ipc_limits *limits,
                                    struct ipc_description *description, struct error *error) {
  struct fb_vector vector;
  enum status status = fb_vector_field(batch, BATCH_BUFFERS, BUFFER_STRUCT_BYTES, &vector, error);
  if (status == STATUS_OK) status = ipc_body_compression(batch, &description->compression, error);
  description->alignment_bytes = ALIGNMENT_BYTES_MAX;
  if (status != STATUS_OK || vector.count == 0) return status;
  description->buffers = calloc((size_t)vector.count, sizeof description->buffers[0]);
  if (description->buffers == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for a description");
  for (int64_t i = 0; i < vector.count && status == STATUS_OK; i++) {
    status = describe_buffer(&vector, i, body, limits, description, error);
    if (status == STATUS_OK) description->buffer_count = i + 1;
  }
  return status;
}

static enum status describe_batch(const struct fb_table *batch, const struct buffer *body,
                                  const struct ipc_limits *limits,
                                  struct ipc_description *description, struct error *error) {
  struct fb_vector nodes;
  enum status status = fb_integer_field(batch, BATCH_LENGTH, 8, 0, &description->rows, error);
  if (status == STATUS_OK)
    status = fb_vector_field(batch, BATCH_NODES, NODE_STRUCT_BYTES, &nodes, error);
  if (status != STATUS_OK) return status;
  description->node_count = nodes.count;
  if (description->rows < 0) {
    int64_t rows = description->rows;
    description->rows = 0;
    return error_set(error, STATUS_INVALID, "the batch says it has %" PRId64 " rows", rows);
  }
  return describe_buffers(batch, body, limits, description, error);
}

static enum status describe_dictionary(const struct fb_table *dictionary, const struct buffer *body,
                                       const struct ipc_limits *limits,
                                       struct ipc_description *description, struct error *error) {
  struct fb_table data;
  bool has_data = false;
  int64_t is_delta = 0;
  enum status status =
      fb_integer_field(dictionary, DICTIONARY_BATCH_ID, 8, 0, &description->dictionary_id, error);
  if (status == STATUS_OK)
    status = fb_integer_field(dictionary, DICTIONARY_BATCH_IS_DELTA, 1, 0, &is_delta, error);
  if (status == STATUS_OK)
    status = fb_table_field(dictionary, DICTIONARY_BATCH_DATA, &data, &has_data, error);
  if (status != STATUS_OK) return status;
  description->is_delta = is_delta != 0;
  if (!has_data)
    return error_set(error, STATUS_INVALID, "dictionary %" PRId64 " has no values",
                     description->dictionary_id);
  return describe_batch(&data, body, limits, description, error);
}

/* ---- messages -------------------------------------------------------------------------- */

static enum status describe(const struct ipc_message *message, const struct ipc_limits *limits,
                            struct ipc_description *description, struct error *error) {
  static const enum ipc_message_kind kinds[] = {
      [IPC_HEADER_SCHEMA] = IPC_MESSAGE_SCHEMA,
      [IPC_HEADER_DICTIONARY] = IPC_MESSAGE_DICTIONARY,
      [IPC_HEADER_BATCH] = IPC_MESSAGE_BATCH,
  };
  struct ipc_header header;
  enum status status = ipc_header_read(&message->metadata, &header, error);
  if (status != STATUS_OK) return status;
  description->kind = kinds[header.type];
  description->version = header.version + 1;
  if (header.body_bytes > message->body.size_bytes)
    return error_set(error, STATUS_INVALID, "its body has %" PRId64 " bytes and says %" PRId64,
                     message->body.size_bytes, header.body_bytes);
  struct ipc_copies copies = ipc_copies_of(&header.message);
  status =
      ipc_pairs_read(&header.message, MESSAGE_METADATA, &copies, &description->metadata, error);
  if (status != STATUS_OK) return status;
  if (header.type == IPC_HEADER_SCHEMA) return describe_schema(&header, description, error);
  if (header.type == IPC_HEADER_DICTIONARY)
    return describe_dictionary(&header.table, &message->body, limits, description, error);
  return describe_batch(&header.table, &message->body, limits, description, error);
}

enum status ipc_describe(const struct ipc_message *message, const struct ipc_limits *limits,
                         struct ipc_description *description, struct error *error) {
  *description = (struct ipc_description){
      .metadata_bytes = message->metadata.size_bytes,
      .body_bytes = message->body.size_bytes,
      .alignment_bytes = ALIGNMENT_BYTES_MAX,
  };
  enum status status = describe(message, limits, description, error);
  if (status != STATUS_OK) error_at(error, "the message at byte %" PRId64, message->offset_bytes);
  return status;
}

void ipc_description_release(struct ipc_description *description) {
  if (description->schema.release != NULL) arrow_schema_release(&description->schema);
  free(description->metadata);
  free(description->dictionary_ids);
  free(description->buffers);
  *description = (struct ipc_description){.kind = IPC_MESSAGE_UNKNOWN};
}

/* ---- footers --------------------------------------------------------------------------- */

static enum status read_footer_schema(const struct fb_table *table,
                                      struct ipc_footer_description *footer, struct error *error) {
  struct ipc_dictionary_ids ids = {.ids = NULL};
  struct ipc_header header = {.type = IPC_HEADER_SCHEMA};
  bool present = false;
  enum status status = fb_table_field(table, FOOTER_SCHEMA, &header.table, &present, error);
  if (status == STATUS_OK && !present)
    status = error_set(error, STATUS_INVALID, "it has no schema");
  if (status == STATUS_OK)
    status = ipc_schema_read(&header, &footer->schema, &ids, &footer->big_endian, error);
  free(ids.ids);
  return status;
}

enum status ipc_describe_footer(const struct buffer *file, struct ipc_footer_description *footer,
                                struct error *error) {
  *footer = (struct ipc_footer_description){.version = 0};
  int64_t room_bytes = file->size_bytes - IPC_FILE_HEAD_BYTES - IPC_FILE_TAIL_BYTES;
  if (room_bytes < 0 ||
      !ipc_file_magic(file->data + file->size_bytes - IPC_FILE_MAGIC_BYTES, IPC_FILE_MAGIC_BYTES))
    return error_set(error, STATUS_INVALID, "the Arrow file has no footer");
  const uint8_t *at = file->data + file->size_bytes - IPC_FILE_TAIL_BYTES;
  uint32_t announced =
      (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
  if ((int64_t)announced > room_bytes)
    return error_set(error, STATUS_INVALID,
                     "the footer says it has %" PRIu32 " bytes; there is room for %" PRId64,
                     announced, room_bytes);
  footer->size_bytes = (int64_t)announced;
  footer->offset_bytes = file->size_bytes - IPC_FILE_TAIL_BYTES - footer->size_bytes;
  struct fb_table table;
  int64_t version = 0;
  enum status status =
      fb_root(file->data + footer->offset_bytes, footer->size_bytes, &table, error);
  if (status == STATUS_OK) status = fb_integer_field(&table, FOOTER_VERSION, 2, 0, &version, error);
  if (status == STATUS_OK) footer->version = (int)version + 1;
  if (status == STATUS_OK) status = read_footer_schema(&table, footer, error);
  if (status != STATUS_OK) error_at(error, "the footer at byte %" PRId64, footer->offset_bytes);
  return status;
}

void ipc_footer_description_release(struct ipc_footer_description *footer) {
  if (footer->schema.release != NULL) arrow_schema_release(&footer->schema);
  *footer = (struct ipc_footer_description){.version = 0};
}
