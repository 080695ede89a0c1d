/* Adding to a plan, for those who walk over arrays. Inside the room only. */
#ifndef ARROWPORT_ARROW_IPC_PLAN_PIECES_H
#define ARROWPORT_ARROW_IPC_PLAN_PIECES_H

#include <stdint.h>

#include "arrow/ipc_plan.h"
#include "arrow/layout.h"
#include "base/status.h"

enum status ipc_plan_add_node(struct ipc_plan *plan, int64_t length, int64_t null_count,
                              struct error *error) WARN_UNUSED;

/* A buffer that has no bytes: a validity bitmap of no nulls. */
enum status ipc_plan_add_nothing(struct ipc_plan *plan, struct error *error) WARN_UNUSED;

enum status ipc_plan_add_bits(struct ipc_plan *plan, const void *bits, int64_t start, int64_t count,
                              struct error *error) WARN_UNUSED;

/* The values of slots [begin, begin + length), `width` bytes each. STATUS_INVALID, which
 * names the column, when they cannot be: a length below 0, no memory they could lie in. */
enum status ipc_plan_add_values(struct ipc_plan *plan, const struct layout *layout,
                                const void *values, int64_t begin, int64_t length, int64_t width,
                                struct error *error) WARN_UNUSED;

/* Likewise integers of 2, 4 or 8 bytes, `less` taken off each and then kept in [0, limit];
 * as they are when `less` is 0 and `is_within` says that they are in there. */
enum status ipc_plan_add_shifted(struct ipc_plan *plan, const struct layout *layout,
                                 const void *values, int64_t begin, int64_t length, int width,
                                 int64_t less, int64_t limit, bool is_within,
                                 struct error *error) WARN_UNUSED;

/* The offsets of a dense union's slots [begin, begin + length), less `bases` (UNION_CODES of
 * them) of their type ids. */
enum status ipc_plan_add_union_offsets(struct ipc_plan *plan, const struct layout *layout,
                                       const int32_t *offsets, const int8_t *codes, int64_t begin,
                                       int64_t length, const int32_t *bases,
                                       struct error *error) WARN_UNUSED;

/* Of an array of views. */
enum status ipc_plan_add_variadic(struct ipc_plan *plan, int64_t count,
                                  struct error *error) WARN_UNUSED;

#endif
