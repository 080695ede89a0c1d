/* Rows of a Flight server as a source. */
#ifndef ARROWPORT_SOURCE_FLIGHT_SOURCE_H
#define ARROWPORT_SOURCE_FLIGHT_SOURCE_H

#include "flight/client.h"
#include "source/source.h"

/* A source over a reader, which is the source's from now on, also after a failure. `close` (NULL is
 * allowed) is called with `context` when the source has closed it; also after a failure. */
enum status source_open_flight(struct flight_reader *reader, void (*close)(void *context),
                               void *context, struct source **source,
                               struct error *error) WARN_UNUSED;

#endif
