#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cli.h"

enum { INTERVAL_MS = 200, BAR_COLUMNS = 20, NAME_BYTES_MAX = 40, LINE_BYTES = 256 };

void progress_begin(struct progress *progress, const char *name, bool wanted) {
  const char *terminal = getenv("TERM");
  bool moves = terminal == NULL || strcmp(terminal, "dumb") != 0; /* a line can be drawn anew */
  *progress = (struct progress){
      .name = name,
      .shown = wanted && moves && isatty(STDERR_FILENO) != 0,
      .begin_ms = clock_now_ms(),
  };
  progress->next_ms = progress->begin_ms + INTERVAL_MS;
}

double progress_seconds(const struct progress *progress) {
  return (double)(clock_now_ms() - progress->begin_ms) / 1e3;
}

/* "[#####.....]  25 %, " */
static void add_bar(char *line, size_t bytes, double fraction) {
  char bar[BAR_COLUMNS + 1];
  int full = (int)(fraction * BAR_COLUMNS);
  for (int i = 0; i < BAR_COLUMNS; i++) bar[i] = i < full ? '#' : '.';
  bar[BAR_COLUMNS] = '\0';
  size_t used = strlen(line);
  snprintf(line + used, bytes - used, "[%s] %3.0f %%, ", bar, fraction * 100);
}

/* ", 1:05 left" */
static void add_left(char *line, size_t bytes, double fraction, double seconds) {
  double left = seconds * (1 - fraction) / fraction;
  size_t used = strlen(line);
  if (left > 360000) return; /* a guess of days is none */
  if (left >= 3600)
    snprintf(line + used, bytes - used, ", %d:%02d:%02d left", (int)left / 3600,
             (int)left / 60 % 60, (int)left % 60);
  else
    snprintf(line + used, bytes - used, ", %d:%02d left", (int)left / 60, (int)left % 60);
}

/* A line that is longer than the terminal would not be erased. */
static size_t columns(void) {
  struct winsize size;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return 79;
  return (size_t)size.ws_col - 1;
}

void progress_step(struct progress *progress, int64_t rows, int64_t bytes, double fraction) {
  int64_t now_ms = clock_now_ms();
  if (!progress->shown || now_ms < progress->next_ms) return;
  progress->next_ms = now_ms + INTERVAL_MS;
  char number[CLI_NUMBER_BYTES];
  char line[LINE_BYTES] = "";
  double seconds = (double)(now_ms - progress->begin_ms) / 1e3;
  if (fraction > 1) fraction = 1;
  if (fraction >= 0) add_bar(line, sizeof line, fraction);
  size_t used = strlen(line);
  snprintf(line + used, sizeof line - used, "%s rows", cli_number(rows, number));
  used = strlen(line);
  if (bytes > 0)
    snprintf(line + used, sizeof line - used, ", %.1f MB, %.0f MB/s", (double)bytes / 1e6,
             (double)bytes / 1e6 / seconds);
  else
    snprintf(line + used, sizeof line - used, ", %s rows/s",
             cli_number((int64_t)((double)rows / seconds), number));
  if (fraction > 0) add_left(line, sizeof line, fraction, seconds);
  struct text name = TEXT_EMPTY; /* may hold what moves the cursor */
  size_t name_bytes = strlen(progress->name);
  if (name_bytes > NAME_BYTES_MAX) name_bytes = NAME_BYTES_MAX;
  if (text_add_visible(&name, progress->name, name_bytes, false, NULL) == STATUS_OK &&
      name.size_bytes + 2 + strlen(line) <= columns())
    fprintf(stderr, "\r\033[K%s: %s", text_get(&name), line);
  else
    fprintf(stderr, "\r\033[K%.*s", (int)columns(), line);
  text_release(&name);
}

void progress_end(struct progress *progress) {
  if (progress->shown) fputs("\r\033[K", stderr);
  progress->shown = false;
}
