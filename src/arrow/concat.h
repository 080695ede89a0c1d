/* Several arrays of one layout as one: dictionaries that grow. Inside the room only. */
#ifndef ARROWPORT_ARROW_CONCAT_H
#define ARROWPORT_ARROW_CONCAT_H

#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/layout.h"
#include "arrow/schema.h"
#include "base/buffer.h"
#include "base/status.h"

/* The values of `parts`, one array behind the other; what they hold is copied, but for the
 * data of views and for dictionaries, which the result shares. The parts stay the caller's
 * and must be valid arrays of `layout`.
 * STATUS_TOO_LARGE when 32-bit offsets, or a dictionary's indices, cannot reach all of it;
 * STATUS_BUDGET, STATUS_NOMEM. */
enum status arrow_concat(const struct layout *layout, struct arrow_shared *const *parts,
                         int64_t count, struct budget *budget, struct ArrowArray *out,
                         struct error *error) WARN_UNUSED;

#endif
