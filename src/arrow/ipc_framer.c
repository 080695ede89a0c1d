/* Cuts a byte stream into messages ("Encapsulated message format"): as its bytes come, or
 * where they lie in memory already.
 *
 *   PREFIX --0xFFFFFFFF--> LENGTH --> METADATA --> BODY --> ready, PREFIX
 *      |  (before 0.15 the length itself)  ^         (no body: at once)
 *      +-----------------------------------+
 *   a length of 0: END
 *
 * Room for metadata and body grows with what has arrived (base/arriving.h). */
#include "arrow/ipc.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/ipc_header.h"
#include "base/arriving.h"

enum { PREFIX_BYTES = 4 };

static const uint8_t continuation[PREFIX_BYTES] = {0xFF, 0xFF, 0xFF, 0xFF};
static const uint8_t file_magic[PREFIX_BYTES] = {'A', 'R', 'R', 'O'};

enum framer_state { AT_PREFIX, AT_LENGTH, AT_METADATA, AT_BODY, AT_READY, AT_END };

struct ipc_framer {
  struct ipc_limits limits;
  struct budget *budget;
  enum framer_state state;
  int64_t position_bytes; /* in the stream */
  uint8_t prefix[PREFIX_BYTES];
  int64_t prefix_filled;
  int64_t metadata_bytes; /* announced */
  int64_t body_bytes;     /* announced */
  struct ipc_message message;
};

void ipc_message_release(struct ipc_message *message) {
  buffer_release(&message->metadata);
  buffer_release(&message->body);
}

enum status ipc_framer_new(const struct ipc_limits *limits, struct budget *budget,
                           struct ipc_framer **framer, struct error *error) {
  *framer = calloc(1, sizeof **framer);
  if (*framer == NULL) return error_set(error, STATUS_NOMEM, "no memory for a stream");
  (*framer)->limits = *limits;
  (*framer)->budget = budget;
  return STATUS_OK;
}

void ipc_framer_free(struct ipc_framer *framer) {
  if (framer == NULL) return;
  ipc_message_release(&framer->message);
  free(framer);
}

int64_t ipc_framer_wants(const struct ipc_framer *framer) {
  const struct ipc_message *message = &framer->message;
  if (framer->state == AT_METADATA)
    return arriving_wants(&message->metadata, ARRIVING_FIRST_BYTES, framer->metadata_bytes);
  if (framer->state == AT_BODY)
    return arriving_wants(&message->body, ARRIVING_FIRST_BYTES, framer->body_bytes);
  return 0;
}

int64_t ipc_framer_held(const struct ipc_framer *framer) {
  return framer->message.metadata.capacity_bytes + framer->message.body.capacity_bytes;
}

enum status ipc_framer_window(struct ipc_framer *framer, uint8_t **data, int64_t *bytes,
                              struct error *error) {
  switch (framer->state) {
  case AT_METADATA:
    return arriving_room(&framer->message.metadata, framer->budget, ARRIVING_FIRST_BYTES,
                         framer->metadata_bytes, data, bytes, error);
  case AT_BODY:
    return arriving_room(&framer->message.body, framer->budget, ARRIVING_FIRST_BYTES,
                         framer->body_bytes, data, bytes, error);
  case AT_PREFIX:
  case AT_LENGTH:
    *data = framer->prefix + framer->prefix_filled;
    *bytes = PREFIX_BYTES - framer->prefix_filled;
    return STATUS_OK;
  case AT_END: /* whatever comes is refused by ipc_framer_filled */
    *data = framer->prefix;
    *bytes = 1;
    return STATUS_OK;
  case AT_READY: break;
  }
  return error_set(error, STATUS_INTERNAL, "a message is waiting to be taken");
}

/* ---- what both ways of cutting check ---------------------------------------------------- */

static enum status check_metadata_bytes(const struct ipc_limits *limits, int64_t offset_bytes,
                                        int64_t metadata_bytes, struct error *error) {
  if (metadata_bytes < 0)
    return error_set(error, STATUS_INVALID,
                     "this is not an Arrow IPC stream: at byte %" PRId64
                     " a message announces %" PRId64 " bytes of metadata",
                     offset_bytes, metadata_bytes);
  if (metadata_bytes > limits->metadata_bytes_max)
    return error_set(error, offset_bytes == 0 ? STATUS_INVALID : STATUS_TOO_LARGE,
                     "the message at byte %" PRId64 " announces %" PRId64
                     " bytes of metadata; at most %" PRId64 " are taken (is this an Arrow stream?)",
                     offset_bytes, metadata_bytes, limits->metadata_bytes_max);
  return STATUS_OK;
}

/* The length of the body that the metadata announces. */
static enum status read_body_bytes(const struct buffer *metadata, const struct ipc_limits *limits,
                                   int64_t offset_bytes, int64_t *body_bytes, struct error *error) {
  struct ipc_header header;
  enum status status = ipc_header_read(metadata, &header, error);
  if (status == STATUS_OK && header.body_bytes > limits->body_bytes_max)
    status = error_set(error, STATUS_TOO_LARGE,
                       "its body has %" PRId64 " bytes; at most %" PRId64
                       " are taken: send smaller record batches (65,536 rows)",
                       header.body_bytes, limits->body_bytes_max);
  if (status == STATUS_OK)
    *body_bytes = header.body_bytes;
  else
    error_at(error, "the message at byte %" PRId64, offset_bytes);
  return status;
}

static enum status refuse_file(struct error *error) {
  return error_set(error, STATUS_INVALID,
                   "this is an Arrow file (it begins with ARROW1), not an Arrow stream; write a "
                   "stream instead");
}

static enum status refuse_empty(struct error *error) {
  return error_set(error, STATUS_INVALID,
                   "the input is empty; an Arrow stream has at least a schema");
}

static enum status refuse_cut(int64_t end_bytes, int64_t offset_bytes, struct error *error) {
  return error_set(error, STATUS_INVALID,
                   "the stream is truncated: it ends at byte %" PRId64
                   " inside the message that begins at byte %" PRId64,
                   end_bytes, offset_bytes);
}

static enum status refuse_no_end(int64_t end_bytes, struct error *error) {
  return error_set(error, STATUS_INVALID,
                   "the stream ends at byte %" PRId64
                   " without its end-of-stream marker, so it may be truncated; close the IPC "
                   "writer, or say that the marker is optional (eos=optional, --eos-optional)",
                   end_bytes);
}

static int64_t length_at(const uint8_t *p) {
  uint32_t length =
      (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
  return (int32_t)length;
}

/* ---- as bytes come ----------------------------------------------------------------------- */

static enum status start_message(struct ipc_framer *framer, int64_t metadata_bytes,
                                 struct error *error) {
  int64_t offset_bytes = framer->message.offset_bytes;
  if (memcmp(framer->prefix, file_magic, PREFIX_BYTES) == 0 && offset_bytes == 0)
    return refuse_file(error);
  enum status status = check_metadata_bytes(&framer->limits, offset_bytes, metadata_bytes, error);
  if (status != STATUS_OK) return status;
  framer->metadata_bytes = metadata_bytes;
  framer->state = AT_METADATA;
  return STATUS_OK;
}

static enum status take_prefix(struct ipc_framer *framer, enum ipc_frame *frame,
                               struct error *error) {
  framer->prefix_filled = 0;
  if (framer->state == AT_PREFIX && memcmp(framer->prefix, continuation, PREFIX_BYTES) == 0) {
    framer->state = AT_LENGTH;
    return STATUS_OK;
  }
  int64_t length = length_at(framer->prefix);
  if (length != 0) return start_message(framer, length, error);
  framer->state = AT_END;
  *frame = IPC_FRAME_END;
  return STATUS_OK;
}

static enum status take_metadata(struct ipc_framer *framer, struct error *error) {
  if (framer->message.metadata.size_bytes < framer->metadata_bytes) return STATUS_OK;
  enum status status = read_body_bytes(&framer->message.metadata, &framer->limits,
                                       framer->message.offset_bytes, &framer->body_bytes, error);
  if (status == STATUS_OK) framer->state = framer->body_bytes > 0 ? AT_BODY : AT_READY;
  return status;
}

enum status ipc_framer_filled(struct ipc_framer *framer, int64_t bytes, enum ipc_frame *frame,
                              struct error *error) {
  assert(bytes > 0);
  *frame = IPC_FRAME_PARTIAL;
  enum status status = STATUS_OK;
  if (framer->state == AT_PREFIX && framer->prefix_filled == 0)
    framer->message.offset_bytes = framer->position_bytes;
  framer->position_bytes += bytes;
  switch (framer->state) {
  case AT_PREFIX:
  case AT_LENGTH:
    framer->prefix_filled += bytes;
    if (framer->prefix_filled == PREFIX_BYTES) status = take_prefix(framer, frame, error);
    break;
  case AT_METADATA:
    framer->message.metadata.size_bytes += bytes;
    status = take_metadata(framer, error);
    break;
  case AT_BODY:
    framer->message.body.size_bytes += bytes;
    if (framer->message.body.size_bytes == framer->body_bytes) framer->state = AT_READY;
    break;
  case AT_END:
    status = error_set(error, STATUS_INVALID,
                       "bytes follow the end-of-stream marker, which ended at byte %" PRId64,
                       framer->position_bytes - bytes);
    break;
  case AT_READY: status = error_set(error, STATUS_INTERNAL, "a message waits to be taken"); break;
  }
  if (status == STATUS_OK && framer->state == AT_READY) *frame = IPC_FRAME_MESSAGE;
  return status;
}

void ipc_framer_take(struct ipc_framer *framer, struct ipc_message *message) {
  assert(framer->state == AT_READY);
  *message = framer->message;
  framer->message = (struct ipc_message){.offset_bytes = 0};
  framer->state = AT_PREFIX;
}

enum status ipc_framer_finish(const struct ipc_framer *framer, bool eos_optional,
                              struct error *error) {
  if (framer->state == AT_END) return STATUS_OK;
  if (framer->position_bytes == 0) return refuse_empty(error);
  if (framer->state != AT_PREFIX || framer->prefix_filled > 0)
    return refuse_cut(framer->position_bytes, framer->message.offset_bytes, error);
  return eos_optional ? STATUS_OK : refuse_no_end(framer->position_bytes, error);
}

/* ---- from memory ------------------------------------------------------------------------- */

/* The bytes of the prefix and what it says; `*metadata_bytes` 0 is the end-of-stream marker. */
static enum status read_prefix(const struct buffer *stream, int64_t begin, int64_t *prefix_bytes,
                               int64_t *metadata_bytes, struct error *error) {
  int64_t left = stream->size_bytes - begin;
  if (left < PREFIX_BYTES) return refuse_cut(stream->size_bytes, begin, error);
  const uint8_t *at = stream->data + begin;
  *prefix_bytes = memcmp(at, continuation, PREFIX_BYTES) == 0 ? 2 * PREFIX_BYTES : PREFIX_BYTES;
  if (left < *prefix_bytes) return refuse_cut(stream->size_bytes, begin, error);
  if (begin == 0 && memcmp(at, file_magic, PREFIX_BYTES) == 0) return refuse_file(error);
  *metadata_bytes = length_at(at + *prefix_bytes - PREFIX_BYTES);
  return STATUS_OK;
}

/* What is left of the bytes behind the end-of-stream marker must be nothing. */
static enum status check_end(const struct buffer *stream, int64_t end, struct error *error) {
  if (end == stream->size_bytes) return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "bytes follow the end-of-stream marker, which ended at byte %" PRId64, end);
}

enum status ipc_cut(const struct buffer *stream, const struct ipc_limits *limits, bool eos_optional,
                    int64_t *position_bytes, struct ipc_message *message, enum ipc_frame *frame,
                    struct error *error) {
  int64_t begin = *position_bytes;
  int64_t prefix_bytes = 0;
  int64_t metadata_bytes = 0;
  int64_t body_bytes = 0;
  assert(begin >= 0 && begin <= stream->size_bytes);
  *message = (struct ipc_message){.offset_bytes = begin};
  *frame = IPC_FRAME_END;
  if (stream->size_bytes == 0) return refuse_empty(error);
  if (begin == stream->size_bytes) return eos_optional ? STATUS_OK : refuse_no_end(begin, error);
  enum status status = read_prefix(stream, begin, &prefix_bytes, &metadata_bytes, error);
  if (status != STATUS_OK) return status;
  int64_t at = begin + prefix_bytes;
  if (metadata_bytes == 0) {
    status = check_end(stream, at, error);
    if (status == STATUS_OK) *position_bytes = at;
    return status;
  }
  status = check_metadata_bytes(limits, begin, metadata_bytes, error);
  if (status != STATUS_OK) return status;
  if (metadata_bytes > stream->size_bytes - at) return refuse_cut(stream->size_bytes, begin, error);
  struct buffer metadata = {
      .data = stream->data + at, .size_bytes = metadata_bytes, .capacity_bytes = metadata_bytes};
  status = read_body_bytes(&metadata, limits, begin, &body_bytes, error);
  if (status != STATUS_OK) return status;
  int64_t body_at = at + metadata_bytes;
  if (body_bytes > stream->size_bytes - body_at)
    return refuse_cut(stream->size_bytes, begin, error);
  message->metadata = buffer_slice(stream, at, metadata_bytes);
  message->body = buffer_slice(stream, body_at, body_bytes);
  *position_bytes = body_at + body_bytes;
  *frame = IPC_FRAME_MESSAGE;
  return STATUS_OK;
}
