/* Whether two slots hold the same value although a file lay between them: layouts may differ, and types as
 * far as DuckDB reads another one than was written. */
#ifndef ARROWPORT_FUZZ_SAME_VALUE_H
#define ARROWPORT_FUZZ_SAME_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/schema.h"

/* A slot of an array that is right; `index` does not count the array's offset. */
struct slot {
  const struct ArrowSchema *schema;
  const struct ArrowArray *array;
  int64_t index;
};

/* Goes by way of indices and runs to the value; false: it is null. */
bool slot_resolve(struct slot *slot, struct arrow_type *type);
/* A boolean, an integer, or what a date or time counts; of decimals the lower 128 bits. */
__int128 slot_number(const struct slot *slot, const struct arrow_type *type);
/* Text, binary, also of fixed size. */
const uint8_t *slot_bytes(const struct slot *slot, const struct arrow_type *type, int64_t *bytes);

/* `read` is what DuckDB made of `written`, or another slot that was written. These are equal:
 * - lists of all kinds and maps with the same items; texts and binaries of all kinds;
 * - float16 and the float32 of the same value (DuckDB has no other); a NaN and any other;
 * - dates in days and milliseconds; times and timestamps in other units; a time of day or an instant in
 *   nanoseconds and the microsecond beside it (DuckDB reads no others); a duration and its integer;
 * - a decimal of more than 38 digits and any float64: DuckDB has no such decimals, and where their bytes are
 *   no multiple of 8 it reads them 2^56 and the like too large. */
bool same_value(struct slot written, struct slot read);

#endif
