/* Statements that wait for their turn: so many run at a time, the others wait in the order in
 * which they came, and beyond a limit they are refused. Only the loop's thread. */
#ifndef ARROWPORT_SERVER_QUERY_LINE_H
#define ARROWPORT_SERVER_QUERY_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

enum { QUERY_LINE_MAX = 1000 }; /* that wait: each holds a connection and a statement's text */

struct query_turn {
  void (*start)(void *context); /* it is its turn */
  void *context;
  struct query_turn *next, *previous; /* private from here on */
  bool waits;
};

struct query_line {
  struct query_turn *first, *last;
  int64_t running, waiting;
};

/* Calls `start` now or later. STATUS_UNAVAILABLE when too many wait. */
enum status query_line_enter(struct query_line *line, int64_t running_max, struct query_turn *turn,
                             struct error *error) WARN_UNUSED;
/* A turn that waits is given up; one that does not is left alone. */
void query_line_leave(struct query_line *line, struct query_turn *turn);
/* One that ran is done: as many start as there is room for. */
void query_line_done(struct query_line *line, int64_t running_max);

#endif
