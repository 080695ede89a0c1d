/* What stands between the public API and the house: statuses, options of any version, budgets
 * whose owners are gone. */
#include "source/public.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/workers.h"

enum { MEMORY_BYTES_DEFAULT = 1 << 30 };

/* One table serves both: the public numbers are the house's own. */
_Static_assert((int)ARROWPORT_INVALID == (int)STATUS_INVALID, "status numbers differ");
_Static_assert((int)ARROWPORT_UNKNOWN == (int)STATUS_UNKNOWN, "status numbers differ");
_Static_assert((int)ARROWPORT_INTERNAL == (int)STATUS_INTERNAL, "status numbers differ");
_Static_assert(sizeof((struct arrowport_error *)0)->text == ERROR_TEXT_BYTES, "texts are cut");

enum arrowport_status public_status(enum status status, const struct error *why,
                                    struct arrowport_error *error) {
  if (error != NULL) {
    error->text[0] = '\0';
    if (status != STATUS_OK) memcpy(error->text, why->text, strlen(why->text) + 1);
  }
  return (enum arrowport_status)status;
}

enum status public_need(const void *pointer, const char *what, struct error *error) {
  if (pointer != NULL) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "%s is NULL", what);
}

/* ---- options ------------------------------------------------------------------------------ */

enum status public_options(const void *given, const char *function, void *options, size_t bytes,
                           struct error *error) {
  memset(options, 0, bytes);
  if (given == NULL) return STATUS_OK;
  size_t given_bytes;
  memcpy(&given_bytes, given, sizeof given_bytes);
  if (given_bytes < sizeof given_bytes)
    return error_set(error, STATUS_INVALID,
                     "%s: the options' struct_size is %zu; it is to be the size of their struct",
                     function, given_bytes);
  const unsigned char *members = given;
  for (size_t i = bytes; i < given_bytes; i++)
    if (members[i] != 0)
      return error_set(error, STATUS_UNSUPPORTED,
                       "%s: an option is set that this version does not know", function);
  memcpy(options, given, given_bytes < bytes ? given_bytes : bytes);
  return STATUS_OK;
}

enum status public_memory(int64_t memory_bytes_max, int64_t *limit_bytes, struct error *error) {
  if (memory_bytes_max < 0)
    return error_set(error, STATUS_INVALID, "memory_bytes_max is %lld, less than nothing",
                     (long long)memory_bytes_max);
  *limit_bytes = memory_bytes_max == 0 ? MEMORY_BYTES_DEFAULT : memory_bytes_max;
  return STATUS_OK;
}

enum status public_threads(int wanted, int *threads, struct error *error) {
  if (wanted < 0)
    return error_set(error, STATUS_INVALID, "threads is %d, less than nothing", wanted);
  *threads = wanted == 0 ? workers_cores() : wanted;
  if (*threads > WORKERS_LANES_MAX) *threads = WORKERS_LANES_MAX;
  return STATUS_OK;
}

/* ---- budgets ------------------------------------------------------------------------------ */

/* What a reader's batches hold goes back to the reader's budget when it is freed, which may be
 * long after the reader was closed. Then nobody is left who would free the budget: to ask at
 * each release would cost every batch something. So budgets that are still in use are kept in
 * a list, and those of earlier readers are looked at when another is closed: two of them for
 * each that comes, so that the list shrinks as fast as it may and nobody waits for it.
 *
 * Nothing touches a budget after it has given back the last byte (budget_give), and nobody
 * takes any more: so who sees that there is none in use may free it. */
struct kept_budget {
  struct budget budget; /* first: they are cast into each other */
  struct kept_budget *next;
};

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept_budget *kept_first;
static struct kept_budget **kept_last = &kept_first;

static bool is_in_use(struct kept_budget *kept) {
  return atomic_load(&kept->budget.used_bytes) != 0;
}

static void keep(struct kept_budget *kept) {
  kept->next = NULL;
  *kept_last = kept;
  kept_last = &kept->next;
}

/* The one that has been kept for longest; NULL when there is none. */
static struct kept_budget *take_oldest(void) {
  struct kept_budget *oldest = kept_first;
  if (oldest != NULL) kept_first = oldest->next;
  if (kept_first == NULL) kept_last = &kept_first;
  return oldest;
}

enum status public_budget_new(int64_t limit_bytes, struct budget **budget, struct error *error) {
  struct kept_budget *made = calloc(1, sizeof *made);
  *budget = (struct budget *)made;
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a reader");
  made->budget.limit_bytes = limit_bytes;
  return STATUS_OK;
}

void public_budget_close(struct budget *budget) {
  struct kept_budget *closed = (struct kept_budget *)budget;
  if (closed == NULL) return;
  pthread_mutex_lock(&kept_lock);
  struct kept_budget *looked_at[] = {take_oldest(), take_oldest(), closed};
  for (size_t i = 0; i < sizeof looked_at / sizeof looked_at[0]; i++) {
    if (looked_at[i] == NULL) continue;
    if (is_in_use(looked_at[i]))
      keep(looked_at[i]);
    else
      free(looked_at[i]);
  }
  pthread_mutex_unlock(&kept_lock);
}
