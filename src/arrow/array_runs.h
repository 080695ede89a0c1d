/* The runs of a run-end encoded array: which one a slot is in. Inside the room only. */
#ifndef ARROWPORT_ARROW_ARRAY_RUNS_H
#define ARROWPORT_ARROW_ARRAY_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/layout.h"

struct array_runs {
  const void *ends;
  int64_t width_bytes;
  int64_t count;
  int64_t run; /* the one that was found last, which is the slot of the values */
};

static inline struct array_runs array_runs_of(const struct layout *layout,
                                              const struct ArrowArray *array) {
  const struct ArrowArray *ends = array->children[RUN_ENDS];
  struct array_runs runs = {.width_bytes = layout->children[RUN_ENDS].type.bit_width / 8,
                            .count = ends->length};
  if (runs.count > 0)
    runs.ends = (const uint8_t *)ends->buffers[1] + ends->offset * runs.width_bytes;
  return runs;
}

/* Where the run ends that was found. */
static inline int64_t array_runs_end(const struct array_runs *runs) {
  return layout_run_end(runs->ends, runs->width_bytes, runs->run);
}

static inline bool array_runs_is_in(const struct array_runs *runs, int64_t slot) {
  return runs->run < runs->count && slot < array_runs_end(runs) &&
         (runs->run == 0 || slot >= layout_run_end(runs->ends, runs->width_bytes, runs->run - 1));
}

/* Finds the run of `slot`, counted from the first run's beginning (the array's offset
 * included): at once where it is the one found last or the next, else by halves. False when
 * there is none, whatever the run ends are. */
static inline bool array_runs_find(struct array_runs *runs, int64_t slot) {
  if (array_runs_is_in(runs, slot)) return true;
  runs->run++;
  if (array_runs_is_in(runs, slot)) return true;
  int64_t low = 0;
  int64_t high = runs->count;
  while (low < high) {
    runs->run = low + (high - low) / 2;
    if (array_runs_end(runs) > slot)
      high = runs->run;
    else
      low = runs->run + 1;
  }
  runs->run = low;
  return array_runs_is_in(runs, slot);
}

#endif
