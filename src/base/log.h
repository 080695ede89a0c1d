/* The log: lines on standard error, text on a terminal and JSON otherwise. Any
 * thread may write; a line is one write. Secrets and rows never go in. */
#ifndef ARROWPORT_BASE_LOG_H
#define ARROWPORT_BASE_LOG_H

#include "base/status.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Lines above `level` are dropped; LOG_INFO until it is called. */
void log_level_set(enum log_level level);

/* `area` is the room or mechanism: "net", "engine". */
void log_write(enum log_level level, const char *area, const char *format, ...) PRINTF_LIKE(3, 4);

#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)

#endif
