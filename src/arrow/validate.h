/* Whether the values of a node can be used: what offsets, bitmaps and indices say is
 * compared with what is there. Inside the room only. All return STATUS_OK, or
 * STATUS_INVALID with the reason. */
#ifndef ARROWPORT_ARROW_VALIDATE_H
#define ARROWPORT_ARROW_VALIDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/schema.h"
#include "base/status.h"

/* `length` + 1 offsets of 4 or 8 bytes: from 0 or more on, never falling, and not past
 * `limit`. */
enum status validate_offsets(const void *offsets, int64_t offset_bytes, int64_t length,
                             int64_t limit, struct error *error) WARN_UNUSED;

/* Each text between two offsets (validated before) is UTF-8 by itself; what nulls
 * point to does not matter. `validity` NULL: there are none. */
enum status validate_utf8(const void *offsets, int64_t offset_bytes, const uint8_t *data,
                          const uint8_t *validity, int64_t length, struct error *error) WARN_UNUSED;

/* Each view that is not null lies in one of `data_count` data buffers of `sizes` bytes,
 * its prefix is what is there, and it is UTF-8 if it is to be `text`. */
enum status validate_views(const void *views, const uint8_t *const *data, const int64_t *sizes,
                           int64_t data_count, const uint8_t *validity, int64_t length, bool text,
                           struct error *error) WARN_UNUSED;

/* `length` offsets and sizes of `width_bytes` 4 or 8, those of null slots too: each list lies
 * inside `limit` items. */
enum status validate_list_views(const void *offsets, const void *sizes, int64_t width_bytes,
                                int64_t length, int64_t limit, struct error *error) WARN_UNUSED;

/* Each type id stands for a child (`child_of_code`, see layout.h), and with `offsets`, as a
 * dense union has them, the slot that it names is one of that child's, and not before the one
 * that was named last ("Dense Union": offsets of each child are in order). */
enum status validate_union(const int8_t *type_ids, const int32_t *offsets, int64_t length,
                           const int8_t *child_of_code, struct ArrowArray *const *children,
                           struct error *error) WARN_UNUSED;

/* `count` run ends of `width_bytes` 2, 4 or 8: from 1 or more on, always rising, and the last
 * not before `length`. */
enum status validate_run_ends(const void *ends, int64_t width_bytes, int64_t count, int64_t length,
                              struct error *error) WARN_UNUSED;

/* Each index of `kind` that is not null is in [0, limit). */
enum status validate_indices(const void *indices, enum arrow_kind kind, const uint8_t *validity,
                             int64_t length, int64_t limit, struct error *error) WARN_UNUSED;

#endif
