/* Counts under one lock that nobody holds for long: each call finds a name or two and adds to some
 * integers. A busy server makes some thousand calls a second.
 *
 * 1. `streams` only grows, up to its limit; places 0 and 1 are "" and "other", which are no
 *    stream's names in `slots`.
 * 2. A name that is kept is UTF-8 without control characters, so that two of them never look alike
 *    once they are written.
 * 3. Without memory for a name it counts as "other": counting never fails. */
#include "server/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "server/metrics_store.h"

const int64_t METRICS_BOUNDS_US[METRICS_BUCKETS - 1] = {
    1000,   2500,    5000,    10000,   25000,    50000,    100000,   250000,
    500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000, 300000000};

enum { MINUTE_US = 60000000 };

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- names ---------------------------------------------------------------------------------- */

static size_t names_find(struct metrics_names *names, const char *name) {
  for (size_t i = 0; i < names->count; i++)
    if (strcmp(names->names[i], name) == 0) return i;
  if (names->count == names->max) return names->max - 1;
  char *copy = strdup(names->count == names->max - 1 ? "other" : name);
  if (copy == NULL) return names->count > 0 ? names->count - 1 : 0;
  names->names[names->count] = copy;
  return names->count++;
}

static void names_release(struct metrics_names *names) {
  for (size_t i = 0; i < names->count; i++) free(names->names[i]);
}

static bool is_label(const char *name) {
  size_t bytes = strlen(name);
  if (utf8_valid_bytes((const uint8_t *)name, bytes) != bytes) return false;
  for (const char *at = name; *at != '\0'; at++)
    if ((unsigned char)*at < 0x20 || *at == 0x7f) return false;
  return true;
}

static size_t hash(const char *name) { /* FNV-1a */
  uint64_t hash = 14695981039346656037u;
  for (const char *at = name; *at != '\0'; at++)
    hash = (hash ^ (unsigned char)*at) * 1099511628211u;
  return (size_t)(hash >> 32);
}

/* The slot of a stream, or the free one that it would have. */
static uint16_t *slot_of(struct metrics *metrics, const char *name) {
  size_t at = hash(name) % METRICS_SLOTS;
  while (metrics->slots[at] != 0 && strcmp(metrics->streams[metrics->slots[at]]->name, name) != 0)
    at = (at + 1) % METRICS_SLOTS;
  return &metrics->slots[at];
}

/* NULL: no memory. */
static struct metrics_stream_counts *add_stream(struct metrics *metrics, const char *name) {
  struct metrics_stream_counts *stream = calloc(1, sizeof *stream);
  if (stream == NULL) return NULL;
  stream->name = strdup(name);
  if (stream->name == NULL) {
    free(stream);
    return NULL;
  }
  metrics->streams[metrics->stream_count++] = stream;
  return stream;
}

/* The stream's counts, made if there is room. */
static struct metrics_stream_counts *get_stream(struct metrics *metrics, const char *name) {
  if (name[0] == '\0') return metrics->streams[STREAM_NONE];
  uint16_t *slot = slot_of(metrics, name);
  if (*slot != 0) return metrics->streams[*slot];
  if (metrics->stream_count == STREAM_FIRST + METRICS_STREAMS_MAX || !is_label(name) ||
      strcmp(name, "other") == 0)
    return metrics->streams[STREAM_OTHER];
  struct metrics_stream_counts *made = add_stream(metrics, name);
  if (made == NULL) return metrics->streams[STREAM_OTHER];
  *slot = (uint16_t)(metrics->stream_count - 1);
  return made;
}

void metrics_stream(struct metrics *metrics, const char *stream) {
  pthread_mutex_lock(&metrics->lock);
  (void)get_stream(metrics, stream);
  pthread_mutex_unlock(&metrics->lock);
}

/* ---- life ----------------------------------------------------------------------------------- */

enum status metrics_new(struct metrics **metrics, struct error *error) {
  *metrics = NULL;
  struct metrics *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for metrics");
  pthread_mutex_init(&made->lock, NULL);
  made->endpoints.max = made->formats.max = METRICS_NAMES_MAX;
  made->backends.max = METRICS_BACKENDS_MAX;
  made->started_s = made->reloaded_s = now_s();
  made->last_reload_ok = true;
  if (add_stream(made, "") == NULL || add_stream(made, "other") == NULL) {
    metrics_free(made);
    return error_set(error, STATUS_NOMEM, "no memory for metrics");
  }
  *metrics = made;
  return STATUS_OK;
}

void metrics_free(struct metrics *metrics) {
  if (metrics == NULL) return;
  for (size_t i = 0; i < metrics->stream_count; i++) {
    free(metrics->streams[i]->name);
    free(metrics->streams[i]);
  }
  names_release(&metrics->endpoints);
  names_release(&metrics->backends);
  names_release(&metrics->formats);
  pthread_mutex_destroy(&metrics->lock);
  free(metrics);
}

/* ---- counting ------------------------------------------------------------------------------- */

static void observe(struct metrics_histogram *histogram, int64_t duration_us) {
  size_t bucket = 0;
  if (duration_us < 0) duration_us = 0;
  while (bucket < METRICS_BUCKETS - 1 && duration_us > METRICS_BOUNDS_US[bucket]) bucket++;
  histogram->buckets[bucket]++;
  histogram->sum_us += duration_us;
}

static enum metrics_outcome outcome_of(int code) {
  if (code == 499) return OUTCOME_CANCELLED;
  if (code >= 500) return OUTCOME_SERVER_ERROR;
  return code >= 400 ? OUTCOME_CLIENT_ERROR : OUTCOME_OK;
}

void metrics_request(struct metrics *metrics, const char *endpoint, const char *stream,
                     const char *protocol, int code, int64_t duration_us) {
  pthread_mutex_lock(&metrics->lock);
  size_t place = names_find(&metrics->endpoints, endpoint);
  uint16_t known = stream[0] == '\0' ? STREAM_NONE : *slot_of(metrics, stream);
  if (known == STREAM_NONE && stream[0] != '\0' && code < 400) known = STREAM_OTHER;
  metrics->streams[known]->requests[place][outcome_of(code)]++;
  observe(&metrics->requests[place], duration_us);
  if (code >= METRICS_CODE_MIN && code < METRICS_CODE_MIN + METRICS_CODES)
    metrics->responses[strcmp(protocol, "HTTP/2") == 0][code - METRICS_CODE_MIN]++;
  pthread_mutex_unlock(&metrics->lock);
}

/* With the lock. */
static void count_minute(struct metrics *metrics, int64_t wire_bytes, int64_t memory_bytes) {
  int64_t minute = clock_now_us() / MINUTE_US;
  struct metrics_minute *at = &metrics->minutes[minute % METRICS_MINUTES];
  if (at->minute != minute) *at = (struct metrics_minute){.minute = minute};
  at->wire_bytes += wire_bytes;
  at->memory_bytes += memory_bytes;
}

double metrics_ratio_now(const struct metrics *metrics, int64_t now_us) {
  int64_t wire_bytes = 0;
  int64_t memory_bytes = 0;
  for (size_t i = 0; i < METRICS_MINUTES; i++) {
    const struct metrics_minute *at = &metrics->minutes[i];
    if (at->minute <= now_us / MINUTE_US - METRICS_MINUTES) continue;
    wire_bytes += at->wire_bytes;
    memory_bytes += at->memory_bytes;
  }
  return wire_bytes > 0 ? (double)memory_bytes / (double)wire_bytes : NAN;
}

void metrics_landed(struct metrics *metrics, const char *stream, const char *backend, int64_t rows,
                    int64_t batches, int64_t wire_bytes, int64_t memory_bytes) {
  pthread_mutex_lock(&metrics->lock);
  struct metrics_landed_counts *landed =
      &get_stream(metrics, stream)->landed[names_find(&metrics->backends, backend)];
  landed->loads++;
  landed->rows += rows;
  landed->batches += batches;
  landed->wire_bytes += wire_bytes;
  landed->memory_bytes += memory_bytes;
  count_minute(metrics, wire_bytes, memory_bytes);
  pthread_mutex_unlock(&metrics->lock);
}

void metrics_transaction(struct metrics *metrics, const char *backend, bool ok,
                         int64_t duration_us) {
  pthread_mutex_lock(&metrics->lock);
  size_t place = names_find(&metrics->backends, backend);
  ++*(ok ? &metrics->transactions_ok[place] : &metrics->transactions_failed[place]);
  observe(&metrics->transactions[place], duration_us);
  pthread_mutex_unlock(&metrics->lock);
}

void metrics_schema_mismatch(struct metrics *metrics, const char *stream) {
  pthread_mutex_lock(&metrics->lock);
  uint16_t known = stream[0] == '\0' ? STREAM_NONE : *slot_of(metrics, stream);
  metrics->streams[known]->schema_mismatches++;
  pthread_mutex_unlock(&metrics->lock);
}

void metrics_query(struct metrics *metrics, const char *format, int64_t rows, int64_t bytes) {
  pthread_mutex_lock(&metrics->lock);
  struct metrics_query_counts *counts = &metrics->queries[names_find(&metrics->formats, format)];
  counts->queries++;
  counts->rows += rows;
  counts->bytes += bytes;
  pthread_mutex_unlock(&metrics->lock);
}

void metrics_refused(struct metrics *metrics, enum metrics_refused reason) {
  pthread_mutex_lock(&metrics->lock);
  metrics->refused[reason]++;
  pthread_mutex_unlock(&metrics->lock);
}

/* "folder/a.yaml:3:5: ..." in its parts; nothing where the text begins otherwise. */
static void read_place(struct metrics *metrics, const char *text) {
  const char *colon = strchr(text, ':');
  char *end = NULL;
  metrics->refused_file[0] = '\0';
  long line = colon == NULL ? 0 : strtol(colon + 1, &end, 10);
  if (line <= 0 || line > INT32_MAX || *end != ':') return;
  long column = strtol(end + 1, &end, 10);
  if (column <= 0 || column > INT32_MAX || *end != ':') return;
  const char *name = text;
  for (const char *at = text; at < colon; at++)
    if (*at == '/') name = at + 1;
  char file[METRICS_FILE_BYTES];
  snprintf(file, sizeof file, "%.*s", (int)(colon - name), name);
  /* One label that is not UTF-8 and the scraper takes nothing. */
  snprintf(metrics->refused_file, sizeof metrics->refused_file, "%s",
           is_label(file) ? file : "other");
  metrics->refused_line = (int)line;
  metrics->refused_column = (int)column;
}

void metrics_reload(struct metrics *metrics, const char *refused) {
  pthread_mutex_lock(&metrics->lock);
  ++*(refused == NULL ? &metrics->reloads_ok : &metrics->reloads_refused);
  metrics->last_reload_ok = refused == NULL;
  if (refused == NULL) metrics->reloaded_s = now_s();
  read_place(metrics, refused == NULL ? "" : refused);
  pthread_mutex_unlock(&metrics->lock);
}
