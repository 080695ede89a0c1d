/* What the server counts, and how /metrics says it (Prometheus text format 0.0.4). Names are
 * stable and documented in docs/metrics.md. All functions may be called from any thread. */
#ifndef ARROWPORT_SERVER_METRICS_H
#define ARROWPORT_SERVER_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

struct metrics;

enum status metrics_new(struct metrics **metrics, struct error *error) WARN_UNUSED;
void metrics_free(struct metrics *metrics); /* NULL is allowed */

/* A request was answered (or its client had gone: code 499). `endpoint`: "/ingest/{stream}",
 * one of a fixed set; `stream`: "" where there is none. Streams beyond a limit are counted as
 * "other": whoever sends names must not fill memory. */
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
/* An answer of /query. */
void metrics_query(struct metrics *metrics, const char *format, int64_t rows, int64_t bytes);

enum metrics_refused {
  METRICS_PROTECTED,   /* protected mode */
  METRICS_HOST,        /* unknown Host or foreign Origin */
  METRICS_CREDENTIALS, /* none or wrong ones */
  METRICS_SCOPE,       /* not allowed to */
  METRICS_THROTTLED,   /* too many wrong credentials */
  METRICS_MEMORY,      /* no memory left in the budget */
  METRICS_DRAINING
};
void metrics_refused(struct metrics *metrics, enum metrics_refused reason);
/* A configuration was read anew; `ok` false: it was refused and the old one stays. */
void metrics_reload(struct metrics *metrics, bool ok);

/* What others count, for one look. */
struct metrics_now;

#endif
