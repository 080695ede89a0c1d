#include "base/charged.h"

#include <stdint.h>
#include <stdlib.h>

/* Before each piece: how much of the budget it has. */
union head {
  size_t bytes;
  max_align_t alignment;
};

void *charged_alloc(struct charged *charged, size_t bytes) {
  charged->is_refused = bytes > (size_t)INT64_MAX - sizeof(union head);
  if (charged->is_refused) return NULL;
  size_t all_bytes = sizeof(union head) + bytes;
  charged->is_refused = budget_take(charged->budget, (int64_t)all_bytes, NULL) != STATUS_OK;
  if (charged->is_refused) return NULL;
  union head *made = malloc(all_bytes);
  if (made == NULL) {
    budget_give(charged->budget, (int64_t)all_bytes);
    return NULL;
  }
  made->bytes = all_bytes;
  return made + 1;
}

void charged_free(struct charged *charged, void *address) {
  if (address == NULL) return;
  union head *made = (union head *)address - 1;
  budget_give(charged->budget, (int64_t)made->bytes);
  free(made);
}

enum status charged_failed(const struct charged *charged, const char *what, struct error *error) {
  if (charged->is_refused)
    return error_set(error, STATUS_BUDGET, "no room for %s in the memory limit", what);
  return error_set(error, STATUS_NOMEM, "no memory for %s", what);
}
