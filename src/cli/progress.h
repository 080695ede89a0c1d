/* How far an `ingest` is, for somebody at a terminal: one line on standard error, drawn anew a
 * few times a second and erased at the end. Nothing at all when nobody looks. */
#ifndef ARROWPORT_CLI_PROGRESS_H
#define ARROWPORT_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
  const char *name;
  bool shown;
  int64_t begin_ms;
  int64_t next_ms; /* when it is drawn again */
};

void progress_begin(struct progress *progress, const char *name, bool wanted);
/* `bytes` 0: not known; `fraction` 0 to 1, negative: not known. */
void progress_step(struct progress *progress, int64_t rows, int64_t bytes, double fraction);
/* Erases the line. May be called again. */
void progress_end(struct progress *progress);
double progress_seconds(const struct progress *progress); /* since it began */

#endif
