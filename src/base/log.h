/* The log: lines on standard error, text on a terminal and JSON otherwise (docs/logging.md). Any
 * thread may write; lines do not mix. Whatever a message or a value holds, it is one line, and
 * nothing in it reaches a terminal as a command. Secrets and rows never go in. */
#ifndef ARROWPORT_BASE_LOG_H
#define ARROWPORT_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum {
  LOG_TEXT_BYTES_MAX = 2048, /* of a message; longer ones are cut */
  LOG_VALUE_BYTES_MAX = 512, /* of a field's value: paths and headers may be 64 KB long */
};

/* LOG_FORMAT_AUTO until it is called: text on a terminal and JSON otherwise. */
void log_format_set(enum log_format format);

/* Lines above `level` are dropped; LOG_INFO until it is called. */
void log_level_set(enum log_level level);
bool log_wanted(enum log_level level);

/* `area` is the room or mechanism: "net", "engine". */
void log_write(enum log_level level, const char *area, const char *format, ...) PRINTF_LIKE(3, 4);

/* A line with fields: in JSON each is a member of its own, in text "name=value" after the message.
 * Names are the program's own; a value may come from anywhere. */
struct log_field {
  const char *name;
  const char *value; /* NULL: "" */
  bool number;       /* the value is a JSON number */
};
void log_fields(enum log_level level, const char *area, const char *message,
                const struct log_field *fields, size_t count);

#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)

/* Without these two a line is written by the thread that logs it, which waits for whoever reads
 * standard error. Between them a thread of the log's own writes, and nobody waits: lines queue up
 * to a MiB; beyond it they are dropped and counted, and a line says how many as soon as there is
 * room again. For a process that must not stand still; not nested. STATUS_NOMEM: nothing has
 * changed. */
enum status log_start(struct error *error) WARN_UNUSED;
/* Writes what is queued, for a second at most (the rest is given up), and ends the thread. No
 * other thread logs meanwhile. Without log_start it does nothing. */
void log_stop(void);
/* Lines that were dropped since the process began. */
int64_t log_dropped_lines(void);

#endif
