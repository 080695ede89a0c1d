/* What the server counts, and how /metrics says it (Prometheus text format 0.0.4). Names are
 * stable and documented in docs/metrics.md. All functions may be called from any thread and hold
 * a lock for less than a microsecond; only metrics_print holds it for longer. */
#ifndef ARROWPORT_SERVER_METRICS_H
#define ARROWPORT_SERVER_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"
#include "engine/engine.h"
#include "net/net.h"

struct metrics;

enum {
  METRICS_STREAMS_MAX = 1000 /* with a label of their own; each is a dozen lines for a scraper */
};

enum status metrics_new(struct metrics **metrics, struct error *error) WARN_UNUSED;
void metrics_free(struct metrics *metrics); /* NULL is allowed */

/* Gives a stream that is configured a label of its own. Another one gets it when something has
 * landed in it: whoever only sends names must not fill memory. Beyond METRICS_STREAMS_MAX, and for
 * a name that is not UTF-8 without control characters, the label is "other". */
void metrics_stream(struct metrics *metrics, const char *stream);

/* A request was answered (or its client had gone: code 499). `endpoint`: as the table of endpoints
 * has it, "/ingest/"; `stream`: "" where there is none; of a request that failed, one without a
 * label of its own counts as "". `protocol`: as http_exchange_protocol says. */
void metrics_request(struct metrics *metrics, const char *endpoint, const char *stream,
                     const char *protocol, int code, int64_t duration_us);
/* A load has landed. wire_bytes: as they came; memory_bytes: of the record batches, expanded. */
void metrics_landed(struct metrics *metrics, const char *stream, const char *backend, int64_t rows,
                    int64_t batches, int64_t wire_bytes, int64_t memory_bytes);
/* A transaction was committed or given up. */
void metrics_transaction(struct metrics *metrics, const char *backend, bool ok,
                         int64_t duration_us);
/* Incoming data did not fit its table. */
void metrics_schema_mismatch(struct metrics *metrics, const char *stream);
/* An answer of /query; `format`: "arrow". */
void metrics_query(struct metrics *metrics, const char *format, int64_t rows, int64_t bytes);

enum metrics_refused {
  METRICS_PROTECTED,   /* protected mode */
  METRICS_HOST,        /* unknown Host or foreign Origin */
  METRICS_CREDENTIALS, /* none or wrong ones */
  METRICS_SCOPE,       /* not allowed to */
  METRICS_THROTTLED,   /* too many wrong credentials */
  METRICS_MEMORY       /* no memory left in the budget */
};
void metrics_refused(struct metrics *metrics, enum metrics_refused reason);
/* A configuration was read anew. `refused` NULL: it is in use; otherwise why it is not, which the
 * file, line and column that it begins with ("a.yaml:3:5: ...") are taken from. */
void metrics_reload(struct metrics *metrics, const char *refused);

/* ---- /metrics ------------------------------------------------------------------------------ */

/* What the system counts of this process; -1 where it does not say. */
struct metrics_process {
  int64_t resident_bytes;
  int64_t open_files, open_files_max;
  int64_t threads;
  int64_t cpu_us; /* user and system */
};
/* Reads /proc: some microseconds; with ten thousand descriptors some milliseconds on kernels
 * before 6.2, which have them counted one by one. */
void metrics_process_read(struct metrics_process *process);

/* What others count, for one look. */
struct metrics_now {
  int64_t budget_used_bytes, budget_limit_bytes;
  int64_t ingests;                    /* in flight */
  int64_t tokens;                     /* remembered */
  int64_t group_commits, group_loads; /* since the start */
  int64_t ingest_queued_bytes;        /* received and not decoded yet, of all of them */
  int64_t queries_running;
  int64_t requests;      /* request structs that are alive */
  int64_t tasks_waiting; /* for a worker */
  bool draining;
  struct engine_figures engine;
  struct http_server_stats network;
  struct metrics_process process;
};

/* Appends the exposition. */
enum status metrics_print(struct metrics *metrics, const struct metrics_now *now, struct text *out,
                          struct error *error) WARN_UNUSED;

#endif
