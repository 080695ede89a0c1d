/* Arrays of the C data interface as values: whether they are what they say, whether two
 * hold the same, a part of one, and how one looks. Whoever made them, in this process or
 * elsewhere: nothing but the interface's own rules is relied upon.
 *
 * All follow the schema, a struct or any other type; arrays may be slices (offset > 0). */
#ifndef ARROWPORT_ARROW_ARRAY_H
#define ARROWPORT_ARROW_ARRAY_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "base/status.h"
#include "base/text.h"

enum array_check {
  ARRAY_CHECK_SHAPE, /* buffers, children, dictionaries, lengths: constant time a column */
  ARRAY_CHECK_FULL   /* also every offset, null count, view, index, type id, run end, UTF-8 */
};

/* Whether the array is one of the schema. The interface does not say how long buffers are,
 * so what lies beyond an array's last offset cannot be seen. STATUS_INVALID names the field
 * ("'a'.'item'") and the reason; STATUS_NOMEM. */
enum status arrow_array_check(const struct ArrowSchema *schema, const struct ArrowArray *array,
                              enum array_check check, struct error *error) WARN_UNUSED;

/* Whether both hold the same values: the same rows, nulls where the other has nulls, floats
 * bit by bit. How they are laid out does not matter: slices, unused bytes, other dictionaries
 * with the same values at the indices (a null among them is a null), other runs, other
 * views. Both must have passed arrow_array_check. `where` (NULL is allowed) says the first row
 * that differs, the field in it, and what both hold; without memory for the schema's tree the
 * answer is no, and the status there STATUS_NOMEM. */
bool arrow_array_equal(const struct ArrowSchema *schema, const struct ArrowArray *left,
                       const struct ArrowArray *right, struct error *where);

/* Rows [offset, offset + rows) of `array` without copying values, as C producers slice: by
 * its offset; a record batch, a struct without a bitmap of its own, by its children's, so
 * that its own is 0. Takes what `array` holds on STATUS_OK; on failure the caller keeps it.
 * STATUS_INVALID when the rows are not inside; STATUS_NOMEM. */
enum status arrow_array_slice(const struct ArrowSchema *schema, struct ArrowArray *array,
                              int64_t offset, int64_t rows, struct ArrowArray *out,
                              struct error *error) WARN_UNUSED;

/* Appends a small table for people: heads, types, at most `rows_max` rows and how many more
 * there are, no line wider than `width` characters. A record batch (struct) has a column for
 * each field, another array one. STATUS_INVALID when the array is not of the schema;
 * STATUS_BUDGET, STATUS_NOMEM. */
enum status arrow_array_print(const struct ArrowSchema *schema, const struct ArrowArray *array,
                              int64_t rows_max, size_t width, struct text *out,
                              struct error *error) WARN_UNUSED;

#endif
