/* What the files that implement include/arrowport/flight.h share. */
#ifndef ARROWPORT_SOURCE_PUBLIC_FLIGHT_H
#define ARROWPORT_SOURCE_PUBLIC_FLIGHT_H

#include <stdatomic.h>

#include "arrowport/flight.h"
#include "flight/client.h"
#include "source/source.h"
#include "source/public.h"

/* Streams hold it too: it goes with the last of them. */
struct arrowport_flight {
  struct flight_client *client;
  struct budget *budget;
  _Atomic int owners;
};
void public_flight_hold(struct arrowport_flight *flight);
void public_flight_release(void *flight);

struct arrowport_flight_transaction {
  struct flight_client_handle handle;
  bool is_savepoint;
};

/* A call's options in the house's own form; released by public_call_release. */
struct public_call {
  struct flight_call_options options;
  struct http_header *headers;
};
enum status public_call_read(const struct arrowport_flight_call *given, struct public_call *call,
                             struct error *error) WARN_UNUSED;
void public_call_release(struct public_call *call);

/* A copy of settings as headers (the texts are the caller's); NULL for none. */
enum status public_settings(const struct arrowport_setting *settings, size_t count,
                            const char *what, struct http_header **copy,
                            struct error *error) WARN_UNUSED;

enum status public_compression(int compression, int level, struct ipc_writer_options *options,
                               struct error *error) WARN_UNUSED;

/* The reader as a stream that holds the client; the reader is taken in any case. */
enum status public_stream(struct arrowport_flight *flight, struct flight_reader *reader,
                          struct ArrowArrayStream *stream, struct error *error) WARN_UNUSED;

/* All batches of the stream to the put; counts the rows. */
enum status public_put_rows(struct source *source, struct flight_upload *put, int64_t *rows,
                            struct error *error) WARN_UNUSED;

#endif
