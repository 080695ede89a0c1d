#include "server/query_line.h"

#include <stddef.h>

enum { RETRY_MS = 1000 };

enum status query_line_enter(struct query_line *line, int64_t running_max, struct query_turn *turn,
                             struct error *error) {
  if (line->waiting >= QUERY_LINE_MAX) {
    error_set(error, STATUS_UNAVAILABLE,
              "%d statements wait for their turn already (query.concurrent_max run at a time); "
              "try again later",
              (int)QUERY_LINE_MAX);
    if (error != NULL) error->retry_after_ms = RETRY_MS;
    return STATUS_UNAVAILABLE;
  }
  if (line->running < running_max && line->first == NULL) {
    line->running++;
    turn->start(turn->context);
    return STATUS_OK;
  }
  turn->waits = true;
  turn->next = NULL;
  turn->previous = line->last;
  if (line->last != NULL)
    line->last->next = turn;
  else
    line->first = turn;
  line->last = turn;
  line->waiting++;
  return STATUS_OK;
}

void query_line_leave(struct query_line *line, struct query_turn *turn) {
  if (!turn->waits) return;
  turn->waits = false;
  line->waiting--;
  if (turn->previous != NULL)
    turn->previous->next = turn->next;
  else
    line->first = turn->next;
  if (turn->next != NULL)
    turn->next->previous = turn->previous;
  else
    line->last = turn->previous;
}

void query_line_done(struct query_line *line, int64_t running_max) {
  line->running--;
  while (line->first != NULL && line->running < running_max) {
    struct query_turn *turn = line->first;
    query_line_leave(line, turn);
    line->running++;
    turn->start(turn->context);
  }
}
