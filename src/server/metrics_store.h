/* The counts themselves: for metrics.c, which counts, and metrics_print.c, which prints. */
#ifndef ARROWPORT_SERVER_METRICS_STORE_H
#define ARROWPORT_SERVER_METRICS_STORE_H

#include <pthread.h>

#include "server/metrics.h"

enum {
  METRICS_NAMES_MAX = 40,    /* endpoints, backends, formats: sets that the program fixes */
  METRICS_BACKENDS_MAX = 16, /* likewise */
  METRICS_REASONS = METRICS_MEMORY + 1,
  METRICS_CODE_MIN = 100,
  METRICS_CODES = 500, /* 100 to 599 */
  METRICS_PROTOCOLS = 2,
  METRICS_BUCKETS = 17, /* the last one has no bound */
  METRICS_MINUTES = 5,  /* that the ratio of now is taken over */
  METRICS_SLOTS = 4096, /* of the streams' hash table: a power of two, four times the streams */
};

enum metrics_outcome {
  OUTCOME_OK,
  OUTCOME_CLIENT_ERROR, /* 4xx */
  OUTCOME_SERVER_ERROR, /* 5xx */
  OUTCOME_CANCELLED,    /* 499: the client was gone */
  OUTCOME_COUNT
};

/* Bounds in microseconds; the last bucket has none. */
extern const int64_t METRICS_BOUNDS_US[METRICS_BUCKETS - 1];

struct metrics_histogram {
  int64_t buckets[METRICS_BUCKETS]; /* each for itself, not added up yet */
  int64_t sum_us;
};

/* A set of names that grows up to its limit; what comes later is "other", its last member. */
struct metrics_names {
  size_t count, max;
  char *names[METRICS_NAMES_MAX];
};

struct metrics_stream_counts {
  char *name;
  int64_t requests[METRICS_NAMES_MAX][OUTCOME_COUNT]; /* by endpoint */
  struct metrics_landed_counts {
    int64_t loads, rows, batches, wire_bytes, memory_bytes;
  } landed[METRICS_BACKENDS_MAX];
  int64_t schema_mismatches;
};

enum { STREAM_NONE, STREAM_OTHER, STREAM_FIRST }; /* places in `streams` */

/* Of a file's name in a label. */
enum { METRICS_FILE_BYTES = 256 };

struct metrics {
  pthread_mutex_t lock;
  struct metrics_names endpoints, backends, formats;

  struct metrics_stream_counts *streams[STREAM_FIRST + METRICS_STREAMS_MAX];
  size_t stream_count;
  uint16_t slots[METRICS_SLOTS]; /* open addressing; place in `streams`, 0: free */

  struct metrics_histogram requests[METRICS_NAMES_MAX]; /* by endpoint */
  int64_t responses[METRICS_PROTOCOLS][METRICS_CODES];

  struct metrics_histogram transactions[METRICS_BACKENDS_MAX];
  int64_t transactions_ok[METRICS_BACKENDS_MAX], transactions_failed[METRICS_BACKENDS_MAX];

  struct metrics_query_counts {
    int64_t queries, rows, bytes;
  } queries[METRICS_NAMES_MAX]; /* by format */

  int64_t refused[METRICS_REASONS];
  int64_t reloads_ok, reloads_refused;
  bool last_reload_ok;
  char refused_file[METRICS_FILE_BYTES]; /* of the last reload; "": no place is known */
  int refused_line, refused_column;
  double started_s, reloaded_s; /* since 1970; reloaded_s: the last one that was taken */

  struct metrics_minute {
    int64_t minute, wire_bytes, memory_bytes;
  } minutes[METRICS_MINUTES]; /* a ring */
};

/* Of the last METRICS_MINUTES minutes: memory bytes for each wire byte; NAN: nothing has landed.
 * With the lock. */
double metrics_ratio_now(const struct metrics *metrics, int64_t now_us);

#endif
