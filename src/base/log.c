/* A line is made by the thread that logs it, whole, and then written at once or queued for the
 * log's own thread, which takes all that is queued with one write.
 *
 * 1. The queue is two buffers: `filling` belongs to whoever holds the lock, the other one to the
 *    writer. The writer waits for standard error without the lock.
 * 2. A line is queued whole or dropped whole, and dropped ones are counted before anything that
 *    comes later is queued: the line that tells of them stands where they would have stood.
 * 3. `is_queued` changes only while no other thread logs (log_start, log_stop).
 * 4. The writer is woken by the first line after a pause, which is written at once; those that come
 *    within WRITE_PAUSE_MS of a write wait for the end of that time, or for half of the queue to be
 *    full: a busy server's log is then some writes and wakes a second, not one for each request. */
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

enum {
  QUEUE_BYTES_MAX = 1 << 20, /* some 3000 lines: seconds of a busy server */
  NOTICE_BYTES_MAX = 256,    /* of the line that tells of dropped ones; kept free for it */
  STOP_WAIT_S = 1,
  WRITE_PAUSE_MS = 5,
};

static _Atomic int level_now = LOG_INFO;
static _Atomic int format_now = LOG_FORMAT_AUTO;

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_level_set(enum log_level level) { atomic_store(&level_now, (int)level); }
void log_format_set(enum log_format format) { atomic_store(&format_now, (int)format); }
bool log_wanted(enum log_level level) { return (int)level <= atomic_load(&level_now); }

static bool is_queued;   /* lines go through the queue: between log_start and log_stop */
static bool to_terminal; /* what standard error was then: to ask costs a call for each line */

static bool as_text(void) {
  int format = atomic_load(&format_now);
  if (format != LOG_FORMAT_AUTO) return format == LOG_FORMAT_TEXT;
  return is_queued ? to_terminal : isatty(STDERR_FILENO) != 0;
}

/* ---- lines ---------------------------------------------------------------------------------- */

static bool is_plain(const char *value, size_t bytes) {
  for (size_t i = 0; i < bytes; i++)
    if (value[i] < 0x20 || value[i] > 0x7e || value[i] == '"' || value[i] == '\\') return false;
  return true;
}

/* What JSON may hold as it is and a terminal must not see: DEL, C1 controls, marks that reorder or
 * end lines. */
static bool is_harmful(uint32_t code) {
  return (code >= 0x7F && code < 0xA0) || (code >= 0x200B && code <= 0x200F) ||
         (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

/* A JSON string, cut where it is too long, that is harmless on a terminal too. */
static enum status add_string(struct text *line, const char *value, size_t bytes_max) {
  size_t bytes = strnlen(value, bytes_max + 1);
  bool is_cut = bytes > bytes_max;
  if (is_cut) bytes = bytes_max;
  enum status status;
  if (is_plain(value, bytes)) {
    status = text_add_bytes(line, "\"", 1, NULL);
    if (status == STATUS_OK) status = text_add_bytes(line, value, bytes, NULL);
    return status == STATUS_OK ? text_add(line, is_cut ? "...\"" : "\"", NULL) : status;
  }
  struct text json = TEXT_EMPTY;
  status = text_add_json(&json, value, bytes, NULL);
  if (status == STATUS_OK) json.size_bytes--; /* the closing quote, which follows "..." */
  size_t length = 1;
  for (size_t i = 0; i < json.size_bytes && status == STATUS_OK; i += length) {
    uint32_t code = 0;
    length = utf8_code_point((const uint8_t *)json.data + i, json.size_bytes - i, &code);
    assert(length > 0); /* text_add_json leaves nothing else */
    status = is_harmful(code) ? text_add_format(line, NULL, "\\u%04x", (unsigned)code)
                              : text_add_bytes(line, json.data + i, length, NULL);
  }
  text_release(&json);
  return status == STATUS_OK ? text_add(line, is_cut ? "...\"" : "\"", NULL) : status;
}

/* A value that is a word stands as it is, another one in quotes. */
static enum status add_word(struct text *line, const char *value) {
  size_t bytes = strnlen(value, LOG_VALUE_BYTES_MAX + 1);
  if (bytes > 0 && bytes <= LOG_VALUE_BYTES_MAX && strpbrk(value, " =") == NULL &&
      is_plain(value, bytes))
    return text_add(line, value, NULL);
  return add_string(line, value, LOG_VALUE_BYTES_MAX);
}

static const char *value_of(const struct log_field *field) {
  return field->value == NULL ? "" : field->value;
}

static enum status line_text(struct text *line, const char *time, enum log_level level,
                             const char *area, const char *said, const struct log_field *fields,
                             size_t count) {
  size_t bytes = strnlen(said, LOG_TEXT_BYTES_MAX + 1);
  bool is_cut = bytes > LOG_TEXT_BYTES_MAX;
  if (is_cut) bytes = LOG_TEXT_BYTES_MAX;
  enum status status = text_add_format(line, NULL, "%s %-7s %s: ", time, level_names[level], area);
  if (status == STATUS_OK) status = text_add_visible(line, said, bytes, false, NULL);
  if (status == STATUS_OK && is_cut) status = text_add(line, "...", NULL);
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    status = text_add_format(line, NULL, " %s=", fields[i].name);
    if (status == STATUS_OK) status = add_word(line, value_of(&fields[i]));
  }
  return status == STATUS_OK ? text_add(line, "\n", NULL) : status;
}

static enum status line_json(struct text *line, const char *time, enum log_level level,
                             const char *area, const char *said, const struct log_field *fields,
                             size_t count) {
  enum status status = text_add_format(
      line, NULL, "{\"time\":\"%s\",\"level\":\"%s\",\"area\":\"%s\",\"message\":", time,
      level_names[level], area);
  if (status == STATUS_OK) status = add_string(line, said, LOG_TEXT_BYTES_MAX);
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    const char *value = value_of(&fields[i]);
    status = text_add_bytes(line, ",\"", 2, NULL);
    if (status == STATUS_OK) status = text_add(line, fields[i].name, NULL);
    if (status == STATUS_OK) status = text_add_bytes(line, "\":", 2, NULL);
    if (status == STATUS_OK)
      status = fields[i].number ? text_add(line, value, NULL)
                                : add_string(line, value, LOG_VALUE_BYTES_MAX);
  }
  return status == STATUS_OK ? text_add(line, "}\n", NULL) : status;
}

static enum status make_line(struct text *line, enum log_level level, const char *area,
                             const char *said, const struct log_field *fields, size_t count) {
  char time[CLOCK_TEXT_BYTES];
  clock_text(time);
  return as_text() ? line_text(line, time, level, area, said, fields, count)
                   : line_json(line, time, level, area, said, fields, count);
}

/* ---- the queue ------------------------------------------------------------------------------ */

static struct {
  pthread_mutex_t lock;
  pthread_cond_t filled; /* for the writer */
  pthread_cond_t over;   /* for log_stop: the writer has written the last line */
  pthread_t writer;
  char *buffers[2];
  int filling; /* which of them lines are added to */
  size_t filled_bytes;
  int64_t untold_lines; /* dropped, and no line said so yet */
  size_t wanted_bytes;  /* the writer sleeps until so much is queued; 0: it is awake */
  bool ending;
  bool ended;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER};
static _Atomic int64_t dropped_lines;

int64_t log_dropped_lines(void) { return atomic_load(&dropped_lines); }

/* With the lock. */
static bool queue_add(const char *data, size_t bytes, size_t bytes_max) {
  if (queue.filled_bytes + bytes > bytes_max) return false;
  memcpy(queue.buffers[queue.filling] + queue.filled_bytes, data, bytes);
  queue.filled_bytes += bytes;
  return true;
}

/* With the lock: room is kept for it. */
static void queue_notice(void) {
  if (queue.untold_lines == 0) return;
  struct text line = TEXT_EMPTY;
  char said[128];
  snprintf(said, sizeof said,
           "%" PRId64 " lines were dropped: standard error was not read fast enough",
           queue.untold_lines);
  if (make_line(&line, LOG_WARNING, "log", said, NULL, 0) == STATUS_OK &&
      queue_add(line.data, line.size_bytes, QUEUE_BYTES_MAX + NOTICE_BYTES_MAX))
    queue.untold_lines = 0;
  text_release(&line);
}

static void queue_line(const struct text *line) {
  pthread_mutex_lock(&queue.lock);
  /* Once one was dropped the following ones are too, until the writer comes for what there is. */
  if (queue.untold_lines > 0 || !queue_add(line->data, line->size_bytes, QUEUE_BYTES_MAX)) {
    queue.untold_lines++;
    atomic_fetch_add(&dropped_lines, 1);
  }
  bool wake = queue.wanted_bytes > 0 && queue.filled_bytes >= queue.wanted_bytes;
  if (wake) queue.wanted_bytes = 0;
  pthread_mutex_unlock(&queue.lock);
  if (wake) pthread_cond_signal(&queue.filled);
}

/* Waits as long as it takes, for whoever reads standard error. A log that cannot be written is no
 * reason to fail what is being logged. */
static void write_all(const char *data, size_t bytes) {
  while (bytes > 0) {
    ssize_t written = write(STDERR_FILENO, data, bytes);
    if (written > 0) {
      data += written;
      bytes -= (size_t)written;
    } else if (written < 0 && errno == EAGAIN) { /* somebody else made it non-blocking */
      struct pollfd wait = {.fd = STDERR_FILENO, .events = POLLOUT};
      poll(&wait, 1, -1);
    } else if (written < 0 && errno != EINTR) {
      return;
    }
  }
}

/* With the lock. */
static void pause_writing(const struct timespec *until) {
  int waited = 0;
  queue.wanted_bytes = QUEUE_BYTES_MAX / 2;
  while (queue.wanted_bytes > 0 && !queue.ending && waited == 0)
    waited = pthread_cond_timedwait(&queue.filled, &queue.lock, until);
  queue.wanted_bytes = 0;
}

static void *writer_main(void *unused) {
  int before;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  pthread_mutex_lock(&queue.lock);
  while (queue.filled_bytes > 0 || queue.untold_lines > 0 || !queue.ending) {
    if (queue.filled_bytes == 0 && queue.untold_lines == 0) {
      queue.wanted_bytes = 1;
      pthread_cond_wait(&queue.filled, &queue.lock);
      queue.wanted_bytes = 0;
      continue;
    }
    queue_notice();
    const char *data = queue.buffers[queue.filling];
    size_t bytes = queue.filled_bytes;
    queue.filling = 1 - queue.filling;
    queue.filled_bytes = 0;
    pthread_mutex_unlock(&queue.lock);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += WRITE_PAUSE_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
      until.tv_nsec -= 1000000000L;
      until.tv_sec++;
    }
    /* Here log_stop may break it off. */
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
    write_all(data, bytes);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    pthread_mutex_lock(&queue.lock);
    pause_writing(&until);
  }
  queue.ended = true;
  pthread_cond_signal(&queue.over);
  pthread_mutex_unlock(&queue.lock);
  return unused;
}

static void queue_release(void) {
  pthread_cond_destroy(&queue.filled);
  pthread_cond_destroy(&queue.over);
  free(queue.buffers[0]);
  free(queue.buffers[1]);
  queue.buffers[0] = queue.buffers[1] = NULL;
}

enum status log_start(struct error *error) {
  assert(!is_queued);
  for (int i = 0; i < 2; i++) queue.buffers[i] = malloc(QUEUE_BYTES_MAX + NOTICE_BYTES_MAX);
  queue.filled_bytes = 0;
  queue.untold_lines = 0;
  queue.ending = queue.ended = false;
  queue.wanted_bytes = 0;
  to_terminal = isatty(STDERR_FILENO) != 0;
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&queue.filled, &monotonic);
  pthread_cond_init(&queue.over, &monotonic);
  pthread_condattr_destroy(&monotonic);
  sigset_t all; /* signals are for others */
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool made = queue.buffers[0] != NULL && queue.buffers[1] != NULL &&
              pthread_create(&queue.writer, NULL, writer_main, NULL) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  is_queued = made;
  if (made) return STATUS_OK;
  queue_release();
  return error_set(error, STATUS_NOMEM, "no memory for the log");
}

void log_stop(void) {
  if (!is_queued) return;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += STOP_WAIT_S;
  pthread_mutex_lock(&queue.lock);
  queue.ending = true;
  pthread_cond_signal(&queue.filled);
  int waited = 0;
  while (!queue.ended && waited == 0)
    waited = pthread_cond_timedwait(&queue.over, &queue.lock, &until);
  if (!queue.ended) pthread_cancel(queue.writer);
  pthread_mutex_unlock(&queue.lock);
  pthread_join(queue.writer, NULL);
  is_queued = false;
  queue_release();
}

/* ---- logging -------------------------------------------------------------------------------- */

void log_fields(enum log_level level, const char *area, const char *message,
                const struct log_field *fields, size_t count) {
  if (!log_wanted(level)) return;
  struct text line = TEXT_EMPTY;
  if (make_line(&line, level, area, message, fields, count) != STATUS_OK) {
    /* Without memory there is nothing to say it with. */
  } else if (is_queued) {
    queue_line(&line);
  } else {
    write_all(line.data, line.size_bytes);
  }
  text_release(&line);
}

void log_write(enum log_level level, const char *area, const char *format, ...) {
  if (!log_wanted(level)) return;
  char said[LOG_TEXT_BYTES_MAX + 2]; /* one more than is printed: what was cut shows */
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(said, sizeof said, format, arguments);
  va_end(arguments);
  log_fields(level, area, said, NULL, 0);
}
