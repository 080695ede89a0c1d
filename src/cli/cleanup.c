/* Signals that end a command.
 *
 * They are blocked in every thread and waited for by one, so that what it does is not bound by what a signal
 * handler may do. It holds the lock until the process is gone: nothing is made any more that would be left.
 * The file of a rename that was under way is either removed under its old name or whole under its new one. */
#include "cli/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { FOLDER_TRIES = 20, FOLDER_WAIT_MS = 5 };

static struct {
  pthread_mutex_t lock;
  pthread_t thread;
  bool is_begun;
  bool is_over; /* the thread is to end */
  int number;   /* of a signal that it waits for; 0: of none */
  sigset_t signals, before;
  char *file;
  char *folder;
} cleanup = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Whoever writes into it may go on meanwhile: so it is tried a few times. */
static void remove_folder(const char *path) {
  for (int i = 0; i < FOLDER_TRIES; i++) {
    DIR *folder = opendir(path);
    if (folder == NULL) return;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
      if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
        unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
    if (rmdir(path) == 0) return;
    clock_sleep_ms(FOLDER_WAIT_MS);
  }
}

static void *wait_for_signal(void *context) {
  int number = 0;
  (void)context;
  if (sigwait(&cleanup.signals, &number) != 0) return NULL;
  pthread_mutex_lock(&cleanup.lock);
  if (cleanup.is_over) {
    pthread_mutex_unlock(&cleanup.lock);
    return NULL;
  }
  if (cleanup.file != NULL) unlink(cleanup.file);
  if (cleanup.folder != NULL) remove_folder(cleanup.folder);
  signal(number, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &cleanup.signals, NULL);
  raise(number);
  return NULL;
}

enum status cleanup_begin(struct error *error) {
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
  sigemptyset(&cleanup.signals);
  cleanup.number = 0;
  cleanup.is_over = false;
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    struct sigaction action;
    if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler == SIG_IGN)
      continue; /* nohup means it */
    sigaddset(&cleanup.signals, numbers[i]);
    cleanup.number = numbers[i];
  }
  if (cleanup.number == 0) return STATUS_OK;
  pthread_sigmask(SIG_BLOCK, &cleanup.signals, &cleanup.before);
  int code = pthread_create(&cleanup.thread, NULL, wait_for_signal, NULL);
  cleanup.is_begun = code == 0;
  if (code == 0) return STATUS_OK;
  pthread_sigmask(SIG_SETMASK, &cleanup.before, NULL);
  return error_set(error, STATUS_NOMEM, "no thread could be started: %s", strerror(code));
}

void cleanup_end(void) {
  if (cleanup.is_begun) {
    cleanup_hold();
    cleanup.is_over = true;
    cleanup_go();
    pthread_kill(cleanup.thread, cleanup.number);
    pthread_join(cleanup.thread, NULL);
    pthread_sigmask(SIG_SETMASK, &cleanup.before, NULL);
  }
  cleanup.is_begun = false;
  free(cleanup.file);
  free(cleanup.folder);
  cleanup.file = cleanup.folder = NULL;
}

void cleanup_hold(void) { pthread_mutex_lock(&cleanup.lock); }
void cleanup_go(void) { pthread_mutex_unlock(&cleanup.lock); }

static enum status set_path(char **kept, const char *path, struct error *error) {
  free(*kept);
  *kept = path == NULL ? NULL : strdup(path);
  if (path == NULL || *kept != NULL) return STATUS_OK;
  return error_set(error, STATUS_NOMEM, "no memory for a path");
}

enum status cleanup_file(const char *path, struct error *error) {
  return set_path(&cleanup.file, path, error);
}

enum status cleanup_folder(const char *path, struct error *error) {
  return set_path(&cleanup.folder, path, error);
}

void cleanup_remove_folder(void) {
  if (cleanup.folder != NULL) remove_folder(cleanup.folder);
}
