/* Whether the rows of a load have keys that differ: what most loads by key have, found out without
 * SQL where a key is one whole number. */
#ifndef ARROWPORT_ENGINE_KEYS_H
#define ARROWPORT_ENGINE_KEYS_H

#include "engine/engine.h"

enum keys_verdict {
  KEYS_DISTINCT, /* no NULL, no two that are equal */
  KEYS_DOUBTFUL  /* there may be some, or it was not looked at: ask SQL */
};

/* Of field number `field` of the slices' schema. A key that is no whole number, date, time or timestamp
 * is doubtful, and so are more rows than KEYS_ROWS_MAX, and too little memory. */
enum { KEYS_ROWS_MAX = 1 << 22 };
enum keys_verdict keys_look(const struct ArrowSchema *schema, int64_t field,
                            const struct engine_slice *slices, int64_t slice_count);

#endif
