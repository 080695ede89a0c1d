/* What a DoPut of rows acknowledges: for each commit a PutResult whose app_metadata is JSON (docs/
 * flight.md, "Acknowledgements"). What comes from workers waits here for the loop; a client that does not
 * read gets several in one. */
#ifndef ARROWPORT_SERVER_FLIGHT_ACKS_H
#define ARROWPORT_SERVER_FLIGHT_ACKS_H

#include "base/buffer.h"
#include "base/text.h"
#include "pipeline/pipeline.h"

struct flight_acks;

enum status flight_acks_new(struct flight_acks **acks, struct error *error) WARN_UNUSED;
void flight_acks_free(struct flight_acks *acks); /* NULL is allowed */

/* The loop: a message with app_metadata came, when so many batches (itself, if it is one) had come; the
 * metadata is taken over, and comes back with the commit that holds them. */
enum status flight_acks_note(struct flight_acks *acks, int64_t batches, struct buffer *metadata,
                             struct error *error) WARN_UNUSED;
/* A worker: so far it has got. Without memory it is told with the next one. */
void flight_acks_offset(struct flight_acks *acks, const struct intake_offset *offset);

struct flight_acks_about {
  const char *stream;
  const char *table;
  bool durable;
};
/* The loop: the next acknowledgement as JSON; false: there is none now. `all`: those that wait are put
 * into one. */
bool flight_acks_next(struct flight_acks *acks, const struct flight_acks_about *about, bool all,
                      struct text *json);
/* The loop: the load is committed. False: all of it has been acknowledged already. */
bool flight_acks_last(struct flight_acks *acks, const struct flight_acks_about *about,
                      const struct load_result *result, struct text *json);

#endif
