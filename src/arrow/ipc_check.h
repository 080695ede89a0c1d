/* What a batch's values say, looked at once all of its arrays are in place: column by column,
 * for a large batch on several threads. Inside the room only. */
#ifndef ARROWPORT_ARROW_IPC_CHECK_H
#define ARROWPORT_ARROW_IPC_CHECK_H

#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/layout.h"
#include "base/status.h"
#include "base/workers.h"

struct ipc_check {
  const struct layout *node;
  const struct ArrowArray *array;
  int64_t data_bytes; /* of text and binary with offsets: how long their data is */
};

/* To be made; kept from batch to batch for its room. All 0 is empty. */
struct ipc_checks {
  struct ipc_check *list;
  int64_t count;
  int64_t capacity;
};

void ipc_checks_release(struct ipc_checks *checks);

/* STATUS_NOMEM. */
enum status ipc_checks_add(struct ipc_checks *checks, struct ipc_check check,
                           struct error *error) WARN_UNUSED;

/* Makes all of them; with `workers` (NULL: none) on other threads too. STATUS_INVALID tells of
 * the first that fails, and where below `root` its field is; it is the same with any number of
 * threads. */
enum status ipc_checks_run(const struct ipc_checks *checks, const struct layout *root,
                           struct workers *workers, struct error *error) WARN_UNUSED;

#endif
