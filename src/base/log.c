#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

enum { LOG_TEXT_BYTES = 2048 };

static _Atomic int level_now = LOG_INFO;

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_level_set(enum log_level level) { atomic_store(&level_now, (int)level); }

static enum status line_text(struct text *line, const char *time, enum log_level level,
                             const char *area, const char *said) {
  return text_add_format(line, NULL, "%s %-7s %s: %s\n", time, level_names[level], area, said);
}

static enum status line_json(struct text *line, const char *time, enum log_level level,
                             const char *area, const char *said) {
  enum status status = text_add_format(
      line, NULL, "{\"time\":\"%s\",\"level\":\"%s\",\"area\":\"%s\",\"message\":", time,
      level_names[level], area);
  size_t bytes = 0;
  while (said[bytes] != '\0') bytes++;
  if (status == STATUS_OK) status = text_add_json(line, said, bytes, NULL);
  if (status == STATUS_OK) status = text_add(line, "}\n", NULL);
  return status;
}

void log_write(enum log_level level, const char *area, const char *format, ...) {
  if ((int)level > atomic_load(&level_now)) return;
  char said[LOG_TEXT_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(said, sizeof said, format, arguments);
  va_end(arguments);

  char time[CLOCK_TEXT_BYTES];
  clock_text(time);
  struct text line = TEXT_EMPTY;
  enum status status = isatty(STDERR_FILENO) ? line_text(&line, time, level, area, said)
                                             : line_json(&line, time, level, area, said);
  /* One write a line, so that lines of several threads do not mix. A log that cannot
   * be written is no reason to fail what is being logged. */
  if (status == STATUS_OK)
    while (write(STDERR_FILENO, line.data, line.size_bytes) < 0 && errno == EINTR) {
    }
  text_release(&line);
}
