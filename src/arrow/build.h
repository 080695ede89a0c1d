/* Record batches made value by value: for tests, small results and tools; bulk data
 * comes from the codec. A builder follows a schema (a struct); rows are finished one
 * by one, and every column must have got its value by then. */
#ifndef ARROWPORT_ARROW_BUILD_H
#define ARROWPORT_ARROW_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/schema.h"
#include "base/buffer.h"
#include "base/status.h"

struct build;

/* `schema` is copied. STATUS_UNSUPPORTED names a type that cannot be built (unions,
 * list views, run-end encoding). */
enum status build_new(const struct ArrowSchema *schema, struct budget *budget, struct build **build,
                      struct error *error) WARN_UNUSED;
void build_free(struct build *build); /* NULL is allowed */

/* The builder of a child: of a struct's field, a list's items, a map's entries, a
 * dictionary's values (index 0). Owned by its parent. */
struct build *build_child(struct build *build, int64_t index);

/* One value more for a leaf, or one slot more for a nested column: STATUS_SCHEMA when
 * the value does not fit the type. Integers serve every integer, boolean, date, time,
 * timestamp, duration, interval of months and dictionary index. Bytes serve text,
 * binary, fixed-size binary, decimals (little-endian two's complement) and intervals,
 * and, when they are exactly as many as a value has, every other fixed-width type too
 * (a uint64 past INT64_MAX, a half float). A failure leaves the column as it was.
 *
 * The null of a struct or a fixed-size list gives a null to each child that has got
 * nothing for this slot. Nullability is not enforced: broken producers are built too. */
enum status build_null(struct build *build, struct error *error) WARN_UNUSED;
enum status build_integer(struct build *build, int64_t value, struct error *error) WARN_UNUSED;
enum status build_double(struct build *build, double value, struct error *error) WARN_UNUSED;
enum status build_bytes(struct build *build, const void *data, int64_t bytes,
                        struct error *error) WARN_UNUSED;
/* A struct's slot once its fields have their value; a list's or map's slot once its
 * items of this slot have theirs; the row of the record batch itself. */
enum status build_slot(struct build *build, struct error *error) WARN_UNUSED;

/* Moves what was built to `out` and starts anew, dictionaries included. Called on the
 * builder that build_new made. STATUS_INVALID when columns differ in length. The array
 * may outlive the builder, not the budget. */
enum status build_finish(struct build *build, struct ArrowArray *out,
                         struct error *error) WARN_UNUSED;

#endif
