/* The IPC file format's footer (File.fbs): magic, messages, footer, its length, magic. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/flatbuf_read.h"
#include "arrow/ipc.h"

enum { FOOTER_VERSION, FOOTER_SCHEMA, FOOTER_DICTIONARIES, FOOTER_BATCHES };
enum { MAGIC_BYTES = 6, HEAD_BYTES = 8, TAIL_BYTES = 4 + MAGIC_BYTES, BLOCK_STRUCT_BYTES = 24 };

static const char magic[MAGIC_BYTES] = {'A', 'R', 'R', 'O', 'W', '1'};

bool ipc_file_magic(const uint8_t *data, int64_t bytes) {
  return bytes >= MAGIC_BYTES && memcmp(data, magic, MAGIC_BYTES) == 0;
}

/* Where the footer's flatbuffer lies. */
static enum status find_footer(const uint8_t *data, int64_t bytes, int64_t *footer_bytes,
                               struct error *error) {
  if (!ipc_file_magic(data, bytes))
    return error_set(error, STATUS_INVALID,
                     "this is not an Arrow file: it does not begin with ARROW1");
  if (bytes < HEAD_BYTES + TAIL_BYTES ||
      memcmp(data + bytes - MAGIC_BYTES, magic, MAGIC_BYTES) != 0)
    return error_set(error, STATUS_INVALID,
                     "the Arrow file is truncated: its %" PRId64 " bytes do not end with ARROW1",
                     bytes);
  const uint8_t *at = data + bytes - TAIL_BYTES;
  *footer_bytes =
      (int64_t)at[0] | (int64_t)at[1] << 8 | (int64_t)at[2] << 16 | (int64_t)at[3] << 24;
  if (*footer_bytes > bytes - HEAD_BYTES - TAIL_BYTES)
    return error_set(error, STATUS_INVALID,
                     "the footer at the end of the Arrow file says it has %" PRId64
                     " bytes; the file has %" PRId64,
                     *footer_bytes, bytes);
  return STATUS_OK;
}

static enum status read_blocks(const struct fb_table *footer, int field, int64_t file_bytes,
                               const struct ipc_limits *limits, struct ipc_file_block **blocks,
                               int64_t *count, struct error *error) {
  struct fb_vector vector;
  enum status status = fb_vector_field(footer, field, BLOCK_STRUCT_BYTES, &vector, error);
  if (status != STATUS_OK || vector.count == 0) return status;
  *blocks = calloc((size_t)vector.count, sizeof **blocks);
  if (*blocks == NULL) return error_set(error, STATUS_NOMEM, "no memory for a file's footer");
  for (int64_t i = 0; i < vector.count; i++) {
    struct ipc_file_block *block = &(*blocks)[i];
    block->offset_bytes = fb_vector_int64(&vector, i, BLOCK_STRUCT_BYTES, 0);
    /* An int, and four bytes of padding whose content means nothing. */
    block->metadata_bytes = (int32_t)fb_vector_int64(&vector, i, BLOCK_STRUCT_BYTES, 8);
    block->body_bytes = fb_vector_int64(&vector, i, BLOCK_STRUCT_BYTES, 16);
    if (block->offset_bytes < HEAD_BYTES || block->metadata_bytes < HEAD_BYTES ||
        block->body_bytes < 0 || block->offset_bytes > file_bytes ||
        block->metadata_bytes > file_bytes - block->offset_bytes ||
        block->body_bytes > file_bytes - block->offset_bytes - block->metadata_bytes)
      return error_set(error, STATUS_INVALID,
                       "the footer places a message at byte %" PRId64
                       ", outside the file of %" PRId64 " bytes",
                       block->offset_bytes, file_bytes);
    if (block->metadata_bytes > limits->metadata_bytes_max ||
        block->body_bytes > limits->body_bytes_max)
      return error_set(error, STATUS_TOO_LARGE,
                       "the message at byte %" PRId64 " is larger than the limits allow",
                       block->offset_bytes);
    *count = i + 1;
  }
  return STATUS_OK;
}

enum status ipc_file_open(const uint8_t *data, int64_t bytes, const struct ipc_limits *limits,
                          struct ipc_file *file, struct error *error) {
  *file = (struct ipc_file){.batches = NULL};
  int64_t footer_bytes = 0;
  struct fb_table footer;
  enum status status = find_footer(data, bytes, &footer_bytes, error);
  if (status == STATUS_OK)
    status = fb_root(data + bytes - TAIL_BYTES - footer_bytes, footer_bytes, &footer, error);
  if (status == STATUS_OK)
    status = read_blocks(&footer, FOOTER_DICTIONARIES, bytes, limits, &file->dictionaries,
                         &file->dictionary_count, error);
  if (status == STATUS_OK)
    status = read_blocks(&footer, FOOTER_BATCHES, bytes, limits, &file->batches, &file->batch_count,
                         error);
  if (status != STATUS_OK) ipc_file_release(file);
  return status;
}

void ipc_file_release(struct ipc_file *file) {
  free(file->dictionaries);
  free(file->batches);
  *file = (struct ipc_file){.batches = NULL};
}
