/* The dictionaries that a decoder knows (Columnar format, "Dictionary Messages"). Inside the
 * room only.
 *
 * A dictionary is replaced by another one, or grows by deltas. Deltas are put aside until
 * somebody wants the values: a file's thousand deltas are then joined once, not a thousand
 * times. Batches that were decoded before keep the values that they were given. */
#ifndef ARROWPORT_ARROW_IPC_MEMO_H
#define ARROWPORT_ARROW_IPC_MEMO_H

#include <stdint.h>

#include "arrow/ipc_schema.h"
#include "arrow/layout.h"
#include "arrow/schema.h"
#include "base/buffer.h"
#include "base/status.h"

struct ipc_dictionary {
  int64_t id;
  const struct layout *values;
  struct arrow_shared **parts; /* the first one, then its deltas; none until one has come */
  int64_t part_count;
  int64_t part_capacity;
  int64_t length; /* of all parts */
};

struct ipc_memo {
  struct ipc_dictionary *list; /* ordered by id, each once */
  int64_t count;
  int32_t *of_node; /* by layout index; -1: not encoded */
};

/* A place for each dictionary of the schema; `ids` are those of its encoded fields, in the
 * order of ipc_schema_read. STATUS_INVALID when fields of other values share one. */
enum status ipc_memo_init(struct ipc_memo *memo, const struct layout *layout, int64_t node_count,
                          const struct ipc_dictionary_ids *ids, struct error *error) WARN_UNUSED;
void ipc_memo_release(struct ipc_memo *memo);

/* NULL when the schema has no dictionary of that id. */
struct ipc_dictionary *ipc_memo_find(const struct ipc_memo *memo, int64_t id);

/* That of an encoded node. */
static inline struct ipc_dictionary *ipc_memo_of(const struct ipc_memo *memo,
                                                 const struct layout *node) {
  return &memo->list[memo->of_node[node->index]];
}

/* Each takes `values` on STATUS_OK. STATUS_INVALID: a delta to a dictionary that has not
 * come; STATUS_TOO_LARGE past INT32_MAX values. */
enum status ipc_memo_replace(struct ipc_dictionary *dictionary, struct arrow_shared *values,
                             struct error *error) WARN_UNUSED;
enum status ipc_memo_extend(struct ipc_dictionary *dictionary, struct arrow_shared *values,
                            struct error *error) WARN_UNUSED;

/* The values as one array, the dictionary's; NULL when it has not come. Errors of
 * arrow_concat; STATUS_BUDGET may be repeated. */
enum status ipc_memo_values(struct ipc_dictionary *dictionary, struct budget *budget,
                            struct arrow_shared **values, struct error *error) WARN_UNUSED;

#endif
