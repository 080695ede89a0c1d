/* Messages as lists of pieces that share the arrays' memory.
 *
 * Of a message that is not compressed, one buffer of its own holds the head and all that has to be
 * made: small pieces, padding, bits and offsets of slices. What the caller gets is slices of it, and
 * between them the arrays' buffers. A small batch is one piece.
 *
 *   own    | head | a: copied, padding | padding of b | c: made, padding |
 *   pieces | head a                    | b | padding c                   |
 *
 * Invariants:
 * 1. Nothing is handed out, and the batch is the caller's, until all of its messages are made.
 * 2. Every shared piece is an owner of `batch`, which wraps the array; the last one releases it. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/bitmap.h"
#include "arrow/ipc_metadata.h"
#include "arrow/ipc_numbers.h"
#include "arrow/ipc_writer.h"

enum {
  SHARED_BYTES_MIN = 2048, /* less is copied sooner than sent apart */
  ROWS_ALIGNMENT = 64,     /* of cuts: bitmaps begin with a byte of their own */
};

struct sharing {
  struct ipc_writer *writer;
  const struct ipc_share_options *options;
  struct buffer *pieces;
  struct buffer batch;
};

void ipc_pieces_release(struct buffer *pieces) {
  struct buffer *list = (struct buffer *)pieces->data;
  for (int64_t i = 0; i < ipc_piece_count(pieces); i++) buffer_release(&list[i]);
  buffer_release(pieces);
}

/* Takes the piece in any case. */
static enum status push(struct sharing *sharing, struct buffer piece, struct error *error) {
  enum status status = STATUS_OK;
  if (piece.size_bytes > 0)
    status = buffer_append(sharing->pieces, sharing->writer->budget, &piece, sizeof piece, error);
  if (status != STATUS_OK || piece.size_bytes == 0) buffer_release(&piece);
  return status;
}

/* ---- heads ------------------------------------------------------------------------------- */

static int64_t head_room(const struct sharing *sharing) {
  return ipc_body_round_up(sharing->options->head_bytes_max +
                           sharing->writer->flatbuf.bytes.size_bytes);
}

/* Writes the head so that it ends at `end`; returns where it begins. */
static uint8_t *write_head(struct sharing *sharing, const struct ipc_batch_metadata *positions,
                           int64_t body_bytes, bool is_last, uint8_t *end) {
  struct flatbuf *flatbuf = &sharing->writer->flatbuf;
  memcpy(flatbuf->bytes.data + positions->body_length, &body_bytes, sizeof body_bytes);
  struct ipc_head head = {.metadata = flatbuf->bytes.data,
                          .metadata_bytes = flatbuf->bytes.size_bytes,
                          .body_bytes = body_bytes,
                          .is_last = is_last};
  int64_t bytes = sharing->options->head(sharing->options->context, &head, end);
  assert(bytes <= head_room(sharing));
  return end - bytes;
}

/* ---- bodies as they are -------------------------------------------------------------------- */

/* Where the piece lies as it is to be sent; NULL: it is copied. Bits behind the last one are zero in
 * what we send, whatever they are in the array. */
static const uint8_t *shared_source(const struct ipc_piece *piece) {
  if (piece->bytes < SHARED_BYTES_MIN) return NULL;
  if (piece->kind == IPC_PIECE_BYTES) return piece->source;
  if (piece->kind != IPC_PIECE_BITS || piece->start % 8 != 0) return NULL;
  const uint8_t *bits = (const uint8_t *)piece->source + piece->start / 8;
  int64_t rest = piece->limit % 8;
  return rest == 0 || bits[piece->bytes - 1] >> rest == 0 ? bits : NULL;
}

/* Says where each piece will lie, and how much of the body is not shared. */
static int64_t lay_out(struct sharing *sharing, const struct ipc_batch_metadata *positions,
                       int64_t *own_bytes) {
  const struct ipc_plan *plan = &sharing->writer->plan;
  const struct ipc_piece *pieces = ipc_plan_pieces(plan);
  uint8_t *places = sharing->writer->flatbuf.bytes.data + positions->buffers;
  int64_t body_bytes = 0;
  *own_bytes = 0;
  for (int64_t i = 0; i < ipc_plan_piece_count(plan); i++) {
    int64_t bytes = pieces[i].bytes;
    memcpy(places + BUFFER_STRUCT_BYTES * i, &body_bytes, sizeof body_bytes);
    memcpy(places + BUFFER_STRUCT_BYTES * i + 8, &bytes, sizeof bytes);
    body_bytes += ipc_body_round_up(bytes);
    *own_bytes += ipc_body_round_up(bytes) - (shared_source(&pieces[i]) == NULL ? 0 : bytes);
  }
  return body_bytes;
}

/* Hands out `own` from `begin` on, cut where shared pieces stand. */
static enum status push_body(struct sharing *sharing, struct buffer *own, int64_t begin,
                             int64_t end, struct error *error) {
  const struct ipc_plan *plan = &sharing->writer->plan;
  const struct ipc_piece *pieces = ipc_plan_pieces(plan);
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < ipc_plan_piece_count(plan) && status == STATUS_OK; i++) {
    int64_t bytes = pieces[i].bytes;
    int64_t padding_bytes = ipc_body_round_up(bytes) - bytes;
    const uint8_t *source = shared_source(&pieces[i]);
    if (source != NULL) {
      status = push(sharing, buffer_slice(own, begin, end - begin), error);
      if (status == STATUS_OK)
        status = push(sharing, buffer_share_for(&sharing->batch, source, bytes), error);
      begin = end;
    } else {
      ipc_piece_write(plan, &pieces[i], own->data + end);
      end += bytes;
    }
    if (padding_bytes > 0) memset(own->data + end, 0, (size_t)padding_bytes);
    end += padding_bytes;
  }
  if (status == STATUS_OK) status = push(sharing, buffer_slice(own, begin, end - begin), error);
  return status;
}

static enum status share_plain(struct sharing *sharing, const struct ipc_batch_metadata *positions,
                               bool is_last, struct error *error) {
  struct buffer own = BUFFER_EMPTY;
  int64_t own_bytes = 0;
  int64_t body_bytes = lay_out(sharing, positions, &own_bytes);
  int64_t room_bytes = head_room(sharing);
  enum status status = buffer_reserve(&own, sharing->writer->budget, room_bytes + own_bytes, error);
  if (status != STATUS_OK) return status;
  own.size_bytes = room_bytes + own_bytes;
  const uint8_t *head = write_head(sharing, positions, body_bytes, is_last, own.data + room_bytes);
  status = push_body(sharing, &own, head - own.data, room_bytes, error);
  buffer_release(&own);
  return status;
}

/* ---- compressed bodies ---------------------------------------------------------------------- */

/* What shrank to less than half of its room is moved: the room is charged until all is sent. */
static void shrink(struct budget *budget, struct buffer *own, int64_t *begin) {
  struct buffer small = BUFFER_EMPTY;
  int64_t bytes = own->size_bytes - *begin;
  if (bytes >= own->capacity_bytes / 2) return;
  if (buffer_append(&small, budget, own->data + *begin, bytes, NULL) != STATUS_OK) return;
  buffer_release(own);
  *own = small;
  *begin = 0;
}

static enum status share_compressed(struct sharing *sharing,
                                    const struct ipc_batch_metadata *positions, bool is_last,
                                    struct error *error) {
  struct ipc_writer *writer = sharing->writer;
  struct buffer own = BUFFER_EMPTY;
  int64_t made_bytes = 0;
  int64_t body_bytes = 0;
  int64_t room_bytes = head_room(sharing);
  enum status status = ipc_body_prepare(&writer->body, &writer->plan, &made_bytes, error);
  if (status == STATUS_OK)
    status = buffer_reserve(&own, writer->budget, room_bytes + made_bytes, error);
  if (status == STATUS_OK)
    status =
        ipc_body_make(&writer->body, &writer->plan, writer->flatbuf.bytes.data + positions->buffers,
                      own.data + room_bytes, &body_bytes, error);
  if (status == STATUS_OK) {
    own.size_bytes = room_bytes + body_bytes;
    const uint8_t *head =
        write_head(sharing, positions, body_bytes, is_last, own.data + room_bytes);
    int64_t begin = head - own.data;
    shrink(writer->budget, &own, &begin);
    status = push(sharing, buffer_slice(&own, begin, own.size_bytes - begin), error);
  }
  buffer_release(&own);
  return status;
}

/* ---- messages ------------------------------------------------------------------------------ */

/* What the body of the plan takes when it is not compressed. */
static int64_t plan_bytes(const struct ipc_plan *plan) {
  return plan->body_bytes + ipc_plan_piece_count(plan) * (IPC_BODY_ALIGNMENT_BYTES - 1);
}

static enum status share_planned(struct sharing *sharing, const struct ipc_batch_kind *kind,
                                 bool is_last, struct error *error) {
  struct ipc_writer *writer = sharing->writer;
  struct ipc_batch_metadata positions =
      ipc_metadata_batch(&writer->flatbuf, writer->budget, &writer->plan, kind);
  enum status status = flatbuf_status(&writer->flatbuf, error);
  if (status != STATUS_OK) return status;
  return writer->body.compressor == NULL ? share_plain(sharing, &positions, is_last, error)
                                         : share_compressed(sharing, &positions, is_last, error);
}

static enum status share_dictionary(void *context, int64_t id, bool is_delta, struct error *error) {
  struct sharing *sharing = context;
  struct ipc_batch_kind kind = {
      .compression = sharing->writer->compression, .dictionary_id = id, .is_delta = is_delta};
  int64_t body_bytes = plan_bytes(&sharing->writer->plan);
  if (body_bytes > sharing->options->body_bytes_max)
    return error_set(error, STATUS_TOO_LARGE,
                     "a dictionary takes %" PRId64 " bytes; a message has at most %" PRId64,
                     body_bytes, sharing->options->body_bytes_max);
  return share_planned(sharing, &kind, false, error);
}

/* How many of the planned rows go into one message; all of them where a cut is of no use. */
static int64_t rows_a_message(const struct ipc_plan *plan, int64_t rows,
                              const struct ipc_share_options *options) {
  int64_t bytes = plan_bytes(plan);
  int64_t most_bytes = plan->whole_bytes <= options->body_bytes_wanted / 2
                           ? options->body_bytes_wanted
                           : options->body_bytes_max;
  if (bytes <= most_bytes || rows <= 1 || plan->whole_bytes >= most_bytes) return rows;
  int64_t parts = (bytes - plan->whole_bytes) / (most_bytes - plan->whole_bytes) + 1;
  int64_t part_rows = rows / parts + 1;
  part_rows = (part_rows + ROWS_ALIGNMENT - 1) / ROWS_ALIGNMENT * ROWS_ALIGNMENT;
  return part_rows < rows ? part_rows : (rows + 1) / 2;
}

/* Rows [start, start + rows) of the batch. Each step down has half of the rows at most, or nearly. */
static enum status share_rows(struct sharing *sharing, const struct ArrowArray *batch,
                              int64_t start, int64_t rows, struct error *error) {
  struct ipc_writer *writer = sharing->writer;
  struct ArrowArray cut = *batch;
  cut.offset += start;
  cut.length = rows;
  if (rows < batch->length && batch->null_count != 0) cut.null_count = -1;
  enum status status = ipc_plan_batch(&writer->plan, writer->layout, &cut, error);
  if (status != STATUS_OK) return status;
  int64_t part_rows = rows_a_message(&writer->plan, rows, sharing->options);
  for (int64_t at = 0; part_rows < rows && at < rows && status == STATUS_OK; at += part_rows)
    status = share_rows(sharing, batch, start + at, part_rows < rows - at ? part_rows : rows - at,
                        error);
  if (status != STATUS_OK || part_rows < rows) return status;
  int64_t body_bytes = plan_bytes(&writer->plan);
  if (body_bytes > sharing->options->body_bytes_max)
    return error_set(error, STATUS_TOO_LARGE,
                     "row %" PRId64 " of a batch takes %" PRId64
                     " bytes; a message has at most %" PRId64,
                     start, body_bytes, sharing->options->body_bytes_max);
  struct ipc_batch_kind kind = {.compression = writer->compression,
                                .dictionary_id = IPC_NO_DICTIONARY,
                                .metadata = (const char *)writer->metadata.data};
  return share_planned(sharing, &kind, start + rows == batch->length, error);
}

static void release_batch(void *context) {
  struct ArrowArray *batch = context;
  arrow_array_release(batch);
  free(batch);
}

/* Lets go of what was appended to `pieces` behind `mark_bytes`. */
static void go_back(struct buffer *pieces, int64_t mark_bytes) {
  struct buffer *list = (struct buffer *)pieces->data;
  while (pieces->size_bytes > mark_bytes) {
    buffer_release(&list[ipc_piece_count(pieces) - 1]);
    pieces->size_bytes -= (int64_t)sizeof *list;
  }
}

enum status ipc_writer_share(struct ipc_writer *writer, struct ArrowArray *batch,
                             const struct ipc_share_options *options, struct buffer *pieces,
                             struct error *error) {
  assert(writer->format == IPC_FORMAT_STREAM);
  if (!writer->has_schema)
    return error_set(error, STATUS_INTERNAL, "a stream's schema is written before its batches");
  struct sharing sharing = {.writer = writer, .options = options, .pieces = pieces};
  int64_t mark_bytes = pieces->size_bytes;
  struct ArrowArray *held = calloc(1, sizeof *held);
  if (held == NULL) return error_set(error, STATUS_NOMEM, "no memory to share a record batch");
  enum status status = buffer_wrap(&sharing.batch, NULL, 0, release_batch, held, error);
  if (status != STATUS_OK) {
    free(held);
    return status;
  }
  if (writer->dictionaries != NULL)
    status = ipc_dictionaries_update(writer->dictionaries, batch, &writer->plan, share_dictionary,
                                     &sharing, error);
  if (status == STATUS_OK) status = share_rows(&sharing, batch, 0, batch->length, error);
  if (writer->dictionaries != NULL)
    ipc_dictionaries_settle(writer->dictionaries, status == STATUS_OK);
  if (status == STATUS_OK) {
    buffer_release(&writer->metadata);
    arrow_array_move(batch, held);
  } else {
    go_back(pieces, mark_bytes);
  }
  buffer_release(&sharing.batch);
  return status;
}
