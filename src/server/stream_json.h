/* The body of POST /stream/{stream} as its bytes come, without I/O:
 *
 *   {"config": {...}, "batch": {"arrow_schema": "base64", "data": "base64"}}
 *
 * Members may come in any order. The config is collected as text, the schema decoded into
 * memory, both within limits; the data, which may be of any size, is decoded into room that the
 * caller gives and is never held. Strict (RFC 8259): every byte is looked at, no member comes
 * twice, none is unknown. */
#ifndef ARROWPORT_SERVER_STREAM_JSON_H
#define ARROWPORT_SERVER_STREAM_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"
#include "base/text.h"

enum {
  STREAM_JSON_CONFIG_BYTES_MAX = 64 << 10, /* a config is small; what is not is a mistake */
  STREAM_JSON_SCHEMA_BYTES_MAX = 17 << 20, /* the largest schema message (ipc_limits) */
  STREAM_JSON_DEPTH_MAX = 16,              /* of the config */
};

struct stream_json;

enum stream_json_event {
  STREAM_JSON_MORE,   /* all bytes are used: more are needed, or it is over */
  STREAM_JSON_ROOM,   /* bytes of the data wait for room */
  STREAM_JSON_CONFIG, /* stream_json_config is there now */
  STREAM_JSON_SCHEMA, /* stream_json_schema is there now */
  STREAM_JSON_DATA    /* the data is over; all of it was handed out */
};

/* The schema's bytes are charged to `budget`, which must outlive it. */
enum status stream_json_new(struct budget *budget, struct stream_json **json,
                            struct error *error) WARN_UNUSED;
void stream_json_free(struct stream_json *json); /* NULL is allowed */

/* True inside the data: only then is room of use. */
bool stream_json_in_data(const struct stream_json *json);

/* Reads from `in` until something is to be told; `*used` bytes of it were read. Bytes of the data
 * go to `out`, `*made` of at most `room` (with whatever event). STATUS_INVALID says at which byte
 * of the body and what, STATUS_TOO_LARGE, STATUS_BUDGET, STATUS_NOMEM; the reader is of no use
 * then. */
enum status stream_json_feed(struct stream_json *json, const uint8_t *in, int64_t in_bytes,
                             int64_t *used, uint8_t *out, int64_t room, int64_t *made,
                             enum stream_json_event *event, struct error *error) WARN_UNUSED;

/* The bytes are over. STATUS_INVALID unless the object is whole and has config and data. */
enum status stream_json_finish(const struct stream_json *json, struct error *error) WARN_UNUSED;

/* The text of the member `config`, an object as far as its brackets tell. */
const struct text *stream_json_config(const struct stream_json *json);
/* What `arrow_schema` says, decoded; empty before it has come. */
const struct buffer *stream_json_schema(const struct stream_json *json);
bool stream_json_has_config(const struct stream_json *json);
bool stream_json_has_schema(const struct stream_json *json);

#endif
