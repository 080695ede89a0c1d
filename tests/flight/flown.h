/* What a FlightData writer sends, and what a reader makes of it again. Every call fails the running
 * test when it cannot be done. */
#ifndef ARROWPORT_TESTS_FLIGHT_FLOWN_H
#define ARROWPORT_TESTS_FLIGHT_FLOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "flight/data.h"

/* What all of it is charged to. */
extern struct budget flown_budget;

enum { FLOWN_PIECES_MAX = 8192 };

/* Pieces as they were sent. */
struct flown {
  struct buffer pieces[FLOWN_PIECES_MAX];
  int count;
  int refuse_at; /* the piece with this number is refused with STATUS_CANCELLED; 0: none is */
};
struct flight_out flown_out(struct flown *flown);
/* All bytes one behind the other; the caller's to release. */
struct buffer flown_bytes(const struct flown *flown);
void flown_release(struct flown *flown);

/* A stream of gRPC messages read through windows, of which at most `step_bytes` are filled at a time
 * (0: all). */
struct flown_reading {
  struct flight_data_reader *reader;
  const uint8_t *data;
  int64_t bytes; /* left */
  int64_t step_bytes;
};
/* False: there is no further message. */
bool flown_next(struct flown_reading *reading, struct flight_data *data);
enum status flown_try_next(struct flown_reading *reading, struct flight_data *data,
                           struct error *error);

/* An IPC stream's schema and batches. */
enum { FLOWN_BATCHES_MAX = 4096 };
struct flown_batches {
  struct ArrowSchema schema;
  struct ArrowArray batches[FLOWN_BATCHES_MAX];
  int count;
};
/* Of a file of tests/data. */
void flown_load(const char *path, struct flown_batches *batches);
/* Of FlightData messages. */
void flown_decode(const struct buffer *bytes, int64_t step_bytes, struct flown_batches *batches);
void flown_batches_release(struct flown_batches *batches);

#endif
