/* FlightData by hand, in both directions (Flight.proto, message FlightData): so that the bytes of a
 * record batch's body go from the HTTP/2 frames straight into the aligned buffer that its arrays will
 * point into, and out from the arrays' own buffers. Bytes in, messages out, and back; no I/O. */
#ifndef ARROWPORT_FLIGHT_DATA_H
#define ARROWPORT_FLIGHT_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/ipc.h"
#include "base/buffer.h"
#include "base/status.h"

/* ---- reading ------------------------------------------------------------------------------- */

/* One FlightData. Whoever holds it releases it. */
struct flight_data {
  struct buffer descriptor;   /* of flight_descriptor, protobuf; empty: none came */
  struct ipc_message message; /* data_header and data_body; without metadata: there is none */
  struct buffer app_metadata; /* empty and `has_app_metadata` false: none came */
  bool has_app_metadata;
};
void flight_data_release(struct flight_data *data);

struct flight_data_reader;

enum { FLIGHT_SMALL_BYTES_MAX = 1 << 20 }; /* of a descriptor, of app_metadata */

/* Limits: a message's header as limits->metadata_bytes_max, its body as body_bytes_max. `budget` is
 * charged for what messages hold, and outlives them. */
enum status flight_data_reader_new(const struct ipc_limits *limits, struct budget *budget,
                                   struct flight_data_reader **reader,
                                   struct error *error) WARN_UNUSED;
void flight_data_reader_free(struct flight_data_reader *reader); /* NULL is allowed */

/* A gRPC message of `bytes` bytes begins; the one before was taken. STATUS_TOO_LARGE. */
enum status flight_data_reader_begin(struct flight_data_reader *reader, int64_t bytes,
                                     struct error *error) WARN_UNUSED;
/* Where its next bytes go, at least one (never more than are left of the message). The room grows with
 * what has arrived, never with what a length announced. STATUS_BUDGET: no memory now, call again. */
enum status flight_data_reader_window(struct flight_data_reader *reader, uint8_t **data,
                                      int64_t *bytes, struct error *error) WARN_UNUSED;
/* What the next window would take from the budget (0: nothing), and what is held. */
int64_t flight_data_reader_wants(const struct flight_data_reader *reader);
int64_t flight_data_reader_held(const struct flight_data_reader *reader);
/* So many bytes were put there. `*whole`: the message is, take it. Fields that are not known are
 * skipped; a field that comes twice: the last one holds, as protobuf says. STATUS_INVALID names the
 * field and the byte: the reader is of no use then. A message of 0 bytes is whole at once: call with 0. */
enum status flight_data_reader_filled(struct flight_data_reader *reader, int64_t bytes, bool *whole,
                                      struct error *error) WARN_UNUSED;
void flight_data_reader_take(struct flight_data_reader *reader, struct flight_data *data);

/* ---- writing ------------------------------------------------------------------------------- */

/* What is sent, piece by piece, in order: each buffer is the receiver's, also when it fails. A failure
 * stops the writer and is what its function then returns; it is not STATUS_BUDGET, which would say that
 * nothing was sent. */
struct flight_out {
  enum status (*piece)(void *context, struct buffer *piece, struct error *error);
  void *context;
};

/* Writes the schema, and batches with their dictionaries, each as one gRPC message (with its 5-byte
 * prefix) that holds one FlightData. Bodies that need no change are the arrays' own buffers. */
struct flight_writer;
/* `options` NULL: no compression. */
enum status flight_writer_new(const struct ArrowSchema *schema,
                              const struct ipc_writer_options *options, struct budget *budget,
                              struct flight_writer **writer, struct error *error) WARN_UNUSED;
void flight_writer_free(struct flight_writer *writer); /* pieces live on; NULL is allowed */

/* Batches are cut by rows so that a message has about so many bytes at most, counted before
 * compression: clients of grpc-go and tonic take 4 MiB unless told otherwise. Without it only what no
 * message can hold, 2 GiB, is cut. The columns stay where they are: a cut costs some hundred bytes. */
enum { FLIGHT_MESSAGE_BYTES_MODEST = 4 << 20 };
void flight_writer_cut(struct flight_writer *writer, int64_t message_bytes);

/* `descriptor` (protobuf; NULL: none) goes with the schema, as a DoPut begins. */
enum status flight_writer_schema(struct flight_writer *writer, const struct buffer *descriptor,
                                 const struct flight_out *out, struct error *error) WARN_UNUSED;
/* Takes the batch over; it is released with the last piece that is of it, on whichever thread.
 * `app_metadata` (NULL: none) goes with the batch itself, with its last rows where it is cut.
 * STATUS_BUDGET alone: nothing was sent and the batch is still the caller's, the call may be
 * repeated. STATUS_INVALID: the batch is not of the schema; STATUS_TOO_LARGE: a row or a dictionary of
 * 2 GiB; STATUS_NOMEM: nothing was sent. */
enum status flight_writer_batch(struct flight_writer *writer, struct ArrowArray *batch,
                                const struct buffer *app_metadata, const struct flight_out *out,
                                struct error *error) WARN_UNUSED;
/* A FlightData with nothing but app_metadata (and perhaps a descriptor). */
enum status flight_write_metadata(const struct buffer *app_metadata,
                                  const struct buffer *descriptor, const struct flight_out *out,
                                  struct error *error) WARN_UNUSED;

/* A schema as FlightInfo, SchemaResult and prepared statements hold it: an encapsulated IPC message. */
enum status flight_schema_bytes(const struct ArrowSchema *schema, struct buffer *out,
                                struct error *error) WARN_UNUSED;
/* The other way; `schema` is released by the caller. STATUS_INVALID. */
enum status flight_schema_read(const void *data, size_t bytes, struct ArrowSchema *schema,
                               struct error *error) WARN_UNUSED;

#endif
