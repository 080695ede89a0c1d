/* What ends calls from another thread.
 *
 * Each call that is under way has an entry in the list of what it was given. An entry is taken out
 * under the lock before its call is freed, so whoever cancels never touches a call that is gone. */
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "flight/client_private.h"

enum { LOOK_MS = 20 }; /* how often who waits looks whether it is still to */

struct flight_cancel {
  pthread_mutex_t lock;
  bool cancelled;
  struct flight_cancel_entry *first;
};

enum status flight_cancel_new(struct flight_cancel **cancel, struct error *error) {
  *cancel = calloc(1, sizeof **cancel);
  if (*cancel == NULL) return error_set(error, STATUS_NOMEM, "no memory for a call");
  pthread_mutex_init(&(*cancel)->lock, NULL);
  return STATUS_OK;
}

void flight_cancel_free(struct flight_cancel *cancel) {
  if (cancel == NULL) return;
  pthread_mutex_destroy(&cancel->lock);
  free(cancel);
}

void flight_cancel_now(struct flight_cancel *cancel) {
  if (cancel == NULL) return;
  pthread_mutex_lock(&cancel->lock);
  cancel->cancelled = true;
  for (struct flight_cancel_entry *entry = cancel->first; entry != NULL; entry = entry->next)
    entry->fire(entry->context);
  pthread_mutex_unlock(&cancel->lock);
}

bool flight_cancel_is(struct flight_cancel *cancel) {
  if (cancel == NULL) return false;
  pthread_mutex_lock(&cancel->lock);
  bool cancelled = cancel->cancelled;
  pthread_mutex_unlock(&cancel->lock);
  return cancelled;
}

void flight_cancel_add(struct flight_cancel *cancel, struct flight_cancel_entry *entry,
                       void (*fire)(void *context), void *context) {
  *entry = (struct flight_cancel_entry){.cancel = cancel, .fire = fire, .context = context};
  if (cancel == NULL) return;
  pthread_mutex_lock(&cancel->lock);
  entry->next = cancel->first;
  if (entry->next != NULL) entry->next->back = &entry->next;
  entry->back = &cancel->first;
  cancel->first = entry;
  if (cancel->cancelled) fire(context);
  pthread_mutex_unlock(&cancel->lock);
}

void flight_cancel_remove(struct flight_cancel_entry *entry) {
  struct flight_cancel *cancel = entry->cancel;
  if (cancel == NULL) return;
  pthread_mutex_lock(&cancel->lock);
  *entry->back = entry->next;
  if (entry->next != NULL) entry->next->back = entry->back;
  pthread_mutex_unlock(&cancel->lock);
  entry->cancel = NULL;
}

bool flight_cancel_wait(struct flight_cancel *cancel, int64_t wait_ms) {
  int64_t until_ms = clock_now_ms() + wait_ms;
  while (!flight_cancel_is(cancel)) {
    int64_t left_ms = until_ms - clock_now_ms();
    if (left_ms <= 0) return true;
    clock_sleep_ms((int)(left_ms < LOOK_MS ? left_ms : LOOK_MS));
  }
  return false;
}
