/* What a writer knows of the dictionaries that its reader has. Inside the room only.
 *
 * What was sent last is kept, and compared with what a batch brings. That an array lies where
 * the last one lay proves nothing: the batch that brought it may be gone and its memory used
 * anew. */
#ifndef ARROWPORT_ARROW_IPC_DICTIONARIES_H
#define ARROWPORT_ARROW_IPC_DICTIONARIES_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/ipc_plan.h"
#include "arrow/layout.h"
#include "base/buffer.h"
#include "base/status.h"

struct ipc_dictionaries;

struct ipc_dictionary_rules {
  bool deltas;          /* of one that has grown, only what is new is sent */
  bool no_replacements; /* one that was sent cannot become another */
};

/* NULL when the layout, which must outlive them, has none. */
enum status ipc_dictionaries_new(const struct layout *layout, int64_t node_count,
                                 const struct ipc_dictionary_rules *rules, struct budget *budget,
                                 struct ipc_dictionaries **dictionaries,
                                 struct error *error) WARN_UNUSED;
void ipc_dictionaries_free(struct ipc_dictionaries *dictionaries); /* NULL is allowed */

/* Takes what is in the plan to be the values of dictionary `id`, or more of them. */
typedef enum status (*ipc_dictionary_send)(void *context, int64_t id, bool is_delta,
                                           struct error *error);

/* Plans and sends each dictionary of the batch that the reader lacks, or has otherwise;
 * those of a dictionary's values before it, for a reader needs them in that order. STATUS_INVALID
 * when the array is not of the layout; STATUS_UNSUPPORTED, which names the column, when one would
 * have to be replaced and cannot; STATUS_BUDGET; STATUS_NOMEM; what `send` returns. */
enum status ipc_dictionaries_update(struct ipc_dictionaries *dictionaries,
                                    const struct ArrowArray *batch, struct ipc_plan *plan,
                                    ipc_dictionary_send send, void *context,
                                    struct error *error) WARN_UNUSED;

/* After each update: whether what was sent has become part of the output, or is forgotten. */
void ipc_dictionaries_settle(struct ipc_dictionaries *dictionaries, bool went_well);

#endif
