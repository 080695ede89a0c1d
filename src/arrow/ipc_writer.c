/* Writing the IPC streaming and file formats (version V5, little-endian).
 *
 * A batch is planned (ipc_plan.h), its metadata is written with the places of its
 * buffers left open, the output is reserved for the whole message, and the body is
 * laid into it (ipc_writer_body.h); then the open places are filled in. Every body begins
 * and ends at a multiple of 64 bytes from the start of the stream or file, so that where
 * it is stored or mapped the buffers are aligned too.
 *
 * A file is a stream behind a magic and in front of a footer, for which the writer
 * remembers where it has placed the messages.
 *
 * Invariant: a call that fails leaves the output as it was, and what the writer knows of
 * it too, so that it may be repeated. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/compress.h"
#include "arrow/ipc_file.h"
#include "arrow/ipc_metadata.h"
#include "arrow/ipc_writer.h"

enum { PREFIX_BYTES = 8 };

static const uint8_t continuation[4] = {0xFF, 0xFF, 0xFF, 0xFF};

/* What a failing call has to undo. */
struct mark {
  int64_t out_bytes;
  int64_t position_bytes;
  int64_t block_bytes[BLOCK_LISTS];
};

/* ---- making and freeing ------------------------------------------------------------ */

/* A field of the format has one dictionary; that its values are indices too cannot be said. */
static enum status check_writable(const struct layout *layout, struct error *error) {
  enum status status = STATUS_OK;
  if (layout->dictionary != NULL && layout->dictionary->dictionary != NULL)
    return error_set(error, STATUS_UNSUPPORTED,
                     "column \"%s\" has a dictionary whose values have a dictionary, which the "
                     "Arrow IPC format cannot say",
                     layout_name(layout));
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++)
    status = check_writable(&layout->children[i], error);
  return layout->dictionary == NULL || status != STATUS_OK
             ? status
             : check_writable(layout->dictionary, error);
}

static enum status writer_init(struct ipc_writer *writer, const struct ArrowSchema *schema,
                               const struct ipc_writer_options *options, struct error *error) {
  int64_t node_count = 0;
  bool is_file = options->format == IPC_FORMAT_FILE;
  struct ipc_dictionary_rules rules = {.deltas = is_file || options->dictionary_deltas,
                                       .no_replacements = is_file};
  writer->format = options->format;
  writer->compression = options->compression;
  writer->body.workers = options->workers;
  enum status status = arrow_schema_copy(schema, &writer->schema, error);
  if (status == STATUS_OK)
    status = layout_new(&writer->schema, NULL, &writer->layout, &node_count, error);
  if (status == STATUS_OK) status = check_writable(writer->layout, error);
  if (status == STATUS_OK && options->compression != IPC_COMPRESSION_NONE)
    status = compressor_new(options, writer->budget, &writer->body.compressor, error);
  if (status == STATUS_OK)
    status = ipc_dictionaries_new(writer->layout, node_count, &rules, writer->budget,
                                  &writer->dictionaries, error);
  return status;
}

enum status ipc_writer_new(const struct ArrowSchema *schema,
                           const struct ipc_writer_options *options, struct budget *budget,
                           struct ipc_writer **writer, struct error *error) {
  static const struct ipc_writer_options plain = {.compression = IPC_COMPRESSION_NONE};
  *writer = NULL;
  struct ipc_writer *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a stream");
  made->budget = made->plan.budget = made->body.budget = budget;
  enum status status = writer_init(made, schema, options == NULL ? &plain : options, error);
  if (status == STATUS_OK)
    *writer = made;
  else
    ipc_writer_free(made);
  return status;
}

void ipc_writer_free(struct ipc_writer *writer) {
  if (writer == NULL) return;
  ipc_dictionaries_free(writer->dictionaries);
  layout_free(writer->layout);
  arrow_schema_release(&writer->schema);
  ipc_plan_release(&writer->plan);
  ipc_body_maker_release(&writer->body);
  buffer_release(&writer->flatbuf.bytes);
  buffer_release(&writer->metadata);
  for (int i = 0; i < BLOCK_LISTS; i++) buffer_release(&writer->blocks[i]);
  free(writer);
}

/* ---- output ------------------------------------------------------------------------ */

static struct mark set_mark(const struct ipc_writer *writer, const struct buffer *out) {
  struct mark mark = {.out_bytes = out->size_bytes, .position_bytes = writer->position_bytes};
  for (int i = 0; i < BLOCK_LISTS; i++) mark.block_bytes[i] = writer->blocks[i].size_bytes;
  return mark;
}

static void go_back(struct ipc_writer *writer, const struct mark *mark, struct buffer *out) {
  out->size_bytes = mark->out_bytes;
  writer->position_bytes = mark->position_bytes;
  for (int i = 0; i < BLOCK_LISTS; i++) writer->blocks[i].size_bytes = mark->block_bytes[i];
}

/* Room for `bytes` more: as many as that, unless there is something to append to,
 * which is then doubled so that many small messages are not copied again and again. */
static enum status reserve_more(struct ipc_writer *writer, struct buffer *out, int64_t bytes,
                                struct error *error) {
  int64_t needed_bytes = out->size_bytes + bytes;
  if (needed_bytes <= out->capacity_bytes) return STATUS_OK;
  int64_t doubled_bytes = out->size_bytes == 0 ? 0 : 2 * out->capacity_bytes;
  if (doubled_bytes > needed_bytes &&
      buffer_reserve(out, writer->budget, doubled_bytes, NULL) == STATUS_OK)
    return STATUS_OK;
  return buffer_reserve(out, writer->budget, needed_bytes, error);
}

/* Appends what there is room for. */
static void append(struct ipc_writer *writer, struct buffer *out, const void *data, int64_t bytes) {
  memcpy(out->data + out->size_bytes, data, (size_t)bytes);
  out->size_bytes += bytes;
  writer->position_bytes += bytes;
}

static void append_zeros(struct ipc_writer *writer, struct buffer *out, int64_t bytes) {
  memset(out->data + out->size_bytes, 0, (size_t)bytes);
  out->size_bytes += bytes;
  writer->position_bytes += bytes;
}

/* ---- messages ---------------------------------------------------------------------- */

/* Bytes of prefix and metadata, so padded that the body begins where it should. */
static int64_t head_bytes(const struct ipc_writer *writer, int64_t position_bytes) {
  int64_t end_bytes = position_bytes + PREFIX_BYTES + writer->flatbuf.bytes.size_bytes;
  return ipc_body_round_up(end_bytes) - position_bytes;
}

/* Appends prefix and metadata, for which there is room. */
static void append_head(struct ipc_writer *writer, struct buffer *out) {
  int64_t bytes = head_bytes(writer, writer->position_bytes);
  int32_t metadata_bytes = (int32_t)(bytes - PREFIX_BYTES);
  int64_t flatbuf_bytes = writer->flatbuf.bytes.size_bytes;
  append(writer, out, continuation, sizeof continuation);
  append(writer, out, &metadata_bytes, sizeof metadata_bytes);
  append(writer, out, writer->flatbuf.bytes.data, flatbuf_bytes);
  append_zeros(writer, out, metadata_bytes - flatbuf_bytes);
}

static enum status add_block(struct ipc_writer *writer, int list, int64_t offset_bytes,
                             int64_t metadata_bytes, struct error *error) {
  if (writer->format != IPC_FORMAT_FILE) return STATUS_OK;
  struct ipc_file_block block = {
      .offset_bytes = offset_bytes,
      .metadata_bytes = metadata_bytes,
      .body_bytes = writer->position_bytes - offset_bytes - metadata_bytes,
  };
  return buffer_append(&writer->blocks[list], writer->budget, &block, sizeof block, error);
}

/* Appends what was planned: as a batch, or as a dictionary's values. */
static enum status append_planned(struct ipc_writer *writer, const struct ipc_batch_kind *kind,
                                  struct buffer *out, struct error *error) {
  struct ipc_batch_metadata positions =
      ipc_metadata_batch(&writer->flatbuf, writer->budget, &writer->plan, kind);
  int64_t start_bytes = writer->position_bytes;
  int64_t room_bytes = 0;
  int64_t body_bytes = 0;
  enum status status = flatbuf_status(&writer->flatbuf, error);
  if (status == STATUS_OK)
    status = ipc_body_prepare(&writer->body, &writer->plan, &room_bytes, error);
  int64_t metadata_bytes = head_bytes(writer, start_bytes);
  if (status == STATUS_OK) status = reserve_more(writer, out, metadata_bytes + room_bytes, error);
  if (status != STATUS_OK) return status;
  uint8_t *metadata = out->data + out->size_bytes + PREFIX_BYTES;
  append_head(writer, out);
  status = ipc_body_make(&writer->body, &writer->plan, metadata + positions.buffers,
                         out->data + out->size_bytes, &body_bytes, error);
  if (status != STATUS_OK) return status;
  memcpy(metadata + positions.body_length, &body_bytes, sizeof body_bytes);
  out->size_bytes += body_bytes;
  writer->position_bytes += body_bytes;
  return add_block(writer,
                   kind->dictionary_id == IPC_NO_DICTIONARY ? BATCH_BLOCKS : DICTIONARY_BLOCKS,
                   start_bytes, metadata_bytes, error);
}

struct sending {
  struct ipc_writer *writer;
  struct buffer *out;
};

static enum status send_dictionary(void *context, int64_t id, bool is_delta, struct error *error) {
  const struct sending *sending = context;
  struct ipc_batch_kind kind = {
      .compression = sending->writer->compression, .dictionary_id = id, .is_delta = is_delta};
  return append_planned(sending->writer, &kind, sending->out, error);
}

static enum status append_batch(struct ipc_writer *writer, const struct ArrowArray *batch,
                                struct buffer *out, struct error *error) {
  struct sending sending = {writer, out};
  struct ipc_batch_kind kind = {.compression = writer->compression,
                                .dictionary_id = IPC_NO_DICTIONARY,
                                .metadata = (const char *)writer->metadata.data};
  enum status status = STATUS_OK;
  if (writer->dictionaries != NULL)
    status = ipc_dictionaries_update(writer->dictionaries, batch, &writer->plan, send_dictionary,
                                     &sending, error);
  if (status == STATUS_OK) status = ipc_plan_batch(&writer->plan, writer->layout, batch, error);
  return status == STATUS_OK ? append_planned(writer, &kind, out, error) : status;
}

/* ---- the stream -------------------------------------------------------------------- */

enum status ipc_writer_schema(struct ipc_writer *writer, struct buffer *out, struct error *error) {
  if (writer->has_schema)
    return error_set(error, STATUS_INTERNAL, "a stream's schema is written once");
  int64_t magic_bytes = writer->format == IPC_FORMAT_FILE ? IPC_FILE_HEAD_BYTES : 0;
  ipc_metadata_schema(&writer->flatbuf, writer->budget, writer->layout);
  enum status status = flatbuf_status(&writer->flatbuf, error);
  if (status == STATUS_OK)
    status = reserve_more(writer, out, magic_bytes + head_bytes(writer, magic_bytes), error);
  if (status != STATUS_OK) return status;
  append(writer, out, IPC_FILE_MAGIC, magic_bytes);
  append_head(writer, out);
  writer->has_schema = true;
  return STATUS_OK;
}

enum status ipc_writer_batch(struct ipc_writer *writer, const struct ArrowArray *batch,
                             struct buffer *out, struct error *error) {
  if (!writer->has_schema)
    return error_set(error, STATUS_INTERNAL, "a stream's schema is written before its batches");
  struct mark mark = set_mark(writer, out);
  enum status status = append_batch(writer, batch, out, error);
  if (status == STATUS_OK)
    buffer_release(&writer->metadata);
  else
    go_back(writer, &mark, out);
  if (writer->dictionaries != NULL)
    ipc_dictionaries_settle(writer->dictionaries, status == STATUS_OK);
  return status;
}

enum status ipc_writer_metadata(struct ipc_writer *writer, const char *metadata,
                                struct error *error) {
  struct buffer copy = BUFFER_EMPTY;
  int64_t bytes = 0;
  enum status status = STATUS_OK;
  if (metadata != NULL) {
    status = ipc_metadata_size(metadata, &bytes, error);
    if (status == STATUS_OK) status = buffer_append(&copy, writer->budget, metadata, bytes, error);
  }
  if (status != STATUS_OK) return status;
  buffer_release(&writer->metadata);
  writer->metadata = copy;
  return STATUS_OK;
}

/* ---- the end ------------------------------------------------------------------------- */

static int64_t block_count(const struct ipc_writer *writer, int list) {
  return writer->blocks[list].size_bytes / (int64_t)sizeof(struct ipc_file_block);
}

static const struct ipc_file_block *blocks(const struct ipc_writer *writer, int list) {
  return (const struct ipc_file_block *)writer->blocks[list].data;
}

enum status ipc_writer_end(struct ipc_writer *writer, struct buffer *out, struct error *error) {
  static const uint8_t zero[4] = {0};
  bool is_file = writer->format == IPC_FORMAT_FILE;
  if (is_file && !writer->has_schema)
    return error_set(error, STATUS_INTERNAL, "a file's schema is written before its end");
  int64_t footer_bytes = 0;
  enum status status = STATUS_OK;
  if (is_file) {
    ipc_metadata_footer(&writer->flatbuf, writer->budget, writer->layout,
                        blocks(writer, DICTIONARY_BLOCKS), block_count(writer, DICTIONARY_BLOCKS),
                        blocks(writer, BATCH_BLOCKS), block_count(writer, BATCH_BLOCKS));
    status = flatbuf_status(&writer->flatbuf, error);
    footer_bytes = writer->flatbuf.bytes.size_bytes + IPC_FILE_TAIL_BYTES;
  }
  if (status == STATUS_OK) status = reserve_more(writer, out, PREFIX_BYTES + footer_bytes, error);
  if (status != STATUS_OK) return status;
  append(writer, out, continuation, sizeof continuation);
  append(writer, out, zero, sizeof zero);
  if (is_file) {
    int32_t flatbuf_bytes = (int32_t)writer->flatbuf.bytes.size_bytes;
    append(writer, out, writer->flatbuf.bytes.data, flatbuf_bytes);
    append(writer, out, &flatbuf_bytes, sizeof flatbuf_bytes);
    append(writer, out, IPC_FILE_MAGIC, IPC_FILE_MAGIC_BYTES);
  }
  return STATUS_OK;
}
