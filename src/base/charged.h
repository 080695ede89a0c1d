/* What libraries allocate for themselves, charged to a budget. */
#ifndef ARROWPORT_BASE_CHARGED_H
#define ARROWPORT_BASE_CHARGED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/* Where one library's context gets its memory; used by one thread at a time. */
struct charged {
  struct budget *budget;
  bool is_refused; /* the budget had no room for what was asked for last */
};

/* NULL: refused, or there is none. The memory begins at a multiple that suits every type. */
void *charged_alloc(struct charged *charged, size_t bytes);
void charged_free(struct charged *charged, void *address); /* NULL is allowed */

/* Why the last allocation failed: STATUS_BUDGET or STATUS_NOMEM; `what` is what it was for. */
enum status charged_failed(const struct charged *charged, const char *what,
                           struct error *error) WARN_UNUSED;

#endif
