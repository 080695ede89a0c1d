/* What the files that implement include/arrowport/ share. */
#ifndef ARROWPORT_SOURCE_PUBLIC_H
#define ARROWPORT_SOURCE_PUBLIC_H

#include <stddef.h>

#include "arrowport/arrowport.h"
#include "base/buffer.h"
#include "base/status.h"

/* The end of every public function: `why` goes to the caller, who may not want to know. */
enum arrowport_status public_status(enum status status, const struct error *why,
                                    struct arrowport_error *error);

/* Options as they are compiled here, of `bytes` bytes, from what a caller gave who may have
 * been compiled with an earlier header, or a later one; NULL: all defaults. `function` is for
 * messages. STATUS_INVALID without a struct_size; STATUS_UNSUPPORTED when something is set that
 * is not known here. */
enum status public_options(const void *given, const char *function, void *options, size_t bytes,
                           struct error *error) WARN_UNUSED;

/* STATUS_INVALID when `pointer`, which `what` names, is NULL. */
enum status public_need(const void *pointer, const char *what, struct error *error) WARN_UNUSED;

/* Memory limit and threads as options give them, 0 being the default of each. */
enum status public_memory(int64_t memory_bytes_max, int64_t *limit_bytes,
                          struct error *error) WARN_UNUSED;
enum status public_threads(int wanted, int *threads, struct error *error) WARN_UNUSED;

/* A budget that outlives the one who made it: after public_budget_close it stays until all
 * that is charged to it has been given back, on whichever thread. */
enum status public_budget_new(int64_t limit_bytes, struct budget **budget,
                              struct error *error) WARN_UNUSED;
void public_budget_close(struct budget *budget); /* NULL is allowed */

#endif
