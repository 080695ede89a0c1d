/* What must not be left behind when a command is ended by a signal (Ctrl-C, a terminal that closes, `kill`):
 * one file, one folder. A thread waits for the signals; it removes them and lets the signal do what it does. */
#ifndef ARROWPORT_CLI_CLEANUP_H
#define ARROWPORT_CLI_CLEANUP_H

#include "base/status.h"

/* Before any other thread is started: the signals reach none but ours from then on. */
enum status cleanup_begin(struct error *error) WARN_UNUSED;
void cleanup_end(void);

/* No signal comes between what stands between these two: making a file, and telling of it. */
void cleanup_hold(void);
void cleanup_go(void);

/* Within the two above. Copied; NULL: there is none any more. STATUS_NOMEM. */
enum status cleanup_file(const char *path, struct error *error) WARN_UNUSED;
enum status cleanup_folder(const char *path, struct error *error) WARN_UNUSED;

/* Removes the folder of cleanup_folder and the files in it. */
void cleanup_remove_folder(void);

#endif
