/* The sink that keeps nothing: batches are checked, counted and dropped. */
#ifndef ARROWPORT_SINK_NULL_H
#define ARROWPORT_SINK_NULL_H

#include "sink/sink.h"

extern const struct sink_type SINK_NULL;

#endif
