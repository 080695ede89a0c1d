#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

enum { LOG_TEXT_BYTES = 2048 };

static _Atomic int level_now = LOG_INFO;

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_level_set(enum log_level level) { atomic_store(&level_now, (int)level); }

static _Atomic int format_now = LOG_FORMAT_AUTO;

void log_format_set(enum log_format format) { atomic_store(&format_now, (int)format); }

static bool as_text(void) {
  int format = atomic_load(&format_now);
  return format == LOG_FORMAT_AUTO ? isatty(STDERR_FILENO) != 0 : format == LOG_FORMAT_TEXT;
}

/* A value that is a word stands as it is, another one in quotes. */
static enum status add_value(struct text *line, const char *value) {
  bool word = value[0] != '\0' && strpbrk(value, " \"=\\") == NULL;
  for (const char *at = value; *at != '\0' && word; at++)
    word = (unsigned char)*at > ' ' && (unsigned char)*at < 0x7f;
  return word ? text_add(line, value, NULL) : text_add_json(line, value, strlen(value), NULL);
}

static enum status line_text(struct text *line, const char *time, enum log_level level,
                             const char *area, const char *said, const struct log_field *fields,
                             size_t count) {
  enum status status = text_add_format(line, NULL, "%s %-7s %s: ", time, level_names[level], area);
  if (status == STATUS_OK) status = text_add_visible(line, said, strlen(said), false, NULL);
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    status = text_add_format(line, NULL, " %s=", fields[i].name);
    if (status == STATUS_OK) status = add_value(line, fields[i].value);
  }
  return status == STATUS_OK ? text_add(line, "\n", NULL) : status;
}

static enum status line_json(struct text *line, const char *time, enum log_level level,
                             const char *area, const char *said, const struct log_field *fields,
                             size_t count) {
  enum status status = text_add_format(
      line, NULL, "{\"time\":\"%s\",\"level\":\"%s\",\"area\":\"%s\",\"message\":", time,
      level_names[level], area);
  if (status == STATUS_OK) status = text_add_json(line, said, strlen(said), NULL);
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    const char *value = fields[i].value;
    status = text_add_format(line, NULL, ",\"%s\":", fields[i].name);
    if (status == STATUS_OK)
      status = fields[i].number ? text_add(line, value, NULL)
                                : text_add_json(line, value, strlen(value), NULL);
  }
  return status == STATUS_OK ? text_add(line, "}\n", NULL) : status;
}

void log_fields(enum log_level level, const char *area, const char *message,
                const struct log_field *fields, size_t count) {
  if ((int)level > atomic_load(&level_now)) return;
  char time[CLOCK_TEXT_BYTES];
  clock_text(time);
  struct text line = TEXT_EMPTY;
  enum status status = as_text() ? line_text(&line, time, level, area, message, fields, count)
                                 : line_json(&line, time, level, area, message, fields, count);
  /* One write a line, so that lines of several threads do not mix. A log that cannot
   * be written is no reason to fail what is being logged. */
  if (status == STATUS_OK)
    while (write(STDERR_FILENO, line.data, line.size_bytes) < 0 && errno == EINTR) {
    }
  text_release(&line);
}

void log_write(enum log_level level, const char *area, const char *format, ...) {
  if ((int)level > atomic_load(&level_now)) return;
  char said[LOG_TEXT_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(said, sizeof said, format, arguments);
  va_end(arguments);
  log_fields(level, area, said, NULL, 0);
}
