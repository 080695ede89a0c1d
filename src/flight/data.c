/* FlightData as its bytes come.
 *
 *   TAG --length-delimited--> LENGTH --known field--> FIELD --> TAG
 *    | \                        \--unknown----------> SKIP  --> TAG
 *    |  \--varint--> VARINT --> TAG
 *    |   \--fixed--> SKIP
 *    '-- the message's last byte: WHOLE --take--> (begin) TAG
 *
 * Tags and lengths arrive through a window of a byte or two, so that not a byte of a field is read into
 * the wrong place: what belongs to a field is written once, where it stays.
 *
 * 1. `position_bytes` never passes `message_bytes`: no window is larger than what is left, and no field
 *    is begun that would end behind it.
 * 2. A field's buffer is filled from empty; a second one of its kind starts it anew. */
#include "flight/data.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arriving.h"
#include "flight/wire.h"

enum {
  SKIP_BYTES = 4096,          /* of what is not known, thrown away at a time */
  GRPC_PREFIX_BYTES_READ = 5, /* counted in the offset of messages */
};

enum reader_state { AT_TAG, AT_VARINT, AT_LENGTH, AT_FIELD, AT_SKIP, AT_WHOLE, AT_NOTHING };

struct flight_data_reader {
  struct ipc_limits limits;
  struct budget *budget;
  enum reader_state state;
  int64_t stream_bytes;   /* of all messages before, with their prefixes */
  int64_t message_bytes;  /* announced */
  int64_t position_bytes; /* in the message */
  uint64_t varint;
  int varint_filled;         /* bytes of it that have come */
  uint64_t field;            /* the number of the one that is arriving */
  int64_t field_bytes;       /* announced, or left to be skipped */
  int64_t body_bytes_before; /* of the last body that was whole */
  struct flight_data data;
  uint8_t scratch[SKIP_BYTES];
};

void flight_data_release(struct flight_data *data) {
  buffer_release(&data->descriptor);
  ipc_message_release(&data->message);
  buffer_release(&data->app_metadata);
  data->has_app_metadata = false;
}

enum status flight_data_reader_new(const struct ipc_limits *limits, struct budget *budget,
                                   struct flight_data_reader **reader, struct error *error) {
  *reader = calloc(1, sizeof **reader);
  if (*reader == NULL) return error_set(error, STATUS_NOMEM, "no memory for a stream");
  (*reader)->limits = *limits;
  (*reader)->budget = budget;
  (*reader)->state = AT_NOTHING;
  return STATUS_OK;
}

void flight_data_reader_free(struct flight_data_reader *reader) {
  if (reader == NULL) return;
  flight_data_release(&reader->data);
  free(reader);
}

/* ---- errors -------------------------------------------------------------------------------- */

static const char *field_name(uint64_t field) {
  switch (field) {
  case FLIGHT_DATA_DESCRIPTOR: return "flight_descriptor";
  case FLIGHT_DATA_HEADER: return "data_header";
  case FLIGHT_DATA_APP_METADATA: return "app_metadata";
  case FLIGHT_DATA_BODY: return "data_body";
  default: return "an unknown field";
  }
}

static enum status broken(const struct flight_data_reader *reader, const char *what,
                          struct error *error) {
  return error_set(error, STATUS_INVALID,
                   "the FlightData message at byte %" PRId64 " is broken: at its byte %" PRId64
                   " of %" PRId64 " %s",
                   reader->stream_bytes, reader->position_bytes, reader->message_bytes, what);
}

/* ---- beginning ------------------------------------------------------------------------------ */

enum status flight_data_reader_begin(struct flight_data_reader *reader, int64_t bytes,
                                     struct error *error) {
  assert(reader->state == AT_NOTHING && bytes >= 0);
  int64_t most_bytes = reader->limits.body_bytes_max;
  if (__builtin_add_overflow(most_bytes, reader->limits.metadata_bytes_max, &most_bytes) ||
      __builtin_add_overflow(most_bytes, 4 * FLIGHT_SMALL_BYTES_MAX, &most_bytes))
    most_bytes = INT64_MAX;
  if (bytes > most_bytes)
    return error_set(error, STATUS_TOO_LARGE,
                     "the FlightData message at byte %" PRId64 " has %" PRId64
                     " bytes; at most %" PRId64
                     " are taken: send smaller record batches (65,536 rows)",
                     reader->stream_bytes, bytes, most_bytes);
  reader->message_bytes = bytes;
  reader->position_bytes = 0;
  reader->varint = 0;
  reader->varint_filled = 0;
  reader->data.message.offset_bytes = reader->stream_bytes;
  reader->state = AT_TAG;
  return STATUS_OK;
}

/* ---- windows -------------------------------------------------------------------------------- */

/* Where the field that is arriving goes; NULL: it is not known. */
static struct buffer *field_buffer(struct flight_data_reader *reader) {
  switch (reader->field) {
  case FLIGHT_DATA_DESCRIPTOR: return &reader->data.descriptor;
  case FLIGHT_DATA_HEADER: return &reader->data.message.metadata;
  case FLIGHT_DATA_APP_METADATA: return &reader->data.app_metadata;
  case FLIGHT_DATA_BODY: return &reader->data.message.body;
  default: return NULL;
  }
}

static int64_t first_bytes(const struct flight_data_reader *reader) {
  return arriving_first(reader->field == FLIGHT_DATA_BODY ? reader->body_bytes_before : 0);
}

enum status flight_data_reader_window(struct flight_data_reader *reader, uint8_t **data,
                                      int64_t *bytes, struct error *error) {
  int64_t left = reader->message_bytes - reader->position_bytes;
  if (left <= 0 || reader->state >= AT_WHOLE)
    return error_set(error, STATUS_INTERNAL, "no byte of a FlightData message is missing");
  if (reader->state == AT_FIELD)
    return arriving_room(field_buffer(reader), reader->budget, first_bytes(reader),
                         reader->field_bytes, data, bytes, error);
  *data = reader->scratch;
  *bytes = 1;
  /* A tag has something behind it. */
  if (reader->state == AT_TAG && reader->varint_filled == 0 && left > 1) *bytes = 2;
  if (reader->state == AT_SKIP)
    *bytes = reader->field_bytes < SKIP_BYTES ? reader->field_bytes : SKIP_BYTES;
  return STATUS_OK;
}

int64_t flight_data_reader_wants(const struct flight_data_reader *reader) {
  if (reader->state != AT_FIELD) return 0;
  const struct buffer *buffer = field_buffer((struct flight_data_reader *)reader);
  return arriving_wants(buffer, first_bytes(reader), reader->field_bytes);
}

int64_t flight_data_reader_held(const struct flight_data_reader *reader) {
  const struct flight_data *data = &reader->data;
  return data->descriptor.capacity_bytes + data->message.metadata.capacity_bytes +
         data->message.body.capacity_bytes + data->app_metadata.capacity_bytes;
}

/* ---- fields --------------------------------------------------------------------------------- */

static void next_field(struct flight_data_reader *reader) {
  reader->state = AT_TAG;
  reader->varint = 0;
  reader->varint_filled = 0;
}

static enum status skip(struct flight_data_reader *reader, int64_t bytes, struct error *error) {
  if (bytes > reader->message_bytes - reader->position_bytes)
    return broken(reader, "a field ends behind its end", error);
  reader->field_bytes = bytes;
  if (bytes > 0)
    reader->state = AT_SKIP;
  else
    next_field(reader);
  return STATUS_OK;
}

static enum status take_tag(struct flight_data_reader *reader, struct error *error) {
  uint64_t tag = reader->varint;
  reader->field = tag >> 3;
  reader->varint = 0;
  reader->varint_filled = 0;
  if (tag > UINT32_MAX || reader->field == 0)
    return broken(reader, "there is no field of such a number", error);
  bool is_known = field_buffer(reader) != NULL;
  if (is_known && (tag & 7) != WIRE_BYTES) {
    enum status status = broken(reader, "a field has the wrong wire type", error);
    error_at(error, "%s", field_name(reader->field));
    return status;
  }
  switch (tag & 7) {
  case WIRE_VARINT: reader->state = AT_VARINT; return STATUS_OK;
  case WIRE_FIXED64: return skip(reader, 8, error);
  case WIRE_BYTES: reader->state = AT_LENGTH; return STATUS_OK;
  case WIRE_FIXED32: return skip(reader, 4, error);
  default: return broken(reader, "a field has a wire type that is not known", error);
  }
}

static int64_t field_limit(const struct flight_data_reader *reader) {
  if (reader->field == FLIGHT_DATA_HEADER) return reader->limits.metadata_bytes_max;
  if (reader->field == FLIGHT_DATA_BODY) return reader->limits.body_bytes_max;
  return FLIGHT_SMALL_BYTES_MAX;
}

static enum status take_length(struct flight_data_reader *reader, struct error *error) {
  int64_t left = reader->message_bytes - reader->position_bytes;
  if (reader->varint > (uint64_t)left) return broken(reader, "a field ends behind its end", error);
  int64_t bytes = (int64_t)reader->varint;
  struct buffer *buffer = field_buffer(reader);
  if (buffer == NULL) return skip(reader, bytes, error);
  if (bytes > field_limit(reader))
    return error_set(
        error, STATUS_TOO_LARGE,
        "%s of the FlightData message at byte %" PRId64 " has %" PRId64 " bytes; at most %" PRId64
        " are taken%s",
        field_name(reader->field), reader->stream_bytes, bytes, field_limit(reader),
        reader->field == FLIGHT_DATA_BODY ? ": send smaller record batches (65,536 rows)" : "");
  buffer_release(buffer);
  if (reader->field == FLIGHT_DATA_APP_METADATA) reader->data.has_app_metadata = true;
  reader->field_bytes = bytes;
  if (bytes > 0)
    reader->state = AT_FIELD;
  else
    next_field(reader);
  return STATUS_OK;
}

static enum status take_varint_byte(struct flight_data_reader *reader, uint8_t byte,
                                    struct error *error) {
  /* The tenth byte has the last bit of 64. */
  if (reader->varint_filled == WIRE_VARINT_BYTES_MAX - 1 && byte > 1)
    return broken(reader, "a number has more than 64 bits", error);
  reader->varint |= (uint64_t)(byte & 0x7F) << (7 * reader->varint_filled++);
  if ((byte & 0x80) != 0) return STATUS_OK;
  switch (reader->state) {
  case AT_TAG: return take_tag(reader, error);
  case AT_LENGTH: return take_length(reader, error);
  default: next_field(reader); return STATUS_OK;
  }
}

/* A window of two bytes may hold the end of one number and the beginning of what follows, which is
 * a number or bytes to be skipped: no field that is kept begins before its length is known. */
static enum status take_scratch(struct flight_data_reader *reader, int64_t bytes,
                                struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < bytes && status == STATUS_OK; i++) {
    reader->position_bytes++;
    if (reader->state != AT_SKIP)
      status = take_varint_byte(reader, reader->scratch[i], error);
    else if (--reader->field_bytes == 0)
      next_field(reader);
  }
  return status;
}

static void take_field(struct flight_data_reader *reader, int64_t bytes) {
  struct buffer *buffer = field_buffer(reader);
  buffer->size_bytes += bytes;
  reader->position_bytes += bytes;
  if (buffer->size_bytes < reader->field_bytes) return;
  if (reader->field == FLIGHT_DATA_BODY) reader->body_bytes_before = buffer->size_bytes;
  next_field(reader);
}

/* All bytes are there: is that a message? */
static enum status take_end(struct flight_data_reader *reader, struct error *error) {
  if (reader->state != AT_TAG || reader->varint_filled > 0)
    return broken(reader, "it ends inside of a field", error);
  if (reader->data.message.metadata.size_bytes == 0 && reader->data.message.body.size_bytes > 0)
    return error_set(error, STATUS_INVALID,
                     "the FlightData message at byte %" PRId64 " has a data_body of %" PRId64
                     " bytes and no data_header that tells what it is",
                     reader->stream_bytes, reader->data.message.body.size_bytes);
  reader->stream_bytes += GRPC_PREFIX_BYTES_READ + reader->message_bytes;
  reader->state = AT_WHOLE;
  return STATUS_OK;
}

enum status flight_data_reader_filled(struct flight_data_reader *reader, int64_t bytes, bool *whole,
                                      struct error *error) {
  assert(bytes >= 0 && bytes <= reader->message_bytes - reader->position_bytes);
  enum status status = STATUS_OK;
  if (reader->state == AT_FIELD)
    take_field(reader, bytes);
  else if (reader->state == AT_SKIP && bytes > 0) {
    reader->position_bytes += bytes;
    reader->field_bytes -= bytes;
    if (reader->field_bytes == 0) next_field(reader);
  } else {
    status = take_scratch(reader, bytes, error);
  }
  if (status == STATUS_OK && reader->position_bytes == reader->message_bytes)
    status = take_end(reader, error);
  *whole = status == STATUS_OK && reader->state == AT_WHOLE;
  return status;
}

void flight_data_reader_take(struct flight_data_reader *reader, struct flight_data *data) {
  assert(reader->state == AT_WHOLE);
  *data = reader->data;
  reader->data = (struct flight_data){.has_app_metadata = false};
  reader->state = AT_NOTHING;
}
