/* The log: lines on standard error, text on a terminal and JSON otherwise. Any
 * thread may write; a line is one write. Secrets and rows never go in. */
#ifndef ARROWPORT_BASE_LOG_H
#define ARROWPORT_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* LOG_FORMAT_AUTO until it is called: text on a terminal and JSON otherwise. */
void log_format_set(enum log_format format);

/* Lines above `level` are dropped; LOG_INFO until it is called. */
void log_level_set(enum log_level level);

/* `area` is the room or mechanism: "net", "engine". */
void log_write(enum log_level level, const char *area, const char *format, ...) PRINTF_LIKE(3, 4);

/* A line with fields: in JSON each is a member of its own, in text "name=value" after the message. */
struct log_field {
  const char *name;
  const char *value;
  bool number; /* the value is a JSON number */
};
void log_fields(enum log_level level, const char *area, const char *message,
                const struct log_field *fields, size_t count);

#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)

#endif
