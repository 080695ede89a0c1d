/* What a DoPut or DoExchange of rows asks for: its descriptor's path, or the JSON in its command. No
 * I/O. docs/flight.md has the members. */
#ifndef ARROWPORT_SERVER_FLIGHT_ROWS_H
#define ARROWPORT_SERVER_FLIGHT_ROWS_H

#include <stdbool.h>

#include "base/status.h"
#include "flight/messages.h"
#include "server/ingest_ask.h"

enum flight_commit {
  FLIGHT_COMMIT_WATERMARK, /* on the way, whenever enough has come */
  FLIGHT_COMMIT_BATCH,     /* each record batch */
  FLIGHT_COMMIT_STREAM     /* once, at the end: all or nothing */
};

struct flight_rows {
  char *stream;
  struct ingest_ask ask; /* mode, keys, duplicates */
  char *token;           /* NULL: none */
  char *sql;             /* of a DoExchange: what becomes of the rows; NULL: they land */
  enum flight_commit commit;
  bool resume; /* the client goes on where the last stream of the token has ended */
};

/* True for a command that is JSON. */
bool flight_rows_is_json(const ProtobufCBinaryData *command);
/* `rows` is safe to release whatever happens. STATUS_INVALID names the member. */
enum status flight_rows_read(struct flight_rows *rows, const FlightDescriptor *descriptor,
                             struct error *error) WARN_UNUSED;
void flight_rows_release(struct flight_rows *rows);

#endif
