/* Writing the IPC streaming format (version V5, little-endian).
 *
 * A batch is planned (ipc_plan.h), its metadata is written with the places of its
 * buffers left open, the output is reserved for the whole message, and the body is
 * laid into it; then the open places are filled in. Every message begins and ends at
 * a multiple of 64 bytes, so that in a stream that is stored or mapped the buffers
 * are aligned in the file too.
 *
 * Dictionaries: what was sent last is kept, byte for byte, and a dictionary is sent
 * again when what a batch brings is different. That an array lies where the last one
 * lay proves nothing: the batch that brought it may be gone and its memory used anew.
 *
 * Invariant: a call that fails leaves the output as it was, and the dictionaries that
 * it had written count as not sent, so that it may be repeated. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/compress.h"
#include "arrow/ipc.h"
#include "arrow/ipc_metadata.h"
#include "arrow/ipc_plan.h"
#include "arrow/layout.h"

enum { PREFIX_BYTES = 8, ALIGNMENT_BYTES = 64 };

static const uint32_t continuation = UINT32_MAX;

struct sent_dictionary {
  struct buffer content; /* see serialize */
  bool is_sent;
  bool is_new; /* sent by the call that is running */
};

struct ipc_writer {
  struct ArrowSchema schema;
  struct layout *layout;
  struct budget *budget;
  enum ipc_compression compression;
  struct compressor *compressor;        /* NULL without compression */
  struct sent_dictionary *dictionaries; /* by the index of their values' node; or NULL */
  int64_t node_count;
  bool has_schema; /* written */
  struct flatbuf flatbuf;
  struct ipc_plan plan;
  struct buffer scratch; /* pieces that are made before they are compressed */
  struct buffer fresh;   /* a dictionary as it would be sent */
};

static int64_t round_up(int64_t bytes) {
  return (bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
}

/* ---- making and freeing ------------------------------------------------------------ */

static bool has_dictionary(const struct layout *layout) {
  if (layout->dictionary != NULL) return true;
  for (int64_t i = 0; i < layout->child_count; i++)
    if (has_dictionary(&layout->children[i])) return true;
  return false;
}

static enum status writer_init(struct ipc_writer *writer, const struct ArrowSchema *schema,
                               const struct ipc_writer_options *options, struct error *error) {
  enum status status = arrow_schema_copy(schema, &writer->schema, error);
  if (status == STATUS_OK)
    status = layout_new(&writer->schema, "cannot be written as an Arrow stream yet",
                        &writer->layout, &writer->node_count, error);
  if (status == STATUS_OK && options != NULL && options->compression != IPC_COMPRESSION_NONE) {
    writer->compression = options->compression;
    status = compressor_new(options, &writer->compressor, error);
  }
  if (status == STATUS_OK && has_dictionary(writer->layout)) {
    writer->dictionaries = calloc((size_t)writer->node_count, sizeof *writer->dictionaries);
    if (writer->dictionaries == NULL)
      status = error_set(error, STATUS_NOMEM, "no memory for a stream's dictionaries");
  }
  return status;
}

enum status ipc_writer_new(const struct ArrowSchema *schema,
                           const struct ipc_writer_options *options, struct budget *budget,
                           struct ipc_writer **writer, struct error *error) {
  *writer = NULL;
  struct ipc_writer *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a stream");
  made->budget = budget;
  made->plan.budget = budget;
  enum status status = writer_init(made, schema, options, error);
  if (status == STATUS_OK)
    *writer = made;
  else
    ipc_writer_free(made);
  return status;
}

void ipc_writer_free(struct ipc_writer *writer) {
  if (writer == NULL) return;
  for (int64_t i = 0; writer->dictionaries != NULL && i < writer->node_count; i++)
    buffer_release(&writer->dictionaries[i].content);
  free(writer->dictionaries);
  layout_free(writer->layout);
  arrow_schema_release(&writer->schema);
  compressor_free(writer->compressor);
  ipc_plan_release(&writer->plan);
  buffer_release(&writer->flatbuf.bytes);
  buffer_release(&writer->scratch);
  buffer_release(&writer->fresh);
  free(writer);
}

/* ---- messages ---------------------------------------------------------------------- */

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

/* The most that the body may take while it is written. */
static int64_t body_room(const struct ipc_writer *writer) {
  const struct ipc_piece *pieces = ipc_plan_pieces(&writer->plan);
  int64_t count = ipc_plan_piece_count(&writer->plan);
  int64_t room_bytes = 0;
  int64_t spare_bytes = 0; /* what one piece needs beyond what it leaves behind */
  for (int64_t i = 0; i < count; i++) {
    if (pieces[i].bytes == 0) continue;
    int64_t bytes = pieces[i].bytes;
    if (writer->compressor != NULL) {
      bytes += COMPRESS_PREFIX_BYTES;
      int64_t over_bytes = compressor_room(writer->compressor, pieces[i].bytes) - bytes;
      if (over_bytes > spare_bytes) spare_bytes = over_bytes;
    }
    room_bytes += round_up(bytes);
  }
  return room_bytes + spare_bytes;
}

/* Room for every piece that is not compressed from where it lies. */
static enum status reserve_scratch(struct ipc_writer *writer, struct error *error) {
  if (writer->compressor == NULL) return STATUS_OK;
  const struct ipc_piece *pieces = ipc_plan_pieces(&writer->plan);
  int64_t scratch_bytes = 0;
  for (int64_t i = 0; i < ipc_plan_piece_count(&writer->plan); i++)
    if (pieces[i].kind != IPC_PIECE_BYTES && pieces[i].bytes > scratch_bytes)
      scratch_bytes = pieces[i].bytes;
  return buffer_reserve(&writer->scratch, writer->budget, scratch_bytes, error);
}

/* Writes the piece as it stands in the body; returns its length there. */
static int64_t write_piece(struct ipc_writer *writer, const struct ipc_piece *piece, uint8_t *to) {
  if (piece->bytes == 0) return 0;
  if (writer->compressor == NULL) {
    ipc_piece_write(piece, to);
    return piece->bytes;
  }
  const void *from = piece->source;
  if (piece->kind != IPC_PIECE_BYTES) {
    ipc_piece_write(piece, writer->scratch.data);
    from = writer->scratch.data;
  }
  return compressor_run(writer->compressor, from, piece->bytes, to);
}

static void put64(uint8_t *at, int64_t value) { memcpy(at, &value, sizeof value); }

/* Lays out the body behind the metadata, and says there what lies where. */
static int64_t write_body(struct ipc_writer *writer, struct ipc_batch_metadata positions,
                          uint8_t *metadata, uint8_t *body) {
  const struct ipc_piece *pieces = ipc_plan_pieces(&writer->plan);
  int64_t count = ipc_plan_piece_count(&writer->plan);
  int64_t offset_bytes = 0;
  for (int64_t i = 0; i < count; i++) {
    int64_t bytes = write_piece(writer, &pieces[i], body + offset_bytes);
    put64(metadata + positions.buffers + 16 * i, offset_bytes);
    put64(metadata + positions.buffers + 16 * i + 8, bytes);
    int64_t end_bytes = round_up(bytes);
    if (end_bytes > bytes) memset(body + offset_bytes + bytes, 0, (size_t)(end_bytes - bytes));
    offset_bytes += end_bytes;
  }
  put64(metadata + positions.body_length, offset_bytes);
  return offset_bytes;
}

/* Appends prefix and metadata; the body is the caller's, who has room for it. */
static enum status append_metadata(struct ipc_writer *writer, int64_t body_bytes,
                                   struct buffer *out, struct error *error) {
  enum status status = flatbuf_status(&writer->flatbuf, error);
  if (status != STATUS_OK) return status;
  int64_t flatbuf_bytes = writer->flatbuf.bytes.size_bytes;
  int64_t head_bytes = round_up(PREFIX_BYTES + flatbuf_bytes);
  status = reserve_more(writer, out, head_bytes + body_bytes, error);
  if (status != STATUS_OK) return status;
  uint8_t *at = out->data + out->size_bytes;
  int32_t metadata_bytes = (int32_t)(head_bytes - PREFIX_BYTES);
  memcpy(at, &continuation, 4);
  memcpy(at + 4, &metadata_bytes, 4);
  memcpy(at + PREFIX_BYTES, writer->flatbuf.bytes.data, (size_t)flatbuf_bytes);
  memset(at + PREFIX_BYTES + flatbuf_bytes, 0, (size_t)(metadata_bytes - flatbuf_bytes));
  out->size_bytes += head_bytes;
  return STATUS_OK;
}

/* Appends what was planned: as a batch, or as a dictionary's values. */
static enum status append_planned(struct ipc_writer *writer, int64_t dictionary_id,
                                  struct buffer *out, struct error *error) {
  struct ipc_batch_metadata positions = ipc_metadata_batch(
      &writer->flatbuf, writer->budget, &writer->plan, writer->compression, dictionary_id);
  enum status status = reserve_scratch(writer, error);
  int64_t start_bytes = out->size_bytes;
  if (status == STATUS_OK) status = append_metadata(writer, body_room(writer), out, error);
  if (status != STATUS_OK) return status;
  uint8_t *metadata = out->data + start_bytes + PREFIX_BYTES;
  out->size_bytes += write_body(writer, positions, metadata, out->data + out->size_bytes);
  return STATUS_OK;
}

/* ---- dictionaries ------------------------------------------------------------------ */

/* Everything that tells the planned dictionary from another one: nodes, counts of
 * data buffers, and pieces, each behind its length. */
static enum status serialize(struct ipc_writer *writer, struct error *error) {
  struct ipc_plan *plan = &writer->plan;
  struct buffer *fresh = &writer->fresh;
  const struct ipc_piece *pieces = ipc_plan_pieces(plan);
  int64_t count = ipc_plan_piece_count(plan);
  int64_t bytes = plan->nodes.size_bytes + plan->variadic.size_bytes;
  for (int64_t i = 0; i < count; i++) bytes += 8 + pieces[i].bytes;
  fresh->size_bytes = 0;
  enum status status = buffer_reserve(fresh, writer->budget, bytes, error);
  if (status != STATUS_OK) return status;
  uint8_t *at = fresh->data;
  memcpy(at, plan->nodes.data, (size_t)plan->nodes.size_bytes);
  at += plan->nodes.size_bytes;
  if (plan->variadic.size_bytes > 0)
    memcpy(at, plan->variadic.data, (size_t)plan->variadic.size_bytes);
  at += plan->variadic.size_bytes;
  for (int64_t i = 0; i < count; i++) {
    put64(at, pieces[i].bytes);
    ipc_piece_write(&pieces[i], at + 8);
    at += 8 + pieces[i].bytes;
  }
  fresh->size_bytes = bytes;
  return STATUS_OK;
}

static bool same_bytes(const struct buffer *left, const struct buffer *right) {
  return left->size_bytes == right->size_bytes &&
         memcmp(left->data, right->data, (size_t)left->size_bytes) == 0;
}

/* Writes the dictionary `array` of the values `layout` unless it is what was sent
 * last; `*changed` is set when it is written, and writes it anyway when it is set:
 * its values have a dictionary of their own, which was written anew. */
static enum status write_dictionary(struct ipc_writer *writer, const struct layout *layout,
                                    const struct ArrowArray *array, bool *changed,
                                    struct buffer *out, struct error *error) {
  struct sent_dictionary *sent = &writer->dictionaries[layout->index];
  enum status status = ipc_plan_column(&writer->plan, layout, array, error);
  if (status == STATUS_OK) status = serialize(writer, error);
  if (status != STATUS_OK) return status;
  if (sent->is_sent && !*changed && same_bytes(&sent->content, &writer->fresh)) return STATUS_OK;
  status = append_planned(writer, layout->index, out, error);
  if (status != STATUS_OK) return status;
  struct buffer old = sent->content;
  sent->content = writer->fresh;
  writer->fresh = old;
  sent->is_sent = sent->is_new = *changed = true;
  return STATUS_OK;
}

/* The dictionaries below a field, the innermost first: a reader needs them in that
 * order. */
static enum status write_dictionaries(struct ipc_writer *writer, const struct layout *layout,
                                      const struct ArrowArray *array, bool *changed,
                                      struct buffer *out, struct error *error) {
  enum status status = layout_check(layout, array, 0, array->length, error);
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++)
    status =
        write_dictionaries(writer, &layout->children[i], array->children[i], changed, out, error);
  if (status != STATUS_OK || layout->dictionary == NULL) return status;
  bool changed_inside = false;
  status = write_dictionaries(writer, layout->dictionary, array->dictionary, &changed_inside, out,
                              error);
  if (status == STATUS_OK)
    status = write_dictionary(writer, layout->dictionary, array->dictionary, &changed_inside, out,
                              error);
  *changed = *changed || changed_inside;
  return status;
}

/* The call is over: what it sent counts when it went well, and is forgotten else. */
static void settle_dictionaries(struct ipc_writer *writer, bool went_well) {
  for (int64_t i = 0; writer->dictionaries != NULL && i < writer->node_count; i++) {
    if (writer->dictionaries[i].is_new && !went_well) writer->dictionaries[i].is_sent = false;
    writer->dictionaries[i].is_new = false;
  }
}

/* ---- the stream -------------------------------------------------------------------- */

enum status ipc_writer_schema(struct ipc_writer *writer, struct buffer *out, struct error *error) {
  if (writer->has_schema)
    return error_set(error, STATUS_INTERNAL, "a stream's schema is written once");
  ipc_metadata_schema(&writer->flatbuf, writer->budget, writer->layout);
  enum status status = append_metadata(writer, 0, out, error);
  writer->has_schema = status == STATUS_OK;
  return status;
}

enum status ipc_writer_batch(struct ipc_writer *writer, const struct ArrowArray *batch,
                             struct buffer *out, struct error *error) {
  if (!writer->has_schema)
    return error_set(error, STATUS_INTERNAL, "a stream's schema is written before its batches");
  int64_t start_bytes = out->size_bytes;
  bool changed = false;
  enum status status = STATUS_OK;
  if (writer->dictionaries != NULL)
    status = write_dictionaries(writer, writer->layout, batch, &changed, out, error);
  if (status == STATUS_OK) status = ipc_plan_batch(&writer->plan, writer->layout, batch, error);
  if (status == STATUS_OK) status = append_planned(writer, IPC_NO_DICTIONARY, out, error);
  if (status != STATUS_OK) out->size_bytes = start_bytes;
  settle_dictionaries(writer, status == STATUS_OK);
  return status;
}

enum status ipc_writer_end(struct ipc_writer *writer, struct buffer *out, struct error *error) {
  static const uint8_t end[PREFIX_BYTES] = {0xFF, 0xFF, 0xFF, 0xFF};
  enum status status = reserve_more(writer, out, PREFIX_BYTES, error);
  if (status != STATUS_OK) return status;
  return buffer_append(out, writer->budget, end, sizeof end, error);
}
