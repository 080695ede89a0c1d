/* Arrow files, read (File.fbs): magic, the messages of a stream, footer, its length, magic.
 *
 * The footer says where each message lies. Nothing is believed: a block lies between the
 * head and the footer, and the prefix at its start announces the metadata that the block
 * says. That the message is what its place asks for is the decoder's to tell. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/flatbuf_read.h"
#include "arrow/ipc.h"
#include "arrow/ipc_file.h"
#include "arrow/ipc_numbers.h"
#include "arrow/ipc_pairs.h"

bool ipc_file_magic(const uint8_t *data, int64_t bytes) {
  return bytes >= IPC_FILE_MAGIC_BYTES && memcmp(data, IPC_FILE_MAGIC, IPC_FILE_MAGIC_BYTES) == 0;
}

static int64_t read_uint32(const uint8_t *at) {
  return (int64_t)at[0] | (int64_t)at[1] << 8 | (int64_t)at[2] << 16 | (int64_t)at[3] << 24;
}

/* ---- the footer ---------------------------------------------------------------------- */

/* Where the footer's flatbuffer lies, behind all messages. */
static enum status find_footer(const uint8_t *data, int64_t bytes, int64_t *start_bytes,
                               int64_t *footer_bytes, struct error *error) {
  if (!ipc_file_magic(data, bytes))
    return error_set(error, STATUS_INVALID,
                     "this is not an Arrow file: it does not begin with ARROW1");
  if (bytes < IPC_FILE_HEAD_BYTES + IPC_FILE_TAIL_BYTES ||
      memcmp(data + bytes - IPC_FILE_MAGIC_BYTES, IPC_FILE_MAGIC, IPC_FILE_MAGIC_BYTES) != 0)
    return error_set(error, STATUS_INVALID,
                     "the Arrow file is truncated: its %" PRId64 " bytes do not end with ARROW1",
                     bytes);
  *footer_bytes = read_uint32(data + bytes - IPC_FILE_TAIL_BYTES);
  if (*footer_bytes > bytes - IPC_FILE_HEAD_BYTES - IPC_FILE_TAIL_BYTES)
    return error_set(error, STATUS_INVALID,
                     "the footer at the end of the Arrow file says it has %" PRId64
                     " bytes; the file has %" PRId64,
                     *footer_bytes, bytes);
  *start_bytes = bytes - IPC_FILE_TAIL_BYTES - *footer_bytes;
  return STATUS_OK;
}

/* Whether the block lies in [head, end); no sum of what was read can overflow. */
static bool is_inside(const struct ipc_file_block *block, int64_t end_bytes) {
  return block->offset_bytes >= IPC_FILE_HEAD_BYTES &&
         block->metadata_bytes >= IPC_FILE_HEAD_BYTES && block->body_bytes >= 0 &&
         block->offset_bytes <= end_bytes &&
         block->metadata_bytes <= end_bytes - block->offset_bytes &&
         block->body_bytes <= end_bytes - block->offset_bytes - block->metadata_bytes;
}

static enum status check_block(const struct ipc_file_block *block, int64_t end_bytes,
                               const struct ipc_limits *limits, struct error *error) {
  if (!is_inside(block, end_bytes))
    return error_set(error, STATUS_INVALID,
                     "the footer places a message of %" PRId64 " and %" PRId64
                     " bytes at byte %" PRId64 "; messages lie between byte %d and %" PRId64,
                     block->metadata_bytes, block->body_bytes, block->offset_bytes,
                     IPC_FILE_HEAD_BYTES, end_bytes);
  if (block->metadata_bytes - IPC_FILE_HEAD_BYTES > limits->metadata_bytes_max ||
      block->body_bytes > limits->body_bytes_max)
    return error_set(error, STATUS_TOO_LARGE,
                     "the message at byte %" PRId64 " has %" PRId64 " and %" PRId64
                     " bytes; at most %" PRId64 " of metadata and %" PRId64 " of body are taken",
                     block->offset_bytes, block->metadata_bytes, block->body_bytes,
                     limits->metadata_bytes_max, limits->body_bytes_max);
  return STATUS_OK;
}

static enum status read_blocks(const struct fb_table *footer, int field, int64_t end_bytes,
                               const struct ipc_limits *limits, struct ipc_file_block **blocks,
                               int64_t *count, struct error *error) {
  struct fb_vector vector;
  enum status status = fb_vector_field(footer, field, IPC_FILE_BLOCK_BYTES, &vector, error);
  if (status != STATUS_OK || vector.count == 0) return status;
  *blocks = calloc((size_t)vector.count, sizeof **blocks);
  if (*blocks == NULL) return error_set(error, STATUS_NOMEM, "no memory for a file's footer");
  for (int64_t i = 0; i < vector.count && status == STATUS_OK; i++) {
    struct ipc_file_block *block = &(*blocks)[i];
    block->offset_bytes = fb_vector_int64(&vector, i, IPC_FILE_BLOCK_BYTES, 0);
    /* An int, and four bytes of padding whose content means nothing. */
    block->metadata_bytes = (int32_t)fb_vector_int64(&vector, i, IPC_FILE_BLOCK_BYTES, 8);
    block->body_bytes = fb_vector_int64(&vector, i, IPC_FILE_BLOCK_BYTES, 16);
    status = check_block(block, end_bytes, limits, error);
    *count = i + 1;
  }
  return status;
}

static enum status read_metadata(const struct fb_table *footer, char **metadata,
                                 struct error *error) {
  struct ipc_copies copies = ipc_copies_of(footer);
  enum status status = ipc_pairs_read(footer, FOOTER_METADATA, &copies, metadata, error);
  if (status != STATUS_OK) error_at(error, "the footer");
  return status;
}

/* ---- messages ------------------------------------------------------------------------- */

/* The bytes before a message's flatbuffer: 8, or 4 before format 0.15. */
static int64_t prefix_bytes(const uint8_t *at) {
  static const uint8_t continuation[4] = {0xFF, 0xFF, 0xFF, 0xFF};
  return memcmp(at, continuation, sizeof continuation) == 0 ? 8 : 4;
}

/* What the prefix, of which 8 bytes are there, says that prefix and metadata have. */
static int64_t announced_bytes(const uint8_t *at) {
  int64_t prefix = prefix_bytes(at);
  return prefix + read_uint32(at + prefix - 4);
}

/* The schema follows the magic, and no block tells of it. */
static enum status find_schema(const uint8_t *data, int64_t end_bytes,
                               const struct ipc_limits *limits, struct ipc_file_block *block,
                               struct error *error) {
  if (end_bytes < IPC_FILE_HEAD_BYTES + (int64_t)IPC_FILE_HEAD_BYTES)
    return error_set(error, STATUS_INVALID, "the Arrow file has no schema behind its magic");
  *block = (struct ipc_file_block){.offset_bytes = IPC_FILE_HEAD_BYTES,
                                   .metadata_bytes = announced_bytes(data + IPC_FILE_HEAD_BYTES)};
  if (!is_inside(block, end_bytes))
    return error_set(error, STATUS_INVALID,
                     "the schema at byte %d says it has %" PRId64
                     " bytes; the file's messages end at byte %" PRId64,
                     IPC_FILE_HEAD_BYTES, block->metadata_bytes, end_bytes);
  return check_block(block, end_bytes, limits, error);
}

enum status ipc_file_message(const struct buffer *data, const struct ipc_file_block *block,
                             struct ipc_message *message, struct error *error) {
  *message = (struct ipc_message){.offset_bytes = block->offset_bytes};
  if (!is_inside(block, data->size_bytes))
    return error_set(error, STATUS_INVALID,
                     "the message at byte %" PRId64 " lies outside the %" PRId64 " bytes",
                     block->offset_bytes, data->size_bytes);
  const uint8_t *at = data->data + block->offset_bytes;
  if (announced_bytes(at) != block->metadata_bytes)
    return error_set(error, STATUS_INVALID,
                     "the message at byte %" PRId64 " has %" PRId64
                     " bytes of metadata; the footer says %" PRId64,
                     block->offset_bytes, announced_bytes(at), block->metadata_bytes);
  int64_t prefix = prefix_bytes(at);
  message->metadata =
      buffer_slice(data, block->offset_bytes + prefix, block->metadata_bytes - prefix);
  message->body =
      buffer_slice(data, block->offset_bytes + block->metadata_bytes, block->body_bytes);
  return STATUS_OK;
}

/* ---- the file --------------------------------------------------------------------------- */

enum status ipc_file_open(const uint8_t *data, int64_t bytes, const struct ipc_limits *limits,
                          struct ipc_file *file, struct error *error) {
  *file = (struct ipc_file){.batches = NULL};
  int64_t start_bytes = 0;
  int64_t footer_bytes = 0;
  struct fb_table footer;
  enum status status = find_footer(data, bytes, &start_bytes, &footer_bytes, error);
  if (status == STATUS_OK) status = fb_root(data + start_bytes, footer_bytes, &footer, error);
  if (status == STATUS_OK) status = find_schema(data, start_bytes, limits, &file->schema, error);
  if (status == STATUS_OK)
    status = read_blocks(&footer, FOOTER_DICTIONARIES, start_bytes, limits, &file->dictionaries,
                         &file->dictionary_count, error);
  if (status == STATUS_OK)
    status = read_blocks(&footer, FOOTER_BATCHES, start_bytes, limits, &file->batches,
                         &file->batch_count, error);
  if (status == STATUS_OK) status = read_metadata(&footer, &file->metadata, error);
  if (status != STATUS_OK) ipc_file_release(file);
  return status;
}

void ipc_file_release(struct ipc_file *file) {
  free(file->dictionaries);
  free(file->batches);
  free(file->metadata);
  *file = (struct ipc_file){.batches = NULL};
}
